
/*
 * What the results of MCP's methods hold, made into what the engine takes.
 * Pure: no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_CONTENT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_CONTENT_H_INCLUDED_


#include "ngx_http_agents_mcp_message.h"


/* Each fills the reading: its result, or what is wrong with it. */
void ngx_http_agents_mcp_content_initialize(
    ngx_http_agents_mcp_reading_t *reading, const json_t *result);
void ngx_http_agents_mcp_content_list(ngx_http_agents_mcp_reading_t *reading,
    const json_t *result);
void ngx_http_agents_mcp_content_call(ngx_http_agents_mcp_reading_t *reading,
    const json_t *result);


#endif /* _NGX_HTTP_AGENTS_MCP_CONTENT_H_INCLUDED_ */
