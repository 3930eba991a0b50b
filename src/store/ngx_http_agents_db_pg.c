
/*
 * The PostgreSQL driver: the states of one connection and its lines of
 * batches.  No nginx.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include "ngx_http_agents_db_pg_core.h"


static void ngx_http_agents_db_pg_established(ngx_http_agents_db_pg_t *pg);
static void ngx_http_agents_db_pg_notifications(ngx_http_agents_db_pg_t *pg);
static void ngx_http_agents_db_pg_push_out(ngx_http_agents_db_pg_t *pg);
static void ngx_http_agents_db_pg_close_open(ngx_http_agents_db_pg_t *pg);
static void ngx_http_agents_db_pg_drop_unsent(ngx_http_agents_db_pg_t *pg,
    const char *why);
static void ngx_http_agents_db_pg_drop_sent(ngx_http_agents_db_pg_t *pg);
static void ngx_http_agents_db_pg_drop_group(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, const char *why);
static void ngx_http_agents_db_pg_expire(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_groups_t *groups);
static void ngx_http_agents_db_pg_message(char *out, size_t size,
    const char *message);
static void ngx_http_agents_db_pg_notice_handler(void *data,
    const char *message);


ngx_http_agents_db_pg_t *
ngx_http_agents_db_pg_create(const ngx_http_agents_db_pg_conf_t *conf)
{
    ngx_http_agents_db_pg_t  *pg;

    pg = calloc(1, sizeof(ngx_http_agents_db_pg_t));
    if (pg == NULL) {
        return NULL;
    }

    pg->conf = *conf;

    return pg;
}


void
ngx_http_agents_db_pg_destroy(ngx_http_agents_db_pg_t *pg)
{
    ngx_http_agents_db_batch_t  *batch;

    ngx_http_agents_db_pg_close(pg);

    for (batch = ngx_http_agents_db_pg_next(pg);
         batch;
         batch = ngx_http_agents_db_pg_next(pg))
    {
        ngx_http_agents_db_batch_free(batch);
    }

    ngx_http_agents_db_pg_slots_free(pg);

    free(pg->commands);
    free(pg);
}


void
ngx_http_agents_db_pg_connect(ngx_http_agents_db_pg_t *pg,
    const ngx_http_agents_db_pg_params_t *params)
{
    pg->error[0] = '\0';

    pg->conn = PQconnectStartParams((const char *const *) params->keywords,
                                    (const char *const *) params->values, 0);
    if (pg->conn == NULL) {
        ngx_http_agents_db_pg_lost(pg, "no memory");
        return;
    }

    /* without one, libpq writes to stderr */
    (void) PQsetNoticeProcessor(pg->conn, ngx_http_agents_db_pg_notice_handler,
                                pg);

    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
        return;
    }

    pg->state = NGX_HTTP_AGENTS_DB_PG_CONNECTING;
    pg->polling = PGRES_POLLING_WRITING;
}


void
ngx_http_agents_db_pg_close(ngx_http_agents_db_pg_t *pg)
{
    if (pg->error[0] == '\0') {
        ngx_http_agents_db_pg_message(pg->error, sizeof(pg->error),
                                      "the connection was closed");
    }

    /* the sent ones first: they were submitted before the others */

    ngx_http_agents_db_pg_drop_sent(pg);
    ngx_http_agents_db_pg_drop_unsent(pg, pg->error);
    ngx_http_agents_db_pg_slots_forget(pg);

    PQfinish(pg->conn);
    ERR_clear_error();

    pg->conn = NULL;
    pg->state = NGX_HTTP_AGENTS_DB_PG_CLOSED;
    pg->commands_head = 0;
    pg->commands_n = 0;
    pg->unflushed = 0;
    pg->stale = 0;
    pg->unshared = 0;
}


void
ngx_http_agents_db_pg_check(ngx_http_agents_db_pg_t *pg)
{
    if (pg->state != NGX_HTTP_AGENTS_DB_PG_UNMIGRATED) {
        return;
    }

    pg->state = NGX_HTTP_AGENTS_DB_PG_CHECKING;
    pg->version = -1;

    if (ngx_http_agents_db_pg_send_check(pg) == 0) {
        ngx_http_agents_db_pg_push_out(pg);
    }
}


ngx_http_agents_db_pg_state_e
ngx_http_agents_db_pg_state(const ngx_http_agents_db_pg_t *pg)
{
    return pg->state;
}


const char *
ngx_http_agents_db_pg_error(const ngx_http_agents_db_pg_t *pg)
{
    return pg->error;
}


int
ngx_http_agents_db_pg_fd(const ngx_http_agents_db_pg_t *pg)
{
    return pg->conn ? PQsocket(pg->conn) : -1;
}


unsigned
ngx_http_agents_db_pg_events(const ngx_http_agents_db_pg_t *pg)
{
    switch (pg->state) {

    case NGX_HTTP_AGENTS_DB_PG_CONNECTING:
        return (pg->polling == PGRES_POLLING_READING)
               ? NGX_HTTP_AGENTS_DB_PG_READ : NGX_HTTP_AGENTS_DB_PG_WRITE;

    case NGX_HTTP_AGENTS_DB_PG_CHECKING:
    case NGX_HTTP_AGENTS_DB_PG_READY:
    case NGX_HTTP_AGENTS_DB_PG_UNMIGRATED:
        return NGX_HTTP_AGENTS_DB_PG_READ
               | (pg->unflushed ? NGX_HTTP_AGENTS_DB_PG_WRITE : 0);

    default:
        return 0;
    }
}


void
ngx_http_agents_db_pg_io(ngx_http_agents_db_pg_t *pg, unsigned events,
    int64_t now)
{
    int  alive;

    pg->now = now;

    switch (pg->state) {

    case NGX_HTTP_AGENTS_DB_PG_CONNECTING:

        pg->polling = PQconnectPoll(pg->conn);

        /* errors that libpq leaves would be taken for those of other TLS */

        ERR_clear_error();

        if (pg->polling == PGRES_POLLING_OK) {
            ngx_http_agents_db_pg_established(pg);

        } else if (pg->polling == PGRES_POLLING_FAILED) {
            ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
        }

        return;

    case NGX_HTTP_AGENTS_DB_PG_CHECKING:
    case NGX_HTTP_AGENTS_DB_PG_READY:
    case NGX_HTTP_AGENTS_DB_PG_UNMIGRATED:
        break;

    default:
        return;
    }

    if (events & NGX_HTTP_AGENTS_DB_PG_READ) {

        alive = PQconsumeInput(pg->conn);

        /* what was answered before the end counts, too */

        ngx_http_agents_db_pg_results(pg);

        if (pg->state == NGX_HTTP_AGENTS_DB_PG_LOST) {
            return;
        }

        if (!alive) {
            ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
            return;
        }

        if (pg->commands_n == 0) {

            /* notices and the like are only read by this */

            (void) PQisBusy(pg->conn);
        }

        ngx_http_agents_db_pg_notifications(pg);
    }

    ngx_http_agents_db_pg_flush(pg, now);
}


static void
ngx_http_agents_db_pg_notifications(ngx_http_agents_db_pg_t *pg)
{
    PGnotify  *notify;

    if (pg->conf.notified == NULL) {
        return;
    }

    for (notify = PQnotifies(pg->conn);
         notify;
         notify = PQnotifies(pg->conn))
    {
        pg->conf.notified(pg->conf.data, notify->extra);
        PQfreemem(notify);
    }
}


static void
ngx_http_agents_db_pg_established(ngx_http_agents_db_pg_t *pg)
{
    if (PQsetnonblocking(pg->conn, 1) != 0
        || !PQenterPipelineMode(pg->conn))
    {
        ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
        return;
    }

    pg->state = NGX_HTTP_AGENTS_DB_PG_UNMIGRATED;

    ngx_http_agents_db_pg_check(pg);
}


size_t
ngx_http_agents_db_pg_load(const ngx_http_agents_db_pg_t *pg)
{
    return pg->load;
}


void
ngx_http_agents_db_pg_submit(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_batch_t *batch, int64_t now)
{
    ngx_http_agents_db_pg_group_t  *group;

    pg->now = now;
    pg->load++;

    batch->next = NULL;
    batch->attempts = 0;
    batch->same = 0;

    ngx_http_agents_db_batch_rewind(batch);

    if (ngx_http_agents_db_pg_validate(pg, batch) != 0) {
        ngx_http_agents_db_pg_finish(pg, batch, batch->status, NULL);
        return;
    }

    if (pg->state != NGX_HTTP_AGENTS_DB_PG_READY) {
        ngx_http_agents_db_pg_finish(pg, batch,
                                     NGX_HTTP_AGENTS_DB_UNAVAILABLE,
                                     pg->error[0] ? pg->error
                                                  : "not connected");
        return;
    }

    if (batch->kind != NGX_HTTP_AGENTS_DB_WRITE && pg->open) {
        pg->open->last->next = batch;
        pg->open->last = batch;
        pg->open->n++;

        if (pg->open->n == NGX_HTTP_AGENTS_DB_PG_SHARED) {
            ngx_http_agents_db_pg_close_open(pg);
        }

        return;
    }

    group = ngx_http_agents_db_pg_group(batch, now);
    if (group == NULL) {
        ngx_http_agents_db_pg_finish(pg, batch,
                                     NGX_HTTP_AGENTS_DB_UNAVAILABLE,
                                     "no memory");
        return;
    }

    if (batch->kind == NGX_HTTP_AGENTS_DB_WRITE) {
        group->alone = 1;
        ngx_http_agents_db_pg_groups_push(&pg->waiting, group);

    } else {
        pg->open = group;
    }
}


void
ngx_http_agents_db_pg_flush(ngx_http_agents_db_pg_t *pg, int64_t now)
{
    ngx_http_agents_db_pg_group_t  *group;

    pg->now = now;

    /* while the server is at work, reads gather: together they cost it less */

    if (pg->flying.n == 0) {
        ngx_http_agents_db_pg_close_open(pg);
    }

    while (pg->state == NGX_HTTP_AGENTS_DB_PG_READY
           && pg->waiting.n
           && pg->flying.n < NGX_HTTP_AGENTS_DB_PG_WINDOW)
    {
        group = ngx_http_agents_db_pg_groups_pop(&pg->waiting);

        /* in flight first: what is half sent is in there when it is LOST */

        ngx_http_agents_db_pg_groups_push(&pg->flying, group);

        (void) ngx_http_agents_db_pg_send_group(pg, group);
    }

    ngx_http_agents_db_pg_push_out(pg);
}


/* What libpq holds goes to the socket, as far as that takes it. */

static void
ngx_http_agents_db_pg_push_out(ngx_http_agents_db_pg_t *pg)
{
    int  rc;

    if (!pg->unflushed || pg->state == NGX_HTTP_AGENTS_DB_PG_LOST) {
        return;
    }

    rc = PQflush(pg->conn);

    if (rc < 0) {
        ngx_http_agents_db_pg_lost(pg, PQerrorMessage(pg->conn));
        return;
    }

    pg->unflushed = (rc == 1);
}


void
ngx_http_agents_db_pg_tick(ngx_http_agents_db_pg_t *pg, int64_t now)
{
    size_t                          n;
    ngx_http_agents_db_pg_group_t  *group;

    pg->now = now;

    if (pg->flying.first
        && now - pg->flying.first->sent >= NGX_HTTP_AGENTS_DB_PG_DEADLINE
        && pg->state != NGX_HTTP_AGENTS_DB_PG_LOST)
    {
        ngx_http_agents_db_pg_lost(pg, "no answer in time");
        return;
    }

    for (n = pg->delayed.n; n; n--) {
        group = ngx_http_agents_db_pg_groups_pop(&pg->delayed);

        ngx_http_agents_db_pg_groups_push(
            group->not_before <= now ? &pg->waiting : &pg->delayed, group);
    }

    ngx_http_agents_db_pg_expire(pg, &pg->waiting);
    ngx_http_agents_db_pg_expire(pg, &pg->delayed);

    ngx_http_agents_db_pg_flush(pg, now);
}


int64_t
ngx_http_agents_db_pg_timeout(const ngx_http_agents_db_pg_t *pg, int64_t now)
{
    int64_t                               due;
    const ngx_http_agents_db_pg_group_t  *group;

    due = INT64_MAX;

    if (pg->flying.first) {
        due = pg->flying.first->sent + NGX_HTTP_AGENTS_DB_PG_DEADLINE;
    }

    if (pg->waiting.first
        && pg->waiting.first->since + NGX_HTTP_AGENTS_DB_PG_DEADLINE < due)
    {
        due = pg->waiting.first->since + NGX_HTTP_AGENTS_DB_PG_DEADLINE;
    }

    for (group = pg->delayed.first; group; group = group->next) {
        if (group->not_before < due) {
            due = group->not_before;
        }
    }

    if (due == INT64_MAX) {
        return -1;
    }

    return due > now ? due - now : 0;
}


ngx_http_agents_db_batch_t *
ngx_http_agents_db_pg_next(ngx_http_agents_db_pg_t *pg)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = pg->finished;

    if (batch) {
        pg->finished = batch->next;
        batch->next = NULL;
    }

    return batch;
}


/* The reads gathered so far become a group that waits for its turn. */

static void
ngx_http_agents_db_pg_close_open(ngx_http_agents_db_pg_t *pg)
{
    if (pg->open) {
        ngx_http_agents_db_pg_groups_push(&pg->waiting, pg->open);
        pg->open = NULL;
    }
}


void
ngx_http_agents_db_pg_groups_push(ngx_http_agents_db_pg_groups_t *groups,
    ngx_http_agents_db_pg_group_t *group)
{
    group->next = NULL;

    if (groups->first) {
        groups->last->next = group;

    } else {
        groups->first = group;
    }

    groups->last = group;
    groups->n++;
}


ngx_http_agents_db_pg_group_t *
ngx_http_agents_db_pg_groups_pop(ngx_http_agents_db_pg_groups_t *groups)
{
    ngx_http_agents_db_pg_group_t  *group;

    group = groups->first;

    if (group) {
        groups->first = group->next;
        groups->n--;
    }

    return group;
}


ngx_http_agents_db_pg_group_t *
ngx_http_agents_db_pg_group(ngx_http_agents_db_batch_t *batch, int64_t since)
{
    ngx_http_agents_db_pg_group_t  *group;

    group = calloc(1, sizeof(ngx_http_agents_db_pg_group_t));
    if (group == NULL) {
        return NULL;
    }

    batch->next = NULL;

    group->first = batch;
    group->last = batch;
    group->n = 1;
    group->since = since;

    return group;
}


void
ngx_http_agents_db_pg_finish(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_batch_t *batch, ngx_http_agents_db_status_e status,
    const char *why)
{
    pg->load--;

    if (status != NGX_HTTP_AGENTS_DB_OK && why) {
        ngx_http_agents_db_pg_message(batch->error, sizeof(batch->error), why);
    }

    batch->status = status;
    batch->next = NULL;

    if (pg->finished) {
        pg->finished_last->next = batch;

    } else {
        pg->finished = batch;
    }

    pg->finished_last = batch;
}


void
ngx_http_agents_db_pg_lost(ngx_http_agents_db_pg_t *pg, const char *message)
{
    ngx_http_agents_db_pg_message(pg->error, sizeof(pg->error), message);

    pg->state = NGX_HTTP_AGENTS_DB_PG_LOST;
}


void
ngx_http_agents_db_pg_unmigrated(ngx_http_agents_db_pg_t *pg,
    const char *message)
{
    ngx_http_agents_db_pg_message(pg->error, sizeof(pg->error), message);

    pg->state = NGX_HTTP_AGENTS_DB_PG_UNMIGRATED;

    ngx_http_agents_db_pg_drop_unsent(pg, pg->error);
}


static void
ngx_http_agents_db_pg_drop_unsent(ngx_http_agents_db_pg_t *pg,
    const char *why)
{
    ngx_http_agents_db_pg_group_t  *group;

    ngx_http_agents_db_pg_close_open(pg);

    while (pg->waiting.n) {
        group = ngx_http_agents_db_pg_groups_pop(&pg->waiting);
        ngx_http_agents_db_pg_drop_group(pg, group, why);
    }

    while (pg->delayed.n) {
        group = ngx_http_agents_db_pg_groups_pop(&pg->delayed);
        ngx_http_agents_db_pg_drop_group(pg, group, why);
    }
}


static void
ngx_http_agents_db_pg_drop_sent(ngx_http_agents_db_pg_t *pg)
{
    ngx_http_agents_db_batch_t     *batch;
    ngx_http_agents_db_pg_group_t  *group;

    while (pg->flying.n) {
        group = ngx_http_agents_db_pg_groups_pop(&pg->flying);
        batch = group->first;

        if (group->failed && batch->kind == NGX_HTTP_AGENTS_DB_WRITE) {

            /* the server has said that it did not do it */

            ngx_http_agents_db_pg_finish(pg, batch,
                               group->verdict == NGX_HTTP_AGENTS_DB_PG_FINAL
                                   ? group->status
                                   : NGX_HTTP_AGENTS_DB_UNAVAILABLE,
                               NULL);
            free(group);
            continue;
        }

        if (batch->kind == NGX_HTTP_AGENTS_DB_WRITE && group->synced) {
            ngx_http_agents_db_pg_finish(pg, batch,
                                         NGX_HTTP_AGENTS_DB_UNKNOWN,
                                         pg->error);
            free(group);
            continue;
        }

        ngx_http_agents_db_pg_drop_group(pg, group, pg->error);
    }
}


static void
ngx_http_agents_db_pg_drop_group(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, const char *why)
{
    ngx_http_agents_db_batch_t  *batch, *next;

    for (batch = group->first; batch; batch = next) {
        next = batch->next;
        ngx_http_agents_db_batch_rewind(batch);
        ngx_http_agents_db_pg_finish(pg, batch,
                                     NGX_HTTP_AGENTS_DB_UNAVAILABLE, why);
    }

    free(group);
}


/* Those that waited for too long without having been sent. */

static void
ngx_http_agents_db_pg_expire(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_groups_t *groups)
{
    size_t                          n;
    ngx_http_agents_db_pg_group_t  *group;

    for (n = groups->n; n; n--) {
        group = ngx_http_agents_db_pg_groups_pop(groups);

        if (pg->now - group->since >= NGX_HTTP_AGENTS_DB_PG_DEADLINE) {
            ngx_http_agents_db_pg_drop_group(pg, group,
                                             "waited for too long");

        } else {
            ngx_http_agents_db_pg_groups_push(groups, group);
        }
    }
}


/* The first line of it; libpq's messages may have several. */

static void
ngx_http_agents_db_pg_message(char *out, size_t size, const char *message)
{
    if (message != out) {
        snprintf(out, size, "%s", message);
    }

    out[strcspn(out, "\r\n")] = '\0';
}


static void
ngx_http_agents_db_pg_notice_handler(void *data, const char *message)
{
    char                      text[256];
    ngx_http_agents_db_pg_t  *pg = data;

    if (pg->conf.notice) {
        ngx_http_agents_db_pg_message(text, sizeof(text), message);
        pg->conf.notice(pg->conf.data, text);
    }
}
