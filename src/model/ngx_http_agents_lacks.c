
#include "ngx_http_agents_lacks.h"


/* The low byte of a place; the mark is above it. */
#define NGX_HTTP_AGENTS_LACKS_FLAGS  0xff


ngx_atomic_uint_t
ngx_http_agents_lacks_mark(void)
{
    ngx_atomic_uint_t  mark;

    mark = (ngx_atomic_uint_t) (ngx_random() & 0x7fffff) + 1;

    return mark << 8;
}


ngx_uint_t
ngx_http_agents_lacks_get(const ngx_atomic_t *place, ngx_atomic_uint_t mark)
{
    ngx_atomic_uint_t  value;

    value = *place;

    return (value & ~(ngx_atomic_uint_t) NGX_HTTP_AGENTS_LACKS_FLAGS) == mark
           ? value & NGX_HTTP_AGENTS_LACKS_FLAGS : 0;
}


ngx_uint_t
ngx_http_agents_lacks_add(ngx_atomic_t *place, ngx_atomic_uint_t mark,
    ngx_uint_t flag)
{
    ngx_uint_t         flags;
    ngx_atomic_uint_t  old;

    do {
        old = *place;
        flags = ngx_http_agents_lacks_get(&old, mark);

        if (flags & flag) {
            return 0;
        }

    } while (!ngx_atomic_cmp_set(place, old, mark | flags | flag));

    return 1;
}
