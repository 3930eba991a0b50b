
/*
 * Makes a problem of each error answer of nginx's own in an agents_api
 * location: its page is replaced, its status and headers stay.
 */


#ifndef _NGX_HTTP_AGENTS_FILTER_H_INCLUDED_
#define _NGX_HTTP_AGENTS_FILTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Of the module's postconfiguration: puts the two filters into the chains. */
ngx_int_t ngx_http_agents_filter_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_AGENTS_FILTER_H_INCLUDED_ */
