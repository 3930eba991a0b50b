
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_routes.h"


typedef struct {
    ngx_uint_t   method;
    const char  *name;
} ngx_http_agents_routes_method_t;


static ngx_uint_t ngx_http_agents_routes_match(const char *pattern,
    ngx_str_t path, ngx_uint_t encoded, ngx_str_t *id);
static ngx_uint_t ngx_http_agents_routes_segment(const char *pattern,
    size_t len, ngx_str_t *segment, ngx_uint_t encoded);
static ngx_int_t ngx_http_agents_routes_id(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, ngx_str_t *segment);
static void ngx_http_agents_routes_allow(ngx_uint_t methods, char *allow);


static const ngx_http_agents_route_t  ngx_http_agents_routes[] = {

    { NGX_HTTP_POST, "/agents/conversations",
      NGX_HTTP_AGENTS_PERMISSION_WRITE,
      &ngx_http_agents_api_conversations_body,
      ngx_http_agents_api_conversations_create },

    { NGX_HTTP_GET, "/agents/conversations",
      NGX_HTTP_AGENTS_PERMISSION_READ, NULL,
      ngx_http_agents_api_conversations_list },

    { NGX_HTTP_GET, "/agents/conversations/{id}",
      NGX_HTTP_AGENTS_PERMISSION_READ, NULL,
      ngx_http_agents_api_conversations_get },

    { NGX_HTTP_PATCH, "/agents/conversations/{id}",
      NGX_HTTP_AGENTS_PERMISSION_WRITE,
      &ngx_http_agents_api_conversations_change_body,
      ngx_http_agents_api_conversations_change },

    { NGX_HTTP_DELETE, "/agents/conversations/{id}",
      NGX_HTTP_AGENTS_PERMISSION_WRITE, NULL,
      ngx_http_agents_api_delete },

    { NGX_HTTP_GET, "/agents/conversations/{id}/messages",
      NGX_HTTP_AGENTS_PERMISSION_READ, NULL,
      ngx_http_agents_api_messages_list },

    { NGX_HTTP_GET, "/agents/conversations/{id}/runs",
      NGX_HTTP_AGENTS_PERMISSION_READ, NULL,
      ngx_http_agents_api_runs_list },

    { NGX_HTTP_POST, "/agents/conversations/{id}/runs",
      NGX_HTTP_AGENTS_PERMISSION_WRITE,
      &ngx_http_agents_api_start_body,
      ngx_http_agents_api_start },

    { NGX_HTTP_GET, "/agents/runs/{id}",
      NGX_HTTP_AGENTS_PERMISSION_READ, NULL,
      ngx_http_agents_api_runs_get },

    { NGX_HTTP_GET, "/agents/runs/{id}/events",
      NGX_HTTP_AGENTS_PERMISSION_READ, NULL,
      ngx_http_agents_api_events_get },

    { NGX_HTTP_POST, "/agents/runs/{id}/cancel",
      NGX_HTTP_AGENTS_PERMISSION_WRITE, NULL,
      ngx_http_agents_api_cancel },

    { NGX_HTTP_GET, "/agents/models",
      NGX_HTTP_AGENTS_PERMISSION_READ, NULL,
      ngx_http_agents_api_models_list },

    { NGX_HTTP_GET, "/agents/openapi.json",
      NGX_HTTP_AGENTS_PERMISSION_NONE, NULL,
      ngx_http_agents_api_openapi_get },

    { 0, NULL, 0, NULL, NULL }
};


/* In the order of the Allow header. */

static const ngx_http_agents_routes_method_t
    ngx_http_agents_routes_methods[] =
{
    { NGX_HTTP_DELETE,  "DELETE" },
    { NGX_HTTP_GET,     "GET" },
    { NGX_HTTP_HEAD,    "HEAD" },
    { NGX_HTTP_OPTIONS, "OPTIONS" },
    { NGX_HTTP_PATCH,   "PATCH" },
    { NGX_HTTP_POST,    "POST" },
    { 0, NULL }
};


ngx_int_t
ngx_http_agents_routes_find(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx,
    char allow[NGX_HTTP_AGENTS_ROUTES_ALLOW_LEN])
{
    ngx_str_t                       path, id;
    ngx_uint_t                      method, methods;
    const ngx_http_agents_route_t  *route;

    path = ngx_http_agents_reply_path(r);

    method = (r->method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : r->method;
    methods = 0;

    for (route = ngx_http_agents_routes; route->pattern != NULL; route++) {

        if (!ngx_http_agents_routes_match(route->pattern, path,
                                          r->valid_unparsed_uri, &id))
        {
            continue;
        }

        methods |= route->method;

        if (route->method == method) {
            ctx->route = route;

            if (ngx_http_agents_routes_id(r, ctx, &id) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    if (methods == 0) {
        return NGX_DECLINED;
    }

    if (methods & NGX_HTTP_GET) {
        methods |= NGX_HTTP_HEAD;
    }

    ngx_http_agents_routes_allow(methods|NGX_HTTP_OPTIONS, allow);

    return ctx->route == NULL ? NGX_ABORT : NGX_OK;
}


ngx_int_t
ngx_http_agents_routes_handler(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx == NULL || ctx->state != NGX_HTTP_AGENTS_ACCESS_ADMITTED) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ctx->route->handler(r, ctx);

    if (rc == NGX_DONE) {

        /* it waits: what nginx drops on NGX_DONE is held until the end */

        r->main->count++;
    }

    return rc;
}


const char *
ngx_http_agents_routes_pattern(ngx_http_request_t *r)
{
    ngx_str_t                       path, id;
    ngx_http_agents_ctx_t          *ctx;
    const ngx_http_agents_route_t  *route;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx != NULL && ctx->route != NULL) {
        return ctx->route->pattern;
    }

    /* it was refused before, or has a method that is none of ours */

    path = ngx_http_agents_reply_path(r);

    for (route = ngx_http_agents_routes; route->pattern != NULL; route++) {
        if (ngx_http_agents_routes_match(route->pattern, path,
                                         r->valid_unparsed_uri, &id))
        {
            return route->pattern;
        }
    }

    return "other";
}


const char *
ngx_http_agents_routes_method_name(ngx_http_request_t *r)
{
    const ngx_http_agents_routes_method_t  *method;

    for (method = ngx_http_agents_routes_methods; method->name; method++) {
        if (r->method == method->method) {
            return method->name;
        }
    }

    return "other";
}


/*
 * Segment by segment: nginx's own path has slashes merged and dots resolved,
 * so that paths which are none of ours would be taken for some of ours.
 */

static ngx_uint_t
ngx_http_agents_routes_match(const char *pattern, ngx_str_t path,
    ngx_uint_t encoded, ngx_str_t *id)
{
    u_char      *p, *last, *slash;
    size_t       len;
    ngx_str_t    segment;
    const char  *next;

    p = path.data;
    last = path.data + path.len;

    id->len = 0;
    id->data = NULL;

    while (*pattern == '/') {

        if (p == last || *p != '/') {
            return 0;
        }

        pattern++;
        p++;

        next = strchr(pattern, '/');
        len = (next != NULL) ? (size_t) (next - pattern) : ngx_strlen(pattern);

        slash = ngx_strlchr(p, last, '/');

        segment.data = p;
        segment.len = (slash != NULL ? slash : last) - p;

        if (segment.len == 0) {
            return 0;
        }

        if (*pattern == '{') {
            *id = segment;

        } else if (!ngx_http_agents_routes_segment(pattern, len, &segment,
                                                   encoded))
        {
            return 0;
        }

        pattern += len;
        p += segment.len;
    }

    return p == last;
}


static ngx_uint_t
ngx_http_agents_routes_segment(const char *pattern, size_t len,
    ngx_str_t *segment, ngx_uint_t encoded)
{
    u_char  *src, *dst, decoded[32 * 3];

    if (segment->len == len) {
        return ngx_memcmp(segment->data, pattern, len) == 0;
    }

    /* names are up to 13 characters, each of which may come as %XX */

    if (!encoded || segment->len < len || segment->len > sizeof(decoded)) {
        return 0;
    }

    src = segment->data;
    dst = decoded;

    ngx_unescape_uri(&dst, &src, segment->len, 0);

    return (size_t) (dst - decoded) == len
           && ngx_memcmp(decoded, pattern, len) == 0;
}


/*
 * What is no UUID becomes the empty id, which no row has: it is looked up
 * like any other and not found like any other.
 */

static ngx_int_t
ngx_http_agents_routes_id(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx,
    ngx_str_t *segment)
{
    u_char  *src, *dst, *id;

    ngx_str_set(&ctx->id, "");

    if (segment->len < NGX_HTTP_AGENTS_UUID_LEN
        || segment->len > NGX_HTTP_AGENTS_UUID_LEN * 3)
    {
        return NGX_OK;
    }

    id = ngx_pnalloc(r->pool, segment->len + 1);
    if (id == NULL) {
        return NGX_ERROR;
    }

    src = segment->data;
    dst = id;

    ngx_unescape_uri(&dst, &src, segment->len, 0);
    *dst = '\0';

    if (!ngx_http_agents_ident_is_uuid((char *) id, dst - id)) {
        return NGX_OK;
    }

    ngx_strlow(id, id, dst - id);

    ctx->id.data = id;
    ctx->id.len = dst - id;

    return NGX_OK;
}


static void
ngx_http_agents_routes_allow(ngx_uint_t methods, char *allow)
{
    u_char                                 *p, *last;
    const ngx_http_agents_routes_method_t  *method;

    p = (u_char *) allow;
    last = p + NGX_HTTP_AGENTS_ROUTES_ALLOW_LEN - 1;

    for (method = ngx_http_agents_routes_methods; method->name; method++) {
        if (methods & method->method) {
            p = ngx_slprintf(p, last, "%s%s", p == (u_char *) allow ? "" : ", ",
                             method->name);
        }
    }

    *p = '\0';
}
