
/*
 * Lists: in order, in slices, and by an index, on either engine:
 * AGENTS_TEST_STORE names the store, else it is a new SQLite file.
 */


#include "ngx_http_agents_buf.h"
#include "unit_store.h"


static ngx_http_agents_slice_t
slice(const char *id, int64_t created_at, int64_t offset, int64_t limit,
    int64_t bytes)
{
    ngx_http_agents_slice_t  s;

    s.id = id;
    s.created_at = created_at;
    s.offset = offset;
    s.limit = limit;
    s.bytes = bytes;

    return s;
}


/* Whether a user's conversations are so many, newest first, however they are
 * cut into slices. */

static int
in_order(const ngx_http_agents_owner_t *owner, size_t n)
{
    size_t                          i, cut, rows;
    uuid_t                          ids[8];
    ngx_http_agents_slice_t         s;
    ngx_http_agents_conversation_t  c;

    int64_t  times[8];

    s = slice(NULL, 0, 0, 100, INT64_MAX);

    begin(READ);
    ngx_http_agents_conversations_count(b, owner);
    ngx_http_agents_conversations_list(b, owner, &s);

    if (end() != 0 || ngx_http_agents_db_get_int(b, 0, 0, 0) != (int64_t) n
        || ngx_http_agents_db_rows(b, 1) != n)
    {
        return 0;
    }

    for (i = 0; i < n; i++) {
        ngx_http_agents_conversations_read(b, 1, i, &c);
        snprintf(ids[i], sizeof(uuid_t), "%s", c.id.data);
        times[i] = c.created_at;

        if (i != 0 && (times[i] > times[i - 1]
                       || (times[i] == times[i - 1]
                           && strcmp(ids[i], ids[i - 1]) >= 0)))
        {
            return 0;
        }
    }

    /* by offset, by the record before, and by size: from each place on */

    for (cut = 0; cut <= n; cut++) {
        begin(READ);
        s = slice(NULL, 0, cut, 2, INT64_MAX);
        ngx_http_agents_conversations_list(b, owner, &s);
        s = slice(cut ? ids[cut - 1] : NULL, cut ? times[cut - 1] : 0, 0, 2,
                  INT64_MAX);
        ngx_http_agents_conversations_list(b, owner, &s);
        s = slice(NULL, 0, cut, 2, 1);
        ngx_http_agents_conversations_list(b, owner, &s);

        if (end() != 0) {
            return 0;
        }

        rows = n - cut < 2 ? n - cut : 2;

        if (ngx_http_agents_db_rows(b, 0) != rows
            || ngx_http_agents_db_rows(b, 1) != rows
            || ngx_http_agents_db_rows(b, 2) != (rows ? 1 : 0))
        {
            return 0;
        }

        for (i = 0; i < rows; i++) {
            ngx_http_agents_conversations_read(b, 0, i, &c);
            if (strcmp(c.id.data, ids[cut + i]) != 0) {
                return 0;
            }

            ngx_http_agents_conversations_read(b, 1, i, &c);
            if (strcmp(c.id.data, ids[cut + i]) != 0) {
                return 0;
            }
        }
    }

    return 1;
}


static void
test_conversations(void)
{
    int                             i;
    uuid_t                          id;
    ngx_http_agents_conversation_t  c;

    unit(in_order(&alice, 0), "no conversation");

    for (i = 0; i < 5; i++) {
        conversation(id, &c);
    }

    unit(in_order(&alice, 5), "five conversations, newest first");
    unit(in_order(&bob, 0), "and none of another's");
}


/* A conversation of four runs, the newest with a live view of three parts. */

static void
some_runs(uuid_t conv, uuid_t ids[4])
{
    int                             i;
    ngx_http_agents_run_key_t       k;
    ngx_http_agents_conversation_t  c;

    conversation(conv, &c);

    for (i = 0; i < 4; i++) {
        new_uuid(ids[i]);

        if (!insert(conv, ids[i], ids[i], 0, 0, NULL)) {
            die("run", "not inserted");
        }

        k = key(ids[i], conv, 1);

        begin(WRITE);

        if (i < 3) {
            add_step(&k, 1);
            add_finish(&k, "failed", 0);

        } else {
            add_step(&k, 1);
            add_part(&k, 1, 0, "user", "[\"payload\"]", -1, 0);
            add_part(&k, 2, 0, "assistant", "[\"calls\"]", 0, 1);
            add_part(&k, 3, 0, "tool", "[\"first\"]", 1, 1);
            add_part(&k, 3, 1, "tool", "[\"second\"]", 1, 1);
        }

        if (end() != 0) {
            die("run", "not written");
        }

        pause_ms(2);
    }
}


static void
test_runs(void)
{
    size_t                          i, row, live;
    uuid_t                          conv, other, ids[4];
    ngx_http_agents_slice_t         s;
    ngx_http_agents_message_t       m;
    ngx_http_agents_run_record_t    r;
    ngx_http_agents_conversation_t  c;

    some_runs(conv, ids);
    conversation(other, &c);

    s = slice(NULL, 0, 0, 50, INT64_MAX);

    begin(READ);
    ngx_http_agents_runs_count(b, &alice, conv);
    ngx_http_agents_runs_list(b, &alice, conv, &s);
    ngx_http_agents_runs_count(b, &alice, other);
    ngx_http_agents_runs_list(b, &alice, other, &s);
    ngx_http_agents_runs_count(b, &bob, conv);
    ngx_http_agents_runs_list(b, &bob, conv, &s);

    unit(end() == 0 && ngx_http_agents_db_get_int(b, 0, 0, 0) == 4,
         "four runs are counted");
    unit(ngx_http_agents_db_rows(b, 2) == 1
         && ngx_http_agents_db_get_int(b, 2, 0, 0) == 0
         && ngx_http_agents_db_rows(b, 3) == 0, "none in another conversation");
    unit(ngx_http_agents_db_rows(b, 4) == 0
         && ngx_http_agents_db_rows(b, 5) == 0,
         "what is another's is not there");

    unit(ngx_http_agents_db_rows(b, 1) == 6
         && ngx_http_agents_runs_live_from(b, 1, 0) == 3,
         "the newest has three live parts");
    ngx_http_agents_runs_read_live(b, 1, 2, &m);
    unit_text(m.content.data, "[\"second\"]", "the last of them");

    for (i = 4, row = 0; i-- > 0; row += live ? live : 1) {
        live = ngx_http_agents_runs_live_from(b, 1, row);
        ngx_http_agents_runs_read(b, 1, row, &r);
        unit(strcmp(r.id.data, ids[i]) == 0 && r.payload.len > 10
             && (live != 0) == (i == 3), "newest first: %zu", i);
    }

    ngx_http_agents_runs_read(b, 1, 3, &r);
    s = slice(ids[2], r.created_at, 0, 50, 1);

    begin(READ);
    ngx_http_agents_runs_list(b, &alice, conv, &s);
    s = slice(NULL, 0, 2, 1, INT64_MAX);
    ngx_http_agents_runs_list(b, &alice, conv, &s);
    s = slice(NULL, 0, 0, 50, 1);
    ngx_http_agents_runs_list(b, &alice, conv, &s);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1
         && ngx_http_agents_db_rows(b, 1) == 1
         && ngx_http_agents_db_rows(b, 2) == 3,
         "slices end by size and by number, and not within a run");
    ngx_http_agents_runs_read(b, 0, 0, &r);
    unit_text(r.id.data, ids[1], "after the one that was named");
    ngx_http_agents_runs_read(b, 1, 0, &r);
    unit_text(r.id.data, ids[1], "after so many");
}


/* "n" messages of "parts" parts each, committed; a part is ["x...x"]. */

static void
messages(uuid_t conv, int64_t n, int64_t parts, size_t len)
{
    char                            *content;
    uuid_t                           id;
    int64_t                          i, part;
    ngx_http_agents_run_key_t        k;
    ngx_http_agents_conversation_t   c;

    content = malloc(len + 5);
    if (content == NULL) {
        die("test", "no memory");
    }

    memset(content, 'x', len + 4);
    memcpy(content, "[\"", 2);
    memcpy(content + len + 2, "\"]", 3);

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, NULL);
    k = key(id, conv, 1);

    begin(WRITE);
    add_step(&k, 1);

    for (i = 1; i <= n; i++) {
        for (part = 0; part < parts; part++) {
            add_part(&k, i, part, "tool", content, i, 0);
        }
    }

    add_finish(&k, "completed", n);

    if (end() != 0) {
        die("messages", "not written");
    }

    free(content);
}


static void
test_messages(void)
{
    int     ok;
    size_t  i;
    uuid_t  conv;

    static const struct {
        int64_t  since, limit, bytes;
        size_t   rows;
        int      goes_on;
    } cases[] = {
        { 0, 100, INT64_MAX, 9, 0 },    /* all of it */
        { 0, 9, INT64_MAX, 9, 1 },      /* all of it, which is not known */
        { 0, 8, INT64_MAX, 8, 1 },      /* amid the third */
        { 0, 6, INT64_MAX, 6, 1 },      /* two, which is not known */
        { 0, 7, 521, 6, 0 },            /* two, and the next one is seen */
        { 0, 100, 521, 6, 0 },          /* 104 a part: six pass 521 */
        { 0, 100, 1, 1, 1 },            /* amid the first */
        { 0, 100, 209, 3, 0 },
        { 0, 100, 208, 2, 1 },
        { 2, 100, 208, 2, 1 },
        { 2, 100, 209, 3, 0 },          /* the last one, to its end */
        { 3, 100, 1, 0, 0 },
    };

    messages(conv, 3, 3, 100);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(READ);
        ngx_http_agents_messages_list(b, &alice, conv, cases[i].since, 3,
                                      cases[i].limit, cases[i].bytes);
        ok = (end() == 0);
        unit(ok && ngx_http_agents_db_rows(b, 0) == cases[i].rows
             && ngx_http_agents_messages_goes_on(b, 0, cases[i].limit)
                == cases[i].goes_on,
             "messages after %lld, %lld parts, %lld bytes: %zu rows (%zu)",
             (long long) cases[i].since, (long long) cases[i].limit,
             (long long) cases[i].bytes, cases[i].rows,
             ngx_http_agents_db_rows(b, 0));
    }
}


/* The plan of the batch's one statement: "wanted" is in it, no table is read
 * from end to end. */

static void
plan(const char *wanted)
{
    int                         found, scans;
    size_t                      i, j;
    const char                 *line;
    ngx_http_agents_buf_t       sql, text;
    ngx_http_agents_db_query_t  query;

    ngx_http_agents_buf_init(&sql);
    ngx_http_agents_buf_init(&text);

    ngx_http_agents_buf_adds(&sql, store_spec[0] ? "EXPLAIN QUERY PLAN "
                                                 : "EXPLAIN ");
    ngx_http_agents_buf_adds(&sql, b->first->query->sql);

    query.name = "explained";
    query.sql = sql.data;
    b->first->query = &query;

    found = (end() == 0);
    scans = 0;

    for (i = 0; i < ngx_http_agents_db_rows(b, 0); i++) {
        for (j = 0; j < b->first->columns; j++) {
            line = ngx_http_agents_db_get(b, 0, i, j, NULL);
            ngx_http_agents_buf_addf(&text, "%s ", line ? line : "");
            scans |= line != NULL && (strstr(line, "SCAN agents") != NULL
                                      || strstr(line, "Seq Scan") != NULL);
        }
    }

    if (!unit(found && !scans && text.data && strstr(text.data, wanted),
              "by index: %s", wanted))
    {
        printf("# %s\n", text.data ? text.data : "");
    }

    /* a prepared statement is known by the query's address */

    ngx_http_agents_db_poll_close(db);
    reopen_store();

    ngx_http_agents_buf_free(&sql);
    ngx_http_agents_buf_free(&text);
}


static void
test_plans(void)
{
    ngx_http_agents_slice_t  s;

    s = slice("x", 1000000, 0, 50, 1000000);

    begin(READ);
    ngx_http_agents_conversations_list(b, &alice, &s);
    plan("agents_conversations_newest");

    begin(READ);
    ngx_http_agents_runs_list(b, &alice, "x", &s);
    plan("agents_runs_newest");

    /* not by all that the user ever had */

    begin(READ);
    ngx_http_agents_runs_count_active(b, &alice, 100);
    plan("agents_runs_active");

    begin(READ);
    ngx_http_agents_messages_list(b, &alice, "x", 0, 100, 64, 1000000);
    plan("agents_messages");
}


int
main(void)
{
    open_store();

    test_conversations();
    test_runs();
    test_messages();
    test_plans();

    close_store();

    return unit_done();
}
