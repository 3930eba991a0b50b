
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_openai.h"
#include "ngx_http_agents_plan.h"


/* OpenAI refuses ids of calls that are longer. */
#define NGX_HTTP_AGENTS_OPENAI_ID_MAX  40


static void ngx_http_agents_openai_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_openai_messages(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_openai_system(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_openai_user(ngx_http_agents_buf_t *buf,
    const json_t *blocks);
static void ngx_http_agents_openai_assistant(ngx_http_agents_buf_t *buf,
    const json_t *blocks);
static void ngx_http_agents_openai_call(ngx_http_agents_buf_t *buf,
    const json_t *block);
static void ngx_http_agents_openai_results(ngx_http_agents_buf_t *buf,
    const json_t *blocks);
static void ngx_http_agents_openai_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_openai_tool(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, const char *name,
    const json_t *description, const json_t *schema);
static void ngx_http_agents_openai_tool_choice(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_openai_response_format(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);


/* Strict mode: all members required, bounds of numbers and lists taken. */

static const ngx_http_agents_format_moved_t  ngx_http_agents_openai_moved[] = {
    { "minLength", "Least number of characters: ", NULL },
    { "maxLength", "Greatest number of characters: ", NULL },
    { "default", "Default: ", NULL },
    { NULL, NULL, NULL }
};

const ngx_http_agents_format_rules_t  ngx_http_agents_openai_rules = {
    0,
    SIZE_MAX,
    ngx_http_agents_openai_moved
};


const ngx_http_agents_protocol_t  ngx_http_agents_openai = {
    "openai",
    "Authorization",
    "Bearer ",
    ngx_http_agents_openai_encode,
    ngx_http_agents_openai_reply_read,
    ngx_http_agents_openai_reply_event,
    NULL,
    ngx_http_agents_openai_fault_read,
    NULL,
    NULL
};


int
ngx_http_agents_openai_encode(const ngx_http_agents_prompt_t *prompt,
    ngx_http_agents_model_request_t *request)
{
    int                     rc;
    ngx_http_agents_buf_t   buf;
    ngx_http_agents_plan_t  plan;

    static const char *const  headers[] = {
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        NULL
    };

    memset(request, 0, sizeof(ngx_http_agents_model_request_t));
    ngx_http_agents_buf_init(&buf);

    rc = ngx_http_agents_plan_init(&plan, prompt,
                                   &ngx_http_agents_openai_rules, 1);
    if (rc == 0) {
        ngx_http_agents_openai_body(&buf, &plan);

        rc = ngx_http_agents_plan_request(request, "/chat/completions",
                                          headers, &buf);
    }

    ngx_http_agents_plan_free(&plan);
    ngx_http_agents_buf_free(&buf);

    return rc;
}


static void
ngx_http_agents_openai_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
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

    ngx_http_agents_plan_temperature(buf, prompt);

    if (plan->ntools != 0 || plan->answer) {
        ngx_http_agents_openai_tools(buf, plan);
        ngx_http_agents_openai_tool_choice(buf, plan);
    }

    if (plan->native) {
        ngx_http_agents_openai_response_format(buf, plan);
    }

    if (!(prompt->lacks & NGX_HTTP_AGENTS_NO_STREAM)) {
        ngx_http_agents_json_member_bool(buf, "stream", 1);
        ngx_http_agents_json_member_raw(buf, "stream_options",
                                        "{\"include_usage\":true}", 22);
    }

    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_openai_messages(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
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
    const ngx_http_agents_plan_t *plan)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_plan_system(plan, &text);

    if (text.len != 0 || text.failed) {
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "role", "system");
        ngx_http_agents_plan_put_text(buf, "content", &text);
        ngx_http_agents_json_end(buf);
    }

    ngx_http_agents_buf_free(&text);
}


static void
ngx_http_agents_openai_user(ngx_http_agents_buf_t *buf, const json_t *blocks)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_plan_text(&text, blocks);

    ngx_http_agents_plan_separate(buf);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "role", "user");
    ngx_http_agents_plan_put_text(buf, "content", &text);
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
        ncalls += ngx_http_agents_plan_is(block, "tool_use");
    }

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_plan_text(&text, blocks);

    if (ncalls == 0 && text.len == 0 && !text.failed) {

        /* nothing of the turn has a form here: opaque blocks alone */

        ngx_http_agents_buf_free(&text);
        return;
    }

    ngx_http_agents_plan_separate(buf);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "role", "assistant");

    if (text.len == 0 && !text.failed) {
        ngx_http_agents_json_member_raw(buf, "content", NULL, 0);

    } else {
        ngx_http_agents_plan_put_text(buf, "content", &text);
    }

    ngx_http_agents_buf_free(&text);

    if (ncalls != 0) {
        ngx_http_agents_json_key(buf, "tool_calls");
        ngx_http_agents_buf_addc(buf, '[');

        json_array_foreach(blocks, i, block) {
            if (ngx_http_agents_plan_is(block, "tool_use")) {
                ngx_http_agents_openai_call(buf, block);
            }
        }

        ngx_http_agents_buf_addc(buf, ']');
    }

    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_openai_call(ngx_http_agents_buf_t *buf, const json_t *block)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_plan_separate(buf);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_plan_id(buf, "id", block, NGX_HTTP_AGENTS_OPENAI_ID_MAX);
    ngx_http_agents_json_member_cstring(buf, "type", "function");

    ngx_http_agents_json_key(buf, "function");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "name",
                          ngx_http_agents_json_string(block, "name", NULL));

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_plan_arguments(&text, block);
    ngx_http_agents_plan_put_text(buf, "arguments", &text);
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

        if (!ngx_http_agents_plan_is(block, "tool_result")) {
            continue;
        }

        ngx_http_agents_buf_reset(&text);

        /* there is no flag for it */

        if (ngx_http_agents_json_true(block, "is_error")) {
            ngx_http_agents_buf_adds(&text, "Error: ");
        }

        ngx_http_agents_plan_text(&text,
                              ngx_http_agents_json_array(block, "content"));

        ngx_http_agents_plan_separate(buf);

        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "role", "tool");
        ngx_http_agents_plan_id(buf, "tool_call_id", block,
                                NGX_HTTP_AGENTS_OPENAI_ID_MAX);
        ngx_http_agents_plan_put_text(buf, "content", &text);
        ngx_http_agents_json_end(buf);
    }

    ngx_http_agents_buf_free(&text);
}


static void
ngx_http_agents_openai_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    ngx_http_agents_json_key(buf, "tools");
    ngx_http_agents_buf_addc(buf, '[');
    ngx_http_agents_plan_tools(buf, plan, ngx_http_agents_openai_tool);
    ngx_http_agents_buf_addc(buf, ']');
}


static void
ngx_http_agents_openai_tool(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, const char *name,
    const json_t *description, const json_t *schema)
{
    ngx_http_agents_plan_separate(buf);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "type", "function");
    ngx_http_agents_json_key(buf, "function");
    ngx_http_agents_json_begin(buf);

    ngx_http_agents_json_member_cstring(buf, "name", name);

    if (json_string_length(description) != 0) {
        ngx_http_agents_plan_put_json(buf, "description", description);
    }

    ngx_http_agents_json_key(buf, "parameters");
    ngx_http_agents_json_put(buf, schema);

    if (!(plan->prompt->lacks & NGX_HTTP_AGENTS_NO_STRICT_TOOLS)) {
        ngx_http_agents_json_member_bool(buf, "strict", 0);
    }

    ngx_http_agents_json_end(buf);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_openai_tool_choice(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    char  name[NGX_HTTP_AGENTS_NAME_MAX + 1];

    switch (ngx_http_agents_plan_choice(plan, name)) {

    case NGX_HTTP_AGENTS_CHOICE_AUTO:
        ngx_http_agents_json_member_cstring(buf, "tool_choice", "auto");
        break;

    case NGX_HTTP_AGENTS_CHOICE_ANY:
        ngx_http_agents_json_member_cstring(buf, "tool_choice", "required");
        break;

    case NGX_HTTP_AGENTS_CHOICE_TOOL:
        ngx_http_agents_json_key(buf, "tool_choice");
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "type", "function");
        ngx_http_agents_json_key(buf, "function");
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "name", name);
        ngx_http_agents_json_end(buf);
        ngx_http_agents_json_end(buf);
        break;
    }
}


static void
ngx_http_agents_openai_response_format(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    ngx_http_agents_json_key(buf, "response_format");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "type", "json_schema");
    ngx_http_agents_json_key(buf, "json_schema");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "name", "answer");
    ngx_http_agents_json_member_bool(buf, "strict", plan->strict);
    ngx_http_agents_plan_put_json(buf, "schema", plan->format);

    ngx_http_agents_json_end(buf);
    ngx_http_agents_json_end(buf);
}
