
#include <string.h>
#include "ngx_http_agents_problem.h"


const ngx_http_agents_problem_t  ngx_http_agents_problems[] = {

    /* the request's form */

    { "invalid-request", "Invalid Request", 400, NULL,
      "The body, a query parameter or a header is not what the API takes: "
      "malformed JSON, an unknown field, a repeated key, a wrong type, or a "
      "value out of range. Nothing was changed.",
      "Read `errors`: each entry names the place by JSON pointer and says "
      "what would be right there. All faults that were found are listed.\n"
      "For malformed JSON there is one entry with an empty pointer; its "
      "`detail` has the line and the column.\n"
      "Mend the request and send it again. A refused request does not use "
      "up its `client_op_id`.",
      "/defaults/max_iterations must be an integer from 1 to 100",
      NULL, NULL },

    { "invalid-tool-alias", "Invalid Tool Alias", 400, NULL,
      "The `alias` of an entry of `mcp_servers` is not allowed. It becomes "
      "the first part of every tool name of that server, so it must be "
      "short, plain, and told apart from the others.",
      "Use 1 to 8 ASCII letters and digits, the first one a letter: `docs`, "
      "`crm2`. No dash, underscore or other punctuation.\n"
      "Give each server of the list an alias of its own.",
      "/defaults/mcp_servers/0/alias must be 1 to 8 ASCII letters and "
      "digits, the first one a letter",
      NULL, NULL },

    { "invalid-caller-tool-name", "Invalid Caller Tool Name", 400, NULL,
      "The `name` of an entry of `tools` is not allowed. A dash is what "
      "tells an MCP server's tool from one that you answer yourself, so a "
      "caller-declared name must not have one.",
      "Use 1 to 64 ASCII letters, digits and underscores: "
      "`confirm_booking`.\n"
      "Give each tool of the list a name of its own.",
      "/defaults/tools/0/name must be 1 to 64 ASCII letters, digits and "
      "underscores (no dash: it marks the tools of MCP servers)",
      NULL, NULL },

    { "tool-name-too-long", "Tool wire name too long", 400,
      "AgentLoopToolNameTooLong",
      "A model sees an MCP server's tool as its alias, a dash and its name, "
      "and models take at most 64 characters there. In a request, "
      "`tool_choice` names such a tool; in a failed run, the server offers "
      "one, which the message names.",
      "Shorten the server's `alias`: it can be a single letter.\n"
      "If that is not enough, shorten the tool's name at its server.",
      "/tool_choice/name with its alias and a dash it has 68 characters; 64 "
      "are the most",
      "the tool \"docs-search_the_whole_knowledge_base_and_everything_that_"
      "links_to_it\" has a name of 68 characters on the wire, 64 are allowed",
      NULL },

    { "invalid-output-schema", "Invalid Output Schema", 400, NULL,
      "`output_format_schema` uses a keyword, or a form of one, outside the "
      "subset of JSON Schema that a structured answer can be held to.",
      "Each entry of `errors` names a keyword and its place; take it out or "
      "say the same with what is supported.\n"
      "Supported are `type` (also a list with \"null\"), `properties`, "
      "`required`, `enum`, `const`, `items`, `additionalProperties: false`, "
      "`minimum`, `maximum`, `minLength`, `maxLength`, `minItems`, "
      "`maxItems`, `anyOf`, `title`, `description` and `default`.\n"
      "Replace `oneOf` by `anyOf`, write a `$ref` out in its place, and say "
      "a `pattern` or a `format` in the `description`.",
      "/defaults/output_format_schema/properties/day/format the keyword "
      "\"format\" is not supported",
      NULL, NULL },

    { "unsupported-media-type", "Unsupported Media Type", 415, NULL,
      "The body was not announced as JSON.",
      "Send `Content-Type: application/json`.",
      NULL, NULL, NULL },

    { "payload-too-large", "Payload Too Large", 413, NULL,
      "The body is larger than this server takes (16 MB unless its operator "
      "says otherwise).",
      "Send less: cut long tool outputs, or pass a reference to the data "
      "in place of the data.\n"
      "The operator's limit is nginx's `client_max_body_size`.",
      NULL, NULL, NULL },

    { "length-required", "Length Required", 411, NULL,
      "The request has a body of unknown length.",
      "Send `Content-Length`, or use chunked transfer encoding over "
      "HTTP/1.1.",
      NULL, NULL, NULL },

    { "request-timeout", "Request Timeout", 408, NULL,
      "The body did not arrive in time. Nothing was changed.",
      "Send the request again; with the same `client_op_id` a run is never "
      "started twice.\n"
      "Check the connection if it happens again.",
      NULL, NULL, NULL },

    /* who asks, and for what */

    { "unauthorized", "Unauthorized", 401, NULL,
      "The request names no caller: it has no bearer token, or this server's "
      "own authentication found none.",
      "Send `Authorization: Bearer TOKEN`.",
      NULL, NULL, NULL },

    { "invalid-token", "Invalid Token", 401, NULL,
      "The bearer token is not valid: mistyped, expired, revoked, or made "
      "for another server.",
      "Get a new token and send the request again.\n"
      "Check that the token arrives whole: no quotes, no line break, and "
      "`Bearer` with one blank before it.",
      NULL, NULL, NULL },

    { "insufficient-scope", "Insufficient Scope", 403, NULL,
      "The token is good, but lacks the permission that this request needs: "
      "`agent_conversations:read` for GET, `agent_conversations:write` for "
      "everything else.",
      "Use a token that has the permission; the answer's "
      "`WWW-Authenticate` header names it.",
      "This needs the permission agent_conversations:write.",
      NULL, NULL },

    { "forbidden", "Forbidden", 403, NULL,
      "This server's access rules refuse the request, whoever asks.",
      "Check the address and the path that the request comes by; the rules "
      "are the operator's.",
      NULL, NULL, NULL },

    { "not-found", "Not Found", 404, NULL,
      "There is nothing at this address for this caller. The answer is the "
      "same for what never existed, what was removed, what belongs to "
      "another user, and an id that is none.",
      "Check the id and the path; a path has no trailing slash.\n"
      "Check that the token is of the user who made the conversation: "
      "others of the same company cannot see it.",
      "There is no such conversation.",
      NULL, NULL },

    { "method-not-allowed", "Method Not Allowed", 405, NULL,
      "The path exists, but does not take this method.",
      "Use one of the methods in the answer's `Allow` header.",
      NULL, NULL, NULL },

    /* what stands against it */

    { "version-conflict", "Version Conflict", 409, NULL,
      "The conversation is not in the state that the run was written for: "
      "messages were added since its version was read, another run of it is "
      "still pending or running, or it waits for the outputs of tool calls "
      "and got a user message instead.",
      "Read the conversation again, and the messages since the version you "
      "knew: `GET .../messages?since=N`. The answer's `current_version` is "
      "the one to expect.\n"
      "If the answer has `active_run_id`, poll that run until it has ended, "
      "then send yours again.\n"
      "If it has `pending_run_id`, that run waits in `requires_action`: "
      "answer its `pending_tool_calls` with a payload of `tool_outputs`.\n"
      "Send the same body with the fresh `expected_version`.",
      "Another run of this conversation is not finished.",
      NULL,
      "\"current_version\":4,"
      "\"active_run_id\":\"0198c1f2-8a40-7b19-8f5e-2d3c4b5a6978\"" },

    { "idempotency-mismatch", "Idempotency Mismatch", 422, NULL,
      "This `client_op_id` has already started a run of the conversation, "
      "with another `payload`, `tool_choice` or `config_override`. The same "
      "id may only repeat the same request.",
      "For a new run, make a new `client_op_id`.\n"
      "For a retry, send exactly what was sent before; only "
      "`expected_version` and the order of the keys may differ.",
      NULL, NULL, NULL },

    { "precondition-failed", "Precondition Failed", 412, NULL,
      "The request has an `If-Match` that does not name the resource as it "
      "is now: it has changed since its `ETag` was read.",
      "Read the resource again and use the `ETag` of that answer.\n"
      "`If-Match` takes strong tags alone: one that begins with `W/`, as a "
      "compressed answer has it, is none.\n"
      "Leave the header out to take the resource as it is.",
      NULL, NULL, NULL },

    { "unknown-tool-use-id", "Unknown tool_use_id", 400, NULL,
      "An entry of `outputs` answers a tool call that the last assistant "
      "turn did not make, or no tool call is waiting at all. Mostly a "
      "mistyped id, or an answer that has been given before.",
      "Read the paused run and copy each `tool_use_id` from its "
      "`pending_tool_calls`.\n"
      "If no run is in `requires_action`, send a payload of "
      "`user_message`.",
      "/payload/outputs/0/tool_use_id the last assistant turn made no call "
      "of this id",
      NULL, NULL },

    { "not-a-client-tool-call", "Not a client tool call", 400, NULL,
      "An entry of `outputs` answers the call of an MCP server's tool "
      "(`alias-tool`). The platform has called it and has its result.",
      "Answer the calls of `pending_tool_calls` alone; leave the others "
      "out.",
      "/payload/outputs/0/tool_use_id is the call of an MCP server's tool, "
      "which has been answered",
      NULL, NULL },

    { "incomplete-tool-outputs", "Incomplete tool outputs", 400, NULL,
      "The `outputs` do not answer exactly the calls that wait: one is "
      "missing, answered twice, or not among them.",
      "Send one entry for each of `pending_tool_calls`, no more and no "
      "less, all in one request.\n"
      "For a call that you have no answer to, send `is_error: true` and a "
      "short reason.",
      "/payload/outputs the call \"toolu_01Hx9k\" is not answered",
      NULL, NULL },

    { "unknown-tool-choice-name", "Unknown Tool Choice Name", 400,
      "AgentLoopUnknownToolChoiceName",
      "`tool_choice` asks for a tool that the run does not have: a "
      "caller-declared name that is not in `tools`, a tool that the MCP "
      "server turned out not to offer, or any tool where there is none.",
      "For a tool of your own, use a `name` of the effective `tools`; mind "
      "that a `tools` in `config_override` replaces the whole list.\n"
      "For an MCP server's tool, give `mcp_alias` and the server's own name "
      "of the tool, without the alias before it.\n"
      "To leave the choice to the model, use `{\"kind\": \"auto\"}`.",
      "/tool_choice/name no tool \"confirm\" is declared in tools; the tool "
      "of an MCP server needs its mcp_alias beside it",
      "tool_choice names the tool \"docs-find\", which no server offered",
      NULL },

    { "unknown-tool-choice-mcp-alias", "Unknown Tool Choice MCP Alias", 400,
      NULL,
      "`tool_choice` names an `mcp_alias` that no entry of the run's "
      "`mcp_servers` has.",
      "Use the alias of an effective server; mind that `mcp_servers` in "
      "`config_override` replaces the whole list, and that case counts.\n"
      "For a caller-declared tool, leave `mcp_alias` out.",
      "/tool_choice/mcp_alias no entry of mcp_servers has the alias \"doc\"",
      NULL, NULL },

    { "invalid-effective-config", "Invalid Effective Config", 400,
      "AgentLoopInvalidEffectiveConfig",
      "The configuration is well formed, but not to be had here: the model, "
      "data plane or cluster is not configured or not open to your company, "
      "a value is above the operator's ceiling, or an MCP server's address "
      "may not be reached. A run fails with it where the server's "
      "configuration changed after the run had been accepted.",
      "Each entry of `errors` names the field and what is allowed.\n"
      "Which models, data planes and clusters your company may name is the "
      "operator's to tell.\n"
      "To go on with an older conversation, name what is available now in "
      "`config_override`.",
      "/config_override/max_tokens must be at most 32000, the ceiling of "
      "the model",
      "the model, data plane or execution cluster of this run is no longer "
      "configured",
      NULL },

    { "too-many-runs", "Too Many Runs", 429, NULL,
      "You have as many runs pending or running as this server allows to "
      "one user.",
      "Wait for one to end, then send the request again, with the same "
      "`client_op_id`. `Retry-After` says when to try.",
      NULL, NULL, NULL },

    { "too-many-requests", "Too Many Requests", 429, NULL,
      "Requests come faster than this server allows.",
      "Slow down: wait as `Retry-After` says, or a few seconds, and poll "
      "less often.",
      NULL, NULL, NULL },

    /* what a run can end with */

    { "max-iterations-exceeded", "Max Iterations Exceeded", 0,
      "AgentLoopMaxIterationsExceeded",
      "The model still asked for tools when the run's `max_iterations` were "
      "used up. What it did until then is in the message stream.",
      "Raise `max_iterations`, in the conversation's defaults or in "
      "`config_override`; 8 to 15 suit research in several steps.\n"
      "Read the messages: the same call again and again means that the "
      "tool's results do not help the model.\n"
      "Tell it in the system prompt when to stop and answer.",
      NULL,
      "the model asked for tools in the last of 3 iterations",
      NULL },

    { "schema-decode-failed", "Schema Decode Failed", 0,
      "AgentLoopSchemaDecodeFailed",
      "The model's reply could not be used as the answer: it was cut off by "
      "`max_tokens`, it was empty, or it does not match "
      "`output_format_schema`. The message says which, and where.",
      "If it was cut off, raise `max_tokens`.\n"
      "If it does not match, simplify the schema, describe its fields, and "
      "say in the system prompt that the answer is JSON of that shape and "
      "nothing else.\n"
      "Read the last assistant turn to see what the model said.",
      NULL,
      "the reply was cut off by max_tokens (2048)",
      NULL },

    { "cancelled", "Cancelled", 0, "AgentLoopCancelled",
      "The run was cancelled before it had ended. This is no error: someone "
      "asked for it. What was finished until then is kept.",
      "Start a new run to go on; the conversation is intact.\n"
      "If you did not expect it, find out who else uses this token.",
      NULL,
      "the run was cancelled",
      NULL },

    { "unknown-tool-alias", "Unknown Tool Alias", 0,
      "AgentLoopUnknownToolAlias",
      "The model called a tool that cannot be: its alias is of no server of "
      "the run, or its bare name is of no declared tool.",
      "Send the message again in a new run; models seldom make up the same "
      "name twice.\n"
      "Do not name tools in the system prompt that the run does not have.\n"
      "If a tool was taken out of the conversation, say in the next message "
      "that it is gone.",
      NULL,
      "the model called \"crm-find\", and no MCP server has the alias "
      "\"crm\"",
      NULL },

    { "tool-choice-not-followed", "Tool Choice Not Followed", 0,
      "AgentLoopToolChoiceNotFollowed",
      "`tool_choice` asked for a tool call, and the model answered without "
      "it, although it was asked again where the budget allowed.",
      "Ask for the tool in the message, or describe it better.\n"
      "Use a model that can be held to a tool.\n"
      "Raise `max_iterations`: asking again needs one.",
      NULL,
      "the model did not call the tool that tool_choice asks for",
      NULL },

    { "mcp-discovery-failed", "MCP Discovery Failed", 0,
      "AgentLoopMcpDiscoveryFailed",
      "An MCP server of the run could not be asked for its tools: not "
      "reachable, not allowed, too slow, or its answer was not MCP. The "
      "message names the server's alias and the reason.",
      "Check the server's `url` by calling it yourself with initialize and "
      "tools/list.\n"
      "Servers are called without credentials unless the operator has set "
      "them up as its own: one that answers 401 cannot be used.\n"
      "To go on without it, leave it out of `mcp_servers` in "
      "`config_override`.",
      NULL,
      "the tools of the MCP server \"docs\" cannot be discovered: it "
      "answered 503",
      NULL },

    { "inference-failed", "Inference Failed", 0, "AgentLoopInferenceFailed",
      "The model's provider could not be reached, or answered with an error "
      "that stayed after several tries. The message has the provider's own "
      "status and words.",
      "If the provider is overloaded or down, start the run again later, or "
      "with another model in `config_override`.\n"
      "If the message tells of credentials, quotas or an unknown model, the "
      "operator has to mend the provider's configuration.",
      NULL,
      "the provider answered 429: Rate limit reached, please try again later",
      NULL },

    { "refused", "Refused", 0, "AgentLoopRefused",
      "The model declined to answer this conversation.",
      "Rephrase the request, or say in the system prompt what it is for.\n"
      "Try another model in `config_override`.",
      NULL,
      "the model refused to answer",
      NULL },

    { "content-filtered", "Content Filtered", 0, "AgentLoopContentFiltered",
      "The provider's content filter stopped the prompt or the reply.",
      "Rephrase the request; look at tool results too, which are part of "
      "the prompt.\n"
      "Try another model in `config_override`.",
      NULL,
      "the provider's content filter stopped the reply",
      NULL },

    { "context-overflow", "Context Overflow", 0, "AgentLoopContextOverflow",
      "The conversation, its tools and the room for the reply do not fit in "
      "the model's context.",
      "Start a new conversation with a summary of this one.\n"
      "Use a model with a larger context, or lower `max_tokens`.\n"
      "Keep tool results and the number of tools small.",
      NULL,
      "the conversation no longer fits the model's context",
      NULL },

    { "run-timeout", "Run Timeout", 0, "AgentLoopRunTimeout",
      "The run took longer than this server allows. What was finished until "
      "then is kept.",
      "Start a new run: it continues from the committed messages.\n"
      "Find the slow part in the messages' times: a tool, or too many "
      "iterations.\n"
      "The limit is the operator's `agents_run_timeout`.",
      NULL,
      "the run took longer than the operator allows",
      NULL },

    { "queue-timeout", "Queue Timeout", 0, "AgentLoopQueueTimeout",
      "The run waited too long for a free place in its cluster.",
      "Start the run again when there is less to do.\n"
      "Use another `execution_cluster`, or another data plane, that is open "
      "to you.\n"
      "The bound is the operator's `max_inferences`.",
      NULL,
      "no inference of this cluster became free in time",
      NULL },

    { "abandoned", "Abandoned", 0, "AgentLoopAbandoned",
      "The server process that worked on the run went away several times "
      "without a step done, so the run was given up.",
      "Start a new run: it continues from the committed messages.\n"
      "If it happens again, tell the operator the run's id: the server's "
      "error log says what ended the processes.",
      NULL,
      "the run was taken over again and again without getting a step further",
      NULL },

    /* the server's own troubles */

    { "internal-error", "Internal Error", 500, "AgentLoopInternal",
      "Something failed inside the server that should not have.",
      "Send the request or start the run again; with the same "
      "`client_op_id` a run is never started twice.\n"
      "If it happens again, tell the operator the `log_id` or the run's id: "
      "the server's error log has the cause.",
      NULL,
      "a step of the run cannot be stored",
      NULL },

    { "bad-gateway", "Bad Gateway", 502, NULL,
      "A server that this one asked gave no usable answer.",
      "Send the request again in a few seconds.",
      NULL, NULL, NULL },

    { "store-unavailable", "Store Unavailable", 503, NULL,
      "The database that holds conversations and runs cannot be reached or "
      "is not set up. The server recovers by itself once it can.",
      "Send the request again in a few seconds; with the same "
      "`client_op_id` a run is never started twice.\n"
      "The server's error log has the cause, and says what to run where the "
      "database lacks its tables.",
      NULL, NULL, NULL },

    { "overloaded", "Overloaded", 503, NULL,
      "The server has as much under way as it may have: requests, runs, or "
      "bodies in memory. Nothing was changed; what was accepted before goes "
      "on.",
      "Send the request again as `Retry-After` says, and more slowly each "
      "time; with the same `client_op_id` a run is never started twice.\n"
      "The bounds are the operator's `agents_max_requests`, "
      "`agents_max_runs` and `agents_max_bodies`.",
      "More runs are under way than this server takes.",
      NULL, NULL },

    { "service-unavailable", "Service Unavailable", 503, NULL,
      "The server cannot take this request now.",
      "Send the request again in a few seconds.",
      NULL, NULL, NULL },

    { "gateway-timeout", "Gateway Timeout", 504, NULL,
      "A server that this one asked did not answer in time.",
      "Send the request again in a few seconds.",
      NULL, NULL, NULL },

    { NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL }
};


/* What an answer of nginx's own is called, where no one has said more. */
static const struct {
    int          status;
    const char  *slug;
} ngx_http_agents_problem_statuses[] = {
    { 401, "unauthorized" },
    { 403, "forbidden" },
    { 404, "not-found" },
    { 405, "method-not-allowed" },
    { 408, "request-timeout" },
    { 409, "version-conflict" },
    { 411, "length-required" },
    { 412, "precondition-failed" },
    { 413, "payload-too-large" },
    { 415, "unsupported-media-type" },
    { 422, "idempotency-mismatch" },
    { 429, "too-many-requests" },
    { 502, "bad-gateway" },
    { 503, "service-unavailable" },
    { 504, "gateway-timeout" },
    { 0, NULL }
};


const ngx_http_agents_problem_t *
ngx_http_agents_problem_slug(const char *slug, size_t len)
{
    const ngx_http_agents_problem_t  *problem;

    for (problem = ngx_http_agents_problems; problem->slug; problem++) {
        if (strlen(problem->slug) == len
            && memcmp(problem->slug, slug, len) == 0)
        {
            return problem;
        }
    }

    return NULL;
}


const ngx_http_agents_problem_t *
ngx_http_agents_problem_incident(const char *incident)
{
    const ngx_http_agents_problem_t  *problem, *internal;

    internal = NULL;

    for (problem = ngx_http_agents_problems; problem->slug; problem++) {
        if (problem->incident == NULL) {
            continue;
        }

        if (strcmp(problem->incident, incident) == 0) {
            return problem;
        }

        if (strcmp(problem->incident, "AgentLoopInternal") == 0) {
            internal = problem;
        }
    }

    return internal;
}


const ngx_http_agents_problem_t *
ngx_http_agents_problem_status(int status)
{
    size_t       i;
    const char  *slug;

    slug = status < 500 ? "invalid-request" : "internal-error";

    for (i = 0; ngx_http_agents_problem_statuses[i].slug; i++) {
        if (ngx_http_agents_problem_statuses[i].status == status) {
            slug = ngx_http_agents_problem_statuses[i].slug;
            break;
        }
    }

    return ngx_http_agents_problem_slug(slug, strlen(slug));
}
