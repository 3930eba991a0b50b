
/*
 * Holds an object to its table of fields, and builds the normalised copy.
 */


#include <string.h>
#include "ngx_http_agents_body_fields.h"


static int ngx_http_agents_body_absent(
    const ngx_http_agents_body_field_t *field, unsigned flags,
    const json_t *value);
static json_t *ngx_http_agents_body_missing(
    const ngx_http_agents_body_field_t *field, unsigned flags,
    const ngx_http_agents_path_t *place, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_body_unknown(
    const ngx_http_agents_body_field_t *fields, unsigned flags,
    const json_t *object, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_body_value(
    const ngx_http_agents_body_field_t *field, json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_body_string(
    const ngx_http_agents_body_field_t *field, json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_body_integer(
    const ngx_http_agents_body_field_t *field, json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_body_number(
    const ngx_http_agents_body_field_t *field, json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_body_choice(
    const ngx_http_agents_body_field_t *field, json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_body_list(
    const ngx_http_agents_body_field_t *field, json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);
static int ngx_http_agents_body_repeated(
    const ngx_http_agents_body_field_t *field, json_t *seen,
    const json_t *entry, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_body_type_fault(const char *wanted,
    const json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults);
static json_t *ngx_http_agents_body_lacking(ngx_http_agents_faults_t *faults);


json_t *
ngx_http_agents_body_walk(const ngx_http_agents_body_field_t *fields,
    unsigned flags, const json_t *object, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    json_t                              *walked, *value, *result;
    ngx_http_agents_path_t               place;
    const ngx_http_agents_body_field_t  *field;

    walked = json_object();
    if (walked == NULL) {
        return ngx_http_agents_body_lacking(faults);
    }

    place.parent = path;
    place.index = 0;

    for (field = fields; field->name; field++) {
        value = json_object_get(object, field->name);
        place.key = field->name;

        if (ngx_http_agents_body_absent(field, flags, value)) {
            result = ngx_http_agents_body_missing(field, flags, &place,
                                                  faults);

        } else if ((flags & NGX_HTTP_AGENTS_BODY_SPARSE)
                   && (field->flags & NGX_HTTP_AGENTS_BODY_PINNED))
        {
            ngx_http_agents_faults_add(faults, &place,
                                       NGX_HTTP_AGENTS_BODY_SLUG,
                                       "belongs to the conversation for good "
                                       "and cannot be overridden");
            result = NULL;

        } else {
            result = ngx_http_agents_body_value(field, value, &place, faults);
        }

        if (result && json_object_set_new(walked, field->name, result) != 0) {
            json_decref(walked);
            return ngx_http_agents_body_lacking(faults);
        }
    }

    ngx_http_agents_body_unknown(fields, flags, object, path, faults);

    return walked;
}


/* null stands for a field left out, but where it has a meaning of its own. */

static int
ngx_http_agents_body_absent(const ngx_http_agents_body_field_t *field,
    unsigned flags, const json_t *value)
{
    if (value == NULL) {
        return 1;
    }

    if (!json_is_null(value)) {
        return 0;
    }

    return (flags & NGX_HTTP_AGENTS_BODY_SPARSE) == 0
           || (field->flags & (NGX_HTTP_AGENTS_BODY_NULL
                               |NGX_HTTP_AGENTS_BODY_PINNED)) == 0;
}


static json_t *
ngx_http_agents_body_missing(const ngx_http_agents_body_field_t *field,
    unsigned flags, const ngx_http_agents_path_t *place,
    ngx_http_agents_faults_t *faults)
{
    json_t  *value;

    if (flags & NGX_HTTP_AGENTS_BODY_SPARSE) {
        return NULL;
    }

    if (field->flags & NGX_HTTP_AGENTS_BODY_REQUIRED) {
        ngx_http_agents_faults_add(faults, place, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "is required");
        return NULL;
    }

    if (field->otherwise == NULL) {
        return NULL;
    }

    value = ngx_http_agents_json_load(field->otherwise,
                                      strlen(field->otherwise));

    return value ? value : ngx_http_agents_body_lacking(faults);
}


static void
ngx_http_agents_body_unknown(const ngx_http_agents_body_field_t *fields,
    unsigned flags, const json_t *object, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    json_t                              *value;
    const char                          *name;
    ngx_http_agents_buf_t                known;
    ngx_http_agents_path_t               place;
    const ngx_http_agents_body_field_t  *field;

    memset(&known, 0, sizeof(ngx_http_agents_buf_t));

    place.parent = path;
    place.index = 0;

    json_object_foreach((json_t *) object, name, value) {

        for (field = fields; field->name; field++) {
            if (strcmp(field->name, name) == 0) {
                break;
            }
        }

        if (field->name) {
            continue;
        }

        if (known.data == NULL) {
            for (field = fields; field->name; field++) {
                if ((flags & NGX_HTTP_AGENTS_BODY_SPARSE)
                    && (field->flags & NGX_HTTP_AGENTS_BODY_PINNED))
                {
                    continue;
                }

                ngx_http_agents_buf_addf(&known, "%s%s",
                                         field == fields ? "" : ", ",
                                         field->name);
            }
        }

        place.key = name;
        ngx_http_agents_faults_add(faults, &place, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "is not a known field here; known are: %s",
                                   known.data ? known.data : "");
    }

    ngx_http_agents_buf_free(&known);
}


/* A new reference of a value as it is kept, or NULL after a fault. */

static json_t *
ngx_http_agents_body_value(const ngx_http_agents_body_field_t *field,
    json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    size_t  found;

    /* one that is left out does not come here: it is a value of its own */

    if (json_is_null(value)) {
        return json_incref(value);
    }

    switch (field->kind) {

    case NGX_HTTP_AGENTS_BODY_STRING:
        return ngx_http_agents_body_string(field, value, path, faults);

    case NGX_HTTP_AGENTS_BODY_INTEGER:
        return ngx_http_agents_body_integer(field, value, path, faults);

    case NGX_HTTP_AGENTS_BODY_NUMBER:
        return ngx_http_agents_body_number(field, value, path, faults);

    case NGX_HTTP_AGENTS_BODY_BOOLEAN:
        if (!json_is_boolean(value)) {
            ngx_http_agents_body_type_fault("true or false", value, path,
                                            faults);
            return NULL;
        }

        return json_incref(value);

    case NGX_HTTP_AGENTS_BODY_OBJECT:
        if (!json_is_object(value)) {
            ngx_http_agents_body_type_fault("an object", value, path, faults);
            return NULL;
        }

        return ngx_http_agents_body_walk(field->members,
                                     field->flags & NGX_HTTP_AGENTS_BODY_SPARSE,
                                     value, path, faults);

    case NGX_HTTP_AGENTS_BODY_CHOICE:
        return ngx_http_agents_body_choice(field, value, path, faults);

    case NGX_HTTP_AGENTS_BODY_LIST:
        return ngx_http_agents_body_list(field, value, path, faults);

    case NGX_HTTP_AGENTS_BODY_OPEN:
        found = faults->found;
        field->check(value, path, faults);

        return found == faults->found ? json_incref(value) : NULL;
    }

    return NULL;
}


static json_t *
ngx_http_agents_body_string(const ngx_http_agents_body_field_t *field,
    json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    int64_t      n;
    const char  *text, *slug, *why;

    text = json_string_value(value);

    if (text == NULL) {
        ngx_http_agents_body_type_fault("a string", value, path, faults);
        return NULL;
    }

    n = (int64_t) ngx_http_agents_json_characters(text,
                                                  json_string_length(value));

    if (n < field->min && field->max == NGX_HTTP_AGENTS_BODY_UNBOUNDED) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must not be empty");
        return NULL;
    }

    if (n > field->max && field->min == 0) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must have at most %lld characters, not "
                                   "%lld", (long long) field->max,
                                   (long long) n);
        return NULL;
    }

    if (n < field->min || n > field->max) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must have %lld to %lld characters, not "
                                   "%lld", (long long) field->min,
                                   (long long) field->max, (long long) n);
        return NULL;
    }

    why = field->form ? field->form(text, json_string_length(value)) : NULL;

    if (why) {
        slug = field->slug ? field->slug : NGX_HTTP_AGENTS_BODY_SLUG;
        ngx_http_agents_faults_add(faults, path, slug, "%s", why);
        return NULL;
    }

    return json_incref(value);
}


/* 3.0 is an integer, as in JSON Schema; it is kept as 3. */

static json_t *
ngx_http_agents_body_integer(const ngx_http_agents_body_field_t *field,
    json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    double    real;
    json_t   *kept;
    int64_t   n;

    if (json_is_real(value)) {
        real = json_real_value(value);

        if (real < -NGX_HTTP_AGENTS_JSON_EXACT
            || real > NGX_HTTP_AGENTS_JSON_EXACT
            || real != (double) (int64_t) real)
        {
            goto wrong;
        }

        n = (int64_t) real;

    } else if (json_is_integer(value)) {
        n = json_integer_value(value);

    } else {
        goto wrong;
    }

    if (n < field->min || n > field->max) {
        goto wrong;
    }

    kept = json_integer(n);

    return kept ? kept : ngx_http_agents_body_lacking(faults);

wrong:

    if (field->max == NGX_HTTP_AGENTS_BODY_UNBOUNDED) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must be an integer of at least %lld",
                                   (long long) field->min);
    } else {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must be an integer from %lld to %lld",
                                   (long long) field->min,
                                   (long long) field->max);
    }

    return NULL;
}


static json_t *
ngx_http_agents_body_number(const ngx_http_agents_body_field_t *field,
    json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    if (json_is_number(value)
        && json_number_value(value) >= (double) field->min
        && json_number_value(value) <= (double) field->max)
    {
        return json_incref(value);
    }

    ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                               "must be a number from %lld to %lld",
                               (long long) field->min,
                               (long long) field->max);

    return NULL;
}


static json_t *
ngx_http_agents_body_choice(const ngx_http_agents_body_field_t *field,
    json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    json_t                               *member;
    const char                           *kind;
    ngx_http_agents_buf_t                 known;
    ngx_http_agents_path_t                place;
    const ngx_http_agents_body_choice_t  *choice;

    if (!json_is_object(value)) {
        ngx_http_agents_body_type_fault("an object", value, path, faults);
        return NULL;
    }

    place.parent = path;
    place.key = "kind";
    place.index = 0;

    member = json_object_get(value, "kind");

    if (member == NULL || json_is_null(member)) {
        ngx_http_agents_faults_add(faults, &place, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "is required");
        return NULL;
    }

    kind = json_string_value(member);
    memset(&known, 0, sizeof(ngx_http_agents_buf_t));

    for (choice = field->choices; choice->kind; choice++) {
        if (kind && strcmp(kind, choice->kind) == 0) {
            ngx_http_agents_buf_free(&known);
            return ngx_http_agents_body_walk(choice->members, 0, value, path,
                                             faults);
        }

        ngx_http_agents_buf_addf(&known, "%s\"%s\"",
                                 choice == field->choices ? "" : ", ",
                                 choice->kind);
    }

    ngx_http_agents_faults_add(faults, &place, NGX_HTTP_AGENTS_BODY_SLUG,
                               "must be one of %s",
                               known.data ? known.data : "");
    ngx_http_agents_buf_free(&known);

    return NULL;
}


static json_t *
ngx_http_agents_body_list(const ngx_http_agents_body_field_t *field,
    json_t *value, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    size_t                   i;
    json_t                  *walked, *seen, *entry, *result;
    ngx_http_agents_path_t   place;

    if (!json_is_array(value)) {
        ngx_http_agents_body_type_fault("an array", value, path, faults);
        return NULL;
    }

    if ((int64_t) json_array_size(value) > field->max) {
        ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                                   "must have at most %lld entries, not %zu",
                                   (long long) field->max,
                                   json_array_size(value));
        return NULL;
    }

    walked = json_array();
    seen = json_object();

    place.parent = path;
    place.key = NULL;

    if (walked == NULL || seen == NULL) {
        goto lacking;
    }

    json_array_foreach(value, i, entry) {
        place.index = i;

        /* null keeps the place, so that later checks point at the right one */

        if (!json_is_object(entry)) {
            ngx_http_agents_body_type_fault("an object", entry, &place,
                                            faults);
            result = json_null();

        } else {
            result = ngx_http_agents_body_walk(field->members, 0, entry,
                                               &place, faults);
        }

        if (result == NULL || json_array_append(walked, result) != 0) {
            json_decref(result);
            goto lacking;
        }

        json_decref(result);

        if (field->unique
            && ngx_http_agents_body_repeated(field, seen, entry, &place,
                                             faults)
               != 0)
        {
            goto lacking;
        }
    }

    json_decref(seen);

    return walked;

lacking:

    json_decref(seen);
    json_decref(walked);

    return ngx_http_agents_body_lacking(faults);
}


/* "seen" holds the earlier entries' names.  0, or -1 without memory. */

static int
ngx_http_agents_body_repeated(const ngx_http_agents_body_field_t *field,
    json_t *seen, const json_t *entry, const ngx_http_agents_path_t *path,
    ngx_http_agents_faults_t *faults)
{
    const char              *name;
    ngx_http_agents_path_t   place;

    name = json_string_value(json_object_get(entry, field->unique));

    if (name == NULL) {
        return 0;
    }

    if (json_object_get(seen, name) == NULL) {
        return json_object_set_new(seen, name, json_true());
    }

    place.parent = path;
    place.key = field->unique;
    place.index = 0;

    ngx_http_agents_faults_add(faults, &place, field->slug,
                               "is the %s of an earlier entry too",
                               field->unique);

    return 0;
}


static void
ngx_http_agents_body_type_fault(const char *wanted, const json_t *value,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults)
{
    ngx_http_agents_faults_add(faults, path, NGX_HTTP_AGENTS_BODY_SLUG,
                               "must be %s, not %s", wanted,
                               ngx_http_agents_json_type_name(value));
}


static json_t *
ngx_http_agents_body_lacking(ngx_http_agents_faults_t *faults)
{
    faults->failed = 1;
    return NULL;
}
