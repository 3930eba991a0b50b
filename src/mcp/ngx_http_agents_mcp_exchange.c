
#include "ngx_http_agents_mcp_exchange_parts.h"


/* Messages of one exchange that are read: no server has as much to say. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_MESSAGES  16384

/* How often a stream is taken up again, and after what time: what a server
 * asks for is not less than the least. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_RESUMES  100
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_PAUSE    1000
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_LEAST    100

/* When to look again whether a request can be made that could not be: from the
 * one to the other, doubled each time. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_BACKOFF      50
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_BACKOFF_MAX  1000

/* Headers of a GET. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_HEADERS  8

/* For what is sent without waiting for its answer. */
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDE_TIMEOUT   5000
#define NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDE_MAX_BODY  (64 * 1024)


static ngx_int_t ngx_http_agents_mcp_exchange_send(
    ngx_http_agents_mcp_exchange_t *x);
static ngx_int_t ngx_http_agents_mcp_exchange_hold(
    ngx_http_agents_mcp_exchange_t *x);
static void ngx_http_agents_mcp_exchange_get(
    ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_request_t *request,
    ngx_http_agents_background_header_t *headers);
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
static void ngx_http_agents_mcp_exchange_ended(
    ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_status_e status);
static ngx_uint_t ngx_http_agents_mcp_exchange_resume(
    ngx_http_agents_mcp_exchange_t *x,
    const ngx_http_agents_background_answer_t *answer);
static void ngx_http_agents_mcp_exchange_pause_handler(ngx_event_t *ev);
static void ngx_http_agents_mcp_exchange_captured(
    ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_answer_t *answer);
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
    x->until = ngx_current_msec + ngx_max(conf->timeout, conf->patience);

    x->pause.handler = ngx_http_agents_mcp_exchange_pause_handler;
    x->pause.data = x;
    x->pause.log = conf->log;

    ngx_http_agents_sse_init(&x->sse, conf->conf->max_body,
                             ngx_http_agents_mcp_exchange_event, x);

    if (ngx_http_agents_mcp_exchange_send(x) != NGX_OK
        && ngx_http_agents_mcp_exchange_hold(x) != NGX_OK)
    {
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

    if (x->pause.timer_set) {
        ngx_del_timer(&x->pause);
    }

    ngx_http_agents_mcp_exchange_free(x);
}


static ngx_int_t
ngx_http_agents_mcp_exchange_send(ngx_http_agents_mcp_exchange_t *x)
{
    ngx_http_agents_background_header_t   headers[
                                         NGX_HTTP_AGENTS_MCP_EXCHANGE_HEADERS];
    ngx_http_agents_background_request_t  request;

    ngx_http_agents_mcp_exchange_request(&x->conf, &request);

    if (x->resumes != 0) {
        ngx_http_agents_mcp_exchange_get(x, &request, headers);

    } else {
        request.body.data = (u_char *) x->conf.body;
        request.body.len = x->conf.body_len;
    }

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


/*
 * Nothing could be sent, for want of a connection, a descriptor or memory, or
 * by a limit of the operator's: none of it is the server's fault, or lasts.
 * NGX_DECLINED if there is no time left to try again.
 */

static ngx_int_t
ngx_http_agents_mcp_exchange_hold(ngx_http_agents_mcp_exchange_t *x)
{
    if (ngx_http_agents_mcp_exchange_later(&x->pause, &x->backoff, x->until,
                                           &x->conf.alias)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    x->held = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_agents_mcp_exchange_later(ngx_event_t *ev, ngx_msec_t *backoff,
    ngx_msec_t until, const ngx_str_t *alias)
{
    ngx_msec_t      wait;
    ngx_msec_int_t  left;

    if (*backoff == 0) {
        ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                      "a request to mcp server \"%V\" cannot be made yet, "
                      "and is tried again", alias);
        *backoff = NGX_HTTP_AGENTS_MCP_EXCHANGE_BACKOFF;

    } else {
        *backoff = ngx_min(*backoff * 2,
                           NGX_HTTP_AGENTS_MCP_EXCHANGE_BACKOFF_MAX);
    }

    /* those that wait for one thing do not all come back at once */

    wait = *backoff / 2 + (ngx_msec_t) ngx_random() % (*backoff / 2 + 1);

    left = (ngx_msec_int_t) (until - ngx_current_msec);

    if (left <= (ngx_msec_int_t) wait) {
        return NGX_DECLINED;
    }

    ngx_add_timer(ev, wait);

    return NGX_OK;
}


/* The stream from where it ended: as for the POST, but for what tells of its
 * body, of which there is none. */

static void
ngx_http_agents_mcp_exchange_get(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_request_t *request,
    ngx_http_agents_background_header_t *headers)
{
    ngx_uint_t                            i;
    ngx_http_agents_background_header_t  *h;

    h = headers;

    ngx_str_set(&h->name, "Accept");
    ngx_str_set(&h->value, "text/event-stream");
    h++;

    ngx_str_set(&h->name, "Last-Event-ID");
    h->value.data = (u_char *) ngx_http_agents_sse_last_id(&x->sse);
    h->value.len = ngx_strlen(h->value.data);
    h++;

    for (i = 0; i < x->conf.nheaders
                && h < headers + NGX_HTTP_AGENTS_MCP_EXCHANGE_HEADERS;
         i++)
    {
        if (ngx_strcmp(x->conf.headers[i].name.data, "Content-Type") != 0
            && ngx_strcmp(x->conf.headers[i].name.data, "Accept") != 0)
        {
            *h++ = x->conf.headers[i];
        }
    }

    ngx_str_set(&request->method, "GET");
    request->headers = headers;
    request->nheaders = h - headers;
}


static void
ngx_http_agents_mcp_exchange_request(
    const ngx_http_agents_mcp_exchange_conf_t *conf,
    ngx_http_agents_background_request_t *request)
{
    ngx_http_agents_mcp_route_t  *route;

    route = conf->route;

    ngx_memzero(request, sizeof(ngx_http_agents_background_request_t));

    request->turn = conf->tasks->turn;
    ngx_str_set(&request->method, "POST");
    request->vars.upstream = route->upstreams[route->current];
    request->vars.host = route->host;
    request->vars.server_name = route->server_name;
    request->vars.owner = conf->owner;
    request->vars.alias = conf->alias;
    request->vars.tool = conf->tool;
    request->headers = conf->headers;
    request->nheaders = conf->nheaders;
    request->more = conf->more;
    request->nmore = conf->nmore;
    request->nsecrets = ngx_http_agents_mcp_secret_headers(conf->secret,
                                                           &request->secrets);
}


static ngx_int_t
ngx_http_agents_mcp_exchange_head(void *data,
    const ngx_http_agents_background_answer_t *answer)
{
    ngx_http_agents_mcp_exchange_t  *x = data;

    if (x->resumes != 0) {

        /* a GET answers nothing by itself: either there is a stream or not */

        x->stream = ngx_http_agents_mcp_exchange_is_stream(
                                                      &answer->content_type);
        return x->stream ? NGX_OK : NGX_DONE;
    }

    x->http_status = answer->http_status;
    x->sent = 1;

    ngx_http_agents_mcp_secret_mask(x->conf.secret, answer->location.data,
                                    answer->location.len);

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
        x->failed = !x->flooded;
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

    if (x->messages++ == NGX_HTTP_AGENTS_MCP_EXCHANGE_MESSAGES) {
        x->flooded = 1;
        return -1;
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

    if (answer->status != NGX_HTTP_AGENTS_BACKGROUND_BUSY
        && answer->status != NGX_HTTP_AGENTS_BACKGROUND_REFUSED)
    {
        x->sent = 1;
    }

    if (answer->status == NGX_HTTP_AGENTS_BACKGROUND_BUSY
        && ngx_http_agents_mcp_exchange_hold(x) == NGX_OK)
    {
        return;
    }

    if (ngx_http_agents_mcp_exchange_again(x, answer)) {

        if (ngx_http_agents_mcp_exchange_send(x) == NGX_OK
            || ngx_http_agents_mcp_exchange_hold(x) == NGX_OK)
        {
            return;
        }

        x->failed = 1;
    }

    if (ngx_http_agents_mcp_exchange_resume(x, answer)) {
        return;
    }

    ngx_http_agents_mcp_exchange_ended(x, answer->status);

    if (x->resumes == 0) {
        x->http_status = answer->http_status;

        if (answer->body != NULL) {
            ngx_http_agents_mcp_exchange_captured(x, answer);
        }
    }

    ngx_http_agents_mcp_exchange_settle(x);
}


/* A stream that was taken up again and ends otherwise than in time is one that
 * was cut off. */

static void
ngx_http_agents_mcp_exchange_ended(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_background_status_e status)
{
    x->ended = 1;
    x->status = status;

    if (x->resumes != 0
        && status != NGX_HTTP_AGENTS_BACKGROUND_TIMEOUT
        && status != NGX_HTTP_AGENTS_BACKGROUND_TOO_BIG)
    {
        x->status = NGX_HTTP_AGENTS_BACKGROUND_BROKEN;
    }
}


/* Whether a stream that ended before the answer is to be gone on with. */

static ngx_uint_t
ngx_http_agents_mcp_exchange_resume(ngx_http_agents_mcp_exchange_t *x,
    const ngx_http_agents_background_answer_t *answer)
{
    u_char          *p;
    ngx_msec_t       wait;
    ngx_msec_int_t   left;

    if (!x->conf.resumable || !x->stream || x->failed || x->flooded
        || x->answer != NULL
        || x->resumes == NGX_HTTP_AGENTS_MCP_EXCHANGE_RESUMES
        || (answer->status != NGX_HTTP_AGENTS_BACKGROUND_OK
            && answer->status != NGX_HTTP_AGENTS_BACKGROUND_BROKEN))
    {
        return 0;
    }

    p = (u_char *) ngx_http_agents_sse_last_id(&x->sse);

    if (*p == '\0') {
        return 0;
    }

    for ( /* void */ ; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            return 0;       /* what no header can say */
        }
    }

    left = (ngx_msec_int_t) (x->deadline - ngx_current_msec);

    wait = (x->sse.retry >= 0) ? (ngx_msec_t) ngx_min(x->sse.retry, 86400000)
                               : NGX_HTTP_AGENTS_MCP_EXCHANGE_PAUSE;
    wait = ngx_max(wait, NGX_HTTP_AGENTS_MCP_EXCHANGE_LEAST);

    if (left <= (ngx_msec_int_t) wait) {
        return 0;
    }

    x->resumes++;
    x->stream = 0;
    ngx_http_agents_sse_restart(&x->sse);

    ngx_add_timer(&x->pause, wait);

    return 1;
}


static void
ngx_http_agents_mcp_exchange_pause_handler(ngx_event_t *ev)
{
    ngx_http_agents_mcp_exchange_t  *x = ev->data;

    if (x->held) {

        /* the server has its time to answer from here on */

        x->held = 0;
        x->deadline = ngx_current_msec + x->conf.timeout;

        if ((ngx_msec_int_t) (x->until - x->deadline) < 0) {
            x->deadline = x->until;
        }
    }

    if (ngx_http_agents_mcp_exchange_send(x) == NGX_OK
        || ngx_http_agents_mcp_exchange_hold(x) == NGX_OK)
    {
        return;
    }

    x->failed = 1;
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


void
ngx_http_agents_mcp_exchange_settle(ngx_http_agents_mcp_exchange_t *x)
{
    ngx_http_agents_mcp_reply_t  reply;

    if (x->answer == NULL && !x->failed && (!x->ended || x->first != NULL)) {
        return;
    }

    if (x->pause.timer_set) {
        ngx_del_timer(&x->pause);
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


void
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


ngx_int_t
ngx_http_agents_mcp_exchange_aside(
    const ngx_http_agents_mcp_exchange_conf_t *conf, const char *body,
    ngx_http_agents_background_done_pt done, void *data)
{
    ngx_http_agents_background_request_t  request;

    ngx_http_agents_mcp_exchange_request(conf, &request);

    request.more = NULL;
    request.nmore = 0;

    if (body != NULL) {
        request.body.data = (u_char *) body;
        request.body.len = ngx_strlen(body);

    } else {
        ngx_str_set(&request.method, "DELETE");
    }

    request.timeout = NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDE_TIMEOUT;
    request.max_body = NGX_HTTP_AGENTS_MCP_EXCHANGE_ASIDE_MAX_BODY;

    if (done == NULL) {
        done = ngx_http_agents_mcp_exchange_aside_done;
    }

    if (ngx_http_agents_background_send(&conf->conf->target, &request,
                                        conf->log, done, data)
        == NULL)
    {
        ngx_log_error(NGX_LOG_ERR, conf->log, 0,
                      "a message to the mcp server at \"%V\" was not sent",
                      &request.vars.host);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_agents_mcp_exchange_aside_done(void *data,
    ngx_http_agents_background_answer_t *answer)
{
    free(answer->body);
}
