
/*
 * The shared memory of "agents_zone".
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_zone.h"


extern ngx_module_t  ngx_http_agents_module;


static ngx_int_t ngx_http_agents_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);


ngx_shm_zone_t *
ngx_http_agents_zone_add(ngx_conf_t *cf, ngx_str_t *value)
{
    u_char          *p;
    ssize_t          size;
    ngx_str_t        name, s;
    ngx_shm_zone_t  *zone;

    ngx_str_set(&name, "agents");
    size = 1024 * 1024;

    if (value != NULL) {
        p = (u_char *) ngx_strlchr(value->data, value->data + value->len, ':');

        if (p == NULL || p == value->data) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid zone \"%V\": it must be NAME:SIZE, as "
                               "in \"agents:1m\"", value);
            return NULL;
        }

        name.data = value->data;
        name.len = p - value->data;

        s.data = p + 1;
        s.len = value->data + value->len - s.data;

        size = ngx_parse_size(&s);
    }

    if (size < (ssize_t) (sizeof(ngx_http_agents_zone_t)
                          + 8 * ngx_pagesize))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size of the zone \"%V\": it must be at "
                           "least %uzk, as in \"agents:1m\"", value,
                           (sizeof(ngx_http_agents_zone_t)
                            + 8 * ngx_pagesize) / 1024 + 1);
        return NULL;
    }

    zone = ngx_shared_memory_add(cf, &name, size,
                                 &ngx_http_agents_module);
    if (zone == NULL) {
        return NULL;
    }

    zone->init = ngx_http_agents_zone_init;

    return zone;
}


static ngx_int_t
ngx_http_agents_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t              *shpool;
    ngx_http_agents_zone_t  *zone;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data != NULL) {
        shm_zone->data = data;
        return NGX_OK;
    }

    if (shm_zone->shm.exists) {
        shm_zone->data = shpool->data;
        return NGX_OK;
    }

    zone = ngx_slab_calloc(shpool, sizeof(ngx_http_agents_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_agents_ident_random(zone->node, NGX_HTTP_AGENTS_NODE_LEN / 2)
        == -1)
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, ngx_errno,
                      "no random bytes for the node's id");
        return NGX_ERROR;
    }

    shpool->data = zone;
    shm_zone->data = zone;

    return NGX_OK;
}


ngx_http_agents_zone_t *
ngx_http_agents_zone_get(ngx_shm_zone_t *shm_zone, ngx_shmtx_t **mutex)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    *mutex = &shpool->mutex;

    return shm_zone->data;
}
