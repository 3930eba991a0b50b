
/*
 * Events as text: each with the id that tells what the client has then.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_events.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_run_view.h"


static size_t ngx_http_agents_events_write_begin(ngx_http_agents_events_t *ev,
    const char *name);
static void ngx_http_agents_events_write_finish(ngx_http_agents_events_t *ev,
    size_t from);
static void ngx_http_agents_events_write_delta(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_deltas_event_t *event);
static void ngx_http_agents_events_write_reset(ngx_http_agents_events_t *ev,
    int64_t turn_index);
static void ngx_http_agents_events_lose(ngx_http_agents_events_t *ev,
    uint64_t talk);


/* Returns where the data begin. */

static size_t
ngx_http_agents_events_write_begin(ngx_http_agents_events_t *ev,
    const char *name)
{
    ngx_http_agents_buf_t  *buf;

    buf = &ev->send.out;

    ngx_http_agents_buf_addf(buf, "event: %s\nid: ", name);
    ngx_http_agents_events_id_write(buf, &ev->sent, ev->waiter.id);
    ngx_http_agents_buf_adds(buf, "\ndata: ");

    return buf->len;
}


/* JSON has line ends between its tokens, if it has any. */

static void
ngx_http_agents_events_write_finish(ngx_http_agents_events_t *ev, size_t from)
{
    size_t                  i;
    ngx_http_agents_buf_t  *buf;

    buf = &ev->send.out;

    for (i = from; i < buf->len; i++) {
        if (buf->data[i] == '\n' || buf->data[i] == '\r') {
            buf->data[i] = ' ';
        }
    }

    ngx_http_agents_buf_adds(buf, "\n\n");

    ev->spoken = ngx_current_msec;
}


void
ngx_http_agents_events_write_run(ngx_http_agents_events_t *ev,
    const ngx_http_agents_run_record_t *run, int64_t status)
{
    size_t  from;

    ev->sent.status = status;

    from = ngx_http_agents_events_write_begin(ev, "run");
    ngx_http_agents_run_view_bare(ev->request, &ev->send.out, run);
    ngx_http_agents_events_write_finish(ev, from);
}


void
ngx_http_agents_events_write_name(ngx_http_agents_events_t *ev,
    const ngx_http_agents_run_record_t *run)
{
    size_t                  from;
    ngx_http_agents_buf_t  *buf;

    buf = &ev->send.out;
    ev->sent.name_rev = run->name_rev;

    from = ngx_http_agents_events_write_begin(ev, "name");

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_text(buf, "current_name",
                                     &run->conversation_name);
    ngx_http_agents_json_end(buf);

    ngx_http_agents_events_write_finish(ev, from);
}


void
ngx_http_agents_events_write_end(ngx_http_agents_events_t *ev,
    const ngx_http_agents_run_record_t *run)
{
    size_t                  from;
    ngx_http_agents_buf_t  *buf;

    buf = &ev->send.out;
    ev->sent.status = NGX_HTTP_AGENTS_EVENTS_END;

    from = ngx_http_agents_events_write_begin(ev, "end");

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_text(buf, "status", &run->status);
    ngx_http_agents_json_end(buf);

    ngx_http_agents_events_write_finish(ev, from);
}


void
ngx_http_agents_events_write_turn(ngx_http_agents_events_t *ev,
    const ngx_http_agents_db_batch_t *batch, size_t statement, size_t row,
    size_t n)
{
    size_t                      i, from;
    ngx_uint_t                  more;
    ngx_http_agents_buf_t      *buf;
    ngx_http_agents_message_t   part;

    ngx_http_agents_messages_read(batch, statement, row, &part);

    buf = &ev->send.out;
    ev->sent.turns = part.turn_index + 1;
    ev->sent.parts = n;

    from = ngx_http_agents_events_write_begin(ev, "turn");

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_integer(buf, "turn_index", part.turn_index);
    ngx_http_agents_json_member_text(buf, "role", &part.role);
    ngx_http_agents_json_key(buf, "content_blocks");
    ngx_http_agents_buf_addc(buf, '[');

    more = 0;

    for (i = 0; i < n; i++) {
        ngx_http_agents_messages_read(batch, statement, row + i, &part);
        ngx_http_agents_run_view_blocks(buf, &part.content, more);
        more |= part.content.len > 2;
    }

    ngx_http_agents_buf_addc(buf, ']');
    ngx_http_agents_json_end(buf);

    ngx_http_agents_events_write_finish(ev, from);
}


static void
ngx_http_agents_events_write_delta(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_deltas_event_t *event)
{
    ngx_http_agents_buf_adds(buf, "event: delta\ndata: ");

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_integer(buf, "turn_index", event->turn_index);

    if (event->kind == NGX_HTTP_AGENTS_DELTAS_ARGUMENTS) {
        ngx_http_agents_json_member_cstring(buf, "type", "arguments");
        ngx_http_agents_json_member_string(buf, "tool_use_id",
                                           (char *) event->id.data,
                                           event->id.len);
    } else {
        ngx_http_agents_json_member_cstring(buf, "type", "text");
    }

    ngx_http_agents_json_member_string(buf, "text", (char *) event->text.data,
                                       event->text.len);
    ngx_http_agents_json_end(buf);

    ngx_http_agents_buf_adds(buf, "\n\n");
}


static void
ngx_http_agents_events_write_reset(ngx_http_agents_events_t *ev,
    int64_t turn_index)
{
    size_t                  from;
    ngx_http_agents_buf_t  *buf;

    buf = &ev->send.out;

    from = ngx_http_agents_events_write_begin(ev, "reset");

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_integer(buf, "turn_index", turn_index);
    ngx_http_agents_json_end(buf);

    ngx_http_agents_events_write_finish(ev, from);
}


/* Nothing is sent from here: that has its own turn in the event loop. */

void
ngx_http_agents_events_delta(void *data,
    const ngx_http_agents_deltas_event_t *event)
{
    ngx_http_agents_events_t *ev = data;

    if (ev->send.last) {
        return;
    }

    switch (event->kind) {

    case NGX_HTTP_AGENTS_DELTAS_SAID:
        ev->said_talk = event->talk;
        return;

    case NGX_HTTP_AGENTS_DELTAS_WITHDRAWN:
    case NGX_HTTP_AGENTS_DELTAS_MISSED:
        ngx_http_agents_events_lose(ev, event->talk);
        return;

    default: /* TEXT, ARGUMENTS */
        break;
    }

    if (event->talk == ev->mute_talk || event->turn_index < ev->sent.turns) {
        return;
    }

    if (event->talk != ev->held_talk) {
        ngx_http_agents_buf_reset(&ev->held);

        ev->held_talk = event->talk;
        ev->held_turn = event->turn_index;
        ev->held_parts = event->parts;
    }

    ngx_http_agents_events_write_delta(&ev->held, event);

    if (ev->held.failed
        || ngx_http_agents_events_behind(&ev->send) + ev->held.len
           > NGX_HTTP_AGENTS_EVENTS_BEHIND)
    {
        ngx_http_agents_events_lose(ev, event->talk);
        return;
    }

    ngx_http_agents_events_release(ev);

    if (ev->held.len != 0) {

        /* the turns before it are in the store */

        ev->due = 1;
        ngx_post_event(&ev->push, &ngx_posted_events);
    }
}


void
ngx_http_agents_events_release(ngx_http_agents_events_t *ev)
{
    if (ev->held.len == 0 || !ev->synced) {
        return;
    }

    if (ev->held_turn < ev->sent.turns) {
        ngx_http_agents_buf_reset(&ev->held);
        return;
    }

    if (ev->held_turn != ev->sent.turns || ev->sent.parts < ev->held_parts) {
        return;
    }

    if (ev->told_turn != -1 && ev->told_talk != ev->held_talk) {
        ngx_http_agents_events_withdraw(ev);

    } else if (ev->resumed && ev->told_turn == -1) {
        ngx_http_agents_events_write_reset(ev, ev->held_turn);
    }

    ev->resumed = 0;

    ev->told_talk = ev->held_talk;
    ev->told_turn = ev->held_turn;
    ev->spoken = ngx_current_msec;

    ngx_http_agents_buf_add(&ev->send.out, ev->held.data, ev->held.len);
    ngx_http_agents_buf_reset(&ev->held);

    ngx_post_event(&ev->push, &ngx_posted_events);
}


void
ngx_http_agents_events_withdraw(ngx_http_agents_events_t *ev)
{
    if (ev->told_turn == -1) {
        return;
    }

    ngx_http_agents_events_write_reset(ev, ev->told_turn);

    ev->told_turn = -1;

    ngx_post_event(&ev->push, &ngx_posted_events);
}


/* The rest of a talk is not told, nor does what was told of it count. */

static void
ngx_http_agents_events_lose(ngx_http_agents_events_t *ev, uint64_t talk)
{
    ev->mute_talk = talk;

    if (ev->held_talk == talk) {
        ngx_http_agents_buf_reset(&ev->held);
    }

    if (ev->told_talk == talk) {
        ngx_http_agents_events_withdraw(ev);
    }
}
