
/*
 * Directives that do more than fill a slot: nginx's own signature, while the
 * configuration is read.
 */


#ifndef _NGX_HTTP_AGENTS_DIRECTIVES_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DIRECTIVES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_http.h"


/* Bounds of a time or a size: the "post" of nginx's own slot functions. */
typedef struct {
    ngx_conf_post_handler_pt  handler;
    ngx_uint_t                min;      /* milliseconds, bytes */
    ngx_uint_t                max;
    const char               *text;     /* both, as one writes them */
} ngx_http_agents_directives_bounds_t;


extern const ngx_http_agents_directives_bounds_t
    ngx_http_agents_directives_lease;
extern const ngx_http_agents_directives_bounds_t
    ngx_http_agents_directives_drain;
extern const ngx_http_agents_directives_bounds_t
    ngx_http_agents_directives_timeout;
extern const ngx_http_agents_directives_bounds_t
    ngx_http_agents_directives_cache;
extern const ngx_http_agents_directives_bounds_t
    ngx_http_agents_directives_size;


/* agents_docs_url URL: of the main configuration. */
char *ngx_http_agents_directives_docs_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* agents_retention TIME | off: of the main configuration. */
char *ngx_http_agents_directives_retention(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* agents_api [NAME]: makes the location serve the API. */
char *ngx_http_agents_directives_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * A location of pages, which the handler knows by what follows the location's
 * own name in the uri.  "example" is one that would be right.
 */
char *ngx_http_agents_directives_pages(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf, ngx_http_handler_pt handler, const char *example);

/*
 * Keeps the error_page directives of outer levels out of the location that is
 * read: nginx's own refusals there are problems, unless it has an error_page
 * of its own.
 */
ngx_int_t ngx_http_agents_directives_own_errors(ngx_conf_t *cf);

/* agents_mcp_location URI */
char *ngx_http_agents_directives_mcp_location(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* Where a run may go, and what it shows there: agents_mcp_allow,
 * agents_mcp_deny, agents_mcp_first_party, agents_mcp_credential. */
char *ngx_http_agents_directives_mcp_allow(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_agents_directives_mcp_deny(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_agents_directives_mcp_first_party(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_agents_directives_mcp_credential(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* After all is read: the resolver of http, for the hosts of providers. */
void ngx_http_agents_directives_resolver(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog);

/* After the merging: what the engine needs to know of an agents_api, without
 * the types of HTTP. */
ngx_int_t ngx_http_agents_directives_settings(ngx_conf_t *cf,
    ngx_http_agents_loc_conf_t *conf);


#endif /* _NGX_HTTP_AGENTS_DIRECTIVES_H_INCLUDED_ */
