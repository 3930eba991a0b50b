
/*
 * Key sets, signatures and claims.  jws/ has the examples of RFC 7515 and RFC
 * 7520, each with its keys.
 */


#include <stdlib.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_jwt.h"
#include "ngx_http_agents_permissions.h"
#include "unit.h"
#include "unit_data.h"


#define READ   NGX_HTTP_AGENTS_PERMISSION_READ
#define WRITE  NGX_HTTP_AGENTS_PERMISSION_WRITE
#define BOTH   (READ | WRITE)

#define NOW    1700000000000
#define HEAD   "{\"iss\":\"joe\",\"aud\":\"api\",\"exp\":1700000100,"
#define ANN    "\"c\":\"acme\",\"u\":\"ann\""


static ngx_http_agents_jwt_rules_t
rules_of(const ngx_http_agents_jwks_t *jwks)
{
    ngx_http_agents_jwt_rules_t  rules = {
        jwks, "joe", "api", "c", "u", "p"
    };

    return rules;
}


static json_t *
load(const char *path)
{
    char                          *data;
    size_t                         len;
    json_t                        *root;
    ngx_http_agents_json_fault_t   fault;

    data = unit_read(path, &len);
    root = ngx_http_agents_json_parse(data, len, &fault);
    free(data);

    if (root == NULL) {
        printf("Bail out! %s:%d: %s\n", path, fault.line, fault.text);
        exit(1);
    }

    return root;
}


/* "why" may be alternatives with "|" between them. */

static int
says(const char *err, const char *why)
{
    char         part[256];
    size_t       len;
    const char  *p;

    for (p = why; *p != '\0'; p += len + (p[len] == '|')) {
        len = strcspn(p, "|");
        (void) snprintf(part, sizeof(part), "%.*s", (int) len, p);

        if (strstr(err, part) != NULL) {
            return 1;
        }
    }

    return 0;
}


static void
test_set(const json_t *set)
{
    char                    *text, err[256];
    size_t                   len;
    json_t                  *value;
    const char              *name, *why;
    ngx_http_agents_jwks_t  *jwks;

    name = ngx_http_agents_json_string(set, "name", NULL);
    why = ngx_http_agents_json_string(set, "why", NULL);
    value = json_object_get(set, "jwks");

    if (json_is_string(value)) {
        text = strdup(json_string_value(value));
        len = json_string_length(value);

    } else {
        text = ngx_http_agents_json_text(value, &len);
    }

    err[0] = '\0';
    jwks = ngx_http_agents_jwks_read(text, len, err, sizeof(err));

    if (why == NULL) {
        unit(jwks != NULL, "taken: %s", name);

    } else {
        unit(jwks == NULL && says(err, why), "refused: %s", name);
    }

    printf("# %s\n", err);

    ngx_http_agents_jwks_free(jwks);
    free(text);
}


static void
test_sets(const char *name)
{
    char     path[4096];
    size_t   i;
    json_t  *list;

    (void) snprintf(path, sizeof(path), "%s/jwks/%s", UNIT_DATA, name);

    list = load(path);

    for (i = 0; i < json_array_size(list); i++) {
        test_set(json_array_get(list, i));
    }

    json_decref(list);
}


/* Its claims are none of ours, which is found when the signature is right. */

static void
test_signature(const char *path, const char *name)
{
    char                         *text, *token, err[256];
    size_t                        len, i, dots;
    json_t                       *root;
    const char                   *why;
    ngx_http_agents_jwt_t         jwt;
    ngx_http_agents_jwks_t       *jwks;
    ngx_http_agents_jwt_rules_t   rules;

    root = load(path);
    text = unit_read(path, &len);
    token = strdup(ngx_http_agents_json_string(root, "token", NULL));

    jwks = ngx_http_agents_jwks_read(text, len, err, sizeof(err));
    rules = rules_of(jwks);
    free(text);

    if (!unit(jwks != NULL, "%s: its key is taken", name)) {
        printf("# %s\n", err);
        json_decref(root);
        free(token);
        return;
    }

    len = strlen(token);

    unit(ngx_http_agents_jwt_verify(&rules, token, len, NOW, &jwt, &why) == -1
         && why != NULL && (strstr(why, "claims are malformed") != NULL
                            || strstr(why, "another audience") != NULL),
         "%s: its signature is right", name);
    printf("# %s\n", why);

    dots = 0;

    for (i = 0; i < len; i++) {
        dots += (token[i] == '.');

        if (dots == 0 || token[i] == '.') {
            continue;
        }

        /* another digit: not the last one of a part, which has spare bits */

        if (i % 16 == 0 && i + 1 < len && token[i + 1] != '.') {
            token[i] = (token[i] == 'A') ? 'B' : 'A';

            if (ngx_http_agents_jwt_verify(&rules, token, len, NOW, &jwt, &why)
                != -1 || why == NULL
                || strcmp(why, "The token's signature is wrong.") != 0)
            {
                unit(0, "%s: wrong with another digit at %zu", name, i);
            }

            token[i] = ngx_http_agents_json_string(root, "token", NULL)[i];
        }
    }

    unit(dots == 2, "%s: wrong with any other digit", name);

    ngx_http_agents_jwks_free(jwks);
    json_decref(root);
    free(token);
}


typedef struct {
    const char  *text;
    const char  *why;           /* NULL: taken */
    const char  *company;
    const char  *user;
    unsigned     permissions;
    int64_t      expires_at;
} claims_t;


static const claims_t  cases[] = {

    /* the edges of the 30 seconds */
    { "{\"iss\":\"joe\",\"aud\":\"api\",\"exp\":1699999970.001," ANN "}", NULL,
      "acme", "ann", 0, 1699999970001 },
    { "{\"iss\":\"joe\",\"aud\":\"api\",\"exp\":1699999970," ANN "}",
      "has expired", NULL, NULL, 0, 0 },
    { HEAD "\"nbf\":1700000030," ANN "}", NULL,
      "acme", "ann", 0, 1700000100000 },
    { HEAD "\"nbf\":1700000030.001," ANN "}", "not valid yet",
      NULL, NULL, 0, 0 },

    /* numbers as large as JSON has them */
    { "{\"iss\":\"joe\",\"aud\":\"api\",\"exp\":9223372036854775807," ANN "}",
      NULL, "acme", "ann", 0, 1000000000000000 },
    { "{\"iss\":\"joe\",\"aud\":\"api\",\"exp\":1.7e308," ANN "}",
      NULL, "acme", "ann", 0, 1000000000000000 },
    { "{\"iss\":\"joe\",\"aud\":\"api\",\"exp\":-1.7e308," ANN "}",
      "has expired", NULL, NULL, 0, 0 },
    { HEAD "\"nbf\":1.7e308," ANN "}", "not valid yet", NULL, NULL, 0, 0 },
    { HEAD "\"nbf\":-1.7e308," ANN "}", NULL,
      "acme", "ann", 0, 1700000100000 },
    { HEAD "\"n\":9223372036854775808," ANN "}", "malformed",
      NULL, NULL, 0, 0 },

    /* ids */
    { HEAD "\"c\":9223372036854775807,\"u\":-9223372036854775808}", NULL,
      "9223372036854775807", "-9223372036854775808", 0, 1700000100000 },
    { HEAD "\"c\":0,\"u\":\"\\u00fc\"}", NULL, "0", "\xc3\xbc", 0,
      1700000100000 },
    { HEAD "\"c\":1.0,\"u\":\"ann\"}", "does not name", NULL, NULL, 0, 0 },
    { HEAD "\"c\":\"acme\",\"u\":\"\"}", "does not name", NULL, NULL, 0, 0 },
    { HEAD "\"c\":\"acme\"}", "does not name", NULL, NULL, 0, 0 },
    { HEAD "\"c\":\"acme\",\"u\":\"a\\u0000b\"}", "malformed",
      NULL, NULL, 0, 0 },
    { HEAD "\"c\":\"acme\",\"u\":\"\xff\"}", "malformed", NULL, NULL, 0, 0 },

    /* permissions */
    { HEAD ANN ",\"p\":\"  write   read \"}", NULL,
      "acme", "ann", BOTH, 1700000100000 },
    { HEAD ANN ",\"p\":\"agent_conversations:write x\"}", NULL,
      "acme", "ann", WRITE, 1700000100000 },
    { HEAD ANN ",\"p\":[\"agent_conversations:read\",1,null]}", NULL,
      "acme", "ann", READ, 1700000100000 },
    { HEAD ANN ",\"p\":\"read,write\"}", NULL,
      "acme", "ann", 0, 1700000100000 },
    { HEAD ANN ",\"p\":[\"read write\"]}", NULL,
      "acme", "ann", 0, 1700000100000 },
    { HEAD ANN ",\"p\":{\"read\":true}}", NULL,
      "acme", "ann", 0, 1700000100000 }
};


static void
test_claims(const claims_t *c)
{
    int                           rc;
    const char                   *why;
    ngx_http_agents_jwt_t         jwt;
    ngx_http_agents_jwt_rules_t   rules;

    rules = rules_of(NULL);
    why = NULL;

    rc = ngx_http_agents_jwt_claims(&rules, c->text, strlen(c->text), NOW, &jwt,
                                    &why);

    if (c->why != NULL) {
        unit(rc == -1 && why != NULL && strstr(why, c->why) != NULL
             && jwt.company == NULL && jwt.user == NULL,
             "refused: %s", c->text);
        return;
    }

    if (!unit(rc == 0, "taken: %s", c->text)) {
        printf("# %s\n", why);
        return;
    }

    unit_text(jwt.company, c->company, "company");
    unit_text(jwt.user, c->user, "user");
    unit(jwt.permissions == c->permissions && jwt.expires_at == c->expires_at,
         "permissions and expiry");

    ngx_http_agents_jwt_free(&jwt);
}


static void
test_permissions(void)
{
    static const char  list[] = "write\tread,x";

    unit(ngx_http_agents_permissions_read(list, 5, " ") == WRITE
         && ngx_http_agents_permissions_read(list, 10, " \t,") == BOTH
         && ngx_http_agents_permissions_read(list, 9, " \t,") == WRITE
         && ngx_http_agents_permissions_read(list, 10, " ") == 0
         && ngx_http_agents_permissions_read("", 0, " ") == 0
         && ngx_http_agents_permissions_read("read\0write", 10, " ") == 0,
         "lists of permissions");
}


int
main(void)
{
    size_t  i;

    ngx_http_agents_json_init();

    test_sets("valid.json");
    test_sets("invalid.json");

    unit(unit_each("jws", ".json", test_signature) == 8, "examples");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_claims(&cases[i]);
    }

    test_permissions();

    return unit_done();
}
