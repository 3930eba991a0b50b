
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_names.h"
#include "ngx_http_agents_openai.h"


/* Of a reply as a whole; the arguments of a call are a text of their own. */
#define NGX_HTTP_AGENTS_OPENAI_REPLY_DEPTH  128


static int ngx_http_agents_openai_reply_read(
    const ngx_http_agents_prompt_t *prompt, const json_t *root,
    ngx_http_agents_reply_t *reply, ngx_http_agents_buf_t *why);
static int ngx_http_agents_openai_reply_error(const json_t *root,
    ngx_http_agents_buf_t *why);
static int ngx_http_agents_openai_reply_content(const json_t *message,
    ngx_http_agents_reply_t *reply, ngx_http_agents_buf_t *why);
static int ngx_http_agents_openai_reply_text(ngx_http_agents_reply_t *reply,
    const json_t *text, ngx_http_agents_buf_t *why);
static int ngx_http_agents_openai_reply_calls(
    const ngx_http_agents_prompt_t *prompt, const json_t *message,
    ngx_http_agents_reply_t *reply, ngx_http_agents_buf_t *why);
static int ngx_http_agents_openai_reply_call(
    const ngx_http_agents_names_t *names, const json_t *call,
    ngx_http_agents_reply_t *reply, ngx_http_agents_buf_t *why);
static json_t *ngx_http_agents_openai_reply_arguments(json_t *value);
static ngx_http_agents_stop_e ngx_http_agents_openai_reply_stop(
    const json_t *choice, const json_t *message, int called);
static void ngx_http_agents_openai_reply_usage(const json_t *root,
    ngx_http_agents_reply_t *reply);
static int64_t ngx_http_agents_openai_reply_count(const json_t *usage,
    const char *name);


int
ngx_http_agents_openai_reply_decode(const ngx_http_agents_prompt_t *prompt,
    const char *body, size_t len, ngx_http_agents_reply_t *reply,
    ngx_http_agents_buf_t *why)
{
    int                            rc;
    json_t                        *root;
    ngx_http_agents_json_fault_t   fault;

    memset(reply, 0, sizeof(ngx_http_agents_reply_t));

    root = ngx_http_agents_json_parse_foreign(body, len,
                                    NGX_HTTP_AGENTS_OPENAI_REPLY_DEPTH,
                                    &fault);
    if (root == NULL) {
        ngx_http_agents_buf_addf(why, "the reply is no JSON: %s", fault.text);
        return -1;
    }

    reply->blocks = json_array();

    if (reply->blocks == NULL) {
        ngx_http_agents_buf_adds(why, "out of memory");
        rc = -1;

    } else {
        rc = ngx_http_agents_openai_reply_read(prompt, root, reply, why);
    }

    json_decref(root);

    return rc;
}


static int
ngx_http_agents_openai_reply_read(const ngx_http_agents_prompt_t *prompt,
    const json_t *root, ngx_http_agents_reply_t *reply,
    ngx_http_agents_buf_t *why)
{
    size_t   ntexts;
    json_t  *choice, *message;

    choice = json_array_get(ngx_http_agents_json_array(root, "choices"), 0);
    message = ngx_http_agents_json_object(choice, "message");

    if (message == NULL) {
        return ngx_http_agents_openai_reply_error(root, why);
    }

    if (ngx_http_agents_openai_reply_content(message, reply, why) != 0) {
        return -1;
    }

    ntexts = json_array_size(reply->blocks);

    if (ngx_http_agents_openai_reply_calls(prompt, message, reply, why) != 0) {
        return -1;
    }

    reply->stop = ngx_http_agents_openai_reply_stop(choice, message,
                                   json_array_size(reply->blocks) > ntexts);

    ngx_http_agents_openai_reply_usage(root, reply);

    return 0;
}


/* Gateways are known to send the errors of others with a status of 200. */

static int
ngx_http_agents_openai_reply_error(const json_t *root,
    ngx_http_agents_buf_t *why)
{
    const char  *text;

    text = ngx_http_agents_json_string(json_object_get(root, "error"),
                                       "message", NULL);
    if (text != NULL) {
        ngx_http_agents_buf_addf(why, "the reply holds an error: %.500s",
                                 text);
        return -1;
    }

    if (ngx_http_agents_json_array(root, "choices") == NULL) {
        ngx_http_agents_buf_adds(why, "the reply has no \"choices\"");

    } else {
        ngx_http_agents_buf_adds(why, "the reply has no \"choices\" with a "
                                 "\"message\"");
    }

    return -1;
}


/* A refusal takes the place of the text. */

static int
ngx_http_agents_openai_reply_content(const json_t *message,
    ngx_http_agents_reply_t *reply, ngx_http_agents_buf_t *why)
{
    size_t   i;
    json_t  *content, *part, *text;

    content = json_object_get(message, "content");

    if (json_is_string(content)) {
        if (ngx_http_agents_openai_reply_text(reply, content, why) != 0) {
            return -1;
        }

    } else if (json_is_array(content)) {

        json_array_foreach(content, i, part) {
            text = json_object_get(part, "text");

            if (!json_is_string(text)) {
                text = json_object_get(part, "refusal");
            }

            if (ngx_http_agents_openai_reply_text(reply, text, why) != 0) {
                return -1;
            }
        }

    } else if (content != NULL && !json_is_null(content)) {
        ngx_http_agents_buf_addf(why, "the \"content\" of the reply is %s",
                                 ngx_http_agents_json_type_name(content));
        return -1;
    }

    if (json_array_size(reply->blocks) == 0) {
        return ngx_http_agents_openai_reply_text(reply,
                                         json_object_get(message, "refusal"),
                                         why);
    }

    return 0;
}


static int
ngx_http_agents_openai_reply_text(ngx_http_agents_reply_t *reply,
    const json_t *text, ngx_http_agents_buf_t *why)
{
    if (!json_is_string(text) || json_string_length(text) == 0) {
        return 0;
    }

    if (json_array_append_new(reply->blocks,
                              json_pack("{s:s, s:O}", "type", "text",
                                        "text", text)) != 0)
    {
        ngx_http_agents_buf_adds(why, "out of memory");
        return -1;
    }

    return 0;
}


static int
ngx_http_agents_openai_reply_calls(const ngx_http_agents_prompt_t *prompt,
    const json_t *message, ngx_http_agents_reply_t *reply,
    ngx_http_agents_buf_t *why)
{
    int                       rc;
    size_t                    i;
    json_t                   *calls, *call;
    ngx_http_agents_names_t   names;

    calls = ngx_http_agents_json_array(message, "tool_calls");

    if (calls == NULL) {
        return 0;
    }

    if (ngx_http_agents_names_init(&names, prompt->tools) != 0) {
        ngx_http_agents_buf_adds(why, "out of memory");
        return -1;
    }

    rc = 0;

    json_array_foreach(calls, i, call) {
        rc = ngx_http_agents_openai_reply_call(&names, call, reply, why);
        if (rc != 0) {
            break;
        }
    }

    ngx_http_agents_names_free(&names);

    return rc;
}


static int
ngx_http_agents_openai_reply_call(const ngx_http_agents_names_t *names,
    const json_t *call, ngx_http_agents_reply_t *reply,
    ngx_http_agents_buf_t *why)
{
    json_t      *function, *arguments, *block;
    const char  *id, *name;

    function = ngx_http_agents_json_object(call, "function");
    name = ngx_http_agents_json_string(function, "name", NULL);

    if (name == NULL) {
        ngx_http_agents_buf_adds(why,
                                 "a tool call of the reply names no function");
        return -1;
    }

    id = ngx_http_agents_json_string(call, "id", NULL);

    arguments = ngx_http_agents_openai_reply_arguments(
                                     json_object_get(function, "arguments"));

    block = (arguments == NULL)
            ? NULL
            : json_pack("{s:s, s:s, s:s, s:O}", "type", "tool_use",
                        "tool_use_id", (id != NULL) ? id : "",
                        "name", ngx_http_agents_names_wire(names, name),
                        "arguments", arguments);

    json_decref(arguments);

    if (json_array_append_new(reply->blocks, block) != 0) {
        ngx_http_agents_buf_adds(why, "out of memory");
        return -1;
    }

    return 0;
}


/*
 * The object that the text holds; the text itself where it holds none, so
 * that the model can be told.  Calls without parameters come with an empty
 * text or none, and some servers send the object as such.  A new reference,
 * or NULL without memory.
 */

static json_t *
ngx_http_agents_openai_reply_arguments(json_t *value)
{
    char                          *text;
    size_t                         len;
    json_t                        *object, *string;
    ngx_http_agents_json_fault_t   fault;

    if (value == NULL || json_is_null(value)
        || (json_is_string(value) && json_string_length(value) == 0))
    {
        return json_object();
    }

    if (json_is_object(value)) {
        return json_incref(value);
    }

    if (!json_is_string(value)) {
        text = ngx_http_agents_json_text(value, &len);
        if (text == NULL) {
            return NULL;
        }

        string = json_stringn(text, len);
        free(text);

        return string;
    }

    object = ngx_http_agents_json_parse_foreign(json_string_value(value),
                                                json_string_length(value),
                                                NGX_HTTP_AGENTS_JSON_DEPTH,
                                                &fault);
    if (json_is_object(object)) {
        return object;
    }

    json_decref(object);

    return json_incref(value);
}


/* Calls count by their presence: servers differ in what they say of them. */

static ngx_http_agents_stop_e
ngx_http_agents_openai_reply_stop(const json_t *choice, const json_t *message,
    int called)
{
    size_t       len;
    const char  *reason, *refusal;

    refusal = ngx_http_agents_json_string(message, "refusal", &len);

    if (refusal != NULL && len != 0) {
        return NGX_HTTP_AGENTS_STOP_REFUSED;
    }

    reason = ngx_http_agents_json_string(choice, "finish_reason", NULL);

    if (reason == NULL) {
        reason = "";
    }

    if (strcmp(reason, "length") == 0) {
        return NGX_HTTP_AGENTS_STOP_LENGTH;
    }

    if (strcmp(reason, "content_filter") == 0) {
        return NGX_HTTP_AGENTS_STOP_FILTERED;
    }

    return called ? NGX_HTTP_AGENTS_STOP_TOOL : NGX_HTTP_AGENTS_STOP_DONE;
}


/* Cache reads are part of prompt_tokens here. */

static void
ngx_http_agents_openai_reply_usage(const json_t *root,
    ngx_http_agents_reply_t *reply)
{
    json_t  *usage, *details;

    usage = ngx_http_agents_json_object(root, "usage");
    details = ngx_http_agents_json_object(usage, "prompt_tokens_details");

    reply->prompt_tokens = ngx_http_agents_openai_reply_count(usage,
                                                       "prompt_tokens");
    reply->completion_tokens = ngx_http_agents_openai_reply_count(usage,
                                                       "completion_tokens");
    reply->cache_read_tokens = ngx_http_agents_openai_reply_count(details,
                                                       "cached_tokens");
}


static int64_t
ngx_http_agents_openai_reply_count(const json_t *usage, const char *name)
{
    int64_t  n;

    n = ngx_http_agents_json_integer(usage, name, 0);

    return (n > 0) ? n : 0;
}
