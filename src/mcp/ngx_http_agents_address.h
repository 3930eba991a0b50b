
/*
 * Which addresses are of the internet at large.  Pure: no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_ADDRESS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ADDRESS_H_INCLUDED_


#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>


/* 1 where the address, of 4 or 16 bytes in network order, is not global:
 * private, loopback, link-local, shared, metadata, documentation, multicast,
 * reserved, or an IPv6 form of such an IPv4 address. */
int ngx_http_agents_address_ipv4_private(const uint8_t address[4]);
int ngx_http_agents_address_ipv6_private(const uint8_t address[16]);

/* The same of a socket's address; any other family is private. */
int ngx_http_agents_address_private(const struct sockaddr *sockaddr);

/* The IPv4 address that ::ffff:0:0/96 or 64:ff9b::/96 holds, in *sin, with
 * the port; 0 if it is none of these. */
int ngx_http_agents_address_embedded(const struct sockaddr *sockaddr,
    struct sockaddr_in *sin);


#endif /* _NGX_HTTP_AGENTS_ADDRESS_H_INCLUDED_ */
