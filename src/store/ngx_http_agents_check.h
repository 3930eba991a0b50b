
/*
 * What a check of a whole database reads: every table in slices, by its keys.
 * No nginx; agentsctl.
 */


#ifndef _NGX_HTTP_AGENTS_CHECK_H_INCLUDED_
#define _NGX_HTTP_AGENTS_CHECK_H_INCLUDED_


#include "ngx_http_agents_store.h"


typedef struct {
    ngx_http_agents_text_t  company_id;
    ngx_http_agents_text_t  user_id;
    ngx_http_agents_text_t  id;
    int64_t                 version;
    ngx_http_agents_text_t  active_run_id;
    ngx_http_agents_text_t  pending_run_id;
} ngx_http_agents_check_conversation_t;

/* SELECT of the conversations behind this key, in the order of their keys. */
void ngx_http_agents_check_conversations(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *after, int64_t limit);

/* SELECT of one of them: one row or none. */
void ngx_http_agents_check_conversation(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *id);

void ngx_http_agents_check_read_conversation(
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row,
    ngx_http_agents_check_conversation_t *conversation);


typedef struct {
    ngx_http_agents_text_t  id;
    ngx_http_agents_text_t  status;
    ngx_http_agents_text_t  owner;
    int64_t                 epoch;
    int64_t                 takeovers;
    int64_t                 base_version;
    int64_t                 iterations_used;
    ngx_http_agents_text_t  job_ids;
    ngx_http_agents_text_t  pending_tool_calls;
    ngx_http_agents_text_t  error_type;
    int64_t                 finals;         /* final_text, _structured_output */
    int64_t                 created_at;
    int64_t                 finished_at;    /* 0: not yet */
    int64_t                 owner_known;    /* it is a worker, or there is
                                               none */
} ngx_http_agents_check_run_t;

/*
 * SELECT of a conversation's runs, newest first, behind the one with this time
 * and id; INT64_MAX and "": from the newest on.
 */
void ngx_http_agents_check_runs(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    int64_t created_at, const char *id, int64_t limit);
void ngx_http_agents_check_read_run(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_check_run_t *run);


typedef struct {
    int64_t                 sequence_no;
    int64_t                 part;
    int64_t                 turn_index;
    ngx_http_agents_text_t  role;
    ngx_http_agents_text_t  content;
    ngx_http_agents_text_t  run_id;
    int64_t                 base_version;   /* its run's; -1: there is no such
                                               run of this conversation */
} ngx_http_agents_check_part_t;

/*
 * SELECT of a conversation's parts behind this one, the journal's included: at
 * most "limit", and none after one that brings their contents to "bytes".
 */
void ngx_http_agents_check_parts(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_owner_t *owner, const char *conversation,
    int64_t sequence_no, int64_t part, int64_t limit, int64_t bytes);
void ngx_http_agents_check_read_part(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_check_part_t *part);


/*
 * Two SELECTs, of runs and of messages whose conversation is not there:
 * company, user, conversation, the run or (of messages) how many parts.
 */
void ngx_http_agents_check_orphans(ngx_http_agents_db_batch_t *batch,
    int64_t limit);


#endif /* _NGX_HTTP_AGENTS_CHECK_H_INCLUDED_ */
