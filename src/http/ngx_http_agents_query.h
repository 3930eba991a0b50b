
/*
 * Query parameters: whole numbers within bounds, each at most once.  Those that
 * are unknown are ignored; what is wrong becomes a fault whose pointer is
 * empty, since it is not of the body, and whose detail names the parameter.
 */


#ifndef _NGX_HTTP_AGENTS_QUERY_H_INCLUDED_
#define _NGX_HTTP_AGENTS_QUERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_fault.h"


/* Page numbers and versions: far beyond any that there are. */
#define NGX_HTTP_AGENTS_QUERY_MAX  1000000000000


typedef struct {
    const char  *name;          /* NULL: the end of the table */
    int64_t      min;
    int64_t      max;
    int64_t      value;         /* the default, until read has found it */
} ngx_http_agents_query_t;


/*
 * Reads the parameters of a table, at most 32, into it.  NGX_OK, or
 * NGX_DECLINED with faults added, for the caller to free.
 */
ngx_int_t ngx_http_agents_query_read(ngx_http_request_t *r,
    ngx_http_agents_query_t *table, ngx_http_agents_faults_t *faults);


#endif /* _NGX_HTTP_AGENTS_QUERY_H_INCLUDED_ */
