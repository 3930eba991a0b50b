
/*
 * The version, as servers and metrics are told it; that of the package is in
 * debian/changelog.
 */


#ifndef _NGX_HTTP_AGENTS_VERSION_H_INCLUDED_
#define _NGX_HTTP_AGENTS_VERSION_H_INCLUDED_


#define NGX_HTTP_AGENTS_VERSION  "0.1.0"


#endif /* _NGX_HTTP_AGENTS_VERSION_H_INCLUDED_ */
