
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_secret.h"


static ssize_t ngx_http_agents_secret_read(ngx_fd_t fd, u_char *data,
    size_t max);


ngx_int_t
ngx_http_agents_secret_file(ngx_conf_t *cf, ngx_str_t *path, const char *what,
    size_t max, ngx_str_t *secret)
{
    u_char    *data;
    ssize_t    n;
    ngx_fd_t   fd;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    data = ngx_alloc(max + 1, cf->log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the file \"%V\" of \"%s\" cannot be opened",
                           path, what);
        ngx_free(data);
        return NGX_ERROR;
    }

    n = ngx_http_agents_secret_read(fd, data, max + 1);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the file \"%V\" of \"%s\" cannot be read",
                           path, what);

    } else if ((size_t) n > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the file \"%V\" of \"%s\" is longer than %uz "
                           "bytes", path, what, max);
        n = -1;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    if (n != -1) {
        secret->len = n;
        secret->data = ngx_pnalloc(cf->pool, n + 1);

        if (secret->data != NULL) {
            ngx_memcpy(secret->data, data, n);
            secret->data[n] = '\0';

        } else {
            n = -1;
        }
    }

    ngx_explicit_memzero(data, max + 1);
    ngx_free(data);

    return (n == -1) ? NGX_ERROR : NGX_OK;
}


static ssize_t
ngx_http_agents_secret_read(ngx_fd_t fd, u_char *data, size_t max)
{
    size_t   len;
    ssize_t  n;

    for (len = 0; len < max; len += n) {

        n = ngx_read_fd(fd, data + len, max - len);

        if (n == -1) {
            return -1;
        }

        if (n == 0) {
            break;
        }
    }

    return (ssize_t) len;
}
