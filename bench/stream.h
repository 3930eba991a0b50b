
/*
 * A model's reply as a stream of events, in the form of each provider, taken
 * apart into what is sent at a time.
 */


#ifndef _BENCH_STREAM_H_INCLUDED_
#define _BENCH_STREAM_H_INCLUDED_


#include <stddef.h>


/* What each piece but the first and the last says. */
#define BENCH_STREAM_WORD  "word "


typedef struct {
    const char   *path;         /* a part of those that it is an answer to */
    char        **pieces;       /* an HTTP answer, chunked */
    size_t       *lens;
    size_t        n;
} bench_stream_t;


/*
 * All of them, with so many words each; the last one has a NULL path.  They
 * live as long as the program.
 */
bench_stream_t *bench_streams(size_t words);


#endif /* _BENCH_STREAM_H_INCLUDED_ */
