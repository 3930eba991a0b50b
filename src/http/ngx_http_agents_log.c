
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_http.h"
#include "ngx_http_agents_log.h"


/* In a cleanup of the request's pool: contexts go in an internal redirect. */
typedef struct {
    ngx_http_log_handler_pt     next;       /* nginx's own */
    ngx_str_t                   id;
    unsigned                    asked:1;
} ngx_http_agents_log_t;


static ngx_http_agents_log_t *ngx_http_agents_log_get(ngx_http_request_t *r);
static void ngx_http_agents_log_ask(ngx_http_request_t *r,
    ngx_http_agents_log_t *log);
static u_char *ngx_http_agents_log_line(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);
static void ngx_http_agents_log_cleanup(void *data);


ngx_int_t
ngx_http_agents_log_handler(ngx_http_request_t *r)
{
    ngx_http_agents_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_agents_module);

    if ((!alcf->api && !alcf->pages) || r != r->main) {
        return NGX_DECLINED;
    }

    if (ngx_http_agents_log_get(r) == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return NGX_DECLINED;
}


ngx_str_t
ngx_http_agents_log_id(ngx_http_request_t *r)
{
    ngx_http_agents_log_t  *log;

    ngx_str_t  none = ngx_null_string;

    log = ngx_http_agents_log_get(r->main);
    if (log == NULL) {
        return none;
    }

    ngx_http_agents_log_ask(r->main, log);

    return log->id;
}


/* Made at the first call, with its place before nginx's own handler; NULL
 * without memory. */

static ngx_http_agents_log_t *
ngx_http_agents_log_get(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_agents_log_t  *log;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_agents_log_cleanup) {
            return cln->data;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_agents_log_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_agents_log_cleanup;

    log = cln->data;
    ngx_memzero(log, sizeof(ngx_http_agents_log_t));

    log->next = r->log_handler;
    r->log_handler = ngx_http_agents_log_line;

    return log;
}


/*
 * Once: where no log format names the variable nginx makes a new value each
 * time; and what asking itself logs must not ask again.
 */

static void
ngx_http_agents_log_ask(ngx_http_request_t *r, ngx_http_agents_log_t *log)
{
    ngx_str_t                   name;
    ngx_uint_t                  key;
    ngx_http_variable_value_t  *vv;

    if (log->asked) {
        return;
    }

    log->asked = 1;

    ngx_str_set(&name, "request_id");
    key = ngx_hash_key(name.data, name.len);

    vv = ngx_http_get_variable(r, &name, key);

    if (vv != NULL && !vv->not_found) {
        log->id.data = vv->data;
        log->id.len = vv->len;
    }
}


static u_char *
ngx_http_agents_log_line(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                 *p;
    ngx_http_agents_log_t  *log;

    log = ngx_http_agents_log_get(r);
    if (log == NULL) {
        return buf;
    }

    ngx_http_agents_log_ask(r, log);

    p = buf;

    if (log->id.len != 0) {
        p = ngx_snprintf(buf, len, ", log_id: %V", &log->id);
        len -= p - buf;
    }

    return log->next(r, sr, p, len);
}


/* Nothing to free: it is what ..._log_get knows its own by. */

static void
ngx_http_agents_log_cleanup(void *data)
{
}
