
#include <stdlib.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_mcp_message.h"
#include "ngx_http_agents_version.h"
#include "unit.h"


static void
start(ngx_http_agents_mcp_reading_t *r, ngx_http_agents_mcp_method_e method,
    const char *text)
{
    memset(r, 0, sizeof(*r));

    r->text = strdup(text);
    r->len = strlen(text);
    r->id = 7;
    r->method = method;
    memcpy(r->alias, "srv", sizeof("srv"));
}


/* Reads an answer and checks what it was found to be. */

static void
found(ngx_http_agents_mcp_method_e method, const char *text,
    ngx_http_agents_mcp_found_e expected, const char *name)
{
    ngx_http_agents_mcp_reading_t  r;

    start(&r, method, text);
    ngx_http_agents_mcp_message_read(&r);
    unit(r.found == expected, "%s", name);

    if (r.found != expected) {
        printf("# found %d, not %d\n", r.found, expected);
    }

    ngx_http_agents_mcp_message_free(&r);
}


static void
json(const json_t *value, const char *expected, const char *name)
{
    char  *text;

    text = ngx_http_agents_json_text(value, NULL);
    unit_text(text, expected, name);
    free(text);
}


static void
call(const char *result, const char *expected, int is_error, const char *name)
{
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_mcp_reading_t  r;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_addf(&buf, "{\"jsonrpc\":\"2.0\",\"id\":7,"
                             "\"result\":%s}", result);

    start(&r, NGX_HTTP_AGENTS_MCP_CALL, buf.data);
    ngx_http_agents_mcp_message_read(&r);
    json(r.content, expected, name);
    unit(r.is_error == (unsigned) is_error, "%s: is_error", name);

    ngx_http_agents_mcp_message_free(&r);
    ngx_http_agents_buf_free(&buf);
}


static void
build(void)
{
    json_t                 *args;
    ngx_http_agents_buf_t   params, buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_init(&params);

    ngx_http_agents_mcp_message_initialize_params(&params, NULL);
    ngx_http_agents_mcp_message_request(&buf, 1, "initialize", params.data);
    unit_text(buf.data, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
              "\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
              "\"capabilities\":{},\"clientInfo\":{\"name\":\""
              NGX_HTTP_AGENTS_MCP_CLIENT_NAME "\",\"version\":\""
              NGX_HTTP_AGENTS_VERSION "\"}}}", "initialize");

    ngx_http_agents_buf_reset(&buf);
    ngx_http_agents_mcp_message_notification(&buf, "notifications/initialized",
                                             NULL);
    unit_text(buf.data, "{\"jsonrpc\":\"2.0\",\"method\":"
              "\"notifications/initialized\"}", "a notification has no id");

    ngx_http_agents_buf_reset(&params);
    ngx_http_agents_mcp_message_list_params(&params, NULL, NULL);
    unit_text(params.data, "{}", "the first page has no cursor");

    ngx_http_agents_buf_reset(&params);
    ngx_http_agents_mcp_message_list_params(&params, "", NULL);
    unit_text(params.data, "{\"cursor\":\"\"}", "an empty cursor is one");

    args = json_pack("{s:f}", "x", 0.7);
    ngx_http_agents_buf_reset(&params);
    ngx_http_agents_mcp_message_call_params(&params, "a.b", args, NULL);
    unit_text(params.data, "{\"name\":\"a.b\",\"arguments\":{\"x\":0.7}}",
              "a call, its numbers as they were");
    json_decref(args);

    ngx_http_agents_buf_reset(&params);
    ngx_http_agents_mcp_message_call_params(&params, "t", NULL, NULL);
    unit_text(params.data, "{\"name\":\"t\",\"arguments\":{}}",
              "arguments are always an object");

    ngx_http_agents_buf_free(&buf);
    ngx_http_agents_buf_free(&params);

    args = ngx_http_agents_mcp_message_text("a \"b\" \xff");
    json(args, "[{\"type\":\"text\",\"text\":\"a \\\"b\\\" \xef\xbf\xbd\"}]",
         "a text block mends broken UTF-8");
    json_decref(args);
}


static void
matching(void)
{
    found(NGX_HTTP_AGENTS_MCP_CALL,
          "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[]}}",
          NGX_HTTP_AGENTS_MCP_RESULT, "our result");
    found(NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":7,\"error\":{\"code\":-1}}",
          NGX_HTTP_AGENTS_MCP_ERROR, "our error");
    found(NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":\"7\",\"result\":{}}",
          NGX_HTTP_AGENTS_MCP_OTHER, "an id of another type");
    found(NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":7.0,\"result\":{}}",
          NGX_HTTP_AGENTS_MCP_OTHER, "an id that is no integer");
    found(NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":8,\"result\":{}}",
          NGX_HTTP_AGENTS_MCP_OTHER, "another id");
    found(NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":null,\"error\":{}}",
          NGX_HTTP_AGENTS_MCP_OTHER, "an error without id, on a 200");
    found(NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":7}",
          NGX_HTTP_AGENTS_MCP_OTHER, "neither result nor error");
    found(NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":7,\"result\":[]}",
          NGX_HTTP_AGENTS_MCP_INVALID, "a result that is no object");
    found(NGX_HTTP_AGENTS_MCP_CALL,
          "[{\"id\":1,\"result\":{}},5,{\"id\":7,\"result\":{}}]",
          NGX_HTTP_AGENTS_MCP_RESULT, "ours in a batch");
    found(NGX_HTTP_AGENTS_MCP_CALL, "[]", NGX_HTTP_AGENTS_MCP_OTHER,
          "an empty batch");
    found(NGX_HTTP_AGENTS_MCP_CALL,
          "{\"method\":\"notifications/message\",\"params\":{}}",
          NGX_HTTP_AGENTS_MCP_OTHER, "a notification");
    found(NGX_HTTP_AGENTS_MCP_CALL,
          "{\"id\":7,\"method\":\"ping\",\"result\":{}}",
          NGX_HTTP_AGENTS_MCP_REQUEST, "a request with our id is no answer");
    found(NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":{},\"method\":\"ping\"}",
          NGX_HTTP_AGENTS_MCP_OTHER, "a request whose id is an object");
    found(NGX_HTTP_AGENTS_MCP_CALL, "<html>", NGX_HTTP_AGENTS_MCP_OTHER,
          "no JSON");
    found(NGX_HTTP_AGENTS_MCP_CALL, "", NGX_HTTP_AGENTS_MCP_OTHER, "nothing");
    found(NGX_HTTP_AGENTS_MCP_CALL, "null", NGX_HTTP_AGENTS_MCP_OTHER, "null");
}


static void
errors(void)
{
    int                            i;
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_mcp_reading_t  r;

    start(&r, NGX_HTTP_AGENTS_MCP_CALL,
          "{\"id\":7,\"error\":{\"code\":-32602,\"message\":\"no\"}}");
    ngx_http_agents_mcp_message_read(&r);
    unit(r.code == -32602, "code of an error");
    unit_text(r.message, "no", "message of an error");
    ngx_http_agents_mcp_message_free(&r);

    start(&r, NGX_HTTP_AGENTS_MCP_CALL, "{\"error\":\"invalid_token\"}");
    r.lax = 1;
    ngx_http_agents_mcp_message_read(&r);
    unit(r.found == NGX_HTTP_AGENTS_MCP_ERROR && r.code == 0,
         "an HTTP error's error may be a string, without an id");
    unit_text(r.message, "invalid_token", "its text");
    ngx_http_agents_mcp_message_free(&r);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_adds(&buf, "{\"id\":7,\"error\":\"");

    for (i = 0; i < 1999; i++) {
        ngx_http_agents_buf_addc(&buf, 'x');
    }

    ngx_http_agents_buf_adds(&buf, "\xc3\xa4\xc3\xa4\"}");

    start(&r, NGX_HTTP_AGENTS_MCP_CALL, buf.data);
    ngx_http_agents_mcp_message_read(&r);
    unit(r.message != NULL && strlen(r.message) == 1999,
         "a long message is cut at a character");
    ngx_http_agents_mcp_message_free(&r);
    ngx_http_agents_buf_free(&buf);
}


static void
requests(void)
{
    ngx_http_agents_mcp_reading_t  r;

    start(&r, NGX_HTTP_AGENTS_MCP_CALL, "{\"id\":7,\"method\":\"ping\"}");
    ngx_http_agents_mcp_message_read(&r);
    unit_text(r.reply, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}", "ping");
    ngx_http_agents_mcp_message_free(&r);

    start(&r, NGX_HTTP_AGENTS_MCP_CALL,
          "{\"id\":\"q\\\"1\",\"method\":\"sampling/createMessage\"}");
    ngx_http_agents_mcp_message_read(&r);
    unit_text(r.reply, "{\"jsonrpc\":\"2.0\",\"id\":\"q\\\"1\",\"error\":"
              "{\"code\":-32601,\"message\":\"Method not found\"}}",
              "any other request");
    ngx_http_agents_mcp_message_free(&r);
}


static void
initialize(void)
{
    ngx_http_agents_mcp_reading_t  r;

    start(&r, NGX_HTTP_AGENTS_MCP_INITIALIZE, "{\"id\":7,\"result\":{"
          "\"protocolVersion\":\"2025-03-26\",\"capabilities\":{\"tools\":{}}"
          "}}");
    ngx_http_agents_mcp_message_read(&r);
    unit(r.found == NGX_HTTP_AGENTS_MCP_RESULT && r.has_tools,
         "an older revision is accepted");
    unit_text(r.version, "2025-03-26", "and kept");
    ngx_http_agents_mcp_message_free(&r);

    start(&r, NGX_HTTP_AGENTS_MCP_INITIALIZE,
          "{\"id\":7,\"result\":{\"protocolVersion\":\"2026-07-28\"}}");
    ngx_http_agents_mcp_message_read(&r);
    unit(r.found == NGX_HTTP_AGENTS_MCP_INVALID,
         "a revision without the handshake is not");
    unit_text(r.message, "its protocol version \"2026-07-28\" is not "
              "supported", "and is named");
    ngx_http_agents_mcp_message_free(&r);

    found(NGX_HTTP_AGENTS_MCP_INITIALIZE, "{\"id\":7,\"result\":{}}",
          NGX_HTTP_AGENTS_MCP_INVALID, "nor is none");
}


static void
list(void)
{
    ngx_http_agents_mcp_reading_t  r;

    start(&r, NGX_HTTP_AGENTS_MCP_LIST, "{\"id\":7,\"result\":{\"tools\":["
          "{\"name\":\"a.b\",\"description\":\"\",\"title\":\"T\","
          "\"annotations\":{\"readOnlyHint\":true,\"idempotentHint\":\"x\"}},"
          "{\"name\":5},{},7,{\"name\":\"\"},"
          "{\"name\":\"c\",\"description\":\"d\",\"inputSchema\":{"
          "\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"string\"}}}}"
          "],\"nextCursor\":\"\"}}");
    ngx_http_agents_mcp_message_read(&r);

    unit(r.found == NGX_HTTP_AGENTS_MCP_RESULT, "a list");
    unit(json_array_size(r.tools) == 2, "tools without a name are left out");
    unit_text(r.cursor, "", "an empty cursor goes on");

    json(json_object_get(json_array_get(r.tools, 0), "wire"), "\"srv-a.b\"",
         "the wire name");
    json(json_object_get(json_array_get(r.tools, 0), "name"), "\"a.b\"",
         "the server's own");
    json(json_object_get(json_array_get(r.tools, 0), "description"), "\"T\"",
         "the title stands in for an empty description");
    json(json_object_get(json_array_get(r.tools, 0), "read_only"), "true",
         "a hint");
    json(json_object_get(json_array_get(r.tools, 0), "idempotent"), "false",
         "a hint of another type is none");
    unit(json_is_object(json_object_get(json_array_get(r.tools, 0),
                                        "input_schema")),
         "a tool without a schema gets one");
    json(json_object_get(json_array_get(r.tools, 1), "input_schema"),
         "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"string\"}},"
         "\"additionalProperties\":false}", "a schema is normalised");
    ngx_http_agents_mcp_message_free(&r);

    start(&r, NGX_HTTP_AGENTS_MCP_LIST,
          "{\"id\":7,\"result\":{\"tools\":[],\"nextCursor\":null}}");
    ngx_http_agents_mcp_message_read(&r);
    unit(r.found == NGX_HTTP_AGENTS_MCP_RESULT && r.cursor == NULL,
         "null is no cursor");
    ngx_http_agents_mcp_message_free(&r);

    found(NGX_HTTP_AGENTS_MCP_LIST, "{\"id\":7,\"result\":{\"tools\":{}}}",
          NGX_HTTP_AGENTS_MCP_INVALID, "tools that are no list");
}


static void
content(void)
{
    call("{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}",
         "[{\"type\":\"text\",\"text\":\"a\"}]", 0, "text");
    call("{\"isError\":true,\"content\":[{\"type\":\"text\",\"text\":\"\"},"
         "{\"type\":\"text\",\"text\":\"b\"}]}",
         "[{\"type\":\"text\",\"text\":\"b\"}]", 1, "no empty text");
    call("{}", "[{\"type\":\"text\",\"text\":\"(no content)\"}]", 0,
         "no content");
    call("{\"content\":[],\"structuredContent\":{\"a\":0.1}}",
         "[{\"type\":\"text\",\"text\":\"{\\\"a\\\":0.1}\"}]", 0,
         "structured content alone");
    call("{\"content\":[{\"type\":\"text\",\"text\":\"x\"}],"
         "\"structuredContent\":{}}",
         "[{\"type\":\"text\",\"text\":\"x\"}]", 0, "structured beside text");
    call("{\"content\":[{\"type\":\"image\",\"data\":\"AAAA\","
         "\"mimeType\":\"image/png\"},{\"type\":\"audio\",\"data\":\"AA==\"}]}",
         "[{\"type\":\"text\",\"text\":\"(an image, image/png, 3 bytes, which "
         "cannot be shown as text)\"},{\"type\":\"text\",\"text\":\"(a sound, "
         "1 bytes, which cannot be shown as text)\"}]", 0, "media");
    call("{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"a:b\","
         "\"text\":\"t\"}},{\"type\":\"resource\"},{\"type\":\"resource_link\","
         "\"uri\":\"a:c\",\"name\":\"n\",\"description\":\"d\"}]}",
         "[{\"type\":\"text\",\"text\":\"Resource a:b:\\nt\"},"
         "{\"type\":\"text\",\"text\":\"(resource, which cannot be shown as "
         "text)\"},{\"type\":\"text\",\"text\":\"Link to a resource "
         "\\\"n\\\": a:c\\nd\"}]", 0, "resources");
    call("{\"content\":[{\"type\":\"wat\"},5]}",
         "[{\"type\":\"text\",\"text\":\"(content of type \\\"wat\\\", which "
         "cannot be shown as text)\"},{\"type\":\"text\",\"text\":\"(content "
         "of type \\\"unknown\\\", which cannot be shown as text)\"}]", 0,
         "unknown types");
    call("{\"content\":\"x\"}",
         "[{\"type\":\"text\",\"text\":\"(no content)\"}]", 0,
         "content that is no list");
    call("{\"content\":[{\"type\":\"text\",\"text\":\"a\\u0000b\"}]}",
         "[{\"type\":\"text\",\"text\":\"a\xef\xbf\xbd" "b\"}]", 0,
         "U+0000 is replaced");
}


/* What a server of the newer revision answers. */

static void
modern_found(ngx_http_agents_mcp_method_e method, const char *result,
    ngx_http_agents_mcp_found_e expected, int typed, const char *name)
{
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_mcp_reading_t  r;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_addf(&buf, "{\"jsonrpc\":\"2.0\",\"id\":7,"
                             "\"result\":%s}", result);

    start(&r, method, buf.data);
    r.modern = 1;
    ngx_http_agents_mcp_message_read(&r);
    unit(r.found == expected, "%s", name);
    unit(r.typed == (unsigned) typed, "%s: its type", name);

    ngx_http_agents_mcp_message_free(&r);
    ngx_http_agents_buf_free(&buf);
}


static void
input(const char *result, const char *responses, const char *state,
    const char *name)
{
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_mcp_reading_t  r;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_addf(&buf, "{\"id\":7,\"result\":{\"resultType\":"
                             "\"input_required\",%s}}", result);

    start(&r, NGX_HTTP_AGENTS_MCP_CALL, buf.data);
    r.modern = 1;
    ngx_http_agents_mcp_message_read(&r);

    if (responses == NULL && state == NULL) {
        unit(r.found == NGX_HTTP_AGENTS_MCP_INVALID && !r.again, "%s", name);

    } else {
        unit_text((r.responses != NULL) ? r.responses : "",
                  (responses != NULL) ? responses : "", name);
        unit_text((r.state != NULL) ? r.state : "",
                  (state != NULL) ? state : "", name);
        unit(r.again, "%s: to be made again", name);
    }

    ngx_http_agents_mcp_message_free(&r);
    ngx_http_agents_buf_free(&buf);
}


static void
supported(const char *versions, int modern, int legacy, const char *name)
{
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_mcp_reading_t  r;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_addf(&buf, "{\"id\":7,\"error\":{\"code\":-32022,"
                             "\"data\":{\"supported\":%s}}}", versions);

    start(&r, NGX_HTTP_AGENTS_MCP_LIST, buf.data);
    ngx_http_agents_mcp_message_read(&r);
    unit(r.takes_modern == (unsigned) modern, "%s: modern", name);
    unit(r.takes_legacy == (unsigned) legacy, "%s: legacy", name);

    ngx_http_agents_mcp_message_free(&r);
    ngx_http_agents_buf_free(&buf);
}


static void
traced(void)
{
    ngx_http_agents_buf_t  meta, params;

    ngx_http_agents_buf_init(&meta);
    ngx_http_agents_buf_init(&params);

    ngx_http_agents_mcp_message_meta(&meta, 0, NULL, NULL);
    unit(meta.len == 0, "no _meta without a trace");

    ngx_http_agents_mcp_message_meta(&meta, 0, "00-a", NULL);
    ngx_http_agents_mcp_message_list_params(&params, NULL, meta.data);
    unit_text(params.data, "{\"_meta\":{\"traceparent\":\"00-a\"}}",
              "a trace");

    ngx_http_agents_buf_reset(&meta);
    ngx_http_agents_mcp_message_meta(&meta, 0, "00-a", "x=\"1\\,y=2");
    unit_text(meta.data, "{\"traceparent\":\"00-a\","
              "\"tracestate\":\"x=\\\"1\\\\,y=2\"}", "and its state");

    ngx_http_agents_buf_reset(&params);
    ngx_http_agents_mcp_message_initialize_params(&params, "{}");
    unit(strstr(params.data, "\"},\"_meta\":{}}") != NULL,
         "initialize has it, too");

    ngx_http_agents_buf_reset(&meta);
    ngx_http_agents_mcp_message_meta(&meta, 1, "00-a", NULL);
    unit(strstr(meta.data, "\"},\"traceparent\":\"00-a\"}") != NULL,
         "of the newer revision behind who asks");

    ngx_http_agents_buf_free(&meta);
    ngx_http_agents_buf_free(&params);
}


static void
modern(void)
{
    ngx_http_agents_buf_t  meta, params;

    ngx_http_agents_buf_init(&meta);
    ngx_http_agents_buf_init(&params);

    ngx_http_agents_mcp_message_meta(&meta, 1, NULL, NULL);
    ngx_http_agents_mcp_message_list_params(&params, "c", meta.data);
    ngx_http_agents_buf_free(&meta);
    unit_text(params.data, "{\"cursor\":\"c\",\"_meta\":{"
              "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
              "\"io.modelcontextprotocol/clientCapabilities\":{},"
              "\"io.modelcontextprotocol/clientInfo\":{\"name\":\""
              NGX_HTTP_AGENTS_MCP_CLIENT_NAME "\",\"version\":\""
              NGX_HTTP_AGENTS_VERSION "\"}}}", "_meta");

    ngx_http_agents_buf_reset(&params);
    ngx_http_agents_mcp_message_retry_params(&params, "{\"name\":\"a\"}",
                                             "{\"x\":{}}", "\"s\"");
    unit_text(params.data, "{\"name\":\"a\",\"inputResponses\":{\"x\":{}},"
              "\"requestState\":\"s\"}", "a call that is made again");
    ngx_http_agents_buf_free(&params);

    modern_found(NGX_HTTP_AGENTS_MCP_LIST, "{\"tools\":[]}",
                 NGX_HTTP_AGENTS_MCP_RESULT, 0, "a result of no type");
    modern_found(NGX_HTTP_AGENTS_MCP_LIST,
                 "{\"resultType\":\"complete\",\"tools\":[]}",
                 NGX_HTTP_AGENTS_MCP_RESULT, 1, "a complete one");
    modern_found(NGX_HTTP_AGENTS_MCP_CALL, "{\"resultType\":\"other\"}",
                 NGX_HTTP_AGENTS_MCP_INVALID, 1, "one of an unknown type");
    modern_found(NGX_HTTP_AGENTS_MCP_CALL, "{\"resultType\":null}",
                 NGX_HTTP_AGENTS_MCP_INVALID, 1, "null is no type");
    modern_found(NGX_HTTP_AGENTS_MCP_LIST,
                 "{\"resultType\":\"input_required\",\"requestState\":\"\"}",
                 NGX_HTTP_AGENTS_MCP_INVALID, 1, "a list asks for nothing");
    call("{\"resultType\":\"other\",\"content\":[]}",
         "[{\"type\":\"text\",\"text\":\"(no content)\"}]", 0,
         "a type means nothing before");

    input("\"inputRequests\":{\"a\\\"\":{\"method\":"
          "\"elicitation/create\"},\"b\":{\"method\":\"roots/list\"}}",
          "{\"a\\\"\":{\"action\":\"decline\"},\"b\":{\"roots\":[]}}",
          NULL, "what can be declined");
    input("\"requestState\":\"\\/\\u00e9\\\"\"", NULL,
          "\"/\xc3\xa9\\\"\"", "a state alone");
    input("\"inputRequests\":{\"a\":{\"method\":"
          "\"sampling/createMessage\"}},\"requestState\":\"s\"", NULL, NULL,
          "what cannot be declined");
    input("\"inputRequests\":{}", NULL, NULL, "nothing that is asked for");
    input("\"inputRequests\":{\"a\":7}", NULL, NULL, "no request");

    supported("[\"2026-07-28\",\"2025-06-18\"]", 1, 1, "both");
    supported("[7,\"2025-03-26\"]", 0, 1, "an old one");
    supported("[\"2027-01-01\"]", 0, 0, "one that is not known");
    supported("\"2026-07-28\"", 0, 0, "no list");
}


int
main(void)
{
    ngx_http_agents_json_init();

    build();
    matching();
    errors();
    requests();
    initialize();
    list();
    content();
    traced();
    modern();

    return unit_done();
}
