
/*
 * HTTP requests to providers: libcurl's multi interface on nginx's events and
 * timers.  Knows nothing of models or runs.  One per worker; event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_TRANSPORT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_TRANSPORT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_turn.h"


typedef struct ngx_http_agents_transport_s  ngx_http_agents_transport_t;
typedef struct ngx_http_agents_transfer_s   ngx_http_agents_transfer_t;


/*
 * A piece of a 2xx's body as it comes, in place of keeping it; "type" is its
 * Content-Type, or NULL.  NGX_OK to go on; NGX_DECLINED for the first piece:
 * the body is kept after all; NGX_DONE: no more is wanted.  From within
 * libcurl: neither sends nor cancels.
 */
typedef ngx_int_t (*ngx_http_agents_transport_body_pt)(void *data,
    const char *type, const char *text, size_t len);


typedef struct {
    ngx_str_t     url;              /* absolute; NUL terminated */
    ngx_str_t     resolve;          /* "host:port:addr[,addr]" for
                                       CURLOPT_RESOLVE, NUL terminated; of
                                       the proxy where there is one; empty:
                                       address literal */
    const char   *unresolved;       /* why "resolve" has no addresses: not
                                       sent; NULL: it has */
    ngx_uint_t    max_age;          /* seconds that a connection may be old
                                       that is used again; 0: any */
    char        **headers;          /* "Name: value" lines */
    size_t        nheaders;
    const char   *method;           /* NULL: POST; others have no body */
    const char   *body;             /* borrowed until done or cancel */
    size_t        body_len;
    ngx_msec_t    connect_timeout;
    ngx_msec_t    timeout;          /* of the whole transfer */
    size_t        max_body;         /* of the answer; more ends it as TOO_BIG */
    ngx_http_agents_transport_body_pt   on_body;    /* NULL: all is kept */
    ngx_str_t     trusted_certificate;  /* empty: the system's; NUL */
    ngx_str_t     proxy;            /* empty: none; NUL terminated */
    ngx_log_t    *log;              /* alive as long as the transfer */
} ngx_http_agents_transport_request_t;


typedef enum {
    NGX_HTTP_AGENTS_TRANSPORT_OK = 0,   /* an answer, whatever its status */
    NGX_HTTP_AGENTS_TRANSPORT_REFUSED,  /* never connected: safe to repeat */
    NGX_HTTP_AGENTS_TRANSPORT_BROKEN,   /* lost on the way */
    NGX_HTTP_AGENTS_TRANSPORT_TIMEOUT,
    NGX_HTTP_AGENTS_TRANSPORT_TOO_BIG,
    NGX_HTTP_AGENTS_TRANSPORT_STOPPED,  /* on_body wanted no more */
    NGX_HTTP_AGENTS_TRANSPORT_SHORT,    /* this worker is out of connections,
                                           descriptors or memory */
    NGX_HTTP_AGENTS_TRANSPORT_FAILED    /* TLS verification, ... */
} ngx_http_agents_transport_status_e;


typedef struct {
    ngx_http_agents_transport_status_e  status;
    ngx_uint_t    http_status;
    char         *body;             /* OK: malloc'd, NUL terminated, the
                                       callee's, empty where on_body took it;
                                       else NULL */
    size_t        body_len;
    ngx_msec_t    retry_after;      /* Retry-After(-Ms); 0: none */
    ngx_int_t     should_retry;     /* X-Should-Retry: 1 is true, -1 false;
                                       0: none */
    const char   *error;            /* what went wrong, for people; never a
                                       credential; alive during the call */
} ngx_http_agents_transport_answer_t;

/* Called once, never from within send; not after cancel. */
typedef void (*ngx_http_agents_transport_done_pt)(void *data,
    ngx_http_agents_transport_answer_t *answer);


/* "max_connections" bounds sockets; transfers above it wait in order. */
ngx_http_agents_transport_t *ngx_http_agents_transport_create(
    ngx_uint_t max_connections, ngx_http_agents_turn_t *turn, ngx_log_t *log);
void ngx_http_agents_transport_destroy(ngx_http_agents_transport_t *t);

/* NULL without memory: "done" is then not called. */
ngx_http_agents_transfer_t *ngx_http_agents_transport_send(
    ngx_http_agents_transport_t *t,
    const ngx_http_agents_transport_request_t *request,
    ngx_http_agents_transport_done_pt done, void *data);

/* Closes the connection if the transfer is under way. */
void ngx_http_agents_transport_cancel(ngx_http_agents_transfer_t *transfer);


#endif /* _NGX_HTTP_AGENTS_TRANSPORT_H_INCLUDED_ */
