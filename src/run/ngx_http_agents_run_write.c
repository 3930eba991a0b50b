
/*
 * What a run writes: each batch begins with the guard of its epoch, and is
 * repeated until the store takes it or another worker has taken the run.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_run.h"


#define NGX_HTTP_AGENTS_BACKOFF_MIN  100    /* milliseconds */
#define NGX_HTTP_AGENTS_BACKOFF_MAX  2000

/* Errors of the store in a row (not its absence) before a run gives in. */
#define NGX_HTTP_AGENTS_ERRORS_MAX   3


static ngx_http_agents_db_batch_t *ngx_http_agents_run_batch(
    ngx_http_agents_run_t *run, ngx_http_agents_db_done_pt done, void *data,
    void (*again)(ngx_http_agents_run_t *run));
static void ngx_http_agents_run_submit(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_run_add_step(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_run_ensure_job(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_run_add_parts(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_run_begin_done(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_run_turn_done(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_run_job_done(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_run_write_result(ngx_http_agents_run_call_t *rc,
    ngx_uint_t last);
static void ngx_http_agents_run_result_done(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_run_end_done(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_run_give_up_done(ngx_http_agents_db_batch_t *batch,
    void *data);


static ngx_http_agents_db_batch_t *
ngx_http_agents_run_batch(ngx_http_agents_run_t *run,
    ngx_http_agents_db_done_pt done, void *data,
    void (*again)(ngx_http_agents_run_t *run))
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE, done, data);

    if (batch == NULL && again != NULL) {
        ngx_http_agents_run_wait(run, again);
    }

    return batch;
}


static void
ngx_http_agents_run_submit(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch)
{
    run->pending++;
    ngx_http_agents_db_submit(ngx_http_agents_engine_conf(run->engine)->db,
                              batch);
}


void
ngx_http_agents_run_wait(ngx_http_agents_run_t *run,
    void (*again)(ngx_http_agents_run_t *run))
{
    run->again = again;

    if (run->retry.timer_set) {
        return;
    }

    run->backoff = ngx_min(ngx_max(run->backoff * 2,
                                   NGX_HTTP_AGENTS_BACKOFF_MIN),
                           NGX_HTTP_AGENTS_BACKOFF_MAX);

    ngx_add_timer(&run->retry, run->backoff);
}


ngx_int_t
ngx_http_agents_run_written(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch, ngx_uint_t guarded,
    void (*again)(ngx_http_agents_run_t *run))
{
    ngx_uint_t                   lost;
    ngx_http_agents_db_status_e  status;

    status = ngx_http_agents_db_status(batch);

    lost = (status == NGX_HTTP_AGENTS_DB_CONSTRAINT)
           || (status == NGX_HTTP_AGENTS_DB_OK && guarded
               && ngx_http_agents_db_changes(batch, 0) == 0);

    ngx_http_agents_db_batch_free(batch);

    if (lost) {
        ngx_log_error(NGX_LOG_INFO, &run->log, 0,
                      "the run is no longer this worker's");
        ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_FORGET, NULL, NULL);

    } else if (status == NGX_HTTP_AGENTS_DB_OK) {
        run->errors = 0;
        run->backoff = 0;

        if (guarded) {
            ngx_http_agents_engine_cleared(run->engine, run);
            ngx_http_agents_wake_run(
                        ngx_http_agents_engine_conf(run->engine)->wake,
                        run->key.id);
        }

    } else if (status == NGX_HTTP_AGENTS_DB_ERROR
               && ++run->errors >= NGX_HTTP_AGENTS_ERRORS_MAX)
    {
        run->errors = 0;

        if (run->state == NGX_HTTP_AGENTS_RUN_ENDING) {
            ngx_log_error(NGX_LOG_ALERT, &run->log, 0,
                          "the end of the run cannot be stored");
            ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_GIVE_UP, NULL,
                                     NULL);

        } else {
            ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_INTERNAL,
                                     "a step of the run cannot be stored");
        }
    }

    if (ngx_http_agents_run_settled(run) != NGX_OK) {
        return NGX_ABORT;
    }

    if (status == NGX_HTTP_AGENTS_DB_OK) {
        return NGX_OK;
    }

    ngx_http_agents_run_wait(run, again);

    return NGX_AGAIN;
}


/* The run's row with its progress, and an id for each inference begun. */

static void
ngx_http_agents_run_add_step(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch)
{
    char                            *text;
    size_t                           len;
    ngx_http_agents_run_progress_t   progress;

    /* a step says so, too */

    if (run->begin.timer_set) {
        ngx_del_timer(&run->begin);
    }

    text = NULL;
    len = 0;

    if (run->loop.job_ids != NULL) {
        text = ngx_http_agents_json_text(run->loop.job_ids, &len);

        if (text == NULL) {
            ngx_http_agents_db_fail(batch);
        }
    }

    progress = run->loop.progress;
    progress.job_ids.data = text ? text : "[]";
    progress.job_ids.len = text ? len : 2;

    if (run->loop.status == NULL) {
        progress.repair.data = run->loop.repair_text;
        progress.repair.len = run->loop.repair_len;
    }

    ngx_http_agents_runs_step(batch, &run->key, &progress);

    free(text);
}


/* The next inference has its id before it begins, and keeps it. */

static void
ngx_http_agents_run_ensure_job(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_loop_t  *loop;

    loop = &run->loop;

    while ((int64_t) json_array_size(loop->job_ids)
           <= loop->progress.iterations_used)
    {
        if (ngx_http_agents_loop_mint_job(loop) == -1) {
            ngx_http_agents_db_fail(batch);
            return;
        }
    }
}


static void
ngx_http_agents_run_add_parts(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch)
{
    size_t                      i;
    ngx_http_agents_part_t     *part;
    ngx_http_agents_message_t   message;

    for (i = 0; i < run->loop.nparts; i++) {
        part = &run->loop.parts[i];

        ngx_memzero(&message, sizeof(ngx_http_agents_message_t));

        message.sequence_no = part->sequence_no;
        message.part = part->part;
        message.role.data = part->role;
        message.role.len = ngx_strlen(part->role);
        message.content.data = part->content;
        message.content.len = part->content_len;
        message.turn_index = part->sequence_no - run->loop.base_version - 2;
        message.live = part->live;

        if (part->provider != NULL) {
            message.provider.data = part->provider;
            message.provider.len = ngx_strlen(part->provider);
        }

        ngx_http_agents_runs_add_part(batch, &run->key, &message);
    }
}


/* Nothing waits for this one: the steps that follow say "running" too. */

void
ngx_http_agents_run_write_begin(ngx_http_agents_run_t *run)
{
    ngx_http_agents_db_batch_t           *batch;
    const ngx_http_agents_engine_conf_t  *conf;

    conf = ngx_http_agents_engine_conf(run->engine);

    batch = ngx_http_agents_run_batch(run, ngx_http_agents_run_begin_done,
                                      conf->wake, NULL);
    if (batch == NULL) {
        return;
    }

    ngx_http_agents_runs_begin(batch, &run->key);
    ngx_http_agents_db_submit(conf->db, batch);
}


static void
ngx_http_agents_run_begin_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_wake_t *wake = data;

    /* the run may be gone by now */

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_rows(batch, 0) != 0)
    {
        ngx_http_agents_wake_run(wake,
                                 ngx_http_agents_db_get(batch, 0, 0, 0, NULL));
    }

    ngx_http_agents_db_batch_free(batch);
}


void
ngx_http_agents_run_write_turn(ngx_http_agents_run_t *run)
{
    ngx_http_agents_db_batch_t  *batch;

    run->state = NGX_HTTP_AGENTS_RUN_WRITING;

    batch = ngx_http_agents_run_batch(run, ngx_http_agents_run_turn_done, run,
                                      ngx_http_agents_run_write_turn);
    if (batch == NULL) {
        return;
    }

    if (!ngx_http_agents_loop_waits(&run->loop)) {
        ngx_http_agents_run_ensure_job(run, batch);
    }

    ngx_http_agents_run_add_step(run, batch);
    ngx_http_agents_run_add_parts(run, batch);
    ngx_http_agents_run_submit(run, batch);
}


static void
ngx_http_agents_run_turn_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_run_t *run = data;

    ngx_uint_t  stored;

    /* what is stored is stored, even if the run is to stop */

    stored = (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK);

    if (stored) {
        ngx_http_agents_loop_parts_clear(&run->loop);
    }

    if (ngx_http_agents_run_written(run, batch, 1,
                                    ngx_http_agents_run_write_turn) == NGX_OK)
    {
        ngx_http_agents_run_call(run);
    }
}


void
ngx_http_agents_run_write_job(ngx_http_agents_run_t *run)
{
    ngx_http_agents_db_batch_t  *batch;

    run->state = NGX_HTTP_AGENTS_RUN_WRITING;

    batch = ngx_http_agents_run_batch(run, ngx_http_agents_run_job_done, run,
                                      ngx_http_agents_run_write_job);
    if (batch == NULL) {
        return;
    }

    ngx_http_agents_run_ensure_job(run, batch);
    ngx_http_agents_run_add_step(run, batch);
    ngx_http_agents_run_submit(run, batch);
}


static void
ngx_http_agents_run_job_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_run_t *run = data;

    if (ngx_http_agents_run_written(run, batch, 1,
                                    ngx_http_agents_run_write_job) == NGX_OK)
    {
        ngx_http_agents_run_job_written(run);
    }
}


/*
 * Each result is written as it comes.  The last one says with it that another
 * inference begins, unless the run is to wait for the caller.
 */

void
ngx_http_agents_run_write_results(ngx_http_agents_run_t *run)
{
    ngx_uint_t                   i;
    ngx_http_agents_run_call_t  *rc;

    for (i = 0; i < run->ncalls; i++) {
        rc = &run->calls[i];

        if (!rc->ready) {
            continue;
        }

        rc->ready = 0;
        run->unsent_calls--;

        ngx_http_agents_run_write_result(rc, run->unsent_calls == 0);
    }
}


static void
ngx_http_agents_run_write_result(ngx_http_agents_run_call_t *rc,
    ngx_uint_t last)
{
    ngx_http_agents_run_t       *run;
    ngx_http_agents_call_t      *call;
    ngx_http_agents_message_t    message;
    ngx_http_agents_db_batch_t  *batch;

    run = rc->run;
    call = &run->loop.calls[rc->index];

    batch = ngx_http_agents_run_batch(run, ngx_http_agents_run_result_done, rc,
                                      ngx_http_agents_run_call_again);
    if (batch == NULL) {
        rc->ready = 1;
        run->unsent_calls++;
        return;
    }

    if (last) {
        if (!ngx_http_agents_loop_waits(&run->loop)) {
            ngx_http_agents_run_ensure_job(run, batch);
        }

        ngx_http_agents_run_add_step(run, batch);

    } else {
        ngx_http_agents_runs_touch(batch, &run->key);
    }

    ngx_memzero(&message, sizeof(ngx_http_agents_message_t));

    message.sequence_no = run->loop.turn_sequence + 1;
    message.part = call->part;
    message.role.data = "tool";
    message.role.len = 4;
    message.content.data = call->text;
    message.content.len = call->text ? ngx_strlen(call->text) : 0;
    message.turn_index = message.sequence_no - run->loop.base_version - 2;
    message.live = run->loop.turn_live;

    ngx_http_agents_runs_add_part(batch, &run->key, &message);
    ngx_http_agents_run_submit(run, batch);
}


static void
ngx_http_agents_run_result_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_run_call_t *rc = data;

    ngx_http_agents_run_t  *run;

    run = rc->run;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK) {
        run->loop.calls[rc->index].written = 1;

    } else {
        rc->ready = 1;
        run->unsent_calls++;
    }

    if (ngx_http_agents_run_written(run, batch, 1,
                                    ngx_http_agents_run_call_again)
        != NGX_OK)
    {
        return;
    }

    if (--run->open_calls == 0) {
        ngx_http_agents_run_calls_free(run);
        ngx_http_agents_run_called(run);
    }
}


void
ngx_http_agents_run_write_end(ngx_http_agents_run_t *run)
{
    ngx_http_agents_loop_t      *loop;
    ngx_http_agents_run_end_t    end;
    ngx_http_agents_db_batch_t  *batch;

    loop = &run->loop;

    if (ngx_http_agents_run_exhausted(run)) {
        return;
    }

    run->state = NGX_HTTP_AGENTS_RUN_ENDING;

    batch = ngx_http_agents_run_batch(run, ngx_http_agents_run_end_done, run,
                                      ngx_http_agents_run_write_end);
    if (batch == NULL) {
        return;
    }

    ngx_memzero(&end, sizeof(ngx_http_agents_run_end_t));

    end.status = loop->status;
    end.version = loop->sequence;
    end.error_type = loop->incident;

    end.pending_tool_calls.data = loop->pending ? loop->pending : "[]";
    end.pending_tool_calls.len = ngx_strlen(end.pending_tool_calls.data);

    end.final_text.data = loop->final_text;
    end.final_text.len = loop->final_text_len;

    end.final_structured_output.data = loop->final_output;
    end.final_structured_output.len = loop->final_output
                                      ? ngx_strlen(loop->final_output) : 0;

    if (loop->incident != NULL && !loop->message.failed) {
        end.error_message.data = loop->message.data;
        end.error_message.len = loop->message.len;
    }

    if (loop->loaded) {
        ngx_http_agents_run_add_step(run, batch);
        ngx_http_agents_run_add_parts(run, batch);

    } else {

        /* what it did cannot be read: no later run may come across it */

        ngx_http_agents_runs_touch(batch, &run->key);
        ngx_http_agents_runs_drop_parts(batch, &run->key, 0);
    }

    ngx_http_agents_runs_finish(batch, &run->key, &end);
    ngx_http_agents_run_submit(run, batch);
}


static void
ngx_http_agents_run_end_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_run_t *run = data;

    if (ngx_http_agents_run_written(run, batch, 1,
                                    ngx_http_agents_run_write_end) == NGX_OK)
    {
        ngx_http_agents_metrics_add(
                              ngx_http_agents_engine_conf(run->engine)->metrics,
                              NGX_HTTP_AGENTS_METRIC_RUNS_FINISHED, 1,
                              run->loop.status,
                              run->loop.incident ? run->loop.incident : "",
                              NULL);
        ngx_http_agents_run_destroy(run);
    }
}


void
ngx_http_agents_run_give_up(ngx_http_agents_run_t *run)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_run_batch(run, ngx_http_agents_run_give_up_done,
                                      run, NULL);
    if (batch == NULL) {
        ngx_http_agents_engine_stray(run->engine);
        ngx_http_agents_run_destroy(run);
        return;
    }

    ngx_http_agents_leases_release_run(batch, &run->key);
    ngx_http_agents_run_submit(run, batch);
}


/* Should it have failed: this worker finds it again, unless it is to exit; then
 * its lease ends, and others do. */

static void
ngx_http_agents_run_give_up_done(ngx_http_agents_db_batch_t *batch,
    void *data)
{
    ngx_http_agents_run_t *run = data;

    if (ngx_http_agents_db_status(batch) != NGX_HTTP_AGENTS_DB_OK) {
        ngx_http_agents_engine_stray(run->engine);
    }

    ngx_http_agents_db_batch_free(batch);
    ngx_http_agents_run_destroy(run);
}
