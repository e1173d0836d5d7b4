/* One write: files staged by any number of threads, then one commit.
 *
 * Files are written under staging names and get their place in the table only
 * inside the commit, in the caller's order, so that the paths (UUIDv7, rising)
 * sort as the rows did in their source. Until the pointer appears nothing
 * refers to them; a crash leaves staging files and unreferenced objects that
 * clean-up finds.
 */
#include "dataset/dataset_internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

struct staged_file {
    size_t order;
    char *path;               /* staging; NULL once the commit's batch owns it */
    struct iceberg_file file; /* in the write's arena, without its path */
};

struct dataset_write {
    struct lake *lake;
    char name[CATALOG_NAME_MAX + 1];
    enum dataset_mode mode;
    struct tn_arena *arena;         /* guarded by mutex once files are being written */
    struct iceberg_metadata *base;  /* NULL: the dataset is new */
    struct dataset_column *columns; /* as given; copied */
    size_t column_count;
    struct schema_plan plan;
    const char *key; /* NULL: none was given */
    pthread_mutex_t mutex;
    struct staged_file *files;
    size_t file_count, file_capacity;
    uint64_t rows;
};

static void copy_columns(struct dataset_write *write, const struct dataset_column *columns, size_t count)
{
    write->columns = TN_ARENA_ARRAY(write->arena, struct dataset_column, count + 1);
    write->column_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *original = columns[i].original_name ? columns[i].original_name : columns[i].name;
        write->columns[i] = (struct dataset_column){
            .name = tn_arena_strdup(write->arena, columns[i].name),
            .original_name = tn_arena_strdup(write->arena, original),
            .sql_type = tn_arena_strdup(write->arena, columns[i].sql_type),
        };
    }
}

enum tn_code dataset_write_begin(struct lake *lake, const char *name, enum dataset_mode mode,
                                 const struct dataset_column *columns, size_t count, struct dataset_write **ret,
                                 struct tn_error *err)
{
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = tn_calloc(1, sizeof *write);
    write->lake = lake;
    write->mode = mode;
    write->arena = tn_arena_new();
    pthread_mutex_init(&write->mutex, NULL);
    TN_TRY(catalog_check_name(name, err));
    catalog_exact_name(name, write->name);
    enum tn_code code = catalog_load(lake->catalog, write->name, &write->base, err);
    if (code != TN_OK && code != TN_EDATASET)
        return code;
    if (err)
        *err = (struct tn_error){0};
    copy_columns(write, columns, count);
    TN_TRY(dataset_plan_schema(write->arena, write->base, mode, write->columns, count, &write->plan, err));
    *ret = TN_TAKE(write);
    return TN_OK;
}

/* The schema that this write means on top of a version, key included. */
static enum tn_code make_plan(struct dataset_write *write, const struct iceberg_metadata *base,
                              struct schema_plan *ret, struct tn_error *err)
{
    TN_TRY(dataset_plan_schema(write->arena, base, write->mode, write->columns, write->column_count, ret, err));
    if (!write->key)
        return TN_OK;
    return dataset_plan_key(write->arena, base && write->mode == DATASET_APPEND, write->key, ret, err);
}

enum tn_code dataset_write_set_key(struct dataset_write *write, const char *key, struct tn_error *err)
{
    const char *before = write->key;
    write->key = tn_arena_strdup(write->arena, key);
    enum tn_code code = make_plan(write, write->base, &write->plan, err);
    if (code != TN_OK)
        write->key = before;
    return code;
}

void dataset_write_free(struct dataset_write *write)
{
    if (!write)
        return;
    for (size_t i = 0; i < write->file_count; i++) {
        if (write->files[i].path)
            (void)unlink(write->files[i].path);
        free(write->files[i].path);
    }
    free(write->files);
    iceberg_metadata_unref(write->base);
    tn_arena_free(write->arena);
    pthread_mutex_destroy(&write->mutex);
    free(write);
}

uint64_t dataset_write_rows(const struct dataset_write *write)
{
    return write->rows;
}

/* ---- one file ------------------------------------------------------------ */

static bool source_gives_text(const struct engine_source *source, const char *name)
{
    for (size_t i = 0; source && i < source->column_count; i++)
        if (tn_streq(source->columns[i].name, name))
            return source->columns[i].type.kind == ENGINE_VARCHAR;
    return false;
}

/* Every column of the table, in its order: what the write brings, cast to the
 * column's type (through JSON where text stands for something nested), and
 * NULL for the rest, so that the file is complete for its schema. */
static const char *select_text(struct dataset_write *write, struct tn_arena *arena,
                               const struct engine_source *source, const char *from_sql)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < write->plan.target->field_count; i++) {
        const struct iceberg_field *field = &write->plan.target->fields[i];
        const struct iceberg_field *given = iceberg_schema_find(write->plan.incoming, field->name, true);
        const char *type = catalog_sql_type(arena, field->type);
        bool json = given && field->type->field_count > 0 && source_gives_text(source, given->name);
        tn_buf_puts(&sql, i ? ", CAST(" : "CAST(");
        if (json)
            tn_buf_puts(&sql, "CAST(");
        if (given)
            tn_buf_put_sql_name(&sql, given->name);
        else
            tn_buf_puts(&sql, "NULL");
        tn_buf_printf(&sql, "%s AS %s) AS ", json ? " AS JSON)" : "", type);
        tn_buf_put_sql_name(&sql, field->name);
    }
    tn_buf_puts(&sql, " FROM ");
    if (from_sql)
        tn_buf_printf(&sql, "(%s)", from_sql);
    else
        tn_buf_puts(&sql, "tarn_source()");
    return tn_arena_strndup(arena, sql.data, sql.len);
}

enum tn_code dataset_write_file(struct dataset_write *write, size_t order, const struct engine_source *source,
                                const char *from_sql, bool (*cancelled)(void *), void *cancel_context,
                                struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    char *staged;
    TN_TRY(store_stage_path(write->lake->store, scratch, ".parquet", &staged, err));
    const struct engine_copy copy = {
        .select = select_text(write, scratch, source, from_sql),
        .source = source,
        .field_ids = dataset_field_ids(scratch, write->plan.target),
        .local_path = staged,
        .cancelled = cancelled,
        .cancel_context = cancel_context,
    };
    struct engine_file_stats written = {0};
    TN_TRY(engine_copy_parquet(write->lake->engine, &copy, scratch, &written, err));
    if (written.rows == 0) { /* a table must never hold an empty file: some readers stumble */
        (void)unlink(staged);
        return TN_OK;
    }
    TN_FAULT("dataset.file_staged");
    pthread_mutex_lock(&write->mutex);
    TN_GROW(write->files, write->file_count, write->file_capacity);
    struct staged_file *file = &write->files[write->file_count++];
    file->order = order;
    file->path = tn_strdup(staged);
    catalog_file_stats(write->arena, write->plan.target, &written, &file->file);
    int64_t *offsets = TN_ARENA_ARRAY(write->arena, int64_t, written.split_count + 1);
    for (size_t i = 0; i < written.split_count; i++)
        offsets[i] = written.split_offsets[i];
    file->file.split_offsets = offsets;
    write->rows += written.rows;
    pthread_mutex_unlock(&write->mutex);
    return TN_OK;
}

/* ---- the commit ------------------------------------------------------------ */

/* Others may have changed the schema while the files were written. Planned
 * anew, every column of the files must still have the id and type it has
 * there, or reading them by id would give the wrong column. */
static enum tn_code replan(struct dataset_write *write, const struct iceberg_metadata *newest,
                           struct schema_plan *ret, struct tn_error *err)
{
    TN_TRY(make_plan(write, newest, ret, err));
    for (size_t i = 0; i < write->column_count; i++) {
        const struct iceberg_field *then = iceberg_schema_find(write->plan.target, write->columns[i].name, true);
        const struct iceberg_field *now = iceberg_schema_find(ret->target, write->columns[i].name, true);
        if (!then || !now || then->id != now->id || !iceberg_type_equal(then->type, now->type)) {
            tn_fail(err, TN_ECONFLICT,
                    "column \"%s\" of dataset \"%s\" was given another shape by somebody else meanwhile",
                    write->columns[i].name, write->name);
            tn_error_hint(err, "send it again");
            return TN_ECONFLICT;
        }
    }
    return TN_OK;
}

static int by_order(const void *a, const void *b)
{
    const struct staged_file *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static enum tn_code add_files(struct dataset_write *write, struct iceberg_tx *tx, const struct iceberg_schema *target,
                              int32_t schema_id, struct tn_error *err)
{
    char suffix[48];
    snprintf(suffix, sizeof suffix, DATASET_FILE_SUFFIX, schema_id);
    if (write->file_count > 1)
        qsort(write->files, write->file_count, sizeof *write->files, by_order);
    for (size_t i = 0; i < write->file_count; i++) {
        struct staged_file *staged = &write->files[i];
        const char *key;
        struct iceberg_file file = staged->file;
        TN_TRY(dataset_check_key(target, &file, err));
        file.path = iceberg_tx_new_file(tx, write->arena, suffix, &key);
        TN_TRY(store_batch_put_file(iceberg_tx_batch(tx), key, staged->path, err));
        free(TN_TAKE(staged->path));
        TN_TRY(iceberg_tx_add_file(tx, &file, err));
    }
    return TN_OK;
}

static void set_number(struct iceberg_tx *tx, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    iceberg_tx_set_summary(tx, key, text);
}

static void set_lineage(const struct dataset_write *write, const struct dataset_lineage *lineage,
                        struct iceberg_tx *tx)
{
    const struct {
        const char *key, *value;
    } texts[] = {
        {CATALOG_S_INGEST, lineage->ingest_id},   {CATALOG_S_SOURCE, lineage->source},
        {CATALOG_S_HASH, lineage->content_hash},  {CATALOG_S_OPTIONS, lineage->options_hash},
        {CATALOG_S_ACTOR, lineage->actor},        {CATALOG_S_REASON, lineage->reason},
        {CATALOG_S_REQUEST, lineage->request_id},
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        if (texts[i].value)
            iceberg_tx_set_summary(tx, texts[i].key, texts[i].value);
    set_number(tx, CATALOG_S_BYTES, lineage->source_bytes);
    set_number(tx, CATALOG_S_ROWS, write->rows);
    set_number(tx, CATALOG_S_REJECTED, lineage->rejected_rows);
    char time[TN_TIME_TEXT];
    iceberg_tx_set_summary(tx, CATALOG_S_STARTED, tn_time_format(lineage->started_us, time));
    int64_t took_us = tn_now_us() - lineage->started_us;
    set_number(tx, CATALOG_S_TOOK_MS, took_us > 0 ? (uint64_t)took_us / 1000 : 0);
    if (write->mode == DATASET_REPLACE)
        iceberg_tx_set_summary(tx, CATALOG_S_MODE, "replace");
}

/* Original names of the columns that are new with this write. */
static void set_original_names(const struct dataset_write *write, const struct iceberg_metadata *newest,
                               const struct iceberg_schema *target, struct iceberg_tx *tx)
{
    TN_AUTO_JSON *notes = newest ? catalog_column_notes(newest) : json_object();
    bool changed = false;
    for (size_t i = 0; i < write->column_count; i++) {
        const struct iceberg_field *field = iceberg_schema_find(target, write->columns[i].name, true);
        if (!field || tn_streq(write->columns[i].original_name, field->name))
            continue;
        json_t *note = catalog_column_note_of(notes, field->id);
        if (json_object_get(note, "original_name"))
            continue;
        json_object_set_new(note, "original_name", json_string(write->columns[i].original_name));
        changed = true;
    }
    if (!changed)
        return;
    TN_AUTO_BUF out = {0};
    tn_json_dump(notes, &out);
    iceberg_tx_set_property(tx, CATALOG_P_COLUMNS, out.data);
}

/* The newest version, locked; a new dataset has none and starts with this
 * commit, so that a crash cannot leave an empty one behind. */
static enum tn_code commit_locked(struct dataset_write *write, const struct iceberg_metadata *newest,
                                  const struct dataset_lineage *lineage, struct dataset_commit *ret,
                                  struct tn_error *err)
{
    struct schema_plan plan;
    TN_TRY(replan(write, newest, &plan, err));
    struct iceberg_table table = catalog_table(write->lake->catalog, write->arena, write->name);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    if (newest) {
        tx = iceberg_tx_new(&table, newest);
        if (plan.target != newest->schema)
            iceberg_tx_set_schema(tx, plan.target);
        if (write->mode == DATASET_REPLACE)
            iceberg_tx_remove_all(tx);
    } else {
        TN_TRY(iceberg_tx_new_table(&table, plan.target, &tx, err));
    }
    /* The files are complete for the schema they were planned with; they may be
     * read without a mapping only when that is the schema of this commit. */
    bool complete = write->plan.target->field_count == plan.target->field_count;
    TN_TRY(add_files(write, tx, plan.target, complete ? iceberg_tx_schema_id(tx) : -1, err));
    set_lineage(write, lineage, tx);
    set_original_names(write, newest, plan.target, tx);
    TN_FAULT("dataset.before_commit");
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_TRY(iceberg_tx_commit(tx, &done, err));
    TN_FAULT("dataset.after_commit");
    catalog_publish(write->lake->catalog, write->name, done);
    *ret = (struct dataset_commit){.snapshot_id = done->current ? done->current->id : 0, .rows = write->rows};
    return TN_OK;
}

enum tn_code dataset_write_commit(struct dataset_write *write, const struct dataset_lineage *lineage,
                                  struct dataset_commit *ret, struct tn_error *err)
{
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(write->lake->catalog, write->name);
    ICEBERG_AUTO_METADATA *newest = NULL;
    TN_TRY(catalog_load_locked(write->lake->catalog, write->name, &newest, err));
    struct dataset_known known;
    if (newest && lineage->content_hash &&
        dataset_find_in(newest, write->mode, lineage->content_hash, lineage->options_hash, &known)) {
        *ret = (struct dataset_commit){.snapshot_id = known.snapshot_id, .rows = known.rows, .unchanged = true};
        return TN_OK;
    }
    return commit_locked(write, newest, lineage, ret, err);
}
