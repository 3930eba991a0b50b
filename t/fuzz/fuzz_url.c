
/*
 * Urls of MCP servers: what is found lies within the text, and what the C
 * library would take for an address is one.
 */


#include <arpa/inet.h>
#include "fuzz.h"
#include "ngx_http_agents_address.h"
#include "ngx_http_agents_url.h"


static int
within(const char *part, size_t part_len, const char *text, size_t len)
{
    return part >= text && part <= text + len
           && part_len <= (size_t) (text + len - part);
}


static void
address(const ngx_http_agents_url_t *url)
{
    char              host[256];
    struct in_addr    in;
    struct in6_addr   in6;

    fuzz_check(url->host_len < sizeof(host), "a host is not that long");

    memcpy(host, url->host, url->host_len);
    host[url->host_len] = '\0';

    if (inet_aton(host, &in)) {
        fuzz_check(url->is_ipv4 && memcmp(url->address, &in, 4) == 0,
                   "an IPv4 address is read as the library does");
        (void) ngx_http_agents_address_ipv4_private(url->address);

    } else {
        fuzz_check(!url->is_ipv4
                   || memcmp(url->address, "\x7f\0\0\1", 4) == 0,
                   "what is no address for the library is localhost");
    }

    if (url->is_ipv6) {
        fuzz_check(inet_pton(AF_INET6, host, &in6) == 1
                   && memcmp(url->address, &in6, 16) == 0,
                   "an IPv6 address is read as the library does");
        (void) ngx_http_agents_address_ipv6_private(url->address);
    }
}


static void
parse(const char *text, size_t len)
{
    const char             *why;
    ngx_http_agents_url_t   url;

    why = NULL;

    if (ngx_http_agents_url_parse(&url, text, len, &why) != 0) {
        fuzz_check(why != NULL, "a refusal has a reason");
        return;
    }

    fuzz_check(url.host_len != 0 && url.port != 0, "there is a host");
    fuzz_check(within(url.authority, url.authority_len, text, len),
               "the authority is of the text");
    fuzz_check(within(url.host, url.host_len, url.authority,
                      url.authority_len),
               "the host is of the authority");
    fuzz_check(url.path_len == 0
               || (within(url.path, url.path_len, text, len)
                   && (url.path[0] == '/' || url.path[0] == '?')),
               "the path is of the text");
    fuzz_check(memchr(text, '\n', len) == NULL
               && memchr(text, '\0', len) == NULL,
               "a url is one line");

    address(&url);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                          *url;
    size_t                         i, len;
    json_t                        *list, *item, *value;
    ngx_http_agents_json_fault_t   fault;

    parse((const char *) data, size);

    /* the seeds are lists of cases */

    list = ngx_http_agents_json_parse_foreign((const char *) data, size,
                                              NGX_HTTP_AGENTS_JSON_DEPTH,
                                              &fault);

    json_array_foreach(list, i, item) {
        value = json_object_get(item, "url");
        len = json_string_length(value);
        url = malloc(len + 1);
        fuzz_check(url != NULL, "there is memory");

        if (len != 0) {
            memcpy(url, json_string_value(value), len);
            parse(url, len);
        }

        free(url);
    }

    json_decref(list);

    return 0;
}
