
/*
 * SQLite inside nginx.  Connections are opened, and opened again, by a task;
 * writes go in one task at a time that takes all that wait, one commit for
 * them; reads go to a few readers; reads of a few rows by key run right here,
 * on a connection that never waits.
 */


#include "ngx_http_agents_db_nginx_core.h"
#include "ngx_http_agents_db_sqlite.h"


#define NGX_HTTP_AGENTS_DB_NGINX_READERS  2

/* The most batches that one task takes. */
#define NGX_HTTP_AGENTS_DB_NGINX_WRITES   256
#define NGX_HTTP_AGENTS_DB_NGINX_READS    16


typedef enum {
    NGX_HTTP_AGENTS_DB_NGINX_SQLITE_CLOSED = 0,     /* a timer waits */
    NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPENING,        /* the task is at work */
    NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPEN,
    NGX_HTTP_AGENTS_DB_NGINX_SQLITE_BROKEN          /* until no task is */
} ngx_http_agents_db_nginx_sqlite_state_e;


typedef struct ngx_http_agents_db_nginx_sqlite_s
    ngx_http_agents_db_nginx_sqlite_t;


/* A connection that tasks use, one at a time. */
typedef struct {
    ngx_http_agents_db_sqlite_t        *conn;
    ngx_http_agents_db_nginx_line_t     work;       /* what the task has */
    ngx_uint_t                          busy;
    ngx_http_agents_task_t              task;
    ngx_http_agents_db_nginx_sqlite_t  *store;
} ngx_http_agents_db_nginx_user_t;


struct ngx_http_agents_db_nginx_sqlite_s {
    ngx_http_agents_db_nginx_t                base;     /* first */
    ngx_http_agents_db_nginx_sqlite_state_e   state;
    char                                     *path;
    ngx_http_agents_db_nginx_user_t           writer;
    ngx_http_agents_db_nginx_user_t
                              readers[NGX_HTTP_AGENTS_DB_NGINX_READERS];
    ngx_http_agents_db_sqlite_t              *inline_conn;
    ngx_http_agents_db_nginx_line_t           writes;
    ngx_http_agents_db_nginx_line_t           reads;
    ngx_http_agents_db_nginx_line_t           early;    /* while OPENING */

    ngx_http_agents_task_t                    opener;
    ngx_int_t                                 opened;   /* of the last time */
    ngx_uint_t                                known;    /* it was open once */
    ngx_uint_t                                failing;  /* until it takes a
                                                           write again */
    char                                      error[256];
    ngx_event_t                               retry;
    ngx_msec_t                                backoff;
};


static void ngx_http_agents_db_nginx_sqlite_submit(
    ngx_http_agents_db_nginx_t *base, ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_nginx_sqlite_inline(
    ngx_http_agents_db_nginx_sqlite_t *store,
    ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_nginx_sqlite_kick(
    ngx_http_agents_db_nginx_sqlite_t *store);
static void ngx_http_agents_db_nginx_sqlite_take(
    ngx_http_agents_db_nginx_user_t *user,
    ngx_http_agents_db_nginx_line_t *line, ngx_uint_t max);
static void ngx_http_agents_db_nginx_sqlite_write_work(void *data,
    ngx_log_t *log);
static void ngx_http_agents_db_nginx_sqlite_read_work(void *data,
    ngx_log_t *log);
static void ngx_http_agents_db_nginx_sqlite_work_done(void *data);
static void ngx_http_agents_db_nginx_sqlite_say(
    ngx_http_agents_db_nginx_sqlite_t *store,
    const ngx_http_agents_db_batch_t *batch);
static void ngx_http_agents_db_nginx_sqlite_break(
    ngx_http_agents_db_nginx_sqlite_t *store,
    const ngx_http_agents_db_sqlite_t *conn);
static void ngx_http_agents_db_nginx_sqlite_reopen(
    ngx_http_agents_db_nginx_sqlite_t *store);
static void ngx_http_agents_db_nginx_sqlite_opener_work(void *data,
    ngx_log_t *log);
static void ngx_http_agents_db_nginx_sqlite_opener_done(void *data);
static void ngx_http_agents_db_nginx_sqlite_early(
    ngx_http_agents_db_nginx_sqlite_t *store);
static void ngx_http_agents_db_nginx_sqlite_retry_handler(ngx_event_t *ev);
static void ngx_http_agents_db_nginx_sqlite_close_all(
    ngx_http_agents_db_nginx_sqlite_t *store);
static ngx_uint_t ngx_http_agents_db_nginx_sqlite_ready(
    ngx_http_agents_db_nginx_t *base);
static void ngx_http_agents_db_nginx_sqlite_close(
    ngx_http_agents_db_nginx_t *base);
static ngx_http_agents_db_status_e ngx_http_agents_db_nginx_sqlite_last(
    ngx_http_agents_db_nginx_t *base, ngx_http_agents_db_batch_t *batch,
    ngx_msec_t msec);


ngx_http_agents_db_nginx_t *
ngx_http_agents_db_nginx_sqlite_open(const ngx_http_agents_db_spec_t *spec,
    ngx_http_agents_tasks_t *tasks, ngx_log_t *log)
{
    ngx_uint_t                          i;
    ngx_http_agents_db_nginx_user_t    *reader;
    ngx_http_agents_db_nginx_sqlite_t  *store;

    store = ngx_calloc(sizeof(ngx_http_agents_db_nginx_sqlite_t), log);
    if (store == NULL) {
        return NULL;
    }

    store->path = strdup((char *) spec->target.data);
    if (store->path == NULL) {
        ngx_free(store);
        return NULL;
    }

    ngx_http_agents_db_nginx_init(&store->base, tasks, log);

    store->base.submit = ngx_http_agents_db_nginx_sqlite_submit;
    store->base.ready = ngx_http_agents_db_nginx_sqlite_ready;
    store->base.close = ngx_http_agents_db_nginx_sqlite_close;
    store->base.last = ngx_http_agents_db_nginx_sqlite_last;

    store->writer.store = store;
    store->writer.task.work = ngx_http_agents_db_nginx_sqlite_write_work;
    store->writer.task.done = ngx_http_agents_db_nginx_sqlite_work_done;
    store->writer.task.data = &store->writer;

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_READERS; i++) {
        reader = &store->readers[i];

        reader->store = store;
        reader->task.work = ngx_http_agents_db_nginx_sqlite_read_work;
        reader->task.done = ngx_http_agents_db_nginx_sqlite_work_done;
        reader->task.data = reader;
    }

    store->opener.work = ngx_http_agents_db_nginx_sqlite_opener_work;
    store->opener.done = ngx_http_agents_db_nginx_sqlite_opener_done;
    store->opener.data = store;
    store->opened = NGX_OK;

    store->retry.handler = ngx_http_agents_db_nginx_sqlite_retry_handler;
    store->retry.data = store;
    store->retry.log = log;
    store->retry.cancelable = 1;

    ngx_http_agents_db_nginx_sqlite_reopen(store);

    return &store->base;
}


static void
ngx_http_agents_db_nginx_sqlite_submit(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_nginx_sqlite_t  *store;

    store = (ngx_http_agents_db_nginx_sqlite_t *) base;

    if (store->state == NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPENING
        && store->opened == NGX_OK)
    {
        /* it has not failed yet */

        ngx_http_agents_db_nginx_line_push(&store->early, batch);
        return;
    }

    if (store->state != NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPEN) {
        ngx_http_agents_db_nginx_refuse(&store->base, batch,
                                        "the store is not open");
        return;
    }

    ngx_http_agents_db_batch_rewind(batch);

    switch (batch->kind) {

    case NGX_HTTP_AGENTS_DB_POINT:
        ngx_http_agents_db_nginx_sqlite_inline(store, batch);
        return;

    case NGX_HTTP_AGENTS_DB_WRITE:
        ngx_http_agents_db_nginx_line_push(&store->writes, batch);
        break;

    default: /* NGX_HTTP_AGENTS_DB_READ */
        ngx_http_agents_db_nginx_line_push(&store->reads, batch);
        break;
    }

    ngx_http_agents_db_nginx_sqlite_kick(store);
}


static void
ngx_http_agents_db_nginx_sqlite_inline(
    ngx_http_agents_db_nginx_sqlite_t *store,
    ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_sqlite_read(store->inline_conn, batch);

    if (ngx_http_agents_db_sqlite_broken(store->inline_conn)) {
        ngx_http_agents_db_nginx_finish(&store->base, batch);
        ngx_http_agents_db_nginx_sqlite_break(store, store->inline_conn);
        ngx_http_agents_db_nginx_sqlite_kick(store);
        return;
    }

    if (batch->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE) {

        /* it would have had to wait: a reader may */

        ngx_http_agents_db_batch_rewind(batch);
        ngx_http_agents_db_nginx_line_push(&store->reads, batch);
        ngx_http_agents_db_nginx_sqlite_kick(store);
        return;
    }

    ngx_http_agents_db_nginx_finish(&store->base, batch);
}


/* Gives work to what is idle. */

static void
ngx_http_agents_db_nginx_sqlite_kick(ngx_http_agents_db_nginx_sqlite_t *store)
{
    ngx_uint_t                        i, busy, n;
    ngx_http_agents_db_nginx_user_t  *reader;

    if (store->state == NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPEN) {

        if (store->writes.n && !store->writer.busy) {
            ngx_http_agents_db_nginx_sqlite_take(&store->writer,
                                             &store->writes,
                                             NGX_HTTP_AGENTS_DB_NGINX_WRITES);
        }

        for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_READERS; i++) {
            reader = &store->readers[i];

            if (store->reads.n && !reader->busy) {

                /* not all to the first one */

                n = 1 + store->reads.n / NGX_HTTP_AGENTS_DB_NGINX_READERS;
                n = ngx_min(n, NGX_HTTP_AGENTS_DB_NGINX_READS);

                ngx_http_agents_db_nginx_sqlite_take(reader, &store->reads, n);
            }
        }

        return;
    }

    /* broken: what waits has no chance, what is at work ends first */

    while (store->writes.n) {
        ngx_http_agents_db_nginx_refuse(&store->base,
                           ngx_http_agents_db_nginx_line_pop(&store->writes),
                           "the store is being opened again");
    }

    while (store->reads.n) {
        ngx_http_agents_db_nginx_refuse(&store->base,
                           ngx_http_agents_db_nginx_line_pop(&store->reads),
                           "the store is being opened again");
    }

    busy = store->writer.busy;

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_READERS; i++) {
        busy += store->readers[i].busy;
    }

    if (busy == 0) {
        ngx_http_agents_db_nginx_sqlite_reopen(store);
    }
}


static void
ngx_http_agents_db_nginx_sqlite_take(ngx_http_agents_db_nginx_user_t *user,
    ngx_http_agents_db_nginx_line_t *line, ngx_uint_t max)
{
    while (line->n && user->work.n < max) {
        ngx_http_agents_db_nginx_line_push(&user->work,
                                     ngx_http_agents_db_nginx_line_pop(line));
    }

    user->busy = 1;

    ngx_http_agents_task_post(user->store->base.tasks, &user->task);
}


/* In a thread. */

static void
ngx_http_agents_db_nginx_sqlite_write_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_db_nginx_user_t  *user = data;

    ngx_http_agents_db_sqlite_write(user->conn, user->work.first);
}


/* In a thread. */

static void
ngx_http_agents_db_nginx_sqlite_read_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_db_nginx_user_t  *user = data;

    ngx_http_agents_db_batch_t  *batch;

    for (batch = user->work.first; batch != NULL; batch = batch->next) {
        ngx_http_agents_db_sqlite_read(user->conn, batch);
    }
}


static void
ngx_http_agents_db_nginx_sqlite_work_done(void *data)
{
    ngx_http_agents_db_nginx_user_t  *user = data;

    ngx_http_agents_db_nginx_sqlite_t  *store;

    store = user->store;

    user->busy = 0;

    if (user == &store->writer) {
        ngx_http_agents_db_nginx_sqlite_say(store, user->work.first);
    }

    while (user->work.n) {
        ngx_http_agents_db_nginx_finish(&store->base,
                              ngx_http_agents_db_nginx_line_pop(&user->work));
    }

    if (ngx_http_agents_db_sqlite_broken(user->conn)) {
        ngx_http_agents_db_nginx_sqlite_break(store, user->conn);
    }

    ngx_http_agents_db_nginx_sqlite_kick(store);
}


/* Once that it fails, and once that it takes writes again: by the first batch
 * of those that were written together. */

static void
ngx_http_agents_db_nginx_sqlite_say(ngx_http_agents_db_nginx_sqlite_t *store,
    const ngx_http_agents_db_batch_t *batch)
{
    ngx_uint_t  failing;

    failing = (batch->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE
               || batch->status == NGX_HTTP_AGENTS_DB_UNKNOWN)
              && !batch->failed;

    if (failing == store->failing) {
        return;
    }

    store->failing = failing;

    if (failing) {
        ngx_log_error(NGX_LOG_ERR, store->base.log, 0,
                      "agents store \"%s\" takes no writes: %s", store->path,
                      batch->error);

    } else {
        ngx_log_error(NGX_LOG_NOTICE, store->base.log, 0,
                      "agents store \"%s\" takes writes again", store->path);
    }
}


static void
ngx_http_agents_db_nginx_sqlite_break(ngx_http_agents_db_nginx_sqlite_t *store,
    const ngx_http_agents_db_sqlite_t *conn)
{
    ngx_uint_t  level;

    level = store->failing ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, store->base.log, 0,
                  "agents store \"%s\" has failed and is opened again: %s",
                  store->path, ngx_http_agents_db_sqlite_broken(conn));

    store->failing = 1;
    store->state = NGX_HTTP_AGENTS_DB_NGINX_SQLITE_BROKEN;
}


static void
ngx_http_agents_db_nginx_sqlite_reopen(
    ngx_http_agents_db_nginx_sqlite_t *store)
{
    store->state = NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPENING;

    ngx_http_agents_task_post(store->base.tasks, &store->opener);
}


/* In a thread; no other task is at work and none is made. */

static void
ngx_http_agents_db_nginx_sqlite_opener_work(void *data, ngx_log_t *log)
{
    ngx_http_agents_db_nginx_sqlite_t  *store = data;

    ngx_uint_t  i;

    ngx_http_agents_db_nginx_sqlite_close_all(store);

    store->error[0] = '\0';

    /* the writer first: it makes the file */

    store->writer.conn = ngx_http_agents_db_sqlite_open(store->path,
                                  store->known
                                  ? NGX_HTTP_AGENTS_DB_SQLITE_WRITER_AGAIN
                                  : NGX_HTTP_AGENTS_DB_SQLITE_WRITER,
                                  store->error, sizeof(store->error));
    if (store->writer.conn == NULL) {
        return;
    }

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_READERS; i++) {
        store->readers[i].conn = ngx_http_agents_db_sqlite_open(store->path,
                                             NGX_HTTP_AGENTS_DB_SQLITE_READER,
                                             store->error,
                                             sizeof(store->error));
        if (store->readers[i].conn == NULL) {
            return;
        }
    }

    store->inline_conn = ngx_http_agents_db_sqlite_open(store->path,
                                             NGX_HTTP_AGENTS_DB_SQLITE_INLINE,
                                             store->error,
                                             sizeof(store->error));
}


static void
ngx_http_agents_db_nginx_sqlite_opener_done(void *data)
{
    ngx_http_agents_db_nginx_sqlite_t  *store = data;

    ngx_uint_t  level;

    /* the inline connection is opened last */

    if (store->inline_conn != NULL) {

        if (store->opened != NGX_OK) {
            ngx_log_error(NGX_LOG_NOTICE, store->base.log, 0,
                          "agents store \"%s\" is open", store->path);
        }

        store->state = NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPEN;
        store->opened = NGX_OK;
        store->known = 1;
        store->backoff = 0;

        ngx_http_agents_db_nginx_sqlite_early(store);
        return;
    }

    level = (store->opened == NGX_OK) ? NGX_LOG_ERR : NGX_LOG_INFO;

    ngx_log_error(level, store->base.log, 0,
                  "agents store \"%s\" cannot be opened: %s", store->path,
                  store->error);

    store->state = NGX_HTTP_AGENTS_DB_NGINX_SQLITE_CLOSED;
    store->opened = NGX_ERROR;
    store->backoff = ngx_http_agents_db_nginx_backoff(store->backoff);

    ngx_add_timer(&store->retry, store->backoff);

    ngx_http_agents_db_nginx_sqlite_early(store);
}


/* It is known how the opening ended: those who waited for that go on. */

static void
ngx_http_agents_db_nginx_sqlite_early(ngx_http_agents_db_nginx_sqlite_t *store)
{
    while (store->early.n) {
        ngx_http_agents_db_nginx_sqlite_submit(&store->base,
                            ngx_http_agents_db_nginx_line_pop(&store->early));
    }
}


static void
ngx_http_agents_db_nginx_sqlite_retry_handler(ngx_event_t *ev)
{
    ngx_http_agents_db_nginx_sqlite_reopen(ev->data);
}


static void
ngx_http_agents_db_nginx_sqlite_close_all(
    ngx_http_agents_db_nginx_sqlite_t *store)
{
    ngx_uint_t  i;

    if (store->inline_conn != NULL) {
        ngx_http_agents_db_sqlite_close(store->inline_conn);
        store->inline_conn = NULL;
    }

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_READERS; i++) {
        if (store->readers[i].conn != NULL) {
            ngx_http_agents_db_sqlite_close(store->readers[i].conn);
            store->readers[i].conn = NULL;
        }
    }

    if (store->writer.conn != NULL) {
        ngx_http_agents_db_sqlite_close(store->writer.conn);
        store->writer.conn = NULL;
    }
}


static ngx_uint_t
ngx_http_agents_db_nginx_sqlite_ready(ngx_http_agents_db_nginx_t *base)
{
    ngx_http_agents_db_nginx_sqlite_t  *store;

    store = (ngx_http_agents_db_nginx_sqlite_t *) base;

    return store->state == NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPEN;
}


/*
 * In process exit: nginx has ended the pool's threads by then (a core module's
 * exit comes before a dynamic one's), so no task is at work.
 */

static void
ngx_http_agents_db_nginx_sqlite_close(ngx_http_agents_db_nginx_t *base)
{
    ngx_uint_t                          i;
    ngx_http_agents_db_nginx_sqlite_t  *store;

    store = (ngx_http_agents_db_nginx_sqlite_t *) base;

    if (store->retry.timer_set) {
        ngx_del_timer(&store->retry);
    }

    ngx_http_agents_db_nginx_sqlite_close_all(store);

    for (i = 0; i < NGX_HTTP_AGENTS_DB_NGINX_READERS; i++) {
        ngx_http_agents_db_nginx_line_free(&store->readers[i].work);
    }

    ngx_http_agents_db_nginx_line_free(&store->writer.work);
    ngx_http_agents_db_nginx_line_free(&store->writes);
    ngx_http_agents_db_nginx_line_free(&store->reads);
    ngx_http_agents_db_nginx_line_free(&store->early);

    ngx_http_agents_db_nginx_done(base);

    free(store->path);
    ngx_free(store);
}


/* The writer is idle: the thread that it worked in is no more. */

static ngx_http_agents_db_status_e
ngx_http_agents_db_nginx_sqlite_last(ngx_http_agents_db_nginx_t *base,
    ngx_http_agents_db_batch_t *batch, ngx_msec_t msec)
{
    ngx_http_agents_db_status_e         status;
    ngx_http_agents_db_nginx_sqlite_t  *store;

    store = (ngx_http_agents_db_nginx_sqlite_t *) base;

    status = NGX_HTTP_AGENTS_DB_UNAVAILABLE;

    if (store->state == NGX_HTTP_AGENTS_DB_NGINX_SQLITE_OPEN) {
        ngx_http_agents_db_sqlite_patience(store->writer.conn, (long) msec);
        ngx_http_agents_db_sqlite_write(store->writer.conn, batch);

        status = ngx_http_agents_db_status(batch);
    }

    ngx_http_agents_db_batch_free(batch);

    return status;
}
