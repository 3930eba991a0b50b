
/*
 * The title of a conversation, as far as it is pure thought: what a model is
 * asked for one, and what of its reply is the title.  No nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_LOOP_TITLE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_LOOP_TITLE_H_INCLUDED_


#include "ngx_http_agents_draft.h"


/* A longer title is cut, in characters. */
#define NGX_HTTP_AGENTS_TITLE_MAX  80


/*
 * The request for a title of the conversation that begins with "text".
 * "prompt" has provider, model and what the model lacks; the rest of it is
 * set here.  0, or -1 without memory.
 */
int ngx_http_agents_loop_title_ask(const ngx_http_agents_protocol_t *protocol,
    ngx_http_agents_prompt_t *prompt, const char *text, size_t len,
    ngx_http_agents_model_request_t *request);

/*
 * The title in a model's answer, in one line without quotes or mark-up:
 * malloc'd, NUL terminated; NULL if there is none.
 */
char *ngx_http_agents_loop_title_read(
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt, ngx_http_agents_answer_t *answer);


#endif /* _NGX_HTTP_AGENTS_LOOP_TITLE_H_INCLUDED_ */
