
/*
 * How an exchange with an MCP server ended, and how to say it: nothing that
 * is said here tells of the network inside.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_REPLY_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_mcp_message.h"


typedef enum {
    NGX_HTTP_AGENTS_MCP_DONE = 0,       /* a result; of a notification: 2xx */
    NGX_HTTP_AGENTS_MCP_REJECTED,       /* a JSON-RPC error */
    NGX_HTTP_AGENTS_MCP_HTTP,           /* an HTTP status without an answer */
    NGX_HTTP_AGENTS_MCP_NONSENSE,       /* an answer that is none */
    NGX_HTTP_AGENTS_MCP_UNREACHABLE,    /* nothing was sent */
    NGX_HTTP_AGENTS_MCP_CUT_OFF,        /* the connection ended before */
    NGX_HTTP_AGENTS_MCP_TIMED_OUT,
    NGX_HTTP_AGENTS_MCP_OVERSIZED,
    NGX_HTTP_AGENTS_MCP_NO_RESOURCES,   /* of ours: memory, connections */
    NGX_HTTP_AGENTS_MCP_NO_LOCATION     /* that passes requests on */
} ngx_http_agents_mcp_outcome_e;


typedef struct {
    ngx_http_agents_mcp_outcome_e    outcome;
    ngx_uint_t                       http_status;   /* 0: none came */
    ngx_str_t                        session;       /* alive during the call */
    ngx_str_t                        location;      /* the same */
    size_t                           bytes;         /* of the message */
    unsigned                         changed:1;     /* its tools have, as it
                                                       said meanwhile */
    unsigned                         sent:1;        /* of NO_RESOURCES: the
                                                       server may have had the
                                                       request */
    ngx_http_agents_mcp_reading_t   *reading;       /* of the answer; NULL if
                                                       there is none; what the
                                                       callee takes out of it,
                                                       it sets to NULL */
} ngx_http_agents_mcp_reply_t;


/* What went wrong, as a sentence without its full stop, NUL terminated. */
void ngx_http_agents_mcp_reply_why(const ngx_http_agents_mcp_reply_t *reply,
    char *out, size_t size);


#endif /* _NGX_HTTP_AGENTS_MCP_REPLY_H_INCLUDED_ */
