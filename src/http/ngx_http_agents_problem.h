
/*
 * The catalog of errors: one table makes the problem+json of a refused
 * request, the error of a failed run, and the pages under /errors.  Pure data.
 */


#ifndef _NGX_HTTP_AGENTS_PROBLEM_H_INCLUDED_
#define _NGX_HTTP_AGENTS_PROBLEM_H_INCLUDED_


#include <stddef.h>


typedef struct {
    const char  *slug;          /* last part of the page's url */
    const char  *title;
    int          status;        /* of the HTTP answer; 0: only in runs */
    const char  *incident;      /* error.type of a run; NULL: only in HTTP */
    const char  *cause;         /* what happened and why; for the page */
    const char  *recovery;      /* what to do about it, a step per line; in
                                   both, what stands between ` is code */
    /* the page's examples */
    const char  *detail;        /* of an answer, with the pointer in front of
                                   a fault's; NULL: "cause" is what it says */
    const char  *message;       /* of a run's error; NULL: only in HTTP */
    const char  *members;       /* JSON: more members of the answer, or NULL */
} ngx_http_agents_problem_t;


/* The table, ended by a NULL slug; in the order of the index page. */
extern const ngx_http_agents_problem_t  ngx_http_agents_problems[];

/* NULL if there is none. */
const ngx_http_agents_problem_t *ngx_http_agents_problem_slug(
    const char *slug, size_t len);

/* The entry of an incident code; that of AgentLoopInternal if unknown. */
const ngx_http_agents_problem_t *ngx_http_agents_problem_incident(
    const char *incident);

/* The generic entry of an HTTP status (404: not-found); never NULL.  Of a
 * status that has none: invalid-request below 500, else internal-error. */
const ngx_http_agents_problem_t *ngx_http_agents_problem_status(int status);


#endif /* _NGX_HTTP_AGENTS_PROBLEM_H_INCLUDED_ */
