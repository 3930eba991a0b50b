
/*
 * agentsctl check: reads the whole database, a slice at a time, and says where
 * it is not as it has to be.  A conversation that seems wrong is read again: a
 * run of it may have ended between one statement and the next.
 */


#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "ngx_http_agents_db_batch.h"
#include "ngx_http_agents_json.h"
#include "check.h"


#define AGENTSCTL_CHECK_LOOKS    3
#define AGENTSCTL_CHECK_PAUSE    100000000      /* ns, between them */
#define AGENTSCTL_CHECK_ORPHANS  100


static int agentsctl_check_all(agentsctl_check_t *check);
static int agentsctl_check_conversation(agentsctl_check_t *check,
    const ngx_http_agents_check_conversation_t *conversation);
static int agentsctl_check_look(agentsctl_check_t *check, const char *id);
static int agentsctl_check_runs(agentsctl_check_t *check, const char *id);
static int agentsctl_check_messages(agentsctl_check_t *check, const char *id);
static void agentsctl_check_run(agentsctl_check_t *check,
    const ngx_http_agents_check_run_t *run);
static void agentsctl_check_state(agentsctl_check_t *check,
    const ngx_http_agents_check_run_t *run);
static void agentsctl_check_jobs(agentsctl_check_t *check,
    const ngx_http_agents_check_run_t *run);
static void agentsctl_check_calls(agentsctl_check_t *check,
    const ngx_http_agents_check_run_t *run);
static int agentsctl_check_is(const ngx_http_agents_text_t *text,
    const char *word);
static int agentsctl_check_orphans(agentsctl_check_t *check);
static ngx_http_agents_db_batch_t *agentsctl_check_batch(void);


int
agentsctl_check(agentsctl_t *ctl)
{
    int                rc;
    agentsctl_check_t  check;

    memset(&check, 0, sizeof(agentsctl_check_t));

    check.ctl = ctl;

    rc = agentsctl_check_all(&check);

    if (rc == 0) {
        rc = agentsctl_check_orphans(&check);
    }

    ngx_http_agents_buf_free(&check.found);

    if (rc != 0) {
        return AGENTSCTL_FAILED;
    }

    printf("%" PRIu64 " conversations, %" PRIu64 " runs, %" PRIu64
           " messages: ", check.conversations, check.runs, check.messages);

    if (check.faults == 0) {
        printf("no fault\n");
        return AGENTSCTL_OK;
    }

    printf("%" PRIu64 " fault%s\n", check.faults,
           check.faults == 1 ? "" : "s");

    return AGENTSCTL_FAILED;
}


static ngx_http_agents_db_batch_t *
agentsctl_check_batch(void)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ, NULL, NULL);

    if (batch == NULL) {
        agentsctl_error("no memory");
    }

    return batch;
}


static int
agentsctl_check_all(agentsctl_check_t *check)
{
    int                                    rc;
    size_t                                 i, n;
    const char                            *after;
    ngx_http_agents_owner_t                owner;
    ngx_http_agents_db_batch_t            *batch, *last;
    ngx_http_agents_check_conversation_t   c;

    after = "";
    last = NULL;
    owner.company = "";
    owner.user = "";

    for ( ;; ) {
        batch = agentsctl_check_batch();
        if (batch == NULL) {
            rc = -1;
            break;
        }

        ngx_http_agents_check_conversations(batch, &owner, after,
                                            AGENTSCTL_CHECK_CONVERSATIONS);

        rc = agentsctl_batch(check->ctl, batch,
                             "cannot read the conversations");

        ngx_http_agents_db_batch_free(last);
        last = batch;

        n = (rc == 0) ? ngx_http_agents_db_rows(batch, 0) : 0;

        for (i = 0; i < n && rc == 0; i++) {
            ngx_http_agents_check_read_conversation(batch, 0, i, &c);

            rc = agentsctl_check_conversation(check, &c);

            owner.company = c.company_id.data;
            owner.user = c.user_id.data;
            after = c.id.data;
        }

        if (rc != 0 || n < AGENTSCTL_CHECK_CONVERSATIONS) {
            break;
        }
    }

    ngx_http_agents_db_batch_free(last);

    return rc;
}


static int
agentsctl_check_conversation(agentsctl_check_t *check,
    const ngx_http_agents_check_conversation_t *conversation)
{
    int              rc, look;
    struct timespec  pause = { 0, AGENTSCTL_CHECK_PAUSE };

    check->owner.company = conversation->company_id.data;
    check->owner.user = conversation->user_id.data;

    for (look = 0; look < AGENTSCTL_CHECK_LOOKS; look++) {

        if (look > 0) {
            nanosleep(&pause, NULL);
        }

        ngx_http_agents_buf_reset(&check->found);
        check->nfound = 0;
        check->nruns = 0;
        check->nmessages = 0;

        rc = agentsctl_check_look(check, conversation->id.data);

        if (rc != 0) {
            return rc;
        }

        if (check->nfound == 0) {
            break;
        }
    }

    if (check->found.failed) {
        agentsctl_error("no memory");
        return -1;
    }

    if (check->nfound) {
        (void) fwrite(check->found.data, 1, check->found.len, stdout);
    }

    check->conversations++;
    check->runs += check->nruns;
    check->messages += check->nmessages;
    check->faults += check->nfound;

    return 0;
}


/* Reads one conversation to its end; one that is gone by now is well. */

static int
agentsctl_check_look(agentsctl_check_t *check, const char *id)
{
    int                          rc;
    ngx_http_agents_db_batch_t  *batch;

    batch = agentsctl_check_batch();
    if (batch == NULL) {
        return -1;
    }

    ngx_http_agents_check_conversation(batch, &check->owner, id);

    rc = agentsctl_batch(check->ctl, batch, "cannot read a conversation");

    if (rc == 0 && ngx_http_agents_db_rows(batch, 0) != 0) {
        ngx_http_agents_check_read_conversation(batch, 0, 0,
                                                &check->conversation);
        check->active = 0;
        check->pending = 0;
        check->pending_calls = NULL;
        check->sequence = 0;
        check->part = 0;
        check->role[0] = '\0';
        check->run[0] = '\0';
        check->open = 0;
        check->calls = json_object();

        if (check->calls == NULL) {
            agentsctl_error("no memory");
            rc = -1;
        }

        if (rc == 0) {
            rc = agentsctl_check_runs(check, id);
        }

        if (rc == 0) {
            rc = agentsctl_check_messages(check, id);
        }

        json_decref(check->calls);
        json_decref(check->pending_calls);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static int
agentsctl_check_runs(agentsctl_check_t *check, const char *id)
{
    int                           rc;
    size_t                        i, n;
    ngx_http_agents_db_batch_t   *batch, *last;
    ngx_http_agents_check_run_t   run;

    last = NULL;
    run.created_at = INT64_MAX;
    run.id.data = "";

    do {
        batch = agentsctl_check_batch();
        if (batch == NULL) {
            rc = -1;
            break;
        }

        ngx_http_agents_check_runs(batch, &check->owner, id, run.created_at,
                                   run.id.data, AGENTSCTL_CHECK_RUNS);

        rc = agentsctl_batch(check->ctl, batch, "cannot read the runs");

        ngx_http_agents_db_batch_free(last);
        last = batch;

        n = (rc == 0) ? ngx_http_agents_db_rows(batch, 0) : 0;

        for (i = 0; i < n; i++) {
            ngx_http_agents_check_read_run(batch, 0, i, &run);
            agentsctl_check_run(check, &run);
        }

    } while (n == AGENTSCTL_CHECK_RUNS);

    ngx_http_agents_db_batch_free(last);

    if (rc != 0) {
        return rc;
    }

    if (check->conversation.active_run_id.data != NULL && !check->active) {
        agentsctl_check_found(check, check->conversation.active_run_id.data,
                              "is active, and is no run of the conversation "
                              "that is pending or running");
    }

    if (check->conversation.pending_run_id.data != NULL && !check->pending) {
        agentsctl_check_found(check, check->conversation.pending_run_id.data,
                              "waits for outputs, and is no run of the "
                              "conversation that requires action");
    }

    return 0;
}


static int
agentsctl_check_messages(agentsctl_check_t *check, const char *id)
{
    int                          rc;
    size_t                       n;
    ngx_http_agents_db_batch_t  *batch;

    do {
        batch = agentsctl_check_batch();
        if (batch == NULL) {
            return -1;
        }

        ngx_http_agents_check_parts(batch, &check->owner, id, check->sequence,
                                    check->sequence ? check->part : INT64_MAX,
                                    AGENTSCTL_CHECK_PARTS,
                                    AGENTSCTL_CHECK_BYTES);

        rc = agentsctl_batch(check->ctl, batch, "cannot read the messages");

        n = 0;

        if (rc == 0) {
            n = ngx_http_agents_db_rows(batch, 0);
            agentsctl_check_parts(check, batch, 0);
        }

        ngx_http_agents_db_batch_free(batch);

        /* the bytes may have ended the slice before its number did */

    } while (rc == 0 && n != 0);

    if (rc == 0) {
        agentsctl_check_parts_end(check);
    }

    return rc;
}


static int
agentsctl_check_is(const ngx_http_agents_text_t *text, const char *word)
{
    return text->data != NULL && strcmp(text->data, word) == 0;
}


static void
agentsctl_check_run(agentsctl_check_t *check,
    const ngx_http_agents_check_run_t *run)
{
    check->nruns++;

    agentsctl_check_state(check, run);
    agentsctl_check_jobs(check, run);
    agentsctl_check_calls(check, run);

    if (run->base_version < 0
        || run->base_version > check->conversation.version)
    {
        agentsctl_check_found(check, run->id.data, "began at version %" PRId64
                              ", the conversation is at %" PRId64,
                              run->base_version, check->conversation.version);
    }

    if (run->epoch < 1 || run->takeovers < -1) {
        agentsctl_check_found(check, run->id.data, "has epoch %" PRId64
                              " and %" PRId64 " takeovers", run->epoch,
                              run->takeovers);
    }
}


static void
agentsctl_check_state(agentsctl_check_t *check,
    const ngx_http_agents_check_run_t *run)
{
    int  active, known, ended;

    ended = agentsctl_check_is(&run->status, "completed")
            || agentsctl_check_is(&run->status, "requires_action")
            || agentsctl_check_is(&run->status, "failed");
    known = ended || agentsctl_check_is(&run->status, "pending")
            || agentsctl_check_is(&run->status, "running");
    active = agentsctl_check_is(&check->conversation.active_run_id,
                                run->id.data);

    if (!known) {
        agentsctl_check_found(check, run->id.data, "has the status \"%s\"",
                              run->status.data);
        return;
    }

    if (ended != (run->finished_at != 0)) {
        agentsctl_check_found(check, run->id.data, "is %s, and has %s "
                              "finished_at", run->status.data,
                              ended ? "no" : "a");
    }

    if (ended && run->owner.data != NULL) {
        agentsctl_check_found(check, run->id.data, "is %s, and has an owner",
                              run->status.data);
    }

    if (!ended && !run->owner_known) {
        agentsctl_check_found(check, run->id.data, "has the owner %s, which "
                              "is no worker", run->owner.data);
    }

    if (!ended && active) {
        check->active = 1;

    } else if (!ended) {
        agentsctl_check_found(check, run->id.data, "is %s, and not the "
                              "conversation's active run", run->status.data);
    }

    if (run->finals != agentsctl_check_is(&run->status, "completed")) {
        agentsctl_check_found(check, run->id.data, "is %s, and has %" PRId64
                              " final answers", run->status.data, run->finals);
    }

    if ((run->error_type.data != NULL)
        != agentsctl_check_is(&run->status, "failed"))
    {
        agentsctl_check_found(check, run->id.data, "is %s, and has %s error",
                              run->status.data,
                              run->error_type.data ? "an" : "no");
    }
}


/* An id per iteration begun: one may be under way, or was cut off. */

static void
agentsctl_check_jobs(agentsctl_check_t *check,
    const ngx_http_agents_check_run_t *run)
{
    size_t   i, n;
    json_t  *jobs, *id, *seen;

    jobs = ngx_http_agents_json_load(run->job_ids.data, run->job_ids.len);
    seen = json_object();

    if (!json_is_array(jobs) || seen == NULL) {
        agentsctl_check_found(check, run->id.data, "has job ids that cannot "
                              "be read");
        json_decref(jobs);
        json_decref(seen);
        return;
    }

    n = json_array_size(jobs);

    json_array_foreach(jobs, i, id) {

        if (!json_is_string(id) || json_object_get(seen,
                                                   json_string_value(id)))
        {
            agentsctl_check_found(check, run->id.data, "has a job id twice, "
                                  "or one that is no string");
            break;
        }

        (void) json_object_set_new(seen, json_string_value(id), json_true());
    }

    if ((int64_t) n < run->iterations_used
        || (int64_t) n > run->iterations_used + 1
        || (agentsctl_check_is(&run->status, "completed")
            && (int64_t) n != run->iterations_used))
    {
        agentsctl_check_found(check, run->id.data, "has %zu job ids for %"
                              PRId64 " iterations", n, run->iterations_used);
    }

    json_decref(jobs);
    json_decref(seen);
}


static void
agentsctl_check_calls(agentsctl_check_t *check,
    const ngx_http_agents_check_run_t *run)
{
    int      waits;
    json_t  *calls;

    waits = agentsctl_check_is(&run->status, "requires_action");

    calls = ngx_http_agents_json_load(run->pending_tool_calls.data,
                                      run->pending_tool_calls.len);

    if (!json_is_array(calls) || waits != (json_array_size(calls) != 0)) {
        agentsctl_check_found(check, run->id.data, "is %s, and has %zu "
                              "pending calls", run->status.data,
                              json_array_size(calls));
    }

    if (waits && agentsctl_check_is(&check->conversation.pending_run_id,
                                    run->id.data))
    {
        check->pending = 1;
        check->pending_calls = json_incref(calls);
    }

    json_decref(calls);
}


/* Begins with a word that says so, in SQL's own order of things. */

static int
agentsctl_check_orphans(agentsctl_check_t *check)
{
    int                          rc;
    size_t                       i, k;
    ngx_http_agents_text_t       text[4];
    ngx_http_agents_db_batch_t  *batch;

    batch = agentsctl_check_batch();
    if (batch == NULL) {
        return -1;
    }

    ngx_http_agents_check_orphans(batch, AGENTSCTL_CHECK_ORPHANS);

    rc = agentsctl_batch(check->ctl, batch, "cannot look for orphans");

    for (k = 0; rc == 0 && k < 2; k++) {

        for (i = 0; i < ngx_http_agents_db_rows(batch, k); i++) {
            text[0].data = ngx_http_agents_db_get(batch, k, i, 0, NULL);
            text[1].data = ngx_http_agents_db_get(batch, k, i, 1, NULL);
            text[2].data = ngx_http_agents_db_get(batch, k, i, 2, NULL);
            text[3].data = ngx_http_agents_db_get(batch, k, i, 3, NULL);

            printf(k == 0 ? "%s/%s, conversation %s, which is not there: run "
                            "%s\n"
                          : "%s/%s, conversation %s, which is not there: %s "
                            "parts of messages\n", text[0].data, text[1].data,
                   text[2].data, text[3].data);
            check->faults++;
        }
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


void
agentsctl_check_found(agentsctl_check_t *check, const char *run,
    const char *fmt, ...)
{
    va_list                 args;
    ngx_http_agents_buf_t  *buf;

    buf = &check->found;

    ngx_http_agents_buf_addf(buf, "%s/%s, conversation %s",
                             check->owner.company, check->owner.user,
                             check->conversation.id.data);

    if (run != NULL) {
        ngx_http_agents_buf_addf(buf, ", run %s", run);
    }

    ngx_http_agents_buf_adds(buf, ": ");

    va_start(args, fmt);
    ngx_http_agents_buf_addv(buf, fmt, args);
    va_end(args);

    ngx_http_agents_buf_addc(buf, '\n');

    check->nfound++;
}
