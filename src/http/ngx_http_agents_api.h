
/*
 * The handlers of the endpoints, one file per resource, and the types of
 * their bodies.
 */


#ifndef _NGX_HTTP_AGENTS_API_H_INCLUDED_
#define _NGX_HTTP_AGENTS_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"


/* ngx_http_agents_api_conversations.c */

extern const ngx_http_agents_body_type_t
    ngx_http_agents_api_conversations_body;
extern const ngx_http_agents_body_type_t
    ngx_http_agents_api_conversations_change_body;

ngx_int_t ngx_http_agents_api_conversations_create(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
ngx_int_t ngx_http_agents_api_conversations_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
ngx_int_t ngx_http_agents_api_conversations_get(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);
ngx_int_t ngx_http_agents_api_conversations_change(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_messages.c */

ngx_int_t ngx_http_agents_api_messages_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_models.c */

ngx_int_t ngx_http_agents_api_models_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_openapi.c */

ngx_int_t ngx_http_agents_api_openapi_get(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_runs.c */

ngx_int_t ngx_http_agents_api_runs_get(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_events.c */

ngx_int_t ngx_http_agents_api_events_get(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_cancel.c */

ngx_int_t ngx_http_agents_api_cancel(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_runs_list.c */

ngx_int_t ngx_http_agents_api_runs_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_delete.c */

ngx_int_t ngx_http_agents_api_delete(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


/* ngx_http_agents_api_start.c */

extern const ngx_http_agents_body_type_t  ngx_http_agents_api_start_body;

ngx_int_t ngx_http_agents_api_start(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx);


#endif /* _NGX_HTTP_AGENTS_API_H_INCLUDED_ */
