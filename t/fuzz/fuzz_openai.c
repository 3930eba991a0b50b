
/* What a provider answers: replies, and errors of any status. */


#include "fuzz.h"
#include "ngx_http_agents_openai.h"


static void
decode(const char *body, size_t len)
{
    int                        rc;
    json_t                    *block;
    size_t                     i;
    ngx_http_agents_buf_t      why;
    ngx_http_agents_reply_t    reply;
    ngx_http_agents_prompt_t   prompt;

    memset(&prompt, 0, sizeof(prompt));
    prompt.provider = "p";
    prompt.model = "m";
    prompt.messages = json_array();
    prompt.tools = json_pack("[{s:s, s:{}}, {s:s, s:{}}]",
                             "name", "a", "input_schema",
                             "name", "mcp.add", "input_schema");
    fuzz_check(prompt.tools != NULL, "there is memory");

    ngx_http_agents_buf_init(&why);

    rc = ngx_http_agents_openai.decode(&prompt, body, len, &reply, &why);
    fuzz_check(rc == 0 || why.len != 0, "a reply that is none has a reason");

    if (rc == 0) {
        json_array_foreach(reply.blocks, i, block) {
            fuzz_check(ngx_http_agents_json_string(block, "type", NULL) != NULL,
                       "a block has a type");
        }

        fuzz_check(reply.prompt_tokens >= 0 && reply.completion_tokens >= 0
                   && reply.cache_read_tokens >= 0
                   && reply.cache_write_tokens >= 0,
                   "counts are counts");
    }

    ngx_http_agents_reply_clear(&reply);
    ngx_http_agents_buf_free(&why);
    json_decref(prompt.messages);
    json_decref(prompt.tools);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                   *body;
    size_t                  i, len;
    ngx_http_agents_buf_t   why;

    static const int  statuses[] = { 302, 400, 401, 404, 413, 429, 500, 503 };

    body = fuzz_input(data, size, "body", &len);

    decode(body, len);

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        ngx_http_agents_buf_init(&why);
        (void) ngx_http_agents_openai.fault(statuses[i], body, len, &why);
        ngx_http_agents_buf_free(&why);
    }

    free(body);

    return 0;
}
