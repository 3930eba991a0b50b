
/*
 * Arguments of a tool that go as headers, too: what "x-mcp-header" in its
 * input schema asks for (2026-07-28).  Pure: no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_PARAM_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_PARAM_H_INCLUDED_


#include <jansson.h>
#include "ngx_http_agents_buf.h"


/*
 * What a schema asks for: an array, maybe empty, of arrays of a header's name
 * and then the names of the members that lead to the argument.  A new
 * reference, or NULL: *why is then the rule that the schema breaks, so that
 * its tool is to be left out, or NULL without memory.
 */
json_t *ngx_http_agents_mcp_param_find(const json_t *schema,
    const char **why);

/*
 * The headers of a call, of what was found: each its name and its value, with
 * a NUL after both, added to "buf".  How many there are.
 */
size_t ngx_http_agents_mcp_param_headers(ngx_http_agents_buf_t *buf,
    const json_t *found, const json_t *arguments);

/* A text as the value of a header: as it is, or as =?base64?...?=. */
void ngx_http_agents_mcp_param_encode(ngx_http_agents_buf_t *buf,
    const char *text, size_t len);


#endif /* _NGX_HTTP_AGENTS_MCP_PARAM_H_INCLUDED_ */
