
/* Input schemas of tools, normalised. */


#include "fuzz.h"
#include "ngx_http_agents_mcp_schema.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                          *before, *after, *text, *again;
    size_t                         len;
    json_t                        *schema, *first, *second;
    ngx_http_agents_json_fault_t   fault;

    schema = ngx_http_agents_json_parse_foreign((const char *) data, size,
                                                NGX_HTTP_AGENTS_JSON_DEPTH,
                                                &fault);
    if (schema == NULL) {
        return 0;
    }

    before = ngx_http_agents_json_text(schema, NULL);
    first = ngx_http_agents_mcp_schema_normalize(schema);
    second = ngx_http_agents_mcp_schema_normalize(schema);
    after = ngx_http_agents_json_text(schema, NULL);

    text = ngx_http_agents_json_text(first, &len);
    again = ngx_http_agents_json_text(second, NULL);

    fuzz_check(strcmp(before, after) == 0, "the input is left alone");
    fuzz_check(strcmp(text, again) == 0, "the result is the same each time");
    fuzz_check(len < 2 * NGX_HTTP_AGENTS_MCP_SCHEMA_BYTES,
               "the result is bounded");
    fuzz_check(ngx_http_agents_json_object(first, "properties") != NULL
               && json_object_get(first, "anyOf") == NULL
               && json_object_get(first, "$ref") == NULL,
               "the result is an object schema");

    free(before);
    free(after);
    free(text);
    free(again);
    json_decref(first);
    json_decref(second);
    json_decref(schema);

    return 0;
}
