
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_problem.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_run_view.h"


static void ngx_http_agents_run_view_fields(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run);
static void ngx_http_agents_run_view_usage(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run);
static void ngx_http_agents_run_view_error(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run);
static void ngx_http_agents_run_view_live(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run,
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row);
static void ngx_http_agents_run_view_turns(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row);


void
ngx_http_agents_run_view(ngx_http_request_t *r, ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run,
    const ngx_http_agents_db_batch_t *batch, size_t statement)
{
    ngx_http_agents_run_view_row(r, buf, run, batch, statement, 0);
}


void
ngx_http_agents_run_view_row(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run,
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row)
{
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_run_view_fields(r, buf, run);
    ngx_http_agents_run_view_live(buf, run, batch, statement, row);
    ngx_http_agents_json_end(buf);
}


void
ngx_http_agents_run_view_bare(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run)
{
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_run_view_fields(r, buf, run);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_run_view_fields(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run)
{
    (void) ngx_http_agents_buf_reserve(buf, 1024 + run->payload.len
                                            + run->effective_config.len
                                            + run->final_text.len);

    ngx_http_agents_json_member_text(buf, "id", &run->id);
    ngx_http_agents_json_member_text(buf, "conversation_id",
                                     &run->conversation_id);
    ngx_http_agents_json_member_text(buf, "client_op_id", &run->client_op_id);
    ngx_http_agents_json_member_text(buf, "status", &run->status);

    /* a run starts when it is accepted */

    ngx_http_agents_json_member_time(buf, "created_at", run->created_at);
    ngx_http_agents_json_member_time(buf, "started_at", run->created_at);
    ngx_http_agents_json_member_time(buf, "finished_at", run->finished_at);

    ngx_http_agents_json_member_integer(buf, "iterations_used",
                                        run->iterations_used);
    ngx_http_agents_run_view_usage(buf, run);

    ngx_http_agents_json_member_json(buf, "submitted_inference_job_ids",
                                     &run->job_ids);
    ngx_http_agents_json_member_json(buf, "payload", &run->payload);
    ngx_http_agents_json_member_json(buf, "tool_choice", &run->tool_choice);
    ngx_http_agents_json_member_json(buf, "effective_config",
                                     &run->effective_config);
    ngx_http_agents_json_member_json(buf, "pending_tool_calls",
                                     &run->pending_tool_calls);
    ngx_http_agents_json_member_text(buf, "final_text", &run->final_text);
    ngx_http_agents_json_member_json(buf, "final_structured_output",
                                     &run->final_structured_output);

    ngx_http_agents_run_view_error(r, buf, run);
}


static void
ngx_http_agents_run_view_usage(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run)
{
    ngx_http_agents_json_key(buf, "usage");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_integer(buf, "prompt_tokens",
                                        run->prompt_tokens);
    ngx_http_agents_json_member_integer(buf, "completion_tokens",
                                        run->completion_tokens);
    ngx_http_agents_json_member_integer(buf, "total_tokens",
                                        run->total_tokens);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_run_view_error(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_run_record_t *run)
{
    const ngx_http_agents_problem_t  *entry;

    if (run->error_type.data == NULL) {
        ngx_http_agents_json_member_raw(buf, "error", NULL, 0);
        return;
    }

    entry = ngx_http_agents_problem_incident(run->error_type.data);

    ngx_http_agents_json_key(buf, "error");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_text(buf, "type", &run->error_type);
    ngx_http_agents_json_member_cstring(buf, "title", entry->title);
    ngx_http_agents_json_member_text(buf, "message", &run->error_message);
    ngx_http_agents_reply_docs_url(r, buf, "docs_url", entry->slug);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_run_view_live(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run,
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row)
{
    ngx_http_agents_json_key(buf, "live");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_text(buf, "current_name",
                                     &run->conversation_name);
    ngx_http_agents_json_key(buf, "messages");
    ngx_http_agents_buf_addc(buf, '[');

    if (batch != NULL) {
        ngx_http_agents_run_view_turns(buf, batch, statement, row);
    }

    ngx_http_agents_buf_addc(buf, ']');
    ngx_http_agents_json_end(buf);
}


/*
 * The parts of a tool turn, one per result, are one turn: what has returned so
 * far, in the order of the calls.
 */

static void
ngx_http_agents_run_view_turns(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row)
{
    size_t                     i, n;
    int64_t                    sequence_no;
    ngx_http_agents_message_t  part;

    n = ngx_http_agents_runs_live_from(batch, statement, row);
    sequence_no = 0;

    for (i = 0; i < n; i++) {
        ngx_http_agents_runs_read_live(batch, statement, row + i, &part);

        if (i != 0 && part.sequence_no == sequence_no) {
            ngx_http_agents_run_view_blocks(buf, &part.content, 1);
            continue;
        }

        if (i != 0) {
            ngx_http_agents_buf_adds(buf, "]},");
        }

        sequence_no = part.sequence_no;

        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_integer(buf, "turn_index",
                                            part.turn_index);
        ngx_http_agents_json_member_text(buf, "role", &part.role);
        ngx_http_agents_json_key(buf, "content_blocks");
        ngx_http_agents_buf_addc(buf, '[');
        ngx_http_agents_run_view_blocks(buf, &part.content, 0);
    }

    if (n != 0) {
        ngx_http_agents_buf_adds(buf, "]}");
    }
}


void
ngx_http_agents_run_view_blocks(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_text_t *array, ngx_uint_t more)
{
    /* stored as it was written here: "[", elements, "]" */

    if (array->len <= 2) {
        return;
    }

    if (more) {
        ngx_http_agents_buf_addc(buf, ',');
    }

    ngx_http_agents_buf_add(buf, array->data + 1, array->len - 2);
}
