
/*
 * The normalised schema, as it is written.
 */


#include <string.h>
#include "ngx_http_agents_mcp_schema_parts.h"


/* A longer default is left out: it tells a model little. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_DEFAULT  1024

/* What write_values() returns where no value is of the type. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_NONE     1


static json_t *ngx_http_agents_mcp_schema_write(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth);
static int ngx_http_agents_mcp_schema_write_body(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth,
    ngx_http_agents_buf_t *notes);
static int ngx_http_agents_mcp_schema_write_types(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned types,
    unsigned depth, ngx_http_agents_buf_t *notes);
static int ngx_http_agents_mcp_schema_write_union(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned types,
    unsigned depth, ngx_http_agents_buf_t *notes);
static json_t *ngx_http_agents_mcp_schema_write_alternatives(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned shared,
    unsigned depth);
static json_t *ngx_http_agents_mcp_schema_write_shared(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, const json_t *schema,
    unsigned depth);
static int ngx_http_agents_mcp_schema_share(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view,
    const ngx_http_agents_mcp_schema_view_t *from);
static int ngx_http_agents_mcp_schema_write_typed(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned type,
    unsigned depth, ngx_http_agents_buf_t *notes);
static int ngx_http_agents_mcp_schema_write_properties(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth);
static json_t *ngx_http_agents_mcp_schema_write_sub(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, const char *name,
    const json_t *schema, unsigned depth);
static int ngx_http_agents_mcp_schema_write_required(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view,
    ngx_http_agents_buf_t *notes);
static int ngx_http_agents_mcp_schema_write_additional(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth,
    ngx_http_agents_buf_t *notes);
static int ngx_http_agents_mcp_schema_is_partial(
    const ngx_http_agents_mcp_schema_view_t *view);
static int ngx_http_agents_mcp_schema_write_items(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth);
static int ngx_http_agents_mcp_schema_write_values(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned types);
static json_t *ngx_http_agents_mcp_schema_additional(
    const ngx_http_agents_mcp_schema_view_t *view);


json_t *
ngx_http_agents_mcp_schema_convert(ngx_http_agents_mcp_schema_ctx_t *ctx,
    const json_t *schema, unsigned depth)
{
    size_t                              nstack;
    json_t                             *node;
    ngx_http_agents_mcp_schema_view_t   view;

    nstack = ctx->nstack;
    node = NULL;

    if (ngx_http_agents_mcp_schema_view_init(ctx, &view) == 0) {

        if (depth > NGX_HTTP_AGENTS_MCP_SCHEMA_DEPTH) {
            view.deep = 1;
            node = ngx_http_agents_mcp_schema_write(ctx, &view, depth);

        } else if (ngx_http_agents_mcp_schema_merge(ctx, &view, schema) == 0) {
            node = ngx_http_agents_mcp_schema_write(ctx, &view, depth);
        }
    }

    ctx->nstack = nstack;
    ngx_http_agents_mcp_schema_view_free(&view);

    return node;
}


static json_t *
ngx_http_agents_mcp_schema_write(ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth)
{
    int                     rc;
    json_t                 *node;
    ngx_http_agents_buf_t   notes;

    if (view->never) {
        return json_false();
    }

    if (ngx_http_agents_mcp_schema_spend(ctx, 1, 0) != 0) {
        return NULL;
    }

    node = json_object();
    if (node == NULL) {
        return NULL;
    }

    ngx_http_agents_buf_init(&notes);

    rc = ngx_http_agents_mcp_schema_write_body(ctx, node, view, depth, &notes);

    if (rc == 0) {
        ngx_http_agents_mcp_schema_note_keywords(&notes, view);
        rc = ngx_http_agents_mcp_schema_write_labels(ctx, node, view);
    }

    if (rc == 0) {
        rc = ngx_http_agents_mcp_schema_describe(ctx, node,
                               json_object_get(view->keywords, "description"),
                               &notes);
    }

    ngx_http_agents_buf_free(&notes);

    if (rc != 0) {
        json_decref(node);
        return NULL;
    }

    return node;
}


static int
ngx_http_agents_mcp_schema_write_body(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const ngx_http_agents_mcp_schema_view_t *view,
    unsigned depth, ngx_http_agents_buf_t *notes)
{
    unsigned  types;

    types = ngx_http_agents_mcp_schema_types(view);

    if (json_array_size(view->unions) != 0) {
        return ngx_http_agents_mcp_schema_write_union(ctx, node, view, types,
                                                      depth, notes);
    }

    if ((types & (types - 1)) != 0) {
        return ngx_http_agents_mcp_schema_write_types(ctx, node, view, types,
                                                      depth, notes);
    }

    if (ngx_http_agents_mcp_schema_write_typed(ctx, node, view, types, depth,
                                               notes)
        != 0)
    {
        return -1;
    }

    return ngx_http_agents_mcp_schema_write_values(ctx, node, view, 0);
}


/* Several types: one alternative each, with the keywords that are its own. */

static int
ngx_http_agents_mcp_schema_write_types(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const ngx_http_agents_mcp_schema_view_t *view,
    unsigned types, unsigned depth, ngx_http_agents_buf_t *notes)
{
    int        rc;
    json_t    *list, *branch;
    unsigned   bit;

    list = json_array();
    if (list == NULL) {
        return -1;
    }

    for (bit = 1; bit <= types; bit <<= 1) {

        if ((types & bit) == 0) {
            continue;
        }

        branch = json_object();

        rc = ngx_http_agents_mcp_schema_spend(ctx, 1, 0);

        if (rc == 0) {
            rc = ngx_http_agents_mcp_schema_write_typed(ctx, branch, view, bit,
                                                        depth + 1, notes);
        }

        if (rc == 0) {
            rc = ngx_http_agents_mcp_schema_write_values(ctx, branch, view,
                                                         bit);
        }

        if (rc == 0) {
            rc = json_array_append(list, branch);
        }

        json_decref(branch);

        if (rc == -1) {
            json_decref(list);
            return -1;
        }
    }

    switch (json_array_size(list)) {

    case 0:
        rc = ngx_http_agents_mcp_schema_write_values(ctx, node, view, 0);
        break;

    case 1:
        rc = json_object_update(node, json_array_get(list, 0));
        break;

    default:
        rc = json_object_set(node, "anyOf", list);
        break;
    }

    json_decref(list);

    return rc;
}


/*
 * The first union is written, others are told.  What an object declares
 * beside its union goes into each alternative: an alternative that forbids
 * additional properties would otherwise forbid those.
 */

static int
ngx_http_agents_mcp_schema_write_union(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const ngx_http_agents_mcp_schema_view_t *view,
    unsigned types, unsigned depth, ngx_http_agents_buf_t *notes)
{
    int        rc;
    size_t     i;
    json_t    *list;
    unsigned   shared;

    shared = ((types & ~NGX_HTTP_AGENTS_MCP_SCHEMA_NULL)
              == NGX_HTTP_AGENTS_MCP_SCHEMA_OBJECT);

    list = ngx_http_agents_mcp_schema_write_alternatives(ctx, view, shared,
                                                         depth);
    if (list == NULL) {
        return -1;
    }

    rc = 0;

    if ((shared && (types & NGX_HTTP_AGENTS_MCP_SCHEMA_NULL) != 0)
        || (types == 0
            && json_is_true(json_object_get(view->keywords, "nullable"))))
    {
        rc = json_array_append_new(list, json_pack("{s:s}", "type", "null"));
    }

    if (rc == 0 && !shared && (types & (types - 1)) == 0) {
        rc = ngx_http_agents_mcp_schema_write_typed(ctx, node, view, types,
                                                    depth, notes);

    } else if (rc == 0 && !shared) {
        ngx_http_agents_mcp_schema_note(notes, "type",
                                   json_object_get(view->keywords, "type"));
    }

    if (rc == 0 && json_array_size(list) != 0) {
        rc = json_object_set(node, "anyOf", list);
    }

    json_decref(list);

    for (i = 1; i < json_array_size(view->unions); i++) {
        ngx_http_agents_mcp_schema_note(notes, "and one of",
                                        json_array_get(view->unions, i));
    }

    if (rc != 0) {
        return -1;
    }

    return ngx_http_agents_mcp_schema_write_values(ctx, node, view, 0);
}


static json_t *
ngx_http_agents_mcp_schema_write_alternatives(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned shared,
    unsigned depth)
{
    size_t                                     i;
    json_t                                    *list, *first, *schema, *node;
    const ngx_http_agents_mcp_schema_place_t  *before;

    list = json_array();
    if (list == NULL) {
        return NULL;
    }

    first = json_array_get(view->unions, 0);

    json_array_foreach(first, i, schema) {

        before = ngx_http_agents_mcp_schema_enter(ctx, view, NULL, first);

        if (shared) {
            node = ngx_http_agents_mcp_schema_write_shared(ctx, view, schema,
                                                           depth + 1);

        } else {
            node = ngx_http_agents_mcp_schema_convert(ctx, schema, depth + 1);
        }

        ctx->at = before;

        if (json_is_false(node)) {
            continue;
        }

        if (json_array_append_new(list, node) != 0) {
            json_decref(list);
            return NULL;
        }
    }

    return list;
}


static json_t *
ngx_http_agents_mcp_schema_write_shared(ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, const json_t *schema,
    unsigned depth)
{
    size_t                              nstack;
    json_t                             *node;
    ngx_http_agents_mcp_schema_view_t   both;

    if (depth > NGX_HTTP_AGENTS_MCP_SCHEMA_DEPTH) {
        return ngx_http_agents_mcp_schema_convert(ctx, schema, depth);
    }

    nstack = ctx->nstack;
    node = NULL;

    if (ngx_http_agents_mcp_schema_view_init(ctx, &both) == 0
        && ngx_http_agents_mcp_schema_share(ctx, &both, view) == 0
        && ngx_http_agents_mcp_schema_merge(ctx, &both, schema) == 0)
    {
        node = ngx_http_agents_mcp_schema_write(ctx, &both, depth);
    }

    ctx->nstack = nstack;
    ngx_http_agents_mcp_schema_view_free(&both);

    return node;
}


/* What an alternative inherits of the object that it is one of. */

static int
ngx_http_agents_mcp_schema_share(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view,
    const ngx_http_agents_mcp_schema_view_t *from)
{
    json_t      *schema, *value;
    const char  *name;

    json_object_foreach(from->properties, name, schema) {

        if (ngx_http_agents_mcp_schema_merge_property(ctx, view, name, schema)
            != 0)
        {
            return -1;
        }
    }

    value = json_object_get(from->keywords, "additionalProperties");

    if (value != NULL
        && json_object_set(view->keywords, "additionalProperties", value) != 0)
    {
        return -1;
    }

    if (json_object_set_new(view->keywords, "type", json_string("object"))
        != 0)
    {
        return -1;
    }

    return json_object_update(view->required, from->required);
}


/* "type" is one bit, or 0. */

static int
ngx_http_agents_mcp_schema_write_typed(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const ngx_http_agents_mcp_schema_view_t *view, unsigned type,
    unsigned depth, ngx_http_agents_buf_t *notes)
{
    const char  *name;

    if (type == 0) {
        return 0;
    }

    name = ngx_http_agents_mcp_schema_type_name(type);

    if (json_object_set_new(node, "type", json_string(name)) != 0) {
        return -1;
    }

    if (type == NGX_HTTP_AGENTS_MCP_SCHEMA_OBJECT) {
        return ngx_http_agents_mcp_schema_write_object(ctx, node, view, depth,
                                                       notes);
    }

    if (type == NGX_HTTP_AGENTS_MCP_SCHEMA_ARRAY) {
        return ngx_http_agents_mcp_schema_write_items(ctx, node, view, depth);
    }

    return 0;
}


int
ngx_http_agents_mcp_schema_write_object(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const ngx_http_agents_mcp_schema_view_t *view,
    unsigned depth, ngx_http_agents_buf_t *notes)
{
    if (ngx_http_agents_mcp_schema_write_properties(ctx, node, view, depth)
        != 0)
    {
        return -1;
    }

    if (ngx_http_agents_mcp_schema_write_required(ctx, node, view, notes)
        != 0)
    {
        return -1;
    }

    return ngx_http_agents_mcp_schema_write_additional(ctx, node, view, depth,
                                                       notes);
}


static int
ngx_http_agents_mcp_schema_write_properties(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth)
{
    int          rc;
    json_t      *properties, *schema, *sub;
    const char  *name;

    if (json_object_size(view->properties) == 0) {
        return 0;
    }

    properties = json_object();
    if (properties == NULL) {
        return -1;
    }

    json_object_foreach(view->properties, name, schema) {

        sub = ngx_http_agents_mcp_schema_write_sub(ctx, view, name, schema,
                                                   depth);

        if (json_is_false(sub)) {
            continue;   /* it must not be given */
        }

        if (json_object_set_new(properties, name, sub) != 0) {
            json_decref(properties);
            return -1;
        }
    }

    rc = json_object_set(node, "properties", properties);

    json_decref(properties);

    return rc;
}


/* A schema of the view, as the property "name" or, if NULL, of a keyword. */

static json_t *
ngx_http_agents_mcp_schema_write_sub(ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, const char *name,
    const json_t *schema, unsigned depth)
{
    json_t                                    *sub;
    const ngx_http_agents_mcp_schema_place_t  *before;

    before = ngx_http_agents_mcp_schema_enter(ctx, view, name, schema);
    sub = ngx_http_agents_mcp_schema_convert(ctx, schema, depth + 1);
    ctx->at = before;

    return sub;
}


/* Names that are not declared are told: an API may refuse them here. */

static int
ngx_http_agents_mcp_schema_write_required(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view,
    ngx_http_agents_buf_t *notes)
{
    int          rc;
    json_t      *properties, *listed, *other, *value;
    const char  *name;

    rc = 0;
    listed = json_array();
    other = json_array();
    properties = json_object_get(node, "properties");

    if (listed == NULL || other == NULL) {
        rc = -1;
    }

    json_object_foreach(view->required, name, value) {

        if (rc == 0 && json_object_get(properties, name) != NULL) {
            rc = json_array_append_new(listed, json_string(name));

        } else if (rc == 0 && json_object_get(view->properties, name) == NULL)
        {
            rc = json_array_append_new(other, json_string(name));
        }

        if (rc == 0) {
            rc = ngx_http_agents_mcp_schema_spend(ctx, 1, strlen(name));
        }
    }

    if (rc == 0 && json_array_size(listed) != 0) {
        rc = json_object_set(node, "required", listed);
    }

    if (rc == 0 && json_array_size(other) != 0) {
        ngx_http_agents_mcp_schema_note(notes, "required", other);
    }

    json_decref(listed);
    json_decref(other);

    return rc;
}


/*
 * An object that declares its properties takes no others, whether it allows
 * them in so many words or not; what is forced against its word is told.
 */

static int
ngx_http_agents_mcp_schema_write_additional(
    ngx_http_agents_mcp_schema_ctx_t *ctx, json_t *node,
    const ngx_http_agents_mcp_schema_view_t *view, unsigned depth,
    ngx_http_agents_buf_t *notes)
{
    json_t  *additional, *sub;

    additional = ngx_http_agents_mcp_schema_additional(view);

    if (ngx_http_agents_mcp_schema_is_partial(view)) {
        return 0;
    }

    if (json_object_size(additional) != 0) {
        sub = ngx_http_agents_mcp_schema_write_sub(ctx, view, NULL, additional,
                                                   depth);

        if (json_is_object(sub) && json_object_size(sub) == 0) {
            json_decref(sub);
            return 0;
        }

        return json_object_set_new(node, "additionalProperties", sub);
    }

    if (!json_is_false(additional) && json_object_size(view->properties) == 0)
    {
        return 0;
    }

    if (json_is_true(additional) || json_is_object(additional)) {
        ngx_http_agents_mcp_schema_note_text(notes,
                                             "additionalProperties: true");
    }

    return json_object_set_new(node, "additionalProperties", json_false());
}


int
ngx_http_agents_mcp_schema_is_open(
    const ngx_http_agents_mcp_schema_view_t *view)
{
    return ngx_http_agents_mcp_schema_is_partial(view)
           || json_object_size(ngx_http_agents_mcp_schema_additional(view))
              != 0;
}


/* Whether there are properties that the view does not have. */

static int
ngx_http_agents_mcp_schema_is_partial(
    const ngx_http_agents_mcp_schema_view_t *view)
{
    return view->open || view->lost || view->deep
           || json_object_size(json_object_get(view->keywords,
                                               "patternProperties"))
              != 0;
}


static json_t *
ngx_http_agents_mcp_schema_additional(
    const ngx_http_agents_mcp_schema_view_t *view)
{
    json_t  *additional;

    additional = json_object_get(view->keywords, "additionalProperties");

    if (additional == NULL) {
        additional = json_object_get(view->keywords, "unevaluatedProperties");
    }

    return additional;
}


/* Items are always said: some APIs refuse an array without. */

static int
ngx_http_agents_mcp_schema_write_items(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const ngx_http_agents_mcp_schema_view_t *view,
    unsigned depth)
{
    json_t  *items, *sub;

    items = json_object_get(view->keywords, "items");

    if (json_is_object(items)
        && json_object_get(view->keywords, "prefixItems") == NULL)
    {
        sub = ngx_http_agents_mcp_schema_write_sub(ctx, view, NULL, items,
                                                   depth);

        if (!json_is_false(sub)) {
            return json_object_set_new(node, "items", sub);
        }
    }

    return json_object_set_new(node, "items", json_object());
}


/*
 * enum and const; of the values only those of "types" unless that is 0.
 * Returns NONE where there are values, but none of these types.
 */

static int
ngx_http_agents_mcp_schema_write_values(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const ngx_http_agents_mcp_schema_view_t *view,
    unsigned types)
{
    int      rc;
    size_t   i;
    json_t  *values, *value, *list;

    value = json_object_get(view->keywords, "const");

    if (value != NULL) {

        if (types != 0
            && (ngx_http_agents_mcp_schema_type_of(value) & types) == 0)
        {
            return NGX_HTTP_AGENTS_MCP_SCHEMA_NONE;
        }

        if (json_object_set_new(node, "const",
                                ngx_http_agents_mcp_schema_copy(ctx, value))
            != 0)
        {
            return -1;
        }
    }

    values = json_object_get(view->keywords, "enum");

    if (json_array_size(values) == 0) {
        return 0;
    }

    list = json_array();
    rc = (list != NULL) ? 0 : -1;

    json_array_foreach(values, i, value) {

        if (rc == 0
            && (types == 0
                || (ngx_http_agents_mcp_schema_type_of(value) & types) != 0))
        {
            rc = json_array_append_new(list,
                                 ngx_http_agents_mcp_schema_copy(ctx, value));
        }
    }

    if (rc == 0 && json_array_size(list) == 0) {
        rc = NGX_HTTP_AGENTS_MCP_SCHEMA_NONE;

    } else if (rc == 0 && types != NGX_HTTP_AGENTS_MCP_SCHEMA_NULL) {
        rc = json_object_set(node, "enum", list);
    }

    json_decref(list);

    return rc;
}


int
ngx_http_agents_mcp_schema_write_labels(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const ngx_http_agents_mcp_schema_view_t *view)
{
    json_t  *value;

    value = json_object_get(view->keywords, "title");

    if (json_string_length(value) != 0
        && ngx_http_agents_json_kept(value) == NULL
        && json_object_set_new(node, "title",
                               ngx_http_agents_mcp_schema_copy(ctx, value))
           != 0)
    {
        return -1;
    }

    value = json_object_get(view->keywords, "default");

    if (value != NULL
        && ngx_http_agents_mcp_schema_size(value,
                                           NGX_HTTP_AGENTS_MCP_SCHEMA_DEFAULT)
           <= NGX_HTTP_AGENTS_MCP_SCHEMA_DEFAULT
        && json_object_set_new(node, "default",
                               ngx_http_agents_mcp_schema_copy(ctx, value))
           != 0)
    {
        return -1;
    }

    return 0;
}
