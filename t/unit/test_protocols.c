
/*
 * The protocols, by data in a folder of each one's name: a file below encode
 * is a prompt and the request that it becomes, below decode a body and the
 * reply, below stream the events that bring one, below fault an error and what
 * it means.
 */


#include "ngx_http_agents_model.h"
#include "ngx_http_agents_bedrock.h"
#include "ngx_http_agents_openai.h"
#include "ngx_http_agents_refusal.h"
#include "ngx_http_agents_stream.h"
#include "unit.h"
#include "unit_data.h"


static const char *const  stops[] = {
    "done", "tool", "length", "refused", "filtered", "context", "malformed",
    "paused"
};

static const char *const  faults[] = {
    "fatal", "retry", "once", "context", "filtered", "credentials"
};


/* The one that is tested. */
static const ngx_http_agents_protocol_t  *protocol;


static json_t *
load(const char *path)
{
    char    *data;
    size_t   len;
    json_t  *root;

    data = unit_read(path, &len);
    root = ngx_http_agents_json_load(data, len);

    free(data);

    if (root == NULL) {
        printf("Bail out! %s is no JSON\n", path);
        exit(1);
    }

    return root;
}


/* "choice" is absent, "any", or a tool's name. */

static void
prompt_read(ngx_http_agents_prompt_t *prompt, const json_t *data)
{
    const char  *choice;

    memset(prompt, 0, sizeof(ngx_http_agents_prompt_t));

    prompt->provider = "here";
    prompt->model = ngx_http_agents_json_string(data, "model", NULL);

    if (prompt->model == NULL) {
        prompt->model = "gpt";
    }

    prompt->max_tokens_field = ngx_http_agents_json_string(data,
                                                  "max_tokens_field", NULL);
    prompt->lacks = (unsigned) ngx_http_agents_json_integer(data, "lacks", 0);
    prompt->system = ngx_http_agents_json_string(data, "system",
                                                 &prompt->system_len);
    prompt->messages = ngx_http_agents_json_array(data, "messages");
    prompt->tools = ngx_http_agents_json_array(data, "tools");
    prompt->format = ngx_http_agents_json_object(data, "format");
    prompt->max_tokens = 100;
    prompt->temperature = json_number_value(json_object_get(data,
                                                            "temperature"));

    choice = ngx_http_agents_json_string(data, "choice", NULL);

    if (choice != NULL && strcmp(choice, "any") == 0) {
        prompt->choice = NGX_HTTP_AGENTS_CHOICE_ANY;

    } else if (choice != NULL) {
        prompt->choice = NGX_HTTP_AGENTS_CHOICE_TOOL;
        prompt->choice_name = choice;
    }
}


static void
show(const char *what, const json_t *value)
{
    char  *text;

    text = ngx_http_agents_json_text(value, NULL);
    printf("# %s: %s\n", what, text);
    free(text);
}


static void
test_encode(const char *path, const char *name)
{
    json_t                           *root, *body, *expected;
    ngx_http_agents_prompt_t          prompt;
    ngx_http_agents_model_request_t   request;

    root = load(path);
    prompt_read(&prompt, json_object_get(root, "prompt"));
    expected = json_object_get(root, "body");

    unit(protocol->encode(&prompt, &request) == 0 && request.nheaders >= 2,
         "encode/%s: a request is made", name);
    unit_text(request.path, ngx_http_agents_json_string(root, "path", NULL),
              "its path");

    body = ngx_http_agents_json_load(request.body, request.body_len);

    if (!unit(json_equal(body, expected), "encode/%s: its body", name)) {
        show("     got", body);
        show("expected", expected);
    }

    json_decref(body);
    json_decref(root);
    ngx_http_agents_model_request_clear(&request);
}


/* A body that is to be broken or odd stands as a string in the file. */

static char *
body_read(const json_t *root, size_t *len)
{
    json_t  *body;

    body = json_object_get(root, "body");

    if (json_is_string(body)) {
        *len = json_string_length(body);
        return strdup(json_string_value(body));
    }

    return ngx_http_agents_json_text(body, len);
}


static void
test_decode(const char *path, const char *name)
{
    int                        rc;
    char                      *body;
    size_t                     len;
    json_t                    *root, *expected, *usage;
    const char                *why;
    ngx_http_agents_buf_t      text;
    ngx_http_agents_reply_t    reply;
    ngx_http_agents_prompt_t   prompt;

    root = load(path);
    prompt_read(&prompt, root);
    body = body_read(root, &len);
    why = ngx_http_agents_json_string(root, "why", NULL);

    ngx_http_agents_buf_init(&text);

    rc = ngx_http_agents_draft_decode(protocol, &prompt, body,
                                      len, &reply, &text);

    if (why != NULL) {
        unit(rc == -1 && text.data != NULL && strstr(text.data, why) != NULL,
             "decode/%s: is no reply", name);
        printf("# %s\n", (text.data != NULL) ? text.data : "");

    } else {
        expected = json_object_get(root, "blocks");
        usage = json_object_get(root, "usage");

        if (!unit(rc == 0 && json_equal(reply.blocks, expected),
                  "decode/%s: blocks", name))
        {
            printf("# %s\n", (text.data != NULL) ? text.data : "");
            show("     got", reply.blocks);
            show("expected", expected);
        }

        unit_text(stops[reply.stop],
                  ngx_http_agents_json_string(root, "stop", NULL), "its stop");

        unit(reply.prompt_tokens
                == json_integer_value(json_array_get(usage, 0))
             && reply.completion_tokens
                == json_integer_value(json_array_get(usage, 1))
             && reply.cache_read_tokens
                == json_integer_value(json_array_get(usage, 2))
             && reply.cache_write_tokens
                == json_integer_value(json_array_get(usage, 3)),
             "its usage");
    }

    ngx_http_agents_reply_clear(&reply);
    ngx_http_agents_buf_free(&text);
    json_decref(root);
    free(body);
}


/* Each delta as "TEXT", those of calls as "ID:TEXT". */

static void
stream_delta(void *data, const ngx_http_agents_delta_t *delta)
{
    json_t *deltas = data;

    ngx_http_agents_buf_t  text;

    ngx_http_agents_buf_init(&text);

    if (delta->kind == NGX_HTTP_AGENTS_DRAFT_CALL) {
        ngx_http_agents_buf_addf(&text, "%s:", delta->id);
    }

    ngx_http_agents_buf_add(&text, delta->text, delta->len);
    json_array_append_new(deltas, json_stringn(text.data, text.len));

    ngx_http_agents_buf_free(&text);
}


/* The events as text/event-stream; a string goes as it stands. */

static void
stream_text(ngx_http_agents_buf_t *text, const json_t *events)
{
    size_t   i;
    json_t  *event;

    ngx_http_agents_buf_init(text);
    ngx_http_agents_buf_adds(text, ": hello\n\n");

    json_array_foreach(events, i, event) {
        ngx_http_agents_buf_adds(text, "data: ");

        if (json_is_string(event)) {
            ngx_http_agents_buf_adds(text, json_string_value(event));

        } else {
            ngx_http_agents_json_put(text, event);
        }

        ngx_http_agents_buf_adds(text, "\n\n");
    }
}


static void
stream_u32(ngx_http_agents_buf_t *text, uint32_t n)
{
    ngx_http_agents_buf_addc(text, (char) (n >> 24));
    ngx_http_agents_buf_addc(text, (char) (n >> 16));
    ngx_http_agents_buf_addc(text, (char) (n >> 8));
    ngx_http_agents_buf_addc(text, (char) n);
}


/* CRC-32, bit by bit. */

static uint32_t
stream_crc(const char *data, size_t len)
{
    int       i;
    uint32_t  crc;

    for (crc = 0xffffffff; len != 0; data++, len--) {
        crc ^= (unsigned char) *data;

        for (i = 0; i < 8; i++) {
            crc = (crc & 1) ? (crc >> 1) ^ 0xedb88320 : crc >> 1;
        }
    }

    return crc ^ 0xffffffff;
}


static void
stream_header(ngx_http_agents_buf_t *headers, const char *name,
    const char *value)
{
    ngx_http_agents_buf_addc(headers, (char) strlen(name));
    ngx_http_agents_buf_adds(headers, name);
    ngx_http_agents_buf_addc(headers, 7);
    ngx_http_agents_buf_addc(headers, (char) (strlen(value) >> 8));
    ngx_http_agents_buf_addc(headers, (char) strlen(value));
    ngx_http_agents_buf_adds(headers, value);
}


/* An event is {type: payload}; a payload that is a string goes as it stands. */

static void
stream_frame(ngx_http_agents_buf_t *text, const char *type,
    const json_t *payload)
{
    size_t                 start;
    ngx_http_agents_buf_t  headers, body;

    ngx_http_agents_buf_init(&headers);
    ngx_http_agents_buf_init(&body);

    if (strstr(type, "Exception") != NULL) {
        stream_header(&headers, ":exception-type", type);
        stream_header(&headers, ":message-type", "exception");

    } else {
        stream_header(&headers, ":event-type", type);
        stream_header(&headers, ":content-type", "application/json");
        stream_header(&headers, ":message-type", "event");
    }

    if (json_is_string(payload)) {
        ngx_http_agents_buf_adds(&body, json_string_value(payload));

    } else {
        ngx_http_agents_json_put(&body, payload);
    }

    start = text->len;

    stream_u32(text, (uint32_t) (headers.len + body.len + 16));
    stream_u32(text, (uint32_t) headers.len);
    stream_u32(text, stream_crc(text->data + start, 8));
    ngx_http_agents_buf_add(text, headers.data, headers.len);
    ngx_http_agents_buf_add(text, body.data, body.len);
    stream_u32(text, stream_crc(text->data + start, text->len - start));

    ngx_http_agents_buf_free(&headers);
    ngx_http_agents_buf_free(&body);
}


static void
stream_frames(ngx_http_agents_buf_t *text, const json_t *events)
{
    size_t       i;
    json_t      *event, *payload;
    const char  *type;

    ngx_http_agents_buf_init(text);

    json_array_foreach(events, i, event) {
        json_object_foreach(event, type, payload) {
            stream_frame(text, type, payload);
        }
    }
}


/* In pieces of "step" bytes: what the end says, 0 or -1. */

static int
stream_feed(ngx_http_agents_stream_t *stream, json_t *deltas,
    const ngx_http_agents_buf_t *text, size_t len, size_t step)
{
    size_t  i;

    ngx_http_agents_stream_init(stream, protocol,
                                protocol == &ngx_http_agents_bedrock
                                ? "application/vnd.amazon.eventstream"
                                : "text/event-stream; charset=utf-8",
                                deltas ? stream_delta : NULL, deltas);

    for (i = 0; i < len; i += step) {
        if (ngx_http_agents_stream_feed(stream, text->data + i,
                                        (len - i < step) ? len - i : step)
            == -1)
        {
            break;
        }
    }

    return ngx_http_agents_stream_end(stream);
}


static void
test_stream_reply(const json_t *root, ngx_http_agents_stream_t *stream,
    const char *name)
{
    json_t                    *usage;
    ngx_http_agents_buf_t      why;
    ngx_http_agents_reply_t    reply;
    ngx_http_agents_prompt_t   prompt;

    prompt_read(&prompt, root);
    ngx_http_agents_buf_init(&why);

    unit(ngx_http_agents_draft_reply(&stream->draft, protocol,
                                     &prompt, &reply, &why) == 0,
         "stream/%s: a reply", name);

    if (!unit(json_equal(reply.blocks, json_object_get(root, "blocks")),
              "stream/%s: blocks", name))
    {
        show("got", reply.blocks);
    }

    usage = json_object_get(root, "usage");

    unit_text(stops[reply.stop],
              ngx_http_agents_json_string(root, "stop", NULL), "its stop");
    unit(reply.prompt_tokens == json_integer_value(json_array_get(usage, 0))
         && reply.completion_tokens
            == json_integer_value(json_array_get(usage, 1))
         && reply.cache_read_tokens
            == json_integer_value(json_array_get(usage, 2))
         && reply.cache_write_tokens
            == json_integer_value(json_array_get(usage, 3)),
         "its usage");

    ngx_http_agents_reply_clear(&reply);
    ngx_http_agents_buf_free(&why);
}


static void
test_stream(const char *path, const char *name)
{
    int                        rc, odd;
    size_t                     i, step;
    json_t                    *root, *deltas;
    const char                *fault;
    ngx_http_agents_buf_t      text;
    ngx_http_agents_stream_t   stream;

    root = load(path);
    fault = ngx_http_agents_json_string(root, "fault", NULL);

    if (protocol == &ngx_http_agents_bedrock) {
        stream_frames(&text, json_object_get(root, "events"));

    } else {
        stream_text(&text, json_object_get(root, "events"));
    }

    for (step = 1; step <= text.len; step = (step == 1) ? text.len : step + 1)
    {
        deltas = json_array();
        rc = stream_feed(&stream, deltas, &text, text.len, step);

        if (fault != NULL) {
            unit(rc == -1 && strstr(stream.draft.why.data,
                           ngx_http_agents_json_string(root, "why", NULL)),
                 "stream/%s: is no reply", name);
            unit_text(faults[stream.draft.fault], fault, "its class");

        } else {
            unit(rc == 0, "stream/%s: whole, by %zu bytes", name, step);
            test_stream_reply(root, &stream, name);

            if (json_object_get(root, "deltas") != NULL) {
                unit(json_equal(deltas, json_object_get(root, "deltas")),
                     "stream/%s: its deltas", name);
            }
        }

        ngx_http_agents_stream_free(&stream);
        json_decref(deltas);
    }

    /* cut off anywhere, it is broken, unless it had said why it stops */

    odd = 0;

    for (i = 0; i < text.len; i++) {
        rc = stream_feed(&stream, NULL, &text, i, 7);
        odd += (rc == 0 && !stream.draft.stopped && !stream.draft.ended);
        ngx_http_agents_stream_free(&stream);
    }

    unit(odd == 0, "stream/%s: no part of it passes for the whole", name);

    ngx_http_agents_buf_free(&text);
    json_decref(root);
}


static void
test_fault(const char *path, const char *name)
{
    char                           *body;
    size_t                          len;
    json_t                         *root;
    ngx_http_agents_buf_t           why;
    ngx_http_agents_model_fault_e   fault;

    root = load(path);
    body = body_read(root, &len);

    ngx_http_agents_buf_init(&why);

    fault = protocol->fault(
                        (int) ngx_http_agents_json_integer(root, "status", 0),
                        body, len, &why);

    printf("# fault/%s\n", name);
    unit_text(faults[fault], ngx_http_agents_json_string(root, "fault", NULL),
              "its class");
    unit_text(why.data, ngx_http_agents_json_string(root, "why", NULL),
              "its message");

    ngx_http_agents_buf_free(&why);
    json_decref(root);
    free(body);
}


static void
test_format(const char *path, const char *name)
{
    int      strict;
    json_t  *root, *schema, *wire, *expected, *before;

    root = load(path);
    schema = json_object_get(root, "schema");
    expected = json_object_get(root, "wire");
    before = json_deep_copy(schema);

    wire = ngx_http_agents_format_schema(schema, &ngx_http_agents_openai_rules,
                                         &strict);

    unit(strict == json_is_true(json_object_get(root, "strict")),
         "format/%s: strict or not", name);

    if (!unit(json_equal(wire, (expected != NULL) ? expected : before),
              "format/%s: on the wire", name))
    {
        show("     got", wire);
    }

    unit(json_equal(schema, before), "format/%s: the schema is untouched",
         name);

    json_decref(before);
    json_decref(wire);
    json_decref(root);
}


/* The words of known refusals, and of others. */

static void
test_lacks(void)
{
    size_t  i;

    static const struct {
        int          status;
        const char  *message;
        unsigned     lacks;
    } said[] = {
        { 400, "output_config.format: Extra inputs are not permitted",
          NGX_HTTP_AGENTS_NO_NATIVE_FORMAT },
        { 400, "tools.0.custom.strict: Extra inputs are not permitted",
          NGX_HTTP_AGENTS_NO_STRICT_TOOLS },
        { 400, "extraneous key [outputConfig] is not permitted",
          NGX_HTTP_AGENTS_NO_NATIVE_FORMAT },
        { 400, "Unsupported value: 'temperature' does not support 0 with this "
          "model. Only the default (1) value is supported.",
          NGX_HTTP_AGENTS_NO_TEMPERATURE },
        { 400, "tool_choice: forced tool use is not supported on this model",
          NGX_HTTP_AGENTS_NO_FORCED_CHOICE },
        { 400, "This model doesn't support the toolConfig.toolChoice.any "
          "field. Remove toolConfig.toolChoice.any and try again.",
          NGX_HTTP_AGENTS_NO_FORCED_CHOICE },
        { 400, "Thinking may not be enabled when tool_choice forces tool use.",
          NGX_HTTP_AGENTS_NO_FORCED_CHOICE },
        { 400, "This model doesn't support tool use in streaming mode.",
          NGX_HTTP_AGENTS_NO_STREAM },
        { 400, "`temperature` is deprecated for this model.",
          NGX_HTTP_AGENTS_NO_TEMPERATURE },
        { 400, "`temperature` may only be set to 1 when thinking is enabled "
          "or in adaptive mode.",
          NGX_HTTP_AGENTS_NO_TEMPERATURE },
        { 400, "Cannot use grammar with tools",
          NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS },
        { 400, "Cannot use custom grammar constraints with tools.",
          NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS },
        { 400, "json mode cannot be combined with tool/function calling",
          NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS },
        { 400, "Function calling with a response mime type: "
          "'application/json' is unsupported",
          NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS },
        { 400, "Unrecognized request argument supplied: stream_options",
          NGX_HTTP_AGENTS_NO_STREAM },
        { 422, "unknown field `response_format`",
          NGX_HTTP_AGENTS_NO_NATIVE_FORMAT },
        { 400, "temperature must be between 0 and 1", 0 },
        { 400, "messages: roles must alternate", 0 },
        { 404, "streaming is not supported", 0 },
        { 400, NULL, 0 }
    };

    for (i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        unit(ngx_http_agents_refusal_lacks(said[i].status, said[i].message)
             == said[i].lacks, "lacks: %s",
             said[i].message ? said[i].message : "no message");
    }
}


/* What is left out next, of a request that had left this out. */

static void
test_next(void)
{
    unit(ngx_http_agents_refusal_next(0, NGX_HTTP_AGENTS_NO_TEMPERATURE)
         == NGX_HTTP_AGENTS_NO_TEMPERATURE, "next: what is refused");
    unit(ngx_http_agents_refusal_next(NGX_HTTP_AGENTS_NO_TEMPERATURE,
                                      NGX_HTTP_AGENTS_NO_TEMPERATURE) == 0,
         "next: nothing, if that was left out");
    unit(ngx_http_agents_refusal_next(NGX_HTTP_AGENTS_NO_STRICT_TOOLS,
                                      NGX_HTTP_AGENTS_NO_STRICT_TOOLS)
         == NGX_HTTP_AGENTS_NO_NATIVE_FORMAT,
         "next: the format, if no tool was strict");
    unit(ngx_http_agents_refusal_next(NGX_HTTP_AGENTS_NO_STRICT_TOOLS
                                      | NGX_HTTP_AGENTS_NO_NATIVE_FORMAT,
                                      NGX_HTTP_AGENTS_NO_STRICT_TOOLS) == 0,
         "next: nothing, if there was no format either");
}


/* Whatever stands in a body, it is read or refused. */

static void
test_cut(void)
{
    size_t                     i, len;
    ngx_http_agents_buf_t      why;
    ngx_http_agents_reply_t    reply;
    ngx_http_agents_prompt_t   prompt;

    static const char  body[] =
        "{\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"content\":"
        "\"a\\u0000\",\"tool_calls\":[{\"id\":\"x\",\"function\":{\"name\":"
        "\"n\",\"arguments\":\"{}\"}}]}}],\"usage\":{\"prompt_tokens\":-1}}";

    memset(&prompt, 0, sizeof(ngx_http_agents_prompt_t));
    ngx_http_agents_buf_init(&why);

    len = sizeof(body) - 1;

    for (i = 0; i < len; i++) {
        if (ngx_http_agents_draft_decode(&ngx_http_agents_openai, &prompt,
                                         body, i, &reply, &why) == 0)
        {
            break;
        }

        ngx_http_agents_reply_clear(&reply);
        (void) ngx_http_agents_openai.fault(500, body, i, &why);
    }

    unit(i == len, "a body cut anywhere is no reply");
    unit(ngx_http_agents_draft_decode(&ngx_http_agents_openai, &prompt,
                                         body, len, &reply, &why) == 0
         && reply.prompt_tokens == 0, "the whole of it is one");

    ngx_http_agents_reply_clear(&reply);
    ngx_http_agents_buf_free(&why);
}


/* 2,000 calls of one message, in a member "name". */

static void
many_calls(ngx_http_agents_buf_t *buf, const char *name)
{
    int  n;

    ngx_http_agents_buf_addf(buf, "{\"choices\":[{\"%s\":{\"tool_calls\":[",
                             name);

    for (n = 0; n < 2000; n++) {
        ngx_http_agents_buf_addf(buf, "%s{\"function\":{\"name\":\"a\"}}",
                                 n ? "," : "");
    }

    ngx_http_agents_buf_adds(buf, "]}}]}");
}


/* No reply of a model, and not for want of memory: it is not asked for again.
 */

static void
test_many(void)
{
    ngx_http_agents_buf_t      buf, why;
    ngx_http_agents_reply_t    reply;
    ngx_http_agents_prompt_t   prompt;
    ngx_http_agents_stream_t   stream;

    memset(&prompt, 0, sizeof(ngx_http_agents_prompt_t));
    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_init(&why);

    many_calls(&buf, "message");

    unit(ngx_http_agents_draft_decode(&ngx_http_agents_openai, &prompt,
                                      buf.data, buf.len, &reply, &why) == -1
         && strstr(why.data, "too many blocks") != NULL,
         "a body of very many calls is no reply");

    ngx_http_agents_reply_clear(&reply);
    ngx_http_agents_buf_free(&why);
    ngx_http_agents_buf_free(&buf);

    ngx_http_agents_stream_init(&stream, &ngx_http_agents_openai,
                                "text/event-stream", NULL, NULL);
    ngx_http_agents_buf_adds(&buf, "data: ");
    many_calls(&buf, "delta");
    ngx_http_agents_buf_adds(&buf, "\n\n");

    unit(ngx_http_agents_stream_feed(&stream, buf.data, buf.len) == -1
         && stream.draft.fault == NGX_HTTP_AGENTS_FAULT_FATAL
         && strstr(stream.draft.why.data, "too many blocks") != NULL,
         "nor is a stream of them");

    ngx_http_agents_stream_free(&stream);
    ngx_http_agents_buf_free(&buf);
}


int
main(void)
{
    char    folder[64];
    size_t  i, k;

    static const struct {
        const char  *name;
        void       (*test)(const char *path, const char *name);
    } folders[] = {
        { "encode", test_encode },
        { "decode", test_decode },
        { "stream", test_stream },
        { "fault", test_fault }
    };

    ngx_http_agents_json_init();

    for (i = 0; /* void */ ; i++) {
        protocol = ngx_http_agents_model_protocol_at(i);
        if (protocol == NULL) {
            break;
        }

        unit(ngx_http_agents_model_protocol(protocol->name,
                                            strlen(protocol->name))
             == protocol, "%s is found by its name", protocol->name);

        for (k = 0; k < sizeof(folders) / sizeof(folders[0]); k++) {
            (void) snprintf(folder, sizeof(folder), "%s/%s", protocol->name,
                            folders[k].name);
            unit(unit_each(folder, ".json", folders[k].test) > 0, "%s",
                 folder);
        }
    }

    unit(i > 1 && ngx_http_agents_model_protocol("open", 4) == NULL,
         "others are not");

    unit(unit_each("openai/format", ".json", test_format) > 0, "format");

    test_lacks();
    test_next();
    test_cut();
    test_many();

    return unit_done();
}
