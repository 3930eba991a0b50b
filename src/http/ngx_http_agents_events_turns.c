
/*
 * The turns of a run that a client has not, from its messages or from the
 * journal of a run under way.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_events.h"


static void ngx_http_agents_events_turns_more(ngx_http_agents_events_t *ev);
static size_t ngx_http_agents_events_turns_parts(
    const ngx_http_agents_db_batch_t *batch, size_t i, size_t n);
static size_t ngx_http_agents_events_turns_rows(
    const ngx_http_agents_db_batch_t *batch, ngx_http_agents_events_t *ev,
    ngx_uint_t *complete);
static void ngx_http_agents_events_turns_send(
    const ngx_http_agents_db_batch_t *batch, size_t row, size_t n,
    ngx_http_agents_events_t *ev);


ngx_int_t
ngx_http_agents_events_turns_check(const ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_events_t *ev)
{
    size_t                     k, n;
    ngx_uint_t                 complete;
    ngx_http_agents_message_t  first;

    if (ev->checked || ev->sent.turns == 0) {
        ev->checked = 1;
        return NGX_OK;
    }

    n = ngx_http_agents_events_turns_rows(batch, ev, &complete);

    if (n == 0 && !complete) {
        ngx_http_agents_events_turns_more(ev);
        return NGX_AGAIN;
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    k = ngx_http_agents_events_turns_parts(batch, 0, n);
    ngx_http_agents_messages_read(batch, 0, 0, &first);

    if (first.turn_index + 1 != ev->sent.turns
        || (int64_t) k < ev->sent.parts)
    {
        return NGX_DECLINED;
    }

    ev->checked = 1;

    return NGX_OK;
}


ngx_uint_t
ngx_http_agents_events_turns(const ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_events_t *ev)
{
    size_t                       i, k, n;
    ngx_uint_t                   complete;
    ngx_http_agents_events_id_t  before;

    before = ev->sent;

    n = ngx_http_agents_events_turns_rows(batch, ev, &complete);

    for (i = 0; i < n; i += k) {
        k = ngx_http_agents_events_turns_parts(batch, i, n);
        ngx_http_agents_events_turns_send(batch, i, k, ev);
    }

    if (!complete && ngx_memcmp(&before, &ev->sent,
                                sizeof(ngx_http_agents_events_id_t)) == 0)
    {
        ngx_http_agents_events_turns_more(ev);
    }

    return complete;
}


/* A turn of more than was asked for. */

static void
ngx_http_agents_events_turns_more(ngx_http_agents_events_t *ev)
{
    ev->parts *= 2;
    ev->bytes *= 2;
}


/* How many of the n rows make the turn that begins in row i. */

static size_t
ngx_http_agents_events_turns_parts(const ngx_http_agents_db_batch_t *batch,
    size_t i, size_t n)
{
    size_t                     k;
    ngx_http_agents_message_t  first, part;

    ngx_http_agents_messages_read(batch, 0, i, &first);

    for (k = 1; i + k < n; k++) {
        ngx_http_agents_messages_read(batch, 0, i + k, &part);

        if (part.sequence_no != first.sequence_no) {
            break;
        }
    }

    return k;
}


/*
 * How many rows make whole turns of this run.  The store ends a list early
 * where it gets long: its last turn may go on then.
 */

static size_t
ngx_http_agents_events_turns_rows(const ngx_http_agents_db_batch_t *batch,
    ngx_http_agents_events_t *ev, ngx_uint_t *complete)
{
    size_t                     i, n;
    int64_t                    bytes, last;
    ngx_http_agents_message_t  part;

    n = ngx_http_agents_db_rows(batch, 0);
    bytes = 0;

    for (i = 0; i < n; i++) {
        ngx_http_agents_messages_read(batch, 0, i, &part);

        if (ngx_strcmp(part.run_id.data, ev->waiter.id) != 0) {

            /* what follows is a later run's */

            *complete = 1;
            return i;
        }

        bytes += part.content.len;
    }

    *complete = ((int64_t) n < ev->parts && bytes < ev->bytes);

    if (*complete || !ngx_http_agents_messages_goes_on(batch, 0, ev->parts)) {
        return n;
    }

    for (last = part.sequence_no; n != 0; n--) {
        ngx_http_agents_messages_read(batch, 0, n - 1, &part);

        if (part.sequence_no != last) {
            break;
        }
    }

    return n;
}


static void
ngx_http_agents_events_turns_send(const ngx_http_agents_db_batch_t *batch,
    size_t row, size_t n, ngx_http_agents_events_t *ev)
{
    ngx_http_agents_message_t  part;

    ngx_http_agents_messages_read(batch, 0, row, &part);

    ev->grows = (ngx_strcmp(part.role.data, "tool") == 0);

    if (part.turn_index + 1 < ev->sent.turns
        || (part.turn_index + 1 == ev->sent.turns
            && (int64_t) n <= ev->sent.parts))
    {
        return;
    }

    if (part.turn_index >= ev->told_turn) {

        if (part.turn_index != ev->told_turn
            || ev->said_talk != ev->told_talk)
        {
            ngx_http_agents_events_withdraw(ev);
        }

        ev->told_turn = -1;
    }

    ngx_http_agents_events_write_turn(ev, batch, 0, row, n);
}
