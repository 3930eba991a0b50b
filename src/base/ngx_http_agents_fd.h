
/*
 * A descriptor that is not nginx's own, a library's or one that processes
 * share, among nginx's events.  It is never closed here.
 *
 * Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_FD_H_INCLUDED_
#define _NGX_HTTP_AGENTS_FD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/*
 * "handler" gets both kinds of events, with a connection that has "data".
 * NULL: nginx has no connection free, and has said so.
 */
ngx_connection_t *ngx_http_agents_fd_attach(ngx_socket_t fd,
    ngx_event_handler_pt handler, void *data, ngx_log_t *log);

/* What is waited for from now on, by level: who reads need not read all. */
ngx_int_t ngx_http_agents_fd_want(ngx_connection_t *c, ngx_uint_t reading,
    ngx_uint_t writing);

/*
 * The connection is nginx's again.  "flags" is NGX_CLOSE_EVENT where the
 * descriptor is closed or is about to be, or else 0.
 */
void ngx_http_agents_fd_detach(ngx_connection_t *c, ngx_uint_t flags);


#endif /* _NGX_HTTP_AGENTS_FD_H_INCLUDED_ */
