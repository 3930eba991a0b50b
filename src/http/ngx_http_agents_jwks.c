
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jose/jose.h>
#include <jose/openssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_jwks.h"


#define NGX_HTTP_AGENTS_JWKS_RSA_MIN  2048      /* bits, RFC 7518, 3.3 */
#define NGX_HTTP_AGENTS_JWKS_OCT_MIN  32        /* bytes, RFC 7518, 3.2 */
#define NGX_HTTP_AGENTS_JWKS_OCT_MAX  1024      /* bytes, of José */


typedef struct {
    const char                          *name;
    const char                          *kty;
    const char                          *crv;       /* NULL: it has none */
    size_t                               bytes;     /* of a shared secret */
} ngx_http_agents_jwks_alg_t;


typedef struct {
    json_t                              *jwk;       /* its public part */
    const char                          *kty;
    const char                          *crv;       /* of the table below */
    size_t                               bytes;     /* of a shared secret */
    const ngx_http_agents_jwks_alg_t    *alg;       /* NULL: it names none */
    char                                *kid;       /* NULL: it has none */
} ngx_http_agents_jwks_key_t;


struct ngx_http_agents_jwks_s {
    size_t                               n;
    ngx_http_agents_jwks_key_t           keys[NGX_HTTP_AGENTS_JWKS_KEYS_MAX];
};


static const ngx_http_agents_jwks_alg_t *ngx_http_agents_jwks_alg(
    const char *name);
static int ngx_http_agents_jwks_add(ngx_http_agents_jwks_t *jwks,
    const json_t *jwk, const char **why);
static int ngx_http_agents_jwks_texts(const json_t *jwk, const char **why);
static int ngx_http_agents_jwks_fits(const json_t *jwk,
    ngx_http_agents_jwks_key_t *key, const char **why);
static int ngx_http_agents_jwks_purpose(const json_t *jwk, const char **why);
static int ngx_http_agents_jwks_load(const json_t *jwk,
    ngx_http_agents_jwks_key_t *key, const char **why);
static int ngx_http_agents_jwks_secret(const json_t *jwk,
    ngx_http_agents_jwks_key_t *key, const char **why);
static int ngx_http_agents_jwks_public(const json_t *jwk,
    ngx_http_agents_jwks_key_t *key, const char **why);
static int ngx_http_agents_jwks_check(jose_cfg_t *cfg,
    const ngx_http_agents_jwks_key_t *key, const char **why);
static int ngx_http_agents_jwks_valid(EVP_PKEY *pkey);
static jose_cfg_t *ngx_http_agents_jwks_cfg(void);
static void ngx_http_agents_jwks_silent(void *misc, const char *file, int line,
    uint64_t err, const char *fmt, va_list ap);


static const ngx_http_agents_jwks_alg_t  ngx_http_agents_jwks_algs[] = {
    { "RS256", "RSA", NULL, 0 },
    { "RS384", "RSA", NULL, 0 },
    { "RS512", "RSA", NULL, 0 },
    { "PS256", "RSA", NULL, 0 },
    { "PS384", "RSA", NULL, 0 },
    { "PS512", "RSA", NULL, 0 },
    { "ES256", "EC", "P-256", 0 },
    { "ES384", "EC", "P-384", 0 },
    { "ES512", "EC", "P-521", 0 },
    { "HS256", "oct", NULL, 32 },
    { "HS384", "oct", NULL, 48 },
    { "HS512", "oct", NULL, 64 },
    { NULL, NULL, NULL, 0 }
};


/* What a key of a type is made of: its public part. */

static const struct {
    const char                          *kty;
    const char                          *members[3];
    int                                (*load)(const json_t *jwk,
                                           ngx_http_agents_jwks_key_t *key,
                                           const char **why);
} ngx_http_agents_jwks_types[] = {
    { "RSA", { "n", "e", NULL }, ngx_http_agents_jwks_public },
    { "EC", { "crv", "x", "y" }, ngx_http_agents_jwks_public },
    { "oct", { "k", NULL, NULL }, ngx_http_agents_jwks_secret }
};


ngx_http_agents_jwks_t *
ngx_http_agents_jwks_read(const char *text, size_t len, char *err, size_t size)
{
    size_t                         i;
    json_t                        *root, *keys, *jwk;
    const char                    *why;
    ngx_http_agents_jwks_t        *jwks;
    ngx_http_agents_json_fault_t   fault;

    root = ngx_http_agents_json_parse(text, len, &fault);

    if (root == NULL) {

        /* the parser's text may quote what it read, which may be a key */

        (void) snprintf(err, size, "it is no JSON (line %d, column %d)",
                        fault.line, fault.column);
        return NULL;
    }

    keys = ngx_http_agents_json_array(root, "keys");
    jwks = calloc(1, sizeof(ngx_http_agents_jwks_t));

    if (keys == NULL || jwks == NULL) {
        (void) snprintf(err, size, "%s", (jwks == NULL)
                        ? "no memory" : "it has no array \"keys\"");
        goto failed;
    }

    json_array_foreach(keys, i, jwk) {

        if (ngx_http_agents_jwks_add(jwks, jwk, &why) != 0) {
            (void) snprintf(err, size, "key %zu of it %s", i + 1, why);
            goto failed;
        }
    }

    if (jwks->n == 0) {
        (void) snprintf(err, size, "it has no key to verify with");
        goto failed;
    }

    json_decref(root);

    return jwks;

failed:

    ngx_http_agents_jwks_free(jwks);
    json_decref(root);

    return NULL;
}


void
ngx_http_agents_jwks_free(ngx_http_agents_jwks_t *jwks)
{
    size_t  i;

    if (jwks == NULL) {
        return;
    }

    for (i = 0; i < jwks->n; i++) {
        json_decref(jwks->keys[i].jwk);
        free(jwks->keys[i].kid);
    }

    free(jwks);
}


/* 0: taken, or passed over; -1: it is at fault. */

static int
ngx_http_agents_jwks_add(ngx_http_agents_jwks_t *jwks, const json_t *jwk,
    const char **why)
{
    int                         rc;
    const char                 *kid;
    ngx_http_agents_jwks_key_t  *key;

    if (ngx_http_agents_jwks_texts(jwk, why) != 0) {
        return -1;
    }

    if (jwks->n == NGX_HTTP_AGENTS_JWKS_KEYS_MAX) {
        *why = "is one too many";
        return -1;
    }

    key = &jwks->keys[jwks->n];
    memset(key, 0, sizeof(ngx_http_agents_jwks_key_t));

    rc = ngx_http_agents_jwks_fits(jwk, key, why);

    if (rc <= 0) {
        return rc;
    }

    kid = ngx_http_agents_json_string(jwk, "kid", NULL);

    if (kid != NULL) {
        key->kid = strdup(kid);

        if (key->kid == NULL) {
            *why = "found no memory";
            return -1;
        }
    }

    if (ngx_http_agents_jwks_load(jwk, key, why) != 0) {
        json_decref(key->jwk);
        free(key->kid);
        return -1;
    }

    jwks->n++;

    return 0;
}


static int
ngx_http_agents_jwks_texts(const json_t *jwk, const char **why)
{
    size_t         i;
    const json_t  *value;

    static const char *const  members[] = { "kty", "use", "alg", "kid" };

    if (!json_is_object(jwk)) {
        *why = "is no object";
        return -1;
    }

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        value = json_object_get(jwk, members[i]);

        if ((value == NULL) ? (i == 0) : !json_is_string(value)) {
            *why = "needs \"kty\", and \"use\", \"alg\" and \"kid\" must be "
                   "strings";
            return -1;
        }
    }

    return 0;
}


/* 1: it is to verify signatures; 0: it is for something else; -1: at fault. */

static int
ngx_http_agents_jwks_fits(const json_t *jwk, ngx_http_agents_jwks_key_t *key,
    const char **why)
{
    int                                rc;
    const char                        *alg, *kty, *crv;
    const ngx_http_agents_jwks_alg_t  *a;

    rc = ngx_http_agents_jwks_purpose(jwk, why);

    if (rc <= 0) {
        return rc;
    }

    kty = ngx_http_agents_json_string(jwk, "kty", NULL);
    crv = ngx_http_agents_json_string(jwk, "crv", NULL);
    alg = ngx_http_agents_json_string(jwk, "alg", NULL);

    if (alg != NULL) {
        key->alg = ngx_http_agents_jwks_alg(alg);

        if (key->alg == NULL) {
            return 0;
        }

        if (strcmp(key->alg->kty, kty) != 0) {
            *why = "has an \"alg\" that its \"kty\" is not for";
            return -1;
        }
    }

    for (a = ngx_http_agents_jwks_algs; a->name != NULL; a++) {

        if (strcmp(a->kty, kty) != 0) {
            continue;
        }

        if (a->crv == NULL || (crv != NULL && strcmp(a->crv, crv) == 0)) {
            key->kty = a->kty;
            key->crv = a->crv;
            break;
        }
    }

    if (key->kty == NULL) {

        if (strcmp(kty, "EC") == 0 && crv == NULL) {
            *why = "has no \"crv\"";
            return -1;
        }

        return 0;
    }

    if (key->alg != NULL && key->alg->crv != key->crv) {
        *why = "has an \"alg\" that its \"crv\" is not for";
        return -1;
    }

    return 1;
}


/* As above, by "use" and "key_ops", both of which have to allow it. */

static int
ngx_http_agents_jwks_purpose(const json_t *jwk, const char **why)
{
    int           found;
    size_t        i;
    const char   *use;
    const json_t  *ops, *op;

    use = ngx_http_agents_json_string(jwk, "use", NULL);

    if (use != NULL && strcmp(use, "sig") != 0) {
        return 0;
    }

    ops = json_object_get(jwk, "key_ops");

    if (ops == NULL) {
        return 1;
    }

    if (!json_is_array(ops)) {
        *why = "has \"key_ops\" that are no array";
        return -1;
    }

    found = 0;

    json_array_foreach(ops, i, op) {
        if (json_is_string(op)
            && strcmp(json_string_value(op), "verify") == 0)
        {
            found = 1;
        }
    }

    return found;
}


/* Takes the key's public part, and sees that it is one. */

static int
ngx_http_agents_jwks_load(const json_t *jwk, ngx_http_agents_jwks_key_t *key,
    const char **why)
{
    size_t       i, k, n;
    json_t      *value;
    const char  *member;

    n = sizeof(ngx_http_agents_jwks_types)
        / sizeof(ngx_http_agents_jwks_types[0]);

    for (i = 0; i < n - 1; i++) {
        if (strcmp(ngx_http_agents_jwks_types[i].kty, key->kty) == 0) {
            break;
        }
    }

    key->jwk = json_pack("{s:s}", "kty", key->kty);

    for (k = 0; k < 3; k++) {
        member = ngx_http_agents_jwks_types[i].members[k];

        if (member == NULL) {
            break;
        }

        value = json_object_get(jwk, member);

        if (!json_is_string(value)) {
            *why = "lacks a member that keys of its \"kty\" have";
            return -1;
        }

        if (json_object_set(key->jwk, member, value) != 0) {
            *why = "found no memory";
            return -1;
        }
    }

    return ngx_http_agents_jwks_types[i].load(key->jwk, key, why);
}


static int
ngx_http_agents_jwks_secret(const json_t *jwk, ngx_http_agents_jwks_key_t *key,
    const char **why)
{
    size_t          min;
    unsigned char   bytes[NGX_HTTP_AGENTS_JWKS_OCT_MAX];

    min = (key->alg != NULL) ? key->alg->bytes : NGX_HTTP_AGENTS_JWKS_OCT_MIN;

    key->bytes = jose_b64_dec(json_object_get(jwk, "k"), NULL, 0);

    if (key->bytes == SIZE_MAX) {
        *why = "is no base64url";
        return -1;
    }

    if (key->bytes < min) {
        *why = "is too short: a shared secret is as long as the hash of its "
               "\"alg\", 32 bytes at least";
        return -1;
    }

    if (key->bytes > sizeof(bytes)) {
        *why = "is longer than 1024 bytes";
        return -1;
    }

    if (jose_b64_dec(json_object_get(jwk, "k"), bytes, sizeof(bytes))
        != key->bytes)
    {
        *why = "is no base64url";
        return -1;
    }

    OPENSSL_cleanse(bytes, sizeof(bytes));

    return 0;
}


static int
ngx_http_agents_jwks_public(const json_t *jwk, ngx_http_agents_jwks_key_t *key,
    const char **why)
{
    int          rc;
    jose_cfg_t  *cfg;

    cfg = ngx_http_agents_jwks_cfg();

    if (cfg == NULL) {
        *why = "found no memory";
        return -1;
    }

    rc = ngx_http_agents_jwks_check(cfg, key, why);

    jose_cfg_decref(cfg);
    ERR_clear_error();

    return rc;
}


static int
ngx_http_agents_jwks_check(jose_cfg_t *cfg,
    const ngx_http_agents_jwks_key_t *key, const char **why)
{
    int        rc;
    EVP_PKEY  *pkey;

    pkey = jose_openssl_jwk_to_EVP_PKEY(cfg, key->jwk);

    if (pkey == NULL) {
        *why = "is no key of its \"kty\"";
        return -1;
    }

    rc = -1;

    if (strcmp(key->kty, "RSA") == 0
        && EVP_PKEY_bits(pkey) < NGX_HTTP_AGENTS_JWKS_RSA_MIN)
    {
        *why = "is too short: a key of RSA has 2048 bits at least";

    } else if (!ngx_http_agents_jwks_valid(pkey)) {
        *why = "is no key of its \"kty\"";

    } else {
        rc = 0;
    }

    EVP_PKEY_free(pkey);

    return rc;
}


static int
ngx_http_agents_jwks_valid(EVP_PKEY *pkey)
{
    int            valid;
    EVP_PKEY_CTX  *ctx;

    ctx = EVP_PKEY_CTX_new(pkey, NULL);

    if (ctx == NULL) {
        return 0;
    }

    valid = (EVP_PKEY_public_check(ctx) == 1);

    EVP_PKEY_CTX_free(ctx);

    return valid;
}


int
ngx_http_agents_jwks_verify(const ngx_http_agents_jwks_t *jwks,
    const char *alg, const char *kid, const ngx_http_agents_jws_t *jws,
    const char **why)
{
    int                                rc;
    size_t                             i;
    json_t                            *object;
    jose_cfg_t                        *cfg;
    const ngx_http_agents_jwks_alg_t  *a;
    const ngx_http_agents_jwks_key_t  *key;

    a = ngx_http_agents_jwks_alg(alg);

    if (a == NULL) {
        *why = "The token's algorithm is not accepted.";
        return -1;
    }

    cfg = ngx_http_agents_jwks_cfg();
    object = json_pack("{s:s,s:s,s:s}", "protected", jws->header,
                       "payload", jws->payload, "signature", jws->signature);

    rc = -1;
    *why = (cfg != NULL && object != NULL)
           ? "The token fits no key, by its algorithm or \"kid\"." : NULL;

    for (i = 0; cfg != NULL && object != NULL && i < jwks->n; i++) {
        key = &jwks->keys[i];

        if (strcmp(key->kty, a->kty) != 0 || key->crv != a->crv
            || key->bytes < a->bytes || (key->alg != NULL && key->alg != a)
            || (kid != NULL
                && (key->kid == NULL || strcmp(key->kid, kid) != 0)))
        {
            continue;
        }

        if (jose_jws_ver(cfg, object, NULL, key->jwk, true)) {
            rc = 0;
            break;
        }

        *why = "The token's signature is wrong.";
    }

    if (cfg != NULL) {
        jose_cfg_decref(cfg);
    }

    json_decref(object);

    /* what OpenSSL noted must not be found by whoever asks it next */

    ERR_clear_error();

    return rc;
}


static const ngx_http_agents_jwks_alg_t *
ngx_http_agents_jwks_alg(const char *name)
{
    const ngx_http_agents_jwks_alg_t  *a;

    for (a = ngx_http_agents_jwks_algs; a->name != NULL; a++) {
        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }

    return NULL;
}


/* José says what it finds on standard error, unless it is told otherwise. */

static jose_cfg_t *
ngx_http_agents_jwks_cfg(void)
{
    jose_cfg_t  *cfg;

    cfg = jose_cfg();

    if (cfg != NULL) {
        jose_cfg_set_err_func(cfg, ngx_http_agents_jwks_silent, NULL);
    }

    return cfg;
}


static void
ngx_http_agents_jwks_silent(void *misc, const char *file, int line,
    uint64_t err, const char *fmt, va_list ap)
{
}
