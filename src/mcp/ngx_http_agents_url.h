
/*
 * The url of an MCP server: absolute, http or https, no user info, no
 * fragment.  Pure: no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_URL_H_INCLUDED_
#define _NGX_HTTP_AGENTS_URL_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* Pointers into the text that was parsed. */
typedef struct {
    unsigned      https:1;
    unsigned      explicit_port:1;
    unsigned      is_ipv4:1;        /* the host is an IPv4 literal, in any of
                                       the spellings that inet_aton takes, or
                                       localhost: 127.0.0.1 */
    unsigned      is_ipv6:1;        /* in brackets */
    const char   *authority;        /* host[:port], as written */
    size_t        authority_len;
    const char   *host;             /* without brackets and without the dot
                                       that a full name may end in */
    size_t        host_len;
    uint16_t      port;             /* 80 or 443 where none is written */
    const char   *path;             /* with the query; may be empty or begin
                                       with "?" */
    size_t        path_len;
    uint8_t       address[16];      /* of a literal, network order */
} ngx_http_agents_url_t;


/* 0, or -1 with *why what is wrong (static). */
int ngx_http_agents_url_parse(ngx_http_agents_url_t *url, const char *text,
    size_t len, const char **why);


#endif /* _NGX_HTTP_AGENTS_URL_H_INCLUDED_ */
