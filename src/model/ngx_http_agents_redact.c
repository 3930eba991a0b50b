
#include <string.h>
#include "ngx_http_agents_redact.h"


#define NGX_HTTP_AGENTS_REDACT_MARK  "[api key]"

/* How much of a secret gives something away. */
#define NGX_HTTP_AGENTS_REDACT_TAIL  4


static const char *ngx_http_agents_redact_find(const char *text, size_t n,
    const char *secret, size_t len);
static size_t ngx_http_agents_redact_tail(const char *text, size_t n,
    const char *secret, size_t len);


void
ngx_http_agents_redact(ngx_http_agents_buf_t *text, const char *secret,
    size_t len)
{
    size_t                  n, tail;
    const char             *p, *found;
    ngx_http_agents_buf_t   clean;

    if (len == 0 || text->len == 0) {
        return;
    }

    ngx_http_agents_buf_init(&clean);

    p = text->data;
    n = text->len;

    for ( ;; ) {
        found = ngx_http_agents_redact_find(p, n, secret, len);
        if (found == NULL) {
            break;
        }

        ngx_http_agents_buf_add(&clean, p, (size_t) (found - p));
        ngx_http_agents_buf_adds(&clean, NGX_HTTP_AGENTS_REDACT_MARK);

        n -= (size_t) (found - p) + len;
        p = found + len;
    }

    tail = ngx_http_agents_redact_tail(p, n, secret, len);

    ngx_http_agents_buf_add(&clean, p, n - tail);

    if (tail != 0) {
        ngx_http_agents_buf_adds(&clean, NGX_HTTP_AGENTS_REDACT_MARK);
    }

    ngx_http_agents_buf_free(text);
    *text = clean;
}


static const char *
ngx_http_agents_redact_find(const char *text, size_t n, const char *secret,
    size_t len)
{
    for ( /* void */ ; n >= len; text++, n--) {
        if (*text == *secret && memcmp(text, secret, len) == 0) {
            return text;
        }
    }

    return NULL;
}


/* How many bytes at the end of a text, which may have been cut there, are the
 * beginning of the secret; the marks of a cut count with them. */

static size_t
ngx_http_agents_redact_tail(const char *text, size_t n, const char *secret,
    size_t len)
{
    size_t  size, marks;

    for (marks = 0; marks < n && text[n - marks - 1] == '.'; marks++) {
        /* void */
    }

    size = (len < n - marks) ? len : n - marks;

    for ( /* void */ ; size >= NGX_HTTP_AGENTS_REDACT_TAIL; size--) {
        if (memcmp(text + n - marks - size, secret, size) == 0) {
            return size + marks;
        }
    }

    return 0;
}
