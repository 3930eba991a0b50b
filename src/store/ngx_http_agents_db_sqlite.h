
/*
 * The SQLite driver's core: synchronous, on one connection, which one thread
 * at a time may use (any thread; it takes no lock).  A connection is opened
 * after fork and never crosses one.  No nginx.
 *
 * It gives a batch its status and results and calls nothing back: that is
 * the adapter's.
 */


#ifndef _NGX_HTTP_AGENTS_DB_SQLITE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_SQLITE_H_INCLUDED_


#include "ngx_http_agents_db_batch.h"


typedef struct ngx_http_agents_db_sqlite_s  ngx_http_agents_db_sqlite_t;


typedef enum {
    NGX_HTTP_AGENTS_DB_SQLITE_READER = 0,   /* waits for locks, about 5 s */
    NGX_HTTP_AGENTS_DB_SQLITE_INLINE,       /* a reader that never waits, for
                                               the event loop */
    NGX_HTTP_AGENTS_DB_SQLITE_WRITER,       /* makes the file, migrates it */
    NGX_HTTP_AGENTS_DB_SQLITE_WRITER_AGAIN  /* neither: it was there before */
} ngx_http_agents_db_sqlite_mode_e;


/*
 * Opens "path": NULL with the reason in "err", which says what would be
 * right.  A writer makes the file (0600) where there is none and brings the
 * schema up to date, whoever else opens it at the same moment.  All others need
 * the file that a writer has made: a store that is gone, with its disk maybe,
 * is not begun anew.
 */
ngx_http_agents_db_sqlite_t *ngx_http_agents_db_sqlite_open(const char *path,
    ngx_http_agents_db_sqlite_mode_e mode, char *err, size_t errlen);

void ngx_http_agents_db_sqlite_close(ngx_http_agents_db_sqlite_t *conn);

/* How long it waits for locks from now on, in milliseconds. */
void ngx_http_agents_db_sqlite_patience(ngx_http_agents_db_sqlite_t *conn,
    long msec);

/*
 * Runs a batch of reads in one transaction.  An INLINE connection that would
 * have to wait answers DB_UNAVAILABLE: the batch may be read again (after
 * batch_rewind) on a reader.
 */
void ngx_http_agents_db_sqlite_read(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *batch);

/*
 * Runs a list of batches, linked by "next", in its order, each atomic on its
 * own, in one commit.  When it returns all of them have their final status,
 * and what is OK is on the disk.
 */
void ngx_http_agents_db_sqlite_write(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *list);

/*
 * The error that the connection has met (I/O, a file that was replaced) after
 * which it should be closed and opened again; NULL: none.
 */
const char *ngx_http_agents_db_sqlite_broken(
    const ngx_http_agents_db_sqlite_t *conn);


#endif /* _NGX_HTTP_AGENTS_DB_SQLITE_H_INCLUDED_ */
