
/*
 * Counters and histograms of a node, in shared memory: a table of fixed
 * places with atomics, no locks.  A series takes its place when it is counted
 * for the first time and keeps it; a process can die at any instruction, and
 * nothing that was counted ever goes back.  Any thread of any process.
 */


#ifndef _NGX_HTTP_AGENTS_METRICS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_METRICS_H_INCLUDED_


#include <stdint.h>
#include "ngx_http_agents_buf.h"


#define NGX_HTTP_AGENTS_METRICS_SERIES     640
#define NGX_HTTP_AGENTS_METRICS_LABELS     3

/* Of a label's value, with its NUL; what is longer is cut. */
#define NGX_HTTP_AGENTS_METRICS_VALUE_LEN  48

#define NGX_HTTP_AGENTS_METRICS_CELLS      16


/* Names, labels and texts are in the table of the .c file. */
typedef enum {
    NGX_HTTP_AGENTS_METRIC_REQUESTS = 0,        /* route, method, status */
    NGX_HTTP_AGENTS_METRIC_REQUEST_TIME,        /* route, method */
    NGX_HTTP_AGENTS_METRIC_RUNS_ACCEPTED,
    NGX_HTTP_AGENTS_METRIC_RUNS_FINISHED,       /* outcome, incident */
    NGX_HTTP_AGENTS_METRIC_ITERATIONS,
    NGX_HTTP_AGENTS_METRIC_INFERENCES,          /* provider, model, outcome */
    NGX_HTTP_AGENTS_METRIC_INFERENCE_TIME,      /* provider, model */
    NGX_HTTP_AGENTS_METRIC_RETRIES,             /* provider, model */
    NGX_HTTP_AGENTS_METRIC_TOKENS,              /* provider, model, type */
    NGX_HTTP_AGENTS_METRIC_QUEUE_TIME,          /* data_plane, cluster */
    NGX_HTTP_AGENTS_METRIC_CALLS,               /* outcome */
    NGX_HTTP_AGENTS_METRIC_CALL_TIME,
    NGX_HTTP_AGENTS_METRIC_DISCOVERIES,         /* outcome */
    NGX_HTTP_AGENTS_METRIC_DISCOVERY_TIME,
    NGX_HTTP_AGENTS_METRIC_BATCHES,             /* kind, status */
    NGX_HTTP_AGENTS_METRIC_BATCH_TIME,          /* kind */
    NGX_HTTP_AGENTS_METRIC_RENEWALS,            /* outcome */
    NGX_HTTP_AGENTS_METRIC_RUNS_CLAIMED,
    NGX_HTTP_AGENTS_METRIC_RUNS_EXPIRED,
    NGX_HTTP_AGENTS_METRIC_LOOP_LAG,
    NGX_HTTP_AGENTS_METRIC_EXPIRED,             /* kind */
    NGX_HTTP_AGENTS_METRIC_MAX
} ngx_http_agents_metric_e;


typedef struct {
    uint64_t   key;             /* hash of metric and values; 0: free */
    uint32_t   metric;
    uint32_t   ready;           /* metric and values are there */
    char       values[NGX_HTTP_AGENTS_METRICS_LABELS]
                     [NGX_HTTP_AGENTS_METRICS_VALUE_LEN];
    uint64_t   cells[NGX_HTTP_AGENTS_METRICS_CELLS];
} ngx_http_agents_metrics_series_t;


/* All zero is a valid empty table. */
typedef struct {
    ngx_http_agents_metrics_series_t  series[NGX_HTTP_AGENTS_METRICS_SERIES];
    uint64_t                          dropped;  /* found no place */
} ngx_http_agents_metrics_t;


/*
 * Adds to a counter; 0 makes the series be there.  a, b and c are the values
 * of its labels, in their order; NULL where it has fewer.  UTF-8.
 */
void ngx_http_agents_metrics_add(ngx_http_agents_metrics_t *metrics,
    ngx_http_agents_metric_e metric, uint64_t n, const char *a, const char *b,
    const char *c);

/* One observation of a histogram, in microseconds. */
void ngx_http_agents_metrics_observe(ngx_http_agents_metrics_t *metrics,
    ngx_http_agents_metric_e metric, uint64_t usec, const char *a,
    const char *b);

/* Those that have no labels, with 0, so that rates begin there. */
void ngx_http_agents_metrics_init(ngx_http_agents_metrics_t *metrics);

/* Microseconds of a clock that only goes forward. */
uint64_t ngx_http_agents_metrics_now(void);


/* All of it in Prometheus' text format. */
void ngx_http_agents_metrics_write(const ngx_http_agents_metrics_t *metrics,
    ngx_http_agents_buf_t *buf);

/* The head of a metric that is not in the table: its HELP and TYPE. */
void ngx_http_agents_metrics_head(ngx_http_agents_buf_t *buf,
    const char *name, const char *type, const char *help);

/* name="value", escaped. */
void ngx_http_agents_metrics_label(ngx_http_agents_buf_t *buf,
    const char *name, const char *value);


#endif /* _NGX_HTTP_AGENTS_METRICS_H_INCLUDED_ */
