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

static void put_position(struct compact_moved *moved, int64_t position)
{
    TN_GROW(moved->items, moved->count, moved->capacity);
    moved->items[moved->count++] = position;
}

static bool take_position(void *context, size_t count, const char *const *values)
{
    (void)count;
    put_position(context, strtoll(values[0], NULL, 10));
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

/* Where the rows that these delete files name lie in the new file, behind those that `ret` has. */
static enum tn_code search_moved(const struct compact_work *group, const char *const *keys, size_t count,
                                 struct compact_moved *ret, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT DISTINCT t.file_row_number FROM read_parquet(");
    tn_buf_put_sql_string(&sql, group->placed);
    tn_buf_puts(&sql, ") t JOIN read_parquet([");
    for (size_t i = 0; i < count; i++) {
        char *path;
        TN_TRY(store_needed_path(group->run->lake->store, group->run->arena, keys[i], &path, err));
        tn_buf_puts(&sql, i ? ", " : "");
        tn_buf_put_sql_string(&sql, path);
    }
    tn_buf_puts(&sql, "]) d ON d.file_path = t.tarn_path AND d.pos = t.tarn_pos ORDER BY 1");
    return engine_run(group->run->lake->engine, sql.data, take_position, ret, err);
}

static enum tn_code find_in_rows(const struct compact_work *group, const struct gained *gained,
                                 struct compact_moved *ret, struct tn_error *err)
{
    int64_t *found = NULL;
    size_t count = 0;
    bool done = false;
    TN_TRY(
        compact_rows_find(group->rows, gained->files, gained->count, group->run->arena, &found, &count, &done, err));
    if (!done)
        return tn_fail(err, TN_ECONFLICT, "more rows were deleted from the files meanwhile than are held in memory");
    for (size_t i = 0; i < count; i++)
        put_position(ret, found[i]);
    return TN_OK;
}

struct moving {
    const struct dataset_moved_file **files; /* of each of the gained */
    struct compact_moved *moved;
};

static void take_moved(void *context, size_t file, int64_t row)
{
    struct moving *moving = context;
    int64_t place = dataset_moved_place(moving->files[file], row);
    if (place >= 0) /* else it was deleted before already */
        put_position(moving->moved, place);
}

/* *ret_done is false when the engine has to be asked. */
static enum tn_code find_in_moves(const struct compact_work *group, const struct gained *gained,
                                  struct compact_moved *ret, bool *ret_done, struct tn_error *err)
{
    struct dataset_deletes *deletes = dataset_relations_deletes(group->run->lake->relations);
    const struct iceberg_plan plan = {.files = gained->files, .file_count = gained->count};
    struct moving moving = {
        .files = TN_ARENA_ARRAY(group->run->arena, const struct dataset_moved_file *, gained->count + 1),
        .moved = ret};
    *ret_done = false;
    if (!group->moves || !deletes)
        return TN_OK;
    for (size_t i = 0; i < gained->count; i++) {
        moving.files[i] = dataset_moves_file(group->moves, gained->files[i].file->path);
        if (!moving.files[i])
            return tn_fail(err, TN_EINTERNAL, "%s is no file of the compaction", gained->files[i].file->path);
    }
    return dataset_deletes_each(group->run->lake, deletes, &plan, take_moved, &moving, ret_done, err);
}

/* ---- before the lock --------------------------------------------------------- */

static enum tn_code look_early(struct compact_work *group, struct tn_error *err)
{
    struct compact_moved *early = &group->early;
    struct gained gained;
    const char **keys = NULL;
    ICEBERG_AUTO_METADATA *newest = NULL;
    ICEBERG_AUTO_PLAN *now = NULL;
    TN_TRY(catalog_load(group->run->lake->catalog, group->run->name, &newest, err));
    TN_TRY(iceberg_plan_new(&group->table, newest, NULL, NULL, 0, &now, err));
    TN_TRY(gained_deletes(group, now, &gained, err));
    size_t count = list_keys(group->run->arena, &gained, &keys);
    if (count > 0)
        TN_TRY(search_moved(group, keys, count, early, err));
    for (size_t i = 0; i < count; i++) /* the names are the plan's, which goes */
        keys[i] = tn_arena_strdup(group->run->arena, keys[i]);
    early->keys = keys;
    early->key_count = count;
    return TN_OK;
}

void compact_find_moved(struct compact_work *group)
{
    struct tn_error ignored = {0};
    if (group->rows || group->told || group->moves || group->file.record_count == 0)
        return;
    if (look_early(group, &ignored) != TN_OK)
        group->early.count = group->early.key_count = 0;
}

static bool has_key(const char *const *keys, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (tn_streq(keys[i], key))
            return true;
    return false;
}

static void put_in_order(struct compact_moved *moved)
{
    size_t unique = 1;
    if (moved->count == 0)
        return;
    qsort(moved->items, moved->count, sizeof *moved->items, tn_order_i64);
    for (size_t i = 1; i < moved->count; i++)
        if (moved->items[i] != moved->items[unique - 1])
            moved->items[unique++] = moved->items[i];
    moved->count = unique;
}

/* What was found early holds as long as all of its delete files are there still: a restore takes deletes back. */
static enum tn_code find_in_file(const struct compact_work *group, const struct gained *gained,
                                 struct compact_moved *ret, struct tn_error *err)
{
    const struct compact_moved *early = &group->early;
    const char **keys = NULL;
    bool done = false;
    TN_TRY(find_in_moves(group, gained, ret, &done, err));
    if (done) {
        put_in_order(ret);
        return TN_OK;
    }
    size_t count = list_keys(group->run->arena, gained, &keys), kept = 0, left = 0;
    for (size_t i = 0; i < early->key_count; i++)
        kept += has_key(keys, count, early->keys[i]);
    bool holds = kept == early->key_count;
    for (size_t i = 0; holds && i < early->count; i++)
        put_position(ret, early->items[i]);
    for (size_t i = 0; i < count; i++)
        if (!holds || !has_key(early->keys, early->key_count, keys[i]))
            keys[left++] = keys[i];
    if (left > 0)
        TN_TRY(search_moved(group, keys, left, ret, err));
    put_in_order(ret);
    return TN_OK;
}

/* ---- under the lock ---------------------------------------------------------- */

enum tn_code compact_add_moved(const struct compact_work *group, struct iceberg_tx *tx,
                               const struct iceberg_plan *now, struct tn_error *err)
{
    struct gained gained;
    TN_TRY(gained_deletes(group, now, &gained, err));
    if (gained.count == 0 || group->file.record_count == 0)
        return TN_OK;
    if (group->told)
        return tn_fail(err, TN_EBUSY, "rows were deleted from the files meanwhile");
    struct compact_moved moved = {0};
    enum tn_code code =
        group->rows ? find_in_rows(group, &gained, &moved, err) : find_in_file(group, &gained, &moved, err);
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
