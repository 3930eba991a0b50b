
/*
 * Anthropic's errors, of answers and in streams.
 */


#include <string.h>
#include "ngx_http_agents_anthropic.h"
#include "ngx_http_agents_refusal.h"


static ngx_http_agents_model_fault_e ngx_http_agents_anthropic_fault_class(
    const ngx_http_agents_refusal_t *refusal, int status);


static const char *const  ngx_http_agents_anthropic_fault_long[] = {
    "prompt is too long", "input is too long", "exceed context limit",
    "exceeds the context", "context window", NULL
};

static const char *const  ngx_http_agents_anthropic_fault_filtered[] = {
    "content filtering policy", NULL
};

/* In the midst of a stream there is no status: these stand for one. */
static const char *const  ngx_http_agents_anthropic_fault_passing[] = {
    "overloaded_error", "rate_limit_error", "api_error", "timeout_error", NULL
};


ngx_http_agents_model_fault_e
ngx_http_agents_anthropic_fault_read(int status, const char *body, size_t len,
    ngx_http_agents_buf_t *why)
{
    ngx_http_agents_refusal_t      refusal;
    ngx_http_agents_model_fault_e  class;

    ngx_http_agents_refusal_read(&refusal, body, len);
    ngx_http_agents_refusal_tell(&refusal, why);

    class = ngx_http_agents_anthropic_fault_class(&refusal, status);

    ngx_http_agents_refusal_free(&refusal);

    return class;
}


void
ngx_http_agents_anthropic_fault_event(ngx_http_agents_draft_t *draft,
    const json_t *root)
{
    const char                    *text;
    ngx_http_agents_refusal_t      refusal;
    ngx_http_agents_model_fault_e  class;

    ngx_http_agents_refusal_read_json(&refusal, root);

    class = ngx_http_agents_anthropic_fault_class(&refusal, 0);

    if (class == NGX_HTTP_AGENTS_FAULT_FATAL
        && ngx_http_agents_refusal_named(&refusal,
                                     ngx_http_agents_anthropic_fault_passing))
    {
        class = NGX_HTTP_AGENTS_FAULT_RETRY;
    }

    text = (refusal.message != NULL) ? refusal.message : "";

    ngx_http_agents_draft_fault(draft, class, text, strlen(text));
}


static ngx_http_agents_model_fault_e
ngx_http_agents_anthropic_fault_class(const ngx_http_agents_refusal_t *refusal,
    int status)
{
    if (status == 413
        || (status != 429
            && ngx_http_agents_refusal_says(refusal,
                                      ngx_http_agents_anthropic_fault_long)))
    {
        return NGX_HTTP_AGENTS_FAULT_CONTEXT;
    }

    if (ngx_http_agents_refusal_says(refusal,
                                    ngx_http_agents_anthropic_fault_filtered))
    {
        return NGX_HTTP_AGENTS_FAULT_FILTERED;
    }

    /* those of a proxy before it, such as 520 to 526, pass as its own do */

    return (status == 409 || status >= 500
            || ngx_http_agents_refusal_passes(status))
           ? NGX_HTTP_AGENTS_FAULT_RETRY : NGX_HTTP_AGENTS_FAULT_FATAL;
}
