/* Commits become rows of the delta and bits.
 *
 * The added rows are known to whoever committed, as cells; only where some of
 * them are nested are they read from the new file. A removed row is found by
 * arithmetic: rows of one file lie in a table as they lie in the file. The
 * rows that are gone make a new bitmap, so that readers of older versions see
 * what they saw.
 */
#include "dataset/hot_internal.h"

#include <inttypes.h>
#include <string.h>

#define FOLLOW_MAX_ROWS ((size_t)20000) /* of one change; more is filled anew */
#define PENDING_MAX     ((size_t)200000)

bool hot_is_worn(const struct hot_table *table)
{
    return table->delta_rows + table->gone_rows > 10000 + table->rows / 10;
}

void hot_publish(struct hot_copy *copy, struct hot_version *version)
{
    if (copy->version_count == HOT_VERSIONS) {
        engine_hold_unref(&copy->versions[0]->hold); /* the table is held by the newer ones */
        memmove(copy->versions, copy->versions + 1, (HOT_VERSIONS - 1) * sizeof *copy->versions);
        copy->version_count--;
    }
    copy->versions[copy->version_count++] = version;
}

/* ---- changes that come while a table is being filled -------------------------------- */

void hot_forget_pending(struct hot_copy *copy)
{
    while (copy->pending) {
        struct hot_pending *pending = copy->pending;
        copy->pending = pending->next;
        tn_arena_free(pending->arena);
        free(pending);
    }
    copy->pending_end = &copy->pending;
    copy->pending_rows = 0;
}

static bool copy_change(struct hot_pending *pending, const struct iceberg_schema *schema,
                        const struct dataset_change *change)
{
    struct cells_shape shape;
    struct tn_arena *arena = pending->arena;
    if (cells_shape_init(&shape, arena, schema, NULL) != TN_OK)
        return false;
    struct dataset_place *removed = TN_ARENA_ARRAY(arena, struct dataset_place, change->removed_count + 1);
    struct engine_cell *added = TN_ARENA_ARRAY(arena, struct engine_cell, change->added_rows * shape.width + 1);
    for (size_t i = 0; i < change->removed_count; i++)
        removed[i] = (struct dataset_place){tn_arena_strdup(arena, change->removed[i].path), change->removed[i].pos};
    for (size_t i = 0; i < change->added_rows; i++)
        memcpy(added + i * shape.width, cells_copy(&shape, arena, change->added + i * shape.width),
               shape.width * sizeof *added);
    pending->change = (struct dataset_change){
        .removed = removed,
        .removed_count = change->removed_count,
        .added_path = change->added_path ? tn_arena_strdup(arena, change->added_path) : NULL,
        .added = added,
        .added_rows = change->added_rows,
    };
    return true;
}

void hot_record(struct hot_copy *copy, const struct iceberg_metadata *before, const struct iceberg_metadata *after,
                const struct dataset_change *change)
{
    struct hot_pending *pending = tn_calloc(1, sizeof *pending);
    pending->arena = tn_arena_new();
    pending->before_id = before->current ? before->current->id : 0;
    pending->after_id = after->current ? after->current->id : 0;
    size_t rows = change ? change->removed_count + change->added_rows : 0;
    copy->pending_rows += rows;
    pending->followable = change && rows <= FOLLOW_MAX_ROWS && copy->pending_rows <= PENDING_MAX &&
                          before->schema->id == after->schema->id && copy_change(pending, after->schema, change);
    *copy->pending_end = pending;
    copy->pending_end = &pending->next;
}

/* ---- rows that are gone ------------------------------------------------------------------ */

static enum tn_code take_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    (void)err;
    *(int64_t *)context = cells[0].integer;
    return TN_OK;
}

/* The row of a file that had lost rows before it was read. */
static enum tn_code search_row(const struct hot_table *table, size_t file, int64_t pos, int64_t *ret,
                               struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "SELECT rowid FROM " HOT_BASE " WHERE tarn_file = %zu AND tarn_pos = %" PRId64,
                  (unsigned long long)table->serial, file, pos);
    const struct engine_select select = {.sql = sql.data};
    int64_t row = -1;
    TN_TRY(engine_select(table->engine, &select, NULL, NULL, NULL, take_row, &row, err));
    *ret = row;
    return row >= 0 ? TN_OK : tn_fail(err, TN_EINTERNAL, "a removed row is not in the hot copy");
}

static struct engine_bitmap *copy_bitmap(const struct engine_bitmap *from, uint64_t bits, uint64_t limit)
{
    struct engine_bitmap *copy = engine_bitmap_new((size_t)bits, limit);
    if (from)
        memcpy(copy->words, from->words, TN_MIN(copy->word_count, from->word_count) * sizeof *copy->words);
    return copy;
}

struct applying {
    struct lake *lake;
    struct hot_table *table;
    const struct hot_version *from;
    const struct dataset_change *change;
    struct engine_bitmap *gone, *gone_delta; /* of the version to come */
};

static enum tn_code remove_row(struct applying *applying, const struct dataset_place *place, struct tn_error *err)
{
    const struct hot_table *table = applying->table;
    size_t at = hot_table_find_file(table, place->path);
    if (at == SIZE_MAX)
        return tn_fail(err, TN_EINTERNAL, "the hot copy does not know the file of a removed row");
    const struct hot_file *file = &table->files[at];
    int64_t row = place->pos + file->offset;
    if (!file->dense)
        TN_TRY(search_row(table, at, place->pos, &row, err));
    uint64_t count = file->delta ? applying->from->delta_rows : table->rows;
    if (row < 0 || (uint64_t)row >= count)
        return tn_fail(err, TN_EINTERNAL, "a removed row lies outside of the hot copy");
    if (!file->delta && !applying->gone)
        applying->gone = copy_bitmap(applying->from->gone, table->rows, UINT64_MAX);
    engine_bitmap_set(file->delta ? applying->gone_delta : applying->gone, (uint64_t)row);
    return TN_OK;
}

/* ---- rows that came ------------------------------------------------------------------------ */

/* Cells with their place in front. */
static enum tn_code insert_cells(const struct applying *applying, const struct cells_shape *shape, size_t file,
                                 struct tn_arena *arena, struct tn_error *err)
{
    const struct dataset_change *change = applying->change;
    size_t width = shape->width + 2;
    struct engine_column *columns = TN_ARENA_ARRAY(arena, struct engine_column, width);
    struct engine_cell *cells = TN_ARENA_ARRAY(arena, struct engine_cell, change->added_rows * width);
    const struct engine_cell **rows = TN_ARENA_ARRAY(arena, const struct engine_cell *, change->added_rows);
    columns[0] = (struct engine_column){.name = "tarn_file", .type = {.kind = ENGINE_INTEGER}};
    columns[1] = (struct engine_column){.name = "tarn_pos", .type = {.kind = ENGINE_BIGINT}};
    memcpy(columns + 2, shape->columns, shape->width * sizeof *columns);
    for (size_t i = 0; i < change->added_rows; i++) {
        rows[i] = cells + i * width;
        cells[i * width].integer = (int64_t)file;
        cells[i * width + 1].integer = (int64_t)i;
        memcpy(cells + i * width + 2, change->added + i * shape->width, shape->width * sizeof *cells);
    }
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "INSERT INTO " HOT_DELTA " SELECT tarn_file, tarn_pos",
                  (unsigned long long)applying->table->serial);
    for (size_t i = 0; i < shape->width; i++) {
        tn_buf_puts(&sql, ", CAST(");
        tn_buf_put_sql_name(&sql, shape->columns[i].name);
        tn_buf_printf(&sql, " AS %s)", shape->columns[i].type_text);
    }
    tn_buf_puts(&sql, " FROM tarn_source()");
    const struct cells_shape wide = {.columns = columns, .width = width};
    struct cells_source source;
    cells_source_init(&source, arena, &wide, rows, change->added_rows);
    const struct engine_select select = {.sql = sql.data, .source = &source.source, .keep = true};
    return engine_select(applying->lake->engine, &select, NULL, NULL, NULL, NULL, NULL, err);
}

/* Nested values, as they stand in the file. */
static enum tn_code insert_from_file(const struct applying *applying, const char *name,
                                     const struct iceberg_metadata *metadata, size_t file, struct tn_arena *arena,
                                     struct tn_error *err)
{
    const char *path = applying->change->added_path, *key;
    struct iceberg_table place = catalog_table(applying->lake->catalog, arena, name);
    TN_TRY(iceberg_resolve(arena, &place, metadata, path, &key, err));
    const struct iceberg_file data = {.path = path};
    const struct iceberg_plan_file planned = {.file = &data, .key = key};
    const struct iceberg_plan plan = {.files = &planned, .file_count = 1};
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "INSERT INTO " HOT_DELTA " SELECT %zu, * EXCLUDE (tarn_file) FROM (",
                  (unsigned long long)applying->table->serial, file);
    TN_TRY(dataset_files_sql(applying->lake, &plan, applying->table->schema, DATASET_WITH_NUMBERS, &sql, NULL, err));
    tn_buf_putc(&sql, ')');
    return engine_run(applying->lake->engine, sql.data, NULL, NULL, err);
}

static enum tn_code insert(const struct applying *applying, const char *name, const struct iceberg_metadata *metadata,
                           struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct hot_table *table = applying->table;
    struct cells_shape shape;
    TN_TRY(cells_shape_init(&shape, arena, table->schema, err));
    bool nested = false;
    for (size_t i = 0; i < shape.width; i++)
        nested = nested || shape.columns[i].type.kind == ENGINE_OTHER;
    pthread_mutex_lock(&table->hot->mutex);
    size_t file =
        hot_table_add_file(table, applying->change->added_path, (int64_t)applying->from->delta_rows, true, true);
    pthread_mutex_unlock(&table->hot->mutex);
    return nested ? insert_from_file(applying, name, metadata, file, arena, err)
                  : insert_cells(applying, &shape, file, arena, err);
}

/* ---- one change ---------------------------------------------------------------------------- */

static void count_bytes(struct hot_table *table, const struct dataset_change *change)
{
    uint64_t bytes = change->added_rows * (table->bytes / TN_MAX(table->rows, UINT64_C(1)) + 16);
    pthread_mutex_lock(&table->hot->mutex);
    table->bytes += bytes;
    table->hot->state.bytes += bytes;
    pthread_mutex_unlock(&table->hot->mutex);
    table->delta_rows += change->added_rows;
    table->gone_rows += change->removed_count;
}

enum tn_code hot_apply(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                       const struct hot_version *from, int64_t snapshot_id, const struct dataset_change *change,
                       struct hot_version **ret, struct tn_error *err)
{
    struct hot_table *table = from->table;
    struct applying applying = {.lake = lake, .table = table, .from = from, .change = change};
    uint64_t delta_rows = from->delta_rows + change->added_rows;
    if (change->added_rows + change->removed_count > FOLLOW_MAX_ROWS)
        return tn_fail(err, TN_ETOOLARGE, "the change is too large to follow");
    if (delta_rows)
        applying.gone_delta = copy_bitmap(from->gone_delta, delta_rows, delta_rows);
    enum tn_code code = TN_OK;
    for (size_t i = 0; code == TN_OK && i < change->removed_count; i++)
        code = remove_row(&applying, &change->removed[i], err);
    if (code == TN_OK && change->added_rows)
        code = insert(&applying, name, metadata, err);
    if (code != TN_OK) {
        engine_bitmap_unref(applying.gone);
        engine_bitmap_unref(applying.gone_delta);
        return code;
    }
    if (!applying.gone && from->gone)
        applying.gone = engine_bitmap_ref(from->gone);
    count_bytes(table, change);
    *ret = hot_version_new(table, snapshot_id, applying.gone, applying.gone_delta, delta_rows);
    return TN_OK;
}

/* ---- after a commit -------------------------------------------------------------------------- */

/* What following starts from; held. Records the change for a filling under way. */
static struct hot_version *start(struct dataset_hot *hot, const char *name, const struct iceberg_metadata *before,
                                 const struct iceberg_metadata *after, const struct dataset_change *change,
                                 bool *ret_held)
{
    struct hot_version *from = NULL;
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = hot_find(hot, name);
    if (copy && copy->filling)
        hot_record(copy, before, after, change);
    *ret_held = copy && copy->table;
    struct hot_version *newest = copy ? hot_newest(copy) : NULL;
    if (newest && change && before->current && newest->snapshot_id == before->current->id &&
        tn_streq(copy->uuid, after->uuid) && newest->table->schema_id == after->schema->id &&
        before->schema->id == after->schema->id) {
        from = newest;
        engine_hold_ref(&from->hold);
    }
    pthread_mutex_unlock(&hot->mutex);
    return from;
}

static void finish(struct lake *lake, const char *name, struct hot_table *table, struct hot_version *next)
{
    struct dataset_hot *hot = lake->hot;
    struct hot_dropped dropped = {0};
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = hot_find(hot, name);
    bool refill = false;
    if (next && copy->table == table) {
        hot_publish(copy, next);
        refill = hot_is_worn(table);
        next = NULL;
    } else if (copy->table) {
        dropped = hot_take_out(copy);
        refill = copy->pinned || copy->uses > 0;
        copy->retry_ns = 0;
    }
    pthread_mutex_unlock(&hot->mutex);
    if (next)
        engine_hold_unref(&next->hold);
    hot_let_go(&dropped);
    if (refill)
        hot_start_filling(lake, name);
}

void dataset_hot_follow(struct lake *lake, const char *name, const struct iceberg_metadata *before,
                        const struct iceberg_metadata *after, const struct dataset_change *change)
{
    struct dataset_hot *hot = lake->hot;
    if (!hot || (before->current && after->current && before->current->id == after->current->id &&
                 before->schema->id == after->schema->id))
        return;
    bool held;
    struct hot_version *next = NULL, *from = start(hot, name, before, after, change, &held);
    if (!held)
        return;
    struct tn_error err = {0};
    if (from && hot_apply(lake, name, after, from, after->current->id, change, &next, &err) != TN_OK)
        TN_LOG(TN_LOG_DEBUG, "cache.follow", TN_FS("dataset", name), TN_FS("error", err.detail));
    finish(lake, name, from ? from->table : NULL, next);
    if (from)
        engine_hold_unref(&from->hold);
}
