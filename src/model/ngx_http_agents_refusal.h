
/*
 * What providers say when they refuse: the forms of error bodies that they
 * have in common, and the words that go on to logs and runs.  Each protocol
 * has its own tables of names and phrases.  Pure; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_REFUSAL_H_INCLUDED_
#define _NGX_HTTP_AGENTS_REFUSAL_H_INCLUDED_


#include "ngx_http_agents_json.h"


/* Texts are borrowed from the body; NULL: it has none. */
typedef struct {
    const char  *message;
    const char  *type;
    const char  *code;
    /* its own */
    const char  *body;
    size_t       len;
    json_t      *root;
} ngx_http_agents_refusal_t;


/* "body" outlives the refusal; it may be anything. */
void ngx_http_agents_refusal_read(ngx_http_agents_refusal_t *refusal,
    const char *body, size_t len);
void ngx_http_agents_refusal_free(ngx_http_agents_refusal_t *refusal);

/* The same of JSON that was read, and is borrowed: nothing is to be freed. */
void ngx_http_agents_refusal_read_json(ngx_http_agents_refusal_t *refusal,
    const json_t *root);

/* Whether type or code is one of the names, or the message has one of the
 * phrases in it, in any case; lists end with NULL. */
int ngx_http_agents_refusal_named(const ngx_http_agents_refusal_t *refusal,
    const char *const *names);
int ngx_http_agents_refusal_says(const ngx_http_agents_refusal_t *refusal,
    const char *const *phrases);

/* Adds the message, or what else there is in the body for people. */
void ngx_http_agents_refusal_tell(const ngx_http_agents_refusal_t *refusal,
    ngx_http_agents_buf_t *why);

/* Adds the beginning of a text, cut at a character, without what controls
 * terminals. */
void ngx_http_agents_refusal_quote(const char *text, size_t len,
    ngx_http_agents_buf_t *why);

/* Whether a status is of the kind that passes: worth another attempt. */
int ngx_http_agents_refusal_passes(int status);

/*
 * What the model lacks, a flag of NGX_HTTP_AGENTS_NO_*, if a request was
 * refused for asking it; else 0.  By the words of known refusals.
 */
unsigned ngx_http_agents_refusal_lacks(int status, const char *message);

/* The flag to set for a request that was refused for what "lacks" says, and was
 * made without what is in "had": 0 if that was not asked for. */
unsigned ngx_http_agents_refusal_next(unsigned had, unsigned lacks);


#endif /* _NGX_HTTP_AGENTS_REFUSAL_H_INCLUDED_ */
