
/*
 * Variables for logs: $agents_company $agents_user $agents_conversation_id
 * $agents_run_id $agents_run_status $agents_error.
 */


#ifndef _NGX_HTTP_AGENTS_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_AGENTS_VARIABLES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"
#include "ngx_http_agents_store.h"


/* Of the module's preconfiguration. */
ngx_int_t ngx_http_agents_variables_add(ngx_conf_t *cf);

/* What the request is about, for the log; without memory it is left out. */
void ngx_http_agents_variables_conversation(ngx_http_request_t *r,
    const ngx_http_agents_text_t *id);
void ngx_http_agents_variables_run(ngx_http_request_t *r,
    const ngx_http_agents_run_record_t *run);


#endif /* _NGX_HTTP_AGENTS_VARIABLES_H_INCLUDED_ */
