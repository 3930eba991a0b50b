
/*
 * The shared memory of one node's workers: fixed places, no lists, no trees,
 * since a worker can die at any instruction.  Each part belongs to the file
 * that declares its type.
 */


#ifndef _NGX_HTTP_AGENTS_ZONE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_engine.h"
#include "ngx_http_agents_gate.h"
#include "ngx_http_agents_lacks.h"
#include "ngx_http_agents_mcp_eras.h"
#include "ngx_http_agents_metrics.h"
#include "ngx_http_agents_slots.h"
#include "ngx_http_agents_wake.h"


typedef struct {
    char                         node[NGX_HTTP_AGENTS_NODE_LEN + 1];
                                            /* random; of this master alone */
    ngx_http_agents_slots_t      slots;
    ngx_http_agents_gate_zone_t  gates;
    ngx_http_agents_wake_zone_t  wake;
    ngx_http_agents_metrics_t    metrics;
    ngx_http_agents_mcp_eras_t   eras;
    ngx_http_agents_lacks_t      lacks;
} ngx_http_agents_zone_t;


/*
 * The shared memory of "agents_zone NAME:SIZE"; a NULL "value" is the default
 * agents:1m.  NULL with the reason logged.
 */
ngx_shm_zone_t *ngx_http_agents_zone_add(ngx_conf_t *cf, ngx_str_t *value);

/* The zone, all zero but for "node" when it is new, and the mutex that guards
 * it; after the configuration was read. */
ngx_http_agents_zone_t *ngx_http_agents_zone_get(ngx_shm_zone_t *shm_zone,
    ngx_shmtx_t **mutex);


#endif /* _NGX_HTTP_AGENTS_ZONE_H_INCLUDED_ */
