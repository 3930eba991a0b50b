
/*
 * Who asks, and what they may do: sets ctx->owner and ctx->permissions.  Each
 * way of authentication is one function of a table, by the directive's word.
 *
 *     token       an opaque bearer token, SHA-256 of it in the store; what was
 *                 verified is kept for 10 s at most, what was refused is not
 *     variables   nginx's variables, for auth_request, mTLS or map
 */


#ifndef _NGX_HTTP_AGENTS_AUTH_H_INCLUDED_
#define _NGX_HTTP_AGENTS_AUTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"


/* The directive "agents_auth token | variables $company $user $permissions". */
char *ngx_http_agents_auth_directive(ngx_conf_t *cf,
    ngx_http_agents_loc_conf_t *alcf);

/* A worker's cache of verified tokens: of fixed size.  NULL without memory. */
ngx_http_agents_token_cache_t *ngx_http_agents_auth_cache_create(
    ngx_pool_t *pool);

/*
 * Of the phase that admits.  NGX_AGAIN: known, the state has moved on;
 * NGX_DONE: it waits for the store; other: to finalize the request with.
 */
ngx_int_t ngx_http_agents_auth_authenticate(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);

/* 403 for a caller who lacks "permission". */
ngx_int_t ngx_http_agents_auth_forbid(ngx_http_request_t *r,
    ngx_uint_t permission);


#endif /* _NGX_HTTP_AGENTS_AUTH_H_INCLUDED_ */
