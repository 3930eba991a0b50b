
/*
 * A request's body: read by nginx, then checked in a pool thread.
 */


#ifndef _NGX_HTTP_AGENTS_RECEIVE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_RECEIVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"


/*
 * Of the phase that admits: reads the body and checks it as ctx->route->body
 * says.  NGX_DONE: it waits, and the phases go on with ctx->body set; other:
 * to finalize the request with.
 */
ngx_int_t ngx_http_agents_receive_body(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


#endif /* _NGX_HTTP_AGENTS_RECEIVE_H_INCLUDED_ */
