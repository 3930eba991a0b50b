
#include "ngx_http_agents_mcp_exchange.h"
#include "ngx_http_agents_sse.h"


/* Bytes of a message that the event loop reads by itself. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_SHORT  (32 * 1024)

/* Answers to requests of a server during one exchange. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDES  64

/* For what is sent without waiting for its answer. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDE_TIMEOUT   5000
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDE_MAX_BODY  (64 * 1024)


typedef struct ngx_http_agents_mcp_pending_s  ngx_http_agents_mcp_pending_t;

/* A message, until it was read. */
struct ngx_http_agents_mcp_pending_s {
    ngx_http_agents_mcp_reading_t    reading;
    ngx_http_agents_task_t           task;
    ngx_http_agents_mcp_exchange_t  *exchange;
    ngx_http_agents_mcp_pending_t   *next;
};


struct ngx_http_agents_mcp_exchange_s {
    ngx_http_agents_mcp_exchange_conf_t    conf;
    ngx_http_agents_mcp_replied_pt         done;
    void                                  *data;
    ngx_msec_t                             deadline;

    ngx_http_agents_background_t          *bg;
    ngx_http_agents_background_status_e    status;      /* once bg ended */
    ngx_uint_t                             http_status;
    ngx_str_t                              session;     /* malloc'd */
    ngx_str_t                              location;    /* malloc'd */

    ngx_http_agents_sse_t                  sse;
    ngx_uint_t                             asides;
    ngx_uint_t                             moves;       /* to other addresses */

    ngx_http_agents_mcp_pending_t         *first;       /* in line for a thread,
                                                           the first in it */
    ngx_http_agents_mcp_pending_t        **last;
    ngx_http_agents_mcp_pending_t         *answer;

    unsigned                               stream:1;    /* of events */
    unsigned                               ended:1;     /* bg */
    unsigned                               repeated:1;
    unsigned                               failed:1;    /* no memory */
    unsigned                               reading:1;   /* in a thread */
    unsigned                               over:1;      /* to be freed when no
                                                           thread has it */
};


static ngx_int_t ngx_http_agents_mcp_exchange_send(
    ngx_http_agents_mcp_exchange_t *x);
static void ngx_http_agents_mcp_exchange_request(
    const ngx_http_agents_mcp_exchange_conf_t *conf,
    ngx_http_agents_background_request_t *request);
static ngx_int_t ngx_http_agents_mcp_exchange_head(void *data,
    const ngx_http_agents_background_answer_t *answer);
static ngx_uint_t ngx_http_agents_mcp_exchange_is_stream(const ngx_str_t *type);
static ngx_int_t ngx_http_agents_mcp_exchange_keep(ngx_str_t *to,
    const ngx_str_t *from);
static ngx_int_t ngx_http_agents_mcp_exchange_body(void *data, u_char *p,
    size_t len);
static int ngx_http_agents_mcp_exchange_event(void *data,
    const ngx_http_agents_sse_event_t *event);
static void ngx_http_agents_mcp_exchange_sent(void *data,
    ngx_http_agents_background_answer_t *answer);
static ngx_uint_t ngx_http_agents_mcp_exchange_again(
    ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_answer_t *answer);
static void ngx_http_agents_mcp_exchange_captured(
    ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_answer_t *answer);

static ngx_int_t ngx_http_agents_mcp_exchange_take(
    ngx_http_agents_mcp_exchange_t *x, char *text, size_t len);
static void ngx_http_agents_mcp_exchange_post(
    ngx_http_agents_mcp_exchange_t *x);
static void ngx_http_agents_mcp_exchange_work(void *data, ngx_log_t *log);
static void ngx_http_agents_mcp_exchange_read_done(void *data);
static void ngx_http_agents_mcp_exchange_found(
    ngx_http_agents_mcp_exchange_t *x, ngx_http_agents_mcp_pending_t *pending);
static void ngx_http_agents_mcp_exchange_settle(
    ngx_http_agents_mcp_exchange_t *x);
static void ngx_http_agents_mcp_exchange_judge(
    ngx_http_agents_mcp_exchange_t *x, ngx_http_agents_mcp_reply_t *reply);
static void ngx_http_agents_mcp_exchange_judge_answer(
    ngx_http_agents_mcp_exchange_t *x, ngx_http_agents_mcp_reply_t *reply);
static void ngx_http_agents_mcp_exchange_free(
    ngx_http_agents_mcp_exchange_t *x);
static void ngx_http_agents_mcp_exchange_free_pending(
    ngx_http_agents_mcp_pending_t *pending);
static void ngx_http_agents_mcp_exchange_aside_done(void *data,
    ngx_http_agents_background_answer_t *answer);


ngx_http_agents_mcp_exchange_t *
ngx_http_agents_mcp_exchange_start(
    const ngx_http_agents_mcp_exchange_conf_t *conf,
    ngx_http_agents_mcp_replied_pt done, void *data)
{
    ngx_http_agents_mcp_exchange_t  *x;

    if (conf->body == NULL) {
        return NULL;
    }

    x = ngx_calloc(sizeof(ngx_http_agents_mcp_exchange_t), conf->log);
    if (x == NULL) {
        free(conf->body);
        return NULL;
    }

    x->conf = *conf;
    x->done = done;
    x->data = data;
    x->last = &x->first;
    x->deadline = ngx_current_msec + conf->timeout;

    ngx_http_agents_sse_init(&x->sse, conf->conf->max_body,
                             ngx_http_agents_mcp_exchange_event, x);

    if (ngx_http_agents_mcp_exchange_send(x) != NGX_OK) {
        ngx_http_agents_mcp_exchange_free(x);
        return NULL;
    }

    return x;
}


void
ngx_http_agents_mcp_exchange_cancel(ngx_http_agents_mcp_exchange_t *x)
{
    if (x->bg != NULL) {
        ngx_http_agents_background_cancel(x->bg);
        x->bg = NULL;
    }

    ngx_http_agents_mcp_exchange_free(x);
}


static ngx_int_t
ngx_http_agents_mcp_exchange_send(ngx_http_agents_mcp_exchange_t *x)
{
    ngx_http_agents_background_request_t  request;

    ngx_http_agents_mcp_exchange_request(&x->conf, &request);

    request.body.data = (u_char *) x->conf.body;
    request.body.len = x->conf.body_len;
    request.max_body = x->conf.conf->max_body;
    request.on_head = ngx_http_agents_mcp_exchange_head;
    request.on_body = ngx_http_agents_mcp_exchange_body;

    request.timeout = ngx_max((ngx_msec_int_t) (x->deadline
                                                - ngx_current_msec), 1);

    x->bg = ngx_http_agents_background_send(&x->conf.conf->target, &request,
                                            x->conf.log,
                                            ngx_http_agents_mcp_exchange_sent,
                                            x);

    return (x->bg != NULL) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_agents_mcp_exchange_request(
    const ngx_http_agents_mcp_exchange_conf_t *conf,
    ngx_http_agents_background_request_t *request)
{
    ngx_http_agents_mcp_route_t  *route;

    route = conf->route;

    ngx_memzero(request, sizeof(ngx_http_agents_background_request_t));

    ngx_str_set(&request->method, "POST");
    request->vars.upstream = route->upstreams[route->current];
    request->vars.host = route->host;
    request->vars.server_name = route->server_name;
    request->vars.owner = conf->owner;
    request->vars.alias = conf->alias;
    request->vars.tool = conf->tool;
    request->headers = conf->headers;
    request->nheaders = conf->nheaders;
}


static ngx_int_t
ngx_http_agents_mcp_exchange_head(void *data,
    const ngx_http_agents_background_answer_t *answer)
{
    ngx_http_agents_mcp_exchange_t  *x = data;

    x->http_status = answer->http_status;

    if (ngx_http_agents_mcp_exchange_keep(&x->session, &answer->session)
        != NGX_OK
        || ngx_http_agents_mcp_exchange_keep(&x->location, &answer->location)
           != NGX_OK)
    {
        x->failed = 1;
        return NGX_DONE;
    }

    if (!ngx_http_agents_mcp_exchange_is_stream(&answer->content_type)) {
        return NGX_DECLINED;
    }

    /* nothing in a stream can be the answer to a notification */

    if (x->conf.notification) {
        return NGX_DONE;
    }

    x->stream = 1;

    return NGX_OK;
}


/* By the media type alone, whatever its case and parameters. */

static ngx_uint_t
ngx_http_agents_mcp_exchange_is_stream(const ngx_str_t *type)
{
    size_t  len;

    len = sizeof("text/event-stream") - 1;

    if (type->len < len
        || ngx_strncasecmp(type->data, (u_char *) "text/event-stream", len)
           != 0)
    {
        return 0;
    }

    return (type->len == len || type->data[len] == ';'
            || type->data[len] == ' ' || type->data[len] == '\t');
}


static ngx_int_t
ngx_http_agents_mcp_exchange_keep(ngx_str_t *to, const ngx_str_t *from)
{
    if (from->len == 0) {
        return NGX_OK;
    }

    free(to->data);

    to->data = malloc(from->len);
    if (to->data == NULL) {
        to->len = 0;
        return NGX_ERROR;
    }

    ngx_memcpy(to->data, from->data, from->len);
    to->len = from->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_exchange_body(void *data, u_char *p, size_t len)
{
    int                              rc;
    ngx_http_agents_mcp_exchange_t  *x = data;

    rc = ngx_http_agents_sse_feed(&x->sse, (const char *) p, len);

    if (rc < 0) {
        x->failed = 1;
        return NGX_DONE;
    }

    return (rc == 0) ? NGX_OK : NGX_DONE;
}


static int
ngx_http_agents_mcp_exchange_event(void *data,
    const ngx_http_agents_sse_event_t *event)
{
    char                            *text;
    ngx_http_agents_mcp_exchange_t  *x = data;

    if (event->data_len == 0
        || (*event->event != '\0' && ngx_strcmp(event->event, "message") != 0))
    {
        return 0;
    }

    text = malloc(event->data_len + 1);
    if (text == NULL) {
        return -1;
    }

    ngx_memcpy(text, event->data, event->data_len + 1);

    if (ngx_http_agents_mcp_exchange_take(x, text, event->data_len)
        != NGX_OK)
    {
        return -1;
    }

    return (x->answer != NULL);
}


static void
ngx_http_agents_mcp_exchange_sent(void *data,
    ngx_http_agents_background_answer_t *answer)
{
    ngx_http_agents_mcp_exchange_t  *x = data;

    x->bg = NULL;

    if (ngx_http_agents_mcp_exchange_again(x, answer)) {

        if (ngx_http_agents_mcp_exchange_send(x) == NGX_OK) {
            return;
        }

        x->failed = 1;
    }

    x->ended = 1;
    x->status = answer->status;
    x->http_status = answer->http_status;

    if (answer->body != NULL) {
        ngx_http_agents_mcp_exchange_captured(x, answer);
    }

    ngx_http_agents_mcp_exchange_settle(x);
}


static ngx_uint_t
ngx_http_agents_mcp_exchange_again(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_answer_t *answer)
{
    ngx_http_agents_mcp_route_t  *route;

    route = x->conf.route;

    if (x->failed || (ngx_msec_int_t) (x->deadline - ngx_current_msec) <= 0) {
        return 0;
    }

    if (answer->status == NGX_HTTP_AGENTS_BACKGROUND_REFUSED
        && x->moves + 1 < route->n)
    {
        /* others may have moved on from it already; that does no harm */

        x->moves++;
        route->current = (route->current + 1) % route->n;
        return 1;
    }

    /* as where a kept connection was closed in the moment it was used */

    if (answer->status == NGX_HTTP_AGENTS_BACKGROUND_BROKEN
        && answer->http_status == 0
        && x->conf.repeatable
        && !x->repeated)
    {
        x->repeated = 1;
        return 1;
    }

    return 0;
}


static void
ngx_http_agents_mcp_exchange_captured(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_answer_t *answer)
{
    char  *text;

    text = (char *) answer->body;
    answer->body = NULL;

    if (x->conf.notification || answer->body_len == 0) {
        free(text);
        return;
    }

    if (ngx_http_agents_mcp_exchange_take(x, text, answer->body_len)
        != NGX_OK)
    {
        x->failed = 1;
    }
}


/* Takes over the text. */

static ngx_int_t
ngx_http_agents_mcp_exchange_take(ngx_http_agents_mcp_exchange_t *x,
    char *text, size_t len)
{
    ngx_http_agents_mcp_reading_t  *reading;
    ngx_http_agents_mcp_pending_t  *pending;

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

        if (x->asides < NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDES) {
            x->asides++;
            ngx_http_agents_mcp_exchange_aside(&x->conf,
                                               pending->reading.reply);
        }

        break;

    case NGX_HTTP_AGENTS_MCP_OTHER:
        break;
    }

    ngx_http_agents_mcp_exchange_free_pending(pending);
}


/* Ends the exchange if there is an answer, or none can come any more. */

static void
ngx_http_agents_mcp_exchange_settle(ngx_http_agents_mcp_exchange_t *x)
{
    ngx_http_agents_mcp_reply_t  reply;

    if (x->answer == NULL && !x->failed && (!x->ended || x->first != NULL)) {
        return;
    }

    if (x->bg != NULL) {
        ngx_http_agents_background_cancel(x->bg);
        x->bg = NULL;
    }

    ngx_memzero(&reply, sizeof(ngx_http_agents_mcp_reply_t));

    ngx_http_agents_mcp_exchange_judge(x, &reply);

    x->done(x->data, &reply);

    ngx_http_agents_mcp_exchange_free(x);
}


static void
ngx_http_agents_mcp_exchange_judge(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_mcp_reply_t *reply)
{
    reply->http_status = x->http_status;
    reply->session = x->session;
    reply->location = x->location;

    if (x->failed) {
        reply->outcome = NGX_HTTP_AGENTS_MCP_NO_RESOURCES;
        return;
    }

    if (x->answer != NULL) {
        ngx_http_agents_mcp_exchange_judge_answer(x, reply);
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

    case NGX_HTTP_AGENTS_BACKGROUND_FAILED:
        reply->outcome = NGX_HTTP_AGENTS_MCP_NO_RESOURCES;
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


/* A thread may still read one message: it is freed when that is done. */

static void
ngx_http_agents_mcp_exchange_free(ngx_http_agents_mcp_exchange_t *x)
{
    ngx_http_agents_mcp_pending_t  *pending, *next;

    x->over = 1;

    if (x->reading) {
        return;
    }

    for (pending = x->first; pending != NULL; pending = next) {
        next = pending->next;
        ngx_http_agents_mcp_exchange_free_pending(pending);
    }

    if (x->answer != NULL) {
        ngx_http_agents_mcp_exchange_free_pending(x->answer);
    }

    ngx_http_agents_sse_free(&x->sse);

    free(x->session.data);
    free(x->location.data);
    free(x->conf.body);
    ngx_free(x);
}


static void
ngx_http_agents_mcp_exchange_free_pending(
    ngx_http_agents_mcp_pending_t *pending)
{
    ngx_http_agents_mcp_message_free(&pending->reading);
    ngx_free(pending);
}


void
ngx_http_agents_mcp_exchange_aside(
    const ngx_http_agents_mcp_exchange_conf_t *conf, const char *body)
{
    ngx_http_agents_background_request_t  request;

    ngx_http_agents_mcp_exchange_request(conf, &request);

    if (body != NULL) {
        request.body.data = (u_char *) body;
        request.body.len = ngx_strlen(body);

    } else {
        ngx_str_set(&request.method, "DELETE");
    }

    request.timeout = NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDE_TIMEOUT;
    request.max_body = NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDE_MAX_BODY;

    if (ngx_http_agents_background_send(&conf->conf->target, &request,
                                        conf->log,
                                        ngx_http_agents_mcp_exchange_aside_done,
                                        NULL)
        == NULL)
    {
        ngx_log_error(NGX_LOG_ERR, conf->log, 0,
                      "a message to the mcp server at \"%V\" was not sent",
                      &request.vars.host);
    }
}


static void
ngx_http_agents_mcp_exchange_aside_done(void *data,
    ngx_http_agents_background_answer_t *answer)
{
    free(answer->body);
}
