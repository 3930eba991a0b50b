
/*
 * Request bodies.  In data/body: conversation and run have folders of valid
 * bodies, each with the normalised form in NAME.out, and of invalid ones, each
 * with its faults ("slug pointer" a line) in NAME.faults; choice, outputs and
 * same hold the cases of the checks between a body and what is stored.
 */


#include "unit.h"
#include "unit_data.h"
#include "ngx_http_agents_body.h"


/* The folder's files end so, the file of what is expected so. */
#define TEST_INPUT  ".json"


static void test_conversation_valid(const char *path, const char *name);
static void test_run_valid(const char *path, const char *name);
static void test_conversation_invalid(const char *path, const char *name);
static void test_run_invalid(const char *path, const char *name);
static void test_choice(const char *path, const char *name);
static void test_outputs(const char *path, const char *name);
static void test_same(const char *path, const char *name);
static void test_lengths(void);
static void test_merge(void);
static void test_many_faults(void);
static void test_long_faults(void);

static char *test_expected(const char *path, const char *suffix);
static char *test_conversation_text(
    const ngx_http_agents_body_conversation_t *body);
static char *test_run_text(const ngx_http_agents_body_run_t *body);
static char *test_faults_text(const ngx_http_agents_faults_t *faults);
static void test_faults_case(const json_t *expected,
    ngx_http_agents_faults_t *faults, const char *name);
static int test_fingerprint(const json_t *body, char *out);
static json_t *test_load(const char *path);
static size_t test_length(const char *before, char c, size_t n,
    const char *after, int run);


int
main(void)
{
    ngx_http_agents_json_init();

    unit_each("body/conversation/valid", TEST_INPUT, test_conversation_valid);
    unit_each("body/conversation/invalid", TEST_INPUT,
              test_conversation_invalid);
    unit_each("body/run/valid", TEST_INPUT, test_run_valid);
    unit_each("body/run/invalid", TEST_INPUT, test_run_invalid);
    unit_each("body/choice", TEST_INPUT, test_choice);
    unit_each("body/outputs", TEST_INPUT, test_outputs);
    unit_each("body/same", TEST_INPUT, test_same);

    test_lengths();
    test_merge();
    test_many_faults();
    test_long_faults();

    return unit_done();
}


/* What is shown is accepted unchanged, and shown the same again. */

static void
test_conversation_valid(const char *path, const char *name)
{
    int                                   rc;
    char                                 *text, *got, *expected;
    size_t                                len;
    ngx_http_agents_buf_t                 again;
    ngx_http_agents_faults_t              faults;
    ngx_http_agents_body_conversation_t   body;

    memset(&faults, 0, sizeof(faults));
    memset(&again, 0, sizeof(again));

    text = unit_read(path, &len);
    expected = test_expected(path, ".out");

    rc = ngx_http_agents_body_conversation(text, len, &body, &faults);
    got = test_conversation_text(&body);

    unit(rc == 0 && faults.found == 0, "conversation: %s is valid", name);
    unit_text(got, expected, "its normalised form");

    ngx_http_agents_buf_adds(&again, "{\"defaults\":");
    ngx_http_agents_json_put(&again, body.defaults);
    ngx_http_agents_buf_adds(&again, "}");
    ngx_http_agents_body_conversation_free(&body);

    rc = ngx_http_agents_body_conversation(again.data, again.len, &body,
                                           &faults);
    free(text);
    text = ngx_http_agents_json_text(body.defaults, NULL);

    unit(rc == 0 && strncmp(again.data + 12, text, strlen(text)) == 0,
         "its defaults are accepted and come out unchanged");

    ngx_http_agents_body_conversation_free(&body);
    ngx_http_agents_buf_free(&again);
    ngx_http_agents_faults_free(&faults);
    free(text);
    free(got);
    free(expected);
}


static void
test_run_valid(const char *path, const char *name)
{
    int                         rc;
    char                       *text, *got, *expected, print[65];
    size_t                      len;
    ngx_http_agents_buf_t       again;
    ngx_http_agents_faults_t    faults;
    ngx_http_agents_body_run_t  body;

    memset(&faults, 0, sizeof(faults));
    memset(&again, 0, sizeof(again));

    text = unit_read(path, &len);
    expected = test_expected(path, ".out");

    rc = ngx_http_agents_body_run(text, len, &body, &faults);
    got = test_run_text(&body);

    unit(rc == 0 && faults.found == 0, "run: %s is valid", name);
    unit_text(got, expected, "its normalised form");

    ngx_http_agents_buf_addf(&again, "{\"client_op_id\":\"%s\",",
                             body.client_op_id);
    ngx_http_agents_buf_addf(&again, "\"expected_version\":7,\"payload\":%s,",
                             body.payload_text);
    ngx_http_agents_buf_addf(&again, "\"tool_choice\":%s,",
                             body.tool_choice_text);
    ngx_http_agents_buf_adds(&again, "\"config_override\":");
    ngx_http_agents_json_put(&again, body.config_override);
    ngx_http_agents_buf_adds(&again, "}");

    memcpy(print, body.fingerprint, sizeof(print));
    ngx_http_agents_body_run_free(&body);

    rc = ngx_http_agents_body_run(again.data, again.len, &body, &faults);
    unit(rc == 0, "what it shows is accepted");
    unit_text(body.fingerprint, print, "and is the same operation");

    ngx_http_agents_body_run_free(&body);
    ngx_http_agents_buf_free(&again);
    ngx_http_agents_faults_free(&faults);
    free(text);
    free(got);
    free(expected);
}


static void
test_conversation_invalid(const char *path, const char *name)
{
    int                                   rc;
    char                                 *text, *got, *expected;
    size_t                                len;
    ngx_http_agents_faults_t              faults;
    ngx_http_agents_body_conversation_t   body;

    memset(&faults, 0, sizeof(faults));

    text = unit_read(path, &len);
    expected = test_expected(path, ".faults");

    rc = ngx_http_agents_body_conversation(text, len, &body, &faults);
    got = test_faults_text(&faults);

    unit(rc == -1, "conversation: %s is refused", name);
    unit_text(got, expected, "its faults");

    ngx_http_agents_body_conversation_free(&body);
    ngx_http_agents_faults_free(&faults);
    free(text);
    free(got);
    free(expected);
}


static void
test_run_invalid(const char *path, const char *name)
{
    int                          rc;
    char                        *text, *got, *expected;
    size_t                       len;
    ngx_http_agents_faults_t     faults;
    ngx_http_agents_body_run_t   body;

    memset(&faults, 0, sizeof(faults));

    text = unit_read(path, &len);
    expected = test_expected(path, ".faults");

    rc = ngx_http_agents_body_run(text, len, &body, &faults);
    got = test_faults_text(&faults);

    unit(rc == -1, "run: %s is refused", name);
    unit_text(got, expected, "its faults");

    ngx_http_agents_body_run_free(&body);
    ngx_http_agents_faults_free(&faults);
    free(text);
    free(got);
    free(expected);
}


static void
test_choice(const char *path, const char *name)
{
    json_t                    *data;
    ngx_http_agents_faults_t   faults;

    memset(&faults, 0, sizeof(faults));
    data = test_load(path);

    ngx_http_agents_body_check_choice(json_object_get(data, "effective"),
                                      json_object_get(data, "tool_choice"),
                                      &faults);
    test_faults_case(json_object_get(data, "faults"), &faults, name);

    json_decref(data);
}


static void
test_outputs(const char *path, const char *name)
{
    json_t                    *data, *blocks;
    ngx_http_agents_faults_t   faults;

    memset(&faults, 0, sizeof(faults));
    data = test_load(path);

    blocks = json_object_get(data, "blocks");

    ngx_http_agents_body_check_outputs(json_object_get(data, "payload"),
                                       json_object_get(data, "pending"),
                                       json_is_null(blocks) ? NULL : blocks,
                                       &faults);
    test_faults_case(json_object_get(data, "faults"), &faults, name);

    json_decref(data);
}


static void
test_same(const char *path, const char *name)
{
    char     a[65], b[65];
    json_t  *data;

    data = test_load(path);

    if (unit(test_fingerprint(json_object_get(data, "a"), a) == 0
             && test_fingerprint(json_object_get(data, "b"), b) == 0,
             "same: both bodies of %s are valid", name))
    {
        unit((strcmp(a, b) == 0)
             == json_is_true(json_object_get(data, "same")),
             "same: %s", name);
    }

    json_decref(data);
}


static void
test_lengths(void)
{
    const char  *text, *prompt, *after;

    prompt = "{\"system_prompt\":\"";
    after = "\",\"defaults\":{\"model\":\"m\",\"data_plane_id\":\"p\","
            "\"execution_cluster\":\"c\"}}";

    unit(test_length(prompt, 'p', 100000, after, 0) == 0,
         "a prompt of 100,000 characters");
    unit(test_length(prompt, 'p', 100001, after, 0) == 1,
         "a prompt of one more is refused");

    text = "{\"client_op_id\":\"0197b2f0-1c2d-4e3f-8a9b-0c1d2e3f4a5b\","
           "\"expected_version\":0,\"payload\":{\"kind\":\"user_message\","
           "\"text\":\"";

    unit(test_length(text, 't', 1000000, "\"}}", 1) == 0,
         "a text of 1,000,000 characters");
    unit(test_length(text, 't', 1000001, "\"}}", 1) == 1,
         "a text of one more is refused");
}


static void
test_merge(void)
{
    char        *text;
    json_t      *override, *merged;
    const char  *defaults;

    defaults = "{\"model\":\"a\",\"temperature\":0.7,"
               "\"output_format_schema\":{\"type\":\"string\"},"
               "\"tools\":[{\"name\":\"x\",\"input_schema\":{}}]}";

    override = json_pack("{s:s, s:n, s:[]}", "model", "b",
                         "output_format_schema", "tools");

    merged = ngx_http_agents_body_merge(defaults, strlen(defaults), override);
    text = ngx_http_agents_json_text(merged, NULL);

    unit_text(text, "{\"model\":\"b\",\"temperature\":0.7,"
                    "\"output_format_schema\":null,\"tools\":[]}",
              "an override replaces what it names, lists as a whole");

    free(text);
    json_decref(merged);

    unit(ngx_http_agents_body_merge("[]", 2, override) == NULL,
         "defaults that are no object cannot be merged");

    json_decref(override);
}


/* What is found goes on being counted when it is no longer listed. */

static void
test_many_faults(void)
{
    int                                   i;
    ngx_http_agents_buf_t                 buf;
    ngx_http_agents_faults_t              faults;
    ngx_http_agents_body_conversation_t   body;

    memset(&buf, 0, sizeof(buf));
    memset(&faults, 0, sizeof(faults));

    ngx_http_agents_buf_adds(&buf, "{\"defaults\":null");

    for (i = 0; i < 50000; i++) {
        ngx_http_agents_buf_addf(&buf, ",\"f%d\":%d", i, i);
    }

    ngx_http_agents_buf_adds(&buf, "}");

    (void) ngx_http_agents_body_conversation(buf.data, buf.len, &body,
                                             &faults);

    unit(faults.found == 50001 && faults.n == NGX_HTTP_AGENTS_FAULTS_MAX,
         "50,001 faults are counted, the first of them listed");

    ngx_http_agents_body_conversation_free(&body);
    ngx_http_agents_faults_free(&faults);
    ngx_http_agents_buf_free(&buf);
}


/* Pointers repeat what the body says once: they are bounded in bytes, too. */

static void
test_long_faults(void)
{
    size_t                                i, size;
    ngx_http_agents_buf_t                 buf;
    ngx_http_agents_faults_t              faults;
    ngx_http_agents_body_conversation_t   body;

    memset(&buf, 0, sizeof(buf));
    memset(&faults, 0, sizeof(faults));

    ngx_http_agents_buf_adds(&buf, "{\"defaults\":{"
                                   "\"output_format_schema\":{"
                                   "\"properties\":{\"");

    for (i = 0; i < 200000; i++) {
        ngx_http_agents_buf_addc(&buf, 'k');
    }

    ngx_http_agents_buf_adds(&buf, "\":{\"f\":0");

    for (i = 0; i < 200; i++) {
        ngx_http_agents_buf_addf(&buf, ",\"f%zu\":0", i);
    }

    ngx_http_agents_buf_adds(&buf, "}}}}}");

    (void) ngx_http_agents_body_conversation(buf.data, buf.len, &body,
                                             &faults);

    size = 0;

    for (i = 0; i < faults.n; i++) {
        size += strlen(faults.list[i].pointer);
    }

    unit(faults.found > 200 && faults.n > 1
         && size < 2 * NGX_HTTP_AGENTS_FAULTS_BYTES,
         "%zu long faults are counted, %zu of them listed in %zu bytes",
         faults.found, faults.n, size);

    ngx_http_agents_body_conversation_free(&body);
    ngx_http_agents_faults_free(&faults);
    ngx_http_agents_buf_free(&buf);
}


/* The faults of a body with n times c in the middle. */

static size_t
test_length(const char *before, char c, size_t n, const char *after, int run)
{
    char                                 *text;
    size_t                                found, len;
    ngx_http_agents_buf_t                 buf;
    ngx_http_agents_faults_t              faults;
    ngx_http_agents_body_run_t            started;
    ngx_http_agents_body_conversation_t   body;

    memset(&faults, 0, sizeof(faults));

    memset(&buf, 0, sizeof(buf));

    ngx_http_agents_buf_adds(&buf, before);

    while (n-- > 0) {
        ngx_http_agents_buf_addc(&buf, c);
    }

    ngx_http_agents_buf_adds(&buf, after);
    text = ngx_http_agents_buf_take(&buf, &len);

    if (run) {
        (void) ngx_http_agents_body_run(text, len, &started, &faults);
        ngx_http_agents_body_run_free(&started);

    } else {
        (void) ngx_http_agents_body_conversation(text, len, &body, &faults);
        ngx_http_agents_body_conversation_free(&body);
    }

    found = faults.found;

    ngx_http_agents_faults_free(&faults);
    free(text);

    return found;
}


/* The text of a file's neighbour. */

static char *
test_expected(const char *path, const char *suffix)
{
    char  other[4096];

    (void) snprintf(other, sizeof(other), "%.*s%s",
                    (int) (strlen(path) - strlen(TEST_INPUT)), path, suffix);

    return unit_read(other, NULL);
}


static char *
test_conversation_text(const ngx_http_agents_body_conversation_t *body)
{
    ngx_http_agents_buf_t  buf;

    memset(&buf, 0, sizeof(buf));

    ngx_http_agents_buf_adds(&buf, "name ");
    ngx_http_agents_json_put_string(&buf, body->name, body->name_len);
    ngx_http_agents_buf_adds(&buf, "\nsystem_prompt ");
    ngx_http_agents_json_put_string(&buf, body->system_prompt,
                                    body->system_prompt_len);
    ngx_http_agents_buf_addf(&buf, "\ngiven %u\ndefaults ", body->given);
    ngx_http_agents_json_put(&buf, body->defaults);
    ngx_http_agents_buf_addc(&buf, '\n');

    return ngx_http_agents_buf_take(&buf, NULL);
}


static char *
test_run_text(const ngx_http_agents_body_run_t *body)
{
    ngx_http_agents_buf_t  buf;

    memset(&buf, 0, sizeof(buf));

    ngx_http_agents_buf_addf(&buf, "client_op_id %s %s\n", body->client_op_id,
                             body->client_op_key);
    ngx_http_agents_buf_addf(&buf, "expected_version %lld\nresumes %u\n",
                             (long long) body->expected_version,
                             body->resumes);
    ngx_http_agents_buf_addf(&buf, "payload %s\ntool_choice %s\n",
                             body->payload_text, body->tool_choice_text);
    ngx_http_agents_buf_addf(&buf, "given %u\nconfig_override ", body->given);
    ngx_http_agents_json_put(&buf, body->config_override);
    ngx_http_agents_buf_addc(&buf, '\n');

    return ngx_http_agents_buf_take(&buf, NULL);
}


static char *
test_faults_text(const ngx_http_agents_faults_t *faults)
{
    size_t                 i;
    ngx_http_agents_buf_t  buf;

    memset(&buf, 0, sizeof(buf));
    ngx_http_agents_buf_adds(&buf, "");

    for (i = 0; i < faults->n; i++) {
        ngx_http_agents_buf_addf(&buf, "%s%s%s\n", faults->list[i].slug,
                                 faults->list[i].pointer[0] ? " " : "",
                                 faults->list[i].pointer);
        printf("#   %s: %s\n", faults->list[i].pointer,
               faults->list[i].detail);
    }

    return ngx_http_agents_buf_take(&buf, NULL);
}


/* Compares with a list of "slug pointer" and frees the faults. */

static void
test_faults_case(const json_t *expected, ngx_http_agents_faults_t *faults,
    const char *name)
{
    char                   *got;
    size_t                  i;
    json_t                 *line;
    ngx_http_agents_buf_t   buf;

    memset(&buf, 0, sizeof(buf));
    ngx_http_agents_buf_adds(&buf, "");

    json_array_foreach(expected, i, line) {
        ngx_http_agents_buf_addf(&buf, "%s\n", json_string_value(line));
    }

    got = test_faults_text(faults);
    unit_text(got ? got : "", buf.data ? buf.data : "", name);

    ngx_http_agents_faults_free(faults);
    ngx_http_agents_buf_free(&buf);
    free(got);
}


static int
test_fingerprint(const json_t *body, char *out)
{
    int                          rc;
    char                        *text;
    size_t                       len;
    ngx_http_agents_faults_t     faults;
    ngx_http_agents_body_run_t   run;

    memset(&faults, 0, sizeof(faults));

    text = ngx_http_agents_json_text(body, &len);
    rc = ngx_http_agents_body_run(text, len, &run, &faults);
    memcpy(out, run.fingerprint, sizeof(run.fingerprint));

    ngx_http_agents_body_run_free(&run);
    ngx_http_agents_faults_free(&faults);
    free(text);

    return rc;
}


static json_t *
test_load(const char *path)
{
    char    *text;
    size_t   len;
    json_t  *data;

    text = unit_read(path, &len);
    data = ngx_http_agents_json_load(text, len);
    free(text);

    if (data == NULL) {
        printf("Bail out! %s is no JSON\n", path);
        exit(1);
    }

    return data;
}
