
/*
 * The tools of servers as they were discovered, where the operator wants them
 * remembered: a worker's own memory, bounded, each user's own.  Event loop
 * only; lists are shared by runs, which do not change them.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_CACHE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <jansson.h>


typedef struct ngx_http_agents_mcp_cache_s  ngx_http_agents_mcp_cache_t;


typedef struct {
    json_t     *tools;
    json_t     *params;         /* of ..._param_find, by tool; or NULL */
    unsigned    has_tools:1;    /* what the server's era found out */
    unsigned    modern:1;
} ngx_http_agents_mcp_cached_t;


/* Empty; it ends with the pool.  NULL without memory. */
ngx_http_agents_mcp_cache_t *ngx_http_agents_mcp_cache_create(
    ngx_pool_t *pool);

/* NGX_OK with new references in *cached, or NGX_DECLINED. */
ngx_int_t ngx_http_agents_mcp_cache_get(ngx_http_agents_mcp_cache_t *cache,
    const ngx_str_t *key, ngx_http_agents_mcp_cached_t *cached);

/* For so many milliseconds; "bytes" is what the list took on the wire.  It
 * takes references of its own.  What finds no room is not kept. */
void ngx_http_agents_mcp_cache_put(ngx_http_agents_mcp_cache_t *cache,
    const ngx_str_t *key, const ngx_http_agents_mcp_cached_t *cached,
    size_t bytes, ngx_msec_t time);

void ngx_http_agents_mcp_cache_drop(ngx_http_agents_mcp_cache_t *cache,
    const ngx_str_t *key);


#endif /* _NGX_HTTP_AGENTS_MCP_CACHE_H_INCLUDED_ */
