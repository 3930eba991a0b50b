
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_wait.h"


struct ngx_http_agents_wait_s {
    ngx_http_request_t               *request;  /* NULL: it has ended */
    ngx_http_agents_wait_handler_pt   handler;
    ngx_http_agents_wait_gone_pt      gone;
    void                             *data;
    void                            (*work)(void *data, ngx_log_t *log);
    ngx_http_agents_task_t            task;
    ngx_event_t                       event;    /* in the line of turns */
    ngx_http_agents_load_t           *load;
    size_t                            held;     /* in place of the request's,
                                                   once that has ended */
    unsigned                          idle:1;   /* nothing is under way */
};


static ngx_int_t ngx_http_agents_wait_watched(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
static ngx_http_agents_wait_t *ngx_http_agents_wait_create(
    ngx_http_request_t *r, ngx_http_agents_wait_handler_pt handler,
    ngx_http_agents_wait_gone_pt gone, void *data);
static void ngx_http_agents_wait_free(ngx_http_agents_wait_t *wait);
static void ngx_http_agents_wait_cleanup(void *data);
static void ngx_http_agents_wait_watch(ngx_http_request_t *r);
static void ngx_http_agents_wait_batch_done(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_wait_task_work(void *data, ngx_log_t *log);
static void ngx_http_agents_wait_task_done(void *data);
static void ngx_http_agents_wait_turn_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_agents_wait_turned(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_wait_end(ngx_http_agents_wait_t *wait,
    ngx_http_agents_db_batch_t *batch);


ngx_uint_t
ngx_http_agents_wait_full(ngx_http_request_t *r)
{
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    return amcf->worker->load.requests >= (ngx_uint_t) amcf->max_requests;
}


ngx_uint_t
ngx_http_agents_wait_crowded(ngx_http_request_t *r)
{
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    return ngx_http_agents_watch_waiting(amcf->worker->watch)
           >= (ngx_uint_t) (amcf->max_requests - amcf->max_requests / 4);
}


ngx_int_t
ngx_http_agents_wait_hold(ngx_http_request_t *r, size_t size)
{
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (!ngx_http_agents_wait_room(r, size)) {
        return NGX_BUSY;
    }

    if (ngx_http_agents_wait_watched(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->held += size;
    ctx->load->bodies += size;

    return NGX_OK;
}


/* A single body has room, however large it is. */

ngx_uint_t
ngx_http_agents_wait_room(ngx_http_request_t *r, off_t size)
{
    ngx_http_agents_load_t       *load;
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);
    load = &amcf->worker->load;

    return load->bodies == 0
           || (load->bodies <= amcf->max_bodies
               && size <= (off_t) (amcf->max_bodies - load->bodies));
}


ngx_http_agents_db_batch_t *
ngx_http_agents_wait_batch(ngx_http_request_t *r,
    ngx_http_agents_db_kind_e kind, ngx_http_agents_wait_handler_pt handler,
    ngx_http_agents_wait_gone_pt gone, void *data)
{
    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_wait_t      *wait;
    ngx_http_agents_db_batch_t  *batch;

    wait = ngx_http_agents_wait_create(r, handler, gone, data);
    if (wait == NULL) {
        return NULL;
    }

    batch = ngx_http_agents_db_batch(kind, ngx_http_agents_wait_batch_done,
                                     wait);
    if (batch == NULL) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
        ctx->wait = NULL;
        ngx_http_agents_wait_free(wait);
    }

    return batch;
}


void
ngx_http_agents_wait_submit(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    ngx_http_agents_wait_watch(r);

    ngx_http_agents_db_submit(amcf->worker->db, batch);
}


ngx_int_t
ngx_http_agents_wait_task(ngx_http_request_t *r,
    void (*work)(void *data, ngx_log_t *log),
    ngx_http_agents_wait_handler_pt handler,
    ngx_http_agents_wait_gone_pt gone, void *data)
{
    ngx_http_agents_wait_t       *wait;
    ngx_http_agents_main_conf_t  *amcf;

    wait = ngx_http_agents_wait_create(r, handler, gone, data);
    if (wait == NULL) {
        return NGX_ERROR;
    }

    wait->work = work;
    wait->task.work = ngx_http_agents_wait_task_work;
    wait->task.done = ngx_http_agents_wait_task_done;
    wait->task.data = wait;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    ngx_http_agents_wait_watch(r);

    ngx_http_agents_task_post(&amcf->worker->tasks, &wait->task);

    return NGX_OK;
}


ngx_int_t
ngx_http_agents_wait_idle(ngx_http_request_t *r,
    ngx_http_agents_wait_handler_pt handler, void *data)
{
    ngx_http_agents_wait_t  *wait;

    wait = ngx_http_agents_wait_create(r, handler, NULL, data);
    if (wait == NULL) {
        return NGX_ERROR;
    }

    wait->idle = 1;

    ngx_http_agents_wait_watch(r);

    return NGX_OK;
}


ngx_int_t
ngx_http_agents_wait_turn(ngx_http_request_t *r)
{
    ngx_http_agents_turn_t       *turn;
    ngx_http_agents_wait_t       *wait;
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);
    turn = &amcf->worker->turn;

    if (!ngx_http_agents_turn_over(turn)) {
        return NGX_DECLINED;
    }

    wait = ngx_http_agents_wait_create(r, ngx_http_agents_wait_turned, NULL,
                                       NULL);
    if (wait == NULL) {
        return NGX_ERROR;
    }

    wait->idle = 1;

    wait->event.handler = ngx_http_agents_wait_turn_handler;
    wait->event.data = wait;
    wait->event.log = r->connection->log;

    ngx_http_agents_wait_watch(r);

    ngx_http_agents_turn_post(turn, &wait->event);

    return NGX_DONE;
}


ngx_uint_t
ngx_http_agents_wait_wake(ngx_http_request_t *r)
{
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx->wait == NULL || !ctx->wait->idle) {
        return 0;
    }

    ngx_http_agents_wait_end(ctx->wait, NULL);

    return 1;
}


static ngx_http_agents_wait_t *
ngx_http_agents_wait_create(ngx_http_request_t *r,
    ngx_http_agents_wait_handler_pt handler,
    ngx_http_agents_wait_gone_pt gone, void *data)
{
    ngx_http_agents_ctx_t   *ctx;
    ngx_http_agents_wait_t  *wait;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ngx_http_agents_wait_watched(r, ctx) != NGX_OK) {
        return NULL;
    }

    wait = ngx_calloc(sizeof(ngx_http_agents_wait_t), r->connection->log);
    if (wait == NULL) {
        return NULL;
    }

    wait->request = r;
    wait->handler = handler;
    wait->gone = gone;
    wait->data = data;
    wait->load = ctx->load;

    wait->load->requests++;

    ctx->wait = wait;

    return wait;
}


/*
 * A request's cleanup, not its pool's: it is called as soon as the request is
 * terminated, and once for all that it will wait for.
 */

static ngx_int_t
ngx_http_agents_wait_watched(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_http_cleanup_t           *cln;
    ngx_http_agents_main_conf_t  *amcf;

    if (ctx->watched) {
        return NGX_OK;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_agents_wait_cleanup;
    cln->data = ctx;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    ctx->load = &amcf->worker->load;
    ctx->watched = 1;

    return NGX_OK;
}


static void
ngx_http_agents_wait_free(ngx_http_agents_wait_t *wait)
{
    wait->load->requests--;
    wait->load->bodies -= wait->held;

    if (wait->event.posted) {
        ngx_delete_posted_event(&wait->event);
    }

    ngx_free(wait);
}


static void
ngx_http_agents_wait_cleanup(void *data)
{
    ngx_http_agents_ctx_t *ctx = data;

    if (ctx->wait == NULL || ctx->wait->idle) {
        ctx->load->bodies -= ctx->held;

        if (ctx->wait != NULL) {
            ngx_http_agents_wait_free(ctx->wait);
        }

    } else {

        /* what is under way has a copy of the body still */

        ctx->wait->held = ctx->held;
        ctx->wait->request = NULL;
    }

    ctx->held = 0;
    ctx->wait = NULL;
}


static void
ngx_http_agents_wait_watch(ngx_http_request_t *r)
{
    r->write_event_handler = ngx_http_request_empty_handler;

    /* while a body is being discarded its own handler sees the client go */

    if (r == r->main && !r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }
}


static void
ngx_http_agents_wait_batch_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_wait_t *wait = data;

    if (wait->request == NULL && wait->gone == NULL) {
        ngx_http_agents_db_batch_free(batch);
        ngx_http_agents_wait_free(wait);
        return;
    }

    ngx_http_agents_wait_end(wait, batch);
}


/* In a pool thread. */

static void
ngx_http_agents_wait_task_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_wait_t *wait = data;

    wait->work(wait->data, log);
}


static void
ngx_http_agents_wait_task_done(void *data)
{
    ngx_http_agents_wait_end(data, NULL);
}


static void
ngx_http_agents_wait_turn_handler(ngx_event_t *ev)
{
    ngx_http_agents_wait_end(ev->data, NULL);
}


static ngx_int_t
ngx_http_agents_wait_turned(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    return NGX_DECLINED;
}


static void
ngx_http_agents_wait_end(ngx_http_agents_wait_t *wait,
    ngx_http_agents_db_batch_t *batch)
{
    void                             *data;
    ngx_int_t                         rc;
    ngx_connection_t                 *c;
    ngx_http_request_t               *r;
    ngx_http_agents_ctx_t            *ctx;
    ngx_http_agents_wait_gone_pt      gone;
    ngx_http_agents_wait_handler_pt   handler;

    r = wait->request;
    handler = wait->handler;
    gone = wait->gone;
    data = wait->data;

    ngx_http_agents_wait_free(wait);

    if (r == NULL) {
        gone(batch, data);
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->wait = NULL;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (r->read_event_handler == ngx_http_test_reading) {
        r->read_event_handler = ngx_http_block_reading;
    }

    rc = handler(r, batch, data);

    if (rc == NGX_DECLINED) {
        r->write_event_handler = ngx_http_core_run_phases;
        ngx_http_core_run_phases(r);

    } else if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}
