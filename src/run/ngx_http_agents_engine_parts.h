
/*
 * What the files of the engine share: ngx_http_agents_engine.c has its runs and
 * its clock, ngx_http_agents_engine_leases.c what it asks of the store for
 * them.
 */


#ifndef _NGX_HTTP_AGENTS_ENGINE_PARTS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ENGINE_PARTS_H_INCLUDED_


#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_run.h"


/* In milliseconds. */
#define NGX_HTTP_AGENTS_TICK          250   /* how soon a quit is seen */
#define NGX_HTTP_AGENTS_CLAIM_EVERY   500
#define NGX_HTTP_AGENTS_SUSPECT_FOR   5000  /* then another may be taken */
#define NGX_HTTP_AGENTS_EXPIRE_FIRST  1000  /* a new worker's, at most */
#define NGX_HTTP_AGENTS_EXPIRE_EVERY  4000
#define NGX_HTTP_AGENTS_QUIET         6000  /* the store, or we, were away */
#define NGX_HTTP_AGENTS_STOPS_EVERY   500
#define NGX_HTTP_AGENTS_STRAYS_EVERY  20000
#define NGX_HTTP_AGENTS_STRAYS_SOON   1000


struct ngx_http_agents_engine_s {
    ngx_http_agents_engine_conf_t  conf;
    char                           worker[NGX_HTTP_AGENTS_UUID_LEN + 1];

    ngx_queue_t                    runs;
    ngx_queue_t                    titles;
    ngx_rbtree_t                   ids;         /* of the same, by id */
    ngx_rbtree_node_t              sentinel;
    ngx_uint_t                     active;
    ngx_uint_t                     ntitles;
    ngx_uint_t                     claims;      /* batches on their way */
    ngx_uint_t                     suspects;    /* runs, without a step yet */
    ngx_uint_t                     turn;        /* of the APIs: whose suspects
                                                   are looked for */
    char                           stray[NGX_HTTP_AGENTS_UUID_LEN + 1];
                                                /* where the look for strays
                                                   is; "": at its start */

    ngx_queue_t                    cancelling;  /* runs, in line for it */
    ngx_event_t                    cancel;

    ngx_event_t                    tick;
    ngx_msec_t                     tick_at;     /* 0: the first is to come */
    ngx_msec_t                     renew_at;    /* by ngx_current_msec */
    ngx_msec_t                     renew_since; /* the last was sent */
    int64_t                        lease_until; /* by the database's clock */
    ngx_msec_t                     claim_at;
    ngx_msec_t                     suspect_until;
    ngx_msec_t                     expire_at;
    ngx_msec_t                     quiet_until; /* no lease is found ended */
    ngx_msec_t                     stops_at;
    ngx_msec_t                     strays_at;
    ngx_msec_t                     drain_until;
    unsigned                       renewing:1;  /* a batch is on its way */
    unsigned                       expiring:1;
    unsigned                       looking:1;   /* for strays */
    unsigned                       asking:1;    /* which runs are to stop */
    unsigned                       ask_again:1;
    unsigned                       releasing:1;
    unsigned                       leased:1;    /* the store knows us */
    unsigned                       draining:1;
    unsigned                       released:1;
};


ngx_uint_t ngx_http_agents_engine_due(ngx_msec_t at);

/* A run that may have brought two workers down was claimed; it may be gone. */
void ngx_http_agents_engine_suspect(ngx_http_agents_engine_t *engine,
    const char *id);

/*
 * This worker could not renew in time.  If that was the store, neither could
 * the others: they have some time to come back before their runs are taken.
 */
void ngx_http_agents_engine_late(ngx_http_agents_engine_t *engine);

/* Each is one batch on its way. */
void ngx_http_agents_engine_renew(ngx_http_agents_engine_t *engine);
void ngx_http_agents_engine_claim(ngx_http_agents_engine_t *engine);
void ngx_http_agents_engine_expire(ngx_http_agents_engine_t *engine);
void ngx_http_agents_engine_strays(ngx_http_agents_engine_t *engine);
void ngx_http_agents_engine_release(ngx_http_agents_engine_t *engine);

/* In process exit: gives up what still bears the worker's id, and waits for it,
 * but not for long: nginx kills workers that do not end. */
void ngx_http_agents_engine_abandon(ngx_http_agents_engine_t *engine);


#endif /* _NGX_HTTP_AGENTS_ENGINE_PARTS_H_INCLUDED_ */
