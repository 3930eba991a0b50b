
/*
 * One request of an MCP client and its answer, whether that comes as JSON or
 * as an event stream: a POST, what is read from it, and the answers to what
 * the server asks meanwhile.  Knows neither sessions nor revisions: headers
 * come from the caller, what they mean is the caller's.  Event loop only.
 *
 *             +-- refused: the next address; cut off: once more --+
 *             v                                                   |
 *   start -> sent -> headers -> JSON, captured -> reading --------+--> done
 *    |  ^     |         |                           ^
 *    v  |     |         +--> events, as they come --+
 *    wait <---+         |                 |
 *     nothing could     +-- GET <- wait <-+  the stream ended before
 *     be sent
 *
 * A short message is read at once, a long one in a pool thread.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_EXCHANGE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_EXCHANGE_H_INCLUDED_


#include "ngx_http_agents_background.h"
#include "ngx_http_agents_mcp.h"
#include "ngx_http_agents_mcp_reply.h"
#include "ngx_http_agents_mcp_route.h"
#include "ngx_http_agents_mcp_secret.h"
#include "ngx_http_agents_task.h"


typedef struct ngx_http_agents_mcp_exchange_s  ngx_http_agents_mcp_exchange_t;


/* Called once, never from within start; not after cancel.  The exchange is
 * freed after it. */
typedef void (*ngx_http_agents_mcp_replied_pt)(void *data,
    const ngx_http_agents_mcp_reply_t *reply);


typedef struct {
    const ngx_http_agents_mcp_conf_t     *conf;
    ngx_http_agents_tasks_t              *tasks;
    ngx_log_t                            *log;
    ngx_http_agents_mcp_route_t          *route;
    const ngx_http_agents_mcp_secret_t   *secret;   /* or NULL */
    ngx_http_agents_background_owner_t    owner;
    ngx_str_t                             alias;
    ngx_str_t                             tool;     /* or empty */

    /* of each POST, the answers to the server's requests included; what
     * differs in a GET is known by name */
    ngx_http_agents_background_header_t  *headers;
    ngx_uint_t                            nheaders;

    const ngx_http_agents_background_header_t  *more;   /* of this one alone */
    ngx_uint_t                                  nmore;

    char                                 *body;     /* malloc'd; taken over,
                                                       also on failure */
    size_t                                body_len;
    int64_t                               id;       /* of a request */
    ngx_http_agents_mcp_method_e          method;
    ngx_msec_t                            timeout;  /* of the answer */
    ngx_msec_t                            patience; /* of the whole, where that
                                                       is longer: to find that
                                                       the request can be made
                                                       at all */
    unsigned                              modern:1;
    unsigned                              resumable:1;  /* an event stream */
    unsigned                              notification:1;
    unsigned                              repeatable:1; /* once, where the
                                                           answer was lost */
} ngx_http_agents_mcp_exchange_conf_t;


/*
 * The conf is copied, but for what it points to: that must outlive the
 * exchange.  NULL without memory, or time to wait for it or for a connection:
 * "done" is not called.
 */
ngx_http_agents_mcp_exchange_t *ngx_http_agents_mcp_exchange_start(
    const ngx_http_agents_mcp_exchange_conf_t *conf,
    ngx_http_agents_mcp_replied_pt done, void *data);

void ngx_http_agents_mcp_exchange_cancel(ngx_http_agents_mcp_exchange_t *x);

/*
 * Sets the timer of what could not be done for want of memory or the like:
 * after 50 ms, then twice the last time, up to a second.  *backoff is that
 * time, 0 at first, which is logged.  NGX_DECLINED if it would be "until" by
 * then.
 */
ngx_int_t ngx_http_agents_mcp_exchange_later(ngx_event_t *ev,
    ngx_msec_t *backoff, ngx_msec_t until, const ngx_str_t *alias);

/*
 * A message, or with no body a DELETE, whose answer does not matter.  It
 * keeps nothing of the caller's and ends by itself, which "done" may learn,
 * who frees the answer's body.  NGX_ERROR without memory or connections.
 */
ngx_int_t ngx_http_agents_mcp_exchange_aside(
    const ngx_http_agents_mcp_exchange_conf_t *conf, const char *body,
    ngx_http_agents_background_done_pt done, void *data);


#endif /* _NGX_HTTP_AGENTS_MCP_EXCHANGE_H_INCLUDED_ */
