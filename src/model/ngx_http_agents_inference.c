
/*
 * Attempts: how they are sent, what they wait for, and how an inference ends.
 */


#include "ngx_http_agents_inference_parts.h"


/* The wait before a retry: doubled each time, up to the second. */
#define NGX_HTTP_AGENTS_INFERENCE_BACKOFF      500
#define NGX_HTTP_AGENTS_INFERENCE_BACKOFF_MAX  8000


static ngx_int_t ngx_http_agents_inference_url(
    ngx_http_agents_inference_t *inference);
static ngx_int_t ngx_http_agents_inference_headers(
    ngx_http_agents_inference_t *inference);
static void ngx_http_agents_inference_attempt(
    ngx_http_agents_inference_t *inference);
static void ngx_http_agents_inference_keys_handler(void *data,
    const char *error);
static ngx_int_t ngx_http_agents_inference_send(
    ngx_http_agents_inference_t *inference);
static ngx_msec_t ngx_http_agents_inference_left(
    ngx_http_agents_inference_t *inference);
static ngx_msec_t ngx_http_agents_inference_backoff(ngx_uint_t attempts);
static void ngx_http_agents_inference_timer_handler(ngx_event_t *ev);


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

    if (ngx_http_agents_inference_url(inference) != NGX_OK) {
        ngx_http_agents_inference_free(inference);
        return NULL;
    }

    ngx_http_agents_inference_attempt(inference);

    return inference;
}


void
ngx_http_agents_inference_listen(ngx_http_agents_inference_t *inference,
    ngx_http_agents_delta_pt delta, ngx_http_agents_inference_lost_pt lost)
{
    inference->delta = delta;
    inference->lost = lost;
}


ngx_http_agents_draft_t *
ngx_http_agents_inference_draft(ngx_http_agents_inference_t *inference)
{
    return inference->streaming ? &inference->stream.draft : NULL;
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


static void
ngx_http_agents_inference_attempt(ngx_http_agents_inference_t *inference)
{
    ngx_int_t  rc;

    inference->attempts++;

    rc = NGX_OK;

    if (inference->provider->instance != NULL) {
        rc = ngx_http_agents_instance_get(inference->provider->instance,
                                          &inference->keys);
    }

    if (rc == NGX_AGAIN) {
        ngx_add_timer(&inference->timer,
                      ngx_http_agents_inference_left(inference));
        return;
    }

    if (rc != NGX_OK || ngx_http_agents_inference_send(inference) != NGX_OK) {
        ngx_http_agents_inference_short(inference, "no memory");
    }
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
        ngx_http_agents_inference_short(inference, "no memory");
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


/*
 * Tries again after what the provider asked for, or the backoff.  A wait that
 * would outlast the deadline is not begun: what is known by then is told.
 */

void
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


/* Nothing ends within "start": there is time left at that moment. */

void
ngx_http_agents_inference_short(ngx_http_agents_inference_t *inference,
    const char *what)
{
    ngx_msec_t             left, wait;
    ngx_http_agents_buf_t  why;

    left = ngx_http_agents_inference_left(inference);

    if (left == 0) {
        ngx_http_agents_buf_init(&why);
        ngx_http_agents_buf_addf(&why, "this server could not ask the "
                                 "provider in time: %s", what);
        ngx_http_agents_inference_end(inference,
                                      NGX_HTTP_AGENTS_INFERENCE_TIMEOUT, &why);
        return;
    }

    inference->attempts--;
    inference->shorts++;

    wait = ngx_http_agents_inference_backoff(inference->shorts);
    wait = ngx_min(wait, left);

    ngx_log_error(NGX_LOG_WARN, inference->log, 0,
                  "agents provider \"%V\" could not be asked, again in %M ms: "
                  "%s", &inference->provider->name, wait, what);

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

    ngx_http_agents_inference_attempt(inference);
}


/* Takes the text over. */

void
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


void
ngx_http_agents_inference_tell(ngx_http_agents_inference_t *inference,
    ngx_http_agents_inference_result_t *result)
{
    /* one that could not be made in time is none */

    result->attempts = ngx_max(inference->attempts, 1);

    inference->done(inference->data, result);
}


void
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
