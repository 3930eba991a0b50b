
/*
 * Takes a secret out of a text that quotes a provider: some are known to
 * repeat a key that they refuse.  Pure; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_REDACT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_REDACT_H_INCLUDED_


#include "ngx_http_agents_buf.h"


/*
 * "[api key]" takes its place; also of its beginning at the text's end, where
 * the text may have been cut.
 */
void ngx_http_agents_redact(ngx_http_agents_buf_t *text, const char *secret,
    size_t len);


#endif /* _NGX_HTTP_AGENTS_REDACT_H_INCLUDED_ */
