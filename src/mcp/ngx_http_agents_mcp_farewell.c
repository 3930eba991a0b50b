
/*
 * What servers are told that nobody waits for: a call was cancelled, a session
 * is over.  A few at a time.
 */


#include "ngx_http_agents_mcp_private.h"


/*
 * What a server is told without waiting for its answer: calls that are not
 * awaited any more, the end of a session.  A server that does not take one is
 * not told the others.
 */


/* At a time. */
#define NGX_HTTP_AGENTS_MCP_FAREWELL_MAX  4


typedef struct {
    ngx_queue_t   queue;
    char         *body;         /* malloc'd; NULL: a DELETE */
} ngx_http_agents_mcp_farewell_t;


static void ngx_http_agents_mcp_farewell_next(
    ngx_http_agents_mcp_server_t *server);
static ngx_int_t ngx_http_agents_mcp_farewell_send(
    ngx_http_agents_mcp_server_t *server);
static void ngx_http_agents_mcp_farewell_done(void *data,
    ngx_http_agents_background_answer_t *answer);
static char *ngx_http_agents_mcp_farewell_take(
    ngx_http_agents_mcp_server_t *server);
static void ngx_http_agents_mcp_farewell_drop(
    ngx_http_agents_mcp_server_t *server);


void
ngx_http_agents_mcp_tell(ngx_http_agents_mcp_server_t *server, char *body)
{
    ngx_http_agents_mcp_farewell_t  *farewell;

    farewell = ngx_alloc(sizeof(ngx_http_agents_mcp_farewell_t), server->log);
    if (farewell == NULL) {
        free(body);
        return;
    }

    farewell->body = body;
    ngx_queue_insert_tail(&server->farewells, &farewell->queue);

    ngx_http_agents_mcp_farewell_next(server);
}


static void
ngx_http_agents_mcp_farewell_next(ngx_http_agents_mcp_server_t *server)
{
    ngx_http_agents_mcp_farewell_t  *farewell;

    while (server->telling < NGX_HTTP_AGENTS_MCP_FAREWELL_MAX
           && !ngx_queue_empty(&server->farewells))
    {
        farewell = ngx_queue_data(ngx_queue_head(&server->farewells),
                                  ngx_http_agents_mcp_farewell_t, queue);

        /* the session's end must not overtake what is said in it */

        if (farewell->body == NULL && server->telling != 0) {
            return;
        }

        /* nothing is sent any more where the worker ends */

        if (ngx_terminate || ngx_exiting
            || ngx_http_agents_mcp_farewell_send(server) != NGX_OK)
        {
            ngx_http_agents_mcp_farewell_drop(server);
        }
    }
}


static ngx_int_t
ngx_http_agents_mcp_farewell_send(ngx_http_agents_mcp_server_t *server)
{
    char                                 *body;
    ngx_int_t                             rc;
    ngx_http_agents_mcp_exchange_conf_t   conf;

    body = ngx_http_agents_mcp_farewell_take(server);

    ngx_http_agents_mcp_exchange_conf(server, &conf, ngx_current_msec);

    rc = ngx_http_agents_mcp_exchange_aside(&conf, body,
                                            ngx_http_agents_mcp_farewell_done,
                                            server);
    free(body);

    if (rc == NGX_OK) {
        server->telling++;
    }

    return rc;
}


static void
ngx_http_agents_mcp_farewell_done(void *data,
    ngx_http_agents_background_answer_t *answer)
{
    ngx_http_agents_mcp_server_t *server = data;

    free(answer->body);
    server->telling--;

    if (answer->status != NGX_HTTP_AGENTS_BACKGROUND_OK) {
        ngx_http_agents_mcp_farewell_drop(server);
    }

    ngx_http_agents_mcp_farewell_next(server);
    ngx_http_agents_mcp_server_release(server);
}


static char *
ngx_http_agents_mcp_farewell_take(ngx_http_agents_mcp_server_t *server)
{
    char                            *body;
    ngx_queue_t                     *q;
    ngx_http_agents_mcp_farewell_t  *farewell;

    q = ngx_queue_head(&server->farewells);
    ngx_queue_remove(q);

    farewell = ngx_queue_data(q, ngx_http_agents_mcp_farewell_t, queue);

    body = farewell->body;
    ngx_free(farewell);

    return body;
}


static void
ngx_http_agents_mcp_farewell_drop(ngx_http_agents_mcp_server_t *server)
{
    while (!ngx_queue_empty(&server->farewells)) {
        free(ngx_http_agents_mcp_farewell_take(server));
    }
}
