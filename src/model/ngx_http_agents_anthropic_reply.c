
/*
 * Replies of the Messages API: the blocks of a body, or the events that bring
 * them piece by piece, numbered by "index".
 */


#include <string.h>
#include "ngx_http_agents_anthropic.h"


static void ngx_http_agents_anthropic_reply_block(
    ngx_http_agents_draft_t *draft, int64_t index, json_t *block);
static void ngx_http_agents_anthropic_reply_delta(
    ngx_http_agents_draft_t *draft, int64_t index, const json_t *delta);
static void ngx_http_agents_anthropic_reply_add(
    ngx_http_agents_draft_t *draft, int64_t index, const json_t *delta,
    const char *name);
static void ngx_http_agents_anthropic_reply_stop(
    ngx_http_agents_draft_t *draft, const json_t *object);
static void ngx_http_agents_anthropic_reply_usage(
    ngx_http_agents_draft_t *draft, const json_t *usage);


static const struct {
    const char              *reason;
    ngx_http_agents_stop_e   stop;
} ngx_http_agents_anthropic_stops[] = {
    { "end_turn", NGX_HTTP_AGENTS_STOP_DONE },
    { "stop_sequence", NGX_HTTP_AGENTS_STOP_DONE },
    { "tool_use", NGX_HTTP_AGENTS_STOP_TOOL },
    { "max_tokens", NGX_HTTP_AGENTS_STOP_LENGTH },
    { "refusal", NGX_HTTP_AGENTS_STOP_REFUSED },
    { "model_context_window_exceeded", NGX_HTTP_AGENTS_STOP_CONTEXT },
    { "pause_turn", NGX_HTTP_AGENTS_STOP_PAUSED },
    { NULL, NGX_HTTP_AGENTS_STOP_DONE }
};


int
ngx_http_agents_anthropic_reply_read(ngx_http_agents_draft_t *draft,
    const json_t *root, ngx_http_agents_buf_t *why)
{
    size_t       i;
    json_t      *content, *block;
    const char  *text;

    content = ngx_http_agents_json_array(root, "content");

    if (content == NULL) {
        text = ngx_http_agents_json_string(json_object_get(root, "error"),
                                           "message", NULL);
        if (text != NULL) {
            ngx_http_agents_buf_addf(why, "the reply holds an error: %.500s",
                                     text);
        } else {
            ngx_http_agents_buf_adds(why, "the reply has no \"content\"");
        }

        return -1;
    }

    json_array_foreach(content, i, block) {
        ngx_http_agents_anthropic_reply_block(draft, (int64_t) i, block);
    }

    ngx_http_agents_anthropic_reply_stop(draft, root);
    ngx_http_agents_anthropic_reply_usage(draft,
                                 ngx_http_agents_json_object(root, "usage"));

    return 0;
}


void
ngx_http_agents_anthropic_reply_event(ngx_http_agents_draft_t *draft,
    const char *type, const json_t *root)
{
    int64_t   index;
    json_t   *object;

    /* the event's name is in its data, too, which proxies leave alone */

    type = ngx_http_agents_json_string(root, "type", NULL);

    if (type == NULL) {
        return;
    }

    index = ngx_http_agents_json_integer(root, "index", 0);

    if (strcmp(type, "content_block_delta") == 0) {
        object = ngx_http_agents_json_object(root, "delta");
        ngx_http_agents_anthropic_reply_delta(draft, index, object);

    } else if (strcmp(type, "content_block_start") == 0) {
        object = ngx_http_agents_json_object(root, "content_block");
        ngx_http_agents_anthropic_reply_block(draft, index, object);

    } else if (strcmp(type, "message_start") == 0) {
        object = ngx_http_agents_json_object(root, "message");
        ngx_http_agents_anthropic_reply_usage(draft,
                               ngx_http_agents_json_object(object, "usage"));

    } else if (strcmp(type, "message_delta") == 0) {
        ngx_http_agents_anthropic_reply_stop(draft,
                                 ngx_http_agents_json_object(root, "delta"));
        ngx_http_agents_anthropic_reply_usage(draft,
                                 ngx_http_agents_json_object(root, "usage"));

    } else if (strcmp(type, "message_stop") == 0) {
        draft->ended = 1;

    } else if (strcmp(type, "error") == 0) {
        ngx_http_agents_anthropic_fault_event(draft, root);
    }
}


/* A whole block, or the start of one that is empty as yet. */

static void
ngx_http_agents_anthropic_reply_block(ngx_http_agents_draft_t *draft,
    int64_t index, json_t *block)
{
    json_t                         *input;
    const char                     *type;
    ngx_http_agents_draft_block_t  *opaque;

    type = ngx_http_agents_json_string(block, "type", NULL);

    if (type == NULL) {
        return;
    }

    if (strcmp(type, "text") == 0) {
        ngx_http_agents_anthropic_reply_add(draft, index, block, "text");
        return;
    }

    if (strcmp(type, "tool_use") == 0) {
        ngx_http_agents_draft_call(draft, index,
                            ngx_http_agents_json_string(block, "id", NULL),
                            ngx_http_agents_json_string(block, "name", NULL));

        input = json_object_get(block, "input");

        /* of a stream the arguments come later, as text */

        if (!json_is_object(input) || json_object_size(input) != 0) {
            ngx_http_agents_draft_value(draft, index, input);
        }

        return;
    }

    if (strcmp(type, "thinking") != 0
        && strcmp(type, "redacted_thinking") != 0)
    {
        return;
    }

    opaque = ngx_http_agents_draft_block(draft, NGX_HTTP_AGENTS_DRAFT_OPAQUE,
                                         index);

    /* without a signature it is the start of one that comes in pieces */

    if (opaque != NULL && opaque->value == NULL
        && (strcmp(type, "thinking") != 0
            || json_string_length(json_object_get(block, "signature")) != 0))
    {
        opaque->value = json_incref(block);
    }
}


static void
ngx_http_agents_anthropic_reply_delta(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *delta)
{
    const char  *type;

    type = ngx_http_agents_json_string(delta, "type", NULL);

    if (type == NULL) {
        return;
    }

    if (strcmp(type, "text_delta") == 0) {
        ngx_http_agents_anthropic_reply_add(draft, index, delta, "text");

    } else if (strcmp(type, "input_json_delta") == 0) {
        ngx_http_agents_anthropic_reply_add(draft, index, delta,
                                            "partial_json");

    } else if (strcmp(type, "thinking_delta") == 0) {
        ngx_http_agents_anthropic_reply_add(draft, index, delta, "thinking");

    } else if (strcmp(type, "signature_delta") == 0) {
        ngx_http_agents_anthropic_reply_add(draft, index, delta, "signature");
    }
}


static void
ngx_http_agents_anthropic_reply_add(ngx_http_agents_draft_t *draft,
    int64_t index, const json_t *delta, const char *name)
{
    size_t                          len;
    const char                     *text;
    ngx_http_agents_draft_block_t  *opaque;

    text = ngx_http_agents_json_string(delta, name, &len);

    if (text == NULL) {
        return;
    }

    if (strcmp(name, "text") == 0) {
        ngx_http_agents_draft_text(draft, index, text, len);
        return;
    }

    if (strcmp(name, "partial_json") == 0) {

        /* blocks of types that are not known have arguments, too */

        if (ngx_http_agents_draft_find(draft, NGX_HTTP_AGENTS_DRAFT_CALL,
                                       index)
            != NULL)
        {
            ngx_http_agents_draft_arguments(draft, index, text, len);
        }

        return;
    }

    opaque = ngx_http_agents_draft_block(draft, NGX_HTTP_AGENTS_DRAFT_OPAQUE,
                                         index);
    if (opaque == NULL) {
        return;
    }

    ngx_http_agents_buf_add(strcmp(name, "thinking") == 0 ? &opaque->text
                                                          : &opaque->signature,
                            text, len);
}


json_t *
ngx_http_agents_anthropic_reply_opaque(
    const ngx_http_agents_draft_block_t *block)
{
    return json_pack("{s:s, s:s%, s:s%}", "type", "thinking",
                     "thinking", block->text.len ? block->text.data : "",
                     block->text.len,
                     "signature",
                     block->signature.len ? block->signature.data : "",
                     block->signature.len);
}


static void
ngx_http_agents_anthropic_reply_stop(ngx_http_agents_draft_t *draft,
    const json_t *object)
{
    size_t       i;
    const char  *reason;

    reason = ngx_http_agents_json_string(object, "stop_reason", NULL);

    if (reason == NULL) {
        return;
    }

    for (i = 0; ngx_http_agents_anthropic_stops[i].reason != NULL; i++) {
        if (strcmp(reason, ngx_http_agents_anthropic_stops[i].reason) == 0) {
            break;
        }
    }

    ngx_http_agents_draft_stop(draft, ngx_http_agents_anthropic_stops[i].stop);
}


/* Counts are told at the start and again, grown, at the end. */

static void
ngx_http_agents_anthropic_reply_usage(ngx_http_agents_draft_t *draft,
    const json_t *usage)
{
    int64_t  input, reads, writes;

    if (usage == NULL) {
        return;
    }

    if (json_object_get(usage, "input_tokens") != NULL) {
        input = ngx_http_agents_draft_count(usage, "input_tokens");
        reads = ngx_http_agents_draft_count(usage, "cache_read_input_tokens");
        writes = ngx_http_agents_draft_count(usage,
                                             "cache_creation_input_tokens");

        draft->prompt_tokens = input + reads + writes;
        draft->cache_read_tokens = reads;
        draft->cache_write_tokens = writes;
    }

    if (json_object_get(usage, "output_tokens") != NULL) {
        draft->completion_tokens = ngx_http_agents_draft_count(usage,
                                                           "output_tokens");
    }
}
