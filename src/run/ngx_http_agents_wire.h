
/*
 * Records from worker to worker of a node: datagrams over a pair of unix
 * sockets for each worker, which the kernel bounds.  A datagram comes whole or
 * not at all, whoever dies when; one that finds no room is dropped, and who
 * writes never waits.  What is in a record is its users' business, who have to
 * live with lost ones.  A worker of a configuration before the last reload has
 * other sockets.
 *
 * Event loop only, but for open.
 */


#ifndef _NGX_HTTP_AGENTS_WIRE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_WIRE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* The longest record, in bytes. */
#define NGX_HTTP_AGENTS_WIRE_MAX  32768


/* A pair for each worker of a cycle, by its number: it reads [0], the others
 * write to [1]. */
typedef struct {
    ngx_socket_t  (*list)[2];
    ngx_uint_t      n;
} ngx_http_agents_wire_fds_t;


typedef struct ngx_http_agents_wire_s  ngx_http_agents_wire_t;

/* A record of another worker, aligned as malloc's memory is. */
typedef void (*ngx_http_agents_wire_pt)(void *data, const void *record,
    size_t len);


/*
 * In the master, before its workers are there: the sockets, which they
 * inherit, and which are closed with the cycle's pool.
 */
ngx_int_t ngx_http_agents_wire_open(ngx_cycle_t *cycle,
    ngx_http_agents_wire_fds_t *fds);

/* In process init.  NULL without memory or a connection for the socket. */
ngx_http_agents_wire_t *ngx_http_agents_wire_create(
    ngx_http_agents_wire_fds_t *fds, ngx_http_agents_wire_pt handler,
    void *data, ngx_pool_t *pool, ngx_log_t *log);
void ngx_http_agents_wire_destroy(ngx_http_agents_wire_t *wire);

/* How many workers there are. */
ngx_uint_t ngx_http_agents_wire_workers(const ngx_http_agents_wire_t *wire);

/*
 * Room for a record of up to WIRE_MAX bytes to a worker, aligned; it is sent,
 * with others to the same worker, at the end of this turn of the event loop.
 * NULL: it is too long, or there is no memory, or no such worker.
 */
void *ngx_http_agents_wire_put(ngx_http_agents_wire_t *wire,
    ngx_uint_t worker, size_t len);

/* Reads what is there, without waiting to be called. */
void ngx_http_agents_wire_look(ngx_http_agents_wire_t *wire);


#endif /* _NGX_HTTP_AGENTS_WIRE_H_INCLUDED_ */
