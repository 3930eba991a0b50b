
/* Measured times and their percentiles. */


#ifndef _BENCH_SAMPLES_H_INCLUDED_
#define _BENCH_SAMPLES_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct {
    int64_t  *values;
    size_t    n;
    size_t    size;
} bench_samples_t;


void bench_samples_add(bench_samples_t *samples, int64_t value);

/* Prints {"n": .., "p50": .., "p90": .., "p99": .., "max": ..}; sorts. */
void bench_samples_print(bench_samples_t *samples, const char *name);


#endif /* _BENCH_SAMPLES_H_INCLUDED_ */
