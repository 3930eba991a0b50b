
/*
 * The table of endpoints: absolute paths, matched exactly as they were sent.
 */


#ifndef _NGX_HTTP_AGENTS_ROUTES_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ROUTES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"


/* Room for an Allow header of any path. */
#define NGX_HTTP_AGENTS_ROUTES_ALLOW_LEN  64


/*
 * Finds the route of a request's path and method, and sets ctx->route and
 * ctx->id.  NGX_OK; NGX_DECLINED: no such path; NGX_ABORT: the path has no
 * such method.  "allow" gets the methods of the path, NUL terminated.
 */
ngx_int_t ngx_http_agents_routes_find(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, char allow[NGX_HTTP_AGENTS_ROUTES_ALLOW_LEN]);

/* The content handler of an agents_api location: calls the route's. */
ngx_int_t ngx_http_agents_routes_handler(ngx_http_request_t *r);

/* For metrics and logs, of any request: the pattern that its path is of, or
 * "other"; its method, or "other". */
const char *ngx_http_agents_routes_pattern(ngx_http_request_t *r);
const char *ngx_http_agents_routes_method_name(ngx_http_request_t *r);


#endif /* _NGX_HTTP_AGENTS_ROUTES_H_INCLUDED_ */
