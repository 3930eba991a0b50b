
/*
 * The headers of a background request, those that are secret among them.
 */


#include "ngx_http_agents_background_private.h"


static ngx_int_t ngx_http_agents_background_headers_add(ngx_http_request_t *r,
    const ngx_http_agents_background_header_t *headers, ngx_uint_t n,
    ngx_table_elt_t **added);


ngx_int_t
ngx_http_agents_background_headers(ngx_http_agents_background_t *bg,
    const ngx_http_agents_background_request_t *request)
{
    ngx_uint_t           n;
    ngx_http_request_t  *r;

    r = bg->request;
    n = request->nheaders + request->nmore + request->nsecrets;

    if (ngx_list_init(&r->headers_in.headers, r->pool, n + 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

#if (nginx_version < 1023000)

    if (ngx_array_init(&r->headers_in.cookies, r->pool, 1,
                       sizeof(ngx_table_elt_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

#endif

    bg->secrets = ngx_palloc(r->pool, (request->nsecrets + 1)
                                      * sizeof(ngx_table_elt_t *));
    if (bg->secrets == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_agents_background_headers_add(r, request->headers,
                                               request->nheaders, NULL)
        != NGX_OK
        || ngx_http_agents_background_headers_add(r, request->more,
                                                  request->nmore, NULL)
           != NGX_OK
        || ngx_http_agents_background_headers_add(r, request->secrets,
                                                  request->nsecrets,
                                                  bg->secrets)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    bg->nsecrets = request->nsecrets;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_background_headers_add(ngx_http_request_t *r,
    const ngx_http_agents_background_header_t *headers, ngx_uint_t n,
    ngx_table_elt_t **added)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    for (i = 0; i < n; i++) {

        h = ngx_list_push(&r->headers_in.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        if (ngx_http_agents_background_copy(r->pool, &h->key, &headers[i].name)
            != NGX_OK
            || ngx_http_agents_background_copy(r->pool, &h->value,
                                               &headers[i].value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        h->lowcase_key = ngx_pnalloc(r->pool, h->key.len);
        if (h->lowcase_key == NULL) {
            return NGX_ERROR;
        }

        h->hash = ngx_hash_strlow(h->lowcase_key, h->key.data, h->key.len);

        if (h->key.len == sizeof("content-type") - 1
            && ngx_strncmp(h->lowcase_key, "content-type", h->key.len) == 0)
        {
            r->headers_in.content_type = h;
        }

        if (added != NULL) {
            added[i] = h;
        }
    }

    return NGX_OK;
}


/* The proxy writes all headers that it sends into a log of level debug: from
 * here on nothing of that level is logged of the request. */

void
ngx_http_agents_background_headers_hide(ngx_http_agents_background_t *bg)
{
    if (bg->nsecrets != 0 && bg->log.log_level > NGX_LOG_INFO) {
        bg->log.log_level = NGX_LOG_INFO;
    }
}


/* $http_authorization, for one, could be in a log's format. */

void
ngx_http_agents_background_headers_wipe(ngx_http_agents_background_t *bg)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    for (i = 0; i < bg->nsecrets; i++) {
        h = bg->secrets[i];

        ngx_explicit_memzero(h->value.data, h->value.len);
        h->value.len = 0;
    }
}
