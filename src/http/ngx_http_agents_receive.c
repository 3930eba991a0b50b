
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_receive.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_wait.h"


/* A stretch of the body that nginx has put into a temporary file. */
typedef struct {
    off_t                               file_pos;
    size_t                              pos;    /* in the text */
    size_t                              len;
} ngx_http_agents_receive_piece_t;


/* A check of a body: malloc'd, and nothing in it is the request's. */
typedef struct {
    const ngx_http_agents_body_type_t  *type;
    ngx_http_agents_scope_t             scope;
    char                               *company;
    u_char                             *text;
    size_t                              len;
    int                                 fd;     /* -1: all is in memory */
    ngx_http_agents_receive_piece_t    *pieces;
    ngx_uint_t                          npieces;
    void                               *body;
    ngx_http_agents_faults_t            faults;
    ngx_int_t                           rc;     /* NGX_OK, NGX_DECLINED: with
                                                   faults; NGX_ABORT: without
                                                   memory; NGX_ERROR */
} ngx_http_agents_receive_t;


typedef struct {
    ngx_http_agents_ctx_t              *ctx;
    const ngx_http_agents_body_type_t  *type;
} ngx_http_agents_receive_cleanup_t;


static ngx_int_t ngx_http_agents_receive_refuse(ngx_http_request_t *r);
static ngx_uint_t ngx_http_agents_receive_is_json(ngx_http_request_t *r);
static void ngx_http_agents_receive_read_handler(ngx_http_request_t *r);
static void ngx_http_agents_receive_body_handler(ngx_http_request_t *r);
static ngx_http_agents_receive_t *ngx_http_agents_receive_create(
    ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx);
static ngx_int_t ngx_http_agents_receive_collect(ngx_http_request_t *r,
    ngx_http_agents_receive_t *receive);
static void ngx_http_agents_receive_work(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_agents_receive_load(
    ngx_http_agents_receive_t *receive, ngx_log_t *log);
static ngx_int_t ngx_http_agents_receive_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_receive_gone(ngx_http_agents_db_batch_t *batch,
    void *data);
static ngx_int_t ngx_http_agents_receive_keep(ngx_http_request_t *r,
    ngx_http_agents_receive_t *receive);
static void ngx_http_agents_receive_cleanup(void *data);
static void ngx_http_agents_receive_free(ngx_http_agents_receive_t *receive);


ngx_int_t
ngx_http_agents_receive_body(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (!ngx_http_agents_receive_is_json(r)) {
        return ngx_http_agents_reply_status(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                            NULL);
    }

    if (!ngx_http_agents_wait_room(r, r->headers_in.content_length_n)) {
        return ngx_http_agents_receive_refuse(r);
    }

    ctx->state = NGX_HTTP_AGENTS_ACCESS_WAITING;

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r,
                                         ngx_http_agents_receive_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    if (rc == NGX_AGAIN) {

        /* nginx closes silently when a body does not come in time */

        ctx->read = r->read_event_handler;
        r->read_event_handler = ngx_http_agents_receive_read_handler;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_receive_refuse(ngx_http_request_t *r)
{
    return ngx_http_agents_reply_overloaded(r, "The bodies of other requests "
                                            "take all the memory that there "
                                            "is for them.");
}


/* application/json, in any case and with any parameters. */

static ngx_uint_t
ngx_http_agents_receive_is_json(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t  *value;

    static const char  json[] = "application/json";

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    value = &r->headers_in.content_type->value;

    if (value->len < sizeof(json) - 1
        || ngx_strncasecmp(value->data, (u_char *) json, sizeof(json) - 1)
           != 0)
    {
        return 0;
    }

    p = value->data + sizeof(json) - 1;
    last = value->data + value->len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p == last || *p == ';';
}


static void
ngx_http_agents_receive_read_handler(ngx_http_request_t *r)
{
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (!r->connection->read->timedout) {
        ctx->read(r);
        return;
    }

    r->keepalive = 0;
    r->lingering_close = 0;

#if (NGX_HTTP_V2)
    if (r->stream) {
        r->stream->skip_data = 1;
    }
#endif

    ngx_http_finalize_request(r, ngx_http_agents_reply_status(r,
                                               NGX_HTTP_REQUEST_TIME_OUT,
                                               NULL));
}


static void
ngx_http_agents_receive_body_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_agents_ctx_t      *ctx;
    ngx_http_agents_receive_t  *receive;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    receive = ngx_http_agents_receive_create(r, ctx);

    if (receive == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_SERVICE_UNAVAILABLE);
        return;
    }

    rc = ngx_http_agents_receive_collect(r, receive);

    if (rc == NGX_OK) {
        rc = ngx_http_agents_wait_task(r, ngx_http_agents_receive_work,
                                       ngx_http_agents_receive_done,
                                       ngx_http_agents_receive_gone, receive);
    }

    if (rc != NGX_OK) {
        ngx_http_agents_receive_free(receive);
        ngx_http_finalize_request(r, rc == NGX_BUSY
                                     ? ngx_http_agents_receive_refuse(r)
                                     : NGX_HTTP_SERVICE_UNAVAILABLE);
    }
}


static ngx_http_agents_receive_t *
ngx_http_agents_receive_create(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_receive_t    *receive;
    ngx_http_agents_loc_conf_t   *alcf;
    ngx_http_agents_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    receive = ngx_calloc(sizeof(ngx_http_agents_receive_t),
                         r->connection->log);
    if (receive == NULL) {
        return NULL;
    }

    receive->fd = -1;
    receive->type = ctx->route->body;
    receive->company = strdup(ctx->owner.company);
    receive->body = ngx_calloc(receive->type->size, r->connection->log);

    if (receive->company == NULL || receive->body == NULL) {
        ngx_http_agents_receive_free(receive);
        return NULL;
    }

    receive->scope.catalog = &amcf->catalog;
    receive->scope.settings = alcf->settings;
    receive->scope.company = receive->company;

    return receive;
}


/*
 * Copies what is in memory, and makes a descriptor of its own for what is in
 * a file: both are gone when the client is.  NGX_BUSY: there is no room.
 */

static ngx_int_t
ngx_http_agents_receive_collect(ngx_http_request_t *r,
    ngx_http_agents_receive_t *receive)
{
    size_t                            size;
    ngx_buf_t                        *b;
    ngx_int_t                         rc;
    ngx_uint_t                        n;
    ngx_chain_t                      *cl, *bufs;
    ngx_http_agents_receive_piece_t  *piece;

    bufs = (r->request_body != NULL) ? r->request_body->bufs : NULL;

    size = 0;
    n = 0;

    for (cl = bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
        n += !ngx_buf_in_memory(cl->buf) && cl->buf->in_file;
    }

    rc = ngx_http_agents_wait_hold(r, size);
    if (rc != NGX_OK) {
        return rc;
    }

    receive->text = ngx_alloc(size + 1, r->connection->log);
    receive->pieces = ngx_alloc((n + 1)
                                * sizeof(ngx_http_agents_receive_piece_t),
                                r->connection->log);

    if (receive->text == NULL || receive->pieces == NULL) {
        return NGX_ERROR;
    }

    for (cl = bufs; cl; cl = cl->next) {
        b = cl->buf;
        size = ngx_buf_size(b);

        if (ngx_buf_in_memory(b)) {
            ngx_memcpy(receive->text + receive->len, b->pos, size);

        } else if (b->in_file) {

            if (receive->fd == -1) {
                receive->fd = dup(b->file->fd);

                if (receive->fd == -1) {
                    ngx_log_error(NGX_LOG_ERR, r->connection->log, ngx_errno,
                                  "dup() of a request body's file failed");
                    return NGX_ERROR;
                }
            }

            piece = &receive->pieces[receive->npieces++];
            piece->file_pos = b->file_pos;
            piece->pos = receive->len;
            piece->len = size;
        }

        receive->len += size;
    }

    receive->text[receive->len] = '\0';

    return NGX_OK;
}


/* In a pool thread. */

static void
ngx_http_agents_receive_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_receive_t *receive = data;

    if (ngx_http_agents_receive_load(receive, log) != NGX_OK) {
        receive->rc = NGX_ERROR;
        return;
    }

    errno = 0;

    receive->rc = receive->type->read((char *) receive->text, receive->len,
                                      &receive->scope, receive->body,
                                      &receive->faults) == 0
                  ? NGX_OK : NGX_DECLINED;

    /* what was found for want of memory, or was not, is not so */

    if (errno == ENOMEM) {
        receive->rc = NGX_ABORT;
    }
}


static ngx_int_t
ngx_http_agents_receive_load(ngx_http_agents_receive_t *receive,
    ngx_log_t *log)
{
    size_t                            done;
    ssize_t                           n;
    ngx_uint_t                        i;
    ngx_http_agents_receive_piece_t  *piece;

    for (i = 0; i < receive->npieces; i++) {
        piece = &receive->pieces[i];

        for (done = 0; done < piece->len; done += n) {
            n = pread(receive->fd, receive->text + piece->pos + done,
                      piece->len - done, piece->file_pos + done);

            if (n <= 0) {
                ngx_log_error(NGX_LOG_ERR, log, n == 0 ? 0 : ngx_errno,
                              "reading back a request body's file failed");
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_receive_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_receive_t *receive = data;

    ngx_int_t  rc;

    switch (receive->rc) {

    case NGX_OK:
        rc = ngx_http_agents_receive_keep(r, receive);
        break;

    case NGX_DECLINED:
        rc = ngx_http_agents_reply_faults(r, &receive->faults);
        break;

    case NGX_ABORT:
        rc = NGX_HTTP_SERVICE_UNAVAILABLE;
        break;

    default:
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        break;
    }

    ngx_http_agents_receive_free(receive);

    return rc;
}


static void
ngx_http_agents_receive_gone(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_receive_free(data);
}


static ngx_int_t
ngx_http_agents_receive_keep(ngx_http_request_t *r,
    ngx_http_agents_receive_t *receive)
{
    ngx_pool_cleanup_t                 *cln;
    ngx_http_agents_ctx_t              *ctx;
    ngx_http_agents_receive_cleanup_t  *keep;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_agents_receive_cleanup_t));
    if (cln == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cln->handler = ngx_http_agents_receive_cleanup;

    keep = cln->data;
    keep->ctx = ctx;
    keep->type = receive->type;

    ctx->body = receive->body;
    receive->body = NULL;

    ctx->state = NGX_HTTP_AGENTS_ACCESS_ADMITTED;

    return NGX_DECLINED;
}


static void
ngx_http_agents_receive_cleanup(void *data)
{
    ngx_http_agents_receive_cleanup_t *keep = data;

    if (keep->ctx->body != NULL) {
        keep->type->free(keep->ctx->body);
        ngx_free(keep->ctx->body);
    }
}


static void
ngx_http_agents_receive_free(ngx_http_agents_receive_t *receive)
{
    if (receive->body != NULL) {
        receive->type->free(receive->body);
        ngx_free(receive->body);
    }

    if (receive->fd != -1) {
        (void) close(receive->fd);
    }

    ngx_http_agents_faults_free(&receive->faults);

    ngx_free(receive->company);
    ngx_free(receive->pieces);
    ngx_free(receive->text);
    ngx_free(receive);
}
