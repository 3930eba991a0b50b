
/*
 * Counters and histograms: what is written of them, labels that need care, a
 * full table, and many threads at once.
 */


#include "unit.h"
#include <pthread.h>
#include <stdlib.h>
#include "ngx_http_agents_metrics.h"


#define THREADS  4
#define ROUNDS   100000


static char *
exposition(const ngx_http_agents_metrics_t *metrics)
{
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_metrics_write(metrics, &buf);

    return ngx_http_agents_buf_take(&buf, NULL);
}


/* Whether a whole line is there. */

static int
has(const char *text, const char *line)
{
    size_t       len;
    const char  *p;

    len = strlen(line);

    for (p = strstr(text, line); p != NULL; p = strstr(p + 1, line)) {
        if ((p == text || p[-1] == '\n') && p[len] == '\n') {
            return 1;
        }
    }

    return 0;
}


static void
counters(void)
{
    char                       *text;
    ngx_http_agents_metrics_t  *m;

    m = calloc(1, sizeof(ngx_http_agents_metrics_t));
    ngx_http_agents_metrics_init(m);

    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_REQUESTS, 1, "/a",
                                "GET", "200");
    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_REQUESTS, 2, "/a",
                                "GET", "200");
    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_REQUESTS, 5, "/a",
                                "GET2", "00");
    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_RUNS_FINISHED, 1,
                                "completed", "", NULL);
    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_CALLS, 0, "ok", NULL,
                                NULL);
    text = exposition(m);

    unit(has(text, "# TYPE agents_requests_total counter"), "its type");
    unit(has(text, "agents_requests_total{route=\"/a\",method=\"GET\","
                   "status=\"200\"} 3"), "added up");
    unit(has(text, "agents_requests_total{route=\"/a\",method=\"GET2\","
                   "status=\"00\"} 5"), "values do not run together");
    unit(has(text, "agents_runs_finished_total{outcome=\"completed\"} 1"),
         "an empty value is left out");
    unit(has(text, "agents_tool_calls_total{outcome=\"ok\"} 0"),
         "a zero is there");
    unit(has(text, "agents_runs_accepted_total 0"), "made by init");
    unit(has(text, "agents_tool_call_duration_seconds_count 0"),
         "a histogram, too");

    free(text);
    free(m);
}


static void
histograms(void)
{
    char                       *text;
    ngx_http_agents_metrics_t  *m;

    m = calloc(1, sizeof(ngx_http_agents_metrics_t));

    ngx_http_agents_metrics_observe(m, NGX_HTTP_AGENTS_METRIC_BATCH_TIME, 0,
                                    "read", NULL);
    ngx_http_agents_metrics_observe(m, NGX_HTTP_AGENTS_METRIC_BATCH_TIME, 500,
                                    "read", NULL);
    ngx_http_agents_metrics_observe(m, NGX_HTTP_AGENTS_METRIC_BATCH_TIME, 501,
                                    "read", NULL);
    ngx_http_agents_metrics_observe(m, NGX_HTTP_AGENTS_METRIC_BATCH_TIME,
                                    3600000000, "read", NULL);
    text = exposition(m);

#define BATCH  "agents_store_batch_duration_seconds"

    unit(has(text, "# TYPE " BATCH " histogram"), "its type");
    unit(has(text, BATCH "_bucket{kind=\"read\",le=\"0.0005\"} 2"),
         "the bound is in the bucket");
    unit(has(text, BATCH "_bucket{kind=\"read\",le=\"0.001\"} 3"),
         "buckets add up");
    unit(has(text, BATCH "_bucket{kind=\"read\",le=\"60\"} 3"), "to the last");
    unit(has(text, BATCH "_bucket{kind=\"read\",le=\"+Inf\"} 4"),
         "what is over all of them");
    unit(has(text, BATCH "_sum{kind=\"read\"} 3600.001001"), "the sum");
    unit(has(text, BATCH "_count{kind=\"read\"} 4"), "the count");

    free(text);
    free(m);
}


static void
values(void)
{
    char                       *text;
    ngx_http_agents_metrics_t  *m;

    m = calloc(1, sizeof(ngx_http_agents_metrics_t));

    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_RETRIES, 1,
                                "a\"b\\c\nd", "m", NULL);
    /* 46 and 45 bytes, and a character of two */
    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_RETRIES, 2,
                                "0123456789012345678901234567890123456789"
                                "012345\xc3\xa9zzz", "m", NULL);
    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_RETRIES, 3,
                                "1123456789012345678901234567890123456789"
                                "01234\xc3\xa9zzz", "m", NULL);
    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_RETRIES, 4,
                                "1123456789012345678901234567890123456789"
                                "01234\xc3\xa9yyy", "m", NULL);
    text = exposition(m);

#define RETRIES  "agents_inference_retries_total"

    unit(has(text, RETRIES "{provider=\"a\\\"b\\\\c\\nd\",model=\"m\"} 1"),
         "escaped");
    unit(has(text, RETRIES "{provider=\"012345678901234567890123456789"
                   "0123456789012345\",model=\"m\"} 2"),
         "cut between characters");
    unit(has(text, RETRIES "{provider=\"112345678901234567890123456789"
                   "012345678901234\xc3\xa9\",model=\"m\"} 7"),
         "what is the same after the cut is one");

    free(text);
    free(m);
}


static void
full(void)
{
    int                         i;
    char                        name[32], *text;
    ngx_http_agents_metrics_t  *m;

    m = calloc(1, sizeof(ngx_http_agents_metrics_t));

    for (i = 0; i < NGX_HTTP_AGENTS_METRICS_SERIES + 3; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_RETRIES, 1, name,
                                    "m", NULL);
    }

    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_RETRIES, 1, "p0",
                                "m", NULL);
    text = exposition(m);

    unit(has(text, RETRIES "{provider=\"p0\",model=\"m\"} 2"),
         "a full table still counts what it has");
    unit(has(text, "agents_series_dropped_total 3"), "and says what not");

    free(text);
    free(m);
}


/* One that died between the two steps of taking a place. */

static void
half(void)
{
    int                         i;
    char                       *text;
    ngx_http_agents_metrics_t  *m;

    m = calloc(1, sizeof(ngx_http_agents_metrics_t));

    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_CALLS, 1, "ok", NULL,
                                NULL);

    for (i = 0; i < NGX_HTTP_AGENTS_METRICS_SERIES; i++) {
        if (m->series[i].key != 0) {
            m->series[i].ready = 0;
            m->series[i].metric = 0;
            m->series[i].values[0][0] = '\0';
        }
    }

    text = exposition(m);
    unit(strstr(text, "agents_tool_calls_total{") == NULL,
         "a place without its name is not shown");
    free(text);

    ngx_http_agents_metrics_add(m, NGX_HTTP_AGENTS_METRIC_CALLS, 1, "ok", NULL,
                                NULL);
    text = exposition(m);
    unit(has(text, "agents_tool_calls_total{outcome=\"ok\"} 2"),
         "the next one names it, and nothing is lost");
    free(text);
    free(m);
}


static void *
work(void *data)
{
    int   i;
    char  name[8];

    for (i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof(name), "%d", i % 50);
        ngx_http_agents_metrics_add(data, NGX_HTTP_AGENTS_METRIC_CALLS, 1,
                                    name, NULL, NULL);
        ngx_http_agents_metrics_observe(data, NGX_HTTP_AGENTS_METRIC_LOOP_LAG,
                                        i, NULL, NULL);
    }

    return NULL;
}


static void
threads(void)
{
    int                         i, exact;
    char                        line[64], *text;
    pthread_t                   ids[THREADS];
    ngx_http_agents_metrics_t  *m;

    m = calloc(1, sizeof(ngx_http_agents_metrics_t));

    for (i = 0; i < THREADS; i++) {
        if (pthread_create(&ids[i], NULL, work, m) != 0) {
            printf("Bail out! no thread\n");
            exit(1);
        }
    }

    for (i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
    }

    text = exposition(m);
    exact = 0;

    for (i = 0; i < 50; i++) {
        snprintf(line, sizeof(line), "agents_tool_calls_total{outcome=\"%d\"}"
                 " %d", i, THREADS * ROUNDS / 50);
        exact += has(text, line);
    }

    unit(exact == 50, "threads that make the same series lose nothing");

    snprintf(line, sizeof(line), "agents_event_loop_lag_seconds_count %d",
             THREADS * ROUNDS);
    unit(has(text, line), "nor observations");

    free(text);
    free(m);
}


int
main(void)
{
    counters();
    histograms();
    values();
    full();
    half();
    threads();

    return unit_done();
}
