
/*
 * The text of JSON from models and servers, made such as jansson takes it.
 */


#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_json.h"


/* U+FFFD as an escape and in UTF-8 */
#define NGX_HTTP_AGENTS_JSON_ESCAPED      "\\ufffd"
#define NGX_HTTP_AGENTS_JSON_REPLACEMENT  "\xef\xbf\xbd"

/* What stands around a number that is kept. */
#define NGX_HTTP_AGENTS_JSON_KEPT_BEGIN   "\"\\u0000"
#define NGX_HTTP_AGENTS_JSON_KEPT_END     "\""


static const char *ngx_http_agents_json_repair_string(
    ngx_http_agents_buf_t *buf, const char *p, const char *end);
static const char *ngx_http_agents_json_repair_escape(
    ngx_http_agents_buf_t *buf, const char *p, const char *end);
static int ngx_http_agents_json_repair_unit(const char *p, const char *end);
static const char *ngx_http_agents_json_repair_number(
    ngx_http_agents_buf_t *buf, const char *p, const char *end);
static const char *ngx_http_agents_json_repair_digits(const char *p,
    const char *end);
static const char *ngx_http_agents_json_repair_fraction(const char *p,
    const char *end);
static unsigned ngx_http_agents_json_repair_fits(const char *digits,
    size_t n, unsigned negative);


void
ngx_http_agents_json_repair(ngx_http_agents_buf_t *buf, const char *data,
    size_t len, int depth)
{
    int          level;
    size_t       mark;
    const char  *p, *end, *start;

    p = data;
    end = data + len;
    mark = 0;
    level = 0;

    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        p += 3;
    }

    start = p;

    while (p < end) {

        if (*p == '[' || *p == '{') {

            if (level++ == depth) {
                ngx_http_agents_buf_add(buf, start, (size_t) (p - start));
                mark = buf->len;
                start = p;
            }

            p++;

        } else if (*p == ']' || *p == '}') {
            p++;

            if (--level == depth) {
                buf->len = mark;
                ngx_http_agents_buf_adds(buf, "null");
                start = p;
            }

        } else if (*p == '"' || *p == '-' || (*p >= '0' && *p <= '9')) {
            ngx_http_agents_buf_add(buf, start, (size_t) (p - start));

            if (*p == '"') {
                p = ngx_http_agents_json_repair_string(buf, p, end);

            } else {
                p = ngx_http_agents_json_repair_number(buf, p, end);
            }

            start = p;

        } else {
            p++;
        }
    }

    ngx_http_agents_buf_add(buf, start, (size_t) (p - start));
}


/* From the opening quote to behind the closing one. */

static const char *
ngx_http_agents_json_repair_string(ngx_http_agents_buf_t *buf, const char *p,
    const char *end)
{
    int          valid;
    size_t       n;
    const char  *start;

    start = p++;

    while (p < end && *p != '"') {

        if (*p == '\\') {
            ngx_http_agents_buf_add(buf, start, (size_t) (p - start));
            p = ngx_http_agents_json_repair_escape(buf, p, end);
            start = p;
            continue;
        }

        if ((unsigned char) *p < 0x80) {
            p++;
            continue;
        }

        n = ngx_http_agents_json_utf8(p, (size_t) (end - p), &valid);

        if (!valid) {
            ngx_http_agents_buf_add(buf, start, (size_t) (p - start));
            ngx_http_agents_buf_adds(buf, NGX_HTTP_AGENTS_JSON_REPLACEMENT);
            start = p + n;
        }

        p += n;
    }

    if (p < end) {
        p++;
    }

    ngx_http_agents_buf_add(buf, start, (size_t) (p - start));

    return p;
}


/* One escape, or the two of a surrogate pair. */

static const char *
ngx_http_agents_json_repair_escape(ngx_http_agents_buf_t *buf, const char *p,
    const char *end)
{
    int     unit, low;
    size_t  n;

    unit = ngx_http_agents_json_repair_unit(p, end);

    if (unit < 0) {
        n = (end - p < 2) ? 1 : 2;

    } else if (unit >= 0xd800 && unit <= 0xdbff) {
        low = ngx_http_agents_json_repair_unit(p + 6, end);
        n = (low >= 0xdc00 && low <= 0xdfff) ? 12 : 0;

    } else {
        n = (unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff)) ? 0 : 6;
    }

    if (n == 0) {
        ngx_http_agents_buf_adds(buf, NGX_HTTP_AGENTS_JSON_ESCAPED);
        return p + 6;
    }

    ngx_http_agents_buf_add(buf, p, n);

    return p + n;
}


/* The number of a \uXXXX that stands at "p"; -1 if none does. */

static int
ngx_http_agents_json_repair_unit(const char *p, const char *end)
{
    int          i, unit;
    const char  *digit;

    static const char  hex[] = "00112233445566778899aAbBcCdDeEfF";

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }

    unit = 0;

    for (i = 2; i < 6; i++) {
        digit = (p[i] != '\0') ? strchr(hex, p[i]) : NULL;

        if (digit == NULL) {
            return -1;
        }

        unit = unit * 16 + (int) ((digit - hex) / 2);
    }

    return unit;
}


/* A number, or what can be read as one; jansson judges what follows it. */

static const char *
ngx_http_agents_json_repair_number(ngx_http_agents_buf_t *buf, const char *p,
    const char *end)
{
    size_t       offset;
    unsigned     fits;
    const char  *start, *first, *last;

    start = p;
    first = p + (*p == '-');
    last = ngx_http_agents_json_repair_digits(first, end);
    p = ngx_http_agents_json_repair_fraction(last, end);

    offset = buf->len;

    ngx_http_agents_buf_add(buf, start, (size_t) (p - start));

    if (last == first || (*first == '0' && last - first > 1) || buf->failed) {
        return p;   /* no number */
    }

    if (p == last) {
        fits = ngx_http_agents_json_repair_fits(first,
                                                (size_t) (last - first),
                                                *start == '-');

    } else {
        fits = !isinf(strtod(buf->data + offset, NULL));
    }

    if (!fits) {
        buf->len = offset;

        ngx_http_agents_buf_adds(buf, NGX_HTTP_AGENTS_JSON_KEPT_BEGIN);
        ngx_http_agents_buf_add(buf, start, (size_t) (p - start));
        ngx_http_agents_buf_adds(buf, NGX_HTTP_AGENTS_JSON_KEPT_END);
    }

    return p;
}


static const char *
ngx_http_agents_json_repair_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}


/* Behind the fraction and the exponent, as far as they are whole. */

static const char *
ngx_http_agents_json_repair_fraction(const char *p, const char *end)
{
    const char  *digits, *last;

    if (p < end && *p == '.') {
        digits = p + 1;
        last = ngx_http_agents_json_repair_digits(digits, end);

        if (last == digits) {
            return p;
        }

        p = last;
    }

    if (p < end && (*p == 'e' || *p == 'E')) {
        digits = p + 1;

        if (digits < end && (*digits == '+' || *digits == '-')) {
            digits++;
        }

        last = ngx_http_agents_json_repair_digits(digits, end);

        if (last != digits) {
            p = last;
        }
    }

    return p;
}


/* Whether an integer without leading zeros fits in 64 bits. */

static unsigned
ngx_http_agents_json_repair_fits(const char *digits, size_t n,
    unsigned negative)
{
    const char  *limit;

    limit = negative ? "9223372036854775808" : "9223372036854775807";

    if (n != strlen(limit)) {
        return n < strlen(limit);
    }

    return memcmp(digits, limit, n) <= 0;
}


size_t
ngx_http_agents_json_utf8(const char *text, size_t len, int *valid)
{
    size_t                i, n;
    unsigned char         low, high;
    const unsigned char  *p;

    p = (const unsigned char *) text;

    *valid = 1;

    if (p[0] < 0x80) {
        return 1;
    }

    *valid = 0;

    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 1;
    }

    n = (p[0] < 0xe0) ? 2 : (p[0] < 0xf0) ? 3 : 4;

    /* the second byte excludes overlong forms, surrogates, and the beyond */

    low = (p[0] == 0xe0) ? 0xa0 : (p[0] == 0xf0) ? 0x90 : 0x80;
    high = (p[0] == 0xed) ? 0x9f : (p[0] == 0xf4) ? 0x8f : 0xbf;

    for (i = 1; i < n; i++) {

        if (i == len || p[i] < low || p[i] > high) {
            return i;
        }

        low = 0x80;
        high = 0xbf;
    }

    *valid = 1;

    return n;
}
