
/* Reading JSON, and reading what was written of it. */


#include "fuzz.h"


static void
again(json_t *value, unsigned strict)
{
    char                          *text;
    size_t                         len;
    json_t                        *copy;
    ngx_http_agents_buf_t          sorted, other;
    ngx_http_agents_json_fault_t   fault;

    text = ngx_http_agents_json_text(value, &len);
    fuzz_check(text != NULL, "a value has a text");

    copy = strict ? ngx_http_agents_json_parse(text, len, &fault)
                  : ngx_http_agents_json_load(text, len);
    fuzz_check(copy != NULL, "what is written can be read");
    fuzz_check(json_equal(value, copy), "what is written reads back equal");

    ngx_http_agents_buf_init(&sorted);
    ngx_http_agents_buf_init(&other);
    ngx_http_agents_json_put_sorted(&sorted, value);
    ngx_http_agents_json_put_sorted(&other, copy);

    fuzz_check(sorted.len == other.len
               && memcmp(sorted.data, other.data, sorted.len) == 0,
               "equal values have the same sorted text");

    ngx_http_agents_buf_free(&sorted);
    ngx_http_agents_buf_free(&other);
    json_decref(copy);
    free(text);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t                        *strict, *foreign;
    ngx_http_agents_json_fault_t   fault;

    strict = ngx_http_agents_json_parse((const char *) data, size, &fault);
    foreign = ngx_http_agents_json_parse_foreign((const char *) data, size,
                                                 NGX_HTTP_AGENTS_JSON_DEPTH,
                                                 &fault);

    if (strict != NULL) {
        fuzz_check(json_equal(strict, foreign),
                   "what is strict reads the same as foreign");
        again(strict, 1);
    }

    if (foreign != NULL) {
        again(foreign, 0);
    }

    json_decref(strict);
    json_decref(foreign);

    return 0;
}
