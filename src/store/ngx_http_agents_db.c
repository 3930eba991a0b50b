
/*
 * Batches: how they are built and how their results are read.  No nginx.
 */


#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_db_batch.h"


#define NGX_HTTP_AGENTS_DB_CHUNK  4000
#define NGX_HTTP_AGENTS_DB_ALIGN  16

#define NGX_HTTP_AGENTS_DB_INT_SIZE  sizeof("-9223372036854775808")


/*
 * The arena: a first chunk that most batches fit into, the others behind it.
 * What is large has a chunk of its own, so that the rest of the current one
 * is not lost.
 */

typedef struct ngx_http_agents_db_chunk_s  ngx_http_agents_db_chunk_t;

struct ngx_http_agents_db_chunk_s {
    ngx_http_agents_db_chunk_t  *next;
    size_t                       used;
    size_t                       size;
} __attribute__((aligned(NGX_HTTP_AGENTS_DB_ALIGN)));


static void *ngx_http_agents_db_arena_alloc(void *arena, size_t size);
static ngx_http_agents_db_chunk_t *ngx_http_agents_db_chunk(size_t size);
static ngx_http_agents_db_value_t *ngx_http_agents_db_bind(
    ngx_http_agents_db_batch_t *batch, const char *name);
static const ngx_http_agents_db_statement_t *ngx_http_agents_db_statement(
    const ngx_http_agents_db_batch_t *batch, size_t statement);
static const ngx_http_agents_db_cell_t *ngx_http_agents_db_cell(
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row,
    size_t column);


ngx_http_agents_db_batch_t *
ngx_http_agents_db_batch(ngx_http_agents_db_kind_e kind,
    ngx_http_agents_db_done_pt done, void *data)
{
    ngx_http_agents_db_batch_t  *batch;

    batch = calloc(1, sizeof(ngx_http_agents_db_batch_t));
    if (batch == NULL) {
        return NULL;
    }

    batch->arena = ngx_http_agents_db_chunk(NGX_HTTP_AGENTS_DB_CHUNK);
    if (batch->arena == NULL) {
        free(batch);
        return NULL;
    }

    batch->kind = kind;
    batch->done = done;
    batch->data = data;

    return batch;
}


void
ngx_http_agents_db_batch_free(ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_chunk_t  *chunk, *next;

    if (batch == NULL) {
        return;
    }

    for (chunk = batch->arena; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }

    free(batch);
}


void *
ngx_http_agents_db_batch_alloc(ngx_http_agents_db_batch_t *batch, size_t size)
{
    return ngx_http_agents_db_arena_alloc(batch->arena, size);
}


static void *
ngx_http_agents_db_arena_alloc(void *arena, size_t size)
{
    void                        *p;
    ngx_http_agents_db_chunk_t  *first, *chunk;

    first = arena;

    if (size > SIZE_MAX / 2) {
        return NULL;
    }

    size = (size + NGX_HTTP_AGENTS_DB_ALIGN - 1)
           & ~((size_t) NGX_HTTP_AGENTS_DB_ALIGN - 1);

    /* the chunk in use is the first or the one right behind it */

    chunk = first->next ? first->next : first;

    if (chunk->size - chunk->used < size) {

        if (size > NGX_HTTP_AGENTS_DB_CHUNK / 2) {
            chunk = ngx_http_agents_db_chunk(size);
            if (chunk == NULL) {
                return NULL;
            }

            /*
             * a full chunk must not hide the one in use: it goes behind it,
             * unless the first one is what is in use
             */

            if (first->next) {
                chunk->next = first->next->next;
                first->next->next = chunk;

            } else {
                first->next = chunk;
            }

        } else {
            chunk = ngx_http_agents_db_chunk(4 * NGX_HTTP_AGENTS_DB_CHUNK);
            if (chunk == NULL) {
                return NULL;
            }

            chunk->next = first->next;
            first->next = chunk;
        }
    }

    p = (char *) chunk + sizeof(ngx_http_agents_db_chunk_t) + chunk->used;
    chunk->used += size;

    return p;
}


static ngx_http_agents_db_chunk_t *
ngx_http_agents_db_chunk(size_t size)
{
    ngx_http_agents_db_chunk_t  *chunk;

    chunk = malloc(sizeof(ngx_http_agents_db_chunk_t) + size);
    if (chunk == NULL) {
        return NULL;
    }

    chunk->next = NULL;
    chunk->used = 0;
    chunk->size = size;

    return chunk;
}


void
ngx_http_agents_db_add(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_db_query_t *query)
{
    size_t                           n;
    const char                      *p;
    ngx_http_agents_db_statement_t  *statement;

    statement = ngx_http_agents_db_batch_alloc(batch,
                                      sizeof(ngx_http_agents_db_statement_t));
    if (statement == NULL) {
        batch->failed = 1;
        return;
    }

    memset(statement, 0, sizeof(ngx_http_agents_db_statement_t));

    /* no statement has more parameters than its template has braces */

    n = 0;

    for (p = strchr(query->sql, '{'); p; p = strchr(p + 1, '{')) {
        n++;
    }

    if (n > NGX_HTTP_AGENTS_DB_VALUES_MAX) {
        n = NGX_HTTP_AGENTS_DB_VALUES_MAX;
    }

    statement->query = query;
    statement->size = n;

    if (n) {
        statement->values = ngx_http_agents_db_batch_alloc(batch,
                                      n * sizeof(ngx_http_agents_db_value_t));
        if (statement->values == NULL) {
            batch->failed = 1;
            return;
        }
    }

    if (batch->last) {
        batch->last->next = statement;

    } else {
        batch->first = statement;
    }

    batch->last = statement;
    batch->n++;
}


void
ngx_http_agents_db_text(ngx_http_agents_db_batch_t *batch, const char *name,
    const char *value, size_t len)
{
    char                        *copy;
    ngx_http_agents_db_value_t  *v;

    v = ngx_http_agents_db_bind(batch, name);
    if (v == NULL || value == NULL) {
        return;
    }

    copy = ngx_http_agents_db_batch_alloc(batch, len + 1);
    if (copy == NULL) {
        batch->failed = 1;
        return;
    }

    memcpy(copy, value, len);
    copy[len] = '\0';

    v->text = copy;
    v->len = len;
}


void
ngx_http_agents_db_cstr(ngx_http_agents_db_batch_t *batch, const char *name,
    const char *value)
{
    ngx_http_agents_db_text(batch, name, value, value ? strlen(value) : 0);
}


void
ngx_http_agents_db_int(ngx_http_agents_db_batch_t *batch, const char *name,
    int64_t value)
{
    ngx_http_agents_db_value_t  *v;

    v = ngx_http_agents_db_bind(batch, name);
    if (v == NULL) {
        return;
    }

    v->integer = value;
    v->is_int = 1;
}


void
ngx_http_agents_db_fail(ngx_http_agents_db_batch_t *batch)
{
    batch->failed = 1;
}


static ngx_http_agents_db_value_t *
ngx_http_agents_db_bind(ngx_http_agents_db_batch_t *batch, const char *name)
{
    ngx_http_agents_db_value_t      *v;
    ngx_http_agents_db_statement_t  *statement;

    statement = batch->last;

    if (batch->failed) {
        return NULL;
    }

    if (statement == NULL || statement->nvalues == statement->size) {
        batch->failed = 1;
        batch->misused = 1;
        return NULL;
    }

    v = &statement->values[statement->nvalues++];

    memset(v, 0, sizeof(ngx_http_agents_db_value_t));
    v->name = name;

    return v;
}


const ngx_http_agents_db_value_t *
ngx_http_agents_db_batch_value(const ngx_http_agents_db_statement_t *statement,
    const char *name)
{
    size_t  i;

    for (i = 0; i < statement->nvalues; i++) {
        if (strcmp(statement->values[i].name, name) == 0) {
            return &statement->values[i];
        }
    }

    return NULL;
}


void
ngx_http_agents_db_batch_rewind(ngx_http_agents_db_batch_t *batch)
{
    ngx_http_agents_db_statement_t  *statement;

    /* what the arena holds of the old results goes with the batch */

    for (statement = batch->first; statement; statement = statement->next) {
        statement->cells = NULL;
        statement->rows = 0;
        statement->columns = 0;
        statement->changes = 0;
    }

    batch->status = NGX_HTTP_AGENTS_DB_OK;
    batch->error[0] = '\0';
}


void
ngx_http_agents_db_submit(ngx_http_agents_db_t *db,
    ngx_http_agents_db_batch_t *batch)
{
    db->submit(db, batch);
}


ngx_http_agents_db_status_e
ngx_http_agents_db_status(const ngx_http_agents_db_batch_t *batch)
{
    return batch->status;
}


size_t
ngx_http_agents_db_rows(const ngx_http_agents_db_batch_t *batch,
    size_t statement)
{
    const ngx_http_agents_db_statement_t  *s;

    s = ngx_http_agents_db_statement(batch, statement);

    return s ? s->rows : 0;
}


int64_t
ngx_http_agents_db_changes(const ngx_http_agents_db_batch_t *batch,
    size_t statement)
{
    const ngx_http_agents_db_statement_t  *s;

    s = ngx_http_agents_db_statement(batch, statement);

    return s ? s->changes : 0;
}


const char *
ngx_http_agents_db_get(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, size_t column, size_t *len)
{
    int                               n;
    char                             *p;
    const ngx_http_agents_db_cell_t  *cell;

    if (len) {
        *len = 0;
    }

    cell = ngx_http_agents_db_cell(batch, statement, row, column);
    if (cell == NULL) {
        return NULL;
    }

    if (cell->text || !cell->is_int) {
        if (len) {
            *len = cell->len;
        }

        return cell->text;
    }

    p = ngx_http_agents_db_arena_alloc(batch->arena,
                                       NGX_HTTP_AGENTS_DB_INT_SIZE);
    if (p == NULL) {
        return NULL;
    }

    n = snprintf(p, NGX_HTTP_AGENTS_DB_INT_SIZE, "%" PRId64, cell->integer);

    if (len) {
        *len = (size_t) n;
    }

    return p;
}


int64_t
ngx_http_agents_db_get_int(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, size_t column)
{
    const ngx_http_agents_db_cell_t  *cell;

    cell = ngx_http_agents_db_cell(batch, statement, row, column);
    if (cell == NULL) {
        return 0;
    }

    if (cell->is_int) {
        return cell->integer;
    }

    return cell->text ? (int64_t) strtoll(cell->text, NULL, 10) : 0;
}


static const ngx_http_agents_db_statement_t *
ngx_http_agents_db_statement(const ngx_http_agents_db_batch_t *batch,
    size_t statement)
{
    const ngx_http_agents_db_statement_t  *s;

    for (s = batch->first; s && statement; s = s->next) {
        statement--;
    }

    return s;
}


static const ngx_http_agents_db_cell_t *
ngx_http_agents_db_cell(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, size_t column)
{
    const ngx_http_agents_db_statement_t  *s;

    s = ngx_http_agents_db_statement(batch, statement);

    if (s == NULL || row >= s->rows || column >= s->columns) {
        return NULL;
    }

    return &s->cells[row * s->columns + column];
}
