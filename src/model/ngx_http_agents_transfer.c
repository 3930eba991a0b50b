
#include "ngx_http_agents_transfer.h"


#define NGX_HTTP_AGENTS_TRANSFER_AGENT  "nginx-agents"


static ngx_int_t ngx_http_agents_transfer_easy(
    ngx_http_agents_transfer_t *transfer,
    const ngx_http_agents_transport_request_t *request);
static ngx_int_t ngx_http_agents_transfer_lists(
    ngx_http_agents_transfer_t *transfer,
    const ngx_http_agents_transport_request_t *request);
static CURLcode ngx_http_agents_transfer_protocols(CURL *easy);
static CURLcode ngx_http_agents_transfer_request(
    ngx_http_agents_transfer_t *transfer,
    const ngx_http_agents_transport_request_t *request);
static CURLcode ngx_http_agents_transfer_sockets(
    ngx_http_agents_transfer_t *transfer);
static curl_socket_t ngx_http_agents_transfer_open_callback(void *user,
    curlsocktype purpose, struct curl_sockaddr *address);
static int ngx_http_agents_transfer_close_callback(void *data,
    curl_socket_t s);
static CURLcode ngx_http_agents_transfer_answer(
    ngx_http_agents_transfer_t *transfer);
static size_t ngx_http_agents_transfer_header_callback(char *data, size_t size,
    size_t n, void *user);
static ngx_int_t ngx_http_agents_transfer_header(ngx_str_t *value,
    const char *line, size_t len, const ngx_str_t *name);
static ngx_int_t ngx_http_agents_transfer_should_retry(ngx_str_t *value);
static ngx_msec_t ngx_http_agents_transfer_retry_after(ngx_str_t *value);
static ngx_msec_t ngx_http_agents_transfer_retry_after_ms(ngx_str_t *value);
static ngx_int_t ngx_http_agents_transfer_thousandths(const ngx_str_t *value);
static size_t ngx_http_agents_transfer_body_callback(char *data, size_t size,
    size_t n, void *user);
static ngx_int_t ngx_http_agents_transfer_body_taken(
    ngx_http_agents_transfer_t *transfer, const char *data, size_t n);


ngx_http_agents_transfer_t *
ngx_http_agents_transfer_create(ngx_http_agents_transport_t *t,
    const ngx_http_agents_transport_request_t *request)
{
    ngx_http_agents_transfer_t  *transfer;

    transfer = ngx_calloc(sizeof(ngx_http_agents_transfer_t), request->log);
    if (transfer == NULL) {
        return NULL;
    }

    transfer->transport = t;
    transfer->timeout = request->timeout;
    transfer->max_body = request->max_body;
    transfer->on_body = request->on_body;
    transfer->log = request->log;

    if (ngx_http_agents_transfer_easy(transfer, request) != NGX_OK) {
        ngx_http_agents_transfer_free(transfer);
        return NULL;
    }

    return transfer;
}


static ngx_int_t
ngx_http_agents_transfer_easy(ngx_http_agents_transfer_t *transfer,
    const ngx_http_agents_transport_request_t *request)
{
    CURLcode                      code;
    ngx_http_agents_transport_t  *t;

    t = transfer->transport;

    if (t->nspare != 0) {
        transfer->easy = t->spare[--t->nspare];

    } else {
        transfer->easy = curl_easy_init();
    }

    if (transfer->easy == NULL
        || ngx_http_agents_transfer_lists(transfer, request) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, request->log, 0,
                      "no memory for a request to \"%V\"", &request->url);
        return NGX_ERROR;
    }

    code = ngx_http_agents_transfer_protocols(transfer->easy);

    if (code == CURLE_OK) {
        code = ngx_http_agents_transfer_request(transfer, request);
    }

    if (code == CURLE_OK) {
        code = ngx_http_agents_transfer_sockets(transfer);
    }

    if (code == CURLE_OK) {
        code = ngx_http_agents_transfer_answer(transfer);
    }

    if (code != CURLE_OK) {
        ngx_log_error(NGX_LOG_ALERT, request->log, 0,
                      "curl_easy_setopt() for \"%V\" failed: %s",
                      &request->url, curl_easy_strerror(code));
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_transfer_lists(ngx_http_agents_transfer_t *transfer,
    const ngx_http_agents_transport_request_t *request)
{
    size_t              i;
    struct curl_slist  *list;

    /* bodies over a megabyte would wait for "100 Continue" */

    transfer->headers = curl_slist_append(NULL, "Expect:");
    if (transfer->headers == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < request->nheaders; i++) {

        list = curl_slist_append(transfer->headers, request->headers[i]);
        if (list == NULL) {
            return NGX_ERROR;
        }

        transfer->headers = list;
    }

    if (request->resolve.len == 0) {
        return NGX_OK;
    }

    transfer->resolve = curl_slist_append(NULL, (char *) request->resolve.data);

    return (transfer->resolve != NULL) ? NGX_OK : NGX_ERROR;
}


/* What holds for every transfer. */

static CURLcode
ngx_http_agents_transfer_protocols(CURL *easy)
{
    size_t    i;
    CURLcode  code;

    static const struct {
        CURLoption  option;
        long        value;
    } options[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_FOLLOWLOCATION, 0 },
        { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
        { CURLOPT_SSL_VERIFYPEER, 1 },
        { CURLOPT_SSL_VERIFYHOST, 2 },
        { CURLOPT_TCP_NODELAY, 1 },
        { CURLOPT_TCP_KEEPALIVE, 1 },
        { CURLOPT_PIPEWAIT, 0 },
        { CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 },
        { CURLOPT_POST, 1 }
    };

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        code = curl_easy_setopt(easy, options[i].option, options[i].value);
        if (code != CURLE_OK) {
            return code;
        }
    }

    code = curl_easy_setopt(easy, CURLOPT_USERAGENT,
                            NGX_HTTP_AGENTS_TRANSFER_AGENT);
    if (code != CURLE_OK) {
        return code;
    }

    /* unasked, a server may choose a coding; libcurl undoes one that comes */

    code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "identity");
    if (code != CURLE_OK) {
        return code;
    }

#if (LIBCURL_VERSION_NUM >= 0x075500)
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
                            (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}


static CURLcode
ngx_http_agents_transfer_request(ngx_http_agents_transfer_t *transfer,
    const ngx_http_agents_transport_request_t *request)
{
    CURL      *easy;
    CURLcode   code;

    easy = transfer->easy;

    /* set in any case: what the environment says of proxies does not count */

    if ((code = curl_easy_setopt(easy, CURLOPT_PROXY,
                                 (request->proxy.len != 0)
                                 ? (char *) request->proxy.data : ""))
        || (code = curl_easy_setopt(easy, CURLOPT_NOPROXY, "")))
    {
        return code;
    }

    if (request->trusted_certificate.len != 0) {
        code = curl_easy_setopt(easy, CURLOPT_CAINFO,
                                (char *) request->trusted_certificate.data);
        if (code != CURLE_OK) {
            return code;
        }
    }

    if ((code = curl_easy_setopt(easy, CURLOPT_URL,
                                 (char *) request->url.data))
        || (code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
                                    transfer->headers))
        || (code = curl_easy_setopt(easy, CURLOPT_RESOLVE, transfer->resolve))
        || (code = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                                    (long) request->connect_timeout)))
    {
        return code;
    }

#if (LIBCURL_VERSION_NUM >= 0x075000)

    /* not one to an address that its host has no longer */

    if (request->max_age != 0) {
        code = curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN,
                                (long) request->max_age);
        if (code != CURLE_OK) {
            return code;
        }
    }

#endif

    if (request->method == NULL) {
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);

        return (code != CURLE_OK)
               ? code : curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                         (curl_off_t) request->body_len);
    }

    code = curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);

    return (code != CURLE_OK)
           ? code : curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
                                     request->method);
}


/* Sockets are counted: libcurl does not tell whether one is idle. */

static CURLcode
ngx_http_agents_transfer_sockets(ngx_http_agents_transfer_t *transfer)
{
    CURL                         *easy;
    CURLcode                      code;
    ngx_http_agents_transport_t  *t;

    easy = transfer->easy;
    t = transfer->transport;

    if ((code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION,
                                 ngx_http_agents_transfer_open_callback))
        || (code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer))
        || (code = curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION,
                                    ngx_http_agents_transfer_close_callback)))
    {
        return code;
    }

    return curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, t);
}


/* As libcurl would do it, but that the reason is known where there is none. */

static curl_socket_t
ngx_http_agents_transfer_open_callback(void *user, curlsocktype purpose,
    struct curl_sockaddr *address)
{
    ngx_http_agents_transfer_t *transfer = user;

    curl_socket_t  s;

    s = socket(address->family, address->socktype | SOCK_CLOEXEC,
               address->protocol);

    if (s == -1) {
        transfer->err = ngx_socket_errno;

        ngx_log_error(NGX_LOG_WARN, transfer->log, transfer->err,
                      "no socket for a provider");
        return CURL_SOCKET_BAD;
    }

    transfer->transport->nsockets++;

    return s;
}


static int
ngx_http_agents_transfer_close_callback(void *data, curl_socket_t s)
{
    ngx_http_agents_transport_t *t = data;

    t->nsockets--;

    return close(s);
}


static CURLcode
ngx_http_agents_transfer_answer(ngx_http_agents_transfer_t *transfer)
{
    CURL      *easy;
    CURLcode   code;

    easy = transfer->easy;

    if ((code = curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer))
        || (code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER,
                                    transfer->error))
        || (code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION,
                                    ngx_http_agents_transfer_header_callback))
        || (code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer))
        || (code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                                    ngx_http_agents_transfer_body_callback)))
    {
        return code;
    }

    return curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}


/* A status line begins the headers anew: those of a 100 do not count. */

static size_t
ngx_http_agents_transfer_header_callback(char *data, size_t size, size_t n,
    void *user)
{
    ngx_http_agents_transfer_t *transfer = user;

    size_t       len;
    ngx_str_t    value;
    ngx_msec_t  *wait, ms;

    static const ngx_str_t  retry_after = ngx_string("retry-after:");
    static const ngx_str_t  retry_after_ms = ngx_string("retry-after-ms:");
    static const ngx_str_t  should_retry = ngx_string("x-should-retry:");

    len = size * n;
    wait = &transfer->answer.retry_after;

    if (len >= 5 && ngx_strncmp(data, "HTTP/", 5) == 0) {
        *wait = 0;
        transfer->answer.should_retry = 0;

    } else if (ngx_http_agents_transfer_header(&value, data, len,
                                               &retry_after_ms)
               == NGX_OK)
    {
        ms = ngx_http_agents_transfer_retry_after_ms(&value);
        *wait = (ms != 0) ? ms : *wait;

    } else if (*wait == 0
               && ngx_http_agents_transfer_header(&value, data, len,
                                                  &retry_after)
                  == NGX_OK)
    {
        *wait = ngx_http_agents_transfer_retry_after(&value);

    } else if (ngx_http_agents_transfer_header(&value, data, len,
                                               &should_retry)
               == NGX_OK)
    {
        transfer->answer.should_retry =
                        ngx_http_agents_transfer_should_retry(&value);
    }

    return len;
}


static ngx_int_t
ngx_http_agents_transfer_should_retry(ngx_str_t *value)
{
    if (value->len == 4
        && ngx_strncasecmp(value->data, (u_char *) "true", 4) == 0)
    {
        return 1;
    }

    if (value->len == 5
        && ngx_strncasecmp(value->data, (u_char *) "false", 5) == 0)
    {
        return -1;
    }

    return 0;
}


/* The value of the line, without the space around it, if it has that name. */

static ngx_int_t
ngx_http_agents_transfer_header(ngx_str_t *value, const char *line, size_t len,
    const ngx_str_t *name)
{
    u_char  *p, *last;

    p = (u_char *) line;

    if (len < name->len || ngx_strncasecmp(p, name->data, name->len) != 0) {
        return NGX_DECLINED;
    }

    last = p + len;
    p += name->len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (last > p && last[-1] <= ' ') {
        last--;
    }

    value->data = p;
    value->len = last - p;

    return NGX_OK;
}


/* Seconds, or a date. */

static ngx_msec_t
ngx_http_agents_transfer_retry_after(ngx_str_t *value)
{
    time_t     when;
    ngx_int_t  ms;

    ms = ngx_http_agents_transfer_thousandths(value);

    if (ms != NGX_ERROR) {
        return (ngx_msec_t) ngx_min(ms, NGX_MAX_INT32_VALUE);
    }

    when = ngx_parse_http_time(value->data, value->len);

    if (when == (time_t) NGX_ERROR || when <= ngx_time()) {
        return 0;
    }

    when -= ngx_time();

    return (ngx_msec_t) ngx_min(when, NGX_MAX_INT32_VALUE / 1000) * 1000;
}


/* Milliseconds, perhaps with a fraction. */

static ngx_msec_t
ngx_http_agents_transfer_retry_after_ms(ngx_str_t *value)
{
    ngx_int_t  us;

    us = ngx_http_agents_transfer_thousandths(value);

    if (us == NGX_ERROR) {
        return 0;
    }

    return (ngx_msec_t) ngx_min(us / 1000, NGX_MAX_INT32_VALUE);
}


/* A decimal, in thousandths: what it has beyond them is cut off. */

static ngx_int_t
ngx_http_agents_transfer_thousandths(const ngx_str_t *value)
{
    size_t   i, len;
    u_char  *dot;

    len = value->len;
    dot = ngx_strlchr(value->data, value->data + len, '.');

    if (dot != NULL && (size_t) (dot - value->data) + 4 < len) {
        len = dot - value->data + 4;

        for (i = len; i < value->len; i++) {
            if (value->data[i] < '0' || value->data[i] > '9') {
                return NGX_ERROR;
            }
        }
    }

    return ngx_atofp(value->data, len, 3);
}


static size_t
ngx_http_agents_transfer_body_callback(char *data, size_t size, size_t n,
    void *user)
{
    ngx_http_agents_transfer_t *transfer = user;

    char      *body;
    size_t     len;
    ngx_int_t  rc;

    rc = ngx_http_agents_transfer_body_taken(transfer, data, n);

    if (rc != NGX_DECLINED) {
        return (rc == NGX_OK) ? n : 0;
    }

    len = transfer->answer.body_len;

    if (n > transfer->max_body - len) {
        transfer->answer.status = NGX_HTTP_AGENTS_TRANSPORT_TOO_BIG;
        return 0;
    }

    if (len + n + 1 > transfer->size) {
        transfer->size = ngx_max(2 * transfer->size, len + n + 1);

        body = realloc(transfer->answer.body, transfer->size);
        if (body == NULL) {
            ngx_log_error(NGX_LOG_EMERG, transfer->log, ngx_errno,
                          "realloc(%uz) failed", transfer->size);
            transfer->answer.status = NGX_HTTP_AGENTS_TRANSPORT_SHORT;
            return 0;
        }

        transfer->answer.body = body;
    }

    ngx_memcpy(transfer->answer.body + len, data, n);

    transfer->answer.body_len = len + n;
    transfer->answer.body[len + n] = '\0';

    return n;
}


/* NGX_DECLINED: it is to be kept. */

static ngx_int_t
ngx_http_agents_transfer_body_taken(ngx_http_agents_transfer_t *transfer,
    const char *data, size_t n)
{
    long        status;
    char       *type;
    ngx_int_t   rc;

    if (transfer->on_body == NULL
        || transfer->body_state == NGX_HTTP_AGENTS_BODY_KEPT)
    {
        return NGX_DECLINED;
    }

    status = 0;
    type = NULL;

    if (transfer->body_state == NGX_HTTP_AGENTS_BODY_NEW) {
        (void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE,
                                 &status);
        (void) curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);

        if (status < 200 || status > 299) {
            transfer->body_state = NGX_HTTP_AGENTS_BODY_KEPT;
            return NGX_DECLINED;
        }
    }

    rc = transfer->on_body(transfer->data, type, data, n);

    switch (rc) {

    case NGX_OK:
        transfer->body_state = NGX_HTTP_AGENTS_BODY_TAKEN;
        break;

    case NGX_DECLINED:
        transfer->body_state = NGX_HTTP_AGENTS_BODY_KEPT;
        break;

    default: /* NGX_DONE */
        transfer->answer.status = NGX_HTTP_AGENTS_TRANSPORT_STOPPED;
        break;
    }

    return rc;
}


ngx_http_agents_transport_status_e
ngx_http_agents_transfer_status(ngx_http_agents_transfer_t *transfer,
    CURLcode code)
{
    long         status;
    curl_off_t   connected;

    if (code == CURLE_OK) {
        status = 0;
        (void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE,
                                 &status);

        transfer->answer.http_status = (ngx_uint_t) status;

        return NGX_HTTP_AGENTS_TRANSPORT_OK;
    }

    if (transfer->answer.status == NGX_HTTP_AGENTS_TRANSPORT_TOO_BIG) {
        transfer->answer.error = "the answer is too big";
        return NGX_HTTP_AGENTS_TRANSPORT_TOO_BIG;
    }

    if (transfer->answer.status == NGX_HTTP_AGENTS_TRANSPORT_STOPPED) {
        return NGX_HTTP_AGENTS_TRANSPORT_STOPPED;
    }

    if (code == CURLE_OUT_OF_MEMORY
        || transfer->answer.status == NGX_HTTP_AGENTS_TRANSPORT_SHORT)
    {
        transfer->answer.error = "no memory for the request or its answer";
        return NGX_HTTP_AGENTS_TRANSPORT_SHORT;
    }

    if (transfer->err != 0 && code == CURLE_COULDNT_CONNECT) {
        transfer->answer.error = strerror(transfer->err);
        return NGX_HTTP_AGENTS_TRANSPORT_SHORT;
    }

    if (transfer->error[0] == '\0') {
        ngx_cpystrn((u_char *) transfer->error,
                    (u_char *) curl_easy_strerror(code), CURL_ERROR_SIZE);
    }

    transfer->answer.error = transfer->error;

    switch (code) {

    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return NGX_HTTP_AGENTS_TRANSPORT_REFUSED;

    case CURLE_OPERATION_TIMEDOUT:
        connected = 0;
        (void) curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T,
                                 &connected);

        return (connected != 0) ? NGX_HTTP_AGENTS_TRANSPORT_TIMEOUT
                                : NGX_HTTP_AGENTS_TRANSPORT_REFUSED;

    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
        return NGX_HTTP_AGENTS_TRANSPORT_BROKEN;

    default:
        return NGX_HTTP_AGENTS_TRANSPORT_FAILED;
    }
}


void
ngx_http_agents_transfer_free(ngx_http_agents_transfer_t *transfer)
{
    ngx_http_agents_transport_t  *t;

    t = transfer->transport;

    if (transfer->easy != NULL) {

        /* reset, one that found no memory is not yet as a new one */

        if (transfer->answer.http_status != 0
            && t->nspare < NGX_HTTP_AGENTS_TRANSPORT_SPARE)
        {
            curl_easy_reset(transfer->easy);
            t->spare[t->nspare++] = transfer->easy;

        } else {
            curl_easy_cleanup(transfer->easy);
        }
    }

    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->resolve);

    free(transfer->answer.body);
    ngx_free(transfer);
}
