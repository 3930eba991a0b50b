
/*
 * Ids of events.
 */


#include <string.h>
#include "ngx_http_agents_events_id.h"
#include "ngx_http_agents_ident.h"


/* The last group of a UUID. */
#define NGX_HTTP_AGENTS_EVENTS_ID_TAIL    12

/* Digits of a number: all that counts here is far below. */
#define NGX_HTTP_AGENTS_EVENTS_ID_DIGITS  15


static const char *ngx_http_agents_events_id_tail(const char *run);
static const char *ngx_http_agents_events_id_number(const char *p,
    const char *last, int64_t *n);


void
ngx_http_agents_events_id_write(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_events_id_t *id, const char *run)
{
    ngx_http_agents_buf_addf(buf, "%lld.%lld.%lld.%lld.%s",
                             (long long) id->status, (long long) id->name_rev,
                             (long long) id->turns, (long long) id->parts,
                             ngx_http_agents_events_id_tail(run));
}


int
ngx_http_agents_events_id_read(ngx_http_agents_events_id_t *id,
    const char *text, size_t len, const char *run)
{
    size_t       i;
    int64_t      n[4];
    const char  *p, *last;

    memset(id, 0, sizeof(ngx_http_agents_events_id_t));

    p = text;
    last = text + len;

    for (i = 0; i < 4; i++) {
        p = ngx_http_agents_events_id_number(p, last, &n[i]);
        if (p == NULL) {
            return -1;
        }
    }

    if (last - p != NGX_HTTP_AGENTS_EVENTS_ID_TAIL
        || memcmp(p, ngx_http_agents_events_id_tail(run),
                  NGX_HTTP_AGENTS_EVENTS_ID_TAIL)
           != 0
        || n[0] > NGX_HTTP_AGENTS_EVENTS_END
        || (n[2] == 0) != (n[3] == 0))
    {
        return -1;
    }

    id->status = n[0];
    id->name_rev = n[1];
    id->turns = n[2];
    id->parts = n[3];

    return 0;
}


static const char *
ngx_http_agents_events_id_tail(const char *run)
{
    return run + NGX_HTTP_AGENTS_UUID_LEN - NGX_HTTP_AGENTS_EVENTS_ID_TAIL;
}


/* A number as it is written above, and what stands behind its full stop. */

static const char *
ngx_http_agents_events_id_number(const char *p, const char *last, int64_t *n)
{
    const char  *first;

    *n = 0;

    for (first = p; p < last && *p >= '0' && *p <= '9'; p++) {

        if (p - first == NGX_HTTP_AGENTS_EVENTS_ID_DIGITS
            || (p != first && *first == '0'))
        {
            return NULL;
        }

        *n = *n * 10 + (*p - '0');
    }

    return (p != first && p < last && *p == '.') ? p + 1 : NULL;
}
