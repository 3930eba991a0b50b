
/*
 * Shared by the two files of the transport: a transfer as libcurl's easy
 * handle (transfer.c), and all of them under its multi handle (transport.c).
 */


#ifndef _NGX_HTTP_AGENTS_TRANSFER_H_INCLUDED_
#define _NGX_HTTP_AGENTS_TRANSFER_H_INCLUDED_


#include "ngx_http_agents_transport.h"
#include <curl/curl.h>


/* Easy handles kept for the next transfers; each is some kilobytes. */
#define NGX_HTTP_AGENTS_TRANSPORT_SPARE  64


/*
 * A transfer is "waiting" for a connection, "active" inside libcurl, or
 * "ended" and in line for its done callback:
 *
 *     send --> waiting --> active --> ended --> done
 *                 |                     ^
 *                 +---- timeout --------+
 */

typedef enum {
    NGX_HTTP_AGENTS_BODY_NEW = 0,
    NGX_HTTP_AGENTS_BODY_KEPT,
    NGX_HTTP_AGENTS_BODY_TAKEN      /* by on_body */
} ngx_http_agents_body_state_e;


typedef enum {
    NGX_HTTP_AGENTS_TRANSFER_WAITING = 0,
    NGX_HTTP_AGENTS_TRANSFER_ACTIVE,
    NGX_HTTP_AGENTS_TRANSFER_ENDED
} ngx_http_agents_transfer_state_e;


struct ngx_http_agents_transport_s {
    CURLM                                   *multi;
    ngx_log_t                               *log;
    ngx_uint_t                               max_connections;
    ngx_uint_t                               nactive;
    ngx_uint_t                               nsockets;  /* and idle ones */
    ngx_queue_t                              waiting;
    ngx_queue_t                              active;
    ngx_queue_t                              ended;
    ngx_event_t                              timer;     /* libcurl's */
    ngx_http_agents_turn_t                  *turn;
    ngx_event_t                              event;     /* in its line */
    ngx_uint_t                               nspare;
    CURL            *spare[NGX_HTTP_AGENTS_TRANSPORT_SPARE];
    unsigned                                 lost:1;    /* see lose() */
};


struct ngx_http_agents_transfer_s {
    ngx_queue_t                              queue;
    ngx_http_agents_transport_t             *transport;
    ngx_http_agents_transfer_state_e         state;
    CURL                                    *easy;
    struct curl_slist                       *headers;
    struct curl_slist                       *resolve;
    ngx_event_t                              timer;     /* while waiting */
    ngx_msec_t                               timeout;
    size_t                                   max_body;
    size_t                                   size;      /* of answer.body */
    ngx_err_t                                err;       /* why there was no
                                                           socket; 0 */
    ngx_http_agents_body_state_e             body_state;
    ngx_http_agents_transport_body_pt        on_body;
    ngx_log_t                               *log;
    ngx_http_agents_transport_answer_t       answer;
    ngx_http_agents_transport_done_pt        done;
    void                                    *data;
    char                                     error[CURL_ERROR_SIZE];
};


/* A transfer set up but for its time and its place.  NULL: it is logged. */
ngx_http_agents_transfer_t *ngx_http_agents_transfer_create(
    ngx_http_agents_transport_t *t,
    const ngx_http_agents_transport_request_t *request);

/* What libcurl's result means; fills in http_status or error. */
ngx_http_agents_transport_status_e ngx_http_agents_transfer_status(
    ngx_http_agents_transfer_t *transfer, CURLcode code);

/* The easy handle is out of the multi handle by then. */
void ngx_http_agents_transfer_free(ngx_http_agents_transfer_t *transfer);


#endif /* _NGX_HTTP_AGENTS_TRANSFER_H_INCLUDED_ */
