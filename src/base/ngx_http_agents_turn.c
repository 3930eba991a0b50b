
#include "ngx_http_agents_turn.h"
#include <sys/resource.h>


/* In microseconds: of the line, of the sockets, and of what comes besides. */
#define NGX_HTTP_AGENTS_TURN_SLICE  2000


static void ngx_http_agents_turn_wake(ngx_http_agents_turn_t *turn);
static void ngx_http_agents_turn_handler(ngx_event_t *ev);
static int64_t ngx_http_agents_turn_now(void);


void
ngx_http_agents_turn_init(ngx_http_agents_turn_t *turn, ngx_log_t *log)
{
    ngx_memzero(turn, sizeof(ngx_http_agents_turn_t));

    ngx_queue_init(&turn->line);

    turn->event.handler = ngx_http_agents_turn_handler;
    turn->event.data = turn;
    turn->event.log = log;
}


void
ngx_http_agents_turn_files(ngx_uint_t n, ngx_log_t *log)
{
    int            fd;
    struct rlimit  limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "getrlimit(RLIMIT_NOFILE) failed");
        return;
    }

    n = ngx_min(n, limit.rlim_cur - 1);

    /* what is first behind it is opened and closed again */

    fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int) n);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_INFO, log, ngx_errno,
                      "fcntl(F_DUPFD_CLOEXEC, %ui) failed", n);
        return;
    }

    (void) close(fd);
}


void
ngx_http_agents_turn_post(ngx_http_agents_turn_t *turn, ngx_event_t *ev)
{
    if (!ev->posted) {
        ngx_post_event(ev, &turn->line);
    }

    ngx_http_agents_turn_wake(turn);
}


/* Behind the events of a turn. */

static void
ngx_http_agents_turn_handler(ngx_event_t *ev)
{
    int64_t                  begun;
    ngx_event_t             *next;
    ngx_queue_t             *q;
    ngx_http_agents_turn_t  *turn;

    turn = ev->data;
    turn->used = 0;
    turn->begun = 0;
    turn->running = 1;

    begun = ngx_http_agents_turn_now();

    while (!ngx_queue_empty(&turn->line)) {

        if (ngx_http_agents_turn_now() - begun > NGX_HTTP_AGENTS_TURN_SLICE) {
            ngx_post_event(ev, &ngx_posted_next_events);
            break;
        }

        q = ngx_queue_head(&turn->line);
        next = ngx_queue_data(q, ngx_event_t, queue);

        ngx_delete_posted_event(next);

        next->handler(next);
    }

    turn->running = 0;
}


int64_t
ngx_http_agents_turn_begin(ngx_http_agents_turn_t *turn)
{
    if (turn->used > NGX_HTTP_AGENTS_TURN_SLICE) {
        return 0;
    }

    return ngx_http_agents_turn_now();
}


void
ngx_http_agents_turn_end(ngx_http_agents_turn_t *turn, int64_t begun)
{
    turn->used += ngx_http_agents_turn_now() - begun;

    ngx_http_agents_turn_wake(turn);
}


ngx_uint_t
ngx_http_agents_turn_over(ngx_http_agents_turn_t *turn)
{
    int64_t  now;

    now = ngx_http_agents_turn_now();

    if (turn->begun == 0) {
        turn->begun = now;
        ngx_http_agents_turn_wake(turn);
    }

    return now - turn->begun > NGX_HTTP_AGENTS_TURN_SLICE;
}


/* Its handler is where the next turn begins. */

static void
ngx_http_agents_turn_wake(ngx_http_agents_turn_t *turn)
{
    if (!turn->event.posted && !turn->running) {
        ngx_post_event(&turn->event, &ngx_posted_events);
    }
}


static int64_t
ngx_http_agents_turn_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
