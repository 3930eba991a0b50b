
/*
 * The catalog of errors: what its pages, problems and runs rely on.
 */


#include <ctype.h>
#include <string.h>
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_problem.h"
#include "unit.h"


static void test_entry(const ngx_http_agents_problem_t *problem);
static void test_members(const char *members, const char *slug);
static int test_slug(const char *slug);
static void test_find(void);


int
main(void)
{
    const ngx_http_agents_problem_t  *problem;

    ngx_http_agents_json_init();

    for (problem = ngx_http_agents_problems; problem->slug; problem++) {
        test_entry(problem);
    }

    test_find();

    return unit_done();
}


static void
test_entry(const ngx_http_agents_problem_t *problem)
{
    const char  *slug;

    slug = problem->slug;

    unit(test_slug(slug), "%s is a word of letters and dashes", slug);
    unit(ngx_http_agents_problem_slug(slug, strlen(slug)) == problem,
         "%s is found by its slug, once", slug);

    unit(problem->status == 0
         || (problem->status >= 400 && problem->status <= 599),
         "%s has a status of an error, or none", slug);
    unit(problem->status || problem->incident, "%s is of some use", slug);

    unit(problem->incident == NULL
         || (strncmp(problem->incident, "AgentLoop", 9) == 0
             && ngx_http_agents_problem_incident(problem->incident)
                == problem),
         "%s is found by its incident, once", slug);
    unit((problem->incident != NULL) == (problem->message != NULL),
         "%s has an example of a run's message where it can be one's", slug);
    unit(problem->status || (!problem->detail && !problem->members),
         "%s has an example of a detail only where it is an answer's", slug);

    unit(problem->title[0] && problem->cause[0] && problem->recovery[0],
         "%s says what it is, why, and what to do", slug);
    unit(problem->recovery[strlen(problem->recovery) - 1] != '\n',
         "%s has no empty step", slug);

    if (problem->members) {
        test_members(problem->members, slug);
    }
}


static void
test_members(const char *members, const char *slug)
{
    json_t                 *value;
    ngx_http_agents_buf_t   buf;

    ngx_http_agents_buf_init(&buf);
    ngx_http_agents_buf_addf(&buf, "{%s}", members);

    value = ngx_http_agents_json_load(buf.data, buf.len);
    unit(json_is_object(value) && json_object_size(value) > 0,
         "%s has more members in its example that are JSON", slug);

    json_decref(value);
    ngx_http_agents_buf_free(&buf);
}


static int
test_slug(const char *slug)
{
    for ( /* void */ ; *slug; slug++) {
        if (!islower((unsigned char) *slug) && *slug != '-') {
            return 0;
        }
    }

    return 1;
}


static void
test_find(void)
{
    const ngx_http_agents_problem_t  *problem;

    unit(ngx_http_agents_problem_slug("not-foun", 8) == NULL
         && ngx_http_agents_problem_slug("", 0) == NULL,
         "what is no slug is none");

    problem = ngx_http_agents_problem_incident("AgentLoopNoSuchThing");
    unit_text(problem->slug, "internal-error",
              "an incident that is not known is an internal error");

    unit_text(ngx_http_agents_problem_status(404)->slug, "not-found", "404");
    unit_text(ngx_http_agents_problem_status(418)->slug, "invalid-request",
              "a status below 500 without an entry");
    unit_text(ngx_http_agents_problem_status(507)->slug, "internal-error",
              "a status above 500 without an entry");
}
