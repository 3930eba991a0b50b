
/*
 * A reader of text/event-stream (WHATWG HTML 9.2), fed in pieces.  Pure: no
 * nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_SSE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_SSE_H_INCLUDED_


#include "ngx_http_agents_buf.h"


typedef struct {
    const char  *event;         /* "" is "message"; NUL terminated */
    const char  *data;          /* data lines joined by LF; NUL terminated */
    size_t       data_len;
    const char  *id;            /* the last event id; "" if none was seen */
} ngx_http_agents_sse_event_t;


/*
 * 0 to go on; anything else ends the feeding and is its result.  The reader
 * must not be freed in it.
 */
typedef int (*ngx_http_agents_sse_event_pt)(void *data,
    const ngx_http_agents_sse_event_t *event);


typedef struct {
    ngx_http_agents_buf_t          line;
    ngx_http_agents_buf_t          data;
    ngx_http_agents_buf_t          event;
    ngx_http_agents_buf_t          id;          /* maybe of an event that is
                                                   not complete */
    ngx_http_agents_buf_t          last_id;     /* of complete ones */
    ngx_http_agents_sse_event_pt   on_event;
    void                          *on_event_data;
    size_t                         max_event;   /* bytes of one event's lines */
    size_t                         seen;        /* bytes of the event so far */
    int64_t                        retry;       /* ms; -1: never said */
    unsigned                       cr:1;        /* the last byte was a CR */
    unsigned                       started:1;   /* past a byte order mark */
    unsigned                       has_data:1;
} ngx_http_agents_sse_t;


void ngx_http_agents_sse_init(ngx_http_agents_sse_t *sse, size_t max_event,
    ngx_http_agents_sse_event_pt on_event, void *data);
void ngx_http_agents_sse_free(ngx_http_agents_sse_t *sse);

/*
 * 0 when all was read, what on_event returned if not 0, or -1: an event is
 * larger than max_event, or there is no memory.
 */
int ngx_http_agents_sse_feed(ngx_http_agents_sse_t *sse, const char *data,
    size_t len);

/* Another stream goes on where this one ended: what was not complete is
 * dropped; the last id and "retry" stay. */
void ngx_http_agents_sse_restart(ngx_http_agents_sse_t *sse);

/*
 * The id of the last complete event, also of one without data, which is not
 * shown to on_event: what Last-Event-ID has to say.  "" if none was seen.
 */
const char *ngx_http_agents_sse_last_id(const ngx_http_agents_sse_t *sse);


#endif /* _NGX_HTTP_AGENTS_SSE_H_INCLUDED_ */
