
/*
 * The bodies of POST and PATCH conversations and of POST runs: read strictly,
 * checked against a table of fields, and normalised (members in the table's
 * order, nulls left out, defaults filled in).  Every fault found is listed.
 * What depends on the operator's configuration is
 * ngx_http_agents_effective.h's.
 *
 * No nginx here; any thread.  Texts are malloc'd and NUL terminated.
 */


#ifndef _NGX_HTTP_AGENTS_BODY_H_INCLUDED_
#define _NGX_HTTP_AGENTS_BODY_H_INCLUDED_


#include "ngx_http_agents_fault.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_json.h"


/* What max_iterations is at most; the operator's ceiling is within it. */
#define NGX_HTTP_AGENTS_BODY_MAX_ITERATIONS  100

/* An alias, a dash and a tool's name together, in characters. */
#define NGX_HTTP_AGENTS_BODY_WIRE_NAME_MAX   64

/* Bits of "given": the request itself names the value, it is no default. */
#define NGX_HTTP_AGENTS_BODY_GIVEN_MAX_ITERATIONS  0x01
#define NGX_HTTP_AGENTS_BODY_GIVEN_MAX_TOKENS      0x02


typedef struct {
    char      *name;                /* NULL: none, as "" is */
    size_t     name_len;
    char      *system_prompt;       /* NULL: none */
    size_t     system_prompt_len;
    json_t    *defaults;            /* every field: model, data_plane_id,
                                       execution_cluster, max_iterations,
                                       max_tokens, temperature,
                                       output_format_schema, mcp_servers,
                                       tools; after a fault, those that are
                                       right; may be NULL then */
    unsigned   given;
} ngx_http_agents_body_conversation_t;


/* What a PATCH of a conversation changes. */
typedef struct {
    unsigned   renames:1;           /* "name" was given */
    char      *name;                /* NULL: none, as "" and null are */
    size_t     name_len;
} ngx_http_agents_body_change_t;


typedef struct {
    char      *client_op_id;        /* as sent */
    char      *client_op_key;       /* in lower case */
    int64_t    expected_version;
    json_t    *payload;
    char      *payload_text;
    size_t     payload_len;
    json_t    *tool_choice;
    char      *tool_choice_text;
    size_t     tool_choice_len;
    json_t    *config_override;     /* an object, sparse: only what differs;
                                       its one null is an
                                       output_format_schema's */
    unsigned   given;               /* by config_override */
    unsigned   resumes:1;           /* the payload is tool_outputs */
    char       fingerprint[NGX_HTTP_AGENTS_SHA256_LEN + 1];
                                    /* of payload, tool_choice and override */
} ngx_http_agents_body_run_t;


/*
 * Read a body.  0: no fault and no lack of memory; else -1, with the faults
 * added, or faults->failed set where memory lacked.  *out needs no
 * initialisation and is to be freed in either case.
 */
int ngx_http_agents_body_conversation(const char *text, size_t len,
    ngx_http_agents_body_conversation_t *out,
    ngx_http_agents_faults_t *faults);
int ngx_http_agents_body_change(const char *text, size_t len,
    ngx_http_agents_body_change_t *out, ngx_http_agents_faults_t *faults);
int ngx_http_agents_body_run(const char *text, size_t len,
    ngx_http_agents_body_run_t *out, ngx_http_agents_faults_t *faults);

void ngx_http_agents_body_conversation_free(
    ngx_http_agents_body_conversation_t *body);
void ngx_http_agents_body_change_free(ngx_http_agents_body_change_t *body);
void ngx_http_agents_body_run_free(ngx_http_agents_body_run_t *body);


/*
 * The effective configuration of a run: a conversation's stored defaults with
 * the override's members put in their places, lists replaced as a whole.  A
 * new reference that may be changed in place; NULL without memory, or if the
 * stored text is no JSON object.
 */
json_t *ngx_http_agents_body_merge(const char *defaults, size_t len,
    const json_t *override);

/*
 * Whether tool_choice can be met by the effective tools and servers, as far
 * as it can be told before discovery.  Adds faults of unknown-tool-choice-name
 * (also "any" without a tool and a server), unknown-tool-choice-mcp-alias and
 * tool-name-too-long.
 */
void ngx_http_agents_body_check_choice(const json_t *effective,
    const json_t *tool_choice, ngx_http_agents_faults_t *faults);

/*
 * Whether a payload of tool_outputs answers exactly the pending calls, adding
 * faults of unknown-tool-use-id, not-a-client-tool-call and
 * incomplete-tool-outputs, in this order.  "pending" is the paused run's
 * pending_tool_calls (NULL or empty: none), "blocks" the content blocks of
 * the last assistant message (may be NULL).
 */
void ngx_http_agents_body_check_outputs(const json_t *payload,
    const json_t *pending, const json_t *blocks,
    ngx_http_agents_faults_t *faults);


#endif /* _NGX_HTTP_AGENTS_BODY_H_INCLUDED_ */
