
/*
 * The way from an MCP server's url to what the internal location is given:
 * the name of an upstream{} block that bears the host's name, or an address,
 * literal or resolved, that the egress rules allow.  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_ROUTE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_ROUTE_H_INCLUDED_


#include "ngx_http_agents_egress.h"
#include "ngx_http_agents_mcp.h"


/* Of one host, that is; the others are never tried. */
#define NGX_HTTP_AGENTS_MCP_ADDRESSES  8


/* NGX_OK, or NGX_DECLINED: unresolvable or denied; NGX_ERROR: no memory. */
typedef void (*ngx_http_agents_mcp_route_pt)(void *data, ngx_int_t rc);


typedef struct {
    ngx_str_t                            upstreams[
                                               NGX_HTTP_AGENTS_MCP_ADDRESSES];
    ngx_uint_t                           n;
    ngx_uint_t                           current;
    ngx_str_t                            host;
    ngx_str_t                            server_name;

    const ngx_http_agents_mcp_conf_t    *conf;
    ngx_http_agents_url_t                url;
    ngx_pool_t                          *pool;
    ngx_log_t                           *log;

    ngx_resolver_ctx_t                  *resolving;
    ngx_http_agents_mcp_route_pt         done;
    void                                *data;
} ngx_http_agents_mcp_route_t;


/*
 * The url's text and the pool must outlive the route.  NGX_AGAIN: "done" is
 * called, maybe from within; else the result, as "done" would be given it.
 */
ngx_int_t ngx_http_agents_mcp_route_find(ngx_http_agents_mcp_route_t *route,
    ngx_msec_t timeout, ngx_http_agents_mcp_route_pt done, void *data);

void ngx_http_agents_mcp_route_cancel(ngx_http_agents_mcp_route_t *route);


#endif /* _NGX_HTTP_AGENTS_MCP_ROUTE_H_INCLUDED_ */
