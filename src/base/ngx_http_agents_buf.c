
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_buf.h"


#define NGX_HTTP_AGENTS_BUF_MIN  256


void
ngx_http_agents_buf_init(ngx_http_agents_buf_t *buf)
{
    memset(buf, 0, sizeof(ngx_http_agents_buf_t));
}


void
ngx_http_agents_buf_free(ngx_http_agents_buf_t *buf)
{
    free(buf->data);

    ngx_http_agents_buf_init(buf);
}


void
ngx_http_agents_buf_reset(ngx_http_agents_buf_t *buf)
{
    buf->len = 0;
    buf->failed = 0;

    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}


int
ngx_http_agents_buf_reserve(ngx_http_agents_buf_t *buf, size_t len)
{
    char    *data;
    size_t   size;

    if (buf->failed) {
        return -1;
    }

    if (len < buf->size - buf->len) {
        return 0;
    }

    if (len > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4) {
        buf->failed = 1;
        return -1;
    }

    size = (buf->size != 0) ? buf->size : NGX_HTTP_AGENTS_BUF_MIN;

    while (size <= buf->len + len) {
        size *= 2;
    }

    data = realloc(buf->data, size);
    if (data == NULL) {
        buf->failed = 1;
        return -1;
    }

    data[buf->len] = '\0';

    buf->data = data;
    buf->size = size;

    return 0;
}


void
ngx_http_agents_buf_add(ngx_http_agents_buf_t *buf, const void *data,
    size_t len)
{
    if (ngx_http_agents_buf_reserve(buf, len) != 0) {
        return;
    }

    if (len != 0) {
        memcpy(buf->data + buf->len, data, len);
    }

    buf->len += len;
    buf->data[buf->len] = '\0';
}


void
ngx_http_agents_buf_adds(ngx_http_agents_buf_t *buf, const char *text)
{
    ngx_http_agents_buf_add(buf, text, strlen(text));
}


void
ngx_http_agents_buf_addc(ngx_http_agents_buf_t *buf, char c)
{
    ngx_http_agents_buf_add(buf, &c, 1);
}


void
ngx_http_agents_buf_addf(ngx_http_agents_buf_t *buf, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    ngx_http_agents_buf_addv(buf, fmt, args);
    va_end(args);
}


void
ngx_http_agents_buf_addv(ngx_http_agents_buf_t *buf, const char *fmt,
    va_list args)
{
    int      n;
    va_list  again;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);

    if (n < 0) {
        buf->failed = 1;
        return;
    }

    if (ngx_http_agents_buf_reserve(buf, (size_t) n) != 0) {
        return;
    }

    (void) vsnprintf(buf->data + buf->len, (size_t) n + 1, fmt, args);

    buf->len += (size_t) n;
}


char *
ngx_http_agents_buf_take(ngx_http_agents_buf_t *buf, size_t *len)
{
    char  *data;

    /* so that an empty text is "" and not NULL, which means failure */

    if (ngx_http_agents_buf_reserve(buf, 0) != 0) {
        ngx_http_agents_buf_free(buf);
        return NULL;
    }

    data = buf->data;

    if (len != NULL) {
        *len = buf->len;
    }

    ngx_http_agents_buf_init(buf);

    return data;
}
