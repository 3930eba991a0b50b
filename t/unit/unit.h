
/*
 * Tests in C that print TAP: "unit" counts one check, "unit_done" ends a
 * program.  A test program is one .c file, so its state may be here.
 */


#ifndef _UNIT_H_INCLUDED_
#define _UNIT_H_INCLUDED_


#include <stdarg.h>
#include <stdio.h>
#include <string.h>


static int  unit_count;
static int  unit_failed;


/* One check: "name" is a printf format.  Returns whether it held. */

__attribute__((format(printf, 2, 3)))
static inline int
unit(int ok, const char *name, ...)
{
    va_list  args;

    unit_count++;
    unit_failed += !ok;

    printf("%sok %d - ", ok ? "" : "not ", unit_count);

    va_start(args, name);
    vprintf(name, args);
    va_end(args);

    printf("\n");
    fflush(stdout);

    return ok;
}


/* Two texts, shown where they differ; NULL equals NULL alone. */

__attribute__((noinline, unused))
static int
unit_text(const char *got, const char *expected, const char *name)
{
    int  ok;

    if (got == NULL || expected == NULL) {
        ok = (got == expected);

    } else {
        ok = (strcmp(got, expected) == 0);
    }

    unit(ok, "%s", name);

    if (!ok) {
        printf("#      got: %s\n# expected: %s\n",
               (got != NULL) ? got : "(null)",
               (expected != NULL) ? expected : "(null)");
    }

    return ok;
}


/* The plan, and the exit status of the program. */

static inline int
unit_done(void)
{
    printf("1..%d\n", unit_count);

    return (unit_failed != 0);
}


#endif /* _UNIT_H_INCLUDED_ */
