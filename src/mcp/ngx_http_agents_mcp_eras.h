
/*
 * Which MCP servers of this node are known to speak a revision with the
 * handshake: a hint that saves the question.  It may be wrong, or lost: the
 * client finds out for itself.  Fixed places without locks.  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_ERAS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_ERAS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_AGENTS_MCP_ERAS_PLACES  4096


/* The zone's part.  A place has a url's hash and the hour of the hint in one
 * word; another url of the same place takes it over. */
typedef struct {
    ngx_atomic_t  places[NGX_HTTP_AGENTS_MCP_ERAS_PLACES];
} ngx_http_agents_mcp_eras_t;


/* Whether the server at the url had the handshake within the last day. */
ngx_uint_t ngx_http_agents_mcp_eras_legacy(
    const ngx_http_agents_mcp_eras_t *eras, const ngx_str_t *url);

void ngx_http_agents_mcp_eras_remember(ngx_http_agents_mcp_eras_t *eras,
    const ngx_str_t *url);
void ngx_http_agents_mcp_eras_forget(ngx_http_agents_mcp_eras_t *eras,
    const ngx_str_t *url);


#endif /* _NGX_HTTP_AGENTS_MCP_ERAS_H_INCLUDED_ */
