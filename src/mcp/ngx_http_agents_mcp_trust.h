
/*
 * Which MCP servers are told more than others: those of the operator's own,
 * which get a token for the user of the run, and those that he has a
 * credential for.  Read with the configuration; event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_TRUST_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_TRUST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_mcp.h"
#include "ngx_http_agents_mcp_token.h"
#include "ngx_http_agents_url.h"


/* agents_mcp_first_party */
typedef struct {
    ngx_str_t                       text;       /* the url as written */
    ngx_http_agents_url_t           url;
    ngx_http_agents_mcp_signer_t   *signer;
    const char                     *issuer;
    time_t                          ttl;        /* seconds */
} ngx_http_agents_mcp_party_t;


/* agents_mcp_credential */
typedef struct {
    ngx_str_t                       name;
    ngx_str_t                       host;
    in_port_t                       port;       /* 0: any */
    unsigned                        https:1;    /* by nothing else */
    ngx_str_t                       path;       /* empty: any */
    ngx_str_t                       header;
    ngx_str_t                       value;
} ngx_http_agents_mcp_credential_t;


/* The two directives; the arrays, of the types above, are made when needed. */
char *ngx_http_agents_mcp_trust_first_party(ngx_conf_t *cf,
    ngx_array_t **parties);
char *ngx_http_agents_mcp_trust_credential(ngx_conf_t *cf,
    ngx_array_t **credentials);

/* Once all is merged: the token of an https server may only go where its
 * certificate is verified. */
ngx_int_t ngx_http_agents_mcp_trust_check(ngx_conf_t *cf,
    const ngx_http_agents_mcp_conf_t *conf);

/* The entry for this url, NULL where there is none. */
const ngx_http_agents_mcp_party_t *ngx_http_agents_mcp_trust_party(
    const ngx_array_t *parties, const ngx_http_agents_url_t *url);

/* Whether a credential is for this url. */
ngx_uint_t ngx_http_agents_mcp_trust_applies(
    const ngx_http_agents_mcp_credential_t *credential,
    const ngx_http_agents_url_t *url);


#endif /* _NGX_HTTP_AGENTS_MCP_TRUST_H_INCLUDED_ */
