
/*
 * What a node counts, for Prometheus: "location = /metrics { agents_metrics;
 * }".  The figures are the whole node's, whichever worker answers.
 */


#ifndef _NGX_HTTP_AGENTS_METRICS_PAGE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_METRICS_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The directive agents_metrics: makes the location's content handler. */
char *ngx_http_agents_metrics_page(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* In the log phase: counts a request of an agents_api. */
ngx_int_t ngx_http_agents_metrics_page_log_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_AGENTS_METRICS_PAGE_H_INCLUDED_ */
