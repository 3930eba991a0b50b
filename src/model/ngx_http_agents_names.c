
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_names.h"


static void ngx_http_agents_names_assign(ngx_http_agents_names_t *names,
    size_t i);
static int ngx_http_agents_names_taken(const ngx_http_agents_names_t *names,
    const char *portable);


int
ngx_http_agents_names_init(ngx_http_agents_names_t *names, const json_t *tools)
{
    size_t                   i;
    ngx_http_agents_name_t  *name;

    names->list = NULL;
    names->n = json_array_size(tools);

    if (names->n == 0) {
        return 0;
    }

    names->list = calloc(names->n, sizeof(ngx_http_agents_name_t));
    if (names->list == NULL) {
        names->n = 0;
        return -1;
    }

    /* names that need no change come first: nothing may take them */

    for (i = 0; i < names->n; i++) {
        name = &names->list[i];

        name->wire = ngx_http_agents_json_string(json_array_get(tools, i),
                                                 "name", NULL);
        if (name->wire == NULL) {
            continue;
        }

        ngx_http_agents_model_portable_name(name->portable, name->wire);

        if (strcmp(name->portable, name->wire) != 0) {
            name->portable[0] = '\0';
        }
    }

    for (i = 0; i < names->n; i++) {
        name = &names->list[i];

        if (name->wire != NULL && name->portable[0] == '\0') {
            ngx_http_agents_names_assign(names, i);
        }
    }

    return 0;
}


void
ngx_http_agents_names_free(ngx_http_agents_names_t *names)
{
    free(names->list);

    names->list = NULL;
    names->n = 0;
}


/*
 * The number that tells names apart starts at the tool's own place: a server
 * with a thousand names of odd characters only then costs n * n, not more.
 */

static void
ngx_http_agents_names_assign(ngx_http_agents_names_t *names, size_t i)
{
    int     cut;
    char    base[NGX_HTTP_AGENTS_NAME_MAX + 1];
    char    name[NGX_HTTP_AGENTS_NAME_MAX + 1], suffix[24];
    size_t  n;

    ngx_http_agents_model_portable_name(base, names->list[i].wire);
    memcpy(name, base, sizeof(name));

    for (n = i + 1; ngx_http_agents_names_taken(names, name); n++) {
        cut = snprintf(suffix, sizeof(suffix), "_%zu", n);
        cut = NGX_HTTP_AGENTS_NAME_MAX - cut;

        snprintf(name, sizeof(name), "%.*s%s", cut, base, suffix);
    }

    memcpy(names->list[i].portable, name, sizeof(name));
}


static int
ngx_http_agents_names_taken(const ngx_http_agents_names_t *names,
    const char *portable)
{
    size_t  i;

    for (i = 0; i < names->n; i++) {
        if (strcmp(names->list[i].portable, portable) == 0) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_agents_names_portable(const ngx_http_agents_names_t *names,
    char out[NGX_HTTP_AGENTS_NAME_MAX + 1], const char *wire)
{
    size_t  i;

    for (i = 0; i < names->n; i++) {
        if (names->list[i].wire != NULL
            && strcmp(names->list[i].wire, wire) == 0)
        {
            memcpy(out, names->list[i].portable, NGX_HTTP_AGENTS_NAME_MAX + 1);
            return;
        }
    }

    ngx_http_agents_model_portable_name(out, wire);
}


const char *
ngx_http_agents_names_wire(const ngx_http_agents_names_t *names,
    const char *portable)
{
    size_t  i;

    for (i = 0; i < names->n; i++) {
        if (names->list[i].wire != NULL
            && strcmp(names->list[i].portable, portable) == 0)
        {
            return names->list[i].wire;
        }
    }

    return portable;
}
