
/*
 * Conversations: POST, the list, GET and PATCH.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_body.h"
#include "ngx_http_agents_effective.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_page.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_wait.h"


static int ngx_http_agents_api_conversations_body_read(const char *text,
    size_t len, const ngx_http_agents_scope_t *scope, void *data,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_api_conversations_body_free(void *data);
static ngx_int_t ngx_http_agents_api_conversations_insert(
    ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx, const char *id,
    const char *defaults, size_t len);
static ngx_int_t ngx_http_agents_api_conversations_created(
    ngx_http_request_t *r, ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_api_conversations_count(
    ngx_http_agents_db_batch_t *batch, const ngx_http_agents_ctx_t *ctx);
static void ngx_http_agents_api_conversations_slice(
    ngx_http_agents_db_batch_t *batch, const ngx_http_agents_ctx_t *ctx,
    const ngx_http_agents_slice_t *slice);
static size_t ngx_http_agents_api_conversations_record(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, int64_t *created_at, const char **id);
static ngx_int_t ngx_http_agents_api_conversations_read(
    ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx,
    ngx_http_agents_wait_handler_pt handler);
static ngx_int_t ngx_http_agents_api_conversations_found(
    ngx_http_request_t *r, ngx_http_agents_db_batch_t *batch, void *data);
static int ngx_http_agents_api_conversations_change_read(const char *text,
    size_t len, const ngx_http_agents_scope_t *scope, void *data,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_api_conversations_change_free(void *data);
static ngx_int_t ngx_http_agents_api_conversations_seen(
    ngx_http_request_t *r, ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_conversations_rename(
    ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx,
    const ngx_http_agents_conversation_t *seen);
static ngx_int_t ngx_http_agents_api_conversations_renamed(
    ngx_http_request_t *r, ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_conversations_reply(
    ngx_http_request_t *r, ngx_uint_t status,
    const ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_api_conversations_view(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_conversation_t *c);


const ngx_http_agents_body_type_t  ngx_http_agents_api_conversations_body = {
    sizeof(ngx_http_agents_body_conversation_t),
    ngx_http_agents_api_conversations_body_read,
    ngx_http_agents_api_conversations_body_free
};


const ngx_http_agents_body_type_t
    ngx_http_agents_api_conversations_change_body =
{
    sizeof(ngx_http_agents_body_change_t),
    ngx_http_agents_api_conversations_change_read,
    ngx_http_agents_api_conversations_change_free
};


static const ngx_http_agents_page_type_t
    ngx_http_agents_api_conversations_page =
{
    ngx_http_agents_api_conversations_count,
    NULL,
    ngx_http_agents_api_conversations_slice,
    ngx_http_agents_api_conversations_record
};


/* In a pool thread. */

static int
ngx_http_agents_api_conversations_body_read(const char *text, size_t len,
    const ngx_http_agents_scope_t *scope, void *data,
    ngx_http_agents_faults_t *faults)
{
    ngx_http_agents_body_conversation_t *body = data;

    (void) ngx_http_agents_body_conversation(text, len, body, faults);

    /* also after a fault: one answer is to list all that can be found */

    if (body->defaults != NULL) {
        ngx_http_agents_effective_check(scope->catalog, scope->settings,
                                        scope->company, body->defaults,
                                        body->given, "defaults", faults);
    }

    return (faults->found == 0 && !faults->failed) ? 0 : -1;
}


static void
ngx_http_agents_api_conversations_body_free(void *data)
{
    ngx_http_agents_body_conversation_free(data);
}


ngx_int_t
ngx_http_agents_api_conversations_create(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    char                                 *defaults;
    size_t                                len;
    ngx_int_t                             rc;
    char                                  id[NGX_HTTP_AGENTS_UUID_LEN + 1];
    ngx_http_agents_body_conversation_t  *body;

    body = ctx->body;

    if (ngx_http_agents_ident_uuid(id) != 0) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    defaults = ngx_http_agents_json_text(body->defaults, &len);
    if (defaults == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    rc = ngx_http_agents_api_conversations_insert(r, ctx, id, defaults, len);

    ngx_free(defaults);

    return rc;
}


static ngx_int_t
ngx_http_agents_api_conversations_insert(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, const char *id, const char *defaults,
    size_t len)
{
    ngx_http_agents_text_t                name, system_prompt, text;
    ngx_http_agents_db_batch_t           *batch;
    ngx_http_agents_body_conversation_t  *body;

    body = ctx->body;

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_WRITE,
                                     ngx_http_agents_api_conversations_created,
                                     NULL, NULL);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    name.data = body->name;
    name.len = body->name_len;
    system_prompt.data = body->system_prompt;
    system_prompt.len = body->system_prompt_len;
    text.data = defaults;
    text.len = len;

    ngx_http_agents_conversations_insert(batch, &ctx->owner, id, &name,
                                         &system_prompt, &text);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_conversations_created(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    u_char                           location[128], *last;
    ngx_int_t                        rc;
    ngx_http_agents_db_status_e      status;
    ngx_http_agents_conversation_t   conversation;

    status = ngx_http_agents_db_status(batch);

    if (status != NGX_HTTP_AGENTS_DB_OK) {
        rc = ngx_http_agents_reply_store(r, status);
        ngx_http_agents_db_batch_free(batch);
        return rc;
    }

    ngx_http_agents_conversations_read(batch, 0, 0, &conversation);

    last = ngx_snprintf(location, sizeof(location),
                        "/agents/conversations/%*s", conversation.id.len,
                        conversation.id.data);

    rc = ngx_http_agents_reply_header(r, "Location", (char *) location,
                                      last - location);

    rc = (rc == NGX_OK)
         ? ngx_http_agents_api_conversations_reply(r, NGX_HTTP_CREATED, batch)
         : NGX_HTTP_SERVICE_UNAVAILABLE;

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


ngx_int_t
ngx_http_agents_api_conversations_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    return ngx_http_agents_page_list(r, ctx,
                                     &ngx_http_agents_api_conversations_page);
}


static void
ngx_http_agents_api_conversations_count(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_conversations_count(batch, &ctx->owner);
}


static void
ngx_http_agents_api_conversations_slice(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_ctx_t *ctx, const ngx_http_agents_slice_t *slice)
{
    ngx_http_agents_conversations_list(batch, &ctx->owner, slice);
}


static size_t
ngx_http_agents_api_conversations_record(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, int64_t *created_at, const char **id)
{
    ngx_http_agents_conversation_t  conversation;

    ngx_http_agents_conversations_read(batch, statement, row, &conversation);
    ngx_http_agents_api_conversations_view(buf, &conversation);

    *created_at = conversation.created_at;
    *id = conversation.id.data;

    return row + 1;
}


ngx_int_t
ngx_http_agents_api_conversations_get(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    return ngx_http_agents_api_conversations_read(r, ctx,
                                      ngx_http_agents_api_conversations_found);
}


static ngx_int_t
ngx_http_agents_api_conversations_read(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, ngx_http_agents_wait_handler_pt handler)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_POINT, handler,
                                       NULL, NULL);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_agents_conversations_get(batch, &ctx->owner,
                                      (char *) ctx->id.data);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_conversations_found(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_int_t  rc;

    rc = ngx_http_agents_reply_missing(r, batch, 0,
                                       "There is no such conversation.");

    if (rc == NGX_DECLINED) {
        rc = ngx_http_agents_api_conversations_reply(r, NGX_HTTP_OK, batch);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


/* In a pool thread. */

static int
ngx_http_agents_api_conversations_change_read(const char *text, size_t len,
    const ngx_http_agents_scope_t *scope, void *data,
    ngx_http_agents_faults_t *faults)
{
    return ngx_http_agents_body_change(text, len, data, faults);
}


static void
ngx_http_agents_api_conversations_change_free(void *data)
{
    ngx_http_agents_body_change_free(data);
}


/* Read first only where it takes a look: for If-Match, or to change nothing. */

ngx_int_t
ngx_http_agents_api_conversations_change(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_body_change_t  *change;

    change = ctx->body;

    if (change->renames && r->headers_in.if_match == NULL) {
        return ngx_http_agents_api_conversations_rename(r, ctx, NULL);
    }

    return ngx_http_agents_api_conversations_read(r, ctx,
                                       ngx_http_agents_api_conversations_seen);
}


static ngx_int_t
ngx_http_agents_api_conversations_seen(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_int_t                        rc;
    ngx_uint_t                       expected;
    ngx_http_agents_ctx_t           *ctx;
    ngx_http_agents_buf_t            buf;
    ngx_http_agents_body_change_t   *change;
    ngx_http_agents_conversation_t   conversation;

    if (ngx_http_agents_db_status(batch) != NGX_HTTP_AGENTS_DB_OK
        || ngx_http_agents_db_rows(batch, 0) == 0)
    {
        return ngx_http_agents_api_conversations_found(r, batch, NULL);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    change = ctx->body;

    ngx_http_agents_conversations_read(batch, 0, 0, &conversation);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_api_conversations_view(&buf, &conversation);

    expected = ngx_http_agents_reply_expected(r, &buf);

    ngx_http_agents_buf_free(&buf);

    if (!expected) {
        rc = ngx_http_agents_reply_status(r, NGX_HTTP_PRECONDITION_FAILED,
                                          NULL);

    } else if (change->renames) {
        rc = ngx_http_agents_api_conversations_rename(r, ctx, &conversation);

    } else {
        return ngx_http_agents_api_conversations_found(r, batch, NULL);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_api_conversations_rename(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, const ngx_http_agents_conversation_t *seen)
{
    ngx_http_agents_text_t          name;
    ngx_http_agents_db_batch_t     *batch;
    ngx_http_agents_body_change_t  *change;

    change = ctx->body;

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_WRITE,
                                     ngx_http_agents_api_conversations_renamed,
                                     NULL, NULL);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    name.data = change->name;
    name.len = change->name_len;

    ngx_http_agents_conversations_rename(batch, &ctx->owner,
                                         (char *) ctx->id.data, &name, seen);
    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_conversations_renamed(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_ctx_t           *ctx;
    ngx_http_agents_main_conf_t     *amcf;
    ngx_http_agents_conversation_t   conversation;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_rows(batch, 0) != 0)
    {
        ngx_http_agents_conversations_read(batch, 0, 0, &conversation);

        if (conversation.active_run_id.data != NULL) {

            /* its live view shows the name */

            amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);

            ngx_http_agents_wake_run(amcf->worker->wake,
                                     conversation.active_run_id.data);
        }
    }

    if (r->headers_in.if_match == NULL
        || ngx_http_agents_db_status(batch) != NGX_HTTP_AGENTS_DB_OK
        || ngx_http_agents_db_rows(batch, 0) != 0)
    {
        return ngx_http_agents_api_conversations_found(r, batch, NULL);
    }

    /* it has changed since it was seen, and so has its tag */

    ngx_http_agents_db_batch_free(batch);

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    return ngx_http_agents_api_conversations_change(r, ctx);
}


static ngx_int_t
ngx_http_agents_api_conversations_reply(ngx_http_request_t *r,
    ngx_uint_t status, const ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_buf_t            buf;
    ngx_http_agents_conversation_t   conversation;

    ngx_http_agents_conversations_read(batch, 0, 0, &conversation);

    ngx_http_agents_variables_conversation(r, &conversation.id);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_api_conversations_view(&buf, &conversation);

    return status == NGX_HTTP_OK
           ? ngx_http_agents_reply_json_etag(r, &buf)
           : ngx_http_agents_reply_json(r, status, &buf);
}


static void
ngx_http_agents_api_conversations_view(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_conversation_t *c)
{
    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_text(buf, "id", &c->id);
    ngx_http_agents_json_member_text(buf, "name", &c->name);
    ngx_http_agents_json_member_integer(buf, "version", c->version);
    ngx_http_agents_json_member_text(buf, "system_prompt", &c->system_prompt);
    ngx_http_agents_json_member_json(buf, "defaults", &c->defaults);
    ngx_http_agents_json_member_time(buf, "created_at", c->created_at);
    ngx_http_agents_json_member_time(buf, "updated_at", c->updated_at);
    ngx_http_agents_json_end(buf);
}
