/* Changes become rows of the delta and bits, any number of them at once.
 *
 * The added rows are known to whoever committed, as cells; only where some of
 * them are nested are they read from the new file. A removed row is found by
 * arithmetic: rows of one file lie in a table as they lie in the file. The
 * rows that are gone make a new bitmap, so that readers of older versions see
 * what they saw.
 */
#include "dataset/hot_internal.h"

#include <string.h>

bool hot_is_worn(const struct hot_table *table)
{
    uint64_t many = 10000 + table->rows / 10;
    return table->delta_rows + table->gone_rows > many || table->moved_runs > 4 * many;
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

/* ---- rows that are gone ------------------------------------------------------------------ */

static struct engine_bitmap *copy_bitmap(const struct engine_bitmap *from, uint64_t bits, uint64_t limit)
{
    struct engine_bitmap *copy = engine_bitmap_new((size_t)bits, limit);
    if (from)
        memcpy(copy->words, from->words, TN_MIN(copy->word_count, from->word_count) * sizeof *copy->words);
    return copy;
}

/* The state that grows from change to change; the bitmaps are copied where a
 * version is made. */
struct applying {
    struct lake *lake;
    const char *name;
    const struct iceberg_metadata *metadata;
    struct hot_table *table;
    const struct hot_version *from;
    struct engine_bitmap *gone, *gone_delta; /* NULL: nothing is gone so far */
    uint64_t delta_rows, delta_end;          /* so far; when all is done */
    uint64_t gone_rows;
    uint64_t places_bytes; /* before */
    size_t first_file;     /* number of the first file that comes */
};

static enum tn_code remove_row(struct applying *applying, const struct dataset_place *place, struct tn_error *err)
{
    const struct hot_table *table = applying->table;
    size_t at = hot_table_find_file(table, place->path);
    if (at == SIZE_MAX)
        return tn_fail(err, TN_EINTERNAL, "the hot copy does not know the file of a removed row");
    struct hot_row row = {.number = -1};
    if (!hot_places_find(table, &table->files[at], place->pos, &row))
        return tn_fail(err, TN_EINTERNAL, "a removed row is not in the hot copy");
    uint64_t count = row.delta ? applying->delta_rows : table->rows;
    if (row.number < 0 || (uint64_t)row.number >= count)
        return tn_fail(err, TN_EINTERNAL, "a removed row lies outside of the hot copy");
    struct engine_bitmap **gone = row.delta ? &applying->gone_delta : &applying->gone;
    if (!*gone)
        *gone = engine_bitmap_new((size_t)(row.delta ? applying->delta_end : table->rows), UINT64_MAX);
    engine_bitmap_set(*gone, (uint64_t)row.number);
    applying->gone_rows++;
    return TN_OK;
}

/* ---- rows that came ------------------------------------------------------------------------ */

/* All added rows as cells, with their places in front. Files are numbered from `first_file` on. */
static const struct engine_cell **collect_rows(const struct hot_pending *first, const struct hot_pending *last,
                                               size_t width, size_t total, size_t file, struct tn_arena *arena)
{
    struct engine_cell *cells = TN_ARENA_ARRAY(arena, struct engine_cell, total * (width + 2) + 1);
    const struct engine_cell **rows = TN_ARENA_ARRAY(arena, const struct engine_cell *, total + 1);
    size_t count = 0;
    for (const struct hot_pending *at = first;; at = at->next) {
        const struct dataset_change *change = &at->change;
        for (size_t i = 0; i < change->added_rows; i++) {
            rows[count++] = cells;
            cells[0].integer = (int64_t)file;
            cells[1].integer = (int64_t)i;
            memcpy(cells + 2, change->added + i * width, width * sizeof *cells);
            cells += width + 2;
        }
        file += change->added_rows > 0;
        if (at == last)
            return rows;
    }
}

static enum tn_code insert_cells(const struct applying *applying, const struct cells_shape *shape,
                                 const struct engine_cell *const *rows, size_t count, struct tn_arena *arena,
                                 struct tn_error *err)
{
    size_t width = shape->width + 2;
    struct engine_column *columns = TN_ARENA_ARRAY(arena, struct engine_column, width);
    columns[0] = (struct engine_column){.name = "tarn_file", .type = {.kind = ENGINE_INTEGER}};
    columns[1] = (struct engine_column){.name = "tarn_pos", .type = {.kind = ENGINE_BIGINT}};
    memcpy(columns + 2, shape->columns, shape->width * sizeof *columns);
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
    cells_source_init(&source, arena, &wide, rows, count);
    const struct engine_select select = {.sql = sql.data, .source = &source.source, .keep = true};
    return engine_select(applying->lake->engine, &select, NULL, NULL, NULL, NULL, NULL, err);
}

/* Nested values, as they stand in the file. */
static enum tn_code insert_from_file(const struct applying *applying, const char *path, size_t file,
                                     struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *key;
    struct iceberg_table place = catalog_table(applying->lake->catalog, arena, applying->name);
    TN_TRY(iceberg_resolve(arena, &place, applying->metadata, path, &key, err));
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

static enum tn_code insert_from_files(const struct applying *applying, const struct hot_pending *first,
                                      const struct hot_pending *last, struct tn_error *err)
{
    size_t file = applying->first_file;
    for (const struct hot_pending *at = first;; at = at->next) {
        if (at->change.added_rows > 0)
            TN_TRY(insert_from_file(applying, at->change.added_path, file++, err));
        if (at == last)
            return TN_OK;
    }
}

static enum tn_code insert(const struct applying *applying, const struct hot_pending *first,
                           const struct hot_pending *last, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    size_t total = (size_t)(applying->delta_end - applying->from->delta_rows);
    struct cells_shape shape;
    if (total == 0)
        return TN_OK;
    TN_TRY(cells_shape_init(&shape, arena, applying->table->schema, err));
    for (size_t i = 0; i < shape.width; i++)
        if (shape.columns[i].type.kind == ENGINE_OTHER)
            return insert_from_files(applying, first, last, err);
    return insert_cells(applying, &shape, collect_rows(first, last, shape.width, total, applying->first_file, arena),
                        total, arena, err);
}

/* ---- changes ------------------------------------------------------------------------------- */

static enum tn_code apply_one(struct applying *applying, const struct dataset_change *change, struct tn_error *err)
{
    struct hot_table *table = applying->table;
    if (change->moved) {
        if (change->removed_count > 0)
            hot_places_move(table, change->removed, change->removed_count, change->added_path);
        return TN_OK;
    }
    for (size_t i = 0; i < change->removed_count; i++)
        TN_TRY(remove_row(applying, &change->removed[i], err));
    if (change->added_rows == 0)
        return TN_OK;
    pthread_mutex_lock(&table->hot->mutex);
    (void)hot_table_add_file(table, change->added_path, (int64_t)applying->delta_rows, true, true);
    pthread_mutex_unlock(&table->hot->mutex);
    applying->delta_rows += change->added_rows;
    return TN_OK;
}

static struct hot_version *version_now(const struct applying *applying, int64_t snapshot_id)
{
    uint64_t rows = applying->delta_rows;
    struct engine_bitmap *gone =
        applying->gone ? copy_bitmap(applying->gone, applying->table->rows, UINT64_MAX) : NULL;
    struct engine_bitmap *gone_delta = rows ? copy_bitmap(applying->gone_delta, rows, rows) : NULL;
    return hot_version_new(applying->table, snapshot_id, gone, gone_delta, rows);
}

static void count_bytes(const struct applying *applying)
{
    struct hot_table *table = applying->table;
    uint64_t added = applying->delta_end - applying->from->delta_rows;
    pthread_mutex_lock(&table->hot->mutex);
    /* Where a row's width is not known, as many as its rows take so far, those that are gone too: they are there
     * until it is filled anew. */
    uint64_t there = TN_MAX(table->rows + table->delta_rows, UINT64_C(1));
    uint64_t beside = table->keys_bytes + applying->places_bytes;
    uint64_t mean = (table->bytes > beside ? table->bytes - beside : 0) / there;
    uint64_t bytes =
        added * (table->row_bytes ? table->row_bytes : mean) + hot_places_bytes(table) - applying->places_bytes;
    table->bytes += bytes;
    table->hot->state.bytes += bytes;
    table->delta_rows += added;
    table->gone_rows += applying->gone_rows;
    pthread_mutex_unlock(&table->hot->mutex);
}

static enum tn_code apply_all(struct applying *applying, const struct hot_pending *first,
                              const struct hot_pending *last, size_t count, struct hot_version **versions,
                              size_t *ret_count, struct tn_error *err)
{
    for (const struct hot_pending *at = first;; at = at->next) {
        TN_TRY(apply_one(applying, &at->change, err));
        if (count-- <= HOT_VERSIONS)
            versions[(*ret_count)++] = version_now(applying, at->after_id);
        if (at == last)
            return insert(applying, first, last, err);
    }
}

enum tn_code hot_apply(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                       const struct hot_version *from, const struct hot_pending *first,
                       const struct hot_pending *last, struct hot_version *versions[HOT_VERSIONS], size_t *ret_count,
                       struct tn_error *err)
{
    struct hot_table *table = from->table;
    struct applying applying = {.lake = lake,
                                .name = name,
                                .metadata = metadata,
                                .table = table,
                                .from = from,
                                .delta_rows = from->delta_rows,
                                .delta_end = from->delta_rows,
                                .places_bytes = hot_places_bytes(table),
                                .first_file = table->file_count};
    size_t count = 1, made = 0;
    for (const struct hot_pending *at = first;; at = at->next, count++) {
        applying.delta_end += at->change.added_rows;
        if (at == last)
            break;
    }
    if (from->gone)
        applying.gone = copy_bitmap(from->gone, table->rows, UINT64_MAX);
    if (from->gone_delta)
        applying.gone_delta = copy_bitmap(from->gone_delta, applying.delta_end, UINT64_MAX);
    enum tn_code code = apply_all(&applying, first, last, count, versions, &made, err);
    engine_bitmap_unref(applying.gone);
    engine_bitmap_unref(applying.gone_delta);
    if (code == TN_OK)
        count_bytes(&applying);
    for (size_t i = 0; code != TN_OK && i < made; i++)
        engine_hold_unref(&versions[i]->hold);
    *ret_count = code == TN_OK ? made : 0;
    return code;
}
