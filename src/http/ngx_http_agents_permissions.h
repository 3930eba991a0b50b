
/*
 * What a caller may do, as bits, and how it is written.  No nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_PERMISSIONS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_PERMISSIONS_H_INCLUDED_


#include <stddef.h>


#define NGX_HTTP_AGENTS_PERMISSION_NONE   0     /* needs no token */
#define NGX_HTTP_AGENTS_PERMISSION_READ   0x01  /* agent_conversations:read */
#define NGX_HTTP_AGENTS_PERMISSION_WRITE  0x02  /* agent_conversations:write */


/* The bit of one name, short or full; 0 if it is not known. */
unsigned ngx_http_agents_permissions_name(const char *name, size_t len);

/* Names with any of "separators" between them; unknown ones count not. */
unsigned ngx_http_agents_permissions_read(const char *text, size_t len,
    const char *separators);


#endif /* _NGX_HTTP_AGENTS_PERMISSIONS_H_INCLUDED_ */
