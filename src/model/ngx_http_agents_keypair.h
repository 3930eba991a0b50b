
/*
 * The JSON Web Token by which a user of Snowflake proves to have a private
 * key: RS256, good for less than an hour, made when one is asked for and kept
 * until it is about to end.  Pure: no nginx; one thread at a time.
 */


#ifndef _NGX_HTTP_AGENTS_KEYPAIR_H_INCLUDED_
#define _NGX_HTTP_AGENTS_KEYPAIR_H_INCLUDED_


#include <stddef.h>
#include <time.h>


typedef struct ngx_http_agents_keypair_s  ngx_http_agents_keypair_t;


/*
 * Of an RSA key in PEM (PKCS#8, not encrypted); account and user in any case,
 * the account without its region.  NULL with what is wrong in *why, which
 * never quotes the key.
 */
ngx_http_agents_keypair_t *ngx_http_agents_keypair_create(const char *pem,
    size_t len, const char *account, const char *user, const char **why);
void ngx_http_agents_keypair_free(ngx_http_agents_keypair_t *keypair);

/* The keypair's, until the next call.  NULL: it could not be made. */
const char *ngx_http_agents_keypair_token(ngx_http_agents_keypair_t *keypair,
    time_t now);

/* This token was refused: the next one is a new one.  Of one that has been
 * replaced by then nothing changes. */
void ngx_http_agents_keypair_refused(ngx_http_agents_keypair_t *keypair,
    const char *token, size_t len);


#endif /* _NGX_HTTP_AGENTS_KEYPAIR_H_INCLUDED_ */
