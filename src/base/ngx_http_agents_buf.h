
/*
 * A growing text buffer, on malloc, without nginx: it serves pool threads,
 * the drivers and agentsctl alike.  A failed allocation is remembered in
 * "failed" and checked once, at the end; every call after it does nothing.
 */


#ifndef _NGX_HTTP_AGENTS_BUF_H_INCLUDED_
#define _NGX_HTTP_AGENTS_BUF_H_INCLUDED_


#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>


typedef struct {
    char      *data;      /* malloc'd; always NUL terminated once not NULL */
    size_t     len;       /* bytes, without the NUL */
    size_t     size;
    unsigned   failed:1;  /* an allocation failed: the text is incomplete */
} ngx_http_agents_buf_t;


/* A text that is someone else's. */
typedef struct {
    const char  *data;      /* NULL: none, as SQL's NULL */
    size_t       len;
} ngx_http_agents_text_t;


/* All zero is a valid empty buffer; init is for what is not zeroed. */
void ngx_http_agents_buf_init(ngx_http_agents_buf_t *buf);
void ngx_http_agents_buf_free(ngx_http_agents_buf_t *buf);

/* Empties the buffer and keeps its memory. */
void ngx_http_agents_buf_reset(ngx_http_agents_buf_t *buf);

/* Makes room for "len" further bytes: 0, or -1 without memory. */
int ngx_http_agents_buf_reserve(ngx_http_agents_buf_t *buf, size_t len);

void ngx_http_agents_buf_add(ngx_http_agents_buf_t *buf, const void *data,
    size_t len);
void ngx_http_agents_buf_adds(ngx_http_agents_buf_t *buf, const char *text);
void ngx_http_agents_buf_addc(ngx_http_agents_buf_t *buf, char c);
void ngx_http_agents_buf_addf(ngx_http_agents_buf_t *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void ngx_http_agents_buf_addv(ngx_http_agents_buf_t *buf, const char *fmt,
    va_list args)
    __attribute__((format(printf, 2, 0)));

/*
 * Hands the text over: the caller frees it with free().  NULL if an
 * allocation failed.  The buffer is empty afterwards.
 */
char *ngx_http_agents_buf_take(ngx_http_agents_buf_t *buf, size_t *len);


#endif /* _NGX_HTTP_AGENTS_BUF_H_INCLUDED_ */
