
/*
 * How a request says who asks: the header of an API key or token, or a
 * signature.  Made for each attempt, since both age.  Event loop, but for
 * what says otherwise.
 */


#ifndef _NGX_HTTP_AGENTS_AUTHORIZE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_AUTHORIZE_H_INCLUDED_


#include "ngx_http_agents_catalog.h"


#define NGX_HTTP_AGENTS_AUTHORIZE_LINES  3


/* Header lines, malloc'd; all zero: none. */
typedef struct {
    char       *lines[NGX_HTTP_AGENTS_AUTHORIZE_LINES];
    ngx_uint_t  n;
    ngx_str_t   secret;     /* the key or token, within a line; or empty */
} ngx_http_agents_authorize_t;


/* "url" is the whole one; keys that are fetched are there by now.  NGX_ERROR
 * without memory. */
ngx_int_t ngx_http_agents_authorize(ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider,
    const ngx_http_agents_model_request_t *request, const ngx_str_t *url);

/*
 * These were refused: NGX_OK if the next ones are others, NGX_DECLINED where
 * they are the operator's own.
 */
ngx_int_t ngx_http_agents_authorize_refused(
    ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider);

/* Takes the secret out of a text that quotes the provider. */
void ngx_http_agents_authorize_redact(
    const ngx_http_agents_authorize_t *authorize, ngx_http_agents_buf_t *text);

/* Likewise what the configuration has of secrets.  Any thread. */
void ngx_http_agents_authorize_redact_conf(
    const ngx_http_agents_provider_t *provider, ngx_http_agents_buf_t *text);

/* Overwrites and frees them. */
void ngx_http_agents_authorize_clear(ngx_http_agents_authorize_t *authorize);


#endif /* _NGX_HTTP_AGENTS_AUTHORIZE_H_INCLUDED_ */
