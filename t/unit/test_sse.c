
#include <stdlib.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_sse.h"
#include "unit.h"
#include "unit_data.h"


/* Events as one JSON text, to be compared at once. */

static int
collect(void *data, const ngx_http_agents_sse_event_t *event)
{
    ngx_http_agents_buf_t  *buf = data;

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "event", event->event);
    ngx_http_agents_json_member_string(buf, "data", event->data,
                                       event->data_len);
    ngx_http_agents_json_member_cstring(buf, "id", event->id);
    ngx_http_agents_json_end(buf);
    ngx_http_agents_buf_addc(buf, '\n');

    return 0;
}


/* Feeds a stream in pieces: the first, then ones of "step" bytes. */

static int
feed(ngx_http_agents_sse_t *sse, const char *data, size_t len, size_t first,
    size_t step)
{
    int     rc;
    char   *piece;
    size_t  n;

    for (n = first; len != 0 || n != 0; n = (step < len) ? step : len) {

        /* a copy of its own, so that a reader that looks beyond is caught */

        piece = malloc(n + 1);
        memcpy(piece, data, n);
        piece = realloc(piece, (n != 0) ? n : 1);

        rc = ngx_http_agents_sse_feed(sse, piece, n);
        free(piece);

        if (rc != 0) {
            return rc;
        }

        data += n;
        len -= n;
    }

    return 0;
}


static int
same(const char *stream, size_t len, size_t first, size_t step,
    const char *expected, const char *last_id, int64_t retry)
{
    int                     ok;
    ngx_http_agents_buf_t   got;
    ngx_http_agents_sse_t   sse;

    ngx_http_agents_buf_init(&got);
    ngx_http_agents_sse_init(&sse, 10000, collect, &got);

    ok = feed(&sse, stream, len, first, step) == 0
         && strcmp((got.data != NULL) ? got.data : "", expected) == 0
         && sse.retry == retry
         && (last_id == NULL
             || strcmp(ngx_http_agents_sse_last_id(&sse), last_id) == 0);

    if (!ok) {
        printf("# pieces of %zu, %zu: id \"%s\", retry %ld\n%s", first, step,
               ngx_http_agents_sse_last_id(&sse), (long) sse.retry,
               (got.data != NULL) ? got.data : "");
    }

    ngx_http_agents_sse_free(&sse);
    ngx_http_agents_buf_free(&got);

    return ok;
}


static void
test_stream(const char *path, const char *name)
{
    int                            ok;
    char                          *data;
    size_t                         i, len;
    json_t                        *test, *events, *event;
    int64_t                        retry;
    const char                    *stream, *last_id;
    ngx_http_agents_buf_t          expected;
    ngx_http_agents_json_fault_t   fault;

    data = unit_read(path, &len);
    test = ngx_http_agents_json_parse(data, len, &fault);
    free(data);

    ngx_http_agents_buf_init(&expected);
    ngx_http_agents_buf_adds(&expected, "");

    events = ngx_http_agents_json_array(test, "events");

    json_array_foreach(events, i, event) {
        ngx_http_agents_json_put(&expected, event);
        ngx_http_agents_buf_addc(&expected, '\n');
    }

    stream = ngx_http_agents_json_string(test, "stream", &len);
    last_id = ngx_http_agents_json_string(test, "last_id", NULL);
    retry = ngx_http_agents_json_integer(test, "retry", -1);

    unit(same(stream, len, len, 1, expected.data, last_id, retry),
         "%s at once", name);
    unit(same(stream, len, 0, 1, expected.data, last_id, retry),
         "%s byte by byte", name);

    ok = 1;

    for (i = 1; i < len; i++) {
        ok &= same(stream, len, i, len, expected.data, last_id, retry);
    }

    unit(ok, "%s in two pieces", name);

    ngx_http_agents_buf_free(&expected);
    json_decref(test);
}


static void
test_nul(void)
{
    static const char  stream[] = "id: 1\ndata: a\0b\n\nid: 2\0\ndata: c\n\n";
    static const char  expected[] =
        "{\"event\":\"\",\"data\":\"a\\u0000b\",\"id\":\"1\"}\n"
        "{\"event\":\"\",\"data\":\"c\",\"id\":\"1\"}\n";

    unit(same(stream, sizeof(stream) - 1, 0, 1, expected, "1", -1),
         "a NUL in data stays, an id with one is ignored");
}


static int
stop(void *data, const ngx_http_agents_sse_event_t *event)
{
    int  *count = data;

    (*count)++;

    return (event->data[0] == 'b') ? 7 : 0;
}


static void
test_limits(void)
{
    int                     i, rc, count;
    char                    text[32];
    ngx_http_agents_sse_t   sse;

    static const char  three[] = "data: a\n\ndata: b\n\ndata: c\n\n";

    count = 0;
    ngx_http_agents_sse_init(&sse, 100, stop, &count);
    rc = ngx_http_agents_sse_feed(&sse, three, sizeof(three) - 1);
    unit(rc == 7 && count == 2, "the callback ends the feeding");
    ngx_http_agents_sse_free(&sse);

    count = 0;
    ngx_http_agents_sse_init(&sse, 20, stop, &count);
    rc = 0;

    for (i = 0; i < 1000 && rc == 0; i++) {
        rc = ngx_http_agents_sse_feed(&sse, ": comment\ndata: x\n\n", 19);
    }

    unit(rc == 0 && count == 1000, "the bound is of one event");

    rc = ngx_http_agents_sse_feed(&sse, "data: 12345678901234", 20);
    unit(rc == 0, "an event may be as large as the bound");
    rc = ngx_http_agents_sse_feed(&sse, "5", 1);
    unit(rc == -1, "a line that is larger is refused");
    ngx_http_agents_sse_free(&sse);

    ngx_http_agents_sse_init(&sse, 20, stop, &count);
    rc = ngx_http_agents_sse_feed(&sse, "data: 1\ndata: 2\ndata: 3\n", 24);
    unit(rc == -1, "as are lines that are larger together");
    ngx_http_agents_sse_free(&sse);

    ngx_http_agents_sse_init(&sse, 20, stop, &count);
    rc = 0;

    for (i = 0; i < 1000 && rc == 0; i++) {
        rc = ngx_http_agents_sse_feed(&sse, ": a comment\n", 12);
    }

    unit(rc == 0, "comments may go on forever");
    ngx_http_agents_sse_free(&sse);

    ngx_http_agents_sse_init(&sse, 100, stop, &count);
    (void) snprintf(text, sizeof(text), "retry: %s\n", "99999999999999999999");
    rc = ngx_http_agents_sse_feed(&sse, text, strlen(text));
    unit(rc == 0 && sse.retry > 1000000000000000000,
         "a retry beyond 64 bits is just long");
    ngx_http_agents_sse_free(&sse);
}


int
main(void)
{
    unit(unit_each("sse", ".json", test_stream) > 0, "streams");

    test_nul();
    test_limits();

    return unit_done();
}
