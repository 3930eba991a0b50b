
/*
 * What a check of a whole database reads.  No nginx.
 */


#include "ngx_http_agents_check.h"
#include "ngx_http_agents_store_columns.h"


#define NGX_HTTP_AGENTS_CHECK_CONVERSATION                                    \
    "SELECT company_id, user_id, id, version, active_run_id, pending_run_id"  \
    " FROM agents_conversations"

static const ngx_http_agents_db_query_t
    ngx_http_agents_check_conversations_query =
{
    "check_conversations",

    NGX_HTTP_AGENTS_CHECK_CONVERSATION
    " WHERE (company_id, user_id, id) > ({company}, {user}, {after})"
    " ORDER BY company_id, user_id, id LIMIT {limit:int}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_check_conversation_query =
{
    "check_conversation",

    NGX_HTTP_AGENTS_CHECK_CONVERSATION
    " WHERE company_id = {company} AND user_id = {user}"
    " AND id = {conversation}"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_check_runs_query = {
    "check_runs",

    "SELECT id, status, owner, epoch, takeovers, base_version,"
    " iterations_used, job_ids, pending_tool_calls, error_type,"
    " CASE WHEN final_text IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN final_structured_output IS NULL THEN 0 ELSE 1 END,"
    " created_at, finished_at,"
    " CASE WHEN owner IS NULL OR EXISTS (SELECT 1 FROM agents_workers w"
    " WHERE w.id = agents_runs.owner) THEN 1 ELSE 0 END"
    " FROM agents_runs"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND conversation_id = {conversation}"
    " AND (created_at, id) < ({created_at:int}, {before})"
    " ORDER BY created_at DESC, id DESC LIMIT {limit:int}"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_check_parts_query = {
    "check_parts",

    "SELECT m.sequence_no, m.part, m.turn_index, m.role, m.content, m.run_id,"
    " COALESCE(r.base_version, -1)"
    " FROM (SELECT k.company_id, k.user_id, k.conversation_id, k.sequence_no,"
    " k.part, SUM(k.size) OVER (ORDER BY k.sequence_no, k.part) - k.size"
    " AS page_before"
    " FROM (SELECT company_id, user_id, conversation_id, sequence_no, part,"
    " {length}(content) AS size"
    " FROM agents_messages"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND conversation_id = {conversation}"
    " AND (sequence_no, part) > ({sequence_no:int}, {part:int})"
    " ORDER BY sequence_no, part LIMIT {limit:int}) k) page"
    " JOIN agents_messages m"
    " ON m.company_id = page.company_id AND m.user_id = page.user_id"
    " AND m.conversation_id = page.conversation_id"
    " AND m.sequence_no = page.sequence_no AND m.part = page.part"
    " LEFT JOIN agents_runs r"
    " ON r.company_id = m.company_id AND r.user_id = m.user_id"
    " AND r.id = m.run_id AND r.conversation_id = m.conversation_id"
    " WHERE page.page_before < {bytes:int}"
    " ORDER BY m.sequence_no, m.part"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_check_lost_runs_query =
{
    "check_lost_runs",

    "SELECT r.company_id, r.user_id, r.conversation_id, r.id"
    " FROM agents_runs r"
    " WHERE NOT EXISTS (SELECT 1 FROM agents_conversations c"
    " WHERE c.company_id = r.company_id AND c.user_id = r.user_id"
    " AND c.id = r.conversation_id)"
    " LIMIT {limit:int}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_check_lost_messages_query =
{
    "check_lost_messages",

    "SELECT m.company_id, m.user_id, m.conversation_id, COUNT(*)"
    " FROM agents_messages m"
    " WHERE NOT EXISTS (SELECT 1 FROM agents_conversations c"
    " WHERE c.company_id = m.company_id AND c.user_id = m.user_id"
    " AND c.id = m.conversation_id)"
    " GROUP BY m.company_id, m.user_id, m.conversation_id"
    " LIMIT {limit:int}"
};


void
ngx_http_agents_check_conversations(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *after, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_check_conversations_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "after", after);
    ngx_http_agents_db_int(batch, "limit", limit);
}


void
ngx_http_agents_check_conversation(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_check_conversation_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", id);
}


void
ngx_http_agents_check_read_conversation(
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row,
    ngx_http_agents_check_conversation_t *conversation)
{
    ngx_http_agents_check_conversation_t  *c;

    c = conversation;

    ngx_http_agents_store_text(batch, statement, row, 0, &c->company_id);
    ngx_http_agents_store_text(batch, statement, row, 1, &c->user_id);
    ngx_http_agents_store_text(batch, statement, row, 2, &c->id);
    c->version = ngx_http_agents_db_get_int(batch, statement, row, 3);
    ngx_http_agents_store_text(batch, statement, row, 4, &c->active_run_id);
    ngx_http_agents_store_text(batch, statement, row, 5, &c->pending_run_id);
}


void
ngx_http_agents_check_runs(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    int64_t created_at, const char *id, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_check_runs_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", conversation);
    ngx_http_agents_db_int(batch, "created_at", created_at);
    ngx_http_agents_db_cstr(batch, "before", id);
    ngx_http_agents_db_int(batch, "limit", limit);
}


void
ngx_http_agents_check_read_run(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_check_run_t *run)
{
    ngx_http_agents_store_text(batch, statement, row, 0, &run->id);
    ngx_http_agents_store_text(batch, statement, row, 1, &run->status);
    ngx_http_agents_store_text(batch, statement, row, 2, &run->owner);
    run->epoch = ngx_http_agents_db_get_int(batch, statement, row, 3);
    run->takeovers = ngx_http_agents_db_get_int(batch, statement, row, 4);
    run->base_version = ngx_http_agents_db_get_int(batch, statement, row, 5);
    run->iterations_used = ngx_http_agents_db_get_int(batch, statement, row,
                                                      6);
    ngx_http_agents_store_text(batch, statement, row, 7, &run->job_ids);
    ngx_http_agents_store_text(batch, statement, row, 8,
                               &run->pending_tool_calls);
    ngx_http_agents_store_text(batch, statement, row, 9, &run->error_type);
    run->finals = ngx_http_agents_db_get_int(batch, statement, row, 10);
    run->created_at = ngx_http_agents_db_get_int(batch, statement, row, 11);
    run->finished_at = ngx_http_agents_db_get_int(batch, statement, row, 12);
    run->owner_known = ngx_http_agents_db_get_int(batch, statement, row, 13);
}


void
ngx_http_agents_check_parts(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    int64_t sequence_no, int64_t part, int64_t limit, int64_t bytes)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_check_parts_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", conversation);
    ngx_http_agents_db_int(batch, "sequence_no", sequence_no);
    ngx_http_agents_db_int(batch, "part", part);
    ngx_http_agents_db_int(batch, "limit", limit);
    ngx_http_agents_db_int(batch, "bytes", bytes);
}


void
ngx_http_agents_check_read_part(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_check_part_t *part)
{
    part->sequence_no = ngx_http_agents_db_get_int(batch, statement, row, 0);
    part->part = ngx_http_agents_db_get_int(batch, statement, row, 1);
    part->turn_index = ngx_http_agents_db_get_int(batch, statement, row, 2);
    ngx_http_agents_store_text(batch, statement, row, 3, &part->role);
    ngx_http_agents_store_text(batch, statement, row, 4, &part->content);
    ngx_http_agents_store_text(batch, statement, row, 5, &part->run_id);
    part->base_version = ngx_http_agents_db_get_int(batch, statement, row, 6);
}


void
ngx_http_agents_check_orphans(ngx_http_agents_db_batch_t *batch,
    int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_check_lost_runs_query);
    ngx_http_agents_db_int(batch, "limit", limit);

    ngx_http_agents_db_add(batch, &ngx_http_agents_check_lost_messages_query);
    ngx_http_agents_db_int(batch, "limit", limit);
}
