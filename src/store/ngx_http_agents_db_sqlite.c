
/*
 * How batches run on a connection to SQLite.  No nginx.
 */


#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_db_sqlite_core.h"


static int ngx_http_agents_db_sqlite_moved(ngx_http_agents_db_sqlite_t *conn);
static void ngx_http_agents_db_sqlite_break(ngx_http_agents_db_sqlite_t *conn,
    const char *why);
static void ngx_http_agents_db_sqlite_lost(ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_sqlite_statements(
    ngx_http_agents_db_sqlite_t *conn, ngx_http_agents_db_batch_t *batch);
static int ngx_http_agents_db_sqlite_statement(
    ngx_http_agents_db_sqlite_t *conn, ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_db_statement_t *statement);
static ngx_http_agents_db_sqlite_prepared_t *ngx_http_agents_db_sqlite_prepare(
    ngx_http_agents_db_sqlite_t *conn,
    const ngx_http_agents_db_query_t *query, int *rc);
static int ngx_http_agents_db_sqlite_bind(
    const ngx_http_agents_db_sqlite_prepared_t *prepared,
    const ngx_http_agents_db_statement_t *statement);
static int ngx_http_agents_db_sqlite_rows(sqlite3_stmt *stmt,
    ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_db_statement_t *statement);
static int ngx_http_agents_db_sqlite_row(sqlite3_stmt *stmt,
    ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_db_statement_t *statement,
    ngx_http_agents_db_cell_t *cells);
static int ngx_http_agents_db_sqlite_control(ngx_http_agents_db_sqlite_t *conn,
    const ngx_http_agents_db_query_t *query);
static int ngx_http_agents_db_sqlite_one(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_sqlite_commit_all(
    ngx_http_agents_db_sqlite_t *conn, ngx_http_agents_db_batch_t *list);
static void ngx_http_agents_db_sqlite_undo(ngx_http_agents_db_batch_t *list,
    const ngx_http_agents_db_batch_t *end, ngx_http_agents_db_status_e status,
    const char *error);
static void ngx_http_agents_db_sqlite_fail(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *batch, int rc, const char *name);
static ngx_http_agents_db_status_e ngx_http_agents_db_sqlite_status(
    ngx_http_agents_db_sqlite_t *conn, int rc);


static const ngx_http_agents_db_query_t  ngx_http_agents_db_sqlite_begin = {
    "begin", "BEGIN"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_db_sqlite_immediate = {
    "begin_immediate", "BEGIN IMMEDIATE"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_db_sqlite_commit = {
    "commit", "COMMIT"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_db_sqlite_rollback = {
    "rollback", "ROLLBACK"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_db_sqlite_savepoint = {
    "savepoint", "SAVEPOINT batch"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_db_sqlite_release = {
    "release", "RELEASE batch"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_db_sqlite_back = {
    "rollback_to", "ROLLBACK TO batch"
};


const char *
ngx_http_agents_db_sqlite_broken(const ngx_http_agents_db_sqlite_t *conn)
{
    return conn->broken ? conn->why : NULL;
}


void
ngx_http_agents_db_sqlite_read(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *batch)
{
    int  rc;

    if (ngx_http_agents_db_sqlite_moved(conn)) {
        ngx_http_agents_db_sqlite_lost(batch);
        return;
    }

    /* one statement is a transaction by itself */

    if (batch->n == 1) {
        ngx_http_agents_db_sqlite_statements(conn, batch);
        return;
    }

    rc = ngx_http_agents_db_sqlite_control(conn,
                                           &ngx_http_agents_db_sqlite_begin);

    if (rc != SQLITE_OK) {
        ngx_http_agents_db_sqlite_fail(conn, batch, rc, "begin");
        return;
    }

    ngx_http_agents_db_sqlite_statements(conn, batch);

    rc = ngx_http_agents_db_sqlite_control(conn,
                                           &ngx_http_agents_db_sqlite_commit);

    if (rc != SQLITE_OK && batch->status == NGX_HTTP_AGENTS_DB_OK) {
        ngx_http_agents_db_sqlite_fail(conn, batch, rc, "commit");
    }

    if (!sqlite3_get_autocommit(conn->db)) {
        ngx_http_agents_db_sqlite_break(conn, "a transaction stays open");
    }
}


/* The first reason stands. */

static void
ngx_http_agents_db_sqlite_break(ngx_http_agents_db_sqlite_t *conn,
    const char *why)
{
    if (!conn->broken) {
        conn->broken = 1;
        snprintf(conn->why, sizeof(conn->why), "%s", why);
    }
}


/*
 * SQLite itself would go on with a file that has been removed or replaced,
 * and what it commits there would be lost.
 */

static int
ngx_http_agents_db_sqlite_moved(ngx_http_agents_db_sqlite_t *conn)
{
    int  moved;

    moved = 0;

    if (sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved)
        == SQLITE_OK
        && moved)
    {
        ngx_http_agents_db_sqlite_break(conn,
                                        "the file was removed or replaced");
    }

    return moved;
}


static void
ngx_http_agents_db_sqlite_lost(ngx_http_agents_db_batch_t *batch)
{
    batch->status = NGX_HTTP_AGENTS_DB_UNAVAILABLE;
    snprintf(batch->error, sizeof(batch->error),
             "the file was removed or replaced");
}


void
ngx_http_agents_db_sqlite_write(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *list)
{
    int                          rc;
    ngx_http_agents_db_batch_t  *batch;

    if (ngx_http_agents_db_sqlite_moved(conn)) {
        for (batch = list; batch; batch = batch->next) {
            ngx_http_agents_db_sqlite_lost(batch);
        }

        return;
    }

    rc = ngx_http_agents_db_sqlite_control(conn,
                                      &ngx_http_agents_db_sqlite_immediate);

    if (rc != SQLITE_OK) {
        for (batch = list; batch; batch = batch->next) {
            ngx_http_agents_db_sqlite_fail(conn, batch, rc, "begin");
        }

        return;
    }

    for (batch = list; batch; batch = batch->next) {

        if (ngx_http_agents_db_sqlite_one(conn, batch) == 0) {
            continue;
        }

        /*
         * the engine has rolled everything back: this batch says why, the
         * others may be tried again
         */

        ngx_http_agents_db_sqlite_undo(list, batch,
                                       NGX_HTTP_AGENTS_DB_UNAVAILABLE,
                                       batch->error);
        ngx_http_agents_db_sqlite_undo(batch->next, NULL,
                                       NGX_HTTP_AGENTS_DB_UNAVAILABLE,
                                       batch->error);
        return;
    }

    ngx_http_agents_db_sqlite_commit_all(conn, list);
}


/* 0, or -1 if the transaction is no more. */

static int
ngx_http_agents_db_sqlite_one(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *batch)
{
    int  rc;

    rc = ngx_http_agents_db_sqlite_control(conn,
                                       &ngx_http_agents_db_sqlite_savepoint);

    if (rc != SQLITE_OK) {
        ngx_http_agents_db_sqlite_fail(conn, batch, rc, "savepoint");

    } else {
        ngx_http_agents_db_sqlite_statements(conn, batch);

        if (sqlite3_get_autocommit(conn->db)) {
            return -1;
        }

        if (batch->status != NGX_HTTP_AGENTS_DB_OK) {
            rc = ngx_http_agents_db_sqlite_control(conn,
                                            &ngx_http_agents_db_sqlite_back);
        }

        if (rc == SQLITE_OK) {
            rc = ngx_http_agents_db_sqlite_control(conn,
                                         &ngx_http_agents_db_sqlite_release);
        }

        if (rc == SQLITE_OK) {
            return 0;
        }

        if (batch->status == NGX_HTTP_AGENTS_DB_OK) {
            ngx_http_agents_db_sqlite_fail(conn, batch, rc, "release");
        }
    }

    /* a savepoint that cannot be undone spoils the whole transaction */

    if (!sqlite3_get_autocommit(conn->db)) {
        (void) ngx_http_agents_db_sqlite_control(conn,
                                        &ngx_http_agents_db_sqlite_rollback);
    }

    ngx_http_agents_db_sqlite_break(conn, batch->error);

    return -1;
}


static void
ngx_http_agents_db_sqlite_commit_all(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *list)
{
    int                          rc;
    char                         error[256];
    ngx_http_agents_db_status_e  status;

    rc = ngx_http_agents_db_sqlite_control(conn,
                                           &ngx_http_agents_db_sqlite_commit);

    if (rc == SQLITE_OK) {
        return;
    }

    snprintf(error, sizeof(error), "commit: %s", sqlite3_errmsg(conn->db));

    /*
     * the log may hold the commit's frames when it could not be synced: after
     * a power cut they may count.  A lock or a full disk stop before that.
     */

    status = ngx_http_agents_db_sqlite_status(conn, rc);

    if ((rc & 0xff) == SQLITE_IOERR) {
        status = NGX_HTTP_AGENTS_DB_UNKNOWN;
    }

    if (!sqlite3_get_autocommit(conn->db)
        && ngx_http_agents_db_sqlite_control(conn,
                                        &ngx_http_agents_db_sqlite_rollback)
           != SQLITE_OK)
    {
        ngx_http_agents_db_sqlite_break(conn, error);
    }

    ngx_http_agents_db_sqlite_undo(list, NULL, status, error);
}


/* Takes back what was OK, from "list" up to "end". */

static void
ngx_http_agents_db_sqlite_undo(ngx_http_agents_db_batch_t *list,
    const ngx_http_agents_db_batch_t *end, ngx_http_agents_db_status_e status,
    const char *error)
{
    ngx_http_agents_db_batch_t  *batch;

    for (batch = list; batch != end; batch = batch->next) {

        if (batch->status != NGX_HTTP_AGENTS_DB_OK) {
            continue;
        }

        ngx_http_agents_db_batch_rewind(batch);

        batch->status = status;
        snprintf(batch->error, sizeof(batch->error), "%s", error);
    }
}


static void
ngx_http_agents_db_sqlite_statements(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *batch)
{
    int                              rc;
    ngx_http_agents_db_statement_t  *statement;

    if (batch->failed) {
        batch->status = batch->misused ? NGX_HTTP_AGENTS_DB_ERROR
                                       : NGX_HTTP_AGENTS_DB_UNAVAILABLE;
        snprintf(batch->error, sizeof(batch->error), "%s",
                 batch->misused ? "a value too many" : "no memory");
        return;
    }

    for (statement = batch->first; statement; statement = statement->next) {

        rc = ngx_http_agents_db_sqlite_statement(conn, batch, statement);

        if (rc != SQLITE_OK) {
            ngx_http_agents_db_sqlite_fail(conn, batch, rc,
                                           statement->query->name);
            return;
        }
    }

    batch->status = NGX_HTTP_AGENTS_DB_OK;
}


static int
ngx_http_agents_db_sqlite_statement(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_db_statement_t *statement)
{
    int                                    rc;
    sqlite3_stmt                          *stmt;
    ngx_http_agents_db_sqlite_prepared_t  *prepared;

    prepared = ngx_http_agents_db_sqlite_prepare(conn, statement->query, &rc);
    if (prepared == NULL) {
        return rc;
    }

    stmt = prepared->stmt;

    rc = ngx_http_agents_db_sqlite_bind(prepared, statement);

    if (rc == SQLITE_OK) {
        rc = ngx_http_agents_db_sqlite_rows(stmt, batch, statement);
    }

    if (rc == SQLITE_OK && !sqlite3_stmt_readonly(stmt)) {
        statement->changes = sqlite3_changes(conn->db);
    }

    if (rc != SQLITE_OK && rc != SQLITE_RANGE) {

        /* reset may forget the message */

        snprintf(batch->error, sizeof(batch->error), "%s",
                 sqlite3_errcode(conn->db) == rc ? sqlite3_errmsg(conn->db)
                                                 : sqlite3_errstr(rc));
    }

    (void) sqlite3_reset(stmt);
    (void) sqlite3_clear_bindings(stmt);

    return rc;
}


static ngx_http_agents_db_sqlite_prepared_t *
ngx_http_agents_db_sqlite_prepare(ngx_http_agents_db_sqlite_t *conn,
    const ngx_http_agents_db_query_t *query, int *rc)
{
    size_t                                 i;
    ngx_http_agents_db_sqlite_prepared_t  *p;

    *rc = SQLITE_NOMEM;

    for (i = 0; i < conn->n; i++) {
        if (conn->prepared[i].query == query) {
            *rc = SQLITE_OK;
            return &conn->prepared[i];
        }
    }

    if (conn->n == conn->size) {
        p = realloc(conn->prepared, (conn->size + 32) * sizeof(*p));
        if (p == NULL) {
            return NULL;
        }

        conn->prepared = p;
        conn->size += 32;
    }

    p = &conn->prepared[conn->n];
    p->query = query;

    errno = 0;

    if (ngx_http_agents_db_template_read(&p->tmpl, query->sql,
                                         NGX_HTTP_AGENTS_DB_SQLITE)
        != 0)
    {
        *rc = (errno == ENOMEM) ? SQLITE_NOMEM : SQLITE_MISUSE;
        return NULL;
    }

    *rc = sqlite3_prepare_v3(conn->db, p->tmpl.sql, -1,
                             SQLITE_PREPARE_PERSISTENT, &p->stmt, NULL);

    if (*rc != SQLITE_OK) {
        ngx_http_agents_db_template_free(&p->tmpl);
        return NULL;
    }

    conn->n++;

    return p;
}


static int
ngx_http_agents_db_sqlite_bind(
    const ngx_http_agents_db_sqlite_prepared_t *prepared,
    const ngx_http_agents_db_statement_t *statement)
{
    int                                rc;
    size_t                             i;
    const ngx_http_agents_db_value_t  *v;

    /* as many values as names, and each name with one: none is unknown */

    if (statement->nvalues != prepared->tmpl.n) {
        return SQLITE_RANGE;
    }

    for (i = 0; i < prepared->tmpl.n; i++) {

        v = ngx_http_agents_db_batch_value(statement, prepared->tmpl.names[i]);

        if (v == NULL || v->is_int != prepared->tmpl.ints[i]) {
            return SQLITE_RANGE;
        }

        if (v->is_int) {
            rc = sqlite3_bind_int64(prepared->stmt, (int) i + 1, v->integer);

        } else if (v->text) {
            rc = sqlite3_bind_text64(prepared->stmt, (int) i + 1, v->text,
                                     v->len, SQLITE_STATIC, SQLITE_UTF8);

        } else {
            rc = sqlite3_bind_null(prepared->stmt, (int) i + 1);
        }

        if (rc != SQLITE_OK) {
            return rc;
        }
    }

    return SQLITE_OK;
}


static int
ngx_http_agents_db_sqlite_rows(sqlite3_stmt *stmt,
    ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_db_statement_t *statement)
{
    int                         rc;
    size_t                      size, n;
    ngx_http_agents_db_cell_t  *cells;

    statement->columns = (size_t) sqlite3_column_count(stmt);
    size = 0;

    for ( ;; ) {
        rc = sqlite3_step(stmt);

        if (rc != SQLITE_ROW) {
            return rc == SQLITE_DONE ? SQLITE_OK : rc;
        }

        if (statement->rows == size) {
            n = size ? size * 2 : 1;

            cells = ngx_http_agents_db_batch_alloc(batch,
                       n * statement->columns
                       * sizeof(ngx_http_agents_db_cell_t));
            if (cells == NULL) {
                return SQLITE_NOMEM;
            }

            if (size) {
                memcpy(cells, statement->cells,
                       size * statement->columns
                       * sizeof(ngx_http_agents_db_cell_t));
            }

            statement->cells = cells;
            size = n;
        }

        rc = ngx_http_agents_db_sqlite_row(stmt, batch, statement,
                                           &statement->cells[statement->rows
                                                     * statement->columns]);
        if (rc != SQLITE_OK) {
            return rc;
        }

        statement->rows++;
    }
}


static int
ngx_http_agents_db_sqlite_row(sqlite3_stmt *stmt,
    ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_db_statement_t *statement,
    ngx_http_agents_db_cell_t *cells)
{
    int                   n;
    char                 *copy;
    size_t                i, len;
    const unsigned char  *text;

    for (i = 0; i < statement->columns; i++) {

        memset(&cells[i], 0, sizeof(ngx_http_agents_db_cell_t));

        n = (int) i;

        switch (sqlite3_column_type(stmt, n)) {

        case SQLITE_NULL:
            break;

        case SQLITE_INTEGER:
            cells[i].integer = sqlite3_column_int64(stmt, n);
            cells[i].is_int = 1;
            break;

        default:
            text = sqlite3_column_text(stmt, n);
            if (text == NULL) {
                return SQLITE_NOMEM;
            }

            len = (size_t) sqlite3_column_bytes(stmt, n);

            copy = ngx_http_agents_db_batch_alloc(batch, len + 1);
            if (copy == NULL) {
                return SQLITE_NOMEM;
            }

            memcpy(copy, text, len);
            copy[len] = '\0';

            cells[i].text = copy;
            cells[i].len = len;
        }
    }

    return SQLITE_OK;
}


/* BEGIN and the like: prepared as all queries are, and without results. */

static int
ngx_http_agents_db_sqlite_control(ngx_http_agents_db_sqlite_t *conn,
    const ngx_http_agents_db_query_t *query)
{
    int                                    rc;
    ngx_http_agents_db_sqlite_prepared_t  *prepared;

    prepared = ngx_http_agents_db_sqlite_prepare(conn, query, &rc);
    if (prepared == NULL) {
        return rc;
    }

    rc = sqlite3_step(prepared->stmt);
    (void) sqlite3_reset(prepared->stmt);

    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}


static void
ngx_http_agents_db_sqlite_fail(ngx_http_agents_db_sqlite_t *conn,
    ngx_http_agents_db_batch_t *batch, int rc, const char *name)
{
    char  reason[160];

    snprintf(reason, sizeof(reason), "%.159s",
             batch->error[0] ? batch->error
             : rc == SQLITE_RANGE ? "its values do not fit its parameters"
             : rc == SQLITE_MISUSE ? "malformed template"
             : sqlite3_errmsg(conn->db));

    ngx_http_agents_db_batch_rewind(batch);

    batch->status = ngx_http_agents_db_sqlite_status(conn, rc);

    snprintf(batch->error, sizeof(batch->error), "%s: %s (%d)", name, reason,
             rc);
}


static ngx_http_agents_db_status_e
ngx_http_agents_db_sqlite_status(ngx_http_agents_db_sqlite_t *conn, int rc)
{
    switch (rc) {

    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return NGX_HTTP_AGENTS_DB_CONSTRAINT;
    }

    switch (rc & 0xff) {

    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_NOMEM:
        return NGX_HTTP_AGENTS_DB_UNAVAILABLE;

    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:

        /* also one that is damaged: it may be put right by its backup */

        ngx_http_agents_db_sqlite_break(conn, sqlite3_errmsg(conn->db));
        return NGX_HTTP_AGENTS_DB_UNAVAILABLE;

    default:
        return NGX_HTTP_AGENTS_DB_ERROR;
    }
}
