
/*
 * The inside of a connection to SQLite, for its two files alone.  No nginx.
 */


#ifndef _NGX_HTTP_AGENTS_DB_SQLITE_CORE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_SQLITE_CORE_H_INCLUDED_


#include <sqlite3.h>
#include <time.h>
#include "ngx_http_agents_db_sqlite.h"


/* A query as this connection has prepared it. */
typedef struct {
    const ngx_http_agents_db_query_t  *query;
    ngx_http_agents_db_template_t      tmpl;
    sqlite3_stmt                      *stmt;
} ngx_http_agents_db_sqlite_prepared_t;


struct ngx_http_agents_db_sqlite_s {
    sqlite3                               *db;
    ngx_http_agents_db_sqlite_mode_e       mode;
    ngx_http_agents_db_sqlite_prepared_t  *prepared;
    size_t                                 n;
    size_t                                 size;
    struct timespec                        since;   /* a wait's beginning */
    long                                   patience;    /* for it, in ms */
    unsigned                               broken:1;
    char                                   why[256];    /* it is */
};


#endif /* _NGX_HTTP_AGENTS_DB_SQLITE_CORE_H_INCLUDED_ */
