
/*
 * One inference over the transport, with its retries: 408, 429, 500, 502,
 * 503, 504, 529 and broken connections are tried again with exponential
 * backoff and jitter, Retry-After honoured, within the deadline.  Event loop
 * only.
 */


#ifndef _NGX_HTTP_AGENTS_INFERENCE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_INFERENCE_H_INCLUDED_


#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_stream.h"
#include "ngx_http_agents_transport.h"


typedef struct ngx_http_agents_inference_s  ngx_http_agents_inference_t;


typedef enum {
    NGX_HTTP_AGENTS_INFERENCE_REPLY = 0,    /* a body or a whole stream */
    NGX_HTTP_AGENTS_INFERENCE_FAILED,       /* for good, or retries used up */
    NGX_HTTP_AGENTS_INFERENCE_CONTEXT,
    NGX_HTTP_AGENTS_INFERENCE_FILTERED,
    NGX_HTTP_AGENTS_INFERENCE_LACKS,        /* refused for what the model
                                               lacks */
    NGX_HTTP_AGENTS_INFERENCE_TIMEOUT       /* the deadline has passed */
} ngx_http_agents_inference_status_e;


typedef struct {
    ngx_http_agents_inference_status_e  status;
    ngx_http_agents_answer_t            answer;     /* REPLY: the callee's, to
                                                       be cleared */
    unsigned                            lacks;      /* LACKS: the flag */
    ngx_uint_t                          attempts;
    const char  *message;       /* not REPLY: the provider's status and
                                   message; alive during the call */
} ngx_http_agents_inference_result_t;

/* Called once, never from within start; not after cancel. */
typedef void (*ngx_http_agents_inference_done_pt)(void *data,
    ngx_http_agents_inference_result_t *result);


/* What was told of a stream is of no account any more. */
typedef void (*ngx_http_agents_inference_lost_pt)(void *data);


/*
 * "request" is borrowed until done or cancel; "deadline" is the milliseconds
 * that the whole may take, retries and waiting included.  NULL without memory.
 */
ngx_http_agents_inference_t *ngx_http_agents_inference_start(
    ngx_http_agents_provider_t *provider,
    const ngx_http_agents_model_request_t *request, ngx_msec_t deadline,
    ngx_log_t *log, ngx_http_agents_inference_done_pt done, void *data);

/* After start: "delta" is called for each piece of a stream, and "lost" when a
 * stream is broken, whatever follows; both with the data of "done". */
void ngx_http_agents_inference_listen(ngx_http_agents_inference_t *inference,
    ngx_http_agents_delta_pt delta, ngx_http_agents_inference_lost_pt lost);

/* What a stream has become so far; NULL: there is none.  It may get ids, and
 * is the inference's own. */
ngx_http_agents_draft_t *ngx_http_agents_inference_draft(
    ngx_http_agents_inference_t *inference);

/* Closes the connection of the attempt in flight. */
void ngx_http_agents_inference_cancel(ngx_http_agents_inference_t *inference);


#endif /* _NGX_HTTP_AGENTS_INFERENCE_H_INCLUDED_ */
