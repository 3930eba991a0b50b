
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_schema.h"


#define NGX_HTTP_AGENTS_SCHEMA_SLUG  "invalid-output-schema"


typedef void (*ngx_http_agents_schema_check_pt)(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);


typedef struct {
    const char                       *name;
    ngx_http_agents_schema_check_pt   check;
    unsigned                          dropped;  /* not for the wire */
} ngx_http_agents_schema_keyword_t;


static size_t ngx_http_agents_schema_values(const json_t *value,
    size_t limit);
static void ngx_http_agents_schema_check_schema(const json_t *schema,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static const ngx_http_agents_schema_keyword_t *
    ngx_http_agents_schema_keyword(const char *name);
static void ngx_http_agents_schema_check_any(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_string(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_boolean(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_array(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_number(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_count(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_false(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_enum(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_required(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_type(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static unsigned ngx_http_agents_schema_type_bit(const json_t *value);
static void ngx_http_agents_schema_check_properties(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_schema_check_any_of(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_schema_strip(const json_t *schema);
static json_t *ngx_http_agents_schema_strip_value(const char *keyword,
    json_t *value);
static json_t *ngx_http_agents_schema_strip_members(const json_t *members);
static json_t *ngx_http_agents_schema_strip_list(const json_t *list);


static const ngx_http_agents_schema_keyword_t
    ngx_http_agents_schema_keywords[] =
{
    { "type", ngx_http_agents_schema_check_type, 0 },
    { "properties", ngx_http_agents_schema_check_properties, 0 },
    { "required", ngx_http_agents_schema_check_required, 0 },
    { "enum", ngx_http_agents_schema_check_enum, 0 },
    { "const", ngx_http_agents_schema_check_any, 0 },
    { "items", ngx_http_agents_schema_check_schema, 0 },
    { "additionalProperties", ngx_http_agents_schema_check_false, 0 },
    { "minimum", ngx_http_agents_schema_check_number, 0 },
    { "maximum", ngx_http_agents_schema_check_number, 0 },
    { "minLength", ngx_http_agents_schema_check_count, 0 },
    { "maxLength", ngx_http_agents_schema_check_count, 0 },
    { "minItems", ngx_http_agents_schema_check_count, 0 },
    { "maxItems", ngx_http_agents_schema_check_count, 0 },
    { "anyOf", ngx_http_agents_schema_check_any_of, 0 },
    { "title", ngx_http_agents_schema_check_string, 0 },
    { "description", ngx_http_agents_schema_check_string, 0 },
    { "default", ngx_http_agents_schema_check_any, 0 },
    { "$schema", ngx_http_agents_schema_check_string, 1 },
    { "$id", ngx_http_agents_schema_check_string, 1 },
    { "$comment", ngx_http_agents_schema_check_string, 1 },
    { "examples", ngx_http_agents_schema_check_array, 1 },
    { "deprecated", ngx_http_agents_schema_check_boolean, 1 },
    { "readOnly", ngx_http_agents_schema_check_boolean, 1 },
    { "writeOnly", ngx_http_agents_schema_check_boolean, 1 },
    { NULL, NULL, 0 }
};


void
ngx_http_agents_schema_check(const json_t *schema,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    if (ngx_http_agents_schema_values(schema, NGX_HTTP_AGENTS_SCHEMA_VALUES)
        > NGX_HTTP_AGENTS_SCHEMA_VALUES)
    {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "a schema must have at most %d values in "
                                   "it", NGX_HTTP_AGENTS_SCHEMA_VALUES);
        return;
    }

    ngx_http_agents_schema_check_schema(schema, path, faults);
}


/* What a value counts, itself included; stops soon after "limit". */

static size_t
ngx_http_agents_schema_values(const json_t *value, size_t limit)
{
    size_t       i, n;
    json_t      *item;
    const char  *name;

    n = 1;

    json_array_foreach(value, i, item) {
        if (n > limit) {
            return n;
        }

        n += ngx_http_agents_schema_values(item, limit - n);
    }

    json_object_foreach((json_t *) value, name, item) {
        if (n > limit) {
            return n;
        }

        n += ngx_http_agents_schema_values(item, limit - n);
    }

    return n;
}


static void
ngx_http_agents_schema_check_schema(const json_t *schema,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    json_t                                  *value;
    const char                              *name;
    ngx_http_agents_path_t                   place;
    const ngx_http_agents_schema_keyword_t  *keyword;

    if (!json_is_object(schema)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "a schema must be an object, not %s",
                                   ngx_http_agents_json_type_name(schema));
        return;
    }

    place.parent = path;
    place.index = 0;

    json_object_foreach((json_t *) schema, name, value) {
        place.key = name;

        keyword = ngx_http_agents_schema_keyword(name);

        if (keyword == NULL) {
            ngx_http_agents_faults_add(faults, &place,
                                       NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                       "the keyword \"%.64s\" is not "
                                       "supported", name);
            continue;
        }

        keyword->check(value, &place, faults);
    }
}


static const ngx_http_agents_schema_keyword_t *
ngx_http_agents_schema_keyword(const char *name)
{
    const ngx_http_agents_schema_keyword_t  *keyword;

    for (keyword = ngx_http_agents_schema_keywords;
         keyword->name != NULL;
         keyword++)
    {
        if (strcmp(keyword->name, name) == 0) {
            return keyword;
        }
    }

    return NULL;
}


static void
ngx_http_agents_schema_check_any(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    (void) value;
    (void) path;
    (void) faults;
}


static void
ngx_http_agents_schema_check_string(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    if (!json_is_string(value) || ngx_http_agents_json_kept(value) != NULL) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"%s\" must be a string", path->key);
    }
}


static void
ngx_http_agents_schema_check_boolean(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    if (!json_is_boolean(value)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"%s\" must be a boolean", path->key);
    }
}


static void
ngx_http_agents_schema_check_array(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    if (!json_is_array(value)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"%s\" must be an array", path->key);
    }
}


static void
ngx_http_agents_schema_check_number(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    if (!json_is_number(value) && ngx_http_agents_json_kept(value) == NULL) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"%s\" must be a number", path->key);
    }
}


static void
ngx_http_agents_schema_check_count(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    double  number;

    number = json_number_value(value);

    if (!json_is_number(value) || number < 0 || number != floor(number)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"%s\" must be an integer >= 0",
                                   path->key);
    }
}


static void
ngx_http_agents_schema_check_false(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    if (!json_is_false(value)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"%s\" is supported as false only",
                                   path->key);
    }
}


static void
ngx_http_agents_schema_check_enum(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    if (json_array_size(value) == 0) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"enum\" must be an array of at least one "
                                   "value");
    }
}


static void
ngx_http_agents_schema_check_required(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    size_t                   i;
    json_t                  *seen, *name;
    ngx_http_agents_path_t   place;

    if (!json_is_array(value)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"required\" must be an array of names");
        return;
    }

    place.parent = path;
    place.key = NULL;

    seen = json_object();
    if (seen == NULL) {
        faults->failed = 1;
        return;
    }

    json_array_foreach(value, i, name) {
        place.index = i;

        if (!json_is_string(name) || ngx_http_agents_json_kept(name) != NULL) {
            ngx_http_agents_faults_add(faults, &place,
                                       NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                       "\"required\" must list names, not %s",
                                       ngx_http_agents_json_type_name(name));
            continue;
        }

        if (json_object_get(seen, json_string_value(name)) != NULL) {
            ngx_http_agents_faults_add(faults, &place,
                                       NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                       "\"required\" has a name twice");
            continue;
        }

        if (json_object_set(seen, json_string_value(name), name) != 0) {
            faults->failed = 1;
            break;
        }
    }

    json_decref(seen);
}


/* One of the seven types, or several distinct ones with "null" among them. */

static void
ngx_http_agents_schema_check_type(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    size_t                   i;
    json_t                  *type;
    unsigned                 bit, null, bits;
    ngx_http_agents_path_t   place;

    if (!json_is_array(value)) {

        if (ngx_http_agents_schema_type_bit(value) == 0) {
            ngx_http_agents_faults_add(faults, path,
                                       NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                       "\"type\" must be object, array, "
                                       "string, integer, number, boolean or "
                                       "null, or a list of these with null");
        }

        return;
    }

    place.parent = path;
    place.key = NULL;

    bits = 0;
    null = 0;

    json_array_foreach(value, i, type) {
        place.index = i;
        bit = ngx_http_agents_schema_type_bit(type);

        if (bit == 0 || (bits & bit) != 0) {
            ngx_http_agents_faults_add(faults, &place,
                                       NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                       "\"type\" must list types by name, "
                                       "each once");
        }

        if (bit != 0 && strcmp(json_string_value(type), "null") == 0) {
            null = 1;
        }

        bits |= bit;
    }

    if (!null) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"type\" may be a list only with null in "
                                   "it: use anyOf for other unions");
    }
}


/* A bit of its own for each name of a type; 0 for anything else. */

static unsigned
ngx_http_agents_schema_type_bit(const json_t *value)
{
    size_t       i;
    const char  *name;

    static const char *const  names[] = {
        "object", "array", "string", "integer", "number", "boolean", "null"
    };

    name = json_string_value(value);

    if (name == NULL) {
        return 0;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return 1u << i;
        }
    }

    return 0;
}


static void
ngx_http_agents_schema_check_properties(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    json_t                  *schema;
    const char              *name;
    ngx_http_agents_path_t   place;

    if (!json_is_object(value)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"properties\" must be an object of "
                                   "schemas");
        return;
    }

    place.parent = path;
    place.index = 0;

    json_object_foreach((json_t *) value, name, schema) {
        place.key = name;
        ngx_http_agents_schema_check_schema(schema, &place, faults);
    }
}


static void
ngx_http_agents_schema_check_any_of(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    size_t                   i;
    json_t                  *schema;
    ngx_http_agents_path_t   place;

    if (json_array_size(value) == 0) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_SCHEMA_SLUG,
                                   "\"anyOf\" must be an array of at least "
                                   "one schema");
        return;
    }

    place.parent = path;
    place.key = NULL;

    json_array_foreach(value, i, schema) {
        place.index = i;
        ngx_http_agents_schema_check_schema(schema, &place, faults);
    }
}


int
ngx_http_agents_schema_wrapped(const json_t *schema)
{
    const char  *type;

    type = ngx_http_agents_json_string(schema, "type", NULL);

    return type == NULL || strcmp(type, "object") != 0
           || json_object_get(schema, "anyOf") != NULL
           || json_object_get(schema, "enum") != NULL
           || json_object_get(schema, "const") != NULL;
}


json_t *
ngx_http_agents_schema_wire(const json_t *schema)
{
    json_t  *wire;

    wire = ngx_http_agents_schema_strip(schema);

    if (wire == NULL || !ngx_http_agents_schema_wrapped(schema)) {
        return wire;
    }

    return json_pack("{s:s, s:{s:o}, s:[s], s:b}", "type", "object",
                     "properties", NGX_HTTP_AGENTS_SCHEMA_WRAP, wire,
                     "required", NGX_HTTP_AGENTS_SCHEMA_WRAP,
                     "additionalProperties", 0);
}


/* Takes care not to look for keywords in values: enum, const and default. */

static json_t *
ngx_http_agents_schema_strip(const json_t *schema)
{
    json_t                                  *copy, *value;
    const char                              *name;
    const ngx_http_agents_schema_keyword_t  *keyword;

    copy = json_object();
    if (copy == NULL) {
        return NULL;
    }

    json_object_foreach((json_t *) schema, name, value) {

        keyword = ngx_http_agents_schema_keyword(name);

        if (keyword == NULL || keyword->dropped) {
            continue;
        }

        value = ngx_http_agents_schema_strip_value(name, value);

        if (json_object_set_new(copy, name, value) != 0) {
            json_decref(copy);
            return NULL;
        }
    }

    return copy;
}


static json_t *
ngx_http_agents_schema_strip_value(const char *keyword, json_t *value)
{
    if (strcmp(keyword, "properties") == 0) {
        return ngx_http_agents_schema_strip_members(value);
    }

    if (strcmp(keyword, "anyOf") == 0) {
        return ngx_http_agents_schema_strip_list(value);
    }

    if (strcmp(keyword, "items") == 0) {
        return ngx_http_agents_schema_strip(value);
    }

    return json_deep_copy(value);
}


static json_t *
ngx_http_agents_schema_strip_members(const json_t *members)
{
    json_t      *copy, *schema;
    const char  *name;

    copy = json_object();
    if (copy == NULL) {
        return NULL;
    }

    json_object_foreach((json_t *) members, name, schema) {

        if (json_object_set_new(copy, name,
                                ngx_http_agents_schema_strip(schema))
            != 0)
        {
            json_decref(copy);
            return NULL;
        }
    }

    return copy;
}


static json_t *
ngx_http_agents_schema_strip_list(const json_t *list)
{
    size_t   i;
    json_t  *copy, *schema;

    copy = json_array();
    if (copy == NULL) {
        return NULL;
    }

    json_array_foreach(list, i, schema) {

        if (json_array_append_new(copy, ngx_http_agents_schema_strip(schema))
            != 0)
        {
            json_decref(copy);
            return NULL;
        }
    }

    return copy;
}
