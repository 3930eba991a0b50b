
/*
 * Runs as an operator looks for them: of whoever they are.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


static const ngx_http_agents_db_query_t  ngx_http_agents_runs_recent_query = {
    "runs_recent",

    "SELECT company_id, user_id, id, conversation_id, status, owner,"
    " error_type, created_at, finished_at, iterations_used, takeovers, cancel"
    " FROM agents_runs"
    " WHERE company_id = COALESCE({company}, company_id)"
    " AND user_id = COALESCE({user}, user_id)"
    " AND status = COALESCE({status}, status)"
    " ORDER BY created_at DESC, id DESC LIMIT {limit:int}"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_find_query = {
    "runs_find",

    "SELECT company_id, user_id FROM agents_runs WHERE id = {run} LIMIT 1"
};


void
ngx_http_agents_runs_recent(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *status, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_recent_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "status", status);
    ngx_http_agents_db_int(batch, "limit", limit);
}


void
ngx_http_agents_runs_read_recent(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_run_record_t *run)
{
    ngx_http_agents_store_text(batch, statement, row, 0, &run->company_id);
    ngx_http_agents_store_text(batch, statement, row, 1, &run->user_id);
    ngx_http_agents_store_text(batch, statement, row, 2, &run->id);
    ngx_http_agents_store_text(batch, statement, row, 3,
                               &run->conversation_id);
    ngx_http_agents_store_text(batch, statement, row, 4, &run->status);
    ngx_http_agents_store_text(batch, statement, row, 5, &run->owner);
    ngx_http_agents_store_text(batch, statement, row, 6, &run->error_type);
    run->created_at = ngx_http_agents_db_get_int(batch, statement, row, 7);
    run->finished_at = ngx_http_agents_db_get_int(batch, statement, row, 8);
    run->iterations_used = ngx_http_agents_db_get_int(batch, statement, row,
                                                      9);
    run->takeovers = ngx_http_agents_db_get_int(batch, statement, row, 10);
    run->cancel = ngx_http_agents_db_get_int(batch, statement, row, 11);
}


void
ngx_http_agents_runs_find(ngx_http_agents_db_batch_t *batch, const char *id)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_find_query);
    ngx_http_agents_db_cstr(batch, "run", id);
}
