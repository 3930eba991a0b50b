
/*
 * agentsctl check: what its files share.
 */


#ifndef _AGENTSCTL_CHECK_H_INCLUDED_
#define _AGENTSCTL_CHECK_H_INCLUDED_


#include <jansson.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_check.h"
#include "ngx_http_agents_ident.h"
#include "agentsctl.h"


/* What is read at a time. */
#define AGENTSCTL_CHECK_CONVERSATIONS  256
#define AGENTSCTL_CHECK_RUNS           64
#define AGENTSCTL_CHECK_PARTS          256
#define AGENTSCTL_CHECK_BYTES          (1024 * 1024)


/* The check, and the conversation that it is at. */
typedef struct {
    agentsctl_t                           *ctl;
    uint64_t                               conversations;
    uint64_t                               runs;
    uint64_t                               messages;
    uint64_t                               faults;

    ngx_http_agents_owner_t                owner;
    ngx_http_agents_check_conversation_t   conversation;
    ngx_http_agents_buf_t                  found;       /* a line each */
    uint64_t                               nfound;
    uint64_t                               nruns;
    uint64_t                               nmessages;

    unsigned                               active:1;    /* its run was seen */
    unsigned                               pending:1;
    json_t                                *pending_calls;

    int64_t                                sequence;    /* of the last part */
    int64_t                                part;
    char                                   role[16];
    char                                   run[NGX_HTTP_AGENTS_UUID_LEN + 1];

    json_t                                *calls;       /* all tool_use_ids:
                                                           true: no result */
    size_t                                 open;        /* of these */
} agentsctl_check_t;


/* Notes a fault of the conversation, of a run of it unless NULL. */
void agentsctl_check_found(agentsctl_check_t *check, const char *run,
    const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* check_messages.c: the parts of a result, in their order, and the end. */
void agentsctl_check_parts(agentsctl_check_t *check,
    const ngx_http_agents_db_batch_t *batch, size_t statement);
void agentsctl_check_parts_end(agentsctl_check_t *check);


#endif /* _AGENTSCTL_CHECK_H_INCLUDED_ */
