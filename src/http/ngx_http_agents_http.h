
/*
 * What the request side shares: the module's configurations, the state of a
 * request, and the worker's own objects.
 */


#ifndef _NGX_HTTP_AGENTS_HTTP_H_INCLUDED_
#define _NGX_HTTP_AGENTS_HTTP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_db_nginx.h"
#include "ngx_http_agents_engine.h"
#include "ngx_http_agents_problem.h"


/* Permissions of a token, as bits. */
#define NGX_HTTP_AGENTS_PERMISSION_READ   0x01  /* agent_conversations:read */
#define NGX_HTTP_AGENTS_PERMISSION_WRITE  0x02  /* agent_conversations:write */


typedef struct ngx_http_agents_token_cache_s  ngx_http_agents_token_cache_t;

/* A worker's own: made in process init, in its main configuration. */
typedef struct {
    ngx_http_agents_tasks_t         tasks;
    ngx_http_agents_db_t           *db;
    ngx_http_agents_transport_t    *transport;
    ngx_http_agents_engine_t       *engine;
    ngx_http_agents_token_cache_t  *tokens;     /* verified, for 10 s */
} ngx_http_agents_worker_t;


typedef struct {
    ngx_http_agents_catalog_t       catalog;
    ngx_http_agents_db_spec_t       store;
    ngx_array_t                     apis;       /* ..._settings_t * */
    ngx_shm_zone_t                 *zone;
    ngx_str_t                       pool_name;  /* of agents_thread_pool */
    ngx_thread_pool_t              *pool;       /* NULL: no agents_api */
    ngx_msec_t                      lease;
    ngx_msec_t                      drain_timeout;
    ngx_str_t                       docs_url;   /* no trailing slash; empty:
                                                   made from the request */
    ngx_http_agents_worker_t       *worker;     /* NULL outside of workers */
} ngx_http_agents_main_conf_t;


typedef enum {
    NGX_HTTP_AGENTS_AUTH_NONE = 0,      /* not configured */
    NGX_HTTP_AGENTS_AUTH_TOKEN,
    NGX_HTTP_AGENTS_AUTH_VARIABLES
} ngx_http_agents_auth_e;


typedef struct {
    ngx_flag_t                      api;        /* this is an agents_api */
    ngx_http_agents_settings_t     *settings;   /* of that api */
    ngx_uint_t                      auth;       /* ngx_http_agents_auth_e */
    ngx_http_complex_value_t       *auth_company;
    ngx_http_complex_value_t       *auth_user;
    ngx_http_complex_value_t       *auth_permissions;
    ngx_str_t                       mcp_location;
    ngx_array_t                    *egress;     /* rules, or NULL */
    ngx_uint_t                      max_iterations;
    ngx_uint_t                      max_runs_per_user;
    ngx_msec_t                      run_timeout;
    ngx_msec_t                      inference_timeout;
    ngx_msec_t                      tool_timeout;
    size_t                          tool_result_max;
} ngx_http_agents_loc_conf_t;


typedef struct ngx_http_agents_route_s  ngx_http_agents_route_t;

/* The state of a request; in its pool. */
typedef struct {
    const ngx_http_agents_route_t  *route;
    ngx_uint_t                      state;      /* of the phase handler */
    ngx_int_t                       verdict;    /* of what it waited for */
    ngx_http_agents_owner_t         owner;      /* set by auth */
    ngx_uint_t                      permissions;
    ngx_str_t                       id;         /* {id} of the path, lower
                                                   case, NUL terminated; empty
                                                   if it is no UUID */
    void                           *body;       /* the checked body, of the
                                                   route's own type */
    /* for the log variables */
    ngx_str_t                       conversation_id;
    ngx_str_t                       run_id;
    ngx_str_t                       run_status;
    const char                     *error;      /* slug or incident */
    unsigned                        ours:1;     /* this response is our own */
    unsigned                        replaced:1; /* nginx's, made a problem */
} ngx_http_agents_ctx_t;


/* A resource's handler, after authentication and the body's check; it
 * answers now or after a batch.  A content handler's return codes. */
typedef ngx_int_t (*ngx_http_agents_handler_pt)(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);

struct ngx_http_agents_route_s {
    ngx_uint_t                      methods;    /* NGX_HTTP_GET|... */
    const char                     *pattern;    /* "/agents/runs/{id}" */
    ngx_uint_t                      permission;
    ngx_http_agents_handler_pt      handler;
};


extern ngx_module_t  ngx_http_agents_module;


#endif /* _NGX_HTTP_AGENTS_HTTP_H_INCLUDED_ */
