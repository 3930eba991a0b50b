
/*
 * W3C Trace Context: what counts as valid can stand in a header and in JSON,
 * and is of the size that it may be.
 */


#include "fuzz.h"
#include "ngx_http_agents_trace.h"


static void
check(const char *text, size_t len, size_t max)
{
    size_t  i;

    fuzz_check(len != 0 && len <= max, "it is not too long");

    for (i = 0; i < len; i++) {
        fuzz_check((text[i] >= 0x20 && text[i] <= 0x7e) || text[i] == '\t',
                   "it is printable");
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char  *text;

    /* a copy of so many bytes: what reads beyond them is caught */

    text = malloc((size != 0) ? size : 1);
    fuzz_check(text != NULL, "there is memory");

    if (size != 0) {
        memcpy(text, data, size);
    }

    if (ngx_http_agents_trace_is_parent(text, size)) {
        check(text, size, NGX_HTTP_AGENTS_TRACE_PARENT_MAX);
        fuzz_check(size >= 55 && text[2] == '-', "it has its parts");
    }

    if (ngx_http_agents_trace_is_state(text, size)) {
        check(text, size, NGX_HTTP_AGENTS_TRACE_STATE_MAX);
        fuzz_check(memchr(text, '=', size) != NULL, "it has a member");
    }

    free(text);

    return 0;
}
