
#include "ngx_http_agents_mcp_private.h"


static ngx_int_t ngx_http_agents_mcp_copy(ngx_pool_t *pool, ngx_str_t *to,
    const void *from, size_t len);
static ngx_int_t ngx_http_agents_mcp_copy_owner(ngx_pool_t *pool,
    ngx_http_agents_background_owner_t *to,
    const ngx_http_agents_background_owner_t *from);
static ngx_int_t ngx_http_agents_mcp_set_trace(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_trace_t *trace);
static void ngx_http_agents_mcp_free(ngx_http_agents_mcp_server_t *server);
static void ngx_http_agents_mcp_start_handler(ngx_event_t *ev);
static void ngx_http_agents_mcp_routed(void *data, ngx_int_t rc);
static void ngx_http_agents_mcp_handshake(ngx_http_agents_mcp_server_t *server);
static void ngx_http_agents_mcp_trusted(void *data, ngx_int_t rc);


ngx_http_agents_mcp_server_t *
ngx_http_agents_mcp_server_create(const ngx_http_agents_mcp_conf_t *conf,
    ngx_http_agents_mcp_eras_t *eras, ngx_http_agents_tasks_t *tasks,
    const ngx_http_agents_background_owner_t *owner,
    const ngx_http_agents_mcp_trace_t *trace, const char *alias,
    const char *url, ngx_log_t *log)
{
    ngx_pool_t                    *pool;
    const char                    *why;
    ngx_http_agents_mcp_server_t  *server;

    pool = ngx_create_pool(2048, log);
    if (pool == NULL) {
        return NULL;
    }

    server = ngx_pcalloc(pool, sizeof(ngx_http_agents_mcp_server_t));
    if (server == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    server->pool = pool;
    server->conf = conf;
    server->eras = eras;
    server->tasks = tasks;
    server->log = log;
    ngx_queue_init(&server->calls);
    ngx_queue_init(&server->farewells);

    server->start.handler = ngx_http_agents_mcp_start_handler;
    server->start.data = server;
    server->start.log = log;

    server->route.conf = conf;
    server->route.pool = pool;
    server->route.log = log;

    if (ngx_http_agents_mcp_copy(pool, &server->alias, alias,
                                 ngx_strlen(alias))
        != NGX_OK
        || ngx_http_agents_mcp_copy(pool, &server->url, url, ngx_strlen(url))
           != NGX_OK
        || ngx_http_agents_mcp_copy_owner(pool, &server->owner, owner)
           != NGX_OK
        || ngx_http_agents_mcp_set_trace(server, trace) != NGX_OK)
    {
        ngx_http_agents_mcp_free(server);
        return NULL;
    }

    server->era = ngx_http_agents_mcp_eras_legacy(eras, &server->url)
                  ? &ngx_http_agents_mcp_legacy : &ngx_http_agents_mcp_modern;

    /* a url that was accepted once may be refused by a later release */

    if (ngx_http_agents_url_parse(&server->route.url,
                                  (char *) server->url.data, server->url.len,
                                  &why)
        != 0)
    {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "url of mcp server \"%V\" %s", &server->alias, why);
        server->route.url.host = NULL;
        return server;
    }

    if (ngx_http_agents_mcp_secret_create(conf, &server->route.url, owner,
                                          tasks, log, &server->secret)
        != NGX_OK)
    {
        ngx_http_agents_mcp_free(server);
        return NULL;
    }

    return server;
}


void
ngx_http_agents_mcp_server_destroy(ngx_http_agents_mcp_server_t *server)
{
    ngx_http_agents_mcp_listing_t  *listing;

    listing = &server->listing;

    if (server->start.posted) {
        ngx_delete_posted_event(&server->start);
    }

    if (server->start.timer_set) {
        ngx_del_timer(&server->start);
    }

    ngx_http_agents_mcp_route_cancel(&server->route);

    if (server->opening != NULL) {
        ngx_http_agents_mcp_exchange_cancel(server->opening);
    }

    if (listing->exchange != NULL) {
        ngx_http_agents_mcp_exchange_cancel(listing->exchange);
    }

    ngx_http_agents_mcp_list_free(listing);

    ngx_http_agents_mcp_call_cancel_all(server);

    server->era->close(server);

    server->gone = 1;
    ngx_http_agents_mcp_server_release(server);
}


void
ngx_http_agents_mcp_server_release(ngx_http_agents_mcp_server_t *server)
{
    if (!server->gone || server->telling != 0) {
        return;
    }

    json_decref(server->params);
    free(server->session.data);
    ngx_http_agents_mcp_secret_destroy(server->secret);
    ngx_http_agents_mcp_free(server);
}


static void
ngx_http_agents_mcp_free(ngx_http_agents_mcp_server_t *server)
{
    free(server->metas[0]);
    free(server->metas[1]);
    ngx_destroy_pool(server->pool);
}


static ngx_int_t
ngx_http_agents_mcp_copy(ngx_pool_t *pool, ngx_str_t *to, const void *from,
    size_t len)
{
    to->len = len;
    to->data = ngx_pnalloc(pool, len + 1);

    if (to->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(to->data, from, len);
    to->data[len] = '\0';

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_copy_owner(ngx_pool_t *pool,
    ngx_http_agents_background_owner_t *to,
    const ngx_http_agents_background_owner_t *from)
{
    if (ngx_http_agents_mcp_copy(pool, &to->company, from->company.data,
                                 from->company.len)
        != NGX_OK
        || ngx_http_agents_mcp_copy(pool, &to->user, from->user.data,
                                    from->user.len)
           != NGX_OK
        || ngx_http_agents_mcp_copy(pool, &to->conversation,
                                    from->conversation.data,
                                    from->conversation.len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_agents_mcp_copy(pool, &to->run, from->run.data,
                                    from->run.len);
}


static ngx_int_t
ngx_http_agents_mcp_set_trace(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_trace_t *trace)
{
    ngx_uint_t              i;
    ngx_http_agents_buf_t   buf;

    if (trace->parent != NULL
        && ngx_http_agents_mcp_copy(server->pool, &server->traceparent,
                                    trace->parent, ngx_strlen(trace->parent))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (trace->state != NULL
        && ngx_http_agents_mcp_copy(server->pool, &server->tracestate,
                                    trace->state, ngx_strlen(trace->state))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_agents_buf_init(&buf);

    for (i = 0; i < 2; i++) {

        ngx_http_agents_mcp_message_meta(&buf, i, trace->parent, trace->state);

        if (buf.failed) {
            ngx_http_agents_buf_free(&buf);
            return NGX_ERROR;
        }

        if (buf.len != 0) {
            server->metas[i] = ngx_http_agents_buf_take(&buf, NULL);
        }
    }

    return NGX_OK;
}


const char *
ngx_http_agents_mcp_meta(const ngx_http_agents_mcp_server_t *server)
{
    return server->metas[server->era->modern];
}


void
ngx_http_agents_mcp_open(ngx_http_agents_mcp_server_t *server,
    ngx_msec_t deadline)
{
    server->open_deadline = deadline;
    server->backoff = 0;

    server->state = (server->route.n == 0) ? NGX_HTTP_AGENTS_MCP_ROUTING
                                           : NGX_HTTP_AGENTS_MCP_OPENING;

    ngx_post_event(&server->start, &ngx_posted_events);
}


static void
ngx_http_agents_mcp_start_handler(ngx_event_t *ev)
{
    ngx_int_t                      rc;
    ngx_msec_int_t                 left;
    ngx_http_agents_mcp_server_t  *server = ev->data;

    if (server->listing.cached != NULL) {
        ngx_http_agents_mcp_list_cached(server);
        return;
    }

    if (server->state == NGX_HTTP_AGENTS_MCP_OPEN) {
        ngx_http_agents_mcp_list_start(server);
        return;
    }

    if (server->state == NGX_HTTP_AGENTS_MCP_OPENING) {
        ngx_http_agents_mcp_handshake(server);
        return;
    }

    if (server->route.url.host == NULL) {
        ngx_http_agents_mcp_opened(server, "its url is not valid");
        return;
    }

    if (server->conf->target.uri.len == 0) {
        ngx_http_agents_mcp_opened(server, "no agents_mcp_location is "
                                   "configured");
        return;
    }

    left = (ngx_msec_int_t) (server->open_deadline - ngx_current_msec);

    rc = ngx_http_agents_mcp_route_find(&server->route, ngx_max(left, 1),
                                        ngx_http_agents_mcp_routed, server);
    if (rc != NGX_AGAIN) {
        ngx_http_agents_mcp_routed(server, rc);
    }
}


/* What is denied and what does not exist read the same. */

static void
ngx_http_agents_mcp_routed(void *data, ngx_int_t rc)
{
    ngx_http_agents_mcp_server_t *server = data;

    if (rc == NGX_OK) {
        ngx_http_agents_mcp_handshake(server);

    } else if (rc == NGX_DECLINED) {
        ngx_http_agents_mcp_opened(server, "the server cannot be reached");

    } else {
        ngx_http_agents_mcp_lacking(server);
    }
}


static void
ngx_http_agents_mcp_handshake(ngx_http_agents_mcp_server_t *server)
{
    ngx_int_t  rc;

    server->state = NGX_HTTP_AGENTS_MCP_OPENING;

    rc = ngx_http_agents_mcp_secret_ready(server->secret,
                                          ngx_http_agents_mcp_trusted, server);
    if (rc != NGX_AGAIN) {
        ngx_http_agents_mcp_trusted(server, rc);
    }
}


/* It has what it is to show to the server. */

static void
ngx_http_agents_mcp_trusted(void *data, ngx_int_t rc)
{
    ngx_http_agents_mcp_server_t *server = data;

    if (rc != NGX_OK || server->era->open(server) != NGX_OK) {
        ngx_http_agents_mcp_lacking(server);
    }
}


void
ngx_http_agents_mcp_lacking(ngx_http_agents_mcp_server_t *server)
{
    ngx_msec_t   until;
    const char  *why;

    until = (server->state == NGX_HTTP_AGENTS_MCP_OPEN)
            ? server->listing.deadline : server->open_deadline;

    if (ngx_http_agents_mcp_exchange_later(&server->start, &server->backoff,
                                           until, &server->alias)
        == NGX_OK)
    {
        return;
    }

    why = "the request could not be made";

    if (server->state == NGX_HTTP_AGENTS_MCP_OPEN) {
        ngx_http_agents_mcp_list_fail(server, why);

    } else {
        ngx_http_agents_mcp_opened(server, why);
    }
}


void
ngx_http_agents_mcp_opened(ngx_http_agents_mcp_server_t *server,
    const char *why)
{
    if (why == NULL) {
        server->state = NGX_HTTP_AGENTS_MCP_OPEN;
        server->opens++;

    } else {
        server->state = NGX_HTTP_AGENTS_MCP_CLOSED;
        ngx_http_agents_mcp_list_forget(server);
        ngx_cpystrn((u_char *) server->why, (u_char *) why,
                    NGX_HTTP_AGENTS_MCP_WHY_LEN);

        ngx_log_error(NGX_LOG_WARN, server->log, 0, "mcp server \"%V\": %s",
                      &server->alias, why);
    }

    ngx_http_agents_mcp_call_wake(server);

    if (server->listing.done == NULL) {
        return;
    }

    if (why == NULL) {
        ngx_http_agents_mcp_list_start(server);

    } else {
        ngx_http_agents_mcp_list_fail(server, why);
    }
}


ngx_int_t
ngx_http_agents_mcp_turn(ngx_http_agents_mcp_server_t *server,
    ngx_msec_t deadline)
{
    /* from a hint that was wrong to the other era, or there and back */

    if (server->turns == 2 || server->settled) {
        return NGX_DECLINED;
    }

    server->turns++;

    if (server->era == &ngx_http_agents_mcp_legacy) {
        ngx_http_agents_mcp_eras_forget(server->eras, &server->url);
        server->era = &ngx_http_agents_mcp_modern;

    } else {
        server->era = &ngx_http_agents_mcp_legacy;
    }

    ngx_http_agents_mcp_open(server, deadline);

    return NGX_OK;
}


void
ngx_http_agents_mcp_settled(ngx_http_agents_mcp_server_t *server)
{
    /* a hint that was followed does not last for ever */

    if (server->era == &ngx_http_agents_mcp_legacy && server->turns != 0) {
        ngx_http_agents_mcp_eras_remember(server->eras, &server->url);
    }

    server->settled = 1;
}


void
ngx_http_agents_mcp_headers(ngx_http_agents_mcp_server_t *server)
{
    ngx_http_agents_background_header_t  *h;

    h = server->headers;

    ngx_str_set(&h->name, "Content-Type");
    ngx_str_set(&h->value, "application/json");
    h++;

    ngx_str_set(&h->name, "Accept");
    ngx_str_set(&h->value, "application/json, text/event-stream");
    h++;

    /* unasked, a server may choose a coding, which nobody would undo */

    ngx_str_set(&h->name, "Accept-Encoding");
    ngx_str_set(&h->value, "identity");
    h++;

    if (server->version[0] != '\0') {
        ngx_str_set(&h->name, "MCP-Protocol-Version");
        h->value.data = (u_char *) server->version;
        h->value.len = ngx_strlen(server->version);
        h++;
    }

    if (server->session.len != 0) {
        ngx_str_set(&h->name, "Mcp-Session-Id");
        h->value = server->session;
        h++;
    }

    if (server->traceparent.len != 0) {
        ngx_str_set(&h->name, "traceparent");
        h->value = server->traceparent;
        h++;
    }

    if (server->tracestate.len != 0) {
        ngx_str_set(&h->name, "tracestate");
        h->value = server->tracestate;
        h++;
    }

    server->nheaders = h - server->headers;
}


void
ngx_http_agents_mcp_exchange_conf(ngx_http_agents_mcp_server_t *server,
    ngx_http_agents_mcp_exchange_conf_t *conf, ngx_msec_t deadline)
{
    ngx_msec_int_t  left;

    ngx_memzero(conf, sizeof(ngx_http_agents_mcp_exchange_conf_t));

    left = (ngx_msec_int_t) (deadline - ngx_current_msec);

    conf->conf = server->conf;
    conf->tasks = server->tasks;
    conf->log = server->log;
    conf->route = &server->route;
    conf->secret = server->secret;
    conf->alias = server->alias;
    conf->owner = server->owner;
    conf->headers = server->headers;
    conf->nheaders = server->nheaders;
    conf->timeout = ngx_max(left, 1);
    conf->modern = server->era->modern;
}


void
ngx_http_agents_mcp_exchange_message(ngx_http_agents_mcp_server_t *server,
    ngx_http_agents_mcp_exchange_conf_t *conf, const char *method,
    const char *params)
{
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);

    if (conf->notification) {
        ngx_http_agents_mcp_message_notification(&buf, method, params);

    } else {
        conf->id = ++server->last_id;
        conf->resumable = !conf->modern;
        ngx_http_agents_mcp_message_request(&buf, conf->id, method, params);
    }

    conf->body = ngx_http_agents_buf_take(&buf, &conf->body_len);
}
