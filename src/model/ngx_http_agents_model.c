
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_anthropic.h"
#include "ngx_http_agents_bedrock.h"
#include "ngx_http_agents_cortex.h"
#include "ngx_http_agents_names.h"
#include "ngx_http_agents_openai.h"


static const ngx_http_agents_protocol_t *const
    ngx_http_agents_model_protocols[] =
{
    &ngx_http_agents_anthropic,
    &ngx_http_agents_bedrock,
    &ngx_http_agents_cortex,
    &ngx_http_agents_openai,
    NULL
};


const ngx_http_agents_protocol_t *
ngx_http_agents_model_protocol(const char *name, size_t len)
{
    size_t                             i;
    const ngx_http_agents_protocol_t  *protocol;

    for (i = 0; /* void */ ; i++) {
        protocol = ngx_http_agents_model_protocols[i];

        if (protocol == NULL) {
            return NULL;
        }

        if (strlen(protocol->name) == len
            && memcmp(protocol->name, name, len) == 0)
        {
            return protocol;
        }
    }
}


const ngx_http_agents_protocol_t *
ngx_http_agents_model_protocol_at(size_t i)
{
    if (i >= sizeof(ngx_http_agents_model_protocols)
             / sizeof(ngx_http_agents_model_protocols[0]))
    {
        return NULL;
    }

    return ngx_http_agents_model_protocols[i];
}


/* A character beyond the alphabet becomes one "_", however many its bytes. */

void
ngx_http_agents_model_portable_name(char out[65], const char *name)
{
    size_t         n;
    unsigned char  c;

    n = 0;

    for ( /* void */ ; *name != '\0' && n < NGX_HTTP_AGENTS_NAME_MAX; name++) {
        c = (unsigned char) *name;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '_' || c == '-')
        {
            out[n++] = (char) c;

        } else if ((c & 0xc0) != 0x80) {
            out[n++] = '_';
        }
    }

    if (n == 0) {
        out[n++] = '_';
    }

    out[n] = '\0';
}


void
ngx_http_agents_model_request_clear(ngx_http_agents_model_request_t *request)
{
    size_t  i;

    for (i = 0; i < request->nheaders; i++) {
        free(request->headers[i]);
    }

    free(request->headers);
    free(request->path);
    free(request->body);

    memset(request, 0, sizeof(ngx_http_agents_model_request_t));
}


void
ngx_http_agents_reply_clear(ngx_http_agents_reply_t *reply)
{
    json_decref(reply->blocks);

    memset(reply, 0, sizeof(ngx_http_agents_reply_t));
}
