
/*
 * The schema's versions: the texts of sql/sqlite and sql/postgres, which
 * sql/embed.sh puts into the binaries.  Migration number n leads from version
 * n - 1 to n and writes its own row into agents_schema.  No nginx.
 */


#ifndef _NGX_HTTP_AGENTS_MIGRATIONS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MIGRATIONS_H_INCLUDED_


#include "ngx_http_agents_db_batch.h"


/* The version that this program needs; a later one will do as well. */
#define NGX_HTTP_AGENTS_MIGRATIONS_N  6


/* Generated: the texts, each of several statements. */
extern const char *const
    ngx_http_agents_migrations_sqlite[NGX_HTTP_AGENTS_MIGRATIONS_N];
extern const char *const
    ngx_http_agents_migrations_postgres[NGX_HTTP_AGENTS_MIGRATIONS_N];


/*
 * One row, one column: the version that the schema has.  An error where there
 * is no agents_schema (on PostgreSQL SQLSTATE 42P01): version 0.
 */
extern const ngx_http_agents_db_query_t  ngx_http_agents_migrations_version;

/*
 * The text that leads from "version" (from 0) to the next one; NULL where the
 * schema is current.
 */
const char *ngx_http_agents_migrations_next(
    ngx_http_agents_db_engine_e engine, int64_t version);


#endif /* _NGX_HTTP_AGENTS_MIGRATIONS_H_INCLUDED_ */
