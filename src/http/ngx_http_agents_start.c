
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_effective.h"
#include "ngx_http_agents_start.h"
#include "ngx_http_agents_trace.h"


/* A commit whose connection broke may still be under way when it is looked
 * for: it is taken not to have happened after so many looks, a second each. */
#define NGX_HTTP_AGENTS_START_LOOKS  5

/* So many requests of one user at the same moment do not pass his limit. */
#define NGX_HTTP_AGENTS_START_CLOSE  64


static ngx_int_t ngx_http_agents_start_init(ngx_http_agents_start_t *start,
    ngx_http_agents_ctx_t *ctx);
static int64_t ngx_http_agents_start_limit(
    const ngx_http_agents_start_t *start);
static ngx_int_t ngx_http_agents_start_trace(ngx_http_agents_start_t *start,
    ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_start_header(ngx_http_request_t *r,
    const char *name, ngx_uint_t *n, char **value);
static void ngx_http_agents_start_check_all(ngx_http_agents_start_t *start,
    ngx_log_t *log);
static void ngx_http_agents_start_check_outputs(
    ngx_http_agents_start_t *start);
static void ngx_http_agents_start_check_config(ngx_http_agents_start_t *start,
    json_t *effective);
static void ngx_http_agents_start_look(ngx_event_t *ev);
static void ngx_http_agents_start_looked(ngx_http_agents_db_batch_t *batch,
    void *data);


ngx_http_agents_start_t *
ngx_http_agents_start_create(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_start_t      *start;
    ngx_http_agents_loc_conf_t   *alcf;
    ngx_http_agents_main_conf_t  *amcf;

    start = ngx_calloc(sizeof(ngx_http_agents_start_t), r->connection->log);
    if (start == NULL) {
        return NULL;
    }

    if (ngx_http_agents_start_init(start, ctx) != NGX_OK
        || ngx_http_agents_start_trace(start, r) != NGX_OK)
    {
        ngx_http_agents_start_free(start);
        return NULL;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    start->worker = amcf->worker;
    start->scope.catalog = &amcf->catalog;
    start->scope.settings = alcf->settings;
    start->scope.company = start->owner.company;

    start->body = ctx->body;
    ctx->body = NULL;

    return start;
}


static ngx_int_t
ngx_http_agents_start_init(ngx_http_agents_start_t *start,
    ngx_http_agents_ctx_t *ctx)
{
    start->owner.company = strdup(ctx->owner.company);
    start->owner.user = strdup(ctx->owner.user);

    if (start->owner.company == NULL
        || start->owner.user == NULL
        || ngx_http_agents_ident_uuid(start->run_id) != 0
        || ngx_http_agents_ident_uuid(start->job_id) != 0)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(start->conversation_id, ctx->id.data, ctx->id.len);

    return NGX_OK;
}


/*
 * What is not valid counts as not sent: a trace is no reason to refuse a run.
 * Without a parent the state means nothing.
 */

static ngx_int_t
ngx_http_agents_start_trace(ngx_http_agents_start_t *start,
    ngx_http_request_t *r)
{
    ngx_uint_t  n;

    if (ngx_http_agents_start_header(r, "traceparent", &n,
                                     &start->traceparent)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (start->traceparent == NULL) {
        return NGX_OK;
    }

    if (n != 1
        || !ngx_http_agents_trace_is_parent(start->traceparent,
                                            ngx_strlen(start->traceparent)))
    {
        ngx_free(start->traceparent);
        start->traceparent = NULL;
        return NGX_OK;
    }

    if (ngx_http_agents_start_header(r, "tracestate", &n, &start->tracestate)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (start->tracestate != NULL
        && !ngx_http_agents_trace_is_state(start->tracestate,
                                           ngx_strlen(start->tracestate)))
    {
        ngx_free(start->tracestate);
        start->tracestate = NULL;
    }

    return NGX_OK;
}


/* The value of a header, malloc'd, NULL if there is none; that of n headers of
 * one name is joined by commas. */

static ngx_int_t
ngx_http_agents_start_header(ngx_http_request_t *r, const char *name,
    ngx_uint_t *n, char **value)
{
    size_t                  len;
    ngx_uint_t              i;
    ngx_list_part_t        *part;
    ngx_table_elt_t        *h;
    ngx_http_agents_buf_t   buf;

    ngx_http_agents_buf_init(&buf);

    *n = 0;
    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != len
                || ngx_strncasecmp(h[i].key.data, (u_char *) name, len) != 0)
            {
                continue;
            }

            if ((*n)++ != 0) {
                ngx_http_agents_buf_addc(&buf, ',');
            }

            ngx_http_agents_buf_add(&buf, (char *) h[i].value.data,
                                    h[i].value.len);
        }
    }

    *value = NULL;

    if (*n == 0) {
        return NGX_OK;
    }

    *value = ngx_http_agents_buf_take(&buf, NULL);

    return (*value != NULL) ? NGX_OK : NGX_ERROR;
}


void
ngx_http_agents_start_free(ngx_http_agents_start_t *start)
{
    if (start->body != NULL) {
        ngx_http_agents_body_run_free(start->body);
        ngx_free(start->body);
    }

    if (start->state != NULL) {
        ngx_http_agents_db_batch_free(start->state);
    }

    if (start->calls != NULL) {
        ngx_http_agents_db_batch_free(start->calls);
    }

    ngx_http_agents_faults_free(&start->faults);

    ngx_free((char *) start->owner.company);
    ngx_free((char *) start->owner.user);
    ngx_free(start->traceparent);
    ngx_free(start->tracestate);
    ngx_free(start->effective);
    ngx_free(start);
}


void
ngx_http_agents_start_add_state(ngx_http_agents_start_t *start,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_conversations_get(batch, &start->owner,
                                      start->conversation_id);
    ngx_http_agents_runs_by_operation(batch, &start->owner,
                                      start->conversation_id,
                                      start->body->client_op_key);
    ngx_http_agents_runs_count_active(batch, &start->owner,
                                      start->scope.settings->max_runs_per_user);
}


void
ngx_http_agents_start_add_calls(ngx_http_agents_start_t *start,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_runs_get(batch, &start->owner,
                             start->conversation.pending_run_id.data);
    ngx_http_agents_messages_last_assistant(batch, &start->owner,
                                            start->conversation_id);
}


void
ngx_http_agents_start_keep_state(ngx_http_agents_start_t *start,
    ngx_http_agents_db_batch_t *batch)
{
    if (start->state != NULL) {
        ngx_http_agents_db_batch_free(start->state);
    }

    if (start->calls != NULL) {
        ngx_http_agents_db_batch_free(start->calls);
        start->calls = NULL;
    }

    start->state = batch;

    ngx_http_agents_conversations_read(batch, 0, 0, &start->conversation);
    start->active = ngx_http_agents_db_get_int(batch, 2, 0, 0);
}


/*
 * Requests of one user at the same moment see the same count: close to the
 * limit the write counts again, alone.  Farther away it need not, which spares
 * what waits in line for a user's own lock.
 */

static int64_t
ngx_http_agents_start_limit(const ngx_http_agents_start_t *start)
{
    int64_t  limit;

    limit = (int64_t) start->scope.settings->max_runs_per_user;

    return (start->active + NGX_HTTP_AGENTS_START_CLOSE >= limit) ? limit : 0;
}


void
ngx_http_agents_start_add_insert(ngx_http_agents_start_t *start,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_run_insert_t  run;

    run.id = start->run_id;
    run.conversation = start->conversation_id;
    run.api = (char *) start->scope.settings->name.data;
    run.worker = ngx_http_agents_engine_worker(start->worker->engine);
    run.client_op_id = start->body->client_op_id;
    run.client_op_key = start->body->client_op_key;
    run.fingerprint = start->body->fingerprint;
    run.expected_version = start->body->expected_version;
    run.payload.data = start->body->payload_text;
    run.payload.len = start->body->payload_len;
    run.tool_choice.data = start->body->tool_choice_text;
    run.tool_choice.len = start->body->tool_choice_len;
    run.effective_config.data = start->effective;
    run.effective_config.len = start->effective_len;
    run.first_job_id = start->job_id;
    run.resumes = start->body->resumes;
    run.limit = ngx_http_agents_start_limit(start);
    run.trace.parent.data = start->traceparent;
    run.trace.parent.len = start->traceparent != NULL
                           ? ngx_strlen(start->traceparent) : 0;
    run.trace.state.data = start->tracestate;
    run.trace.state.len = start->tracestate != NULL
                          ? ngx_strlen(start->tracestate) : 0;

    start->insert = ngx_http_agents_runs_insert(batch, &start->owner, &run);
}


/* In a pool thread. */

void
ngx_http_agents_start_check(void *data, ngx_log_t *log)
{
    ngx_http_agents_start_t *start = data;

    errno = 0;

    ngx_http_agents_start_check_all(start, log);

    /* what was found for want of memory, or was not, is not so */

    if (errno == ENOMEM) {
        start->rc = NGX_ABORT;
    }
}


static void
ngx_http_agents_start_check_all(ngx_http_agents_start_t *start, ngx_log_t *log)
{
    json_t  *effective;

    ngx_free(start->effective);
    start->effective = NULL;

    if (start->body->resumes) {
        ngx_http_agents_start_check_outputs(start);
    }

    if (start->faults.found != 0 || start->faults.failed) {
        start->rc = NGX_DECLINED;
        return;
    }

    effective = ngx_http_agents_body_merge(start->conversation.defaults.data,
                                           start->conversation.defaults.len,
                                           start->body->config_override);
    if (effective == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "agents: no effective configuration of conversation %s",
                      start->conversation_id);
        start->rc = NGX_ERROR;
        return;
    }

    ngx_http_agents_start_check_config(start, effective);

    json_decref(effective);
}


static void
ngx_http_agents_start_check_outputs(ngx_http_agents_start_t *start)
{
    json_t                        *pending, *blocks;
    ngx_http_agents_message_t      message;
    ngx_http_agents_run_record_t   run;

    pending = NULL;
    blocks = NULL;

    if (start->calls != NULL
        && ngx_http_agents_db_rows(start->calls, 0) != 0)
    {
        ngx_http_agents_runs_read(start->calls, 0, 0, &run);

        pending = ngx_http_agents_json_load(run.pending_tool_calls.data,
                                            run.pending_tool_calls.len);
        if (pending == NULL) {
            start->faults.failed = 1;
        }
    }

    if (start->calls != NULL
        && ngx_http_agents_db_rows(start->calls, 1) != 0)
    {
        ngx_http_agents_messages_read(start->calls, 1, 0, &message);

        blocks = ngx_http_agents_json_load(message.content.data,
                                           message.content.len);
        if (blocks == NULL) {
            start->faults.failed = 1;
        }
    }

    if (!start->faults.failed) {
        ngx_http_agents_body_check_outputs(start->body->payload, pending,
                                           blocks, &start->faults);
    }

    json_decref(pending);
    json_decref(blocks);
}


static void
ngx_http_agents_start_check_config(ngx_http_agents_start_t *start,
    json_t *effective)
{
    ngx_http_agents_effective_check(start->scope.catalog,
                                    start->scope.settings,
                                    start->scope.company, effective,
                                    start->body->given, "config_override",
                                    &start->faults);

    if (start->faults.found == 0 && !start->faults.failed) {
        ngx_http_agents_body_check_choice(effective, start->body->tool_choice,
                                          &start->faults);
    }

    if (start->faults.found != 0 || start->faults.failed) {
        start->rc = NGX_DECLINED;
        return;
    }

    start->effective = ngx_http_agents_json_text(effective,
                                                 &start->effective_len);

    start->rc = (start->effective != NULL) ? NGX_OK : NGX_ERROR;
}


void
ngx_http_agents_start_engine(ngx_http_agents_start_t *start,
    const ngx_http_agents_run_record_t *run)
{
    ngx_http_agents_run_key_t  key;

    key.owner = start->owner;
    key.id = start->run_id;
    key.conversation = start->conversation_id;
    key.epoch = run->epoch;

    ngx_http_agents_metrics_add(&start->worker->zone->metrics,
                                NGX_HTTP_AGENTS_METRIC_RUNS_ACCEPTED, 1, NULL,
                                NULL, NULL);

    ngx_http_agents_engine_start(start->worker->engine, start->scope.settings,
                                 &key);
}


void
ngx_http_agents_start_settle(ngx_http_agents_start_t *start)
{
    start->tries = 0;

    start->retry.handler = ngx_http_agents_start_look;
    start->retry.data = start;
    start->retry.log = ngx_cycle->log;

    /* a worker that quits gives its runs back, this one too if it is there */

    start->retry.cancelable = 1;

    ngx_add_timer(&start->retry, 100);
}


static void
ngx_http_agents_start_look(ngx_event_t *ev)
{
    ngx_http_agents_start_t *start = ev->data;

    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_POINT,
                                     ngx_http_agents_start_looked, start);
    if (batch == NULL) {
        ngx_add_timer(&start->retry, 1000);
        return;
    }

    ngx_http_agents_runs_by_operation(batch, &start->owner,
                                      start->conversation_id,
                                      start->body->client_op_key);
    ngx_http_agents_db_submit(start->worker->db, batch);
}


static void
ngx_http_agents_start_looked(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_start_t *start = data;

    ngx_http_agents_db_status_e   status;
    ngx_http_agents_run_record_t  run;

    status = ngx_http_agents_db_status(batch);

    if (status == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_rows(batch, 0) != 0)
    {
        ngx_http_agents_runs_read(batch, 0, 0, &run);

        if (ngx_strcmp(run.id.data, start->run_id) == 0) {
            ngx_http_agents_start_engine(start, &run);
        }

    } else if (status != NGX_HTTP_AGENTS_DB_OK
               || ++start->tries < NGX_HTTP_AGENTS_START_LOOKS)
    {
        ngx_http_agents_db_batch_free(batch);
        ngx_add_timer(&start->retry, 1000);
        return;
    }

    ngx_http_agents_db_batch_free(batch);
    ngx_http_agents_start_free(start);
}
