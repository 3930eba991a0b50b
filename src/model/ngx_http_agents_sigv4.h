
/*
 * AWS Signature Version 4 of one request, by OpenSSL's HMAC: libcurl's own
 * signs paths with a ":" in them wrongly.  Pure: no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_SIGV4_H_INCLUDED_
#define _NGX_HTTP_AGENTS_SIGV4_H_INCLUDED_


#include <time.h>
#include "ngx_http_agents_buf.h"


/* NUL terminated throughout. */
typedef struct {
    const char  *access_key;
    const char  *secret_key;
    const char  *session_token;     /* NULL: none */
} ngx_http_agents_sigv4_key_t;


typedef struct {
    const char  *region;
    const char  *service;
    const char  *host;              /* as in the Host header */
    const char  *path;              /* as sent, percent-encoded, no query */
    const char  *content_type;
    const char  *body_sha256;       /* in hex */
    time_t       now;
} ngx_http_agents_sigv4_request_t;


/*
 * The header lines "X-Amz-Date: ...", "X-Amz-Security-Token: ..." (empty where
 * the key has none) and "Authorization: ..." of a POST.  0, or -1 without
 * memory: the buffers are to be freed in either case.
 */
int ngx_http_agents_sigv4_sign(const ngx_http_agents_sigv4_key_t *key,
    const ngx_http_agents_sigv4_request_t *request,
    ngx_http_agents_buf_t *date, ngx_http_agents_buf_t *token,
    ngx_http_agents_buf_t *authorization);


#endif /* _NGX_HTTP_AGENTS_SIGV4_H_INCLUDED_ */
