
/*
 * The block agents_provider.
 */


#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_catalog_aws.h"
#include "ngx_http_agents_catalog_cortex.h"
#include "ngx_http_agents_catalog_url.h"
#include "ngx_http_agents_secret.h"




typedef struct ngx_http_agents_catalog_key_s  ngx_http_agents_catalog_key_t;

struct ngx_http_agents_catalog_key_s {
    ngx_str_t     name;
    char       *(*set)(ngx_conf_t *cf,
                    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
                    ngx_http_agents_provider_t *provider);
    size_t        offset;
    ngx_uint_t    min;
    ngx_uint_t    max;
};


static char *ngx_http_agents_catalog_provider_handler(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static ngx_http_agents_provider_t *ngx_http_agents_catalog_provider_create(
    ngx_conf_t *cf, ngx_http_agents_catalog_t *catalog);
static char *ngx_http_agents_catalog_provider_finish(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_protocol(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_endpoint(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_proxy(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_api_key(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_aws(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_cortex(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_time(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_number(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_certificate(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
static char *ngx_http_agents_catalog_provider_resolve(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider, ngx_str_t *url, ngx_uint_t proxy);


static const ngx_http_agents_catalog_key_t
    ngx_http_agents_catalog_provider_keys[] =
{
    { ngx_string("protocol"),
      ngx_http_agents_catalog_provider_protocol,
      offsetof(ngx_http_agents_provider_t, protocol), 0, 0 },

    { ngx_string("endpoint"),
      ngx_http_agents_catalog_provider_endpoint,
      offsetof(ngx_http_agents_provider_t, endpoint), 0, 0 },

    { ngx_string("api_key"),
      ngx_http_agents_catalog_provider_api_key,
      offsetof(ngx_http_agents_provider_t, api_key), 0, 0 },

    { ngx_string("region"),
      ngx_http_agents_catalog_provider_aws,
      0, 0, 0 },

    { ngx_string("aws_credentials"),
      ngx_http_agents_catalog_provider_aws,
      0, 0, 0 },

    { ngx_string("account"),
      ngx_http_agents_catalog_provider_cortex,
      0, 0, 0 },

    { ngx_string("token_type"),
      ngx_http_agents_catalog_provider_cortex,
      0, 0, 0 },

    { ngx_string("user"),
      ngx_http_agents_catalog_provider_cortex,
      0, 0, 0 },

    { ngx_string("private_key"),
      ngx_http_agents_catalog_provider_cortex,
      0, 0, 0 },

    { ngx_string("connect_timeout"),
      ngx_http_agents_catalog_provider_time,
      offsetof(ngx_http_agents_provider_t, connect_timeout), 1, 3600000 },

    { ngx_string("timeout"),
      ngx_http_agents_catalog_provider_time,
      offsetof(ngx_http_agents_provider_t, timeout), 1, 86400000 },

    { ngx_string("retries"),
      ngx_http_agents_catalog_provider_number,
      offsetof(ngx_http_agents_provider_t, retries), 0, 100 },

    { ngx_string("max_connections"),
      ngx_http_agents_catalog_provider_number,
      offsetof(ngx_http_agents_provider_t, max_connections), 1, 65535 },

    { ngx_string("ssl_trusted_certificate"),
      ngx_http_agents_catalog_provider_certificate,
      offsetof(ngx_http_agents_provider_t, trusted_certificate), 0, 0 },

    { ngx_string("proxy"),
      ngx_http_agents_catalog_provider_proxy,
      offsetof(ngx_http_agents_provider_t, proxy), 0, 0 },

    { ngx_null_string, NULL, 0, 0, 0 }
};


char *
ngx_http_agents_catalog_provider(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog)
{
    char                        *rv;
    ngx_conf_t                   save;
    ngx_http_agents_provider_t  *provider;

    provider = ngx_http_agents_catalog_provider_create(cf, catalog);
    if (provider == NULL) {
        return NGX_CONF_ERROR;
    }

    save = *cf;
    cf->handler = ngx_http_agents_catalog_provider_handler;
    cf->handler_conf = (void *) provider;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_agents_catalog_provider_finish(cf, provider);
}


static ngx_http_agents_provider_t *
ngx_http_agents_catalog_provider_create(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog)
{
    ngx_str_t                    *name;
    ngx_uint_t                    i;
    ngx_http_agents_provider_t   *provider, **p;

    name = cf->args->elts;
    name++;

    if (name->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the name of an agents_provider must not be empty");
        return NULL;
    }

    p = catalog->providers.elts;

    for (i = 0; i < catalog->providers.nelts; i++) {
        if (p[i]->name.len == name->len
            && ngx_strncmp(p[i]->name.data, name->data, name->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate agents_provider \"%V\" (the first "
                               "is in %s:%ui)", name, p[i]->file, p[i]->line);
            return NULL;
        }
    }

    provider = ngx_pcalloc(cf->pool, sizeof(ngx_http_agents_provider_t));
    if (provider == NULL) {
        return NULL;
    }

    p = ngx_array_push(&catalog->providers);
    if (p == NULL) {
        return NULL;
    }

    *p = provider;

    provider->name = *name;
    provider->file = cf->conf_file->file.name.data;
    provider->line = cf->conf_file->line;

    provider->connect_timeout = NGX_CONF_UNSET_MSEC;
    provider->timeout = NGX_CONF_UNSET_MSEC;
    provider->retries = NGX_CONF_UNSET_UINT;
    provider->max_connections = NGX_CONF_UNSET_UINT;

    return provider;
}


static char *
ngx_http_agents_catalog_provider_handler(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf)
{
    ngx_str_t                            *value;
    const ngx_http_agents_catalog_key_t  *key;

    value = cf->args->elts;

    if (ngx_strcmp(value[0].data, "include") == 0 && cf->args->nelts == 2) {
        return ngx_conf_include(cf, dummy, conf);
    }

    for (key = ngx_http_agents_catalog_provider_keys; key->name.len; key++) {

        if (key->name.len != value[0].len
            || ngx_strcmp(key->name.data, value[0].data) != 0)
        {
            continue;
        }

        if (cf->args->nelts != 2 || value[1].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" takes one value, which must not be "
                               "empty", &value[0]);
            return NGX_CONF_ERROR;
        }

        return key->set(cf, key, &value[1], conf);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown key \"%V\" in agents_provider, known are "
                       "protocol, endpoint, api_key, region, "
                       "aws_credentials, account, token_type, user, "
                       "private_key, connect_timeout, timeout, retries, "
                       "max_connections, ssl_trusted_certificate and proxy",
                       &value[0]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_agents_catalog_provider_finish(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider)
{
    char  *rv;

    if (provider->protocol == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "agents_provider \"%V\" has no \"protocol\" in %s:%ui",
                      &provider->name, provider->file, provider->line);
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_agents_catalog_aws_finish(cf, provider);

    if (rv == NGX_CONF_OK) {
        rv = ngx_http_agents_catalog_cortex_finish(cf, provider);
    }

    if (rv != NGX_CONF_OK) {
        if (rv != NGX_CONF_ERROR) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "agents_provider \"%V\": %s in %s:%ui",
                          &provider->name, rv, provider->file,
                          provider->line);
        }

        return NGX_CONF_ERROR;
    }

    if (provider->endpoint.data == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "agents_provider \"%V\" has no \"endpoint\" in %s:%ui",
                      &provider->name, provider->file, provider->line);
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_msec_value(provider->connect_timeout, 5000);
    ngx_conf_init_msec_value(provider->timeout, 120000);
    ngx_conf_init_uint_value(provider->retries, 3);
    ngx_conf_init_uint_value(provider->max_connections, 512);

    /* behind a proxy, finding the endpoint is the proxy's task */

    if (provider->proxy.len != 0) {
        return ngx_http_agents_catalog_provider_resolve(cf, provider,
                                                        &provider->proxy, 1);
    }

    return ngx_http_agents_catalog_provider_resolve(cf, provider,
                                                    &provider->endpoint, 0);
}


static char *
ngx_http_agents_catalog_provider_protocol(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    u_char                             known[256], *p;
    size_t                             i;
    const ngx_http_agents_protocol_t  *protocol;

    if (provider->protocol != NULL) {
        return "duplicate \"protocol\"";
    }

    provider->protocol = ngx_http_agents_model_protocol((char *) value->data,
                                                        value->len);
    if (provider->protocol != NULL) {
        return NGX_CONF_OK;
    }

    p = known;

    for (i = 0; /* void */ ; i++) {
        protocol = ngx_http_agents_model_protocol_at(i);
        if (protocol == NULL) {
            break;
        }

        p = ngx_slprintf(p, known + sizeof(known), " %s", protocol->name);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown protocol \"%V\", known are:%*s", value,
                       (size_t) (p - known), known);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_agents_catalog_provider_endpoint(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    const char  *why;

    if (provider->endpoint.data != NULL) {
        return "duplicate \"endpoint\"";
    }

    why = ngx_http_agents_catalog_url_check(value);

    if (why != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid endpoint \"%V\", %s", value, why);
        return NGX_CONF_ERROR;
    }

    provider->endpoint = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_provider_proxy(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    if (provider->proxy.data != NULL) {
        return "duplicate \"proxy\"";
    }

    if (ngx_http_agents_catalog_url_scheme(value) == 0) {

        /* not repeated here: it may hold a password */

        return "invalid \"proxy\", it must begin with \"http://\" or "
               "\"https://\"";
    }

    provider->proxy = *value;

    return NGX_CONF_OK;
}


/* No message here says what the key is. */

static char *
ngx_http_agents_catalog_provider_api_key(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    size_t     i;
    ngx_str_t  secret;

    if (provider->api_key.data != NULL) {
        return "duplicate \"api_key\"";
    }

    if (ngx_http_agents_secret_value(cf, value, "api_key", &secret) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (secret.len == 0) {
        return "empty \"api_key\"";
    }

    for (i = 0; i < secret.len; i++) {
        if (secret.data[i] < ' ' || secret.data[i] == 0x7f) {
            return "invalid \"api_key\", it must be one line without "
                   "control characters";
        }
    }

    provider->api_key = secret;

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_provider_aws(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    return ngx_strcmp(key->name.data, "region") == 0
           ? ngx_http_agents_catalog_aws_region(cf, value, provider)
           : ngx_http_agents_catalog_aws_credentials(cf, value, provider);
}


static char *
ngx_http_agents_catalog_provider_cortex(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    return ngx_http_agents_catalog_cortex(cf, &key->name, value, provider);
}


static char *
ngx_http_agents_catalog_provider_time(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    ngx_int_t    ms;
    ngx_msec_t  *field;

    field = (ngx_msec_t *) ((char *) provider + key->offset);

    if (*field != NGX_CONF_UNSET_MSEC) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate \"%V\"",
                           &key->name);
        return NGX_CONF_ERROR;
    }

    ms = ngx_parse_time(value, 0);

    if (ms == NGX_ERROR || (ngx_uint_t) ms < key->min
        || (ngx_uint_t) ms > key->max)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\", it must be a time "
                           "such as 5s, from 1ms to %uis", value, &key->name,
                           key->max / 1000);
        return NGX_CONF_ERROR;
    }

    *field = (ngx_msec_t) ms;

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_provider_number(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    ngx_int_t    n;
    ngx_uint_t  *field;

    field = (ngx_uint_t *) ((char *) provider + key->offset);

    if (*field != NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate \"%V\"",
                           &key->name);
        return NGX_CONF_ERROR;
    }

    n = ngx_atoi(value->data, value->len);

    if (n == NGX_ERROR || (ngx_uint_t) n < key->min
        || (ngx_uint_t) n > key->max)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\", it must be a "
                           "number from %ui to %ui", value, &key->name,
                           key->min, key->max);
        return NGX_CONF_ERROR;
    }

    *field = (ngx_uint_t) n;

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_provider_certificate(ngx_conf_t *cf,
    const ngx_http_agents_catalog_key_t *key, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    if (provider->trusted_certificate.data != NULL) {
        return "duplicate \"ssl_trusted_certificate\"";
    }

    if (ngx_conf_full_name(cf->cycle, value, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (access((char *) value->data, R_OK) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the file \"%V\" of \"ssl_trusted_certificate\" "
                           "cannot be read", value);
        return NGX_CONF_ERROR;
    }

    provider->trusted_certificate = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_provider_resolve(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider, ngx_str_t *url, ngx_uint_t proxy)
{
    ngx_int_t    rc;
    const char  *why;

    rc = ngx_http_agents_catalog_url_resolve(cf, url, proxy,
                                             &provider->resolve, &why);
    if (rc == NGX_OK) {
        return NGX_CONF_OK;
    }

    /* for the resolver, if there is one: that is known when all is read */

    if (rc == NGX_DECLINED) {
        provider->unresolved = why;
        return NGX_CONF_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "%s in \"%s\" of agents_provider \"%V\" in %s:%ui",
                  why, proxy ? "proxy" : (char *) url->data,
                  &provider->name, provider->file, provider->line);

    return NGX_CONF_ERROR;
}
