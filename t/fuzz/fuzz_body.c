
/* Bodies of requests: what is accepted is accepted again as it is shown. */


#include "fuzz.h"
#include "ngx_http_agents_body.h"


static void
conversation(const char *text, size_t len)
{
    char                                 *first, *second;
    ngx_http_agents_buf_t                 again;
    ngx_http_agents_faults_t              faults;
    ngx_http_agents_body_conversation_t   body;

    memset(&faults, 0, sizeof(faults));

    if (ngx_http_agents_body_conversation(text, len, &body, &faults) != 0) {
        fuzz_check(faults.found != 0, "a refusal has a fault");
        ngx_http_agents_body_conversation_free(&body);
        ngx_http_agents_faults_free(&faults);
        return;
    }

    first = ngx_http_agents_json_text(body.defaults, NULL);
    ngx_http_agents_body_conversation_free(&body);

    ngx_http_agents_buf_init(&again);
    ngx_http_agents_buf_adds(&again, "{\"defaults\":");
    ngx_http_agents_buf_adds(&again, first);
    ngx_http_agents_buf_addc(&again, '}');

    fuzz_check(ngx_http_agents_body_conversation(again.data, again.len, &body,
                                                 &faults)
               == 0, "shown defaults are accepted");

    second = ngx_http_agents_json_text(body.defaults, NULL);
    fuzz_check(strcmp(first, second) == 0, "defaults come out unchanged");

    free(first);
    free(second);
    ngx_http_agents_buf_free(&again);
    ngx_http_agents_body_conversation_free(&body);
    ngx_http_agents_faults_free(&faults);
}


static void
same(const ngx_http_agents_body_run_t *body)
{
    ngx_http_agents_buf_t        again;
    ngx_http_agents_faults_t     faults;
    ngx_http_agents_body_run_t   other;

    memset(&faults, 0, sizeof(faults));
    ngx_http_agents_buf_init(&again);

    ngx_http_agents_buf_addf(&again, "{\"client_op_id\":\"%s\","
                             "\"expected_version\":7,\"payload\":",
                             body->client_op_id);
    ngx_http_agents_buf_adds(&again, body->payload_text);
    ngx_http_agents_buf_adds(&again, ",\"tool_choice\":");
    ngx_http_agents_buf_adds(&again, body->tool_choice_text);
    ngx_http_agents_buf_adds(&again, ",\"config_override\":");
    ngx_http_agents_json_put(&again, body->config_override);
    ngx_http_agents_buf_addc(&again, '}');

    fuzz_check(ngx_http_agents_body_run(again.data, again.len, &other, &faults)
               == 0, "a shown run is accepted");
    fuzz_check(strcmp(body->fingerprint, other.fingerprint) == 0,
               "a shown run is the same operation");

    ngx_http_agents_body_run_free(&other);
    ngx_http_agents_buf_free(&again);
    ngx_http_agents_faults_free(&faults);
}


/* The checks that an accepted run still has to pass. */

static void
held(const ngx_http_agents_body_run_t *body)
{
    char                                 *text;
    size_t                                len;
    json_t                               *effective;
    ngx_http_agents_faults_t              faults;
    ngx_http_agents_body_conversation_t   stored;

    static const char  least[] =
        "{\"defaults\":{\"model\":\"anthropic.claude-opus-4.6\","
        "\"data_plane_id\":\"f79cbdae-4848-47ca-95e8-69588364d185\","
        "\"execution_cluster\":\"shared\"}}";

    memset(&faults, 0, sizeof(faults));

    fuzz_check(ngx_http_agents_body_conversation(least, sizeof(least) - 1,
                                                 &stored, &faults)
               == 0, "the least conversation is one");

    text = ngx_http_agents_json_text(stored.defaults, &len);
    effective = ngx_http_agents_body_merge(text, len, body->config_override);
    fuzz_check(effective != NULL, "an override merges");

    ngx_http_agents_body_check_choice(effective, body->tool_choice, &faults);

    if (body->resumes) {
        ngx_http_agents_body_check_outputs(body->payload, NULL, NULL,
                                           &faults);
    }

    free(text);
    json_decref(effective);
    ngx_http_agents_body_conversation_free(&stored);
    ngx_http_agents_faults_free(&faults);
}


static void
run(const char *text, size_t len)
{
    ngx_http_agents_faults_t     faults;
    ngx_http_agents_body_run_t   body;

    memset(&faults, 0, sizeof(faults));

    if (ngx_http_agents_body_run(text, len, &body, &faults) == 0) {
        same(&body);
        held(&body);

    } else {
        fuzz_check(faults.found != 0, "a refusal has a fault");
    }

    ngx_http_agents_body_run_free(&body);
    ngx_http_agents_faults_free(&faults);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    conversation((const char *) data, size);
    run((const char *) data, size);

    return 0;
}
