
#include <string.h>
#include <strings.h>
#include "ngx_http_agents_stream.h"


#define NGX_HTTP_AGENTS_STREAM_MAX        (16 * 1024 * 1024)
#define NGX_HTTP_AGENTS_STREAM_EVENT_MAX  (4 * 1024 * 1024)
#define NGX_HTTP_AGENTS_STREAM_DEPTH      128


static int ngx_http_agents_stream_event(void *data,
    const ngx_http_agents_sse_event_t *event);
static int ngx_http_agents_stream_type(const char *type, const char *name);
static int ngx_http_agents_stream_frame(void *data,
    const ngx_http_agents_frame_t *frame);
static int ngx_http_agents_stream_read(ngx_http_agents_stream_t *stream,
    const char *type, const char *data, size_t len);
static int ngx_http_agents_stream_fault(ngx_http_agents_stream_t *stream,
    ngx_http_agents_model_fault_e fault, const char *text);


int
ngx_http_agents_stream_is(const char *type)
{
    return ngx_http_agents_stream_type(type, "text/event-stream")
           || ngx_http_agents_stream_type(type,
                                       "application/vnd.amazon.eventstream");
}


/* Whether a media type is this one, whatever its parameters are. */

static int
ngx_http_agents_stream_type(const char *type, const char *name)
{
    size_t  len;

    if (type == NULL) {
        return 0;
    }

    len = strcspn(type, "; \t");

    return len == strlen(name) && strncasecmp(type, name, len) == 0;
}


void
ngx_http_agents_stream_init(ngx_http_agents_stream_t *stream,
    const ngx_http_agents_protocol_t *protocol, const char *type,
    ngx_http_agents_delta_pt delta, void *data)
{
    memset(stream, 0, sizeof(ngx_http_agents_stream_t));

    stream->protocol = protocol;
    stream->draft.delta = delta;
    stream->draft.delta_data = data;

    ngx_http_agents_sse_init(&stream->sse, NGX_HTTP_AGENTS_STREAM_EVENT_MAX,
                             ngx_http_agents_stream_event, stream);

    ngx_http_agents_frames_init(&stream->frames,
                                NGX_HTTP_AGENTS_STREAM_EVENT_MAX,
                                ngx_http_agents_stream_frame, stream);

    stream->framed = !ngx_http_agents_stream_type(type, "text/event-stream");
}


void
ngx_http_agents_stream_free(ngx_http_agents_stream_t *stream)
{
    ngx_http_agents_sse_free(&stream->sse);
    ngx_http_agents_frames_free(&stream->frames);
    ngx_http_agents_draft_free(&stream->draft);
}


int
ngx_http_agents_stream_feed(ngx_http_agents_stream_t *stream,
    const char *data, size_t len)
{
    int  rc;

    if (stream->draft.ended) {
        return stream->draft.why.len != 0 ? -1 : 0;
    }

    stream->seen += len;

    if (stream->seen > NGX_HTTP_AGENTS_STREAM_MAX) {
        return ngx_http_agents_stream_fault(stream,
                                            NGX_HTTP_AGENTS_FAULT_FATAL,
                                            "the stream is over 16 MiB");
    }

    rc = stream->framed ? ngx_http_agents_frames_feed(&stream->frames, data,
                                                      len)
                        : ngx_http_agents_sse_feed(&stream->sse, data, len);

    /* bytes that were spoilt on the way may be whole the next time */

    if (rc == -1) {
        return ngx_http_agents_stream_fault(stream,
                                            stream->framed
                                            ? NGX_HTTP_AGENTS_FAULT_RETRY
                                            : NGX_HTTP_AGENTS_FAULT_FATAL,
                                            "an event of the stream is broken "
                                            "or over 4 MiB");
    }

    if (stream->draft.failed) {
        return ngx_http_agents_stream_fault(stream,
                                            NGX_HTTP_AGENTS_FAULT_RETRY,
                                            "the reply takes more memory than "
                                            "there is");
    }

    return stream->draft.why.len != 0 ? -1 : 0;
}


/* 1 ends the feeding: what follows a reply's end is not read. */

static int
ngx_http_agents_stream_event(void *data,
    const ngx_http_agents_sse_event_t *event)
{
    ngx_http_agents_stream_t *stream = data;

    if (strcmp(event->data, "[DONE]") == 0) {
        stream->draft.ended = 1;
        return 1;
    }

    return ngx_http_agents_stream_read(stream, event->event, event->data,
                                       event->data_len);
}


static int
ngx_http_agents_stream_frame(void *data, const ngx_http_agents_frame_t *frame)
{
    return ngx_http_agents_stream_read(data, frame->type, frame->payload,
                                       frame->len);
}


static int
ngx_http_agents_stream_read(ngx_http_agents_stream_t *stream,
    const char *type, const char *data, size_t len)
{
    json_t                        *root;
    ngx_http_agents_json_fault_t   fault;

    root = ngx_http_agents_json_parse_foreign(data, len,
                                              NGX_HTTP_AGENTS_STREAM_DEPTH,
                                              &fault);
    if (root == NULL) {
        (void) ngx_http_agents_stream_fault(stream,
                                            NGX_HTTP_AGENTS_FAULT_RETRY,
                                            "an event of the stream is no "
                                            "JSON");
        return 1;
    }

    stream->protocol->event(&stream->draft, type, root);

    json_decref(root);

    return stream->draft.ended || stream->draft.failed;
}


int
ngx_http_agents_stream_end(ngx_http_agents_stream_t *stream)
{
    if (stream->draft.why.len != 0) {
        return -1;
    }

    /* some servers leave the last word out: a reason to stop is as good */

    if (stream->draft.ended || stream->draft.stopped) {
        return 0;
    }

    return ngx_http_agents_stream_fault(stream, NGX_HTTP_AGENTS_FAULT_RETRY,
                                        "the stream broke off before its end");
}


static int
ngx_http_agents_stream_fault(ngx_http_agents_stream_t *stream,
    ngx_http_agents_model_fault_e fault, const char *text)
{
    ngx_http_agents_draft_fault(&stream->draft, fault, text, strlen(text));

    return -1;
}
