
/*
 * Point reads of one query that are sent together become one statement: what
 * a statement costs by itself, to be begun and to have its columns described,
 * is then paid once, and is most of what such a read costs.  It takes an
 * array for each value, and does for every row of them what the query does:
 *
 *     SELECT k.n, r.* FROM UNNEST((SELECT $1::text[]), (SELECT $2::bigint[]))
 *     WITH ORDINALITY AS k (v1, v2, n), LATERAL (SELECT * FROM (the query,
 *     with k.v1 for $1 and k.v2 for $2) q OFFSET 0) r
 *
 * LATERAL runs the query once for each row of "k", in their order, and OFFSET
 * keeps the planner from making one join of all: the query finds its rows by
 * the same indexes as alone, whatever is known of the tables, and by nothing
 * else than its own values.  The arrays come from subqueries since the planner
 * would count their elements otherwise, and plan anew each time.  No nginx.
 */


#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_db_pg_core.h"


#define NGX_HTTP_AGENTS_DB_PG_TEXTARRAYOID  1009
#define NGX_HTTP_AGENTS_DB_PG_INT8ARRAYOID  1016


static unsigned ngx_http_agents_db_pg_share_same(
    const ngx_http_agents_db_batch_t *a, const ngx_http_agents_db_batch_t *b);
static int ngx_http_agents_db_pg_share_make(
    ngx_http_agents_db_pg_slot_t *slot);
static void ngx_http_agents_db_pg_share_sql(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_db_template_t *tmpl);
static void ngx_http_agents_db_pg_share_bind(
    ngx_http_agents_db_pg_bind_t *bind, ngx_http_agents_buf_t *buf,
    const ngx_http_agents_db_template_t *tmpl,
    const ngx_http_agents_db_batch_t *batch, size_t keys);
static void ngx_http_agents_db_pg_share_array(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_db_template_t *tmpl, size_t i,
    const ngx_http_agents_db_batch_t *batch, size_t keys);
static void ngx_http_agents_db_pg_share_int32(ngx_http_agents_buf_t *buf,
    int32_t value);


size_t
ngx_http_agents_db_pg_share_gather(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch)
{
    size_t                       n;
    ngx_http_agents_db_batch_t  *b, *at, *last, *prev;

    if (pg->unshared || batch->kind != NGX_HTTP_AGENTS_DB_POINT
        || batch->n != 1)
    {
        return 1;
    }

    n = 1;
    last = batch;
    prev = batch;
    batch->same = 0;

    for (b = batch->next; b; b = prev->next) {

        if (b->kind != NGX_HTTP_AGENTS_DB_POINT || b->n != 1
            || b->first->query != batch->first->query)
        {
            prev = b;
            continue;
        }

        /* behind the first that asks the same, or behind all */

        at = batch;

        while (at != last && !ngx_http_agents_db_pg_share_same(at, b)) {
            at = at->next;
        }

        b->same = ngx_http_agents_db_pg_share_same(at, b);

        if (at == prev) {
            prev = b;

        } else {
            prev->next = b->next;
            b->next = at->next;
            at->next = b;
        }

        if (at == last) {
            last = b;
        }

        n++;
    }

    group->last = prev;

    return n;
}


/* Whether two batches of one query have the same values. */

static unsigned
ngx_http_agents_db_pg_share_same(const ngx_http_agents_db_batch_t *a,
    const ngx_http_agents_db_batch_t *b)
{
    size_t                             i;
    const ngx_http_agents_db_value_t  *v, *w;

    /* what differs is mostly an id, and that comes last */

    for (i = a->first->nvalues; i-- > 0; /* void */ ) {

        v = &a->first->values[i];
        w = &b->first->values[i];

        if (strcmp(v->name, w->name) != 0
            || v->is_int != w->is_int || v->integer != w->integer
            || v->len != w->len || (v->text == NULL) != (w->text == NULL)
            || (v->text && memcmp(v->text, w->text, v->len) != 0))
        {
            return 0;
        }
    }

    return 1;
}


int
ngx_http_agents_db_pg_share_send(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch,
    size_t n)
{
    int                               rc;
    size_t                            i, keys;
    ngx_http_agents_buf_t             buf;
    ngx_http_agents_db_batch_t       *b;
    ngx_http_agents_db_pg_bind_t      bind;
    ngx_http_agents_db_pg_slot_t     *slot;
    ngx_http_agents_db_pg_command_t   command;

    /* it is there since the batches were validated */
    slot = ngx_http_agents_db_pg_slot(pg, batch->first->query);

    if (ngx_http_agents_db_pg_share_make(slot) != 0) {
        return 1;
    }

    keys = 0;

    for (b = batch, i = 0; i < n; b = b->next, i++) {
        ngx_http_agents_db_batch_rewind(b);
        keys += !b->same;
    }

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_db_pg_share_bind(&bind, &buf, &slot->tmpl, batch, keys);

    if (buf.failed) {
        ngx_http_agents_buf_free(&buf);
        return 1;
    }

    memset(&command, 0, sizeof(ngx_http_agents_db_pg_command_t));

    command.group = group;
    command.batch = batch;
    command.statement = batch->first;
    command.shared = keys;
    command.text = &slot->shared;

    rc = ngx_http_agents_db_pg_send_text(pg, &command, (int) slot->tmpl.n,
                                         &bind);

    ngx_http_agents_buf_free(&buf);

    return rc;
}


/* The statement itself.  0, or -1: there is none, or no memory for it. */

static int
ngx_http_agents_db_pg_share_make(ngx_http_agents_db_pg_slot_t *slot)
{
    ngx_http_agents_buf_t  name, sql;

    if (slot->shared.sql) {
        return 0;
    }

    if (slot->tmpl.n == 0) {
        return -1;
    }

    ngx_http_agents_buf_init(&name);
    ngx_http_agents_buf_init(&sql);

    ngx_http_agents_buf_addf(&name, "%s_shared", slot->query->name);
    ngx_http_agents_db_pg_share_sql(&sql, &slot->tmpl);

    if (name.failed || sql.failed) {
        ngx_http_agents_buf_free(&name);
        ngx_http_agents_buf_free(&sql);
        return -1;
    }

    slot->shared.name = name.data;
    slot->shared.sql = sql.data;

    return 0;
}


static void
ngx_http_agents_db_pg_share_sql(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_db_template_t *tmpl)
{
    char        *end;
    size_t       i, len;
    const char  *p;

    ngx_http_agents_buf_adds(buf, "SELECT k.n, r.* FROM UNNEST(");

    for (i = 0; i < tmpl->n; i++) {
        ngx_http_agents_buf_addf(buf, "%s(SELECT $%zu::%s[])",
                                 i ? ", " : "", i + 1,
                                 tmpl->ints[i] ? "bigint" : "text");
    }

    ngx_http_agents_buf_adds(buf, ") WITH ORDINALITY AS k (");

    for (i = 0; i < tmpl->n; i++) {
        ngx_http_agents_buf_addf(buf, "v%zu, ", i + 1);
    }

    ngx_http_agents_buf_adds(buf, "n), LATERAL (SELECT * FROM (");

    for (p = tmpl->sql; *p; /* void */ ) {

        if (*p == '$') {
            i = strtoul(p + 1, &end, 10);
            ngx_http_agents_buf_addf(buf, "k.v%zu", i);
            p = end;
            continue;
        }

        len = strcspn(p, "$");
        ngx_http_agents_buf_add(buf, p, len);
        p += len;
    }

    ngx_http_agents_buf_adds(buf, ") q OFFSET 0) r");
}


static void
ngx_http_agents_db_pg_share_bind(ngx_http_agents_db_pg_bind_t *bind,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_db_template_t *tmpl,
    const ngx_http_agents_db_batch_t *batch, size_t keys)
{
    size_t  i, begin, at[NGX_HTTP_AGENTS_DB_VALUES_MAX];

    for (i = 0; i < tmpl->n; i++) {

        begin = buf->len;

        ngx_http_agents_db_pg_share_array(buf, tmpl, i, batch, keys);

        at[i] = begin;
        bind->types[i] = tmpl->ints[i] ? NGX_HTTP_AGENTS_DB_PG_INT8ARRAYOID
                                       : NGX_HTTP_AGENTS_DB_PG_TEXTARRAYOID;
        bind->lengths[i] = (int) (buf->len - begin);
        bind->formats[i] = 1;
    }

    /* only now they stay where they are */

    for (i = 0; i < tmpl->n && !buf->failed; i++) {
        bind->values[i] = buf->data + at[i];
    }
}


/* What parameter "i" is for each key, as an array in the binary format. */

static void
ngx_http_agents_db_pg_share_array(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_db_template_t *tmpl, size_t i,
    const ngx_http_agents_db_batch_t *batch, size_t keys)
{
    const char                        *name;
    const ngx_http_agents_db_value_t  *value;

    name = tmpl->names[i];

    ngx_http_agents_db_pg_share_int32(buf, 1);  /* dimension */
    ngx_http_agents_db_pg_share_int32(buf, 1);  /* there may be a NULL */
    ngx_http_agents_db_pg_share_int32(buf, tmpl->ints[i]
                                           ? NGX_HTTP_AGENTS_DB_PG_INT8OID
                                           : NGX_HTTP_AGENTS_DB_PG_TEXTOID);
    ngx_http_agents_db_pg_share_int32(buf, (int32_t) keys);
    ngx_http_agents_db_pg_share_int32(buf, 1);  /* the first one's number */

    for ( /* void */ ; keys; batch = batch->next) {

        if (batch->same) {
            continue;
        }

        keys--;

        value = ngx_http_agents_db_batch_value(batch->first, name);

        if (value->is_int) {
            ngx_http_agents_db_pg_share_int32(buf, 8);
            ngx_http_agents_db_pg_share_int32(buf,
                                              (int32_t) (value->integer >> 32));
            ngx_http_agents_db_pg_share_int32(buf, (int32_t) value->integer);

        } else if (value->text == NULL) {
            ngx_http_agents_db_pg_share_int32(buf, -1);

        } else {
            ngx_http_agents_db_pg_share_int32(buf, (int32_t) value->len);
            ngx_http_agents_buf_add(buf, value->text, value->len);
        }
    }
}


static void
ngx_http_agents_db_pg_share_int32(ngx_http_agents_buf_t *buf, int32_t value)
{
    uint32_t  n;

    n = htonl((uint32_t) value);

    ngx_http_agents_buf_add(buf, &n, sizeof(n));
}


void
ngx_http_agents_db_pg_share_result(ngx_http_agents_db_pg_t *pg,
    const ngx_http_agents_db_pg_command_t *command, const PGresult *res)
{
    int                          row, end, rows;
    size_t                       key, number;
    ngx_http_agents_db_batch_t  *batch, *b;

    rows = PQntuples(res);
    batch = command->batch;
    key = 1;

    for (row = 0; row < rows; row = end) {

        number = strtoul(PQgetvalue(res, row, 0), NULL, 10);

        /* a key's rows stand together, behind those of the one before */

        if (number < key + (row != 0) || number > command->shared) {
            ngx_http_agents_db_pg_lost(pg, "answers are out of step");
            return;
        }

        while (key < number) {
            batch = batch->next;
            key += !batch->same;
        }

        for (end = row + 1; end < rows; end++) {
            if (strcmp(PQgetvalue(res, end, 0), PQgetvalue(res, row, 0))
                != 0)
            {
                break;
            }
        }

        for (b = batch; b && (b == batch || b->same); b = b->next) {
            ngx_http_agents_db_pg_copy(b, b->first, res, row, end - row, 1);
        }
    }
}
