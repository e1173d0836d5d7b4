/* Indexes that nobody asked for by name: with index.auto_embed each dataset that
 * has prose and no index gets one, named like it.
 *
 * A dataset is looked at once per snapshot. Dropping its index says that none is
 * wanted: a mark in the store keeps that across restarts.
 */
#include "index/index_internal.h"

#include <inttypes.h>

static const char *mark_key(struct tn_arena *arena, const char *dataset)
{
    return tn_arena_printf(arena, "vectors/%s/unwanted", dataset);
}

enum tn_code auto_decline(struct index_service *service, const char *dataset, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    return service->auto_embed ? store_put(service->lake->store, mark_key(arena, dataset), "", 0, err) : TN_OK;
}

static bool is_tried(struct index_service *service, uint64_t hash)
{
    for (size_t i = 0; i < service->tried_count; i++)
        if (service->tried[i] == hash)
            return true;
    TN_GROW(service->tried, service->tried_count, service->tried_capacity);
    service->tried[service->tried_count++] = hash;
    return false;
}

static bool has_index(struct index_service *service, const char *dataset)
{
    char *name = NULL;
    bool has = index_of_dataset(service, dataset, &name, NULL) == TN_OK;
    free(name);
    return has;
}

static void look_at(struct index_service *service, const char *dataset, struct tn_arena *arena)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    char job[JOB_ID_TEXT];
    bool unwanted = false;
    struct tn_error err = {0};
    if (tn_str_ends_with(dataset, "__vectors") || has_index(service, dataset) ||
        catalog_load(service->lake->catalog, dataset, &metadata, NULL) != TN_OK || !metadata->current)
        return;
    uint64_t hash = tn_hash64(dataset, strlen(dataset), (uint64_t)metadata->current->id);
    if (is_tried(service, hash) ||
        store_exists(service->lake->store, mark_key(arena, dataset), &unwanted, NULL) != TN_OK || unwanted)
        return;
    const struct index_definition definition = {.dataset = dataset, .chunk_overlap = UINT32_MAX, .only_prose = true};
    enum tn_code code = index_create(service, &definition, "auto_embed", job, &err);
    if (code == TN_OK)
        TN_LOG(TN_LOG_INFO, "index.auto", TN_FS("index", dataset));
    else if (code != TN_EREQUEST) /* that is: no prose */
        TN_LOG(TN_LOG_WARN, "index.auto_failed", TN_FS("dataset", dataset), TN_FS("why", err.detail));
}

void auto_look(struct index_service *service)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *const *names;
    size_t count = 0;
    if (!service->auto_embed || catalog_list(service->lake->catalog, arena, &names, &count, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < count && !atomic_load(&service->ending); i++)
        look_at(service, names[i], arena);
}
