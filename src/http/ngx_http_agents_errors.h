
/*
 * The pages of the error catalog: "location /errors { agents_errors; }".  An
 * index at the location's root and a page per slug, HTML or JSON.
 */


#ifndef _NGX_HTTP_AGENTS_ERRORS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ERRORS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The directive agents_errors: makes the location's content handler. */
char *ngx_http_agents_errors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

ngx_int_t ngx_http_agents_errors_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_AGENTS_ERRORS_H_INCLUDED_ */
