
/*
 * Messages: the committed ones and the journal.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


static const ngx_http_agents_db_query_t
    ngx_http_agents_messages_list_query =
{
    "messages_list",

    "SELECT" NGX_HTTP_AGENTS_MESSAGE_COLUMNS
    "FROM agents_messages m"
    " WHERE m.company_id = {company} AND m.user_id = {user}"
    " AND m.conversation_id = {conversation}"
    " AND m.sequence_no > {since:int} AND m.sequence_no <= {until:int}"
    " ORDER BY m.sequence_no, m.part"
    " LIMIT {limit:int}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_messages_last_assistant_query =
{
    "messages_last_assistant",

    "SELECT" NGX_HTTP_AGENTS_MESSAGE_COLUMNS
    "FROM agents_messages m"
    " WHERE m.company_id = {company} AND m.user_id = {user}"
    " AND m.conversation_id = {conversation}"
    " AND m.sequence_no <= (SELECT c.version FROM agents_conversations c"
    " WHERE c.company_id = {company} AND c.user_id = {user}"
    " AND c.id = {conversation})"
    " AND m.role = 'assistant'"
    " ORDER BY m.sequence_no DESC, m.part DESC"
    " LIMIT 1"
};


void
ngx_http_agents_messages_list(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    int64_t since, int64_t until, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_messages_list_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", conversation);
    ngx_http_agents_db_int(batch, "since", since);
    ngx_http_agents_db_int(batch, "until", until);
    ngx_http_agents_db_int(batch, "limit", limit);
}


void
ngx_http_agents_messages_last_assistant(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation)
{
    ngx_http_agents_db_add(batch,
                           &ngx_http_agents_messages_last_assistant_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", conversation);
}


void
ngx_http_agents_messages_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_message_t *message)
{
    ngx_http_agents_message_t  *m;

    m = message;

    m->sequence_no = ngx_http_agents_db_get_int(batch, statement, row, 0);
    m->part = ngx_http_agents_db_get_int(batch, statement, row, 1);
    ngx_http_agents_store_text(batch, statement, row, 2, &m->role);
    ngx_http_agents_store_text(batch, statement, row, 3, &m->content);
    ngx_http_agents_store_text(batch, statement, row, 4, &m->run_id);
    m->turn_index = ngx_http_agents_db_get_int(batch, statement, row, 5);
    m->live = ngx_http_agents_db_get_int(batch, statement, row, 6);
    ngx_http_agents_store_text(batch, statement, row, 7, &m->provider);
    m->created_at = ngx_http_agents_db_get_int(batch, statement, row, 8);
}
