
/*
 * The API's description, docs/openapi.json, as docs/embed.sh puts it into the
 * build.  Pure data.
 */


#ifndef _NGX_HTTP_AGENTS_OPENAPI_H_INCLUDED_
#define _NGX_HTTP_AGENTS_OPENAPI_H_INCLUDED_


#include <stddef.h>


/* The file's bytes, and a NUL that "len" does not count. */
extern const char    ngx_http_agents_openapi_text[];
extern const size_t  ngx_http_agents_openapi_len;


#endif /* _NGX_HTTP_AGENTS_OPENAPI_H_INCLUDED_ */
