
#include <string.h>
#include "ngx_http_agents_anthropic.h"


#define NGX_HTTP_AGENTS_ANTHROPIC_ID_MAX  64

/* The prefix up to here is the same in the next inference: to be cached. */
#define NGX_HTTP_AGENTS_ANTHROPIC_CACHE   "{\"type\":\"ephemeral\"}"

/* A history with calls needs tools, also where none are offered any more. */
#define NGX_HTTP_AGENTS_ANTHROPIC_NO_TOOL                                     \
    "{\"name\":\"none\",\"description\":\"There are no tools any more. "     \
    "Do not call this.\",\"input_schema\":{\"type\":\"object\","             \
    "\"properties\":{}}}],\"tool_choice\":{\"type\":\"none\"}"


static void ngx_http_agents_anthropic_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_anthropic_system(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_anthropic_block(ngx_http_agents_buf_t *buf,
    const json_t *block, int last);
static void ngx_http_agents_anthropic_result(ngx_http_agents_buf_t *buf,
    const json_t *block);
static void ngx_http_agents_anthropic_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_anthropic_tool(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, const char *name,
    const json_t *description, const json_t *schema);
static void ngx_http_agents_anthropic_tool_choice(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static int ngx_http_agents_anthropic_few(const json_t *value);


const ngx_http_agents_protocol_t  ngx_http_agents_anthropic = {
    "anthropic",
    "x-api-key",
    "",
    ngx_http_agents_anthropic_encode,
    ngx_http_agents_anthropic_reply_read,
    ngx_http_agents_anthropic_reply_event,
    ngx_http_agents_anthropic_reply_opaque,
    ngx_http_agents_anthropic_fault_read,
    NULL,
    NULL
};


static const ngx_http_agents_format_moved_t
    ngx_http_agents_anthropic_moved[] =
{
    { "minimum", "Least value: ", NULL },
    { "maximum", "Greatest value: ", NULL },
    { "minLength", "Least number of characters: ", NULL },
    { "maxLength", "Greatest number of characters: ", NULL },
    { "minItems", "Least number of items: ", ngx_http_agents_anthropic_few },
    { "maxItems", "Greatest number of items: ", NULL },
    { "default", "Default: ", NULL },
    { NULL, NULL, NULL }
};

const ngx_http_agents_format_rules_t  ngx_http_agents_anthropic_rules = {
    24,
    16,
    ngx_http_agents_anthropic_moved
};


int
ngx_http_agents_anthropic_encode(const ngx_http_agents_prompt_t *prompt,
    ngx_http_agents_model_request_t *request)
{
    int                     rc;
    ngx_http_agents_buf_t   buf;
    ngx_http_agents_plan_t  plan;

    static const char *const  headers[] = {
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "anthropic-version: 2023-06-01",
        NULL
    };

    memset(request, 0, sizeof(ngx_http_agents_model_request_t));
    ngx_http_agents_buf_init(&buf);

    rc = ngx_http_agents_plan_init(&plan, prompt,
                                   &ngx_http_agents_anthropic_rules, 0);
    if (rc == 0) {
        ngx_http_agents_anthropic_body(&buf, &plan);

        rc = ngx_http_agents_plan_request(request, "/v1/messages", headers,
                                          &buf);
    }

    ngx_http_agents_plan_free(&plan);
    ngx_http_agents_buf_free(&buf);

    return rc;
}


static void
ngx_http_agents_anthropic_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    const ngx_http_agents_prompt_t  *prompt;

    prompt = plan->prompt;

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "model", prompt->model);
    ngx_http_agents_json_member_integer(buf, "max_tokens", prompt->max_tokens);

    ngx_http_agents_plan_temperature(buf, prompt);

    ngx_http_agents_anthropic_tools(buf, plan);
    ngx_http_agents_anthropic_system(buf, plan);
    ngx_http_agents_plan_turns(buf, plan, ngx_http_agents_anthropic_block,
                               NULL);

    if (plan->native) {
        ngx_http_agents_json_key(buf, "output_config");
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_key(buf, "format");
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "type", "json_schema");
        ngx_http_agents_plan_put_json(buf, "schema", plan->format);
        ngx_http_agents_json_end(buf);
        ngx_http_agents_json_end(buf);
    }

    if (!(prompt->lacks & NGX_HTTP_AGENTS_NO_STREAM)) {
        ngx_http_agents_json_member_bool(buf, "stream", 1);
    }

    ngx_http_agents_json_end(buf);
}


/* The mark covers the tools, too, which come before it. */

static void
ngx_http_agents_anthropic_system(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_plan_system(plan, &text);

    if (text.len != 0 || text.failed) {
        ngx_http_agents_json_key(buf, "system");
        ngx_http_agents_buf_addc(buf, '[');
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "type", "text");
        ngx_http_agents_plan_put_text(buf, "text", &text);
        ngx_http_agents_json_member_raw(buf, "cache_control",
                                NGX_HTTP_AGENTS_ANTHROPIC_CACHE,
                                sizeof(NGX_HTTP_AGENTS_ANTHROPIC_CACHE) - 1);
        ngx_http_agents_json_end(buf);
        ngx_http_agents_buf_addc(buf, ']');
    }

    ngx_http_agents_buf_free(&text);
}


/* "last": of the whole prompt; all before it is cached for the next one. */

static void
ngx_http_agents_anthropic_block(ngx_http_agents_buf_t *buf,
    const json_t *block, int last)
{
    size_t       len;
    const char  *text;

    if (ngx_http_agents_plan_is(block, "opaque")) {
        ngx_http_agents_json_put(buf, json_object_get(block, "data"));
        return;
    }

    ngx_http_agents_json_begin(buf);

    if (ngx_http_agents_plan_is(block, "text")) {
        text = ngx_http_agents_json_string(block, "text", &len);
        ngx_http_agents_json_member_cstring(buf, "type", "text");
        ngx_http_agents_json_member_string(buf, "text", text, len);

    } else if (ngx_http_agents_plan_is(block, "tool_use")) {
        ngx_http_agents_json_member_cstring(buf, "type", "tool_use");
        ngx_http_agents_plan_id(buf, "id", block,
                                NGX_HTTP_AGENTS_ANTHROPIC_ID_MAX);
        ngx_http_agents_json_member_cstring(buf, "name",
                           ngx_http_agents_json_string(block, "name", NULL));
        ngx_http_agents_json_key(buf, "input");
        ngx_http_agents_plan_arguments(buf, block);

    } else {
        ngx_http_agents_anthropic_result(buf, block);
    }

    if (last) {
        ngx_http_agents_json_member_raw(buf, "cache_control",
                                NGX_HTTP_AGENTS_ANTHROPIC_CACHE,
                                sizeof(NGX_HTTP_AGENTS_ANTHROPIC_CACHE) - 1);
    }

    ngx_http_agents_json_end(buf);
}


/* One text: blocks of blank text are refused, an empty string is not. */

static void
ngx_http_agents_anthropic_result(ngx_http_agents_buf_t *buf,
    const json_t *block)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_plan_text(&text,
                              ngx_http_agents_json_array(block, "content"));

    if (ngx_http_agents_plan_blank(text.data, text.len)) {
        text.len = 0;
    }

    ngx_http_agents_json_member_cstring(buf, "type", "tool_result");
    ngx_http_agents_plan_id(buf, "tool_use_id", block,
                            NGX_HTTP_AGENTS_ANTHROPIC_ID_MAX);
    ngx_http_agents_plan_put_text(buf, "content", &text);

    if (ngx_http_agents_json_true(block, "is_error")) {
        ngx_http_agents_json_member_bool(buf, "is_error", 1);
    }

    ngx_http_agents_buf_free(&text);
}


static void
ngx_http_agents_anthropic_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    int  none;

    none = (plan->ntools == 0 && !plan->answer);

    if (none && !ngx_http_agents_plan_has_calls(plan)) {
        return;
    }

    ngx_http_agents_json_key(buf, "tools");
    ngx_http_agents_buf_addc(buf, '[');

    if (none) {
        ngx_http_agents_buf_adds(buf, NGX_HTTP_AGENTS_ANTHROPIC_NO_TOOL);
        return;
    }

    ngx_http_agents_plan_tools(buf, plan, ngx_http_agents_anthropic_tool);
    ngx_http_agents_buf_addc(buf, ']');

    ngx_http_agents_anthropic_tool_choice(buf, plan);
}


static void
ngx_http_agents_anthropic_tool(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, const char *name,
    const json_t *description, const json_t *schema)
{
    ngx_http_agents_plan_separate(buf);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "name", name);

    if (json_string_length(description) != 0) {
        ngx_http_agents_plan_put_json(buf, "description", description);
    }

    ngx_http_agents_json_key(buf, "input_schema");
    ngx_http_agents_json_put(buf, schema);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_anthropic_tool_choice(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    char                      name[NGX_HTTP_AGENTS_NAME_MAX + 1];
    ngx_http_agents_choice_e  choice;

    static const char *const  types[] = { "auto", "any", "tool" };

    choice = ngx_http_agents_plan_choice(plan, name);

    ngx_http_agents_json_key(buf, "tool_choice");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "type", types[choice]);

    if (choice == NGX_HTTP_AGENTS_CHOICE_TOOL) {
        ngx_http_agents_json_member_cstring(buf, "name", name);
    }

    ngx_http_agents_json_end(buf);
}


/* Of lists, the grammar knows whether they may be empty. */

static int
ngx_http_agents_anthropic_few(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) <= 1;
}
