
/*
 * What the engine asks of the store by its clock: its lease, runs that no one
 * owns, owners whose lease has ended, and runs of its own that it has not.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_db_nginx.h"
#include "ngx_http_agents_engine_parts.h"


/* Milliseconds that a worker's last batch may take. */
#define NGX_HTTP_AGENTS_ABANDON       500

/* Runs that one batch claims, sets free, or looks at. */
#define NGX_HTTP_AGENTS_CLAIM_MAX     256
#define NGX_HTTP_AGENTS_EXPIRE_MAX    256
#define NGX_HTTP_AGENTS_STRAYS_MAX    256


/* A claim on its way: for which API. */
typedef struct {
    ngx_http_agents_engine_t      *engine;
    ngx_http_agents_settings_t    *settings;
} ngx_http_agents_engine_claim_t;


static void ngx_http_agents_engine_renew_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_engine_claim_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_engine_expire_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_engine_strays_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_http_agents_settings_t *ngx_http_agents_engine_settings(
    ngx_http_agents_engine_t *engine, const char *api);
static void ngx_http_agents_engine_read(
    const ngx_http_agents_db_batch_t *batch, size_t i,
    ngx_http_agents_claim_t *row, ngx_http_agents_run_key_t *key);
static void ngx_http_agents_engine_release_done(
    ngx_http_agents_db_batch_t *batch, void *data);


void
ngx_http_agents_engine_renew(ngx_http_agents_engine_t *engine)
{
    ngx_http_agents_db_batch_t  *batch;

    engine->renew_at = ngx_current_msec + NGX_HTTP_AGENTS_TICK;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE,
                                     ngx_http_agents_engine_renew_done,
                                     engine);
    if (batch == NULL) {
        return;
    }

    ngx_http_agents_leases_renew(batch, engine->worker, engine->conf.lease);

    engine->renewing = 1;
    engine->renew_since = ngx_current_msec;
    ngx_http_agents_db_submit(engine->conf.db, batch);
}


/* A renewal that failed is tried again at the next tick. */

static void
ngx_http_agents_engine_renew_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_t *engine = data;

    ngx_uint_t  renewed;

    engine->renewing = 0;

    renewed = (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK);

    if (!renewed
        || ngx_current_msec - engine->renew_since > engine->conf.lease / 3)
    {
        ngx_http_agents_engine_late(engine);
    }

    ngx_http_agents_metrics_add(engine->conf.metrics,
                                NGX_HTTP_AGENTS_METRIC_RENEWALS, 1,
                                renewed ? "ok" : "failed", NULL, NULL);

    if (renewed) {
        engine->leased = 1;
        engine->lease_until = ngx_http_agents_leases_until(batch);
        engine->renew_at = ngx_current_msec + engine->conf.lease / 3;
    }

    ngx_http_agents_db_batch_free(batch);
}


void
ngx_http_agents_engine_late(ngx_http_agents_engine_t *engine)
{
    engine->quiet_until = ngx_current_msec + NGX_HTTP_AGENTS_QUIET;
}


void
ngx_http_agents_engine_claim(ngx_http_agents_engine_t *engine)
{
    ngx_uint_t                        i, room, suspect;
    ngx_http_agents_settings_t      **apis;
    ngx_http_agents_db_batch_t       *batch;
    ngx_http_agents_engine_claim_t   *claim;

    engine->claim_at = ngx_current_msec + NGX_HTTP_AGENTS_CLAIM_EVERY;

    if (ngx_http_agents_engine_full(engine)) {

        /* others take them, or this worker does, when some have ended */

        return;
    }

    room = ngx_min(engine->conf.max_runs - engine->active,
                   NGX_HTTP_AGENTS_CLAIM_MAX);

    apis = engine->conf.apis->elts;

    engine->turn++;

    for (i = 0; i < engine->conf.apis->nelts; i++) {

        claim = ngx_calloc(sizeof(ngx_http_agents_engine_claim_t),
                           engine->conf.log);
        if (claim == NULL) {
            return;
        }

        claim->engine = engine;
        claim->settings = apis[i];

        batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE,
                                         ngx_http_agents_engine_claim_done,
                                         claim);
        if (batch == NULL) {
            ngx_free(claim);
            return;
        }

        suspect = (i == engine->turn % engine->conf.apis->nelts)
                  && (engine->suspects == 0
                      || ngx_http_agents_engine_due(engine->suspect_until));

        ngx_http_agents_leases_claim(batch, engine->worker,
                                     (char *) apis[i]->name.data, suspect,
                                     room);

        engine->claims++;
        ngx_http_agents_db_submit(engine->conf.db, batch);
    }
}


static void
ngx_http_agents_engine_claim_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_claim_t *claim = data;

    size_t                      i, n;
    ngx_http_agents_claim_t     row;
    ngx_http_agents_engine_t   *engine;
    ngx_http_agents_run_key_t   key;

    engine = claim->engine;

    engine->claims--;

    n = 0;

    switch (ngx_http_agents_db_status(batch)) {

    case NGX_HTTP_AGENTS_DB_OK:
        n = ngx_http_agents_db_rows(batch, 0);
        break;

    case NGX_HTTP_AGENTS_DB_UNKNOWN:

        /* they may be ours, and nobody knows which */

        ngx_http_agents_engine_stray(engine);
        break;

    default:
        break;
    }

    ngx_http_agents_metrics_add(engine->conf.metrics,
                                NGX_HTTP_AGENTS_METRIC_RUNS_CLAIMED, n, NULL,
                                NULL, NULL);

    for (i = 0; i < n; i++) {
        ngx_http_agents_engine_read(batch, i, &row, &key);

        ngx_log_error(NGX_LOG_NOTICE, engine->conf.log, 0,
                      "taking over the agents run %s", key.id);

        ngx_http_agents_engine_start(engine, claim->settings, &key);

        if (row.takeovers == NGX_HTTP_AGENTS_TAKEOVERS_MAX - 1) {
            ngx_http_agents_engine_suspect(engine, key.id);
        }
    }

    if (n != 0) {
        engine->claim_at = ngx_current_msec;
    }

    ngx_http_agents_db_batch_free(batch);
    ngx_free(claim);
}


void
ngx_http_agents_engine_expire(ngx_http_agents_engine_t *engine)
{
    ngx_http_agents_db_batch_t  *batch;

    engine->expire_at = ngx_current_msec + NGX_HTTP_AGENTS_EXPIRE_EVERY;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE,
                                     ngx_http_agents_engine_expire_done,
                                     engine);
    if (batch == NULL) {
        return;
    }

    /* half a lease after a renewal of ours the others' leases still hold */

    ngx_http_agents_leases_expire(batch, engine->lease_until
                                         - (int64_t) engine->conf.lease / 2,
                                  NGX_HTTP_AGENTS_EXPIRE_MAX);

    engine->expiring = 1;
    ngx_http_agents_db_submit(engine->conf.db, batch);
}


static void
ngx_http_agents_engine_expire_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_t *engine = data;

    int64_t     n;
    ngx_uint_t  again;

    engine->expiring = 0;

    n = 0;
    again = 0;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK) {
        n = ngx_http_agents_db_changes(batch, 0);
        again = (n == NGX_HTTP_AGENTS_EXPIRE_MAX
                 || !ngx_http_agents_leases_in_time(batch));
    }

    if (n != 0) {
        ngx_log_error(NGX_LOG_NOTICE, engine->conf.log, 0,
                      "%L agents runs had an owner whose lease has ended", n);
        ngx_http_agents_metrics_add(engine->conf.metrics,
                                    NGX_HTTP_AGENTS_METRIC_RUNS_EXPIRED, n,
                                    NULL, NULL, NULL);
        engine->claim_at = ngx_current_msec;
    }

    if (again) {
        engine->expire_at = ngx_current_msec;
    }

    ngx_http_agents_db_batch_free(batch);
}


/*
 * Looks for runs that are ours in the store and not here: what was claimed, or
 * accepted, by a commit whose answer never came, and what could not be started
 * or given up.  No one else would take them as long as our lease holds.
 */

void
ngx_http_agents_engine_strays(ngx_http_agents_engine_t *engine)
{
    ngx_http_agents_db_batch_t  *batch;

    engine->strays_at = ngx_current_msec + NGX_HTTP_AGENTS_STRAYS_EVERY;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ,
                                     ngx_http_agents_engine_strays_done,
                                     engine);
    if (batch == NULL) {
        return;
    }

    ngx_http_agents_leases_owned(batch, engine->worker, engine->stray,
                                 NGX_HTTP_AGENTS_STRAYS_MAX);

    engine->looking = 1;
    ngx_http_agents_db_submit(engine->conf.db, batch);
}


/* To start one that is here, or has ended by now, does nothing. */

static void
ngx_http_agents_engine_strays_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_t *engine = data;

    size_t                       i, n;
    ngx_http_agents_claim_t      row;
    ngx_http_agents_run_key_t    key;
    ngx_http_agents_settings_t  *settings;

    engine->looking = 0;

    if (ngx_http_agents_db_status(batch) != NGX_HTTP_AGENTS_DB_OK) {
        ngx_http_agents_db_batch_free(batch);
        ngx_http_agents_engine_stray(engine);
        return;
    }

    n = ngx_http_agents_db_rows(batch, 0);

    for (i = 0; i < n && !engine->draining; i++) {
        ngx_http_agents_engine_read(batch, i, &row, &key);

        settings = ngx_http_agents_engine_settings(engine, row.api.data);

        if (settings != NULL) {
            ngx_http_agents_engine_start(engine, settings, &key);
        }

        ngx_cpystrn((u_char *) engine->stray, (u_char *) key.id,
                    sizeof(engine->stray));
    }

    if (n == NGX_HTTP_AGENTS_STRAYS_MAX) {
        engine->strays_at = ngx_current_msec;

    } else {
        engine->stray[0] = '\0';
    }

    ngx_http_agents_db_batch_free(batch);
}


void
ngx_http_agents_engine_stray(ngx_http_agents_engine_t *engine)
{
    engine->stray[0] = '\0';
    engine->strays_at = ngx_current_msec + NGX_HTTP_AGENTS_STRAYS_SOON;
}


static ngx_http_agents_settings_t *
ngx_http_agents_engine_settings(ngx_http_agents_engine_t *engine,
    const char *api)
{
    ngx_uint_t                    i;
    ngx_http_agents_settings_t  **apis;

    apis = engine->conf.apis->elts;

    for (i = 0; i < engine->conf.apis->nelts; i++) {
        if (ngx_strcmp(apis[i]->name.data, api) == 0) {
            return apis[i];
        }
    }

    return NULL;
}


static void
ngx_http_agents_engine_read(const ngx_http_agents_db_batch_t *batch,
    size_t i, ngx_http_agents_claim_t *row, ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_leases_read(batch, 0, i, row);

    key->owner.company = row->company_id.data;
    key->owner.user = row->user_id.data;
    key->id = row->id.data;
    key->conversation = row->conversation_id.data;
    key->epoch = row->epoch;
}


void
ngx_http_agents_engine_release(ngx_http_agents_engine_t *engine)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE,
                                     ngx_http_agents_engine_release_done,
                                     engine);
    if (batch == NULL) {
        engine->released = 1;
        return;
    }

    ngx_http_agents_leases_release(batch, engine->worker);

    engine->releasing = 1;
    ngx_http_agents_db_submit(engine->conf.db, batch);
}


static void
ngx_http_agents_engine_release_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_t *engine = data;

    /* without the store the lease ends by itself */

    engine->releasing = 0;
    engine->released = 1;
    engine->tick.cancelable = 1;

    ngx_http_agents_db_batch_free(batch);
}


void
ngx_http_agents_engine_abandon(ngx_http_agents_engine_t *engine)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE, NULL, NULL);
    if (batch == NULL) {
        return;
    }

    ngx_http_agents_leases_release(batch, engine->worker);

    /* without the store the lease ends by itself */

    if (ngx_http_agents_db_nginx_last(engine->conf.db, batch,
                                      NGX_HTTP_AGENTS_ABANDON)
        != NGX_HTTP_AGENTS_DB_OK)
    {
        ngx_log_error(NGX_LOG_NOTICE, engine->conf.log, 0,
                      "agents runs of this worker are taken over when its "
                      "lease has ended");
    }
}
