
/*
 * GET /agents/models: what the caller's company may name.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_agents_api.h"
#include "ngx_http_agents_json.h"
#include "ngx_http_agents_reply.h"


static ngx_uint_t ngx_http_agents_api_models_seen(
    const ngx_http_agents_catalog_t *catalog, const char *company,
    ngx_uint_t before, const ngx_str_t *name);
static void ngx_http_agents_api_models_model(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_catalog_t *catalog, const char *company,
    const ngx_str_t *name);
static ngx_http_agents_model_t *ngx_http_agents_api_models_find(
    ngx_http_agents_plane_t *plane, const char *company,
    const ngx_str_t *name);
static void ngx_http_agents_api_models_plane(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plane_t *plane);


/* Each model where it is met first, in the order of the configuration. */

ngx_int_t
ngx_http_agents_api_models_list(ngx_http_request_t *r,
    ngx_http_agents_ctx_t *ctx)
{
    ngx_uint_t                          i, j, n;
    ngx_http_agents_buf_t               buf;
    ngx_http_agents_plane_t            *plane;
    ngx_http_agents_model_t            *model;
    ngx_http_agents_main_conf_t        *amcf;
    const ngx_http_agents_catalog_t    *catalog;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_agents_module);
    catalog = &amcf->catalog;
    plane = catalog->planes.elts;

    ngx_http_agents_buf_init(&buf);

    ngx_http_agents_json_begin(&buf);
    ngx_http_agents_json_key(&buf, "models");
    ngx_http_agents_buf_addc(&buf, '[');

    for (n = 0, i = 0; i < catalog->planes.nelts; i++) {

        if (!ngx_http_agents_catalog_open(&plane[i], ctx->owner.company)) {
            continue;
        }

        model = plane[i].models.elts;

        for (j = 0; j < plane[i].models.nelts; j++) {

            if (ngx_http_agents_api_models_seen(catalog, ctx->owner.company, i,
                                                &model[j].name))
            {
                continue;
            }

            if (n++ != 0) {
                ngx_http_agents_buf_addc(&buf, ',');
            }

            ngx_http_agents_api_models_model(&buf, catalog,
                                             ctx->owner.company,
                                             &model[j].name);
        }
    }

    ngx_http_agents_buf_addc(&buf, ']');
    ngx_http_agents_json_end(&buf);

    return ngx_http_agents_reply_json(r, NGX_HTTP_OK, &buf);
}


/* Whether one of the planes before has it, too. */

static ngx_uint_t
ngx_http_agents_api_models_seen(const ngx_http_agents_catalog_t *catalog,
    const char *company, ngx_uint_t before, const ngx_str_t *name)
{
    ngx_uint_t                i;
    ngx_http_agents_plane_t  *plane;

    plane = catalog->planes.elts;

    for (i = 0; i < before; i++) {
        if (ngx_http_agents_api_models_find(&plane[i], company, name)) {
            return 1;
        }
    }

    return 0;
}


/* Its max_tokens is what all of its planes take: the smallest. */

static void
ngx_http_agents_api_models_model(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_catalog_t *catalog, const char *company,
    const ngx_str_t *name)
{
    ngx_uint_t                i, n, max_tokens;
    ngx_http_agents_model_t  *model;
    ngx_http_agents_plane_t  *plane;

    plane = catalog->planes.elts;
    max_tokens = NGX_MAX_INT_T_VALUE;

    for (i = 0; i < catalog->planes.nelts; i++) {
        model = ngx_http_agents_api_models_find(&plane[i], company, name);

        if (model != NULL) {
            max_tokens = ngx_min(max_tokens, model->max_tokens);
        }
    }

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_string(buf, "id", (char *) name->data,
                                       name->len);
    ngx_http_agents_json_member_integer(buf, "max_tokens", max_tokens);
    ngx_http_agents_json_key(buf, "data_planes");
    ngx_http_agents_buf_addc(buf, '[');

    for (n = 0, i = 0; i < catalog->planes.nelts; i++) {

        if (ngx_http_agents_api_models_find(&plane[i], company, name)
            == NULL)
        {
            continue;
        }

        if (n++ != 0) {
            ngx_http_agents_buf_addc(buf, ',');
        }

        ngx_http_agents_api_models_plane(buf, &plane[i]);
    }

    ngx_http_agents_buf_addc(buf, ']');
    ngx_http_agents_json_end(buf);
}


/* NULL, too, where the plane is not open to the company. */

static ngx_http_agents_model_t *
ngx_http_agents_api_models_find(ngx_http_agents_plane_t *plane,
    const char *company, const ngx_str_t *name)
{
    ngx_uint_t                i;
    ngx_http_agents_model_t  *model;

    if (!ngx_http_agents_catalog_open(plane, company)) {
        return NULL;
    }

    model = plane->models.elts;

    for (i = 0; i < plane->models.nelts; i++) {
        if (model[i].name.len == name->len
            && ngx_memcmp(model[i].name.data, name->data, name->len) == 0)
        {
            return &model[i];
        }
    }

    return NULL;
}


static void
ngx_http_agents_api_models_plane(ngx_http_agents_buf_t *buf,
    const ngx_http_agents_plane_t *plane)
{
    ngx_uint_t                        i;
    const ngx_http_agents_cluster_t  *cluster;

    ngx_http_agents_json_begin(buf);
    ngx_http_agents_json_member_string(buf, "id", (char *) plane->id.data,
                                       plane->id.len);
    ngx_http_agents_json_key(buf, "clusters");
    ngx_http_agents_buf_addc(buf, '[');

    cluster = plane->clusters.elts;

    for (i = 0; i < plane->clusters.nelts; i++) {
        if (i != 0) {
            ngx_http_agents_buf_addc(buf, ',');
        }

        ngx_http_agents_json_put_string(buf, (char *) cluster[i].name.data,
                                        cluster[i].name.len);
    }

    ngx_http_agents_buf_addc(buf, ']');
    ngx_http_agents_json_end(buf);
}
