
/*
 * Tells for how long a worker's event loop was held: a timer of 1 ms that is
 * armed anew whenever it fires measures by how much it came late.  The timer
 * is the kernel's (timerfd), since nginx's clock may have steps of 4 ms.
 *
 *     location = /probe { bench_probe; }
 *
 * A GET answers what was seen since the last one, of the worker that takes it,
 * as JSON; times are in microseconds, "over" counts by whole milliseconds:
 *
 *     late    all of it
 *     held    without the time that the worker waited for a core: the loop's
 *             own doing, at work or blocked
 *     busy    processor time from one tick to the next
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sys/timerfd.h>


#define NGX_HTTP_BENCH_PROBE_TICK  1000     /* microseconds */
#define NGX_HTTP_BENCH_PROBE_LEN   1024     /* of an answer, at most */


typedef struct {
    const char  *name;
    int64_t      max;
    ngx_uint_t   over[6];
} ngx_http_bench_probe_times_t;


/* One for each process: a worker's is written to after the fork alone. */
typedef struct {
    ngx_fd_t                       timer;
    ngx_fd_t                       schedstat;
    int64_t                        due;
    int64_t                        waited;      /* for a core, so far */
    int64_t                        used;        /* of a core, so far */
    ngx_uint_t                     ticks;
    ngx_http_bench_probe_times_t   late;
    ngx_http_bench_probe_times_t   held;
    ngx_http_bench_probe_times_t   busy;
    ngx_uint_t                     on;          /* a location asks for it */
} ngx_http_bench_probe_conf_t;


static void *ngx_http_bench_probe_create_conf(ngx_conf_t *cf);
static char *ngx_http_bench_probe(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_bench_probe_init_process(ngx_cycle_t *cycle);
static void ngx_http_bench_probe_arm(ngx_http_bench_probe_conf_t *pcf);
static void ngx_http_bench_probe_tick_handler(ngx_event_t *ev);
static int64_t ngx_http_bench_probe_clock(clockid_t clock);
static int64_t ngx_http_bench_probe_run_delay(ngx_fd_t fd);
static void ngx_http_bench_probe_add(ngx_http_bench_probe_times_t *times,
    int64_t value);
static ngx_int_t ngx_http_bench_probe_handler(ngx_http_request_t *r);
static u_char *ngx_http_bench_probe_times(u_char *p, u_char *last,
    const ngx_http_bench_probe_times_t *times);


static const int64_t  ngx_http_bench_probe_bounds[] = {
    1000, 2000, 5000, 10000, 20000, 50000
};


static ngx_command_t  ngx_http_bench_probe_commands[] = {

    { ngx_string("bench_probe"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_bench_probe,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_bench_probe_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_bench_probe_create_conf,      /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_bench_probe_module = {
    NGX_MODULE_V1,
    &ngx_http_bench_probe_module_ctx,      /* module context */
    ngx_http_bench_probe_commands,         /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_bench_probe_init_process,     /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_bench_probe_create_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_bench_probe_conf_t));
}


static char *
ngx_http_bench_probe(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_bench_probe_conf_t *pcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    pcf->on = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_bench_probe_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_bench_probe_init_process(ngx_cycle_t *cycle)
{
    ngx_connection_t             *c;
    ngx_http_bench_probe_conf_t  *pcf;

    pcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_bench_probe_module);

    if (pcf == NULL || !pcf->on) {
        return NGX_OK;
    }

    pcf->late.name = "late";
    pcf->held.name = "held";
    pcf->busy.name = "busy";

    pcf->schedstat = open("/proc/thread-self/schedstat", O_RDONLY|O_CLOEXEC);
    pcf->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK|TFD_CLOEXEC);

    if (pcf->schedstat == NGX_INVALID_FILE || pcf->timer == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "the probe has no timer");
        return NGX_ERROR;
    }

    c = ngx_get_connection(pcf->timer, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = pcf;
    c->read->handler = ngx_http_bench_probe_tick_handler;
    c->read->log = cycle->log;
    c->write->log = cycle->log;

    /* one that stays open at the worker's end, and is not said to leak */

    c->read->channel = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_LEVEL_EVENT) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_bench_probe_arm(pcf);

    return NGX_OK;
}


static void
ngx_http_bench_probe_arm(ngx_http_bench_probe_conf_t *pcf)
{
    struct itimerspec  its;

    pcf->waited = ngx_http_bench_probe_run_delay(pcf->schedstat);
    pcf->used = ngx_http_bench_probe_clock(CLOCK_THREAD_CPUTIME_ID);
    pcf->due = ngx_http_bench_probe_clock(CLOCK_MONOTONIC)
               + NGX_HTTP_BENCH_PROBE_TICK;

    ngx_memzero(&its, sizeof(struct itimerspec));

    its.it_value.tv_sec = pcf->due / 1000000;
    its.it_value.tv_nsec = pcf->due % 1000000 * 1000;

    (void) timerfd_settime(pcf->timer, TFD_TIMER_ABSTIME, &its, NULL);
}


static void
ngx_http_bench_probe_tick_handler(ngx_event_t *ev)
{
    int64_t                       late, waited, used;
    uint64_t                      fired;
    ngx_connection_t             *c;
    ngx_http_bench_probe_conf_t  *pcf;

    c = ev->data;
    pcf = c->data;

    if (read(pcf->timer, &fired, sizeof(uint64_t)) != sizeof(uint64_t)) {
        return;
    }

    waited = pcf->waited;
    used = pcf->used;

    late = ngx_http_bench_probe_clock(CLOCK_MONOTONIC) - pcf->due;

    ngx_http_bench_probe_arm(pcf);

    pcf->ticks++;

    ngx_http_bench_probe_add(&pcf->late, late);
    ngx_http_bench_probe_add(&pcf->held, late - (pcf->waited - waited));
    ngx_http_bench_probe_add(&pcf->busy, pcf->used - used);
}


static int64_t
ngx_http_bench_probe_clock(clockid_t clock)
{
    struct timespec  ts;

    clock_gettime(clock, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


/* The second number: nanoseconds in which it could run and did not. */

static int64_t
ngx_http_bench_probe_run_delay(ngx_fd_t fd)
{
    char      text[128], *p;
    ssize_t   n;

    n = pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0) {
        return 0;
    }

    text[n] = '\0';
    p = strchr(text, ' ');

    return p ? strtoll(p, NULL, 10) / 1000 : 0;
}


static void
ngx_http_bench_probe_add(ngx_http_bench_probe_times_t *times, int64_t value)
{
    ngx_uint_t  i;

    times->max = ngx_max(times->max, value);

    for (i = 0; i < sizeof(times->over) / sizeof(times->over[0]); i++) {
        if (value > ngx_http_bench_probe_bounds[i]) {
            times->over[i]++;
        }
    }
}


static ngx_int_t
ngx_http_bench_probe_handler(ngx_http_request_t *r)
{
    u_char                       *p, *last;
    ngx_int_t                     rc;
    ngx_str_t                     type;
    ngx_http_complex_value_t      cv;
    ngx_http_bench_probe_conf_t  *pcf;

    pcf = ngx_http_get_module_main_conf(r, ngx_http_bench_probe_module);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    p = ngx_pnalloc(r->pool, NGX_HTTP_BENCH_PROBE_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    cv.value.data = p;
    last = p + NGX_HTTP_BENCH_PROBE_LEN;

    p = ngx_slprintf(p, last, "{\"ticks\": %ui", pcf->ticks);
    p = ngx_http_bench_probe_times(p, last, &pcf->late);
    p = ngx_http_bench_probe_times(p, last, &pcf->held);
    p = ngx_http_bench_probe_times(p, last, &pcf->busy);
    p = ngx_slprintf(p, last, "}\n");

    cv.value.len = p - cv.value.data;

    pcf->ticks = 0;
    pcf->late.max = pcf->held.max = pcf->busy.max = 0;
    ngx_memzero(pcf->late.over, sizeof(pcf->late.over));
    ngx_memzero(pcf->held.over, sizeof(pcf->held.over));
    ngx_memzero(pcf->busy.over, sizeof(pcf->busy.over));

    ngx_str_set(&type, "application/json");

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}


static u_char *
ngx_http_bench_probe_times(u_char *p, u_char *last,
    const ngx_http_bench_probe_times_t *times)
{
    ngx_uint_t  i;

    p = ngx_slprintf(p, last, ", \"%s\": {\"max\": %L, \"over\": {",
                     times->name, times->max);

    for (i = 0; i < sizeof(times->over) / sizeof(times->over[0]); i++) {
        p = ngx_slprintf(p, last, "%s\"%L\": %ui", i ? ", " : "",
                         ngx_http_bench_probe_bounds[i] / 1000,
                         times->over[i]);
    }

    return ngx_slprintf(p, last, "}}");
}
