
/*
 * What goes into descriptions: keywords that models' grammars lack.
 */


#include <math.h>
#include <string.h>
#include "ngx_http_agents_mcp_schema_parts.h"


/* Of one value in the notes. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_VALUE  200

/* Bounds that only say "any integer of JavaScript": 2^53 - 1, and 2^53. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_SAFE   9007199254740991.0


static const char *ngx_http_agents_mcp_schema_bound(const char *name,
    const ngx_http_agents_mcp_schema_view_t *view);
static int ngx_http_agents_mcp_schema_idle(const char *name,
    const json_t *value);


/* In this order, whatever the schema's own is. */

static const char *const  ngx_http_agents_mcp_schema_told[] = {
    "format", "pattern", "contentEncoding", "contentMediaType",
    "contentSchema", "minimum", "exclusiveMinimum", "maximum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "uniqueItems", "prefixItems", "additionalItems", "contains",
    "minContains", "maxContains", "unevaluatedItems", "minProperties",
    "maxProperties", "propertyNames", "patternProperties",
    "dependentRequired", "dependentSchemas", "dependencies", "not", "if",
    "then", "else", "examples", "example",
    NULL
};


void
ngx_http_agents_mcp_schema_note_keywords(ngx_http_agents_buf_t *notes,
    const ngx_http_agents_mcp_schema_view_t *view)
{
    json_t             *value;
    const char *const  *told;

    for (told = ngx_http_agents_mcp_schema_told; *told != NULL; told++) {
        value = json_object_get(view->keywords, *told);

        if (value != NULL && !ngx_http_agents_mcp_schema_idle(*told, value)) {
            ngx_http_agents_mcp_schema_note(notes,
                                ngx_http_agents_mcp_schema_bound(*told, view),
                                value);
        }
    }

    /* a type that is none, and the form of a tuple before 2020-12 */

    value = json_object_get(view->keywords, "type");

    if (json_is_string(value)
        && ngx_http_agents_mcp_schema_type_bit(json_string_value(value)) == 0)
    {
        ngx_http_agents_mcp_schema_note(notes, "type", value);
    }

    value = json_object_get(view->keywords, "items");

    if (json_is_array(value)) {
        ngx_http_agents_mcp_schema_note(notes, "items", value);
    }

    if (view->deep) {
        ngx_http_agents_mcp_schema_note_text(notes,
                                             "nested too deep to be shown");
    }
}


/* Up to draft-04 a bound is made exclusive by a boolean beside it. */

static const char *
ngx_http_agents_mcp_schema_bound(const char *name,
    const ngx_http_agents_mcp_schema_view_t *view)
{
    if (strcmp(name, "minimum") == 0
        && json_is_true(json_object_get(view->keywords, "exclusiveMinimum")))
    {
        return "exclusiveMinimum";
    }

    if (strcmp(name, "maximum") == 0
        && json_is_true(json_object_get(view->keywords, "exclusiveMaximum")))
    {
        return "exclusiveMaximum";
    }

    return name;
}


/* Whether a keyword says nothing: it repeats its default, or it is broken. */

static int
ngx_http_agents_mcp_schema_idle(const char *name, const json_t *value)
{
    if (json_is_number(value)) {

        if (strncmp(name, "min", 3) == 0
            && strcmp(name, "minimum") != 0 && json_number_value(value) == 0)
        {
            return 1;
        }

        return (fabs(json_number_value(value))
                >= NGX_HTTP_AGENTS_MCP_SCHEMA_SAFE);
    }

    if (ngx_http_agents_json_kept(value) != NULL) {
        return 1;
    }

    if (json_is_boolean(value)) {
        return (json_is_false(value) || strcmp(name, "uniqueItems") != 0);
    }

    return json_is_null(value)
           || (json_is_string(value) && json_string_length(value) == 0)
           || (json_is_array(value) && json_array_size(value) == 0)
           || (json_is_object(value) && json_object_size(value) == 0);
}


void
ngx_http_agents_mcp_schema_note(ngx_http_agents_buf_t *notes,
    const char *name, const json_t *value)
{
    size_t  start;

    if (notes->len > NGX_HTTP_AGENTS_MCP_SCHEMA_NOTES) {
        return;     /* it is cut off there */
    }

    ngx_http_agents_mcp_schema_note_text(notes, name);
    ngx_http_agents_buf_adds(notes, ": ");

    start = notes->len;

    if (ngx_http_agents_mcp_schema_size(value,
                                        4 * NGX_HTTP_AGENTS_MCP_SCHEMA_VALUE)
        > 4 * NGX_HTTP_AGENTS_MCP_SCHEMA_VALUE)
    {
        ngx_http_agents_buf_adds(notes, "(too long to be shown)");
        return;
    }

    if (json_is_string(value) && ngx_http_agents_json_kept(value) == NULL) {
        ngx_http_agents_buf_add(notes, json_string_value(value),
                                json_string_length(value));

    } else {
        ngx_http_agents_json_put(notes, value);
    }

    ngx_http_agents_mcp_schema_shorten(notes, start,
                                       NGX_HTTP_AGENTS_MCP_SCHEMA_VALUE);
}


void
ngx_http_agents_mcp_schema_note_text(ngx_http_agents_buf_t *notes,
    const char *text)
{
    if (notes->len != 0) {
        ngx_http_agents_buf_adds(notes, "; ");
    }

    ngx_http_agents_buf_adds(notes, text);
}


int
ngx_http_agents_mcp_schema_describe(ngx_http_agents_mcp_schema_ctx_t *ctx,
    json_t *node, const json_t *description,
    const ngx_http_agents_buf_t *notes)
{
    int                     rc;
    ngx_http_agents_buf_t   text;

    ngx_http_agents_buf_init(&text);

    if (json_is_string(description)
        && ngx_http_agents_json_kept(description) == NULL)
    {
        ngx_http_agents_buf_add(&text, json_string_value(description),
                                json_string_length(description));
        ngx_http_agents_mcp_schema_shorten(&text, 0,
                                     NGX_HTTP_AGENTS_MCP_SCHEMA_DESCRIPTION);
    }

    if (notes->len != 0) {
        if (text.len != 0) {
            ngx_http_agents_buf_addc(&text, ' ');
        }

        ngx_http_agents_buf_addc(&text, '(');
        ngx_http_agents_buf_add(&text, notes->data, notes->len);
        ngx_http_agents_mcp_schema_shorten(&text, text.len - notes->len,
                                           NGX_HTTP_AGENTS_MCP_SCHEMA_NOTES);
        ngx_http_agents_buf_addc(&text, ')');
    }

    rc = 0;

    if (text.failed || notes->failed) {
        rc = -1;

    } else if (text.len != 0) {
        rc = ngx_http_agents_mcp_schema_spend(ctx, 0, text.len);

        if (rc == 0) {
            rc = json_object_set_new(node, "description",
                                     json_stringn(text.data, text.len));
        }
    }

    ngx_http_agents_buf_free(&text);

    return rc;
}


void
ngx_http_agents_mcp_schema_shorten(ngx_http_agents_buf_t *buf, size_t start,
    size_t max)
{
    size_t  end;

    if (buf->failed || buf->len - start <= max) {
        return;
    }

    end = start + max;

    while (end > start && ((unsigned char) buf->data[end] & 0xc0) == 0x80) {
        end--;
    }

    buf->len = end;

    ngx_http_agents_buf_adds(buf, "...");
}
