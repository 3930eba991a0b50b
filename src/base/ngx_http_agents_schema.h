
/*
 * Output schemas: the subset of JSON Schema 2020-12 that a structured answer
 * may be held to (type, properties, required, enum, const, items,
 * additionalProperties: false, minimum, maximum, minLength, maxLength,
 * minItems, maxItems, anyOf, title, description, default; annotations are
 * accepted and dropped for the wire).  Pure, no nginx; any thread.
 */


#ifndef _NGX_HTTP_AGENTS_SCHEMA_H_INCLUDED_
#define _NGX_HTTP_AGENTS_SCHEMA_H_INCLUDED_


#include "ngx_http_agents_fault.h"
#include "ngx_http_agents_json.h"


/* The member that holds the answer where the root had to be wrapped. */
#define NGX_HTTP_AGENTS_SCHEMA_WRAP  "value"


/* JSON values in a schema, one within another. */
#define NGX_HTTP_AGENTS_SCHEMA_VALUES  100000

/*
 * A step is one value held to one schema, or work of another kind that takes
 * as long.  The n items of an array under an anyOf of m take n * m of them, and
 * both come from outside.
 */
#define NGX_HTTP_AGENTS_SCHEMA_STEPS   (10 * 1000 * 1000)


/*
 * Checks that a schema stays within the subset and its size; adds a fault for
 * each place.
 */
void ngx_http_agents_schema_check(const json_t *schema,
    const ngx_http_agents_path_t *path, ngx_http_agents_faults_t *faults);

/*
 * Holds a value to a checked schema: 0 if it fits, else -1 with the first
 * mismatch added to "why" as "POINTER: reason" (the root's pointer is "/").
 * The semantics are those of 2020-12: 1.0 is an integer and equals 1, lengths
 * count code points, a keyword for another type than the value's says nothing.
 * -1, too, where it would take more than NGX_HTTP_AGENTS_SCHEMA_STEPS.
 */
int ngx_http_agents_schema_validate(const json_t *schema, const json_t *value,
    ngx_http_agents_buf_t *why);

/*
 * Whether the root has to be wrapped for the wire: it admits anything but
 * objects, or is a union, enum or const, which providers refuse at the root.
 */
int ngx_http_agents_schema_wrapped(const json_t *schema);

/*
 * The schema as providers take it: annotations dropped, the root wrapped in
 * an object with the member "value" if it has to be.  A new reference, or
 * NULL without memory.  What a provider's grammar lacks is its encoder's to
 * move into descriptions.
 */
json_t *ngx_http_agents_schema_wire(const json_t *schema);


#endif /* _NGX_HTTP_AGENTS_SCHEMA_H_INCLUDED_ */
