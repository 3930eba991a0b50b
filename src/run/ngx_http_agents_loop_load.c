
/*
 * A run as it stands in the store becomes a loop again: its configuration,
 * the conversation's messages, and the journal of what it did before.
 */


#include <stdlib.h>
#include <string.h>

#include "ngx_http_agents_loop.h"
#include "ngx_http_agents_loop_parts.h"


static int ngx_http_agents_loop_load_run(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_run_record_t *run);
static int ngx_http_agents_loop_load_trace(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_db_batch_t *batch);
static int ngx_http_agents_loop_load_messages(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_db_batch_t *batch);
static int ngx_http_agents_loop_load_repair(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_loop_load_results(ngx_http_agents_loop_t *loop);
static json_t *ngx_http_agents_loop_load_part(
    const ngx_http_agents_message_t *part);
static json_t *ngx_http_agents_loop_payload_message(const json_t *payload);
static json_t *ngx_http_agents_loop_output_block(const json_t *output);


int
ngx_http_agents_loop_load(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_db_batch_t *batch)
{
    json_t                          *message;
    ngx_http_agents_run_record_t     run;
    ngx_http_agents_conversation_t   conversation;

    loop->failed = 1;

    if (ngx_http_agents_db_rows(batch, 0) != 1
        || ngx_http_agents_db_rows(batch, 1) != 1)
    {
        return -1;
    }

    ngx_http_agents_runs_read(batch, 0, 0, &run);
    ngx_http_agents_conversations_read(batch, 1, 0, &conversation);

    if (ngx_http_agents_loop_load_run(loop, &run) == -1
        || ngx_http_agents_loop_load_trace(loop, batch) == -1)
    {
        return -1;
    }

    loop->age = ngx_http_agents_runs_read_age(batch, 0);
    loop->named = (conversation.name.data != NULL);

    if (conversation.system_prompt.data != NULL
        && conversation.system_prompt.len != 0)
    {
        loop->system = strdup(conversation.system_prompt.data);
        if (loop->system == NULL) {
            return -1;
        }

        loop->system_len = conversation.system_prompt.len;
    }

    if (ngx_http_agents_loop_load_messages(loop, batch) == -1
        || ngx_http_agents_loop_load_repair(loop, batch) == -1)
    {
        return -1;
    }

    /* a reply that is no turn was one that is asked for once more */

    loop->asked_again = (!loop->replied && loop->progress.iterations_used > 0);

    if (!loop->payload_written) {
        message = ngx_http_agents_loop_payload_message(loop->payload);

        if (message == NULL
            || json_array_append_new(loop->messages, message) == -1)
        {
            return -1;
        }

        loop->sequence = loop->base_version + 1;
    }

    loop->failed = 0;
    loop->loaded = 1;

    return 0;
}


static int
ngx_http_agents_loop_load_run(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_run_record_t *run)
{
    /* the first one that fails ends it: errno tells whether it was memory */

    loop->config = ngx_http_agents_json_load(run->effective_config.data,
                                             run->effective_config.len);
    if (loop->config == NULL) {
        return -1;
    }

    loop->payload = ngx_http_agents_json_load(run->payload.data,
                                              run->payload.len);
    if (loop->payload == NULL) {
        return -1;
    }

    loop->choice = ngx_http_agents_json_load(run->tool_choice.data,
                                             run->tool_choice.len);
    if (loop->choice == NULL) {
        return -1;
    }

    loop->job_ids = ngx_http_agents_json_load(run->job_ids.data,
                                              run->job_ids.len);
    if (!json_is_array(loop->job_ids)) {
        return -1;
    }

    /* what a predecessor had begun is not known: more than it has replies of */

    loop->begun = (run->epoch > 1) ? (int64_t) json_array_size(loop->job_ids)
                                   : 0;

    loop->takeovers = run->takeovers;
    loop->cancel = run->cancel;
    loop->base_version = run->base_version;
    loop->max_iterations = ngx_http_agents_json_integer(loop->config,
                                                        "max_iterations", 1);
    loop->nservers = json_array_size(ngx_http_agents_json_array(loop->config,
                                                            "mcp_servers"));

    loop->progress.iterations_used = run->iterations_used;
    loop->progress.prompt_tokens = run->prompt_tokens;
    loop->progress.completion_tokens = run->completion_tokens;
    loop->progress.total_tokens = run->total_tokens;
    loop->progress.cache_read_tokens = run->cache_read_tokens;
    loop->progress.cache_write_tokens = run->cache_write_tokens;

    if (loop->nservers == 0) {
        return 0;
    }

    loop->discovered = calloc(loop->nservers, sizeof(json_t *));

    return loop->discovered == NULL ? -1 : 0;
}


static int
ngx_http_agents_loop_load_trace(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_run_trace_t  trace;

    ngx_http_agents_runs_read_trace(batch, 0, 0, &trace);

    if (trace.parent.data == NULL) {
        return 0;
    }

    loop->traceparent = strdup(trace.parent.data);
    if (loop->traceparent == NULL) {
        return -1;
    }

    if (trace.state.data == NULL) {
        return 0;
    }

    loop->tracestate = strdup(trace.state.data);

    return loop->tracestate == NULL ? -1 : 0;
}


/* Parts of one number follow each other: they make one message. */

static int
ngx_http_agents_loop_load_messages(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_db_batch_t *batch)
{
    size_t                      i, n;
    int64_t                     sequence;
    json_t                     *message, *blocks;
    ngx_http_agents_message_t   part;

    loop->messages = json_array();
    if (loop->messages == NULL) {
        return -1;
    }

    message = NULL;
    sequence = 0;

    n = ngx_http_agents_db_rows(batch, 2);

    for (i = 0; i < n; i++) {
        ngx_http_agents_messages_read(batch, 2, i, &part);

        blocks = ngx_http_agents_loop_load_part(&part);
        if (blocks == NULL) {
            return -1;
        }

        if (message != NULL && part.sequence_no == sequence) {
            if (json_array_extend(json_object_get(message, "content_blocks"),
                                  blocks) == -1)
            {
                json_decref(blocks);
                return -1;
            }

            json_decref(blocks);
            continue;
        }

        sequence = part.sequence_no;

        message = json_pack("{s:s, s:o}", "role", part.role.data,
                            "content_blocks", blocks);
        if (message == NULL
            || json_array_append_new(loop->messages, message) == -1)
        {
            return -1;
        }

        if (sequence > loop->base_version) {
            loop->payload_written = 1;
            loop->sequence = sequence;
        }

        if (sequence > loop->base_version + 1) {
            loop->resuming = 1;
            loop->replied = 1;
            loop->turn_sequence = strcmp(part.role.data, "assistant") == 0
                                  ? sequence : sequence - 1;
        }
    }

    ngx_http_agents_loop_load_results(loop);

    return 0;
}


/* What the run was given by servers: what follows its payload. */

static void
ngx_http_agents_loop_load_results(ngx_http_agents_loop_t *loop)
{
    size_t   i, j, n;
    json_t  *message, *block;

    n = json_array_size(loop->messages);

    for (i = n - (loop->sequence > loop->base_version + 1
                  ? loop->sequence - loop->base_version - 1 : 0);
         i < n;
         i++)
    {
        message = json_array_get(loop->messages, i);

        json_array_foreach(json_object_get(message, "content_blocks"), j,
                           block)
        {
            loop->results += ngx_http_agents_loop_result_size(
                                         json_object_get(block, "content"));
        }
    }
}


/* The reply that is to be mended was one, though it is no turn. */

static int
ngx_http_agents_loop_load_repair(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_text_t  text;

    ngx_http_agents_runs_read_repair(batch, 0, &text);

    if (text.data == NULL) {
        return 0;
    }

    loop->repair = ngx_http_agents_json_load(text.data, text.len);
    loop->repair_text = strndup(text.data, text.len);
    loop->repair_len = text.len;
    loop->replied = 1;

    return (json_is_array(loop->repair) && loop->repair_text != NULL) ? 0 : -1;
}


/* The blocks of a part: those with the opaque ones, where it has them. */

static json_t *
ngx_http_agents_loop_load_part(const ngx_http_agents_message_t *part)
{
    json_t                        *blocks;
    const ngx_http_agents_text_t  *text;

    text = part->provider.data != NULL ? &part->provider : &part->content;

    blocks = ngx_http_agents_json_load(text->data, text->len);

    if (!json_is_array(blocks)) {
        json_decref(blocks);
        return NULL;
    }

    return blocks;
}


static json_t *
ngx_http_agents_loop_payload_message(const json_t *payload)
{
    size_t       i, len;
    json_t      *blocks, *output;
    const char  *text;

    text = ngx_http_agents_json_string(payload, "text", &len);

    if (text != NULL) {
        return json_pack("{s:s, s:[{s:s, s:s%}]}", "role", "user",
                         "content_blocks", "type", "text", "text", text, len);
    }

    blocks = json_array();

    json_array_foreach(ngx_http_agents_json_array(payload, "outputs"), i,
                       output)
    {
        if (json_array_append_new(blocks,
                              ngx_http_agents_loop_output_block(output)) == -1)
        {
            json_decref(blocks);
            return NULL;
        }
    }

    return json_pack("{s:s, s:o}", "role", "tool", "content_blocks", blocks);
}


/* An entry of payload.outputs as the tool_result block that it becomes. */

static json_t *
ngx_http_agents_loop_output_block(const json_t *output)
{
    size_t       len;
    json_t      *content;
    const char  *text;

    text = ngx_http_agents_json_string(output, "content", &len);

    if (text == NULL) {
        content = json_incref(json_object_get(output, "content"));

    } else if (len == 0) {
        content = json_array();

    } else {
        content = json_pack("[{s:s, s:s%}]", "type", "text", "text", text,
                            len);
    }

    return json_pack("{s:s, s:O, s:o, s:b}", "type", "tool_result",
                     "tool_use_id", json_object_get(output, "tool_use_id"),
                     "content", content,
                     "is_error", ngx_http_agents_json_true(output, "is_error"));
}
