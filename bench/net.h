
/*
 * A small event loop for the load program: HTTP/1.1 messages with a
 * Content-Length on persistent connections of 127.0.0.1, and timers in
 * microseconds.  One thread.
 */


#ifndef _BENCH_NET_H_INCLUDED_
#define _BENCH_NET_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct bench_loop_s   bench_loop_t;
typedef struct bench_conn_s   bench_conn_t;
typedef struct bench_timer_s  bench_timer_t;


/* A message that came, alive during the handler's call. */
typedef struct {
    const char  *head;          /* start line and fields, NUL terminated */
    const char  *body;          /* NUL terminated */
    size_t       body_len;
} bench_message_t;


/* With a NULL message: the connection has ended and goes after the call. */
typedef void (*bench_message_pt)(bench_conn_t *conn,
    const bench_message_t *message);

struct bench_conn_s {
    bench_loop_t      *loop;
    int                fd;
    uint32_t           events;      /* that epoll was told */
    char              *in;
    size_t             in_len;
    size_t             in_size;
    char              *out;         /* what the socket did not take yet */
    size_t             out_len;
    size_t             out_size;
    bench_message_pt   handler;
    void              *data;
    unsigned           listening:1;
    unsigned           dead:1;
};


struct bench_timer_s {
    int64_t            at;
    void             (*handler)(bench_timer_t *timer);
    void              *data;
};


/* Microseconds of a clock that never steps. */
int64_t bench_now(void);

/* NULL without memory or descriptors; it lives as long as the program. */
bench_loop_t *bench_loop_create(void);

/* Runs until bench_loop_stop(). 0, or -1 if the kernel refuses. */
int bench_loop_run(bench_loop_t *loop);
void bench_loop_stop(bench_loop_t *loop);

/* Connections that come get this handler, and "data". 0 or -1. */
int bench_listen(bench_loop_t *loop, int port, bench_message_pt handler,
    void *data);

bench_conn_t *bench_connect(bench_loop_t *loop, int port,
    bench_message_pt handler, void *data);

/* Sends, or keeps what cannot be sent yet. */
void bench_send(bench_conn_t *conn, const char *text, size_t len);

/* The timer belongs to the caller and must not be pending; it fires once. */
void bench_timer_add(bench_loop_t *loop, bench_timer_t *timer, int64_t delay);

/* Ends the program for want of memory, which no figure survives. */
void *bench_alloc(size_t size);
void *bench_grow(void *old, size_t size);


#endif /* _BENCH_NET_H_INCLUDED_ */
