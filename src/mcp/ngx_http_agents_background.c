
#include "ngx_http_agents_background_private.h"


/* Of what is made up around the request: it fits, and little is left. */
#define NGX_HTTP_AGENTS_BACKGROUND_POOL  1024


static ngx_http_agents_background_t *ngx_http_agents_background_create(
    const ngx_http_agents_background_request_t *request, ngx_log_t *log);
static ngx_int_t ngx_http_agents_background_copy_vars(
    ngx_http_agents_background_t *bg,
    const ngx_http_agents_background_vars_t *vars);
static ngx_connection_t *ngx_http_agents_background_connection(
    ngx_http_agents_background_t *bg, ngx_http_conf_ctx_t *ctx);
static ngx_int_t ngx_http_agents_background_request(
    ngx_http_agents_background_t *bg, const ngx_str_t *uri,
    const ngx_http_agents_background_request_t *request);
static ngx_int_t ngx_http_agents_background_subrequest(
    ngx_http_agents_background_t *bg, ngx_str_t *uri,
    const ngx_http_agents_background_request_t *request);
static ngx_int_t ngx_http_agents_background_body(ngx_http_request_t *sr,
    const ngx_str_t *body);
static ngx_uint_t ngx_http_agents_background_method(const ngx_str_t *name);
static u_char *ngx_http_agents_background_log_error(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_agents_background_event_handler(ngx_event_t *ev);
static void ngx_http_agents_background_write_handler(ngx_http_request_t *r);


static const size_t  ngx_http_agents_background_texts[] = {
    offsetof(ngx_http_agents_background_vars_t, upstream),
    offsetof(ngx_http_agents_background_vars_t, host),
    offsetof(ngx_http_agents_background_vars_t, server_name),
    offsetof(ngx_http_agents_background_vars_t, alias),
    offsetof(ngx_http_agents_background_vars_t, tool),
    offsetof(ngx_http_agents_background_vars_t, owner.company),
    offsetof(ngx_http_agents_background_vars_t, owner.user),
    offsetof(ngx_http_agents_background_vars_t, owner.conversation),
    offsetof(ngx_http_agents_background_vars_t, owner.run)
};


ngx_http_agents_background_t *
ngx_http_agents_background_send(
    const ngx_http_agents_background_target_t *target,
    const ngx_http_agents_background_request_t *request, ngx_log_t *log,
    ngx_http_agents_background_done_pt done, void *data)
{
    ngx_str_t                      uri;
    ngx_http_agents_background_t  *bg;

    bg = ngx_http_agents_background_create(request, log);
    if (bg == NULL) {
        return NULL;
    }

    bg->done = done;
    bg->data = data;

    bg->connection = ngx_http_agents_background_connection(bg, target->ctx);
    if (bg->connection == NULL) {
        ngx_http_agents_background_free(bg);
        return NULL;
    }

    bg->request = ngx_http_create_request(bg->connection);
    if (bg->request == NULL) {
        ngx_http_agents_background_free(bg);
        return NULL;
    }

    bg->connection->data = bg->request;

    uri = target->uri;

    if (ngx_http_agents_background_request(bg, &uri, request) != NGX_OK
        || ngx_http_agents_background_subrequest(bg, &uri, request) != NGX_OK)
    {
        ngx_http_agents_background_free(bg);
        return NULL;
    }

    ngx_add_timer(&bg->timer, bg->timeout);

    ngx_http_run_posted_requests(bg->connection);

    return bg;
}


void
ngx_http_agents_background_cancel(ngx_http_agents_background_t *bg)
{
    bg->cancelled = 1;

    if (!bg->over) {
        ngx_http_agents_background_abort(bg, NGX_HTTP_CLIENT_CLOSED_REQUEST);
    }
}


static ngx_http_agents_background_t *
ngx_http_agents_background_create(
    const ngx_http_agents_background_request_t *request, ngx_log_t *log)
{
    ngx_pool_t                    *pool;
    ngx_http_agents_background_t  *bg;

    pool = ngx_create_pool(NGX_HTTP_AGENTS_BACKGROUND_POOL, log);
    if (pool == NULL) {
        return NULL;
    }

    bg = ngx_pcalloc(pool, sizeof(ngx_http_agents_background_t));
    if (bg == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    bg->pool = pool;
    bg->timeout = request->timeout;
    bg->max_body = request->max_body;
    bg->on_head = request->on_head;
    bg->on_body = request->on_body;
    bg->capture = (request->on_body == NULL);

    bg->content_length = request->body.len ? (off_t) request->body.len : -1;

    bg->log = *log;
    bg->log.handler = ngx_http_agents_background_log_error;
    bg->log.data = &bg->log_ctx;
    bg->log.action = NULL;
    pool->log = &bg->log;

    bg->timer.handler = ngx_http_agents_background_timer_handler;
    bg->timer.data = bg;
    bg->timer.log = &bg->log;

    bg->turn = request->turn;
    bg->reap.handler = ngx_http_agents_background_reap_handler;
    bg->reap.data = bg;
    bg->reap.log = &bg->log;

    if (ngx_http_agents_background_copy_vars(bg, &request->vars) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    return bg;
}


static ngx_int_t
ngx_http_agents_background_copy_vars(ngx_http_agents_background_t *bg,
    const ngx_http_agents_background_vars_t *vars)
{
    size_t      offset;
    ngx_str_t  *to;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(ngx_http_agents_background_texts)
                    / sizeof(ngx_http_agents_background_texts[0]); i++)
    {
        offset = ngx_http_agents_background_texts[i];
        to = (ngx_str_t *) ((char *) &bg->vars + offset);

        if (ngx_http_agents_background_copy(bg->pool, to,
                              (ngx_str_t *) ((char *) vars + offset))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_agents_background_copy(ngx_pool_t *pool, ngx_str_t *to,
    const ngx_str_t *from)
{
    if (from->len == 0) {
        ngx_str_null(to);
        return NGX_OK;
    }

    to->data = ngx_pnalloc(pool, from->len);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(to->data, from->data, from->len);
    to->len = from->len;

    return NGX_OK;
}


/*
 * A connection without a socket.  Nothing of it may reach the event method:
 * its events pass for registered, the write event for ready, too, and the
 * socket's options for not to be set.
 */

static ngx_connection_t *
ngx_http_agents_background_connection(ngx_http_agents_background_t *bg,
    ngx_http_conf_ctx_t *ctx)
{
    ngx_connection_t  *c, *saved;

    /* where descriptors index an array, descriptor 0 keeps its entry */

    saved = ngx_cycle->files ? ngx_cycle->files[0] : NULL;

    c = ngx_get_connection(0, &bg->log);

    if (ngx_cycle->files) {
        ngx_cycle->files[0] = saved;
    }

    if (c == NULL) {
        return NULL;
    }

    c->fd = (ngx_socket_t) -1;
    c->pool = bg->pool;
    c->log = &bg->log;
    c->read->log = &bg->log;
    c->write->log = &bg->log;
    c->log_error = NGX_ERROR_INFO;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;

    bg->log.connection = c->number;
    bg->log_ctx.connection = c;

    c->read->handler = ngx_http_agents_background_event_handler;
    c->write->handler = ngx_http_agents_background_event_handler;
    c->read->active = 1;
    c->write->active = 1;
    c->write->ready = 1;

    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    /* variables, ip_hash, limit_req and the like look at addresses */

    bg->sockaddr.sa_family = AF_UNIX;
    c->sockaddr = &bg->sockaddr;
    c->socklen = sizeof(struct sockaddr);
    c->local_sockaddr = &bg->sockaddr;
    c->local_socklen = sizeof(struct sockaddr);
    ngx_str_set(&c->addr_text, "unix:");

    bg->http_connection.conf_ctx = ctx;
    c->data = &bg->http_connection;

    return c;
}


/* The made-up main request: it only stands above the subrequest. */

static ngx_int_t
ngx_http_agents_background_request(ngx_http_agents_background_t *bg,
    const ngx_str_t *uri, const ngx_http_agents_background_request_t *request)
{
    u_char              *p;
    ngx_http_request_t  *r;

    r = bg->request;

    ngx_http_set_ctx(r, bg, ngx_http_agents_background_module);

    r->method = ngx_http_agents_background_method(&request->method);
    r->http_version = NGX_HTTP_VERSION_11;
    r->http_state = NGX_HTTP_PROCESS_REQUEST_STATE;
    r->uri = *uri;
    r->unparsed_uri = *uri;
    r->internal = 1;
    r->logged = 1;

    ngx_str_set(&r->http_protocol, "HTTP/1.1");
    ngx_str_set(&r->schema, "http");

    if (ngx_http_agents_background_copy(r->pool, &r->method_name,
                                        &request->method)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, r->method_name.len + 1 + uri->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    r->request_line.data = p;
    r->request_line.len = r->method_name.len + 1 + uri->len;

    p = ngx_cpymem(p, r->method_name.data, r->method_name.len);
    *p++ = ' ';
    ngx_memcpy(p, uri->data, uri->len);

    r->header_in = ngx_create_temp_buf(r->pool, 1);
    if (r->header_in == NULL) {
        return NGX_ERROR;
    }

    r->write_event_handler = ngx_http_agents_background_write_handler;

    return ngx_http_agents_background_headers(bg, request);
}


static ngx_int_t
ngx_http_agents_background_subrequest(ngx_http_agents_background_t *bg,
    ngx_str_t *uri, const ngx_http_agents_background_request_t *request)
{
    ngx_http_request_t  *r, *sr;

    r = bg->request;

    bg->post.handler = ngx_http_agents_background_finished;
    bg->post.data = bg;

    if (ngx_http_subrequest(r, uri, NULL, &sr, &bg->post,
                            NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bg->subrequest = sr;

    sr->method = r->method;
    sr->method_name = r->method_name;
    sr->filter_need_in_memory = 1;

    return ngx_http_agents_background_body(sr, &request->body);
}


static ngx_int_t
ngx_http_agents_background_body(ngx_http_request_t *sr, const ngx_str_t *body)
{
    ngx_buf_t                *b;
    ngx_http_request_body_t  *rb;

    if (body->len == 0) {
        return NGX_OK;
    }

    rb = ngx_pcalloc(sr->pool, sizeof(ngx_http_request_body_t));
    if (rb == NULL) {
        return NGX_ERROR;
    }

    b = ngx_create_temp_buf(sr->pool, body->len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, body->data, body->len);
    b->last_buf = 1;

    rb->bufs = ngx_alloc_chain_link(sr->pool);
    if (rb->bufs == NULL) {
        return NGX_ERROR;
    }

    rb->bufs->buf = b;
    rb->bufs->next = NULL;
    rb->buf = b;

    sr->request_body = rb;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_agents_background_method(const ngx_str_t *name)
{
    if (name->len == 4 && ngx_strncmp(name->data, "POST", 4) == 0) {
        return NGX_HTTP_POST;
    }

    if (name->len == 6 && ngx_strncmp(name->data, "DELETE", 6) == 0) {
        return NGX_HTTP_DELETE;
    }

    return NGX_HTTP_GET;
}


static u_char *
ngx_http_agents_background_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                        *p;
    ngx_http_request_t            *r;
    ngx_http_log_ctx_t            *ctx;
    ngx_http_agents_background_t  *bg;

    p = buf;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    ctx = log->data;
    r = ctx->request;

    if (r == NULL) {
        return p;
    }

    bg = ngx_http_agents_background_of(r);

    if (bg != NULL) {
        p = ngx_snprintf(buf, len, ", mcp server: \"%V\" at \"%V\"",
                         &bg->vars.alias, &bg->vars.host);
        len -= p - buf;
    }

    return r->log_handler(r, ctx->current_request, p, len);
}


/*
 * Timers that a phase handler of the location set on the connection without
 * a socket (the delay of limit_req, for one) end here.
 */

static void
ngx_http_agents_background_event_handler(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = ev->data;
    r = c->data;

    ev->delayed = 0;
    ev->timedout = 0;

    if (ev->write) {
        r->write_event_handler(r);

    } else {
        r->read_event_handler(r);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_agents_background_write_handler(ngx_http_request_t *r)
{
    ngx_http_request_t            *sr;
    ngx_http_agents_background_t  *bg;

    bg = ngx_http_agents_background_of(r);
    sr = bg->subrequest;

    if (!bg->over) {
        sr->write_event_handler(sr);
    }
}
