
/*
 * Where nginx meets a background request: a module with its variables, its
 * phase, and the filters that take the answer.
 */


#include "ngx_http_agents_background_private.h"


static ngx_int_t ngx_http_agents_background_precontent_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_background_header_filter(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_agents_background_head(
    ngx_http_agents_background_t *bg, ngx_http_request_t *sr);
static ngx_int_t ngx_http_agents_background_field(
    ngx_http_agents_background_t *bg, ngx_http_request_t *sr, const char *name,
    ngx_str_t *value);
static ngx_int_t ngx_http_agents_background_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_agents_background_take(
    ngx_http_agents_background_t *bg, u_char *p, size_t len);
static ngx_int_t ngx_http_agents_background_capture(
    ngx_http_agents_background_t *bg, u_char *p, size_t len);

static ngx_int_t ngx_http_agents_background_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_agents_background_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_agents_background_init(ngx_conf_t *cf);


static ngx_http_variable_t  ngx_http_agents_background_variables[] = {

    { ngx_string("agents_mcp_upstream"), NULL,
      ngx_http_agents_background_variable,
      offsetof(ngx_http_agents_background_vars_t, upstream),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_mcp_host"), NULL,
      ngx_http_agents_background_variable,
      offsetof(ngx_http_agents_background_vars_t, host),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_mcp_server_name"), NULL,
      ngx_http_agents_background_variable,
      offsetof(ngx_http_agents_background_vars_t, server_name),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_mcp_alias"), NULL,
      ngx_http_agents_background_variable,
      offsetof(ngx_http_agents_background_vars_t, alias),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("agents_mcp_tool"), NULL,
      ngx_http_agents_background_variable,
      offsetof(ngx_http_agents_background_vars_t, tool),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_http_module_t  ngx_http_agents_background_module_ctx = {
    ngx_http_agents_background_add_variables,  /* preconfiguration */
    ngx_http_agents_background_init,           /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_agents_background_module = {
    NGX_MODULE_V1,
    &ngx_http_agents_background_module_ctx,  /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_http_agents_background_t *
ngx_http_agents_background_of(ngx_http_request_t *r)
{
    return ngx_http_get_module_ctx(r->main, ngx_http_agents_background_module);
}


const ngx_http_agents_background_owner_t *
ngx_http_agents_background_owner(ngx_http_request_t *r)
{
    ngx_http_agents_background_t  *bg;

    bg = ngx_http_agents_background_of(r);

    return (bg != NULL) ? &bg->vars.owner : NULL;
}


/*
 * Between the choice of the location and its content handler.  The length of
 * the body becomes known here, after client_max_body_size was looked at.
 * From here on no redirect may happen: an X-Accel-Redirect of a server that
 * is not trusted would read other locations.
 */

static ngx_int_t
ngx_http_agents_background_precontent_handler(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_agents_background_t  *bg;

    bg = ngx_http_agents_background_of(r);

    if (bg == NULL || r == r->main) {
        return NGX_DECLINED;
    }

    /* no other location, "/" for one, was meant to see such requests */

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->name.len != r->main->uri.len
        || ngx_strncmp(clcf->name.data, r->main->uri.data, clcf->name.len)
           != 0)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "there is no location \"%V\", which "
                      "agents_mcp_location names", &r->main->uri);
        bg->failed = 1;
        return NGX_ERROR;
    }

    r->headers_in.content_length_n = bg->content_length;
    r->uri_changes = 1;

    ngx_http_agents_background_headers_hide(bg);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_agents_background_header_filter(ngx_http_request_t *r)
{
    ngx_http_agents_background_t  *bg;

    bg = ngx_http_agents_background_of(r);

    if (bg == NULL || r == r->main) {
        return ngx_http_next_header_filter(r);
    }

    r->header_sent = 1;

    if (r->upstream == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"%V\" does not pass requests on", &r->uri);
        bg->failed = 1;
        return NGX_ERROR;
    }

    /* an event stream is read as it comes, whatever proxy_buffering says */

    r->upstream->buffering = 0;

    return ngx_http_agents_background_head(bg, r);
}


static ngx_int_t
ngx_http_agents_background_head(ngx_http_agents_background_t *bg,
    ngx_http_request_t *sr)
{
    ngx_int_t                             rc;
    ngx_http_agents_background_answer_t  *answer;

    answer = &bg->answer;
    answer->http_status = sr->headers_out.status;

    if (ngx_http_agents_background_field(bg, sr, "content-type",
                                         &answer->content_type)
        != NGX_OK
        || ngx_http_agents_background_field(bg, sr, "mcp-session-id",
                                            &answer->session)
           != NGX_OK
        || ngx_http_agents_background_field(bg, sr, "location",
                                            &answer->location)
           != NGX_OK)
    {
        answer->status = NGX_HTTP_AGENTS_BACKGROUND_NO_MEMORY;
        return NGX_ERROR;
    }

    bg->head = 1;

    if (sr->headers_out.content_length_n > (off_t) bg->max_body) {
        answer->status = NGX_HTTP_AGENTS_BACKGROUND_TOO_BIG;
        return NGX_ERROR;
    }

    if (bg->on_head == NULL) {
        return NGX_OK;
    }

    rc = bg->on_head(bg->data, answer);

    if (rc == NGX_DONE) {
        bg->complete = 1;
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        bg->capture = 1;
    }

    return NGX_OK;
}


/* From what the server sent: the location may hide or rewrite headers. */

static ngx_int_t
ngx_http_agents_background_field(ngx_http_agents_background_t *bg,
    ngx_http_request_t *sr, const char *name, ngx_str_t *value)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);
    part = &sr->upstream->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                return NGX_OK;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].hash != 0
            && h[i].key.len == len
            && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
        {
            return ngx_http_agents_background_copy(bg->pool, value,
                                                   &h[i].value);
        }
    }
}


/*
 * Takes the body out of the chain.  An error is the way to stop: core then
 * closes the connection to the upstream and calls "finished".
 */

static ngx_int_t
ngx_http_agents_background_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    size_t                         len;
    ngx_buf_t                     *b;
    ngx_http_agents_background_t  *bg;

    bg = ngx_http_agents_background_of(r);

    if (bg == NULL || r == r->main) {
        return ngx_http_next_body_filter(r, in);
    }

    for ( /* void */ ; in != NULL; in = in->next) {

        b = in->buf;

        if (ngx_buf_in_memory(b)) {
            len = b->last - b->pos;

            if (len != 0
                && ngx_http_agents_background_take(bg, b->pos, len) != NGX_OK)
            {
                return NGX_ERROR;
            }

            b->pos = b->last;
        }

        if (b->in_file) {
            b->file_pos = b->file_last;
        }

        if (b->last_buf || b->last_in_chain) {
            bg->complete = 1;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_background_take(ngx_http_agents_background_t *bg, u_char *p,
    size_t len)
{
    ngx_int_t  rc;

    if (len > bg->max_body - bg->seen) {
        bg->answer.status = NGX_HTTP_AGENTS_BACKGROUND_TOO_BIG;
        return NGX_ERROR;
    }

    bg->seen += len;

    rc = bg->capture ? ngx_http_agents_background_capture(bg, p, len)
                     : bg->on_body(bg->data, p, len);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (rc == NGX_DONE) {
        bg->complete = 1;

    } else {
        bg->answer.status = NGX_HTTP_AGENTS_BACKGROUND_NO_MEMORY;
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_agents_background_capture(ngx_http_agents_background_t *bg, u_char *p,
    size_t len)
{
    u_char                               *body;
    size_t                                size;
    ngx_http_agents_background_answer_t  *answer;

    answer = &bg->answer;

    if (bg->body_size - answer->body_len < len) {

        size = ngx_max(bg->body_size * 2, answer->body_len + len);
        size = ngx_min(ngx_max(size, 1024), bg->max_body);

        body = realloc(answer->body, size);
        if (body == NULL) {
            ngx_log_error(NGX_LOG_EMERG, &bg->log, ngx_errno,
                          "realloc(%uz) failed", size);
            return NGX_ERROR;
        }

        answer->body = body;
        bg->body_size = size;
    }

    ngx_memcpy(answer->body + answer->body_len, p, len);
    answer->body_len += len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_background_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                     *value;
    ngx_http_agents_background_t  *bg;

    bg = ngx_http_agents_background_of(r);

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    if (bg == NULL) {
        v->len = 0;
        v->data = (u_char *) "";
        return NGX_OK;
    }

    value = (ngx_str_t *) ((char *) &bg->vars + data);

    v->len = value->len;
    v->data = value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_background_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_agents_background_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_agents_background_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_agents_background_precontent_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_agents_background_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_agents_background_body_filter;

    return NGX_OK;
}
