
#include <string.h>
#include "ngx_http_agents_etag.h"
#include "ngx_http_agents_ident.h"


static const char *ngx_http_agents_etag_blanks(const char *p,
    const char *last);


int
ngx_http_agents_etag_make(char etag[NGX_HTTP_AGENTS_ETAG_LEN + 1],
    const char *body, size_t len)
{
    char  digest[NGX_HTTP_AGENTS_SHA256_LEN + 1];

    if (ngx_http_agents_ident_sha256(digest, body, len) != 0) {
        return -1;
    }

    etag[0] = '"';
    memcpy(etag + 1, digest, NGX_HTTP_AGENTS_ETAG_LEN - 2);
    etag[NGX_HTTP_AGENTS_ETAG_LEN - 1] = '"';
    etag[NGX_HTTP_AGENTS_ETAG_LEN] = '\0';

    return 0;
}


int
ngx_http_agents_etag_match(const char *list, size_t len, const char *etag,
    int weak)
{
    int          is_weak;
    size_t       n;
    const char  *p, *last, *end;

    n = strlen(etag);
    p = list;
    last = list + len;

    for ( ;; ) {
        p = ngx_http_agents_etag_blanks(p, last);

        if (p == last) {
            return 0;
        }

        if (*p == ',') {
            p++;
            continue;
        }

        if (*p == '*') {
            return ngx_http_agents_etag_blanks(p + 1, last) == last;
        }

        is_weak = (last - p > 2 && p[0] == 'W' && p[1] == '/');

        if (is_weak) {
            p += 2;
        }

        /* a comma may stand in a tag, a quote may not */

        end = (*p == '"') ? memchr(p + 1, '"', last - p - 1) : NULL;

        if (end == NULL) {
            return 0;
        }

        end++;

        if ((size_t) (end - p) == n && memcmp(p, etag, n) == 0
            && (weak || !is_weak))
        {
            return 1;
        }

        p = ngx_http_agents_etag_blanks(end, last);

        if (p != last && *p != ',') {
            return 0;
        }
    }
}


static const char *
ngx_http_agents_etag_blanks(const char *p, const char *last)
{
    while (p != last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}
