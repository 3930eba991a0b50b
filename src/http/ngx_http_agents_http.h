
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
#include "ngx_http_agents_fault.h"
#include "ngx_http_agents_jwt.h"
#include "ngx_http_agents_permissions.h"
#include "ngx_http_agents_problem.h"
#include "ngx_http_agents_retention.h"
#include "ngx_http_agents_watch.h"
#include "ngx_http_agents_zone.h"


typedef struct ngx_http_agents_token_cache_s  ngx_http_agents_token_cache_t;

/* What a worker's requests have under way; kept by ..._wait.c. */
typedef struct {
    ngx_uint_t                      requests;   /* that wait, also those whose
                                                   client has gone */
    size_t                          bodies;     /* bytes of their bodies */
} ngx_http_agents_load_t;


/* A worker's own: made in process init, in its main configuration. */
typedef struct {
    ngx_http_agents_zone_t         *zone;
    ngx_http_agents_turn_t          turn;
    ngx_http_agents_tasks_t         tasks;
    ngx_http_agents_db_t           *db;
    ngx_http_agents_gate_t         *gate;
    ngx_http_agents_wake_t         *wake;
    ngx_http_agents_watch_t        *watch;
    ngx_http_agents_deltas_t       *deltas;
    ngx_http_agents_engine_t       *engine;
    ngx_http_agents_retention_t    *retention;  /* NULL: off */
    ngx_http_agents_token_cache_t  *tokens;     /* verified, for 10 s */
    ngx_http_agents_load_t          load;
} ngx_http_agents_worker_t;


typedef struct {
    ngx_http_agents_catalog_t       catalog;
    ngx_http_agents_db_spec_t       store;
    ngx_array_t                    *apis;       /* ..._settings_t * */
    ngx_shm_zone_t                 *zone;
    ngx_http_agents_wake_fds_t      wake_fds;
    ngx_http_agents_wire_fds_t      wire_fds;
    ngx_str_t                       pool_name;  /* of agents_thread_pool */
    ngx_thread_pool_t              *pool;       /* NULL: no agents_api */
    ngx_msec_t                      lease;
    ngx_msec_t                      drain_timeout;
    ngx_int_t                       max_requests;   /* bounds of a worker */
    ngx_int_t                       max_runs;
    size_t                          max_bodies;     /* bytes */
    time_t                          retention;  /* seconds; 0: off */
    ngx_str_t                       docs_url;   /* no trailing slash; empty:
                                                   made from the request */
    ngx_flag_t                      pages;      /* some location has them */
    ngx_http_agents_worker_t       *worker;     /* NULL outside of workers */
} ngx_http_agents_main_conf_t;


typedef enum {
    NGX_HTTP_AGENTS_AUTH_NONE = 0,      /* not configured */
    NGX_HTTP_AGENTS_AUTH_TOKEN,
    NGX_HTTP_AGENTS_AUTH_JWT,
    NGX_HTTP_AGENTS_AUTH_VARIABLES
} ngx_http_agents_auth_e;


typedef struct {
    ngx_flag_t                      api;        /* this is an agents_api */
    ngx_http_handler_pt             pages;      /* the module's, of a location
                                                   with agents_errors or
                                                   agents_console; or NULL */
    ngx_str_t                       console;    /* the path of its API */
    ngx_http_agents_settings_t     *settings;   /* of that api */
    ngx_uint_t                      auth;       /* ngx_http_agents_auth_e */
    ngx_http_agents_jwt_rules_t    *auth_jwt;   /* NULL: another mode */
    ngx_http_complex_value_t       *auth_company;
    ngx_http_complex_value_t       *auth_user;
    ngx_http_complex_value_t       *auth_permissions;
    ngx_str_t                       mcp_location;
    ngx_array_t                    *egress;     /* rules, or NULL */
    ngx_array_t                    *parties;    /* first-party MCP servers */
    ngx_array_t                    *credentials;    /* for MCP servers */
    ngx_int_t                       max_iterations;
    ngx_int_t                       max_runs_per_user;
    ngx_msec_t                      run_timeout;
    ngx_msec_t                      inference_timeout;
    ngx_msec_t                      queue_timeout;
    ngx_msec_t                      discovery_timeout;
    ngx_msec_t                      mcp_cache;  /* 0: none */
    ngx_msec_t                      tool_timeout;
    size_t                          tool_result_max;
    size_t                          run_results_max;
    size_t                          mcp_body_max;
} ngx_http_agents_loc_conf_t;


typedef struct ngx_http_agents_route_s  ngx_http_agents_route_t;
typedef struct ngx_http_agents_wait_s   ngx_http_agents_wait_t;


/* Where a request stands in the phase that admits it, see ..._access.h. */
typedef enum {
    NGX_HTTP_AGENTS_ACCESS_TURN = 0,
    NGX_HTTP_AGENTS_ACCESS_ROUTE,
    NGX_HTTP_AGENTS_ACCESS_AUTHENTICATE,
    NGX_HTTP_AGENTS_ACCESS_PERMIT,
    NGX_HTTP_AGENTS_ACCESS_RECEIVE,
    NGX_HTTP_AGENTS_ACCESS_WAITING,
    NGX_HTTP_AGENTS_ACCESS_ADMITTED
} ngx_http_agents_access_e;


/* The state of a request; in its pool. */
typedef struct {
    const ngx_http_agents_route_t  *route;
    ngx_http_agents_access_e        state;
    ngx_http_agents_owner_t         owner;      /* set by auth */
    ngx_uint_t                      permissions;
    ngx_str_t                       id;         /* {id} of the path, lower
                                                   case, NUL terminated; empty
                                                   if it is no UUID */
    void                           *body;       /* the checked body, of the
                                                   route's own type; NULL once
                                                   a handler has taken it */
    void                           *data;       /* the route's handler's own */
    ngx_http_agents_wait_t         *wait;       /* what it waits for now */
    ngx_http_event_handler_pt       read;       /* nginx's reader of the body */
    ngx_http_agents_load_t         *load;       /* where "watched" */
    size_t                          held;       /* bytes of the body, counted
                                                   there */
    ngx_str_t                       problem;    /* in place of nginx's page */
    /* for the log variables */
    ngx_str_t                       conversation_id;
    ngx_str_t                       run_id;
    ngx_str_t                       run_status;
    ngx_str_t                       error;      /* slug or incident */
    unsigned                        watched:1;  /* its end clears "wait" and
                                                   "held" */
    unsigned                        ours:1;     /* this response is our own */
    unsigned                        replaced:1; /* nginx's, made a problem */
    unsigned                        replaced_sent:1;
} ngx_http_agents_ctx_t;


/* What a body is checked against; alive as long as the worker, but for
 * "company". */
typedef struct {
    ngx_http_agents_catalog_t         *catalog;
    const ngx_http_agents_settings_t  *settings;
    const char                        *company;
} ngx_http_agents_scope_t;


/*
 * The type of a route's body.  read: 0, or -1 with faults; in a pool thread;
 * *body of "size" bytes is zeroed, and freed (its inside) in either case.
 */
typedef struct {
    size_t                          size;
    int                           (*read)(const char *text, size_t len,
                                          const ngx_http_agents_scope_t *scope,
                                          void *body,
                                          ngx_http_agents_faults_t *faults);
    void                          (*free)(void *body);
} ngx_http_agents_body_type_t;


/*
 * A resource's handler, after authentication and the body's check.  It returns
 * what the request is to be finalized with, or NGX_DONE if it waits.
 */
typedef ngx_int_t (*ngx_http_agents_handler_pt)(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);

struct ngx_http_agents_route_s {
    ngx_uint_t                          method;     /* GET is HEAD too */
    const char                         *pattern;    /* "/agents/runs/{id}" */
    ngx_uint_t                          permission;
    const ngx_http_agents_body_type_t  *body;       /* NULL: takes none */
    ngx_http_agents_handler_pt          handler;
};


extern ngx_module_t  ngx_http_agents_module;


#endif /* _NGX_HTTP_AGENTS_HTTP_H_INCLUDED_ */
