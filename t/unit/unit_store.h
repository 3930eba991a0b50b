
/*
 * What the tests of the queries share: a store, on either engine, and what
 * they do to it again and again.
 */


#ifndef _UNIT_STORE_H_INCLUDED_
#define _UNIT_STORE_H_INCLUDED_


#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "ngx_http_agents_db_batch.h"
#include "ngx_http_agents_db_poll.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_store.h"
#include "unit.h"


#define READ   NGX_HTTP_AGENTS_DB_READ
#define WRITE  NGX_HTTP_AGENTS_DB_WRITE


typedef char  uuid_t[NGX_HTTP_AGENTS_UUID_LEN + 1];


static ngx_http_agents_db_t        *db;
static ngx_http_agents_db_batch_t  *b;

/* whose data, and the worker and api of this process alone */
static uuid_t                       company, worker, api;
static ngx_http_agents_owner_t      alice, bob;


static inline void
die(const char *what, const char *why)
{
    printf("Bail out! %s: %s\n", what, why);
    exit(1);
}


static inline void
new_uuid(uuid_t id)
{
    if (ngx_http_agents_ident_uuid(id) != 0) {
        die("uuid", "no random bytes");
    }
}


static inline void
begin(ngx_http_agents_db_kind_e kind)
{
    ngx_http_agents_db_batch_free(b);

    b = ngx_http_agents_db_batch(kind, NULL, NULL);
    if (b == NULL) {
        die("batch", "no memory");
    }
}


static inline int
end(void)
{
    int  rc;

    rc = ngx_http_agents_db_poll_run(db, b);

    if (rc != 0
        && ngx_http_agents_db_status(b) != NGX_HTTP_AGENTS_DB_CONSTRAINT)
    {
        printf("# status %d: %s\n", ngx_http_agents_db_status(b),
               b->error);
    }

    return rc;
}


static inline ngx_http_agents_text_t
text(const char *s)
{
    ngx_http_agents_text_t  t;

    t.data = s;
    t.len = s ? strlen(s) : 0;

    return t;
}


static inline void
pause_ms(long ms)
{
    struct timespec  ts = { ms / 1000, (ms % 1000) * 1000000 };

    nanosleep(&ts, NULL);
}


/* A new conversation of alice's; its row is in "c". */

static inline void
conversation(uuid_t id, ngx_http_agents_conversation_t *c)
{
    ngx_http_agents_text_t  defaults = text("{\"model\":\"m\"}");

    new_uuid(id);
    begin(WRITE);
    ngx_http_agents_conversations_insert(b, &alice, id, NULL, NULL,
                                         &defaults);
    if (end() != 0 || ngx_http_agents_db_rows(b, 0) != 1) {
        die("conversation", "not made");
    }

    ngx_http_agents_conversations_read(b, 0, 0, c);
}


static inline void
get_conversation(const char *id, ngx_http_agents_conversation_t *c)
{
    begin(READ);
    ngx_http_agents_conversations_get(b, &alice, id);

    if (end() != 0 || ngx_http_agents_db_rows(b, 0) != 1) {
        die("conversation", "not there");
    }

    ngx_http_agents_conversations_read(b, 0, 0, c);
}


/* Adds a run: 1 if it is there; "r" is then its row. */

static inline int
insert(const char *conv, const char *id, const char *op, int64_t version,
    int resumes, ngx_http_agents_run_record_t *r)
{
    ngx_http_agents_run_insert_t  run;

    memset(&run, 0, sizeof(run));
    run.id = id;
    run.conversation = conv;
    run.api = api;
    run.worker = worker;
    run.client_op_id = op;
    run.client_op_key = op;
    run.fingerprint = "f";
    run.expected_version = version;
    run.payload = text("{\"kind\":\"user_message\",\"text\":\"'hi' {x}\"}");
    run.tool_choice = text("{\"kind\":\"auto\"}");
    run.effective_config = text("{}");
    run.first_job_id = id;
    run.resumes = resumes;

    begin(WRITE);
    ngx_http_agents_runs_insert(b, &alice, &run);

    if (end() != 0 || ngx_http_agents_db_rows(b, 1) != 1) {
        return 0;
    }

    if (r) {
        ngx_http_agents_runs_read(b, 1, 0, r);
    }

    return 1;
}


static inline ngx_http_agents_run_key_t
key(const char *id, const char *conv, int64_t epoch)
{
    ngx_http_agents_run_key_t  k;

    k.owner = alice;
    k.id = id;
    k.conversation = conv;
    k.epoch = epoch;

    return k;
}


static inline void
add_part(const ngx_http_agents_run_key_t *k, int64_t sequence_no,
    int64_t part, const char *role, const char *content, int64_t turn,
    int64_t live)
{
    ngx_http_agents_message_t  m;

    memset(&m, 0, sizeof(m));
    m.sequence_no = sequence_no;
    m.part = part;
    m.role = text(role);
    m.content = text(content);
    m.turn_index = turn;
    m.live = live;

    ngx_http_agents_runs_add_part(b, k, &m);
}


static inline void
add_step(const ngx_http_agents_run_key_t *k, int64_t iterations)
{
    ngx_http_agents_run_progress_t  p;

    memset(&p, 0, sizeof(p));
    p.iterations_used = iterations;
    p.prompt_tokens = 10 * iterations;
    p.total_tokens = 12 * iterations;
    p.job_ids = text("[\"a\",\"b\"]");

    ngx_http_agents_runs_step(b, k, &p);
}


static inline void
add_finish(const ngx_http_agents_run_key_t *k, const char *status,
    int64_t version)
{
    ngx_http_agents_run_end_t  e;

    memset(&e, 0, sizeof(e));
    e.status = status;
    e.version = version;
    e.pending_tool_calls = text("[]");

    if (strcmp(status, "completed") == 0) {
        e.final_text = text("done");

    } else if (strcmp(status, "failed") == 0) {
        e.error_type = "AgentLoopInternal";
        e.error_message = text("why");
    }

    ngx_http_agents_runs_finish(b, k, &e);
}


/* A whole run: its payload and an answer. */

static inline void
whole_run(const char *conv, int64_t version, const char *status, int resumes,
    int64_t end_version)
{
    uuid_t                     id;
    ngx_http_agents_run_key_t  k;

    new_uuid(id);

    if (!insert(conv, id, id, version, resumes, NULL)) {
        die("run", "not inserted");
    }

    k = key(id, conv, 1);

    begin(WRITE);
    add_step(&k, 1);

    if (end_version > version) {
        add_part(&k, version + 1, 0, "user", "[1]", -1, 0);
        add_part(&k, version + 2, 0, "assistant", "[2]", 0, 0);
    }

    add_finish(&k, status, end_version);

    if (end() != 0) {
        die("run", "not finished");
    }
}


/*
 * Opens the store of AGENTS_TEST_STORE and brings its schema up to date, or
 * makes a SQLite file in a new directory.  Owners are new each time, so that
 * a store may be used again.
 */

static char  store_dir[] = "/tmp/agents-store-XXXXXX";
static char  store_spec[128];

static const char  *store_used;


static inline void
open_store(void)
{
    char         err[512];
    int64_t      from, to;
    const char  *store;

    store = getenv("AGENTS_TEST_STORE");

    if (store == NULL || *store == '\0') {
        if (mkdtemp(store_dir) == NULL) {
            die(store_dir, "cannot be made");
        }

        snprintf(store_spec, sizeof(store_spec), "sqlite:%s/agents.db",
                 store_dir);
        store = store_spec;
    }

    store_used = store;
    db = ngx_http_agents_db_poll_open(store, err, sizeof(err));

    if (db == NULL
        || ngx_http_agents_db_poll_migrate(db, &from, &to, err, sizeof(err))
           != 0)
    {
        die(store, err);
    }

    new_uuid(company);
    new_uuid(worker);
    new_uuid(api);
    alice.company = company;
    alice.user = "alice";
    bob.company = company;
    bob.user = "bob";
}


/* After close, or in a child. */

static inline void
reopen_store(void)
{
    char  err[512];

    db = ngx_http_agents_db_poll_open(store_used, err, sizeof(err));

    if (db == NULL) {
        die(store_used, err);
    }
}


static inline void
close_store(void)
{
    ngx_http_agents_db_batch_free(b);
    ngx_http_agents_db_poll_close(db);

    if (store_spec[0]) {
        (void) unlink(store_spec + strlen("sqlite:"));
        (void) rmdir(store_dir);
    }
}


#endif /* _UNIT_STORE_H_INCLUDED_ */
