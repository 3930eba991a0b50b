
/*
 * The one way in which a request waits: for a batch of the store, for work in
 * a pool thread, or to be woken.  What is under way lives outside of the
 * request's pool; the request's end lets go of it, so that neither waits for
 * the other and nothing is touched after it was freed.  A request waits for
 * one thing at a time, and meanwhile notices that its client has gone.
 */


#ifndef _NGX_HTTP_AGENTS_WAIT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_WAIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"


/*
 * The request goes on.  The batch (NULL after a task) is the callee's to free.
 * What is returned becomes of the request:
 *
 *     NGX_DONE       it waits again
 *     NGX_DECLINED   its phases are run on
 *     other          it is finalized with it
 */
typedef ngx_int_t (*ngx_http_agents_wait_handler_pt)(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);

/*
 * Called in place of the handler if the request has ended: frees the batch and
 * "data".  Without one the batch is freed, and "data" is not touched: it may be
 * of the request's pool.
 */
typedef void (*ngx_http_agents_wait_gone_pt)(ngx_http_agents_db_batch_t *batch,
    void *data);


/*
 * Whether the worker has as many requests that wait as it may have: a new one
 * is refused then.  Those under way are not asked.
 */
ngx_uint_t ngx_http_agents_wait_full(ngx_http_request_t *r);

/* The same for those that wait for a change of a run, long polls and streams of
 * events: they leave a quarter to the others. */
ngx_uint_t ngx_http_agents_wait_crowded(ngx_http_request_t *r);

/*
 * Counts the bytes of the request's body as held in memory, until the request
 * has ended and so has what it waited for.  NGX_BUSY: there is no room for it
 * beside those of other requests; NGX_ERROR without memory.
 */
ngx_int_t ngx_http_agents_wait_hold(ngx_http_request_t *r, size_t size);

/* Whether "hold" would find room for it now. */
ngx_uint_t ngx_http_agents_wait_room(ngx_http_request_t *r, off_t size);

/*
 * A batch that the request will wait for: to be filled, and submitted.  NULL
 * without memory: neither callback is called then.
 */
ngx_http_agents_db_batch_t *ngx_http_agents_wait_batch(ngx_http_request_t *r,
    ngx_http_agents_db_kind_e kind, ngx_http_agents_wait_handler_pt handler,
    ngx_http_agents_wait_gone_pt gone, void *data);
void ngx_http_agents_wait_submit(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch);

/*
 * Posts "work" for a pool thread; "data" is malloc'd and touches nothing of
 * the request, "gone" has to be there.  NGX_ERROR without memory: no callback
 * is called then.
 */
ngx_int_t ngx_http_agents_wait_task(ngx_http_request_t *r,
    void (*work)(void *data, ngx_log_t *log),
    ngx_http_agents_wait_handler_pt handler,
    ngx_http_agents_wait_gone_pt gone, void *data);

/*
 * Waits until ngx_http_agents_wait_wake is called, if the request is still
 * there: whoever calls that leaves when the request's end does.  NGX_ERROR
 * without memory.
 */
ngx_int_t ngx_http_agents_wait_idle(ngx_http_request_t *r,
    ngx_http_agents_wait_handler_pt handler, void *data);

/*
 * Waits where the event loop's turn has seen to requests for long enough; its
 * phases are run on then.  NGX_DECLINED: it does not wait; NGX_DONE: it does;
 * NGX_ERROR without memory.
 */
ngx_int_t ngx_http_agents_wait_turn(ngx_http_request_t *r);

/* The handler is called from within, with no batch; 0: r did not wait so. */
ngx_uint_t ngx_http_agents_wait_wake(ngx_http_request_t *r);


#endif /* _NGX_HTTP_AGENTS_WAIT_H_INCLUDED_ */
