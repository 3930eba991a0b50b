
#include "ngx_http_agents_authorize.h"
#include "ngx_http_agents_inference.h"
#include "ngx_http_agents_instance.h"
#include "ngx_http_agents_refusal.h"


#define NGX_HTTP_AGENTS_INFERENCE_BODY_MAX     (16 * 1024 * 1024)

/* The wait before a retry: doubled each time, up to the second. */
#define NGX_HTTP_AGENTS_INFERENCE_BACKOFF      500
#define NGX_HTTP_AGENTS_INFERENCE_BACKOFF_MAX  8000

/* How long a stream may stay open behind the reply's end, in milliseconds; a
 * connection that ends in time is used again. */
#define NGX_HTTP_AGENTS_INFERENCE_LINGER       250


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
    ngx_str_t                               url;
    char                                  **headers;
    size_t                                  nheaders;
    ngx_http_agents_authorize_t             authorize;
    ngx_log_t                              *log;
    ngx_http_agents_inference_done_pt       done;
    void                                   *data;
    unsigned                                last:1;     /* the attempt ends
                                                           with the deadline */
    unsigned                                streaming:1;
    unsigned                                renewed:1;  /* credentials were
                                                           refused once */
};


static ngx_int_t ngx_http_agents_inference_url(
    ngx_http_agents_inference_t *inference);
static ngx_int_t ngx_http_agents_inference_headers(
    ngx_http_agents_inference_t *inference);
static ngx_int_t ngx_http_agents_inference_attempt(
    ngx_http_agents_inference_t *inference);
static void ngx_http_agents_inference_keys_handler(void *data,
    const char *error);
static ngx_int_t ngx_http_agents_inference_send(
    ngx_http_agents_inference_t *inference);
static ngx_msec_t ngx_http_agents_inference_left(
    ngx_http_agents_inference_t *inference);
static ngx_int_t ngx_http_agents_inference_body_handler(void *data,
    const char *type, const char *text, size_t len);
static void ngx_http_agents_inference_answer_handler(void *data,
    ngx_http_agents_transport_answer_t *answer);
static void ngx_http_agents_inference_streamed(
    ngx_http_agents_inference_t *inference);
static void ngx_http_agents_inference_stream_free(
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
static void ngx_http_agents_inference_refused(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_transport_answer_t *answer);
static void ngx_http_agents_inference_lost(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_transport_answer_t *answer);
static void ngx_http_agents_inference_again(
    ngx_http_agents_inference_t *inference, ngx_msec_t wait,
    ngx_http_agents_buf_t *why);
static ngx_msec_t ngx_http_agents_inference_backoff(ngx_uint_t attempts);
static void ngx_http_agents_inference_timer_handler(ngx_event_t *ev);
static void ngx_http_agents_inference_end(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_inference_status_e status, ngx_http_agents_buf_t *why);
static void ngx_http_agents_inference_tell(
    ngx_http_agents_inference_t *inference,
    ngx_http_agents_inference_result_t *result);
static void ngx_http_agents_inference_free(
    ngx_http_agents_inference_t *inference);


ngx_http_agents_inference_t *
ngx_http_agents_inference_start(ngx_http_agents_provider_t *provider,
    const ngx_http_agents_model_request_t *request, ngx_msec_t deadline,
    ngx_log_t *log, ngx_http_agents_inference_done_pt done, void *data)
{
    ngx_http_agents_inference_t  *inference;

    inference = ngx_calloc(sizeof(ngx_http_agents_inference_t), log);
    if (inference == NULL) {
        return NULL;
    }

    inference->transport = provider->transport;
    inference->provider = provider;
    inference->request = request;
    inference->start = ngx_current_msec;
    inference->deadline = deadline;
    inference->log = log;
    inference->done = done;
    inference->data = data;

    inference->keys.done = ngx_http_agents_inference_keys_handler;
    inference->keys.data = inference;

    inference->timer.handler = ngx_http_agents_inference_timer_handler;
    inference->timer.data = inference;
    inference->timer.log = log;

    if (ngx_http_agents_inference_url(inference) != NGX_OK
        || ngx_http_agents_inference_attempt(inference) != NGX_OK)
    {
        ngx_http_agents_inference_free(inference);
        return NULL;
    }

    return inference;
}


void
ngx_http_agents_inference_cancel(ngx_http_agents_inference_t *inference)
{
    if (inference->transfer != NULL) {
        ngx_http_agents_transport_cancel(inference->transfer);
    }

    ngx_http_agents_inference_free(inference);
}


static ngx_int_t
ngx_http_agents_inference_url(ngx_http_agents_inference_t *inference)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *endpoint;

    endpoint = &inference->provider->endpoint;
    len = ngx_strlen(inference->request->path);

    inference->url.data = ngx_alloc(endpoint->len + len + 1, inference->log);
    if (inference->url.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(inference->url.data, endpoint->data, endpoint->len);
    p = ngx_cpymem(p, inference->request->path, len);
    *p = '\0';

    inference->url.len = p - inference->url.data;

    return NGX_OK;
}


/* The request's own, and behind them those that say who asks. */

static ngx_int_t
ngx_http_agents_inference_headers(ngx_http_agents_inference_t *inference)
{
    size_t  n;

    n = inference->request->nheaders;

    if (inference->headers == NULL) {
        inference->headers = ngx_alloc((n + NGX_HTTP_AGENTS_AUTHORIZE_LINES)
                                       * sizeof(char *), inference->log);
        if (inference->headers == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(inference->headers, inference->request->headers,
                   n * sizeof(char *));
    }

    ngx_http_agents_authorize_clear(&inference->authorize);

    if (ngx_http_agents_authorize(&inference->authorize, inference->provider,
                                  inference->request, &inference->url)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(inference->headers + n, inference->authorize.lines,
               inference->authorize.n * sizeof(char *));

    inference->nheaders = n + inference->authorize.n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_inference_attempt(ngx_http_agents_inference_t *inference)
{
    ngx_int_t  rc;

    inference->attempts++;

    if (inference->provider->instance == NULL) {
        return ngx_http_agents_inference_send(inference);
    }

    rc = ngx_http_agents_instance_get(inference->provider->instance,
                                      &inference->keys);
    if (rc == NGX_OK) {
        return ngx_http_agents_inference_send(inference);
    }

    if (rc == NGX_AGAIN) {
        ngx_add_timer(&inference->timer,
                      ngx_http_agents_inference_left(inference));
        return NGX_OK;
    }

    return NGX_ERROR;
}


static void
ngx_http_agents_inference_keys_handler(void *data, const char *error)
{
    ngx_http_agents_inference_t *inference = data;

    ngx_http_agents_buf_t  why;

    ngx_del_timer(&inference->timer);

    ngx_http_agents_buf_init(&why);

    if (error != NULL) {
        ngx_http_agents_buf_addf(&why, "there are no credentials for the "
                                 "provider: %s", error);

        ngx_http_agents_inference_again(inference, 0, &why);
        return;
    }

    if (ngx_http_agents_inference_send(inference) != NGX_OK) {
        ngx_http_agents_buf_adds(&why, "out of memory");
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_FAILED, &why);
    }
}


static ngx_int_t
ngx_http_agents_inference_send(ngx_http_agents_inference_t *inference)
{
    ngx_msec_t                            left;
    ngx_http_agents_provider_t           *provider;
    ngx_http_agents_transport_request_t   request;

    if (ngx_http_agents_inference_headers(inference) != NGX_OK) {
        return NGX_ERROR;
    }

    provider = inference->provider;
    left = ngx_http_agents_inference_left(inference);

    inference->last = (left <= provider->timeout);

    ngx_memzero(&request, sizeof(ngx_http_agents_transport_request_t));

    request.url = inference->url;
    request.resolve = provider->resolve;
    request.unresolved = provider->unresolved;

    if (provider->moved != 0) {
        request.max_age = (ngx_current_msec - provider->moved) / 1000 + 1;
    }

    request.headers = inference->headers;
    request.nheaders = inference->nheaders;
    request.body = inference->request->body;
    request.body_len = inference->request->body_len;
    request.connect_timeout = provider->connect_timeout;
    request.timeout = inference->last ? left : provider->timeout;
    request.max_body = NGX_HTTP_AGENTS_INFERENCE_BODY_MAX;
    request.on_body = ngx_http_agents_inference_body_handler;
    request.trusted_certificate = provider->trusted_certificate;
    request.proxy = provider->proxy;
    request.log = inference->log;

    inference->transfer = ngx_http_agents_transport_send(inference->transport,
                               &request,
                               ngx_http_agents_inference_answer_handler,
                               inference);

    return (inference->transfer != NULL) ? NGX_OK : NGX_ERROR;
}


static ngx_msec_t
ngx_http_agents_inference_left(ngx_http_agents_inference_t *inference)
{
    ngx_msec_t  passed;

    passed = ngx_current_msec - inference->start;

    return (passed < inference->deadline) ? inference->deadline - passed : 0;
}


/* The answer is a stream or not, whatever was asked for. */

static ngx_int_t
ngx_http_agents_inference_body_handler(void *data, const char *type,
    const char *text, size_t len)
{
    ngx_http_agents_inference_t *inference = data;

    if (!inference->streaming) {

        if (!ngx_http_agents_stream_is(type)) {
            return NGX_DECLINED;
        }

        ngx_http_agents_stream_init(&inference->stream,
                                    inference->provider->protocol, type, NULL,
                                    NULL);
        inference->streaming = 1;
    }

    if (ngx_http_agents_stream_feed(&inference->stream, text, len) == -1) {
        return NGX_DONE;
    }

    if (inference->stream.draft.ended && !inference->timer.timer_set) {
        ngx_add_timer(&inference->timer, NGX_HTTP_AGENTS_INFERENCE_LINGER);
    }

    return NGX_OK;
}


static void
ngx_http_agents_inference_answer_handler(void *data,
    ngx_http_agents_transport_answer_t *answer)
{
    ngx_http_agents_inference_t *inference = data;

    ngx_http_agents_inference_result_t  result;

    inference->transfer = NULL;

    if (inference->timer.timer_set) {
        ngx_del_timer(&inference->timer);
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

    ngx_http_agents_inference_stream_free(inference);

    if (answer->status != NGX_HTTP_AGENTS_TRANSPORT_OK) {
        ngx_http_agents_inference_lost(inference, answer);
        return;
    }

    if (answer->http_status < 200 || answer->http_status > 299) {
        ngx_http_agents_inference_refused(inference, answer);
        return;
    }

    ngx_memzero(&result, sizeof(ngx_http_agents_inference_result_t));

    result.status = NGX_HTTP_AGENTS_INFERENCE_REPLY;
    result.answer.body = answer->body;
    result.answer.len = answer->body_len;

    ngx_http_agents_inference_tell(inference, &result);

    ngx_http_agents_inference_free(inference);
}


static void
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

        ngx_memzero(draft, sizeof(ngx_http_agents_draft_t));

        ngx_http_agents_inference_tell(inference, &result);

        ngx_http_agents_inference_free(inference);
        return;
    }

    fault = draft->fault;

    ngx_http_agents_buf_init(&why);
    ngx_http_agents_buf_addf(&why, "the provider's stream failed: %s",
                             draft->why.data ? draft->why.data : "");

    ngx_http_agents_inference_stream_free(inference);
    ngx_http_agents_authorize_redact(&inference->authorize, &why);
    ngx_http_agents_inference_fault(inference, fault, 0, &why);
}


/* Another attempt begins anew: nothing of a broken stream is kept. */

static void
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

    } else if (fault == NGX_HTTP_AGENTS_FAULT_RETRY
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


/*
 * Tries again after what the provider asked for, or the backoff.  A wait that
 * would outlast the deadline is not begun: what is known by then is told.
 */

static void
ngx_http_agents_inference_again(ngx_http_agents_inference_t *inference,
    ngx_msec_t wait, ngx_http_agents_buf_t *why)
{
    ngx_msec_t  left;

    left = ngx_http_agents_inference_left(inference);

    if (left == 0) {
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_TIMEOUT, why);
        return;
    }

    if (wait == 0) {
        wait = ngx_http_agents_inference_backoff(inference->attempts);
    }

    if (inference->attempts > inference->provider->retries + inference->renewed
        || wait >= left)
    {
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_FAILED, why);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, inference->log, 0,
                  "agents provider \"%V\": attempt %ui failed, again in "
                  "%M ms: %s", &inference->provider->name,
                  inference->attempts, wait,
                  (why->data != NULL) ? why->data : "");

    ngx_http_agents_buf_free(why);

    ngx_add_timer(&inference->timer, wait);
}


/* Between three quarters and the whole of the step, so that many spread. */

static ngx_msec_t
ngx_http_agents_inference_backoff(ngx_uint_t attempts)
{
    ngx_msec_t  wait;

    wait = NGX_HTTP_AGENTS_INFERENCE_BACKOFF;

    while (--attempts != 0 && wait < NGX_HTTP_AGENTS_INFERENCE_BACKOFF_MAX) {
        wait *= 2;
    }

    return wait - (ngx_msec_t) ngx_random() % (wait / 4);
}


static void
ngx_http_agents_inference_timer_handler(ngx_event_t *ev)
{
    ngx_http_agents_buf_t         why;
    ngx_http_agents_inference_t  *inference;

    inference = ev->data;

    if (inference->transfer != NULL) {

        /* the reply is whole, and its stream was not closed behind it */

        ngx_http_agents_transport_cancel(inference->transfer);
        inference->transfer = NULL;

        ngx_http_agents_inference_streamed(inference);
        return;
    }

    ngx_http_agents_buf_init(&why);

    if (inference->keys.waiting) {
        ngx_http_agents_buf_adds(&why, "there were no credentials for the "
                                 "provider in time");

        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_TIMEOUT, &why);
        return;
    }

    if (ngx_http_agents_inference_attempt(inference) == NGX_OK) {
        return;
    }

    ngx_http_agents_buf_adds(&why, "out of memory");

    ngx_http_agents_inference_end(inference, NGX_HTTP_AGENTS_INFERENCE_FAILED,
                                  &why);
}


/* Takes the text over. */

static void
ngx_http_agents_inference_end(ngx_http_agents_inference_t *inference,
    ngx_http_agents_inference_status_e status, ngx_http_agents_buf_t *why)
{
    ngx_http_agents_inference_result_t  result;

    ngx_memzero(&result, sizeof(ngx_http_agents_inference_result_t));

    result.status = status;
    result.message = (why->data != NULL && !why->failed) ? why->data
                                                         : "out of memory";

    ngx_http_agents_inference_tell(inference, &result);

    ngx_http_agents_buf_free(why);
    ngx_http_agents_inference_free(inference);
}


static void
ngx_http_agents_inference_tell(ngx_http_agents_inference_t *inference,
    ngx_http_agents_inference_result_t *result)
{
    result->attempts = inference->attempts;

    inference->done(inference->data, result);
}


static void
ngx_http_agents_inference_free(ngx_http_agents_inference_t *inference)
{
    if (inference->timer.timer_set) {
        ngx_del_timer(&inference->timer);
    }

    ngx_http_agents_instance_cancel(&inference->keys);
    ngx_http_agents_inference_stream_free(inference);

    ngx_http_agents_authorize_clear(&inference->authorize);

    if (inference->headers != NULL) {
        ngx_free(inference->headers);
    }

    ngx_free(inference->url.data);
    ngx_free(inference);
}
