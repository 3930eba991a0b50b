
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_events_send.h"


/* What a buffer may keep for the next events, in bytes. */
#define NGX_HTTP_AGENTS_EVENTS_SEND_KEEP  16384


static void ngx_http_agents_events_send_cleanup(void *data);
static ngx_int_t ngx_http_agents_events_send_next(ngx_http_request_t *r,
    ngx_http_agents_events_send_t *send);
static ngx_int_t ngx_http_agents_events_send_wait(ngx_http_request_t *r,
    ngx_http_agents_events_send_t *send);


ngx_int_t
ngx_http_agents_events_send_init(ngx_http_request_t *r,
    ngx_http_agents_events_send_t *send)
{
    ngx_pool_cleanup_t  *cln;

    send->b = ngx_calloc_buf(r->pool);
    if (send->b == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_agents_events_send_cleanup;
    cln->data = send;

    return NGX_OK;
}


static void
ngx_http_agents_events_send_cleanup(void *data)
{
    ngx_http_agents_events_send_t *send = data;

    ngx_http_agents_buf_free(&send->out);
    ngx_http_agents_buf_free(&send->flying);
}


size_t
ngx_http_agents_events_behind(const ngx_http_agents_events_send_t *send)
{
    return send->out.len + (send->b->last - send->b->pos);
}


ngx_int_t
ngx_http_agents_events_send(ngx_http_request_t *r,
    ngx_http_agents_events_send_t *send)
{
    if (send->closed) {
        return NGX_OK;
    }

    if (send->blocked) {
        return NGX_AGAIN;
    }

    for ( ;; ) {

        if (send->b->pos != send->b->last || r->buffered
            || r->connection->buffered)
        {
            if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (send->b->pos != send->b->last || r->buffered
                || r->connection->buffered)
            {
                return ngx_http_agents_events_send_wait(r, send);
            }
        }

        /* where the write is delayed, the timer is limit_rate's */

        if (r->connection->write->timer_set && !r->connection->write->delayed)
        {
            ngx_del_timer(r->connection->write);
        }

        if (send->out.len == 0 && !send->last) {
            return send->out.failed ? NGX_ERROR : NGX_OK;
        }

        if (ngx_http_agents_events_send_next(r, send) == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (send->closed) {
            return NGX_OK;
        }
    }
}


/* What was on its way has arrived. */

static ngx_int_t
ngx_http_agents_events_send_next(ngx_http_request_t *r,
    ngx_http_agents_events_send_t *send)
{
    ngx_buf_t              *b;
    ngx_chain_t             out;
    ngx_http_agents_buf_t   taken;

    if (send->out.failed) {
        return NGX_ERROR;
    }

    taken = send->flying;
    send->flying = send->out;
    send->out = taken;

    if (send->out.size > NGX_HTTP_AGENTS_EVENTS_SEND_KEEP) {
        ngx_http_agents_buf_free(&send->out);

    } else {
        ngx_http_agents_buf_reset(&send->out);
    }

    b = send->b;

    ngx_memzero(b, sizeof(ngx_buf_t));

    if (send->flying.len != 0) {
        b->pos = (u_char *) send->flying.data;
        b->last = b->pos + send->flying.len;
        b->temporary = 1;
    }

    b->flush = 1;
    b->last_buf = (send->last && r == r->main) ? 1 : 0;
    b->last_in_chain = send->last;

    send->closed = send->last;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* A client that takes nothing for send_timeout has gone: what is written for it
 * meanwhile gives it no more time. */

static ngx_int_t
ngx_http_agents_events_send_wait(ngx_http_request_t *r,
    ngx_http_agents_events_send_t *send)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed
        && (!wev->timer_set || send->sent != r->connection->sent))
    {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    send->sent = r->connection->sent;
    send->blocked = 1;

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}
