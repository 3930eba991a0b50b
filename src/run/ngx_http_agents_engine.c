
/*
 * The runs of a worker, its lease, and its watch for runs that no one owns.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_run.h"
#include "ngx_http_agents_title.h"


/* In milliseconds. */
#define NGX_HTTP_AGENTS_TICK          250   /* how soon a quit is seen */
#define NGX_HTTP_AGENTS_CLAIM_EVERY   500
#define NGX_HTTP_AGENTS_EXPIRE_EVERY  5000

/* Runs that one batch claims or sets free. */
#define NGX_HTTP_AGENTS_CLAIM_MAX     64
#define NGX_HTTP_AGENTS_EXPIRE_MAX    256


struct ngx_http_agents_engine_s {
    ngx_http_agents_engine_conf_t  conf;
    char                           worker[NGX_HTTP_AGENTS_UUID_LEN + 1];

    ngx_queue_t                    runs;
    ngx_queue_t                    titles;
    ngx_uint_t                     active;
    ngx_uint_t                     claims;      /* batches on their way */

    ngx_event_t                    tick;
    ngx_msec_t                     renew_at;    /* by ngx_current_msec */
    ngx_msec_t                     claim_at;
    ngx_msec_t                     expire_at;
    ngx_msec_t                     drain_until;
    unsigned                       renewing:1;  /* a batch is on its way */
    unsigned                       expiring:1;
    unsigned                       releasing:1;
    unsigned                       leased:1;    /* the store knows us */
    unsigned                       draining:1;
    unsigned                       released:1;
};


/* A claim on its way: for which API. */
typedef struct {
    ngx_http_agents_engine_t      *engine;
    ngx_http_agents_settings_t    *settings;
} ngx_http_agents_engine_claim_t;


static void ngx_http_agents_engine_tick(ngx_event_t *ev);
static void ngx_http_agents_engine_drain(ngx_http_agents_engine_t *engine);
static void ngx_http_agents_engine_renew(ngx_http_agents_engine_t *engine);
static void ngx_http_agents_engine_renew_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_engine_claim(ngx_http_agents_engine_t *engine);
static void ngx_http_agents_engine_claim_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_engine_expire(ngx_http_agents_engine_t *engine);
static void ngx_http_agents_engine_expire_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_engine_release(ngx_http_agents_engine_t *engine);
static void ngx_http_agents_engine_release_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_uint_t ngx_http_agents_engine_due(ngx_msec_t at);


ngx_http_agents_engine_t *
ngx_http_agents_engine_create(const ngx_http_agents_engine_conf_t *conf)
{
    ngx_http_agents_engine_t  *engine;

    engine = ngx_calloc(sizeof(ngx_http_agents_engine_t), conf->log);
    if (engine == NULL) {
        return NULL;
    }

    engine->conf = *conf;

    if (ngx_http_agents_ident_uuid(engine->worker) == -1) {
        ngx_log_error(NGX_LOG_EMERG, conf->log, ngx_errno,
                      "no random bytes for the worker's id");
        ngx_free(engine);
        return NULL;
    }

    ngx_queue_init(&engine->runs);
    ngx_queue_init(&engine->titles);

    engine->renew_at = ngx_current_msec;
    engine->claim_at = ngx_current_msec + NGX_HTTP_AGENTS_CLAIM_EVERY;
    engine->expire_at = ngx_current_msec + NGX_HTTP_AGENTS_EXPIRE_EVERY;

    engine->tick.handler = ngx_http_agents_engine_tick;
    engine->tick.data = engine;
    engine->tick.log = conf->log;
    engine->tick.cancelable = 1;

    ngx_add_timer(&engine->tick, 1);

    return engine;
}


void
ngx_http_agents_engine_destroy(ngx_http_agents_engine_t *engine)
{
    /* the runs are in the store, and memory goes with the process */

    if (engine->active != 0) {
        ngx_log_error(NGX_LOG_NOTICE, engine->conf.log, 0,
                      "%ui agents runs in flight are left to other workers",
                      engine->active);
    }

    if (engine->tick.timer_set) {
        ngx_del_timer(&engine->tick);
    }

    ngx_free(engine);
}


const char *
ngx_http_agents_engine_worker(ngx_http_agents_engine_t *engine)
{
    return engine->worker;
}


const ngx_http_agents_engine_conf_t *
ngx_http_agents_engine_conf(ngx_http_agents_engine_t *engine)
{
    return &engine->conf;
}


ngx_uint_t
ngx_http_agents_engine_draining(ngx_http_agents_engine_t *engine)
{
    return engine->draining;
}


ngx_queue_t *
ngx_http_agents_engine_titles(ngx_http_agents_engine_t *engine)
{
    return &engine->titles;
}


void
ngx_http_agents_engine_join(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run)
{
    ngx_queue_insert_tail(&engine->runs, &run->queue);
    engine->active++;
}


void
ngx_http_agents_engine_leave(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run)
{
    ngx_queue_remove(&run->queue);
    engine->active--;
}


void
ngx_http_agents_engine_start(ngx_http_agents_engine_t *engine,
    const ngx_http_agents_settings_t *settings,
    const ngx_http_agents_run_key_t *key)
{
    if (ngx_http_agents_run_start(engine, settings, key) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, engine->conf.log, 0,
                      "no memory to start the agents run %s", key->id);
    }
}


static ngx_uint_t
ngx_http_agents_engine_due(ngx_msec_t at)
{
    return (ngx_msec_int_t) (ngx_current_msec - at) >= 0;
}


static void
ngx_http_agents_engine_tick(ngx_event_t *ev)
{
    ngx_http_agents_engine_t *engine = ev->data;

    if (ngx_exiting) {
        ngx_http_agents_engine_drain(engine);

    } else if (engine->leased) {

        if (engine->claims == 0 && ngx_http_agents_engine_due(engine->claim_at))
        {
            ngx_http_agents_engine_claim(engine);
        }

        if (!engine->expiring && ngx_http_agents_engine_due(engine->expire_at))
        {
            ngx_http_agents_engine_expire(engine);
        }
    }

    if (!engine->renewing && !engine->released
        && ngx_http_agents_engine_due(engine->renew_at))
    {
        ngx_http_agents_engine_renew(engine);
    }

    ngx_add_timer(ev, NGX_HTTP_AGENTS_TICK);
}


/*
 * The worker is to exit.  Runs finish the step they are in, within the time
 * they are given; what is left then is cut off.  Each is given up to the
 * others, and what may have been missed, at the end, by the worker's id.
 */

static void
ngx_http_agents_engine_drain(ngx_http_agents_engine_t *engine)
{
    ngx_uint_t              late;
    ngx_queue_t            *q, *next;
    ngx_http_agents_run_t  *run;

    if (!engine->draining) {
        engine->draining = 1;
        engine->drain_until = ngx_current_msec + engine->conf.drain_timeout;

        if (engine->active != 0) {
            ngx_log_error(NGX_LOG_NOTICE, engine->conf.log, 0,
                          "giving up %ui agents runs to other workers",
                          engine->active);
        }
    }

    late = ngx_http_agents_engine_due(engine->drain_until);

    for (q = ngx_queue_head(&engine->runs);
         q != ngx_queue_sentinel(&engine->runs);
         q = next)
    {
        next = ngx_queue_next(q);
        run = ngx_queue_data(q, ngx_http_agents_run_t, queue);

        if (late) {
            ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_GIVE_UP, NULL,
                                     NULL);
        } else {
            ngx_http_agents_run_drain(run);
        }
    }

    if (late) {
        ngx_http_agents_title_stop_all(&engine->titles);
    }

    if (engine->active == 0 && ngx_queue_empty(&engine->titles)
        && !engine->releasing && !engine->released) {
        ngx_http_agents_engine_release(engine);
    }

    /* the worker stays as long as something of it is on its way */

    engine->tick.cancelable = engine->released;
}


static void
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
    ngx_http_agents_db_submit(engine->conf.db, batch);
}


/* A renewal that failed is tried again at the next tick. */

static void
ngx_http_agents_engine_renew_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_t *engine = data;

    engine->renewing = 0;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK) {
        engine->leased = 1;
        engine->renew_at = ngx_current_msec + engine->conf.lease / 3;
    }

    ngx_http_agents_db_batch_free(batch);
}


static void
ngx_http_agents_engine_claim(ngx_http_agents_engine_t *engine)
{
    ngx_uint_t                        i;
    ngx_http_agents_settings_t      **apis;
    ngx_http_agents_db_batch_t       *batch;
    ngx_http_agents_engine_claim_t   *claim;

    engine->claim_at = ngx_current_msec + NGX_HTTP_AGENTS_CLAIM_EVERY;

    apis = engine->conf.apis->elts;

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

        ngx_http_agents_leases_claim(batch, engine->worker,
                                     (char *) apis[i]->name.data,
                                     NGX_HTTP_AGENTS_CLAIM_MAX);

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

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK) {
        n = ngx_http_agents_db_rows(batch, 0);
    }

    for (i = 0; i < n; i++) {
        ngx_http_agents_leases_read(batch, 0, i, &row);

        key.owner.company = row.company_id.data;
        key.owner.user = row.user_id.data;
        key.id = row.id.data;
        key.conversation = row.conversation_id.data;
        key.epoch = row.epoch;

        ngx_log_error(NGX_LOG_NOTICE, engine->conf.log, 0,
                      "taking over the agents run %s", key.id);

        ngx_http_agents_engine_start(engine, claim->settings, &key);
    }

    if (n == NGX_HTTP_AGENTS_CLAIM_MAX) {
        engine->claim_at = ngx_current_msec;
    }

    ngx_http_agents_db_batch_free(batch);
    ngx_free(claim);
}


static void
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

    ngx_http_agents_leases_expire(batch, NGX_HTTP_AGENTS_EXPIRE_MAX);

    engine->expiring = 1;
    ngx_http_agents_db_submit(engine->conf.db, batch);
}


static void
ngx_http_agents_engine_expire_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_t *engine = data;

    engine->expiring = 0;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_changes(batch, 0) != 0)
    {
        ngx_log_error(NGX_LOG_NOTICE, engine->conf.log, 0,
                      "%L agents runs had an owner whose lease has ended",
                      ngx_http_agents_db_changes(batch, 0));
        engine->claim_at = ngx_current_msec;
    }

    ngx_http_agents_db_batch_free(batch);
}


static void
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
