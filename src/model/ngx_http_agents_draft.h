
/*
 * A reply in the making: what a protocol reads from a body, or piece by piece
 * from a stream, in one form.  Once all of it is there it becomes a reply.
 * Pure: no nginx; any thread, one at a time.
 */


#ifndef _NGX_HTTP_AGENTS_DRAFT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DRAFT_H_INCLUDED_


#include "ngx_http_agents_model.h"


typedef enum {
    NGX_HTTP_AGENTS_DRAFT_TEXT = 0,
    NGX_HTTP_AGENTS_DRAFT_CALL,
    NGX_HTTP_AGENTS_DRAFT_OPAQUE    /* a provider's own, to be sent back */
} ngx_http_agents_draft_kind_e;


/* Found by kind and by the number that the provider gives it. */
struct ngx_http_agents_draft_block_s {
    ngx_http_agents_draft_kind_e    kind;
    int64_t                         index;
    ngx_http_agents_buf_t           text;       /* text; a call's arguments as
                                                   they are written; what an
                                                   opaque block says */
    ngx_http_agents_buf_t           signature;  /* of an opaque block */
    char                           *id;         /* of a call; NULL: none yet */
    char                           *name;
    json_t                         *value;      /* arguments or an opaque block
                                                   that came as a whole */
};


/* A piece of a reply, as the model produces it. */
typedef struct {
    ngx_http_agents_draft_kind_e    kind;       /* TEXT or CALL */
    const char                     *id;         /* of a call, the provider's;
                                                   "" where it has none */
    const char                     *text;
    size_t                          len;
} ngx_http_agents_delta_t;

typedef void (*ngx_http_agents_delta_pt)(void *data,
    const ngx_http_agents_delta_t *delta);


struct ngx_http_agents_draft_s {
    ngx_http_agents_draft_block_t  *blocks;
    size_t                          nblocks;
    size_t                          size;

    ngx_http_agents_stop_e          stop;
    int64_t                         prompt_tokens;      /* all of them */
    int64_t                         completion_tokens;
    int64_t                         cache_read_tokens;
    int64_t                         cache_write_tokens;

    ngx_http_agents_delta_pt        delta;      /* NULL: no one listens */
    void                           *delta_data;

    /* in place of a reply: the provider's error, in the midst of a stream or
     * with a status that says otherwise */
    ngx_http_agents_model_fault_e   fault;
    ngx_http_agents_buf_t           why;        /* empty: no error */

    unsigned                        stopped:1;  /* it was said why it ends */
    unsigned                        ended:1;    /* nothing is to follow */
    unsigned                        failed:1;   /* no memory */
};


/* What a model answered, as it came: a body, or what a stream has become. */
typedef struct {
    char                           *body;       /* malloc'd; NULL: "draft" */
    size_t                          len;
    ngx_http_agents_draft_t         draft;
} ngx_http_agents_answer_t;


/* All zero is a valid empty draft, and a valid empty answer. */
void ngx_http_agents_draft_free(ngx_http_agents_draft_t *draft);

/* A block of which there was something already, or NULL. */
ngx_http_agents_draft_block_t *ngx_http_agents_draft_find(
    const ngx_http_agents_draft_t *draft, ngx_http_agents_draft_kind_e kind,
    int64_t index);

/* A block, made if it is not there yet; NULL without memory ("failed"), or if
 * there are too many ("why"). */
ngx_http_agents_draft_block_t *ngx_http_agents_draft_block(
    ngx_http_agents_draft_t *draft, ngx_http_agents_draft_kind_e kind,
    int64_t index);

/* Whether a call is none, but an answer that came as one. */
int ngx_http_agents_draft_is_answer(
    const ngx_http_agents_draft_block_t *block);

/* More text of a block, or of a call's arguments; told to who listens. */
void ngx_http_agents_draft_text(ngx_http_agents_draft_t *draft, int64_t index,
    const char *text, size_t len);
void ngx_http_agents_draft_arguments(ngx_http_agents_draft_t *draft,
    int64_t index, const char *text, size_t len);

/* A call; what is NULL or empty changes nothing.  Another id and a name begin
 * another call, though the number is the same. */
void ngx_http_agents_draft_call(ngx_http_agents_draft_t *draft, int64_t index,
    const char *id, const char *name);

/* Why it ends; the first reason that is told stands. */
void ngx_http_agents_draft_stop(ngx_http_agents_draft_t *draft,
    ngx_http_agents_stop_e stop);

/* The provider's error: "text" of "len" bytes for people, cut to what is worth
 * repeating, without control characters. */
void ngx_http_agents_draft_fault(ngx_http_agents_draft_t *draft,
    ngx_http_agents_model_fault_e fault, const char *text, size_t len);

/* The arguments of a call that came as a value, not as text; an object is told
 * as the text that it has in JSON. */
void ngx_http_agents_draft_value(ngx_http_agents_draft_t *draft,
    int64_t index, json_t *value);

/* A member of a usage object: 0 if it is absent or no count; bounded, so that
 * a run's sum cannot overflow. */
int64_t ngx_http_agents_draft_count(const json_t *usage, const char *name);

/*
 * The reply that the draft has become: 0 with *reply filled (the caller clears
 * it), or -1 with what is wrong in "why".  Empty text is dropped; a call's
 * arguments that are no JSON object stay text; names are wire names again.
 */
int ngx_http_agents_draft_reply(ngx_http_agents_draft_t *draft,
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt, ngx_http_agents_reply_t *reply,
    ngx_http_agents_buf_t *why);

/* The same of the body of a 2xx that is no stream. */
int ngx_http_agents_draft_decode(const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt, const char *body, size_t len,
    ngx_http_agents_reply_t *reply, ngx_http_agents_buf_t *why);

/* The error in the body of a 2xx that has no reply: 1 with the draft's "why"
 * and "fault", as an event of a stream would make them; 0 if there is none.
 * The caller frees the draft. */
int ngx_http_agents_draft_refused(const ngx_http_agents_protocol_t *protocol,
    const char *body, size_t len, ngx_http_agents_draft_t *draft);

/* The reply of a body or a stream. */
int ngx_http_agents_answer_reply(ngx_http_agents_answer_t *answer,
    const ngx_http_agents_protocol_t *protocol,
    const ngx_http_agents_prompt_t *prompt, ngx_http_agents_reply_t *reply,
    ngx_http_agents_buf_t *why);
void ngx_http_agents_answer_clear(ngx_http_agents_answer_t *answer);


#endif /* _NGX_HTTP_AGENTS_DRAFT_H_INCLUDED_ */
