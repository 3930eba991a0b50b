
/*
 * Keeps the addresses of a provider up to date.
 */


#include "ngx_http_agents_resolve.h"
#include <stdlib.h>


/* Of one host, at most. */
#define NGX_HTTP_AGENTS_RESOLVE_ADDRESSES  32

/* The pause after a question that failed, in milliseconds: without any address,
 * and with those found last. */
#define NGX_HTTP_AGENTS_RESOLVE_SOON       1000
#define NGX_HTTP_AGENTS_RESOLVE_AGAIN      5000


/* An address as libcurl reads it: IPv6 in brackets. */
typedef char  ngx_http_agents_resolve_text_t[NGX_SOCKADDR_STRLEN + 2];


struct ngx_http_agents_resolve_s {
    ngx_http_agents_provider_t  *provider;
    ngx_resolver_t              *resolver;
    ngx_msec_t                   timeout;
    ngx_str_t                    host;
    ngx_str_t                    prefix;    /* "host:port:" */
    ngx_resolver_ctx_t          *ctx;       /* a question on its way */
    ngx_event_t                  timer;     /* till the next one */
    u_char                      *text;      /* what provider->resolve is; NULL:
                                               that of the configuration */
    ngx_log_t                   *log;
    unsigned                     failed:1;  /* and it was said */
};


static void ngx_http_agents_resolve_timer_handler(ngx_event_t *ev);
static void ngx_http_agents_resolve_handler(ngx_resolver_ctx_t *ctx);
static void ngx_http_agents_resolve_failed(ngx_http_agents_resolve_t *resolve,
    const char *why);
static ngx_int_t ngx_http_agents_resolve_take(
    ngx_http_agents_resolve_t *resolve, ngx_resolver_ctx_t *ctx);
static ngx_uint_t ngx_http_agents_resolve_texts(
    ngx_http_agents_resolve_text_t *texts, ngx_resolver_ctx_t *ctx);
static int ngx_http_agents_resolve_compare(const void *one, const void *two);


ngx_http_agents_resolve_t *
ngx_http_agents_resolve_create(ngx_http_agents_provider_t *provider,
    ngx_resolver_t *resolver, ngx_msec_t timeout, ngx_log_t *log)
{
    u_char                     *p, *last;
    ngx_http_agents_resolve_t  *resolve;

    resolve = ngx_calloc(sizeof(ngx_http_agents_resolve_t), log);
    if (resolve == NULL) {
        return NULL;
    }

    resolve->provider = provider;
    resolve->resolver = resolver;
    resolve->timeout = timeout;
    resolve->log = log;

    p = provider->resolve.data;
    last = p + provider->resolve.len;

    resolve->host.data = p;
    p = ngx_strlchr(p, last, ':');
    resolve->host.len = p - resolve->host.data;

    resolve->prefix.data = resolve->host.data;
    p = ngx_strlchr(p + 1, last, ':');
    resolve->prefix.len = p + 1 - resolve->prefix.data;

    resolve->timer.handler = ngx_http_agents_resolve_timer_handler;
    resolve->timer.data = resolve;
    resolve->timer.log = log;
    resolve->timer.cancelable = 1;

    ngx_add_timer(&resolve->timer, 1);

    return resolve;
}


void
ngx_http_agents_resolve_destroy(ngx_http_agents_resolve_t *resolve)
{
    if (resolve->ctx != NULL) {
        ngx_resolve_name_done(resolve->ctx);
    }

    if (resolve->timer.timer_set) {
        ngx_del_timer(&resolve->timer);
    }

    if (resolve->text != NULL) {
        ngx_free(resolve->text);
    }

    ngx_free(resolve);
}


static void
ngx_http_agents_resolve_timer_handler(ngx_event_t *ev)
{
    ngx_resolver_ctx_t         *ctx, temp;
    ngx_http_agents_resolve_t  *resolve;

    resolve = ev->data;

    if (ngx_exiting || ngx_quit || ngx_terminate) {
        return;
    }

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));
    temp.name = resolve->host;

    ctx = ngx_resolve_start(resolve->resolver, &temp);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_http_agents_resolve_failed(resolve, "the resolver cannot be asked");
        return;
    }

    ctx->name = resolve->host;
    ctx->handler = ngx_http_agents_resolve_handler;
    ctx->data = resolve;
    ctx->timeout = resolve->timeout;

    resolve->ctx = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        resolve->ctx = NULL;
        ngx_http_agents_resolve_failed(resolve, "the resolver cannot be asked");
    }
}


static void
ngx_http_agents_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    time_t                      left;
    ngx_int_t                   rc;
    const char                 *why;
    ngx_http_agents_resolve_t  *resolve;

    resolve = ctx->data;

    why = (ctx->state != 0) ? ngx_resolver_strerror(ctx->state)
                            : "it has no address";

    rc = (ctx->state != 0) ? NGX_DECLINED
                           : ngx_http_agents_resolve_take(resolve, ctx);

    /* the resolver keeps it up to this second, inclusive */

    left = ctx->valid - ngx_time() + 1;

    resolve->ctx = NULL;
    ngx_resolve_name_done(ctx);

    if (rc != NGX_OK) {
        ngx_http_agents_resolve_failed(resolve,
                                       (rc == NGX_ERROR) ? "out of memory"
                                                         : why);
        return;
    }

    if (resolve->failed) {
        resolve->failed = 0;

        ngx_log_error(NGX_LOG_NOTICE, resolve->log, 0,
                      "agents provider \"%V\": \"%V\" is resolved again",
                      &resolve->provider->name, &resolve->host);
    }

    left = ngx_max(left, 1);
    left = ngx_min(left, 86400);

    ngx_add_timer(&resolve->timer, (ngx_msec_t) left * 1000);
}


static void
ngx_http_agents_resolve_failed(ngx_http_agents_resolve_t *resolve,
    const char *why)
{
    if (!resolve->failed) {
        resolve->failed = 1;

        ngx_log_error(NGX_LOG_WARN, resolve->log, 0,
                      "agents provider \"%V\": \"%V\" could not be resolved "
                      "(%s), %s", &resolve->provider->name, &resolve->host, why,
                      (resolve->provider->unresolved != NULL)
                      ? "it has no address yet" : "the last addresses stay");
    }

    ngx_add_timer(&resolve->timer, (resolve->provider->unresolved != NULL)
                                   ? NGX_HTTP_AGENTS_RESOLVE_SOON
                                   : NGX_HTTP_AGENTS_RESOLVE_AGAIN);
}


/* NGX_DECLINED: there is none. */

static ngx_int_t
ngx_http_agents_resolve_take(ngx_http_agents_resolve_t *resolve,
    ngx_resolver_ctx_t *ctx)
{
    u_char                          *p, *text;
    size_t                           len;
    ngx_uint_t                       i, n;
    ngx_http_agents_provider_t      *provider;
    ngx_http_agents_resolve_text_t   texts[NGX_HTTP_AGENTS_RESOLVE_ADDRESSES];

    n = ngx_http_agents_resolve_texts(texts, ctx);

    if (n == 0) {
        return NGX_DECLINED;
    }

    text = ngx_alloc(resolve->prefix.len + n * sizeof(texts[0]), resolve->log);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text, resolve->prefix.data, resolve->prefix.len);

    for (i = 0; i < n; i++) {
        if (i != 0) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, texts[i], ngx_strlen(texts[i]));
    }

    *p = '\0';
    len = p - text;

    provider = resolve->provider;

    if (len == provider->resolve.len
        && ngx_memcmp(text, provider->resolve.data, len) == 0)
    {
        ngx_free(text);
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, resolve->log, 0,
                  "agents provider \"%V\" is at \"%*s\"", &provider->name, len,
                  text);

    if (resolve->text != NULL) {
        ngx_free(resolve->text);
    }

    resolve->text = text;

    provider->resolve.data = text;
    provider->resolve.len = len;
    provider->unresolved = NULL;
    provider->moved = ngx_current_msec;

    return NGX_OK;
}


/* In order: the resolver shuffles them, which is no change. */

static ngx_uint_t
ngx_http_agents_resolve_texts(ngx_http_agents_resolve_text_t *texts,
    ngx_resolver_ctx_t *ctx)
{
    u_char            text[NGX_SOCKADDR_STRLEN];
    size_t            len;
    ngx_uint_t        i, n;
    struct sockaddr  *sockaddr;

    n = 0;

    for (i = 0; i < ctx->naddrs; i++) {

        if (n == NGX_HTTP_AGENTS_RESOLVE_ADDRESSES) {
            break;
        }

        sockaddr = ctx->addrs[i].sockaddr;

        len = ngx_sock_ntop(sockaddr, ctx->addrs[i].socklen, text,
                            NGX_SOCKADDR_STRLEN, 0);

        *ngx_sprintf((u_char *) texts[n],
                     (sockaddr->sa_family == AF_INET6) ? "[%*s]" : "%*s", len,
                     text) = '\0';
        n++;
    }

    qsort(texts, n, sizeof(texts[0]), ngx_http_agents_resolve_compare);

    return n;
}


static int
ngx_http_agents_resolve_compare(const void *one, const void *two)
{
    return ngx_strcmp((const char *) one, (const char *) two);
}
