
/*
 * What headers of a request hold, and claims of a token: ids of events, lists
 * of entity tags, permissions, and the ids of companies and users.
 */


#include "fuzz.h"
#include "ngx_http_agents_etag.h"
#include "ngx_http_agents_events_id.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_permissions.h"


#define RUN   "019ac1d4-5e2a-7c3b-9e54-2f6b8d01a702"
#define ETAG  "\"0123456789abcdef0123456789abcdef\""


/* What is taken for an id is what would be written. */

static void
event(const char *text, size_t len)
{
    ngx_http_agents_buf_t        buf;
    ngx_http_agents_events_id_t  id;

    if (ngx_http_agents_events_id_read(&id, text, len, RUN) != 0) {
        fuzz_check(id.status == 0 && id.name_rev == 0 && id.turns == 0
                   && id.parts == 0, "no id is nothing");
        return;
    }

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_events_id_write(&buf, &id, RUN);
    fuzz_check(!buf.failed && buf.len == len
               && memcmp(buf.data, text, len) == 0, "an id has one form");
    ngx_http_agents_buf_free(&buf);
}


static void
tags(const char *text, size_t len)
{
    int  strong, weak;

    strong = ngx_http_agents_etag_match(text, len, ETAG, 0);
    weak = ngx_http_agents_etag_match(text, len, ETAG, 1);

    fuzz_check(weak || !strong, "what is the same is so weakly, too");
    fuzz_check(!weak || memchr(text, '*', len) != NULL
               || len >= sizeof(ETAG) - 1, "a match is in the list");
}


static void
owner(const char *text, size_t len)
{
    size_t  i;

    if (!ngx_http_agents_ident_is_owner(text, len)) {
        return;
    }

    fuzz_check(len != 0 && len <= NGX_HTTP_AGENTS_OWNER_MAX,
               "an owner's id is not too long");

    for (i = 0; i < len; i++) {
        fuzz_check((unsigned char) text[i] >= ' ' && text[i] != 0x7f,
                   "it cannot end a header");
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char      *text;
    unsigned   permissions;

    /* a copy of so many bytes: what reads beyond them is caught */

    text = malloc((size != 0) ? size : 1);
    fuzz_check(text != NULL, "there is memory");

    if (size != 0) {
        memcpy(text, data, size);
    }

    event(text, size);
    tags(text, size);
    owner(text, size);

    permissions = ngx_http_agents_permissions_read(text, size, " \t,");
    fuzz_check((permissions & ~(unsigned) (NGX_HTTP_AGENTS_PERMISSION_READ
                                           | NGX_HTTP_AGENTS_PERMISSION_WRITE))
               == 0, "there are two permissions");

    if (ngx_http_agents_ident_is_uuid(text, size)) {
        fuzz_check(size == NGX_HTTP_AGENTS_UUID_LEN && text[8] == '-',
                   "a UUID has its form");
    }

    free(text);

    return 0;
}
