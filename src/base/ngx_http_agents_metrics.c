
/*
 * Counters and histograms in shared memory, and their exposition.
 */


#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ngx_http_agents_metrics.h"


/* One cell of a histogram is its sum, one the bucket of what is over all. */
#define NGX_HTTP_AGENTS_METRICS_BOUNDS  (NGX_HTTP_AGENTS_METRICS_CELLS - 2)
#define NGX_HTTP_AGENTS_METRICS_SUM     (NGX_HTTP_AGENTS_METRICS_CELLS - 1)


typedef struct {
    const char      *name;
    const char      *help;
    const char      *labels[NGX_HTTP_AGENTS_METRICS_LABELS];
    const uint64_t  *bounds;        /* NULL: a counter */
} ngx_http_agents_metrics_family_t;


static ngx_http_agents_metrics_series_t *ngx_http_agents_metrics_find(
    ngx_http_agents_metrics_t *metrics, ngx_http_agents_metric_e metric,
    const char *values[NGX_HTTP_AGENTS_METRICS_LABELS]);
static uint64_t ngx_http_agents_metrics_key(ngx_http_agents_metric_e metric,
    const char *values[NGX_HTTP_AGENTS_METRICS_LABELS]);
static size_t ngx_http_agents_metrics_value_len(const char *value);
static void ngx_http_agents_metrics_claim(
    ngx_http_agents_metrics_series_t *series, ngx_http_agents_metric_e metric,
    const char *values[NGX_HTTP_AGENTS_METRICS_LABELS]);
static void ngx_http_agents_metrics_write_labels(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_metrics_family_t *family,
    const ngx_http_agents_metrics_series_t *series, const char *le);
static void ngx_http_agents_metrics_write_histogram(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_metrics_family_t *family,
    const ngx_http_agents_metrics_series_t *series);
static void ngx_http_agents_metrics_seconds(char *text, size_t size,
    uint64_t usec);


/* Upper bounds of buckets, in microseconds: of requests, of the database, of
 * the event loop; of models and tools. */

static const uint64_t
    ngx_http_agents_metrics_short[NGX_HTTP_AGENTS_METRICS_BOUNDS] =
{
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
    1000000, 2500000, 10000000, 60000000
};


static const uint64_t
    ngx_http_agents_metrics_long[NGX_HTTP_AGENTS_METRICS_BOUNDS] =
{
    10000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
    20000000, 40000000, 80000000, 160000000, 320000000
};


static const ngx_http_agents_metrics_family_t
    ngx_http_agents_metrics_families[NGX_HTTP_AGENTS_METRIC_MAX] =
{
    [NGX_HTTP_AGENTS_METRIC_REQUESTS] =
    { "agents_requests_total",
      "Requests of the API that have ended.",
      { "route", "method", "status" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_REQUEST_TIME] =
    { "agents_request_duration_seconds",
      "From a request's first byte to the last of its answer.",
      { "route", "method" }, ngx_http_agents_metrics_short },

    [NGX_HTTP_AGENTS_METRIC_RUNS_ACCEPTED] =
    { "agents_runs_accepted_total",
      "Runs that were accepted, replays not counted.",
      { NULL }, NULL },

    [NGX_HTTP_AGENTS_METRIC_RUNS_FINISHED] =
    { "agents_runs_finished_total",
      "Runs whose end was stored, by status and incident.",
      { "outcome", "incident" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_ITERATIONS] =
    { "agents_iterations_total",
      "Replies of models that a run went on with.",
      { NULL }, NULL },

    [NGX_HTTP_AGENTS_METRIC_INFERENCES] =
    { "agents_inferences_total",
      "Inferences that have ended, each with its retries.",
      { "provider", "model", "outcome" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_INFERENCE_TIME] =
    { "agents_inference_duration_seconds",
      "What inferences took, with their retries; not of cancelled ones.",
      { "provider", "model" }, ngx_http_agents_metrics_long },

    [NGX_HTTP_AGENTS_METRIC_RETRIES] =
    { "agents_inference_retries_total",
      "Attempts after the first one.",
      { "provider", "model" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_TOKENS] =
    { "agents_tokens_total",
      "Tokens as providers count them; cached ones are prompt ones, too.",
      { "provider", "model", "type" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_QUEUE_TIME] =
    { "agents_queue_wait_seconds",
      "The wait for a place among a bounded cluster's inferences.",
      { "data_plane", "cluster" }, ngx_http_agents_metrics_long },

    [NGX_HTTP_AGENTS_METRIC_CALLS] =
    { "agents_tool_calls_total",
      "Calls of MCP tools that have ended.",
      { "outcome" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_CALL_TIME] =
    { "agents_tool_call_duration_seconds",
      "What calls of MCP tools took; not of cancelled ones.",
      { NULL }, ngx_http_agents_metrics_long },

    [NGX_HTTP_AGENTS_METRIC_DISCOVERIES] =
    { "agents_mcp_discoveries_total",
      "Discoveries of an MCP server's tools that have ended.",
      { "outcome" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_DISCOVERY_TIME] =
    { "agents_mcp_discovery_duration_seconds",
      "What discoveries of an MCP server's tools took.",
      { NULL }, ngx_http_agents_metrics_long },

    [NGX_HTTP_AGENTS_METRIC_BATCHES] =
    { "agents_store_batches_total",
      "Batches that the store has answered.",
      { "kind", "status" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_BATCH_TIME] =
    { "agents_store_batch_duration_seconds",
      "From the submission of a batch to its answer.",
      { "kind" }, ngx_http_agents_metrics_short },

    [NGX_HTTP_AGENTS_METRIC_RENEWALS] =
    { "agents_lease_renewals_total",
      "Renewals of workers' leases.",
      { "outcome" }, NULL },

    [NGX_HTTP_AGENTS_METRIC_RUNS_CLAIMED] =
    { "agents_runs_claimed_total",
      "Runs without an owner that were taken over.",
      { NULL }, NULL },

    [NGX_HTTP_AGENTS_METRIC_RUNS_EXPIRED] =
    { "agents_runs_expired_total",
      "Runs that were found with an owner whose lease had ended.",
      { NULL }, NULL },

    [NGX_HTTP_AGENTS_METRIC_LOOP_LAG] =
    { "agents_event_loop_lag_seconds",
      "How late a timer of the event loop was, four times a second.",
      { NULL }, ngx_http_agents_metrics_short },

    [NGX_HTTP_AGENTS_METRIC_EXPIRED] =
    { "agents_retention_removed_total",
      "What agents_retention has removed, by kind.",
      { "kind" }, NULL },
};


void
ngx_http_agents_metrics_add(ngx_http_agents_metrics_t *metrics,
    ngx_http_agents_metric_e metric, uint64_t n, const char *a, const char *b,
    const char *c)
{
    const char                        *values[] = { a, b, c };
    ngx_http_agents_metrics_series_t  *series;

    series = ngx_http_agents_metrics_find(metrics, metric, values);

    if (series != NULL) {
        __atomic_fetch_add(&series->cells[0], n, __ATOMIC_RELAXED);
    }
}


void
ngx_http_agents_metrics_observe(ngx_http_agents_metrics_t *metrics,
    ngx_http_agents_metric_e metric, uint64_t usec, const char *a,
    const char *b)
{
    size_t                             i;
    const char                        *values[] = { a, b, NULL };
    const uint64_t                    *bounds;
    ngx_http_agents_metrics_series_t  *series;

    series = ngx_http_agents_metrics_find(metrics, metric, values);

    if (series == NULL) {
        return;
    }

    bounds = ngx_http_agents_metrics_families[metric].bounds;

    for (i = 0; i < NGX_HTTP_AGENTS_METRICS_BOUNDS; i++) {
        if (usec <= bounds[i]) {
            break;
        }
    }

    __atomic_fetch_add(&series->cells[i], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&series->cells[NGX_HTTP_AGENTS_METRICS_SUM], usec,
                       __ATOMIC_RELAXED);
}


void
ngx_http_agents_metrics_init(ngx_http_agents_metrics_t *metrics)
{
    size_t                             i;
    const char                        *none[] = { NULL, NULL, NULL };

    for (i = 0; i < NGX_HTTP_AGENTS_METRIC_MAX; i++) {
        if (ngx_http_agents_metrics_families[i].labels[0] == NULL) {
            (void) ngx_http_agents_metrics_find(metrics, i, none);
        }
    }
}


uint64_t
ngx_http_agents_metrics_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}


/*
 * The place of a series, taken with its key alone.  What the key stands for is
 * written after that, by everyone who finds it missing: they all write the
 * same, so that one of them may die on the way.
 */

static ngx_http_agents_metrics_series_t *
ngx_http_agents_metrics_find(ngx_http_agents_metrics_t *metrics,
    ngx_http_agents_metric_e metric,
    const char *values[NGX_HTTP_AGENTS_METRICS_LABELS])
{
    size_t                             i, n;
    uint64_t                           key, seen;
    ngx_http_agents_metrics_series_t  *series;

    key = ngx_http_agents_metrics_key(metric, values);
    i = (key ^ (key >> 32)) % NGX_HTTP_AGENTS_METRICS_SERIES;

    for (n = 0; n < NGX_HTTP_AGENTS_METRICS_SERIES; n++) {
        series = &metrics->series[i];
        seen = __atomic_load_n(&series->key, __ATOMIC_RELAXED);

        if (seen == 0
            && __atomic_compare_exchange_n(&series->key, &seen, key, 0,
                                           __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED))
        {
            seen = key;
        }

        if (seen == key) {
            if (!__atomic_load_n(&series->ready, __ATOMIC_ACQUIRE)) {
                ngx_http_agents_metrics_claim(series, metric, values);
            }

            return series;
        }

        i = (i + 1) % NGX_HTTP_AGENTS_METRICS_SERIES;
    }

    __atomic_fetch_add(&metrics->dropped, 1, __ATOMIC_RELAXED);

    return NULL;
}


/* FNV-1a; never 0. */

static uint64_t
ngx_http_agents_metrics_key(ngx_http_agents_metric_e metric,
    const char *values[NGX_HTTP_AGENTS_METRICS_LABELS])
{
    size_t         i, k, len;
    uint64_t       key;

    key = (14695981039346656037ULL ^ metric) * 1099511628211ULL;

    for (i = 0; i < NGX_HTTP_AGENTS_METRICS_LABELS && values[i]; i++) {
        len = ngx_http_agents_metrics_value_len(values[i]);

        for (k = 0; k < len; k++) {
            key = (key ^ (unsigned char) values[i][k]) * 1099511628211ULL;
        }

        key = (key ^ 0xff) * 1099511628211ULL;
    }

    return key ? key : 1;
}


/* At most what there is room for, and no part of a character. */

static size_t
ngx_http_agents_metrics_value_len(const char *value)
{
    size_t  len;

    len = strnlen(value, NGX_HTTP_AGENTS_METRICS_VALUE_LEN);

    if (len < NGX_HTTP_AGENTS_METRICS_VALUE_LEN) {
        return len;
    }

    len = NGX_HTTP_AGENTS_METRICS_VALUE_LEN - 1;

    while (len > 0 && ((unsigned char) value[len] & 0xc0) == 0x80) {
        len--;
    }

    return len;
}


static void
ngx_http_agents_metrics_claim(ngx_http_agents_metrics_series_t *series,
    ngx_http_agents_metric_e metric,
    const char *values[NGX_HTTP_AGENTS_METRICS_LABELS])
{
    size_t  i;

    for (i = 0; i < NGX_HTTP_AGENTS_METRICS_LABELS && values[i]; i++) {
        memcpy(series->values[i], values[i],
               ngx_http_agents_metrics_value_len(values[i]));
    }

    series->metric = metric;

    __atomic_store_n(&series->ready, 1, __ATOMIC_RELEASE);
}


void
ngx_http_agents_metrics_write(const ngx_http_agents_metrics_t *metrics,
    ngx_http_agents_buf_t *buf)
{
    size_t                                   i, n;
    const ngx_http_agents_metrics_family_t  *family;
    const ngx_http_agents_metrics_series_t  *series;

    for (i = 0; i < NGX_HTTP_AGENTS_METRIC_MAX; i++) {
        family = &ngx_http_agents_metrics_families[i];

        ngx_http_agents_metrics_head(buf, family->name,
                                     family->bounds ? "histogram" : "counter",
                                     family->help);

        for (n = 0; n < NGX_HTTP_AGENTS_METRICS_SERIES; n++) {
            series = &metrics->series[n];

            if (!__atomic_load_n(&series->ready, __ATOMIC_ACQUIRE)
                || series->metric != i)
            {
                continue;
            }

            if (family->bounds) {
                ngx_http_agents_metrics_write_histogram(buf, family, series);
                continue;
            }

            ngx_http_agents_buf_adds(buf, family->name);
            ngx_http_agents_metrics_write_labels(buf, family, series, NULL);
            ngx_http_agents_buf_addf(buf, " %llu\n", (unsigned long long)
                                     __atomic_load_n(&series->cells[0],
                                                     __ATOMIC_RELAXED));
        }
    }

    ngx_http_agents_metrics_head(buf, "agents_series_dropped_total", "counter",
                                 "What was not counted: the table of series "
                                 "is full.");
    ngx_http_agents_buf_addf(buf, "agents_series_dropped_total %llu\n",
                             (unsigned long long)
                             __atomic_load_n(&metrics->dropped,
                                             __ATOMIC_RELAXED));
}


/* The count is the sum of the buckets as they were read, so that all agree. */

static void
ngx_http_agents_metrics_write_histogram(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_metrics_family_t *family,
    const ngx_http_agents_metrics_series_t *series)
{
    char      text[32];
    size_t    i;
    uint64_t  count;

    count = 0;

    for (i = 0; i <= NGX_HTTP_AGENTS_METRICS_BOUNDS; i++) {
        count += __atomic_load_n(&series->cells[i], __ATOMIC_RELAXED);

        if (i < NGX_HTTP_AGENTS_METRICS_BOUNDS) {
            ngx_http_agents_metrics_seconds(text, sizeof(text),
                                            family->bounds[i]);
        } else {
            memcpy(text, "+Inf", sizeof("+Inf"));
        }

        ngx_http_agents_buf_addf(buf, "%s_bucket", family->name);
        ngx_http_agents_metrics_write_labels(buf, family, series, text);
        ngx_http_agents_buf_addf(buf, " %llu\n", (unsigned long long) count);
    }

    ngx_http_agents_metrics_seconds(text, sizeof(text),
                     __atomic_load_n(
                         &series->cells[NGX_HTTP_AGENTS_METRICS_SUM],
                         __ATOMIC_RELAXED));

    ngx_http_agents_buf_addf(buf, "%s_sum", family->name);
    ngx_http_agents_metrics_write_labels(buf, family, series, NULL);
    ngx_http_agents_buf_addf(buf, " %s\n", text);

    ngx_http_agents_buf_addf(buf, "%s_count", family->name);
    ngx_http_agents_metrics_write_labels(buf, family, series, NULL);
    ngx_http_agents_buf_addf(buf, " %llu\n", (unsigned long long) count);
}


/* Without zeros at the end: "0.0005", "10". */

static void
ngx_http_agents_metrics_seconds(char *text, size_t size, uint64_t usec)
{
    int  len;

    len = snprintf(text, size, "%llu.%06u",
                   (unsigned long long) (usec / 1000000),
                   (unsigned) (usec % 1000000));

    while (text[len - 1] == '0') {
        text[--len] = '\0';
    }

    if (text[len - 1] == '.') {
        text[len - 1] = '\0';
    }
}


/* A label without a value is left out. */

static void
ngx_http_agents_metrics_write_labels(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_metrics_family_t *family,
    const ngx_http_agents_metrics_series_t *series, const char *le)
{
    char    before;
    size_t  i;

    before = '{';

    for (i = 0; i < NGX_HTTP_AGENTS_METRICS_LABELS; i++) {
        if (family->labels[i] == NULL || series->values[i][0] == '\0') {
            continue;
        }

        ngx_http_agents_buf_addc(buf, before);
        ngx_http_agents_metrics_label(buf, family->labels[i],
                                      series->values[i]);
        before = ',';
    }

    if (le != NULL) {
        ngx_http_agents_buf_addc(buf, before);
        ngx_http_agents_metrics_label(buf, "le", le);
        before = ',';
    }

    if (before == ',') {
        ngx_http_agents_buf_addc(buf, '}');
    }
}


void
ngx_http_agents_metrics_head(ngx_http_agents_buf_t *buf, const char *name,
    const char *type, const char *help)
{
    ngx_http_agents_buf_addf(buf, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                             name, type);
}


void
ngx_http_agents_metrics_label(ngx_http_agents_buf_t *buf, const char *name,
    const char *value)
{
    const char  *p;

    ngx_http_agents_buf_addf(buf, "%s=\"", name);

    for (p = value; *p; p++) {

        switch (*p) {

        case '"':
        case '\\':
            ngx_http_agents_buf_addc(buf, '\\');
            ngx_http_agents_buf_addc(buf, *p);
            break;

        case '\n':
            ngx_http_agents_buf_adds(buf, "\\n");
            break;

        default:
            ngx_http_agents_buf_addc(buf, *p);
        }
    }

    ngx_http_agents_buf_addc(buf, '"');
}
