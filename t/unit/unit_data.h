
/*
 * Files of test data: read whole, or a folder's in the order of their names.
 */


#ifndef _UNIT_DATA_H_INCLUDED_
#define _UNIT_DATA_H_INCLUDED_


#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* A malloc'd text with a NUL behind it; ends the program without the file. */

static inline char *
unit_read(const char *path, size_t *len)
{
    char    *data;
    FILE    *file;
    size_t   n, size;

    file = fopen(path, "rb");
    if (file == NULL) {
        printf("Bail out! cannot open %s\n", path);
        exit(1);
    }

    n = 0;
    size = 4096;
    data = malloc(size);

    while (data != NULL) {
        n += fread(data + n, 1, size - n - 1, file);

        if (n < size - 1) {
            break;
        }

        size *= 2;
        data = realloc(data, size);
    }

    fclose(file);

    if (data == NULL) {
        printf("Bail out! no memory for %s\n", path);
        exit(1);
    }

    data[n] = '\0';

    if (len != NULL) {
        *len = n;
    }

    return data;
}


static inline int
unit_visible(const struct dirent *entry)
{
    return (entry->d_name[0] != '.');
}


/*
 * Calls "test" with the path and the name of each file of a folder below
 * UNIT_DATA whose name ends so; returns how many there were.
 */

static inline int
unit_each(const char *folder, const char *suffix,
    void (*test)(const char *path, const char *name))
{
    int             i, n, count;
    char            path[4096];
    size_t          len;
    struct dirent  **list;

    (void) snprintf(path, sizeof(path), "%s/%s", UNIT_DATA, folder);

    n = scandir(path, &list, unit_visible, alphasort);
    if (n < 0) {
        printf("Bail out! cannot read the folder %s\n", path);
        exit(1);
    }

    count = 0;

    for (i = 0; i < n; i++) {
        len = strlen(list[i]->d_name);

        if (len >= strlen(suffix)
            && strcmp(list[i]->d_name + len - strlen(suffix), suffix) == 0)
        {
            (void) snprintf(path, sizeof(path), "%s/%s/%s", UNIT_DATA, folder,
                            list[i]->d_name);
            test(path, list[i]->d_name);
            count++;
        }

        free(list[i]);
    }

    free(list);

    return count;
}


#endif /* _UNIT_DATA_H_INCLUDED_ */
