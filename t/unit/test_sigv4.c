
/*
 * Signatures that two independent libraries agree on (made with
 * @smithy/signature-v4 and aws4).
 */


#include "unit.h"
#include "ngx_http_agents_ident.h"
#include "ngx_http_agents_sigv4.h"


int
main(void)
{
    char                              sha256[NGX_HTTP_AGENTS_SHA256_LEN + 1];
    ngx_http_agents_buf_t             date, token, authorization;
    ngx_http_agents_sigv4_key_t       key;
    ngx_http_agents_sigv4_request_t   request;

    key.access_key = "AKIDEXAMPLE";
    key.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    key.session_token = NULL;

    ngx_http_agents_ident_sha256(sha256, "{\"messages\":[]}", 15);

    request.region = "us-east-1";
    request.service = "bedrock";
    request.host = "bedrock-runtime.us-east-1.amazonaws.com";
    request.path = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
                   "/converse";
    request.content_type = "application/json";
    request.body_sha256 = sha256;
    request.now = 1795392000;       /* 2026-11-23 00:00:00 */

    ngx_http_agents_buf_init(&date);
    ngx_http_agents_buf_init(&token);
    ngx_http_agents_buf_init(&authorization);

    unit(ngx_http_agents_sigv4_sign(&key, &request, &date, &token,
                                    &authorization) == 0, "it is signed");
    unit_text(date.data, "X-Amz-Date: 20261123T000000Z", "the date");
    unit(token.len == 0, "no token");
    unit_text(authorization.data,
              "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123"
              "/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host"
              ";x-amz-date, Signature=64051fa66dc9911b1a21002a827501526908a9109"
              "1a28fe83bfb98e444f6e3da", "the signature");

    ngx_http_agents_buf_free(&date);
    ngx_http_agents_buf_free(&token);
    ngx_http_agents_buf_free(&authorization);

    key.session_token = "a/token+of==";

    unit(ngx_http_agents_sigv4_sign(&key, &request, &date, &token,
                                    &authorization) == 0, "with a token");
    unit_text(token.data, "X-Amz-Security-Token: a/token+of==", "it is sent");
    unit(strstr(authorization.data, "x-amz-date;x-amz-security-token,") != NULL,
         "and signed");

    ngx_http_agents_buf_free(&date);
    ngx_http_agents_buf_free(&token);
    ngx_http_agents_buf_free(&authorization);

    return unit_done();
}
