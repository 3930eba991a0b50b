
/*
 * A JSON Web Key Set (RFC 7517), and the verification of signatures by it.
 * What José verifies with is the public part of each key alone.  Which key may
 * check which algorithm is decided here: by its type, curve and length, and by
 * its "alg", "use" and "key_ops" where it has them.  No nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_JWKS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_JWKS_H_INCLUDED_


#include <stddef.h>


#define NGX_HTTP_AGENTS_JWKS_KEYS_MAX  64


/* Read only once it is made: threads may share one. */
typedef struct ngx_http_agents_jwks_s  ngx_http_agents_jwks_t;

/* The three parts of a JWS in compact form, base64url, NUL terminated. */
typedef struct {
    const char  *header;
    const char  *payload;
    const char  *signature;
} ngx_http_agents_jws_t;


/*
 * Keys that are for something else (encryption, signing only, other types,
 * curves or algorithms) are passed over.  NULL with the reason in "err", which
 * never holds any part of a key: if a key is malformed or too weak, and if
 * there is none to verify with.
 */
ngx_http_agents_jwks_t *ngx_http_agents_jwks_read(const char *text, size_t len,
    char *err, size_t size);
void ngx_http_agents_jwks_free(ngx_http_agents_jwks_t *jwks);

/*
 * By the keys that may check "alg" and are named "kid" (NULL: of any name).
 * 0, or -1 with a static sentence in *why; NULL without memory.
 */
int ngx_http_agents_jwks_verify(const ngx_http_agents_jwks_t *jwks,
    const char *alg, const char *kid, const ngx_http_agents_jws_t *jws,
    const char **why);


#endif /* _NGX_HTTP_AGENTS_JWKS_H_INCLUDED_ */
