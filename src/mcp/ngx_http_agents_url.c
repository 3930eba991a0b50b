
#include <string.h>
#include <strings.h>
#include <arpa/inet.h>
#include "ngx_http_agents_url.h"


#define NGX_HTTP_AGENTS_URL_HOST_MAX   253
#define NGX_HTTP_AGENTS_URL_LABEL_MAX  63


static const char *ngx_http_agents_url_scheme(ngx_http_agents_url_t *url,
    const char *text, size_t len, const char **why);
static int ngx_http_agents_url_characters(const char *text, size_t len,
    const char **why);
static int ngx_http_agents_url_authority(ngx_http_agents_url_t *url,
    const char **why);
static int ngx_http_agents_url_port(ngx_http_agents_url_t *url,
    const char *text, size_t len, const char **why);
static int ngx_http_agents_url_name(const char *host, size_t len,
    const char **why);
static int ngx_http_agents_url_numeric(const char *host, size_t len);
static int ngx_http_agents_url_loopback(const char *host, size_t len);
static int ngx_http_agents_url_ipv4(ngx_http_agents_url_t *url);
static const char *ngx_http_agents_url_number(const char *p, const char *end,
    uint64_t *number);
static int ngx_http_agents_url_ipv6(ngx_http_agents_url_t *url);
static int ngx_http_agents_url_digit(char c);


int
ngx_http_agents_url_parse(ngx_http_agents_url_t *url, const char *text,
    size_t len, const char **why)
{
    const char  *p, *end;

    memset(url, 0, sizeof(ngx_http_agents_url_t));

    if (ngx_http_agents_url_characters(text, len, why) != 0) {
        return -1;
    }

    p = ngx_http_agents_url_scheme(url, text, len, why);
    if (p == NULL) {
        return -1;
    }

    end = text + len;

    url->authority = p;

    while (p < end && *p != '/' && *p != '?') {
        p++;
    }

    url->authority_len = (size_t) (p - url->authority);
    url->path = p;
    url->path_len = (size_t) (end - p);

    return ngx_http_agents_url_authority(url, why);
}


/* What must not be anywhere: a request line and headers are made of it. */

static int
ngx_http_agents_url_characters(const char *text, size_t len, const char **why)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < len; i++) {
        c = (unsigned char) text[i];

        if (c <= 0x20 || c == 0x7f) {
            *why = "must not contain blanks or control characters";
            return -1;
        }

        if (c >= 0x80) {
            *why = "must be ASCII: other characters percent-encoded, a host "
                   "in its xn-- form";
            return -1;
        }

        if (c == '\\') {
            *why = "must not contain a backslash";
            return -1;
        }

        if (c == '#') {
            *why = "must not have a fragment";
            return -1;
        }
    }

    return 0;
}


/* Behind the "//", or NULL. */

static const char *
ngx_http_agents_url_scheme(ngx_http_agents_url_t *url, const char *text,
    size_t len, const char **why)
{
    if (len >= 7 && strncasecmp(text, "http://", 7) == 0) {
        url->port = 80;
        return text + 7;
    }

    if (len >= 8 && strncasecmp(text, "https://", 8) == 0) {
        url->https = 1;
        url->port = 443;
        return text + 8;
    }

    *why = "must be an absolute url that begins with http:// or https://";

    return NULL;
}


static int
ngx_http_agents_url_authority(ngx_http_agents_url_t *url, const char **why)
{
    const char  *p, *end;

    p = url->authority;
    end = p + url->authority_len;

    if (memchr(p, '@', url->authority_len) != NULL) {
        *why = "must not have a user name or password";
        return -1;
    }

    if (p < end && *p == '[') {
        url->host = ++p;

        p = memchr(p, ']', (size_t) (end - p));
        if (p == NULL) {
            *why = "has a \"[\" without a \"]\"";
            return -1;
        }

        url->host_len = (size_t) (p - url->host);
        url->is_ipv6 = 1;
        p++;

    } else {
        url->host = p;

        while (p < end && *p != ':') {
            p++;
        }

        url->host_len = (size_t) (p - url->host);
    }

    if (p < end
        && ngx_http_agents_url_port(url, p, (size_t) (end - p), why) != 0)
    {
        return -1;
    }

    if (url->is_ipv6) {
        if (ngx_http_agents_url_ipv6(url) != 0) {
            *why = "has no valid IPv6 address in the brackets";
            return -1;
        }

        return 0;
    }

    /* "name." and "name" are the same host to a resolver */

    if (url->host_len > 1 && url->host[url->host_len - 1] == '.') {
        url->host_len--;
    }

    if (ngx_http_agents_url_name(url->host, url->host_len, why) != 0) {
        return -1;
    }

    if (ngx_http_agents_url_numeric(url->host, url->host_len)) {
        if (ngx_http_agents_url_ipv4(url) != 0) {
            *why = "has a host that is no valid IPv4 address, but ends in a "
                   "number";
            return -1;
        }

    } else if (ngx_http_agents_url_loopback(url->host, url->host_len)) {
        url->is_ipv4 = 1;
        url->address[0] = 127;
        url->address[3] = 1;
    }

    return 0;
}


/* From the colon on. */

static int
ngx_http_agents_url_port(ngx_http_agents_url_t *url, const char *text,
    size_t len, const char **why)
{
    size_t    i;
    uint32_t  port;

    if (text[0] != ':') {
        *why = "has something other than a port behind the \"]\"";
        return -1;
    }

    port = 0;

    if (len > 6) {
        goto invalid;
    }

    for (i = 1; i < len; i++) {

        if (text[i] < '0' || text[i] > '9') {
            goto invalid;
        }

        port = port * 10 + (uint32_t) (text[i] - '0');
    }

    if (port == 0 || port > 65535) {
        goto invalid;
    }

    url->port = (uint16_t) port;
    url->explicit_port = 1;

    return 0;

invalid:

    *why = "has a port that is no number from 1 to 65535";

    return -1;
}


static int
ngx_http_agents_url_name(const char *host, size_t len, const char **why)
{
    char    c;
    size_t  i, label;

    if (len == 0) {
        *why = "has no host";
        return -1;
    }

    if (len > NGX_HTTP_AGENTS_URL_HOST_MAX) {
        *why = "has a host that is too long";
        return -1;
    }

    label = 0;

    for (i = 0; i < len; i++) {
        c = host[i];

        if (c == '.') {
            if (label == 0) {
                break;
            }

            label = 0;
            continue;
        }

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
            && (c < '0' || c > '9') && c != '-' && c != '_')
        {
            *why = "has a host with a character that host names do not have";
            return -1;
        }

        if (++label > NGX_HTTP_AGENTS_URL_LABEL_MAX) {
            break;
        }
    }

    if (i < len || label == 0) {
        *why = "has a host with an empty or overlong part between its dots";
        return -1;
    }

    return 0;
}


/*
 * Whether the last part is a number.  No name of the public tree is, and what
 * inet_aton() takes is: the C library would connect to it as an address.
 */

static int
ngx_http_agents_url_numeric(const char *host, size_t len)
{
    int          hex;
    const char  *p, *end;

    end = host + len;
    p = end;

    while (p > host && p[-1] != '.') {
        p--;
    }

    hex = (end - p >= 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X'));

    if (hex) {
        p += 2;
    }

    for ( /* void */ ; p < end; p++) {
        if (ngx_http_agents_url_digit(*p) >= (hex ? 16 : 10)) {
            return 0;
        }
    }

    return 1;
}


/* "localhost" and what is below it are this machine to everyone (RFC 6761). */

static int
ngx_http_agents_url_loopback(const char *host, size_t len)
{
    size_t  n;

    n = sizeof("localhost") - 1;

    return len >= n
           && strncasecmp(host + len - n, "localhost", n) == 0
           && (len == n || host[len - n - 1] == '.');
}


/*
 * One to four numbers, decimal, octal (0...) or hexadecimal (0x...); the last
 * one fills the bytes that are left.
 */

static int
ngx_http_agents_url_ipv4(ngx_http_agents_url_t *url)
{
    int          i, n;
    uint64_t     number, limit;
    const char  *p, *end;

    p = url->host;
    end = p + url->host_len;

    for (n = 0; n < 4; n++) {

        p = ngx_http_agents_url_number(p, end, &number);
        if (p == NULL) {
            return -1;
        }

        if (p == end) {
            break;
        }

        if (number > 255) {
            return -1;
        }

        url->address[n] = (uint8_t) number;
        p++;
    }

    if (n == 4) {
        return -1;
    }

    limit = (uint64_t) 1 << (8 * (4 - n));

    if (number >= limit) {
        return -1;
    }

    for (i = 3; i >= n; i--) {
        url->address[i] = (uint8_t) (number & 0xff);
        number >>= 8;
    }

    url->is_ipv4 = 1;

    return 0;
}


/* The end or the dot behind a number, or NULL where none stands. */

static const char *
ngx_http_agents_url_number(const char *p, const char *end, uint64_t *number)
{
    int          digit, base;
    const char  *start;

    base = 10;

    if (end - p >= 2 && p[0] == '0' && p[1] != '.') {
        base = 8;
        p++;

        if (*p == 'x' || *p == 'X') {
            base = 16;
            p++;
        }
    }

    *number = 0;

    for (start = p; p < end && *p != '.'; p++) {
        digit = ngx_http_agents_url_digit(*p);

        if (digit >= base) {
            return NULL;
        }

        *number = *number * (uint64_t) base + (uint64_t) digit;

        if (*number > UINT32_MAX) {
            return NULL;
        }
    }

    return (p != start) ? p : NULL;
}


static int
ngx_http_agents_url_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }

    return 16;
}


/* inet_pton() takes no zone, which would be of no use to a client anyway. */

static int
ngx_http_agents_url_ipv6(ngx_http_agents_url_t *url)
{
    char  text[INET6_ADDRSTRLEN];

    if (url->host_len == 0 || url->host_len >= sizeof(text)) {
        return -1;
    }

    memcpy(text, url->host, url->host_len);
    text[url->host_len] = '\0';

    return (inet_pton(AF_INET6, text, url->address) == 1) ? 0 : -1;
}
