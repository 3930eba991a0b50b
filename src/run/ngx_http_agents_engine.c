
/*
 * The runs of a worker, its lease, and its watch for runs that no one owns.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_db_nginx.h"
#include "ngx_http_agents_engine_parts.h"
#include "ngx_http_agents_title.h"


/* Runs that one batch says are to stop. */
#define NGX_HTTP_AGENTS_STOPS_MAX     256


static void ngx_http_agents_engine_tick(ngx_event_t *ev);
static void ngx_http_agents_engine_measure(ngx_http_agents_engine_t *engine);
static void ngx_http_agents_engine_drain(ngx_http_agents_engine_t *engine);
static void ngx_http_agents_engine_notified(void *data, const char *worker);
static void ngx_http_agents_engine_stops(void *data);
static void ngx_http_agents_engine_stops_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_engine_stop(ngx_http_agents_engine_t *engine,
    const char *id);
static ngx_int_t ngx_http_agents_engine_asked(void *data,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_to_t *to);
static void ngx_http_agents_engine_cancel_handler(ngx_event_t *ev);
static void ngx_http_agents_engine_stopped(ngx_http_agents_engine_t *engine,
    const ngx_http_agents_db_batch_t *stops);
static void ngx_http_agents_engine_stopped_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_http_agents_run_t *ngx_http_agents_engine_find(
    ngx_http_agents_engine_t *engine, const char *id);
static void ngx_http_agents_engine_unlist(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run);


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

    /* a UUID, whose last group is common to the workers of a node */

    ngx_memcpy(engine->worker + NGX_HTTP_AGENTS_UUID_LEN
               - NGX_HTTP_AGENTS_NODE_LEN, conf->node,
               NGX_HTTP_AGENTS_NODE_LEN);

    /* what agents_runs.owner and agents_workers name it by */

    ngx_log_error(NGX_LOG_NOTICE, conf->log, 0, "agents worker %s",
                  engine->worker);

    ngx_queue_init(&engine->runs);
    ngx_queue_init(&engine->titles);
    ngx_rbtree_init(&engine->ids, &engine->sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_queue_init(&engine->cancelling);

    engine->cancel.handler = ngx_http_agents_engine_cancel_handler;
    engine->cancel.data = engine;
    engine->cancel.log = conf->log;

    engine->renew_at = ngx_current_msec;
    engine->claim_at = ngx_current_msec;
    engine->quiet_until = ngx_current_msec;
    engine->expire_at = ngx_current_msec
                        + (ngx_msec_t) ngx_random()
                          % NGX_HTTP_AGENTS_EXPIRE_FIRST;
    engine->stops_at = ngx_current_msec + NGX_HTTP_AGENTS_STOPS_EVERY;
    engine->strays_at = ngx_current_msec + NGX_HTTP_AGENTS_STRAYS_EVERY;

    engine->tick.handler = ngx_http_agents_engine_tick;
    engine->tick.data = engine;
    engine->tick.log = conf->log;
    engine->tick.cancelable = 1;

    ngx_add_timer(&engine->tick, 1);

    ngx_http_agents_wake_on_stop(conf->wake, ngx_http_agents_engine_stops,
                                 engine);
    ngx_http_agents_deltas_on_ask(conf->deltas, ngx_http_agents_engine_asked,
                                  engine);
    ngx_http_agents_db_nginx_on_stop(conf->db, ngx_http_agents_engine_notified,
                                     engine);

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

    if (engine->leased && !engine->released) {
        ngx_http_agents_engine_abandon(engine);
    }

    if (engine->tick.timer_set) {
        ngx_del_timer(&engine->tick);
    }

    if (engine->cancel.posted) {
        ngx_delete_posted_event(&engine->cancel);
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


ngx_uint_t
ngx_http_agents_engine_full(ngx_http_agents_engine_t *engine)
{
    return engine->active >= engine->conf.max_runs;
}


ngx_int_t
ngx_http_agents_engine_title_join(ngx_http_agents_engine_t *engine,
    ngx_queue_t *title)
{
    if (engine->ntitles >= engine->conf.max_runs) {
        return NGX_DECLINED;
    }

    ngx_queue_insert_tail(&engine->titles, title);
    engine->ntitles++;

    return NGX_OK;
}


void
ngx_http_agents_engine_title_leave(ngx_http_agents_engine_t *engine,
    ngx_queue_t *title)
{
    ngx_queue_remove(title);
    engine->ntitles--;
}


void
ngx_http_agents_engine_join(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run)
{
    ngx_queue_insert_tail(&engine->runs, &run->queue);
    engine->active++;

    run->node.str.data = (u_char *) run->key.id;
    run->node.str.len = ngx_strlen(run->key.id);
    run->node.node.key = ngx_crc32_short(run->node.str.data,
                                         run->node.str.len);

    ngx_rbtree_insert(&engine->ids, &run->node.node);
    run->listed = 1;

    ngx_http_agents_slots_add(engine->conf.slots, NGX_HTTP_AGENTS_GAUGE_RUNS,
                              1);
}


void
ngx_http_agents_engine_leave(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run)
{
    ngx_queue_remove(&run->queue);
    engine->active--;

    ngx_http_agents_engine_unlist(engine, run);
    ngx_http_agents_engine_cleared(engine, run);

    if (run->to_cancel) {
        ngx_queue_remove(&run->cancelling);
    }

    ngx_http_agents_slots_add(engine->conf.slots, NGX_HTTP_AGENTS_GAUGE_RUNS,
                              -1);
}


void
ngx_http_agents_engine_suspect(ngx_http_agents_engine_t *engine,
    const char *id)
{
    ngx_http_agents_run_t  *run;

    run = ngx_http_agents_engine_find(engine, id);

    if (run != NULL && !run->suspect) {
        run->suspect = 1;
        engine->suspects++;
        engine->suspect_until = ngx_current_msec + NGX_HTTP_AGENTS_SUSPECT_FOR;
    }
}


void
ngx_http_agents_engine_cleared(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run)
{
    if (run->suspect) {
        run->suspect = 0;
        engine->suspects--;
    }
}


static void
ngx_http_agents_engine_unlist(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run)
{
    if (run->listed) {
        ngx_rbtree_delete(&engine->ids, &run->node.node);
        run->listed = 0;
    }
}


static ngx_http_agents_run_t *
ngx_http_agents_engine_find(ngx_http_agents_engine_t *engine, const char *id)
{
    ngx_str_t        name;
    ngx_str_node_t  *node;

    name.data = (u_char *) id;
    name.len = ngx_strlen(id);

    node = ngx_str_rbtree_lookup(&engine->ids, &name,
                                 ngx_crc32_short(name.data, name.len));
    if (node == NULL) {
        return NULL;
    }

    return (ngx_http_agents_run_t *)
               ((u_char *) node - offsetof(ngx_http_agents_run_t, node));
}


/* Someone follows a run. */

static ngx_int_t
ngx_http_agents_engine_asked(void *data,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_to_t *to)
{
    ngx_http_agents_engine_t *engine = data;

    ngx_http_agents_run_t  *run;

    run = ngx_http_agents_engine_find(engine, key->id);

    return run == NULL ? NGX_DECLINED
                       : ngx_http_agents_run_tell_asked(run, key, to);
}


void
ngx_http_agents_engine_start(ngx_http_agents_engine_t *engine,
    const ngx_http_agents_settings_t *settings,
    const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_run_t  *run;

    run = ngx_http_agents_engine_find(engine, key->id);

    if (run != NULL) {

        if (run->key.epoch >= key->epoch) {
            return;
        }

        /* it was taken from us while we slept, and has come back */

        ngx_http_agents_engine_unlist(engine, run);
        ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_FORGET, NULL, NULL);
    }

    if (ngx_http_agents_run_start(engine, settings, key) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, engine->conf.log, 0,
                      "no memory to start the agents run %s", key->id);
        ngx_http_agents_engine_stray(engine);
    }
}


ngx_uint_t
ngx_http_agents_engine_due(ngx_msec_t at)
{
    return (ngx_msec_int_t) (ngx_current_msec - at) >= 0;
}


static void
ngx_http_agents_engine_tick(ngx_event_t *ev)
{
    ngx_http_agents_engine_t *engine = ev->data;

    if (engine->tick_at != 0) {
        ngx_http_agents_engine_measure(engine);
    }

    if (!engine->renewing && !engine->released
        && ngx_http_agents_engine_due(engine->renew_at))
    {
        ngx_http_agents_engine_renew(engine);
    }

    if (ngx_exiting) {
        ngx_http_agents_engine_drain(engine);

    } else if (engine->leased) {

        if (engine->claims == 0 && ngx_http_agents_engine_due(engine->claim_at))
        {
            ngx_http_agents_engine_claim(engine);
        }

        if (!engine->expiring && !engine->renewing
            && ngx_http_agents_engine_due(engine->expire_at)
            && ngx_http_agents_engine_due(engine->quiet_until))
        {
            ngx_http_agents_engine_expire(engine);
        }

        if (!engine->looking && ngx_http_agents_engine_due(engine->strays_at))
        {
            ngx_http_agents_engine_strays(engine);
        }
    }

    if (engine->active != 0 && ngx_http_agents_engine_due(engine->stops_at)) {
        ngx_http_agents_engine_stops(engine);
    }

    engine->tick_at = ngx_current_msec + NGX_HTTP_AGENTS_TICK;
    ngx_add_timer(ev, NGX_HTTP_AGENTS_TICK);
}


/*
 * What is not worth a write at each change is written at each tick but the
 * first, so that a store that is being opened does not pass for one that is
 * away.
 */

static void
ngx_http_agents_engine_measure(ngx_http_agents_engine_t *engine)
{
    ngx_msec_int_t                  late;
    ngx_http_agents_engine_conf_t  *conf;

    conf = &engine->conf;

    late = (ngx_msec_int_t) (ngx_current_msec - engine->tick_at);

    if (late > (ngx_msec_int_t) conf->lease / 3) {
        ngx_http_agents_engine_late(engine);
    }

    ngx_http_agents_metrics_observe(conf->metrics,
                                    NGX_HTTP_AGENTS_METRIC_LOOP_LAG,
                                    1000 * (uint64_t) ngx_max(late, 0), NULL,
                                    NULL);

    ngx_http_agents_slots_set(conf->slots, NGX_HTTP_AGENTS_GAUGE_STORE_AWAY,
                              !ngx_http_agents_db_nginx_ready(conf->db));
    ngx_http_agents_slots_set(conf->slots,
                              NGX_HTTP_AGENTS_GAUGE_TASKS_WAITING,
                              conf->tasks->waiting);
    ngx_http_agents_slots_set(conf->slots, NGX_HTTP_AGENTS_GAUGE_TASKS_POSTED,
                              conf->tasks->posted);
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

        ngx_http_agents_run_drain(run, late);
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
ngx_http_agents_engine_notified(void *data, const char *worker)
{
    ngx_http_agents_engine_t *engine = data;

    if (ngx_strcmp(worker, engine->worker) == 0) {
        ngx_http_agents_engine_stops(engine);
    }
}


/* Asks which of our runs were cancelled or deleted. */

static void
ngx_http_agents_engine_stops(void *data)
{
    ngx_http_agents_engine_t *engine = data;

    ngx_http_agents_db_batch_t  *batch;

    if (engine->active == 0) {
        return;
    }

    if (engine->asking) {
        engine->ask_again = 1;
        return;
    }

    engine->stops_at = ngx_current_msec + NGX_HTTP_AGENTS_STOPS_EVERY;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_POINT,
                                     ngx_http_agents_engine_stops_done,
                                     engine);
    if (batch == NULL) {
        return;
    }

    ngx_http_agents_leases_stops(batch, engine->worker,
                                 NGX_HTTP_AGENTS_STOPS_MAX);

    engine->asking = 1;
    ngx_http_agents_db_submit(engine->conf.db, batch);
}


static void
ngx_http_agents_engine_stops_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_t *engine = data;

    size_t  i, n;

    engine->asking = 0;

    n = 0;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK) {
        n = ngx_http_agents_db_rows(batch, 0);
    }

    for (i = 0; i < n; i++) {
        ngx_http_agents_engine_stop(engine,
                               ngx_http_agents_db_get(batch, 0, i, 0, NULL));
    }

    if (n != 0) {
        ngx_http_agents_engine_stopped(engine, batch);
    }

    ngx_http_agents_db_batch_free(batch);

    /* with rows to take off it is asked again after that */

    if (engine->ask_again && !engine->asking) {
        engine->ask_again = 0;
        ngx_http_agents_engine_stops(engine);
    }
}


/* One that is not here has ended, or sees by its load that it is cancelled. */

static void
ngx_http_agents_engine_stop(ngx_http_agents_engine_t *engine, const char *id)
{
    ngx_http_agents_run_t  *run;

    run = ngx_http_agents_engine_find(engine, id);

    if (run == NULL || run->to_cancel) {
        return;
    }

    run->to_cancel = 1;
    ngx_queue_insert_tail(&engine->cancelling, &run->cancelling);

    ngx_http_agents_turn_post(engine->conf.tasks->turn, &engine->cancel);
}


static void
ngx_http_agents_engine_cancel_handler(ngx_event_t *ev)
{
    ngx_http_agents_engine_t *engine = ev->data;

    ngx_queue_t            *q;
    ngx_http_agents_run_t  *run;

    if (ngx_queue_empty(&engine->cancelling)) {
        return;
    }

    q = ngx_queue_head(&engine->cancelling);
    run = ngx_queue_data(q, ngx_http_agents_run_t, cancelling);

    ngx_queue_remove(q);
    run->to_cancel = 0;

    if (!ngx_queue_empty(&engine->cancelling)) {
        ngx_http_agents_turn_post(engine->conf.tasks->turn, ev);
    }

    ngx_http_agents_run_cancel(run);
}


/* What was told is taken off, after it was heard: twice does no harm. */

static void
ngx_http_agents_engine_stopped(ngx_http_agents_engine_t *engine,
    const ngx_http_agents_db_batch_t *stops)
{
    size_t                       i;
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE,
                                     ngx_http_agents_engine_stopped_done,
                                     engine);
    if (batch == NULL) {
        return;
    }

    for (i = 0; i < ngx_http_agents_db_rows(stops, 0); i++) {
        ngx_http_agents_leases_stopped(batch, engine->worker,
                               ngx_http_agents_db_get(stops, 0, i, 0, NULL));
    }

    engine->ask_again |= (i == NGX_HTTP_AGENTS_STOPS_MAX);

    engine->asking = 1;
    ngx_http_agents_db_submit(engine->conf.db, batch);
}


static void
ngx_http_agents_engine_stopped_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_engine_t *engine = data;

    engine->asking = 0;

    ngx_http_agents_db_batch_free(batch);

    if (engine->ask_again) {
        engine->ask_again = 0;
        ngx_http_agents_engine_stops(engine);
    }
}
