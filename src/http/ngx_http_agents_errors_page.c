
#include "ngx_http_agents_errors_page.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_reply.h"


/* What is said of this place is said of a conversation, else of a run. */
#define NGX_HTTP_AGENTS_ERRORS_PAGE_DEFAULTS  "/defaults"


static void ngx_http_agents_errors_page_json_index(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf);
static void ngx_http_agents_errors_page_json_entry(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_page_problem(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_page_fault(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_page_error(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_page_index(ngx_http_agents_buf_t *buf,
    const ngx_str_t *base);
static void ngx_http_agents_errors_page_entry(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_page_example(ngx_http_agents_buf_t *buf,
    const char *title, ngx_http_agents_buf_t *example);
static void ngx_http_agents_errors_page_head(ngx_http_agents_buf_t *buf,
    const char *title);
static void ngx_http_agents_errors_page_surfaces(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_page_text(ngx_http_agents_buf_t *buf,
    const char *text, size_t len);
static ngx_int_t ngx_http_agents_errors_page_send(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf);


static const char  ngx_http_agents_errors_page_style[] =
    ":root{color-scheme:light dark;--fg:#1c2430;--dim:#5b6675;--bg:#fff;"
    "--line:#dde2e8;--mark:#f1f4f7;--link:#0b5cad}"
    "@media(prefers-color-scheme:dark){:root{--fg:#dfe5ec;--dim:#93a0af;"
    "--bg:#14181d;--line:#2c343d;--mark:#1e242b;--link:#7db7f5}}"
    "body{margin:0 auto;max-width:46rem;padding:2rem 1.25rem 4rem;"
    "font:16px/1.55 system-ui,sans-serif;color:var(--fg);"
    "background:var(--bg)}"
    "h1{font-size:1.7rem;line-height:1.2;margin:.6rem 0}"
    "h2{font-size:1.1rem;margin:2rem 0 .4rem}"
    "a{color:var(--link);text-decoration:none}a:hover{"
    "text-decoration:underline}"
    "code{font:.875em ui-monospace,monospace;background:var(--mark);"
    "border-radius:.25rem;padding:.1em .3em;overflow-wrap:anywhere}"
    "pre{background:var(--mark);border-radius:.4rem;padding:.8rem 1rem;"
    "font:.8125rem/1.5 ui-monospace,monospace;white-space:pre-wrap;"
    "overflow-wrap:anywhere}"
    "li{margin:.4rem 0}nav,.dim{color:var(--dim)}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;"
    "border-bottom:1px solid var(--line)}th{color:var(--dim);"
    "font-weight:600}td small{color:var(--dim);display:block}";


ngx_int_t
ngx_http_agents_errors_page(ngx_http_request_t *r,
    const ngx_http_agents_problem_t *problem, const ngx_str_t *base,
    ngx_uint_t json)
{
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);

    if (json) {

        if (problem) {
            ngx_http_agents_errors_page_json_entry(r, &buf, problem);

        } else {
            ngx_http_agents_errors_page_json_index(r, &buf);
        }

        return ngx_http_agents_reply_json(r, NGX_HTTP_OK, &buf);
    }

    if (problem) {
        ngx_http_agents_errors_page_entry(r, &buf, problem);

    } else {
        ngx_http_agents_errors_page_index(&buf, base);
    }

    return ngx_http_agents_errors_page_send(r, &buf);
}


static void
ngx_http_agents_errors_page_json_index(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf)
{
    const ngx_http_agents_problem_t  *problem;

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_key(buf, "errors");
    ngx_http_agents_buf_addc(buf, '[');

    for (problem = ngx_http_agents_problems; problem->slug; problem++) {
        if (problem != ngx_http_agents_problems) {
            ngx_http_agents_buf_addc(buf, ',');
        }

        ngx_http_agents_errors_page_json_entry(r, buf, problem);
    }

    ngx_http_agents_buf_addc(buf, ']');
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_errors_page_json_entry(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem)
{
    const char  *line, *end;

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_reply_docs_url(r, buf, "type", problem->slug);
    ngx_http_agents_json_member_cstring(buf, "slug", problem->slug);
    ngx_http_agents_json_member_cstring(buf, "title", problem->title);

    if (problem->status) {
        ngx_http_agents_json_member_integer(buf, "status", problem->status);

    } else {
        ngx_http_agents_json_member_raw(buf, "status", NULL, 0);
    }

    ngx_http_agents_json_member_cstring(buf, "incident", problem->incident);
    ngx_http_agents_json_member_cstring(buf, "cause", problem->cause);

    ngx_http_agents_json_key(buf, "recovery");
    ngx_http_agents_buf_addc(buf, '[');

    for (line = problem->recovery; *line; line = *end ? end + 1 : end) {
        end = strchrnul(line, '\n');

        if (line != problem->recovery) {
            ngx_http_agents_buf_addc(buf, ',');
        }

        ngx_http_agents_json_put_string(buf, line, end - line);
    }

    ngx_http_agents_buf_addc(buf, ']');

    ngx_http_agents_json_key(buf, "example");
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_key(buf, "problem");
    ngx_http_agents_errors_page_problem(r, buf, problem);
    ngx_http_agents_json_key(buf, "error");
    ngx_http_agents_errors_page_error(r, buf, problem);
    ngx_http_agents_json_end(buf);

    ngx_http_agents_json_end(buf);
}


/* What a refused request is answered with, or null. */

static void
ngx_http_agents_errors_page_problem(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem)
{
    size_t       len;
    const char  *detail, *instance;

    if (problem->status == 0) {
        ngx_http_agents_buf_adds(buf, "null");
        return;
    }

    detail = problem->detail ? problem->detail : problem->cause;
    len = ngx_strlen(NGX_HTTP_AGENTS_ERRORS_PAGE_DEFAULTS);

    instance = ngx_strncmp(detail, NGX_HTTP_AGENTS_ERRORS_PAGE_DEFAULTS, len)
               == 0
               ? "/agents/conversations"
               : "/agents/conversations/0198c1f0-5d3e-7c52-9d0b-6f1f6a0a7c11"
                 "/runs";

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_reply_docs_url(r, buf, "type", problem->slug);
    ngx_http_agents_json_member_cstring(buf, "title", problem->title);
    ngx_http_agents_json_member_integer(buf, "status", problem->status);
    ngx_http_agents_json_member_cstring(buf, "detail", detail);
    ngx_http_agents_json_member_cstring(buf, "instance", instance);
    ngx_http_agents_json_member_cstring(buf, "log_id",
                                        "0a036828650127d14d47d86212d429dc");
    ngx_http_agents_errors_page_fault(buf, problem);

    if (problem->members) {
        ngx_http_agents_buf_addf(buf, ",%s", problem->members);
    }

    ngx_http_agents_json_end(buf);
}


/* A detail that begins with a place is what a fault there makes. */

static void
ngx_http_agents_errors_page_fault(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_problem_t *problem)
{
    const char  *blank;

    if (problem->detail == NULL || problem->detail[0] != '/') {
        return;
    }

    blank = strchrnul(problem->detail, ' ');

    ngx_http_agents_json_key(buf, "errors");
    ngx_http_agents_buf_addc(buf, '[');
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_string(buf, "pointer", problem->detail,
                                       blank - problem->detail);
    ngx_http_agents_json_member_cstring(buf, "code", problem->slug);
    ngx_http_agents_json_member_cstring(buf, "detail",
                                        *blank ? blank + 1 : blank);
    ngx_http_agents_json_end(buf);
    ngx_http_agents_buf_addc(buf, ']');
}


/* What a failed run has as its error, or null. */

static void
ngx_http_agents_errors_page_error(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem)
{
    if (problem->incident == NULL) {
        ngx_http_agents_buf_adds(buf, "null");
        return;
    }

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_cstring(buf, "type", problem->incident);
    ngx_http_agents_json_member_cstring(buf, "title", problem->title);
    ngx_http_agents_json_member_cstring(buf, "message", problem->message);
    ngx_http_agents_reply_docs_url(r, buf, "docs_url", problem->slug);
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_errors_page_index(ngx_http_agents_buf_t *buf,
    const ngx_str_t *base)
{
    const ngx_http_agents_problem_t  *problem;

    ngx_http_agents_errors_page_head(buf, "Error catalog");

    ngx_http_agents_buf_adds(buf,
        "<p class=\"dim\">What can go wrong, why, and what to do about it. "
        "The same pages stand behind the <code>type</code> of a refused "
        "request and the <code>error.docs_url</code> of a failed run.</p>\n"
        "<div class=\"scroll\"><table>\n"
        "<tr><th>Error</th><th>HTTP</th><th>error.type of a run</th></tr>\n");

    for (problem = ngx_http_agents_problems; problem->slug; problem++) {

        ngx_http_agents_buf_adds(buf, "<tr><td><a href=\"./");

        if (base->len) {
            ngx_http_agents_errors_page_text(buf, (const char *) base->data,
                                             base->len);
            ngx_http_agents_buf_addc(buf, '/');
        }

        ngx_http_agents_buf_addf(buf, "%s\">", problem->slug);
        ngx_http_agents_errors_page_text(buf, problem->title,
                                         ngx_strlen(problem->title));
        ngx_http_agents_buf_addf(buf, "</a><small>%s</small></td><td>",
                                 problem->slug);

        if (problem->status) {
            ngx_http_agents_buf_addf(buf, "%d", problem->status);
        }

        ngx_http_agents_buf_adds(buf, "</td><td>");

        if (problem->incident) {
            ngx_http_agents_buf_addf(buf, "<code>%s</code>",
                                     problem->incident);
        }

        ngx_http_agents_buf_adds(buf, "</td></tr>\n");
    }

    ngx_http_agents_buf_adds(buf, "</table></div>\n</body></html>\n");
}


static void
ngx_http_agents_errors_page_entry(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem)
{
    const char             *line, *end;
    ngx_http_agents_buf_t   example;

    ngx_http_agents_errors_page_head(buf, problem->title);
    ngx_http_agents_errors_page_surfaces(buf, problem);

    ngx_http_agents_buf_adds(buf, "<h2>What happened</h2>\n<p>");
    ngx_http_agents_errors_page_text(buf, problem->cause,
                                     ngx_strlen(problem->cause));
    ngx_http_agents_buf_adds(buf, "</p>\n<h2>What to do</h2>\n<ul>\n");

    for (line = problem->recovery; *line; line = *end ? end + 1 : end) {
        end = strchrnul(line, '\n');

        ngx_http_agents_buf_adds(buf, "<li>");
        ngx_http_agents_errors_page_text(buf, line, end - line);
        ngx_http_agents_buf_adds(buf, "</li>\n");
    }

    ngx_http_agents_buf_adds(buf, "</ul>\n");

    ngx_http_agents_buf_init(&example);

    if (problem->status) {
        ngx_http_agents_errors_page_problem(r, &example, problem);
        ngx_http_agents_errors_page_example(buf, "Example: a refused request",
                                            &example);
    }

    if (problem->incident) {
        ngx_http_agents_errors_page_error(r, &example, problem);
        ngx_http_agents_errors_page_example(buf,
                                         "Example: the error of a failed run",
                                         &example);
    }

    ngx_http_agents_buf_adds(buf, "</body></html>\n");
}


/* Takes the example's memory, to be used again. */

static void
ngx_http_agents_errors_page_example(ngx_http_agents_buf_t *buf,
    const char *title, ngx_http_agents_buf_t *example)
{
    char    *text;
    json_t  *value;

    value = example->failed ? NULL
            : ngx_http_agents_json_load(example->data, example->len);

    text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;

    if (text) {
        ngx_http_agents_buf_addf(buf, "<h2>%s</h2>\n<pre>", title);
        ngx_http_agents_errors_page_text(buf, text, ngx_strlen(text));
        ngx_http_agents_buf_adds(buf, "</pre>\n");

    } else {
        buf->failed = 1;
    }

    ngx_free(text);
    json_decref(value);
    ngx_http_agents_buf_free(example);
}


static void
ngx_http_agents_errors_page_head(ngx_http_agents_buf_t *buf, const char *title)
{
    ngx_http_agents_buf_adds(buf,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    ngx_http_agents_errors_page_text(buf, title, ngx_strlen(title));
    ngx_http_agents_buf_adds(buf, "</title>\n<style>");
    ngx_http_agents_buf_adds(buf, ngx_http_agents_errors_page_style);
    ngx_http_agents_buf_adds(buf, "</style></head>\n<body>\n<h1>");
    ngx_http_agents_errors_page_text(buf, title, ngx_strlen(title));
    ngx_http_agents_buf_adds(buf, "</h1>\n");
}


/* Where a client meets the error. */

static void
ngx_http_agents_errors_page_surfaces(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_problem_t *problem)
{
    ngx_http_agents_buf_addf(buf,
        "<nav><a href=\".\">Error catalog</a> / <code>%s</code></nav>\n<p>",
        problem->slug);

    if (problem->status) {
        ngx_http_agents_buf_addf(buf,
            "A refused request: HTTP status <code>%d</code>. ",
            problem->status);
    }

    if (problem->incident) {
        ngx_http_agents_buf_addf(buf,
            "A failed run: <code>error.type</code> is <code>%s</code>.",
            problem->incident);
    }

    ngx_http_agents_buf_adds(buf, "</p>\n");
}


/* Escaped; what stands between two ` is set as code. */

static void
ngx_http_agents_errors_page_text(ngx_http_agents_buf_t *buf, const char *text,
    size_t len)
{
    size_t      i;
    ngx_uint_t  code;

    code = 0;

    for (i = 0; i < len; i++) {

        switch (text[i]) {

        case '&':
            ngx_http_agents_buf_adds(buf, "&amp;");
            break;

        case '<':
            ngx_http_agents_buf_adds(buf, "&lt;");
            break;

        case '>':
            ngx_http_agents_buf_adds(buf, "&gt;");
            break;

        case '"':
            ngx_http_agents_buf_adds(buf, "&quot;");
            break;

        case '`':
            ngx_http_agents_buf_adds(buf, code ? "</code>" : "<code>");
            code = !code;
            break;

        default:
            ngx_http_agents_buf_addc(buf, text[i]);
        }
    }
}


/* Takes the buffer's memory, whatever comes of it. */

static ngx_int_t
ngx_http_agents_errors_page_send(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf)
{
    ngx_int_t               rc;
    ngx_buf_t              *b;
    ngx_chain_t             out;
    ngx_http_agents_ctx_t  *ctx;

    if (buf->failed) {
        ngx_http_agents_buf_free(buf);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    b = ngx_create_temp_buf(r->pool, buf->len);
    if (b == NULL) {
        ngx_http_agents_buf_free(buf);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    b->last = ngx_cpymem(b->last, buf->data, buf->len);
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = buf->len;
    ngx_str_set(&r->headers_out.content_type, "text/html");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    ngx_str_set(&r->headers_out.charset, "utf-8");

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->ours = 1;

    ngx_http_agents_buf_free(buf);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
