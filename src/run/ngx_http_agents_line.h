
/*
 * Who waits in this worker for one cluster: a line for each user, and their
 * heads in turns.  Turns come in rounds, which are counted by the gate for the
 * whole node: a user who had a turn in this round has the next one in the next
 * round, and whoever comes has one in this round.  All that is done costs as
 * much as finding a user among those that are known.
 *
 * A user is known as long as someone of hers waits, and until the round is
 * over in which she had her last turn.  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_LINE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_LINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_store.h"


typedef struct {
    ngx_rbtree_t        users;          /* ..._line_t, by company and user */
    ngx_rbtree_node_t   sentinel;
    ngx_queue_t         rounds[2];      /* lines, by the lowest bit of their
                                           round, in order */
    ngx_queue_t         resting;        /* lines without anyone in them */
    ngx_log_t          *log;
} ngx_http_agents_lines_t;


typedef struct {
    ngx_str_node_t      node;
    ngx_queue_t         queue;          /* in rounds[] or resting */
    ngx_queue_t         places;         /* who waits, in order */
    uint32_t            round;          /* of the next turn; of the last one
                                           where nobody waits */
} ngx_http_agents_line_t;


/* "round" below is always the node's own. */

void ngx_http_agents_line_init(ngx_http_agents_lines_t *lines, ngx_log_t *log);

/* A user's line, made if it is not there.  NULL without memory. */
ngx_http_agents_line_t *ngx_http_agents_line_get(
    ngx_http_agents_lines_t *lines, const ngx_http_agents_owner_t *owner,
    uint32_t round);

/* The round in which a line has its next turn: this one or the next. */
uint32_t ngx_http_agents_line_round(ngx_http_agents_line_t *line,
    uint32_t round);

/* The line whose turn is next; NULL: nobody waits. */
ngx_http_agents_line_t *ngx_http_agents_line_first(
    ngx_http_agents_lines_t *lines, uint32_t round);

/* Into the line, and out of it; the line may be gone afterwards. */
void ngx_http_agents_line_join(ngx_http_agents_lines_t *lines,
    ngx_http_agents_line_t *line, ngx_queue_t *place, uint32_t round);
void ngx_http_agents_line_leave(ngx_http_agents_lines_t *lines,
    ngx_http_agents_line_t *line, ngx_queue_t *place, uint32_t round);

/* The line has had its turn, that of "turn"; it may be gone afterwards. */
void ngx_http_agents_line_served(ngx_http_agents_lines_t *lines,
    ngx_http_agents_line_t *line, uint32_t turn, uint32_t round);


#endif /* _NGX_HTTP_AGENTS_LINE_H_INCLUDED_ */
