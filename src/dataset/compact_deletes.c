/* Many delete files of one data file become one.
 *
 * The positions are read without a lock. Under the dataset's lock the plan is
 * made again: a data file that is gone, or whose delete files are no longer
 * those that were read, is left alone; deletes that came meanwhile stay beside
 * the new file. The new one is younger than those that it stands for, and so
 * applies to all that they applied to.
 */
#include "dataset/compact.h"
#include "dataset/dataset_internal.h"
#include "dataset/deletes.h"
#include "dataset/hot.h"

#include <string.h>

struct merge {
    const struct iceberg_plan_file *file;
    int64_t *positions;
    size_t count, capacity;
};

struct merging {
    struct lake *lake;
    const char *name;
    struct tn_arena *arena;
    struct iceberg_table table;
    struct merge *merges;
    size_t count;
    const char *actor;
};

static bool take_position(void *context, size_t count, const char *const *values)
{
    struct merge *merge = context;
    int64_t position;
    if (count != 1 || !values[0] || !tn_parse_i64(values[0], &position))
        return true;
    TN_GROW(merge->positions, merge->count, merge->capacity);
    merge->positions[merge->count++] = position;
    return true;
}

static void take_gone(void *context, size_t file, int64_t row)
{
    struct merge *merge = context;
    (void)file;
    if (row < 0)
        return;
    TN_GROW(merge->positions, merge->count, merge->capacity);
    merge->positions[merge->count++] = row;
}

/* From what is remembered of delete files. *ret_done is false when they are too many for that. */
static enum tn_code recall_positions(const struct merging *merging, struct merge *merge, bool *ret_done,
                                     struct tn_error *err)
{
    const struct iceberg_plan_file *file = merge->file;
    struct dataset_deletes *deletes = dataset_relations_deletes(merging->lake->relations);
    struct iceberg_plan_file own = *file;
    const struct iceberg_file **files =
        TN_ARENA_ARRAY(merging->arena, const struct iceberg_file *, file->delete_count + 1);
    const char **keys = TN_ARENA_ARRAY(merging->arena, const char *, file->delete_count + 1);
    own.delete_count = 0;
    for (size_t i = 0; i < file->delete_count; i++)
        if (compact_is_own_delete(file, i)) {
            files[own.delete_count] = file->deletes[i];
            keys[own.delete_count++] = file->delete_keys[i];
        }
    own.deletes = files;
    own.delete_keys = keys;
    const struct iceberg_plan plan = {.files = &own, .file_count = 1};
    *ret_done = false;
    if (deletes)
        TN_TRY(dataset_deletes_each(merging->lake, deletes, &plan, take_gone, merge, ret_done, err));
    if (merge->count > 1)
        qsort(merge->positions, merge->count, sizeof *merge->positions, tn_order_i64);
    size_t kept = 0;
    for (size_t i = 0; i < merge->count; i++)
        if (kept == 0 || merge->positions[i] != merge->positions[kept - 1])
            merge->positions[kept++] = merge->positions[i];
    merge->count = kept;
    return TN_OK;
}

static enum tn_code read_positions(const struct merging *merging, struct merge *merge, struct tn_error *err)
{
    const struct iceberg_plan_file *file = merge->file;
    bool done = false;
    TN_TRY(recall_positions(merging, merge, &done, err));
    if (done)
        return TN_OK;
    TN_AUTO_BUF sql = {0};
    bool comma = false;
    tn_buf_puts(&sql, "SELECT DISTINCT pos FROM read_parquet([");
    for (size_t i = 0; i < file->delete_count; i++) {
        char *path;
        if (!compact_is_own_delete(file, i))
            continue;
        TN_TRY(store_needed_path(merging->lake->store, merging->arena, file->delete_keys[i], &path, err));
        tn_buf_puts(&sql, comma ? ", " : "");
        tn_buf_put_sql_string(&sql, path);
        comma = true;
    }
    tn_buf_puts(&sql, "]) WHERE file_path = ");
    tn_buf_put_sql_string(&sql, file->file->path);
    tn_buf_puts(&sql, " AND pos >= 0 ORDER BY 1");
    return engine_run(merging->lake->engine, sql.data, take_position, merge, err);
}

static const struct iceberg_plan_file *find_file(const struct iceberg_plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->file_count; i++)
        if (tn_streq(plan->files[i].file->path, path))
            return &plan->files[i];
    return NULL;
}

static bool has_delete(const struct iceberg_plan_file *file, const char *path)
{
    for (size_t i = 0; i < file->delete_count; i++)
        if (tn_streq(file->deletes[i]->path, path))
            return true;
    return false;
}

static bool is_unchanged(const struct merge *merge, const struct iceberg_plan *now)
{
    const struct iceberg_plan_file *file = find_file(now, merge->file->file->path);
    for (size_t i = 0; file && i < merge->file->delete_count; i++)
        if (compact_is_own_delete(merge->file, i) && !has_delete(file, merge->file->deletes[i]->path))
            return false;
    return file != NULL;
}

static enum tn_code replace_deletes(const struct merging *merging, struct iceberg_tx *tx, const struct merge *merge,
                                    struct tn_error *err)
{
    for (size_t i = 0; i < merge->file->delete_count; i++)
        if (compact_is_own_delete(merge->file, i))
            iceberg_tx_remove_file(tx, merge->file->deletes[i]->path);
    if (merge->count == 0)
        return TN_OK;
    TN_AUTO_BUF object = {0};
    struct iceberg_file file;
    const char *key;
    TN_TRY(iceberg_small_deletes(merging->arena, merge->file->file->path, merge->positions, merge->count, &object,
                                 &file, err));
    file.path = iceberg_tx_new_file(tx, merging->arena, "-deletes.parquet", &key);
    TN_TRY(store_batch_put(iceberg_tx_batch(tx), key, object.data, object.len, err));
    dataset_deletes_note(dataset_relations_deletes(merging->lake->relations), file.path, merge->file->file->path,
                         merge->positions, merge->count);
    return iceberg_tx_add_file(tx, &file, err);
}

static size_t own_count(const struct iceberg_plan_file *file)
{
    size_t count = 0;
    for (size_t i = 0; i < file->delete_count; i++)
        count += compact_is_own_delete(file, i);
    return count;
}

static enum tn_code commit(struct merging *merging, const char *uuid, struct dataset_compacted *result,
                           struct tn_error *err)
{
    struct lake *lake = merging->lake;
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, merging->name);
    ICEBERG_AUTO_METADATA *newest = NULL;
    ICEBERG_AUTO_METADATA *done = NULL;
    ICEBERG_AUTO_PLAN *now = NULL;
    size_t replaced = 0, merged = 0;
    TN_TRY(catalog_load_locked(lake->catalog, merging->name, &newest, err));
    if (!newest || !tn_streq(newest->uuid, uuid))
        return tn_fail(err, TN_ECONFLICT, "dataset \"%s\" was dropped meanwhile", merging->name);
    TN_TRY(iceberg_plan_new(&merging->table, newest, NULL, NULL, 0, &now, err));
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&merging->table, newest);
    for (size_t i = 0; i < merging->count; i++) {
        if (!is_unchanged(&merging->merges[i], now)) {
            result->lost_groups++;
            continue;
        }
        TN_TRY(replace_deletes(merging, tx, &merging->merges[i], err));
        replaced += own_count(merging->merges[i].file);
        merged++;
    }
    if (merged == 0)
        return TN_OK;
    iceberg_tx_mark_rewrite(tx);
    iceberg_tx_set_summary(tx, CATALOG_S_ACTOR, merging->actor);
    TN_FAULT("compact.before_commit");
    TN_TRY(catalog_tx_commit(lake->catalog, merging->name, tx, &done, err));
    TN_FAULT("compact.after_commit");
    catalog_publish(lake->catalog, merging->name, done);
    const struct dataset_change nothing = {0};
    dataset_hot_follow(lake, merging->name, newest, done, &nothing);
    result->groups++;
    result->files_before += replaced;
    result->files_after += merged;
    result->snapshot_id = done->current ? done->current->id : 0;
    return TN_OK;
}

enum tn_code compact_merge_deletes(struct lake *lake, const char *name, struct iceberg_metadata *base,
                                   const struct iceberg_plan_file *const *files, size_t count, const char *actor,
                                   struct dataset_compacted *result, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct merging merging = {.lake = lake,
                              .name = name,
                              .arena = arena,
                              .table = catalog_table(lake->catalog, arena, name),
                              .merges = TN_ARENA_ARRAY(arena, struct merge, count + 1),
                              .count = count,
                              .actor = actor ? actor : "tarn"};
    enum tn_code code = TN_OK;
    for (size_t i = 0; i < count && code == TN_OK; i++) {
        merging.merges[i].file = files[i];
        code = read_positions(&merging, &merging.merges[i], err);
    }
    struct tn_error lost = {0};
    if (code == TN_OK) {
        code = commit(&merging, base->uuid, result, &lost);
        if (code == TN_ECONFLICT) {
            result->lost_groups++;
            code = TN_OK;
        } else if (code != TN_OK && err) {
            *err = lost;
        }
    }
    for (size_t i = 0; i < count; i++)
        free(merging.merges[i].positions);
    return code;
}
