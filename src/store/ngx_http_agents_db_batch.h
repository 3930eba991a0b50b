
/*
 * The inside of a batch, for drivers and adapters.  Everything of a batch
 * lives in its arena and goes with it.  No nginx.
 */


#ifndef _NGX_HTTP_AGENTS_DB_BATCH_H_INCLUDED_
#define _NGX_HTTP_AGENTS_DB_BATCH_H_INCLUDED_


#include "ngx_http_agents_db.h"


/* A template, read once for an engine: placeholders in the order of $n / ?n. */
typedef struct {
    char        *sql;           /* as the engine takes it */
    char       **names;         /* of the parameters, each once */
    unsigned char  *ints;       /* names[i] is BIGINT, else TEXT */
    size_t       n;
} ngx_http_agents_db_template_t;


typedef enum {
    NGX_HTTP_AGENTS_DB_SQLITE = 0,
    NGX_HTTP_AGENTS_DB_POSTGRES
} ngx_http_agents_db_engine_e;


typedef struct {
    const char  *name;          /* as bound; the caller's literal */
    const char  *text;          /* NULL: SQL's NULL, or an integer */
    size_t       len;
    int64_t      integer;
    unsigned     is_int:1;
} ngx_http_agents_db_value_t;


/* One value of a result: text and integer alike, whichever was asked. */
typedef struct {
    const char  *text;          /* NUL terminated; NULL: SQL's NULL, or an
                                   integer that was stored as one */
    size_t       len;
    int64_t      integer;       /* where is_int */
    unsigned     is_int:1;
} ngx_http_agents_db_cell_t;


#define NGX_HTTP_AGENTS_DB_VALUES_MAX  40


typedef struct ngx_http_agents_db_statement_s  ngx_http_agents_db_statement_t;

struct ngx_http_agents_db_statement_s {
    const ngx_http_agents_db_query_t  *query;
    ngx_http_agents_db_value_t        *values;  /* room for "size" of them */
    size_t                             nvalues;
    size_t                             size;
    /* the result: rows * columns cells, filled by the driver */
    ngx_http_agents_db_cell_t         *cells;
    size_t                             rows;
    size_t                             columns;
    int64_t                            changes;
    ngx_http_agents_db_statement_t    *next;
};


struct ngx_http_agents_db_batch_s {
    ngx_http_agents_db_kind_e          kind;
    ngx_http_agents_db_status_e        status;
    ngx_http_agents_db_done_pt         done;
    void                              *data;
    ngx_http_agents_db_statement_t    *first;
    ngx_http_agents_db_statement_t    *last;
    size_t                             n;       /* statements */
    unsigned                           failed:1;    /* no memory, while built;
                                                       or "misused" */
    unsigned                           misused:1;   /* a value too many */
    unsigned                           attempts:8;  /* after 40001, 40P01 */
    unsigned                           same:1;      /* asks what the one before
                                                       it asks; db_pg_share */
    uint64_t                           submitted;   /* microseconds, by the
                                                       clock of metrics */
    char                               error[256];  /* the engine's words */
    void                              *arena;
    ngx_http_agents_db_batch_t        *next;    /* in an adapter's line */
};


/* Memory of the batch, aligned for anything; NULL without. */
void *ngx_http_agents_db_batch_alloc(ngx_http_agents_db_batch_t *batch,
    size_t size);

/* Forgets the results, to run the batch again. */
void ngx_http_agents_db_batch_rewind(ngx_http_agents_db_batch_t *batch);

/* The value bound to "name"; NULL if none was. */
const ngx_http_agents_db_value_t *ngx_http_agents_db_batch_value(
    const ngx_http_agents_db_statement_t *statement, const char *name);

/* 0, or -1 for a malformed template or without memory. */
int ngx_http_agents_db_template_read(ngx_http_agents_db_template_t *tmpl,
    const char *sql, ngx_http_agents_db_engine_e engine);
void ngx_http_agents_db_template_free(ngx_http_agents_db_template_t *tmpl);


#endif /* _NGX_HTTP_AGENTS_DB_BATCH_H_INCLUDED_ */
