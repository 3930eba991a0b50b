
/*
 * One run in flight: the part that waits.  Its loop (ngx_http_agents_loop.h)
 * thinks, in a pool thread; the run takes it from state to state, in the
 * event loop.
 *
 *   LOADING ─> DISCOVERING ─> THINKING ─> QUEUED ─> INFERRING ─> THINKING
 *                                 ^                                 │
 *                                 │         WRITING <───────────────┤
 *                                 └── CALLING <┘      ENDING <──────┘
 *
 * What cannot be cancelled, a task or a batch, is counted in "pending".  A
 * run that is to stop cancels what can be, waits for the rest, and then ends,
 * is given up to another worker, or is just forgotten.
 */


#ifndef _NGX_HTTP_AGENTS_RUN_H_INCLUDED_
#define _NGX_HTTP_AGENTS_RUN_H_INCLUDED_


#include "ngx_http_agents_engine.h"
#include "ngx_http_agents_inference.h"


#define NGX_HTTP_AGENTS_RUN_TOO_LONG                                          \
    "the run took longer than the operator allows"


typedef enum {
    NGX_HTTP_AGENTS_RUN_LOADING = 0,
    NGX_HTTP_AGENTS_RUN_DISCOVERING,
    NGX_HTTP_AGENTS_RUN_THINKING,
    NGX_HTTP_AGENTS_RUN_QUEUED,
    NGX_HTTP_AGENTS_RUN_INFERRING,
    NGX_HTTP_AGENTS_RUN_WRITING,
    NGX_HTTP_AGENTS_RUN_CALLING,
    NGX_HTTP_AGENTS_RUN_ENDING
} ngx_http_agents_run_state_e;


typedef enum {
    NGX_HTTP_AGENTS_STOP_NOT = 0,
    NGX_HTTP_AGENTS_STOP_FAIL,      /* end as failed: stop_incident, _why */
    NGX_HTTP_AGENTS_STOP_GIVE_UP,   /* leave it to another worker */
    NGX_HTTP_AGENTS_STOP_FORGET     /* it is another worker's already */
} ngx_http_agents_run_stop_e;


typedef struct ngx_http_agents_run_s    ngx_http_agents_run_t;
typedef struct ngx_http_agents_title_s  ngx_http_agents_title_t;
typedef struct ngx_http_agents_run_voice_s  ngx_http_agents_run_voice_t;


/* An MCP server of the run. */
typedef struct {
    ngx_http_agents_run_t         *run;
    ngx_uint_t                     index;
    ngx_http_agents_mcp_server_t  *server;
    ngx_msec_t                     since;   /* of its discovery */
} ngx_http_agents_run_server_t;


/* A call of the turn in hand, on its way. */
typedef struct {
    ngx_http_agents_run_t         *run;
    ngx_uint_t                     index;   /* in the loop's calls */
    ngx_http_agents_mcp_call_t    *call;    /* NULL: not under way */
    ngx_msec_t                     since;   /* when it began */
    ngx_http_agents_task_t         task;    /* makes the result's text */
    json_t                        *content;
    size_t                         max;     /* of its text */
    unsigned                       of_run:1;    /* "max" is what the run has
                                                   left */
    unsigned                       is_error:1;
    unsigned                       lost:1;  /* there was no memory for it */
    unsigned                       ready:1; /* its text is to be written */
} ngx_http_agents_run_call_t;


struct ngx_http_agents_run_s {
    ngx_queue_t                        queue;       /* of the engine */
    ngx_str_node_t                     node;        /* by id, there too */
    ngx_queue_t                        cancelling;  /* where "to_cancel" */
    ngx_http_agents_engine_t          *engine;
    const ngx_http_agents_settings_t  *settings;
    ngx_http_agents_run_key_t          key;         /* strings: "names" */
    char                              *names;
    ngx_log_t                          log;

    ngx_http_agents_run_state_e        state;
    ngx_http_agents_loop_t             loop;
    ngx_http_agents_loop_next_e        next;        /* what was thought */
    ngx_uint_t                         pending;     /* tasks and batches */

    ngx_http_agents_task_t             task;
    void                             (*think)(ngx_http_agents_run_t *run);
    void                             (*then)(ngx_http_agents_run_t *run);
    ngx_http_agents_db_batch_t        *batch;       /* loaded */
    ngx_http_agents_answer_t           answer;      /* the model's */

    ngx_http_agents_plane_t           *plane;
    ngx_http_agents_cluster_t         *cluster;
    ngx_http_agents_model_t           *model;

    ngx_http_agents_run_server_t      *servers;
    ngx_uint_t                         nservers;
    ngx_uint_t                         discovering;

    ngx_http_agents_pass_t             pass;
    ngx_event_t                        queue_timer;
    ngx_http_agents_inference_t       *inference;
    ngx_msec_t                         since;       /* when the wait in line, or
                                                       the inference, began */
    ngx_http_agents_refusals_t         refusals;    /* of it, so far */
    unsigned                           bound:1;     /* the inference, by the
                                                       run's deadline */

    ngx_http_agents_run_voice_t       *voice;       /* NULL: nobody has
                                                       followed it */
    ngx_http_agents_run_voice_t       *judged;      /* the same, for a pool
                                                       thread */

    ngx_http_agents_run_call_t        *calls;
    ngx_uint_t                         ncalls;
    ngx_uint_t                         next_call;       /* to go out */
    ngx_uint_t                         flying;          /* calls that have */
    ngx_uint_t                         unsent_calls;    /* result not sent to
                                                           the store */
    ngx_uint_t                         open_calls;      /* not stored */

    ngx_http_agents_title_t           *title;       /* its job beside the run;
                                                       NULL: none */

    ngx_event_t                        begin;       /* to be seen as running */
    ngx_event_t                        deadline;
    ngx_event_t                        retry;
    void                             (*again)(ngx_http_agents_run_t *run);
    ngx_msec_t                         backoff;
    ngx_uint_t                         errors;      /* in a row, of the store */

    ngx_http_agents_run_stop_e         stop;
    const char                        *stop_incident;
    const char                        *stop_why;
    unsigned                           listed:1;    /* in the engine's ids */
    unsigned                           to_cancel:1; /* in the engine's line */
    unsigned                           cancelled:1; /* while it was loading */
    unsigned                           starved:1;   /* no memory to think */
    unsigned                           suspect:1;   /* the engine counts it */
};


/* All of the event loop's thread. */

/* Starts a run; NGX_ERROR without memory. */
ngx_int_t ngx_http_agents_run_start(ngx_http_agents_engine_t *engine,
    const ngx_http_agents_settings_t *settings,
    const ngx_http_agents_run_key_t *key);

/* Stops it as said, now or as soon as what cannot be cancelled is over; the
 * first reason stands, but FORGET outweighs all.  "incident" and "why" are
 * static. */
void ngx_http_agents_run_stop(ngx_http_agents_run_t *run,
    ngx_http_agents_run_stop_e stop, const char *incident, const char *why);

/* Its user wants it to end, or has removed it: whatever is under way is cut
 * off.  Nothing comes of it where the run is about to end anyway. */
void ngx_http_agents_run_cancel(ngx_http_agents_run_t *run);

/* Gives it up if it is at a point where nothing is lost by it: before
 * discovery, and in line for an inference; if it is late, at any. */
void ngx_http_agents_run_drain(ngx_http_agents_run_t *run, ngx_uint_t late);

/* Frees all of it; nothing is pending. */
void ngx_http_agents_run_destroy(ngx_http_agents_run_t *run);


/* Between the files of a run. */

/* Copies a key; its strings are in what is returned, malloc'd; NULL without
 * memory. */
char *ngx_http_agents_run_copy_key(ngx_http_agents_run_key_t *to,
    const ngx_http_agents_run_key_t *from, ngx_log_t *log);

/* "think" in a pool thread, with the loop to itself; "then" in the event loop,
 * unless the run was stopped meanwhile. */
void ngx_http_agents_run_think(ngx_http_agents_run_t *run,
    void (*think)(ngx_http_agents_run_t *run),
    void (*then)(ngx_http_agents_run_t *run));

/* Something that was pending is over: NGX_OK to go on, NGX_ABORT where the
 * run was stopped (and may be gone). */
ngx_int_t ngx_http_agents_run_settled(ngx_http_agents_run_t *run);

/* Whether its loop had no memory in the last thought: then the run is given up,
 * and begins again from what is stored, here or where there is more. */
ngx_uint_t ngx_http_agents_run_exhausted(ngx_http_agents_run_t *run);

/* Ends the run for a reason of the engine's. */
void ngx_http_agents_run_fail(ngx_http_agents_run_t *run, const char *incident,
    const char *why);

/* Goes on as the last thought said. */
void ngx_http_agents_run_thought(ngx_http_agents_run_t *run);

/* Ends the run as its loop has it by now. */
void ngx_http_agents_run_end(ngx_http_agents_run_t *run);

/* infer: the line, the inference, the reply */
void ngx_http_agents_run_infer_init(ngx_http_agents_run_t *run);
void ngx_http_agents_run_infer(ngx_http_agents_run_t *run);
void ngx_http_agents_run_infer_cancel(ngx_http_agents_run_t *run);

/*
 * tell: what the model says, to those who follow the run.  tell: of the
 * inference that has just begun; drop: it comes to nothing; judge, compare (in
 * a pool thread), judged: it is a reply, whose turn has to say the same; asked:
 * someone listens, see ngx_http_agents_deltas_ask_pt.
 */
void ngx_http_agents_run_tell(ngx_http_agents_run_t *run);
void ngx_http_agents_run_tell_drop(ngx_http_agents_run_t *run);
void ngx_http_agents_run_tell_judge(ngx_http_agents_run_t *run);
void ngx_http_agents_run_tell_compare(ngx_http_agents_run_t *run);
void ngx_http_agents_run_tell_judged(ngx_http_agents_run_t *run);
ngx_int_t ngx_http_agents_run_tell_asked(ngx_http_agents_run_t *run,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_to_t *to);
void ngx_http_agents_run_tell_free(ngx_http_agents_run_t *run);

/* The metrics of an inference: begun, and ended; NULL: cancelled. */
void ngx_http_agents_run_infer_begun(
    const ngx_http_agents_engine_conf_t *conf);
void ngx_http_agents_run_infer_ended(
    const ngx_http_agents_engine_conf_t *conf,
    const ngx_http_agents_model_t *model, ngx_msec_t since,
    const ngx_http_agents_inference_result_t *result);

/* calls: discovery, tools/call */
void ngx_http_agents_run_discover(ngx_http_agents_run_t *run);
void ngx_http_agents_run_call(ngx_http_agents_run_t *run);
void ngx_http_agents_run_call_again(ngx_http_agents_run_t *run);
void ngx_http_agents_run_calls_cancel(ngx_http_agents_run_t *run);
void ngx_http_agents_run_calls_free(ngx_http_agents_run_t *run);
void ngx_http_agents_run_servers_free(ngx_http_agents_run_t *run);

/* what the state machine does after a turn's calls, and with no tools left */
void ngx_http_agents_run_called(ngx_http_agents_run_t *run);
void ngx_http_agents_run_discovered(ngx_http_agents_run_t *run);

/* write: batches of the run, repeated until the store takes them */
void ngx_http_agents_run_write_begin(ngx_http_agents_run_t *run);
void ngx_http_agents_run_write_turn(ngx_http_agents_run_t *run);
void ngx_http_agents_run_write_job(ngx_http_agents_run_t *run);
void ngx_http_agents_run_write_results(ngx_http_agents_run_t *run);
void ngx_http_agents_run_write_end(ngx_http_agents_run_t *run);
void ngx_http_agents_run_give_up(ngx_http_agents_run_t *run);

/* "again" is called a little later, a little more so each time in a row. */
void ngx_http_agents_run_wait(ngx_http_agents_run_t *run,
    void (*again)(ngx_http_agents_run_t *run));

/*
 * How a batch of the run went: NGX_OK; NGX_AGAIN: "again" will be called;
 * NGX_ABORT: the run was stopped (and may be gone).  Frees the batch.
 */
ngx_int_t ngx_http_agents_run_written(ngx_http_agents_run_t *run,
    ngx_http_agents_db_batch_t *batch, ngx_uint_t guarded,
    void (*again)(ngx_http_agents_run_t *run));

/* the id of another inference is in the store */
void ngx_http_agents_run_job_written(ngx_http_agents_run_t *run);


/* Of the engine, for its runs.  stray: a run may be left in the store as this
 * worker's, without being here.  title_join: NGX_DECLINED if it has as many
 * titles as it may have. */

const ngx_http_agents_engine_conf_t *ngx_http_agents_engine_conf(
    ngx_http_agents_engine_t *engine);
ngx_uint_t ngx_http_agents_engine_draining(ngx_http_agents_engine_t *engine);
ngx_int_t ngx_http_agents_engine_title_join(ngx_http_agents_engine_t *engine,
    ngx_queue_t *title);
void ngx_http_agents_engine_title_leave(ngx_http_agents_engine_t *engine,
    ngx_queue_t *title);
void ngx_http_agents_engine_stray(ngx_http_agents_engine_t *engine);
void ngx_http_agents_engine_join(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run);
/* It is no suspect, or no longer. */
void ngx_http_agents_engine_cleared(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run);
void ngx_http_agents_engine_leave(ngx_http_agents_engine_t *engine,
    ngx_http_agents_run_t *run);


#endif /* _NGX_HTTP_AGENTS_RUN_H_INCLUDED_ */
