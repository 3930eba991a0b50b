
/*
 * The subset of JSON Schema that a provider's grammar takes, as data.  Pure;
 * any thread.
 */


#ifndef _NGX_HTTP_AGENTS_FORMAT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_FORMAT_H_INCLUDED_


#include "ngx_http_agents_json.h"


/* A keyword that the grammar lacks, and what is said of it instead. */
typedef struct {
    const char      *keyword;       /* NULL: the list's end */
    const char      *text;
    int            (*kept)(const json_t *value);    /* values that it takes all
                                                       the same; NULL: none */
} ngx_http_agents_format_moved_t;


typedef struct {
    size_t                                 optional_max;    /* members that are
                                                               not required */
    size_t                                 union_max;
    const ngx_http_agents_format_moved_t  *moved;
} ngx_http_agents_format_rules_t;


/*
 * An output schema for a provider.  Where it lies within the subset, *fits is
 * set and keywords that the grammar lacks have moved into descriptions; else
 * it is the schema itself.  A new reference, or NULL without memory.
 */
json_t *ngx_http_agents_format_schema(json_t *schema,
    const ngx_http_agents_format_rules_t *rules, int *fits);


#endif /* _NGX_HTTP_AGENTS_FORMAT_H_INCLUDED_ */
