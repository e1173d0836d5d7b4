/* Tables that other engines create or bring along. */
#include "catalog/catalog_internal.h"

#include <string.h>

static enum tn_code check_table_name(const char *table, struct tn_error *err)
{
    size_t length = strlen(table);
    if (length == 0 || length > CATALOG_IDENTIFIER_MAX)
        return tn_fail(err, TN_EREQUEST, "a table's name has 1 to %d bytes", CATALOG_IDENTIFIER_MAX);
    if (tn_streq(table, ".") || tn_streq(table, ".."))
        return tn_fail(err, TN_EREQUEST, "a table cannot be called \"%s\": no path leads to it", table);
    for (const char *at = table; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return tn_fail(err, TN_EREQUEST, "the table's name has a control character");
    return TN_OK;
}

static enum tn_code fail_exists(struct catalog_identifier id, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    return tn_fail(err, TN_EEXISTS, "Table already exists: %s.%s", catalog_namespace_text(arena, id.space), id.table);
}

enum tn_code identifier_new(struct catalog *catalog, struct catalog_identifier id, struct entry **ret,
                            struct tn_error *err)
{
    TN_TRY(check_table_name(id.table, err));
    TN_TRY(catalog_namespace_check(catalog, id.space, err));
    pthread_mutex_lock(&catalog->names.mutex);
    *ret = identifier_propose(catalog, id.space, id.table);
    pthread_mutex_unlock(&catalog->names.mutex);
    return TN_OK;
}

/* Clients that write before their commit may count on <location>/metadata. */
static enum tn_code make_folder(struct catalog *catalog, const char *location, struct tn_arena *arena,
                                struct tn_error *err)
{
    char *key = NULL;
    const char *folder = tn_arena_printf(arena, "%s/metadata", location);
    if (store_key_of_uri(catalog->store, arena, folder, &key, NULL) != TN_OK)
        return TN_OK;
    const char *uri = store_uri(catalog->store, arena, key);
    return tn_str_starts_with(uri, "file://") ? tn_mkdirs(uri + strlen("file://"), 0755, err) : TN_OK;
}

enum tn_code entry_publish(struct catalog *catalog, struct entry *entry, const struct iceberg_table *table,
                           const struct iceberg_metadata *base, const struct iceberg_metadata *next, bool written,
                           const struct iceberg_origin *origin, struct tn_error *err)
{
    enum tn_code code = iceberg_version_publish(table, base, next, written, origin, err);
    if (code != TN_OK)
        entry_forget(catalog, entry);
    return code;
}

static enum tn_code describe(struct catalog *catalog, struct entry *entry, struct tn_arena *arena,
                             const char *request, size_t length, struct iceberg_table *ret_table,
                             struct iceberg_metadata **ret, struct tn_error *err)
{
    int64_t version = 0;
    *ret_table = entry_table(catalog, arena, entry);
    TN_TRY(iceberg_table_next_version(ret_table, &version, err));
    return iceberg_change_create(ret_table, version, request, length, ret, err);
}

enum tn_code catalog_create(struct catalog *catalog, struct catalog_identifier id, const char *request, size_t length,
                            bool stage, const struct iceberg_origin *origin, struct iceberg_metadata **ret,
                            struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *there = NULL, *next = NULL;
    struct entry *entry = NULL;
    struct iceberg_table table;
    TN_TRY(identifier_new(catalog, id, &entry, err));
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(catalog, entry->name);
    TN_TRY(entry_read_locked(catalog, entry, &there, err));
    if (there)
        return fail_exists(id, err);
    TN_TRY(describe(catalog, entry, arena, request, length, &table, &next, err));
    if (stage) {
        TN_TRY(identifier_check_location(catalog, entry, next->location, err));
        TN_TRY(make_folder(catalog, next->location, arena, err));
        *ret = TN_TAKE(next);
        return TN_OK;
    }
    TN_TRY(identifier_claim(catalog, entry, next->location, err));
    TN_TRY(entry_publish(catalog, entry, &table, NULL, next, false, origin, err));
    entry_set(catalog, entry, next);
    *ret = TN_TAKE(next);
    return TN_OK;
}

/* --- Register --- */

/* The dropped table whose folder the location lies in gives it up: the files
 * belong to the table that is registered now. */
static enum tn_code take_folder(struct catalog *catalog, struct entry *entry, const char *location,
                                struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct entry **entries = NULL;
    char *key = NULL;
    if (store_key_of_uri(catalog->store, arena, location, &key, NULL) != TN_OK)
        return TN_OK;
    size_t count = entry_all(catalog, arena, &entries);
    for (size_t i = 0; i < count; i++) {
        struct entry_place old = entry_place_of(catalog, arena, entries[i]), mine;
        ICEBERG_AUTO_METADATA *live = NULL;
        if (entries[i] == entry || !tn_streq(old.prefix, key))
            continue;
        pthread_mutex_lock(&catalog->mutex);
        bool known_absent = entries[i]->absent;
        pthread_mutex_unlock(&catalog->mutex);
        if (!known_absent)
            return tn_fail(err, TN_EREQUEST, "the location %.300s belongs to another table", location);
        TN_AUTO_FREE char *fresh = identifier_folder(catalog, entries[i]->name, true);
        mine = entry_place_of(catalog, arena, entry);
        mine.prefix = old.prefix;
        mine.mapped = true;
        old.prefix = fresh;
        old.mapped = true;
        const struct names_change changes[] = {{entry, mine}, {entries[i], old}};
        pthread_mutex_lock(&catalog->names.mutex);
        enum tn_code code = names_write(catalog, NULL, NULL, changes, TN_COUNT(changes), err);
        pthread_mutex_unlock(&catalog->names.mutex);
        return code;
    }
    return TN_OK;
}

enum tn_code catalog_register(struct catalog *catalog, struct catalog_identifier id, const char *metadata_uri,
                              bool overwrite, const struct iceberg_origin *origin, struct iceberg_metadata **ret,
                              struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *there = NULL, *next = NULL;
    struct entry *entry = NULL;
    int64_t version = 0;
    TN_TRY(identifier_new(catalog, id, &entry, err));
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(catalog, entry->name);
    TN_TRY(entry_read_locked(catalog, entry, &there, err));
    if (there && !overwrite)
        return fail_exists(id, err);
    struct iceberg_table table = entry_table(catalog, arena, entry);
    TN_TRY(iceberg_change_register(&table, 1, metadata_uri, &next, err));
    if (!there)
        TN_TRY(take_folder(catalog, entry, next->location, err));
    TN_TRY(identifier_claim(catalog, entry, next->location, err));
    table = entry_table(catalog, arena, entry); /* another one when a folder was taken over */
    iceberg_metadata_unref(TN_TAKE(next));
    TN_TRY(iceberg_table_next_version(&table, &version, err));
    TN_TRY(iceberg_change_register(&table, version, metadata_uri, &next, err));
    TN_TRY(entry_publish(catalog, entry, &table, there, next, true, origin, err));
    entry_set(catalog, entry, next);
    *ret = TN_TAKE(next);
    return TN_OK;
}

/* --- Purge --- */

struct purge {
    struct store *store;
    const char *keep; /* the pointer that says "dropped": it goes last */
};

static enum tn_code purge_one(void *context, const struct store_object *object, struct tn_error *err)
{
    const struct purge *purge = context;
    return tn_streq(object->key, purge->keep) ? TN_OK : store_delete(purge->store, object->key, err);
}

enum tn_code catalog_purge(struct catalog *catalog, const char *dataset, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *newest = NULL;
    struct entry *entry = entry_get(catalog, dataset, false);
    if (!entry)
        return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\"", dataset);
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(catalog, dataset);
    TN_TRY(entry_read_locked(catalog, entry, &newest, err));
    if (!newest)
        return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\"", dataset);
    struct iceberg_table table = entry_table(catalog, arena, entry);
    TN_TRY(iceberg_table_drop(&table, newest, err));
    entry_set(catalog, entry, NULL);
    /* The numbers begin again with the next table in this place. */
    store_trim_stop(catalog->store, tn_arena_printf(arena, "%s/commits", table.prefix));
    const char *last = tn_arena_printf(arena, "%s/commits/%lld", table.prefix, (long long)newest->version + 1);
    struct purge purge = {catalog->store, last};
    TN_TRY(store_list(catalog->store, tn_arena_printf(arena, "%s/", table.prefix), purge_one, &purge, err));
    return store_delete(catalog->store, last, err);
}
