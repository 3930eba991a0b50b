
/*
 * The messages as every provider takes them: passes over a copy of the list.
 */


#include <string.h>
#include "ngx_http_agents_names.h"


#define NGX_HTTP_AGENTS_PASSES_UNANSWERED                                     \
    "There is no result: the call was not carried out."

#define NGX_HTTP_AGENTS_PASSES_GO_ON  "Continue."

/* Blank text is refused by some, and what a user said cannot fall away. */
#define NGX_HTTP_AGENTS_PASSES_BLANK  "(blank)"


/*
 * The list is made anew turn by turn.  A turn is what the model said and all
 * that followed until it spoke again:
 *
 *     assistant   its blocks, calls among them
 *     tool        the results of those calls, in call order, none missing
 *     user        what the user said then
 *
 * each at most once, which is the strictest order that a provider asks for.
 */

typedef struct {
    const ngx_http_agents_prompt_t  *prompt;
    ngx_http_agents_names_t          names;
    json_t                          *out;
    json_t                          *assistant;     /* blocks */
    json_t                          *results;       /* tool_use_id: block */
    json_t                          *user;          /* blocks */
} ngx_http_agents_passes_t;


static int ngx_http_agents_passes_run(ngx_http_agents_passes_t *p,
    json_t *messages);
static int ngx_http_agents_passes_assistant(ngx_http_agents_passes_t *p,
    json_t *blocks);
static json_t *ngx_http_agents_passes_call(ngx_http_agents_passes_t *p,
    json_t *block);
static int ngx_http_agents_passes_user(ngx_http_agents_passes_t *p,
    json_t *blocks);
static int ngx_http_agents_passes_said(ngx_http_agents_passes_t *p,
    json_t *block);
static int ngx_http_agents_passes_flush(ngx_http_agents_passes_t *p);
static void ngx_http_agents_passes_trim(ngx_http_agents_passes_t *p);
static json_t *ngx_http_agents_passes_results(ngx_http_agents_passes_t *p);
static json_t *ngx_http_agents_passes_unanswered(const char *id);
static int ngx_http_agents_passes_append(ngx_http_agents_passes_t *p,
    const char *role, json_t *blocks);
static int ngx_http_agents_passes_close(ngx_http_agents_passes_t *p);
static int ngx_http_agents_passes_is(const json_t *block, const char *type);
static int ngx_http_agents_passes_blank(const json_t *block);


json_t *
ngx_http_agents_model_passes(const ngx_http_agents_prompt_t *prompt,
    json_t *messages)
{
    json_t                    *out;
    ngx_http_agents_passes_t   p;

    memset(&p, 0, sizeof(ngx_http_agents_passes_t));

    p.prompt = prompt;

    if (ngx_http_agents_names_init(&p.names, prompt->tools) != 0) {
        return NULL;
    }

    p.out = json_array();
    p.assistant = json_array();
    p.results = json_object();
    p.user = json_array();

    out = NULL;

    if (p.out != NULL && p.assistant != NULL && p.results != NULL
        && p.user != NULL
        && ngx_http_agents_passes_run(&p, messages) == 0)
    {
        out = json_incref(p.out);
    }

    json_decref(p.out);
    json_decref(p.assistant);
    json_decref(p.results);
    json_decref(p.user);

    ngx_http_agents_names_free(&p.names);

    return out;
}


static int
ngx_http_agents_passes_run(ngx_http_agents_passes_t *p, json_t *messages)
{
    int          rc;
    size_t       i;
    json_t      *message, *blocks;
    const char  *role;

    json_array_foreach(messages, i, message) {
        role = ngx_http_agents_json_string(message, "role", NULL);
        blocks = ngx_http_agents_json_array(message, "content_blocks");

        if (role == NULL || blocks == NULL) {
            continue;
        }

        if (strcmp(role, "assistant") == 0) {
            rc = ngx_http_agents_passes_assistant(p, blocks);

        } else {
            rc = ngx_http_agents_passes_user(p, blocks);
        }

        if (rc != 0) {
            return -1;
        }
    }

    if (ngx_http_agents_passes_flush(p) != 0) {
        return -1;
    }

    return ngx_http_agents_passes_close(p);
}


static int
ngx_http_agents_passes_assistant(ngx_http_agents_passes_t *p, json_t *blocks)
{
    int          rc;
    size_t       i;
    json_t      *block;
    const char  *provider, *model;

    if (json_object_size(p->results) != 0 || json_array_size(p->user) != 0) {
        if (ngx_http_agents_passes_flush(p) != 0) {
            return -1;
        }
    }

    json_array_foreach(blocks, i, block) {
        rc = 0;

        if (ngx_http_agents_passes_is(block, "text")) {

            /* blank text, which models put before calls, is refused by some */

            if (!ngx_http_agents_passes_blank(block)) {
                rc = json_array_append(p->assistant, block);
            }

        } else if (ngx_http_agents_passes_is(block, "tool_use")) {
            rc = json_array_append_new(p->assistant,
                                       ngx_http_agents_passes_call(p, block));

        } else if (ngx_http_agents_passes_is(block, "opaque")) {
            provider = ngx_http_agents_json_string(block, "provider", NULL);
            model = ngx_http_agents_json_string(block, "model", NULL);

            if (provider != NULL && p->prompt->provider != NULL
                && strcmp(provider, p->prompt->provider) == 0
                && model != NULL && p->prompt->model != NULL
                && strcmp(model, p->prompt->model) == 0)
            {
                rc = json_array_append(p->assistant, block);
            }
        }

        if (rc != 0) {
            return -1;
        }
    }

    return 0;
}


/* The block itself, or a copy under a portable name: a new reference. */

static json_t *
ngx_http_agents_passes_call(ngx_http_agents_passes_t *p, json_t *block)
{
    char         portable[NGX_HTTP_AGENTS_NAME_MAX + 1];
    json_t      *copy;
    const char  *name;

    name = ngx_http_agents_json_string(block, "name", NULL);
    if (name == NULL) {
        name = "";
    }

    ngx_http_agents_names_portable(&p->names, portable, name);

    if (strcmp(portable, name) == 0) {
        return json_incref(block);
    }

    copy = json_copy(block);
    if (copy == NULL) {
        return NULL;
    }

    if (json_object_set_new(copy, "name", json_string(portable)) != 0) {
        json_decref(copy);
        return NULL;
    }

    return copy;
}


/* A turn of the user or of the tools: of two results, the first counts. */

static int
ngx_http_agents_passes_user(ngx_http_agents_passes_t *p, json_t *blocks)
{
    size_t       i;
    json_t      *block;
    const char  *id;

    json_array_foreach(blocks, i, block) {

        if (ngx_http_agents_passes_is(block, "text")) {
            if (ngx_http_agents_passes_said(p, block) != 0) {
                return -1;
            }

        } else if (ngx_http_agents_passes_is(block, "tool_result")) {
            id = ngx_http_agents_json_string(block, "tool_use_id", NULL);

            if (id != NULL && json_object_get(p->results, id) == NULL
                && json_object_set(p->results, id, block) != 0)
            {
                return -1;
            }
        }
    }

    return 0;
}


/* A text of the user's. */

static int
ngx_http_agents_passes_said(ngx_http_agents_passes_t *p, json_t *block)
{
    size_t  len;

    if (ngx_http_agents_json_string(block, "text", &len) == NULL || len == 0) {
        return 0;
    }

    if (!ngx_http_agents_passes_blank(block)) {
        return json_array_append(p->user, block);
    }

    return json_array_append_new(p->user,
                                 json_pack("{s:s, s:s}", "type", "text",
                                           "text",
                                           NGX_HTTP_AGENTS_PASSES_BLANK));
}


static int
ngx_http_agents_passes_flush(ngx_http_agents_passes_t *p)
{
    int      rc;
    json_t  *results;

    ngx_http_agents_passes_trim(p);

    results = ngx_http_agents_passes_results(p);
    if (results == NULL) {
        return -1;
    }

    rc = 0;

    if (ngx_http_agents_passes_append(p, "assistant", p->assistant) != 0
        || ngx_http_agents_passes_append(p, "tool", results) != 0
        || ngx_http_agents_passes_append(p, "user", p->user) != 0)
    {
        rc = -1;
    }

    json_decref(results);

    /* the lists went into the messages: the next turn needs its own */

    json_decref(p->assistant);
    json_decref(p->user);

    p->assistant = json_array();
    p->user = json_array();

    if (p->assistant == NULL || p->user == NULL
        || json_object_clear(p->results) != 0)
    {
        return -1;
    }

    return rc;
}


/* Thinking that nothing came of, since it was cut off, may not end a turn. */

static void
ngx_http_agents_passes_trim(ngx_http_agents_passes_t *p)
{
    size_t  n;

    for (n = json_array_size(p->assistant); n != 0; n--) {

        if (!ngx_http_agents_passes_is(json_array_get(p->assistant, n - 1),
                                       "opaque"))
        {
            return;
        }

        (void) json_array_remove(p->assistant, n - 1);
    }
}


/* A result for each call of the turn; those that answer none fall away. */

static json_t *
ngx_http_agents_passes_results(ngx_http_agents_passes_t *p)
{
    size_t       i;
    json_t      *block, *result, *results;
    const char  *id;

    results = json_array();
    if (results == NULL) {
        return NULL;
    }

    json_array_foreach(p->assistant, i, block) {

        if (!ngx_http_agents_passes_is(block, "tool_use")) {
            continue;
        }

        id = ngx_http_agents_json_string(block, "tool_use_id", NULL);
        if (id == NULL) {
            id = "";
        }

        result = json_incref(json_object_get(p->results, id));

        if (result == NULL) {
            result = ngx_http_agents_passes_unanswered(id);
        }

        if (json_array_append_new(results, result) != 0) {
            json_decref(results);
            return NULL;
        }
    }

    return results;
}


static json_t *
ngx_http_agents_passes_unanswered(const char *id)
{
    return json_pack("{s:s, s:s, s:[{s:s, s:s}], s:b}",
                     "type", "tool_result", "tool_use_id", id,
                     "content", "type", "text",
                                "text", NGX_HTTP_AGENTS_PASSES_UNANSWERED,
                     "is_error", 1);
}


static int
ngx_http_agents_passes_append(ngx_http_agents_passes_t *p, const char *role,
    json_t *blocks)
{
    size_t       n;
    json_t      *last;
    const char  *last_role;

    n = json_array_size(blocks);

    if (n == 0) {
        return 0;
    }

    /* what stood between two turns of a role may have fallen away */

    last = json_array_get(p->out, json_array_size(p->out) - 1);
    last_role = ngx_http_agents_json_string(last, "role", NULL);

    if (last_role != NULL && strcmp(last_role, role) == 0) {
        return json_array_extend(json_object_get(last, "content_blocks"),
                                 blocks);
    }

    return json_array_append_new(p->out,
                                 json_pack("{s:s, s:O}", "role", role,
                                           "content_blocks", blocks));
}


/* The model has the last word of a list only if it is to go on by itself. */

static int
ngx_http_agents_passes_close(ngx_http_agents_passes_t *p)
{
    json_t      *last;
    const char  *role;

    last = json_array_get(p->out, json_array_size(p->out) - 1);
    role = ngx_http_agents_json_string(last, "role", NULL);

    if (role == NULL || strcmp(role, "assistant") != 0) {
        return 0;
    }

    return json_array_append_new(p->out,
                           json_pack("{s:s, s:[{s:s, s:s}]}", "role", "user",
                                     "content_blocks", "type", "text", "text",
                                     NGX_HTTP_AGENTS_PASSES_GO_ON));
}


static int
ngx_http_agents_passes_is(const json_t *block, const char *type)
{
    const char  *name;

    name = ngx_http_agents_json_string(block, "type", NULL);

    return name != NULL && strcmp(name, type) == 0;
}


static int
ngx_http_agents_passes_blank(const json_t *block)
{
    const char  *text;

    text = ngx_http_agents_json_string(block, "text", NULL);

    return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}
