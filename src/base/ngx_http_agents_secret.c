
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_secret.h"


#define NGX_HTTP_AGENTS_SECRET_VALUE_MAX  16384


static ngx_int_t ngx_http_agents_secret_env(ngx_conf_t *cf, char *name,
    const char *what, ngx_str_t *secret);
static ngx_int_t ngx_http_agents_secret_line(ngx_conf_t *cf, ngx_str_t *path,
    const char *what, ngx_str_t *secret);
static ssize_t ngx_http_agents_secret_read(ngx_fd_t fd, u_char *data,
    size_t max);


ngx_int_t
ngx_http_agents_secret_value(ngx_conf_t *cf, const ngx_str_t *value,
    const char *what, ngx_str_t *secret)
{
    ngx_str_t  path;

    if (ngx_strncmp(value->data, "env:", 4) == 0) {
        return ngx_http_agents_secret_env(cf, (char *) value->data + 4, what,
                                          secret);
    }

    if (ngx_strncmp(value->data, "file:", 5) == 0) {
        path.data = value->data + 5;
        path.len = value->len - 5;

        return ngx_http_agents_secret_line(cf, &path, what, secret);
    }

    *secret = *value;

    return NGX_OK;
}


/* The configuration is read before nginx clears the environment. */

static ngx_int_t
ngx_http_agents_secret_env(ngx_conf_t *cf, char *name, const char *what,
    ngx_str_t *secret)
{
    char  *text;

    text = (*name != '\0') ? getenv(name) : NULL;

    if (text == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the environment variable \"%s\" of \"%s\" "
                           "is not set", name, what);
        return NGX_ERROR;
    }

    secret->len = ngx_strlen(text);
    secret->data = ngx_pnalloc(cf->pool, secret->len + 1);
    if (secret->data == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(secret->data, (u_char *) text, secret->len + 1);

    return NGX_OK;
}


/* The line break that editors leave at the end is not part of it. */

static ngx_int_t
ngx_http_agents_secret_line(ngx_conf_t *cf, ngx_str_t *path, const char *what,
    ngx_str_t *secret)
{
    u_char  *p;

    if (ngx_http_agents_secret_file(cf, path, what,
                                    NGX_HTTP_AGENTS_SECRET_VALUE_MAX, secret)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = secret->data;

    while (secret->len != 0
           && (p[secret->len - 1] == LF || p[secret->len - 1] == CR))
    {
        secret->len--;
    }

    p[secret->len] = '\0';

    return NGX_OK;
}


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
