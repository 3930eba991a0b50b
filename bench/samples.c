
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
#include "samples.h"


static int bench_samples_compare(const void *one, const void *two);
static int64_t bench_samples_at(const bench_samples_t *samples, double part);


void
bench_samples_add(bench_samples_t *samples, int64_t value)
{
    if (samples->n == samples->size) {
        samples->size = samples->size * 2 + 1024;
        samples->values = bench_grow(samples->values,
                                     samples->size * sizeof(int64_t));
    }

    samples->values[samples->n++] = value;
}


void
bench_samples_print(bench_samples_t *samples, const char *name)
{
    printf("\"%s\": {\"n\": %zu", name, samples->n);

    if (samples->n != 0) {
        qsort(samples->values, samples->n, sizeof(int64_t),
              bench_samples_compare);

        printf(", \"p50\": %" PRId64 ", \"p90\": %" PRId64
               ", \"p99\": %" PRId64 ", \"max\": %" PRId64,
               bench_samples_at(samples, 0.5), bench_samples_at(samples, 0.9),
               bench_samples_at(samples, 0.99), bench_samples_at(samples, 1));
    }

    printf("}");
}


static int
bench_samples_compare(const void *one, const void *two)
{
    const int64_t *a = one;
    const int64_t *b = two;

    return (*a > *b) - (*a < *b);
}


static int64_t
bench_samples_at(const bench_samples_t *samples, double part)
{
    return samples->values[(size_t) ((double) (samples->n - 1) * part)];
}
