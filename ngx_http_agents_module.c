
/*
 * The module's face to nginx: directives, configurations and their merging,
 * phases, a worker's start and end.  What they mean is in src/.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_agents_access.h"
#include "ngx_http_agents_auth.h"
#include "ngx_http_agents_catalog_worker.h"
#include "ngx_http_agents_console.h"
#include "ngx_http_agents_directives.h"
#include "ngx_http_agents_errors.h"
#include "ngx_http_agents_filter.h"
#include "ngx_http_agents_http.h"
#include "ngx_http_agents_log.h"
#include "ngx_http_agents_mcp_trust.h"
#include "ngx_http_agents_metrics_page.h"
#include "ngx_http_agents_routes.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_worker.h"
#include "ngx_http_agents_zone.h"


static ngx_int_t ngx_http_agents_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_agents_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_agents_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_agents_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_agents_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_agents_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_agents_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_agents_init_process(ngx_cycle_t *cycle);
static void ngx_http_agents_exit_process(ngx_cycle_t *cycle);

static char *ngx_http_agents_store(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_agents_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_agents_provider(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_agents_data_plane(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_agents_auth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_conf_num_bounds_t  ngx_http_agents_iterations_bounds = {
    ngx_conf_check_num_bounds, 1, 100
};


static ngx_conf_num_bounds_t  ngx_http_agents_runs_bounds = {
    ngx_conf_check_num_bounds, 1, 1000000
};


static ngx_conf_num_bounds_t  ngx_http_agents_worker_bounds = {
    ngx_conf_check_num_bounds, 1, 10000000
};


static ngx_command_t  ngx_http_agents_commands[] = {

    { ngx_string("agents_store"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_agents_store,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_agents_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_agents_main_conf_t, pool_name),
      NULL },

    { ngx_string("agents_lease"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_agents_main_conf_t, lease),
      (void *) &ngx_http_agents_directives_lease },

    { ngx_string("agents_drain_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_agents_main_conf_t, drain_timeout),
      (void *) &ngx_http_agents_directives_drain },

    { ngx_string("agents_max_requests"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_agents_main_conf_t, max_requests),
      &ngx_http_agents_worker_bounds },

    { ngx_string("agents_max_runs"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_agents_main_conf_t, max_runs),
      &ngx_http_agents_worker_bounds },

    { ngx_string("agents_max_bodies"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_agents_main_conf_t, max_bodies),
      (void *) &ngx_http_agents_directives_size },

    { ngx_string("agents_retention"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_agents_directives_retention,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_docs_url"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_agents_directives_docs_url,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_provider"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_agents_provider,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_data_plane"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_agents_data_plane,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_agents_directives_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_auth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_agents_auth,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_mcp_location"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_agents_directives_mcp_location,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_mcp_allow"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_agents_directives_mcp_allow,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_mcp_deny"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_agents_directives_mcp_deny,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_mcp_first_party"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_agents_directives_mcp_first_party,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_mcp_credential"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_agents_directives_mcp_credential,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_mcp_cache"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, mcp_cache),
      (void *) &ngx_http_agents_directives_cache },

    { ngx_string("agents_max_iterations"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, max_iterations),
      &ngx_http_agents_iterations_bounds },

    { ngx_string("agents_max_runs_per_user"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, max_runs_per_user),
      &ngx_http_agents_runs_bounds },

    { ngx_string("agents_run_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, run_timeout),
      (void *) &ngx_http_agents_directives_timeout },

    { ngx_string("agents_inference_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, inference_timeout),
      (void *) &ngx_http_agents_directives_timeout },

    { ngx_string("agents_queue_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, queue_timeout),
      (void *) &ngx_http_agents_directives_timeout },

    { ngx_string("agents_discovery_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, discovery_timeout),
      (void *) &ngx_http_agents_directives_timeout },

    { ngx_string("agents_tool_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, tool_timeout),
      (void *) &ngx_http_agents_directives_timeout },

    { ngx_string("agents_tool_result_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, tool_result_max),
      (void *) &ngx_http_agents_directives_size },

    { ngx_string("agents_run_results_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, run_results_max),
      (void *) &ngx_http_agents_directives_size },

    { ngx_string("agents_mcp_body_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_agents_loc_conf_t, mcp_body_max),
      (void *) &ngx_http_agents_directives_size },

    { ngx_string("agents_errors"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_agents_errors,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_console"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_agents_console,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("agents_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_agents_metrics_page,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_agents_module_ctx = {
    ngx_http_agents_preconfiguration,      /* preconfiguration */
    ngx_http_agents_postconfiguration,     /* postconfiguration */

    ngx_http_agents_create_main_conf,      /* create main configuration */
    ngx_http_agents_init_main_conf,        /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_agents_create_loc_conf,       /* create location configuration */
    ngx_http_agents_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_agents_module = {
    NGX_MODULE_V1,
    &ngx_http_agents_module_ctx,           /* module context */
    ngx_http_agents_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_agents_init_module,           /* init module */
    ngx_http_agents_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_agents_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_agents_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_agents_variables_add(cf);
}


static ngx_int_t
ngx_http_agents_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_http_handler_pt           *h;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_agents_settings_t   **apis;
    ngx_http_agents_main_conf_t   *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_agents_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (amcf->apis->nelts == 0 && !amcf->pages) {
        return NGX_OK;
    }

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_agents_log_handler;

    if (ngx_http_agents_filter_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (amcf->apis->nelts == 0) {
        return NGX_OK;
    }

    apis = amcf->apis->elts;

    for (i = 0; i < amcf->apis->nelts; i++) {
        if (ngx_http_agents_mcp_trust_check(cf, &apis[i]->mcp) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* a thread pool is asked for only where there is work for it: nginx
     * refuses a configuration that names one which is not declared */

    amcf->pool = ngx_thread_pool_add(cf, &amcf->pool_name);
    if (amcf->pool == NULL) {
        return NGX_ERROR;
    }

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_agents_access_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_agents_metrics_page_log_handler;

    return NGX_OK;
}


static void *
ngx_http_agents_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_agents_main_conf_t));
    if (amcf == NULL) {
        return NULL;
    }

    if (ngx_http_agents_catalog_init(&amcf->catalog, cf->pool) != NGX_OK) {
        return NULL;
    }

    amcf->apis = ngx_array_create(cf->pool, 2,
                                  sizeof(ngx_http_agents_settings_t *));
    if (amcf->apis == NULL) {
        return NULL;
    }

    amcf->lease = NGX_CONF_UNSET_MSEC;
    amcf->drain_timeout = NGX_CONF_UNSET_MSEC;
    amcf->max_requests = NGX_CONF_UNSET;
    amcf->max_runs = NGX_CONF_UNSET;
    amcf->max_bodies = NGX_CONF_UNSET_SIZE;
    amcf->retention = NGX_CONF_UNSET;

    return amcf;
}


static char *
ngx_http_agents_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_agents_main_conf_t *amcf = conf;

    ngx_http_agents_settings_t  **apis;

    ngx_conf_init_msec_value(amcf->lease, 30000);
    ngx_conf_init_msec_value(amcf->drain_timeout, 10000);
    ngx_conf_init_value(amcf->max_requests, 16384);
    ngx_conf_init_value(amcf->max_runs, 20000);
    ngx_conf_init_size_value(amcf->max_bodies, 256 * 1024 * 1024);
    ngx_conf_init_value(amcf->retention, 0);

    if (amcf->pool_name.len == 0) {
        ngx_str_set(&amcf->pool_name, "default");
    }

    ngx_http_agents_directives_resolver(cf, &amcf->catalog);

    if (ngx_http_agents_catalog_check(cf, &amcf->catalog) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (amcf->apis->nelts == 0) {
        return NGX_CONF_OK;
    }

    if (amcf->store.target.len == 0) {
        apis = amcf->apis->elts;

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"agents_api\" needs a store: add \"agents_store "
                      "sqlite:PATH;\" or \"agents_store postgres:CONNINFO;\" "
                      "to the http block, in %s:%ui", apis[0]->file,
                      apis[0]->line);
        return NGX_CONF_ERROR;
    }

    if (amcf->zone == NULL) {
        amcf->zone = ngx_http_agents_zone_add(cf, NULL);
        if (amcf->zone == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_agents_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_agents_loc_conf_t  *alcf;

    alcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_agents_loc_conf_t));
    if (alcf == NULL) {
        return NULL;
    }

    alcf->auth = NGX_CONF_UNSET_UINT;
    alcf->max_iterations = NGX_CONF_UNSET;
    alcf->max_runs_per_user = NGX_CONF_UNSET;
    alcf->run_timeout = NGX_CONF_UNSET_MSEC;
    alcf->inference_timeout = NGX_CONF_UNSET_MSEC;
    alcf->queue_timeout = NGX_CONF_UNSET_MSEC;
    alcf->discovery_timeout = NGX_CONF_UNSET_MSEC;
    alcf->mcp_cache = NGX_CONF_UNSET_MSEC;
    alcf->tool_timeout = NGX_CONF_UNSET_MSEC;
    alcf->tool_result_max = NGX_CONF_UNSET_SIZE;
    alcf->run_results_max = NGX_CONF_UNSET_SIZE;
    alcf->mcp_body_max = NGX_CONF_UNSET_SIZE;

    return alcf;
}


static char *
ngx_http_agents_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_agents_loc_conf_t *prev = parent;
    ngx_http_agents_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    if (conf->auth == NGX_CONF_UNSET_UINT) {
        conf->auth_jwt = prev->auth_jwt;
        conf->auth_company = prev->auth_company;
        conf->auth_user = prev->auth_user;
        conf->auth_permissions = prev->auth_permissions;
    }

    if (conf->egress == NULL) {
        conf->egress = prev->egress;
    }

    if (conf->parties == NULL) {
        conf->parties = prev->parties;
    }

    if (conf->credentials == NULL) {
        conf->credentials = prev->credentials;
    }

    ngx_conf_merge_uint_value(conf->auth, prev->auth,
                              NGX_HTTP_AGENTS_AUTH_NONE);
    ngx_conf_merge_str_value(conf->mcp_location, prev->mcp_location, "");
    ngx_conf_merge_value(conf->max_iterations, prev->max_iterations, 100);
    ngx_conf_merge_value(conf->max_runs_per_user, prev->max_runs_per_user,
                         100);
    ngx_conf_merge_msec_value(conf->run_timeout, prev->run_timeout, 1800000);
    ngx_conf_merge_msec_value(conf->inference_timeout,
                              prev->inference_timeout, 120000);
    ngx_conf_merge_msec_value(conf->queue_timeout, prev->queue_timeout,
                              300000);
    ngx_conf_merge_msec_value(conf->discovery_timeout,
                              prev->discovery_timeout, 30000);
    ngx_conf_merge_msec_value(conf->mcp_cache, prev->mcp_cache, 0);
    ngx_conf_merge_msec_value(conf->tool_timeout, prev->tool_timeout, 60000);
    ngx_conf_merge_size_value(conf->tool_result_max, prev->tool_result_max,
                              100 * 1024);
    ngx_conf_merge_size_value(conf->run_results_max, prev->run_results_max,
                              8 * 1024 * 1024);
    ngx_conf_merge_size_value(conf->mcp_body_max, prev->mcp_body_max,
                              8 * 1024 * 1024);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* "if" and "limit_except" are locations within: the API goes on, and so
     * do pages */

    if (clcf->handler == NULL && (clcf->noname || clcf->lmt_excpt)) {

        if (prev->api) {
            conf->api = 1;
            clcf->handler = ngx_http_agents_routes_handler;

        } else if (prev->pages != NULL) {
            conf->pages = prev->pages;
            conf->console = prev->console;
            clcf->handler = prev->pages;
        }
    }

    if (!conf->api) {
        return NGX_CONF_OK;
    }

    if (conf->auth == NGX_HTTP_AGENTS_AUTH_NONE) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"agents_api\" in location \"%V\" needs to know its "
                      "users: add \"agents_auth token;\", or \"agents_auth "
                      "jwt ...;\", or \"agents_auth variables $company "
                      "$user $permissions;\", in %s:%ui",
                      &clcf->name, conf->settings->file,
                      conf->settings->line);
        return NGX_CONF_ERROR;
    }

    /* nginx's own default is too small for this API's bodies; a value that
     * the operator chose stays, unless it is that default */

    if (clcf->client_max_body_size == 1024 * 1024) {
        clcf->client_max_body_size = 16 * 1024 * 1024;
    }

    if (conf->settings == NULL) {
        conf->settings = prev->settings;
        return NGX_CONF_OK;
    }

    return ngx_http_agents_directives_settings(cf, conf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_agents_init_module(ngx_cycle_t *cycle)
{
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_agents_module);

    if (amcf == NULL || amcf->apis->nelts == 0) {
        return NGX_OK;
    }

    if (ngx_http_agents_wake_open(cycle, &amcf->wake_fds) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_agents_wire_open(cycle, &amcf->wire_fds);
}


static ngx_int_t
ngx_http_agents_init_process(ngx_cycle_t *cycle)
{
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_agents_module);

    if (amcf == NULL
        || amcf->apis->nelts == 0
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    return ngx_http_agents_worker_create(cycle, amcf);
}


static void
ngx_http_agents_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_agents_module);

    if (amcf != NULL && amcf->worker != NULL) {
        ngx_http_agents_worker_destroy(amcf);
    }
}


static char *
ngx_http_agents_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_agents_main_conf_t *amcf = conf;

    if (amcf->store.target.len != 0) {
        return "is duplicate";
    }

    return ngx_http_agents_db_nginx_spec(cf, &amcf->store);
}


static char *
ngx_http_agents_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_agents_main_conf_t *amcf = conf;

    ngx_str_t  *value;

    if (amcf->zone != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    amcf->zone = ngx_http_agents_zone_add(cf, &value[1]);

    return amcf->zone == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static char *
ngx_http_agents_provider(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_agents_main_conf_t *amcf = conf;

    return ngx_http_agents_catalog_provider(cf, &amcf->catalog);
}


static char *
ngx_http_agents_data_plane(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_agents_main_conf_t *amcf = conf;

    return ngx_http_agents_catalog_plane(cf, &amcf->catalog);
}


static char *
ngx_http_agents_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_agents_auth_directive(cf, conf);
}
