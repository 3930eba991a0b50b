
#include "ngx_http_agents_task.h"


/*
 * How long to wait before a task is offered again, where nginx's pool took
 * none although none of ours is in it: others fill it, or it is very small.
 */
#define NGX_HTTP_AGENTS_TASKS_RETRY  20

/*
 * While a task is out, a timer that is not cancelable keeps an exiting worker:
 * a request that waits for it has no timer of its own.
 */
#define NGX_HTTP_AGENTS_TASKS_GUARD  10000


static void ngx_http_agents_tasks_send(ngx_http_agents_tasks_t *tasks);
static void ngx_http_agents_tasks_retry_handler(ngx_event_t *ev);
static void ngx_http_agents_tasks_guard_handler(ngx_event_t *ev);
static void ngx_http_agents_task_work(void *data, ngx_log_t *log);
static void ngx_http_agents_task_back_handler(ngx_event_t *ev);
static void ngx_http_agents_tasks_event_handler(ngx_event_t *ev);


void
ngx_http_agents_tasks_init(ngx_http_agents_tasks_t *tasks,
    ngx_http_agents_turn_t *turn, ngx_thread_pool_t *pool, ngx_log_t *log)
{
    ngx_memzero(tasks, sizeof(ngx_http_agents_tasks_t));

    tasks->turn = turn;
    tasks->pool = pool;
    tasks->log = log;
    tasks->limit = NGX_HTTP_AGENTS_TASKS_MAX;
    tasks->last = &tasks->first;
    tasks->back_last = &tasks->back;

    tasks->event.handler = ngx_http_agents_tasks_event_handler;
    tasks->event.data = tasks;
    tasks->event.log = log;

    tasks->retry.handler = ngx_http_agents_tasks_retry_handler;
    tasks->retry.data = tasks;
    tasks->retry.log = log;

    tasks->guard.handler = ngx_http_agents_tasks_guard_handler;
    tasks->guard.data = tasks;
    tasks->guard.log = log;
}


void
ngx_http_agents_task_post(ngx_http_agents_tasks_t *tasks,
    ngx_http_agents_task_t *task)
{
    ngx_memzero(&task->task, sizeof(ngx_thread_task_t));

    task->task.handler = ngx_http_agents_task_work;
    task->task.ctx = task;
    task->task.event.handler = ngx_http_agents_task_back_handler;
    task->task.event.data = task;
    task->task.event.log = tasks->log;

    task->tasks = tasks;
    task->next = NULL;

    *tasks->last = task;
    tasks->last = &task->next;
    tasks->waiting++;

    tasks->guard.cancelable = 0;

    if (!tasks->guard.timer_set) {
        ngx_add_timer(&tasks->guard, NGX_HTTP_AGENTS_TASKS_GUARD);
    }

    ngx_http_agents_tasks_send(tasks);
}


/*
 * Hands the line to nginx's pool, as far as it may go.  A refusal (max_queue
 * is the operator's, and other users of the pool count in it) is logged by
 * nginx; it lowers the limit to what was taken, until the line is empty, so
 * that the same refusal is not provoked again by every task that returns.
 */

static void
ngx_http_agents_tasks_send(ngx_http_agents_tasks_t *tasks)
{
    ngx_http_agents_task_t  *task;

    if (tasks->retry.timer_set) {
        return;
    }

    while (tasks->first != NULL && tasks->posted < tasks->limit) {

        task = tasks->first;

        if (ngx_thread_task_post(tasks->pool, &task->task) != NGX_OK) {

            /* it may have been marked before the failure */
            task->task.event.active = 0;

            tasks->limit = ngx_max(tasks->posted, 1);

            if (tasks->posted == 0) {
                ngx_add_timer(&tasks->retry, NGX_HTTP_AGENTS_TASKS_RETRY);
            }

            return;
        }

        tasks->first = task->next;
        tasks->waiting--;
        tasks->posted++;
    }

    if (tasks->first == NULL) {
        tasks->last = &tasks->first;
        tasks->limit = NGX_HTTP_AGENTS_TASKS_MAX;
    }
}


static void
ngx_http_agents_tasks_retry_handler(ngx_event_t *ev)
{
    ngx_http_agents_tasks_send(ev->data);
}


static void
ngx_http_agents_tasks_guard_handler(ngx_event_t *ev)
{
    ngx_http_agents_tasks_t  *tasks = ev->data;

    if (tasks->posted || tasks->waiting || tasks->back) {
        ngx_add_timer(ev, NGX_HTTP_AGENTS_TASKS_GUARD);
    }
}


static void
ngx_http_agents_task_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_task_t  *task = data;

    task->work(task->data, log);
}


/* nginx calls this for all that are back at once: what they lead to is done
 * in slices. */

static void
ngx_http_agents_task_back_handler(ngx_event_t *ev)
{
    ngx_http_agents_task_t   *task = ev->data;

    ngx_http_agents_tasks_t  *tasks;

    tasks = task->tasks;
    tasks->posted--;

    task->next = NULL;

    *tasks->back_last = task;
    tasks->back_last = &task->next;

    ngx_http_agents_turn_post(tasks->turn, &tasks->event);

    /* the threads have work meanwhile */

    ngx_http_agents_tasks_send(tasks);
}


static void
ngx_http_agents_tasks_event_handler(ngx_event_t *ev)
{
    ngx_http_agents_tasks_t  *tasks = ev->data;

    ngx_http_agents_task_t   *task;

    task = tasks->back;
    tasks->back = task->next;

    if (tasks->back == NULL) {
        tasks->back_last = &tasks->back;

    } else {
        ngx_http_agents_turn_post(tasks->turn, ev);
    }

    /* it may free the task */

    task->done(task->data);

    /* nginx looks at this when it would leave; the timer itself may stay */

    tasks->guard.cancelable = (tasks->posted == 0 && tasks->waiting == 0
                               && tasks->back == NULL);
}
