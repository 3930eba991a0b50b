
/*
 * Guards what happens when jansson gets no memory: nothing crashes or leaks
 * (the sanitizers look), and a failure is told as one.
 */

#include <stdlib.h>
#include "ngx_http_agents_mcp_schema.h"
#include "ngx_http_agents_schema.h"
#include "unit.h"
#include "unit_data.h"


static long  left;


static void *
failing_malloc(size_t size)
{
    return (left-- > 0) ? malloc(size) : NULL;
}


static json_t *
load(const char *path)
{
    char                          *data;
    size_t                         len;
    json_t                        *value;
    ngx_http_agents_json_fault_t   fault;

    data = unit_read(path, &len);
    value = ngx_http_agents_json_parse_foreign(data, len, 256, &fault);
    free(data);

    return value;
}


/* Calls "make" with ever more memory until it has enough. */

static void
test_making(json_t *input, json_t *(*make)(const json_t *input),
    const char *name)
{
    int      same;
    long     n;
    json_t  *got, *whole;

    whole = make(input);
    same = 1;

    json_set_alloc_funcs(failing_malloc, free);

    for (n = 0; n < 100000; n++) {
        left = n;
        got = make(input);

        if (got != NULL) {
            same &= json_equal(got, whole);
            json_decref(got);

            if (left > 0) {
                break;
            }
        }
    }

    json_set_alloc_funcs(malloc, free);

    unit(same && n < 100000, "%s: %ld allocations may fail", name, n);

    json_decref(whole);
}


static void
test_normalize(const char *path, const char *name)
{
    json_t  *input;

    input = load(path);

    /* one that is over the budget takes too many rounds */

    if (strstr(name, "bomb") == NULL) {
        test_making(input, ngx_http_agents_mcp_schema_normalize, name);
    }

    json_decref(input);
}


static void
test_wire(const char *path, const char *name)
{
    json_t  *input;

    input = load(path);

    test_making(json_object_get(input, "schema"), ngx_http_agents_schema_wire,
                name);
    json_decref(input);
}


int
main(void)
{
    ngx_http_agents_json_init();

    unit_each("mcp_schema", ".in.json", test_normalize);
    unit_each("schema_check/valid", ".json", test_wire);

    return unit_done();
}
