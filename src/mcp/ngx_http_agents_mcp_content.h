
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

/* A call's result that asks for more: what it is answered with. */
void ngx_http_agents_mcp_content_input(ngx_http_agents_mcp_reading_t *reading,
    const json_t *result);

/* Whether it is a revision with the handshake that this client speaks. */
int ngx_http_agents_mcp_content_is_version(const char *version);


#endif /* _NGX_HTTP_AGENTS_MCP_CONTENT_H_INCLUDED_ */
