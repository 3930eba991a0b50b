
/*
 * The gate in front of a cluster's inferences.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_gate.h"


/* How soon a place that another worker gave up is seen, in milliseconds. */
#define NGX_HTTP_AGENTS_GATE_POLL   50


struct ngx_http_agents_gate_s {
    ngx_http_agents_gate_zone_t    *zone;
    const ngx_http_agents_slots_t  *slots;
    ngx_shmtx_t                    *mutex;
    ngx_queue_t                     lines[NGX_HTTP_AGENTS_GATES];
    ngx_uint_t                      waiting;
    ngx_event_t                     timer;
};


static ngx_int_t ngx_http_agents_gate_find(ngx_http_agents_gate_t *gate,
    ngx_http_agents_plane_t *plane, ngx_http_agents_cluster_t *cluster);
static ngx_uint_t ngx_http_agents_gate_take(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, ngx_uint_t spare);
static ngx_uint_t ngx_http_agents_gate_total(
    const ngx_http_agents_gate_slot_t *slot);
static void ngx_http_agents_gate_reclaim(ngx_http_agents_gate_t *gate,
    ngx_http_agents_gate_slot_t *slot);
static void ngx_http_agents_gate_unqueue(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass);
static void ngx_http_agents_gate_admit(ngx_http_agents_gate_t *gate,
    ngx_uint_t n);
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
        ngx_queue_init(&gate->lines[i]);
        gate->zone->slots[i].held[ngx_process_slot] = 0;
        gate->zone->slots[i].waiting[ngx_process_slot] = 0;
    }

    return gate;
}


ngx_int_t
ngx_http_agents_gate_enter(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, ngx_http_agents_plane_t *plane,
    ngx_http_agents_cluster_t *cluster)
{
    ngx_int_t  n;

    if (cluster->max_inferences == 0) {
        return NGX_OK;
    }

    n = ngx_http_agents_gate_find(gate, plane, cluster);
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    pass->gate = n;
    pass->limit = cluster->max_inferences;

    if (ngx_queue_empty(&gate->lines[n])
        && ngx_http_agents_gate_take(gate, pass, 0))
    {
        return NGX_OK;
    }

    pass->state = NGX_HTTP_AGENTS_PASS_WAITING;
    ngx_queue_insert_tail(&gate->lines[n], &pass->queue);
    gate->waiting++;
    gate->zone->slots[n].waiting[ngx_process_slot]++;

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
    ngx_int_t  n;

    if (cluster->max_inferences == 0) {
        return NGX_OK;
    }

    n = ngx_http_agents_gate_find(gate, plane, cluster);
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    pass->gate = n;
    pass->limit = cluster->max_inferences;

    return ngx_queue_empty(&gate->lines[n])
           && ngx_http_agents_gate_take(gate, pass, spare)
           ? NGX_OK : NGX_AGAIN;
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


static ngx_uint_t
ngx_http_agents_gate_take(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass, ngx_uint_t spare)
{
    ngx_uint_t                    total, taken;
    ngx_http_agents_gate_slot_t  *slot;

    slot = &gate->zone->slots[pass->gate];

    ngx_shmtx_lock(gate->mutex);

    total = ngx_http_agents_gate_total(slot);

    if (total + spare >= pass->limit) {
        ngx_http_agents_gate_reclaim(gate, slot);
        total = ngx_http_agents_gate_total(slot);
    }

    taken = (total + spare < pass->limit);

    if (taken) {
        slot->held[ngx_process_slot]++;
    }

    ngx_shmtx_unlock(gate->mutex);

    if (taken) {
        pass->state = NGX_HTTP_AGENTS_PASS_INSIDE;
    }

    return taken;
}


static ngx_uint_t
ngx_http_agents_gate_total(const ngx_http_agents_gate_slot_t *slot)
{
    ngx_uint_t  i, total;

    total = 0;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        total += slot->held[i];
    }

    return total;
}


/*
 * What processes hold that are gone: one that died while it was to exit has no
 * successor, and its slot may stay empty for long.
 */

static void
ngx_http_agents_gate_reclaim(ngx_http_agents_gate_t *gate,
    ngx_http_agents_gate_slot_t *slot)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        if (slot->held[i] != 0
            && !ngx_http_agents_slots_live(gate->slots, i))
        {
            slot->held[i] = 0;
        }
    }
}


void
ngx_http_agents_gate_leave(ngx_http_agents_gate_t *gate,
    ngx_http_agents_pass_t *pass)
{
    ngx_http_agents_gate_slot_t  *slot;

    switch (pass->state) {

    case NGX_HTTP_AGENTS_PASS_WAITING:
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
    ngx_queue_remove(&pass->queue);

    gate->waiting--;
    gate->zone->slots[pass->gate].waiting[ngx_process_slot]--;
}


static void
ngx_http_agents_gate_admit(ngx_http_agents_gate_t *gate, ngx_uint_t n)
{
    ngx_queue_t             *q;
    ngx_http_agents_pass_t  *pass;

    while (!ngx_queue_empty(&gate->lines[n])) {
        q = ngx_queue_head(&gate->lines[n]);
        pass = ngx_queue_data(q, ngx_http_agents_pass_t, queue);

        if (!ngx_http_agents_gate_take(gate, pass, 0)) {
            return;
        }

        ngx_http_agents_gate_unqueue(gate, pass);

        pass->enter(pass->data);
    }
}


/* Places that other workers gave up are found by asking. */

static void
ngx_http_agents_gate_handler(ngx_event_t *ev)
{
    ngx_http_agents_gate_t *gate = ev->data;

    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_AGENTS_GATES; i++) {
        ngx_http_agents_gate_admit(gate, i);
    }

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
