
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "net.h"


#define BENCH_EVENTS  256
#define BENCH_CHUNK   16384


struct bench_loop_s {
    int              epoll;
    int              stopped;
    bench_timer_t  **heap;      /* the earliest first */
    size_t           timers;
    size_t           size;
};


static void bench_conn_accept(bench_conn_t *listening);
static bench_conn_t *bench_conn_create(bench_loop_t *loop, int fd,
    bench_message_pt handler, void *data);
static void bench_conn_read(bench_conn_t *conn);
static int bench_conn_message(bench_conn_t *conn);
static void bench_conn_write(bench_conn_t *conn);
static void bench_conn_watch(bench_conn_t *conn);
static void bench_conn_end(bench_conn_t *conn);
static void bench_timers_run(bench_loop_t *loop);


int64_t
bench_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void *
bench_alloc(size_t size)
{
    return bench_grow(NULL, size);
}


void *
bench_grow(void *old, size_t size)
{
    void  *p;

    p = realloc(old, size);

    if (p == NULL) {
        fprintf(stderr, "load: out of memory\n");
        exit(1);
    }

    return p;
}


bench_loop_t *
bench_loop_create(void)
{
    bench_loop_t  *loop;

    loop = bench_alloc(sizeof(bench_loop_t));
    memset(loop, 0, sizeof(bench_loop_t));

    loop->epoll = epoll_create1(EPOLL_CLOEXEC);

    if (loop->epoll == -1) {
        free(loop);
        return NULL;
    }

    return loop;
}


int
bench_loop_run(bench_loop_t *loop)
{
    int                  i, n;
    int64_t              left;
    bench_conn_t        *conn;
    struct timespec      wait;
    struct epoll_event   events[BENCH_EVENTS];

    while (!loop->stopped) {
        left = 1000000;

        if (loop->timers != 0) {
            left = loop->heap[0]->at - bench_now();
            left = (left < 0) ? 0 : left;
        }

        wait.tv_sec = left / 1000000;
        wait.tv_nsec = left % 1000000 * 1000;

        n = epoll_pwait2(loop->epoll, events, BENCH_EVENTS, &wait, NULL);

        if (n == -1 && errno != EINTR) {
            return -1;
        }

        bench_timers_run(loop);

        for (i = 0; i < n; i++) {
            conn = events[i].data.ptr;

            if (conn->listening) {
                bench_conn_accept(conn);
                continue;
            }

            if (events[i].events & EPOLLOUT) {
                bench_conn_write(conn);
            }

            if (events[i].events & ~EPOLLOUT) {
                bench_conn_read(conn);
            }

            if (conn->dead) {
                bench_conn_end(conn);
            }
        }
    }

    return 0;
}


void
bench_loop_stop(bench_loop_t *loop)
{
    loop->stopped = 1;
}


int
bench_listen(bench_loop_t *loop, int port, bench_message_pt handler,
    void *data)
{
    int                  fd, on;
    bench_conn_t        *conn;
    struct sockaddr_in   sin;

    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -1;
    }

    memset(&sin, 0, sizeof(struct sockaddr_in));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(int)) == -1
        || bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        || listen(fd, 4096) == -1)
    {
        close(fd);
        return -1;
    }

    conn = bench_conn_create(loop, fd, handler, data);
    if (conn == NULL) {
        return -1;
    }

    conn->listening = 1;

    return 0;
}


bench_conn_t *
bench_connect(bench_loop_t *loop, int port, bench_message_pt handler,
    void *data)
{
    int                  fd;
    struct sockaddr_in   sin;

    fd = socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return NULL;
    }

    memset(&sin, 0, sizeof(struct sockaddr_in));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    /* to this machine: it is there at once, or not at all */

    if (connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        || fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
    {
        close(fd);
        return NULL;
    }

    return bench_conn_create(loop, fd, handler, data);
}


static bench_conn_t *
bench_conn_create(bench_loop_t *loop, int fd, bench_message_pt handler,
    void *data)
{
    int                  on;
    bench_conn_t        *conn;
    struct epoll_event   event;

    conn = bench_alloc(sizeof(bench_conn_t));
    memset(conn, 0, sizeof(bench_conn_t));

    conn->loop = loop;
    conn->fd = fd;
    conn->events = EPOLLIN;
    conn->handler = handler;
    conn->data = data;

    on = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int));

    event.events = EPOLLIN;
    event.data.ptr = conn;

    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == -1) {
        close(fd);
        free(conn);
        return NULL;
    }

    return conn;
}


static void
bench_conn_accept(bench_conn_t *listening)
{
    int  fd;

    for ( ;; ) {
        fd = accept4(listening->fd, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);

        if (fd == -1) {
            return;
        }

        (void) bench_conn_create(listening->loop, fd, listening->handler,
                                 listening->data);
    }
}


static void
bench_conn_read(bench_conn_t *conn)
{
    ssize_t  n;

    for ( ;; ) {

        if (conn->in_size - conn->in_len < BENCH_CHUNK) {
            conn->in_size = conn->in_len + 2 * BENCH_CHUNK;
            conn->in = bench_grow(conn->in, conn->in_size + 1);
        }

        n = read(conn->fd, conn->in + conn->in_len,
                 conn->in_size - conn->in_len);

        if (n <= 0) {
            conn->dead |= (n == 0 || (errno != EAGAIN && errno != EINTR));
            break;
        }

        conn->in_len += (size_t) n;

        if (conn->in_len < conn->in_size) {
            break;
        }
    }

    while (bench_conn_message(conn)) { /* void */ }
}


/* Hands over the first message, if it is there as a whole: 1, else 0. */

static int
bench_conn_message(bench_conn_t *conn)
{
    char             *end, *field, saved;
    size_t            head, len;
    bench_message_t   message;

    if (conn->in_len == 0) {
        return 0;
    }

    conn->in[conn->in_len] = '\0';

    end = strstr(conn->in, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }

    head = (size_t) (end + 4 - conn->in);
    *end = '\0';

    len = 0;
    field = strcasestr(conn->in, "\ncontent-length:");

    if (field != NULL) {
        len = strtoul(field + sizeof("\ncontent-length:") - 1, NULL, 10);
    }

    if (conn->in_len - head < len) {
        *end = '\r';
        return 0;
    }

    message.head = conn->in;
    message.body = conn->in + head;
    message.body_len = len;

    saved = conn->in[head + len];
    conn->in[head + len] = '\0';

    conn->handler(conn, &message);

    conn->in[head + len] = saved;
    conn->in_len -= head + len;
    memmove(conn->in, conn->in + head + len, conn->in_len);

    return 1;
}


void
bench_send(bench_conn_t *conn, const char *text, size_t len)
{
    ssize_t  n;

    n = 0;

    if (conn->out_len == 0) {
        n = send(conn->fd, text, len, MSG_NOSIGNAL);
        n = (n < 0) ? 0 : n;
    }

    if ((size_t) n == len) {
        return;
    }

    text += n;
    len -= (size_t) n;

    if (conn->out_size - conn->out_len < len) {
        conn->out_size = conn->out_len + len;
        conn->out = bench_grow(conn->out, conn->out_size);
    }

    memcpy(conn->out + conn->out_len, text, len);
    conn->out_len += len;

    bench_conn_watch(conn);
}


static void
bench_conn_write(bench_conn_t *conn)
{
    ssize_t  n;

    n = send(conn->fd, conn->out, conn->out_len, MSG_NOSIGNAL);

    if (n > 0) {
        conn->out_len -= (size_t) n;
        memmove(conn->out, conn->out + n, conn->out_len);
    }

    bench_conn_watch(conn);
}


static void
bench_conn_watch(bench_conn_t *conn)
{
    uint32_t             events;
    struct epoll_event   event;

    events = EPOLLIN | (conn->out_len ? EPOLLOUT : 0);

    if (events == conn->events) {
        return;
    }

    event.events = events;
    event.data.ptr = conn;

    if (epoll_ctl(conn->loop->epoll, EPOLL_CTL_MOD, conn->fd, &event) == 0) {
        conn->events = events;
    }
}


static void
bench_conn_end(bench_conn_t *conn)
{
    conn->handler(conn, NULL);

    close(conn->fd);
    free(conn->in);
    free(conn->out);
    free(conn);
}


void
bench_timer_add(bench_loop_t *loop, bench_timer_t *timer, int64_t delay)
{
    size_t  i, up;

    timer->at = bench_now() + delay;

    if (loop->timers == loop->size) {
        loop->size = loop->size * 2 + 64;
        loop->heap = bench_grow(loop->heap,
                                loop->size * sizeof(bench_timer_t *));
    }

    for (i = loop->timers++; i > 0; i = up) {
        up = (i - 1) / 2;

        if (loop->heap[up]->at <= timer->at) {
            break;
        }

        loop->heap[i] = loop->heap[up];
    }

    loop->heap[i] = timer;
}


static void
bench_timers_run(bench_loop_t *loop)
{
    size_t          i, down;
    int64_t         now;
    bench_timer_t  *first, *last;

    now = bench_now();

    while (loop->timers != 0 && loop->heap[0]->at <= now) {
        first = loop->heap[0];
        last = loop->heap[--loop->timers];

        for (i = 0; 2 * i + 1 < loop->timers; i = down) {
            down = 2 * i + 1;

            if (down + 1 < loop->timers
                && loop->heap[down + 1]->at < loop->heap[down]->at)
            {
                down++;
            }

            if (last->at <= loop->heap[down]->at) {
                break;
            }

            loop->heap[i] = loop->heap[down];
        }

        loop->heap[i] = last;

        first->handler(first);
    }
}
