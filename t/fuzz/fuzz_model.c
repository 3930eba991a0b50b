
/* What providers answer, in each protocol: replies, streams, errors. */


#include "fuzz.h"
#include "ngx_http_agents_stream.h"


static void
decode(const ngx_http_agents_protocol_t *protocol, const char *body,
    size_t len)
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

    rc = ngx_http_agents_draft_decode(protocol, &prompt, body, len, &reply,
                                      &why);
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


/* Fed at once or in small pieces, the outcome is the same. */

static int
stream(const ngx_http_agents_protocol_t *protocol, const char *type,
    const char *body, size_t len, size_t step)
{
    int                       rc;
    size_t                    i;
    ngx_http_agents_stream_t  s;

    ngx_http_agents_stream_init(&s, protocol, type, NULL, NULL);

    for (i = 0; i < len; i += step) {
        if (ngx_http_agents_stream_feed(&s, body + i,
                                        len - i < step ? len - i : step) != 0)
        {
            break;
        }
    }

    rc = ngx_http_agents_stream_end(&s);

    fuzz_check(rc == 0 || s.draft.why.len != 0,
               "a stream that is none has a reason");

    ngx_http_agents_stream_free(&s);

    return rc;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                              *body;
    size_t                             i, n, len;
    ngx_http_agents_buf_t              why;
    const ngx_http_agents_protocol_t  *protocol;

    static const char *const  types[] = {
        "text/event-stream", "application/vnd.amazon.eventstream"
    };

    static const int  statuses[] = { 302, 400, 401, 404, 413, 429, 500, 503 };

    body = fuzz_input(data, size, "body", &len);

    for (n = 0; /* void */ ; n++) {
        protocol = ngx_http_agents_model_protocol_at(n);
        if (protocol == NULL) {
            break;
        }

        decode(protocol, body, len);

        for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            fuzz_check(stream(protocol, types[i], body, len, len + 1)
                       == stream(protocol, types[i], body, len, 5),
                       "the size of the pieces does not matter");
        }

        for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
            ngx_http_agents_buf_init(&why);
            (void) protocol->fault(statuses[i], body, len, &why);
            ngx_http_agents_buf_free(&why);
        }
    }

    free(body);

    return 0;
}
