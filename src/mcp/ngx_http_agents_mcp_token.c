
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jose/jose.h>
#include <jose/openssl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_mcp_token.h"


#define NGX_HTTP_AGENTS_MCP_TOKEN_RSA_MIN  2048     /* bits */
#define NGX_HTTP_AGENTS_MCP_TOKEN_OCT_MIN  32       /* bytes */
#define NGX_HTTP_AGENTS_MCP_TOKEN_OCT_MAX  1024     /* bytes, of José */


typedef struct {
    const char  *kty;
    const char  *crv;           /* NULL: it has none */
    const char  *alg;
    const char  *members[9];    /* what it is made of, the private part last */
    const char  *secret;
} ngx_http_agents_mcp_token_type_t;


struct ngx_http_agents_mcp_signer_s {
    json_t      *jwk;
    json_t      *header;        /* of each token */
};


static const ngx_http_agents_mcp_token_type_t *
    ngx_http_agents_mcp_token_type(const json_t *jwk, const char **why);
static int ngx_http_agents_mcp_token_purpose(const json_t *jwk,
    const ngx_http_agents_mcp_token_type_t *type, const char **why);
static int ngx_http_agents_mcp_token_load(
    ngx_http_agents_mcp_signer_t *signer, const json_t *jwk,
    const ngx_http_agents_mcp_token_type_t *type, const char **why);
static int ngx_http_agents_mcp_token_strong(const json_t *jwk,
    const ngx_http_agents_mcp_token_type_t *type, const char **why);
static int ngx_http_agents_mcp_token_strong_pair(const json_t *jwk,
    const char **why);
static int ngx_http_agents_mcp_token_works(
    const ngx_http_agents_mcp_signer_t *signer, const char **why);
static jose_cfg_t *ngx_http_agents_mcp_token_cfg(void);
static void ngx_http_agents_mcp_token_silent(void *misc, const char *file,
    int line, uint64_t err, const char *fmt, va_list ap);


static const ngx_http_agents_mcp_token_type_t
    ngx_http_agents_mcp_token_types[] =
{
    { "oct", NULL, "HS256", { "k" }, "k" },
    { "RSA", NULL, "RS256",
      { "n", "e", "d", "p", "q", "dp", "dq", "qi" }, "d" },
    { "EC", "P-256", "ES256", { "crv", "x", "y", "d" }, "d" }
};


ngx_http_agents_mcp_signer_t *
ngx_http_agents_mcp_token_signer(const char *text, size_t len, char *err,
    size_t size)
{
    json_t                                  *jwk;
    const char                              *why;
    ngx_http_agents_mcp_signer_t            *signer;
    ngx_http_agents_json_fault_t             fault;
    const ngx_http_agents_mcp_token_type_t  *type;

    jwk = ngx_http_agents_json_parse(text, len, &fault);

    if (jwk == NULL) {

        /* the parser's text may quote what it read, which may be a key */

        (void) snprintf(err, size, "it is no JSON (line %d, column %d)",
                        fault.line, fault.column);
        return NULL;
    }

    why = "there is no memory";
    signer = calloc(1, sizeof(ngx_http_agents_mcp_signer_t));
    type = ngx_http_agents_mcp_token_type(jwk, &why);

    if (signer == NULL
        || type == NULL
        || ngx_http_agents_mcp_token_purpose(jwk, type, &why) != 0
        || ngx_http_agents_mcp_token_load(signer, jwk, type, &why) != 0
        || ngx_http_agents_mcp_token_strong(signer->jwk, type, &why) != 0
        || ngx_http_agents_mcp_token_works(signer, &why) != 0)
    {
        (void) snprintf(err, size, "%s", why);
        ngx_http_agents_mcp_token_signer_free(signer);
        signer = NULL;
    }

    json_decref(jwk);
    ERR_clear_error();

    return signer;
}


void
ngx_http_agents_mcp_token_signer_free(ngx_http_agents_mcp_signer_t *signer)
{
    if (signer == NULL) {
        return;
    }

    json_decref(signer->jwk);
    json_decref(signer->header);
    free(signer);
}


static const ngx_http_agents_mcp_token_type_t *
ngx_http_agents_mcp_token_type(const json_t *jwk, const char **why)
{
    size_t                                   i, n;
    const char                              *kty, *crv;
    const ngx_http_agents_mcp_token_type_t  *type;

    kty = ngx_http_agents_json_string(jwk, "kty", NULL);
    crv = ngx_http_agents_json_string(jwk, "crv", NULL);

    if (kty == NULL) {
        *why = "it is no JSON Web Key: it has no \"kty\"";
        return NULL;
    }

    n = sizeof(ngx_http_agents_mcp_token_types)
        / sizeof(ngx_http_agents_mcp_token_types[0]);

    for (i = 0; i < n; i++) {
        type = &ngx_http_agents_mcp_token_types[i];

        if (strcmp(type->kty, kty) == 0
            && (type->crv == NULL
                || (crv != NULL && strcmp(type->crv, crv) == 0)))
        {
            return type;
        }
    }

    *why = "it is of another type than oct, RSA, and EC on the curve P-256";

    return NULL;
}


static int
ngx_http_agents_mcp_token_purpose(const json_t *jwk,
    const ngx_http_agents_mcp_token_type_t *type, const char **why)
{
    int            found;
    size_t         i;
    const json_t  *alg, *use, *ops, *op;

    alg = json_object_get(jwk, "alg");
    use = json_object_get(jwk, "use");
    ops = json_object_get(jwk, "key_ops");

    if (alg != NULL
        && (!json_is_string(alg)
            || strcmp(json_string_value(alg), type->alg) != 0))
    {
        *why = "its \"alg\" is another than HS256 of oct, RS256 of RSA, or "
               "ES256 of EC";
        return -1;
    }

    found = (ops == NULL);

    json_array_foreach(ops, i, op) {
        if (json_is_string(op) && strcmp(json_string_value(op), "sign") == 0) {
            found = 1;
        }
    }

    if (!found
        || (use != NULL
            && (!json_is_string(use)
                || strcmp(json_string_value(use), "sig") != 0)))
    {
        *why = "its \"use\" or \"key_ops\" do not let it sign";
        return -1;
    }

    return 0;
}


/* Takes what the key is made of, and makes the header of its tokens. */

static int
ngx_http_agents_mcp_token_load(ngx_http_agents_mcp_signer_t *signer,
    const json_t *jwk, const ngx_http_agents_mcp_token_type_t *type,
    const char **why)
{
    size_t       i;
    json_t      *value, *kid;
    const char  *member;

    signer->jwk = json_pack("{s:s}", "kty", type->kty);
    signer->header = json_pack("{s:s, s:s}", "alg", type->alg, "typ", "JWT");

    for (i = 0; type->members[i] != NULL; i++) {
        member = type->members[i];
        value = json_object_get(jwk, member);

        if (value == NULL && strcmp(member, type->secret) == 0) {
            *why = "it is a public key, which signs nothing";
            return -1;
        }

        if (!json_is_string(value)) {
            *why = "it lacks a member that keys of its \"kty\" have";
            return -1;
        }

        if (json_object_set(signer->jwk, member, value) != 0) {
            *why = "there is no memory";
            return -1;
        }
    }

    kid = json_object_get(jwk, "kid");

    if (kid == NULL) {
        return 0;
    }

    if (!json_is_string(kid)) {
        *why = "its \"kid\" is no string";
        return -1;
    }

    return json_object_set(signer->header, "kid", kid);
}


static int
ngx_http_agents_mcp_token_strong(const json_t *jwk,
    const ngx_http_agents_mcp_token_type_t *type, const char **why)
{
    size_t         n;
    unsigned char  bytes[NGX_HTTP_AGENTS_MCP_TOKEN_OCT_MAX];

    if (strcmp(type->kty, "oct") != 0) {
        return ngx_http_agents_mcp_token_strong_pair(jwk, why);
    }

    n = jose_b64_dec(json_object_get(jwk, "k"), NULL, 0);

    if (n == SIZE_MAX || n > sizeof(bytes)
        || jose_b64_dec(json_object_get(jwk, "k"), bytes, sizeof(bytes)) != n)
    {
        *why = "its \"k\" is no base64url, or longer than 1024 bytes";
        return -1;
    }

    OPENSSL_cleanse(bytes, sizeof(bytes));

    if (n < NGX_HTTP_AGENTS_MCP_TOKEN_OCT_MIN) {
        *why = "it is too short: a secret has 32 bytes at least";
        return -1;
    }

    return 0;
}


static int
ngx_http_agents_mcp_token_strong_pair(const json_t *jwk, const char **why)
{
    int          rc;
    EVP_PKEY    *pkey;
    jose_cfg_t  *cfg;

    cfg = ngx_http_agents_mcp_token_cfg();

    if (cfg == NULL) {
        *why = "there is no memory";
        return -1;
    }

    rc = -1;
    pkey = jose_openssl_jwk_to_EVP_PKEY(cfg, jwk);

    if (pkey == NULL) {
        *why = "it is no key of its \"kty\"";

    } else if (EVP_PKEY_base_id(pkey) == EVP_PKEY_RSA
               && EVP_PKEY_bits(pkey) < NGX_HTTP_AGENTS_MCP_TOKEN_RSA_MIN)
    {
        *why = "it is too short: a key of RSA has 2048 bits at least";

    } else {
        rc = 0;
    }

    EVP_PKEY_free(pkey);
    jose_cfg_decref(cfg);

    return rc;
}


/* Signs something, and sees that the public part takes it. */

static int
ngx_http_agents_mcp_token_works(const ngx_http_agents_mcp_signer_t *signer,
    const char **why)
{
    int          rc;
    char        *token, *payload, *signature;
    json_t      *jws;
    jose_cfg_t  *cfg;

    rc = -1;
    jws = NULL;
    cfg = ngx_http_agents_mcp_token_cfg();
    token = ngx_http_agents_mcp_token_sign(signer, "{}");

    if (token != NULL) {
        payload = strchr(token, '.');
        *payload++ = '\0';
        signature = strchr(payload, '.');
        *signature++ = '\0';

        jws = json_pack("{s:s, s:s, s:s}", "protected", token,
                        "payload", payload, "signature", signature);
    }

    if (cfg != NULL && jws != NULL
        && jose_jws_ver(cfg, jws, NULL, signer->jwk, true))
    {
        rc = 0;

    } else {
        *why = "it is no key of its \"kty\"";
    }

    if (cfg != NULL) {
        jose_cfg_decref(cfg);
    }

    json_decref(jws);
    free(token);

    return rc;
}


char *
ngx_http_agents_mcp_token_claims(const ngx_http_agents_mcp_claims_t *claims)
{
    char                   id[NGX_HTTP_AGENTS_UUID_LEN + 1];
    ngx_http_agents_buf_t  buf;

    if (ngx_http_agents_ident_uuid(id) != 0) {
        return NULL;
    }

    ngx_http_agents_buf_init(&buf);

    ngx_http_agents_json_begin(&buf);
    ngx_http_agents_json_member_cstring(&buf, "iss", claims->issuer);
    ngx_http_agents_json_member_cstring(&buf, "aud", claims->audience);
    ngx_http_agents_json_member_cstring(&buf, "sub", claims->user);
    ngx_http_agents_json_member_cstring(&buf, "company_id", claims->company);
    ngx_http_agents_json_member_cstring(&buf, "scope", "default");
    ngx_http_agents_json_member_integer(&buf, "iat", claims->now);
    ngx_http_agents_json_member_integer(&buf, "nbf", claims->now);
    ngx_http_agents_json_member_integer(&buf, "exp",
                                        claims->now + claims->ttl);
    ngx_http_agents_json_member_cstring(&buf, "jti", id);
    ngx_http_agents_json_end(&buf);

    return ngx_http_agents_buf_take(&buf, NULL);
}


char *
ngx_http_agents_mcp_token_sign(const ngx_http_agents_mcp_signer_t *signer,
    const char *claims)
{
    json_t                 *jws, *sig;
    jose_cfg_t             *cfg;
    ngx_http_agents_buf_t   buf;

    ngx_http_agents_buf_init(&buf);

    cfg = ngx_http_agents_mcp_token_cfg();
    sig = json_pack("{s:o}", "protected", json_deep_copy(signer->header));
    jws = json_pack("{s:o}", "payload",
                    jose_b64_enc(claims, strlen(claims)));

    if (cfg != NULL && sig != NULL && jws != NULL
        && jose_jws_sig(cfg, jws, sig, signer->jwk))
    {
        ngx_http_agents_buf_adds(&buf,
                       ngx_http_agents_json_string(jws, "protected", NULL));
        ngx_http_agents_buf_addc(&buf, '.');
        ngx_http_agents_buf_adds(&buf,
                       ngx_http_agents_json_string(jws, "payload", NULL));
        ngx_http_agents_buf_addc(&buf, '.');
        ngx_http_agents_buf_adds(&buf,
                       ngx_http_agents_json_string(jws, "signature", NULL));

    } else {
        buf.failed = 1;
    }

    if (cfg != NULL) {
        jose_cfg_decref(cfg);
    }

    json_decref(sig);
    json_decref(jws);
    ERR_clear_error();

    return ngx_http_agents_buf_take(&buf, NULL);
}


/* José says what it finds on standard error, unless it is told otherwise. */

static jose_cfg_t *
ngx_http_agents_mcp_token_cfg(void)
{
    jose_cfg_t  *cfg;

    cfg = jose_cfg();

    if (cfg != NULL) {
        jose_cfg_set_err_func(cfg, ngx_http_agents_mcp_token_silent, NULL);
    }

    return cfg;
}


static void
ngx_http_agents_mcp_token_silent(void *misc, const char *file, int line,
    uint64_t err, const char *fmt, va_list ap)
{
}
