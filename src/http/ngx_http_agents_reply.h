
/*
 * Answers: JSON, and problems (RFC 9457) made from the catalog of errors.
 * What is returned is for ngx_http_finalize_request.
 */


#ifndef _NGX_HTTP_AGENTS_REPLY_H_INCLUDED_
#define _NGX_HTTP_AGENTS_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_http.h"


/* A refusal; all zero but "status" or "slug" is a valid one. */
typedef struct {
    const char                      *slug;      /* of the catalog; NULL: the
                                                   entry of "status" */
    ngx_uint_t                       status;    /* 0: the entry's */
    const char                      *detail;    /* NULL: the entry's cause */
    const ngx_http_agents_faults_t  *faults;    /* NULL: none */
    ngx_uint_t                       retry_after;   /* seconds; 0: no header */
    const char                      *authenticate;  /* WWW-Authenticate */
    const char                      *allow;         /* Allow */

    /* members of a version-conflict */
    unsigned                         versioned:1;   /* current_version is set */
    int64_t                          current_version;
    ngx_http_agents_text_t           active_run_id;
    ngx_http_agents_text_t           pending_run_id;
} ngx_http_agents_reply_refusal_t;


/* Sends the buffer as JSON and takes its memory, whatever comes of it. */
ngx_int_t ngx_http_agents_reply_json(ngx_http_request_t *r, ngx_uint_t status,
    ngx_http_agents_buf_t *buf);

/* The same as text of another type, with status 200; "type" is static. */
ngx_int_t ngx_http_agents_reply_text(ngx_http_request_t *r, const char *type,
    ngx_http_agents_buf_t *buf);

/*
 * Both with 200 and an ETag, made of the whole body.  A GET (or HEAD) whose
 * If-None-Match names it is answered with 304, one whose If-Match does not with
 * 412.
 */
ngx_int_t ngx_http_agents_reply_json_etag(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf);
ngx_int_t ngx_http_agents_reply_text_etag(ngx_http_request_t *r,
    const char *type, ngx_http_agents_buf_t *buf);

/* Whether the request's If-None-Match names this body: that the client has
 * it.  0 without such a header. */
ngx_uint_t ngx_http_agents_reply_known(ngx_http_request_t *r,
    const ngx_http_agents_buf_t *buf);

/* Whether the request's If-Match names this body.  1 without such a header. */
ngx_uint_t ngx_http_agents_reply_expected(ngx_http_request_t *r,
    const ngx_http_agents_buf_t *buf);

/* The headers of an answer of unknown length; "type" is static. */
ngx_int_t ngx_http_agents_reply_begin(ngx_http_request_t *r,
    const char *type);

/* 204: what was asked for is done, and there is nothing to say. */
ngx_int_t ngx_http_agents_reply_empty(ngx_http_request_t *r);

/* 204 with an Allow header. */
ngx_int_t ngx_http_agents_reply_options(ngx_http_request_t *r,
    const char *allow);

/*
 * The begin of the handler of pages that are only read: makes the request's
 * ctx.  NGX_DECLINED for GET and HEAD; else the request has its answer.
 */
ngx_int_t ngx_http_agents_reply_read_only(ngx_http_request_t *r);

ngx_int_t ngx_http_agents_reply_refuse(ngx_http_request_t *r,
    const ngx_http_agents_reply_refusal_t *refusal);

/* By status alone, and by slug and detail; detail may be NULL. */
ngx_int_t ngx_http_agents_reply_status(ngx_http_request_t *r,
    ngx_uint_t status, const char *detail);
ngx_int_t ngx_http_agents_reply_slug(ngx_http_request_t *r, const char *slug,
    const char *detail);

/*
 * The faults of a body or of query parameters: 400, of the type of the first
 * that is not invalid-request.  503 if some were lost for want of memory.
 */
ngx_int_t ngx_http_agents_reply_faults(ngx_http_request_t *r,
    const ngx_http_agents_faults_t *faults);

/* A bound of the worker's is reached: 503, to be tried again. */
ngx_int_t ngx_http_agents_reply_overloaded(ngx_http_request_t *r,
    const char *detail);

/* For a batch that did not end as DB_OK. */
ngx_int_t ngx_http_agents_reply_store(ngx_http_request_t *r,
    ngx_http_agents_db_status_e status);

/*
 * For a batch that looked for something: NGX_DECLINED where this statement has
 * a row of it; else the request has its answer, 404 with "missing" as detail
 * where there is none.
 */
ngx_int_t ngx_http_agents_reply_missing(ngx_http_request_t *r,
    const ngx_http_agents_db_batch_t *batch, size_t statement,
    const char *missing);

/* The JSON of a problem alone: what "refuse" sends. */
void ngx_http_agents_reply_problem(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf,
    const ngx_http_agents_reply_refusal_t *refusal,
    const ngx_http_agents_problem_t *entry, ngx_uint_t status);

/*
 * The problem of a refusal in the log, and in the log variables.  ours: the
 * module refuses, not nginx.
 */
void ngx_http_agents_reply_note(ngx_http_request_t *r,
    const ngx_http_agents_problem_t *entry, ngx_uint_t status,
    const char *detail, ngx_uint_t ours);

/* A header of the answer; "name" is static, "value" copied. */
ngx_int_t ngx_http_agents_reply_header(ngx_http_request_t *r,
    const char *name, const char *value, size_t len);

/* The same, to be kept; NULL without memory. */
ngx_table_elt_t *ngx_http_agents_reply_add(ngx_http_request_t *r,
    const char *name, const char *value, size_t len);

/*
 * Cache-Control, if the caller is known: what is sent is that caller's, so no
 * shared cache may keep it, and the caller's own has to ask whether it is
 * still so.
 */
ngx_int_t ngx_http_agents_reply_private(ngx_http_request_t *r);

/* Writes the member "key" with the url of the catalog's page "slug". */
void ngx_http_agents_reply_docs_url(ngx_http_request_t *r,
    ngx_http_agents_buf_t *buf, const char *key, const char *slug);

/* The path of the request as it was sent, without arguments. */
ngx_str_t ngx_http_agents_reply_path(ngx_http_request_t *r);


#endif /* _NGX_HTTP_AGENTS_REPLY_H_INCLUDED_ */
