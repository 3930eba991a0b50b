
/*
 * A value against an output schema: a table of keywords, a function each.
 */


#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_schema.h"
#include "ngx_http_agents_schema_parts.h"


/* How much of an expected value, and of an alternative's reason, is shown. */
#define NGX_HTTP_AGENTS_SCHEMA_SHOWN   200
#define NGX_HTTP_AGENTS_SCHEMA_REASON  300


/*
 * Each rule holds a value to one keyword of the schema: 0, or -1 with the
 * mismatch added to its "why".
 */
typedef int (*ngx_http_agents_schema_rule_pt)(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);


typedef struct {
    const char                      *name;
    ngx_http_agents_schema_rule_pt   holds;
} ngx_http_agents_schema_rule_t;


static int ngx_http_agents_schema_apply(const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_read(const json_t *value,
    ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_type(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_is(const char *type, const json_t *value);
static int ngx_http_agents_schema_const(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_enum(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_required(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_properties(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_additional(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_items(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_minimum(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_maximum(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_min_length(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_max_length(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_min_items(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_max_items(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_any_of(const json_t *rule,
    const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_none_of(const json_t *rule,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold);
static int ngx_http_agents_schema_fault(ngx_http_agents_schema_hold_t *hold,
    const ngx_http_agents_path_t *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int ngx_http_agents_schema_expected(ngx_http_agents_schema_hold_t *hold,
    const ngx_http_agents_path_t *path, const char *text,
    const json_t *expected);
static void ngx_http_agents_schema_shorten(ngx_http_agents_buf_t *buf,
    size_t start, size_t max);


/*
 * In the order in which a mismatch tells most: of an alternative with a
 * constant in it, that this is another one.
 */

static const ngx_http_agents_schema_rule_t  ngx_http_agents_schema_rules[] = {
    { "type", ngx_http_agents_schema_type },
    { "const", ngx_http_agents_schema_const },
    { "enum", ngx_http_agents_schema_enum },
    { "properties", ngx_http_agents_schema_properties },
    { "required", ngx_http_agents_schema_required },
    { "additionalProperties", ngx_http_agents_schema_additional },
    { "items", ngx_http_agents_schema_items },
    { "minimum", ngx_http_agents_schema_minimum },
    { "maximum", ngx_http_agents_schema_maximum },
    { "minLength", ngx_http_agents_schema_min_length },
    { "maxLength", ngx_http_agents_schema_max_length },
    { "minItems", ngx_http_agents_schema_min_items },
    { "maxItems", ngx_http_agents_schema_max_items },
    { "anyOf", ngx_http_agents_schema_any_of },
    { NULL, NULL }
};


int
ngx_http_agents_schema_validate(const json_t *schema, const json_t *value,
    ngx_http_agents_buf_t *why)
{
    int                             rc;
    size_t                          start;
    ngx_http_agents_schema_hold_t   hold;

    start = why->len;

    hold.why = why;
    hold.steps = NGX_HTTP_AGENTS_SCHEMA_STEPS;

    rc = ngx_http_agents_schema_apply(schema, value, NULL, &hold);

    if (hold.steps == 0) {
        why->len = start;
        ngx_http_agents_buf_adds(why, "/: holding it to the schema takes too "
                                      "many steps");
        return -1;
    }

    return rc;
}


static int
ngx_http_agents_schema_apply(const json_t *schema, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold)
{
    json_t                               *keyword;
    const ngx_http_agents_schema_rule_t  *rule;

    if (ngx_http_agents_schema_spend(hold, 1) != 0) {
        return -1;
    }

    for (rule = ngx_http_agents_schema_rules; rule->name != NULL; rule++) {

        keyword = json_object_get(schema, rule->name);

        if (keyword != NULL
            && rule->holds(keyword, schema, value, path, hold) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* What looking at each character of a text, or of a kept number, takes. */

static int
ngx_http_agents_schema_read(const json_t *value,
    ngx_http_agents_schema_hold_t *hold)
{
    return ngx_http_agents_schema_spend(hold, json_string_length(value) / 64);
}


static int
ngx_http_agents_schema_type(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    size_t   i;
    json_t  *type;

    (void) schema;

    if (json_is_string(rule)) {
        if (ngx_http_agents_schema_is(json_string_value(rule), value)) {
            return 0;
        }

        return ngx_http_agents_schema_fault(hold, path,
                                 "must be of type %s, but is %s",
                                 json_string_value(rule),
                                 ngx_http_agents_json_type_name(value));
    }

    json_array_foreach(rule, i, type) {
        if (ngx_http_agents_schema_is(json_string_value(type), value)) {
            return 0;
        }
    }

    return ngx_http_agents_schema_expected(hold, path,
                                           "must be of one of the types ",
                                           rule);
}


static int
ngx_http_agents_schema_is(const char *type, const json_t *value)
{
    double  real;

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        return (strcmp(type, "object") == 0);

    case JSON_ARRAY:
        return (strcmp(type, "array") == 0);

    case JSON_STRING:
        if (ngx_http_agents_json_kept(value) == NULL) {
            return (strcmp(type, "string") == 0);
        }

        /* so large that it is an integer, however it is written */

        /* fall through */

    case JSON_INTEGER:
        return (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0);

    case JSON_REAL:
        real = json_real_value(value);

        return (strcmp(type, "number") == 0
                || (strcmp(type, "integer") == 0 && real == floor(real)));

    case JSON_TRUE:
    case JSON_FALSE:
        return (strcmp(type, "boolean") == 0);

    default:
        return (strcmp(type, "null") == 0);
    }
}


static int
ngx_http_agents_schema_const(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    (void) schema;

    if (ngx_http_agents_schema_equal(rule, value, hold)) {
        return 0;
    }

    return ngx_http_agents_schema_expected(hold, path, "must be ", rule);
}


static int
ngx_http_agents_schema_enum(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    size_t   i;
    json_t  *choice;

    (void) schema;

    json_array_foreach(rule, i, choice) {
        if (ngx_http_agents_schema_equal(choice, value, hold)) {
            return 0;
        }
    }

    return ngx_http_agents_schema_expected(hold, path, "must be one of ",
                                           rule);
}


static int
ngx_http_agents_schema_required(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    size_t   i;
    json_t  *name;

    (void) schema;

    if (!json_is_object(value)) {
        return 0;
    }

    if (ngx_http_agents_schema_spend(hold, json_array_size(rule)) != 0) {
        return -1;
    }

    json_array_foreach(rule, i, name) {

        if (json_object_get(value, json_string_value(name)) == NULL) {
            return ngx_http_agents_schema_expected(hold, path,
                                                   "must have the property ",
                                                   name);
        }
    }

    return 0;
}


static int
ngx_http_agents_schema_additional(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    json_t                  *member, *properties;
    const char              *name;
    ngx_http_agents_path_t   place;

    if (!json_is_object(value) || !json_is_false(rule)) {
        return 0;
    }

    if (ngx_http_agents_schema_spend(hold, json_object_size(value)) != 0) {
        return -1;
    }

    properties = json_object_get(schema, "properties");

    json_object_foreach((json_t *) value, name, member) {

        if (json_object_get(properties, name) == NULL) {
            place.parent = path;
            place.key = name;
            place.index = 0;

            return ngx_http_agents_schema_fault(hold, &place,
                                          "is no property of the schema");
        }
    }

    return 0;
}


static int
ngx_http_agents_schema_properties(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    json_t                  *property, *member;
    const char              *name;
    ngx_http_agents_path_t   place;

    (void) schema;

    if (!json_is_object(value)) {
        return 0;
    }

    if (ngx_http_agents_schema_spend(hold, json_object_size(rule)) != 0) {
        return -1;
    }

    place.parent = path;
    place.index = 0;

    json_object_foreach((json_t *) rule, name, property) {

        member = json_object_get(value, name);

        if (member == NULL) {
            continue;
        }

        place.key = name;

        if (ngx_http_agents_schema_apply(property, member, &place, hold)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
ngx_http_agents_schema_items(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    size_t                   i;
    json_t                  *item;
    ngx_http_agents_path_t   place;

    (void) schema;

    place.parent = path;
    place.key = NULL;

    json_array_foreach(value, i, item) {
        place.index = i;

        if (ngx_http_agents_schema_apply(rule, item, &place, hold) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
ngx_http_agents_schema_minimum(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    (void) schema;

    if (ngx_http_agents_schema_read(value, hold) != 0) {
        return -1;
    }

    if (!ngx_http_agents_schema_is("number", value)
        || ngx_http_agents_schema_number(value)
           >= ngx_http_agents_schema_number(rule))
    {
        return 0;
    }

    return ngx_http_agents_schema_expected(hold, path, "must be at least ",
                                           rule);
}


static int
ngx_http_agents_schema_maximum(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    (void) schema;

    if (ngx_http_agents_schema_read(value, hold) != 0) {
        return -1;
    }

    if (!ngx_http_agents_schema_is("number", value)
        || ngx_http_agents_schema_number(value)
           <= ngx_http_agents_schema_number(rule))
    {
        return 0;
    }

    return ngx_http_agents_schema_expected(hold, path, "must be at most ",
                                           rule);
}


static int
ngx_http_agents_schema_min_length(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    size_t  n;

    (void) schema;

    if (!ngx_http_agents_schema_is("string", value)) {
        return 0;
    }

    if (ngx_http_agents_schema_read(value, hold) != 0) {
        return -1;
    }

    n = ngx_http_agents_json_characters(json_string_value(value),
                                        json_string_length(value));

    if ((long double) n >= ngx_http_agents_schema_number(rule)) {
        return 0;
    }

    return ngx_http_agents_schema_expected(hold, path,
                                 "must have at least this many characters: ",
                                 rule);
}


static int
ngx_http_agents_schema_max_length(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    size_t  n;

    (void) schema;

    if (!ngx_http_agents_schema_is("string", value)) {
        return 0;
    }

    if (ngx_http_agents_schema_read(value, hold) != 0) {
        return -1;
    }

    n = ngx_http_agents_json_characters(json_string_value(value),
                                        json_string_length(value));

    if ((long double) n <= ngx_http_agents_schema_number(rule)) {
        return 0;
    }

    return ngx_http_agents_schema_expected(hold, path,
                                  "must have at most this many characters: ",
                                  rule);
}


static int
ngx_http_agents_schema_min_items(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    (void) schema;

    if (!json_is_array(value)
        || (long double) json_array_size(value)
           >= ngx_http_agents_schema_number(rule))
    {
        return 0;
    }

    return ngx_http_agents_schema_expected(hold, path,
                                      "must have at least this many items: ",
                                      rule);
}


static int
ngx_http_agents_schema_max_items(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    (void) schema;

    if (!json_is_array(value)
        || (long double) json_array_size(value)
           <= ngx_http_agents_schema_number(rule))
    {
        return 0;
    }

    return ngx_http_agents_schema_expected(hold, path,
                                       "must have at most this many items: ",
                                       rule);
}


/* What an alternative that does not fit finds is worded where none fits. */

static int
ngx_http_agents_schema_any_of(const json_t *rule, const json_t *schema,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_schema_hold_t *hold)
{
    size_t                  i;
    json_t                 *alternative;
    ngx_http_agents_buf_t  *why;

    (void) schema;

    why = hold->why;
    hold->why = NULL;

    json_array_foreach(rule, i, alternative) {

        if (ngx_http_agents_schema_apply(alternative, value, path, hold) == 0)
        {
            hold->why = why;
            return 0;
        }

        if (hold->steps == 0) {
            break;
        }
    }

    hold->why = why;

    return (why != NULL && hold->steps != 0)
           ? ngx_http_agents_schema_none_of(rule, value, path, hold) : -1;
}


/* The reason is what each alternative found, so that any can be mended. */

static int
ngx_http_agents_schema_none_of(const json_t *rule, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_schema_hold_t *hold)
{
    size_t                          i, start;
    json_t                         *alternative;
    ngx_http_agents_buf_t           reasons;
    ngx_http_agents_schema_hold_t   inner;

    ngx_http_agents_buf_init(&reasons);

    inner.why = &reasons;
    inner.steps = hold->steps;

    json_array_foreach(rule, i, alternative) {

        /* no more of it is shown, however many alternatives there are */

        if (reasons.len > 4 * NGX_HTTP_AGENTS_SCHEMA_REASON) {
            break;
        }

        if (i != 0) {
            ngx_http_agents_buf_adds(&reasons, "; ");
        }

        start = reasons.len;
        (void) ngx_http_agents_schema_apply(alternative, value, path,
                                            &inner);

        ngx_http_agents_schema_shorten(&reasons, start,
                                       NGX_HTTP_AGENTS_SCHEMA_REASON);
    }

    hold->steps = inner.steps;

    if (reasons.failed) {
        hold->why->failed = 1;

    } else {
        ngx_http_agents_schema_shorten(&reasons, 0,
                                       4 * NGX_HTTP_AGENTS_SCHEMA_REASON);
        (void) ngx_http_agents_schema_fault(hold, path,
                                  "matches no alternative of anyOf (%s)",
                                  (reasons.data != NULL) ? reasons.data : "");
    }

    ngx_http_agents_buf_free(&reasons);

    return -1;
}


/* Returns -1, for the caller to return it. */

static int
ngx_http_agents_schema_fault(ngx_http_agents_schema_hold_t *hold,
    const ngx_http_agents_path_t *path, const char *fmt, ...)
{
    char     *pointer;
    va_list   args;

    if (hold->why == NULL) {
        return -1;
    }

    pointer = ngx_http_agents_path_pointer(path);

    if (pointer == NULL) {
        hold->why->failed = 1;
        return -1;
    }

    ngx_http_agents_buf_addf(hold->why, "%s: ", (path != NULL) ? pointer : "/");

    va_start(args, fmt);
    ngx_http_agents_buf_addv(hold->why, fmt, args);
    va_end(args);

    (void) ngx_http_agents_schema_spend(hold, 16 + strlen(pointer) / 4);

    free(pointer);

    return -1;
}


static int
ngx_http_agents_schema_expected(ngx_http_agents_schema_hold_t *hold,
    const ngx_http_agents_path_t *path, const char *text,
    const json_t *expected)
{
    ngx_http_agents_buf_t  shown;

    if (hold->why == NULL) {
        return -1;
    }

    ngx_http_agents_buf_init(&shown);
    ngx_http_agents_json_put(&shown, expected);

    (void) ngx_http_agents_schema_spend(hold, shown.len / 4);

    ngx_http_agents_schema_shorten(&shown, 0, NGX_HTTP_AGENTS_SCHEMA_SHOWN);

    (void) ngx_http_agents_schema_fault(hold, path, "%s%s", text,
                                    (shown.data != NULL) ? shown.data : "");
    ngx_http_agents_buf_free(&shown);

    return -1;
}


/* Cuts what stands in the buffer from "start" on, between characters. */

static void
ngx_http_agents_schema_shorten(ngx_http_agents_buf_t *buf, size_t start,
    size_t max)
{
    size_t  end;

    if (buf->failed || buf->len - start <= max) {
        return;
    }

    end = start + max;

    while (end > start && ((unsigned char) buf->data[end] & 0xc0) == 0x80) {
        end--;
    }

    buf->len = end;

    ngx_http_agents_buf_adds(buf, "...");
}
