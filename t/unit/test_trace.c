
/*
 * W3C Trace Context: which values are passed on.
 */


#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "ngx_http_agents_trace.h"


#define ID      "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT  "00f067aa0ba902b7"


typedef struct {
    const char  *text;
    int          valid;
} test_trace_t;


static const test_trace_t  test_parents[] = {
    { "00-" ID "-" PARENT "-01", 1 },
    { "00-" ID "-" PARENT "-00", 1 },
    { "00-" ID "-" PARENT "-ff", 1 },
    { "01-" ID "-" PARENT "-01", 1 },
    { "fe-" ID "-" PARENT "-01-what-comes", 1 },
    { "01-" ID "-" PARENT "-01-", 1 },
    { "", 0 },
    { "00", 0 },
    { "00-" ID "-" PARENT "-0", 0 },
    { "00-" ID "-" PARENT "-01-", 0 },
    { "00-" ID "-" PARENT "-01-more", 0 },
    { "01-" ID "-" PARENT "-01more", 0 },
    { "01-" ID "-" PARENT "-01-a b", 0 },
    { "01-" ID "-" PARENT "-01-\x7f", 0 },
    { "01-" ID "-" PARENT "-01-\xc3\xa9", 0 },
    { "ff-" ID "-" PARENT "-01", 0 },
    { "0-" ID "-" PARENT "-01", 0 },
    { "0x-" ID "-" PARENT "-01", 0 },
    { "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", 0 },
    { "00-" ID "-00F067AA0BA902B7-01", 0 },
    { "00-" ID "-" PARENT "-0A", 0 },
    { "00-00000000000000000000000000000000-" PARENT "-01", 0 },
    { "00-" ID "-0000000000000000-01", 0 },
    { "00_" ID "-" PARENT "-01", 0 },
    { "00-" ID "_" PARENT "-01", 0 },
    { "00-" ID "-" PARENT "_01", 0 },
    { " 00-" ID "-" PARENT "-01", 0 },
    { "00-" ID "-" PARENT "-01 ", 0 },
    { "00-" ID "-" PARENT "-01,00-" ID "-" PARENT "-01", 0 },
};

static const test_trace_t  test_states[] = {
    { "a=1", 1 },
    { "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", 1 },
    { " a=1 ,\tb=2 ", 1 },
    { "a=1,,b=2,", 1 },
    { "1a-_*/=x y", 1 },
    { "fw529a3039@dt=FfAAAA", 1 },
    { "a= x", 1 },
    { "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~", 1 },
    { "", 0 },
    { ",", 0 },
    { " \t", 0 },
    { "a", 0 },
    { "a=", 0 },
    { "a= ", 0 },
    { "=1", 0 },
    { "A=1", 0 },
    { "-a=1", 0 },
    { "a b=1", 0 },
    { "a=1=2", 0 },
    { "a=1,a=2", 0 },
    { "a=1,b=2,a=1", 0 },
    { "a=\xc3\xa9", 0 },
    { "a=1\x01", 0 },
    { "a=1\n", 0 },
    { "@a=1", 0 },
    { "a@=1", 0 },
    { "a@b@c=1", 0 },
    { "a@fifteencharslon=1", 0 },
    { "a@fourteencharsl=1", 1 },
};


/* The text stands alone in memory: what reads beyond it is found. */

static int
check(int (*is)(const char *text, size_t len), const char *text, size_t len)
{
    int    valid;
    char  *copy;

    copy = malloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';

    valid = is(copy, len);
    free(copy);

    return valid;
}


static void
members(void)
{
    char    text[NGX_HTTP_AGENTS_TRACE_STATE_MAX + 300], *p;
    int     n;
    size_t  len;

    p = text;

    for (n = 1; n <= 33; n++) {
        p += snprintf(p, 16, "%sk%d=v", n == 1 ? "" : ",", n);

        if (n >= 32) {
            unit(check(ngx_http_agents_trace_is_state, text, p - text)
                 == (n == 32), "%d members", n);
        }
    }

    memset(text, 'a', sizeof(text));
    text[256] = '=';

    unit(check(ngx_http_agents_trace_is_state, text, 256 + 1 + 256),
         "a key and a value as long as may be");
    unit(!check(ngx_http_agents_trace_is_state, text, 256 + 1 + 257),
         "a longer value");

    text[256] = 'a';
    text[257] = '=';
    unit(!check(ngx_http_agents_trace_is_state, text, 260), "a longer key");

    text[240] = '@';
    text[250] = '=';
    text[257] = 'a';
    unit(check(ngx_http_agents_trace_is_state, text, 260), "a long tenant");

    memmove(text + 2, text, 258);
    memcpy(text, "aa", 2);
    unit(!check(ngx_http_agents_trace_is_state, text, 260), "a longer one");

    for (len = 0; len < sizeof(text); len++) {
        text[len] = ',';
    }

    memcpy(text, "a=1", 3);
    unit(check(ngx_http_agents_trace_is_state, text,
               NGX_HTTP_AGENTS_TRACE_STATE_MAX), "as long as may be");
    unit(!check(ngx_http_agents_trace_is_state, text,
                NGX_HTTP_AGENTS_TRACE_STATE_MAX + 1), "too long");

    memset(text, 'a', sizeof(text));
    memcpy(text, "01-" ID "-" PARENT "-01-", 56);
    unit(check(ngx_http_agents_trace_is_parent, text,
               NGX_HTTP_AGENTS_TRACE_PARENT_MAX), "a parent as long as may be");
    unit(!check(ngx_http_agents_trace_is_parent, text,
                NGX_HTTP_AGENTS_TRACE_PARENT_MAX + 1), "a longer one");

    unit(!check(ngx_http_agents_trace_is_state, "a=1\0", 4), "no NUL");
    unit(!check(ngx_http_agents_trace_is_state, "a\0=1", 4), "not in a key");
}


int
main(void)
{
    size_t               i;
    const test_trace_t  *test;

    for (i = 0; i < sizeof(test_parents) / sizeof(test_trace_t); i++) {
        test = &test_parents[i];
        unit(check(ngx_http_agents_trace_is_parent, test->text,
                   strlen(test->text)) == test->valid,
             "parent \"%s\"", test->text);
    }

    for (i = 0; i < sizeof(test_states) / sizeof(test_trace_t); i++) {
        test = &test_states[i];
        unit(check(ngx_http_agents_trace_is_state, test->text,
                   strlen(test->text)) == test->valid,
             "state %d", (int) i);
    }

    members();

    return unit_done();
}
