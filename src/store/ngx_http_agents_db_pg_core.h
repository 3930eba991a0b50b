
/*
 * What the files of the PostgreSQL driver share: db_pg (the connection's
 * states), db_pg_send (statements), db_pg_share (one statement for several
 * reads) and db_pg_result (answers).  No nginx.
 */


#ifndef _NGX_HTTP_AGENTS_DB_PG_CORE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_PG_CORE_H_INCLUDED_


#include <libpq-fe.h>
#include "ngx_http_agents_db_pg.h"


/* How often a batch is sent before its 40001 or 40P01 is final. */
#define NGX_HTTP_AGENTS_DB_PG_ATTEMPTS  5

/* Milliseconds before the second time; doubled for each further one. */
#define NGX_HTTP_AGENTS_DB_PG_BACKOFF   10

/*
 * Groups in flight, and reads in a group: enough for the server to be always
 * busy; what waits here can still fail as not sent.
 */
#define NGX_HTTP_AGENTS_DB_PG_WINDOW    128
#define NGX_HTTP_AGENTS_DB_PG_SHARED    64

/* Types of the server. */
#define NGX_HTTP_AGENTS_DB_PG_BOOLOID  16
#define NGX_HTTP_AGENTS_DB_PG_INT8OID  20
#define NGX_HTTP_AGENTS_DB_PG_INT2OID  21
#define NGX_HTTP_AGENTS_DB_PG_INT4OID  23
#define NGX_HTTP_AGENTS_DB_PG_TEXTOID  25


/* A text of SQL, and whether this connection has it prepared. */
typedef struct {
    const char                        *name;
    const char                        *sql;         /* NULL: not made yet */
    unsigned                           prepared:1;
} ngx_http_agents_db_pg_text_t;


/* A query as this connection knows it. */
typedef struct {
    const ngx_http_agents_db_query_t  *query;
    ngx_http_agents_db_template_t      tmpl;
    ngx_http_agents_db_pg_text_t       single;
    ngx_http_agents_db_pg_text_t       shared;      /* malloc'd */
} ngx_http_agents_db_pg_slot_t;


/* A statement's parameters as libpq takes them. */
typedef struct {
    Oid                                types[NGX_HTTP_AGENTS_DB_VALUES_MAX];
    const char                        *values[NGX_HTTP_AGENTS_DB_VALUES_MAX];
    int                                lengths[NGX_HTTP_AGENTS_DB_VALUES_MAX];
    int                                formats[NGX_HTTP_AGENTS_DB_VALUES_MAX];
    char                               ints[NGX_HTTP_AGENTS_DB_VALUES_MAX]
                                           [sizeof("-9223372036854775808")];
} ngx_http_agents_db_pg_bind_t;


/* What an error means for the batch that met it. */
typedef enum {
    NGX_HTTP_AGENTS_DB_PG_FINAL = 0,
    NGX_HTTP_AGENTS_DB_PG_REPEAT,       /* a conflict: again, a bit later */
    NGX_HTTP_AGENTS_DB_PG_STALE,        /* prepare anew, then again */
    NGX_HTTP_AGENTS_DB_PG_MISSING,      /* a table: UNMIGRATED */
    NGX_HTTP_AGENTS_DB_PG_FATAL         /* LOST */
} ngx_http_agents_db_pg_verdict_e;


/* What stands between two Syncs: one write batch, or reads. */
typedef struct ngx_http_agents_db_pg_group_s  ngx_http_agents_db_pg_group_t;

struct ngx_http_agents_db_pg_group_s {
    ngx_http_agents_db_batch_t        *first;
    ngx_http_agents_db_batch_t        *last;
    size_t                             n;
    int64_t                            since;       /* submitted */
    int64_t                            sent;
    int64_t                            not_before;  /* while delayed */
    ngx_http_agents_db_batch_t        *failed;      /* whose error it was */
    ngx_http_agents_db_status_e        status;      /* for that one */
    ngx_http_agents_db_pg_verdict_e    verdict;
    unsigned                           shared:1;    /* its statement was that
                                                       of others, too */
    unsigned                           alone:1;     /* takes no others in */
    unsigned                           synced:1;    /* could be committed */
    ngx_http_agents_db_pg_group_t     *next;
};


typedef struct {
    ngx_http_agents_db_pg_group_t     *first;
    ngx_http_agents_db_pg_group_t     *last;
    size_t                             n;
} ngx_http_agents_db_pg_groups_t;


typedef enum {
    NGX_HTTP_AGENTS_DB_PG_PREPARE = 0,
    NGX_HTTP_AGENTS_DB_PG_QUERY,
    NGX_HTTP_AGENTS_DB_PG_CONTROL,      /* its answer does not matter */
    NGX_HTTP_AGENTS_DB_PG_LISTEN,
    NGX_HTTP_AGENTS_DB_PG_READ_ONLY,
    NGX_HTTP_AGENTS_DB_PG_VERSION,
    NGX_HTTP_AGENTS_DB_PG_SYNC,
    NGX_HTTP_AGENTS_DB_PG_VERSION_SYNC
} ngx_http_agents_db_pg_command_e;


/* A command whose answer is awaited. */
typedef struct {
    ngx_http_agents_db_pg_command_e    type;
    ngx_http_agents_db_pg_group_t     *group;
    ngx_http_agents_db_batch_t        *batch;
    ngx_http_agents_db_statement_t    *statement;
    size_t                             shared;      /* 0, or for how many keys,
                                                       of that batch and others
                                                       behind it */
    ngx_http_agents_db_pg_text_t      *text;
} ngx_http_agents_db_pg_command_t;


struct ngx_http_agents_db_pg_s {
    ngx_http_agents_db_pg_conf_t       conf;
    ngx_http_agents_db_pg_state_e      state;
    PGconn                            *conn;
    PostgresPollingStatusType          polling;     /* while CONNECTING */
    unsigned                           unflushed:1; /* waits for WRITE */
    unsigned                           stale:1;     /* prepare all anew */
    unsigned                           unshared:1;  /* the server does not do
                                                       shared statements */
    int64_t                            version;     /* of the schema; -1 */
    int64_t                            now;

    ngx_http_agents_db_pg_group_t     *open;        /* gathers reads */
    ngx_http_agents_db_pg_groups_t     waiting;
    ngx_http_agents_db_pg_groups_t     delayed;
    ngx_http_agents_db_pg_groups_t     flying;
    size_t                             load;        /* batches in all these */

    /* a ring; its size is a power of two */
    ngx_http_agents_db_pg_command_t   *commands;
    size_t                             commands_size;
    size_t                             commands_head;
    size_t                             commands_n;

    /* a hash by address; its size is a power of two */
    ngx_http_agents_db_pg_slot_t     **slots;
    size_t                             slots_size;
    size_t                             slots_n;

    ngx_http_agents_db_batch_t        *finished;
    ngx_http_agents_db_batch_t        *finished_last;

    char                               error[256];
};


/* db_pg */

void ngx_http_agents_db_pg_groups_push(ngx_http_agents_db_pg_groups_t *groups,
    ngx_http_agents_db_pg_group_t *group);
ngx_http_agents_db_pg_group_t *ngx_http_agents_db_pg_groups_pop(
    ngx_http_agents_db_pg_groups_t *groups);

/* A group with that one batch, or NULL. */
ngx_http_agents_db_pg_group_t *ngx_http_agents_db_pg_group(
    ngx_http_agents_db_batch_t *batch, int64_t since);

/* To "finished", with its final status; "why" NULL: batch->error says it. */
void ngx_http_agents_db_pg_finish(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_batch_t *batch, ngx_http_agents_db_status_e status,
    const char *why);

/* To LOST; the message's first line is kept. */
void ngx_http_agents_db_pg_lost(ngx_http_agents_db_pg_t *pg,
    const char *message);

/* To UNMIGRATED; what was not sent finishes as DB_UNAVAILABLE. */
void ngx_http_agents_db_pg_unmigrated(ngx_http_agents_db_pg_t *pg,
    const char *message);


/* db_pg_send */

/* 0, or -1: it finishes with the status that batch has then, and its error. */
int ngx_http_agents_db_pg_validate(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_batch_t *batch);

/* 0, or -1 if the connection is LOST by it. */
int ngx_http_agents_db_pg_send_group(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group);

/* The questions whose answers CHECKING waits for. */
int ngx_http_agents_db_pg_send_check(ngx_http_agents_db_pg_t *pg);

/*
 * Sends the text, prepared first unless it is or is not to be; "command" says
 * whose answer it is.  0, or -1 if the connection is LOST by it.
 */
int ngx_http_agents_db_pg_send_text(ngx_http_agents_db_pg_t *pg,
    const ngx_http_agents_db_pg_command_t *command, int n,
    const ngx_http_agents_db_pg_bind_t *bind);

/* What a query is on this connection; NULL without memory, or malformed. */
ngx_http_agents_db_pg_slot_t *ngx_http_agents_db_pg_slot(
    ngx_http_agents_db_pg_t *pg, const ngx_http_agents_db_query_t *query);

/* The connection is new, or is to forget: nothing is prepared. */
void ngx_http_agents_db_pg_slots_forget(ngx_http_agents_db_pg_t *pg);
void ngx_http_agents_db_pg_slots_free(ngx_http_agents_db_pg_t *pg);


/* db_pg_share */

/*
 * Moves what can share a statement with this batch of the group right behind
 * it, what asks the same thing side by side: how many they are with it.
 */
size_t ngx_http_agents_db_pg_share_gather(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch);

/*
 * Sends that statement.  0; 1 if there is none, or no memory for it, and they
 * go one by one; -1 if the connection is LOST by it.
 */
int ngx_http_agents_db_pg_share_send(ngx_http_agents_db_pg_t *pg,
    ngx_http_agents_db_pg_group_t *group, ngx_http_agents_db_batch_t *batch,
    size_t n);

/* Gives each batch its rows; the connection is LOST if they are no one's. */
void ngx_http_agents_db_pg_share_result(ngx_http_agents_db_pg_t *pg,
    const ngx_http_agents_db_pg_command_t *command, const PGresult *res);


/* db_pg_result */

/*
 * Copies rows and columns of a result, from these on, into the statement's;
 * without memory the batch is marked.
 */
void ngx_http_agents_db_pg_copy(ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_db_statement_t *statement, const PGresult *res, int row,
    int rows, int column);

/* Takes all answers that are there. */
void ngx_http_agents_db_pg_results(ngx_http_agents_db_pg_t *pg);


#endif /* _NGX_HTTP_AGENTS_DB_PG_CORE_H_INCLUDED_ */
