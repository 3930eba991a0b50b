
/*
 * A run asks its model: in line for the cluster, the inference, and what the
 * reply means.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_authorize.h"
#include "ngx_http_agents_refusal.h"
#include "ngx_http_agents_run.h"


static void ngx_http_agents_run_infer_entered(void *data);
static void ngx_http_agents_run_infer_ask(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_infer_queue_handler(ngx_event_t *ev);
static void ngx_http_agents_run_infer_done(void *data,
    ngx_http_agents_inference_result_t *result);
static ngx_int_t ngx_http_agents_run_infer_without(ngx_http_agents_run_t *run,
    ngx_http_agents_inference_result_t *result);
static const char *ngx_http_agents_run_infer_incident(
    ngx_http_agents_inference_status_e status);
static const char *ngx_http_agents_run_infer_outcome(
    ngx_http_agents_inference_status_e status);
static void ngx_http_agents_run_infer_count(ngx_http_agents_run_t *run,
    const ngx_http_agents_run_progress_t *before);
static void ngx_http_agents_run_infer_judge(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_infer_judged(ngx_http_agents_run_t *run);


void
ngx_http_agents_run_infer_init(ngx_http_agents_run_t *run)
{
    run->queue_timer.handler = ngx_http_agents_run_infer_queue_handler;
    run->queue_timer.data = run;
    run->queue_timer.log = &run->log;

    run->pass.enter = ngx_http_agents_run_infer_entered;
    run->pass.data = run;
}


void
ngx_http_agents_run_infer(ngx_http_agents_run_t *run)
{
    ngx_int_t                             rc;
    const ngx_http_agents_engine_conf_t  *conf;

    if (ngx_http_agents_engine_draining(run->engine)) {
        ngx_http_agents_run_stop(run, NGX_HTTP_AGENTS_STOP_GIVE_UP, NULL,
                                 NULL);
        return;
    }

    conf = ngx_http_agents_engine_conf(run->engine);

    run->state = NGX_HTTP_AGENTS_RUN_QUEUED;
    run->since = ngx_current_msec;

    rc = ngx_http_agents_gate_enter(conf->gate, &run->pass, &run->key.owner,
                                    run->plane, run->cluster);

    if (rc == NGX_OK) {
        ngx_http_agents_run_infer_entered(run);
        return;
    }

    if (rc == NGX_AGAIN) {
        ngx_add_timer(&run->queue_timer, run->settings->queue_timeout);
        return;
    }

    if (rc == NGX_ERROR) {
        ngx_http_agents_run_wait(run, ngx_http_agents_run_infer);
        return;
    }

    ngx_log_error(NGX_LOG_ALERT, &run->log, 0,
                  "there are more clusters with max_inferences than the zone "
                  "has room for");
    ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_INTERNAL,
                             "the node cannot count this cluster's "
                             "inferences");
}


static void
ngx_http_agents_run_infer_entered(void *data)
{
    ngx_http_agents_run_t *run = data;

    const ngx_http_agents_engine_conf_t  *conf;

    conf = ngx_http_agents_engine_conf(run->engine);

    if (run->cluster->max_inferences != 0) {
        ngx_http_agents_metrics_observe(conf->metrics,
                                  NGX_HTTP_AGENTS_METRIC_QUEUE_TIME,
                                  1000 * (uint64_t) (ngx_current_msec
                                                     - run->since),
                                  (const char *) run->plane->id.data,
                                  (const char *) run->cluster->name.data);
    }

    if (run->queue_timer.timer_set) {
        ngx_del_timer(&run->queue_timer);
    }

    ngx_http_agents_run_infer_ask(run);
}


static void
ngx_http_agents_run_infer_ask(ngx_http_agents_run_t *run)
{
    ngx_msec_int_t  left;

    run->state = NGX_HTTP_AGENTS_RUN_INFERRING;
    run->loop.begun = run->loop.progress.iterations_used + 1;
    run->since = ngx_current_msec;

    left = (ngx_msec_int_t) (run->deadline.timer.key - ngx_current_msec);
    left = ngx_max(left, 1);

    run->bound = left <= (ngx_msec_int_t) run->settings->inference_timeout;

    if (!run->bound) {
        left = run->settings->inference_timeout;
    }

    run->inference = ngx_http_agents_inference_start(run->model->provider,
                                                     &run->loop.request, left,
                                                     &run->log,
                                                ngx_http_agents_run_infer_done,
                                                     run);

    if (run->inference == NULL) {
        ngx_http_agents_run_wait(run, ngx_http_agents_run_infer_ask);
        return;
    }

    ngx_http_agents_run_tell(run);
    ngx_http_agents_run_infer_begun(ngx_http_agents_engine_conf(run->engine));
}


void
ngx_http_agents_run_infer_cancel(ngx_http_agents_run_t *run)
{
    if (run->inference == NULL) {
        return;
    }

    ngx_http_agents_inference_cancel(run->inference);
    run->inference = NULL;

    ngx_http_agents_run_tell_drop(run);

    ngx_http_agents_run_infer_ended(ngx_http_agents_engine_conf(run->engine),
                                    run->model, run->since, NULL);
}


static void
ngx_http_agents_run_infer_done(void *data,
    ngx_http_agents_inference_result_t *result)
{
    ngx_http_agents_run_t *run = data;

    const char                           *incident;
    const ngx_http_agents_engine_conf_t  *conf;

    conf = ngx_http_agents_engine_conf(run->engine);

    run->inference = NULL;
    run->state = NGX_HTTP_AGENTS_RUN_THINKING;

    ngx_http_agents_run_infer_ended(conf, run->model, run->since, result);
    ngx_http_agents_gate_leave(conf->gate, &run->pass);

    if (result->status == NGX_HTTP_AGENTS_INFERENCE_REPLY) {
        run->answer = result->answer;

        ngx_http_agents_catalog_learn(conf->catalog, run->model,
                                      &run->refusals, &run->log);

        ngx_http_agents_run_tell_judge(run);
        ngx_http_agents_run_think(run, ngx_http_agents_run_infer_judge,
                                  ngx_http_agents_run_infer_judged);
        return;
    }

    ngx_http_agents_run_tell_drop(run);

    if (result->status == NGX_HTTP_AGENTS_INFERENCE_LACKS
        && ngx_http_agents_run_infer_without(run, result) == NGX_OK)
    {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, &run->log, 0, "inference failed: %s",
                  result->message);

    /* the run's own deadline, which its timer did not see first */

    if (result->status == NGX_HTTP_AGENTS_INFERENCE_TIMEOUT && run->bound) {
        ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_TIMEOUT,
                                 NGX_HTTP_AGENTS_RUN_TOO_LONG);
        return;
    }

    incident = ngx_http_agents_run_infer_incident(result->status);

    ngx_http_agents_loop_fail(&run->loop, incident, "%s", result->message);

    ngx_http_agents_run_end(run);
}


/*
 * The model was asked for what it cannot do: this inference is made again
 * without it, and those that follow do not ask for it either.
 * NGX_DECLINED if it was not asked for.
 */

static ngx_int_t
ngx_http_agents_run_infer_without(ngx_http_agents_run_t *run,
    ngx_http_agents_inference_result_t *result)
{
    unsigned  lacks;

    lacks = ngx_http_agents_refusal_next(run->loop.prompt.lacks,
                                         result->lacks);
    if (lacks == 0) {
        return NGX_DECLINED;
    }

    ngx_http_agents_catalog_refused(&run->refusals, lacks, result->message);
    run->loop.prompt.lacks |= lacks;

    ngx_http_agents_run_job_written(run);

    return NGX_OK;
}


static const char *
ngx_http_agents_run_infer_incident(ngx_http_agents_inference_status_e status)
{
    switch (status) {

    case NGX_HTTP_AGENTS_INFERENCE_CONTEXT:
        return NGX_HTTP_AGENTS_INCIDENT_CONTEXT;

    case NGX_HTTP_AGENTS_INFERENCE_FILTERED:
        return NGX_HTTP_AGENTS_INCIDENT_FILTERED;

    default:
        return NGX_HTTP_AGENTS_INCIDENT_INFERENCE;
    }
}


void
ngx_http_agents_run_infer_begun(const ngx_http_agents_engine_conf_t *conf)
{
    ngx_http_agents_slots_add(conf->slots, NGX_HTTP_AGENTS_GAUGE_INFERENCES,
                              1);
}


void
ngx_http_agents_run_infer_ended(const ngx_http_agents_engine_conf_t *conf,
    const ngx_http_agents_model_t *model, ngx_msec_t since,
    const ngx_http_agents_inference_result_t *result)
{
    const char  *provider, *name;

    provider = (const char *) model->provider->name.data;
    name = (const char *) model->name.data;

    ngx_http_agents_slots_add(conf->slots, NGX_HTTP_AGENTS_GAUGE_INFERENCES,
                              -1);

    ngx_http_agents_metrics_add(conf->metrics,
                                NGX_HTTP_AGENTS_METRIC_INFERENCES, 1, provider,
                                name, result == NULL ? "cancelled"
                                : ngx_http_agents_run_infer_outcome(
                                                              result->status));

    if (result == NULL) {
        return;
    }

    ngx_http_agents_metrics_add(conf->metrics, NGX_HTTP_AGENTS_METRIC_RETRIES,
                                result->attempts - 1, provider, name, NULL);
    ngx_http_agents_metrics_observe(conf->metrics,
                               NGX_HTTP_AGENTS_METRIC_INFERENCE_TIME,
                               1000 * (uint64_t) (ngx_current_msec - since),
                               provider, name);
}


static const char *
ngx_http_agents_run_infer_outcome(ngx_http_agents_inference_status_e status)
{
    switch (status) {

    case NGX_HTTP_AGENTS_INFERENCE_REPLY:
        return "reply";

    case NGX_HTTP_AGENTS_INFERENCE_CONTEXT:
        return "context_overflow";

    case NGX_HTTP_AGENTS_INFERENCE_FILTERED:
        return "filtered";

    case NGX_HTTP_AGENTS_INFERENCE_TIMEOUT:
        return "timeout";

    case NGX_HTTP_AGENTS_INFERENCE_LACKS:
        return "unsupported";

    default: /* NGX_HTTP_AGENTS_INFERENCE_FAILED */
        return "failed";
    }
}


/* In a pool thread: what a reply has added. */

static void
ngx_http_agents_run_infer_count(ngx_http_agents_run_t *run,
    const ngx_http_agents_run_progress_t *before)
{
    const char                            *provider, *model;
    ngx_http_agents_metrics_t             *metrics;
    const ngx_http_agents_run_progress_t  *now;

    metrics = ngx_http_agents_engine_conf(run->engine)->metrics;
    now = &run->loop.progress;

    provider = (const char *) run->model->provider->name.data;
    model = (const char *) run->model->name.data;

    ngx_http_agents_metrics_add(metrics, NGX_HTTP_AGENTS_METRIC_ITERATIONS,
                                now->iterations_used - before->iterations_used,
                                NULL, NULL, NULL);

    ngx_http_agents_metrics_add(metrics, NGX_HTTP_AGENTS_METRIC_TOKENS,
                                now->prompt_tokens - before->prompt_tokens,
                                provider, model, "prompt");
    ngx_http_agents_metrics_add(metrics, NGX_HTTP_AGENTS_METRIC_TOKENS,
                                now->completion_tokens
                                - before->completion_tokens,
                                provider, model, "completion");
    ngx_http_agents_metrics_add(metrics, NGX_HTTP_AGENTS_METRIC_TOKENS,
                                now->cache_read_tokens
                                - before->cache_read_tokens,
                                provider, model, "cache_read");
    ngx_http_agents_metrics_add(metrics, NGX_HTTP_AGENTS_METRIC_TOKENS,
                                now->cache_write_tokens
                                - before->cache_write_tokens,
                                provider, model, "cache_write");
}


static void
ngx_http_agents_run_infer_queue_handler(ngx_event_t *ev)
{
    ngx_http_agents_run_t *run = ev->data;

    ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_QUEUE,
                             "no inference of this cluster became free in "
                             "time");
}


static void
ngx_http_agents_run_infer_judge(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_progress_t  before;

    ngx_http_agents_model_request_clear(&run->loop.request);

    before = run->loop.progress;

    run->next = ngx_http_agents_loop_judge(&run->loop, &run->answer);

    ngx_http_agents_run_tell_compare(run);
    ngx_http_agents_run_infer_count(run, &before);
    ngx_http_agents_answer_clear(&run->answer);

    if (run->loop.incident != NULL) {
        ngx_http_agents_authorize_redact_conf(run->model->provider,
                                              &run->loop.message);
    }

    if (run->next == NGX_HTTP_AGENTS_LOOP_FINISH) {
        ngx_http_agents_loop_end(&run->loop);
    }
}


/* An inference again right after one: its id is written before it begins. */

static void
ngx_http_agents_run_infer_judged(ngx_http_agents_run_t *run)
{
    if (ngx_http_agents_run_exhausted(run)) {
        return;
    }

    ngx_http_agents_run_tell_judged(run);

    if (run->next == NGX_HTTP_AGENTS_LOOP_INFER) {
        ngx_http_agents_run_write_job(run);
        return;
    }

    ngx_http_agents_run_thought(run);
}
