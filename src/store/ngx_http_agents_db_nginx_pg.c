
/*
 * PostgreSQL inside nginx: a few connections of db_pg on nginx's events and
 * timers.  Reads and writes have connections of their own, so that a row lock
 * never stalls a poll.  What is submitted in one turn of the event loop is
 * sent at its end, so that its reads share a Sync.
 *
 * Timers are cancelable and connections are not "idle": neither keeps an
 * exiting worker, nor are they closed under those who still need them.
 */


#include "ngx_http_agents_db_nginx_core.h"
#include "ngx_http_agents_db_pg.h"
#include "ngx_http_agents_migrations.h"


/* The first READERS connections are for reads, the others for writes. */
#define NGX_HTTP_AGENTS_DB_NGINX_PG_READERS  2
#define NGX_HTTP_AGENTS_DB_NGINX_PG_WRITERS  2

#define NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS                                     \
    (NGX_HTTP_AGENTS_DB_NGINX_PG_READERS + NGX_HTTP_AGENTS_DB_NGINX_PG_WRITERS)

/* Milliseconds: to connect and learn the version; between two looks at it. */
#define NGX_HTTP_AGENTS_DB_NGINX_PG_CONNECT  10000
#define NGX_HTTP_AGENTS_DB_NGINX_PG_CHECK    5000


typedef struct ngx_http_agents_db_nginx_pg_s  ngx_http_agents_db_nginx_pg_t;


typedef struct {
    ngx_http_agents_db_pg_t          *pg;
    ngx_http_agents_db_pg_state_e     seen;     /* its state, the last time */
    ngx_connection_t                 *c;        /* NULL: not watched */
    ngx_event_t                       timer;
    ngx_msec_t                        backoff;
    ngx_uint_t                        dirty;    /* flush is due */

    ngx_http_agents_task_t            resolver;
    ngx_http_agents_db_pg_params_t    params;
    ngx_int_t                         resolved;
    char                              error[256];

    ngx_http_agents_db_nginx_pg_t    *store;
} ngx_http_agents_db_nginx_conn_t;


/* What was last said in the log, for all connections together. */
typedef enum {
    NGX_HTTP_AGENTS_DB_NGINX_PG_SILENT = 0,
    NGX_HTTP_AGENTS_DB_NGINX_PG_UP,
    NGX_HTTP_AGENTS_DB_NGINX_PG_DOWN,
    NGX_HTTP_AGENTS_DB_NGINX_PG_NOT_MIGRATED
} ngx_http_agents_db_nginx_pg_report_e;


struct ngx_http_agents_db_nginx_pg_s {
    ngx_http_agents_db_nginx_t              base;       /* first */
    ngx_http_agents_db_nginx_pg_report_e    report;
    char                                   *conninfo;
    ngx_event_t                             flush;
    ngx_http_agents_db_nginx_conn_t
                              conns[NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS];
};


static ngx_int_t ngx_http_agents_db_nginx_pg_init(
    ngx_http_agents_db_nginx_pg_t *store,
    const ngx_http_agents_db_spec_t *spec);
static void ngx_http_agents_db_nginx_pg_submit(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_nginx_pg_flush_handler(ngx_event_t *ev);
static void ngx_http_agents_db_nginx_pg_io_handler(ngx_event_t *ev);
static void ngx_http_agents_db_nginx_pg_timer_handler(ngx_event_t *ev);
static void ngx_http_agents_db_nginx_pg_resolve(
    ngx_http_agents_db_nginx_conn_t *conn);
static void ngx_http_agents_db_nginx_pg_resolver_work(void *data,
    ngx_log_t *log);
static void ngx_http_agents_db_nginx_pg_resolver_done(void *data);
static void ngx_http_agents_db_nginx_pg_update(
    ngx_http_agents_db_nginx_conn_t *conn);
static void ngx_http_agents_db_nginx_pg_drain(
    ngx_http_agents_db_nginx_conn_t *conn);
static void ngx_http_agents_db_nginx_pg_lost(
    ngx_http_agents_db_nginx_conn_t *conn, const char *why);
static void ngx_http_agents_db_nginx_pg_changed(
    ngx_http_agents_db_nginx_conn_t *conn,
    ngx_http_agents_db_pg_state_e state);
static void ngx_http_agents_db_nginx_pg_say(
    ngx_http_agents_db_nginx_pg_t *store,
    ngx_http_agents_db_nginx_pg_report_e report, const char *why);
static ngx_int_t ngx_http_agents_db_nginx_pg_watch(
    ngx_http_agents_db_nginx_conn_t *conn);
static ngx_int_t ngx_http_agents_db_nginx_pg_want(ngx_event_t *ev,
    ngx_int_t event, ngx_uint_t wanted);
static void ngx_http_agents_db_nginx_pg_unwatch(
    ngx_http_agents_db_nginx_conn_t *conn, ngx_uint_t flags);
static void ngx_http_agents_db_nginx_pg_arm(
    ngx_http_agents_db_nginx_conn_t *conn);
static void ngx_http_agents_db_nginx_pg_timer(
    ngx_http_agents_db_nginx_conn_t *conn, ngx_msec_t msec);
static void ngx_http_agents_db_nginx_pg_notice_handler(void *data,
    const char *text);
static ngx_uint_t ngx_http_agents_db_nginx_pg_ready(
    ngx_http_agents_db_nginx_t *base);
static void ngx_http_agents_db_nginx_pg_close(
    ngx_http_agents_db_nginx_t *base);


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

    store->base.db.submit = ngx_http_agents_db_nginx_pg_submit;
    store->base.ready = ngx_http_agents_db_nginx_pg_ready;
    store->base.close = ngx_http_agents_db_nginx_pg_close;

    store->flush.handler = ngx_http_agents_db_nginx_pg_flush_handler;
    store->flush.data = store;
    store->flush.log = log;

    if (ngx_http_agents_db_nginx_pg_init(store, spec) != NGX_OK) {
        ngx_http_agents_db_nginx_pg_close(&store->base);
        return NULL;
    }

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS; i++) {
        ngx_http_agents_db_nginx_pg_resolve(&store->conns[i]);
    }

    return &store->base;
}


static ngx_int_t
ngx_http_agents_db_nginx_pg_init(ngx_http_agents_db_nginx_pg_t *store,
    const ngx_http_agents_db_spec_t *spec)
{
    ngx_uint_t                        i;
    ngx_http_agents_db_pg_conf_t      conf;
    ngx_http_agents_db_nginx_conn_t  *conn;

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
        conn = &store->conns[i];

        conn->store = store;

        conn->pg = ngx_http_agents_db_pg_create(&conf);
        if (conn->pg == NULL) {
            return NGX_ERROR;
        }

        conn->timer.handler = ngx_http_agents_db_nginx_pg_timer_handler;
        conn->timer.data = conn;
        conn->timer.log = store->base.log;
        conn->timer.cancelable = 1;

        conn->resolver.work = ngx_http_agents_db_nginx_pg_resolver_work;
        conn->resolver.done = ngx_http_agents_db_nginx_pg_resolver_done;
        conn->resolver.data = conn;
    }

    return NGX_OK;
}


static void
ngx_http_agents_db_nginx_pg_submit(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_uint_t                        i, end;
    ngx_http_agents_db_nginx_pg_t    *store;
    ngx_http_agents_db_nginx_conn_t  *conn, *best;

    store = (ngx_http_agents_db_nginx_pg_t *) db;

    if (batch->kind == NGX_HTTP_AGENTS_DB_WRITE) {
        i = NGX_HTTP_AGENTS_DB_NGINX_PG_READERS;
        end = NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS;

    } else {
        i = 0;
        end = NGX_HTTP_AGENTS_DB_NGINX_PG_READERS;
    }

    /* the one with the least to do; where none is ready, any one refuses */

    best = &store->conns[i];

    for (i++; i < end; i++) {
        conn = &store->conns[i];

        if (ngx_http_agents_db_pg_state(conn->pg)
            != NGX_HTTP_AGENTS_DB_PG_READY)
        {
            continue;
        }

        if (ngx_http_agents_db_pg_state(best->pg)
            != NGX_HTTP_AGENTS_DB_PG_READY
            || ngx_http_agents_db_pg_load(conn->pg)
               < ngx_http_agents_db_pg_load(best->pg))
        {
            best = conn;
        }
    }

    ngx_http_agents_db_pg_submit(best->pg, batch, ngx_current_msec);

    best->dirty = 1;

    if (!store->flush.posted) {
        ngx_post_event(&store->flush, &ngx_posted_events);
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
            ngx_http_agents_db_pg_flush(conn->pg, ngx_current_msec);
            ngx_http_agents_db_nginx_pg_update(conn);
        }
    }
}


static void
ngx_http_agents_db_nginx_pg_io_handler(ngx_event_t *ev)
{
    ngx_connection_t                 *c;
    ngx_http_agents_db_nginx_conn_t  *conn;

    c = ev->data;
    conn = c->data;

    /*
     * c->close, at worker_shutdown_timeout, is none of our business: runs
     * that still go on need the store
     */

    if (conn->seen == NGX_HTTP_AGENTS_DB_PG_CONNECTING) {

        /* libpq may go on with another socket, even of the same number */

        ngx_http_agents_db_nginx_pg_unwatch(conn, 0);
    }

    ngx_http_agents_db_pg_io(conn->pg,
                             ev->write ? NGX_HTTP_AGENTS_DB_PG_WRITE
                                       : NGX_HTTP_AGENTS_DB_PG_READ,
                             ngx_current_msec);

    ngx_http_agents_db_nginx_pg_update(conn);
}


static void
ngx_http_agents_db_nginx_pg_timer_handler(ngx_event_t *ev)
{
    ngx_http_agents_db_nginx_conn_t  *conn = ev->data;

    switch (conn->seen) {

    case NGX_HTTP_AGENTS_DB_PG_CLOSED:
        ngx_http_agents_db_nginx_pg_resolve(conn);
        return;

    case NGX_HTTP_AGENTS_DB_PG_CONNECTING:
    case NGX_HTTP_AGENTS_DB_PG_CHECKING:
        ngx_http_agents_db_nginx_pg_lost(conn,
                                         "no answer from the server in time");
        return;

    case NGX_HTTP_AGENTS_DB_PG_UNMIGRATED:
        ngx_http_agents_db_pg_check(conn->pg);
        break;

    default:
        break;
    }

    ngx_http_agents_db_pg_tick(conn->pg, ngx_current_msec);
    ngx_http_agents_db_nginx_pg_update(conn);
}


static void
ngx_http_agents_db_nginx_pg_resolve(ngx_http_agents_db_nginx_conn_t *conn)
{
    ngx_http_agents_task_post(conn->store->base.tasks, &conn->resolver);
}


/* In a thread. */

static void
ngx_http_agents_db_nginx_pg_resolver_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_db_nginx_conn_t  *conn = data;

    if (ngx_http_agents_db_pg_params(&conn->params, conn->store->conninfo,
                                     conn->error, sizeof(conn->error))
        == 0)
    {
        conn->resolved = NGX_OK;

    } else {
        conn->resolved = NGX_ERROR;
    }
}


static void
ngx_http_agents_db_nginx_pg_resolver_done(void *data)
{
    ngx_http_agents_db_nginx_conn_t  *conn = data;

    if (conn->resolved != NGX_OK) {
        ngx_http_agents_db_nginx_pg_lost(conn, conn->error);
        return;
    }

    ngx_http_agents_db_pg_connect(conn->pg, &conn->params);
    ngx_http_agents_db_pg_params_free(&conn->params);

    ngx_http_agents_db_nginx_pg_update(conn);
}


/* Called after whatever may have changed the state of the driver. */

static void
ngx_http_agents_db_nginx_pg_update(ngx_http_agents_db_nginx_conn_t *conn)
{
    ngx_http_agents_db_pg_state_e  state;

    ngx_http_agents_db_nginx_pg_drain(conn);

    state = ngx_http_agents_db_pg_state(conn->pg);

    if (state == NGX_HTTP_AGENTS_DB_PG_LOST) {
        ngx_http_agents_db_nginx_pg_lost(conn,
                                    ngx_http_agents_db_pg_error(conn->pg));
        return;
    }

    if (state != conn->seen) {
        ngx_http_agents_db_nginx_pg_changed(conn, state);
    }

    if (ngx_http_agents_db_nginx_pg_watch(conn) != NGX_OK) {
        ngx_http_agents_db_nginx_pg_lost(conn, "its socket is not watched");
        return;
    }

    ngx_http_agents_db_nginx_pg_arm(conn);
}


static void
ngx_http_agents_db_nginx_pg_drain(ngx_http_agents_db_nginx_conn_t *conn)
{
    ngx_http_agents_db_batch_t  *batch;

    for ( ;; ) {
        batch = ngx_http_agents_db_pg_next(conn->pg);
        if (batch == NULL) {
            return;
        }

        ngx_http_agents_db_nginx_finish(&conn->store->base, batch);
    }
}


static void
ngx_http_agents_db_nginx_pg_lost(ngx_http_agents_db_nginx_conn_t *conn,
    const char *why)
{
    ngx_http_agents_db_nginx_pg_say(conn->store,
                                    NGX_HTTP_AGENTS_DB_NGINX_PG_DOWN, why);

    /* the socket is closed, by libpq already or by what comes next */

    ngx_http_agents_db_nginx_pg_unwatch(conn, NGX_CLOSE_EVENT);
    ngx_http_agents_db_pg_close(conn->pg);
    ngx_http_agents_db_nginx_pg_drain(conn);

    conn->seen = NGX_HTTP_AGENTS_DB_PG_CLOSED;
    conn->backoff = ngx_http_agents_db_nginx_backoff(conn->backoff);

    ngx_http_agents_db_nginx_pg_timer(conn, conn->backoff);
}


static void
ngx_http_agents_db_nginx_pg_changed(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_http_agents_db_pg_state_e state)
{
    switch (state) {

    case NGX_HTTP_AGENTS_DB_PG_READY:
        conn->backoff = 0;
        ngx_http_agents_db_nginx_pg_say(conn->store,
                                       NGX_HTTP_AGENTS_DB_NGINX_PG_UP, "");

        if (conn->timer.timer_set) {
            ngx_del_timer(&conn->timer);
        }

        break;

    case NGX_HTTP_AGENTS_DB_PG_UNMIGRATED:
        ngx_http_agents_db_nginx_pg_say(conn->store,
                                    NGX_HTTP_AGENTS_DB_NGINX_PG_NOT_MIGRATED,
                                    ngx_http_agents_db_pg_error(conn->pg));
        ngx_http_agents_db_nginx_pg_timer(conn,
                                          NGX_HTTP_AGENTS_DB_NGINX_PG_CHECK);
        break;

    case NGX_HTTP_AGENTS_DB_PG_CONNECTING:
    case NGX_HTTP_AGENTS_DB_PG_CHECKING:

        /* one timer for both, unless it comes from UNMIGRATED */

        if (conn->seen != NGX_HTTP_AGENTS_DB_PG_CONNECTING) {
            ngx_http_agents_db_nginx_pg_timer(conn,
                                        NGX_HTTP_AGENTS_DB_NGINX_PG_CONNECT);
        }

        break;

    default:
        break;
    }

    conn->seen = state;
}


/* Loud when it is news for the store as a whole, else for those who debug. */

static void
ngx_http_agents_db_nginx_pg_say(ngx_http_agents_db_nginx_pg_t *store,
    ngx_http_agents_db_nginx_pg_report_e report, const char *why)
{
    ngx_uint_t                            level;
    ngx_http_agents_db_nginx_pg_report_e  before;

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


/* Makes nginx wait for what the driver waits for. */

static ngx_int_t
ngx_http_agents_db_nginx_pg_watch(ngx_http_agents_db_nginx_conn_t *conn)
{
    int                fd;
    unsigned           events;
    ngx_connection_t  *c;

    fd = ngx_http_agents_db_pg_fd(conn->pg);
    events = ngx_http_agents_db_pg_events(conn->pg);

    if (fd == -1 || events == 0) {
        return NGX_OK;
    }

    if (conn->c == NULL) {

        c = ngx_get_connection(fd, conn->store->base.log);
        if (c == NULL) {
            return NGX_ERROR;
        }

        c->data = conn;
        c->log_error = NGX_ERROR_ERR;

        c->read->handler = ngx_http_agents_db_nginx_pg_io_handler;
        c->read->log = c->log;
        c->write->handler = ngx_http_agents_db_nginx_pg_io_handler;
        c->write->log = c->log;

        conn->c = c;
    }

    if (ngx_http_agents_db_nginx_pg_want(conn->c->read, NGX_READ_EVENT,
                                         events & NGX_HTTP_AGENTS_DB_PG_READ)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_agents_db_nginx_pg_want(conn->c->write, NGX_WRITE_EVENT,
                                        events & NGX_HTTP_AGENTS_DB_PG_WRITE);
}


static ngx_int_t
ngx_http_agents_db_nginx_pg_want(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t wanted)
{
    /* level events: libpq does not always read to the end */

    if (wanted && !ev->active) {
        return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
    }

    if (!wanted && ev->active) {
        return ngx_del_event(ev, event, 0);
    }

    return NGX_OK;
}


/* NGX_CLOSE_EVENT: the socket is closed, or about to be. */

static void
ngx_http_agents_db_nginx_pg_unwatch(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_uint_t flags)
{
    ngx_connection_t  *c;

    c = conn->c;

    if (c == NULL) {
        return;
    }

    conn->c = NULL;

    /* a failure is logged by nginx; there is no more that could be done */

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, flags);
    }

    if (c->write->active) {
        (void) ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    c->read->closed = 1;
    c->write->closed = 1;

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


/* The timer of a connection in use; one that fires too early does no harm. */

static void
ngx_http_agents_db_nginx_pg_arm(ngx_http_agents_db_nginx_conn_t *conn)
{
    int64_t  due;

    if (conn->seen != NGX_HTTP_AGENTS_DB_PG_READY) {
        return;
    }

    due = ngx_http_agents_db_pg_timeout(conn->pg, ngx_current_msec);

    if (due < 0) {
        return;
    }

    if (conn->timer.timer_set
        && (ngx_msec_int_t) (conn->timer.timer.key - ngx_current_msec)
           <= (ngx_msec_int_t) due)
    {
        return;
    }

    ngx_http_agents_db_nginx_pg_timer(conn, (ngx_msec_t) due);
}


static void
ngx_http_agents_db_nginx_pg_timer(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_msec_t msec)
{
    /* nginx would leave a timer alone that is moved by less than 300 ms */

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    ngx_add_timer(&conn->timer, msec);
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
    ngx_uint_t                        i;
    ngx_http_agents_db_nginx_pg_t    *store;
    ngx_http_agents_db_nginx_conn_t  *conn;

    store = (ngx_http_agents_db_nginx_pg_t *) base;

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_PG_CONNS; i++) {
        conn = &store->conns[i];

        if (conn->timer.timer_set) {
            ngx_del_timer(&conn->timer);
        }

        ngx_http_agents_db_nginx_pg_unwatch(conn, NGX_CLOSE_EVENT);
        ngx_http_agents_db_pg_params_free(&conn->params);

        if (conn->pg != NULL) {
            ngx_http_agents_db_pg_destroy(conn->pg);
        }
    }

    if (store->flush.posted) {
        ngx_delete_posted_event(&store->flush);
    }

    ngx_http_agents_db_nginx_done(base);

    free(store->conninfo);
    ngx_free(store);
}
