
/*
 * PostgreSQL inside nginx: a few connections of db_pg.  Reads and writes have
 * connections of their own, so that a row lock never stalls a poll.  What is
 * submitted in one turn of the event loop is sent at its end, so that its
 * reads share a Sync, and a statement.  One more connection listens for what
 * NOTIFY says.
 */


#include "ngx_http_agents_db_nginx_pg_core.h"
#include <poll.h>
#include "ngx_http_agents_migrations.h"


static ngx_int_t ngx_http_agents_db_nginx_pg_init(
    ngx_http_agents_db_nginx_pg_t *store,
    const ngx_http_agents_db_spec_t *spec);
static ngx_int_t ngx_http_agents_db_nginx_pg_init_listener(
    ngx_http_agents_db_nginx_pg_t *store,
    const ngx_http_agents_db_spec_t *spec,
    ngx_http_agents_db_pg_conf_t *conf);
static void ngx_http_agents_db_nginx_pg_submit(
    ngx_http_agents_db_nginx_t *base, ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_nginx_pg_flush_handler(ngx_event_t *ev);
static void ngx_http_agents_db_nginx_pg_say_heard(
    ngx_http_agents_db_nginx_pg_t *store,
    ngx_http_agents_db_nginx_pg_report_e report, const char *why);
static void ngx_http_agents_db_nginx_pg_notified_handler(
    void *data, const char *worker);
static void ngx_http_agents_db_nginx_pg_notice_handler(
    void *data, const char *text);
static ngx_uint_t ngx_http_agents_db_nginx_pg_ready(
    ngx_http_agents_db_nginx_t *base);
static void ngx_http_agents_db_nginx_pg_close(
    ngx_http_agents_db_nginx_t *base);
static ngx_http_agents_db_status_e ngx_http_agents_db_nginx_pg_last(
    ngx_http_agents_db_nginx_t *base, ngx_http_agents_db_batch_t *batch,
    ngx_msec_t msec);
static ngx_int_t ngx_http_agents_db_nginx_pg_wait(ngx_http_agents_db_pg_t *pg,
    ngx_msec_t until);


ngx_http_agents_db_nginx_t *
ngx_http_agents_db_nginx_pg_open(const ngx_http_agents_db_spec_t *spec,
    ngx_http_agents_tasks_t *tasks, ngx_log_t *log)
{
    ngx_uint_t                      i;
    ngx_http_agents_db_nginx_pg_t  *store;

    store = ngx_calloc(sizeof(ngx_http_agents_db_nginx_pg_t), log);
    if (store == NULL) {
        return NULL;
    }

    ngx_http_agents_db_nginx_init(&store->base, tasks, log);

    store->base.submit = ngx_http_agents_db_nginx_pg_submit;
    store->base.ready = ngx_http_agents_db_nginx_pg_ready;
    store->base.close = ngx_http_agents_db_nginx_pg_close;
    store->base.last = ngx_http_agents_db_nginx_pg_last;

    store->flush.handler = ngx_http_agents_db_nginx_pg_flush_handler;
    store->flush.data = store;
    store->flush.log = log;

    if (ngx_http_agents_db_nginx_pg_init(store, spec) != NGX_OK) {
        ngx_http_agents_db_nginx_pg_close(&store->base);
        return NULL;
    }

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS; i++) {
        ngx_http_agents_db_nginx_pg_conn_open(&store->conns[i]);
    }

    if (store->listen != NULL) {
        ngx_http_agents_db_nginx_pg_conn_open(&store->listener);
    }

    return &store->base;
}


static ngx_int_t
ngx_http_agents_db_nginx_pg_init(ngx_http_agents_db_nginx_pg_t *store,
    const ngx_http_agents_db_spec_t *spec)
{
    ngx_uint_t                    i;
    ngx_http_agents_db_pg_conf_t  conf;

    ngx_memzero(&conf, sizeof(ngx_http_agents_db_pg_conf_t));

    conf.schema = NGX_HTTP_AGENTS_MIGRATIONS_N;
    conf.no_prepare = spec->no_prepare;
    conf.notice = ngx_http_agents_db_nginx_pg_notice_handler;
    conf.data = store;

    store->conninfo = strdup((char *) spec->target.data);
    if (store->conninfo == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS; i++) {
        conf.writes = (i >= NGX_HTTP_AGENTS_DB_NGINX_PG_READERS);

        if (ngx_http_agents_db_nginx_pg_conn_init(&store->conns[i], store,
                                                  store->conninfo, &conf)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_agents_db_nginx_pg_init_listener(store, spec, &conf);
}


/*
 * Behind a PgBouncer in transaction mode a session is nobody's for long: LISTEN
 * needs a way of its own.
 */

static ngx_int_t
ngx_http_agents_db_nginx_pg_init_listener(ngx_http_agents_db_nginx_pg_t *store,
    const ngx_http_agents_db_spec_t *spec, ngx_http_agents_db_pg_conf_t *conf)
{
    const ngx_str_t  *conninfo;

    conninfo = spec->listen.len != 0 ? &spec->listen : &spec->target;

    if (conninfo == &spec->target && spec->no_prepare) {
        return NGX_OK;
    }

    store->listen = strdup((char *) conninfo->data);
    if (store->listen == NULL) {
        return NGX_ERROR;
    }

    conf->no_prepare = 1;
    conf->writes = 0;
    conf->notified = ngx_http_agents_db_nginx_pg_notified_handler;

    return ngx_http_agents_db_nginx_pg_conn_init(&store->listener, store,
                                                 store->listen, conf);
}


static void
ngx_http_agents_db_nginx_pg_submit(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_uint_t                        i, end, fresh;
    ngx_http_agents_db_nginx_pg_t    *store;
    ngx_http_agents_db_nginx_conn_t  *conn, *best;

    store = (ngx_http_agents_db_nginx_pg_t *) base;

    if (batch->kind == NGX_HTTP_AGENTS_DB_WRITE) {
        i = NGX_HTTP_AGENTS_DB_NGINX_PG_READERS;
        end = NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS;

    } else {
        i = 0;
        end = NGX_HTTP_AGENTS_DB_NGINX_PG_READERS;
    }

    /*
     * the one with the least to do; but point reads of one turn go together,
     * since those of one query become one statement
     */

    best = NULL;
    fresh = 0;

    for (conn = &store->conns[i]; i < end; i++, conn++) {

        if (ngx_http_agents_db_pg_state(conn->pg)
            != NGX_HTTP_AGENTS_DB_PG_READY)
        {
            fresh += conn->fresh;
            continue;
        }

        if (batch->kind == NGX_HTTP_AGENTS_DB_POINT && conn->points) {
            best = conn;
            break;
        }

        if (best == NULL
            || ngx_http_agents_db_pg_load(conn->pg)
               < ngx_http_agents_db_pg_load(best->pg))
        {
            best = conn;
        }
    }

    if (best == NULL) {

        if (fresh) {
            ngx_http_agents_db_nginx_line_push(&store->early, batch);
            return;
        }

        /* any one of them refuses, and says why */

        best = &store->conns[end - 1];
    }

    ngx_http_agents_db_pg_submit(best->pg, batch, ngx_current_msec);

    best->dirty = 1;
    best->points |= (batch->kind == NGX_HTTP_AGENTS_DB_POINT);

    if (!store->flush.posted) {
        ngx_post_event(&store->flush, &ngx_posted_events);
    }
}


/* It is known how a first attempt ended: those who waited for that go on. */

void
ngx_http_agents_db_nginx_pg_settled(ngx_http_agents_db_nginx_conn_t *conn)
{
    ngx_http_agents_db_nginx_pg_t    *store;
    ngx_http_agents_db_nginx_line_t   early;

    if (!conn->fresh) {
        return;
    }

    conn->fresh = 0;

    /* some of them may have to wait for another connection */

    store = conn->store;
    early = store->early;

    ngx_memzero(&store->early, sizeof(ngx_http_agents_db_nginx_line_t));

    while (early.n) {
        ngx_http_agents_db_nginx_pg_submit(&store->base,
                                  ngx_http_agents_db_nginx_line_pop(&early));
    }
}


static void
ngx_http_agents_db_nginx_pg_flush_handler(ngx_event_t *ev)
{
    ngx_http_agents_db_nginx_pg_t  *store = ev->data;

    ngx_uint_t                        i;
    ngx_http_agents_db_nginx_conn_t  *conn;

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS; i++) {
        conn = &store->conns[i];

        if (conn->dirty) {
            conn->dirty = 0;
            conn->points = 0;
            ngx_http_agents_db_nginx_pg_conn_flush(conn);
        }
    }
}


void
ngx_http_agents_db_nginx_pg_say(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_http_agents_db_nginx_pg_report_e report, const char *why)
{
    ngx_uint_t                            level;
    ngx_http_agents_db_nginx_pg_t        *store;
    ngx_http_agents_db_nginx_pg_report_e  before;

    store = conn->store;

    if (conn == &store->listener) {
        ngx_http_agents_db_nginx_pg_say_heard(store, report, why);
        return;
    }

    before = store->report;
    level = (report == before) ? NGX_LOG_INFO : NGX_LOG_ERR;

    store->report = report;

    switch (report) {

    case NGX_HTTP_AGENTS_DB_NGINX_PG_UP:

        if (before == NGX_HTTP_AGENTS_DB_NGINX_PG_DOWN
            || before == NGX_HTTP_AGENTS_DB_NGINX_PG_NOT_MIGRATED)
        {
            ngx_log_error(NGX_LOG_NOTICE, store->base.log, 0,
                          "agents store: PostgreSQL is there");
        }

        break;

    case NGX_HTTP_AGENTS_DB_NGINX_PG_NOT_MIGRATED:
        ngx_log_error(level, store->base.log, 0,
                      "agents store: PostgreSQL is not migrated, run "
                      "\"agentsctl migrate\": %s", why);
        break;

    default: /* NGX_HTTP_AGENTS_DB_NGINX_PG_DOWN */
        ngx_log_error(level, store->base.log, 0,
                      "agents store: PostgreSQL: %s", why);
        break;
    }
}


/* Nothing depends on it, so it is no error. */

static void
ngx_http_agents_db_nginx_pg_say_heard(ngx_http_agents_db_nginx_pg_t *store,
    ngx_http_agents_db_nginx_pg_report_e report, const char *why)
{
    ngx_uint_t                            level;
    ngx_http_agents_db_nginx_pg_report_e  before;

    before = store->heard;
    level = (report == before) ? NGX_LOG_INFO : NGX_LOG_WARN;

    store->heard = report;

    if (report != NGX_HTTP_AGENTS_DB_NGINX_PG_UP) {
        ngx_log_error(level, store->base.log, 0,
                      "agents store: PostgreSQL, LISTEN: %s; it is asked "
                      "twice a second what is cancelled", why);

    } else if (before != NGX_HTTP_AGENTS_DB_NGINX_PG_SILENT) {
        ngx_log_error(NGX_LOG_NOTICE, store->base.log, 0,
                      "agents store: PostgreSQL, LISTEN: it is there");
    }
}


/* A worker has rows in agents_stops. */

static void
ngx_http_agents_db_nginx_pg_notified_handler(void *data, const char *worker)
{
    ngx_http_agents_db_nginx_pg_t  *store = data;

    if (store->base.notified != NULL) {
        store->base.notified(store->base.notified_data, worker);
    }
}


static void
ngx_http_agents_db_nginx_pg_notice_handler(void *data, const char *text)
{
    ngx_http_agents_db_nginx_pg_t  *store = data;

    ngx_log_error(NGX_LOG_INFO, store->base.log, 0,
                  "agents store: PostgreSQL says: %s", text);
}


static ngx_uint_t
ngx_http_agents_db_nginx_pg_ready(ngx_http_agents_db_nginx_t *base)
{
    ngx_uint_t                      i, reads, writes;
    ngx_http_agents_db_nginx_pg_t  *store;

    store = (ngx_http_agents_db_nginx_pg_t *) base;

    reads = 0;
    writes = 0;

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS; i++) {

        if (ngx_http_agents_db_pg_state(store->conns[i].pg)
            != NGX_HTTP_AGENTS_DB_PG_READY)
        {
            continue;
        }

        if (i < NGX_HTTP_AGENTS_DB_NGINX_PG_READERS) {
            reads++;

        } else {
            writes++;
        }
    }

    return reads && writes;
}


/* In process exit: nginx has ended the pool's threads by then. */

static void
ngx_http_agents_db_nginx_pg_close(ngx_http_agents_db_nginx_t *base)
{
    ngx_uint_t                      i;
    ngx_http_agents_db_nginx_pg_t  *store;

    store = (ngx_http_agents_db_nginx_pg_t *) base;

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS; i++) {
        ngx_http_agents_db_nginx_pg_conn_close(&store->conns[i]);
    }

    ngx_http_agents_db_nginx_pg_conn_close(&store->listener);

    if (store->flush.posted) {
        ngx_delete_posted_event(&store->flush);
    }

    ngx_http_agents_db_nginx_line_free(&store->early);
    ngx_http_agents_db_nginx_done(base);

    free(store->conninfo);
    free(store->listen);
    ngx_free(store);
}


static ngx_http_agents_db_status_e
ngx_http_agents_db_nginx_pg_last(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_db_batch_t *batch, ngx_msec_t msec)
{
    ngx_uint_t                       i;
    ngx_msec_t                       until;
    ngx_http_agents_db_pg_t         *pg;
    ngx_http_agents_db_batch_t      *done;
    ngx_http_agents_db_status_e      status;
    ngx_http_agents_db_nginx_pg_t   *store;

    store = (ngx_http_agents_db_nginx_pg_t *) base;
    pg = store->conns[NGX_HTTP_AGENTS_DB_NGINX_PG_READERS].pg;

    for (i = NGX_HTTP_AGENTS_DB_NGINX_PG_READERS;
         i < NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS;
         i++)
    {
        if (ngx_http_agents_db_pg_state(store->conns[i].pg)
            == NGX_HTTP_AGENTS_DB_PG_READY
            && (ngx_http_agents_db_pg_state(pg) != NGX_HTTP_AGENTS_DB_PG_READY
                || ngx_http_agents_db_pg_load(store->conns[i].pg)
                   < ngx_http_agents_db_pg_load(pg)))
        {
            pg = store->conns[i].pg;
        }
    }

    ngx_time_update();
    until = ngx_current_msec + msec;

    ngx_http_agents_db_pg_submit(pg, batch, ngx_current_msec);
    ngx_http_agents_db_pg_flush(pg, ngx_current_msec);

    do {
        while ((done = ngx_http_agents_db_pg_next(pg)) != NULL) {
            status = ngx_http_agents_db_status(done);
            ngx_http_agents_db_batch_free(done);

            if (done == batch) {
                return status;
            }
        }

    } while (ngx_http_agents_db_nginx_pg_wait(pg, until) == NGX_OK);

    /* it goes with the connection */

    return NGX_HTTP_AGENTS_DB_UNKNOWN;
}


static ngx_int_t
ngx_http_agents_db_nginx_pg_wait(ngx_http_agents_db_pg_t *pg, ngx_msec_t until)
{
    int             n;
    unsigned        events;
    struct pollfd   pfd;
    ngx_msec_int_t  left;

    ngx_time_update();

    left = (ngx_msec_int_t) (until - ngx_current_msec);
    events = ngx_http_agents_db_pg_events(pg);

    pfd.fd = ngx_http_agents_db_pg_fd(pg);
    pfd.events = ((events & NGX_HTTP_AGENTS_DB_PG_READ) ? POLLIN : 0)
                 | ((events & NGX_HTTP_AGENTS_DB_PG_WRITE) ? POLLOUT : 0);

    if (left <= 0 || pfd.fd == -1) {
        return NGX_DECLINED;
    }

    n = poll(&pfd, 1, (int) left);

    if (n == -1 && ngx_errno == NGX_EINTR) {
        return NGX_OK;
    }

    if (n <= 0) {
        return NGX_DECLINED;
    }

    ngx_time_update();

    events = ((pfd.revents & POLLOUT) ? NGX_HTTP_AGENTS_DB_PG_WRITE : 0)
             | ((pfd.revents & ~POLLOUT) ? NGX_HTTP_AGENTS_DB_PG_READ : 0);

    ngx_http_agents_db_pg_io(pg, events, ngx_current_msec);

    return NGX_OK;
}
