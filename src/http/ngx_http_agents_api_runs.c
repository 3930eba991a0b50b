
/*
 * GET /agents/runs/{id}?wait=S: the run, at once or as soon as it has changed.
 *
 *     read ──> answer, where it has ended, is not as the client knows it, or
 *      ^  │    the time is over, or the worker is to exit
 *      │  v
 *     idle     until a wake-up, or the time is over
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_etag.h"
#include "ngx_http_agents_query.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_run_view.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_wait.h"


#define NGX_HTTP_AGENTS_API_RUNS_WAIT  60   /* seconds, at most */


/* A request that waits; in its pool. */
typedef struct {
    ngx_http_request_t              *request;
    ngx_http_agents_watch_waiter_t   waiter;
    char                             etag[NGX_HTTP_AGENTS_ETAG_LEN + 1];
                                                    /* as it was at first */
    unsigned                         woken:1;       /* while it was read */
    unsigned                         over:1;        /* the time is */
} ngx_http_agents_api_runs_poll_t;


static ngx_http_agents_api_runs_poll_t *ngx_http_agents_api_runs_poll(
    ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx, ngx_msec_t wait);
static void ngx_http_agents_api_runs_poll_cleanup(void *data);
static void ngx_http_agents_api_runs_poll_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_agents_api_runs_again(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_runs_read(ngx_http_request_t *r,
    ngx_http_agents_api_runs_poll_t *poll);
static ngx_int_t ngx_http_agents_api_runs_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_runs_reply(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_api_runs_poll_t *poll);
static ngx_uint_t ngx_http_agents_api_runs_waits(ngx_http_request_t *r,
    const ngx_http_agents_run_record_t *run, const ngx_http_agents_buf_t *buf,
    ngx_http_agents_api_runs_poll_t *poll);


ngx_int_t
ngx_http_agents_api_runs_get(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_int_t                         rc;
    ngx_http_agents_faults_t          faults;
    ngx_http_agents_api_runs_poll_t  *poll;

    ngx_http_agents_query_t  query[] = {
        { "wait", 0, NGX_HTTP_AGENTS_API_RUNS_WAIT, 0 },
        { NULL, 0, 0, 0 }
    };

    ngx_memzero(&faults, sizeof(ngx_http_agents_faults_t));

    if (ngx_http_agents_query_read(r, query, &faults) != NGX_OK) {
        rc = ngx_http_agents_reply_faults(r, &faults);
        ngx_http_agents_faults_free(&faults);
        return rc;
    }

    poll = NULL;

    if (query[0].value != 0 && !ngx_exiting) {

        if (ngx_http_agents_wait_crowded(r)) {
            return ngx_http_agents_reply_overloaded(r, "More requests wait for "
                                                    "a change than this server "
                                                    "takes.");
        }

        poll = ngx_http_agents_api_runs_poll(r, ctx, query[0].value * 1000);
        if (poll == NULL) {
            return NGX_HTTP_SERVICE_UNAVAILABLE;
        }
    }

    return ngx_http_agents_api_runs_read(r, poll);
}


/* It waits from before the run is read, so that no change is missed. */

static ngx_http_agents_api_runs_poll_t *
ngx_http_agents_api_runs_poll(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, ngx_msec_t wait)
{
    ngx_http_cleanup_t               *cln;
    ngx_http_agents_main_conf_t      *amcf;
    ngx_http_agents_api_runs_poll_t  *poll;

    poll = ngx_pcalloc(r->pool, sizeof(ngx_http_agents_api_runs_poll_t));
    if (poll == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_agents_api_runs_poll_cleanup;
    cln->data = poll;

    poll->request = r;

    poll->waiter.owner = &ctx->owner;
    poll->waiter.id = (char *) ctx->id.data;
    poll->waiter.event.handler = ngx_http_agents_api_runs_poll_handler;
    poll->waiter.event.data = poll;
    poll->waiter.event.log = r->connection->log;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    ngx_http_agents_watch_join(amcf->worker->watch, &poll->waiter);

    /* an exiting worker waits for it, and meanwhile answers */

    ngx_add_timer(&poll->waiter.event, wait);

    return poll;
}


static void
ngx_http_agents_api_runs_poll_cleanup(void *data)
{
    ngx_http_agents_api_runs_poll_t *poll = data;

    ngx_http_agents_watch_leave(&poll->waiter);
}


static void
ngx_http_agents_api_runs_poll_handler(ngx_event_t *ev)
{
    ngx_http_agents_api_runs_poll_t *poll = ev->data;

    if (ev->timedout) {
        ev->timedout = 0;
        poll->over = 1;
    }

    if (!ngx_http_agents_wait_wake(poll->request)) {
        poll->woken = 1;
    }
}


/* Woken: the batch is none. */

static ngx_int_t
ngx_http_agents_api_runs_again(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    return ngx_http_agents_api_runs_read(r, data);
}


/* "poll" NULL: it is not to wait. */

static ngx_int_t
ngx_http_agents_api_runs_read(ngx_http_request_t *r,
    ngx_http_agents_api_runs_poll_t *poll)
{
    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_db_batch_t  *batch;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_POINT,
                                       ngx_http_agents_api_runs_found, NULL,
                                       poll);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    if (poll != NULL) {
        poll->woken = 0;
    }

    ngx_http_agents_runs_get(batch, &ctx->owner, (char *) ctx->id.data);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_runs_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_int_t  rc;

    rc = ngx_http_agents_reply_missing(r, batch, 0, "There is no such run.");

    if (rc == NGX_DECLINED) {
        rc = ngx_http_agents_api_runs_reply(r, batch, data);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_api_runs_reply(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_api_runs_poll_t *poll)
{
    ngx_http_agents_buf_t         buf;
    ngx_http_agents_run_record_t  run;

    ngx_http_agents_runs_read(batch, 0, 0, &run);

    ngx_http_agents_variables_run(r, &run);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_run_view(r, &buf, &run, batch, 0);

    if (poll == NULL) {
        return ngx_http_agents_reply_json_etag(r, &buf);
    }

    if (!ngx_http_agents_api_runs_waits(r, &run, &buf, poll)) {

        /* while the answer is sent it is not woken any more */

        ngx_http_agents_watch_leave(&poll->waiter);

        return ngx_http_agents_reply_json_etag(r, &buf);
    }

    ngx_http_agents_buf_free(&buf);

    if (poll->woken) {
        return ngx_http_agents_api_runs_read(r, poll);
    }

    ngx_http_agents_watch_seen(&poll->waiter, run.rev, run.name_rev);

    return ngx_http_agents_wait_idle(r, ngx_http_agents_api_runs_again, poll)
           == NGX_OK ? NGX_DONE : NGX_HTTP_SERVICE_UNAVAILABLE;
}


/* Whether there is nothing to tell yet. */

static ngx_uint_t
ngx_http_agents_api_runs_waits(ngx_http_request_t *r,
    const ngx_http_agents_run_record_t *run, const ngx_http_agents_buf_t *buf,
    ngx_http_agents_api_runs_poll_t *poll)
{
    char  etag[NGX_HTTP_AGENTS_ETAG_LEN + 1];

    if (run->finished_at != 0 || poll->over || ngx_exiting || buf->failed) {
        return 0;
    }

    if (r->headers_in.if_none_match != NULL) {
        return ngx_http_agents_reply_known(r, buf);
    }

    if (ngx_http_agents_etag_make(etag, buf->data, buf->len) != 0) {
        return 0;
    }

    if (poll->etag[0] == '\0') {
        ngx_memcpy(poll->etag, etag, sizeof(etag));
        return 1;
    }

    return ngx_strcmp(poll->etag, etag) == 0;
}
