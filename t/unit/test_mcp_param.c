
#include <stdlib.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_mcp_param.h"
#include "unit.h"


static json_t *
parse(const char *text)
{
    ngx_http_agents_json_fault_t  fault;

    return ngx_http_agents_json_parse_cut(text, strlen(text), &fault);
}


/* The headers of a call, in one text, or the rule that the schema breaks. */

static void
headers(const char *schema, const char *arguments, const char *expected,
    const char *name)
{
    size_t                  i, n;
    json_t                 *s, *a, *found;
    const char             *why, *p;
    ngx_http_agents_buf_t   buf, text;

    s = parse(schema);
    a = parse(arguments);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_init(&text);

    found = ngx_http_agents_mcp_param_find(s, &why);

    if (found == NULL) {
        unit_text(why, expected, name);

    } else {
        n = ngx_http_agents_mcp_param_headers(&buf, found, a);

        for (i = 0, p = buf.data; i < n; i++, p += strlen(p) + 1) {
            ngx_http_agents_buf_addf(&text, "%s: ", p);
            p += strlen(p) + 1;
            ngx_http_agents_buf_addf(&text, "%s\n", p);
        }

        unit_text((n != 0) ? text.data : "", expected, name);
    }

    ngx_http_agents_buf_free(&text);
    ngx_http_agents_buf_free(&buf);
    json_decref(found);
    json_decref(a);
    json_decref(s);
}


/* Of one argument, of this type and value. */

static void
one(const char *type, const char *value, const char *expected,
    const char *name)
{
    ngx_http_agents_buf_t  schema, arguments, header;

    ngx_http_agents_buf_init(&schema);
    ngx_http_agents_buf_init(&arguments);
    ngx_http_agents_buf_init(&header);

    ngx_http_agents_buf_addf(&schema, "{\"properties\":{\"a\":{\"type\":\"%s\","
                             "\"x-mcp-header\":\"A\"}}}", type);
    ngx_http_agents_buf_addf(&arguments, "{\"a\":%s}", value);

    if (expected != NULL) {
        ngx_http_agents_buf_addf(&header, "Mcp-Param-A: %s\n", expected);
    }

    headers(schema.data, arguments.data, (expected != NULL) ? header.data : "",
            name);

    ngx_http_agents_buf_free(&schema);
    ngx_http_agents_buf_free(&arguments);
    ngx_http_agents_buf_free(&header);
}


static void
values(void)
{
    one("string", "\"us-west 1\"", "us-west 1", "a plain string");
    one("string", "\"\"", "", "an empty one");
    one("string", "\" a\"", "=?base64?IGE=?=", "a blank before it");
    one("string", "\"a \"", "=?base64?YSA=?=", "and behind it");
    one("string", "\"\\ta\"", "=?base64?CWE=?=", "a tab");
    one("string", "\"a\\r\\nb\"", "=?base64?YQ0KYg==?=", "a line's end");
    one("string", "\"\\u00e9\"", "=?base64?w6k=?=", "beyond ASCII");
    one("string", "\"a\\u007f\"", "=?base64?YX8=?=", "DEL");
    one("string", "\"=?base64?YQ==?=\"", "=?base64?PT9iYXNlNjQ/WVE9PT89?=",
        "what looks encoded");
    one("string", "\"=?BASE64?x\"", "=?base64?PT9CQVNFNjQ/eA==?=",
        "in any case");
    one("integer", "42", "42", "an integer");
    one("integer", "-9007199254740993", "-9007199254740993", "a long one");
    one("integer", "5.0", "5", "an integral real");
    one("boolean", "true", "true", "true");
    one("boolean", "false", "false", "false");
    one("boolean", "null", NULL, "null has no header");
    one("string", "{}", NULL, "an object has none");
    one("integer", "1e999", NULL, "what no number can hold has none");
}


static void
places(void)
{
    headers("{}", "{}", "", "a schema without headers");
    headers("true", "{}", "", "no schema");
    headers("{\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{"
            "\"b\":{\"type\":\"string\",\"x-mcp-header\":\"B\"}}}}}",
            "{\"a\":{\"b\":\"c\"}}", "Mcp-Param-B: c\n", "an inner property");
    headers("{\"properties\":{\"a\":{\"properties\":{\"b\":{\"type\":"
            "\"string\",\"x-mcp-header\":\"B\"}}}}}",
            "{\"a\":\"x\"}", "", "which the arguments do not have");
    headers("{\"properties\":{\"x-mcp-header\":{\"type\":\"string\"},"
            "\"b\":{\"const\":{\"x-mcp-header\":1},"
            "\"default\":{\"x-mcp-header\":\"\"}}}}",
            "{}", "", "a property of that name, and values, ask for nothing");
}


static void
broken(void)
{
    const char  *where = "x-mcp-header stands where no property is";
    const char  *type = "x-mcp-header stands at another type than string, "
                        "integer and boolean";
    const char  *header = "x-mcp-header is not the name of a header";

    headers("{\"type\":\"string\",\"x-mcp-header\":\"A\"}", "{}", where,
            "at the root");
    headers("{\"properties\":{\"a\":{\"items\":{\"type\":\"string\","
            "\"x-mcp-header\":\"A\"}}}}", "{}", where, "in items");
    headers("{\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"string\","
            "\"x-mcp-header\":\"A\"}]}}}", "{}", where, "in anyOf");
    headers("{\"$defs\":{\"a\":{\"properties\":{\"b\":{\"type\":\"string\","
            "\"x-mcp-header\":\"A\"}}}}}", "{}", where, "in $defs");
    headers("{\"properties\":{\"a\":{\"type\":\"number\","
            "\"x-mcp-header\":\"A\"}}}", "{}", type, "a number");
    headers("{\"properties\":{\"a\":{\"type\":[\"string\",\"null\"],"
            "\"x-mcp-header\":\"A\"}}}", "{}", type, "a list of types");
    headers("{\"properties\":{\"a\":{\"x-mcp-header\":\"A\"}}}", "{}", type,
            "no type");
    headers("{\"properties\":{\"a\":{\"type\":\"string\","
            "\"x-mcp-header\":\"\"}}}", "{}", header, "an empty name");
    headers("{\"properties\":{\"a\":{\"type\":\"string\","
            "\"x-mcp-header\":\"A B\"}}}", "{}", header, "a blank in it");
    headers("{\"properties\":{\"a\":{\"type\":\"string\","
            "\"x-mcp-header\":\"A\\r\\nB: c\"}}}", "{}", header,
            "a line's end in it");
    headers("{\"properties\":{\"a\":{\"type\":\"string\","
            "\"x-mcp-header\":7}}}", "{}", header, "no string");
    headers("{\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":"
            "\"A\"},\"b\":{\"type\":\"string\",\"x-mcp-header\":\"a\"}}}",
            "{}", "x-mcp-header names one header twice", "in another case");
}


int
main(void)
{
    values();
    places();
    broken();

    return unit_done();
}
