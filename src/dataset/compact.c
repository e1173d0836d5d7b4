/* Compaction: many small files, and files with deletes, become few whole ones.
 *
 * A group of few rows is merged in memory (compact_rows.h). Any other group of files is read through their deletes,
 * sorted by the key, and written twice: first with each row's old place beside it, into a staging file that never
 * leaves this function, then without. Writers are not held up meanwhile. Under the dataset's lock the plan is made
 * again: if others have deleted rows of the old files since, their new places are looked up (moves.h, made before; of
 * very many rows in the staging file) and deleted from the new file in the same commit.
 */
#include "dataset/cells.h"
#include "dataset/compact_work.h"
#include "dataset/dataset_internal.h"
#include "dataset/deletes.h"
#include "dataset/hot.h"
#include "dataset/named.h"
#include "dataset/rows_internal.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define MOVED_ROWS 500000 /* of a group whose rows writers still find afterwards */
#define TRIES      3

/* ---- one group ------------------------------------------------------------- */

static void group_forget_try(struct compact_work *group)
{
    if (group->placed)
        (void)unlink(group->placed);
    if (group->written)
        (void)unlink(group->written);
    compact_rows_free(TN_TAKE(group->rows));
    tn_buf_release(&group->object);
    free(group->early.items);
    dataset_moves_unref(TN_TAKE(group->moves));
    group->early = (struct compact_moved){0};
    group->placed = group->written = NULL;
    group->file = (struct iceberg_file){0};
    group->told = false;
}

/* The columns as staging files call them, from the table's names or to them. */
enum naming { NAMES_STAGED, NAMES_INTO_STAGED, NAMES_FROM_STAGED };

static void put_names(struct tn_buf *sql, const struct compact_work *group, enum naming naming)
{
    const struct iceberg_schema *schema = group->base->schema;
    for (size_t i = 0; i < schema->field_count; i++) {
        const char *name = schema->fields[i].name,
                   *staged = dataset_staged_name(group->run->arena, &schema->fields[i]);
        tn_buf_puts(sql, i ? ", " : "");
        tn_buf_put_sql_name(sql, naming == NAMES_INTO_STAGED ? name : staged);
        if (naming == NAMES_STAGED || name == staged)
            continue;
        tn_buf_puts(sql, " AS ");
        tn_buf_put_sql_name(sql, naming == NAMES_INTO_STAGED ? staged : name);
    }
}

static enum tn_code copy_rows(struct compact_work *group, const char *select, bool final, char **ret_path,
                              struct engine_file_stats *ret, struct tn_error *err)
{
    struct tn_arena *arena = group->run->arena;
    char *path;
    TN_TRY(store_stage_path(group->run->lake->store, arena, ".parquet", &path, err));
    const struct engine_copy copy = {
        .select = select,
        .field_ids = final ? dataset_field_ids(arena, group->base->schema) : NULL,
        .local_path = path,
        .cancelled = group->run->options->cancelled,
        .cancel_context = group->run->options->cancel_context,
    };
    TN_TRY(engine_copy_parquet(group->run->lake->engine, &copy, arena, ret, err));
    *ret_path = path;
    return TN_OK;
}

/* Live rows with their places, by key and then by place, so that the order is
 * one order whoever sorts. */
static enum tn_code write_placed(struct compact_work *group, struct tn_error *err)
{
    const struct iceberg_schema *schema = group->base->schema;
    const struct iceberg_plan part = {.metadata = group->base,
                                      .snapshot = group->base->current,
                                      .schema = schema,
                                      .files = group->files,
                                      .file_count = group->count};
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT tarn_path, tarn_pos, ");
    put_names(&sql, group, NAMES_INTO_STAGED);
    tn_buf_puts(&sql, " FROM (");
    TN_TRY(dataset_placed_files_sql(group->run->lake, &part, schema, &sql, err));
    tn_buf_puts(&sql, ") ORDER BY ");
    for (size_t i = 0; i < schema->identifier_count; i++) {
        tn_buf_put_sql_name(&sql, iceberg_schema_field(schema, schema->identifier_ids[i])->name);
        tn_buf_puts(&sql, ", ");
    }
    tn_buf_puts(&sql, "tarn_path, tarn_pos");
    struct engine_file_stats stats;
    return copy_rows(group, sql.data, false, &group->placed, &stats, err);
}

static enum tn_code write_final(struct compact_work *group, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    struct engine_file_stats stats = {0};
    tn_buf_puts(&sql, "SELECT ");
    put_names(&sql, group, NAMES_FROM_STAGED);
    tn_buf_puts(&sql, " FROM read_parquet(");
    tn_buf_put_sql_string(&sql, group->placed);
    tn_buf_putc(&sql, ')');
    TN_TRY(copy_rows(group, sql.data, true, &group->written, &stats, err));
    catalog_file_stats(group->run->arena, group->base->schema, &stats, &group->file);
    TN_FAULT("compact.file_written");
    return TN_OK;
}

/* ---- what hot copies are told ------------------------------------------------ */

/* To them, rows in another file are other rows. */
struct telling {
    struct tn_arena *arena;
    struct cells_shape shape;
    struct dataset_place *removed;
    struct engine_cell *keys, *added;
    size_t count, most;
    const struct dataset_moves *moves;
    struct dataset_moved_file *file; /* of the row before */
};

static enum tn_code tell_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct telling *telling = context;
    size_t width = telling->shape.width;
    if (telling->count == telling->most)
        return tn_fail(err, TN_EINTERNAL, "a staging file has more rows than were written");
    const struct engine_cell *row = cells_copy(&telling->shape, telling->arena, cells + 2);
    const char *path = tn_arena_strndup(telling->arena, cells[0].text.data, cells[0].text.length);
    telling->removed[telling->count] = (struct dataset_place){path, cells[1].integer};
    cells_key_of(&telling->shape, row, telling->keys + telling->count * telling->shape.key_count);
    memcpy(telling->added + telling->count * width, row, width * sizeof *row);
    telling->count++;
    return TN_OK;
}

static enum tn_code tell(struct compact_work *group, struct tn_error *err)
{
    struct tn_arena *arena = group->run->arena;
    const struct iceberg_schema *schema = group->base->schema;
    struct telling telling = {.arena = arena, .most = (size_t)group->file.record_count};
    if (!group->run->lake->hot || group->file.record_count > COMPACT_FOLLOW_ROWS)
        return TN_OK;
    TN_TRY(cells_shape_init(&telling.shape, arena, schema, err));
    telling.removed = TN_ARENA_ARRAY(arena, struct dataset_place, telling.most + 1);
    telling.keys = TN_ARENA_ARRAY(arena, struct engine_cell, telling.most * telling.shape.key_count + 1);
    telling.added = TN_ARENA_ARRAY(arena, struct engine_cell, telling.most * telling.shape.width + 1);
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT tarn_path, tarn_pos, ");
    put_names(&sql, group, NAMES_STAGED);
    tn_buf_puts(&sql, " FROM read_parquet(");
    tn_buf_put_sql_string(&sql, group->placed);
    tn_buf_puts(&sql, ") ORDER BY file_row_number");
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(group->run->lake->engine, &select, NULL, NULL, NULL, tell_row, &telling, err));
    group->change = (struct dataset_change){.removed = telling.removed,
                                            .removed_keys = telling.keys,
                                            .removed_count = telling.count,
                                            .added = telling.added,
                                            .added_rows = telling.count};
    group->told = true;
    return TN_OK;
}

/* Another file than the row before had. */
static enum tn_code tell_file(struct telling *telling, const struct engine_cell *path, const char **ret,
                              struct tn_error *err)
{
    const char *name = tn_arena_strndup(telling->arena, path->text.data, path->text.length);
    telling->file = telling->moves ? dataset_moves_file(telling->moves, name) : NULL;
    if (telling->moves && !telling->file)
        return tn_fail(err, TN_EINTERNAL, "%s is no file of the compaction", name);
    *ret = telling->file ? telling->file->path : name;
    return TN_OK;
}

/* Only where each row went, for those who look rows up by key. */
static enum tn_code tell_place(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct telling *telling = context;
    const struct cells_shape *shape = &telling->shape;
    if (telling->count == telling->most)
        return tn_fail(err, TN_EINTERNAL, "a staging file has more rows than were written");
    const struct engine_cell *path = &cells[0];
    const char *last = telling->count ? telling->removed[telling->count - 1].path : "";
    if (strlen(last) != path->text.length || memcmp(last, path->text.data, path->text.length) != 0)
        TN_TRY(tell_file(telling, path, &last, err));
    if (telling->file && !dataset_moved_put(telling->file, cells[1].integer, (uint32_t)telling->count))
        return tn_fail(err, TN_EINTERNAL, "%s has no row %" PRId64, last, cells[1].integer);
    telling->removed[telling->count] = (struct dataset_place){last, cells[1].integer};
    memcpy(telling->keys + telling->count * shape->key_count, cells_copy_keys(shape, telling->arena, cells + 2, 1),
           shape->key_count * sizeof *cells);
    telling->count++;
    return TN_OK;
}

static enum tn_code tell_places(struct compact_work *group, struct tn_error *err)
{
    struct tn_arena *arena = group->run->arena;
    const struct iceberg_schema *schema = group->base->schema;
    struct telling telling = {.arena = arena, .most = (size_t)group->file.record_count};
    group->change = (struct dataset_change){.moved = true};
    if (!group->run->lake->hot || group->file.record_count > MOVED_ROWS || !schema->identifier_count)
        return TN_OK;
    telling.moves = group->moves = dataset_moves_new(group->files, group->count);
    TN_TRY(cells_shape_init(&telling.shape, arena, schema, err));
    telling.removed = TN_ARENA_ARRAY(arena, struct dataset_place, telling.most + 1);
    telling.keys = TN_ARENA_ARRAY(arena, struct engine_cell, telling.most * telling.shape.key_count + 1);
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT tarn_path, tarn_pos");
    for (size_t i = 0; i < telling.shape.key_count; i++) {
        tn_buf_puts(&sql, ", ");
        tn_buf_put_sql_name(&sql, dataset_staged_name(arena, &schema->fields[telling.shape.key[i]]));
    }
    tn_buf_puts(&sql, " FROM read_parquet(");
    tn_buf_put_sql_string(&sql, group->placed);
    tn_buf_puts(&sql, ") ORDER BY file_row_number");
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(group->run->lake->engine, &select, NULL, NULL, NULL, tell_place, &telling, err));
    group->change.removed = telling.removed;
    group->change.removed_keys = telling.keys;
    group->change.removed_count = telling.count;
    group->change.moves = group->moves;
    return TN_OK;
}

/* ---- the commit --------------------------------------------------------------- */

static enum tn_code add_written(struct compact_work *group, struct iceberg_tx *tx, struct tn_error *err)
{
    char suffix[48];
    const char *key;
    if (!group->written && group->object.len == 0)
        return TN_OK;
    snprintf(suffix, sizeof suffix, DATASET_FILE_SUFFIX, group->base->schema->id);
    group->file.path = iceberg_tx_new_file(tx, group->run->arena, suffix, &key);
    group->file.spec_id = group->files[0].file->spec_id; /* all of them lie in one partition */
    group->file.partition = group->files[0].file->partition;
    group->file.partition_count = group->files[0].file->partition_count;
    TN_TRY(iceberg_tx_add_file(tx, &group->file, err));
    if (!group->written)
        return store_batch_put(iceberg_tx_batch(tx), key, group->object.data, group->object.len, err);
    TN_TRY(store_batch_put_file(iceberg_tx_batch(tx), key, group->written, err));
    group->written = NULL;
    return TN_OK;
}

static enum tn_code commit_group(struct compact_work *group, struct tn_error *err)
{
    struct lake *lake = group->run->lake;
    const char *name = group->run->name;
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, name);
    ICEBERG_AUTO_METADATA *newest = NULL;
    ICEBERG_AUTO_METADATA *done = NULL;
    ICEBERG_AUTO_PLAN *now = NULL;
    TN_TRY(catalog_load_locked(lake->catalog, name, &newest, err));
    if (!newest || !tn_streq(newest->uuid, group->base->uuid))
        return tn_fail(err, TN_ECONFLICT, "dataset \"%s\" was dropped meanwhile", name);
    TN_TRY(iceberg_plan_new(&group->table, newest, NULL, NULL, 0, &now, err));
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&group->table, newest);
    for (size_t i = 0; i < group->count; i++)
        iceberg_tx_remove_file(tx, group->files[i].file->path);
    const struct iceberg_plan old = {.files = group->files, .file_count = group->count};
    compact_remove_shared(tx, now, &old, group->run->arena);
    TN_TRY(add_written(group, tx, err));
    TN_TRY(compact_add_moved(group, tx, now, err));
    iceberg_tx_mark_rewrite(tx);
    iceberg_tx_set_summary(tx, CATALOG_S_ACTOR, group->run->options->actor ? group->run->options->actor : "tarn");
    if (group->run->options->reason)
        iceberg_tx_set_summary(tx, CATALOG_S_REASON, group->run->options->reason);
    if (group->run->options->request_id)
        iceberg_tx_set_summary(tx, CATALOG_S_REQUEST, group->run->options->request_id);
    TN_FAULT("compact.before_commit");
    TN_TRY(catalog_tx_commit(lake->catalog, name, tx, &done, err));
    TN_FAULT("compact.after_commit");
    catalog_publish(lake->catalog, name, done);
    group->change.added_path = group->file.record_count ? group->file.path : NULL;
    dataset_hot_follow(lake, name, newest, done, &group->change);
    if (group->rows)
        compact_rows_keep(group->rows, group->change.added_path);
    group->run->result.snapshot_id = done->current ? done->current->id : 0;
    return TN_OK;
}

static void count_group(const struct compact_work *group, struct dataset_compacted *result)
{
    result->groups++;
    result->files_before += group->count;
    result->files_after += group->file.record_count > 0;
    result->rows += (uint64_t)group->file.record_count;
    result->bytes += (uint64_t)group->file.size_bytes;
    for (size_t i = 0; i < group->count; i++)
        result->deleted_rows += (uint64_t)compact_deleted_rows(&group->files[i]);
}

/* By the engine, through files. */
static enum tn_code rewrite_files(struct compact_work *group, bool last_try, struct tn_error *err)
{
    TN_TRY(write_placed(group, err));
    TN_TRY(write_final(group, err));
    if (group->file.record_count == 0) { /* all rows were deleted: no file is the whole of them */
        (void)unlink(group->written);
        group->written = NULL;
    }
    if (!last_try)
        TN_TRY(tell(group, err));
    return group->told ? TN_OK : tell_places(group, err);
}

static enum tn_code rewrite_rows(struct compact_work *group, struct tn_error *err)
{
    const struct compact_rows *rows = group->rows;
    if (compact_rows_count(rows) > 0)
        TN_TRY(compact_rows_write(rows, group->run->arena, &group->object, &group->file, err));
    TN_FAULT("compact.file_written");
    if (group->run->lake->hot)
        compact_rows_tell(rows, group->run->arena, &group->change);
    return TN_OK;
}

static enum tn_code compact_group(struct compact_work *group, bool last_try, struct tn_error *err)
{
    const struct iceberg_plan part = {.metadata = group->base, .files = group->files, .file_count = group->count};
    TN_TRY(dataset_named_require(group->run->lake, group->run->name, &part, err));
    TN_TRY(compact_rows_load(group->run->lake, group->base, group->files, group->count, &group->rows, err));
    if (group->rows)
        TN_TRY(rewrite_rows(group, err));
    else
        TN_TRY(rewrite_files(group, last_try, err));
    compact_find_moved(group);
    TN_TRY(commit_group(group, err));
    count_group(group, &group->run->result);
    return TN_OK;
}

/* ---- the whole ------------------------------------------------------------------ */

/* Each try begins from the newest version; its files are the group's as long as
 * all of them are live. */
static enum tn_code refresh(struct compact_work *group, struct tn_error *err)
{
    struct lake *lake = group->run->lake;
    ICEBERG_AUTO_METADATA *newest = NULL;
    TN_TRY(catalog_load(lake->catalog, group->run->name, &newest, err));
    ICEBERG_AUTO_PLAN *plan = NULL;
    TN_TRY(iceberg_plan_new(&group->table, newest, NULL, NULL, 0, &plan, err));
    const struct compact_index *index = compact_index_new(group->run->arena, plan);
    struct iceberg_plan_file *files = TN_ARENA_ARRAY(group->run->arena, struct iceberg_plan_file, group->count);
    for (size_t i = 0; i < group->count; i++) {
        const struct iceberg_plan_file *file = compact_index_find(index, group->files[i].file->path);
        if (!file)
            return tn_fail(err, TN_ECONFLICT, "%s was replaced by somebody else meanwhile",
                           group->files[i].file->path);
        files[i] = *file;
    }
    group->files = files; /* the plan's, no longer the one's before */
    iceberg_plan_free(group->plan);
    group->plan = TN_TAKE(plan);
    iceberg_metadata_unref(group->base);
    group->base = TN_TAKE(newest);
    return TN_OK;
}

static enum tn_code try_group(struct compaction *run, struct iceberg_metadata *base,
                              const struct compact_group *chosen, struct tn_error *err)
{
    struct iceberg_table table = catalog_table(run->lake->catalog, run->arena, run->name);
    struct iceberg_metadata *held = iceberg_metadata_ref(base);
    struct compact_work group = {
        .run = run, .base = held, .table = table, .files = chosen->files, .count = chosen->count};
    struct tn_error why = {0};
    enum tn_code code = TN_EBUSY;
    for (int left = TRIES; code == TN_EBUSY && left > 0; left--) {
        code = left == TRIES ? TN_OK : refresh(&group, &why);
        if (code == TN_OK)
            code = compact_group(&group, left == 1, &why);
        group_forget_try(&group);
    }
    iceberg_plan_free(group.plan);
    iceberg_metadata_unref(group.base);
    if (code == TN_ECONFLICT) {
        run->result.lost_groups++;
        TN_LOG(TN_LOG_INFO, "compact.gave_up", TN_FS("dataset", run->name), TN_FS("why", why.detail));
        return TN_OK;
    }
    if (code != TN_OK && err)
        *err = why;
    return code;
}

static enum tn_code compact_all(struct compaction *run, struct iceberg_metadata *base, struct tn_error *err)
{
    ICEBERG_AUTO_PLAN *plan = NULL;
    struct compact_choice choice;
    const struct dataset_compaction *options = run->options;
    const struct compact_limits limits = {
        .many = options->many ? options->many : COMPACT_MANY,
        .deleted_share = options->deleted_share > 0 ? options->deleted_share : COMPACT_SHARE,
    };
    struct iceberg_table table = catalog_table(run->lake->catalog, run->arena, run->name);
    TN_TRY(iceberg_plan_new(&table, base, NULL, NULL, 0, &plan, err));
    if (options->debt_only)
        compact_choose_debt(base, plan, &limits, run->arena, &choice);
    else
        compact_choose_all(plan, run->arena, &choice);
    for (size_t i = 0; i < choice.group_count; i++) {
        if (options->cancelled && options->cancelled(options->cancel_context))
            return tn_fail(err, TN_ECANCELLED, "the compaction was cancelled; what is committed stays");
        TN_TRY(try_group(run, base, &choice.groups[i], err));
    }
    if (choice.merge_count == 0)
        return TN_OK;
    return compact_merge_deletes(run->lake, run->name, base, choice.merges, choice.merge_count, options->actor,
                                 &run->result, err);
}

enum tn_code dataset_compact(struct lake *lake, const char *name, const struct dataset_compaction *options,
                             struct dataset_compacted *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *base = NULL;
    char exact[CATALOG_NAME_MAX + 1];
    TN_TRY(catalog_load(lake->catalog, name, &base, err));
    catalog_exact_name(name, exact);
    struct compaction run = {.lake = lake, .name = exact, .options = options, .arena = arena};
    run.result.snapshot_id = base->current ? base->current->id : 0;
    enum tn_code code = options->debt_only ? TN_OK : rows_check_writable(base, err);
    bool can = dataset_check_engine_writes(base->schema, code == TN_OK ? err : NULL) == TN_OK;
    if (code == TN_OK && !can && !options->debt_only)
        code = TN_EUNSUPPORTED;
    if (code == TN_OK && can && base->current)
        code = compact_all(&run, base, err);
    if (code != TN_OK)
        tn_error_context(err, "compacting \"%s\"", exact);
    *ret = run.result;
    return code;
}
