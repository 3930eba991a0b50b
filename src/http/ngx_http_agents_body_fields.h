
/*
 * The table form that request bodies are described in: what body_fields.c
 * declares and the walker, body_walk.c, follows.  Shared by these files alone.
 */


#ifndef _NGX_HTTP_AGENTS_BODY_FIELDS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_BODY_FIELDS_H_INCLUDED_


#include "ngx_http_agents_body.h"


#define NGX_HTTP_AGENTS_BODY_SLUG       "invalid-request"
#define NGX_HTTP_AGENTS_BODY_UNBOUNDED  INT64_MAX


typedef enum {
    NGX_HTTP_AGENTS_BODY_STRING = 0,    /* min, max: characters */
    NGX_HTTP_AGENTS_BODY_INTEGER,       /* min, max: value */
    NGX_HTTP_AGENTS_BODY_NUMBER,        /* min, max: value */
    NGX_HTTP_AGENTS_BODY_BOOLEAN,
    NGX_HTTP_AGENTS_BODY_OBJECT,        /* of "members" */
    NGX_HTTP_AGENTS_BODY_CHOICE,        /* an object, "kind" says which of
                                           "choices" */
    NGX_HTTP_AGENTS_BODY_LIST,          /* of objects of "members"; max:
                                           entries */
    NGX_HTTP_AGENTS_BODY_OPEN           /* kept as sent, if "check" agrees */
} ngx_http_agents_body_kind_e;


/* Flags of a field. */
#define NGX_HTTP_AGENTS_BODY_REQUIRED  0x01
#define NGX_HTTP_AGENTS_BODY_SPARSE    0x02  /* an object of which members may
                                                be left out, and stay so */
#define NGX_HTTP_AGENTS_BODY_NULL      0x04  /* null is a value of its own in
                                                a sparse object */
#define NGX_HTTP_AGENTS_BODY_PINNED    0x08  /* has no place in a sparse one */


typedef struct ngx_http_agents_body_field_s   ngx_http_agents_body_field_t;
typedef struct ngx_http_agents_body_choice_s  ngx_http_agents_body_choice_t;

/* What is wrong with the form of a string (static); NULL: nothing. */
typedef const char *(*ngx_http_agents_body_form_pt)(const char *text,
    size_t len);

/* Adds what is wrong with a value of an open field. */
typedef void (*ngx_http_agents_body_check_pt)(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);

struct ngx_http_agents_body_field_s {
    const char                           *name;     /* NULL: the table's end */
    ngx_http_agents_body_kind_e           kind;
    unsigned                              flags;
    int64_t                               min;
    int64_t                               max;
    const ngx_http_agents_body_field_t   *members;
    const ngx_http_agents_body_choice_t  *choices;
    const char                           *unique;   /* the member of a list's
                                                       entries that no two
                                                       may share */
    ngx_http_agents_body_form_pt          form;
    ngx_http_agents_body_check_pt         check;
    const char                           *slug;     /* where the form is
                                                       wrong or a value is
                                                       repeated; NULL:
                                                       invalid-request */
    const char                           *otherwise;    /* JSON that stands
                                                       for a field left out;
                                                       NULL: none */
};

struct ngx_http_agents_body_choice_s {
    const char                           *kind;     /* NULL: the table's end */
    const ngx_http_agents_body_field_t   *members;  /* "kind" too */
};


extern const ngx_http_agents_body_field_t
    ngx_http_agents_body_conversation_fields[];
extern const ngx_http_agents_body_field_t  ngx_http_agents_body_change_fields[];
extern const ngx_http_agents_body_field_t  ngx_http_agents_body_run_fields[];


/*
 * Walks an object along its table: a new object of what is right in it, in
 * the table's order; NULL without memory, with faults->failed set.  "flags":
 * NGX_HTTP_AGENTS_BODY_SPARSE or 0.
 */
json_t *ngx_http_agents_body_walk(const ngx_http_agents_body_field_t *fields,
    unsigned flags, const json_t *object, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults);


#endif /* _NGX_HTTP_AGENTS_BODY_FIELDS_H_INCLUDED_ */
