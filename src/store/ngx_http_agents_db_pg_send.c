
/*
 * The PostgreSQL driver's way out: a batch becomes Parse, Bind, Execute and
 * Sync messages.  A query is prepared in the pipeline, right before its first
 * use on a connection.  No nginx.
 */


#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_db_pg_core.h"
#include "ngx_http_agents_migrations.h"


static int ngx_http_agents_db_pg_send_question(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_command_e type, const char *sql);
static const char *ngx_http_agents_db_pg_validate_values(
    const ngx_http_agents_db_template_t *tmpl,
    const ngx_http_agents_db_statement_t *statement);
static int ngx_http_agents_db_pg_send_batch(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch);
static int ngx_http_agents_db_pg_send_statement(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_db_statement_t *statement);
static void ngx_http_agents_db_pg_bind(ngx_http_agents_db_pg_bind_t *bind,
    const ngx_http_agents_db_template_t *tmpl,
    const ngx_http_agents_db_statement_t *statement);
static int ngx_http_agents_db_pg_send_deallocate(ngx_http_agents_db_pg_t *pg);
static int ngx_http_agents_db_pg_send_sync(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_command_e type,
    ngx_http_agents_db_pg_group_t *group);
static ngx_http_agents_db_pg_command_t *ngx_http_agents_db_pg_command(
    ngx_http_agents_db_pg_t *pg, ngx_http_agents_db_pg_command_e type,
    ngx_http_agents_db_pg_group_t *group);
static int ngx_http_agents_db_pg_slots_grow(ngx_http_agents_db_pg_t *pg);
static size_t ngx_http_agents_db_pg_slots_find(
    ngx_http_agents_db_pg_slot_t **slots, size_t size,
    const ngx_http_agents_db_query_t *query);


int
ngx_http_agents_db_pg_validate(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_batch_t *batch)
{
    const char                            *fault;
    ngx_http_agents_db_pg_slot_t          *slot;
    const ngx_http_agents_db_statement_t  *statement;

    if (batch->failed) {
        batch->status = batch->misused ? NGX_HTTP_AGENTS_DB_ERROR
                                       : NGX_HTTP_AGENTS_DB_UNAVAILABLE;
        snprintf(batch->error, sizeof(batch->error), "%s",
                 batch->misused ? "a value that no statement takes"
                                : "no memory");
        return -1;
    }

    for (statement = batch->first; statement; statement = statement->next) {

        errno = 0;

        slot = ngx_http_agents_db_pg_slot(pg, statement->query);
        if (slot == NULL) {
            batch->status = (errno == ENOMEM) ? NGX_HTTP_AGENTS_DB_UNAVAILABLE
                                              : NGX_HTTP_AGENTS_DB_ERROR;
            snprintf(batch->error, sizeof(batch->error),
                     "%s: malformed template, or no memory",
                     statement->query->name);
            return -1;
        }

        batch->status = NGX_HTTP_AGENTS_DB_ERROR;

        fault = ngx_http_agents_db_pg_validate_values(&slot->tmpl, statement);
        if (fault) {
            snprintf(batch->error, sizeof(batch->error), "%s: %s",
                     statement->query->name, fault);
            return -1;
        }
    }

    batch->status = NGX_HTTP_AGENTS_DB_OK;

    return 0;
}


static const char *
ngx_http_agents_db_pg_validate_values(
    const ngx_http_agents_db_template_t *tmpl,
    const ngx_http_agents_db_statement_t *statement)
{
    size_t                             i;
    const ngx_http_agents_db_value_t  *value;

    for (i = 0; i < tmpl->n; i++) {

        value = ngx_http_agents_db_batch_value(statement, tmpl->names[i]);

        if (value == NULL) {
            return "a parameter is not bound";
        }

        if (value->is_int != tmpl->ints[i]
            && (value->is_int || value->text))
        {
            return "a parameter is bound to another type";
        }
    }

    /* each name is there once, so a surplus is a name that is not */

    if (statement->nvalues != tmpl->n) {
        return "a value is bound twice, or to no parameter";
    }

    return NULL;
}


int
ngx_http_agents_db_pg_send_group(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group)
{
    int                          rc;
    size_t                       n;
    ngx_http_agents_db_batch_t  *batch;

    group->synced = 0;
    group->failed = NULL;
    group->sent = pg->now;

    if (pg->stale && ngx_http_agents_db_pg_send_deallocate(pg) != 0) {
        return -1;
    }

    for (batch = group->first; batch; /* void */ ) {

        n = ngx_http_agents_db_pg_share_gather(pg, group, batch);

        rc = (n > 1) ? ngx_http_agents_db_pg_share_send(pg, group, batch, n)
                     : 1;

        if (rc == 1) {
            n = 1;
            rc = ngx_http_agents_db_pg_send_batch(pg, group, batch);
        }

        if (rc != 0) {
            return -1;
        }

        while (n--) {
            batch = batch->next;
        }
    }

    return ngx_http_agents_db_pg_send_sync(pg, NGX_HTTP_AGENTS_DB_PG_SYNC,
                                           group);
}


static int
ngx_http_agents_db_pg_send_batch(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_statement_t  *statement;

    ngx_http_agents_db_batch_rewind(batch);

    for (statement = batch->first; statement; statement = statement->next) {

        if (ngx_http_agents_db_pg_send_statement(pg, group, batch, statement)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


int
ngx_http_agents_db_pg_send_check(ngx_http_agents_db_pg_t *pg)
{
    if (pg->conf.notified
        && ngx_http_agents_db_pg_send_question(pg, NGX_HTTP_AGENTS_DB_PG_LISTEN,
                                               "LISTEN agents_stops")
           != 0)
    {
        return -1;
    }

    if (pg->conf.writes
        && ngx_http_agents_db_pg_send_question(pg,
                                             NGX_HTTP_AGENTS_DB_PG_READ_ONLY,
                                             "SHOW transaction_read_only")
           != 0)
    {
        return -1;
    }

    if (ngx_http_agents_db_pg_send_question(pg, NGX_HTTP_AGENTS_DB_PG_VERSION,
                                       ngx_http_agents_migrations_version.sql)
        != 0)
    {
        return -1;
    }

    return ngx_http_agents_db_pg_send_sync(pg,
                                     NGX_HTTP_AGENTS_DB_PG_VERSION_SYNC, NULL);
}


static int
ngx_http_agents_db_pg_send_question(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_command_e type, const char *sql)
{
    if (ngx_http_agents_db_pg_command(pg, type, NULL) == NULL) {
        return -1;
    }

    if (!PQsendQueryParams(pg->conn, sql, 0, NULL, NULL, NULL, NULL, 0)) {
        ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
        return -1;
    }

    return 0;
}


static int
ngx_http_agents_db_pg_send_statement(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_db_statement_t *statement)
{
    ngx_http_agents_db_pg_bind_t      bind;
    ngx_http_agents_db_pg_slot_t     *slot;
    ngx_http_agents_db_pg_command_t   command;

    /* it is there since the batch was validated */
    slot = ngx_http_agents_db_pg_slot(pg, statement->query);

    ngx_http_agents_db_pg_bind(&bind, &slot->tmpl, statement);

    memset(&command, 0, sizeof(ngx_http_agents_db_pg_command_t));

    command.group = group;
    command.batch = batch;
    command.statement = statement;
    command.text = &slot->single;

    return ngx_http_agents_db_pg_send_text(pg, &command, (int) slot->tmpl.n,
                                           &bind);
}


int
ngx_http_agents_db_pg_send_text(ngx_http_agents_db_pg_t *pg,
    const ngx_http_agents_db_pg_command_t *command, int n,
    const ngx_http_agents_db_pg_bind_t *bind)
{
    int                               rc;
    ngx_http_agents_db_pg_text_t     *text;
    ngx_http_agents_db_pg_command_t  *c;

    text = command->text;

    if (!pg->conf.no_prepare && !text->prepared) {

        c = ngx_http_agents_db_pg_command(pg, NGX_HTTP_AGENTS_DB_PG_PREPARE,
                                          NULL);
        if (c == NULL) {
            return -1;
        }

        *c = *command;
        c->type = NGX_HTTP_AGENTS_DB_PG_PREPARE;

        if (!PQsendPrepare(pg->conn, text->name, text->sql, n, bind->types)) {
            ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
            return -1;
        }

        text->prepared = 1;
    }

    c = ngx_http_agents_db_pg_command(pg, NGX_HTTP_AGENTS_DB_PG_QUERY, NULL);
    if (c == NULL) {
        return -1;
    }

    *c = *command;
    c->type = NGX_HTTP_AGENTS_DB_PG_QUERY;

    if (pg->conf.no_prepare) {
        rc = PQsendQueryParams(pg->conn, text->sql, n, bind->types,
                               bind->values, bind->lengths, bind->formats, 0);

    } else {
        rc = PQsendQueryPrepared(pg->conn, text->name, n, bind->values,
                                 bind->lengths, bind->formats, 0);
    }

    if (!rc) {
        ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
        return -1;
    }

    return 0;
}


static void
ngx_http_agents_db_pg_bind(ngx_http_agents_db_pg_bind_t *bind,
    const ngx_http_agents_db_template_t *tmpl,
    const ngx_http_agents_db_statement_t *statement)
{
    size_t                             i;
    const ngx_http_agents_db_value_t  *value;

    for (i = 0; i < tmpl->n; i++) {

        value = ngx_http_agents_db_batch_value(statement, tmpl->names[i]);

        bind->types[i] = tmpl->ints[i] ? NGX_HTTP_AGENTS_DB_PG_INT8OID
                                       : NGX_HTTP_AGENTS_DB_PG_TEXTOID;

        if (value->is_int) {
            snprintf(bind->ints[i], sizeof(bind->ints[i]), "%" PRId64,
                     value->integer);

            bind->values[i] = bind->ints[i];
            bind->lengths[i] = 0;
            bind->formats[i] = 0;
            continue;
        }

        /*
         * for type TEXT the binary format is the text itself, with a length:
         * a NUL within is an error then, and not an end
         */

        bind->values[i] = value->text;
        bind->lengths[i] = (int) value->len;
        bind->formats[i] = 1;
    }
}


/*
 * The server's prepared statements are not what they were (DEALLOCATE or
 * DISCARD by someone, a changed table).  What is sent from now on starts anew.
 */

static int
ngx_http_agents_db_pg_send_deallocate(ngx_http_agents_db_pg_t *pg)
{
    pg->stale = 0;
    pg->unshared = 0;

    ngx_http_agents_db_pg_slots_forget(pg);

    if (ngx_http_agents_db_pg_command(pg, NGX_HTTP_AGENTS_DB_PG_CONTROL, NULL)
        == NULL)
    {
        return -1;
    }

    if (!PQsendQueryParams(pg->conn, "DEALLOCATE ALL", 0, NULL, NULL, NULL,
                           NULL, 0))
    {
        ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
        return -1;
    }

    return ngx_http_agents_db_pg_send_sync(pg, NGX_HTTP_AGENTS_DB_PG_SYNC,
                                           NULL);
}


static int
ngx_http_agents_db_pg_send_sync(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_command_e type, ngx_http_agents_db_pg_group_t *group)
{
    if (ngx_http_agents_db_pg_command(pg, type, group) == NULL) {
        return -1;
    }

    /* it counts as sent even if this fails: some of it may have left */

    if (group) {
        group->synced = 1;
    }

    if (!PQpipelineSync(pg->conn)) {
        ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
        return -1;
    }

    /* in case that the socket took less than all */
    pg->unflushed = 1;

    return 0;
}


static ngx_http_agents_db_pg_command_t *
ngx_http_agents_db_pg_command(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_command_e type, ngx_http_agents_db_pg_group_t *group)
{
    size_t                            i, size;
    ngx_http_agents_db_pg_command_t  *ring, *command;

    if (pg->commands_n == pg->commands_size) {

        size = pg->commands_size ? 2 * pg->commands_size : 64;

        ring = malloc(size * sizeof(ngx_http_agents_db_pg_command_t));
        if (ring == NULL) {
            ngx_http_agents_db_pg_lost(pg, "no memory");
            return NULL;
        }

        for (i = 0; i < pg->commands_n; i++) {
            ring[i] = pg->commands[(pg->commands_head + i)
                                   & (pg->commands_size - 1)];
        }

        free(pg->commands);

        pg->commands = ring;
        pg->commands_size = size;
        pg->commands_head = 0;
    }

    command = &pg->commands[(pg->commands_head + pg->commands_n)
                            & (pg->commands_size - 1)];
    pg->commands_n++;

    memset(command, 0, sizeof(ngx_http_agents_db_pg_command_t));
    command->type = type;
    command->group = group;

    return command;
}


ngx_http_agents_db_pg_slot_t *
ngx_http_agents_db_pg_slot(ngx_http_agents_db_pg_t *pg,
    const ngx_http_agents_db_query_t *query)
{
    size_t                         i;
    ngx_http_agents_db_pg_slot_t  *slot;

    if (2 * (pg->slots_n + 1) > pg->slots_size
        && ngx_http_agents_db_pg_slots_grow(pg) != 0)
    {
        return NULL;
    }

    i = ngx_http_agents_db_pg_slots_find(pg->slots, pg->slots_size, query);

    if (pg->slots[i]) {
        return pg->slots[i];
    }

    slot = calloc(1, sizeof(ngx_http_agents_db_pg_slot_t));
    if (slot == NULL) {
        return NULL;
    }

    if (ngx_http_agents_db_template_read(&slot->tmpl, query->sql,
                                         NGX_HTTP_AGENTS_DB_POSTGRES)
        != 0)
    {
        free(slot);
        return NULL;
    }

    slot->query = query;
    slot->single.name = query->name;
    slot->single.sql = slot->tmpl.sql;

    pg->slots[i] = slot;
    pg->slots_n++;

    return slot;
}


static int
ngx_http_agents_db_pg_slots_grow(ngx_http_agents_db_pg_t *pg)
{
    size_t                          i, k, size;
    ngx_http_agents_db_pg_slot_t  **slots;

    size = pg->slots_size ? 2 * pg->slots_size : 128;

    slots = calloc(size, sizeof(ngx_http_agents_db_pg_slot_t *));
    if (slots == NULL) {
        return -1;
    }

    for (i = 0; i < pg->slots_size; i++) {

        if (pg->slots[i] == NULL) {
            continue;
        }

        k = ngx_http_agents_db_pg_slots_find(slots, size,
                                             pg->slots[i]->query);
        slots[k] = pg->slots[i];
    }

    free(pg->slots);

    pg->slots = slots;
    pg->slots_size = size;

    return 0;
}


/* Where the query is, or where it would be put. */

static size_t
ngx_http_agents_db_pg_slots_find(ngx_http_agents_db_pg_slot_t **slots,
    size_t size, const ngx_http_agents_db_query_t *query)
{
    size_t  i;

    /* the low bits of an address tell little */

    i = ((uintptr_t) query / sizeof(ngx_http_agents_db_query_t)) & (size - 1);

    while (slots[i] && slots[i]->query != query) {
        i = (i + 1) & (size - 1);
    }

    return i;
}


void
ngx_http_agents_db_pg_slots_forget(ngx_http_agents_db_pg_t *pg)
{
    size_t  i;

    for (i = 0; i < pg->slots_size; i++) {
        if (pg->slots[i]) {
            pg->slots[i]->single.prepared = 0;
            pg->slots[i]->shared.prepared = 0;
        }
    }
}


void
ngx_http_agents_db_pg_slots_free(ngx_http_agents_db_pg_t *pg)
{
    size_t  i;

    for (i = 0; i < pg->slots_size; i++) {
        if (pg->slots[i]) {
            ngx_http_agents_db_template_free(&pg->slots[i]->tmpl);
            free((char *) pg->slots[i]->shared.name);
            free((char *) pg->slots[i]->shared.sql);
            free(pg->slots[i]);
        }
    }

    free(pg->slots);
}
