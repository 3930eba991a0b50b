
/*
 * A reply in the making, as those may see it who follow the run.
 */


#include <stdlib.h>
#include <string.h>

#include "ngx_http_agents_loop_parts.h"
#include "ngx_http_agents_loop_tell.h"
#include "ngx_http_agents_schema.h"


/* FNV-1a, of 64 bits. */
#define NGX_HTTP_AGENTS_LOOP_TELL_SUM    0xcbf29ce484222325ULL
#define NGX_HTTP_AGENTS_LOOP_TELL_PRIME  0x100000001b3ULL


static ngx_http_agents_loop_told_t *ngx_http_agents_loop_tell_block(
    ngx_http_agents_loop_telling_t *telling, size_t block);
static ngx_http_agents_loop_tell_e ngx_http_agents_loop_tell_what(
    const ngx_http_agents_loop_t *loop, ngx_http_agents_draft_t *draft,
    size_t i);
static ngx_http_agents_loop_tell_e ngx_http_agents_loop_tell_text(
    const ngx_http_agents_draft_block_t *block);
static int ngx_http_agents_loop_tell_id(const ngx_http_agents_loop_t *loop,
    ngx_http_agents_draft_t *draft, size_t i);
static int ngx_http_agents_loop_tell_id_taken(
    const ngx_http_agents_loop_t *loop, const ngx_http_agents_draft_t *draft,
    size_t i);
static void ngx_http_agents_loop_tell_add(ngx_http_agents_loop_told_t *told,
    const char *text, size_t len, ngx_http_agents_buf_t *buf);
static void ngx_http_agents_loop_tell_compact(
    ngx_http_agents_loop_told_t *told, const char *text, size_t len,
    ngx_http_agents_buf_t *buf);
static uint64_t ngx_http_agents_loop_tell_sum(uint64_t sum, const char *text,
    size_t len);


int
ngx_http_agents_loop_tell(const ngx_http_agents_loop_t *loop,
    ngx_http_agents_loop_telling_t *telling, ngx_http_agents_draft_t *draft,
    size_t i, ngx_http_agents_loop_piece_t *piece)
{
    char                           *text;
    size_t                          len;
    ngx_http_agents_loop_told_t    *told;
    ngx_http_agents_draft_block_t  *block;

    block = &draft->blocks[i];
    told = ngx_http_agents_loop_tell_block(telling, i);

    if (told == NULL || (block->text.len == 0 && block->value == NULL)) {
        return 0;
    }

    if (told->what == NGX_HTTP_AGENTS_LOOP_TELL_OPEN) {
        told->what = ngx_http_agents_loop_tell_what(loop, draft, i);
    }

    if (told->what == NGX_HTTP_AGENTS_LOOP_TELL_OPEN
        || told->what == NGX_HTTP_AGENTS_LOOP_TELL_NOTHING)
    {
        return 0;
    }

    if (block->value == NULL) {
        ngx_http_agents_loop_tell_add(told, block->text.data + told->told,
                                      block->text.len - told->told,
                                      &piece->text);

    } else if (!told->whole) {

        /* a value takes the place of what was said before it */

        telling->wrong |= (told->told != 0);
        told->whole = 1;

        text = ngx_http_agents_json_text(block->value, &len);

        if (text != NULL && !telling->wrong) {
            ngx_http_agents_loop_tell_add(told, text, len, &piece->text);
        }

        telling->wrong |= (text == NULL);
        free(text);
    }

    telling->wrong |= piece->text.failed;
    telling->bytes += piece->text.len;

    piece->arguments = (told->what == NGX_HTTP_AGENTS_LOOP_TELL_ARGUMENTS);
    piece->id = block->id;

    if (!piece->arguments) {

        if (telling->text == 0) {
            telling->sum = NGX_HTTP_AGENTS_LOOP_TELL_SUM;
        }

        telling->text += piece->text.len;
        telling->sum = ngx_http_agents_loop_tell_sum(telling->sum,
                                                     piece->text.data,
                                                     piece->text.len);
    }

    return piece->text.len != 0;
}


int
ngx_http_agents_loop_tell_again(const ngx_http_agents_loop_telling_t *telling,
    const ngx_http_agents_draft_t *draft, size_t i,
    ngx_http_agents_loop_piece_t *piece)
{
    char                                 *text;
    size_t                                len;
    ngx_http_agents_loop_told_t           told;
    const ngx_http_agents_draft_block_t  *block;

    if (i >= telling->n || telling->blocks[i].told == 0) {
        return 0;
    }

    block = &draft->blocks[i];

    memset(&told, 0, sizeof(ngx_http_agents_loop_told_t));
    told.what = telling->blocks[i].what;

    if (telling->blocks[i].whole) {
        text = ngx_http_agents_json_text(block->value, &len);

        if (text == NULL) {
            piece->text.failed = 1;
            return 0;
        }

        ngx_http_agents_loop_tell_add(&told, text, len, &piece->text);
        free(text);

    } else {
        ngx_http_agents_loop_tell_add(&told, block->text.data,
                                      telling->blocks[i].told, &piece->text);
    }

    piece->arguments = (told.what == NGX_HTTP_AGENTS_LOOP_TELL_ARGUMENTS);
    piece->id = block->id;

    return piece->text.len != 0;
}


int
ngx_http_agents_loop_told_right(const ngx_http_agents_loop_t *loop,
    const ngx_http_agents_loop_telling_t *telling, int64_t turn_index)
{
    size_t       i, n, len, total;
    json_t      *message, *block;
    uint64_t     sum;
    const char  *role, *type, *text;

    if (telling->wrong
        || loop->turn_sequence != loop->base_version + 2 + turn_index)
    {
        return 0;
    }

    if (telling->text == 0) {
        return 1;
    }

    /* the tool turn may stand behind it by now */

    message = NULL;

    for (n = json_array_size(loop->messages); n != 0; n--) {
        message = json_array_get(loop->messages, n - 1);
        role = ngx_http_agents_json_string(message, "role", NULL);

        if (role != NULL && strcmp(role, "assistant") == 0) {
            break;
        }
    }

    total = 0;
    sum = NGX_HTTP_AGENTS_LOOP_TELL_SUM;

    json_array_foreach(json_object_get(message, "content_blocks"), i, block) {
        type = ngx_http_agents_json_string(block, "type", NULL);
        text = ngx_http_agents_json_string(block, "text", &len);

        if (type != NULL && strcmp(type, "text") == 0 && text != NULL) {
            total += len;
            sum = ngx_http_agents_loop_tell_sum(sum, text, len);
        }
    }

    return total == telling->text && sum == telling->sum;
}


int64_t
ngx_http_agents_loop_next_turn(const ngx_http_agents_loop_t *loop,
    int64_t *parts)
{
    json_t  *last;

    *parts = 0;

    if (loop->sequence > loop->base_version + 1) {
        last = json_array_get(loop->messages,
                              json_array_size(loop->messages) - 1);
        *parts = json_array_size(json_object_get(last, "content_blocks"));
    }

    return loop->sequence - loop->base_version - 1;
}


void
ngx_http_agents_loop_telling_clear(ngx_http_agents_loop_telling_t *telling)
{
    free(telling->blocks);

    memset(telling, 0, sizeof(ngx_http_agents_loop_telling_t));
}


static ngx_http_agents_loop_told_t *
ngx_http_agents_loop_tell_block(ngx_http_agents_loop_telling_t *telling,
    size_t i)
{
    size_t                        n;
    ngx_http_agents_loop_told_t  *blocks;

    if (i >= telling->n) {
        n = (i + 4) & ~(size_t) 3;

        blocks = realloc(telling->blocks,
                         n * sizeof(ngx_http_agents_loop_told_t));
        if (blocks == NULL) {
            telling->wrong = 1;
            return NULL;
        }

        memset(&blocks[telling->n], 0,
               (n - telling->n) * sizeof(ngx_http_agents_loop_told_t));

        telling->blocks = blocks;
        telling->n = n;
    }

    return &telling->blocks[i];
}


/*
 * The answer tool's arguments are the text of the answer.  With a schema the
 * answer is shown as compact JSON, and unwrapped: what is wrapped cannot be
 * told as it will be shown.
 */

static ngx_http_agents_loop_tell_e
ngx_http_agents_loop_tell_what(const ngx_http_agents_loop_t *loop,
    ngx_http_agents_draft_t *draft, size_t i)
{
    json_t                         *schema;
    ngx_http_agents_draft_block_t  *block;

    block = &draft->blocks[i];

    if (block->kind == NGX_HTTP_AGENTS_DRAFT_OPAQUE) {
        return NGX_HTTP_AGENTS_LOOP_TELL_NOTHING;
    }

    if (block->kind == NGX_HTTP_AGENTS_DRAFT_CALL) {

        if (block->name == NULL) {
            return NGX_HTTP_AGENTS_LOOP_TELL_OPEN;
        }

        if (!ngx_http_agents_draft_is_answer(block)) {
            return ngx_http_agents_loop_tell_id(loop, draft, i) == 0
                   ? NGX_HTTP_AGENTS_LOOP_TELL_ARGUMENTS
                   : NGX_HTTP_AGENTS_LOOP_TELL_NOTHING;
        }
    }

    schema = json_object_get(loop->config, "output_format_schema");

    if (!json_is_object(schema)) {
        return NGX_HTTP_AGENTS_LOOP_TELL_TEXT;
    }

    if (ngx_http_agents_schema_wrapped(schema)) {
        return NGX_HTTP_AGENTS_LOOP_TELL_NOTHING;
    }

    return block->kind == NGX_HTTP_AGENTS_DRAFT_CALL
           ? NGX_HTTP_AGENTS_LOOP_TELL_JSON
           : ngx_http_agents_loop_tell_text(block);
}


/* A text where JSON is asked for: that, a fence around it, or what is said
 * before calls. */

static ngx_http_agents_loop_tell_e
ngx_http_agents_loop_tell_text(const ngx_http_agents_draft_block_t *block)
{
    const char  *p;

    p = block->text.data + strspn(block->text.data, " \t\r\n");

    switch (*p) {

    case '\0':
        return NGX_HTTP_AGENTS_LOOP_TELL_OPEN;

    case '{':
        return NGX_HTTP_AGENTS_LOOP_TELL_JSON;

    case '`':
        return NGX_HTTP_AGENTS_LOOP_TELL_NOTHING;

    default:
        return NGX_HTTP_AGENTS_LOOP_TELL_TEXT;
    }
}


/* The same choice that is made of a whole reply, which then finds nothing to
 * replace. */

static int
ngx_http_agents_loop_tell_id(const ngx_http_agents_loop_t *loop,
    ngx_http_agents_draft_t *draft, size_t i)
{
    char                           *id;
    ngx_http_agents_draft_block_t  *block;

    block = &draft->blocks[i];

    if (block->id != NULL
        && !ngx_http_agents_loop_tell_id_taken(loop, draft, i))
    {
        return 0;
    }

    id = malloc(NGX_HTTP_AGENTS_LOOP_ID_MAX);

    if (id == NULL || ngx_http_agents_loop_fresh_id(id) == -1) {
        free(id);
        return -1;
    }

    free(block->id);
    block->id = id;

    return 0;
}


static int
ngx_http_agents_loop_tell_id_taken(const ngx_http_agents_loop_t *loop,
    const ngx_http_agents_draft_t *draft, size_t i)
{
    size_t       k;
    const char  *id;

    id = draft->blocks[i].id;

    for (k = 0; k < i; k++) {
        if (draft->blocks[k].id != NULL
            && strcmp(draft->blocks[k].id, id) == 0)
        {
            return 1;
        }
    }

    return ngx_http_agents_loop_id_known(loop->messages, NULL, 0, id);
}


static void
ngx_http_agents_loop_tell_add(ngx_http_agents_loop_told_t *told,
    const char *text, size_t len, ngx_http_agents_buf_t *buf)
{
    told->told += len;

    if (told->what == NGX_HTTP_AGENTS_LOOP_TELL_JSON) {
        ngx_http_agents_loop_tell_compact(told, text, len, buf);

    } else {
        ngx_http_agents_buf_add(buf, text, len);
    }
}


static void
ngx_http_agents_loop_tell_compact(ngx_http_agents_loop_told_t *told,
    const char *text, size_t len, ngx_http_agents_buf_t *buf)
{
    char    c;
    size_t  i;

    for (i = 0; i < len; i++) {
        c = text[i];

        if (told->escaped) {
            told->escaped = 0;

        } else if (c == '"') {
            told->quoted = !told->quoted;

        } else if (c == '\\') {
            told->escaped = told->quoted;

        } else if (!told->quoted
                   && (c == ' ' || c == '\t' || c == '\r' || c == '\n'))
        {
            continue;
        }

        ngx_http_agents_buf_addc(buf, c);
    }
}


static uint64_t
ngx_http_agents_loop_tell_sum(uint64_t sum, const char *text, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        sum = (sum ^ (unsigned char) text[i])
              * NGX_HTTP_AGENTS_LOOP_TELL_PRIME;
    }

    return sum;
}
