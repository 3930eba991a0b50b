
/*
 * Directives that do more than fill a slot.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_agents_directives.h"
#include "ngx_http_agents_egress.h"
#include "ngx_http_agents_http.h"
#include "ngx_http_agents_mcp_trust.h"
#include "ngx_http_agents_routes.h"
#include "ngx_http_agents_url.h"


/* In seconds; in milliseconds, and from today, any store has room for it. */
#define NGX_HTTP_AGENTS_DIRECTIVES_RETENTION_MAX                             \
    ((time_t) 1000 * 366 * 86400)


static char *ngx_http_agents_directives_check_time(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_agents_directives_check_size(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_agents_directives_out(ngx_conf_t *cf,
    const ngx_http_agents_directives_bounds_t *bounds);


const ngx_http_agents_directives_bounds_t  ngx_http_agents_directives_lease = {
    ngx_http_agents_directives_check_time, 1000, 3600000, "from 1s to 1h"
};


const ngx_http_agents_directives_bounds_t  ngx_http_agents_directives_drain = {
    ngx_http_agents_directives_check_time, 0, 3600000, "from 0 to 1h"
};


const ngx_http_agents_directives_bounds_t
    ngx_http_agents_directives_timeout =
{
    ngx_http_agents_directives_check_time, 1, 86400000, "from 1ms to 24h"
};


const ngx_http_agents_directives_bounds_t  ngx_http_agents_directives_cache = {
    ngx_http_agents_directives_check_time, 0, 86400000, "from 0 to 24h"
};


const ngx_http_agents_directives_bounds_t  ngx_http_agents_directives_size = {
    ngx_http_agents_directives_check_size, 1024, 1024 * 1024 * 1024,
    "from 1k to 1024m"
};


char *
ngx_http_agents_directives_docs_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_agents_main_conf_t *amcf = conf;

    ngx_str_t               url;
    const char             *why;
    ngx_http_agents_url_t   parts;

    if (amcf->docs_url.len != 0) {
        return "is duplicate";
    }

    url = ((ngx_str_t *) cf->args->elts)[1];
    why = "must have no query: the names of errors are put behind it";

    if (ngx_http_agents_url_parse(&parts, (char *) url.data, url.len, &why)
        != 0
        || memchr(url.data, '?', url.len) != NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid url \"%V\": it %s", &url, why);
        return NGX_CONF_ERROR;
    }

    while (url.len != 0 && url.data[url.len - 1] == '/') {
        url.len--;
    }

    amcf->docs_url = url;

    return NGX_CONF_OK;
}


char *
ngx_http_agents_directives_retention(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_agents_main_conf_t *amcf = conf;

    ngx_str_t  *value;

    if (amcf->retention != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        amcf->retention = 0;
        return NGX_CONF_OK;
    }

    amcf->retention = ngx_parse_time(&value[1], 1);

    if (amcf->retention == (time_t) NGX_ERROR || amcf->retention == 0
        || amcf->retention > NGX_HTTP_AGENTS_DIRECTIVES_RETENTION_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\": it should be from a second "
                           "to 1000 years, as in \"agents_retention 90d;\", "
                           "or \"off\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_agents_directives_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_agents_loc_conf_t *alcf = conf;

    ngx_str_t                     *value, name;
    ngx_uint_t                     i;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_agents_settings_t    *settings, **apis;
    ngx_http_agents_main_conf_t   *amcf;

    if (alcf->api) {
        return "is duplicate";
    }

    if (alcf->pages != NULL) {
        return "stands beside pages of the module: give it a location of its "
               "own";
    }

    value = cf->args->elts;

    if (cf->args->nelts > 1) {
        name = value[1];

    } else {
        ngx_str_set(&name, "default");
    }

    if (name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"agents_api\" with an empty name");
        return NGX_CONF_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_agents_module);

    apis = amcf->apis->elts;

    for (i = 0; i < amcf->apis->nelts; i++) {
        if (apis[i]->name.len == name.len
            && ngx_strncmp(apis[i]->name.data, name.data, name.len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "there is an \"agents_api\" named \"%V\" "
                               "already: give each its own name, as in "
                               "\"agents_api NAME;\"", &name);
            return NGX_CONF_ERROR;
        }
    }

    settings = ngx_pcalloc(cf->pool, sizeof(ngx_http_agents_settings_t));
    apis = ngx_array_push(amcf->apis);
    if (settings == NULL || apis == NULL) {
        return NGX_CONF_ERROR;
    }

    settings->name = name;
    settings->file = cf->conf_file->file.name.data;
    settings->line = cf->conf_file->line;
    *apis = settings;

    alcf->api = 1;
    alcf->settings = settings;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_agents_routes_handler;

    return ngx_http_agents_directives_own_errors(cf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_agents_directives_pages(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf, ngx_http_handler_pt handler, const char *example)
{
    ngx_http_agents_loc_conf_t *alcf = conf;

    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_agents_main_conf_t  *amcf;

    if (alcf->pages == handler) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->named || clcf->exact_match
        || clcf->name.len == 0 || clcf->name.data[0] != '/'
#if (NGX_PCRE)
        || clcf->regex
#endif
       )
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" belongs into a prefix location, such as "
                           "\"location %s\"", &cmd->name, example);
        return NGX_CONF_ERROR;
    }

    if (alcf->api || alcf->pages != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs a location of its own, such as "
                           "\"location %s\"", &cmd->name, example);
        return NGX_CONF_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_agents_module);

    amcf->pages = 1;
    alcf->pages = handler;
    clcf->handler = handler;

    return ngx_http_agents_directives_own_errors(cf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* An empty list is what nginx takes over nothing into. */

ngx_int_t
ngx_http_agents_directives_own_errors(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->error_pages != NULL
        && clcf->error_pages != NGX_CONF_UNSET_PTR)
    {
        return NGX_OK;
    }

    clcf->error_pages = ngx_array_create(cf->pool, 1,
                                         sizeof(ngx_http_err_page_t));

    return clcf->error_pages != NULL ? NGX_OK : NGX_ERROR;
}


char *
ngx_http_agents_directives_mcp_location(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_agents_loc_conf_t *alcf = conf;

    ngx_str_t  *value;

    if (alcf->mcp_location.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].data[0] != '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid location \"%V\": it must start with "
                           "\"/\" and name an internal location of this "
                           "server", &value[1]);
        return NGX_CONF_ERROR;
    }

    alcf->mcp_location = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_agents_directives_mcp_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_agents_loc_conf_t *alcf = conf;

    return ngx_http_agents_egress_rule(cf, &alcf->egress, 1);
}


char *
ngx_http_agents_directives_mcp_deny(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_agents_loc_conf_t *alcf = conf;

    return ngx_http_agents_egress_rule(cf, &alcf->egress, 0);
}


char *
ngx_http_agents_directives_mcp_first_party(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_agents_loc_conf_t *alcf = conf;

    return ngx_http_agents_mcp_trust_first_party(cf, &alcf->parties);
}


char *
ngx_http_agents_directives_mcp_credential(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_agents_loc_conf_t *alcf = conf;

    return ngx_http_agents_mcp_trust_credential(cf, &alcf->credentials);
}


/* Before the merging: what is not set is not there yet. */

void
ngx_http_agents_directives_resolver(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    catalog->resolver_timeout = 30000;

    if (clcf->resolver_timeout != NGX_CONF_UNSET_MSEC) {
        catalog->resolver_timeout = clcf->resolver_timeout;
    }

    if (clcf->resolver != NULL && clcf->resolver->connections.nelts != 0) {
        catalog->resolver = clcf->resolver;
    }
}


ngx_int_t
ngx_http_agents_directives_settings(ngx_conf_t *cf,
    ngx_http_agents_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_core_srv_conf_t    *cscf;
    ngx_http_agents_settings_t  *settings;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    settings = conf->settings;
    settings->max_iterations = conf->max_iterations;
    settings->max_runs_per_user = conf->max_runs_per_user;
    settings->run_timeout = conf->run_timeout;
    settings->inference_timeout = conf->inference_timeout;
    settings->queue_timeout = conf->queue_timeout;
    settings->tool_timeout = conf->tool_timeout;
    settings->tool_result_max = conf->tool_result_max;
    settings->run_results_max = conf->run_results_max;

    settings->mcp.target.ctx = cscf->ctx;
    settings->mcp.target.uri = conf->mcp_location;
    settings->mcp.egress = conf->egress;
    settings->mcp.parties = conf->parties;
    settings->mcp.credentials = conf->credentials;
    settings->mcp.discovery_timeout = conf->discovery_timeout;
    settings->mcp.max_body = conf->mcp_body_max;
    settings->mcp.resolver_timeout = clcf->resolver_timeout;

    /* without the directive nginx has a resolver with no servers */

    if (clcf->resolver != NULL && clcf->resolver->connections.nelts != 0) {
        settings->mcp.resolver = clcf->resolver;
    }

    if (conf->mcp_cache == 0) {
        return NGX_OK;
    }

    settings->mcp.cache_time = conf->mcp_cache;
    settings->mcp.cache = ngx_http_agents_mcp_cache_create(cf->pool);

    return settings->mcp.cache != NULL ? NGX_OK : NGX_ERROR;
}


static char *
ngx_http_agents_directives_check_time(ngx_conf_t *cf, void *post, void *data)
{
    const ngx_http_agents_directives_bounds_t *bounds = post;
    ngx_msec_t *time = data;

    if (*time < bounds->min || *time > bounds->max) {
        return ngx_http_agents_directives_out(cf, bounds);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_directives_check_size(ngx_conf_t *cf, void *post, void *data)
{
    const ngx_http_agents_directives_bounds_t *bounds = post;
    size_t *size = data;

    if (*size < bounds->min || *size > bounds->max) {
        return ngx_http_agents_directives_out(cf, bounds);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_directives_out(ngx_conf_t *cf,
    const ngx_http_agents_directives_bounds_t *bounds)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" of \"%V\": it must be %s",
                       &value[1], &value[0], bounds->text);

    return NGX_CONF_ERROR;
}
