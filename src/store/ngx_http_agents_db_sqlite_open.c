
/*
 * How a connection to SQLite is opened: the file, its settings, its schema,
 * and how long it waits for locks.  No nginx.
 */


#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ngx_http_agents_db_sqlite_core.h"
#include "ngx_http_agents_migrations.h"


/* How long a connection waits for locks, in all. */
#define NGX_HTTP_AGENTS_DB_SQLITE_PATIENCE  5000    /* ms */


static int ngx_http_agents_db_sqlite_create(const char *path, char *err,
    size_t errlen);
static int ngx_http_agents_db_sqlite_setup(ngx_http_agents_db_sqlite_t *conn,
    char *err, size_t errlen);
static int ngx_http_agents_db_sqlite_wal(ngx_http_agents_db_sqlite_t *conn);
static int ngx_http_agents_db_sqlite_version(ngx_http_agents_db_sqlite_t *conn,
    int64_t *version);
static int ngx_http_agents_db_sqlite_migrate(
    ngx_http_agents_db_sqlite_t *conn);
static int ngx_http_agents_db_sqlite_busy(void *data, int n);


/* What each mode sets once it is open. */
static const char *const  ngx_http_agents_db_sqlite_pragmas[] = {

    /* reader: not mapped, since a map is made anew after every commit */

    "PRAGMA query_only = 1; PRAGMA temp_store = MEMORY",

    /* inline: many reads between two commits */

    "PRAGMA query_only = 1; PRAGMA mmap_size = 268435456;"
    "PRAGMA temp_store = MEMORY",

    /* writer: what was acknowledged survives a power cut */

    "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;"
    "PRAGMA temp_store = MEMORY",

    /* the same */

    "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;"
    "PRAGMA temp_store = MEMORY"
};


ngx_http_agents_db_sqlite_t *
ngx_http_agents_db_sqlite_open(const char *path,
    ngx_http_agents_db_sqlite_mode_e mode, char *err, size_t errlen)
{
    int                           flags, rc;
    ngx_http_agents_db_sqlite_t  *conn;

    /* names with a meaning of their own to SQLite */

    if (path[0] == '\0' || path[0] == ':'
        || strncmp(path, "file:", 5) == 0)
    {
        snprintf(err, errlen, "\"%s\" is not the path of a file", path);
        return NULL;
    }

    flags = SQLITE_OPEN_READWRITE|SQLITE_OPEN_NOMUTEX;

    if (mode != NGX_HTTP_AGENTS_DB_SQLITE_WRITER
        && access(path, F_OK) != 0 && errno == ENOENT)
    {
        snprintf(err, errlen, "\"%s\" is gone: put it back, or reload nginx to "
                 "begin with a new one", path);
        return NULL;
    }

    if (mode == NGX_HTTP_AGENTS_DB_SQLITE_WRITER
        && ngx_http_agents_db_sqlite_create(path, err, errlen) != 0)
    {
        return NULL;
    }

    conn = calloc(1, sizeof(ngx_http_agents_db_sqlite_t));
    if (conn == NULL) {
        snprintf(err, errlen, "no memory");
        return NULL;
    }

    conn->mode = mode;
    conn->patience = NGX_HTTP_AGENTS_DB_SQLITE_PATIENCE;

    rc = sqlite3_open_v2(path, &conn->db, flags, NULL);

    if (rc != SQLITE_OK) {
        snprintf(err, errlen, "cannot open \"%s\": %s", path,
                 conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc));
        ngx_http_agents_db_sqlite_close(conn);
        return NULL;
    }

    if (ngx_http_agents_db_sqlite_setup(conn, err, errlen) != 0) {
        ngx_http_agents_db_sqlite_close(conn);
        return NULL;
    }

    return conn;
}


/*
 * Makes an empty file that only its owner may read.  Of a file that is there
 * no descriptor is opened: closing it would drop all locks that this process
 * has on it.
 */

static int
ngx_http_agents_db_sqlite_create(const char *path, char *err, size_t errlen)
{
    int          fd, rc;
    char        *copy;
    struct stat  st;
    const char  *dir;

    fd = open(path, O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, S_IRUSR|S_IWUSR);

    if (fd == -1 && errno == EEXIST) {
        return 0;
    }

    rc = fd == -1 ? errno : 0;

    copy = strdup(path);
    if (copy == NULL) {
        snprintf(err, errlen, "no memory");
        goto failed;
    }

    dir = dirname(copy);

    if (rc == ENOENT || rc == ENOTDIR) {
        snprintf(err, errlen, "the directory \"%s\" of \"%s\" does not exist: "
                 "make it first, writable by the user of nginx's workers",
                 dir, path);
        goto failed;
    }

    if (fd == -1) {
        snprintf(err, errlen, "cannot make \"%s\": %s (it must be writable by "
                 "the user of nginx's workers)", path, strerror(rc));
        goto failed;
    }

    /* made by root, it is for those to whom the directory belongs */

    if (geteuid() == 0
        && (stat(dir, &st) != 0 || fchown(fd, st.st_uid, st.st_gid) != 0))
    {
        snprintf(err, errlen, "cannot hand \"%s\" to the owner of its "
                 "directory: %s", path, strerror(errno));
        goto failed;
    }

    free(copy);
    close(fd);

    return 0;

failed:

    free(copy);

    if (fd != -1) {
        close(fd);
    }

    return -1;
}


void
ngx_http_agents_db_sqlite_close(ngx_http_agents_db_sqlite_t *conn)
{
    size_t  i;

    if (conn == NULL) {
        return;
    }

    for (i = 0; i < conn->n; i++) {
        sqlite3_finalize(conn->prepared[i].stmt);
        ngx_http_agents_db_template_free(&conn->prepared[i].tmpl);
    }

    free(conn->prepared);
    sqlite3_close(conn->db);
    free(conn);
}


void
ngx_http_agents_db_sqlite_patience(ngx_http_agents_db_sqlite_t *conn,
    long msec)
{
    conn->patience = msec;
}


static int
ngx_http_agents_db_sqlite_setup(ngx_http_agents_db_sqlite_t *conn, char *err,
    size_t errlen)
{
    int      rc;
    int64_t  version;

    sqlite3_extended_result_codes(conn->db, 1);

    /* opening may wait, whatever the connection is for */

    rc = sqlite3_busy_handler(conn->db, ngx_http_agents_db_sqlite_busy, conn);

    if (rc == SQLITE_OK && conn->mode == NGX_HTTP_AGENTS_DB_SQLITE_WRITER) {
        rc = ngx_http_agents_db_sqlite_wal(conn);
    }

    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(conn->db,
                          ngx_http_agents_db_sqlite_pragmas[conn->mode],
                          NULL, NULL, NULL);
    }

    if (rc == SQLITE_OK && conn->mode == NGX_HTTP_AGENTS_DB_SQLITE_WRITER) {
        rc = ngx_http_agents_db_sqlite_migrate(conn);
    }

    version = 0;

    if (rc == SQLITE_OK) {
        rc = ngx_http_agents_db_sqlite_version(conn, &version);
    }

    if (rc == SQLITE_OK && conn->mode == NGX_HTTP_AGENTS_DB_SQLITE_INLINE) {
        rc = sqlite3_busy_handler(conn->db, NULL, NULL);
    }

    if (rc != SQLITE_OK) {
        snprintf(err, errlen, "cannot set up \"%s\": %s",
                 sqlite3_db_filename(conn->db, "main"),
                 sqlite3_errmsg(conn->db));
        return -1;
    }

    if (version < NGX_HTTP_AGENTS_MIGRATIONS_N) {
        snprintf(err, errlen, "\"%s\" has schema version %" PRId64
                 ", needed is %d: reload nginx to bring it up to date",
                 sqlite3_db_filename(conn->db, "main"), version,
                 NGX_HTTP_AGENTS_MIGRATIONS_N);
        return -1;
    }

    return 0;
}


/*
 * While another connection changes the journal's mode, SQLite answers "busy"
 * without asking the busy handler.
 */

static int
ngx_http_agents_db_sqlite_wal(ngx_http_agents_db_sqlite_t *conn)
{
    int  n, rc;

    for (n = 0; ; n++) {
        rc = sqlite3_exec(conn->db, "PRAGMA journal_mode = WAL", NULL, NULL,
                          NULL);

        if ((rc & 0xff) != SQLITE_BUSY
            || !ngx_http_agents_db_sqlite_busy(conn, n))
        {
            return rc;
        }
    }
}


static int
ngx_http_agents_db_sqlite_version(ngx_http_agents_db_sqlite_t *conn,
    int64_t *version)
{
    int            rc;
    sqlite3_stmt  *stmt;

    *version = 0;

    rc = sqlite3_prepare_v2(conn->db, "SELECT 1 FROM sqlite_schema"
                            " WHERE type = 'table' AND name = 'agents_schema'",
                            -1, &stmt, NULL);
    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = sqlite3_step(stmt);
    sqlite3_finalize(stmt);

    if (rc != SQLITE_ROW) {
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
    }

    rc = sqlite3_prepare_v2(conn->db, ngx_http_agents_migrations_version.sql,
                            -1, &stmt, NULL);
    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW) {
        *version = sqlite3_column_int64(stmt, 0);
        rc = SQLITE_OK;
    }

    sqlite3_finalize(stmt);

    return rc;
}


/* Under the write lock, since several workers open the file at once. */

static int
ngx_http_agents_db_sqlite_migrate(ngx_http_agents_db_sqlite_t *conn)
{
    int          rc;
    int64_t      version;
    const char  *sql;

    rc = ngx_http_agents_db_sqlite_version(conn, &version);

    if (rc != SQLITE_OK || version >= NGX_HTTP_AGENTS_MIGRATIONS_N) {
        return rc;
    }

    rc = sqlite3_exec(conn->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = ngx_http_agents_db_sqlite_version(conn, &version);

    while (rc == SQLITE_OK) {
        sql = ngx_http_agents_migrations_next(NGX_HTTP_AGENTS_DB_SQLITE,
                                              version);
        if (sql == NULL) {
            break;
        }

        rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
        version++;
    }

    /* a failure rolls back with the connection, which keeps its message */

    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(conn->db, "COMMIT", NULL, NULL, NULL);
    }

    return rc;
}


static int
ngx_http_agents_db_sqlite_busy(void *data, int n)
{
    ngx_http_agents_db_sqlite_t *conn = data;

    long             ms;
    unsigned char    random;
    struct timespec  now, pause;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }

    if (n == 0) {
        conn->since = now;
    }

    ms = (now.tv_sec - conn->since.tv_sec) * 1000
         + (now.tv_nsec - conn->since.tv_nsec) / 1000000;

    if (ms >= conn->patience) {
        return 0;
    }

    /* from 0.2 ms up to 1 ms at first, up to 8 ms later on */

    sqlite3_randomness(1, &random);

    pause.tv_sec = 0;
    pause.tv_nsec = 200000 + random * (n < 8 ? 3000L : 30000L);

    (void) nanosleep(&pause, NULL);

    return 1;
}
