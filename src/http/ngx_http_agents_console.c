
#include "ngx_http_agents_console.h"
#include "ngx_http_agents_directives.h"
#include "ngx_http_agents_reply.h"


typedef struct {
    const char  *name;
    const char  *value;
} ngx_http_agents_console_header_t;


static ngx_uint_t ngx_http_agents_console_path(ngx_str_t *path);
static ngx_int_t ngx_http_agents_console_guard(ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_console_redirect(ngx_http_request_t *r);
static const ngx_http_agents_console_file_t *ngx_http_agents_console_find(
    u_char *p, u_char *last);
static void ngx_http_agents_console_fill(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_console_file_t *file, const ngx_str_t *api);


/*
 * What the page may do: its own script, its own style, requests to its own
 * server, and nothing else.  A browser asks with the tag whether a file is
 * still as it was, so that page and scripts are of one build.
 */

static const ngx_http_agents_console_header_t
    ngx_http_agents_console_headers[] =
{
    { "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; "
      "connect-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'" },

    { "X-Content-Type-Options", "nosniff" },

    { "Referrer-Policy", "no-referrer" },

    { "Cache-Control", "no-cache" },

    { NULL, NULL }
};


char *
ngx_http_agents_console(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_agents_loc_conf_t *alcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    rv = ngx_http_agents_directives_pages(cf, cmd, conf,
                                          ngx_http_agents_console_handler,
                                          "/console/");
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;

    if (cf->args->nelts == 1) {
        ngx_str_set(&alcf->console, "/agents");

    } else if (ngx_http_agents_console_path(&value[1])) {
        alcf->console = value[1];

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid path \"%V\": it must be that of the API "
                           "on this server, such as \"/agents\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    /* "/console" is sent to "/console/", as nginx does for proxy_pass */

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    return NGX_CONF_OK;
}


/*
 * Slashes, each with a segment behind it: "//host" would be another server.
 * What a segment may have needs no escape, neither in a URL nor in HTML.
 */

static ngx_uint_t
ngx_http_agents_console_path(ngx_str_t *path)
{
    u_char      ch;
    ngx_uint_t  i, segment;

    segment = 1;

    for (i = 0; i < path->len; i++) {
        ch = path->data[i];

        if (ch == '/') {
            if (i != 0 && !segment) {
                return 0;
            }

            segment = 0;
            continue;
        }

        if (i == 0
            || !((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
                 || (ch >= '0' && ch <= '9') || ch == '-' || ch == '.'
                 || ch == '_' || ch == '~'))
        {
            return 0;
        }

        segment = 1;
    }

    return path->len != 0 && segment;
}


ngx_int_t
ngx_http_agents_console_handler(ngx_http_request_t *r)
{
    u_char                                *p, *last;
    ngx_int_t                              rc;
    ngx_http_agents_buf_t                  buf;
    ngx_http_core_loc_conf_t              *clcf;
    ngx_http_agents_loc_conf_t            *alcf;
    const ngx_http_agents_console_file_t  *file;

    if (ngx_http_agents_console_guard(r) != NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    rc = ngx_http_agents_reply_read_only(r);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    file = NULL;

    if (r->uri.len >= clcf->name.len) {
        p = r->uri.data + clcf->name.len;
        last = r->uri.data + r->uri.len;

        if (p[-1] == '/') {
            file = ngx_http_agents_console_find(p, last);

        } else if (p == last) {
            return ngx_http_agents_console_redirect(r);

        } else if (*p == '/') {
            file = ngx_http_agents_console_find(p + 1, last);
        }
    }

    if (file == NULL) {
        return ngx_http_agents_reply_slug(r, "not-found",
                                          "The console has no such file.");
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_console_fill(&buf, file, &alcf->console);

    return ngx_http_agents_reply_text_etag(r, file->type, &buf);
}


static ngx_int_t
ngx_http_agents_console_guard(ngx_http_request_t *r)
{
    const ngx_http_agents_console_header_t  *h;

    for (h = ngx_http_agents_console_headers; h->name != NULL; h++) {
        if (ngx_http_agents_reply_header(r, h->name, h->value,
                                         ngx_strlen(h->value))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The page's links are relative: it has to be below its location. */

static ngx_int_t
ngx_http_agents_console_redirect(ngx_http_request_t *r)
{
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_add(&buf, r->uri.data, r->uri.len);
    ngx_http_agents_buf_addc(&buf, '/');

    if (r->args.len != 0) {
        ngx_http_agents_buf_addc(&buf, '?');
        ngx_http_agents_buf_add(&buf, r->args.data, r->args.len);
    }

    ngx_http_clear_location(r);

    if (!buf.failed) {
        r->headers_out.location = ngx_http_agents_reply_add(r, "Location",
                                                            buf.data, buf.len);
    }

    ngx_http_agents_buf_free(&buf);

    return r->headers_out.location != NULL ? NGX_HTTP_MOVED_PERMANENTLY
                                           : NGX_HTTP_SERVICE_UNAVAILABLE;
}


static const ngx_http_agents_console_file_t *
ngx_http_agents_console_find(u_char *p, u_char *last)
{
    size_t                                 len;
    const ngx_http_agents_console_file_t  *file;

    len = last - p;

    for (file = ngx_http_agents_console_files; file->name != NULL; file++) {
        if (ngx_strlen(file->name) == len
            && ngx_memcmp(file->name, p, len) == 0)
        {
            return file;
        }
    }

    return NULL;
}


static void
ngx_http_agents_console_fill(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_console_file_t *file, const ngx_str_t *api)
{
    const char  *p, *next;

    p = file->text;

    while ((next = strstr(p, NGX_HTTP_AGENTS_CONSOLE_API)) != NULL) {
        ngx_http_agents_buf_add(buf, p, next - p);
        ngx_http_agents_buf_add(buf, api->data, api->len);

        p = next + sizeof(NGX_HTTP_AGENTS_CONSOLE_API) - 1;
    }

    ngx_http_agents_buf_add(buf, p, file->text + file->len - p);
}
