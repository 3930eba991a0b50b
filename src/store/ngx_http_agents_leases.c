
/*
 * Workers' leases, and how runs come to an owner.  No nginx.
 */


#include "ngx_http_agents_store_columns.h"


/* A run that has changed hands as often is suspected for each loss. */
#define NGX_HTTP_AGENTS_LEASES_EPOCHS  12


static const ngx_http_agents_db_query_t  ngx_http_agents_leases_renew_query = {
    "leases_renew",

    "INSERT INTO agents_workers (id, lease_until)"
    " VALUES ({worker}, {now} + {lease:int})"
    " ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until"
    " RETURNING lease_until"
};

/*
 * A run that is handed over by a worker that ends is no run that has brought
 * a worker down: the takeover that follows is taken off beforehand.
 */

#define NGX_HTTP_AGENTS_LEASES_RELEASE                                        \
    "UPDATE agents_runs SET owner = NULL, epoch = epoch + 1,"                 \
    " takeovers = takeovers - 1"

static const ngx_http_agents_db_query_t  ngx_http_agents_leases_release_query =
{
    "leases_release",

    NGX_HTTP_AGENTS_LEASES_RELEASE
    " WHERE owner = {worker} AND finished_at IS NULL"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_leases_end_query = {
    "leases_end",

    "DELETE FROM agents_workers WHERE id = {worker}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_leases_release_run_query =
{
    "leases_release_run",

    NGX_HTTP_AGENTS_LEASES_RELEASE
    " WHERE" NGX_HTTP_AGENTS_RUN_GUARD
};

static const ngx_http_agents_db_query_t  ngx_http_agents_leases_owned_query = {
    "leases_owned",

    "SELECT company_id, user_id, id, conversation_id, epoch, takeovers, api"
    " FROM agents_runs"
    " WHERE owner = {worker} AND finished_at IS NULL AND id > {after}"
    " ORDER BY id LIMIT {limit:int}"
};

/*
 * Where the oldest run would be taken over for the second time since its last
 * step, it is taken alone: it may be what brings workers down, and no other
 * run should be counted with it.  So a worker that has such a one takes no
 * second.
 *
 * No worker takes more than its share of what is there, and a little more: the
 * others are about to look, too.
 *
 * The rows are picked by a query of their own, which runs once: in a nested
 * loop it would lock more than its limit.
 */

static const ngx_http_agents_db_query_t  ngx_http_agents_leases_claim_query = {
    "leases_claim",

    "WITH oldest AS MATERIALIZED"
    " (SELECT id, takeovers FROM agents_runs"
    " WHERE api = {api} AND owner IS NULL AND finished_at IS NULL"
    " ORDER BY created_at, id LIMIT 1),"

    " share AS MATERIALIZED"
    " (SELECT (SELECT COUNT(*) FROM agents_runs"
    " WHERE api = {api} AND owner IS NULL AND finished_at IS NULL)"
    " / (SELECT COUNT(*) + 1 FROM agents_workers"
    " WHERE lease_until > {now} AND id <> {worker}) + 4 AS n),"

    " picked AS MATERIALIZED"
    " (SELECT company_id, user_id, id FROM agents_runs"
    " WHERE api = {api} AND owner IS NULL AND finished_at IS NULL"
    " AND CASE WHEN {suspect:int} = 1"
    " AND (SELECT takeovers FROM oldest) = 1"
    " THEN id = (SELECT id FROM oldest) ELSE takeovers <> 1 END"
    " ORDER BY created_at, id"
    " LIMIT (SELECT CASE WHEN n < {limit:int} THEN n ELSE {limit:int} END"
    " FROM share) {skip_locked})"

    " UPDATE agents_runs"
    " SET owner = {worker}, epoch = epoch + 1, takeovers = takeovers + 1"
    " WHERE (company_id, user_id, id) IN"
    " (SELECT company_id, user_id, id FROM picked)"
    " AND owner IS NULL AND finished_at IS NULL"
    " RETURNING company_id, user_id, id, conversation_id, epoch, takeovers, api"
};

/*
 * No run brings down its worker's master, and with it the workers that the
 * master would start: where no worker of the node lives, the takeover that
 * follows is none of the run's doing, and taken off beforehand.  But not for
 * ever: something else may kill a whole node for what one worker does.
 */

static const ngx_http_agents_db_query_t  ngx_http_agents_leases_expire_query =
{
    "leases_expire",

    "WITH lost AS MATERIALIZED"
    " (SELECT company_id, user_id, id FROM agents_runs"
    " WHERE owner IS NOT NULL AND finished_at IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM agents_workers w"
    " WHERE w.id = agents_runs.owner AND w.lease_until > {now})"
    " AND {now} < {before:int}"
    " LIMIT {limit:int} {skip_locked})"

    " UPDATE agents_runs SET owner = NULL, epoch = epoch + 1,"
    " takeovers = takeovers - CASE WHEN epoch < {epochs:int}"
    " AND NOT EXISTS (SELECT 1 FROM agents_workers w"
    " WHERE SUBSTR(w.id, 25) = SUBSTR(agents_runs.owner, 25)"
    " AND w.lease_until > {now}) THEN 1 ELSE 0 END"
    " WHERE (company_id, user_id, id) IN"
    " (SELECT company_id, user_id, id FROM lost)"
    " AND owner IS NOT NULL AND finished_at IS NULL"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_leases_purge_query = {
    "leases_purge",

    "DELETE FROM agents_workers WHERE lease_until < {now} - 86400000"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_leases_purge_stops_query =
{
    "leases_purge_stops",

    "DELETE FROM agents_stops WHERE created_at < {now} - 86400000"
};

/* Asked last: what came before it was in time if this is. */

static const ngx_http_agents_db_query_t  ngx_http_agents_leases_in_time_query =
{
    "leases_in_time",

    "SELECT CASE WHEN {now} < {before:int} THEN 1 ELSE 0 END"
};

static const ngx_http_agents_db_query_t  ngx_http_agents_leases_stops_query = {
    "leases_stops",

    "SELECT run_id FROM agents_stops WHERE worker = {worker}"
    " ORDER BY run_id LIMIT {limit:int}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_leases_stopped_query =
{
    "leases_stopped",

    "DELETE FROM agents_stops WHERE worker = {worker} AND run_id = {run}"
};

static const ngx_http_agents_db_query_t
    ngx_http_agents_leases_end_stops_query =
{
    "leases_end_stops",

    "DELETE FROM agents_stops WHERE worker = {worker}"
};


void
ngx_http_agents_leases_renew(ngx_http_agents_db_batch_t *batch,
    const char *worker, int64_t lease)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_renew_query);
    ngx_http_agents_db_cstr(batch, "worker", worker);
    ngx_http_agents_db_int(batch, "lease", lease);
}


int64_t
ngx_http_agents_leases_until(const ngx_http_agents_db_batch_t *batch)
{
    return ngx_http_agents_db_get_int(batch, 0, 0, 0);
}


void
ngx_http_agents_leases_release(ngx_http_agents_db_batch_t *batch,
    const char *worker)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_release_query);
    ngx_http_agents_db_cstr(batch, "worker", worker);

    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_end_query);
    ngx_http_agents_db_cstr(batch, "worker", worker);

    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_end_stops_query);
    ngx_http_agents_db_cstr(batch, "worker", worker);
}


void
ngx_http_agents_leases_release_run(ngx_http_agents_db_batch_t *batch,
    const ngx_http_agents_run_key_t *key)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_release_run_query);
    ngx_http_agents_store_key(batch, key);
}


void
ngx_http_agents_leases_owned(ngx_http_agents_db_batch_t *batch,
    const char *worker, const char *after, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_owned_query);
    ngx_http_agents_db_cstr(batch, "worker", worker);
    ngx_http_agents_db_cstr(batch, "after", after);
    ngx_http_agents_db_int(batch, "limit", limit);
}


void
ngx_http_agents_leases_claim(ngx_http_agents_db_batch_t *batch,
    const char *worker, const char *api, int suspect, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_claim_query);
    ngx_http_agents_db_cstr(batch, "worker", worker);
    ngx_http_agents_db_cstr(batch, "api", api);
    ngx_http_agents_db_int(batch, "suspect", suspect);
    ngx_http_agents_db_int(batch, "limit", limit);
}


void
ngx_http_agents_leases_expire(ngx_http_agents_db_batch_t *batch,
    int64_t before, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_expire_query);
    ngx_http_agents_db_int(batch, "before", before);
    ngx_http_agents_db_int(batch, "limit", limit);
    ngx_http_agents_db_int(batch, "epochs", NGX_HTTP_AGENTS_LEASES_EPOCHS);

    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_purge_query);
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_purge_stops_query);

    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_in_time_query);
    ngx_http_agents_db_int(batch, "before", before);
}


int
ngx_http_agents_leases_in_time(const ngx_http_agents_db_batch_t *batch)
{
    return ngx_http_agents_db_get_int(batch, 3, 0, 0) == 1;
}


void
ngx_http_agents_leases_stops(ngx_http_agents_db_batch_t *batch,
    const char *worker, int64_t limit)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_stops_query);
    ngx_http_agents_db_cstr(batch, "worker", worker);
    ngx_http_agents_db_int(batch, "limit", limit);
}


void
ngx_http_agents_leases_stopped(ngx_http_agents_db_batch_t *batch,
    const char *worker, const char *run)
{
    ngx_http_agents_db_add(batch, &ngx_http_agents_leases_stopped_query);
    ngx_http_agents_db_cstr(batch, "worker", worker);
    ngx_http_agents_db_cstr(batch, "run", run);
}


void
ngx_http_agents_leases_read(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t row, ngx_http_agents_claim_t *claim)
{
    ngx_http_agents_claim_t  *c;

    c = claim;

    ngx_http_agents_store_text(batch, statement, row, 0, &c->company_id);
    ngx_http_agents_store_text(batch, statement, row, 1, &c->user_id);
    ngx_http_agents_store_text(batch, statement, row, 2, &c->id);
    ngx_http_agents_store_text(batch, statement, row, 3, &c->conversation_id);
    c->epoch = ngx_http_agents_db_get_int(batch, statement, row, 4);
    c->takeovers = ngx_http_agents_db_get_int(batch, statement, row, 5);
    ngx_http_agents_store_text(batch, statement, row, 6, &c->api);
}
