
/*
 * Entity tags (RFC 9110, 8.8.3): made of what is sent, and looked for in the
 * lists of If-None-Match and If-Match.  No nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_ETAG_H_INCLUDED_
#define _NGX_HTTP_AGENTS_ETAG_H_INCLUDED_


#include <stddef.h>


/* 128 bits in hexadecimal, and the quotes. */
#define NGX_HTTP_AGENTS_ETAG_LEN  34


/* The strong tag of a body, NUL terminated.  0 or -1. */
int ngx_http_agents_etag_make(char etag[NGX_HTTP_AGENTS_ETAG_LEN + 1],
    const char *body, size_t len);

/*
 * Whether a header's list names the tag, or is "*".  "weak": W/"x" in the list
 * is "x", as If-None-Match has it; else it is no match, as for If-Match.  What
 * follows a fault of the list's form is not looked at.
 */
int ngx_http_agents_etag_match(const char *list, size_t len, const char *etag,
    int weak);


#endif /* _NGX_HTTP_AGENTS_ETAG_H_INCLUDED_ */
