
/*
 * What the fuzz targets share.  A target reads the bytes as they are; where
 * the files of its seed folder are test cases, it takes the member that holds
 * the input out of them, so that the cases serve as seeds without a copy.
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_agents_json.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* A finding where no sanitizer would see one. */

static inline void
fuzz_check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz: not so: %s\n", what);
        abort();
    }
}


/*
 * The malloc'd text of a test case's member, a string or any JSON, or a copy
 * of all bytes where they are no such case.  Of exactly *len bytes, so that a
 * reader that looks beyond is caught.
 */

static inline char *
fuzz_input(const uint8_t *data, size_t size, const char *member, size_t *len)
{
    char                          *text, *copy;
    json_t                        *root, *value;
    ngx_http_agents_json_fault_t   fault;

    text = NULL;
    *len = size;

    root = ngx_http_agents_json_parse_foreign((const char *) data, size, 256,
                                              &fault);
    value = json_object_get(root, member);

    if (json_is_string(value)) {
        data = (const uint8_t *) json_string_value(value);
        *len = json_string_length(value);

    } else if (value != NULL) {
        text = ngx_http_agents_json_text(value, len);
        data = (const uint8_t *) text;
    }

    copy = malloc((*len != 0) ? *len : 1);
    fuzz_check(copy != NULL && data != NULL, "there is memory");
    memcpy(copy, data, *len);

    free(text);
    json_decref(root);

    return copy;
}


#endif /* _FUZZ_H_INCLUDED_ */
