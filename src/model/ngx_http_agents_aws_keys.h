
/*
 * Credentials as AWS hands them to a machine or a container: what its metadata
 * service and a container's endpoint answer.  Pure: no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_AWS_KEYS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_AWS_KEYS_H_INCLUDED_


#include <time.h>
#include "ngx_http_agents_buf.h"


/* All malloc'd; all zero: none. */
typedef struct {
    char    *access_key;
    char    *secret_key;
    char    *session_token;     /* NULL: none */
    time_t   expires;           /* 0: never */
} ngx_http_agents_aws_keys_t;


/*
 * The document with the keys.  0, or -1 with what is wrong in "why", which
 * quotes nothing of it but a code of AWS's own.
 */
int ngx_http_agents_aws_keys_read(ngx_http_agents_aws_keys_t *keys,
    const char *body, size_t len, ngx_http_agents_buf_t *why);

/* Overwrites and frees them. */
void ngx_http_agents_aws_keys_clear(ngx_http_agents_aws_keys_t *keys);

/*
 * The first line of an answer that is a token, or the name of a role: into
 * "word".  0, or -1 if it is none that could stand in a header or a path.
 */
int ngx_http_agents_aws_keys_word(ngx_http_agents_buf_t *word,
    const char *body, size_t len);


#endif /* _NGX_HTTP_AGENTS_AWS_KEYS_H_INCLUDED_ */
