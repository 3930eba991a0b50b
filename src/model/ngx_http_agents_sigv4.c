
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_sigv4.h"


#define NGX_HTTP_AGENTS_SIGV4_LEN   32      /* bytes of an HMAC-SHA-256 */

/* "20261123T000000Z"; its first eight characters are the day. */
#define NGX_HTTP_AGENTS_SIGV4_DATE  sizeof("20261123T000000Z")
#define NGX_HTTP_AGENTS_SIGV4_DAY   8


static void ngx_http_agents_sigv4_path(ngx_http_agents_buf_t *buf,
    const char *path);
static void ngx_http_agents_sigv4_signed(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_sigv4_key_t *key);
static void ngx_http_agents_sigv4_canonical(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_sigv4_key_t *key,
    const ngx_http_agents_sigv4_request_t *request, const char *date);
static void ngx_http_agents_sigv4_scope(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_sigv4_request_t *request, const char *date);
static int ngx_http_agents_sigv4_to_sign(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_sigv4_key_t *key,
    const ngx_http_agents_sigv4_request_t *request, const char *date);
static int ngx_http_agents_sigv4_signature(
    char out[2 * NGX_HTTP_AGENTS_SIGV4_LEN + 1], const char *secret_key,
    const ngx_http_agents_sigv4_request_t *request, const char *date,
    const ngx_http_agents_buf_t *text);
static int ngx_http_agents_sigv4_hmac(unsigned char *key, size_t key_len,
    const char *text, size_t len);


int
ngx_http_agents_sigv4_sign(const ngx_http_agents_sigv4_key_t *key,
    const ngx_http_agents_sigv4_request_t *request,
    ngx_http_agents_buf_t *date, ngx_http_agents_buf_t *token,
    ngx_http_agents_buf_t *authorization)
{
    int                     rc;
    char                    now[NGX_HTTP_AGENTS_SIGV4_DATE];
    char                    signature[2 * NGX_HTTP_AGENTS_SIGV4_LEN + 1];
    struct tm               tm;
    ngx_http_agents_buf_t   text;

    if (gmtime_r(&request->now, &tm) == NULL
        || strftime(now, sizeof(now), "%Y%m%dT%H%M%SZ", &tm) == 0)
    {
        return -1;
    }

    ngx_http_agents_buf_init(&text);

    rc = ngx_http_agents_sigv4_to_sign(&text, key, request, now);

    if (rc == 0) {
        rc = ngx_http_agents_sigv4_signature(signature, key->secret_key,
                                             request, now, &text);
    }

    ngx_http_agents_buf_free(&text);

    if (rc == -1) {
        return -1;
    }

    ngx_http_agents_buf_addf(date, "X-Amz-Date: %s", now);

    if (key->session_token != NULL) {
        ngx_http_agents_buf_addf(token, "X-Amz-Security-Token: %s",
                                 key->session_token);
    }

    ngx_http_agents_buf_addf(authorization,
                             "Authorization: AWS4-HMAC-SHA256 Credential=%s/",
                             key->access_key);
    ngx_http_agents_sigv4_scope(authorization, request, now);
    ngx_http_agents_buf_adds(authorization, ", SignedHeaders=");
    ngx_http_agents_sigv4_signed(authorization, key);
    ngx_http_agents_buf_addf(authorization, ", Signature=%s", signature);

    return (date->failed || token->failed || authorization->failed) ? -1 : 0;
}


/* The path as it is sent, encoded once more, but for its slashes. */

static void
ngx_http_agents_sigv4_path(ngx_http_agents_buf_t *buf, const char *path)
{
    for ( /* void */ ; *path != '\0'; path++) {

        if ((*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z')
            || (*path >= '0' && *path <= '9') || strchr("-_.~/", *path) != NULL)
        {
            ngx_http_agents_buf_addc(buf, *path);

        } else {
            ngx_http_agents_buf_addf(buf, "%%%02X", (unsigned char) *path);
        }
    }
}


static void
ngx_http_agents_sigv4_signed(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_sigv4_key_t *key)
{
    ngx_http_agents_buf_adds(buf, "content-type;host;x-amz-date");

    if (key->session_token != NULL) {
        ngx_http_agents_buf_adds(buf, ";x-amz-security-token");
    }
}


static void
ngx_http_agents_sigv4_canonical(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_sigv4_key_t *key,
    const ngx_http_agents_sigv4_request_t *request, const char *date)
{
    ngx_http_agents_buf_adds(buf, "POST\n");
    ngx_http_agents_sigv4_path(buf, request->path);
    ngx_http_agents_buf_addf(buf, "\n\ncontent-type:%s\nhost:%s\n"
                             "x-amz-date:%s\n", request->content_type,
                             request->host, date);

    if (key->session_token != NULL) {
        ngx_http_agents_buf_addf(buf, "x-amz-security-token:%s\n",
                                 key->session_token);
    }

    ngx_http_agents_buf_addc(buf, '\n');
    ngx_http_agents_sigv4_signed(buf, key);
    ngx_http_agents_buf_addf(buf, "\n%s", request->body_sha256);
}


static void
ngx_http_agents_sigv4_scope(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_sigv4_request_t *request, const char *date)
{
    ngx_http_agents_buf_addf(buf, "%.*s/%s/%s/aws4_request",
                             NGX_HTTP_AGENTS_SIGV4_DAY, date, request->region,
                             request->service);
}


static int
ngx_http_agents_sigv4_to_sign(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_sigv4_key_t *key,
    const ngx_http_agents_sigv4_request_t *request, const char *date)
{
    int                     rc;
    char                    sha256[NGX_HTTP_AGENTS_SHA256_LEN + 1];
    ngx_http_agents_buf_t   canonical;

    ngx_http_agents_buf_init(&canonical);
    ngx_http_agents_sigv4_canonical(&canonical, key, request, date);

    rc = canonical.failed
         ? -1
         : ngx_http_agents_ident_sha256(sha256, canonical.data, canonical.len);

    ngx_http_agents_buf_free(&canonical);

    if (rc != 0) {
        return -1;
    }

    ngx_http_agents_buf_addf(buf, "AWS4-HMAC-SHA256\n%s\n", date);
    ngx_http_agents_sigv4_scope(buf, request, date);
    ngx_http_agents_buf_addf(buf, "\n%s", sha256);

    return buf->failed ? -1 : 0;
}


/* The key is derived step by step: day, region, service, the word. */

static int
ngx_http_agents_sigv4_signature(char out[2 * NGX_HTTP_AGENTS_SIGV4_LEN + 1],
    const char *secret_key, const ngx_http_agents_sigv4_request_t *request,
    const char *date, const ngx_http_agents_buf_t *text)
{
    int                     rc;
    size_t                  i;
    unsigned char           key[NGX_HTTP_AGENTS_SIGV4_LEN];
    ngx_http_agents_buf_t   first;

    ngx_http_agents_buf_init(&first);
    ngx_http_agents_buf_addf(&first, "AWS4%s", secret_key);

    rc = -1;

    if (!first.failed
        && HMAC(EVP_sha256(), first.data, (int) first.len,
                (const unsigned char *) date, NGX_HTTP_AGENTS_SIGV4_DAY, key,
                NULL) != NULL
        && ngx_http_agents_sigv4_hmac(key, sizeof(key), request->region,
                                      strlen(request->region)) == 0
        && ngx_http_agents_sigv4_hmac(key, sizeof(key), request->service,
                                      strlen(request->service)) == 0
        && ngx_http_agents_sigv4_hmac(key, sizeof(key), "aws4_request", 12)
           == 0
        && ngx_http_agents_sigv4_hmac(key, sizeof(key), text->data, text->len)
           == 0)
    {
        rc = 0;
    }

    for (i = 0; i < sizeof(key); i++) {
        out[2 * i] = "0123456789abcdef"[key[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[key[i] & 0x0f];
    }

    out[2 * sizeof(key)] = '\0';

    if (first.data != NULL) {
        OPENSSL_cleanse(first.data, first.len);
    }

    OPENSSL_cleanse(key, sizeof(key));
    ngx_http_agents_buf_free(&first);

    return rc;
}


/* The key becomes the HMAC of the text under it. */

static int
ngx_http_agents_sigv4_hmac(unsigned char *key, size_t key_len,
    const char *text, size_t len)
{
    unsigned char  mac[NGX_HTTP_AGENTS_SIGV4_LEN];

    if (HMAC(EVP_sha256(), key, (int) key_len, (const unsigned char *) text,
             len, mac, NULL) == NULL)
    {
        return -1;
    }

    memcpy(key, mac, sizeof(mac));

    return 0;
}
