
#include "ngx_http_agents_catalog_aws.h"
#include "ngx_http_agents_catalog_url.h"
#include "ngx_http_agents_secret.h"


#define NGX_HTTP_AGENTS_CATALOG_AWS_FILE_MAX  65536

/* Where AWS says what belongs to a machine, and to a container of ECS. */
#define NGX_HTTP_AGENTS_CATALOG_AWS_MACHINE   "http://169.254.169.254"
#define NGX_HTTP_AGENTS_CATALOG_AWS_ECS       "http://169.254.170.2"


static char *ngx_http_agents_catalog_aws_env(ngx_conf_t *cf,
    ngx_http_agents_aws_t *aws);
static char *ngx_http_agents_catalog_aws_file(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_agents_aws_t *aws);
static ngx_int_t ngx_http_agents_catalog_aws_line(ngx_conf_t *cf,
    u_char *line, u_char *last, ngx_uint_t *named,
    ngx_http_agents_aws_t *aws);
static ngx_int_t ngx_http_agents_catalog_aws_copy(ngx_conf_t *cf,
    ngx_str_t *to, u_char *text, size_t len);
static char *ngx_http_agents_catalog_aws_check(ngx_http_agents_aws_t *aws);
static char *ngx_http_agents_catalog_aws_instance(ngx_conf_t *cf,
    ngx_http_agents_aws_source_t *source);
static ngx_int_t ngx_http_agents_catalog_aws_url(ngx_conf_t *cf,
    ngx_http_agents_aws_source_t *source, const char *variable,
    const char *base, const char *path);
static ngx_int_t ngx_http_agents_catalog_aws_authorization(ngx_conf_t *cf,
    ngx_str_t *authorization);
static const char *ngx_http_agents_catalog_aws_getenv(const char *name);
static void ngx_http_agents_catalog_aws_trim(u_char **p, u_char **last);


typedef struct {
    const char  *variable;      /* of the environment */
    const char  *name;          /* in AWS's file of shared credentials */
    size_t       offset;
} ngx_http_agents_catalog_aws_part_t;


static const ngx_http_agents_catalog_aws_part_t
    ngx_http_agents_catalog_aws_parts[] =
{
    { "AWS_ACCESS_KEY_ID", "aws_access_key_id",
      offsetof(ngx_http_agents_aws_t, access_key) },

    { "AWS_SECRET_ACCESS_KEY", "aws_secret_access_key",
      offsetof(ngx_http_agents_aws_t, secret_key) },

    { "AWS_SESSION_TOKEN", "aws_session_token",
      offsetof(ngx_http_agents_aws_t, session_token) },

    { NULL, NULL, 0 }
};


char *
ngx_http_agents_catalog_aws_region(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    size_t  i;

    if (provider->aws.region.data != NULL) {
        return "duplicate \"region\"";
    }

    /* it becomes a part of a host's name */

    for (i = 0; i < value->len; i++) {
        if ((value->data[i] < 'a' || value->data[i] > 'z')
            && (value->data[i] < '0' || value->data[i] > '9')
            && value->data[i] != '-')
        {
            return "invalid \"region\", it must be one such as us-east-1";
        }
    }

    provider->aws.region = *value;

    return NGX_CONF_OK;
}


char *
ngx_http_agents_catalog_aws_credentials(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_agents_provider_t *provider)
{
    char       *rv;
    ngx_str_t   path;

    if (provider->aws.access_key.data != NULL
        || provider->aws.source.url.data != NULL)
    {
        return "duplicate \"aws_credentials\"";
    }

    if (ngx_strcmp(value->data, "instance") == 0) {
        return ngx_http_agents_catalog_aws_instance(cf, &provider->aws.source);
    }

    if (ngx_strcmp(value->data, "env") == 0) {
        rv = ngx_http_agents_catalog_aws_env(cf, &provider->aws);

    } else if (ngx_strncmp(value->data, "file:", 5) == 0) {
        path.data = value->data + 5;
        path.len = value->len - 5;

        rv = ngx_http_agents_catalog_aws_file(cf, &path, &provider->aws);

    } else {
        return "invalid \"aws_credentials\", it must be \"env\", "
               "\"file:PATH\" or \"instance\"";
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_agents_catalog_aws_check(&provider->aws);
}


char *
ngx_http_agents_catalog_aws_finish(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider)
{
    u_char      *p;
    size_t       len;
    ngx_uint_t   named;

    named = provider->aws.access_key.len != 0
            || provider->aws.source.url.len != 0;

    if (provider->protocol->service == NULL) {

        if (provider->aws.region.data != NULL || named) {
            return "\"region\" and \"aws_credentials\" are of the protocol "
                   "\"bedrock\"";
        }

        return NGX_CONF_OK;
    }

    if (provider->api_key.len == 0 && !named) {
        return "the protocol needs \"api_key\" or \"aws_credentials\"";
    }

    if (provider->api_key.len != 0 && named) {
        return "\"api_key\" and \"aws_credentials\" exclude each other";
    }

    if (provider->aws.region.len == 0
        && (named || provider->endpoint.data == NULL))
    {
        return "the protocol needs a \"region\"";
    }

    if (provider->endpoint.data != NULL) {
        return NGX_CONF_OK;
    }

    len = sizeof("https://-runtime..amazonaws.com")
          + ngx_strlen(provider->protocol->service) + provider->aws.region.len;

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    provider->endpoint.data = p;

    p = ngx_snprintf(p, len - 1, "https://%s-runtime.%V.amazonaws.com",
                     provider->protocol->service, &provider->aws.region);
    *p = '\0';

    provider->endpoint.len = p - provider->endpoint.data;

    return NGX_CONF_OK;
}


/* The configuration is read before nginx clears the environment. */

static char *
ngx_http_agents_catalog_aws_env(ngx_conf_t *cf, ngx_http_agents_aws_t *aws)
{
    char                                      *text;
    ngx_str_t                                 *to;
    const ngx_http_agents_catalog_aws_part_t  *part;

    for (part = ngx_http_agents_catalog_aws_parts; part->name; part++) {
        text = getenv(part->variable);

        if (text == NULL) {
            continue;
        }

        to = (ngx_str_t *) ((u_char *) aws + part->offset);

        if (ngx_http_agents_catalog_aws_copy(cf, to, (u_char *) text,
                                             ngx_strlen(text))
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* The profile "default" of AWS's own form: [profile], then name = value. */

static char *
ngx_http_agents_catalog_aws_file(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_agents_aws_t *aws)
{
    u_char      *p, *end, *last;
    ngx_str_t    text;
    ngx_uint_t   named;

    if (ngx_http_agents_secret_file(cf, path, "aws_credentials",
                                    NGX_HTTP_AGENTS_CATALOG_AWS_FILE_MAX,
                                    &text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    named = 1;
    last = text.data + text.len;

    for (p = text.data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, LF);

        if (end == NULL) {
            end = last;
        }

        if (ngx_http_agents_catalog_aws_line(cf, p, end, &named, aws)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* "named": whether the lines are those of the profile that counts. */

static ngx_int_t
ngx_http_agents_catalog_aws_line(ngx_conf_t *cf, u_char *line, u_char *last,
    ngx_uint_t *named, ngx_http_agents_aws_t *aws)
{
    u_char                                    *equals, *name;
    ngx_str_t                                 *to;
    const ngx_http_agents_catalog_aws_part_t  *part;

    ngx_http_agents_catalog_aws_trim(&line, &last);

    if (line == last || *line == '#' || *line == ';') {
        return NGX_OK;
    }

    if (*line == '[') {
        *named = (last - line == sizeof("[default]") - 1
                  && ngx_strncmp(line, "[default]", last - line) == 0);
        return NGX_OK;
    }

    equals = ngx_strlchr(line, last, '=');

    if (!*named || equals == NULL) {
        return NGX_OK;
    }

    name = line;
    line = equals + 1;

    ngx_http_agents_catalog_aws_trim(&name, &equals);
    ngx_http_agents_catalog_aws_trim(&line, &last);

    for (part = ngx_http_agents_catalog_aws_parts; part->name; part++) {

        if (ngx_strlen(part->name) == (size_t) (equals - name)
            && ngx_strncmp(part->name, name, equals - name) == 0)
        {
            to = (ngx_str_t *) ((u_char *) aws + part->offset);

            return ngx_http_agents_catalog_aws_copy(cf, to, line, last - line);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_catalog_aws_copy(ngx_conf_t *cf, ngx_str_t *to, u_char *text,
    size_t len)
{
    to->data = ngx_pnalloc(cf->pool, len + 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(to->data, text, len);
    to->data[len] = '\0';
    to->len = len;

    return NGX_OK;
}


/* No message says what they are. */

static char *
ngx_http_agents_catalog_aws_check(ngx_http_agents_aws_t *aws)
{
    size_t                                     i;
    ngx_str_t                                 *text;
    const ngx_http_agents_catalog_aws_part_t  *part;

    if (aws->access_key.len == 0 || aws->secret_key.len == 0) {
        return "no access key and secret key in what \"aws_credentials\" "
               "names";
    }

    for (part = ngx_http_agents_catalog_aws_parts; part->name; part++) {
        text = (ngx_str_t *) ((u_char *) aws + part->offset);

        for (i = 0; i < text->len; i++) {
            if (text->data[i] <= ' ' || text->data[i] >= 0x7f) {
                return "invalid \"aws_credentials\", a key has blanks or "
                       "control characters in it";
            }
        }
    }

    return NGX_CONF_OK;
}


static void
ngx_http_agents_catalog_aws_trim(u_char **p, u_char **last)
{
    while (*p < *last && **p <= ' ') {
        (*p)++;
    }

    while (*last > *p && (*last)[-1] <= ' ') {
        (*last)--;
    }
}


/* A container says in its environment where to ask, a machine need not. */

static char *
ngx_http_agents_catalog_aws_instance(ngx_conf_t *cf,
    ngx_http_agents_aws_source_t *source)
{
    const char  *path, *name;

    source->container = 1;

    name = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    path = ngx_http_agents_catalog_aws_getenv(name);

    if (path != NULL && *path != '/') {
        return "invalid AWS_CONTAINER_CREDENTIALS_RELATIVE_URI in the "
               "environment, it must begin with \"/\"";
    }

    if (path != NULL) {
        return ngx_http_agents_catalog_aws_url(cf, source, name,
                                               NGX_HTTP_AGENTS_CATALOG_AWS_ECS,
                                               path)
               == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    name = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    path = ngx_http_agents_catalog_aws_getenv(name);

    if (path != NULL) {
        return (ngx_http_agents_catalog_aws_url(cf, source, name, path, "")
                == NGX_OK
                && ngx_http_agents_catalog_aws_authorization(cf,
                                                     &source->authorization)
                   == NGX_OK)
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    source->container = 0;

    name = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    path = ngx_http_agents_catalog_aws_getenv(name);

    return ngx_http_agents_catalog_aws_url(cf, source, name,
                           (path != NULL) ? path
                                          : NGX_HTTP_AGENTS_CATALOG_AWS_MACHINE,
                           "")
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_agents_catalog_aws_url(ngx_conf_t *cf,
    ngx_http_agents_aws_source_t *source, const char *variable,
    const char *base, const char *path)
{
    u_char      *p;
    ngx_str_t   *url;
    const char  *why;

    url = &source->url;

    url->len = ngx_strlen(base) + ngx_strlen(path);
    url->data = ngx_pnalloc(cf->pool, url->len + 1);

    if (url->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(url->data, base, ngx_strlen(base));
    ngx_cpystrn(p, (u_char *) path, ngx_strlen(path) + 1);

    why = ngx_http_agents_catalog_url_check(url);

    if (why == NULL
        && ngx_http_agents_catalog_url_resolve(cf, url, 0, &source->resolve,
                                               &why)
           == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid %s \"%V\" in the environment: %s", variable,
                       url, why);

    return NGX_ERROR;
}


/* No message says what it is. */

static ngx_int_t
ngx_http_agents_catalog_aws_authorization(ngx_conf_t *cf,
    ngx_str_t *authorization)
{
    size_t       i;
    ngx_str_t    path;
    const char  *text;

    text = ngx_http_agents_catalog_aws_getenv(
                                     "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (text != NULL) {
        path.data = (u_char *) text;
        path.len = ngx_strlen(text);

        if (ngx_http_agents_secret_file(cf, &path,
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                      NGX_HTTP_AGENTS_CATALOG_AWS_FILE_MAX,
                                      authorization)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else {
        text = ngx_http_agents_catalog_aws_getenv(
                                          "AWS_CONTAINER_AUTHORIZATION_TOKEN");

        if (text == NULL) {
            return NGX_OK;
        }

        if (ngx_http_agents_catalog_aws_copy(cf, authorization,
                                             (u_char *) text,
                                             ngx_strlen(text))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    while (authorization->len != 0
           && (authorization->data[authorization->len - 1] == LF
               || authorization->data[authorization->len - 1] == CR))
    {
        authorization->len--;
    }

    authorization->data[authorization->len] = '\0';

    for (i = 0; i < authorization->len; i++) {
        if (authorization->data[i] < ' ' || authorization->data[i] >= 0x7f) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the container's authorization token is not "
                               "one line without control characters");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* What is empty is as good as unset. */

static const char *
ngx_http_agents_catalog_aws_getenv(const char *name)
{
    const char  *text;

    text = getenv(name);

    return (text != NULL && *text != '\0') ? text : NULL;
}
