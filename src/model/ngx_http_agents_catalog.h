
/*
 * What the operator configured: providers, data planes, clusters, models;
 * and who may name them.  Filled while the configuration is read, read only
 * afterwards.
 */


#ifndef _NGX_HTTP_AGENTS_CATALOG_H_INCLUDED_
#define _NGX_HTTP_AGENTS_CATALOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_keypair.h"
#include "ngx_http_agents_model.h"


/* One for each flag that there is. */
#define NGX_HTTP_AGENTS_CATALOG_REFUSALS  8


/* Where a worker fetches what AWS gives to a machine or a container; NUL
 * terminated. */
typedef struct {
    ngx_str_t                          url;         /* a container's, or the
                                                       metadata service's
                                                       base; empty: nowhere */
    ngx_str_t                          resolve;     /* for CURLOPT_RESOLVE */
    ngx_str_t                          authorization;   /* of a container;
                                                           or empty */
    unsigned                           container:1;
} ngx_http_agents_aws_source_t;


/* What signs requests to AWS; NUL terminated. */
typedef struct {
    ngx_str_t                          region;
    ngx_str_t                          access_key;  /* empty: none is signed */
    ngx_str_t                          secret_key;
    ngx_str_t                          session_token;
    ngx_http_agents_aws_source_t       source;      /* in place of the keys */
} ngx_http_agents_aws_t;


/* Who asks Snowflake; NUL terminated. */
typedef struct {
    ngx_str_t                          account;
    ngx_str_t                          user;
    ngx_str_t                          token_type;  /* empty: not Snowflake */
    ngx_str_t                          private_key; /* its PEM, while the
                                                       configuration is read */
    ngx_http_agents_keypair_t         *keypair;     /* NULL: the token is
                                                       api_key; what it makes
                                                       is a worker's own */
} ngx_http_agents_snowflake_t;


typedef struct {
    ngx_str_t                          name;
    const ngx_http_agents_protocol_t  *protocol;
    ngx_str_t                          endpoint;    /* no trailing slash; NUL */
    ngx_str_t                          resolve;     /* for CURLOPT_RESOLVE, of
                                                       the proxy if there is
                                                       one; NUL terminated;
                                                       empty: an address; a
                                                       worker's own where
                                                       there is a resolver */
    ngx_msec_t                         moved;       /* when it changed last; 0:
                                                       never */
    const char                        *unresolved;  /* why it has no addresses
                                                       yet; NULL: it has */
    ngx_str_t                          api_key;     /* the key itself; NUL;
                                                       empty: none is sent */
    ngx_http_agents_aws_t              aws;
    ngx_http_agents_snowflake_t        snowflake;
    ngx_msec_t                         connect_timeout;
    ngx_msec_t                         timeout;
    ngx_uint_t                         retries;
    ngx_uint_t                         max_connections;
    struct ngx_http_agents_transport_s  *transport; /* a worker's own, made
                                                       in its process init */
    struct ngx_http_agents_resolve_s   *resolver;   /* likewise; NULL: none is
                                                       needed */
    struct ngx_http_agents_instance_s  *instance;   /* likewise; NULL: the keys
                                                       are in "aws" */
    ngx_str_t                          trusted_certificate;
    ngx_str_t                          proxy;
    /* for error messages about the block */
    u_char                            *file;
    ngx_uint_t                         line;
} ngx_http_agents_provider_t;


typedef struct {
    ngx_str_t                          name;
    ngx_uint_t                         max_inferences;  /* 0: no bound */
} ngx_http_agents_cluster_t;


typedef struct {
    ngx_str_t                          name;        /* as the API names it */
    ngx_str_t                          id;          /* the provider's; NUL */
    ngx_str_t                          provider_name;
    ngx_http_agents_provider_t        *provider;    /* set by check */
    ngx_uint_t                         max_tokens;  /* ceiling */
    ngx_uint_t                         lacks;       /* NGX_HTTP_AGENTS_NO_* */
    ngx_atomic_t                      *learned;     /* likewise, by refusals: a
                                                       place of the zone, set
                                                       in process init */
    ngx_atomic_t                       alone;       /* where it has none */
    ngx_str_t                          max_tokens_field;    /* NUL; or empty */
    unsigned                           title:1;
    u_char                            *file;
    ngx_uint_t                         line;
} ngx_http_agents_model_t;


typedef struct {
    ngx_str_t                          id;
    ngx_array_t                        companies;   /* ngx_str_t; none: all */
    ngx_array_t                        clusters;    /* ..._cluster_t */
    ngx_array_t                        models;      /* ..._model_t */
} ngx_http_agents_plane_t;


/* What a model refused to be asked for, until it has answered without. */
typedef struct {
    ngx_uint_t                         n;
    struct {
        ngx_uint_t                     lacks;       /* the flag */
        char                          *message;     /* NULL: no memory */
    }                                  of[NGX_HTTP_AGENTS_CATALOG_REFUSALS];
} ngx_http_agents_refusals_t;


typedef struct {
    ngx_array_t                        providers;   /* ..._provider_t * */
    ngx_array_t                        planes;      /* ..._plane_t * */
    ngx_resolver_t                    *resolver;    /* NULL: none in http */
    ngx_msec_t                         resolver_timeout;
    ngx_atomic_uint_t                  mark;        /* of what is learned */
} ngx_http_agents_catalog_t;


ngx_int_t ngx_http_agents_catalog_init(ngx_http_agents_catalog_t *catalog,
    ngx_pool_t *pool);

/* The block directives agents_provider NAME {} and agents_data_plane ID {}. */
char *ngx_http_agents_catalog_provider(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog);
char *ngx_http_agents_catalog_plane(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog);

/* After all is read: joins models with providers, says what is missing. */
char *ngx_http_agents_catalog_check(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog);

/* Whether "company" may name what a plane has. */
ngx_int_t ngx_http_agents_catalog_open(ngx_http_agents_plane_t *plane,
    const char *company);

/* Lookups for requests and runs: NULL if there is none that "company" may
 * name. */
ngx_http_agents_plane_t *ngx_http_agents_catalog_find_plane(
    ngx_http_agents_catalog_t *catalog, const char *company, const char *id);
ngx_http_agents_cluster_t *ngx_http_agents_catalog_find_cluster(
    ngx_http_agents_plane_t *plane, const char *name);
ngx_http_agents_model_t *ngx_http_agents_catalog_find_model(
    ngx_http_agents_plane_t *plane, const char *name);

/* The first model of the plane that is marked "title"; NULL: none is. */
ngx_http_agents_model_t *ngx_http_agents_catalog_title_model(
    ngx_http_agents_plane_t *plane);

/*
 * A refusal may have the words of what the model lacks from the one who asks,
 * so it is held until the model has answered without: only then is it
 * remembered, for the prompts of all workers of this configuration, and said
 * in the log the first time.  "learn" and "drop" empty it.  Event loop.
 */
void ngx_http_agents_catalog_refused(ngx_http_agents_refusals_t *refusals,
    ngx_uint_t lacks, const char *message);
void ngx_http_agents_catalog_learn(ngx_http_agents_catalog_t *catalog,
    ngx_http_agents_model_t *model, ngx_http_agents_refusals_t *refusals,
    ngx_log_t *log);
void ngx_http_agents_catalog_drop(ngx_http_agents_refusals_t *refusals);

/* Sets what a prompt has of its model: the pointers are the catalog's.  Any
 * thread. */
void ngx_http_agents_catalog_prompt(const ngx_http_agents_catalog_t *catalog,
    const ngx_http_agents_model_t *model, ngx_http_agents_prompt_t *prompt);


#endif /* _NGX_HTTP_AGENTS_CATALOG_H_INCLUDED_ */
