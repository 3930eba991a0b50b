
/*
 * URLs of the configuration: their form, and the addresses of their hosts.
 * While the configuration is read.
 */


#ifndef _NGX_HTTP_AGENTS_CATALOG_URL_H_INCLUDED_
#define _NGX_HTTP_AGENTS_CATALOG_URL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* The length of "http://" or "https://"; 0 for any other beginning. */
size_t ngx_http_agents_catalog_url_scheme(const ngx_str_t *url);

/*
 * A host with an optional port and path, and nothing else; slashes at its end
 * go.  NULL, or what is wrong with it.
 */
const char *ngx_http_agents_catalog_url_check(ngx_str_t *url);

/*
 * Finds the host's addresses once, as for the servers of an upstream: a
 * lookup by libcurl itself would take a thread each, and wait for it.
 * *resolve is for CURLOPT_RESOLVE, or stays empty where the host is an
 * address; "proxy" tells how the default port is chosen, and that a user may
 * stand before the host.  NGX_ERROR with what is wrong in *why; NGX_DECLINED
 * likewise: the host is not known, and *resolve is without addresses.
 */
ngx_int_t ngx_http_agents_catalog_url_resolve(ngx_conf_t *cf,
    const ngx_str_t *url, ngx_uint_t proxy, ngx_str_t *resolve,
    const char **why);


#endif /* _NGX_HTTP_AGENTS_CATALOG_URL_H_INCLUDED_ */
