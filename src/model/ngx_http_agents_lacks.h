
/*
 * What the models of this node were found to lack, by refusals: a worker that
 * was told so tells the others.  Fixed places without locks; those of a
 * configuration that is no longer in force count for nothing.
 */


#ifndef _NGX_HTTP_AGENTS_LACKS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_LACKS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_AGENTS_LACKS_PLACES  512


/* The zone's part, by the models' numbers.  A place has flags and the mark of
 * its configuration in one word. */
typedef struct {
    ngx_atomic_t  places[NGX_HTTP_AGENTS_LACKS_PLACES];
} ngx_http_agents_lacks_t;


/* A mark for a configuration that is being read; never 0. */
ngx_atomic_uint_t ngx_http_agents_lacks_mark(void);

/* The flags, NGX_HTTP_AGENTS_NO_*.  Any thread. */
ngx_uint_t ngx_http_agents_lacks_get(const ngx_atomic_t *place,
    ngx_atomic_uint_t mark);

/* Adds a flag: 1, or 0 if it is there already. */
ngx_uint_t ngx_http_agents_lacks_add(ngx_atomic_t *place,
    ngx_atomic_uint_t mark, ngx_uint_t flag);


#endif /* _NGX_HTTP_AGENTS_LACKS_H_INCLUDED_ */
