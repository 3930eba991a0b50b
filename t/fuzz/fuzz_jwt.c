
/*
 * Signed tokens and key sets: the bytes are taken as a token, as the claims of
 * one that is signed, and as a set of keys.  Who a token stands for is always
 * someone.
 */


#include "fuzz.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_jwt.h"
#include "ngx_http_agents_permissions.h"


#define NOW   1700000000000
#define BOTH  (NGX_HTTP_AGENTS_PERMISSION_READ                                \
               | NGX_HTTP_AGENTS_PERMISSION_WRITE)


static ngx_http_agents_jwks_t *
keys(const char *text, size_t len)
{
    char                     err[256];
    ngx_http_agents_jwks_t  *jwks;

    err[0] = '\0';
    jwks = ngx_http_agents_jwks_read(text, len, err, sizeof(err));

    fuzz_check(jwks != NULL || err[0] != '\0', "a refusal has a reason");

    return jwks;
}


static void
result(int rc, const char *why, ngx_http_agents_jwt_t *jwt)
{
    if (rc != 0) {
        fuzz_check(rc == -1 && why != NULL, "a refusal has a reason");
        fuzz_check(jwt->company == NULL && jwt->user == NULL, "and no one");
        return;
    }

    fuzz_check(ngx_http_agents_ident_is_owner(jwt->company,
                                              strlen(jwt->company))
               && ngx_http_agents_ident_is_owner(jwt->user, strlen(jwt->user)),
               "company and user are someone");
    fuzz_check((jwt->permissions & ~BOTH) == 0, "permissions are known ones");
    fuzz_check(jwt->expires_at > NOW - NGX_HTTP_AGENTS_JWT_LEEWAY - 1,
               "it has not expired");

    ngx_http_agents_jwt_free(jwt);
}


static void
check(const ngx_http_agents_jwks_t *jwks, const char *text, size_t len)
{
    const char                   *why;
    ngx_http_agents_jwt_t         jwt;
    ngx_http_agents_jwt_rules_t   rules = { jwks, "joe", "api", "c", "u", "p" };

    if (jwks != NULL) {
        why = NULL;
        result(ngx_http_agents_jwt_verify(&rules, text, len, NOW, &jwt, &why),
               why, &jwt);
    }

    why = NULL;
    result(ngx_http_agents_jwt_claims(&rules, text, len, NOW, &jwt, &why),
           why, &jwt);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                    *token;
    size_t                   len;
    ngx_http_agents_jwks_t  *jwks;

    static const char  one[] = "{\"keys\":[{\"kty\":\"oct\",\"k\":"
        "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}";

    jwks = keys(one, sizeof(one) - 1);
    check(jwks, (const char *) data, size);
    ngx_http_agents_jwks_free(jwks);

    /* the seeds are sets of keys with a token of theirs */

    jwks = keys((const char *) data, size);
    token = fuzz_input(data, size, "token", &len);
    check(jwks, token, len);

    free(token);
    ngx_http_agents_jwks_free(jwks);

    return 0;
}
