
/*
 * The public test suite of JSON Schema, as Debian packages it: what it says
 * of each value has to be what we say, where the schema is within the subset,
 * and a schema that is refused has to have something beyond it.
 *
 *     test_schema_suite [FOLDER]
 *
 * FOLDER holds another copy, such as tests/draft2020-12 of a newer one: then
 * the counts are not compared.  Of the drafts that Debian has, draft7 says of
 * these keywords what 2020-12 says.
 */


#include <stdlib.h>
#include "ngx_http_agents_schema.h"
#include "unit.h"
#include "unit_data.h"


#define SUITE  "/usr/share/json-schema-test-suite/tests/draft7"


typedef struct {
    const char  *file;
    int          accepted;      /* schemas; at least so many */
    int          refused;
    int          verdicts;
} suite_file_t;


/*
 * What the package has: a newer one may have more.  All schemas of the files
 * that are not here are refused.
 */

static const suite_file_t  suite_files[] = {
    { "additionalProperties.json", 1, 4, 1 },
    { "anyOf.json", 3, 3, 11 },
    { "const.json", 4, 0, 12 },
    { "default.json", 2, 0, 4 },
    { "enum.json", 3, 0, 9 },
    { "items.json", 1, 4, 4 },
    { "maxItems.json", 1, 0, 4 },
    { "maxLength.json", 1, 0, 5 },
    { "maximum.json", 1, 0, 4 },
    { "minItems.json", 1, 0, 4 },
    { "minLength.json", 1, 0, 5 },
    { "minimum.json", 1, 0, 4 },
    { "properties.json", 1, 2, 6 },
    { "ref.json", 1, 10, 2 },
    { "required.json", 3, 0, 7 },
    { "type.json", 7, 1, 52 },
    { "bignum.json", 7, 2, 7 },
    { "zeroTerminatedFloats.json", 1, 0, 1 },
    { NULL, 0, 0, 0 }
};


static const char *const  suite_keywords[] = {
    "type", "properties", "required", "enum", "const", "items",
    "additionalProperties", "minimum", "maximum", "minLength", "maxLength",
    "minItems", "maxItems", "anyOf", "title", "description", "default",
    "$schema", "$id", "$comment", "examples", "deprecated", "readOnly",
    "writeOnly", NULL
};


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


/* Whether what stands at the pointer of a fault is beyond the subset. */

static int
beyond(const json_t *schema, const char *pointer)
{
    size_t              i;
    char                name[256];
    const char         *p;
    const json_t       *value;
    const char *const  *keyword;

    value = schema;
    name[0] = '\0';

    for (p = pointer; *p == '/'; /* void */ ) {
        p++;

        for (i = 0; *p != '\0' && *p != '/' && i < sizeof(name) - 1; p++) {

            if (*p == '~') {
                p++;
                name[i++] = (*p == '0') ? '~' : '/';
                continue;
            }

            name[i++] = *p;
        }

        name[i] = '\0';
        value = json_is_array(value) ? json_array_get(value, strtoul(name,
                                                                  NULL, 10))
                                     : json_object_get(value, name);
    }

    if (value == NULL) {
        return 0;
    }

    if (json_is_boolean(value)) {
        return !(json_is_false(value)
                 && strcmp(name, "additionalProperties") == 0);
    }

    for (keyword = suite_keywords; *keyword != NULL; keyword++) {
        if (strcmp(*keyword, name) == 0) {
            break;
        }
    }

    if (*keyword == NULL || strcmp(name, "additionalProperties") == 0) {
        return 1;
    }

    if (strcmp(name, "enum") == 0) {
        return json_is_array(value) && json_array_size(value) == 0;
    }

    /* tuples, and lists of types without null */

    if (!json_is_array(value)
        || (strcmp(name, "items") != 0 && strcmp(name, "type") != 0))
    {
        return 0;
    }

    json_array_foreach(value, i, schema) {
        if (json_is_string(schema)
            && strcmp(json_string_value(schema), "null") == 0)
        {
            return 0;
        }
    }

    return 1;
}


/* Whether each value gets the verdict of the suite. */

static int
held(const json_t *group, const char *file, int *verdicts)
{
    int                     ok, fits;
    size_t                  i;
    json_t                 *test, *tests;
    ngx_http_agents_buf_t   why;

    ok = 1;
    tests = json_object_get(group, "tests");

    json_array_foreach(tests, i, test) {
        ngx_http_agents_buf_init(&why);

        fits = (ngx_http_agents_schema_validate(json_object_get(group,
                                                                "schema"),
                                                json_object_get(test, "data"),
                                                &why)
                == 0);

        (*verdicts)++;

        if (fits != json_is_true(json_object_get(test, "valid"))) {
            ok = 0;
            printf("# %s: %s: %s: %s\n", file,
                   json_string_value(json_object_get(group, "description")),
                   json_string_value(json_object_get(test, "description")),
                   (why.data != NULL) ? why.data : "it fits");
        }

        ngx_http_agents_buf_free(&why);
    }

    return ok;
}


static int
refused_rightly(const json_t *group, const char *file,
    const ngx_http_agents_faults_t *faults)
{
    int     ok;
    size_t  i;

    ok = (faults->n != 0);

    for (i = 0; i < faults->n; i++) {

        if (!beyond(json_object_get(group, "schema"),
                    faults->list[i].pointer))
        {
            ok = 0;
            printf("# %s: %s: %s: %s\n", file,
                   json_string_value(json_object_get(group, "description")),
                   faults->list[i].pointer, faults->list[i].detail);
        }
    }

    return ok;
}


static void
test_file(const char *folder, const char *name, suite_file_t *got)
{
    int                        verdicts, refusals;
    char                       path[4096];
    size_t                     i;
    json_t                    *groups, *group;
    ngx_http_agents_faults_t   faults;

    (void) snprintf(path, sizeof(path), "%s/%s", folder, name);

    memset(got, 0, sizeof(suite_file_t));
    got->file = name;

    verdicts = 1;
    refusals = 1;
    groups = load(path);

    json_array_foreach(groups, i, group) {
        memset(&faults, 0, sizeof(faults));
        ngx_http_agents_schema_check(json_object_get(group, "schema"), NULL,
                                     &faults);

        if (faults.found == 0) {
            got->accepted++;
            verdicts &= held(group, name, &got->verdicts);

        } else {
            got->refused++;
            refusals &= refused_rightly(group, name, &faults);
        }

        ngx_http_agents_faults_free(&faults);
    }

    json_decref(groups);

    unit(verdicts, "%s: %d verdicts of %d schemas", name, got->verdicts,
         got->accepted);
    unit(refusals, "%s: %d schemas are refused for what is beyond the subset",
         name, got->refused);
}


/* Those of files that are not in the table are no fewer than none. */

static void
test_counts(const suite_file_t *got)
{
    const suite_file_t  *expected;

    for (expected = suite_files; expected->file != NULL; expected++) {
        if (strcmp(expected->file, got->file) == 0) {
            break;
        }
    }

    unit(got->accepted >= expected->accepted
         && got->refused >= expected->refused
         && got->verdicts >= expected->verdicts,
         "%s: as many as there were", got->file);
}


/* Returns how many files there were; -1 without the folder. */

static int
test_folder(const char *folder, int counted)
{
    int              i, n, seen;
    const char      *dot;
    suite_file_t     got;
    struct dirent  **list;

    n = scandir(folder, &list, unit_visible, alphasort);
    if (n < 0) {
        return -1;
    }

    seen = 0;

    for (i = 0; i < n; i++) {
        dot = strrchr(list[i]->d_name, '.');

        if (dot != NULL && strcmp(dot, ".json") == 0) {
            test_file(folder, list[i]->d_name, &got);
            seen++;

            if (counted) {
                test_counts(&got);
            }
        }

        free(list[i]);
    }

    free(list);

    return seen;
}


int
main(int argc, char **argv)
{
    int  seen;

    ngx_http_agents_json_init();

    if (argc > 1) {
        unit(test_folder(argv[1], 0) > 0, "%s has files", argv[1]);
        return unit_done();
    }

    seen = test_folder(SUITE, 1);

    if (seen == -1) {
        printf("1..0 # SKIP the package json-schema-test-suite is missing\n");
        return 0;
    }

    unit(seen >= 35, "%d files", seen);
    unit(test_folder(SUITE "/optional", 1) >= 4, "and optional ones");

    return unit_done();
}
