
/*
 * The loop's turns: what is appended to the conversation, queued for the
 * store, and how a run ends.
 */


#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_loop.h"
#include "ngx_http_agents_loop_parts.h"


static void ngx_http_agents_loop_add_payload(ngx_http_agents_loop_t *loop);
static void ngx_http_agents_loop_add_part(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_part_t *part);
static json_t *ngx_http_agents_loop_visible(const json_t *blocks);
static json_t *ngx_http_agents_loop_cut(json_t *content, size_t max,
    int of_run);
static json_t *ngx_http_agents_loop_text_block(const char *text, size_t len);
static void ngx_http_agents_loop_close_turn(ngx_http_agents_loop_t *loop);
static void ngx_http_agents_loop_leave_open(ngx_http_agents_loop_t *loop);
static void ngx_http_agents_loop_pending(ngx_http_agents_loop_t *loop);


void
ngx_http_agents_loop_free(ngx_http_agents_loop_t *loop)
{
    size_t  i;

    ngx_http_agents_loop_calls_clear(loop);
    ngx_http_agents_loop_parts_clear(loop);
    ngx_http_agents_model_request_clear(&loop->request);
    ngx_http_agents_buf_free(&loop->message);

    for (i = 0; loop->discovered != NULL && i < loop->nservers; i++) {
        json_decref(loop->discovered[i]);
    }

    json_decref(loop->config);
    json_decref(loop->payload);
    json_decref(loop->choice);
    json_decref(loop->job_ids);
    json_decref(loop->messages);
    json_decref(loop->tools);
    json_decref(loop->repair);

    free(loop->repair_text);
    free(loop->discovered);
    free(loop->parts);
    free(loop->system);
    free(loop->traceparent);
    free(loop->tracestate);
    free(loop->final_text);
    free(loop->final_output);
    free(loop->pending);

    memset(loop, 0, sizeof(ngx_http_agents_loop_t));
}


void
ngx_http_agents_loop_parts_clear(ngx_http_agents_loop_t *loop)
{
    size_t  i;

    for (i = 0; i < loop->nparts; i++) {
        free(loop->parts[i].content);
        free(loop->parts[i].provider);
    }

    loop->nparts = 0;
}


static void
ngx_http_agents_loop_add_part(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_part_t *part)
{
    size_t                   size;
    ngx_http_agents_part_t  *parts;

    if (part->content == NULL) {
        goto failed;
    }

    if (loop->nparts == loop->parts_size) {
        size = loop->parts_size ? loop->parts_size * 2 : 4;

        parts = realloc(loop->parts, size * sizeof(ngx_http_agents_part_t));
        if (parts == NULL) {
            goto failed;
        }

        loop->parts = parts;
        loop->parts_size = size;
    }

    loop->parts[loop->nparts++] = *part;
    return;

failed:

    free(part->content);
    free(part->provider);
    loop->failed = 1;
}


/* Queues the payload's message, once. */

static void
ngx_http_agents_loop_add_payload(ngx_http_agents_loop_t *loop)
{
    size_t                   n;
    json_t                  *message;
    ngx_http_agents_part_t   part;

    if (loop->payload_written) {
        return;
    }

    loop->payload_written = 1;

    /* the only message of the run so far, or the one before its first turn */

    n = json_array_size(loop->messages);
    message = json_array_get(loop->messages,
                             n - (loop->sequence - loop->base_version));

    memset(&part, 0, sizeof(ngx_http_agents_part_t));

    part.sequence_no = loop->base_version + 1;
    part.role = ngx_http_agents_json_string(message, "role", NULL);
    part.content = ngx_http_agents_json_text(
                       json_object_get(message, "content_blocks"),
                       &part.content_len);

    ngx_http_agents_loop_add_part(loop, &part);
}


void
ngx_http_agents_loop_add_turn(ngx_http_agents_loop_t *loop, json_t *blocks)
{
    json_t                  *visible, *message;
    ngx_http_agents_part_t   part;

    ngx_http_agents_loop_add_payload(loop);

    if (json_array_size(blocks) == 0) {
        json_decref(blocks);
        return;
    }

    memset(&part, 0, sizeof(ngx_http_agents_part_t));

    visible = ngx_http_agents_loop_visible(blocks);

    part.sequence_no = ++loop->sequence;
    part.role = "assistant";
    part.live = loop->turn_live;
    part.content = ngx_http_agents_json_text(visible, &part.content_len);

    if (json_array_size(visible) != json_array_size(blocks)) {
        part.provider = ngx_http_agents_json_text(blocks, NULL);
        loop->failed |= (part.provider == NULL);
    }

    json_decref(visible);

    loop->turn_sequence = loop->sequence;

    ngx_http_agents_loop_add_part(loop, &part);

    message = json_pack("{s:s, s:o}", "role", "assistant",
                        "content_blocks", blocks);

    if (json_array_append_new(loop->messages, message) == -1) {
        loop->failed = 1;
    }
}


/* The blocks that the API shows: all but the opaque ones. */

static json_t *
ngx_http_agents_loop_visible(const json_t *blocks)
{
    size_t       i;
    json_t      *visible, *block;
    const char  *type;

    visible = json_array();

    json_array_foreach(blocks, i, block) {
        type = ngx_http_agents_json_string(block, "type", NULL);

        if (type != NULL && strcmp(type, "opaque") == 0) {
            continue;
        }

        if (json_array_append(visible, block) == -1) {
            json_decref(visible);
            return NULL;
        }
    }

    return visible;
}


void
ngx_http_agents_loop_calls_clear(ngx_http_agents_loop_t *loop)
{
    size_t  i;

    for (i = 0; i < loop->ncalls; i++) {
        json_decref(loop->calls[i].result);
        free(loop->calls[i].text);
    }

    free(loop->calls);

    loop->calls = NULL;
    loop->ncalls = 0;
}


int
ngx_http_agents_loop_has_call(const ngx_http_agents_loop_t *loop,
    ngx_http_agents_call_e kind)
{
    size_t  i;

    for (i = 0; i < loop->ncalls; i++) {
        if (loop->calls[i].kind == kind) {
            return 1;
        }
    }

    return 0;
}


int
ngx_http_agents_loop_waits(const ngx_http_agents_loop_t *loop)
{
    size_t  i;

    for (i = 0; i < loop->ncalls; i++) {
        if (loop->calls[i].kind == NGX_HTTP_AGENTS_CALL_CALLER
            || loop->calls[i].result == NULL)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_agents_loop_settle(ngx_http_agents_loop_t *loop,
    ngx_http_agents_call_t *call, const char *text)
{
    size_t   i;
    int64_t  part;

    if (call->part == -1) {
        part = 0;

        for (i = 0; i < loop->ncalls; i++) {
            if (loop->calls[i].part >= part) {
                part = loop->calls[i].part + 1;
            }
        }

        call->part = part;
    }

    call->kind = NGX_HTTP_AGENTS_CALL_SETTLED;

    ngx_http_agents_loop_result(call,
                                json_pack("[o]",
                                          ngx_http_agents_loop_text_block(text,
                                                             strlen(text))),
                                1, (size_t) -1, 0);

    if (call->result == NULL) {
        loop->failed = 1;
    }
}


void
ngx_http_agents_loop_result(ngx_http_agents_call_t *call, json_t *content,
    int is_error, size_t max, int of_run)
{
    json_t  *part;

    content = ngx_http_agents_loop_cut(content, max, of_run);

    call->result = json_pack("{s:s, s:s, s:o, s:b}", "type", "tool_result",
                             "tool_use_id", call->id, "content", content,
                             "is_error", is_error);

    part = json_pack("[O]", call->result);

    call->text = (part == NULL) ? NULL : ngx_http_agents_json_text(part, NULL);

    json_decref(part);

    if (call->text == NULL) {
        json_decref(call->result);
        call->result = NULL;
    }
}


size_t
ngx_http_agents_loop_result_size(const json_t *content)
{
    size_t   i, len, total;
    json_t  *block;

    total = 0;

    json_array_foreach(content, i, block) {
        (void) ngx_http_agents_json_string(block, "text", &len);
        total += len;
    }

    return total;
}


/*
 * Text blocks of at most "max" bytes in all: the block that passes the limit
 * is cut at a character, those after it go, and a line tells how much.
 */

static json_t *
ngx_http_agents_loop_cut(json_t *content, size_t max, int of_run)
{
    size_t        i, len, seen, total, keep;
    json_t       *block, *cut, *whole;
    const char   *text;
    ngx_http_agents_buf_t  buf;

    total = ngx_http_agents_loop_result_size(content);

    if (content == NULL || total <= max) {
        return content;
    }

    cut = json_array();
    seen = 0;

    json_array_foreach(content, i, block) {
        text = ngx_http_agents_json_string(block, "text", &len);

        if (text != NULL && seen + len <= max) {
            seen += len;

            if (json_array_append(cut, block) == -1) {
                json_decref(cut);
                json_decref(content);
                return NULL;
            }

            continue;
        }

        keep = (text == NULL) ? 0 : max - seen;

        while (keep != 0 && ((unsigned char) text[keep] & 0xc0) == 0x80) {
            keep--;
        }

        ngx_http_agents_buf_init(&buf);
        ngx_http_agents_buf_add(&buf, text, keep);
        ngx_http_agents_buf_addf(&buf, "%s[%zu more bytes were left out%s]",
                                 keep ? "\n" : "", total - seen - keep,
                                 of_run ? ": all results of this run are "
                                          "together over the limit" : "");

        whole = buf.failed ? NULL
                           : ngx_http_agents_loop_text_block(buf.data, buf.len);
        ngx_http_agents_buf_free(&buf);

        if (json_array_append_new(cut, whole) == -1) {
            json_decref(cut);
            cut = NULL;
        }

        break;
    }

    json_decref(content);

    return cut;
}


static json_t *
ngx_http_agents_loop_text_block(const char *text, size_t len)
{
    return json_pack("{s:s, s:s%}", "type", "text", "text", text, len);
}


void
ngx_http_agents_loop_add_results(ngx_http_agents_loop_t *loop)
{
    size_t                   i;
    ngx_http_agents_call_t  *call;
    ngx_http_agents_part_t   part;

    for (i = 0; i < loop->ncalls; i++) {
        call = &loop->calls[i];

        if (call->result == NULL) {
            continue;
        }

        /* also where the run was stopped with all of them written */

        loop->sequence = loop->turn_sequence + 1;

        if (call->written) {
            continue;
        }

        memset(&part, 0, sizeof(ngx_http_agents_part_t));

        part.sequence_no = loop->turn_sequence + 1;
        part.part = call->part;
        part.role = "tool";
        part.live = loop->turn_live;
        part.content = strdup(call->text);
        part.content_len = strlen(call->text);

        call->written = 1;

        ngx_http_agents_loop_add_part(loop, &part);
    }
}


/* The tool message with all results joins the messages. */

static void
ngx_http_agents_loop_close_turn(ngx_http_agents_loop_t *loop)
{
    size_t    i;
    int64_t   part;
    json_t   *blocks, *message;

    blocks = json_array();

    /* parts are numbered without a gap, and few */

    for (part = 0; part < (int64_t) loop->ncalls; part++) {
        for (i = 0; i < loop->ncalls; i++) {
            if (loop->calls[i].part == part && loop->calls[i].result != NULL
                && json_array_append(blocks, loop->calls[i].result) == -1)
            {
                loop->failed = 1;
            }
        }
    }

    if (json_array_size(blocks) == 0) {
        json_decref(blocks);
        return;
    }

    loop->sequence = loop->turn_sequence + 1;

    message = json_pack("{s:s, s:o}", "role", "tool", "content_blocks",
                        blocks);

    if (json_array_append_new(loop->messages, message) == -1) {
        loop->failed = 1;
    }
}


ngx_http_agents_loop_next_e
ngx_http_agents_loop_results(ngx_http_agents_loop_t *loop)
{
    size_t  i;

    for (i = 0; i < loop->ncalls; i++) {
        if (loop->calls[i].kind != NGX_HTTP_AGENTS_CALL_CALLER
            && loop->calls[i].result == NULL)
        {
            loop->failed = 1;
            ngx_http_agents_loop_fail(loop, NGX_HTTP_AGENTS_INCIDENT_INTERNAL,
                                      "out of memory");
            return NGX_HTTP_AGENTS_LOOP_FINISH;
        }
    }

    ngx_http_agents_loop_close_turn(loop);

    if (ngx_http_agents_loop_has_call(loop, NGX_HTTP_AGENTS_CALL_CALLER)) {
        loop->status = "requires_action";
        return NGX_HTTP_AGENTS_LOOP_FINISH;
    }

    ngx_http_agents_loop_calls_clear(loop);

    return NGX_HTTP_AGENTS_LOOP_INFER;
}


void
ngx_http_agents_loop_fail(ngx_http_agents_loop_t *loop, const char *incident,
    const char *fmt, ...)
{
    int          valid;
    char         text[2048];
    size_t       len;
    va_list      args;
    const char  *p;

    if (loop->status != NULL) {
        return;
    }

    loop->status = "failed";
    loop->incident = incident;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    /* a provider's words may be broken, or be cut in a character just now */

    for (p = text; *p != '\0'; p += len) {
        len = ngx_http_agents_json_utf8(p, strlen(p), &valid);
        ngx_http_agents_buf_add(&loop->message, valid ? p : "\xef\xbf\xbd",
                                valid ? len : 3);
    }
}


void
ngx_http_agents_loop_end(ngx_http_agents_loop_t *loop)
{
    size_t  i;

    if (loop->failed) {
        ngx_http_agents_loop_fail(loop, NGX_HTTP_AGENTS_INCIDENT_INTERNAL,
                                  "the worker ran out of memory");
    }

    while ((int64_t) json_array_size(loop->job_ids) > loop->begun) {
        (void) json_array_remove(loop->job_ids,
                                 json_array_size(loop->job_ids) - 1);
    }

    if (!loop->loaded || loop->progress.iterations_used == 0) {
        ngx_http_agents_loop_parts_clear(loop);
        loop->sequence = loop->base_version;
        return;
    }

    ngx_http_agents_loop_add_payload(loop);

    if (loop->resuming) {
        ngx_http_agents_loop_leave_open(loop);
    }

    if (strcmp(loop->status, "requires_action") == 0) {
        ngx_http_agents_loop_pending(loop);
        return;
    }

    /* a call without a result would be refused by every provider */

    for (i = 0; i < loop->ncalls; i++) {
        if (loop->calls[i].result == NULL) {
            ngx_http_agents_loop_settle(loop, &loop->calls[i],
                                        "The run ended before this call had "
                                        "a result.");
        }
    }

    ngx_http_agents_loop_add_results(loop);
}


/*
 * A run that ends before it has gone on from its journal: the calls of its
 * last turn are as open as they were, whatever its servers offer now.
 */

static void
ngx_http_agents_loop_leave_open(ngx_http_agents_loop_t *loop)
{
    size_t                   i;
    ngx_http_agents_call_t  *call;

    ngx_http_agents_loop_reopen(loop);

    for (i = 0; i < loop->ncalls; i++) {
        call = &loop->calls[i];

        if (call->written) {
            continue;
        }

        json_decref(call->result);
        free(call->text);

        call->result = NULL;
        call->text = NULL;
    }
}


/* What the caller is to answer. */

static void
ngx_http_agents_loop_pending(ngx_http_agents_loop_t *loop)
{
    size_t                   i;
    json_t                  *pending;
    ngx_http_agents_call_t  *call;

    pending = json_array();

    for (i = 0; i < loop->ncalls; i++) {
        call = &loop->calls[i];

        if (call->kind == NGX_HTTP_AGENTS_CALL_CALLER
            && json_array_append_new(pending,
                   json_pack("{s:s, s:s, s:O}", "tool_use_id", call->id,
                             "name", call->name,
                             "arguments", call->arguments)) == -1)
        {
            loop->failed = 1;
        }
    }

    loop->pending = ngx_http_agents_json_text(pending, NULL);
    loop->failed |= (loop->pending == NULL);

    json_decref(pending);
}


int
ngx_http_agents_loop_mint_job(ngx_http_agents_loop_t *loop)
{
    char  id[NGX_HTTP_AGENTS_UUID_LEN + 1];

    if (ngx_http_agents_ident_uuid(id) == -1) {
        return -1;
    }

    return json_array_append_new(loop->job_ids, json_string(id));
}
