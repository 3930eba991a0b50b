
/*
 * Servers of 2024-11-05 to 2025-11-25: initialize, a session, its end.
 */


#include "ngx_http_agents_mcp_private.h"


/*
 * The revisions with a handshake and, where the server wants one, a session.
 */


static ngx_int_t ngx_http_agents_mcp_legacy_open(
    ngx_http_agents_mcp_server_t *server);
static void ngx_http_agents_mcp_legacy_initialized(void *data,
    const ngx_http_agents_mcp_reply_t *reply);
static ngx_int_t ngx_http_agents_mcp_legacy_session(
    ngx_http_agents_mcp_server_t *server, const ngx_str_t *session);
static ngx_int_t ngx_http_agents_mcp_legacy_notify(
    ngx_http_agents_mcp_server_t *server);
static void ngx_http_agents_mcp_legacy_notified(void *data,
    const ngx_http_agents_mcp_reply_t *reply);
static void ngx_http_agents_mcp_legacy_failed(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply);
static ngx_uint_t ngx_http_agents_mcp_legacy_is_modern(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply);
static ngx_int_t ngx_http_agents_mcp_legacy_settle(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply);
static ngx_uint_t ngx_http_agents_mcp_legacy_lost(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply);
static void ngx_http_agents_mcp_legacy_abandon(
    ngx_http_agents_mcp_server_t *server, int64_t id);
static void ngx_http_agents_mcp_legacy_close(
    ngx_http_agents_mcp_server_t *server);


const ngx_http_agents_mcp_era_t  ngx_http_agents_mcp_legacy = {
    ngx_http_agents_mcp_legacy_open,
    0,
    NULL,
    NULL,
    ngx_http_agents_mcp_legacy_settle,
    ngx_http_agents_mcp_legacy_lost,
    ngx_http_agents_mcp_legacy_abandon,
    ngx_http_agents_mcp_legacy_close
};


static ngx_int_t
ngx_http_agents_mcp_legacy_open(ngx_http_agents_mcp_server_t *server)
{
    char                                 *params;
    ngx_http_agents_buf_t                 buf;
    ngx_http_agents_mcp_exchange_conf_t   conf;

    free(server->session.data);
    ngx_str_null(&server->session);
    server->version[0] = '\0';

    ngx_http_agents_mcp_headers(server);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_mcp_message_initialize_params(&buf,
                                             ngx_http_agents_mcp_meta(server));

    params = ngx_http_agents_buf_take(&buf, NULL);
    if (params == NULL) {
        return NGX_ERROR;
    }

    ngx_http_agents_mcp_exchange_conf(server, &conf, server->open_deadline);
    ngx_http_agents_mcp_exchange_message(server, &conf, "initialize", params);
    free(params);

    conf.method = NGX_HTTP_AGENTS_MCP_INITIALIZE;
    conf.repeatable = 1;

    server->opening = ngx_http_agents_mcp_exchange_start(&conf,
                          ngx_http_agents_mcp_legacy_initialized, server);

    return (server->opening != NULL) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_agents_mcp_legacy_initialized(void *data,
    const ngx_http_agents_mcp_reply_t *reply)
{
    ngx_http_agents_mcp_server_t *server = data;

    server->opening = NULL;

    if (reply->outcome == NGX_HTTP_AGENTS_MCP_NO_RESOURCES) {
        ngx_http_agents_mcp_lacking(server);
        return;
    }

    if (reply->outcome != NGX_HTTP_AGENTS_MCP_DONE) {

        if (!ngx_http_agents_mcp_legacy_is_modern(server, reply)
            || ngx_http_agents_mcp_turn(server, server->open_deadline)
               != NGX_OK)
        {
            ngx_http_agents_mcp_legacy_failed(server, reply);
        }

        return;
    }

    ngx_http_agents_mcp_settled(server);

    ngx_memcpy(server->version, reply->reading->version,
               sizeof(server->version));

    server->has_tools = reply->reading->has_tools;

    if (ngx_http_agents_mcp_legacy_session(server, &reply->session) != NGX_OK
        || ngx_http_agents_mcp_legacy_notify(server) != NGX_OK)
    {
        ngx_http_agents_mcp_lacking(server);
    }
}


/* A session id of other than visible characters is no session. */

static ngx_int_t
ngx_http_agents_mcp_legacy_session(ngx_http_agents_mcp_server_t *server,
    const ngx_str_t *session)
{
    size_t  i;

    for (i = 0; i < session->len; i++) {
        if (session->data[i] < 0x21 || session->data[i] > 0x7e) {
            ngx_log_error(NGX_LOG_WARN, server->log, 0,
                          "mcp server \"%V\" sent an invalid session id",
                          &server->alias);
            i = 0;
            break;
        }
    }

    if (i != 0) {
        server->session.data = malloc(i);
        if (server->session.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(server->session.data, session->data, i);
        server->session.len = i;
        server->sessions = 1;
    }

    ngx_http_agents_mcp_headers(server);

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_legacy_notify(ngx_http_agents_mcp_server_t *server)
{
    ngx_http_agents_mcp_exchange_conf_t  conf;

    ngx_http_agents_mcp_exchange_conf(server, &conf, server->open_deadline);
    conf.notification = 1;
    conf.repeatable = 1;

    ngx_http_agents_mcp_exchange_message(server, &conf,
                                         "notifications/initialized", NULL);

    server->opening = ngx_http_agents_mcp_exchange_start(&conf,
                          ngx_http_agents_mcp_legacy_notified, server);

    return (server->opening != NULL) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_agents_mcp_legacy_notified(void *data,
    const ngx_http_agents_mcp_reply_t *reply)
{
    ngx_http_agents_mcp_server_t *server = data;

    server->opening = NULL;

    if (reply->outcome == NGX_HTTP_AGENTS_MCP_NO_RESOURCES) {
        ngx_http_agents_mcp_lacking(server);
        return;
    }

    if (reply->outcome != NGX_HTTP_AGENTS_MCP_DONE) {
        ngx_http_agents_mcp_legacy_failed(server, reply);
        return;
    }

    ngx_http_agents_mcp_opened(server, NULL);
}


static void
ngx_http_agents_mcp_legacy_failed(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply)
{
    char  why[NGX_HTTP_AGENTS_MCP_WHY_LEN];

    ngx_http_agents_mcp_reply_why(reply, why, sizeof(why));
    ngx_http_agents_mcp_opened(server, why);
}


/* Whether the handshake failed for want of the newer revision: as it says, or
 * as may be, where only a hint spoke for the handshake. */

static ngx_uint_t
ngx_http_agents_mcp_legacy_is_modern(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply)
{
    int64_t  code;

    if (reply->reading != NULL) {

        code = reply->reading->code;

        if (code == NGX_HTTP_AGENTS_MCP_BAD_VERSION
            || code == NGX_HTTP_AGENTS_MCP_BAD_HEADER
            || code == NGX_HTTP_AGENTS_MCP_NO_CAPABILITY
            || reply->reading->takes_modern)
        {
            return 1;
        }
    }

    return (server->turns == 0 && reply->http_status != 0);
}


/* The handshake has settled it. */

static ngx_int_t
ngx_http_agents_mcp_legacy_settle(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply)
{
    return NGX_OK;
}


/* Several calls may find the same session lost, the later ones when it is
 * being made anew and there is none. */

static ngx_uint_t
ngx_http_agents_mcp_legacy_lost(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply)
{
    if (!server->sessions) {
        return 0;
    }

    if (reply->http_status == NGX_HTTP_NOT_FOUND) {
        return 1;
    }

    return (reply->http_status == NGX_HTTP_BAD_REQUEST
            && reply->reading != NULL
            && reply->reading->code == NGX_HTTP_AGENTS_MCP_SERVER_ERROR);
}


static void
ngx_http_agents_mcp_legacy_abandon(ngx_http_agents_mcp_server_t *server,
    int64_t id)
{
    char                   *params, *message;
    ngx_http_agents_buf_t   buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_mcp_message_cancelled_params(&buf, id,
                                                 "no longer awaited");

    params = ngx_http_agents_buf_take(&buf, NULL);
    if (params == NULL) {
        return;
    }

    ngx_http_agents_mcp_message_notification(&buf, "notifications/cancelled",
                                             params);
    free(params);

    message = ngx_http_agents_buf_take(&buf, NULL);

    if (message != NULL) {
        ngx_http_agents_mcp_tell(server, message);
    }
}


static void
ngx_http_agents_mcp_legacy_close(ngx_http_agents_mcp_server_t *server)
{
    if (server->session.len != 0) {
        ngx_http_agents_mcp_tell(server, NULL);
    }
}
