
/* What the parts of holding a value to an output schema share. */


#ifndef _NGX_HTTP_AGENTS_SCHEMA_PARTS_H_INCLUDED_
#define _NGX_HTTP_AGENTS_SCHEMA_PARTS_H_INCLUDED_


#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_json.h"


typedef struct {
    ngx_http_agents_buf_t  *why;        /* NULL: nobody reads the reason */
    size_t                  steps;      /* left; 0: it is given up */
} ngx_http_agents_schema_hold_t;


/* Takes steps from what is left: 0, or -1 once nothing is. */
int ngx_http_agents_schema_spend(ngx_http_agents_schema_hold_t *hold,
    size_t steps);

/* Whether two values are equal; 0, too, once no step is left. */
int ngx_http_agents_schema_equal(const json_t *one, const json_t *two,
    ngx_http_agents_schema_hold_t *hold);

/* A number of any kind, one kept as its digits included. */
long double ngx_http_agents_schema_number(const json_t *value);


#endif /* _NGX_HTTP_AGENTS_SCHEMA_PARTS_H_INCLUDED_ */
