
/*
 * Wake-ups between the workers of a node.  Hints, no more: what has changed is
 * in the store, and who misses one looks there a little later by itself.
 *
 * A worker says that a run has changed by counting in the zone, in the bucket
 * of the run's id, and writes to the descriptor of each worker that has someone
 * waiting in that bucket.  It says that runs are to stop by counting, too, and
 * writes to all.  That a place in a cluster is free it says to one.  Who is
 * woken compares the counts with those it saw last.
 * A worker that dies at any instruction leaves only its own bits behind, which
 * wake its successor for nothing until it clears them at its start.
 *
 * Event loop only, but for open.
 */


#ifndef _NGX_HTTP_AGENTS_WAKE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_WAKE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


#define NGX_HTTP_AGENTS_WAKE_BUCKETS  256   /* of run ids; a power of two */

/* Bits of a word, and words for all workers, by their number. */
#define NGX_HTTP_AGENTS_WAKE_BITS     (8 * sizeof(ngx_atomic_uint_t))
#define NGX_HTTP_AGENTS_WAKE_WORDS                                            \
    (NGX_MAX_PROCESSES / NGX_HTTP_AGENTS_WAKE_BITS)


/* The wake-ups' part of the zone. */
typedef struct {
    ngx_atomic_t  stops;        /* times that runs were to stop */
    ngx_atomic_t  places;       /* times that a place was left to another */
    ngx_atomic_t  changes[NGX_HTTP_AGENTS_WAKE_BUCKETS];
    ngx_atomic_t  waits[NGX_HTTP_AGENTS_WAKE_BUCKETS]
                       [NGX_HTTP_AGENTS_WAKE_WORDS];    /* a bit a worker */
} ngx_http_agents_wake_zone_t;


/* A descriptor for each worker of a cycle, by its number. */
typedef struct {
    ngx_fd_t     *list;
    ngx_uint_t    n;
} ngx_http_agents_wake_fds_t;


typedef struct ngx_http_agents_wake_s  ngx_http_agents_wake_t;

/*
 * A run of the bucket has changed: that of "id", or, where it is NULL, any.
 * Must not wait for anyone itself.
 */
typedef void (*ngx_http_agents_wake_change_pt)(void *data, ngx_uint_t bucket,
    const char *id);

/* There are runs to stop. */
typedef void (*ngx_http_agents_wake_stop_pt)(void *data);

/* A place in a cluster may be free. */
typedef void (*ngx_http_agents_wake_place_pt)(void *data);


/*
 * In the master, before its workers are there: the descriptors, which they
 * inherit, and which are closed with the cycle's pool.
 */
ngx_int_t ngx_http_agents_wake_open(ngx_cycle_t *cycle,
    ngx_http_agents_wake_fds_t *fds);

/* In process init.  NULL without memory or a connection for the descriptor. */
ngx_http_agents_wake_t *ngx_http_agents_wake_create(
    ngx_http_agents_wake_zone_t *zone, ngx_http_agents_wake_fds_t *fds,
    ngx_pool_t *pool, ngx_log_t *log);
void ngx_http_agents_wake_destroy(ngx_http_agents_wake_t *wake);

/* Who is told in this worker; each is set once. */
void ngx_http_agents_wake_on_change(ngx_http_agents_wake_t *wake,
    ngx_http_agents_wake_change_pt handler, void *data);
void ngx_http_agents_wake_on_stop(ngx_http_agents_wake_t *wake,
    ngx_http_agents_wake_stop_pt handler, void *data);
void ngx_http_agents_wake_on_place(ngx_http_agents_wake_t *wake,
    ngx_http_agents_wake_place_pt handler, void *data);

/*
 * After a commit: the run, or the name of its conversation, has changed.  This
 * worker's handler is called at once, the others are written to.
 */
void ngx_http_agents_wake_run(ngx_http_agents_wake_t *wake, const char *id);

/* After a commit: a run was cancelled, or deleted with its conversation. */
void ngx_http_agents_wake_stop(ngx_http_agents_wake_t *wake);

/* The worker of that number should look for a place. */
void ngx_http_agents_wake_place(ngx_http_agents_wake_t *wake,
    ngx_uint_t worker);

ngx_uint_t ngx_http_agents_wake_bucket(const char *id);

/*
 * From now on, or no longer, other workers' changes in this bucket are heard.
 * Who begins reads the store afterwards, so that nothing is missed.
 */
void ngx_http_agents_wake_listen(ngx_http_agents_wake_t *wake,
    ngx_uint_t bucket, ngx_uint_t on);

/* Looks at the counts without having been woken; costs next to nothing. */
void ngx_http_agents_wake_look(ngx_http_agents_wake_t *wake);


#endif /* _NGX_HTTP_AGENTS_WAKE_H_INCLUDED_ */
