
/*
 * What a worker process has of its own.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_agents_auth.h"
#include "ngx_http_agents_catalog_worker.h"
#include "ngx_http_agents_worker.h"


static ngx_int_t ngx_http_agents_worker_zone(ngx_cycle_t *cycle,
    ngx_http_agents_main_conf_t *amcf, ngx_http_agents_worker_t *worker);
static ngx_int_t ngx_http_agents_worker_engine(ngx_cycle_t *cycle,
    ngx_http_agents_main_conf_t *amcf, ngx_http_agents_worker_t *worker);


ngx_int_t
ngx_http_agents_worker_create(ngx_cycle_t *cycle,
    ngx_http_agents_main_conf_t *amcf)
{
    ngx_http_agents_worker_t  *worker;

    ngx_http_agents_json_init();

    /* a limit on the size of files is as a full disk, not a reason to die */

    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR) {
        return NGX_ERROR;
    }

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_http_agents_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_agents_worker_zone(cycle, amcf, worker) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_agents_turn_init(&worker->turn, cycle->log);
    ngx_http_agents_turn_files(cycle->connection_n, cycle->log);
    ngx_http_agents_tasks_init(&worker->tasks, &worker->turn, amcf->pool,
                               cycle->log);

    worker->db = ngx_http_agents_db_nginx_open(&amcf->store, &worker->tasks,
                                               &worker->zone->metrics,
                                               cycle->log);
    if (worker->db == NULL) {
        return NGX_ERROR;
    }

    amcf->worker = worker;

    if (ngx_http_agents_catalog_worker_init(&amcf->catalog,
                                            &worker->zone->lacks,
                                            &worker->turn,
                                            cycle->connection_n / 2,
                                            cycle->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    worker->wake = ngx_http_agents_wake_create(&worker->zone->wake,
                                               &amcf->wake_fds, cycle->pool,
                                               cycle->log);
    if (worker->wake == NULL) {
        return NGX_ERROR;
    }

    ngx_http_agents_gate_listen(worker->gate, worker->wake);

    worker->watch = ngx_http_agents_watch_create(worker->wake, worker->db,
                                                 cycle->pool, cycle->log);
    if (worker->watch == NULL) {
        return NGX_ERROR;
    }

    worker->deltas = ngx_http_agents_deltas_create(&amcf->wire_fds,
                                                   cycle->pool, cycle->log);
    if (worker->deltas == NULL) {
        return NGX_ERROR;
    }

    worker->tokens = ngx_http_agents_auth_cache_create(cycle->pool);
    if (worker->tokens == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_agents_worker_engine(cycle, amcf, worker);
}


/* What a dead predecessor left in this process's place is cleared first. */

static ngx_int_t
ngx_http_agents_worker_zone(ngx_cycle_t *cycle,
    ngx_http_agents_main_conf_t *amcf, ngx_http_agents_worker_t *worker)
{
    ngx_shmtx_t             *mutex;
    ngx_http_agents_zone_t  *zone;

    zone = ngx_http_agents_zone_get(amcf->zone, &mutex);

    worker->gate = ngx_http_agents_gate_create(&zone->gates, &zone->slots,
                                               mutex, cycle->pool, cycle->log);
    if (worker->gate == NULL) {
        return NGX_ERROR;
    }

    ngx_http_agents_slots_enter(&zone->slots);
    ngx_http_agents_metrics_init(&zone->metrics);

    worker->zone = zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_worker_engine(ngx_cycle_t *cycle,
    ngx_http_agents_main_conf_t *amcf, ngx_http_agents_worker_t *worker)
{
    ngx_http_agents_engine_conf_t  engine;

    ngx_memzero(&engine, sizeof(ngx_http_agents_engine_conf_t));

    engine.db = worker->db;
    engine.tasks = &worker->tasks;
    engine.gate = worker->gate;
    engine.wake = worker->wake;
    engine.deltas = worker->deltas;
    engine.slots = &worker->zone->slots;
    engine.metrics = &worker->zone->metrics;
    engine.eras = &worker->zone->eras;
    engine.catalog = &amcf->catalog;
    engine.apis = amcf->apis;
    engine.node = worker->zone->node;
    engine.lease = amcf->lease;
    engine.drain_timeout = amcf->drain_timeout;
    engine.max_runs = amcf->max_runs;
    engine.log = cycle->log;

    worker->engine = ngx_http_agents_engine_create(&engine);
    if (worker->engine == NULL) {
        return NGX_ERROR;
    }

    if (amcf->retention == 0) {
        return NGX_OK;
    }

    worker->retention = ngx_http_agents_retention_create(worker->db,
                                                     &worker->zone->metrics,
                                                     amcf->retention,
                                                     cycle->pool, cycle->log);

    return worker->retention == NULL ? NGX_ERROR : NGX_OK;
}


void
ngx_http_agents_worker_destroy(ngx_http_agents_main_conf_t *amcf)
{
    ngx_http_agents_worker_t  *worker;

    worker = amcf->worker;

    if (worker->retention != NULL) {
        ngx_http_agents_retention_destroy(worker->retention);
    }

    if (worker->engine != NULL) {
        ngx_http_agents_engine_destroy(worker->engine);
    }

    ngx_http_agents_catalog_worker_exit(&amcf->catalog);
    ngx_http_agents_db_nginx_close(worker->db);

    if (worker->deltas != NULL) {
        ngx_http_agents_deltas_destroy(worker->deltas);
    }

    if (worker->wake != NULL) {
        ngx_http_agents_wake_destroy(worker->wake);
    }

    ngx_http_agents_slots_leave(&worker->zone->slots);
}
