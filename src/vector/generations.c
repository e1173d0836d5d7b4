/* The generations of an index's folder: listed, and removed when nobody needs
 * them. */
#include "vector/index.h"

#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

char *vector_index_generation_path(const struct vector_index *index, uint64_t number)
{
    return index->path ? index_generation_path(index->path, number) : tn_strdup("");
}

/* ---- a list ---- */

static enum tn_code describe(const char *folder, uint64_t number, struct vector_generation *ret, struct tn_error *err)
{
    TN_CLEANUP(generation_close_p) struct generation *g = NULL;
    TN_AUTO_FREE char *path = index_generation_path(folder, number);
    struct stat st;
    TN_TRY(generation_open(path, false, &g, err));
    if (fstat(g->fd, &st) != 0)
        return tn_fail_errno(err, errno, "cannot look at %s", path);
    const struct generation_header *h = &g->header;
    *ret = (struct vector_generation){
        .number = number,
        .seed = h->seed,
        .rows = h->rows,
        .nodes = h->nodes,
        .last_change = h->last_change,
        .bytes = h->file_bytes,
        .built_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000,
        .degree = h->degree,
        .ef_construction = h->ef_construction,
        .code_bits = h->code_bits,
        .raw = (enum vector_type)h->raw_type,
    };
    return TN_OK;
}

static int by_number(const void *a, const void *b)
{
    const struct vector_generation *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static enum tn_code list_locked(struct vector_index *index, struct vector_generation *ret, size_t capacity,
                                size_t *ret_count, struct tn_error *err)
{
    uint64_t active, previous, number;
    size_t count = 0;
    bool log;
    TN_TRY(index_active_read(index->path, &active, &previous, err));
    DIR *folder = opendir(index->path);
    if (!folder)
        return tn_fail_errno(err, errno, "cannot list %s", index->path);
    for (struct dirent *entry; count < capacity && (entry = readdir(folder));) {
        if (!index_file_number(entry->d_name, &number, &log) || log || strstr(entry->d_name, ".tmp") ||
            number == index->building || describe(index->path, number, &ret[count], NULL) != TN_OK)
            continue; /* what cannot be read is no generation */
        ret[count].active = number == active;
        ret[count++].previous = number == previous;
    }
    (void)closedir(folder);
    if (count > 1)
        qsort(ret, count, sizeof *ret, by_number);
    *ret_count = count;
    return TN_OK;
}

enum tn_code vector_index_generations(struct vector_index *index, struct vector_generation *ret, size_t capacity,
                                      size_t *ret_count, struct tn_error *err)
{
    *ret_count = 0;
    if (!index->path)
        return TN_OK;
    (void)pthread_mutex_lock(&index->swap_lock);
    enum tn_code code = list_locked(index, ret, capacity, ret_count, err);
    (void)pthread_mutex_unlock(&index->swap_lock);
    return code;
}

/* ---- what may go ---- */

struct keeping {
    struct vector_index *index;
    const uint64_t *numbers;
    size_t count;
    uint64_t active, previous;
    uint64_t least_change; /* that all who stay include */
};

static bool stays(const struct keeping *keeping, uint64_t number)
{
    if (number == keeping->active || number == keeping->previous || number == keeping->index->building)
        return true;
    for (size_t i = 0; i < keeping->count; i++)
        if (keeping->numbers[i] == number)
            return true;
    return false;
}

static enum tn_code note_change(void *context, const struct delta_record *record, struct tn_error *err)
{
    uint64_t *last = context;
    (void)err;
    *last = TN_MAX(*last, record->change);
    return TN_OK;
}

/* A log of a generation that goes is needed while one that stays is older than
 * its last change: promoted, it would catch up from there. A log that cannot be
 * read is of no use to anybody. */
static bool is_log_needed(const struct keeping *keeping, uint64_t number)
{
    TN_AUTO_FREE char *path = index_log_path(keeping->index->path, number);
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
        return false;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return true;
    uint64_t last = 0;
    size_t whole;
    uint32_t dims = atomic_load(&keeping->index->state)->generation->space.dims;
    enum tn_code code = delta_log_replay(map, (size_t)st.st_size, path, dims, note_change, &last, &whole, NULL);
    (void)munmap(map, (size_t)st.st_size);
    return code == TN_OK && last > keeping->least_change;
}

static enum tn_code find_least_change(struct keeping *keeping, struct tn_error *err)
{
    TN_AUTO_FREE struct vector_generation *all = tn_calloc(VECTOR_GENERATIONS_MAX, sizeof *all);
    size_t count;
    keeping->least_change = UINT64_MAX;
    TN_TRY(list_locked(keeping->index, all, VECTOR_GENERATIONS_MAX, &count, err));
    for (size_t i = 0; i < count; i++)
        if (stays(keeping, all[i].number))
            keeping->least_change = TN_MIN(keeping->least_change, all[i].last_change);
    return TN_OK;
}

static enum tn_code keep_locked(struct keeping *keeping, struct tn_error *err)
{
    const char *path = keeping->index->path;
    uint64_t number;
    bool log;
    TN_TRY(index_active_read(path, &keeping->active, &keeping->previous, err));
    TN_TRY(find_least_change(keeping, err));
    DIR *folder = opendir(path);
    if (!folder)
        return tn_fail_errno(err, errno, "cannot list %s", path);
    enum tn_code code = TN_OK;
    for (struct dirent *entry; code == TN_OK && (entry = readdir(folder));) {
        if (!index_file_number(entry->d_name, &number, &log) || stays(keeping, number) ||
            (log && is_log_needed(keeping, number)))
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) != 0 && errno != ENOENT)
            code = tn_fail_errno(err, errno, "cannot remove %s/%s", path, entry->d_name);
    }
    (void)closedir(folder);
    return code;
}

enum tn_code vector_index_keep(struct vector_index *index, const uint64_t *numbers, size_t count,
                               struct tn_error *err)
{
    struct keeping keeping = {.index = index, .numbers = numbers, .count = count};
    if (index->read_only)
        return tn_fail(err, TN_EREADONLY, "the index is open read-only");
    (void)pthread_mutex_lock(&index->swap_lock);
    enum tn_code code = keep_locked(&keeping, err);
    (void)pthread_mutex_unlock(&index->swap_lock);
    return code;
}

enum tn_code vector_index_prune(struct vector_index *index, struct tn_error *err)
{
    return vector_index_keep(index, NULL, 0, err);
}
