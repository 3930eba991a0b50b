
/*
 * How a background request ends: by itself, out of time, or cancelled; what
 * that means, and who frees it.
 */


#include "ngx_http_agents_background_private.h"


/* When to look again for a request that a thread of nginx's own still uses. */
#define NGX_HTTP_AGENTS_BACKGROUND_BLOCKED  10


static void ngx_http_agents_background_judge(ngx_http_agents_background_t *bg,
    ngx_http_request_t *sr, ngx_int_t rc);
static ngx_uint_t ngx_http_agents_background_sent(ngx_http_request_t *sr);
static ngx_uint_t ngx_http_agents_background_busy(ngx_http_request_t *sr,
    ngx_int_t rc);
static void ngx_http_agents_background_log(ngx_http_agents_background_t *bg,
    ngx_uint_t status);
static void ngx_http_agents_background_end(ngx_http_agents_background_t *bg);


/*
 * The subrequest's end.  NGX_OK whatever happened: of anything else core
 * would make a response of its own, or terminate the request that is reaped
 * here.
 */

ngx_int_t
ngx_http_agents_background_finished(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_agents_background_t  *bg = data;

    sr->connection->error = 0;
    sr->buffered = 0;

    ngx_http_agents_background_headers_wipe(bg);

    if (bg->over) {
        return NGX_OK;
    }

    /* for the access log, where log_subrequest is on */

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE && sr->headers_out.status == 0) {
        sr->err_status = rc;
    }

    ngx_http_agents_background_judge(bg, sr, rc);
    ngx_http_agents_background_end(bg);

    return NGX_OK;
}


static void
ngx_http_agents_background_judge(ngx_http_agents_background_t *bg,
    ngx_http_request_t *sr, ngx_int_t rc)
{
    ngx_http_upstream_t                  *u;
    ngx_http_agents_background_answer_t  *answer;

    u = sr->upstream;
    answer = &bg->answer;

    if (answer->status != NGX_HTTP_AGENTS_BACKGROUND_OK) {
        return;     /* it was said already */
    }

    if (bg->failed) {
        answer->status = NGX_HTTP_AGENTS_BACKGROUND_FAILED;
        return;
    }

    if (u == NULL) {

        /* limit_req and limit_conn of the location say no, or there was no
         * memory to get as far as to them */

        answer->status = (rc == NGX_HTTP_SERVICE_UNAVAILABLE
                          || rc == NGX_HTTP_TOO_MANY_REQUESTS
                          || rc == NGX_HTTP_INTERNAL_SERVER_ERROR
                          || rc == NGX_ERROR)
                         ? NGX_HTTP_AGENTS_BACKGROUND_BUSY
                         : NGX_HTTP_AGENTS_BACKGROUND_FAILED;
        return;
    }

    if (bg->complete) {
        return;
    }

    if (bg->head) {
        answer->status = NGX_HTTP_AGENTS_BACKGROUND_BROKEN;
        return;
    }

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE
        && u->headers_in.status_n == (ngx_uint_t) rc)
    {
        /* the location has an error page for this status */
        answer->http_status = rc;
        return;
    }

    if (u->headers_in.x_accel_redirect != NULL) {
        /* which is not obeyed; core does not read what comes with it */
        answer->http_status = u->headers_in.status_n;
        return;
    }

    if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        answer->status = NGX_HTTP_AGENTS_BACKGROUND_TIMEOUT;
        return;
    }

    if (ngx_http_agents_background_sent(sr)) {

        /* what a server does wrong is a 502 */

        answer->status = (rc == NGX_HTTP_INTERNAL_SERVER_ERROR)
                         ? NGX_HTTP_AGENTS_BACKGROUND_NO_MEMORY
                         : NGX_HTTP_AGENTS_BACKGROUND_BROKEN;
        return;
    }

    if (ngx_http_agents_background_busy(sr, rc)) {
        answer->status = NGX_HTTP_AGENTS_BACKGROUND_BUSY;
        return;
    }

    answer->status = (rc == NGX_HTTP_BAD_GATEWAY
                      || rc == NGX_HTTP_SERVICE_UNAVAILABLE)
                     ? NGX_HTTP_AGENTS_BACKGROUND_REFUSED
                     : NGX_HTTP_AGENTS_BACKGROUND_FAILED;
}


/* Whether any server may have had the request, or a part of it. */

static ngx_uint_t
ngx_http_agents_background_sent(ngx_http_request_t *sr)
{
    ngx_uint_t                  i;
    ngx_http_upstream_state_t  *state;

    if (sr->upstream->request_sent) {
        return 1;
    }

    if (sr->upstream_states == NULL) {
        return 0;
    }

    /* proxy_next_upstream may have gone on to another server */

    state = sr->upstream_states->elts;

    for (i = 0; i < sr->upstream_states->nelts; i++) {
        if (state[i].bytes_sent != 0) {
            return 1;
        }
    }

    return 0;
}


/*
 * Whether it is not a server's fault that nothing was sent: there was no
 * descriptor, connection or memory for it, or none of the upstream's servers
 * may be asked now, by max_conns or since they all failed (the state names the
 * upstream itself).
 */

static ngx_uint_t
ngx_http_agents_background_busy(ngx_http_request_t *sr, ngx_int_t rc)
{
    ngx_str_t            *peer;
    ngx_http_upstream_t  *u;

    u = sr->upstream;

    if (rc == NGX_HTTP_INTERNAL_SERVER_ERROR || rc == NGX_ERROR) {
        return 1;
    }

    if (u->state == NULL) {
        return 0;
    }

    peer = u->state->peer;

    return (rc == NGX_HTTP_BAD_GATEWAY
            && peer != NULL && u->upstream != NULL
            && peer->len == u->upstream->host.len
            && ngx_strncmp(peer->data, u->upstream->host.data, peer->len)
               == 0);
}


void
ngx_http_agents_background_timer_handler(ngx_event_t *ev)
{
    ngx_http_agents_background_t  *bg = ev->data;

    bg->answer.status = NGX_HTTP_AGENTS_BACKGROUND_TIMEOUT;
    ngx_http_agents_background_abort(bg, NGX_HTTP_GATEWAY_TIME_OUT);
}


/*
 * Stops the exchange where it stands: the cleanup handlers close the
 * connection to the upstream.  They may finalize the subrequest, whose count
 * must not bring down the main request here.
 */

void
ngx_http_agents_background_abort(ngx_http_agents_background_t *bg,
    ngx_uint_t status)
{
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    bg->over = 1;

    r = bg->request;
    r->count++;

    cln = r->cleanup;
    r->cleanup = NULL;

    while (cln != NULL) {

        if (cln->handler) {
            cln->handler(cln->data);
        }

        cln = cln->next;
    }

    ngx_http_agents_background_log(bg, status);
    ngx_http_agents_background_end(bg);
}


/*
 * The access log's line, which core writes of a subrequest that ends by itself
 * alone.  "status" stands there unless the server has said one.
 */

static void
ngx_http_agents_background_log(ngx_http_agents_background_t *bg,
    ngx_uint_t status)
{
    ngx_uint_t                  i;
    ngx_http_request_t         *sr;
    ngx_http_handler_pt        *handler;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_main_conf_t  *cmcf;

    sr = bg->subrequest;

    ngx_http_agents_background_headers_wipe(bg);

    clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

    if (sr->logged || !clcf->log_subrequest) {
        return;
    }

    if (sr->headers_out.status == 0) {
        sr->err_status = status;
    }

    cmcf = ngx_http_get_module_main_conf(sr, ngx_http_core_module);
    handler = cmcf->phases[NGX_HTTP_LOG_PHASE].handlers.elts;

    for (i = 0; i < cmcf->phases[NGX_HTTP_LOG_PHASE].handlers.nelts; i++) {
        handler[i](sr);
    }

    sr->logged = 1;
}


static void
ngx_http_agents_background_end(ngx_http_agents_background_t *bg)
{
    bg->over = 1;

    bg->request->posted_requests = NULL;
    bg->request->read_event_handler = ngx_http_block_reading;
    bg->request->write_event_handler = ngx_http_request_empty_handler;
    bg->subrequest->read_event_handler = ngx_http_block_reading;
    bg->subrequest->write_event_handler = ngx_http_request_empty_handler;

    if (bg->timer.timer_set) {
        ngx_del_timer(&bg->timer);
    }

    ngx_http_agents_turn_post(bg->turn, &bg->reap);
}


void
ngx_http_agents_background_reap_handler(ngx_event_t *ev)
{
    ngx_http_agents_background_t  *bg = ev->data;

    if (bg->request->blocked) {
        ngx_add_timer(ev, NGX_HTTP_AGENTS_BACKGROUND_BLOCKED);
        return;
    }

    if (!bg->cancelled) {
        if (bg->answer.status != NGX_HTTP_AGENTS_BACKGROUND_OK) {
            ngx_free(bg->answer.body);
            bg->answer.body = NULL;
            bg->answer.body_len = 0;
        }

        bg->done(bg->data, &bg->answer);
        bg->answer.body = NULL;
    }

    ngx_http_agents_background_free(bg);
}


void
ngx_http_agents_background_free(ngx_http_agents_background_t *bg)
{
    ngx_connection_t  *c;

    c = bg->connection;

    if (bg->request != NULL) {
        c->timedout = 0;
        ngx_http_free_request(bg->request, 0);
    }

    if (c != NULL) {

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        if (c->write->timer_set) {
            ngx_del_timer(c->write);
        }

        if (c->read->posted) {
            ngx_delete_posted_event(c->read);
        }

        if (c->write->posted) {
            ngx_delete_posted_event(c->write);
        }

        c->pool = NULL;
        c->destroyed = 1;

        /* an index, where the event method has an array of descriptors */

        c->fd = 0;
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
    }

    if (bg->answer.body != NULL) {
        ngx_free(bg->answer.body);
    }

    ngx_destroy_pool(bg->pool);
}
