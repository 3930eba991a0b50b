
/* An event stream, which says the same in whatever pieces it comes. */


#include "fuzz.h"
#include "ngx_http_agents_sse.h"


#define FUZZ_MAX_EVENT  1000


static int
collect(void *data, const ngx_http_agents_sse_event_t *event)
{
    ngx_http_agents_buf_t  *seen = data;

    ngx_http_agents_json_begin(seen);
    ngx_http_agents_json_member_cstring(seen, "event", event->event);
    ngx_http_agents_json_member_string(seen, "data", event->data,
                                       event->data_len);
    ngx_http_agents_json_member_cstring(seen, "id", event->id);
    ngx_http_agents_json_end(seen);

    return 0;
}


/* Feeds the stream in pieces of "step" bytes, then another. */

static void
feed(const char *stream, size_t len, size_t step, ngx_http_agents_buf_t *seen)
{
    int                     rc;
    char                   *piece;
    size_t                  n, at;
    ngx_http_agents_sse_t   sse;

    ngx_http_agents_buf_init(seen);
    ngx_http_agents_sse_init(&sse, FUZZ_MAX_EVENT, collect, seen);

    rc = 0;

    for (at = 0; at < len && rc == 0; at += n) {
        n = (len - at < step) ? len - at : step;

        piece = malloc(n);
        fuzz_check(piece != NULL, "there is memory");
        memcpy(piece, stream + at, n);

        rc = ngx_http_agents_sse_feed(&sse, piece, n);
        free(piece);
    }

    ngx_http_agents_buf_addf(seen, "%d %lld ", rc, (long long) sse.retry);
    ngx_http_agents_buf_adds(seen, ngx_http_agents_sse_last_id(&sse));

    ngx_http_agents_sse_restart(&sse);
    ngx_http_agents_buf_adds(seen, ngx_http_agents_sse_last_id(&sse));
    rc = ngx_http_agents_sse_feed(&sse, "data: x\n\n", 9);
    fuzz_check(rc == 0, "after another start it reads on");
    ngx_http_agents_sse_free(&sse);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                   *stream;
    size_t                  len, step;
    ngx_http_agents_buf_t   whole, pieces;

    stream = fuzz_input(data, size, "stream", &len);
    step = (len != 0) ? 1 + (unsigned char) stream[len - 1] % 16 : 1;

    feed(stream, len, len, &whole);
    feed(stream, len, step, &pieces);

    fuzz_check(whole.len == pieces.len
               && memcmp(whole.data, pieces.data, whole.len) == 0,
               "pieces say what the whole says");

    ngx_http_agents_buf_free(&whole);
    ngx_http_agents_buf_free(&pieces);
    free(stream);

    return 0;
}
