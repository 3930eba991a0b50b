
/*
 * Who waits in this worker for a run to change: its body, or the name of its
 * conversation.  A change is found by a wake-up, and, should that be missed or
 * come from another machine, by one query for all of them, twice a second.
 * Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_WATCH_H_INCLUDED_
#define _NGX_HTTP_AGENTS_WATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_store.h"
#include "ngx_http_agents_wake.h"


typedef struct ngx_http_agents_watch_s  ngx_http_agents_watch_t;


/*
 * One who waits.  "event" is posted when the run may have changed, or the
 * worker is to exit; its handler and data are the waiter's own, who may use it
 * as a timer, too.
 */
typedef struct {
    ngx_queue_t                     queue;      /* of the bucket */
    ngx_http_agents_watch_t        *watch;      /* NULL: it does not wait */
    ngx_uint_t                      bucket;
    const ngx_http_agents_owner_t  *owner;      /* both alive until leave */
    const char                     *id;
    int64_t                         rev;        /* as the waiter knows it; */
    int64_t                         name_rev;   /* rev -1: not yet */
    ngx_event_t                     event;
    unsigned                        due:1;      /* to be asked about */
} ngx_http_agents_watch_waiter_t;


/* In process init.  NULL without memory. */
ngx_http_agents_watch_t *ngx_http_agents_watch_create(
    ngx_http_agents_wake_t *wake, ngx_http_agents_db_t *db, ngx_pool_t *pool,
    ngx_log_t *log);

/* How many there are. */
ngx_uint_t ngx_http_agents_watch_waiting(ngx_http_agents_watch_t *watch);

/* Takes a waiter in, with owner, id and event set, before it reads the run. */
void ngx_http_agents_watch_join(ngx_http_agents_watch_t *watch,
    ngx_http_agents_watch_waiter_t *waiter);

/* What it has read, each time that it has. */
void ngx_http_agents_watch_seen(ngx_http_agents_watch_waiter_t *waiter,
    int64_t rev, int64_t name_rev);

/* Nothing where it does not wait; its event is neither posted nor set then. */
void ngx_http_agents_watch_leave(ngx_http_agents_watch_waiter_t *waiter);


#endif /* _NGX_HTTP_AGENTS_WATCH_H_INCLUDED_ */
