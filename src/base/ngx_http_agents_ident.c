
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <openssl/evp.h>
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_json.h"


/* 9999-12-31T23:59:59.999Z: the last time that fits in the form */
#define NGX_HTTP_AGENTS_IDENT_TIME_MAX  253402300799999

#define NGX_HTTP_AGENTS_IDENT_DAY       86400000


static int ngx_http_agents_ident_fill(unsigned char *out, size_t n);
static char *ngx_http_agents_ident_hex(char *out, const unsigned char *data,
    size_t n);
static char *ngx_http_agents_ident_digits(char *out, int64_t value,
    unsigned width);


int
ngx_http_agents_ident_uuid(char out[NGX_HTTP_AGENTS_UUID_LEN + 1])
{
    int              i;
    char            *p;
    uint64_t         ms;
    unsigned char    uuid[16];
    struct timespec  now;

    if (ngx_http_agents_ident_fill(uuid + 6, 10) != 0) {
        return -1;
    }

    (void) clock_gettime(CLOCK_REALTIME, &now);

    ms = (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;

    for (i = 5; i >= 0; i--) {
        uuid[i] = (unsigned char) (ms & 0xff);
        ms >>= 8;
    }

    uuid[6] = (unsigned char) (0x70 | (uuid[6] & 0x0f));    /* version 7 */
    uuid[8] = (unsigned char) (0x80 | (uuid[8] & 0x3f));    /* RFC variant */

    p = ngx_http_agents_ident_hex(out, uuid, 4);
    *p++ = '-';
    p = ngx_http_agents_ident_hex(p, uuid + 4, 2);
    *p++ = '-';
    p = ngx_http_agents_ident_hex(p, uuid + 6, 2);
    *p++ = '-';
    p = ngx_http_agents_ident_hex(p, uuid + 8, 2);
    *p++ = '-';
    p = ngx_http_agents_ident_hex(p, uuid + 10, 6);
    *p = '\0';

    return 0;
}


int
ngx_http_agents_ident_is_uuid(const char *text, size_t len)
{
    size_t  i;

    if (len != NGX_HTTP_AGENTS_UUID_LEN) {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-') {
                return 0;
            }

        } else if (!isxdigit((unsigned char) text[i])) {
            return 0;
        }
    }

    return 1;
}


int
ngx_http_agents_ident_is_owner(const char *text, size_t len)
{
    int     valid;
    size_t  i;

    if (len == 0 || len > NGX_HTTP_AGENTS_OWNER_MAX) {
        return 0;
    }

    for (i = 0; i < len; /* void */) {

        if ((unsigned char) text[i] < ' ' || text[i] == 0x7f) {
            return 0;
        }

        i += ngx_http_agents_json_utf8(text + i, len - i, &valid);

        if (!valid) {
            return 0;
        }
    }

    return 1;
}


int
ngx_http_agents_ident_random(char *out, size_t n)
{
    size_t         size;
    unsigned char  data[32];

    *out = '\0';

    while (n != 0) {
        size = (n < sizeof(data)) ? n : sizeof(data);

        if (ngx_http_agents_ident_fill(data, size) != 0) {
            return -1;
        }

        out = ngx_http_agents_ident_hex(out, data, size);
        *out = '\0';

        n -= size;
    }

    return 0;
}


static int
ngx_http_agents_ident_fill(unsigned char *out, size_t n)
{
    ssize_t  got;

    while (n != 0) {
        got = getrandom(out, n, 0);

        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }

            return -1;
        }

        out += got;
        n -= (size_t) got;
    }

    return 0;
}


/*
 * The date by Howard Hinnant's days-to-civil arithmetic, where a year begins
 * in March: gmtime_r() takes a lock of the C library's on every call.
 */

void
ngx_http_agents_ident_time(char out[NGX_HTTP_AGENTS_TIME_LEN + 1], int64_t ms)
{
    char     *p;
    int64_t   days, era, day, year, month;

    if (ms < 0) {
        ms = 0;
    }

    if (ms > NGX_HTTP_AGENTS_IDENT_TIME_MAX) {
        ms = NGX_HTTP_AGENTS_IDENT_TIME_MAX;
    }

    days = ms / NGX_HTTP_AGENTS_IDENT_DAY + 719468;
    ms = ms % NGX_HTTP_AGENTS_IDENT_DAY;

    era = days / 146097;
    day = days % 146097;
    year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    year += era * 400;
    month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;

    if (month < 10) {
        month += 3;

    } else {
        month -= 9;
        year++;
    }

    p = ngx_http_agents_ident_digits(out, year, 4);
    *p++ = '-';
    p = ngx_http_agents_ident_digits(p, month, 2);
    *p++ = '-';
    p = ngx_http_agents_ident_digits(p, day + 1, 2);
    *p++ = 'T';
    p = ngx_http_agents_ident_digits(p, ms / 3600000, 2);
    *p++ = ':';
    p = ngx_http_agents_ident_digits(p, ms / 60000 % 60, 2);
    *p++ = ':';
    p = ngx_http_agents_ident_digits(p, ms / 1000 % 60, 2);
    *p++ = '.';
    p = ngx_http_agents_ident_digits(p, ms % 1000, 3);
    *p++ = 'Z';
    *p = '\0';
}


int
ngx_http_agents_ident_sha256(char out[NGX_HTTP_AGENTS_SHA256_LEN + 1],
    const void *data, size_t len)
{
    char           *p;
    unsigned int    n;
    unsigned char   digest[EVP_MAX_MD_SIZE];

    if (EVP_Digest(data, len, digest, &n, EVP_sha256(), NULL) != 1
        || n * 2 != NGX_HTTP_AGENTS_SHA256_LEN)
    {
        return -1;
    }

    p = ngx_http_agents_ident_hex(out, digest, n);
    *p = '\0';

    return 0;
}


static char *
ngx_http_agents_ident_hex(char *out, const unsigned char *data, size_t n)
{
    size_t             i;
    static const char  hex[] = "0123456789abcdef";

    for (i = 0; i < n; i++) {
        *out++ = hex[data[i] >> 4];
        *out++ = hex[data[i] & 0x0f];
    }

    return out;
}


static char *
ngx_http_agents_ident_digits(char *out, int64_t value, unsigned width)
{
    unsigned  i;

    for (i = width; i > 0; i--) {
        out[i - 1] = (char) ('0' + value % 10);
        value /= 10;
    }

    return out + width;
}
