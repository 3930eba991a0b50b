
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_filter.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_routes.h"


static ngx_int_t ngx_http_agents_filter_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_filter_replace(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
static void ngx_http_agents_filter_forget(ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_filter_allow(ngx_http_request_t *r);
static void ngx_http_agents_filter_cleanup(void *data);
static ngx_int_t ngx_http_agents_filter_body(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_agents_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_agents_filter_header;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_agents_filter_body;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_filter_header(ngx_http_request_t *r)
{
    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    if ((!alcf->api && !alcf->pages)
        || r != r->main
        || r->headers_out.status < NGX_HTTP_BAD_REQUEST)
    {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    /* an error may come before the phase that makes the ctx */

    if (ctx == NULL) {
        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_agents_ctx_t));
        if (ctx == NULL) {
            return NGX_ERROR;
        }

        ngx_http_set_ctx(r, ctx, ngx_http_agents_module);
    }

    if (!ctx->ours && !ctx->replaced
        && ngx_http_agents_filter_replace(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_agents_filter_replace(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    size_t                            len;
    ngx_uint_t                        status;
    ngx_pool_cleanup_t               *cln;
    ngx_http_agents_buf_t             buf;
    ngx_http_agents_reply_refusal_t   refusal;
    const ngx_http_agents_problem_t  *entry;

    status = r->headers_out.status;

    ngx_http_agents_filter_forget(r);

    if (status == NGX_HTTP_NOT_ALLOWED
        && ngx_http_agents_filter_allow(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* no memory, for one */

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE
        && ngx_http_agents_reply_header(r, "Retry-After", "1", 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    entry = ngx_http_agents_problem_status(status);

    ngx_http_agents_reply_note(r, entry, status, NULL, 0);

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_reply_problem(r, &buf, &refusal, entry, status);

    ctx->problem.data = (u_char *) ngx_http_agents_buf_take(&buf, &len);

    if (ctx->problem.data == NULL) {
        ngx_http_agents_buf_free(&buf);
        return NGX_ERROR;
    }

    ctx->problem.len = len;
    ctx->replaced = 1;

    cln->handler = ngx_http_agents_filter_cleanup;
    cln->data = ctx->problem.data;

    ngx_str_set(&r->headers_out.content_type, "application/problem+json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    r->headers_out.content_length_n = len;

    return NGX_OK;
}


/* What an answer said for which there was no memory in the end. */

static void
ngx_http_agents_filter_forget(ngx_http_request_t *r)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static const char *const  names[] = {
        "Location", "Retry-After", "Idempotency-Replayed"
    };

    for (part = &r->headers_out.headers.part; part != NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            for (n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
                if (h[i].key.len == ngx_strlen(names[n])
                    && ngx_memcmp(h[i].key.data, names[n], h[i].key.len) == 0)
                {
                    h[i].hash = 0;
                }
            }
        }
    }
}


static ngx_int_t
ngx_http_agents_filter_allow(ngx_http_request_t *r)
{
    char                    allow[NGX_HTTP_AGENTS_ROUTES_ALLOW_LEN];
    ngx_int_t               rc;
    ngx_http_agents_ctx_t   found;

    ngx_memzero(&found, sizeof(ngx_http_agents_ctx_t));

    rc = ngx_http_agents_routes_find(r, &found, allow);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    return ngx_http_agents_reply_header(r, "Allow", allow, ngx_strlen(allow));
}


static void
ngx_http_agents_filter_cleanup(void *data)
{
    ngx_free(data);
}


static ngx_int_t
ngx_http_agents_filter_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t              *b;
    ngx_chain_t             out, *cl;
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx == NULL || !ctx->replaced || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    /* what nginx would have sent counts as sent */

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->replaced_sent) {
        return NGX_OK;
    }

    ctx->replaced_sent = 1;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = ctx->problem.data;
    b->last = ctx->problem.data + ctx->problem.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}
