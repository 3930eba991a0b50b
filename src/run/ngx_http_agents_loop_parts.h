
/*
 * What the files of the loop share and nobody else needs.
 */


#ifndef _NGX_HTTP_AGENTS_LOOP_PARTS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_LOOP_PARTS_H_INCLUDED_


#include "ngx_http_agents_loop.h"


/*
 * Whether the inference to come, or just made, is bound by tool_choice: the
 * run's first one, and the one that asks again where it was not followed.
 */
int ngx_http_agents_loop_choosing(const ngx_http_agents_loop_t *loop);

/* A new id for a call, NUL terminated: 0, or -1 without random bytes. */
#define NGX_HTTP_AGENTS_LOOP_ID_MAX  64

int ngx_http_agents_loop_fresh_id(char id[NGX_HTTP_AGENTS_LOOP_ID_MAX]);

/* Whether a call of the messages, or of the first of these blocks, has it. */
int ngx_http_agents_loop_id_known(const json_t *messages,
    const json_t *blocks, size_t before, const char *id);

/*
 * Appends an assistant turn to the messages and queues it; "blocks" is taken
 * over.
 */
void ngx_http_agents_loop_add_turn(ngx_http_agents_loop_t *loop,
    json_t *blocks);

/*
 * Makes the calls of an assistant turn from its tool_use blocks, each
 * classified; an unknown alias or bare name fails the run.
 */
void ngx_http_agents_loop_classify(ngx_http_agents_loop_t *loop,
    json_t *blocks);
/* The turn that a journal ends with is in hand again, with the results that
 * are written. */
void ngx_http_agents_loop_reopen(ngx_http_agents_loop_t *loop);

void ngx_http_agents_loop_calls_clear(ngx_http_agents_loop_t *loop);

/* Whether the turn in hand has a call of that kind. */
int ngx_http_agents_loop_has_call(const ngx_http_agents_loop_t *loop,
    ngx_http_agents_call_e kind);

/* Settles a call with an error result of one text. */
void ngx_http_agents_loop_settle(ngx_http_agents_loop_t *loop,
    ngx_http_agents_call_t *call, const char *text);

/*
 * Queues those results of the turn in hand that are there and not written:
 * those whose sequence number is that of the turn, plus one.
 */
void ngx_http_agents_loop_add_results(ngx_http_agents_loop_t *loop);


#endif /* _NGX_HTTP_AGENTS_LOOP_PARTS_H_INCLUDED_ */
