
/*
 * Runs: how they are found and shown, and what a POST writes.  What the
 * engine writes is in ngx_http_agents_runs_write.c.  No nginx.
 */


#include <string.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_store_columns.h"


/*
 * What runs_read reads, in the order of the enumeration below; the name of
 * the run's conversation comes after it.
 */

#define NGX_HTTP_AGENTS_RUN_KEYS                                              \
    " agents_runs.company_id, agents_runs.user_id, agents_runs.id,"           \
    " agents_runs.conversation_id, agents_runs.api,"                          \
    " agents_runs.client_op_id, agents_runs.fingerprint,"                     \
    " agents_runs.status, agents_runs.owner, agents_runs.epoch,"              \
    " agents_runs.takeovers, agents_runs.rev, agents_runs.base_version,"      \
    " agents_runs.cancel,"

#define NGX_HTTP_AGENTS_RUN_REQUEST                                           \
    " agents_runs.payload, agents_runs.tool_choice,"                          \
    " agents_runs.effective_config,"

#define NGX_HTTP_AGENTS_RUN_RESULTS                                           \
    " agents_runs.iterations_used,"                                           \
    " agents_runs.prompt_tokens, agents_runs.completion_tokens,"              \
    " agents_runs.total_tokens, agents_runs.cache_read_tokens,"               \
    " agents_runs.cache_write_tokens, agents_runs.job_ids,"                   \
    " agents_runs.pending_tool_calls, agents_runs.final_text,"                \
    " agents_runs.final_structured_output, agents_runs.error_type,"           \
    " agents_runs.error_message, agents_runs.created_at,"                     \
    " agents_runs.finished_at, "

#define NGX_HTTP_AGENTS_RUN_COLUMNS                                           \
    NGX_HTTP_AGENTS_RUN_KEYS NGX_HTTP_AGENTS_RUN_REQUEST                      \
    NGX_HTTP_AGENTS_RUN_RESULTS

#define NGX_HTTP_AGENTS_RUN_CONVERSATION                                      \
    " JOIN agents_conversations c"                                            \
    " ON c.company_id = agents_runs.company_id"                               \
    " AND c.user_id = agents_runs.user_id"                                    \
    " AND c.id = agents_runs.conversation_id "


enum {
    NGX_HTTP_AGENTS_RUN_COMPANY_ID = 0,
    NGX_HTTP_AGENTS_RUN_USER_ID,
    NGX_HTTP_AGENTS_RUN_ID,
    NGX_HTTP_AGENTS_RUN_CONVERSATION_ID,
    NGX_HTTP_AGENTS_RUN_API,
    NGX_HTTP_AGENTS_RUN_CLIENT_OP_ID,
    NGX_HTTP_AGENTS_RUN_FINGERPRINT,
    NGX_HTTP_AGENTS_RUN_STATUS,
    NGX_HTTP_AGENTS_RUN_OWNER,
    NGX_HTTP_AGENTS_RUN_EPOCH,
    NGX_HTTP_AGENTS_RUN_TAKEOVERS,
    NGX_HTTP_AGENTS_RUN_REV,
    NGX_HTTP_AGENTS_RUN_BASE_VERSION,
    NGX_HTTP_AGENTS_RUN_CANCEL,
    NGX_HTTP_AGENTS_RUN_PAYLOAD,
    NGX_HTTP_AGENTS_RUN_TOOL_CHOICE,
    NGX_HTTP_AGENTS_RUN_EFFECTIVE_CONFIG,
    NGX_HTTP_AGENTS_RUN_ITERATIONS_USED,
    NGX_HTTP_AGENTS_RUN_PROMPT_TOKENS,
    NGX_HTTP_AGENTS_RUN_COMPLETION_TOKENS,
    NGX_HTTP_AGENTS_RUN_TOTAL_TOKENS,
    NGX_HTTP_AGENTS_RUN_CACHE_READ_TOKENS,
    NGX_HTTP_AGENTS_RUN_CACHE_WRITE_TOKENS,
    NGX_HTTP_AGENTS_RUN_JOB_IDS,
    NGX_HTTP_AGENTS_RUN_PENDING_TOOL_CALLS,
    NGX_HTTP_AGENTS_RUN_FINAL_TEXT,
    NGX_HTTP_AGENTS_RUN_FINAL_STRUCTURED_OUTPUT,
    NGX_HTTP_AGENTS_RUN_ERROR_TYPE,
    NGX_HTTP_AGENTS_RUN_ERROR_MESSAGE,
    NGX_HTTP_AGENTS_RUN_CREATED_AT,
    NGX_HTTP_AGENTS_RUN_FINISHED_AT,
    NGX_HTTP_AGENTS_RUN_NAME,
    NGX_HTTP_AGENTS_RUN_NAME_REV,

    /* of runs_get alone: a part of the live view, or NULLs */

    NGX_HTTP_AGENTS_RUN_LIVE_SEQUENCE_NO,
    NGX_HTTP_AGENTS_RUN_LIVE_PART,
    NGX_HTTP_AGENTS_RUN_LIVE_ROLE,
    NGX_HTTP_AGENTS_RUN_LIVE_CONTENT,
    NGX_HTTP_AGENTS_RUN_LIVE_TURN_INDEX,
    NGX_HTTP_AGENTS_RUN_LIVE_CREATED_AT
};

/* Of runs_load alone, in their place. */

enum {
    NGX_HTTP_AGENTS_RUN_REPAIR = NGX_HTTP_AGENTS_RUN_LIVE_SEQUENCE_NO,
    NGX_HTTP_AGENTS_RUN_TRACEPARENT,
    NGX_HTTP_AGENTS_RUN_TRACESTATE,
    NGX_HTTP_AGENTS_RUN_AGE
};


/* Where a record's texts and numbers come from. */

typedef struct {
    size_t  column;
    size_t  offset;
} ngx_http_agents_runs_field_t;


#define NGX_HTTP_AGENTS_RUNS_FIELD(column, field)                             \
    { NGX_HTTP_AGENTS_RUN_##column,                                           \
      offsetof(ngx_http_agents_run_record_t, field) }


static const ngx_http_agents_runs_field_t  ngx_http_agents_runs_texts[] = {
    NGX_HTTP_AGENTS_RUNS_FIELD(COMPANY_ID, company_id),
    NGX_HTTP_AGENTS_RUNS_FIELD(USER_ID, user_id),
    NGX_HTTP_AGENTS_RUNS_FIELD(ID, id),
    NGX_HTTP_AGENTS_RUNS_FIELD(CONVERSATION_ID, conversation_id),
    NGX_HTTP_AGENTS_RUNS_FIELD(API, api),
    NGX_HTTP_AGENTS_RUNS_FIELD(CLIENT_OP_ID, client_op_id),
    NGX_HTTP_AGENTS_RUNS_FIELD(FINGERPRINT, fingerprint),
    NGX_HTTP_AGENTS_RUNS_FIELD(STATUS, status),
    NGX_HTTP_AGENTS_RUNS_FIELD(OWNER, owner),
    NGX_HTTP_AGENTS_RUNS_FIELD(PAYLOAD, payload),
    NGX_HTTP_AGENTS_RUNS_FIELD(TOOL_CHOICE, tool_choice),
    NGX_HTTP_AGENTS_RUNS_FIELD(EFFECTIVE_CONFIG, effective_config),
    NGX_HTTP_AGENTS_RUNS_FIELD(JOB_IDS, job_ids),
    NGX_HTTP_AGENTS_RUNS_FIELD(PENDING_TOOL_CALLS, pending_tool_calls),
    NGX_HTTP_AGENTS_RUNS_FIELD(FINAL_TEXT, final_text),
    NGX_HTTP_AGENTS_RUNS_FIELD(FINAL_STRUCTURED_OUTPUT,
                               final_structured_output),
    NGX_HTTP_AGENTS_RUNS_FIELD(ERROR_TYPE, error_type),
    NGX_HTTP_AGENTS_RUNS_FIELD(ERROR_MESSAGE, error_message),
    NGX_HTTP_AGENTS_RUNS_FIELD(NAME, conversation_name)
};

static const ngx_http_agents_runs_field_t  ngx_http_agents_runs_ints[] = {
    NGX_HTTP_AGENTS_RUNS_FIELD(EPOCH, epoch),
    NGX_HTTP_AGENTS_RUNS_FIELD(TAKEOVERS, takeovers),
    NGX_HTTP_AGENTS_RUNS_FIELD(REV, rev),
    NGX_HTTP_AGENTS_RUNS_FIELD(BASE_VERSION, base_version),
    NGX_HTTP_AGENTS_RUNS_FIELD(CANCEL, cancel),
    NGX_HTTP_AGENTS_RUNS_FIELD(ITERATIONS_USED, iterations_used),
    NGX_HTTP_AGENTS_RUNS_FIELD(PROMPT_TOKENS, prompt_tokens),
    NGX_HTTP_AGENTS_RUNS_FIELD(COMPLETION_TOKENS, completion_tokens),
    NGX_HTTP_AGENTS_RUNS_FIELD(TOTAL_TOKENS, total_tokens),
    NGX_HTTP_AGENTS_RUNS_FIELD(CACHE_READ_TOKENS, cache_read_tokens),
    NGX_HTTP_AGENTS_RUNS_FIELD(CACHE_WRITE_TOKENS, cache_write_tokens),
    NGX_HTTP_AGENTS_RUNS_FIELD(CREATED_AT, created_at),
    NGX_HTTP_AGENTS_RUNS_FIELD(FINISHED_AT, finished_at),
    NGX_HTTP_AGENTS_RUNS_FIELD(NAME_REV, name_rev)
};


static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_by_operation_query =
{
    "runs_by_operation",

    "SELECT" NGX_HTTP_AGENTS_RUN_COLUMNS "c.name, c.name_rev"
    " FROM agents_runs" NGX_HTTP_AGENTS_RUN_CONVERSATION
    " WHERE agents_runs.company_id = {company}"
    " AND agents_runs.user_id = {user}"
    " AND agents_runs.conversation_id = {conversation}"
    " AND agents_runs.client_op_key = {op}"
};

/*
 * The run, joined with the parts of its live view: one snapshot holds for
 * both.  What was asked can be long, and is in the first row alone.
 */

#define NGX_HTTP_AGENTS_RUN_FIRST                                             \
    " CASE WHEN m.sequence_no IS NULL OR m.sequence_no ="                     \
    " (SELECT MIN(f.sequence_no) FROM agents_messages f"                      \
    " WHERE f.company_id = m.company_id AND f.user_id = m.user_id"            \
    " AND f.conversation_id = m.conversation_id"                              \
    " AND f.sequence_no > c.version AND f.live = 1) THEN "

#define NGX_HTTP_AGENTS_RUN_LIVE_COLUMNS                                      \
    NGX_HTTP_AGENTS_RUN_KEYS                                                  \
    NGX_HTTP_AGENTS_RUN_FIRST "agents_runs.payload END,"                      \
    NGX_HTTP_AGENTS_RUN_FIRST "agents_runs.tool_choice END,"                  \
    NGX_HTTP_AGENTS_RUN_FIRST "agents_runs.effective_config END,"             \
    NGX_HTTP_AGENTS_RUN_RESULTS "c.name, c.name_rev, m.sequence_no, m.part,"  \
    " m.role, m.content, m.turn_index, m.created_at"

/*
 * The whole key of the messages comes from one table, and its owner as an
 * expression: else PostgreSQL, while it knows of few rows, may look for all
 * messages of the user, whom it has as a constant.
 */

#define NGX_HTTP_AGENTS_RUN_LIVE                                              \
    NGX_HTTP_AGENTS_RUN_CONVERSATION                                          \
    " LEFT JOIN agents_messages m"                                            \
    " ON m.company_id = c.company_id || '' AND m.user_id = c.user_id || ''"   \
    " AND m.conversation_id = c.id AND m.sequence_no > c.version"             \
    " AND m.live = 1 AND m.run_id = agents_runs.id"                           \
    " AND agents_runs.finished_at IS NULL "

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_get_query = {
    "runs_get",

    "SELECT" NGX_HTTP_AGENTS_RUN_LIVE_COLUMNS
    " FROM agents_runs" NGX_HTTP_AGENTS_RUN_LIVE
    " WHERE agents_runs.company_id = {company}"
    " AND agents_runs.user_id = {user} AND agents_runs.id = {run}"
    " ORDER BY m.sequence_no, m.part"
};

/* Without its turns: for who reads them by themselves. */

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_row_query = {
    "runs_row",

    "SELECT" NGX_HTTP_AGENTS_RUN_COLUMNS "c.name, c.name_rev"
    " FROM agents_runs" NGX_HTTP_AGENTS_RUN_CONVERSATION
    " WHERE agents_runs.company_id = {company}"
    " AND agents_runs.user_id = {user} AND agents_runs.id = {run}"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_count_query = {
    "runs_count",

    "SELECT (SELECT COUNT(*) FROM agents_runs"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND conversation_id = {conversation})"
    " FROM agents_conversations"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND id = {conversation}"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_list_query = {
    "runs_list",

    "SELECT" NGX_HTTP_AGENTS_RUN_LIVE_COLUMNS
    " FROM" NGX_HTTP_AGENTS_SLICE("agents_runs",
        " AND conversation_id = {conversation}",
        "{length}(payload) + {length}(effective_config)"
        " + COALESCE({length}(final_text), 0)"
        " + COALESCE({length}(final_structured_output), 0)")
    NGX_HTTP_AGENTS_RUN_LIVE
    " WHERE slice.slice_before < {bytes:int}"
    " ORDER BY agents_runs.created_at DESC, agents_runs.id DESC,"
    " m.sequence_no, m.part"
};

/*
 * Subqueries for each key, and no join: for that PostgreSQL would be free to
 * read all rows of a user's, and to keep such a plan.
 */

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_changed_query = {
    "runs_changed",

    "SELECT k.value->>2 FROM {keys:each} k"
    " WHERE k.value->>3 <> COALESCE("
    "(SELECT CAST(r.rev AS TEXT) || '/' ||"
    " (SELECT CAST(c.name_rev AS TEXT) FROM agents_conversations c"
    " WHERE c.company_id = r.company_id AND c.user_id = r.user_id"
    " AND c.id = r.conversation_id)"
    " FROM agents_runs r"
    " WHERE r.company_id = k.value->>0 AND r.user_id = k.value->>1"
    " AND r.id = k.value->>2), '')"
};

/* The order is that of the index of active runs: SQLite takes one of all runs
 * of the user else. */

#define NGX_HTTP_AGENTS_RUNS_COUNT_ACTIVE                                     \
    "SELECT COUNT(*) FROM (SELECT 1 FROM agents_runs"                         \
    " WHERE company_id = {company} AND user_id = {user}"                      \
    " AND finished_at IS NULL ORDER BY id LIMIT {limit:int}) active"

static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_count_active_query =
{
    "runs_count_active",

    NGX_HTTP_AGENTS_RUNS_COUNT_ACTIVE
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_insert_lock_query =
{
    "runs_insert_lock",

    "SELECT {lock_owner}"
    " FROM (SELECT {company} AS company_id, {user} AS user_id) owner"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_insert_guard_query =
{
    "runs_insert_guard",

    "UPDATE agents_conversations SET active_run_id = {run}"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND id = {conversation} AND version = {version:int}"
    " AND active_run_id IS NULL"
    " AND ((pending_run_id IS NOT NULL AND {resumes:int} = 1)"
    " OR (pending_run_id IS NULL AND {resumes:int} = 0))"
    " AND ({limit:int} = 0"
    " OR {limit:int} > (" NGX_HTTP_AGENTS_RUNS_COUNT_ACTIVE "))"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_insert_query = {
    "runs_insert",

    "INSERT INTO agents_runs (company_id, user_id, id, conversation_id, api,"
    " client_op_id, client_op_key, fingerprint, status, owner, epoch,"
    " takeovers, rev, base_version, cancel, iterations_used, prompt_tokens,"
    " completion_tokens, total_tokens, cache_read_tokens, cache_write_tokens,"
    " created_at, job_ids, pending_tool_calls, tool_choice,"
    " effective_config, payload, traceparent, tracestate)"
    " SELECT {company}, {user}, {run}, {conversation}, {api},"
    " {client_op_id}, {client_op_key}, {fingerprint}, 'pending', {worker}, 1,"
    " 0, 0, {version:int}, 0, 0, 0,"
    " 0, 0, 0, 0,"
    " {now}, '[\"' || {job} || '\"]', '[]', {tool_choice},"
    " {effective_config}, {payload}, {traceparent}, {tracestate}"
    " WHERE EXISTS (SELECT 1 FROM agents_conversations"
    " WHERE company_id = {company} AND user_id = {user}"
    " AND id = {conversation} AND active_run_id = {run})"
    " RETURNING" NGX_HTTP_AGENTS_RUN_COLUMNS
    " (SELECT c.name FROM agents_conversations c"
    " WHERE c.company_id = agents_runs.company_id"
    " AND c.user_id = agents_runs.user_id"
    " AND c.id = agents_runs.conversation_id),"
    " (SELECT c.name_rev FROM agents_conversations c"
    " WHERE c.company_id = agents_runs.company_id"
    " AND c.user_id = agents_runs.user_id"
    " AND c.id = agents_runs.conversation_id)"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_runs_load_run_query =
{
    "runs_load_run",

    "SELECT" NGX_HTTP_AGENTS_RUN_COLUMNS "c.name, c.name_rev,"
    " agents_runs.repair, agents_runs.traceparent, agents_runs.tracestate,"
    " {now} - agents_runs.created_at"
    " FROM agents_runs" NGX_HTTP_AGENTS_RUN_CONVERSATION
    " WHERE agents_runs.company_id = {company}"
    " AND agents_runs.user_id = {user} AND agents_runs.id = {run}"
    " AND agents_runs.epoch = {epoch:int}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_runs_load_messages_query =
{
    "runs_load_messages",

    "SELECT" NGX_HTTP_AGENTS_MESSAGE_COLUMNS
    "FROM agents_messages m"
    " WHERE m.company_id = {company} AND m.user_id = {user}"
    " AND m.conversation_id = {conversation}"
    " ORDER BY m.sequence_no, m.part"
};


void
ngx_http_agents_runs_by_operation(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    const char *op)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_by_operation_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", conversation);
    ngx_http_agents_db_cstr(batch, "op", op);
}


void
ngx_http_agents_runs_get(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_get_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "run", id);
}


void
ngx_http_agents_runs_row(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_row_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "run", id);
}


void
ngx_http_agents_runs_count(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_count_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", conversation);
}


void
ngx_http_agents_runs_list(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    const ngx_http_agents_slice_t *slice)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_list_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "conversation", conversation);
    ngx_http_agents_store_slice(batch, slice);
}


void
ngx_http_agents_runs_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_run_record_t *run)
{
    char                                *base;
    size_t                               i;
    const ngx_http_agents_runs_field_t  *f;

    base = (char *) run;

    for (i = 0; i < sizeof(ngx_http_agents_runs_texts)
                    / sizeof(ngx_http_agents_runs_texts[0]); i++)
    {
        f = &ngx_http_agents_runs_texts[i];

        ngx_http_agents_store_text(batch, statement, row, f->column,
                              (ngx_http_agents_text_t *) (base + f->offset));
    }

    for (i = 0; i < sizeof(ngx_http_agents_runs_ints)
                    / sizeof(ngx_http_agents_runs_ints[0]); i++)
    {
        f = &ngx_http_agents_runs_ints[i];

        *(int64_t *) (base + f->offset) =
            ngx_http_agents_db_get_int(batch, statement, row, f->column);
    }
}


void
ngx_http_agents_runs_read_trace(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_run_trace_t *trace)
{
    ngx_http_agents_store_text(batch, statement, row,
                               NGX_HTTP_AGENTS_RUN_TRACEPARENT,
                               &trace->parent);
    ngx_http_agents_store_text(batch, statement, row,
                               NGX_HTTP_AGENTS_RUN_TRACESTATE, &trace->state);
}


int64_t
ngx_http_agents_runs_read_age(const ngx_http_agents_db_batch_t *batch,
    size_t statement)
{
    return ngx_http_agents_db_get_int(batch, statement, 0,
                                      NGX_HTTP_AGENTS_RUN_AGE);
}


size_t
ngx_http_agents_runs_live_from(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row)
{
    size_t       i, n;
    const char  *id, *other;

    n = ngx_http_agents_db_rows(batch, statement);

    if (row >= n
        || ngx_http_agents_db_get(batch, statement, row,
                                  NGX_HTTP_AGENTS_RUN_LIVE_ROLE, NULL)
           == NULL)
    {
        return 0;
    }

    id = ngx_http_agents_db_get(batch, statement, row, NGX_HTTP_AGENTS_RUN_ID,
                                NULL);

    for (i = row + 1; i < n; i++) {
        other = ngx_http_agents_db_get(batch, statement, i,
                                       NGX_HTTP_AGENTS_RUN_ID, NULL);
        if (strcmp(id, other) != 0) {
            break;
        }
    }

    return i - row;
}


void
ngx_http_agents_runs_read_live(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t i, ngx_http_agents_message_t *part)
{
    ngx_http_agents_message_t  *p;

    p = part;

    memset(p, 0, sizeof(ngx_http_agents_message_t));

    ngx_http_agents_store_text(batch, statement, i, NGX_HTTP_AGENTS_RUN_ID,
                               &p->run_id);
    ngx_http_agents_store_text(batch, statement, i,
                               NGX_HTTP_AGENTS_RUN_LIVE_ROLE, &p->role);
    ngx_http_agents_store_text(batch, statement, i,
                               NGX_HTTP_AGENTS_RUN_LIVE_CONTENT, &p->content);

    p->turn_index = ngx_http_agents_db_get_int(batch, statement, i,
                                         NGX_HTTP_AGENTS_RUN_LIVE_TURN_INDEX);
    p->created_at = ngx_http_agents_db_get_int(batch, statement, i,
                                         NGX_HTTP_AGENTS_RUN_LIVE_CREATED_AT);
    p->sequence_no = ngx_http_agents_db_get_int(batch, statement, i,
                                        NGX_HTTP_AGENTS_RUN_LIVE_SEQUENCE_NO);
    p->part = ngx_http_agents_db_get_int(batch, statement, i,
                                         NGX_HTTP_AGENTS_RUN_LIVE_PART);
    p->live = 1;
}


void
ngx_http_agents_runs_changed_key(ngx_http_agents_buf_t *keys,
    const ngx_http_agents_owner_t *owner, const char *id, int64_t rev,
    int64_t name_rev)
{
    ngx_http_agents_buf_adds(keys, keys->len == 0 ? "[[" : ",[");
    ngx_http_agents_json_put_string(keys, owner->company,
                                    strlen(owner->company));
    ngx_http_agents_buf_addc(keys, ',');
    ngx_http_agents_json_put_string(keys, owner->user, strlen(owner->user));
    ngx_http_agents_buf_addc(keys, ',');
    ngx_http_agents_json_put_string(keys, id, strlen(id));
    ngx_http_agents_buf_addf(keys, ",\"%lld/%lld\"]", (long long) rev,
                             (long long) name_rev);
}


void
ngx_http_agents_runs_changed(ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_buf_t *keys)
{
    ngx_http_agents_buf_addc(keys, ']');

    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_changed_query);
    ngx_http_agents_db_text(batch, "keys", keys->data, keys->len);
}


void
ngx_http_agents_runs_count_active(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_count_active_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_int(batch, "limit", limit);
}


size_t
ngx_http_agents_runs_insert(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner,
    const ngx_http_agents_run_insert_t *run)
{
    if (run->limit != 0) {
        ngx_http_agents_db_add(batch, &ngx_http_agents_runs_insert_lock_query);
        ngx_http_agents_store_owner(batch, owner);
    }

    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_insert_guard_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "run", run->id);
    ngx_http_agents_db_cstr(batch, "conversation", run->conversation);
    ngx_http_agents_db_int(batch, "version", run->expected_version);
    ngx_http_agents_db_int(batch, "resumes", run->resumes ? 1 : 0);
    ngx_http_agents_db_int(batch, "limit", run->limit);

    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_insert_query);
    ngx_http_agents_store_owner(batch, owner);
    ngx_http_agents_db_cstr(batch, "run", run->id);
    ngx_http_agents_db_cstr(batch, "conversation", run->conversation);
    ngx_http_agents_db_cstr(batch, "api", run->api);
    ngx_http_agents_db_cstr(batch, "client_op_id", run->client_op_id);
    ngx_http_agents_db_cstr(batch, "client_op_key", run->client_op_key);
    ngx_http_agents_db_cstr(batch, "fingerprint", run->fingerprint);
    ngx_http_agents_db_cstr(batch, "worker", run->worker);
    ngx_http_agents_db_int(batch, "version", run->expected_version);
    ngx_http_agents_db_cstr(batch, "job", run->first_job_id);
    ngx_http_agents_store_bind(batch, "tool_choice", &run->tool_choice);
    ngx_http_agents_store_bind(batch, "effective_config",
                               &run->effective_config);
    ngx_http_agents_store_bind(batch, "payload", &run->payload);
    ngx_http_agents_store_bind(batch, "traceparent", &run->trace.parent);
    ngx_http_agents_store_bind(batch, "tracestate", &run->trace.state);

    return run->limit != 0 ? 2 : 1;
}


void
ngx_http_agents_runs_load(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_load_run_query);
    ngx_http_agents_store_key(batch, key);

    ngx_http_agents_conversations_get(batch, &key->owner, key->conversation);

    ngx_http_agents_db_add(batch, &ngx_http_agents_runs_load_messages_query);
    ngx_http_agents_store_owner(batch, &key->owner);
    ngx_http_agents_db_cstr(batch, "conversation", key->conversation);
}


void
ngx_http_agents_runs_read_repair(const ngx_http_agents_db_batch_t *batch,
    size_t statement, ngx_http_agents_text_t *repair)
{
    ngx_http_agents_store_text(batch, statement, 0, NGX_HTTP_AGENTS_RUN_REPAIR,
                               repair);
}
