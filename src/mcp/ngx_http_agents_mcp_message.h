
/*
 * JSON-RPC as MCP speaks it: what is sent is built here, what comes is read
 * here.  Pure: no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_MESSAGE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_MESSAGE_H_INCLUDED_


#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "ngx_http_agents_buf.h"


#define NGX_HTTP_AGENTS_MCP_CLIENT_NAME     "ngx_http_agents_module"

/* The newest revision that has the handshake. */
#define NGX_HTTP_AGENTS_MCP_VERSION         "2025-11-25"
#define NGX_HTTP_AGENTS_MCP_VERSION_LEN     (sizeof("2025-11-25") - 1)

/* The one that has none: each request says who asks. */
#define NGX_HTTP_AGENTS_MCP_MODERN          "2026-07-28"

#define NGX_HTTP_AGENTS_MCP_ALIAS_MAX       32


/* JSON-RPC's own; the one that servers use for a lost session; and those of
 * the modern revision. */
#define NGX_HTTP_AGENTS_MCP_NO_METHOD       (-32601)
#define NGX_HTTP_AGENTS_MCP_SERVER_ERROR    (-32000)
#define NGX_HTTP_AGENTS_MCP_BAD_HEADER      (-32020)
#define NGX_HTTP_AGENTS_MCP_NO_CAPABILITY   (-32021)
#define NGX_HTTP_AGENTS_MCP_BAD_VERSION     (-32022)


/* Building.  "params" is JSON text, or NULL for none. */
void ngx_http_agents_mcp_message_request(ngx_http_agents_buf_t *buf,
    int64_t id, const char *method, const char *params);
void ngx_http_agents_mcp_message_notification(ngx_http_agents_buf_t *buf,
    const char *method, const char *params);

/*
 * What the parameters have as _meta: of the newer revision who asks, and in
 * any the trace, if there is one (NULL: none).  Nothing where it would be
 * empty.
 */
void ngx_http_agents_mcp_message_meta(ngx_http_agents_buf_t *buf, int modern,
    const char *traceparent, const char *tracestate);

/* Parameters of the methods, as JSON text; "meta" is the text of _meta, or
 * NULL. */
void ngx_http_agents_mcp_message_initialize_params(ngx_http_agents_buf_t *buf,
    const char *meta);
void ngx_http_agents_mcp_message_list_params(ngx_http_agents_buf_t *buf,
    const char *cursor, const char *meta);
void ngx_http_agents_mcp_message_call_params(ngx_http_agents_buf_t *buf,
    const char *tool, const json_t *arguments, const char *meta);

/* Parameters that were sent before, with what the server asked for: both JSON
 * text, or NULL. */
void ngx_http_agents_mcp_message_retry_params(ngx_http_agents_buf_t *buf,
    const char *params, const char *responses, const char *state);

void ngx_http_agents_mcp_message_cancelled_params(ngx_http_agents_buf_t *buf,
    int64_t id, const char *reason);

/* One text block, [{"type": "text", "text": ...}]: a new reference, or NULL
 * without memory.  Broken UTF-8 becomes U+FFFD. */
json_t *ngx_http_agents_mcp_message_text(const char *text);


/* The method whose result is awaited. */
typedef enum {
    NGX_HTTP_AGENTS_MCP_INITIALIZE = 0,
    NGX_HTTP_AGENTS_MCP_LIST,
    NGX_HTTP_AGENTS_MCP_CALL
} ngx_http_agents_mcp_method_e;


typedef enum {
    NGX_HTTP_AGENTS_MCP_OTHER = 0,  /* not for us: to be passed over */
    NGX_HTTP_AGENTS_MCP_RESULT,     /* ours */
    NGX_HTTP_AGENTS_MCP_ERROR,      /* ours: code and message */
    NGX_HTTP_AGENTS_MCP_REQUEST,    /* of the server: "reply" is to be sent */
    NGX_HTTP_AGENTS_MCP_INVALID,    /* no message, or a result that is none:
                                       "message" says what is wrong */
    NGX_HTTP_AGENTS_MCP_NO_MEMORY   /* to tell which: what else stands in the
                                       reading means nothing */
} ngx_http_agents_mcp_found_e;


typedef struct {
    /* what to read */
    char                          *text;        /* malloc'd */
    size_t                         len;
    int64_t                        id;          /* of our request */
    ngx_http_agents_mcp_method_e   method;
    unsigned                       lax:1;       /* of an HTTP error: any id */
    unsigned                       modern:1;    /* so is the server */
    char                           alias[NGX_HTTP_AGENTS_MCP_ALIAS_MAX + 1];

    /* what it is */
    ngx_http_agents_mcp_found_e    found;

    int64_t                        code;        /* of an error; 0: none */
    char                          *message;     /* malloc'd, or NULL */
    char                          *reply;       /* malloc'd */

    unsigned                       typed:1;     /* the result names its type */
    unsigned                       takes_modern:1;  /* an error says so */
    unsigned                       takes_legacy:1;

    char                           version[NGX_HTTP_AGENTS_MCP_VERSION_LEN + 1];
    unsigned                       has_tools:1; /* initialize: it says so */

    json_t                        *tools;       /* list: as ..._mcp.h says */
    char                          *cursor;      /* malloc'd; NULL: the end */
    size_t                         left_out;    /* tools: wrong x-mcp-header */
    int64_t                        ttl;         /* list: as it says, or -1 */
    unsigned                       changed:1;   /* OTHER: so have its tools */

    json_t                        *content;     /* call: text blocks; NULL if
                                                   it is to be made again */
    unsigned                       again:1;     /* with these: */
    char                          *responses;   /* malloc'd, or NULL */
    char                          *state;       /* the same */
    unsigned                       is_error:1;
} ngx_http_agents_mcp_reading_t;


/* Reads the text; long, so for a pool thread where the text is long. */
void ngx_http_agents_mcp_message_read(ngx_http_agents_mcp_reading_t *reading);

/* Frees what the reading holds, not itself. */
void ngx_http_agents_mcp_message_free(ngx_http_agents_mcp_reading_t *reading);


#endif /* _NGX_HTTP_AGENTS_MCP_MESSAGE_H_INCLUDED_ */
