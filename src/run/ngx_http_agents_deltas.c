
/*
 * Who follows what models say, in this worker and in the others.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_deltas.h"
#include "ngx_http_agents_json.h"


#define NGX_HTTP_AGENTS_DELTAS_BUCKETS  256     /* of run ids; a power of 2 */

/* Who listens asks again once a second, a slice of the buckets at a time: what
 * is asked for at once has to find room in a socket.  In milliseconds. */
#define NGX_HTTP_AGENTS_DELTAS_SLICES   32
#define NGX_HTTP_AGENTS_DELTAS_TICK     (1000 / NGX_HTTP_AGENTS_DELTAS_SLICES)
#define NGX_HTTP_AGENTS_DELTAS_COUNTS   3000

/* A piece's text at most, in bytes. */
#define NGX_HTTP_AGENTS_DELTAS_PIECE    8192


struct ngx_http_agents_deltas_s {
    ngx_http_agents_wire_t         *wire;
    ngx_http_agents_deltas_ask_pt   ask;
    void                           *ask_data;
    ngx_queue_t                     buckets[NGX_HTTP_AGENTS_DELTAS_BUCKETS];
    ngx_uint_t                      listening;
    ngx_uint_t                      slice;      /* the next one to ask */
    ngx_event_t                     tick;
};


/* What goes from worker to worker; id and text follow. */
typedef struct {
    ngx_http_agents_deltas_key_t   key;
    ngx_http_agents_deltas_kind_e  kind;
    ngx_uint_t                     worker;      /* that has asked */
    ngx_uint_t                     flag;        /* late, or again */
    uint64_t                       talk;
    int64_t                        turn_index;
    int64_t                        parts;
    uint64_t                       at;
    size_t                         id;
    size_t                         text;
} ngx_http_agents_deltas_record_t;


static ngx_queue_t *ngx_http_agents_deltas_bucket(
    const ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key);
static ngx_uint_t ngx_http_agents_deltas_is(
    const ngx_http_agents_deltas_key_t *one,
    const ngx_http_agents_deltas_key_t *other);
static void ngx_http_agents_deltas_tick(ngx_event_t *ev);
static void ngx_http_agents_deltas_seek(ngx_http_agents_deltas_t *deltas,
    ngx_http_agents_deltas_listener_t *listener);
static void ngx_http_agents_deltas_tell(ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_event_t *event);
static void ngx_http_agents_deltas_take(
    ngx_http_agents_deltas_listener_t *listener,
    const ngx_http_agents_deltas_event_t *event);
static ngx_uint_t ngx_http_agents_deltas_in_turn(
    ngx_http_agents_deltas_listener_t *listener,
    const ngx_http_agents_deltas_event_t *event);
static void ngx_http_agents_deltas_send(ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key, ngx_uint_t worker,
    const ngx_http_agents_deltas_event_t *event);
static void ngx_http_agents_deltas_received(void *data, const void *record,
    size_t len);
static ngx_uint_t ngx_http_agents_deltas_piece(
    const ngx_http_agents_deltas_event_t *event,
    ngx_http_agents_deltas_event_t *piece);


ngx_http_agents_deltas_t *
ngx_http_agents_deltas_create(ngx_http_agents_wire_fds_t *fds,
    ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_uint_t                 i;
    ngx_http_agents_deltas_t  *deltas;

    deltas = ngx_pcalloc(pool, sizeof(ngx_http_agents_deltas_t));
    if (deltas == NULL) {
        return NULL;
    }

    for (i = 0; i < NGX_HTTP_AGENTS_DELTAS_BUCKETS; i++) {
        ngx_queue_init(&deltas->buckets[i]);
    }

    deltas->tick.handler = ngx_http_agents_deltas_tick;
    deltas->tick.data = deltas;
    deltas->tick.log = log;
    deltas->tick.cancelable = 1;

    deltas->wire = ngx_http_agents_wire_create(fds,
                                               ngx_http_agents_deltas_received,
                                               deltas, pool, log);

    return deltas->wire == NULL ? NULL : deltas;
}


void
ngx_http_agents_deltas_destroy(ngx_http_agents_deltas_t *deltas)
{
    if (deltas->tick.timer_set) {
        ngx_del_timer(&deltas->tick);
    }

    ngx_http_agents_wire_destroy(deltas->wire);
}


void
ngx_http_agents_deltas_on_ask(ngx_http_agents_deltas_t *deltas,
    ngx_http_agents_deltas_ask_pt handler, void *data)
{
    deltas->ask = handler;
    deltas->ask_data = data;
}


ngx_int_t
ngx_http_agents_deltas_key(ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_owner_t *owner, const char *id)
{
    int                     rc;
    char                    sha256[NGX_HTTP_AGENTS_SHA256_LEN + 1];
    ngx_http_agents_buf_t   text;

    ngx_http_agents_buf_init(&text);

    /* with the NUL between both, so that no two pairs are the same text */

    ngx_http_agents_buf_add(&text, owner->company,
                            ngx_strlen(owner->company) + 1);
    ngx_http_agents_buf_adds(&text, owner->user);

    rc = text.failed ? -1 : ngx_http_agents_ident_sha256(sha256, text.data,
                                                         text.len);
    ngx_http_agents_buf_free(&text);

    if (rc == -1) {
        return NGX_ERROR;
    }

    ngx_memzero(key, sizeof(ngx_http_agents_deltas_key_t));

    (void) ngx_cpystrn((u_char *) key->id, (u_char *) id, sizeof(key->id));
    (void) ngx_cpystrn((u_char *) key->owner, (u_char *) sha256,
                       sizeof(key->owner));

    return NGX_OK;
}


static ngx_queue_t *
ngx_http_agents_deltas_bucket(const ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key)
{
    uint32_t  hash;

    hash = ngx_crc32_short((u_char *) key->id, NGX_HTTP_AGENTS_UUID_LEN);

    return (ngx_queue_t *)
               &deltas->buckets[hash & (NGX_HTTP_AGENTS_DELTAS_BUCKETS - 1)];
}


static ngx_uint_t
ngx_http_agents_deltas_is(const ngx_http_agents_deltas_key_t *one,
    const ngx_http_agents_deltas_key_t *other)
{
    return ngx_memcmp(one, other, sizeof(ngx_http_agents_deltas_key_t)) == 0;
}


void
ngx_http_agents_deltas_join(ngx_http_agents_deltas_t *deltas,
    ngx_http_agents_deltas_listener_t *listener)
{
    ngx_queue_insert_tail(ngx_http_agents_deltas_bucket(deltas,
                                                        &listener->key),
                          &listener->queue);

    listener->deltas = deltas;
    listener->late = 1;

    deltas->listening++;

    ngx_http_agents_deltas_seek(deltas, listener);

    if (!deltas->tick.timer_set) {
        ngx_add_timer(&deltas->tick, NGX_HTTP_AGENTS_DELTAS_TICK);
    }
}


void
ngx_http_agents_deltas_leave(ngx_http_agents_deltas_listener_t *listener)
{
    if (listener->deltas == NULL) {
        return;
    }

    listener->deltas->listening--;
    listener->deltas = NULL;

    ngx_queue_remove(&listener->queue);
}


void
ngx_http_agents_deltas_look(ngx_http_agents_deltas_t *deltas)
{
    ngx_http_agents_wire_look(deltas->wire);
}


/* Runs go from worker to worker: who listens asks again. */

static void
ngx_http_agents_deltas_tick(ngx_event_t *ev)
{
    ngx_http_agents_deltas_t *deltas = ev->data;

    ngx_uint_t                          i;
    ngx_queue_t                        *q, *bucket;
    ngx_http_agents_deltas_listener_t  *listener;

    if (deltas->listening == 0) {
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_AGENTS_DELTAS_TICK);

    deltas->slice = (deltas->slice + 1) % NGX_HTTP_AGENTS_DELTAS_SLICES;

    for (i = deltas->slice;
         i < NGX_HTTP_AGENTS_DELTAS_BUCKETS;
         i += NGX_HTTP_AGENTS_DELTAS_SLICES)
    {
        bucket = &deltas->buckets[i];

        for (q = ngx_queue_head(bucket);
             q != ngx_queue_sentinel(bucket);
             q = ngx_queue_next(q))
        {
            listener = ngx_queue_data(q, ngx_http_agents_deltas_listener_t,
                                      queue);
            ngx_http_agents_deltas_seek(deltas, listener);
        }
    }
}


static void
ngx_http_agents_deltas_seek(ngx_http_agents_deltas_t *deltas,
    ngx_http_agents_deltas_listener_t *listener)
{
    ngx_uint_t                        i;
    ngx_http_agents_deltas_to_t       to;
    ngx_http_agents_deltas_record_t  *record;

    to.listener = listener;
    to.worker = ngx_worker;
    to.late = listener->late;

    if (deltas->ask != NULL
        && deltas->ask(deltas->ask_data, &listener->key, &to) == NGX_OK)
    {
        return;
    }

    for (i = 0; i < ngx_http_agents_wire_workers(deltas->wire); i++) {

        record = ngx_http_agents_wire_put(deltas->wire, i,
                                      sizeof(ngx_http_agents_deltas_record_t));
        if (record == NULL) {
            continue;
        }

        ngx_memzero(record, sizeof(ngx_http_agents_deltas_record_t));

        record->key = listener->key;
        record->kind = NGX_HTTP_AGENTS_DELTAS_ASK;
        record->worker = ngx_worker;
        record->flag = listener->late;
    }
}


ngx_uint_t
ngx_http_agents_deltas_listened(const ngx_http_agents_deltas_t *deltas)
{
    return deltas->listening != 0;
}


ngx_uint_t
ngx_http_agents_deltas_heard(const ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_audience_t *audience)
{
    ngx_uint_t                          i;
    ngx_queue_t                        *q, *bucket;
    ngx_http_agents_deltas_listener_t  *listener;

    for (i = 0; i < audience->n; i++) {
        if ((ngx_msec_int_t) (audience->list[i].until - ngx_current_msec) > 0)
        {
            return 1;
        }
    }

    bucket = ngx_http_agents_deltas_bucket(deltas, key);

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        listener = ngx_queue_data(q, ngx_http_agents_deltas_listener_t, queue);

        if (ngx_http_agents_deltas_is(&listener->key, key)) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_agents_deltas_ask(ngx_http_agents_deltas_audience_t *audience,
    ngx_uint_t worker, ngx_log_t *log)
{
    ngx_uint_t                       i, size;
    ngx_http_agents_deltas_place_t  *place;

    for (i = 0; i < audience->n; i++) {
        if (audience->list[i].worker == worker) {
            break;
        }
    }

    if (i == audience->size) {
        size = audience->size + 4;

        place = ngx_alloc(size * sizeof(ngx_http_agents_deltas_place_t), log);
        if (place == NULL) {
            return;
        }

        if (audience->n != 0) {
            ngx_memcpy(place, audience->list,
                       audience->n * sizeof(ngx_http_agents_deltas_place_t));
            ngx_free(audience->list);
        }

        audience->list = place;
        audience->size = size;
    }

    place = &audience->list[i];

    place->worker = worker;
    place->until = ngx_current_msec + NGX_HTTP_AGENTS_DELTAS_COUNTS;

    audience->n = ngx_max(audience->n, i + 1);
}


void
ngx_http_agents_deltas_audience_clear(
    ngx_http_agents_deltas_audience_t *audience)
{
    if (audience->list != NULL) {
        ngx_free(audience->list);
    }

    ngx_memzero(audience, sizeof(ngx_http_agents_deltas_audience_t));
}


void
ngx_http_agents_deltas_say(ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_audience_t *audience,
    const ngx_http_agents_deltas_event_t *event)
{
    ngx_uint_t                      i;
    ngx_http_agents_deltas_event_t  piece;

    ngx_memzero(&piece, sizeof(ngx_http_agents_deltas_event_t));

    while (ngx_http_agents_deltas_piece(event, &piece)) {

        ngx_http_agents_deltas_tell(deltas, key, &piece);

        for (i = 0; i < audience->n; i++) {
            if ((ngx_msec_int_t) (audience->list[i].until - ngx_current_msec)
                > 0)
            {
                ngx_http_agents_deltas_send(deltas, key,
                                            audience->list[i].worker, &piece);
            }
        }
    }
}


void
ngx_http_agents_deltas_answer(ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_to_t *to,
    const ngx_http_agents_deltas_event_t *event)
{
    ngx_http_agents_deltas_event_t  piece;

    ngx_memzero(&piece, sizeof(ngx_http_agents_deltas_event_t));

    while (ngx_http_agents_deltas_piece(event, &piece)) {

        if (to->listener != NULL) {
            ngx_http_agents_deltas_take(to->listener, &piece);

        } else {
            ngx_http_agents_deltas_send(deltas, key, to->worker, &piece);
        }
    }
}


/* The next piece of an event's text, cut at a character; an event without text
 * is one. */

static ngx_uint_t
ngx_http_agents_deltas_piece(const ngx_http_agents_deltas_event_t *event,
    ngx_http_agents_deltas_event_t *piece)
{
    size_t  from, len;

    from = 0;

    if (piece->text.data != NULL) {

        if (event->text.len == 0) {
            return 0;
        }

        from = piece->text.data + piece->text.len - event->text.data;

        if (from == event->text.len) {
            return 0;
        }
    }

    len = ngx_min(event->text.len - from, NGX_HTTP_AGENTS_DELTAS_PIECE);

    while (from + len < event->text.len && len > 1
           && (event->text.data[from + len] & 0xc0) == 0x80)
    {
        len--;
    }

    *piece = *event;

    piece->at = event->at + from;
    piece->text.data = (event->text.data == NULL)
                       ? (u_char *) "" : event->text.data + from;
    piece->text.len = len;

    return 1;
}


/* To those of this worker. */

static void
ngx_http_agents_deltas_tell(ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_event_t *event)
{
    ngx_queue_t                        *q, *bucket;
    ngx_http_agents_deltas_listener_t  *listener;

    bucket = ngx_http_agents_deltas_bucket(deltas, key);

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        listener = ngx_queue_data(q, ngx_http_agents_deltas_listener_t, queue);

        if (ngx_http_agents_deltas_is(&listener->key, key)) {
            ngx_http_agents_deltas_take(listener, event);
        }
    }
}


static void
ngx_http_agents_deltas_take(ngx_http_agents_deltas_listener_t *listener,
    const ngx_http_agents_deltas_event_t *event)
{
    ngx_http_agents_deltas_event_t  missed;

    switch (event->kind) {

    case NGX_HTTP_AGENTS_DELTAS_NOTHING:
        listener->late = 0;
        return;

    case NGX_HTTP_AGENTS_DELTAS_MISSED:

        if (listener->late) {
            listener->late = 0;
            listener->missed = 1;
            listener->talk = event->talk;
        }

        return;

    case NGX_HTTP_AGENTS_DELTAS_SAID:
    case NGX_HTTP_AGENTS_DELTAS_WITHDRAWN:

        if (event->talk == listener->talk && !listener->missed) {
            listener->handler(listener->data, event);
        }

        return;

    default: /* TEXT, ARGUMENTS */
        break;
    }

    if (!ngx_http_agents_deltas_in_turn(listener, event)
        || listener->missed)
    {
        return;
    }

    if (event->at == listener->at) {
        listener->at += event->text.len;
        listener->handler(listener->data, event);
        return;
    }

    listener->missed = 1;

    missed = *event;
    missed.kind = NGX_HTTP_AGENTS_DELTAS_MISSED;

    listener->handler(listener->data, &missed);
}


/* Whether a piece is for this listener.  A new talk begins with its first one;
 * who hears of it later has it told again. */

static ngx_uint_t
ngx_http_agents_deltas_in_turn(ngx_http_agents_deltas_listener_t *listener,
    const ngx_http_agents_deltas_event_t *event)
{
    if (event->talk < listener->talk) {
        return 0;
    }

    if (listener->late && event->at == 0) {
        listener->late = 0;
        listener->catching = event->again;

    } else if (listener->late) {
        return 0;

    } else if (!event->again) {
        listener->catching = 0;

    } else if (!listener->catching) {
        return 0;
    }

    if (event->talk == listener->talk) {
        return 1;
    }

    if (event->at != 0) {

        /* whoever carries the run now had not been asked yet */

        listener->late = 1;
        ngx_http_agents_deltas_seek(listener->deltas, listener);

        return 0;
    }

    listener->talk = event->talk;
    listener->at = 0;
    listener->missed = 0;

    return 1;
}


static void
ngx_http_agents_deltas_send(ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key, ngx_uint_t worker,
    const ngx_http_agents_deltas_event_t *event)
{
    u_char                           *p;
    ngx_http_agents_deltas_record_t  *record;

    record = ngx_http_agents_wire_put(deltas->wire, worker,
                                      sizeof(ngx_http_agents_deltas_record_t)
                                      + event->id.len + event->text.len);
    if (record == NULL) {
        return;
    }

    ngx_memzero(record, sizeof(ngx_http_agents_deltas_record_t));

    record->key = *key;
    record->kind = event->kind;
    record->worker = ngx_worker;
    record->flag = event->again;
    record->talk = event->talk;
    record->turn_index = event->turn_index;
    record->parts = event->parts;
    record->at = event->at;
    record->id = event->id.len;
    record->text = event->text.len;

    p = (u_char *) (record + 1);

    if (event->id.len != 0) {
        p = ngx_cpymem(p, event->id.data, event->id.len);
    }

    ngx_memcpy(p, event->text.data, event->text.len);
}


static void
ngx_http_agents_deltas_received(void *data, const void *bytes, size_t len)
{
    ngx_http_agents_deltas_t *deltas = data;

    ngx_http_agents_deltas_to_t             to;
    ngx_http_agents_deltas_event_t          event;
    const ngx_http_agents_deltas_record_t  *record;

    record = bytes;

    if (len < sizeof(ngx_http_agents_deltas_record_t)
        || record->id > len || record->text > len
        || sizeof(ngx_http_agents_deltas_record_t) + record->id + record->text
           > len)
    {
        return;
    }

    if (record->kind == NGX_HTTP_AGENTS_DELTAS_ASK) {
        to.listener = NULL;
        to.worker = record->worker;
        to.late = (record->flag != 0);

        if (deltas->ask != NULL) {
            (void) deltas->ask(deltas->ask_data, &record->key, &to);
        }

        return;
    }

    ngx_memzero(&event, sizeof(ngx_http_agents_deltas_event_t));

    event.kind = record->kind;
    event.again = (record->flag != 0);
    event.talk = record->talk;
    event.turn_index = record->turn_index;
    event.parts = record->parts;
    event.at = record->at;
    event.id.data = (u_char *) (record + 1);
    event.id.len = record->id;
    event.text.data = event.id.data + event.id.len;
    event.text.len = record->text;

    ngx_http_agents_deltas_tell(deltas, &record->key, &event);
}
