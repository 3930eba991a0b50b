
/*
 * What is sent to one MCP server of a run, and to no other, so that it knows
 * whom it deals with: a token of a first-party server, minted in a pool thread
 * and renewed when half its life is over, and the operator's credentials for
 * the host.  In memory alone.  Event loop only.
 *
 *   create -> ready: NGX_AGAIN -> done -> [half the token's life] -> renewed
 *               |                                  ^                    |
 *               +--> NGX_OK                        +--------------------+
 */


#ifndef _NGX_HTTP_AGENTS_MCP_SECRET_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_background.h"
#include "ngx_http_agents_mcp.h"
#include "ngx_http_agents_url.h"


#define NGX_HTTP_AGENTS_MCP_SECRETS_MAX  8


typedef struct ngx_http_agents_mcp_secret_s  ngx_http_agents_mcp_secret_t;

/* NGX_OK, or NGX_ERROR: no token could be made. */
typedef void (*ngx_http_agents_mcp_secret_pt)(void *data, ngx_int_t rc);


/*
 * For the server at "url"; what is given must outlive it, but for "owner",
 * which is copied.  NGX_OK with NULL in *secret where nothing is to be sent;
 * NGX_ERROR without memory.
 */
ngx_int_t ngx_http_agents_mcp_secret_create(
    const ngx_http_agents_mcp_conf_t *conf, const ngx_http_agents_url_t *url,
    const ngx_http_agents_background_owner_t *owner,
    ngx_http_agents_tasks_t *tasks, ngx_log_t *log,
    ngx_http_agents_mcp_secret_t **secret);
void ngx_http_agents_mcp_secret_destroy(ngx_http_agents_mcp_secret_t *secret);

/* NGX_OK: requests may go out, NGX_ERROR: no memory, NGX_AGAIN: "done" is
 * called later.  "secret" may be NULL here and below. */
ngx_int_t ngx_http_agents_mcp_secret_ready(
    ngx_http_agents_mcp_secret_t *secret, ngx_http_agents_mcp_secret_pt done,
    void *data);

/* The headers as they are now, good until the event is over; how many. */
ngx_uint_t ngx_http_agents_mcp_secret_headers(
    const ngx_http_agents_mcp_secret_t *secret,
    const ngx_http_agents_background_header_t **headers);

/* Writes over what a server repeats of them in a text: asterisks take its
 * place. */
void ngx_http_agents_mcp_secret_mask(
    const ngx_http_agents_mcp_secret_t *secret, u_char *text, size_t len);


#endif /* _NGX_HTTP_AGENTS_MCP_SECRET_H_INCLUDED_ */
