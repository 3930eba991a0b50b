
/*
 * Faults of a JSON body: what is wrong, and where, by JSON pointer.  All
 * checks of a body add to one list, so that one answer names them all.
 */


#ifndef _NGX_HTTP_AGENTS_FAULT_H_INCLUDED_
#define _NGX_HTTP_AGENTS_FAULT_H_INCLUDED_


#include <stddef.h>


/* Beyond this many faults a list only counts, and beyond this many bytes of
 * their texts: each pointer repeats the names on its way. */
#define NGX_HTTP_AGENTS_FAULTS_MAX    100
#define NGX_HTTP_AGENTS_FAULTS_BYTES  (256 * 1024)


typedef struct {
    const char  *slug;      /* of the error catalog; static */
    char        *pointer;   /* RFC 6901; "" is the whole document; malloc'd */
    char        *detail;    /* what would be right; malloc'd */
} ngx_http_agents_fault_t;


typedef struct {
    ngx_http_agents_fault_t  *list;
    size_t                    n;        /* faults listed */
    size_t                    bytes;    /* of their texts */
    size_t                    found;    /* faults found, >= n */
    unsigned                  failed:1; /* one was lost for want of memory */
} ngx_http_agents_faults_t;


/*
 * A place in a document, as a chain on the stack of the walker: the root is
 * NULL.  "key" is a member's name, or NULL for the array element "index".
 */
typedef struct ngx_http_agents_path_s  ngx_http_agents_path_t;

struct ngx_http_agents_path_s {
    const ngx_http_agents_path_t  *parent;
    const char                    *key;
    size_t                         index;
};


/* All zero is a valid empty list. */
void ngx_http_agents_faults_free(ngx_http_agents_faults_t *faults);

/* Adds a fault at "path"; the detail is a printf format. */
void ngx_http_agents_faults_add(ngx_http_agents_faults_t *faults,
    const ngx_http_agents_path_t *path, const char *slug, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Writes the pointer of "path" (with ~0 and ~1 escapes) as a malloc'd string;
 * NULL without memory.
 */
char *ngx_http_agents_path_pointer(const ngx_http_agents_path_t *path);


#endif /* _NGX_HTTP_AGENTS_FAULT_H_INCLUDED_ */
