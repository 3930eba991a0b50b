
/*
 * The tokens by which first-party MCP servers know whom a run is for: JSON Web
 * Tokens, signed by a key of the operator's.  No nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_TOKEN_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_TOKEN_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* A key to sign with: read only once it is made, threads may share one. */
typedef struct ngx_http_agents_mcp_signer_s  ngx_http_agents_mcp_signer_t;


/* What a token says; texts end with a NUL. */
typedef struct {
    const char  *issuer;
    const char  *audience;
    const char  *user;
    const char  *company;
    int64_t      now;           /* seconds since 1970 */
    int64_t      ttl;           /* seconds */
} ngx_http_agents_mcp_claims_t;


/*
 * Of a private JWK: oct for HS256, RSA for RS256, EC on P-256 for ES256.  NULL
 * with the reason in "err", which never holds any part of the key, where it is
 * malformed, too weak, public only, or for something else.
 */
ngx_http_agents_mcp_signer_t *ngx_http_agents_mcp_token_signer(
    const char *text, size_t len, char *err, size_t size);
void ngx_http_agents_mcp_token_signer_free(
    ngx_http_agents_mcp_signer_t *signer);

/* The claims as JSON, each time with an id of their own.  malloc'd; NULL
 * without memory or random bytes. */
char *ngx_http_agents_mcp_token_claims(
    const ngx_http_agents_mcp_claims_t *claims);

/* The token in compact form, of such claims.  malloc'd; NULL if it cannot be
 * made.  Long: for a pool thread. */
char *ngx_http_agents_mcp_token_sign(const ngx_http_agents_mcp_signer_t *signer,
    const char *claims);


#endif /* _NGX_HTTP_AGENTS_MCP_TOKEN_H_INCLUDED_ */
