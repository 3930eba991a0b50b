
/*
 * How many inferences may be in flight in a cluster, on this node: counted
 * in shared memory by process, so that a new process gives back what a dead
 * one of its slot held.  Who has to wait, waits in its own worker's line, in
 * order.  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_GATE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_GATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_line.h"
#include "ngx_http_agents_slots.h"
#include "ngx_http_agents_wake.h"


#define NGX_HTTP_AGENTS_GATES       64
#define NGX_HTTP_AGENTS_GATE_NAME   96


typedef struct ngx_http_agents_gate_s  ngx_http_agents_gate_t;


/*
 * The gates' part of the zone.  What each process holds is all there is; the
 * total is their sum, taken under the zone's mutex.  So a process that dies at
 * any instruction leaves nothing behind but its own count, which its successor
 * in the slot clears, or, where it has none, whoever finds no place for it.
 */

typedef struct {
    u_char    name[NGX_HTTP_AGENTS_GATE_NAME];      /* "plane/cluster" */
    uint32_t  limit;                                /* as last configured */
    uint32_t  held[NGX_MAX_PROCESSES];              /* by process slot */
    uint32_t  waiting[NGX_MAX_PROCESSES];
    uint32_t  taken;                                /* places, ever */
    uint32_t  round;                                /* of turns, the node's */
    uint8_t   rounds[NGX_MAX_PROCESSES];            /* of the next turn in each
                                                       that waits; low byte */
} ngx_http_agents_gate_slot_t;


typedef struct {
    ngx_http_agents_gate_slot_t  slots[NGX_HTTP_AGENTS_GATES];
} ngx_http_agents_gate_zone_t;


typedef enum {
    NGX_HTTP_AGENTS_PASS_NONE = 0,
    NGX_HTTP_AGENTS_PASS_WAITING,
    NGX_HTTP_AGENTS_PASS_INSIDE
} ngx_http_agents_pass_e;


/* One inference's place; in its run, all zero at first. */
typedef struct {
    ngx_queue_t              queue;     /* in the line */
    ngx_http_agents_pass_e   state;
    ngx_http_agents_line_t  *line;      /* its user's, while it waits */
    ngx_uint_t               gate;      /* number of the cluster's gate */
    ngx_uint_t               limit;
    void                   (*enter)(void *data);    /* after NGX_AGAIN */
    void                    *data;
} ngx_http_agents_pass_t;


/* What goes on at a gate on this node. */
typedef struct {
    const u_char            *name;      /* "plane/cluster", NUL terminated */
    ngx_uint_t               limit;
    ngx_uint_t               held;
    ngx_uint_t               waiting;
} ngx_http_agents_gate_figures_t;


/* In process init, before the slot is entered; "mutex" guards the zone.  NULL
 * without memory. */
ngx_http_agents_gate_t *ngx_http_agents_gate_create(
    ngx_http_agents_gate_zone_t *zone, const ngx_http_agents_slots_t *slots,
    ngx_shmtx_t *mutex, ngx_pool_t *pool, ngx_log_t *log);

/* Once, before anyone enters: how workers tell each other of free places. */
void ngx_http_agents_gate_listen(ngx_http_agents_gate_t *gate,
    ngx_http_agents_wake_t *wake);

/*
 * NGX_OK: inside; NGX_AGAIN: in the line of "owner", "enter" is called later,
 * inside then; NGX_DECLINED: the zone has no room for another cluster;
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_agents_gate_enter(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, const ngx_http_agents_owner_t *owner,
    ngx_http_agents_plane_t *plane, ngx_http_agents_cluster_t *cluster);

/*
 * For what does not stand in line: NGX_OK: inside; NGX_AGAIN: no place is free,
 * or fewer than "spare" would be left, or somebody waits; NGX_DECLINED as
 * above.
 */
ngx_int_t ngx_http_agents_gate_try(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, ngx_http_agents_plane_t *plane,
    ngx_http_agents_cluster_t *cluster, ngx_uint_t spare);

/* Leaves the gate, or the line; nothing where it is in neither. */
void ngx_http_agents_gate_leave(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass);

/* Of the gate number n, from 0: NGX_DECLINED after the last. */
ngx_int_t ngx_http_agents_gate_figures(ngx_http_agents_gate_t *gate,
    ngx_uint_t n, ngx_http_agents_gate_figures_t *figures);


#endif /* _NGX_HTTP_AGENTS_GATE_H_INCLUDED_ */
