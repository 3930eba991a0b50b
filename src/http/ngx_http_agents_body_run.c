
/*
 * A run's body beyond its form: the override put into the defaults, the choice
 * held to the tools, outputs to the calls that wait.
 */


#include <string.h>
#include "ngx_http_agents_body.h"


static const json_t *ngx_http_agents_body_find(const json_t *list,
    const char *key, const char *name);
static void ngx_http_agents_body_check_alias(const json_t *effective,
    const char *alias, const char *name, ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_body_index(const json_t *calls,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_body_check_output_ids(const json_t *outputs,
    const json_t *waiting, const json_t *made,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_body_check_complete(const json_t *outputs,
    const json_t *pending, json_t *waiting, const json_t *made,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_body_output_fault(
    ngx_http_agents_faults_t *faults, size_t i, const char *slug,
    const char *detail);


json_t *
ngx_http_agents_body_merge(const char *defaults, size_t len,
    const json_t *override)
{
    json_t  *merged;

    merged = ngx_http_agents_json_load(defaults, len);

    if (!json_is_object(merged)) {
        json_decref(merged);
        return NULL;
    }

    if (json_object_update(merged, (json_t *) override) != 0) {
        json_decref(merged);
        return NULL;
    }

    return merged;
}


void
ngx_http_agents_body_check_choice(const json_t *effective,
    const json_t *tool_choice, ngx_http_agents_faults_t *faults)
{
    const char                    *kind, *name, *alias;
    const json_t                  *tools, *servers;
    const ngx_http_agents_path_t   root = { NULL, "tool_choice", 0 };
    const ngx_http_agents_path_t   place = { &root, "name", 0 };

    kind = ngx_http_agents_json_string(tool_choice, "kind", NULL);
    tools = ngx_http_agents_json_array(effective, "tools");
    servers = ngx_http_agents_json_array(effective, "mcp_servers");

    if (kind == NULL || strcmp(kind, "auto") == 0) {
        return;
    }

    if (strcmp(kind, "any") == 0) {
        if (json_array_size(tools) == 0 && json_array_size(servers) == 0) {
            ngx_http_agents_faults_add(faults, &root,
                                       "unknown-tool-choice-name",
                                       "asks for a tool call, but the run "
                                       "has neither tools nor mcp_servers");
        }

        return;
    }

    name = ngx_http_agents_json_string(tool_choice, "name", NULL);
    alias = ngx_http_agents_json_string(tool_choice, "mcp_alias", NULL);

    if (name == NULL) {
        return;
    }

    if (alias) {
        ngx_http_agents_body_check_alias(effective, alias, name, faults);
        return;
    }

    if (ngx_http_agents_body_find(tools, "name", name) == NULL) {
        ngx_http_agents_faults_add(faults, &place, "unknown-tool-choice-name",
                                   "no tool \"%.128s\" is declared in tools; "
                                   "the tool of an MCP server needs its "
                                   "mcp_alias beside it", name);
    }
}


static void
ngx_http_agents_body_check_alias(const json_t *effective, const char *alias,
    const char *name, ngx_http_agents_faults_t *faults)
{
    size_t                         n;
    const json_t                  *servers;
    const ngx_http_agents_path_t   root = { NULL, "tool_choice", 0 };
    const ngx_http_agents_path_t   alias_place = { &root, "mcp_alias", 0 };
    const ngx_http_agents_path_t   name_place = { &root, "name", 0 };

    servers = ngx_http_agents_json_array(effective, "mcp_servers");

    if (ngx_http_agents_body_find(servers, "alias", alias) == NULL) {
        ngx_http_agents_faults_add(faults, &alias_place,
                                   "unknown-tool-choice-mcp-alias",
                                   "no entry of mcp_servers has the alias "
                                   "\"%.128s\"", alias);
        return;
    }

    n = strlen(alias) + 1
        + ngx_http_agents_json_characters(name, strlen(name));

    if (n > NGX_HTTP_AGENTS_BODY_WIRE_NAME_MAX) {
        ngx_http_agents_faults_add(faults, &name_place, "tool-name-too-long",
                                   "with its alias and a dash it has %zu "
                                   "characters; %d are the most", n,
                                   NGX_HTTP_AGENTS_BODY_WIRE_NAME_MAX);
    }
}


/* The entry of a list whose member "key" is "name". */

static const json_t *
ngx_http_agents_body_find(const json_t *list, const char *key,
    const char *name)
{
    size_t       i;
    json_t      *entry;
    const char  *text;

    json_array_foreach(list, i, entry) {
        text = ngx_http_agents_json_string(entry, key, NULL);

        if (text && strcmp(text, name) == 0) {
            return entry;
        }
    }

    return NULL;
}


void
ngx_http_agents_body_check_outputs(const json_t *payload,
    const json_t *pending, const json_t *blocks,
    ngx_http_agents_faults_t *faults)
{
    json_t                        *waiting, *made;
    const json_t                  *outputs;
    const ngx_http_agents_path_t   root = { NULL, "payload", 0 };
    const ngx_http_agents_path_t   place = { &root, "outputs", 0 };

    outputs = ngx_http_agents_json_array(payload, "outputs");

    if (json_array_size(pending) == 0) {
        ngx_http_agents_faults_add(faults, &place, "unknown-tool-use-id",
                                   "no tool call waits for an output");
        return;
    }

    waiting = ngx_http_agents_body_index(pending, faults);
    made = ngx_http_agents_body_index(blocks, faults);

    if (waiting && made) {
        ngx_http_agents_body_check_output_ids(outputs, waiting, made, faults);
        ngx_http_agents_body_check_complete(outputs, pending, waiting, made,
                                            faults);
    }

    json_decref(waiting);
    json_decref(made);
}


/* Calls by tool_use_id, each with the tool's name: there may be many. */

static json_t *
ngx_http_agents_body_index(const json_t *calls,
    ngx_http_agents_faults_t *faults)
{
    size_t       i;
    json_t      *index, *call;
    const char  *id, *name;

    index = json_object();
    if (index == NULL) {
        faults->failed = 1;
        return NULL;
    }

    json_array_foreach(calls, i, call) {
        id = ngx_http_agents_json_string(call, "tool_use_id", NULL);
        name = ngx_http_agents_json_string(call, "name", NULL);

        if (id == NULL || name == NULL) {
            continue;
        }

        if (json_object_set(index, id, json_object_get(call, "name")) != 0) {
            faults->failed = 1;
            json_decref(index);
            return NULL;
        }
    }

    return index;
}


static void
ngx_http_agents_body_check_output_ids(const json_t *outputs,
    const json_t *waiting, const json_t *made,
    ngx_http_agents_faults_t *faults)
{
    size_t       i;
    json_t      *output;
    const char  *id, *name;

    json_array_foreach(outputs, i, output) {
        id = ngx_http_agents_json_string(output, "tool_use_id", NULL);

        if (id == NULL || json_object_get(waiting, id)) {
            continue;
        }

        name = ngx_http_agents_json_string(made, id, NULL);

        if (name == NULL) {
            ngx_http_agents_body_output_fault(faults, i,
                                              "unknown-tool-use-id",
                                              "the last assistant turn made "
                                              "no call of this id");

        } else if (strchr(name, '-')) {
            ngx_http_agents_body_output_fault(faults, i,
                                              "not-a-client-tool-call",
                                              "is the call of an MCP "
                                              "server's tool, which has been "
                                              "answered");
        }
    }
}


/* Takes what is answered out of "waiting": what stays there is missing. */

static void
ngx_http_agents_body_check_complete(const json_t *outputs,
    const json_t *pending, json_t *waiting, const json_t *made,
    ngx_http_agents_faults_t *faults)
{
    size_t                         i;
    json_t                        *output, *call;
    const char                    *id, *name;
    const ngx_http_agents_path_t   root = { NULL, "payload", 0 };
    const ngx_http_agents_path_t   place = { &root, "outputs", 0 };

    json_array_foreach(outputs, i, output) {
        id = ngx_http_agents_json_string(output, "tool_use_id", NULL);

        if (id == NULL || json_object_del(waiting, id) == 0) {
            continue;
        }

        if (ngx_http_agents_body_find(pending, "tool_use_id", id)) {
            ngx_http_agents_body_output_fault(faults, i,
                                              "incomplete-tool-outputs",
                                              "is answered twice");
            continue;
        }

        name = ngx_http_agents_json_string(made, id, NULL);

        if (name && strchr(name, '-') == NULL) {
            ngx_http_agents_body_output_fault(faults, i,
                                              "incomplete-tool-outputs",
                                              "does not wait for an output");
        }
    }

    json_array_foreach(pending, i, call) {
        id = ngx_http_agents_json_string(call, "tool_use_id", NULL);

        if (id && json_object_get(waiting, id)) {
            ngx_http_agents_faults_add(faults, &place,
                                       "incomplete-tool-outputs",
                                       "the call \"%.128s\" is not answered",
                                       id);
        }
    }
}


static void
ngx_http_agents_body_output_fault(ngx_http_agents_faults_t *faults, size_t i,
    const char *slug, const char *detail)
{
    const ngx_http_agents_path_t  root = { NULL, "payload", 0 };
    const ngx_http_agents_path_t  list = { &root, "outputs", 0 };
    const ngx_http_agents_path_t  entry = { &list, NULL, i };
    const ngx_http_agents_path_t  place = { &entry, "tool_use_id", 0 };

    ngx_http_agents_faults_add(faults, &place, slug, "%s", detail);
}
