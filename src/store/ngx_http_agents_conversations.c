
/*
 * Conversations.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_insert_query =
{
    "conversations_insert",

    "INSERT INTO agents_conversations (company_id, user_id, id, name,"
    " name_rev, version, system_prompt, defaults, created_at, updated_at)"
    " SELECT {company}, {user}, {id}, {name}, 0, 0, {system_prompt},"
    " {defaults}, t.clock, t.clock"
    " FROM (SELECT {now} AS clock) AS t"
    " RETURNING" NGX_HTTP_AGENTS_CONVERSATION_COLUMNS
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_get_query =
{
    "conversations_get",

    "SELECT" NGX_HTTP_AGENTS_CONVERSATION_COLUMNS
    "FROM agents_conversations"
    " WHERE company_id = {company} AND user_id = {user} AND id = {id}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_count_query =
{
    "conversations_count",

    "SELECT COUNT(*) FROM agents_conversations"
    " WHERE company_id = {company} AND user_id = {user}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_list_query =
{
    "conversations_list",

    "SELECT" NGX_HTTP_AGENTS_CONVERSATION_COLUMNS
    "FROM" NGX_HTTP_AGENTS_SLICE("agents_conversations", "",
        "{length}(defaults) + COALESCE({length}(system_prompt), 0)")
    " WHERE slice_before < {bytes:int}"
    " ORDER BY created_at DESC, id DESC"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_rename_query =
{
    "conversations_rename",

    "UPDATE agents_conversations SET name = {name}, name_rev = name_rev + 1,"
    " updated_at = {now}"
    " WHERE company_id = {company} AND user_id = {user} AND id = {id}"
    " AND ({seen:int} = 0 OR (name_rev = {name_rev:int}"
    " AND version = {version:int} AND updated_at = {updated_at:int}))"
    " RETURNING" NGX_HTTP_AGENTS_CONVERSATION_COLUMNS
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_untitled_query =
{
    "conversations_untitled",

    "SELECT 1 FROM agents_conversations c"
    " WHERE c.company_id = {company} AND c.user_id = {user}"
    " AND c.id = {conversation} AND c.name IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM agents_runs r"
    " WHERE r.company_id = {company} AND r.user_id = {user}"
    " AND r.conversation_id = {conversation} AND r.id <> {run})"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_conversations_title_query =
{
    "conversations_title",

    "UPDATE agents_conversations SET name = {name}, name_rev = name_rev + 1,"
    " updated_at = {now}"
    " WHERE company_id = {company} AND user_id = {user} AND id = {id}"
    " AND name IS NULL"
    " RETURNING active_run_id"
};


void
ngx_http_agents_conversations_insert(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id,
    const ngx_http_agents_text_t *name,
    const ngx_http_agents_text_t *system_prompt,
    const ngx_http_agents_text_t *defaults)
{
    static const ngx_http_agents_text_t  null = { NULL, 0 };

    ngx_http_agents_db_add(batch, &ngx_http_agents_conversations_insert_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "id", id);
    ngx_http_agents_store_bind(batch, "name", name ? name : &null);
    ngx_http_agents_store_bind(batch, "system_prompt",
                               system_prompt ? system_prompt : &null);
    ngx_http_agents_store_bind(batch, "defaults", defaults);
}


void
ngx_http_agents_conversations_get(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_conversations_get_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "id", id);
}


void
ngx_http_agents_conversations_count(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_conversations_count_query);
    ngx_http_agents_store_owner(batch, owner);
}


void
ngx_http_agents_conversations_list(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner,
    const ngx_http_agents_slice_t *slice)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_conversations_list_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_store_slice(batch, slice);
}


void
ngx_http_agents_conversations_rename(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id,
    const ngx_http_agents_text_t *name,
    const ngx_http_agents_conversation_t *seen)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_conversations_rename_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "id", id);
    ngx_http_agents_store_bind(batch, "name", name);
    ngx_http_agents_db_int(batch, "seen", seen != NULL);
    ngx_http_agents_db_int(batch, "name_rev", seen ? seen->name_rev : 0);
    ngx_http_agents_db_int(batch, "version", seen ? seen->version : 0);
    ngx_http_agents_db_int(batch, "updated_at", seen ? seen->updated_at : 0);
}


void
ngx_http_agents_conversations_untitled(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_db_add(batch,
                           &ngx_http_agents_conversations_untitled_query);
    ngx_http_agents_store_owner(batch, &key->owner);
    ngx_http_agents_db_cstr(batch, "conversation", key->conversation);
    ngx_http_agents_db_cstr(batch, "run", key->id);
}


void
ngx_http_agents_conversations_title(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id,
    const ngx_http_agents_text_t *name)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_conversations_title_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "id", id);
    ngx_http_agents_store_bind(batch, "name", name);
}


void
ngx_http_agents_conversations_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_conversation_t *conversation)
{
    ngx_http_agents_conversation_t  *c;

    c = conversation;

    ngx_http_agents_store_text(batch, statement, row, 0, &c->id);
    ngx_http_agents_store_text(batch, statement, row, 1, &c->name);
    c->name_rev = ngx_http_agents_db_get_int(batch, statement, row, 2);
    c->version = ngx_http_agents_db_get_int(batch, statement, row, 3);
    ngx_http_agents_store_text(batch, statement, row, 4, &c->system_prompt);
    ngx_http_agents_store_text(batch, statement, row, 5, &c->defaults);
    ngx_http_agents_store_text(batch, statement, row, 6, &c->active_run_id);
    ngx_http_agents_store_text(batch, statement, row, 7, &c->pending_run_id);
    c->created_at = ngx_http_agents_db_get_int(batch, statement, row, 8);
    c->updated_at = ngx_http_agents_db_get_int(batch, statement, row, 9);
}
