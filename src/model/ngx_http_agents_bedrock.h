
/*
 * Amazon Bedrock's Converse and ConverseStream.  Pure; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_BEDROCK_H_INCLUDED_
#define _NGX_HTTP_AGENTS_BEDROCK_H_INCLUDED_


#include "ngx_http_agents_draft.h"
#include "ngx_http_agents_plan.h"


extern const ngx_http_agents_protocol_t  ngx_http_agents_bedrock;


/* The members of ngx_http_agents_protocol_t: see there. */
int ngx_http_agents_bedrock_reply_read(ngx_http_agents_draft_t *draft,
    const json_t *root, ngx_http_agents_buf_t *why);
void ngx_http_agents_bedrock_reply_event(ngx_http_agents_draft_t *draft,
    const char *type, const json_t *root);
json_t *ngx_http_agents_bedrock_reply_opaque(
    const ngx_http_agents_draft_block_t *block);
ngx_http_agents_model_fault_e ngx_http_agents_bedrock_fault_read(int status,
    const char *body, size_t len, ngx_http_agents_buf_t *why);

/* {message}, as an exception of that name in the midst of a stream. */
void ngx_http_agents_bedrock_fault_event(ngx_http_agents_draft_t *draft,
    const char *name, const json_t *root);


#endif /* _NGX_HTTP_AGENTS_BEDROCK_H_INCLUDED_ */
