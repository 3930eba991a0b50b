
/*
 * Messages: the committed ones and the journal.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


static const ngx_http_agents_db_query_t
    ngx_http_agents_messages_list_query =
{
    "messages_list",

    "SELECT m.sequence_no, m.part, m.role, m.content, m.run_id, m.turn_index,"
    " m.live, NULL, m.created_at, page.page_next"
    " FROM (SELECT k.company_id, k.user_id, k.conversation_id, k.sequence_no,"
    " k.part,"
    " SUM(k.size) OVER w - k.size AS page_before,"
    " LEAD(k.sequence_no) OVER w AS page_next"
    " FROM (SELECT company_id, user_id, conversation_id, sequence_no, part,"
    " {length}(content) AS size"
    " FROM agents_messages"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND conversation_id = {conversation}"
    " AND sequence_no > {since:int} AND sequence_no <= {until:int}"
    " ORDER BY sequence_no, part LIMIT {limit:int}) k"
    " WINDOW w AS (ORDER BY k.sequence_no, k.part)) page"
    " JOIN agents_messages m"
    " ON m.company_id = page.company_id AND m.user_id = page.user_id"
    " AND m.conversation_id = page.conversation_id"
    " AND m.sequence_no = page.sequence_no AND m.part = page.part"
    " WHERE page.page_before < {bytes:int}"
    " ORDER BY m.sequence_no, m.part"
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
    int64_t since, int64_t until, int64_t limit, int64_t bytes)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_messages_list_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", conversation);
    ngx_http_agents_db_int(batch, "since", since);
    ngx_http_agents_db_int(batch, "until", until);
    ngx_http_agents_db_int(batch, "limit", limit);
    ngx_http_agents_db_int(batch, "bytes", bytes);
}


int
ngx_http_agents_messages_goes_on(const ngx_http_agents_db_batch_t *batch,
    size_t statement, int64_t limit)
{
    size_t  last;

    last = ngx_http_agents_db_rows(batch, statement);

    if (last == 0) {
        return 0;
    }

    last--;

    /* the number of the part behind it; none where the parts or the limit
     * came to their end */

    if (ngx_http_agents_db_get(batch, statement, last, 9, NULL) == NULL) {
        return (int64_t) last + 1 >= limit;
    }

    return ngx_http_agents_db_get_int(batch, statement, last, 9)
           == ngx_http_agents_db_get_int(batch, statement, last, 0);
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
