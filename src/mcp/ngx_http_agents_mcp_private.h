
/*
 * Shared by the files of the MCP client alone.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_PRIVATE_H_INCLUDED_


#include "ngx_http_agents_mcp.h"
#include "ngx_http_agents_mcp_exchange.h"
#include "ngx_http_agents_mcp_secret.h"


/* Of a text that says what went wrong, with its NUL. */
#define NGX_HTTP_AGENTS_MCP_WHY_LEN      512

#define NGX_HTTP_AGENTS_MCP_HEADERS_MAX  7


/* What differs between the eras of the protocol. */
typedef struct {
    /* makes the server ready for requests, by server->open_deadline; ends in
     * ..._mcp_opened; NGX_ERROR without memory: it does not */
    ngx_int_t   (*open)(ngx_http_agents_mcp_server_t *server);

    /* each request says by itself which revision it is of */
    ngx_uint_t    modern;

    /* further headers of tools/list, and of a call, malloc'd in one piece,
     * where NULL and no error is none; NULL: none at all */
    const ngx_http_agents_background_header_t  *list_header;
    ngx_int_t   (*headers)(ngx_http_agents_mcp_server_t *server,
                           const char *tool, const json_t *arguments,
                           ngx_http_agents_background_header_t **headers,
                           ngx_uint_t *n);

    /* of an answer to the first request: NGX_OK if the server is of this era
     * or of none that could help, NGX_AGAIN to make the request again once,
     * NGX_DECLINED if it is of the other era */
    ngx_int_t   (*settle)(ngx_http_agents_mcp_server_t *server,
                          const ngx_http_agents_mcp_reply_t *reply);

    /* whether the answer says that what "open" made is no more: nothing was
     * done then, and after another "open" the request may be made again */
    ngx_uint_t  (*lost)(ngx_http_agents_mcp_server_t *server,
                        const ngx_http_agents_mcp_reply_t *reply);

    /* tells the server that this answer is not awaited any more; its
     * connection is closed already */
    void        (*abandon)(ngx_http_agents_mcp_server_t *server, int64_t id);

    /* tells the server that this was all */
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
    int64_t                              id;        /* of the request */
    ngx_uint_t                           pages;
    size_t                               bytes;
    json_t                              *cached;    /* it need not be asked */
    int64_t                              ttl;       /* as it says, in
                                                       milliseconds, or -1 */
    unsigned                             changed:1; /* so it said meanwhile */
    unsigned                             reopened:1;
    unsigned                             repeated:1;
} ngx_http_agents_mcp_listing_t;


struct ngx_http_agents_mcp_server_s {
    ngx_pool_t                          *pool;
    const ngx_http_agents_mcp_conf_t    *conf;
    ngx_http_agents_tasks_t             *tasks;
    ngx_log_t                           *log;
    ngx_http_agents_background_owner_t   owner;     /* its texts, too */
    ngx_str_t                            alias;
    ngx_str_t                            url;
    ngx_str_t                            key;       /* in the cache; empty:
                                                       there is none */
    ngx_str_t                            traceparent;       /* or empty */
    ngx_str_t                            tracestate;        /* the same */
    char                                *metas[2];  /* malloc'd: _meta of the
                                                       older and of the newer
                                                       era; NULL: none */
    ngx_http_agents_mcp_route_t          route;
    ngx_http_agents_mcp_secret_t        *secret;    /* or NULL */

    const ngx_http_agents_mcp_era_t     *era;
    ngx_http_agents_mcp_eras_t          *eras;      /* what is known of it */
    ngx_uint_t                           turns;     /* from era to era */
    ngx_http_agents_mcp_state_e          state;
    ngx_msec_t                           open_deadline;
    ngx_uint_t                           opens;     /* how often it opened */
    ngx_http_agents_mcp_exchange_t      *opening;
    ngx_event_t                          start;     /* of what is to be done,
                                                       or done again */
    ngx_msec_t                           backoff;   /* the last one */
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
    unsigned                             settled:1;     /* its era */

    json_t                              *params;    /* of its tools, by name:
                                                       as ..._param_find gave
                                                       them; or NULL */
    int64_t                              last_id;
    ngx_http_agents_mcp_listing_t        listing;
    ngx_queue_t                          calls;

    ngx_queue_t                          farewells; /* yet to be sent */
    ngx_uint_t                           telling;   /* those under way */
    unsigned                             gone:1;    /* freed after them */
};


extern const ngx_http_agents_mcp_era_t  ngx_http_agents_mcp_legacy;
extern const ngx_http_agents_mcp_era_t  ngx_http_agents_mcp_modern;


/* Opens a server that is closed or whose session was lost; "start" of it is
 * in a later event. */
void ngx_http_agents_mcp_open(ngx_http_agents_mcp_server_t *server,
    ngx_msec_t deadline);

/* The end of opening: "why" is NULL, or what went wrong.  The server may be
 * gone after it. */
void ngx_http_agents_mcp_opened(ngx_http_agents_mcp_server_t *server,
    const char *why);

/* Opening, or the listing of a server that is open, lacks memory or the like
 * of ours: it is begun again, later, and fails if there is no time for that.
 * The server may be gone after it. */
void ngx_http_agents_mcp_lacking(ngx_http_agents_mcp_server_t *server);

/* Tries the other era, by "deadline", in a later event; NGX_DECLINED if both
 * were tried. */
ngx_int_t ngx_http_agents_mcp_turn(ngx_http_agents_mcp_server_t *server,
    ngx_msec_t deadline);

/* The era in hand is the server's. */
void ngx_http_agents_mcp_settled(ngx_http_agents_mcp_server_t *server);

/*
 * Sends a message, or with no body a DELETE, whose answer does not matter: a
 * few at a time, so that a thousand of them hold up nothing, and after the
 * server's end, too.  The malloc'd body is taken over.
 */
void ngx_http_agents_mcp_tell(ngx_http_agents_mcp_server_t *server,
    char *body);

/* Frees a server that is gone, when nothing of it is under way any more. */
void ngx_http_agents_mcp_server_release(ngx_http_agents_mcp_server_t *server);

/* What goes with every request: version, session and trace, if there are. */
void ngx_http_agents_mcp_headers(ngx_http_agents_mcp_server_t *server);

/* What the parameters of its era have as _meta: JSON text, or NULL. */
const char *ngx_http_agents_mcp_meta(
    const ngx_http_agents_mcp_server_t *server);

/* The listing of a server that has opened, or (why) has not. */
void ngx_http_agents_mcp_list_start(ngx_http_agents_mcp_server_t *server);
void ngx_http_agents_mcp_list_fail(ngx_http_agents_mcp_server_t *server,
    const char *why);
void ngx_http_agents_mcp_list_cached(ngx_http_agents_mcp_server_t *server);
void ngx_http_agents_mcp_list_free(ngx_http_agents_mcp_listing_t *listing);

/* What is remembered of its tools holds no more. */
void ngx_http_agents_mcp_list_forget(ngx_http_agents_mcp_server_t *server);

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
