
/*
 * What an MCP server answers: as a message of its own, as the result of our
 * request, and as the schema of a tool that it lists, of both eras; and what
 * of a call's arguments such a schema makes a header.
 */


#include "fuzz.h"
#include "ngx_http_agents_mcp_content.h"
#include "ngx_http_agents_mcp_message.h"
#include "ngx_http_agents_mcp_param.h"


#define FUZZ_ID  7


/* Parameters that a server has added to are JSON still. */

static void
retry(const ngx_http_agents_mcp_reading_t *reading)
{
    json_t                        *params;
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_json_fault_t   fault;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_mcp_message_retry_params(&buf, "{\"name\":\"a\"}",
                                             reading->responses,
                                             reading->state);

    params = ngx_http_agents_json_parse_cut(buf.data, buf.len, &fault);
    fuzz_check(params != NULL, "the parameters are JSON");

    json_decref(params);
    ngx_http_agents_buf_free(&buf);
}


static void
read_message(const char *text, size_t len, int method, int lax, int modern)
{
    ngx_http_agents_mcp_reading_t  reading;

    memset(&reading, 0, sizeof(reading));

    reading.text = malloc((len != 0) ? len : 1);
    fuzz_check(reading.text != NULL, "there is memory");
    memcpy(reading.text, text, len);

    reading.len = len;
    reading.id = FUZZ_ID;
    reading.method = method;
    reading.lax = lax;
    reading.modern = modern;
    memcpy(reading.alias, "mcp", sizeof("mcp"));

    ngx_http_agents_mcp_message_read(&reading);

    fuzz_check(reading.found != NGX_HTTP_AGENTS_MCP_REQUEST
               || reading.reply != NULL,
               "a request has a reply");
    fuzz_check(reading.found != NGX_HTTP_AGENTS_MCP_INVALID
               || reading.message != NULL,
               "what is wrong is said");
    fuzz_check(reading.found != NGX_HTTP_AGENTS_MCP_RESULT
               || method != NGX_HTTP_AGENTS_MCP_LIST
               || json_is_array(reading.tools),
               "a list is one");
    fuzz_check(reading.found != NGX_HTTP_AGENTS_MCP_RESULT
               || method != NGX_HTTP_AGENTS_MCP_CALL
               || json_is_array(reading.content) != reading.again,
               "a call has content, or is to be made again");

    if (reading.again) {
        retry(&reading);
    }

    ngx_http_agents_mcp_message_free(&reading);
}


/* The value as a schema and as the arguments: names and values of headers are
 * printable, whatever it is. */

static void
params(const char *text, size_t len)
{
    size_t                         i, n, zeros;
    json_t                        *value, *found;
    const char                    *why;
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_json_fault_t   fault;

    value = ngx_http_agents_json_parse_cut(text, len, &fault);
    found = ngx_http_agents_mcp_param_find(value, &why);

    fuzz_check((found == NULL) == (why != NULL), "what is wrong is said");

    ngx_http_agents_buf_init(&buf);
    n = ngx_http_agents_mcp_param_headers(&buf, found, value);

    for (i = 0, zeros = 0; i < buf.len; i++) {
        zeros += (buf.data[i] == '\0');
        fuzz_check(buf.data[i] == '\0'
                   || (buf.data[i] >= 0x20 && buf.data[i] <= 0x7e),
                   "headers are printable");
    }

    fuzz_check(zeros == 2 * n, "each has a name and a value");

    ngx_http_agents_buf_free(&buf);
    json_decref(found);
    json_decref(value);
}


/* The bytes between two texts, as an answer to each method. */

static void
answers(const char *before, const uint8_t *data, size_t size,
    const char *after)
{
    int                     method;
    ngx_http_agents_buf_t   buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_adds(&buf, before);
    ngx_http_agents_buf_add(&buf, (const char *) data, size);
    ngx_http_agents_buf_adds(&buf, after);

    for (method = NGX_HTTP_AGENTS_MCP_INITIALIZE;
         method <= NGX_HTTP_AGENTS_MCP_CALL;
         method++)
    {
        read_message(buf.data, buf.len, method, 0, 0);
        read_message(buf.data, buf.len, method, 0, 1);
    }

    ngx_http_agents_buf_free(&buf);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_message((const char *) data, size, NGX_HTTP_AGENTS_MCP_CALL, 1, 0);
    params((const char *) data, size);

    answers("", data, size, "");
    answers("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":", data, size, "}");
    answers("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"resultType\":"
            "\"input_required\",\"requestState\":\"x\",\"inputRequests\":",
            data, size, "}}");
    answers("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":["
            "{\"type\":\"text\",\"text\":\"a\"}],\"tools\":["
            "{\"name\":\"a\",\"inputSchema\":", data, size, "}]}}");

    return 0;
}
