
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "ngx_http_agents_json.h"


/* So many bytes of a token stand in a fault. */
#define NGX_HTTP_AGENTS_JSON_NAMED  80

/* Of what the store holds: deeper than anything that is written to it. */
#define NGX_HTTP_AGENTS_JSON_LOAD_DEPTH  1200


static void *ngx_http_agents_json_malloc(size_t size);
static json_t *ngx_http_agents_json_read(const char *data, size_t len,
    size_t flags, json_error_t *error);
static json_t *ngx_http_agents_json_repaired(const char *data, size_t len,
    int cut, int depth, ngx_http_agents_json_fault_t *fault);
static json_t *ngx_http_agents_json_decode(const char *data, size_t len,
    size_t flags, int depth, ngx_http_agents_json_fault_t *fault);
static int ngx_http_agents_json_shallow(const char *data, size_t len,
    int depth, ngx_http_agents_json_fault_t *fault);
static void ngx_http_agents_json_explain(ngx_http_agents_json_fault_t *fault,
    const json_error_t *error, const char *data, size_t len);
static void ngx_http_agents_json_name(ngx_http_agents_json_fault_t *fault,
    const json_error_t *error, const char *data, size_t len, const char *text);
static const char *ngx_http_agents_json_token(const char *data,
    const char *end);


/* As errno is, but that jansson leaves it alone: how often it had no memory. */
static __thread unsigned  ngx_http_agents_json_lacked;


void
ngx_http_agents_json_init(void)
{
    json_object_seed(0);
    json_set_alloc_funcs(ngx_http_agents_json_malloc, free);
}


static void *
ngx_http_agents_json_malloc(size_t size)
{
    void  *p;

    p = malloc(size);

    if (p == NULL) {
        ngx_http_agents_json_lacked++;
    }

    return p;
}


json_t *
ngx_http_agents_json_parse(const char *data, size_t len,
    ngx_http_agents_json_fault_t *fault)
{
    if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        fault->line = 1;
        fault->column = 1;
        (void) snprintf(fault->text, sizeof(fault->text),
                        "a byte order mark is not allowed");
        return NULL;
    }

    return ngx_http_agents_json_decode(data, len,
                                       JSON_REJECT_DUPLICATES|JSON_DECODE_ANY,
                                       NGX_HTTP_AGENTS_JSON_DEPTH, fault);
}


json_t *
ngx_http_agents_json_parse_foreign(const char *data, size_t len, int depth,
    ngx_http_agents_json_fault_t *fault)
{
    return ngx_http_agents_json_repaired(data, len, INT_MAX, depth, fault);
}


json_t *
ngx_http_agents_json_parse_cut(const char *data, size_t len,
    ngx_http_agents_json_fault_t *fault)
{
    return ngx_http_agents_json_repaired(data, len,
                                         NGX_HTTP_AGENTS_JSON_CUT_DEPTH,
                                         NGX_HTTP_AGENTS_JSON_CUT_DEPTH,
                                         fault);
}


static json_t *
ngx_http_agents_json_repaired(const char *data, size_t len, int cut, int depth,
    ngx_http_agents_json_fault_t *fault)
{
    json_t                 *value;
    ngx_http_agents_buf_t   buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_json_repair(&buf, data, len, cut);

    if (buf.failed) {
        fault->line = 0;
        fault->column = 0;
        (void) snprintf(fault->text, sizeof(fault->text), "out of memory");
        ngx_http_agents_buf_free(&buf);
        errno = ENOMEM;
        return NULL;
    }

    value = ngx_http_agents_json_decode((buf.data != NULL) ? buf.data : "",
                                        buf.len,
                                        JSON_DECODE_ANY|JSON_ALLOW_NUL, depth,
                                        fault);
    ngx_http_agents_buf_free(&buf);

    return value;
}


/*
 * jansson drops characters of a string that it finds no memory for, and says
 * nothing.  It clears errno when it reads a number: that there was no memory,
 * here or before, is for the caller to see.
 */

static json_t *
ngx_http_agents_json_read(const char *data, size_t len, size_t flags,
    json_error_t *error)
{
    int        err;
    json_t    *value;
    unsigned   lacked;

    err = errno;
    lacked = ngx_http_agents_json_lacked;

    value = json_loadb(data, len, flags, error);

    if (lacked == ngx_http_agents_json_lacked) {
        errno = err;
        return value;
    }

    json_decref(value);
    errno = ENOMEM;

    return NULL;
}


/* Kept numbers are few: the reader that keeps them is asked last. */

json_t *
ngx_http_agents_json_load(const char *data, size_t len)
{
    json_t                        *value;
    json_error_t                   error;
    ngx_http_agents_json_fault_t   fault;

    value = ngx_http_agents_json_read(data, len, JSON_DECODE_ANY, &error);

    if (value != NULL
        || json_error_code(&error) != json_error_numeric_overflow)
    {
        return value;
    }

    return ngx_http_agents_json_parse_foreign(data, len,
                                       NGX_HTTP_AGENTS_JSON_LOAD_DEPTH,
                                       &fault);
}


const char *
ngx_http_agents_json_kept(const json_t *value)
{
    const char  *text;

    if (!json_is_string(value) || json_string_length(value) < 2) {
        return NULL;
    }

    text = json_string_value(value);

    return (*text == '\0') ? text + 1 : NULL;
}


static json_t *
ngx_http_agents_json_decode(const char *data, size_t len, size_t flags,
    int depth, ngx_http_agents_json_fault_t *fault)
{
    json_t        *value;
    json_error_t   error;

    if (ngx_http_agents_json_shallow(data, len, depth, fault) != 0) {
        return NULL;
    }

    value = ngx_http_agents_json_read(data, len, flags, &error);
    if (value == NULL) {
        ngx_http_agents_json_explain(fault, &error, data, len);
    }

    return value;
}


/*
 * The nesting is measured before jansson recurses into it.  Brackets are
 * counted outside of strings; whether they match is jansson's to say.
 */

static int
ngx_http_agents_json_shallow(const char *data, size_t len, int depth,
    ngx_http_agents_json_fault_t *fault)
{
    int          level, line, column;
    char         c;
    unsigned     quoted;
    const char  *p, *end;

    level = 0;
    line = 1;
    column = 0;
    quoted = 0;

    end = data + len;

    for (p = data; p < end; p++) {
        c = *p;

        if (((unsigned char) c & 0xc0) != 0x80) {
            column++;
        }

        if (c == '\n') {
            line++;
            column = 0;
        }

        if (quoted) {
            if (c == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\')) {
                p++;
                column++;

            } else if (c == '"') {
                quoted = 0;
            }

        } else if (c == '"') {
            quoted = 1;

        } else if (c == '[' || c == '{') {

            if (++level > depth) {
                fault->line = line;
                fault->column = column;
                (void) snprintf(fault->text, sizeof(fault->text),
                                "nested more than %d levels deep", depth);
                return -1;
            }

        } else if (c == ']' || c == '}') {
            level--;
        }
    }

    return 0;
}


static void
ngx_http_agents_json_explain(ngx_http_agents_json_fault_t *fault,
    const json_error_t *error, const char *data, size_t len)
{
    fault->line = (error->line > 0) ? error->line : 0;
    fault->column = (error->column > 0) ? error->column : 1;

    switch (json_error_code(error)) {

    case json_error_numeric_overflow:
        ngx_http_agents_json_name(fault, error, data, len,
                                  "a number out of range (integers have 64 "
                                  "bits)");
        return;

    case json_error_duplicate_key:
        ngx_http_agents_json_name(fault, error, data, len,
                                  "duplicate object key");
        return;

    case json_error_null_character:
    case json_error_null_byte_in_key:
        (void) snprintf(fault->text, sizeof(fault->text),
                        "the character \\u0000 is not allowed");
        return;

    case json_error_out_of_memory:
        fault->line = 0;
        fault->column = 0;
        (void) snprintf(fault->text, sizeof(fault->text), "out of memory");
        return;

    default:
        (void) snprintf(fault->text, sizeof(fault->text), "%s", error->text);
    }
}


/*
 * With the number or the string that ends where the fault was found: jansson
 * names short ones only.
 */

static void
ngx_http_agents_json_name(ngx_http_agents_json_fault_t *fault,
    const json_error_t *error, const char *data, size_t len, const char *text)
{
    int          n;
    const char  *token, *end;

    if (error->position <= 0 || (size_t) error->position > len) {
        (void) snprintf(fault->text, sizeof(fault->text), "%s", text);
        return;
    }

    end = data + error->position;
    token = ngx_http_agents_json_token(data, end);

    n = (end - token > NGX_HTTP_AGENTS_JSON_NAMED)
        ? NGX_HTTP_AGENTS_JSON_NAMED : (int) (end - token);

    (void) snprintf(fault->text, sizeof(fault->text), "%s: %.*s%s", text, n,
                    token, (end - token > n) ? "..." : "");
}


/* The start of the token that ends at "end". */

static const char *
ngx_http_agents_json_token(const char *data, const char *end)
{
    const char  *p, *q;

    p = end - 1;

    if (*p != '"') {

        while (p > data && p[-1] && strchr("+-.eE0123456789", p[-1])) {
            p--;
        }

        return p;
    }

    /* a quote with an odd number of backslashes before it is the string's */

    while (p > data) {
        p--;

        if (*p != '"') {
            continue;
        }

        for (q = p; q > data && q[-1] == '\\'; q--) { /* void */ }

        if ((p - q) % 2 == 0) {
            break;
        }
    }

    return p;
}


const char *
ngx_http_agents_json_string(const json_t *object, const char *key, size_t *len)
{
    json_t  *value;

    value = json_object_get(object, key);

    if (!json_is_string(value) || ngx_http_agents_json_kept(value) != NULL) {
        return NULL;
    }

    if (len != NULL) {
        *len = json_string_length(value);
    }

    return json_string_value(value);
}


json_t *
ngx_http_agents_json_object(const json_t *object, const char *key)
{
    json_t  *value;

    value = json_object_get(object, key);

    return json_is_object(value) ? value : NULL;
}


json_t *
ngx_http_agents_json_array(const json_t *object, const char *key)
{
    json_t  *value;

    value = json_object_get(object, key);

    return json_is_array(value) ? value : NULL;
}


int64_t
ngx_http_agents_json_integer(const json_t *object, const char *key,
    int64_t otherwise)
{
    json_t  *value;

    value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}


int
ngx_http_agents_json_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}


size_t
ngx_http_agents_json_characters(const char *text, size_t len)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < len; i++) {
        n += (((unsigned char) text[i] & 0xc0) != 0x80);
    }

    return n;
}


const char *
ngx_http_agents_json_type_name(const json_t *value)
{
    if (value == NULL) {
        return "nothing";
    }

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        return "an object";

    case JSON_ARRAY:
        return "an array";

    case JSON_STRING:
        return (ngx_http_agents_json_kept(value) != NULL) ? "a number"
                                                          : "a string";

    case JSON_INTEGER:
        return "an integer";

    case JSON_REAL:
        return "a number";

    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";

    default:
        return "null";
    }
}
