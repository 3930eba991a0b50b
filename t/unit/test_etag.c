
#include "ngx_http_agents_etag.h"
#include "unit.h"


static void
test_make(void)
{
    char  one[NGX_HTTP_AGENTS_ETAG_LEN + 1], two[NGX_HTTP_AGENTS_ETAG_LEN + 1];

    unit(ngx_http_agents_etag_make(one, "", 0) == 0, "a tag of nothing");
    unit_text(one, "\"e3b0c44298fc1c149afbf4c8996fb924\"", "is this one");

    unit(ngx_http_agents_etag_make(one, "{\"a\":1}", 7) == 0
         && ngx_http_agents_etag_make(two, "{\"a\":2}", 7) == 0
         && strcmp(one, two) != 0,
         "another body has another tag");
}


static void
test_match(void)
{
    size_t  i;

    static const struct {
        const char  *list;
        int          weak, strong;
    } cases[] = {
        { "\"x\"", 1, 1 },
        { "W/\"x\"", 1, 0 },
        { "w/\"x\"", 0, 0 },
        { "*", 1, 1 },
        { " * ", 1, 1 },
        { "*x", 0, 0 },
        { "*, \"x\"", 0, 0 },
        { "", 0, 0 },
        { " ", 0, 0 },
        { ",", 0, 0 },
        { "x", 0, 0 },
        { "\"x", 0, 0 },
        { "\"", 0, 0 },
        { "W/", 0, 0 },
        { "W/\"", 0, 0 },
        { "\"\"", 0, 0 },
        { "\"xx\"", 0, 0 },
        { "\"X\"", 0, 0 },
        { "\"y\", \"x\"", 1, 1 },
        { "\"y\",\"x\"", 1, 1 },
        { "\"y\"\t,\t\"x\"", 1, 1 },
        { ",, \"y\" ,, \"x\"", 1, 1 },
        { "\"y\", W/\"x\"", 1, 0 },
        { "W/\"x\", \"x\"", 1, 1 },
        { "\"a,\", \"x\"", 1, 1 },
        { "\"y, \"x\"", 0, 0 },
        { "\"y\" \"x\"", 0, 0 },
        { "y, \"x\"", 0, 0 },
        { "\"x\" y", 1, 1 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unit(ngx_http_agents_etag_match(cases[i].list, strlen(cases[i].list),
                                        "\"x\"", 1) == cases[i].weak,
             "If-None-Match: %s", cases[i].list);
        unit(ngx_http_agents_etag_match(cases[i].list, strlen(cases[i].list),
                                        "\"x\"", 0) == cases[i].strong,
             "If-Match: %s", cases[i].list);
    }
}


int
main(void)
{
    test_make();
    test_match();

    return unit_done();
}
