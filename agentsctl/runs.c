
/*
 * agentsctl runs list|show|cancel
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_store.h"
#include "agentsctl.h"


#define AGENTSCTL_RUNS_LIMIT  50
#define AGENTSCTL_RUNS_MAX    1000


static int agentsctl_runs_limit(const char *text, int64_t *limit);
static int agentsctl_runs_status(const char *status);
static ngx_http_agents_db_batch_t *agentsctl_runs_get(agentsctl_t *ctl,
    int cancel);
static void agentsctl_runs_table(const ngx_http_agents_db_batch_t *batch);
static int agentsctl_runs_json(const ngx_http_agents_db_batch_t *batch);
static void agentsctl_runs_head(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run);
static void agentsctl_runs_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run);


static const char *const  agentsctl_runs_statuses[] = {
    "pending", "running", "completed", "requires_action", "failed"
};


int
agentsctl_runs_list(agentsctl_t *ctl)
{
    int                          rc;
    int64_t                      limit;
    const char                  *status;
    ngx_http_agents_owner_t      owner;
    ngx_http_agents_db_batch_t  *batch;

    owner.company = agentsctl_options_value(ctl, "--company");
    owner.user = agentsctl_options_value(ctl, "--user");
    status = agentsctl_options_value(ctl, "--status");

    if (agentsctl_runs_status(status) != 0
        || agentsctl_runs_limit(agentsctl_options_value(ctl, "--limit"),
                                &limit)
           != 0)
    {
        return AGENTSCTL_USAGE;
    }

    batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ, NULL, NULL);
    if (batch == NULL) {
        agentsctl_error("no memory");
        return AGENTSCTL_FAILED;
    }

    ngx_http_agents_runs_recent(batch, &owner, status, limit);

    rc = AGENTSCTL_FAILED;

    if (agentsctl_batch(ctl, batch, "cannot list the runs") == 0) {

        rc = AGENTSCTL_OK;

        if (agentsctl_options_value(ctl, "--json")) {
            rc = agentsctl_runs_json(batch);

        } else {
            agentsctl_runs_table(batch);
        }
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


int
agentsctl_runs_show(agentsctl_t *ctl)
{
    int                            rc;
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_db_batch_t    *batch;
    ngx_http_agents_run_record_t   run;

    batch = agentsctl_runs_get(ctl, 0);
    if (batch == NULL) {
        return AGENTSCTL_FAILED;
    }

    ngx_http_agents_runs_read(batch, 0, 0, &run);

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_json_begin(&buf);
    agentsctl_runs_head(&buf, &run);
    agentsctl_runs_body(&buf, &run);
    ngx_http_agents_json_end(&buf);
    ngx_http_agents_buf_addc(&buf, '\n');

    rc = agentsctl_print(&buf);

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


int
agentsctl_runs_cancel(agentsctl_t *ctl)
{
    ngx_http_agents_db_batch_t    *batch;
    ngx_http_agents_run_record_t   run;

    batch = agentsctl_runs_get(ctl, 1);
    if (batch == NULL) {
        return AGENTSCTL_FAILED;
    }

    ngx_http_agents_runs_read(batch, 2, 0, &run);

    if (run.finished_at != 0) {
        printf("%s had ended: %s\n", run.id.data, run.status.data);

    } else {
        printf("%s is %s, and is to stop\n", run.id.data, run.status.data);
    }

    ngx_http_agents_db_batch_free(batch);

    return AGENTSCTL_OK;
}


static int
agentsctl_runs_status(const char *status)
{
    size_t  i;

    if (status == NULL) {
        return 0;
    }

    for (i = 0; i < sizeof(agentsctl_runs_statuses)
                    / sizeof(agentsctl_runs_statuses[0]); i++)
    {
        if (strcmp(status, agentsctl_runs_statuses[i]) == 0) {
            return 0;
        }
    }

    agentsctl_error("\"%s\" is no status: there are pending, running, "
                    "completed, requires_action and failed", status);

    return -1;
}


static int
agentsctl_runs_limit(const char *text, int64_t *limit)
{
    char  *end;

    *limit = AGENTSCTL_RUNS_LIMIT;

    if (text == NULL) {
        return 0;
    }

    if (text[0] >= '0' && text[0] <= '9') {
        *limit = strtoll(text, &end, 10);

        if (*end == '\0' && *limit >= 1 && *limit <= AGENTSCTL_RUNS_MAX) {
            return 0;
        }
    }

    agentsctl_error("\"%s\" is no limit: it is 1 to %d", text,
                    AGENTSCTL_RUNS_MAX);

    return -1;
}


/*
 * The run of the argument in statement 0, or 2 where it is cancelled first;
 * NULL: there is none, or it could not be read, and it has said so.
 */

static ngx_http_agents_db_batch_t *
agentsctl_runs_get(agentsctl_t *ctl, int cancel)
{
    ngx_http_agents_owner_t      owner;
    ngx_http_agents_db_batch_t  *found, *batch;

    batch = NULL;

    found = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ, NULL, NULL);
    if (found == NULL) {
        agentsctl_error("no memory");
        return NULL;
    }

    ngx_http_agents_runs_find(found, ctl->argument);

    if (agentsctl_batch(ctl, found, "cannot find the run") != 0) {
        goto done;
    }

    if (ngx_http_agents_db_rows(found, 0) == 0) {
        goto none;
    }

    owner.company = ngx_http_agents_db_get(found, 0, 0, 0, NULL);
    owner.user = ngx_http_agents_db_get(found, 0, 0, 1, NULL);

    batch = ngx_http_agents_db_batch(cancel ? NGX_HTTP_AGENTS_DB_WRITE
                                            : NGX_HTTP_AGENTS_DB_READ,
                                     NULL, NULL);
    if (batch == NULL) {
        agentsctl_error("no memory");
        goto done;
    }

    if (cancel) {
        ngx_http_agents_runs_cancel(batch, &owner, ctl->argument);
    }

    ngx_http_agents_runs_get(batch, &owner, ctl->argument);

    if (agentsctl_batch(ctl, batch, cancel ? "cannot cancel the run"
                                           : "cannot read the run")
        == 0)
    {
        if (ngx_http_agents_db_rows(batch, cancel ? 2 : 0) != 0) {
            goto done;
        }

        goto none;
    }

    ngx_http_agents_db_batch_free(batch);
    batch = NULL;
    goto done;

none:

    agentsctl_error("there is no run with the id \"%s\"", ctl->argument);
    ngx_http_agents_db_batch_free(batch);
    batch = NULL;

done:

    ngx_http_agents_db_batch_free(found);

    return batch;
}


static void
agentsctl_runs_table(const ngx_http_agents_db_batch_t *batch)
{
    char                          created[NGX_HTTP_AGENTS_TIME_LEN + 1];
    size_t                        i;
    ngx_http_agents_run_record_t  run;

    printf("%-36s  %-15s  %-24s  %-36s  %-16s  %-16s  %s\n", "ID", "STATUS",
           "CREATED", "CONVERSATION", "COMPANY", "USER", "ERROR");

    for (i = 0; i < ngx_http_agents_db_rows(batch, 0); i++) {
        ngx_http_agents_runs_read_recent(batch, 0, i, &run);
        ngx_http_agents_ident_time(created, run.created_at);

        printf("%-36s  %-15s  %-24s  %-36s  %-16s  %-16s  %s\n", run.id.data,
               run.status.data, created, run.conversation_id.data,
               run.company_id.data, run.user_id.data,
               run.error_type.data ? run.error_type.data : "-");
    }
}


static int
agentsctl_runs_json(const ngx_http_agents_db_batch_t *batch)
{
    size_t                        i;
    ngx_http_agents_buf_t         buf;
    ngx_http_agents_run_record_t  run;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_addc(&buf, '[');

    for (i = 0; i < ngx_http_agents_db_rows(batch, 0); i++) {
        ngx_http_agents_runs_read_recent(batch, 0, i, &run);

        ngx_http_agents_buf_adds(&buf, i ? ",\n" : "\n");
        ngx_http_agents_json_begin(&buf);
        agentsctl_runs_head(&buf, &run);
        ngx_http_agents_json_member_text(&buf, "error_type", &run.error_type);
        ngx_http_agents_json_end(&buf);
    }

    ngx_http_agents_buf_adds(&buf, "\n]\n");

    return agentsctl_print(&buf);
}


/* What a list has of a run, too. */

static void
agentsctl_runs_head(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run)
{
    ngx_http_agents_json_member_text(buf, "id", &run->id);
    ngx_http_agents_json_member_text(buf, "company_id", &run->company_id);
    ngx_http_agents_json_member_text(buf, "user_id", &run->user_id);
    ngx_http_agents_json_member_text(buf, "conversation_id",
                                     &run->conversation_id);
    ngx_http_agents_json_member_text(buf, "status", &run->status);
    ngx_http_agents_json_member_text(buf, "owner", &run->owner);
    ngx_http_agents_json_member_integer(buf, "takeovers", run->takeovers);
    ngx_http_agents_json_member_bool(buf, "cancel", run->cancel);
    ngx_http_agents_json_member_time(buf, "created_at", run->created_at);
    ngx_http_agents_json_member_time(buf, "finished_at", run->finished_at);
    ngx_http_agents_json_member_integer(buf, "iterations_used",
                                        run->iterations_used);
}


static void
agentsctl_runs_body(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_run_record_t *run)
{
    ngx_http_agents_json_member_text(buf, "api", &run->api);
    ngx_http_agents_json_member_text(buf, "client_op_id", &run->client_op_id);
    ngx_http_agents_json_member_integer(buf, "epoch", run->epoch);
    ngx_http_agents_json_member_integer(buf, "base_version",
                                        run->base_version);
    ngx_http_agents_json_member_integer(buf, "prompt_tokens",
                                        run->prompt_tokens);
    ngx_http_agents_json_member_integer(buf, "completion_tokens",
                                        run->completion_tokens);
    ngx_http_agents_json_member_integer(buf, "total_tokens",
                                        run->total_tokens);
    ngx_http_agents_json_member_json(buf, "submitted_inference_job_ids",
                                     &run->job_ids);
    ngx_http_agents_json_member_json(buf, "payload", &run->payload);
    ngx_http_agents_json_member_json(buf, "tool_choice", &run->tool_choice);
    ngx_http_agents_json_member_json(buf, "effective_config",
                                     &run->effective_config);
    ngx_http_agents_json_member_json(buf, "pending_tool_calls",
                                     &run->pending_tool_calls);
    ngx_http_agents_json_member_text(buf, "final_text", &run->final_text);
    ngx_http_agents_json_member_json(buf, "final_structured_output",
                                     &run->final_structured_output);
    ngx_http_agents_json_member_text(buf, "error_type", &run->error_type);
    ngx_http_agents_json_member_text(buf, "error_message", &run->error_message);
}
