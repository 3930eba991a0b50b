
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_fault.h"


static int ngx_http_agents_faults_grow(ngx_http_agents_faults_t *faults);
static void ngx_http_agents_fault_path(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_path_t *path);


void
ngx_http_agents_faults_free(ngx_http_agents_faults_t *faults)
{
    size_t  i;

    for (i = 0; i < faults->n; i++) {
        free(faults->list[i].pointer);
        free(faults->list[i].detail);
    }

    free(faults->list);

    memset(faults, 0, sizeof(ngx_http_agents_faults_t));
}


void
ngx_http_agents_faults_add(ngx_http_agents_faults_t *faults,
    const ngx_http_agents_path_t *path, const char *slug, const char *fmt, ...)
{
    va_list                   args;
    ngx_http_agents_buf_t     detail;
    ngx_http_agents_fault_t  *fault;

    faults->found++;

    if (faults->n == NGX_HTTP_AGENTS_FAULTS_MAX
        || faults->bytes >= NGX_HTTP_AGENTS_FAULTS_BYTES)
    {
        return;
    }

    if (ngx_http_agents_faults_grow(faults) != 0) {
        faults->failed = 1;
        return;
    }

    ngx_http_agents_buf_init(&detail);

    va_start(args, fmt);
    ngx_http_agents_buf_addv(&detail, fmt, args);
    va_end(args);

    fault = &faults->list[faults->n];

    fault->slug = slug;
    fault->detail = ngx_http_agents_buf_take(&detail, NULL);
    fault->pointer = ngx_http_agents_path_pointer(path);

    if (fault->detail == NULL || fault->pointer == NULL) {
        free(fault->detail);
        free(fault->pointer);
        faults->failed = 1;
        return;
    }

    faults->bytes += strlen(fault->detail) + strlen(fault->pointer);
    faults->n++;
}


/* The list is at a power of two when it is full. */

static int
ngx_http_agents_faults_grow(ngx_http_agents_faults_t *faults)
{
    size_t                    size;
    ngx_http_agents_fault_t  *list;

    if ((faults->n & (faults->n - 1)) != 0) {
        return 0;
    }

    size = (faults->n != 0) ? faults->n * 2 : 1;

    list = realloc(faults->list, size * sizeof(ngx_http_agents_fault_t));
    if (list == NULL) {
        return -1;
    }

    faults->list = list;

    return 0;
}


char *
ngx_http_agents_path_pointer(const ngx_http_agents_path_t *path)
{
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_fault_path(&buf, path);

    return ngx_http_agents_buf_take(&buf, NULL);
}


static void
ngx_http_agents_fault_path(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_path_t *path)
{
    const char  *p;

    if (path == NULL) {
        return;
    }

    ngx_http_agents_fault_path(buf, path->parent);

    if (path->key == NULL) {
        ngx_http_agents_buf_addf(buf, "/%zu", path->index);
        return;
    }

    ngx_http_agents_buf_addc(buf, '/');

    for (p = path->key; *p != '\0'; p++) {

        switch (*p) {

        case '~':
            ngx_http_agents_buf_adds(buf, "~0");
            break;

        case '/':
            ngx_http_agents_buf_adds(buf, "~1");
            break;

        default:
            ngx_http_agents_buf_addc(buf, *p);
            break;
        }
    }
}
