
/*
 * A client that follows a run: what its files share and nobody else needs.
 */


#ifndef _NGX_HTTP_AGENTS_EVENTS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_EVENTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_events_id.h"
#include "ngx_http_agents_events_send.h"
#include "ngx_http_agents_http.h"


/* What a client may be behind before it is told no more deltas, in bytes. */
#define NGX_HTTP_AGENTS_EVENTS_BEHIND  65536


/* In the request's pool. */
typedef struct {
    ngx_http_request_t                 *request;
    ngx_http_agents_watch_waiter_t      waiter;
    ngx_http_agents_deltas_listener_t   listener;
    ngx_event_t                         push;       /* posted: go on */
    ngx_http_agents_events_send_t       send;
    ngx_http_agents_events_id_t         sent;

    /* the run, as it was read at first, and last */
    char                               *conversation;
    int64_t                             base_version;
    int64_t                             epoch;      /* of its last owner */

    /* how much of its turns is asked for at a time */
    int64_t                             parts;
    int64_t                             bytes;

    /* deltas that came before the turns that stand before them */
    ngx_http_agents_buf_t               held;
    uint64_t                            held_talk;
    int64_t                             held_turn;
    int64_t                             held_parts;

    /* those that the client has, of a turn that it has not */
    uint64_t                            told_talk;
    int64_t                             told_turn;  /* -1: none */
    uint64_t                            said_talk;  /* ended well */
    uint64_t                            mute_talk;  /* no more of this one */

    ngx_msec_t                          since;      /* by ngx_current_msec */
    ngx_msec_t                          spoken;
    ngx_msec_t                          leaving;    /* 0: not yet */
    unsigned                            begun:1;    /* the header is sent */
    unsigned                            resumed:1;  /* the client may have
                                                       deltas of before */
    unsigned                            checked:1;  /* its id was, against the
                                                       turns */
    unsigned                            grows:1;    /* the last turn may */
    unsigned                            synced:1;   /* turns were read once */
    unsigned                            due:1;      /* there may be news */
    unsigned                            failed:1;   /* the store did */
    unsigned                            terminal:1; /* the run is; so are its
                                                       turns from then on */
} ngx_http_agents_events_t;


/* write: each adds an event to what is to be sent, and moves "sent" before */
void ngx_http_agents_events_write_run(ngx_http_agents_events_t *ev,
    const ngx_http_agents_run_record_t *run, int64_t status);
void ngx_http_agents_events_write_name(ngx_http_agents_events_t *ev,
    const ngx_http_agents_run_record_t *run);
void ngx_http_agents_events_write_end(ngx_http_agents_events_t *ev,
    const ngx_http_agents_run_record_t *run);

/* the turn whose n parts begin in a row of a list of messages */
void ngx_http_agents_events_write_turn(ngx_http_agents_events_t *ev,
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row,
    size_t n);


/*
 * turns: of a list of messages, statement 0.  check: whether the turns that the
 * client's id tells of are there: NGX_OK, NGX_DECLINED, or NGX_AGAIN where more
 * is to be read for that.  Those which are new or have grown are written; 0:
 * there may be more of them.
 */
ngx_int_t ngx_http_agents_events_turns_check(
    const ngx_http_agents_db_batch_t *batch, ngx_http_agents_events_t *ev);
ngx_uint_t ngx_http_agents_events_turns(
    const ngx_http_agents_db_batch_t *batch, ngx_http_agents_events_t *ev);


/* deltas: of the model, as they come; "data" is the events' */
void ngx_http_agents_events_delta(void *data,
    const ngx_http_agents_deltas_event_t *event);

/* what is held goes out, if the turns before it have */
void ngx_http_agents_events_release(ngx_http_agents_events_t *ev);

/* what the client was told is of no account; nothing where it was told none */
void ngx_http_agents_events_withdraw(ngx_http_agents_events_t *ev);


#endif /* _NGX_HTTP_AGENTS_EVENTS_H_INCLUDED_ */
