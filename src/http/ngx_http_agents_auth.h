
/*
 * Who asks, and what they may do: sets ctx->owner and ctx->permissions.  Each
 * way of authentication is one entry of a table, by the directive's word.
 *
 *     token       an opaque bearer token, SHA-256 of it in the store
 *     jwt         a signed one, see ..._auth_jwt.h
 *     variables   nginx's variables, for auth_request, mTLS or map
 *
 * A bearer token that was verified is known for 10 s, and not beyond its own
 * end, to the worker and in the locations that verify by the same; what was
 * refused is not kept.
 */


#ifndef _NGX_HTTP_AGENTS_AUTH_H_INCLUDED_
#define _NGX_HTTP_AGENTS_AUTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"


/* Who a verified token stands for; the texts end with a NUL. */
typedef struct {
    const char  *company;
    const char  *user;
    ngx_uint_t   permissions;
    int64_t      expires_at;    /* milliseconds since 1970; 0: never */
} ngx_http_agents_auth_identity_t;


/* The directive "agents_auth token | jwt ... | variables ...". */
char *ngx_http_agents_auth_directive(ngx_conf_t *cf,
    ngx_http_agents_loc_conf_t *alcf);

/* A worker's cache of verified tokens: of fixed size.  NULL without memory. */
ngx_http_agents_token_cache_t *ngx_http_agents_auth_cache_create(
    ngx_pool_t *pool);

/*
 * Of the phase that admits.  NGX_AGAIN: known, the state has moved on;
 * NGX_DONE: it waits; other: to finalize the request with.
 */
ngx_int_t ngx_http_agents_auth_authenticate(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);

/* 403 for a caller who lacks "permission". */
ngx_int_t ngx_http_agents_auth_forbid(ngx_http_request_t *r,
    ngx_uint_t permission);

/*
 * For the ways themselves, after a wait.  The token with this SHA-256 is good:
 * it is remembered, and the request's phases go on.
 */
ngx_int_t ngx_http_agents_auth_accept(ngx_http_request_t *r,
    const char *sha256, const ngx_http_agents_auth_identity_t *identity);

/* 401: a token was sent, and is not good (detail may be NULL). */
ngx_int_t ngx_http_agents_auth_invalid(ngx_http_request_t *r,
    const char *detail);

/* The time of this turn of the event loop, in milliseconds since 1970. */
int64_t ngx_http_agents_auth_now(void);


#endif /* _NGX_HTTP_AGENTS_AUTH_H_INCLUDED_ */
