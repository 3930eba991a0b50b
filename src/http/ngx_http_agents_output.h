
/*
 * An answer whose length is not known before it is all read: slice after slice
 * is read, made into JSON and sent, the next not before the client has taken
 * the one before, so that its memory is that of a slice.  What fits in one is
 * sent with its length, as any answer is.
 */


#ifndef _NGX_HTTP_AGENTS_OUTPUT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_OUTPUT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_http.h"


/* What a slice aims at, in bytes. */
#define NGX_HTTP_AGENTS_OUTPUT_SLICE  (1024 * 1024)


/*
 * Waits for the next slice (NGX_DONE); its handler writes it into output->buf,
 * sets output->ended with the last one, and returns what output_send gives.
 */
typedef ngx_int_t (*ngx_http_agents_output_read_pt)(ngx_http_request_t *r,
    void *data);

typedef struct {
    ngx_http_agents_buf_t            buf;
    size_t                           sent;      /* bytes, before "buf" */
    ngx_http_agents_output_read_pt   read;
    void                            *data;
    ngx_buf_t                       *b;
    unsigned                         begun:1;   /* the header was sent */
    unsigned                         ended:1;   /* the slice is the last one */
} ngx_http_agents_output_t;


/* An output in the request's pool, which is its handler's ctx->data; NULL
 * without memory. */
ngx_http_agents_output_t *ngx_http_agents_output_create(ngx_http_request_t *r,
    ngx_http_agents_output_read_pt read, void *data);

/* Sends the buffer.  What is returned is a handler's to return. */
ngx_int_t ngx_http_agents_output_send(ngx_http_request_t *r,
    ngx_http_agents_output_t *output);

/* In place of a slice that could not be read: a problem, or, where a part was
 * sent by then, an end that shows the client that something is missing. */
ngx_int_t ngx_http_agents_output_fail(ngx_http_request_t *r,
    ngx_http_agents_output_t *output, ngx_http_agents_db_status_e status);


#endif /* _NGX_HTTP_AGENTS_OUTPUT_H_INCLUDED_ */
