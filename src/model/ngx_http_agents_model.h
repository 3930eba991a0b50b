
/*
 * What a model is asked and what it answers, in one form for all providers,
 * and the interface that a provider's protocol implements.  Pure: no nginx,
 * no network; any thread.
 *
 * Messages are JSON: [{"role": "user" | "assistant" | "tool",
 * "content_blocks": [...]}] with the API's own blocks {type: text, text},
 * {type: tool_use, tool_use_id, name, arguments}, {type: tool_result,
 * tool_use_id, content: [text blocks], is_error}, and {type: opaque,
 * provider, model, data}, which only the provider and model that it came
 * from see again.  Tool names are the wire names.
 */


#ifndef _NGX_HTTP_AGENTS_MODEL_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MODEL_H_INCLUDED_


#include "ngx_http_agents_json.h"


/* Capability flags of a model: what it cannot do. */
#define NGX_HTTP_AGENTS_NO_TEMPERATURE        0x01
#define NGX_HTTP_AGENTS_NO_FORCED_CHOICE      0x02
#define NGX_HTTP_AGENTS_NO_NATIVE_FORMAT      0x04
#define NGX_HTTP_AGENTS_NO_STRICT_TOOLS       0x08
#define NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS  0x10
#define NGX_HTTP_AGENTS_NO_STREAM             0x20
#define NGX_HTTP_AGENTS_NO_NAMED_CHOICE       0x40    /* of one tool; any call
                                                         can be asked for */


typedef enum {
    NGX_HTTP_AGENTS_CHOICE_AUTO = 0,
    NGX_HTTP_AGENTS_CHOICE_ANY,
    NGX_HTTP_AGENTS_CHOICE_TOOL
} ngx_http_agents_choice_e;


/* One inference. Borrowed pointers, alive until encode has returned. */
typedef struct {
    const char                *provider;    /* name of the agents_provider */
    const char                *model;       /* the provider's id of it */
    const char                *max_tokens_field;    /* NULL: the protocol's */
    unsigned                   lacks;       /* NGX_HTTP_AGENTS_NO_* */
    const char                *system;      /* NULL: none */
    size_t                     system_len;
    json_t                    *messages;
    json_t                    *tools;       /* [{name, description?,
                                               input_schema}], maybe empty */
    ngx_http_agents_choice_e   choice;
    const char                *choice_name; /* wire name of CHOICE_TOOL */
    json_t                    *format;      /* schema on the wire; NULL: text */
    int64_t                    max_tokens;
    double                     temperature;
} ngx_http_agents_prompt_t;


/* An HTTP request as the protocol wants it; malloc'd text throughout. */
typedef struct {
    char    *path;          /* appended to the endpoint: "/chat/completions" */
    char   **headers;       /* "Name: value" lines, without the key's */
    size_t   nheaders;
    char    *body;
    size_t   body_len;
    char     sha256[65];    /* of the body in hex, where the protocol signs
                               it; else "" */
} ngx_http_agents_model_request_t;


typedef enum {
    NGX_HTTP_AGENTS_STOP_DONE = 0,
    NGX_HTTP_AGENTS_STOP_TOOL,
    NGX_HTTP_AGENTS_STOP_LENGTH,
    NGX_HTTP_AGENTS_STOP_REFUSED,
    NGX_HTTP_AGENTS_STOP_FILTERED,
    NGX_HTTP_AGENTS_STOP_CONTEXT,
    NGX_HTTP_AGENTS_STOP_MALFORMED,
    NGX_HTTP_AGENTS_STOP_PAUSED
} ngx_http_agents_stop_e;


/* A model's reply. */
typedef struct {
    json_t                  *blocks;    /* text, tool_use, opaque blocks, in
                                           order, none of empty text; the
                                           arguments of a tool_use that are no
                                           JSON object stay a JSON string */
    ngx_http_agents_stop_e   stop;
    int64_t                  prompt_tokens;     /* cache reads and writes too */
    int64_t                  completion_tokens;
    int64_t                  cache_read_tokens;
    int64_t                  cache_write_tokens;
} ngx_http_agents_reply_t;


/* What an error status of the provider means. */
typedef enum {
    NGX_HTTP_AGENTS_FAULT_FATAL = 0,    /* do not try again */
    NGX_HTTP_AGENTS_FAULT_RETRY,
    NGX_HTTP_AGENTS_FAULT_ONCE,         /* try again, but once */
    NGX_HTTP_AGENTS_FAULT_CONTEXT,      /* the prompt is too long */
    NGX_HTTP_AGENTS_FAULT_FILTERED,     /* refused by a content filter */
    NGX_HTTP_AGENTS_FAULT_CREDENTIALS   /* try again once with new ones, where
                                           these are not the operator's own */
} ngx_http_agents_model_fault_e;


/* A reply in the making, see ngx_http_agents_draft.h. */
typedef struct ngx_http_agents_draft_s        ngx_http_agents_draft_t;
typedef struct ngx_http_agents_draft_block_s  ngx_http_agents_draft_block_t;


/* A protocol: a static table. */
typedef struct {
    const char  *name;                  /* as in the directive "protocol" */

    /* How the API key goes: a header's name and what stands before the key. */
    const char  *key_header;
    const char  *key_prefix;

    /*
     * Fills *request, all malloc'd, also on failure: the caller clears it.
     * 0, or -1 without memory.
     */
    int (*encode)(const ngx_http_agents_prompt_t *prompt,
        ngx_http_agents_model_request_t *request);

    /*
     * Reads a 2xx's body, or one event of a stream, into a draft.  read: 0, or
     * -1 with what is wrong with the body in "why"; event: "type" is its name,
     * "" where it has none, and what is not known is passed over.
     */
    int (*read)(ngx_http_agents_draft_t *draft, const json_t *root,
        ngx_http_agents_buf_t *why);
    void (*event)(ngx_http_agents_draft_t *draft, const char *type,
        const json_t *root);

    /*
     * The block that a provider wants back, made of what a stream said of it;
     * NULL without memory.  Not called where drafts have no such block.
     */
    json_t *(*opaque)(const ngx_http_agents_draft_block_t *block);

    /*
     * Classifies any other status; "why" gets the provider's own message, or
     * the beginning of the body where it has none.
     */
    ngx_http_agents_model_fault_e (*fault)(int status, const char *body,
        size_t len, ngx_http_agents_buf_t *why);

    /* AWS's name of the service, where requests may be signed; else NULL */
    const char  *service;

    /* what follows the account in a host's name, where there are accounts;
     * else NULL */
    const char  *account_host;
} ngx_http_agents_protocol_t;


/* NULL for a name that is not known. */
const ngx_http_agents_protocol_t *ngx_http_agents_model_protocol(
    const char *name, size_t len);

/* The protocols in order, for those who list them: NULL after the last. */
const ngx_http_agents_protocol_t *ngx_http_agents_model_protocol_at(size_t i);

/*
 * The passes that every prompt goes through before it is encoded: drops empty
 * text, merges turns of the same role, joins tool results of one assistant
 * turn (also where they stand in two messages), closes unanswered tool_use
 * with an error result, drops orphan results, makes the list end on a user or
 * tool turn, keeps opaque blocks only for this provider and model, makes
 * names of calls portable ([A-Za-z0-9_-]{1,64}) as encode does with those of
 * prompt->tools.  For the caller to put into prompt->messages.  A new
 * reference, or NULL without memory; "messages" is not changed.
 */
json_t *ngx_http_agents_model_passes(const ngx_http_agents_prompt_t *prompt,
    json_t *messages);

/* A wire name as every provider takes it; at most 64 characters and a NUL. */
void ngx_http_agents_model_portable_name(char out[65], const char *name);

void ngx_http_agents_model_request_clear(
    ngx_http_agents_model_request_t *request);
void ngx_http_agents_reply_clear(ngx_http_agents_reply_t *reply);


#endif /* _NGX_HTTP_AGENTS_MODEL_H_INCLUDED_ */
