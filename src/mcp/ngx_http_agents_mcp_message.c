
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_mcp_content.h"
#include "ngx_http_agents_mcp_message.h"
#include "ngx_http_agents_version.h"


/* Of a server's error text, in bytes: more does not help a model. */
#define NGX_HTTP_AGENTS_MCP_ERROR_MAX  2000


static void ngx_http_agents_mcp_message_begin(ngx_http_agents_buf_t *buf);
static void ngx_http_agents_mcp_message_method(ngx_http_agents_buf_t *buf,
    const char *method, const char *params);
static void ngx_http_agents_mcp_message_client(ngx_http_agents_buf_t *buf);
static void ngx_http_agents_mcp_message_add_meta(ngx_http_agents_buf_t *buf,
    const char *meta);
static void ngx_http_agents_mcp_message_parse(
    ngx_http_agents_mcp_reading_t *reading);
static json_t *ngx_http_agents_mcp_message_ours(
    const ngx_http_agents_mcp_reading_t *reading, json_t *value);
static int ngx_http_agents_mcp_message_is_answer(
    const ngx_http_agents_mcp_reading_t *reading, const json_t *object);
static void ngx_http_agents_mcp_message_answer(
    ngx_http_agents_mcp_reading_t *reading, json_t *object);
static int ngx_http_agents_mcp_message_is_typed(
    ngx_http_agents_mcp_reading_t *reading, const json_t *result);
static void ngx_http_agents_mcp_message_error(
    ngx_http_agents_mcp_reading_t *reading, const json_t *error);
static void ngx_http_agents_mcp_message_supported(
    ngx_http_agents_mcp_reading_t *reading, const json_t *error);
static void ngx_http_agents_mcp_message_reply(
    ngx_http_agents_mcp_reading_t *reading, const json_t *object);


void
ngx_http_agents_mcp_message_request(ngx_http_agents_buf_t *buf, int64_t id,
    const char *method, const char *params)
{
    ngx_http_agents_mcp_message_begin(buf);
    ngx_http_agents_json_member_integer(buf, "id", id);
    ngx_http_agents_mcp_message_method(buf, method, params);
}


void
ngx_http_agents_mcp_message_notification(ngx_http_agents_buf_t *buf,
    const char *method, const char *params)
{
    ngx_http_agents_mcp_message_begin(buf);
    ngx_http_agents_mcp_message_method(buf, method, params);
}


static void
ngx_http_agents_mcp_message_begin(ngx_http_agents_buf_t *buf)
{
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "jsonrpc", "2.0");
}


static void
ngx_http_agents_mcp_message_method(ngx_http_agents_buf_t *buf,
    const char *method, const char *params)
{
    ngx_http_agents_json_member_cstring(buf, "method", method);

    if (params != NULL) {
        ngx_http_agents_json_member_raw(buf, "params", params, strlen(params));
    }

    ngx_http_agents_json_end(buf);
}


void
ngx_http_agents_mcp_message_meta(ngx_http_agents_buf_t *buf, int modern,
    const char *traceparent, const char *tracestate)
{
    if (!modern && traceparent == NULL) {
        return;
    }

    ngx_http_agents_json_begin(buf);

    if (modern) {
        ngx_http_agents_json_member_cstring(buf,
                                    "io.modelcontextprotocol/protocolVersion",
                                    NGX_HTTP_AGENTS_MCP_MODERN);
        ngx_http_agents_json_member_raw(buf,
                                "io.modelcontextprotocol/clientCapabilities",
                                "{}", 2);
        ngx_http_agents_json_key(buf, "io.modelcontextprotocol/clientInfo");
        ngx_http_agents_mcp_message_client(buf);
    }

    if (traceparent != NULL) {
        ngx_http_agents_json_member_cstring(buf, "traceparent", traceparent);
    }

    if (tracestate != NULL) {
        ngx_http_agents_json_member_cstring(buf, "tracestate", tracestate);
    }

    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_mcp_message_client(ngx_http_agents_buf_t *buf)
{
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "name",
                                        NGX_HTTP_AGENTS_MCP_CLIENT_NAME);
    ngx_http_agents_json_member_cstring(buf, "version",
                                        NGX_HTTP_AGENTS_VERSION);
    ngx_http_agents_json_end(buf);
}


void
ngx_http_agents_mcp_message_initialize_params(ngx_http_agents_buf_t *buf,
    const char *meta)
{
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "protocolVersion",
                                        NGX_HTTP_AGENTS_MCP_VERSION);
    ngx_http_agents_json_member_raw(buf, "capabilities", "{}", 2);

    ngx_http_agents_json_key(buf, "clientInfo");
    ngx_http_agents_mcp_message_client(buf);

    ngx_http_agents_mcp_message_add_meta(buf, meta);
    ngx_http_agents_json_end(buf);
}


void
ngx_http_agents_mcp_message_list_params(ngx_http_agents_buf_t *buf,
    const char *cursor, const char *meta)
{
    ngx_http_agents_json_begin(buf);

    if (cursor != NULL) {
        ngx_http_agents_json_member_cstring(buf, "cursor", cursor);
    }

    ngx_http_agents_mcp_message_add_meta(buf, meta);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_mcp_message_add_meta(ngx_http_agents_buf_t *buf,
    const char *meta)
{
    if (meta != NULL) {
        ngx_http_agents_json_member_raw(buf, "_meta", meta, strlen(meta));
    }
}


void
ngx_http_agents_mcp_message_call_params(ngx_http_agents_buf_t *buf,
    const char *tool, const json_t *arguments, const char *meta)
{
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "name", tool);

    if (json_is_object(arguments)) {
        ngx_http_agents_json_key(buf, "arguments");
        ngx_http_agents_json_put(buf, arguments);

    } else {
        ngx_http_agents_json_member_raw(buf, "arguments", "{}", 2);
    }

    ngx_http_agents_mcp_message_add_meta(buf, meta);
    ngx_http_agents_json_end(buf);
}


void
ngx_http_agents_mcp_message_retry_params(ngx_http_agents_buf_t *buf,
    const char *params, const char *responses, const char *state)
{
    ngx_http_agents_buf_add(buf, params, strlen(params) - 1);

    if (responses != NULL) {
        ngx_http_agents_json_member_raw(buf, "inputResponses", responses,
                                        strlen(responses));
    }

    if (state != NULL) {
        ngx_http_agents_json_member_raw(buf, "requestState", state,
                                        strlen(state));
    }

    ngx_http_agents_json_end(buf);
}


void
ngx_http_agents_mcp_message_cancelled_params(ngx_http_agents_buf_t *buf,
    int64_t id, const char *reason)
{
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_integer(buf, "requestId", id);
    ngx_http_agents_json_member_cstring(buf, "reason", reason);
    ngx_http_agents_json_end(buf);
}


json_t *
ngx_http_agents_mcp_message_text(const char *text)
{
    char                   *json;
    size_t                  len;
    json_t                 *blocks;
    ngx_http_agents_buf_t   buf;

    /* by way of the writer, which mends broken UTF-8 */

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_addc(&buf, '[');
    ngx_http_agents_json_begin(&buf);
    ngx_http_agents_json_member_cstring(&buf, "type", "text");
    ngx_http_agents_json_member_cstring(&buf, "text", text);
    ngx_http_agents_json_end(&buf);
    ngx_http_agents_buf_addc(&buf, ']');

    json = ngx_http_agents_buf_take(&buf, &len);
    if (json == NULL) {
        return NULL;
    }

    blocks = ngx_http_agents_json_load(json, len);
    free(json);

    return blocks;
}


void
ngx_http_agents_mcp_message_read(ngx_http_agents_mcp_reading_t *reading)
{
    errno = 0;

    ngx_http_agents_mcp_message_parse(reading);

    /* what was found for want of memory, or was not, is not so */

    if (errno == ENOMEM) {
        reading->found = NGX_HTTP_AGENTS_MCP_NO_MEMORY;
    }
}


static void
ngx_http_agents_mcp_message_parse(ngx_http_agents_mcp_reading_t *reading)
{
    json_t                        *value, *object;
    const char                    *method;
    ngx_http_agents_json_fault_t   fault;

    reading->found = NGX_HTTP_AGENTS_MCP_OTHER;

    value = ngx_http_agents_json_parse_cut(reading->text, reading->len, &fault);
    if (value == NULL) {
        return;     /* no JSON: nor is it for us */
    }

    object = ngx_http_agents_mcp_message_ours(reading, value);

    if (object != NULL) {
        ngx_http_agents_mcp_message_answer(reading, object);

    } else if (json_is_object(value)
               && json_object_get(value, "method") != NULL
               && json_object_get(value, "id") != NULL)
    {
        ngx_http_agents_mcp_message_reply(reading, value);

    } else {
        method = ngx_http_agents_json_string(value, "method", NULL);
        reading->changed = (method != NULL
                            && strcmp(method,
                                      "notifications/tools/list_changed")
                               == 0);
    }

    json_decref(value);
}


/* A batch, which one revision had, is searched for our answer. */

static json_t *
ngx_http_agents_mcp_message_ours(const ngx_http_agents_mcp_reading_t *reading,
    json_t *value)
{
    size_t   i;
    json_t  *item;

    if (ngx_http_agents_mcp_message_is_answer(reading, value)) {
        return value;
    }

    if (json_is_array(value)) {
        json_array_foreach(value, i, item) {
            if (ngx_http_agents_mcp_message_is_answer(reading, item)) {
                return item;
            }
        }
    }

    return NULL;
}


static int
ngx_http_agents_mcp_message_is_answer(
    const ngx_http_agents_mcp_reading_t *reading, const json_t *object)
{
    json_t  *id;

    if (!json_is_object(object) || json_object_get(object, "method") != NULL) {
        return 0;
    }

    if (reading->lax && json_object_get(object, "error") != NULL) {
        return 1;
    }

    /* of the type that was sent: "1" is not 1 */

    id = json_object_get(object, "id");

    if (!json_is_integer(id) || json_integer_value(id) != reading->id) {
        return 0;
    }

    return (json_object_get(object, "result") != NULL
            || json_object_get(object, "error") != NULL);
}


static void
ngx_http_agents_mcp_message_answer(ngx_http_agents_mcp_reading_t *reading,
    json_t *object)
{
    json_t  *result, *error;

    error = json_object_get(object, "error");

    if (error != NULL && !json_is_null(error)) {
        ngx_http_agents_mcp_message_error(reading, error);
        return;
    }

    result = json_object_get(object, "result");

    if (!json_is_object(result)) {
        reading->found = NGX_HTTP_AGENTS_MCP_INVALID;
        reading->message = strdup("its result is no object");
        return;
    }

    reading->found = NGX_HTTP_AGENTS_MCP_RESULT;

    if (reading->modern
        && !ngx_http_agents_mcp_message_is_typed(reading, result))
    {
        return;
    }

    switch (reading->method) {

    case NGX_HTTP_AGENTS_MCP_INITIALIZE:
        ngx_http_agents_mcp_content_initialize(reading, result);
        return;

    case NGX_HTTP_AGENTS_MCP_LIST:
        ngx_http_agents_mcp_content_list(reading, result);
        return;

    case NGX_HTTP_AGENTS_MCP_CALL:
        ngx_http_agents_mcp_content_call(reading, result);
        return;
    }
}


/* Whether the result is one to be read as the method's: complete, or of no
 * type. */

static int
ngx_http_agents_mcp_message_is_typed(ngx_http_agents_mcp_reading_t *reading,
    const json_t *result)
{
    json_t      *type;
    const char  *name;

    type = json_object_get(result, "resultType");

    if (type == NULL) {
        return 1;
    }

    reading->typed = 1;

    name = ngx_http_agents_json_string(result, "resultType", NULL);

    if (name != NULL && strcmp(name, "complete") == 0) {
        return 1;
    }

    if (name != NULL && strcmp(name, "input_required") == 0
        && reading->method == NGX_HTTP_AGENTS_MCP_CALL)
    {
        ngx_http_agents_mcp_content_input(reading, result);
        return 0;
    }

    reading->found = NGX_HTTP_AGENTS_MCP_INVALID;
    reading->message = strdup("its result is of an unknown type");

    return 0;
}


static void
ngx_http_agents_mcp_message_error(ngx_http_agents_mcp_reading_t *reading,
    const json_t *error)
{
    size_t       len;
    const char  *text;

    reading->found = NGX_HTTP_AGENTS_MCP_ERROR;

    if (json_is_object(error)) {
        reading->code = ngx_http_agents_json_integer(error, "code", 0);
        text = ngx_http_agents_json_string(error, "message", &len);
        ngx_http_agents_mcp_message_supported(reading, error);

    } else {
        text = json_string_value(error);
        len = json_string_length(error);
    }

    if (text == NULL || len == 0) {
        return;
    }

    if (len > NGX_HTTP_AGENTS_MCP_ERROR_MAX) {

        len = NGX_HTTP_AGENTS_MCP_ERROR_MAX;

        while (len > 0 && ((unsigned char) text[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    reading->message = strndup(text, len);
}


static void
ngx_http_agents_mcp_message_supported(ngx_http_agents_mcp_reading_t *reading,
    const json_t *error)
{
    size_t       i;
    json_t      *versions, *version;
    const char  *name;

    if (reading->code != NGX_HTTP_AGENTS_MCP_BAD_VERSION) {
        return;
    }

    versions = ngx_http_agents_json_array(ngx_http_agents_json_object(error,
                                                                     "data"),
                                          "supported");

    json_array_foreach(versions, i, version) {

        name = json_string_value(version);

        if (name == NULL) {
            continue;
        }

        if (strcmp(name, NGX_HTTP_AGENTS_MCP_MODERN) == 0) {
            reading->takes_modern = 1;

        } else if (ngx_http_agents_mcp_content_is_version(name)) {
            reading->takes_legacy = 1;
        }
    }
}


/* A ping is answered, and nothing else was said to be supported. */

static void
ngx_http_agents_mcp_message_reply(ngx_http_agents_mcp_reading_t *reading,
    const json_t *object)
{
    json_t                 *id;
    const char             *method;
    ngx_http_agents_buf_t   buf;

    id = json_object_get(object, "id");
    method = ngx_http_agents_json_string(object, "method", NULL);

    if (method == NULL || (!json_is_integer(id) && !json_is_string(id))) {
        return;
    }

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_mcp_message_begin(&buf);
    ngx_http_agents_json_key(&buf, "id");
    ngx_http_agents_json_put(&buf, id);

    if (strcmp(method, "ping") == 0) {
        ngx_http_agents_json_member_raw(&buf, "result", "{}", 2);

    } else {
        ngx_http_agents_json_key(&buf, "error");
        ngx_http_agents_json_begin(&buf);
        ngx_http_agents_json_member_integer(&buf, "code",
                                            NGX_HTTP_AGENTS_MCP_NO_METHOD);
        ngx_http_agents_json_member_cstring(&buf, "message",
                                            "Method not found");
        ngx_http_agents_json_end(&buf);
    }

    ngx_http_agents_json_end(&buf);

    reading->reply = ngx_http_agents_buf_take(&buf, NULL);

    reading->found = (reading->reply != NULL) ? NGX_HTTP_AGENTS_MCP_REQUEST
                                              : NGX_HTTP_AGENTS_MCP_NO_MEMORY;
}


void
ngx_http_agents_mcp_message_free(ngx_http_agents_mcp_reading_t *reading)
{
    free(reading->text);
    free(reading->message);
    free(reading->reply);
    free(reading->cursor);
    free(reading->responses);
    free(reading->state);
    json_decref(reading->tools);
    json_decref(reading->content);

    memset(reading, 0, sizeof(ngx_http_agents_mcp_reading_t));
}
