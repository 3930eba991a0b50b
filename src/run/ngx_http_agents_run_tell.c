
/*
 * A run tells those who follow it what its model says, as it says it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_agents_loop_tell.h"
#include "ngx_http_agents_run.h"


/* More than this is not told again to who comes late, in bytes. */
#define NGX_HTTP_AGENTS_RUN_TELL_AGAIN  65536


/* Made when someone follows the run. */
struct ngx_http_agents_run_voice_s {
    ngx_http_agents_deltas_key_t        key;
    ngx_http_agents_deltas_audience_t   audience;
    ngx_http_agents_loop_telling_t      telling;
    uint64_t                            talk;
    int64_t                             turn_index;
    int64_t                             parts;
    unsigned                            talking:1;  /* until it is judged */
    unsigned                            judged:1;   /* in a pool thread */
    unsigned                            right:1;
};


static ngx_http_agents_run_voice_t *ngx_http_agents_run_tell_voice(
    ngx_http_agents_run_t *run);
static void ngx_http_agents_run_tell_delta(void *data,
    const ngx_http_agents_delta_t *delta);
static void ngx_http_agents_run_tell_lost(void *data);
static void ngx_http_agents_run_tell_new(ngx_http_agents_run_t *run,
    ngx_http_agents_run_voice_t *voice, ngx_http_agents_draft_t *draft);
static void ngx_http_agents_run_tell_late(ngx_http_agents_run_t *run,
    ngx_http_agents_run_voice_t *voice,
    const ngx_http_agents_deltas_to_t *to);
static void ngx_http_agents_run_tell_event(
    const ngx_http_agents_run_voice_t *voice,
    ngx_http_agents_deltas_kind_e kind,
    ngx_http_agents_deltas_event_t *event);
static void ngx_http_agents_run_tell_piece(
    const ngx_http_agents_run_voice_t *voice,
    const ngx_http_agents_loop_piece_t *piece, uint64_t at,
    ngx_http_agents_deltas_event_t *event);
static void ngx_http_agents_run_tell_close(ngx_http_agents_run_t *run,
    ngx_http_agents_deltas_kind_e kind);


void
ngx_http_agents_run_tell(ngx_http_agents_run_t *run)
{
    ngx_http_agents_inference_listen(run->inference,
                                     ngx_http_agents_run_tell_delta,
                                     ngx_http_agents_run_tell_lost);
}


static ngx_http_agents_run_voice_t *
ngx_http_agents_run_tell_voice(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_voice_t  *voice;

    if (run->voice != NULL) {
        return run->voice;
    }

    voice = ngx_calloc(sizeof(ngx_http_agents_run_voice_t), &run->log);
    if (voice == NULL) {
        return NULL;
    }

    if (ngx_http_agents_deltas_key(&voice->key, &run->key.owner, run->key.id)
        != NGX_OK)
    {
        ngx_free(voice);
        return NULL;
    }

    voice->talk = (uint64_t) run->key.epoch << 32;
    run->voice = voice;

    return voice;
}


/* What has come stands in the draft. */

static void
ngx_http_agents_run_tell_delta(void *data,
    const ngx_http_agents_delta_t *delta)
{
    ngx_http_agents_run_t *run = data;

    ngx_http_agents_deltas_t     *deltas;
    ngx_http_agents_run_voice_t  *voice;

    deltas = ngx_http_agents_engine_conf(run->engine)->deltas;

    if (run->voice == NULL && !ngx_http_agents_deltas_listened(deltas)) {
        return;
    }

    voice = ngx_http_agents_run_tell_voice(run);

    if (voice == NULL
        || !ngx_http_agents_deltas_heard(deltas, &voice->key,
                                         &voice->audience))
    {
        return;
    }

    ngx_http_agents_run_tell_new(run, voice,
                           ngx_http_agents_inference_draft(run->inference));
}


static void
ngx_http_agents_run_tell_lost(void *data)
{
    ngx_http_agents_run_tell_drop(data);
}


/* All that was not told yet: it may have come while nobody listened. */

static void
ngx_http_agents_run_tell_new(ngx_http_agents_run_t *run,
    ngx_http_agents_run_voice_t *voice, ngx_http_agents_draft_t *draft)
{
    size_t                           i;
    uint64_t                         at;
    ngx_http_agents_loop_piece_t     piece;
    ngx_http_agents_deltas_event_t   event;

    if (!voice->talking) {
        ngx_http_agents_loop_telling_clear(&voice->telling);

        voice->talk++;
        voice->turn_index = ngx_http_agents_loop_next_turn(&run->loop,
                                                           &voice->parts);
        voice->talking = 1;
    }

    for (i = 0; i < draft->nblocks; i++) {
        at = voice->telling.bytes;
        ngx_http_agents_buf_init(&piece.text);

        if (ngx_http_agents_loop_tell(&run->loop, &voice->telling, draft, i,
                                      &piece)
            && !piece.text.failed)
        {
            ngx_http_agents_run_tell_piece(voice, &piece, at, &event);

            ngx_http_agents_deltas_say(
                        ngx_http_agents_engine_conf(run->engine)->deltas,
                        &voice->key, &voice->audience, &event);
        }

        ngx_http_agents_buf_free(&piece.text);
    }
}


ngx_int_t
ngx_http_agents_run_tell_asked(ngx_http_agents_run_t *run,
    const ngx_http_agents_deltas_key_t *key,
    const ngx_http_agents_deltas_to_t *to)
{
    ngx_http_agents_run_voice_t  *voice;

    voice = ngx_http_agents_run_tell_voice(run);

    if (voice == NULL || ngx_strcmp(voice->key.owner, key->owner) != 0) {
        return NGX_DECLINED;
    }

    if (to->listener == NULL) {
        ngx_http_agents_deltas_ask(&voice->audience, to->worker, &run->log);
    }

    if (to->late) {
        ngx_http_agents_run_tell_late(run, voice, to);
    }

    return NGX_OK;
}


/* One that comes late is told all of it, like those who have heard it. */

static void
ngx_http_agents_run_tell_late(ngx_http_agents_run_t *run,
    ngx_http_agents_run_voice_t *voice, const ngx_http_agents_deltas_to_t *to)
{
    size_t                           i;
    uint64_t                         at;
    ngx_http_agents_draft_t         *draft;
    ngx_http_agents_deltas_t        *deltas;
    ngx_http_agents_loop_piece_t     piece;
    ngx_http_agents_deltas_event_t   event;

    deltas = ngx_http_agents_engine_conf(run->engine)->deltas;
    draft = NULL;

    if (run->inference != NULL) {
        draft = ngx_http_agents_inference_draft(run->inference);
    }

    if (draft != NULL) {
        ngx_http_agents_run_tell_new(run, voice, draft);
    }

    if (draft == NULL || voice->telling.bytes == 0
        || voice->telling.bytes > NGX_HTTP_AGENTS_RUN_TELL_AGAIN)
    {
        ngx_http_agents_run_tell_event(voice,
                                 (draft == NULL || voice->telling.bytes == 0)
                                 ? NGX_HTTP_AGENTS_DELTAS_NOTHING
                                 : NGX_HTTP_AGENTS_DELTAS_MISSED, &event);
        ngx_http_agents_deltas_answer(deltas, &voice->key, to, &event);
        return;
    }

    at = 0;

    for (i = 0; i < draft->nblocks; i++) {
        ngx_http_agents_buf_init(&piece.text);

        if (ngx_http_agents_loop_tell_again(&voice->telling, draft, i, &piece)
            && !piece.text.failed)
        {
            ngx_http_agents_run_tell_piece(voice, &piece, at, &event);
            event.again = 1;

            ngx_http_agents_deltas_answer(deltas, &voice->key, to, &event);

            at += piece.text.len;
        }

        ngx_http_agents_buf_free(&piece.text);
    }
}


static void
ngx_http_agents_run_tell_event(const ngx_http_agents_run_voice_t *voice,
    ngx_http_agents_deltas_kind_e kind, ngx_http_agents_deltas_event_t *event)
{
    ngx_memzero(event, sizeof(ngx_http_agents_deltas_event_t));

    event->kind = kind;
    event->talk = voice->talk;
    event->turn_index = voice->turn_index;
    event->parts = voice->parts;
}


static void
ngx_http_agents_run_tell_piece(const ngx_http_agents_run_voice_t *voice,
    const ngx_http_agents_loop_piece_t *piece, uint64_t at,
    ngx_http_agents_deltas_event_t *event)
{
    ngx_http_agents_run_tell_event(voice, piece->arguments
                                          ? NGX_HTTP_AGENTS_DELTAS_ARGUMENTS
                                          : NGX_HTTP_AGENTS_DELTAS_TEXT,
                                   event);

    event->at = at;
    event->text.data = (u_char *) piece->text.data;
    event->text.len = piece->text.len;

    if (piece->arguments) {
        event->id.data = (u_char *) piece->id;
        event->id.len = ngx_strlen(piece->id);
    }
}


/* Before the reply goes to a pool thread, which alone has the telling then. */

void
ngx_http_agents_run_tell_judge(ngx_http_agents_run_t *run)
{
    if (run->voice != NULL) {
        run->voice->judged = run->voice->talking;
        run->voice->right = 0;
    }

    run->judged = run->voice;
}


/* In a pool thread. */

void
ngx_http_agents_run_tell_compare(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_voice_t  *voice;

    voice = run->judged;

    if (voice != NULL && voice->judged) {
        voice->right = ngx_http_agents_loop_told_right(&run->loop,
                                                       &voice->telling,
                                                       voice->turn_index);
    }
}


void
ngx_http_agents_run_tell_judged(ngx_http_agents_run_t *run)
{
    if (run->judged != NULL && run->judged->judged) {
        ngx_http_agents_run_tell_close(run, run->judged->right
                                            ? NGX_HTTP_AGENTS_DELTAS_SAID
                                            : NGX_HTTP_AGENTS_DELTAS_WITHDRAWN);
    }
}


void
ngx_http_agents_run_tell_drop(ngx_http_agents_run_t *run)
{
    ngx_http_agents_run_tell_close(run, NGX_HTTP_AGENTS_DELTAS_WITHDRAWN);
}


static void
ngx_http_agents_run_tell_close(ngx_http_agents_run_t *run,
    ngx_http_agents_deltas_kind_e kind)
{
    ngx_http_agents_run_voice_t     *voice;
    ngx_http_agents_deltas_event_t   event;

    voice = run->voice;

    if (voice == NULL || !voice->talking) {
        return;
    }

    voice->talking = 0;

    if (voice->telling.bytes != 0) {
        ngx_http_agents_run_tell_event(voice, kind, &event);

        ngx_http_agents_deltas_say(
                            ngx_http_agents_engine_conf(run->engine)->deltas,
                            &voice->key, &voice->audience, &event);
    }
}


void
ngx_http_agents_run_tell_free(ngx_http_agents_run_t *run)
{
    if (run->voice == NULL) {
        return;
    }

    ngx_http_agents_loop_telling_clear(&run->voice->telling);
    ngx_http_agents_deltas_audience_clear(&run->voice->audience);

    ngx_free(run->voice);
    run->voice = NULL;
}
