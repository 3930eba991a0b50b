
/*
 * Servers of 2026-07-28: no session, headers that say what the body does.
 */


#include "ngx_http_agents_mcp_private.h"
#include "ngx_http_agents_mcp_param.h"


/*
 * The revision without a handshake: each request says by itself which it is
 * of, in _meta and in headers.  To close its connection is to cancel it, and
 * there is no end to be told.
 */


static ngx_int_t ngx_http_agents_mcp_modern_open(
    ngx_http_agents_mcp_server_t *server);
static ngx_int_t ngx_http_agents_mcp_modern_headers(
    ngx_http_agents_mcp_server_t *server, const char *tool,
    const json_t *arguments, ngx_http_agents_background_header_t **headers,
    ngx_uint_t *n);
static ngx_http_agents_background_header_t *ngx_http_agents_mcp_modern_split(
    const ngx_http_agents_buf_t *text, ngx_uint_t n, ngx_log_t *log);
static ngx_int_t ngx_http_agents_mcp_modern_settle(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply);
static ngx_int_t ngx_http_agents_mcp_modern_settle_error(
    const ngx_http_agents_mcp_reply_t *reply);
static ngx_uint_t ngx_http_agents_mcp_modern_lost(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply);
static void ngx_http_agents_mcp_modern_abandon(
    ngx_http_agents_mcp_server_t *server, int64_t id);
static void ngx_http_agents_mcp_modern_close(
    ngx_http_agents_mcp_server_t *server);


static const ngx_http_agents_background_header_t
    ngx_http_agents_mcp_modern_list =
{
    ngx_string("Mcp-Method"),
    ngx_string("tools/list")
};


const ngx_http_agents_mcp_era_t  ngx_http_agents_mcp_modern = {
    ngx_http_agents_mcp_modern_open,
    1,
    &ngx_http_agents_mcp_modern_list,
    ngx_http_agents_mcp_modern_headers,
    ngx_http_agents_mcp_modern_settle,
    ngx_http_agents_mcp_modern_lost,
    ngx_http_agents_mcp_modern_abandon,
    ngx_http_agents_mcp_modern_close
};


static ngx_int_t
ngx_http_agents_mcp_modern_open(ngx_http_agents_mcp_server_t *server)
{
    ngx_memcpy(server->version, NGX_HTTP_AGENTS_MCP_MODERN,
               sizeof(NGX_HTTP_AGENTS_MCP_MODERN));

    server->has_tools = 1;

    ngx_http_agents_mcp_headers(server);
    ngx_http_agents_mcp_opened(server, NULL);

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_modern_headers(ngx_http_agents_mcp_server_t *server,
    const char *tool, const json_t *arguments,
    ngx_http_agents_background_header_t **headers, ngx_uint_t *n)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);

    ngx_http_agents_buf_add(&text, "Mcp-Method\0tools/call",
                            sizeof("Mcp-Method\0tools/call"));
    ngx_http_agents_buf_add(&text, "Mcp-Name", sizeof("Mcp-Name"));
    ngx_http_agents_mcp_param_encode(&text, tool, ngx_strlen(tool));
    ngx_http_agents_buf_addc(&text, '\0');

    *n = 2 + ngx_http_agents_mcp_param_headers(&text,
                           json_object_get(server->params, tool), arguments);

    *headers = text.failed ? NULL
                           : ngx_http_agents_mcp_modern_split(&text, *n,
                                                              server->log);
    ngx_http_agents_buf_free(&text);

    return (*headers != NULL) ? NGX_OK : NGX_ERROR;
}


/* Names and values with a NUL after each, as an array with its own text. */

static ngx_http_agents_background_header_t *
ngx_http_agents_mcp_modern_split(const ngx_http_agents_buf_t *text,
    ngx_uint_t n, ngx_log_t *log)
{
    size_t                                size;
    u_char                               *p;
    ngx_uint_t                            i;
    ngx_http_agents_background_header_t  *headers;

    size = n * sizeof(ngx_http_agents_background_header_t);

    headers = ngx_alloc(size + text->len, log);
    if (headers == NULL) {
        return NULL;
    }

    p = (u_char *) headers + size;
    ngx_memcpy(p, text->data, text->len);

    for (i = 0; i < n; i++) {

        headers[i].name.data = p;
        headers[i].name.len = ngx_strlen(p);
        p += headers[i].name.len + 1;

        headers[i].value.data = p;
        headers[i].value.len = ngx_strlen(p);
        p += headers[i].value.len + 1;
    }

    return headers;
}


/*
 * Nearly anything but a good answer may come from a server that knows only the
 * handshake.  What is not asked again is what would be answered the same.
 */

static ngx_int_t
ngx_http_agents_mcp_modern_settle(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply)
{
    ngx_uint_t  status;

    status = reply->http_status;

    if (status == NGX_HTTP_UNAUTHORIZED || status == NGX_HTTP_FORBIDDEN
        || (status >= NGX_HTTP_SPECIAL_RESPONSE
            && status < NGX_HTTP_BAD_REQUEST))
    {
        return NGX_OK;
    }

    switch (reply->outcome) {

    case NGX_HTTP_AGENTS_MCP_DONE:
    case NGX_HTTP_AGENTS_MCP_NONSENSE:

        if (reply->reading == NULL || !reply->reading->typed) {
            return NGX_DECLINED;
        }

        ngx_http_agents_mcp_settled(server);
        return NGX_OK;

    case NGX_HTTP_AGENTS_MCP_REJECTED:
        return ngx_http_agents_mcp_modern_settle_error(reply);

    case NGX_HTTP_AGENTS_MCP_UNREACHABLE:
    case NGX_HTTP_AGENTS_MCP_NO_RESOURCES:
    case NGX_HTTP_AGENTS_MCP_NO_LOCATION:
        return NGX_OK;

    case NGX_HTTP_AGENTS_MCP_HTTP:
    case NGX_HTTP_AGENTS_MCP_CUT_OFF:
    case NGX_HTTP_AGENTS_MCP_TIMED_OUT:
    case NGX_HTTP_AGENTS_MCP_OVERSIZED:
        break;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_agents_mcp_modern_settle_error(
    const ngx_http_agents_mcp_reply_t *reply)
{
    switch (reply->reading->code) {

    case NGX_HTTP_AGENTS_MCP_BAD_VERSION:

        if (reply->reading->takes_modern) {
            return NGX_AGAIN;
        }

        return reply->reading->takes_legacy ? NGX_DECLINED : NGX_OK;

    case NGX_HTTP_AGENTS_MCP_BAD_HEADER:
    case NGX_HTTP_AGENTS_MCP_NO_CAPABILITY:
        return NGX_OK;

    default:
        return NGX_DECLINED;
    }
}


static ngx_uint_t
ngx_http_agents_mcp_modern_lost(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply)
{
    return 0;
}


static void
ngx_http_agents_mcp_modern_abandon(ngx_http_agents_mcp_server_t *server,
    int64_t id)
{
}


static void
ngx_http_agents_mcp_modern_close(ngx_http_agents_mcp_server_t *server)
{
}
