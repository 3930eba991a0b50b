
#include <string.h>
#include "ngx_http_agents_sse.h"


static int ngx_http_agents_sse_line(ngx_http_agents_sse_t *sse);
static int ngx_http_agents_sse_dispatch(ngx_http_agents_sse_t *sse);
static void ngx_http_agents_sse_field(ngx_http_agents_sse_t *sse,
    const char *name, size_t name_len, const char *value, size_t len);
static void ngx_http_agents_sse_retry(ngx_http_agents_sse_t *sse,
    const char *value, size_t len);
static const char *ngx_http_agents_sse_text(const ngx_http_agents_buf_t *buf);
static const char *ngx_http_agents_sse_line_end(const char *p,
    const char *end);


void
ngx_http_agents_sse_init(ngx_http_agents_sse_t *sse, size_t max_event,
    ngx_http_agents_sse_event_pt on_event, void *data)
{
    memset(sse, 0, sizeof(ngx_http_agents_sse_t));

    sse->max_event = max_event;
    sse->on_event = on_event;
    sse->on_event_data = data;
    sse->retry = -1;
}


void
ngx_http_agents_sse_free(ngx_http_agents_sse_t *sse)
{
    ngx_http_agents_buf_free(&sse->line);
    ngx_http_agents_buf_free(&sse->data);
    ngx_http_agents_buf_free(&sse->event);
    ngx_http_agents_buf_free(&sse->id);
    ngx_http_agents_buf_free(&sse->last_id);
}


void
ngx_http_agents_sse_restart(ngx_http_agents_sse_t *sse)
{
    ngx_http_agents_buf_reset(&sse->line);
    ngx_http_agents_buf_reset(&sse->data);
    ngx_http_agents_buf_reset(&sse->event);
    ngx_http_agents_buf_reset(&sse->id);

    ngx_http_agents_buf_adds(&sse->id, ngx_http_agents_sse_text(&sse->last_id));

    sse->seen = 0;
    sse->cr = 0;
    sse->started = 0;
    sse->has_data = 0;
}


const char *
ngx_http_agents_sse_last_id(const ngx_http_agents_sse_t *sse)
{
    return ngx_http_agents_sse_text(&sse->last_id);
}


/*
 * A line ends with LF, CR, or both; a LF that follows a CR, maybe in the next
 * piece, ends nothing.  Bytes wait in "line" until their end has come, so the
 * byte order mark, which may be cut too, is looked for in the first line.
 */

int
ngx_http_agents_sse_feed(ngx_http_agents_sse_t *sse, const char *data,
    size_t len)
{
    int          rc;
    const char  *p, *eol, *end;

    end = data + len;

    for (p = data; p < end; p = eol + 1) {

        if (sse->cr) {
            sse->cr = 0;

            if (*p == '\n') {
                eol = p;
                continue;
            }
        }

        eol = ngx_http_agents_sse_line_end(p, end);

        if ((size_t) (eol - p) > sse->max_event - sse->seen) {
            return -1;
        }

        sse->seen += (size_t) (eol - p);

        ngx_http_agents_buf_add(&sse->line, p, (size_t) (eol - p));

        if (eol == end) {
            break;
        }

        sse->cr = (*eol == '\r');

        rc = ngx_http_agents_sse_line(sse);
        if (rc != 0) {
            return rc;
        }
    }

    return (sse->line.failed) ? -1 : 0;
}


static const char *
ngx_http_agents_sse_line_end(const char *p, const char *end)
{
    const char  *cr, *lf;

    lf = memchr(p, '\n', (size_t) (end - p));

    if (lf != NULL) {
        end = lf;
    }

    cr = memchr(p, '\r', (size_t) (end - p));

    return (cr != NULL) ? cr : end;
}


static int
ngx_http_agents_sse_line(ngx_http_agents_sse_t *sse)
{
    size_t       len, name_len;
    const char  *p, *colon;

    p = ngx_http_agents_sse_text(&sse->line);
    len = sse->line.len;

    if (!sse->started) {
        sse->started = 1;

        if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
            p += 3;
            len -= 3;
        }
    }

    if (len == 0 && !sse->line.failed) {
        ngx_http_agents_buf_reset(&sse->line);
        return ngx_http_agents_sse_dispatch(sse);
    }

    colon = memchr(p, ':', len);

    if (colon == NULL) {
        ngx_http_agents_sse_field(sse, p, len, "", 0);

    } else if (colon != p) {
        name_len = (size_t) (colon - p);
        colon++;
        len -= name_len + 1;

        if (len != 0 && *colon == ' ') {
            colon++;
            len--;
        }

        ngx_http_agents_sse_field(sse, p, name_len, colon, len);

    } else {

        /* a comment is no part of an event: a stream may idle on them */

        sse->seen -= len;
    }

    if (sse->line.failed || sse->data.failed || sse->event.failed
        || sse->id.failed)
    {
        return -1;
    }

    ngx_http_agents_buf_reset(&sse->line);

    return 0;
}


static void
ngx_http_agents_sse_field(ngx_http_agents_sse_t *sse, const char *name,
    size_t name_len, const char *value, size_t len)
{
    if (name_len == 4 && memcmp(name, "data", 4) == 0) {

        if (sse->has_data) {
            ngx_http_agents_buf_addc(&sse->data, '\n');
        }

        ngx_http_agents_buf_add(&sse->data, value, len);
        sse->has_data = 1;

    } else if (name_len == 5 && memcmp(name, "event", 5) == 0) {
        ngx_http_agents_buf_reset(&sse->event);
        ngx_http_agents_buf_add(&sse->event, value, len);

    } else if (name_len == 2 && memcmp(name, "id", 2) == 0) {

        if (memchr(value, '\0', len) == NULL) {
            ngx_http_agents_buf_reset(&sse->id);
            ngx_http_agents_buf_add(&sse->id, value, len);
        }

    } else if (name_len == 5 && memcmp(name, "retry", 5) == 0) {
        ngx_http_agents_sse_retry(sse, value, len);
    }
}


/* Digits alone; a time that is absurd is as good as the longest that fits. */

static void
ngx_http_agents_sse_retry(ngx_http_agents_sse_t *sse, const char *value,
    size_t len)
{
    size_t   i;
    int64_t  retry;

    retry = 0;

    for (i = 0; i < len; i++) {

        if (value[i] < '0' || value[i] > '9') {
            return;
        }

        if (retry > (INT64_MAX - 9) / 10) {
            retry = INT64_MAX / 10 - 1;
        }

        retry = retry * 10 + (value[i] - '0');
    }

    if (len != 0) {
        sse->retry = retry;
    }
}


/* An event without a data line is none, but the id that it brought counts. */

static int
ngx_http_agents_sse_dispatch(ngx_http_agents_sse_t *sse)
{
    int                           rc;
    ngx_http_agents_sse_event_t   event;

    rc = 0;

    ngx_http_agents_buf_reset(&sse->last_id);
    ngx_http_agents_buf_add(&sse->last_id, ngx_http_agents_sse_text(&sse->id),
                            sse->id.len);

    if (sse->last_id.failed) {
        return -1;
    }

    if (sse->has_data) {
        event.event = ngx_http_agents_sse_text(&sse->event);
        event.data = ngx_http_agents_sse_text(&sse->data);
        event.data_len = sse->data.len;
        event.id = ngx_http_agents_sse_text(&sse->last_id);

        rc = sse->on_event(sse->on_event_data, &event);
    }

    ngx_http_agents_buf_reset(&sse->data);
    ngx_http_agents_buf_reset(&sse->event);

    sse->has_data = 0;
    sse->seen = 0;

    return rc;
}


static const char *
ngx_http_agents_sse_text(const ngx_http_agents_buf_t *buf)
{
    return (buf->data != NULL) ? buf->data : "";
}
