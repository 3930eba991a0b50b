
/*
 * What the test of the PostgreSQL driver is made with: its queries, a small
 * event loop for one or two connections, and a session to disturb them.
 */


#ifndef _UNIT_PG_H_INCLUDED_
#define _UNIT_PG_H_INCLUDED_


#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <libpq-fe.h>
#include "ngx_http_agents_db_batch.h"
#include "ngx_http_agents_db_pg.h"
#include "ngx_http_agents_db_poll.h"
#include "unit.h"


#define QUERY(name, sql)                                                      \
    static const ngx_http_agents_db_query_t  name = { #name, sql }

QUERY(q_echo, "SELECT {a}, {b:int}, {b:int} + 1, NULL::text, {a} IS NULL");
QUERY(q_get, "SELECT id, val FROM t WHERE id = {id:int}");
QUERY(q_star, "SELECT * FROM t WHERE id = {id:int}");
QUERY(q_divide, "SELECT 1 / {n:int}");
QUERY(q_insert, "INSERT INTO t (id, val) VALUES ({id:int}, {val})");
QUERY(q_update, "UPDATE t SET val = {val} WHERE id = {id:int} RETURNING val");
QUERY(q_sleep, "SELECT pg_sleep({ms:int} / 1000.0)");
QUERY(q_pid, "SELECT pg_backend_pid()");
QUERY(q_missing, "SELECT * FROM no_such_table");
QUERY(q_syntax, "SELEC 1");
QUERY(q_malformed, "SELECT {a");
QUERY(q_now, "SELECT {now}");
QUERY(q_deallocate, "DEALLOCATE ALL");
QUERY(q_count, "SELECT count(*) FROM pg_prepared_statements");


static char  conninfo[1024];


static int64_t
now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* One turn of an event loop, over one or two connections. */

static void
turn(ngx_http_agents_db_pg_t *a, ngx_http_agents_db_pg_t *b)
{
    int                       i, rc;
    unsigned                  events;
    struct pollfd             fds[2];
    ngx_http_agents_db_pg_t  *pg[2];

    pg[0] = a;
    pg[1] = b;

    for (i = 0; i < 2; i++) {
        fds[i].fd = -1;
        fds[i].events = 0;

        if (pg[i] == NULL) {
            continue;
        }

        events = ngx_http_agents_db_pg_events(pg[i]);

        fds[i].fd = events ? ngx_http_agents_db_pg_fd(pg[i]) : -1;
        fds[i].events = (events & NGX_HTTP_AGENTS_DB_PG_READ ? POLLIN : 0)
                        | (events & NGX_HTTP_AGENTS_DB_PG_WRITE ? POLLOUT : 0);
    }

    rc = poll(fds, 2, 5);

    for (i = 0; i < 2; i++) {

        if (pg[i] == NULL) {
            continue;
        }

        if (rc > 0 && fds[i].revents) {
            ngx_http_agents_db_pg_io(pg[i],
                (fds[i].revents & ~POLLOUT ? NGX_HTTP_AGENTS_DB_PG_READ : 0)
                | (fds[i].revents & POLLOUT ? NGX_HTTP_AGENTS_DB_PG_WRITE : 0),
                now());
        }

        ngx_http_agents_db_pg_tick(pg[i], now());
    }
}


/* Until it is in a state that only we can change. */

static ngx_http_agents_db_pg_state_e
settle(ngx_http_agents_db_pg_t *pg)
{
    int64_t                        until;
    ngx_http_agents_db_pg_state_e  state;

    until = now() + 10000;

    do {
        turn(pg, NULL);
        state = ngx_http_agents_db_pg_state(pg);

    } while ((state == NGX_HTTP_AGENTS_DB_PG_CONNECTING
              || state == NGX_HTTP_AGENTS_DB_PG_CHECKING)
             && now() < until);

    return state;
}


static ngx_http_agents_db_pg_state_e
connect_to(ngx_http_agents_db_pg_t *pg, const char *where)
{
    char                            err[256];
    ngx_http_agents_db_pg_params_t  params;

    if (ngx_http_agents_db_pg_params(&params, where, 1, 0, err, sizeof(err))
        != 0) {
        printf("# %s\n", err);
        return NGX_HTTP_AGENTS_DB_PG_CLOSED;
    }

    ngx_http_agents_db_pg_connect(pg, &params);
    ngx_http_agents_db_pg_params_free(&params);

    return settle(pg);
}


static void
on_notice(void *data, const char *text)
{
    (void) text;

    ++*(int *) data;
}


static ngx_http_agents_db_pg_t *
make(int64_t schema, unsigned no_prepare)
{
    static int                    notices;
    ngx_http_agents_db_pg_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.schema = schema;
    conf.no_prepare = no_prepare;
    conf.notice = on_notice;
    conf.data = &notices;

    return ngx_http_agents_db_pg_create(&conf);
}


static ngx_http_agents_db_batch_t *
batch_of(ngx_http_agents_db_kind_e kind,
    const ngx_http_agents_db_query_t *query)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(kind, NULL, NULL);

    ngx_http_agents_db_add(batch, query);

    return batch;
}


static ngx_http_agents_db_batch_t *
get(int64_t id)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_POINT, &q_get);
    ngx_http_agents_db_int(batch, "id", id);

    return batch;
}


static ngx_http_agents_db_batch_t *
update(int64_t id, const char *val)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_WRITE, &q_update);
    ngx_http_agents_db_int(batch, "id", id);
    ngx_http_agents_db_cstr(batch, "val", val);

    return batch;
}


static void
put(ngx_http_agents_db_pg_t *pg, ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_pg_submit(pg, batch, now());
}


/* Turns until "n" batches have finished; how many did. */

static int
wait_for(ngx_http_agents_db_pg_t *a, ngx_http_agents_db_pg_t *b, int n)
{
    int      got;
    int64_t  until;

    got = 0;
    until = now() + 8000;

    ngx_http_agents_db_pg_flush(a, now());

    if (b) {
        ngx_http_agents_db_pg_flush(b, now());
    }

    while (now() < until) {

        if (ngx_http_agents_db_pg_state(a) == NGX_HTTP_AGENTS_DB_PG_LOST) {
            ngx_http_agents_db_pg_close(a);
        }

        while (ngx_http_agents_db_pg_next(a)) {
            got++;
        }

        while (b && ngx_http_agents_db_pg_next(b)) {
            got++;
        }

        if (got >= n) {
            break;
        }

        turn(a, b);
    }

    return got;
}


static int
run(ngx_http_agents_db_pg_t *pg, ngx_http_agents_db_batch_t *batch)
{
    put(pg, batch);

    return wait_for(pg, NULL, 1) == 1 ? (int) batch->status : -1;
}


static int
exec_on(PGconn *conn, const char *sql)
{
    int        ok;
    PGresult  *res;

    res = PQexec(conn, sql);
    ok = (PQresultStatus(res) == PGRES_COMMAND_OK
          || PQresultStatus(res) == PGRES_TUPLES_OK);

    if (!ok) {
        printf("# %s: %s", sql, PQerrorMessage(conn));
    }

    PQclear(res);

    return ok;
}


static int
terminate(PGconn *conn, int64_t pid)
{
    char  sql[128];

    snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%lld)",
             (long long) pid);

    return exec_on(conn, sql);
}


static int64_t
pid_of(ngx_http_agents_db_pg_t *pg)
{
    int64_t                      pid;
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_pid);
    (void) run(pg, batch);
    pid = ngx_http_agents_db_get_int(batch, 0, 0, 0);
    ngx_http_agents_db_batch_free(batch);

    return pid;
}


#endif /* _UNIT_PG_H_INCLUDED_ */
