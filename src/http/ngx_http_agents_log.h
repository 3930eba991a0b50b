
/*
 * The lines that the error log gets about a request of the API, whichever
 * module writes them, carry the id that a problem shows as log_id.
 */


#ifndef _NGX_HTTP_AGENTS_LOG_H_INCLUDED_
#define _NGX_HTTP_AGENTS_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* In the REWRITE phase, the first that knows the location: before the modules
 * that refuse requests. */
ngx_int_t ngx_http_agents_log_handler(ngx_http_request_t *r);

/*
 * nginx's request id, as $request_id gives it; the same one for as long as
 * the request lives, and in its lines of the log from now on.  NULL data
 * without memory.
 */
ngx_str_t ngx_http_agents_log_id(ngx_http_request_t *r);


#endif /* _NGX_HTTP_AGENTS_LOG_H_INCLUDED_ */
