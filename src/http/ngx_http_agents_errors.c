
#include "ngx_http_agents_errors.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_problem.h"
#include "ngx_http_agents_reply.h"


#define NGX_HTTP_AGENTS_ERRORS_ALLOW  "GET, HEAD, OPTIONS"


static ngx_int_t ngx_http_agents_errors_method(ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_errors_find(ngx_http_request_t *r,
    const ngx_http_agents_problem_t **problem, ngx_str_t *base);
static ngx_uint_t ngx_http_agents_errors_wants_json(ngx_http_request_t *r);
static void ngx_http_agents_errors_accept(ngx_str_t *value, ngx_uint_t *json,
    ngx_uint_t *html);
static ngx_uint_t ngx_http_agents_errors_weight(u_char *p, u_char *last);
static ngx_uint_t ngx_http_agents_errors_media_is(u_char *p, u_char *last,
    const char *name);

static void ngx_http_agents_errors_json_index(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf);
static void ngx_http_agents_errors_json_entry(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_html_index(ngx_http_agents_buf_t *buf,
    const ngx_str_t *base);
static void ngx_http_agents_errors_html_entry(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_html_head(ngx_http_agents_buf_t *buf,
    const char *title);
static void ngx_http_agents_errors_html_surfaces(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_html_text(ngx_http_agents_buf_t *buf,
    const char *text, size_t len);
static ngx_int_t ngx_http_agents_errors_send_html(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf);


static const char  ngx_http_agents_errors_style[] =
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
    "li{margin:.4rem 0}nav,.dim{color:var(--dim)}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;"
    "border-bottom:1px solid var(--line)}th{color:var(--dim);"
    "font-weight:600}td small{color:var(--dim);display:block}";


char *
ngx_http_agents_errors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* the page's name is what follows the location's in the uri */

    if (clcf->named || clcf->exact_match
        || clcf->name.len == 0 || clcf->name.data[0] != '/'
#if (NGX_PCRE)
        || clcf->regex
#endif
       )
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" belongs into a prefix location, such as "
                           "\"location /errors\"", &cmd->name);
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_agents_errors_handler;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_agents_errors_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_str_t                         base;
    ngx_http_agents_buf_t             buf;
    ngx_http_agents_ctx_t            *ctx;
    const ngx_http_agents_problem_t  *problem;

    /* answers note themselves in it; no phase of an agents_api made one */

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_agents_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_agents_module);

    rc = ngx_http_agents_errors_method(r);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_agents_errors_find(r, &problem, &base) != NGX_OK) {
        return ngx_http_agents_reply_slug(r, "not-found",
                                          "the catalog of errors has no such "
                                          "page");
    }

    if (ngx_http_agents_reply_header(r, "Vary", "Accept", 6) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_agents_buf_init(&buf);

    if (ngx_http_agents_errors_wants_json(r)) {

        if (problem) {
            ngx_http_agents_errors_json_entry(r, &buf, problem);

        } else {
            ngx_http_agents_errors_json_index(r, &buf);
        }

        return ngx_http_agents_reply_json(r, NGX_HTTP_OK, &buf);
    }

    if (problem) {
        ngx_http_agents_errors_html_entry(&buf, problem);

    } else {
        ngx_http_agents_errors_html_index(&buf, &base);
    }

    return ngx_http_agents_errors_send_html(r, &buf);
}


/* NGX_DECLINED for a method that is served. */

static ngx_int_t
ngx_http_agents_errors_method(ngx_http_request_t *r)
{
    ngx_http_agents_reply_refusal_t  refusal;

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return NGX_DECLINED;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_agents_reply_options(r, NGX_HTTP_AGENTS_ERRORS_ALLOW);
    }

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));
    refusal.slug = "method-not-allowed";
    refusal.allow = NGX_HTTP_AGENTS_ERRORS_ALLOW;

    return ngx_http_agents_reply_refuse(r, &refusal);
}


/*
 * The page that the uri names: NULL for the index, with what its links begin
 * with.  Links are relative, so that a proxy may serve it under another path.
 * NGX_DECLINED if there is no such page.
 */

static ngx_int_t
ngx_http_agents_errors_find(ngx_http_request_t *r,
    const ngx_http_agents_problem_t **problem, ngx_str_t *base)
{
    u_char                    *p, *last;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    *problem = NULL;
    ngx_str_null(base);

    if (r->uri.len < clcf->name.len) {
        return NGX_DECLINED;
    }

    p = r->uri.data + clcf->name.len;
    last = r->uri.data + r->uri.len;

    if (p == last) {

        /* "/errors": its links are "errors/slug"; "/errors/": "slug" */

        while (p[-1] != '/') {
            p--;
        }

        base->data = p;
        base->len = last - p;

        return NGX_OK;
    }

    if (p[-1] != '/') {
        if (*p != '/') {
            return NGX_DECLINED;
        }

        if (++p == last) {
            return NGX_OK;
        }
    }

    *problem = ngx_http_agents_problem_slug((const char *) p, last - p);

    return *problem ? NGX_OK : NGX_DECLINED;
}


/* HTML, unless JSON is named in Accept and HTML is not liked better. */

static ngx_uint_t
ngx_http_agents_errors_wants_json(ngx_http_request_t *r)
{
    ngx_uint_t        i, json, html;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    json = 0;
    html = 0;

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == 6
            && ngx_strncasecmp(header[i].key.data, (u_char *) "accept", 6) == 0)
        {
            ngx_http_agents_errors_accept(&header[i].value, &json, &html);
        }
    }

    return json > html;
}


/* The weights, in thousandths, at which a header takes JSON and HTML. */

static void
ngx_http_agents_errors_accept(ngx_str_t *value, ngx_uint_t *json,
    ngx_uint_t *html)
{
    u_char      *p, *next, *last;
    ngx_uint_t   weight;

    last = value->data + value->len;

    for (p = value->data; p < last; p = next + 1) {

        next = ngx_strlchr(p, last, ',');
        if (next == NULL) {
            next = last;
        }

        while (p < next && (*p == ' ' || *p == '\t')) {
            p++;
        }

        weight = ngx_http_agents_errors_weight(p, next);

        if (ngx_http_agents_errors_media_is(p, next, "application/json")
            || ngx_http_agents_errors_media_is(p, next,
                                               "application/problem+json"))
        {
            *json = ngx_max(*json, weight);

        } else if (ngx_http_agents_errors_media_is(p, next, "text/html")) {
            *html = ngx_max(*html, weight);
        }
    }
}


static ngx_uint_t
ngx_http_agents_errors_media_is(u_char *p, u_char *last, const char *name)
{
    size_t  len;

    len = ngx_strlen(name);

    if ((size_t) (last - p) < len
        || ngx_strncasecmp(p, (u_char *) name, len) != 0)
    {
        return 0;
    }

    p += len;

    return p == last || *p == ';' || *p == ' ' || *p == '\t';
}


/* "q=0.5" of a media range is 500; 1000 where there is none. */

static ngx_uint_t
ngx_http_agents_errors_weight(u_char *p, u_char *last)
{
    u_char      *q;
    ngx_int_t    n;

    for (q = p; q + 1 < last; q++) {

        if ((*q != 'q' && *q != 'Q') || q[1] != '=' || q == p
            || (q[-1] != ';' && q[-1] != ' ' && q[-1] != '\t'))
        {
            continue;
        }

        p = q + 2;

        while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
            last--;
        }

        n = ngx_atofp(p, last - p, 3);

        return (n == NGX_ERROR) ? 0 : (ngx_uint_t) n;
    }

    return 1000;
}


static void
ngx_http_agents_errors_json_index(ngx_http_request_t *r,
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

        ngx_http_agents_errors_json_entry(r, buf, problem);
    }

    ngx_http_agents_buf_addc(buf, ']');
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_errors_json_entry(ngx_http_request_t *r,
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
    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_errors_html_index(ngx_http_agents_buf_t *buf,
    const ngx_str_t *base)
{
    const ngx_http_agents_problem_t  *problem;

    ngx_http_agents_errors_html_head(buf, "Error catalog");

    ngx_http_agents_buf_adds(buf,
        "<p class=\"dim\">What can go wrong, why, and what to do about it. "
        "The same pages stand behind the <code>type</code> of a refused "
        "request and the <code>error.docs_url</code> of a failed run.</p>\n"
        "<div class=\"scroll\"><table>\n"
        "<tr><th>Error</th><th>HTTP</th><th>error.type of a run</th></tr>\n");

    for (problem = ngx_http_agents_problems; problem->slug; problem++) {

        ngx_http_agents_buf_adds(buf, "<tr><td><a href=\"./");

        if (base->len) {
            ngx_http_agents_errors_html_text(buf, (const char *) base->data,
                                             base->len);
            ngx_http_agents_buf_addc(buf, '/');
        }

        ngx_http_agents_buf_addf(buf, "%s\">", problem->slug);
        ngx_http_agents_errors_html_text(buf, problem->title,
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
ngx_http_agents_errors_html_entry(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_problem_t *problem)
{
    const char  *line, *end;

    ngx_http_agents_errors_html_head(buf, problem->title);
    ngx_http_agents_errors_html_surfaces(buf, problem);

    ngx_http_agents_buf_adds(buf, "<h2>What happened</h2>\n<p>");
    ngx_http_agents_errors_html_text(buf, problem->cause,
                                     ngx_strlen(problem->cause));
    ngx_http_agents_buf_adds(buf, "</p>\n<h2>What to do</h2>\n<ul>\n");

    for (line = problem->recovery; *line; line = *end ? end + 1 : end) {
        end = strchrnul(line, '\n');

        ngx_http_agents_buf_adds(buf, "<li>");
        ngx_http_agents_errors_html_text(buf, line, end - line);
        ngx_http_agents_buf_adds(buf, "</li>\n");
    }

    ngx_http_agents_buf_adds(buf, "</ul>\n</body></html>\n");
}


static void
ngx_http_agents_errors_html_head(ngx_http_agents_buf_t *buf, const char *title)
{
    ngx_http_agents_buf_adds(buf,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    ngx_http_agents_errors_html_text(buf, title, ngx_strlen(title));
    ngx_http_agents_buf_adds(buf, "</title>\n<style>");
    ngx_http_agents_buf_adds(buf, ngx_http_agents_errors_style);
    ngx_http_agents_buf_adds(buf, "</style></head>\n<body>\n<h1>");
    ngx_http_agents_errors_html_text(buf, title, ngx_strlen(title));
    ngx_http_agents_buf_adds(buf, "</h1>\n");
}


/* Where a client meets the error. */

static void
ngx_http_agents_errors_html_surfaces(ngx_http_agents_buf_t *buf,
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
ngx_http_agents_errors_html_text(ngx_http_agents_buf_t *buf, const char *text,
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
ngx_http_agents_errors_send_html(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (buf->failed) {
        ngx_http_agents_buf_free(buf);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_create_temp_buf(r->pool, buf->len);
    if (b == NULL) {
        ngx_http_agents_buf_free(buf);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, buf->data, buf->len);
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = buf->len;
    ngx_str_set(&r->headers_out.content_type, "text/html");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    ngx_str_set(&r->headers_out.charset, "utf-8");

    ngx_http_agents_buf_free(buf);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
