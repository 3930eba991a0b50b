
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ngx_http_agents_anthropic.h"
#include "ngx_http_agents_cortex.h"
#include "ngx_http_agents_openai.h"
#include "ngx_http_agents_refusal.h"


static int ngx_http_agents_cortex_encode(
    const ngx_http_agents_prompt_t *prompt,
    ngx_http_agents_model_request_t *request);
static int ngx_http_agents_cortex_is_claude(const char *model);
static int ngx_http_agents_cortex_read(ngx_http_agents_draft_t *draft,
    const json_t *root, ngx_http_agents_buf_t *why);
static void ngx_http_agents_cortex_event(ngx_http_agents_draft_t *draft,
    const char *type, const json_t *root);
static ngx_http_agents_model_fault_e ngx_http_agents_cortex_fault(int status,
    const char *body, size_t len, ngx_http_agents_buf_t *why);
static ngx_http_agents_model_fault_e ngx_http_agents_cortex_fault_class(
    const ngx_http_agents_refusal_t *refusal, int status);


static const char *const  ngx_http_agents_cortex_long[] = {
    "prompt is too long", "input is too long", "exceed context limit",
    "exceeds the context", "context window", "maximum context length",
    "context length exceeded", "max tokens of", NULL
};

static const char *const  ngx_http_agents_cortex_filtered[] = {
    "content filter", "content management policy", "filtered by cortex guard",
    NULL
};

/* In the midst of a stream there is no status: these codes stand for one. */
static const char *const  ngx_http_agents_cortex_passing[] = {
    "429", "503", "504", NULL
};


const ngx_http_agents_protocol_t  ngx_http_agents_cortex = {
    "cortex",
    "Authorization",
    "Bearer ",
    ngx_http_agents_cortex_encode,
    ngx_http_agents_cortex_read,
    ngx_http_agents_cortex_event,
    ngx_http_agents_anthropic_reply_opaque,
    ngx_http_agents_cortex_fault,
    NULL,
    ".snowflakecomputing.com"
};


static int
ngx_http_agents_cortex_encode(const ngx_http_agents_prompt_t *prompt,
    ngx_http_agents_model_request_t *request)
{
    int                     rc;
    ngx_http_agents_buf_t   path;

    ngx_http_agents_buf_init(&path);

    if (ngx_http_agents_cortex_is_claude(prompt->model)) {
        ngx_http_agents_buf_adds(&path, "/api/v2/cortex");
        rc = ngx_http_agents_anthropic_encode(prompt, request);

    } else {
        ngx_http_agents_buf_adds(&path, "/api/v2/cortex/v1");
        rc = ngx_http_agents_openai_encode(prompt, request);
    }

    if (rc == 0) {
        ngx_http_agents_buf_adds(&path, request->path);

        free(request->path);
        request->path = ngx_http_agents_buf_take(&path, NULL);

        rc = (request->path != NULL) ? 0 : -1;
    }

    ngx_http_agents_buf_free(&path);

    return rc;
}


static int
ngx_http_agents_cortex_is_claude(const char *model)
{
    for ( /* void */ ; *model != '\0'; model++) {
        if (strncasecmp(model, "claude", 6) == 0) {
            return 1;
        }
    }

    return 0;
}


/* A reply shows by its form whose it is. */

static int
ngx_http_agents_cortex_read(ngx_http_agents_draft_t *draft, const json_t *root,
    ngx_http_agents_buf_t *why)
{
    const char  *text;

    if (ngx_http_agents_json_array(root, "choices") != NULL) {
        return ngx_http_agents_openai_reply_read(draft, root, why);
    }

    text = ngx_http_agents_json_string(root, "message", NULL);

    if (text != NULL) {
        ngx_http_agents_buf_adds(why, "the reply holds an error: ");
        ngx_http_agents_refusal_quote(text, strlen(text), why);
        return -1;
    }

    if (ngx_http_agents_json_string(root, "type", NULL) != NULL) {
        return ngx_http_agents_anthropic_reply_read(draft, root, why);
    }

    return ngx_http_agents_openai_reply_read(draft, root, why);
}


static void
ngx_http_agents_cortex_event(ngx_http_agents_draft_t *draft, const char *type,
    const json_t *root)
{
    const char                    *text;
    ngx_http_agents_refusal_t      refusal;
    ngx_http_agents_model_fault_e  class;

    text = ngx_http_agents_json_string(root, "message", NULL);

    if (text != NULL) {
        ngx_http_agents_refusal_read_json(&refusal, root);

        class = ngx_http_agents_cortex_fault_class(&refusal, 0);

        if (class == NGX_HTTP_AGENTS_FAULT_FATAL
            && ngx_http_agents_refusal_named(&refusal,
                                             ngx_http_agents_cortex_passing))
        {
            class = NGX_HTTP_AGENTS_FAULT_RETRY;
        }

        ngx_http_agents_draft_fault(draft, class, text, strlen(text));
        return;
    }

    if (ngx_http_agents_json_string(root, "type", NULL) != NULL) {
        ngx_http_agents_anthropic_reply_event(draft, type, root);
        return;
    }

    ngx_http_agents_openai_reply_event(draft, type, root);
}


static ngx_http_agents_model_fault_e
ngx_http_agents_cortex_fault(int status, const char *body, size_t len,
    ngx_http_agents_buf_t *why)
{
    ngx_http_agents_refusal_t      refusal;
    ngx_http_agents_model_fault_e  class;

    ngx_http_agents_refusal_read(&refusal, body, len);
    ngx_http_agents_refusal_tell(&refusal, why);

    class = ngx_http_agents_cortex_fault_class(&refusal, status);

    ngx_http_agents_refusal_free(&refusal);

    return class;
}


/* Only these statuses pass by themselves; a token may have aged. */

static ngx_http_agents_model_fault_e
ngx_http_agents_cortex_fault_class(const ngx_http_agents_refusal_t *refusal,
    int status)
{
    switch (status) {

    case 401:
        return NGX_HTTP_AGENTS_FAULT_CREDENTIALS;

    case 413:
        return NGX_HTTP_AGENTS_FAULT_CONTEXT;

    case 429:
    case 503:
    case 504:
        return NGX_HTTP_AGENTS_FAULT_RETRY;
    }

    if (ngx_http_agents_refusal_says(refusal, ngx_http_agents_cortex_long)) {
        return NGX_HTTP_AGENTS_FAULT_CONTEXT;
    }

    if (ngx_http_agents_refusal_says(refusal,
                                     ngx_http_agents_cortex_filtered))
    {
        return NGX_HTTP_AGENTS_FAULT_FILTERED;
    }

    return NGX_HTTP_AGENTS_FAULT_FATAL;
}
