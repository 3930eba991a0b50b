
/*
 * agentsctl migrate
 */


#include <inttypes.h>
#include <stdio.h>
#include "agentsctl.h"


int
agentsctl_migrate(agentsctl_t *ctl)
{
    char     err[512];
    int64_t  from, to;

    if (ngx_http_agents_db_poll_migrate(ctl->db, &from, &to, err, sizeof(err))
        != 0)
    {
        agentsctl_error("cannot migrate: %s", err);
        return AGENTSCTL_FAILED;
    }

    if (from == to) {
        printf("schema version %" PRId64 ", up to date\n", to);

    } else {
        printf("schema version %" PRId64 ", migrated from %" PRId64 "\n", to,
               from);
    }

    return AGENTSCTL_OK;
}
