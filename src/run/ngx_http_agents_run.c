
/*
 * The state machine of a run: loading, thinking, inferring, stopping.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_run.h"
#include "ngx_http_agents_title.h"


/*
 * When a run is written as "running", in milliseconds: one that is over, or
 * has written a turn, before anyone could look saves the store a commit.
 */
#define NGX_HTTP_AGENTS_RUN_BEGIN  10


static u_char *ngx_http_agents_run_log_handler(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_agents_run_load(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_load_done(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_run_load_think(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_loaded(ngx_http_agents_run_t *run);
static ngx_int_t ngx_http_agents_run_find_model(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_task_work(void *data, ngx_log_t *log);
static void ngx_http_agents_run_task_done(void *data);
static void ngx_http_agents_run_tools_think(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_prompt_think(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_results_think(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_end_think(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_conclude(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_begin_handler(ngx_event_t *ev);
static void ngx_http_agents_run_deadline_handler(ngx_event_t *ev);
static void ngx_http_agents_run_retry_handler(ngx_event_t *ev);


ngx_int_t
ngx_http_agents_run_start(ngx_http_agents_engine_t *engine,
    const ngx_http_agents_settings_t *settings,
    const ngx_http_agents_run_key_t *key)
{
    ngx_log_t              *log;
    ngx_http_agents_run_t  *run;

    log = ngx_http_agents_engine_conf(engine)->log;

    run = ngx_calloc(sizeof(ngx_http_agents_run_t), log);
    if (run == NULL) {
        return NGX_ERROR;
    }

    run->engine = engine;
    run->settings = settings;

    run->log = *log;
    run->log.handler = ngx_http_agents_run_log_handler;
    run->log.data = run;
    run->log.action = NULL;

    /* the run's own log tells its id, which it has after this */

    run->names = ngx_http_agents_run_copy_key(&run->key, key, log);
    if (run->names == NULL) {
        ngx_free(run);
        return NGX_ERROR;
    }

    run->task.work = ngx_http_agents_run_task_work;
    run->task.done = ngx_http_agents_run_task_done;
    run->task.data = run;

    run->begin.handler = ngx_http_agents_run_begin_handler;
    run->begin.data = run;
    run->begin.log = &run->log;

    /* the deadline also keeps a worker that is to exit from leaving early */

    run->deadline.handler = ngx_http_agents_run_deadline_handler;
    run->deadline.data = run;
    run->deadline.log = &run->log;

    run->retry.handler = ngx_http_agents_run_retry_handler;
    run->retry.data = run;
    run->retry.log = &run->log;

    ngx_http_agents_run_infer_init(run);

    ngx_add_timer(&run->deadline, settings->run_timeout);
    ngx_http_agents_engine_join(engine, run);

    ngx_http_agents_run_load(run);

    return NGX_OK;
}


char *
ngx_http_agents_run_copy_key(ngx_http_agents_run_key_t *to,
    const ngx_http_agents_run_key_t *from, ngx_log_t *log)
{
    char    *p, *names;
    size_t   company, user, id, conversation;

    company = ngx_strlen(from->owner.company) + 1;
    user = ngx_strlen(from->owner.user) + 1;
    id = ngx_strlen(from->id) + 1;
    conversation = ngx_strlen(from->conversation) + 1;

    names = ngx_alloc(company + user + id + conversation, log);
    if (names == NULL) {
        return NULL;
    }

    p = names;
    to->epoch = from->epoch;

    to->owner.company = p;
    p = (char *) ngx_cpymem(p, from->owner.company, company);

    to->owner.user = p;
    p = (char *) ngx_cpymem(p, from->owner.user, user);

    to->id = p;
    p = (char *) ngx_cpymem(p, from->id, id);

    to->conversation = p;
    ngx_memcpy(p, from->conversation, conversation);

    return names;
}


static u_char *
ngx_http_agents_run_log_handler(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_http_agents_run_t *run = log->data;

    u_char  *p;

    p = buf;

    if (log->action) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= p - buf;
    }

    return ngx_snprintf(p, len, ", agents run: %s", run->key.id);
}


void
ngx_http_agents_run_destroy(ngx_http_agents_run_t *run)
{
    ngx_http_agents_engine_leave(run->engine, run);
    ngx_http_agents_title_leave(run);

    if (run->begin.timer_set) {
        ngx_del_timer(&run->begin);
    }

    if (run->deadline.timer_set) {
        ngx_del_timer(&run->deadline);
    }

    if (run->queue_timer.timer_set) {
        ngx_del_timer(&run->queue_timer);
    }

    if (run->retry.timer_set) {
        ngx_del_timer(&run->retry);
    }

    ngx_http_agents_run_infer_cancel(run);
    ngx_http_agents_run_tell_free(run);

    ngx_http_agents_gate_leave(ngx_http_agents_engine_conf(run->engine)->gate,
                               &run->pass);

    ngx_http_agents_run_calls_free(run);
    ngx_http_agents_run_servers_free(run);

    if (run->batch != NULL) {
        ngx_http_agents_db_batch_free(run->batch);
    }

    ngx_http_agents_loop_free(&run->loop);

    ngx_http_agents_answer_clear(&run->answer);
    ngx_http_agents_catalog_drop(&run->refusals);
    ngx_free(run->names);
    ngx_free(run);
}


static void
ngx_http_agents_run_load(ngx_http_agents_run_t *run)
{
    ngx_http_agents_db_batch_t           *batch;
    const ngx_http_agents_engine_conf_t  *conf;

    conf = ngx_http_agents_engine_conf(run->engine);

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ,
                                     ngx_http_agents_run_load_done, run);
    if (batch == NULL) {
        ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_GIVE_UP, NULL,
                                 NULL);
        return;
    }

    ngx_http_agents_runs_load(batch, &run->key);

    run->pending++;
    ngx_http_agents_db_submit(conf->db, batch);
}


static void
ngx_http_agents_run_load_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_run_t *run = data;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_rows(batch, 0) != 0)
    {
        run->batch = batch;

        if (ngx_http_agents_run_settled(run) == NGX_OK) {
            ngx_http_agents_run_think(run, ngx_http_agents_run_load_think,
                                      ngx_http_agents_run_loaded);
        }

        return;
    }

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK) {

        /* deleted, ended, or another worker's by now */

        ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_FORGET, NULL, NULL);
    }

    (void) ngx_http_agents_run_written(run, batch, 0,
                                       ngx_http_agents_run_load);
}


/* Without servers to ask the first prompt is a part of the same thought. */

static void
ngx_http_agents_run_load_think(ngx_http_agents_run_t *run)
{
    if (ngx_http_agents_loop_load(&run->loop, run->batch) == -1
        || ngx_http_agents_run_find_model(run) != NGX_OK
        || run->loop.cancel
        || run->loop.takeovers >= NGX_HTTP_AGENTS_TAKEOVERS_MAX
        || run->loop.nservers != 0)
    {
        return;
    }

    ngx_http_agents_run_tools_think(run);
}


static void
ngx_http_agents_run_loaded(ngx_http_agents_run_t *run)
{
    int64_t     age;
    ngx_msec_t  left;

    ngx_http_agents_db_batch_free(run->batch);
    run->batch = NULL;

    if (ngx_http_agents_run_exhausted(run)) {
        return;
    }

    if (run->loop.failed) {
        ngx_log_error(NGX_LOG_ERR, &run->log, 0,
                      "the stored run cannot be read");
        ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_INTERNAL,
                                 "the stored run cannot be read");
        return;
    }

    /* the time that a run may take counts from its acceptance */

    age = run->loop.age;
    left = run->settings->run_timeout;

    if (age > 0) {
        left = (age < (int64_t) left) ? left - (ngx_msec_t) age : 1;
    }

    ngx_del_timer(&run->deadline);
    ngx_add_timer(&run->deadline, left);

    if (run->loop.cancel || run->cancelled) {
        run->state = NGX_HTTP_AGENTS_RUN_THINKING;
        ngx_http_agents_run_cancel(run);
        return;
    }

    if (run->loop.takeovers >= NGX_HTTP_AGENTS_TAKEOVERS_MAX) {
        ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_ABANDONED,
                                 "the run was taken over again and again "
                                 "without getting a step further");
        return;
    }

    if (run->model == NULL) {
        ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_CONFIG,
                                 "the model, data plane or execution cluster "
                                 "of this run is no longer configured");
        return;
    }

    ngx_add_timer(&run->begin, NGX_HTTP_AGENTS_RUN_BEGIN);
    ngx_http_agents_title_start(run);

    if (run->loop.nservers != 0) {
        ngx_http_agents_run_discover(run);

    } else {
        run->state = NGX_HTTP_AGENTS_RUN_THINKING;
        ngx_http_agents_run_thought(run);
    }
}


/* The catalog is read only: this is for a pool thread, too. */

static ngx_int_t
ngx_http_agents_run_find_model(ngx_http_agents_run_t *run)
{
    const char                 *plane, *cluster, *model;
    ngx_http_agents_loop_t     *loop;
    ngx_http_agents_catalog_t  *catalog;

    loop = &run->loop;
    catalog = ngx_http_agents_engine_conf(run->engine)->catalog;

    plane = ngx_http_agents_json_string(loop->config, "data_plane_id", NULL);
    cluster = ngx_http_agents_json_string(loop->config, "execution_cluster",
                                          NULL);
    model = ngx_http_agents_json_string(loop->config, "model", NULL);

    if (plane == NULL || cluster == NULL || model == NULL) {
        return NGX_DECLINED;
    }

    run->plane = ngx_http_agents_catalog_find_plane(catalog,
                                                    run->key.owner.company,
                                                    plane);
    if (run->plane == NULL) {
        return NGX_DECLINED;
    }

    run->cluster = ngx_http_agents_catalog_find_cluster(run->plane, cluster);
    if (run->cluster == NULL) {
        return NGX_DECLINED;
    }

    run->model = ngx_http_agents_catalog_find_model(run->plane, model);
    if (run->model == NULL) {
        return NGX_DECLINED;
    }

    loop->protocol = run->model->provider->protocol;

    ngx_http_agents_catalog_prompt(catalog, run->model, &loop->prompt);

    return NGX_OK;
}


void
ngx_http_agents_run_think(ngx_http_agents_run_t *run,
    void (*think)(ngx_http_agents_run_t *run),
    void (*then)(ngx_http_agents_run_t *run))
{
    if (run->state != NGX_HTTP_AGENTS_RUN_LOADING
        && run->state != NGX_HTTP_AGENTS_RUN_ENDING)
    {
        run->state = NGX_HTTP_AGENTS_RUN_THINKING;
    }

    run->think = think;
    run->then = then;
    run->pending++;

    ngx_http_agents_task_post(ngx_http_agents_engine_conf(run->engine)->tasks,
                              &run->task);
}


static void
ngx_http_agents_run_task_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_run_t *run = data;

    /*
     * whoever had no memory, and whether it was told or not: what has come of
     * it is not to be trusted.  A loop that has failed otherwise would do so
     * again.
     */

    errno = 0;

    run->think(run);

    if (errno == ENOMEM) {
        run->starved = 1;
    }
}


static void
ngx_http_agents_run_task_done(void *data)
{
    ngx_http_agents_run_t *run = data;

    if (ngx_http_agents_run_settled(run) == NGX_OK) {
        run->then(run);
    }
}


void
ngx_http_agents_run_discovered(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_think(run, ngx_http_agents_run_tools_think,
                              ngx_http_agents_run_thought);
}


void
ngx_http_agents_run_called(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_think(run, ngx_http_agents_run_results_think,
                              ngx_http_agents_run_thought);
}


/* The id of another inference is in the store: on to its prompt. */

void
ngx_http_agents_run_job_written(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_think(run, ngx_http_agents_run_prompt_think,
                              ngx_http_agents_run_thought);
}


static void
ngx_http_agents_run_tools_think(ngx_http_agents_run_t *run)
{
    run->next = ngx_http_agents_loop_tools(&run->loop);
    ngx_http_agents_run_prompt_think(run);
}


static void
ngx_http_agents_run_results_think(ngx_http_agents_run_t *run)
{
    run->next = ngx_http_agents_loop_results(&run->loop);
    ngx_http_agents_run_prompt_think(run);
}


/* What follows in the same thought: the prompt, or the end. */

static void
ngx_http_agents_run_prompt_think(ngx_http_agents_run_t *run)
{
    if (run->next == NGX_HTTP_AGENTS_LOOP_INFER) {
        run->next = ngx_http_agents_loop_prompt(&run->loop);
    }

    if (run->next == NGX_HTTP_AGENTS_LOOP_FINISH) {
        ngx_http_agents_loop_end(&run->loop);
    }
}


void
ngx_http_agents_run_end(ngx_http_agents_run_t *run)
{
    run->state = NGX_HTTP_AGENTS_RUN_ENDING;

    ngx_http_agents_run_think(run, ngx_http_agents_run_end_think,
                              ngx_http_agents_run_write_end);
}


/* One that was stopped while it was read has a journal nevertheless. */

static void
ngx_http_agents_run_end_think(ngx_http_agents_run_t *run)
{
    if (run->batch != NULL && run->loop.config == NULL) {
        (void) ngx_http_agents_loop_load(&run->loop, run->batch);
    }

    run->next = NGX_HTTP_AGENTS_LOOP_FINISH;
    ngx_http_agents_loop_end(&run->loop);
}


ngx_uint_t
ngx_http_agents_run_exhausted(ngx_http_agents_run_t *run)
{
    if (!run->starved) {
        return 0;
    }

    ngx_log_error(NGX_LOG_WARN, &run->log, 0,
                  "no memory for a step of the run, which begins again from "
                  "what is stored");
    ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_GIVE_UP, NULL, NULL);

    return 1;
}


void
ngx_http_agents_run_thought(ngx_http_agents_run_t *run)
{
    if (ngx_http_agents_run_exhausted(run)) {
        return;
    }

    switch (run->next) {

    case NGX_HTTP_AGENTS_LOOP_INFER:
        ngx_http_agents_run_infer(run);
        break;

    case NGX_HTTP_AGENTS_LOOP_CALL:
        ngx_http_agents_run_write_turn(run);
        break;

    default: /* NGX_HTTP_AGENTS_LOOP_FINISH */
        ngx_http_agents_run_write_end(run);
        break;
    }
}


void
ngx_http_agents_run_fail(ngx_http_agents_run_t *run, const char *incident,
    const char *why)
{
    ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_FAIL, incident, why);
}


void
ngx_http_agents_run_cancel(ngx_http_agents_run_t *run)
{
    if (run->state == NGX_HTTP_AGENTS_RUN_LOADING) {

        /* what it had done before is not known yet, and has to stay */

        run->cancelled = 1;
        return;
    }

    ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_CANCELLED,
                             "the run was cancelled");
}


void
ngx_http_agents_run_stop(ngx_http_agents_run_t *run,
    ngx_http_agents_run_stop_e stop, const char *incident, const char *why)
{
    if (run->state == NGX_HTTP_AGENTS_RUN_ENDING
        && stop == NGX_HTTP_AGENTS_STOP_FAIL)
    {
        return;
    }

    if (run->stop == NGX_HTTP_AGENTS_STOP_NOT
        || stop == NGX_HTTP_AGENTS_STOP_FORGET)
    {
        run->stop = stop;
        run->stop_incident = incident;
        run->stop_why = why;
    }

    if (run->discovering != 0) {
        run->discovering = 0;
        ngx_http_agents_run_servers_free(run);
    }

    ngx_http_agents_run_infer_cancel(run);

    if (run->queue_timer.timer_set) {
        ngx_del_timer(&run->queue_timer);
    }

    if (run->retry.timer_set) {
        ngx_del_timer(&run->retry);
    }

    ngx_http_agents_gate_leave(ngx_http_agents_engine_conf(run->engine)->gate,
                               &run->pass);
    ngx_http_agents_run_calls_cancel(run);

    if (run->pending == 0) {
        ngx_http_agents_run_conclude(run);
    }
}


ngx_int_t
ngx_http_agents_run_settled(ngx_http_agents_run_t *run)
{
    run->pending--;

    if (run->stop == NGX_HTTP_AGENTS_STOP_NOT) {
        return NGX_OK;
    }

    if (run->pending == 0) {
        ngx_http_agents_run_conclude(run);
    }

    return NGX_ABORT;
}


/* Nothing is under way any more: the run goes the way it was told to. */

static void
ngx_http_agents_run_conclude(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_stop_e  stop;

    stop = run->stop;

    run->stop = NGX_HTTP_AGENTS_STOP_NOT;
    run->state = NGX_HTTP_AGENTS_RUN_ENDING;

    switch (stop) {

    case NGX_HTTP_AGENTS_STOP_FAIL:
        ngx_http_agents_loop_fail(&run->loop, run->stop_incident, "%s",
                                  run->stop_why);
        ngx_http_agents_run_end(run);
        break;

    case NGX_HTTP_AGENTS_STOP_GIVE_UP:
        ngx_http_agents_title_stop(run);
        ngx_http_agents_run_give_up(run);
        break;

    default: /* NGX_HTTP_AGENTS_STOP_FORGET */
        ngx_http_agents_title_stop(run);
        ngx_http_agents_run_destroy(run);
        break;
    }
}


void
ngx_http_agents_run_drain(ngx_http_agents_run_t *run, ngx_uint_t late)
{
    if (!late && run->state != NGX_HTTP_AGENTS_RUN_DISCOVERING
        && run->state != NGX_HTTP_AGENTS_RUN_QUEUED)
    {
        return;
    }

    if (late && run->stop == NGX_HTTP_AGENTS_STOP_NOT) {
        ngx_log_error(NGX_LOG_WARN, &run->log, 0,
                      "agents_drain_timeout is over: the step in hand is cut "
                      "off");
    }

    ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_GIVE_UP, NULL, NULL);
}


static void
ngx_http_agents_run_begin_handler(ngx_event_t *ev)
{
    ngx_http_agents_run_write_begin(ev->data);
}


static void
ngx_http_agents_run_deadline_handler(ngx_event_t *ev)
{
    ngx_http_agents_run_t *run = ev->data;

    /* stays set, as long as the run does: an exiting worker waits for it */

    ngx_add_timer(ev, run->settings->run_timeout);

    ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_TIMEOUT,
                             NGX_HTTP_AGENTS_RUN_TOO_LONG);
}


static void
ngx_http_agents_run_retry_handler(ngx_event_t *ev)
{
    ngx_http_agents_run_t *run = ev->data;

    run->again(run);
}
