
#include <string.h>
#include "ngx_http_agents_body_fields.h"
#include "ngx_http_agents_schema.h"
#include "ngx_http_agents_url.h"


#define NGX_HTTP_AGENTS_BODY_ALIAS_MAX      8
#define NGX_HTTP_AGENTS_BODY_TOOL_NAME_MAX  64


static int ngx_http_agents_body_letter(char c);
static int ngx_http_agents_body_digit(char c);

static const char *ngx_http_agents_body_form_alias(const char *text,
    size_t len);
static const char *ngx_http_agents_body_form_tool_name(const char *text,
    size_t len);
static const char *ngx_http_agents_body_form_url(const char *text, size_t len);
static const char *ngx_http_agents_body_form_uuid(const char *text,
    size_t len);
static const char *ngx_http_agents_body_form_text_block(const char *text,
    size_t len);

static void ngx_http_agents_body_check_input_schema(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_body_check_content(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);


static const ngx_http_agents_body_field_t  ngx_http_agents_body_server[] = {

    { .name = "alias",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED,
      .form = ngx_http_agents_body_form_alias,
      .slug = "invalid-tool-alias" },

    { .name = "url",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED,
      .form = ngx_http_agents_body_form_url },

    { .name = "description",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = NULL }
};


static const ngx_http_agents_body_field_t  ngx_http_agents_body_tool[] = {

    { .name = "name",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED,
      .form = ngx_http_agents_body_form_tool_name,
      .slug = "invalid-caller-tool-name" },

    { .name = "description",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "input_schema",
      .kind = NGX_HTTP_AGENTS_BODY_OPEN,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .check = ngx_http_agents_body_check_input_schema },

    { .name = NULL }
};


/* Both "defaults", with all that is filled in, and "config_override". */
static const ngx_http_agents_body_field_t  ngx_http_agents_body_config[] = {

    { .name = "model",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .min = 1,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "data_plane_id",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .min = 1,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "execution_cluster",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .min = 1,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "max_iterations",
      .kind = NGX_HTTP_AGENTS_BODY_INTEGER,
      .min = 1,
      .max = NGX_HTTP_AGENTS_BODY_MAX_ITERATIONS,
      .otherwise = "3" },

    { .name = "max_tokens",
      .kind = NGX_HTTP_AGENTS_BODY_INTEGER,
      .min = 1,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED,
      .otherwise = "2048" },

    { .name = "temperature",
      .kind = NGX_HTTP_AGENTS_BODY_NUMBER,
      .min = 0,
      .max = 1,
      .otherwise = "0" },

    { .name = "output_format_schema",
      .kind = NGX_HTTP_AGENTS_BODY_OPEN,
      .flags = NGX_HTTP_AGENTS_BODY_NULL,
      .check = ngx_http_agents_schema_check,
      .otherwise = "null" },

    { .name = "mcp_servers",
      .kind = NGX_HTTP_AGENTS_BODY_LIST,
      .max = 16,
      .members = ngx_http_agents_body_server,
      .unique = "alias",
      .slug = "invalid-tool-alias",
      .otherwise = "[]" },

    { .name = "tools",
      .kind = NGX_HTTP_AGENTS_BODY_LIST,
      .max = 128,
      .members = ngx_http_agents_body_tool,
      .unique = "name",
      .slug = "invalid-caller-tool-name",
      .otherwise = "[]" },

    { .name = "system_prompt",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_PINNED,
      .max = 100000 },

    { .name = NULL }
};


const ngx_http_agents_body_field_t
    ngx_http_agents_body_conversation_fields[] =
{
    { .name = "name",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = 1000 },

    { .name = "system_prompt",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = 100000 },

    { .name = "defaults",
      .kind = NGX_HTTP_AGENTS_BODY_OBJECT,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .members = ngx_http_agents_body_config },

    { .name = NULL }
};


/* A sparse object: what is left out stays as it is. */
const ngx_http_agents_body_field_t  ngx_http_agents_body_change_fields[] = {

    { .name = "name",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_NULL,
      .max = 1000 },

    { .name = NULL }
};


static const ngx_http_agents_body_field_t
    ngx_http_agents_body_user_message[] =
{
    { .name = "kind",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "text",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .min = 1,
      .max = 1000000 },

    { .name = NULL }
};


static const ngx_http_agents_body_field_t  ngx_http_agents_body_output[] = {

    { .name = "tool_use_id",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "content",
      .kind = NGX_HTTP_AGENTS_BODY_OPEN,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .check = ngx_http_agents_body_check_content },

    { .name = "is_error",
      .kind = NGX_HTTP_AGENTS_BODY_BOOLEAN,
      .otherwise = "false" },

    { .name = NULL }
};


static const ngx_http_agents_body_field_t
    ngx_http_agents_body_tool_outputs[] =
{
    { .name = "kind",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "outputs",
      .kind = NGX_HTTP_AGENTS_BODY_LIST,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED,
      .members = ngx_http_agents_body_output },

    { .name = NULL }
};


static const ngx_http_agents_body_choice_t  ngx_http_agents_body_payloads[] = {
    { "user_message", ngx_http_agents_body_user_message },
    { "tool_outputs", ngx_http_agents_body_tool_outputs },
    { NULL, NULL }
};


static const ngx_http_agents_body_field_t
    ngx_http_agents_body_choice_plain[] =
{
    { .name = "kind",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = NULL }
};


static const ngx_http_agents_body_field_t
    ngx_http_agents_body_choice_tool[] =
{
    { .name = "kind",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "mcp_alias",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "name",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .min = 1,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = NULL }
};


static const ngx_http_agents_body_choice_t
    ngx_http_agents_body_tool_choices[] =
{
    { "auto", ngx_http_agents_body_choice_plain },
    { "any", ngx_http_agents_body_choice_plain },
    { "specific_tool", ngx_http_agents_body_choice_tool },
    { NULL, NULL }
};


const ngx_http_agents_body_field_t  ngx_http_agents_body_run_fields[] = {

    { .name = "client_op_id",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED,
      .form = ngx_http_agents_body_form_uuid },

    { .name = "expected_version",
      .kind = NGX_HTTP_AGENTS_BODY_INTEGER,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = "payload",
      .kind = NGX_HTTP_AGENTS_BODY_CHOICE,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .choices = ngx_http_agents_body_payloads },

    { .name = "tool_choice",
      .kind = NGX_HTTP_AGENTS_BODY_CHOICE,
      .choices = ngx_http_agents_body_tool_choices,
      .otherwise = "{\"kind\":\"auto\"}" },

    { .name = "config_override",
      .kind = NGX_HTTP_AGENTS_BODY_OBJECT,
      .flags = NGX_HTTP_AGENTS_BODY_SPARSE,
      .members = ngx_http_agents_body_config,
      .otherwise = "{}" },

    { .name = NULL }
};


static const ngx_http_agents_body_field_t  ngx_http_agents_body_text_block[] = {

    { .name = "type",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED,
      .form = ngx_http_agents_body_form_text_block },

    { .name = "text",
      .kind = NGX_HTTP_AGENTS_BODY_STRING,
      .flags = NGX_HTTP_AGENTS_BODY_REQUIRED,
      .max = NGX_HTTP_AGENTS_BODY_UNBOUNDED },

    { .name = NULL }
};


static int
ngx_http_agents_body_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}


static int
ngx_http_agents_body_digit(char c)
{
    return c >= '0' && c <= '9';
}


static const char *
ngx_http_agents_body_form_alias(const char *text, size_t len)
{
    size_t  i;

    if (len == 0 || len > NGX_HTTP_AGENTS_BODY_ALIAS_MAX
        || !ngx_http_agents_body_letter(text[0]))
    {
        goto wrong;
    }

    for (i = 1; i < len; i++) {
        if (!ngx_http_agents_body_letter(text[i])
            && !ngx_http_agents_body_digit(text[i]))
        {
            goto wrong;
        }
    }

    return NULL;

wrong:

    return "must be 1 to 8 ASCII letters and digits, the first one a letter";
}


static const char *
ngx_http_agents_body_form_tool_name(const char *text, size_t len)
{
    size_t  i;

    if (len == 0 || len > NGX_HTTP_AGENTS_BODY_TOOL_NAME_MAX) {
        goto wrong;
    }

    for (i = 0; i < len; i++) {
        if (!ngx_http_agents_body_letter(text[i])
            && !ngx_http_agents_body_digit(text[i])
            && text[i] != '_')
        {
            goto wrong;
        }
    }

    return NULL;

wrong:

    return "must be 1 to 64 ASCII letters, digits and underscores (no dash: "
           "it marks the tools of MCP servers)";
}


static const char *
ngx_http_agents_body_form_url(const char *text, size_t len)
{
    const char             *why;
    ngx_http_agents_url_t   url;

    if (ngx_http_agents_url_parse(&url, text, len, &why) != 0) {
        return why;
    }

    return NULL;
}


static const char *
ngx_http_agents_body_form_uuid(const char *text, size_t len)
{
    return ngx_http_agents_ident_is_uuid(text, len) ? NULL : "must be a UUID";
}


static const char *
ngx_http_agents_body_form_text_block(const char *text, size_t len)
{
    if (len == sizeof("text") - 1 && memcmp(text, "text", len) == 0) {
        return NULL;
    }

    return "must be \"text\"";
}


/*
 * Only the root: whatever else a tool's schema has is normalised for the
 * model when a run starts, as an MCP server's is.
 */

static void
ngx_http_agents_body_check_input_schema(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    const char              *type;
    json_t                  *member;
    ngx_http_agents_path_t   place;

    if (!json_is_object(value)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must be a JSON Schema object, not %s",
                                   ngx_http_agents_json_type_name(value));
        return;
    }

    member = json_object_get(value, "type");
    if (member == NULL) {
        return;
    }

    type = json_string_value(member);

    if (type == NULL || strcmp(type, "object") != 0) {
        place.parent = path;
        place.key = "type";
        place.index = 0;

        ngx_http_agents_faults_add(faults, &place, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must be \"object\": a tool's arguments "
                                   "are an object");
    }
}


static void
ngx_http_agents_body_check_content(const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    size_t                   i;
    json_t                  *block, *walked;
    ngx_http_agents_path_t   place;

    if (json_is_string(value)) {
        return;
    }

    if (!json_is_array(value)) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must be a string or an array of text "
                                   "blocks, not %s",
                                   ngx_http_agents_json_type_name(value));
        return;
    }

    place.parent = path;
    place.key = NULL;

    json_array_foreach(value, i, block) {
        place.index = i;

        if (!json_is_object(block)) {
            ngx_http_agents_faults_add(faults, &place,
                                       NGX_HTTP_AGENTS_BODY_SLUG,
                                       "must be a text block, not %s",
                                       ngx_http_agents_json_type_name(block));
            continue;
        }

        walked = ngx_http_agents_body_walk(ngx_http_agents_body_text_block, 0,
                                           block, &place, faults);
        if (walked == NULL) {
            return;
        }

        json_decref(walked);
    }
}
