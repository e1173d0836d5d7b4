/* A set of paths: open addressing, grown by doubling. */
#include "base/hash.h"
#include "base/str.h"
#include "iceberg/tx_internal.h"

#include <string.h>

static size_t tx_paths_slot(const char *const *slots, size_t capacity, const char *path)
{
    size_t at = (size_t)tn_hash64(path, strlen(path), 1) & (capacity - 1);
    while (slots[at] && !tn_streq(slots[at], path))
        at = (at + 1) & (capacity - 1);
    return at;
}

static void tx_paths_grow(struct tx_paths *paths)
{
    size_t capacity = paths->capacity ? paths->capacity * 2 : 16;
    const char **slots = tn_calloc(capacity, sizeof *slots);
    for (size_t i = 0; i < paths->capacity; i++)
        if (paths->slots[i])
            slots[tx_paths_slot(slots, capacity, paths->slots[i])] = paths->slots[i];
    free((void *)paths->slots);
    paths->slots = slots;
    paths->capacity = capacity;
}

bool tx_paths_add(struct tx_paths *paths, const char *path)
{
    if (paths->count * 2 >= paths->capacity)
        tx_paths_grow(paths);
    size_t at = tx_paths_slot(paths->slots, paths->capacity, path);
    if (paths->slots[at])
        return false;
    paths->slots[at] = path;
    paths->count++;
    return true;
}

bool tx_paths_has(const struct tx_paths *paths, const char *path)
{
    return paths->count && paths->slots[tx_paths_slot(paths->slots, paths->capacity, path)];
}

void tx_paths_release(struct tx_paths *paths)
{
    free((void *)paths->slots);
    *paths = (struct tx_paths){0};
}
