
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_draft.h"
#include "ngx_http_agents_names.h"
#include "ngx_http_agents_plan.h"
#include "ngx_http_agents_refusal.h"


/* More blocks than this are no reply of a model. */
#define NGX_HTTP_AGENTS_DRAFT_BLOCKS_MAX  1024

/* Nor so many tokens, which a run can still add up. */
#define NGX_HTTP_AGENTS_DRAFT_COUNT_MAX   1000000000000LL

/* Of a reply as a whole; the arguments of a call are a text of their own. */
#define NGX_HTTP_AGENTS_DRAFT_DEPTH       128


static ngx_http_agents_draft_block_t *ngx_http_agents_draft_add(
    ngx_http_agents_draft_t *draft, ngx_http_agents_draft_kind_e kind,
    int64_t index);
static void ngx_http_agents_draft_whole(ngx_http_agents_draft_t *draft,
    ngx_http_agents_draft_block_t *block, json_t *value);
static void ngx_http_agents_draft_tell(ngx_http_agents_draft_t *draft,
    const ngx_http_agents_draft_block_t *block, const char *text, size_t len);
static char *ngx_http_agents_draft_copy(ngx_http_agents_draft_t *draft,
    char *old, const char *text);
static json_t *ngx_http_agents_draft_reply_block(
    const ngx_http_agents_draft_block_t *block,
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt,
    const ngx_http_agents_names_t *names);
static size_t ngx_http_agents_draft_calls(
    const ngx_http_agents_draft_t *draft);
static json_t *ngx_http_agents_draft_reply_answer(
    const ngx_http_agents_draft_block_t *block);
static json_t *ngx_http_agents_draft_reply_call(
    const ngx_http_agents_draft_block_t *block,
    const ngx_http_agents_names_t *names);
static json_t *ngx_http_agents_draft_reply_opaque(
    const ngx_http_agents_draft_block_t *block,
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt);
static json_t *ngx_http_agents_draft_reply_arguments(
    const ngx_http_agents_draft_block_t *block);


void
ngx_http_agents_draft_free(ngx_http_agents_draft_t *draft)
{
    size_t                          i;
    ngx_http_agents_draft_block_t  *block;

    for (i = 0; i < draft->nblocks; i++) {
        block = &draft->blocks[i];

        ngx_http_agents_buf_free(&block->text);
        ngx_http_agents_buf_free(&block->signature);
        json_decref(block->value);
        free(block->id);
        free(block->name);
    }

    free(draft->blocks);
    ngx_http_agents_buf_free(&draft->why);

    memset(draft, 0, sizeof(ngx_http_agents_draft_t));
}


ngx_http_agents_draft_block_t *
ngx_http_agents_draft_find(const ngx_http_agents_draft_t *draft,
    ngx_http_agents_draft_kind_e kind, int64_t index)
{
    size_t                          i;
    ngx_http_agents_draft_block_t  *block;

    /* the one that is being written is the last, as a rule */

    for (i = draft->nblocks; i > 0; i--) {
        block = &draft->blocks[i - 1];

        if (block->kind == kind && block->index == index) {
            return block;
        }
    }

    return NULL;
}


ngx_http_agents_draft_block_t *
ngx_http_agents_draft_block(ngx_http_agents_draft_t *draft,
    ngx_http_agents_draft_kind_e kind, int64_t index)
{
    ngx_http_agents_draft_block_t  *block;

    block = ngx_http_agents_draft_find(draft, kind, index);

    return (block != NULL) ? block
                           : ngx_http_agents_draft_add(draft, kind, index);
}


static ngx_http_agents_draft_block_t *
ngx_http_agents_draft_add(ngx_http_agents_draft_t *draft,
    ngx_http_agents_draft_kind_e kind, int64_t index)
{
    size_t                          size;
    ngx_http_agents_draft_block_t  *block;

    static const char  many[] = "it has too many blocks";

    if (draft->nblocks == NGX_HTTP_AGENTS_DRAFT_BLOCKS_MAX) {
        ngx_http_agents_draft_fault(draft, NGX_HTTP_AGENTS_FAULT_FATAL,
                                    many, sizeof(many) - 1);
        return NULL;
    }

    if (draft->nblocks == draft->size) {
        size = draft->size ? 2 * draft->size : 4;

        block = realloc(draft->blocks,
                        size * sizeof(ngx_http_agents_draft_block_t));
        if (block == NULL) {
            draft->failed = 1;
            return NULL;
        }

        draft->blocks = block;
        draft->size = size;
    }

    block = &draft->blocks[draft->nblocks++];

    memset(block, 0, sizeof(ngx_http_agents_draft_block_t));
    block->kind = kind;
    block->index = index;

    return block;
}


void
ngx_http_agents_draft_text(ngx_http_agents_draft_t *draft, int64_t index,
    const char *text, size_t len)
{
    ngx_http_agents_draft_block_t  *block;

    if (len == 0) {
        return;
    }

    block = ngx_http_agents_draft_block(draft, NGX_HTTP_AGENTS_DRAFT_TEXT,
                                        index);
    if (block == NULL) {
        return;
    }

    ngx_http_agents_buf_add(&block->text, text, len);
    ngx_http_agents_draft_tell(draft, block, text, len);
}


void
ngx_http_agents_draft_arguments(ngx_http_agents_draft_t *draft, int64_t index,
    const char *text, size_t len)
{
    ngx_http_agents_draft_block_t  *block;

    block = ngx_http_agents_draft_block(draft, NGX_HTTP_AGENTS_DRAFT_CALL,
                                        index);
    if (block == NULL || len == 0) {
        return;
    }

    ngx_http_agents_buf_add(&block->text, text, len);
    ngx_http_agents_draft_tell(draft, block, text, len);
}


void
ngx_http_agents_draft_call(ngx_http_agents_draft_t *draft, int64_t index,
    const char *id, const char *name)
{
    ngx_http_agents_draft_block_t  *block;

    block = ngx_http_agents_draft_block(draft, NGX_HTTP_AGENTS_DRAFT_CALL,
                                        index);

    /* some servers give all calls of a reply the same number */

    if (block != NULL && block->id != NULL
        && id != NULL && *id != '\0' && strcmp(id, block->id) != 0
        && name != NULL && *name != '\0')
    {
        block = ngx_http_agents_draft_add(draft, NGX_HTTP_AGENTS_DRAFT_CALL,
                                          index);
    }

    if (block == NULL) {
        return;
    }

    block->id = ngx_http_agents_draft_copy(draft, block->id, id);
    block->name = ngx_http_agents_draft_copy(draft, block->name, name);
}


/* Anything but an object is kept as the text of its JSON. */

void
ngx_http_agents_draft_value(ngx_http_agents_draft_t *draft, int64_t index,
    json_t *value)
{
    char                           *text;
    size_t                          len;
    ngx_http_agents_draft_block_t  *block;

    block = ngx_http_agents_draft_block(draft, NGX_HTTP_AGENTS_DRAFT_CALL,
                                        index);
    if (block == NULL || value == NULL || json_is_null(value)) {
        return;
    }

    if (json_is_string(value) && ngx_http_agents_json_kept(value) == NULL) {
        ngx_http_agents_draft_arguments(draft, index, json_string_value(value),
                                        json_string_length(value));
        return;
    }

    if (json_is_object(value)) {
        ngx_http_agents_draft_whole(draft, block, value);
        return;
    }

    text = ngx_http_agents_json_text(value, &len);
    if (text == NULL) {
        draft->failed = 1;
        return;
    }

    ngx_http_agents_draft_arguments(draft, index, text, len);
    free(text);
}


static void
ngx_http_agents_draft_whole(ngx_http_agents_draft_t *draft,
    ngx_http_agents_draft_block_t *block, json_t *value)
{
    char    *text;
    size_t   len;

    json_decref(block->value);
    block->value = json_incref(value);

    if (draft->delta == NULL) {
        return;
    }

    text = ngx_http_agents_json_text(value, &len);
    if (text == NULL) {
        draft->failed = 1;
        return;
    }

    ngx_http_agents_draft_tell(draft, block, text, len);
    free(text);
}


static void
ngx_http_agents_draft_tell(ngx_http_agents_draft_t *draft,
    const ngx_http_agents_draft_block_t *block, const char *text, size_t len)
{
    ngx_http_agents_delta_t  delta;

    if (draft->delta == NULL) {
        return;
    }

    delta.kind = block->kind;
    delta.id = (block->id != NULL) ? block->id : "";
    delta.text = text;
    delta.len = len;

    draft->delta(draft->delta_data, &delta);
}


static char *
ngx_http_agents_draft_copy(ngx_http_agents_draft_t *draft, char *old,
    const char *text)
{
    if (old != NULL || text == NULL || *text == '\0') {
        return old;
    }

    old = strdup(text);

    if (old == NULL) {
        draft->failed = 1;
    }

    return old;
}


void
ngx_http_agents_draft_stop(ngx_http_agents_draft_t *draft,
    ngx_http_agents_stop_e stop)
{
    if (!draft->stopped) {
        draft->stop = stop;
        draft->stopped = 1;
    }
}


void
ngx_http_agents_draft_fault(ngx_http_agents_draft_t *draft,
    ngx_http_agents_model_fault_e fault, const char *text, size_t len)
{
    if (draft->why.len != 0) {
        return;
    }

    draft->fault = fault;
    draft->ended = 1;

    ngx_http_agents_refusal_quote(text, len, &draft->why);

    if (draft->why.len == 0) {
        ngx_http_agents_buf_adds(&draft->why, "an error without a message");
    }
}


int64_t
ngx_http_agents_draft_count(const json_t *usage, const char *name)
{
    int64_t  n;

    n = ngx_http_agents_json_integer(usage, name, 0);

    if (n > NGX_HTTP_AGENTS_DRAFT_COUNT_MAX) {
        n = NGX_HTTP_AGENTS_DRAFT_COUNT_MAX;
    }

    return (n > 0) ? n : 0;
}


int
ngx_http_agents_draft_decode(const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt, const char *body, size_t len,
    ngx_http_agents_reply_t *reply, ngx_http_agents_buf_t *why)
{
    int                            rc;
    json_t                        *root;
    ngx_http_agents_draft_t        draft;
    ngx_http_agents_json_fault_t   fault;

    memset(reply, 0, sizeof(ngx_http_agents_reply_t));
    memset(&draft, 0, sizeof(ngx_http_agents_draft_t));

    root = ngx_http_agents_json_parse_foreign(body, len,
                                              NGX_HTTP_AGENTS_DRAFT_DEPTH,
                                              &fault);
    if (root == NULL) {
        ngx_http_agents_buf_addf(why, "the reply is no JSON: %s", fault.text);
        return -1;
    }

    rc = protocol->read(&draft, root, why);

    if (rc == 0) {
        rc = ngx_http_agents_draft_reply(&draft, protocol, prompt, reply, why);
    }

    ngx_http_agents_draft_free(&draft);
    json_decref(root);

    return rc;
}


int
ngx_http_agents_draft_refused(const ngx_http_agents_protocol_t *protocol,
    const char *body, size_t len, ngx_http_agents_draft_t *draft)
{
    json_t                        *root;
    ngx_http_agents_buf_t          why;
    ngx_http_agents_json_fault_t   fault;

    memset(draft, 0, sizeof(ngx_http_agents_draft_t));

    root = ngx_http_agents_json_parse_foreign(body, len,
                                              NGX_HTTP_AGENTS_DRAFT_DEPTH,
                                              &fault);
    ngx_http_agents_buf_init(&why);

    if (root != NULL && protocol->read(draft, root, &why) != 0) {
        protocol->event(draft, "", root);
    }

    ngx_http_agents_buf_free(&why);
    json_decref(root);

    return draft->why.len != 0;
}


int
ngx_http_agents_answer_reply(ngx_http_agents_answer_t *answer,
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt, ngx_http_agents_reply_t *reply,
    ngx_http_agents_buf_t *why)
{
    if (answer->body != NULL) {
        return ngx_http_agents_draft_decode(protocol, prompt, answer->body,
                                            answer->len, reply, why);
    }

    return ngx_http_agents_draft_reply(&answer->draft, protocol, prompt, reply,
                                       why);
}


void
ngx_http_agents_answer_clear(ngx_http_agents_answer_t *answer)
{
    free(answer->body);
    ngx_http_agents_draft_free(&answer->draft);

    memset(answer, 0, sizeof(ngx_http_agents_answer_t));
}


int
ngx_http_agents_draft_reply(ngx_http_agents_draft_t *draft,
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt, ngx_http_agents_reply_t *reply,
    ngx_http_agents_buf_t *why)
{
    size_t                          i, ncalls;
    ngx_http_agents_names_t         names;
    ngx_http_agents_draft_block_t  *block;

    memset(reply, 0, sizeof(ngx_http_agents_reply_t));

    if (draft->why.len != 0) {
        ngx_http_agents_buf_addf(why, "the reply holds an error: %s",
                                 draft->why.data);
        return -1;
    }

    if (ngx_http_agents_names_init(&names, prompt->tools) != 0) {
        ngx_http_agents_buf_adds(why, "out of memory");
        return -1;
    }

    reply->blocks = json_array();
    ncalls = ngx_http_agents_draft_calls(draft);

    for (i = 0; i < draft->nblocks; i++) {
        block = &draft->blocks[i];

        draft->failed |= block->text.failed || block->signature.failed;

        if (block->kind == NGX_HTTP_AGENTS_DRAFT_TEXT && block->text.len == 0)
        {
            continue;
        }

        /* without its signature no provider takes it back */

        if (block->kind == NGX_HTTP_AGENTS_DRAFT_OPAQUE && block->value == NULL
            && block->signature.len == 0 && !block->signature.failed)
        {
            continue;
        }

        if (block->kind == NGX_HTTP_AGENTS_DRAFT_CALL && block->name == NULL) {
            ngx_http_agents_buf_adds(why, "a tool call of the reply names no "
                                     "function");
            ngx_http_agents_names_free(&names);
            return -1;
        }

        /* an answer beside calls is given before their results are known */

        if (ncalls != 0 && ngx_http_agents_draft_is_answer(block)) {
            continue;
        }

        if (draft->failed
            || json_array_append_new(reply->blocks,
                          ngx_http_agents_draft_reply_block(block, protocol,
                                                            prompt, &names))
               != 0)
        {
            draft->failed = 1;
            break;
        }
    }

    ngx_http_agents_names_free(&names);

    if (draft->failed || reply->blocks == NULL) {
        ngx_http_agents_buf_adds(why, "out of memory");
        return -1;
    }

    /* calls count by their presence: servers differ in what they say */

    reply->stop = draft->stop;

    if (reply->stop == NGX_HTTP_AGENTS_STOP_DONE
        || reply->stop == NGX_HTTP_AGENTS_STOP_TOOL)
    {
        reply->stop = ncalls ? NGX_HTTP_AGENTS_STOP_TOOL
                             : NGX_HTTP_AGENTS_STOP_DONE;
    }

    reply->prompt_tokens = draft->prompt_tokens;
    reply->completion_tokens = draft->completion_tokens;
    reply->cache_read_tokens = draft->cache_read_tokens;
    reply->cache_write_tokens = draft->cache_write_tokens;

    return 0;
}


/* Calls of tools: an answer that came as one is none. */

static size_t
ngx_http_agents_draft_calls(const ngx_http_agents_draft_t *draft)
{
    size_t  i, n;

    for (n = 0, i = 0; i < draft->nblocks; i++) {
        n += draft->blocks[i].kind == NGX_HTTP_AGENTS_DRAFT_CALL
             && !ngx_http_agents_draft_is_answer(&draft->blocks[i]);
    }

    return n;
}


int
ngx_http_agents_draft_is_answer(const ngx_http_agents_draft_block_t *block)
{
    return block->kind == NGX_HTTP_AGENTS_DRAFT_CALL && block->name != NULL
           && strcmp(block->name, NGX_HTTP_AGENTS_PLAN_ANSWER) == 0;
}


/* What stands in its arguments is the text of the reply. */

static json_t *
ngx_http_agents_draft_reply_answer(const ngx_http_agents_draft_block_t *block)
{
    char    *text;
    size_t   len;
    json_t  *answer;

    if (block->value == NULL) {
        return json_pack("{s:s, s:s%}", "type", "text", "text",
                         block->text.len ? block->text.data : "{}",
                         block->text.len ? block->text.len : 2);
    }

    text = ngx_http_agents_json_text(block->value, &len);
    if (text == NULL) {
        return NULL;
    }

    answer = json_pack("{s:s, s:s%}", "type", "text", "text", text, len);
    free(text);

    return answer;
}


static json_t *
ngx_http_agents_draft_reply_block(const ngx_http_agents_draft_block_t *block,
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt,
    const ngx_http_agents_names_t *names)
{
    if (ngx_http_agents_draft_is_answer(block)) {
        return ngx_http_agents_draft_reply_answer(block);
    }

    switch (block->kind) {

    case NGX_HTTP_AGENTS_DRAFT_TEXT:
        return json_pack("{s:s, s:s%}", "type", "text",
                         "text", block->text.data, block->text.len);

    case NGX_HTTP_AGENTS_DRAFT_CALL:
        return ngx_http_agents_draft_reply_call(block, names);

    default: /* NGX_HTTP_AGENTS_DRAFT_OPAQUE */
        return ngx_http_agents_draft_reply_opaque(block, protocol, prompt);
    }
}


static json_t *
ngx_http_agents_draft_reply_call(const ngx_http_agents_draft_block_t *block,
    const ngx_http_agents_names_t *names)
{
    json_t  *arguments;

    arguments = ngx_http_agents_draft_reply_arguments(block);

    if (arguments == NULL) {
        return NULL;
    }

    return json_pack("{s:s, s:s, s:s, s:o}", "type", "tool_use",
                     "tool_use_id", (block->id != NULL) ? block->id : "",
                     "name", ngx_http_agents_names_wire(names, block->name),
                     "arguments", arguments);
}


static json_t *
ngx_http_agents_draft_reply_opaque(const ngx_http_agents_draft_block_t *block,
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt)
{
    json_t  *data;

    data = (block->value != NULL) ? json_incref(block->value)
                                  : protocol->opaque(block);
    if (data == NULL) {
        return NULL;
    }

    return json_pack("{s:s, s:s, s:s, s:o}", "type", "opaque",
                     "provider", prompt->provider, "model", prompt->model,
                     "data", data);
}


/*
 * The object that the text holds; the text itself where it holds none, so
 * that the model can be told.  A call without parameters may come with no
 * text at all.  A new reference, or NULL without memory.
 */

static json_t *
ngx_http_agents_draft_reply_arguments(
    const ngx_http_agents_draft_block_t *block)
{
    json_t                        *object;
    ngx_http_agents_json_fault_t   fault;

    if (block->value != NULL) {
        return json_incref(block->value);
    }

    if (block->text.len == 0) {
        return json_object();
    }

    object = ngx_http_agents_json_parse_foreign(block->text.data,
                                                block->text.len,
                                                NGX_HTTP_AGENTS_JSON_DEPTH,
                                                &fault);
    if (json_is_object(object)) {
        return object;
    }

    json_decref(object);

    return json_stringn(block->text.data, block->text.len);
}
