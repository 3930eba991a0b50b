
/*
 * Which hosts a run may reach.  The operator's rules in order, the first
 * match wins; where none matches, public addresses are allowed and private
 * ones (all that are not global) denied.
 */


#ifndef _NGX_HTTP_AGENTS_EGRESS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_EGRESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_url.h"


typedef enum {
    NGX_HTTP_AGENTS_EGRESS_ALL = 0,
    NGX_HTTP_AGENTS_EGRESS_PRIVATE,
    NGX_HTTP_AGENTS_EGRESS_HOST,        /* exact, case-insensitive */
    NGX_HTTP_AGENTS_EGRESS_SUFFIX,      /* "*.example.net": any host below */
    NGX_HTTP_AGENTS_EGRESS_CIDR
} ngx_http_agents_egress_kind_e;


typedef struct {
    ngx_http_agents_egress_kind_e  kind;
    unsigned                       allow:1;
    ngx_str_t                      name;
    ngx_cidr_t                     cidr;
} ngx_http_agents_egress_rule_t;


/* The directives agents_mcp_allow and agents_mcp_deny; "rules" is an array of
 * ..._egress_rule_t or NULL, made when needed. */
char *ngx_http_agents_egress_rule(ngx_conf_t *cf, ngx_array_t **rules,
    ngx_uint_t allow);

/*
 * By name alone, before anything is resolved: NGX_OK allowed whatever its
 * addresses are, NGX_DECLINED denied, NGX_AGAIN: the address decides.  An
 * address literal is decided here, in every spelling.
 */
ngx_int_t ngx_http_agents_egress_check_url(const ngx_array_t *rules,
    const ngx_http_agents_url_t *url);

/* One address: NGX_OK or NGX_DECLINED.  A rule for an IPv4 network holds for
 * the IPv6 forms that are taken to it (mapped, NAT64), too. */
ngx_int_t ngx_http_agents_egress_check_address(const ngx_array_t *rules,
    const ngx_http_agents_url_t *url, struct sockaddr *sockaddr);


#endif /* _NGX_HTTP_AGENTS_EGRESS_H_INCLUDED_ */
