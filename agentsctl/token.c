
/*
 * agentsctl token create|list|revoke
 */


#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_store.h"
#include "agentsctl.h"


/* So that a token is recognised where it should not be, in logs or code. */
#define AGENTSCTL_TOKEN_PREFIX  "agt_"
#define AGENTSCTL_TOKEN_BYTES   32
#define AGENTSCTL_TOKEN_SIZE    sizeof(AGENTSCTL_TOKEN_PREFIX)                \
                                + (AGENTSCTL_TOKEN_BYTES * 8 + 5) / 6


static int agentsctl_token_random(char *token);
static int agentsctl_token_permissions(const agentsctl_given_t *given,
    char *out, size_t size);
static int agentsctl_token_owner(const agentsctl_t *ctl,
    ngx_http_agents_owner_t *owner);
static void agentsctl_token_table(const ngx_http_agents_db_batch_t *batch);
static int agentsctl_token_json(const ngx_http_agents_db_batch_t *batch);
static const char *agentsctl_token_state(const ngx_http_agents_token_t *token);


static const char *const  agentsctl_token_known[] = { "read", "write" };

#define AGENTSCTL_TOKEN_SCOPE  "agent_conversations:"


int
agentsctl_token_create(agentsctl_t *ctl)
{
    int                          rc;
    char                         token[AGENTSCTL_TOKEN_SIZE];
    char                         sha256[NGX_HTTP_AGENTS_SHA256_LEN + 1];
    char                         id[NGX_HTTP_AGENTS_UUID_LEN + 1];
    char                         permissions[128];
    int64_t                      expires;
    ngx_http_agents_owner_t      owner;
    ngx_http_agents_db_batch_t  *batch;

    if (agentsctl_token_owner(ctl, &owner) != 0
        || agentsctl_token_permissions(
               agentsctl_options_given(ctl, "--permission"), permissions,
               sizeof(permissions)) != 0
        || agentsctl_options_time(agentsctl_options_value(ctl, "--expires"),
                                  &expires) != 0)
    {
        return AGENTSCTL_USAGE;
    }

    if (agentsctl_token_random(token) != 0
        || ngx_http_agents_ident_uuid(id) != 0
        || ngx_http_agents_ident_sha256(sha256, token, strlen(token)) != 0)
    {
        agentsctl_error("no random bytes for a token");
        return AGENTSCTL_FAILED;
    }

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE, NULL, NULL);
    if (batch == NULL) {
        agentsctl_error("no memory");
        return AGENTSCTL_FAILED;
    }

    ngx_http_agents_tokens_insert(batch, id, sha256, &owner, permissions,
                                  expires);

    rc = agentsctl_batch(ctl, batch, "cannot make the token");

    ngx_http_agents_db_batch_free(batch);

    if (rc != 0) {
        return AGENTSCTL_FAILED;
    }

    printf("%s\n", token);

    return AGENTSCTL_OK;
}


int
agentsctl_token_list(agentsctl_t *ctl)
{
    int                          rc;
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ, NULL, NULL);
    if (batch == NULL) {
        agentsctl_error("no memory");
        return AGENTSCTL_FAILED;
    }

    ngx_http_agents_tokens_list(batch);

    rc = AGENTSCTL_FAILED;

    if (agentsctl_batch(ctl, batch, "cannot list the tokens") == 0) {

        rc = AGENTSCTL_OK;

        if (agentsctl_options_value(ctl, "--json")) {
            rc = agentsctl_token_json(batch);

        } else {
            agentsctl_token_table(batch);
        }
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


int
agentsctl_token_revoke(agentsctl_t *ctl)
{
    int                          rc;
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE, NULL, NULL);
    if (batch == NULL) {
        agentsctl_error("no memory");
        return AGENTSCTL_FAILED;
    }

    ngx_http_agents_tokens_revoke(batch, ctl->argument);

    rc = AGENTSCTL_FAILED;

    if (agentsctl_batch(ctl, batch, "cannot revoke the token") == 0) {

        if (ngx_http_agents_db_changes(batch, 0) == 1) {
            rc = AGENTSCTL_OK;

        } else {
            agentsctl_error("there is no token with the id \"%s\": \"agentsctl "
                            "token list\" shows them", ctl->argument);
        }
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


/* Base64 with "-" and "_", without padding. */

static int
agentsctl_token_random(char *token)
{
    char           *p;
    size_t          i;
    unsigned        acc, bits;
    unsigned char   bytes[AGENTSCTL_TOKEN_BYTES];

    static const char  digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes)) {
        return -1;
    }

    memcpy(token, AGENTSCTL_TOKEN_PREFIX, sizeof(AGENTSCTL_TOKEN_PREFIX) - 1);
    p = token + sizeof(AGENTSCTL_TOKEN_PREFIX) - 1;

    acc = 0;
    bits = 0;

    for (i = 0; i < sizeof(bytes); i++) {
        acc = (acc << 8 | bytes[i]) & 0xffff;

        for (bits += 8; bits >= 6; bits -= 6) {
            *p++ = digits[(acc >> (bits - 6)) & 0x3f];
        }
    }

    if (bits) {
        *p++ = digits[(acc << (6 - bits)) & 0x3f];
    }

    *p = '\0';

    return 0;
}


static int
agentsctl_token_owner(const agentsctl_t *ctl, ngx_http_agents_owner_t *owner)
{
    owner->company = agentsctl_options_value(ctl, "--company");
    owner->user = agentsctl_options_value(ctl, "--user");

    if (!ngx_http_agents_ident_is_owner(owner->company, strlen(owner->company))
        || !ngx_http_agents_ident_is_owner(owner->user, strlen(owner->user)))
    {
        agentsctl_error("company and user must be UTF-8 without control "
                        "characters, not empty, and of %d bytes at most",
                        NGX_HTTP_AGENTS_OWNER_MAX);
        return -1;
    }

    return 0;
}


/* Full names, each once, in a fixed order, separated by blanks. */

static int
agentsctl_token_permissions(const agentsctl_given_t *given, char *out,
    size_t size)
{
    size_t       i, k, n, len;
    unsigned     have;
    const char  *name;

    n = sizeof(agentsctl_token_known) / sizeof(agentsctl_token_known[0]);
    have = 0;

    for (i = 0; i < given->n; i++) {
        name = given->values[i];
        len = sizeof(AGENTSCTL_TOKEN_SCOPE) - 1;

        if (strncmp(name, AGENTSCTL_TOKEN_SCOPE, len) == 0) {
            name += len;
        }

        for (k = 0; k < n; k++) {
            if (strcmp(name, agentsctl_token_known[k]) == 0) {
                have |= 1U << k;
                break;
            }
        }

        if (k == n) {
            agentsctl_error("\"%s\" is no permission: there are read and "
                            "write, or " AGENTSCTL_TOKEN_SCOPE "read and "
                            AGENTSCTL_TOKEN_SCOPE "write", given->values[i]);
            return -1;
        }
    }

    out[0] = '\0';

    for (len = 0, k = 0; k < n; k++) {
        if (have & (1U << k)) {
            len += (size_t) snprintf(out + len, size - len, "%s%s%s",
                                     len ? " " : "", AGENTSCTL_TOKEN_SCOPE,
                                     agentsctl_token_known[k]);
        }
    }

    return 0;
}


static const char *
agentsctl_token_state(const ngx_http_agents_token_t *token)
{
    if (token->revoked_at) {
        return "revoked";
    }

    if (token->expires_at
        && token->expires_at / 1000 <= (int64_t) time(NULL))
    {
        return "expired";
    }

    return "valid";
}


static void
agentsctl_token_table(const ngx_http_agents_db_batch_t *batch)
{
    char                     created[NGX_HTTP_AGENTS_TIME_LEN + 1];
    char                     expires[NGX_HTTP_AGENTS_TIME_LEN + 1];
    size_t                   i;
    ngx_http_agents_token_t  t;

    printf("%-36s  %-7s  %-24s  %-24s  %-16s  %-16s  %s\n", "ID", "STATE",
           "CREATED", "EXPIRES", "COMPANY", "USER", "PERMISSIONS");

    for (i = 0; i < ngx_http_agents_db_rows(batch, 0); i++) {
        ngx_http_agents_tokens_read(batch, 0, i, &t);

        ngx_http_agents_ident_time(created, t.created_at);

        if (t.expires_at) {
            ngx_http_agents_ident_time(expires, t.expires_at);
        }

        printf("%-36s  %-7s  %-24s  %-24s  %-16s  %-16s  %s\n", t.id.data,
               agentsctl_token_state(&t), created,
               t.expires_at ? expires : "never", t.company_id.data,
               t.user_id.data, t.permissions.data);
    }
}


static int
agentsctl_token_json(const ngx_http_agents_db_batch_t *batch)
{
    size_t                   i;
    ngx_http_agents_buf_t    buf;
    ngx_http_agents_token_t  t;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_addc(&buf, '[');

    for (i = 0; i < ngx_http_agents_db_rows(batch, 0); i++) {
        ngx_http_agents_tokens_read(batch, 0, i, &t);

        ngx_http_agents_buf_adds(&buf, i ? ",\n" : "\n");
        ngx_http_agents_json_begin(&buf);
        ngx_http_agents_json_member_text(&buf, "id", &t.id);
        ngx_http_agents_json_member_cstring(&buf, "state",
                                            agentsctl_token_state(&t));
        ngx_http_agents_json_member_text(&buf, "company_id", &t.company_id);
        ngx_http_agents_json_member_text(&buf, "user_id", &t.user_id);
        ngx_http_agents_json_member_text(&buf, "permissions",
                                         &t.permissions);
        ngx_http_agents_json_member_time(&buf, "created_at", t.created_at);
        ngx_http_agents_json_member_time(&buf, "expires_at", t.expires_at);
        ngx_http_agents_json_member_time(&buf, "revoked_at", t.revoked_at);
        ngx_http_agents_json_end(&buf);
    }

    ngx_http_agents_buf_adds(&buf, "\n]\n");

    return agentsctl_print(&buf);
}
