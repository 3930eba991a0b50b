
/* Output schemas: the check, what goes on the wire, and holding a value. */


#include "fuzz.h"
#include "ngx_http_agents_schema.h"


static void
hold(const json_t *schema, const json_t *value)
{
    int                     rc;
    ngx_http_agents_buf_t   why;

    ngx_http_agents_buf_init(&why);

    rc = ngx_http_agents_schema_validate(schema, value, &why);
    fuzz_check((rc == 0) == (why.len == 0), "a mismatch has a reason");

    ngx_http_agents_buf_free(&why);
}


static void
checked(const json_t *schema, const json_t *value)
{
    json_t                    *wire;
    ngx_http_agents_faults_t   faults;

    memset(&faults, 0, sizeof(faults));
    ngx_http_agents_schema_check(schema, NULL, &faults);

    if (faults.found == 0) {
        wire = ngx_http_agents_schema_wire(schema);
        fuzz_check(wire != NULL, "a checked schema goes on the wire");

        ngx_http_agents_schema_check(wire, NULL, &faults);
        fuzz_check(faults.found == 0, "the wire is within the subset");
        fuzz_check(!ngx_http_agents_schema_wrapped(wire),
                   "the wire needs no wrapping");

        hold(schema, value);
        hold(wire, value);
        json_decref(wire);
    }

    ngx_http_agents_faults_free(&faults);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t                        *root, *schema, *value;
    ngx_http_agents_json_fault_t   fault;

    root = ngx_http_agents_json_parse((const char *) data, size, &fault);

    if (root == NULL) {
        return 0;
    }

    schema = json_object_get(root, "schema");
    value = json_object_get(root, "value");

    if (schema != NULL) {
        checked(schema, (value != NULL) ? value : root);
    }

    checked(root, root);
    json_decref(root);

    return 0;
}
