
/*
 * Holds a configuration (a conversation's defaults, or a run's effective
 * configuration) against what the operator configured: models, data planes
 * and clusters that the company may name, ceilings, egress rules.
 */


#ifndef _NGX_HTTP_AGENTS_EFFECTIVE_H_INCLUDED_
#define _NGX_HTTP_AGENTS_EFFECTIVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_agents_body.h"
#include "ngx_http_agents_catalog.h"
#include "ngx_http_agents_engine.h"


/*
 * Checks the members that "config" has and adds a fault of
 * invalid-effective-config for each that is not to be had.  max_iterations
 * and max_tokens above their ceilings are a fault where "given" (bits of
 * ngx_http_agents_body.h) says that the request named them, and are lowered
 * in place where they are defaults.  "parent" is the member that the pointers
 * start with: "defaults" or "config_override".
 *
 * Reads the configuration only: the event loop or a pool thread.
 */
void ngx_http_agents_effective_check(ngx_http_agents_catalog_t *catalog,
    const ngx_http_agents_settings_t *settings, const char *company,
    json_t *config, unsigned given, const char *parent,
    ngx_http_agents_faults_t *faults);


#endif /* _NGX_HTTP_AGENTS_EFFECTIVE_H_INCLUDED_ */
