
/*
 * The JSON of a run, and of what it shares with other resources.
 */


#ifndef _NGX_HTTP_AGENTS_RUN_VIEW_H_INCLUDED_
#define _NGX_HTTP_AGENTS_RUN_VIEW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_store.h"


/*
 * Writes a run, with the live view of the parts that follow it in the result
 * of ngx_http_agents_runs_get.  "batch" NULL: a run without live turns.
 */
void ngx_http_agents_run_view(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run,
    const ngx_http_agents_db_batch_t *batch, size_t statement);

/* The same of the run that starts in a row of ngx_http_agents_runs_list. */
void ngx_http_agents_run_view_row(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run,
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row);

/* The same without "live". */
void ngx_http_agents_run_view_bare(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run);

/* Writes the elements of a JSON array without its brackets, and a comma
 * before them where "more" of them stand in the buffer already. */
void ngx_http_agents_run_view_blocks(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_text_t *array, ngx_uint_t more);


#endif /* _NGX_HTTP_AGENTS_RUN_VIEW_H_INCLUDED_ */
