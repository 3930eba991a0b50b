
#include <math.h>
#include <string.h>
#include <strings.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_mcp_param.h"


#define NGX_HTTP_AGENTS_MCP_PARAM_KEY     "x-mcp-header"
#define NGX_HTTP_AGENTS_MCP_PARAM_PREFIX  "Mcp-Param-"

/* Of one tool; servers do not take many more headers. */
#define NGX_HTTP_AGENTS_MCP_PARAM_MAX     64


/* What a keyword holds. */
typedef enum {
    NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS = 0,  /* a schema, or a list of them */
    NGX_HTTP_AGENTS_MCP_PARAM_NAMED         /* schemas by name */
} ngx_http_agents_mcp_param_holds_e;


static const struct {
    const char                         *name;
    ngx_http_agents_mcp_param_holds_e   holds;
} ngx_http_agents_mcp_param_keywords[] = {
    { "items",                 NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "prefixItems",           NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "additionalItems",       NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "contains",              NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "additionalProperties",  NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "unevaluatedProperties", NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "unevaluatedItems",      NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "propertyNames",         NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "oneOf",                 NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "anyOf",                 NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "allOf",                 NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "not",                   NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "if",                    NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "then",                  NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "else",                  NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS },
    { "patternProperties",     NGX_HTTP_AGENTS_MCP_PARAM_NAMED },
    { "dependentSchemas",      NGX_HTTP_AGENTS_MCP_PARAM_NAMED },
    { "dependencies",          NGX_HTTP_AGENTS_MCP_PARAM_NAMED },
    { "$defs",                 NGX_HTTP_AGENTS_MCP_PARAM_NAMED },
    { "definitions",           NGX_HTTP_AGENTS_MCP_PARAM_NAMED }
};


/* A search.  "path" has the names on the way to the schema in hand. */
typedef struct {
    json_t      *found;
    json_t      *path;
    const char  *why;
} ngx_http_agents_mcp_param_search_t;


static int ngx_http_agents_mcp_param_schema(
    ngx_http_agents_mcp_param_search_t *search, const json_t *schema,
    int reachable);
static int ngx_http_agents_mcp_param_properties(
    ngx_http_agents_mcp_param_search_t *search, const json_t *schema,
    int reachable);
static int ngx_http_agents_mcp_param_beyond(
    ngx_http_agents_mcp_param_search_t *search, const json_t *schema);
static int ngx_http_agents_mcp_param_add(
    ngx_http_agents_mcp_param_search_t *search, const json_t *schema,
    const json_t *header, int reachable);
static const char *ngx_http_agents_mcp_param_broken(
    const ngx_http_agents_mcp_param_search_t *search, const json_t *schema,
    const json_t *header, int reachable);
static int ngx_http_agents_mcp_param_is_token(const char *text, size_t len);
static int ngx_http_agents_mcp_param_value(ngx_http_agents_buf_t *buf,
    const json_t *value);
static int ngx_http_agents_mcp_param_is_plain(const char *text, size_t len);
static void ngx_http_agents_mcp_param_base64(ngx_http_agents_buf_t *buf,
    const unsigned char *text, size_t len);


json_t *
ngx_http_agents_mcp_param_find(const json_t *schema, const char **why)
{
    int                                 rc;
    ngx_http_agents_mcp_param_search_t  search;

    search.found = json_array();
    search.path = json_array();
    search.why = NULL;

    rc = (search.found == NULL || search.path == NULL)
         ? -1 : ngx_http_agents_mcp_param_schema(&search, schema, 1);

    json_decref(search.path);
    *why = search.why;

    if (rc != 0) {
        json_decref(search.found);
        return NULL;
    }

    return search.found;
}


/* How deep it goes is bounded by what the reader of the answer lets pass. */

static int
ngx_http_agents_mcp_param_schema(ngx_http_agents_mcp_param_search_t *search,
    const json_t *schema, int reachable)
{
    size_t         i;
    const json_t  *item, *header;

    if (json_is_array(schema)) {

        json_array_foreach(schema, i, item) {
            if (ngx_http_agents_mcp_param_schema(search, item, reachable) != 0)
            {
                return -1;
            }
        }

        return 0;
    }

    if (!json_is_object(schema)) {
        return 0;
    }

    header = json_object_get(schema, NGX_HTTP_AGENTS_MCP_PARAM_KEY);

    if (header != NULL
        && ngx_http_agents_mcp_param_add(search, schema, header, reachable)
           != 0)
    {
        return -1;
    }

    if (ngx_http_agents_mcp_param_properties(search, schema, reachable) != 0) {
        return -1;
    }

    return ngx_http_agents_mcp_param_beyond(search, schema);
}


static int
ngx_http_agents_mcp_param_properties(
    ngx_http_agents_mcp_param_search_t *search, const json_t *schema,
    int reachable)
{
    json_t      *properties, *property;
    const char  *name;

    properties = ngx_http_agents_json_object(schema, "properties");

    json_object_foreach(properties, name, property) {

        if (json_array_append_new(search->path, json_string(name)) != 0
            || ngx_http_agents_mcp_param_schema(search, property, reachable)
               != 0)
        {
            return -1;
        }

        (void) json_array_remove(search->path,
                                 json_array_size(search->path) - 1);
    }

    return 0;
}


/* Where a header may not be asked for. */

static int
ngx_http_agents_mcp_param_beyond(ngx_http_agents_mcp_param_search_t *search,
    const json_t *schema)
{
    size_t       i, n;
    json_t      *value, *item;
    const char  *name;

    n = sizeof(ngx_http_agents_mcp_param_keywords)
        / sizeof(ngx_http_agents_mcp_param_keywords[0]);

    for (i = 0; i < n; i++) {

        value = json_object_get(schema,
                                ngx_http_agents_mcp_param_keywords[i].name);

        if (ngx_http_agents_mcp_param_keywords[i].holds
            == NGX_HTTP_AGENTS_MCP_PARAM_SCHEMAS)
        {
            if (ngx_http_agents_mcp_param_schema(search, value, 0) != 0) {
                return -1;
            }

            continue;
        }

        json_object_foreach(value, name, item) {
            if (ngx_http_agents_mcp_param_schema(search, item, 0) != 0) {
                return -1;
            }
        }
    }

    return 0;
}


static int
ngx_http_agents_mcp_param_add(ngx_http_agents_mcp_param_search_t *search,
    const json_t *schema, const json_t *header, int reachable)
{
    json_t  *entry;

    search->why = ngx_http_agents_mcp_param_broken(search, schema, header,
                                                   reachable);
    if (search->why != NULL) {
        return -1;
    }

    entry = json_array();

    if (entry == NULL
        || json_array_append_new(entry,
                                 json_string(json_string_value(header))) != 0
        || json_array_extend(entry, search->path) != 0)
    {
        json_decref(entry);
        return -1;
    }

    return json_array_append_new(search->found, entry);
}


/* The rule that is broken, or NULL. */

static const char *
ngx_http_agents_mcp_param_broken(
    const ngx_http_agents_mcp_param_search_t *search, const json_t *schema,
    const json_t *header, int reachable)
{
    size_t       i;
    json_t      *entry;
    const char  *name, *type;

    if (!reachable || json_array_size(search->path) == 0) {
        return "x-mcp-header stands where no property is";
    }

    name = json_string_value(header);

    if (name == NULL
        || !ngx_http_agents_mcp_param_is_token(name,
                                               json_string_length(header)))
    {
        return "x-mcp-header is not the name of a header";
    }

    type = ngx_http_agents_json_string(schema, "type", NULL);

    if (type == NULL
        || (strcmp(type, "string") != 0 && strcmp(type, "integer") != 0
            && strcmp(type, "boolean") != 0))
    {
        return "x-mcp-header stands at another type than string, integer and "
               "boolean";
    }

    json_array_foreach(search->found, i, entry) {
        if (strcasecmp(json_string_value(json_array_get(entry, 0)), name) == 0)
        {
            return "x-mcp-header names one header twice";
        }
    }

    if (json_array_size(search->found) == NGX_HTTP_AGENTS_MCP_PARAM_MAX) {
        return "x-mcp-header stands at too many properties";
    }

    return NULL;
}


/* RFC 9110, 5.6.2. */

static int
ngx_http_agents_mcp_param_is_token(const char *text, size_t len)
{
    static const char  chars[] = "!#$%&'*+-.^_`|~0123456789"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return (len != 0 && strspn(text, chars) == len);
}


size_t
ngx_http_agents_mcp_param_headers(ngx_http_agents_buf_t *buf,
    const json_t *found, const json_t *arguments)
{
    size_t                  i, k, n;
    json_t                 *entry, *name;
    const json_t           *value;
    ngx_http_agents_buf_t   text;

    n = 0;
    ngx_http_agents_buf_init(&text);

    json_array_foreach(found, i, entry) {

        value = arguments;

        for (k = 1; k < json_array_size(entry); k++) {
            name = json_array_get(entry, k);
            value = json_object_get(value, json_string_value(name));
        }

        ngx_http_agents_buf_reset(&text);

        if (!ngx_http_agents_mcp_param_value(&text, value)) {
            continue;
        }

        ngx_http_agents_buf_adds(buf, NGX_HTTP_AGENTS_MCP_PARAM_PREFIX);
        ngx_http_agents_buf_adds(buf,
                                 json_string_value(json_array_get(entry, 0)));
        ngx_http_agents_buf_addc(buf, '\0');
        ngx_http_agents_buf_adds(buf, (text.len != 0) ? text.data : "");
        ngx_http_agents_buf_addc(buf, '\0');

        buf->failed |= text.failed;
        n++;
    }

    ngx_http_agents_buf_free(&text);

    return n;
}


/* Whether there is one: not of null, nor of what no header can say. */

static int
ngx_http_agents_mcp_param_value(ngx_http_agents_buf_t *buf,
    const json_t *value)
{
    double  number;

    if (value == NULL || ngx_http_agents_json_kept(value) != NULL) {
        return 0;
    }

    switch (json_typeof(value)) {

    case JSON_STRING:
        ngx_http_agents_mcp_param_encode(buf, json_string_value(value),
                                         json_string_length(value));
        return 1;

    case JSON_INTEGER:
        ngx_http_agents_buf_addf(buf, "%lld",
                                 (long long) json_integer_value(value));
        return 1;

    case JSON_REAL:
        number = json_real_value(value);

        if (number == floor(number)
            && fabs(number) <= NGX_HTTP_AGENTS_JSON_EXACT)
        {
            ngx_http_agents_buf_addf(buf, "%lld", (long long) number);

        } else {
            ngx_http_agents_json_put(buf, value);
        }

        return 1;

    case JSON_TRUE:
        ngx_http_agents_buf_adds(buf, "true");
        return 1;

    case JSON_FALSE:
        ngx_http_agents_buf_adds(buf, "false");
        return 1;

    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }

    return 0;
}


void
ngx_http_agents_mcp_param_encode(ngx_http_agents_buf_t *buf, const char *text,
    size_t len)
{
    if (ngx_http_agents_mcp_param_is_plain(text, len)) {
        ngx_http_agents_buf_add(buf, text, len);
        return;
    }

    ngx_http_agents_buf_adds(buf, "=?base64?");
    ngx_http_agents_mcp_param_base64(buf, (const unsigned char *) text, len);
    ngx_http_agents_buf_adds(buf, "?=");
}


/* Printable, without blanks at its ends, and not like what is encoded. */

static int
ngx_http_agents_mcp_param_is_plain(const char *text, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return 0;
        }
    }

    if (len != 0 && (text[0] == ' ' || text[len - 1] == ' ')) {
        return 0;
    }

    return (len < sizeof("=?base64?") - 1
            || strncasecmp(text, "=?base64?", sizeof("=?base64?") - 1) != 0);
}


static void
ngx_http_agents_mcp_param_base64(ngx_http_agents_buf_t *buf,
    const unsigned char *text, size_t len)
{
    static const char  chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";

    size_t    i, n;
    uint32_t  bits;

    for (i = 0; i < len; i += 3) {

        n = (len - i < 3) ? len - i : 3;

        bits = (uint32_t) text[i] << 16;
        bits |= (n > 1) ? (uint32_t) text[i + 1] << 8 : 0;
        bits |= (n > 2) ? text[i + 2] : 0;

        ngx_http_agents_buf_addc(buf, chars[bits >> 18]);
        ngx_http_agents_buf_addc(buf, chars[(bits >> 12) & 63]);
        ngx_http_agents_buf_addc(buf, (n > 1) ? chars[(bits >> 6) & 63] : '=');
        ngx_http_agents_buf_addc(buf, (n > 2) ? chars[bits & 63] : '=');
    }
}
