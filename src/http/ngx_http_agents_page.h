
/*
 * A page of a list that is newest first, in its envelope: counted, read slice
 * by slice, and streamed, so that its memory does not grow with per_page.
 */


#ifndef _NGX_HTTP_AGENTS_PAGE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_http.h"


/* What a list is of. */
typedef struct {
    /* Adds the SELECT of the count: no row if the list is of something that is
     * not there, which "missing" says then. */
    void         (*count)(ngx_http_agents_db_batch_t *batch,
                          const ngx_http_agents_ctx_t *ctx);
    const char    *missing;

    /* Adds the SELECT of a slice. */
    void         (*slice)(ngx_http_agents_db_batch_t *batch,
                          const ngx_http_agents_ctx_t *ctx,
                          const ngx_http_agents_slice_t *slice);

    /* Writes the record that starts in "row", and tells its time and id, which
     * live as long as the batch; returns the row after it. */
    size_t       (*view)(ngx_http_request_t *r, ngx_http_agents_buf_t *buf,
                         const ngx_http_agents_db_batch_t *batch,
                         size_t statement, size_t row, int64_t *created_at,
                         const char **id);
} ngx_http_agents_page_type_t;


/* A handler: reads page and per_page, and answers. */
ngx_int_t ngx_http_agents_page_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx, const ngx_http_agents_page_type_t *type);


#endif /* _NGX_HTTP_AGENTS_PAGE_H_INCLUDED_ */
