
#include <string.h>
#include <strings.h>
#include "ngx_http_agents_openai.h"


/* How much of a message, or of a body without one, is worth repeating. */
#define NGX_HTTP_AGENTS_OPENAI_FAULT_TEXT  500


/* What the servers have in common: texts borrowed from the body; NULL: none. */
typedef struct {
    const char  *message;
    const char  *type;
    const char  *code;
} ngx_http_agents_openai_fault_t;


static void ngx_http_agents_openai_fault_find(
    ngx_http_agents_openai_fault_t *fault, const json_t *root);
static ngx_http_agents_model_fault_e ngx_http_agents_openai_fault_class(
    const ngx_http_agents_openai_fault_t *fault, int status);
static int ngx_http_agents_openai_fault_named(
    const ngx_http_agents_openai_fault_t *fault, const char *const *names);
static int ngx_http_agents_openai_fault_says(
    const ngx_http_agents_openai_fault_t *fault, const char *const *phrases);
static void ngx_http_agents_openai_fault_page(const char *body, size_t len,
    ngx_http_agents_buf_t *why);
static void ngx_http_agents_openai_fault_quote(const char *text, size_t len,
    ngx_http_agents_buf_t *why);


static const int  ngx_http_agents_openai_fault_passing[] = {
    408, 429, 500, 502, 503, 504, 529, 0
};

/* Both come as 429, and no waiting helps. */
static const char *const  ngx_http_agents_openai_fault_unpaid[] = {
    "insufficient_quota", "billing_not_active", NULL
};

static const char *const  ngx_http_agents_openai_fault_filtered[] = {
    "content_filter", "content_policy_violation",
    "ResponsibleAIPolicyViolation", NULL
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


ngx_http_agents_model_fault_e
ngx_http_agents_openai_fault_read(int status, const char *body, size_t len,
    ngx_http_agents_buf_t *why)
{
    json_t                          *root;
    ngx_http_agents_json_fault_t     error;
    ngx_http_agents_openai_fault_t   fault;
    ngx_http_agents_model_fault_e    class;

    memset(&fault, 0, sizeof(ngx_http_agents_openai_fault_t));

    root = ngx_http_agents_json_parse_foreign(body, len,
                                              NGX_HTTP_AGENTS_JSON_DEPTH,
                                              &error);

    ngx_http_agents_openai_fault_find(&fault, root);

    if (fault.message != NULL) {
        ngx_http_agents_openai_fault_quote(fault.message,
                                           strlen(fault.message), why);

    } else {
        ngx_http_agents_openai_fault_page(body, len, why);
    }

    class = ngx_http_agents_openai_fault_class(&fault, status);

    json_decref(root);

    return class;
}


/*
 * {error: {message, type, code}}, also as the one element of a list;
 * {error: "message"}; {message, type, code}; {detail: "message"};
 * {detail: [{msg}]}.
 */

static void
ngx_http_agents_openai_fault_find(ngx_http_agents_openai_fault_t *fault,
    const json_t *root)
{
    json_t        *error;
    const json_t  *object;

    if (json_is_array(root)) {
        root = json_array_get(root, 0);
    }

    error = json_object_get(root, "error");
    object = json_is_object(error) ? error : root;

    fault->type = ngx_http_agents_json_string(object, "type", NULL);
    fault->code = ngx_http_agents_json_string(object, "code", NULL);
    fault->message = ngx_http_agents_json_string(object, "message", NULL);

    if (fault->message == NULL) {
        fault->message = json_string_value(error);
    }

    if (fault->message == NULL) {
        fault->message = ngx_http_agents_json_string(root, "detail", NULL);
    }

    if (fault->message == NULL) {
        error = json_array_get(ngx_http_agents_json_array(root, "detail"), 0);
        fault->message = ngx_http_agents_json_string(error, "msg", NULL);
    }
}


static ngx_http_agents_model_fault_e
ngx_http_agents_openai_fault_class(
    const ngx_http_agents_openai_fault_t *fault, int status)
{
    size_t  i;

    if (ngx_http_agents_openai_fault_named(fault,
                                       ngx_http_agents_openai_fault_unpaid))
    {
        return NGX_HTTP_AGENTS_FAULT_FATAL;
    }

    if (ngx_http_agents_openai_fault_named(fault,
                                       ngx_http_agents_openai_fault_filtered))
    {
        return NGX_HTTP_AGENTS_FAULT_FILTERED;
    }

    if (status == 413
        || ngx_http_agents_openai_fault_named(fault,
                                       ngx_http_agents_openai_fault_long))
    {
        return NGX_HTTP_AGENTS_FAULT_CONTEXT;
    }

    /* a rate limit in tokens may speak of lengths, and passes by itself */

    if (status != 429
        && ngx_http_agents_openai_fault_says(fault,
                                    ngx_http_agents_openai_fault_long_texts))
    {
        return NGX_HTTP_AGENTS_FAULT_CONTEXT;
    }

    for (i = 0; ngx_http_agents_openai_fault_passing[i] != 0; i++) {
        if (ngx_http_agents_openai_fault_passing[i] == status) {
            return NGX_HTTP_AGENTS_FAULT_RETRY;
        }
    }

    return NGX_HTTP_AGENTS_FAULT_FATAL;
}


static int
ngx_http_agents_openai_fault_named(
    const ngx_http_agents_openai_fault_t *fault, const char *const *names)
{
    for ( /* void */ ; *names != NULL; names++) {

        if (fault->code != NULL && strcmp(fault->code, *names) == 0) {
            return 1;
        }

        if (fault->type != NULL && strcmp(fault->type, *names) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
ngx_http_agents_openai_fault_says(
    const ngx_http_agents_openai_fault_t *fault, const char *const *phrases)
{
    size_t       len;
    const char  *text;

    if (fault->message == NULL) {
        return 0;
    }

    for ( /* void */ ; *phrases != NULL; phrases++) {
        len = strlen(*phrases);

        for (text = fault->message; *text != '\0'; text++) {
            if (strncasecmp(text, *phrases, len) == 0) {
                return 1;
            }
        }
    }

    return 0;
}


/* A body that is not the server's own form: of a proxy's page, the title. */

static void
ngx_http_agents_openai_fault_page(const char *body, size_t len,
    ngx_http_agents_buf_t *why)
{
    size_t       i, n;
    const char  *start;

    static const char  title[] = "<title>";

    while (len != 0 && strchr(" \t\r\n", *body) != NULL) {
        body++;
        len--;
    }

    if (len == 0) {
        ngx_http_agents_buf_adds(why, "(an empty body)");
        return;
    }

    if (*body != '<') {
        ngx_http_agents_openai_fault_quote(body, len, why);
        return;
    }

    n = sizeof(title) - 1;

    for (i = 0; i + n < len; i++) {

        if (strncasecmp(body + i, title, n) != 0) {
            continue;
        }

        start = body + i + n;
        len -= i + n;

        for (n = 0; n < len && start[n] != '<'; n++) { /* void */ }

        if (n != 0) {
            ngx_http_agents_openai_fault_quote(start, n, why);
            return;
        }

        break;
    }

    ngx_http_agents_buf_adds(why, "(a page of HTML)");
}


/* The beginning, cut at a character; what controls terminals goes. */

static void
ngx_http_agents_openai_fault_quote(const char *text, size_t len,
    ngx_http_agents_buf_t *why)
{
    int     cut;
    size_t  i;

    cut = 0;

    if (len > NGX_HTTP_AGENTS_OPENAI_FAULT_TEXT) {
        len = NGX_HTTP_AGENTS_OPENAI_FAULT_TEXT;
        cut = 1;

        while (len != 0 && ((unsigned char) text[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    for (i = 0; i < len; i++) {
        if ((unsigned char) text[i] < ' ' || text[i] == 0x7f) {
            ngx_http_agents_buf_addc(why, ' ');

        } else {
            ngx_http_agents_buf_addc(why, text[i]);
        }
    }

    if (cut) {
        ngx_http_agents_buf_adds(why, "...");
    }
}
