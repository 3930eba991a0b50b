
#include "ngx_http_agents_directives.h"
#include "ngx_http_agents_errors.h"
#include "ngx_http_agents_errors_page.h"
#include "ngx_http_agents_problem.h"
#include "ngx_http_agents_reply.h"


static ngx_int_t ngx_http_agents_errors_find(ngx_http_request_t *r,
    const ngx_http_agents_problem_t **problem, ngx_str_t *base);
static ngx_int_t ngx_http_agents_errors_refuse(ngx_http_request_t *r,
    const ngx_http_agents_problem_t *problem);
static void ngx_http_agents_errors_weights(ngx_http_request_t *r,
    ngx_uint_t *json, ngx_uint_t *html);
static void ngx_http_agents_errors_accept(ngx_str_t *value, ngx_uint_t *json,
    ngx_uint_t *html);
static ngx_uint_t ngx_http_agents_errors_weight(u_char *p, u_char *last);
static ngx_uint_t ngx_http_agents_errors_media_is(u_char *p, u_char *last,
    const char *name);


char *
ngx_http_agents_errors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_agents_directives_pages(cf, cmd, conf,
                                            ngx_http_agents_errors_handler,
                                            "/errors");
}


ngx_int_t
ngx_http_agents_errors_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_str_t                         base;
    ngx_uint_t                        json, html;
    const ngx_http_agents_problem_t  *problem;

    rc = ngx_http_agents_reply_read_only(r);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_agents_errors_find(r, &problem, &base) != NGX_OK) {
        return ngx_http_agents_reply_slug(r, "not-found",
                                          "The catalog of errors has no such "
                                          "page.");
    }

    if (ngx_http_agents_reply_header(r, "Vary", "Accept", 6) != NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_agents_errors_weights(r, &json, &html);

    if (r->err_status >= NGX_HTTP_BAD_REQUEST && html <= json) {
        return ngx_http_agents_errors_refuse(r, problem);
    }

    return ngx_http_agents_errors_page(r, problem, &base, json > html);
}


/* An error_page has led here: programs get the problem itself. */

static ngx_int_t
ngx_http_agents_errors_refuse(ngx_http_request_t *r,
    const ngx_http_agents_problem_t *problem)
{
    ngx_http_agents_reply_refusal_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.slug = problem ? problem->slug : NULL;
    refusal.status = r->err_status;

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


/*
 * How much Accept likes each, in thousandths: 0 where it does not name it.
 */

static void
ngx_http_agents_errors_weights(ngx_http_request_t *r, ngx_uint_t *json,
    ngx_uint_t *html)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    *json = 0;
    *html = 0;

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
            ngx_http_agents_errors_accept(&header[i].value, json, html);
        }
    }
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
