/* Rows that somebody deleted while their files were compacted: where they lie in the new file, and its deletes. */
#include "dataset/compact_work.h"
#include "dataset/dataset_internal.h"
#include "dataset/deletes.h"

#include <stdlib.h>

static bool had_delete(const struct iceberg_plan_file *file, const char *key)
{
    for (size_t i = 0; i < file->delete_count; i++)
        if (tn_streq(file->delete_keys[i], key))
            return true;
    return false;
}

/* Files of the group that have gained delete files since it was read, with
 * these alone. */
struct gained {
    struct iceberg_plan_file *files;
    size_t count;
};

/* TN_ECONFLICT when one of the files is gone. */
static enum tn_code gained_deletes(const struct compact_work *group, const struct iceberg_plan *now,
                                   struct gained *ret, struct tn_error *err)
{
    struct tn_arena *arena = group->run->arena;
    const struct compact_index *index = compact_index_new(arena, now);
    *ret = (struct gained){.files = TN_ARENA_ARRAY(arena, struct iceberg_plan_file, group->count + 1)};
    for (size_t i = 0; i < group->count; i++) {
        const struct iceberg_plan_file *before = &group->files[i];
        const struct iceberg_plan_file *after = compact_index_find(index, before->file->path);
        if (!after)
            return tn_fail(err, TN_ECONFLICT, "%s was replaced by somebody else meanwhile", before->file->path);
        struct iceberg_plan_file more = *after;
        const struct iceberg_file **deletes =
            TN_ARENA_ARRAY(arena, const struct iceberg_file *, after->delete_count + 1);
        const char **keys = TN_ARENA_ARRAY(arena, const char *, after->delete_count + 1);
        more.delete_count = 0;
        for (size_t d = 0; d < after->delete_count; d++) {
            if (had_delete(before, after->delete_keys[d]))
                continue;
            deletes[more.delete_count] = after->deletes[d];
            keys[more.delete_count++] = after->delete_keys[d];
        }
        more.deletes = deletes;
        more.delete_keys = keys;
        if (more.delete_count > 0)
            ret->files[ret->count++] = more;
    }
    return TN_OK;
}

struct positions {
    int64_t *items;
    size_t count, capacity;
};

static bool take_position(void *context, size_t count, const char *const *values)
{
    struct positions *positions = context;
    (void)count;
    TN_GROW(positions->items, positions->count, positions->capacity);
    positions->items[positions->count++] = strtoll(values[0], NULL, 10);
    return true;
}

/* The keys of all delete files, each once. */
static size_t list_keys(struct tn_arena *arena, const struct gained *gained, const char ***ret)
{
    size_t capacity = 1, count = 0;
    for (size_t i = 0; i < gained->count; i++)
        capacity += gained->files[i].delete_count;
    const char **keys = TN_ARENA_ARRAY(arena, const char *, capacity);
    for (size_t i = 0; i < gained->count; i++)
        for (size_t d = 0; d < gained->files[i].delete_count; d++) {
            bool known = false;
            for (size_t k = 0; k < count && !known; k++)
                known = tn_streq(keys[k], gained->files[i].delete_keys[d]);
            if (!known)
                keys[count++] = gained->files[i].delete_keys[d];
        }
    *ret = keys;
    return count;
}

/* Where the rows that these delete files name lie in the new file. */
static enum tn_code find_moved(const struct compact_work *group, const struct gained *gained, struct positions *ret,
                               struct tn_error *err)
{
    const char **keys = NULL;
    size_t count = list_keys(group->run->arena, gained, &keys);
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT DISTINCT t.file_row_number FROM read_parquet(");
    tn_buf_put_sql_string(&sql, group->placed);
    tn_buf_puts(&sql, ") t JOIN read_parquet([");
    for (size_t i = 0; i < count; i++) {
        char *path;
        TN_TRY(store_local_path(group->run->lake->store, group->run->arena, keys[i], &path, err));
        tn_buf_puts(&sql, i ? ", " : "");
        tn_buf_put_sql_string(&sql, path);
    }
    tn_buf_puts(&sql, "]) d ON d.file_path = t.tarn_path AND d.pos = t.tarn_pos ORDER BY 1");
    return engine_run(group->run->lake->engine, sql.data, take_position, ret, err);
}

static enum tn_code find_in_rows(const struct compact_work *group, const struct gained *gained, struct positions *ret,
                                 struct tn_error *err)
{
    int64_t *found = NULL;
    size_t count = 0;
    bool done = false;
    TN_TRY(
        compact_rows_find(group->rows, gained->files, gained->count, group->run->arena, &found, &count, &done, err));
    if (!done)
        return tn_fail(err, TN_ECONFLICT, "more rows were deleted from the files meanwhile than are held in memory");
    for (size_t i = 0; i < count; i++) {
        TN_GROW(ret->items, ret->count, ret->capacity);
        ret->items[ret->count++] = found[i];
    }
    return TN_OK;
}

enum tn_code compact_add_moved(const struct compact_work *group, struct iceberg_tx *tx,
                               const struct iceberg_plan *now, struct tn_error *err)
{
    struct gained gained;
    TN_TRY(gained_deletes(group, now, &gained, err));
    if (gained.count == 0 || group->file.record_count == 0)
        return TN_OK;
    if (group->told)
        return tn_fail(err, TN_EBUSY, "rows were deleted from the files meanwhile");
    struct positions moved = {0};
    enum tn_code code =
        group->rows ? find_in_rows(group, &gained, &moved, err) : find_moved(group, &gained, &moved, err);
    if (code == TN_OK && moved.count > 0) {
        TN_AUTO_BUF object = {0};
        struct iceberg_file file;
        const char *key;
        code =
            iceberg_small_deletes(group->run->arena, group->file.path, moved.items, moved.count, &object, &file, err);
        file.path = iceberg_tx_new_file(tx, group->run->arena, "-deletes.parquet", &key);
        dataset_deletes_note(dataset_relations_deletes(group->run->lake->relations), file.path, group->file.path,
                             moved.items, moved.count);
        if (code == TN_OK)
            code = store_batch_put(iceberg_tx_batch(tx), key, object.data, object.len, err);
        if (code == TN_OK)
            code = iceberg_tx_add_file(tx, &file, err);
    }
    free(moved.items);
    return code;
}
