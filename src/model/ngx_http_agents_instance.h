
/*
 * The credentials of the machine or container that nginx runs on, fetched
 * from AWS's metadata service (version 2) or a container's endpoint by the
 * worker that needs them, and kept until they are about to end.  One fetch at
 * a time; who needs them waits for it.  One per provider and worker; event
 * loop only.
 */


#ifndef _NGX_HTTP_AGENTS_INSTANCE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_INSTANCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_aws_keys.h"
#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_transport.h"


typedef struct ngx_http_agents_instance_s  ngx_http_agents_instance_t;


/* One who waits, in its owner's memory; all zero at first. */
typedef struct {
    ngx_queue_t   queue;
    void        (*done)(void *data, const char *error);
    void         *data;
    unsigned      waiting:1;
} ngx_http_agents_instance_wait_t;


/* Both are borrowed as long as it lives.  NULL without memory. */
ngx_http_agents_instance_t *ngx_http_agents_instance_create(
    const ngx_http_agents_aws_source_t *source,
    ngx_http_agents_transport_t *transport, ngx_log_t *log);

/* Before the transport; no one is told. */
void ngx_http_agents_instance_destroy(ngx_http_agents_instance_t *instance);

/*
 * NGX_OK: there are keys.  NGX_AGAIN: "done" is called once, later, with what
 * went wrong or NULL: then there are keys, not more than an instant old.
 * NGX_ERROR without memory.
 */
ngx_int_t ngx_http_agents_instance_get(ngx_http_agents_instance_t *instance,
    ngx_http_agents_instance_wait_t *wait);

/* No longer; also of one who does not wait. */
void ngx_http_agents_instance_cancel(ngx_http_agents_instance_wait_t *wait);

/* As they are now: valid until the event loop's next turn. */
const ngx_http_agents_aws_keys_t *ngx_http_agents_instance_keys(
    ngx_http_agents_instance_t *instance);

/* AWS refused the keys of this session token: they are fetched anew, unless
 * they have been since. */
void ngx_http_agents_instance_refused(ngx_http_agents_instance_t *instance,
    const ngx_str_t *session_token);


#endif /* _NGX_HTTP_AGENTS_INSTANCE_H_INCLUDED_ */
