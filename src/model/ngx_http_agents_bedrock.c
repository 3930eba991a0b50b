
#include <string.h>
#include <strings.h>
#include "ngx_http_agents_anthropic.h"
#include "ngx_http_agents_bedrock.h"
#include "ngx_http_agents_ident.h"


#define NGX_HTTP_AGENTS_BEDROCK_ID_MAX  64

/* The prefix up to here is the same in the next inference: to be cached. */
#define NGX_HTTP_AGENTS_BEDROCK_CACHE                                         \
    "{\"cachePoint\":{\"type\":\"default\"}}"

/* A history with calls needs tools, also where none are offered any more. */
#define NGX_HTTP_AGENTS_BEDROCK_NO_TOOL                                       \
    "{\"toolSpec\":{\"name\":\"none\",\"description\":\"There are no tools "  \
    "any more. Do not call this.\",\"inputSchema\":{\"json\":{\"type\":"      \
    "\"object\",\"properties\":{}}}}}"


static int ngx_http_agents_bedrock_encode(
    const ngx_http_agents_prompt_t *prompt,
    ngx_http_agents_model_request_t *request);
static void ngx_http_agents_bedrock_path(ngx_http_agents_buf_t *path,
    const ngx_http_agents_prompt_t *prompt);
static void ngx_http_agents_bedrock_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_bedrock_system(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_bedrock_block(ngx_http_agents_buf_t *buf,
    const json_t *block, int last);
static void ngx_http_agents_bedrock_result(ngx_http_agents_buf_t *buf,
    const json_t *block);
static void ngx_http_agents_bedrock_inference(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_prompt_t *prompt);
static void ngx_http_agents_bedrock_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_bedrock_tool(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, const char *name,
    const json_t *description, const json_t *schema);
static void ngx_http_agents_bedrock_tool_choice(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static void ngx_http_agents_bedrock_format(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan);
static int ngx_http_agents_bedrock_caches(
    const ngx_http_agents_prompt_t *prompt);


const ngx_http_agents_protocol_t  ngx_http_agents_bedrock = {
    "bedrock",
    "Authorization",
    "Bearer ",
    ngx_http_agents_bedrock_encode,
    ngx_http_agents_bedrock_reply_read,
    ngx_http_agents_bedrock_reply_event,
    ngx_http_agents_bedrock_reply_opaque,
    ngx_http_agents_bedrock_fault_read,
    "bedrock",
    NULL
};


static int
ngx_http_agents_bedrock_encode(const ngx_http_agents_prompt_t *prompt,
    ngx_http_agents_model_request_t *request)
{
    int                     rc;
    ngx_http_agents_buf_t   buf, path;
    ngx_http_agents_plan_t  plan;

    static const char *const  headers[] = {
        "Content-Type: application/json",
        "Accept: application/json, application/vnd.amazon.eventstream",
        NULL
    };

    memset(request, 0, sizeof(ngx_http_agents_model_request_t));
    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_init(&path);

    rc = ngx_http_agents_plan_init(&plan, prompt,
                                   &ngx_http_agents_anthropic_rules, 0);
    if (rc == 0) {
        ngx_http_agents_bedrock_path(&path, prompt);
        ngx_http_agents_bedrock_body(&buf, &plan);

        rc = path.failed
             ? -1 : ngx_http_agents_plan_request(request, path.data, headers,
                                                 &buf);
    }

    /* what signs the request has no time to hash it */

    if (rc == 0) {
        rc = ngx_http_agents_ident_sha256(request->sha256, request->body,
                                          request->body_len);
    }

    ngx_http_agents_plan_free(&plan);
    ngx_http_agents_buf_free(&buf);
    ngx_http_agents_buf_free(&path);

    return rc;
}


/* Ids have ":" and, where they are ARNs, "/" in them. */

static void
ngx_http_agents_bedrock_path(ngx_http_agents_buf_t *path,
    const ngx_http_agents_prompt_t *prompt)
{
    const char  *p;

    ngx_http_agents_buf_adds(path, "/model/");

    for (p = prompt->model; *p != '\0'; p++) {

        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
            || (*p >= '0' && *p <= '9') || strchr("-_.~", *p) != NULL)
        {
            ngx_http_agents_buf_addc(path, *p);

        } else {
            ngx_http_agents_buf_addf(path, "%%%02X", (unsigned char) *p);
        }
    }

    ngx_http_agents_buf_adds(path,
                             (prompt->lacks & NGX_HTTP_AGENTS_NO_STREAM)
                             ? "/converse" : "/converse-stream");
}


static void
ngx_http_agents_bedrock_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    ngx_http_agents_json_begin(buf);

    ngx_http_agents_bedrock_system(buf, plan);
    ngx_http_agents_plan_turns(buf, plan, ngx_http_agents_bedrock_block,
                               ngx_http_agents_bedrock_caches(plan->prompt)
                               ? NGX_HTTP_AGENTS_BEDROCK_CACHE : NULL);
    ngx_http_agents_bedrock_inference(buf, plan->prompt);
    ngx_http_agents_bedrock_tools(buf, plan);

    if (plan->native) {
        ngx_http_agents_bedrock_format(buf, plan);
    }

    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_bedrock_system(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_plan_system(plan, &text);

    if (text.len != 0 || text.failed) {
        ngx_http_agents_json_key(buf, "system");
        ngx_http_agents_buf_addc(buf, '[');
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_plan_put_text(buf, "text", &text);
        ngx_http_agents_json_end(buf);

        if (ngx_http_agents_bedrock_caches(plan->prompt)) {
            ngx_http_agents_buf_adds(buf, "," NGX_HTTP_AGENTS_BEDROCK_CACHE);
        }

        ngx_http_agents_buf_addc(buf, ']');
    }

    ngx_http_agents_buf_free(&text);
}


/* A block has one member, which says what it is. */

static void
ngx_http_agents_bedrock_block(ngx_http_agents_buf_t *buf, const json_t *block,
    int last)
{
    size_t       len;
    const char  *text;

    if (ngx_http_agents_plan_is(block, "opaque")) {
        ngx_http_agents_json_put(buf, json_object_get(block, "data"));

    } else if (ngx_http_agents_plan_is(block, "tool_use")) {
        ngx_http_agents_buf_adds(buf, "{\"toolUse\":{");
        ngx_http_agents_plan_id(buf, "toolUseId", block,
                                NGX_HTTP_AGENTS_BEDROCK_ID_MAX);
        ngx_http_agents_json_member_cstring(buf, "name",
                           ngx_http_agents_json_string(block, "name", NULL));
        ngx_http_agents_json_key(buf, "input");
        ngx_http_agents_plan_arguments(buf, block);
        ngx_http_agents_buf_adds(buf, "}}");

    } else if (ngx_http_agents_plan_is(block, "tool_result")) {
        ngx_http_agents_bedrock_result(buf, block);

    } else {
        text = ngx_http_agents_json_string(block, "text", &len);
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_string(buf, "text", text ? text : "",
                                           text ? len : 0);
        ngx_http_agents_json_end(buf);
    }
}


/* Text is what every model takes there; blank text is refused. */

static void
ngx_http_agents_bedrock_result(ngx_http_agents_buf_t *buf, const json_t *block)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_plan_text(&text,
                              ngx_http_agents_json_array(block, "content"));

    if (ngx_http_agents_plan_blank(text.data, text.len)) {
        ngx_http_agents_buf_adds(&text, "(empty)");
    }

    ngx_http_agents_buf_adds(buf, "{\"toolResult\":{");
    ngx_http_agents_plan_id(buf, "toolUseId", block,
                            NGX_HTTP_AGENTS_BEDROCK_ID_MAX);
    ngx_http_agents_json_key(buf, "content");
    ngx_http_agents_buf_addc(buf, '[');
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_plan_put_text(buf, "text", &text);
    ngx_http_agents_json_end(buf);
    ngx_http_agents_buf_addc(buf, ']');
    ngx_http_agents_json_member_cstring(buf, "status",
                                 ngx_http_agents_json_true(block, "is_error")
                                 ? "error" : "success");
    ngx_http_agents_buf_adds(buf, "}}");

    ngx_http_agents_buf_free(&text);
}


static void
ngx_http_agents_bedrock_inference(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_prompt_t *prompt)
{
    ngx_http_agents_json_key(buf, "inferenceConfig");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_integer(buf, "maxTokens", prompt->max_tokens);

    ngx_http_agents_plan_temperature(buf, prompt);

    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_bedrock_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    int  none;

    none = (plan->ntools == 0 && !plan->answer);

    if (none && !ngx_http_agents_plan_has_calls(plan)) {
        return;
    }

    ngx_http_agents_json_key(buf, "toolConfig");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_key(buf, "tools");
    ngx_http_agents_buf_addc(buf, '[');

    ngx_http_agents_plan_tools(buf, plan, ngx_http_agents_bedrock_tool);

    if (none) {
        ngx_http_agents_buf_adds(buf, NGX_HTTP_AGENTS_BEDROCK_NO_TOOL);
    }

    ngx_http_agents_buf_addc(buf, ']');

    ngx_http_agents_bedrock_tool_choice(buf, plan);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_bedrock_tool(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, const char *name,
    const json_t *description, const json_t *schema)
{
    ngx_http_agents_plan_separate(buf);

    ngx_http_agents_buf_adds(buf, "{\"toolSpec\":{");
    ngx_http_agents_json_member_cstring(buf, "name", name);

    if (json_string_length(description) != 0) {
        ngx_http_agents_plan_put_json(buf, "description", description);
    }

    ngx_http_agents_json_key(buf, "inputSchema");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_key(buf, "json");
    ngx_http_agents_json_put(buf, schema);
    ngx_http_agents_json_end(buf);
    ngx_http_agents_buf_adds(buf, "}}");
}


static void
ngx_http_agents_bedrock_tool_choice(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    char  name[NGX_HTTP_AGENTS_NAME_MAX + 1];

    switch (ngx_http_agents_plan_choice(plan, name)) {

    case NGX_HTTP_AGENTS_CHOICE_AUTO:
        break;

    case NGX_HTTP_AGENTS_CHOICE_ANY:
        ngx_http_agents_json_member_raw(buf, "toolChoice", "{\"any\":{}}", 10);
        break;

    case NGX_HTTP_AGENTS_CHOICE_TOOL:
        ngx_http_agents_json_key(buf, "toolChoice");
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_key(buf, "tool");
        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "name", name);
        ngx_http_agents_json_end(buf);
        ngx_http_agents_json_end(buf);
        break;
    }
}


/* The schema goes as text. */

static void
ngx_http_agents_bedrock_format(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan)
{
    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_json_put(&text, plan->format);

    ngx_http_agents_json_key(buf, "outputConfig");
    ngx_http_agents_buf_adds(buf, "{\"textFormat\":{\"type\":\"json_schema\","
                             "\"structure\":{\"jsonSchema\":{");
    ngx_http_agents_plan_put_text(buf, "schema", &text);
    ngx_http_agents_json_member_cstring(buf, "name", "answer");
    ngx_http_agents_buf_adds(buf, "}}}}");

    ngx_http_agents_buf_free(&text);
}


/* Of the families of models, these take a mark; others refuse it. */

static int
ngx_http_agents_bedrock_caches(const ngx_http_agents_prompt_t *prompt)
{
    return strstr(prompt->model, "anthropic.claude") != NULL
           || strstr(prompt->model, "amazon.nova") != NULL;
}
