
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_names.h"
#include "ngx_http_agents_openai.h"


/* OpenAI refuses ids of calls that are longer. */
#define NGX_HTTP_AGENTS_OPENAI_ID_MAX  40


/* What the model's lacks make of a prompt. */
typedef struct {
    const ngx_http_agents_prompt_t  *prompt;
    ngx_http_agents_names_t          names;
    size_t                           ntools;        /* offered */
    unsigned                         format:1;      /* send response_format */
    unsigned                         forced:1;      /* send a forced choice */
    unsigned                         only:1;        /* offer one tool alone */
} ngx_http_agents_openai_plan_t;


static void ngx_http_agents_openai_plan(ngx_http_agents_openai_plan_t *plan);
static int ngx_http_agents_openai_offered(
    const ngx_http_agents_openai_plan_t *plan, const json_t *tool);
static int ngx_http_agents_openai_headers(
    ngx_http_agents_model_request_t *request);
static void ngx_http_agents_openai_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan);
static void ngx_http_agents_openai_messages(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan);
static void ngx_http_agents_openai_system(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan);
static void ngx_http_agents_openai_instruct_choice(ngx_http_agents_buf_t *text,
    const ngx_http_agents_openai_plan_t *plan);
static void ngx_http_agents_openai_instruct_format(ngx_http_agents_buf_t *text,
    const ngx_http_agents_openai_plan_t *plan);
static void ngx_http_agents_openai_user(ngx_http_agents_buf_t *buf,
    const json_t *blocks);
static void ngx_http_agents_openai_assistant(ngx_http_agents_buf_t *buf,
    const json_t *blocks);
static void ngx_http_agents_openai_call(ngx_http_agents_buf_t *buf,
    const json_t *block);
static void ngx_http_agents_openai_results(ngx_http_agents_buf_t *buf,
    const json_t *blocks);
static void ngx_http_agents_openai_id(ngx_http_agents_buf_t *buf,
    const char *key, const json_t *block);
static void ngx_http_agents_openai_text(ngx_http_agents_buf_t *text,
    const json_t *blocks);
static void ngx_http_agents_openai_put_text(ngx_http_agents_buf_t *buf,
    const char *key, ngx_http_agents_buf_t *text);
static void ngx_http_agents_openai_put_json(ngx_http_agents_buf_t *buf,
    const char *key, json_t *value);
static void ngx_http_agents_openai_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan);
static void ngx_http_agents_openai_tool_choice(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan);
static void ngx_http_agents_openai_response_format(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan);
static int ngx_http_agents_openai_is(const json_t *block, const char *type);
static void ngx_http_agents_openai_separate(ngx_http_agents_buf_t *buf);


const ngx_http_agents_protocol_t  ngx_http_agents_openai = {
    "openai",
    "Authorization",
    "Bearer ",
    ngx_http_agents_openai_encode,
    ngx_http_agents_openai_reply_read,
    ngx_http_agents_openai_reply_event,
    NULL,
    ngx_http_agents_openai_fault_read
};


int
ngx_http_agents_openai_encode(const ngx_http_agents_prompt_t *prompt,
    ngx_http_agents_model_request_t *request)
{
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_openai_plan_t  plan;

    memset(request, 0, sizeof(ngx_http_agents_model_request_t));
    memset(&plan, 0, sizeof(ngx_http_agents_openai_plan_t));

    plan.prompt = prompt;

    if (ngx_http_agents_names_init(&plan.names, prompt->tools) != 0) {
        return -1;
    }

    ngx_http_agents_openai_plan(&plan);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_openai_body(&buf, &plan);

    ngx_http_agents_names_free(&plan.names);

    request->body = ngx_http_agents_buf_take(&buf, &request->body_len);
    request->path = strdup("/chat/completions");

    if (request->body == NULL || request->path == NULL) {
        return -1;
    }

    return ngx_http_agents_openai_headers(request);
}


static void
ngx_http_agents_openai_plan(ngx_http_agents_openai_plan_t *plan)
{
    size_t                           i;
    json_t                          *tool;
    const ngx_http_agents_prompt_t  *prompt;

    prompt = plan->prompt;

    plan->forced = prompt->choice != NGX_HTTP_AGENTS_CHOICE_AUTO
                   && !(prompt->lacks & NGX_HTTP_AGENTS_NO_FORCED_CHOICE);

    plan->only = prompt->choice == NGX_HTTP_AGENTS_CHOICE_TOOL
                 && prompt->choice_name != NULL
                 && !plan->forced;

    json_array_foreach(prompt->tools, i, tool) {
        plan->ntools += ngx_http_agents_openai_offered(plan, tool);
    }

    plan->format = prompt->format != NULL
                   && !(prompt->lacks & NGX_HTTP_AGENTS_NO_NATIVE_FORMAT)
                   && !(plan->ntools != 0
                        && (prompt->lacks
                            & NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS));
}


static int
ngx_http_agents_openai_offered(const ngx_http_agents_openai_plan_t *plan,
    const json_t *tool)
{
    const char  *name;

    name = ngx_http_agents_json_string(tool, "name", NULL);

    if (name == NULL) {
        return 0;
    }

    return !plan->only || strcmp(name, plan->prompt->choice_name) == 0;
}


static int
ngx_http_agents_openai_headers(ngx_http_agents_model_request_t *request)
{
    size_t       i;

    static const char *const  headers[] = {
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream"
    };

    request->headers = calloc(sizeof(headers) / sizeof(headers[0]),
                              sizeof(char *));
    if (request->headers == NULL) {
        return -1;
    }

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {

        request->headers[i] = strdup(headers[i]);
        if (request->headers[i] == NULL) {
            return -1;
        }

        request->nheaders++;
    }

    return 0;
}


static void
ngx_http_agents_openai_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan)
{
    const char                      *field;
    const ngx_http_agents_prompt_t  *prompt;

    prompt = plan->prompt;

    ngx_http_agents_json_begin(buf);

    ngx_http_agents_json_member_cstring(buf, "model", prompt->model);

    ngx_http_agents_openai_messages(buf, plan);

    field = prompt->max_tokens_field;
    if (field == NULL || *field == '\0') {
        field = "max_completion_tokens";
    }

    ngx_http_agents_json_member_integer(buf, field, prompt->max_tokens);

    if (!(prompt->lacks & NGX_HTTP_AGENTS_NO_TEMPERATURE)) {
        ngx_http_agents_openai_put_json(buf, "temperature",
                                        json_real(prompt->temperature));
    }

    if (plan->ntools != 0) {
        ngx_http_agents_openai_tools(buf, plan);
        ngx_http_agents_openai_tool_choice(buf, plan);
    }

    if (plan->format) {
        ngx_http_agents_openai_response_format(buf, plan);
    }

    if (!(prompt->lacks & NGX_HTTP_AGENTS_NO_STREAM)) {
        ngx_http_agents_json_member_raw(buf, "stream", "true", 4);
        ngx_http_agents_json_member_raw(buf, "stream_options",
                                        "{\"include_usage\":true}", 22);
    }

    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_openai_messages(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan)
{
    size_t       i;
    json_t      *message, *blocks;
    const char  *role;

    ngx_http_agents_json_key(buf, "messages");
    ngx_http_agents_buf_addc(buf, '[');

    ngx_http_agents_openai_system(buf, plan);

    json_array_foreach(plan->prompt->messages, i, message) {
        role = ngx_http_agents_json_string(message, "role", NULL);
        blocks = ngx_http_agents_json_array(message, "content_blocks");

        if (role == NULL || blocks == NULL) {
            continue;
        }

        if (strcmp(role, "assistant") == 0) {
            ngx_http_agents_openai_assistant(buf, blocks);

        } else if (strcmp(role, "tool") == 0) {
            ngx_http_agents_openai_results(buf, blocks);

        } else {
            ngx_http_agents_openai_user(buf, blocks);
        }
    }

    ngx_http_agents_buf_addc(buf, ']');
}


static void
ngx_http_agents_openai_system(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan)
{
    ngx_http_agents_buf_t            text;
    const ngx_http_agents_prompt_t  *prompt;

    prompt = plan->prompt;

    ngx_http_agents_buf_init(&text);

    if (prompt->system != NULL) {
        ngx_http_agents_buf_add(&text, prompt->system, prompt->system_len);
    }

    if (prompt->choice != NGX_HTTP_AGENTS_CHOICE_AUTO && !plan->forced
        && plan->ntools != 0)
    {
        ngx_http_agents_openai_instruct_choice(&text, plan);
    }

    if (prompt->format != NULL && !plan->format) {
        ngx_http_agents_openai_instruct_format(&text, plan);
    }

    if (text.len != 0 || text.failed) {
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "role", "system");
        ngx_http_agents_openai_put_text(buf, "content", &text);
        ngx_http_agents_json_end(buf);
    }

    ngx_http_agents_buf_free(&text);
}


static void
ngx_http_agents_openai_instruct_choice(ngx_http_agents_buf_t *text,
    const ngx_http_agents_openai_plan_t *plan)
{
    char  name[NGX_HTTP_AGENTS_NAME_MAX + 1];

    if (text->len != 0) {
        ngx_http_agents_buf_adds(text, "\n\n");
    }

    if (!plan->only) {
        ngx_http_agents_buf_adds(text,
            "Reply with a call of at least one of the tools that you are "
            "given, not with text alone.");
        return;
    }

    ngx_http_agents_names_portable(&plan->names, name,
                                   plan->prompt->choice_name);

    ngx_http_agents_buf_addf(text,
        "Reply with a call of the tool \"%s\", not with text alone.", name);
}


static void
ngx_http_agents_openai_instruct_format(ngx_http_agents_buf_t *text,
    const ngx_http_agents_openai_plan_t *plan)
{
    if (text->len != 0) {
        ngx_http_agents_buf_adds(text, "\n\n");
    }

    if (plan->ntools != 0) {
        ngx_http_agents_buf_adds(text,
            "When you need no further call of a tool, give your final answer "
            "as");

    } else {
        ngx_http_agents_buf_adds(text, "Give your answer as");
    }

    ngx_http_agents_buf_adds(text,
        " one JSON object and nothing else: no text before or after it, no "
        "code fence. It has to be valid under this JSON Schema:\n");

    ngx_http_agents_json_put(text, plan->prompt->format);
}


static void
ngx_http_agents_openai_user(ngx_http_agents_buf_t *buf, const json_t *blocks)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_openai_text(&text, blocks);

    ngx_http_agents_openai_separate(buf);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "role", "user");
    ngx_http_agents_openai_put_text(buf, "content", &text);
    ngx_http_agents_json_end(buf);

    ngx_http_agents_buf_free(&text);
}


static void
ngx_http_agents_openai_assistant(ngx_http_agents_buf_t *buf,
    const json_t *blocks)
{
    size_t                 i, ncalls;
    json_t                *block;
    ngx_http_agents_buf_t  text;

    ncalls = 0;

    json_array_foreach(blocks, i, block) {
        ncalls += ngx_http_agents_openai_is(block, "tool_use");
    }

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_openai_text(&text, blocks);

    if (ncalls == 0 && text.len == 0 && !text.failed) {

        /* nothing of the turn has a form here: opaque blocks alone */

        ngx_http_agents_buf_free(&text);
        return;
    }

    ngx_http_agents_openai_separate(buf);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "role", "assistant");

    if (text.len == 0 && !text.failed) {
        ngx_http_agents_json_member_raw(buf, "content", NULL, 0);

    } else {
        ngx_http_agents_openai_put_text(buf, "content", &text);
    }

    ngx_http_agents_buf_free(&text);

    if (ncalls != 0) {
        ngx_http_agents_json_key(buf, "tool_calls");
        ngx_http_agents_buf_addc(buf, '[');

        json_array_foreach(blocks, i, block) {
            if (ngx_http_agents_openai_is(block, "tool_use")) {
                ngx_http_agents_openai_call(buf, block);
            }
        }

        ngx_http_agents_buf_addc(buf, ']');
    }

    ngx_http_agents_json_end(buf);
}


/*
 * Arguments go as the text of an object even where the model had sent none:
 * servers that read them back would refuse the whole prompt.
 */

static void
ngx_http_agents_openai_call(ngx_http_agents_buf_t *buf, const json_t *block)
{
    json_t                 *arguments;
    ngx_http_agents_buf_t   text;

    ngx_http_agents_openai_separate(buf);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_openai_id(buf, "id", block);
    ngx_http_agents_json_member_cstring(buf, "type", "function");

    ngx_http_agents_json_key(buf, "function");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "name",
                          ngx_http_agents_json_string(block, "name", NULL));

    arguments = json_object_get(block, "arguments");

    ngx_http_agents_buf_init(&text);

    if (json_is_object(arguments)) {
        ngx_http_agents_json_put(&text, arguments);

    } else {
        ngx_http_agents_json_begin(&text);
        ngx_http_agents_json_key(&text, "invalid_arguments");
        ngx_http_agents_json_put(&text, arguments);
        ngx_http_agents_json_end(&text);
    }

    ngx_http_agents_openai_put_text(buf, "arguments", &text);
    ngx_http_agents_buf_free(&text);

    ngx_http_agents_json_end(buf);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_openai_results(ngx_http_agents_buf_t *buf,
    const json_t *blocks)
{
    size_t                  i;
    json_t                 *block;
    ngx_http_agents_buf_t   text;

    ngx_http_agents_buf_init(&text);

    json_array_foreach(blocks, i, block) {

        if (!ngx_http_agents_openai_is(block, "tool_result")) {
            continue;
        }

        ngx_http_agents_buf_reset(&text);

        /* there is no flag for it */

        if (ngx_http_agents_json_true(block, "is_error")) {
            ngx_http_agents_buf_adds(&text, "Error: ");
        }

        ngx_http_agents_openai_text(&text,
                              ngx_http_agents_json_array(block, "content"));

        ngx_http_agents_openai_separate(buf);

        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "role", "tool");
        ngx_http_agents_openai_id(buf, "tool_call_id", block);
        ngx_http_agents_openai_put_text(buf, "content", &text);
        ngx_http_agents_json_end(buf);
    }

    ngx_http_agents_buf_free(&text);
}


/* Of a longer id the end is kept: that is where it is random. */

static void
ngx_http_agents_openai_id(ngx_http_agents_buf_t *buf, const char *key,
    const json_t *block)
{
    size_t       len;
    const char  *id;

    id = ngx_http_agents_json_string(block, "tool_use_id", &len);
    if (id == NULL) {
        id = "";
        len = 0;
    }

    if (len > NGX_HTTP_AGENTS_OPENAI_ID_MAX) {
        id += len - NGX_HTTP_AGENTS_OPENAI_ID_MAX;
        len = NGX_HTTP_AGENTS_OPENAI_ID_MAX;
    }

    ngx_http_agents_json_member_string(buf, key, id, len);
}


/*
 * Adds the text blocks, a blank line apart: one string is what every server
 * takes, a list of parts is not.
 */

static void
ngx_http_agents_openai_text(ngx_http_agents_buf_t *text, const json_t *blocks)
{
    size_t       i, n, len;
    json_t      *block;
    const char  *data;

    n = 0;

    json_array_foreach(blocks, i, block) {

        if (!ngx_http_agents_openai_is(block, "text")) {
            continue;
        }

        data = ngx_http_agents_json_string(block, "text", &len);

        if (data == NULL || len == 0) {
            continue;
        }

        if (n++ != 0) {
            ngx_http_agents_buf_adds(text, "\n\n");
        }

        ngx_http_agents_buf_add(text, data, len);
    }
}


static void
ngx_http_agents_openai_put_text(ngx_http_agents_buf_t *buf, const char *key,
    ngx_http_agents_buf_t *text)
{
    if (text->failed) {
        buf->failed = 1;
    }

    ngx_http_agents_json_member_string(buf, key,
                                       (text->len != 0) ? text->data : "",
                                       text->len);
}


/* Takes the reference over; NULL is a failed allocation. */

static void
ngx_http_agents_openai_put_json(ngx_http_agents_buf_t *buf, const char *key,
    json_t *value)
{
    if (value == NULL) {
        buf->failed = 1;
        return;
    }

    ngx_http_agents_json_key(buf, key);
    ngx_http_agents_json_put(buf, value);

    json_decref(value);
}


static void
ngx_http_agents_openai_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan)
{
    size_t       i, len;
    json_t      *tool;
    const char  *description;

    ngx_http_agents_json_key(buf, "tools");
    ngx_http_agents_buf_addc(buf, '[');

    json_array_foreach(plan->prompt->tools, i, tool) {

        if (!ngx_http_agents_openai_offered(plan, tool)) {
            continue;
        }

        ngx_http_agents_openai_separate(buf);

        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "type", "function");
        ngx_http_agents_json_key(buf, "function");
        ngx_http_agents_json_begin(buf);

        ngx_http_agents_json_member_cstring(buf, "name",
                                            plan->names.list[i].portable);

        description = ngx_http_agents_json_string(tool, "description", &len);

        if (description != NULL && len != 0) {
            ngx_http_agents_json_member_string(buf, "description", description,
                                               len);
        }

        ngx_http_agents_json_key(buf, "parameters");
        ngx_http_agents_json_put(buf, json_object_get(tool, "input_schema"));

        if (!(plan->prompt->lacks & NGX_HTTP_AGENTS_NO_STRICT_TOOLS)) {
            ngx_http_agents_json_member_raw(buf, "strict", "false", 5);
        }

        ngx_http_agents_json_end(buf);
        ngx_http_agents_json_end(buf);
    }

    ngx_http_agents_buf_addc(buf, ']');
}


static void
ngx_http_agents_openai_tool_choice(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan)
{
    char                             name[NGX_HTTP_AGENTS_NAME_MAX + 1];
    const ngx_http_agents_prompt_t  *prompt;

    prompt = plan->prompt;

    if (!plan->forced) {
        ngx_http_agents_json_member_cstring(buf, "tool_choice", "auto");
        return;
    }

    if (prompt->choice == NGX_HTTP_AGENTS_CHOICE_ANY
        || prompt->choice_name == NULL)
    {
        ngx_http_agents_json_member_cstring(buf, "tool_choice", "required");
        return;
    }

    ngx_http_agents_names_portable(&plan->names, name, prompt->choice_name);

    ngx_http_agents_json_key(buf, "tool_choice");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "type", "function");
    ngx_http_agents_json_key(buf, "function");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "name", name);
    ngx_http_agents_json_end(buf);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_openai_response_format(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_openai_plan_t *plan)
{
    int      strict;
    json_t  *schema;

    schema = ngx_http_agents_openai_format_schema(plan->prompt->format,
                                                  &strict);
    if (schema == NULL) {
        buf->failed = 1;
        return;
    }

    ngx_http_agents_json_key(buf, "response_format");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "type", "json_schema");
    ngx_http_agents_json_key(buf, "json_schema");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "name", "answer");

    if (strict) {
        ngx_http_agents_json_member_raw(buf, "strict", "true", 4);

    } else {
        ngx_http_agents_json_member_raw(buf, "strict", "false", 5);
    }

    ngx_http_agents_openai_put_json(buf, "schema", schema);

    ngx_http_agents_json_end(buf);
    ngx_http_agents_json_end(buf);
}


static int
ngx_http_agents_openai_is(const json_t *block, const char *type)
{
    const char  *name;

    name = ngx_http_agents_json_string(block, "type", NULL);

    return name != NULL && strcmp(name, type) == 0;
}


/* The comma between the elements of an array. */

static void
ngx_http_agents_openai_separate(ngx_http_agents_buf_t *buf)
{
    if (buf->len != 0 && buf->data[buf->len - 1] != '[') {
        ngx_http_agents_buf_addc(buf, ',');
    }
}
