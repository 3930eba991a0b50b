
/*
 * An MCP client over Streamable HTTP: discovery of a server's tools and calls
 * of them, each exchange a background request.  Knows nothing of runs.  Event
 * loop only; what is long (JSON of answers, schemas) is done in pool threads.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <jansson.h>
#include "ngx_http_agents_background.h"
#include "ngx_http_agents_mcp_cache.h"
#include "ngx_http_agents_mcp_eras.h"
#include "ngx_http_agents_task.h"


typedef struct ngx_http_agents_mcp_server_s  ngx_http_agents_mcp_server_t;
typedef struct ngx_http_agents_mcp_call_s    ngx_http_agents_mcp_call_t;


/* The trace that the requests are a part of, as W3C Trace Context has it: they
 * are valid; NULL: none. */
typedef struct {
    const char   *parent;
    const char   *state;
} ngx_http_agents_mcp_trace_t;


/* What all servers of an API share: from the configuration. */
typedef struct {
    ngx_http_agents_background_target_t   target;
    ngx_array_t                          *egress;       /* rules, or NULL */
    ngx_array_t                          *parties;      /* of ..._trust.h, or */
    ngx_array_t                          *credentials;  /* NULL */
    ngx_resolver_t                       *resolver;     /* NULL: literals and
                                                           upstream{} names */
    ngx_msec_t                            resolver_timeout;
    ngx_msec_t                            discovery_timeout;
    ngx_http_agents_mcp_cache_t          *cache;        /* NULL: none */
    ngx_msec_t                            cache_time;
    size_t                                max_body;     /* of an answer */
} ngx_http_agents_mcp_conf_t;


/*
 * A tool as it was discovered: {"name": the server's own, "wire":
 * "alias-name", "description"?, "input_schema": normalised,
 * "read_only": bool, "idempotent": bool}.
 */

typedef struct {
    json_t       *tools;        /* array of the above, a reference of the
                                   callee's; NULL if discovery failed */
    const char   *why;          /* then: what went wrong, telling nothing of
                                   the network inside; alive during the call */
} ngx_http_agents_mcp_discovery_t;

typedef struct {
    json_t       *content;      /* text blocks [{type: text, text}], at least
                                   one; a reference of the callee's; NULL
                                   without memory */
    unsigned      is_error:1;   /* the tool's failure, or ours to reach it */
    unsigned      failed:1;     /* the latter: there is no answer of the tool */
} ngx_http_agents_mcp_result_t;

/* Each called once, never from within the call that asked; not after cancel. */
typedef void (*ngx_http_agents_mcp_discovered_pt)(void *data,
    ngx_http_agents_mcp_discovery_t *discovery);
typedef void (*ngx_http_agents_mcp_called_pt)(void *data,
    ngx_http_agents_mcp_result_t *result);


/*
 * A server of one run: its session lives in it.  Texts are copied; "conf",
 * "eras", "tasks" and "log" are the worker's.  NULL without memory.
 */
ngx_http_agents_mcp_server_t *ngx_http_agents_mcp_server_create(
    const ngx_http_agents_mcp_conf_t *conf, ngx_http_agents_mcp_eras_t *eras,
    ngx_http_agents_tasks_t *tasks,
    const ngx_http_agents_background_owner_t *owner,
    const ngx_http_agents_mcp_trace_t *trace, const char *alias,
    const char *url, ngx_log_t *log);

/*
 * Cancels what is under way and ends the session (best effort, in the
 * background), after which the server is freed.
 */
void ngx_http_agents_mcp_server_destroy(ngx_http_agents_mcp_server_t *server);

/* Finds out the server's era, and lists its tools, page by page, unless they
 * are remembered.  NGX_ERROR without memory: "done" is then not called. */
ngx_int_t ngx_http_agents_mcp_discover(ngx_http_agents_mcp_server_t *server,
    ngx_http_agents_mcp_discovered_pt done, void *data);

/*
 * tools/call of a discovered server; any number at a time.  "tool" is the
 * server's own name, "arguments" an object (not changed).  NULL without
 * memory: "done" is then not called.
 */
ngx_http_agents_mcp_call_t *ngx_http_agents_mcp_call(
    ngx_http_agents_mcp_server_t *server, const char *tool,
    const json_t *arguments, ngx_msec_t timeout,
    ngx_http_agents_mcp_called_pt done, void *data);
void ngx_http_agents_mcp_call_cancel(ngx_http_agents_mcp_call_t *call);


#endif /* _NGX_HTTP_AGENTS_MCP_H_INCLUDED_ */
