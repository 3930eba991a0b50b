
#include <stdlib.h>
#include "ngx_http_agents_schema.h"
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
    value = ngx_http_agents_json_parse_foreign(data, len,
                                               NGX_HTTP_AGENTS_JSON_DEPTH,
                                               &fault);
    free(data);

    if (value == NULL) {
        printf("Bail out! %s:%d: %s\n", path, fault.line, fault.text);
        exit(1);
    }

    return value;
}


static json_t *
read_text(const char *text)
{
    return ngx_http_agents_json_load(text, strlen(text));
}


static void
test_fits(const char *path, const char *name)
{
    json_t                 *test;
    ngx_http_agents_buf_t   why;

    test = load(path);
    ngx_http_agents_buf_init(&why);

    unit(ngx_http_agents_schema_validate(json_object_get(test, "schema"),
                                         json_object_get(test, "value"), &why)
         == 0 && why.len == 0,
         "schema/valid/%s fits", name);

    if (why.len != 0) {
        printf("# %s\n", why.data);
    }

    ngx_http_agents_buf_free(&why);
    json_decref(test);
}


static void
test_does_not_fit(const char *path, const char *name)
{
    json_t                 *test;
    const char             *expected;
    ngx_http_agents_buf_t   why;

    test = load(path);
    ngx_http_agents_buf_init(&why);

    unit(ngx_http_agents_schema_validate(json_object_get(test, "schema"),
                                         json_object_get(test, "value"), &why)
         == -1 && why.len != 0 && why.len < 1500,
         "schema/invalid/%s does not fit", name);

    expected = ngx_http_agents_json_string(test, "why", NULL);

    if (expected != NULL) {
        unit_text(why.data, expected, "and says why");
    }

    ngx_http_agents_buf_free(&why);
    json_decref(test);
}


static void
test_check_valid(const char *path, const char *name)
{
    json_t                    *test;
    ngx_http_agents_faults_t   faults;

    memset(&faults, 0, sizeof(faults));

    test = load(path);
    ngx_http_agents_schema_check(json_object_get(test, "schema"), NULL,
                                 &faults);

    unit(faults.found == 0, "schema_check/valid/%s is in the subset", name);

    if (faults.n != 0) {
        printf("# %s: %s\n", faults.list[0].pointer, faults.list[0].detail);
    }

    ngx_http_agents_faults_free(&faults);
    json_decref(test);
}


static void
test_check_invalid(const char *path, const char *name)
{
    int                        ok;
    size_t                     i;
    json_t                    *test, *pointers;
    const char                *expected;
    ngx_http_agents_fault_t   *fault;
    ngx_http_agents_path_t     root;
    ngx_http_agents_faults_t   faults;

    memset(&faults, 0, sizeof(faults));

    root.parent = NULL;
    root.key = "schema";
    root.index = 0;

    test = load(path);
    pointers = ngx_http_agents_json_array(test, "pointers");

    ngx_http_agents_schema_check(json_object_get(test, "schema"), &root,
                                 &faults);

    ok = (faults.n == json_array_size(pointers));

    for (i = 0; i < faults.n; i++) {
        fault = &faults.list[i];
        expected = json_string_value(json_array_get(pointers, i));

        printf("# %s: %s\n", fault->pointer, fault->detail);

        ok &= expected != NULL
              && strncmp(fault->pointer, "/schema", 7) == 0
              && strcmp(fault->pointer + 7, expected) == 0
              && strcmp(fault->slug, "invalid-output-schema") == 0;
    }

    unit(ok, "schema_check/invalid/%s: every fault is found", name);

    ngx_http_agents_faults_free(&faults);
    json_decref(test);
}


static void
test_wire_of(const char *text, const char *expected, const char *name)
{
    char    *got;
    json_t  *schema, *wire;

    schema = read_text(text);
    wire = ngx_http_agents_schema_wire(schema);
    got = ngx_http_agents_json_text(wire, NULL);

    unit_text(got, expected, name);

    free(got);
    json_decref(wire);
    json_decref(schema);
}


static void
test_wire(void)
{
    test_wire_of("{\"type\":\"object\",\"$schema\":\"x\",\"$id\":\"y\","
                 "\"properties\":{\"examples\":{\"type\":\"array\","
                 "\"items\":{\"$comment\":\"c\",\"type\":\"string\"},"
                 "\"examples\":[]},\"$id\":{\"anyOf\":[{\"deprecated\":true},"
                 "{\"const\":{\"$id\":1}}]}},\"required\":[\"$id\"],"
                 "\"additionalProperties\":false,\"default\":{\"$id\":2}}",
                 "{\"type\":\"object\","
                 "\"properties\":{\"examples\":{\"type\":\"array\","
                 "\"items\":{\"type\":\"string\"}},\"$id\":{\"anyOf\":[{},"
                 "{\"const\":{\"$id\":1}}]}},\"required\":[\"$id\"],"
                 "\"additionalProperties\":false,\"default\":{\"$id\":2}}",
                 "annotations are dropped, values and names stay");

    test_wire_of("{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
                 "{\"type\":\"object\",\"properties\":{\"value\":"
                 "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},"
                 "\"required\":[\"value\"],\"additionalProperties\":false}",
                 "a root that is no object is wrapped");
}


static void
test_wrapped(void)
{
    size_t   i;
    json_t  *schema;

    static const struct {
        const char  *schema;
        int          wrapped;
    } cases[] = {
        { "{\"type\":\"object\"}", 0 },
        { "{\"type\":\"object\",\"properties\":{\"anyOf\":{}}}", 0 },
        { "{\"type\":[\"object\",\"null\"]}", 1 },
        { "{\"type\":\"string\"}", 1 },
        { "{\"properties\":{}}", 1 },
        { "{}", 1 },
        { "{\"enum\":[1]}", 1 },
        { "{\"type\":\"object\",\"anyOf\":[{}]}", 1 },
        { "{\"anyOf\":[{\"type\":\"object\"}]}", 1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        schema = read_text(cases[i].schema);

        unit(ngx_http_agents_schema_wrapped(schema) == cases[i].wrapped,
             "%s is %swrapped", cases[i].schema,
             cases[i].wrapped ? "" : "not ");

        json_decref(schema);
    }
}


/* So many items, each a number, under an anyOf of so many constants. */

static int
hold_items(size_t items, size_t alternatives, ngx_http_agents_buf_t *why)
{
    int      rc;
    size_t   i;
    json_t  *schema, *values, *constants;

    constants = json_array();
    values = json_array();

    for (i = 0; i < alternatives; i++) {
        json_array_append_new(constants, json_pack("{s:i}", "const", (int) i));
    }

    for (i = 0; i < items; i++) {
        json_array_append_new(values,
                              json_integer((json_int_t) alternatives - 1));
    }

    schema = json_pack("{s:{s:o}}", "items", "anyOf", constants);

    rc = ngx_http_agents_schema_validate(schema, values, why);

    json_decref(schema);
    json_decref(values);

    return rc;
}


static void
test_steps(void)
{
    ngx_http_agents_buf_t  why;

    ngx_http_agents_buf_init(&why);

    unit(hold_items(20000, 100, &why) == 0 && why.len == 0,
         "twenty thousand items under a hundred alternatives");

    unit(hold_items(20000, 2000, &why) == -1
         && why.data != NULL
         && strcmp(why.data, "/: holding it to the schema takes too many steps")
            == 0,
         "under two thousand they are given up: %s",
         (why.data != NULL) ? why.data : "");

    ngx_http_agents_buf_free(&why);
}


int
main(void)
{
    ngx_http_agents_json_init();

    unit(unit_each("schema/valid", ".json", test_fits) > 0, "values that fit");
    unit(unit_each("schema/invalid", ".json", test_does_not_fit) > 0,
         "values that do not");
    unit(unit_each("schema_check/valid", ".json", test_check_valid) > 0,
         "schemas of the subset");
    unit(unit_each("schema_check/invalid", ".json", test_check_invalid) > 0,
         "schemas beyond it");

    test_wire();
    test_wrapped();
    test_steps();

    return unit_done();
}
