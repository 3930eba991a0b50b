
#include <stdlib.h>
#include "ngx_http_agents_json.h"
#include "unit.h"
#include "unit_data.h"


static void
test_valid(const char *path, const char *name)
{
    char                          *data, *text, *again;
    size_t                         len;
    json_t                        *value, *back;
    ngx_http_agents_json_fault_t   fault;

    data = unit_read(path, &len);
    value = ngx_http_agents_json_parse(data, len, &fault);

    if (!unit(value != NULL, "valid/%s is read", name)) {
        printf("# %d:%d %s\n", fault.line, fault.column, fault.text);
        free(data);
        return;
    }

    text = ngx_http_agents_json_text(value, &len);
    back = ngx_http_agents_json_load(text, len);
    again = ngx_http_agents_json_text(back, NULL);

    unit(text != NULL && back != NULL && json_equal(value, back)
         && strcmp(text, again) == 0,
         "valid/%s is written and reads back equal", name);

    json_decref(back);
    json_decref(value);
    free(again);
    free(text);
    free(data);
}


static void
test_invalid(const char *path, const char *name)
{
    char                          *data;
    size_t                         len;
    json_t                        *value;
    ngx_http_agents_json_fault_t   fault;

    memset(&fault, 0, sizeof(fault));

    data = unit_read(path, &len);
    value = ngx_http_agents_json_parse(data, len, &fault);

    unit(value == NULL && fault.text[0] != '\0' && fault.line > 0
         && fault.column > 0,
         "invalid/%s is refused: %d:%d", name, fault.line, fault.column);
    printf("# %s\n", fault.text);

    json_decref(value);
    free(data);
}


static void
test_fault(const char *text, int line, int column, const char *expected)
{
    json_t                        *value;
    ngx_http_agents_json_fault_t   fault;

    value = ngx_http_agents_json_parse(text, strlen(text), &fault);

    unit(value == NULL && fault.line == line && fault.column == column,
         "a fault at line %d, column %d (%d:%d)", line, column, fault.line,
         fault.column);
    unit_text(fault.text, expected, expected);

    json_decref(value);
}


static void
test_faults(void)
{
    char  deep[200];

    test_fault("{\"a\":\n  1, \"b\": 99999999999999999999}", 2, 30,
               "a number out of range (integers have 64 bits): "
               "99999999999999999999");
    test_fault("[1,-123456789012345678901234567890]", 1, 34,
               "a number out of range (integers have 64 bits): "
               "-123456789012345678901234567890");
    test_fault("-1e400", 1, 6, "a number out of range (integers have 64 bits)"
               ": -1e400");
    test_fault("[\"\\u0000\"]", 1, 9,
               "the character \\u0000 is not allowed");
    test_fault("{\"a\": 1, \"a\": 2}", 1, 12, "duplicate object key: \"a\"");
    test_fault("{\"\\\"\\\\\": 1, \"\\\"\\\\\": 1}", 1, 18,
               "duplicate object key: \"\\\"\\\\\"");
    test_fault("{\"a key of thirty characters, no less\": 1,"
               " \"a key of thirty characters, no less\": 1}", 1, 80,
               "duplicate object key: \"a key of thirty characters, no less\"");

    memset(deep, '[', sizeof(deep));
    memcpy(deep, "[\n[ \"\xc3\xa9\\\"[\", ", 13);
    deep[199] = '\0';
    test_fault(deep, 2, 73, "nested more than 64 levels deep");
}


/* What a foreign text reads as; NULL: it is refused. */

static void
test_foreign(void)
{
    char                          *text;
    size_t                         i;
    json_t                        *value;
    ngx_http_agents_json_fault_t   fault;

    static const struct {
        const char  *name;
        const char  *text;
        size_t       len;
        const char  *read;
    } cases[] = {
#define CASE(text, read)  { "foreign: " #text, text, sizeof(text) - 1, read }
        CASE("{\"a\": 1, \"a\": 2}", "{\"a\":2}"),
        CASE("\xef\xbb\xbf[]", "[]"),
        CASE("\"a\\u0000b\"", "\"a\xef\xbf\xbd" "b\""),
        CASE("\"a\\\\u0000b\"", "\"a\\\\u0000b\""),
        CASE("\"a\\\\\\u0000b\"", "\"a\\\\\xef\xbf\xbd" "b\""),
        CASE("{\"a\\u0000\": 1}", "{\"a\xef\xbf\xbd\":1}"),
        CASE("\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""),
        CASE("\"\\ud83d\"", "\"\xef\xbf\xbd\""),
        CASE("\"\\ud83dx\"", "\"\xef\xbf\xbdx\""),
        CASE("\"\\ud83d\\ud83d\\ude00\"",
             "\"\xef\xbf\xbd\xf0\x9f\x98\x80\""),
        CASE("\"\\uDE00\\uD83D\"", "\"\xef\xbf\xbd\xef\xbf\xbd\""),
        CASE("\"\\ud83d\\n\"", "\"\xef\xbf\xbd\\n\""),
        CASE("\"a\xff\xfe" "b\"", "\"a\xef\xbf\xbd\xef\xbf\xbd" "b\""),
        CASE("\"\xe2\x82" "x\"", "\"\xef\xbf\xbdx\""),
        CASE("\"\xed\xa0\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""),
        CASE("\"\xf0\x9f\x98\"", "\"\xef\xbf\xbd\""),
        CASE("9223372036854775807", "9223372036854775807"),
        CASE("-9223372036854775808", "-9223372036854775808"),
        CASE("9223372036854775808", "9223372036854775808"),
        CASE("[-9223372036854775809,1]", "[-9223372036854775809,1]"),
        CASE("{\"a\":123456789012345678901234567890}",
             "{\"a\":123456789012345678901234567890}"),
        CASE("1e400", "1e400"),
        CASE("[-1.5E+400]", "[-1.5E+400]"),
        CASE("1e-400", "0.0"),
        CASE("[1, -2.5, 3e2, 0]", "[1,-2.5,300.0,0]"),
        CASE("[]", "[]"),
        CASE("[[]]", "[[]]"),
        CASE("[[[]]]", "[[[]]]"),
        CASE("[[[[]]]]", NULL),
        CASE("", NULL),
        CASE("-", NULL),
        CASE("1.", NULL),
        CASE("1.e999", NULL),
        CASE("01", NULL),
        CASE("00000000000000000000000000001", NULL),
        CASE("99999999999999999999.", NULL),
        CASE("1e", NULL),
        CASE("\"abc", NULL),
        CASE("\"abc\\", NULL),
        CASE("\"\\u00", NULL),
        CASE("\"\\u00zz\"", NULL),
        CASE("\"\\x\"", NULL),
        CASE("\"a\nb\"", NULL),
        CASE("\"a\0b\"", NULL),
        CASE("[1\xff]", NULL),
        CASE("{} {}", NULL)
#undef CASE
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        value = ngx_http_agents_json_parse_foreign(cases[i].text, cases[i].len,
                                                   3, &fault);

        text = (value != NULL) ? ngx_http_agents_json_text(value, NULL) : NULL;

        unit_text(text, cases[i].read, cases[i].name);

        json_decref(value);
        free(text);
    }
}


static void
test_reals(void)
{
    char                   *text;
    size_t                  i;
    json_t                 *value;
    ngx_http_agents_buf_t   buf;

    static const struct {
        double       value;
        const char  *plain;
        const char  *sorted;
    } cases[] = {
        { 0.7, "0.7", "0.7" },
        { 0.1 + 0.2, "0.30000000000000004", "0.30000000000000004" },
        { 5e-324, "5e-324", "5e-324" },
        { 2.225073858507203e-309, "2.225073858507203e-309",
          "2.225073858507203e-309" },
        { 1.0, "1.0", "1" },
        { -0.0, "-0.0", "0" },
        { 100.0, "100.0", "100" },
        { 1e15, "1e+15", "1000000000000000" },
        { 123456789012345680.0, "1.2345678901234568e+17",
          "1.2345678901234568e+17" },
        { 9007199254740991.0, "9007199254740991.0", "9007199254740991" },
        { 9007199254740992.0, "9007199254740992.0", "9007199254740992.0" },
        { 1.7976931348623157e308, "1.7976931348623157e+308",
          "1.7976931348623157e+308" },
        { 1.0 / 3, "0.3333333333333333", "0.3333333333333333" }
    };

    ngx_http_agents_buf_init(&buf);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        value = json_real(cases[i].value);

        text = ngx_http_agents_json_text(value, NULL);
        unit_text(text, cases[i].plain, "a real");
        unit(strtod(text, NULL) == cases[i].value, "that reads back equal");
        free(text);

        ngx_http_agents_buf_reset(&buf);
        ngx_http_agents_json_put_sorted(&buf, value);
        unit_text(buf.data, cases[i].sorted, "in a fingerprint");

        json_decref(value);
    }

    ngx_http_agents_buf_free(&buf);
}


static void
test_writing(void)
{
    json_t                        *value;
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_json_fault_t   fault;

    static const char  source[] =
        "{\"b\": [1.0, {\"z\": 1, \"a\": 2}], \"a\": \"/\", \"B\": {},"
        " \"\\u00e9\": null, \"aa\": true}";

    ngx_http_agents_buf_init(&buf);

    value = ngx_http_agents_json_parse(source, strlen(source), &fault);

    ngx_http_agents_json_put(&buf, value);
    unit_text(buf.data, "{\"b\":[1.0,{\"z\":1,\"a\":2}],\"a\":\"/\",\"B\":{},"
              "\"\xc3\xa9\":null,\"aa\":true}", "members keep their order");

    ngx_http_agents_buf_reset(&buf);
    ngx_http_agents_json_put_sorted(&buf, value);
    unit_text(buf.data, "{\"B\":{},\"a\":\"/\",\"aa\":true,"
              "\"b\":[1,{\"a\":2,\"z\":1}],\"\xc3\xa9\":null}",
              "members are sorted by the bytes of their names");

    ngx_http_agents_buf_reset(&buf);
    ngx_http_agents_json_put_string(&buf, "\"\\\b\f\n\r\t\x01\x1f\x7f/\xff<\0>",
                                    15);
    unit_text(buf.data, "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/"
              "\xef\xbf\xbd<\\u0000>\"", "strings are escaped");

    ngx_http_agents_buf_reset(&buf);
    ngx_http_agents_json_begin(&buf);
    ngx_http_agents_json_member_cstring(&buf, "s", "{");
    ngx_http_agents_json_member_cstring(&buf, "n", NULL);
    ngx_http_agents_json_member_integer(&buf, "i", INT64_MIN);
    ngx_http_agents_json_member_raw(&buf, "r", "[1]", 3);
    ngx_http_agents_json_member_raw(&buf, "q", NULL, 0);
    ngx_http_agents_json_key(&buf, "o");
    ngx_http_agents_json_begin(&buf);
    ngx_http_agents_json_member_time(&buf, "t", 1);
    ngx_http_agents_json_member_time(&buf, "u", 0);
    ngx_http_agents_json_end(&buf);
    ngx_http_agents_json_member_string(&buf, "k", "xyz", 2);
    ngx_http_agents_json_end(&buf);
    unit_text(buf.data, "{\"s\":\"{\",\"n\":null,\"i\":-9223372036854775808,"
              "\"r\":[1],\"q\":null,\"o\":{\"t\":\"1970-01-01T00:00:00.001Z\""
              ",\"u\":null},\"k\":\"xy\"}", "members get their commas");

    json_decref(value);
    ngx_http_agents_buf_free(&buf);
}


static void
test_members(void)
{
    size_t   len;
    json_t  *value;

    static const char  source[] =
        "{\"s\": \"\xc3\xa9\", \"i\": 7, \"r\": 7.0, \"t\": true, \"f\": false,"
        " \"o\": {}, \"a\": [], \"n\": null}";

    value = ngx_http_agents_json_load(source, strlen(source));

    unit_text(ngx_http_agents_json_string(value, "s", &len), "\xc3\xa9",
              "a string member");
    unit(len == 2, "and its length");
    unit(ngx_http_agents_json_string(value, "i", NULL) == NULL
         && ngx_http_agents_json_string(value, "x", NULL) == NULL
         && ngx_http_agents_json_string(NULL, "x", NULL) == NULL,
         "no string");

    unit(ngx_http_agents_json_object(value, "o") != NULL
         && ngx_http_agents_json_object(value, "a") == NULL, "an object");
    unit(ngx_http_agents_json_array(value, "a") != NULL
         && ngx_http_agents_json_array(value, "o") == NULL, "an array");
    unit(ngx_http_agents_json_integer(value, "i", 1) == 7
         && ngx_http_agents_json_integer(value, "r", 1) == 1
         && ngx_http_agents_json_integer(value, "x", 1) == 1, "an integer");
    unit(ngx_http_agents_json_true(value, "t")
         && !ngx_http_agents_json_true(value, "f")
         && !ngx_http_agents_json_true(value, "x"), "true");

    unit_text(ngx_http_agents_json_type_name(json_object_get(value, "r")),
              "a number", "the name of a type");

    unit(ngx_http_agents_json_characters("a\xc3\xa9\xf0\x9f\x98\x80", 7) == 3,
         "characters are code points");

    json_decref(value);
}


/* Numbers that jansson cannot hold come back from the store, too. */

static void
test_kept(void)
{
    char    *text;
    json_t  *value;

    static const char  source[] =
        "{\"i\":18446744073709551616,\"r\":-1e999,\"s\":\"1e999\",\"n\":1}";

    value = ngx_http_agents_json_load(source, strlen(source));

    unit_text(ngx_http_agents_json_kept(json_object_get(value, "i")),
              "18446744073709551616", "a large integer is kept");
    unit_text(ngx_http_agents_json_kept(json_object_get(value, "r")),
              "-1e999", "so is a real beyond the range");
    unit(ngx_http_agents_json_kept(json_object_get(value, "s")) == NULL
         && ngx_http_agents_json_kept(json_object_get(value, "n")) == NULL
         && ngx_http_agents_json_kept(value) == NULL
         && ngx_http_agents_json_kept(NULL) == NULL, "nothing else is");
    unit(ngx_http_agents_json_string(value, "i", NULL) == NULL,
         "it is no string");
    unit_text(ngx_http_agents_json_type_name(json_object_get(value, "i")),
              "a number", "but a number");

    text = ngx_http_agents_json_text(value, NULL);
    unit_text(text, source, "and is written as it came");
    free(text);

    json_decref(value);
}


int
main(void)
{
    ngx_http_agents_json_init();

    unit(unit_each("json/valid", ".json", test_valid) > 0, "valid documents");
    unit(unit_each("json/invalid", ".json", test_invalid) > 0,
         "invalid documents");

    test_faults();
    test_foreign();
    test_reals();
    test_writing();
    test_members();
    test_kept();

    return unit_done();
}
