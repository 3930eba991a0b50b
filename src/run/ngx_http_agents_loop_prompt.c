
/*
 * What the model is offered and asked: the catalog of tools after discovery,
 * the turn that a predecessor left, and the request of each inference.
 */


#include <stdlib.h>
#include <string.h>

#include "ngx_http_agents_loop.h"
#include "ngx_http_agents_loop_parts.h"
#include "ngx_http_agents_mcp_schema.h"
#include "ngx_http_agents_schema.h"


#define NGX_HTTP_AGENTS_WIRE_NAME_MAX  64


static int ngx_http_agents_loop_catalog(ngx_http_agents_loop_t *loop);
static json_t *ngx_http_agents_loop_tool(const json_t *tool,
    const char *name_key, int normalized);
static int ngx_http_agents_loop_check_choice(ngx_http_agents_loop_t *loop);
static ngx_http_agents_loop_next_e ngx_http_agents_loop_resume(
    ngx_http_agents_loop_t *loop);
static json_t *ngx_http_agents_loop_take_results(ngx_http_agents_loop_t *loop);
static void ngx_http_agents_loop_match_results(ngx_http_agents_loop_t *loop,
    json_t *results);
static int ngx_http_agents_loop_repeatable(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_call_t *call);
static void ngx_http_agents_loop_choice(ngx_http_agents_loop_t *loop,
    ngx_http_agents_buf_t *name);


ngx_http_agents_loop_next_e
ngx_http_agents_loop_tools(ngx_http_agents_loop_t *loop)
{
    if (ngx_http_agents_loop_catalog(loop) == -1) {
        loop->failed = 1;
    }

    if (loop->status == NULL && !loop->failed && loop->resuming) {
        return ngx_http_agents_loop_resume(loop);
    }

    if (loop->failed || loop->status != NULL
        || ngx_http_agents_loop_check_choice(loop) == -1)
    {
        return NGX_HTTP_AGENTS_LOOP_FINISH;
    }

    return NGX_HTTP_AGENTS_LOOP_INFER;
}


/* Discovered tools under their wire names, then the caller's own. */

static int
ngx_http_agents_loop_catalog(ngx_http_agents_loop_t *loop)
{
    size_t       i, k, len;
    json_t      *tool;
    const char  *wire;

    loop->tools = json_array();

    for (i = 0; i < loop->nservers; i++) {
        json_array_foreach(loop->discovered[i], k, tool) {
            wire = ngx_http_agents_json_string(tool, "wire", &len);
            len = ngx_http_agents_json_characters(wire, len);

            if (len > NGX_HTTP_AGENTS_WIRE_NAME_MAX) {
                ngx_http_agents_loop_fail(loop,
                    NGX_HTTP_AGENTS_INCIDENT_NAME_TOO_LONG,
                    "the tool \"%s\" has a name of %zu characters on the "
                    "wire, %d are allowed", wire, len,
                    NGX_HTTP_AGENTS_WIRE_NAME_MAX);
                return 0;
            }

            if (json_array_append_new(loop->tools,
                          ngx_http_agents_loop_tool(tool, "wire", 1)) == -1)
            {
                return -1;
            }
        }
    }

    json_array_foreach(ngx_http_agents_json_array(loop->config, "tools"), i,
                       tool)
    {
        if (json_array_append_new(loop->tools,
                          ngx_http_agents_loop_tool(tool, "name", 0)) == -1)
        {
            return -1;
        }
    }

    return loop->tools == NULL ? -1 : 0;
}


static json_t *
ngx_http_agents_loop_tool(const json_t *tool, const char *name_key,
    int normalized)
{
    json_t  *schema, *description, *entry;

    schema = json_object_get(tool, "input_schema");
    schema = normalized ? json_incref(schema)
                        : ngx_http_agents_mcp_schema_normalize(schema);

    entry = json_pack("{s:O, s:o}", "name", json_object_get(tool, name_key),
                      "input_schema", schema);

    description = json_object_get(tool, "description");

    if (entry != NULL && json_is_string(description)
        && json_object_set(entry, "description", description) == -1)
    {
        json_decref(entry);
        return NULL;
    }

    return entry;
}


/* A forced tool must exist; only discovery can tell of a server's. */

static int
ngx_http_agents_loop_check_choice(ngx_http_agents_loop_t *loop)
{
    size_t                  i;
    json_t                 *tool;
    const char             *kind, *name;
    ngx_http_agents_buf_t   wanted;

    kind = ngx_http_agents_json_string(loop->choice, "kind", NULL);

    if (strcmp(kind, "any") == 0 && json_array_size(loop->tools) == 0) {
        ngx_http_agents_loop_fail(loop,
            NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_CHOICE,
            "tool_choice asks for a tool, and no server offered any");
        return -1;
    }

    if (strcmp(kind, "specific_tool") != 0) {
        return 0;
    }

    ngx_http_agents_buf_init(&wanted);
    ngx_http_agents_loop_choice(loop, &wanted);

    json_array_foreach(loop->tools, i, tool) {
        name = ngx_http_agents_json_string(tool, "name", NULL);

        if (!wanted.failed && strcmp(name, wanted.data) == 0) {
            ngx_http_agents_buf_free(&wanted);
            return 0;
        }
    }

    ngx_http_agents_loop_fail(loop, NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_CHOICE,
                              "tool_choice names the tool \"%s\", which no "
                              "server offered",
                              wanted.failed ? "?" : wanted.data);
    ngx_http_agents_buf_free(&wanted);

    return -1;
}


/* The wire name of a specific_tool. */

static void
ngx_http_agents_loop_choice(ngx_http_agents_loop_t *loop,
    ngx_http_agents_buf_t *name)
{
    const char  *alias;

    alias = ngx_http_agents_json_string(loop->choice, "mcp_alias", NULL);

    if (alias != NULL) {
        ngx_http_agents_buf_adds(name, alias);
        ngx_http_agents_buf_addc(name, '-');
    }

    ngx_http_agents_buf_adds(name, ngx_http_agents_json_string(loop->choice,
                                                               "name", NULL));
}


/*
 * Goes on where a predecessor stopped: the last assistant turn's calls, as
 * far as they have no result.  A call that may have been under way is made
 * again only if its tool says that this does no harm.
 */

static ngx_http_agents_loop_next_e
ngx_http_agents_loop_resume(ngx_http_agents_loop_t *loop)
{
    size_t                   i, open;
    ngx_http_agents_call_t  *call;

    ngx_http_agents_loop_reopen(loop);

    if (loop->status != NULL || loop->failed) {
        return NGX_HTTP_AGENTS_LOOP_FINISH;
    }

    open = 0;

    for (i = 0; i < loop->ncalls; i++) {
        call = &loop->calls[i];

        if (call->kind != NGX_HTTP_AGENTS_CALL_MCP || call->result != NULL) {
            continue;
        }

        if (ngx_http_agents_loop_repeatable(loop, call)) {
            open++;
            continue;
        }

        ngx_http_agents_loop_settle(loop, call,
            "The outcome of this call is unknown: it was interrupted while "
            "it ran, and it may or may not have taken effect.");
    }

    ngx_http_agents_loop_add_results(loop);

    if (open != 0 || loop->nparts != 0) {
        return NGX_HTTP_AGENTS_LOOP_CALL;
    }

    return ngx_http_agents_loop_results(loop);
}


void
ngx_http_agents_loop_reopen(ngx_http_agents_loop_t *loop)
{
    json_t  *results, *turn;

    loop->resuming = 0;

    results = ngx_http_agents_loop_take_results(loop);
    turn = json_array_get(loop->messages,
                          json_array_size(loop->messages) - 1);

    ngx_http_agents_loop_classify(loop,
                                  json_object_get(turn, "content_blocks"));

    loop->turn_live = ngx_http_agents_loop_has_call(loop,
                                                 NGX_HTTP_AGENTS_CALL_MCP);

    ngx_http_agents_loop_match_results(loop, results);

    json_decref(results);
}


/* The results that are there already leave the messages, until all are. */

static json_t *
ngx_http_agents_loop_take_results(ngx_http_agents_loop_t *loop)
{
    size_t   n;
    json_t  *last, *results;

    n = json_array_size(loop->messages);
    last = json_array_get(loop->messages, n - 1);

    if (strcmp(ngx_http_agents_json_string(last, "role", NULL), "tool") != 0) {
        return NULL;
    }

    results = json_incref(json_object_get(last, "content_blocks"));
    (void) json_array_remove(loop->messages, n - 1);

    return results;
}


static void
ngx_http_agents_loop_match_results(ngx_http_agents_loop_t *loop,
    json_t *results)
{
    size_t                   i, k;
    json_t                  *block;
    const char              *id;
    ngx_http_agents_call_t  *call;

    json_array_foreach(results, k, block) {
        id = ngx_http_agents_json_string(block, "tool_use_id", NULL);

        for (i = 0; id != NULL && i < loop->ncalls; i++) {
            call = &loop->calls[i];

            if (strcmp(call->id, id) != 0) {
                continue;
            }

            json_decref(call->result);
            call->result = json_incref(block);
            call->written = 1;
        }
    }
}


static int
ngx_http_agents_loop_repeatable(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_call_t *call)
{
    size_t       i;
    json_t      *tool;
    const char  *name;

    json_array_foreach(loop->discovered[call->server], i, tool) {
        name = ngx_http_agents_json_string(tool, "name", NULL);

        if (strcmp(name, call->tool) == 0) {
            return ngx_http_agents_json_true(tool, "read_only")
                   || ngx_http_agents_json_true(tool, "idempotent");
        }
    }

    return 0;
}


ngx_http_agents_loop_next_e
ngx_http_agents_loop_prompt(ngx_http_agents_loop_t *loop)
{
    int                        rc;
    size_t                     i;
    json_t                    *format, *messages, *all, *extra;
    ngx_http_agents_buf_t      name;
    ngx_http_agents_prompt_t  *prompt;

    prompt = &loop->prompt;
    ngx_http_agents_buf_init(&name);

    format = json_object_get(loop->config, "output_format_schema");
    format = json_is_object(format) ? ngx_http_agents_schema_wire(format)
                                    : NULL;

    all = json_copy(loop->messages);

    json_array_foreach(loop->repair, i, extra) {
        if (json_array_append(all, extra) == -1) {
            loop->failed = 1;
        }
    }

    prompt->system = loop->system;
    prompt->system_len = loop->system_len;
    prompt->tools = loop->tools;
    prompt->format = format;
    prompt->max_tokens = ngx_http_agents_json_integer(loop->config,
                                                      "max_tokens", 2048);
    prompt->temperature = json_number_value(json_object_get(loop->config,
                                                            "temperature"));
    prompt->choice = NGX_HTTP_AGENTS_CHOICE_AUTO;
    prompt->choice_name = NULL;

    if (ngx_http_agents_loop_choosing(loop)) {
        if (json_object_get(loop->choice, "name") == NULL) {
            prompt->choice = NGX_HTTP_AGENTS_CHOICE_ANY;

        } else {
            ngx_http_agents_loop_choice(loop, &name);
            prompt->choice = NGX_HTTP_AGENTS_CHOICE_TOOL;
            prompt->choice_name = name.data;
            loop->failed |= name.failed;

            /* some servers take a name for "auto", and say nothing */

            if (loop->asked_again) {
                prompt->lacks |= NGX_HTTP_AGENTS_NO_NAMED_CHOICE;
            }
        }
    }

    messages = ngx_http_agents_model_passes(prompt, all);
    prompt->messages = messages;

    ngx_http_agents_model_request_clear(&loop->request);

    rc = (all == NULL || messages == NULL || loop->failed)
         ? -1 : loop->protocol->encode(prompt, &loop->request);

    json_decref(format);
    json_decref(messages);
    json_decref(all);
    ngx_http_agents_buf_free(&name);

    prompt->format = NULL;
    prompt->messages = NULL;
    prompt->choice_name = NULL;

    if (rc == -1) {
        loop->failed = 1;
        return NGX_HTTP_AGENTS_LOOP_FINISH;
    }

    if (loop->request.body_len > NGX_HTTP_AGENTS_PROMPT_MAX) {
        ngx_http_agents_loop_fail(loop, NGX_HTTP_AGENTS_INCIDENT_CONTEXT,
                                  "the conversation has grown to %zu bytes, "
                                  "more than any model takes",
                                  loop->request.body_len);
        return NGX_HTTP_AGENTS_LOOP_FINISH;
    }

    return NGX_HTTP_AGENTS_LOOP_INFER;
}


int
ngx_http_agents_loop_choosing(const ngx_http_agents_loop_t *loop)
{
    const char  *kind;

    kind = ngx_http_agents_json_string(loop->choice, "kind", NULL);

    return !loop->replied && strcmp(kind, "auto") != 0;
}
