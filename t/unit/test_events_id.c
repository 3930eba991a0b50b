
/*
 * Ids of events: what is written is read again, and nothing else is.
 */


#include "ngx_http_agents_events_id.h"
#include "unit.h"


#define RUN   "019ac1d4-5e2a-7c3b-9e54-2f6b8d01a702"
#define TAIL  "2f6b8d01a702"


static const char *const  bad[] = {
    "", ".", "x", "2", "2.0.3.1", "2.0.3.1.", "2.0.3.1." RUN,
    "2.0.3.1." TAIL "0", "2.0.3.1.2f6b8d01a703", "2.0.3.1.2F6B8D01A702",
    "5.0.3.1." TAIL, "-1.0.3.1." TAIL, "+1.0.3.1." TAIL, " 2.0.3.1." TAIL,
    "2..3.1." TAIL, "2.0.03.1." TAIL, "00.0.0.0." TAIL, "2.0.3.0." TAIL,
    "2.0.0.1." TAIL, "2.0.3." TAIL, "2.0.3.1.1." TAIL, "2,0,3,1," TAIL,
    "2.1234567890123456.3.1." TAIL, "0x2.0.3.1." TAIL
};


static void
both(int64_t status, int64_t name_rev, int64_t turns, int64_t parts,
    const char *text)
{
    ngx_http_agents_buf_t        buf;
    ngx_http_agents_events_id_t  id, read;

    id.status = status;
    id.name_rev = name_rev;
    id.turns = turns;
    id.parts = parts;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_events_id_write(&buf, &id, RUN);

    unit_text(buf.data, text, text);
    unit(ngx_http_agents_events_id_read(&read, buf.data, buf.len, RUN) == 0
         && memcmp(&id, &read, sizeof(ngx_http_agents_events_id_t)) == 0,
         "%s: as it was", text);

    ngx_http_agents_buf_free(&buf);
}


int
main(void)
{
    size_t                       i;
    ngx_http_agents_events_id_t  id, zero;

    both(0, 0, 0, 0, "0.0.0.0." TAIL);
    both(2, 0, 3, 1, "2.0.3.1." TAIL);
    both(4, 123456789012345, 99, 16, "4.123456789012345.99.16." TAIL);

    memset(&zero, 0, sizeof(ngx_http_agents_events_id_t));

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&id, 1, sizeof(ngx_http_agents_events_id_t));

        unit(ngx_http_agents_events_id_read(&id, bad[i], strlen(bad[i]), RUN)
             == -1
             && memcmp(&id, &zero, sizeof(ngx_http_agents_events_id_t)) == 0,
             "none: %s", bad[i]);
    }

    return unit_done();
}
