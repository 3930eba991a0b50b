
/*
 * "agents_auth jwt": bearer tokens that an issuer has signed.  The keys are
 * read with the configuration; a pool thread verifies, since a signature takes
 * up to a millisecond and anyone may send one.
 */


#ifndef _NGX_HTTP_AGENTS_AUTH_JWT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_AUTH_JWT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"


/* The directive's parameters and keys.  NULL: an error was logged. */
ngx_http_agents_jwt_rules_t *ngx_http_agents_auth_jwt_directive(
    ngx_conf_t *cf);

/* NGX_DONE: it waits, then auth_accept or a 401; other: to finalize with. */
ngx_int_t ngx_http_agents_auth_jwt_verify(ngx_http_request_t *r,
    const ngx_str_t *token, const char *sha256);


#endif /* _NGX_HTTP_AGENTS_AUTH_JWT_H_INCLUDED_ */
