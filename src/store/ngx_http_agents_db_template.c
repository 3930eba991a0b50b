
/*
 * SQL templates: one text for both engines, placeholders by name.  No nginx.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_db_batch.h"


/* What replaces {now}, for each engine: milliseconds of its clock. */
static const char *const  ngx_http_agents_db_template_now[] = {
    "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    "(extract(epoch from clock_timestamp()) * 1000)::bigint"
};

/* What replaces {skip_locked}. */
static const char *const  ngx_http_agents_db_template_skip_locked[] = {
    "",
    "FOR UPDATE SKIP LOCKED"
};

/* What replaces {length}: that of a long text is known without reading it on
 * PostgreSQL, if it is asked for in bytes; SQLite has no such function. */
static const char *const  ngx_http_agents_db_template_length[] = {
    "LENGTH",
    "OCTET_LENGTH"
};

/* What replaces {notify_stop}, for the column "worker". */
static const char *const  ngx_http_agents_db_template_notify_stop[] = {
    "NULL",
    "pg_notify('agents_stops', worker)"
};

/* What replaces {lock_owner}, for the columns "company_id" and "user_id". */
static const char *const  ngx_http_agents_db_template_lock_owner[] = {
    "NULL",
    "pg_advisory_xact_lock(hashtext(company_id), hashtext(user_id))"
};

/* What stands around the parameter of {name:each}. */
static const char *const  ngx_http_agents_db_template_each[][2] = {
    { "json_each(", ")" },
    { "json_array_elements((", ")::json)" }
};


typedef struct {
    ngx_http_agents_db_template_t  *tmpl;
    ngx_http_agents_db_engine_e     engine;
    char                           *out;        /* end of what is written */
} ngx_http_agents_db_template_ctx_t;


static void ngx_http_agents_db_template_put(
    ngx_http_agents_db_template_ctx_t *ctx, const char *text, size_t len);
static int ngx_http_agents_db_template_placeholder(
    ngx_http_agents_db_template_ctx_t *ctx, const char *name, size_t len);
static int ngx_http_agents_db_template_each_of(
    ngx_http_agents_db_template_ctx_t *ctx, const char *name, size_t len);
static int ngx_http_agents_db_template_parameter(
    ngx_http_agents_db_template_ctx_t *ctx, const char *name, size_t len,
    unsigned char is_int);


int
ngx_http_agents_db_template_read(ngx_http_agents_db_template_t *tmpl,
    const char *sql, ngx_http_agents_db_engine_e engine)
{
    size_t                              n, size;
    const char                         *p, *end;
    ngx_http_agents_db_template_ctx_t   ctx;

    memset(tmpl, 0, sizeof(ngx_http_agents_db_template_t));

    /* a placeholder becomes no longer than the longest text for {now} */

    n = 0;

    for (p = strchr(sql, '{'); p; p = strchr(p + 1, '{')) {
        n++;
    }

    size = strlen(sql) + 1
           + n * strlen(ngx_http_agents_db_template_now[0]);

    tmpl->sql = malloc(size);
    tmpl->names = calloc(n + 1, sizeof(char *));
    tmpl->ints = calloc(n + 1, 1);

    if (tmpl->sql == NULL || tmpl->names == NULL || tmpl->ints == NULL) {
        goto failed;
    }

    ctx.tmpl = tmpl;
    ctx.engine = engine;
    ctx.out = tmpl->sql;

    for (p = sql; *p; p = end) {

        if (*p == '{') {
            end = strchr(p, '}');

            if (end == NULL
                || ngx_http_agents_db_template_placeholder(&ctx, p + 1,
                                                  (size_t) (end - p - 1)) != 0)
            {
                goto failed;
            }

            end++;
            continue;
        }

        if (*p == '\'') {

            /* a literal, braces and all; a doubled quote is two literals */

            end = strchr(p + 1, '\'');
            if (end == NULL) {
                goto failed;
            }

            end++;

        } else {
            end = p + 1 + strcspn(p + 1, "{'");
        }

        ngx_http_agents_db_template_put(&ctx, p, (size_t) (end - p));
    }

    *ctx.out = '\0';

    return 0;

failed:

    ngx_http_agents_db_template_free(tmpl);

    return -1;
}


void
ngx_http_agents_db_template_free(ngx_http_agents_db_template_t *tmpl)
{
    size_t  i;

    for (i = 0; i < tmpl->n; i++) {
        free(tmpl->names[i]);
    }

    free(tmpl->names);
    free(tmpl->ints);
    free(tmpl->sql);

    memset(tmpl, 0, sizeof(ngx_http_agents_db_template_t));
}


static void
ngx_http_agents_db_template_put(ngx_http_agents_db_template_ctx_t *ctx,
    const char *text, size_t len)
{
    memcpy(ctx->out, text, len);
    ctx->out += len;
}


static int
ngx_http_agents_db_template_placeholder(
    ngx_http_agents_db_template_ctx_t *ctx, const char *name, size_t len)
{
    const char     *text;
    unsigned char   is_int;

    if (len == 3 && memcmp(name, "now", 3) == 0) {
        text = ngx_http_agents_db_template_now[ctx->engine];
        ngx_http_agents_db_template_put(ctx, text, strlen(text));
        return 0;
    }

    if (len == 11 && memcmp(name, "skip_locked", 11) == 0) {
        text = ngx_http_agents_db_template_skip_locked[ctx->engine];
        ngx_http_agents_db_template_put(ctx, text, strlen(text));
        return 0;
    }

    if (len == 6 && memcmp(name, "length", 6) == 0) {
        text = ngx_http_agents_db_template_length[ctx->engine];
        ngx_http_agents_db_template_put(ctx, text, strlen(text));
        return 0;
    }

    if (len == 11 && memcmp(name, "notify_stop", 11) == 0) {
        text = ngx_http_agents_db_template_notify_stop[ctx->engine];
        ngx_http_agents_db_template_put(ctx, text, strlen(text));
        return 0;
    }

    if (len == 10 && memcmp(name, "lock_owner", 10) == 0) {
        text = ngx_http_agents_db_template_lock_owner[ctx->engine];
        ngx_http_agents_db_template_put(ctx, text, strlen(text));
        return 0;
    }

    if (len > 5 && memcmp(name + len - 5, ":each", 5) == 0) {
        return ngx_http_agents_db_template_each_of(ctx, name, len - 5);
    }

    is_int = 0;

    if (len > 4 && memcmp(name + len - 4, ":int", 4) == 0) {
        is_int = 1;
        len -= 4;
    }

    return ngx_http_agents_db_template_parameter(ctx, name, len, is_int);
}


static int
ngx_http_agents_db_template_each_of(ngx_http_agents_db_template_ctx_t *ctx,
    const char *name, size_t len)
{
    const char *const  *around;

    around = ngx_http_agents_db_template_each[ctx->engine];

    ngx_http_agents_db_template_put(ctx, around[0], strlen(around[0]));

    if (ngx_http_agents_db_template_parameter(ctx, name, len, 0) != 0) {
        return -1;
    }

    ngx_http_agents_db_template_put(ctx, around[1], strlen(around[1]));

    return 0;
}


static int
ngx_http_agents_db_template_parameter(ngx_http_agents_db_template_ctx_t *ctx,
    const char *name, size_t len, unsigned char is_int)
{
    int                             n;
    char                            number[32];
    size_t                          i;
    ngx_http_agents_db_template_t  *tmpl;

    if (len == 0
        || strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") < len)
    {
        return -1;
    }

    tmpl = ctx->tmpl;

    for (i = 0; i < tmpl->n; i++) {
        if (strlen(tmpl->names[i]) == len
            && memcmp(tmpl->names[i], name, len) == 0)
        {
            break;
        }
    }

    if (i == tmpl->n) {

        if (i == NGX_HTTP_AGENTS_DB_VALUES_MAX) {
            return -1;
        }

        tmpl->names[i] = strndup(name, len);
        if (tmpl->names[i] == NULL) {
            return -1;
        }

        tmpl->ints[i] = is_int;
        tmpl->n++;

    } else if (tmpl->ints[i] != is_int) {
        return -1;
    }

    n = snprintf(number, sizeof(number), "%c%zu",
                 ctx->engine == NGX_HTTP_AGENTS_DB_POSTGRES ? '$' : '?',
                 i + 1);

    ngx_http_agents_db_template_put(ctx, number, (size_t) n);

    return 0;
}
