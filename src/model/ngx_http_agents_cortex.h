
/*
 * Snowflake Cortex: Anthropic's Messages for Claude, OpenAI's chat completions
 * for all other models, below paths of its own.  Pure; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_CORTEX_H_INCLUDED_
#define _NGX_HTTP_AGENTS_CORTEX_H_INCLUDED_


#include "ngx_http_agents_model.h"


extern const ngx_http_agents_protocol_t  ngx_http_agents_cortex;


#endif /* _NGX_HTTP_AGENTS_CORTEX_H_INCLUDED_ */
