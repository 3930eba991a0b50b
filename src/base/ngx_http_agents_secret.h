
/*
 * Secrets that the configuration names: read when it is read, and so again at
 * each reload.
 */


#ifndef _NGX_HTTP_AGENTS_SECRET_H_INCLUDED_
#define _NGX_HTTP_AGENTS_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Reads the whole file at "path", which becomes absolute (of the folder of
 * nginx.conf, where it was not), into the configuration's pool, with a NUL
 * behind it.  Longer than "max" bytes is an error, as is a file that cannot be
 * read: then NGX_ERROR, and a message about the parameter "what" is logged.
 */
ngx_int_t ngx_http_agents_secret_file(ngx_conf_t *cf, ngx_str_t *path,
    const char *what, size_t max, ngx_str_t *secret);


/*
 * The secret that "value" names: "env:NAME", "file:PATH" (16k at most, without
 * the line break at its end), or the value itself.  It ends with a NUL, and
 * may have one inside.  NGX_ERROR: a message about "what" is logged, in which
 * a secret is not.
 */
ngx_int_t ngx_http_agents_secret_value(ngx_conf_t *cf, const ngx_str_t *value,
    const char *what, ngx_str_t *secret);


#endif /* _NGX_HTTP_AGENTS_SECRET_H_INCLUDED_ */
