
/*
 * JSON as text: values of jansson's, and members one after the other.
 */


#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_json.h"


static void ngx_http_agents_json_put_value(ngx_http_agents_buf_t *buf,
    const json_t *value, unsigned sorted);
static void ngx_http_agents_json_put_object(ngx_http_agents_buf_t *buf,
    const json_t *object);
static void ngx_http_agents_json_put_object_sorted(ngx_http_agents_buf_t *buf,
    const json_t *object);
static int ngx_http_agents_json_compare(const void *one, const void *two);
static void ngx_http_agents_json_put_array(ngx_http_agents_buf_t *buf,
    const json_t *array, unsigned sorted);
static void ngx_http_agents_json_put_real(ngx_http_agents_buf_t *buf,
    double value, unsigned sorted);
static void ngx_http_agents_json_put_escape(ngx_http_agents_buf_t *buf,
    unsigned char c);


void
ngx_http_agents_json_put(ngx_http_agents_buf_t *buf, const json_t *value)
{
    ngx_http_agents_json_put_value(buf, value, 0);
}


void
ngx_http_agents_json_put_sorted(ngx_http_agents_buf_t *buf,
    const json_t *value)
{
    ngx_http_agents_json_put_value(buf, value, 1);
}


char *
ngx_http_agents_json_text(const json_t *value, size_t *len)
{
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_json_put(&buf, value);

    return ngx_http_agents_buf_take(&buf, len);
}


static void
ngx_http_agents_json_put_value(ngx_http_agents_buf_t *buf,
    const json_t *value, unsigned sorted)
{
    const char  *kept;

    if (value == NULL) {
        ngx_http_agents_buf_adds(buf, "null");
        return;
    }

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        if (sorted) {
            ngx_http_agents_json_put_object_sorted(buf, value);

        } else {
            ngx_http_agents_json_put_object(buf, value);
        }

        break;

    case JSON_ARRAY:
        ngx_http_agents_json_put_array(buf, value, sorted);
        break;

    case JSON_STRING:
        kept = ngx_http_agents_json_kept(value);

        if (kept != NULL) {
            ngx_http_agents_buf_adds(buf, kept);

        } else {
            ngx_http_agents_json_put_string(buf, json_string_value(value),
                                            json_string_length(value));
        }

        break;

    case JSON_INTEGER:
        ngx_http_agents_buf_addf(buf, "%" PRId64,
                                 (int64_t) json_integer_value(value));
        break;

    case JSON_REAL:
        ngx_http_agents_json_put_real(buf, json_real_value(value), sorted);
        break;

    case JSON_TRUE:
        ngx_http_agents_buf_adds(buf, "true");
        break;

    case JSON_FALSE:
        ngx_http_agents_buf_adds(buf, "false");
        break;

    case JSON_NULL:
        ngx_http_agents_buf_adds(buf, "null");
        break;
    }
}


/* jansson's iterators want an object that is not const, and leave it alone. */

static void
ngx_http_agents_json_put_object(ngx_http_agents_buf_t *buf,
    const json_t *object)
{
    json_t      *value;
    const char  *key;

    ngx_http_agents_json_begin(buf);

    json_object_foreach((json_t *) object, key, value) {
        ngx_http_agents_json_key(buf, key);
        ngx_http_agents_json_put_value(buf, value, 0);
    }

    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_json_put_object_sorted(ngx_http_agents_buf_t *buf,
    const json_t *object)
{
    size_t        i, n;
    json_t       *value;
    const char   *key, **keys;

    n = json_object_size(object);

    if (n == 0) {
        ngx_http_agents_buf_adds(buf, "{}");
        return;
    }

    keys = malloc(n * sizeof(char *));
    if (keys == NULL) {
        buf->failed = 1;
        return;
    }

    i = 0;

    json_object_foreach((json_t *) object, key, value) {
        keys[i++] = key;
    }

    qsort(keys, n, sizeof(char *), ngx_http_agents_json_compare);

    ngx_http_agents_json_begin(buf);

    for (i = 0; i < n; i++) {
        ngx_http_agents_json_key(buf, keys[i]);
        ngx_http_agents_json_put_value(buf, json_object_get(object, keys[i]),
                                       1);
    }

    ngx_http_agents_json_end(buf);

    free(keys);
}


static int
ngx_http_agents_json_compare(const void *one, const void *two)
{
    return strcmp(*(char *const *) one, *(char *const *) two);
}


static void
ngx_http_agents_json_put_array(ngx_http_agents_buf_t *buf,
    const json_t *array, unsigned sorted)
{
    size_t  i, n;

    n = json_array_size(array);

    ngx_http_agents_buf_addc(buf, '[');

    for (i = 0; i < n; i++) {

        if (i != 0) {
            ngx_http_agents_buf_addc(buf, ',');
        }

        ngx_http_agents_json_put_value(buf, json_array_get(array, i), sorted);
    }

    ngx_http_agents_buf_addc(buf, ']');
}


/*
 * 15 digits survive any decimal, 17 survive any double: one of the three
 * precisions reads back equal, and the first that does is what was written.
 * Below the normal range doubles are so far apart that fewer digits do.
 * A real keeps a mark of one, so that it does not come back as an integer.
 * Infinities and NaN cannot be: jansson does not make such values.
 */

static void
ngx_http_agents_json_put_real(ngx_http_agents_buf_t *buf, double value,
    unsigned sorted)
{
    int           digits;
    char         *p, text[40];
    const char   *point;

    if (sorted && fabs(value) < NGX_HTTP_AGENTS_JSON_EXACT
        && value == (double) (int64_t) value)
    {
        ngx_http_agents_buf_addf(buf, "%" PRId64, (int64_t) value);
        return;
    }

    digits = (fabs(value) < DBL_MIN) ? 1 : 15;

    for ( /* void */ ; digits <= 17; digits++) {
        (void) snprintf(text, sizeof(text), "%.*g", digits, value);

        if (strtod(text, NULL) == value) {
            break;
        }
    }

    /* printf() and strtod() alike take the point of the process's locale */

    point = localeconv()->decimal_point;

    if (*point != '.') {
        p = strstr(text, point);

        if (p != NULL) {
            *p = '.';
            memmove(p + 1, p + strlen(point), strlen(p + strlen(point)) + 1);
        }
    }

    ngx_http_agents_buf_adds(buf, text);

    if (strpbrk(text, ".e") == NULL) {
        ngx_http_agents_buf_adds(buf, ".0");
    }
}


void
ngx_http_agents_json_put_string(ngx_http_agents_buf_t *buf, const char *text,
    size_t len)
{
    int             valid;
    size_t          n;
    const char     *p, *start, *end;
    unsigned char   c;

    if (text == NULL) {
        ngx_http_agents_buf_adds(buf, "null");
        return;
    }

    ngx_http_agents_buf_addc(buf, '"');

    start = text;
    end = text + len;

    for (p = text; p < end; /* void */) {
        c = (unsigned char) *p;

        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            p++;
            continue;
        }

        n = 1;
        valid = 0;

        if (c >= 0x80) {
            n = ngx_http_agents_json_utf8(p, (size_t) (end - p), &valid);

            if (valid) {
                p += n;
                continue;
            }
        }

        ngx_http_agents_buf_add(buf, start, (size_t) (p - start));
        ngx_http_agents_json_put_escape(buf, c);

        p += n;
        start = p;
    }

    ngx_http_agents_buf_add(buf, start, (size_t) (p - start));
    ngx_http_agents_buf_addc(buf, '"');
}


/* "c" is a character to be escaped, or the first byte of broken UTF-8. */

static void
ngx_http_agents_json_put_escape(ngx_http_agents_buf_t *buf, unsigned char c)
{
    switch (c) {

    case '"':
        ngx_http_agents_buf_adds(buf, "\\\"");
        break;

    case '\\':
        ngx_http_agents_buf_adds(buf, "\\\\");
        break;

    case '\b':
        ngx_http_agents_buf_adds(buf, "\\b");
        break;

    case '\f':
        ngx_http_agents_buf_adds(buf, "\\f");
        break;

    case '\n':
        ngx_http_agents_buf_adds(buf, "\\n");
        break;

    case '\r':
        ngx_http_agents_buf_adds(buf, "\\r");
        break;

    case '\t':
        ngx_http_agents_buf_adds(buf, "\\t");
        break;

    default:
        if (c < 0x20) {
            ngx_http_agents_buf_addf(buf, "\\u%04x", c);

        } else {
            ngx_http_agents_buf_adds(buf, "\xef\xbf\xbd");
        }

        break;
    }
}


void
ngx_http_agents_json_begin(ngx_http_agents_buf_t *buf)
{
    ngx_http_agents_buf_addc(buf, '{');
}


void
ngx_http_agents_json_end(ngx_http_agents_buf_t *buf)
{
    ngx_http_agents_buf_addc(buf, '}');
}


/* No JSON value ends in "{": after it comes the first member. */

void
ngx_http_agents_json_key(ngx_http_agents_buf_t *buf, const char *key)
{
    if (buf->len != 0 && buf->data[buf->len - 1] != '{') {
        ngx_http_agents_buf_addc(buf, ',');
    }

    ngx_http_agents_json_put_string(buf, key, strlen(key));
    ngx_http_agents_buf_addc(buf, ':');
}


void
ngx_http_agents_json_member_string(ngx_http_agents_buf_t *buf,
    const char *key, const char *text, size_t len)
{
    ngx_http_agents_json_key(buf, key);
    ngx_http_agents_json_put_string(buf, text, len);
}


void
ngx_http_agents_json_member_cstring(ngx_http_agents_buf_t *buf,
    const char *key, const char *text)
{
    ngx_http_agents_json_member_string(buf, key, text,
                                       (text != NULL) ? strlen(text) : 0);
}


void
ngx_http_agents_json_member_text(ngx_http_agents_buf_t *buf, const char *key,
    const ngx_http_agents_text_t *text)
{
    ngx_http_agents_json_member_string(buf, key, text->data, text->len);
}


void
ngx_http_agents_json_member_integer(ngx_http_agents_buf_t *buf,
    const char *key, int64_t value)
{
    ngx_http_agents_json_key(buf, key);
    ngx_http_agents_buf_addf(buf, "%" PRId64, value);
}


void
ngx_http_agents_json_member_bool(ngx_http_agents_buf_t *buf, const char *key,
    int value)
{
    ngx_http_agents_json_key(buf, key);
    ngx_http_agents_buf_adds(buf, value ? "true" : "false");
}


void
ngx_http_agents_json_member_raw(ngx_http_agents_buf_t *buf, const char *key,
    const char *json, size_t len)
{
    ngx_http_agents_json_key(buf, key);

    if (json == NULL) {
        ngx_http_agents_buf_adds(buf, "null");
        return;
    }

    ngx_http_agents_buf_add(buf, json, len);
}


void
ngx_http_agents_json_member_json(ngx_http_agents_buf_t *buf, const char *key,
    const ngx_http_agents_text_t *json)
{
    ngx_http_agents_json_member_raw(buf, key, json->data, json->len);
}


void
ngx_http_agents_json_member_time(ngx_http_agents_buf_t *buf, const char *key,
    int64_t ms)
{
    char  text[NGX_HTTP_AGENTS_TIME_LEN + 1];

    if (ms == 0) {
        ngx_http_agents_json_member_raw(buf, key, NULL, 0);
        return;
    }

    ngx_http_agents_ident_time(text, ms);

    ngx_http_agents_json_member_string(buf, key, text,
                                       NGX_HTTP_AGENTS_TIME_LEN);
}
