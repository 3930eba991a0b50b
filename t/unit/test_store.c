
/*
 * Conversations, messages and runs, on either engine: AGENTS_TEST_STORE names
 * the store, else it is a new SQLite file.
 */


#include <sys/wait.h>
#include "unit_store.h"


static void
test_conversations(void)
{
    char                           *big;
    uuid_t                          id;
    ngx_http_agents_text_t          name, prompt, defaults;
    ngx_http_agents_conversation_t  c;

    big = malloc(200001);
    if (big == NULL) {
        die("test", "no memory");
    }

    memset(big, 'x', 200000);
    big[200000] = '\0';

    new_uuid(id);
    name = text("it's {\"q\":1} \xc3\xa4\\");
    prompt = text(big);
    defaults = text("{}");

    begin(WRITE);
    ngx_http_agents_conversations_insert(b, &alice, id, &name, &prompt,
                                         &defaults);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1
         && ngx_http_agents_db_changes(b, 0) == 1, "a conversation is made");

    ngx_http_agents_conversations_read(b, 0, 0, &c);
    unit_text(c.id.data, id, "its id");
    unit_text(c.name.data, name.data, "its name, as it was");
    unit(c.system_prompt.len == 200000
         && strcmp(c.system_prompt.data, big) == 0, "a long prompt");
    unit(c.version == 0 && c.name_rev == 0 && c.active_run_id.data == NULL
         && c.pending_run_id.data == NULL, "its first state");
    unit(c.created_at == c.updated_at
         && llabs((long long) c.created_at - 1000LL * time(NULL)) < 5000,
         "its time is now, in milliseconds");
    free(big);

    begin(READ);
    ngx_http_agents_conversations_get(b, &alice, id);
    ngx_http_agents_conversations_get(b, &bob, id);
    ngx_http_agents_conversations_get(b, &alice, "no-uuid'");
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1
         && ngx_http_agents_db_rows(b, 1) == 0
         && ngx_http_agents_db_rows(b, 2) == 0,
         "it is there for its owner alone");

    begin(WRITE);
    ngx_http_agents_conversations_insert(b, &alice, id, NULL, NULL,
                                         &defaults);
    unit(end() != 0
         && ngx_http_agents_db_status(b) == NGX_HTTP_AGENTS_DB_CONSTRAINT,
         "the same id again is refused");

    conversation(id, &c);
    unit(c.name.data == NULL && c.system_prompt.data == NULL,
         "no name and no prompt are NULL");
}


static void
test_rename(void)
{
    uuid_t                          id;
    ngx_http_agents_text_t          name, none;
    ngx_http_agents_conversation_t  c, before;

    conversation(id, &before);
    get_conversation(id, &before);
    name = text("it's \xc3\xa4");
    none = text(NULL);

    pause_ms(2);
    begin(WRITE);
    ngx_http_agents_conversations_rename(b, &alice, id, &name, NULL);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1, "a new name");
    ngx_http_agents_conversations_read(b, 0, 0, &c);
    unit_text(c.name.data, name.data, "which is told");
    unit(c.name_rev == 1 && c.updated_at > c.created_at && c.version == 0,
         "name_rev and updated_at move, version does not");

    begin(WRITE);
    ngx_http_agents_conversations_rename(b, &alice, id, &none, NULL);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1, "no name");
    ngx_http_agents_conversations_read(b, 0, 0, &c);
    unit(c.name.data == NULL && c.name_rev == 2, "is NULL");

    begin(WRITE);
    ngx_http_agents_conversations_rename(b, &bob, id, &name, NULL);
    ngx_http_agents_conversations_rename(b, &alice, "", &name, NULL);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 0
         && ngx_http_agents_db_rows(b, 1) == 0,
         "another's is not there to be named");

    get_conversation(id, &c);
    before = c;
    begin(WRITE);
    ngx_http_agents_conversations_rename(b, &alice, id, &name, &before);
    ngx_http_agents_conversations_rename(b, &alice, id, &name, &before);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1
         && ngx_http_agents_db_rows(b, 1) == 0,
         "only as it was seen, and it is not any more");
}


static void
test_insert(void)
{
    uuid_t                          conv, first, other, op;
    ngx_http_agents_run_record_t    r;
    ngx_http_agents_conversation_t  c;

    conversation(conv, &c);
    new_uuid(first);
    new_uuid(other);
    new_uuid(op);

    unit(!insert(conv, first, op, 1, 0, NULL)
         && ngx_http_agents_db_changes(b, 0) == 0, "another version: no run");
    unit(!insert(conv, first, op, 0, 1, NULL), "nothing to resume: no run");
    unit(!insert(first, first, op, 0, 0, NULL), "no conversation: no run");

    unit(insert(conv, first, op, 0, 0, &r), "a run is inserted");
    unit(strcmp(r.status.data, "pending") == 0 && r.epoch == 1
         && r.takeovers == 0 && r.rev == 0 && r.base_version == 0
         && r.cancel == 0 && r.finished_at == 0 && r.iterations_used == 0,
         "its first state");
    unit_text(r.id.data, first, "its id");
    unit_text(r.owner.data, worker, "its owner");
    unit_text(r.payload.data,
              "{\"kind\":\"user_message\",\"text\":\"'hi' {x}\"}",
              "its payload, as it was");
    unit(r.job_ids.len == NGX_HTTP_AGENTS_UUID_LEN + 4
         && strncmp(r.job_ids.data + 2, first, NGX_HTTP_AGENTS_UUID_LEN) == 0,
         "its first job");
    unit(r.conversation_name.data == NULL && r.name_rev == 0
         && r.final_text.data == NULL && r.error_type.data == NULL,
         "nothing of what is not there");

    get_conversation(conv, &c);
    unit_text(c.active_run_id.data, first, "its conversation knows it");

    unit(!insert(conv, other, other, 0, 0, NULL), "a second: no run");

    begin(READ);
    ngx_http_agents_runs_by_operation(b, &alice, conv, op);
    ngx_http_agents_runs_by_operation(b, &bob, conv, op);
    ngx_http_agents_runs_by_operation(b, &alice, conv, other);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1
         && ngx_http_agents_db_rows(b, 1) == 0
         && ngx_http_agents_db_rows(b, 2) == 0, "it is found by its operation");
    ngx_http_agents_runs_read(b, 0, 0, &r);
    unit_text(r.id.data, first, "and read");

    begin(WRITE);
    {
        ngx_http_agents_run_key_t  k = key(first, conv, 1);

        add_finish(&k, "failed", 0);
    }
    unit(end() == 0, "it fails before any reply");

    unit(!insert(conv, other, op, 0, 0, NULL)
         && ngx_http_agents_db_status(b) == NGX_HTTP_AGENTS_DB_CONSTRAINT,
         "the operation is used up");

    get_conversation(conv, &c);
    unit(c.active_run_id.data == NULL && c.version == 0,
         "and the conversation is as it was");
}


/* A run with a live view of three parts; its key is in "k". */

/* Asks for changes of a run since it was seen: how many it names. */

static size_t
changed(const ngx_http_agents_owner_t *owner, const char *id, int64_t rev,
    int64_t name_rev)
{
    ngx_http_agents_buf_t  keys;

    ngx_http_agents_buf_init(&keys);
    ngx_http_agents_runs_changed_key(&keys, owner, id, rev, name_rev);
    ngx_http_agents_runs_changed_key(&keys, &bob, "\"\\ none", 0, 0);

    begin(READ);
    ngx_http_agents_runs_changed(b, &keys);
    ngx_http_agents_buf_free(&keys);

    return end() == 0 ? ngx_http_agents_db_rows(b, 0) : 1000;
}


/* The second key of the list is always gone. */

static void
test_changed(void)
{
    uuid_t                           conv, id;
    ngx_http_agents_text_t           name = text("A Title");
    ngx_http_agents_run_key_t        k;
    ngx_http_agents_conversation_t   c;

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, NULL);
    k = key(id, conv, 1);

    unit(changed(&alice, id, 0, 0) == 1
         && strcmp(ngx_http_agents_db_get(b, 0, 0, 0, NULL), "\"\\ none")
            == 0, "a run that nobody has touched");
    unit(changed(&alice, id, 1, 0) == 2
         && strcmp(ngx_http_agents_db_get(b, 0, 0, 0, NULL), id) == 0,
         "another rev");
    unit(changed(&bob, id, 0, 0) == 2, "is not looked for among others' runs");

    begin(WRITE);
    ngx_http_agents_runs_touch(b, &k);
    (void) end();
    unit(changed(&alice, id, 0, 0) == 2 && changed(&alice, id, 1, 0) == 1,
         "a step moves it");

    begin(WRITE);
    ngx_http_agents_conversations_title(b, &alice, conv, &name);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1,
         "so does a title");
    unit_text(ngx_http_agents_db_get(b, 0, 0, 0, NULL), id,
              "which names the active run");
    unit(changed(&alice, id, 1, 0) == 2 && changed(&alice, id, 1, 1) == 1,
         "by its own count");
}


/* What a reply is to be mended with is there until the next step. */

static void
test_repair(void)
{
    uuid_t                          id, conv;
    ngx_http_agents_text_t          repair;
    ngx_http_agents_run_key_t       k;
    ngx_http_agents_conversation_t  c;
    ngx_http_agents_run_progress_t  p;

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, NULL);
    k = key(id, conv, 1);

    memset(&p, 0, sizeof(p));
    p.iterations_used = 1;
    p.job_ids = text("[\"a\",\"b\"]");
    p.repair = text("[\"mend\"]");

    begin(WRITE);
    ngx_http_agents_runs_step(b, &k, &p);
    unit(end() == 0, "a step with something to mend");

    begin(READ);
    ngx_http_agents_runs_load(b, &k);
    unit(end() == 0, "it is loaded");
    ngx_http_agents_runs_read_repair(b, 0, &repair);
    unit_text(repair.data, "[\"mend\"]", "with it");

    begin(WRITE);
    add_step(&k, 2);
    unit(end() == 0, "another step");

    begin(READ);
    ngx_http_agents_runs_load(b, &k);
    unit(end() == 0, "it is loaded again");
    ngx_http_agents_runs_read_repair(b, 0, &repair);
    unit(repair.data == NULL, "without");

    begin(WRITE);
    add_finish(&k, "failed", 0);
    unit(end() == 0, "the run ends");
}


static void
test_live(uuid_t conv, uuid_t id, ngx_http_agents_run_key_t *k)
{
    ngx_http_agents_message_t       m;
    ngx_http_agents_run_record_t    r;
    ngx_http_agents_conversation_t  c;

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, NULL);
    *k = key(id, conv, 1);

    begin(WRITE);
    ngx_http_agents_runs_begin(b, k);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 1, "it begins");

    begin(WRITE);
    add_step(k, 1);
    add_part(k, 1, 0, "user", "[\"payload\"]", -1, 0);
    add_part(k, 2, 0, "assistant", "[\"calls\"]", 0, 1);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 1
         && ngx_http_agents_db_changes(b, 1) == 1
         && ngx_http_agents_db_changes(b, 2) == 1, "a step");

    begin(WRITE);
    ngx_http_agents_runs_touch(b, k);
    add_part(k, 3, 1, "tool", "[\"second\"]", 1, 1);
    unit(end() == 0, "a result");

    begin(WRITE);
    ngx_http_agents_runs_touch(b, k);
    add_part(k, 3, 0, "tool", "[\"first\"]", 1, 1);
    add_part(k, 3, 1, "tool", "[\"again\"]", 1, 1);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 1) == 1
         && ngx_http_agents_db_changes(b, 2) == 0,
         "a part that is there already stays");

    begin(READ);
    ngx_http_agents_runs_get(b, &alice, id);
    ngx_http_agents_runs_get(b, &bob, id);
    unit(end() == 0 && ngx_http_agents_runs_live_from(b, 0, 0) == 3
         && ngx_http_agents_db_rows(b, 1) == 0, "the run and three parts");
    ngx_http_agents_runs_read(b, 0, 0, &r);
    unit(strcmp(r.status.data, "running") == 0 && r.rev == 4
         && r.iterations_used == 1 && r.prompt_tokens == 10
         && r.total_tokens == 12, "its progress");
    unit_text(r.job_ids.data, "[\"a\",\"b\"]", "its jobs");
    unit(r.payload.data != NULL && r.effective_config.data != NULL,
         "what was asked");
    ngx_http_agents_runs_read(b, 0, 1, &r);
    unit(r.payload.data == NULL && r.effective_config.data == NULL,
         "which is sent once");
    ngx_http_agents_runs_read_live(b, 0, 0, &m);
    unit(m.sequence_no == 2 && m.part == 0 && m.turn_index == 0
         && strcmp(m.role.data, "assistant") == 0
         && strcmp(m.content.data, "[\"calls\"]") == 0
         && strcmp(m.run_id.data, id) == 0 && m.created_at > 0
         && m.provider.data == NULL, "the assistant's turn is live");
    ngx_http_agents_runs_read_live(b, 0, 1, &m);
    unit_text(m.content.data, "[\"first\"]", "results in call order: first");
    ngx_http_agents_runs_read_live(b, 0, 2, &m);
    unit_text(m.content.data, "[\"second\"]", "and second");
}


static void
test_journal(void)
{
    uuid_t                          conv, id;
    ngx_http_agents_message_t       m;
    ngx_http_agents_run_key_t       k;
    ngx_http_agents_run_record_t    r;
    ngx_http_agents_conversation_t  c;

    test_live(conv, id, &k);

    get_conversation(conv, &c);
    unit(c.version == 0, "the version has not moved");

    begin(READ);
    ngx_http_agents_messages_list(b, &alice, conv, 0, c.version, 100,
                                  INT64_MAX);
    ngx_http_agents_messages_last_assistant(b, &alice, conv);
    ngx_http_agents_runs_load(b, &k);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 0
         && ngx_http_agents_db_rows(b, 1) == 0, "no message is committed");
    unit(ngx_http_agents_db_rows(b, 2) == 1
         && ngx_http_agents_db_rows(b, 3) == 1
         && ngx_http_agents_db_rows(b, 4) == 4, "the engine loads them all");
    ngx_http_agents_conversations_read(b, 3, 0, &c);
    unit_text(c.id.data, conv, "with the conversation");
    ngx_http_agents_messages_read(b, 4, 0, &m);
    unit(m.sequence_no == 1 && m.turn_index == -1 && m.live == 0,
         "the payload first");

    begin(WRITE);
    add_step(&k, 2);
    add_part(&k, 4, 0, "assistant", "[\"answer\"]", 2, 0);
    add_finish(&k, "completed", 4);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 2) == 1
         && ngx_http_agents_db_changes(b, 3) == 1, "it finishes");

    get_conversation(conv, &c);
    unit(c.version == 4 && c.active_run_id.data == NULL
         && c.pending_run_id.data == NULL && c.updated_at >= c.created_at,
         "the conversation has moved");

    begin(READ);
    ngx_http_agents_runs_get(b, &alice, id);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1,
         "nothing is live any more");
    ngx_http_agents_runs_read(b, 0, 0, &r);
    unit(strcmp(r.status.data, "completed") == 0 && r.rev == 6
         && r.epoch == 2 && r.owner.data == NULL && r.iterations_used == 2
         && r.finished_at >= r.created_at
         && strcmp(r.final_text.data, "done") == 0, "the run has ended");

    begin(READ);
    ngx_http_agents_messages_list(b, &alice, conv, 0, 4, 100, INT64_MAX);
    ngx_http_agents_messages_list(b, &alice, conv, 2, 4, 2, INT64_MAX);
    ngx_http_agents_messages_list(b, &bob, conv, 0, 4, 100, INT64_MAX);
    ngx_http_agents_messages_last_assistant(b, &alice, conv);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 5
         && ngx_http_agents_db_rows(b, 1) == 2
         && ngx_http_agents_db_rows(b, 2) == 0
         && ngx_http_agents_db_rows(b, 3) == 1, "its messages are committed");
    ngx_http_agents_messages_read(b, 1, 0, &m);
    unit(m.sequence_no == 3 && m.part == 0, "those above \"since\"");
    ngx_http_agents_messages_read(b, 3, 0, &m);
    unit_text(m.content.data, "[\"answer\"]", "the last assistant message");
}


static void
test_resume(void)
{
    uuid_t                          conv, id;
    ngx_http_agents_conversation_t  c;

    conversation(conv, &c);
    whole_run(conv, 0, "requires_action", 0, 2);

    get_conversation(conv, &c);
    unit(c.version == 2 && c.pending_run_id.data && !c.active_run_id.data,
         "calls are pending");

    new_uuid(id);
    unit(!insert(conv, id, id, 2, 0, NULL), "a message has to wait");

    whole_run(conv, 2, "failed", 1, 2);
    get_conversation(conv, &c);
    unit(c.version == 2 && c.pending_run_id.data,
         "a resume that fails before any reply leaves them pending");

    whole_run(conv, 2, "requires_action", 1, 4);
    get_conversation(conv, &c);
    unit(c.version == 4 && c.pending_run_id.data, "a resume asks again");

    whole_run(conv, 4, "completed", 1, 6);
    get_conversation(conv, &c);
    unit(c.version == 6 && c.pending_run_id.data == NULL,
         "a resume has answered them");

    new_uuid(id);
    unit(!insert(conv, id, id, 6, 1, NULL), "nothing is left to resume");

    whole_run(conv, 6, "requires_action", 0, 8);
    whole_run(conv, 8, "failed", 1, 10);
    get_conversation(conv, &c);
    unit(c.version == 10 && c.pending_run_id.data == NULL,
         "a resume that fails after a reply has answered them too");
}


static void
test_fencing(void)
{
    int                             i;
    int64_t                         n;
    uuid_t                          conv, id;
    ngx_http_agents_run_key_t       k, old;
    ngx_http_agents_run_record_t    r;
    ngx_http_agents_conversation_t  c;

    static const ngx_http_agents_db_query_t  drop_conversation = {
        "test_drop_conversation",
        "DELETE FROM agents_conversations WHERE company_id = {company}"
        " AND user_id = {user} AND id = {id}"
    };

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, NULL);
    k = key(id, conv, 1);
    old = key(id, conv, 0);

    begin(WRITE);
    add_step(&k, 1);
    add_part(&k, 1, 0, "user", "[]", -1, 0);
    add_part(&k, 2, 0, "assistant", "[]", 0, 1);
    unit(end() == 0, "a run with a journal");

    begin(WRITE);
    add_step(&old, 7);
    ngx_http_agents_runs_begin(b, &old);
    ngx_http_agents_runs_touch(b, &old);
    add_part(&old, 3, 0, "tool", "[]", 1, 1);
    ngx_http_agents_runs_drop_parts(b, &old, 0);
    ngx_http_agents_leases_release_run(b, &old);
    add_finish(&old, "completed", 9);
    unit(end() == 0, "an old epoch writes");

    for (n = 0, i = 0; i < 8; i++) {
        n += ngx_http_agents_db_changes(b, i);
    }

    unit(n == 0, "and changes nothing");

    begin(READ);
    ngx_http_agents_runs_load(b, &old);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 0,
         "nor does it load the run");

    begin(WRITE);
    ngx_http_agents_runs_touch(b, &k);
    ngx_http_agents_runs_drop_parts(b, &k, 1);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 1) == 1,
         "the owner drops an unfinished part");

    begin(WRITE);
    ngx_http_agents_db_add(b, &drop_conversation);
    ngx_http_agents_db_cstr(b, "company", alice.company);
    ngx_http_agents_db_cstr(b, "user", alice.user);
    ngx_http_agents_db_cstr(b, "id", conv);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 1,
         "the conversation goes");

    begin(WRITE);
    add_finish(&k, "completed", 2);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 0
         && ngx_http_agents_db_changes(b, 1) == 0,
         "a run without its conversation ends nothing");

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, NULL);
    k = key(id, conv, 1);

    begin(WRITE);
    add_finish(&k, "failed", 0);
    (void) end();

    begin(WRITE);
    add_step(&k, 1);
    add_finish(&k, "completed", 5);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 0
         && ngx_http_agents_db_changes(b, 1) == 0
         && ngx_http_agents_db_changes(b, 2) == 0, "an end is final");

    begin(READ);
    ngx_http_agents_runs_get(b, &alice, id);
    (void) end();
    ngx_http_agents_runs_read(b, 0, 0, &r);
    unit(strcmp(r.status.data, "failed") == 0
         && strcmp(r.error_type.data, "AgentLoopInternal") == 0
         && strcmp(r.error_message.data, "why") == 0
         && r.final_text.data == NULL, "it stays what it was");
}


/* Many processes post to one conversation at the same moment. */

static void
test_race(void)
{
    int                             i, status, won, lost, go[2];
    char                            c0;
    pid_t                           pid[8];
    uuid_t                          conv, id;
    ngx_http_agents_conversation_t  c;

    conversation(conv, &c);

    if (pipe(go) != 0) {
        die("race", "no pipe");
    }

    /* connections do not cross a fork */

    ngx_http_agents_db_poll_close(db);
    fflush(stdout);

    for (i = 0; i < 8; i++) {
        pid[i] = fork();

        if (pid[i] == 0) {
            reopen_store();
            new_uuid(id);
            (void) close(go[1]);
            (void) !read(go[0], &c0, 1);
            _exit(insert(conv, id, id, 0, 0, NULL) ? 10
                  : ngx_http_agents_db_status(b) == NGX_HTTP_AGENTS_DB_OK ? 11
                  : 12);
        }
    }

    /* all of them are let go by the end of the file */

    pause_ms(300);
    (void) close(go[0]);
    (void) close(go[1]);
    reopen_store();

    for (won = 0, lost = 0, i = 0; i < 8; i++) {
        if (pid[i] > 0 && waitpid(pid[i], &status, 0) == pid[i]
            && WIFEXITED(status))
        {
            won += WEXITSTATUS(status) == 10;
            lost += WEXITSTATUS(status) == 11;
        }
    }

    unit(won == 1 && lost == 7, "of eight posts at once one wins (%d, %d)",
         won, lost);

    get_conversation(conv, &c);
    unit(c.active_run_id.data != NULL, "and the conversation knows it");
}


static size_t
rows_of(const char *conv)
{
    size_t  n;

    begin(READ);
    ngx_http_agents_messages_list(b, &alice, conv, -1, 1000000, 1000,
                                  1000000);
    ngx_http_agents_conversations_get(b, &alice, conv);

    n = (end() == 0) ? ngx_http_agents_db_rows(b, 0)
                       + ngx_http_agents_db_rows(b, 1) : 1000;

    return n;
}


static void
test_delete(void)
{
    uuid_t                          conv, other, id, old;
    ngx_http_agents_run_key_t       k;
    ngx_http_agents_conversation_t  c;

    conversation(other, &c);
    whole_run(other, 0, "completed", 0, 2);

    conversation(conv, &c);
    whole_run(conv, 0, "completed", 0, 2);
    new_uuid(old);
    insert(conv, old, old, 2, 0, NULL);
    k = key(old, conv, 1);
    begin(WRITE);
    add_finish(&k, "completed", 2);
    (void) end();
    new_uuid(id);
    insert(conv, id, id, 2, 0, NULL);
    k = key(id, conv, 1);
    begin(WRITE);
    add_step(&k, 1);
    add_part(&k, 3, 0, "user", "[]", -1, 0);
    (void) end();

    begin(WRITE);
    ngx_http_agents_conversations_delete(b, &bob, conv);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 1) == 0
         && ngx_http_agents_db_changes(b, 4) == 0,
         "nobody deletes another's conversation");

    begin(WRITE);
    ngx_http_agents_conversations_delete(b, &alice, conv);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 1) == 1
         && ngx_http_agents_db_changes(b, 2) == 1
         && ngx_http_agents_db_changes(b, 3) == 3
         && ngx_http_agents_db_changes(b, 4) == 3,
         "a conversation goes, with its runs and messages");
    unit_text(ngx_http_agents_db_get(b, 1, 0, 0, NULL), id,
              "its active run is named");
    unit(rows_of(conv) == 0 && rows_of(other) == 3, "and nothing else goes");

    begin(READ);
    ngx_http_agents_runs_get(b, &alice, id);
    ngx_http_agents_runs_get(b, &alice, old);
    ngx_http_agents_leases_stops(b, worker, 1000);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 0
         && ngx_http_agents_db_rows(b, 1) == 0
         && ngx_http_agents_db_rows(b, 2) == 1, "the owner is told");

    begin(WRITE);
    add_step(&k, 2);
    add_part(&k, 4, 0, "assistant", "[]", 0, 0);
    add_finish(&k, "completed", 4);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 0
         && ngx_http_agents_db_changes(b, 1) == 0
         && rows_of(conv) == 0, "and writes nothing any more");

    begin(WRITE);
    ngx_http_agents_conversations_delete(b, &alice, conv);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 1) == 0, "it is gone");
}


/* Writes parts of a run as fast as it can, until its guard holds no more. */

static void
write_parts(const char *id, const char *conv)
{
    int64_t                    i;
    ngx_http_agents_run_key_t  k;

    reopen_store();
    k = key(id, conv, 1);

    for (i = 1; i < 100000; i++) {
        begin(WRITE);
        add_step(&k, 1);
        add_part(&k, i, 0, "assistant", "[]", 0, 1);

        if (end() == 0 && ngx_http_agents_db_changes(b, 0) == 0) {
            _exit(0);
        }
    }

    _exit(1);
}


/* A conversation is deleted while its run writes: no row is left behind. */

static void
test_delete_race(void)
{
    int                             i, status, left, stopped;
    pid_t                           pid;
    uuid_t                          conv, id;
    ngx_http_agents_conversation_t  c;

    left = 0;
    stopped = 0;

    for (i = 0; i < 4; i++) {
        conversation(conv, &c);
        new_uuid(id);
        insert(conv, id, id, 0, 0, NULL);

        ngx_http_agents_db_poll_close(db);
        fflush(stdout);

        pid = fork();
        if (pid == 0) {
            write_parts(id, conv);
        }

        reopen_store();

        while (pid > 0 && rows_of(conv) < 3) {
            pause_ms(1);
        }

        begin(WRITE);
        ngx_http_agents_conversations_delete(b, &alice, conv);

        if (end() != 0) {
            die("conversation", "not deleted");
        }

        stopped += (waitpid(pid, &status, 0) == pid && status == 0);
        left += (int) rows_of(conv);
    }

    unit(stopped == 4, "the writers see it");
    unit(left == 0, "and leave nothing behind (%d rows)", left);
}


int
main(void)
{
    open_store();

    test_conversations();
    test_rename();
    test_insert();
    test_repair();
    test_journal();
    test_resume();
    test_changed();
    test_fencing();
    test_race();
    test_delete();
    test_delete_race();

    close_store();

    return unit_done();
}
