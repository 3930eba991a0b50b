
/*
 * W3C Trace Context, as far as it is passed on as it came: whether a value is
 * a valid one.  No nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_TRACE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_TRACE_H_INCLUDED_


#include <stddef.h>


/* Bytes: what is longer counts as invalid. */
#define NGX_HTTP_AGENTS_TRACE_PARENT_MAX  256
#define NGX_HTTP_AGENTS_TRACE_STATE_MAX   4096


/*
 * The value of "traceparent": of version 00, or of a later one that begins as
 * 00 does.
 */
int ngx_http_agents_trace_is_parent(const char *text, size_t len);

/* The value of "tracestate", several headers being joined by commas: 1 to 32
 * members, each with another key. */
int ngx_http_agents_trace_is_state(const char *text, size_t len);


#endif /* _NGX_HTTP_AGENTS_TRACE_H_INCLUDED_ */
