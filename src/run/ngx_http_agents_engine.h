
/*
 * The run engine: one per worker.  A run is a state machine driven by the
 * event loop; what computes (prompts, replies, validation) is a step in a
 * pool thread; what waits is an inference, background requests, or a batch.
 * Knows nothing of HTTP requests.  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_ENGINE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ENGINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_deltas.h"
#include "ngx_http_agents_gate.h"
#include "ngx_http_agents_loop.h"
#include "ngx_http_agents_mcp.h"
#include "ngx_http_agents_metrics.h"
#include "ngx_http_agents_slots.h"
#include "ngx_http_agents_store.h"
#include "ngx_http_agents_task.h"
#include "ngx_http_agents_wake.h"


/* What an agents_api sets for its runs: from the configuration. */
typedef struct {
    ngx_str_t                    name;              /* NUL terminated */
    u_char                      *file;              /* where it stands */
    ngx_uint_t                   line;
    ngx_uint_t                   max_iterations;    /* ceiling */
    ngx_uint_t                   max_runs_per_user;
    ngx_msec_t                   run_timeout;
    ngx_msec_t                   inference_timeout;
    ngx_msec_t                   queue_timeout;     /* in line for a cluster */
    ngx_msec_t                   tool_timeout;
    size_t                       tool_result_max;   /* bytes of text */
    size_t                       run_results_max;   /* of all of a run */
    ngx_http_agents_mcp_conf_t   mcp;
} ngx_http_agents_settings_t;


/* Hexadecimal digits, those of a UUID's last group. */
#define NGX_HTTP_AGENTS_NODE_LEN  12


/* Everything that an engine stands on; all of it outlives the engine. */
typedef struct {
    ngx_http_agents_db_t         *db;
    ngx_http_agents_tasks_t      *tasks;
    ngx_http_agents_gate_t       *gate;
    ngx_http_agents_wake_t       *wake;
    ngx_http_agents_deltas_t     *deltas;
    ngx_http_agents_slots_t      *slots;    /* for this worker's gauges */
    ngx_http_agents_metrics_t    *metrics;
    ngx_http_agents_mcp_eras_t   *eras;
    ngx_http_agents_catalog_t    *catalog;
    ngx_array_t                  *apis;     /* ngx_http_agents_settings_t * */
    const char                   *node;     /* the end of its workers' ids */
    ngx_msec_t                    lease;
    ngx_msec_t                    drain_timeout;
    ngx_uint_t                    max_runs; /* and titles, as many again */
    ngx_log_t                    *log;
} ngx_http_agents_engine_conf_t;


typedef struct ngx_http_agents_engine_s  ngx_http_agents_engine_t;


/*
 * Starts the worker's lease and its watch for runs that no one owns.  NULL
 * without memory.
 */
ngx_http_agents_engine_t *ngx_http_agents_engine_create(
    const ngx_http_agents_engine_conf_t *conf);

/* In process exit: whatever is in flight is dropped, for others to take; where
 * the worker could not give it up in order, they are told by one last batch. */
void ngx_http_agents_engine_destroy(ngx_http_agents_engine_t *engine);

/* The worker's id, as runs carry it in "owner". */
const char *ngx_http_agents_engine_worker(ngx_http_agents_engine_t *engine);

/* Whether it has all the runs that it may have: a new one is refused, and none
 * is claimed.  Those that are its own are started nevertheless. */
ngx_uint_t ngx_http_agents_engine_full(ngx_http_agents_engine_t *engine);

/*
 * Starts a run that was inserted with this worker as its owner, or that this
 * worker has claimed.  All strings are copied.  One that is here already, by
 * the same epoch, goes on.  Without memory the run is left to the store: the
 * engine comes upon it again later.
 */
void ngx_http_agents_engine_start(ngx_http_agents_engine_t *engine,
    const ngx_http_agents_settings_t *settings,
    const ngx_http_agents_run_key_t *key);

#endif /* _NGX_HTTP_AGENTS_ENGINE_H_INCLUDED_ */
