
/*
 * The adapter that waits: poll() for PostgreSQL, nothing for SQLite.  No
 * nginx.
 */


#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <libpq-fe.h>
#include "ngx_http_agents_db_batch.h"
#include "ngx_http_agents_db_pg.h"
#include "ngx_http_agents_db_poll.h"
#include "ngx_http_agents_db_sqlite.h"
#include "ngx_http_agents_migrations.h"


/* To connect, and to learn the schema's version. */
#define NGX_HTTP_AGENTS_DB_POLL_TIMEOUT  10000

/* pg_advisory_xact_lock()'s key: "agents" in ASCII. */
#define NGX_HTTP_AGENTS_DB_POLL_LOCK     "107079807103091"


typedef struct {
    ngx_http_agents_db_t          db;           /* first */
    char                         *conninfo;     /* NULL: SQLite */
    ngx_http_agents_db_pg_t      *pg;
    ngx_http_agents_db_sqlite_t  *writer;
    ngx_http_agents_db_sqlite_t  *reader;
} ngx_http_agents_db_poll_t;


static int ngx_http_agents_db_poll_open_sqlite(
    ngx_http_agents_db_poll_t *store, const char *path, char *err,
    size_t errlen);
static int ngx_http_agents_db_poll_open_pg(ngx_http_agents_db_poll_t *store,
    const char *conninfo, char *err, size_t errlen);
static void ngx_http_agents_db_poll_submit(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_poll_sqlite(ngx_http_agents_db_poll_t *store,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_poll_pg(ngx_http_agents_db_poll_t *store,
    ngx_http_agents_db_batch_t *batch);
static int ngx_http_agents_db_poll_ready(ngx_http_agents_db_poll_t *store,
    char *err, size_t errlen);
static int ngx_http_agents_db_poll_step(ngx_http_agents_db_pg_t *pg,
    int64_t timeout);
static PGconn *ngx_http_agents_db_poll_connect(
    ngx_http_agents_db_poll_t *store, char *err, size_t errlen);
static int ngx_http_agents_db_poll_exec(PGconn *conn, const char *sql,
    char *err, size_t errlen);
static int ngx_http_agents_db_poll_version(PGconn *conn, int64_t *version,
    char *err, size_t errlen);
static int ngx_http_agents_db_poll_version_sqlite(
    ngx_http_agents_db_poll_t *store, int64_t *version, char *err,
    size_t errlen);
static void ngx_http_agents_db_poll_error(char *err, size_t errlen,
    const char *message);
static void ngx_http_agents_db_poll_notice_handler(void *data,
    const char *message);
static int64_t ngx_http_agents_db_poll_now(void);


ngx_http_agents_db_t *
ngx_http_agents_db_poll_open(const char *spec, char *err, size_t errlen)
{
    int                         rc;
    size_t                      n;
    ngx_http_agents_db_poll_t  *store;

    store = calloc(1, sizeof(ngx_http_agents_db_poll_t));
    if (store == NULL) {
        snprintf(err, errlen, "no memory");
        return NULL;
    }

    store->db.submit = ngx_http_agents_db_poll_submit;

    n = strlen(NGX_HTTP_AGENTS_DB_POLL_SQLITE);

    if (strncmp(spec, NGX_HTTP_AGENTS_DB_POLL_SQLITE, n) == 0) {
        rc = ngx_http_agents_db_poll_open_sqlite(store, spec + n, err, errlen);
        goto done;
    }

    n = strlen(NGX_HTTP_AGENTS_DB_POLL_POSTGRES);

    if (strncmp(spec, NGX_HTTP_AGENTS_DB_POLL_POSTGRES, n) == 0) {
        rc = ngx_http_agents_db_poll_open_pg(store, spec + n, err, errlen);
        goto done;
    }

    snprintf(err, errlen, "\"%s\" is not a store: it is \"sqlite:PATH\" or "
             "\"postgres:CONNINFO\"", spec);
    rc = -1;

done:

    if (rc != 0) {
        ngx_http_agents_db_poll_close(&store->db);
        return NULL;
    }

    return &store->db;
}


static int
ngx_http_agents_db_poll_open_sqlite(ngx_http_agents_db_poll_t *store,
    const char *path, char *err, size_t errlen)
{
    store->writer = ngx_http_agents_db_sqlite_open(path,
                                       NGX_HTTP_AGENTS_DB_SQLITE_WRITER,
                                       err, errlen);
    if (store->writer == NULL) {
        return -1;
    }

    store->reader = ngx_http_agents_db_sqlite_open(path,
                                       NGX_HTTP_AGENTS_DB_SQLITE_READER,
                                       err, errlen);

    return store->reader ? 0 : -1;
}


static int
ngx_http_agents_db_poll_open_pg(ngx_http_agents_db_poll_t *store,
    const char *conninfo, char *err, size_t errlen)
{
    ngx_http_agents_db_pg_conf_t  conf;

    memset(&conf, 0, sizeof(ngx_http_agents_db_pg_conf_t));
    conf.schema = NGX_HTTP_AGENTS_MIGRATIONS_N;

    store->conninfo = strdup(conninfo);
    store->pg = ngx_http_agents_db_pg_create(&conf);

    if (store->conninfo == NULL || store->pg == NULL) {
        snprintf(err, errlen, "no memory");
        return -1;
    }

    if (ngx_http_agents_db_poll_ready(store, err, errlen) != 0
        && ngx_http_agents_db_pg_state(store->pg)
           != NGX_HTTP_AGENTS_DB_PG_UNMIGRATED)
    {
        return -1;
    }

    return 0;
}


int
ngx_http_agents_db_poll_run(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch)
{
    int                         rc;
    ngx_http_agents_db_poll_t  *store;

    store = (ngx_http_agents_db_poll_t *) db;

    if (store->conninfo) {
        ngx_http_agents_db_poll_pg(store, batch);

    } else {
        ngx_http_agents_db_poll_sqlite(store, batch);
    }

    rc = (batch->status == NGX_HTTP_AGENTS_DB_OK) ? 0 : -1;

    if (batch->done) {
        batch->done(batch, batch->data);
    }

    return rc;
}


static void
ngx_http_agents_db_poll_submit(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch)
{
    (void) ngx_http_agents_db_poll_run(db, batch);
}


static void
ngx_http_agents_db_poll_sqlite(ngx_http_agents_db_poll_t *store,
    ngx_http_agents_db_batch_t *batch)
{
    batch->next = NULL;

    if (batch->kind == NGX_HTTP_AGENTS_DB_WRITE) {
        ngx_http_agents_db_sqlite_write(store->writer, batch);

    } else {
        ngx_http_agents_db_sqlite_read(store->reader, batch);
    }
}


static void
ngx_http_agents_db_poll_pg(ngx_http_agents_db_poll_t *store,
    ngx_http_agents_db_batch_t *batch)
{
    char                         err[256];
    int64_t                      now;
    ngx_http_agents_db_pg_t     *pg;
    ngx_http_agents_db_batch_t  *done;

    pg = store->pg;

    ngx_http_agents_db_batch_rewind(batch);

    if (ngx_http_agents_db_poll_ready(store, err, sizeof(err)) != 0) {
        batch->status = NGX_HTTP_AGENTS_DB_UNAVAILABLE;
        snprintf(batch->error, sizeof(batch->error), "%s", err);
        return;
    }

    now = ngx_http_agents_db_poll_now();

    ngx_http_agents_db_pg_submit(pg, batch, now);
    ngx_http_agents_db_pg_flush(pg, now);

    for ( ;; ) {

        if (ngx_http_agents_db_pg_state(pg) == NGX_HTTP_AGENTS_DB_PG_LOST) {
            ngx_http_agents_db_pg_close(pg);
        }

        done = ngx_http_agents_db_pg_next(pg);
        if (done) {
            return;
        }

        (void) ngx_http_agents_db_poll_step(pg,
                                            NGX_HTTP_AGENTS_DB_PG_DEADLINE);
    }
}


/* Connects, or asks again for the schema's version, until it is READY. */

static int
ngx_http_agents_db_poll_ready(ngx_http_agents_db_poll_t *store, char *err,
    size_t errlen)
{
    int64_t                          until;
    ngx_http_agents_db_pg_t         *pg;
    ngx_http_agents_db_pg_state_e    state;
    ngx_http_agents_db_pg_params_t   params;

    pg = store->pg;
    until = ngx_http_agents_db_poll_now() + NGX_HTTP_AGENTS_DB_POLL_TIMEOUT;

    /* an idle connection may have been lost without anybody looking */

    while (ngx_http_agents_db_poll_step(pg, 0)) { /* void */ }

    state = ngx_http_agents_db_pg_state(pg);

    if (state == NGX_HTTP_AGENTS_DB_PG_LOST) {
        ngx_http_agents_db_pg_close(pg);
        state = NGX_HTTP_AGENTS_DB_PG_CLOSED;
    }

    if (state == NGX_HTTP_AGENTS_DB_PG_CLOSED) {

        if (ngx_http_agents_db_pg_params(&params, store->conninfo, 0, 0, err,
                                         errlen)
            != 0)
        {
            return -1;
        }

        ngx_http_agents_db_pg_connect(pg, &params);
        ngx_http_agents_db_pg_params_free(&params);

    } else if (state == NGX_HTTP_AGENTS_DB_PG_UNMIGRATED) {
        ngx_http_agents_db_pg_check(pg);
    }

    for ( ;; ) {
        state = ngx_http_agents_db_pg_state(pg);

        if (state == NGX_HTTP_AGENTS_DB_PG_READY) {
            return 0;
        }

        if (state == NGX_HTTP_AGENTS_DB_PG_UNMIGRATED) {
            snprintf(err, errlen, "not migrated, run \"agentsctl migrate\": "
                     "%s", ngx_http_agents_db_pg_error(pg));
            return -1;
        }

        if (state == NGX_HTTP_AGENTS_DB_PG_LOST) {
            snprintf(err, errlen, "%s", ngx_http_agents_db_pg_error(pg));
            ngx_http_agents_db_pg_close(pg);
            return -1;
        }

        if (ngx_http_agents_db_poll_now() >= until) {
            snprintf(err, errlen, "no answer from the server in time");
            ngx_http_agents_db_pg_close(pg);
            return -1;
        }

        (void) ngx_http_agents_db_poll_step(pg,
                                      until - ngx_http_agents_db_poll_now());
    }
}


/* Waits for the descriptor or the clock, once; whether it was the former. */

static int
ngx_http_agents_db_poll_step(ngx_http_agents_db_pg_t *pg, int64_t timeout)
{
    int            rc;
    int64_t        due;
    unsigned       events;
    struct pollfd  pfd;

    due = ngx_http_agents_db_pg_timeout(pg, ngx_http_agents_db_poll_now());

    if (due >= 0 && due < timeout) {
        timeout = due;
    }

    events = ngx_http_agents_db_pg_events(pg);

    pfd.fd = events ? ngx_http_agents_db_pg_fd(pg) : -1;
    pfd.events = 0;
    pfd.revents = 0;

    if (events & NGX_HTTP_AGENTS_DB_PG_READ) {
        pfd.events |= POLLIN;
    }

    if (events & NGX_HTTP_AGENTS_DB_PG_WRITE) {
        pfd.events |= POLLOUT;
    }

    rc = poll(&pfd, 1, timeout > 0 ? (int) timeout : 0);

    if (rc > 0) {
        events = 0;

        if (pfd.revents & (POLLIN | POLLERR | POLLHUP)) {
            events |= NGX_HTTP_AGENTS_DB_PG_READ;
        }

        if (pfd.revents & POLLOUT) {
            events |= NGX_HTTP_AGENTS_DB_PG_WRITE;
        }

        ngx_http_agents_db_pg_io(pg, events, ngx_http_agents_db_poll_now());
    }

    /* interrupted, or nothing yet: the caller comes again */

    ngx_http_agents_db_pg_tick(pg, ngx_http_agents_db_poll_now());

    return rc > 0;
}


int
ngx_http_agents_db_poll_migrate(ngx_http_agents_db_t *db, int64_t *from,
    int64_t *to, char *err, size_t errlen)
{
    int                         rc;
    PGconn                     *conn;
    const char                 *text;
    ngx_http_agents_db_poll_t  *store;

    store = (ngx_http_agents_db_poll_t *) db;

    *from = 0;
    *to = 0;

    if (store->conninfo == NULL) {
        rc = ngx_http_agents_db_poll_version_sqlite(store, to, err, errlen);
        *from = *to;
        return rc;
    }

    conn = ngx_http_agents_db_poll_connect(store, err, errlen);
    if (conn == NULL) {
        return -1;
    }

    rc = ngx_http_agents_db_poll_exec(conn, "BEGIN; SELECT "
                  "pg_advisory_xact_lock(" NGX_HTTP_AGENTS_DB_POLL_LOCK ")",
                  err, errlen);

    if (rc == 0) {
        rc = ngx_http_agents_db_poll_version(conn, from, err, errlen);
        *to = *from;
    }

    while (rc == 0) {

        text = ngx_http_agents_migrations_next(NGX_HTTP_AGENTS_DB_POSTGRES,
                                               *to);
        if (text == NULL) {
            rc = ngx_http_agents_db_poll_exec(conn, "COMMIT", err, errlen);
            break;
        }

        rc = ngx_http_agents_db_poll_exec(conn, text, err, errlen);
        (*to)++;
    }

    /* an open transaction is rolled back with the connection */

    PQfinish(conn);

    if (rc != 0) {
        *to = *from;
    }

    return rc;
}


static PGconn *
ngx_http_agents_db_poll_connect(ngx_http_agents_db_poll_t *store, char *err,
    size_t errlen)
{
    PGconn                          *conn;
    ngx_http_agents_db_pg_params_t   params;

    if (ngx_http_agents_db_pg_params(&params, store->conninfo, 0, 0, err,
                                     errlen)
        != 0)
    {
        return NULL;
    }

    conn = PQconnectdbParams((const char *const *) params.keywords,
                             (const char *const *) params.values, 0);

    ngx_http_agents_db_pg_params_free(&params);

    if (PQstatus(conn) != CONNECTION_OK) {
        ngx_http_agents_db_poll_error(err, errlen, PQerrorMessage(conn));
        PQfinish(conn);
        return NULL;
    }

    (void) PQsetNoticeProcessor(conn, ngx_http_agents_db_poll_notice_handler,
                                NULL);

    return conn;
}


static int
ngx_http_agents_db_poll_exec(PGconn *conn, const char *sql, char *err,
    size_t errlen)
{
    int              rc;
    PGresult        *res;
    ExecStatusType   status;

    res = PQexec(conn, sql);
    status = PQresultStatus(res);

    rc = (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) ? 0 : -1;

    if (rc != 0) {
        ngx_http_agents_db_poll_error(err, errlen, PQerrorMessage(conn));
    }

    PQclear(res);

    return rc;
}


static int
ngx_http_agents_db_poll_version(PGconn *conn, int64_t *version, char *err,
    size_t errlen)
{
    PGresult  *res;

    *version = 0;

    res = PQexec(conn, "SELECT to_regclass('agents_schema')");

    if (PQresultStatus(res) == PGRES_TUPLES_OK && PQgetisnull(res, 0, 0)) {
        PQclear(res);
        return 0;
    }

    PQclear(res);

    res = PQexec(conn, ngx_http_agents_migrations_version.sql);

    if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) != 1) {
        ngx_http_agents_db_poll_error(err, errlen, PQerrorMessage(conn));
        PQclear(res);
        return -1;
    }

    *version = (int64_t) strtoll(PQgetvalue(res, 0, 0), NULL, 10);

    PQclear(res);

    return 0;
}


static int
ngx_http_agents_db_poll_version_sqlite(ngx_http_agents_db_poll_t *store,
    int64_t *version, char *err, size_t errlen)
{
    int                          rc;
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ, NULL, NULL);
    if (batch == NULL) {
        snprintf(err, errlen, "no memory");
        return -1;
    }

    ngx_http_agents_db_add(batch, &ngx_http_agents_migrations_version);

    rc = ngx_http_agents_db_poll_run(&store->db, batch);

    if (rc == 0) {
        *version = ngx_http_agents_db_get_int(batch, 0, 0, 0);

    } else {
        ngx_http_agents_db_poll_error(err, errlen, batch->error);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


void
ngx_http_agents_db_poll_close(ngx_http_agents_db_t *db)
{
    ngx_http_agents_db_poll_t  *store;

    store = (ngx_http_agents_db_poll_t *) db;

    if (store->pg) {
        ngx_http_agents_db_pg_destroy(store->pg);
    }

    if (store->reader) {
        ngx_http_agents_db_sqlite_close(store->reader);
    }

    if (store->writer) {
        ngx_http_agents_db_sqlite_close(store->writer);
    }

    free(store->conninfo);
    free(store);
}


/* The first line. */

static void
ngx_http_agents_db_poll_error(char *err, size_t errlen, const char *message)
{
    snprintf(err, errlen, "%s", message);
    err[strcspn(err, "\r\n")] = '\0';
}


static void
ngx_http_agents_db_poll_notice_handler(void *data, const char *message)
{
    /* "table exists, skipping" and the like: of no interest to anyone */

    (void) data;
    (void) message;
}


static int64_t
ngx_http_agents_db_poll_now(void)
{
    struct timespec  ts;

    /* it cannot fail for a clock that is always there */
    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
