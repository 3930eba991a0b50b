
/*
 * The one door to the thread pool.  A task runs "work" in a pool thread and
 * then "done" in the event loop of the worker that posted it.  At most
 * NGX_HTTP_AGENTS_TASKS_MAX are with nginx's pool at a time, the others wait
 * here in order: the pool never refuses one.  A worker that quits stays until
 * the last one is done.
 *
 * In "work": malloc only, no nginx pool, request, event or timer.
 */


#ifndef _NGX_HTTP_AGENTS_TASK_H_INCLUDED_
#define _NGX_HTTP_AGENTS_TASK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>
#include "ngx_http_agents_turn.h"


#define NGX_HTTP_AGENTS_TASKS_MAX  256


typedef struct ngx_http_agents_task_s  ngx_http_agents_task_t;

/* The owner keeps a task's memory until "done" has been called. */
struct ngx_http_agents_task_s {
    void                    (*work)(void *data, ngx_log_t *log);
    void                    (*done)(void *data);
    void                     *data;

    /* below: the door's own */
    ngx_thread_task_t         task;
    ngx_http_agents_task_t   *next;
    struct ngx_http_agents_tasks_s  *tasks;
};


/* One per worker, in its memory. */
typedef struct ngx_http_agents_tasks_s {
    ngx_http_agents_turn_t   *turn;
    ngx_thread_pool_t        *pool;
    ngx_log_t                *log;
    ngx_uint_t                posted;     /* with nginx's pool now */
    ngx_uint_t                waiting;    /* in the line below */
    ngx_uint_t                limit;      /* of posted; below MAX after nginx's
                                             pool has refused one */
    ngx_http_agents_task_t   *first;
    ngx_http_agents_task_t  **last;
    ngx_http_agents_task_t   *back;       /* their work is done */
    ngx_http_agents_task_t  **back_last;
    ngx_event_t               event;      /* for them */
    ngx_event_t               retry;
    ngx_event_t               guard;
} ngx_http_agents_tasks_t;


void ngx_http_agents_tasks_init(ngx_http_agents_tasks_t *tasks,
    ngx_http_agents_turn_t *turn, ngx_thread_pool_t *pool, ngx_log_t *log);

/* Event loop only.  Never fails and never calls "done" itself. */
void ngx_http_agents_task_post(ngx_http_agents_tasks_t *tasks,
    ngx_http_agents_task_t *task);


#endif /* _NGX_HTTP_AGENTS_TASK_H_INCLUDED_ */
