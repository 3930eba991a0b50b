
/*
 * The one asynchronous interface to the database.  A batch is a list of
 * statements with named parameters; it is atomic, and its results go to a
 * callback.  No nginx here: the nginx adapter (db_nginx) and the poll()
 * adapter of agentsctl (db_poll) both implement it, over two drivers
 * (db_sqlite, db_pg).
 *
 * SQL is written once for both engines, as templates:
 *
 *     {name}           a TEXT parameter        {name:int}   a BIGINT one
 *     {now}            the database's clock, in milliseconds since 1970
 *     {skip_locked}    FOR UPDATE SKIP LOCKED where the engine has it
 *     {length}         a function: the length of a text, in bytes on
 *                      PostgreSQL, in characters on SQLite
 *     {notify_stop}    in RETURNING of an INSERT into agents_stops: on
 *                      PostgreSQL the worker is notified
 *     {lock_owner}     in SELECT, of company_id and user_id: on PostgreSQL one
 *                      batch at a time gets past it for an owner, until its
 *                      end; SQLite has one writer anyway
 *     {name:each}      in FROM: the elements of a JSON array, which is a TEXT
 *                      parameter, as rows of "value"; value->>0 is then the
 *                      first of an element that is an array itself
 */


#ifndef _NGX_HTTP_AGENTS_DB_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* What a statement is; drivers prepare each once per connection, by address. */
typedef struct {
    const char  *name;          /* unique; of the prepared statement */
    const char  *sql;           /* a template, above */
} ngx_http_agents_db_query_t;


typedef enum {
    NGX_HTTP_AGENTS_DB_READ = 0,
    NGX_HTTP_AGENTS_DB_POINT,   /* reads of a few rows by key: the SQLite
                                   adapter may run them in the event loop; the
                                   PostgreSQL driver may make one statement of
                                   several */
    NGX_HTTP_AGENTS_DB_WRITE
} ngx_http_agents_db_kind_e;


typedef enum {
    NGX_HTTP_AGENTS_DB_OK = 0,
    NGX_HTTP_AGENTS_DB_UNAVAILABLE, /* no connection, not migrated, locked,
                                       full, no memory: nothing was changed */
    NGX_HTTP_AGENTS_DB_UNKNOWN,     /* lost in the middle of a commit: it may
                                       or may not have been changed */
    NGX_HTTP_AGENTS_DB_CONSTRAINT,  /* a unique constraint: nothing changed */
    NGX_HTTP_AGENTS_DB_ERROR        /* anything else, nothing changed; logged
                                       by the adapter */
} ngx_http_agents_db_status_e;


typedef struct ngx_http_agents_db_s        ngx_http_agents_db_t;
typedef struct ngx_http_agents_db_batch_s  ngx_http_agents_db_batch_t;

/*
 * Called once per submitted batch, in the event loop, never from within
 * submit.  The batch is the callee's: it frees it, then or later.
 */
typedef void (*ngx_http_agents_db_done_pt)(ngx_http_agents_db_batch_t *batch,
    void *data);


/* What an adapter is to those who use it. */
struct ngx_http_agents_db_s {
    void  (*submit)(ngx_http_agents_db_t *db, ngx_http_agents_db_batch_t *b);
};


/* NULL without memory. */
ngx_http_agents_db_batch_t *ngx_http_agents_db_batch(
    ngx_http_agents_db_kind_e kind, ngx_http_agents_db_done_pt done,
    void *data);
void ngx_http_agents_db_batch_free(ngx_http_agents_db_batch_t *batch);

/*
 * Adds a statement; the binds after it are its own.  Without memory the
 * batch is marked, and submit then answers DB_UNAVAILABLE.  Values are copied;
 * a NULL text is SQL's NULL.  Binding a name that the statement does not
 * have, or leaving one unbound, is DB_ERROR too (a fault of the program).
 */
void ngx_http_agents_db_add(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_db_query_t *query);
void ngx_http_agents_db_text(ngx_http_agents_db_batch_t *batch,
    const char *name, const char *value, size_t len);
void ngx_http_agents_db_cstr(ngx_http_agents_db_batch_t *batch,
    const char *name, const char *value);
void ngx_http_agents_db_int(ngx_http_agents_db_batch_t *batch,
    const char *name, int64_t value);

/* What goes into the batch could not be made: as if it had no memory itself. */
void ngx_http_agents_db_fail(ngx_http_agents_db_batch_t *batch);

/* A NULL "batch" is refused by no one: the caller checks batch() itself. */
void ngx_http_agents_db_submit(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch);


/* Results: statements and columns count from 0, in their order. */
ngx_http_agents_db_status_e ngx_http_agents_db_status(
    const ngx_http_agents_db_batch_t *batch);
size_t ngx_http_agents_db_rows(const ngx_http_agents_db_batch_t *batch,
    size_t statement);

/* Rows that an INSERT, UPDATE or DELETE changed (RETURNING or not). */
int64_t ngx_http_agents_db_changes(const ngx_http_agents_db_batch_t *batch,
    size_t statement);

/* NUL terminated, alive as long as the batch; NULL for SQL's NULL. */
const char *ngx_http_agents_db_get(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, size_t column, size_t *len);

/* 0 for SQL's NULL. */
int64_t ngx_http_agents_db_get_int(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, size_t column);


#endif /* _NGX_HTTP_AGENTS_DB_H_INCLUDED_ */
