
/*
 * GET /agents/runs/{id}/events: a run as it goes, as text/event-stream.
 *
 *     found ──> read ──> send ──> idle       until a wake-up, a delta, or the
 *                ^                 │         client takes more
 *                └─────────────────┘
 *
 * Runs, names and turns are read from the store, when they may have changed
 * and the client has taken all that was read before.  Deltas come by the way,
 * see ngx_http_agents_deltas.h.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_events.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_wait.h"


/* In milliseconds: the timer; a comment where nothing was said; and how long
 * a stream lasts, after which its client has to show again who it is. */
#define NGX_HTTP_AGENTS_EVENTS_TICK     1000
#define NGX_HTTP_AGENTS_EVENTS_COMMENT  15000
#define NGX_HTTP_AGENTS_EVENTS_LIFE     (5 * 60 * 1000)

/* Of turns, at first: a single one may be more. */
#define NGX_HTTP_AGENTS_EVENTS_PARTS    64
#define NGX_HTTP_AGENTS_EVENTS_BYTES    (256 * 1024)


static ngx_http_agents_events_t *ngx_http_agents_api_events_create(
    ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx);
static void ngx_http_agents_api_events_cleanup(void *data);
static void ngx_http_agents_api_events_free(void *data);
static ngx_int_t ngx_http_agents_api_events_read(ngx_http_request_t *r,
    ngx_http_agents_events_t *ev);
static ngx_int_t ngx_http_agents_api_events_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_events_first(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch, ngx_http_agents_events_t *ev);
static ngx_int_t ngx_http_agents_api_events_begin(ngx_http_request_t *r,
    ngx_http_agents_events_t *ev);
static void ngx_http_agents_api_events_count(ngx_http_request_t *r,
    ngx_int_t n);
static void ngx_http_agents_api_events_resume(ngx_http_request_t *r,
    const ngx_http_agents_run_record_t *run, ngx_http_agents_events_t *ev);
static void ngx_http_agents_api_events_restart(
    const ngx_http_agents_run_record_t *run, ngx_http_agents_events_t *ev);
static ngx_str_t *ngx_http_agents_api_events_last_id(ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_api_events_again(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_api_events_take(
    const ngx_http_agents_db_batch_t *batch, ngx_http_agents_events_t *ev);
static int64_t ngx_http_agents_api_events_status(
    const ngx_http_agents_run_record_t *run);
static ngx_int_t ngx_http_agents_api_events_next(ngx_http_request_t *r,
    ngx_http_agents_events_t *ev);
static ngx_int_t ngx_http_agents_api_events_woken(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_api_events_handler(ngx_event_t *event);
static void ngx_http_agents_api_events_push(ngx_event_t *event);
static void ngx_http_agents_api_events_writer(ngx_http_request_t *r);
static void ngx_http_agents_api_events_go_on(ngx_http_agents_events_t *ev);


ngx_int_t
ngx_http_agents_api_events_get(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_events_t  *ev;

    if (ngx_http_agents_wait_crowded(r)) {
        return ngx_http_agents_reply_overloaded(r, "More requests wait for a "
                                                "change than this server "
                                                "takes.");
    }

    ev = ngx_http_agents_api_events_create(r, ctx);
    if (ev == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return ngx_http_agents_api_events_read(r, ev);
}


/* It waits from before the run is read, so that no change is missed. */

static ngx_http_agents_events_t *
ngx_http_agents_api_events_create(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_pool_cleanup_t           *pcln;
    ngx_http_cleanup_t           *cln;
    ngx_http_agents_events_t     *ev;
    ngx_http_agents_main_conf_t  *amcf;

    ev = ngx_pcalloc(r->pool, sizeof(ngx_http_agents_events_t));
    if (ev == NULL) {
        return NULL;
    }

    pcln = ngx_pool_cleanup_add(r->pool, 0);
    if (pcln == NULL) {
        return NULL;
    }

    pcln->handler = ngx_http_agents_api_events_free;
    pcln->data = ev;

    if (ngx_http_agents_events_send_init(r, &ev->send) != NGX_OK) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_agents_api_events_cleanup;
    cln->data = ev;

    ev->request = r;
    ev->told_turn = -1;
    ev->since = ngx_current_msec;
    ev->spoken = ngx_current_msec;
    ev->parts = NGX_HTTP_AGENTS_EVENTS_PARTS;
    ev->bytes = NGX_HTTP_AGENTS_EVENTS_BYTES;

    ev->push.handler = ngx_http_agents_api_events_push;
    ev->push.data = ev;
    ev->push.log = r->connection->log;

    ev->listener.handler = ngx_http_agents_events_delta;
    ev->listener.data = ev;

    ev->waiter.owner = &ctx->owner;
    ev->waiter.id = (char *) ctx->id.data;
    ev->waiter.event.handler = ngx_http_agents_api_events_handler;
    ev->waiter.event.data = ev;
    ev->waiter.event.log = r->connection->log;

    ctx->data = ev;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    ngx_http_agents_watch_join(amcf->worker->watch, &ev->waiter);

    /* an exiting worker waits for it, which ends the stream */

    ngx_add_timer(&ev->waiter.event, NGX_HTTP_AGENTS_EVENTS_TICK);

    return ev;
}


static void
ngx_http_agents_api_events_cleanup(void *data)
{
    ngx_http_agents_events_t *ev = data;

    ngx_http_agents_watch_leave(&ev->waiter);
    ngx_http_agents_deltas_leave(&ev->listener);

    if (ev->push.posted) {
        ngx_delete_posted_event(&ev->push);
    }

    if (ev->begun) {
        ngx_http_agents_api_events_count(ev->request, -1);
    }
}


static void
ngx_http_agents_api_events_free(void *data)
{
    ngx_http_agents_events_t *ev = data;

    ngx_http_agents_buf_free(&ev->held);
}


/* The run, and, once it is known, before that its turns: what is in them is
 * not newer than what the run says. */

static ngx_int_t
ngx_http_agents_api_events_read(ngx_http_request_t *r,
    ngx_http_agents_events_t *ev)
{
    int64_t                      since;
    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_db_batch_t  *batch;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    batch = ngx_http_agents_wait_batch(r, ev->begun ? NGX_HTTP_AGENTS_DB_READ
                                                    : NGX_HTTP_AGENTS_DB_POINT,
                                       ev->begun
                                       ? ngx_http_agents_api_events_again
                                       : ngx_http_agents_api_events_found,
                                       NULL, ev);
    if (batch == NULL) {
        return ev->begun ? NGX_ERROR : NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ev->due = 0;

    if (ev->begun) {

        /* from the last turn on, if it may have grown; the first one is the
         * message after the payload's */

        since = ev->base_version + 1 + ev->sent.turns;

        if (ev->sent.turns != 0 && (ev->grows || !ev->checked)) {
            since--;
        }

        ngx_http_agents_messages_list(batch, &ctx->owner, ev->conversation,
                                      since, NGX_MAX_INT_T_VALUE, ev->parts,
                                      ev->bytes);
    }

    ngx_http_agents_runs_row(batch, &ctx->owner, (char *) ctx->id.data);

    ngx_http_agents_wait_submit(r, batch);

    if (ev->begun) {
        r->write_event_handler = ngx_http_agents_api_events_writer;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_events_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_events_t *ev = data;

    ngx_int_t  rc;

    rc = ngx_http_agents_reply_missing(r, batch, 0, "There is no such run.");

    if (rc == NGX_DECLINED) {
        rc = ngx_http_agents_api_events_first(r, batch, ev);
    }

    ngx_http_agents_db_batch_free(batch);

    if (!ev->begun) {

        /* while the answer is sent it is not woken any more */

        ngx_http_agents_watch_leave(&ev->waiter);
        return rc;
    }

    return ngx_http_agents_api_events_next(r, ev);
}


static ngx_int_t
ngx_http_agents_api_events_first(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch, ngx_http_agents_events_t *ev)
{
    ngx_int_t                      rc;
    ngx_http_agents_ctx_t         *ctx;
    ngx_http_agents_main_conf_t   *amcf;
    ngx_http_agents_run_record_t   run;

    ngx_http_agents_runs_read(batch, 0, 0, &run);
    ngx_http_agents_variables_run(r, &run);

    ev->base_version = run.base_version;
    ev->terminal = (run.finished_at != 0);

    ev->conversation = ngx_pnalloc(r->pool, run.conversation_id.len + 1);
    if (ev->conversation == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    (void) ngx_cpystrn((u_char *) ev->conversation,
                       (u_char *) run.conversation_id.data,
                       run.conversation_id.len + 1);

    ngx_http_agents_api_events_resume(r, &run, ev);

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ngx_http_agents_deltas_key(&ev->listener.key, &ctx->owner,
                                   ev->waiter.id)
        != NGX_OK)
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    rc = ngx_http_agents_api_events_begin(r, ev);

    if (!ev->begun) {
        return rc;
    }

    ev->due = 1;

    if (!ev->terminal) {
        amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);
        ngx_http_agents_deltas_join(amcf->worker->deltas, &ev->listener);
    }

    return NGX_OK;
}


/* The headers: they leave at once, and no proxy is to hold back what follows,
 * nor the kernel. */

static ngx_int_t
ngx_http_agents_api_events_begin(ngx_http_request_t *r,
    ngx_http_agents_events_t *ev)
{
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *clcf;

    if (ngx_http_agents_reply_header(r, "X-Accel-Buffering", "no", 2)
        != NGX_OK)
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    rc = ngx_http_agents_reply_begin(r, "text/event-stream");

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->tcp_nodelay && ngx_tcp_nodelay(r->connection) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
        return NGX_ERROR;
    }

    ev->begun = 1;

    ngx_http_agents_api_events_count(r, 1);

    return NGX_OK;
}


static void
ngx_http_agents_api_events_count(ngx_http_request_t *r, ngx_int_t n)
{
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    ngx_http_agents_slots_add(&amcf->worker->zone->slots,
                              NGX_HTTP_AGENTS_GAUGE_STREAMS, n);
}


/* An id that this run cannot have given yet is none. */

static void
ngx_http_agents_api_events_resume(ngx_http_request_t *r,
    const ngx_http_agents_run_record_t *run, ngx_http_agents_events_t *ev)
{
    ngx_str_t  *value;

    value = ngx_http_agents_api_events_last_id(r);

    if (value != NULL
        && ngx_http_agents_events_id_read(&ev->sent, (char *) value->data,
                                          value->len, ev->waiter.id)
           == 0
        && ev->sent.name_rev <= run->name_rev
        && (ev->terminal
            || ev->sent.status <= ngx_http_agents_api_events_status(run)))
    {
        ev->resumed = 1;
        return;
    }

    ngx_http_agents_api_events_restart(run, ev);
}


/*
 * From the beginning.  A run that has ended is shown without a name: that is no
 * news of it.  Deltas of turns that the client seemed to have were not kept.
 */

static void
ngx_http_agents_api_events_restart(const ngx_http_agents_run_record_t *run,
    ngx_http_agents_events_t *ev)
{
    ngx_memzero(&ev->sent, sizeof(ngx_http_agents_events_id_t));

    if (ev->terminal) {
        ev->sent.name_rev = run->name_rev;
    }

    ev->mute_talk = ev->listener.talk;
}


static ngx_str_t *
ngx_http_agents_api_events_last_id(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    static const char  name[] = "last-event-id";

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == sizeof(name) - 1
            && ngx_strncasecmp(header[i].key.data, (u_char *) name,
                               sizeof(name) - 1)
               == 0)
        {
            return &header[i].value;
        }
    }
}


static ngx_int_t
ngx_http_agents_api_events_again(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_events_t *ev = data;

    if (ngx_http_agents_db_status(batch) != NGX_HTTP_AGENTS_DB_OK) {

        /* it is asked again a little later */

        ev->due = 1;
        ev->failed = 1;

    } else if (ngx_http_agents_db_rows(batch, 1) == 0) {

        /* it was removed with its conversation */

        ev->send.last = 1;

    } else if (!ev->send.last) {
        ngx_http_agents_api_events_take(batch, ev);
    }

    ngx_http_agents_db_batch_free(batch);

    return ngx_http_agents_api_events_next(r, ev);
}


/*
 * A run that was terminal before its turns were read has no others: then it
 * may end.
 */

static void
ngx_http_agents_api_events_take(const ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_events_t *ev)
{
    int64_t                        status;
    ngx_int_t                      rc;
    ngx_uint_t                     complete;
    ngx_http_agents_run_record_t   run;

    ngx_http_agents_runs_read(batch, 1, 0, &run);

    /* what was said of these turns was said before they were written */

    if (ev->listener.deltas != NULL) {
        ngx_http_agents_deltas_look(ev->listener.deltas);
    }

    rc = ngx_http_agents_events_turns_check(batch, ev);

    if (rc != NGX_OK) {

        if (rc == NGX_DECLINED) {
            ngx_http_agents_api_events_restart(&run, ev);
        }

        ev->due = 1;
        return;
    }

    status = ngx_http_agents_api_events_status(&run);

    /* its end counts one more */

    ev->epoch = run.epoch - (run.finished_at != 0);

    if (ngx_http_agents_deltas_epoch(ev->told_talk) < ev->epoch) {
        ngx_http_agents_events_withdraw(ev);
    }

    if (run.name_rev > ev->sent.name_rev) {
        ngx_http_agents_events_write_name(ev, &run);
    }

    if (run.finished_at == 0 && status > ev->sent.status) {
        ngx_http_agents_events_write_run(ev, &run, status);
    }

    complete = ngx_http_agents_events_turns(batch, ev);

    if (!complete || (run.finished_at != 0 && !ev->terminal)) {
        ev->due = 1;

    } else if (ev->terminal) {
        ngx_http_agents_variables_run(ev->request, &run);
        ngx_http_agents_events_withdraw(ev);

        if (ev->sent.status < NGX_HTTP_AGENTS_EVENTS_TERMINAL) {
            ngx_http_agents_events_write_run(ev, &run, status);
        }

        if (ev->sent.status < NGX_HTTP_AGENTS_EVENTS_END) {
            ngx_http_agents_events_write_end(ev, &run);
        }

        ev->send.last = 1;
        return;
    }

    ev->terminal = (run.finished_at != 0);

    if (complete) {
        ev->synced = 1;
        ngx_http_agents_events_release(ev);
    }

    ngx_http_agents_watch_seen(&ev->waiter, run.rev, run.name_rev);
}


static int64_t
ngx_http_agents_api_events_status(const ngx_http_agents_run_record_t *run)
{
    if (run->finished_at != 0) {
        return NGX_HTTP_AGENTS_EVENTS_TERMINAL;
    }

    return ngx_strcmp(run->status.data, "running") == 0
           ? NGX_HTTP_AGENTS_EVENTS_RUNNING : NGX_HTTP_AGENTS_EVENTS_PENDING;
}


/* Sends what there is, reads what there may be, or waits. */

static ngx_int_t
ngx_http_agents_api_events_next(ngx_http_request_t *r,
    ngx_http_agents_events_t *ev)
{
    ngx_int_t                     rc;
    ngx_http_agents_main_conf_t  *amcf;

    if (ngx_exiting && ev->leaving == 0) {
        ev->leaving = ngx_current_msec | 1;
    }

    /* the client goes on from here, on another connection */

    if (ev->leaving != 0
        || ngx_current_msec - ev->since >= NGX_HTTP_AGENTS_EVENTS_LIFE)
    {
        ev->send.last = 1;
    }

    rc = ngx_http_agents_events_send(r, &ev->send);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ev->send.closed) {
        return NGX_OK;
    }

    if (ev->leaving != 0) {
        amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

        if (ngx_current_msec - ev->leaving >= amcf->drain_timeout) {
            return NGX_ERROR;
        }
    }

    if (rc == NGX_OK && ev->due && !ev->failed && !ev->send.last) {
        return ngx_http_agents_api_events_read(r, ev);
    }

    if (ngx_http_agents_wait_idle(r, ngx_http_agents_api_events_woken, ev)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->write_event_handler = ngx_http_agents_api_events_writer;

    return NGX_DONE;
}


/* Woken: the batch is none. */

static ngx_int_t
ngx_http_agents_api_events_woken(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    return ngx_http_agents_api_events_next(r, data);
}


/* The run may have changed, the worker is to exit, or it is the timer. */

static void
ngx_http_agents_api_events_handler(ngx_event_t *event)
{
    ngx_http_agents_events_t *ev = event->data;

    if (!event->timedout) {
        ev->due = 1;
        ngx_http_agents_api_events_go_on(ev);
        return;
    }

    event->timedout = 0;

    ngx_add_timer(event, NGX_HTTP_AGENTS_EVENTS_TICK);

    ev->failed = 0;

    if (ngx_current_msec - ev->spoken >= NGX_HTTP_AGENTS_EVENTS_COMMENT
        && ev->begun && !ev->send.last
        && ngx_http_agents_events_behind(&ev->send) == 0)
    {
        ev->spoken = ngx_current_msec;
        ngx_http_agents_buf_adds(&ev->send.out, ":\n\n");
    }

    ngx_http_agents_api_events_go_on(ev);
}


static void
ngx_http_agents_api_events_push(ngx_event_t *event)
{
    ngx_http_agents_api_events_go_on(event->data);
}


static void
ngx_http_agents_api_events_writer(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_agents_ctx_t     *ctx;
    ngx_http_agents_events_t  *ev;

    wev = r->connection->write;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ev = ctx->data;

    ev->send.blocked = 0;

    ngx_http_agents_api_events_go_on(ev);
}


/* While the store is asked there is no more to do than to send. */

static void
ngx_http_agents_api_events_go_on(ngx_http_agents_events_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ev->request;

    if (!ev->begun || ngx_http_agents_wait_wake(r)) {
        return;
    }

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ngx_http_agents_events_send(r, &ev->send) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }

    ngx_http_run_posted_requests(c);
}
