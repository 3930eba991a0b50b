
#include "ngx_http_agents_catalog_url.h"


static ngx_int_t ngx_http_agents_catalog_url_addresses(ngx_conf_t *cf,
    ngx_url_t *u, ngx_str_t *resolve);


size_t
ngx_http_agents_catalog_url_scheme(const ngx_str_t *url)
{
    if (ngx_strncasecmp(url->data, (u_char *) "http://", 7) == 0) {
        return 7;
    }

    if (ngx_strncasecmp(url->data, (u_char *) "https://", 8) == 0) {
        return 8;
    }

    return 0;
}


const char *
ngx_http_agents_catalog_url_check(ngx_str_t *url)
{
    size_t  i, scheme;

    scheme = ngx_http_agents_catalog_url_scheme(url);

    if (scheme == 0) {
        return "it must begin with \"http://\" or \"https://\"";
    }

    for (i = scheme; i < url->len; i++) {
        if (url->data[i] <= ' ' || url->data[i] >= 0x7f
            || ngx_strchr("?#@\\", url->data[i]) != NULL)
        {
            return "it must be a host, an optional port and an optional path, "
                   "without user, query and fragment";
        }
    }

    while (url->len > scheme && url->data[url->len - 1] == '/') {
        url->len--;
    }

    url->data[url->len] = '\0';

    return NULL;
}


ngx_int_t
ngx_http_agents_catalog_url_resolve(ngx_conf_t *cf, const ngx_str_t *url,
    ngx_uint_t proxy, ngx_str_t *resolve, const char **why)
{
    u_char     *p, *last;
    size_t      scheme;
    ngx_int_t   rc;
    ngx_url_t   u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    scheme = ngx_http_agents_catalog_url_scheme(url);

    u.url.data = url->data + scheme;
    u.url.len = url->len - scheme;
    u.default_port = (scheme == 7) ? 80 : 443;
    u.uri_part = 1;

    if (proxy) {

        /* libcurl's own default, and what may stand before the host */

        u.default_port = (scheme == 7) ? 1080 : 443;
        last = u.url.data + u.url.len;

        for (p = u.url.data; p < last; p++) {
            if (*p == '@') {
                u.url.data = p + 1;
                u.url.len = last - u.url.data;
            }
        }
    }

    if (u.url.len == 0
        || ngx_strncasecmp(u.url.data, (u_char *) "unix:", 5) == 0)
    {
        *why = "no host";
        return NGX_ERROR;
    }

    rc = ngx_parse_url(cf->pool, &u);

    if (rc != NGX_OK) {
        *why = (u.err != NULL) ? u.err : "no host";

        if (ngx_strcmp(*why, "host not found") != 0) {
            return NGX_ERROR;
        }

        u.naddrs = 0;
        rc = NGX_DECLINED;
    }

    if (ngx_http_agents_catalog_url_addresses(cf, &u, resolve) != NGX_OK) {
        *why = "out of memory";
        return NGX_ERROR;
    }

    return rc;
}


/* "host:port:address,[address6]" */

static ngx_int_t
ngx_http_agents_catalog_url_addresses(ngx_conf_t *cf, ngx_url_t *u,
    ngx_str_t *resolve)
{
    u_char           *p, *last;
    size_t            len;
    ngx_uint_t        i;
    struct sockaddr  *sockaddr;

    if (u->host.data[0] == '['
        || ngx_inet_addr(u->host.data, u->host.len) != INADDR_NONE)
    {
        return NGX_OK;
    }

    len = u->host.len + sizeof(":65535:")
          + u->naddrs * (NGX_SOCKADDR_STRLEN + sizeof("[],"));

    resolve->data = ngx_pnalloc(cf->pool, len);
    if (resolve->data == NULL) {
        return NGX_ERROR;
    }

    last = resolve->data + len;

    p = ngx_slprintf(resolve->data, last, "%V:%d:", &u->host, (int) u->port);

    for (i = 0; i < u->naddrs; i++) {
        sockaddr = u->addrs[i].sockaddr;

        if (i != 0) {
            *p++ = ',';
        }

        if (sockaddr->sa_family == AF_INET6) {
            *p++ = '[';
        }

        p += ngx_sock_ntop(sockaddr, u->addrs[i].socklen, p, last - p, 0);

        if (sockaddr->sa_family == AF_INET6) {
            *p++ = ']';
        }
    }

    *p = '\0';
    resolve->len = p - resolve->data;

    return NGX_OK;
}
