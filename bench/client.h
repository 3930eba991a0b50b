
/*
 * Clients of the API: runs that are posted and polled to their end, or GETs
 * of one path at a steady pace.
 */


#ifndef _BENCH_CLIENT_H_INCLUDED_
#define _BENCH_CLIENT_H_INCLUDED_


#include "net.h"
#include "samples.h"


typedef struct {
    int               port;
    const char       *token;
    const char       *body;         /* of a POST; %OP% is put in */
    unsigned          set;          /* of the conversations' ids */
    int64_t           runs;         /* at most so many */
    int64_t           in_flight;
    int64_t           connections;
    int64_t           duration;     /* no run begins later; microseconds */
    int64_t           expected;     /* how long a run takes, at first */
    int64_t           pause;        /* between the runs of a place */

    /* results */
    int64_t           accepted;
    int64_t           completed;    /* all of them */
    int64_t           in_time;      /* within "duration" */
    int64_t           failed;
    int64_t           polls;
    int64_t           peak;         /* runs in flight at a time */
    int64_t           begun;
    int64_t           last_accepted;
    int64_t           last_completed;
    bench_samples_t   post;
    bench_samples_t   get;
    bench_samples_t   run;          /* from the POST to the poll that saw it */
    char              fault[512];   /* the first answer that was not right */
} bench_runs_t;

/* Runs the loop until all is done. 0 or -1. */
int bench_runs(bench_runs_t *runs, bench_loop_t *loop);


typedef struct {
    int               port;
    const char       *token;
    const char       *path;
    int64_t           connections;
    int64_t           interval;     /* of each, from GET to GET */
    int64_t           duration;
    int64_t           failed;
} bench_gets_t;

/* Prints "TIME LATENCY" lines, both in microseconds, TIME since 1970. */
int bench_gets(bench_gets_t *gets, bench_loop_t *loop);


#endif /* _BENCH_CLIENT_H_INCLUDED_ */
