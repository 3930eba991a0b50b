
/*
 * What came of an attempt: a reply, a refusal, a stream, or nothing; and what
 * follows from it.
 */


#include "ngx_http_agents_inference_parts.h"
#include "ngx_http_agents_refusal.h"


/* How long a stream may stay open behind the reply's end, in milliseconds; a
 * connection that ends in time is used again. */
#define NGX_HTTP_AGENTS_INFERENCE_LINGER  250


static void ngx_http_agents_inference_refused(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_transport_answer_t *answer);
static ngx_uint_t ngx_http_agents_inference_disguised(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_transport_answer_t *answer);
static void ngx_http_agents_inference_told(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_model_fault_e fault, ngx_msec_t wait,
    ngx_http_agents_buf_t *why);
static void ngx_http_agents_inference_stream_lost(
    ngx_http_agents_inference_t *inference);
static void ngx_http_agents_inference_fault(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_model_fault_e fault, ngx_msec_t wait,
    ngx_http_agents_buf_t *why);
static void ngx_http_agents_inference_renew(
    ngx_http_agents_inference_t *inference, ngx_http_agents_buf_t *why);
static void ngx_http_agents_inference_lacks(
    ngx_http_agents_inference_t *inference, unsigned lacks,
    ngx_http_agents_buf_t *why);
static void ngx_http_agents_inference_lost(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_transport_answer_t *answer);


/* The answer is a stream or not, whatever was asked for. */

ngx_int_t
ngx_http_agents_inference_body_handler(void *data, const char *type,
    const char *text, size_t len)
{
    ngx_http_agents_inference_t *inference = data;

    if (!inference->streaming) {

        if (!ngx_http_agents_stream_is(type)) {
            return NGX_DECLINED;
        }

        ngx_http_agents_stream_init(&inference->stream,
                                    inference->provider->protocol, type,
                                    inference->delta, inference->data);
        inference->streaming = 1;
    }

    errno = 0;

    if (ngx_http_agents_stream_feed(&inference->stream, text, len) == -1) {
        inference->starved = (errno == ENOMEM);
        return NGX_DONE;
    }

    if (errno == ENOMEM) {

        /* whoever it was: something of the reply is missing */

        inference->starved = 1;
        return NGX_DONE;
    }

    if (inference->stream.draft.ended && !inference->timer.timer_set) {
        ngx_add_timer(&inference->timer, NGX_HTTP_AGENTS_INFERENCE_LINGER);
    }

    return NGX_OK;
}


void
ngx_http_agents_inference_answer_handler(void *data,
    ngx_http_agents_transport_answer_t *answer)
{
    ngx_http_agents_inference_t *inference = data;

    ngx_http_agents_inference_result_t  result;

    inference->transfer = NULL;

    if (inference->timer.timer_set) {
        ngx_del_timer(&inference->timer);
    }

    if (inference->starved) {
        inference->starved = 0;

        free(answer->body);
        ngx_http_agents_inference_stream_lost(inference);
        ngx_http_agents_inference_short(inference, "no memory for the reply");
        return;
    }

    /* what is read of a stream counts, if it is a whole reply or a refusal */

    if (inference->streaming
        && (answer->status == NGX_HTTP_AGENTS_TRANSPORT_OK
            || inference->stream.draft.ended))
    {
        free(answer->body);
        ngx_http_agents_inference_streamed(inference);
        return;
    }

    ngx_http_agents_inference_stream_lost(inference);

    if (answer->status != NGX_HTTP_AGENTS_TRANSPORT_OK) {
        ngx_http_agents_inference_lost(inference, answer);
        return;
    }

    if (answer->http_status < 200 || answer->http_status > 299) {
        ngx_http_agents_inference_refused(inference, answer);
        return;
    }

    if (ngx_http_agents_inference_disguised(inference, answer)) {
        return;
    }

    ngx_memzero(&result, sizeof(ngx_http_agents_inference_result_t));

    result.status = NGX_HTTP_AGENTS_INFERENCE_REPLY;
    result.answer.body = answer->body;
    result.answer.len = answer->body_len;

    ngx_http_agents_inference_tell(inference, &result);

    ngx_http_agents_inference_free(inference);
}


/*
 * Gateways are known to send the errors of others with a status of 200.  If it
 * is one, the answer is taken over, and the inference may be gone.
 */

static ngx_uint_t
ngx_http_agents_inference_disguised(ngx_http_agents_inference_t *inference,
    ngx_http_agents_transport_answer_t *answer)
{
    ngx_uint_t                     refused;
    ngx_http_agents_buf_t          why;
    ngx_http_agents_draft_t        draft;
    ngx_http_agents_model_fault_e  fault;

    if (answer->body_len > NGX_HTTP_AGENTS_INFERENCE_ERROR_MAX) {
        return 0;
    }

    ngx_http_agents_buf_init(&why);

    refused = ngx_http_agents_draft_refused(inference->provider->protocol,
                                            answer->body, answer->body_len,
                                            &draft);
    if (refused) {
        ngx_http_agents_buf_addf(&why, "the provider answered %u: %s",
                                 (unsigned) answer->http_status,
                                 draft.why.data);
    }

    fault = draft.fault;
    ngx_http_agents_draft_free(&draft);

    if (refused) {
        free(answer->body);
        ngx_http_agents_inference_told(inference, fault, answer->retry_after,
                                       &why);
    }

    return refused;
}


void
ngx_http_agents_inference_streamed(ngx_http_agents_inference_t *inference)
{
    ngx_http_agents_buf_t                why;
    ngx_http_agents_draft_t             *draft;
    ngx_http_agents_model_fault_e        fault;
    ngx_http_agents_inference_result_t   result;

    draft = &inference->stream.draft;

    if (ngx_http_agents_stream_end(&inference->stream) == 0) {
        ngx_memzero(&result, sizeof(ngx_http_agents_inference_result_t));

        result.status = NGX_HTTP_AGENTS_INFERENCE_REPLY;
        result.answer.draft = *draft;
        result.answer.draft.delta = NULL;

        ngx_memzero(draft, sizeof(ngx_http_agents_draft_t));

        ngx_http_agents_inference_tell(inference, &result);

        ngx_http_agents_inference_free(inference);
        return;
    }

    fault = draft->fault;

    ngx_http_agents_buf_init(&why);
    ngx_http_agents_buf_addf(&why, "the provider's stream failed: %s",
                             draft->why.data ? draft->why.data : "");

    ngx_http_agents_inference_stream_lost(inference);
    ngx_http_agents_inference_told(inference, fault, 0, &why);
}


/* An error without a status of its own: a refusal is one as 400 would be.
 * Takes the text over. */

static void
ngx_http_agents_inference_told(ngx_http_agents_inference_t *inference,
    ngx_http_agents_model_fault_e fault, ngx_msec_t wait,
    ngx_http_agents_buf_t *why)
{
    unsigned  lacks;

    ngx_http_agents_authorize_redact(&inference->authorize, why);

    lacks = ngx_http_agents_refusal_lacks(400, why->data);

    if (fault == NGX_HTTP_AGENTS_FAULT_FATAL && lacks != 0) {
        ngx_http_agents_inference_lacks(inference, lacks, why);
        return;
    }

    ngx_http_agents_inference_fault(inference, fault, wait, why);
}


static void
ngx_http_agents_inference_stream_lost(ngx_http_agents_inference_t *inference)
{
    if (!inference->streaming) {
        return;
    }

    ngx_http_agents_inference_stream_free(inference);

    if (inference->lost != NULL) {
        inference->lost(inference->data);
    }
}


void
ngx_http_agents_inference_stream_free(ngx_http_agents_inference_t *inference)
{
    if (inference->streaming) {
        ngx_http_agents_stream_free(&inference->stream);
        inference->streaming = 0;
    }
}


/* The provider answered with another status than a 2xx. */

static void
ngx_http_agents_inference_refused(ngx_http_agents_inference_t *inference,
    ngx_http_agents_transport_answer_t *answer)
{
    unsigned                       lacks;
    ngx_http_agents_buf_t          why;
    ngx_http_agents_model_fault_e  fault;

    ngx_http_agents_buf_init(&why);

    ngx_http_agents_buf_addf(&why, "the provider answered %u: ",
                             (unsigned) answer->http_status);

    fault = inference->provider->protocol->fault((int) answer->http_status,
                                                 answer->body,
                                                 answer->body_len, &why);
    free(answer->body);

    ngx_http_agents_authorize_redact(&inference->authorize, &why);

    lacks = ngx_http_agents_refusal_lacks((int) answer->http_status, why.data);

    if (fault == NGX_HTTP_AGENTS_FAULT_FATAL && lacks != 0) {
        ngx_http_agents_inference_lacks(inference, lacks, &why);
        return;
    }

    /* whoever knows better than by the status says so */

    if (fault == NGX_HTTP_AGENTS_FAULT_FATAL && answer->should_retry > 0) {
        fault = NGX_HTTP_AGENTS_FAULT_RETRY;

    } else if ((fault == NGX_HTTP_AGENTS_FAULT_RETRY
                || fault == NGX_HTTP_AGENTS_FAULT_ONCE)
               && answer->should_retry < 0)
    {
        fault = NGX_HTTP_AGENTS_FAULT_FATAL;
    }

    ngx_http_agents_inference_fault(inference, fault, answer->retry_after,
                                    &why);
}


/* Takes the text over. */

static void
ngx_http_agents_inference_fault(ngx_http_agents_inference_t *inference,
    ngx_http_agents_model_fault_e fault, ngx_msec_t wait,
    ngx_http_agents_buf_t *why)
{
    switch (fault) {

    case NGX_HTTP_AGENTS_FAULT_RETRY:
        ngx_http_agents_inference_again(inference, wait, why);
        break;

    case NGX_HTTP_AGENTS_FAULT_ONCE:

        if (inference->repeated) {
            ngx_http_agents_inference_end(inference,
                                          NGX_HTTP_AGENTS_INFERENCE_FAILED,
                                          why);
            break;
        }

        inference->repeated = 1;
        ngx_http_agents_inference_again(inference, wait, why);
        break;

    case NGX_HTTP_AGENTS_FAULT_CONTEXT:
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_CONTEXT, why);
        break;

    case NGX_HTTP_AGENTS_FAULT_FILTERED:
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_FILTERED, why);
        break;

    case NGX_HTTP_AGENTS_FAULT_CREDENTIALS:
        ngx_http_agents_inference_renew(inference, why);
        break;

    case NGX_HTTP_AGENTS_FAULT_FATAL:
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_FAILED, why);
        break;
    }
}


/* Takes the text over.  Once, at once, and not counted as a retry. */

static void
ngx_http_agents_inference_renew(ngx_http_agents_inference_t *inference,
    ngx_http_agents_buf_t *why)
{
    if (inference->renewed
        || ngx_http_agents_authorize_refused(&inference->authorize,
                                             inference->provider)
           != NGX_OK)
    {
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_FAILED, why);
        return;
    }

    inference->renewed = 1;

    ngx_http_agents_inference_again(inference, 1, why);
}


/* Takes the text over. */

static void
ngx_http_agents_inference_lacks(ngx_http_agents_inference_t *inference,
    unsigned lacks, ngx_http_agents_buf_t *why)
{
    ngx_http_agents_inference_result_t  result;

    ngx_memzero(&result, sizeof(ngx_http_agents_inference_result_t));

    result.status = NGX_HTTP_AGENTS_INFERENCE_LACKS;
    result.lacks = lacks;
    result.message = why->data;

    ngx_http_agents_inference_tell(inference, &result);

    ngx_http_agents_buf_free(why);
    ngx_http_agents_inference_free(inference);
}


/* There was no answer, or none that could be kept. */

static void
ngx_http_agents_inference_lost(ngx_http_agents_inference_t *inference,
    ngx_http_agents_transport_answer_t *answer)
{
    ngx_http_agents_buf_t  why;

    if (answer->status == NGX_HTTP_AGENTS_TRANSPORT_SHORT) {
        ngx_http_agents_inference_short(inference, answer->error);
        return;
    }

    inference->shorts = 0;

    ngx_http_agents_buf_init(&why);

    switch (answer->status) {

    case NGX_HTTP_AGENTS_TRANSPORT_REFUSED:
        ngx_http_agents_buf_addf(&why, "the provider could not be reached: %s",
                                 answer->error);
        break;

    case NGX_HTTP_AGENTS_TRANSPORT_TIMEOUT:
        ngx_http_agents_buf_addf(&why,
                                 "the provider did not answer in time: %s",
                                 answer->error);
        break;

    case NGX_HTTP_AGENTS_TRANSPORT_TOO_BIG:
        ngx_http_agents_buf_addf(&why,
                                 "the provider's answer is over %d MiB",
                                 NGX_HTTP_AGENTS_INFERENCE_BODY_MAX
                                 / (1024 * 1024));
        break;

    default:
        ngx_http_agents_buf_addf(&why,
                                 "the connection to the provider failed: %s",
                                 answer->error);
        break;
    }

    ngx_http_agents_authorize_redact(&inference->authorize, &why);

    if (answer->status == NGX_HTTP_AGENTS_TRANSPORT_FAILED
        || answer->status == NGX_HTTP_AGENTS_TRANSPORT_TOO_BIG)
    {
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_FAILED, &why);
        return;
    }

    if (answer->status == NGX_HTTP_AGENTS_TRANSPORT_TIMEOUT && inference->last)
    {
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_TIMEOUT, &why);
        return;
    }

    ngx_http_agents_inference_again(inference, 0, &why);
}
