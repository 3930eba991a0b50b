
/*
 * POST /agents/runs/{id}/cancel: the run is marked, and its owner told.  What
 * is answered is the run as it is then: how it ends is its owner's to write.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_run_view.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_wait.h"


/* Statements of the batch. */
#define NGX_HTTP_AGENTS_API_CANCEL_STOP  1
#define NGX_HTTP_AGENTS_API_CANCEL_RUN   2


static ngx_int_t ngx_http_agents_api_cancel_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_api_cancel_gone(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_api_cancel_wake(
    const ngx_http_agents_db_batch_t *batch, ngx_http_agents_wake_t *wake);
static ngx_int_t ngx_http_agents_api_cancel_reply(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch);


ngx_int_t
ngx_http_agents_api_cancel(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_db_batch_t   *batch;
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_WRITE,
                                       ngx_http_agents_api_cancel_done,
                                       ngx_http_agents_api_cancel_gone,
                                       amcf->worker->wake);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_agents_runs_cancel(batch, &ctx->owner, (char *) ctx->id.data);
    ngx_http_agents_runs_get(batch, &ctx->owner, (char *) ctx->id.data);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_cancel_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_int_t  rc;

    ngx_http_agents_api_cancel_wake(batch, data);

    rc = ngx_http_agents_reply_missing(r, batch, NGX_HTTP_AGENTS_API_CANCEL_RUN,
                                       "There is no such run.");

    if (rc == NGX_DECLINED) {
        rc = ngx_http_agents_api_cancel_reply(r, batch);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


/* The client has left: what it asked for is done all the same. */

static void
ngx_http_agents_api_cancel_gone(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_api_cancel_wake(batch, data);
    ngx_http_agents_db_batch_free(batch);
}


static void
ngx_http_agents_api_cancel_wake(const ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_wake_t *wake)
{
    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_changes(batch, NGX_HTTP_AGENTS_API_CANCEL_STOP)
           != 0)
    {
        ngx_http_agents_wake_stop(wake);
    }
}


static ngx_int_t
ngx_http_agents_api_cancel_reply(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_buf_t         buf;
    ngx_http_agents_run_record_t  run;

    ngx_http_agents_runs_read(batch, NGX_HTTP_AGENTS_API_CANCEL_RUN, 0, &run);

    ngx_http_agents_variables_run(r, &run);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_run_view(r, &buf, &run, batch,
                             NGX_HTTP_AGENTS_API_CANCEL_RUN);

    return ngx_http_agents_reply_json(r, run.finished_at == 0
                                         ? NGX_HTTP_ACCEPTED : NGX_HTTP_OK,
                                      &buf);
}
