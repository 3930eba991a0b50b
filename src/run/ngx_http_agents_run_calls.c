
/*
 * A run and its MCP servers: discovery of all of them side by side, and the
 * calls of one turn side by side.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_run.h"


/* Calls of one turn that are under way at a time: each has a connection. */
#define NGX_HTTP_AGENTS_CALLS_MAX  64


static void ngx_http_agents_run_owner(ngx_http_agents_run_t *run,
    ngx_http_agents_background_owner_t *owner);
static void ngx_http_agents_run_discover_done(void *data,
    ngx_http_agents_mcp_discovery_t *discovery);
static void ngx_http_agents_run_call_next(ngx_http_agents_run_t *run);
static ngx_int_t ngx_http_agents_run_call_send(ngx_http_agents_run_call_t *rc);
static void ngx_http_agents_run_call_refuse(ngx_http_agents_run_call_t *rc,
    const char *why);
static size_t ngx_http_agents_run_call_room(ngx_http_agents_run_t *run);
static void ngx_http_agents_run_call_bound(ngx_http_agents_run_call_t *rc);
static void ngx_http_agents_run_call_done(void *data,
    ngx_http_agents_mcp_result_t *result);
static void ngx_http_agents_run_call_count(ngx_http_agents_run_call_t *rc,
    const char *outcome);
static void ngx_http_agents_run_call_result(ngx_http_agents_run_call_t *rc);
static void ngx_http_agents_run_call_work(void *data, ngx_log_t *log);
static void ngx_http_agents_run_call_worked(void *data);


void
ngx_http_agents_run_discover(ngx_http_agents_run_t *run)
{
    json_t                               *list, *entry;
    ngx_uint_t                            i, n;
    ngx_http_agents_mcp_trace_t           trace;
    ngx_http_agents_run_server_t         *rs;
    ngx_http_agents_background_owner_t    owner;
    const ngx_http_agents_engine_conf_t  *conf;

    conf = ngx_http_agents_engine_conf(run->engine);
    n = run->loop.nservers;

    run->state = NGX_HTTP_AGENTS_RUN_DISCOVERING;

    run->servers = ngx_calloc(n * sizeof(ngx_http_agents_run_server_t),
                              &run->log);
    if (run->servers == NULL) {
        goto failed;
    }

    list = ngx_http_agents_json_array(run->loop.config, "mcp_servers");

    ngx_http_agents_run_owner(run, &owner);

    trace.parent = run->loop.traceparent;
    trace.state = run->loop.tracestate;

    for (i = 0; i < n; i++) {
        rs = &run->servers[i];
        entry = json_array_get(list, i);

        rs->run = run;
        rs->index = i;
        rs->since = ngx_current_msec;
        rs->server = ngx_http_agents_mcp_server_create(&run->settings->mcp,
                         conf->eras, conf->tasks, &owner, &trace,
                         ngx_http_agents_json_string(entry, "alias", NULL),
                         ngx_http_agents_json_string(entry, "url", NULL),
                         conf->log);
        if (rs->server == NULL) {
            goto failed;
        }

        run->nservers++;

        if (ngx_http_agents_mcp_discover(rs->server,
                                         ngx_http_agents_run_discover_done, rs)
            != NGX_OK)
        {
            goto failed;
        }

        run->discovering++;
    }

    return;

failed:

    ngx_http_agents_run_servers_free(run);
    run->discovering = 0;

    ngx_http_agents_run_wait(run, ngx_http_agents_run_discover);
}


/* Texts of the key: the run lives longer than its servers. */

static void
ngx_http_agents_run_owner(ngx_http_agents_run_t *run,
    ngx_http_agents_background_owner_t *owner)
{
    owner->company.data = (u_char *) run->key.owner.company;
    owner->company.len = ngx_strlen(run->key.owner.company);
    owner->user.data = (u_char *) run->key.owner.user;
    owner->user.len = ngx_strlen(run->key.owner.user);
    owner->conversation.data = (u_char *) run->key.conversation;
    owner->conversation.len = ngx_strlen(run->key.conversation);
    owner->run.data = (u_char *) run->key.id;
    owner->run.len = ngx_strlen(run->key.id);
}


/* One failure fails the run, and ends the discovery of the others. */

static void
ngx_http_agents_run_discover_done(void *data,
    ngx_http_agents_mcp_discovery_t *discovery)
{
    ngx_http_agents_run_server_t *rs = data;

    json_t                     *entry;
    ngx_http_agents_run_t      *run;
    ngx_http_agents_metrics_t  *metrics;

    run = rs->run;
    metrics = ngx_http_agents_engine_conf(run->engine)->metrics;

    ngx_http_agents_metrics_add(metrics, NGX_HTTP_AGENTS_METRIC_DISCOVERIES, 1,
                                discovery->tools != NULL ? "ok" : "failed",
                                NULL, NULL);
    ngx_http_agents_metrics_observe(metrics,
                                NGX_HTTP_AGENTS_METRIC_DISCOVERY_TIME,
                                1000 * (uint64_t) (ngx_current_msec
                                                   - rs->since),
                                NULL, NULL);

    if (discovery->tools != NULL) {
        run->loop.discovered[rs->index] = discovery->tools;

        if (--run->discovering == 0) {
            ngx_http_agents_run_discovered(run);
        }

        return;
    }

    entry = json_array_get(ngx_http_agents_json_array(run->loop.config,
                                                      "mcp_servers"),
                           rs->index);

    ngx_http_agents_loop_fail(&run->loop, NGX_HTTP_AGENTS_INCIDENT_DISCOVERY,
                              "the tools of the MCP server \"%s\" cannot be "
                              "discovered: %s",
                              ngx_http_agents_json_string(entry, "alias",
                                                          NULL),
                              discovery->why);

    ngx_http_agents_run_fail(run, NGX_HTTP_AGENTS_INCIDENT_DISCOVERY,
                             "MCP discovery failed");
}


void
ngx_http_agents_run_servers_free(ngx_http_agents_run_t *run)
{
    ngx_uint_t  i;

    for (i = 0; i < run->nservers; i++) {
        ngx_http_agents_mcp_server_destroy(run->servers[i].server);
    }

    ngx_free(run->servers);

    run->servers = NULL;
    run->nservers = 0;
}


/* The turn is in the store: its calls go out. */

void
ngx_http_agents_run_call(ngx_http_agents_run_t *run)
{
    ngx_uint_t                   i;
    ngx_http_agents_loop_t      *loop;
    ngx_http_agents_call_t      *call;
    ngx_http_agents_run_call_t  *rc;

    loop = &run->loop;

    run->state = NGX_HTTP_AGENTS_RUN_CALLING;
    run->open_calls = 0;

    run->calls = ngx_calloc(ngx_max(loop->ncalls, 1)
                            * sizeof(ngx_http_agents_run_call_t), &run->log);
    if (run->calls == NULL) {
        ngx_http_agents_run_wait(run, ngx_http_agents_run_call);
        return;
    }

    run->ncalls = loop->ncalls;
    run->next_call = 0;
    run->flying = 0;

    for (i = 0; i < loop->ncalls; i++) {
        call = &loop->calls[i];
        rc = &run->calls[i];

        rc->run = run;
        rc->index = i;
        rc->task.work = ngx_http_agents_run_call_work;
        rc->task.done = ngx_http_agents_run_call_worked;
        rc->task.data = rc;

        if (call->kind == NGX_HTTP_AGENTS_CALL_MCP && call->result == NULL) {
            run->open_calls++;
        }
    }

    run->unsent_calls = run->open_calls;

    if (run->open_calls == 0) {
        ngx_http_agents_run_calls_free(run);
        ngx_http_agents_run_called(run);
        return;
    }

    ngx_http_agents_run_call_next(run);
}


/* Those that are not yet out, as many as may be. */

static void
ngx_http_agents_run_call_next(ngx_http_agents_run_t *run)
{
    ngx_http_agents_call_t  *call;

    while (run->next_call < run->ncalls
           && run->flying < NGX_HTTP_AGENTS_CALLS_MAX)
    {
        call = &run->loop.calls[run->next_call];

        if (call->kind == NGX_HTTP_AGENTS_CALL_MCP && call->result == NULL
            && ngx_http_agents_run_call_send(&run->calls[run->next_call])
               != NGX_OK)
        {
            ngx_http_agents_run_wait(run, ngx_http_agents_run_call_again);
            return;
        }

        run->next_call++;
    }
}


/* What there was no memory for, and what the store did not take. */

void
ngx_http_agents_run_call_again(ngx_http_agents_run_t *run)
{
    ngx_uint_t                   i;
    ngx_http_agents_run_call_t  *rc;

    for (i = 0; i < run->ncalls; i++) {
        rc = &run->calls[i];

        if (!rc->lost) {
            continue;
        }

        rc->lost = 0;
        rc->is_error = 1;
        rc->max = run->settings->tool_result_max;
        rc->of_run = 0;
        rc->content = json_pack("[{s:s, s:s}]", "type", "text", "text",
                                "The tool was called, but its result was "
                                "lost: there was no memory for it.");
        ngx_http_agents_run_call_result(rc);
    }

    ngx_http_agents_run_call_next(run);
    ngx_http_agents_run_write_results(run);
}


/* NGX_DECLINED: it could not go out, and there is time to try again. */

static ngx_int_t
ngx_http_agents_run_call_send(ngx_http_agents_run_call_t *rc)
{
    ngx_http_agents_run_t   *run;
    ngx_http_agents_call_t  *call;

    run = rc->run;
    call = &run->loop.calls[rc->index];

    if (rc->since == 0) {
        rc->since = ngx_current_msec;
    }

    if (ngx_http_agents_run_call_room(run) == 0) {

        /* what it says could not be shown to the model */

        ngx_http_agents_run_call_refuse(rc, "The tool was not called: all "
                                        "results of this run are together "
                                        "over the limit.");
        return NGX_OK;
    }

    rc->call = ngx_http_agents_mcp_call(run->servers[call->server].server,
                                        call->tool, call->arguments,
                                        run->settings->tool_timeout,
                                        ngx_http_agents_run_call_done, rc);
    if (rc->call != NULL) {
        run->flying++;
        return NGX_OK;
    }

    if (ngx_current_msec - rc->since < run->settings->tool_timeout) {
        return NGX_DECLINED;
    }

    ngx_http_agents_run_call_refuse(rc, "The tool could not be called.");

    return NGX_OK;
}


static void
ngx_http_agents_run_call_refuse(ngx_http_agents_run_call_t *rc,
    const char *why)
{
    ngx_http_agents_run_call_count(rc, "failed");

    rc->is_error = 1;
    rc->max = rc->run->settings->tool_result_max;
    rc->content = json_pack("[{s:s, s:s}]", "type", "text", "text", why);

    ngx_http_agents_run_call_result(rc);
}


/* Bytes of text that the run's results may still have. */

static size_t
ngx_http_agents_run_call_room(ngx_http_agents_run_t *run)
{
    size_t  max;

    max = run->settings->run_results_max;

    return (run->loop.results < max) ? max - run->loop.results : 0;
}


static void
ngx_http_agents_run_call_done(void *data,
    ngx_http_agents_mcp_result_t *result)
{
    ngx_http_agents_run_call_t *rc = data;

    rc->call = NULL;
    rc->content = result->content;
    rc->is_error = result->is_error;
    rc->max = rc->run->settings->tool_result_max;

    if (!result->failed) {
        ngx_http_agents_run_call_bound(rc);
    }

    ngx_http_agents_run_call_count(rc, result->failed ? "failed"
                                       : result->is_error ? "error" : "ok");
    ngx_http_agents_run_call_result(rc);

    rc->run->flying--;
    ngx_http_agents_run_call_next(rc->run);
}


/* How much is kept of what a server said: first come, first served. */

static void
ngx_http_agents_run_call_bound(ngx_http_agents_run_call_t *rc)
{
    size_t                  room, size;
    ngx_http_agents_run_t  *run;

    run = rc->run;

    room = ngx_http_agents_run_call_room(run);

    if (room < rc->max) {
        rc->max = room;
        rc->of_run = 1;
    }

    size = ngx_http_agents_loop_result_size(rc->content);

    run->loop.results += ngx_min(size, rc->max);
}


/* NULL: cancelled. */

static void
ngx_http_agents_run_call_count(ngx_http_agents_run_call_t *rc,
    const char *outcome)
{
    ngx_http_agents_metrics_t  *metrics;

    metrics = ngx_http_agents_engine_conf(rc->run->engine)->metrics;

    ngx_http_agents_metrics_add(metrics, NGX_HTTP_AGENTS_METRIC_CALLS, 1,
                                outcome != NULL ? outcome : "cancelled", NULL,
                                NULL);

    if (outcome != NULL) {
        ngx_http_agents_metrics_observe(metrics,
                                NGX_HTTP_AGENTS_METRIC_CALL_TIME,
                                1000 * (uint64_t) (ngx_current_msec
                                                   - rc->since),
                                NULL, NULL);
    }
}


static void
ngx_http_agents_run_call_result(ngx_http_agents_run_call_t *rc)
{
    ngx_http_agents_run_t  *run;

    run = rc->run;
    run->pending++;

    ngx_http_agents_task_post(ngx_http_agents_engine_conf(run->engine)->tasks,
                              &rc->task);
}


static void
ngx_http_agents_run_call_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_run_call_t *rc = data;

    ngx_http_agents_run_t  *run;

    run = rc->run;

    ngx_http_agents_loop_result(&run->loop.calls[rc->index], rc->content,
                                rc->is_error, rc->max, rc->of_run);
    rc->content = NULL;
}


static void
ngx_http_agents_run_call_worked(void *data)
{
    ngx_http_agents_run_call_t *rc = data;

    ngx_http_agents_run_t  *run;

    run = rc->run;

    if (ngx_http_agents_run_settled(run) != NGX_OK) {
        return;
    }

    if (run->loop.calls[rc->index].text == NULL) {
        rc->lost = 1;
        ngx_http_agents_run_wait(run, ngx_http_agents_run_call_again);
        return;
    }

    rc->ready = 1;
    ngx_http_agents_run_write_results(run);
}


void
ngx_http_agents_run_calls_cancel(ngx_http_agents_run_t *run)
{
    ngx_uint_t  i;

    for (i = 0; i < run->ncalls; i++) {
        if (run->calls[i].call != NULL) {
            ngx_http_agents_mcp_call_cancel(run->calls[i].call);
            run->calls[i].call = NULL;
            run->flying--;
            ngx_http_agents_run_call_count(&run->calls[i], NULL);
        }
    }
}


void
ngx_http_agents_run_calls_free(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_calls_cancel(run);

    ngx_free(run->calls);

    run->calls = NULL;
    run->ncalls = 0;
}
