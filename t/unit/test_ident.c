
#include <stdlib.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_fault.h"
#include "ngx_http_agents_ident.h"
#include "unit.h"


static void
test_uuid(void)
{
    int   i, form, order;
    char  uuid[NGX_HTTP_AGENTS_UUID_LEN + 1];
    char  last[NGX_HTTP_AGENTS_UUID_LEN + 1];

    form = 1;
    order = 1;
    last[0] = '\0';

    for (i = 0; i < 1000; i++) {

        if (ngx_http_agents_ident_uuid(uuid) != 0
            || strlen(uuid) != NGX_HTTP_AGENTS_UUID_LEN
            || !ngx_http_agents_ident_is_uuid(uuid, strlen(uuid))
            || uuid[14] != '7' || strchr("89ab", uuid[19]) == NULL)
        {
            form = 0;
        }

        /* the clock is in the first 13 characters, one of them a dash */

        if (strncmp(last, uuid, 13) > 0 || strcmp(last, uuid) == 0) {
            order = 0;
        }

        memcpy(last, uuid, sizeof(last));
    }

    unit(form, "a new id is a version 7 UUID");
    unit(order, "ids are ordered by time and differ");
}


static void
test_is_uuid(void)
{
    size_t  i;

    static const struct {
        const char  *text;
        int          is;
    } cases[] = {
        { "f79cbdae-4848-47ca-95e8-69588364d185", 1 },
        { "F79CBDAE-4848-17CA-05E8-69588364D185", 1 },
        { "00000000-0000-0000-0000-000000000000", 1 },
        { "f79cbdae-4848-47ca-95e8-69588364d18", 0 },
        { "f79cbdae-4848-47ca-95e8-69588364d1850", 0 },
        { "f79cbdae_4848-47ca-95e8-69588364d185", 0 },
        { "f79cbdae-4848-47ca-95e8-69588364d18g", 0 },
        { "f79cbdae4-848-47ca-95e8-69588364d185", 0 },
        { "{79cbdae-4848-47ca-95e8-69588364d18}", 0 },
        { "", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unit(ngx_http_agents_ident_is_uuid(cases[i].text,
                                           strlen(cases[i].text))
             == cases[i].is,
             "\"%s\" is %sa UUID", cases[i].text, cases[i].is ? "" : "not ");
    }
}


static void
test_is_owner(void)
{
    char  text[NGX_HTTP_AGENTS_OWNER_MAX + 1];

    memset(text, 'x', sizeof(text));

    unit(ngx_http_agents_ident_is_owner("a", 1)
         && ngx_http_agents_ident_is_owner("A & B \"Co\"", 10)
         && ngx_http_agents_ident_is_owner("m\xc3\xbcller", 7)
         && ngx_http_agents_ident_is_owner(text, sizeof(text) - 1),
         "companies and users");
    unit(!ngx_http_agents_ident_is_owner("", 0)
         && !ngx_http_agents_ident_is_owner("a\0b", 3)
         && !ngx_http_agents_ident_is_owner("\xff", 1)
         && !ngx_http_agents_ident_is_owner("ann\xc3", 4)
         && !ngx_http_agents_ident_is_owner("ann\xc0\x80", 5)
         && !ngx_http_agents_ident_is_owner("ann\n", 4)
         && !ngx_http_agents_ident_is_owner("a\r\nX: y", 7)
         && !ngx_http_agents_ident_is_owner("\x1f", 1)
         && !ngx_http_agents_ident_is_owner("ann\x7f", 4)
         && !ngx_http_agents_ident_is_owner(text, sizeof(text)),
         "none of them");
}


static void
test_time(void)
{
    char    out[NGX_HTTP_AGENTS_TIME_LEN + 1];
    size_t  i;

    static const struct {
        int64_t      ms;
        const char  *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1, "1970-01-01T00:00:00.001Z" },
        { -1, "1970-01-01T00:00:00.000Z" },
        { 951782399999, "2000-02-28T23:59:59.999Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 951868800000, "2000-03-01T00:00:00.000Z" },
        { 1795428000000, "2026-11-23T10:00:00.000Z" },
        { 4107542399000, "2100-02-28T23:59:59.000Z" },
        { 4107542400000, "2100-03-01T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ngx_http_agents_ident_time(out, cases[i].ms);
        unit_text(out, cases[i].text, cases[i].text);
    }
}


static void
test_digests(void)
{
    char  out[NGX_HTTP_AGENTS_SHA256_LEN + 1], random[201], other[201];

    unit(ngx_http_agents_ident_sha256(out, "abc", 3) == 0, "SHA-256 is made");
    unit_text(out, "ba7816bf8f01cfea414140de5dae2223"
                   "b00361a396177a9cb410ff61f20015ad", "SHA-256 of abc");

    unit(ngx_http_agents_ident_sha256(out, "", 0) == 0, "SHA-256 of nothing");
    unit_text(out, "e3b0c44298fc1c149afbf4c8996fb924"
                   "27ae41e4649b934ca495991b7852b855", "SHA-256 of \"\"");

    unit(ngx_http_agents_ident_random(random, 100) == 0
         && ngx_http_agents_ident_random(other, 100) == 0
         && strlen(random) == 200 && strspn(random, "0123456789abcdef") == 200
         && strcmp(random, other) != 0,
         "random bytes in hexadecimal");

    unit(ngx_http_agents_ident_random(random, 0) == 0 && random[0] == '\0',
         "no random bytes");
}


static void
test_buffer(void)
{
    int                     i;
    char                   *text;
    size_t                  len;
    ngx_http_agents_buf_t   buf;

    ngx_http_agents_buf_init(&buf);

    text = ngx_http_agents_buf_take(&buf, &len);
    unit_text(text, "", "an empty buffer gives an empty text");
    unit(len == 0, "of no length");
    free(text);

    for (i = 0; i < 1000; i++) {
        ngx_http_agents_buf_addf(&buf, "%d,", i);
    }

    unit(!buf.failed && buf.len == 3890 && strlen(buf.data) == buf.len,
         "a buffer grows");

    ngx_http_agents_buf_reset(&buf);
    unit(buf.len == 0 && buf.data[0] == '\0', "a buffer is emptied");

    ngx_http_agents_buf_add(&buf, "a\0b", 3);
    ngx_http_agents_buf_addc(&buf, 'c');
    ngx_http_agents_buf_adds(&buf, "de");
    unit(buf.len == 6 && memcmp(buf.data, "a\0bcde", 7) == 0,
         "bytes are added as they are");

    unit(ngx_http_agents_buf_reserve(&buf, SIZE_MAX - 2) == -1 && buf.failed,
         "what cannot be allocated is remembered");

    ngx_http_agents_buf_adds(&buf, "more");
    unit(buf.len == 6, "and nothing is added after it");
    unit(ngx_http_agents_buf_take(&buf, NULL) == NULL && buf.data == NULL,
         "and no text comes out");
}


static void
test_faults(void)
{
    int                        i;
    char                      *pointer;
    ngx_http_agents_path_t     one, two, three;
    ngx_http_agents_faults_t   faults;

    one.parent = NULL;
    one.key = "a/b~c";
    two.parent = &one;
    two.key = NULL;
    two.index = 12;
    three.parent = &two;
    three.key = "";

    pointer = ngx_http_agents_path_pointer(&three);
    unit_text(pointer, "/a~1b~0c/12/", "a pointer is escaped");
    free(pointer);

    pointer = ngx_http_agents_path_pointer(NULL);
    unit_text(pointer, "", "the pointer of the whole document");
    free(pointer);

    memset(&faults, 0, sizeof(faults));

    for (i = 0; i < 150; i++) {
        ngx_http_agents_faults_add(&faults, &two, "invalid-request",
                                   "fault %d", i);
    }

    unit(faults.n == NGX_HTTP_AGENTS_FAULTS_MAX && faults.found == 150
         && !faults.failed,
         "a list of faults is bounded, and counts on");
    unit_text(faults.list[99].detail, "fault 99", "the detail of a fault");
    unit_text(faults.list[99].pointer, "/a~1b~0c/12", "its pointer");

    ngx_http_agents_faults_free(&faults);
    unit(faults.n == 0 && faults.list == NULL, "faults are freed");
}


int
main(void)
{
    test_uuid();
    test_is_uuid();
    test_is_owner();
    test_time();
    test_digests();
    test_buffer();
    test_faults();

    return unit_done();
}
