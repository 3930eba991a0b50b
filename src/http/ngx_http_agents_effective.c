
#include "ngx_http_agents_effective.h"
#include "ngx_http_agents_egress.h"
#include "ngx_http_agents_url.h"


#define NGX_HTTP_AGENTS_EFFECTIVE_SLUG  "invalid-effective-config"


static ngx_http_agents_model_t *ngx_http_agents_effective_names(
    ngx_http_agents_catalog_t *catalog, const char *company,
    const json_t *config, const ngx_http_agents_path_t *root,
    ngx_http_agents_faults_t *faults);
static void ngx_http_agents_effective_ceiling(json_t *config, const char *key,
    ngx_uint_t ceiling, unsigned given, const char *whose,
    const ngx_http_agents_path_t *root, ngx_http_agents_faults_t *faults);
static void ngx_http_agents_effective_egress(const ngx_array_t *rules,
    const json_t *config, const ngx_http_agents_path_t *root,
    ngx_http_agents_faults_t *faults);


void
ngx_http_agents_effective_check(ngx_http_agents_catalog_t *catalog,
    const ngx_http_agents_settings_t *settings, const char *company,
    json_t *config, unsigned given, const char *parent,
    ngx_http_agents_faults_t *faults)
{
    ngx_http_agents_path_t    root;
    ngx_http_agents_model_t  *model;

    root.parent = NULL;
    root.key = parent;
    root.index = 0;

    model = ngx_http_agents_effective_names(catalog, company, config, &root,
                                            faults);

    ngx_http_agents_effective_ceiling(config, "max_iterations",
                            settings->max_iterations,
                            given & NGX_HTTP_AGENTS_BODY_GIVEN_MAX_ITERATIONS,
                            "this server", &root, faults);

    if (model) {
        ngx_http_agents_effective_ceiling(config, "max_tokens",
                                model->max_tokens,
                                given & NGX_HTTP_AGENTS_BODY_GIVEN_MAX_TOKENS,
                                "the model", &root, faults);
    }

    ngx_http_agents_effective_egress(settings->mcp.egress, config, &root,
                                     faults);
}


/*
 * What a company may not name looks like what there is not.  The model, or
 * NULL where it is not found.
 */

static ngx_http_agents_model_t *
ngx_http_agents_effective_names(ngx_http_agents_catalog_t *catalog,
    const char *company, const json_t *config,
    const ngx_http_agents_path_t *root, ngx_http_agents_faults_t *faults)
{
    const char               *id, *cluster, *name;
    ngx_http_agents_path_t    place;
    ngx_http_agents_model_t  *model;
    ngx_http_agents_plane_t  *plane;

    place.parent = root;
    place.index = 0;

    id = ngx_http_agents_json_string(config, "data_plane_id", NULL);
    if (id == NULL) {
        return NULL;
    }

    plane = ngx_http_agents_catalog_find_plane(catalog, company, id);

    if (plane == NULL) {
        place.key = "data_plane_id";
        ngx_http_agents_faults_add(faults, &place,
                                   NGX_HTTP_AGENTS_EFFECTIVE_SLUG,
                                   "is no data plane that is configured here "
                                   "and open to your company");
        return NULL;
    }

    cluster = ngx_http_agents_json_string(config, "execution_cluster", NULL);

    if (cluster
        && ngx_http_agents_catalog_find_cluster(plane, cluster) == NULL)
    {
        place.key = "execution_cluster";
        ngx_http_agents_faults_add(faults, &place,
                                   NGX_HTTP_AGENTS_EFFECTIVE_SLUG,
                                   "is no cluster of this data plane");
    }

    name = ngx_http_agents_json_string(config, "model", NULL);
    if (name == NULL) {
        return NULL;
    }

    model = ngx_http_agents_catalog_find_model(plane, name);

    if (model == NULL) {
        place.key = "model";
        ngx_http_agents_faults_add(faults, &place,
                                   NGX_HTTP_AGENTS_EFFECTIVE_SLUG,
                                   "is no model of this data plane");
    }

    return model;
}


static void
ngx_http_agents_effective_ceiling(json_t *config, const char *key,
    ngx_uint_t ceiling, unsigned given, const char *whose,
    const ngx_http_agents_path_t *root, ngx_http_agents_faults_t *faults)
{
    int64_t                 value;
    json_t                 *lowered;
    ngx_http_agents_path_t  place;

    value = ngx_http_agents_json_integer(config, key, 0);

    if (value <= (int64_t) ceiling) {
        return;
    }

    if (given) {
        place.parent = root;
        place.key = key;
        place.index = 0;

        ngx_http_agents_faults_add(faults, &place,
                                   NGX_HTTP_AGENTS_EFFECTIVE_SLUG,
                                   "must be at most %lld, the ceiling of %s",
                                   (long long) ceiling, whose);
        return;
    }

    lowered = json_integer((json_int_t) ceiling);

    if (lowered == NULL || json_object_set_new(config, key, lowered) != 0) {
        faults->failed = 1;
    }
}


/*
 * By the url alone: a name whose addresses decide is looked up when a run
 * reaches for it.
 */

static void
ngx_http_agents_effective_egress(const ngx_array_t *rules,
    const json_t *config, const ngx_http_agents_path_t *root,
    ngx_http_agents_faults_t *faults)
{
    size_t                  i, len;
    json_t                 *server;
    const char             *text, *why;
    ngx_http_agents_url_t   url;
    ngx_http_agents_path_t  list, entry, place;

    list.parent = root;
    list.key = "mcp_servers";
    list.index = 0;

    entry.parent = &list;
    entry.key = NULL;

    place.parent = &entry;
    place.key = "url";
    place.index = 0;

    json_array_foreach(ngx_http_agents_json_array(config, "mcp_servers"), i,
                       server)
    {
        entry.index = i;

        text = ngx_http_agents_json_string(server, "url", &len);
        if (text == NULL) {
            continue;
        }

        if (ngx_http_agents_url_parse(&url, text, len, &why) != 0) {
            ngx_http_agents_faults_add(faults, &place,
                                       NGX_HTTP_AGENTS_EFFECTIVE_SLUG, "%s",
                                       why);
            continue;
        }

        if (ngx_http_agents_egress_check_url(rules, &url) == NGX_DECLINED) {
            ngx_http_agents_faults_add(faults, &place,
                                       NGX_HTTP_AGENTS_EFFECTIVE_SLUG,
                                       "is not a host that this server's "
                                       "rules let a run reach");
        }
    }
}
