
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "ngx_http_agents_aws_keys.h"
#include "ngx_http_agents_json.h"


#define NGX_HTTP_AGENTS_AWS_KEYS_WORD_MAX  4096


static int ngx_http_agents_aws_keys_fill(ngx_http_agents_aws_keys_t *keys,
    const json_t *root, ngx_http_agents_buf_t *why);
static int ngx_http_agents_aws_keys_copy(char **to, const char *text);
static int ngx_http_agents_aws_keys_time(time_t *when, const char *text);
static int ngx_http_agents_aws_keys_is_word(const char *text, size_t len);
static void ngx_http_agents_aws_keys_erase(char **text);


int
ngx_http_agents_aws_keys_read(ngx_http_agents_aws_keys_t *keys,
    const char *body, size_t len, ngx_http_agents_buf_t *why)
{
    int                            rc;
    json_t                        *root;
    const char                    *code;
    ngx_http_agents_json_fault_t   fault;

    memset(keys, 0, sizeof(ngx_http_agents_aws_keys_t));

    root = ngx_http_agents_json_parse_foreign(body, len,
                                              NGX_HTTP_AGENTS_JSON_DEPTH,
                                              &fault);
    if (!json_is_object(root)) {

        /* the parser's own text may quote a key */

        ngx_http_agents_buf_adds(why, "it is no JSON object");
        json_decref(root);
        return -1;
    }

    code = ngx_http_agents_json_string(root, "Code", NULL);

    if (code != NULL && strcmp(code, "Success") != 0
        && ngx_http_agents_aws_keys_is_word(code, strlen(code)))
    {
        ngx_http_agents_buf_addf(why, "its code is %.100s", code);
        json_decref(root);
        return -1;
    }

    rc = ngx_http_agents_aws_keys_fill(keys, root, why);

    if (rc != 0) {
        ngx_http_agents_aws_keys_clear(keys);
    }

    json_decref(root);

    return rc;
}


static int
ngx_http_agents_aws_keys_fill(ngx_http_agents_aws_keys_t *keys,
    const json_t *root, ngx_http_agents_buf_t *why)
{
    const char  *access_key, *secret_key, *token, *expires;

    access_key = ngx_http_agents_json_string(root, "AccessKeyId", NULL);
    secret_key = ngx_http_agents_json_string(root, "SecretAccessKey", NULL);
    token = ngx_http_agents_json_string(root, "Token", NULL);
    expires = ngx_http_agents_json_string(root, "Expiration", NULL);

    if (access_key == NULL || secret_key == NULL) {
        ngx_http_agents_buf_adds(why, "it has no \"AccessKeyId\" and "
                                 "\"SecretAccessKey\"");
        return -1;
    }

    if (!ngx_http_agents_aws_keys_is_word(access_key, strlen(access_key))
        || !ngx_http_agents_aws_keys_is_word(secret_key, strlen(secret_key))
        || (token != NULL
            && !ngx_http_agents_aws_keys_is_word(token, strlen(token))))
    {
        ngx_http_agents_buf_adds(why, "a key of it is empty, or has blanks or "
                                 "control characters in it");
        return -1;
    }

    if (expires != NULL
        && ngx_http_agents_aws_keys_time(&keys->expires, expires) != 0)
    {
        ngx_http_agents_buf_adds(why, "its \"Expiration\" is no time");
        return -1;
    }

    if (ngx_http_agents_aws_keys_copy(&keys->access_key, access_key) != 0
        || ngx_http_agents_aws_keys_copy(&keys->secret_key, secret_key) != 0
        || ngx_http_agents_aws_keys_copy(&keys->session_token, token) != 0)
    {
        ngx_http_agents_buf_adds(why, "out of memory");
        return -1;
    }

    return 0;
}


static int
ngx_http_agents_aws_keys_copy(char **to, const char *text)
{
    if (text == NULL) {
        return 0;
    }

    *to = strdup(text);

    return (*to != NULL) ? 0 : -1;
}


/* "2026-11-25T20:00:00Z", perhaps with a fraction of the second. */

static int
ngx_http_agents_aws_keys_time(time_t *when, const char *text)
{
    int        n;
    struct tm  tm;

    memset(&tm, 0, sizeof(struct tm));
    n = 0;

    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon,
               &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n)
        != 6)
    {
        return -1;
    }

    text += n;

    if (*text == '.') {
        text++;
        text += strspn(text, "0123456789");
    }

    if (strcmp(text, "Z") != 0 && strcmp(text, "+00:00") != 0) {
        return -1;
    }

    if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12
        || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0
        || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59
        || tm.tm_sec < 0 || tm.tm_sec > 60)
    {
        return -1;
    }

    tm.tm_year -= 1900;
    tm.tm_mon--;

    *when = timegm(&tm);

    return (*when > 0) ? 0 : -1;
}


int
ngx_http_agents_aws_keys_word(ngx_http_agents_buf_t *word, const char *body,
    size_t len)
{
    size_t  n;

    while (len != 0 && strchr(" \t\r\n", *body) != NULL) {
        body++;
        len--;
    }

    for (n = 0; n < len && body[n] != '\r' && body[n] != '\n'; n++) {
        /* void */
    }

    while (n != 0 && (body[n - 1] == ' ' || body[n - 1] == '\t')) {
        n--;
    }

    if (!ngx_http_agents_aws_keys_is_word(body, n)) {
        return -1;
    }

    ngx_http_agents_buf_add(word, body, n);

    return word->failed ? -1 : 0;
}


static int
ngx_http_agents_aws_keys_is_word(const char *text, size_t len)
{
    size_t  i;

    if (len == 0 || len > NGX_HTTP_AGENTS_AWS_KEYS_WORD_MAX) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


void
ngx_http_agents_aws_keys_clear(ngx_http_agents_aws_keys_t *keys)
{
    ngx_http_agents_aws_keys_erase(&keys->access_key);
    ngx_http_agents_aws_keys_erase(&keys->secret_key);
    ngx_http_agents_aws_keys_erase(&keys->session_token);

    memset(keys, 0, sizeof(ngx_http_agents_aws_keys_t));
}


static void
ngx_http_agents_aws_keys_erase(char **text)
{
    if (*text != NULL) {
        OPENSSL_cleanse(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}
