
/*
 * A POST of a run while it is decided upon: what it works with, outside of
 * the request, which may end at any time; the checks that need a pool thread;
 * and what becomes of a write whose fate is unknown.
 */


#ifndef _NGX_HTTP_AGENTS_START_H_INCLUDED_
#define _NGX_HTTP_AGENTS_START_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_body.h"
#include "ngx_http_agents_http.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_store.h"


typedef struct {
    ngx_http_agents_worker_t          *worker;
    ngx_http_agents_scope_t            scope;
    ngx_http_agents_owner_t            owner;           /* malloc'd */
    char                               conversation_id[
                                           NGX_HTTP_AGENTS_UUID_LEN + 1];
    char                               run_id[NGX_HTTP_AGENTS_UUID_LEN + 1];
    char                               job_id[NGX_HTTP_AGENTS_UUID_LEN + 1];
    ngx_http_agents_body_run_t        *body;
    char                              *traceparent;     /* malloc'd; NULL: no */
    char                              *tracestate;      /* valid one was sent */
    ngx_uint_t                         attempts;        /* to write it */
    unsigned                           unknown:1;       /* a write may have
                                                           been committed */

    /* what it is decided upon; the records live in the batches */
    ngx_http_agents_db_batch_t        *state;
    ngx_http_agents_conversation_t     conversation;
    int64_t                            active;          /* the user's runs */
    size_t                             insert;          /* the statement that
                                                           writes it */
    ngx_http_agents_db_batch_t        *calls;           /* NULL: none wait */

    /* what the checks made of it */
    ngx_int_t                          rc;              /* NGX_OK,
                                                           NGX_DECLINED: with
                                                           faults; NGX_ABORT:
                                                           without memory;
                                                           NGX_ERROR */
    ngx_http_agents_faults_t           faults;
    char                              *effective;       /* malloc'd JSON */
    size_t                             effective_len;

    /* while a write of unknown fate is looked for */
    ngx_event_t                        retry;
    ngx_uint_t                         tries;
} ngx_http_agents_start_t;


/* Takes ctx->body, and what the headers say of a trace.  NULL without
 * memory. */
ngx_http_agents_start_t *ngx_http_agents_start_create(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
void ngx_http_agents_start_free(ngx_http_agents_start_t *start);

/*
 * The statements of what it is decided upon: 0 the conversation, 1 the run of
 * that client_op_id, 2 the count of the user's runs; and, where the payload
 * answers calls: 0 the paused run, 1 the last assistant message.
 */
void ngx_http_agents_start_add_state(ngx_http_agents_start_t *start,
    ngx_http_agents_db_batch_t *batch);
void ngx_http_agents_start_add_calls(ngx_http_agents_start_t *start,
    ngx_http_agents_db_batch_t *batch);

/* Keeps a batch of state, until the next one or free, and reads it. */
void ngx_http_agents_start_keep_state(ngx_http_agents_start_t *start,
    ngx_http_agents_db_batch_t *batch);

/* The write: 0 the guard, 1 the run. */
void ngx_http_agents_start_add_insert(ngx_http_agents_start_t *start,
    ngx_http_agents_db_batch_t *batch);

/*
 * Tool outputs, configuration, catalog, in this order, each only if those
 * before it found no fault; then the effective configuration's text.  In a
 * pool thread.
 */
void ngx_http_agents_start_check(void *data, ngx_log_t *log);

/* Hands the run to the engine: only once it is known to be durable. */
void ngx_http_agents_start_engine(ngx_http_agents_start_t *start,
    const ngx_http_agents_run_record_t *run);

/*
 * No request waits any more, and a write of unknown fate may have been
 * committed: looks for the run until the store answers, starts it if it is
 * there, and frees "start".
 */
void ngx_http_agents_start_settle(ngx_http_agents_start_t *start);


#endif /* _NGX_HTTP_AGENTS_START_H_INCLUDED_ */
