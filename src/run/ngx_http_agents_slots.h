
/*
 * The processes of this node, by nginx's process slot: who has each, and what
 * goes on in it now.  A process writes its own slot alone; what one leaves
 * behind that died is not counted from then on, and is cleared by its
 * successor in the slot.  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_SLOTS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_SLOTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_AGENTS_GAUGE_RUNS = 0,         /* in flight */
    NGX_HTTP_AGENTS_GAUGE_INFERENCES,       /* in flight */
    NGX_HTTP_AGENTS_GAUGE_TASKS_WAITING,    /* for a place in the pool */
    NGX_HTTP_AGENTS_GAUGE_TASKS_POSTED,     /* with the pool */
    NGX_HTTP_AGENTS_GAUGE_STORE_AWAY,       /* 1: it cannot be reached */
    NGX_HTTP_AGENTS_GAUGE_STREAMS,          /* of events, to clients */
    NGX_HTTP_AGENTS_GAUGE_MAX
} ngx_http_agents_gauge_e;


typedef struct {
    ngx_atomic_t  pid;                      /* 0: nobody */
    ngx_atomic_t  worker;                   /* its number among the workers */
    ngx_atomic_t  gauges[NGX_HTTP_AGENTS_GAUGE_MAX];
} ngx_http_agents_slot_t;


/* The zone's part. */
typedef struct {
    ngx_http_agents_slot_t  slots[NGX_MAX_PROCESSES];
} ngx_http_agents_slots_t;


/* In process init and exit: this process's own slot, all zero. */
void ngx_http_agents_slots_enter(ngx_http_agents_slots_t *slots);
void ngx_http_agents_slots_leave(ngx_http_agents_slots_t *slots);

/* Whether the slot's process is there; a system call for any but our own. */
ngx_uint_t ngx_http_agents_slots_live(const ngx_http_agents_slots_t *slots,
    ngx_uint_t slot);

/* The number of the worker in a slot that is live. */
ngx_uint_t ngx_http_agents_slots_worker(const ngx_http_agents_slots_t *slots,
    ngx_uint_t slot);

void ngx_http_agents_slots_add(ngx_http_agents_slots_t *slots,
    ngx_http_agents_gauge_e gauge, ngx_int_t n);
void ngx_http_agents_slots_set(ngx_http_agents_slots_t *slots,
    ngx_http_agents_gauge_e gauge, ngx_uint_t value);

/* Of the processes that are there: how many, and the sums of their gauges. */
typedef struct {
    ngx_uint_t  processes;
    ngx_uint_t  sums[NGX_HTTP_AGENTS_GAUGE_MAX];
} ngx_http_agents_slots_figures_t;

void ngx_http_agents_slots_figures(const ngx_http_agents_slots_t *slots,
    ngx_http_agents_slots_figures_t *figures);


#endif /* _NGX_HTTP_AGENTS_SLOTS_H_INCLUDED_ */
