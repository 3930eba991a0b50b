
/*
 * Shared by the files of the background request alone: how it is made
 * (background.c) and ends (background_end.c), and what it does inside a
 * location (background_filter.c).
 */


#ifndef _NGX_HTTP_AGENTS_BACKGROUND_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_BACKGROUND_PRIVATE_H_INCLUDED_


#include "ngx_http_agents_background.h"


struct ngx_http_agents_background_s {
    ngx_pool_t                           *pool;     /* holds this, too */
    ngx_connection_t                     *connection;
    ngx_http_connection_t                 http_connection;
    ngx_http_request_t                   *request;
    ngx_http_request_t                   *subrequest;
    ngx_http_post_subrequest_t            post;
    struct sockaddr                       sockaddr;

    ngx_log_t                             log;
    ngx_http_log_ctx_t                    log_ctx;

    ngx_http_agents_background_vars_t     vars;
    off_t                                 content_length;   /* or -1 */
    ngx_msec_t                            timeout;
    size_t                                max_body;
    ngx_http_agents_background_head_pt    on_head;
    ngx_http_agents_background_body_pt    on_body;
    ngx_http_agents_background_done_pt    done;
    void                                 *data;

    ngx_http_agents_background_answer_t   answer;
    size_t                                body_size;    /* allocated */
    size_t                                seen;         /* bytes of the body */

    ngx_table_elt_t                     **secrets;      /* or NULL */
    ngx_uint_t                            nsecrets;

    ngx_event_t                           timer;
    ngx_http_agents_turn_t               *turn;
    ngx_event_t                           reap;         /* in its line */

    unsigned                              head:1;       /* headers have come */
    unsigned                              capture:1;    /* the body */
    unsigned                              complete:1;   /* so has its end */
    unsigned                              failed:1;
    unsigned                              over:1;       /* to be reaped */
    unsigned                              cancelled:1;
};


/* The state of a made-up request and its subrequest; NULL for every request
 * of a client. */
ngx_http_agents_background_t *ngx_http_agents_background_of(
    ngx_http_request_t *r);

/* They stand in the main request before its subrequest takes them over. */
ngx_int_t ngx_http_agents_background_headers(ngx_http_agents_background_t *bg,
    const ngx_http_agents_background_request_t *request);

/* No log may have those that are secret: they are hidden from debugging once
 * the location is known, and wiped before the access log is written. */
void ngx_http_agents_background_headers_hide(ngx_http_agents_background_t *bg);
void ngx_http_agents_background_headers_wipe(ngx_http_agents_background_t *bg);

/* The ends of it: what the subrequest calls, and the timers; "status" is for
 * the access log, if the server has said none. */
ngx_int_t ngx_http_agents_background_finished(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
void ngx_http_agents_background_timer_handler(ngx_event_t *ev);
void ngx_http_agents_background_reap_handler(ngx_event_t *ev);
void ngx_http_agents_background_abort(ngx_http_agents_background_t *bg,
    ngx_uint_t status);

/* Also what send made only in part. */
void ngx_http_agents_background_free(ngx_http_agents_background_t *bg);

ngx_int_t ngx_http_agents_background_copy(ngx_pool_t *pool, ngx_str_t *to,
    const ngx_str_t *from);


#endif /* _NGX_HTTP_AGENTS_BACKGROUND_PRIVATE_H_INCLUDED_ */
