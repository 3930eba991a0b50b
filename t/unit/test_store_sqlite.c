
/*
 * What is SQLite's own: its file, several connections and processes, batches
 * in one commit, a disk that is full.
 */


#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ngx_http_agents_db_sqlite.h"
#include "unit.h"


#define READER  NGX_HTTP_AGENTS_DB_SQLITE_READER
#define INLINE  NGX_HTTP_AGENTS_DB_SQLITE_INLINE
#define WRITER  NGX_HTTP_AGENTS_DB_SQLITE_WRITER


static const ngx_http_agents_db_query_t  insert = {
    "insert", "INSERT INTO agents_workers (id, lease_until)"
              " VALUES ({id}, {until:int})"
};

static const ngx_http_agents_db_query_t  count = {
    "count", "SELECT COUNT(*), NULL, 'x' FROM agents_workers"
             " WHERE id LIKE {like}"
};

static const ngx_http_agents_db_query_t  malformed = {
    "malformed", "SELEC {id}"
};


static char   dir[] = "/tmp/agents-sqlite-XXXXXX";
static char   path[64];
static char   err[512];


static ngx_http_agents_db_batch_t *
new_batch(ngx_http_agents_db_kind_e kind)
{
    ngx_http_agents_db_batch_t  *b;

    b = ngx_http_agents_db_batch(kind, NULL, NULL);
    if (b == NULL) {
        printf("Bail out! no memory\n");
        exit(1);
    }

    return b;
}


/* A batch that inserts "id" and then "second", if there is one. */

static ngx_http_agents_db_batch_t *
insertion(const char *id, const char *second)
{
    ngx_http_agents_db_batch_t  *b;

    b = new_batch(NGX_HTTP_AGENTS_DB_WRITE);

    ngx_http_agents_db_add(b, &insert);
    ngx_http_agents_db_cstr(b, "id", id);
    ngx_http_agents_db_int(b, "until", 1);

    if (second) {
        ngx_http_agents_db_add(b, &insert);
        ngx_http_agents_db_cstr(b, "id", second);
        ngx_http_agents_db_int(b, "until", 1);
    }

    return b;
}


static int
write_one(ngx_http_agents_db_sqlite_t *conn, const char *id)
{
    ngx_http_agents_db_batch_t   *b;
    ngx_http_agents_db_status_e   status;

    b = insertion(id, NULL);
    ngx_http_agents_db_sqlite_write(conn, b);
    status = ngx_http_agents_db_status(b);
    ngx_http_agents_db_batch_free(b);

    return (int) status;
}


static int64_t
rows_like(ngx_http_agents_db_sqlite_t *conn, const char *like)
{
    int64_t                      n;
    ngx_http_agents_db_batch_t  *b;

    b = new_batch(NGX_HTTP_AGENTS_DB_READ);
    ngx_http_agents_db_add(b, &count);
    ngx_http_agents_db_cstr(b, "like", like);
    ngx_http_agents_db_sqlite_read(conn, b);

    n = ngx_http_agents_db_status(b) == NGX_HTTP_AGENTS_DB_OK
        ? ngx_http_agents_db_get_int(b, 0, 0, 0) : -1;

    ngx_http_agents_db_batch_free(b);

    return n;
}


static ngx_http_agents_db_sqlite_t *
open_or_die(ngx_http_agents_db_sqlite_mode_e mode)
{
    ngx_http_agents_db_sqlite_t  *conn;

    conn = ngx_http_agents_db_sqlite_open(path, mode, err, sizeof(err));

    if (conn == NULL) {
        printf("Bail out! %s\n", err);
        exit(1);
    }

    return conn;
}


static void
remove_file(void)
{
    char  name[80];

    (void) unlink(path);
    snprintf(name, sizeof(name), "%s-wal", path);
    (void) unlink(name);
    snprintf(name, sizeof(name), "%s-shm", path);
    (void) unlink(name);
}


static mode_t
mode_of(const char *suffix)
{
    char         name[80];
    struct stat  st;

    snprintf(name, sizeof(name), "%s%s", path, suffix);

    return stat(name, &st) == 0 ? st.st_mode & 0777 : 0;
}


static void
test_file(void)
{
    ngx_http_agents_db_sqlite_t  *conn, *reader;

    unit(ngx_http_agents_db_sqlite_open("", WRITER, err, sizeof(err)) == NULL,
         "no path: %s", err);
    unit(ngx_http_agents_db_sqlite_open(":memory:", WRITER, err, sizeof(err))
         == NULL, "no file: %s", err);
    unit(ngx_http_agents_db_sqlite_open("/nowhere/at/all.db", WRITER, err,
                                        sizeof(err)) == NULL
         && strstr(err, "\"/nowhere/at\"") != NULL, "no directory: %s", err);
    unit(ngx_http_agents_db_sqlite_open(dir, WRITER, err, sizeof(err)) == NULL,
         "a directory: %s", err);
    unit(ngx_http_agents_db_sqlite_open(path, READER, err, sizeof(err))
         == NULL, "nothing to read: %s", err);

    conn = open_or_die(WRITER);
    (void) write_one(conn, "mode");

    unit(mode_of("") == 0600 && mode_of("-wal") == 0600
         && mode_of("-shm") == 0600, "the files are their owner's alone");

    reader = open_or_die(INLINE);
    unit(rows_like(reader, "mode") == 1, "a reader sees what was committed");
    unit(write_one(reader, "never") == NGX_HTTP_AGENTS_DB_UNAVAILABLE,
         "and writes nothing");

    ngx_http_agents_db_sqlite_close(reader);
    ngx_http_agents_db_sqlite_close(conn);
}


static void
test_list(void)
{
    ngx_http_agents_db_batch_t   *b[6], *list;
    ngx_http_agents_db_sqlite_t  *conn;
    size_t                        i;

    conn = open_or_die(WRITER);

    b[0] = insertion("list-a", "list-b");
    b[1] = insertion("list-c", "list-a");   /* a is there */
    b[2] = insertion("list-c", NULL);

    b[3] = insertion("list-d", NULL);       /* a parameter has no value */
    ngx_http_agents_db_add(b[3], &insert);
    ngx_http_agents_db_cstr(b[3], "id", "list-e");

    b[4] = insertion("list-f", NULL);
    ngx_http_agents_db_add(b[4], &malformed);
    ngx_http_agents_db_cstr(b[4], "id", "x");

    b[5] = insertion("list-g", NULL);

    for (i = 0; i < 5; i++) {
        b[i]->next = b[i + 1];
    }

    list = b[0];
    ngx_http_agents_db_sqlite_write(conn, list);

    unit(b[0]->status == NGX_HTTP_AGENTS_DB_OK
         && ngx_http_agents_db_changes(b[0], 1) == 1, "the first is written");
    unit(b[1]->status == NGX_HTTP_AGENTS_DB_CONSTRAINT
         && ngx_http_agents_db_changes(b[1], 0) == 0,
         "the second is refused: %s", b[1]->error);
    unit(b[2]->status == NGX_HTTP_AGENTS_DB_OK,
         "and has left nothing in the third's way");
    unit(b[3]->status == NGX_HTTP_AGENTS_DB_ERROR, "a fault of ours: %s",
         b[3]->error);
    unit(b[4]->status == NGX_HTTP_AGENTS_DB_ERROR, "another: %s",
         b[4]->error);
    unit(b[5]->status == NGX_HTTP_AGENTS_DB_OK, "the last is written");
    unit(rows_like(conn, "list-%") == 4, "what is OK is there, no more");
    unit(!ngx_http_agents_db_sqlite_broken(conn), "the connection is well");

    for (i = 0; i < 6; i++) {
        ngx_http_agents_db_batch_free(b[i]);
    }

    b[0] = new_batch(NGX_HTTP_AGENTS_DB_READ);
    ngx_http_agents_db_add(b[0], &count);
    ngx_http_agents_db_cstr(b[0], "like", "list-%");
    ngx_http_agents_db_sqlite_read(conn, b[0]);
    unit_text(ngx_http_agents_db_get(b[0], 0, 0, 0, NULL), "4",
              "a number as a text");
    unit_text(ngx_http_agents_db_get(b[0], 0, 0, 1, NULL), NULL, "a NULL");
    unit_text(ngx_http_agents_db_get(b[0], 0, 0, 2, NULL), "x", "a text");
    unit(ngx_http_agents_db_get_int(b[0], 0, 0, 1) == 0
         && ngx_http_agents_db_get(b[0], 0, 1, 0, NULL) == NULL
         && ngx_http_agents_db_get(b[0], 0, 0, 3, NULL) == NULL,
         "what is not there");
    ngx_http_agents_db_batch_free(b[0]);

    ngx_http_agents_db_sqlite_close(conn);
}


/* In a process of its own: opens the file and writes "n" rows, one a commit. */

static void
child(int number, int n)
{
    int                           i;
    char                          id[32];
    ngx_http_agents_db_sqlite_t  *conn;

    conn = ngx_http_agents_db_sqlite_open(path, WRITER, err, sizeof(err));

    if (conn == NULL) {
        fprintf(stderr, "# %s\n", err);
        _exit(1);
    }

    for (i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "child-%d-%d", number, i);

        if (write_one(conn, id) != NGX_HTTP_AGENTS_DB_OK) {
            _exit(2);
        }
    }

    ngx_http_agents_db_sqlite_close(conn);
    _exit(0);
}


static void
test_processes(void)
{
    int                           i, status, good;
    pid_t                         pid[6];
    ngx_http_agents_db_sqlite_t  *conn;

    remove_file();
    fflush(stdout);

    for (i = 0; i < 6; i++) {
        pid[i] = fork();

        if (pid[i] == 0) {
            child(i, 20);
        }
    }

    for (good = 0, i = 0; i < 6; i++) {
        if (pid[i] > 0 && waitpid(pid[i], &status, 0) == pid[i]
            && status == 0)
        {
            good++;
        }
    }

    unit(good == 6, "six processes make, migrate and write one file");

    conn = open_or_die(WRITER);
    unit(rows_like(conn, "child-%") == 120, "and lose nothing");
    ngx_http_agents_db_sqlite_close(conn);
}


static void
test_locked(void)
{
    ngx_http_agents_db_sqlite_t  *conn, *other, *reader, *inl;
    ngx_http_agents_db_batch_t   *b;

    static const ngx_http_agents_db_query_t  lock = {
        "lock", "BEGIN IMMEDIATE"
    };
    static const ngx_http_agents_db_query_t  unlock = {
        "unlock", "ROLLBACK"
    };

    conn = open_or_die(WRITER);
    other = open_or_die(WRITER);
    reader = open_or_die(READER);
    inl = open_or_die(INLINE);

    b = new_batch(NGX_HTTP_AGENTS_DB_READ);
    ngx_http_agents_db_add(b, &lock);
    ngx_http_agents_db_sqlite_read(other, b);
    unit(ngx_http_agents_db_status(b) == NGX_HTTP_AGENTS_DB_OK,
         "someone holds the lock");
    ngx_http_agents_db_batch_free(b);

    unit(write_one(conn, "locked") == NGX_HTTP_AGENTS_DB_UNAVAILABLE
         && !ngx_http_agents_db_sqlite_broken(conn),
         "a writer waits, but not for ever");
    unit(rows_like(reader, "locked") == 0 && rows_like(inl, "locked") == 0,
         "readers do not wait");

    b = new_batch(NGX_HTTP_AGENTS_DB_READ);
    ngx_http_agents_db_add(b, &unlock);
    ngx_http_agents_db_sqlite_read(other, b);
    ngx_http_agents_db_batch_free(b);

    unit(write_one(conn, "locked") == NGX_HTTP_AGENTS_DB_OK,
         "then it writes");

    ngx_http_agents_db_sqlite_close(inl);
    ngx_http_agents_db_sqlite_close(reader);
    ngx_http_agents_db_sqlite_close(other);
    ngx_http_agents_db_sqlite_close(conn);
}


/* A limit on the size of files is this process's full disk. */

static void
test_full(void)
{
    char                         *big;
    struct rlimit                 old, small;
    ngx_http_agents_db_batch_t   *first, *second;
    ngx_http_agents_db_sqlite_t  *conn;

    conn = open_or_die(WRITER);

    big = malloc(8000001);
    if (big == NULL || getrlimit(RLIMIT_FSIZE, &old) != 0) {
        printf("Bail out! no memory\n");
        exit(1);
    }

    memset(big, 'x', 8000000);
    big[8000000] = '\0';

    (void) signal(SIGXFSZ, SIG_IGN);
    small = old;
    small.rlim_cur = 1000000;
    (void) setrlimit(RLIMIT_FSIZE, &small);

    first = insertion("full-a", NULL);
    second = insertion("full-b", big);
    first->next = second;
    ngx_http_agents_db_sqlite_write(conn, first);

    unit(first->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE
         || first->status == NGX_HTTP_AGENTS_DB_UNKNOWN,
         "a full disk: %s", first->error);
    unit(second->status == NGX_HTTP_AGENTS_DB_UNAVAILABLE
         || second->status == NGX_HTTP_AGENTS_DB_UNKNOWN,
         "for all of the commit: %s", second->error);

    (void) setrlimit(RLIMIT_FSIZE, &old);

    if (ngx_http_agents_db_sqlite_broken(conn)) {
        ngx_http_agents_db_sqlite_close(conn);
        conn = open_or_die(WRITER);
    }

    unit(rows_like(conn, "full-%") == 0, "nothing of it is there");
    unit(write_one(conn, "full-c") == NGX_HTTP_AGENTS_DB_OK,
         "and there is room again");

    ngx_http_agents_db_batch_free(first);
    ngx_http_agents_db_batch_free(second);
    free(big);

    /* a file that is taken away under a connection */

    remove_file();
    unit(write_one(conn, "gone") == NGX_HTTP_AGENTS_DB_UNAVAILABLE
         && ngx_http_agents_db_sqlite_broken(conn),
         "a file that is gone is noticed");
    ngx_http_agents_db_sqlite_close(conn);

    conn = open_or_die(WRITER);
    unit(write_one(conn, "new") == NGX_HTTP_AGENTS_DB_OK, "and made anew");
    ngx_http_agents_db_sqlite_close(conn);
}


int
main(void)
{
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory\n");
        return 1;
    }

    snprintf(path, sizeof(path), "%s/agents.db", dir);

    test_file();
    test_list();
    test_processes();
    test_locked();
    test_full();

    remove_file();
    (void) rmdir(dir);

    return unit_done();
}
