
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_page.h"
#include "ngx_http_agents_query.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_output.h"
#include "ngx_http_agents_wait.h"


/* Records that are asked for at a time; the store ends a slice of long ones
 * earlier. */
#define NGX_HTTP_AGENTS_PAGE_RECORDS  64


/* A page under way, in the request's pool. */
typedef struct {
    const ngx_http_agents_page_type_t  *type;
    ngx_http_agents_output_t           *output;
    int64_t                             page;
    int64_t                             per_page;
    int64_t                             expected;   /* records in all */
    int64_t                             records;    /* sent */
    ngx_http_agents_slice_t             slice;      /* the next one */
    char                                last[NGX_HTTP_AGENTS_UUID_LEN + 1];
} ngx_http_agents_page_t;


static ngx_int_t ngx_http_agents_page_read(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_http_agents_page_first(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_page_next(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static void ngx_http_agents_page_envelope(ngx_http_agents_page_t *page,
    int64_t total);
static ngx_int_t ngx_http_agents_page_records(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch, size_t statement,
    ngx_http_agents_page_t *page);


ngx_int_t
ngx_http_agents_page_list(ngx_http_request_t *r, ngx_http_agents_ctx_t *ctx,
    const ngx_http_agents_page_type_t *type)
{
    ngx_int_t                  rc;
    ngx_http_agents_page_t    *page;
    ngx_http_agents_faults_t   faults;

    ngx_http_agents_query_t  query[] = {
        { "page", 1, NGX_HTTP_AGENTS_QUERY_MAX, 1 },
        { "per_page", 1, 1000, 50 },
        { NULL, 0, 0, 0 }
    };

    ngx_memzero(&faults, sizeof(ngx_http_agents_faults_t));

    if (ngx_http_agents_query_read(r, query, &faults) != NGX_OK) {
        rc = ngx_http_agents_reply_faults(r, &faults);
        ngx_http_agents_faults_free(&faults);
        return rc;
    }

    page = ngx_pcalloc(r->pool, sizeof(ngx_http_agents_page_t));
    if (page == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    page->output = ngx_http_agents_output_create(r, ngx_http_agents_page_read,
                                                 page);
    if (page->output == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    page->type = type;
    page->page = query[0].value;
    page->per_page = query[1].value;
    page->expected = page->per_page;

    page->slice.offset = (page->page - 1) * page->per_page;
    page->slice.bytes = NGX_HTTP_AGENTS_OUTPUT_SLICE;

    return ngx_http_agents_page_read(r, page);
}


static ngx_int_t
ngx_http_agents_page_read(ngx_http_request_t *r, void *data)
{
    ngx_http_agents_page_t *page = data;

    ngx_uint_t                   first;
    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_db_batch_t  *batch;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    first = (page->slice.id == NULL);

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_READ,
                                       first ? ngx_http_agents_page_first
                                             : ngx_http_agents_page_next,
                                       NULL, page);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    page->slice.limit = ngx_min(page->expected - page->records,
                                NGX_HTTP_AGENTS_PAGE_RECORDS);

    if (first) {
        page->type->count(batch, ctx);
    }

    page->type->slice(batch, ctx, &page->slice);

    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_page_first(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_page_t *page = data;

    int64_t    total;
    ngx_int_t  rc;

    rc = ngx_http_agents_reply_missing(r, batch, 0, page->type->missing);

    if (rc == NGX_DECLINED) {
        total = ngx_http_agents_db_get_int(batch, 0, 0, 0);

        page->expected = ngx_max(total - page->slice.offset, 0);
        page->expected = ngx_min(page->expected, page->per_page);

        ngx_http_agents_page_envelope(page, total);
        rc = ngx_http_agents_page_records(r, batch, 1, page);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_page_next(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_page_t *page = data;

    ngx_int_t                    rc;
    ngx_http_agents_db_status_e  status;

    status = ngx_http_agents_db_status(batch);

    rc = (status == NGX_HTTP_AGENTS_DB_OK)
         ? ngx_http_agents_page_records(r, batch, 0, page)
         : ngx_http_agents_output_fail(r, page->output, status);

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


/* Past the end there is no next page, and the page before is there to go back
 * by, though it may be past the end too. */

static void
ngx_http_agents_page_envelope(ngx_http_agents_page_t *page, int64_t total)
{
    int64_t                 pages;
    ngx_http_agents_buf_t  *buf;

    buf = &page->output->buf;
    pages = (total + page->per_page - 1) / page->per_page;

    ngx_http_agents_json_begin(buf);

    if (page->page > 1) {
        ngx_http_agents_json_member_integer(buf, "prev_page", page->page - 1);

    } else {
        ngx_http_agents_json_member_raw(buf, "prev_page", NULL, 0);
    }

    ngx_http_agents_json_member_integer(buf, "current_page", page->page);

    if (page->page < pages) {
        ngx_http_agents_json_member_integer(buf, "next_page", page->page + 1);

    } else {
        ngx_http_agents_json_member_raw(buf, "next_page", NULL, 0);
    }

    ngx_http_agents_json_member_integer(buf, "total_records", total);
    ngx_http_agents_json_member_integer(buf, "total_pages", pages);

    ngx_http_agents_json_key(buf, "records");
    ngx_http_agents_buf_addc(buf, '[');
}


/*
 * The page ends with the records that were counted; earlier, with an empty
 * slice, if some were removed since.
 */

static ngx_int_t
ngx_http_agents_page_records(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch, size_t statement,
    ngx_http_agents_page_t *page)
{
    size_t                  row, n;
    int64_t                 records;
    const char             *id;
    ngx_http_agents_buf_t  *buf;

    buf = &page->output->buf;
    n = ngx_http_agents_db_rows(batch, statement);
    records = page->records;

    for (row = 0; row < n && page->records < page->expected; page->records++) {

        if (page->records != 0) {
            ngx_http_agents_buf_addc(buf, ',');
        }

        row = page->type->view(r, buf, batch, statement, row,
                               &page->slice.created_at, &id);

        (void) ngx_cpystrn((u_char *) page->last, (u_char *) id,
                           sizeof(page->last));
    }

    page->slice.id = page->last;
    page->slice.offset = 0;

    if (page->records == page->expected || page->records == records) {
        ngx_http_agents_buf_addc(buf, ']');
        ngx_http_agents_json_end(buf);

        page->output->ended = 1;
    }

    return ngx_http_agents_output_send(r, page->output);
}
