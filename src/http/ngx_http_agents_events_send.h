
/*
 * A stream's way to its client: what is written is sent at once, and kept, in
 * one buffer behind the one on its way, while the client takes nothing.
 */


#ifndef _NGX_HTTP_AGENTS_EVENTS_SEND_H_INCLUDED_
#define _NGX_HTTP_AGENTS_EVENTS_SEND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_buf.h"


typedef struct {
    ngx_http_agents_buf_t   out;        /* to be sent */
    ngx_http_agents_buf_t   flying;     /* of which "b" is still on its way */
    ngx_buf_t              *b;
    off_t                   sent;       /* the connection's, when it stopped */
    unsigned                blocked:1;  /* until the client takes more */
    unsigned                last:1;     /* nothing is to follow "out" */
    unsigned                closed:1;   /* all of it was passed on */
} ngx_http_agents_events_send_t;


/* All zero; NGX_ERROR without memory.  Its buffers go with the request. */
ngx_int_t ngx_http_agents_events_send_init(ngx_http_request_t *r,
    ngx_http_agents_events_send_t *send);

/*
 * Sends what it can.  NGX_OK: there is nothing left; NGX_AGAIN: the client is
 * behind, and the request's write handler will be called; NGX_ERROR.  Where it
 * is "closed" the request is to be finalized.
 */
ngx_int_t ngx_http_agents_events_send(ngx_http_request_t *r,
    ngx_http_agents_events_send_t *send);

/* Bytes that the client has not taken. */
size_t ngx_http_agents_events_behind(
    const ngx_http_agents_events_send_t *send);


#endif /* _NGX_HTTP_AGENTS_EVENTS_SEND_H_INCLUDED_ */
