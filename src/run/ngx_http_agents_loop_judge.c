
/*
 * What a model's reply means: tool calls to make, calls that wait for the
 * caller, an answer, a request to try again, or the end of the run.
 */


#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_loop.h"
#include "ngx_http_agents_loop_parts.h"
#include "ngx_http_agents_schema.h"


static void ngx_http_agents_loop_count(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_reply_t *reply);
static ngx_http_agents_loop_next_e ngx_http_agents_loop_reply(
    ngx_http_agents_loop_t *loop, ngx_http_agents_reply_t *reply);
static void ngx_http_agents_loop_fresh_ids(ngx_http_agents_loop_t *loop,
    json_t *blocks);
static int ngx_http_agents_loop_id_in(const json_t *blocks, size_t n,
    const char *id);
static const char *ngx_http_agents_loop_stopped(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_reply_t *reply, const json_t *blocks);
static int ngx_http_agents_loop_has_tool_use(const json_t *blocks);
static int ngx_http_agents_loop_followed(ngx_http_agents_loop_t *loop,
    const json_t *blocks);
static void ngx_http_agents_loop_classify_call(ngx_http_agents_loop_t *loop,
    ngx_http_agents_call_t *call);
static void ngx_http_agents_loop_classify_mcp(ngx_http_agents_loop_t *loop,
    ngx_http_agents_call_t *call, const char *dash);
static ngx_http_agents_loop_next_e ngx_http_agents_loop_calls(
    ngx_http_agents_loop_t *loop, json_t *blocks);
static ngx_http_agents_loop_next_e ngx_http_agents_loop_answer(
    ngx_http_agents_loop_t *loop, json_t *blocks);
static ngx_http_agents_loop_next_e ngx_http_agents_loop_structured(
    ngx_http_agents_loop_t *loop, json_t *blocks, const char *text,
    size_t len);
static json_t *ngx_http_agents_loop_structured_value(
    ngx_http_agents_loop_t *loop, const char *text, size_t len,
    ngx_http_agents_buf_t *why);
static int ngx_http_agents_loop_structured_blocks(json_t *blocks,
    const char *json);
static void ngx_http_agents_loop_repair(ngx_http_agents_loop_t *loop,
    json_t *blocks, const char *why);
static void ngx_http_agents_loop_repaired(ngx_http_agents_loop_t *loop);
static void ngx_http_agents_loop_text(const json_t *blocks,
    ngx_http_agents_buf_t *text);


ngx_http_agents_loop_next_e
ngx_http_agents_loop_judge(ngx_http_agents_loop_t *loop,
    ngx_http_agents_answer_t *answer)
{
    ngx_http_agents_buf_t        why;
    ngx_http_agents_reply_t      reply;
    ngx_http_agents_loop_next_e  next;

    memset(&reply, 0, sizeof(ngx_http_agents_reply_t));
    ngx_http_agents_buf_init(&why);

    errno = 0;

    if (ngx_http_agents_answer_reply(answer, loop->protocol, &loop->prompt,
                                     &reply, &why)
        == -1)
    {
        ngx_http_agents_loop_fail(loop, NGX_HTTP_AGENTS_INCIDENT_INFERENCE,
                                  "the provider's answer cannot be read: %s",
                                  why.failed || why.data == NULL
                                  ? "out of memory" : why.data);
        loop->failed |= (errno == ENOMEM);
        next = NGX_HTTP_AGENTS_LOOP_FINISH;

    } else {
        ngx_http_agents_loop_count(loop, &reply);
        next = ngx_http_agents_loop_reply(loop, &reply);
    }

    ngx_http_agents_reply_clear(&reply);
    ngx_http_agents_buf_free(&why);

    return loop->failed ? NGX_HTTP_AGENTS_LOOP_FINISH : next;
}


static void
ngx_http_agents_loop_count(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_reply_t *reply)
{
    ngx_http_agents_run_progress_t  *progress;

    progress = &loop->progress;

    progress->iterations_used++;
    progress->prompt_tokens += reply->prompt_tokens;
    progress->completion_tokens += reply->completion_tokens;
    progress->cache_read_tokens += reply->cache_read_tokens;
    progress->cache_write_tokens += reply->cache_write_tokens;
    progress->total_tokens = progress->prompt_tokens
                             + progress->completion_tokens;
}


static ngx_http_agents_loop_next_e
ngx_http_agents_loop_reply(ngx_http_agents_loop_t *loop,
    ngx_http_agents_reply_t *reply)
{
    int          choosing;
    json_t      *blocks;
    const char  *incident;

    /* taken over: the reply no longer owns them */

    blocks = reply->blocks;
    reply->blocks = NULL;

    choosing = ngx_http_agents_loop_choosing(loop);

    ngx_http_agents_loop_fresh_ids(loop, blocks);

    incident = ngx_http_agents_loop_stopped(loop, reply, blocks);

    if (incident == NULL && choosing
        && !ngx_http_agents_loop_followed(loop, blocks))
    {
        if (!loop->asked_again
            && loop->progress.iterations_used < loop->max_iterations)
        {
            loop->asked_again = 1;
            json_decref(blocks);
            return NGX_HTTP_AGENTS_LOOP_INFER;
        }

        incident = NGX_HTTP_AGENTS_INCIDENT_CHOICE_NOT_FOLLOWED;
        ngx_http_agents_loop_fail(loop, incident,
                                  "the model did not call the tool that "
                                  "tool_choice asks for");
    }

    loop->replied = 1;

    if (incident != NULL) {
        ngx_http_agents_loop_classify(loop, blocks);
        ngx_http_agents_loop_add_turn(loop, blocks);
        return NGX_HTTP_AGENTS_LOOP_FINISH;
    }

    if (ngx_http_agents_loop_has_tool_use(blocks)) {
        return ngx_http_agents_loop_calls(loop, blocks);
    }

    return ngx_http_agents_loop_answer(loop, blocks);
}


/*
 * The ids of tool calls are unique in a conversation: one that the model left
 * out or used before is replaced.
 */

static void
ngx_http_agents_loop_fresh_ids(ngx_http_agents_loop_t *loop, json_t *blocks)
{
    char         fresh[NGX_HTTP_AGENTS_LOOP_ID_MAX];
    size_t       i;
    json_t      *block;
    const char  *id;

    json_array_foreach(blocks, i, block) {
        id = ngx_http_agents_json_string(block, "tool_use_id", NULL);

        if (id == NULL
            || (id[0] != '\0'
                && !ngx_http_agents_loop_id_known(loop->messages, blocks, i,
                                                  id)))
        {
            continue;
        }

        if (ngx_http_agents_loop_fresh_id(fresh) == -1
            || json_object_set_new(block, "tool_use_id", json_string(fresh))
               == -1)
        {
            loop->failed = 1;
        }
    }
}


int
ngx_http_agents_loop_fresh_id(char id[NGX_HTTP_AGENTS_LOOP_ID_MAX])
{
    memcpy(id, "tooluse_", 8);

    return ngx_http_agents_ident_random(&id[8], 12);
}


int
ngx_http_agents_loop_id_known(const json_t *messages, const json_t *blocks,
    size_t before, const char *id)
{
    size_t   i;
    json_t  *message, *content;

    json_array_foreach(messages, i, message) {
        content = json_object_get(message, "content_blocks");

        if (ngx_http_agents_loop_id_in(content, json_array_size(content),
                                       id))
        {
            return 1;
        }
    }

    return ngx_http_agents_loop_id_in(blocks, before, id);
}


static int
ngx_http_agents_loop_id_in(const json_t *blocks, size_t n, const char *id)
{
    size_t       i;
    const char  *known;

    for (i = 0; i < n; i++) {
        known = ngx_http_agents_json_string(json_array_get(blocks, i),
                                            "tool_use_id", NULL);

        if (known != NULL && strcmp(known, id) == 0) {
            return 1;
        }
    }

    return 0;
}


/* A reply that ends the run as it is: the incident, with its message set. */

static const char *
ngx_http_agents_loop_stopped(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_reply_t *reply, const json_t *blocks)
{
    const char             *incident;
    ngx_http_agents_buf_t   text;

    ngx_http_agents_buf_init(&text);
    incident = NULL;

    switch (reply->stop) {

    case NGX_HTTP_AGENTS_STOP_REFUSED:
        incident = NGX_HTTP_AGENTS_INCIDENT_REFUSED;
        ngx_http_agents_loop_text(blocks, &text);
        ngx_http_agents_loop_fail(loop, incident,
                                  "the model refused to answer%s%s",
                                  text.len ? ": " : "",
                                  text.len ? text.data : "");
        break;

    case NGX_HTTP_AGENTS_STOP_FILTERED:
        incident = NGX_HTTP_AGENTS_INCIDENT_FILTERED;
        ngx_http_agents_loop_fail(loop, incident,
                                  "the provider's content filter stopped the "
                                  "reply");
        break;

    case NGX_HTTP_AGENTS_STOP_CONTEXT:
        incident = NGX_HTTP_AGENTS_INCIDENT_CONTEXT;
        ngx_http_agents_loop_fail(loop, incident,
                                  "the conversation no longer fits the "
                                  "model's context");
        break;

    case NGX_HTTP_AGENTS_STOP_LENGTH:
        incident = NGX_HTTP_AGENTS_INCIDENT_SCHEMA_DECODE;
        ngx_http_agents_loop_fail(loop, incident,
                                  "the reply was cut off by max_tokens (%lld)",
                                  (long long) loop->prompt.max_tokens);
        break;

    case NGX_HTTP_AGENTS_STOP_MALFORMED:
        incident = NGX_HTTP_AGENTS_INCIDENT_SCHEMA_DECODE;
        ngx_http_agents_loop_fail(loop, incident,
                                  "the provider reports a malformed reply of "
                                  "the model");
        break;

    default:
        break;
    }

    ngx_http_agents_buf_free(&text);

    return incident;
}


static int
ngx_http_agents_loop_has_tool_use(const json_t *blocks)
{
    size_t   i;
    json_t  *block;

    json_array_foreach(blocks, i, block) {
        if (json_object_get(block, "tool_use_id") != NULL) {
            return 1;
        }
    }

    return 0;
}


/* Whether a reply does what tool_choice asked for. */

static int
ngx_http_agents_loop_followed(ngx_http_agents_loop_t *loop,
    const json_t *blocks)
{
    size_t       i, len;
    json_t      *block;
    const char  *wanted, *alias, *name;

    wanted = ngx_http_agents_json_string(loop->choice, "name", NULL);
    alias = ngx_http_agents_json_string(loop->choice, "mcp_alias", &len);

    json_array_foreach(blocks, i, block) {
        name = ngx_http_agents_json_string(block, "name", NULL);

        if (name == NULL) {
            continue;
        }

        if (wanted == NULL) {
            return 1;
        }

        if (alias != NULL) {
            if (strncmp(name, alias, len) != 0 || name[len] != '-') {
                continue;
            }

            name += len + 1;
        }

        if (strcmp(name, wanted) == 0) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_agents_loop_classify(ngx_http_agents_loop_t *loop, json_t *blocks)
{
    size_t                   i;
    json_t                  *block;
    int64_t                  part;
    ngx_http_agents_call_t  *call;

    ngx_http_agents_loop_calls_clear(loop);

    loop->calls = calloc(json_array_size(blocks) + 1,
                         sizeof(ngx_http_agents_call_t));
    if (loop->calls == NULL) {
        loop->failed = 1;
        return;
    }

    part = 0;

    json_array_foreach(blocks, i, block) {
        if (json_object_get(block, "tool_use_id") == NULL) {
            continue;
        }

        call = &loop->calls[loop->ncalls++];

        call->id = ngx_http_agents_json_string(block, "tool_use_id", NULL);
        call->name = ngx_http_agents_json_string(block, "name", NULL);
        call->arguments = json_object_get(block, "arguments");
        call->part = -1;

        if (call->name == NULL) {
            call->name = "";
        }

        ngx_http_agents_loop_classify_call(loop, call);
    }

    for (i = 0; i < loop->ncalls; i++) {
        if (loop->calls[i].kind != NGX_HTTP_AGENTS_CALL_CALLER) {
            loop->calls[i].part = part++;
        }
    }
}


/*
 * A dash tells an MCP tool from a caller-declared one: those have none in
 * their names.
 */

static void
ngx_http_agents_loop_classify_call(ngx_http_agents_loop_t *loop,
    ngx_http_agents_call_t *call)
{
    size_t       i;
    json_t      *tool;
    const char  *dash, *name;

    dash = strchr(call->name, '-');

    if (dash != NULL) {
        ngx_http_agents_loop_classify_mcp(loop, call, dash);

    } else {
        json_array_foreach(ngx_http_agents_json_array(loop->config, "tools"),
                           i, tool)
        {
            name = ngx_http_agents_json_string(tool, "name", NULL);

            if (strcmp(name, call->name) == 0) {
                call->kind = NGX_HTTP_AGENTS_CALL_CALLER;
                goto known;
            }
        }

        call->kind = NGX_HTTP_AGENTS_CALL_CALLER;
        ngx_http_agents_loop_fail(loop, NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_ALIAS,
                                  "the model called \"%s\", which is no "
                                  "declared tool", call->name);
        return;
    }

known:

    if (call->result == NULL && !json_is_object(call->arguments)) {
        ngx_http_agents_loop_settle(loop, call,
                                    "The arguments of this call are not a "
                                    "JSON object.");
    }
}


static void
ngx_http_agents_loop_classify_mcp(ngx_http_agents_loop_t *loop,
    ngx_http_agents_call_t *call, const char *dash)
{
    size_t                  i, k, len;
    json_t                 *server, *tool;
    const char             *alias, *wire;
    ngx_http_agents_buf_t   text;

    call->kind = NGX_HTTP_AGENTS_CALL_MCP;

    json_array_foreach(ngx_http_agents_json_array(loop->config,
                                                  "mcp_servers"), i, server)
    {
        alias = ngx_http_agents_json_string(server, "alias", &len);

        if (len != (size_t) (dash - call->name)
            || strncmp(alias, call->name, len) != 0)
        {
            continue;
        }

        call->server = i;

        json_array_foreach(loop->discovered[i], k, tool) {
            wire = ngx_http_agents_json_string(tool, "wire", NULL);

            if (strcmp(wire, call->name) == 0) {
                call->tool = ngx_http_agents_json_string(tool, "name", NULL);
                return;
            }
        }

        /* the alias is right: the model can mend the rest */

        ngx_http_agents_buf_init(&text);
        ngx_http_agents_buf_addf(&text, "There is no tool \"%s\".",
                                 call->name);
        ngx_http_agents_loop_settle(loop, call,
                                    text.failed ? "There is no such tool."
                                                : text.data);
        ngx_http_agents_buf_free(&text);
        return;
    }

    ngx_http_agents_loop_fail(loop, NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_ALIAS,
                              "the model called \"%s\", and no MCP server has "
                              "the alias \"%.*s\"", call->name,
                              (int) (dash - call->name), call->name);
}


static ngx_http_agents_loop_next_e
ngx_http_agents_loop_calls(ngx_http_agents_loop_t *loop, json_t *blocks)
{
    int  mcp, caller;

    ngx_http_agents_loop_repaired(loop);
    ngx_http_agents_loop_classify(loop, blocks);

    mcp = ngx_http_agents_loop_has_call(loop, NGX_HTTP_AGENTS_CALL_MCP);
    caller = ngx_http_agents_loop_has_call(loop, NGX_HTTP_AGENTS_CALL_CALLER);

    if (loop->status == NULL && !caller
        && loop->progress.iterations_used >= loop->max_iterations)
    {
        ngx_http_agents_loop_fail(loop,
                                  NGX_HTTP_AGENTS_INCIDENT_MAX_ITERATIONS,
                                  "the model asked for tools in the last of "
                                  "%lld iterations",
                                  (long long) loop->max_iterations);
    }

    loop->turn_live = (mcp && loop->status == NULL);

    ngx_http_agents_loop_add_turn(loop, blocks);

    if (loop->status != NULL) {
        return NGX_HTTP_AGENTS_LOOP_FINISH;
    }

    ngx_http_agents_loop_add_results(loop);

    if (!mcp && caller) {
        return ngx_http_agents_loop_results(loop);
    }

    return NGX_HTTP_AGENTS_LOOP_CALL;
}


static ngx_http_agents_loop_next_e
ngx_http_agents_loop_answer(ngx_http_agents_loop_t *loop, json_t *blocks)
{
    ngx_http_agents_buf_t        text;
    ngx_http_agents_loop_next_e  next;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_loop_text(blocks, &text);
    loop->failed |= text.failed;

    next = NGX_HTTP_AGENTS_LOOP_FINISH;

    if (text.len == 0) {
        ngx_http_agents_loop_fail(loop,
                                  NGX_HTTP_AGENTS_INCIDENT_SCHEMA_DECODE,
                                  "the model's reply was empty");
        ngx_http_agents_loop_add_turn(loop, blocks);

    } else if (json_is_object(json_object_get(loop->config,
                                              "output_format_schema")))
    {
        next = ngx_http_agents_loop_structured(loop, blocks, text.data,
                                               text.len);

    } else {
        loop->status = "completed";
        loop->final_text = ngx_http_agents_buf_take(&text,
                                                    &loop->final_text_len);
        loop->failed |= (loop->final_text == NULL);
        ngx_http_agents_loop_add_turn(loop, blocks);
    }

    ngx_http_agents_buf_free(&text);

    return next;
}


static ngx_http_agents_loop_next_e
ngx_http_agents_loop_structured(ngx_http_agents_loop_t *loop, json_t *blocks,
    const char *text, size_t len)
{
    json_t                 *value;
    ngx_http_agents_buf_t   why;

    ngx_http_agents_buf_init(&why);

    value = ngx_http_agents_loop_structured_value(loop, text, len, &why);

    if (value != NULL) {
        loop->status = "completed";
        loop->final_output = ngx_http_agents_json_text(value, NULL);
        json_decref(value);

        if (loop->final_output == NULL
            || ngx_http_agents_loop_structured_blocks(blocks,
                                                      loop->final_output) == -1)
        {
            loop->failed = 1;
        }

        ngx_http_agents_loop_add_turn(loop, blocks);
        ngx_http_agents_buf_free(&why);

        return NGX_HTTP_AGENTS_LOOP_FINISH;
    }

    if (loop->repair == NULL
        && loop->progress.iterations_used < loop->max_iterations)
    {
        ngx_http_agents_loop_repair(loop, blocks,
                                    why.data == NULL ? "" : why.data);
        ngx_http_agents_buf_free(&why);

        return NGX_HTTP_AGENTS_LOOP_INFER;
    }

    ngx_http_agents_loop_fail(loop, NGX_HTTP_AGENTS_INCIDENT_SCHEMA_DECODE,
                              "the reply does not match the output schema: %s",
                              why.data == NULL ? "out of memory" : why.data);
    ngx_http_agents_loop_add_turn(loop, blocks);
    ngx_http_agents_buf_free(&why);

    return NGX_HTTP_AGENTS_LOOP_FINISH;
}


/*
 * The value that a structured reply holds, unwrapped and held to the schema:
 * a new reference, or NULL with the reason.  Models that are only asked for
 * JSON like to fence it.
 */

static json_t *
ngx_http_agents_loop_structured_value(ngx_http_agents_loop_t *loop,
    const char *text, size_t len, ngx_http_agents_buf_t *why)
{
    json_t                        *schema, *value, *inner;
    const char                    *end;
    ngx_http_agents_json_fault_t   fault;

    schema = json_object_get(loop->config, "output_format_schema");

    while (len != 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
        len--;
    }

    if (len > 6 && strncmp(text, "```", 3) == 0
        && strncmp(text + len - 3, "```", 3) == 0)
    {
        end = text + len - 3;
        text += 3;

        while (text < end && *text != '\n' && *text != '{' && *text != '[') {
            text++;
        }

        len = end - text;
    }

    value = ngx_http_agents_json_parse_foreign(text, len,
                                               NGX_HTTP_AGENTS_JSON_DEPTH,
                                               &fault);
    if (value == NULL) {
        ngx_http_agents_buf_addf(why, "/: it is no JSON: %s (line %d, column "
                                 "%d)", fault.text, fault.line, fault.column);
        return NULL;
    }

    /* a model that is only asked for the wrapper may leave it out */

    if (ngx_http_agents_schema_wrapped(schema) && json_object_size(value) == 1)
    {
        inner = json_incref(json_object_get(value,
                                            NGX_HTTP_AGENTS_SCHEMA_WRAP));
        if (inner != NULL) {
            json_decref(value);
            value = inner;
        }
    }

    if (ngx_http_agents_schema_validate(schema, value, why) == -1) {
        json_decref(value);
        return NULL;
    }

    return value;
}


/* A structured answer is one text block of JSON, beside opaque ones. */

static int
ngx_http_agents_loop_structured_blocks(json_t *blocks, const char *json)
{
    size_t       i;
    const char  *type;

    for (i = json_array_size(blocks); i-- > 0; /* void */ ) {
        type = ngx_http_agents_json_string(json_array_get(blocks, i), "type",
                                           NULL);

        if (type != NULL && strcmp(type, "text") == 0) {
            (void) json_array_remove(blocks, i);
        }
    }

    return json_array_append_new(blocks,
                                 json_pack("{s:s, s:s}", "type", "text",
                                           "text", json));
}


/* The reply and what was wrong with it, for the next prompt alone. */

static void
ngx_http_agents_loop_repair(ngx_http_agents_loop_t *loop, json_t *blocks,
    const char *why)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_buf_addf(&text, "Your reply does not match the required "
                             "schema: %s. Reply again with the corrected "
                             "JSON alone.", why);

    loop->repair = json_pack("[{s:s, s:o}, {s:s, s:[{s:s, s:s}]}]",
                             "role", "assistant", "content_blocks", blocks,
                             "role", "user", "content_blocks",
                             "type", "text", "text",
                             text.failed ? "Reply with valid JSON alone."
                                         : text.data);
    loop->repair_text = ngx_http_agents_json_text(loop->repair,
                                                  &loop->repair_len);
    loop->failed |= (loop->repair_text == NULL);

    ngx_http_agents_buf_free(&text);
}


static void
ngx_http_agents_loop_repaired(ngx_http_agents_loop_t *loop)
{
    json_decref(loop->repair);
    free(loop->repair_text);

    loop->repair = NULL;
    loop->repair_text = NULL;
    loop->repair_len = 0;
}


/* The text of a turn: that of its text blocks, joined. */

static void
ngx_http_agents_loop_text(const json_t *blocks, ngx_http_agents_buf_t *text)
{
    size_t       i, len;
    json_t      *block;
    const char  *type, *part;

    json_array_foreach(blocks, i, block) {
        type = ngx_http_agents_json_string(block, "type", NULL);

        if (type == NULL || strcmp(type, "text") != 0) {
            continue;
        }

        part = ngx_http_agents_json_string(block, "text", &len);
        ngx_http_agents_buf_add(text, part, part == NULL ? 0 : len);
    }
}
