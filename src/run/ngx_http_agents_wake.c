
/*
 * Wake-ups between the workers of a node.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sys/eventfd.h>

#include "ngx_http_agents_fd.h"
#include "ngx_http_agents_wake.h"


struct ngx_http_agents_wake_s {
    ngx_http_agents_wake_zone_t     *zone;
    ngx_http_agents_wake_fds_t      *fds;
    ngx_connection_t                *connection;    /* of our descriptor */
    ngx_http_agents_wake_change_pt   on_change;
    void                            *change_data;
    ngx_http_agents_wake_stop_pt     on_stop;
    void                            *stop_data;
    ngx_http_agents_wake_place_pt    on_place;
    void                            *place_data;

    /* what was seen last, and where changes are listened for */

    ngx_atomic_uint_t                stops;
    ngx_atomic_uint_t                places;
    ngx_atomic_uint_t                changes[NGX_HTTP_AGENTS_WAKE_BUCKETS];
    u_char                           listening[NGX_HTTP_AGENTS_WAKE_BUCKETS];
};


static void ngx_http_agents_wake_close(void *data);
static ngx_int_t ngx_http_agents_wake_attach(ngx_http_agents_wake_t *wake,
    ngx_log_t *log);
static void ngx_http_agents_wake_read_handler(ngx_event_t *rev);
static void ngx_http_agents_wake_write(ngx_http_agents_wake_t *wake,
    ngx_uint_t worker);
static void ngx_http_agents_wake_mark(ngx_http_agents_wake_t *wake,
    ngx_uint_t bucket, ngx_uint_t on);


ngx_int_t
ngx_http_agents_wake_open(ngx_cycle_t *cycle, ngx_http_agents_wake_fds_t *fds)
{
    ngx_fd_t             fd;
    ngx_uint_t           n;
    ngx_core_conf_t     *ccf;
    ngx_pool_cleanup_t  *cln;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    n = ccf->master ? (ngx_uint_t) ccf->worker_processes : 1;
    n = ngx_min(n, NGX_MAX_PROCESSES);

    fds->n = 0;
    fds->list = ngx_palloc(cycle->pool, n * sizeof(ngx_fd_t));
    if (fds->list == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_agents_wake_close;
    cln->data = fds;

    while (fds->n < n) {
        fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (fd == -1) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "eventfd() failed");
            return NGX_ERROR;
        }

        fds->list[fds->n++] = fd;
    }

    return NGX_OK;
}


static void
ngx_http_agents_wake_close(void *data)
{
    ngx_http_agents_wake_fds_t *fds = data;

    ngx_uint_t  i;

    for (i = 0; i < fds->n; i++) {
        (void) close(fds->list[i]);
    }
}


ngx_http_agents_wake_t *
ngx_http_agents_wake_create(ngx_http_agents_wake_zone_t *zone,
    ngx_http_agents_wake_fds_t *fds, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_uint_t               i;
    ngx_http_agents_wake_t  *wake;

    wake = ngx_pcalloc(pool, sizeof(ngx_http_agents_wake_t));
    if (wake == NULL) {
        return NULL;
    }

    wake->zone = zone;
    wake->fds = fds;
    wake->stops = zone->stops;
    wake->places = zone->places;

    for (i = 0; i < NGX_HTTP_AGENTS_WAKE_BUCKETS; i++) {
        wake->changes[i] = zone->changes[i];
        ngx_http_agents_wake_mark(wake, i, 0);
    }

    if (ngx_http_agents_wake_attach(wake, log) != NGX_OK) {
        return NULL;
    }

    return wake;
}


static ngx_int_t
ngx_http_agents_wake_attach(ngx_http_agents_wake_t *wake, ngx_log_t *log)
{
    ngx_connection_t  *c;

    if (ngx_worker >= wake->fds->n) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "worker %ui has no descriptor for wake-ups", ngx_worker);
        return NGX_ERROR;
    }

    c = ngx_http_agents_fd_attach(wake->fds->list[ngx_worker],
                                  ngx_http_agents_wake_read_handler, wake, log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_agents_fd_want(c, 1, 0) != NGX_OK) {
        ngx_http_agents_fd_detach(c, 0);
        return NGX_ERROR;
    }

    wake->connection = c;

    return NGX_OK;
}


void
ngx_http_agents_wake_destroy(ngx_http_agents_wake_t *wake)
{
    ngx_http_agents_fd_detach(wake->connection, 0);
}


void
ngx_http_agents_wake_on_change(ngx_http_agents_wake_t *wake,
    ngx_http_agents_wake_change_pt handler, void *data)
{
    wake->on_change = handler;
    wake->change_data = data;
}


void
ngx_http_agents_wake_on_stop(ngx_http_agents_wake_t *wake,
    ngx_http_agents_wake_stop_pt handler, void *data)
{
    wake->on_stop = handler;
    wake->stop_data = data;
}


void
ngx_http_agents_wake_on_place(ngx_http_agents_wake_t *wake,
    ngx_http_agents_wake_place_pt handler, void *data)
{
    wake->on_place = handler;
    wake->place_data = data;
}


static void
ngx_http_agents_wake_read_handler(ngx_event_t *rev)
{
    uint64_t           count;
    ngx_connection_t  *c;

    c = rev->data;

    /* another process of this number may have been faster: no matter */

    while (read(c->fd, &count, sizeof(count)) == -1 && ngx_errno == NGX_EINTR)
    {
        /* again */
    }

    ngx_http_agents_wake_look(c->data);
}


void
ngx_http_agents_wake_look(ngx_http_agents_wake_t *wake)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  count;

    count = wake->zone->stops;

    if (count != wake->stops) {
        wake->stops = count;

        if (wake->on_stop != NULL) {
            wake->on_stop(wake->stop_data);
        }
    }

    count = wake->zone->places;

    if (count != wake->places) {
        wake->places = count;

        if (wake->on_place != NULL) {
            wake->on_place(wake->place_data);
        }
    }

    for (i = 0; i < NGX_HTTP_AGENTS_WAKE_BUCKETS; i++) {

        if (!wake->listening[i]) {
            continue;
        }

        count = wake->zone->changes[i];

        if (count != wake->changes[i]) {
            wake->changes[i] = count;
            wake->on_change(wake->change_data, i, NULL);
        }
    }
}


void
ngx_http_agents_wake_run(ngx_http_agents_wake_t *wake, const char *id)
{
    ngx_uint_t         i, bucket, worker;
    ngx_atomic_uint_t  word, count;

    bucket = ngx_http_agents_wake_bucket(id);

    count = ngx_atomic_fetch_add(&wake->zone->changes[bucket], 1);

    if (wake->changes[bucket] == count) {

        /* our own is no news to us */

        wake->changes[bucket] = count + 1;
    }

    for (i = 0; i < NGX_HTTP_AGENTS_WAKE_WORDS; i++) {
        word = wake->zone->waits[bucket][i];

        for (worker = i * NGX_HTTP_AGENTS_WAKE_BITS; word != 0; worker++) {

            if ((word & 1) && worker != ngx_worker) {
                ngx_http_agents_wake_write(wake, worker);
            }

            word >>= 1;
        }
    }

    if (wake->listening[bucket]) {
        wake->on_change(wake->change_data, bucket, id);
    }
}


void
ngx_http_agents_wake_stop(ngx_http_agents_wake_t *wake)
{
    ngx_uint_t  i;

    (void) ngx_atomic_fetch_add(&wake->zone->stops, 1);

    for (i = 0; i < wake->fds->n; i++) {
        if (i != ngx_worker) {
            ngx_http_agents_wake_write(wake, i);
        }
    }

    ngx_http_agents_wake_look(wake);
}


void
ngx_http_agents_wake_place(ngx_http_agents_wake_t *wake, ngx_uint_t worker)
{
    (void) ngx_atomic_fetch_add(&wake->zone->places, 1);

    ngx_http_agents_wake_write(wake, worker);
}


/* A worker of an older cycle may have had a higher number. */

static void
ngx_http_agents_wake_write(ngx_http_agents_wake_t *wake, ngx_uint_t worker)
{
    uint64_t  one;

    one = 1;

    if (worker < wake->fds->n
        && write(wake->fds->list[worker], &one, sizeof(one)) == -1
        && ngx_errno != NGX_EAGAIN && ngx_errno != NGX_EINTR)
    {
        ngx_log_error(NGX_LOG_ALERT, wake->connection->log, ngx_errno,
                      "write() to the eventfd of worker %ui failed", worker);
    }
}


ngx_uint_t
ngx_http_agents_wake_bucket(const char *id)
{
    return ngx_crc32_short((u_char *) id, ngx_strlen(id))
           & (NGX_HTTP_AGENTS_WAKE_BUCKETS - 1);
}


void
ngx_http_agents_wake_listen(ngx_http_agents_wake_t *wake, ngx_uint_t bucket,
    ngx_uint_t on)
{
    if (on) {
        ngx_http_agents_wake_mark(wake, bucket, 1);
        wake->changes[bucket] = wake->zone->changes[bucket];
    }

    wake->listening[bucket] = (on != 0);

    /*
     * A process that is to exit shares its bits with the one that has come in
     * its place, whose they are.
     */

    if (!on && !ngx_exiting) {
        ngx_http_agents_wake_mark(wake, bucket, 0);
    }
}


static void
ngx_http_agents_wake_mark(ngx_http_agents_wake_t *wake, ngx_uint_t bucket,
    ngx_uint_t on)
{
    ngx_atomic_t       *word;
    ngx_atomic_uint_t   old, bit;

    word = &wake->zone->waits[bucket][ngx_worker / NGX_HTTP_AGENTS_WAKE_BITS];
    bit = (ngx_atomic_uint_t) 1 << (ngx_worker % NGX_HTTP_AGENTS_WAKE_BITS);

    do {
        old = *word;
    } while (!ngx_atomic_cmp_set(word, old, on ? old | bit : old & ~bit));
}
