
/*
 * What an agents_provider says of Snowflake: account, kind of token, and the
 * key pair of a user.  While the configuration is read.
 */


#ifndef _NGX_HTTP_AGENTS_CATALOG_CORTEX_H_INCLUDED_
#define _NGX_HTTP_AGENTS_CATALOG_CORTEX_H_INCLUDED_


#include "ngx_http_agents_catalog.h"


/* The value of "account", "token_type", "user" or "private_key":
 * NGX_CONF_OK, or what is wrong with it, or NGX_CONF_ERROR with that logged. */
char *ngx_http_agents_catalog_cortex(ngx_conf_t *cf, const ngx_str_t *key,
    ngx_str_t *value, ngx_http_agents_provider_t *provider);

/* At the block's end: the endpoint of the account, and whether all is there
 * that a token needs. */
char *ngx_http_agents_catalog_cortex_finish(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider);


#endif /* _NGX_HTTP_AGENTS_CATALOG_CORTEX_H_INCLUDED_ */
