
/*
 * What has to hold of every normalised input schema, told without the
 * normaliser's own helpers.
 */


#ifndef _UNIT_MCP_SCHEMA_H_INCLUDED_
#define _UNIT_MCP_SCHEMA_H_INCLUDED_


#include "ngx_http_agents_mcp_schema.h"
#include "ngx_http_agents_json.h"
#include "unit.h"


/* Schemas within schemas, the root among them. */
#define UNIT_MCP_SCHEMA_DEPTH  (NGX_HTTP_AGENTS_MCP_SCHEMA_DEPTH + 2)


typedef struct {
    size_t  nodes;
    int     open;           /* objects that declare properties and more */
    int     shut;           /* empty ones that take nothing */
} unit_mcp_schema_t;


static int unit_mcp_schema_node(unit_mcp_schema_t *seen, const json_t *schema,
    int depth);


static inline int
unit_mcp_schema_fault(const char *what)
{
    printf("# %s\n", what);

    return 0;
}


/* Keywords, and what they may be. */

static inline int
unit_mcp_schema_keywords(const json_t *schema)
{
    char         word[64];
    json_t      *value;
    const char  *key;

    static const char  known[] =
        " type description title properties required additionalProperties"
        " items enum const default anyOf ";

    json_object_foreach((json_t *) schema, key, value) {
        (void) snprintf(word, sizeof(word), " %.60s ", key);

        if (strstr(known, word) == NULL) {
            return unit_mcp_schema_fault(key);
        }
    }

    value = json_object_get(schema, "type");

    if (value != NULL && !json_is_string(value)) {
        return unit_mcp_schema_fault("type");
    }

    value = json_object_get(schema, "description");

    if (value != NULL && json_string_length(value) == 0) {
        return unit_mcp_schema_fault("an empty description");
    }

    value = json_object_get(schema, "anyOf");

    if (value != NULL && json_array_size(value) == 0) {
        return unit_mcp_schema_fault("an empty anyOf");
    }

    return 1;
}


static inline int
unit_mcp_schema_object(unit_mcp_schema_t *seen, const json_t *schema)
{
    size_t   i;
    json_t  *properties, *required, *name, *more;

    properties = json_object_get(schema, "properties");
    required = json_object_get(schema, "required");
    more = json_object_get(schema, "additionalProperties");

    if (properties != NULL && !json_is_object(properties)) {
        return unit_mcp_schema_fault("properties");
    }

    if (required != NULL && json_array_size(required) == 0) {
        return unit_mcp_schema_fault("required is no list of names");
    }

    json_array_foreach(required, i, name) {

        if (!json_is_string(name)
            || json_object_get(properties, json_string_value(name)) == NULL)
        {
            return unit_mcp_schema_fault("required is not declared");
        }
    }

    if (more != NULL && !json_is_false(more) && json_object_size(more) == 0) {
        return unit_mcp_schema_fault("additionalProperties");
    }

    if (json_object_size(properties) != 0) {
        seen->open += !json_is_false(more);

    } else {
        seen->shut += json_is_false(more);
    }

    return 1;
}


static inline int
unit_mcp_schema_below(unit_mcp_schema_t *seen, const json_t *schema, int depth)
{
    size_t       i;
    json_t      *sub;
    const char  *name;

    json_object_foreach(json_object_get(schema, "properties"), name, sub) {
        if (!unit_mcp_schema_node(seen, sub, depth + 1)) {
            printf("# in %s\n", name);
            return 0;
        }
    }

    json_array_foreach(json_object_get(schema, "anyOf"), i, sub) {
        if (!unit_mcp_schema_node(seen, sub, depth + 1)) {
            printf("# in anyOf %zu\n", i);
            return 0;
        }
    }

    sub = json_object_get(schema, "items");

    if (sub != NULL && !unit_mcp_schema_node(seen, sub, depth + 1)) {
        return unit_mcp_schema_fault("in items");
    }

    sub = json_object_get(schema, "additionalProperties");

    return !json_is_object(sub) || unit_mcp_schema_node(seen, sub, depth + 1);
}


static int
unit_mcp_schema_node(unit_mcp_schema_t *seen, const json_t *schema, int depth)
{
    seen->nodes++;

    if (!json_is_object(schema)) {
        return unit_mcp_schema_fault("a schema that is no object");
    }

    if (depth > UNIT_MCP_SCHEMA_DEPTH) {
        return unit_mcp_schema_fault("too deep");
    }

    return unit_mcp_schema_keywords(schema)
           && unit_mcp_schema_object(seen, schema)
           && unit_mcp_schema_below(seen, schema, depth);
}


/*
 * Whether a model API takes it: an object at the root, nothing but the
 * keywords that are left, all of it bounded.
 */

static inline int
unit_mcp_schema_taken(const json_t *schema, unit_mcp_schema_t *seen)
{
    char        *text;
    size_t       len;
    const char  *type;

    memset(seen, 0, sizeof(unit_mcp_schema_t));

    type = ngx_http_agents_json_string(schema, "type", NULL);

    if (type == NULL || strcmp(type, "object") != 0
        || !json_is_object(json_object_get(schema, "properties"))
        || json_object_get(schema, "anyOf") != NULL
        || json_object_get(schema, "enum") != NULL
        || json_object_get(schema, "const") != NULL)
    {
        return unit_mcp_schema_fault("the root is no object");
    }

    if (!unit_mcp_schema_node(seen, schema, 1)) {
        return 0;
    }

    text = ngx_http_agents_json_text(schema, &len);
    free(text);

    return text != NULL && len < 2 * NGX_HTTP_AGENTS_MCP_SCHEMA_BYTES
           && seen->nodes <= NGX_HTTP_AGENTS_MCP_SCHEMA_NODES;
}


/*
 * Whether a schema has anything that leaves an object open though it declares
 * properties, or shuts one that declares none; looked for in its text.
 */

static inline int
unit_mcp_schema_says(const json_t *schema, const char *const *words)
{
    int    says;
    char  *text;

    says = 0;
    text = ngx_http_agents_json_text(schema, NULL);

    for ( /* void */ ; *words != NULL; words++) {
        says |= (strstr(text, *words) != NULL);
    }

    free(text);

    return says;
}


static inline int
unit_mcp_schema_closed(const json_t *input, const json_t *output,
    const unit_mcp_schema_t *seen)
{
    static const char *const  opening[] = {
        "\"additionalProperties\":{", "\"unevaluatedProperties\":{",
        "\"patternProperties\"", "\"$ref\"", "\"$dynamicRef\"", NULL
    };
    static const char *const  lifted[] = { "also takes ", NULL };
    static const char *const  shutting[] = { ":false", "[false", NULL };

    if (seen->open != 0 && !unit_mcp_schema_says(input, opening)
        && !unit_mcp_schema_says(output, lifted))
    {
        return unit_mcp_schema_fault("an object is not closed");
    }

    if (seen->shut != 0 && !unit_mcp_schema_says(input, shutting)) {
        return unit_mcp_schema_fault("an empty object is closed");
    }

    return 1;
}


#endif /* _UNIT_MCP_SCHEMA_H_INCLUDED_ */
