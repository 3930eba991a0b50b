
/* Equality of values as JSON Schema means it: 1.0 equals 1. */


#include <stdlib.h>
#include "ngx_http_agents_schema_parts.h"


static int ngx_http_agents_schema_equal_objects(const json_t *one,
    const json_t *two, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_equal_arrays(const json_t *one,
    const json_t *two, ngx_http_agents_schema_hold_t *hold);


int
ngx_http_agents_schema_spend(ngx_http_agents_schema_hold_t *hold,
    size_t steps)
{
    hold->steps = (steps < hold->steps) ? hold->steps - steps : 0;

    return (hold->steps != 0) ? 0 : -1;
}


int
ngx_http_agents_schema_equal(const json_t *one, const json_t *two,
    ngx_http_agents_schema_hold_t *hold)
{
    if (ngx_http_agents_schema_spend(hold, 1) != 0) {
        return 0;
    }

    if (json_is_number(one) && json_is_number(two)) {
        return (ngx_http_agents_schema_number(one)
                == ngx_http_agents_schema_number(two));
    }

    if (json_typeof(one) != json_typeof(two)) {
        return 0;
    }

    switch (json_typeof(one)) {

    case JSON_OBJECT:
        return ngx_http_agents_schema_equal_objects(one, two, hold);

    case JSON_ARRAY:
        return ngx_http_agents_schema_equal_arrays(one, two, hold);

    default:
        return json_equal(one, two);
    }
}


static int
ngx_http_agents_schema_equal_objects(const json_t *one, const json_t *two,
    ngx_http_agents_schema_hold_t *hold)
{
    json_t      *member, *other;
    const char  *name;

    if (json_object_size(one) != json_object_size(two)) {
        return 0;
    }

    json_object_foreach((json_t *) one, name, member) {
        other = json_object_get(two, name);

        if (other == NULL
            || !ngx_http_agents_schema_equal(member, other, hold))
        {
            return 0;
        }
    }

    return 1;
}


static int
ngx_http_agents_schema_equal_arrays(const json_t *one, const json_t *two,
    ngx_http_agents_schema_hold_t *hold)
{
    size_t   i;
    json_t  *item;

    if (json_array_size(one) != json_array_size(two)) {
        return 0;
    }

    json_array_foreach(one, i, item) {
        if (!ngx_http_agents_schema_equal(item, json_array_get(two, i), hold))
        {
            return 0;
        }
    }

    return 1;
}


/* A long double holds every 64-bit integer exactly, a double does not. */

long double
ngx_http_agents_schema_number(const json_t *value)
{
    const char  *kept;

    if (json_is_integer(value)) {
        return (long double) json_integer_value(value);
    }

    kept = ngx_http_agents_json_kept(value);
    if (kept != NULL) {
        return strtold(kept, NULL);
    }

    return (long double) json_number_value(value);
}
