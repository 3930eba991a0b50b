
#include <arpa/inet.h>
#include <stdlib.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_url.h"
#include "unit.h"
#include "unit_data.h"


static json_t *
table(const char *name)
{
    char                          *data, path[4096];
    size_t                         len;
    json_t                        *list;
    ngx_http_agents_json_fault_t   fault;

    (void) snprintf(path, sizeof(path), "%s/url/%s", UNIT_DATA, name);

    data = unit_read(path, &len);
    list = ngx_http_agents_json_parse(data, len, &fault);
    free(data);

    if (list == NULL) {
        printf("Bail out! %s:%d: %s\n", path, fault.line, fault.text);
        exit(1);
    }

    return list;
}


static int
is_part(const json_t *expected, const char *key, const char *part, size_t n)
{
    size_t       len;
    const char  *text;

    text = ngx_http_agents_json_string(expected, key, &len);

    return (text == NULL || (len == n && memcmp(text, part, n) == 0));
}


static void
test_valid(const json_t *expected)
{
    int                     literal;
    char                    address[INET6_ADDRSTRLEN];
    size_t                  len;
    const char             *text, *why, *shown;
    ngx_http_agents_url_t   url;

    text = ngx_http_agents_json_string(expected, "url", &len);
    shown = ngx_http_agents_json_string(expected, "address", NULL);

    why = "";

    if (!unit(ngx_http_agents_url_parse(&url, text, len, &why) == 0,
              "%s is read", text))
    {
        printf("# it %s\n", why);
        return;
    }

    unit(url.https == (unsigned) ngx_http_agents_json_true(expected, "https")
         && url.port == ngx_http_agents_json_integer(expected, "port", 0)
         && url.explicit_port
            == (unsigned) ngx_http_agents_json_true(expected, "explicit"),
         "%s: scheme and port", text);

    unit(is_part(expected, "authority", url.authority, url.authority_len)
         && is_part(expected, "host", url.host, url.host_len)
         && is_part(expected, "path", url.path, url.path_len),
         "%s: authority, host and path", text);

    literal = url.is_ipv4 ? AF_INET : AF_INET6;

    if (!url.is_ipv4 && !url.is_ipv6) {
        unit(shown == NULL, "%s: a name", text);
        return;
    }

    unit_text(inet_ntop(literal, url.address, address, sizeof(address)), shown,
              "the address that it writes");
}


static void
test_invalid(const json_t *value)
{
    size_t                  len;
    const char             *text, *why;
    ngx_http_agents_url_t   url;

    text = json_string_value(value);
    len = json_string_length(value);
    why = NULL;

    unit(ngx_http_agents_url_parse(&url, text, len, &why) == -1 && why != NULL,
         "refused: %.*s", (int) strcspn(text, "\r\n"), text);
    printf("# it %s\n", (why != NULL) ? why : "passes");
}


int
main(void)
{
    size_t       i;
    json_t      *valid, *invalid;
    const char  *why;

    ngx_http_agents_url_t  url;

    valid = table("valid.json");
    invalid = table("invalid.json");

    for (i = 0; i < json_array_size(valid); i++) {
        test_valid(json_array_get(valid, i));
    }

    for (i = 0; i < json_array_size(invalid); i++) {
        test_invalid(json_array_get(invalid, i));
    }

    unit(ngx_http_agents_url_parse(&url, "http://a\0b/", 11, &why) == -1,
         "a NUL is refused");

    json_decref(valid);
    json_decref(invalid);

    return unit_done();
}
