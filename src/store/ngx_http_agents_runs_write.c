
/*
 * What the engine writes of a run, and how it is told to stop.  Each batch of
 * the engine begins with the guard: an UPDATE of the run's row on the condition
 * of its epoch, which takes the row's lock; what follows asks for the same
 * epoch once more, and sees under that lock what the guard saw.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


static const ngx_http_agents_db_query_t  ngx_http_agents_runs_begin_query = {
    "runs_begin",

    "UPDATE agents_runs SET rev = rev + 1, status = 'running'"
    " WHERE" NGX_HTTP_AGENTS_RUN_GUARD
    " RETURNING id"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_step_query = {
    "runs_step",

    "UPDATE agents_runs SET rev = rev + 1, takeovers = 0, status = 'running',"
    " iterations_used = {iterations_used:int},"
    " prompt_tokens = {prompt_tokens:int},"
    " completion_tokens = {completion_tokens:int},"
    " total_tokens = {total_tokens:int},"
    " cache_read_tokens = {cache_read_tokens:int},"
    " cache_write_tokens = {cache_write_tokens:int},"
    " job_ids = {job_ids}, repair = {repair}"
    " WHERE" NGX_HTTP_AGENTS_RUN_GUARD
};

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_touch_query = {
    "runs_touch",

    "UPDATE agents_runs SET rev = rev + 1"
    " WHERE" NGX_HTTP_AGENTS_RUN_GUARD
};

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_add_part_query =
{
    "runs_add_part",

    "INSERT INTO agents_messages (company_id, user_id, conversation_id,"
    " sequence_no, part, turn_index, live, created_at, role, run_id, content,"
    " provider)"
    " SELECT {company}, {user}, {conversation},"
    " {sequence_no:int}, {part:int}, {turn_index:int}, {live:int}, {now},"
    " {role}, {run}, {content}, {provider}"
    " WHERE" NGX_HTTP_AGENTS_RUN_GUARDED
    " ON CONFLICT DO NOTHING"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_drop_parts_query =
{
    "runs_drop_parts",

    "DELETE FROM agents_messages"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND conversation_id = {conversation}"
    " AND sequence_no > {sequence_no:int} AND run_id = {run}"
    " AND" NGX_HTTP_AGENTS_RUN_GUARDED
};

/*
 * Calls that waited for outputs still do if this run left the version alone:
 * it failed before any reply.  A version never goes back, whatever it is told.
 */

static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_finish_conversation_query =
{
    "runs_finish_conversation",

    "UPDATE agents_conversations SET active_run_id = NULL,"
    " pending_run_id = CASE WHEN {status} = 'requires_action' THEN {run}"
    " WHEN version < {version:int} THEN NULL ELSE pending_run_id END,"
    " version = CASE WHEN version < {version:int} THEN {version:int}"
    " ELSE version END, updated_at = {now}"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND id = {conversation} AND active_run_id = {run}"
    " AND" NGX_HTTP_AGENTS_RUN_GUARDED
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_finish_run_query =
{
    "runs_finish_run",

    "UPDATE agents_runs SET rev = rev + 1, epoch = epoch + 1, owner = NULL,"
    " status = {status}, finished_at = {now},"
    " pending_tool_calls = {pending_tool_calls}, final_text = {final_text},"
    " final_structured_output = {final_structured_output},"
    " error_type = {error_type}, error_message = {error_message}"
    " WHERE" NGX_HTTP_AGENTS_RUN_GUARD
    " AND EXISTS (SELECT 1 FROM agents_conversations c"
    " WHERE c.company_id = {company} AND c.user_id = {user}"
    " AND c.id = {conversation})"
};

/* Not the owner's: whoever drives the run by then. */

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_cancel_query = {
    "runs_cancel",

    "UPDATE agents_runs SET cancel = 1"
    " WHERE company_id = {company} AND user_id = {user} AND id = {run}"
    " AND finished_at IS NULL"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_cancel_stop_query =
{
    "runs_cancel_stop",

    "INSERT INTO agents_stops (worker, run_id, created_at)"
    " SELECT owner, id, {now} FROM agents_runs"
    " WHERE company_id = {company} AND user_id = {user} AND id = {run}"
    " AND finished_at IS NULL AND owner IS NOT NULL"
    " ON CONFLICT DO NOTHING RETURNING {notify_stop}"
};


void
ngx_http_agents_runs_begin(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_begin_query);
    ngx_http_agents_store_key(batch, key);
}


void
ngx_http_agents_runs_step(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key,
    const ngx_http_agents_run_progress_t *progress)
{
    const ngx_http_agents_run_progress_t  *p;

    p = progress;

    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_step_query);
    ngx_http_agents_store_key(batch, key);
    ngx_http_agents_db_int(batch, "iterations_used", p->iterations_used);
    ngx_http_agents_db_int(batch, "prompt_tokens", p->prompt_tokens);
    ngx_http_agents_db_int(batch, "completion_tokens", p->completion_tokens);
    ngx_http_agents_db_int(batch, "total_tokens", p->total_tokens);
    ngx_http_agents_db_int(batch, "cache_read_tokens", p->cache_read_tokens);
    ngx_http_agents_db_int(batch, "cache_write_tokens", p->cache_write_tokens);
    ngx_http_agents_store_bind(batch, "job_ids", &p->job_ids);
    ngx_http_agents_store_bind(batch, "repair", &p->repair);
}


void
ngx_http_agents_runs_touch(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_touch_query);
    ngx_http_agents_store_key(batch, key);
}


void
ngx_http_agents_runs_add_part(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key,
    const ngx_http_agents_message_t *part)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_add_part_query);
    ngx_http_agents_store_key(batch, key);
    ngx_http_agents_db_cstr(batch, "conversation", key->conversation);
    ngx_http_agents_db_int(batch, "sequence_no", part->sequence_no);
    ngx_http_agents_db_int(batch, "part", part->part);
    ngx_http_agents_db_int(batch, "turn_index", part->turn_index);
    ngx_http_agents_db_int(batch, "live", part->live);
    ngx_http_agents_store_bind(batch, "role", &part->role);
    ngx_http_agents_store_bind(batch, "content", &part->content);
    ngx_http_agents_store_bind(batch, "provider", &part->provider);
}


void
ngx_http_agents_runs_drop_parts(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key, int64_t sequence_no)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_drop_parts_query);
    ngx_http_agents_store_key(batch, key);
    ngx_http_agents_db_cstr(batch, "conversation", key->conversation);
    ngx_http_agents_db_int(batch, "sequence_no", sequence_no);
}


void
ngx_http_agents_runs_finish(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key,
    const ngx_http_agents_run_end_t *end)
{
    ngx_http_agents_db_add(batch,
                           &ngx_http_agents_runs_finish_conversation_query);
    ngx_http_agents_store_key(batch, key);
    ngx_http_agents_db_cstr(batch, "conversation", key->conversation);
    ngx_http_agents_db_cstr(batch, "status", end->status);
    ngx_http_agents_db_int(batch, "version", end->version);

    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_finish_run_query);
    ngx_http_agents_store_key(batch, key);
    ngx_http_agents_db_cstr(batch, "conversation", key->conversation);
    ngx_http_agents_db_cstr(batch, "status", end->status);
    ngx_http_agents_store_bind(batch, "pending_tool_calls",
                               &end->pending_tool_calls);
    ngx_http_agents_store_bind(batch, "final_text", &end->final_text);
    ngx_http_agents_store_bind(batch, "final_structured_output",
                               &end->final_structured_output);
    ngx_http_agents_db_cstr(batch, "error_type", end->error_type);
    ngx_http_agents_store_bind(batch, "error_message", &end->error_message);
}


void
ngx_http_agents_runs_cancel(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_cancel_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "run", id);

    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_cancel_stop_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "run", id);
}
