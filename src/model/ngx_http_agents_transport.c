
#include "ngx_http_agents_transfer.h"
#include <openssl/err.h>
#include "ngx_http_agents_fd.h"


static ngx_int_t ngx_http_agents_transport_open(ngx_http_agents_transport_t *t);
static void ngx_http_agents_transport_close(ngx_http_agents_transport_t *t);
static int ngx_http_agents_transport_timer_callback(CURLM *multi, long timeout,
    void *data);
static int ngx_http_agents_transport_socket_callback(CURL *easy,
    curl_socket_t s, int what, void *data, void *socket);
static void ngx_http_agents_transport_socket_free(ngx_connection_t *c);
static void ngx_http_agents_transport_lose(CURL *easy);
static void ngx_http_agents_transport_io_handler(ngx_event_t *ev);
static void ngx_http_agents_transport_timer_handler(ngx_event_t *ev);
static void ngx_http_agents_transport_action(ngx_http_agents_transport_t *t,
    curl_socket_t s, int flags);
static void ngx_http_agents_transport_lose_all(ngx_http_agents_transport_t *t);
static void ngx_http_agents_transport_post(ngx_http_agents_transport_t *t);
static void ngx_http_agents_transport_event_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_agents_transport_collect(
    ngx_http_agents_transport_t *t);
static void ngx_http_agents_transport_collect_lost(
    ngx_http_agents_transport_t *t);
static ngx_uint_t ngx_http_agents_transport_may_admit(
    ngx_http_agents_transport_t *t);
static void ngx_http_agents_transport_wait_handler(ngx_event_t *ev);
static void ngx_http_agents_transport_start(
    ngx_http_agents_transfer_t *transfer);
static void ngx_http_agents_transport_leave(
    ngx_http_agents_transfer_t *transfer);
static void ngx_http_agents_transport_end(ngx_http_agents_transfer_t *transfer,
    ngx_http_agents_transport_status_e status);
static void ngx_http_agents_transport_finish(
    ngx_http_agents_transfer_t *transfer);


ngx_http_agents_transport_t *
ngx_http_agents_transport_create(ngx_uint_t max_connections,
    ngx_http_agents_turn_t *turn, ngx_log_t *log)
{
    ngx_http_agents_transport_t  *t;

    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "curl_global_init() failed");
        return NULL;
    }

    t = ngx_calloc(sizeof(ngx_http_agents_transport_t), log);
    if (t == NULL) {
        curl_global_cleanup();
        return NULL;
    }

    t->log = log;
    t->max_connections = max_connections;

    ngx_queue_init(&t->waiting);
    ngx_queue_init(&t->active);
    ngx_queue_init(&t->ended);

    t->timer.handler = ngx_http_agents_transport_timer_handler;
    t->timer.data = t;
    t->timer.log = log;

    t->turn = turn;
    t->event.handler = ngx_http_agents_transport_event_handler;
    t->event.data = t;
    t->event.log = log;

    if (ngx_http_agents_transport_open(t) != NGX_OK) {
        ngx_http_agents_transport_destroy(t);
        return NULL;
    }

    return t;
}


static ngx_int_t
ngx_http_agents_transport_open(ngx_http_agents_transport_t *t)
{
    t->multi = curl_multi_init();

    if (t->multi != NULL
        && curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION,
                             ngx_http_agents_transport_socket_callback)
           == CURLM_OK
        && curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t) == CURLM_OK
        && curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION,
                             ngx_http_agents_transport_timer_callback)
           == CURLM_OK
        && curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t) == CURLM_OK
        && curl_multi_setopt(t->multi, CURLMOPT_PIPELINING,
                             (long) CURLPIPE_NOTHING)
           == CURLM_OK
        && curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS,
                             (long) t->max_connections)
           == CURLM_OK)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ALERT, t->log, 0,
                  (t->multi == NULL) ? "no memory for curl_multi_init()"
                                     : "curl_multi_setopt() failed");
    ngx_http_agents_transport_close(t);

    return NGX_ERROR;
}


static void
ngx_http_agents_transport_close(ngx_http_agents_transport_t *t)
{
    if (t->multi != NULL) {
        (void) curl_multi_cleanup(t->multi);
        ERR_clear_error();
    }

    t->multi = NULL;
    t->nsockets = 0;

    if (t->timer.timer_set) {
        ngx_del_timer(&t->timer);
    }
}


/* At a worker's exit: what is under way is dropped without a word. */

void
ngx_http_agents_transport_destroy(ngx_http_agents_transport_t *t)
{
    ngx_uint_t    i, n;
    ngx_queue_t  *q, *queues[3];

    queues[0] = &t->waiting;
    queues[1] = &t->active;
    queues[2] = &t->ended;

    for (n = 0; n < 3; n++) {

        while (!ngx_queue_empty(queues[n])) {
            q = ngx_queue_head(queues[n]);

            ngx_http_agents_transport_cancel(
                      ngx_queue_data(q, ngx_http_agents_transfer_t, queue));
        }
    }

    ngx_http_agents_transport_close(t);

    for (i = 0; i < t->nspare; i++) {
        curl_easy_cleanup(t->spare[i]);
    }

    if (t->event.posted) {
        ngx_delete_posted_event(&t->event);
    }

    curl_global_cleanup();

    ngx_free(t);
}


ngx_http_agents_transfer_t *
ngx_http_agents_transport_send(ngx_http_agents_transport_t *t,
    const ngx_http_agents_transport_request_t *request,
    ngx_http_agents_transport_done_pt done, void *data)
{
    ngx_http_agents_transfer_t  *transfer;

    transfer = ngx_http_agents_transfer_create(t, request);
    if (transfer == NULL) {
        return NULL;
    }

    transfer->done = done;
    transfer->data = data;

    transfer->timer.handler = ngx_http_agents_transport_wait_handler;
    transfer->timer.data = transfer;
    transfer->timer.log = request->log;

    ngx_queue_insert_tail(&t->waiting, &transfer->queue);

    if (request->unresolved != NULL) {
        transfer->answer.error = request->unresolved;
        ngx_http_agents_transport_end(transfer,
                                      NGX_HTTP_AGENTS_TRANSPORT_REFUSED);
        return transfer;
    }

    ngx_add_timer(&transfer->timer, transfer->timeout);

    ngx_http_agents_transport_post(t);

    return transfer;
}


void
ngx_http_agents_transport_cancel(ngx_http_agents_transfer_t *transfer)
{
    ngx_http_agents_transport_leave(transfer);
    ngx_http_agents_transfer_free(transfer);
}


/* libcurl's own timer: one for all its transfers. */

static int
ngx_http_agents_transport_timer_callback(CURLM *multi, long timeout,
    void *data)
{
    ngx_http_agents_transport_t *t = data;

    /*
     * ngx_add_timer() leaves a timer alone that is set within 300 ms of the
     * new time: it has to be deleted first.
     */

    if (t->timer.timer_set) {
        ngx_del_timer(&t->timer);
    }

    if (timeout < 0) {
        return 0;
    }

    /* idle connections do not keep an exiting worker */

    t->timer.cancelable = (t->nactive == 0);

    ngx_add_timer(&t->timer, (ngx_msec_t) timeout);

    return 0;
}


/*
 * Returns 0 in any case: libcurl does not stand an error here.  A transfer
 * whose socket cannot be watched is ended in the next turn instead.
 */

static int
ngx_http_agents_transport_socket_callback(CURL *easy, curl_socket_t s,
    int what, void *data, void *socket)
{
    ngx_http_agents_transport_t *t = data;
    ngx_connection_t            *c = socket;

    if (what == CURL_POLL_REMOVE) {

        if (c != NULL) {
            (void) curl_multi_assign(t->multi, s, NULL);
            ngx_http_agents_transport_socket_free(c);
        }

        return 0;
    }

    if (c == NULL) {
        c = ngx_http_agents_fd_attach(s, ngx_http_agents_transport_io_handler,
                                      t, t->log);
        if (c == NULL) {
            ngx_http_agents_transport_lose(easy);
            return 0;
        }

        if (curl_multi_assign(t->multi, s, c) != CURLM_OK) {
            ngx_http_agents_transport_socket_free(c);
            ngx_http_agents_transport_lose(easy);
            return 0;
        }
    }

    if (ngx_http_agents_fd_want(c, what & CURL_POLL_IN, what & CURL_POLL_OUT)
        != NGX_OK)
    {
        ngx_http_agents_transport_lose(easy);
    }

    return 0;
}


/* The descriptor stays open: it is libcurl's, and may be kept alive. */

static void
ngx_http_agents_transport_socket_free(ngx_connection_t *c)
{
    /*
     * a socket that was still connecting is closed before this is said: the
     * kernel has forgotten its events by then
     */

    ngx_http_agents_fd_detach(c, fcntl(c->fd, F_GETFD) == -1 ? NGX_CLOSE_EVENT
                                                             : 0);
}


/* Inside libcurl, where no handle may be removed: only notes it. */

static void
ngx_http_agents_transport_lose(CURL *easy)
{
    char                        *private;
    ngx_http_agents_transfer_t  *transfer;

    private = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private) != CURLE_OK
        || private == NULL)
    {
        return;
    }

    transfer = (ngx_http_agents_transfer_t *) private;

    transfer->answer.error = "no connection of the worker was free";

    transfer->transport->lost = 1;
    ngx_http_agents_transport_post(transfer->transport);
}


static void
ngx_http_agents_transport_io_handler(ngx_event_t *ev)
{
    int64_t                       begun;
    ngx_connection_t             *c;
    ngx_http_agents_transport_t  *t;

    c = ev->data;
    t = c->data;

    begun = ngx_http_agents_turn_begin(t->turn);

    if (begun != 0) {
        ngx_http_agents_transport_action(t, c->fd,
                                ev->write ? CURL_CSELECT_OUT : CURL_CSELECT_IN);

        ngx_http_agents_turn_end(t->turn, begun);
    }
}


static void
ngx_http_agents_transport_timer_handler(ngx_event_t *ev)
{
    ngx_http_agents_transport_action(ev->data, CURL_SOCKET_TIMEOUT, 0);
}


/* The connection may be gone afterwards. */

static void
ngx_http_agents_transport_action(ngx_http_agents_transport_t *t,
    curl_socket_t s, int flags)
{
    int        running;
    CURLMcode  code;

    code = curl_multi_socket_action(t->multi, s, flags, &running);

    /* errors that libcurl leaves would be taken for those of nginx's own TLS */

    ERR_clear_error();

    if (code == CURLM_OK) {
        if ((ngx_uint_t) running < t->nactive) {
            ngx_http_agents_transport_post(t);
        }

    } else {
        ngx_log_error(NGX_LOG_ALERT, t->log, 0,
                      "curl_multi_socket_action() failed: %s",
                      curl_multi_strerror(code));
        ngx_http_agents_transport_lose_all(t);
    }
}


/*
 * libcurl had no memory for what it knows of a socket.  It does not say whose;
 * that transfer would wait in vain, and what is left of the socket in libcurl
 * brings it down when its number comes again: all are taken out, and the next
 * one begins with a new multi handle.
 */

static void
ngx_http_agents_transport_lose_all(ngx_http_agents_transport_t *t)
{
    ngx_queue_t                 *q;
    ngx_http_agents_transfer_t  *transfer;

    while (!ngx_queue_empty(&t->active)) {
        q = ngx_queue_head(&t->active);
        transfer = ngx_queue_data(q, ngx_http_agents_transfer_t, queue);

        transfer->answer.error = "no memory to watch its connection";

        ngx_http_agents_transport_end(transfer,
                                      NGX_HTTP_AGENTS_TRANSPORT_SHORT);
    }

    ngx_http_agents_transport_close(t);
}


static void
ngx_http_agents_transport_post(ngx_http_agents_transport_t *t)
{
    ngx_http_agents_turn_post(t->turn, &t->event);
}


/*
 * After the events of a loop turn: takes one that has ended out of libcurl,
 * lets one in that waits, then calls back for one, and comes again if that was
 * not all.  A callback may send and cancel.
 */

static void
ngx_http_agents_transport_event_handler(ngx_event_t *ev)
{
    ngx_uint_t                    more;
    ngx_queue_t                  *q;
    ngx_http_agents_transport_t  *t;

    t = ev->data;

    more = ngx_http_agents_transport_collect(t);

    if (ngx_http_agents_transport_may_admit(t)) {
        q = ngx_queue_head(&t->waiting);

        ngx_http_agents_transport_start(
                      ngx_queue_data(q, ngx_http_agents_transfer_t, queue));
    }

    if (!ngx_queue_empty(&t->ended)) {
        q = ngx_queue_head(&t->ended);

        ngx_http_agents_transport_finish(
                      ngx_queue_data(q, ngx_http_agents_transfer_t, queue));
    }

    if (more || ngx_http_agents_transport_may_admit(t)
        || !ngx_queue_empty(&t->ended))
    {
        ngx_http_agents_transport_post(t);
    }
}


static ngx_uint_t
ngx_http_agents_transport_may_admit(ngx_http_agents_transport_t *t)
{
    return t->nactive < t->max_connections && !ngx_queue_empty(&t->waiting);
}


/* Whether there are more. */

static ngx_uint_t
ngx_http_agents_transport_collect(ngx_http_agents_transport_t *t)
{
    int                          left;
    char                        *private;
    CURLMsg                     *msg;
    CURLcode                     code;
    ngx_http_agents_transfer_t  *transfer;

    if (t->lost) {
        ngx_http_agents_transport_collect_lost(t);
    }

    msg = (t->multi != NULL) ? curl_multi_info_read(t->multi, &left) : NULL;

    if (msg == NULL || msg->msg != CURLMSG_DONE) {
        return msg != NULL;
    }

    code = msg->data.result;

    (void) curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);

    transfer = (ngx_http_agents_transfer_t *) private;

    ngx_http_agents_transport_end(transfer,
                           ngx_http_agents_transfer_status(transfer, code));

    return left != 0;
}


static void
ngx_http_agents_transport_collect_lost(ngx_http_agents_transport_t *t)
{
    ngx_queue_t                 *q, *next;
    ngx_http_agents_transfer_t  *transfer;

    t->lost = 0;

    for (q = ngx_queue_head(&t->active);
         q != ngx_queue_sentinel(&t->active);
         q = next)
    {
        next = ngx_queue_next(q);
        transfer = ngx_queue_data(q, ngx_http_agents_transfer_t, queue);

        if (transfer->answer.error != NULL) {
            ngx_http_agents_transport_end(transfer,
                                          NGX_HTTP_AGENTS_TRANSPORT_SHORT);
        }
    }
}


static void
ngx_http_agents_transport_wait_handler(ngx_event_t *ev)
{
    ngx_http_agents_transfer_t  *transfer;

    transfer = ev->data;

    transfer->answer.error = "no connection to the server became free in time";

    ngx_http_agents_transport_end(transfer, NGX_HTTP_AGENTS_TRANSPORT_TIMEOUT);
}


/*
 * Into libcurl, for what is left of the time.  It connects at once: left to
 * libcurl's timer, all that are new would do so in one go.
 */

static void
ngx_http_agents_transport_start(ngx_http_agents_transfer_t *transfer)
{
    CURLcode                      easy;
    CURLMcode                     code;
    ngx_msec_int_t                left;
    ngx_http_agents_transport_t  *t;

    t = transfer->transport;
    left = (ngx_msec_int_t) transfer->timeout;

    if (transfer->timer.timer_set) {
        left = (ngx_msec_int_t) (transfer->timer.timer.key - ngx_current_msec);
        ngx_del_timer(&transfer->timer);
    }

    easy = curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS,
                            (long) ngx_max(left, 1));

    /* libcurl would look at thousands that are in use for one that is not */

    if (easy == CURLE_OK && t->nsockets <= t->nactive) {
        easy = curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
    }

    ngx_queue_remove(&transfer->queue);
    ngx_queue_insert_tail(&t->active, &transfer->queue);

    transfer->state = NGX_HTTP_AGENTS_TRANSFER_ACTIVE;
    t->nactive++;

    code = CURLM_OUT_OF_MEMORY;

    if (t->multi != NULL || ngx_http_agents_transport_open(t) == NGX_OK) {
        code = curl_multi_add_handle(t->multi, transfer->easy);
    }

    if (easy != CURLE_OK || code != CURLM_OK) {
        transfer->answer.error = curl_multi_strerror(code);

        t->lost = 1;
        ngx_http_agents_transport_post(t);
        return;
    }

    ngx_http_agents_transport_action(t, CURL_SOCKET_TIMEOUT, 0);
}


/* Out of where it is; a handle removed in mid-transfer closes its socket. */

static void
ngx_http_agents_transport_leave(ngx_http_agents_transfer_t *transfer)
{
    ngx_http_agents_transport_t  *t;

    t = transfer->transport;

    ngx_queue_remove(&transfer->queue);

    if (transfer->timer.timer_set) {
        ngx_del_timer(&transfer->timer);
    }

    if (transfer->state != NGX_HTTP_AGENTS_TRANSFER_ACTIVE) {
        return;
    }

    t->nactive--;

    (void) curl_multi_remove_handle(t->multi, transfer->easy);
    ERR_clear_error();

    if (!ngx_queue_empty(&t->waiting)) {
        ngx_http_agents_transport_post(t);
    }
}


static void
ngx_http_agents_transport_end(ngx_http_agents_transfer_t *transfer,
    ngx_http_agents_transport_status_e status)
{
    ngx_http_agents_transport_t  *t;

    t = transfer->transport;

    ngx_http_agents_transport_leave(transfer);

    transfer->state = NGX_HTTP_AGENTS_TRANSFER_ENDED;
    transfer->answer.status = status;

    ngx_queue_insert_tail(&t->ended, &transfer->queue);

    ngx_http_agents_transport_post(t);
}


/* The body is the callee's only where there is an answer. */

static void
ngx_http_agents_transport_finish(ngx_http_agents_transfer_t *transfer)
{
    void                                *data;
    ngx_http_agents_transport_done_pt    done;
    ngx_http_agents_transport_answer_t   answer;

    ngx_http_agents_transport_leave(transfer);

    if (transfer->answer.status == NGX_HTTP_AGENTS_TRANSPORT_OK
        && transfer->answer.body == NULL)
    {
        transfer->answer.body = calloc(1, 1);

        if (transfer->answer.body == NULL) {
            transfer->answer.status = NGX_HTTP_AGENTS_TRANSPORT_SHORT;
            transfer->answer.error = "no memory for the answer";
        }
    }

    answer = transfer->answer;

    if (answer.status == NGX_HTTP_AGENTS_TRANSPORT_OK) {
        transfer->answer.body = NULL;

    } else {
        answer.body = NULL;
        answer.body_len = 0;
    }

    done = transfer->done;
    data = transfer->data;

    done(data, &answer);

    ngx_http_agents_transfer_free(transfer);
}
