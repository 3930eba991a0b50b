
/*
 * Errors of chat completions, of answers and in streams.
 */


#include <string.h>
#include "ngx_http_agents_openai.h"
#include "ngx_http_agents_refusal.h"


static ngx_http_agents_model_fault_e ngx_http_agents_openai_fault_class(
    const ngx_http_agents_refusal_t *refusal, int status);


/* Both come as 429, and no waiting helps. */
static const char *const  ngx_http_agents_openai_fault_unpaid[] = {
    "insufficient_quota", "billing_not_active", NULL
};

static const char *const  ngx_http_agents_openai_fault_filtered[] = {
    "content_filter", "content_policy_violation",
    "ResponsibleAIPolicyViolation", NULL
};

/* Gateways put others' words into codes of their own. */
static const char *const  ngx_http_agents_openai_fault_filtered_texts[] = {
    "content management policy", "content filtering policy", NULL
};

static const char *const  ngx_http_agents_openai_fault_long[] = {
    "context_length_exceeded", "exceed_context_size_error", NULL
};

/* Self-hosted servers have no code for it. */
static const char *const  ngx_http_agents_openai_fault_long_texts[] = {
    "maximum context length", "context length exceeded",
    "exceeds the context length", "exceeds the available context size",
    "exceed context window", "exceeds context window", "prompt is too long",
    "input is too long", "maximum model length", NULL
};


/* In the midst of a stream there is no status: these stand for one. */
static const char *const  ngx_http_agents_openai_fault_passing[] = {
    "server_error", "rate_limit_exceeded", "rate_limit_error",
    "overloaded_error", "api_error", "internal_error", "timeout", "429", "500",
    "502", "503", "504", "529", NULL
};


ngx_http_agents_model_fault_e
ngx_http_agents_openai_fault_read(int status, const char *body, size_t len,
    ngx_http_agents_buf_t *why)
{
    ngx_http_agents_refusal_t      refusal;
    ngx_http_agents_model_fault_e  class;

    ngx_http_agents_refusal_read(&refusal, body, len);
    ngx_http_agents_refusal_tell(&refusal, why);

    class = ngx_http_agents_openai_fault_class(&refusal, status);

    ngx_http_agents_refusal_free(&refusal);

    return class;
}


void
ngx_http_agents_openai_fault_event(ngx_http_agents_draft_t *draft,
    const json_t *root)
{
    int                            status;
    const char                    *text;
    ngx_http_agents_refusal_t      refusal;
    ngx_http_agents_model_fault_e  class;

    ngx_http_agents_refusal_read_json(&refusal, root);

    status = (int) ngx_http_agents_json_integer(json_object_get(root, "error"),
                                                "code", 0);

    class = ngx_http_agents_openai_fault_class(&refusal, status);

    if (class == NGX_HTTP_AGENTS_FAULT_FATAL
        && ngx_http_agents_refusal_named(&refusal,
                                       ngx_http_agents_openai_fault_passing))
    {
        class = NGX_HTTP_AGENTS_FAULT_RETRY;
    }

    text = (refusal.message != NULL) ? refusal.message : "";

    ngx_http_agents_draft_fault(draft, class, text, strlen(text));
}


static ngx_http_agents_model_fault_e
ngx_http_agents_openai_fault_class(const ngx_http_agents_refusal_t *refusal,
    int status)
{
    if (ngx_http_agents_refusal_named(refusal,
                                      ngx_http_agents_openai_fault_unpaid))
    {
        return NGX_HTTP_AGENTS_FAULT_FATAL;
    }

    if (ngx_http_agents_refusal_named(refusal,
                                      ngx_http_agents_openai_fault_filtered)
        || ngx_http_agents_refusal_says(refusal,
                                  ngx_http_agents_openai_fault_filtered_texts))
    {
        return NGX_HTTP_AGENTS_FAULT_FILTERED;
    }

    if (status == 413
        || ngx_http_agents_refusal_named(refusal,
                                         ngx_http_agents_openai_fault_long))
    {
        return NGX_HTTP_AGENTS_FAULT_CONTEXT;
    }

    /* a rate limit in tokens may speak of lengths, and passes by itself */

    if (status != 429
        && ngx_http_agents_refusal_says(refusal,
                                    ngx_http_agents_openai_fault_long_texts))
    {
        return NGX_HTTP_AGENTS_FAULT_CONTEXT;
    }

    return ngx_http_agents_refusal_passes(status)
           ? NGX_HTTP_AGENTS_FAULT_RETRY : NGX_HTTP_AGENTS_FAULT_FATAL;
}
