
/*
 * The queries: all SQL of the project, behind typed functions that add
 * statements to a batch, and readers that turn a row of its result into a
 * record.  One .c file per table.  No nginx; event loop, or agentsctl.
 *
 * Each "add" function says which statement it adds; statements count from 0
 * in the order of the calls.  Strings of a record live as long as its batch.
 *
 * Every write of a run begins with its guard: an UPDATE of its row on the
 * condition of its epoch; what follows in the batch holds only if the guard
 * did.  A batch whose guard changed no row changed nothing at all.
 */


#ifndef _NGX_HTTP_AGENTS_STORE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_STORE_H_INCLUDED_


#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_db.h"


/* Whose data: from the bearer token; NUL terminated, never empty. */
typedef struct {
    const char  *company;
    const char  *user;
} ngx_http_agents_owner_t;


/*
 * A part of a list that is newest first: at most "limit" records that are
 * older than the one with this time and id, after "offset" of them.  It ends
 * earlier after a record that brings its long texts to "bytes" or beyond.
 */
typedef struct {
    int64_t      created_at;
    const char  *id;        /* NULL: from the newest on */
    int64_t      offset;
    int64_t      limit;
    int64_t      bytes;
} ngx_http_agents_slice_t;


/* ---- conversations (ngx_http_agents_conversations.c) ---- */

typedef struct {
    ngx_http_agents_text_t  id;
    ngx_http_agents_text_t  name;               /* or NULL */
    int64_t                 name_rev;
    int64_t                 version;
    ngx_http_agents_text_t  system_prompt;      /* or NULL */
    ngx_http_agents_text_t  defaults;           /* JSON, every field */
    ngx_http_agents_text_t  active_run_id;      /* pending or running */
    ngx_http_agents_text_t  pending_run_id;     /* its calls wait for outputs */
    int64_t                 created_at;
    int64_t                 updated_at;
} ngx_http_agents_conversation_t;

/* INSERT, RETURNING the whole row. "name" and "system_prompt" may be NULL. */
void ngx_http_agents_conversations_insert(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id,
    const ngx_http_agents_text_t *name,
    const ngx_http_agents_text_t *system_prompt,
    const ngx_http_agents_text_t *defaults);

/* SELECT: one row or none. */
void ngx_http_agents_conversations_get(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id);

/* SELECT: one row, one column. */
void ngx_http_agents_conversations_count(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner);

/* SELECT: the rows of a slice. */
void ngx_http_agents_conversations_list(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner,
    const ngx_http_agents_slice_t *slice);

/*
 * UPDATE of the name (NULL: none), RETURNING the row: one or none.  "seen",
 * unless NULL: only if the conversation is still as it was read.
 */
void ngx_http_agents_conversations_rename(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id,
    const ngx_http_agents_text_t *name,
    const ngx_http_agents_conversation_t *seen);

/*
 * Five statements.  The active run is locked, so that its owner's writes come
 * before all of these or after; the conversation goes, RETURNING the id of its
 * active run or NULL (in the second: no row, there was none); the run's owner
 * is told to stop it (the third); the runs and the messages go.
 */
void ngx_http_agents_conversations_delete(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id);

/* UPDATE of the name, if there is none yet, RETURNING the id of the active run
 * or NULL. */
void ngx_http_agents_conversations_title(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id,
    const ngx_http_agents_text_t *name);

void ngx_http_agents_conversations_read(
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row,
    ngx_http_agents_conversation_t *conversation);


/* ---- messages (ngx_http_agents_messages.c) ---- */

/*
 * A message is stored in one part, a tool turn in one part per result, in
 * call order.  "content" is the text of a JSON array of blocks; a message's
 * blocks are the parts' arrays joined.  Rows past the conversation's version
 * are the journal of its active run.
 */
typedef struct {
    int64_t                 sequence_no;
    int64_t                 part;               /* from 0 */
    ngx_http_agents_text_t  role;               /* user, assistant, tool */
    ngx_http_agents_text_t  content;
    ngx_http_agents_text_t  run_id;
    int64_t                 turn_index;         /* -1: the run's payload */
    int64_t                 live;               /* 1: shows in the live view */
    ngx_http_agents_text_t  provider;           /* JSON a provider needs back
                                                   verbatim, or NULL */
    int64_t                 created_at;
} ngx_http_agents_message_t;

/*
 * SELECT of parts with sequence_no in (since, until], ascending by number
 * and part, without "provider": at most "limit" parts, and none after one
 * that brings their contents to "bytes" or beyond.
 */
void ngx_http_agents_messages_list(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    int64_t since, int64_t until, int64_t limit, int64_t bytes);

/* Whether the last message of such an answer, made with this "limit", may
 * have further parts behind the last row. */
int ngx_http_agents_messages_goes_on(const ngx_http_agents_db_batch_t *batch,
    size_t statement, int64_t limit);

/* SELECT of the last committed assistant message: one row or none. */
void ngx_http_agents_messages_last_assistant(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation);

void ngx_http_agents_messages_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_message_t *message);


/* ---- runs (ngx_http_agents_runs.c) ---- */

typedef struct {
    ngx_http_agents_text_t  company_id;
    ngx_http_agents_text_t  user_id;
    ngx_http_agents_text_t  id;
    ngx_http_agents_text_t  conversation_id;
    ngx_http_agents_text_t  api;                /* name of the agents_api */
    ngx_http_agents_text_t  client_op_id;       /* as sent */
    ngx_http_agents_text_t  fingerprint;        /* SHA-256 of what was asked */
    ngx_http_agents_text_t  status;             /* pending, running,
                                                   completed, requires_action,
                                                   failed */
    ngx_http_agents_text_t  owner;              /* worker id; NULL: no one */
    int64_t                 epoch;
    int64_t                 takeovers;          /* since the last step */
    int64_t                 rev;
    int64_t                 base_version;       /* the conversation's then */
    int64_t                 cancel;             /* 1: asked to stop */
    ngx_http_agents_text_t  payload;            /* JSON */
    ngx_http_agents_text_t  tool_choice;        /* JSON */
    ngx_http_agents_text_t  effective_config;   /* JSON */
    int64_t                 iterations_used;
    int64_t                 prompt_tokens;
    int64_t                 completion_tokens;
    int64_t                 total_tokens;
    int64_t                 cache_read_tokens;
    int64_t                 cache_write_tokens;
    ngx_http_agents_text_t  job_ids;            /* JSON array */
    ngx_http_agents_text_t  pending_tool_calls; /* JSON array */
    ngx_http_agents_text_t  final_text;
    ngx_http_agents_text_t  final_structured_output;    /* JSON */
    ngx_http_agents_text_t  error_type;         /* incident code */
    ngx_http_agents_text_t  error_message;
    int64_t                 created_at;
    int64_t                 finished_at;        /* 0: not yet */
    ngx_http_agents_text_t  conversation_name;  /* now; where joined */
    int64_t                 name_rev;
} ngx_http_agents_run_record_t;

/* W3C Trace Context as the POST had it; NULL: it had none. */
typedef struct {
    ngx_http_agents_text_t  parent;
    ngx_http_agents_text_t  state;
} ngx_http_agents_run_trace_t;

/* What a POST decides upon: SELECTs for ngx_http_agents_runs_insert. */

/* One row or none, without the live view. "op" in lower case. */
void ngx_http_agents_runs_by_operation(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    const char *op);

/*
 * One SELECT, so consistent: no row, or the run, to be read from row 0, with
 * the parts of its journal that show in the live view (none once it is
 * terminal): live_from says how many, read_live gives the i-th.
 */
void ngx_http_agents_runs_get(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id);
void ngx_http_agents_runs_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_run_record_t *run);

/* SELECT: the run alone, or no row. */
void ngx_http_agents_runs_row(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id);
size_t ngx_http_agents_runs_live_from(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row);
void ngx_http_agents_runs_read_live(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t i, ngx_http_agents_message_t *part);

/* SELECT: one row, one column; no row: there is no such conversation. */
void ngx_http_agents_runs_count(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation);

/*
 * One SELECT, so consistent: the runs of a slice, each in one row or, with a
 * live view, in a row per part: live_from says how many parts the run that
 * starts in "row" has (0: it has one row), read_live gives the part of a row.
 */
void ngx_http_agents_runs_list(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    const ngx_http_agents_slice_t *slice);

/*
 * SELECT of the ids, in column 0, of those runs of a list that are no longer
 * as they were seen: the run has another rev, its conversation another
 * name_rev, or they are gone.  The list is made by runs_changed_key, from an
 * empty buffer; runs_changed ends it, and it is the caller's to free.
 */
void ngx_http_agents_runs_changed_key(ngx_http_agents_buf_t *keys,
    const ngx_http_agents_owner_t *owner, const char *id, int64_t rev,
    int64_t name_rev);
void ngx_http_agents_runs_changed(ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_buf_t *keys);

/* SELECT count of the user's runs that are not terminal, up to "limit". */
void ngx_http_agents_runs_count_active(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, int64_t limit);

typedef struct {
    const char              *id;
    const char              *conversation;
    const char              *api;
    const char              *worker;            /* its owner */
    const char              *client_op_id;      /* as sent */
    const char              *client_op_key;     /* in lower case; unique */
    const char              *fingerprint;
    int64_t                  expected_version;
    ngx_http_agents_text_t   payload;
    ngx_http_agents_text_t   tool_choice;
    ngx_http_agents_text_t   effective_config;
    const char              *first_job_id;
    int64_t                  resumes;           /* 1: payload is tool_outputs */
    int64_t                  limit;             /* of the owner's runs that have
                                                   not ended, to be held; 0: no
                                                   need to look */
    ngx_http_agents_run_trace_t  trace;
} ngx_http_agents_run_insert_t;

/*
 * With a limit, a lock, so that one batch of an owner counts at a time; the
 * guard (the conversation, if its version is expected_version, no run is
 * active, its pending run is there exactly if "resumes", and the limit is not
 * reached); and the INSERT, RETURNING what runs_read reads: its number in the
 * batch is returned.  No row in that, or DB_CONSTRAINT (the operation is known
 * by now): read again and decide anew.
 */
size_t ngx_http_agents_runs_insert(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner,
    const ngx_http_agents_run_insert_t *run);


/* Which run, and by which right; what the engine writes with. */
typedef struct {
    ngx_http_agents_owner_t  owner;
    const char              *id;
    const char              *conversation;
    int64_t                  epoch;
} ngx_http_agents_run_key_t;

/*
 * What the engine starts or goes on from, three SELECTs: the run (only if
 * its epoch is the key's), its conversation, and the parts of all messages,
 * the journal's included.
 */
void ngx_http_agents_runs_load(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key);

/* Of the first of them: the last step's "repair". */
void ngx_http_agents_runs_read_repair(const ngx_http_agents_db_batch_t *batch,
    size_t statement, ngx_http_agents_text_t *repair);

/* What no answer shows: of such a run alone. */
void ngx_http_agents_runs_read_trace(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_run_trace_t *trace);

/* Milliseconds from its acceptance to that SELECT, by the database's clock. */
int64_t ngx_http_agents_runs_read_age(const ngx_http_agents_db_batch_t *batch,
    size_t statement);

/* SELECT: a row if the run's conversation has no name and no other run. */
void ngx_http_agents_conversations_untitled(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key);

/*
 * Two statements: the run, if it is not terminal, is marked as cancelled; its
 * owner, if it has one, is told to stop it.  To be followed by runs_get in the
 * same batch, which says what came of it.
 */
void ngx_http_agents_runs_cancel(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id);

/* The guard alone, and with it: status running.  One statement, RETURNING the
 * run's id. */
void ngx_http_agents_runs_begin(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key);

/* Progress: what a step sets on the run's row. */
typedef struct {
    int64_t                  iterations_used;
    int64_t                  prompt_tokens;
    int64_t                  completion_tokens;
    int64_t                  total_tokens;
    int64_t                  cache_read_tokens;
    int64_t                  cache_write_tokens;
    ngx_http_agents_text_t   job_ids;
    ngx_http_agents_text_t   repair;            /* what a reply that does not
                                                   do is asked for anew with;
                                                   all zero: nothing is */
} ngx_http_agents_run_progress_t;

/*
 * A step: the guard with the progress (takeovers back to 0), one statement;
 * then add_part for each part of the journal, one statement each.
 */
void ngx_http_agents_runs_step(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key,
    const ngx_http_agents_run_progress_t *progress);

/* The guard without progress, for a tool's result: rev moves, no more. */
void ngx_http_agents_runs_touch(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key);

/* INSERT of a part, if the guard held; one that is there already stays. */
void ngx_http_agents_runs_add_part(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key,
    const ngx_http_agents_message_t *part);

/* DELETE of the journal's parts above "sequence_no", if the guard held. */
void ngx_http_agents_runs_drop_parts(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key, int64_t sequence_no);

typedef struct {
    const char              *status;            /* a terminal one */
    int64_t                  version;           /* the conversation's, now */
    ngx_http_agents_text_t   pending_tool_calls;/* JSON array, "[]" for none */
    ngx_http_agents_text_t   final_text;
    ngx_http_agents_text_t   final_structured_output;
    const char              *error_type;        /* NULL: none */
    ngx_http_agents_text_t   error_message;
} ngx_http_agents_run_end_t;

/*
 * The end of a run, after step and parts in the same batch: two statements,
 * the conversation (version, no active run, its pending run) and the run
 * (terminal, no owner, epoch moved on).
 */
void ngx_http_agents_runs_finish(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key,
    const ngx_http_agents_run_end_t *end);


/* ---- leases (ngx_http_agents_leases.c) ---- */

/* INSERT or renewal of a worker's lease, "lease" in milliseconds; leases_until
 * reads its end, by the database's clock. */
void ngx_http_agents_leases_renew(ngx_http_agents_db_batch_t *batch,
    const char *worker, int64_t lease);
int64_t ngx_http_agents_leases_until(const ngx_http_agents_db_batch_t *batch);

/*
 * Three statements: the worker's runs lose their owner; its row goes, and its
 * rows of agents_stops.  To be taken over from a worker that says so does not
 * count as a takeover.
 */
void ngx_http_agents_leases_release(ngx_http_agents_db_batch_t *batch,
    const char *worker);

/* One run is given up likewise, guarded by its epoch. */
void ngx_http_agents_leases_release_run(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key);

/* SELECT of the worker's runs behind the one with this id ("": all), by id:
 * what leases_read reads. */
void ngx_http_agents_leases_owned(ngx_http_agents_db_batch_t *batch,
    const char *worker, const char *after, int64_t limit);

/*
 * UPDATE ... RETURNING: up to "limit" runs of "api" that no one owns become
 * this worker's, with a new epoch and one more takeover, the oldest first; of
 * many no more than its share, by the number of live workers, and four.
 * If the oldest has been taken over once since its last step, it is suspect: it
 * comes alone, or, without "suspect", does not; the others come with the next
 * claim.
 */
void ngx_http_agents_leases_claim(ngx_http_agents_db_batch_t *batch,
    const char *worker, const char *api, int suspect, int64_t limit);

/*
 * Four statements: runs whose owner has no live lease lose it (at most
 * "limit"), and where no worker of the owner's node has one, the takeover that
 * follows will not count; leases that ended more than a day ago are removed,
 * and stops that nobody took off; the last is what leases_in_time reads.
 * "before" is a time of the database's clock, in milliseconds.  If that has
 * come when the batch is done, no run loses its owner: a batch that was held up
 * may be done before the others' renewals that were held up with it.
 */
void ngx_http_agents_leases_expire(ngx_http_agents_db_batch_t *batch,
    int64_t before, int64_t limit);

/* 0: "before" had come, and such runs may be there. */
int ngx_http_agents_leases_in_time(const ngx_http_agents_db_batch_t *batch);

/*
 * SELECT of the ids, in column 0, of runs that this worker is to stop: they
 * were cancelled or deleted while it owned them.
 */
void ngx_http_agents_leases_stops(ngx_http_agents_db_batch_t *batch,
    const char *worker, int64_t limit);

/* DELETE of one of them: the worker knows. */
void ngx_http_agents_leases_stopped(ngx_http_agents_db_batch_t *batch,
    const char *worker, const char *run);

typedef struct {
    ngx_http_agents_text_t   company_id;
    ngx_http_agents_text_t   user_id;
    ngx_http_agents_text_t   id;
    ngx_http_agents_text_t   conversation_id;
    int64_t                  epoch;
    int64_t                  takeovers;
    ngx_http_agents_text_t   api;
} ngx_http_agents_claim_t;

void ngx_http_agents_leases_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_claim_t *claim);


/* ---- for an operator (ngx_http_agents_runs_find.c, _purge.c) ---- */

/*
 * SELECT of the newest runs, of any owner: a company, user or status that is
 * NULL is any.  It reads them all unless the company is given.
 */
void ngx_http_agents_runs_recent(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *status, int64_t limit);

/* Fills what it selected: keys, status, owner, error_type, times, counts. */
void ngx_http_agents_runs_read_recent(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_run_record_t *run);

/* SELECT of a run's company and user: one row or none.  It reads all keys. */
void ngx_http_agents_runs_find(ngx_http_agents_db_batch_t *batch,
    const char *id);

typedef struct {
    int64_t  conversations;
    int64_t  runs;
    int64_t  messages;          /* parts of them */
} ngx_http_agents_purged_t;

/* Conversations that are looked at at a time. */
#define NGX_HTTP_AGENTS_PURGE_SLICE     256

/* What one transaction deletes: conversations, and messages of all of them,
 * unless a single one has more. */
#define NGX_HTTP_AGENTS_PURGE_BATCH     64
#define NGX_HTTP_AGENTS_PURGE_MESSAGES  4096

/*
 * SELECT of a slice of the conversations behind this key, by key: company,
 * user, id, in column 3 whether it has no active run and its last change was
 * "age" milliseconds ago or more, in column 4 its version.
 */
void ngx_http_agents_purge_slice(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *after, int64_t age);

/*
 * Three DELETEs for each such conversation of a slice's result, from *row on,
 * which moves as far as one batch may go: how many conversations.  One that is
 * no longer idle stays.  count adds up what they have deleted.
 */
size_t ngx_http_agents_purge_add(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_db_batch_t *slice, size_t *row, int64_t age);
void ngx_http_agents_purge_count(const ngx_http_agents_db_batch_t *batch,
    size_t n, ngx_http_agents_purged_t *purged);

/*
 * agents_retention does this in turns, whichever worker of whichever node takes
 * the next one.  An UPSERT that takes it where it is due, and returns the key
 * behind which it goes on: company, user, id; no row: it is not due.  It is
 * due again after "hold" milliseconds, or as moved says.
 */
void ngx_http_agents_purge_claim(ngx_http_agents_db_batch_t *batch,
    int64_t hold);

/* UPDATE: where the walk has come to, "" at its end, and the next turn. */
void ngx_http_agents_purge_moved(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *after, int64_t pause);


/* ---- tokens (ngx_http_agents_tokens.c) ---- */

typedef struct {
    ngx_http_agents_text_t   id;
    ngx_http_agents_text_t   company_id;
    ngx_http_agents_text_t   user_id;
    ngx_http_agents_text_t   permissions;       /* blank-separated */
    int64_t                  created_at;
    int64_t                  expires_at;        /* 0: never */
    int64_t                  revoked_at;        /* 0: not */
} ngx_http_agents_token_t;

/* SELECT of a live token (not expired, not revoked) by SHA-256. */
void ngx_http_agents_tokens_find(ngx_http_agents_db_batch_t *batch,
    const char *sha256);

/*
 * INSERT, RETURNING what tokens_read reads; "expires" in milliseconds from
 * now, 0: never.
 */
void ngx_http_agents_tokens_insert(ngx_http_agents_db_batch_t *batch,
    const char *id, const char *sha256, const ngx_http_agents_owner_t *owner,
    const char *permissions, int64_t expires);

/* SELECT of all, the oldest first. */
void ngx_http_agents_tokens_list(ngx_http_agents_db_batch_t *batch);

/* UPDATE: changes 0 if there is no such token. */
void ngx_http_agents_tokens_revoke(ngx_http_agents_db_batch_t *batch,
    const char *id);

void ngx_http_agents_tokens_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_token_t *token);


#endif /* _NGX_HTTP_AGENTS_STORE_H_INCLUDED_ */
