
/*
 * The PostgreSQL driver's core: one connection in libpq's pipeline mode, as a
 * state machine that never waits.  An adapter (db_nginx_pg, db_poll) watches
 * the descriptor and the clock for it.  No nginx; one thread at a time.
 *
 *   CLOSED -- connect() --> CONNECTING --> CHECKING    asks for the version
 *
 *   CHECKING --> READY           it will do; it LISTENs, if it should
 *   CHECKING --> UNMIGRATED      it is too low, or there is none
 *   READY --> UNMIGRATED         a batch met a table that is not there
 *   UNMIGRATED -- check() --> CHECKING
 *
 *   any state --> LOST           an error of the connection
 *   any state -- close() --> CLOSED
 *
 * Batches are gathered and sent by flush(), reads as soon as none is in flight.
 * What stands between two Syncs is one transaction of the server: a write batch
 * alone, or the reads that were gathered; point reads of one query among them
 * are one statement.  Finished batches are taken with next().
 */


#ifndef _NGX_HTTP_AGENTS_DB_PG_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_PG_H_INCLUDED_


#include "ngx_http_agents_db_batch.h"


typedef enum {
    NGX_HTTP_AGENTS_DB_PG_CLOSED = 0,
    NGX_HTTP_AGENTS_DB_PG_CONNECTING,
    NGX_HTTP_AGENTS_DB_PG_CHECKING,     /* asks for the schema's version */
    NGX_HTTP_AGENTS_DB_PG_READY,
    NGX_HTTP_AGENTS_DB_PG_UNMIGRATED,   /* until check() finds it migrated */
    NGX_HTTP_AGENTS_DB_PG_LOST          /* error() says why; close() is due */
} ngx_http_agents_db_pg_state_e;


#define NGX_HTTP_AGENTS_DB_PG_READ   1
#define NGX_HTTP_AGENTS_DB_PG_WRITE  2

/* How long a batch may wait for its turn, or for its answer. */
#define NGX_HTTP_AGENTS_DB_PG_DEADLINE  10000


typedef struct ngx_http_agents_db_pg_s  ngx_http_agents_db_pg_t;


typedef struct {
    int64_t    schema;          /* the least version that will do */
    unsigned   no_prepare:1;    /* for PgBouncer in transaction mode */
    unsigned   writes:1;        /* a server that is read-only will not do */

    /* what the server says besides, a line each; may be NULL */
    void     (*notice)(void *data, const char *text);

    /* NULL, or: the connection LISTENs, and hears of each NOTIFY */
    void     (*notified)(void *data, const char *payload);
    void      *data;
} ngx_http_agents_db_pg_conf_t;


/* Keywords and values for connect(), NULL terminated; malloc'd. */
typedef struct {
    char     **keywords;
    char     **values;
    size_t     n;
    size_t     size;
    int        timeout;         /* connect_timeout in seconds; 0: not given */
} ngx_http_agents_db_pg_params_t;


/*
 * Reads a conninfo and resolves its host names: this waits for the network,
 * so it is for pool threads and programs.  Every address of a host is tried
 * in turn, beginning with number "first" of all, counted around the end: libpq
 * does not go on by itself where one does not answer.  "prepares": the
 * connection will keep prepared statements, and sets the server's planner for
 * that.  0, or -1 with the reason in "err".
 */
int ngx_http_agents_db_pg_params(ngx_http_agents_db_pg_params_t *params,
    const char *conninfo, int prepares, size_t first, char *err,
    size_t errlen);

/* Checks a conninfo, resolves nothing.  0, or -1 with the reason. */
int ngx_http_agents_db_pg_params_check(const char *conninfo, char *err,
    size_t errlen);
void ngx_http_agents_db_pg_params_free(ngx_http_agents_db_pg_params_t *params);


/* A connection, CLOSED.  NULL without memory. */
ngx_http_agents_db_pg_t *ngx_http_agents_db_pg_create(
    const ngx_http_agents_db_pg_conf_t *conf);

/* Drops the batches that it holds: close() and next() come before. */
void ngx_http_agents_db_pg_destroy(ngx_http_agents_db_pg_t *pg);

/* CLOSED -> CONNECTING, or LOST. */
void ngx_http_agents_db_pg_connect(ngx_http_agents_db_pg_t *pg,
    const ngx_http_agents_db_pg_params_t *params);

/*
 * LOST or any other state -> CLOSED.  Batches that were not sent and reads
 * finish as DB_UNAVAILABLE, writes in flight as DB_UNKNOWN.
 */
void ngx_http_agents_db_pg_close(ngx_http_agents_db_pg_t *pg);

/* UNMIGRATED -> CHECKING. */
void ngx_http_agents_db_pg_check(ngx_http_agents_db_pg_t *pg);

ngx_http_agents_db_pg_state_e ngx_http_agents_db_pg_state(
    const ngx_http_agents_db_pg_t *pg);

/* Why the connection is LOST or UNMIGRATED; one line. */
const char *ngx_http_agents_db_pg_error(const ngx_http_agents_db_pg_t *pg);

/*
 * The descriptor (-1: none) and what to wait for.  While CONNECTING, the
 * descriptor may be another one after each io().
 */
int ngx_http_agents_db_pg_fd(const ngx_http_agents_db_pg_t *pg);
unsigned ngx_http_agents_db_pg_events(const ngx_http_agents_db_pg_t *pg);

/* The descriptor is ready for "events"; "now" in monotonic milliseconds. */
void ngx_http_agents_db_pg_io(ngx_http_agents_db_pg_t *pg, unsigned events,
    int64_t now);

/* How many batches it holds: to choose between connections. */
size_t ngx_http_agents_db_pg_load(const ngx_http_agents_db_pg_t *pg);

/*
 * Takes a batch; it is sent by the next flush().  In a state other than READY
 * it finishes at once as DB_UNAVAILABLE.
 */
void ngx_http_agents_db_pg_submit(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_batch_t *batch, int64_t now);
void ngx_http_agents_db_pg_flush(ngx_http_agents_db_pg_t *pg, int64_t now);

/*
 * What time brings: batches that are to be repeated, and deadlines.  A batch
 * in flight for longer than the deadline makes the connection LOST.
 */
void ngx_http_agents_db_pg_tick(ngx_http_agents_db_pg_t *pg, int64_t now);

/* Milliseconds until the next tick() is due; -1: none. */
int64_t ngx_http_agents_db_pg_timeout(const ngx_http_agents_db_pg_t *pg,
    int64_t now);

/* Takes the next finished batch; NULL: none. */
ngx_http_agents_db_batch_t *ngx_http_agents_db_pg_next(
    ngx_http_agents_db_pg_t *pg);


#endif /* _NGX_HTTP_AGENTS_DB_PG_H_INCLUDED_ */
