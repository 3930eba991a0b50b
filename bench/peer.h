
/*
 * What the runs talk to: a model that speaks OpenAI's chat completions
 * (/v1/chat/completions) and an MCP server with one tool (/mcp), both with
 * answers that cost next to nothing.
 */


#ifndef _BENCH_PEER_H_INCLUDED_
#define _BENCH_PEER_H_INCLUDED_


#include "net.h"
#include "samples.h"


typedef struct {
    int64_t           model_delay;  /* microseconds before a reply */
    int64_t           tools;        /* calls before the text, one a turn */

    int64_t           inferences;   /* requests that came */
    int64_t           calls;

    /*
     * Where one run is under way at a time: from a reply of the model to the
     * request of the tool, and from the tool's answer to the model again.
     */
    bench_samples_t   to_tool;
    bench_samples_t   to_model;
    bench_samples_t   iteration;    /* their sum */

    int64_t           replied;      /* when; 0: not yet, in this run */
    int64_t           called;
    int64_t           first;
    int64_t           ids;
    struct bench_peer_reply_s  *pending;
} bench_peer_t;


/* 0 or -1. */
int bench_peer_start(bench_peer_t *peer, bench_loop_t *loop, int port);


#endif /* _BENCH_PEER_H_INCLUDED_ */
