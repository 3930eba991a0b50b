
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ngx_http_agents_model.h"
#include "ngx_http_agents_refusal.h"


/* How much of a message, or of a body without one, is worth repeating. */
#define NGX_HTTP_AGENTS_REFUSAL_TEXT  500


/* What a model lacks, by the words that refuse it. */
typedef struct {
    unsigned      lacks;
    const char   *feature;
} ngx_http_agents_refusal_lack_t;


static void ngx_http_agents_refusal_find(ngx_http_agents_refusal_t *refusal,
    const json_t *root);
static void ngx_http_agents_refusal_page(const char *body, size_t len,
    ngx_http_agents_buf_t *why);
static int ngx_http_agents_refusal_holds(const char *text,
    const char *phrase);


static const int  ngx_http_agents_refusal_statuses[] = {
    408, 429, 500, 502, 503, 504, 529, 0
};

/* The more special ones first. */

static const ngx_http_agents_refusal_lack_t  ngx_http_agents_refusal_lacking[]
    =
{
    { NGX_HTTP_AGENTS_NO_STRICT_TOOLS, "strict" },
    { NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS, "grammar with tools" },
    { NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS, "response_format with tools" },
    { NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS, "grammar and tools" },
    { NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS, "constraints with tools" },
    { NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS, "combined with tool" },
    { NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS, "response mime type" },
    { NGX_HTTP_AGENTS_NO_NATIVE_FORMAT, "output_config" },
    { NGX_HTTP_AGENTS_NO_NATIVE_FORMAT, "outputConfig" },
    { NGX_HTTP_AGENTS_NO_NATIVE_FORMAT, "response_format" },
    { NGX_HTTP_AGENTS_NO_NATIVE_FORMAT, "json_schema" },
    { NGX_HTTP_AGENTS_NO_NATIVE_FORMAT, "structured output" },
    { NGX_HTTP_AGENTS_NO_FORCED_CHOICE, "tool_choice" },
    { NGX_HTTP_AGENTS_NO_FORCED_CHOICE, "toolChoice" },
    { NGX_HTTP_AGENTS_NO_FORCED_CHOICE, "tool choice" },
    { NGX_HTTP_AGENTS_NO_TEMPERATURE, "temperature" },
    { NGX_HTTP_AGENTS_NO_STREAM, "stream_options" },
    { NGX_HTTP_AGENTS_NO_STREAM, "streaming" },
    { 0, NULL }
};

static const char *const  ngx_http_agents_refusal_words[] = {
    "not supported", "unsupported", "not support", "n't support",
    "not permitted", "may not be", "may only be",
    "not allowed", "not available", "not compatible", "incompatible",
    "extraneous key", "unrecognized", "unknown parameter", "unknown field",
    "unexpected keyword", "only the default", "cannot be used",
    "cannot use", "cannot be combined", "cannot specify", "deprecated",
    "removed", "must be auto", "not enabled", NULL
};


void
ngx_http_agents_refusal_read(ngx_http_agents_refusal_t *refusal,
    const char *body, size_t len)
{
    ngx_http_agents_json_fault_t  fault;

    memset(refusal, 0, sizeof(ngx_http_agents_refusal_t));

    refusal->body = body;
    refusal->len = len;
    refusal->root = ngx_http_agents_json_parse_foreign(body, len,
                                                  NGX_HTTP_AGENTS_JSON_DEPTH,
                                                  &fault);
    ngx_http_agents_refusal_find(refusal, refusal->root);
}


void
ngx_http_agents_refusal_read_json(ngx_http_agents_refusal_t *refusal,
    const json_t *root)
{
    memset(refusal, 0, sizeof(ngx_http_agents_refusal_t));

    ngx_http_agents_refusal_find(refusal, root);
}


void
ngx_http_agents_refusal_free(ngx_http_agents_refusal_t *refusal)
{
    json_decref(refusal->root);
}


void
ngx_http_agents_refusal_tell(const ngx_http_agents_refusal_t *refusal,
    ngx_http_agents_buf_t *why)
{
    if (refusal->message != NULL) {
        ngx_http_agents_refusal_quote(refusal->message,
                                      strlen(refusal->message), why);

    } else {
        ngx_http_agents_refusal_page(refusal->body, refusal->len, why);
    }
}


int
ngx_http_agents_refusal_passes(int status)
{
    size_t  i;

    for (i = 0; ngx_http_agents_refusal_statuses[i] != 0; i++) {
        if (ngx_http_agents_refusal_statuses[i] == status) {
            return 1;
        }
    }

    return 0;
}


unsigned
ngx_http_agents_refusal_lacks(int status, const char *message)
{
    ngx_http_agents_refusal_t              refusal;
    const ngx_http_agents_refusal_lack_t  *lack;

    memset(&refusal, 0, sizeof(ngx_http_agents_refusal_t));
    refusal.message = message;

    if ((status != 400 && status != 422)
        || !ngx_http_agents_refusal_says(&refusal,
                                         ngx_http_agents_refusal_words))
    {
        return 0;
    }

    for (lack = ngx_http_agents_refusal_lacking; lack->lacks != 0; lack++) {
        if (ngx_http_agents_refusal_holds(message, lack->feature)) {
            return lack->lacks;
        }
    }

    return 0;
}


/* Some make a strict tool of a format, and refuse it by that name. */

unsigned
ngx_http_agents_refusal_next(unsigned had, unsigned lacks)
{
    if ((lacks & NGX_HTTP_AGENTS_NO_STRICT_TOOLS) && (had & lacks)) {
        lacks = NGX_HTTP_AGENTS_NO_NATIVE_FORMAT;
    }

    return (had & lacks) ? 0 : lacks;
}


static int
ngx_http_agents_refusal_holds(const char *text, const char *phrase)
{
    size_t  len;

    len = strlen(phrase);

    for ( /* void */ ; *text != '\0'; text++) {
        if (strncasecmp(text, phrase, len) == 0) {
            return 1;
        }
    }

    return 0;
}


/*
 * {error: {message, type, code}}, also as the one element of a list;
 * {error: "message"}; {message, type, code}; {detail: "message"};
 * {detail: [{msg}]}.
 */

static void
ngx_http_agents_refusal_find(ngx_http_agents_refusal_t *refusal,
    const json_t *root)
{
    json_t        *error;
    const json_t  *object;

    if (json_is_array(root)) {
        root = json_array_get(root, 0);
    }

    error = json_object_get(root, "error");
    object = json_is_object(error) ? error : root;

    refusal->type = ngx_http_agents_json_string(object, "type", NULL);
    refusal->code = ngx_http_agents_json_string(object, "code", NULL);
    refusal->message = ngx_http_agents_json_string(object, "message", NULL);

    if (refusal->message == NULL) {
        refusal->message = ngx_http_agents_json_string(root, "error", NULL);
    }

    if (refusal->message == NULL) {
        refusal->message = ngx_http_agents_json_string(root, "detail", NULL);
    }

    if (refusal->message == NULL) {
        error = json_array_get(ngx_http_agents_json_array(root, "detail"), 0);
        refusal->message = ngx_http_agents_json_string(error, "msg", NULL);
    }
}


int
ngx_http_agents_refusal_named(
    const ngx_http_agents_refusal_t *refusal, const char *const *names)
{
    for ( /* void */ ; *names != NULL; names++) {

        if (refusal->code != NULL && strcmp(refusal->code, *names) == 0) {
            return 1;
        }

        if (refusal->type != NULL && strcmp(refusal->type, *names) == 0) {
            return 1;
        }
    }

    return 0;
}


int
ngx_http_agents_refusal_says(
    const ngx_http_agents_refusal_t *refusal, const char *const *phrases)
{
    if (refusal->message == NULL) {
        return 0;
    }

    for ( /* void */ ; *phrases != NULL; phrases++) {
        if (ngx_http_agents_refusal_holds(refusal->message, *phrases)) {
            return 1;
        }
    }

    return 0;
}


/* A body that is not the server's own form: of a proxy's page, the title. */

static void
ngx_http_agents_refusal_page(const char *body, size_t len,
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
        ngx_http_agents_refusal_quote(body, len, why);
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
            ngx_http_agents_refusal_quote(start, n, why);
            return;
        }

        break;
    }

    ngx_http_agents_buf_adds(why, "(a page of HTML)");
}


/* The beginning, cut at a character; what controls terminals goes. */

void
ngx_http_agents_refusal_quote(const char *text, size_t len,
    ngx_http_agents_buf_t *why)
{
    int     cut;
    size_t  i;

    cut = 0;

    if (len > NGX_HTTP_AGENTS_REFUSAL_TEXT) {
        len = NGX_HTTP_AGENTS_REFUSAL_TEXT;
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
