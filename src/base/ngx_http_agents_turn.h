
/*
 * What comes in bulk is done in slices: a thousand replies or tasks that are
 * there at once do not keep the event loop from everything else.  In one turn
 * of the loop what waits here gets a slice of time, and so do the sockets that
 * ask for it; the rest follows in the next turns, in order.  One per worker;
 * event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_TURN_H_INCLUDED_
#define _NGX_HTTP_AGENTS_TURN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


typedef struct {
    ngx_queue_t     line;       /* of events, the next one first */
    ngx_event_t     event;
    int64_t         used;       /* by sockets in this turn; microseconds */
    int64_t         begun;      /* when over() was asked first in it; or 0 */
    unsigned        running:1;
} ngx_http_agents_turn_t;


void ngx_http_agents_turn_init(ngx_http_agents_turn_t *turn, ngx_log_t *log);

/*
 * Makes room for so many descriptors at once.  The kernel's table of them grows
 * in steps, and each one holds a process with threads for ten milliseconds.
 */
void ngx_http_agents_turn_files(ngx_uint_t n, ngx_log_t *log);

/*
 * As ngx_post_event(), into this line; ngx_delete_posted_event() takes it out
 * again.  A handler does one thing and posts its event again for the next one.
 */
void ngx_http_agents_turn_post(ngx_http_agents_turn_t *turn, ngx_event_t *ev);

/*
 * Around what is done for an event of a socket that is reported anew as long
 * as it lasts.  0: the sockets have had their slice, and this one is let be;
 * else the time that is handed to end().
 */
int64_t ngx_http_agents_turn_begin(ngx_http_agents_turn_t *turn);
void ngx_http_agents_turn_end(ngx_http_agents_turn_t *turn, int64_t begun);

/*
 * Whether what can wait should, in the line: it is asked for a slice's time
 * already in this turn.
 */
ngx_uint_t ngx_http_agents_turn_over(ngx_http_agents_turn_t *turn);


#endif /* _NGX_HTTP_AGENTS_TURN_H_INCLUDED_ */
