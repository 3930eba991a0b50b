
/*
 * Credentials as AWS hands them out: documents of a folder, and the words that
 * come before them.
 */


#include "ngx_http_agents_aws_keys.h"
#include "ngx_http_agents_json.h"
#include "unit.h"
#include "unit_data.h"


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


/* What is to be no JSON stands as a string in the file. */

static char *
body_of(const json_t *root, size_t *len)
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
test_valid(const char *path, const char *name)
{
    char                        *body;
    size_t                       i, len, odd;
    json_t                      *root;
    const char                  *token;
    ngx_http_agents_buf_t        why;
    ngx_http_agents_aws_keys_t   keys;

    root = load(path);
    body = body_of(root, &len);
    token = ngx_http_agents_json_string(root, "session_token", NULL);

    ngx_http_agents_buf_init(&why);

    unit(ngx_http_agents_aws_keys_read(&keys, body, len, &why) == 0,
         "valid/%s: is read", name);
    unit_text(keys.access_key,
              ngx_http_agents_json_string(root, "access_key", NULL),
              "the access key");
    unit_text(keys.secret_key,
              ngx_http_agents_json_string(root, "secret_key", NULL),
              "the secret key");
    unit(token ? keys.session_token && strcmp(keys.session_token, token) == 0
               : keys.session_token == NULL, "the token");
    unit(keys.expires == ngx_http_agents_json_integer(root, "expires", -1),
         "the end: %ld", (long) keys.expires);

    ngx_http_agents_aws_keys_clear(&keys);
    unit(keys.access_key == NULL, "and cleared");

    odd = 0;

    for (i = 0; i < len; i++) {
        odd += ngx_http_agents_aws_keys_read(&keys, body, i, &why) == 0;
        ngx_http_agents_aws_keys_clear(&keys);
    }

    unit(odd == 0, "valid/%s: no part of it is", name);

    ngx_http_agents_buf_free(&why);
    json_decref(root);
    free(body);
}


static void
test_invalid(const char *path, const char *name)
{
    char                        *body;
    size_t                       len;
    json_t                      *root;
    ngx_http_agents_buf_t        why;
    ngx_http_agents_aws_keys_t   keys;

    root = load(path);
    body = body_of(root, &len);

    ngx_http_agents_buf_init(&why);

    unit(ngx_http_agents_aws_keys_read(&keys, body, len, &why) == -1
         && strstr(why.data, ngx_http_agents_json_string(root, "why", NULL)),
         "invalid/%s: %s", name, why.data);
    unit(strstr(why.data, "secret") == NULL && keys.access_key == NULL,
         "it quotes and leaves nothing");

    ngx_http_agents_buf_free(&why);
    json_decref(root);
    free(body);
}


static void
test_word(const char *body, const char *expected)
{
    int                    rc;
    ngx_http_agents_buf_t  word;

    ngx_http_agents_buf_init(&word);

    rc = ngx_http_agents_aws_keys_word(&word, body, strlen(body));

    if (expected == NULL) {
        unit(rc == -1, "%zu bytes that are no word", strlen(body));

    } else {
        unit(rc == 0, "a word");
        unit_text(word.data, expected, "this one");
    }

    ngx_http_agents_buf_free(&word);
}


int
main(void)
{
    ngx_http_agents_json_init();

    unit(unit_each("aws_keys/valid", ".json", test_valid) > 0, "valid");
    unit(unit_each("aws_keys/invalid", ".json", test_invalid) > 0, "invalid");

    test_word("my-role", "my-role");
    test_word("AQAE==\n", "AQAE==");
    test_word(" first \r\nsecond\r\n", "first");
    test_word("", NULL);
    test_word("\n \n", NULL);
    test_word("two words", NULL);
    test_word("r\xc3\xb6le", NULL);

    return unit_done();
}
