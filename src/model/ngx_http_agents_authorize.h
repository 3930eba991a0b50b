
/*
 * How a request says who asks: the header of an API key, or a signature.
 * Made for each attempt, since signatures age.  Event loop.
 */


#ifndef _NGX_HTTP_AGENTS_AUTHORIZE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_AUTHORIZE_H_INCLUDED_


#include "ngx_http_agents_catalog.h"


#define NGX_HTTP_AGENTS_AUTHORIZE_LINES  3


/* Header lines, malloc'd; all zero: none. */
typedef struct {
    char       *lines[NGX_HTTP_AGENTS_AUTHORIZE_LINES];
    ngx_uint_t  n;
} ngx_http_agents_authorize_t;


/* "url" is the whole one.  NGX_ERROR without memory. */
ngx_int_t ngx_http_agents_authorize(ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider,
    const ngx_http_agents_model_request_t *request, const ngx_str_t *url);

/* Overwrites and frees them. */
void ngx_http_agents_authorize_clear(ngx_http_agents_authorize_t *authorize);


#endif /* _NGX_HTTP_AGENTS_AUTHORIZE_H_INCLUDED_ */
