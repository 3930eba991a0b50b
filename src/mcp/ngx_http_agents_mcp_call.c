
/*
 * A call of a tool: sent, taken up again, sent again, cancelled.
 */


#include "ngx_http_agents_mcp_private.h"


/* How often a tool may ask for more before its result. */
#define NGX_HTTP_AGENTS_MCP_CALL_RETRIES  8

#define NGX_HTTP_AGENTS_MCP_CALL_MAYBE                                       \
    "; it may have taken effect all the same"


/*
 * A call is sent when its server is open, else it waits for that.  A session
 * that was lost is made anew and the call sent again, once.  A tool that asks
 * for more is answered by a request of its own.
 */

struct ngx_http_agents_mcp_call_s {
    ngx_queue_t                       queue;
    ngx_http_agents_mcp_server_t     *server;
    ngx_str_t                         tool;         /* malloc'd */
    char                             *params;       /* malloc'd */
    ngx_uint_t                        retries;      /* with what was asked */
    char                             *responses;    /* for: malloc'd, both */
    char                             *state;        /* or NULL */
    char                             *retry;        /* malloc'd: the params
                                                       with them */
    ngx_http_agents_background_header_t  *headers;  /* malloc'd; or NULL */
    ngx_uint_t                        nheaders;
    ngx_http_agents_mcp_exchange_t   *exchange;
    int64_t                           id;
    ngx_msec_t                        deadline;
    ngx_uint_t                        opens;        /* of the server, then */
    ngx_event_t                       wake;
    ngx_msec_t                        backoff;      /* the last one */
    ngx_http_agents_mcp_called_pt     done;
    void                             *data;
    unsigned                          waiting:1;
    unsigned                          again:1;
};


static ngx_http_agents_mcp_call_t *ngx_http_agents_mcp_call_create(
    ngx_http_agents_mcp_server_t *server, const char *tool,
    const json_t *arguments);
static void ngx_http_agents_mcp_call_try(ngx_http_agents_mcp_call_t *call);
static ngx_int_t ngx_http_agents_mcp_call_send(
    ngx_http_agents_mcp_call_t *call);
static ngx_int_t ngx_http_agents_mcp_call_retry(
    ngx_http_agents_mcp_call_t *call);
static void ngx_http_agents_mcp_call_wake_handler(ngx_event_t *ev);
static void ngx_http_agents_mcp_call_replied(void *data,
    const ngx_http_agents_mcp_reply_t *reply);
static void ngx_http_agents_mcp_call_answer(ngx_http_agents_mcp_call_t *call,
    ngx_http_agents_mcp_reading_t *reading);
static void ngx_http_agents_mcp_call_reopen(ngx_http_agents_mcp_call_t *call);
static void ngx_http_agents_mcp_call_fail(ngx_http_agents_mcp_call_t *call,
    const char *why, const char *note);
static void ngx_http_agents_mcp_call_end(ngx_http_agents_mcp_call_t *call,
    ngx_http_agents_mcp_result_t *result);
static void ngx_http_agents_mcp_call_free(ngx_http_agents_mcp_call_t *call);


ngx_http_agents_mcp_call_t *
ngx_http_agents_mcp_call(ngx_http_agents_mcp_server_t *server,
    const char *tool, const json_t *arguments, ngx_msec_t timeout,
    ngx_http_agents_mcp_called_pt done, void *data)
{
    ngx_http_agents_mcp_call_t  *call;

    call = ngx_http_agents_mcp_call_create(server, tool, arguments);
    if (call == NULL) {
        return NULL;
    }

    call->done = done;
    call->data = data;
    call->deadline = ngx_current_msec + timeout;

    if (server->state != NGX_HTTP_AGENTS_MCP_OPEN) {
        ngx_http_agents_mcp_call_reopen(call);
        return call;
    }

    if (ngx_http_agents_mcp_call_send(call) != NGX_OK) {
        ngx_http_agents_mcp_call_free(call);
        return NULL;
    }

    return call;
}


void
ngx_http_agents_mcp_call_cancel(ngx_http_agents_mcp_call_t *call)
{
    ngx_http_agents_mcp_server_t  *server;

    server = call->server;

    if (call->exchange != NULL) {
        ngx_http_agents_mcp_exchange_cancel(call->exchange);
        server->era->abandon(server, call->id);
    }

    ngx_http_agents_mcp_call_free(call);
}


void
ngx_http_agents_mcp_call_cancel_all(ngx_http_agents_mcp_server_t *server)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&server->calls)) {
        q = ngx_queue_head(&server->calls);
        ngx_http_agents_mcp_call_cancel(
            ngx_queue_data(q, ngx_http_agents_mcp_call_t, queue));
    }
}


static ngx_http_agents_mcp_call_t *
ngx_http_agents_mcp_call_create(ngx_http_agents_mcp_server_t *server,
    const char *tool, const json_t *arguments)
{
    ngx_http_agents_buf_t        buf;
    ngx_http_agents_mcp_call_t  *call;

    call = ngx_calloc(sizeof(ngx_http_agents_mcp_call_t), server->log);
    if (call == NULL) {
        return NULL;
    }

    call->server = server;
    ngx_queue_insert_tail(&server->calls, &call->queue);

    call->wake.handler = ngx_http_agents_mcp_call_wake_handler;
    call->wake.data = call;
    call->wake.log = server->log;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_mcp_message_call_params(&buf, tool, arguments,
                                            ngx_http_agents_mcp_meta(server));

    call->params = ngx_http_agents_buf_take(&buf, NULL);
    call->tool.data = (u_char *) strdup(tool);

    if (call->params == NULL || call->tool.data == NULL
        || (server->era->headers != NULL
            && server->era->headers(server, tool, arguments, &call->headers,
                                    &call->nheaders)
               != NGX_OK))
    {
        ngx_http_agents_mcp_call_free(call);
        return NULL;
    }

    call->tool.len = ngx_strlen(tool);

    return call;
}


/* A request for which there is no memory goes out later. */

static void
ngx_http_agents_mcp_call_try(ngx_http_agents_mcp_call_t *call)
{
    if (ngx_http_agents_mcp_call_send(call) != NGX_OK
        && ngx_http_agents_mcp_exchange_later(&call->wake, &call->backoff,
                                              call->deadline,
                                              &call->server->alias)
           != NGX_OK)
    {
        ngx_http_agents_mcp_call_fail(call, "the request could not be made",
                                      "");
    }
}


static ngx_int_t
ngx_http_agents_mcp_call_send(ngx_http_agents_mcp_call_t *call)
{
    ngx_http_agents_mcp_server_t         *server;
    ngx_http_agents_mcp_exchange_conf_t   conf;

    server = call->server;

    if (call->retries != 0 && call->retry == NULL
        && ngx_http_agents_mcp_call_retry(call) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_agents_mcp_exchange_conf(server, &conf, call->deadline);
    ngx_http_agents_mcp_exchange_message(server, &conf, "tools/call",
                                         call->retry != NULL ? call->retry
                                                             : call->params);
    conf.method = NGX_HTTP_AGENTS_MCP_CALL;
    conf.tool = call->tool;
    conf.more = call->headers;
    conf.nmore = call->nheaders;

    call->id = conf.id;
    call->opens = server->opens;

    call->exchange = ngx_http_agents_mcp_exchange_start(&conf,
                         ngx_http_agents_mcp_call_replied, call);

    return (call->exchange != NULL) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_agents_mcp_call_retry(ngx_http_agents_mcp_call_t *call)
{
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_mcp_message_retry_params(&buf, call->params,
                                             call->responses, call->state);

    call->retry = ngx_http_agents_buf_take(&buf, NULL);

    return (call->retry != NULL) ? NGX_OK : NGX_ERROR;
}


void
ngx_http_agents_mcp_call_wake(ngx_http_agents_mcp_server_t *server)
{
    ngx_queue_t                 *q;
    ngx_http_agents_mcp_call_t  *call;

    for (q = ngx_queue_head(&server->calls);
         q != ngx_queue_sentinel(&server->calls);
         q = ngx_queue_next(q))
    {
        call = ngx_queue_data(q, ngx_http_agents_mcp_call_t, queue);

        if (call->waiting) {
            ngx_post_event(&call->wake, &ngx_posted_events);
        }
    }
}


/* The server has been opened, or not; or it is time for another attempt. */

static void
ngx_http_agents_mcp_call_wake_handler(ngx_event_t *ev)
{
    ngx_uint_t                     waiting;
    ngx_http_agents_mcp_call_t    *call = ev->data;

    ngx_http_agents_mcp_server_t  *server;

    server = call->server;

    waiting = call->waiting;
    call->waiting = 0;

    if (server->state != NGX_HTTP_AGENTS_MCP_OPEN) {

        if (waiting) {
            ngx_http_agents_mcp_call_fail(call, server->why, "");

        } else {
            ngx_http_agents_mcp_call_reopen(call);
        }

        return;
    }

    if ((ngx_msec_int_t) (call->deadline - ngx_current_msec) <= 0) {
        ngx_http_agents_mcp_call_fail(call,
                                      "the server did not answer in time", "");
        return;
    }

    ngx_http_agents_mcp_call_try(call);
}


static void
ngx_http_agents_mcp_call_replied(void *data,
    const ngx_http_agents_mcp_reply_t *reply)
{
    char                           why[NGX_HTTP_AGENTS_MCP_WHY_LEN];
    const char                    *note;
    ngx_http_agents_mcp_call_t    *call = data;

    ngx_http_agents_mcp_result_t   result;
    ngx_http_agents_mcp_server_t  *server;

    server = call->server;
    call->exchange = NULL;

    if (reply->changed || reply->outcome != NGX_HTTP_AGENTS_MCP_DONE) {
        ngx_http_agents_mcp_list_forget(server);
    }

    if (reply->outcome == NGX_HTTP_AGENTS_MCP_DONE && reply->reading->again) {
        ngx_http_agents_mcp_call_answer(call, reply->reading);
        return;
    }

    if (reply->outcome == NGX_HTTP_AGENTS_MCP_DONE) {
        result.content = reply->reading->content;
        result.is_error = (reply->reading->is_error != 0);
        result.failed = 0;

        reply->reading->content = NULL;

        ngx_http_agents_mcp_call_end(call, &result);
        return;
    }

    if (!call->again && server->era->lost(server, reply)) {
        call->again = 1;
        ngx_http_agents_mcp_call_reopen(call);
        return;
    }

    note = (reply->sent
            && reply->outcome == NGX_HTTP_AGENTS_MCP_NO_RESOURCES)
           ? NGX_HTTP_AGENTS_MCP_CALL_MAYBE : "";

    switch (reply->outcome) {

    case NGX_HTTP_AGENTS_MCP_TIMED_OUT:
        server->era->abandon(server, call->id);

        /* fall through */

    case NGX_HTTP_AGENTS_MCP_CUT_OFF:
    case NGX_HTTP_AGENTS_MCP_OVERSIZED:
        note = NGX_HTTP_AGENTS_MCP_CALL_MAYBE;
        break;

    default:
        break;
    }

    ngx_http_agents_mcp_reply_why(reply, why, sizeof(why));
    ngx_http_agents_mcp_call_fail(call, why, note);
}


/* What the tool asked for goes with what was asked of it, in a new request. */

static void
ngx_http_agents_mcp_call_answer(ngx_http_agents_mcp_call_t *call,
    ngx_http_agents_mcp_reading_t *reading)
{
    if (call->retries == NGX_HTTP_AGENTS_MCP_CALL_RETRIES) {
        ngx_http_agents_mcp_call_fail(call, "the tool asks for input again "
                                      "and again", "");
        return;
    }

    if ((ngx_msec_int_t) (call->deadline - ngx_current_msec) <= 0) {
        ngx_http_agents_mcp_call_fail(call,
                                      "the server did not answer in time", "");
        return;
    }

    call->retries++;

    free(call->responses);
    free(call->state);
    free(call->retry);

    call->responses = reading->responses;
    call->state = reading->state;
    call->retry = NULL;

    reading->responses = NULL;
    reading->state = NULL;

    ngx_http_agents_mcp_call_try(call);
}


/* The first call that finds the session lost makes it anew for all. */

static void
ngx_http_agents_mcp_call_reopen(ngx_http_agents_mcp_call_t *call)
{
    ngx_msec_t                     deadline;
    ngx_http_agents_mcp_server_t  *server;

    server = call->server;
    call->waiting = 1;

    if (server->state == NGX_HTTP_AGENTS_MCP_OPEN
        && server->opens != call->opens)
    {
        ngx_post_event(&call->wake, &ngx_posted_events);
        return;
    }

    if (server->state == NGX_HTTP_AGENTS_MCP_OPEN
        || server->state == NGX_HTTP_AGENTS_MCP_CLOSED)
    {
        deadline = ngx_current_msec + server->conf->discovery_timeout;

        if ((ngx_msec_int_t) (call->deadline - deadline) < 0) {
            deadline = call->deadline;
        }

        ngx_http_agents_mcp_open(server, deadline);
    }
}


static void
ngx_http_agents_mcp_call_fail(ngx_http_agents_mcp_call_t *call,
    const char *why, const char *note)
{
    char                           text[NGX_HTTP_AGENTS_MCP_WHY_LEN + 128];
    u_char                        *p;
    ngx_http_agents_mcp_result_t   result;

    p = ngx_slprintf((u_char *) text, (u_char *) text + sizeof(text) - 1,
                     "The tool call failed: %s%s.", why, note);
    *p = '\0';

    result.content = ngx_http_agents_mcp_message_text(text);
    result.is_error = 1;
    result.failed = 1;

    ngx_http_agents_mcp_call_end(call, &result);
}


/* The server may be gone after it. */

static void
ngx_http_agents_mcp_call_end(ngx_http_agents_mcp_call_t *call,
    ngx_http_agents_mcp_result_t *result)
{
    void                           *data;
    ngx_http_agents_mcp_called_pt   done;

    done = call->done;
    data = call->data;

    ngx_http_agents_mcp_call_free(call);

    done(data, result);
}


static void
ngx_http_agents_mcp_call_free(ngx_http_agents_mcp_call_t *call)
{
    if (call->wake.posted) {
        ngx_delete_posted_event(&call->wake);
    }

    if (call->wake.timer_set) {
        ngx_del_timer(&call->wake);
    }

    ngx_queue_remove(&call->queue);

    free(call->tool.data);
    free(call->params);
    free(call->responses);
    free(call->state);
    free(call->retry);
    ngx_free(call->headers);
    ngx_free(call);
}
