
/*
 * A conninfo, read and resolved for PQconnectStartParams(), which would
 * otherwise resolve host names itself and block.  No nginx.
 */


#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <libpq-fe.h>
#include "ngx_http_agents_buf.h"
#include "ngx_http_agents_db_pg.h"


/* Addresses of one name that are tried. */
#define NGX_HTTP_AGENTS_DB_PG_ADDRS  8


/* The three lists of libpq that stay in step, one entry for an address. */
typedef struct {
    ngx_http_agents_buf_t   hosts;
    ngx_http_agents_buf_t   addrs;
    ngx_http_agents_buf_t   ports;
    size_t                  n;
    char                   *err;
    size_t                  errlen;
} ngx_http_agents_db_pg_hosts_t;


static int ngx_http_agents_db_pg_params_add(
    ngx_http_agents_db_pg_params_t *params, const char *keyword,
    const char *value);
static int ngx_http_agents_db_pg_params_resolve(
    ngx_http_agents_db_pg_params_t *params, const char *host,
    const char *port, size_t first, char *err, size_t errlen);
static void ngx_http_agents_db_pg_params_rotate(ngx_http_agents_buf_t *list,
    size_t first);
static int ngx_http_agents_db_pg_params_host(
    ngx_http_agents_db_pg_hosts_t *hosts, const char *host, const char *port);
static void ngx_http_agents_db_pg_params_entry(
    ngx_http_agents_db_pg_hosts_t *hosts, const char *host, const char *addr,
    const char *port);
static char *ngx_http_agents_db_pg_params_item(const char *list, size_t i,
    size_t *n);
static const char *ngx_http_agents_db_pg_params_value(
    const PQconninfoOption *options, const char *keyword);
static void ngx_http_agents_db_pg_params_error(char *err, size_t errlen,
    char *message);


int
ngx_http_agents_db_pg_params(ngx_http_agents_db_pg_params_t *params,
    const char *conninfo, int prepares, size_t first, char *err,
    size_t errlen)
{
    int                rc;
    char              *message;
    const char        *host, *timeout;
    PQconninfoOption  *options, *o;

    memset(params, 0, sizeof(ngx_http_agents_db_pg_params_t));

    options = PQconninfoParse(conninfo, &message);
    if (options == NULL) {
        ngx_http_agents_db_pg_params_error(err, errlen, message);
        return -1;
    }

    host = ngx_http_agents_db_pg_params_value(options, "host");

    if (ngx_http_agents_db_pg_params_value(options, "hostaddr")) {
        host = NULL;
    }

    timeout = ngx_http_agents_db_pg_params_value(options, "connect_timeout");

    if (timeout) {
        params->timeout = (int) strtol(timeout, NULL, 10);
    }

    /*
     * before the operator's own, which win: a name for pg_stat_activity, and
     * no Kerberos, which would be asked for in the middle of an event
     */

    rc = ngx_http_agents_db_pg_params_add(params, "fallback_application_name",
                                          "nginx-agents")
         | ngx_http_agents_db_pg_params_add(params, "gssencmode", "disable");

    /*
     * a plan that is made while the tables are new and kept for the life of
     * the connection would scan them still when they have grown; PgBouncer in
     * transaction mode takes no such options, and there plans are not kept
     */

    if (prepares) {
        rc |= ngx_http_agents_db_pg_params_add(params, "options",
                                       "-c enable_seqscan=off -c jit=off");
    }

    for (o = options; o->keyword; o++) {

        if (o->val == NULL
            || (host && (strcmp(o->keyword, "host") == 0
                         || strcmp(o->keyword, "port") == 0)))
        {
            continue;
        }

        rc |= ngx_http_agents_db_pg_params_add(params, o->keyword, o->val);
    }

    rc |= ngx_http_agents_db_pg_params_add(params, "client_encoding", "UTF8");

    if (rc != 0) {
        snprintf(err, errlen, "no memory");

    } else if (host) {
        rc = ngx_http_agents_db_pg_params_resolve(params, host,
                         ngx_http_agents_db_pg_params_value(options, "port"),
                         first, err, errlen);
    }

    PQconninfoFree(options);

    if (rc != 0) {
        ngx_http_agents_db_pg_params_free(params);
        return -1;
    }

    return 0;
}


int
ngx_http_agents_db_pg_params_check(const char *conninfo, char *err,
    size_t errlen)
{
    char              *message;
    PQconninfoOption  *options;

    options = PQconninfoParse(conninfo, &message);
    if (options == NULL) {
        ngx_http_agents_db_pg_params_error(err, errlen, message);
        return -1;
    }

    PQconninfoFree(options);

    return 0;
}


void
ngx_http_agents_db_pg_params_free(ngx_http_agents_db_pg_params_t *params)
{
    size_t  i;

    for (i = 0; i < params->n; i++) {
        free(params->keywords[i]);
        free(params->values[i]);
    }

    free(params->keywords);
    free(params->values);

    memset(params, 0, sizeof(ngx_http_agents_db_pg_params_t));
}


static int
ngx_http_agents_db_pg_params_add(ngx_http_agents_db_pg_params_t *params,
    const char *keyword, const char *value)
{
    char    *k, *v, **p;
    size_t   size;

    /* the last element of both lists stays NULL */

    if (params->n + 1 >= params->size) {
        size = params->size + 32;

        p = realloc(params->keywords, size * sizeof(char *));
        if (p == NULL) {
            return -1;
        }

        params->keywords = p;

        p = realloc(params->values, size * sizeof(char *));
        if (p == NULL) {
            return -1;
        }

        params->values = p;
        params->size = size;
    }

    k = strdup(keyword);
    v = strdup(value ? value : "");

    if (k == NULL || v == NULL) {
        free(k);
        free(v);
        return -1;
    }

    params->keywords[params->n] = k;
    params->values[params->n] = v;
    params->n++;

    params->keywords[params->n] = NULL;
    params->values[params->n] = NULL;

    return 0;
}


/*
 * Adds host, hostaddr and port, as lists with an entry for each address.  A
 * name that is not found is left out as long as another is.
 */

static int
ngx_http_agents_db_pg_params_resolve(ngx_http_agents_db_pg_params_t *params,
    const char *host, const char *port, size_t first, char *err,
    size_t errlen)
{
    int                             rc;
    char                           *h, *p;
    size_t                          i, n, nports;
    ngx_http_agents_db_pg_hosts_t   hosts;

    memset(&hosts, 0, sizeof(ngx_http_agents_db_pg_hosts_t));
    hosts.err = err;
    hosts.errlen = errlen;

    rc = 0;
    n = 1;

    for (i = 0; i < n && rc == 0; i++) {
        h = ngx_http_agents_db_pg_params_item(host, i, &n);
        p = ngx_http_agents_db_pg_params_item(port ? port : "", i, &nports);

        if (p && nports == 1 && i > 0) {

            /* one port for all hosts */

            free(p);
            p = ngx_http_agents_db_pg_params_item(port ? port : "", 0,
                                                  &nports);
        }

        if (h == NULL || p == NULL) {
            rc = -1;

        } else {
            rc = ngx_http_agents_db_pg_params_host(&hosts, h, p);
        }

        free(h);
        free(p);
    }

    if (rc == 0 && hosts.n > 1) {
        ngx_http_agents_db_pg_params_rotate(&hosts.hosts, first % hosts.n);
        ngx_http_agents_db_pg_params_rotate(&hosts.addrs, first % hosts.n);
        ngx_http_agents_db_pg_params_rotate(&hosts.ports, first % hosts.n);
    }

    if (rc != 0 || hosts.hosts.failed || hosts.addrs.failed
        || hosts.ports.failed)
    {
        snprintf(err, errlen, "no memory");
        rc = -1;

    } else if (hosts.n == 0) {
        rc = -1;

    } else if (ngx_http_agents_db_pg_params_add(params, "host",
                                                hosts.hosts.data)
               | ngx_http_agents_db_pg_params_add(params, "hostaddr",
                                                  hosts.addrs.data)
               | ngx_http_agents_db_pg_params_add(params, "port",
                                                  hosts.ports.data))
    {
        snprintf(err, errlen, "no memory");
        rc = -1;
    }

    ngx_http_agents_buf_free(&hosts.hosts);
    ngx_http_agents_buf_free(&hosts.addrs);
    ngx_http_agents_buf_free(&hosts.ports);

    return rc;
}


/* The list, beginning with its item of that number. */

static void
ngx_http_agents_db_pg_params_rotate(ngx_http_agents_buf_t *list, size_t first)
{
    const char             *p;
    ngx_http_agents_buf_t   rotated;

    if (first == 0 || list->failed) {
        return;
    }

    for (p = list->data; first; first--) {
        p = strchr(p, ',') + 1;
    }

    ngx_http_agents_buf_init(&rotated);
    ngx_http_agents_buf_adds(&rotated, p);
    ngx_http_agents_buf_addc(&rotated, ',');
    ngx_http_agents_buf_add(&rotated, list->data,
                            (size_t) (p - list->data) - 1);

    ngx_http_agents_buf_free(list);
    *list = rotated;
}


static int
ngx_http_agents_db_pg_params_host(ngx_http_agents_db_pg_hosts_t *hosts,
    const char *host, const char *port)
{
    int               rc;
    char              addr[NI_MAXHOST];
    size_t            n;
    struct addrinfo   hints, *list, *ai;

    if (host[0] == '\0' || host[0] == '/' || host[0] == '@') {

        /* a Unix domain socket, or libpq's default for one */

        ngx_http_agents_db_pg_params_entry(hosts, host, "", port);
        return 0;
    }

    memset(&hints, 0, sizeof(struct addrinfo));
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;

    rc = getaddrinfo(host, NULL, &hints, &list);

    if (rc == EAI_MEMORY) {
        return -1;
    }

    if (rc != 0) {
        snprintf(hosts->err, hosts->errlen, "host \"%s\" is not found: %s",
                 host, gai_strerror(rc));
        return 0;
    }

    n = 0;

    for (ai = list; ai && n < NGX_HTTP_AGENTS_DB_PG_ADDRS; ai = ai->ai_next) {

        if (getnameinfo(ai->ai_addr, ai->ai_addrlen, addr, sizeof(addr), NULL,
                        0, NI_NUMERICHOST)
            != 0)
        {
            continue;
        }

        ngx_http_agents_db_pg_params_entry(hosts, host, addr, port);
        n++;
    }

    freeaddrinfo(list);

    return 0;
}


static void
ngx_http_agents_db_pg_params_entry(ngx_http_agents_db_pg_hosts_t *hosts,
    const char *host, const char *addr, const char *port)
{
    if (hosts->n++) {
        ngx_http_agents_buf_addc(&hosts->hosts, ',');
        ngx_http_agents_buf_addc(&hosts->addrs, ',');
        ngx_http_agents_buf_addc(&hosts->ports, ',');
    }

    ngx_http_agents_buf_adds(&hosts->hosts, host);
    ngx_http_agents_buf_adds(&hosts->addrs, addr);
    ngx_http_agents_buf_adds(&hosts->ports, port);
}


/*
 * A copy of the i-th item of a list ("" beyond its end), and how many there
 * are; NULL without memory.
 */

static char *
ngx_http_agents_db_pg_params_item(const char *list, size_t i, size_t *n)
{
    size_t       k;
    const char  *p, *item;

    item = "";
    k = 0;

    for (p = list; /* void */ ; p = strchr(p, ',') + 1) {

        if (k++ == i) {
            item = p;
        }

        if (strchr(p, ',') == NULL) {
            break;
        }
    }

    *n = k;

    return strndup(item, strcspn(item, ","));
}


static const char *
ngx_http_agents_db_pg_params_value(const PQconninfoOption *options,
    const char *keyword)
{
    const PQconninfoOption  *o;

    for (o = options; o->keyword; o++) {
        if (strcmp(o->keyword, keyword) == 0) {
            return (o->val && o->val[0]) ? o->val : NULL;
        }
    }

    return NULL;
}


static void
ngx_http_agents_db_pg_params_error(char *err, size_t errlen, char *message)
{
    snprintf(err, errlen, "%s", message ? message : "no memory");
    err[strcspn(err, "\n")] = '\0';

    PQfreemem(message);
}
