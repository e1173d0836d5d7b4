/* Indexes that nobody asked for by name: a dataset that has prose and no index
 * gets one, named like it, when its metadata or, where that is silent, the lake
 * says so.
 *
 * A dataset is looked at once per snapshot. Dropping its index says that none is
 * wanted: a mark in the store keeps that across restarts, until somebody says
 * of this dataset that it wants one.
 */
#include "index/index_internal.h"

#include <inttypes.h>

static const char *mark_key(struct tn_arena *arena, const char *dataset)
{
    return tn_arena_printf(arena, "vectors/%s/unwanted", dataset);
}

static bool is_wanted(const struct index_service *service, const struct iceberg_metadata *metadata)
{
    const char *word = iceberg_metadata_property(metadata, CATALOG_P_AUTO_EMBED);
    return word ? tn_streq(word, "true") : service->auto_embed;
}

enum tn_code auto_decline(struct index_service *service, const char *dataset, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (catalog_load(service->lake->catalog, dataset, &metadata, NULL) != TN_OK || !is_wanted(service, metadata))
        return TN_OK;
    return store_put(service->lake->store, mark_key(arena, dataset), "", 0, err);
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

static enum tn_code make(struct index_service *service, const char *dataset, const char *actor, struct tn_error *err)
{
    char job[JOB_ID_TEXT];
    const struct index_definition definition = {.dataset = dataset, .chunk_overlap = UINT32_MAX, .only_prose = true};
    TN_TRY(index_create(service, &definition, actor, job, err));
    TN_LOG(TN_LOG_INFO, "index.auto", TN_FS("index", dataset));
    return TN_OK;
}

/* The mark means that nobody looks at it: what is said of one dataset goes before it. */
static bool is_declined(struct index_service *service, const char *dataset, struct tn_arena *arena)
{
    bool unwanted = false;
    return store_exists(service->lake->store, mark_key(arena, dataset), &unwanted, NULL) != TN_OK || unwanted;
}

static void look_at(struct index_service *service, const char *dataset, struct tn_arena *arena)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct tn_error err = {0};
    if (tn_str_ends_with(dataset, INDEX_VECTORS_SUFFIX) || has_index(service, dataset) ||
        catalog_load(service->lake->catalog, dataset, &metadata, NULL) != TN_OK || !metadata->current ||
        !is_wanted(service, metadata))
        return;
    uint64_t hash = tn_hash64(dataset, strlen(dataset), (uint64_t)metadata->current->id);
    if (is_tried(service, hash) || is_declined(service, dataset, arena))
        return;
    enum tn_code code = make(service, dataset, "auto_embed", &err);
    if (code != TN_OK && code != TN_EREQUEST && code != TN_EEXISTS) /* no prose; made meanwhile */
        TN_LOG(TN_LOG_WARN, "index.auto_failed", TN_FS("dataset", dataset), TN_FS("why", err.detail));
}

void auto_look(struct index_service *service)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *const *names;
    size_t count = 0;
    if (catalog_list(service->lake->catalog, arena, &names, &count, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < count && !atomic_load(&service->ending); i++)
        look_at(service, names[i], arena);
}

enum tn_code index_embed_now(struct index_service *service, const char *dataset, const char *actor, char **ret,
                             struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    char exact[CATALOG_NAME_MAX + 1];
    *ret = NULL;
    TN_TRY(catalog_load(service->lake->catalog, dataset, &metadata, err));
    catalog_exact_name(dataset, exact);
    TN_TRY(store_delete(service->lake->store, mark_key(arena, exact), err));
    if (!metadata->current || tn_str_ends_with(exact, INDEX_VECTORS_SUFFIX))
        return TN_OK;
    if (!has_index(service, exact)) {
        enum tn_code code = make(service, exact, actor, err);
        if (code == TN_EREQUEST)
            return TN_OK; /* no prose: there is nothing to make */
        if (code != TN_EEXISTS)
            TN_TRY(code);
    }
    enum tn_code code = index_of_dataset(service, exact, ret, NULL);
    return code == TN_ENOTFOUND ? TN_OK : code;
}

void index_list_of(struct index_service *service, const char *dataset, struct tn_json *out)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct logical **all;
    size_t count = logical_all(service, arena, &all);
    tn_json_open(out, '[');
    for (size_t i = 0; i < count; i++) {
        const struct definition *definition = &all[i]->definition;
        if (tn_str_equal_nocase(definition->dataset, dataset)) {
            tn_json_open(out, '{');
            tn_json_kstr(out, "name", definition->name);
            tn_json_kstrs(out, "text_columns", definition->columns, definition->column_count);
            tn_json_kstr(out, "model", definition->model);
            tn_json_close(out, '}');
        }
        logical_unref(all[i]);
    }
    tn_json_close(out, ']');
}

enum tn_code index_check_free(struct index_service *service, const char *dataset, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct logical **all;
    size_t count = logical_all(service, arena, &all);
    enum tn_code code = TN_OK;
    for (size_t i = 0; i < count; i++) {
        const struct definition *definition = &all[i]->definition;
        if (code == TN_OK && tn_str_equal_nocase(definition->table, dataset)) {
            code = tn_fail(err, TN_EREFUSED, "\"%s\" holds the vectors of index \"%s\", which alone changes them",
                           definition->table, definition->name);
            tn_error_hint(err, "change the rows of dataset \"%s\", or drop the index: tarn index drop %s",
                          definition->dataset, definition->name);
        }
        logical_unref(all[i]);
    }
    return code;
}
