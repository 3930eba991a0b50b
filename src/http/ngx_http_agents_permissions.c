
#include <string.h>
#include "ngx_http_agents_permissions.h"


unsigned
ngx_http_agents_permissions_name(const char *name, size_t len)
{
    size_t  i;

    static const struct {
        const char  *name;
        unsigned     bit;
    } names[] = {
        { "read", NGX_HTTP_AGENTS_PERMISSION_READ },
        { "write", NGX_HTTP_AGENTS_PERMISSION_WRITE },
        { "agent_conversations:read", NGX_HTTP_AGENTS_PERMISSION_READ },
        { "agent_conversations:write", NGX_HTTP_AGENTS_PERMISSION_WRITE }
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (len == strlen(names[i].name)
            && memcmp(name, names[i].name, len) == 0)
        {
            return names[i].bit;
        }
    }

    return 0;
}


unsigned
ngx_http_agents_permissions_read(const char *text, size_t len,
    const char *separators)
{
    size_t       n;
    unsigned     permissions;
    const char  *p, *last;

    permissions = 0;
    last = text + len;

    for (p = text; p < last; p += n + 1) {

        for (n = 0; p + n < last; n++) {
            if (p[n] != '\0' && strchr(separators, p[n]) != NULL) {
                break;
            }
        }

        permissions |= ngx_http_agents_permissions_name(p, n);
    }

    return permissions;
}
