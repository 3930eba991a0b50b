
/*
 * A reply that comes as a stream of events: takes its bytes apart and has the
 * protocol read each event into a draft.  Pure: no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_STREAM_H_INCLUDED_
#define _NGX_HTTP_AGENTS_STREAM_H_INCLUDED_


#include "ngx_http_agents_draft.h"
#include "ngx_http_agents_frames.h"
#include "ngx_http_agents_sse.h"


typedef struct {
    const ngx_http_agents_protocol_t  *protocol;
    ngx_http_agents_draft_t            draft;
    ngx_http_agents_sse_t              sse;
    ngx_http_agents_frames_t           frames;
    int                                framed;      /* which of both */
    size_t                             seen;        /* bytes so far */
} ngx_http_agents_stream_t;


/* Whether a body of this media type ("" or NULL: none was given) is one. */
int ngx_http_agents_stream_is(const char *type);

/* "type" is the media type; "delta" (may be NULL) is told each piece as it
 * comes. */
void ngx_http_agents_stream_init(ngx_http_agents_stream_t *stream,
    const ngx_http_agents_protocol_t *protocol, const char *type,
    ngx_http_agents_delta_pt delta, void *data);
void ngx_http_agents_stream_free(ngx_http_agents_stream_t *stream);

/*
 * 0 to go on; -1: no more is wanted, since the draft has a fault.  Past the
 * end of the reply nothing is read.
 */
int ngx_http_agents_stream_feed(ngx_http_agents_stream_t *stream,
    const char *data, size_t len);

/*
 * No more will come: 0 if the reply is whole; -1 with a fault in the draft,
 * of class FAULT_RETRY where the stream just broke off.
 */
int ngx_http_agents_stream_end(ngx_http_agents_stream_t *stream);


#endif /* _NGX_HTTP_AGENTS_STREAM_H_INCLUDED_ */
