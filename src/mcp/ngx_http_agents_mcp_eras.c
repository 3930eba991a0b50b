
#include "ngx_http_agents_mcp_eras.h"


/* After it a server is asked anew: it may have learnt the newer revision. */
#define NGX_HTTP_AGENTS_MCP_ERAS_HOURS      24

/* The low bits of a place; it wraps after seven years. */
#define NGX_HTTP_AGENTS_MCP_ERAS_HOUR_MASK  ((ngx_atomic_uint_t) 0xffff)


static ngx_uint_t ngx_http_agents_mcp_eras_place(const ngx_str_t *url,
    ngx_atomic_uint_t *hash);
static ngx_atomic_uint_t ngx_http_agents_mcp_eras_hour(void);


ngx_uint_t
ngx_http_agents_mcp_eras_legacy(const ngx_http_agents_mcp_eras_t *eras,
    const ngx_str_t *url)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  hash, value, age;

    i = ngx_http_agents_mcp_eras_place(url, &hash);
    value = eras->places[i];

    if (value == 0 || (value & ~NGX_HTTP_AGENTS_MCP_ERAS_HOUR_MASK) != hash) {
        return 0;
    }

    age = (ngx_http_agents_mcp_eras_hour() - value)
          & NGX_HTTP_AGENTS_MCP_ERAS_HOUR_MASK;

    return (age < NGX_HTTP_AGENTS_MCP_ERAS_HOURS);
}


void
ngx_http_agents_mcp_eras_remember(ngx_http_agents_mcp_eras_t *eras,
    const ngx_str_t *url)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  hash;

    i = ngx_http_agents_mcp_eras_place(url, &hash);

    eras->places[i] = hash | ngx_http_agents_mcp_eras_hour();
}


void
ngx_http_agents_mcp_eras_forget(ngx_http_agents_mcp_eras_t *eras,
    const ngx_str_t *url)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  hash;

    i = ngx_http_agents_mcp_eras_place(url, &hash);

    if ((eras->places[i] & ~NGX_HTTP_AGENTS_MCP_ERAS_HOUR_MASK) == hash) {
        eras->places[i] = 0;
    }
}


/* The place by one hash (FNV-1a), what stands there by its high bits; they
 * are never all zero. */

static ngx_uint_t
ngx_http_agents_mcp_eras_place(const ngx_str_t *url, ngx_atomic_uint_t *hash)
{
    size_t    i;
    uint64_t  h;

    h = 0xcbf29ce484222325;

    for (i = 0; i < url->len; i++) {
        h = (h ^ url->data[i]) * 0x100000001b3;
    }

    *hash = (ngx_atomic_uint_t) (h >> 8) & ~NGX_HTTP_AGENTS_MCP_ERAS_HOUR_MASK;

    if (*hash == 0) {
        *hash = NGX_HTTP_AGENTS_MCP_ERAS_HOUR_MASK + 1;
    }

    return (ngx_uint_t) (h ^ (h >> 32)) % NGX_HTTP_AGENTS_MCP_ERAS_PLACES;
}


static ngx_atomic_uint_t
ngx_http_agents_mcp_eras_hour(void)
{
    return (ngx_atomic_uint_t) (ngx_time() / 3600)
           & NGX_HTTP_AGENTS_MCP_ERAS_HOUR_MASK;
}
