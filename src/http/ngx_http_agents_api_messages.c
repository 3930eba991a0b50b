
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_query.h"
#include "ngx_http_agents_reply.h"
#include "ngx_http_agents_run_view.h"
#include "ngx_http_agents_variables.h"
#include "ngx_http_agents_wait.h"


/* Parts that are asked for at a time: so many at first, then as many as make
 * pages of the size below, going by the page before. */
#define NGX_HTTP_AGENTS_API_MESSAGES_PARTS      16
#define NGX_HTTP_AGENTS_API_MESSAGES_PARTS_MAX  256
#define NGX_HTTP_AGENTS_API_MESSAGES_PAGE       (1024 * 1024)

/* Where an answer with a limit ends even below it, in bytes; but for one
 * message that is larger, it has no more. */
#define NGX_HTTP_AGENTS_API_MESSAGES_BYTES      (8 * 1024 * 1024)


/*
 * An answer under way, in the request's pool: page after page is read, made
 * into JSON and sent, the next not before the client has taken the one before.
 */
typedef struct {
    int64_t                  since;     /* the last number that was sent */
    int64_t                  version;   /* -1: not read yet */
    int64_t                  limit;     /* 0: none */
    int64_t                  messages;  /* sent */
    size_t                   bytes;     /* of JSON, sent */
    int64_t                  parts;     /* asked for */
    ngx_http_agents_buf_t    buf;       /* the page */
    ngx_buf_t               *b;
    ngx_uint_t               begun;     /* the header was sent */
    ngx_uint_t               ended;     /* the page is the last one */
} ngx_http_agents_api_messages_t;


static ngx_int_t ngx_http_agents_api_messages_read(ngx_http_request_t *r,
    ngx_http_agents_api_messages_t *m);
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
static ngx_int_t ngx_http_agents_api_messages_send(ngx_http_request_t *r,
    ngx_http_agents_api_messages_t *m);
static ngx_int_t ngx_http_agents_api_messages_output(ngx_http_request_t *r,
    ngx_http_agents_api_messages_t *m);
static void ngx_http_agents_api_messages_writer(ngx_http_request_t *r);
static void ngx_http_agents_api_messages_cleanup(void *data);


ngx_int_t
ngx_http_agents_api_messages_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_int_t                        rc;
    ngx_pool_cleanup_t              *cln;
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

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_agents_api_messages_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    m = cln->data;

    ngx_memzero(m, sizeof(ngx_http_agents_api_messages_t));

    cln->handler = ngx_http_agents_api_messages_cleanup;

    m->since = query[0].value;
    m->limit = query[1].value;
    m->version = -1;
    m->parts = NGX_HTTP_AGENTS_API_MESSAGES_PARTS;

    ctx->data = m;

    return ngx_http_agents_api_messages_read(r, m);
}


static ngx_int_t
ngx_http_agents_api_messages_read(ngx_http_request_t *r,
    ngx_http_agents_api_messages_t *m)
{
    ngx_http_agents_ctx_t       *ctx;
    ngx_http_agents_db_batch_t  *batch;

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);

    batch = ngx_http_agents_wait_batch(r, NGX_HTTP_AGENTS_DB_READ,
                                       m->version == -1
                                       ? ngx_http_agents_api_messages_first
                                       : ngx_http_agents_api_messages_next,
                                       NULL, m);
    if (batch == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
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
                                      NGX_HTTP_AGENTS_QUERY_MAX, m->parts);

    } else {
        ngx_http_agents_messages_list(batch, &ctx->owner,
                                      (char *) ctx->id.data, m->since,
                                      m->version, m->parts);
    }

    ngx_http_agents_wait_submit(r, batch);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_agents_api_messages_first(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, void *data)
{
    ngx_http_agents_api_messages_t *m = data;

    ngx_int_t                        rc;
    ngx_http_agents_db_status_e      status;
    ngx_http_agents_conversation_t   conversation;

    status = ngx_http_agents_db_status(batch);

    if (status != NGX_HTTP_AGENTS_DB_OK) {
        rc = ngx_http_agents_reply_store(r, status);

    } else if (ngx_http_agents_db_rows(batch, 0) == 0) {
        rc = ngx_http_agents_reply_status(r, NGX_HTTP_NOT_FOUND,
                                          "There is no such conversation.");

    } else {
        ngx_http_agents_conversations_read(batch, 0, 0, &conversation);
        ngx_http_agents_variables_conversation(r, &conversation.id);

        m->version = conversation.version;

        ngx_http_agents_json_begin(&m->buf);
        ngx_http_agents_json_member_integer(&m->buf, "current_version",
                                            m->version);
        ngx_http_agents_json_key(&m->buf, "messages");
        ngx_http_agents_buf_addc(&m->buf, '[');

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

    if (status == NGX_HTTP_AGENTS_DB_OK
        && ngx_http_agents_db_rows(batch, 0) != 0)
    {
        rc = ngx_http_agents_api_messages_page(r, batch, 0, m);

    } else if (!m->begun) {
        rc = ngx_http_agents_reply_store(r, status);

    } else {

        /* the client sees that the answer is cut off */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "agents: the messages after %L could not be read",
                      m->since);
        rc = NGX_ERROR;
    }

    ngx_http_agents_db_batch_free(batch);

    return rc;
}


static ngx_int_t
ngx_http_agents_api_messages_page(ngx_http_request_t *r,
    ngx_http_agents_db_batch_t *batch, size_t statement,
    ngx_http_agents_api_messages_t *m)
{
    size_t                     i, n, before, mark;
    ngx_uint_t                 enough;
    ngx_http_agents_message_t  message;

    n = ngx_http_agents_api_messages_whole(batch, statement, m);
    before = m->buf.len;
    enough = 0;

    for (i = 0; i < n && !enough; /* void */ ) {

        mark = m->buf.len;

        if (m->messages != 0) {
            ngx_http_agents_buf_addc(&m->buf, ',');
        }

        ngx_http_agents_messages_read(batch, statement, i, &message);

        i = ngx_http_agents_api_messages_view(batch, statement, i, n, &m->buf);

        if (m->limit != 0 && m->messages != 0
            && m->bytes + m->buf.len > NGX_HTTP_AGENTS_API_MESSAGES_BYTES)
        {
            m->buf.len = mark;
            enough = 1;
            break;
        }

        m->since = message.sequence_no;
        m->messages++;

        enough = (m->messages == m->limit);
    }

    if (n == 0) {

        /* a message of more parts than were asked for */

        m->parts *= 2;

    } else {
        m->parts = NGX_HTTP_AGENTS_API_MESSAGES_PAGE
                   / ((m->buf.len - before) / n + 1);
        m->parts = ngx_max(m->parts, NGX_HTTP_AGENTS_API_MESSAGES_PARTS);
        m->parts = ngx_min(m->parts, NGX_HTTP_AGENTS_API_MESSAGES_PARTS_MAX);
    }

    /* numbers have no holes: what is after the last one is known */

    if (enough || m->since >= m->version) {
        ngx_http_agents_buf_adds(&m->buf, "],\"has_more\":");
        ngx_http_agents_buf_adds(&m->buf,
                                 m->since < m->version ? "true}" : "false}");
        m->ended = 1;
    }

    return ngx_http_agents_api_messages_send(r, m);
}


/*
 * How many rows make whole messages of the committed ones: if there were as
 * many parts as were asked for, the last message may go on.
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

    last = (n >= (size_t) m->parts) ? message.sequence_no
                                    : NGX_HTTP_AGENTS_QUERY_MAX;

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
    ngx_http_agents_json_member_string(buf, "role", message.role.data,
                                       message.role.len);
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

    ngx_http_agents_json_member_string(buf, "run_id", message.run_id.data,
                                       message.run_id.len);
    ngx_http_agents_json_member_time(buf, "created_at", message.created_at);
    ngx_http_agents_json_end(buf);

    return i;
}


static ngx_int_t
ngx_http_agents_api_messages_send(ngx_http_request_t *r,
    ngx_http_agents_api_messages_t *m)
{
    ngx_int_t  rc;

    if (m->buf.failed) {
        return m->begun ? NGX_ERROR : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (m->ended && !m->begun) {
        return ngx_http_agents_reply_json(r, NGX_HTTP_OK, &m->buf);
    }

    if (!m->begun) {
        m->begun = 1;

        m->b = ngx_calloc_buf(r->pool);
        if (m->b == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_agents_reply_begin(r);

        if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
            return rc;
        }
    }

    return ngx_http_agents_api_messages_output(r, m);
}


static ngx_int_t
ngx_http_agents_api_messages_output(ngx_http_request_t *r,
    ngx_http_agents_api_messages_t *m)
{
    ngx_int_t                  rc;
    ngx_chain_t                out;
    ngx_http_core_loc_conf_t  *clcf;

    ngx_memzero(m->b, sizeof(ngx_buf_t));

    m->b->pos = (u_char *) m->buf.data;
    m->b->last = m->b->pos + m->buf.len;
    m->b->temporary = 1;
    m->b->flush = 1;
    m->b->last_buf = (m->ended && r == r->main) ? 1 : 0;
    m->b->last_in_chain = m->ended;

    m->bytes += m->buf.len;

    out.buf = m->b;
    out.next = NULL;

    rc = ngx_http_output_filter(r, &out);

    if (rc == NGX_ERROR || m->ended) {
        return rc;
    }

    /* what is sent may be forgotten; what is not waits for the client */

    if (m->b->pos == m->b->last && !r->buffered && !r->connection->buffered) {
        ngx_http_agents_buf_reset(&m->buf);

        rc = ngx_http_agents_api_messages_read(r, m);

        return rc == NGX_DONE ? NGX_DONE : NGX_ERROR;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r == r->main && !r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_agents_api_messages_writer;

    ngx_add_timer(r->connection->write, clcf->send_timeout);

    if (ngx_handle_write_event(r->connection->write, clcf->send_lowat)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_DONE;
}


static void
ngx_http_agents_api_messages_writer(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_event_t                     *wev;
    ngx_http_agents_ctx_t           *ctx;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_agents_api_messages_t  *m;

    wev = r->connection->write;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    rc = ngx_http_output_filter(r, NULL);

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_agents_module);
    m = ctx->data;

    if (m->b->pos != m->b->last || r->buffered || r->connection->buffered) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    ngx_http_agents_buf_reset(&m->buf);

    rc = ngx_http_agents_api_messages_read(r, m);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static void
ngx_http_agents_api_messages_cleanup(void *data)
{
    ngx_http_agents_api_messages_t *m = data;

    ngx_http_agents_buf_free(&m->buf);
}
