
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"
#include "stream.h"


#define BENCH_PIECE_MAX   2048
#define BENCH_EVENTS_MAX  4


typedef struct {
    const char  *type;
    const char  *data;
} bench_event_t;


typedef struct {
    const char     *path;
    const char     *content_type;
    size_t        (*write)(char *p, const bench_event_t *event);
    bench_event_t   begin[BENCH_EVENTS_MAX];
    bench_event_t   word;
    bench_event_t   end[BENCH_EVENTS_MAX];
} bench_form_t;


static void bench_stream_fill(bench_stream_t *stream,
    const bench_form_t *form, size_t words);
static void bench_stream_piece(bench_stream_t *stream, const char *before,
    const bench_form_t *form, const bench_event_t *events, size_t n,
    const char *after);
static size_t bench_stream_sse(char *p, const bench_event_t *event);
static size_t bench_stream_frame(char *p, const bench_event_t *event);
static char *bench_stream_frame_header(char *p, const char *name,
    const char *value);
static void bench_stream_number(char *p, uint32_t n);
static uint32_t bench_stream_crc32(const char *p, size_t len);


#define BENCH_CHAT(rest)                                                      \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\","            \
    "\"created\":0,\"model\":\"bench\",\"choices\":" rest "}"

static const bench_form_t  bench_forms[] = {

    { "/chat/completions", "text/event-stream", bench_stream_sse,
      { { NULL, BENCH_CHAT("[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                           "\"content\":\"\"},\"finish_reason\":null}]") } },
      { NULL, BENCH_CHAT("[{\"index\":0,\"delta\":{\"content\":\""
                         BENCH_STREAM_WORD "\"},\"finish_reason\":null}]") },
      { { NULL, BENCH_CHAT("[{\"index\":0,\"delta\":{},\"finish_reason\":"
                           "\"stop\"}]") },
        { NULL, BENCH_CHAT("[],\"usage\":{\"prompt_tokens\":10,"
                           "\"completion_tokens\":5,\"total_tokens\":15}") },
        { NULL, "[DONE]" } } },

    { "/messages", "text/event-stream", bench_stream_sse,
      { { "message_start",
          "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","
          "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench\","
          "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
          "\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}" },
        { "content_block_start",
          "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
          "{\"type\":\"text\",\"text\":\"\"}}" } },
      { "content_block_delta",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
        "{\"type\":\"text_delta\",\"text\":\"" BENCH_STREAM_WORD "\"}}" },
      { { "content_block_stop",
          "{\"type\":\"content_block_stop\",\"index\":0}" },
        { "message_delta",
          "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
          "\"end_turn\",\"stop_sequence\":null},\"usage\":"
          "{\"output_tokens\":5}}" },
        { "message_stop", "{\"type\":\"message_stop\"}" } } },

    { "/converse-stream", "application/vnd.amazon.eventstream",
      bench_stream_frame,
      { { "messageStart", "{\"role\":\"assistant\"}" } },
      { "contentBlockDelta",
        "{\"contentBlockIndex\":0,\"delta\":{\"text\":\""
        BENCH_STREAM_WORD "\"},\"p\":\"abcdefgh\"}" },
      { { "contentBlockStop", "{\"contentBlockIndex\":0}" },
        { "messageStop", "{\"stopReason\":\"end_turn\"}" },
        { "metadata",
          "{\"usage\":{\"inputTokens\":10,\"outputTokens\":5,"
          "\"totalTokens\":15},\"metrics\":{\"latencyMs\":1}}" } } }
};

#define BENCH_FORMS  (sizeof(bench_forms) / sizeof(bench_forms[0]))


bench_stream_t *
bench_streams(size_t words)
{
    size_t           i;
    bench_stream_t  *streams;

    streams = bench_alloc((BENCH_FORMS + 1) * sizeof(bench_stream_t));
    memset(streams, 0, (BENCH_FORMS + 1) * sizeof(bench_stream_t));

    for (i = 0; i < BENCH_FORMS; i++) {
        bench_stream_fill(&streams[i], &bench_forms[i], words);
    }

    return streams;
}


static void
bench_stream_fill(bench_stream_t *stream, const bench_form_t *form,
    size_t words)
{
    char    head[256];
    size_t  i;

    stream->path = form->path;
    stream->pieces = bench_alloc((words + 2) * sizeof(char *));
    stream->lens = bench_alloc((words + 2) * sizeof(size_t));

    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
             "Transfer-Encoding: chunked\r\n\r\n", form->content_type);

    bench_stream_piece(stream, head, form, form->begin, BENCH_EVENTS_MAX, "");

    for (i = 0; i < words; i++) {
        bench_stream_piece(stream, "", form, &form->word, 1, "");
    }

    bench_stream_piece(stream, "", form, form->end, BENCH_EVENTS_MAX,
                       "0\r\n\r\n");
}


/* Some events, as one chunk. */

static void
bench_stream_piece(bench_stream_t *stream, const char *before,
    const bench_form_t *form, const bench_event_t *events, size_t n,
    const char *after)
{
    char    body[BENCH_PIECE_MAX], *p;
    size_t  i, len, size;

    len = 0;

    for (i = 0; i < n && events[i].data != NULL; i++) {
        len += form->write(body + len, &events[i]);
    }

    size = strlen(before) + len + strlen(after) + 32;
    p = bench_alloc(size);
    i = (size_t) snprintf(p, size, "%s%zx\r\n", before, len);

    memcpy(p + i, body, len);
    i += len;
    i += (size_t) snprintf(p + i, size - i, "\r\n%s", after);

    stream->pieces[stream->n] = p;
    stream->lens[stream->n++] = i;
}


static size_t
bench_stream_sse(char *p, const bench_event_t *event)
{
    int  n;

    n = event->type ? snprintf(p, BENCH_PIECE_MAX, "event: %s\ndata: %s\n\n",
                               event->type, event->data)
                    : snprintf(p, BENCH_PIECE_MAX, "data: %s\n\n",
                               event->data);

    return (size_t) n;
}


/* A message of AWS's event stream: lengths, headers, payload, checksums. */

static size_t
bench_stream_frame(char *p, const bench_event_t *event)
{
    char    *end;
    size_t   headers, len;

    end = bench_stream_frame_header(p + 12, ":event-type", event->type);
    end = bench_stream_frame_header(end, ":content-type", "application/json");
    end = bench_stream_frame_header(end, ":message-type", "event");

    headers = (size_t) (end - p) - 12;
    len = strlen(event->data);

    memcpy(end, event->data, len);
    len += 12 + headers;

    bench_stream_number(p, (uint32_t) len + 4);
    bench_stream_number(p + 4, (uint32_t) headers);
    bench_stream_number(p + 8, bench_stream_crc32(p, 8));
    bench_stream_number(p + len, bench_stream_crc32(p, len));

    return len + 4;
}


static char *
bench_stream_frame_header(char *p, const char *name, const char *value)
{
    size_t  len;

    len = strlen(name);
    *p++ = (char) len;
    memcpy(p, name, len);
    p += len;

    len = strlen(value);
    *p++ = 7;
    *p++ = 0;
    *p++ = (char) len;
    memcpy(p, value, len);

    return p + len;
}


static void
bench_stream_number(char *p, uint32_t n)
{
    n = htonl(n);
    memcpy(p, &n, sizeof(uint32_t));
}


static uint32_t
bench_stream_crc32(const char *p, size_t len)
{
    int       bit;
    uint32_t  crc;

    crc = 0xffffffff;

    while (len-- != 0) {
        crc ^= (unsigned char) *p++;

        for (bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }

    return ~crc;
}
