
#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_lacks.h"


static char *ngx_http_agents_catalog_check_hosts(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog);
static ngx_http_agents_provider_t *ngx_http_agents_catalog_find_provider(
    ngx_http_agents_catalog_t *catalog, ngx_str_t *name);
static ngx_int_t ngx_http_agents_catalog_is(ngx_str_t *name, const char *text);


ngx_int_t
ngx_http_agents_catalog_init(ngx_http_agents_catalog_t *catalog,
    ngx_pool_t *pool)
{
    if (ngx_array_init(&catalog->providers, pool, 4,
                       sizeof(ngx_http_agents_provider_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_array_init(&catalog->planes, pool, 4,
                          sizeof(ngx_http_agents_plane_t));
}


/* A model may stand before its provider in the file: joined at the end. */

char *
ngx_http_agents_catalog_check(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog)
{
    ngx_uint_t                i, n;
    ngx_http_agents_model_t  *model;
    ngx_http_agents_plane_t  *plane;

    if (ngx_http_agents_catalog_check_hosts(cf, catalog) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    catalog->mark = ngx_http_agents_lacks_mark();
    plane = catalog->planes.elts;

    for (i = 0; i < catalog->planes.nelts; i++) {
        model = plane[i].models.elts;

        for (n = 0; n < plane[i].models.nelts; n++) {

            model[n].provider = ngx_http_agents_catalog_find_provider(catalog,
                                                     &model[n].provider_name);
            if (model[n].provider != NULL) {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "model \"%V\" names the unknown provider \"%V\", "
                          "there is no \"agents_provider %V\" block, in %s:%ui",
                          &model[n].name, &model[n].provider_name,
                          &model[n].provider_name, model[n].file,
                          model[n].line);

            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* A host that is not known is left to the resolver, where there is one. */

static char *
ngx_http_agents_catalog_check_hosts(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog)
{
    ngx_str_t                    *url;
    ngx_uint_t                    i;
    ngx_http_agents_provider_t  **provider;

    provider = catalog->providers.elts;

    for (i = 0; i < catalog->providers.nelts; i++) {

        if (provider[i]->unresolved == NULL) {
            continue;
        }

        url = &provider[i]->endpoint;

        /* what a proxy is may hold a password */

        if (catalog->resolver == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "%s in \"%s\" of agents_provider \"%V\" in %s:%ui",
                          provider[i]->unresolved,
                          provider[i]->proxy.len != 0 ? "proxy"
                                                      : (char *) url->data,
                          &provider[i]->name, provider[i]->file,
                          provider[i]->line);
            return NGX_CONF_ERROR;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "agents_provider \"%V\": %s, the resolver will be asked "
                      "in %s:%ui", &provider[i]->name, provider[i]->unresolved,
                      provider[i]->file, provider[i]->line);
    }

    return NGX_CONF_OK;
}


static ngx_http_agents_provider_t *
ngx_http_agents_catalog_find_provider(ngx_http_agents_catalog_t *catalog,
    ngx_str_t *name)
{
    ngx_uint_t                    i;
    ngx_http_agents_provider_t  **provider;

    provider = catalog->providers.elts;

    for (i = 0; i < catalog->providers.nelts; i++) {
        if (provider[i]->name.len == name->len
            && ngx_strncmp(provider[i]->name.data, name->data, name->len) == 0)
        {
            return provider[i];
        }
    }

    return NULL;
}


/* Planes are stored in lower case; a UUID may come in any. */

ngx_http_agents_plane_t *
ngx_http_agents_catalog_find_plane(ngx_http_agents_catalog_t *catalog,
    const char *company, const char *id)
{
    ngx_uint_t                i;
    ngx_http_agents_plane_t  *plane;

    plane = catalog->planes.elts;

    for (i = 0; i < catalog->planes.nelts; i++) {
        if (ngx_strlen(id) == plane[i].id.len
            && ngx_strncasecmp(plane[i].id.data, (u_char *) id,
                               plane[i].id.len)
               == 0)
        {
            return ngx_http_agents_catalog_open(&plane[i], company)
                   ? &plane[i] : NULL;
        }
    }

    return NULL;
}


ngx_http_agents_cluster_t *
ngx_http_agents_catalog_find_cluster(ngx_http_agents_plane_t *plane,
    const char *name)
{
    ngx_uint_t                  i;
    ngx_http_agents_cluster_t  *cluster;

    cluster = plane->clusters.elts;

    for (i = 0; i < plane->clusters.nelts; i++) {
        if (ngx_http_agents_catalog_is(&cluster[i].name, name)) {
            return &cluster[i];
        }
    }

    return NULL;
}


ngx_http_agents_model_t *
ngx_http_agents_catalog_find_model(ngx_http_agents_plane_t *plane,
    const char *name)
{
    ngx_uint_t                i;
    ngx_http_agents_model_t  *model;

    model = plane->models.elts;

    for (i = 0; i < plane->models.nelts; i++) {
        if (ngx_http_agents_catalog_is(&model[i].name, name)) {
            return &model[i];
        }
    }

    return NULL;
}


ngx_http_agents_model_t *
ngx_http_agents_catalog_title_model(ngx_http_agents_plane_t *plane)
{
    ngx_uint_t                i;
    ngx_http_agents_model_t  *model;

    model = plane->models.elts;

    for (i = 0; i < plane->models.nelts; i++) {
        if (model[i].title) {
            return &model[i];
        }
    }

    return NULL;
}


void
ngx_http_agents_catalog_refused(ngx_http_agents_refusals_t *refusals,
    ngx_uint_t lacks, const char *message)
{
    if (refusals->n == NGX_HTTP_AGENTS_CATALOG_REFUSALS) {
        return;
    }

    refusals->of[refusals->n].lacks = lacks;
    refusals->of[refusals->n].message = strdup(message);
    refusals->n++;
}


void
ngx_http_agents_catalog_learn(ngx_http_agents_catalog_t *catalog,
    ngx_http_agents_model_t *model, ngx_http_agents_refusals_t *refusals,
    ngx_log_t *log)
{
    char        *message;
    ngx_uint_t   i;

    for (i = 0; i < refusals->n; i++) {

        if (!ngx_http_agents_lacks_add(model->learned, catalog->mark,
                                       refusals->of[i].lacks))
        {
            continue;
        }

        message = refusals->of[i].message;

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "the model \"%V\" is not asked for this any more: %s",
                      &model->name, (message != NULL) ? message : "");
    }

    ngx_http_agents_catalog_drop(refusals);
}


void
ngx_http_agents_catalog_drop(ngx_http_agents_refusals_t *refusals)
{
    while (refusals->n != 0) {
        refusals->n--;
        free(refusals->of[refusals->n].message);
    }
}


void
ngx_http_agents_catalog_prompt(const ngx_http_agents_catalog_t *catalog,
    const ngx_http_agents_model_t *model, ngx_http_agents_prompt_t *prompt)
{
    prompt->provider = (const char *) model->provider->name.data;
    prompt->model = (const char *) model->id.data;
    prompt->lacks = model->lacks | ngx_http_agents_lacks_get(model->learned,
                                                             catalog->mark);

    if (model->max_tokens_field.len != 0) {
        prompt->max_tokens_field = (const char *) model->max_tokens_field.data;
    }
}


static ngx_int_t
ngx_http_agents_catalog_is(ngx_str_t *name, const char *text)
{
    return ngx_strlen(text) == name->len
           && ngx_strncmp(name->data, text, name->len) == 0;
}


ngx_int_t
ngx_http_agents_catalog_open(ngx_http_agents_plane_t *plane,
    const char *company)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    if (plane->companies.nelts == 0) {
        return 1;
    }

    name = plane->companies.elts;

    for (i = 0; i < plane->companies.nelts; i++) {
        if (ngx_http_agents_catalog_is(&name[i], company)) {
            return 1;
        }
    }

    return 0;
}
