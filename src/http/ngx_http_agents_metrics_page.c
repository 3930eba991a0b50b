
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"
#include "ngx_http_agents_metrics_page.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_routes.h"
#include "ngx_http_agents_version.h"


#define NGX_HTTP_AGENTS_METRICS_PAGE_TYPE                                     \
    "text/plain; version=0.0.4; charset=utf-8"


/* A gauge of the processes. */
typedef struct {
    ngx_http_agents_gauge_e   gauge;
    const char               *name;
    const char               *help;
} ngx_http_agents_metrics_page_gauge_t;


static ngx_int_t ngx_http_agents_metrics_page_handler(ngx_http_request_t *r);
static void ngx_http_agents_metrics_page_build(ngx_http_agents_buf_t *buf);
static void ngx_http_agents_metrics_page_gauges(ngx_http_agents_buf_t *buf,
    ngx_http_agents_worker_t *worker);
static void ngx_http_agents_metrics_page_gauge(ngx_http_agents_buf_t *buf,
    const char *name, const char *help, ngx_uint_t value);
static void ngx_http_agents_metrics_page_gates(ngx_http_agents_buf_t *buf,
    ngx_http_agents_gate_t *gate);
static void ngx_http_agents_metrics_page_gate(ngx_http_agents_buf_t *buf,
    const char *name, const ngx_http_agents_gate_figures_t *figures,
    ngx_uint_t value);


static const ngx_http_agents_metrics_page_gauge_t
    ngx_http_agents_metrics_page_list[] =
{
    { NGX_HTTP_AGENTS_GAUGE_RUNS, "agents_runs_in_flight",
      "Runs that workers are carrying on." },

    { NGX_HTTP_AGENTS_GAUGE_INFERENCES, "agents_inferences_in_flight",
      "Inferences that wait for a provider, or for their next attempt." },

    { NGX_HTTP_AGENTS_GAUGE_STREAMS, "agents_event_streams",
      "Clients that follow a run." },

    { NGX_HTTP_AGENTS_GAUGE_TASKS_POSTED, "agents_tasks_in_pool",
      "Tasks that are with the thread pool." },

    { NGX_HTTP_AGENTS_GAUGE_TASKS_WAITING, "agents_tasks_waiting",
      "Tasks in line for the thread pool." },

    { 0, NULL, NULL }
};


char *
ngx_http_agents_metrics_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == ngx_http_agents_metrics_page_handler) {
        return "is duplicate";
    }

    clcf->handler = ngx_http_agents_metrics_page_handler;

    return NGX_CONF_OK;
}


/* Without an agents_api there is nothing to count, but for the build. */

static ngx_int_t
ngx_http_agents_metrics_page_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_agents_buf_t         buf;
    ngx_http_agents_worker_t     *worker;
    ngx_http_agents_main_conf_t  *amcf;

    rc = ngx_http_agents_reply_read_only(r);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);
    worker = amcf->worker;

    ngx_http_agents_buf_init(&buf);

    ngx_http_agents_metrics_page_build(&buf);

    if (worker != NULL) {
        ngx_http_agents_metrics_page_gauges(&buf, worker);
        ngx_http_agents_metrics_page_gates(&buf, worker->gate);
        ngx_http_agents_metrics_write(&worker->zone->metrics, &buf);
    }

    return ngx_http_agents_reply_text(r, NGX_HTTP_AGENTS_METRICS_PAGE_TYPE,
                                      &buf);
}


static void
ngx_http_agents_metrics_page_build(ngx_http_agents_buf_t *buf)
{
    ngx_http_agents_metrics_head(buf, "agents_build_info", "gauge",
                                 "The versions of the module and of nginx.");
    ngx_http_agents_buf_adds(buf, "agents_build_info{version=\""
                             NGX_HTTP_AGENTS_VERSION "\",nginx=\""
                             NGINX_VERSION "\"} 1\n");
}


static void
ngx_http_agents_metrics_page_gauges(ngx_http_agents_buf_t *buf,
    ngx_http_agents_worker_t *worker)
{
    ngx_http_agents_slots_figures_t              figures;
    const ngx_http_agents_metrics_page_gauge_t  *gauge;

    ngx_http_agents_slots_figures(&worker->zone->slots, &figures);

    ngx_http_agents_metrics_page_gauge(buf, "agents_workers",
                                       "Worker processes of the node.",
                                       figures.processes);

    ngx_http_agents_metrics_page_gauge(buf, "agents_store_up",
                                       "Whether every worker can reach the "
                                       "store.",
                              figures.sums[NGX_HTTP_AGENTS_GAUGE_STORE_AWAY]
                              == 0);

    for (gauge = ngx_http_agents_metrics_page_list; gauge->name; gauge++) {
        ngx_http_agents_metrics_page_gauge(buf, gauge->name, gauge->help,
                                           figures.sums[gauge->gauge]);
    }
}


static void
ngx_http_agents_metrics_page_gauge(ngx_http_agents_buf_t *buf,
    const char *name, const char *help, ngx_uint_t value)
{
    ngx_http_agents_metrics_head(buf, name, "gauge", help);
    ngx_http_agents_buf_addf(buf, "%s %lu\n", name, (unsigned long) value);
}


static void
ngx_http_agents_metrics_page_gates(ngx_http_agents_buf_t *buf,
    ngx_http_agents_gate_t *gate)
{
    ngx_uint_t                      i;
    ngx_http_agents_gate_figures_t  figures[NGX_HTTP_AGENTS_GATES];

    for (i = 0; i < NGX_HTTP_AGENTS_GATES; i++) {
        if (ngx_http_agents_gate_figures(gate, i, &figures[i]) != NGX_OK) {
            figures[i].name = NULL;
        }
    }

    ngx_http_agents_metrics_head(buf, "agents_cluster_inferences", "gauge",
                                 "Inferences in flight in a bounded cluster.");

    for (i = 0; i < NGX_HTTP_AGENTS_GATES; i++) {
        ngx_http_agents_metrics_page_gate(buf, "agents_cluster_inferences",
                                          &figures[i], figures[i].held);
    }

    ngx_http_agents_metrics_head(buf, "agents_cluster_inferences_limit",
                                 "gauge", "The cluster's max_inferences.");

    for (i = 0; i < NGX_HTTP_AGENTS_GATES; i++) {
        ngx_http_agents_metrics_page_gate(buf,
                                          "agents_cluster_inferences_limit",
                                          &figures[i], figures[i].limit);
    }

    ngx_http_agents_metrics_head(buf, "agents_cluster_waiting", "gauge",
                                 "In line for a bounded cluster.");

    for (i = 0; i < NGX_HTTP_AGENTS_GATES; i++) {
        ngx_http_agents_metrics_page_gate(buf, "agents_cluster_waiting",
                                          &figures[i], figures[i].waiting);
    }
}


/* The gate's name is "plane/cluster". */

static void
ngx_http_agents_metrics_page_gate(ngx_http_agents_buf_t *buf,
    const char *name, const ngx_http_agents_gate_figures_t *figures,
    ngx_uint_t value)
{
    u_char   text[NGX_HTTP_AGENTS_GATE_NAME];
    char    *cluster;

    if (figures->name == NULL) {
        return;
    }

    (void) ngx_cpystrn(text, (u_char *) figures->name, sizeof(text));

    cluster = strchr((char *) text, '/');
    if (cluster == NULL) {
        return;
    }

    *cluster++ = '\0';

    ngx_http_agents_buf_addf(buf, "%s{", name);
    ngx_http_agents_metrics_label(buf, "data_plane", (char *) text);
    ngx_http_agents_buf_addc(buf, ',');
    ngx_http_agents_metrics_label(buf, "cluster", cluster);
    ngx_http_agents_buf_addf(buf, "} %lu\n", (unsigned long) value);
}


/* Status and time are those of $status and $request_time. */

ngx_int_t
ngx_http_agents_metrics_page_log_handler(ngx_http_request_t *r)
{
    u_char                        status[4];
    ngx_uint_t                    code;
    ngx_time_t                   *tp;
    const char                   *route, *method;
    ngx_msec_int_t                ms;
    ngx_http_agents_metrics_t    *metrics;
    ngx_http_agents_loc_conf_t   *alcf;
    ngx_http_agents_main_conf_t  *amcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);
    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    if (!alcf->api || r != r->main || amcf->worker == NULL) {
        return NGX_OK;
    }

    metrics = &amcf->worker->zone->metrics;

    code = r->err_status ? r->err_status : r->headers_out.status;
    *ngx_sprintf(status, "%03ui", ngx_min(code, 999)) = '\0';

    route = ngx_http_agents_routes_pattern(r);
    method = ngx_http_agents_routes_method_name(r);

    tp = ngx_timeofday();
    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));
    ms = ngx_max(ms, 0);

    ngx_http_agents_metrics_add(metrics, NGX_HTTP_AGENTS_METRIC_REQUESTS, 1,
                                route, method, (char *) status);
    ngx_http_agents_metrics_observe(metrics,
                                    NGX_HTTP_AGENTS_METRIC_REQUEST_TIME,
                                    (uint64_t) ms * 1000, route, method);

    return NGX_OK;
}
