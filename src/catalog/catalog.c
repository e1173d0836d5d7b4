/* The registry: names and the newest version of each, kept in memory.
 *
 * One mutex guards the sorted array of entries and every entry's `newest`.
 * Nothing slow happens under it: a table is read from the store under the
 * entry's own writer lock. Entries are never removed (a dropped dataset keeps
 * its entry, with no version), so a pointer to one stays good.
 *
 * Order of locks: entry->writer (several: by name), names.mutex, mutex.
 */
#include "catalog/catalog_internal.h"

#include <string.h>

#define MANIFEST_CACHE_BYTES ((size_t)64 << 20)

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

struct entry *entry_get(struct catalog *catalog, const char *name, bool create)
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
        entry->place = (struct entry_place){tn_strdup(CATALOG_DEFAULT), tn_strdup(name),
                                            tn_asprintf("datasets/%s", name), false};
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
    changes_init(catalog);
    pthread_mutex_init(&catalog->names.mutex, NULL);
    TN_TRY(names_load(catalog, err));
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
        free(entry->place.space);
        free(entry->place.table);
        free(entry->place.prefix);
        free(entry);
    }
    names_release(catalog);
    free(catalog->entries);
    iceberg_cache_free(catalog->manifests);
    pthread_cond_destroy(&catalog->changed);
    pthread_mutex_destroy(&catalog->mutex);
    free(catalog);
}

size_t catalog_metadata_bytes(struct catalog *catalog)
{
    return iceberg_cache_state(catalog->manifests).bytes;
}

struct store *catalog_store(struct catalog *catalog)
{
    return catalog->store;
}

struct entry_place entry_place_of(struct catalog *catalog, struct tn_arena *arena, struct entry *entry)
{
    pthread_mutex_lock(&catalog->mutex);
    struct entry_place place = {tn_arena_strdup(arena, entry->place.space),
                                tn_arena_strdup(arena, entry->place.table),
                                tn_arena_strdup(arena, entry->place.prefix), entry->place.mapped};
    pthread_mutex_unlock(&catalog->mutex);
    return place;
}

struct iceberg_table entry_table(struct catalog *catalog, struct tn_arena *arena, struct entry *entry)
{
    return (struct iceberg_table){
        .store = catalog->store, .prefix = entry_place_of(catalog, arena, entry).prefix, .cache = catalog->manifests};
}

struct iceberg_table catalog_table(struct catalog *catalog, struct tn_arena *arena, const char *name)
{
    struct entry *entry = entry_get(catalog, name, false);
    if (entry)
        return entry_table(catalog, arena, entry);
    return (struct iceberg_table){
        .store = catalog->store, .prefix = tn_arena_printf(arena, "datasets/%s", name), .cache = catalog->manifests};
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
void entry_set(struct catalog *catalog, struct entry *entry, const struct iceberg_metadata *newest)
{
    struct iceberg_metadata *kept = newest ? iceberg_metadata_ref(newest) : NULL;
    pthread_mutex_lock(&catalog->mutex);
    struct iceberg_metadata *old = entry->newest;
    entry->newest = kept;
    entry->absent = !newest;
    changes_tell(catalog);
    pthread_mutex_unlock(&catalog->mutex);
    iceberg_metadata_unref(old);
}

void entry_forget(struct catalog *catalog, struct entry *entry)
{
    pthread_mutex_lock(&catalog->mutex);
    struct iceberg_metadata *old = entry->newest;
    entry->newest = NULL;
    entry->absent = false;
    pthread_mutex_unlock(&catalog->mutex);
    iceberg_metadata_unref(old);
}

void entry_set_all(struct catalog *catalog, struct entry *const *entries, struct iceberg_metadata *const *newest,
                   size_t count)
{
    TN_AUTO_FREE struct iceberg_metadata **old = tn_calloc(count + 1, sizeof(*old));
    pthread_mutex_lock(&catalog->mutex);
    for (size_t i = 0; i < count; i++) {
        old[i] = entries[i]->newest;
        entries[i]->newest = newest[i] ? iceberg_metadata_ref(newest[i]) : NULL;
        entries[i]->absent = !newest[i];
    }
    changes_tell(catalog);
    pthread_mutex_unlock(&catalog->mutex);
    for (size_t i = 0; i < count; i++)
        iceberg_metadata_unref(old[i]);
}

size_t entry_all(struct catalog *catalog, struct tn_arena *arena, struct entry ***ret)
{
    pthread_mutex_lock(&catalog->mutex);
    size_t count = catalog->count;
    struct entry **entries = TN_ARENA_ARRAY(arena, struct entry *, count + 1);
    for (size_t i = 0; i < count; i++)
        entries[i] = catalog->entries[i];
    pthread_mutex_unlock(&catalog->mutex);
    *ret = entries;
    return count;
}

/* For whoever holds the entry's lock: cached, or read now. */
enum tn_code entry_read_locked(struct catalog *catalog, struct entry *entry, struct iceberg_metadata **ret,
                               struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = NULL;
    bool known;
    if (atomic_load(&catalog->unfinished))
        TN_TRY(transaction_finish_all(catalog, err));
    *ret = entry_cached(catalog, entry, &known);
    if (known)
        return TN_OK;
    arena = tn_arena_new();
    struct iceberg_table table = entry_table(catalog, arena, entry);
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

enum tn_code entry_read(struct catalog *catalog, struct entry *entry, struct iceberg_metadata **ret,
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
    struct entry **entries = NULL;
    size_t known = entry_all(catalog, arena, &entries);
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

struct catalog_locks {
    struct catalog_lock **items;
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

struct catalog_locks *catalog_lock_datasets(struct catalog *catalog, const char *const *names, size_t count)
{
    TN_AUTO_FREE struct entry **entries = tn_calloc(count + 1, sizeof(*entries));
    struct catalog_locks *locks = tn_calloc(1, sizeof *locks);
    for (size_t i = 0; i < count; i++) {
        char lower[CATALOG_NAME_MAX + 1];
        catalog_exact_name(names[i], lower);
        entries[i] = entry_get(catalog, lower, true);
    }
    qsort(entries, count, sizeof(*entries), by_name);
    locks->items = tn_calloc(count + 1, sizeof(*locks->items));
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && entries[i] == entries[i - 1])
            continue;
        pthread_mutex_lock(&entries[i]->lock.writer);
        locks->items[locks->count++] = &entries[i]->lock;
    }
    return locks;
}

void catalog_unlock_all(struct catalog_locks *locks)
{
    if (!locks)
        return;
    while (locks->count > 0)
        pthread_mutex_unlock(&locks->items[--locks->count]->writer);
    free(locks->items);
    free(locks);
}

static bool lies_in(const char *key, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(key, prefix, length) == 0 && key[length] == '/';
}

/* The entry whose folder the version was committed in: a writer that was slow
 * may publish under the name that the table had before a rename. */
static struct entry *entry_of_version(struct catalog *catalog, struct entry *entry,
                                      const struct iceberg_metadata *metadata)
{
    struct entry *found = entry;
    pthread_mutex_lock(&catalog->mutex);
    if (metadata && metadata->key && !lies_in(metadata->key, entry->place.prefix))
        for (size_t i = 0; i < catalog->count; i++)
            if (lies_in(metadata->key, catalog->entries[i]->place.prefix))
                found = catalog->entries[i];
    pthread_mutex_unlock(&catalog->mutex);
    return found;
}

void catalog_publish(struct catalog *catalog, const char *name, struct iceberg_metadata *metadata)
{
    entry_set(catalog, entry_of_version(catalog, entry_get(catalog, name, true), metadata), metadata);
}

enum tn_code catalog_tx_commit(struct catalog *catalog, const char *name, struct iceberg_tx *tx,
                               struct iceberg_metadata **ret, struct tn_error *err)
{
    enum tn_code code = iceberg_tx_commit(tx, ret, err);
    if (code != TN_OK && code != TN_ECONFLICT)
        entry_forget(catalog, entry_get(catalog, name, true));
    return code;
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
