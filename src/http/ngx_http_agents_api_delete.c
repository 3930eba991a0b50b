
/*
 * DELETE /agents/conversations/{id}: all of it goes in one batch, and whoever
 * drives its run is told.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_wait.h"


/* Statements of the batch. */
#define NGX_HTTP_AGENTS_API_DELETE_CONVERSATION  1
#define NGX_HTTP_AGENTS_API_DELETE_STOP          2


static ngx_int_t ngx_http_agents_api_delete_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_api_delete_gone(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_api_delete_wake(
    const ngx_http_agents_db_batch_t *batch, ngx_http_agents_wake_t *wake);


ngx_int_t
ngx_http_agents_api_delete(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_db_batch_t   *batch;
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_WRITE,
                                       ngx_http_agents_api_delete_done,
                                       ngx_http_agents_api_delete_gone,
                                       amcf->worker->wake);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_agents_conversations_delete(batch, &ctx->owner,
                                         (char *) ctx->id.data);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_delete_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_int_t  rc;

    ngx_http_agents_api_delete_wake(batch, data);

    rc = ngx_http_agents_reply_missing(r, batch,
                                       NGX_HTTP_AGENTS_API_DELETE_CONVERSATION,
                                       "There is no such conversation.");

    if (rc == NGX_DECLINED) {
        rc = ngx_http_agents_reply_empty(r);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


/* The client has left: what it asked for is done all the same. */

static void
ngx_http_agents_api_delete_gone(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_api_delete_wake(batch, data);
    ngx_http_agents_db_batch_free(batch);
}


/* The run's owner, and those who wait for the run. */

static void
ngx_http_agents_api_delete_wake(const ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_wake_t *wake)
{
    const char  *run;

    if (ngx_http_agents_db_status(batch) != NGX_HTTP_AGENTS_DB_OK
        || ngx_http_agents_db_rows(batch,
                                   NGX_HTTP_AGENTS_API_DELETE_CONVERSATION)
           == 0)
    {
        return;
    }

    if (ngx_http_agents_db_changes(batch, NGX_HTTP_AGENTS_API_DELETE_STOP)
        != 0)
    {
        ngx_http_agents_wake_stop(wake);
    }

    run = ngx_http_agents_db_get(batch,
                                 NGX_HTTP_AGENTS_API_DELETE_CONVERSATION, 0, 0,
                                 NULL);
    if (run != NULL) {
        ngx_http_agents_wake_run(wake, run);
    }
}
