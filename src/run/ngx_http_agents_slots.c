
/*
 * Processes of this node by their slots.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_agents_slots.h"


static void ngx_http_agents_slots_clear(ngx_http_agents_slot_t *slot);


/* The dead predecessor's figures go before the slot counts again. */

void
ngx_http_agents_slots_enter(ngx_http_agents_slots_t *slots)
{
    ngx_http_agents_slot_t  *slot;

    slot = &slots->slots[ngx_process_slot];

    ngx_http_agents_slots_clear(slot);
    slot->worker = ngx_worker;

    ngx_memory_barrier();

    slot->pid = ngx_pid;
}


void
ngx_http_agents_slots_leave(ngx_http_agents_slots_t *slots)
{
    ngx_http_agents_slot_t  *slot;

    slot = &slots->slots[ngx_process_slot];

    slot->pid = 0;

    ngx_http_agents_slots_clear(slot);
}


static void
ngx_http_agents_slots_clear(ngx_http_agents_slot_t *slot)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_AGENTS_GAUGE_MAX; i++) {
        slot->gauges[i] = 0;
    }
}


/* One that may not be signalled is there: workers may change their user. */

ngx_uint_t
ngx_http_agents_slots_live(const ngx_http_agents_slots_t *slots,
    ngx_uint_t slot)
{
    ngx_pid_t  pid;

    pid = (ngx_pid_t) slots->slots[slot].pid;

    if (pid == 0 || pid == ngx_pid) {
        return pid != 0;
    }

    return kill(pid, 0) == 0 || ngx_errno == NGX_EPERM;
}


ngx_uint_t
ngx_http_agents_slots_worker(const ngx_http_agents_slots_t *slots,
    ngx_uint_t slot)
{
    return slots->slots[slot].worker;
}


void
ngx_http_agents_slots_add(ngx_http_agents_slots_t *slots,
    ngx_http_agents_gauge_e gauge, ngx_int_t n)
{
    slots->slots[ngx_process_slot].gauges[gauge] += n;
}


void
ngx_http_agents_slots_set(ngx_http_agents_slots_t *slots,
    ngx_http_agents_gauge_e gauge, ngx_uint_t value)
{
    slots->slots[ngx_process_slot].gauges[gauge] = value;
}


void
ngx_http_agents_slots_figures(const ngx_http_agents_slots_t *slots,
    ngx_http_agents_slots_figures_t *figures)
{
    ngx_uint_t  i, k;

    ngx_memzero(figures, sizeof(ngx_http_agents_slots_figures_t));

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {

        if (!ngx_http_agents_slots_live(slots, i)) {
            continue;
        }

        figures->processes++;

        for (k = 0; k < NGX_HTTP_AGENTS_GAUGE_MAX; k++) {
            figures->sums[k] += slots->slots[i].gauges[k];
        }
    }
}
