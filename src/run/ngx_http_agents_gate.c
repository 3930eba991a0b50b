
/*
 * The gate in front of a cluster's inferences.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_gate.h"


/* In milliseconds: how soon a place is seen that a worker gave up who could not
 * wake this one; and how long one is left to a worker who does not take it. */
#define NGX_HTTP_AGENTS_GATE_POLL    50
#define NGX_HTTP_AGENTS_GATE_YIELD  100


/* Since when a place is left to others; until one was taken. */
typedef struct {
    ngx_msec_t                      since;
    uint32_t                        taken;
} ngx_http_agents_gate_yield_t;


struct ngx_http_agents_gate_s {
    ngx_http_agents_gate_zone_t    *zone;
    const ngx_http_agents_slots_t  *slots;
    ngx_http_agents_wake_t         *wake;
    ngx_shmtx_t                    *mutex;
    ngx_http_agents_lines_t         lines[NGX_HTTP_AGENTS_GATES];
    ngx_http_agents_gate_yield_t    yields[NGX_HTTP_AGENTS_GATES];
    ngx_uint_t                      waiting;
    ngx_event_t                     timer;
};


/* A gate as it is for this process, by the zone. */
typedef struct {
    ngx_uint_t                      total;      /* held by all */
    ngx_uint_t                      others;     /* in line elsewhere */
    ngx_int_t                       waiting;    /* a process that waits */
    ngx_int_t                       first;      /* one whose turn is in this
                                                   round; -1: none, likewise */
} ngx_http_agents_gate_view_t;


static ngx_int_t ngx_http_agents_gate_find(ngx_http_agents_gate_t *gate,
    ngx_http_agents_plane_t *plane, ngx_http_agents_cluster_t *cluster);
static ngx_uint_t ngx_http_agents_gate_take(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, uint32_t turn);
static ngx_uint_t ngx_http_agents_gate_yield(ngx_http_agents_gate_t *gate,
    ngx_uint_t n);
static void ngx_http_agents_gate_wake(ngx_http_agents_gate_t *gate,
    ngx_uint_t process);
static void ngx_http_agents_gate_view(ngx_http_agents_gate_t *gate,
    ngx_http_agents_gate_slot_t *slot, ngx_http_agents_gate_view_t *view);
static void ngx_http_agents_gate_reclaim(ngx_http_agents_gate_t *gate,
    ngx_http_agents_gate_slot_t *slot, ngx_http_agents_gate_view_t *view);
static void ngx_http_agents_gate_show(ngx_http_agents_gate_t *gate,
    ngx_uint_t n);
static void ngx_http_agents_gate_unqueue(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass);
static void ngx_http_agents_gate_admit(ngx_http_agents_gate_t *gate,
    ngx_uint_t n);
static void ngx_http_agents_gate_offer(ngx_http_agents_gate_t *gate,
    ngx_uint_t n);
static void ngx_http_agents_gate_look(void *data);
static void ngx_http_agents_gate_handler(ngx_event_t *ev);


ngx_http_agents_gate_t *
ngx_http_agents_gate_create(ngx_http_agents_gate_zone_t *zone,
    const ngx_http_agents_slots_t *slots, ngx_shmtx_t *mutex, ngx_pool_t *pool,
    ngx_log_t *log)
{
    ngx_uint_t               i;
    ngx_http_agents_gate_t  *gate;

    gate = ngx_pcalloc(pool, sizeof(ngx_http_agents_gate_t));
    if (gate == NULL) {
        return NULL;
    }

    gate->zone = zone;
    gate->slots = slots;
    gate->mutex = mutex;

    gate->timer.handler = ngx_http_agents_gate_handler;
    gate->timer.data = gate;
    gate->timer.log = log;
    gate->timer.cancelable = 1;

    for (i = 0; i < NGX_HTTP_AGENTS_GATES; i++) {
        ngx_http_agents_line_init(&gate->lines[i], log);
        gate->zone->slots[i].held[ngx_process_slot] = 0;
        gate->zone->slots[i].waiting[ngx_process_slot] = 0;
        gate->yields[i].taken = gate->zone->slots[i].taken - 1;
    }

    return gate;
}


void
ngx_http_agents_gate_listen(ngx_http_agents_gate_t *gate,
    ngx_http_agents_wake_t *wake)
{
    gate->wake = wake;

    ngx_http_agents_wake_on_place(wake, ngx_http_agents_gate_look, gate);
}


ngx_int_t
ngx_http_agents_gate_enter(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, const ngx_http_agents_owner_t *owner,
    ngx_http_agents_plane_t *plane, ngx_http_agents_cluster_t *cluster)
{
    uint32_t                      turn;
    ngx_int_t                     n;
    ngx_http_agents_lines_t      *lines;
    ngx_http_agents_gate_slot_t  *slot;

    if (cluster->max_inferences == 0) {
        return NGX_OK;
    }

    n = ngx_http_agents_gate_find(gate, plane, cluster);
    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    slot = &gate->zone->slots[n];
    lines = &gate->lines[n];

    pass->gate = n;
    pass->limit = cluster->max_inferences;

    pass->line = ngx_http_agents_line_get(lines, owner, slot->round);
    if (pass->line == NULL) {
        return NGX_ERROR;
    }

    turn = ngx_http_agents_line_round(pass->line, slot->round);

    if (ngx_http_agents_line_first(lines, slot->round) == NULL
        && ngx_http_agents_gate_take(gate, pass, turn))
    {
        ngx_http_agents_line_served(lines, pass->line, turn, slot->round);
        return NGX_OK;
    }

    pass->state = NGX_HTTP_AGENTS_PASS_WAITING;

    ngx_http_agents_line_join(lines, pass->line, &pass->queue, slot->round);

    gate->waiting++;
    slot->waiting[ngx_process_slot]++;
    ngx_http_agents_gate_show(gate, n);

    if (!gate->timer.timer_set) {
        ngx_add_timer(&gate->timer, NGX_HTTP_AGENTS_GATE_POLL);
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_agents_gate_try(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, ngx_http_agents_plane_t *plane,
    ngx_http_agents_cluster_t *cluster, ngx_uint_t spare)
{
    ngx_int_t                     n;
    ngx_uint_t                    taken;
    ngx_http_agents_gate_slot_t  *slot;
    ngx_http_agents_gate_view_t   view;

    if (cluster->max_inferences == 0) {
        return NGX_OK;
    }

    n = ngx_http_agents_gate_find(gate, plane, cluster);
    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    slot = &gate->zone->slots[n];

    ngx_shmtx_lock(gate->mutex);

    ngx_http_agents_gate_view(gate, slot, &view);

    taken = view.total + spare < cluster->max_inferences && view.others == 0
            && slot->waiting[ngx_process_slot] == 0;

    if (taken) {
        slot->held[ngx_process_slot]++;
        slot->taken++;
    }

    ngx_shmtx_unlock(gate->mutex);

    if (!taken) {
        return NGX_AGAIN;
    }

    pass->gate = n;
    pass->limit = cluster->max_inferences;
    pass->state = NGX_HTTP_AGENTS_PASS_INSIDE;

    return NGX_OK;
}


/* The cluster's slot in the zone, made at its first use. */

static ngx_int_t
ngx_http_agents_gate_find(ngx_http_agents_gate_t *gate,
    ngx_http_agents_plane_t *plane, ngx_http_agents_cluster_t *cluster)
{
    u_char                       *end;
    u_char                        name[NGX_HTTP_AGENTS_GATE_NAME];
    ngx_int_t                     i, n;
    ngx_http_agents_gate_slot_t  *slot;

    end = ngx_snprintf(name, NGX_HTTP_AGENTS_GATE_NAME - 1, "%V/%V",
                       &plane->id, &cluster->name);
    *end = '\0';

    n = NGX_ERROR;

    ngx_shmtx_lock(gate->mutex);

    for (i = 0; i < NGX_HTTP_AGENTS_GATES; i++) {
        slot = &gate->zone->slots[i];

        if (slot->name[0] == '\0') {
            ngx_memcpy(slot->name, name, end - name + 1);
        }

        if (ngx_strcmp(slot->name, name) == 0) {
            slot->limit = cluster->max_inferences;
            n = i;
            break;
        }
    }

    ngx_shmtx_unlock(gate->mutex);

    return n;
}


/*
 * A place, for whose turn it is in the round "turn".  It is left to a worker
 * where someone's turn is before that.
 */

static ngx_uint_t
ngx_http_agents_gate_take(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, uint32_t turn)
{
    ngx_uint_t                    later, taken, left, waiting;
    ngx_http_agents_gate_slot_t  *slot;
    ngx_http_agents_gate_view_t   view;

    slot = &gate->zone->slots[pass->gate];

    ngx_shmtx_lock(gate->mutex);

    ngx_http_agents_gate_view(gate, slot, &view);

    if (view.total >= pass->limit) {
        ngx_http_agents_gate_reclaim(gate, slot, &view);
    }

    later = (int32_t) (turn - slot->round) > 0;

    taken = view.total < pass->limit;
    left = taken && later && view.first != -1
           && ngx_http_agents_gate_yield(gate, pass->gate);

    if (left) {
        taken = 0;
    }

    if (taken) {
        slot->held[ngx_process_slot]++;
        slot->taken++;

        if (later) {
            slot->round = turn;
        }

        waiting = slot->waiting[ngx_process_slot]
                  - (pass->state == NGX_HTTP_AGENTS_PASS_WAITING);

        if (waiting + view.others == 0) {

            /* nobody waits: all had what they wanted in this round */

            slot->round++;
        }
    }

    ngx_shmtx_unlock(gate->mutex);

    if (left) {
        ngx_http_agents_gate_wake(gate, view.first);
    }

    if (taken) {
        pass->state = NGX_HTTP_AGENTS_PASS_INSIDE;
    }

    return taken;
}


/* Not for ever: the other worker may hang. */

static ngx_uint_t
ngx_http_agents_gate_yield(ngx_http_agents_gate_t *gate, ngx_uint_t n)
{
    ngx_http_agents_gate_slot_t   *slot;
    ngx_http_agents_gate_yield_t  *yield;

    slot = &gate->zone->slots[n];
    yield = &gate->yields[n];

    if (yield->taken != slot->taken) {
        yield->taken = slot->taken;
        yield->since = ngx_current_msec;
    }

    return ngx_current_msec - yield->since < NGX_HTTP_AGENTS_GATE_YIELD;
}


static void
ngx_http_agents_gate_wake(ngx_http_agents_gate_t *gate, ngx_uint_t process)
{
    ngx_http_agents_wake_place(gate->wake,
                               ngx_http_agents_slots_worker(gate->slots,
                                                            process));
}


/* Begins behind this process, so that those who wait elsewhere take turns. */

static void
ngx_http_agents_gate_view(ngx_http_agents_gate_t *gate,
    ngx_http_agents_gate_slot_t *slot, ngx_http_agents_gate_view_t *view)
{
    ngx_uint_t  i, n;

    view->total = slot->held[ngx_process_slot];
    view->others = 0;
    view->waiting = -1;
    view->first = -1;

    for (n = 1; n < NGX_MAX_PROCESSES; n++) {
        i = (ngx_process_slot + n) % NGX_MAX_PROCESSES;

        view->total += slot->held[i];

        if (slot->waiting[i] == 0) {
            continue;
        }

        if (!ngx_http_agents_slots_live(gate->slots, i)) {
            slot->waiting[i] = 0;
            continue;
        }

        view->others += slot->waiting[i];

        if (view->waiting == -1) {
            view->waiting = i;
        }

        if (view->first == -1
            && (int8_t) (slot->rounds[i] - (uint8_t) slot->round) <= 0)
        {
            view->first = i;
        }
    }
}


/*
 * What processes hold that are gone: one that died while it was to exit has no
 * successor, and its slot may stay empty for long.
 */

static void
ngx_http_agents_gate_reclaim(ngx_http_agents_gate_t *gate,
    ngx_http_agents_gate_slot_t *slot, ngx_http_agents_gate_view_t *view)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        if (slot->held[i] != 0
            && !ngx_http_agents_slots_live(gate->slots, i))
        {
            view->total -= slot->held[i];
            slot->held[i] = 0;
        }
    }
}


/* For the others: in which round somebody here has the next turn. */

static void
ngx_http_agents_gate_show(ngx_http_agents_gate_t *gate, ngx_uint_t n)
{
    ngx_http_agents_line_t       *line;
    ngx_http_agents_gate_slot_t  *slot;

    slot = &gate->zone->slots[n];
    line = ngx_http_agents_line_first(&gate->lines[n], slot->round);

    if (line != NULL) {
        slot->rounds[ngx_process_slot] = (uint8_t) line->round;
    }
}


void
ngx_http_agents_gate_leave(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass)
{
    ngx_http_agents_gate_slot_t  *slot;

    switch (pass->state) {

    case NGX_HTTP_AGENTS_PASS_WAITING:
        slot = &gate->zone->slots[pass->gate];

        ngx_http_agents_line_leave(&gate->lines[pass->gate], pass->line,
                                   &pass->queue, slot->round);
        ngx_http_agents_gate_unqueue(gate, pass);
        pass->state = NGX_HTTP_AGENTS_PASS_NONE;
        break;

    case NGX_HTTP_AGENTS_PASS_INSIDE:
        slot = &gate->zone->slots[pass->gate];

        ngx_shmtx_lock(gate->mutex);
        slot->held[ngx_process_slot]--;
        ngx_shmtx_unlock(gate->mutex);

        pass->state = NGX_HTTP_AGENTS_PASS_NONE;
        ngx_http_agents_gate_admit(gate, pass->gate);
        break;

    default:
        break;
    }
}


static void
ngx_http_agents_gate_unqueue(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass)
{
    gate->waiting--;
    gate->zone->slots[pass->gate].waiting[ngx_process_slot]--;

    ngx_http_agents_gate_show(gate, pass->gate);
}


/* Lets in whose turn it is, here or elsewhere, as long as there is a place. */

static void
ngx_http_agents_gate_admit(ngx_http_agents_gate_t *gate, ngx_uint_t n)
{
    uint32_t                      turn;
    ngx_queue_t                  *q;
    ngx_http_agents_line_t       *line;
    ngx_http_agents_pass_t       *pass;
    ngx_http_agents_gate_slot_t  *slot;

    slot = &gate->zone->slots[n];

    for ( ;; ) {
        line = ngx_http_agents_line_first(&gate->lines[n], slot->round);

        if (line == NULL) {
            ngx_http_agents_gate_offer(gate, n);
            return;
        }

        q = ngx_queue_head(&line->places);
        pass = ngx_queue_data(q, ngx_http_agents_pass_t, queue);

        turn = line->round;

        if (!ngx_http_agents_gate_take(gate, pass, turn)) {
            return;
        }

        ngx_queue_remove(q);
        ngx_http_agents_line_served(&gate->lines[n], line, turn, slot->round);
        ngx_http_agents_gate_unqueue(gate, pass);

        pass->enter(pass->data);
    }
}


/* Nobody waits here: a place that is free is for those who wait elsewhere. */

static void
ngx_http_agents_gate_offer(ngx_http_agents_gate_t *gate, ngx_uint_t n)
{
    ngx_int_t                     to;
    ngx_http_agents_gate_slot_t  *slot;
    ngx_http_agents_gate_view_t   view;

    slot = &gate->zone->slots[n];

    ngx_shmtx_lock(gate->mutex);

    ngx_http_agents_gate_view(gate, slot, &view);

    to = (view.first != -1) ? view.first : view.waiting;

    if (view.total >= slot->limit) {
        to = -1;
    }

    ngx_shmtx_unlock(gate->mutex);

    if (to != -1) {
        ngx_http_agents_gate_wake(gate, to);
    }
}


/* Another worker has left a place to this one, or it is time to ask. */

static void
ngx_http_agents_gate_look(void *data)
{
    ngx_http_agents_gate_t *gate = data;

    ngx_uint_t  i;

    for (i = 0; gate->waiting != 0 && i < NGX_HTTP_AGENTS_GATES; i++) {
        if (gate->zone->slots[i].waiting[ngx_process_slot] != 0) {
            ngx_http_agents_gate_show(gate, i);
            ngx_http_agents_gate_admit(gate, i);
        }
    }
}


static void
ngx_http_agents_gate_handler(ngx_event_t *ev)
{
    ngx_http_agents_gate_t *gate = ev->data;

    ngx_http_agents_gate_look(gate);

    if (gate->waiting != 0 && !ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_AGENTS_GATE_POLL);
    }
}


ngx_int_t
ngx_http_agents_gate_figures(ngx_http_agents_gate_t *gate, ngx_uint_t n,
    ngx_http_agents_gate_figures_t *figures)
{
    ngx_uint_t                    i;
    ngx_http_agents_gate_slot_t  *slot;

    if (n == NGX_HTTP_AGENTS_GATES) {
        return NGX_DECLINED;
    }

    slot = &gate->zone->slots[n];

    ngx_memzero(figures, sizeof(ngx_http_agents_gate_figures_t));

    ngx_shmtx_lock(gate->mutex);

    figures->name = slot->name;
    figures->limit = slot->limit;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        if ((slot->held[i] != 0 || slot->waiting[i] != 0)
            && ngx_http_agents_slots_live(gate->slots, i))
        {
            figures->held += slot->held[i];
            figures->waiting += slot->waiting[i];
        }
    }

    ngx_shmtx_unlock(gate->mutex);

    return slot->name[0] != '\0' ? NGX_OK : NGX_DECLINED;
}
