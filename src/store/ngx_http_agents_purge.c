
/*
 * Conversations that nothing has happened in for long.  They are found by a
 * walk through all of them, in slices: an index by time would be written at
 * each end of a run.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


static const ngx_http_agents_db_query_t  ngx_http_agents_purge_slice_query = {
    "purge_slice",

    "SELECT company_id, user_id, id,"
    " CASE WHEN active_run_id IS NULL AND updated_at < {now} - {age:int}"
    " THEN 1 ELSE 0 END, version"
    " FROM agents_conversations"
    " WHERE (company_id, user_id, id) > ({company}, {user}, {after})"
    " ORDER BY company_id, user_id, id LIMIT {limit:int}"
};

/* It takes the conversation's lock: no run is accepted from here on, or one
 * has been, and the row stays. */

static const ngx_http_agents_db_query_t
    ngx_http_agents_purge_conversation_query =
{
    "purge_conversation",

    "DELETE FROM agents_conversations"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND id = {conversation}"
    " AND active_run_id IS NULL AND updated_at < {now} - {age:int}"
};

#define NGX_HTTP_AGENTS_PURGE_OF                                              \
    " WHERE company_id = {company} AND user_id = {user}"                      \
    " AND conversation_id = {conversation}"                                   \
    " AND NOT EXISTS (SELECT 1 FROM agents_conversations"                     \
    " WHERE company_id = {company} AND user_id = {user}"                      \
    " AND id = {conversation})"

static const ngx_http_agents_db_query_t  ngx_http_agents_purge_runs_query = {
    "purge_runs",

    "DELETE FROM agents_runs" NGX_HTTP_AGENTS_PURGE_OF
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_purge_messages_query =
{
    "purge_messages",

    "DELETE FROM agents_messages" NGX_HTTP_AGENTS_PURGE_OF
};

static const ngx_http_agents_db_query_t  ngx_http_agents_purge_claim_query = {
    "purge_claim",

    "INSERT INTO agents_chores"
    " (name, due_at, company_id, user_id, conversation_id)"
    " VALUES ('purge', {now} + {hold:int}, '', '', '')"
    " ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at"
    " WHERE agents_chores.due_at <= {now}"
    " RETURNING company_id, user_id, conversation_id"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_purge_moved_query = {
    "purge_moved",

    "UPDATE agents_chores SET due_at = {now} + {pause:int},"
    " company_id = {company}, user_id = {user}, conversation_id = {after}"
    " WHERE name = 'purge'"
};


void
ngx_http_agents_purge_slice(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *after, int64_t age)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_purge_slice_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "after", after);
    ngx_http_agents_db_int(batch, "age", age);
    ngx_http_agents_db_int(batch, "limit", NGX_HTTP_AGENTS_PURGE_SLICE);
}


size_t
ngx_http_agents_purge_add(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_db_batch_t *slice, size_t *row, int64_t age)
{
    size_t                   n, rows;
    int64_t                  messages;
    const char              *id;
    ngx_http_agents_owner_t  owner;

    rows = ngx_http_agents_db_rows(slice, 0);
    messages = 0;

    for (n = 0; *row < rows && n < NGX_HTTP_AGENTS_PURGE_BATCH; (*row)++) {

        if (ngx_http_agents_db_get_int(slice, 0, *row, 3) == 0) {
            continue;
        }

        messages += ngx_http_agents_db_get_int(slice, 0, *row, 4);

        if (messages > NGX_HTTP_AGENTS_PURGE_MESSAGES && n != 0) {
            break;
        }

        owner.company = ngx_http_agents_db_get(slice, 0, *row, 0, NULL);
        owner.user = ngx_http_agents_db_get(slice, 0, *row, 1, NULL);
        id = ngx_http_agents_db_get(slice, 0, *row, 2, NULL);

        ngx_http_agents_db_add(batch,
                               &ngx_http_agents_purge_conversation_query);
        ngx_http_agents_store_owner(batch, &owner);
        ngx_http_agents_db_cstr(batch, "conversation", id);
        ngx_http_agents_db_int(batch, "age", age);

        ngx_http_agents_db_add(batch, &ngx_http_agents_purge_runs_query);
        ngx_http_agents_store_owner(batch, &owner);
        ngx_http_agents_db_cstr(batch, "conversation", id);

        ngx_http_agents_db_add(batch, &ngx_http_agents_purge_messages_query);
        ngx_http_agents_store_owner(batch, &owner);
        ngx_http_agents_db_cstr(batch, "conversation", id);

        n++;
    }

    return n;
}


void
ngx_http_agents_purge_count(const ngx_http_agents_db_batch_t *batch,
    size_t n, ngx_http_agents_purged_t *purged)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        purged->conversations += ngx_http_agents_db_changes(batch, 3 * i);
        purged->runs += ngx_http_agents_db_changes(batch, 3 * i + 1);
        purged->messages += ngx_http_agents_db_changes(batch, 3 * i + 2);
    }
}


void
ngx_http_agents_purge_claim(ngx_http_agents_db_batch_t *batch, int64_t hold)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_purge_claim_query);
    ngx_http_agents_db_int(batch, "hold", hold);
}


void
ngx_http_agents_purge_moved(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *after, int64_t pause)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_purge_moved_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "after", after);
    ngx_http_agents_db_int(batch, "pause", pause);
}
