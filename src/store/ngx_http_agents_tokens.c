
/*
 * Tokens of the API, by the SHA-256 of what the caller sends.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


/* What tokens_read reads, in its order. */
#define NGX_HTTP_AGENTS_TOKEN_COLUMNS                                         \
    " id, company_id, user_id, permissions, created_at, expires_at,"          \
    " revoked_at "


static const ngx_http_agents_db_query_t  ngx_http_agents_tokens_find_query = {
    "tokens_find",

    "SELECT" NGX_HTTP_AGENTS_TOKEN_COLUMNS
    "FROM agents_tokens"
    " WHERE sha256 = {sha256} AND revoked_at IS NULL"
    " AND (expires_at IS NULL OR expires_at > {now})"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_tokens_insert_query =
{
    "tokens_insert",

    "INSERT INTO agents_tokens (sha256, id, company_id, user_id, permissions,"
    " created_at, expires_at)"
    " SELECT {sha256}, {id}, {company}, {user}, {permissions}, t.clock,"
    " CASE WHEN {expires:int} > 0 THEN t.clock + {expires:int} END"
    " FROM (SELECT {now} AS clock) AS t"
    " RETURNING" NGX_HTTP_AGENTS_TOKEN_COLUMNS
};

static const ngx_http_agents_db_query_t  ngx_http_agents_tokens_list_query = {
    "tokens_list",

    "SELECT" NGX_HTTP_AGENTS_TOKEN_COLUMNS
    "FROM agents_tokens ORDER BY created_at, id"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_tokens_revoke_query =
{
    "tokens_revoke",

    "UPDATE agents_tokens SET revoked_at = COALESCE(revoked_at, {now})"
    " WHERE id = {id}"
};


void
ngx_http_agents_tokens_find(ngx_http_agents_db_batch_t *batch,
    const char *sha256)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_tokens_find_query);
    ngx_http_agents_db_cstr(batch, "sha256", sha256);
}


void
ngx_http_agents_tokens_insert(ngx_http_agents_db_batch_t *batch,
    const char *id, const char *sha256, const ngx_http_agents_owner_t *owner,
    const char *permissions, int64_t expires)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_tokens_insert_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "id", id);
    ngx_http_agents_db_cstr(batch, "sha256", sha256);
    ngx_http_agents_db_cstr(batch, "permissions", permissions);
    ngx_http_agents_db_int(batch, "expires", expires);
}


void
ngx_http_agents_tokens_list(ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_tokens_list_query);
}


void
ngx_http_agents_tokens_revoke(ngx_http_agents_db_batch_t *batch,
    const char *id)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_tokens_revoke_query);
    ngx_http_agents_db_cstr(batch, "id", id);
}


void
ngx_http_agents_tokens_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_token_t *token)
{
    ngx_http_agents_token_t  *t;

    t = token;

    ngx_http_agents_store_text(batch, statement, row, 0, &t->id);
    ngx_http_agents_store_text(batch, statement, row, 1, &t->company_id);
    ngx_http_agents_store_text(batch, statement, row, 2, &t->user_id);
    ngx_http_agents_store_text(batch, statement, row, 3, &t->permissions);
    t->created_at = ngx_http_agents_db_get_int(batch, statement, row, 4);
    t->expires_at = ngx_http_agents_db_get_int(batch, statement, row, 5);
    t->revoked_at = ngx_http_agents_db_get_int(batch, statement, row, 6);
}
