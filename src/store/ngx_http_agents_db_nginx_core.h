
/*
 * What the two adapters inside nginx share: db_nginx (the way back to who
 * asked), db_nginx_sqlite and db_nginx_pg.  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_DB_NGINX_CORE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_NGINX_CORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_db_batch.h"
#include "ngx_http_agents_db_nginx.h"


/* Milliseconds before a store that could not be opened is tried again. */
#define NGX_HTTP_AGENTS_DB_NGINX_BACKOFF      100
#define NGX_HTTP_AGENTS_DB_NGINX_BACKOFF_MAX  5000


/* A line of batches. */
typedef struct {
    ngx_http_agents_db_batch_t   *first;
    ngx_http_agents_db_batch_t   *last;
    ngx_uint_t                    n;
} ngx_http_agents_db_nginx_line_t;


/* The first member of both adapters. */
typedef struct ngx_http_agents_db_nginx_s  ngx_http_agents_db_nginx_t;

struct ngx_http_agents_db_nginx_s {
    ngx_http_agents_db_t              db;       /* first */
    void                            (*submit)(ngx_http_agents_db_nginx_t *base,
                                          ngx_http_agents_db_batch_t *batch);
    ngx_uint_t                      (*ready)(ngx_http_agents_db_nginx_t *base);
    void                            (*close)(ngx_http_agents_db_nginx_t *base);
    ngx_http_agents_db_status_e     (*last)(ngx_http_agents_db_nginx_t *base,
                                          ngx_http_agents_db_batch_t *batch,
                                          ngx_msec_t msec);
    ngx_http_agents_tasks_t          *tasks;
    ngx_http_agents_metrics_t        *metrics;
    ngx_log_t                        *log;
    ngx_http_agents_db_nginx_stop_pt  notified;
    void                             *notified_data;
    ngx_http_agents_db_nginx_line_t   finished;
    ngx_event_t                       event;    /* calls the callbacks */
    ngx_uint_t                        pending;  /* submitted, not called back */
    ngx_event_t                       guard;
};


void ngx_http_agents_db_nginx_line_push(ngx_http_agents_db_nginx_line_t *line,
    ngx_http_agents_db_batch_t *batch);
ngx_http_agents_db_batch_t *ngx_http_agents_db_nginx_line_pop(
    ngx_http_agents_db_nginx_line_t *line);
void ngx_http_agents_db_nginx_line_free(ngx_http_agents_db_nginx_line_t *line);

void ngx_http_agents_db_nginx_init(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_tasks_t *tasks, ngx_log_t *log);

/* The batch has its status: its callback follows, from a posted event. */
void ngx_http_agents_db_nginx_finish(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_db_batch_t *batch);

/* The same, for one that had no chance. */
void ngx_http_agents_db_nginx_refuse(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_db_batch_t *batch, const char *why);

/* Frees what was not called back. */
void ngx_http_agents_db_nginx_done(ngx_http_agents_db_nginx_t *base);

/* What comes after a wait of "backoff"; 0: none yet. */
ngx_msec_t ngx_http_agents_db_nginx_backoff(ngx_msec_t backoff);


/* NULL without memory. */
ngx_http_agents_db_nginx_t *ngx_http_agents_db_nginx_sqlite_open(
    const ngx_http_agents_db_spec_t *spec, ngx_http_agents_tasks_t *tasks,
    ngx_log_t *log);
ngx_http_agents_db_nginx_t *ngx_http_agents_db_nginx_pg_open(
    const ngx_http_agents_db_spec_t *spec, ngx_http_agents_tasks_t *tasks,
    ngx_log_t *log);


#endif /* _NGX_HTTP_AGENTS_DB_NGINX_CORE_H_INCLUDED_ */
