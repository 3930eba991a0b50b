
/*
 * What an agents_provider says of AWS: region and credentials.  While the
 * configuration is read.
 */


#ifndef _NGX_HTTP_AGENTS_CATALOG_AWS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_CATALOG_AWS_H_INCLUDED_


#include "ngx_http_agents_catalog.h"


/* The values of "region" and "aws_credentials": NGX_CONF_OK, or what is wrong
 * with them, or NGX_CONF_ERROR with that logged. */
char *ngx_http_agents_catalog_aws_region(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_agents_provider_t *provider);
char *ngx_http_agents_catalog_aws_credentials(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_agents_provider_t *provider);

/* At the block's end: the endpoint of the region, and whether all is there
 * that a signature needs. */
char *ngx_http_agents_catalog_aws_finish(ngx_conf_t *cf,
    ngx_http_agents_provider_t *provider);


#endif /* _NGX_HTTP_AGENTS_CATALOG_AWS_H_INCLUDED_ */
