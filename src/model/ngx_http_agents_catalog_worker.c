
#include "ngx_http_agents_catalog_worker.h"
#include "ngx_http_agents_instance.h"
#include "ngx_http_agents_resolve.h"
#include "ngx_http_agents_transport.h"


static void ngx_http_agents_catalog_worker_models(
    ngx_http_agents_catalog_t *catalog, ngx_http_agents_lacks_t *lacks);


ngx_int_t
ngx_http_agents_catalog_worker_init(ngx_http_agents_catalog_t *catalog,
    ngx_http_agents_lacks_t *lacks, ngx_http_agents_turn_t *turn,
    ngx_uint_t max, ngx_log_t *log)
{
    ngx_uint_t                    i;
    ngx_http_agents_provider_t   *provider, **providers;

    ngx_http_agents_catalog_worker_models(catalog, lacks);

    providers = catalog->providers.elts;

    for (i = 0; i < catalog->providers.nelts; i++) {
        provider = providers[i];

        provider->transport = ngx_http_agents_transport_create(
                                     ngx_min(provider->max_connections, max),
                                     turn, log);
        if (provider->transport == NULL) {
            return NGX_ERROR;
        }

        if (catalog->resolver != NULL && provider->resolve.len != 0) {
            provider->resolver = ngx_http_agents_resolve_create(provider,
                                                   catalog->resolver,
                                                   catalog->resolver_timeout,
                                                   log);
            if (provider->resolver == NULL) {
                return NGX_ERROR;
            }
        }

        if (provider->aws.source.url.len == 0) {
            continue;
        }

        provider->instance = ngx_http_agents_instance_create(
                                                   &provider->aws.source,
                                                   provider->transport, log);
        if (provider->instance == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Models have numbers in the order in which they stand. */

static void
ngx_http_agents_catalog_worker_models(ngx_http_agents_catalog_t *catalog,
    ngx_http_agents_lacks_t *lacks)
{
    ngx_uint_t                i, k, n;
    ngx_http_agents_model_t  *model;
    ngx_http_agents_plane_t  *plane;

    plane = catalog->planes.elts;
    n = 0;

    for (i = 0; i < catalog->planes.nelts; i++) {
        model = plane[i].models.elts;

        for (k = 0; k < plane[i].models.nelts; k++, n++) {
            model[k].learned = (n < NGX_HTTP_AGENTS_LACKS_PLACES)
                               ? &lacks->places[n] : &model[k].alone;
        }
    }
}


void
ngx_http_agents_catalog_worker_exit(ngx_http_agents_catalog_t *catalog)
{
    ngx_uint_t                    i;
    ngx_http_agents_provider_t   *provider, **providers;

    providers = catalog->providers.elts;

    for (i = 0; i < catalog->providers.nelts; i++) {
        provider = providers[i];

        if (provider->resolver != NULL) {
            ngx_http_agents_resolve_destroy(provider->resolver);
        }

        if (provider->instance != NULL) {
            ngx_http_agents_instance_destroy(provider->instance);
        }

        if (provider->transport != NULL) {
            ngx_http_agents_transport_destroy(provider->transport);
        }
    }
}
