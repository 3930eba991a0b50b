
/*
 * What the runs talk to: a model and an MCP server with one tool (/mcp), both
 * with answers that cost next to nothing.  The model streams in the form of any
 * provider; a whole reply it has in that of chat completions alone.
 */


#ifndef _BENCH_PEER_H_INCLUDED_
#define _BENCH_PEER_H_INCLUDED_


#include "net.h"
#include "samples.h"
#include "stream.h"


typedef struct {
    int64_t           model_delay;  /* microseconds before a reply, or from
                                       one end of a stream to the other */
    int64_t           tool_delay;
    int64_t           tools;        /* turns with calls before the text */
    int64_t           calls_each;   /* in each of them */
    bench_stream_t   *streams;      /* NULL: replies are whole */

    int64_t           inferences;   /* requests that came */
    int64_t           calls;
    int64_t           held;         /* calls that wait for their answer */
    int64_t           held_most;

    /*
     * Where one run is under way at a time: from a reply of the model to the
     * request of the tool, and from the tool's answer to the model again.
     */
    bench_samples_t   to_tool;
    bench_samples_t   to_model;
    bench_samples_t   iteration;    /* their sum */
    bench_samples_t   turn;         /* from a reply to the next request */

    int64_t           asked;        /* for tools: when */
    int64_t           replied;      /* when; 0: not yet, in this run */
    int64_t           called;
    int64_t           ids;
    struct bench_peer_reply_s  *pending;
} bench_peer_t;


/* 0 or -1. */
int bench_peer_start(bench_peer_t *peer, bench_loop_t *loop, int port);


#endif /* _BENCH_PEER_H_INCLUDED_ */
