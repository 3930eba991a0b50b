
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_mcp_reply.h"


static const char *ngx_http_agents_mcp_reply_text(
    const ngx_http_agents_mcp_reply_t *reply);
static u_char *ngx_http_agents_mcp_reply_message(const char *message,
    u_char *p, u_char *last);
static u_char *ngx_http_agents_mcp_reply_location(
    const ngx_http_agents_mcp_reply_t *reply, u_char *p, u_char *last);


void
ngx_http_agents_mcp_reply_why(const ngx_http_agents_mcp_reply_t *reply,
    char *out, size_t size)
{
    u_char      *p, *last;
    const char  *message;
    ngx_uint_t   status;

    p = (u_char *) out;
    last = p + size - 1;

    status = reply->http_status;

    if (status == NGX_HTTP_UNAUTHORIZED || status == NGX_HTTP_FORBIDDEN) {
        p = ngx_slprintf(p, last, "authorization required (HTTP status %ui)",
                         status);
        *p = '\0';
        return;
    }

    p = ngx_slprintf(p, last, "%s",
                     ngx_http_agents_mcp_reply_text(reply));

    if (reply->outcome == NGX_HTTP_AGENTS_MCP_HTTP) {
        p = ngx_slprintf(p, last, " %ui", status);

        if (status < NGX_HTTP_BAD_REQUEST && reply->location.len != 0) {
            p = ngx_http_agents_mcp_reply_location(reply, p, last);
        }
    }

    message = (reply->reading != NULL
               && reply->outcome != NGX_HTTP_AGENTS_MCP_NO_RESOURCES)
              ? reply->reading->message : NULL;

    if (message != NULL) {
        p = ngx_http_agents_mcp_reply_message(message, p, last);
    }

    *p = '\0';
}


/* The server's own words, cut at a character.  They go into the error log: they
 * have no say in where its lines end. */

static u_char *
ngx_http_agents_mcp_reply_message(const char *message, u_char *p,
    u_char *last)
{
    u_char  *start;

    start = p;
    p = ngx_slprintf(p, last, ": %s", message);

    if (p == last) {
        while (p > start && (p[-1] & 0xc0) == 0x80) {
            p--;
        }

        if (p > start && p[-1] >= 0xc0) {
            p--;
        }
    }

    for ( /* void */ ; start < p; start++) {
        if (*start < ' ' || *start == 0x7f) {
            *start = ' ';
        }
    }

    return p;
}


static const char *
ngx_http_agents_mcp_reply_text(const ngx_http_agents_mcp_reply_t *reply)
{
    switch (reply->outcome) {

    case NGX_HTTP_AGENTS_MCP_DONE:
        break;

    case NGX_HTTP_AGENTS_MCP_REJECTED:
        return "the server answered with an error";

    case NGX_HTTP_AGENTS_MCP_HTTP:
        return "the server answered with HTTP status";

    case NGX_HTTP_AGENTS_MCP_NONSENSE:
        return "the server's answer is not valid";

    case NGX_HTTP_AGENTS_MCP_UNREACHABLE:
        return "the server cannot be reached";

    case NGX_HTTP_AGENTS_MCP_CUT_OFF:
        return "the connection ended before the answer was complete";

    case NGX_HTTP_AGENTS_MCP_TIMED_OUT:
        return "the server did not answer in time";

    case NGX_HTTP_AGENTS_MCP_OVERSIZED:
        return "the server's answer is too large";

    case NGX_HTTP_AGENTS_MCP_NO_RESOURCES:

        if (reply->sent) {
            return "there was no memory for the server's answer";
        }

        /* fall through */

    case NGX_HTTP_AGENTS_MCP_NO_LOCATION:
        return "the request could not be made";
    }

    return "the server answered";
}


static u_char *
ngx_http_agents_mcp_reply_location(const ngx_http_agents_mcp_reply_t *reply,
    u_char *p, u_char *last)
{
    u_char  c;
    size_t  i;

    p = ngx_slprintf(p, last, ", a redirect that is not followed, to ");

    for (i = 0; i < reply->location.len && p < last; i++) {
        c = reply->location.data[i];
        *p++ = (c > 0x20 && c < 0x7f) ? c : '?';
    }

    return p;
}
