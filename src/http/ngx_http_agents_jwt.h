
/*
 * Bearer tokens that are JSON Web Tokens (RFC 7519), signed, in compact form.
 * No nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_JWT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_JWT_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include "ngx_http_agents_jwks.h"


#define NGX_HTTP_AGENTS_JWT_MAX     16384       /* bytes of a token */
#define NGX_HTTP_AGENTS_JWT_LEEWAY  30000       /* milliseconds */


/* What a token is held to; the texts end with a NUL. */
typedef struct {
    const ngx_http_agents_jwks_t  *jwks;
    const char                    *issuer;
    const char                    *audience;
    /* the names of claims */
    const char                    *company;
    const char                    *user;
    const char                    *permissions;
} ngx_http_agents_jwt_rules_t;


/* Who a token stands for. */
typedef struct {
    char                          *company;     /* malloc'd, UTF-8 without a */
    char                          *user;        /* NUL inside, not empty */
    unsigned                       permissions; /* ..._permissions.h */
    int64_t                        expires_at;  /* milliseconds since 1970 */
} ngx_http_agents_jwt_t;


/*
 * Verifies a token at "now" (milliseconds since 1970).  0 with *jwt filled, to
 * be freed; or -1 with a static sentence in *why, NULL without memory.
 */
int ngx_http_agents_jwt_verify(const ngx_http_agents_jwt_rules_t *rules,
    const char *token, size_t len, int64_t now, ngx_http_agents_jwt_t *jwt,
    const char **why);

/* The second half of it: what the signature vouches for, as JSON. */
int ngx_http_agents_jwt_claims(const ngx_http_agents_jwt_rules_t *rules,
    const char *text, size_t len, int64_t now, ngx_http_agents_jwt_t *jwt,
    const char **why);

void ngx_http_agents_jwt_free(ngx_http_agents_jwt_t *jwt);


#endif /* _NGX_HTTP_AGENTS_JWT_H_INCLUDED_ */
