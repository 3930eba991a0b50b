
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_background.h"
#include "ngx_http_agents_variables.h"


/* The variable's data. */
typedef enum {
    NGX_HTTP_AGENTS_VARIABLE_COMPANY = 0,
    NGX_HTTP_AGENTS_VARIABLE_USER,
    NGX_HTTP_AGENTS_VARIABLE_CONVERSATION_ID,
    NGX_HTTP_AGENTS_VARIABLE_RUN_ID,
    NGX_HTTP_AGENTS_VARIABLE_RUN_STATUS,
    NGX_HTTP_AGENTS_VARIABLE_ERROR
} ngx_http_agents_variables_e;


static ngx_int_t ngx_http_agents_variables_get(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_str_t ngx_http_agents_variables_of_request(
    const ngx_http_agents_ctx_t *ctx, ngx_http_agents_variables_e which);
static ngx_str_t ngx_http_agents_variables_of_background(
    const ngx_http_agents_background_owner_t *owner,
    ngx_http_agents_variables_e which);
static void ngx_http_agents_variables_copy(ngx_http_request_t *r,
    ngx_str_t *to, const ngx_http_agents_text_t *from);


static ngx_http_variable_t  ngx_http_agents_variables[] = {

    { ngx_string("agents_company"), NULL, ngx_http_agents_variables_get,
      NGX_HTTP_AGENTS_VARIABLE_COMPANY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_user"), NULL, ngx_http_agents_variables_get,
      NGX_HTTP_AGENTS_VARIABLE_USER, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_conversation_id"), NULL,
      ngx_http_agents_variables_get,
      NGX_HTTP_AGENTS_VARIABLE_CONVERSATION_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_run_id"), NULL, ngx_http_agents_variables_get,
      NGX_HTTP_AGENTS_VARIABLE_RUN_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_run_status"), NULL, ngx_http_agents_variables_get,
      NGX_HTTP_AGENTS_VARIABLE_RUN_STATUS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_error"), NULL, ngx_http_agents_variables_get,
      NGX_HTTP_AGENTS_VARIABLE_ERROR, NGX_HTTP_VAR_NOCACHEABLE, 0 },

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
ngx_http_agents_variables_get(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                                  text;
    ngx_http_agents_ctx_t                     *ctx;
    const ngx_http_agents_background_owner_t  *owner;

    ngx_str_null(&text);

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    if (ctx != NULL) {
        text = ngx_http_agents_variables_of_request(ctx, data);

    } else {
        owner = ngx_http_agents_background_owner(r);

        if (owner != NULL) {
            text = ngx_http_agents_variables_of_background(owner, data);
        }
    }

    if (text.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = text.data;
    v->len = text.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_str_t
ngx_http_agents_variables_of_request(const ngx_http_agents_ctx_t *ctx,
    ngx_http_agents_variables_e which)
{
    ngx_str_t    text;
    const char  *name;

    switch (which) {

    case NGX_HTTP_AGENTS_VARIABLE_COMPANY:
    case NGX_HTTP_AGENTS_VARIABLE_USER:

        name = (which == NGX_HTTP_AGENTS_VARIABLE_COMPANY)
               ? ctx->owner.company : ctx->owner.user;

        text.data = (u_char *) name;
        text.len = (name != NULL) ? ngx_strlen(name) : 0;

        return text;

    case NGX_HTTP_AGENTS_VARIABLE_CONVERSATION_ID:
        return ctx->conversation_id;

    case NGX_HTTP_AGENTS_VARIABLE_RUN_ID:
        return ctx->run_id;

    case NGX_HTTP_AGENTS_VARIABLE_RUN_STATUS:
        return ctx->run_status;

    default: /* NGX_HTTP_AGENTS_VARIABLE_ERROR */
        return ctx->error;
    }
}


/* A run's own requests, in the MCP location. */

static ngx_str_t
ngx_http_agents_variables_of_background(
    const ngx_http_agents_background_owner_t *owner,
    ngx_http_agents_variables_e which)
{
    ngx_str_t  none = ngx_null_string;

    switch (which) {

    case NGX_HTTP_AGENTS_VARIABLE_COMPANY:
        return owner->company;

    case NGX_HTTP_AGENTS_VARIABLE_USER:
        return owner->user;

    case NGX_HTTP_AGENTS_VARIABLE_CONVERSATION_ID:
        return owner->conversation;

    case NGX_HTTP_AGENTS_VARIABLE_RUN_ID:
        return owner->run;

    default:
        return none;
    }
}
