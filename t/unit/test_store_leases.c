
/*
 * Leases, counts and tokens, on either engine: AGENTS_TEST_STORE names the
 * store, else it is a new SQLite file.
 */


#include "unit_store.h"


/* Runs claimed by "who"; the first is in "claim". */

static size_t
claim_runs(const char *who, int64_t limit, ngx_http_agents_claim_t *claim)
{
    begin(WRITE);
    ngx_http_agents_leases_claim(b, who, api, 1, limit);

    if (end() != 0) {
        return 1000;
    }

    if (ngx_http_agents_db_rows(b, 0)) {
        ngx_http_agents_leases_read(b, 0, 0, claim);
    }

    return ngx_http_agents_db_rows(b, 0);
}


static void
renew(const char *who, int64_t lease)
{
    begin(WRITE);
    ngx_http_agents_leases_renew(b, who, lease);

    if (end() != 0) {
        die("lease", "not renewed");
    }
}


/* Whether it was in time. */

static int
expire_before(int64_t before)
{
    begin(WRITE);
    ngx_http_agents_leases_expire(b, before, 100000);

    if (end() != 0) {
        die("lease", "not expired");
    }

    return ngx_http_agents_leases_in_time(b);
}


static void
expire(void)
{
    if (!expire_before(INT64_MAX)) {
        die("lease", "too late");
    }
}


/* A worker of the same node as "of". */

static void
new_worker(uuid_t id, const uuid_t of)
{
    new_uuid(id);
    memcpy(id + 24, of + 24, 12);
}


/* A worker is lost: the second takes its first two runs, the third the last. */

static void
test_lost(uuid_t conv[3], uuid_t id[3], uuid_t second, uuid_t third)
{
    int                             i;
    int64_t                         until;
    ngx_http_agents_run_key_t       k;
    ngx_http_agents_claim_t         claim;
    ngx_http_agents_conversation_t  c;

    new_uuid(worker);
    new_uuid(api);
    new_worker(second, worker);
    new_worker(third, worker);

    renew(worker, 60000);
    renew(worker, 60000);
    renew(second, 60000);
    renew(third, 60000);

    for (i = 0; i < 3; i++) {
        conversation(conv[i], &c);
        new_uuid(id[i]);
        insert(conv[i], id[i], id[i], 0, 0, NULL);
        pause_ms(3);
    }

    expire();
    unit(claim_runs(second, 10, &claim) == 0, "a live lease keeps its runs");

    renew(worker, -1);
    until = ngx_http_agents_leases_until(b);
    unit(claim_runs(second, 10, &claim) == 0, "a run is not taken at once");
    unit(!expire_before(until), "the look for it may come too late");
    unit(claim_runs(second, 10, &claim) == 0, "then it is not taken");
    expire();

    unit(claim_runs(second, 2, &claim) == 2, "as many as were asked for");
    unit(claim.takeovers == 1 && claim.epoch == 3
         && strcmp(claim.company_id.data, alice.company) == 0
         && strcmp(claim.user_id.data, alice.user) == 0,
         "a takeover has a new epoch");
    unit(claim_runs(third, 10, &claim) == 1
         && strcmp(claim.id.data, id[2]) == 0
         && strcmp(claim.conversation_id.data, conv[2]) == 0,
         "the oldest went first");
    unit(claim_runs(second, 10, &claim) == 0, "each is taken once");

    k = key(id[0], conv[0], 1);
    begin(WRITE);
    add_step(&k, 1);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 0,
         "who lost it writes nothing");
}


static void
test_leases(void)
{
    uuid_t                     conv[3], id[3], second, third;
    ngx_http_agents_claim_t    claim;
    ngx_http_agents_run_key_t  k;

    test_lost(conv, id, second, third);

    /* the second worker hands over, the third goes down */

    begin(WRITE);
    ngx_http_agents_leases_release(b, second);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 2
         && ngx_http_agents_db_changes(b, 1) == 1, "a worker hands over");

    renew(second, 60000);
    renew(third, -1);
    expire();
    renew(third, 60000);

    unit(claim_runs(second, 10, &claim) == 2 && claim.takeovers == 1,
         "handed over, it does not count");
    unit(claim_runs(second, 10, &claim) == 1 && claim.takeovers == 2
         && strcmp(claim.id.data, id[2]) == 0,
         "a second takeover is no neighbour's");

    renew(second, -1);
    expire();
    renew(second, 60000);

    begin(WRITE);
    ngx_http_agents_leases_claim(b, third, api, 0, 10);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1,
         "who has a suspect takes no other");
    ngx_http_agents_leases_read(b, 0, 0, &claim);
    unit(strcmp(claim.id.data, id[2]) == 0 && claim.takeovers == 3,
         "but one that comes for the third time");
    k = key(id[2], conv[2], claim.epoch);

    unit(claim_runs(third, 10, &claim) == 1
         && strcmp(claim.id.data, id[0]) == 0 && claim.takeovers == 2,
         "the oldest is taken alone");
    unit(claim_runs(third, 10, &claim) == 1
         && strcmp(claim.id.data, id[1]) == 0, "then the next");

    begin(WRITE);
    add_step(&k, 1);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 1, "it steps");

    begin(WRITE);
    ngx_http_agents_leases_release_run(b, &k);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 1,
         "one run is given up");
    unit(claim_runs(third, 10, &claim) == 1 && claim.takeovers == 0,
         "a step has cleared its count");
    unit(claim.epoch == k.epoch + 2, "and the epoch goes on");

    k.epoch = claim.epoch;
    begin(WRITE);
    add_finish(&k, "completed", 0);
    (void) end();
    renew(third, -1);
    expire();
    unit(claim_runs(second, 10, &claim) == 2 && claim.takeovers == 3,
         "what is to be given up comes together");
    unit(claim_runs(second, 10, &claim) == 0, "what has ended is not taken");

    begin(READ);
    ngx_http_agents_runs_count_active(b, &bob, 100);
    (void) end();
    unit(ngx_http_agents_db_get_int(b, 0, 0, 0) == 0, "bob has no runs");

    begin(WRITE);
    ngx_http_agents_leases_release(b, second);
    (void) end();
}


/* Cancels a run; how many rows the two statements changed, as ten and one. */

static int
cancel(const ngx_http_agents_owner_t *owner, const char *id)
{
    begin(WRITE);
    ngx_http_agents_runs_cancel(b, owner, id);

    if (end() != 0) {
        die("run", "not cancelled");
    }

    return 10 * (int) ngx_http_agents_db_changes(b, 0)
           + (int) ngx_http_agents_db_changes(b, 1);
}


static size_t
stops(const char *who, int64_t limit)
{
    begin(READ);
    ngx_http_agents_leases_stops(b, who, limit);

    return end() == 0 ? ngx_http_agents_db_rows(b, 0) : 1000;
}


static void
test_cancel(void)
{
    uuid_t                          conv, id, other;
    ngx_http_agents_claim_t         claim;
    ngx_http_agents_run_key_t       k;
    ngx_http_agents_run_record_t    r;
    ngx_http_agents_conversation_t  c;

    new_uuid(worker);
    new_uuid(other);
    new_uuid(api);
    renew(worker, 60000);

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, &r);
    unit(r.cancel == 0, "a run is not cancelled");

    unit(cancel(&bob, id) == 0 && stops(worker, 10) == 0,
         "nobody cancels another's run");
    unit(cancel(&alice, id) == 11, "a run is cancelled, its owner told");
    unit(cancel(&alice, id) == 10, "once");
    unit(stops(other, 10) == 0 && stops(worker, 0) == 0
         && stops(worker, 10) == 1, "the owner alone sees it");
    unit_text(ngx_http_agents_db_get(b, 0, 0, 0, NULL), id, "its id");

    begin(READ);
    ngx_http_agents_runs_get(b, &alice, id);
    (void) end();
    ngx_http_agents_runs_read(b, 0, 0, &r);
    unit(r.cancel == 1 && r.rev == 0 && r.finished_at == 0,
         "nothing else of the run has changed");

    begin(WRITE);
    ngx_http_agents_leases_stopped(b, worker, id);
    ngx_http_agents_leases_stopped(b, other, id);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 1
         && ngx_http_agents_db_changes(b, 1) == 0, "the owner has heard");
    unit(stops(worker, 10) == 0, "and is not told again");

    (void) cancel(&alice, id);
    begin(WRITE);
    ngx_http_agents_leases_release(b, worker);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 2) == 1
         && stops(worker, 10) == 0, "a worker that leaves takes its rows");
    unit(cancel(&alice, id) == 10, "without an owner no one is told");

    unit(claim_runs(other, 10, &claim) == 1, "who takes it over");
    k = key(id, conv, claim.epoch);
    begin(READ);
    ngx_http_agents_runs_load(b, &k);
    (void) end();
    ngx_http_agents_runs_read(b, 0, 0, &r);
    unit(r.cancel == 1, "sees it by the run");

    begin(WRITE);
    add_finish(&k, "failed", 0);
    (void) end();
    unit(cancel(&alice, id) == 0 && stops(other, 10) == 0,
         "a run that has ended is not cancelled");
}


static void
test_count(void)
{
    int64_t                         before;
    uuid_t                          conv, id;
    ngx_http_agents_run_key_t       k;
    ngx_http_agents_conversation_t  c;

    begin(READ);
    ngx_http_agents_runs_count_active(b, &alice, 100);
    (void) end();
    before = ngx_http_agents_db_get_int(b, 0, 0, 0);

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, NULL);

    begin(READ);
    ngx_http_agents_runs_count_active(b, &alice, 100);
    (void) end();
    unit(ngx_http_agents_db_get_int(b, 0, 0, 0) == before + 1,
         "a run is active");

    k = key(id, conv, 1);
    begin(WRITE);
    add_finish(&k, "completed", 0);
    (void) end();

    begin(READ);
    ngx_http_agents_runs_count_active(b, &alice, 100);
    (void) end();
    unit(ngx_http_agents_db_get_int(b, 0, 0, 0) == before,
         "until it has ended");
}


/* Many runs of a dead worker are not one worker's; what is its own it finds. */

static void
test_share(void)
{
    int                             i;
    size_t                          n, all;
    uuid_t                          conv, id, second, third;
    ngx_http_agents_claim_t         claim;
    ngx_http_agents_conversation_t  c;

    new_uuid(worker);
    new_uuid(api);
    new_uuid(second);
    new_uuid(third);

    renew(worker, -1);
    renew(second, 60000);
    renew(third, 60000);

    for (i = 0; i < 16; i++) {
        conversation(conv, &c);
        new_uuid(id);
        insert(conv, id, id, 0, 0, NULL);
    }

    begin(READ);
    ngx_http_agents_leases_owned(b, worker, "", 10);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 10,
         "a slice of a worker's runs");
    ngx_http_agents_leases_read(b, 0, 9, &claim);
    unit(claim.epoch == 1 && claim.takeovers == 0
         && strcmp(claim.company_id.data, alice.company) == 0
         && strcmp(claim.user_id.data, alice.user) == 0
         && strcmp(claim.api.data, api) == 0, "each with its key and its api");

    snprintf(id, sizeof(id), "%s", claim.id.data);
    begin(READ);
    ngx_http_agents_leases_owned(b, worker, id, 10);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 6, "and the rest");

    expire();

    n = claim_runs(second, 64, &claim);
    unit(n >= 4 && n <= 12, "a claim leaves some for the others");

    for (all = n; n != 0; all += n) {
        n = claim_runs(third, 64, &claim);
    }

    unit(all == 16, "and in the end all are taken");

    begin(READ);
    ngx_http_agents_leases_owned(b, worker, "", 10);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 0,
         "who lost them has none");
}


/* The workers of a run are lost with their nodes, one after the other. */

static void
test_nodes(void)
{
    int                             i;
    uuid_t                          conv, id, last, next;
    ngx_http_agents_claim_t         claim;
    ngx_http_agents_conversation_t  c;

    new_uuid(worker);
    new_uuid(api);
    renew(worker, 60000);

    conversation(conv, &c);
    new_uuid(id);
    insert(conv, id, id, 0, 0, NULL);
    memcpy(last, worker, sizeof(uuid_t));

    for (i = 1; i <= 7; i++) {
        new_uuid(next);
        renew(next, 60000);
        renew(last, -1);
        expire();
        memcpy(last, next, sizeof(uuid_t));

        if (claim_runs(next, 10, &claim) != 1) {
            die("run", "not claimed");
        }

        if (i == 6) {
            unit(claim.takeovers == 0 && claim.epoch == 13,
                 "a node that is lost is not a run's doing");
        }
    }

    unit(claim.takeovers == 1, "unless it happens again and again");
}


static void
test_tokens(void)
{
    int                      found;
    size_t                   i;
    uuid_t                   id, brief, sha, brief_sha;
    ngx_http_agents_token_t  t;

    new_uuid(id);
    new_uuid(brief);
    new_uuid(sha);
    new_uuid(brief_sha);

    begin(WRITE);
    ngx_http_agents_tokens_insert(b, id, sha, &alice, "r w", 0);
    ngx_http_agents_tokens_insert(b, brief, brief_sha, &alice, "r", 20);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1, "tokens are made");
    ngx_http_agents_tokens_read(b, 0, 0, &t);
    unit(t.expires_at == 0 && t.revoked_at == 0 && t.created_at > 0,
         "one for good");
    ngx_http_agents_tokens_read(b, 1, 0, &t);
    unit(t.expires_at == t.created_at + 20, "one for 20 ms");

    pause_ms(40);

    begin(READ);
    ngx_http_agents_tokens_find(b, sha);
    ngx_http_agents_tokens_find(b, brief_sha);
    ngx_http_agents_tokens_find(b, id);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 1
         && ngx_http_agents_db_rows(b, 1) == 0
         && ngx_http_agents_db_rows(b, 2) == 0, "the live one is found");
    ngx_http_agents_tokens_read(b, 0, 0, &t);
    unit_text(t.permissions.data, "r w", "its permissions");
    unit_text(t.company_id.data, company, "its company");
    unit_text(t.user_id.data, "alice", "its user");

    begin(WRITE);
    ngx_http_agents_tokens_revoke(b, id);
    ngx_http_agents_tokens_revoke(b, sha);
    unit(end() == 0 && ngx_http_agents_db_changes(b, 0) == 1
         && ngx_http_agents_db_changes(b, 1) == 0, "it is revoked by its id");

    begin(READ);
    ngx_http_agents_tokens_find(b, sha);
    ngx_http_agents_tokens_list(b);
    unit(end() == 0 && ngx_http_agents_db_rows(b, 0) == 0,
         "and not found any more");

    for (found = 0, i = 0; i < ngx_http_agents_db_rows(b, 1); i++) {
        ngx_http_agents_tokens_read(b, 1, i, &t);
        found += (strcmp(t.id.data, id) == 0 && t.revoked_at > 0)
                 || strcmp(t.id.data, brief) == 0;
    }

    unit(found == 2, "but listed");
}


int
main(void)
{
    open_store();

    test_leases();
    test_cancel();
    test_count();
    test_share();
    test_nodes();
    test_tokens();

    close_store();

    return unit_done();
}
