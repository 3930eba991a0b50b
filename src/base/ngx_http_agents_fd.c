
#include "ngx_http_agents_fd.h"


static ngx_int_t ngx_http_agents_fd_set(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t wanted);
static void ngx_http_agents_fd_unset(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t flags);


ngx_connection_t *
ngx_http_agents_fd_attach(ngx_socket_t fd, ngx_event_handler_pt handler,
    void *data, ngx_log_t *log)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, log);
    if (c == NULL) {
        return NULL;
    }

    c->data = data;
    c->read->handler = handler;
    c->read->log = log;
    c->write->handler = handler;
    c->write->log = log;

    return c;
}


ngx_int_t
ngx_http_agents_fd_want(ngx_connection_t *c, ngx_uint_t reading,
    ngx_uint_t writing)
{
    if (ngx_http_agents_fd_set(c->read, NGX_READ_EVENT, reading) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_agents_fd_set(c->write, NGX_WRITE_EVENT, writing);
}


static ngx_int_t
ngx_http_agents_fd_set(ngx_event_t *ev, ngx_int_t event, ngx_uint_t wanted)
{
    if (wanted && !ev->active) {
        return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
    }

    if (!wanted && ev->active) {
        return ngx_del_event(ev, event, 0);
    }

    return NGX_OK;
}


void
ngx_http_agents_fd_detach(ngx_connection_t *c, ngx_uint_t flags)
{
    ngx_http_agents_fd_unset(c->read, NGX_READ_EVENT, flags);
    ngx_http_agents_fd_unset(c->write, NGX_WRITE_EVENT, flags);

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


/* A failure is logged by nginx; there is no more that could be done. */

static void
ngx_http_agents_fd_unset(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    if (ev->active) {
        (void) ngx_del_event(ev, event, flags);
    }

    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }

    ev->closed = 1;
}
