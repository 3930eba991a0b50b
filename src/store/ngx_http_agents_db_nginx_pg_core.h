
/*
 * What the files of the PostgreSQL adapter share: db_nginx_pg (the store) and
 * db_nginx_pg_conn (one connection of it).  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_DB_NGINX_PG_CORE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_NGINX_PG_CORE_H_INCLUDED_


#include "ngx_http_agents_db_nginx_core.h"
#include "ngx_http_agents_db_pg.h"


/* The first READERS connections are for reads, the others for writes. */
#define NGX_HTTP_AGENTS_DB_NGINX_PG_READERS  2
#define NGX_HTTP_AGENTS_DB_NGINX_PG_WRITERS  4

#define NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS                                     \
    (NGX_HTTP_AGENTS_DB_NGINX_PG_READERS + NGX_HTTP_AGENTS_DB_NGINX_PG_WRITERS)


typedef struct ngx_http_agents_db_nginx_pg_s  ngx_http_agents_db_nginx_pg_t;


typedef struct {
    ngx_http_agents_db_pg_t          *pg;
    ngx_http_agents_db_pg_state_e     seen;     /* its state, the last time */
    ngx_connection_t                 *c;        /* NULL: not watched */
    ngx_event_t                       timer;
    ngx_msec_t                        backoff;
    ngx_msec_t                        timeout;  /* to connect, and to check */
    ngx_uint_t                        dirty;    /* flush is due */
    ngx_uint_t                        points;   /* with point reads in it */
    ngx_uint_t                        fresh;    /* never yet up nor down */
    ngx_uint_t                        prepares;
    const char                       *conninfo;
    size_t                            turn;     /* the address to begin with */

    ngx_http_agents_task_t            resolver;
    ngx_http_agents_db_pg_params_t    params;
    ngx_int_t                         resolved;
    char                              error[256];

    ngx_http_agents_db_nginx_pg_t    *store;
} ngx_http_agents_db_nginx_conn_t;


/* What was last said in the log, for all connections together. */
typedef enum {
    NGX_HTTP_AGENTS_DB_NGINX_PG_SILENT = 0,
    NGX_HTTP_AGENTS_DB_NGINX_PG_UP,
    NGX_HTTP_AGENTS_DB_NGINX_PG_DOWN,
    NGX_HTTP_AGENTS_DB_NGINX_PG_NOT_MIGRATED
} ngx_http_agents_db_nginx_pg_report_e;


struct ngx_http_agents_db_nginx_pg_s {
    ngx_http_agents_db_nginx_t              base;       /* first */
    ngx_http_agents_db_nginx_pg_report_e    report;
    ngx_http_agents_db_nginx_pg_report_e    heard;      /* of the listener */
    char                                   *conninfo;
    char                                   *listen;     /* NULL: no listener */
    ngx_event_t                             flush;
    ngx_http_agents_db_nginx_line_t         early;  /* wait for "fresh" ones */
    ngx_http_agents_db_nginx_conn_t
                              conns[NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS];
    ngx_http_agents_db_nginx_conn_t         listener;   /* takes no batches */
};


/* db_nginx_pg */

/* It is known how the connection's first attempt ended. */
void ngx_http_agents_db_nginx_pg_settled(
    ngx_http_agents_db_nginx_conn_t *conn);

/* Loud when it is news for the store as a whole, else for those who debug. */
void ngx_http_agents_db_nginx_pg_say(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_http_agents_db_nginx_pg_report_e report, const char *why);


/* db_nginx_pg_conn */

ngx_int_t ngx_http_agents_db_nginx_pg_conn_init(
    ngx_http_agents_db_nginx_conn_t *conn,
    ngx_http_agents_db_nginx_pg_t *store, const char *conninfo,
    const ngx_http_agents_db_pg_conf_t *conf);

/* Begins to connect; from then on the connection sees to itself. */
void ngx_http_agents_db_nginx_pg_conn_open(
    ngx_http_agents_db_nginx_conn_t *conn);

/* Sends what was submitted to its driver. */
void ngx_http_agents_db_nginx_pg_conn_flush(
    ngx_http_agents_db_nginx_conn_t *conn);

/* Frees all of it; the thread pool has ended. */
void ngx_http_agents_db_nginx_pg_conn_close(
    ngx_http_agents_db_nginx_conn_t *conn);


#endif /* _NGX_HTTP_AGENTS_DB_NGINX_PG_CORE_H_INCLUDED_ */
