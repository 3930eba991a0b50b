
/*
 * Templates and batches, without a database.
 */


#include <stdint.h>
#include <stdlib.h>
#include "ngx_http_agents_db_batch.h"
#include "unit.h"


static void
test_template(const char *sql, const char *sqlite, const char *postgres)
{
    ngx_http_agents_db_template_t  t;

    if (ngx_http_agents_db_template_read(&t, sql, NGX_HTTP_AGENTS_DB_SQLITE)
        == 0)
    {
        unit_text(t.sql, sqlite, sql);
        ngx_http_agents_db_template_free(&t);

    } else {
        unit_text(NULL, sqlite, sql);
    }

    if (ngx_http_agents_db_template_read(&t, sql, NGX_HTTP_AGENTS_DB_POSTGRES)
        == 0)
    {
        unit_text(t.sql, postgres, sql);
        ngx_http_agents_db_template_free(&t);

    } else {
        unit_text(NULL, postgres, sql);
    }
}


static void
test_templates(void)
{
    ngx_http_agents_db_template_t  t;

    test_template("SELECT 1", "SELECT 1", "SELECT 1");
    test_template("{a} {b:int} {a}", "?1 ?2 ?1", "$1 $2 $1");
    test_template("'{a} it''s {b}' || {c}", "'{a} it''s {b}' || ?1",
                  "'{a} it''s {b}' || $1");
    test_template("x {skip_locked})", "x )", "x FOR UPDATE SKIP LOCKED)");
    test_template("SELECT {lock_owner}", "SELECT NULL",
                  "SELECT pg_advisory_xact_lock(hashtext(company_id),"
                  " hashtext(user_id))");
    test_template("RETURNING {notify_stop}", "RETURNING NULL",
                  "RETURNING pg_notify('agents_stops', worker)");
    test_template("{now}",
                  "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0)"
                  " AS INTEGER)",
                  "(extract(epoch from clock_timestamp()) * 1000)::bigint");

    test_template("{a} FROM {b:each} k", "?1 FROM json_each(?2) k",
                  "$1 FROM json_array_elements(($2)::json) k");

    test_template("{:each}", NULL, NULL);
    test_template("{a:int} {a:each}", NULL, NULL);
    test_template("{a", NULL, NULL);
    test_template("{}", NULL, NULL);
    test_template("{:int}", NULL, NULL);
    test_template("{a b}", NULL, NULL);
    test_template("{a:text}", NULL, NULL);
    test_template("{a} {a:int}", NULL, NULL);
    test_template("'open", NULL, NULL);

    if (unit(ngx_http_agents_db_template_read(&t, "{b:int}{a}",
                                              NGX_HTTP_AGENTS_DB_SQLITE)
             == 0, "parameters"))
    {
        unit(t.n == 2 && strcmp(t.names[0], "b") == 0 && t.ints[0] == 1
             && strcmp(t.names[1], "a") == 0 && t.ints[1] == 0,
             "in their order, with their types");
        ngx_http_agents_db_template_free(&t);
    }
}


static void
test_batch(void)
{
    char                              *p;
    size_t                             i, size;
    ngx_http_agents_db_batch_t        *b;
    const ngx_http_agents_db_value_t  *v;

    static const ngx_http_agents_db_query_t  query = { "q", "{a} {n:int} {z}" };
    static const ngx_http_agents_db_query_t  none = { "n", "SELECT 1" };

    b = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ, NULL, NULL);
    if (!unit(b != NULL, "a batch")) {
        return;
    }

    ngx_http_agents_db_add(b, &query);
    ngx_http_agents_db_text(b, "a", "x\0y", 3);
    ngx_http_agents_db_int(b, "n", INT64_MIN);
    ngx_http_agents_db_cstr(b, "z", NULL);
    ngx_http_agents_db_add(b, &none);

    unit(!b->failed && b->n == 2, "two statements");

    v = ngx_http_agents_db_batch_value(b->first, "a");
    unit(v && v->len == 3 && memcmp(v->text, "x\0y", 4) == 0, "a text");
    v = ngx_http_agents_db_batch_value(b->first, "n");
    unit(v && v->is_int && v->integer == INT64_MIN, "a number");
    v = ngx_http_agents_db_batch_value(b->first, "z");
    unit(v && !v->is_int && v->text == NULL, "a NULL");
    unit(ngx_http_agents_db_batch_value(b->first, "y") == NULL, "no value");

    unit(ngx_http_agents_db_rows(b, 0) == 0
         && ngx_http_agents_db_rows(b, 7) == 0
         && ngx_http_agents_db_get(b, 0, 0, 0, NULL) == NULL
         && ngx_http_agents_db_get_int(b, 7, 0, 0) == 0,
         "no rows and no values of what is not there");

    /* memory of every size, written to its end */

    for (size = 1, i = 0; size < 300000; size = size * 3 / 2 + 1, i++) {
        p = ngx_http_agents_db_batch_alloc(b, size);
        if (p == NULL || (uintptr_t) p % 16) {
            break;
        }

        memset(p, (int) i, size);

        p = ngx_http_agents_db_batch_alloc(b, 100);
        if (p == NULL || (uintptr_t) p % 16) {
            break;
        }

        memset(p, (int) i, 100);
    }

    unit(size >= 300000, "memory of any size, aligned");
    unit(ngx_http_agents_db_batch_alloc(b, SIZE_MAX) == NULL,
         "but not all of it");

    ngx_http_agents_db_int(b, "x", 1);
    unit(b->failed, "a value too many marks the batch");

    ngx_http_agents_db_batch_free(b);

    b = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ, NULL, NULL);
    ngx_http_agents_db_int(b, "x", 1);
    unit(b->failed, "so does one without a statement");
    ngx_http_agents_db_batch_free(b);
}


int
main(void)
{
    test_templates();
    test_batch();

    return unit_done();
}
