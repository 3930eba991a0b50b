
/*
 * Replies of chat completions: a body has in "message" what the events of a
 * stream bring piece by piece in "delta".
 */


#include <string.h>
#include "ngx_http_agents_openai.h"


/* Texts of a reply, by the number that they have in a draft. */
#define NGX_HTTP_AGENTS_OPENAI_CONTENT  0
#define NGX_HTTP_AGENTS_OPENAI_REFUSAL  1


static int ngx_http_agents_openai_reply_error(const json_t *root,
    ngx_http_agents_buf_t *why);
static int ngx_http_agents_openai_reply_content(
    ngx_http_agents_draft_t *draft, const json_t *message,
    ngx_http_agents_buf_t *why);
static void ngx_http_agents_openai_reply_text(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *text);
static void ngx_http_agents_openai_reply_calls(ngx_http_agents_draft_t *draft,
    const json_t *message);
static int64_t ngx_http_agents_openai_reply_index(
    const ngx_http_agents_draft_t *draft, const json_t *call);
static void ngx_http_agents_openai_reply_stop(ngx_http_agents_draft_t *draft,
    const json_t *choice, const json_t *message);
static void ngx_http_agents_openai_reply_usage(ngx_http_agents_draft_t *draft,
    const json_t *root);


/* OpenAI's own are the first two; gateways pass on those of others.  Calls are
 * known by their presence. */

static const struct {
    const char              *reason;
    ngx_http_agents_stop_e   stop;
} ngx_http_agents_openai_stops[] = {
    { "length", NGX_HTTP_AGENTS_STOP_LENGTH },
    { "content_filter", NGX_HTTP_AGENTS_STOP_FILTERED },
    { "max_tokens", NGX_HTTP_AGENTS_STOP_LENGTH },
    { "content_filtered", NGX_HTTP_AGENTS_STOP_FILTERED },
    { "guardrail_intervened", NGX_HTTP_AGENTS_STOP_FILTERED },
    { "refusal", NGX_HTTP_AGENTS_STOP_REFUSED },
    { "model_length", NGX_HTTP_AGENTS_STOP_CONTEXT },
    { "model_context_window_exceeded", NGX_HTTP_AGENTS_STOP_CONTEXT },
    { NULL, NGX_HTTP_AGENTS_STOP_DONE }
};


int
ngx_http_agents_openai_reply_read(ngx_http_agents_draft_t *draft,
    const json_t *root, ngx_http_agents_buf_t *why)
{
    json_t  *choice, *message;

    choice = json_array_get(ngx_http_agents_json_array(root, "choices"), 0);
    message = ngx_http_agents_json_object(choice, "message");

    if (message == NULL) {
        return ngx_http_agents_openai_reply_error(root, why);
    }

    if (ngx_http_agents_openai_reply_content(draft, message, why) != 0) {
        return -1;
    }

    ngx_http_agents_openai_reply_calls(draft, message);
    ngx_http_agents_openai_reply_stop(draft, choice, message);
    ngx_http_agents_openai_reply_usage(draft, root);

    return 0;
}


/*
 * What ends a stream is "[DONE]"; the usage comes after the reason to stop,
 * in an event that has no choice.
 */

void
ngx_http_agents_openai_reply_event(ngx_http_agents_draft_t *draft,
    const char *type, const json_t *root)
{
    json_t                 *choice, *delta, *error;
    ngx_http_agents_buf_t   why;

    error = json_object_get(root, "error");

    if (json_is_object(error) || json_string_length(error) != 0) {
        ngx_http_agents_openai_fault_event(draft, root);
        return;
    }

    choice = json_array_get(ngx_http_agents_json_array(root, "choices"), 0);
    delta = ngx_http_agents_json_object(choice, "delta");

    if (delta != NULL) {
        ngx_http_agents_buf_init(&why);

        if (ngx_http_agents_openai_reply_content(draft, delta, &why) != 0) {
            ngx_http_agents_draft_fault(draft, NGX_HTTP_AGENTS_FAULT_FATAL,
                                        why.data ? why.data : "", why.len);
        }

        ngx_http_agents_buf_free(&why);

        ngx_http_agents_openai_reply_calls(draft, delta);
    }

    ngx_http_agents_openai_reply_stop(draft, choice, delta);

    if (ngx_http_agents_json_object(root, "usage") != NULL) {
        ngx_http_agents_openai_reply_usage(draft, root);
    }
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
ngx_http_agents_openai_reply_content(ngx_http_agents_draft_t *draft,
    const json_t *message, ngx_http_agents_buf_t *why)
{
    size_t   i;
    json_t  *content, *part, *text;

    content = json_object_get(message, "content");

    if (ngx_http_agents_json_string(message, "content", NULL) != NULL) {
        ngx_http_agents_openai_reply_text(draft,
                                          NGX_HTTP_AGENTS_OPENAI_CONTENT,
                                          content);

    } else if (json_is_array(content)) {

        /* parts of a list are blocks of their own */

        json_array_foreach(content, i, part) {
            text = json_object_get(part, "text");

            if (ngx_http_agents_json_string(part, "text", NULL) == NULL) {
                text = json_object_get(part, "refusal");
            }

            ngx_http_agents_openai_reply_text(draft, -1 - (int64_t) i, text);
        }

    } else if (content != NULL && !json_is_null(content)) {
        ngx_http_agents_buf_addf(why, "the \"content\" of the reply is %s",
                                 ngx_http_agents_json_type_name(content));
        return -1;
    }

    if (draft->nblocks == 0
        || draft->blocks[0].index == NGX_HTTP_AGENTS_OPENAI_REFUSAL)
    {
        ngx_http_agents_openai_reply_text(draft,
                                          NGX_HTTP_AGENTS_OPENAI_REFUSAL,
                                          json_object_get(message, "refusal"));
    }

    return 0;
}


static void
ngx_http_agents_openai_reply_text(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *text)
{
    if (json_is_string(text) && ngx_http_agents_json_kept(text) == NULL) {
        ngx_http_agents_draft_text(draft, index, json_string_value(text),
                                   json_string_length(text));
    }
}


static void
ngx_http_agents_openai_reply_calls(ngx_http_agents_draft_t *draft,
    const json_t *message)
{
    size_t    i;
    int64_t   index;
    json_t   *call, *function;

    json_array_foreach(ngx_http_agents_json_array(message, "tool_calls"), i,
                       call)
    {
        index = ngx_http_agents_openai_reply_index(draft, call);
        function = ngx_http_agents_json_object(call, "function");

        ngx_http_agents_draft_call(draft, index,
                          ngx_http_agents_json_string(call, "id", NULL),
                          ngx_http_agents_json_string(function, "name", NULL));

        ngx_http_agents_draft_value(draft, index,
                                    json_object_get(function, "arguments"));
    }
}


/* A call without a number is one more, as long as it says its name. */

static int64_t
ngx_http_agents_openai_reply_index(const ngx_http_agents_draft_t *draft,
    const json_t *call)
{
    size_t   i;
    int64_t  index, n;

    index = ngx_http_agents_json_integer(call, "index", -1);

    if (index >= 0) {
        return index;
    }

    for (n = 0, i = 0; i < draft->nblocks; i++) {
        n += (draft->blocks[i].kind == NGX_HTTP_AGENTS_DRAFT_CALL);
    }

    call = ngx_http_agents_json_object(call, "function");

    return (n != 0 && ngx_http_agents_json_string(call, "name", NULL) == NULL)
           ? n - 1 : n;
}


static void
ngx_http_agents_openai_reply_stop(ngx_http_agents_draft_t *draft,
    const json_t *choice, const json_t *message)
{
    size_t       i, len;
    const char  *reason, *refusal;

    refusal = ngx_http_agents_json_string(message, "refusal", &len);

    if (refusal != NULL && len != 0) {
        ngx_http_agents_draft_stop(draft, NGX_HTTP_AGENTS_STOP_REFUSED);
        return;
    }

    reason = ngx_http_agents_json_string(choice, "finish_reason", NULL);

    if (reason == NULL) {
        return;
    }

    for (i = 0; ngx_http_agents_openai_stops[i].reason != NULL; i++) {
        if (strcmp(reason, ngx_http_agents_openai_stops[i].reason) == 0) {
            break;
        }
    }

    ngx_http_agents_draft_stop(draft, ngx_http_agents_openai_stops[i].stop);
}


/* Cache reads are part of prompt_tokens here. */

static void
ngx_http_agents_openai_reply_usage(ngx_http_agents_draft_t *draft,
    const json_t *root)
{
    json_t  *usage, *details;

    usage = ngx_http_agents_json_object(root, "usage");
    details = ngx_http_agents_json_object(usage, "prompt_tokens_details");

    draft->prompt_tokens = ngx_http_agents_draft_count(usage, "prompt_tokens");
    draft->completion_tokens = ngx_http_agents_draft_count(usage,
                                                        "completion_tokens");
    draft->cache_read_tokens = ngx_http_agents_draft_count(details,
                                                           "cached_tokens");
}
