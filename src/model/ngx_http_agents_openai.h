
/*
 * OpenAI-compatible chat completions: OpenAI itself, vLLM, llama.cpp, Ollama
 * and the gateways that speak the same.  Pure; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_OPENAI_H_INCLUDED_
#define _NGX_HTTP_AGENTS_OPENAI_H_INCLUDED_


#include "ngx_http_agents_draft.h"
#include "ngx_http_agents_format.h"


extern const ngx_http_agents_protocol_t  ngx_http_agents_openai;


/* The members of ngx_http_agents_protocol_t: see there. */
int ngx_http_agents_openai_encode(const ngx_http_agents_prompt_t *prompt,
    ngx_http_agents_model_request_t *request);
int ngx_http_agents_openai_reply_read(ngx_http_agents_draft_t *draft,
    const json_t *root, ngx_http_agents_buf_t *why);
void ngx_http_agents_openai_reply_event(ngx_http_agents_draft_t *draft,
    const char *type, const json_t *root);
ngx_http_agents_model_fault_e ngx_http_agents_openai_fault_read(int status,
    const char *body, size_t len, ngx_http_agents_buf_t *why);

/* An error in the midst of a stream: {error: {...}}. */
void ngx_http_agents_openai_fault_event(ngx_http_agents_draft_t *draft,
    const json_t *root);

/* What strict mode takes of an output schema. */
extern const ngx_http_agents_format_rules_t  ngx_http_agents_openai_rules;


#endif /* _NGX_HTTP_AGENTS_OPENAI_H_INCLUDED_ */
