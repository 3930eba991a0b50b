
/*
 * If-Match and If-None-Match, by the tag of the answer's own bytes.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_etag.h"
#include "ngx_http_agents_reply.h"


static ngx_uint_t ngx_http_agents_reply_etag_in(const ngx_table_elt_t *h,
    const char *etag, ngx_uint_t weak);
static ngx_int_t ngx_http_agents_reply_etag_unmodified(ngx_http_request_t *r);


ngx_int_t
ngx_http_agents_reply_json_etag(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf)
{
    return ngx_http_agents_reply_text_etag(r, "application/json", buf);
}


ngx_int_t
ngx_http_agents_reply_text_etag(ngx_http_request_t *r, const char *type,
    ngx_http_agents_buf_t *buf)
{
    char              etag[NGX_HTTP_AGENTS_ETAG_LEN + 1];
    ngx_uint_t        reads;
    ngx_table_elt_t  *h, *match, *none_match;

    if (buf->failed || ngx_http_agents_etag_make(etag, buf->data, buf->len)
                       != 0)
    {
        ngx_http_agents_buf_free(buf);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    /* a write's own conditions were judged before it was made */

    reads = (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) != 0;

    match = reads ? r->headers_in.if_match : NULL;
    none_match = reads ? r->headers_in.if_none_match : NULL;

    if (match != NULL && !ngx_http_agents_reply_etag_in(match, etag, 0)) {
        ngx_http_agents_buf_free(buf);
        return ngx_http_agents_reply_status(r, NGX_HTTP_PRECONDITION_FAILED,
                                            NULL);
    }

    h = ngx_http_agents_reply_add(r, "ETag", etag, ngx_strlen(etag));
    if (h == NULL) {
        ngx_http_agents_buf_free(buf);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    /* where nginx's own filters look for it: gzip makes it a weak one */

    r->headers_out.etag = h;

    if (none_match != NULL
        && ngx_http_agents_reply_etag_in(none_match, etag, 1))
    {
        ngx_http_agents_buf_free(buf);
        return ngx_http_agents_reply_etag_unmodified(r);
    }

    return ngx_http_agents_reply_text(r, type, buf);
}


ngx_uint_t
ngx_http_agents_reply_known(ngx_http_request_t *r,
    const ngx_http_agents_buf_t *buf)
{
    char  etag[NGX_HTTP_AGENTS_ETAG_LEN + 1];

    return r->headers_in.if_none_match != NULL && !buf->failed
           && ngx_http_agents_etag_make(etag, buf->data, buf->len) == 0
           && ngx_http_agents_reply_etag_in(r->headers_in.if_none_match, etag,
                                            1);
}


ngx_uint_t
ngx_http_agents_reply_expected(ngx_http_request_t *r,
    const ngx_http_agents_buf_t *buf)
{
    char  etag[NGX_HTTP_AGENTS_ETAG_LEN + 1];

    return r->headers_in.if_match == NULL
           || (!buf->failed
               && ngx_http_agents_etag_make(etag, buf->data, buf->len) == 0
               && ngx_http_agents_reply_etag_in(r->headers_in.if_match, etag,
                                                0));
}


static ngx_uint_t
ngx_http_agents_reply_etag_in(const ngx_table_elt_t *h, const char *etag,
    ngx_uint_t weak)
{
    return ngx_http_agents_etag_match((char *) h->value.data, h->value.len,
                                      etag, weak);
}


static ngx_int_t
ngx_http_agents_reply_etag_unmodified(ngx_http_request_t *r)
{
    ngx_http_agents_ctx_t  *ctx;

    if (ngx_http_agents_reply_private(r) != NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->ours = 1;

    r->headers_out.status = NGX_HTTP_NOT_MODIFIED;
    r->header_only = 1;

    return ngx_http_send_header(r);
}
