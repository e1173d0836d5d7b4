/* Rolling: the log's entries become files of an Iceberg table.
 *
 * A commit of the table brings entries and, as a property, how far it is: a
 * crash before it leaves the log as it was, one after it leaves segments that
 * nobody needs any more. Small files are merged when there are many. Nobody waits for it:
 * entries are read from closed frames while others are appended.
 */
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROLL_ENTRIES 50000
#define SLICE        INT64_C(100000) /* entries of one file, at least one frame */
#define MERGE_FILES  8
#define MERGE_ROWS   2000000 /* a file of so many stays as it is */
#define GRACE_MS     (10 * 60 * 1000)
#define P_ROLLED     "tarn.outcomes-rolled"

static const struct iceberg_type text_type = {.kind = ICEBERG_STRING};
static const struct iceberg_type long_type = {.kind = ICEBERG_LONG};
static const struct iceberg_type real_type = {.kind = ICEBERG_DOUBLE};
static const struct iceberg_type flag_type = {.kind = ICEBERG_BOOLEAN};
static const struct iceberg_type moment_type = {.kind = ICEBERG_TIMESTAMPTZ};

static const struct iceberg_field fields[] = {
    {.id = 1, .required = true, .name = "id", .type = &long_type},
    {.id = 2, .required = true, .name = "imported", .type = &flag_type},
    {.id = 3, .required = true, .name = "task_type", .type = &text_type},
    {.id = 4, .required = true, .name = "model_id", .type = &text_type},
    {.id = 5, .required = true, .name = "successes", .type = &long_type},
    {.id = 6, .required = true, .name = "failures", .type = &long_type},
    {.id = 7, .required = true, .name = "timeouts", .type = &long_type},
    {.id = 8, .required = true, .name = "tokens", .type = &long_type},
    {.id = 9, .required = true, .name = "cost", .type = &real_type},
    {.id = 10, .name = "time", .type = &moment_type},
    {.id = 11, .name = "key", .type = &text_type},
    {.id = 12, .name = "source", .type = &text_type},
};
#define COLUMNS                                                                                                      \
    "id, imported, task_type, model_id, successes, failures, timeouts, tokens, cost, \"time\", \"key\", source"
const struct iceberg_schema outcome_schema = {.fields = fields, .field_count = TN_COUNT(fields)};

static const struct engine_column source_columns[] = {
    {.name = "id", .type = {.kind = ENGINE_BIGINT}},         {.name = "imported", .type = {.kind = ENGINE_BOOLEAN}},
    {.name = "task_type", .type = {.kind = ENGINE_VARCHAR}}, {.name = "model_id", .type = {.kind = ENGINE_VARCHAR}},
    {.name = "successes", .type = {.kind = ENGINE_BIGINT}},  {.name = "failures", .type = {.kind = ENGINE_BIGINT}},
    {.name = "timeouts", .type = {.kind = ENGINE_BIGINT}},   {.name = "tokens", .type = {.kind = ENGINE_BIGINT}},
    {.name = "cost", .type = {.kind = ENGINE_DOUBLE}},       {.name = "time", .type = {.kind = ENGINE_TIMESTAMPTZ}},
    {.name = "key", .type = {.kind = ENGINE_VARCHAR}},       {.name = "source", .type = {.kind = ENGINE_VARCHAR}},
};

/* ---- entries as rows ---------------------------------------------------------------- */

struct rows {
    struct tn_arena *arena;
    struct outcome_entry *entries;
    size_t count, capacity, given;
    int64_t to;
};

static enum tn_code keep_entry(void *context, const struct outcome_entry *entry, struct tn_error *err)
{
    struct rows *rows = context;
    (void)err;
    if (entry->id > rows->to)
        return TN_OK;
    TN_GROW(rows->entries, rows->count, rows->capacity);
    struct outcome_entry *copy = &rows->entries[rows->count++];
    *copy = *entry;
    copy->task_type = tn_arena_strdup(rows->arena, entry->task_type);
    copy->model_id = tn_arena_strdup(rows->arena, entry->model_id);
    copy->key = entry->key ? tn_arena_strdup(rows->arena, entry->key) : NULL;
    copy->source = entry->source ? tn_arena_strdup(rows->arena, entry->source) : NULL;
    return TN_OK;
}

static void put_row(struct engine_batch *batch, const struct outcome_entry *entry)
{
    size_t row = batch->rows++;
    ((int64_t *)batch->columns[0].data)[row] = entry->id;
    ((uint8_t *)batch->columns[1].data)[row] = entry->import;
    engine_vector_put_text(&batch->columns[2], row, entry->task_type);
    engine_vector_put_text(&batch->columns[3], row, entry->model_id);
    ((int64_t *)batch->columns[4].data)[row] = entry->successes;
    ((int64_t *)batch->columns[5].data)[row] = entry->failures;
    ((int64_t *)batch->columns[6].data)[row] = entry->timeouts;
    ((int64_t *)batch->columns[7].data)[row] = entry->tokens;
    ((double *)batch->columns[8].data)[row] = entry->cost;
    if (entry->time_us == LOG_NO_TIME)
        engine_vector_put_null(&batch->columns[9], row);
    else
        ((int64_t *)batch->columns[9].data)[row] = entry->time_us;
    engine_vector_put_text(&batch->columns[10], row, entry->key);
    engine_vector_put_text(&batch->columns[11], row, entry->source);
}

static enum tn_code fill(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct rows *rows = context;
    (void)err;
    batch->rows = 0;
    while (batch->rows < batch->capacity && rows->given < rows->count)
        put_row(batch, &rows->entries[rows->given++]);
    return TN_OK;
}

static const char *field_id_text(struct tn_arena *arena)
{
    TN_AUTO_BUF out = {0};
    for (size_t i = 0; i < TN_COUNT(fields); i++)
        tn_buf_printf(&out, "%s'%s': %d", i ? ", " : "{", fields[i].name, fields[i].id);
    tn_buf_putc(&out, '}');
    return tn_arena_strndup(arena, out.data, out.len);
}

/* `merged`: " UNION ALL SELECT ... FROM read_parquet(...)", or "". */
static enum tn_code write_rows(struct outcome_store *store, struct rows *rows, const char *merged, const char *path,
                               bool field_ids, struct tn_arena *arena, struct engine_file_stats *ret,
                               struct tn_error *err)
{
    const struct engine_source source = {source_columns, TN_COUNT(source_columns), rows, fill};
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "SELECT " COLUMNS " FROM (SELECT " COLUMNS " FROM tarn_source()%s) ORDER BY id", merged);
    const struct engine_copy copy = {
        .select = sql.data,
        .source = &source,
        .field_ids = field_ids ? field_id_text(arena) : NULL,
        .compact = field_ids,
        .local_path = path,
    };
    return engine_copy_parquet(store->lake->engine, &copy, arena, ret, err);
}

enum tn_code outcome_write_parquet(struct outcome_store *store, int64_t from, int64_t to, const char *path,
                                   bool field_ids, struct tn_arena *arena, struct engine_file_stats *ret,
                                   struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *texts = tn_arena_new();
    struct rows rows = {.arena = texts, .to = to};
    enum tn_code code = log_read(store->log_folder, from + 1, to, keep_entry, &rows, err);
    if (code == TN_OK)
        code = write_rows(store, &rows, "", path, field_ids, arena, ret, err);
    free(rows.entries);
    return code;
}

/* ---- the table ------------------------------------------------------------------------ */

static void take_version(struct outcome_store *store, struct iceberg_metadata *metadata)
{
    const char *text = iceberg_metadata_property(metadata, P_ROLLED);
    int64_t id = 0;
    if (text)
        (void)tn_parse_i64(text, &id);
    iceberg_metadata_unref(store->rolled);
    store->rolled = metadata;
    atomic_store(&store->rolled_id, id);
}

static enum tn_code load_newest(struct outcome_store *store, struct tn_error *err)
{
    struct iceberg_metadata *metadata = NULL;
    store->table = (struct iceberg_table){.store = store->lake->store, .prefix = "outcomes/events"};
    enum tn_code code = iceberg_table_load(&store->table, NULL, &metadata, err);
    if (code != TN_OK && code != TN_ENOTFOUND)
        return code;
    if (code == TN_OK)
        take_version(store, metadata);
    store->table_known = true;
    store->table_doubted = false;
    return TN_OK;
}

enum tn_code outcome_table_load(struct outcome_store *store, struct tn_error *err)
{
    return !store->lake || store->table_known ? TN_OK : load_newest(store, err);
}

static enum tn_code put_plan_files(struct outcome_store *store, const struct iceberg_plan_file *const *files,
                                   size_t count, struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    tn_buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        char *path;
        TN_TRY(store_needed_path(store->lake->store, arena, files[i]->key, &path, err));
        tn_buf_puts(out, i ? ", " : "");
        tn_buf_put_sql_string(out, path);
    }
    tn_buf_putc(out, ']');
    return TN_OK;
}

enum tn_code outcome_put_files(struct outcome_store *store, struct tn_buf *out, bool *ret_any, struct tn_error *err)
{
    ICEBERG_AUTO_PLAN *plan = NULL;
    *ret_any = false;
    if (!store->rolled)
        return TN_OK;
    TN_TRY(iceberg_plan_new(&store->table, store->rolled, NULL, NULL, 0, &plan, err));
    if (plan->file_count == 0)
        return TN_OK;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct iceberg_plan_file **files =
        TN_ARENA_ARRAY(arena, const struct iceberg_plan_file *, plan->file_count);
    for (size_t i = 0; i < plan->file_count; i++)
        files[i] = &plan->files[i];
    *ret_any = true;
    return put_plan_files(store, files, plan->file_count, out, err);
}

/* ---- a roll ------------------------------------------------------------------------------ */

struct roll {
    struct outcome_store *store;
    struct tn_arena *arena;
    struct iceberg_tx *tx;
    struct iceberg_plan *plan; /* NULL: no table yet */
    int64_t to;
};

/* Files worth merging go out, and what reads them comes into `sql`. */
static enum tn_code merge_files(struct roll *roll, struct tn_buf *sql, struct tn_error *err)
{
    size_t count = 0, all = roll->plan ? roll->plan->file_count : 0;
    const struct iceberg_plan_file **files = TN_ARENA_ARRAY(roll->arena, const struct iceberg_plan_file *, all + 1);
    for (size_t i = 0; i < all; i++)
        if (roll->plan->files[i].file->record_count < MERGE_ROWS)
            files[count++] = &roll->plan->files[i];
    if (count < MERGE_FILES)
        return TN_OK;
    tn_buf_puts(sql, " UNION ALL SELECT " COLUMNS " FROM read_parquet(");
    TN_TRY(put_plan_files(roll->store, files, count, sql, err));
    tn_buf_putc(sql, ')');
    for (size_t i = 0; i < count; i++)
        iceberg_tx_remove_file(roll->tx, files[i]->file->path);
    return TN_OK;
}

static enum tn_code add_file(struct roll *roll, struct rows *rows, struct tn_error *err)
{
    TN_AUTO_BUF merged = {0};
    struct engine_file_stats written = {0};
    struct iceberg_file file;
    const char *key;
    char *staged;
    struct store *objects = roll->store->lake->store;
    TN_TRY(merge_files(roll, &merged, err));
    TN_TRY(store_stage_path(objects, roll->arena, ".parquet", &staged, err));
    TN_TRY(write_rows(roll->store, rows, merged.data ? merged.data : "", staged, true, roll->arena, &written, err));
    catalog_file_stats(roll->arena, &outcome_schema, &written, &file);
    file.path = iceberg_tx_new_file(roll->tx, roll->arena, "-outcomes.parquet", &key);
    enum tn_code code = store_batch_put_file(iceberg_tx_batch(roll->tx), key, staged, err);
    if (code != TN_OK) {
        (void)unlink(staged);
        return code;
    }
    return iceberg_tx_add_file(roll->tx, &file, err);
}

static enum tn_code commit_slice(struct roll *roll, struct rows *rows, struct tn_error *err)
{
    char text[24];
    struct iceberg_metadata *done = NULL;
    static const struct iceberg_thinning thinning = {.keep_newest = 20, .slack = 20, .daily_ms = 0};
    TN_TRY(add_file(roll, rows, err));
    snprintf(text, sizeof text, "%" PRId64, roll->to);
    iceberg_tx_set_property(roll->tx, P_ROLLED, text);
    (void)iceberg_tx_thin(roll->tx, &thinning);
    TN_FAULT("outcome.before_roll");
    roll->store->table_doubted = true;
    TN_TRY(iceberg_tx_commit(roll->tx, &done, err));
    roll->store->table_doubted = false;
    TN_FAULT("outcome.after_roll");
    take_version(roll->store, done);
    return TN_OK;
}

static enum tn_code roll_slice(struct outcome_store *store, int64_t from, int64_t to, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    ICEBERG_AUTO_PLAN *plan = NULL;
    if (store->rolled) {
        TN_TRY(iceberg_plan_new(&store->table, store->rolled, NULL, NULL, 0, &plan, err));
        tx = iceberg_tx_new(&store->table, store->rolled);
    } else {
        TN_TRY(iceberg_tx_new_table(&store->table, &outcome_schema, &tx, err));
    }
    struct roll roll = {.store = store, .arena = arena, .tx = tx, .plan = plan, .to = to};
    struct rows rows = {.arena = arena, .to = to};
    enum tn_code code = log_read(store->log_folder, from + 1, to, keep_entry, &rows, err);
    if (code == TN_OK)
        code = commit_slice(&roll, &rows, err);
    free(rows.entries);
    return code;
}

static enum tn_code roll_locked(struct outcome_store *store, bool force, struct tn_error *err)
{
    uint64_t removed = 0;
    int64_t last = atomic_load(&store->last_id);
    TN_TRY(store->table_doubted ? load_newest(store, err) : outcome_table_load(store, err));
    if (last - atomic_load(&store->rolled_id) < (force ? 1 : ROLL_ENTRIES))
        return TN_OK;
    while (atomic_load(&store->rolled_id) < last) {
        int64_t from = atomic_load(&store->rolled_id);
        TN_TRY(roll_slice(store, from, TN_MIN(last, from + SLICE), err));
    }
    TN_TRY(log_drop(store->log_folder, last, &removed, err));
    return iceberg_table_orphans(&store->table, GRACE_MS, true, NULL, NULL, err);
}

enum tn_code outcome_roll(struct outcome_store *store, bool force, struct tn_error *err)
{
    if (!store->lake || !atomic_load(&store->exists))
        return TN_OK;
    pthread_mutex_lock(&store->rolling);
    enum tn_code code = roll_locked(store, force, err);
    pthread_mutex_unlock(&store->rolling);
    if (code != TN_OK)
        tn_error_context(err, "rolling the outcomes");
    return code;
}

/* ---- the table's entries, for the database ------------------------------------------------ */

struct giving {
    log_entry_fn *each;
    void *context;
};

static const char *cell_text(struct tn_buf *buf, const struct engine_cell *cell)
{
    if (cell->null)
        return NULL;
    tn_buf_clear(buf);
    tn_buf_append(buf, cell->text.data, cell->text.length);
    return buf->data ? buf->data : "";
}

static enum tn_code give_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct giving *giving = context;
    TN_AUTO_BUF task_type = {0};
    TN_AUTO_BUF model_id = {0};
    TN_AUTO_BUF key = {0};
    TN_AUTO_BUF source = {0};
    const struct outcome_entry entry = {
        .id = cells[0].integer,
        .import = cells[1].integer != 0,
        .task_type = cell_text(&task_type, &cells[2]),
        .model_id = cell_text(&model_id, &cells[3]),
        .successes = cells[4].integer,
        .failures = cells[5].integer,
        .timeouts = cells[6].integer,
        .tokens = cells[7].integer,
        .cost = cells[8].real,
        .time_us = cells[9].null ? LOG_NO_TIME : cells[9].integer,
        .key = cell_text(&key, &cells[10]),
        .source = cell_text(&source, &cells[11]),
    };
    return giving->each(giving->context, &entry, err);
}

enum tn_code outcome_rolled_each(struct outcome_store *store, int64_t from, log_entry_fn *each, void *context,
                                 struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    bool any = false;
    struct giving giving = {each, context};
    tn_buf_puts(&sql, "SELECT " COLUMNS " FROM read_parquet(");
    pthread_mutex_lock(&store->rolling);
    enum tn_code code = store->lake ? outcome_put_files(store, &sql, &any, err) : TN_OK;
    if (code == TN_OK && any) {
        tn_buf_printf(&sql, ") WHERE id >= %" PRId64 " ORDER BY id", from);
        const struct engine_select select = {.sql = sql.data};
        code = engine_select(store->lake->engine, &select, NULL, NULL, NULL, give_row, &giving, err);
    }
    pthread_mutex_unlock(&store->rolling);
    return code;
}
