
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jose/b64.h>
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_jwt.h"
#include "ngx_http_agents_permissions.h"


/* A point in time beyond all clocks, in seconds: the year 33658. */
#define NGX_HTTP_AGENTS_JWT_FOREVER  1e12


static int ngx_http_agents_jwt_split(char *token, size_t len,
    ngx_http_agents_jws_t *jws);
static int ngx_http_agents_jwt_is_base64(const char *text);
static int ngx_http_agents_jwt_signed(const ngx_http_agents_jwt_rules_t *rules,
    const ngx_http_agents_jws_t *jws, const char **why);
static char *ngx_http_agents_jwt_decode(const char *part, size_t *len);
static int ngx_http_agents_jwt_is_for(const json_t *audience,
    const char *wanted);
static int ngx_http_agents_jwt_times(const json_t *claims, int64_t now,
    ngx_http_agents_jwt_t *jwt, const char **why);
static int ngx_http_agents_jwt_owner(const json_t *claims,
    const ngx_http_agents_jwt_rules_t *rules, ngx_http_agents_jwt_t *jwt,
    const char **why);
static char *ngx_http_agents_jwt_name(const json_t *value, const char **why);
static unsigned ngx_http_agents_jwt_permissions(const json_t *value);


int
ngx_http_agents_jwt_verify(const ngx_http_agents_jwt_rules_t *rules,
    const char *token, size_t len, int64_t now, ngx_http_agents_jwt_t *jwt,
    const char **why)
{
    int                     rc;
    char                   *copy, *claims;
    size_t                  n;
    ngx_http_agents_jws_t   jws;

    memset(jwt, 0, sizeof(ngx_http_agents_jwt_t));

    if (len > NGX_HTTP_AGENTS_JWT_MAX) {
        *why = "The token is too long.";
        return -1;
    }

    *why = NULL;
    rc = -1;
    claims = NULL;

    copy = malloc(len + 1);
    if (copy == NULL) {
        return -1;
    }

    memcpy(copy, token, len);
    copy[len] = '\0';

    if (ngx_http_agents_jwt_split(copy, len, &jws) != 0) {
        *why = "The token is no signed JWT in compact form.";
        goto done;
    }

    if (ngx_http_agents_jwt_signed(rules, &jws, why) != 0) {
        goto done;
    }

    claims = ngx_http_agents_jwt_decode(jws.payload, &n);

    if (claims != NULL) {
        rc = ngx_http_agents_jwt_claims(rules, claims, n, now, jwt, why);
    }

done:

    free(copy);
    free(claims);

    return rc;
}


/* Puts a NUL in the place of each of the two dots. */

static int
ngx_http_agents_jwt_split(char *token, size_t len, ngx_http_agents_jws_t *jws)
{
    char  *payload, *signature;

    if (strlen(token) != len) {
        return -1;
    }

    payload = strchr(token, '.');
    if (payload == NULL) {
        return -1;
    }

    signature = strchr(payload + 1, '.');
    if (signature == NULL) {
        return -1;
    }

    *payload++ = '\0';
    *signature++ = '\0';

    jws->header = token;
    jws->payload = payload;
    jws->signature = signature;

    return (ngx_http_agents_jwt_is_base64(token)
            && ngx_http_agents_jwt_is_base64(payload)
            && ngx_http_agents_jwt_is_base64(signature))
           ? 0 : -1;
}


/*
 * Base64url without padding, not empty.  The bits of the last digit that count
 * for nothing have to be zero, so that no two texts are one token.
 */

static int
ngx_http_agents_jwt_is_base64(const char *text)
{
    size_t  len, last;

    static const char  digits[] = JOSE_B64_MAP;

    len = strlen(text);

    if (len == 0 || len % 4 == 1 || strspn(text, digits) != len) {
        return 0;
    }

    last = strchr(digits, text[len - 1]) - digits;

    return (len % 4 == 0)
           || (len % 4 == 2 && last % 16 == 0)
           || (len % 4 == 3 && last % 4 == 0);
}


/* Holds the header to what is understood, and the signature to a key. */

static int
ngx_http_agents_jwt_signed(const ngx_http_agents_jwt_rules_t *rules,
    const ngx_http_agents_jws_t *jws, const char **why)
{
    int                            rc;
    char                          *text;
    size_t                         len;
    json_t                        *header, *kid;
    const char                    *alg;
    ngx_http_agents_json_fault_t   fault;

    text = ngx_http_agents_jwt_decode(jws->header, &len);
    if (text == NULL) {
        return -1;
    }

    header = ngx_http_agents_json_parse(text, len, &fault);
    free(text);

    alg = ngx_http_agents_json_string(header, "alg", NULL);
    kid = json_object_get(header, "kid");

    rc = -1;

    if (alg == NULL || (kid != NULL && !json_is_string(kid))) {
        *why = "The token's header is malformed.";

    } else if (json_object_get(header, "crit") != NULL) {
        *why = "The token's header has \"crit\", which is not understood.";

    } else {
        rc = ngx_http_agents_jwks_verify(rules->jwks, alg,
                                         json_string_value(kid), jws, why);
    }

    json_decref(header);

    return rc;
}


/* A malloc'd text with a NUL behind it, of a part that is base64url. */

static char *
ngx_http_agents_jwt_decode(const char *part, size_t *len)
{
    char    *text;
    size_t   n;

    n = strlen(part);

    text = malloc(n + 1);
    if (text == NULL) {
        return NULL;
    }

    *len = jose_b64_dec_buf(part, n, text, n);

    if (*len > n) {
        free(text);
        return NULL;
    }

    text[*len] = '\0';

    return text;
}


int
ngx_http_agents_jwt_claims(const ngx_http_agents_jwt_rules_t *rules,
    const char *text, size_t len, int64_t now, ngx_http_agents_jwt_t *jwt,
    const char **why)
{
    int                            rc;
    json_t                        *claims;
    const char                    *issuer;
    ngx_http_agents_json_fault_t   fault;

    memset(jwt, 0, sizeof(ngx_http_agents_jwt_t));

    rc = -1;
    claims = ngx_http_agents_json_parse(text, len, &fault);
    issuer = ngx_http_agents_json_string(claims, "iss", NULL);

    if (!json_is_object(claims)) {
        *why = "The token's claims are malformed.";

    } else if (issuer == NULL || strcmp(issuer, rules->issuer) != 0) {
        *why = "The token is of another issuer.";

    } else if (!ngx_http_agents_jwt_is_for(json_object_get(claims, "aud"),
                                           rules->audience))
    {
        *why = "The token is for another audience.";

    } else if (ngx_http_agents_jwt_times(claims, now, jwt, why) == 0) {
        rc = ngx_http_agents_jwt_owner(claims, rules, jwt, why);
    }

    if (rc == 0) {
        jwt->permissions = ngx_http_agents_jwt_permissions(
                               json_object_get(claims, rules->permissions));

    } else {
        ngx_http_agents_jwt_free(jwt);
    }

    json_decref(claims);

    return rc;
}


/* A string, or an array that has it. */

static int
ngx_http_agents_jwt_is_for(const json_t *audience, const char *wanted)
{
    size_t         i;
    const json_t  *value;

    if (json_is_string(audience)) {
        return strcmp(json_string_value(audience), wanted) == 0;
    }

    json_array_foreach(audience, i, value) {
        if (json_is_string(value)
            && strcmp(json_string_value(value), wanted) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Times are seconds since 1970, and may have a fraction. */

static int
ngx_http_agents_jwt_times(const json_t *claims, int64_t now,
    ngx_http_agents_jwt_t *jwt, const char **why)
{
    double         expires, begins;
    const json_t  *exp, *nbf;

    exp = json_object_get(claims, "exp");
    nbf = json_object_get(claims, "nbf");

    if (!json_is_number(exp) || (nbf != NULL && !json_is_number(nbf))) {
        *why = "The token needs a claim \"exp\", a number; \"nbf\" has to be "
               "one, too.";
        return -1;
    }

    expires = json_number_value(exp);
    begins = json_number_value(nbf);

    if (expires * 1000 + NGX_HTTP_AGENTS_JWT_LEEWAY <= (double) now) {
        *why = "The token has expired.";
        return -1;
    }

    if (begins * 1000 - NGX_HTTP_AGENTS_JWT_LEEWAY > (double) now) {
        *why = "The token is not valid yet.";
        return -1;
    }

    if (expires > NGX_HTTP_AGENTS_JWT_FOREVER) {
        expires = NGX_HTTP_AGENTS_JWT_FOREVER;
    }

    jwt->expires_at = (int64_t) (expires * 1000);

    return 0;
}


static int
ngx_http_agents_jwt_owner(const json_t *claims,
    const ngx_http_agents_jwt_rules_t *rules, ngx_http_agents_jwt_t *jwt,
    const char **why)
{
    jwt->company = ngx_http_agents_jwt_name(
                       json_object_get(claims, rules->company), why);

    if (jwt->company != NULL) {
        jwt->user = ngx_http_agents_jwt_name(
                        json_object_get(claims, rules->user), why);
    }

    return (jwt->user != NULL) ? 0 : -1;
}


/* A string, or an integer as its decimal text: many issuers count users. */

static char *
ngx_http_agents_jwt_name(const json_t *value, const char **why)
{
    char         number[32];
    const char  *name;

    if (json_is_integer(value)) {
        (void) snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
                        json_integer_value(value));
        name = number;

    } else {
        name = json_string_value(value);
    }

    if (name == NULL || !ngx_http_agents_ident_is_owner(name, strlen(name))) {
        *why = "The token does not name a company and a user.";
        return NULL;
    }

    *why = NULL;

    return strdup(name);
}


/* An array of names, or a text with blanks between them (RFC 8693, 4.2). */

static unsigned
ngx_http_agents_jwt_permissions(const json_t *value)
{
    size_t         i;
    unsigned       permissions;
    const json_t  *name;

    if (json_is_string(value)) {
        return ngx_http_agents_permissions_read(json_string_value(value),
                                                json_string_length(value),
                                                " ");
    }

    permissions = 0;

    json_array_foreach(value, i, name) {
        if (json_is_string(name)) {
            permissions |= ngx_http_agents_permissions_name(
                               json_string_value(name),
                               json_string_length(name));
        }
    }

    return permissions;
}


void
ngx_http_agents_jwt_free(ngx_http_agents_jwt_t *jwt)
{
    free(jwt->company);
    free(jwt->user);

    memset(jwt, 0, sizeof(ngx_http_agents_jwt_t));
}
