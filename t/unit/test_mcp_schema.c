
#include <stdlib.h>
#include <time.h>
#include "ngx_http_agents_mcp_schema.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_schema.h"
#include "unit.h"
#include "unit_data.h"
#include "unit_mcp_schema.h"


static int  tools;
static int  values;


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

    if (value == NULL) {
        printf("Bail out! %s:%d: %s\n", path, fault.line, fault.text);
        exit(1);
    }

    return value;
}


static void
test_values(const json_t *entry, const json_t *wire, const char *key, int fits,
    const char *name)
{
    size_t                  i;
    json_t                 *value;
    ngx_http_agents_buf_t   why;

    json_array_foreach(json_object_get(entry, key), i, value) {
        ngx_http_agents_buf_init(&why);

        unit((ngx_http_agents_schema_validate(wire, value, &why) == 0) == fits,
             "%s: %s value %zu", name, key, i);

        if (fits && why.len != 0) {
            printf("# %s\n", why.data);
        }

        values++;

        ngx_http_agents_buf_free(&why);
    }
}


static void
test_real_tool(const json_t *entry, const char *file)
{
    char               *text, *wanted, name[128];
    json_t             *input, *wire, *again;
    unit_mcp_schema_t   seen;

    (void) snprintf(name, sizeof(name), "%s: %s", file,
                    json_string_value(json_object_get(entry, "tool")));

    input = json_object_get(entry, "schema");
    wire = ngx_http_agents_mcp_schema_normalize(input);
    again = ngx_http_agents_mcp_schema_normalize(wire);

    unit(unit_mcp_schema_taken(wire, &seen)
         && unit_mcp_schema_closed(input, wire, &seen),
         "%s: model APIs take it", name);

    text = ngx_http_agents_json_text(wire, NULL);
    wanted = ngx_http_agents_json_text(json_object_get(entry, "wire"), NULL);
    unit_text(text, wanted, "as expected, to the byte");
    free(wanted);

    wanted = ngx_http_agents_json_text(again, NULL);
    unit(seen.open != 0 || strcmp(text, wanted) == 0,
         "what is normalised stays as it is");
    free(wanted);
    free(text);

    test_values(entry, wire, "valid", 1, name);
    test_values(entry, wire, "invalid", 0, name);

    tools++;

    json_decref(wire);
    json_decref(again);
}


static void
test_case(const char *path, const char *name)
{
    int      ok;
    char     out[4096], *before, *after, *text, *again, *wanted;
    json_t  *input, *output, *second, *expected;

    unit_mcp_schema_t  seen;

    input = load(path);
    before = ngx_http_agents_json_text(input, NULL);

    output = ngx_http_agents_mcp_schema_normalize(input);
    second = ngx_http_agents_mcp_schema_normalize(input);

    text = ngx_http_agents_json_text(output, NULL);
    again = ngx_http_agents_json_text(second, NULL);
    after = ngx_http_agents_json_text(input, NULL);

    unit(unit_mcp_schema_taken(output, &seen)
         && unit_mcp_schema_closed(input, output, &seen),
         "%s: model APIs take it", name);
    unit(strcmp(text, again) == 0 && strcmp(before, after) == 0,
         "%s: the same each time, and the input is left alone", name);

    (void) snprintf(out, sizeof(out), "%.*s.out.json",
                    (int) (strlen(path) - strlen(".in.json")), path);

    expected = load(out);
    ok = json_equal(output, expected);

    unit(ok, "%s: as expected", name);

    if (!ok) {
        wanted = ngx_http_agents_json_text(expected, NULL);
        printf("#      got: %s\n# expected: %s\n", text, wanted);
        free(wanted);
    }

    json_decref(input);
    json_decref(output);
    json_decref(second);
    json_decref(expected);
    free(before);
    free(after);
    free(text);
    free(again);
}


/*
 * Schemas of real servers, shortened: as they are declared, as they go out,
 * and values that do and do not fit, both before and after.
 */

static void
test_real(const char *path, const char *name)
{
    size_t   i;
    json_t  *list, *entry;

    list = load(path);

    json_array_foreach(list, i, entry) {
        test_real_tool(entry, name);
    }

    json_decref(list);
}


/* Inputs that are made here, since they are large. */

static void
test_hostile(json_t *schema, const char *name)
{
    char     *text;
    json_t   *output;
    double    ms;
    clock_t   start;

    unit_mcp_schema_t  seen;

    start = clock();
    output = ngx_http_agents_mcp_schema_normalize(schema);
    ms = (double) (clock() - start) * 1000 / CLOCKS_PER_SEC;

    text = ngx_http_agents_json_text(output, NULL);

    unit(output != NULL && unit_mcp_schema_taken(output, &seen),
         "%s is bounded", name);
    unit(ms < 2000, "%s is quick", name);
    printf("# %zu bytes, %.1f ms: %.100s\n", strlen(text), ms, text);

    free(text);
    json_decref(output);
    json_decref(schema);
}


static json_t *
bomb(int levels, int width)
{
    int      i, j;
    char     name[32], ref[64];
    json_t  *root, *defs, *properties;

    defs = json_object();
    root = json_pack("{s:s, s:{s:{s:s}}, s:o}", "type", "object", "properties",
                     "a", "$ref", "#/$defs/d0", "$defs", defs);

    for (i = 0; i < levels; i++) {
        properties = json_object();

        for (j = 0; j < width; j++) {
            (void) snprintf(name, sizeof(name), "p%d", j);
            (void) snprintf(ref, sizeof(ref), "#/$defs/d%d", i + 1);
            json_object_set_new(properties, name,
                                json_pack("{s:s}", "$ref", ref));
        }

        (void) snprintf(name, sizeof(name), "d%d", i);
        json_object_set_new(defs, name,
                            json_pack("{s:s, s:o}", "type", "object",
                                      "properties", properties));
    }

    (void) snprintf(name, sizeof(name), "d%d", levels);
    json_object_set_new(defs, name, json_pack("{s:s}", "type", "string"));

    return root;
}


static json_t *
deep(int levels, const char *keyword)
{
    int      i;
    json_t  *node;

    node = json_pack("{s:s}", "type", "string");

    for (i = 0; i < levels; i++) {

        if (strcmp(keyword, "properties") == 0) {
            node = json_pack("{s:s, s:{s:o}}", "type", "object", keyword, "a",
                             node);

        } else if (strcmp(keyword, "items") == 0) {
            node = json_pack("{s:o}", keyword, node);

        } else {
            node = json_pack("{s:[o, {s:s}]}", keyword, node, "type", "null");
        }
    }

    return json_pack("{s:{s:o}}", "properties", "x", node);
}


static json_t *
wide(int count)
{
    int      i;
    char     name[32];
    json_t  *list;

    list = json_array();

    for (i = 0; i < count; i++) {
        (void) snprintf(name, sizeof(name), "v%d", i);
        json_array_append_new(list, json_pack("{s:{s:{s:s}, s:{s:s}}}",
                                              "properties", "kind", "const",
                                              name, name, "type", "string"));
    }

    return json_pack("{s:o}", "oneOf", list);
}


/* A doubling union: each definition is one of two of the next. */

static json_t *
unions(int levels, const char *keyword)
{
    int      i;
    char     name[32], ref[64];
    json_t  *defs;

    defs = json_object();

    for (i = 0; i < levels; i++) {
        (void) snprintf(name, sizeof(name), "d%d", i);
        (void) snprintf(ref, sizeof(ref), "#/$defs/d%d", i + 1);
        json_object_set_new(defs, name,
                            json_pack("{s:[{s:s},{s:s}]}", keyword,
                                      "$ref", ref, "$ref", ref));
    }

    (void) snprintf(name, sizeof(name), "d%d", levels);
    json_object_set_new(defs, name, json_pack("{s:{s:{s:s}}}", "properties",
                                              "a", "type", "string"));

    return json_pack("{s:s, s:o}", "$ref", "#/$defs/d0", "$defs", defs);
}


/* Properties, required names, values and definitions by the thousands. */

static json_t *
many(int count)
{
    int      i;
    char     name[32];
    json_t  *properties, *required, *values, *defs;

    properties = json_object();
    required = json_array();
    values = json_array();
    defs = json_object();

    for (i = 0; i < count; i++) {
        (void) snprintf(name, sizeof(name), "p%d", i);
        json_object_set_new(properties, name,
                            json_pack("{s:s}", "type", "string"));
        json_object_set_new(defs, name, json_pack("{s:s}", "$ref", "#"));
        json_array_append_new(required, json_string(name));
        json_array_append_new(values, json_integer(i));
    }

    json_object_set_new(properties, "e", json_pack("{s:o}", "enum", values));

    return json_pack("{s:o, s:o, s:o}", "properties", properties, "required",
                     required, "$defs", defs);
}


/* What is read of a server: text that is nested without an end in sight. */

static json_t *
deep_text(int levels, const char *open, const char *close)
{
    int                            i;
    json_t                        *value;
    ngx_http_agents_buf_t          text;
    ngx_http_agents_json_fault_t   fault;

    ngx_http_agents_buf_init(&text);
    ngx_http_agents_buf_adds(&text, "{\"properties\":{\"x\":");

    for (i = 0; i < levels; i++) {
        ngx_http_agents_buf_adds(&text, open);
    }

    ngx_http_agents_buf_adds(&text, "1");

    for (i = 0; i < levels; i++) {
        ngx_http_agents_buf_adds(&text, close);
    }

    ngx_http_agents_buf_adds(&text, ",\"y\":{\"type\":\"null\"}}}");

    value = ngx_http_agents_json_parse_cut(text.data, text.len, &fault);
    unit(value != NULL, "%s %d times is read", open, levels);

    ngx_http_agents_buf_free(&text);

    return value;
}


static json_t *
chain(int count)
{
    int      i;
    char     name[32], ref[64];
    json_t  *defs;

    defs = json_object();

    for (i = 0; i < count; i++) {
        (void) snprintf(name, sizeof(name), "d%d", i);
        (void) snprintf(ref, sizeof(ref), "#/$defs/d%d", i + 1);
        json_object_set_new(defs, name, json_pack("{s:s}", "$ref", ref));
    }

    return json_pack("{s:s, s:o}", "$ref", "#/$defs/d0", "$defs", defs);
}


static json_t *
long_text(const char *keyword, size_t len)
{
    char    *text;
    json_t  *node;

    text = malloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';

    node = json_pack("{s:{s:{s:s, s:[s], s:s}}}", "properties", "a", keyword,
                     text, "enum", "v", "$ref", text);
    free(text);

    return node;
}


static void
test_odd(const char *text, const char *name)
{
    json_t                        *value, *output;
    unit_mcp_schema_t              seen;
    ngx_http_agents_json_fault_t   fault;

    value = ngx_http_agents_json_parse_foreign(text, strlen(text), 64, &fault);
    output = ngx_http_agents_mcp_schema_normalize(value);

    unit(unit_mcp_schema_taken(output, &seen)
         && json_object_size(json_object_get(output, "properties")) == 0
         && json_object_get(output, "additionalProperties") == NULL
         && json_is_string(json_object_get(output, "description")),
         "%s becomes an open object with a note", name);

    json_decref(value);
    json_decref(output);
}


int
main(void)
{
    ngx_http_agents_json_init();

    unit(unit_each("mcp_schema", ".in.json", test_case) >= 48, "cases");
    unit(unit_each("mcp_schema_real", ".json", test_real) >= 20
         && tools >= 70 && values >= 200, "tools of real servers");

    test_hostile(bomb(18, 2), "a bomb of references");
    test_hostile(bomb(4, 30), "a wide bomb of references");
    test_hostile(bomb(31, 1), "a deep line of references");
    test_hostile(bomb(200, 1), "a deeper line of references");
    test_hostile(deep(900, "properties"), "deep properties");
    test_hostile(deep(900, "items"), "deep items");
    test_hostile(deep(900, "anyOf"), "deep anyOf");
    test_hostile(deep(900, "allOf"), "deep allOf");
    test_hostile(wide(100), "a union of 100");
    test_hostile(wide(10000), "a union of 10000");
    test_hostile(chain(1000), "a chain of references");
    test_hostile(unions(20, "anyOf"), "a bomb of unions");
    test_hostile(unions(20, "allOf"), "a bomb of allOf");
    test_hostile(unions(100, "oneOf"), "a long bomb of unions");
    test_hostile(many(5), "five of each");
    test_hostile(many(1000), "a thousand of each");
    test_hostile(many(100000), "a hundred thousand of each");
    test_hostile(deep_text(100000, "{\"properties\":{\"a\":", "}}"),
                 "bottomless properties");
    test_hostile(deep_text(100000, "{\"items\":", "}"), "bottomless items");
    test_hostile(deep_text(100000, "{\"anyOf\":[", "]}"), "bottomless anyOf");
    test_hostile(deep_text(100, "{\"const\":", "}"), "a deep constant");
    test_hostile(deep_text(100000, "[", "]"), "bottomless arrays");
    test_hostile(long_text("description", 1000000), "a long description");
    test_hostile(long_text("pattern", 1000000), "a long pattern");
    test_hostile(long_text("default", 1000000), "a long default");
    test_hostile(long_text("title", 1000000), "a long title");

    test_odd("null", "null");
    test_odd("true", "true");
    test_odd("false", "false");
    test_odd("[]", "an array");
    test_odd("\"object\"", "a string");
    test_odd("{\"type\": \"string\"}", "a schema of strings");
    test_odd("{\"type\": [\"array\", \"null\"], \"items\": {}}", "of arrays");
    test_odd("{\"allOf\": [false]}", "of nothing");
    test_odd("{\"oneOf\": [{\"type\": \"string\"}, {\"anyOf\": "
             "[{\"type\": \"null\"}, false]}]}", "a union without an object");
    test_odd("{\"$ref\": \"#\"}", "a reference to itself");
    test_odd("{\"$ref\": \"https://example.com/schema.json\"}",
             "a remote reference");

    return unit_done();
}
