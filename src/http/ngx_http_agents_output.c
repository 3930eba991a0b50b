
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_output.h"


static void ngx_http_agents_output_cleanup(void *data);
static ngx_int_t ngx_http_agents_output_slice(ngx_http_request_t *r,
    ngx_http_agents_output_t *output);
static void ngx_http_agents_output_writer(ngx_http_request_t *r);


ngx_http_agents_output_t *
ngx_http_agents_output_create(ngx_http_request_t *r,
    ngx_http_agents_output_read_pt read, void *data)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_agents_ctx_t     *ctx;
    ngx_http_agents_output_t  *output;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_agents_output_t));
    if (cln == NULL) {
        return NULL;
    }

    output = cln->data;

    ngx_memzero(output, sizeof(ngx_http_agents_output_t));

    cln->handler = ngx_http_agents_output_cleanup;

    output->read = read;
    output->data = data;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->data = output;

    return output;
}


static void
ngx_http_agents_output_cleanup(void *data)
{
    ngx_http_agents_output_t *output = data;

    ngx_http_agents_buf_free(&output->buf);
}


ngx_int_t
ngx_http_agents_output_send(ngx_http_request_t *r,
    ngx_http_agents_output_t *output)
{
    ngx_int_t  rc;

    if (output->buf.failed) {
        return output->begun ? NGX_ERROR : NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    if (output->ended && !output->begun) {
        return ngx_http_agents_reply_json(r, NGX_HTTP_OK, &output->buf);
    }

    if (!output->begun) {
        output->begun = 1;

        output->b = ngx_calloc_buf(r->pool);
        if (output->b == NULL) {
            return NGX_HTTP_SERVICE_UNAVAILABLE;
        }

        rc = ngx_http_agents_reply_begin(r, "application/json");

        if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
            return rc;
        }
    }

    return ngx_http_agents_output_slice(r, output);
}


ngx_int_t
ngx_http_agents_output_fail(ngx_http_request_t *r,
    ngx_http_agents_output_t *output, ngx_http_agents_db_status_e status)
{
    if (!output->begun) {
        return ngx_http_agents_reply_store(r, status);
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "agents: an answer ends after %uz bytes, what follows could "
                  "not be read", output->sent);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_agents_output_slice(ngx_http_request_t *r,
    ngx_http_agents_output_t *output)
{
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    ngx_chain_t                out;
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    if (output->buf.len == 0 && !output->ended) {

        /* a slice that ended within its first record: nginx takes no buffer
         * that is empty */

        rc = output->read(r, output->data);

        return rc == NGX_DONE ? NGX_DONE : NGX_ERROR;
    }

    b = output->b;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->pos = (u_char *) output->buf.data;
    b->last = b->pos + output->buf.len;
    b->temporary = 1;
    b->flush = 1;
    b->last_buf = (output->ended && r == r->main) ? 1 : 0;
    b->last_in_chain = output->ended;

    output->sent += output->buf.len;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_output_filter(r, &out);

    if (rc == NGX_ERROR || output->ended) {
        return rc;
    }

    /* what is sent may be forgotten; what is not waits for the client */

    if (b->pos == b->last && !r->buffered && !r->connection->buffered) {
        ngx_http_agents_buf_reset(&output->buf);

        rc = output->read(r, output->data);

        return rc == NGX_DONE ? NGX_DONE : NGX_ERROR;
    }

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r == r->main && !r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_agents_output_writer;

    /* where the write is delayed, the timer is limit_rate's */

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_DONE;
}


static void
ngx_http_agents_output_writer(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_http_agents_ctx_t     *ctx;
    ngx_http_agents_output_t  *output;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    rc = ngx_http_output_filter(r, NULL);

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    output = ctx->data;

    if (output->b->pos != output->b->last
        || r->buffered || r->connection->buffered)
    {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    ngx_http_agents_buf_reset(&output->buf);

    rc = output->read(r, output->data);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}
