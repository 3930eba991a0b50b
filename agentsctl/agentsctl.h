
/*
 * agentsctl: the command line tool on the store.  A command is an entry of
 * the table in main.c; it gets its options read and the store open.
 */


#ifndef _AGENTSCTL_H_INCLUDED_
#define _AGENTSCTL_H_INCLUDED_


#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_db_poll.h"


/* Exit statuses. */
#define AGENTSCTL_OK      0
#define AGENTSCTL_FAILED  1     /* it was understood, and could not be done */
#define AGENTSCTL_USAGE   2


#define AGENTSCTL_VALUES  16


typedef struct {
    const char  *name;          /* with its dashes */
    const char  *value;         /* what its value is called; NULL: none */
    unsigned     required:1;
} agentsctl_option_t;


/* An option that was given; values in their order. */
typedef struct {
    const char  *values[AGENTSCTL_VALUES];
    size_t       n;
} agentsctl_given_t;


#define AGENTSCTL_OPTIONS  8


/* What a command needs of the store. */
typedef enum {
    AGENTSCTL_STORE = 0,
    AGENTSCTL_FOUNDS,               /* it may be a new one */
    AGENTSCTL_STORELESS             /* nothing */
} agentsctl_needs_e;


typedef struct agentsctl_s  agentsctl_t;

typedef struct {
    const char          *group;
    const char          *verb;          /* NULL: the group says it all */
    const char          *argument;      /* what its argument is called; NULL:
                                           it has none */
    const char          *summary;
    agentsctl_option_t   options[AGENTSCTL_OPTIONS];
    int                (*run)(agentsctl_t *ctl);
    agentsctl_needs_e    needs;
} agentsctl_command_t;


struct agentsctl_s {
    const agentsctl_command_t  *command;
    const char                 *store;
    const char                 *argument;
    agentsctl_given_t           given[AGENTSCTL_OPTIONS];
    ngx_http_agents_db_t       *db;             /* NULL: storeless */
};


/* options.c */

/*
 * Reads the command line into "ctl", whose command it finds in "commands"
 * (the last one has no group).  AGENTSCTL_OK, or what to exit with: it has
 * said why on stderr.
 */
int agentsctl_options_read(agentsctl_t *ctl,
    const agentsctl_command_t *commands, int argc, char **argv);

/* The last value of an option of the command; NULL: not given. */
const char *agentsctl_options_value(const agentsctl_t *ctl, const char *name);
const agentsctl_given_t *agentsctl_options_given(const agentsctl_t *ctl,
    const char *name);

/*
 * Milliseconds of a number with s, m, h or d; of NULL 0.  0, or -1: it has said
 * what is wrong.
 */
int agentsctl_options_time(const char *text, int64_t *ms);

/* "agentsctl: " and a message to stderr. */
void agentsctl_error(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* Runs a batch: 0, or -1 with a word on stderr about "what" failed. */
int agentsctl_batch(agentsctl_t *ctl, ngx_http_agents_db_batch_t *batch,
    const char *what);

/* Prints a text and frees it; returns what to exit with. */
int agentsctl_print(ngx_http_agents_buf_t *buf);


/* The commands; they return what to exit with. */

int agentsctl_check(agentsctl_t *ctl);
int agentsctl_migrate(agentsctl_t *ctl);
int agentsctl_purge(agentsctl_t *ctl);
int agentsctl_runs_cancel(agentsctl_t *ctl);
int agentsctl_runs_list(agentsctl_t *ctl);
int agentsctl_runs_show(agentsctl_t *ctl);
int agentsctl_schema_normalize(agentsctl_t *ctl);
int agentsctl_token_create(agentsctl_t *ctl);
int agentsctl_token_list(agentsctl_t *ctl);
int agentsctl_token_revoke(agentsctl_t *ctl);


#endif /* _AGENTSCTL_H_INCLUDED_ */
