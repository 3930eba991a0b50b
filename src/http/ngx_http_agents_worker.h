
/*
 * What a worker process has of its own: made in process init, in the order in
 * which one thing stands on another, and ended in process exit.
 */


#ifndef _NGX_HTTP_AGENTS_WORKER_H_INCLUDED_
#define _NGX_HTTP_AGENTS_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_http.h"


/* Sets amcf->worker.  NGX_ERROR without memory or a descriptor. */
ngx_int_t ngx_http_agents_worker_create(ngx_cycle_t *cycle,
    ngx_http_agents_main_conf_t *amcf);

void ngx_http_agents_worker_destroy(ngx_http_agents_main_conf_t *amcf);


#endif /* _NGX_HTTP_AGENTS_WORKER_H_INCLUDED_ */
