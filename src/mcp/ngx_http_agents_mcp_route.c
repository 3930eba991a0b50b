
#include "ngx_http_agents_mcp_route.h"


static ngx_int_t ngx_http_agents_mcp_route_names(
    ngx_http_agents_mcp_route_t *route);
static ngx_http_upstream_srv_conf_t *ngx_http_agents_mcp_route_upstream(
    ngx_http_agents_mcp_route_t *route);
static ngx_int_t ngx_http_agents_mcp_route_literal(
    ngx_http_agents_mcp_route_t *route);
static ngx_int_t ngx_http_agents_mcp_route_resolve(
    ngx_http_agents_mcp_route_t *route, ngx_msec_t timeout);
static void ngx_http_agents_mcp_route_resolved_handler(
    ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_agents_mcp_route_take(
    ngx_http_agents_mcp_route_t *route, ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_agents_mcp_route_address(
    ngx_http_agents_mcp_route_t *route, struct sockaddr *sockaddr,
    socklen_t socklen);
static ngx_int_t ngx_http_agents_mcp_route_add(
    ngx_http_agents_mcp_route_t *route, ngx_str_t *authority);


ngx_int_t
ngx_http_agents_mcp_route_find(ngx_http_agents_mcp_route_t *route,
    ngx_msec_t timeout, ngx_http_agents_mcp_route_pt done, void *data)
{
    ngx_int_t                      rc;
    ngx_str_t                      authority;
    ngx_http_upstream_srv_conf_t  *uscf;

    route->n = 0;
    route->current = 0;
    route->done = done;
    route->data = data;

    if (ngx_http_agents_mcp_route_names(route) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_agents_egress_check_url(route->conf->egress, &route->url);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, route->log, 0,
                      "mcp server at \"%V\" is denied by the egress rules",
                      &route->host);
        return NGX_DECLINED;
    }

    uscf = ngx_http_agents_mcp_route_upstream(route);

    if (uscf != NULL) {

        /* without a port, as it is looked up by proxy_pass */

        authority = uscf->host;
        return ngx_http_agents_mcp_route_add(route, &authority);
    }

    if (route->url.is_ipv4 || route->url.is_ipv6) {
        return ngx_http_agents_mcp_route_literal(route);
    }

    return ngx_http_agents_mcp_route_resolve(route, timeout);
}


void
ngx_http_agents_mcp_route_cancel(ngx_http_agents_mcp_route_t *route)
{
    if (route->resolving != NULL) {
        ngx_resolve_name_done(route->resolving);
        route->resolving = NULL;
    }
}


static ngx_int_t
ngx_http_agents_mcp_route_names(ngx_http_agents_mcp_route_t *route)
{
    u_char                       *p;
    const ngx_http_agents_url_t  *url;

    url = &route->url;

    route->host.data = (u_char *) url->authority;
    route->host.len = url->authority_len;

    route->server_name.data = (u_char *) url->host;
    route->server_name.len = url->host_len;

    if (url->is_ipv6) {

        /* in brackets it is known to be no name */

        p = ngx_pnalloc(route->pool, url->host_len + 2);
        if (p == NULL) {
            return NGX_ERROR;
        }

        route->server_name.data = p;
        route->server_name.len = url->host_len + 2;

        *p++ = '[';
        p = ngx_cpymem(p, url->host, url->host_len);
        *p = ']';

    } else if (url->host_len > 1 && url->host[url->host_len - 1] == '.') {

        /* names in certificates have no final dot */

        route->server_name.len--;
    }

    return NGX_OK;
}


/* Only of blocks: what a proxy_pass named elsewhere vouches for nothing. */

static ngx_http_upstream_srv_conf_t *
ngx_http_agents_mcp_route_upstream(ngx_http_agents_mcp_route_t *route)
{
    ngx_uint_t                       i;
    ngx_http_conf_ctx_t             *ctx;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    ctx = route->conf->target.ctx;
    umcf = ngx_http_get_module_main_conf(ctx, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if ((uscfp[i]->flags & NGX_HTTP_UPSTREAM_CREATE)
            && uscfp[i]->host.len == route->url.host_len
            && ngx_strncasecmp(uscfp[i]->host.data,
                               (u_char *) route->url.host,
                               route->url.host_len)
               == 0)
        {
            return uscfp[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_agents_mcp_route_literal(ngx_http_agents_mcp_route_t *route)
{
    ngx_sockaddr_t  address;

    ngx_memzero(&address, sizeof(ngx_sockaddr_t));

#if (NGX_HAVE_INET6)

    if (route->url.is_ipv6) {
        address.sockaddr_in6.sin6_family = AF_INET6;
        ngx_memcpy(&address.sockaddr_in6.sin6_addr, route->url.address, 16);

        return ngx_http_agents_mcp_route_address(route, &address.sockaddr,
                                                 sizeof(struct sockaddr_in6));
    }

#endif

    address.sockaddr_in.sin_family = AF_INET;
    ngx_memcpy(&address.sockaddr_in.sin_addr, route->url.address, 4);

    return ngx_http_agents_mcp_route_address(route, &address.sockaddr,
                                             sizeof(struct sockaddr_in));
}


static ngx_int_t
ngx_http_agents_mcp_route_resolve(ngx_http_agents_mcp_route_t *route,
    ngx_msec_t timeout)
{
    ngx_int_t            rc;
    ngx_str_t            name;
    ngx_resolver_ctx_t  *ctx, temp;

    name.data = (u_char *) route->url.host;
    name.len = route->url.host_len;

    if (route->conf->resolver == NULL) {
        ngx_log_error(NGX_LOG_ERR, route->log, 0,
                      "no resolver defined to resolve \"%V\"", &name);
        return NGX_DECLINED;
    }

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));
    temp.name = name;

    ctx = ngx_resolve_start(route->conf->resolver, &temp);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx == NGX_NO_RESOLVER) {
        ngx_log_error(NGX_LOG_ERR, route->log, 0,
                      "no resolver defined to resolve \"%V\"", &name);
        return NGX_DECLINED;
    }

    ctx->name = name;
    ctx->handler = ngx_http_agents_mcp_route_resolved_handler;
    ctx->data = route;
    ctx->timeout = ngx_min(timeout, route->conf->resolver_timeout);

    route->resolving = ctx;

    rc = ngx_resolve_name(ctx);

    if (rc != NGX_OK) {
        route->resolving = NULL;
        return NGX_ERROR;       /* nothing was asked, for want of memory */
    }

    return NGX_AGAIN;
}


static void
ngx_http_agents_mcp_route_resolved_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_http_agents_mcp_route_t  *route;

    route = ctx->data;

    rc = ngx_http_agents_mcp_route_take(route, ctx);

    route->resolving = NULL;
    ngx_resolve_name_done(ctx);

    route->done(route->data, rc);
}


static ngx_int_t
ngx_http_agents_mcp_route_take(ngx_http_agents_mcp_route_t *route,
    ngx_resolver_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    if (ctx->state) {
        ngx_log_error(NGX_LOG_WARN, route->log, 0,
                      "\"%V\" could not be resolved (%i: %s)",
                      &ctx->name, ctx->state,
                      ngx_resolver_strerror(ctx->state));
        return NGX_DECLINED;
    }

    for (i = 0; i < ctx->naddrs; i++) {

        rc = ngx_http_agents_egress_check_address(route->conf->egress,
                                                  &route->url,
                                                  ctx->addrs[i].sockaddr);
        if (rc != NGX_OK) {
            continue;
        }

        rc = ngx_http_agents_mcp_route_address(route, ctx->addrs[i].sockaddr,
                                               ctx->addrs[i].socklen);
        if (rc != NGX_OK) {
            return rc;
        }

        if (route->n == NGX_HTTP_AGENTS_MCP_ADDRESSES) {
            break;
        }
    }

    if (route->n == 0) {
        ngx_log_error(NGX_LOG_WARN, route->log, 0,
                      "the egress rules deny every address of \"%V\"",
                      &ctx->name);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_route_address(ngx_http_agents_mcp_route_t *route,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    u_char          text[NGX_SOCKADDR_STRLEN];
    ngx_str_t       authority;
    ngx_sockaddr_t  address;

    /* the resolver's own stays as it is: others share it */

    ngx_memcpy(&address, sockaddr, socklen);
    ngx_inet_set_port(&address.sockaddr, route->url.port);

    authority.data = text;
    authority.len = ngx_sock_ntop(&address.sockaddr, socklen, text,
                                  NGX_SOCKADDR_STRLEN, 1);

    return ngx_http_agents_mcp_route_add(route, &authority);
}


static ngx_int_t
ngx_http_agents_mcp_route_add(ngx_http_agents_mcp_route_t *route,
    ngx_str_t *authority)
{
    u_char                       *p;
    ngx_str_t                    *upstream;
    const ngx_http_agents_url_t  *url;

    url = &route->url;
    upstream = &route->upstreams[route->n];

    p = ngx_pnalloc(route->pool, sizeof("https:///") - 1 + authority->len
                                 + url->path_len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    upstream->data = p;

    p = url->https ? ngx_cpymem(p, "https://", sizeof("https://") - 1)
                   : ngx_cpymem(p, "http://", sizeof("http://") - 1);

    p = ngx_cpymem(p, authority->data, authority->len);

    /* the location's own uri would be sent where there is none */

    if (url->path_len == 0 || url->path[0] != '/') {
        *p++ = '/';
    }

    p = ngx_cpymem(p, url->path, url->path_len);

    upstream->len = p - upstream->data;
    route->n++;

    return NGX_OK;
}
