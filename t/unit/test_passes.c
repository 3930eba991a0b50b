
/*
 * The passes over a prompt's messages, by data: each file below data/passes
 * is a list of messages and what it becomes.  And portable names.
 */


#include "ngx_http_agents_names.h"
#include "unit.h"
#include "unit_data.h"


static void
test_passes(const char *path, const char *name)
{
    char                      *data, *text;
    size_t                     len;
    json_t                    *root, *in, *before, *out, *again;
    ngx_http_agents_prompt_t   prompt;

    data = unit_read(path, &len);
    root = ngx_http_agents_json_load(data, len);
    free(data);

    memset(&prompt, 0, sizeof(ngx_http_agents_prompt_t));

    prompt.provider = "here";
    prompt.model = "m";
    prompt.tools = ngx_http_agents_json_array(root, "tools");

    in = json_object_get(root, "in");
    before = json_deep_copy(in);

    out = ngx_http_agents_model_passes(&prompt, in);
    again = ngx_http_agents_model_passes(&prompt, out);

    if (!unit(json_equal(out, json_object_get(root, "out")), "%s", name)) {
        text = ngx_http_agents_json_text(out, NULL);
        printf("# got: %s\n", text);
        free(text);
    }

    unit(json_equal(in, before), "%s: the messages are untouched", name);
    unit(json_equal(out, again), "%s: a second time changes nothing", name);

    json_decref(again);
    json_decref(out);
    json_decref(before);
    json_decref(root);
}


static void
test_portable(const char *name, const char *expected)
{
    char  out[65];

    ngx_http_agents_model_portable_name(out, name);
    unit_text(out, expected, name);
}


static void
test_names(void)
{
    size_t                    i;
    char                      portable[NGX_HTTP_AGENTS_NAME_MAX + 1];
    json_t                   *tools;
    ngx_http_agents_names_t   names;

    static const char *const  expected[] = {
        "a-x_y", "a-x_y_2", "a-x_y_3", "a-x_y_4", "b"
    };

    tools = json_pack("[{s:s},{s:s},{s:s},{s:s},{s:s},{}]", "name", "a-x_y",
                      "name", "a-x.y", "name", "a-x y", "name", "a-x_y_4",
                      "name", "b");

    unit(ngx_http_agents_names_init(&names, tools) == 0 && names.n == 6,
         "names of tools");

    for (i = 0; i < 5; i++) {
        ngx_http_agents_names_portable(&names, portable, names.list[i].wire);
        unit_text(portable, expected[i], names.list[i].wire);
        unit_text(ngx_http_agents_names_wire(&names, portable),
                  names.list[i].wire, "and back");
    }

    unit_text(ngx_http_agents_names_wire(&names, "c"), "c",
              "a name of no tool stays");

    ngx_http_agents_names_free(&names);
    json_decref(tools);

    /* names that fill all 64 characters, alike but for the odd ones */

    tools = json_array();

    for (i = 0; i < 300; i++) {
        snprintf(portable, sizeof(portable), "%03d", (int) i);
        portable[0] = "!?."[i % 3];
        json_array_append_new(tools, json_pack("{s:s+}", "name", portable,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    }

    unit(ngx_http_agents_names_init(&names, tools) == 0, "300 long names");

    for (i = 0; i < 300; i++) {
        if (strlen(names.list[i].portable) > NGX_HTTP_AGENTS_NAME_MAX
            || ngx_http_agents_names_wire(&names, names.list[i].portable)
               != names.list[i].wire)
        {
            break;
        }
    }

    unit(i == 300, "each gets a name of its own");

    ngx_http_agents_names_free(&names);
    json_decref(tools);
}


int
main(void)
{
    ngx_http_agents_json_init();

    unit(unit_each("passes", ".json", test_passes) > 0, "passes");

    test_portable("echo-get_sum", "echo-get_sum");
    test_portable("a.b/c d", "a_b_c_d");
    test_portable("\xc3\xa9t\xc3\xa9", "_t_");
    test_portable("", "_");
    test_portable("0123456789012345678901234567890123456789"
                  "0123456789012345678901234567890123456789",
                  "0123456789012345678901234567890123456789"
                  "012345678901234567890123");

    test_names();

    return unit_done();
}
