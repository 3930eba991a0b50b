
/*
 * Credentials as AWS hands them out, and the words that come before them: what
 * is taken could stand in a header as it is.
 */


#include "fuzz.h"
#include "ngx_http_agents_aws_keys.h"


static void
check(const char *text)
{
    size_t  i;

    fuzz_check(text != NULL && *text != '\0', "it is not empty");

    for (i = 0; text[i] != '\0'; i++) {
        fuzz_check(text[i] > ' ' && text[i] < 0x7f, "it is one word");
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                        *body;
    size_t                       len;
    ngx_http_agents_buf_t        text;
    ngx_http_agents_aws_keys_t   keys;

    body = fuzz_input(data, size, "body", &len);

    ngx_http_agents_buf_init(&text);

    if (ngx_http_agents_aws_keys_read(&keys, body, len, &text) == 0) {
        check(keys.access_key);
        check(keys.secret_key);
        fuzz_check(keys.expires >= 0, "it ends at some time");

        if (keys.session_token != NULL) {
            check(keys.session_token);
        }

    } else {
        fuzz_check(text.len != 0, "a refusal has a reason");
        fuzz_check(keys.access_key == NULL && keys.secret_key == NULL
                   && keys.session_token == NULL, "and leaves nothing");
    }

    ngx_http_agents_aws_keys_clear(&keys);
    ngx_http_agents_buf_free(&text);

    if (ngx_http_agents_aws_keys_word(&text, body, len) == 0) {
        check(text.data);
    }

    ngx_http_agents_buf_free(&text);
    free(body);

    return 0;
}
