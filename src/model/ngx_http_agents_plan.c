
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_plan.h"


static int ngx_http_agents_plan_offers(const ngx_http_agents_plan_t *plan,
    const json_t *tool);
static void ngx_http_agents_plan_instruct_choice(
    const ngx_http_agents_plan_t *plan, ngx_http_agents_buf_t *text);
static void ngx_http_agents_plan_instruct_format(
    const ngx_http_agents_plan_t *plan, ngx_http_agents_buf_t *text);


static const char  ngx_http_agents_plan_answer_description[] =
    "Gives the final answer. Call it once no further information is needed; "
    "its arguments are the answer.";


int
ngx_http_agents_plan_init(ngx_http_agents_plan_t *plan,
    const ngx_http_agents_prompt_t *prompt,
    const ngx_http_agents_format_rules_t *rules, int loose)
{
    int       fits;
    size_t    i;
    json_t   *tool;
    unsigned  lacks;

    memset(plan, 0, sizeof(ngx_http_agents_plan_t));

    plan->prompt = prompt;
    lacks = prompt->lacks;

    if (ngx_http_agents_names_init(&plan->names, prompt->tools) != 0) {
        return -1;
    }

    plan->forced = prompt->choice != NGX_HTTP_AGENTS_CHOICE_AUTO
                   && !(lacks & NGX_HTTP_AGENTS_NO_FORCED_CHOICE);

    plan->only = prompt->choice == NGX_HTTP_AGENTS_CHOICE_TOOL
                 && prompt->choice_name != NULL
                 && (!plan->forced
                     || (lacks & NGX_HTTP_AGENTS_NO_NAMED_CHOICE));

    json_array_foreach(prompt->tools, i, tool) {
        plan->ntools += ngx_http_agents_plan_offers(plan, tool);
    }

    if (prompt->format == NULL) {
        return 0;
    }

    plan->format = ngx_http_agents_format_schema(prompt->format, rules, &fits);
    if (plan->format == NULL) {
        return -1;
    }

    plan->strict = fits;

    plan->native = (fits || loose)
                   && !(lacks & NGX_HTTP_AGENTS_NO_NATIVE_FORMAT)
                   && !(plan->ntools != 0
                        && (lacks & NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS));

    /* the next best: the answer as the arguments of a call that is asked for */

    plan->answer = !plan->native
                   && prompt->choice == NGX_HTTP_AGENTS_CHOICE_AUTO
                   && !(lacks & NGX_HTTP_AGENTS_NO_FORCED_CHOICE)
                   && !(lacks & NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS);

    return 0;
}


void
ngx_http_agents_plan_free(ngx_http_agents_plan_t *plan)
{
    ngx_http_agents_names_free(&plan->names);
    json_decref(plan->format);
}


static int
ngx_http_agents_plan_offers(const ngx_http_agents_plan_t *plan,
    const json_t *tool)
{
    const char  *name;

    name = ngx_http_agents_json_string(tool, "name", NULL);

    if (name == NULL) {
        return 0;
    }

    return !plan->only || strcmp(name, plan->prompt->choice_name) == 0;
}


void
ngx_http_agents_plan_temperature(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_prompt_t *prompt)
{
    json_t  *temperature;

    if (!(prompt->lacks & NGX_HTTP_AGENTS_NO_TEMPERATURE)) {
        temperature = json_real(prompt->temperature);
        ngx_http_agents_plan_put_json(buf, "temperature", temperature);
        json_decref(temperature);
    }
}


void
ngx_http_agents_plan_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, ngx_http_agents_plan_tool_pt put)
{
    size_t   i;
    json_t  *tool, *description;

    json_array_foreach(plan->prompt->tools, i, tool) {
        if (ngx_http_agents_plan_offers(plan, tool)) {
            put(buf, plan, plan->names.list[i].portable,
                json_object_get(tool, "description"),
                json_object_get(tool, "input_schema"));
        }
    }

    if (plan->answer) {
        description = json_string(ngx_http_agents_plan_answer_description);

        put(buf, plan, NGX_HTTP_AGENTS_PLAN_ANSWER, description,
            plan->prompt->format);
        json_decref(description);
    }
}


int
ngx_http_agents_plan_has_calls(const ngx_http_agents_plan_t *plan)
{
    size_t   i, k;
    json_t  *message, *block;

    json_array_foreach(plan->prompt->messages, i, message) {
        json_array_foreach(ngx_http_agents_json_array(message,
                                                      "content_blocks"),
                           k, block)
        {
            if (ngx_http_agents_plan_is(block, "tool_use")) {
                return 1;
            }
        }
    }

    return 0;
}


ngx_http_agents_choice_e
ngx_http_agents_plan_choice(const ngx_http_agents_plan_t *plan,
    char name[NGX_HTTP_AGENTS_NAME_MAX + 1])
{
    const ngx_http_agents_prompt_t  *prompt;

    prompt = plan->prompt;

    if (plan->answer) {
        memcpy(name, NGX_HTTP_AGENTS_PLAN_ANSWER,
               sizeof(NGX_HTTP_AGENTS_PLAN_ANSWER));

        return (plan->ntools == 0
                && !(prompt->lacks & NGX_HTTP_AGENTS_NO_NAMED_CHOICE))
               ? NGX_HTTP_AGENTS_CHOICE_TOOL : NGX_HTTP_AGENTS_CHOICE_ANY;
    }

    if (!plan->forced) {
        return NGX_HTTP_AGENTS_CHOICE_AUTO;
    }

    if (prompt->choice == NGX_HTTP_AGENTS_CHOICE_ANY
        || prompt->choice_name == NULL
        || plan->only)
    {
        return NGX_HTTP_AGENTS_CHOICE_ANY;
    }

    ngx_http_agents_names_portable(&plan->names, name, prompt->choice_name);

    return NGX_HTTP_AGENTS_CHOICE_TOOL;
}


void
ngx_http_agents_plan_system(const ngx_http_agents_plan_t *plan,
    ngx_http_agents_buf_t *text)
{
    const ngx_http_agents_prompt_t  *prompt;

    prompt = plan->prompt;

    /* a blank one says nothing, and is refused by some */

    if (prompt->system != NULL
        && !ngx_http_agents_plan_blank(prompt->system, prompt->system_len))
    {
        ngx_http_agents_buf_add(text, prompt->system, prompt->system_len);
    }

    if (prompt->choice != NGX_HTTP_AGENTS_CHOICE_AUTO && !plan->forced
        && plan->ntools != 0)
    {
        ngx_http_agents_plan_instruct_choice(plan, text);
    }

    if (prompt->format != NULL && !plan->native && !plan->answer) {
        ngx_http_agents_plan_instruct_format(plan, text);
    }
}


static void
ngx_http_agents_plan_instruct_choice(const ngx_http_agents_plan_t *plan,
    ngx_http_agents_buf_t *text)
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
ngx_http_agents_plan_instruct_format(const ngx_http_agents_plan_t *plan,
    ngx_http_agents_buf_t *text)
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


int
ngx_http_agents_plan_blank(const char *text, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0') {
            return 0;
        }
    }

    return 1;
}


int
ngx_http_agents_plan_is(const json_t *block, const char *type)
{
    const char  *name;

    name = ngx_http_agents_json_string(block, "type", NULL);

    return name != NULL && strcmp(name, type) == 0;
}


void
ngx_http_agents_plan_text(ngx_http_agents_buf_t *text, const json_t *blocks)
{
    size_t       i, n, len;
    json_t      *block;
    const char  *data;

    n = 0;

    json_array_foreach(blocks, i, block) {

        if (!ngx_http_agents_plan_is(block, "text")) {
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


/* Servers that read them back would refuse the whole prompt for others. */

void
ngx_http_agents_plan_arguments(ngx_http_agents_buf_t *buf, const json_t *block)
{
    json_t  *arguments;

    arguments = json_object_get(block, "arguments");

    if (json_is_object(arguments)) {
        ngx_http_agents_json_put(buf, arguments);
        return;
    }

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_key(buf, "invalid_arguments");
    ngx_http_agents_json_put(buf, arguments);
    ngx_http_agents_json_end(buf);
}


void
ngx_http_agents_plan_id(ngx_http_agents_buf_t *buf, const char *key,
    const json_t *block, size_t max)
{
    char         portable[NGX_HTTP_AGENTS_NAME_MAX];
    size_t       i, len;
    const char  *id;

    id = ngx_http_agents_json_string(block, "tool_use_id", &len);
    if (id == NULL) {
        id = "";
        len = 0;
    }

    if (len > max) {
        id += len - max;
        len = max;
    }

    for (i = 0; i < len; i++) {
        if ((id[i] >= 'a' && id[i] <= 'z') || (id[i] >= 'A' && id[i] <= 'Z')
            || (id[i] >= '0' && id[i] <= '9') || id[i] == '_' || id[i] == '-')
        {
            portable[i] = id[i];

        } else {
            portable[i] = '_';
        }
    }

    ngx_http_agents_json_member_string(buf, key, portable, len);
}


void
ngx_http_agents_plan_put_text(ngx_http_agents_buf_t *buf, const char *key,
    const ngx_http_agents_buf_t *text)
{
    if (text->failed) {
        buf->failed = 1;
    }

    ngx_http_agents_json_member_string(buf, key,
                                       (text->len != 0) ? text->data : "",
                                       text->len);
}


void
ngx_http_agents_plan_put_json(ngx_http_agents_buf_t *buf, const char *key,
    const json_t *value)
{
    if (value == NULL) {
        buf->failed = 1;
        return;
    }

    ngx_http_agents_json_key(buf, key);
    ngx_http_agents_json_put(buf, value);
}


/* Results of tools are the user's; the passes have put them first. */

void
ngx_http_agents_plan_turns(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, ngx_http_agents_plan_block_pt block,
    const char *tail)
{
    int          assistant, open;
    size_t       i, k, n;
    json_t      *message, *blocks, *value;
    const char  *role;

    ngx_http_agents_json_key(buf, "messages");
    ngx_http_agents_buf_addc(buf, '[');

    n = json_array_size(plan->prompt->messages);
    open = -1;

    json_array_foreach(plan->prompt->messages, i, message) {
        role = ngx_http_agents_json_string(message, "role", NULL);
        blocks = ngx_http_agents_json_array(message, "content_blocks");

        if (role == NULL || blocks == NULL) {
            continue;
        }

        assistant = (strcmp(role, "assistant") == 0);

        if (assistant != open) {

            if (open != -1) {
                ngx_http_agents_buf_adds(buf, "]},");
            }

            ngx_http_agents_buf_addf(buf, "{\"role\":\"%s\",\"content\":[",
                                     assistant ? "assistant" : "user");
            open = assistant;
        }

        json_array_foreach(blocks, k, value) {
            ngx_http_agents_plan_separate(buf);
            block(buf, value, i + 1 == n && k + 1 == json_array_size(blocks));
        }
    }

    if (open == 0 && tail != NULL) {
        ngx_http_agents_plan_separate(buf);
        ngx_http_agents_buf_adds(buf, tail);
    }

    if (open != -1) {
        ngx_http_agents_buf_adds(buf, "]}");
    }

    ngx_http_agents_buf_addc(buf, ']');
}


void
ngx_http_agents_plan_separate(ngx_http_agents_buf_t *buf)
{
    if (buf->len != 0 && buf->data[buf->len - 1] != '[') {
        ngx_http_agents_buf_addc(buf, ',');
    }
}


int
ngx_http_agents_plan_request(ngx_http_agents_model_request_t *request,
    const char *path, const char *const *headers, ngx_http_agents_buf_t *body)
{
    size_t  n;

    request->body = ngx_http_agents_buf_take(body, &request->body_len);
    request->path = strdup(path);

    for (n = 0; headers[n] != NULL; n++) { /* void */ }

    request->headers = calloc(n, sizeof(char *));

    if (request->body == NULL || request->path == NULL
        || request->headers == NULL)
    {
        return -1;
    }

    while (request->nheaders < n) {

        request->headers[request->nheaders] =
            strdup(headers[request->nheaders]);

        if (request->headers[request->nheaders] == NULL) {
            return -1;
        }

        request->nheaders++;
    }

    return 0;
}
