
/*
 * Shared by the files of the MCP client alone.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_PRIVATE_H_INCLUDED_


#include "ngx_http_agents_mcp.h"
#include "ngx_http_agents_mcp_exchange.h"


/* Of a text that says what went wrong, with its NUL. */
#define NGX_HTTP_AGENTS_MCP_WHY_LEN      512

#define NGX_HTTP_AGENTS_MCP_HEADERS_MAX  4


/* What differs between the eras of the protocol. */
typedef struct {
    /* makes the server ready for requests, by server->open_deadline; ends in
     * ..._mcp_opened; NGX_ERROR without memory: it does not */
    ngx_int_t   (*open)(ngx_http_agents_mcp_server_t *server);

    /* whether the answer says that what "open" made is no more: nothing was
     * done then, and after another "open" the request may be made again */
    ngx_uint_t  (*lost)(ngx_http_agents_mcp_server_t *server,
                        const ngx_http_agents_mcp_reply_t *reply);

    /* tells the server that this answer is not awaited any more */
    void        (*abandon)(ngx_http_agents_mcp_server_t *server, int64_t id);

    /* the end, once */
    void        (*close)(ngx_http_agents_mcp_server_t *server);
} ngx_http_agents_mcp_era_t;


/*
 *            discover, call         route found        the era's handshake
 *   CLOSED -----------------> ROUTING ----------> OPENING --------------> OPEN
 *     ^                          |                 |   ^                    |
 *     +------------- failed -----+-----------------+   +----- it is lost ---+
 */

typedef enum {
    NGX_HTTP_AGENTS_MCP_CLOSED = 0,
    NGX_HTTP_AGENTS_MCP_ROUTING,
    NGX_HTTP_AGENTS_MCP_OPENING,
    NGX_HTTP_AGENTS_MCP_OPEN
} ngx_http_agents_mcp_state_e;


/* Listing of the tools, page by page. */
typedef struct {
    ngx_http_agents_mcp_discovered_pt    done;      /* NULL: none under way */
    void                                *data;
    ngx_msec_t                           deadline;
    ngx_http_agents_mcp_exchange_t      *exchange;
    json_t                              *tools;
    json_t                              *names;     /* seen so far: an object */
    json_t                              *cursors;   /* the same */
    ngx_uint_t                           pages;
    size_t                               bytes;
    unsigned                             reopened:1;
} ngx_http_agents_mcp_listing_t;


struct ngx_http_agents_mcp_server_s {
    ngx_pool_t                          *pool;
    const ngx_http_agents_mcp_conf_t    *conf;
    ngx_http_agents_tasks_t             *tasks;
    ngx_log_t                           *log;
    ngx_http_agents_background_owner_t   owner;
    ngx_str_t                            alias;
    ngx_http_agents_mcp_route_t          route;

    const ngx_http_agents_mcp_era_t     *era;
    ngx_http_agents_mcp_state_e          state;
    ngx_msec_t                           open_deadline;
    ngx_uint_t                           opens;     /* how often it opened */
    ngx_http_agents_mcp_exchange_t      *opening;
    ngx_event_t                          start;
    char                                 why[NGX_HTTP_AGENTS_MCP_WHY_LEN];

    /* the era's: sent with every request */
    ngx_http_agents_background_header_t  headers[
                                             NGX_HTTP_AGENTS_MCP_HEADERS_MAX];
    ngx_uint_t                           nheaders;
    ngx_str_t                            session;   /* malloc'd; or empty */
    char                                 version[
                                          NGX_HTTP_AGENTS_MCP_VERSION_LEN + 1];
    unsigned                             sessions:1;    /* it has them */
    unsigned                             has_tools:1;

    int64_t                              last_id;
    ngx_http_agents_mcp_listing_t        listing;
    ngx_queue_t                          calls;
};


extern const ngx_http_agents_mcp_era_t  ngx_http_agents_mcp_legacy;


/* Opens a server that is closed or whose session was lost; "start" of it is
 * in a later event. */
void ngx_http_agents_mcp_open(ngx_http_agents_mcp_server_t *server,
    ngx_msec_t deadline);

/* The end of opening: "why" is NULL, or what went wrong.  The server may be
 * gone after it. */
void ngx_http_agents_mcp_opened(ngx_http_agents_mcp_server_t *server,
    const char *why);

/* The listing of a server that has opened, or (why) has not. */
void ngx_http_agents_mcp_list_start(ngx_http_agents_mcp_server_t *server);
void ngx_http_agents_mcp_list_fail(ngx_http_agents_mcp_server_t *server,
    const char *why);
void ngx_http_agents_mcp_list_free(ngx_http_agents_mcp_listing_t *listing);

/* The calls of a server: those that wait for its opening, and all. */
void ngx_http_agents_mcp_call_wake(ngx_http_agents_mcp_server_t *server);
void ngx_http_agents_mcp_call_cancel_all(ngx_http_agents_mcp_server_t *server);

/*
 * Fills what all exchanges with a server have in common.  The time left until
 * the deadline is at least 1 ms.
 */
void ngx_http_agents_mcp_exchange_conf(ngx_http_agents_mcp_server_t *server,
    ngx_http_agents_mcp_exchange_conf_t *conf, ngx_msec_t deadline);

/* Makes the body: a request, with the next id, or, where the conf says so, a
 * notification; "params" is JSON text or NULL.  NULL without memory. */
void ngx_http_agents_mcp_exchange_message(ngx_http_agents_mcp_server_t *server,
    ngx_http_agents_mcp_exchange_conf_t *conf, const char *method,
    const char *params);


#endif /* _NGX_HTTP_AGENTS_MCP_PRIVATE_H_INCLUDED_ */
