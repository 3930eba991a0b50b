
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client.h"


/* The conversations are made in advance, with ids that count. */
#define BENCH_CONVERSATION  "%08x-0000-7000-8000-%012" PRIx64

/* Polls come no closer than this. */
#define BENCH_POLL_MIN      200


typedef struct bench_runs_ctx_s  bench_runs_ctx_t;


typedef enum {
    BENCH_RUN_POSTING = 0,
    BENCH_RUN_POLLING
} bench_run_state_e;


/* A place for one run at a time. */
typedef struct bench_run_s  bench_run_t;

struct bench_run_s {
    bench_runs_ctx_t   *ctx;
    bench_run_state_e   state;
    int64_t             n;          /* of its conversation */
    int64_t             posted;
    int64_t             sent;
    int64_t             polls;
    bench_timer_t       timer;
    bench_run_t        *next;       /* in line for a connection */
    char                id[64];
};


typedef struct {
    bench_runs_ctx_t   *ctx;
    bench_conn_t       *conn;
    bench_run_t        *run;        /* whose answer it waits for */
} bench_channel_t;


struct bench_runs_ctx_s {
    bench_runs_t       *runs;
    bench_loop_t       *loop;
    bench_channel_t    *channels;
    bench_run_t        *first;      /* in line */
    bench_run_t       **last;
    int64_t             next;
    int64_t             active;
    int64_t             expected;   /* of a run, learnt */
};


static void bench_run_begin(bench_run_t *run);
static void bench_run_wake(bench_timer_t *timer);
static void bench_run_queue(bench_run_t *run);
static void bench_runs_serve(bench_runs_ctx_t *ctx);
static void bench_run_send(bench_run_t *run, bench_channel_t *channel);
static int bench_run_post(bench_run_t *run, char *text, size_t size);
static void bench_run_handler(bench_conn_t *conn,
    const bench_message_t *message);
static void bench_run_accepted(bench_run_t *run,
    const bench_message_t *message);
static void bench_run_seen(bench_run_t *run, const bench_message_t *message);
static void bench_run_end(bench_run_t *run);
static void bench_runs_fault(bench_runs_t *runs,
    const bench_message_t *message);
static int bench_status(const bench_message_t *message);


int
bench_runs(bench_runs_t *runs, bench_loop_t *loop)
{
    int                rc;
    int64_t            i;
    bench_run_t       *places;
    bench_runs_ctx_t   ctx;

    memset(&ctx, 0, sizeof(bench_runs_ctx_t));

    ctx.runs = runs;
    ctx.loop = loop;
    ctx.last = &ctx.first;
    ctx.expected = runs->expected;

    ctx.channels = bench_alloc((size_t) runs->connections
                               * sizeof(bench_channel_t));
    memset(ctx.channels, 0, (size_t) runs->connections
                            * sizeof(bench_channel_t));

    for (i = 0; i < runs->connections; i++) {
        ctx.channels[i].ctx = &ctx;
        ctx.channels[i].conn = bench_connect(loop, runs->port,
                                             bench_run_handler,
                                             &ctx.channels[i]);
        if (ctx.channels[i].conn == NULL) {
            return -1;
        }
    }

    places = bench_alloc((size_t) runs->in_flight * sizeof(bench_run_t));
    memset(places, 0, (size_t) runs->in_flight * sizeof(bench_run_t));

    runs->begun = bench_now();

    for (i = 0; i < runs->in_flight && i < runs->runs; i++) {
        places[i].ctx = &ctx;
        places[i].timer.handler = bench_run_wake;
        places[i].timer.data = &places[i];
        ctx.active++;
        bench_run_begin(&places[i]);
    }

    rc = bench_loop_run(loop);

    free(places);
    free(ctx.channels);

    return rc;
}


static void
bench_run_begin(bench_run_t *run)
{
    bench_runs_ctx_t  *ctx;

    ctx = run->ctx;

    if (ctx->next == ctx->runs->runs
        || bench_now() - ctx->runs->begun > ctx->runs->duration)
    {
        if (--ctx->active == 0) {
            bench_loop_stop(ctx->loop);
        }

        return;
    }

    run->n = ctx->next++;
    run->state = BENCH_RUN_POSTING;

    bench_run_queue(run);
}


static void
bench_run_wake(bench_timer_t *timer)
{
    bench_run_t *run = timer->data;

    if (run->state == BENCH_RUN_POSTING) {
        bench_run_begin(run);

    } else {
        bench_run_queue(run);
    }
}


static void
bench_run_queue(bench_run_t *run)
{
    bench_runs_ctx_t  *ctx;

    ctx = run->ctx;

    run->next = NULL;
    *ctx->last = run;
    ctx->last = &run->next;

    bench_runs_serve(ctx);
}


static void
bench_runs_serve(bench_runs_ctx_t *ctx)
{
    int64_t       i;
    bench_run_t  *run;

    for (i = 0; i < ctx->runs->connections && ctx->first != NULL; i++) {

        if (ctx->channels[i].conn == NULL || ctx->channels[i].run != NULL) {
            continue;
        }

        run = ctx->first;
        ctx->first = run->next;

        if (ctx->first == NULL) {
            ctx->last = &ctx->first;
        }

        bench_run_send(run, &ctx->channels[i]);
    }
}


static void
bench_run_send(bench_run_t *run, bench_channel_t *channel)
{
    int    n;
    char   text[4096];

    run->sent = bench_now();
    channel->run = run;

    if (run->state == BENCH_RUN_POSTING) {
        run->posted = run->sent;
        n = bench_run_post(run, text, sizeof(text));

    } else {
        run->polls++;
        run->ctx->runs->polls++;
        n = snprintf(text, sizeof(text),
                     "GET /agents/runs/%s HTTP/1.1\r\nHost: bench\r\n"
                     "Authorization: Bearer %s\r\n\r\n",
                     run->id, run->ctx->runs->token);
    }

    bench_send(channel->conn, text, (size_t) n);
}


static int
bench_run_post(bench_run_t *run, char *text, size_t size)
{
    int            len;
    char           body[2048], op[64];
    const char    *at;
    bench_runs_t  *runs;

    runs = run->ctx->runs;
    at = strstr(runs->body, "%OP%");

    snprintf(op, sizeof(op), "%08x-0000-4000-8000-%012" PRIx64, runs->set,
             run->n);
    len = snprintf(body, sizeof(body), "%.*s%s%s", (int) (at - runs->body),
                   runs->body, op, at + 4);

    return snprintf(text, size,
                    "POST /agents/conversations/" BENCH_CONVERSATION
                    "/runs HTTP/1.1\r\nHost: bench\r\n"
                    "Authorization: Bearer %s\r\n"
                    "Content-Type: application/json\r\n"
                    "Content-Length: %d\r\n\r\n%s",
                    runs->set, run->n, runs->token, len, body);
}


static void
bench_run_handler(bench_conn_t *conn, const bench_message_t *message)
{
    bench_channel_t *channel = conn->data;

    bench_run_t       *run;
    bench_runs_ctx_t  *ctx;

    ctx = channel->ctx;
    run = channel->run;
    channel->run = NULL;

    if (message == NULL) {

        /* nginx ends a connection after so many requests, or for good */

        channel->conn = bench_connect(ctx->loop, ctx->runs->port,
                                      bench_run_handler, channel);
        if (run != NULL || channel->conn == NULL) {
            snprintf(ctx->runs->fault, sizeof(ctx->runs->fault),
                     "a connection was closed");
            ctx->runs->failed++;
            bench_loop_stop(ctx->loop);
        }

        return;
    }

    if (run == NULL) {
        return;
    }

    if (run->state == BENCH_RUN_POSTING) {
        bench_run_accepted(run, message);

    } else {
        bench_run_seen(run, message);
    }

    bench_runs_serve(ctx);
}


static void
bench_run_accepted(bench_run_t *run, const bench_message_t *message)
{
    int64_t            now, left;
    const char        *id;
    bench_runs_t      *runs;
    bench_runs_ctx_t  *ctx;

    ctx = run->ctx;
    runs = ctx->runs;
    now = bench_now();
    id = strstr(message->body, "\"id\":\"");

    if (bench_status(message) != 202 || id == NULL) {
        bench_runs_fault(runs, message);
        bench_run_end(run);
        return;
    }

    bench_samples_add(&runs->post, now - run->sent);

    runs->accepted++;
    runs->last_accepted = now;

    if (runs->accepted - runs->completed - runs->failed > runs->peak) {
        runs->peak = runs->accepted - runs->completed - runs->failed;
    }

    snprintf(run->id, sizeof(run->id), "%.36s", id + 6);
    run->state = BENCH_RUN_POLLING;
    run->polls = 0;

    /* the first poll is to find it done, or all but done */

    left = ctx->expected - (now - run->posted);
    bench_timer_add(ctx->loop, &run->timer, left > 0 ? left : 0);
}


static void
bench_run_seen(bench_run_t *run, const bench_message_t *message)
{
    int64_t            now, pause;
    const char        *status;
    bench_runs_t      *runs;
    bench_runs_ctx_t  *ctx;

    ctx = run->ctx;
    runs = ctx->runs;
    now = bench_now();
    status = strstr(message->body, "\"status\":\"");

    bench_samples_add(&runs->get, now - run->sent);

    if (bench_status(message) != 200 || status == NULL) {
        bench_runs_fault(runs, message);
        bench_run_end(run);
        return;
    }

    status += 10;

    if (strncmp(status, "pending", 7) == 0
        || strncmp(status, "running", 7) == 0)
    {
        pause = ctx->expected / 5;
        bench_timer_add(ctx->loop, &run->timer,
                        pause < BENCH_POLL_MIN ? BENCH_POLL_MIN : pause);
        return;
    }

    if (strncmp(status, "completed", 9) != 0) {
        bench_runs_fault(runs, message);
        bench_run_end(run);
        return;
    }

    runs->completed++;
    runs->in_time += (now - runs->begun <= runs->duration);
    runs->last_completed = now;

    bench_samples_add(&runs->run, now - run->posted);

    /* a first poll that finds it done cannot tell for how long: try sooner */

    if (run->polls == 1) {
        ctx->expected -= ctx->expected / 16;

    } else {
        ctx->expected += (now - run->posted - ctx->expected) / 8;
    }

    bench_run_end(run);
}


static void
bench_run_end(bench_run_t *run)
{
    run->state = BENCH_RUN_POSTING;

    bench_timer_add(run->ctx->loop, &run->timer, run->ctx->runs->pause);
}


static void
bench_runs_fault(bench_runs_t *runs, const bench_message_t *message)
{
    if (runs->failed++ == 0) {
        snprintf(runs->fault, sizeof(runs->fault), "%.12s %.490s",
                 message->head + 9, message->body);
    }
}


static int
bench_status(const bench_message_t *message)
{
    return atoi(message->head + sizeof("HTTP/1.1 ") - 1);
}


/* ---- GETs at a steady pace ---- */

typedef struct {
    bench_gets_t   *gets;
    bench_conn_t   *conn;
    bench_timer_t   timer;
    int64_t         end;
    int64_t         sent;
} bench_get_t;


static void bench_get_send(bench_timer_t *timer);
static void bench_get_handler(bench_conn_t *conn,
    const bench_message_t *message);
static int64_t bench_wall(void);


int
bench_gets(bench_gets_t *gets, bench_loop_t *loop)
{
    int64_t       i;
    bench_get_t  *all;

    all = bench_alloc((size_t) gets->connections * sizeof(bench_get_t));

    for (i = 0; i < gets->connections; i++) {
        all[i].gets = gets;
        all[i].timer.handler = bench_get_send;
        all[i].timer.data = &all[i];
        all[i].end = bench_now() + gets->duration;
        all[i].conn = bench_connect(loop, gets->port, bench_get_handler,
                                    &all[i]);
        if (all[i].conn == NULL) {
            return -1;
        }

        bench_timer_add(loop, &all[i].timer,
                        gets->interval * i / gets->connections);
    }

    return bench_loop_run(loop);
}


static void
bench_get_send(bench_timer_t *timer)
{
    bench_get_t *get = timer->data;

    int   n;
    char  text[1024];

    get->sent = bench_now();

    if (get->sent > get->end) {
        bench_loop_stop(get->conn->loop);
        return;
    }

    n = snprintf(text, sizeof(text),
                 "GET %s HTTP/1.1\r\nHost: bench\r\n"
                 "Authorization: Bearer %s\r\n\r\n",
                 get->gets->path, get->gets->token);

    bench_send(get->conn, text, (size_t) n);
}


static void
bench_get_handler(bench_conn_t *conn, const bench_message_t *message)
{
    bench_get_t *get = conn->data;

    int64_t  took, left;

    if (message == NULL || bench_status(message) != 200) {
        get->gets->failed++;
        bench_loop_stop(conn->loop);
        return;
    }

    took = bench_now() - get->sent;

    printf("%" PRId64 " %" PRId64 "\n", bench_wall() - took, took);

    left = get->gets->interval - took;
    bench_timer_add(conn->loop, &get->timer, left > 0 ? left : 0);
}


static int64_t
bench_wall(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
