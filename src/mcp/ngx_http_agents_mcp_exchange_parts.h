
/*
 * Shared by the files of the exchange alone: how it is sent and ends
 * (exchange.c), and how what came is read and judged (exchange_read.c).
 */


#ifndef _NGX_HTTP_AGENTS_MCP_EXCHANGE_PARTS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_EXCHANGE_PARTS_H_INCLUDED_


#include "ngx_http_agents_mcp_exchange.h"
#include "ngx_http_agents_sse.h"


typedef struct ngx_http_agents_mcp_pending_s  ngx_http_agents_mcp_pending_t;

/* A message, until it was read. */
struct ngx_http_agents_mcp_pending_s {
    ngx_http_agents_mcp_reading_t    reading;
    ngx_http_agents_task_t           task;
    ngx_http_agents_mcp_exchange_t  *exchange;
    ngx_http_agents_mcp_pending_t   *next;
};


struct ngx_http_agents_mcp_exchange_s {
    ngx_http_agents_mcp_exchange_conf_t    conf;
    ngx_http_agents_mcp_replied_pt         done;
    void                                  *data;
    ngx_msec_t                             deadline;
    ngx_msec_t                             until;       /* not beyond */
    ngx_msec_t                             backoff;     /* the last one */

    ngx_http_agents_background_t          *bg;
    ngx_http_agents_background_status_e    status;      /* once bg ended */
    ngx_uint_t                             http_status;
    ngx_str_t                              session;     /* malloc'd */
    ngx_str_t                              location;    /* malloc'd */

    ngx_http_agents_sse_t                  sse;
    ngx_event_t                            pause;       /* before a GET, or
                                                           another attempt */
    ngx_uint_t                             resumes;
    ngx_uint_t                             messages;
    ngx_uint_t                             asides;
    ngx_uint_t                             moves;       /* to other addresses */

    ngx_http_agents_mcp_pending_t         *first;       /* in line for a thread,
                                                           the first in it */
    ngx_http_agents_mcp_pending_t        **last;
    ngx_http_agents_mcp_pending_t         *answer;

    unsigned                               sent:1;      /* maybe */
    unsigned                               stream:1;    /* of events */
    unsigned                               ended:1;     /* bg */
    unsigned                               changed:1;   /* its tools */
    unsigned                               repeated:1;
    unsigned                               held:1;      /* nothing could be
                                                           sent yet */
    unsigned                               flooded:1;   /* by events */
    unsigned                               failed:1;    /* no memory */
    unsigned                               reading:1;   /* in a thread */
    unsigned                               over:1;      /* to be freed when no
                                                           thread has it */
};


/* Reads a message, at once or in a thread; takes over the text. */
ngx_int_t ngx_http_agents_mcp_exchange_take(ngx_http_agents_mcp_exchange_t *x,
    char *text, size_t len);

/* What the end of the exchange means. */
void ngx_http_agents_mcp_exchange_judge(ngx_http_agents_mcp_exchange_t *x,
    ngx_http_agents_mcp_reply_t *reply);

void ngx_http_agents_mcp_exchange_free_pending(
    ngx_http_agents_mcp_pending_t *pending);

/* Ends the exchange if there is an answer, or none can come any more. */
void ngx_http_agents_mcp_exchange_settle(ngx_http_agents_mcp_exchange_t *x);

/* A thread may still read one message: it is freed when that is done. */
void ngx_http_agents_mcp_exchange_free(ngx_http_agents_mcp_exchange_t *x);


#endif /* _NGX_HTTP_AGENTS_MCP_EXCHANGE_PARTS_H_INCLUDED_ */
