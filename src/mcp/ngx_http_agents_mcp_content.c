
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_mcp_content.h"
#include "ngx_http_agents_mcp_param.h"
#include "ngx_http_agents_mcp_schema.h"


/* Of one result: each costs more than it says. */
#define NGX_HTTP_AGENTS_MCP_CONTENT_BLOCKS  1000


static const char *const  ngx_http_agents_mcp_content_versions[] = {
    NGX_HTTP_AGENTS_MCP_VERSION,
    "2025-06-18",
    "2025-03-26",
    "2024-11-05"
};


static void ngx_http_agents_mcp_content_invalid(
    ngx_http_agents_mcp_reading_t *reading, const char *why);
static int ngx_http_agents_mcp_content_params(
    ngx_http_agents_mcp_reading_t *reading, const json_t *tool,
    json_t **params);
static json_t *ngx_http_agents_mcp_content_tool(const char *alias,
    const json_t *tool);
static int ngx_http_agents_mcp_content_describe(json_t *out,
    const json_t *tool);
static int ngx_http_agents_mcp_content_add(json_t *blocks,
    ngx_http_agents_buf_t *text);
static void ngx_http_agents_mcp_content_block(ngx_http_agents_buf_t *text,
    const json_t *block);
static void ngx_http_agents_mcp_content_media(ngx_http_agents_buf_t *text,
    const char *what, const json_t *block);
static void ngx_http_agents_mcp_content_resource(ngx_http_agents_buf_t *text,
    const json_t *resource);
static void ngx_http_agents_mcp_content_link(ngx_http_agents_buf_t *text,
    const json_t *link);
static void ngx_http_agents_mcp_content_mime(ngx_http_agents_buf_t *text,
    const json_t *object);
static void ngx_http_agents_mcp_content_size(ngx_http_agents_buf_t *text,
    const json_t *object, const char *key);


void
ngx_http_agents_mcp_content_initialize(ngx_http_agents_mcp_reading_t *reading,
    const json_t *result)
{
    const char             *version;
    ngx_http_agents_buf_t   why;

    version = ngx_http_agents_json_string(result, "protocolVersion", NULL);

    if (version == NULL) {
        ngx_http_agents_mcp_content_invalid(reading,
                                            "it names no protocol version");
        return;
    }

    if (ngx_http_agents_mcp_content_is_version(version)) {

        /* they are dates, of one length */

        memcpy(reading->version, version, NGX_HTTP_AGENTS_MCP_VERSION_LEN + 1);

        reading->has_tools = (ngx_http_agents_json_object(
                                  ngx_http_agents_json_object(result,
                                                              "capabilities"),
                                  "tools")
                              != NULL);
        return;
    }

    /* one that does not know this revision's handshake to be gone */

    reading->takes_modern = (strcmp(version, NGX_HTTP_AGENTS_MCP_MODERN) == 0);

    ngx_http_agents_buf_init(&why);
    ngx_http_agents_buf_addf(&why, "its protocol version \"%.40s\" is not "
                             "supported", version);

    reading->found = NGX_HTTP_AGENTS_MCP_INVALID;
    reading->message = ngx_http_agents_buf_take(&why, NULL);
}


int
ngx_http_agents_mcp_content_is_version(const char *version)
{
    size_t  i, n;

    n = sizeof(ngx_http_agents_mcp_content_versions) / sizeof(char *);

    for (i = 0; i < n; i++) {
        if (strcmp(version, ngx_http_agents_mcp_content_versions[i]) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_agents_mcp_content_invalid(ngx_http_agents_mcp_reading_t *reading,
    const char *why)
{
    reading->found = NGX_HTTP_AGENTS_MCP_INVALID;
    reading->message = strdup(why);
}


void
ngx_http_agents_mcp_content_list(ngx_http_agents_mcp_reading_t *reading,
    const json_t *result)
{
    size_t       i;
    json_t      *tools, *tool, *params, *out;
    const char  *cursor, *name;

    tools = ngx_http_agents_json_array(result, "tools");

    if (tools == NULL) {
        ngx_http_agents_mcp_content_invalid(reading, "it has no list of tools");
        return;
    }

    reading->tools = json_array();
    if (reading->tools == NULL) {
        reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
        return;
    }

    json_array_foreach(tools, i, tool) {

        name = ngx_http_agents_json_string(tool, "name", NULL);

        if (name == NULL || *name == '\0') {
            continue;
        }

        params = NULL;

        if (reading->modern
            && !ngx_http_agents_mcp_content_params(reading, tool, &params))
        {
            continue;
        }

        out = ngx_http_agents_mcp_content_tool(reading->alias, tool);

        if (json_array_append(reading->tools, out) != 0
            || (params != NULL && json_object_set(out, "params", params) != 0))
        {
            reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
        }

        json_decref(out);
        json_decref(params);

        if (reading->found == NGX_HTTP_AGENTS_MCP_NO_MEMORY) {
            return;
        }
    }

    reading->ttl = ngx_http_agents_json_integer(result, "ttlMs", -1);

    /* an empty cursor is one; null or none is the end */

    cursor = ngx_http_agents_json_string(result, "nextCursor", NULL);

    if (cursor != NULL) {
        reading->cursor = strdup(cursor);

        if (reading->cursor == NULL) {
            reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
        }
    }
}


/* Whether the tool may be used: not so if it asks for headers wrongly. */

static int
ngx_http_agents_mcp_content_params(ngx_http_agents_mcp_reading_t *reading,
    const json_t *tool, json_t **params)
{
    const char  *why;

    *params = ngx_http_agents_mcp_param_find(json_object_get(tool,
                                                             "inputSchema"),
                                             &why);
    if (*params == NULL) {

        if (why == NULL) {
            reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
            return 1;
        }

        reading->left_out++;
        return 0;
    }

    if (json_array_size(*params) == 0) {
        json_decref(*params);
        *params = NULL;
    }

    return 1;
}


/* NULL without memory. */

static json_t *
ngx_http_agents_mcp_content_tool(const char *alias, const json_t *tool)
{
    char                   *wire;
    size_t                  len;
    json_t                 *out, *schema, *notes, *empty;
    const char             *name;
    ngx_http_agents_buf_t   buf;

    name = ngx_http_agents_json_string(tool, "name", &len);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_adds(&buf, alias);
    ngx_http_agents_buf_addc(&buf, '-');
    ngx_http_agents_buf_add(&buf, name, len);

    wire = ngx_http_agents_buf_take(&buf, NULL);
    if (wire == NULL) {
        return NULL;
    }

    schema = json_object_get(tool, "inputSchema");

    if (schema != NULL) {
        schema = ngx_http_agents_mcp_schema_normalize(schema);

    } else {
        empty = json_object();
        schema = (empty != NULL) ? ngx_http_agents_mcp_schema_normalize(empty)
                                 : NULL;
        json_decref(empty);
    }

    notes = ngx_http_agents_json_object(tool, "annotations");

    out = json_pack("{s:s, s:s, s:o, s:b, s:b}",
                    "name", name,
                    "wire", wire,
                    "input_schema", schema,
                    "read_only",
                    ngx_http_agents_json_true(notes, "readOnlyHint"),
                    "idempotent",
                    ngx_http_agents_json_true(notes, "idempotentHint"));

    free(wire);

    if (out != NULL && ngx_http_agents_mcp_content_describe(out, tool) != 0) {
        json_decref(out);
        return NULL;
    }

    return out;
}


/* Model APIs refuse an empty description; a title is better than none. */

static int
ngx_http_agents_mcp_content_describe(json_t *out, const json_t *tool)
{
    json_t      *value;
    const char  *text;

    value = json_object_get(tool, "description");
    text = ngx_http_agents_json_string(tool, "description", NULL);

    if (text == NULL || *text == '\0') {
        value = json_object_get(tool, "title");
        text = ngx_http_agents_json_string(tool, "title", NULL);
    }

    if (text == NULL || *text == '\0') {
        return 0;
    }

    return json_object_set(out, "description", value);
}


void
ngx_http_agents_mcp_content_call(ngx_http_agents_mcp_reading_t *reading,
    const json_t *result)
{
    size_t                  i;
    json_t                 *blocks, *content, *block, *structured;
    ngx_http_agents_buf_t   text;

    reading->is_error = ngx_http_agents_json_true(result, "isError");

    blocks = json_array();
    if (blocks == NULL) {
        reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
        return;
    }

    reading->content = blocks;

    ngx_http_agents_buf_init(&text);

    content = ngx_http_agents_json_array(result, "content");

    json_array_foreach(content, i, block) {

        if (i == NGX_HTTP_AGENTS_MCP_CONTENT_BLOCKS) {
            ngx_http_agents_buf_addf(&text, "(%zu more blocks were left out)",
                                     json_array_size(content) - i);

        } else {
            ngx_http_agents_mcp_content_block(&text, block);
        }

        if (ngx_http_agents_mcp_content_add(blocks, &text) != 0) {
            reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
            goto done;
        }

        if (i == NGX_HTTP_AGENTS_MCP_CONTENT_BLOCKS) {
            break;
        }
    }

    if (json_array_size(blocks) != 0) {
        goto done;
    }

    structured = json_object_get(result, "structuredContent");

    if (structured != NULL && !json_is_null(structured)) {
        ngx_http_agents_json_put(&text, structured);

    } else {
        ngx_http_agents_buf_adds(&text, "(no content)");
    }

    if (ngx_http_agents_mcp_content_add(blocks, &text) != 0) {
        reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
    }

done:

    ngx_http_agents_buf_free(&text);
}


/*
 * The same answer to each, whoever would have to be asked: there is nobody.
 * Roots are none.  What a model of ours would have to say cannot be declined,
 * so that the call fails.
 */

void
ngx_http_agents_mcp_content_input(ngx_http_agents_mcp_reading_t *reading,
    const json_t *result)
{
    json_t                 *requests, *request, *state;
    const char             *name, *method;
    ngx_http_agents_buf_t   buf;

    requests = ngx_http_agents_json_object(result, "inputRequests");
    state = json_object_get(result, "requestState");

    if (json_object_size(requests) == 0 && state == NULL) {
        ngx_http_agents_mcp_content_invalid(reading, "it asks for input, and "
                                            "does not say for which");
        return;
    }

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_json_begin(&buf);

    json_object_foreach(requests, name, request) {

        method = ngx_http_agents_json_string(request, "method", NULL);

        if (method != NULL && strcmp(method, "elicitation/create") == 0) {
            ngx_http_agents_json_key(&buf, name);
            ngx_http_agents_buf_adds(&buf, "{\"action\":\"decline\"}");

        } else if (method != NULL && strcmp(method, "roots/list") == 0) {
            ngx_http_agents_json_key(&buf, name);
            ngx_http_agents_buf_adds(&buf, "{\"roots\":[]}");

        } else {
            ngx_http_agents_buf_free(&buf);
            ngx_http_agents_mcp_content_invalid(reading, "it asks for what is "
                                                "not supported");
            return;
        }
    }

    ngx_http_agents_json_end(&buf);

    reading->again = 1;

    if (json_object_size(requests) != 0) {
        reading->responses = ngx_http_agents_buf_take(&buf, NULL);
        reading->again = (reading->responses != NULL);
    }

    ngx_http_agents_buf_free(&buf);

    if (state != NULL) {
        reading->state = ngx_http_agents_json_text(state, NULL);
        reading->again &= (reading->state != NULL);
    }

    if (!reading->again) {
        reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
    }
}


/* Makes a block of the text, unless it is empty, and empties it. */

static int
ngx_http_agents_mcp_content_add(json_t *blocks, ngx_http_agents_buf_t *text)
{
    json_t  *block;

    if (text->failed) {
        return -1;
    }

    if (text->len == 0) {
        return 0;
    }

    /* it was made of strings that were checked when they were parsed */

    block = json_pack("{s:s, s:o}", "type", "text", "text",
                      json_stringn_nocheck(text->data, text->len));

    ngx_http_agents_buf_reset(text);

    return json_array_append_new(blocks, block);
}


static void
ngx_http_agents_mcp_content_block(ngx_http_agents_buf_t *text,
    const json_t *block)
{
    size_t       len;
    const char  *type, *value;

    type = ngx_http_agents_json_string(block, "type", NULL);

    if (type == NULL) {
        type = "unknown";
    }

    if (strcmp(type, "text") == 0) {
        value = ngx_http_agents_json_string(block, "text", &len);

        if (value != NULL) {
            ngx_http_agents_buf_add(text, value, len);
        }

    } else if (strcmp(type, "image") == 0) {
        ngx_http_agents_mcp_content_media(text, "an image", block);

    } else if (strcmp(type, "audio") == 0) {
        ngx_http_agents_mcp_content_media(text, "a sound", block);

    } else if (strcmp(type, "resource") == 0) {
        ngx_http_agents_mcp_content_resource(text,
                             ngx_http_agents_json_object(block, "resource"));

    } else if (strcmp(type, "resource_link") == 0) {
        ngx_http_agents_mcp_content_link(text, block);

    } else {
        ngx_http_agents_buf_addf(text, "(content of type \"%.64s\", which "
                                 "cannot be shown as text)", type);
    }
}


static void
ngx_http_agents_mcp_content_media(ngx_http_agents_buf_t *text,
    const char *what, const json_t *block)
{
    ngx_http_agents_buf_addf(text, "(%s", what);
    ngx_http_agents_mcp_content_mime(text, block);
    ngx_http_agents_mcp_content_size(text, block, "data");
    ngx_http_agents_buf_adds(text, ", which cannot be shown as text)");
}


static void
ngx_http_agents_mcp_content_resource(ngx_http_agents_buf_t *text,
    const json_t *resource)
{
    size_t       len;
    const char  *uri, *value;

    uri = ngx_http_agents_json_string(resource, "uri", NULL);
    value = ngx_http_agents_json_string(resource, "text", &len);

    ngx_http_agents_buf_adds(text, (value != NULL) ? "Resource" : "(resource");

    if (uri != NULL) {
        ngx_http_agents_buf_addc(text, ' ');
        ngx_http_agents_buf_adds(text, uri);
    }

    ngx_http_agents_mcp_content_mime(text, resource);

    if (value != NULL) {
        ngx_http_agents_buf_adds(text, ":\n");
        ngx_http_agents_buf_add(text, value, len);
        return;
    }

    ngx_http_agents_mcp_content_size(text, resource, "blob");
    ngx_http_agents_buf_adds(text, ", which cannot be shown as text)");
}


/* What is linked to is never fetched here. */

static void
ngx_http_agents_mcp_content_link(ngx_http_agents_buf_t *text,
    const json_t *link)
{
    const char  *name, *uri, *description;

    name = ngx_http_agents_json_string(link, "name", NULL);
    uri = ngx_http_agents_json_string(link, "uri", NULL);
    description = ngx_http_agents_json_string(link, "description", NULL);

    ngx_http_agents_buf_adds(text, "Link to a resource");

    if (name != NULL) {
        ngx_http_agents_buf_adds(text, " \"");
        ngx_http_agents_buf_adds(text, name);
        ngx_http_agents_buf_addc(text, '"');
    }

    ngx_http_agents_mcp_content_mime(text, link);

    if (uri != NULL) {
        ngx_http_agents_buf_adds(text, ": ");
        ngx_http_agents_buf_adds(text, uri);
    }

    if (description != NULL && *description != '\0') {
        ngx_http_agents_buf_addc(text, '\n');
        ngx_http_agents_buf_adds(text, description);
    }
}


static void
ngx_http_agents_mcp_content_mime(ngx_http_agents_buf_t *text,
    const json_t *object)
{
    const char  *mime;

    mime = ngx_http_agents_json_string(object, "mimeType", NULL);

    if (mime != NULL && *mime != '\0') {
        ngx_http_agents_buf_adds(text, ", ");
        ngx_http_agents_buf_adds(text, mime);
    }
}


/* Of base64: three bytes in four characters, less the padding. */

static void
ngx_http_agents_mcp_content_size(ngx_http_agents_buf_t *text,
    const json_t *object, const char *key)
{
    size_t       len;
    const char  *data;

    data = ngx_http_agents_json_string(object, key, &len);

    if (data == NULL) {
        return;
    }

    while (len > 0 && data[len - 1] == '=') {
        len--;
    }

    ngx_http_agents_buf_addf(text, ", %zu bytes",
                             len / 4 * 3 + len % 4 * 3 / 4);
}
