
/*
 * The store inside nginx: one per worker, opened in its process init, after
 * fork.  SQLite: one writer at a time in a pool thread, several batches a
 * commit, a savepoint each; reads in pool threads, DB_POINT ones in the event
 * loop.  PostgreSQL: a few connections in pipeline mode on the event loop.
 */


#ifndef _NGX_HTTP_AGENTS_DB_NGINX_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_NGINX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_db.h"
#include "ngx_http_agents_metrics.h"
#include "ngx_http_agents_task.h"


/* A parsed agents_store. */
typedef struct {
    unsigned     postgres:1;
    unsigned     no_prepare:1;      /* prepare=off, for PgBouncer */
    ngx_str_t    target;            /* SQLite's path, libpq's conninfo;
                                       NUL terminated */
    ngx_str_t    listen;            /* conninfo of LISTEN's own connection */
} ngx_http_agents_db_spec_t;

/*
 * Reads the arguments of "agents_store sqlite:PATH" or "agents_store
 * postgres:CONNINFO [prepare=off] [listen=CONNINFO]": NGX_CONF_OK, or what is
 * wrong and what would be right.  Opens nothing.
 */
char *ngx_http_agents_db_nginx_spec(ngx_conf_t *cf,
    ngx_http_agents_db_spec_t *spec);

/*
 * Opens the store in the background.  Batches submitted before it is there
 * wait for how that ends, so that a reload refuses nothing; while it is away,
 * they end as DB_UNAVAILABLE at once.  It comes, and comes back, by itself.
 * NULL without memory.  "tasks" and "metrics" must outlive it.
 */
ngx_http_agents_db_t *ngx_http_agents_db_nginx_open(
    const ngx_http_agents_db_spec_t *spec, ngx_http_agents_tasks_t *tasks,
    ngx_http_agents_metrics_t *metrics, ngx_log_t *log);

/*
 * The worker of that id has rows in agents_stops: said by PostgreSQL to all who
 * listen, on whichever node, and by no one else.  A hint, which may be missed.
 */
typedef void (*ngx_http_agents_db_nginx_stop_pt)(void *data,
    const char *worker);

void ngx_http_agents_db_nginx_on_stop(ngx_http_agents_db_t *db,
    ngx_http_agents_db_nginx_stop_pt handler, void *data);

/* Whether a batch has a chance now: for health and for logs. */
ngx_uint_t ngx_http_agents_db_nginx_ready(ngx_http_agents_db_t *db);

/*
 * In process exit, when the pool's threads have ended: one batch of writes, for
 * which this process waits, up to "msec".  No callback is called, and the batch
 * is not the caller's any more.  Its status.
 */
ngx_http_agents_db_status_e ngx_http_agents_db_nginx_last(
    ngx_http_agents_db_t *db, ngx_http_agents_db_batch_t *batch,
    ngx_msec_t msec);

/* In process exit: closes what is open; batches in flight are dropped. */
void ngx_http_agents_db_nginx_close(ngx_http_agents_db_t *db);


#endif /* _NGX_HTTP_AGENTS_DB_NGINX_H_INCLUDED_ */
