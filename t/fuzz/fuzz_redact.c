
/*
 * What a provider says, which may have its key in it: up to the first line
 * feed the bytes are the key, and what follows is the text.
 */


#include "fuzz.h"
#include "ngx_http_agents_redact.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                   *secret;
    size_t                  len;
    const uint8_t          *end;
    ngx_http_agents_buf_t   text;

    end = memchr(data, '\n', size);
    if (end == NULL) {
        return 0;
    }

    len = end - data;

    secret = malloc((len != 0) ? len : 1);
    fuzz_check(secret != NULL, "there is memory");
    memcpy(secret, data, len);

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_buf_add(&text, (const char *) end + 1, size - len - 1);

    ngx_http_agents_redact(&text, secret, len);

    /* with a bracket it may go on in what takes its place */

    fuzz_check(text.failed || len == 0 || text.len == 0
               || memchr(secret, '[', len) != NULL
               || memchr(secret, ']', len) != NULL
               || len <= sizeof("[api key]") - 1
               || memmem(text.data, text.len, secret, len) == NULL,
               "the key is not in it");

    ngx_http_agents_buf_free(&text);
    free(secret);

    return 0;
}
