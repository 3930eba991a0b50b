
/*
 * The agent loop without network or store: what replies of a model mean.  The
 * replies are those of the chat completions protocol.
 */


#include <stdlib.h>

#include "ngx_http_agents_loop.h"
#include "unit.h"


#define INFER   NGX_HTTP_AGENTS_LOOP_INFER
#define CALL    NGX_HTTP_AGENTS_LOOP_CALL
#define FINISH  NGX_HTTP_AGENTS_LOOP_FINISH


static ngx_http_agents_loop_t  loop;


static json_t *
read_json(const char *text)
{
    json_t        *value;
    json_error_t   error;

    value = json_loads(text, JSON_DECODE_ANY, &error);
    if (value == NULL) {
        printf("Bail out! %s: %s\n", error.text, text);
        exit(1);
    }

    return value;
}


/* A run at its start: version 4, one server "docs" with "search" and "pay". */

static void
start(const char *more, const char *choice)
{
    char  config[2048];

    ngx_http_agents_loop_free(&loop);

    snprintf(config, sizeof(config), "{\"model\": \"m\", \"max_iterations\": "
             "2, \"max_tokens\": 100, \"temperature\": 0.0%s}", more);

    loop.config = read_json(config);
    loop.payload = read_json("{\"kind\": \"user_message\", \"text\": \"hi\"}");
    loop.choice = read_json(choice ? choice : "{\"kind\": \"auto\"}");
    loop.job_ids = json_array();
    loop.messages = read_json("[{\"role\": \"user\", \"content_blocks\": "
                              "[{\"type\": \"text\", \"text\": \"hi\"}]}]");
    loop.loaded = 1;
    loop.base_version = 4;
    loop.sequence = 5;
    loop.max_iterations = 2;
    loop.protocol = ngx_http_agents_model_protocol("openai", 6);
    loop.prompt.provider = "p";
    loop.prompt.model = "m";

    loop.nservers = json_array_size(json_object_get(loop.config,
                                                    "mcp_servers"));
    if (loop.nservers == 0) {
        return;
    }

    loop.discovered = calloc(loop.nservers, sizeof(json_t *));
    loop.discovered[0] = read_json(
        "[{\"name\": \"search\", \"wire\": \"docs-search\", \"input_schema\":"
        " {\"type\": \"object\"}, \"read_only\": true, \"idempotent\": false},"
        " {\"name\": \"pay\", \"wire\": \"docs-pay\", \"input_schema\":"
        " {\"type\": \"object\"}, \"read_only\": false, \"idempotent\":"
        " false}]");
}


#define SERVER  ", \"mcp_servers\": [{\"alias\": \"docs\", \"url\": \"http:"  \
                "//h/\"}]"
#define TOOLS   ", \"tools\": [{\"name\": \"ask\", \"input_schema\": {}}]"


static ngx_http_agents_loop_next_e
judge(const char *body)
{
    ngx_http_agents_answer_t     answer;
    ngx_http_agents_loop_next_e  next;

    memset(&answer, 0, sizeof(ngx_http_agents_answer_t));
    answer.body = strdup(body);
    answer.len = strlen(body);

    next = ngx_http_agents_loop_judge(&loop, &answer);

    ngx_http_agents_answer_clear(&answer);

    return next;
}


static ngx_http_agents_loop_next_e
reply(const char *message, const char *finish)
{
    char  body[4096];

    snprintf(body, sizeof(body), "{\"choices\": [{\"message\": %s, "
             "\"finish_reason\": \"%s\"}], \"usage\": {\"prompt_tokens\": 10, "
             "\"completion_tokens\": 5, \"total_tokens\": 15}}", message,
             finish);

    return judge(body);
}


static ngx_http_agents_loop_next_e
says(const char *text)
{
    char  message[2048];

    snprintf(message, sizeof(message), "{\"role\": \"assistant\", "
             "\"content\": \"%s\"}", text);

    return reply(message, "stop");
}


/* Calls as "name arguments|name arguments"; ids c0, c1, ... */

static ngx_http_agents_loop_next_e
calls(const char *list)
{
    int          n;
    char         message[4096], *p, *end;
    const char  *blank, *bar;

    p = message;
    end = message + sizeof(message);
    n = 0;

    p += snprintf(p, end - p, "{\"content\": null, \"tool_calls\": [");

    for ( ;; ) {
        blank = strchr(list, ' ');
        bar = strchr(list, '|');

        p += snprintf(p, end - p, "%s{\"id\": \"c%d\", \"type\": "
                      "\"function\", \"function\": {\"name\": \"%.*s\", "
                      "\"arguments\": \"%.*s\"}}", n ? ", " : "", n,
                      (int) (blank - list), list,
                      (int) (bar ? bar - blank - 1
                                 : (int) strlen(blank + 1)), blank + 1);
        n++;

        if (bar == NULL) {
            break;
        }

        list = bar + 1;
    }

    snprintf(p, end - p, "]}");

    return reply(message, "tool_calls");
}


static void
answers(size_t i, const char *text)
{
    ngx_http_agents_loop_result(&loop.calls[i],
                                json_pack("[{s:s, s:s}]", "type", "text",
                                          "text", text), 0, 64, 0);
}


static void
test_results(void)
{
    json_t                  *blocks;
    ngx_http_agents_call_t   call;

    memset(&call, 0, sizeof(call));
    call.id = "a";

    blocks = json_pack("[{s:s, s:s}, {s:s, s:s}]", "type", "text", "text",
                       "12345", "type", "text", "text", "678");
    unit(ngx_http_agents_loop_result_size(blocks) == 8, "a result's size");
    unit(ngx_http_agents_loop_result_size(NULL) == 0, "of none");

    ngx_http_agents_loop_result(&call, json_incref(blocks), 0, 8, 1);
    unit(strstr(call.text, "left out") == NULL, "one that fits exactly");
    json_decref(call.result);
    free(call.text);

    ngx_http_agents_loop_result(&call, json_incref(blocks), 0, 7, 1);
    unit(strstr(call.text, "\"67\\n[1 more bytes were left out: all results "
                "of this run are together over the limit]\"") != NULL,
         "one that is longer than what the run has left");
    json_decref(call.result);
    free(call.text);

    ngx_http_agents_loop_result(&call, blocks, 1, 0, 1);
    unit(strstr(call.text, ":\"[8 more bytes were left out: ") != NULL
         && strstr(call.text, "\"is_error\":true") != NULL,
         "with nothing left");
    json_decref(call.result);
    free(call.text);
}


static void
failed(const char *incident, int64_t version, const char *name)
{
    ngx_http_agents_loop_end(&loop);

    unit_text(loop.status, "failed", name);
    unit_text(loop.incident, incident, "    its incident");
    unit(loop.sequence == version, "    the version becomes %lld",
         (long long) loop.sequence);
}


static void
test_text(void)
{
    start("", NULL);
    unit(ngx_http_agents_loop_tools(&loop) == INFER, "a run without tools");
    unit(ngx_http_agents_loop_prompt(&loop) == INFER
         && strstr(loop.request.body, "\"hi\"") != NULL, "asks the model");
    unit(says("hello") == FINISH, "a text ends it");

    ngx_http_agents_loop_end(&loop);

    unit_text(loop.status, "completed", "    as completed");
    unit_text(loop.final_text, "hello", "    with the text");
    unit(loop.sequence == 6 && loop.nparts == 2
         && loop.parts[0].sequence_no == 5 && loop.parts[1].sequence_no == 6,
         "    payload and reply are to be written");
    unit_text(loop.parts[1].content, "[{\"type\":\"text\",\"text\":\"hello\"}]",
              "    the reply's blocks");
    unit(loop.progress.iterations_used == 1
         && loop.progress.total_tokens == 15, "    usage is counted");

    start("", NULL);
    ngx_http_agents_loop_tools(&loop);
    unit(says("") == FINISH, "an empty reply ends it");
    failed(NGX_HTTP_AGENTS_INCIDENT_SCHEMA_DECODE, 5, "    as failed");

    start("", NULL);
    ngx_http_agents_loop_tools(&loop);
    unit(reply("{\"content\": \"cut o\"}", "length") == FINISH,
         "a reply that is cut off ends it");
    failed(NGX_HTTP_AGENTS_INCIDENT_SCHEMA_DECODE, 6, "    as failed");

    start("", NULL);
    ngx_http_agents_loop_fail(&loop, NGX_HTTP_AGENTS_INCIDENT_INFERENCE,
                              "a\xff\xc3\xa4%s", "\xe2\x82");
    unit_text(loop.message.data, "a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd",
              "a message of broken UTF-8 is mended");

    start("", NULL);
    ngx_http_agents_loop_tools(&loop);
    unit(judge("<html>") == FINISH,
         "an answer that is no reply ends it");
    failed(NGX_HTTP_AGENTS_INCIDENT_INFERENCE, 4, "    nothing is committed");
    unit(loop.nparts == 0, "    nothing is to be written");
}


static void
test_tools(void)
{
    start(SERVER, NULL);
    unit(ngx_http_agents_loop_tools(&loop) == INFER, "a run with a server");
    unit(ngx_http_agents_loop_prompt(&loop) == INFER
         && strstr(loop.request.body, "docs-search") != NULL,
         "offers its tools");
    unit(calls("docs-search {}|docs-gone {}|docs-search [1]") == CALL,
         "three calls");
    unit(loop.ncalls == 3 && loop.calls[0].kind == NGX_HTTP_AGENTS_CALL_MCP
         && loop.calls[1].kind == NGX_HTTP_AGENTS_CALL_SETTLED
         && loop.calls[2].kind == NGX_HTTP_AGENTS_CALL_SETTLED,
         "    one to make, an unknown tool, and arguments of no object");
    unit(loop.nparts == 4 && loop.parts[1].live
         && loop.parts[2].sequence_no == 7 && loop.parts[2].part == 1,
         "    turn and settled results are to be written");
    unit_text(loop.calls[0].tool, "search", "    the server's own name");
    unit(ngx_http_agents_loop_waits(&loop), "    it waits for a result");

    ngx_http_agents_loop_parts_clear(&loop);
    answers(0, "0123456789012345678901234567890123456789012345678901234567890"
               "12\xc3\xa4 more");
    unit(strstr(loop.calls[0].text, "012\\n[7 more bytes were left out]")
         != NULL, "    a long result is cut at a character");
    unit(ngx_http_agents_loop_results(&loop) == INFER, "    on to the model");
    unit(json_array_size(loop.messages) == 3, "    with all the results");

    unit(calls("docs-search {}") == FINISH, "calls of the last iteration");
    failed(NGX_HTTP_AGENTS_INCIDENT_MAX_ITERATIONS, 9, "    fail the run");
    unit(loop.nparts == 2 && strstr(loop.parts[1].content, "\"is_error\":true")
         != NULL, "    and are closed");

    start(SERVER, NULL);
    ngx_http_agents_loop_tools(&loop);
    unit(calls("docs-search {}|other-tool {}") == FINISH,
         "an alias that nobody has");
    failed(NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_ALIAS, 7, "    fails the run");

    start(SERVER, NULL);
    ngx_http_agents_loop_tools(&loop);
    (void) calls("docs-search {}");
    ngx_http_agents_loop_parts_clear(&loop);
    answers(0, "x");
    loop.calls[0].written = 1;
    ngx_http_agents_loop_fail(&loop, NGX_HTTP_AGENTS_INCIDENT_CANCELLED, "why");
    failed(NGX_HTTP_AGENTS_INCIDENT_CANCELLED, 7,
           "stopped with all results written");
    unit(loop.nparts == 0, "    nothing is left to be written");

    start(SERVER TOOLS, NULL);
    ngx_http_agents_loop_tools(&loop);
    unit(calls("undeclared {}") == FINISH, "a bare name that was not declared");
    failed(NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_ALIAS, 7, "    fails the run");
}


static void
test_caller(void)
{
    start(TOOLS, NULL);
    ngx_http_agents_loop_tools(&loop);
    unit(calls("ask {\\\"q\\\": 1}") == FINISH, "a call for the caller");
    ngx_http_agents_loop_end(&loop);
    unit_text(loop.status, "requires_action", "    pauses the run");
    unit_text(loop.pending, "[{\"tool_use_id\":\"c0\",\"name\":\"ask\","
              "\"arguments\":{\"q\":1}}]", "    with what is to be answered");
    unit(loop.sequence == 6, "    after the assistant's turn");

    start(SERVER TOOLS, NULL);
    ngx_http_agents_loop_tools(&loop);
    loop.progress.iterations_used = 1;
    unit(calls("ask {}|docs-search {}") == CALL,
         "a mixed turn in the last iteration");
    answers(1, "found");
    unit(ngx_http_agents_loop_results(&loop) == FINISH, "    then pauses");
    ngx_http_agents_loop_end(&loop);
    unit_text(loop.status, "requires_action", "    for the caller");
    unit(loop.sequence == 7, "    after the results of the servers");

    start(TOOLS, NULL);
    ngx_http_agents_loop_tools(&loop);
    unit(calls("ask nonsense") == CALL, "arguments that are no JSON");
    unit(loop.calls[0].kind == NGX_HTTP_AGENTS_CALL_SETTLED && !loop.turn_live
         && !ngx_http_agents_loop_waits(&loop),
         "    never pause the run, and show nowhere live");
}


static void
test_choice(void)
{
    const char  *search = "{\"kind\": \"specific_tool\", \"mcp_alias\": "
                          "\"docs\", \"name\": \"search\"}";

    start(SERVER, search);
    unit(ngx_http_agents_loop_tools(&loop) == INFER, "a forced tool");
    ngx_http_agents_loop_prompt(&loop);
    unit(strstr(loop.request.body, "\"tool_choice\":{") != NULL,
         "    is asked for");
    unit(says("no") == INFER && !loop.replied, "    not followed: once more");
    unit(calls("docs-pay {}") == FINISH, "    not followed again");
    failed(NGX_HTTP_AGENTS_INCIDENT_CHOICE_NOT_FOLLOWED, 7, "    the end");

    start(SERVER, search);
    ngx_http_agents_loop_tools(&loop);
    unit(calls("docs-search {}") == CALL, "    followed");
    answers(0, "x");
    ngx_http_agents_loop_results(&loop);
    ngx_http_agents_loop_prompt(&loop);
    unit(strstr(loop.request.body, "\"tool_choice\":{") == NULL,
         "    and forgotten");

    start(SERVER, "{\"kind\": \"specific_tool\", \"mcp_alias\": \"docs\", "
                  "\"name\": \"gone\"}");
    unit(ngx_http_agents_loop_tools(&loop) == FINISH,
         "a forced tool that no server has");
    failed(NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_CHOICE, 4, "    fails the run");
}


/* A server's only tool, whose wire name is an alias, a dash and n times é. */

static void
named(size_t n)
{
    char  *p, wire[256];

    start(SERVER, NULL);

    memset(wire, 0, sizeof(wire));
    memcpy(wire, "docs-", 5);

    for (p = wire + 5; n-- != 0; p += 2) {
        memcpy(p, "\xc3\xa9", 2);
    }

    json_decref(loop.discovered[0]);
    loop.discovered[0] = json_pack("[{s:s, s:s, s:{}}]", "name", &wire[5],
                                   "wire", wire, "input_schema");
}


static void
test_limits(void)
{
    named(59);
    unit(ngx_http_agents_loop_tools(&loop) == INFER,
         "64 characters are a name, whatever their bytes");
    named(60);
    unit(ngx_http_agents_loop_tools(&loop) == FINISH, "65 are not");
    failed(NGX_HTTP_AGENTS_INCIDENT_NAME_TOO_LONG, 4, "    fails the run");
    unit(strstr(loop.message.data, "docs-\xc3\xa9") != NULL,
         "    naming the tool");

    start("", NULL);
    loop.system_len = NGX_HTTP_AGENTS_PROMPT_MAX;
    loop.system = calloc(1, loop.system_len + 1);
    memset(loop.system, 'x', loop.system_len);
    ngx_http_agents_loop_tools(&loop);
    unit(ngx_http_agents_loop_prompt(&loop) == FINISH,
         "a prompt over 32 MiB is not sent");
    failed(NGX_HTTP_AGENTS_INCIDENT_CONTEXT, 4, "    fails the run");
}


/* What stays of runs that end before they have a turn. */

static void
test_ends(void)
{
    start(TOOLS, "{\"kind\": \"any\"}");
    ngx_http_agents_loop_tools(&loop);
    ngx_http_agents_loop_mint_job(&loop);
    ngx_http_agents_loop_mint_job(&loop);
    loop.begun = 1;
    unit(says("no") == INFER, "a reply that disobeys");
    ngx_http_agents_loop_fail(&loop, NGX_HTTP_AGENTS_INCIDENT_CANCELLED, "x");
    failed(NGX_HTTP_AGENTS_INCIDENT_CANCELLED, 5, "    then the end");
    unit(loop.nparts == 1 && strcmp(loop.parts[0].role, "user") == 0,
         "    the payload alone is to be written");
    unit(json_array_size(loop.job_ids) == 1,
         "    and the job that was not begun is none");

    start(TOOLS, NULL);
    ngx_http_agents_loop_mint_job(&loop);
    loop.loaded = 0;
    loop.progress.iterations_used = 1;
    ngx_http_agents_loop_fail(&loop, NGX_HTTP_AGENTS_INCIDENT_INTERNAL, "x");
    failed(NGX_HTTP_AGENTS_INCIDENT_INTERNAL, 4,
           "a run that cannot be read");
    unit(loop.nparts == 0, "    has nothing to be written");
}


static void
test_structured(void)
{
    const char  *schema = ", \"output_format_schema\": {\"type\": \"object\","
                          " \"required\": [\"n\"], \"properties\": {\"n\": "
                          "{\"type\": \"integer\"}}}";

    start(schema, NULL);
    ngx_http_agents_loop_tools(&loop);
    ngx_http_agents_loop_prompt(&loop);
    unit(strstr(loop.request.body, "json_schema") != NULL,
         "a schema is asked for");
    unit(says("{\\\"n\\\": 7}") == FINISH, "an answer that fits");
    ngx_http_agents_loop_end(&loop);
    unit_text(loop.final_output, "{\"n\":7}", "    is the output");
    unit(loop.final_text == NULL, "    and there is no text");

    start(schema, NULL);
    ngx_http_agents_loop_tools(&loop);
    unit(says("seven") == INFER, "prose is asked to be mended");
    ngx_http_agents_loop_prompt(&loop);
    unit(strstr(loop.request.body, "does not match the required schema")
         != NULL, "    with the reason");
    unit(json_array_size(loop.messages) == 1, "    in this prompt alone");
    unit(says("```json\\n{\\\"n\\\": 8}\\n```") == FINISH,
         "    a fence is taken");
    ngx_http_agents_loop_end(&loop);
    unit_text(loop.final_output, "{\"n\":8}", "    as the output");
    unit(loop.sequence == 6 && loop.progress.iterations_used == 2,
         "    two iterations, one exchange");

    start(schema, NULL);
    ngx_http_agents_loop_tools(&loop);
    says("{}");
    unit(says("{\\\"n\\\": \\\"x\\\"}") == FINISH,
         "two answers that do not fit");
    failed(NGX_HTTP_AGENTS_INCIDENT_SCHEMA_DECODE, 6, "    fail the run");
    unit(strstr(loop.message.data, "/n") != NULL, "    naming the place");
}


static void
test_ids(void)
{
    const char  *first, *second;

    start(SERVER, NULL);
    ngx_http_agents_loop_tools(&loop);
    calls("docs-search {}");
    first = loop.calls[0].id;
    unit_text(first, "c0", "a new id stays");
    answers(0, "x");
    ngx_http_agents_loop_results(&loop);

    loop.max_iterations = 9;
    calls("docs-search {}");
    second = loop.calls[0].id;
    unit(strncmp(second, "tooluse_", 8) == 0 && strlen(second) == 32,
         "one that was there before is replaced");
}


/* A predecessor wrote the turn, and one of three results. */

static void
resumed(void)
{
    start(SERVER, NULL);

    json_array_append_new(loop.messages, read_json(
        "{\"role\": \"assistant\", \"content_blocks\": ["
        "{\"type\": \"tool_use\", \"tool_use_id\": \"a\", \"name\": "
        "\"docs-search\", \"arguments\": {}},"
        "{\"type\": \"tool_use\", \"tool_use_id\": \"b\", \"name\": "
        "\"docs-search\", \"arguments\": {}},"
        "{\"type\": \"tool_use\", \"tool_use_id\": \"c\", \"name\": "
        "\"docs-pay\", \"arguments\": {}}]}"));
    json_array_append_new(loop.messages, read_json(
        "{\"role\": \"tool\", \"content_blocks\": [{\"type\": \"tool_result\","
        "\"tool_use_id\": \"a\", \"content\": [], \"is_error\": false}]}"));

    loop.payload_written = 1;
    loop.resuming = 1;
    loop.replied = 1;
    loop.turn_sequence = 6;
    loop.sequence = 7;
    loop.progress.iterations_used = 1;
}


static void
test_resume(void)
{
    resumed();

    unit(ngx_http_agents_loop_tools(&loop) == CALL, "a run that is taken over");
    unit(loop.calls[0].result != NULL && loop.calls[0].written,
         "    keeps the result that is there");
    unit(loop.calls[1].result == NULL, "    repeats a call that only reads");
    unit(loop.calls[2].result != NULL
         && strstr(loop.calls[2].text, "outcome") != NULL,
         "    and says of the other that its outcome is unknown");
    unit(loop.nparts == 1 && loop.parts[0].sequence_no == 7
         && loop.parts[0].part == 2, "    which is all that is to be written");

    answers(1, "again");
    unit(ngx_http_agents_loop_results(&loop) == INFER
         && json_array_size(loop.messages) == 3, "    then it goes on");

    resumed();
    ngx_http_agents_loop_fail(&loop, NGX_HTTP_AGENTS_INCIDENT_DISCOVERY, "x");
    failed(NGX_HTTP_AGENTS_INCIDENT_DISCOVERY, 7,
           "a run that ends before it goes on");
    unit(loop.nparts == 2 && strstr(loop.parts[0].content, "\"b\"") != NULL
         && strstr(loop.parts[1].content, "\"c\"") != NULL
         && strstr(loop.parts[1].content, "ended before") != NULL,
         "    closes the calls that are open");
}


int
main(void)
{
    ngx_http_agents_json_init();

    test_text();
    test_results();
    test_tools();
    test_caller();
    test_choice();
    test_limits();
    test_ends();
    test_structured();
    test_ids();
    test_resume();

    ngx_http_agents_loop_free(&loop);

    return unit_done();
}
