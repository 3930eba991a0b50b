
/*
 * Identifiers, times and digests as the API shows them.  No nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_IDENT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_IDENT_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define NGX_HTTP_AGENTS_UUID_LEN    36
#define NGX_HTTP_AGENTS_TIME_LEN    24      /* 2026-11-23T10:00:00.000Z */
#define NGX_HTTP_AGENTS_SHA256_LEN  64      /* in hexadecimal */
#define NGX_HTTP_AGENTS_OWNER_MAX   512     /* bytes: it is part of keys, which
                                               databases bound */


/*
 * A new version 7 UUID (RFC 9562, 48 bits of milliseconds, then random), in
 * lower case, NUL terminated.  0, or -1 without random bytes.
 */
int ngx_http_agents_ident_uuid(char out[NGX_HTTP_AGENTS_UUID_LEN + 1]);

/* Whether "text" has the form of a UUID of any version, in any case. */
int ngx_http_agents_ident_is_uuid(const char *text, size_t len);

/*
 * Whether "text" may be a company's or a user's id: not empty, not too long,
 * and UTF-8 without control characters.  A NUL would cut it down to another
 * one, a line feed would end a header that is set to $agents_user.
 */
int ngx_http_agents_ident_is_owner(const char *text, size_t len);

/* Random bytes in hexadecimal, 2n digits and a NUL.  0 or -1. */
int ngx_http_agents_ident_random(char *out, size_t n);

/* RFC 3339, UTC, milliseconds; "ms" since 1970. */
void ngx_http_agents_ident_time(char out[NGX_HTTP_AGENTS_TIME_LEN + 1],
    int64_t ms);

/* SHA-256 in lower case hexadecimal, NUL terminated.  0 or -1. */
int ngx_http_agents_ident_sha256(char out[NGX_HTTP_AGENTS_SHA256_LEN + 1],
    const void *data, size_t len);


#endif /* _NGX_HTTP_AGENTS_IDENT_H_INCLUDED_ */
