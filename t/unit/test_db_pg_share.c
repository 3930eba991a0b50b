
/*
 * Reads that share a statement, against a real server: each gets its own rows
 * and no one else's, whatever happens to those beside it.  The conninfo is
 * AGENTS_TEST_POSTGRES; all is done in a schema of its own.
 */


#include "unit_pg.h"


#define SCHEMA  "agents_test_db_pg_share"

QUERY(q_rows, "SELECT {who}, g FROM generate_series(1, {n:int}) g"
              " ORDER BY g DESC");
QUERY(q_prepared, "SELECT count(*) FROM pg_prepared_statements"
                  " WHERE name LIKE '%\\_shared'");
QUERY(q_late, "SELECT id, val, pg_sleep(0.05) FROM t WHERE id = {id:int}");
QUERY(q_picky, "SELECT picky({id:int})");
QUERY(q_picked, "SELECT last_value, is_called FROM picked");


static ngx_http_agents_db_batch_t *
point(const ngx_http_agents_db_query_t *query, int64_t id)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_POINT, query);
    ngx_http_agents_db_int(batch, "id", id);

    return batch;
}


static ngx_http_agents_db_batch_t *
rows_of(const char *who, int64_t n)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_POINT, &q_rows);
    ngx_http_agents_db_cstr(batch, "who", who);
    ngx_http_agents_db_int(batch, "n", n);

    return batch;
}


static ngx_http_agents_db_batch_t *
echo(const char *text, size_t len, int64_t n)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_POINT, &q_echo);
    ngx_http_agents_db_text(batch, "a", text, len);
    ngx_http_agents_db_int(batch, "b", n);

    return batch;
}


/* Submits all of them at once, and waits: whether they ended. */

static int
together(ngx_http_agents_db_pg_t *pg, ngx_http_agents_db_batch_t **batch,
    int n)
{
    int  i;

    for (i = 0; i < n; i++) {
        put(pg, batch[i]);
    }

    return wait_for(pg, NULL, n) == n;
}


static void
free_all(ngx_http_agents_db_batch_t **batch, int n)
{
    int  i;

    for (i = 0; i < n; i++) {
        ngx_http_agents_db_batch_free(batch[i]);
    }
}


static int64_t
prepared(ngx_http_agents_db_pg_t *pg)
{
    int64_t                      n;
    ngx_http_agents_db_batch_t  *batch;

    batch = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_prepared);
    n = (run(pg, batch) == NGX_HTTP_AGENTS_DB_OK)
        ? ngx_http_agents_db_get_int(batch, 0, 0, 0) : -1;
    ngx_http_agents_db_batch_free(batch);

    return n;
}


/* Whether the batch has the row of t with that id, or none beyond 9. */

static int
has(const ngx_http_agents_db_batch_t *batch, int64_t id)
{
    char  val[32];

    if (batch->status != NGX_HTTP_AGENTS_DB_OK) {
        printf("# %d: %s\n", (int) id, batch->error);
        return 0;
    }

    if (id > 9) {
        return ngx_http_agents_db_rows(batch, 0) == 0;
    }

    snprintf(val, sizeof(val), "v%d", (int) id);

    return ngx_http_agents_db_rows(batch, 0) == 1
           && batch->first->columns == 2
           && ngx_http_agents_db_get_int(batch, 0, 0, 0) == id
           && strcmp(ngx_http_agents_db_get(batch, 0, 0, 1, NULL), val) == 0;
}


static void
test_rows(ngx_http_agents_db_pg_t *pg)
{
    enum { N = 100 };

    int                          i, k, ok;
    char                         who[32];
    ngx_http_agents_db_batch_t  *batch[N];

    unit(prepared(pg) == 0, "nothing has been shared");

    /* ids 0 to 12, many of them several times; 10 to 12 are not there */

    for (i = 0; i < N; i++) {
        batch[i] = get((i * 7) % 13);
    }

    unit(together(pg, batch, N), "%d reads of 13 keys", N);

    for (i = 0, ok = 0; i < N; i++) {
        ok += has(batch[i], (i * 7) % 13);
    }

    unit(ok == N, "each has its row, or none (%d)", ok);
    unit(prepared(pg) == 1, "by one statement");
    free_all(batch, N);

    /* of two queries by turns, one with any number of rows in their order */

    for (i = 0; i < N; i++) {
        snprintf(who, sizeof(who), "who %d", i / 4);
        batch[i] = (i & 1) ? get(i % 10) : rows_of(who, i % 5);
    }

    unit(together(pg, batch, N), "reads of two queries");

    for (i = 0, ok = 0; i < N; i++) {

        if (i & 1) {
            ok += has(batch[i], i % 10);
            continue;
        }

        snprintf(who, sizeof(who), "who %d", i / 4);

        ok += (batch[i]->status == NGX_HTTP_AGENTS_DB_OK
               && ngx_http_agents_db_rows(batch[i], 0) == (size_t) (i % 5));

        for (k = 0; k < i % 5; k++) {
            if (strcmp(ngx_http_agents_db_get(batch[i], 0, k, 0, NULL), who)
                != 0
                || ngx_http_agents_db_get_int(batch[i], 0, k, 1) != i % 5 - k)
            {
                printf("# row %d of %d is not its own\n", k, i);
                ok--;
                break;
            }
        }
    }

    unit(ok == N, "each has its rows, in their order (%d)", ok);
    unit(prepared(pg) == 2, "by two statements");
    free_all(batch, N);
}


static void
test_values(ngx_http_agents_db_pg_t *pg)
{
    size_t                       len;
    ngx_http_agents_db_batch_t  *batch[6];

    batch[0] = echo("", 0, 0);
    batch[1] = echo(NULL, 0, -1);
    batch[2] = echo("{\"a\\,b\"} NULL \xc3\xa4", 16, INT64_MIN);
    batch[3] = echo("NULL", 4, INT64_MAX - 1);
    batch[4] = echo("", 0, 1);
    batch[5] = echo(NULL, 0, 0);

    unit(together(pg, batch, 6), "values of all kinds");

    unit_text(ngx_http_agents_db_get(batch[0], 0, 0, 0, &len), "",
              "an empty text");
    unit(ngx_http_agents_db_get(batch[1], 0, 0, 0, NULL) == NULL
         && ngx_http_agents_db_get_int(batch[1], 0, 0, 1) == -1
         && ngx_http_agents_db_get_int(batch[1], 0, 0, 4) == 1, "a NULL");
    unit_text(ngx_http_agents_db_get(batch[2], 0, 0, 0, &len),
              "{\"a\\,b\"} NULL \xc3\xa4", "what could end an element");
    unit(len == 16
         && ngx_http_agents_db_get_int(batch[2], 0, 0, 1) == INT64_MIN,
         "its length; the least integer");
    unit_text(ngx_http_agents_db_get(batch[3], 0, 0, 0, &len), "NULL",
              "a text that reads as a NULL");
    unit(ngx_http_agents_db_get_int(batch[3], 0, 0, 2) == INT64_MAX,
         "the greatest integer");
    unit(ngx_http_agents_db_get_int(batch[4], 0, 0, 1) == 1
         && ngx_http_agents_db_get_int(batch[0], 0, 0, 1) == 0,
         "one value in common is not the same read");
    unit(ngx_http_agents_db_get(batch[5], 0, 0, 0, NULL) == NULL
         && ngx_http_agents_db_get_int(batch[5], 0, 0, 1) == 0,
         "nor is an empty text a NULL");

    free_all(batch, 6);
}


/* One of those that share a statement fails: they are asked one by one. */

static void
test_errors(ngx_http_agents_db_pg_t *pg)
{
    int                          i, ok;
    ngx_http_agents_db_batch_t  *batch[9];

    for (i = 0; i < 9; i++) {

        if (i % 3 == 0) {
            batch[i] = get(i);

        } else {
            batch[i] = batch_of(NGX_HTTP_AGENTS_DB_POINT, &q_divide);
            ngx_http_agents_db_int(batch[i], "n", (i % 5 == 0) ? 0 : 1);
        }
    }

    unit(together(pg, batch, 9), "one in the midst of others fails");

    for (i = 0, ok = 0; i < 9; i++) {

        if (i % 3 == 0) {
            ok += has(batch[i], i);

        } else if (i % 5 == 0) {
            ok += (batch[i]->status == NGX_HTTP_AGENTS_DB_ERROR
                   && strstr(batch[i]->error, "22012") != NULL);

        } else {
            ok += (batch[i]->status == NGX_HTTP_AGENTS_DB_OK
                   && ngx_http_agents_db_get_int(batch[i], 0, 0, 0) == 1);
        }
    }

    unit(ok == 9, "only that one failed (%d)", ok);
    free_all(batch, 9);

    batch[0] = echo("a", 1, 1);
    batch[1] = echo("a\0b", 3, 2);
    batch[2] = echo("b", 1, 3);

    unit(together(pg, batch, 3)
         && batch[0]->status == NGX_HTTP_AGENTS_DB_OK
         && batch[1]->status == NGX_HTTP_AGENTS_DB_ERROR
         && batch[2]->status == NGX_HTTP_AGENTS_DB_OK
         && ngx_http_agents_db_get_int(batch[2], 0, 0, 1) == 3,
         "a NUL in a text is an error of that one alone: %s",
         batch[1]->error);

    free_all(batch, 3);
}


/* What comes while the server is at work goes together when it is done. */

static void
test_gathers(ngx_http_agents_db_pg_t *pg)
{
    int                          i, ok;
    ngx_http_agents_db_batch_t  *batch[12];

    for (i = 0; i < 12; i++) {
        batch[i] = (i == 0) ? point(&q_late, 0) : get(i);
        put(pg, batch[i]);
        ngx_http_agents_db_pg_flush(pg, now());
    }

    unit(ngx_http_agents_db_pg_load(pg) == 12
         && wait_for(pg, NULL, 12) == 12, "one after the other");

    for (i = 1, ok = 0; i < 12; i++) {
        ok += has(batch[i], i);
    }

    unit(ok == 11 && ngx_http_agents_db_rows(batch[0], 0) == 1,
         "each has its row (%d)", ok);
    free_all(batch, 12);
}


static void
test_stale(ngx_http_agents_db_pg_t *pg)
{
    int                          i, ok;
    ngx_http_agents_db_batch_t  *batch[4];

    batch[0] = batch_of(NGX_HTTP_AGENTS_DB_WRITE, &q_deallocate);
    (void) run(pg, batch[0]);
    ngx_http_agents_db_batch_free(batch[0]);

    for (i = 0; i < 4; i++) {
        batch[i] = get(i + 3);
    }

    unit(together(pg, batch, 4), "the statement is not known any more");

    for (i = 0, ok = 0; i < 4; i++) {
        ok += has(batch[i], i + 3);
    }

    unit(ok == 4, "they are answered all the same (%d)", ok);
    free_all(batch, 4);

    for (i = 0; i < 4; i++) {
        batch[i] = get(i);
    }

    unit(together(pg, batch, 4) && has(batch[3], 3) && prepared(pg) == 1,
         "and it is prepared anew");
    free_all(batch, 4);
}


/*
 * A server that does not do such statements, as one that spreads tables may
 * not: it is asked once, then each read goes by itself.
 */

static void
test_unsupported(ngx_http_agents_db_pg_t *pg, PGconn *admin)
{
    int                          i, k, ok;
    ngx_http_agents_db_batch_t  *batch[4];

    exec_on(admin, "CREATE SEQUENCE picked");
    exec_on(admin, "CREATE FUNCTION picky(id bigint) RETURNS bigint AS $$"
                   " BEGIN IF current_query() LIKE '%ORDINALITY%' THEN"
                   " PERFORM nextval('picked');"
                   " RAISE feature_not_supported; END IF;"
                   " RETURN id; END $$ LANGUAGE plpgsql");

    for (k = 0, ok = 0; k < 3; k++) {

        for (i = 0; i < 4; i++) {
            batch[i] = point(&q_picky, i);
        }

        (void) together(pg, batch, 4);

        for (i = 0; i < 4; i++) {
            ok += (batch[i]->status == NGX_HTTP_AGENTS_DB_OK
                   && ngx_http_agents_db_get_int(batch[i], 0, 0, 0) == i);
        }

        free_all(batch, 4);
    }

    unit(ok == 12, "shared statements are not supported (%d)", ok);

    batch[0] = batch_of(NGX_HTTP_AGENTS_DB_READ, &q_picked);
    unit(run(pg, batch[0]) == NGX_HTTP_AGENTS_DB_OK
         && ngx_http_agents_db_get_int(batch[0], 0, 0, 0) == 1
         && ngx_http_agents_db_get_int(batch[0], 0, 0, 1) == 1,
         "that was tried once");
    ngx_http_agents_db_batch_free(batch[0]);
}


/* The session ends while it does a shared statement, others behind it. */

static void
test_killed(ngx_http_agents_db_pg_t *pg, PGconn *admin)
{
    int                          i, ok;
    int64_t                      pid;
    ngx_http_agents_db_batch_t  *batch[8];

    pid = pid_of(pg);

    for (i = 0; i < 8; i++) {
        batch[i] = (i == 7) ? update(1, "v1")
                            : i < 4 ? point(&q_late, i) : get(i);
        put(pg, batch[i]);

        if (i == 3) {
            ngx_http_agents_db_pg_flush(pg, now());
        }
    }

    terminate(admin, pid);

    unit(wait_for(pg, NULL, 8) == 8, "the session ends");

    for (i = 0, ok = 0; i < 7; i++) {
        ok += (batch[i]->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE
               && ngx_http_agents_db_rows(batch[i], 0) == 0);
    }

    unit(ok == 7, "all reads are unavailable (%d)", ok);
    free_all(batch, 8);

    unit(connect_to(pg, conninfo) == NGX_HTTP_AGENTS_DB_PG_READY,
         "connected again");

    for (i = 0; i < 8; i++) {
        batch[i] = get(i);
    }

    unit(together(pg, batch, 8) && has(batch[7], 7) && prepared(pg) == 1,
         "and the statement is prepared there, too");
    free_all(batch, 8);
}


static void
test_no_prepare(void)
{
    int                          i, ok;
    ngx_http_agents_db_pg_t     *pg;
    ngx_http_agents_db_batch_t  *batch[8];

    pg = make(1, 1);
    unit(connect_to(pg, conninfo) == NGX_HTTP_AGENTS_DB_PG_READY,
         "prepare=off: ready");

    for (i = 0; i < 8; i++) {
        batch[i] = get(i + 5);
    }

    (void) together(pg, batch, 8);

    for (i = 0, ok = 0; i < 8; i++) {
        ok += has(batch[i], i + 5);
    }

    unit(ok == 8 && prepared(pg) == 0,
         "they share, and nothing is prepared (%d)", ok);

    free_all(batch, 8);
    ngx_http_agents_db_pg_destroy(pg);
}


int
main(void)
{
    PGconn                   *admin;
    const char               *base;
    ngx_http_agents_db_pg_t  *pg;

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
    exec_on(admin, "CREATE TABLE agents_schema (version bigint)");
    exec_on(admin, "INSERT INTO agents_schema VALUES (1)");
    exec_on(admin, "CREATE TABLE t (id bigint PRIMARY KEY, val text)");
    exec_on(admin, "INSERT INTO t SELECT g, 'v' || g"
                   " FROM generate_series(0, 9) g");

    pg = make(1, 0);

    unit(connect_to(pg, conninfo) == NGX_HTTP_AGENTS_DB_PG_READY,
         "a connection");

    test_rows(pg);
    test_values(pg);
    test_errors(pg);
    test_gathers(pg);
    test_stale(pg);
    test_unsupported(pg, admin);
    test_killed(pg, admin);
    test_no_prepare();

    ngx_http_agents_db_pg_destroy(pg);

    exec_on(admin, "DROP SCHEMA " SCHEMA " CASCADE");
    PQfinish(admin);

    return unit_done();
}
