
#include "ngx_http_agents_catalog_cortex.h"
#include "ngx_http_agents_secret.h"


#define NGX_HTTP_AGENTS_CATALOG_CORTEX_KEY_MAX  16384


static char *ngx_http_agents_catalog_cortex_account(ngx_str_t *value);
static char *ngx_http_agents_catalog_cortex_token_type(ngx_str_t *value);
static char *ngx_http_agents_catalog_cortex_user(ngx_str_t *value);
static char *ngx_http_agents_catalog_cortex_private_key(ngx_conf_t *cf,
    ngx_str_t *value, ngx_str_t *pem);
static char *ngx_http_agents_catalog_cortex_tokens(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_cortex_keypair(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider);
static void ngx_http_agents_catalog_cortex_cleanup(void *data);
static char *ngx_http_agents_catalog_cortex_endpoint(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider);


static const ngx_str_t  ngx_http_agents_catalog_cortex_jwt =
    ngx_string("KEYPAIR_JWT");

static const ngx_str_t  ngx_http_agents_catalog_cortex_pat =
    ngx_string("PROGRAMMATIC_ACCESS_TOKEN");


char *
ngx_http_agents_catalog_cortex(ngx_conf_t *cf, const ngx_str_t *key,
    ngx_str_t *value, ngx_http_agents_provider_t *provider)
{
    char                         *rv;
    ngx_str_t                    *field, text;
    ngx_http_agents_snowflake_t  *snowflake;

    snowflake = &provider->snowflake;
    text = *value;

    if (ngx_strcmp(key->data, "account") == 0) {
        field = &snowflake->account;
        rv = ngx_http_agents_catalog_cortex_account(value);

    } else if (ngx_strcmp(key->data, "token_type") == 0) {
        field = &snowflake->token_type;
        rv = ngx_http_agents_catalog_cortex_token_type(value);

    } else if (ngx_strcmp(key->data, "user") == 0) {
        field = &snowflake->user;
        rv = ngx_http_agents_catalog_cortex_user(value);

    } else {
        field = &snowflake->private_key;
        rv = ngx_http_agents_catalog_cortex_private_key(cf, value, &text);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (field->data != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate \"%V\"", key);
        return NGX_CONF_ERROR;
    }

    *field = text;

    return NGX_CONF_OK;
}


/* It becomes a part of a host's name. */

static char *
ngx_http_agents_catalog_cortex_account(ngx_str_t *value)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < value->len; i++) {
        c = value->data[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
            && (c < '0' || c > '9')
            && (i == 0 || (c != '-' && c != '_' && c != '.')))
        {
            return "invalid \"account\", it must be an identifier such as "
                   "myorg-myaccount";
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_cortex_token_type(ngx_str_t *value)
{
    if (ngx_strcmp(value->data, "PROGRAMMATIC_ACCESS_TOKEN") == 0
        || ngx_strcmp(value->data, "KEYPAIR_JWT") == 0
        || ngx_strcmp(value->data, "OAUTH") == 0)
    {
        return NGX_CONF_OK;
    }

    return "invalid \"token_type\", it must be \"PROGRAMMATIC_ACCESS_TOKEN\", "
           "\"KEYPAIR_JWT\" or \"OAUTH\"";
}


static char *
ngx_http_agents_catalog_cortex_user(ngx_str_t *value)
{
    size_t  i;

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < ' ' || value->data[i] == 0x7f) {
            return "invalid \"user\", it has control characters in it";
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_cortex_private_key(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *pem)
{
    ngx_str_t  path;

    /* not repeated here: it may be the key itself */

    if (ngx_strncmp(value->data, "file:", 5) != 0) {
        return "invalid \"private_key\", it must be \"file:PATH\"";
    }

    path.data = value->data + 5;
    path.len = value->len - 5;

    if (ngx_http_agents_secret_file(cf, &path, "private_key",
                                    NGX_HTTP_AGENTS_CATALOG_CORTEX_KEY_MAX,
                                    pem)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_agents_catalog_cortex_finish(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider)
{
    char                         *rv;
    ngx_http_agents_snowflake_t  *snowflake;

    snowflake = &provider->snowflake;

    if (provider->protocol->account_host == NULL) {

        if (snowflake->account.data != NULL
            || snowflake->token_type.data != NULL
            || snowflake->user.data != NULL
            || snowflake->private_key.data != NULL)
        {
            return "\"account\", \"token_type\", \"user\" and \"private_key\" "
                   "are of the protocol \"cortex\"";
        }

        return NGX_CONF_OK;
    }

    rv = ngx_http_agents_catalog_cortex_tokens(cf, provider);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (provider->endpoint.data != NULL) {
        return NGX_CONF_OK;
    }

    if (snowflake->account.len == 0) {
        return "the protocol needs an \"account\" or an \"endpoint\"";
    }

    return ngx_http_agents_catalog_cortex_endpoint(cf, provider);
}


/* The kind of token follows from what is there, where it is not named. */

static char *
ngx_http_agents_catalog_cortex_tokens(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider)
{
    ngx_http_agents_snowflake_t  *snowflake;

    snowflake = &provider->snowflake;

    if (snowflake->token_type.len == 0) {
        snowflake->token_type = (snowflake->private_key.data != NULL)
                                ? ngx_http_agents_catalog_cortex_jwt
                                : ngx_http_agents_catalog_cortex_pat;
    }

    if (ngx_strcmp(snowflake->token_type.data,
                   ngx_http_agents_catalog_cortex_jwt.data)
        == 0)
    {
        return ngx_http_agents_catalog_cortex_keypair(cf, provider);
    }

    if (snowflake->user.data != NULL || snowflake->private_key.data != NULL) {
        return "\"user\" and \"private_key\" are of \"token_type "
               "KEYPAIR_JWT\"";
    }

    if (provider->api_key.len == 0) {
        return "the protocol needs the token as \"api_key\", or a "
               "\"private_key\"";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_cortex_keypair(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider)
{
    const char                   *why;
    ngx_str_t                    *pem;
    ngx_pool_cleanup_t           *cln;
    ngx_http_agents_snowflake_t  *snowflake;

    snowflake = &provider->snowflake;
    pem = &snowflake->private_key;

    if (provider->api_key.data != NULL) {
        return "\"api_key\" and \"token_type KEYPAIR_JWT\" exclude each other";
    }

    if (snowflake->account.len == 0 || snowflake->user.len == 0
        || pem->data == NULL)
    {
        return "\"token_type KEYPAIR_JWT\" needs \"account\", \"user\" and "
               "\"private_key\"";
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    snowflake->keypair = ngx_http_agents_keypair_create((char *) pem->data,
                                             pem->len,
                                             (char *) snowflake->account.data,
                                             (char *) snowflake->user.data,
                                             &why);

    ngx_explicit_memzero(pem->data, pem->len);
    ngx_str_null(pem);

    if (snowflake->keypair == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "agents_provider \"%V\": the file of \"private_key\" "
                      "cannot be used, %s, in %s:%ui", &provider->name, why,
                      provider->file, provider->line);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_agents_catalog_cortex_cleanup;
    cln->data = snowflake->keypair;

    return NGX_CONF_OK;
}


static void
ngx_http_agents_catalog_cortex_cleanup(void *data)
{
    ngx_http_agents_keypair_free(data);
}


/* Hosts have no "_" in their names. */

static char *
ngx_http_agents_catalog_cortex_endpoint(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider)
{
    u_char     *p;
    size_t      i, len;
    ngx_str_t  *account;

    account = &provider->snowflake.account;

    len = sizeof("https://") - 1 + account->len
          + ngx_strlen(provider->protocol->account_host);

    p = ngx_pnalloc(cf->pool, len + 1);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    provider->endpoint.data = p;
    provider->endpoint.len = len;

    p = ngx_cpymem(p, "https://", sizeof("https://") - 1);

    for (i = 0; i < account->len; i++) {
        *p++ = (account->data[i] == '_') ? '-' : ngx_tolower(account->data[i]);
    }

    ngx_cpystrn(p, (u_char *) provider->protocol->account_host,
                len + 1 - (p - provider->endpoint.data));

    return NGX_CONF_OK;
}
