
/*
 * What may be told of a reply while the model is at it: what will stand in the
 * turn that the reply becomes, and nothing that the loop does for itself.  In
 * the end the turn is compared with what was told.  No nginx; nobody else has
 * the loop meanwhile.
 */


#ifndef _NGX_HTTP_AGENTS_LOOP_TELL_H_INCLUDED_
#define _NGX_HTTP_AGENTS_LOOP_TELL_H_INCLUDED_


#include "ngx_http_agents_loop.h"


typedef enum {
    NGX_HTTP_AGENTS_LOOP_TELL_OPEN = 0,     /* cannot be known yet */
    NGX_HTTP_AGENTS_LOOP_TELL_NOTHING,
    NGX_HTTP_AGENTS_LOOP_TELL_TEXT,         /* as it comes */
    NGX_HTTP_AGENTS_LOOP_TELL_JSON,         /* without the blanks around its
                                               tokens, which messages have not,
                                               either */
    NGX_HTTP_AGENTS_LOOP_TELL_ARGUMENTS     /* of a call, as they come */
} ngx_http_agents_loop_tell_e;


/* What was told of one block of a draft. */
typedef struct {
    ngx_http_agents_loop_tell_e   what;
    size_t                        told;     /* bytes of its text */
    unsigned                      whole:1;  /* its value was told */
    unsigned                      quoted:1; /* JSON: within a string, */
    unsigned                      escaped:1;        /* behind a backslash */
} ngx_http_agents_loop_told_t;


/* What was told of a draft; all zero is nothing. */
typedef struct {
    ngx_http_agents_loop_told_t  *blocks;
    size_t                        n;
    size_t                        bytes;    /* in all */
    size_t                        text;     /* of these, of text; and a sum of
                                               what it says */
    uint64_t                      sum;
    unsigned                      wrong:1;  /* it will not be as it was told */
} ngx_http_agents_loop_telling_t;


typedef struct {
    unsigned                arguments:1;    /* of the call "id"; else text */
    const char             *id;             /* as the turn will have it; the
                                               draft's own */
    ngx_http_agents_buf_t   text;           /* the caller's to free */
} ngx_http_agents_loop_piece_t;


/*
 * What is new in a draft's block, in "piece", whose buffer is empty: 1, or 0
 * where there is nothing to tell.  A call that is told of for the first time
 * gets the id that it will keep.
 */
int ngx_http_agents_loop_tell(const ngx_http_agents_loop_t *loop,
    ngx_http_agents_loop_telling_t *telling, ngx_http_agents_draft_t *draft,
    size_t block, ngx_http_agents_loop_piece_t *piece);

/* The same of all that was told of the block before. */
int ngx_http_agents_loop_tell_again(
    const ngx_http_agents_loop_telling_t *telling,
    const ngx_http_agents_draft_t *draft, size_t block,
    ngx_http_agents_loop_piece_t *piece);

/* Whether the turn of that number has come, and says what was told of it. */
int ngx_http_agents_loop_told_right(const ngx_http_agents_loop_t *loop,
    const ngx_http_agents_loop_telling_t *telling, int64_t turn_index);

/* The number of the turn that the next reply would be, and how many parts the
 * tool turn before it has (0: there is none). */
int64_t ngx_http_agents_loop_next_turn(const ngx_http_agents_loop_t *loop,
    int64_t *parts);

void ngx_http_agents_loop_telling_clear(
    ngx_http_agents_loop_telling_t *telling);


#endif /* _NGX_HTTP_AGENTS_LOOP_TELL_H_INCLUDED_ */
