
#include <string.h>
#include "ngx_http_agents_mcp_schema_parts.h"


/* Of a property's name at the root, as model APIs take it. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_NAME  64


static json_t *ngx_http_agents_mcp_schema_root(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const char **why);
static json_t *ngx_http_agents_mcp_schema_root_node(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, ngx_http_agents_buf_t *notes);
static json_t *ngx_http_agents_mcp_schema_open(const json_t *schema,
    const char *why);
static int ngx_http_agents_mcp_schema_portable(
    ngx_http_agents_mcp_schema_view_t *view, ngx_http_agents_buf_t *notes);
static int ngx_http_agents_mcp_schema_portable_name(const char *name);


json_t *
ngx_http_agents_mcp_schema_normalize(const json_t *schema)
{
    json_t                             *node;
    const char                         *why;
    ngx_http_agents_mcp_schema_ctx_t    ctx;
    ngx_http_agents_mcp_schema_view_t   view;

    if (!json_is_object(schema)) {
        return ngx_http_agents_mcp_schema_open(schema,
                                               "is not the schema of an "
                                               "object");
    }

    memset(&ctx, 0, sizeof(ctx));

    ctx.root = schema;
    node = NULL;
    why = NULL;

    if (ngx_http_agents_mcp_schema_view_init(&ctx, &view) == 0) {
        node = ngx_http_agents_mcp_schema_root(&ctx, &view, &why);
    }

    ngx_http_agents_mcp_schema_view_free(&view);

    if (node == NULL && ctx.over) {
        why = "is too large to be shown";
    }

    if (why != NULL) {
        return ngx_http_agents_mcp_schema_open(schema, why);
    }

    return node;
}


/* NULL with *why set where there is no object schema to be made. */

static json_t *
ngx_http_agents_mcp_schema_root(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const char **why)
{
    int                     rc;
    json_t                 *node;
    unsigned                types;
    ngx_http_agents_buf_t   notes;

    if (ngx_http_agents_mcp_schema_merge(ctx, view, ctx->root) != 0) {
        return NULL;
    }

    types = ngx_http_agents_mcp_schema_types(view);

    if (view->never
        || (types != 0 && (types & NGX_HTTP_AGENTS_MCP_SCHEMA_OBJECT) == 0))
    {
        *why = "is not the schema of an object";
        return NULL;
    }

    ngx_http_agents_buf_init(&notes);

    node = NULL;

    rc = ngx_http_agents_mcp_schema_fold(ctx, view, &notes);

    if (rc == 0 && view->never) {
        *why = "is not the schema of an object";

    } else if (rc == 0
               && ngx_http_agents_mcp_schema_portable(view, &notes) == 0)
    {
        node = ngx_http_agents_mcp_schema_root_node(ctx, view, &notes);
    }

    ngx_http_agents_buf_free(&notes);

    return node;
}


/* At the root a model API wants "properties", be there any or not. */

static json_t *
ngx_http_agents_mcp_schema_root_node(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, ngx_http_agents_buf_t *notes)
{
    json_t  *node;

    node = json_pack("{s:s, s:{}}", "type", "object", "properties");
    if (node == NULL) {
        return NULL;
    }

    if (view->lost) {
        ngx_http_agents_mcp_schema_note_text(notes, "not all of the declared "
                                             "input schema is available");
    }

    ngx_http_agents_mcp_schema_note_keywords(notes, view);

    if (ngx_http_agents_mcp_schema_write_object(ctx, node, view, 0, notes) != 0
        || ngx_http_agents_mcp_schema_write_labels(ctx, node, view) != 0
        || ngx_http_agents_mcp_schema_describe(ctx, node,
                               json_object_get(view->keywords, "description"),
                               notes)
           != 0)
    {
        json_decref(node);
        return NULL;
    }

    return node;
}


static json_t *
ngx_http_agents_mcp_schema_open(const json_t *schema, const char *why)
{
    size_t                  len;
    json_t                 *node;
    const char             *own;
    ngx_http_agents_buf_t   text;

    ngx_http_agents_buf_init(&text);

    own = ngx_http_agents_json_string(schema, "description", &len);

    if (own != NULL && len != 0) {
        ngx_http_agents_buf_add(&text, own, len);
        ngx_http_agents_mcp_schema_shorten(&text, 0,
                                     NGX_HTTP_AGENTS_MCP_SCHEMA_DESCRIPTION);
        ngx_http_agents_buf_addc(&text, ' ');
    }

    ngx_http_agents_buf_addf(&text, "(the declared input schema %s: any "
                             "properties are taken)", why);

    node = NULL;

    if (!text.failed) {
        node = json_pack("{s:s, s:{}, s:s%}", "type", "object", "properties",
                         "description", text.data, text.len);
    }

    ngx_http_agents_buf_free(&text);

    return node;
}


/*
 * A property with a name that model APIs refuse is told instead, and the
 * object left open for it.
 */

static int
ngx_http_agents_mcp_schema_portable(ngx_http_agents_mcp_schema_view_t *view,
    ngx_http_agents_buf_t *notes)
{
    void                   *next;
    json_t                 *schema;
    const char             *name;
    ngx_http_agents_buf_t   told;

    json_object_foreach_safe(view->properties, next, name, schema) {

        if (ngx_http_agents_mcp_schema_portable_name(name)) {
            continue;
        }

        ngx_http_agents_buf_init(&told);
        ngx_http_agents_buf_adds(&told, "also takes ");
        ngx_http_agents_json_put_string(&told, name, strlen(name));
        ngx_http_agents_mcp_schema_shorten(&told, 0, 200);

        if (json_object_get(view->required, name) != NULL) {
            ngx_http_agents_buf_adds(&told, " (required)");
        }

        if (told.failed) {
            ngx_http_agents_buf_free(&told);
            return -1;
        }

        ngx_http_agents_mcp_schema_note(notes, told.data, schema);
        ngx_http_agents_buf_free(&told);

        (void) json_object_del(view->required, name);
        (void) json_object_del(view->properties, name);

        view->open = 1;
    }

    return 0;
}


static int
ngx_http_agents_mcp_schema_portable_name(const char *name)
{
    size_t  len;

    len = strlen(name);

    return len > 0 && len <= NGX_HTTP_AGENTS_MCP_SCHEMA_NAME
           && strspn(name, "abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789_.-")
              == len;
}
