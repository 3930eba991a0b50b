
/*
 * Providers hold a model to a schema by a grammar, and take a subset of JSON
 * Schema only: each object closed, each value typed, a bounded depth.  A
 * schema beyond it is not for the grammar; the answer is checked in either
 * case.
 */


#include <string.h>
#include "ngx_http_agents_format.h"


#define NGX_HTTP_AGENTS_FORMAT_DEPTH    10
#define NGX_HTTP_AGENTS_FORMAT_MEMBERS  5000
#define NGX_HTTP_AGENTS_FORMAT_VALUES   1000


/* What of a schema has been seen so far. */
typedef struct {
    size_t  members;
    size_t  optional;
    size_t  unions;
} ngx_http_agents_format_count_t;


static int ngx_http_agents_format_fits(const json_t *schema, int depth,
    ngx_http_agents_format_count_t *count);
static int ngx_http_agents_format_union(const json_t *schema, int depth,
    ngx_http_agents_format_count_t *count);
static int ngx_http_agents_format_object(const json_t *schema,
    int depth, ngx_http_agents_format_count_t *count);
static int ngx_http_agents_format_required(const json_t *schema,
    const char *name);
static int ngx_http_agents_format_allows(const json_t *schema,
    const char *type);
static int ngx_http_agents_format_scalars(const json_t *schema);
static int ngx_http_agents_format_adapt(json_t *schema,
    const ngx_http_agents_format_rules_t *rules);
static int ngx_http_agents_format_type(json_t *schema);
static const char *ngx_http_agents_format_type_of(const json_t *value);
static int ngx_http_agents_format_describe(json_t *schema,
    const ngx_http_agents_format_rules_t *rules);
static void ngx_http_agents_format_note(ngx_http_agents_buf_t *notes,
    const char *text, const json_t *value);


json_t *
ngx_http_agents_format_schema(json_t *schema,
    const ngx_http_agents_format_rules_t *rules, int *fits)
{
    json_t                          *copy;
    ngx_http_agents_format_count_t   count;

    memset(&count, 0, sizeof(ngx_http_agents_format_count_t));

    *fits = json_is_string(json_object_get(schema, "type"))
            && ngx_http_agents_format_allows(schema, "object")
            && ngx_http_agents_format_fits(schema, 1, &count)
            && count.members <= NGX_HTTP_AGENTS_FORMAT_MEMBERS
            && count.optional <= rules->optional_max
            && count.unions <= rules->union_max;

    if (!*fits) {
        return json_incref(schema);
    }

    copy = json_deep_copy(schema);
    if (copy == NULL) {
        return NULL;
    }

    if (ngx_http_agents_format_adapt(copy, rules) != 0) {
        json_decref(copy);
        return NULL;
    }

    return copy;
}


static int
ngx_http_agents_format_fits(const json_t *schema, int depth,
    ngx_http_agents_format_count_t *count)
{
    json_t  *items;

    if (!json_is_object(schema)
        || depth > NGX_HTTP_AGENTS_FORMAT_DEPTH)
    {
        return 0;
    }

    if (json_object_get(schema, "anyOf") != NULL) {
        return depth > 1
               && ngx_http_agents_format_union(schema, depth, count);
    }

    if (!ngx_http_agents_format_scalars(schema)) {
        return 0;
    }

    if (json_object_get(schema, "type") == NULL) {
        return json_object_get(schema, "const") != NULL
               || json_object_get(schema, "enum") != NULL;
    }

    if (ngx_http_agents_format_allows(schema, "object")
        && !ngx_http_agents_format_object(schema, depth, count))
    {
        return 0;
    }

    if (ngx_http_agents_format_allows(schema, "array")) {
        items = json_object_get(schema, "items");

        return ngx_http_agents_format_fits(items, depth + 1, count);
    }

    return 1;
}


/* anyOf has to stand for itself: what is beside it may only describe. */

static int
ngx_http_agents_format_union(const json_t *schema, int depth,
    ngx_http_agents_format_count_t *count)
{
    size_t       i;
    json_t      *value;
    const char  *key;

    json_object_foreach((json_t *) schema, key, value) {
        if (strcmp(key, "anyOf") != 0 && strcmp(key, "title") != 0
            && strcmp(key, "description") != 0 && strcmp(key, "default") != 0)
        {
            return 0;
        }
    }

    count->unions++;

    json_array_foreach(json_object_get(schema, "anyOf"), i, value) {
        if (!ngx_http_agents_format_fits(value, depth + 1, count)) {
            return 0;
        }
    }

    return 1;
}


static int
ngx_http_agents_format_object(const json_t *schema, int depth,
    ngx_http_agents_format_count_t *count)
{
    size_t       optional;
    json_t      *properties, *value;
    const char  *key;

    properties = ngx_http_agents_json_object(schema, "properties");

    if (properties == NULL
        || !json_is_false(json_object_get(schema, "additionalProperties")))
    {
        return 0;
    }

    optional = 0;

    json_object_foreach(properties, key, value) {

        if (!ngx_http_agents_format_required(schema, key)) {
            optional++;
        }

        if (!ngx_http_agents_format_fits(value, depth + 1, count)) {
            return 0;
        }
    }

    count->members += json_object_size(properties);
    count->optional += optional;

    /* what is required has to be declared, too */

    return json_array_size(json_object_get(schema, "required")) + optional
           == json_object_size(properties);
}


static int
ngx_http_agents_format_required(const json_t *schema, const char *name)
{
    size_t   i;
    json_t  *value;

    json_array_foreach(json_object_get(schema, "required"), i, value) {
        if (json_is_string(value)
            && strcmp(json_string_value(value), name) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
ngx_http_agents_format_allows(const json_t *schema, const char *type)
{
    size_t   i;
    json_t  *types, *value;

    types = json_object_get(schema, "type");

    if (json_is_string(types)) {
        return strcmp(json_string_value(types), type) == 0;
    }

    json_array_foreach(types, i, value) {
        if (json_is_string(value)
            && strcmp(json_string_value(value), type) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Whether const and enum name plain values, and not too many. */

static int
ngx_http_agents_format_scalars(const json_t *schema)
{
    size_t   i;
    json_t  *values, *value;

    value = json_object_get(schema, "const");

    if (json_is_object(value) || json_is_array(value)) {
        return 0;
    }

    values = json_object_get(schema, "enum");

    if (json_array_size(values) > NGX_HTTP_AGENTS_FORMAT_VALUES) {
        return 0;
    }

    json_array_foreach(values, i, value) {
        if (json_is_object(value) || json_is_array(value)) {
            return 0;
        }
    }

    return 1;
}


/* Fills in types and moves what the grammar lacks, all the way down. */

static int
ngx_http_agents_format_adapt(json_t *schema,
    const ngx_http_agents_format_rules_t *rules)
{
    size_t       i;
    json_t      *value;
    const char  *key;

    if (ngx_http_agents_format_type(schema) != 0
        || ngx_http_agents_format_describe(schema, rules) != 0)
    {
        return -1;
    }

    json_object_foreach(json_object_get(schema, "properties"), key, value) {
        if (ngx_http_agents_format_adapt(value, rules) != 0) {
            return -1;
        }
    }

    json_array_foreach(json_object_get(schema, "anyOf"), i, value) {
        if (ngx_http_agents_format_adapt(value, rules) != 0) {
            return -1;
        }
    }

    value = json_object_get(schema, "items");

    if (json_is_object(value)) {
        return ngx_http_agents_format_adapt(value, rules);
    }

    return 0;
}


/* The types of the values of a const or an enum that has none of its own. */

static int
ngx_http_agents_format_type(json_t *schema)
{
    size_t       i;
    json_t      *value, *types;

    if (json_object_get(schema, "type") != NULL
        || json_object_get(schema, "anyOf") != NULL)
    {
        return 0;
    }

    value = json_object_get(schema, "const");

    if (value != NULL) {
        return json_object_set_new(schema, "type",
                    json_string(ngx_http_agents_format_type_of(value)));
    }

    types = json_array();
    if (types == NULL || json_object_set_new(schema, "type", types) != 0) {
        return -1;
    }

    json_array_foreach(json_object_get(schema, "enum"), i, value) {

        if (ngx_http_agents_format_allows(schema,
                                ngx_http_agents_format_type_of(value)))
        {
            continue;
        }

        if (json_array_append_new(types,
                json_string(ngx_http_agents_format_type_of(value)))
            != 0)
        {
            return -1;
        }
    }

    if (json_array_size(types) == 1) {
        return json_object_set(schema, "type", json_array_get(types, 0));
    }

    return 0;
}


static const char *
ngx_http_agents_format_type_of(const json_t *value)
{
    switch (json_typeof(value)) {

    case JSON_STRING:
        return "string";

    case JSON_INTEGER:
        return "integer";

    case JSON_REAL:
        return "number";

    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";

    default:
        return "null";
    }
}


static int
ngx_http_agents_format_describe(json_t *schema,
    const ngx_http_agents_format_rules_t *rules)
{
    int                                    rc;
    json_t                                *value;
    const char                            *description;
    ngx_http_agents_buf_t                  notes;
    const ngx_http_agents_format_moved_t  *moved;

    ngx_http_agents_buf_init(&notes);

    description = ngx_http_agents_json_string(schema, "description", NULL);

    if (description != NULL) {
        ngx_http_agents_buf_adds(&notes, description);
    }

    rc = 0;

    for (moved = rules->moved; moved->keyword != NULL; moved++) {
        value = json_object_get(schema, moved->keyword);

        if (value == NULL
            || (moved->kept != NULL && moved->kept(value)))
        {
            continue;
        }

        ngx_http_agents_format_note(&notes, moved->text, value);

        if (notes.failed
            || json_object_del(schema, moved->keyword) != 0
            || json_object_set_new(schema, "description",
                                   json_string(notes.data)) != 0)
        {
            rc = -1;
            break;
        }
    }

    ngx_http_agents_buf_free(&notes);

    return rc;
}


static void
ngx_http_agents_format_note(ngx_http_agents_buf_t *notes,
    const char *text, const json_t *value)
{
    if (notes->len != 0) {
        ngx_http_agents_buf_addc(notes, '\n');
    }

    ngx_http_agents_buf_adds(notes, text);
    ngx_http_agents_json_put(notes, value);
    ngx_http_agents_buf_addc(notes, '.');
}
