
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


/*
 * "request" is borrowed until done or cancel; "deadline" is the milliseconds
 * that the whole may take, retries and waiting included.  NULL without memory.
 */
ngx_http_agents_inference_t *ngx_http_agents_inference_start(
    ngx_http_agents_provider_t *provider,
    const ngx_http_agents_model_request_t *request, ngx_msec_t deadline,
    ngx_log_t *log, ngx_http_agents_inference_done_pt done, void *data);

/* Closes the connection of the attempt in flight. */
void ngx_http_agents_inference_cancel(ngx_http_agents_inference_t *inference);


#endif /* _NGX_HTTP_AGENTS_INFERENCE_H_INCLUDED_ */
