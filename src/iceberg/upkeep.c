/* What a table reaches, and what lies around without being reached. */
#include "base/clock.h"
#include "base/order.h"
#include "base/str.h"
#include "iceberg/tx_internal.h"

#include <string.h>
#include <time.h>

/* --- Reachable --- */

struct reach {
    const struct iceberg_table *table;
    const struct iceberg_metadata *metadata;
    struct tn_arena *arena;
    struct tx_paths keys;      /* told already */
    struct tx_paths manifests; /* looked into already */
    iceberg_key_fn *each;
    void *context;
};

static void reach_release(struct reach *reach)
{
    tx_paths_release(&reach->keys);
    tx_paths_release(&reach->manifests);
    tn_arena_free(reach->arena);
}

static enum tn_code reach_uri(struct reach *reach, const char *uri, int64_t size, struct tn_error *err)
{
    const char *key = NULL;
    TN_TRY(iceberg_resolve(reach->arena, reach->table, reach->metadata, uri, &key, err));
    if (tx_paths_add(&reach->keys, key))
        reach->each(reach->context, key, size);
    return TN_OK;
}

static enum tn_code reach_manifest(struct reach *reach, const struct manifest_row *row, struct tn_error *err)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
    if (tx_paths_has(&reach->manifests, row->path))
        return TN_OK;
    (void)tx_paths_add(&reach->manifests, tn_arena_strdup(reach->arena, row->path));
    TN_TRY(reach_uri(reach, row->path, row->length, err));
    TN_TRY(table_open_manifest(reach->table, reach->metadata, row, &manifest, err));
    for (size_t i = 0; i < manifest->count; i++)
        if (manifest->entries[i].status != MANIFEST_DELETED)
            TN_TRY(reach_uri(reach, manifest->entries[i].file.path, manifest->entries[i].file.size_bytes, err));
    return TN_OK;
}

/* Statistics files of other engines stand in members that we only carry. */
static enum tn_code reach_statistics(struct reach *reach, struct tn_error *err)
{
    const struct metadata *inner = metadata_of(reach->metadata);
    for (size_t i = 0; i < inner->other_count; i++) {
        const struct doc_node *list = NULL;
        if (!tn_streq(inner->others[i].key, "statistics") && !tn_streq(inner->others[i].key, "partition-statistics"))
            continue;
        TN_TRY(doc_parse(reach->arena, inner->others[i].json, inner->others[i].length, "statistics", &list, err));
        for (const struct doc_node *node = list->kind == DOC_ARRAY ? list->first : NULL; node; node = node->next) {
            const struct doc_node *path = doc_get(node, "statistics-path");
            if (path && path->kind == DOC_STRING)
                TN_TRY(reach_uri(reach, path->text, ICEBERG_NONE, err));
        }
    }
    return TN_OK;
}

static enum tn_code reach_all(struct reach *reach, struct tn_error *err)
{
    const struct iceberg_metadata *metadata = reach->metadata;
    if (metadata->key && tx_paths_add(&reach->keys, tn_arena_strdup(reach->arena, metadata->key))) {
        size_t length = 0;
        (void)iceberg_metadata_json(metadata, &length);
        reach->each(reach->context, metadata->key, (int64_t)length);
    }
    for (size_t i = 0; i < metadata->metadata_log_count; i++)
        TN_TRY(reach_uri(reach, metadata->metadata_log[i].file, ICEBERG_NONE, err));
    TN_TRY(reach_statistics(reach, err));
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
        const char *path = metadata->snapshots[i]->manifest_list;
        if (path && tx_paths_has(&reach->manifests, path))
            continue; /* of another version too */
        TN_TRY(table_open_list(reach->table, metadata, metadata->snapshots[i], &list, err));
        (void)tx_paths_add(&reach->manifests, tn_arena_strdup(reach->arena, path));
        TN_TRY(reach_uri(reach, metadata->snapshots[i]->manifest_list, ICEBERG_NONE, err));
        for (size_t k = 0; k < list->count; k++)
            TN_TRY(reach_manifest(reach, &list->rows[k], err));
    }
    return TN_OK;
}

enum tn_code iceberg_table_reachable(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                                     iceberg_key_fn *each, void *context, struct tn_error *err)
{
    TN_CLEANUP(reach_release)
    struct reach reach = {
        .table = table, .metadata = metadata, .arena = tn_arena_new(), .each = each, .context = context};
    return reach_all(&reach, err);
}

/* --- Orphans --- */

struct orphan {
    const char *key;
    int64_t size;
};

struct sweep {
    struct reach reach; /* its keys are those to keep */
    int64_t youngest_ms;
    size_t skip; /* bytes of the folder that is being listed */
    struct orphan *orphans;
    size_t count, capacity;
    int64_t *versions;
    size_t version_count, version_capacity;
};

static void sweep_release(struct sweep *sweep)
{
    reach_release(&sweep->reach);
    free(sweep->orphans);
    free(sweep->versions);
}

static void sweep_push(struct sweep *sweep, const char *key, int64_t size)
{
    TN_GROW(sweep->orphans, sweep->count, sweep->capacity);
    sweep->orphans[sweep->count++] = (struct orphan){tn_arena_strdup(sweep->reach.arena, key), size};
}

static void sweep_ignore(void *context, const char *key, int64_t size)
{
    (void)context;
    (void)key;
    (void)size;
}

static enum tn_code sweep_see_pointer(void *context, const struct store_object *object, struct tn_error *err)
{
    struct sweep *sweep = context;
    int64_t version = 0;
    (void)err;
    if (tn_parse_i64(object->key + sweep->skip, &version)) {
        TN_GROW(sweep->versions, sweep->version_count, sweep->version_capacity);
        sweep->versions[sweep->version_count++] = version;
    }
    return TN_OK;
}

static enum tn_code sweep_see_object(void *context, const struct store_object *object, struct tn_error *err)
{
    struct sweep *sweep = context;
    (void)err;
    if (object->modified_ms <= sweep->youngest_ms && !tx_paths_has(&sweep->reach.keys, object->key))
        sweep_push(sweep, object->key, (int64_t)object->size);
    return TN_OK;
}

/* What is deleted below may be what an older version needs. So the version that
 * was looked at must be there to stay: its writer may have died, or failed,
 * before its pointer was durable. */
static enum tn_code sweep_make_durable(const struct sweep *sweep, struct tn_error *err)
{
    const struct iceberg_table *table = sweep->reach.table;
    return store_sync_folder(table->store, tn_arena_printf(sweep->reach.arena, "%s/commits", table->prefix), err);
}

/* Files are stamped with the kernel's last tick: behind the clock, by more where
 * the machine is busy. */
static int64_t file_clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#define BEHIND_MS 1000 /* no file's stamp is that far behind */

/* Read before the version is: what comes later than the version is younger, so
 * the files' clock has passed this moment by then. A file of an open transaction
 * was written, or touched, since that was begun. */
static int64_t sweep_youngest(const struct iceberg_table *table, int64_t min_age_ms)
{
    int64_t now = tn_now_ms();
    if (min_age_ms < BEHIND_MS) {
        const struct timespec tick = {.tv_nsec = 1000000};
        for (int tries = 0; tries < BEHIND_MS && file_clock_ms() <= now; tries++)
            (void)nanosleep(&tick, NULL);
        now = TN_MIN(now, file_clock_ms() - 1); /* where the clock was set back meanwhile */
    }
    int64_t oldest = held_oldest_tx(table), youngest = now - min_age_ms;
    return oldest == INT64_MAX ? youngest : TN_MIN(youngest, oldest - BEHIND_MS);
}

/* What versions reach that somebody here may be reading. Where such a version
 * is broken already, nothing is left to protect in the broken part. */
static enum tn_code sweep_reach_held(struct sweep *sweep, struct tn_error *err)
{
    const struct iceberg_metadata *newest = sweep->reach.metadata;
    size_t count = 0;
    struct iceberg_metadata **held = held_list_versions(sweep->reach.table->store, newest->uuid, &count);
    enum tn_code code = TN_OK;
    for (size_t i = 0; i < count; i++) {
        struct tn_error cause = {0};
        sweep->reach.metadata = held[i];
        enum tn_code got =
            code == TN_OK && held[i]->version != newest->version ? reach_all(&sweep->reach, &cause) : TN_OK;
        if (got != TN_OK && got != TN_ECORRUPT && got != TN_ENOTFOUND)
            code = tn_fail(err, got, "%s", cause.detail);
        iceberg_metadata_unref(held[i]);
    }
    sweep->reach.metadata = newest;
    free(held);
    return code;
}

/* Pointers older than the log go, in ascending order (pointer.c says why); the
 * metadata files of the others stay. */
static enum tn_code sweep_pointers(struct sweep *sweep, struct tn_error *err)
{
    const struct iceberg_table *table = sweep->reach.table;
    const struct iceberg_metadata *metadata = sweep->reach.metadata;
    struct tn_arena *arena = sweep->reach.arena;
    const char *folder = tn_arena_printf(arena, "%s/commits/", table->prefix);
    const char *deletes = iceberg_metadata_property(metadata, METADATA_DELETE_PROPERTY);
    int64_t oldest = 0;
    if (deletes && tn_streq(deletes, "true"))
        oldest = metadata->version - (int64_t)metadata->metadata_log_count;
    sweep->skip = strlen(folder);
    TN_TRY(store_list(table->store, folder, sweep_see_pointer, sweep, err));
    if (sweep->version_count)
        qsort(sweep->versions, sweep->version_count, sizeof *sweep->versions, tn_order_i64);
    for (size_t i = 0; i < sweep->version_count; i++) {
        struct table_pointer pointer;
        if (sweep->versions[i] < oldest) {
            sweep_push(sweep, table_pointer_key(arena, table, sweep->versions[i]), ICEBERG_NONE);
            continue;
        }
        enum tn_code code = table_pointer_read(table, sweep->versions[i], arena, &pointer, err);
        if (code == TN_ENOTFOUND)
            continue; /* a commit has just removed it */
        TN_TRY(code);
        if (pointer.metadata && !strchr(pointer.metadata, ':'))
            (void)tx_paths_add(&sweep->reach.keys, tn_arena_printf(arena, "%s/%s", table->prefix, pointer.metadata));
    }
    return TN_OK;
}

enum tn_code iceberg_table_orphans(const struct iceberg_table *table, int64_t min_age_ms, bool remove,
                                   iceberg_key_fn *each, void *context, struct tn_error *err)
{
    static const char *const folders[] = {"metadata", "data"};
    ICEBERG_AUTO_METADATA *metadata = NULL;
    int64_t youngest_ms = sweep_youngest(table, min_age_ms);
    TN_TRY(iceberg_table_load(table, NULL, &metadata, err));
    TN_CLEANUP(sweep_release)
    struct sweep sweep = {
        .reach = {.table = table, .metadata = metadata, .arena = tn_arena_new(), .each = sweep_ignore},
        .youngest_ms = youngest_ms};
    struct tn_arena *arena = sweep.reach.arena;
    TN_TRY(reach_all(&sweep.reach, err));
    TN_TRY(sweep_reach_held(&sweep, err));
    (void)tx_paths_add(&sweep.reach.keys, tn_arena_printf(arena, "%s/metadata/version-hint.text", table->prefix));
    TN_TRY(sweep_pointers(&sweep, err));
    for (size_t i = 0; i < TN_COUNT(folders); i++)
        TN_TRY(store_list(table->store, tn_arena_printf(arena, "%s/%s/", table->prefix, folders[i]), sweep_see_object,
                          &sweep, err));
    if (remove && sweep.count)
        TN_TRY(sweep_make_durable(&sweep, err));
    for (size_t i = 0; i < sweep.count; i++) {
        if (each)
            each(context, sweep.orphans[i].key, sweep.orphans[i].size);
        if (remove)
            TN_TRY(store_delete(table->store, sweep.orphans[i].key, err));
    }
    return TN_OK;
}
