
/*
 * Titles: the first run of a conversation without a name asks a model for
 * one, in a small job beside the run that neither delays nor fails it.  A
 * title is written only if the conversation still has no name.  A job that is
 * lost with its worker comes again when the run is taken over, or not at all.
 *
 *     CHECKING ─> ASKING ─> WAITING ─> INFERRING ─> READING ─> WRITING
 *
 * Event loop only.
 */


#ifndef _NGX_HTTP_AGENTS_TITLE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_TITLE_H_INCLUDED_


#include "ngx_http_agents_run.h"


/*
 * Begins the job of a run that was just loaded, if it may need one: the
 * conversation has no name, and nothing was said in it before.
 */
void ngx_http_agents_title_start(ngx_http_agents_run_t *run);

/* The run is over: its job, if there is one, goes on alone. */
void ngx_http_agents_title_leave(ngx_http_agents_run_t *run);

/* Ends a run's job, or all of an engine's, as soon as what cannot be
 * cancelled is over. */
void ngx_http_agents_title_stop(ngx_http_agents_run_t *run);
void ngx_http_agents_title_stop_all(ngx_queue_t *titles);


#endif /* _NGX_HTTP_AGENTS_TITLE_H_INCLUDED_ */
