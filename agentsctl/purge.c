
/*
 * agentsctl purge: conversations that nothing has happened in for long.
 */


#include <inttypes.h>
#include <stdio.h>
#include "ngx_http_agents_store.h"
#include "agentsctl.h"


static ngx_http_agents_db_batch_t *agentsctl_purge_slice(agentsctl_t *ctl,
    const ngx_http_agents_db_batch_t *last, int64_t age);
static int agentsctl_purge_rows(agentsctl_t *ctl,
    const ngx_http_agents_db_batch_t *slice, int64_t age,
    ngx_http_agents_purged_t *purged);


int
agentsctl_purge(agentsctl_t *ctl)
{
    int                          rc;
    size_t                       n;
    int64_t                      age;
    ngx_http_agents_purged_t     purged = { 0, 0, 0 };
    ngx_http_agents_db_batch_t  *slice, *last;

    if (agentsctl_options_time(agentsctl_options_value(ctl, "--older-than"),
                               &age)
        != 0)
    {
        return AGENTSCTL_USAGE;
    }

    last = NULL;

    do {
        slice = agentsctl_purge_slice(ctl, last, age);

        ngx_http_agents_db_batch_free(last);
        last = slice;

        rc = (slice != NULL) ? agentsctl_purge_rows(ctl, slice, age, &purged)
                             : -1;
        n = (rc == 0) ? ngx_http_agents_db_rows(slice, 0) : 0;

    } while (n == NGX_HTTP_AGENTS_PURGE_SLICE);

    ngx_http_agents_db_batch_free(last);

    printf("%" PRId64 " conversations, %" PRId64 " runs, %" PRId64
           " parts of messages\n", purged.conversations, purged.runs,
           purged.messages);

    return (rc == 0) ? AGENTSCTL_OK : AGENTSCTL_FAILED;
}


/* The slice behind the last one, read; NULL: it has said why. */

static ngx_http_agents_db_batch_t *
agentsctl_purge_slice(agentsctl_t *ctl,
    const ngx_http_agents_db_batch_t *last, int64_t age)
{
    size_t                       n;
    const char                  *after;
    ngx_http_agents_owner_t      owner;
    ngx_http_agents_db_batch_t  *slice;

    owner.company = "";
    owner.user = "";
    after = "";

    if (last != NULL) {
        n = ngx_http_agents_db_rows(last, 0) - 1;
        owner.company = ngx_http_agents_db_get(last, 0, n, 0, NULL);
        owner.user = ngx_http_agents_db_get(last, 0, n, 1, NULL);
        after = ngx_http_agents_db_get(last, 0, n, 2, NULL);
    }

    slice = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_READ, NULL, NULL);
    if (slice == NULL) {
        agentsctl_error("no memory");
        return NULL;
    }

    ngx_http_agents_purge_slice(slice, &owner, after, age);

    if (agentsctl_batch(ctl, slice, "cannot read the conversations") != 0) {
        ngx_http_agents_db_batch_free(slice);
        return NULL;
    }

    return slice;
}


static int
agentsctl_purge_rows(agentsctl_t *ctl,
    const ngx_http_agents_db_batch_t *slice, int64_t age,
    ngx_http_agents_purged_t *purged)
{
    int                          rc;
    size_t                       n, row;
    ngx_http_agents_db_batch_t  *batch;

    row = 0;

    for ( ;; ) {
        batch = ngx_http_agents_db_batch(NGX_HTTP_AGENTS_DB_WRITE, NULL, NULL);
        if (batch == NULL) {
            agentsctl_error("no memory");
            return -1;
        }

        rc = 0;

        n = ngx_http_agents_purge_add(batch, slice, &row, age);
        if (n != 0) {
            rc = agentsctl_batch(ctl, batch, "cannot delete conversations");
        }

        if (rc == 0) {
            ngx_http_agents_purge_count(batch, n, purged);
        }

        ngx_http_agents_db_batch_free(batch);

        if (rc != 0 || n == 0) {
            return rc;
        }
    }
}
