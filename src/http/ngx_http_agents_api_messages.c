
/*
 * GET /agents/conversations/{id}/messages: a page of them, or all in slices.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_query.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_run_view.h"
#include "ngx_http_agents_output.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_wait.h"


/* Parts that are asked for at a time: at first, at least and at most.  The
 * store ends a slice of long ones earlier. */
#define NGX_HTTP_AGENTS_API_MESSAGES_PARTS      64
#define NGX_HTTP_AGENTS_API_MESSAGES_PARTS_MIN  16
#define NGX_HTTP_AGENTS_API_MESSAGES_PARTS_MAX  256

/* Where an answer with a limit ends even below it, in bytes; but for one
 * message that is larger, it has no more. */
#define NGX_HTTP_AGENTS_API_MESSAGES_BYTES  (8 * 1024 * 1024)


/* An answer under way, in the request's pool. */
typedef struct {
    ngx_http_agents_output_t  *output;
    int64_t                    since;       /* the last number that was sent */
    int64_t                    version;     /* -1: not read yet */
    int64_t                    limit;       /* 0: none */
    int64_t                    messages;    /* sent */
    int64_t                    parts;       /* asked for */
    int64_t                    bytes;       /* asked for */
} ngx_http_agents_api_messages_t;


static void ngx_http_agents_api_messages_ask(
    ngx_http_agents_api_messages_t *m, size_t n);
static ngx_int_t ngx_http_agents_api_messages_read(ngx_http_request_t *r,
    void *data);
static ngx_int_t ngx_http_agents_api_messages_first(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_messages_next(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data);
static ngx_int_t ngx_http_agents_api_messages_page(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, size_t statement,
    ngx_http_agents_api_messages_t *m);
static size_t ngx_http_agents_api_messages_whole(
    const ngx_http_agents_db_batch_t *batch, size_t statement,
    const ngx_http_agents_api_messages_t *m);
static size_t ngx_http_agents_api_messages_view(
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t i,
    size_t n, ngx_http_agents_buf_t *buf);


ngx_int_t
ngx_http_agents_api_messages_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_int_t                        rc;
    ngx_http_agents_faults_t         faults;
    ngx_http_agents_api_messages_t  *m;

    ngx_http_agents_query_t  query[] = {
        { "since", 0, NGX_HTTP_AGENTS_QUERY_MAX, 0 },
        { "limit", 1, 1000, 0 },
        { NULL, 0, 0, 0 }
    };

    ngx_memzero(&faults, sizeof(ngx_http_agents_faults_t));

    if (ngx_http_agents_query_read(r, query, &faults) != NGX_OK) {
        rc = ngx_http_agents_reply_faults(r, &faults);
        ngx_http_agents_faults_free(&faults);
        return rc;
    }

    m = ngx_pcalloc(r->pool, sizeof(ngx_http_agents_api_messages_t));
    if (m == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    m->output = ngx_http_agents_output_create(r,
                                         ngx_http_agents_api_messages_read, m);
    if (m->output == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    m->since = query[0].value;
    m->limit = query[1].value;
    m->version = -1;

    ngx_http_agents_api_messages_ask(m,
                                     NGX_HTTP_AGENTS_API_MESSAGES_PARTS / 2);

    return ngx_http_agents_api_messages_read(r, m);
}


/*
 * The store looks at each part that it is asked for: so it is not asked for
 * many more than will come, going by the "n" of the slice before.
 */

static void
ngx_http_agents_api_messages_ask(ngx_http_agents_api_messages_t *m, size_t n)
{
    m->bytes = NGX_HTTP_AGENTS_OUTPUT_SLICE;

    m->parts = ngx_max((int64_t) n * 2, NGX_HTTP_AGENTS_API_MESSAGES_PARTS_MIN);
    m->parts = ngx_min(m->parts, NGX_HTTP_AGENTS_API_MESSAGES_PARTS_MAX);

    if (m->limit != 0) {
        m->parts = ngx_min(m->parts, m->limit - m->messages
                                  + NGX_HTTP_AGENTS_API_MESSAGES_PARTS_MIN);
    }
}


static ngx_int_t
ngx_http_agents_api_messages_read(ngx_http_request_t *r, void *data)
{
    ngx_http_agents_api_messages_t *m = data;

    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_db_batch_t  *batch;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_READ,
                                       m->version == -1
                                       ? ngx_http_agents_api_messages_first
                                       : ngx_http_agents_api_messages_next,
                                       NULL, m);
    if (batch == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    if (m->version == -1) {

        /*
         * the version first: what it covers is there, and never changes,
         * whatever is committed between the two statements
         */

        ngx_http_agents_conversations_get(batch, &ctx->owner,
                                          (char *) ctx->id.data);
        ngx_http_agents_messages_list(batch, &ctx->owner,
                                      (char *) ctx->id.data, m->since,
                                      NGX_HTTP_AGENTS_QUERY_MAX, m->parts,
                                      m->bytes);

    } else {
        ngx_http_agents_messages_list(batch, &ctx->owner,
                                      (char *) ctx->id.data, m->since,
                                      m->version, m->parts, m->bytes);
    }

    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_messages_first(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_api_messages_t *m = data;

    ngx_int_t                       rc;
    ngx_http_agents_conversation_t  conversation;

    rc = ngx_http_agents_reply_missing(r, batch, 0,
                                       "There is no such conversation.");

    if (rc == NGX_DECLINED) {
        ngx_http_agents_conversations_read(batch, 0, 0, &conversation);
        ngx_http_agents_variables_conversation(r, &conversation.id);

        m->version = conversation.version;

        ngx_http_agents_json_begin(&m->output->buf);
        ngx_http_agents_json_member_integer(&m->output->buf,
                                            "current_version", m->version);
        ngx_http_agents_json_key(&m->output->buf, "messages");
        ngx_http_agents_buf_addc(&m->output->buf, '[');

        rc = ngx_http_agents_api_messages_page(r, batch, 1, m);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_api_messages_next(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_api_messages_t *m = data;

    ngx_int_t                    rc;
    ngx_http_agents_db_status_e  status;

    status = ngx_http_agents_db_status(batch);

    /* no rows below the version: the conversation was removed meanwhile */

    if (status == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_rows(batch, 0) != 0)
    {
        rc = ngx_http_agents_api_messages_page(r, batch, 0, m);

    } else {
        rc = ngx_http_agents_output_fail(r, m->output, status);
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_api_messages_page(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, size_t statement,
    ngx_http_agents_api_messages_t *m)
{
    size_t                     i, n, mark;
    ngx_uint_t                 enough;
    ngx_http_agents_buf_t     *buf;
    ngx_http_agents_message_t  message;

    n = ngx_http_agents_api_messages_whole(batch, statement, m);
    buf = &m->output->buf;
    enough = 0;

    for (i = 0; i < n && !enough; /* void */ ) {

        mark = buf->len;

        if (m->messages != 0) {
            ngx_http_agents_buf_addc(buf, ',');
        }

        ngx_http_agents_messages_read(batch, statement, i, &message);

        i = ngx_http_agents_api_messages_view(batch, statement, i, n, buf);

        if (m->limit != 0 && m->messages != 0
            && m->output->sent + buf->len > NGX_HTTP_AGENTS_API_MESSAGES_BYTES)
        {
            buf->len = mark;
            enough = 1;
            break;
        }

        m->since = message.sequence_no;
        m->messages++;

        enough = (m->messages == m->limit);
    }

    if (n == 0) {

        /* a message of more than was asked for */

        m->parts *= 2;
        m->bytes *= 2;

    } else {
        ngx_http_agents_api_messages_ask(m, n);
    }

    /* numbers have no holes: what is after the last one is known */

    if (enough || m->since >= m->version) {
        ngx_http_agents_buf_adds(buf, "],\"has_more\":");
        ngx_http_agents_buf_adds(buf,
                                 m->since < m->version ? "true}" : "false}");
        m->output->ended = 1;
    }

    return ngx_http_agents_output_send(r, m->output);
}


/*
 * How many rows make whole messages of the committed ones: where the slice
 * ends early, its last message may go on.
 */

static size_t
ngx_http_agents_api_messages_whole(const ngx_http_agents_db_batch_t *batch,
    size_t statement, const ngx_http_agents_api_messages_t *m)
{
    size_t                     n;
    int64_t                    last;
    ngx_http_agents_message_t  message;

    n = ngx_http_agents_db_rows(batch, statement);

    if (n == 0) {
        return 0;
    }

    ngx_http_agents_messages_read(batch, statement, n - 1, &message);

    last = ngx_http_agents_messages_goes_on(batch, statement, m->parts)
           ? message.sequence_no : NGX_HTTP_AGENTS_QUERY_MAX;

    while (message.sequence_no >= last || message.sequence_no > m->version) {

        if (--n == 0) {
            return 0;
        }

        ngx_http_agents_messages_read(batch, statement, n - 1, &message);
    }

    return n;
}


/* Writes the message that starts in row i; returns the row after it. */

static size_t
ngx_http_agents_api_messages_view(const ngx_http_agents_db_batch_t *batch,
    size_t statement, size_t i, size_t n, ngx_http_agents_buf_t *buf)
{
    ngx_uint_t                 more;
    ngx_http_agents_message_t  message, part;

    ngx_http_agents_messages_read(batch, statement, i, &message);

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_integer(buf, "sequence_no",
                                        message.sequence_no);
    ngx_http_agents_json_member_text(buf, "role", &message.role);
    ngx_http_agents_json_key(buf, "content_blocks");
    ngx_http_agents_buf_addc(buf, '[');

    part = message;
    more = 0;

    do {
        ngx_http_agents_run_view_blocks(buf, &part.content, more);
        more |= part.content.len > 2;

        if (++i == n) {
            break;
        }

        ngx_http_agents_messages_read(batch, statement, i, &part);

    } while (part.sequence_no == message.sequence_no);

    ngx_http_agents_buf_addc(buf, ']');

    ngx_http_agents_json_member_text(buf, "run_id", &message.run_id);
    ngx_http_agents_json_member_time(buf, "created_at", message.created_at);
    ngx_http_agents_json_end(buf);

    return i;
}
