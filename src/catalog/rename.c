/* Renames: the folder stays where it is and gets another name. */
#include "catalog/catalog_internal.h"

#include <string.h>

static enum tn_code rename_locked(struct catalog *catalog, struct entry *from, struct entry *to,
                                  struct tn_arena *arena, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *moved = NULL, *there = NULL;
    struct entry_place old = entry_place_of(catalog, arena, from), new = entry_place_of(catalog, arena, to);
    TN_TRY(entry_read_locked(catalog, from, &moved, err));
    if (!moved)
        return tn_fail(err, TN_EDATASET, "Table does not exist: %s.%s", catalog_namespace_text(arena, old.space),
                       old.table);
    TN_TRY(entry_read_locked(catalog, to, &there, err));
    if (there)
        return tn_fail(err, TN_EEXISTS, "Table already exists: %s.%s", catalog_namespace_text(arena, new.space),
                       new.table);
    TN_AUTO_FREE char *fresh = identifier_folder(catalog, from->name, true);
    new.prefix = old.prefix;
    new.mapped = true;
    old.prefix = fresh;
    old.mapped = true; /* whoever uses the old name again must not meet the old folder */
    const struct names_change changes[] = {{from, old}, {to, new}};
    pthread_mutex_lock(&catalog->names.mutex);
    enum tn_code code =
        names_find(catalog, new.space)
            ? names_write(catalog, NULL, NULL, changes, TN_COUNT(changes), err)
            : tn_fail(err, TN_ENOTFOUND, "Namespace does not exist: %s", catalog_namespace_text(arena, new.space));
    pthread_mutex_unlock(&catalog->names.mutex);
    TN_TRY(code);
    struct entry *const both[] = {from, to};
    struct iceberg_metadata *const versions[] = {NULL, moved};
    entry_set_all(catalog, both, versions, TN_COUNT(both));
    return TN_OK;
}

enum tn_code catalog_rename(struct catalog *catalog, const char *space, const char *table, const char *to_space,
                            const char *to_table, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *dataset = NULL;
    struct entry *to = NULL;
    TN_TRY(catalog_dataset_named(catalog, space, table, arena, &dataset, err));
    TN_TRY(identifier_new(catalog, (struct catalog_identifier){to_space, to_table}, &to, err));
    struct entry *from = entry_get(catalog, dataset, true);
    const char *const names[] = {from->name, to->name};
    TN_CLEANUP(catalog_unlock_all_p)
    struct catalog_locks *locks = catalog_lock_datasets(catalog, names, TN_COUNT(names));
    return rename_locked(catalog, from, to, arena, err);
}
