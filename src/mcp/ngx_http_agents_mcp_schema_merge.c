
/*
 * A schema, its $ref and its allOf as one view of them; the budget.
 */


#include <string.h>
#include "ngx_http_agents_mcp_schema_parts.h"


/* A longer reference is none that a server would write. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_REF_MAX  1024


static size_t ngx_http_agents_mcp_schema_size_at(const json_t *value,
    size_t limit, unsigned depth);
static int ngx_http_agents_mcp_schema_holds(const json_t *schema,
    const char *name, const json_t *value);
static int ngx_http_agents_mcp_schema_merge_ref(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const json_t *schema);
static int ngx_http_agents_mcp_schema_merge_own(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const json_t *schema);
static int ngx_http_agents_mcp_schema_merge_required(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const json_t *required);
static int ngx_http_agents_mcp_schema_merge_union(
    ngx_http_agents_mcp_schema_view_t *view, json_t *alternatives);
static const json_t *ngx_http_agents_mcp_schema_resolve(
    const ngx_http_agents_mcp_schema_ctx_t *ctx, const char *ref, size_t len);
static int ngx_http_agents_mcp_schema_decode(char *out, const char *ref,
    size_t len);
static const json_t *ngx_http_agents_mcp_schema_step(const json_t *place,
    char *token);


/* Keywords that the view keeps as they are; the last one merged wins. */

static const char *const  ngx_http_agents_mcp_schema_kept[] = {
    "type", "nullable", "title", "description", "default", "enum", "const",
    "items", "additionalProperties",

    /* these are told in the description */

    "format", "pattern", "contentEncoding", "contentMediaType",
    "contentSchema", "minimum", "exclusiveMinimum", "maximum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "uniqueItems", "prefixItems", "additionalItems", "contains",
    "minContains", "maxContains", "unevaluatedItems", "minProperties",
    "maxProperties", "propertyNames", "patternProperties",
    "unevaluatedProperties", "dependentRequired", "dependentSchemas",
    "dependencies", "not", "if", "then", "else", "examples", "example",
    NULL
};


int
ngx_http_agents_mcp_schema_spend(ngx_http_agents_mcp_schema_ctx_t *ctx,
    size_t nodes, size_t bytes)
{
    ctx->nodes += nodes;
    ctx->bytes += bytes + nodes * NGX_HTTP_AGENTS_MCP_SCHEMA_NODE;

    if (ctx->nodes > NGX_HTTP_AGENTS_MCP_SCHEMA_NODES
        || ctx->bytes > NGX_HTTP_AGENTS_MCP_SCHEMA_BYTES)
    {
        ctx->over = 1;
        return -1;
    }

    return 0;
}


json_t *
ngx_http_agents_mcp_schema_copy(ngx_http_agents_mcp_schema_ctx_t *ctx,
    const json_t *value)
{
    size_t  size;

    size = ngx_http_agents_mcp_schema_size(value,
                                           NGX_HTTP_AGENTS_MCP_SCHEMA_BYTES);

    if (ngx_http_agents_mcp_schema_spend(ctx, 1, size) != 0) {
        return NULL;
    }

    return json_deep_copy(value);
}


size_t
ngx_http_agents_mcp_schema_size(const json_t *value, size_t limit)
{
    return ngx_http_agents_mcp_schema_size_at(value, limit, 0);
}


static size_t
ngx_http_agents_mcp_schema_size_at(const json_t *value, size_t limit,
    unsigned depth)
{
    size_t       i, size;
    json_t      *item;
    const char  *name;

    size = 4;

    if (json_is_string(value)) {
        return size + json_string_length(value);
    }

    if (depth > NGX_HTTP_AGENTS_MCP_SCHEMA_DEPTH) {
        return limit + 1;
    }

    json_array_foreach(value, i, item) {
        if (size > limit) {
            return size;
        }

        size += ngx_http_agents_mcp_schema_size_at(item, limit - size,
                                                   depth + 1);
    }

    json_object_foreach((json_t *) value, name, item) {
        if (size > limit) {
            return size;
        }

        size += strlen(name) + 4;

        if (size <= limit) {
            size += ngx_http_agents_mcp_schema_size_at(item, limit - size,
                                                       depth + 1);
        }
    }

    return size;
}


int
ngx_http_agents_mcp_schema_view_init(
    const ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view)
{
    memset(view, 0, sizeof(ngx_http_agents_mcp_schema_view_t));

    view->base = ctx->nstack;
    view->keywords = json_object();
    view->properties = json_object();
    view->required = json_object();
    view->unions = json_array();

    return (view->keywords != NULL && view->properties != NULL
            && view->required != NULL && view->unions != NULL) ? 0 : -1;
}


void
ngx_http_agents_mcp_schema_view_free(ngx_http_agents_mcp_schema_view_t *view)
{
    json_decref(view->keywords);
    json_decref(view->properties);
    json_decref(view->required);
    json_decref(view->unions);
}


/*
 * What it refers to first, then allOf, then its own: the nearer a keyword
 * stands, the more it says.
 */

int
ngx_http_agents_mcp_schema_merge(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const json_t *schema)
{
    size_t                               i;
    json_t                              *part, *parts;
    ngx_http_agents_mcp_schema_place_t  *place;

    if (ngx_http_agents_mcp_schema_spend(ctx, 1, 0) != 0) {
        return -1;
    }

    if (json_is_false(schema)) {
        view->never = 1;
        return 0;
    }

    if (!json_is_object(schema)) {
        return 0;
    }

    if (ctx->nstack == NGX_HTTP_AGENTS_MCP_SCHEMA_STACK) {
        view->deep = 1;
        return 0;
    }

    place = &ctx->stack[ctx->nstack++];

    place->schema = schema;
    place->parent = ctx->at;
    place->merged = 0;

    ctx->at = place;

    if (ngx_http_agents_mcp_schema_merge_ref(ctx, view, schema) != 0) {
        return -1;
    }

    parts = ngx_http_agents_json_array(schema, "allOf");

    json_array_foreach(parts, i, part) {
        if (ngx_http_agents_mcp_schema_merge(ctx, view, part) != 0) {
            return -1;
        }
    }

    ctx->at = place->parent;
    place->merged = 1;

    return ngx_http_agents_mcp_schema_merge_own(ctx, view, schema);
}


const ngx_http_agents_mcp_schema_place_t *
ngx_http_agents_mcp_schema_enter(ngx_http_agents_mcp_schema_ctx_t *ctx,
    const ngx_http_agents_mcp_schema_view_t *view, const char *name,
    const json_t *value)
{
    size_t                                     i;
    const ngx_http_agents_mcp_schema_place_t  *before;

    before = ctx->at;

    for (i = view->base; i < ctx->nstack; i++) {

        if (ngx_http_agents_mcp_schema_holds(ctx->stack[i].schema, name,
                                             value))
        {
            ctx->at = &ctx->stack[i];
            return before;
        }
    }

    /* it was put together of several */

    if (view->base < ctx->nstack) {
        ctx->at = &ctx->stack[view->base];
    }

    return before;
}


static int
ngx_http_agents_mcp_schema_holds(const json_t *schema, const char *name,
    const json_t *value)
{
    size_t  i;

    static const char *const  keywords[] = {
        "items", "additionalProperties", "unevaluatedProperties", "anyOf",
        "oneOf"
    };

    if (name != NULL) {
        return json_object_get(json_object_get(schema, "properties"), name)
               == value;
    }

    for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (json_object_get(schema, keywords[i]) == value) {
            return 1;
        }
    }

    return 0;
}


static int
ngx_http_agents_mcp_schema_merge_ref(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const json_t *schema)
{
    size_t                                     i, len;
    const char                                *ref;
    const json_t                              *target;
    const ngx_http_agents_mcp_schema_place_t  *place;

    ref = ngx_http_agents_json_string(schema, "$ref", &len);

    if (ref == NULL) {
        if (json_object_get(schema, "$dynamicRef") != NULL
            || json_object_get(schema, "$recursiveRef") != NULL)
        {
            view->lost = 1;
        }

        return 0;
    }

    target = ngx_http_agents_mcp_schema_resolve(ctx, ref, len);

    if (!json_is_object(target) && !json_is_boolean(target)) {
        view->lost = 1;
        return 0;
    }

    for (place = ctx->at; place != NULL; place = place->parent) {
        if (place->schema == target) {
            view->lost = 1;
            return 0;
        }
    }

    /* two parts of one schema may refer to the same */

    for (i = view->base; i < ctx->nstack; i++) {
        if (ctx->stack[i].schema == target && ctx->stack[i].merged) {
            return 0;
        }
    }

    return ngx_http_agents_mcp_schema_merge(ctx, view, target);
}


/* Known keywords are looked up: a schema may have any number of others. */

static int
ngx_http_agents_mcp_schema_merge_own(ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const json_t *schema)
{
    json_t             *value;
    const char         *name;
    const char *const  *kept;

    for (kept = ngx_http_agents_mcp_schema_kept; *kept != NULL; kept++) {
        value = json_object_get(schema, *kept);

        if (value != NULL && json_object_set(view->keywords, *kept, value) != 0)
        {
            return -1;
        }
    }

    json_object_foreach(ngx_http_agents_json_object(schema, "properties"),
                        name, value)
    {
        if (ngx_http_agents_mcp_schema_merge_property(ctx, view, name, value)
            != 0)
        {
            return -1;
        }
    }

    value = ngx_http_agents_json_array(schema, "required");

    if (ngx_http_agents_mcp_schema_merge_required(ctx, view, value) != 0) {
        return -1;
    }

    value = ngx_http_agents_json_array(schema, "anyOf");

    if (ngx_http_agents_mcp_schema_merge_union(view, value) != 0) {
        return -1;
    }

    value = ngx_http_agents_json_array(schema, "oneOf");

    return ngx_http_agents_mcp_schema_merge_union(view, value);
}


int
ngx_http_agents_mcp_schema_merge_property(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const char *name,
    json_t *schema)
{
    json_t  *old;

    if (ngx_http_agents_mcp_schema_spend(ctx, 1, strlen(name)) != 0) {
        return -1;
    }

    old = json_object_get(view->properties, name);

    if (old == NULL || old == schema) {
        return json_object_set(view->properties, name, schema);
    }

    return json_object_set_new(view->properties, name,
                               json_pack("{s:[O,O]}", "allOf", old, schema));
}


static int
ngx_http_agents_mcp_schema_merge_required(
    ngx_http_agents_mcp_schema_ctx_t *ctx,
    ngx_http_agents_mcp_schema_view_t *view, const json_t *required)
{
    size_t   i;
    json_t  *name;

    json_array_foreach(required, i, name) {

        if (ngx_http_agents_mcp_schema_spend(ctx, 1, 0) != 0) {
            return -1;
        }

        if (json_is_string(name) && ngx_http_agents_json_kept(name) == NULL
            && json_object_set_new(view->required, json_string_value(name),
                                   json_true())
               != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
ngx_http_agents_mcp_schema_merge_union(
    ngx_http_agents_mcp_schema_view_t *view, json_t *alternatives)
{
    if (json_array_size(alternatives) == 0) {
        return 0;
    }

    return json_array_append(view->unions, alternatives);
}


/* A JSON pointer in the fragment of this document; nothing is fetched. */

static const json_t *
ngx_http_agents_mcp_schema_resolve(const ngx_http_agents_mcp_schema_ctx_t *ctx,
    const char *ref, size_t len)
{
    char          *token, *next, pointer[NGX_HTTP_AGENTS_MCP_SCHEMA_REF_MAX];
    const json_t  *place;

    if (len == 0 || len > sizeof(pointer) || ref[0] != '#'
        || ngx_http_agents_mcp_schema_decode(pointer, ref + 1, len - 1) != 0)
    {
        return NULL;
    }

    place = ctx->root;
    token = pointer;

    if (*token != '\0' && *token != '/') {
        return NULL;    /* an anchor */
    }

    while (token != NULL && *token != '\0' && place != NULL) {
        token++;
        next = strchr(token, '/');

        if (next == NULL) {
            return ngx_http_agents_mcp_schema_step(place, token);
        }

        *next = '\0';
        place = ngx_http_agents_mcp_schema_step(place, token);
        *next = '/';

        token = next;
    }

    return place;
}


/* Percent-decodes; "out" has room for as much and a NUL. */

static int
ngx_http_agents_mcp_schema_decode(char *out, const char *ref, size_t len)
{
    int          i, digit;
    char         c;
    size_t       n;
    const char  *at;

    static const char  hex[] = "00112233445566778899aAbBcCdDeEfF";

    for (n = 0; n < len; n++) {
        c = ref[n];

        if (c == '%') {
            if (len - n < 3) {
                return -1;
            }

            c = 0;

            for (i = 1; i <= 2; i++) {
                at = (ref[n + i] != '\0') ? strchr(hex, ref[n + i]) : NULL;

                if (at == NULL) {
                    return -1;
                }

                digit = (int) ((at - hex) / 2);
                c = (char) (((unsigned char) c << 4) | digit);
            }

            n += 2;
        }

        if (c == '\0') {
            return -1;
        }

        *out++ = c;
    }

    *out = '\0';

    return 0;
}


/* One step down by a token of the pointer, which is unescaped in place. */

static const json_t *
ngx_http_agents_mcp_schema_step(const json_t *place, char *token)
{
    char         *p, *out;
    size_t        index;
    const json_t *value;

    if (json_is_array(place)) {
        index = 0;

        for (p = token; *p >= '0' && *p <= '9' && index < 100000; p++) {
            index = index * 10 + (size_t) (*p - '0');
        }

        if (p == token || *p != '\0') {
            return NULL;
        }

        value = json_array_get(place, index);

    } else {
        out = token;

        for (p = token; *p != '\0'; p++) {

            if (p[0] == '~' && (p[1] == '0' || p[1] == '1')) {
                *out++ = (p[1] == '0') ? '~' : '/';
                p++;
                continue;
            }

            *out++ = *p;
        }

        *out = '\0';

        value = json_object_get(place, token);
    }

    return value;
}
