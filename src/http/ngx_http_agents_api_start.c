
/*
 * POST /agents/conversations/{id}/runs: read what it is decided upon, check,
 * write on the condition that nothing has changed meanwhile, answer.  The
 * read comes again after a write that found a change, or whose fate is
 * unknown.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_run_view.h"
#include "ngx_http_agents_start.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_wait.h"


#define NGX_HTTP_AGENTS_API_START_ATTEMPTS  5

/* As many runs of a user are counted in the event loop; more in a thread. */
#define NGX_HTTP_AGENTS_API_START_COUNTED   1000


static int ngx_http_agents_api_start_body_read(const char *text, size_t len,
    const ngx_http_agents_scope_t *scope, void *data,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_api_start_body_free(void *data);
static ngx_int_t ngx_http_agents_api_start_end(ngx_http_agents_start_t *start,
    ngx_int_t rc);
static ngx_int_t ngx_http_agents_api_start_read(ngx_http_request_t *r,
    ngx_http_agents_start_t *start);
static ngx_int_t ngx_http_agents_api_start_read_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_start_decide(ngx_http_request_t *r,
    ngx_http_agents_start_t *start);
static ngx_int_t ngx_http_agents_api_start_known(ngx_http_request_t *r,
    ngx_http_agents_start_t *start);
static ngx_int_t ngx_http_agents_api_start_conflict(ngx_http_request_t *r,
    ngx_http_agents_start_t *start);
static ngx_int_t ngx_http_agents_api_start_calls(ngx_http_request_t *r,
    ngx_http_agents_start_t *start);
static ngx_int_t ngx_http_agents_api_start_calls_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_start_check(ngx_http_request_t *r,
    ngx_http_agents_start_t *start);
static ngx_int_t ngx_http_agents_api_start_checked(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_start_write(ngx_http_request_t *r,
    ngx_http_agents_start_t *start);
static ngx_int_t ngx_http_agents_api_start_written(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_api_start_gone(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_api_start_write_gone(
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_start_replay_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_start_accept(ngx_http_request_t *r,
    const ngx_http_agents_run_record_t *run,
    const ngx_http_agents_db_batch_t *batch);


const ngx_http_agents_body_type_t  ngx_http_agents_api_start_body = {
    sizeof(ngx_http_agents_body_run_t),
    ngx_http_agents_api_start_body_read,
    ngx_http_agents_api_start_body_free
};


/* In a pool thread. */

static int
ngx_http_agents_api_start_body_read(const char *text, size_t len,
    const ngx_http_agents_scope_t *scope, void *data,
    ngx_http_agents_faults_t *faults)
{
    return ngx_http_agents_body_run(text, len, data, faults);
}


static void
ngx_http_agents_api_start_body_free(void *data)
{
    ngx_http_agents_body_run_free(data);
}


ngx_int_t
ngx_http_agents_api_start(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_start_t  *start;

    start = ngx_http_agents_start_create(r, ctx);
    if (start == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return ngx_http_agents_api_start_read(r, start);
}


/* The request has its answer. */

static ngx_int_t
ngx_http_agents_api_start_end(ngx_http_agents_start_t *start, ngx_int_t rc)
{
    if (start->unknown) {
        ngx_http_agents_start_settle(start);

    } else {
        ngx_http_agents_start_free(start);
    }

    return rc;
}


static ngx_int_t
ngx_http_agents_api_start_read(ngx_http_request_t *r,
    ngx_http_agents_start_t *start)
{
    ngx_http_agents_db_kind_e    kind;
    ngx_http_agents_db_batch_t  *batch;

    /* a user's active runs are counted, up to what he may have */

    kind = (start->scope.settings->max_runs_per_user
            > NGX_HTTP_AGENTS_API_START_COUNTED)
           ? NGX_HTTP_AGENTS_DB_READ : NGX_HTTP_AGENTS_DB_POINT;

    batch = ngx_http_agents_wait_batch(r, kind,
                                       ngx_http_agents_api_start_read_done,
                                       ngx_http_agents_api_start_gone, start);
    if (batch == NULL) {
        return ngx_http_agents_api_start_end(start,
                                             NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    ngx_http_agents_start_add_state(start, batch);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_start_read_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_start_t *start = data;

    ngx_int_t                    rc;
    ngx_http_agents_db_status_e  status;

    status = ngx_http_agents_db_status(batch);

    if (status != NGX_HTTP_AGENTS_DB_OK) {
        rc = ngx_http_agents_reply_store(r, status);
        ngx_http_agents_db_batch_free(batch);
        return ngx_http_agents_api_start_end(start, rc);
    }

    if (ngx_http_agents_db_rows(batch, 0) == 0) {
        rc = ngx_http_agents_reply_status(r, NGX_HTTP_NOT_FOUND,
                                          "There is no such conversation.");
        ngx_http_agents_db_batch_free(batch);
        start->unknown = 0;
        return ngx_http_agents_api_start_end(start, rc);
    }

    ngx_http_agents_start_keep_state(start, batch);
    ngx_http_agents_variables_conversation(r, &start->conversation.id);

    return ngx_http_agents_api_start_decide(r, start);
}


static ngx_int_t
ngx_http_agents_api_start_decide(ngx_http_request_t *r,
    ngx_http_agents_start_t *start)
{
    ngx_http_agents_conversation_t  *conversation;

    conversation = &start->conversation;

    if (ngx_http_agents_db_rows(start->state, 1) != 0) {
        return ngx_http_agents_api_start_known(r, start);
    }

    if (conversation->version != start->body->expected_version
        || conversation->active_run_id.data != NULL
        || (conversation->pending_run_id.data != NULL
            && !start->body->resumes))
    {
        return ngx_http_agents_api_start_conflict(r, start);
    }

    if (conversation->pending_run_id.data != NULL) {
        return ngx_http_agents_api_start_calls(r, start);
    }

    return ngx_http_agents_api_start_check(r, start);
}


/* There is a run of this client_op_id. */

static ngx_int_t
ngx_http_agents_api_start_known(ngx_http_request_t *r,
    ngx_http_agents_start_t *start)
{
    ngx_int_t                      rc;
    ngx_http_agents_db_batch_t    *batch;
    ngx_http_agents_run_record_t   run;

    ngx_http_agents_runs_read(start->state, 1, 0, &run);

    if (start->unknown && ngx_strcmp(run.id.data, start->run_id) == 0) {

        /* it is this request's own: its write had been committed */

        start->unknown = 0;

        ngx_http_agents_start_engine(start, &run);

        rc = ngx_http_agents_api_start_accept(r, &run, NULL);
        return ngx_http_agents_api_start_end(start, rc);
    }

    start->unknown = 0;

    if (run.fingerprint.len != NGX_HTTP_AGENTS_SHA256_LEN
        || ngx_memcmp(run.fingerprint.data, start->body->fingerprint,
                      NGX_HTTP_AGENTS_SHA256_LEN)
           != 0)
    {
        rc = ngx_http_agents_reply_slug(r, "idempotency-mismatch", NULL);
        return ngx_http_agents_api_start_end(start, rc);
    }

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_POINT,
                                       ngx_http_agents_api_start_replay_done,
                                       NULL, NULL);
    if (batch == NULL) {
        return ngx_http_agents_api_start_end(start,
                                             NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    ngx_http_agents_runs_get(batch, &start->owner, run.id.data);
    ngx_http_agents_wait_submit(r, batch);

    return ngx_http_agents_api_start_end(start, NGX_DONE);
}


static ngx_int_t
ngx_http_agents_api_start_conflict(ngx_http_request_t *r,
    ngx_http_agents_start_t *start)
{
    ngx_int_t                         rc;
    ngx_http_agents_conversation_t   *conversation;
    ngx_http_agents_reply_refusal_t   refusal;

    conversation = &start->conversation;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.slug = "version-conflict";
    refusal.versioned = 1;
    refusal.current_version = conversation->version;

    if (conversation->version != start->body->expected_version) {
        refusal.detail = "The conversation's version is not the expected one.";

    } else if (conversation->active_run_id.data != NULL) {
        refusal.detail = "Another run of this conversation is not finished.";
        refusal.active_run_id = conversation->active_run_id;
        refusal.retry_after = 1;

    } else {
        refusal.detail = "Tool calls of the last run wait for their outputs.";
        refusal.pending_run_id = conversation->pending_run_id;
    }

    rc = ngx_http_agents_reply_refuse(r, &refusal);

    return ngx_http_agents_api_start_end(start, rc);
}


static ngx_int_t
ngx_http_agents_api_start_calls(ngx_http_request_t *r,
    ngx_http_agents_start_t *start)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_POINT,
                                       ngx_http_agents_api_start_calls_done,
                                       ngx_http_agents_api_start_gone, start);
    if (batch == NULL) {
        return ngx_http_agents_api_start_end(start,
                                             NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    ngx_http_agents_start_add_calls(start, batch);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_start_calls_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_start_t *start = data;

    ngx_int_t                    rc;
    ngx_http_agents_db_status_e  status;

    status = ngx_http_agents_db_status(batch);

    if (status != NGX_HTTP_AGENTS_DB_OK) {
        rc = ngx_http_agents_reply_store(r, status);
        ngx_http_agents_db_batch_free(batch);
        return ngx_http_agents_api_start_end(start, rc);
    }

    start->calls = batch;

    return ngx_http_agents_api_start_check(r, start);
}


static ngx_int_t
ngx_http_agents_api_start_check(ngx_http_request_t *r,
    ngx_http_agents_start_t *start)
{
    if (ngx_http_agents_wait_task(r, ngx_http_agents_start_check,
                                  ngx_http_agents_api_start_checked,
                                  ngx_http_agents_api_start_gone, start)
        != NGX_OK)
    {
        return ngx_http_agents_api_start_end(start,
                                             NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_start_checked(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_start_t *start = data;

    ngx_int_t                         rc;
    ngx_http_agents_reply_refusal_t   refusal;

    if (start->rc == NGX_DECLINED) {
        rc = ngx_http_agents_reply_faults(r, &start->faults);
        return ngx_http_agents_api_start_end(start, rc);
    }

    if (start->rc == NGX_ABORT) {
        return ngx_http_agents_api_start_end(start,
                                             NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    if (start->rc != NGX_OK) {
        return ngx_http_agents_api_start_end(start,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    if (start->active >= (int64_t) start->scope.settings->max_runs_per_user) {
        ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

        refusal.slug = "too-many-runs";
        refusal.retry_after = 1;

        rc = ngx_http_agents_reply_refuse(r, &refusal);
        return ngx_http_agents_api_start_end(start, rc);
    }

    if (ngx_http_agents_engine_full(start->worker->engine)) {
        rc = ngx_http_agents_reply_overloaded(r, "More runs are under way than "
                                              "this server takes.");
        return ngx_http_agents_api_start_end(start, rc);
    }

    return ngx_http_agents_api_start_write(r, start);
}


static ngx_int_t
ngx_http_agents_api_start_write(ngx_http_request_t *r,
    ngx_http_agents_start_t *start)
{
    ngx_int_t                    rc;
    ngx_http_agents_db_batch_t  *batch;

    if (start->attempts++ == NGX_HTTP_AGENTS_API_START_ATTEMPTS) {
        rc = ngx_http_agents_reply_store(r, NGX_HTTP_AGENTS_DB_UNAVAILABLE);
        return ngx_http_agents_api_start_end(start, rc);
    }

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_WRITE,
                                       ngx_http_agents_api_start_written,
                                       ngx_http_agents_api_start_write_gone,
                                       start);
    if (batch == NULL) {
        return ngx_http_agents_api_start_end(start,
                                             NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    ngx_http_agents_start_add_insert(start, batch);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_start_written(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_start_t *start = data;

    ngx_int_t                     rc;
    ngx_http_agents_db_status_e   status;
    ngx_http_agents_run_record_t  run;

    status = ngx_http_agents_db_status(batch);

    if (status == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_rows(batch, start->insert) != 0)
    {
        ngx_http_agents_runs_read(batch, start->insert, 0, &run);

        start->unknown = 0;
        ngx_http_agents_start_engine(start, &run);

        rc = ngx_http_agents_api_start_accept(r, &run, NULL);
        ngx_http_agents_db_batch_free(batch);

        return ngx_http_agents_api_start_end(start, rc);
    }

    ngx_http_agents_db_batch_free(batch);

    switch (status) {

    case NGX_HTTP_AGENTS_DB_UNKNOWN:
        start->unknown = 1;
        return ngx_http_agents_api_start_read(r, start);

    case NGX_HTTP_AGENTS_DB_OK:             /* the guard held no more */
    case NGX_HTTP_AGENTS_DB_CONSTRAINT:     /* another has this client_op_id */
        return ngx_http_agents_api_start_read(r, start);

    default:
        rc = ngx_http_agents_reply_store(r, status);
        return ngx_http_agents_api_start_end(start, rc);
    }
}


/* The client has left before its run was written, or while it is unknown. */

static void
ngx_http_agents_api_start_gone(ngx_http_agents_db_batch_t *batch, void *data)
{
    if (batch != NULL) {
        ngx_http_agents_db_batch_free(batch);
    }

    (void) ngx_http_agents_api_start_end(data, NGX_DONE);
}


/* The client has left after the write was sent: what is accepted is started. */

static void
ngx_http_agents_api_start_write_gone(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_start_t *start = data;

    ngx_http_agents_db_status_e   status;
    ngx_http_agents_run_record_t  run;

    status = ngx_http_agents_db_status(batch);

    if (status == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_rows(batch, start->insert) != 0)
    {
        ngx_http_agents_runs_read(batch, start->insert, 0, &run);

        start->unknown = 0;
        ngx_http_agents_start_engine(start, &run);

    } else if (status == NGX_HTTP_AGENTS_DB_UNKNOWN) {
        start->unknown = 1;
    }

    ngx_http_agents_db_batch_free(batch);

    (void) ngx_http_agents_api_start_end(start, NGX_DONE);
}


static ngx_int_t
ngx_http_agents_api_start_replay_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_int_t                     rc;
    ngx_http_agents_run_record_t  run;

    /* its conversation may have been removed meanwhile */

    rc = ngx_http_agents_reply_missing(r, batch, 0,
                                       "There is no such conversation.");

    if (rc == NGX_DECLINED) {
        rc = ngx_http_agents_reply_header(r, "Idempotency-Replayed", "true",
                                          sizeof("true") - 1);
        if (rc != NGX_OK) {
            rc = NGX_HTTP_SERVICE_UNAVAILABLE;

        } else {
            ngx_http_agents_runs_read(batch, 0, 0, &run);
            rc = ngx_http_agents_api_start_accept(r, &run, batch);
        }
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_api_start_accept(ngx_http_request_t *r,
    const ngx_http_agents_run_record_t *run,
    const ngx_http_agents_db_batch_t *batch)
{
    u_char                 location[128], *last;
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_variables_run(r, run);

    last = ngx_snprintf(location, sizeof(location), "/agents/runs/%*s",
                        run->id.len, run->id.data);

    if (ngx_http_agents_reply_header(r, "Location", (char *) location,
                                     last - location)
        != NGX_OK)
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_run_view(r, &buf, run, batch, 0);

    return ngx_http_agents_reply_json(r, NGX_HTTP_ACCEPTED, &buf);
}
