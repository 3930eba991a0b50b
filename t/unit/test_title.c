
/*
 * Titles: what a model is asked, and what of its reply becomes one.
 */


#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "ngx_http_agents_loop_title.h"


typedef struct {
    const char  *reply;     /* the text of the model's message */
    const char  *title;     /* NULL: none */
} test_title_t;


static const test_title_t  test_titles[] = {
    { "Rate Limits Explained", "Rate Limits Explained" },
    { "  Rate\tLimits \n", "Rate Limits" },
    { "\n\n \nThe second line\nthe third", "The second line" },
    { "\"Quoted title.\"", "Quoted title" },
    { "**Title: Bold**", "Bold" },
    { "# Heading", "Heading" },
    { "TITLE:  \"x\"", "x" },
    { "\xe2\x80\x9cTypographic\xe2\x80\x9d", "Typographic" },
    { "\xc2\xab" "Fran\xc3\xa7" "ais\xc2\xbb", "Fran\xc3\xa7" "ais" },
    { "It goes on...", "It goes on..." },
    { "v1.2", "v1.2" },
    { ".", "." },
    { "", NULL },
    { " \n\t\n", NULL },
    { "\"\"", NULL },
    { "Title:", NULL },
    { "a \x7f b", "a b" },
};


static char *
test_title_body(const char *text, const char *finish)
{
    char    *body;
    json_t  *reply;

    reply = json_pack("{s:[{s:i, s:{s:s, s:s}, s:s}],"
                      " s:{s:i, s:i, s:i}}",
                      "choices", "index", 0, "message", "role", "assistant",
                      "content", text, "finish_reason", finish,
                      "usage", "prompt_tokens", 1, "completion_tokens", 1,
                      "total_tokens", 2);
    body = json_dumps(reply, 0);
    json_decref(reply);

    return body;
}


static char *
test_title_read(const char *text, const char *finish)
{
    char                              *body, *title;
    ngx_http_agents_answer_t           answer;
    ngx_http_agents_prompt_t           prompt;
    const ngx_http_agents_protocol_t  *protocol;

    memset(&prompt, 0, sizeof(ngx_http_agents_prompt_t));
    protocol = ngx_http_agents_model_protocol("openai", 6);

    body = test_title_body(text, finish);
    memset(&answer, 0, sizeof(ngx_http_agents_answer_t));
    answer.body = body;
    answer.len = strlen(body);

    title = ngx_http_agents_loop_title_read(protocol, &prompt, &answer);

    ngx_http_agents_answer_clear(&answer);

    return title;
}


static void
test_title_replies(void)
{
    char    *title, name[32];
    size_t   i;

    for (i = 0; i < sizeof(test_titles) / sizeof(test_titles[0]); i++) {
        title = test_title_read(test_titles[i].reply, "stop");
        snprintf(name, sizeof(name), "reply %zu", i);
        unit_text(title, test_titles[i].title, name);
        free(title);
    }

    title = test_title_read("Cut off in the mid", "length");
    unit(title == NULL, "a reply that was cut off has none");
    free(title);
}


static void
test_title_length(void)
{
    char    *title, text[4 * 200 + 1];
    size_t   i;

    for (i = 0; i < 200; i++) {
        memcpy(text + 3 * i, "\xe2\x82\xac", 3);
    }

    text[600] = '\0';

    title = test_title_read(text, "stop");
    unit(title != NULL && strlen(title) == 3 * NGX_HTTP_AGENTS_TITLE_MAX,
         "a long one is cut at a character");
    free(title);

    memset(text, 'a', 200);
    text[NGX_HTTP_AGENTS_TITLE_MAX - 1] = ' ';
    text[200] = '\0';

    title = test_title_read(text, "stop");
    unit(title != NULL && strlen(title) == NGX_HTTP_AGENTS_TITLE_MAX - 1,
         "and ends on no blank");
    free(title);
}


static void
test_title_ask(void)
{
    char                              *text;
    size_t                             i;
    json_t                            *body, *messages;
    const char                        *asked;
    ngx_http_agents_prompt_t           prompt;
    ngx_http_agents_model_request_t    request;
    const ngx_http_agents_protocol_t  *protocol;

    memset(&prompt, 0, sizeof(ngx_http_agents_prompt_t));
    memset(&request, 0, sizeof(ngx_http_agents_model_request_t));

    prompt.provider = "p";
    prompt.model = "small";
    protocol = ngx_http_agents_model_protocol("openai", 6);

    /* 3,999 bytes, then a character of three that is cut in two */

    text = malloc(10000);
    memset(text, 'x', 10000);

    for (i = 3999; i + 3 < 10000; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 3);
    }

    unit(ngx_http_agents_loop_title_ask(protocol, &prompt, text, 9999,
                                        &request) == 0,
         "a request");

    body = json_loadb(request.body, request.body_len, 0, NULL);
    unit(body != NULL, "which is JSON");
    unit_text(json_string_value(json_object_get(body, "model")), "small",
              "of the model");

    messages = json_object_get(body, "messages");
    unit(json_array_size(messages) == 2, "two messages");

    asked = json_string_value(json_object_get(json_array_get(messages, 0),
                                              "content"));
    unit(asked != NULL && strstr(asked, "title") != NULL,
         "the first one says what is wanted");

    asked = json_string_value(json_object_get(json_array_get(messages, 1),
                                              "content"));
    unit(asked != NULL && strlen(asked) < 4200
         && strstr(asked, "xxx\n</message>") != NULL,
         "the second quotes the beginning, cut at a character");
    unit(json_object_get(body, "tools") == NULL, "no tools");

    json_decref(body);
    free(text);
    ngx_http_agents_model_request_clear(&request);
}


int
main(void)
{
    json_object_seed(1);

    test_title_replies();
    test_title_length();
    test_title_ask();

    return unit_done();
}
