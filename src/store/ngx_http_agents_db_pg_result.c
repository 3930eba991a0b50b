
/*
 * The PostgreSQL driver's way back: answers are matched with the commands
 * that were sent, in their order, and errors are judged.  No nginx.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_db_pg_core.h"


typedef struct {
    const char                       *sqlstate;     /* or how it begins */
    ngx_http_agents_db_status_e       status;
    ngx_http_agents_db_pg_verdict_e   verdict;
} ngx_http_agents_db_pg_error_t;


/* The first match counts; all others are DB_ERROR. */

static const ngx_http_agents_db_pg_error_t  ngx_http_agents_db_pg_errors[] = {

    /* serialization_failure, deadlock_detected */
    { "40001", NGX_HTTP_AGENTS_DB_UNAVAILABLE, NGX_HTTP_AGENTS_DB_PG_REPEAT },
    { "40P01", NGX_HTTP_AGENTS_DB_UNAVAILABLE, NGX_HTTP_AGENTS_DB_PG_REPEAT },

    /* unique_violation */
    { "23505", NGX_HTTP_AGENTS_DB_CONSTRAINT, NGX_HTTP_AGENTS_DB_PG_FINAL },

    /* undefined_table, invalid_schema_name */
    { "42P01", NGX_HTTP_AGENTS_DB_UNAVAILABLE, NGX_HTTP_AGENTS_DB_PG_MISSING },
    { "3F000", NGX_HTTP_AGENTS_DB_UNAVAILABLE, NGX_HTTP_AGENTS_DB_PG_MISSING },

    /*
     * no such prepared statement, one of that name already, "cached plan must
     * not change result type"
     */
    { "26000", NGX_HTTP_AGENTS_DB_ERROR, NGX_HTTP_AGENTS_DB_PG_STALE },
    { "42P05", NGX_HTTP_AGENTS_DB_ERROR, NGX_HTTP_AGENTS_DB_PG_STALE },
    { "0A000", NGX_HTTP_AGENTS_DB_ERROR, NGX_HTTP_AGENTS_DB_PG_STALE },

    /* read-only: this has become a standby, another server is to be found */
    { "25006", NGX_HTTP_AGENTS_DB_UNAVAILABLE, NGX_HTTP_AGENTS_DB_PG_FATAL },

    /* no resources; lock_not_available; query_canceled */
    { "53", NGX_HTTP_AGENTS_DB_UNAVAILABLE, NGX_HTTP_AGENTS_DB_PG_FINAL },
    { "55P03", NGX_HTTP_AGENTS_DB_UNAVAILABLE, NGX_HTTP_AGENTS_DB_PG_FINAL },
    { "57014", NGX_HTTP_AGENTS_DB_UNAVAILABLE, NGX_HTTP_AGENTS_DB_PG_FINAL },

    { NULL, NGX_HTTP_AGENTS_DB_ERROR, NGX_HTTP_AGENTS_DB_PG_FINAL }
};


static void ngx_http_agents_db_pg_result(ngx_http_agents_db_pg_t *pg,
    const PGresult *res);
static void ngx_http_agents_db_pg_pop(ngx_http_agents_db_pg_t *pg);
static void ngx_http_agents_db_pg_cell(ngx_http_agents_db_cell_t *cell,
    const char *text, size_t len, Oid type);
static void ngx_http_agents_db_pg_failure(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_command_t *command, const PGresult *res);
static const ngx_http_agents_db_pg_error_t *ngx_http_agents_db_pg_judge(
    const char *sqlstate);
static void ngx_http_agents_db_pg_version_done(ngx_http_agents_db_pg_t *pg);
static void ngx_http_agents_db_pg_group_done(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group);
static void ngx_http_agents_db_pg_group_failed(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_pg_again(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_batch_t *batch, int64_t since, int64_t delay);


void
ngx_http_agents_db_pg_results(ngx_http_agents_db_pg_t *pg)
{
    PGresult                         *res;
    ngx_http_agents_db_pg_command_t  *command;

    while (pg->state != NGX_HTTP_AGENTS_DB_PG_LOST
           && pg->commands_n
           && !PQisBusy(pg->conn))
    {
        res = PQgetResult(pg->conn);

        if (res) {
            ngx_http_agents_db_pg_result(pg, res);
            PQclear(res);
            continue;
        }

        /* the end of a command; a Sync has none */

        command = &pg->commands[pg->commands_head];

        if (command->type == NGX_HTTP_AGENTS_DB_PG_SYNC
            || command->type == NGX_HTTP_AGENTS_DB_PG_VERSION_SYNC)
        {
            ngx_http_agents_db_pg_lost(pg, "answers are out of step");
            return;
        }

        ngx_http_agents_db_pg_pop(pg);
    }
}


static void
ngx_http_agents_db_pg_result(ngx_http_agents_db_pg_t *pg, const PGresult *res)
{
    ngx_http_agents_db_pg_command_t  *command, sync;

    command = &pg->commands[pg->commands_head];

    switch (PQresultStatus(res)) {

    case PGRES_PIPELINE_SYNC:

        sync = *command;
        ngx_http_agents_db_pg_pop(pg);

        if (sync.type == NGX_HTTP_AGENTS_DB_PG_VERSION_SYNC) {
            ngx_http_agents_db_pg_version_done(pg);

        } else if (sync.type != NGX_HTTP_AGENTS_DB_PG_SYNC) {
            ngx_http_agents_db_pg_lost(pg, "answers are out of step");

        } else if (sync.group) {
            ngx_http_agents_db_pg_group_done(pg, sync.group);
        }

        return;

    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:

        if (command->type == NGX_HTTP_AGENTS_DB_PG_QUERY && command->shared) {
            ngx_http_agents_db_pg_share_result(pg, command, res);

        } else if (command->type == NGX_HTTP_AGENTS_DB_PG_QUERY) {
            ngx_http_agents_db_pg_copy(command->batch, command->statement,
                                       res, 0, PQntuples(res), 0);

        } else if (command->type == NGX_HTTP_AGENTS_DB_PG_VERSION
                   && PQntuples(res) == 1)
        {
            pg->version = (int64_t) strtoll(PQgetvalue(res, 0, 0), NULL, 10);

        } else if (command->type == NGX_HTTP_AGENTS_DB_PG_READ_ONLY
                   && PQntuples(res) == 1
                   && strcmp(PQgetvalue(res, 0, 0), "on") == 0)
        {
            /* another server is to be found, or this one to change */

            ngx_http_agents_db_pg_lost(pg, "the server is read-only");
        }

        return;

    case PGRES_PIPELINE_ABORTED:

        if (command->type == NGX_HTTP_AGENTS_DB_PG_PREPARE) {
            command->text->prepared = 0;
        }

        return;

    default:
        ngx_http_agents_db_pg_failure(pg, command, res);
        return;
    }
}


static void
ngx_http_agents_db_pg_pop(ngx_http_agents_db_pg_t *pg)
{
    pg->commands_head = (pg->commands_head + 1) & (pg->commands_size - 1);
    pg->commands_n--;
}


void
ngx_http_agents_db_pg_copy(ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_db_statement_t *statement, const PGresult *res, int row,
    int rows, int column)
{
    int                         i, k, end, columns;
    char                       *text;
    size_t                      n, len, size;
    ngx_http_agents_db_cell_t  *cell;

    columns = PQnfields(res);
    end = row + rows;
    n = (size_t) rows * (size_t) (columns - column);

    if (strncmp(PQcmdStatus((PGresult *) res), "SELECT", 6) != 0) {
        statement->changes = (int64_t) strtoll(
                                PQcmdTuples((PGresult *) res), NULL, 10);
    }

    if (n == 0) {
        return;
    }

    size = n * sizeof(ngx_http_agents_db_cell_t);

    for (i = row; i < end; i++) {
        for (k = column; k < columns; k++) {
            size += (size_t) PQgetlength(res, i, k) + 1;
        }
    }

    cell = ngx_http_agents_db_batch_alloc(batch, size);
    if (cell == NULL) {
        batch->failed = 1;
        return;
    }

    statement->cells = cell;
    statement->rows = (size_t) rows;
    statement->columns = (size_t) (columns - column);

    text = (char *) &cell[n];

    for (i = row; i < end; i++) {
        for (k = column; k < columns; k++, cell++) {

            memset(cell, 0, sizeof(ngx_http_agents_db_cell_t));

            if (PQgetisnull(res, i, k)) {
                continue;
            }

            len = (size_t) PQgetlength(res, i, k);

            memcpy(text, PQgetvalue(res, i, k), len);
            text[len] = '\0';

            ngx_http_agents_db_pg_cell(cell, text, len, PQftype(res, k));

            text += len + 1;
        }
    }
}


static void
ngx_http_agents_db_pg_cell(ngx_http_agents_db_cell_t *cell, const char *text,
    size_t len, Oid type)
{
    cell->text = text;
    cell->len = len;

    switch (type) {

    case NGX_HTTP_AGENTS_DB_PG_INT8OID:
    case NGX_HTTP_AGENTS_DB_PG_INT4OID:
    case NGX_HTTP_AGENTS_DB_PG_INT2OID:
        cell->integer = (int64_t) strtoll(text, NULL, 10);
        cell->is_int = 1;
        break;

    case NGX_HTTP_AGENTS_DB_PG_BOOLOID:

        /* as SQLite has it */

        cell->text = NULL;
        cell->len = 0;
        cell->integer = (text[0] == 't');
        cell->is_int = 1;
        break;

    default:
        break;
    }
}


/*
 * The first error of a group; the server skips what follows it up to the
 * Sync, which rolls everything back.
 */

static void
ngx_http_agents_db_pg_failure(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_command_t *command, const PGresult *res)
{
    const char                           *sqlstate, *severity, *message;
    ngx_http_agents_db_pg_group_t        *group;
    const ngx_http_agents_db_pg_error_t  *error;

    sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (message == NULL) {
        message = PQresultErrorMessage(res);
    }

    /*
     * Of libpq itself, or the session's end.  The latter may also come after
     * a commit, so it does not say that nothing was changed.
     */

    if (sqlstate == NULL || severity == NULL || strcmp(severity, "ERROR") != 0
        || PQstatus(pg->conn) == CONNECTION_BAD)
    {
        ngx_http_agents_db_pg_lost(pg, message);
        return;
    }

    if (command->type == NGX_HTTP_AGENTS_DB_PG_LISTEN
        || command->type == NGX_HTTP_AGENTS_DB_PG_READ_ONLY)
    {
        ngx_http_agents_db_pg_lost(pg, message);
        return;
    }

    if (command->type == NGX_HTTP_AGENTS_DB_PG_VERSION) {
        pg->version = -1;
        snprintf(pg->error, sizeof(pg->error), "%s", message);
        return;
    }

    group = command->group;

    if (group == NULL) {
        return;
    }

    if (command->type == NGX_HTTP_AGENTS_DB_PG_PREPARE) {
        command->text->prepared = 0;
    }

    error = ngx_http_agents_db_pg_judge(sqlstate);

    group->failed = command->batch ? command->batch : group->first;
    group->shared = (command->shared != 0);
    group->status = error->status;
    group->verdict = error->verdict;

    if (group->shared && strcmp(sqlstate, "0A000") == 0) {

        /* not every server that speaks this protocol knows such statements */

        pg->unshared = 1;

    } else if (error->verdict == NGX_HTTP_AGENTS_DB_PG_STALE) {
        pg->stale = !pg->conf.no_prepare;
    }

    snprintf(group->failed->error, sizeof(group->failed->error),
             "%s: %s (%s)",
             command->statement ? command->statement->query->name : "commit",
             message, sqlstate);

    /*
     * An error of the commit itself takes the Sync's place in libpq 15, whose
     * account of the pipeline is wrong from here on.
     */

    if (command->type == NGX_HTTP_AGENTS_DB_PG_SYNC) {
        ngx_http_agents_db_pg_lost(pg, group->failed->error);
    }
}


static const ngx_http_agents_db_pg_error_t *
ngx_http_agents_db_pg_judge(const char *sqlstate)
{
    const ngx_http_agents_db_pg_error_t  *error;

    for (error = ngx_http_agents_db_pg_errors; error->sqlstate; error++) {
        if (strncmp(sqlstate, error->sqlstate, strlen(error->sqlstate)) == 0) {
            break;
        }
    }

    return error;
}


static void
ngx_http_agents_db_pg_version_done(ngx_http_agents_db_pg_t *pg)
{
    char  message[sizeof(pg->error)];

    if (pg->version >= pg->conf.schema) {
        pg->state = NGX_HTTP_AGENTS_DB_PG_READY;
        pg->error[0] = '\0';
        return;
    }

    if (pg->version >= 0) {
        snprintf(message, sizeof(message),
                 "its schema has version %lld, and %lld is needed",
                 (long long) pg->version, (long long) pg->conf.schema);

    } else {
        memcpy(message, pg->error, sizeof(message));
    }

    ngx_http_agents_db_pg_unmigrated(pg, message);
}


static void
ngx_http_agents_db_pg_group_done(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group)
{
    unsigned                     after;
    ngx_http_agents_db_batch_t  *batch, *next;

    /* answers come in the order of the groups: it is the first in flight */

    (void) ngx_http_agents_db_pg_groups_pop(&pg->flying);

    after = 0;

    for (batch = group->first; batch; batch = next) {
        next = batch->next;

        if (batch == group->failed && !group->shared) {
            ngx_http_agents_db_pg_group_failed(pg, group, batch);
            after = 1;

        } else if (batch == group->failed || after) {

            /*
             * skipped because of the one before, or one of those that had a
             * statement together: again, but alone
             */

            after = 1;
            ngx_http_agents_db_pg_again(pg, batch, group->since, 0);

        } else if (batch->failed) {

            /* done, but there was no memory for what it answered */

            ngx_http_agents_db_pg_finish(pg, batch,
                                  batch->kind == NGX_HTTP_AGENTS_DB_WRITE
                                      ? NGX_HTTP_AGENTS_DB_UNKNOWN
                                      : NGX_HTTP_AGENTS_DB_UNAVAILABLE,
                                  "no memory");

        } else {
            ngx_http_agents_db_pg_finish(pg, batch, NGX_HTTP_AGENTS_DB_OK,
                                         "");
        }
    }

    free(group);
}


static void
ngx_http_agents_db_pg_group_failed(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch)
{
    char     error[sizeof(batch->error)];
    int64_t  delay;

    memcpy(error, batch->error, sizeof(error));

    delay = (int64_t) NGX_HTTP_AGENTS_DB_PG_BACKOFF << batch->attempts;

    batch->attempts++;

    switch (group->verdict) {

    case NGX_HTTP_AGENTS_DB_PG_STALE:
    case NGX_HTTP_AGENTS_DB_PG_REPEAT:

        if (group->verdict == NGX_HTTP_AGENTS_DB_PG_STALE) {
            delay = 0;
        }

        if (batch->attempts < NGX_HTTP_AGENTS_DB_PG_ATTEMPTS) {
            ngx_http_agents_db_pg_again(pg, batch, group->since, delay);
            return;
        }

        break;

    case NGX_HTTP_AGENTS_DB_PG_MISSING:
        ngx_http_agents_db_pg_unmigrated(pg, error);
        break;

    case NGX_HTTP_AGENTS_DB_PG_FATAL:
        ngx_http_agents_db_pg_lost(pg, error);
        break;

    case NGX_HTTP_AGENTS_DB_PG_FINAL:
        break;
    }

    ngx_http_agents_db_pg_finish(pg, batch, group->status, error);
}


static void
ngx_http_agents_db_pg_again(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_batch_t *batch, int64_t since, int64_t delay)
{
    ngx_http_agents_db_pg_group_t  *group;

    if (pg->state != NGX_HTTP_AGENTS_DB_PG_READY) {
        ngx_http_agents_db_pg_finish(pg, batch,
                                     NGX_HTTP_AGENTS_DB_UNAVAILABLE,
                                     pg->error);
        return;
    }

    group = ngx_http_agents_db_pg_group(batch, since);
    if (group == NULL) {
        ngx_http_agents_db_pg_finish(pg, batch,
                                     NGX_HTTP_AGENTS_DB_UNAVAILABLE,
                                     "no memory");
        return;
    }

    group->alone = 1;
    group->not_before = pg->now + delay;

    ngx_http_agents_db_pg_groups_push(delay ? &pg->delayed : &pg->waiting,
                                      group);
}
