
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_run_view.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_wait.h"


static ngx_int_t ngx_http_agents_api_runs_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_runs_reply(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch);


ngx_int_t
ngx_http_agents_api_runs_get(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_POINT,
                                       ngx_http_agents_api_runs_found, NULL,
                                       NULL);
    if (batch == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_agents_runs_get(batch, &ctx->owner, (char *) ctx->id.data);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_runs_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_int_t                    rc;
    ngx_http_agents_db_status_e  status;

    status = ngx_http_agents_db_status(batch);

    if (status != NGX_HTTP_AGENTS_DB_OK) {
        rc = ngx_http_agents_reply_store(r, status);

    } else if (ngx_http_agents_db_rows(batch, 0) == 0) {
        rc = ngx_http_agents_reply_status(r, NGX_HTTP_NOT_FOUND,
                                          "There is no such run.");

    } else {
        rc = ngx_http_agents_api_runs_reply(r, batch);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_api_runs_reply(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_buf_t         buf;
    ngx_http_agents_run_record_t  run;

    ngx_http_agents_runs_read(batch, 0, 0, &run);

    ngx_http_agents_variables_run(r, &run);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_run_view(r, &buf, &run, batch, 0);

    return ngx_http_agents_reply_json_etag(r, &buf);
}
