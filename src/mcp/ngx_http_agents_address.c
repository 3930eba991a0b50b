
#include "ngx_http_agents_address.h"
#include <string.h>


typedef struct {
    uint8_t   address[4];
    unsigned  bits;
} ngx_http_agents_address_ipv4_t;


typedef struct {
    uint8_t   address[16];
    unsigned  bits;
} ngx_http_agents_address_ipv6_t;


static int ngx_http_agents_address_translated(const uint8_t *address);
static int ngx_http_agents_address_within(const uint8_t *address,
    const uint8_t *net, unsigned bits);


/* the special-purpose registry of IANA, and what clouds use beside it */

static const ngx_http_agents_address_ipv4_t
    ngx_http_agents_address_ipv4_nets[] =
{
    { { 0, 0, 0, 0 }, 8 },              /* this network */
    { { 10, 0, 0, 0 }, 8 },             /* private */
    { { 100, 64, 0, 0 }, 10 },          /* shared: carrier-grade NAT */
    { { 127, 0, 0, 0 }, 8 },            /* loopback */
    { { 168, 63, 129, 16 }, 32 },       /* a cloud's own services */
    { { 169, 254, 0, 0 }, 16 },         /* link-local, metadata */
    { { 172, 16, 0, 0 }, 12 },          /* private */
    { { 192, 0, 0, 0 }, 24 },           /* protocol assignments */
    { { 192, 0, 2, 0 }, 24 },           /* documentation */
    { { 192, 88, 99, 0 }, 24 },         /* relays of 6to4 */
    { { 192, 168, 0, 0 }, 16 },         /* private */
    { { 198, 18, 0, 0 }, 15 },          /* benchmarks */
    { { 198, 51, 100, 0 }, 24 },        /* documentation */
    { { 203, 0, 113, 0 }, 24 },         /* documentation */
    { { 224, 0, 0, 0 }, 4 },            /* multicast */
    { { 240, 0, 0, 0 }, 4 }             /* reserved, broadcast */
};


/* within 2000::/3, outside of which nothing is global */

static const ngx_http_agents_address_ipv6_t
    ngx_http_agents_address_ipv6_nets[] =
{
    { { 0x20, 0x01, 0x00 }, 23 },       /* protocol assignments, Teredo */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
    { { 0x20, 0x02 }, 16 },             /* 6to4: any IPv4 address inside */
    { { 0x3f, 0xff, 0x00 }, 20 }        /* documentation */
};


static const uint8_t  ngx_http_agents_address_mapped_net[16] =
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static const uint8_t  ngx_http_agents_address_nat64_net[16] =
    { 0x00, 0x64, 0xff, 0x9b };

static const uint8_t  ngx_http_agents_address_global_net[16] = { 0x20 };


int
ngx_http_agents_address_private(const struct sockaddr *sockaddr)
{
    const struct sockaddr_in   *sin;
    const struct sockaddr_in6  *sin6;

    switch (sockaddr->sa_family) {

    case AF_INET:
        sin = (const struct sockaddr_in *) sockaddr;
        return ngx_http_agents_address_ipv4_private(
                   (const uint8_t *) &sin->sin_addr);

    case AF_INET6:
        sin6 = (const struct sockaddr_in6 *) sockaddr;
        return ngx_http_agents_address_ipv6_private(
                   (const uint8_t *) &sin6->sin6_addr);

    default:
        return 1;
    }
}


int
ngx_http_agents_address_ipv4_private(const uint8_t address[4])
{
    size_t                                 i, n;
    const ngx_http_agents_address_ipv4_t  *net;

    net = ngx_http_agents_address_ipv4_nets;
    n = sizeof(ngx_http_agents_address_ipv4_nets)
        / sizeof(ngx_http_agents_address_ipv4_t);

    for (i = 0; i < n; i++) {
        if (ngx_http_agents_address_within(address, net[i].address,
                                           net[i].bits))
        {
            return 1;
        }
    }

    return 0;
}


int
ngx_http_agents_address_ipv6_private(const uint8_t address[16])
{
    size_t                                 i, n;
    const ngx_http_agents_address_ipv6_t  *net;

    if (ngx_http_agents_address_translated(address)) {
        return ngx_http_agents_address_ipv4_private(address + 12);
    }

    if (!ngx_http_agents_address_within(address,
                                        ngx_http_agents_address_global_net, 3))
    {
        return 1;
    }

    net = ngx_http_agents_address_ipv6_nets;
    n = sizeof(ngx_http_agents_address_ipv6_nets)
        / sizeof(ngx_http_agents_address_ipv6_t);

    for (i = 0; i < n; i++) {
        if (ngx_http_agents_address_within(address, net[i].address,
                                           net[i].bits))
        {
            return 1;
        }
    }

    return 0;
}


int
ngx_http_agents_address_embedded(const struct sockaddr *sockaddr,
    struct sockaddr_in *sin)
{
    const uint8_t              *address;
    const struct sockaddr_in6  *sin6;

    if (sockaddr->sa_family != AF_INET6) {
        return 0;
    }

    sin6 = (const struct sockaddr_in6 *) sockaddr;
    address = (const uint8_t *) &sin6->sin6_addr;

    if (!ngx_http_agents_address_translated(address)) {
        return 0;
    }

    memset(sin, 0, sizeof(struct sockaddr_in));
    sin->sin_family = AF_INET;
    sin->sin_port = sin6->sin6_port;
    memcpy(&sin->sin_addr, address + 12, 4);

    return 1;
}


/* What a translator or the host's own stack takes to an IPv4 address. */

static int
ngx_http_agents_address_translated(const uint8_t *address)
{
    return ngx_http_agents_address_within(address,
                                          ngx_http_agents_address_mapped_net,
                                          96)
           || ngx_http_agents_address_within(address,
                                             ngx_http_agents_address_nat64_net,
                                             96);
}


static int
ngx_http_agents_address_within(const uint8_t *address, const uint8_t *net,
    unsigned bits)
{
    unsigned  bytes, mask;

    bytes = bits / 8;

    if (memcmp(address, net, bytes) != 0) {
        return 0;
    }

    bits %= 8;

    if (bits == 0) {
        return 1;
    }

    mask = 0xff & (0xff << (8 - bits));

    return (address[bytes] & mask) == (net[bytes] & mask);
}
