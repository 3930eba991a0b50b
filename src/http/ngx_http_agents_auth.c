
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_auth.h"
#include "ngx_http_agents_auth_jwt.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_wait.h"


#define NGX_HTTP_AGENTS_AUTH_CACHE_SIZE  1024       /* a power of two */
#define NGX_HTTP_AGENTS_AUTH_CACHE_TIME  10000      /* milliseconds */


typedef ngx_int_t (*ngx_http_agents_auth_pt)(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, ngx_http_agents_loc_conf_t *alcf);


typedef struct {
    char             sha256[NGX_HTTP_AGENTS_SHA256_LEN + 1];
    const void      *verifier;      /* what it is good for: the rules of the
                                       location; NULL: the store */
    ngx_msec_t       until;
    ngx_uint_t       permissions;
    char            *company;       /* malloc'd, "user" lies behind it; NULL:
                                       the entry is free */
    char            *user;
} ngx_http_agents_auth_entry_t;


/* Direct mapped: a token has one place, and takes it from who was there. */

struct ngx_http_agents_token_cache_s {
    ngx_http_agents_auth_entry_t  entries[NGX_HTTP_AGENTS_AUTH_CACHE_SIZE];
};


static ngx_int_t ngx_http_agents_auth_values(ngx_conf_t *cf,
    ngx_http_agents_loc_conf_t *alcf);
static void ngx_http_agents_auth_cache_cleanup(void *data);
static ngx_int_t ngx_http_agents_auth_refuse(ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_auth_token(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, ngx_http_agents_loc_conf_t *alcf);
static ngx_int_t ngx_http_agents_auth_bearer(ngx_http_request_t *r,
    ngx_str_t *token);
static ngx_int_t ngx_http_agents_auth_find(ngx_http_request_t *r,
    const char *sha256);
static ngx_int_t ngx_http_agents_auth_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_auth_row(ngx_http_request_t *r,
    const char *sha256, ngx_http_agents_db_batch_t *batch);
static ngx_http_agents_auth_entry_t *ngx_http_agents_auth_entry(
    ngx_http_request_t *r, const char *sha256);
static void ngx_http_agents_auth_remember(ngx_http_request_t *r,
    const char *sha256, const ngx_http_agents_auth_identity_t *identity);
static ngx_int_t ngx_http_agents_auth_variables(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, ngx_http_agents_loc_conf_t *alcf);
static ngx_int_t ngx_http_agents_auth_owner(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, const void *company, size_t company_len,
    const void *user, size_t user_len);


static const ngx_http_agents_auth_pt  ngx_http_agents_auth_modes[] = {
    NULL,                                  /* NGX_HTTP_AGENTS_AUTH_NONE */
    ngx_http_agents_auth_token,            /* NGX_HTTP_AGENTS_AUTH_TOKEN */
    ngx_http_agents_auth_token,            /* NGX_HTTP_AGENTS_AUTH_JWT */
    ngx_http_agents_auth_variables         /* NGX_HTTP_AGENTS_AUTH_VARIABLES */
};


char *
ngx_http_agents_auth_directive(ngx_conf_t *cf,
    ngx_http_agents_loc_conf_t *alcf)
{
    ngx_str_t  *value;

    if (alcf->auth != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "token") == 0 && cf->args->nelts == 2) {
        alcf->auth = NGX_HTTP_AGENTS_AUTH_TOKEN;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "jwt") == 0) {
        alcf->auth = NGX_HTTP_AGENTS_AUTH_JWT;
        alcf->auth_jwt = ngx_http_agents_auth_jwt_directive(cf);

        return (alcf->auth_jwt != NULL) ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value[1].data, "variables") == 0 && cf->args->nelts == 5) {
        alcf->auth = NGX_HTTP_AGENTS_AUTH_VARIABLES;

        return (ngx_http_agents_auth_values(cf, alcf) == NGX_OK)
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameters of \"agents_auth\": it is "
                       "\"agents_auth token\", \"agents_auth jwt "
                       "jwks=file:PATH issuer=... audience=... company=CLAIM "
                       "user=CLAIM permissions=CLAIM\" or \"agents_auth "
                       "variables $company $user $permissions\"");

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_agents_auth_values(ngx_conf_t *cf, ngx_http_agents_loc_conf_t *alcf)
{
    ngx_str_t                          *value;
    ngx_uint_t                          i;
    ngx_http_complex_value_t          **values[3];
    ngx_http_compile_complex_value_t    ccv;

    value = cf->args->elts;

    values[0] = &alcf->auth_company;
    values[1] = &alcf->auth_user;
    values[2] = &alcf->auth_permissions;

    for (i = 0; i < 3; i++) {
        *values[i] = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
        if (*values[i] == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

        ccv.cf = cf;
        ccv.value = &value[i + 2];
        ccv.complex_value = *values[i];

        if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_http_agents_token_cache_t *
ngx_http_agents_auth_cache_create(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_agents_token_cache_t  *cache;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_agents_token_cache_t));
    if (cln == NULL) {
        return NULL;
    }

    cache = cln->data;

    ngx_memzero(cache, sizeof(ngx_http_agents_token_cache_t));

    cln->handler = ngx_http_agents_auth_cache_cleanup;

    return cache;
}


static void
ngx_http_agents_auth_cache_cleanup(void *data)
{
    ngx_http_agents_token_cache_t *cache = data;

    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_AGENTS_AUTH_CACHE_SIZE; i++) {
        if (cache->entries[i].company != NULL) {
            ngx_free(cache->entries[i].company);
        }
    }
}


ngx_int_t
ngx_http_agents_auth_authenticate(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    if (alcf->auth == NGX_HTTP_AGENTS_AUTH_NONE) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"agents_api\" without \"agents_auth\"");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_agents_auth_modes[alcf->auth](r, ctx, alcf);
}


ngx_int_t
ngx_http_agents_auth_forbid(ngx_http_request_t *r, ngx_uint_t permission)
{
    ngx_http_agents_reply_refusal_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.slug = "insufficient-scope";
    refusal.authenticate = "Bearer error=\"insufficient_scope\"";
    refusal.detail = (permission & NGX_HTTP_AGENTS_PERMISSION_WRITE)
                     ? "This needs the permission agent_conversations:write."
                     : "This needs the permission agent_conversations:read.";

    return ngx_http_agents_reply_refuse(r, &refusal);
}


/* A bearer token: one that is known already, or for the store or the keys. */

static ngx_int_t
ngx_http_agents_auth_token(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx,
    ngx_http_agents_loc_conf_t *alcf)
{
    char                           sha256[NGX_HTTP_AGENTS_SHA256_LEN + 1];
    ngx_str_t                      token;
    ngx_http_agents_auth_entry_t  *entry;

    if (ngx_http_agents_auth_bearer(r, &token) != NGX_OK) {
        return ngx_http_agents_auth_refuse(r);
    }

    if (token.len == 0) {
        return ngx_http_agents_auth_invalid(r, NULL);
    }

    if (ngx_http_agents_ident_sha256(sha256, token.data, token.len) != 0) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    entry = ngx_http_agents_auth_entry(r, sha256);

    if (entry->company == NULL
        || (ngx_msec_int_t) (entry->until - ngx_current_msec) <= 0
        || entry->verifier != alcf->auth_jwt
        || ngx_memcmp(entry->sha256, sha256, NGX_HTTP_AGENTS_SHA256_LEN) != 0)
    {
        return (alcf->auth_jwt != NULL)
               ? ngx_http_agents_auth_jwt_verify(r, &token, sha256)
               : ngx_http_agents_auth_find(r, sha256);
    }

    ctx->permissions = entry->permissions;
    ctx->state = NGX_HTTP_AGENTS_ACCESS_PERMIT;

    return ngx_http_agents_auth_owner(r, ctx,
                                      entry->company, strlen(entry->company),
                                      entry->user, strlen(entry->user));
}


/* NGX_OK with the token, NGX_DECLINED if there is no bearer token. */

static ngx_int_t
ngx_http_agents_auth_bearer(ngx_http_request_t *r, ngx_str_t *token)
{
    ngx_str_t  value;

    if (r->headers_in.authorization == NULL) {
        return NGX_DECLINED;
    }

    value = r->headers_in.authorization->value;

    if (value.len < sizeof("Bearer") - 1
        || ngx_strncasecmp(value.data, (u_char *) "Bearer",
                           sizeof("Bearer") - 1)
           != 0)
    {
        return NGX_DECLINED;
    }

    value.data += sizeof("Bearer") - 1;
    value.len -= sizeof("Bearer") - 1;

    if (value.len != 0 && *value.data != ' ') {
        return NGX_DECLINED;
    }

    while (value.len != 0 && *value.data == ' ') {
        value.data++;
        value.len--;
    }

    *token = value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_auth_find(ngx_http_request_t *r, const char *sha256)
{
    char                        *copy;
    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_db_batch_t  *batch;

    copy = ngx_pnalloc(r->pool, NGX_HTTP_AGENTS_SHA256_LEN + 1);
    if (copy == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_memcpy(copy, sha256, NGX_HTTP_AGENTS_SHA256_LEN + 1);

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_POINT,
                                       ngx_http_agents_auth_found, NULL, copy);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->state = NGX_HTTP_AGENTS_ACCESS_WAITING;

    ngx_http_agents_tokens_find(batch, sha256);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_auth_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_int_t                    rc;
    ngx_http_agents_db_status_e  status;

    status = ngx_http_agents_db_status(batch);

    if (status != NGX_HTTP_AGENTS_DB_OK) {
        rc = ngx_http_agents_reply_store(r, status);

    } else if (ngx_http_agents_db_rows(batch, 0) == 0) {
        rc = ngx_http_agents_auth_invalid(r, NULL);

    } else {
        rc = ngx_http_agents_auth_row(r, data, batch);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_auth_row(ngx_http_request_t *r, const char *sha256,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_token_t          token;
    ngx_http_agents_auth_identity_t  identity;

    ngx_http_agents_tokens_read(batch, 0, 0, &token);

    identity.company = token.company_id.data;
    identity.user = token.user_id.data;
    identity.permissions = ngx_http_agents_permissions_read(
                               token.permissions.data, token.permissions.len,
                               " ");
    identity.expires_at = token.expires_at;

    return ngx_http_agents_auth_accept(r, sha256, &identity);
}


ngx_int_t
ngx_http_agents_auth_accept(ngx_http_request_t *r, const char *sha256,
    const ngx_http_agents_auth_identity_t *identity)
{
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    ctx->permissions = identity->permissions;

    if (ngx_http_agents_auth_owner(r, ctx, identity->company,
                                   strlen(identity->company), identity->user,
                                   strlen(identity->user))
        != NGX_AGAIN)
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_agents_auth_remember(r, sha256, identity);

    ctx->state = NGX_HTTP_AGENTS_ACCESS_PERMIT;

    return NGX_DECLINED;
}


static ngx_http_agents_auth_entry_t *
ngx_http_agents_auth_entry(ngx_http_request_t *r, const char *sha256)
{
    ngx_int_t                     slot;
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    slot = ngx_hextoi((u_char *) sha256, 4);

    return &amcf->worker->tokens->entries[slot
                                     & (NGX_HTTP_AGENTS_AUTH_CACHE_SIZE - 1)];
}


/* Not for longer than the token itself is good, whatever its leeway. */

static void
ngx_http_agents_auth_remember(ngx_http_request_t *r, const char *sha256,
    const ngx_http_agents_auth_identity_t *identity)
{
    char                          *p;
    size_t                         company, user;
    int64_t                        left;
    ngx_http_agents_loc_conf_t    *alcf;
    ngx_http_agents_auth_entry_t  *entry;

    left = NGX_HTTP_AGENTS_AUTH_CACHE_TIME;

    if (identity->expires_at != 0) {
        left = ngx_min(left, identity->expires_at
                             - ngx_http_agents_auth_now());

        if (left <= 0) {
            return;
        }
    }

    company = strlen(identity->company) + 1;
    user = strlen(identity->user) + 1;

    p = ngx_alloc(company + user, r->connection->log);
    if (p == NULL) {
        return;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    entry = ngx_http_agents_auth_entry(r, sha256);

    if (entry->company != NULL) {
        ngx_free(entry->company);
    }

    entry->company = p;
    entry->user = p + company;

    ngx_memcpy(entry->company, identity->company, company);
    ngx_memcpy(entry->user, identity->user, user);
    ngx_memcpy(entry->sha256, sha256, NGX_HTTP_AGENTS_SHA256_LEN + 1);

    entry->verifier = alcf->auth_jwt;
    entry->permissions = identity->permissions;
    entry->until = ngx_current_msec + (ngx_msec_t) left;
}


int64_t
ngx_http_agents_auth_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + (int64_t) tp->msec;
}


static ngx_int_t
ngx_http_agents_auth_variables(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, ngx_http_agents_loc_conf_t *alcf)
{
    ngx_str_t  company, user, permissions;

    if (ngx_http_complex_value(r, alcf->auth_company, &company) != NGX_OK
        || ngx_http_complex_value(r, alcf->auth_user, &user) != NGX_OK
        || ngx_http_complex_value(r, alcf->auth_permissions, &permissions)
           != NGX_OK)
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    /* a variable may have been filled by the client */

    if (!ngx_http_agents_ident_is_owner((char *) company.data, company.len)
        || !ngx_http_agents_ident_is_owner((char *) user.data, user.len))
    {
        return ngx_http_agents_auth_refuse(r);
    }

    ctx->permissions = ngx_http_agents_permissions_read(
                           (char *) permissions.data, permissions.len,
                           " \t,");
    ctx->state = NGX_HTTP_AGENTS_ACCESS_PERMIT;

    return ngx_http_agents_auth_owner(r, ctx, company.data, company.len,
                                      user.data, user.len);
}


/* NGX_AGAIN, as the phase that admits goes on with. */

static ngx_int_t
ngx_http_agents_auth_owner(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx,
    const void *company, size_t company_len, const void *user, size_t user_len)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, company_len + user_len + 2);
    if (p == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx->owner.company = (char *) p;
    p = ngx_cpymem(p, company, company_len);
    *p++ = '\0';

    ctx->owner.user = (char *) p;
    p = ngx_cpymem(p, user, user_len);
    *p = '\0';

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_agents_auth_invalid(ngx_http_request_t *r, const char *detail)
{
    ngx_http_agents_reply_refusal_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.slug = "invalid-token";
    refusal.authenticate = "Bearer error=\"invalid_token\"";
    refusal.detail = detail;

    return ngx_http_agents_reply_refuse(r, &refusal);
}


/* 401: there was no token. */

static ngx_int_t
ngx_http_agents_auth_refuse(ngx_http_request_t *r)
{
    ngx_http_agents_reply_refusal_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.slug = "unauthorized";
    refusal.authenticate = "Bearer";

    return ngx_http_agents_reply_refuse(r, &refusal);
}
