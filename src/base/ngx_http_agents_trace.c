
#include <string.h>
#include "ngx_http_agents_trace.h"


/* version "-" trace-id "-" parent-id "-" trace-flags */
#define NGX_HTTP_AGENTS_TRACE_PARENT_LEN  55

#define NGX_HTTP_AGENTS_TRACE_MEMBERS     32
#define NGX_HTTP_AGENTS_TRACE_KEY_MAX     256
#define NGX_HTTP_AGENTS_TRACE_TENANT_MAX  241
#define NGX_HTTP_AGENTS_TRACE_SYSTEM_MAX  14
#define NGX_HTTP_AGENTS_TRACE_VALUE_MAX   256


typedef struct {
    const char  *data;
    size_t       len;
} ngx_http_agents_trace_key_t;


static int ngx_http_agents_trace_is_hex(const char *text, size_t len);
static int ngx_http_agents_trace_is_zero(const char *text, size_t len);
static int ngx_http_agents_trace_has_key(
    const ngx_http_agents_trace_key_t *keys, size_t n);
static int ngx_http_agents_trace_is_member(const char *text, size_t len,
    ngx_http_agents_trace_key_t *key);
static int ngx_http_agents_trace_is_key(const char *text, size_t len);
static int ngx_http_agents_trace_is_name(const char *text, size_t len,
    size_t max);


int
ngx_http_agents_trace_is_parent(const char *text, size_t len)
{
    size_t  i;

    if (len < NGX_HTTP_AGENTS_TRACE_PARENT_LEN
        || len > NGX_HTTP_AGENTS_TRACE_PARENT_MAX
        || !ngx_http_agents_trace_is_hex(text, 2)
        || text[2] != '-'
        || !ngx_http_agents_trace_is_hex(text + 3, 32)
        || text[35] != '-'
        || !ngx_http_agents_trace_is_hex(text + 36, 16)
        || text[52] != '-'
        || !ngx_http_agents_trace_is_hex(text + 53, 2)
        || strncmp(text, "ff", 2) == 0
        || ngx_http_agents_trace_is_zero(text + 3, 32)
        || ngx_http_agents_trace_is_zero(text + 36, 16))
    {
        return 0;
    }

    if (len == NGX_HTTP_AGENTS_TRACE_PARENT_LEN) {
        return 1;
    }

    /* what a later version has behind that is not known here */

    if (strncmp(text, "00", 2) == 0
        || text[NGX_HTTP_AGENTS_TRACE_PARENT_LEN] != '-')
    {
        return 0;
    }

    for (i = NGX_HTTP_AGENTS_TRACE_PARENT_LEN; i < len; i++) {
        if (text[i] <= 0x20 || text[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* Capital letters are not valid. */

static int
ngx_http_agents_trace_is_hex(const char *text, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (!((text[i] >= '0' && text[i] <= '9')
              || (text[i] >= 'a' && text[i] <= 'f')))
        {
            return 0;
        }
    }

    return 1;
}


static int
ngx_http_agents_trace_is_zero(const char *text, size_t len)
{
    return strspn(text, "0") >= len;
}


int
ngx_http_agents_trace_is_state(const char *text, size_t len)
{
    size_t                        n;
    const char                   *first, *last, *comma, *end;
    ngx_http_agents_trace_key_t   keys[NGX_HTTP_AGENTS_TRACE_MEMBERS];

    if (len > NGX_HTTP_AGENTS_TRACE_STATE_MAX) {
        return 0;
    }

    n = 0;
    first = text;
    end = text + len;

    for ( ;; ) {

        comma = memchr(first, ',', end - first);
        last = (comma != NULL) ? comma : end;

        while (first < last && (*first == ' ' || *first == '\t')) {
            first++;
        }

        while (last > first && (last[-1] == ' ' || last[-1] == '\t')) {
            last--;
        }

        /* empty ones are valid */

        if (last != first) {

            if (n == NGX_HTTP_AGENTS_TRACE_MEMBERS
                || !ngx_http_agents_trace_is_member(first, last - first,
                                                    &keys[n])
                || ngx_http_agents_trace_has_key(keys, n))
            {
                return 0;
            }

            n++;
        }

        if (comma == NULL) {
            return (n != 0);
        }

        first = comma + 1;
    }
}


/* Whether the n-th key is one of those before it. */

static int
ngx_http_agents_trace_has_key(const ngx_http_agents_trace_key_t *keys,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (keys[i].len == keys[n].len
            && memcmp(keys[i].data, keys[n].data, keys[n].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
ngx_http_agents_trace_is_member(const char *text, size_t len,
    ngx_http_agents_trace_key_t *key)
{
    const char  *p, *end;

    end = text + len;

    p = memchr(text, '=', len);
    if (p == NULL) {
        return 0;
    }

    key->data = text;
    key->len = p - text;

    p++;

    if (!ngx_http_agents_trace_is_key(key->data, key->len)
        || p == end || end - p > NGX_HTTP_AGENTS_TRACE_VALUE_MAX)
    {
        return 0;
    }

    for ( /* void */ ; p < end; p++) {
        if (*p < 0x20 || *p > 0x7e || *p == '=') {
            return 0;
        }
    }

    return 1;
}


/* A name, or "tenant@system". */

static int
ngx_http_agents_trace_is_key(const char *text, size_t len)
{
    const char  *at;

    at = memchr(text, '@', len);

    if (at == NULL) {
        return ngx_http_agents_trace_is_name(text, len,
                                             NGX_HTTP_AGENTS_TRACE_KEY_MAX);
    }

    return ngx_http_agents_trace_is_name(text, at - text,
                                         NGX_HTTP_AGENTS_TRACE_TENANT_MAX)
           && ngx_http_agents_trace_is_name(at + 1, text + len - (at + 1),
                                            NGX_HTTP_AGENTS_TRACE_SYSTEM_MAX);
}


static int
ngx_http_agents_trace_is_name(const char *text, size_t len, size_t max)
{
    size_t  i;
    int     letter, digit;

    for (i = 0; i < len; i++) {
        letter = (text[i] >= 'a' && text[i] <= 'z');
        digit = (text[i] >= '0' && text[i] <= '9');

        if (!letter && !digit
            && (i == 0 || text[i] == '\0' || strchr("_-*/", text[i]) == NULL))
        {
            return 0;
        }
    }

    return (len != 0 && len <= max);
}
