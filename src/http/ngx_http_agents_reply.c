
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_log.h"
#include "ngx_http_agents_reply.h"


#define NGX_HTTP_AGENTS_READ_ONLY  "GET, HEAD, OPTIONS"


static ngx_int_t ngx_http_agents_reply_send(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, ngx_http_agents_buf_t *buf);
static void ngx_http_agents_reply_cleanup(void *data);
static void ngx_http_agents_reply_content_type(ngx_http_request_t *r,
    const char *type);
static const ngx_http_agents_problem_t *ngx_http_agents_reply_entry(
    const ngx_http_agents_reply_refusal_t *refusal);
static ngx_int_t ngx_http_agents_reply_headers(ngx_http_request_t *r,
    const ngx_http_agents_reply_refusal_t *refusal);
static ngx_str_t ngx_http_agents_reply_host(ngx_http_request_t *r);
static void ngx_http_agents_reply_errors(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_faults_t *faults);


ngx_int_t
ngx_http_agents_reply_json(ngx_http_request_t *r, ngx_uint_t status,
    ngx_http_agents_buf_t *buf)
{
    return ngx_http_agents_reply_send(r, status, "application/json", buf);
}


ngx_int_t
ngx_http_agents_reply_text(ngx_http_request_t *r, const char *type,
    ngx_http_agents_buf_t *buf)
{
    return ngx_http_agents_reply_send(r, NGX_HTTP_OK, type, buf);
}


ngx_int_t
ngx_http_agents_reply_begin(ngx_http_request_t *r, const char *type)
{
    ngx_http_agents_ctx_t  *ctx;

    if (ngx_http_agents_reply_private(r) != NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->ours = 1;

    ngx_http_agents_reply_content_type(r, type);
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    r->disable_not_modified = 1;

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_agents_reply_empty(ngx_http_request_t *r)
{
    ngx_http_agents_ctx_t  *ctx;

    if (ngx_http_agents_reply_private(r) != NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->ours = 1;

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_agents_reply_options(ngx_http_request_t *r, const char *allow)
{
    ngx_int_t               rc;
    ngx_http_agents_ctx_t  *ctx;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_agents_reply_header(r, "Allow", allow, ngx_strlen(allow))
        != NGX_OK)
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->ours = 1;

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_agents_reply_read_only(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_http_agents_ctx_t           *ctx;
    ngx_http_agents_reply_refusal_t  refusal;

    /* answers note themselves in it; no phase of an agents_api made one */

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_agents_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_agents_module);

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        rc = ngx_http_discard_request_body(r);

        return rc == NGX_OK ? NGX_DECLINED : rc;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_agents_reply_options(r, NGX_HTTP_AGENTS_READ_ONLY);
    }

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));
    refusal.slug = "method-not-allowed";
    refusal.allow = NGX_HTTP_AGENTS_READ_ONLY;

    return ngx_http_agents_reply_refuse(r, &refusal);
}


ngx_int_t
ngx_http_agents_reply_refuse(ngx_http_request_t *r,
    const ngx_http_agents_reply_refusal_t *refusal)
{
    ngx_int_t                         rc;
    ngx_uint_t                        status;
    ngx_http_agents_buf_t             buf;
    const ngx_http_agents_problem_t  *entry;

    /* a client that waits for a word to send its body gets this one */

    r->expect_tested = 1;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    entry = ngx_http_agents_reply_entry(refusal);
    status = refusal->status != 0 ? refusal->status
                                  : (ngx_uint_t) entry->status;

    ngx_http_agents_reply_note(r, entry, status, refusal->detail, 1);

    if (ngx_http_agents_reply_headers(r, refusal) != NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_reply_problem(r, &buf, refusal, entry, status);

    return ngx_http_agents_reply_send(r, status, "application/problem+json",
                                      &buf);
}


ngx_int_t
ngx_http_agents_reply_status(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail)
{
    ngx_http_agents_reply_refusal_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.status = status;
    refusal.detail = detail;

    return ngx_http_agents_reply_refuse(r, &refusal);
}


ngx_int_t
ngx_http_agents_reply_slug(ngx_http_request_t *r, const char *slug,
    const char *detail)
{
    ngx_http_agents_reply_refusal_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.slug = slug;
    refusal.detail = detail;

    return ngx_http_agents_reply_refuse(r, &refusal);
}


ngx_int_t
ngx_http_agents_reply_faults(ngx_http_request_t *r,
    const ngx_http_agents_faults_t *faults)
{
    size_t                            i;
    ngx_int_t                         rc;
    ngx_http_agents_buf_t             detail;
    ngx_http_agents_reply_refusal_t   refusal;

    if (faults->failed || faults->n == 0) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.slug = "invalid-request";
    refusal.faults = faults;

    for (i = 0; i < faults->n; i++) {
        if (ngx_strcmp(faults->list[i].slug, "invalid-request") != 0) {
            refusal.slug = faults->list[i].slug;
            break;
        }
    }

    /* the fault that the type is of speaks for the others */

    if (i == faults->n) {
        i = 0;
    }

    ngx_http_agents_buf_init(&detail);

    if (faults->list[i].pointer[0] != '\0') {
        ngx_http_agents_buf_addf(&detail, "%s ", faults->list[i].pointer);
    }

    ngx_http_agents_buf_adds(&detail, faults->list[i].detail);

    if (faults->found > 1) {
        ngx_http_agents_buf_addf(&detail, "; %zu faults in all, see \"errors\"",
                                 faults->found);
    }

    if (detail.failed) {
        ngx_http_agents_buf_free(&detail);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    refusal.detail = detail.data;

    rc = ngx_http_agents_reply_refuse(r, &refusal);

    ngx_http_agents_buf_free(&detail);

    return rc;
}


ngx_int_t
ngx_http_agents_reply_overloaded(ngx_http_request_t *r, const char *detail)
{
    ngx_http_agents_reply_refusal_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    refusal.slug = "overloaded";
    refusal.detail = detail;
    refusal.retry_after = 1;

    return ngx_http_agents_reply_refuse(r, &refusal);
}


ngx_int_t
ngx_http_agents_reply_store(ngx_http_request_t *r,
    ngx_http_agents_db_status_e status)
{
    ngx_http_agents_reply_refusal_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_agents_reply_refusal_t));

    switch (status) {

    case NGX_HTTP_AGENTS_DB_UNAVAILABLE:
    case NGX_HTTP_AGENTS_DB_UNKNOWN:
        refusal.slug = "store-unavailable";
        refusal.retry_after = 1;
        break;

    default:
        refusal.status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        break;
    }

    return ngx_http_agents_reply_refuse(r, &refusal);
}


ngx_int_t
ngx_http_agents_reply_missing(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch, size_t statement,
    const char *missing)
{
    ngx_http_agents_db_status_e  status;

    status = ngx_http_agents_db_status(batch);

    if (status != NGX_HTTP_AGENTS_DB_OK) {
        return ngx_http_agents_reply_store(r, status);
    }

    if (ngx_http_agents_db_rows(batch, statement) == 0) {
        return ngx_http_agents_reply_status(r, NGX_HTTP_NOT_FOUND, missing);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_agents_reply_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_http_agents_buf_t *buf)
{
    char                   *data;
    size_t                  len;
    ngx_int_t               rc;
    ngx_buf_t              *b;
    ngx_chain_t             out;
    ngx_pool_cleanup_t     *cln;
    ngx_http_agents_ctx_t  *ctx;

    data = ngx_http_agents_buf_take(buf, &len);
    if (data == NULL) {
        ngx_http_agents_buf_free(buf);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        ngx_free(data);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cln->handler = ngx_http_agents_reply_cleanup;
    cln->data = data;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    b->pos = (u_char *) data;
    b->last = b->pos + len;
    b->temporary = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    if (ngx_http_agents_reply_private(r) != NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->ours = 1;

    ngx_http_agents_reply_content_type(r, type);
    r->headers_out.status = status;
    r->headers_out.content_length_n = len;

    /*
     * conditions were judged by now: nginx's filter would fail If-Match, and
     * If-Unmodified-Since, for whatever has no tag and no date
     */

    r->disable_not_modified = 1;

    if (status == 422) {

        /* the one status of the catalog that nginx has no words for */

        ngx_str_set(&r->headers_out.status_line, "422 Unprocessable Content");
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static void
ngx_http_agents_reply_cleanup(void *data)
{
    ngx_free(data);
}


ngx_int_t
ngx_http_agents_reply_private(ngx_http_request_t *r)
{
    ngx_http_agents_ctx_t  *ctx;

    static const char  value[] = "private, no-cache";

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx->owner.user == NULL) {
        return NGX_OK;
    }

    return ngx_http_agents_reply_header(r, "Cache-Control", value,
                                        sizeof(value) - 1);
}

/* Parameters are no part of what gzip_types and the like compare. */

static void
ngx_http_agents_reply_content_type(ngx_http_request_t *r, const char *type)
{
    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = strcspn(type, ";");
    r->headers_out.content_type_lowcase = NULL;
}


static const ngx_http_agents_problem_t *
ngx_http_agents_reply_entry(const ngx_http_agents_reply_refusal_t *refusal)
{
    const ngx_http_agents_problem_t  *entry;

    if (refusal->slug != NULL) {
        entry = ngx_http_agents_problem_slug(refusal->slug,
                                             ngx_strlen(refusal->slug));
        if (entry != NULL && entry->status != 0) {
            return entry;
        }
    }

    return ngx_http_agents_problem_status(refusal->status != 0
                                          ? (int) refusal->status
                                          : NGX_HTTP_INTERNAL_SERVER_ERROR);
}


static ngx_int_t
ngx_http_agents_reply_headers(ngx_http_request_t *r,
    const ngx_http_agents_reply_refusal_t *refusal)
{
    u_char  buf[NGX_INT_T_LEN], *last;

    if (refusal->authenticate != NULL
        && ngx_http_agents_reply_header(r, "WWW-Authenticate",
                                        refusal->authenticate,
                                        ngx_strlen(refusal->authenticate))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (refusal->allow != NULL
        && ngx_http_agents_reply_header(r, "Allow", refusal->allow,
                                        ngx_strlen(refusal->allow))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (refusal->retry_after != 0) {
        last = ngx_sprintf(buf, "%ui", refusal->retry_after);

        return ngx_http_agents_reply_header(r, "Retry-After", (char *) buf,
                                            last - buf);
    }

    return NGX_OK;
}


void
ngx_http_agents_reply_problem(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf,
    const ngx_http_agents_reply_refusal_t *refusal,
    const ngx_http_agents_problem_t *entry, ngx_uint_t status)
{
    ngx_str_t  path, log_id;

    path = ngx_http_agents_reply_path(r);
    log_id = ngx_http_agents_log_id(r);

    ngx_http_agents_json_begin(buf);

    ngx_http_agents_reply_docs_url(r, buf, "type", entry->slug);
    ngx_http_agents_json_member_cstring(buf, "title", entry->title);
    ngx_http_agents_json_member_integer(buf, "status", status);
    ngx_http_agents_json_member_cstring(buf, "detail",
                                        refusal->detail != NULL
                                        ? refusal->detail : entry->cause);
    ngx_http_agents_json_member_string(buf, "instance", (char *) path.data,
                                       path.len);
    ngx_http_agents_json_member_string(buf, "log_id", (char *) log_id.data,
                                       log_id.len);

    if (refusal->faults != NULL) {
        ngx_http_agents_json_key(buf, "errors");
        ngx_http_agents_reply_errors(buf, refusal->faults);
    }

    if (refusal->versioned) {
        ngx_http_agents_json_member_integer(buf, "current_version",
                                            refusal->current_version);
    }

    if (refusal->active_run_id.data != NULL) {
        ngx_http_agents_json_member_text(buf, "active_run_id",
                                         &refusal->active_run_id);
    }

    if (refusal->pending_run_id.data != NULL) {
        ngx_http_agents_json_member_text(buf, "pending_run_id",
                                         &refusal->pending_run_id);
    }

    ngx_http_agents_json_end(buf);
}


static void
ngx_http_agents_reply_errors(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_faults_t *faults)
{
    size_t                          i;
    const ngx_http_agents_fault_t  *fault;

    ngx_http_agents_buf_addc(buf, '[');

    for (i = 0; i < faults->n; i++) {
        fault = &faults->list[i];

        if (i != 0) {
            ngx_http_agents_buf_addc(buf, ',');
        }

        ngx_http_agents_json_begin(buf);
        ngx_http_agents_json_member_cstring(buf, "pointer", fault->pointer);
        ngx_http_agents_json_member_cstring(buf, "code", fault->slug);
        ngx_http_agents_json_member_cstring(buf, "detail", fault->detail);
        ngx_http_agents_json_end(buf);
    }

    ngx_http_agents_buf_addc(buf, ']');
}


void
ngx_http_agents_reply_note(ngx_http_request_t *r,
    const ngx_http_agents_problem_t *entry, ngx_uint_t status,
    const char *detail, ngx_uint_t ours)
{
    u_char                 *p, text[NGX_MAX_ERROR_STR];
    ngx_uint_t              level;
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    ctx->error.data = (u_char *) entry->slug;
    ctx->error.len = ngx_strlen(entry->slug);

    /* of other troubles nginx has told itself where it gives the answer */

    level = (status == NGX_HTTP_SERVICE_UNAVAILABLE
             || (ours && status > NGX_HTTP_SERVICE_UNAVAILABLE))
            ? NGX_LOG_ERR : NGX_LOG_INFO;

    if (r->connection->log->log_level < level) {
        return;
    }

    (void) ngx_http_agents_log_id(r);

    /* a name that the client gave may hold what would end the line */

    ngx_cpystrn(text, (u_char *) (detail != NULL ? detail : entry->title),
                NGX_MAX_ERROR_STR);

    for (p = text; *p != '\0'; p++) {
        if (*p < ' ' || *p == 0x7f) {
            *p = ' ';
        }
    }

    ngx_log_error(level, r->connection->log, 0,
                  "agents: answered %ui \"%s\", %s", status, entry->slug,
                  text);
}


ngx_int_t
ngx_http_agents_reply_header(ngx_http_request_t *r, const char *name,
    const char *value, size_t len)
{
    return ngx_http_agents_reply_add(r, name, value, len) != NULL ? NGX_OK
                                                                 : NGX_ERROR;
}


ngx_table_elt_t *
ngx_http_agents_reply_add(ngx_http_request_t *r, const char *name,
    const char *value, size_t len)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, value, len);

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = p;
    h->value.len = len;

    return h;
}


void
ngx_http_agents_reply_docs_url(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const char *key, const char *slug)
{
    ngx_str_t                     host;
    ngx_http_agents_buf_t         url;
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

    ngx_http_agents_buf_init(&url);

    if (amcf->docs_url.len != 0) {
        ngx_http_agents_buf_add(&url, amcf->docs_url.data, amcf->docs_url.len);

    } else {
        host = ngx_http_agents_reply_host(r);

#if (NGX_HTTP_SSL)
        ngx_http_agents_buf_adds(&url, r->connection->ssl ? "https://"
                                                          : "http://");
#else
        ngx_http_agents_buf_adds(&url, "http://");
#endif
        ngx_http_agents_buf_add(&url, host.data, host.len);
        ngx_http_agents_buf_adds(&url, "/errors");
    }

    ngx_http_agents_buf_addc(&url, '/');
    ngx_http_agents_buf_adds(&url, slug);

    if (url.failed) {
        buf->failed = 1;
    }

    /* a Host header may have what JSON has to escape */

    ngx_http_agents_json_member_string(buf, key, url.data, url.len);
    ngx_http_agents_buf_free(&url);
}


static ngx_str_t
ngx_http_agents_reply_host(ngx_http_request_t *r)
{
    ngx_http_core_srv_conf_t  *cscf;

    /* the header has the port, which headers_in.server has not */

    if (r->headers_in.host != NULL && r->headers_in.host->value.len != 0) {
        return r->headers_in.host->value;
    }

    if (r->headers_in.server.len != 0) {
        return r->headers_in.server;
    }

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    return cscf->server_name;
}


ngx_str_t
ngx_http_agents_reply_path(ngx_http_request_t *r)
{
    u_char     *p;
    ngx_str_t   path;

    /* after a rewrite or an internal redirect there is no such path, but an
     * error's page is about what was asked for, if that could be read */

    path = r->unparsed_uri;

    if ((!r->valid_unparsed_uri && r->err_status == 0) || path.len == 0) {
        return r->uri;
    }

    p = ngx_strlchr(path.data, path.data + path.len, '?');
    if (p != NULL) {
        path.len = p - path.data;
    }

    return path;
}
