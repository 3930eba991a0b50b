
/*
 * Takes memory away from chosen processes, for t/056-memory.t.  Preloaded; the
 * file that AGENTS_STARVE names is mapped by all of them: its first number says
 * that each so manieth allocation fails (0: none does); below 0 it is counted
 * up, and the one allocation that makes it 0 fails.  The others are the
 * processes that it is for.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>


#define NPIDS  15


extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);


static volatile int32_t  *starve;
static uint32_t           count;


__attribute__((constructor))
static void
starve_init(void)
{
    int          fd;
    void        *p;
    const char  *path;

    path = getenv("AGENTS_STARVE");
    fd = (path != NULL) ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd == -1) {
        return;
    }

    p = mmap(NULL, (1 + NPIDS) * sizeof(int32_t), PROT_READ|PROT_WRITE,
             MAP_SHARED, fd, 0);
    close(fd);

    if (p != MAP_FAILED) {
        starve = p;
    }
}


/* Whether it is this one's turn. */

static int
starve_turn(void)
{
    int32_t  every;

    every = starve[0];

    while (every < 0) {
        if (__atomic_compare_exchange_n(&starve[0], &every, every + 1, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        {
            return (every == -1);
        }
    }

    return (every != 0
            && __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) % every == 0);
}


static int
starve_now(void)
{
    int    i;
    pid_t  pid;

    if (starve == NULL || starve[0] == 0) {
        return 0;
    }

    pid = getpid();

    for (i = 1; i <= NPIDS; i++) {
        if (starve[i] == pid) {
            break;
        }
    }

    if (i > NPIDS || !starve_turn()) {
        return 0;
    }

    errno = ENOMEM;

    return 1;
}


void *
malloc(size_t size)
{
    return starve_now() ? NULL : __libc_malloc(size);
}


void *
calloc(size_t n, size_t size)
{
    return starve_now() ? NULL : __libc_calloc(n, size);
}


void *
realloc(void *p, size_t size)
{
    return starve_now() ? NULL : __libc_realloc(p, size);
}


int
posix_memalign(void **p, size_t alignment, size_t size)
{
    if (starve_now()) {
        return ENOMEM;
    }

    *p = __libc_memalign(alignment, size);

    return (*p != NULL) ? 0 : ENOMEM;
}


char *
strdup(const char *s)
{
    char    *copy;
    size_t   size;

    size = strlen(s) + 1;
    copy = starve_now() ? NULL : __libc_malloc(size);

    return (copy != NULL) ? memcpy(copy, s, size) : NULL;
}
