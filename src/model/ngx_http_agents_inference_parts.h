
/*
 * Shared by the files of the inference alone: its attempts (inference.c), and
 * what came of one (inference_answer.c).
 */


#ifndef _NGX_HTTP_AGENTS_INFERENCE_PARTS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_INFERENCE_PARTS_H_INCLUDED_


#include "ngx_http_agents_authorize.h"
#include "ngx_http_agents_inference.h"
#include "ngx_http_agents_instance.h"


#define NGX_HTTP_AGENTS_INFERENCE_BODY_MAX  (16 * 1024 * 1024)

/* A body with a 2xx that is longer is no error. */
#define NGX_HTTP_AGENTS_INFERENCE_ERROR_MAX  (16 * 1024)


/*
 * Either an attempt is under way (transfer), or it waits for the credentials
 * that it is signed with (keys, and the timer of the deadline), or the wait
 * for the next one is on (timer); all are bounded by the deadline.  With a
 * transfer the timer is that of a reply that is whole, while its stream is not
 * yet closed.
 */

struct ngx_http_agents_inference_s {
    ngx_http_agents_transport_t            *transport;
    ngx_http_agents_provider_t             *provider;
    const ngx_http_agents_model_request_t  *request;
    ngx_http_agents_transfer_t             *transfer;
    ngx_http_agents_instance_wait_t         keys;
    ngx_http_agents_stream_t                stream;
    ngx_event_t                             timer;
    ngx_msec_t                              start;
    ngx_msec_t                              deadline;   /* after start */
    ngx_uint_t                              attempts;
    ngx_uint_t                              shorts;     /* in a row, of those
                                                           that do not count */
    ngx_str_t                               url;
    char                                  **headers;
    size_t                                  nheaders;
    ngx_http_agents_authorize_t             authorize;
    ngx_log_t                              *log;
    ngx_http_agents_inference_done_pt       done;
    ngx_http_agents_delta_pt                delta;      /* NULL: no one */
    ngx_http_agents_inference_lost_pt       lost;       /* listens */
    void                                   *data;
    unsigned                                last:1;     /* the attempt ends
                                                           with the deadline */
    unsigned                                streaming:1;
    unsigned                                starved:1;  /* the stream could not
                                                           be kept */
    unsigned                                renewed:1;  /* credentials were
                                                           refused once */
    unsigned                                repeated:1; /* after what is tried
                                                           again but once */
};


/* inference_answer: handlers of a transfer's body and end */
ngx_int_t ngx_http_agents_inference_body_handler(void *data, const char *type,
    const char *text, size_t len);
void ngx_http_agents_inference_answer_handler(void *data,
    ngx_http_agents_transport_answer_t *answer);

/* The stream has come to its end, or to that of the reply: a reply, or what
 * is wrong with it.  The inference may be gone. */
void ngx_http_agents_inference_streamed(
    ngx_http_agents_inference_t *inference);

/* Another attempt begins anew: nothing of a broken stream is kept. */
void ngx_http_agents_inference_stream_free(
    ngx_http_agents_inference_t *inference);


/*
 * inference: another attempt after "wait" milliseconds, 0: the backoff; or,
 * where none is left, the end.  Takes the text over.
 */
void ngx_http_agents_inference_again(ngx_http_agents_inference_t *inference,
    ngx_msec_t wait, ngx_http_agents_buf_t *why);

/*
 * The worker is short of something: what it tried does not count as an attempt,
 * and is tried again as long as there is time.  "what" is static, or alive
 * during the call.
 */
void ngx_http_agents_inference_short(ngx_http_agents_inference_t *inference,
    const char *what);

/* The end without a reply.  Takes the text over. */
void ngx_http_agents_inference_end(ngx_http_agents_inference_t *inference,
    ngx_http_agents_inference_status_e status, ngx_http_agents_buf_t *why);

/* Tells who asked; the inference is still to be freed. */
void ngx_http_agents_inference_tell(ngx_http_agents_inference_t *inference,
    ngx_http_agents_inference_result_t *result);
void ngx_http_agents_inference_free(ngx_http_agents_inference_t *inference);


#endif /* _NGX_HTTP_AGENTS_INFERENCE_PARTS_H_INCLUDED_ */
