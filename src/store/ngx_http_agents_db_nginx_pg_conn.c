
/*
 * One connection to PostgreSQL on nginx's events and timers: it connects, and
 * connects again, by itself.  Its timer is cancelable and it is not "idle" to
 * nginx: it keeps no exiting worker, nor is it closed under those who still
 * need it.
 */


#include "ngx_http_agents_db_nginx_pg_core.h"
#include "ngx_http_agents_fd.h"


/* Milliseconds: to connect and learn the version; between two looks at it. */
#define NGX_HTTP_AGENTS_DB_NGINX_PG_CONNECT  10000
#define NGX_HTTP_AGENTS_DB_NGINX_PG_CHECK    5000


static void ngx_http_agents_db_nginx_pg_conn_io_handler(ngx_event_t *ev);
static void ngx_http_agents_db_nginx_pg_conn_timer_handler(ngx_event_t *ev);
static void ngx_http_agents_db_nginx_pg_conn_resolver_work(
    void *data, ngx_log_t *log);
static void ngx_http_agents_db_nginx_pg_conn_resolver_done(void *data);
static void ngx_http_agents_db_nginx_pg_conn_update(
    ngx_http_agents_db_nginx_conn_t *conn);
static void ngx_http_agents_db_nginx_pg_conn_drain(
    ngx_http_agents_db_nginx_conn_t *conn);
static void ngx_http_agents_db_nginx_pg_conn_lost(
    ngx_http_agents_db_nginx_conn_t *conn, const char *why);
static void ngx_http_agents_db_nginx_pg_conn_changed(
    ngx_http_agents_db_nginx_conn_t *conn,
    ngx_http_agents_db_pg_state_e state);
static ngx_int_t ngx_http_agents_db_nginx_pg_conn_watch(
    ngx_http_agents_db_nginx_conn_t *conn);
static void ngx_http_agents_db_nginx_pg_conn_unwatch(
    ngx_http_agents_db_nginx_conn_t *conn, ngx_uint_t flags);
static void ngx_http_agents_db_nginx_pg_conn_arm(
    ngx_http_agents_db_nginx_conn_t *conn);
static void ngx_http_agents_db_nginx_pg_conn_timer(
    ngx_http_agents_db_nginx_conn_t *conn, ngx_msec_t msec);


ngx_int_t
ngx_http_agents_db_nginx_pg_conn_init(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_http_agents_db_nginx_pg_t *store, const char *conninfo,
    const ngx_http_agents_db_pg_conf_t *conf)
{
    conn->store = store;
    conn->conninfo = conninfo;
    conn->prepares = !conf->no_prepare;
    conn->fresh = 1;

    conn->pg = ngx_http_agents_db_pg_create(conf);
    if (conn->pg == NULL) {
        return NGX_ERROR;
    }

    conn->timer.handler = ngx_http_agents_db_nginx_pg_conn_timer_handler;
    conn->timer.data = conn;
    conn->timer.log = store->base.log;
    conn->timer.cancelable = 1;

    conn->resolver.work = ngx_http_agents_db_nginx_pg_conn_resolver_work;
    conn->resolver.done = ngx_http_agents_db_nginx_pg_conn_resolver_done;
    conn->resolver.data = conn;

    return NGX_OK;
}


void
ngx_http_agents_db_nginx_pg_conn_open(ngx_http_agents_db_nginx_conn_t *conn)
{
    ngx_http_agents_task_post(conn->store->base.tasks, &conn->resolver);
}


void
ngx_http_agents_db_nginx_pg_conn_flush(ngx_http_agents_db_nginx_conn_t *conn)
{
    ngx_http_agents_db_pg_flush(conn->pg, ngx_current_msec);
    ngx_http_agents_db_nginx_pg_conn_update(conn);
}


void
ngx_http_agents_db_nginx_pg_conn_close(ngx_http_agents_db_nginx_conn_t *conn)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    ngx_http_agents_db_nginx_pg_conn_unwatch(conn, NGX_CLOSE_EVENT);
    ngx_http_agents_db_pg_params_free(&conn->params);

    if (conn->pg != NULL) {
        ngx_http_agents_db_pg_destroy(conn->pg);
    }
}


static void
ngx_http_agents_db_nginx_pg_conn_io_handler(ngx_event_t *ev)
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

        ngx_http_agents_db_nginx_pg_conn_unwatch(conn, 0);
    }

    ngx_http_agents_db_pg_io(conn->pg,
                             ev->write ? NGX_HTTP_AGENTS_DB_PG_WRITE
                                       : NGX_HTTP_AGENTS_DB_PG_READ,
                             ngx_current_msec);

    ngx_http_agents_db_nginx_pg_conn_update(conn);
}


static void
ngx_http_agents_db_nginx_pg_conn_timer_handler(ngx_event_t *ev)
{
    ngx_http_agents_db_nginx_conn_t  *conn = ev->data;

    switch (conn->seen) {

    case NGX_HTTP_AGENTS_DB_PG_CLOSED:
        ngx_http_agents_db_nginx_pg_conn_open(conn);
        return;

    case NGX_HTTP_AGENTS_DB_PG_CONNECTING:
    case NGX_HTTP_AGENTS_DB_PG_CHECKING:

        /* it would keep us from those behind it for ever */

        conn->turn++;
        ngx_http_agents_db_nginx_pg_conn_lost(conn,
                                         "no answer from the server in time");
        return;

    case NGX_HTTP_AGENTS_DB_PG_UNMIGRATED:
        ngx_http_agents_db_pg_check(conn->pg);
        break;

    default:
        break;
    }

    ngx_http_agents_db_pg_tick(conn->pg, ngx_current_msec);
    ngx_http_agents_db_nginx_pg_conn_update(conn);
}


/* In a thread. */

static void
ngx_http_agents_db_nginx_pg_conn_resolver_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_db_nginx_conn_t  *conn = data;

    if (ngx_http_agents_db_pg_params(&conn->params, conn->conninfo,
                                     (int) conn->prepares, conn->turn,
                                     conn->error, sizeof(conn->error))
        == 0)
    {
        conn->resolved = NGX_OK;

    } else {
        conn->resolved = NGX_ERROR;
    }
}


static void
ngx_http_agents_db_nginx_pg_conn_resolver_done(void *data)
{
    ngx_http_agents_db_nginx_conn_t  *conn = data;

    if (conn->resolved != NGX_OK) {
        ngx_http_agents_db_nginx_pg_conn_lost(conn, conn->error);
        return;
    }

    conn->timeout = NGX_HTTP_AGENTS_DB_NGINX_PG_CONNECT;

    if (conn->params.timeout > 0) {
        conn->timeout = (ngx_msec_t) conn->params.timeout * 1000;
    }

    ngx_http_agents_db_pg_connect(conn->pg, &conn->params);
    ngx_http_agents_db_pg_params_free(&conn->params);

    ngx_http_agents_db_nginx_pg_conn_update(conn);
}


/* Called after whatever may have changed the state of the driver. */

static void
ngx_http_agents_db_nginx_pg_conn_update(ngx_http_agents_db_nginx_conn_t *conn)
{
    ngx_http_agents_db_pg_state_e  state;

    ngx_http_agents_db_nginx_pg_conn_drain(conn);

    state = ngx_http_agents_db_pg_state(conn->pg);

    if (state == NGX_HTTP_AGENTS_DB_PG_LOST) {
        ngx_http_agents_db_nginx_pg_conn_lost(conn,
                                    ngx_http_agents_db_pg_error(conn->pg));
        return;
    }

    if (state != conn->seen) {
        ngx_http_agents_db_nginx_pg_conn_changed(conn, state);
    }

    if (ngx_http_agents_db_nginx_pg_conn_watch(conn) != NGX_OK) {
        ngx_http_agents_db_nginx_pg_conn_lost(conn,
                                              "its socket is not watched");
        return;
    }

    ngx_http_agents_db_nginx_pg_conn_arm(conn);
}


static void
ngx_http_agents_db_nginx_pg_conn_drain(ngx_http_agents_db_nginx_conn_t *conn)
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
ngx_http_agents_db_nginx_pg_conn_lost(ngx_http_agents_db_nginx_conn_t *conn,
    const char *why)
{
    ngx_http_agents_db_nginx_pg_say(conn, NGX_HTTP_AGENTS_DB_NGINX_PG_DOWN,
                                    why);

    /* the socket is closed, by libpq already or by what comes next */

    ngx_http_agents_db_nginx_pg_conn_unwatch(conn, NGX_CLOSE_EVENT);
    ngx_http_agents_db_pg_close(conn->pg);
    ngx_http_agents_db_nginx_pg_conn_drain(conn);

    conn->seen = NGX_HTTP_AGENTS_DB_PG_CLOSED;
    conn->backoff = ngx_http_agents_db_nginx_backoff(conn->backoff);

    ngx_http_agents_db_nginx_pg_conn_timer(conn, conn->backoff);
    ngx_http_agents_db_nginx_pg_settled(conn);
}


static void
ngx_http_agents_db_nginx_pg_conn_changed(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_http_agents_db_pg_state_e state)
{
    switch (state) {

    case NGX_HTTP_AGENTS_DB_PG_READY:
        conn->backoff = 0;
        ngx_http_agents_db_nginx_pg_say(conn, NGX_HTTP_AGENTS_DB_NGINX_PG_UP,
                                        "");

        if (conn->timer.timer_set) {
            ngx_del_timer(&conn->timer);
        }

        ngx_http_agents_db_nginx_pg_settled(conn);
        break;

    case NGX_HTTP_AGENTS_DB_PG_UNMIGRATED:
        ngx_http_agents_db_nginx_pg_say(conn,
                                    NGX_HTTP_AGENTS_DB_NGINX_PG_NOT_MIGRATED,
                                    ngx_http_agents_db_pg_error(conn->pg));
        ngx_http_agents_db_nginx_pg_conn_timer(conn,
                                          NGX_HTTP_AGENTS_DB_NGINX_PG_CHECK);
        ngx_http_agents_db_nginx_pg_settled(conn);
        break;

    case NGX_HTTP_AGENTS_DB_PG_CONNECTING:
    case NGX_HTTP_AGENTS_DB_PG_CHECKING:

        /* one timer for both, unless it comes from UNMIGRATED */

        if (conn->seen != NGX_HTTP_AGENTS_DB_PG_CONNECTING) {
            ngx_http_agents_db_nginx_pg_conn_timer(conn, conn->timeout);
        }

        break;

    default:
        break;
    }

    conn->seen = state;
}


/* Makes nginx wait for what the driver waits for. */

static ngx_int_t
ngx_http_agents_db_nginx_pg_conn_watch(ngx_http_agents_db_nginx_conn_t *conn)
{
    int       fd;
    unsigned  events;

    fd = ngx_http_agents_db_pg_fd(conn->pg);
    events = ngx_http_agents_db_pg_events(conn->pg);

    if (fd == -1 || events == 0) {
        return NGX_OK;
    }

    if (conn->c == NULL) {
        conn->c = ngx_http_agents_fd_attach(fd,
                                 ngx_http_agents_db_nginx_pg_conn_io_handler,
                                 conn, conn->store->base.log);
        if (conn->c == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_http_agents_fd_want(conn->c,
                                   events & NGX_HTTP_AGENTS_DB_PG_READ,
                                   events & NGX_HTTP_AGENTS_DB_PG_WRITE);
}


/* NGX_CLOSE_EVENT: the socket is closed, or about to be. */

static void
ngx_http_agents_db_nginx_pg_conn_unwatch(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_uint_t flags)
{
    if (conn->c != NULL) {
        ngx_http_agents_fd_detach(conn->c, flags);
        conn->c = NULL;
    }
}


/* The timer of a connection in use; one that fires too early does no harm. */

static void
ngx_http_agents_db_nginx_pg_conn_arm(ngx_http_agents_db_nginx_conn_t *conn)
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

    ngx_http_agents_db_nginx_pg_conn_timer(conn, (ngx_msec_t) due);
}


static void
ngx_http_agents_db_nginx_pg_conn_timer(ngx_http_agents_db_nginx_conn_t *conn,
    ngx_msec_t msec)
{
    /* nginx would leave a timer alone that is moved by less than 300 ms */

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    ngx_add_timer(&conn->timer, msec);
}
