
/*
 * Who waits in this worker for a run to change.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_watch.h"


/* In milliseconds: how soon a quit is seen, and how often the store is asked
 * without a wake-up. */
#define NGX_HTTP_AGENTS_WATCH_TICK  250
#define NGX_HTTP_AGENTS_WATCH_ASK   500


struct ngx_http_agents_watch_s {
    ngx_http_agents_wake_t  *wake;
    ngx_http_agents_db_t    *db;
    ngx_queue_t              buckets[NGX_HTTP_AGENTS_WAKE_BUCKETS];
    ngx_uint_t               waiting;
    ngx_event_t              tick;
    ngx_event_t              ask;       /* posted: about those that are due */
    ngx_msec_t               ask_at;    /* about all, by ngx_current_msec */
    unsigned                 asking:1;  /* a batch is on its way */
};


static void ngx_http_agents_watch_changed(void *data, ngx_uint_t bucket,
    const char *id);
static void ngx_http_agents_watch_tick(ngx_event_t *ev);
static void ngx_http_agents_watch_ask(ngx_event_t *ev);
static void ngx_http_agents_watch_keys(ngx_http_agents_watch_t *watch,
    ngx_http_agents_buf_t *keys);
static void ngx_http_agents_watch_ask_done(ngx_http_agents_db_batch_t *batch,
    void *data);
static void ngx_http_agents_watch_post(ngx_http_agents_watch_t *watch,
    ngx_uint_t bucket, const char *id);


ngx_http_agents_watch_t *
ngx_http_agents_watch_create(ngx_http_agents_wake_t *wake,
    ngx_http_agents_db_t *db, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_uint_t                i;
    ngx_http_agents_watch_t  *watch;

    watch = ngx_pcalloc(pool, sizeof(ngx_http_agents_watch_t));
    if (watch == NULL) {
        return NULL;
    }

    watch->wake = wake;
    watch->db = db;

    for (i = 0; i < NGX_HTTP_AGENTS_WAKE_BUCKETS; i++) {
        ngx_queue_init(&watch->buckets[i]);
    }

    watch->tick.handler = ngx_http_agents_watch_tick;
    watch->tick.data = watch;
    watch->tick.log = log;
    watch->tick.cancelable = 1;

    watch->ask.handler = ngx_http_agents_watch_ask;
    watch->ask.data = watch;
    watch->ask.log = log;

    ngx_http_agents_wake_on_change(wake, ngx_http_agents_watch_changed, watch);

    return watch;
}


ngx_uint_t
ngx_http_agents_watch_waiting(ngx_http_agents_watch_t *watch)
{
    return watch->waiting;
}


void
ngx_http_agents_watch_join(ngx_http_agents_watch_t *watch,
    ngx_http_agents_watch_waiter_t *waiter)
{
    ngx_uint_t  bucket;

    bucket = ngx_http_agents_wake_bucket(waiter->id);

    waiter->watch = watch;
    waiter->bucket = bucket;
    waiter->rev = -1;
    waiter->name_rev = -1;
    waiter->due = 0;

    if (ngx_queue_empty(&watch->buckets[bucket])) {
        ngx_http_agents_wake_listen(watch->wake, bucket, 1);
    }

    ngx_queue_insert_tail(&watch->buckets[bucket], &waiter->queue);
    watch->waiting++;

    if (!watch->tick.timer_set) {
        watch->ask_at = ngx_current_msec + NGX_HTTP_AGENTS_WATCH_ASK;
        ngx_add_timer(&watch->tick, NGX_HTTP_AGENTS_WATCH_TICK);
    }
}


void
ngx_http_agents_watch_seen(ngx_http_agents_watch_waiter_t *waiter,
    int64_t rev, int64_t name_rev)
{
    waiter->rev = rev;
    waiter->name_rev = name_rev;

    if (waiter->due) {

        /* it was woken while it read, maybe for what it has read */

        ngx_post_event(&waiter->watch->ask, &ngx_posted_events);
    }
}


void
ngx_http_agents_watch_leave(ngx_http_agents_watch_waiter_t *waiter)
{
    ngx_http_agents_watch_t  *watch;

    watch = waiter->watch;

    if (watch == NULL) {
        return;
    }

    waiter->watch = NULL;

    if (waiter->event.posted) {
        ngx_delete_posted_event(&waiter->event);
    }

    if (waiter->event.timer_set) {
        ngx_del_timer(&waiter->event);
    }

    ngx_queue_remove(&waiter->queue);
    watch->waiting--;

    if (ngx_queue_empty(&watch->buckets[waiter->bucket])) {
        ngx_http_agents_wake_listen(watch->wake, waiter->bucket, 0);
    }
}


/*
 * A change of this worker's own comes with its id.  Of another one's only the
 * bucket is known: the store tells which of those that wait there it concerns.
 */

static void
ngx_http_agents_watch_changed(void *data, ngx_uint_t bucket, const char *id)
{
    ngx_http_agents_watch_t *watch = data;

    ngx_queue_t                     *q;
    ngx_http_agents_watch_waiter_t  *waiter;

    if (id != NULL) {
        ngx_http_agents_watch_post(watch, bucket, id);
        return;
    }

    for (q = ngx_queue_head(&watch->buckets[bucket]);
         q != ngx_queue_sentinel(&watch->buckets[bucket]);
         q = ngx_queue_next(q))
    {
        waiter = ngx_queue_data(q, ngx_http_agents_watch_waiter_t, queue);
        waiter->due = 1;
    }

    ngx_post_event(&watch->ask, &ngx_posted_events);
}


static void
ngx_http_agents_watch_tick(ngx_event_t *ev)
{
    ngx_http_agents_watch_t *watch = ev->data;

    ngx_uint_t  i;

    if (watch->waiting == 0) {
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_AGENTS_WATCH_TICK);

    if (ngx_exiting) {

        /* nobody holds up a worker that is to go */

        for (i = 0; i < NGX_HTTP_AGENTS_WAKE_BUCKETS; i++) {
            ngx_http_agents_watch_post(watch, i, NULL);
        }

        return;
    }

    ngx_http_agents_wake_look(watch->wake);

    if ((ngx_msec_int_t) (ngx_current_msec - watch->ask_at) < 0) {
        return;
    }

    watch->ask_at = ngx_current_msec + NGX_HTTP_AGENTS_WATCH_ASK;

    for (i = 0; i < NGX_HTTP_AGENTS_WAKE_BUCKETS; i++) {
        if (!ngx_queue_empty(&watch->buckets[i])) {
            ngx_http_agents_watch_changed(watch, i, NULL);
        }
    }
}


static void
ngx_http_agents_watch_ask(ngx_event_t *ev)
{
    ngx_http_agents_watch_t *watch = ev->data;

    ngx_http_agents_buf_t        keys;
    ngx_http_agents_db_batch_t  *batch;

    /* what becomes due meanwhile is asked about when the answer is there */

    if (watch->asking) {
        return;
    }

    ngx_http_agents_buf_init(&keys);
    ngx_http_agents_watch_keys(watch, &keys);

    if (keys.len == 0 || keys.failed) {
        ngx_http_agents_buf_free(&keys);
        return;
    }

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ,
                                     ngx_http_agents_watch_ask_done, watch);

    if (batch != NULL) {
        ngx_http_agents_runs_changed(batch, &keys);

        watch->asking = 1;
        ngx_http_agents_db_submit(watch->db, batch);
    }

    ngx_http_agents_buf_free(&keys);
}


/* Those that are due, but for who is about to read the run anyway. */

static void
ngx_http_agents_watch_keys(ngx_http_agents_watch_t *watch,
    ngx_http_agents_buf_t *keys)
{
    ngx_uint_t                       i;
    ngx_queue_t                     *q;
    ngx_http_agents_watch_waiter_t  *waiter;

    for (i = 0; i < NGX_HTTP_AGENTS_WAKE_BUCKETS; i++) {

        for (q = ngx_queue_head(&watch->buckets[i]);
             q != ngx_queue_sentinel(&watch->buckets[i]);
             q = ngx_queue_next(q))
        {
            waiter = ngx_queue_data(q, ngx_http_agents_watch_waiter_t, queue);

            if (waiter->due && waiter->rev != -1) {
                waiter->due = 0;
                ngx_http_agents_runs_changed_key(keys, waiter->owner,
                                                 waiter->id, waiter->rev,
                                                 waiter->name_rev);
            }
        }
    }
}


/* Where the store failed it is asked again half a second later. */

static void
ngx_http_agents_watch_ask_done(ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_watch_t *watch = data;

    size_t       i, n;
    const char  *id;

    watch->asking = 0;

    n = 0;

    if (ngx_http_agents_db_status(batch) == NGX_HTTP_AGENTS_DB_OK) {
        n = ngx_http_agents_db_rows(batch, 0);
    }

    for (i = 0; i < n; i++) {
        id = ngx_http_agents_db_get(batch, 0, i, 0, NULL);

        ngx_http_agents_watch_post(watch, ngx_http_agents_wake_bucket(id), id);
    }

    ngx_http_agents_db_batch_free(batch);

    ngx_post_event(&watch->ask, &ngx_posted_events);
}


/* Those who wait for the run; "id" NULL: for any of the bucket. */

static void
ngx_http_agents_watch_post(ngx_http_agents_watch_t *watch, ngx_uint_t bucket,
    const char *id)
{
    ngx_queue_t                     *q;
    ngx_http_agents_watch_waiter_t  *waiter;

    for (q = ngx_queue_head(&watch->buckets[bucket]);
         q != ngx_queue_sentinel(&watch->buckets[bucket]);
         q = ngx_queue_next(q))
    {
        waiter = ngx_queue_data(q, ngx_http_agents_watch_waiter_t, queue);

        if (id == NULL || ngx_strcmp(waiter->id, id) == 0) {
            ngx_post_event(&waiter->event, &ngx_posted_events);
        }
    }
}
