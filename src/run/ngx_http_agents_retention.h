
/*
 * agents_retention: conversations that nothing has happened in for so long are
 * removed, with their runs and messages.  It is a walk through all of them, in
 * steps, for all workers of all nodes together: who finds that the next one is
 * due takes it.  So the store has one step at a time, however many there are.
 *
 *   RESTING -- timer --> CLAIMING -- not due, or no store --> RESTING
 *   CLAIMING --> READING --> REMOVING --> RESTING
 *
 * Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_RETENTION_H_INCLUDED_
#define _NGX_HTTP_AGENTS_RETENTION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_metrics.h"
#include "ngx_http_agents_store.h"


typedef struct ngx_http_agents_retention_s  ngx_http_agents_retention_t;


/*
 * In process init; "seconds" is the age at which a conversation goes.  NULL
 * without memory.  "db" and "metrics" must outlive it.
 */
ngx_http_agents_retention_t *ngx_http_agents_retention_create(
    ngx_http_agents_db_t *db, ngx_http_agents_metrics_t *metrics,
    time_t seconds, ngx_pool_t *pool, ngx_log_t *log);

/* In process exit: a step that was begun is left to others. */
void ngx_http_agents_retention_destroy(
    ngx_http_agents_retention_t *retention);


#endif /* _NGX_HTTP_AGENTS_RETENTION_H_INCLUDED_ */
