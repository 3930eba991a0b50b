
#include <stdlib.h>
#include <time.h>
#include "ngx_http_agents_mcp_schema.h"
#include "ngx_http_agents_json.h"
#include "unit.h"
#include "unit_data.h"


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


/* Whether nothing is left that a model API refuses. */

static int
clean(const json_t *schema, int depth)
{
    json_t      *value, *sub;
    size_t       i;
    const char  *key, *name;

    static const char  known[] =
        " type description title properties required additionalProperties"
        " items enum const default anyOf ";

    json_object_foreach((json_t *) schema, key, value) {
        char  word[64];

        (void) snprintf(word, sizeof(word), " %.60s ", key);

        if (strstr(known, word) == NULL) {
            printf("# keyword %s\n", key);
            return 0;
        }

        if (strcmp(key, "description") == 0 && json_string_length(value) == 0) {
            printf("# empty description\n");
            return 0;
        }
    }

    value = json_object_get(schema, "type");

    if (depth > 40 || (value != NULL && !json_is_string(value))) {
        printf("# depth or type\n");
        return 0;
    }

    json_object_foreach(json_object_get(schema, "properties"), name, sub) {
        if (!json_is_object(sub) || !clean(sub, depth + 1)) {
            printf("# in %s\n", name);
            return 0;
        }
    }

    json_array_foreach(json_object_get(schema, "anyOf"), i, sub) {
        if (!json_is_object(sub) || !clean(sub, depth + 1)) {
            printf("# in anyOf %zu\n", i);
            return 0;
        }
    }

    value = json_object_get(schema, "items");

    if (value != NULL && (!json_is_object(value) || !clean(value, depth + 1))) {
        printf("# in items\n");
        return 0;
    }

    value = json_object_get(schema, "additionalProperties");

    return !json_is_object(value) || clean(value, depth + 1);
}


static int
root(const json_t *schema)
{
    const char  *type;

    type = ngx_http_agents_json_string(schema, "type", NULL);

    return type != NULL && strcmp(type, "object") == 0
           && ngx_http_agents_json_object(schema, "properties") != NULL
           && json_object_get(schema, "anyOf") == NULL
           && json_object_get(schema, "enum") == NULL;
}


static void
test_case(const char *path, const char *name)
{
    int      ok;
    char     out[4096], *before, *after, *text, *again, *wanted;
    json_t  *input, *output, *second, *expected;

    input = load(path);
    before = ngx_http_agents_json_text(input, NULL);

    output = ngx_http_agents_mcp_schema_normalize(input);
    second = ngx_http_agents_mcp_schema_normalize(input);

    text = ngx_http_agents_json_text(output, NULL);
    again = ngx_http_agents_json_text(second, NULL);
    after = ngx_http_agents_json_text(input, NULL);

    unit(root(output) && clean(output, 0), "%s: model APIs take it", name);
    unit(strcmp(text, again) == 0 && strcmp(before, after) == 0,
         "%s: the same each time, and the input is left alone", name);
    unit(strlen(text) < 2 * NGX_HTTP_AGENTS_MCP_SCHEMA_BYTES,
         "%s: bounded", name);

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


/* Inputs that are made here, since they are large. */

static void
test_hostile(json_t *schema, const char *name)
{
    char     *text;
    json_t   *output;
    double    ms;
    clock_t   start;

    start = clock();
    output = ngx_http_agents_mcp_schema_normalize(schema);
    ms = (double) (clock() - start) * 1000 / CLOCKS_PER_SEC;

    text = ngx_http_agents_json_text(output, NULL);

    unit(output != NULL && root(output) && clean(output, 0)
         && strlen(text) < 2 * NGX_HTTP_AGENTS_MCP_SCHEMA_BYTES,
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
    ngx_http_agents_json_fault_t   fault;

    value = ngx_http_agents_json_parse_foreign(text, strlen(text), 64, &fault);
    output = ngx_http_agents_mcp_schema_normalize(value);

    unit(root(output) && clean(output, 0)
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

    unit(unit_each("mcp_schema", ".in.json", test_case) >= 15, "cases");

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
    test_odd("{\"$ref\": \"#\"}", "a reference to itself");
    test_odd("{\"$ref\": \"https://example.com/schema.json\"}",
             "a remote reference");

    return unit_done();
}
