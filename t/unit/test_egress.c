
#include <arpa/inet.h>
#include <stdlib.h>
#include "ngx_http_agents_address.h"
#include "unit.h"


static const char *const  private_addresses[] = {
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255",
    "100.64.0.0", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.255.255.255", "168.63.129.16",
    "169.254.0.0", "169.254.169.254", "169.254.255.255",
    "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
    "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.7",
    "224.0.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.255",

    "::", "::1", "::2", "::127.0.0.1", "::8.8.8.8",
    "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254",
    "64:ff9b:1::1", "64:ff9b:1::8.8.8.8",
    "100::1", "2001::1", "2001:0:7f00:1::1", "2001:2::1", "2001:10::1",
    "2001:20::1", "2001:1ff:ffff::1", "2001:db8::1",
    "2002:7f00:1::1", "2002:808:808::1",
    "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1"
};


static const char *const  global_addresses[] = {
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255",
    "100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15",
    "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255",
    "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0",
    "203.0.112.255", "203.0.114.0", "223.255.255.255",

    "2001:200::1", "2001:4860:4860::8888", "2001:db7::1", "2001:db9::1",
    "2003::1", "2606:4700:4700::1111", "2a00::1", "3ffe::1", "3fff:1000::1",
    "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"
};


static int
is_private(const char *text)
{
    struct sockaddr_in   sin;
    struct sockaddr_in6  sin6;

    memset(&sin, 0, sizeof(sin));
    memset(&sin6, 0, sizeof(sin6));

    if (inet_pton(AF_INET, text, &sin.sin_addr) == 1) {
        sin.sin_family = AF_INET;
        return ngx_http_agents_address_private((struct sockaddr *) &sin);
    }

    if (inet_pton(AF_INET6, text, &sin6.sin6_addr) == 1) {
        sin6.sin6_family = AF_INET6;
        return ngx_http_agents_address_private((struct sockaddr *) &sin6);
    }

    printf("Bail out! %s is no address\n", text);
    exit(1);
}


static void
embedded(void)
{
    char                 text[INET_ADDRSTRLEN];
    size_t               i;
    struct sockaddr_in   sin;
    struct sockaddr_in6  sin6;

    static const char *const  forms[] = {
        "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"
    };

    static const char *const  others[] = {
        "::10.1.2.3", "64:ff9b:1::10.1.2.3", "2002:a01:203::",
        "::ffff:0:10.1.2.3", "2001:db8::10.1.2.3"
    };

    memset(&sin6, 0, sizeof(sin6));
    sin6.sin6_family = AF_INET6;
    sin6.sin6_port = htons(80);

    for (i = 0; i < sizeof(forms) / sizeof(char *); i++) {
        memset(&sin, 0, sizeof(sin));
        inet_pton(AF_INET6, forms[i], &sin6.sin6_addr);

        unit(ngx_http_agents_address_embedded((struct sockaddr *) &sin6, &sin),
             "%s has an IPv4 address in it", forms[i]);

        inet_ntop(AF_INET, &sin.sin_addr, text, sizeof(text));
        unit_text(text, "10.1.2.3", "the one that it stands for");
        unit(sin.sin_family == AF_INET && sin.sin_port == htons(80),
             "with its port");
    }

    unit(!ngx_http_agents_address_embedded((struct sockaddr *) &sin, &sin),
         "an IPv4 address has none");

    for (i = 0; i < sizeof(others) / sizeof(char *); i++) {
        inet_pton(AF_INET6, others[i], &sin6.sin6_addr);
        unit(!ngx_http_agents_address_embedded((struct sockaddr *) &sin6,
                                               &sin),
             "%s has none that rules look at", others[i]);
        unit(is_private(others[i]) == 1, "and is private");
    }
}


int
main(void)
{
    size_t           i;
    struct sockaddr  other;

    for (i = 0; i < sizeof(private_addresses) / sizeof(char *); i++) {
        unit(is_private(private_addresses[i]) == 1, "%s is private",
             private_addresses[i]);
    }

    for (i = 0; i < sizeof(global_addresses) / sizeof(char *); i++) {
        unit(is_private(global_addresses[i]) == 0, "%s is global",
             global_addresses[i]);
    }

    memset(&other, 0, sizeof(other));
    other.sa_family = AF_UNIX;
    unit(ngx_http_agents_address_private(&other) == 1,
         "any other family is private");

    embedded();

    return unit_done();
}
