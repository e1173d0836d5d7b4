/* The registry: names and the newest version of each, kept in memory.
 *
 * One mutex guards the sorted array of entries and every entry's `newest`.
 * Nothing slow happens under it: a table is read from the store under the
 * entry's own writer lock. Entries are never removed (a dropped dataset keeps
 * its entry, with no version), so a pointer to one stays good.
 *
 * Order of locks: entry->writer, then catalog->mutex.
 */
#include "catalog/catalog_internal.h"

#include <pthread.h>
#include <string.h>

#define MANIFEST_CACHE_BYTES ((size_t)64 << 20)

struct catalog_lock {
    pthread_mutex_t writer;
};

struct entry {
    struct catalog_lock lock; /* first member: catalog_unlock gets its address */
    char *name;
    char *prefix;
    struct iceberg_metadata *newest; /* NULL: not read yet, or absent */
    bool absent;                     /* looked, and there is no such table */
};

struct catalog {
    struct store *store;
    struct iceberg_cache *manifests;
    pthread_mutex_t mutex;
    struct entry **entries; /* sorted by name */
    size_t count, capacity;
};

static size_t entry_position(const struct catalog *catalog, const char *name, bool *ret_found)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(catalog->entries[middle]->name, name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

static struct entry *entry_get(struct catalog *catalog, const char *name, bool create)
{
    pthread_mutex_lock(&catalog->mutex);
    bool found;
    size_t at = entry_position(catalog, name, &found);
    struct entry *entry = NULL;
    if (found) {
        entry = catalog->entries[at];
    } else if (create) {
        entry = tn_calloc(1, sizeof *entry);
        pthread_mutex_init(&entry->lock.writer, NULL);
        entry->name = tn_strdup(name);
        entry->prefix = tn_asprintf("datasets/%s", name);
        TN_GROW(catalog->entries, catalog->count, catalog->capacity);
        memmove(catalog->entries + at + 1, catalog->entries + at, (catalog->count - at) * sizeof *catalog->entries);
        catalog->entries[at] = entry;
        catalog->count++;
    }
    pthread_mutex_unlock(&catalog->mutex);
    return entry;
}

/* Folders whose names no dataset could have are somebody else's. */
static bool note_folder(void *context, const char *name)
{
    if (catalog_check_name(name, NULL) == TN_OK)
        entry_get(context, name, true);
    return true;
}

enum tn_code catalog_open(struct store *store, struct catalog **ret, struct tn_error *err)
{
    TN_CLEANUP(catalog_close_p) struct catalog *catalog = tn_calloc(1, sizeof *catalog);
    catalog->store = store;
    catalog->manifests = iceberg_cache_new(MANIFEST_CACHE_BYTES);
    pthread_mutex_init(&catalog->mutex, NULL);
    TN_TRY(store_list_folders(store, "datasets", note_folder, catalog, err));
    *ret = TN_TAKE(catalog);
    return TN_OK;
}

void catalog_close(struct catalog *catalog)
{
    if (!catalog)
        return;
    for (size_t i = 0; i < catalog->count; i++) {
        struct entry *entry = catalog->entries[i];
        iceberg_metadata_unref(entry->newest);
        pthread_mutex_destroy(&entry->lock.writer);
        free(entry->name);
        free(entry->prefix);
        free(entry);
    }
    free(catalog->entries);
    iceberg_cache_free(catalog->manifests);
    pthread_mutex_destroy(&catalog->mutex);
    free(catalog);
}

struct store *catalog_store(struct catalog *catalog)
{
    return catalog->store;
}

char *catalog_prefix(struct tn_arena *arena, const char *name)
{
    return tn_arena_printf(arena, "datasets/%s", name);
}

struct iceberg_table catalog_table(struct catalog *catalog, struct tn_arena *arena, const char *name)
{
    return (struct iceberg_table){
        .store = catalog->store, .prefix = catalog_prefix(arena, name), .cache = catalog->manifests};
}

/* The cached version with a reference, or NULL; says whether the answer is final. */
static struct iceberg_metadata *entry_cached(struct catalog *catalog, struct entry *entry, bool *ret_known)
{
    pthread_mutex_lock(&catalog->mutex);
    struct iceberg_metadata *newest = entry->newest ? iceberg_metadata_ref(entry->newest) : NULL;
    *ret_known = newest || entry->absent;
    pthread_mutex_unlock(&catalog->mutex);
    return newest;
}

/* Stores what the entry's table is now (NULL: absent), dropping what it was. */
static void entry_set(struct catalog *catalog, struct entry *entry, const struct iceberg_metadata *newest)
{
    struct iceberg_metadata *kept = newest ? iceberg_metadata_ref(newest) : NULL;
    pthread_mutex_lock(&catalog->mutex);
    struct iceberg_metadata *old = entry->newest;
    entry->newest = kept;
    entry->absent = !newest;
    pthread_mutex_unlock(&catalog->mutex);
    iceberg_metadata_unref(old);
}

/* For whoever holds the entry's lock: cached, or read now. */
static enum tn_code entry_read_locked(struct catalog *catalog, struct entry *entry, struct iceberg_metadata **ret,
                                      struct tn_error *err)
{
    bool known;
    *ret = entry_cached(catalog, entry, &known);
    if (known)
        return TN_OK;
    struct iceberg_table table = {.store = catalog->store, .prefix = entry->prefix, .cache = catalog->manifests};
    struct iceberg_metadata *loaded = NULL;
    enum tn_code code = iceberg_table_load(&table, NULL, &loaded, err);
    if (code != TN_OK && code != TN_ENOTFOUND) {
        tn_error_context(err, "dataset %s", entry->name);
        return code;
    }
    entry_set(catalog, entry, loaded);
    *ret = loaded;
    return TN_OK;
}

static enum tn_code entry_read(struct catalog *catalog, struct entry *entry, struct iceberg_metadata **ret,
                               struct tn_error *err)
{
    bool known;
    *ret = entry_cached(catalog, entry, &known);
    if (known)
        return TN_OK;
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = &entry->lock;
    pthread_mutex_lock(&lock->writer);
    return entry_read_locked(catalog, entry, ret, err); /* another thread may have read it while this one waited */
}

void catalog_exact_name(const char *name, char out[CATALOG_NAME_MAX + 1])
{
    size_t n = strnlen(name, CATALOG_NAME_MAX);
    for (size_t i = 0; i < n; i++)
        out[i] = tn_ascii_lower(name[i]);
    out[n] = '\0';
}

static enum tn_code fail_unknown(struct catalog *catalog, const char *name, struct tn_error *err)
{
    if (!err)
        return TN_EDATASET;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *const *names = NULL;
    size_t count = 0;
    struct tn_error ignored = {0};
    if (catalog_list(catalog, arena, &names, &count, &ignored) != TN_OK)
        count = 0;
    tn_fail(err, TN_EDATASET, "there is no dataset \"%.140s\"", name);
    const char *near = tn_suggest(name, names, count);
    if (near)
        tn_error_hint(err, "did you mean \"%s\"?", near);
    else if (count == 0)
        tn_error_hint(err, "the lake is empty: load a file with `tarn ingest FILE`");
    else
        tn_error_hint(err, "`tarn datasets` lists the %zu there are", count);
    return TN_EDATASET;
}

enum tn_code catalog_load(struct catalog *catalog, const char *name, struct iceberg_metadata **ret,
                          struct tn_error *err)
{
    char lower[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, lower);
    struct entry *entry = strlen(name) <= CATALOG_NAME_MAX ? entry_get(catalog, lower, false) : NULL;
    if (!entry)
        return fail_unknown(catalog, name, err);
    struct iceberg_metadata *metadata;
    TN_TRY(entry_read(catalog, entry, &metadata, err));
    if (!metadata)
        return fail_unknown(catalog, name, err);
    *ret = metadata;
    return TN_OK;
}

enum tn_code catalog_list(struct catalog *catalog, struct tn_arena *arena, const char *const **ret, size_t *ret_count,
                          struct tn_error *err)
{
    pthread_mutex_lock(&catalog->mutex);
    size_t known = catalog->count;
    struct entry **entries = TN_ARENA_ARRAY(arena, struct entry *, known + 1);
    for (size_t i = 0; i < known; i++)
        entries[i] = catalog->entries[i];
    pthread_mutex_unlock(&catalog->mutex);

    const char **names = TN_ARENA_ARRAY(arena, const char *, known + 1);
    size_t count = 0;
    for (size_t i = 0; i < known; i++) {
        struct iceberg_metadata *metadata;
        TN_TRY(entry_read(catalog, entries[i], &metadata, err));
        if (metadata)
            names[count++] = entries[i]->name; /* entries live as long as the catalog */
        iceberg_metadata_unref(metadata);
    }
    *ret = names;
    *ret_count = count;
    return TN_OK;
}

struct catalog_lock *catalog_lock_dataset(struct catalog *catalog, const char *name)
{
    char lower[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, lower);
    struct entry *entry = entry_get(catalog, lower, true);
    pthread_mutex_lock(&entry->lock.writer);
    return &entry->lock;
}

void catalog_unlock(struct catalog_lock *lock)
{
    if (lock)
        pthread_mutex_unlock(&lock->writer);
}

void catalog_publish(struct catalog *catalog, const char *name, struct iceberg_metadata *metadata)
{
    entry_set(catalog, entry_get(catalog, name, true), metadata);
}

enum tn_code catalog_load_locked(struct catalog *catalog, const char *name, struct iceberg_metadata **ret,
                                 struct tn_error *err)
{
    return entry_read_locked(catalog, entry_get(catalog, name, true), ret, err);
}

enum tn_code catalog_drop(struct catalog *catalog, const char *name, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *probe = NULL; /* reports an unknown name before an entry is made for it */
    TN_TRY(catalog_load(catalog, name, &probe, err));
    char lower[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, lower);
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(catalog, lower);
    ICEBERG_AUTO_METADATA *newest = NULL;
    TN_TRY(catalog_load_locked(catalog, lower, &newest, err));
    if (!newest)
        return fail_unknown(catalog, name, err);
    struct iceberg_table table = catalog_table(catalog, arena, lower);
    TN_TRY(iceberg_table_drop(&table, newest, err));
    catalog_publish(catalog, lower, NULL);
    return TN_OK;
}

enum tn_code catalog_undrop(struct catalog *catalog, const char *name, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_TRY(catalog_check_name(name, err));
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(catalog, name);
    struct iceberg_table table = catalog_table(catalog, arena, name);
    ICEBERG_AUTO_METADATA *back = NULL;
    TN_TRY(iceberg_table_undrop(&table, &back, err));
    catalog_publish(catalog, name, back);
    return TN_OK;
}
