
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_mcp_trust.h"
#include "ngx_http_agents_secret.h"


#define NGX_HTTP_AGENTS_MCP_TRUST_KEY_MAX  16384

#define NGX_HTTP_AGENTS_MCP_TRUST_TTL      300
#define NGX_HTTP_AGENTS_MCP_TRUST_TTL_MIN  2
#define NGX_HTTP_AGENTS_MCP_TRUST_TTL_MAX  86400

/* What a token is of where the operator does not say. */
#define NGX_HTTP_AGENTS_MCP_TRUST_ISSUER   "agents"

#define NGX_HTTP_AGENTS_MCP_TRUST_VALUES   4


static ngx_int_t ngx_http_agents_mcp_trust_values(ngx_conf_t *cf,
    const ngx_str_t *names, ngx_str_t *values);
static ngx_int_t ngx_http_agents_mcp_trust_url(ngx_conf_t *cf,
    ngx_http_agents_mcp_party_t *party);
static ngx_int_t ngx_http_agents_mcp_trust_ttl(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_agents_mcp_party_t *party);
static ngx_int_t ngx_http_agents_mcp_trust_key(ngx_conf_t *cf,
    const ngx_str_t *value, ngx_http_agents_mcp_party_t *party);
static void ngx_http_agents_mcp_trust_cleanup(void *data);
static ngx_int_t ngx_http_agents_mcp_trust_host(ngx_conf_t *cf,
    const ngx_str_t *value, ngx_http_agents_mcp_credential_t *credential);
static ngx_int_t ngx_http_agents_mcp_trust_header(ngx_conf_t *cf,
    const ngx_str_t *value, ngx_http_agents_mcp_credential_t *credential);
static ngx_int_t ngx_http_agents_mcp_trust_value(ngx_conf_t *cf,
    const ngx_str_t *value, ngx_http_agents_mcp_credential_t *credential);
static ngx_http_core_loc_conf_t *ngx_http_agents_mcp_trust_location(
    ngx_http_location_tree_node_t *node, const ngx_str_t *name);
static ngx_http_upstream_conf_t *ngx_http_agents_mcp_trust_proxy(
    ngx_conf_t *cf, ngx_http_core_loc_conf_t *clcf);
static ngx_uint_t ngx_http_agents_mcp_trust_is_host(
    const ngx_http_agents_url_t *url, const u_char *host, size_t len);
static ngx_uint_t ngx_http_agents_mcp_trust_is_path(
    const ngx_http_agents_url_t *url, const char *path, size_t len);
static ngx_uint_t ngx_http_agents_mcp_trust_is_plain(const char *path,
    size_t len);


static const ngx_str_t
    ngx_http_agents_mcp_trust_party_names[NGX_HTTP_AGENTS_MCP_TRUST_VALUES] =
{
    ngx_string("key"),
    ngx_string("ttl"),
    ngx_string("issuer"),
    ngx_null_string
};


static const ngx_str_t
    ngx_http_agents_mcp_trust_names[NGX_HTTP_AGENTS_MCP_TRUST_VALUES] =
{
    ngx_string("host"),
    ngx_string("header"),
    ngx_string("value"),
    ngx_string("path")
};


/* Headers that are the client's, or the connection's, own. */

static const char *const  ngx_http_agents_mcp_trust_reserved[] = {
    "host", "connection", "content-length", "content-type", "accept",
    "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive",
    "origin", "last-event-id"
};


char *
ngx_http_agents_mcp_trust_first_party(ngx_conf_t *cf, ngx_array_t **parties)
{
    ngx_str_t                    *value;
    ngx_str_t                     v[NGX_HTTP_AGENTS_MCP_TRUST_VALUES];
    ngx_uint_t                    i;
    ngx_http_agents_mcp_party_t  *party, *other;

    if (*parties == NULL) {
        *parties = ngx_array_create(cf->pool, 2,
                                    sizeof(ngx_http_agents_mcp_party_t));
        if (*parties == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    party = ngx_array_push(*parties);
    if (party == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(party, sizeof(ngx_http_agents_mcp_party_t));

    value = cf->args->elts;
    party->text = value[1];

    if (ngx_http_agents_mcp_trust_values(cf,
                                 ngx_http_agents_mcp_trust_party_names, v)
        != NGX_OK
        || ngx_http_agents_mcp_trust_url(cf, party) != NGX_OK
        || ngx_http_agents_mcp_trust_ttl(cf, &v[1], party) != NGX_OK
        || ngx_http_agents_mcp_trust_key(cf, &v[0], party) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    party->issuer = v[2].len ? (char *) v[2].data
                             : NGX_HTTP_AGENTS_MCP_TRUST_ISSUER;

    other = (*parties)->elts;

    for (i = 0; i + 1 < (*parties)->nelts; i++) {
        if (other[i].text.len == party->text.len
            && ngx_strncmp(other[i].text.data, party->text.data,
                           party->text.len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate first-party server \"%V\"",
                               &party->text);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* The words "name=value" from the third on; those not given are empty.  No
 * message repeats a value, which may be a secret. */

static ngx_int_t
ngx_http_agents_mcp_trust_values(ngx_conf_t *cf, const ngx_str_t *names,
    ngx_str_t *values)
{
    ngx_str_t   *arg;
    ngx_uint_t   i, n;

    ngx_memzero(values, NGX_HTTP_AGENTS_MCP_TRUST_VALUES * sizeof(ngx_str_t));

    arg = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        for (n = 0; n < NGX_HTTP_AGENTS_MCP_TRUST_VALUES; n++) {
            if (names[n].len != 0
                && arg[i].len > names[n].len
                && arg[i].data[names[n].len] == '='
                && ngx_strncmp(arg[i].data, names[n].data, names[n].len) == 0)
            {
                break;
            }
        }

        if (n == NGX_HTTP_AGENTS_MCP_TRUST_VALUES) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown parameter %ui of \"%V\", known are "
                               "%V=, %V=, %V=%s", i - 1, &arg[0],
                               &names[0], &names[1], &names[2],
                               names[3].len ? ", path=" : "");
            return NGX_ERROR;
        }

        if (values[n].data != NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V=\"", &names[n]);
            return NGX_ERROR;
        }

        values[n].data = arg[i].data + names[n].len + 1;
        values[n].len = arg[i].len - names[n].len - 1;

        if (values[n].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "empty parameter \"%V=\"", &names[n]);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_trust_url(ngx_conf_t *cf,
    ngx_http_agents_mcp_party_t *party)
{
    const char             *why;
    ngx_http_agents_url_t  *url;

    url = &party->url;

    if (ngx_http_agents_url_parse(url, (char *) party->text.data,
                                  party->text.len, &why)
        != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the url \"%V\" of a first-party server %s",
                           &party->text, why);
        return NGX_ERROR;
    }

    if (memchr(url->path, '?', url->path_len) != NULL
        || !ngx_http_agents_mcp_trust_is_plain(url->path, url->path_len))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the url \"%V\" of a first-party server must have "
                           "a plain path: no query, no dots or doubled "
                           "slashes between its parts", &party->text);
        return NGX_ERROR;
    }

    while (url->path_len != 0 && url->path[url->path_len - 1] == '/') {
        url->path_len--;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_trust_ttl(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_agents_mcp_party_t *party)
{
    party->ttl = value->len ? ngx_parse_time(value, 1)
                            : NGX_HTTP_AGENTS_MCP_TRUST_TTL;

    if (party->ttl < NGX_HTTP_AGENTS_MCP_TRUST_TTL_MIN
        || party->ttl > NGX_HTTP_AGENTS_MCP_TRUST_TTL_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"ttl=\": it must be a "
                           "time from 2s to 1d", value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_trust_key(ngx_conf_t *cf, const ngx_str_t *value,
    ngx_http_agents_mcp_party_t *party)
{
    char                 err[256];
    ngx_str_t            path, text;
    ngx_pool_cleanup_t  *cln;

    /* not repeated here: it may be the key itself */

    if (value->len <= 5 || ngx_strncmp(value->data, "file:", 5) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"agents_mcp_first_party\" needs the parameter "
                           "\"key=file:PATH\", a JSON Web Key");
        return NGX_ERROR;
    }

    path.data = value->data + 5;
    path.len = value->len - 5;

    if (ngx_http_agents_secret_file(cf, &path, "key=",
                                    NGX_HTTP_AGENTS_MCP_TRUST_KEY_MAX, &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    party->signer = ngx_http_agents_mcp_token_signer((char *) text.data,
                                                     text.len, err,
                                                     sizeof(err));
    ngx_explicit_memzero(text.data, text.len);

    if (party->signer == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the file \"%V\" of \"key=\" is no key to sign "
                           "with: %s", &path, err);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_agents_mcp_trust_cleanup;
    cln->data = party->signer;

    return NGX_OK;
}


static void
ngx_http_agents_mcp_trust_cleanup(void *data)
{
    ngx_http_agents_mcp_token_signer_free(data);
}


char *
ngx_http_agents_mcp_trust_credential(ngx_conf_t *cf,
    ngx_array_t **credentials)
{
    ngx_str_t                         *value;
    ngx_str_t                          v[NGX_HTTP_AGENTS_MCP_TRUST_VALUES];
    ngx_uint_t                         i;
    ngx_http_agents_mcp_credential_t  *credential, *other;

    if (*credentials == NULL) {
        *credentials = ngx_array_create(cf->pool, 4,
                                     sizeof(ngx_http_agents_mcp_credential_t));
        if (*credentials == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;
    other = (*credentials)->elts;

    for (i = 0; i < (*credentials)->nelts; i++) {
        if (other[i].name.len == value[1].len
            && ngx_strncmp(other[i].name.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate credential \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    credential = ngx_array_push(*credentials);
    if (credential == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(credential, sizeof(ngx_http_agents_mcp_credential_t));

    credential->name = value[1];

    if (ngx_http_agents_mcp_trust_values(cf, ngx_http_agents_mcp_trust_names,
                                         v)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < 3; i++) {
        if (v[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"agents_mcp_credential\" needs the parameter "
                               "\"%V=\"", &ngx_http_agents_mcp_trust_names[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (v[3].len != 0
        && (v[3].data[0] != '/'
            || !ngx_http_agents_mcp_trust_is_plain((char *) v[3].data,
                                                   v[3].len)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"path=\": it must be a "
                           "plain path that begins with \"/\"", &v[3]);
        return NGX_CONF_ERROR;
    }

    credential->path = v[3];

    while (credential->path.len != 0
           && credential->path.data[credential->path.len - 1] == '/')
    {
        credential->path.len--;
    }

    if (ngx_http_agents_mcp_trust_host(cf, &v[0], credential) != NGX_OK
        || ngx_http_agents_mcp_trust_header(cf, &v[1], credential) != NGX_OK
        || ngx_http_agents_mcp_trust_value(cf, &v[2], credential) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* HOST or HOST:PORT, as a url has it, with https:// before it or nothing. */

static ngx_int_t
ngx_http_agents_mcp_trust_host(ngx_conf_t *cf, const ngx_str_t *value,
    ngx_http_agents_mcp_credential_t *credential)
{
    u_char                 *p;
    ngx_str_t               text;
    const char             *why;
    ngx_http_agents_url_t   url;

    text = *value;
    why = "must be a host, without a path; \"https://\" may stand before it";

    credential->https = (ngx_strncasecmp(text.data, (u_char *) "https://", 8)
                         == 0);

    if (!credential->https) {
        text.len = sizeof("http://") - 1 + value->len;

        p = ngx_pnalloc(cf->pool, text.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        text.data = p;

        p = ngx_cpymem(p, "http://", sizeof("http://") - 1);
        ngx_memcpy(p, value->data, value->len);
    }

    if ((!credential->https
         && ngx_strlchr(value->data, value->data + value->len, '/') != NULL)
        || ngx_http_agents_url_parse(&url, (char *) text.data, text.len, &why)
           != 0
        || url.path_len != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"host=\": it %s", value,
                           why);
        return NGX_ERROR;
    }

    credential->host.data = (u_char *) url.host;
    credential->host.len = url.host_len;
    credential->port = url.explicit_port ? url.port : 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_trust_header(ngx_conf_t *cf, const ngx_str_t *value,
    ngx_http_agents_mcp_credential_t *credential)
{
    u_char      c;
    ngx_uint_t  i;

    for (i = 0; i < value->len; i++) {
        c = value->data[i] | 0x20;

        if ((c < 'a' || c > 'z') && value->data[i] != '-'
            && (value->data[i] < '0' || value->data[i] > '9'))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" of \"header=\": it must "
                               "be the name of a header", value);
            return NGX_ERROR;
        }
    }

    for (i = 0; i < sizeof(ngx_http_agents_mcp_trust_reserved)
                    / sizeof(ngx_http_agents_mcp_trust_reserved[0]); i++)
    {
        if (ngx_strcasecmp(value->data,
                           (u_char *) ngx_http_agents_mcp_trust_reserved[i])
            == 0)
        {
            break;
        }
    }

    if (i < sizeof(ngx_http_agents_mcp_trust_reserved)
            / sizeof(ngx_http_agents_mcp_trust_reserved[0])
        || ngx_strncasecmp(value->data, (u_char *) "mcp-", 4) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"header=\": this header "
                           "is the MCP client's own", value);
        return NGX_ERROR;
    }

    credential->header = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_trust_value(ngx_conf_t *cf, const ngx_str_t *value,
    ngx_http_agents_mcp_credential_t *credential)
{
    u_char      c;
    ngx_str_t   secret;
    ngx_uint_t  i;

    if (ngx_http_agents_secret_value(cf, value, "value=", &secret) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < secret.len; i++) {
        c = secret.data[i];

        if (c < ' ' || c == 0x7f) {
            break;
        }
    }

    if (i < secret.len || secret.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"value=\" of the credential \"%V\" must be one "
                           "line without control characters, not empty",
                           &credential->name);
        return NGX_ERROR;
    }

    credential->value = secret;

    return NGX_OK;
}


ngx_int_t
ngx_http_agents_mcp_trust_check(ngx_conf_t *cf,
    const ngx_http_agents_mcp_conf_t *conf)
{
    ngx_uint_t                    i;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_upstream_conf_t     *proxy;
    ngx_http_agents_mcp_party_t  *party;

    if (conf->parties == NULL) {
        return NGX_OK;
    }

    clcf = conf->target.ctx->loc_conf[ngx_http_core_module.ctx_index];
    clcf = ngx_http_agents_mcp_trust_location(clcf->static_locations,
                                              &conf->target.uri);
    proxy = (clcf != NULL) ? ngx_http_agents_mcp_trust_proxy(cf, clcf) : NULL;

    party = conf->parties->elts;

    for (i = 0; i < conf->parties->nelts; i++) {

        if (!party[i].url.https) {
            continue;
        }

#if (NGX_HTTP_SSL)

        if (proxy != NULL && proxy->ssl_verify == 1) {
            continue;
        }

#endif

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the first-party server \"%V\" gets tokens, so its "
                      "certificate has to be verified: add "
                      "\"proxy_ssl_verify on;\" and a "
                      "\"proxy_ssl_trusted_certificate\" to the location "
                      "\"%V\" that \"agents_mcp_location\" names",
                      &party[i].text, &conf->target.uri);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_http_core_loc_conf_t *
ngx_http_agents_mcp_trust_location(ngx_http_location_tree_node_t *node,
    const ngx_str_t *name)
{
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf, *found[2];

    if (node == NULL) {
        return NULL;
    }

    found[0] = node->exact;
    found[1] = node->inclusive;

    for (i = 0; i < 2; i++) {
        clcf = found[i];

        if (clcf == NULL) {
            continue;
        }

        if (clcf->name.len == name->len
            && ngx_strncmp(clcf->name.data, name->data, name->len) == 0)
        {
            return clcf;
        }

        clcf = ngx_http_agents_mcp_trust_location(clcf->static_locations,
                                                  name);
        if (clcf != NULL) {
            return clcf;
        }
    }

    clcf = ngx_http_agents_mcp_trust_location(node->left, name);

    if (clcf == NULL) {
        clcf = ngx_http_agents_mcp_trust_location(node->right, name);
    }

    if (clcf == NULL) {
        clcf = ngx_http_agents_mcp_trust_location(node->tree, name);
    }

    return clcf;
}


/* By its name: nginx may be without it.  The settings of an upstream are what
 * its configuration begins with. */

static ngx_http_upstream_conf_t *
ngx_http_agents_mcp_trust_proxy(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf)
{
    ngx_uint_t     i;
    ngx_module_t  *module;

    for (i = 0; cf->cycle->modules[i] != NULL; i++) {
        module = cf->cycle->modules[i];

        if (ngx_strcmp(module->name, "ngx_http_proxy_module") == 0) {
            return clcf->loc_conf[module->ctx_index];
        }
    }

    return NULL;
}


const ngx_http_agents_mcp_party_t *
ngx_http_agents_mcp_trust_party(const ngx_array_t *parties,
    const ngx_http_agents_url_t *url)
{
    ngx_uint_t                          i;
    const ngx_http_agents_mcp_party_t  *party;

    if (parties == NULL) {
        return NULL;
    }

    party = parties->elts;

    for (i = 0; i < parties->nelts; i++) {

        if (party[i].url.https == url->https
            && party[i].url.port == url->port
            && ngx_http_agents_mcp_trust_is_host(url,
                                           (u_char *) party[i].url.host,
                                           party[i].url.host_len)
            && ngx_http_agents_mcp_trust_is_path(url, party[i].url.path,
                                                 party[i].url.path_len))
        {
            return &party[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_agents_mcp_trust_applies(
    const ngx_http_agents_mcp_credential_t *credential,
    const ngx_http_agents_url_t *url)
{
    return (url->https || !credential->https)
           && (credential->port == 0 || credential->port == url->port)
           && ngx_http_agents_mcp_trust_is_host(url, credential->host.data,
                                                credential->host.len)
           && ngx_http_agents_mcp_trust_is_path(url,
                                                (char *) credential->path.data,
                                                credential->path.len);
}


static ngx_uint_t
ngx_http_agents_mcp_trust_is_host(const ngx_http_agents_url_t *url,
    const u_char *host, size_t len)
{
    return url->host_len == len
           && ngx_strncasecmp((u_char *) url->host, (u_char *) host, len) == 0;
}


/* The path, or what is below it; a server may read dots, and what is written
 * as %2e or %2f, as a way out of it. */

static ngx_uint_t
ngx_http_agents_mcp_trust_is_path(const ngx_http_agents_url_t *url,
    const char *path, size_t len)
{
    size_t  n;

    for (n = 0; n < url->path_len && url->path[n] != '?'; n++) {
        /* void */
    }

    if (len == 0) {
        return 1;
    }

    return n >= len
           && ngx_strncmp(url->path, path, len) == 0
           && (n == len || url->path[len] == '/')
           && ngx_http_agents_mcp_trust_is_plain(url->path, n);
}


static ngx_uint_t
ngx_http_agents_mcp_trust_is_plain(const char *path, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {

        /* a part that begins with a dot, or has a character in hiding */

        if (path[i] == '%') {
            return 0;
        }

        if (path[i] == '/' && i + 1 < len
            && (path[i + 1] == '/' || path[i + 1] == '.'))
        {
            return 0;
        }
    }

    return 1;
}
