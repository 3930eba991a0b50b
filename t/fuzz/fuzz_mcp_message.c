
/*
 * What an MCP server answers: as a message of its own, as the result of our
 * request, and as the schema of a tool that it lists.
 */


#include "fuzz.h"
#include "ngx_http_agents_mcp_content.h"
#include "ngx_http_agents_mcp_message.h"


#define FUZZ_ID  7


static void
read_message(const char *text, size_t len, int method, int lax)
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
               || json_is_array(reading.content),
               "a call has content");

    ngx_http_agents_mcp_message_free(&reading);
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
        read_message(buf.data, buf.len, method, 0);
    }

    ngx_http_agents_buf_free(&buf);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_message((const char *) data, size, NGX_HTTP_AGENTS_MCP_CALL, 1);

    answers("", data, size, "");
    answers("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":", data, size, "}");
    answers("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":["
            "{\"type\":\"text\",\"text\":\"a\"}],\"tools\":["
            "{\"name\":\"a\",\"inputSchema\":", data, size, "}]}}");

    return 0;
}
