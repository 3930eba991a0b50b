
/*
 * The jobs that give conversations their titles.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_loop_title.h"
#include "ngx_http_agents_title.h"


/* In milliseconds: how long the model may take, and how often a job asks for a
 * free place in a cluster that has a bound, while its run goes on. */
#define NGX_HTTP_AGENTS_TITLE_TIMEOUT  60000
#define NGX_HTTP_AGENTS_TITLE_POLL     100


/* "pending" counts what cannot be cancelled: a batch or a task. */

struct ngx_http_agents_title_s {
    ngx_queue_t                        queue;       /* of the engine */
    ngx_http_agents_run_t             *run;         /* NULL: it has ended */
    ngx_http_agents_engine_t          *engine;
    ngx_http_agents_run_key_t          key;         /* strings: "names" */
    char                              *names;
    char                              *text;        /* the first message */
    size_t                             text_len;
    ngx_log_t                         *log;

    ngx_http_agents_plane_t           *plane;
    ngx_http_agents_cluster_t         *cluster;
    ngx_http_agents_model_t           *model;

    ngx_http_agents_prompt_t           prompt;
    ngx_http_agents_model_request_t    request;
    ngx_http_agents_pass_t             pass;
    ngx_http_agents_inference_t       *inference;
    ngx_msec_t                         since;       /* when that began */
    ngx_http_agents_refusals_t         refusals;    /* of it, so far */
    ngx_http_agents_answer_t           answer;
    char                              *title;

    ngx_http_agents_task_t             task;
    void                             (*then)(ngx_http_agents_title_t *title);
    ngx_event_t                        timer;
    ngx_msec_t                         queue_timeout;
    unsigned                           pending:1;
    unsigned                           stopped:1;
};


static ngx_http_agents_title_t *ngx_http_agents_title_create(
    ngx_http_agents_run_t *run, const char *text, size_t len);
static void ngx_http_agents_title_check(ngx_http_agents_title_t *title);
static void ngx_http_agents_title_check_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_title_think(ngx_http_agents_title_t *title,
    void (*work)(void *data, ngx_log_t *log),
    void (*then)(ngx_http_agents_title_t *title));
static void ngx_http_agents_title_think_done(void *data);
static ngx_int_t ngx_http_agents_title_settled(ngx_http_agents_title_t *title);
static void ngx_http_agents_title_ask(void *data, ngx_log_t *log);
static void ngx_http_agents_title_enter(ngx_http_agents_title_t *title);
static void ngx_http_agents_title_enter_handler(ngx_event_t *ev);
static void ngx_http_agents_title_infer(void *data);
static void ngx_http_agents_title_infer_done(void *data,
    ngx_http_agents_inference_result_t *result);
static void ngx_http_agents_title_read(void *data, ngx_log_t *log);
static void ngx_http_agents_title_write(ngx_http_agents_title_t *title);
static void ngx_http_agents_title_write_done(
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_title_cancel(ngx_http_agents_title_t *title);
static void ngx_http_agents_title_free(ngx_http_agents_title_t *title);


void
ngx_http_agents_title_start(ngx_http_agents_run_t *run)
{
    size_t                    len;
    const char               *text;
    ngx_http_agents_title_t  *title;

    if (run->loop.named || run->loop.base_version != 0) {
        return;
    }

    text = ngx_http_agents_json_string(run->loop.payload, "text", &len);
    if (text == NULL) {
        return;
    }

    title = ngx_http_agents_title_create(run, text, len);

    if (title != NULL) {
        ngx_http_agents_title_check(title);
    }
}


static ngx_http_agents_title_t *
ngx_http_agents_title_create(ngx_http_agents_run_t *run, const char *text,
    size_t len)
{
    ngx_http_agents_title_t  *title;

    title = ngx_calloc(sizeof(ngx_http_agents_title_t), &run->log);
    if (title == NULL) {
        return NULL;
    }

    title->text = ngx_alloc(len + 1, &run->log);
    title->names = ngx_http_agents_run_copy_key(&title->key, &run->key,
                                                &run->log);

    if (title->text == NULL || title->names == NULL) {
        if (title->text != NULL) {
            ngx_free(title->text);
        }

        if (title->names != NULL) {
            ngx_free(title->names);
        }

        ngx_free(title);
        return NULL;
    }

    ngx_memcpy(title->text, text, len);
    title->text_len = len;

    if (ngx_http_agents_engine_title_join(run->engine, &title->queue)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_WARN, &run->log, 0,
                      "no title for the agents conversation %s: too many are "
                      "under way", run->key.conversation);
        ngx_free(title->text);
        ngx_free(title->names);
        ngx_free(title);
        return NULL;
    }

    title->run = run;
    run->title = title;

    title->engine = run->engine;
    title->log = ngx_http_agents_engine_conf(run->engine)->log;
    title->plane = run->plane;
    title->cluster = run->cluster;

    title->model = ngx_http_agents_catalog_title_model(run->plane);
    if (title->model == NULL) {
        title->model = run->model;
    }

    ngx_http_agents_catalog_prompt(
                           ngx_http_agents_engine_conf(title->engine)->catalog,
                           title->model, &title->prompt);

    title->timer.handler = ngx_http_agents_title_enter_handler;
    title->timer.data = title;
    title->timer.log = title->log;
    title->timer.cancelable = 1;

    title->task.done = ngx_http_agents_title_think_done;
    title->task.data = title;

    title->queue_timeout = run->settings->queue_timeout;

    title->pass.enter = ngx_http_agents_title_infer;
    title->pass.data = title;

    return title;
}


/* Whether the run is the conversation's first, and there is still no name. */

static void
ngx_http_agents_title_check(ngx_http_agents_title_t *title)
{
    ngx_http_agents_db_batch_t           *batch;
    const ngx_http_agents_engine_conf_t  *conf;

    conf = ngx_http_agents_engine_conf(title->engine);

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ,
                                     ngx_http_agents_title_check_done, title);
    if (batch == NULL) {
        ngx_http_agents_title_free(title);
        return;
    }

    ngx_http_agents_conversations_untitled(batch, &title->key);

    title->pending = 1;
    ngx_http_agents_db_submit(conf->db, batch);
}


static void
ngx_http_agents_title_check_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_title_t *title = data;

    ngx_uint_t  due;

    due = ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK
          && ngx_http_agents_db_rows(batch, 0) != 0;

    ngx_http_agents_db_batch_free(batch);

    if (ngx_http_agents_title_settled(title) != NGX_OK) {
        return;
    }

    if (!due) {
        ngx_http_agents_title_free(title);
        return;
    }

    ngx_http_agents_title_think(title, ngx_http_agents_title_ask,
                                ngx_http_agents_title_enter);
}


static void
ngx_http_agents_title_think(ngx_http_agents_title_t *title,
    void (*work)(void *data, ngx_log_t *log),
    void (*then)(ngx_http_agents_title_t *title))
{
    title->task.work = work;
    title->then = then;
    title->pending = 1;

    ngx_http_agents_task_post(ngx_http_agents_engine_conf(title->engine)->tasks,
                              &title->task);
}


static void
ngx_http_agents_title_think_done(void *data)
{
    ngx_http_agents_title_t *title = data;

    if (ngx_http_agents_title_settled(title) == NGX_OK) {
        title->then(title);
    }
}


/* What was pending is over: NGX_OK to go on, NGX_ABORT: it is gone. */

static ngx_int_t
ngx_http_agents_title_settled(ngx_http_agents_title_t *title)
{
    title->pending = 0;

    if (title->stopped) {
        ngx_http_agents_title_free(title);
        return NGX_ABORT;
    }

    return NGX_OK;
}


/* In a pool thread. */

static void
ngx_http_agents_title_ask(void *data, ngx_log_t *log)
{
    ngx_http_agents_title_t *title = data;

    ngx_http_agents_model_request_clear(&title->request);

    if (ngx_http_agents_loop_title_ask(title->model->provider->protocol,
                                       &title->prompt, title->text,
                                       title->text_len, &title->request)
        == -1)
    {
        ngx_http_agents_model_request_clear(&title->request);
    }
}


/*
 * As long as its run goes on, it takes a place that nobody waits for, and
 * leaves one free for the run, if that does not have one.  Then it stands in
 * line as a run of its user's would.
 */

static void
ngx_http_agents_title_enter(ngx_http_agents_title_t *title)
{
    ngx_int_t                rc;
    ngx_msec_t               wait;
    ngx_http_agents_gate_t  *gate;

    if (title->request.body == NULL) {
        ngx_http_agents_title_free(title);
        return;
    }

    gate = ngx_http_agents_engine_conf(title->engine)->gate;

    if (title->run != NULL) {
        wait = NGX_HTTP_AGENTS_TITLE_POLL;
        rc = ngx_http_agents_gate_try(gate, &title->pass, title->plane,
                                      title->cluster,
                                      title->run->pass.state
                                      != NGX_HTTP_AGENTS_PASS_INSIDE);

    } else {
        wait = title->queue_timeout;
        rc = ngx_http_agents_gate_enter(gate, &title->pass, &title->key.owner,
                                        title->plane, title->cluster);
    }

    if (rc == NGX_OK) {
        ngx_http_agents_title_infer(title);

    } else if (rc == NGX_AGAIN) {
        ngx_add_timer(&title->timer, wait);

    } else {
        ngx_http_agents_title_free(title);
    }
}


static void
ngx_http_agents_title_enter_handler(ngx_event_t *ev)
{
    ngx_http_agents_title_t *title = ev->data;

    if (title->pass.state != NGX_HTTP_AGENTS_PASS_WAITING) {
        ngx_http_agents_title_enter(title);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, title->log, 0,
                  "no title for the agents conversation %s: no inference of "
                  "the cluster became free in time", title->key.conversation);
    ngx_http_agents_title_free(title);
}


static void
ngx_http_agents_title_infer(void *data)
{
    ngx_http_agents_title_t *title = data;

    if (title->timer.timer_set) {
        ngx_del_timer(&title->timer);
    }

    title->inference = ngx_http_agents_inference_start(title->model->provider,
                                              &title->request,
                                              NGX_HTTP_AGENTS_TITLE_TIMEOUT,
                                              title->log,
                                              ngx_http_agents_title_infer_done,
                                              title);
    if (title->inference == NULL) {
        ngx_http_agents_title_free(title);
        return;
    }

    title->since = ngx_current_msec;
    ngx_http_agents_run_infer_begun(
                                  ngx_http_agents_engine_conf(title->engine));
}


static void
ngx_http_agents_title_infer_done(void *data,
    ngx_http_agents_inference_result_t *result)
{
    ngx_http_agents_title_t *title = data;

    const ngx_http_agents_engine_conf_t  *conf;

    conf = ngx_http_agents_engine_conf(title->engine);

    title->inference = NULL;

    ngx_http_agents_run_infer_ended(conf, title->model, title->since, result);
    ngx_http_agents_gate_leave(conf->gate, &title->pass);

    if (result->status == NGX_HTTP_AGENTS_INFERENCE_LACKS
        && !(title->prompt.lacks & result->lacks))
    {
        ngx_http_agents_catalog_refused(&title->refusals, result->lacks,
                                        result->message);
        title->prompt.lacks |= result->lacks;

        ngx_http_agents_title_think(title, ngx_http_agents_title_ask,
                                    ngx_http_agents_title_enter);
        return;
    }

    if (result->status != NGX_HTTP_AGENTS_INFERENCE_REPLY) {
        ngx_log_error(NGX_LOG_WARN, title->log, 0,
                      "no title for the agents conversation %s: %s",
                      title->key.conversation, result->message);
        ngx_http_agents_title_free(title);
        return;
    }

    title->answer = result->answer;

    ngx_http_agents_catalog_learn(conf->catalog, title->model,
                                  &title->refusals, title->log);

    ngx_http_agents_title_think(title, ngx_http_agents_title_read,
                                ngx_http_agents_title_write);
}


/* In a pool thread. */

static void
ngx_http_agents_title_read(void *data, ngx_log_t *log)
{
    ngx_http_agents_title_t *title = data;

    title->title = ngx_http_agents_loop_title_read(
                                            title->model->provider->protocol,
                                            &title->prompt, &title->answer);
}


static void
ngx_http_agents_title_write(ngx_http_agents_title_t *title)
{
    ngx_http_agents_text_t       name;
    ngx_http_agents_db_batch_t  *batch;

    if (title->title == NULL) {
        ngx_log_error(NGX_LOG_WARN, title->log, 0,
                      "no title for the agents conversation %s: the model's "
                      "reply has none", title->key.conversation);
        ngx_http_agents_title_free(title);
        return;
    }

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE,
                                     ngx_http_agents_title_write_done, title);
    if (batch == NULL) {
        ngx_http_agents_title_free(title);
        return;
    }

    name.data = title->title;
    name.len = ngx_strlen(title->title);

    ngx_http_agents_conversations_title(batch, &title->key.owner,
                                        title->key.conversation, &name);

    title->pending = 1;
    ngx_http_agents_db_submit(ngx_http_agents_engine_conf(title->engine)->db,
                              batch);
}


/* Once only: a title that the store did not take is not missed. */

static void
ngx_http_agents_title_write_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_title_t *title = data;

    const char  *run;

    if (ngx_http_agents_db_status(batch) != NGX_HTTP_AGENTS_DB_OK) {
        ngx_log_error(NGX_LOG_WARN, title->log, 0,
                      "the title of the agents conversation %s was not stored",
                      title->key.conversation);

    } else if (ngx_http_agents_db_rows(batch, 0) != 0) {

        /* the run that shows it: this one, or one after it */

        run = ngx_http_agents_db_get(batch, 0, 0, 0, NULL);

        if (run != NULL) {
            ngx_http_agents_wake_run(
                      ngx_http_agents_engine_conf(title->engine)->wake, run);
        }
    }

    ngx_http_agents_db_batch_free(batch);
    ngx_http_agents_title_free(title);
}


void
ngx_http_agents_title_leave(ngx_http_agents_run_t *run)
{
    if (run->title != NULL) {
        run->title->run = NULL;
        run->title = NULL;
    }
}


void
ngx_http_agents_title_stop(ngx_http_agents_run_t *run)
{
    if (run->title != NULL) {
        ngx_http_agents_title_cancel(run->title);
    }
}


void
ngx_http_agents_title_stop_all(ngx_queue_t *titles)
{
    ngx_queue_t  *q, *next;

    for (q = ngx_queue_head(titles); q != ngx_queue_sentinel(titles); q = next)
    {
        next = ngx_queue_next(q);

        ngx_http_agents_title_cancel(ngx_queue_data(q, ngx_http_agents_title_t,
                                                    queue));
    }
}


static void
ngx_http_agents_title_cancel(ngx_http_agents_title_t *title)
{
    title->stopped = 1;

    if (!title->pending) {
        ngx_http_agents_title_free(title);
    }
}


/* Nothing is pending. */

static void
ngx_http_agents_title_free(ngx_http_agents_title_t *title)
{
    ngx_http_agents_engine_title_leave(title->engine, &title->queue);

    if (title->run != NULL) {
        title->run->title = NULL;
    }

    if (title->timer.timer_set) {
        ngx_del_timer(&title->timer);
    }

    if (title->inference != NULL) {
        ngx_http_agents_inference_cancel(title->inference);
        ngx_http_agents_run_infer_ended(
                                   ngx_http_agents_engine_conf(title->engine),
                                   title->model, title->since, NULL);
    }

    ngx_http_agents_gate_leave(
                             ngx_http_agents_engine_conf(title->engine)->gate,
                             &title->pass);

    ngx_http_agents_model_request_clear(&title->request);
    ngx_http_agents_catalog_drop(&title->refusals);

    free(title->title);
    ngx_http_agents_answer_clear(&title->answer);
    ngx_free(title->text);
    ngx_free(title->names);
    ngx_free(title);
}
