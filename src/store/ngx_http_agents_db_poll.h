
/*
 * The store for programs without an event loop: agentsctl, the tests, the
 * benchmarks.  One connection; a batch is run to its end.  No nginx, and one
 * thread at a time.
 */


#ifndef _NGX_HTTP_AGENTS_DB_POLL_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_POLL_H_INCLUDED_


#include "ngx_http_agents_db.h"


/* What a spec begins with. */
#define NGX_HTTP_AGENTS_DB_POLL_SQLITE    "sqlite:"
#define NGX_HTTP_AGENTS_DB_POLL_POSTGRES  "postgres:"


/*
 * Opens "sqlite:PATH" or "postgres:CONNINFO".  SQLite applies its migrations
 * at this; a PostgreSQL that is not migrated yet is opened all the same, and
 * refuses batches until it is.  NULL: "err" says why.
 */
ngx_http_agents_db_t *ngx_http_agents_db_poll_open(const char *spec,
    char *err, size_t errlen);

/*
 * Runs the batch and calls its "done", if it has one (it may free the batch).
 * 0 if the batch's status is DB_OK.  The store's "submit" does the same.
 * A lost connection is made again by the next call.
 */
int ngx_http_agents_db_poll_run(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch);

/*
 * Brings the schema to NGX_HTTP_AGENTS_MIGRATIONS_N: PostgreSQL under an
 * advisory lock, all of it in one transaction; SQLite has done so when it was
 * opened.  "from" and "to" receive the versions before and after.  0 or -1,
 * with "err" filled.
 */
int ngx_http_agents_db_poll_migrate(ngx_http_agents_db_t *db, int64_t *from,
    int64_t *to, char *err, size_t errlen);

void ngx_http_agents_db_poll_close(ngx_http_agents_db_t *db);


#endif /* _NGX_HTTP_AGENTS_DB_POLL_H_INCLUDED_ */
