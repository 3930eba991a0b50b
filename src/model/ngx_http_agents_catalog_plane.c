
/*
 * The block agents_data_plane.
 */


#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_ident.h"


#define NGX_HTTP_AGENTS_CATALOG_PLANE_TOKENS_MAX      100000000
#define NGX_HTTP_AGENTS_CATALOG_PLANE_INFERENCES_MAX  1000000


static char *ngx_http_agents_catalog_plane_handler(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static ngx_http_agents_plane_t *ngx_http_agents_catalog_plane_create(
    ngx_conf_t *cf, ngx_http_agents_catalog_t *catalog);
static char *ngx_http_agents_catalog_plane_company(ngx_conf_t *cf,
    ngx_http_agents_plane_t *plane);
static char *ngx_http_agents_catalog_plane_cluster(ngx_conf_t *cf,
    ngx_http_agents_plane_t *plane);
static char *ngx_http_agents_catalog_plane_model(ngx_conf_t *cf,
    ngx_http_agents_plane_t *plane);
static char *ngx_http_agents_catalog_plane_option(ngx_conf_t *cf,
    ngx_http_agents_model_t *model, ngx_str_t *option);
static char *ngx_http_agents_catalog_plane_number(ngx_conf_t *cf,
    ngx_str_t *option, size_t prefix, ngx_uint_t max, ngx_uint_t *n);
static char *ngx_http_agents_catalog_plane_text(ngx_conf_t *cf,
    ngx_str_t *option, size_t prefix, ngx_str_t *text);
static ngx_int_t ngx_http_agents_catalog_plane_same(ngx_str_t *one,
    ngx_str_t *two);


typedef struct {
    const char   *name;
    char       *(*set)(ngx_conf_t *cf, ngx_http_agents_plane_t *plane);
} ngx_http_agents_catalog_plane_key_t;


static const ngx_http_agents_catalog_plane_key_t
    ngx_http_agents_catalog_plane_keys[] =
{
    { "company", ngx_http_agents_catalog_plane_company },
    { "cluster", ngx_http_agents_catalog_plane_cluster },
    { "model", ngx_http_agents_catalog_plane_model },
    { NULL, NULL }
};


static const struct {
    ngx_str_t   name;
    ngx_uint_t  flag;
} ngx_http_agents_catalog_plane_flags[] = {
    { ngx_string("no_temperature"), NGX_HTTP_AGENTS_NO_TEMPERATURE },
    { ngx_string("no_forced_choice"), NGX_HTTP_AGENTS_NO_FORCED_CHOICE },
    { ngx_string("no_named_choice"), NGX_HTTP_AGENTS_NO_NAMED_CHOICE },
    { ngx_string("no_native_format"), NGX_HTTP_AGENTS_NO_NATIVE_FORMAT },
    { ngx_string("no_strict_tools"), NGX_HTTP_AGENTS_NO_STRICT_TOOLS },
    { ngx_string("no_stream"), NGX_HTTP_AGENTS_NO_STREAM },
    { ngx_string("no_format_with_tools"),
      NGX_HTTP_AGENTS_NO_FORMAT_WITH_TOOLS },
    { ngx_null_string, 0 }
};


char *
ngx_http_agents_catalog_plane(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog)
{
    char                     *rv, *lacks;
    u_char                   *file;
    ngx_uint_t                line;
    ngx_conf_t                save;
    ngx_http_agents_plane_t  *plane;

    file = cf->conf_file->file.name.data;
    line = cf->conf_file->line;

    plane = ngx_http_agents_catalog_plane_create(cf, catalog);
    if (plane == NULL) {
        return NGX_CONF_ERROR;
    }

    save = *cf;
    cf->handler = ngx_http_agents_catalog_plane_handler;
    cf->handler_conf = (void *) plane;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (plane->clusters.nelts != 0 && plane->models.nelts != 0) {
        return NGX_CONF_OK;
    }

    lacks = (plane->clusters.nelts == 0) ? "cluster" : "model";

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "agents_data_plane \"%V\" needs at least one \"%s\" in "
                  "%s:%ui", &plane->id, lacks, file, line);

    return NGX_CONF_ERROR;
}


static ngx_http_agents_plane_t *
ngx_http_agents_catalog_plane_create(ngx_conf_t *cf,
    ngx_http_agents_catalog_t *catalog)
{
    ngx_str_t                *id;
    ngx_uint_t                i;
    ngx_http_agents_plane_t  *plane;

    id = cf->args->elts;
    id++;

    if (!ngx_http_agents_ident_is_uuid((char *) id->data, id->len)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid agents_data_plane \"%V\", its id must be "
                           "a UUID", id);
        return NULL;
    }

    ngx_strlow(id->data, id->data, id->len);

    plane = catalog->planes.elts;

    for (i = 0; i < catalog->planes.nelts; i++) {
        if (ngx_http_agents_catalog_plane_same(&plane[i].id, id)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate agents_data_plane \"%V\"", id);
            return NULL;
        }
    }

    plane = ngx_array_push(&catalog->planes);
    if (plane == NULL) {
        return NULL;
    }

    ngx_memzero(plane, sizeof(ngx_http_agents_plane_t));

    plane->id = *id;

    if (ngx_array_init(&plane->companies, cf->pool, 2, sizeof(ngx_str_t))
        != NGX_OK
        || ngx_array_init(&plane->clusters, cf->pool, 2,
                          sizeof(ngx_http_agents_cluster_t))
           != NGX_OK
        || ngx_array_init(&plane->models, cf->pool, 4,
                          sizeof(ngx_http_agents_model_t))
           != NGX_OK)
    {
        return NULL;
    }

    return plane;
}


static char *
ngx_http_agents_catalog_plane_handler(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf)
{
    ngx_http_agents_plane_t *plane = conf;

    ngx_str_t                                  *value;
    const ngx_http_agents_catalog_plane_key_t  *key;

    value = cf->args->elts;

    if (ngx_strcmp(value[0].data, "include") == 0 && cf->args->nelts == 2) {
        return ngx_conf_include(cf, dummy, conf);
    }

    for (key = ngx_http_agents_catalog_plane_keys; key->set; key++) {
        if (ngx_strcmp(value[0].data, key->name) == 0) {
            break;
        }
    }

    if (key->set == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown key \"%V\" in agents_data_plane, known "
                           "are company, cluster and model", &value[0]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts < 2 || value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs a name behind it", &value[0]);
        return NGX_CONF_ERROR;
    }

    return key->set(cf, plane);
}


/* company NAME ...; as often as one likes */

static char *
ngx_http_agents_catalog_plane_company(ngx_conf_t *cf,
    ngx_http_agents_plane_t *plane)
{
    ngx_str_t   *value, *company;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "empty name of a \"company\"";
        }

        company = ngx_array_push(&plane->companies);
        if (company == NULL) {
            return NGX_CONF_ERROR;
        }

        *company = value[i];
    }

    return NGX_CONF_OK;
}


/* cluster NAME [max_inferences=N]; */

static char *
ngx_http_agents_catalog_plane_cluster(ngx_conf_t *cf,
    ngx_http_agents_plane_t *plane)
{
    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_http_agents_cluster_t  *cluster;

    value = cf->args->elts;
    cluster = plane->clusters.elts;

    for (i = 0; i < plane->clusters.nelts; i++) {
        if (ngx_http_agents_catalog_plane_same(&cluster[i].name, &value[1])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate cluster \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    cluster = ngx_array_push(&plane->clusters);
    if (cluster == NULL) {
        return NGX_CONF_ERROR;
    }

    cluster->name = value[1];
    cluster->max_inferences = 0;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (cf->args->nelts > 3
        || ngx_strncmp(value[2].data, "max_inferences=", 15) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of cluster \"%V\", only "
                           "\"max_inferences=N\" may follow the name",
                           &value[cf->args->nelts - 1], &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_agents_catalog_plane_number(cf, &value[2], 15,
                               NGX_HTTP_AGENTS_CATALOG_PLANE_INFERENCES_MAX,
                               &cluster->max_inferences);
}


/* model NAME provider=NAME [id=ID] max_tokens=N [title] [no_...] ...; */

static char *
ngx_http_agents_catalog_plane_model(ngx_conf_t *cf,
    ngx_http_agents_plane_t *plane)
{
    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_http_agents_model_t  *model;

    value = cf->args->elts;
    model = plane->models.elts;

    for (i = 0; i < plane->models.nelts; i++) {
        if (ngx_http_agents_catalog_plane_same(&model[i].name, &value[1])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate model \"%V\" (the first is in "
                               "%s:%ui)", &value[1], model[i].file,
                               model[i].line);
            return NGX_CONF_ERROR;
        }
    }

    model = ngx_array_push(&plane->models);
    if (model == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(model, sizeof(ngx_http_agents_model_t));

    model->name = value[1];
    model->file = cf->conf_file->file.name.data;
    model->line = cf->conf_file->line;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_agents_catalog_plane_option(cf, model, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (model->provider_name.len == 0 || model->max_tokens == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "model \"%V\" has no \"%s\"", &model->name,
                           (model->provider_name.len == 0)
                           ? "provider=NAME" : "max_tokens=N");
        return NGX_CONF_ERROR;
    }

    if (model->id.len == 0) {
        model->id = model->name;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_plane_option(ngx_conf_t *cf,
    ngx_http_agents_model_t *model, ngx_str_t *option)
{
    ngx_uint_t  i;

    if (ngx_strncmp(option->data, "provider=", 9) == 0) {
        return ngx_http_agents_catalog_plane_text(cf, option, 9,
                                                  &model->provider_name);
    }

    if (ngx_strncmp(option->data, "id=", 3) == 0) {
        return ngx_http_agents_catalog_plane_text(cf, option, 3, &model->id);
    }

    if (ngx_strncmp(option->data, "max_tokens_field=", 17) == 0) {
        return ngx_http_agents_catalog_plane_text(cf, option, 17,
                                                  &model->max_tokens_field);
    }

    if (ngx_strncmp(option->data, "max_tokens=", 11) == 0) {
        return ngx_http_agents_catalog_plane_number(cf, option, 11,
                                   NGX_HTTP_AGENTS_CATALOG_PLANE_TOKENS_MAX,
                                   &model->max_tokens);
    }

    if (ngx_strcmp(option->data, "title") == 0) {
        model->title = 1;
        return NGX_CONF_OK;
    }

    for (i = 0; ngx_http_agents_catalog_plane_flags[i].name.len != 0; i++) {
        if (ngx_strcmp(option->data,
                       ngx_http_agents_catalog_plane_flags[i].name.data)
            == 0)
        {
            model->lacks |= ngx_http_agents_catalog_plane_flags[i].flag;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown parameter \"%V\" of model \"%V\", known are "
                       "provider=, id=, max_tokens=, max_tokens_field=, title, "
                       "no_temperature, no_forced_choice, no_named_choice, "
                       "no_native_format, "
                       "no_strict_tools, no_format_with_tools and no_stream",
                       option, &model->name);

    return NGX_CONF_ERROR;
}


/* The fields that are set here are 0 until then. */

static char *
ngx_http_agents_catalog_plane_number(ngx_conf_t *cf, ngx_str_t *option,
    size_t prefix, ngx_uint_t max, ngx_uint_t *n)
{
    ngx_int_t  value;

    if (*n != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate parameter \"%V\"", option);
        return NGX_CONF_ERROR;
    }

    value = ngx_atoi(option->data + prefix, option->len - prefix);

    if (value < 1 || (ngx_uint_t) value > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be a number "
                           "from 1 to %ui", option, max);
        return NGX_CONF_ERROR;
    }

    *n = (ngx_uint_t) value;

    return NGX_CONF_OK;
}


static char *
ngx_http_agents_catalog_plane_text(ngx_conf_t *cf, ngx_str_t *option,
    size_t prefix, ngx_str_t *text)
{
    if (text->len != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate parameter \"%V\"", option);
        return NGX_CONF_ERROR;
    }

    if (option->len == prefix) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty parameter \"%V\"", option);
        return NGX_CONF_ERROR;
    }

    text->data = option->data + prefix;
    text->len = option->len - prefix;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_agents_catalog_plane_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && ngx_strncmp(one->data, two->data, one->len) == 0;
}
