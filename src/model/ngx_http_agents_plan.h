
/*
 * What an encoder makes of a prompt, as far as protocols have it in common:
 * what the model's lacks leave of it, names, instructions that stand in for
 * what is missing, and pieces of JSON.  Pure; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_PLAN_H_INCLUDED_
#define _NGX_HTTP_AGENTS_PLAN_H_INCLUDED_


#include "ngx_http_agents_format.h"
#include "ngx_http_agents_names.h"


/*
 * The tool that a model without a native format answers by.  Neither a caller's
 * tool nor an MCP server's can have this name: the one has no dash, the other
 * no underscore before it.
 */
#define NGX_HTTP_AGENTS_PLAN_ANSWER  "final_answer-json"


typedef struct {
    const ngx_http_agents_prompt_t  *prompt;
    ngx_http_agents_names_t          names;
    size_t                           ntools;        /* of the prompt, offered */
    json_t                          *format;        /* the schema as the
                                                       grammar takes it */
    unsigned                         native:1;      /* send "format" */
    unsigned                         strict:1;      /* it fits the grammar */
    unsigned                         answer:1;      /* offer the answer tool */
    unsigned                         forced:1;      /* send a forced choice */
    unsigned                         only:1;        /* offer one tool alone */
} ngx_http_agents_plan_t;


/*
 * "loose": a format that does not fit the grammar is sent all the same.  0,
 * or -1 without memory; in either case the plan is to be freed.
 */
int ngx_http_agents_plan_init(ngx_http_agents_plan_t *plan,
    const ngx_http_agents_prompt_t *prompt,
    const ngx_http_agents_format_rules_t *rules, int loose);
void ngx_http_agents_plan_free(ngx_http_agents_plan_t *plan);

/* Whether the history has calls, which some take with tools alone. */
int ngx_http_agents_plan_has_calls(const ngx_http_agents_plan_t *plan);

/* Which call is asked for, and the portable name of CHOICE_TOOL in "name". */
ngx_http_agents_choice_e ngx_http_agents_plan_choice(
    const ngx_http_agents_plan_t *plan,
    char name[NGX_HTTP_AGENTS_NAME_MAX + 1]);

/* The system prompt, with what it has to say in place of missing fields. */
void ngx_http_agents_plan_system(const ngx_http_agents_plan_t *plan,
    ngx_http_agents_buf_t *text);

/* The member "temperature", where the model takes one. */
void ngx_http_agents_plan_temperature(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_prompt_t *prompt);

/*
 * The tools that are offered, the answer tool last: "put" writes one of them
 * into an array, under its portable name.  "description" may be none.
 */
typedef void (*ngx_http_agents_plan_tool_pt)(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, const char *name,
    const json_t *description, const json_t *schema);
void ngx_http_agents_plan_tools(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, ngx_http_agents_plan_tool_pt put);


/* Blocks and JSON */

/* Whether a text is white space throughout, or empty. */
int ngx_http_agents_plan_blank(const char *text, size_t len);

int ngx_http_agents_plan_is(const json_t *block, const char *type);

/* Adds the text blocks, a blank line apart. */
void ngx_http_agents_plan_text(ngx_http_agents_buf_t *text,
    const json_t *blocks);

/* The arguments of a call as an object, also where the model sent none. */
void ngx_http_agents_plan_arguments(ngx_http_agents_buf_t *buf,
    const json_t *block);

/*
 * A call's id as every provider takes it, [A-Za-z0-9_-] and at most "max" of
 * them: of a longer one the end, where it is random.
 */
void ngx_http_agents_plan_id(ngx_http_agents_buf_t *buf, const char *key,
    const json_t *block, size_t max);

/* A member of a text in a buffer; without memory "buf" fails, too. */
void ngx_http_agents_plan_put_text(ngx_http_agents_buf_t *buf,
    const char *key, const ngx_http_agents_buf_t *text);

/* A member of a borrowed value; NULL is a failed allocation. */
void ngx_http_agents_plan_put_json(ngx_http_agents_buf_t *buf,
    const char *key, const json_t *value);

/*
 * The messages as a member "messages": turns of roles that alternate, each
 * {"role", "content": [blocks]}.  "block" writes one; "last" is the prompt's
 * last one.  "tail", or NULL, is raw JSON behind a last turn that is the
 * user's.
 */
typedef void (*ngx_http_agents_plan_block_pt)(ngx_http_agents_buf_t *buf,
    const json_t *block, int last);
void ngx_http_agents_plan_turns(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plan_t *plan, ngx_http_agents_plan_block_pt block,
    const char *tail);

/* The comma between the elements of an array. */
void ngx_http_agents_plan_separate(ngx_http_agents_buf_t *buf);

/* Path, body and header lines (copied, up to a NULL) of a request; takes the
 * buffer.  0, or -1 without memory. */
int ngx_http_agents_plan_request(ngx_http_agents_model_request_t *request,
    const char *path, const char *const *headers, ngx_http_agents_buf_t *body);


#endif /* _NGX_HTTP_AGENTS_PLAN_H_INCLUDED_ */
