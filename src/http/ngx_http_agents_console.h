
/*
 * The console: "location /console/ { agents_console; }", a page with which one
 * tries the API from a browser.  Its files are those of console/, which
 * console/embed.sh puts into the build; the file system is not looked at.
 */


#ifndef _NGX_HTTP_AGENTS_CONSOLE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_CONSOLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* Where a file has this, the path of the API is put in. */
#define NGX_HTTP_AGENTS_CONSOLE_API  "{{api}}"


typedef struct {
    const char  *name;      /* what follows the location's own; "": the page */
    const char  *type;
    const char  *text;      /* the file's bytes, and a NUL */
    size_t       len;       /* without it */
} ngx_http_agents_console_file_t;


/* Up to an entry without a name. */
extern const ngx_http_agents_console_file_t  ngx_http_agents_console_files[];


/* The directive agents_console [PATH]: makes the location's content handler. */
char *ngx_http_agents_console(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

ngx_int_t ngx_http_agents_console_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_AGENTS_CONSOLE_H_INCLUDED_ */
