
/*
 * Discovery: a server's tools, page by page, or as they are remembered.
 */


#include "ngx_http_agents_mcp_private.h"
#include "ngx_http_agents_json.h"


#define NGX_HTTP_AGENTS_MCP_LIST_PAGES  100
#define NGX_HTTP_AGENTS_MCP_LIST_TOOLS  1000
#define NGX_HTTP_AGENTS_MCP_LIST_BYTES  (4 * 1024 * 1024)


static ngx_int_t ngx_http_agents_mcp_list_remembered(
    ngx_http_agents_mcp_server_t *server);
static void ngx_http_agents_mcp_list_remember(
    ngx_http_agents_mcp_server_t *server);
static ngx_int_t ngx_http_agents_mcp_list_send(
    ngx_http_agents_mcp_server_t *server, const char *cursor);
static void ngx_http_agents_mcp_list_page(void *data,
    const ngx_http_agents_mcp_reply_t *reply);
static ngx_uint_t ngx_http_agents_mcp_list_unsettled(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply);
static void ngx_http_agents_mcp_list_refused(
    ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply);
static ngx_int_t ngx_http_agents_mcp_list_add(
    ngx_http_agents_mcp_server_t *server, json_t *tools, const char **why);
static ngx_int_t ngx_http_agents_mcp_list_add_params(
    ngx_http_agents_mcp_server_t *server, const char *name, json_t *tool);
static ngx_int_t ngx_http_agents_mcp_list_more(
    ngx_http_agents_mcp_listing_t *listing, const char *cursor);
static void ngx_http_agents_mcp_list_end(ngx_http_agents_mcp_server_t *server,
    json_t *tools, const char *why);


ngx_int_t
ngx_http_agents_mcp_discover(ngx_http_agents_mcp_server_t *server,
    ngx_http_agents_mcp_discovered_pt done, void *data)
{
    ngx_http_agents_mcp_listing_t  *listing;

    listing = &server->listing;

    if (listing->done != NULL) {
        ngx_log_error(NGX_LOG_ALERT, server->log, 0,
                      "mcp server \"%V\" is being discovered already",
                      &server->alias);
        return NGX_ERROR;
    }

    listing->done = done;
    listing->data = data;
    listing->deadline = ngx_current_msec + server->conf->discovery_timeout;
    listing->reopened = 0;
    listing->repeated = 0;
    listing->changed = 0;
    listing->ttl = -1;

    if (server->conf->cache != NULL
        && ngx_http_agents_mcp_list_remembered(server) == NGX_OK)
    {
        ngx_post_event(&server->start, &ngx_posted_events);
        return NGX_OK;
    }

    ngx_http_agents_mcp_open(server, listing->deadline);

    return NGX_OK;
}


/* Of this user, under this alias, which is a part of the tools' names. */

static ngx_int_t
ngx_http_agents_mcp_list_remembered(ngx_http_agents_mcp_server_t *server)
{
    u_char                              *p;
    ngx_http_agents_mcp_cached_t         cached;
    ngx_http_agents_background_owner_t  *owner;

    owner = &server->owner;

    p = ngx_pnalloc(server->pool, server->url.len + server->alias.len
                                  + owner->company.len + owner->user.len + 3);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    server->key.data = p;

    p = ngx_cpymem(p, server->url.data, server->url.len);
    *p++ = '\0';
    p = ngx_cpymem(p, server->alias.data, server->alias.len);
    *p++ = '\0';
    p = ngx_cpymem(p, owner->company.data, owner->company.len);
    *p++ = '\0';
    p = ngx_cpymem(p, owner->user.data, owner->user.len);

    server->key.len = p - server->key.data;

    if (ngx_http_agents_mcp_cache_get(server->conf->cache, &server->key,
                                      &cached)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    server->listing.cached = cached.tools;
    server->params = cached.params;
    server->has_tools = cached.has_tools;
    server->settled = 1;
    server->era = cached.modern ? &ngx_http_agents_mcp_modern
                                : &ngx_http_agents_mcp_legacy;

    return NGX_OK;
}


void
ngx_http_agents_mcp_list_cached(ngx_http_agents_mcp_server_t *server)
{
    json_t  *tools;

    tools = server->listing.cached;
    server->listing.cached = NULL;
    server->listing.tools = tools;

    ngx_http_agents_mcp_list_end(server, tools, NULL);
}


void
ngx_http_agents_mcp_list_forget(ngx_http_agents_mcp_server_t *server)
{
    if (server->key.len != 0) {
        ngx_http_agents_mcp_cache_drop(server->conf->cache, &server->key);
    }
}


static void
ngx_http_agents_mcp_list_remember(ngx_http_agents_mcp_server_t *server)
{
    ngx_msec_t                      time;
    ngx_http_agents_mcp_cached_t    cached;
    ngx_http_agents_mcp_listing_t  *listing;

    listing = &server->listing;
    time = server->conf->cache_time;

    if (listing->ttl >= 0 && (uint64_t) listing->ttl < time) {
        time = (ngx_msec_t) listing->ttl;
    }

    if (server->key.len == 0 || time == 0 || listing->changed) {
        return;
    }

    cached.tools = listing->tools;
    cached.params = server->params;
    cached.has_tools = server->has_tools;
    cached.modern = (server->era == &ngx_http_agents_mcp_modern);

    ngx_http_agents_mcp_cache_put(server->conf->cache, &server->key, &cached,
                                  listing->bytes, time);
}


void
ngx_http_agents_mcp_list_start(ngx_http_agents_mcp_server_t *server)
{
    ngx_http_agents_mcp_listing_t  *listing;

    listing = &server->listing;

    ngx_http_agents_mcp_list_free(listing);

    listing->tools = json_array();
    listing->names = json_object();
    listing->cursors = json_object();

    if (listing->tools == NULL || listing->names == NULL
        || listing->cursors == NULL
        || ngx_http_agents_mcp_list_send(server, NULL) != NGX_OK)
    {
        ngx_http_agents_mcp_lacking(server);
    }
}


void
ngx_http_agents_mcp_list_free(ngx_http_agents_mcp_listing_t *listing)
{
    json_decref(listing->tools);
    json_decref(listing->cached);
    json_decref(listing->names);
    json_decref(listing->cursors);

    listing->tools = NULL;
    listing->cached = NULL;
    listing->names = NULL;
    listing->cursors = NULL;
    listing->pages = 0;
    listing->bytes = 0;
}


static ngx_int_t
ngx_http_agents_mcp_list_send(ngx_http_agents_mcp_server_t *server,
    const char *cursor)
{
    char                                 *params;
    ngx_http_agents_buf_t                 buf;
    ngx_http_agents_mcp_listing_t        *listing;
    ngx_http_agents_mcp_exchange_conf_t   conf;

    listing = &server->listing;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_mcp_message_list_params(&buf, cursor,
                                            ngx_http_agents_mcp_meta(server));

    params = ngx_http_agents_buf_take(&buf, NULL);
    if (params == NULL) {
        return NGX_ERROR;
    }

    ngx_http_agents_mcp_exchange_conf(server, &conf, listing->deadline);
    ngx_http_agents_mcp_exchange_message(server, &conf, "tools/list", params);
    free(params);

    conf.method = NGX_HTTP_AGENTS_MCP_LIST;
    conf.more = server->era->list_header;
    conf.nmore = (conf.more != NULL);
    conf.repeatable = 1;

    if (!server->settled) {

        /* a server may say nothing to what it does not know */

        conf.patience = conf.timeout;
        conf.timeout = (conf.timeout + 1) / 2;
    }

    listing->id = conf.id;

    listing->exchange = ngx_http_agents_mcp_exchange_start(&conf,
                            ngx_http_agents_mcp_list_page, server);

    return (listing->exchange != NULL) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_agents_mcp_list_page(void *data,
    const ngx_http_agents_mcp_reply_t *reply)
{
    ngx_int_t                       rc;
    const char                     *why;
    ngx_http_agents_mcp_server_t   *server = data;

    ngx_http_agents_mcp_listing_t  *listing;
    ngx_http_agents_mcp_reading_t  *reading;

    listing = &server->listing;
    listing->exchange = NULL;

    if (reply->outcome == NGX_HTTP_AGENTS_MCP_NO_RESOURCES) {
        ngx_http_agents_mcp_lacking(server);
        return;
    }

    if (!server->settled && ngx_http_agents_mcp_list_unsettled(server, reply))
    {
        return;
    }

    if (reply->outcome != NGX_HTTP_AGENTS_MCP_DONE) {
        ngx_http_agents_mcp_list_refused(server, reply);
        return;
    }

    reading = reply->reading;

    if (reading->left_out != 0) {
        ngx_log_error(NGX_LOG_WARN, server->log, 0,
                      "mcp server \"%V\": %uz tools with a wrong "
                      "\"x-mcp-header\" are left out",
                      &server->alias, reading->left_out);
    }

    listing->bytes += reply->bytes;
    listing->pages++;
    listing->changed |= reply->changed;

    if (reading->ttl >= 0 && (listing->ttl < 0 || reading->ttl < listing->ttl))
    {
        listing->ttl = reading->ttl;
    }

    rc = ngx_http_agents_mcp_list_add(server, reading->tools, &why);

    if (rc == NGX_DECLINED) {
        ngx_http_agents_mcp_list_fail(server, why);
        return;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_agents_mcp_list_more(listing, reading->cursor);
    }

    if (rc == NGX_DONE) {
        ngx_http_agents_mcp_list_remember(server);
        ngx_http_agents_mcp_list_end(server, listing->tools, NULL);
        return;
    }

    if (rc != NGX_OK
        || ngx_http_agents_mcp_list_send(server, reading->cursor) != NGX_OK)
    {
        ngx_http_agents_mcp_lacking(server);
    }
}


/* Whether the listing goes on with another request than for the next page. */

static ngx_uint_t
ngx_http_agents_mcp_list_unsettled(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply)
{
    ngx_int_t                       rc;
    ngx_http_agents_mcp_listing_t  *listing;

    listing = &server->listing;

    rc = server->era->settle(server, reply);

    if (rc == NGX_AGAIN && !listing->repeated) {
        listing->repeated = 1;

        if (ngx_http_agents_mcp_list_send(server, NULL) != NGX_OK) {
            ngx_http_agents_mcp_lacking(server);
        }

        return 1;
    }

    return (rc == NGX_DECLINED
            && ngx_http_agents_mcp_turn(server, listing->deadline) == NGX_OK);
}


static void
ngx_http_agents_mcp_list_refused(ngx_http_agents_mcp_server_t *server,
    const ngx_http_agents_mcp_reply_t *reply)
{
    char                            why[NGX_HTTP_AGENTS_MCP_WHY_LEN];
    ngx_http_agents_mcp_listing_t  *listing;

    listing = &server->listing;

    if (!listing->reopened && server->era->lost(server, reply)) {
        listing->reopened = 1;
        ngx_http_agents_mcp_open(server, listing->deadline);
        return;
    }

    if (reply->outcome == NGX_HTTP_AGENTS_MCP_REJECTED
        && reply->reading->code == NGX_HTTP_AGENTS_MCP_NO_METHOD
        && !server->has_tools)
    {
        /* it said before that it has none */

        ngx_http_agents_mcp_list_end(server, listing->tools, NULL);
        return;
    }

    if (reply->outcome == NGX_HTTP_AGENTS_MCP_TIMED_OUT) {
        server->era->abandon(server, listing->id);
    }

    ngx_http_agents_mcp_reply_why(reply, why, sizeof(why));
    ngx_http_agents_mcp_list_fail(server, why);
}


/* The first of tools with one name is kept.  NGX_DECLINED: there is something
 * wrong with them; NGX_ERROR without memory. */

static ngx_int_t
ngx_http_agents_mcp_list_add(ngx_http_agents_mcp_server_t *server,
    json_t *tools, const char **why)
{
    size_t                          i;
    json_t                         *tool;
    const char                     *name;
    ngx_http_agents_mcp_listing_t  *listing;

    listing = &server->listing;

    if (listing->bytes > NGX_HTTP_AGENTS_MCP_LIST_BYTES) {
        *why = "its list of tools is too large";
        return NGX_DECLINED;
    }

    json_array_foreach(tools, i, tool) {

        name = ngx_http_agents_json_string(tool, "name", NULL);

        if (json_object_get(listing->names, name) != NULL) {
            continue;
        }

        if (json_array_size(listing->tools) == NGX_HTTP_AGENTS_MCP_LIST_TOOLS) {
            *why = "it has too many tools";
            return NGX_DECLINED;
        }

        if (json_object_set_new(listing->names, name, json_true()) != 0
            || json_array_append(listing->tools, tool) != 0
            || ngx_http_agents_mcp_list_add_params(server, name, tool)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Which arguments are headers is kept here, for the calls. */

static ngx_int_t
ngx_http_agents_mcp_list_add_params(ngx_http_agents_mcp_server_t *server,
    const char *name, json_t *tool)
{
    json_t  *params;

    params = json_object_get(tool, "params");

    if (params == NULL) {
        return NGX_OK;
    }

    if (server->params == NULL) {
        server->params = json_object();
    }

    if (json_object_set(server->params, name, params) != 0) {
        return NGX_ERROR;
    }

    return (json_object_del(tool, "params") == 0) ? NGX_OK : NGX_ERROR;
}


/*
 * Whether to ask for another page: NGX_OK, or NGX_DONE; NGX_ERROR without
 * memory.  A cursor that came before ends the list: there are servers that
 * answer any cursor with their first page.
 */

static ngx_int_t
ngx_http_agents_mcp_list_more(ngx_http_agents_mcp_listing_t *listing,
    const char *cursor)
{
    if (cursor == NULL || listing->pages == NGX_HTTP_AGENTS_MCP_LIST_PAGES
        || json_object_get(listing->cursors, cursor) != NULL)
    {
        return NGX_DONE;
    }

    return (json_object_set_new(listing->cursors, cursor, json_true()) == 0)
           ? NGX_OK : NGX_ERROR;
}


void
ngx_http_agents_mcp_list_fail(ngx_http_agents_mcp_server_t *server,
    const char *why)
{
    if (server->state != NGX_HTTP_AGENTS_MCP_CLOSED) {
        ngx_log_error(NGX_LOG_WARN, server->log, 0, "mcp server \"%V\": %s",
                      &server->alias, why);
    }

    ngx_http_agents_mcp_list_end(server, NULL, why);
}


/* The server may be gone after it. */

static void
ngx_http_agents_mcp_list_end(ngx_http_agents_mcp_server_t *server,
    json_t *tools, const char *why)
{
    void                               *data;
    ngx_http_agents_mcp_listing_t      *listing;
    ngx_http_agents_mcp_discovery_t     discovery;
    ngx_http_agents_mcp_discovered_pt   done;

    listing = &server->listing;

    done = listing->done;
    data = listing->data;
    listing->done = NULL;

    discovery.tools = json_incref(tools);
    discovery.why = why;

    ngx_http_agents_mcp_list_free(listing);

    done(data, &discovery);
}
