
/*
 * The token of a key pair, of a key that is made here: verified by OpenSSL,
 * its claims, its life.
 */


#include <jose/jose.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_keypair.h"
#include "unit.h"


static const time_t  now = 1795392000;

static EVP_PKEY  *pkey;


/* As PEM, encrypted by a password where there is one; malloc'd. */

static char *
pem_of(EVP_PKEY *key, const char *password)
{
    BIO   *bio;
    char  *text, *data;
    long   len;

    bio = BIO_new(BIO_s_mem());

    if (PEM_write_bio_PKCS8PrivateKey(bio, key,
                                      password ? EVP_aes_128_cbc() : NULL,
                                      NULL, 0, NULL, (void *) password)
        != 1)
    {
        printf("Bail out! no PEM\n");
        exit(1);
    }

    len = BIO_get_mem_data(bio, &data);
    text = calloc(1, (size_t) len + 1);
    memcpy(text, data, (size_t) len);
    BIO_free(bio);

    return text;
}


static void
refuse(const char *pem, const char *why, const char *what)
{
    const char                 *said;
    ngx_http_agents_keypair_t  *keypair;

    said = "";
    keypair = ngx_http_agents_keypair_create(pem, strlen(pem), "a", "u",
                                             &said);

    unit(keypair == NULL && strstr(said, why) != NULL, "refused: %s", what);
}


/* The part of a token from "text" to the dot, decoded; malloc'd. */

static unsigned char *
decoded(const char *text, size_t *len)
{
    size_t          n;
    unsigned char  *data;

    n = strcspn(text, ".");
    *len = jose_b64_dec_buf(NULL, n, NULL, 0);
    data = calloc(1, *len + 1);

    unit(jose_b64_dec_buf(text, n, data, *len) == *len, "it is base64url");

    return data;
}


static json_t *
claims_of(const char *token)
{
    int             rc;
    size_t          len, size;
    json_t         *claims;
    const char     *payload, *last;
    EVP_MD_CTX     *ctx;
    unsigned char  *signature, *text;

    text = decoded(token, &len);
    unit_text((char *) text, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", "header");
    free(text);

    payload = strchr(token, '.') + 1;
    last = strchr(payload, '.');

    signature = decoded(last + 1, &size);
    ctx = EVP_MD_CTX_new();

    rc = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey);
    unit(rc == 1
         && EVP_DigestVerify(ctx, signature, size,
                             (const unsigned char *) token,
                             (size_t) (last - token))
            == 1, "the signature holds");

    EVP_MD_CTX_free(ctx);
    free(signature);

    text = decoded(payload, &len);
    claims = ngx_http_agents_json_load((char *) text, len);
    free(text);

    return claims;
}


static void
expected_issuer(char *out, size_t size)
{
    unsigned char  *der, digest[32], text[64];
    unsigned int    n;
    int             len;

    der = NULL;
    len = i2d_PUBKEY(pkey, &der);
    EVP_Digest(der, (size_t) len, digest, &n, EVP_sha256(), NULL);
    OPENSSL_free(der);

    EVP_EncodeBlock(text, digest, 32);
    snprintf(out, size, "MYORG-MY_ACCOUNT.ANN@EXAMPLE.COM.SHA256:%s", text);
}


static void
test_token(const char *pem)
{
    char                        issuer[256], *first;
    json_t                     *claims;
    const char                 *why, *token;
    ngx_http_agents_keypair_t  *keypair;

    keypair = ngx_http_agents_keypair_create(pem, strlen(pem),
                                             "myorg-my_account.eu-west-1",
                                             "ann@example.com", &why);
    unit(keypair != NULL, "a key pair");

    token = ngx_http_agents_keypair_token(keypair, now);
    claims = claims_of(token);
    expected_issuer(issuer, sizeof(issuer));

    unit_text(ngx_http_agents_json_string(claims, "iss", NULL), issuer, "iss");
    unit_text(ngx_http_agents_json_string(claims, "sub", NULL),
              "MYORG-MY_ACCOUNT.ANN@EXAMPLE.COM", "sub");
    unit(ngx_http_agents_json_integer(claims, "iat", 0) == now, "iat");
    unit(ngx_http_agents_json_integer(claims, "exp", 0) == now + 3540, "exp");
    unit(json_object_size(claims) == 4, "and no more");
    json_decref(claims);

    first = strdup(token);

    token = ngx_http_agents_keypair_token(keypair, now + 3239);
    unit_text(token, first, "it is kept");

    ngx_http_agents_keypair_refused(keypair, "other", 5);
    token = ngx_http_agents_keypair_token(keypair, now + 1);
    unit_text(token, first, "also when another was refused");

    token = ngx_http_agents_keypair_token(keypair, now + 3240);
    unit(strcmp(token, first) != 0, "five minutes before its end a new one");

    token = ngx_http_agents_keypair_token(keypair, now + 1);
    unit(strcmp(token, first) != 0, "and when the clock was set back");

    free(first);
    first = strdup(token);

    ngx_http_agents_keypair_refused(keypair, first, strlen(first));
    token = ngx_http_agents_keypair_token(keypair, now + 2);
    unit(strcmp(token, first) != 0, "after a refusal, too");

    free(first);
    ngx_http_agents_keypair_free(keypair);
}


int
main(void)
{
    char      *pem, *other;
    EVP_PKEY  *key;

    pkey = EVP_RSA_gen(2048);
    pem = pem_of(pkey, NULL);

    test_token(pem);

    refuse("", "no private key", "nothing");
    refuse("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
           "no private key", "rubbish");

    pem[strlen(pem) / 2] ^= 1;
    pem[200] = '!';
    refuse(pem, "no private key", "a broken key");

    other = pem_of(pkey, "password");
    refuse(other, "not encrypted", "an encrypted key");
    free(other);

    key = EVP_RSA_gen(1024);
    other = pem_of(key, NULL);
    refuse(other, "2048", "a short key");
    free(other);
    EVP_PKEY_free(key);

    key = EVP_EC_gen("P-256");
    other = pem_of(key, NULL);
    refuse(other, "no RSA key", "a key of a curve");
    free(other);
    EVP_PKEY_free(key);

    free(pem);
    EVP_PKEY_free(pkey);

    return unit_done();
}
