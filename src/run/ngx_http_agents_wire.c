
/*
 * Records between the workers of a node.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_fd.h"
#include "ngx_http_agents_wire.h"


/* A datagram has whole records, each with its length before it. */
#define NGX_HTTP_AGENTS_WIRE_ALIGN     16
#define NGX_HTTP_AGENTS_WIRE_DATAGRAM                                         \
    (NGX_HTTP_AGENTS_WIRE_MAX + NGX_HTTP_AGENTS_WIRE_ALIGN)

/* Datagrams that are read before other events have their turn. */
#define NGX_HTTP_AGENTS_WIRE_READS     32


/* What is to be sent to a worker. */
typedef struct {
    u_char  *data;                      /* NULL: nothing was yet */
    size_t   len;
} ngx_http_agents_wire_batch_t;


struct ngx_http_agents_wire_s {
    ngx_http_agents_wire_fds_t    *fds;
    ngx_connection_t              *connection;  /* of our socket */
    ngx_http_agents_wire_pt        handler;
    void                          *data;
    u_char                        *in;          /* a datagram */
    ngx_http_agents_wire_batch_t  *out;         /* by worker */
    ngx_event_t                    flush;
    unsigned                       reading:1;
};


static void ngx_http_agents_wire_close(void *data);
static ngx_int_t ngx_http_agents_wire_attach(ngx_http_agents_wire_t *wire,
    ngx_log_t *log);
static void ngx_http_agents_wire_read_handler(ngx_event_t *rev);
static void ngx_http_agents_wire_split(ngx_http_agents_wire_t *wire,
    size_t len);
static void ngx_http_agents_wire_flush_handler(ngx_event_t *ev);
static void ngx_http_agents_wire_send(ngx_http_agents_wire_t *wire,
    ngx_uint_t worker);


ngx_int_t
ngx_http_agents_wire_open(ngx_cycle_t *cycle, ngx_http_agents_wire_fds_t *fds)
{
    ngx_uint_t           n;
    ngx_core_conf_t     *ccf;
    ngx_pool_cleanup_t  *cln;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    n = ccf->master ? (ngx_uint_t) ccf->worker_processes : 1;
    n = ngx_min(n, NGX_MAX_PROCESSES);

    fds->n = 0;
    fds->list = ngx_palloc(cycle->pool, n * sizeof(fds->list[0]));
    if (fds->list == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_agents_wire_close;
    cln->data = fds;

    while (fds->n < n) {

        if (socketpair(AF_UNIX, SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0,
                       fds->list[fds->n])
            == -1)
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_socket_errno,
                          "socketpair() failed");
            return NGX_ERROR;
        }

        fds->n++;
    }

    return NGX_OK;
}


static void
ngx_http_agents_wire_close(void *data)
{
    ngx_http_agents_wire_fds_t *fds = data;

    ngx_uint_t  i;

    for (i = 0; i < fds->n; i++) {
        (void) ngx_close_socket(fds->list[i][0]);
        (void) ngx_close_socket(fds->list[i][1]);
    }
}


ngx_http_agents_wire_t *
ngx_http_agents_wire_create(ngx_http_agents_wire_fds_t *fds,
    ngx_http_agents_wire_pt handler, void *data, ngx_pool_t *pool,
    ngx_log_t *log)
{
    ngx_http_agents_wire_t  *wire;

    wire = ngx_pcalloc(pool, sizeof(ngx_http_agents_wire_t));
    if (wire == NULL) {
        return NULL;
    }

    wire->fds = fds;
    wire->handler = handler;
    wire->data = data;

    wire->flush.handler = ngx_http_agents_wire_flush_handler;
    wire->flush.data = wire;
    wire->flush.log = log;

    if (fds->n < 2) {

        /* there is nobody else */

        return wire;
    }

    wire->in = ngx_palloc(pool, NGX_HTTP_AGENTS_WIRE_DATAGRAM);
    wire->out = ngx_pcalloc(pool,
                            fds->n * sizeof(ngx_http_agents_wire_batch_t));

    if (wire->in == NULL || wire->out == NULL
        || ngx_http_agents_wire_attach(wire, log) != NGX_OK)
    {
        return NULL;
    }

    return wire;
}


static ngx_int_t
ngx_http_agents_wire_attach(ngx_http_agents_wire_t *wire, ngx_log_t *log)
{
    ngx_connection_t  *c;

    if (ngx_worker >= wire->fds->n) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "worker %ui has no socket for records", ngx_worker);
        return NGX_ERROR;
    }

    c = ngx_http_agents_fd_attach(wire->fds->list[ngx_worker][0],
                                  ngx_http_agents_wire_read_handler, wire, log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_agents_fd_want(c, 1, 0) != NGX_OK) {
        ngx_http_agents_fd_detach(c, 0);
        return NGX_ERROR;
    }

    wire->connection = c;

    return NGX_OK;
}


void
ngx_http_agents_wire_destroy(ngx_http_agents_wire_t *wire)
{
    ngx_uint_t  i;

    if (wire->flush.posted) {
        ngx_delete_posted_event(&wire->flush);
    }

    for (i = 0; wire->out != NULL && i < wire->fds->n; i++) {
        ngx_free(wire->out[i].data);
    }

    if (wire->connection != NULL) {
        ngx_http_agents_fd_detach(wire->connection, 0);
    }
}


ngx_uint_t
ngx_http_agents_wire_workers(const ngx_http_agents_wire_t *wire)
{
    return wire->fds->n;
}


static void
ngx_http_agents_wire_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c;

    c = rev->data;

    ngx_http_agents_wire_look(c->data);
}


void
ngx_http_agents_wire_look(ngx_http_agents_wire_t *wire)
{
    ssize_t     n;
    ngx_uint_t  i;

    /* a record's handler may come here, too: what is read is its caller's */

    if (wire->connection == NULL || wire->reading) {
        return;
    }

    wire->reading = 1;

    for (i = 0; i < NGX_HTTP_AGENTS_WIRE_READS; i++) {

        n = recv(wire->connection->fd, wire->in, NGX_HTTP_AGENTS_WIRE_DATAGRAM,
                 0);

        if (n == -1) {

            if (ngx_socket_errno == NGX_EINTR) {
                continue;
            }

            if (ngx_socket_errno != NGX_EAGAIN) {
                ngx_log_error(NGX_LOG_ALERT, wire->connection->log,
                              ngx_socket_errno, "recv() of records failed");
            }

            break;
        }

        ngx_http_agents_wire_split(wire, n);
    }

    wire->reading = 0;
}


static void
ngx_http_agents_wire_split(ngx_http_agents_wire_t *wire, size_t len)
{
    u_char    *p, *last;
    uint64_t   size;

    p = wire->in;
    last = p + len;

    while ((size_t) (last - p) >= NGX_HTTP_AGENTS_WIRE_ALIGN) {

        size = *(uint64_t *) p;
        p += NGX_HTTP_AGENTS_WIRE_ALIGN;

        if (size > (size_t) (last - p)) {
            return;
        }

        wire->handler(wire->data, p, size);

        p += ngx_min(ngx_align(size, NGX_HTTP_AGENTS_WIRE_ALIGN),
                     (size_t) (last - p));
    }
}


void *
ngx_http_agents_wire_put(ngx_http_agents_wire_t *wire, ngx_uint_t worker,
    size_t len)
{
    u_char                        *p;
    size_t                         size;
    ngx_http_agents_wire_batch_t  *batch;

    if (wire->connection == NULL || worker >= wire->fds->n
        || worker == ngx_worker || len > NGX_HTTP_AGENTS_WIRE_MAX)
    {
        return NULL;
    }

    batch = &wire->out[worker];

    if (batch->data == NULL) {
        batch->data = ngx_alloc(NGX_HTTP_AGENTS_WIRE_DATAGRAM,
                                wire->connection->log);
        if (batch->data == NULL) {
            return NULL;
        }
    }

    size = NGX_HTTP_AGENTS_WIRE_ALIGN
           + ngx_align(len, NGX_HTTP_AGENTS_WIRE_ALIGN);

    if (size > NGX_HTTP_AGENTS_WIRE_DATAGRAM - batch->len) {
        ngx_http_agents_wire_send(wire, worker);
    }

    p = batch->data + batch->len;
    batch->len += size;

    ngx_memzero(p, NGX_HTTP_AGENTS_WIRE_ALIGN);
    *(uint64_t *) p = len;

    ngx_post_event(&wire->flush, &ngx_posted_events);

    return p + NGX_HTTP_AGENTS_WIRE_ALIGN;
}


static void
ngx_http_agents_wire_flush_handler(ngx_event_t *ev)
{
    ngx_http_agents_wire_t *wire = ev->data;

    ngx_uint_t  i;

    for (i = 0; i < wire->fds->n; i++) {
        if (wire->out[i].len != 0) {
            ngx_http_agents_wire_send(wire, i);
        }
    }
}


/* Who does not read in time, or is not there, gets no more for now. */

static void
ngx_http_agents_wire_send(ngx_http_agents_wire_t *wire, ngx_uint_t worker)
{
    ngx_http_agents_wire_batch_t  *batch;

    batch = &wire->out[worker];

    if (send(wire->fds->list[worker][1], batch->data, batch->len,
             MSG_NOSIGNAL)
        == -1
        && ngx_socket_errno != NGX_EAGAIN && ngx_socket_errno != NGX_EINTR
        && ngx_socket_errno != ENOBUFS)
    {
        ngx_log_error(NGX_LOG_ALERT, wire->connection->log, ngx_socket_errno,
                      "send() of records to worker %ui failed", worker);
    }

    batch->len = 0;
}
