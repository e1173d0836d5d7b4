/* Which dataset an index is of: the one with the uuid that it was made over,
 * whatever that is called by now.
 *
 * The definition keeps name and uuid. Where the name leads to nothing, or to
 * another dataset, the catalog is looked through for the uuid: a rename is
 * followed, by whoever asks first. A uuid that is nowhere was dropped; what has
 * come in its place under the same name is indexed from then on.
 */
#include "index/trial.h"

/* The catalog's, or NULL. It is looked through once for each change of the catalog. */
static char *name_of(struct logical *logical, const char *uuid)
{
    struct catalog *catalog = logical->service->lake->catalog;
    uint64_t changes = catalog_changes(catalog);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *const *names;
    char *found = NULL;
    size_t count;
    if (atomic_load(&logical->missing_at) == changes + 1)
        return NULL;
    if (catalog_list(catalog, arena, &names, &count, NULL) != TN_OK)
        return NULL;
    for (size_t i = 0; i < count && !found; i++) {
        ICEBERG_AUTO_METADATA *metadata = NULL;
        if (catalog_load(catalog, names[i], &metadata, NULL) == TN_OK && tn_streq(metadata->uuid, uuid))
            found = tn_strdup(names[i]);
    }
    if (!found)
        atomic_store(&logical->missing_at, changes + 1);
    return found;
}

/* In memory at once; in index.json too, or else again after the next start. */
static void set(struct logical *logical, const char *name, const char *uuid)
{
    struct definition *definition = &logical->definition;
    struct tn_error why = {0};
    pthread_mutex_lock(&logical->tuning->lock);
    bool renamed = !tn_streq(definition->dataset, name);
    bool news = renamed || !definition->uuid || !tn_streq(definition->uuid, uuid);
    if (renamed)
        TN_LOG(TN_LOG_INFO, "index.renamed", TN_FS("index", definition->name), TN_FS("from", definition->dataset),
               TN_FS("dataset", name));
    if (news) {
        atomic_store(&definition->dataset, tn_arena_strdup(definition->arena, name));
        atomic_store(&definition->uuid, tn_arena_strdup(definition->arena, uuid));
    }
    if (news && !atomic_load(&logical->dropped) && tuning_keep(logical, &why) != TN_OK)
        TN_LOG(TN_LOG_WARN, "index.not_stored", TN_FS("index", definition->name), TN_FS("why", why.detail));
    if (news && atomic_load(&logical->dropped)) { /* meanwhile, perhaps before it was written */
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        (void)!store_delete(logical->service->lake->store, definition_key(arena, definition->name), NULL);
    }
    pthread_mutex_unlock(&logical->tuning->lock);
}

/* Without its dataset an index is asked for in vain, and the nearest name is that of its own vectors. */
static enum tn_code gone(const struct logical *logical, struct tn_error *err)
{
    const struct definition *definition = &logical->definition;
    tn_fail(err, TN_EDATASET, "index \"%s\" is of dataset \"%s\", which is not there: it was dropped%s",
            definition->name, definition->dataset, definition->uuid ? "" : " or renamed");
    tn_error_hint(err, "`tarn index drop %s`, and `tarn index create` for the dataset that is meant now",
                  definition->name);
    return TN_EDATASET;
}

enum tn_code dataset_open(struct logical *logical, struct iceberg_metadata **ret, struct tn_error *err)
{
    struct catalog *catalog = logical->service->lake->catalog;
    const char *name = logical->definition.dataset, *uuid = logical->definition.uuid;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    enum tn_code code = catalog_load(catalog, name, &metadata, err);
    if (code != TN_OK && code != TN_EDATASET)
        return code;
    if (code == TN_EDATASET || !uuid || !tn_streq(uuid, metadata->uuid)) {
        TN_AUTO_FREE char *now = uuid ? name_of(logical, uuid) : NULL;
        if (now) {
            iceberg_metadata_unref(TN_TAKE(metadata));
            TN_TRY(catalog_load(catalog, now, &metadata, err));
        }
        if (!metadata)
            return gone(logical, err);
        set(logical, now ? now : name, metadata->uuid);
    }
    *ret = TN_TAKE(metadata);
    return TN_OK;
}

void dataset_look_for_renames(struct index_service *service)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct logical **all;
    size_t count = logical_all(service, arena, &all);
    for (size_t i = 0; i < count; i++) {
        ICEBERG_AUTO_METADATA *metadata = NULL;
        (void)!dataset_open(all[i], &metadata, NULL);
        logical_unref(all[i]);
    }
}
