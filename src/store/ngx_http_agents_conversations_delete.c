
/*
 * A conversation goes, with all that belongs to it.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


#define NGX_HTTP_AGENTS_CONVERSATIONS_DELETE_OF                               \
    " WHERE company_id = {company} AND user_id = {user}"                      \
    " AND conversation_id = {conversation} "


/*
 * A run is locked before its conversation, as its end does it: the other way
 * round they would wait for each other.
 */

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_delete_lock_query =
{
    "conversations_delete_lock",

    "UPDATE agents_runs SET cancel = 1"
    NGX_HTTP_AGENTS_CONVERSATIONS_DELETE_OF
    "AND finished_at IS NULL"
};

/* A run may have been accepted since: none can be from here on. */

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_delete_query =
{
    "conversations_delete",

    "DELETE FROM agents_conversations"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND id = {conversation}"
    " RETURNING active_run_id"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_delete_stop_query =
{
    "conversations_delete_stop",

    "INSERT INTO agents_stops (worker, run_id, created_at)"
    " SELECT owner, id, {now} FROM agents_runs"
    NGX_HTTP_AGENTS_CONVERSATIONS_DELETE_OF
    "AND finished_at IS NULL AND owner IS NOT NULL"
    " ON CONFLICT DO NOTHING RETURNING {notify_stop}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_delete_runs_query =
{
    "conversations_delete_runs",

    "DELETE FROM agents_runs"
    NGX_HTTP_AGENTS_CONVERSATIONS_DELETE_OF
};

/*
 * After the runs: a part that its run was just writing was committed before
 * that run's row could be deleted, and is seen here.
 */

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_delete_messages_query =
{
    "conversations_delete_messages",

    "DELETE FROM agents_messages"
    NGX_HTTP_AGENTS_CONVERSATIONS_DELETE_OF
};


void
ngx_http_agents_conversations_delete(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id)
{
    size_t  i;

    static const ngx_http_agents_db_query_t *const  queries[] = {
        &ngx_http_agents_conversations_delete_lock_query,
        &ngx_http_agents_conversations_delete_query,
        &ngx_http_agents_conversations_delete_stop_query,
        &ngx_http_agents_conversations_delete_runs_query,
        &ngx_http_agents_conversations_delete_messages_query
    };

    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        ngx_http_agents_db_add(batch, queries[i]);
        ngx_http_agents_store_owner(batch, owner);
        ngx_http_agents_db_cstr(batch, "conversation", id);
    }
}
