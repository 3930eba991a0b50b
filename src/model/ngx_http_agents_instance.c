
#include "ngx_http_agents_instance.h"


/* How long before their end keys are fetched anew while they are used on, and
 * from when on they are used no more, in seconds. */
#define NGX_HTTP_AGENTS_INSTANCE_EARLY        300
#define NGX_HTTP_AGENTS_INSTANCE_LATE         60

/* Of one request, in milliseconds. */
#define NGX_HTTP_AGENTS_INSTANCE_CONNECT      2000
#define NGX_HTTP_AGENTS_INSTANCE_TIMEOUT      5000

/* The wait behind a fetch that failed: doubled each time, up to the second. */
#define NGX_HTTP_AGENTS_INSTANCE_BACKOFF      500
#define NGX_HTTP_AGENTS_INSTANCE_BACKOFF_MAX  8000

#define NGX_HTTP_AGENTS_INSTANCE_BODY_MAX     65536

#define NGX_HTTP_AGENTS_INSTANCE_ROLES                                        \
    "/latest/meta-data/iam/security-credentials/"


/*
 * A fetch, of the metadata service or of a container's endpoint:
 *
 *     idle --> token --> role --> keys --> idle
 *     idle ---------------------> keys --> idle
 */

typedef enum {
    NGX_HTTP_AGENTS_INSTANCE_IDLE = 0,
    NGX_HTTP_AGENTS_INSTANCE_TOKEN,
    NGX_HTTP_AGENTS_INSTANCE_ROLE,
    NGX_HTTP_AGENTS_INSTANCE_KEYS
} ngx_http_agents_instance_state_e;


struct ngx_http_agents_instance_s {
    const ngx_http_agents_aws_source_t  *source;
    ngx_http_agents_transport_t         *transport;
    ngx_http_agents_transfer_t          *transfer;
    ngx_http_agents_instance_state_e     state;
    ngx_http_agents_aws_keys_t           keys;
    ngx_http_agents_buf_t                header;    /* that proves who asks */
    ngx_queue_t                          waiting;
    ngx_event_t                          timer;     /* to the next fetch */
    ngx_uint_t                           failures;  /* in a row */
    ngx_msec_t                           next;      /* no fetch before it,
                                                       where there were some */
    ngx_log_t                           *log;
    unsigned                             refused:1;
};


static ngx_msec_t ngx_http_agents_instance_pause(
    ngx_http_agents_instance_t *instance);
static ngx_int_t ngx_http_agents_instance_fetch(
    ngx_http_agents_instance_t *instance);
static ngx_int_t ngx_http_agents_instance_send(
    ngx_http_agents_instance_t *instance,
    ngx_http_agents_instance_state_e state, const char *method,
    const char *path, const char *name, const char *header);
static void ngx_http_agents_instance_answer_handler(void *data,
    ngx_http_agents_transport_answer_t *answer);
static void ngx_http_agents_instance_token(
    ngx_http_agents_instance_t *instance,
    ngx_http_agents_transport_answer_t *answer);
static void ngx_http_agents_instance_role(ngx_http_agents_instance_t *instance,
    ngx_http_agents_transport_answer_t *answer);
static void ngx_http_agents_instance_read(ngx_http_agents_instance_t *instance,
    ngx_http_agents_transport_answer_t *answer);
static void ngx_http_agents_instance_fail(ngx_http_agents_instance_t *instance,
    const char *error);
static void ngx_http_agents_instance_tell(ngx_http_agents_instance_t *instance,
    const char *error);
static void ngx_http_agents_instance_timer_handler(ngx_event_t *ev);
static void ngx_http_agents_instance_forget(ngx_http_agents_buf_t *buf);


/* What a step asks for, as people would say it. */

static const char *const  ngx_http_agents_instance_steps[] = {
    "", "the metadata service's token", "the name of the role",
    "the keys"
};


ngx_http_agents_instance_t *
ngx_http_agents_instance_create(const ngx_http_agents_aws_source_t *source,
    ngx_http_agents_transport_t *transport, ngx_log_t *log)
{
    ngx_http_agents_instance_t  *instance;

    instance = ngx_calloc(sizeof(ngx_http_agents_instance_t), log);
    if (instance == NULL) {
        return NULL;
    }

    instance->source = source;
    instance->transport = transport;
    instance->log = log;

    ngx_queue_init(&instance->waiting);

    instance->timer.handler = ngx_http_agents_instance_timer_handler;
    instance->timer.data = instance;
    instance->timer.log = log;
    instance->timer.cancelable = 1;

    return instance;
}


void
ngx_http_agents_instance_destroy(ngx_http_agents_instance_t *instance)
{
    if (instance->transfer != NULL) {
        ngx_http_agents_transport_cancel(instance->transfer);
    }

    if (instance->timer.timer_set) {
        ngx_del_timer(&instance->timer);
    }

    ngx_http_agents_instance_forget(&instance->header);
    ngx_http_agents_aws_keys_clear(&instance->keys);
    ngx_free(instance);
}


ngx_int_t
ngx_http_agents_instance_get(ngx_http_agents_instance_t *instance,
    ngx_http_agents_instance_wait_t *wait)
{
    time_t      left;
    ngx_msec_t  pause;

    left = 0;
    pause = ngx_http_agents_instance_pause(instance);

    if (instance->keys.access_key != NULL && !instance->refused) {
        left = (instance->keys.expires == 0)
               ? NGX_MAX_TIME_T_VALUE : instance->keys.expires - ngx_time();
    }

    if (left > NGX_HTTP_AGENTS_INSTANCE_LATE) {

        if (left <= NGX_HTTP_AGENTS_INSTANCE_EARLY && pause == 0
            && instance->state == NGX_HTTP_AGENTS_INSTANCE_IDLE)
        {
            /* in the background: what there is will do for now */

            (void) ngx_http_agents_instance_fetch(instance);
        }

        return NGX_OK;
    }

    if (instance->state == NGX_HTTP_AGENTS_INSTANCE_IDLE) {

        if (pause != 0) {
            if (!instance->timer.timer_set) {
                ngx_add_timer(&instance->timer, pause);
            }

        } else if (ngx_http_agents_instance_fetch(instance) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_queue_insert_tail(&instance->waiting, &wait->queue);
    wait->waiting = 1;

    return NGX_AGAIN;
}


void
ngx_http_agents_instance_cancel(ngx_http_agents_instance_wait_t *wait)
{
    if (wait->waiting) {
        ngx_queue_remove(&wait->queue);
        wait->waiting = 0;
    }
}


const ngx_http_agents_aws_keys_t *
ngx_http_agents_instance_keys(ngx_http_agents_instance_t *instance)
{
    return &instance->keys;
}


void
ngx_http_agents_instance_refused(ngx_http_agents_instance_t *instance,
    const ngx_str_t *session_token)
{
    const char  *token;

    token = (instance->keys.session_token != NULL)
            ? instance->keys.session_token : "";

    if (ngx_strlen(token) == session_token->len
        && ngx_memcmp(token, session_token->data, session_token->len) == 0)
    {
        instance->refused = 1;
    }
}


/* Milliseconds until the next fetch may begin. */

static ngx_msec_t
ngx_http_agents_instance_pause(ngx_http_agents_instance_t *instance)
{
    ngx_msec_int_t  left;

    if (instance->failures == 0) {
        return 0;
    }

    left = (ngx_msec_int_t) (instance->next - ngx_current_msec);

    return (left > 0) ? (ngx_msec_t) left : 0;
}


static ngx_int_t
ngx_http_agents_instance_fetch(ngx_http_agents_instance_t *instance)
{
    const ngx_str_t  *authorization;

    if (!instance->source->container) {
        return ngx_http_agents_instance_send(instance,
                                NGX_HTTP_AGENTS_INSTANCE_TOKEN, "PUT",
                                "/latest/api/token", "",
                                "X-aws-ec2-metadata-token-ttl-seconds: 21600");
    }

    authorization = &instance->source->authorization;

    ngx_http_agents_instance_forget(&instance->header);

    if (authorization->len != 0) {
        ngx_http_agents_buf_addf(&instance->header, "Authorization: %s",
                                 (char *) authorization->data);
        if (instance->header.failed) {
            return NGX_ERROR;
        }
    }

    return ngx_http_agents_instance_send(instance,
                                         NGX_HTTP_AGENTS_INSTANCE_KEYS, "GET",
                                         "", "", instance->header.data);
}


/* "header" may be NULL: none. */

static ngx_int_t
ngx_http_agents_instance_send(ngx_http_agents_instance_t *instance,
    ngx_http_agents_instance_state_e state, const char *method,
    const char *path, const char *name, const char *header)
{
    char                                 *line;
    ngx_http_agents_buf_t                 url;
    ngx_http_agents_transport_request_t   request;

    ngx_http_agents_buf_init(&url);
    ngx_http_agents_buf_addf(&url, "%s%s%s",
                             (char *) instance->source->url.data, path, name);
    if (url.failed) {
        return NGX_ERROR;
    }

    line = (char *) header;

    ngx_memzero(&request, sizeof(ngx_http_agents_transport_request_t));

    request.method = method;
    request.url.data = (u_char *) url.data;
    request.url.len = url.len;
    request.resolve = instance->source->resolve;
    request.headers = &line;
    request.nheaders = (header != NULL) ? 1 : 0;
    request.connect_timeout = NGX_HTTP_AGENTS_INSTANCE_CONNECT;
    request.timeout = NGX_HTTP_AGENTS_INSTANCE_TIMEOUT;
    request.max_body = NGX_HTTP_AGENTS_INSTANCE_BODY_MAX;
    request.log = instance->log;

    instance->transfer = ngx_http_agents_transport_send(instance->transport,
                                 &request,
                                 ngx_http_agents_instance_answer_handler,
                                 instance);

    ngx_http_agents_buf_free(&url);

    if (instance->transfer == NULL) {
        return NGX_ERROR;
    }

    instance->state = state;

    return NGX_OK;
}


static void
ngx_http_agents_instance_answer_handler(void *data,
    ngx_http_agents_transport_answer_t *answer)
{
    ngx_http_agents_instance_t *instance = data;

    const char             *step;
    ngx_http_agents_buf_t   why;

    instance->transfer = NULL;

    step = ngx_http_agents_instance_steps[instance->state];
    ngx_http_agents_buf_init(&why);

    if (answer->status != NGX_HTTP_AGENTS_TRANSPORT_OK) {
        ngx_http_agents_buf_addf(&why, "no answer to the request for %s: %s",
                                 step, answer->error);

    } else if (answer->http_status != 200) {
        ngx_http_agents_buf_addf(&why, "the request for %s was answered %u",
                                 step, (unsigned) answer->http_status);

    } else if (instance->state == NGX_HTTP_AGENTS_INSTANCE_TOKEN) {
        ngx_http_agents_instance_token(instance, answer);

    } else if (instance->state == NGX_HTTP_AGENTS_INSTANCE_ROLE) {
        ngx_http_agents_instance_role(instance, answer);

    } else {
        ngx_http_agents_instance_read(instance, answer);
    }

    if (why.len != 0 || why.failed) {
        ngx_http_agents_instance_fail(instance, why.data);
    }

    ngx_http_agents_buf_free(&why);

    if (answer->body != NULL) {
        ngx_explicit_memzero(answer->body, answer->body_len);
        free(answer->body);
    }
}


static void
ngx_http_agents_instance_token(ngx_http_agents_instance_t *instance,
    ngx_http_agents_transport_answer_t *answer)
{
    ngx_http_agents_instance_forget(&instance->header);

    ngx_http_agents_buf_adds(&instance->header, "X-aws-ec2-metadata-token: ");

    if (ngx_http_agents_aws_keys_word(&instance->header, answer->body,
                                      answer->body_len)
        != 0)
    {
        ngx_http_agents_instance_fail(instance, "the metadata service's token "
                                      "is none");
        return;
    }

    if (ngx_http_agents_instance_send(instance, NGX_HTTP_AGENTS_INSTANCE_ROLE,
                                      "GET", NGX_HTTP_AGENTS_INSTANCE_ROLES,
                                      "", instance->header.data)
        != NGX_OK)
    {
        ngx_http_agents_instance_fail(instance, "out of memory");
    }
}


static void
ngx_http_agents_instance_role(ngx_http_agents_instance_t *instance,
    ngx_http_agents_transport_answer_t *answer)
{
    ngx_int_t              rc;
    ngx_http_agents_buf_t  role;

    ngx_http_agents_buf_init(&role);

    if (ngx_http_agents_aws_keys_word(&role, answer->body, answer->body_len)
        != 0)
    {
        ngx_http_agents_buf_free(&role);
        ngx_http_agents_instance_fail(instance, "the machine has no role");
        return;
    }

    rc = ngx_http_agents_instance_send(instance, NGX_HTTP_AGENTS_INSTANCE_KEYS,
                                       "GET", NGX_HTTP_AGENTS_INSTANCE_ROLES,
                                       role.data, instance->header.data);

    ngx_http_agents_buf_free(&role);

    if (rc != NGX_OK) {
        ngx_http_agents_instance_fail(instance, "out of memory");
    }
}


static void
ngx_http_agents_instance_read(ngx_http_agents_instance_t *instance,
    ngx_http_agents_transport_answer_t *answer)
{
    ngx_http_agents_buf_t       why;
    ngx_http_agents_aws_keys_t  keys;

    ngx_http_agents_buf_init(&why);
    ngx_http_agents_buf_adds(&why, "the document with the keys is none: ");

    if (ngx_http_agents_aws_keys_read(&keys, answer->body, answer->body_len,
                                      &why)
        != 0)
    {
        ngx_http_agents_instance_fail(instance, why.data);
        ngx_http_agents_buf_free(&why);
        return;
    }

    ngx_http_agents_buf_free(&why);

    ngx_http_agents_aws_keys_clear(&instance->keys);
    ngx_http_agents_instance_forget(&instance->header);

    instance->keys = keys;
    instance->state = NGX_HTTP_AGENTS_INSTANCE_IDLE;
    instance->failures = 0;
    instance->refused = 0;

    ngx_http_agents_instance_tell(instance, NULL);
}


/* "error" is NULL without memory. */

static void
ngx_http_agents_instance_fail(ngx_http_agents_instance_t *instance,
    const char *error)
{
    ngx_uint_t  i;
    ngx_msec_t  pause;

    if (error == NULL) {
        error = "out of memory";
    }

    ngx_http_agents_instance_forget(&instance->header);

    instance->state = NGX_HTTP_AGENTS_INSTANCE_IDLE;
    instance->failures++;

    pause = NGX_HTTP_AGENTS_INSTANCE_BACKOFF;

    for (i = 1; i < instance->failures
                && pause < NGX_HTTP_AGENTS_INSTANCE_BACKOFF_MAX; i++)
    {
        pause *= 2;
    }

    pause -= (ngx_msec_t) ngx_random() % (pause / 4);
    instance->next = ngx_current_msec + pause;

    ngx_log_error(NGX_LOG_WARN, instance->log, 0,
                  "AWS credentials could not be fetched from \"%V\", again in "
                  "%M ms at the earliest: %s", &instance->source->url, pause,
                  error);

    ngx_http_agents_instance_tell(instance, error);
}


/* Who comes to wait again waits for another fetch. */

static void
ngx_http_agents_instance_tell(ngx_http_agents_instance_t *instance,
    const char *error)
{
    ngx_queue_t                       list, *q;
    ngx_http_agents_instance_wait_t  *wait;

    ngx_queue_init(&list);

    if (!ngx_queue_empty(&instance->waiting)) {
        ngx_queue_add(&list, &instance->waiting);
        ngx_queue_init(&instance->waiting);
    }

    while (!ngx_queue_empty(&list)) {
        q = ngx_queue_head(&list);
        wait = ngx_queue_data(q, ngx_http_agents_instance_wait_t, queue);

        ngx_http_agents_instance_cancel(wait);

        wait->done(wait->data, error);
    }
}


static void
ngx_http_agents_instance_timer_handler(ngx_event_t *ev)
{
    ngx_http_agents_instance_t  *instance;

    instance = ev->data;

    if (ngx_queue_empty(&instance->waiting)
        || instance->state != NGX_HTTP_AGENTS_INSTANCE_IDLE)
    {
        return;
    }

    if (ngx_http_agents_instance_fetch(instance) != NGX_OK) {
        ngx_http_agents_instance_fail(instance, "out of memory");
    }
}


static void
ngx_http_agents_instance_forget(ngx_http_agents_buf_t *buf)
{
    if (buf->data != NULL) {
        ngx_explicit_memzero(buf->data, buf->len);
    }

    ngx_http_agents_buf_free(buf);
}
