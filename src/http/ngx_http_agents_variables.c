
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_variables.h"


static ngx_int_t ngx_http_agents_variables_owner(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_agents_variables_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static void ngx_http_agents_variables_copy(ngx_http_request_t *r,
    ngx_str_t *to, const ngx_http_agents_text_t *from);


static ngx_http_variable_t  ngx_http_agents_variables[] = {

    { ngx_string("agents_company"), NULL, ngx_http_agents_variables_owner,
      offsetof(ngx_http_agents_owner_t, company),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_user"), NULL, ngx_http_agents_variables_owner,
      offsetof(ngx_http_agents_owner_t, user),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_conversation_id"), NULL,
      ngx_http_agents_variables_text,
      offsetof(ngx_http_agents_ctx_t, conversation_id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_run_id"), NULL, ngx_http_agents_variables_text,
      offsetof(ngx_http_agents_ctx_t, run_id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_run_status"), NULL, ngx_http_agents_variables_text,
      offsetof(ngx_http_agents_ctx_t, run_status),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_error"), NULL, ngx_http_agents_variables_text,
      offsetof(ngx_http_agents_ctx_t, error),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_agents_variables_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_agents_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


void
ngx_http_agents_variables_conversation(ngx_http_request_t *r,
    const ngx_http_agents_text_t *id)
{
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    ngx_http_agents_variables_copy(r, &ctx->conversation_id, id);
}


void
ngx_http_agents_variables_run(ngx_http_request_t *r,
    const ngx_http_agents_run_record_t *run)
{
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    ngx_http_agents_variables_copy(r, &ctx->conversation_id,
                                   &run->conversation_id);
    ngx_http_agents_variables_copy(r, &ctx->run_id, &run->id);
    ngx_http_agents_variables_copy(r, &ctx->run_status, &run->status);

    if (run->error_type.data != NULL) {
        ngx_http_agents_variables_copy(r, &ctx->error, &run->error_type);
    }
}


static void
ngx_http_agents_variables_copy(ngx_http_request_t *r, ngx_str_t *to,
    const ngx_http_agents_text_t *from)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, from->len);
    if (p == NULL) {
        return;
    }

    ngx_memcpy(p, from->data, from->len);

    to->data = p;
    to->len = from->len;
}


static ngx_int_t
ngx_http_agents_variables_owner(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    const char             *text;
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx == NULL || ctx->owner.user == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = *(const char **) ((char *) &ctx->owner + data);

    v->data = (u_char *) text;
    v->len = ngx_strlen(text);
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_variables_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t              *text;
    ngx_http_agents_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = (ngx_str_t *) ((char *) ctx + data);

    if (text->data == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = text->data;
    v->len = text->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
