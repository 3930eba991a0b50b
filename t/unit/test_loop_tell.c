
/*
 * What is told of a reply while it is made: what the turn will hold, and
 * nothing else.
 */


#include <stdlib.h>

#include "ngx_http_agents_loop_tell.h"
#include "unit.h"


#define OBJECT  "{\"type\": \"object\", \"properties\": "                     \
                "{\"a\": {\"type\": \"integer\"}}}"


static ngx_http_agents_loop_t          loop;
static ngx_http_agents_draft_t         draft;
static ngx_http_agents_loop_telling_t  telling;
static ngx_http_agents_buf_t           told;    /* "TEXT", "(ARGUMENTS)" */


/* A run of text, or with that schema, whose messages have the call "old". */

static void
start(const char *schema)
{
    char  config[1024];

    ngx_http_agents_loop_free(&loop);
    ngx_http_agents_draft_free(&draft);
    ngx_http_agents_loop_telling_clear(&telling);
    ngx_http_agents_buf_reset(&told);

    snprintf(config, sizeof(config), "{\"output_format_schema\": %s}",
             schema ? schema : "null");

    loop.config = json_loads(config, 0, NULL);
    loop.messages = json_loads("[{\"role\": \"assistant\", \"content_blocks\":"
                               " [{\"type\": \"tool_use\", \"tool_use_id\": "
                               "\"old\", \"name\": \"f\", \"arguments\": {}}]}"
                               ", {\"role\": \"user\", \"content_blocks\": []}"
                               "]", 0, NULL);
    loop.base_version = 4;
    loop.sequence = 5;
    loop.protocol = ngx_http_agents_model_protocol("openai", 6);
}


/* What is new in all blocks. */

static const char *
tell(void)
{
    size_t                        i;
    ngx_http_agents_loop_piece_t  piece;

    ngx_http_agents_buf_reset(&told);

    for (i = 0; i < draft.nblocks; i++) {
        ngx_http_agents_buf_init(&piece.text);

        if (ngx_http_agents_loop_tell(&loop, &telling, &draft, i, &piece)) {
            ngx_http_agents_buf_addf(&told, piece.arguments ? "(%s)" : "%s",
                                     piece.text.data);
        }

        ngx_http_agents_buf_free(&piece.text);
    }

    return told.data ? told.data : "";
}


static const char *
again(void)
{
    size_t                        i;
    ngx_http_agents_loop_piece_t  piece;

    ngx_http_agents_buf_reset(&told);

    for (i = 0; i < draft.nblocks; i++) {
        ngx_http_agents_buf_init(&piece.text);

        if (ngx_http_agents_loop_tell_again(&telling, &draft, i, &piece)) {
            ngx_http_agents_buf_addf(&told, piece.arguments ? "(%s)" : "%s",
                                     piece.text.data);
        }

        ngx_http_agents_buf_free(&piece.text);
    }

    return told.data ? told.data : "";
}


static void
text(const char *more)
{
    ngx_http_agents_draft_text(&draft, 0, more, strlen(more));
}


/* Whether what was told is right for a turn of this text. */

static int
right(const char *turn)
{
    json_array_append_new(loop.messages,
                          json_pack("{s:s, s:[{s:s, s:s}]}", "role",
                                    "assistant", "content_blocks", "type",
                                    "text", "text", turn));
    loop.turn_sequence = ++loop.sequence;

    return ngx_http_agents_loop_told_right(&loop, &telling, 0);
}


static void
test_text(void)
{
    int64_t  parts;

    start(NULL);
    unit_text(tell(), "", "text: nothing yet");

    text(" one");
    unit_text(tell(), " one", "text: as it comes");
    unit_text(tell(), "", "text: once");

    text("\n\ttwo ");
    unit_text(tell(), "\n\ttwo ", "text: blanks, too");
    unit_text(again(), " one\n\ttwo ", "text: all of it again");

    unit(ngx_http_agents_loop_next_turn(&loop, &parts) == 0 && parts == 0,
         "the first turn is number 0");
    unit(!ngx_http_agents_loop_told_right(&loop, &telling, 0),
         "text: not right before the turn is there");
    unit(right(" one\n\ttwo "), "text: right");
    unit(!ngx_http_agents_loop_told_right(&loop, &telling, 2),
         "text: of that turn alone");

    start(NULL);
    text("one");
    tell();
    unit(!right("One"), "text: another one is wrong");

    start(NULL);
    ngx_http_agents_draft_block(&draft, NGX_HTTP_AGENTS_DRAFT_OPAQUE, 0);
    ngx_http_agents_buf_adds(&draft.blocks[0].text, "thinking");
    unit_text(tell(), "", "what is not shown is not told");
}


static void
test_calls(void)
{
    json_t  *value;

    start(NULL);
    text("a");
    ngx_http_agents_draft_arguments(&draft, 0, "{\"x\"", 4);
    unit_text(tell(), "a", "calls: none before its name is there");

    ngx_http_agents_draft_call(&draft, 0, "new", "f");
    unit_text(tell(), "({\"x\")", "calls: then what it has by then");
    unit_text(draft.blocks[1].id, "new", "calls: a fresh id stays");

    ngx_http_agents_draft_arguments(&draft, 0, ": 1}", 4);
    unit_text(tell(), "(: 1})", "calls: as it comes");
    unit_text(again(), "a({\"x\": 1})", "calls: all of it again");

    ngx_http_agents_draft_call(&draft, 1, "old", "f");
    ngx_http_agents_draft_arguments(&draft, 1, "{", 1);
    tell();
    unit(strncmp(draft.blocks[2].id, "tooluse_", 8) == 0,
         "calls: an id of the messages is replaced");

    ngx_http_agents_draft_call(&draft, 2, "new", "f");
    ngx_http_agents_draft_arguments(&draft, 2, "{", 1);
    tell();
    unit(strncmp(draft.blocks[3].id, "tooluse_", 8) == 0,
         "calls: so is one of the same reply");

    ngx_http_agents_draft_call(&draft, 3, NULL, "f");
    ngx_http_agents_draft_arguments(&draft, 3, "{", 1);
    tell();
    unit(strncmp(draft.blocks[4].id, "tooluse_", 8) == 0,
         "calls: and one that is not there");

    start(NULL);
    ngx_http_agents_draft_call(&draft, 0, "new", "f");
    value = json_loads("{\"x\": [1, 2]}", 0, NULL);
    ngx_http_agents_draft_value(&draft, 0, value);
    json_decref(value);
    unit_text(tell(), "({\"x\":[1,2]})", "calls: a value as its text");
    unit_text(tell(), "", "calls: once");
    unit_text(again(), "({\"x\":[1,2]})", "calls: and again");
}


static void
test_structured(void)
{
    start(OBJECT);
    text(" \n");
    unit_text(tell(), "", "JSON: blanks may be the start of anything");
    text("{\n  \"a b\" : ");
    unit_text(tell(), "{\"a b\":", "JSON: without blanks around tokens");
    text("\"x \\\" ");
    text("\\\\\" }\n");
    unit_text(tell(), "\"x \\\" \\\\\"}", "JSON: those of strings stay");
    unit_text(again(), "{\"a b\":\"x \\\" \\\\\"}", "JSON: all of it again");
    unit(right("{\"a b\":\"x \\\" \\\\\"}"), "JSON: right");

    start(OBJECT);
    text("```json\n{\"a\": 1}\n```");
    unit_text(tell(), "", "JSON: nothing of one with a fence");
    unit(right("{\"a\":1}"), "which is not wrong");

    start(OBJECT);
    text("Let me  look.");
    unit_text(tell(), "Let me  look.", "JSON: words before calls as they are");

    start("{\"type\": \"integer\"}");
    text("{\"value\": 1}");
    unit_text(tell(), "", "JSON: nothing of what is wrapped");

    start(OBJECT);
    ngx_http_agents_draft_call(&draft, 0, "new", "final_answer-json");
    ngx_http_agents_draft_arguments(&draft, 0, "{\"a\": ", 6);
    unit_text(tell(), "{\"a\":", "an answer that comes as a call is text");
    ngx_http_agents_draft_arguments(&draft, 0, "1}", 2);
    unit_text(tell(), "1}", "as it comes");
    unit(right("{\"a\":1}"), "and right");

    start(OBJECT);
    text("{\"a\": \"\\u0041\"}");
    tell();
    unit(!right("{\"a\":\"A\"}"), "JSON: spelled otherwise is wrong");
}


int
main(void)
{
    test_text();
    test_calls();
    test_structured();

    ngx_http_agents_loop_free(&loop);
    ngx_http_agents_draft_free(&draft);
    ngx_http_agents_loop_telling_clear(&telling);
    ngx_http_agents_buf_free(&told);

    return unit_done();
}
