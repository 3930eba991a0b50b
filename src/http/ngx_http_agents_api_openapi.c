
/*
 * GET /agents/openapi.json: docs/openapi.json, which the build puts in.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_openapi.h"
#include "ngx_http_agents_reply.h"


ngx_int_t
ngx_http_agents_api_openapi_get(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_http_agents_buf_t  buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_add(&buf, ngx_http_agents_openapi_text,
                            ngx_http_agents_openapi_len);

    return ngx_http_agents_reply_json_etag(r, &buf);
}
