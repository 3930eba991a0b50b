
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_mcp_secret.h"
#include "ngx_http_agents_mcp_trust.h"


/* Before another try at a token that could not be made. */
#define NGX_HTTP_AGENTS_MCP_SECRET_RETRY  1000

/* Shorter ones may be any word of an answer. */
#define NGX_HTTP_AGENTS_MCP_SECRET_MASKED_MIN  8


struct ngx_http_agents_mcp_secret_s {
    ngx_http_agents_background_header_t   headers[
                                             NGX_HTTP_AGENTS_MCP_SECRETS_MAX];
    ngx_uint_t                            n;        /* of all of them */
    const ngx_http_agents_mcp_party_t    *party;    /* NULL: no token; else it
                                                       is the first header */
    char                                 *user;     /* malloc'd */
    char                                 *company;
    char                                 *token;    /* "Bearer ..."; NULL: none
                                                       yet */
    char                                 *before;   /* the one before it */

    ngx_http_agents_tasks_t              *tasks;
    ngx_log_t                            *log;
    ngx_event_t                           timer;
    ngx_http_agents_task_t                task;
    char                                 *claims;   /* in, and the token out, */
    char                                 *minted;   /* of the task */
    unsigned                              minting:1;
    unsigned                              gone:1;   /* freed after the task */

    ngx_http_agents_mcp_secret_pt         done;     /* NULL: nobody waits */
    void                                 *data;
};


static ngx_int_t ngx_http_agents_mcp_secret_owner(
    ngx_http_agents_mcp_secret_t *secret,
    const ngx_http_agents_background_owner_t *owner);
static char *ngx_http_agents_mcp_secret_text(const ngx_str_t *text);
static void ngx_http_agents_mcp_secret_collect(
    ngx_http_agents_mcp_secret_t *secret, const ngx_array_t *credentials,
    const ngx_http_agents_url_t *url);
static ngx_int_t ngx_http_agents_mcp_secret_mint(
    ngx_http_agents_mcp_secret_t *secret);
static void ngx_http_agents_mcp_secret_work(void *data, ngx_log_t *log);
static void ngx_http_agents_mcp_secret_minted(void *data);
static void ngx_http_agents_mcp_secret_timer_handler(ngx_event_t *ev);
static void ngx_http_agents_mcp_secret_free(
    ngx_http_agents_mcp_secret_t *secret);
static void ngx_http_agents_mcp_secret_wipe(char *text);
static void ngx_http_agents_mcp_secret_mask_value(u_char *text, size_t len,
    const u_char *value, size_t n);


ngx_int_t
ngx_http_agents_mcp_secret_create(const ngx_http_agents_mcp_conf_t *conf,
    const ngx_http_agents_url_t *url,
    const ngx_http_agents_background_owner_t *owner,
    ngx_http_agents_tasks_t *tasks, ngx_log_t *log,
    ngx_http_agents_mcp_secret_t **out)
{
    ngx_http_agents_mcp_secret_t  *secret;

    *out = NULL;

    if (conf->parties == NULL && conf->credentials == NULL) {
        return NGX_OK;
    }

    secret = ngx_calloc(sizeof(ngx_http_agents_mcp_secret_t), log);
    if (secret == NULL) {
        return NGX_ERROR;
    }

    secret->tasks = tasks;
    secret->log = log;

    secret->timer.handler = ngx_http_agents_mcp_secret_timer_handler;
    secret->timer.data = secret;
    secret->timer.log = log;
    secret->timer.cancelable = 1;

    secret->task.work = ngx_http_agents_mcp_secret_work;
    secret->task.done = ngx_http_agents_mcp_secret_minted;
    secret->task.data = secret;

    secret->party = ngx_http_agents_mcp_trust_party(conf->parties, url);

    ngx_http_agents_mcp_secret_collect(secret, conf->credentials, url);

    if (secret->n == 0) {
        ngx_http_agents_mcp_secret_free(secret);
        return NGX_OK;
    }

    if (ngx_http_agents_mcp_secret_owner(secret, owner) != NGX_OK) {
        ngx_http_agents_mcp_secret_free(secret);
        return NGX_ERROR;
    }

    *out = secret;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_mcp_secret_owner(ngx_http_agents_mcp_secret_t *secret,
    const ngx_http_agents_background_owner_t *owner)
{
    secret->user = ngx_http_agents_mcp_secret_text(&owner->user);
    secret->company = ngx_http_agents_mcp_secret_text(&owner->company);

    return (secret->user != NULL && secret->company != NULL) ? NGX_OK
                                                             : NGX_ERROR;
}


static char *
ngx_http_agents_mcp_secret_text(const ngx_str_t *text)
{
    char  *copy;

    copy = malloc(text->len + 1);
    if (copy == NULL) {
        return NULL;
    }

    ngx_memcpy(copy, text->data, text->len);
    copy[text->len] = '\0';

    return copy;
}


/* Of two for one header the first counts, and the token before both. */

static void
ngx_http_agents_mcp_secret_collect(ngx_http_agents_mcp_secret_t *secret,
    const ngx_array_t *credentials, const ngx_http_agents_url_t *url)
{
    ngx_uint_t                               i, k;
    ngx_http_agents_background_header_t     *h;
    const ngx_http_agents_mcp_credential_t  *credential;

    h = secret->headers;

    if (secret->party != NULL) {
        ngx_str_set(&h[0].name, "Authorization");
        secret->n = 1;
    }

    if (credentials == NULL) {
        return;
    }

    credential = credentials->elts;

    for (i = 0; i < credentials->nelts; i++) {

        if (!ngx_http_agents_mcp_trust_applies(&credential[i], url)) {
            continue;
        }

        for (k = 0; k < secret->n; k++) {
            if (h[k].name.len == credential[i].header.len
                && ngx_strncasecmp(h[k].name.data, credential[i].header.data,
                                   h[k].name.len)
                   == 0)
            {
                break;
            }
        }

        if (k < secret->n || k == NGX_HTTP_AGENTS_MCP_SECRETS_MAX) {
            continue;
        }

        h[k].name = credential[i].header;
        h[k].value = credential[i].value;
        secret->n++;
    }
}


void
ngx_http_agents_mcp_secret_destroy(ngx_http_agents_mcp_secret_t *secret)
{
    if (secret == NULL) {
        return;
    }

    if (secret->timer.timer_set) {
        ngx_del_timer(&secret->timer);
    }

    if (secret->minting) {
        secret->gone = 1;
        return;
    }

    ngx_http_agents_mcp_secret_free(secret);
}


ngx_int_t
ngx_http_agents_mcp_secret_ready(ngx_http_agents_mcp_secret_t *secret,
    ngx_http_agents_mcp_secret_pt done, void *data)
{
    if (secret == NULL || secret->party == NULL || secret->token != NULL) {
        return NGX_OK;
    }

    if (!secret->minting && ngx_http_agents_mcp_secret_mint(secret) != NGX_OK) {
        return NGX_ERROR;
    }

    secret->done = done;
    secret->data = data;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_agents_mcp_secret_mint(ngx_http_agents_mcp_secret_t *secret)
{
    ngx_http_agents_mcp_claims_t  claims;

    claims.issuer = secret->party->issuer;
    claims.audience = (char *) secret->party->text.data;
    claims.user = secret->user;
    claims.company = secret->company;
    claims.now = ngx_time();
    claims.ttl = secret->party->ttl;

    secret->claims = ngx_http_agents_mcp_token_claims(&claims);
    if (secret->claims == NULL) {
        return NGX_ERROR;
    }

    secret->minting = 1;
    ngx_http_agents_task_post(secret->tasks, &secret->task);

    return NGX_OK;
}


/* In a pool thread: it touches claims and minted alone. */

static void
ngx_http_agents_mcp_secret_work(void *data, ngx_log_t *log)
{
    char                          *token;
    ngx_http_agents_buf_t          buf;
    ngx_http_agents_mcp_secret_t  *secret = data;

    token = ngx_http_agents_mcp_token_sign(secret->party->signer,
                                           secret->claims);
    if (token == NULL) {
        return;
    }

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_adds(&buf, "Bearer ");
    ngx_http_agents_buf_adds(&buf, token);
    secret->minted = ngx_http_agents_buf_take(&buf, NULL);

    ngx_http_agents_mcp_secret_wipe(token);
}


static void
ngx_http_agents_mcp_secret_minted(void *data)
{
    ngx_int_t                      rc;
    ngx_http_agents_mcp_secret_t  *secret = data;

    ngx_http_agents_mcp_secret_pt  done;

    secret->minting = 0;

    free(secret->claims);
    secret->claims = NULL;

    if (secret->gone) {
        ngx_http_agents_mcp_secret_free(secret);
        return;
    }

    rc = (secret->minted != NULL) ? NGX_OK : NGX_ERROR;

    if (rc == NGX_OK) {
        ngx_http_agents_mcp_secret_wipe(secret->before);
        secret->before = secret->token;
        secret->token = secret->minted;
        secret->minted = NULL;

        secret->headers[0].value.data = (u_char *) secret->token;
        secret->headers[0].value.len = ngx_strlen(secret->token);

        ngx_add_timer(&secret->timer,
                      (ngx_msec_t) secret->party->ttl * 1000 / 2);

    } else {
        ngx_log_error(NGX_LOG_ERR, secret->log, 0,
                      "a token for the mcp server \"%V\" could not be made",
                      &secret->party->text);

        if (secret->token != NULL) {
            ngx_add_timer(&secret->timer, NGX_HTTP_AGENTS_MCP_SECRET_RETRY);
        }
    }

    done = secret->done;
    secret->done = NULL;

    if (done != NULL) {
        done(secret->data, rc);
    }
}


static void
ngx_http_agents_mcp_secret_timer_handler(ngx_event_t *ev)
{
    ngx_http_agents_mcp_secret_t  *secret = ev->data;

    if (ngx_http_agents_mcp_secret_mint(secret) != NGX_OK) {
        ngx_add_timer(ev, NGX_HTTP_AGENTS_MCP_SECRET_RETRY);
    }
}


static void
ngx_http_agents_mcp_secret_free(ngx_http_agents_mcp_secret_t *secret)
{
    ngx_http_agents_mcp_secret_wipe(secret->token);
    ngx_http_agents_mcp_secret_wipe(secret->before);
    ngx_http_agents_mcp_secret_wipe(secret->minted);

    free(secret->user);
    free(secret->company);
    free(secret->claims);
    ngx_free(secret);
}


static void
ngx_http_agents_mcp_secret_wipe(char *text)
{
    if (text != NULL) {
        ngx_explicit_memzero(text, ngx_strlen(text));
        free(text);
    }
}


ngx_uint_t
ngx_http_agents_mcp_secret_headers(const ngx_http_agents_mcp_secret_t *secret,
    const ngx_http_agents_background_header_t **headers)
{
    if (secret == NULL || (secret->party != NULL && secret->token == NULL)) {
        return 0;
    }

    *headers = secret->headers;

    return secret->n;
}


void
ngx_http_agents_mcp_secret_mask(const ngx_http_agents_mcp_secret_t *secret,
    u_char *text, size_t len)
{
    ngx_uint_t  i;

    if (secret == NULL) {
        return;
    }

    for (i = 0; i < secret->n; i++) {
        ngx_http_agents_mcp_secret_mask_value(text, len,
                                              secret->headers[i].value.data,
                                              secret->headers[i].value.len);
    }

    if (secret->before != NULL) {
        ngx_http_agents_mcp_secret_mask_value(text, len,
                                              (u_char *) secret->before,
                                              ngx_strlen(secret->before));
    }
}


/* Without the scheme: "Bearer" is no secret. */

static void
ngx_http_agents_mcp_secret_mask_value(u_char *text, size_t len,
    const u_char *value, size_t n)
{
    u_char        *p;
    const u_char  *blank;

    blank = ngx_strlchr((u_char *) value, (u_char *) value + n, ' ');

    if (blank != NULL) {
        n -= (size_t) (blank + 1 - value);
        value = blank + 1;
    }

    if (n < NGX_HTTP_AGENTS_MCP_SECRET_MASKED_MIN) {
        return;
    }

    while (len >= n) {

        p = memmem(text, len, value, n);
        if (p == NULL) {
            return;
        }

        ngx_memset(p, '*', n);
        len -= (size_t) (p + n - text);
        text = p + n;
    }
}
