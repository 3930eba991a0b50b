
/*
 * Input schemas of tools, as MCP servers and callers write them, made into
 * what model APIs take.  Pure: no nginx; any thread.
 *
 * The result is always an object schema: references are inlined, unions are
 * anyOf, and what models' grammars lack is told in descriptions.  The server
 * itself checks the arguments by its own schema, so nothing depends on what
 * is lost.  The same schema gives the same text, byte by byte.
 */


#ifndef _NGX_HTTP_AGENTS_MCP_SCHEMA_H_INCLUDED_
#define _NGX_HTTP_AGENTS_MCP_SCHEMA_H_INCLUDED_


#include <jansson.h>


/* Bounds of the result; a schema beyond them becomes an open object. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_NODES  8192
#define NGX_HTTP_AGENTS_MCP_SCHEMA_BYTES  131072

/* Schemas within schemas; what is deeper becomes {} with a note. */
#define NGX_HTTP_AGENTS_MCP_SCHEMA_DEPTH  32


/*
 * Any value, NULL too, gives a new reference to a schema: what is no object
 * schema becomes an open object with a note in its description.  NULL only
 * without memory.
 */
json_t *ngx_http_agents_mcp_schema_normalize(const json_t *schema);


#endif /* _NGX_HTTP_AGENTS_MCP_SCHEMA_H_INCLUDED_ */
