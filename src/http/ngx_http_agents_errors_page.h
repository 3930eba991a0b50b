
/*
 * The pages of the error catalog as they are sent, for people and for
 * programs.  Which one is asked for is ngx_http_agents_errors.c's to find.
 */


#ifndef _NGX_HTTP_AGENTS_ERRORS_PAGE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ERRORS_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_problem.h"


/*
 * Sends the page of "problem", or the index where that is NULL, whose links
 * begin with "base".  What is returned is for ngx_http_finalize_request.
 */
ngx_int_t ngx_http_agents_errors_page(ngx_http_request_t *r,
    const ngx_http_agents_problem_t *problem, const ngx_str_t *base,
    ngx_uint_t json);


#endif /* _NGX_HTTP_AGENTS_ERRORS_PAGE_H_INCLUDED_ */
