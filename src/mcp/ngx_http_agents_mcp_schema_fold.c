
/*
 * The root of a tool's schema, which may be no union: its alternatives become
 * one set of properties.
 */


#include <string.h>
#include "ngx_http_agents_mcp_schema_parts.h"


/* Unions within unions at the root, beyond which they are left out. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_FOLDS  8

/* Schemas of a property are compared up to this size, and to so many others. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_EQUAL  512
#define NGX_HTTP_AGENTS_MCP_SCHEMA_OTHERS 32


/* One union, as it is made one set of properties. */
typedef struct {
    json_t                 *variants;   /* object: name: array of schemas */
    json_t                 *required;   /* in all alternatives; NULL: none
                                           was seen yet */
    ngx_http_agents_buf_t  *text;
    unsigned                told;       /* alternatives in the text */
    unsigned                used:1;     /* an alternative is an object */
    unsigned                open:1;
    unsigned                depth;
} ngx_http_agents_mcp_schema_fold_t;


static int ngx_http_agents_mcp_schema_fold_all(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, ngx_http_agents_buf_t *text,
    unsigned depth);
static int ngx_http_agents_mcp_schema_fold_union(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_fold_t *fold, const json_t *alternatives);
static int ngx_http_agents_mcp_schema_fold_alternative(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_fold_t *fold,
    const ngx_http_agents_mcp_schema_view_t *alternative);
static int ngx_http_agents_mcp_schema_fold_variant(
    ngx_http_agents_mcp_schema_fold_t *fold, const char *name,
    json_t *schema);
static int ngx_http_agents_mcp_schema_fold_required(
    ngx_http_agents_mcp_schema_fold_t *fold, json_t *required);
static void ngx_http_agents_mcp_schema_fold_tell(
    ngx_http_agents_mcp_schema_fold_t *fold,
    const ngx_http_agents_mcp_schema_view_t *alternative);
static int ngx_http_agents_mcp_schema_fold_end(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view,
    const ngx_http_agents_mcp_schema_fold_t *fold);


int
ngx_http_agents_mcp_schema_fold(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, ngx_http_agents_buf_t *text)
{
    return ngx_http_agents_mcp_schema_fold_all(ctx, view, text, 0);
}


static int
ngx_http_agents_mcp_schema_fold_all(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, ngx_http_agents_buf_t *text,
    unsigned depth)
{
    int                                        rc;
    size_t                                     i;
    json_t                                    *alternatives;
    ngx_http_agents_mcp_schema_fold_t          fold;
    const ngx_http_agents_mcp_schema_place_t  *before;

    if (depth == NGX_HTTP_AGENTS_MCP_SCHEMA_FOLDS) {
        view->deep |= (json_array_size(view->unions) != 0);
        return 0;
    }

    rc = 0;

    for (i = 0; rc == 0 && i < json_array_size(view->unions); i++) {
        alternatives = json_array_get(view->unions, i);

        memset(&fold, 0, sizeof(fold));
        fold.text = (json_array_size(alternatives) > 1) ? text : NULL;
        fold.depth = depth;
        fold.variants = json_object();

        if (fold.variants == NULL) {
            return -1;
        }

        before = ngx_http_agents_mcp_schema_enter(ctx, view, NULL,
                                                  alternatives);
        rc = ngx_http_agents_mcp_schema_fold_union(ctx, &fold, alternatives);
        ctx->at = before;

        if (rc == 0) {
            rc = ngx_http_agents_mcp_schema_fold_end(ctx, view, &fold);
        }

        json_decref(fold.variants);
        json_decref(fold.required);
    }

    return rc;
}


/*
 * An alternative's schemas leave the stack with it: the others may use the
 * same ones without being recursive.
 */

static int
ngx_http_agents_mcp_schema_fold_union(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_fold_t *fold, const json_t *alternatives)
{
    int                                 rc;
    size_t                              i, nstack;
    json_t                             *schema;
    unsigned                            types;
    ngx_http_agents_mcp_schema_view_t   view;

    rc = 0;
    nstack = ctx->nstack;

    for (i = 0; rc == 0 && i < json_array_size(alternatives); i++) {
        schema = json_array_get(alternatives, i);

        rc = ngx_http_agents_mcp_schema_view_init(ctx, &view);

        if (rc == 0) {
            rc = ngx_http_agents_mcp_schema_merge(ctx, &view, schema);
        }

        if (rc == 0) {
            rc = ngx_http_agents_mcp_schema_fold_all(ctx, &view, NULL,
                                                     fold->depth + 1);
        }

        ctx->nstack = nstack;

        if (rc == 0) {
            types = ngx_http_agents_mcp_schema_types(&view);

            if (!view.never
                && (types == 0
                    || (types & NGX_HTTP_AGENTS_MCP_SCHEMA_OBJECT) != 0))
            {
                rc = ngx_http_agents_mcp_schema_fold_alternative(ctx, fold,
                                                                 &view);
            }
        }

        ngx_http_agents_mcp_schema_view_free(&view);
    }

    return rc;
}


static int
ngx_http_agents_mcp_schema_fold_alternative(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_fold_t *fold,
    const ngx_http_agents_mcp_schema_view_t *alternative)
{
    json_t      *schema;
    const char  *name;

    json_object_foreach(alternative->properties, name, schema) {

        if (ngx_http_agents_mcp_schema_spend(ctx, 1, strlen(name)) != 0
            || ngx_http_agents_mcp_schema_fold_variant(fold, name, schema)
               != 0)
        {
            return -1;
        }
    }

    fold->used = 1;

    if (ngx_http_agents_mcp_schema_is_open(alternative)) {
        fold->open = 1;
    }

    ngx_http_agents_mcp_schema_fold_tell(fold, alternative);

    return ngx_http_agents_mcp_schema_fold_required(fold,
                                                    alternative->required);
}


static int
ngx_http_agents_mcp_schema_fold_variant(
    ngx_http_agents_mcp_schema_fold_t *fold, const char *name,
    json_t *schema)
{
    size_t   i, size;
    json_t  *list, *other;

    list = json_object_get(fold->variants, name);

    if (list == NULL) {
        list = json_array();

        if (json_object_set_new(fold->variants, name, list) != 0) {
            return -1;
        }
    }

    size = ngx_http_agents_mcp_schema_size(schema,
                                           NGX_HTTP_AGENTS_MCP_SCHEMA_EQUAL);

    json_array_foreach(list, i, other) {

        if (i == NGX_HTTP_AGENTS_MCP_SCHEMA_OTHERS) {
            break;
        }

        if (other == schema
            || (size <= NGX_HTTP_AGENTS_MCP_SCHEMA_EQUAL
                && json_equal(other, schema)))
        {
            return 0;
        }
    }

    return json_array_append(list, schema);
}


/* What is required stays so where every alternative requires it. */

static int
ngx_http_agents_mcp_schema_fold_required(
    ngx_http_agents_mcp_schema_fold_t *fold, json_t *required)
{
    void        *next;
    json_t      *value;
    const char  *name;

    if (fold->required == NULL) {
        fold->required = json_copy(required);
        return (fold->required != NULL) ? 0 : -1;
    }

    json_object_foreach_safe(fold->required, next, name, value) {

        if (json_object_get(required, name) == NULL
            && json_object_del(fold->required, name) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* As "a, b?, kind = "x"": the optional ones with a question mark. */

static void
ngx_http_agents_mcp_schema_fold_tell(ngx_http_agents_mcp_schema_fold_t *fold,
    const ngx_http_agents_mcp_schema_view_t *alternative)
{
    size_t                  start;
    json_t                 *schema, *value;
    const char             *name, *before;
    ngx_http_agents_buf_t  *text;

    text = fold->text;

    if (text == NULL || text->len > NGX_HTTP_AGENTS_MCP_SCHEMA_NOTES) {
        return;
    }

    if (fold->told == 0) {
        ngx_http_agents_mcp_schema_note_text(text, "one of these: ");
    }

    ngx_http_agents_buf_addf(text, "%s%u) ", (fold->told != 0) ? ", or " : "",
                             fold->told + 1);
    fold->told++;

    start = text->len;
    before = "";

    json_object_foreach(alternative->properties, name, schema) {

        if (text->len - start > 200) {
            ngx_http_agents_buf_adds(text, ", ...");
            return;
        }

        ngx_http_agents_buf_addf(text, "%s%s", before, name);
        before = ", ";

        if (json_object_get(alternative->required, name) == NULL) {
            ngx_http_agents_buf_addc(text, '?');
        }

        value = json_object_get(schema, "const");

        if (value != NULL
            && ngx_http_agents_mcp_schema_size(value, 100) <= 100)
        {
            ngx_http_agents_buf_adds(text, " = ");
            ngx_http_agents_json_put(text, value);
        }
    }

    json_object_foreach(alternative->required, name, value) {

        if (text->len - start > 200) {
            ngx_http_agents_buf_adds(text, ", ...");
            return;
        }

        if (json_object_get(alternative->properties, name) == NULL) {
            ngx_http_agents_buf_addf(text, "%s%s", before, name);
            before = ", ";
        }
    }

    if (text->len == start) {
        ngx_http_agents_buf_adds(text, "any properties");
    }
}


static int
ngx_http_agents_mcp_schema_fold_end(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view,
    const ngx_http_agents_mcp_schema_fold_t *fold)
{
    int          rc;
    json_t      *list, *schema, *value;
    const char  *name;

    json_object_foreach(fold->variants, name, list) {

        if (json_array_size(list) == 1) {
            schema = json_incref(json_array_get(list, 0));

        } else {
            schema = json_pack("{s:O}", "anyOf", list);
        }

        if (schema == NULL) {
            return -1;
        }

        rc = ngx_http_agents_mcp_schema_merge_property(ctx, view, name,
                                                       schema);
        json_decref(schema);

        if (rc != 0) {
            return -1;
        }
    }

    json_object_foreach(fold->required, name, value) {

        if (json_object_set(view->required, name, value) != 0) {
            return -1;
        }
    }

    view->open |= fold->open;
    view->never |= !fold->used;

    return 0;
}
