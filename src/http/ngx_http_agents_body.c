
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_body_fields.h"


static json_t *ngx_http_agents_body_parse(const char *text, size_t len,
    const ngx_http_agents_body_field_t *fields, unsigned flags, json_t **raw,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_body_system_prompt(json_t *walked,
    ngx_http_agents_faults_t *faults);
static unsigned ngx_http_agents_body_given(const json_t *config);
static char *ngx_http_agents_body_copy(const json_t *object, const char *key,
    size_t *len, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_body_operation(ngx_http_agents_body_run_t *out,
    const json_t *walked, ngx_http_agents_faults_t *faults);
static int ngx_http_agents_body_fingerprint(ngx_http_agents_body_run_t *out);


int
ngx_http_agents_body_conversation(const char *text, size_t len,
    ngx_http_agents_body_conversation_t *out,
    ngx_http_agents_faults_t *faults)
{
    json_t  *walked, *raw;

    memset(out, 0, sizeof(ngx_http_agents_body_conversation_t));

    walked = ngx_http_agents_body_parse(text, len,
                                   ngx_http_agents_body_conversation_fields,
                                   0, &raw, faults);
    if (walked == NULL) {
        return -1;
    }

    ngx_http_agents_body_system_prompt(walked, faults);

    out->name = ngx_http_agents_body_copy(walked, "name", &out->name_len,
                                          faults);
    if (out->name && out->name_len == 0) {
        free(out->name);
        out->name = NULL;
    }

    out->system_prompt = ngx_http_agents_body_copy(walked, "system_prompt",
                                                   &out->system_prompt_len,
                                                   faults);

    out->defaults = json_incref(json_object_get(walked, "defaults"));
    out->given = ngx_http_agents_body_given(json_object_get(raw, "defaults"));

    json_decref(walked);
    json_decref(raw);

    return (faults->found || faults->failed) ? -1 : 0;
}


void
ngx_http_agents_body_conversation_free(
    ngx_http_agents_body_conversation_t *body)
{
    free(body->name);
    free(body->system_prompt);
    json_decref(body->defaults);

    memset(body, 0, sizeof(ngx_http_agents_body_conversation_t));
}


int
ngx_http_agents_body_change(const char *text, size_t len,
    ngx_http_agents_body_change_t *out, ngx_http_agents_faults_t *faults)
{
    json_t  *walked, *raw;

    memset(out, 0, sizeof(ngx_http_agents_body_change_t));

    walked = ngx_http_agents_body_parse(text, len,
                                        ngx_http_agents_body_change_fields,
                                        NGX_HTTP_AGENTS_BODY_SPARSE, &raw,
                                        faults);
    if (walked == NULL) {
        return -1;
    }

    out->renames = (json_object_get(walked, "name") != NULL);
    out->name = ngx_http_agents_body_copy(walked, "name", &out->name_len,
                                          faults);
    if (out->name && out->name_len == 0) {
        free(out->name);
        out->name = NULL;
    }

    json_decref(walked);
    json_decref(raw);

    return (faults->found || faults->failed) ? -1 : 0;
}


void
ngx_http_agents_body_change_free(ngx_http_agents_body_change_t *body)
{
    free(body->name);

    memset(body, 0, sizeof(ngx_http_agents_body_change_t));
}


int
ngx_http_agents_body_run(const char *text, size_t len,
    ngx_http_agents_body_run_t *out, ngx_http_agents_faults_t *faults)
{
    json_t  *walked, *raw;

    memset(out, 0, sizeof(ngx_http_agents_body_run_t));

    walked = ngx_http_agents_body_parse(text, len,
                                        ngx_http_agents_body_run_fields,
                                        0, &raw, faults);
    if (walked == NULL) {
        return -1;
    }

    if (faults->found == 0 && !faults->failed) {
        ngx_http_agents_body_operation(out, walked, faults);
    }

    json_decref(walked);
    json_decref(raw);

    return (faults->found || faults->failed) ? -1 : 0;
}


void
ngx_http_agents_body_run_free(ngx_http_agents_body_run_t *body)
{
    free(body->client_op_id);
    free(body->client_op_key);
    free(body->payload_text);
    free(body->tool_choice_text);
    json_decref(body->payload);
    json_decref(body->tool_choice);
    json_decref(body->config_override);

    memset(body, 0, sizeof(ngx_http_agents_body_run_t));
}


/* What is right in the document, and the document itself. */

static json_t *
ngx_http_agents_body_parse(const char *text, size_t len,
    const ngx_http_agents_body_field_t *fields, unsigned flags, json_t **raw,
    ngx_http_agents_faults_t *faults)
{
    json_t                        *walked;
    ngx_http_agents_json_fault_t   fault;

    *raw = ngx_http_agents_json_parse(text, len, &fault);

    if (*raw == NULL) {
        ngx_http_agents_faults_add(faults, NULL, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "malformed JSON at line %d, column %d: %s",
                                   fault.line, fault.column, fault.text);
        return NULL;
    }

    if (!json_is_object(*raw)) {
        ngx_http_agents_faults_add(faults, NULL, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must be a JSON object, not %s",
                                   ngx_http_agents_json_type_name(*raw));
        json_decref(*raw);
        return NULL;
    }

    walked = ngx_http_agents_body_walk(fields, flags, *raw, NULL, faults);
    if (walked == NULL) {
        json_decref(*raw);
    }

    return walked;
}


/* It may stand beside "defaults" or in it; it is kept beside them. */

static void
ngx_http_agents_body_system_prompt(json_t *walked,
    ngx_http_agents_faults_t *faults)
{
    json_t                  *defaults, *inner, *outer;
    ngx_http_agents_path_t   parent, place;

    defaults = json_object_get(walked, "defaults");
    inner = json_object_get(defaults, "system_prompt");

    if (inner == NULL) {
        return;
    }

    outer = json_object_get(walked, "system_prompt");

    if (outer == NULL) {
        if (json_object_set(walked, "system_prompt", inner) != 0) {
            faults->failed = 1;
        }

    } else if (!json_equal(inner, outer)) {
        parent.parent = NULL;
        parent.key = "defaults";
        parent.index = 0;
        place.parent = &parent;
        place.key = "system_prompt";
        place.index = 0;

        ngx_http_agents_faults_add(faults, &place, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "differs from the system_prompt beside "
                                   "defaults; give it once");
    }

    (void) json_object_del(defaults, "system_prompt");
}


static unsigned
ngx_http_agents_body_given(const json_t *config)
{
    json_t    *value;
    unsigned   given;

    given = 0;

    value = json_object_get(config, "max_iterations");
    if (value && !json_is_null(value)) {
        given |= NGX_HTTP_AGENTS_BODY_GIVEN_MAX_ITERATIONS;
    }

    value = json_object_get(config, "max_tokens");
    if (value && !json_is_null(value)) {
        given |= NGX_HTTP_AGENTS_BODY_GIVEN_MAX_TOKENS;
    }

    return given;
}


/* A malloc'd copy of a string member; NULL if there is none. */

static char *
ngx_http_agents_body_copy(const json_t *object, const char *key, size_t *len,
    ngx_http_agents_faults_t *faults)
{
    char        *copy;
    const char  *text;

    text = ngx_http_agents_json_string(object, key, len);
    if (text == NULL) {
        *len = 0;
        return NULL;
    }

    copy = malloc(*len + 1);
    if (copy == NULL) {
        faults->failed = 1;
        return NULL;
    }

    memcpy(copy, text, *len);
    copy[*len] = '\0';

    return copy;
}


/* Fills what the queries take from a body without a fault. */

static void
ngx_http_agents_body_operation(ngx_http_agents_body_run_t *out,
    const json_t *walked, ngx_http_agents_faults_t *faults)
{
    char        *p;
    size_t       len;
    const char  *kind;

    out->client_op_id = ngx_http_agents_body_copy(walked, "client_op_id",
                                                  &len, faults);
    out->client_op_key = ngx_http_agents_body_copy(walked, "client_op_id",
                                                   &len, faults);
    if (out->client_op_key) {
        for (p = out->client_op_key; *p; p++) {
            if (*p >= 'A' && *p <= 'F') {
                *p |= 0x20;
            }
        }
    }

    out->expected_version = ngx_http_agents_json_integer(walked,
                                                      "expected_version", 0);

    out->payload = json_incref(json_object_get(walked, "payload"));
    out->tool_choice = json_incref(json_object_get(walked, "tool_choice"));
    out->config_override = json_incref(json_object_get(walked,
                                                       "config_override"));

    kind = ngx_http_agents_json_string(out->payload, "kind", NULL);
    out->resumes = (kind && strcmp(kind, "tool_outputs") == 0);
    out->given = ngx_http_agents_body_given(out->config_override);

    out->payload_text = ngx_http_agents_json_text(out->payload,
                                                  &out->payload_len);
    out->tool_choice_text = ngx_http_agents_json_text(out->tool_choice,
                                                  &out->tool_choice_len);

    if (out->payload_text == NULL || out->tool_choice_text == NULL
        || ngx_http_agents_body_fingerprint(out) != 0)
    {
        faults->failed = 1;
    }
}


/*
 * Two requests ask for the same if these three agree; sorted, so that the
 * order of keys does not count, and after the defaults were filled in.
 */

static int
ngx_http_agents_body_fingerprint(ngx_http_agents_body_run_t *out)
{
    int                     rc;
    ngx_http_agents_buf_t   buf;

    memset(&buf, 0, sizeof(ngx_http_agents_buf_t));

    ngx_http_agents_buf_addc(&buf, '[');
    ngx_http_agents_json_put_sorted(&buf, out->payload);
    ngx_http_agents_buf_addc(&buf, ',');
    ngx_http_agents_json_put_sorted(&buf, out->tool_choice);
    ngx_http_agents_buf_addc(&buf, ',');
    ngx_http_agents_json_put_sorted(&buf, out->config_override);
    ngx_http_agents_buf_addc(&buf, ']');

    rc = -1;

    if (!buf.failed && buf.data) {
        rc = ngx_http_agents_ident_sha256(out->fingerprint, buf.data,
                                          buf.len);
    }

    ngx_http_agents_buf_free(&buf);

    return rc;
}
