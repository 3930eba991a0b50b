
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_auth.h"
#include "ngx_http_agents_auth_jwt.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_secret.h"
#include "ngx_http_agents_wait.h"


#define NGX_HTTP_AGENTS_AUTH_JWT_JWKS_MAX  (1024 * 1024)


/* A verification: malloc'd, and nothing in it is the request's. */
typedef struct {
    const ngx_http_agents_jwt_rules_t  *rules;
    int64_t                             now;    /* milliseconds since 1970 */
    char                                sha256[NGX_HTTP_AGENTS_SHA256_LEN + 1];
    int                                 rc;
    const char                         *why;
    ngx_http_agents_jwt_t               jwt;
    size_t                              len;
    char                                token[1];   /* "len" bytes */
} ngx_http_agents_auth_jwt_task_t;


/* The directive's parameters, all of which it needs. */

enum {
    NGX_HTTP_AGENTS_AUTH_JWT_JWKS = 0,
    NGX_HTTP_AGENTS_AUTH_JWT_ISSUER,
    NGX_HTTP_AGENTS_AUTH_JWT_AUDIENCE,
    NGX_HTTP_AGENTS_AUTH_JWT_COMPANY,
    NGX_HTTP_AGENTS_AUTH_JWT_USER,
    NGX_HTTP_AGENTS_AUTH_JWT_PERMISSIONS,
    NGX_HTTP_AGENTS_AUTH_JWT_PARAMETERS
};


static ngx_int_t ngx_http_agents_auth_jwt_set(ngx_conf_t *cf,
    const ngx_str_t *arg, ngx_str_t *values);
static ngx_int_t ngx_http_agents_auth_jwt_keys(ngx_conf_t *cf,
    const ngx_str_t *value, ngx_http_agents_jwt_rules_t *rules);
static void ngx_http_agents_auth_jwt_cleanup(void *data);
static void ngx_http_agents_auth_jwt_work(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_agents_auth_jwt_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_auth_jwt_gone(ngx_http_agents_db_batch_t *batch,
    void *data);


static const ngx_str_t  ngx_http_agents_auth_jwt_names[] = {
    ngx_string("jwks"),
    ngx_string("issuer"),
    ngx_string("audience"),
    ngx_string("company"),
    ngx_string("user"),
    ngx_string("permissions")
};


ngx_http_agents_jwt_rules_t *
ngx_http_agents_auth_jwt_directive(ngx_conf_t *cf)
{
    ngx_str_t                    *args;
    ngx_str_t                     v[NGX_HTTP_AGENTS_AUTH_JWT_PARAMETERS];
    ngx_uint_t                    i;
    ngx_http_agents_jwt_rules_t  *rules;

    ngx_memzero(v, sizeof(v));

    args = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_agents_auth_jwt_set(cf, &args[i], v) != NGX_OK) {
            return NULL;
        }
    }

    for (i = 0; i < NGX_HTTP_AGENTS_AUTH_JWT_PARAMETERS; i++) {
        if (v[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"agents_auth jwt\" needs the parameter "
                               "\"%V=\"", &ngx_http_agents_auth_jwt_names[i]);
            return NULL;
        }
    }

    rules = ngx_pcalloc(cf->pool, sizeof(ngx_http_agents_jwt_rules_t));
    if (rules == NULL) {
        return NULL;
    }

    rules->issuer = (char *) v[NGX_HTTP_AGENTS_AUTH_JWT_ISSUER].data;
    rules->audience = (char *) v[NGX_HTTP_AGENTS_AUTH_JWT_AUDIENCE].data;
    rules->company = (char *) v[NGX_HTTP_AGENTS_AUTH_JWT_COMPANY].data;
    rules->user = (char *) v[NGX_HTTP_AGENTS_AUTH_JWT_USER].data;
    rules->permissions = (char *) v[NGX_HTTP_AGENTS_AUTH_JWT_PERMISSIONS].data;

    if (ngx_http_agents_auth_jwt_keys(cf, &v[NGX_HTTP_AGENTS_AUTH_JWT_JWKS],
                                      rules)
        != NGX_OK)
    {
        return NULL;
    }

    return rules;
}


/* "name=value"; words of a configuration end with a NUL. */

static ngx_int_t
ngx_http_agents_auth_jwt_set(ngx_conf_t *cf, const ngx_str_t *arg,
    ngx_str_t *values)
{
    size_t            len;
    ngx_uint_t        i;
    const ngx_str_t  *name;

    for (i = 0; i < NGX_HTTP_AGENTS_AUTH_JWT_PARAMETERS; i++) {
        name = &ngx_http_agents_auth_jwt_names[i];
        len = name->len;

        if (arg->len <= len || arg->data[len] != '='
            || ngx_strncmp(arg->data, name->data, len) != 0)
        {
            continue;
        }

        if (values[i].data != NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V=\" of "
                               "\"agents_auth jwt\"", name);
            return NGX_ERROR;
        }

        values[i].data = arg->data + len + 1;
        values[i].len = arg->len - len - 1;

        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown parameter \"%V\" of \"agents_auth jwt\", "
                       "known are jwks=, issuer=, audience=, company=, user= "
                       "and permissions=", arg);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_agents_auth_jwt_keys(ngx_conf_t *cf, const ngx_str_t *value,
    ngx_http_agents_jwt_rules_t *rules)
{
    char                     err[256];
    ngx_str_t                path, text;
    ngx_pool_cleanup_t      *cln;
    ngx_http_agents_jwks_t  *jwks;

    if (ngx_strncmp(value->data, "file:", 5) != 0 || value->len == 5) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"jwks=\": it is "
                           "\"file:PATH\"", value);
        return NGX_ERROR;
    }

    path.data = value->data + 5;
    path.len = value->len - 5;

    if (ngx_http_agents_secret_file(cf, &path, "jwks=",
                                    NGX_HTTP_AGENTS_AUTH_JWT_JWKS_MAX, &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    jwks = ngx_http_agents_jwks_read((char *) text.data, text.len, err,
                                     sizeof(err));

    ngx_explicit_memzero(text.data, text.len);

    if (jwks == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the file \"%V\" of \"jwks=\" is no set of keys "
                           "to verify with: %s", &path, err);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_agents_auth_jwt_cleanup;
    cln->data = jwks;

    rules->jwks = jwks;

    return NGX_OK;
}


static void
ngx_http_agents_auth_jwt_cleanup(void *data)
{
    ngx_http_agents_jwks_free(data);
}


ngx_int_t
ngx_http_agents_auth_jwt_verify(ngx_http_request_t *r, const ngx_str_t *token,
    const char *sha256)
{
    ngx_http_agents_ctx_t            *ctx;
    ngx_http_agents_loc_conf_t       *alcf;
    ngx_http_agents_auth_jwt_task_t  *task;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    task = ngx_calloc(sizeof(ngx_http_agents_auth_jwt_task_t) + token->len,
                      r->connection->log);
    if (task == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    task->rules = alcf->auth_jwt;
    task->now = ngx_http_agents_auth_now();
    task->len = token->len;

    ngx_memcpy(task->sha256, sha256, NGX_HTTP_AGENTS_SHA256_LEN + 1);
    ngx_memcpy(task->token, token->data, token->len);

    if (ngx_http_agents_wait_task(r, ngx_http_agents_auth_jwt_work,
                                  ngx_http_agents_auth_jwt_done,
                                  ngx_http_agents_auth_jwt_gone, task)
        != NGX_OK)
    {
        ngx_free(task);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    ctx->state = NGX_HTTP_AGENTS_ACCESS_WAITING;

    return NGX_DONE;
}


/* In a pool thread; the rules live as long as the worker. */

static void
ngx_http_agents_auth_jwt_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_auth_jwt_task_t *task = data;

    task->rc = ngx_http_agents_jwt_verify(task->rules, task->token, task->len,
                                          task->now, &task->jwt, &task->why);
}


static ngx_int_t
ngx_http_agents_auth_jwt_done(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_auth_jwt_task_t *task = data;

    ngx_int_t                        rc;
    ngx_http_agents_auth_identity_t  identity;

    if (task->rc == 0) {
        identity.company = task->jwt.company;
        identity.user = task->jwt.user;
        identity.permissions = task->jwt.permissions;
        identity.expires_at = task->jwt.expires_at;

        rc = ngx_http_agents_auth_accept(r, task->sha256, &identity);

    } else if (task->why != NULL) {
        rc = ngx_http_agents_auth_invalid(r, task->why);

    } else {
        rc = NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_agents_auth_jwt_gone(batch, task);

    return rc;
}


static void
ngx_http_agents_auth_jwt_gone(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_auth_jwt_task_t *task = data;

    ngx_http_agents_jwt_free(&task->jwt);
    ngx_free(task);
}
