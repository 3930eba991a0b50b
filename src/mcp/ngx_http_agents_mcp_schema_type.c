
/*
 * The types that a schema allows, said or implied.
 */


#include <math.h>
#include <string.h>
#include "ngx_http_agents_mcp_schema_parts.h"


#define NGX_HTTP_AGENTS_MCP_SCHEMA_TYPES  7


static unsigned ngx_http_agents_mcp_schema_implied(
    const ngx_http_agents_mcp_schema_view_t *view);


/* In the order of their bits. */

static const char *const  ngx_http_agents_mcp_schema_type_names[] = {
    "object", "array", "string", "number", "integer", "boolean", "null"
};


unsigned
ngx_http_agents_mcp_schema_types(
    const ngx_http_agents_mcp_schema_view_t *view)
{
    size_t     i;
    json_t    *type, *name, *value;
    unsigned   types;

    type = json_object_get(view->keywords, "type");
    types = ngx_http_agents_mcp_schema_type_bit(json_string_value(type));

    json_array_foreach(type, i, name) {
        types |= ngx_http_agents_mcp_schema_type_bit(json_string_value(name));
    }

    if (types == 0) {
        types = ngx_http_agents_mcp_schema_implied(view);
    }

    if (types == 0) {
        return 0;
    }

    if (json_is_true(json_object_get(view->keywords, "nullable"))) {
        types |= NGX_HTTP_AGENTS_MCP_SCHEMA_NULL;
    }

    json_array_foreach(json_object_get(view->keywords, "enum"), i, value) {
        if (json_is_null(value)) {
            types |= NGX_HTTP_AGENTS_MCP_SCHEMA_NULL;
        }
    }

    if (types & NGX_HTTP_AGENTS_MCP_SCHEMA_NUMBER) {
        types &= ~NGX_HTTP_AGENTS_MCP_SCHEMA_INTEGER;
    }

    return types;
}


/* Keywords that stand without a type mostly mean the one they are for. */

static unsigned
ngx_http_agents_mcp_schema_implied(
    const ngx_http_agents_mcp_schema_view_t *view)
{
    if (json_object_size(view->properties) != 0
        || json_object_size(view->required) != 0
        || json_object_get(view->keywords, "additionalProperties") != NULL
        || json_object_get(view->keywords, "patternProperties") != NULL)
    {
        return NGX_HTTP_AGENTS_MCP_SCHEMA_OBJECT;
    }

    if (json_object_get(view->keywords, "items") != NULL
        || json_object_get(view->keywords, "prefixItems") != NULL)
    {
        return NGX_HTTP_AGENTS_MCP_SCHEMA_ARRAY;
    }

    return 0;
}


unsigned
ngx_http_agents_mcp_schema_type_bit(const char *name)
{
    unsigned  i;

    for (i = 0; name != NULL && i < NGX_HTTP_AGENTS_MCP_SCHEMA_TYPES; i++) {
        if (strcmp(ngx_http_agents_mcp_schema_type_names[i], name) == 0) {
            return 1u << i;
        }
    }

    return 0;
}


const char *
ngx_http_agents_mcp_schema_type_name(unsigned bit)
{
    unsigned  i;

    i = 0;

    while (bit > 1) {
        bit >>= 1;
        i++;
    }

    return ngx_http_agents_mcp_schema_type_names[i];
}


/* All types that a value has: 1 is an integer and a number. */

unsigned
ngx_http_agents_mcp_schema_type_of(const json_t *value)
{
    double  real;

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        return NGX_HTTP_AGENTS_MCP_SCHEMA_OBJECT;

    case JSON_ARRAY:
        return NGX_HTTP_AGENTS_MCP_SCHEMA_ARRAY;

    case JSON_STRING:
        if (ngx_http_agents_json_kept(value) == NULL) {
            return NGX_HTTP_AGENTS_MCP_SCHEMA_STRING;
        }

        /* fall through */

    case JSON_INTEGER:
        return NGX_HTTP_AGENTS_MCP_SCHEMA_NUMBER
               | NGX_HTTP_AGENTS_MCP_SCHEMA_INTEGER;

    case JSON_REAL:
        real = json_real_value(value);

        return NGX_HTTP_AGENTS_MCP_SCHEMA_NUMBER
               | ((real == floor(real)) ? NGX_HTTP_AGENTS_MCP_SCHEMA_INTEGER
                                        : 0);

    case JSON_TRUE:
    case JSON_FALSE:
        return NGX_HTTP_AGENTS_MCP_SCHEMA_BOOLEAN;

    default:
        return NGX_HTTP_AGENTS_MCP_SCHEMA_NULL;
    }
}
