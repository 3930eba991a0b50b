
/*
 * Old conversations go, a few at a time.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_retention.h"


/* In milliseconds: between two steps; how long one may take before another
 * worker takes it; and how often a worker looks whether one is due. */
#define NGX_HTTP_AGENTS_RETENTION_PAUSE  1000
#define NGX_HTTP_AGENTS_RETENTION_HOLD   30000
#define NGX_HTTP_AGENTS_RETENTION_LOOK   5000

/* Between two walks: a tenth of the age, within these. */
#define NGX_HTTP_AGENTS_RETENTION_REST_MIN  1000
#define NGX_HTTP_AGENTS_RETENTION_REST_MAX  600000


struct ngx_http_agents_retention_s {
    ngx_http_agents_db_t        *db;
    ngx_http_agents_metrics_t   *metrics;
    int64_t                      age;       /* milliseconds */
    ngx_msec_t                   rest;
    ngx_msec_t                   look;
    size_t                       n;         /* conversations in REMOVING */
    ngx_event_t                  timer;     /* set: RESTING */
    ngx_log_t                   *log;
};


static void ngx_http_agents_retention_timer_handler(ngx_event_t *ev);
static void ngx_http_agents_retention_claim_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_retention_read_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_retention_moved(
    ngx_http_agents_retention_t *retention, ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_db_batch_t *slice, size_t row);
static void ngx_http_agents_retention_remove_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_retention_report(
    ngx_http_agents_retention_t *retention,
    const ngx_http_agents_purged_t *purged);
static ngx_http_agents_db_batch_t *ngx_http_agents_retention_batch(
    ngx_http_agents_retention_t *retention, ngx_http_agents_db_kind_e kind,
    ngx_http_agents_db_done_pt done);
static void ngx_http_agents_retention_wait(
    ngx_http_agents_retention_t *retention, ngx_msec_t msec);


ngx_http_agents_retention_t *
ngx_http_agents_retention_create(ngx_http_agents_db_t *db,
    ngx_http_agents_metrics_t *metrics, time_t seconds, ngx_pool_t *pool,
    ngx_log_t *log)
{
    ngx_http_agents_retention_t  *retention;

    retention = ngx_pcalloc(pool, sizeof(ngx_http_agents_retention_t));
    if (retention == NULL) {
        return NULL;
    }

    retention->db = db;
    retention->metrics = metrics;
    retention->log = log;
    retention->age = (int64_t) seconds * 1000;

    retention->rest = (ngx_msec_t) ngx_min(retention->age / 10,
                                       NGX_HTTP_AGENTS_RETENTION_REST_MAX);
    retention->rest = ngx_max(retention->rest,
                              NGX_HTTP_AGENTS_RETENTION_REST_MIN);
    retention->look = ngx_min(retention->rest, NGX_HTTP_AGENTS_RETENTION_LOOK);

    retention->timer.handler = ngx_http_agents_retention_timer_handler;
    retention->timer.data = retention;
    retention->timer.log = log;
    retention->timer.cancelable = 1;

    /* workers that begin together do not look together */

    ngx_http_agents_retention_wait(retention,
                                   (ngx_msec_t) ngx_random()
                                   % retention->look);

    return retention;
}


void
ngx_http_agents_retention_destroy(ngx_http_agents_retention_t *retention)
{
    if (retention->timer.timer_set) {
        ngx_del_timer(&retention->timer);
    }
}


static void
ngx_http_agents_retention_timer_handler(ngx_event_t *ev)
{
    ngx_http_agents_retention_t *retention = ev->data;

    ngx_http_agents_db_batch_t  *batch;

    if (ngx_exiting) {
        return;
    }

    batch = ngx_http_agents_retention_batch(retention,
                                       NGX_HTTP_AGENTS_DB_WRITE,
                                       ngx_http_agents_retention_claim_done);
    if (batch == NULL) {
        return;
    }

    ngx_http_agents_purge_claim(batch, NGX_HTTP_AGENTS_RETENTION_HOLD);
    ngx_http_agents_db_submit(retention->db, batch);
}


static void
ngx_http_agents_retention_claim_done(ngx_http_agents_db_batch_t *claim,
    void *data)
{
    ngx_http_agents_retention_t *retention = data;

    ngx_http_agents_owner_t      owner;
    ngx_http_agents_db_batch_t  *batch;

    if (ngx_http_agents_db_status(claim) != NGX_HTTP_AGENTS_DB_OK
        || ngx_http_agents_db_rows(claim, 0) == 0)
    {
        ngx_http_agents_retention_wait(retention, retention->look);
        ngx_http_agents_db_batch_free(claim);
        return;
    }

    batch = ngx_http_agents_retention_batch(retention, NGX_HTTP_AGENTS_DB_READ,
                                        ngx_http_agents_retention_read_done);

    if (batch != NULL) {
        owner.company = ngx_http_agents_db_get(claim, 0, 0, 0, NULL);
        owner.user = ngx_http_agents_db_get(claim, 0, 0, 1, NULL);

        ngx_http_agents_purge_slice(batch, &owner,
                               ngx_http_agents_db_get(claim, 0, 0, 2, NULL),
                               retention->age);
        ngx_http_agents_db_submit(retention->db, batch);
    }

    ngx_http_agents_db_batch_free(claim);
}


static void
ngx_http_agents_retention_read_done(ngx_http_agents_db_batch_t *slice,
    void *data)
{
    ngx_http_agents_retention_t *retention = data;

    size_t                       row;
    ngx_http_agents_db_batch_t  *batch;

    if (ngx_http_agents_db_status(slice) != NGX_HTTP_AGENTS_DB_OK) {
        ngx_http_agents_retention_wait(retention, retention->look);
        ngx_http_agents_db_batch_free(slice);
        return;
    }

    batch = ngx_http_agents_retention_batch(retention,
                                       NGX_HTTP_AGENTS_DB_WRITE,
                                       ngx_http_agents_retention_remove_done);

    if (batch != NULL) {
        row = 0;

        retention->n = ngx_http_agents_purge_add(batch, slice, &row,
                                                 retention->age);

        ngx_http_agents_retention_moved(retention, batch, slice, row);
        ngx_http_agents_db_submit(retention->db, batch);
    }

    ngx_http_agents_db_batch_free(slice);
}


/* The walk has come to the row before this one, or to its end. */

static void
ngx_http_agents_retention_moved(ngx_http_agents_retention_t *retention,
    ngx_http_agents_db_batch_t *batch, const ngx_http_agents_db_batch_t *slice,
    size_t row)
{
    size_t                   rows;
    ngx_http_agents_owner_t  owner;

    rows = ngx_http_agents_db_rows(slice, 0);

    if (row == rows && rows < NGX_HTTP_AGENTS_PURGE_SLICE) {
        owner.company = "";
        owner.user = "";

        ngx_http_agents_purge_moved(batch, &owner, "",
                                    (int64_t) retention->rest);
        return;
    }

    owner.company = ngx_http_agents_db_get(slice, 0, row - 1, 0, NULL);
    owner.user = ngx_http_agents_db_get(slice, 0, row - 1, 1, NULL);

    ngx_http_agents_purge_moved(batch, &owner,
                            ngx_http_agents_db_get(slice, 0, row - 1, 2, NULL),
                            NGX_HTTP_AGENTS_RETENTION_PAUSE);
}


/* Where it was not done, or nobody knows, the next one does it. */

static void
ngx_http_agents_retention_remove_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_retention_t *retention = data;

    ngx_http_agents_purged_t  purged;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK) {
        ngx_memzero(&purged, sizeof(ngx_http_agents_purged_t));
        ngx_http_agents_purge_count(batch, retention->n, &purged);
        ngx_http_agents_retention_report(retention, &purged);
    }

    ngx_http_agents_db_batch_free(batch);

    ngx_http_agents_retention_wait(retention, NGX_HTTP_AGENTS_RETENTION_PAUSE);
}


static void
ngx_http_agents_retention_report(ngx_http_agents_retention_t *retention,
    const ngx_http_agents_purged_t *purged)
{
    if (purged->conversations == 0) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, retention->log, 0,
                  "agents_retention has removed %L conversations, %L runs and "
                  "%L parts of messages", purged->conversations, purged->runs,
                  purged->messages);

    ngx_http_agents_metrics_add(retention->metrics,
                                NGX_HTTP_AGENTS_METRIC_EXPIRED,
                                (uint64_t) purged->conversations,
                                "conversations", NULL, NULL);
    ngx_http_agents_metrics_add(retention->metrics,
                                NGX_HTTP_AGENTS_METRIC_EXPIRED,
                                (uint64_t) purged->runs, "runs", NULL, NULL);
    ngx_http_agents_metrics_add(retention->metrics,
                                NGX_HTTP_AGENTS_METRIC_EXPIRED,
                                (uint64_t) purged->messages, "message_parts",
                                NULL, NULL);
}


/* NULL without memory: then it rests, and someone tries again later. */

static ngx_http_agents_db_batch_t *
ngx_http_agents_retention_batch(ngx_http_agents_retention_t *retention,
    ngx_http_agents_db_kind_e kind, ngx_http_agents_db_done_pt done)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(kind, done, retention);

    if (batch == NULL) {
        ngx_http_agents_retention_wait(retention, retention->look);
    }

    return batch;
}


static void
ngx_http_agents_retention_wait(ngx_http_agents_retention_t *retention,
    ngx_msec_t msec)
{
    ngx_add_timer(&retention->timer, msec);
}
