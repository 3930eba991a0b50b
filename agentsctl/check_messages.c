
/*
 * agentsctl check: the messages of a conversation, and its journal.
 */


#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ngx_http_agents_json.h"
#include "check.h"


static void agentsctl_check_part(agentsctl_check_t *check,
    const ngx_http_agents_check_part_t *part);
static void agentsctl_check_message(agentsctl_check_t *check,
    const ngx_http_agents_check_part_t *part);
static void agentsctl_check_blocks(agentsctl_check_t *check,
    const ngx_http_agents_check_part_t *part);
static void agentsctl_check_block(agentsctl_check_t *check,
    const ngx_http_agents_check_part_t *part, const json_t *block);
static void agentsctl_check_waiting(agentsctl_check_t *check);


void
agentsctl_check_parts(agentsctl_check_t *check,
    const ngx_http_agents_db_batch_t *batch, size_t statement)
{
    size_t                        i;
    ngx_http_agents_check_part_t  part;

    for (i = 0; i < ngx_http_agents_db_rows(batch, statement); i++) {
        ngx_http_agents_check_read_part(batch, statement, i, &part);
        agentsctl_check_part(check, &part);
    }
}


static void
agentsctl_check_part(agentsctl_check_t *check,
    const ngx_http_agents_check_part_t *part)
{
    if (part->sequence_no != check->sequence) {
        agentsctl_check_message(check, part);

    } else if (strcmp(part->role.data, check->role) != 0
               || strcmp(part->run_id.data, check->run) != 0)
    {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " has parts of two roles or runs",
                              part->sequence_no);

    } else if (strcmp(part->role.data, "tool") != 0) {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " of the %s has several parts",
                              part->sequence_no, part->role.data);
    }

    agentsctl_check_blocks(check, part);

    check->sequence = part->sequence_no;
    check->part = part->part;
    (void) snprintf(check->role, sizeof(check->role), "%s", part->role.data);
    (void) snprintf(check->run, sizeof(check->run), "%s", part->run_id.data);
}


/* The first part of one. */

static void
agentsctl_check_message(agentsctl_check_t *check,
    const ngx_http_agents_check_part_t *part)
{
    int                                    first;
    ngx_http_agents_check_conversation_t  *c;

    c = &check->conversation;

    if (part->sequence_no <= c->version) {
        check->nmessages++;

    } else if (c->active_run_id.data == NULL
               || strcmp(c->active_run_id.data, part->run_id.data) != 0)
    {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " is beyond version %" PRId64
                              ", and not the active run's",
                              part->sequence_no, c->version);
    }

    if (part->sequence_no != check->sequence + 1) {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " comes after %" PRId64, part->sequence_no,
                              check->sequence);
    }

    if (strcmp(part->role.data, "user") != 0
        && strcmp(part->role.data, "assistant") != 0
        && strcmp(part->role.data, "tool") != 0)
    {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " has the role \"%s\"", part->sequence_no,
                              part->role.data);
    }

    if (part->base_version == -1) {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " is of no run of this conversation",
                              part->sequence_no);
        return;
    }

    first = (strcmp(part->run_id.data, check->run) != 0);

    if (part->sequence_no <= part->base_version
        || (first && part->sequence_no != part->base_version + 1))
    {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              ", of a run that began at version %" PRId64,
                              part->sequence_no, part->base_version);

    } else if (part->turn_index
               != part->sequence_no - part->base_version - 2)
    {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " has the turn_index %" PRId64,
                              part->sequence_no, part->turn_index);
    }
}


/* Of the journal's calls nothing can be said yet. */

static void
agentsctl_check_blocks(agentsctl_check_t *check,
    const ngx_http_agents_check_part_t *part)
{
    size_t   i;
    json_t  *blocks, *block;

    blocks = ngx_http_agents_json_load(part->content.data, part->content.len);

    if (!json_is_array(blocks)) {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " cannot be read", part->sequence_no);
        json_decref(blocks);
        return;
    }

    if (part->sequence_no <= check->conversation.version) {

        if (strcmp(part->role.data, "tool") != 0 && check->open != 0) {
            agentsctl_check_found(check, part->run_id.data, "%zu tool calls "
                                  "before message %" PRId64
                                  " have no result", check->open,
                                  part->sequence_no);
            json_object_clear(check->calls);
            check->open = 0;
        }

        json_array_foreach(blocks, i, block) {
            agentsctl_check_block(check, part, block);
        }
    }

    json_decref(blocks);
}


static void
agentsctl_check_block(agentsctl_check_t *check,
    const ngx_http_agents_check_part_t *part, const json_t *block)
{
    json_t      *call;
    const char  *type, *id;

    type = ngx_http_agents_json_string(block, "type", NULL);
    id = ngx_http_agents_json_string(block, "tool_use_id", NULL);

    if (type == NULL
        || (strcmp(type, "tool_use") != 0 && strcmp(type, "tool_result") != 0))
    {
        return;
    }

    if (id == NULL) {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              " has a %s without an id", part->sequence_no,
                              type);
        return;
    }

    call = json_object_get(check->calls, id);

    if (strcmp(type, "tool_use") == 0) {

        if (call != NULL || strcmp(part->role.data, "assistant") != 0) {
            agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                                  ": the call %s is there twice, or not the "
                                  "assistant's", part->sequence_no, id);
            return;
        }

        if (json_object_set_new(check->calls, id, json_true()) == 0) {
            check->open++;
        }

        return;
    }

    if (!json_is_true(call) || strcmp(part->role.data, "tool") != 0) {
        agentsctl_check_found(check, part->run_id.data, "message %" PRId64
                              ": a result of %s, which %s", part->sequence_no,
                              id, call ? "has one already"
                                       : "was not called");
        return;
    }

    if (json_object_set_new(check->calls, id, json_false()) == 0) {
        check->open--;
    }
}


void
agentsctl_check_parts_end(agentsctl_check_t *check)
{
    if (check->nmessages != (uint64_t) check->conversation.version) {
        agentsctl_check_found(check, NULL, "version %" PRId64 ", and %" PRIu64
                              " messages", check->conversation.version,
                              check->nmessages);
    }

    agentsctl_check_waiting(check);
}


/* What the last run waits for is what has no result, no more and no less. */

static void
agentsctl_check_waiting(agentsctl_check_t *check)
{
    size_t       i, waiting;
    json_t      *call;
    const char  *id;

    waiting = 0;

    json_array_foreach(check->pending_calls, i, call) {
        id = ngx_http_agents_json_string(call, "tool_use_id", NULL);

        if (id != NULL && json_is_true(json_object_get(check->calls, id))) {
            waiting++;
        }
    }

    if (waiting != check->open
        || waiting != json_array_size(check->pending_calls))
    {
        agentsctl_check_found(check, check->conversation.pending_run_id.data,
                              "%zu calls have no result, %zu are waited for, "
                              "%zu are both", check->open,
                              json_array_size(check->pending_calls), waiting);
    }
}
