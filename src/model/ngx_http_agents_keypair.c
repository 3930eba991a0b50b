
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <jose/jose.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_keypair.h"


#define NGX_HTTP_AGENTS_KEYPAIR_BITS   2048

/* Snowflake takes tokens of an hour at most: seconds. */
#define NGX_HTTP_AGENTS_KEYPAIR_LIFE   3540

/* How long before its end a token is replaced, in seconds. */
#define NGX_HTTP_AGENTS_KEYPAIR_EARLY  300

#define NGX_HTTP_AGENTS_KEYPAIR_B64  ((SHA256_DIGEST_LENGTH + 2) / 3 * 4)


struct ngx_http_agents_keypair_s {
    EVP_PKEY  *pkey;
    char      *issuer;      /* ACCOUNT.USER.SHA256:fingerprint */
    size_t     subject;     /* how much of it is ACCOUNT.USER */
    char      *token;       /* NULL: none yet */
    time_t     expires;
};


static EVP_PKEY *ngx_http_agents_keypair_read(const char *pem, size_t len,
    const char **why);
static int ngx_http_agents_keypair_no_password(char *buf, int size, int rw,
    void *data);
static int ngx_http_agents_keypair_issuer(ngx_http_agents_keypair_t *keypair,
    const char *account, const char *user);
static void ngx_http_agents_keypair_upper(ngx_http_agents_buf_t *buf,
    const char *text, size_t len);
static int ngx_http_agents_keypair_fingerprint(ngx_http_agents_buf_t *buf,
    EVP_PKEY *pkey);
static char *ngx_http_agents_keypair_make(
    const ngx_http_agents_keypair_t *keypair, time_t now);
static int ngx_http_agents_keypair_sign(ngx_http_agents_buf_t *text,
    EVP_PKEY *pkey);
static void ngx_http_agents_keypair_base64(ngx_http_agents_buf_t *buf,
    const void *data, size_t len);
static void ngx_http_agents_keypair_forget(ngx_http_agents_keypair_t *keypair);


ngx_http_agents_keypair_t *
ngx_http_agents_keypair_create(const char *pem, size_t len,
    const char *account, const char *user, const char **why)
{
    EVP_PKEY                   *pkey;
    ngx_http_agents_keypair_t  *keypair;

    pkey = ngx_http_agents_keypair_read(pem, len, why);

    /* what OpenSSL has to say of it is nobody's business later on */

    ERR_clear_error();

    if (pkey == NULL) {
        return NULL;
    }

    *why = "out of memory";

    keypair = calloc(1, sizeof(ngx_http_agents_keypair_t));
    if (keypair == NULL) {
        EVP_PKEY_free(pkey);
        return NULL;
    }

    keypair->pkey = pkey;

    if (ngx_http_agents_keypair_issuer(keypair, account, user) != 0) {
        ngx_http_agents_keypair_free(keypair);
        return NULL;
    }

    return keypair;
}


static EVP_PKEY *
ngx_http_agents_keypair_read(const char *pem, size_t len, const char **why)
{
    BIO       *bio;
    EVP_PKEY  *pkey;

    bio = BIO_new_mem_buf(pem, (int) len);
    if (bio == NULL) {
        *why = "out of memory";
        return NULL;
    }

    pkey = PEM_read_bio_PrivateKey(bio, NULL,
                                   ngx_http_agents_keypair_no_password, NULL);
    BIO_free(bio);

    if (pkey == NULL) {
        *why = "it has no private key in PEM that is not encrypted";
        return NULL;
    }

    if (EVP_PKEY_base_id(pkey) != EVP_PKEY_RSA
        || EVP_PKEY_bits(pkey) < NGX_HTTP_AGENTS_KEYPAIR_BITS)
    {
        *why = "its key is no RSA key of 2048 bits or more";
        EVP_PKEY_free(pkey);
        return NULL;
    }

    return pkey;
}


/* In place of OpenSSL's own, which asks the terminal. */

static int
ngx_http_agents_keypair_no_password(char *buf, int size, int rw, void *data)
{
    return -1;
}


/* Of an account that is named with its region the name alone counts. */

static int
ngx_http_agents_keypair_issuer(ngx_http_agents_keypair_t *keypair,
    const char *account, const char *user)
{
    int                    rc;
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);

    ngx_http_agents_keypair_upper(&buf, account, strcspn(account, "."));
    ngx_http_agents_buf_addc(&buf, '.');
    ngx_http_agents_keypair_upper(&buf, user, strlen(user));

    keypair->subject = buf.len;

    ngx_http_agents_buf_adds(&buf, ".SHA256:");

    rc = ngx_http_agents_keypair_fingerprint(&buf, keypair->pkey);

    if (rc == 0) {
        keypair->issuer = ngx_http_agents_buf_take(&buf, NULL);
        rc = (keypair->issuer != NULL) ? 0 : -1;
    }

    ngx_http_agents_buf_free(&buf);

    return rc;
}


static void
ngx_http_agents_keypair_upper(ngx_http_agents_buf_t *buf, const char *text,
    size_t len)
{
    for ( /* void */ ; len != 0; text++, len--) {
        ngx_http_agents_buf_addc(buf, (*text >= 'a' && *text <= 'z')
                                      ? (char) (*text - 'a' + 'A') : *text);
    }
}


/* SHA-256 of the public key in DER, in base64. */

static int
ngx_http_agents_keypair_fingerprint(ngx_http_agents_buf_t *buf, EVP_PKEY *pkey)
{
    int             len;
    unsigned char  *der, digest[SHA256_DIGEST_LENGTH];
    unsigned char   text[NGX_HTTP_AGENTS_KEYPAIR_B64 + 1];

    der = NULL;
    len = i2d_PUBKEY(pkey, &der);

    if (len <= 0) {
        return -1;
    }

    (void) SHA256(der, (size_t) len, digest);
    OPENSSL_free(der);

    (void) EVP_EncodeBlock(text, digest, SHA256_DIGEST_LENGTH);
    ngx_http_agents_buf_adds(buf, (char *) text);

    return 0;
}


const char *
ngx_http_agents_keypair_token(ngx_http_agents_keypair_t *keypair, time_t now)
{
    if (keypair->token != NULL
        && now < keypair->expires - NGX_HTTP_AGENTS_KEYPAIR_EARLY
        && now >= keypair->expires - NGX_HTTP_AGENTS_KEYPAIR_LIFE)
    {
        return keypair->token;
    }

    ngx_http_agents_keypair_forget(keypair);

    keypair->token = ngx_http_agents_keypair_make(keypair, now);
    keypair->expires = now + NGX_HTTP_AGENTS_KEYPAIR_LIFE;

    ERR_clear_error();

    return keypair->token;
}


static char *
ngx_http_agents_keypair_make(const ngx_http_agents_keypair_t *keypair,
    time_t now)
{
    ngx_http_agents_buf_t  claims, text;

    static const char  header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";

    ngx_http_agents_buf_init(&claims);
    ngx_http_agents_buf_init(&text);

    ngx_http_agents_json_begin(&claims);
    ngx_http_agents_json_member_cstring(&claims, "iss", keypair->issuer);
    ngx_http_agents_json_member_string(&claims, "sub", keypair->issuer,
                                       keypair->subject);
    ngx_http_agents_json_member_integer(&claims, "iat", now);
    ngx_http_agents_json_member_integer(&claims, "exp",
                                        now + NGX_HTTP_AGENTS_KEYPAIR_LIFE);
    ngx_http_agents_json_end(&claims);

    ngx_http_agents_keypair_base64(&text, header, sizeof(header) - 1);
    ngx_http_agents_buf_addc(&text, '.');
    ngx_http_agents_keypair_base64(&text, claims.data, claims.len);

    if (claims.failed || text.failed
        || ngx_http_agents_keypair_sign(&text, keypair->pkey) != 0)
    {
        text.failed = 1;
    }

    ngx_http_agents_buf_free(&claims);

    return ngx_http_agents_buf_take(&text, NULL);
}


static int
ngx_http_agents_keypair_sign(ngx_http_agents_buf_t *text, EVP_PKEY *pkey)
{
    int             rc;
    size_t          len;
    EVP_MD_CTX     *ctx;
    unsigned char  *signature;

    rc = -1;
    len = (size_t) EVP_PKEY_size(pkey);
    signature = malloc(len);
    ctx = EVP_MD_CTX_new();

    if (signature != NULL && ctx != NULL
        && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1
        && EVP_DigestSign(ctx, signature, &len,
                          (const unsigned char *) text->data, text->len) == 1)
    {
        ngx_http_agents_buf_addc(text, '.');
        ngx_http_agents_keypair_base64(text, signature, len);
        rc = 0;
    }

    EVP_MD_CTX_free(ctx);
    free(signature);

    return rc;
}


/* In the form of RFC 4648, 5, without padding. */

static void
ngx_http_agents_keypair_base64(ngx_http_agents_buf_t *buf, const void *data,
    size_t len)
{
    size_t  n;

    n = jose_b64_enc_buf(NULL, len, NULL, 0);

    if (buf->failed || data == NULL
        || ngx_http_agents_buf_reserve(buf, n) != 0
        || jose_b64_enc_buf(data, len, buf->data + buf->len, n) != n)
    {
        buf->failed = 1;
        return;
    }

    buf->len += n;
    buf->data[buf->len] = '\0';
}


void
ngx_http_agents_keypair_refused(ngx_http_agents_keypair_t *keypair,
    const char *token, size_t len)
{
    if (keypair->token != NULL && strlen(keypair->token) == len
        && memcmp(keypair->token, token, len) == 0)
    {
        ngx_http_agents_keypair_forget(keypair);
    }
}


static void
ngx_http_agents_keypair_forget(ngx_http_agents_keypair_t *keypair)
{
    if (keypair->token != NULL) {
        OPENSSL_cleanse(keypair->token, strlen(keypair->token));
        free(keypair->token);
        keypair->token = NULL;
    }
}


void
ngx_http_agents_keypair_free(ngx_http_agents_keypair_t *keypair)
{
    ngx_http_agents_keypair_forget(keypair);

    EVP_PKEY_free(keypair->pkey);
    free(keypair->issuer);
    free(keypair);
}
