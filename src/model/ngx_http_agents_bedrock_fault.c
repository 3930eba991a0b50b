
/*
 * Bedrock's errors, of answers and in streams.
 */


#include <string.h>
#include <strings.h>
#include "ngx_http_agents_bedrock.h"
#include "ngx_http_agents_refusal.h"


static ngx_http_agents_model_fault_e ngx_http_agents_bedrock_fault_class(
    const ngx_http_agents_refusal_t *refusal, int status);


static const char *const  ngx_http_agents_bedrock_fault_long[] = {
    "input is too long", "prompt is too long", "exceeds the context",
    "context window", "maximum context length", "too many input tokens", NULL
};

static const char *const  ngx_http_agents_bedrock_fault_filtered[] = {
    "content filtering policy", "blocked by guardrail", NULL
};

/* Of keys that end: others are worth a try. */
static const char *const  ngx_http_agents_bedrock_fault_ended[] = {
    "security token", "ExpiredToken", NULL
};

/* Exceptions in the midst of a stream, by name, that pass. */
static const char *const  ngx_http_agents_bedrock_fault_passing[] = {
    "throttling", "internalServer", "serviceUnavailable", "modelTimeout",
    "modelNotReady", "modelStreamError", NULL
};


ngx_http_agents_model_fault_e
ngx_http_agents_bedrock_fault_read(int status, const char *body, size_t len,
    ngx_http_agents_buf_t *why)
{
    ngx_http_agents_refusal_t      refusal;
    ngx_http_agents_model_fault_e  class;

    ngx_http_agents_refusal_read(&refusal, body, len);

    if (refusal.message == NULL) {
        refusal.message = ngx_http_agents_json_string(refusal.root, "Message",
                                                      NULL);
    }

    if (refusal.message == NULL) {
        refusal.message = ngx_http_agents_json_string(refusal.root, "__type",
                                                      NULL);
    }

    ngx_http_agents_refusal_tell(&refusal, why);

    class = ngx_http_agents_bedrock_fault_class(&refusal, status);

    ngx_http_agents_refusal_free(&refusal);

    return class;
}


void
ngx_http_agents_bedrock_fault_event(ngx_http_agents_draft_t *draft,
    const char *name, const json_t *root)
{
    size_t                         i, len;
    const char                    *text;
    ngx_http_agents_refusal_t      refusal;
    ngx_http_agents_model_fault_e  class;

    ngx_http_agents_refusal_read_json(&refusal, root);

    class = ngx_http_agents_bedrock_fault_class(&refusal, 0);

    for (i = 0; ngx_http_agents_bedrock_fault_passing[i] != NULL; i++) {
        len = strlen(ngx_http_agents_bedrock_fault_passing[i]);

        if (class == NGX_HTTP_AGENTS_FAULT_FATAL
            && strncasecmp(name, ngx_http_agents_bedrock_fault_passing[i], len)
               == 0)
        {
            class = NGX_HTTP_AGENTS_FAULT_RETRY;
        }
    }

    text = (refusal.message != NULL) ? refusal.message : name;

    ngx_http_agents_draft_fault(draft, class, text, strlen(text));
}


/* 424: the model failed, or is not ready.  400 and 403: services differ. */

static ngx_http_agents_model_fault_e
ngx_http_agents_bedrock_fault_class(const ngx_http_agents_refusal_t *refusal,
    int status)
{
    if (status == 413
        || (status != 429
            && ngx_http_agents_refusal_says(refusal,
                                        ngx_http_agents_bedrock_fault_long)))
    {
        return NGX_HTTP_AGENTS_FAULT_CONTEXT;
    }

    if (ngx_http_agents_refusal_says(refusal,
                                      ngx_http_agents_bedrock_fault_filtered))
    {
        return NGX_HTTP_AGENTS_FAULT_FILTERED;
    }

    if ((status == 403 || status == 400)
        && ngx_http_agents_refusal_says(refusal,
                                        ngx_http_agents_bedrock_fault_ended))
    {
        return NGX_HTTP_AGENTS_FAULT_CREDENTIALS;
    }

    if (status == 424) {
        return NGX_HTTP_AGENTS_FAULT_ONCE;
    }

    return ngx_http_agents_refusal_passes(status)
           ? NGX_HTTP_AGENTS_FAULT_RETRY : NGX_HTTP_AGENTS_FAULT_FATAL;
}
