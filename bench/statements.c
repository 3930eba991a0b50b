
/*
 * The SQL of one run, as a script for the engine's own client: what the
 * server sends for a run, by the server's own queries, with the texts of a
 * run that it has completed.
 *
 *     statements sqlite SET RUNS STORE COMPANY USER RUN
 *         for sqlite3: prints all of it RUNS times, each write batch a
 *         transaction, for the conversations of SET
 *     statements pgbench FILE STORE COMPANY USER RUN
 *         for pgbench: writes FILE, and prints the arguments that define its
 *         variables, each ended by a NUL; its conversations are numbers,
 *         :base + 1000000 * :client_id + 1, 2, 3 ...
 *
 * The conversations are there already.
 */


#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_db_batch.h"
#include "ngx_http_agents_db_poll.h"
#include "ngx_http_agents_store.h"


#define STATEMENTS_PARTS  16


/* The model of all runs, and where they go. */
typedef struct {
    ngx_http_agents_owner_t        owner;
    ngx_http_agents_run_record_t   run;
    ngx_http_agents_message_t      parts[STATEMENTS_PARTS];
    size_t                         nparts;
    ngx_http_agents_db_engine_e    engine;
    FILE                          *out;
    unsigned                       set;
    int64_t                        variables;   /* of pgbench */
    char                           conversation[64];
    char                           id[64];
    char                           op[64];
    char                           job[64];
} statements_t;


static void statements_sqlite(statements_t *s, const char *set,
    const char *runs);
static int statements_pgbench(statements_t *s, const char *file);
static int statements_read(statements_t *s, ngx_http_agents_db_t *db,
    const char *run);
static void statements_name(statements_t *s, int64_t n);
static void statements_run(statements_t *s);
static void statements_post(statements_t *s);
static void statements_load(statements_t *s,
    const ngx_http_agents_run_key_t *key);
static size_t statements_turn(statements_t *s,
    const ngx_http_agents_run_key_t *key, size_t from);
static void statements_step(statements_t *s,
    ngx_http_agents_db_batch_t *batch, const ngx_http_agents_run_key_t *key);
static void statements_put(statements_t *s,
    ngx_http_agents_db_batch_t *batch);
static void statements_put_one(statements_t *s,
    const ngx_http_agents_db_statement_t *statement);
static void statements_put_value(statements_t *s,
    const ngx_http_agents_db_value_t *value);
static void statements_put_variable(statements_t *s,
    const ngx_http_agents_db_value_t *value);
static ngx_http_agents_db_batch_t *statements_batch(
    ngx_http_agents_db_kind_e kind);


int
main(int argc, char **argv)
{
    int                    sqlite;
    char                   err[512];
    statements_t           s;
    ngx_http_agents_db_t  *db;

    sqlite = (argc == 8 && strcmp(argv[1], "sqlite") == 0);

    if (!sqlite && (argc != 7 || strcmp(argv[1], "pgbench") != 0)) {
        fprintf(stderr, "usage: statements sqlite SET RUNS STORE COMPANY USER"
                        " RUN\n       statements pgbench FILE STORE COMPANY"
                        " USER RUN\n");
        return 2;
    }

    memset(&s, 0, sizeof(statements_t));

    s.owner.user = argv[argc - 2];
    s.owner.company = argv[argc - 3];

    db = ngx_http_agents_db_poll_open(argv[argc - 4], err, sizeof(err));

    if (db == NULL) {
        fprintf(stderr, "statements: %s\n", err);
        return 1;
    }

    if (statements_read(&s, db, argv[argc - 1]) == -1) {
        fprintf(stderr, "statements: the run cannot be read\n");
        return 1;
    }

    if (sqlite) {
        statements_sqlite(&s, argv[2], argv[3]);
        return 0;
    }

    return statements_pgbench(&s, argv[2]) == 0 ? 0 : 1;
}


static void
statements_sqlite(statements_t *s, const char *set, const char *runs)
{
    int64_t  n;

    s->engine = NGX_HTTP_AGENTS_DB_SQLITE;
    s->out = stdout;
    s->set = (unsigned) strtoul(set, NULL, 10);

    for (n = 0; n < strtoll(runs, NULL, 10); n++) {
        statements_name(s, n);
        statements_run(s);
    }
}


/* Its ids are left empty: the script's own number takes their place. */

static int
statements_pgbench(statements_t *s, const char *file)
{
    s->engine = NGX_HTTP_AGENTS_DB_POSTGRES;
    s->out = fopen(file, "w");

    if (s->out == NULL) {
        perror(file);
        return -1;
    }

    fprintf(s->out, "\\set n :n + 1\n"
                    "\\set conversation :base + 1000000 * :client_id + :n\n");
    statements_run(s);

    return fclose(s->out);
}


/* The batches that were read stay: the records point into them. */

static int
statements_read(statements_t *s, ngx_http_agents_db_t *db, const char *run)
{
    size_t                       i, rows;
    char                         conversation[64];
    ngx_http_agents_message_t    part;
    ngx_http_agents_db_batch_t  *batch;

    batch = statements_batch(NGX_HTTP_AGENTS_DB_READ);
    ngx_http_agents_runs_get(batch, &s->owner, run);

    if (ngx_http_agents_db_poll_run(db, batch) != 0
        || ngx_http_agents_db_rows(batch, 0) == 0)
    {
        return -1;
    }

    ngx_http_agents_runs_read(batch, 0, 0, &s->run);
    snprintf(conversation, sizeof(conversation), "%s",
             s->run.conversation_id.data);

    batch = statements_batch(NGX_HTTP_AGENTS_DB_READ);
    ngx_http_agents_messages_list(batch, &s->owner, conversation, 0,
                                  INT64_MAX, STATEMENTS_PARTS + 1, INT64_MAX);

    if (ngx_http_agents_db_poll_run(db, batch) != 0) {
        return -1;
    }

    rows = ngx_http_agents_db_rows(batch, 0);

    for (i = 0; i < rows && i < STATEMENTS_PARTS; i++) {
        ngx_http_agents_messages_read(batch, 0, i, &part);
        s->parts[s->nparts++] = part;
    }

    return (rows >= 2 && rows <= STATEMENTS_PARTS) ? 0 : -1;
}


static void
statements_name(statements_t *s, int64_t n)
{
    snprintf(s->conversation, sizeof(s->conversation),
             "%08x-0000-7000-8000-%012" PRIx64, s->set, n);
    snprintf(s->id, sizeof(s->id), "%08x-0000-7000-9000-%012" PRIx64,
             s->set, n);
    snprintf(s->op, sizeof(s->op), "%08x-0000-4000-8000-%012" PRIx64,
             s->set, n);
    snprintf(s->job, sizeof(s->job), "%08x-0000-7000-a000-%012" PRIx64,
             s->set, n);
}


/* As the handler of the POST, the engine and one poll of a client send it. */

static void
statements_run(statements_t *s)
{
    size_t                       i;
    ngx_http_agents_run_end_t    end;
    ngx_http_agents_run_key_t    key;
    ngx_http_agents_db_batch_t  *batch;

    memset(&end, 0, sizeof(ngx_http_agents_run_end_t));

    key.owner = s->owner;
    key.id = s->id;
    key.conversation = s->conversation;
    key.epoch = 1;

    statements_post(s);
    statements_load(s, &key);

    for (i = 0; i + 2 < s->nparts; /* void */ ) {
        i = statements_turn(s, &key, i);
    }

    batch = statements_batch(NGX_HTTP_AGENTS_DB_WRITE);
    statements_step(s, batch, &key);

    for ( /* void */ ; i < s->nparts; i++) {
        ngx_http_agents_runs_add_part(batch, &key, &s->parts[i]);
    }

    end.status = "completed";
    end.version = s->parts[s->nparts - 1].sequence_no;
    end.pending_tool_calls = s->run.pending_tool_calls;
    end.final_text = s->run.final_text;
    end.final_structured_output = s->run.final_structured_output;

    ngx_http_agents_runs_finish(batch, &key, &end);
    statements_put(s, batch);

    batch = statements_batch(NGX_HTTP_AGENTS_DB_POINT);
    ngx_http_agents_runs_get(batch, &s->owner, s->id);
    statements_put(s, batch);
}


static void
statements_post(statements_t *s)
{
    ngx_http_agents_run_insert_t   run;
    ngx_http_agents_db_batch_t    *batch;

    batch = statements_batch(NGX_HTTP_AGENTS_DB_POINT);
    ngx_http_agents_conversations_get(batch, &s->owner, s->conversation);
    ngx_http_agents_runs_by_operation(batch, &s->owner, s->conversation,
                                      s->op);
    ngx_http_agents_runs_count_active(batch, &s->owner, 1000000);
    statements_put(s, batch);

    memset(&run, 0, sizeof(ngx_http_agents_run_insert_t));

    run.id = s->id;
    run.conversation = s->conversation;
    run.api = s->run.api.data;
    run.worker = "a worker of no server";
    run.client_op_id = s->op;
    run.client_op_key = s->op;
    run.fingerprint = s->run.fingerprint.data;
    run.payload = s->run.payload;
    run.tool_choice = s->run.tool_choice;
    run.effective_config = s->run.effective_config;
    run.first_job_id = s->job;

    batch = statements_batch(NGX_HTTP_AGENTS_DB_WRITE);
    (void) ngx_http_agents_runs_insert(batch, &s->owner, &run);
    statements_put(s, batch);
}


static void
statements_load(statements_t *s, const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = statements_batch(NGX_HTTP_AGENTS_DB_WRITE);
    ngx_http_agents_runs_begin(batch, key);
    statements_put(s, batch);

    batch = statements_batch(NGX_HTTP_AGENTS_DB_READ);
    ngx_http_agents_runs_load(batch, key);
    statements_put(s, batch);
}


/*
 * A turn that calls a tool: the payload, if it is the first one, with the
 * assistant's turn, then each result.  Where the next turn begins.
 */

static size_t
statements_turn(statements_t *s, const ngx_http_agents_run_key_t *key,
    size_t from)
{
    size_t                       i;
    ngx_http_agents_db_batch_t  *batch;

    batch = statements_batch(NGX_HTTP_AGENTS_DB_WRITE);
    statements_step(s, batch, key);

    for (i = from; strcmp(s->parts[i].role.data, "tool") != 0; i++) {
        ngx_http_agents_runs_add_part(batch, key, &s->parts[i]);
    }

    statements_put(s, batch);

    for ( /* void */ ; strcmp(s->parts[i].role.data, "tool") == 0; i++) {
        batch = statements_batch(NGX_HTTP_AGENTS_DB_WRITE);
        statements_step(s, batch, key);
        ngx_http_agents_runs_add_part(batch, key, &s->parts[i]);
        statements_put(s, batch);
    }

    return i;
}


static void
statements_step(statements_t *s, ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_run_progress_t  progress;

    memset(&progress, 0, sizeof(ngx_http_agents_run_progress_t));

    progress.iterations_used = s->run.iterations_used;
    progress.prompt_tokens = s->run.prompt_tokens;
    progress.completion_tokens = s->run.completion_tokens;
    progress.total_tokens = s->run.total_tokens;
    progress.cache_read_tokens = s->run.cache_read_tokens;
    progress.cache_write_tokens = s->run.cache_write_tokens;
    progress.job_ids = s->run.job_ids;

    ngx_http_agents_runs_step(batch, key, &progress);
}


/* Prints the batch, and frees it. */

static void
statements_put(statements_t *s, ngx_http_agents_db_batch_t *batch)
{
    int                                    write;
    const char                            *begin, *end;
    const ngx_http_agents_db_statement_t  *statement;

    write = (batch->kind == NGX_HTTP_AGENTS_DB_WRITE);
    begin = write ? "BEGIN IMMEDIATE;\n" : "";
    end = write ? "COMMIT;\n" : "";

    if (s->engine == NGX_HTTP_AGENTS_DB_POSTGRES) {

        /* one exchange with the server, and one transaction, to its sync */

        begin = "\\startpipeline\n";
        end = "\\endpipeline\n";
    }

    if (batch->failed) {
        fprintf(stderr, "statements: out of memory\n");
        exit(1);
    }

    fputs(begin, s->out);

    for (statement = batch->first; statement; statement = statement->next) {
        statements_put_one(s, statement);
    }

    fputs(end, s->out);

    ngx_http_agents_db_batch_free(batch);
}


static void
statements_put_one(statements_t *s,
    const ngx_http_agents_db_statement_t *statement)
{
    char                           *p;
    size_t                          n;
    ngx_http_agents_db_template_t   tmpl;

    if (ngx_http_agents_db_template_read(&tmpl, statement->query->sql,
                                         s->engine)
        != 0)
    {
        fprintf(stderr, "statements: %s\n", statement->query->name);
        exit(1);
    }

    for (p = tmpl.sql; *p; /* void */ ) {

        if ((*p == '?' || *p == '$') && p[1] >= '1' && p[1] <= '9') {
            n = strtoul(p + 1, &p, 10) - 1;
            statements_put_value(s,
                         ngx_http_agents_db_batch_value(statement,
                                                        tmpl.names[n]));
            continue;
        }

        putc(*p++, s->out);
    }

    fputs(";\n", s->out);

    ngx_http_agents_db_template_free(&tmpl);
}


static void
statements_put_value(statements_t *s, const ngx_http_agents_db_value_t *value)
{
    size_t  i;

    if (value == NULL) {
        fprintf(stderr, "statements: a value is missing\n");
        exit(1);
    }

    if (s->engine == NGX_HTTP_AGENTS_DB_POSTGRES) {
        statements_put_variable(s, value);
        return;
    }

    if (value->is_int) {
        fprintf(s->out, "%" PRId64, value->integer);
        return;
    }

    if (value->text == NULL) {
        fputs("NULL", s->out);
        return;
    }

    putc('\'', s->out);

    for (i = 0; i < value->len; i++) {
        if (value->text[i] == '\'') {
            putc('\'', s->out);
        }

        putc(value->text[i], s->out);
    }

    putc('\'', s->out);
}


/*
 * Integers and NULL as they stand, what differs from run to run as the one
 * number that the script counts, other texts as variables of their own.
 */

static void
statements_put_variable(statements_t *s,
    const ngx_http_agents_db_value_t *value)
{
    if (value->is_int) {
        fprintf(s->out, "%" PRId64 "::bigint", value->integer);

    } else if (value->text == NULL) {
        fputs("NULL::text", s->out);

    } else if (value->len == 0) {
        fputs(":conversation::text", s->out);

    } else {
        s->variables++;
        fprintf(s->out, ":v%" PRId64 "::text", s->variables);
        printf("-D%cv%" PRId64 "=%.*s%c", '\0', s->variables,
               (int) value->len, value->text, '\0');
    }
}


static ngx_http_agents_db_batch_t *
statements_batch(ngx_http_agents_db_kind_e kind)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = ngx_http_agents_db_batch(kind, NULL, NULL);

    if (batch == NULL) {
        fprintf(stderr, "statements: out of memory\n");
        exit(1);
    }

    return batch;
}
