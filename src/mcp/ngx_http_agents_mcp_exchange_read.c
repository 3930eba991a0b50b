
/*
 * What comes back in an exchange: messages, read in a pool thread, and what
 * they make of it.
 */


#include "ngx_http_agents_mcp_exchange_parts.h"


/* Bytes of a message that the event loop reads by itself. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_SHORT  (32 * 1024)

/* Answers to requests of a server during one exchange. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDES  64


static void ngx_http_agents_mcp_exchange_post(
    ngx_http_agents_mcp_exchange_t *x);
static void ngx_http_agents_mcp_exchange_work(void *data, ngx_log_t *log);
static void ngx_http_agents_mcp_exchange_read_done(void *data);
static void ngx_http_agents_mcp_exchange_found(
    ngx_http_agents_mcp_exchange_t *x, ngx_http_agents_mcp_pending_t *pending);
static void ngx_http_agents_mcp_exchange_judge_answer(
    ngx_http_agents_mcp_exchange_t *x, ngx_http_agents_mcp_reply_t *reply);


/* Takes over the text. */

ngx_int_t
ngx_http_agents_mcp_exchange_take(ngx_http_agents_mcp_exchange_t *x,
    char *text, size_t len)
{
    ngx_http_agents_mcp_reading_t  *reading;
    ngx_http_agents_mcp_pending_t  *pending;

    ngx_http_agents_mcp_secret_mask(x->conf.secret, (u_char *) text, len);

    pending = ngx_calloc(sizeof(ngx_http_agents_mcp_pending_t), x->conf.log);
    if (pending == NULL) {
        free(text);
        return NGX_ERROR;
    }

    pending->exchange = x;

    reading = &pending->reading;
    reading->text = text;
    reading->len = len;
    reading->id = x->conf.id;
    reading->method = x->conf.method;
    reading->lax = (x->http_status >= NGX_HTTP_BAD_REQUEST);
    reading->modern = x->conf.modern;

    ngx_memcpy(reading->alias, x->conf.alias.data,
               ngx_min(x->conf.alias.len, NGX_HTTP_AGENTS_MCP_ALIAS_MAX));

    /* the schemas of a list make even a short one long to read */

    if (len <= NGX_HTTP_AGENTS_MCP_EXCHANGE_SHORT
        && x->conf.method != NGX_HTTP_AGENTS_MCP_LIST)
    {
        ngx_http_agents_mcp_message_read(reading);
        ngx_http_agents_mcp_exchange_found(x, pending);
        return NGX_OK;
    }

    *x->last = pending;
    x->last = &pending->next;

    if (!x->reading) {
        ngx_http_agents_mcp_exchange_post(x);
    }

    return NGX_OK;
}


static void
ngx_http_agents_mcp_exchange_post(ngx_http_agents_mcp_exchange_t *x)
{
    ngx_http_agents_mcp_pending_t  *pending;

    x->reading = 1;

    pending = x->first;
    pending->task.work = ngx_http_agents_mcp_exchange_work;
    pending->task.done = ngx_http_agents_mcp_exchange_read_done;
    pending->task.data = pending;

    ngx_http_agents_task_post(x->conf.tasks, &pending->task);
}


/* In a pool thread: it touches the reading alone. */

static void
ngx_http_agents_mcp_exchange_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_mcp_pending_t  *pending = data;

    ngx_http_agents_mcp_message_read(&pending->reading);
}


static void
ngx_http_agents_mcp_exchange_read_done(void *data)
{
    ngx_http_agents_mcp_exchange_t  *x;
    ngx_http_agents_mcp_pending_t   *pending = data;

    x = pending->exchange;

    x->reading = 0;
    x->first = pending->next;

    if (x->first == NULL) {
        x->last = &x->first;
    }

    if (x->over) {
        ngx_http_agents_mcp_exchange_free_pending(pending);
        ngx_http_agents_mcp_exchange_free(x);
        return;
    }

    ngx_http_agents_mcp_exchange_found(x, pending);

    if (x->answer == NULL && x->first != NULL) {
        ngx_http_agents_mcp_exchange_post(x);
    }

    ngx_http_agents_mcp_exchange_settle(x);
}


/* Keeps the message if it is the answer, does what it asks for, or neither. */

static void
ngx_http_agents_mcp_exchange_found(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_mcp_pending_t *pending)
{
    switch (pending->reading.found) {

    case NGX_HTTP_AGENTS_MCP_RESULT:
    case NGX_HTTP_AGENTS_MCP_ERROR:
    case NGX_HTTP_AGENTS_MCP_INVALID:
    case NGX_HTTP_AGENTS_MCP_NO_MEMORY:

        if (x->answer == NULL) {
            x->answer = pending;
            return;
        }

        break;

    case NGX_HTTP_AGENTS_MCP_REQUEST:

        /* in the newer revision servers have none */

        if (!x->conf.modern
            && x->asides < NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDES)
        {
            x->asides++;
            (void) ngx_http_agents_mcp_exchange_aside(&x->conf,
                                               pending->reading.reply, NULL,
                                               NULL);
        }

        break;

    case NGX_HTTP_AGENTS_MCP_OTHER:

        if (pending->reading.changed) {
            x->changed = 1;
        }

        break;
    }

    ngx_http_agents_mcp_exchange_free_pending(pending);
}


void
ngx_http_agents_mcp_exchange_judge(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_mcp_reply_t *reply)
{
    reply->http_status = x->http_status;
    reply->session = x->session;
    reply->location = x->location;
    reply->changed = x->changed;
    reply->sent = x->sent;

    if (x->failed) {
        reply->outcome = NGX_HTTP_AGENTS_MCP_NO_RESOURCES;
        return;
    }

    if (x->answer != NULL) {
        ngx_http_agents_mcp_exchange_judge_answer(x, reply);
        return;
    }

    if (x->flooded) {
        reply->outcome = NGX_HTTP_AGENTS_MCP_OVERSIZED;
        return;
    }

    switch (x->status) {

    case NGX_HTTP_AGENTS_BACKGROUND_OK:

        if (x->http_status >= NGX_HTTP_SPECIAL_RESPONSE) {
            reply->outcome = NGX_HTTP_AGENTS_MCP_HTTP;

        } else if (x->conf.notification) {
            reply->outcome = NGX_HTTP_AGENTS_MCP_DONE;

        } else if (x->stream) {
            reply->outcome = NGX_HTTP_AGENTS_MCP_CUT_OFF;

        } else {
            reply->outcome = NGX_HTTP_AGENTS_MCP_NONSENSE;
        }

        return;

    case NGX_HTTP_AGENTS_BACKGROUND_REFUSED:
        reply->outcome = NGX_HTTP_AGENTS_MCP_UNREACHABLE;
        return;

    case NGX_HTTP_AGENTS_BACKGROUND_BROKEN:
        reply->outcome = NGX_HTTP_AGENTS_MCP_CUT_OFF;
        return;

    case NGX_HTTP_AGENTS_BACKGROUND_TIMEOUT:
        reply->outcome = NGX_HTTP_AGENTS_MCP_TIMED_OUT;
        return;

    case NGX_HTTP_AGENTS_BACKGROUND_TOO_BIG:
        reply->outcome = NGX_HTTP_AGENTS_MCP_OVERSIZED;
        return;

    case NGX_HTTP_AGENTS_BACKGROUND_BUSY:
    case NGX_HTTP_AGENTS_BACKGROUND_NO_MEMORY:
        reply->outcome = NGX_HTTP_AGENTS_MCP_NO_RESOURCES;
        return;

    case NGX_HTTP_AGENTS_BACKGROUND_FAILED:
        reply->outcome = NGX_HTTP_AGENTS_MCP_NO_LOCATION;
        return;
    }
}


static void
ngx_http_agents_mcp_exchange_judge_answer(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_mcp_reply_t *reply)
{
    ngx_http_agents_mcp_reading_t  *reading;

    reading = &x->answer->reading;

    reply->reading = reading;
    reply->bytes = reading->len;

    if (reading->found == NGX_HTTP_AGENTS_MCP_NO_MEMORY) {
        reply->outcome = NGX_HTTP_AGENTS_MCP_NO_RESOURCES;

    } else if (reading->found == NGX_HTTP_AGENTS_MCP_ERROR) {
        reply->outcome = NGX_HTTP_AGENTS_MCP_REJECTED;

    } else if (x->http_status >= NGX_HTTP_SPECIAL_RESPONSE) {
        reply->outcome = NGX_HTTP_AGENTS_MCP_HTTP;

    } else if (reading->found == NGX_HTTP_AGENTS_MCP_INVALID) {
        reply->outcome = NGX_HTTP_AGENTS_MCP_NONSENSE;

    } else {
        reply->outcome = NGX_HTTP_AGENTS_MCP_DONE;
    }
}


void
ngx_http_agents_mcp_exchange_free_pending(
    ngx_http_agents_mcp_pending_t *pending)
{
    ngx_http_agents_mcp_message_free(&pending->reading);
    ngx_free(pending);
}
