
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_query.h"


/* The longest name or number that a table can ask for. */
#define NGX_HTTP_AGENTS_QUERY_LEN  32


static void ngx_http_agents_query_decode(u_char *p, u_char *last,
    u_char *text);
static ngx_http_agents_query_t *ngx_http_agents_query_find(
    ngx_http_agents_query_t *table, const u_char *name);
static ngx_int_t ngx_http_agents_query_number(const u_char *text,
    ngx_http_agents_query_t *parameter);


ngx_int_t
ngx_http_agents_query_read(ngx_http_request_t *r,
    ngx_http_agents_query_t *table, ngx_http_agents_faults_t *faults)
{
    u_char                   *p, *last, *end, *value;
    u_char                    text[NGX_HTTP_AGENTS_QUERY_LEN + 1];
    uint32_t                  bit, seen, repeated;
    ngx_http_agents_query_t  *parameter;

    seen = 0;
    repeated = 0;

    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        value = ngx_strlchr(p, end, '=');
        if (value == NULL) {
            value = end;
        }

        ngx_http_agents_query_decode(p, value, text);

        parameter = ngx_http_agents_query_find(table, text);
        if (parameter == NULL) {
            continue;
        }

        bit = 1u << (parameter - table);

        if (seen & bit & ~repeated) {
            ngx_http_agents_faults_add(faults, NULL, "invalid-request",
                                       "query parameter \"%s\" must be given "
                                       "once", parameter->name);
            repeated |= bit;
        }

        seen |= bit;

        ngx_http_agents_query_decode(ngx_min(value + 1, end), end, text);

        if (ngx_http_agents_query_number(text, parameter) != NGX_OK) {
            ngx_http_agents_faults_add(faults, NULL, "invalid-request",
                                       "query parameter \"%s\" must be an "
                                       "integer from %lld to %lld",
                                       parameter->name,
                                       (long long) parameter->min,
                                       (long long) parameter->max);
        }
    }

    return faults->found == 0 ? NGX_OK : NGX_DECLINED;
}


/*
 * What is longer than any name or number, or has a NUL in it, is empty: it is
 * none of them.
 */

static void
ngx_http_agents_query_decode(u_char *p, u_char *last, u_char *text)
{
    u_char  *dst;

    dst = text;

    if (last - p <= NGX_HTTP_AGENTS_QUERY_LEN) {
        ngx_unescape_uri(&dst, &p, last - p, 0);
    }

    if (ngx_strlchr(text, dst, '\0') != NULL) {
        dst = text;
    }

    *dst = '\0';
}


static ngx_http_agents_query_t *
ngx_http_agents_query_find(ngx_http_agents_query_t *table, const u_char *name)
{
    for ( /* void */ ; table->name != NULL; table++) {
        if (ngx_strcmp(name, table->name) == 0) {
            return table;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_agents_query_number(const u_char *text,
    ngx_http_agents_query_t *parameter)
{
    int64_t  value;

    if (*text == '\0') {
        return NGX_ERROR;
    }

    for (value = 0; *text != '\0'; text++) {

        if (*text < '0' || *text > '9') {
            return NGX_ERROR;
        }

        value = value * 10 + (*text - '0');

        if (value > parameter->max) {
            return NGX_ERROR;
        }
    }

    if (value < parameter->min) {
        return NGX_ERROR;
    }

    parameter->value = value;

    return NGX_OK;
}
