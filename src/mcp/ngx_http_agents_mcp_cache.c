
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_mcp_cache.h"


/* Of a worker, for each agents_api: the least recently used give way. */
#define NGX_HTTP_AGENTS_MCP_CACHE_ENTRIES  512
#define NGX_HTTP_AGENTS_MCP_CACHE_BYTES    (16 * 1024 * 1024)


typedef struct {
    ngx_queue_t                    queue;
    ngx_http_agents_mcp_cached_t   cached;
    size_t                         bytes;
    ngx_msec_t                     expires;
    uint32_t                       hash;
    size_t                         len;
    u_char                         key[1];
} ngx_http_agents_mcp_cache_entry_t;


struct ngx_http_agents_mcp_cache_s {
    ngx_queue_t                    entries;     /* the last used first */
    ngx_uint_t                     n;
    size_t                         bytes;
};


static void ngx_http_agents_mcp_cache_cleanup(void *data);
static ngx_http_agents_mcp_cache_entry_t *ngx_http_agents_mcp_cache_find(
    ngx_http_agents_mcp_cache_t *cache, const ngx_str_t *key);
static void ngx_http_agents_mcp_cache_remove(
    ngx_http_agents_mcp_cache_t *cache,
    ngx_http_agents_mcp_cache_entry_t *entry);


ngx_http_agents_mcp_cache_t *
ngx_http_agents_mcp_cache_create(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_agents_mcp_cache_t  *cache;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_agents_mcp_cache_t));
    if (cln == NULL) {
        return NULL;
    }

    cache = cln->data;

    ngx_queue_init(&cache->entries);
    cache->n = 0;
    cache->bytes = 0;

    cln->handler = ngx_http_agents_mcp_cache_cleanup;

    return cache;
}


static void
ngx_http_agents_mcp_cache_cleanup(void *data)
{
    ngx_queue_t                  *q;
    ngx_http_agents_mcp_cache_t  *cache = data;

    while (!ngx_queue_empty(&cache->entries)) {
        q = ngx_queue_head(&cache->entries);
        ngx_http_agents_mcp_cache_remove(cache,
            ngx_queue_data(q, ngx_http_agents_mcp_cache_entry_t, queue));
    }
}


ngx_int_t
ngx_http_agents_mcp_cache_get(ngx_http_agents_mcp_cache_t *cache,
    const ngx_str_t *key, ngx_http_agents_mcp_cached_t *cached)
{
    ngx_http_agents_mcp_cache_entry_t  *entry;

    entry = ngx_http_agents_mcp_cache_find(cache, key);

    if (entry == NULL) {
        return NGX_DECLINED;
    }

    if ((ngx_msec_int_t) (entry->expires - ngx_current_msec) <= 0) {
        ngx_http_agents_mcp_cache_remove(cache, entry);
        return NGX_DECLINED;
    }

    ngx_queue_remove(&entry->queue);
    ngx_queue_insert_head(&cache->entries, &entry->queue);

    *cached = entry->cached;
    (void) json_incref(cached->tools);
    (void) json_incref(cached->params);

    return NGX_OK;
}


void
ngx_http_agents_mcp_cache_put(ngx_http_agents_mcp_cache_t *cache,
    const ngx_str_t *key, const ngx_http_agents_mcp_cached_t *cached,
    size_t bytes, ngx_msec_t time)
{
    ngx_queue_t                        *q;
    ngx_http_agents_mcp_cache_entry_t  *entry;

    ngx_http_agents_mcp_cache_drop(cache, key);

    bytes += sizeof(ngx_http_agents_mcp_cache_entry_t) + key->len;

    if (bytes > NGX_HTTP_AGENTS_MCP_CACHE_BYTES) {
        return;
    }

    entry = malloc(sizeof(ngx_http_agents_mcp_cache_entry_t) + key->len);
    if (entry == NULL) {
        return;
    }

    while (cache->n == NGX_HTTP_AGENTS_MCP_CACHE_ENTRIES
           || cache->bytes + bytes > NGX_HTTP_AGENTS_MCP_CACHE_BYTES)
    {
        q = ngx_queue_last(&cache->entries);
        ngx_http_agents_mcp_cache_remove(cache,
            ngx_queue_data(q, ngx_http_agents_mcp_cache_entry_t, queue));
    }

    entry->cached = *cached;
    (void) json_incref(cached->tools);
    (void) json_incref(cached->params);

    entry->bytes = bytes;
    entry->expires = ngx_current_msec + time;
    entry->hash = ngx_crc32_short(key->data, key->len);
    entry->len = key->len;
    ngx_memcpy(entry->key, key->data, key->len);

    ngx_queue_insert_head(&cache->entries, &entry->queue);
    cache->n++;
    cache->bytes += bytes;
}


void
ngx_http_agents_mcp_cache_drop(ngx_http_agents_mcp_cache_t *cache,
    const ngx_str_t *key)
{
    ngx_http_agents_mcp_cache_entry_t  *entry;

    entry = ngx_http_agents_mcp_cache_find(cache, key);

    if (entry != NULL) {
        ngx_http_agents_mcp_cache_remove(cache, entry);
    }
}


static ngx_http_agents_mcp_cache_entry_t *
ngx_http_agents_mcp_cache_find(ngx_http_agents_mcp_cache_t *cache,
    const ngx_str_t *key)
{
    uint32_t                            hash;
    ngx_queue_t                        *q;
    ngx_http_agents_mcp_cache_entry_t  *entry;

    hash = ngx_crc32_short(key->data, key->len);

    for (q = ngx_queue_head(&cache->entries);
         q != ngx_queue_sentinel(&cache->entries);
         q = ngx_queue_next(q))
    {
        entry = ngx_queue_data(q, ngx_http_agents_mcp_cache_entry_t, queue);

        if (entry->hash == hash && entry->len == key->len
            && ngx_memcmp(entry->key, key->data, key->len) == 0)
        {
            return entry;
        }
    }

    return NULL;
}


static void
ngx_http_agents_mcp_cache_remove(ngx_http_agents_mcp_cache_t *cache,
    ngx_http_agents_mcp_cache_entry_t *entry)
{
    ngx_queue_remove(&entry->queue);
    cache->n--;
    cache->bytes -= entry->bytes;

    json_decref(entry->cached.tools);
    json_decref(entry->cached.params);
    free(entry);
}
