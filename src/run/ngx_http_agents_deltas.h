
/*
 * What models say, on its way from the runs of a node to those who follow
 * them.  The worker that carries a run tells its own listeners at once, and
 * those of other workers by records (ngx_http_agents_wire.h).
 *
 * A talk is one attempt at a reply: its pieces have their place in it, so that
 * one that is missing is noticed; a later talk takes the place of the one
 * before.  Who comes late is told again what was told before.  Who listens to
 * another worker's run asks for it once a second, and whoever carries the run
 * then remembers that for three.
 *
 * Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_DELTAS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DELTAS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_store.h"
#include "ngx_http_agents_wire.h"


#define NGX_HTTP_AGENTS_DELTAS_OWNER_LEN  32


/* A run of an owner: the id alone would do for friends. */
typedef struct {
    char  id[NGX_HTTP_AGENTS_UUID_LEN + 1];
    char  owner[NGX_HTTP_AGENTS_DELTAS_OWNER_LEN + 1];  /* a digest */
} ngx_http_agents_deltas_key_t;


typedef enum {
    NGX_HTTP_AGENTS_DELTAS_TEXT = 0,    /* a piece of text */
    NGX_HTTP_AGENTS_DELTAS_ARGUMENTS,   /* of a call's arguments */
    NGX_HTTP_AGENTS_DELTAS_SAID,        /* the turn will say the same */
    NGX_HTTP_AGENTS_DELTAS_WITHDRAWN,   /* the turn will not come of this */
    NGX_HTTP_AGENTS_DELTAS_MISSED,      /* the rest of it cannot be told */
    NGX_HTTP_AGENTS_DELTAS_NOTHING,     /* for who is late: nothing is said
                                           just now */
    NGX_HTTP_AGENTS_DELTAS_ASK          /* between workers alone */
} ngx_http_agents_deltas_kind_e;


typedef struct {
    ngx_http_agents_deltas_kind_e   kind;
    unsigned                        again:1;    /* for who is late */
    uint64_t                        talk;       /* epoch, and a number in it;
                                                   above that of any before */
    int64_t                         turn_index;
    int64_t                         parts;      /* of the tool turn before */
    uint64_t                        at;         /* bytes before it */
    ngx_str_t                       id;         /* of the call */
    ngx_str_t                       text;
} ngx_http_agents_deltas_event_t;

#define ngx_http_agents_deltas_epoch(talk)  ((int64_t) ((talk) >> 32))


typedef struct ngx_http_agents_deltas_s  ngx_http_agents_deltas_t;

/* TEXT, ARGUMENTS, SAID, WITHDRAWN or MISSED; ends and starts nothing. */
typedef void (*ngx_http_agents_deltas_pt)(void *data,
    const ngx_http_agents_deltas_event_t *event);

typedef struct {
    ngx_queue_t                     queue;      /* of the bucket */
    ngx_http_agents_deltas_t       *deltas;     /* NULL: it does not listen */
    ngx_http_agents_deltas_key_t    key;
    ngx_http_agents_deltas_pt       handler;
    void                           *data;
    uint64_t                        talk;
    uint64_t                        at;         /* bytes heard of it */
    unsigned                        late:1;     /* to be told what was before */
    unsigned                        catching:1; /* is just being told */
    unsigned                        missed:1;   /* of this talk */
} ngx_http_agents_deltas_listener_t;


/* Whom an answer is for. */
typedef struct {
    ngx_http_agents_deltas_listener_t  *listener;   /* NULL: another worker's */
    ngx_uint_t                          worker;
    unsigned                            late:1;
} ngx_http_agents_deltas_to_t;

/* Someone listens to a run: NGX_OK if this worker carries it, which answers
 * who is late; else NGX_DECLINED. */
typedef ngx_int_t (*ngx_http_agents_deltas_ask_pt)(void *data,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_to_t *to);


/* Workers that have asked for a run, and until when they count; all zero is
 * none. */
typedef struct {
    ngx_uint_t   worker;
    ngx_msec_t   until;
} ngx_http_agents_deltas_place_t;

typedef struct {
    ngx_http_agents_deltas_place_t  *list;
    ngx_uint_t                       n;
    ngx_uint_t                       size;
} ngx_http_agents_deltas_audience_t;


/* In process init.  NULL without memory. */
ngx_http_agents_deltas_t *ngx_http_agents_deltas_create(
    ngx_http_agents_wire_fds_t *fds, ngx_pool_t *pool, ngx_log_t *log);
void ngx_http_agents_deltas_destroy(ngx_http_agents_deltas_t *deltas);

/* Who carries this worker's runs; set once. */
void ngx_http_agents_deltas_on_ask(ngx_http_agents_deltas_t *deltas,
    ngx_http_agents_deltas_ask_pt handler, void *data);

/* NGX_ERROR without memory. */
ngx_int_t ngx_http_agents_deltas_key(ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_owner_t *owner, const char *id);


/* Takes a listener in, with key, handler and data set. */
void ngx_http_agents_deltas_join(ngx_http_agents_deltas_t *deltas,
    ngx_http_agents_deltas_listener_t *listener);

/* Nothing where it does not listen. */
void ngx_http_agents_deltas_leave(
    ngx_http_agents_deltas_listener_t *listener);

/* Hears what other workers have said by now. */
void ngx_http_agents_deltas_look(ngx_http_agents_deltas_t *deltas);


/* Whether anyone in this worker listens to anything. */
ngx_uint_t ngx_http_agents_deltas_listened(
    const ngx_http_agents_deltas_t *deltas);

/* Whether anyone listens to this run. */
ngx_uint_t ngx_http_agents_deltas_heard(
    const ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_audience_t *audience);

/* Another worker has asked: it counts for three seconds. */
void ngx_http_agents_deltas_ask(ngx_http_agents_deltas_audience_t *audience,
    ngx_uint_t worker, ngx_log_t *log);
void ngx_http_agents_deltas_audience_clear(
    ngx_http_agents_deltas_audience_t *audience);

/* Tells all who listen; a long text in several pieces. */
void ngx_http_agents_deltas_say(ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_audience_t *audience,
    const ngx_http_agents_deltas_event_t *event);

/* Tells one alone. */
void ngx_http_agents_deltas_answer(ngx_http_agents_deltas_t *deltas,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_to_t *to,
    const ngx_http_agents_deltas_event_t *event);


#endif /* _NGX_HTTP_AGENTS_DELTAS_H_INCLUDED_ */
