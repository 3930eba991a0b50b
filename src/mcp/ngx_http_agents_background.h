
/*
 * The one door for background requests: an HTTP exchange that no client waits
 * for, as a background subrequest of a made-up request, to the operator's
 * internal location, whose proxy settings, upstreams and logs apply.  Event
 * loop only.
 */


#ifndef _NGX_HTTP_AGENTS_BACKGROUND_H_INCLUDED_
#define _NGX_HTTP_AGENTS_BACKGROUND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_turn.h"


typedef struct ngx_http_agents_background_s  ngx_http_agents_background_t;


/* Where such requests go: from the configuration. */
typedef struct {
    ngx_http_conf_ctx_t  *ctx;          /* of the server with the location */
    ngx_str_t             uri;          /* of the internal location */
} ngx_http_agents_background_target_t;


/* Whose request it is, for logs: nobody's, where all are empty. */
typedef struct {
    ngx_str_t   company;
    ngx_str_t   user;
    ngx_str_t   conversation;
    ngx_str_t   run;
} ngx_http_agents_background_owner_t;


/* Values of the variables in the location. */
typedef struct {
    ngx_str_t   upstream;       /* scheme://checked-address:port/path?query */
    ngx_str_t   host;           /* the url's authority */
    ngx_str_t   server_name;    /* the url's host, for SNI */
    ngx_str_t   alias;
    ngx_str_t   tool;           /* empty unless tools/call */
    ngx_http_agents_background_owner_t  owner;
} ngx_http_agents_background_vars_t;


typedef struct {
    ngx_str_t   name;
    ngx_str_t   value;
} ngx_http_agents_background_header_t;


typedef enum {
    NGX_HTTP_AGENTS_BACKGROUND_OK = 0,      /* complete, whatever its status */
    NGX_HTTP_AGENTS_BACKGROUND_REFUSED,     /* nothing was sent */
    NGX_HTTP_AGENTS_BACKGROUND_BUSY,        /* nor here: this side has nothing
                                               to send it with now, or may not
                                               by a limit of the location */
    NGX_HTTP_AGENTS_BACKGROUND_BROKEN,      /* headers or body cut off */
    NGX_HTTP_AGENTS_BACKGROUND_TIMEOUT,
    NGX_HTTP_AGENTS_BACKGROUND_TOO_BIG,
    NGX_HTTP_AGENTS_BACKGROUND_NO_MEMORY,   /* for what came */
    NGX_HTTP_AGENTS_BACKGROUND_FAILED       /* a location that does not proxy */
} ngx_http_agents_background_status_e;


typedef struct {
    ngx_http_agents_background_status_e   status;
    ngx_uint_t    http_status;      /* 0: none came */
    ngx_str_t     content_type;     /* as sent; alive during the call, as the
                                       others */
    ngx_str_t     session;          /* Mcp-Session-Id */
    ngx_str_t     location;         /* of a redirect */
    u_char       *body;             /* malloc'd, the callee's; or NULL */
    size_t        body_len;
} ngx_http_agents_background_answer_t;


/*
 * Sees the headers, before the body ("status" and "body" are not set yet):
 * NGX_OK: the body goes to on_body; NGX_DECLINED: it is captured; NGX_DONE:
 * enough was seen: the exchange ends as complete and its connection closes.
 */
typedef ngx_int_t (*ngx_http_agents_background_head_pt)(void *data,
    const ngx_http_agents_background_answer_t *answer);

/*
 * Sees the body as it comes (decoded chunks, in order): NGX_OK to go on,
 * NGX_DONE when enough was seen, as above, NGX_ERROR to give up (the answer
 * is then FAILED).  Neither of the two may cancel.
 */
typedef ngx_int_t (*ngx_http_agents_background_body_pt)(void *data,
    u_char *p, size_t len);


typedef struct {
    ngx_http_agents_turn_t               *turn;         /* the end is in it */
    ngx_str_t                             method;       /* POST, GET, DELETE */
    ngx_http_agents_background_vars_t     vars;         /* copied */
    ngx_http_agents_background_header_t  *headers;      /* copied */
    ngx_uint_t                            nheaders;
    const ngx_http_agents_background_header_t  *more;   /* the same */
    ngx_uint_t                            nmore;
    const ngx_http_agents_background_header_t  *secrets;    /* the same, seen
                                                           in no log */
    ngx_uint_t                            nsecrets;
    ngx_str_t                             body;         /* copied */
    ngx_msec_t                            timeout;      /* of the whole */
    size_t                                max_body;     /* of the answer,
                                                           captured or not */
    ngx_http_agents_background_head_pt    on_head;      /* NULL: captured */
    ngx_http_agents_background_body_pt    on_body;      /* for an event
                                                           stream, or NULL */
} ngx_http_agents_background_request_t;


/* Called once, never from within send; not after cancel. */
typedef void (*ngx_http_agents_background_done_pt)(void *data,
    ngx_http_agents_background_answer_t *answer);


/*
 * NULL without memory or connections, with nothing sent: "done" is then not
 * called.  The log is copied; the location's error_log is what is written to.
 */
ngx_http_agents_background_t *ngx_http_agents_background_send(
    const ngx_http_agents_background_target_t *target,
    const ngx_http_agents_background_request_t *request, ngx_log_t *log,
    ngx_http_agents_background_done_pt done, void *data);

/* Of a background request; NULL for every request of a client. */
const ngx_http_agents_background_owner_t *ngx_http_agents_background_owner(
    ngx_http_request_t *r);

/* Closes the upstream connection. */
void ngx_http_agents_background_cancel(ngx_http_agents_background_t *bg);


/*
 * Holds the state of such requests (a context that no client's request can
 * have), the variables, and the filters that capture the answer.
 */
extern ngx_module_t  ngx_http_agents_background_module;


#endif /* _NGX_HTTP_AGENTS_BACKGROUND_H_INCLUDED_ */
