
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "peer.h"


#define BENCH_REPLY_MAX  8192


/* A reply that waits for its time, or the rest of a stream. */
typedef struct bench_peer_reply_s  bench_peer_reply_t;

struct bench_peer_reply_s {
    bench_timer_t          timer;
    bench_peer_t          *peer;
    bench_conn_t          *conn;        /* NULL: it has ended */
    bench_peer_reply_t    *next;
    bench_peer_reply_t   **prev;
    const bench_stream_t  *stream;      /* or text */
    size_t                 sent;        /* pieces */
    int64_t                begun;
    int                    tool;
    char                   text[];
};


static void bench_peer_handler(bench_conn_t *conn,
    const bench_message_t *message);
static void bench_peer_gone(bench_peer_t *peer, bench_conn_t *conn);
static void bench_peer_model(bench_peer_t *peer, bench_conn_t *conn,
    const bench_message_t *message);
static void bench_peer_calls(bench_peer_t *peer, char *text, size_t size);
static const bench_stream_t *bench_peer_stream(bench_peer_t *peer,
    const char *head);
static bench_peer_reply_t *bench_peer_later(bench_peer_t *peer,
    bench_conn_t *conn, const char *text, int64_t delay);
static void bench_peer_drip(bench_peer_t *peer, bench_conn_t *conn,
    const bench_stream_t *stream);
static bench_peer_reply_t *bench_peer_reply(bench_peer_t *peer,
    bench_conn_t *conn, size_t size);
static void bench_peer_later_handler(bench_timer_t *timer);
static void bench_peer_drip_handler(bench_timer_t *timer);
static void bench_peer_reply_free(bench_peer_reply_t *reply);
static void bench_peer_mcp(bench_peer_t *peer, bench_conn_t *conn,
    const bench_message_t *message);
static void bench_peer_json(bench_conn_t *conn, const char *text);


static const char  bench_peer_tools[] =
    "{\"tools\": [{\"name\": \"add\", \"description\": \"Adds two numbers.\","
    " \"inputSchema\": {\"type\": \"object\", \"properties\":"
    " {\"a\": {\"type\": \"number\"}, \"b\": {\"type\": \"number\"}},"
    " \"required\": [\"a\", \"b\"]}, \"annotations\":"
    " {\"readOnlyHint\": true}}]}";

static const char  bench_peer_initialize[] =
    "{\"protocolVersion\": \"2025-06-18\", \"capabilities\": {\"tools\": {}},"
    " \"serverInfo\": {\"name\": \"bench\", \"version\": \"1\"}}";

static const char  bench_peer_result[] =
    "{\"content\": [{\"type\": \"text\", \"text\": \"3\"}],"
    " \"isError\": false}";


int
bench_peer_start(bench_peer_t *peer, bench_loop_t *loop, int port)
{
    return bench_listen(loop, port, bench_peer_handler, peer);
}


static void
bench_peer_handler(bench_conn_t *conn, const bench_message_t *message)
{
    bench_peer_t *peer = conn->data;

    if (message == NULL) {
        bench_peer_gone(peer, conn);

    } else if (strncmp(message->head, "POST /mcp", 9) == 0) {
        bench_peer_mcp(peer, conn, message);

    } else if (strncmp(message->head, "POST /", 6) == 0) {
        bench_peer_model(peer, conn, message);

    } else {
        bench_send(conn, "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n", 38);
    }
}


static void
bench_peer_gone(bench_peer_t *peer, bench_conn_t *conn)
{
    bench_peer_reply_t  *reply;

    for (reply = peer->pending; reply != NULL; reply = reply->next) {
        if (reply->conn == conn) {
            reply->conn = NULL;
        }
    }
}


static void
bench_peer_model(bench_peer_t *peer, bench_conn_t *conn,
    const bench_message_t *message)
{
    char                   text[BENCH_REPLY_MAX], said[BENCH_REPLY_MAX - 512];
    int                    asks;
    int64_t                n, now;
    const char            *p;
    const bench_stream_t  *stream;

    now = bench_now();
    peer->inferences++;

    n = 0;

    for (p = message->body; (p = strstr(p, "\"role\":\"tool\"")); p++) {
        n++;
    }

    if (n != 0) {
        bench_samples_add(&peer->turn, now - peer->asked);
    }

    if (n != 0 && peer->called != 0) {
        bench_samples_add(&peer->to_model, now - peer->called);
        bench_samples_add(&peer->iteration, now - peer->replied);
    }

    peer->called = 0;

    asks = (n < peer->tools * peer->calls_each);
    stream = asks ? NULL : bench_peer_stream(peer, message->head);

    if (stream != NULL) {
        bench_peer_drip(peer, conn, stream);
        return;
    }

    if (asks) {
        bench_peer_calls(peer, said, sizeof(said));

    } else {
        snprintf(said, sizeof(said), "\"One and two is three.\"");
    }

    snprintf(text, sizeof(text),
             "{\"id\": \"chatcmpl-1\", \"object\": \"chat.completion\","
             " \"created\": 0, \"model\": \"bench\", \"choices\":"
             " [{\"index\": 0, \"message\": {\"role\": \"assistant\","
             " \"content\": %s}, \"finish_reason\": \"%s\"}], \"usage\":"
             " {\"prompt_tokens\": 10, \"completion_tokens\": 5,"
             " \"total_tokens\": 15}}",
             said, asks ? "tool_calls" : "stop");

    if (peer->model_delay != 0) {
        bench_peer_later(peer, conn, text, peer->model_delay);
        return;
    }

    bench_peer_json(conn, text);
    peer->replied = bench_now();
    peer->asked = peer->replied;
}
/* What a message says that asks for tools: all of a turn's calls. */

static void
bench_peer_calls(bench_peer_t *peer, char *text, size_t size)
{
    int      n;
    int64_t  i;

    n = snprintf(text, size, "null, \"tool_calls\": [");

    for (i = 0; i < peer->calls_each && (size_t) n < size; i++) {
        n += snprintf(text + n, size - (size_t) n,
                      "%s{\"id\": \"call_%" PRId64 "\", \"type\":"
                      " \"function\", \"function\": {\"name\":"
                      " \"bench-add\", \"arguments\": \"{\\\"a\\\": 1,"
                      " \\\"b\\\": 2}\"}}", i ? ", " : "", ++peer->ids);
    }

    if ((size_t) n + 1 >= size) {
        fprintf(stderr, "load: too many calls for a reply\n");
        exit(1);
    }

    memcpy(text + n, "]", 2);
}


/* In the form of the path that was asked; NULL if replies are whole. */

static const bench_stream_t *
bench_peer_stream(bench_peer_t *peer, const char *head)
{
    char              path[256];
    bench_stream_t   *stream;

    if (peer->streams == NULL || sscanf(head, "POST %255s", path) != 1) {
        return NULL;
    }

    for (stream = peer->streams; stream->path != NULL; stream++) {
        if (strstr(path, stream->path)) {
            return stream;
        }
    }

    return NULL;
}


static bench_peer_reply_t *
bench_peer_later(bench_peer_t *peer, bench_conn_t *conn, const char *text,
    int64_t delay)
{
    size_t               len;
    bench_peer_reply_t  *reply;

    len = strlen(text) + 1;
    reply = bench_peer_reply(peer, conn, len);

    memcpy(reply->text, text, len);

    reply->timer.handler = bench_peer_later_handler;
    bench_timer_add(conn->loop, &reply->timer, delay);

    return reply;
}


static void
bench_peer_drip(bench_peer_t *peer, bench_conn_t *conn,
    const bench_stream_t *stream)
{
    bench_peer_reply_t  *reply;

    reply = bench_peer_reply(peer, conn, 0);

    reply->stream = stream;
    reply->begun = bench_now();
    reply->timer.handler = bench_peer_drip_handler;

    bench_peer_drip_handler(&reply->timer);
}


static bench_peer_reply_t *
bench_peer_reply(bench_peer_t *peer, bench_conn_t *conn, size_t size)
{
    bench_peer_reply_t  *reply;

    reply = bench_alloc(sizeof(bench_peer_reply_t) + size);
    memset(reply, 0, sizeof(bench_peer_reply_t));

    reply->timer.data = reply;
    reply->peer = peer;
    reply->conn = conn;
    reply->next = peer->pending;
    reply->prev = &peer->pending;

    if (reply->next != NULL) {
        reply->next->prev = &reply->next;
    }

    peer->pending = reply;

    return reply;
}


static void
bench_peer_later_handler(bench_timer_t *timer)
{
    bench_peer_reply_t *reply = timer->data;

    if (reply->conn != NULL) {
        bench_peer_json(reply->conn, reply->text);

        if (!reply->tool) {
            reply->peer->replied = bench_now();
            reply->peer->asked = reply->peer->replied;
        }
    }

    bench_peer_reply_free(reply);
}


/* The first piece comes at once, the last one when the time is over. */

static void
bench_peer_drip_handler(bench_timer_t *timer)
{
    bench_peer_reply_t *reply = timer->data;

    int64_t                at;
    const bench_stream_t  *stream;

    stream = reply->stream;

    if (reply->conn == NULL) {
        bench_peer_reply_free(reply);
        return;
    }

    bench_send(reply->conn, stream->pieces[reply->sent],
               stream->lens[reply->sent]);

    if (++reply->sent == stream->n) {
        bench_peer_reply_free(reply);
        return;
    }

    at = reply->begun + reply->peer->model_delay * (int64_t) reply->sent
                        / (int64_t) (stream->n - 1);

    bench_timer_add(reply->conn->loop, timer, at - bench_now());
}


static void
bench_peer_reply_free(bench_peer_reply_t *reply)
{
    reply->peer->held -= reply->tool;

    *reply->prev = reply->next;

    if (reply->next != NULL) {
        reply->next->prev = reply->prev;
    }

    free(reply);
}


static void
bench_peer_mcp(bench_peer_t *peer, bench_conn_t *conn,
    const bench_message_t *message)
{
    char         text[1024];
    int64_t      now;
    const char  *id, *result;

    now = bench_now();
    id = strstr(message->body, "\"id\":");

    if (id == NULL) {
        bench_send(conn, "HTTP/1.1 202 Accepted\r\n"
                         "Content-Length: 0\r\n\r\n", 44);
        return;
    }

    if (strstr(message->body, "\"tools/call\"")) {
        result = bench_peer_result;
        peer->calls++;

        if (peer->replied != 0) {
            bench_samples_add(&peer->to_tool, now - peer->replied);
        }

    } else if (strstr(message->body, "\"tools/list\"")) {
        result = bench_peer_tools;

    } else {
        result = bench_peer_initialize;
    }

    snprintf(text, sizeof(text),
             "{\"jsonrpc\": \"2.0\", \"id\": %ld, \"result\": %s}",
             strtol(id + 5, NULL, 10), result);

    if (result == bench_peer_result && peer->tool_delay != 0) {
        bench_peer_later(peer, conn, text, peer->tool_delay)->tool = 1;

        if (++peer->held > peer->held_most) {
            peer->held_most = peer->held;
        }

        return;
    }

    bench_peer_json(conn, text);

    if (result == bench_peer_result) {

        /* what the tool itself took is not the module's */

        peer->called = bench_now();
        peer->replied += peer->called - now;
    }
}


static void
bench_peer_json(bench_conn_t *conn, const char *text)
{
    int   n;
    char  answer[BENCH_REPLY_MAX];

    n = snprintf(answer, sizeof(answer),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n%s", strlen(text), text);

    bench_send(conn, answer, (size_t) n);
}
