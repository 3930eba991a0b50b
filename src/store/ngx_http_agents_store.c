
/*
 * How the query files bind and read.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


void
ngx_http_agents_store_owner(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner)
{
    ngx_http_agents_db_cstr(batch, "company", owner->company);
    ngx_http_agents_db_cstr(batch, "user", owner->user);
}


void
ngx_http_agents_store_key(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_store_owner(batch, &key->owner);
    ngx_http_agents_db_cstr(batch, "run", key->id);
    ngx_http_agents_db_int(batch, "epoch", key->epoch);
}


void
ngx_http_agents_store_slice(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_slice_t *slice)
{
    ngx_http_agents_db_int(batch, "created_at",
                           slice->id ? slice->created_at : INT64_MAX);
    ngx_http_agents_db_cstr(batch, "before", slice->id ? slice->id : "");
    ngx_http_agents_db_int(batch, "offset", slice->offset);
    ngx_http_agents_db_int(batch, "limit", slice->limit);
    ngx_http_agents_db_int(batch, "bytes", slice->bytes);
}


void
ngx_http_agents_store_bind(ngx_http_agents_db_batch_t *batch,
    const char *name, const ngx_http_agents_text_t *text)
{
    ngx_http_agents_db_text(batch, name, text->data, text->len);
}


void
ngx_http_agents_store_text(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, size_t column,
    ngx_http_agents_text_t *text)
{
    text->data = ngx_http_agents_db_get(batch, statement, row, column,
                                        &text->len);
}
