/* The rows of files that were just written, by the file's path. */
#include "dataset/fresh.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define BUCKETS    4096
#define BYTES_MAX  ((size_t)32 << 20)
#define FILE_BYTES ((size_t)4 << 20) /* of one file; more is no small file */

/* One block: this, the cells, their texts, the path. */
struct entry {
    struct fresh_file shown; /* first */
    atomic_size_t references;
    int32_t schema_id;
    size_t bytes;
    const char *path;
    struct entry *next;          /* in its bucket */
    struct entry *older, *newer; /* of all */
};

struct dataset_fresh {
    pthread_mutex_t mutex;
    struct entry *buckets[BUCKETS];
    struct entry *oldest, *newest;
    size_t bytes;
};

struct dataset_fresh *dataset_fresh_new(void)
{
    struct dataset_fresh *fresh = tn_calloc(1, sizeof *fresh);
    (void)pthread_mutex_init(&fresh->mutex, NULL);
    return fresh;
}

static void entry_unref(struct entry *entry)
{
    if (entry && atomic_fetch_sub(&entry->references, 1) == 1)
        free(entry);
}

static struct entry **link_of(struct dataset_fresh *fresh, const char *path)
{
    struct entry **link = &fresh->buckets[tn_hash64(path, strlen(path), 0) % BUCKETS];
    while (*link && !tn_streq((*link)->path, path))
        link = &(*link)->next;
    return link;
}

/* With the mutex held; the caller lets go of it. */
static struct entry *take_out(struct dataset_fresh *fresh, struct entry **link)
{
    struct entry *entry = *link;
    *link = entry->next;
    *(entry->older ? &entry->older->newer : &fresh->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &fresh->newest) = entry->older;
    fresh->bytes -= entry->bytes;
    return entry;
}

void dataset_fresh_free(struct dataset_fresh *fresh)
{
    if (!fresh)
        return;
    while (fresh->oldest)
        entry_unref(take_out(fresh, link_of(fresh, fresh->oldest->path)));
    (void)pthread_mutex_destroy(&fresh->mutex);
    free(fresh);
}

/* ---- noting ----------------------------------------------------------------------- */

static bool has_text(const struct cells_shape *shape, const struct engine_cell *row, size_t column)
{
    enum engine_kind kind = shape->columns[column].type.kind;
    return !row[column].null && row[column].text.data &&
           (kind == ENGINE_VARCHAR || kind == ENGINE_BLOB || kind == ENGINE_OTHER);
}

static size_t size_of(const struct cells_shape *shape, const struct engine_cell *const *rows, size_t count,
                      const char *path)
{
    size_t bytes = sizeof(struct entry) + strlen(path) + 1;
    for (size_t row = 0; row < count && bytes <= FILE_BYTES; row++) {
        bytes += shape->width * sizeof(struct engine_cell);
        for (size_t i = 0; i < shape->width; i++)
            bytes += has_text(shape, rows[row], i) ? rows[row][i].text.length + 1 : 0;
    }
    return bytes;
}

static struct entry *entry_new(const struct cells_shape *shape, const struct engine_cell *const *rows, size_t count,
                               const char *path, size_t bytes)
{
    struct entry *entry = tn_malloc(bytes);
    struct engine_cell *cells = (struct engine_cell *)(void *)(entry + 1);
    char *at = (char *)(cells + count * shape->width);
    *entry = (struct entry){
        .shown = {cells, count, shape->width}, .references = 1, .schema_id = shape->schema->id, .bytes = bytes};
    for (size_t row = 0; row < count; row++, cells += shape->width) {
        memcpy(cells, rows[row], shape->width * sizeof *cells);
        for (size_t i = 0; i < shape->width; i++) {
            if (!has_text(shape, rows[row], i))
                continue;
            memcpy(at, rows[row][i].text.data, rows[row][i].text.length);
            at[rows[row][i].text.length] = '\0';
            cells[i].text.data = at;
            at += rows[row][i].text.length + 1;
        }
    }
    memcpy(at, path, strlen(path) + 1);
    entry->path = at;
    return entry;
}

void dataset_fresh_note(struct dataset_fresh *fresh, const char *path, const struct cells_shape *shape,
                        const struct engine_cell *const *rows, size_t count)
{
    size_t bytes = fresh ? size_of(shape, rows, count, path) : 0;
    if (!fresh || bytes > FILE_BYTES)
        return;
    struct entry *entry = entry_new(shape, rows, count, path, bytes);
    (void)pthread_mutex_lock(&fresh->mutex);
    struct entry **link = link_of(fresh, path);
    if (*link)
        entry_unref(take_out(fresh, link));
    entry->next = *link;
    *link = entry;
    entry->older = fresh->newest;
    *(fresh->newest ? &fresh->newest->newer : &fresh->oldest) = entry;
    fresh->newest = entry;
    fresh->bytes += bytes;
    while (fresh->bytes > BYTES_MAX)
        entry_unref(take_out(fresh, link_of(fresh, fresh->oldest->path)));
    (void)pthread_mutex_unlock(&fresh->mutex);
}

/* ---- using --------------------------------------------------------------------------- */

const struct fresh_file *dataset_fresh_find(struct dataset_fresh *fresh, const char *path, int32_t schema_id)
{
    if (!fresh)
        return NULL;
    (void)pthread_mutex_lock(&fresh->mutex);
    struct entry *entry = *link_of(fresh, path);
    if (entry && entry->schema_id != schema_id)
        entry = NULL;
    if (entry)
        (void)atomic_fetch_add(&entry->references, 1);
    (void)pthread_mutex_unlock(&fresh->mutex);
    return entry ? &entry->shown : NULL;
}

void dataset_fresh_unref(const struct fresh_file *file)
{
    entry_unref((struct entry *)(uintptr_t)file);
}

void dataset_fresh_forget(struct dataset_fresh *fresh, const char *path)
{
    if (!fresh)
        return;
    (void)pthread_mutex_lock(&fresh->mutex);
    struct entry **link = link_of(fresh, path);
    struct entry *gone = *link ? take_out(fresh, link) : NULL;
    (void)pthread_mutex_unlock(&fresh->mutex);
    entry_unref(gone);
}
