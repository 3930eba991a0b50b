
/*
 * What the query files share: how they bind and read, and which columns a
 * record is read from.  Only they include it.  No nginx.
 */


#ifndef _NGX_HTTP_AGENTS_STORE_COLUMNS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_STORE_COLUMNS_H_INCLUDED_


#include "ngx_http_agents_store.h"


/* What conversations_read reads, in its order. */
#define NGX_HTTP_AGENTS_CONVERSATION_COLUMNS                                  \
    " id, name, name_rev, version, system_prompt, defaults, active_run_id,"   \
    " pending_run_id, created_at, updated_at "

/* What messages_read reads, in its order; "m" is agents_messages. */
#define NGX_HTTP_AGENTS_MESSAGE_COLUMNS                                       \
    " m.sequence_no, m.part, m.role, m.content, m.run_id, m.turn_index,"      \
    " m.live, m.provider, m.created_at "


/*
 * What makes a slice of "table", to be joined with it: the keys that come into
 * question, newest first, each with the size of all before it.  No long text
 * is carried through the window, which would have to hold it.  The join takes
 * the whole key from the slice: given the owner twice, PostgreSQL might begin
 * with all that is the owner's.
 */
#define NGX_HTTP_AGENTS_SLICE(table, where, size)                             \
    " (SELECT k.company_id AS slice_company, k.user_id AS slice_user,"        \
    " k.id AS slice_id, SUM(k.slice_size) OVER (ORDER BY"                     \
    " k.created_at DESC, k.id DESC) - k.slice_size AS slice_before"           \
    " FROM (SELECT company_id, user_id, id, created_at, " size                \
    " AS slice_size FROM " table                                              \
    " WHERE company_id = {company} AND user_id = {user}" where                \
    " AND (created_at, id) < ({created_at:int}, {before})"                    \
    " ORDER BY created_at DESC, id DESC"                                      \
    " LIMIT {limit:int} OFFSET {offset:int}) k) slice"                        \
    " JOIN " table " ON " table ".company_id = slice.slice_company"           \
    " AND " table ".user_id = slice.slice_user"                               \
    " AND " table ".id = slice.slice_id "

/* Binds {company} and {user}. */
void ngx_http_agents_store_owner(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner);

/* Binds {company}, {user}, {run} and {epoch:int}. */
void ngx_http_agents_store_key(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key);

/* Binds what NGX_HTTP_AGENTS_SLICE has, and {bytes:int}. */
void ngx_http_agents_store_slice(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_slice_t *slice);

void ngx_http_agents_store_bind(ngx_http_agents_db_batch_t *batch,
    const char *name, const ngx_http_agents_text_t *text);

void ngx_http_agents_store_text(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, size_t column,
    ngx_http_agents_text_t *text);


/* The condition of the guard and of what depends on it: the run's key. */
#define NGX_HTTP_AGENTS_RUN_GUARD                                             \
    " company_id = {company} AND user_id = {user} AND id = {run}"             \
    " AND epoch = {epoch:int} AND finished_at IS NULL "

#define NGX_HTTP_AGENTS_RUN_GUARDED                                           \
    " EXISTS (SELECT 1 FROM agents_runs WHERE" NGX_HTTP_AGENTS_RUN_GUARD ") "


#endif /* _NGX_HTTP_AGENTS_STORE_COLUMNS_H_INCLUDED_ */
