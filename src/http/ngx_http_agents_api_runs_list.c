
/*
 * GET /agents/conversations/{id}/runs: a page of runs, in slices.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_page.h"
#include "ngx_http_agents_run_view.h"
#include "ngx_http_agents_variables.h"


static void ngx_http_agents_api_runs_list_count(
    ngx_http_agents_db_batch_t *batch, const ngx_http_agents_ctx_t *ctx);
static void ngx_http_agents_api_runs_list_slice(
    ngx_http_agents_db_batch_t *batch, const ngx_http_agents_ctx_t *ctx,
    const ngx_http_agents_slice_t *slice);
static size_t ngx_http_agents_api_runs_list_record(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, int64_t *created_at, const char **id);


static const ngx_http_agents_page_type_t  ngx_http_agents_api_runs_list_page = {
    ngx_http_agents_api_runs_list_count,
    "There is no such conversation.",
    ngx_http_agents_api_runs_list_slice,
    ngx_http_agents_api_runs_list_record
};


ngx_int_t
ngx_http_agents_api_runs_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    return ngx_http_agents_page_list(r, ctx,
                                     &ngx_http_agents_api_runs_list_page);
}


static void
ngx_http_agents_api_runs_list_count(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_runs_count(batch, &ctx->owner, (char *) ctx->id.data);
}


static void
ngx_http_agents_api_runs_list_slice(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_ctx_t *ctx, const ngx_http_agents_slice_t *slice)
{
    ngx_http_agents_runs_list(batch, &ctx->owner, (char *) ctx->id.data,
                              slice);
}


static size_t
ngx_http_agents_api_runs_list_record(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, int64_t *created_at, const char **id)
{
    size_t                        live;
    ngx_http_agents_ctx_t        *ctx;
    ngx_http_agents_run_record_t  run;

    ngx_http_agents_runs_read(batch, statement, row, &run);
    ngx_http_agents_run_view_row(r, buf, &run, batch, statement, row);

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx->conversation_id.len == 0) {
        ngx_http_agents_variables_conversation(r, &run.conversation_id);
    }

    *created_at = run.created_at;
    *id = run.id.data;

    live = ngx_http_agents_runs_live_from(batch, statement, row);

    return row + (live != 0 ? live : 1);
}
