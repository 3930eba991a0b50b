
#include "ngx_http_agents_authorize.h"
#include "ngx_http_agents_instance.h"
#include "ngx_http_agents_redact.h"
#include "ngx_http_agents_sigv4.h"


static ngx_int_t ngx_http_agents_authorize_token(
    ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider, const char *token);
static ngx_int_t ngx_http_agents_authorize_sign(
    ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider,
    const ngx_http_agents_model_request_t *request, const ngx_str_t *url);
static void ngx_http_agents_authorize_key(ngx_http_agents_sigv4_key_t *key,
    const ngx_http_agents_provider_t *provider);
static ngx_int_t ngx_http_agents_authorize_add(
    ngx_http_agents_authorize_t *authorize, ngx_http_agents_buf_t *line,
    size_t secret);


ngx_int_t
ngx_http_agents_authorize(ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider,
    const ngx_http_agents_model_request_t *request, const ngx_str_t *url)
{
    const char  *token;

    if (provider->snowflake.keypair != NULL) {
        token = ngx_http_agents_keypair_token(provider->snowflake.keypair,
                                              ngx_time());
        if (token == NULL) {
            return NGX_ERROR;
        }

        return ngx_http_agents_authorize_token(authorize, provider, token);
    }

    if (provider->api_key.len != 0) {
        return ngx_http_agents_authorize_token(authorize, provider,
                                           (char *) provider->api_key.data);
    }

    if (provider->protocol->service != NULL) {
        return ngx_http_agents_authorize_sign(authorize, provider, request,
                                              url);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_authorize_token(ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider, const char *token)
{
    ngx_http_agents_buf_t              line;
    const ngx_http_agents_protocol_t  *protocol;

    protocol = provider->protocol;

    ngx_http_agents_buf_init(&line);
    ngx_http_agents_buf_addf(&line, "%s: %s%s", protocol->key_header,
                             protocol->key_prefix, token);

    if (ngx_http_agents_authorize_add(authorize, &line, ngx_strlen(token))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (provider->snowflake.token_type.len == 0) {
        return NGX_OK;
    }

    ngx_http_agents_buf_addf(&line,
                             "X-Snowflake-Authorization-Token-Type: %s",
                             (char *) provider->snowflake.token_type.data);

    return ngx_http_agents_authorize_add(authorize, &line, 0);
}


static ngx_int_t
ngx_http_agents_authorize_sign(ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider,
    const ngx_http_agents_model_request_t *request, const ngx_str_t *url)
{
    int                               rc;
    char                             *host, *path;
    ngx_http_agents_buf_t             name, lines[3];
    ngx_http_agents_sigv4_key_t       key;
    ngx_http_agents_sigv4_request_t   sign;

    ngx_memzero(lines, sizeof(lines));
    ngx_memzero(&key, sizeof(ngx_http_agents_sigv4_key_t));
    ngx_http_agents_buf_init(&name);

    /* an endpoint's scheme was checked: what follows it is the host */

    host = strstr((char *) url->data, "://") + 3;
    path = strchr(host, '/');

    ngx_http_agents_buf_add(&name, host, path - host);

    ngx_http_agents_authorize_key(&key, provider);

    sign.region = (char *) provider->aws.region.data;
    sign.service = provider->protocol->service;
    sign.host = name.data;
    sign.path = path;
    sign.content_type = "application/json";
    sign.body_sha256 = request->sha256;
    sign.now = ngx_time();

    rc = name.failed
         ? -1 : ngx_http_agents_sigv4_sign(&key, &sign, &lines[0], &lines[1],
                                           &lines[2]);

    ngx_http_agents_buf_free(&name);

    if (rc == -1
        || ngx_http_agents_authorize_add(authorize, &lines[0], 0) != NGX_OK
        || (lines[1].len != 0
            && ngx_http_agents_authorize_add(authorize, &lines[1],
                                             ngx_strlen(key.session_token))
               != NGX_OK)
        || ngx_http_agents_authorize_add(authorize, &lines[2], 0) != NGX_OK)
    {
        rc = -1;
    }

    ngx_http_agents_buf_free(&lines[0]);
    ngx_http_agents_buf_free(&lines[1]);
    ngx_http_agents_buf_free(&lines[2]);

    return (rc == 0) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_agents_authorize_key(ngx_http_agents_sigv4_key_t *key,
    const ngx_http_agents_provider_t *provider)
{
    const ngx_http_agents_aws_keys_t  *keys;

    if (provider->instance != NULL) {
        keys = ngx_http_agents_instance_keys(provider->instance);

        key->access_key = keys->access_key;
        key->secret_key = keys->secret_key;
        key->session_token = keys->session_token;

        return;
    }

    key->access_key = (char *) provider->aws.access_key.data;
    key->secret_key = (char *) provider->aws.secret_key.data;

    if (provider->aws.session_token.len != 0) {
        key->session_token = (char *) provider->aws.session_token.data;
    }
}


/* Takes the buffer; "secret" is how much at the line's end is one. */

static ngx_int_t
ngx_http_agents_authorize_add(ngx_http_agents_authorize_t *authorize,
    ngx_http_agents_buf_t *line, size_t secret)
{
    char    *text;
    size_t   len;

    text = ngx_http_agents_buf_take(line, &len);

    if (text == NULL) {
        return NGX_ERROR;
    }

    authorize->lines[authorize->n++] = text;

    if (secret != 0) {
        authorize->secret.data = (u_char *) text + len - secret;
        authorize->secret.len = secret;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_agents_authorize_refused(ngx_http_agents_authorize_t *authorize,
    const ngx_http_agents_provider_t *provider)
{
    if (provider->snowflake.keypair != NULL) {
        ngx_http_agents_keypair_refused(provider->snowflake.keypair,
                                        (char *) authorize->secret.data,
                                        authorize->secret.len);
        return NGX_OK;
    }

    if (provider->instance != NULL) {
        ngx_http_agents_instance_refused(provider->instance,
                                         &authorize->secret);
        return NGX_OK;
    }

    return NGX_DECLINED;
}


void
ngx_http_agents_authorize_redact(const ngx_http_agents_authorize_t *authorize,
    ngx_http_agents_buf_t *text)
{
    ngx_http_agents_redact(text, (char *) authorize->secret.data,
                           authorize->secret.len);
}


void
ngx_http_agents_authorize_redact_conf(
    const ngx_http_agents_provider_t *provider, ngx_http_agents_buf_t *text)
{
    ngx_http_agents_redact(text, (char *) provider->api_key.data,
                           provider->api_key.len);
    ngx_http_agents_redact(text, (char *) provider->aws.session_token.data,
                           provider->aws.session_token.len);
}


void
ngx_http_agents_authorize_clear(ngx_http_agents_authorize_t *authorize)
{
    char  *line;

    while (authorize->n != 0) {
        line = authorize->lines[--authorize->n];

        ngx_explicit_memzero(line, ngx_strlen(line));
        free(line);
    }

    ngx_str_null(&authorize->secret);
}
