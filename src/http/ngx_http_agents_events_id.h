
/*
 * The id of an event: what a client has been sent of a run when it has it.  So
 * it is good on any worker and node, whatever has become of the run.  No nginx;
 * any thread.
 *
 *     2.0.3.1.9f3ab01c22d4    status, name, turns, parts, end of the run's id
 */


#ifndef _NGX_HTTP_AGENTS_EVENTS_ID_H_INCLUDED_
#define _NGX_HTTP_AGENTS_EVENTS_ID_H_INCLUDED_


#include <stdint.h>
#include "ngx_http_agents_buf.h"


#define NGX_HTTP_AGENTS_EVENTS_PENDING   1
#define NGX_HTTP_AGENTS_EVENTS_RUNNING   2
#define NGX_HTTP_AGENTS_EVENTS_TERMINAL  3
#define NGX_HTTP_AGENTS_EVENTS_END       4


/* All zero: nothing. */
typedef struct {
    int64_t  status;    /* the last that a run was sent with; 0: none */
    int64_t  name_rev;  /* 0: as the conversation was made */
    int64_t  turns;     /* one more than the last one's index */
    int64_t  parts;     /* of that one */
} ngx_http_agents_events_id_t;


/* "run" is the run's id, a UUID in lower case. */
void ngx_http_agents_events_id_write(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_events_id_t *id, const char *run);

/* 0, or -1 if the text is no id of this run; *id is all zero then. */
int ngx_http_agents_events_id_read(ngx_http_agents_events_id_t *id,
    const char *text, size_t len, const char *run);


#endif /* _NGX_HTTP_AGENTS_EVENTS_ID_H_INCLUDED_ */
