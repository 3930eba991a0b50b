
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_access.h"
#include "ngx_http_agents_auth.h"
#include "ngx_http_agents_http.h"
#include "ngx_http_agents_receive.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_routes.h"
#include "ngx_http_agents_wait.h"


static ngx_int_t ngx_http_agents_access_admit(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
static ngx_int_t ngx_http_agents_access_turn(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
static ngx_int_t ngx_http_agents_access_route(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
static ngx_int_t ngx_http_agents_access_permit(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
static ngx_int_t ngx_http_agents_access_receive(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


ngx_int_t
ngx_http_agents_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    if (!alcf->api) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx == NULL) {
        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_agents_ctx_t));
        if (ctx == NULL) {
            return NGX_ERROR;
        }

        ngx_http_set_ctx(r, ctx, ngx_http_agents_module);
    }

    rc = ngx_http_agents_access_admit(r, ctx);

    if (rc == NGX_DECLINED || rc == NGX_DONE) {
        return rc;
    }

    /* it was answered here: the phases end without a content phase */

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


/* NGX_DECLINED: admitted; NGX_DONE: it waits; other: to finalize with. */

static ngx_int_t
ngx_http_agents_access_admit(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_int_t  rc;

    for ( ;; ) {

        switch (ctx->state) {

        case NGX_HTTP_AGENTS_ACCESS_TURN:
            rc = ngx_http_agents_access_turn(r, ctx);
            break;

        case NGX_HTTP_AGENTS_ACCESS_ROUTE:
            rc = ngx_http_agents_access_route(r, ctx);
            break;

        case NGX_HTTP_AGENTS_ACCESS_AUTHENTICATE:
            rc = ngx_http_agents_auth_authenticate(r, ctx);
            break;

        case NGX_HTTP_AGENTS_ACCESS_PERMIT:
            rc = ngx_http_agents_access_permit(r, ctx);
            break;

        case NGX_HTTP_AGENTS_ACCESS_RECEIVE:
            rc = ngx_http_agents_access_receive(r, ctx);
            break;

        case NGX_HTTP_AGENTS_ACCESS_WAITING:
            return NGX_DONE;

        default: /* NGX_HTTP_AGENTS_ACCESS_ADMITTED */
            return NGX_DECLINED;
        }

        if (rc != NGX_AGAIN) {
            return rc;
        }
    }
}


/* Requests that come in by the hundred are not all for the same turn. */

static ngx_int_t
ngx_http_agents_access_turn(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->state = NGX_HTTP_AGENTS_ACCESS_ROUTE;

    rc = ngx_http_agents_wait_turn(r);

    if (rc == NGX_DECLINED) {
        return NGX_AGAIN;
    }

    return (rc == NGX_DONE) ? NGX_DONE : NGX_HTTP_SERVICE_UNAVAILABLE;
}


static ngx_int_t
ngx_http_agents_access_route(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    char                              allow[NGX_HTTP_AGENTS_ROUTES_ALLOW_LEN];
    ngx_int_t                         rc;
    ngx_http_agents_reply_refusal_t   refusal;

    rc = ngx_http_agents_routes_find(r, ctx, allow);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_agents_reply_status(r, NGX_HTTP_NOT_FOUND,
                                            "Nothing is served at this path.");
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_agents_reply_options(r, allow);
    }

    if (rc == NGX_ABORT) {
        ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

        refusal.status = NGX_HTTP_NOT_ALLOWED;
        refusal.allow = allow;

        return ngx_http_agents_reply_refuse(r, &refusal);
    }

    if (ctx->route->permission == NGX_HTTP_AGENTS_PERMISSION_NONE) {
        ctx->state = NGX_HTTP_AGENTS_ACCESS_RECEIVE;
        return NGX_AGAIN;
    }

    if (ngx_http_agents_wait_full(r)) {
        return ngx_http_agents_reply_overloaded(r, "More requests are under "
                                                "way than this server takes.");
    }

    ctx->state = NGX_HTTP_AGENTS_ACCESS_AUTHENTICATE;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_agents_access_permit(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    if ((ctx->permissions & ctx->route->permission)
        != ctx->route->permission)
    {
        return ngx_http_agents_auth_forbid(r, ctx->route->permission);
    }

    ctx->state = NGX_HTTP_AGENTS_ACCESS_RECEIVE;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_agents_access_receive(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->route->body != NULL) {
        return ngx_http_agents_receive_body(r, ctx);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx->state = NGX_HTTP_AGENTS_ACCESS_ADMITTED;

    return NGX_AGAIN;
}
