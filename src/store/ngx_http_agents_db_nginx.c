
/*
 * The store inside nginx: the directive's arguments, and the way from a
 * finished batch back to who submitted it.
 */


#include "ngx_http_agents_db_nginx_core.h"
#include "ngx_http_agents_db_pg.h"


/*
 * While a batch is under way, a timer that is not cancelable keeps an exiting
 * worker: who waits for the answer may have no timer of its own.
 */
#define NGX_HTTP_AGENTS_DB_NGINX_GUARD  10000


static char *ngx_http_agents_db_nginx_spec_sqlite(ngx_conf_t *cf,
    ngx_http_agents_db_spec_t *spec, ngx_str_t *path);
static char *ngx_http_agents_db_nginx_spec_conninfo(ngx_conf_t *cf,
    ngx_str_t *conninfo);
static char *ngx_http_agents_db_nginx_spec_option(ngx_conf_t *cf,
    ngx_http_agents_db_spec_t *spec, ngx_str_t *option);
static ngx_int_t ngx_http_agents_db_nginx_prefix(const ngx_str_t *value,
    const char *prefix, ngx_str_t *rest);
static void ngx_http_agents_db_nginx_submit(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_nginx_count(ngx_http_agents_db_nginx_t *base,
    const ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_nginx_event_handler(ngx_event_t *ev);
static void ngx_http_agents_db_nginx_guard_handler(ngx_event_t *ev);


char *
ngx_http_agents_db_nginx_spec(ngx_conf_t *cf, ngx_http_agents_db_spec_t *spec)
{
    char        *rv;
    ngx_str_t   *value, rest;
    ngx_uint_t   i;

    value = cf->args->elts;

    ngx_memzero(spec, sizeof(ngx_http_agents_db_spec_t));

    if (ngx_http_agents_db_nginx_prefix(&value[1], "sqlite:", &rest)
        == NGX_OK)
    {
        if (cf->args->nelts > 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unexpected \"%V\": a SQLite store has no "
                               "options", &value[2]);
            return NGX_CONF_ERROR;
        }

        return ngx_http_agents_db_nginx_spec_sqlite(cf, spec, &rest);
    }

    if (ngx_http_agents_db_nginx_prefix(&value[1], "postgres:", &rest)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid store \"%V\": it should be "
                           "\"sqlite:PATH\" or \"postgres:CONNINFO\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_agents_db_nginx_spec_conninfo(cf, &rest);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    spec->postgres = 1;
    spec->target = rest;

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_agents_db_nginx_spec_option(cf, spec, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_db_nginx_spec_sqlite(ngx_conf_t *cf,
    ngx_http_agents_db_spec_t *spec, ngx_str_t *path)
{
    if (path->len == 0 || path->data[path->len - 1] == '/'
        || path->data[0] == ':')
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid path \"%V\" of a SQLite store: it should "
                           "name a file, as in "
                           "\"sqlite:/var/lib/nginx/agents/agents.db\"", path);
        return NGX_CONF_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    spec->target = *path;

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_db_nginx_spec_conninfo(ngx_conf_t *cf, ngx_str_t *conninfo)
{
    char  err[NGX_MAX_CONF_ERRSTR];

    if (conninfo->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty PostgreSQL conninfo: it should be as in "
                           "\"postgres:host=/run/postgresql dbname=agents\"");
        return NGX_CONF_ERROR;
    }

    /* the parser of the configuration ends every token with a NUL */

    if (ngx_http_agents_db_pg_params_check((char *) conninfo->data, err,
                                           sizeof(err))
        != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid PostgreSQL conninfo: %s; it should be as "
                           "in \"postgres:host=/run/postgresql "
                           "dbname=agents\"", err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_db_nginx_spec_option(ngx_conf_t *cf,
    ngx_http_agents_db_spec_t *spec, ngx_str_t *option)
{
    ngx_str_t  rest;

    if (ngx_http_agents_db_nginx_prefix(option, "prepare=", &rest) == NGX_OK) {

        if (ngx_strcmp(rest.data, "off") == 0) {
            spec->no_prepare = 1;
            return NGX_CONF_OK;
        }

        if (ngx_strcmp(rest.data, "on") == 0) {
            spec->no_prepare = 0;
            return NGX_CONF_OK;
        }
    }

    if (ngx_http_agents_db_nginx_prefix(option, "listen=", &rest) == NGX_OK) {
        spec->listen = rest;
        return ngx_http_agents_db_nginx_spec_conninfo(cf, &spec->listen);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid option \"%V\" of a PostgreSQL store: it "
                       "should be \"prepare=on\", \"prepare=off\" or "
                       "\"listen=CONNINFO\"", option);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_agents_db_nginx_prefix(const ngx_str_t *value, const char *prefix,
    ngx_str_t *rest)
{
    size_t  len;

    len = ngx_strlen(prefix);

    if (value->len < len || ngx_strncmp(value->data, prefix, len) != 0) {
        return NGX_DECLINED;
    }

    rest->data = value->data + len;
    rest->len = value->len - len;

    return NGX_OK;
}


ngx_http_agents_db_t *
ngx_http_agents_db_nginx_open(const ngx_http_agents_db_spec_t *spec,
    ngx_http_agents_tasks_t *tasks, ngx_http_agents_metrics_t *metrics,
    ngx_log_t *log)
{
    ngx_http_agents_db_nginx_t  *base;

    if (spec->postgres) {
        base = ngx_http_agents_db_nginx_pg_open(spec, tasks, log);

    } else {
        base = ngx_http_agents_db_nginx_sqlite_open(spec, tasks, log);
    }

    if (base == NULL) {
        return NULL;
    }

    base->metrics = metrics;

    return &base->db;
}


void
ngx_http_agents_db_nginx_on_stop(ngx_http_agents_db_t *db,
    ngx_http_agents_db_nginx_stop_pt handler, void *data)
{
    ngx_http_agents_db_nginx_t  *base;

    base = (ngx_http_agents_db_nginx_t *) db;

    base->notified = handler;
    base->notified_data = data;
}


ngx_uint_t
ngx_http_agents_db_nginx_ready(ngx_http_agents_db_t *db)
{
    ngx_http_agents_db_nginx_t  *base;

    base = (ngx_http_agents_db_nginx_t *) db;

    return base->ready(base);
}


ngx_http_agents_db_status_e
ngx_http_agents_db_nginx_last(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch, ngx_msec_t msec)
{
    ngx_http_agents_db_nginx_t  *base;

    base = (ngx_http_agents_db_nginx_t *) db;

    return base->last(base, batch, msec);
}


void
ngx_http_agents_db_nginx_close(ngx_http_agents_db_t *db)
{
    ngx_http_agents_db_nginx_t  *base;

    base = (ngx_http_agents_db_nginx_t *) db;

    base->close(base);
}


void
ngx_http_agents_db_nginx_init(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_tasks_t *tasks, ngx_log_t *log)
{
    base->db.submit = ngx_http_agents_db_nginx_submit;
    base->tasks = tasks;
    base->log = log;

    base->event.handler = ngx_http_agents_db_nginx_event_handler;
    base->event.data = base;
    base->event.log = log;

    base->guard.handler = ngx_http_agents_db_nginx_guard_handler;
    base->guard.data = base;
    base->guard.log = log;
}


static void
ngx_http_agents_db_nginx_submit(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_nginx_t  *base;

    base = (ngx_http_agents_db_nginx_t *) db;

    batch->submitted = ngx_http_agents_metrics_now();

    base->pending++;
    base->guard.cancelable = 0;

    if (!base->guard.timer_set) {
        ngx_add_timer(&base->guard, NGX_HTTP_AGENTS_DB_NGINX_GUARD);
    }

    base->submit(base, batch);
}


void
ngx_http_agents_db_nginx_finish(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_nginx_line_push(&base->finished, batch);

    ngx_http_agents_turn_post(base->tasks->turn, &base->event);
}


void
ngx_http_agents_db_nginx_refuse(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_db_batch_t *batch, const char *why)
{
    ngx_http_agents_db_batch_rewind(batch);

    batch->status = NGX_HTTP_AGENTS_DB_UNAVAILABLE;

    (void) ngx_cpystrn((u_char *) batch->error, (u_char *) why,
                       sizeof(batch->error));

    ngx_http_agents_db_nginx_finish(base, batch);
}


static void
ngx_http_agents_db_nginx_event_handler(ngx_event_t *ev)
{
    ngx_http_agents_db_nginx_t  *base = ev->data;

    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_nginx_line_pop(&base->finished);

    if (base->finished.n) {
        ngx_http_agents_turn_post(base->tasks->turn, ev);
    }

    if (batch->status == NGX_HTTP_AGENTS_DB_ERROR) {
        ngx_log_error(NGX_LOG_ERR, base->log, 0, "agents store: %s",
                      batch->error);
    }

    base->pending--;

    ngx_http_agents_db_nginx_count(base, batch);

    batch->done(batch, batch->data);

    /* nginx looks at this when it would leave; the timer itself may stay */

    base->guard.cancelable = (base->pending == 0);
}


static void
ngx_http_agents_db_nginx_count(ngx_http_agents_db_nginx_t *base,
    const ngx_http_agents_db_batch_t *batch)
{
    const char  *kind, *status;

    kind = (batch->kind == NGX_HTTP_AGENTS_DB_WRITE) ? "write" : "read";

    switch (batch->status) {

    case NGX_HTTP_AGENTS_DB_OK:
        status = "ok";
        break;

    case NGX_HTTP_AGENTS_DB_UNAVAILABLE:
        status = "unavailable";
        break;

    case NGX_HTTP_AGENTS_DB_UNKNOWN:
        status = "unknown";
        break;

    case NGX_HTTP_AGENTS_DB_CONSTRAINT:
        status = "constraint";
        break;

    default: /* NGX_HTTP_AGENTS_DB_ERROR */
        status = "error";
        break;
    }

    ngx_http_agents_metrics_add(base->metrics, NGX_HTTP_AGENTS_METRIC_BATCHES,
                                1, kind, status, NULL);
    ngx_http_agents_metrics_observe(base->metrics,
                                    NGX_HTTP_AGENTS_METRIC_BATCH_TIME,
                                    ngx_http_agents_metrics_now()
                                    - batch->submitted,
                                    kind, NULL);
}


static void
ngx_http_agents_db_nginx_guard_handler(ngx_event_t *ev)
{
    ngx_http_agents_db_nginx_t  *base = ev->data;

    if (base->pending) {
        ngx_add_timer(ev, NGX_HTTP_AGENTS_DB_NGINX_GUARD);
    }
}


void
ngx_http_agents_db_nginx_done(ngx_http_agents_db_nginx_t *base)
{
    if (base->event.posted) {
        ngx_delete_posted_event(&base->event);
    }

    if (base->guard.timer_set) {
        ngx_del_timer(&base->guard);
    }

    ngx_http_agents_db_nginx_line_free(&base->finished);
}


ngx_msec_t
ngx_http_agents_db_nginx_backoff(ngx_msec_t backoff)
{
    if (backoff == 0) {
        return NGX_HTTP_AGENTS_DB_NGINX_BACKOFF;
    }

    return ngx_min(2 * backoff, NGX_HTTP_AGENTS_DB_NGINX_BACKOFF_MAX);
}


void
ngx_http_agents_db_nginx_line_push(ngx_http_agents_db_nginx_line_t *line,
    ngx_http_agents_db_batch_t *batch)
{
    batch->next = NULL;

    if (line->first != NULL) {
        line->last->next = batch;

    } else {
        line->first = batch;
    }

    line->last = batch;
    line->n++;
}


ngx_http_agents_db_batch_t *
ngx_http_agents_db_nginx_line_pop(ngx_http_agents_db_nginx_line_t *line)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = line->first;

    if (batch != NULL) {
        line->first = batch->next;
        line->n--;
        batch->next = NULL;
    }

    return batch;
}


void
ngx_http_agents_db_nginx_line_free(ngx_http_agents_db_nginx_line_t *line)
{
    ngx_http_agents_db_batch_t  *batch;

    for ( ;; ) {
        batch = ngx_http_agents_db_nginx_line_pop(line);
        if (batch == NULL) {
            return;
        }

        ngx_http_agents_db_batch_free(batch);
    }
}
