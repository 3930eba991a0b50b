
/*
 * The agent loop of one run, as far as it is pure thought: what the model is
 * asked, what its reply means, what is written, and how the run ends.  No
 * nginx, no network, no database; each function runs in a pool thread, on a
 * loop that nobody else touches meanwhile.
 *
 *      load ──> tools ──> prompt ──> (inference) ──> judge ──┐
 *                 │          ^                               │
 *                 │          └────── results <── (calls) <── CALL
 *                 └────────> FINISH <────────────────────────┘
 */


#ifndef _NGX_HTTP_AGENTS_LOOP_H_INCLUDED_
#define _NGX_HTTP_AGENTS_LOOP_H_INCLUDED_


#include "ngx_http_agents_draft.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_store.h"


/* A prompt larger than this is AgentLoopContextOverflow. */
#define NGX_HTTP_AGENTS_PROMPT_MAX  (32 * 1024 * 1024)

/* Takeovers without a written step in between, before a run is given up. */
#define NGX_HTTP_AGENTS_TAKEOVERS_MAX  3


/* Incident codes: error.type of a failed run; the catalog of errors gives
 * them titles and pages. */
#define NGX_HTTP_AGENTS_INCIDENT_MAX_ITERATIONS                               \
    "AgentLoopMaxIterationsExceeded"
#define NGX_HTTP_AGENTS_INCIDENT_SCHEMA_DECODE  "AgentLoopSchemaDecodeFailed"
#define NGX_HTTP_AGENTS_INCIDENT_CANCELLED      "AgentLoopCancelled"
#define NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_ALIAS  "AgentLoopUnknownToolAlias"
#define NGX_HTTP_AGENTS_INCIDENT_UNKNOWN_CHOICE                               \
    "AgentLoopUnknownToolChoiceName"
#define NGX_HTTP_AGENTS_INCIDENT_CHOICE_NOT_FOLLOWED                          \
    "AgentLoopToolChoiceNotFollowed"
#define NGX_HTTP_AGENTS_INCIDENT_NAME_TOO_LONG  "AgentLoopToolNameTooLong"
#define NGX_HTTP_AGENTS_INCIDENT_DISCOVERY      "AgentLoopMcpDiscoveryFailed"
#define NGX_HTTP_AGENTS_INCIDENT_INFERENCE      "AgentLoopInferenceFailed"
#define NGX_HTTP_AGENTS_INCIDENT_REFUSED        "AgentLoopRefused"
#define NGX_HTTP_AGENTS_INCIDENT_FILTERED       "AgentLoopContentFiltered"
#define NGX_HTTP_AGENTS_INCIDENT_CONTEXT        "AgentLoopContextOverflow"
#define NGX_HTTP_AGENTS_INCIDENT_TIMEOUT        "AgentLoopRunTimeout"
#define NGX_HTTP_AGENTS_INCIDENT_QUEUE          "AgentLoopQueueTimeout"
#define NGX_HTTP_AGENTS_INCIDENT_CONFIG                                       \
    "AgentLoopInvalidEffectiveConfig"
#define NGX_HTTP_AGENTS_INCIDENT_ABANDONED      "AgentLoopAbandoned"
#define NGX_HTTP_AGENTS_INCIDENT_INTERNAL       "AgentLoopInternal"


typedef enum {
    NGX_HTTP_AGENTS_CALL_MCP = 0,   /* to be made by the module */
    NGX_HTTP_AGENTS_CALL_CALLER,    /* to be answered by the caller */
    NGX_HTTP_AGENTS_CALL_SETTLED    /* its error result needs no one */
} ngx_http_agents_call_e;


/* A tool call of the turn in hand; strings are the turn's own. */
typedef struct {
    ngx_http_agents_call_e   kind;
    const char              *id;
    const char              *name;
    json_t                  *arguments; /* of the turn; an object if MCP */
    const char              *tool;      /* MCP: the server's own name of it */
    size_t                   server;    /* MCP: index in mcp_servers */
    int64_t                  part;      /* of the tool turn; CALLER: -1 */
    json_t                  *result;    /* its tool_result block, or NULL */
    char                    *text;      /* that part's text for the store */
    unsigned                 written:1;
} ngx_http_agents_call_t;


/* A part of the journal that is yet to be written. */
typedef struct {
    int64_t      sequence_no;
    int64_t      part;
    const char  *role;
    char        *content;       /* malloc'd JSON array */
    size_t       content_len;
    char        *provider;      /* malloc'd JSON array with the opaque blocks,
                                   or NULL */
    unsigned     live:1;
} ngx_http_agents_part_t;


typedef enum {
    NGX_HTTP_AGENTS_LOOP_INFER = 0, /* ask the model (again) */
    NGX_HTTP_AGENTS_LOOP_CALL,      /* write the turn, then make its calls */
    NGX_HTTP_AGENTS_LOOP_FINISH     /* write the end */
} ngx_http_agents_loop_next_e;


typedef struct {
    /* the run, as loaded */
    json_t                            *config;      /* effective_config */
    json_t                            *payload;
    json_t                            *choice;      /* tool_choice */
    char                              *system;      /* NULL: none */
    size_t                             system_len;
    char                              *traceparent; /* NULL: none */
    char                              *tracestate;  /* the same */
    int64_t                            age;         /* milliseconds */
    int64_t                            takeovers;
    int64_t                            cancel;      /* 1: asked to stop */
    int64_t                            base_version;
    int64_t                            max_iterations;
    json_t                            *job_ids;
    int64_t                            begun;       /* inferences */
    ngx_http_agents_run_progress_t     progress;    /* but for texts */

    /* what the model saw and said, this run's turns last */
    json_t                            *messages;
    int64_t                            sequence;    /* of the last of them */
    int64_t                            turn_sequence;   /* of the last turn */
    unsigned                           named:1;     /* the conversation was */
    unsigned                           loaded:1;
    unsigned                           payload_written:1;
    unsigned                           replied:1;   /* as tool_choice asks */
    unsigned                           resuming:1;  /* from a journal */

    /* tools: discovered[i] belongs to mcp_servers[i] */
    json_t                           **discovered;
    size_t                             nservers;
    json_t                            *tools;       /* for the prompt */

    /* the model: set by the engine before tools and prompt */
    const ngx_http_agents_protocol_t  *protocol;
    ngx_http_agents_prompt_t           prompt;
    ngx_http_agents_model_request_t    request;

    /* the turn in hand: the last of messages */
    ngx_http_agents_call_t            *calls;
    size_t                             ncalls;
    size_t                             results;     /* bytes of text of all
                                                       that the run was given
                                                       by servers */
    unsigned                           turn_live:1;

    /* asked once more: messages of this prompt alone, and their text */
    json_t                            *repair;
    char                              *repair_text;
    size_t                             repair_len;
    unsigned                           asked_again:1;

    /* to be written with the next batch */
    ngx_http_agents_part_t            *parts;
    size_t                             nparts;
    size_t                             parts_size;

    /* the end, once there is one */
    const char                        *status;      /* NULL: not yet */
    const char                        *incident;    /* static; NULL: none */
    ngx_http_agents_buf_t              message;     /* of the error */
    char                              *final_text;
    size_t                             final_text_len;
    char                              *final_output;        /* JSON */
    char                              *pending;             /* JSON array */
    unsigned                           failed:1;    /* no memory: the loop is
                                                       not to be trusted */
} ngx_http_agents_loop_t;


void ngx_http_agents_loop_free(ngx_http_agents_loop_t *loop);

/*
 * Reads what ngx_http_agents_runs_load brought: 0, or -1 without memory, or
 * if what is stored is no run ("failed" is then set).
 */
int ngx_http_agents_loop_load(ngx_http_agents_loop_t *loop,
    const ngx_http_agents_db_batch_t *batch);

/*
 * After discovery: the catalog of tools, and from a journal the turn that was
 * in hand.  INFER, CALL or FINISH.
 */
ngx_http_agents_loop_next_e ngx_http_agents_loop_tools(
    ngx_http_agents_loop_t *loop);

/* The request of the next inference: INFER, or FINISH if there can be none. */
ngx_http_agents_loop_next_e ngx_http_agents_loop_prompt(
    ngx_http_agents_loop_t *loop);

/* What a model's answer means for the run. */
ngx_http_agents_loop_next_e ngx_http_agents_loop_judge(
    ngx_http_agents_loop_t *loop, ngx_http_agents_answer_t *answer);

/*
 * A call's result; "content" is taken over (NULL: without memory), its text
 * cut to "max" bytes, which is what the run's results may have left, if
 * "of_run".  Touches that call alone: calls of one turn may have their results
 * made at the same time.
 */
void ngx_http_agents_loop_result(ngx_http_agents_call_t *call, json_t *content,
    int is_error, size_t max, int of_run);

/* Bytes of text in the blocks of a result. */
size_t ngx_http_agents_loop_result_size(const json_t *content);

/* All results are there: INFER, or FINISH to wait for the caller. */
ngx_http_agents_loop_next_e ngx_http_agents_loop_results(
    ngx_http_agents_loop_t *loop);

/*
 * Whether no other inference can follow the turn in hand as it stands: it has
 * a call for the module to make and without a result, or one for the caller.
 */
int ngx_http_agents_loop_waits(const ngx_http_agents_loop_t *loop);

/* Ends the run as failed, unless it has an end; the engine's own reasons. */
void ngx_http_agents_loop_fail(ngx_http_agents_loop_t *loop,
    const char *incident, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Before the last batch: queues what is not yet written (payload, turns, the
 * results that close open calls), and takes the id of an inference that was
 * not begun back.  The conversation's version is "sequence".  A loop that was
 * never loaded has nothing to write.
 */
void ngx_http_agents_loop_end(ngx_http_agents_loop_t *loop);

/* Forgets the parts that were written. */
void ngx_http_agents_loop_parts_clear(ngx_http_agents_loop_t *loop);

/* A new id for the next inference, appended to job_ids: 0, or -1. */
int ngx_http_agents_loop_mint_job(ngx_http_agents_loop_t *loop);


#endif /* _NGX_HTTP_AGENTS_LOOP_H_INCLUDED_ */
