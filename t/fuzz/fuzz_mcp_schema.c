
/* Input schemas of tools, normalised. */


#include "fuzz.h"
#include "ngx_http_agents_mcp_schema.h"
#include "unit_mcp_schema.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                          *before, *after, *text, *again;
    json_t                        *schema, *first, *second;
    unit_mcp_schema_t              seen;
    ngx_http_agents_json_fault_t   fault;

    schema = ngx_http_agents_json_parse_cut((const char *) data, size, &fault);

    if (schema == NULL) {
        return 0;
    }

    before = ngx_http_agents_json_text(schema, NULL);
    first = ngx_http_agents_mcp_schema_normalize(schema);
    second = ngx_http_agents_mcp_schema_normalize(schema);
    after = ngx_http_agents_json_text(schema, NULL);

    text = ngx_http_agents_json_text(first, NULL);
    again = ngx_http_agents_json_text(second, NULL);

    fuzz_check(strcmp(before, after) == 0, "the input is left alone");
    fuzz_check(strcmp(text, again) == 0, "the result is the same each time");
    fuzz_check(unit_mcp_schema_taken(first, &seen), "model APIs take it");

    free(before);
    free(after);
    free(text);
    free(again);
    json_decref(first);
    json_decref(second);
    json_decref(schema);

    return 0;
}
