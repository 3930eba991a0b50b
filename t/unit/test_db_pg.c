
/*
 * The PostgreSQL driver against a real server: pipelining, errors in the
 * middle of it, conflicts, and sessions that end at the worst moment.  The
 * conninfo is AGENTS_TEST_POSTGRES; all is done in a schema of its own.
 */


#include "unit_pg.h"
#include "ngx_http_agents_migrations.h"


#define SCHEMA  "agents_test_db_pg"


static void
set_version(PGconn *admin, int version)
{
    char  sql[64];

    snprintf(sql, sizeof(sql), "INSERT INTO agents_schema VALUES (%d)",
             version);
    exec_on(admin, sql);
}


static void
test_connect(PGconn *admin)
{
    char                      wanted[64];
    char                      err[256];
    ngx_http_agents_db_pg_t  *pg;

    pg = make(NGX_HTTP_AGENTS_MIGRATIONS_N, 0);

    unit(connect_to(pg, conninfo) == NGX_HTTP_AGENTS_DB_PG_UNMIGRATED,
         "without agents_schema: not migrated");

    unit(strstr(ngx_http_agents_db_pg_error(pg), "agents_schema") != NULL,
         "the reason names the table");

    exec_on(admin, "CREATE TABLE agents_schema (version bigint)");
    set_version(admin, NGX_HTTP_AGENTS_MIGRATIONS_N - 1);

    ngx_http_agents_db_pg_check(pg);
    unit(settle(pg) == NGX_HTTP_AGENTS_DB_PG_UNMIGRATED,
         "a version too low: not migrated");

    snprintf(wanted, sizeof(wanted), "version %d, and %d",
             NGX_HTTP_AGENTS_MIGRATIONS_N - 1, NGX_HTTP_AGENTS_MIGRATIONS_N);
    unit(strstr(ngx_http_agents_db_pg_error(pg), wanted) != NULL,
         "the reason names both versions");

    set_version(admin, NGX_HTTP_AGENTS_MIGRATIONS_N);

    ngx_http_agents_db_pg_check(pg);
    unit(settle(pg) == NGX_HTTP_AGENTS_DB_PG_READY,
         "ready on the same connection once it is migrated");

    ngx_http_agents_db_pg_close(pg);
    unit(ngx_http_agents_db_pg_state(pg) == NGX_HTTP_AGENTS_DB_PG_CLOSED
         && ngx_http_agents_db_pg_fd(pg) == -1, "closed");

    unit(connect_to(pg, "host=127.0.0.1 port=1") == NGX_HTTP_AGENTS_DB_PG_LOST,
         "no server: lost");
    unit(ngx_http_agents_db_pg_error(pg)[0] != '\0', "with a reason: %s",
         ngx_http_agents_db_pg_error(pg));

    ngx_http_agents_db_pg_destroy(pg);

    unit(ngx_http_agents_db_pg_params_check("host=x bogus=1", err,
                                            sizeof(err))
         == -1, "a conninfo with an unknown word: %s", err);
    unit(ngx_http_agents_db_pg_params_check("postgresql://h:1/db", err,
                                            sizeof(err))
         == 0, "a URI is a conninfo");
}


static void
test_hosts(const char *conninfo, size_t first, const char *hosts,
    const char *addrs, const char *ports)
{
    size_t                          i;
    char                            err[256];
    const char                     *host, *addr, *port;
    ngx_http_agents_db_pg_params_t  params;

    unit(ngx_http_agents_db_pg_params(&params, conninfo, 1, first, err,
                                      sizeof(err))
         == 0, "%s, from number %zu on", conninfo, first);

    host = addr = port = NULL;

    for (i = 0; i < params.n; i++) {
        if (strcmp(params.keywords[i], "host") == 0) {
            host = params.values[i];

        } else if (strcmp(params.keywords[i], "hostaddr") == 0) {
            addr = params.values[i];

        } else if (strcmp(params.keywords[i], "port") == 0) {
            port = params.values[i];
        }
    }

    unit_text(host, hosts, "host");
    unit_text(addr, addrs, "hostaddr");
    unit_text(port, ports, "port");

    ngx_http_agents_db_pg_params_free(&params);
}


static void
test_params(void)
{
    char                            err[256];
    ngx_http_agents_db_pg_params_t  params;

    test_hosts("host=/run/a,127.0.0.1 port=5432,5433", 0,
               "/run/a,127.0.0.1", ",127.0.0.1", "5432,5433");

    /* one that does not answer is not waited for again and again */

    test_hosts("host=/run/a,127.0.0.1,/run/b port=1,2,3", 1,
               "127.0.0.1,/run/b,/run/a", "127.0.0.1,,", "2,3,1");
    test_hosts("host=/run/a,127.0.0.1,/run/b port=5432", 5,
               "/run/b,/run/a,127.0.0.1", ",,127.0.0.1", "5432,5432,5432");
    test_hosts("host=127.0.0.1", 7, "127.0.0.1", "127.0.0.1", "");

    unit(ngx_http_agents_db_pg_params(&params,
                                      "host=/run/a connect_timeout=3", 1, 0,
                                      err, sizeof(err))
         == 0 && params.timeout == 3, "connect_timeout");

    ngx_http_agents_db_pg_params_free(&params);

    unit(ngx_http_agents_db_pg_params(&params, "host=name.invalid", 1, 0,
                                      err, sizeof(err))
         == -1 && strstr(err, "name.invalid") != NULL,
         "an unknown host is named: %s", err);
}


static void
test_values(ngx_http_agents_db_pg_t *pg)
{
    size_t                       len;
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_echo);
    ngx_http_agents_db_text(batch, "a", "'; \xc3\xa4 --", 8);
    ngx_http_agents_db_int(batch, "b", INT64_MAX - 1);

    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_OK, "echo");
    unit_text(ngx_http_agents_db_get(batch, 0, 0, 0, &len), "'; \xc3\xa4 --",
              "a text comes back as it was");
    unit(len == 8, "its length");
    unit(ngx_http_agents_db_get_int(batch, 0, 0, 1) == INT64_MAX - 1
         && ngx_http_agents_db_get_int(batch, 0, 0, 2) == INT64_MAX,
         "integers");
    unit(ngx_http_agents_db_get(batch, 0, 0, 3, NULL) == NULL, "NULL");
    unit(ngx_http_agents_db_get_int(batch, 0, 0, 4) == 0, "a boolean: 0");
    ngx_http_agents_db_batch_free(batch);

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_echo);
    ngx_http_agents_db_text(batch, "a", NULL, 0);
    ngx_http_agents_db_int(batch, "b", -1);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_OK
         && ngx_http_agents_db_get(batch, 0, 0, 0, NULL) == NULL
         && ngx_http_agents_db_get_int(batch, 0, 0, 4) == 1,
         "a bound NULL, a boolean: 1");
    ngx_http_agents_db_batch_free(batch);

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_echo);
    ngx_http_agents_db_text(batch, "a", "a\0b", 3);
    ngx_http_agents_db_int(batch, "b", 1);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_ERROR,
         "a NUL in a text is an error, no cut: %s", batch->error);
    ngx_http_agents_db_batch_free(batch);

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_echo);
    ngx_http_agents_db_int(batch, "b", 1);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_ERROR, "unbound: %s",
         batch->error);
    ngx_http_agents_db_batch_free(batch);

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_echo);
    ngx_http_agents_db_int(batch, "a", 1);
    ngx_http_agents_db_int(batch, "b", 1);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_ERROR, "other type: %s",
         batch->error);
    ngx_http_agents_db_batch_free(batch);

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_now);
    ngx_http_agents_db_int(batch, "n", 1);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_ERROR, "no such name: %s",
         batch->error);
    ngx_http_agents_db_batch_free(batch);

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_now);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_OK
         && ngx_http_agents_db_get_int(batch, 0, 0, 0) > 1600000000000,
         "the clock, in milliseconds");
    ngx_http_agents_db_batch_free(batch);

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_malformed);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_ERROR, "template: %s",
         batch->error);
    ngx_http_agents_db_batch_free(batch);

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_syntax);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_ERROR, "syntax: %s",
         batch->error);
    ngx_http_agents_db_batch_free(batch);

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE, NULL, NULL);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_OK, "a batch of nothing");
    ngx_http_agents_db_batch_free(batch);
}


static void
test_pipeline(ngx_http_agents_db_pg_t *pg)
{
    enum { N = 1000 };

    int                          i, right;
    char                         val[32];
    ngx_http_agents_db_batch_t  *batch[N];

    for (i = 0; i < N; i++) {

        snprintf(val, sizeof(val), "v%d", i);

        if (i % 4 == 3) {
            batch[i] = update(i % 10, val);
            ngx_http_agents_db_add(batch[i], &q_get);
            ngx_http_agents_db_int(batch[i], "id", i % 10);

        } else {
            batch[i] = get(i % 10);
        }

        put(pg, batch[i]);

        if (i % 50 == 49) {
            ngx_http_agents_db_pg_flush(pg, now());
        }
    }

    unit(wait_for(pg, NULL, N) == N, "%d batches, in flight at once", N);

    right = 0;

    for (i = 0; i < N; i++) {

        snprintf(val, sizeof(val), "v%d", i);

        if (batch[i]->status == NGX_HTTP_AGENTS_DB_OK
            && (i % 4 != 3
                ? ngx_http_agents_db_get_int(batch[i], 0, 0, 0) == i % 10
                  && ngx_http_agents_db_changes(batch[i], 0) == 0
                : ngx_http_agents_db_changes(batch[i], 0) == 1
                  && strcmp(ngx_http_agents_db_get(batch[i], 1, 0, 1, NULL),
                            val)
                     == 0))
        {
            right++;
        }

        ngx_http_agents_db_batch_free(batch[i]);
    }

    unit(right == N, "all have their own answers (%d)", right);
    unit(ngx_http_agents_db_pg_load(pg) == 0, "none is left");
    unit(ngx_http_agents_db_pg_timeout(pg, now()) == -1, "nor a timer");
}


static void
test_errors(ngx_http_agents_db_pg_t *pg)
{
    int                          i, ok;
    ngx_http_agents_db_batch_t  *batch[9];

    for (i = 0; i < 9; i++) {
        if (i % 4 == 2) {
            batch[i] = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_divide);
            ngx_http_agents_db_int(batch[i], "n", 0);

        } else {
            batch[i] = get(i);
        }

        put(pg, batch[i]);
    }

    unit(wait_for(pg, NULL, 9) == 9, "reads that share a Sync, two fail");

    ok = 0;

    for (i = 0; i < 9; i++) {
        if (i % 4 == 2) {
            ok += (batch[i]->status == NGX_HTTP_AGENTS_DB_ERROR
                   && strstr(batch[i]->error, "22012") != NULL);

        } else {
            ok += (batch[i]->status == NGX_HTTP_AGENTS_DB_OK
                   && ngx_http_agents_db_get_int(batch[i], 0, 0, 0) == i);
        }

        ngx_http_agents_db_batch_free(batch[i]);
    }

    unit(ok == 9, "only those two failed (%d)", ok);

    batch[0] = update(1, "before");
    unit(run(pg, batch[0]) == NGX_HTTP_AGENTS_DB_OK, "a value to keep");

    batch[1] = update(1, "undone");
    ngx_http_agents_db_add(batch[1], &q_insert);
    ngx_http_agents_db_int(batch[1], "id", 2);
    ngx_http_agents_db_cstr(batch[1], "val", "x");

    unit(run(pg, batch[1]) == NGX_HTTP_AGENTS_DB_CONSTRAINT,
         "a unique constraint: %s", batch[1]->error);

    batch[2] = get(1);
    unit(run(pg, batch[2]) == NGX_HTTP_AGENTS_DB_OK, "read it back");
    unit_text(ngx_http_agents_db_get(batch[2], 0, 0, 1, NULL), "before",
              "the statement before was undone");

    for (i = 0; i < 3; i++) {
        ngx_http_agents_db_batch_free(batch[i]);
    }
}


static void
test_deadlock(ngx_http_agents_db_pg_t *a, ngx_http_agents_db_pg_t *b)
{
    ngx_http_agents_db_batch_t  *x, *y;

    x = update(1, "x");
    ngx_http_agents_db_add(x, &q_sleep);
    ngx_http_agents_db_int(x, "ms", 300);
    ngx_http_agents_db_add(x, &q_update);
    ngx_http_agents_db_int(x, "id", 2);
    ngx_http_agents_db_cstr(x, "val", "x");

    y = update(2, "y");
    ngx_http_agents_db_add(y, &q_sleep);
    ngx_http_agents_db_int(y, "ms", 300);
    ngx_http_agents_db_add(y, &q_update);
    ngx_http_agents_db_int(y, "id", 1);
    ngx_http_agents_db_cstr(y, "val", "y");

    put(a, x);
    put(b, y);

    unit(wait_for(a, b, 2) == 2, "two that wait for each other");
    unit(x->status == NGX_HTTP_AGENTS_DB_OK
         && y->status == NGX_HTTP_AGENTS_DB_OK, "both are done in the end");
    unit(x->attempts + y->attempts == 1, "one was repeated");
    unit(ngx_http_agents_db_changes(x, 2) == 1
         && ngx_http_agents_db_changes(y, 2) == 1, "each with its answers");

    ngx_http_agents_db_batch_free(x);
    ngx_http_agents_db_batch_free(y);
}


static void
test_stale(ngx_http_agents_db_pg_t *pg, PGconn *admin)
{
    int                          i, ok;
    ngx_http_agents_db_batch_t  *batch[6];

    for (i = 0; i < 3; i++) {
        batch[0] = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_star);
        ngx_http_agents_db_int(batch[0], "id", 1);
        ok = run(pg, batch[0]);
        ngx_http_agents_db_batch_free(batch[0]);
    }

    exec_on(admin, "ALTER TABLE t ADD COLUMN more bigint DEFAULT 7");

    for (i = 0; i < 6; i++) {
        batch[i] = batch_of(i & 1 ? NGX_HTTP_AGENTS_DB_WRITE
                                  : NGX_HTTP_AGENTS_DB_READ, &q_star);
        ngx_http_agents_db_int(batch[i], "id", i);
        put(pg, batch[i]);
    }

    unit(wait_for(pg, NULL, 6) == 6, "a table got a column");

    ok = 0;

    for (i = 0; i < 6; i++) {
        ok += (batch[i]->status == NGX_HTTP_AGENTS_DB_OK
               && ngx_http_agents_db_get_int(batch[i], 0, 0, 2) == 7);
        ngx_http_agents_db_batch_free(batch[i]);
    }

    unit(ok == 6, "and the queries see it, on the same connection");

    exec_on(admin, "ALTER TABLE t DROP COLUMN more");

    batch[0] = batch_of(NGX_HTTP_AGENTS_DB_WRITE, &q_deallocate);
    (void) run(pg, batch[0]);
    ngx_http_agents_db_batch_free(batch[0]);

    batch[0] = get(3);
    unit(run(pg, batch[0]) == NGX_HTTP_AGENTS_DB_OK
         && ngx_http_agents_db_rows(batch[0], 0) == 1,
         "a dropped prepared statement is prepared again: %s",
         batch[0]->error);
    ngx_http_agents_db_batch_free(batch[0]);
}


static void
test_killed(ngx_http_agents_db_pg_t *pg, PGconn *admin)
{
    int                          i;
    int64_t                      pid;
    ngx_http_agents_db_batch_t  *batch[5];

    pid = pid_of(pg);

    /* the first is at work when the session ends, the others behind it */

    batch[0] = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_sleep);
    ngx_http_agents_db_int(batch[0], "ms", 5000);
    put(pg, batch[0]);
    ngx_http_agents_db_pg_flush(pg, now());

    batch[1] = update(1, "never");
    put(pg, batch[1]);
    batch[2] = get(1);
    put(pg, batch[2]);
    ngx_http_agents_db_pg_flush(pg, now());

    /* and these were not sent */

    batch[3] = update(1, "never");
    put(pg, batch[3]);
    batch[4] = get(1);
    put(pg, batch[4]);

    terminate(admin, pid);

    while (ngx_http_agents_db_pg_state(pg) != NGX_HTTP_AGENTS_DB_PG_LOST) {
        struct pollfd  pfd = { ngx_http_agents_db_pg_fd(pg), POLLIN, 0 };

        /* without flush(): io() sends, so the rest goes in with it */

        (void) poll(&pfd, 1, 5000);
        ngx_http_agents_db_pg_io(pg, NGX_HTTP_AGENTS_DB_PG_READ, now());
    }

    unit(1, "lost: %s", ngx_http_agents_db_pg_error(pg));

    ngx_http_agents_db_pg_close(pg);

    for (i = 0; ngx_http_agents_db_pg_next(pg); i++) { /* void */ }

    unit(i == 5, "every batch ended (%d)", i);
    unit(batch[0]->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE
         && batch[2]->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE
         && batch[4]->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE,
         "reads: unavailable");
    unit(batch[1]->status == NGX_HTTP_AGENTS_DB_UNKNOWN,
         "a write in flight: unknown");
    unit(batch[3]->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE,
         "a write that was not sent: unavailable");

    for (i = 0; i < 5; i++) {
        ngx_http_agents_db_batch_free(batch[i]);
    }

    batch[0] = get(1);
    unit(run(pg, batch[0]) == NGX_HTTP_AGENTS_DB_UNAVAILABLE,
         "unavailable while it is closed");
    ngx_http_agents_db_batch_free(batch[0]);

    unit(connect_to(pg, conninfo) == NGX_HTTP_AGENTS_DB_PG_READY,
         "connected again");

    batch[0] = get(1);
    unit(run(pg, batch[0]) == NGX_HTTP_AGENTS_DB_OK
         && strcmp(ngx_http_agents_db_get(batch[0], 0, 0, 1, NULL), "never")
            != 0,
         "queries are prepared anew; nothing was changed");
    ngx_http_agents_db_batch_free(batch[0]);

    /* idle when it ends */

    terminate(admin, pid_of(pg));

    while (ngx_http_agents_db_pg_state(pg) != NGX_HTTP_AGENTS_DB_PG_LOST) {
        turn(pg, NULL);
    }

    unit(1, "lost while idle: %s", ngx_http_agents_db_pg_error(pg));
    ngx_http_agents_db_pg_close(pg);

    unit(connect_to(pg, conninfo) == NGX_HTTP_AGENTS_DB_PG_READY,
         "and connected again");
}


static void
test_missing(ngx_http_agents_db_pg_t *pg)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_missing);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_UNAVAILABLE,
         "a missing table: %s", batch->error);
    ngx_http_agents_db_batch_free(batch);

    unit(ngx_http_agents_db_pg_state(pg) == NGX_HTTP_AGENTS_DB_PG_UNMIGRATED,
         "not migrated");

    ngx_http_agents_db_pg_check(pg);
    unit(settle(pg) == NGX_HTTP_AGENTS_DB_PG_READY, "until it is checked");
}


static void
test_large(ngx_http_agents_db_pg_t *pg)
{
    enum { SIZE = 8 * 1024 * 1024 };

    char                        *text;
    size_t                       len;
    ngx_http_agents_db_batch_t  *batch, *read;

    text = malloc(SIZE);
    memset(text, 'a', SIZE);

    batch = batch_of(NGX_HTTP_AGENTS_DB_WRITE, &q_update);
    ngx_http_agents_db_int(batch, "id", 5);
    ngx_http_agents_db_text(batch, "val", text, SIZE);
    put(pg, batch);

    read = get(4);
    put(pg, read);

    unit(wait_for(pg, NULL, 2) == 2
         && batch->status == NGX_HTTP_AGENTS_DB_OK
         && read->status == NGX_HTTP_AGENTS_DB_OK,
         "8 MiB go out in pieces");
    unit(ngx_http_agents_db_get(batch, 0, 0, 0, &len) != NULL && len == SIZE
         && memcmp(batch->first->cells[0].text, text, SIZE) == 0,
         "and come back");

    ngx_http_agents_db_batch_free(batch);
    ngx_http_agents_db_batch_free(read);
    free(text);
}


static void
test_no_prepare(void)
{
    ngx_http_agents_db_pg_t     *pg;
    ngx_http_agents_db_batch_t  *batch;

    pg = make(1, 1);
    unit(connect_to(pg, conninfo) == NGX_HTTP_AGENTS_DB_PG_READY,
         "prepare=off: ready");

    batch = get(3);
    ngx_http_agents_db_add(batch, &q_count);
    unit(run(pg, batch) == NGX_HTTP_AGENTS_DB_OK
         && ngx_http_agents_db_get_int(batch, 0, 0, 0) == 3
         && ngx_http_agents_db_get_int(batch, 1, 0, 0) == 0,
         "nothing is prepared");
    ngx_http_agents_db_batch_free(batch);

    ngx_http_agents_db_pg_destroy(pg);
}


/* A lock held by another session for longer than the deadline. */

static void
test_deadline(ngx_http_agents_db_pg_t *pg, PGconn *admin)
{
    int                          i;
    int64_t                      late;
    ngx_http_agents_db_batch_t  *a, *b;

    exec_on(admin, "BEGIN");
    exec_on(admin, "UPDATE t SET val = 'locked' WHERE id = 1");

    a = update(1, "waits");
    put(pg, a);
    ngx_http_agents_db_pg_flush(pg, now());

    for (i = 0; i < 20; i++) {
        turn(pg, NULL);
    }

    b = update(2, "not sent");
    put(pg, b);

    /* the clock is ours */

    late = now() + NGX_HTTP_AGENTS_DB_PG_DEADLINE + 1;

    unit(ngx_http_agents_db_pg_timeout(pg, now()) > 0
         && ngx_http_agents_db_pg_timeout(pg, late) == 0, "a timer is wanted");

    ngx_http_agents_db_pg_tick(pg, late);

    unit(ngx_http_agents_db_pg_state(pg) == NGX_HTTP_AGENTS_DB_PG_LOST,
         "no answer in time: lost");

    ngx_http_agents_db_pg_close(pg);

    for (i = 0; ngx_http_agents_db_pg_next(pg); i++) { /* void */ }

    unit(i == 2 && a->status == NGX_HTTP_AGENTS_DB_UNKNOWN
         && b->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE,
         "sent: unknown; not sent: unavailable");

    ngx_http_agents_db_batch_free(a);
    ngx_http_agents_db_batch_free(b);

    exec_on(admin, "ROLLBACK");
}


static void
test_poll(void)
{
    char                         spec[1100], err[256];
    int64_t                      pid;
    PGconn                      *admin;
    ngx_http_agents_db_t        *db;
    ngx_http_agents_db_batch_t  *batch;

    snprintf(spec, sizeof(spec), "postgres:%s", conninfo);

    db = ngx_http_agents_db_poll_open(spec, err, sizeof(err));
    if (!unit(db != NULL, "db_poll opens")) {
        printf("# %s\n", err);
        return;
    }

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_pid);
    unit(ngx_http_agents_db_poll_run(db, batch) == 0, "runs a batch");
    pid = ngx_http_agents_db_get_int(batch, 0, 0, 0);
    ngx_http_agents_db_batch_free(batch);

    admin = PQconnectdb(conninfo);
    terminate(admin, pid);
    PQfinish(admin);

    /* the end of that session may be a moment away yet */

    (void) poll(NULL, 0, 200);

    batch = get(4);
    unit(ngx_http_agents_db_poll_run(db, batch) == 0,
         "runs another although the session has ended");
    ngx_http_agents_db_batch_free(batch);

    ngx_http_agents_db_poll_close(db);

    unit(ngx_http_agents_db_poll_open("mysql:x", err, sizeof(err)) == NULL,
         "unknown: %s", err);
    unit(ngx_http_agents_db_poll_open("postgres:host=127.0.0.1 port=1", err,
                                      sizeof(err)) == NULL,
         "no server: %s", err);
}


int
main(void)
{
    PGconn                   *admin;
    const char               *base;
    ngx_http_agents_db_pg_t  *a, *b;

    base = getenv("AGENTS_TEST_POSTGRES");

    if (base == NULL) {
        printf("1..0 # SKIP AGENTS_TEST_POSTGRES is not set\n");
        return 0;
    }

    snprintf(conninfo, sizeof(conninfo), "%s options='-c search_path=" SCHEMA
             "'", base);

    admin = PQconnectdb(conninfo);

    if (PQstatus(admin) != CONNECTION_OK) {
        printf("Bail out! %s", PQerrorMessage(admin));
        return 1;
    }

    exec_on(admin, "SET client_min_messages = warning");
    exec_on(admin, "DROP SCHEMA IF EXISTS " SCHEMA " CASCADE");
    exec_on(admin, "CREATE SCHEMA " SCHEMA);
    exec_on(admin, "CREATE TABLE t (id bigint PRIMARY KEY, val text)");
    exec_on(admin, "INSERT INTO t SELECT g, 'v' FROM generate_series(0, 9) g");

    test_connect(admin);
    test_params();

    a = make(1, 0);
    b = make(1, 0);

    unit(connect_to(a, conninfo) == NGX_HTTP_AGENTS_DB_PG_READY
         && connect_to(b, conninfo) == NGX_HTTP_AGENTS_DB_PG_READY,
         "two connections");

    test_values(a);
    test_pipeline(a);
    test_errors(a);
    test_deadlock(a, b);
    test_stale(a, admin);
    test_killed(a, admin);
    test_missing(a);
    test_large(a);
    test_no_prepare();
    test_deadline(a, admin);
    test_poll();

    ngx_http_agents_db_pg_destroy(a);
    ngx_http_agents_db_pg_destroy(b);

    exec_on(admin, "DROP SCHEMA " SCHEMA " CASCADE");
    PQfinish(admin);

    return unit_done();
}
