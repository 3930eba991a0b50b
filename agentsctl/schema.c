
/*
 * agentsctl schema normalize
 */


#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_mcp_schema.h"
#include "agentsctl.h"


/* Of a schema; an answer of a server could not be longer. */
#define AGENTSCTL_SCHEMA_MAX  (16 * 1024 * 1024)


static int agentsctl_schema_read(ngx_http_agents_buf_t *text);
static int agentsctl_schema_print(const json_t *schema);


/*
 * The schema of a tool comes on stdin as a server or a caller has written it,
 * and goes out on one line as a model gets it.
 */

int
agentsctl_schema_normalize(agentsctl_t *ctl)
{
    int                            rc;
    json_t                        *schema, *normal;
    ngx_http_agents_buf_t          text;
    ngx_http_agents_json_fault_t   fault;

    (void) ctl;

    ngx_http_agents_json_init();
    ngx_http_agents_buf_init(&text);

    if (agentsctl_schema_read(&text) != 0) {
        ngx_http_agents_buf_free(&text);
        return AGENTSCTL_FAILED;
    }

    schema = ngx_http_agents_json_parse_cut((text.data != NULL) ? text.data
                                                                : "",
                                            text.len, &fault);
    ngx_http_agents_buf_free(&text);

    if (schema == NULL) {
        agentsctl_error("stdin is no JSON: %s (line %d, column %d)",
                        fault.text, fault.line, fault.column);
        return AGENTSCTL_FAILED;
    }

    normal = ngx_http_agents_mcp_schema_normalize(schema);
    rc = agentsctl_schema_print(normal);

    json_decref(normal);
    json_decref(schema);

    return rc;
}


static int
agentsctl_schema_read(ngx_http_agents_buf_t *text)
{
    char     data[65536];
    ssize_t  n;

    for ( ;; ) {
        n = read(STDIN_FILENO, data, sizeof(data));

        if (n == 0) {
            break;
        }

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }

            agentsctl_error("cannot read stdin: %s", strerror(errno));
            return -1;
        }

        ngx_http_agents_buf_add(text, data, (size_t) n);

        if (text->len > AGENTSCTL_SCHEMA_MAX) {
            agentsctl_error("stdin is longer than %d bytes",
                            AGENTSCTL_SCHEMA_MAX);
            return -1;
        }
    }

    if (text->failed) {
        agentsctl_error("out of memory");
        return -1;
    }

    return 0;
}


static int
agentsctl_schema_print(const json_t *schema)
{
    char  *text;

    text = (schema != NULL) ? ngx_http_agents_json_text(schema, NULL) : NULL;

    if (text == NULL) {
        agentsctl_error("out of memory");
        return AGENTSCTL_FAILED;
    }

    puts(text);
    free(text);

    return AGENTSCTL_OK;
}
