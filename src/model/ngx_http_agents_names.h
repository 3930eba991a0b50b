
/*
 * The tools of a prompt under names that every provider takes.  A name that
 * is portable already stays as it is; of the others, those that would
 * coincide get a number.  The same tools give the same names each time.
 * Pure; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_NAMES_H_INCLUDED_
#define _NGX_HTTP_AGENTS_NAMES_H_INCLUDED_


#include "ngx_http_agents_model.h"


#define NGX_HTTP_AGENTS_NAME_MAX  64


typedef struct {
    const char  *wire;      /* borrowed from the tools; NULL: has none */
    char         portable[NGX_HTTP_AGENTS_NAME_MAX + 1];
} ngx_http_agents_name_t;


typedef struct {
    ngx_http_agents_name_t  *list;      /* in the order of the tools */
    size_t                   n;
} ngx_http_agents_names_t;


/* "tools" may be NULL and outlives the names.  0, or -1 without memory. */
int ngx_http_agents_names_init(ngx_http_agents_names_t *names,
    const json_t *tools);
void ngx_http_agents_names_free(ngx_http_agents_names_t *names);

/* The portable name of a wire name, of a tool or not. */
void ngx_http_agents_names_portable(const ngx_http_agents_names_t *names,
    char out[NGX_HTTP_AGENTS_NAME_MAX + 1], const char *wire);

/* The wire name behind a portable one; the name itself if it is no tool's. */
const char *ngx_http_agents_names_wire(const ngx_http_agents_names_t *names,
    const char *portable);


#endif /* _NGX_HTTP_AGENTS_NAMES_H_INCLUDED_ */
