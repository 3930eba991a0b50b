
#include "ngx_http_agents_egress.h"
#include "ngx_http_agents_address.h"


static char *ngx_http_agents_egress_parse(ngx_conf_t *cf,
    ngx_http_agents_egress_rule_t *rule, ngx_str_t *value);
static ngx_int_t ngx_http_agents_egress_parse_cidr(ngx_conf_t *cf,
    ngx_http_agents_egress_rule_t *rule, ngx_str_t *value);
static ngx_uint_t ngx_http_agents_egress_is_host(ngx_str_t *name);
static ngx_int_t ngx_http_agents_egress_match_name(
    const ngx_http_agents_egress_rule_t *rule, const ngx_str_t *host);
static ngx_int_t ngx_http_agents_egress_match_address(
    const ngx_http_agents_egress_rule_t *rule, struct sockaddr *sockaddr,
    ngx_uint_t private);
static ngx_uint_t ngx_http_agents_egress_in_cidr(const ngx_cidr_t *cidr,
    struct sockaddr *sockaddr);
static void ngx_http_agents_egress_host(const ngx_http_agents_url_t *url,
    ngx_str_t *host);
static void ngx_http_agents_egress_literal(const ngx_http_agents_url_t *url,
    ngx_sockaddr_t *sockaddr);


char *
ngx_http_agents_egress_rule(ngx_conf_t *cf, ngx_array_t **rules,
    ngx_uint_t allow)
{
    char                           *rv;
    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_http_agents_egress_rule_t  *rule;

    if (*rules == NULL) {
        *rules = ngx_array_create(cf->pool, 4,
                                  sizeof(ngx_http_agents_egress_rule_t));
        if (*rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rule = ngx_array_push(*rules);
        if (rule == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(rule, sizeof(ngx_http_agents_egress_rule_t));
        rule->allow = allow;

        rv = ngx_http_agents_egress_parse(cf, rule, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_egress_parse(ngx_conf_t *cf,
    ngx_http_agents_egress_rule_t *rule, ngx_str_t *value)
{
    ngx_str_t  name;

    if (ngx_strcmp(value->data, "all") == 0) {
        rule->kind = NGX_HTTP_AGENTS_EGRESS_ALL;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "private") == 0) {
        rule->kind = NGX_HTTP_AGENTS_EGRESS_PRIVATE;
        return NGX_CONF_OK;
    }

    switch (ngx_http_agents_egress_parse_cidr(cf, rule, value)) {

    case NGX_OK:
        return NGX_CONF_OK;

    case NGX_ERROR:
        return NGX_CONF_ERROR;

    default: /* NGX_DECLINED: a name */
        break;
    }

    name = *value;

    if (name.len > 2 && name.data[0] == '*' && name.data[1] == '.') {
        rule->kind = NGX_HTTP_AGENTS_EGRESS_SUFFIX;
        name.data++;
        name.len--;

    } else {
        rule->kind = NGX_HTTP_AGENTS_EGRESS_HOST;
    }

    rule->name = name;

    if (rule->kind == NGX_HTTP_AGENTS_EGRESS_SUFFIX) {
        name.data++;
        name.len--;
    }

    if (!ngx_http_agents_egress_is_host(&name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid host \"%V\": it must be a host name as "
                           "\"mcp.example.com\" (no scheme, port or path), "
                           "\"*.example.com\" for all hosts below it, an "
                           "address or network as \"10.1.0.0/16\" or "
                           "\"2001:db8::/32\", \"private\" or \"all\"", value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_agents_egress_parse_cidr(ngx_conf_t *cf,
    ngx_http_agents_egress_rule_t *rule, ngx_str_t *value)
{
    u_char     *p, *last;
    ngx_int_t   rc;
    ngx_str_t   text;

    text = *value;
    last = text.data + text.len;

    if (text.len > 2 && text.data[0] == '[' && last[-1] == ']') {
        text.data++;
        text.len -= 2;
        last--;
    }

    /* no host name has a slash or a colon, or ends in a label of digits */

    for (p = text.data; p < last; p++) {
        if (*p == '/' || *p == ':') {
            break;
        }
    }

    if (p == last) {

        while (p > text.data && p[-1] >= '0' && p[-1] <= '9') {
            p--;
        }

        if (p == last || (p > text.data && p[-1] != '.')) {
            return NGX_DECLINED;
        }
    }

    rc = ngx_ptocidr(&text, &rule->cidr);

    if (rc == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid network \"%V\": it must be an address or "
                           "network as \"10.1.0.0/16\" or \"2001:db8::/32\", "
                           "or a host name without scheme, port and path",
                           value);
        return NGX_ERROR;
    }

    if (rc == NGX_DONE) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "low address bits of \"%V\" are meaningless",
                           value);
    }

    rule->kind = NGX_HTTP_AGENTS_EGRESS_CIDR;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_agents_egress_is_host(ngx_str_t *name)
{
    u_char      c, last;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > 253) {
        return 0;
    }

    last = '.';

    for (i = 0; i < name->len; i++) {

        c = name->data[i];

        if (c == '.') {
            if (last == '.') {
                return 0;
            }

        } else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                     || (c >= '0' && c <= '9') || c == '-' || c == '_'))
        {
            return 0;
        }

        last = c;
    }

    return (last != '.');
}


ngx_int_t
ngx_http_agents_egress_check_url(const ngx_array_t *rules,
    const ngx_http_agents_url_t *url)
{
    ngx_int_t                             rc;
    ngx_str_t                             host;
    ngx_uint_t                            i, allowed, denied;
    ngx_sockaddr_t                        address;
    const ngx_http_agents_egress_rule_t  *rule;

    if (url->is_ipv4 || url->is_ipv6) {
        ngx_http_agents_egress_literal(url, &address);
        return ngx_http_agents_egress_check_address(rules, url,
                                                    &address.sockaddr);
    }

    if (rules == NULL) {
        return NGX_AGAIN;
    }

    ngx_http_agents_egress_host(url, &host);

    rule = rules->elts;
    allowed = 0;
    denied = 0;

    for (i = 0; i < rules->nelts; i++) {

        rc = ngx_http_agents_egress_match_name(&rule[i], &host);

        if (rc == NGX_AGAIN) {
            allowed |= rule[i].allow;
            denied |= !rule[i].allow;
        }

        if (rc != NGX_OK) {
            continue;
        }

        /* whatever the rules before it say of an address, if they agree */

        if (rule[i].allow) {
            return denied ? NGX_AGAIN : NGX_OK;
        }

        return allowed ? NGX_AGAIN : NGX_DECLINED;
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_agents_egress_check_address(const ngx_array_t *rules,
    const ngx_http_agents_url_t *url, struct sockaddr *sockaddr)
{
    ngx_int_t                             rc;
    ngx_str_t                             host;
    ngx_uint_t                            i, private;
    struct sockaddr                      *inner;
    struct sockaddr_in                    sin;
    const ngx_http_agents_egress_rule_t  *rule;

    private = ngx_http_agents_address_private(sockaddr);

    /* rules for IPv4 networks hold for what is connected to through IPv6 too */

    inner = ngx_http_agents_address_embedded(sockaddr, &sin)
            ? (struct sockaddr *) &sin : sockaddr;

    if (rules != NULL) {

        ngx_http_agents_egress_host(url, &host);

        rule = rules->elts;

        for (i = 0; i < rules->nelts; i++) {

            rc = ngx_http_agents_egress_match_name(&rule[i], &host);

            if (rc == NGX_AGAIN) {
                rc = ngx_http_agents_egress_match_address(&rule[i], sockaddr,
                                                          private);
            }

            if (rc == NGX_DECLINED && inner != sockaddr
                && rule[i].kind == NGX_HTTP_AGENTS_EGRESS_CIDR)
            {
                rc = ngx_http_agents_egress_match_address(&rule[i], inner,
                                                          private);
            }

            if (rc == NGX_OK) {
                return rule[i].allow ? NGX_OK : NGX_DECLINED;
            }
        }
    }

    return private ? NGX_DECLINED : NGX_OK;
}


/* NGX_OK: the rule matches, NGX_DECLINED: not, NGX_AGAIN: the address tells */

static ngx_int_t
ngx_http_agents_egress_match_name(const ngx_http_agents_egress_rule_t *rule,
    const ngx_str_t *host)
{
    u_char  *end;

    switch (rule->kind) {

    case NGX_HTTP_AGENTS_EGRESS_ALL:
        return NGX_OK;

    case NGX_HTTP_AGENTS_EGRESS_HOST:

        if (host->len == rule->name.len
            && ngx_strncasecmp(host->data, rule->name.data, host->len) == 0)
        {
            return NGX_OK;
        }

        return NGX_DECLINED;

    case NGX_HTTP_AGENTS_EGRESS_SUFFIX:

        if (host->len <= rule->name.len) {
            return NGX_DECLINED;
        }

        end = host->data + host->len - rule->name.len;

        if (ngx_strncasecmp(end, rule->name.data, rule->name.len) == 0) {
            return NGX_OK;
        }

        return NGX_DECLINED;

    default: /* PRIVATE, CIDR */
        return NGX_AGAIN;
    }
}


static ngx_int_t
ngx_http_agents_egress_match_address(const ngx_http_agents_egress_rule_t *rule,
    struct sockaddr *sockaddr, ngx_uint_t private)
{
    ngx_uint_t  matches;

    if (rule->kind == NGX_HTTP_AGENTS_EGRESS_PRIVATE) {
        matches = private;

    } else {
        matches = ngx_http_agents_egress_in_cidr(&rule->cidr, sockaddr);
    }

    return matches ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_agents_egress_in_cidr(const ngx_cidr_t *cidr,
    struct sockaddr *sockaddr)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    u_char               *p;
    ngx_uint_t            n;
    struct sockaddr_in6  *sin6;
#endif

    if (cidr->family != sockaddr->sa_family) {
        return 0;
    }

#if (NGX_HAVE_INET6)

    if (cidr->family == AF_INET6) {

        sin6 = (struct sockaddr_in6 *) sockaddr;
        p = sin6->sin6_addr.s6_addr;

        for (n = 0; n < 16; n++) {
            if ((p[n] & cidr->u.in6.mask.s6_addr[n])
                != cidr->u.in6.addr.s6_addr[n])
            {
                return 0;
            }
        }

        return 1;
    }

#endif

    if (cidr->family != AF_INET) {
        return 0;
    }

    sin = (struct sockaddr_in *) sockaddr;

    return (sin->sin_addr.s_addr & cidr->u.in.mask) == cidr->u.in.addr;
}


/* The host as rules are compared with: "example.net." is example.net. */

static void
ngx_http_agents_egress_host(const ngx_http_agents_url_t *url, ngx_str_t *host)
{
    host->data = (u_char *) url->host;
    host->len = url->host_len;

    if (host->len > 1 && host->data[host->len - 1] == '.') {
        host->len--;
    }
}


static void
ngx_http_agents_egress_literal(const ngx_http_agents_url_t *url,
    ngx_sockaddr_t *sockaddr)
{
    ngx_memzero(sockaddr, sizeof(ngx_sockaddr_t));

#if (NGX_HAVE_INET6)

    if (url->is_ipv6) {
        sockaddr->sockaddr_in6.sin6_family = AF_INET6;
        ngx_memcpy(&sockaddr->sockaddr_in6.sin6_addr, url->address, 16);
        return;
    }

#endif

    if (url->is_ipv4) {
        sockaddr->sockaddr_in.sin_family = AF_INET;
        ngx_memcpy(&sockaddr->sockaddr_in.sin_addr, url->address, 4);
    }
}
