
/*
 * Which migration comes next.  No nginx.
 */


#include <stddef.h>
#include "ngx_http_agents_migrations.h"


const ngx_http_agents_db_query_t  ngx_http_agents_migrations_version = {
    "agents_schema_version",
    "SELECT COALESCE(MAX(version), 0) FROM agents_schema"
};


const char *
ngx_http_agents_migrations_next(ngx_http_agents_db_engine_e engine,
    int64_t version)
{
    if (version < 0 || version >= NGX_HTTP_AGENTS_MIGRATIONS_N) {
        return NULL;
    }

    if (engine == NGX_HTTP_AGENTS_DB_POSTGRES) {
        return ngx_http_agents_migrations_postgres[version];
    }

    return ngx_http_agents_migrations_sqlite[version];
}
