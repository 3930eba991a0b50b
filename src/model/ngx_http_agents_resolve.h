
/*
 * The addresses of a provider's host, or of its proxy, kept up to date by
 * nginx's resolver as long as a worker lives.  What was found last stays where
 * nothing is found.  Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_RESOLVE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_RESOLVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_catalog.h"


typedef struct ngx_http_agents_resolve_s  ngx_http_agents_resolve_t;


/*
 * From now on provider->resolve is what the resolver says, asked again when
 * its answer's time is over; "timeout" is that of one question.  The provider
 * has a host that is a name.  NULL without memory.
 */
ngx_http_agents_resolve_t *ngx_http_agents_resolve_create(
    ngx_http_agents_provider_t *provider, ngx_resolver_t *resolver,
    ngx_msec_t timeout, ngx_log_t *log);
void ngx_http_agents_resolve_destroy(ngx_http_agents_resolve_t *resolve);


#endif /* _NGX_HTTP_AGENTS_RESOLVE_H_INCLUDED_ */
