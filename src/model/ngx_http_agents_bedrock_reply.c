
/*
 * Replies of Converse: the blocks of a body, or the events that bring them
 * piece by piece, numbered by "contentBlockIndex".
 */


#include <string.h>
#include "ngx_http_agents_bedrock.h"


static void ngx_http_agents_bedrock_reply_block(
    ngx_http_agents_draft_t *draft, int64_t index, const json_t *block);
static void ngx_http_agents_bedrock_reply_delta(
    ngx_http_agents_draft_t *draft, int64_t index, const json_t *delta);
static int ngx_http_agents_bedrock_reply_signed(const json_t *reasoning);
static void ngx_http_agents_bedrock_reply_reasoning(
    ngx_http_agents_draft_t *draft, int64_t index, const json_t *delta);
static void ngx_http_agents_bedrock_reply_text(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *object);
static void ngx_http_agents_bedrock_reply_stop(ngx_http_agents_draft_t *draft,
    const json_t *object);
static void ngx_http_agents_bedrock_reply_usage(
    ngx_http_agents_draft_t *draft, const json_t *usage);


static const struct {
    const char              *reason;
    ngx_http_agents_stop_e   stop;
} ngx_http_agents_bedrock_stops[] = {
    { "end_turn", NGX_HTTP_AGENTS_STOP_DONE },
    { "stop_sequence", NGX_HTTP_AGENTS_STOP_DONE },
    { "tool_use", NGX_HTTP_AGENTS_STOP_TOOL },
    { "max_tokens", NGX_HTTP_AGENTS_STOP_LENGTH },
    { "guardrail_intervened", NGX_HTTP_AGENTS_STOP_FILTERED },
    { "content_filtered", NGX_HTTP_AGENTS_STOP_FILTERED },
    { "refusal", NGX_HTTP_AGENTS_STOP_REFUSED },
    { "malformed_model_output", NGX_HTTP_AGENTS_STOP_MALFORMED },
    { "malformed_tool_use", NGX_HTTP_AGENTS_STOP_MALFORMED },
    { "model_context_window_exceeded", NGX_HTTP_AGENTS_STOP_CONTEXT },
    { NULL, NGX_HTTP_AGENTS_STOP_DONE }
};


int
ngx_http_agents_bedrock_reply_read(ngx_http_agents_draft_t *draft,
    const json_t *root, ngx_http_agents_buf_t *why)
{
    size_t   i;
    json_t  *message, *content, *block;

    message = ngx_http_agents_json_object(
                      ngx_http_agents_json_object(root, "output"), "message");
    content = ngx_http_agents_json_array(message, "content");

    if (content == NULL) {
        ngx_http_agents_buf_adds(why, "the reply has no \"output\" with a "
                                 "\"message\"");
        return -1;
    }

    json_array_foreach(content, i, block) {
        ngx_http_agents_bedrock_reply_block(draft, (int64_t) i, block);
    }

    ngx_http_agents_bedrock_reply_stop(draft, root);
    ngx_http_agents_bedrock_reply_usage(draft,
                                 ngx_http_agents_json_object(root, "usage"));

    return 0;
}


/* The usage comes in "metadata", behind the reason to stop. */

void
ngx_http_agents_bedrock_reply_event(ngx_http_agents_draft_t *draft,
    const char *type, const json_t *root)
{
    int64_t  index;

    index = ngx_http_agents_json_integer(root, "contentBlockIndex", 0);

    if (strcmp(type, "contentBlockDelta") == 0) {
        ngx_http_agents_bedrock_reply_delta(draft, index,
                                 ngx_http_agents_json_object(root, "delta"));

    } else if (strcmp(type, "contentBlockStart") == 0) {
        ngx_http_agents_bedrock_reply_block(draft, index,
                                 ngx_http_agents_json_object(root, "start"));

    } else if (strcmp(type, "messageStop") == 0) {
        ngx_http_agents_bedrock_reply_stop(draft, root);

    } else if (strcmp(type, "metadata") == 0) {
        ngx_http_agents_bedrock_reply_usage(draft,
                                 ngx_http_agents_json_object(root, "usage"));
        draft->ended = draft->stopped;

    } else if (strstr(type, "xception") != NULL
               || strstr(type, "rror") != NULL)
    {
        ngx_http_agents_bedrock_fault_event(draft, type, root);
    }
}


static void
ngx_http_agents_bedrock_reply_block(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *block)
{
    json_t                         *use, *reasoning;
    ngx_http_agents_draft_block_t  *opaque;

    ngx_http_agents_bedrock_reply_text(draft, index, block);

    use = ngx_http_agents_json_object(block, "toolUse");

    if (use != NULL) {
        ngx_http_agents_draft_call(draft, index,
                           ngx_http_agents_json_string(use, "toolUseId", NULL),
                           ngx_http_agents_json_string(use, "name", NULL));
        ngx_http_agents_draft_value(draft, index,
                                    json_object_get(use, "input"));
    }

    reasoning = ngx_http_agents_json_object(block, "reasoningContent");

    if (!ngx_http_agents_bedrock_reply_signed(reasoning)) {
        return;
    }

    opaque = ngx_http_agents_draft_block(draft, NGX_HTTP_AGENTS_DRAFT_OPAQUE,
                                         index);

    if (opaque != NULL && opaque->value == NULL) {
        opaque->value = json_pack("{s:O}", "reasoningContent", reasoning);
        draft->failed |= (opaque->value == NULL);
    }
}


/* Other reasoning is not taken back, of some models not at all. */

static int
ngx_http_agents_bedrock_reply_signed(const json_t *reasoning)
{
    json_t  *text;

    text = ngx_http_agents_json_object(reasoning, "reasoningText");

    return json_object_get(reasoning, "redactedContent") != NULL
           || json_string_length(json_object_get(text, "signature")) != 0;
}


static void
ngx_http_agents_bedrock_reply_delta(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *delta)
{
    json_t  *use, *reasoning;

    ngx_http_agents_bedrock_reply_text(draft, index, delta);

    use = ngx_http_agents_json_object(delta, "toolUse");

    if (use != NULL) {
        ngx_http_agents_draft_value(draft, index,
                                    json_object_get(use, "input"));
    }

    reasoning = ngx_http_agents_json_object(delta, "reasoningContent");

    if (reasoning != NULL) {
        ngx_http_agents_bedrock_reply_reasoning(draft, index, reasoning);
    }
}


/* Text and signature come in pieces, what is redacted as a whole. */

static void
ngx_http_agents_bedrock_reply_reasoning(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *delta)
{
    size_t                          len;
    const char                     *text;
    ngx_http_agents_draft_block_t  *opaque;

    opaque = ngx_http_agents_draft_block(draft, NGX_HTTP_AGENTS_DRAFT_OPAQUE,
                                         index);
    if (opaque == NULL) {
        return;
    }

    text = ngx_http_agents_json_string(delta, "text", &len);
    if (text != NULL) {
        ngx_http_agents_buf_add(&opaque->text, text, len);
    }

    text = ngx_http_agents_json_string(delta, "signature", &len);
    if (text != NULL) {
        ngx_http_agents_buf_add(&opaque->signature, text, len);
    }

    if (json_object_get(delta, "redactedContent") != NULL
        && opaque->value == NULL)
    {
        opaque->value = json_pack("{s:{s:O}}", "reasoningContent",
                                  "redactedContent",
                                  json_object_get(delta, "redactedContent"));
        draft->failed |= (opaque->value == NULL);
    }
}


json_t *
ngx_http_agents_bedrock_reply_opaque(
    const ngx_http_agents_draft_block_t *block)
{
    json_t  *text;

    text = json_pack("{s:s%}", "text",
                     block->text.len ? block->text.data : "",
                     block->text.len);

    if (text != NULL && block->signature.len != 0
        && json_object_set_new(text, "signature",
                               json_stringn(block->signature.data,
                                            block->signature.len)) != 0)
    {
        json_decref(text);
        return NULL;
    }

    return json_pack("{s:{s:o}}", "reasoningContent", "reasoningText", text);
}


static void
ngx_http_agents_bedrock_reply_text(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *object)
{
    size_t       len;
    const char  *text;

    text = ngx_http_agents_json_string(object, "text", &len);

    if (text != NULL) {
        ngx_http_agents_draft_text(draft, index, text, len);
    }
}


static void
ngx_http_agents_bedrock_reply_stop(ngx_http_agents_draft_t *draft,
    const json_t *object)
{
    size_t       i;
    const char  *reason;

    reason = ngx_http_agents_json_string(object, "stopReason", NULL);

    if (reason == NULL) {
        return;
    }

    for (i = 0; ngx_http_agents_bedrock_stops[i].reason != NULL; i++) {
        if (strcmp(reason, ngx_http_agents_bedrock_stops[i].reason) == 0) {
            break;
        }
    }

    ngx_http_agents_draft_stop(draft, ngx_http_agents_bedrock_stops[i].stop);
}


static void
ngx_http_agents_bedrock_reply_usage(ngx_http_agents_draft_t *draft,
    const json_t *usage)
{
    draft->cache_read_tokens = ngx_http_agents_draft_count(usage,
                                                     "cacheReadInputTokens");
    draft->cache_write_tokens = ngx_http_agents_draft_count(usage,
                                                     "cacheWriteInputTokens");
    draft->prompt_tokens = ngx_http_agents_draft_count(usage, "inputTokens")
                           + draft->cache_read_tokens
                           + draft->cache_write_tokens;
    draft->completion_tokens = ngx_http_agents_draft_count(usage,
                                                           "outputTokens");
}
