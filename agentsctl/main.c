
/*
 * The table of commands, and what they have in common.
 */


#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ngx_http_agents_db_batch.h"
#include "agentsctl.h"


static int agentsctl_store_is_there(const agentsctl_t *ctl);


static const agentsctl_command_t  agentsctl_commands[] = {

    { "migrate", NULL, NULL,
      "bring the store's schema up to date",
      { { NULL, NULL, 0 } },
      agentsctl_migrate, AGENTSCTL_FOUNDS },

    { "token", "create", NULL,
      "make a token and print it: it is shown this once",
      { { "--company", "COMPANY", 1 },
        { "--user", "USER", 1 },
        { "--permission", "read|write", 1 },
        { "--expires", "TIME", 0 } },
      agentsctl_token_create, AGENTSCTL_FOUNDS },

    { "token", "list", NULL,
      "list the tokens, without their secrets",
      { { "--json", NULL, 0 } },
      agentsctl_token_list, AGENTSCTL_STORE },

    { "token", "revoke", "ID",
      "revoke a token; nginx honours it for 10 seconds more at most",
      { { NULL, NULL, 0 } },
      agentsctl_token_revoke, AGENTSCTL_STORE },

    { "runs", "list", NULL,
      "list runs, the newest first: 50, unless told otherwise",
      { { "--company", "COMPANY", 0 },
        { "--user", "USER", 0 },
        { "--status", "STATUS", 0 },
        { "--limit", "N", 0 },
        { "--json", NULL, 0 } },
      agentsctl_runs_list, AGENTSCTL_STORE },

    { "runs", "show", "ID",
      "print a run as JSON",
      { { NULL, NULL, 0 } },
      agentsctl_runs_show, AGENTSCTL_STORE },

    { "runs", "cancel", "ID",
      "cancel a run, on whichever node it is",
      { { NULL, NULL, 0 } },
      agentsctl_runs_cancel, AGENTSCTL_STORE },

    { "purge", NULL, NULL,
      "delete conversations in which nothing has happened for this long",
      { { "--older-than", "TIME", 1 } },
      agentsctl_purge, AGENTSCTL_STORE },

    { "check", NULL, NULL,
      "read all of the store and say what is not as it has to be",
      { { NULL, NULL, 0 } },
      agentsctl_check, AGENTSCTL_STORE },

    { "schema", "normalize", NULL,
      "read a tool's JSON Schema from stdin, print it as a model gets it",
      { { NULL, NULL, 0 } },
      agentsctl_schema_normalize, AGENTSCTL_STORELESS },

    { NULL, NULL, NULL, NULL, { { NULL, NULL, 0 } }, NULL, AGENTSCTL_STORE }
};


void
agentsctl_error(const char *fmt, ...)
{
    va_list  args;

    fputs("agentsctl: ", stderr);

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fputc('\n', stderr);
}


int
agentsctl_batch(agentsctl_t *ctl, ngx_http_agents_db_batch_t *batch,
    const char *what)
{
    if (ngx_http_agents_db_poll_run(ctl->db, batch) == 0) {
        return 0;
    }

    switch (ngx_http_agents_db_status(batch)) {

    case NGX_HTTP_AGENTS_DB_UNAVAILABLE:
        agentsctl_error("%s: the store is not available: %s", what,
                        batch->error);
        break;

    case NGX_HTTP_AGENTS_DB_UNKNOWN:
        agentsctl_error("%s: the store was lost at the commit, it may or may "
                        "not be done: %s", what, batch->error);
        break;

    default:
        agentsctl_error("%s: %s", what, batch->error);
    }

    return -1;
}


int
agentsctl_print(ngx_http_agents_buf_t *buf)
{
    int  rc;

    rc = AGENTSCTL_OK;

    if (buf->failed) {
        agentsctl_error("no memory");
        rc = AGENTSCTL_FAILED;

    } else {
        (void) fwrite(buf->data, 1, buf->len, stdout);
    }

    ngx_http_agents_buf_free(buf);

    return rc;
}


/* SQLite would begin a new database at any path, and all be well with it. */

static int
agentsctl_store_is_there(const agentsctl_t *ctl)
{
    size_t  len;

    len = sizeof(NGX_HTTP_AGENTS_DB_POLL_SQLITE) - 1;

    if (ctl->command->needs == AGENTSCTL_FOUNDS
        || strncmp(ctl->store, NGX_HTTP_AGENTS_DB_POLL_SQLITE, len) != 0
        || access(ctl->store + len, F_OK) == 0
        || errno != ENOENT)
    {
        return 0;
    }

    agentsctl_error("there is no \"%s\": nginx makes it, or \"agentsctl "
                    "migrate\" or \"agentsctl token create\"",
                    ctl->store + len);

    return -1;
}


int
main(int argc, char **argv)
{
    int          rc;
    char         err[512];
    agentsctl_t  ctl;

    memset(&ctl, 0, sizeof(agentsctl_t));

    rc = agentsctl_options_read(&ctl, agentsctl_commands, argc, argv);

    if (rc != AGENTSCTL_OK || ctl.command == NULL) {
        return rc;
    }

    if (ctl.command->needs != AGENTSCTL_STORELESS) {

        if (agentsctl_store_is_there(&ctl) != 0) {
            return AGENTSCTL_FAILED;
        }

        ctl.db = ngx_http_agents_db_poll_open(ctl.store, err, sizeof(err));

        if (ctl.db == NULL) {
            agentsctl_error("%s", err);
            return AGENTSCTL_FAILED;
        }
    }

    rc = ctl.command->run(&ctl);

    if (ctl.db != NULL) {
        ngx_http_agents_db_poll_close(ctl.db);
    }

    /* a full disk behind a pipe must not look like a success */

    if (fflush(stdout) != 0 || ferror(stdout)) {
        agentsctl_error("cannot write the output: %s", strerror(errno));
        return AGENTSCTL_FAILED;
    }

    return rc;
}
