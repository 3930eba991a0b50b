
/*
 * Shared by the files of the schema normaliser alone.
 *
 * A schema is first merged: what it refers to, its allOf and its own keywords
 * become one flat view.  The view is then written as a new schema.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_SCHEMA_PARTS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_SCHEMA_PARTS_H_INCLUDED_


#include "ngx_http_agents_json.h"
#include "ngx_http_agents_mcp_schema.h"


/* Schemas under way at once: in depth, through references and allOf. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_STACK  128

/* Bytes of a description as it was declared, and of the notes behind it. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_DESCRIPTION  4096
#define NGX_HTTP_AGENTS_MCP_SCHEMA_NOTES        1000

/* Bytes that a node counts beside its text. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_NODE   16


/*
 * A schema under way, until the view that it is part of has been written.
 * Places form a tree: a schema's parent is the one that it stands in, or that
 * refers to it.  What is met again among its own ancestors is recursive.
 */
typedef struct ngx_http_agents_mcp_schema_place_s
    ngx_http_agents_mcp_schema_place_t;

struct ngx_http_agents_mcp_schema_place_s {
    const json_t                              *schema;
    const ngx_http_agents_mcp_schema_place_t  *parent;    /* or NULL */
    unsigned                                   merged:1;  /* all of it is in
                                                             its view */
};


typedef struct {
    const json_t                              *root;
    size_t                                     nodes;     /* spent */
    size_t                                     bytes;
    unsigned                                   over:1;    /* the budget is
                                                       spent; else a failure
                                                       is for want of memory */
    const ngx_http_agents_mcp_schema_place_t  *at;        /* or NULL */
    size_t                                     nstack;
    ngx_http_agents_mcp_schema_place_t         stack[
                                            NGX_HTTP_AGENTS_MCP_SCHEMA_STACK];
} ngx_http_agents_mcp_schema_ctx_t;


typedef struct {
    json_t      *keywords;      /* object: all that are not below */
    json_t      *properties;    /* object: schemas, not converted */
    json_t      *required;      /* object, used as a set in order */
    json_t      *unions;        /* array: each anyOf and oneOf */
    size_t       base;          /* where its places begin on the stack */
    unsigned     lost:1;        /* a reference was not followed: recursive,
                                   remote or of nothing; {} stands for it */
    unsigned     deep:1;        /* some was left out: it is too deep */
    unsigned     open:1;        /* it has properties that are not here */
    unsigned     never:1;       /* nothing fits: false is part of it */
} ngx_http_agents_mcp_schema_view_t;


/* Bits of the seven types. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_OBJECT   0x01
#define NGX_HTTP_AGENTS_MCP_SCHEMA_ARRAY    0x02
#define NGX_HTTP_AGENTS_MCP_SCHEMA_STRING   0x04
#define NGX_HTTP_AGENTS_MCP_SCHEMA_NUMBER   0x08
#define NGX_HTTP_AGENTS_MCP_SCHEMA_INTEGER  0x10
#define NGX_HTTP_AGENTS_MCP_SCHEMA_BOOLEAN  0x20
#define NGX_HTTP_AGENTS_MCP_SCHEMA_NULL     0x40


/*
 * Below, an int is 0, or -1: the budget is spent, or there is no memory.
 */

/* Counts nodes and their text. */
int ngx_http_agents_mcp_schema_spend(ngx_http_agents_mcp_schema_ctx_t *ctx,
    size_t nodes, size_t bytes);

/* A deep copy of a plain value, counted; NULL as above. */
json_t *ngx_http_agents_mcp_schema_copy(ngx_http_agents_mcp_schema_ctx_t *ctx,
    const json_t *value);

/*
 * The rough size of a value's text; stops soon after "limit", and is over it
 * for a value that is nested deeper than schemas may be.
 */
size_t ngx_http_agents_mcp_schema_size(const json_t *value, size_t limit);

/* Views; init leaves one that can be freed, also when it fails. */
int ngx_http_agents_mcp_schema_view_init(
    const ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view);
void ngx_http_agents_mcp_schema_view_free(
    ngx_http_agents_mcp_schema_view_t *view);

/*
 * Merges a schema over what the view holds.  The places that it goes through
 * stay on the stack: the caller puts "nstack" back when the view is written.
 */
int ngx_http_agents_mcp_schema_merge(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const json_t *schema);

/*
 * Goes to the place of the view where "value" stands, as the property "name"
 * or, if that is NULL, under a keyword, so that it can be converted.  Returns
 * where it was before, for "at" to be put back.
 */
const ngx_http_agents_mcp_schema_place_t *ngx_http_agents_mcp_schema_enter(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, const char *name,
    const json_t *value);

/* A property of the view; where there is one, the value must fit both. */
int ngx_http_agents_mcp_schema_merge_property(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const char *name,
    json_t *schema);

/*
 * For the root, which may be no union: makes the unions of the view one set
 * of properties, of which those are required that all alternatives require.
 * The alternatives are told in "text" unless it is NULL.
 */
int ngx_http_agents_mcp_schema_fold(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, ngx_http_agents_buf_t *text);

/*
 * A schema as it goes out; false where nothing fits, to be left out with what
 * it stands for; NULL as above.
 */
json_t *ngx_http_agents_mcp_schema_convert(
    ngx_http_agents_mcp_schema_ctx_t *ctx, const json_t *schema,
    unsigned depth);

/* The object keywords of a view, added to the node. */
int ngx_http_agents_mcp_schema_write_object(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth,
    ngx_http_agents_buf_t *notes);

/* The view's title and default. */
int ngx_http_agents_mcp_schema_write_labels(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view);

/*
 * Whether an object has more properties than it declares by name: it is a map
 * as well, or not all of it is known.
 */
int ngx_http_agents_mcp_schema_is_open(
    const ngx_http_agents_mcp_schema_view_t *view);

/* The types that a view's keywords say or imply; 0: any. */
unsigned ngx_http_agents_mcp_schema_types(
    const ngx_http_agents_mcp_schema_view_t *view);
unsigned ngx_http_agents_mcp_schema_type_bit(const char *name);
const char *ngx_http_agents_mcp_schema_type_name(unsigned bit);
unsigned ngx_http_agents_mcp_schema_type_of(const json_t *value);

/* Adds "name: value" to the notes of a description. */
void ngx_http_agents_mcp_schema_note(ngx_http_agents_buf_t *notes,
    const char *name, const json_t *value);
void ngx_http_agents_mcp_schema_note_text(ngx_http_agents_buf_t *notes,
    const char *text);

/* Notes of all keywords of the view that are told and not written. */
void ngx_http_agents_mcp_schema_note_keywords(ngx_http_agents_buf_t *notes,
    const ngx_http_agents_mcp_schema_view_t *view);

/* The node's description: the view's own, then the notes; none if empty. */
int ngx_http_agents_mcp_schema_describe(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const json_t *description,
    const ngx_http_agents_buf_t *notes);

/* Cuts a text from "start" on to "max" bytes, between characters. */
void ngx_http_agents_mcp_schema_shorten(ngx_http_agents_buf_t *buf,
    size_t start, size_t max);


#endif /* _NGX_HTTP_AGENTS_MCP_SCHEMA_PARTS_H_INCLUDED_ */
