
/*
 * The one set of helpers that reads and builds JSON.  Reading is jansson's,
 * with what a strict reader needs added; writing is our own, since jansson
 * 2.14 prints 0.7 as 0.69999999999999996 and cannot splice stored text.
 * No nginx here; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_JSON_H_INCLUDED_
#define _NGX_HTTP_AGENTS_JSON_H_INCLUDED_


#include <jansson.h>
#include "ngx_http_agents_buf.h"


#define NGX_HTTP_AGENTS_JSON_DEPTH      64

/* Of what is cut rather than refused; within what jansson reads. */
#define NGX_HTTP_AGENTS_JSON_CUT_DEPTH  1024

/* Reals up to here hold every integer exactly. */
#define NGX_HTTP_AGENTS_JSON_EXACT      9007199254740992.0


typedef struct {
    int   line;             /* from 1; 0 where there is none */
    int   column;           /* from 1 */
    char  text[JSON_ERROR_TEXT_LENGTH];
} ngx_http_agents_json_fault_t;


/* To be called once in a process, before threads: seeds jansson's hashes. */
void ngx_http_agents_json_init(void);

/*
 * Reads a document from outside, strictly (RFC 8259): UTF-8, no duplicate
 * key, no U+0000, no trailing text, integers within 64 bits, nesting up to
 * NGX_HTTP_AGENTS_JSON_DEPTH.  A new reference, or NULL with *fault filled.
 */
json_t *ngx_http_agents_json_parse(const char *data, size_t len,
    ngx_http_agents_json_fault_t *fault);

/*
 * Reads what a model or an MCP server sent, forgiving what does no harm: a
 * byte order mark, a repeated key (the last one wins), broken UTF-8, lone
 * surrogates and U+0000 in strings, which become U+FFFD, and numbers that
 * jansson cannot hold, which are kept (see below); nesting up to "depth".  A
 * new reference, or NULL with *fault filled.
 */
json_t *ngx_http_agents_json_parse_foreign(const char *data, size_t len,
    int depth, ngx_http_agents_json_fault_t *fault);

/*
 * The same, and what is nested deeper than NGX_HTTP_AGENTS_JSON_CUT_DEPTH
 * becomes null: one bottomless value does not spoil a whole answer.
 */
json_t *ngx_http_agents_json_parse_cut(const char *data, size_t len,
    ngx_http_agents_json_fault_t *fault);

/*
 * The text of the above as jansson takes it, added to "buf"; an object or
 * array in "depth" others becomes null.  What is wrong beyond the faults named
 * there stays as it is.
 */
void ngx_http_agents_json_repair(ngx_http_agents_buf_t *buf, const char *data,
    size_t len, int depth);

/* Reads text of the store: NULL without memory or if it is no JSON. */
json_t *ngx_http_agents_json_load(const char *data, size_t len);

/*
 * The text of a number that was kept as it came, since it has more than 64
 * bits or is beyond a double's range; NULL for any other value.  Such a value
 * is a JSON string for jansson, of U+0000 and the number's text: no string
 * from outside has a U+0000.  It is written as the number that it was.
 */
const char *ngx_http_agents_json_kept(const json_t *value);

/*
 * Members by name.  string: NULL if absent or no string, a kept number
 * included (*len may be NULL);
 * object, array: borrowed references, NULL if absent or of another type;
 * integer: "otherwise" if absent or no integer.
 */
const char *ngx_http_agents_json_string(const json_t *object, const char *key,
    size_t *len);
json_t *ngx_http_agents_json_object(const json_t *object, const char *key);
json_t *ngx_http_agents_json_array(const json_t *object, const char *key);
int64_t ngx_http_agents_json_integer(const json_t *object, const char *key,
    int64_t otherwise);
int ngx_http_agents_json_true(const json_t *object, const char *key);

/*
 * The bytes of the UTF-8 character at the start of a text that is not empty.
 * *valid is 0 where there is none: the bytes are then what one U+FFFD stands
 * for.
 */
size_t ngx_http_agents_json_utf8(const char *text, size_t len, int *valid);

/* Code points of a UTF-8 text. */
size_t ngx_http_agents_json_characters(const char *text, size_t len);

/* The name of a value's type as a person would say it: "an object". */
const char *ngx_http_agents_json_type_name(const json_t *value);

/*
 * Writing.  A value is written compactly, members in their order, reals as
 * the shortest decimal that reads back equal, "/" and non-ASCII as they are.
 * sorted: members by name and integral reals as integers, for fingerprints.
 */
void ngx_http_agents_json_put(ngx_http_agents_buf_t *buf, const json_t *value);
void ngx_http_agents_json_put_sorted(ngx_http_agents_buf_t *buf,
    const json_t *value);

/* A string with its quotes; broken UTF-8 becomes U+FFFD; NULL is null. */
void ngx_http_agents_json_put_string(ngx_http_agents_buf_t *buf,
    const char *text, size_t len);

/* The malloc'd text of a value, NUL terminated; NULL without memory. */
char *ngx_http_agents_json_text(const json_t *value, size_t *len);

/*
 * Object members, with the comma that they need: begin writes "{", each
 * member its own separator, end "}".  raw and json splice JSON text (NULL:
 * null), a time of 0 is null.
 */
void ngx_http_agents_json_begin(ngx_http_agents_buf_t *buf);
void ngx_http_agents_json_end(ngx_http_agents_buf_t *buf);
void ngx_http_agents_json_key(ngx_http_agents_buf_t *buf, const char *key);
void ngx_http_agents_json_member_string(ngx_http_agents_buf_t *buf,
    const char *key, const char *text, size_t len);
void ngx_http_agents_json_member_cstring(ngx_http_agents_buf_t *buf,
    const char *key, const char *text);
void ngx_http_agents_json_member_text(ngx_http_agents_buf_t *buf,
    const char *key, const ngx_http_agents_text_t *text);
void ngx_http_agents_json_member_integer(ngx_http_agents_buf_t *buf,
    const char *key, int64_t value);
void ngx_http_agents_json_member_bool(ngx_http_agents_buf_t *buf,
    const char *key, int value);
void ngx_http_agents_json_member_raw(ngx_http_agents_buf_t *buf,
    const char *key, const char *json, size_t len);
void ngx_http_agents_json_member_json(ngx_http_agents_buf_t *buf,
    const char *key, const ngx_http_agents_text_t *json);
void ngx_http_agents_json_member_time(ngx_http_agents_buf_t *buf,
    const char *key, int64_t ms);


#endif /* _NGX_HTTP_AGENTS_JSON_H_INCLUDED_ */
