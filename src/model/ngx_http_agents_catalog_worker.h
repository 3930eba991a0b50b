
/*
 * What a worker has of each provider for itself: connections, and credentials
 * that are fetched; and what it shares with others of each model.  At its start
 * and end; event loop.
 */


#ifndef _NGX_HTTP_AGENTS_CATALOG_WORKER_H_INCLUDED_
#define _NGX_HTTP_AGENTS_CATALOG_WORKER_H_INCLUDED_


#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_lacks.h"
#include "ngx_http_agents_turn.h"


/* "max" bounds the connections of each provider, beside its own bound. */
ngx_int_t ngx_http_agents_catalog_worker_init(
    ngx_http_agents_catalog_t *catalog, ngx_http_agents_lacks_t *lacks,
    ngx_http_agents_turn_t *turn, ngx_uint_t max, ngx_log_t *log);

/* Also after an init that failed. */
void ngx_http_agents_catalog_worker_exit(ngx_http_agents_catalog_t *catalog);


#endif /* _NGX_HTTP_AGENTS_CATALOG_WORKER_H_INCLUDED_ */
