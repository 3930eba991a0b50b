
/*
 * The phase that admits a request to an agents_api location, entered again
 * through the request's ctx:
 *
 *     ROUTE ---> AUTHENTICATE ---> PERMIT ---> RECEIVE ---> ADMITTED
 *       |            |   ^           |          |   ^
 *     404, 405,      |   |          403         |   |
 *     OPTIONS     WAITING --> 401            WAITING --> 400, 408, 413, 415
 *
 * A route that needs no permission goes on from ROUTE to RECEIVE.
 * ADMITTED: the content phase calls the route's handler.
 */


#ifndef _NGX_HTTP_AGENTS_ACCESS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ACCESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The PRECONTENT phase handler. */
ngx_int_t ngx_http_agents_access_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_AGENTS_ACCESS_H_INCLUDED_ */
