/* One write: files staged by any number of threads, then one commit.
 *
 * Files are written under staging names and get their place in the table only
 * inside the commit, in the caller's order, so that the paths (UUIDv7, rising)
 * sort as the rows did in their source. Until the pointer appears nothing
 * refers to them; a crash leaves staging files and unreferenced objects that
 * clean-up finds.
 */
#include "dataset/from_json.h"
#include "dataset/partition.h"
#include "dataset/write_internal.h"

#include <string.h>
#include <unistd.h>

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

/* Whoever replaces all rows and says nothing of the key means the one that the dataset has. */
static enum tn_code keep_key(struct dataset_write *write, const struct iceberg_metadata *base,
                             struct schema_plan *plan, struct tn_error *err)
{
    TN_AUTO_BUF names = {0};
    struct tn_error why = {0};
    if (!base || write->mode != DATASET_REPLACE || plan->target->identifier_count > 0)
        return TN_OK;
    for (size_t i = 0; i < base->schema->identifier_count; i++)
        tn_buf_printf(&names, "%s%s", i ? "," : "",
                      iceberg_schema_field(base->schema, base->schema->identifier_ids[i])->name);
    if (names.len == 0 || dataset_plan_key(write->arena, false, names.data, plan, &why) == TN_OK)
        return TN_OK;
    tn_fail(err, TN_ESCHEMA, "dataset \"%s\" would lose its key (%s): %s", write->name, names.data, why.detail);
    tn_error_hint(err,
                  "give key= to say what tells the new rows apart; for rows without a key drop the dataset first");
    return TN_ESCHEMA;
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
    if (write->base)
        TN_TRY(rows_check_writable(write->base, err)); /* before anything is read or staged */
    copy_columns(write, columns, count);
    TN_TRY(dataset_plan_schema(write->arena, write->base, mode, write->columns, count, &write->plan, err));
    (void)keep_key(write, write->base, &write->plan, &write->keyless); /* it may be given yet */
    *ret = TN_TAKE(write);
    return TN_OK;
}

enum tn_code write_make_plan(struct dataset_write *write, const struct iceberg_metadata *base,
                             struct schema_plan *ret, struct tn_error *err)
{
    TN_TRY(dataset_plan_schema(write->arena, base, write->mode, write->columns, write->column_count, ret, err));
    if (!write->key)
        return keep_key(write, base, ret, err);
    return dataset_plan_key(write->arena, base && write->mode != DATASET_REPLACE, write->key, ret, err);
}

enum tn_code dataset_write_set_key(struct dataset_write *write, const char *key, struct tn_error *err)
{
    const char *before = write->key;
    write->key = tn_arena_strdup(write->arena, key);
    enum tn_code code = write_make_plan(write, write->base, &write->plan, err);
    if (code != TN_OK)
        write->key = before;
    else
        write->keyless = (struct tn_error){0};
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

void dataset_write_keys_differ(struct dataset_write *write)
{
    write->keys_differ = true;
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
        TN_AUTO_BUF value = {0};
        if (given)
            tn_buf_put_sql_name(&value, given->name);
        else
            tn_buf_puts(&value, "NULL");
        tn_buf_puts(&sql, i ? ", " : "");
        if (given && field->type->field_count > 0 && source_gives_text(source, given->name))
            from_json_nested(arena, field->type, tn_arena_printf(arena, "CAST(%s AS JSON)", value.data), &sql);
        else
            tn_buf_printf(&sql, "CAST(%s AS %s)", value.data, catalog_sql_type(arena, field->type));
        tn_buf_puts(&sql, " AS ");
        tn_buf_put_sql_name(&sql, field->name);
    }
    tn_buf_puts(&sql, " FROM ");
    if (from_sql)
        tn_buf_printf(&sql, "(%s)", from_sql);
    else
        tn_buf_puts(&sql, "tarn_source()");
    return tn_arena_strndup(arena, sql.data, sql.len);
}

static void note_stats(struct dataset_write *write, const struct engine_file_stats *written, struct iceberg_file *ret)
{
    catalog_file_stats(write->arena, write->plan.target, written, ret);
    int64_t *offsets = TN_ARENA_ARRAY(write->arena, int64_t, written->split_count + 1);
    for (size_t i = 0; i < written->split_count; i++)
        offsets[i] = written->split_offsets[i];
    ret->split_offsets = offsets;
}

enum tn_code write_stage(struct dataset_write *write, const struct engine_source *source, const char *select,
                         bool (*cancelled)(void *), void *cancel_context, struct staged_file *ret, uint64_t *ret_rows,
                         struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    char *staged;
    TN_TRY(dataset_check_engine_writes(write->plan.target, err));
    TN_TRY(store_stage_path(write->lake->store, scratch, ".parquet", &staged, err));
    const struct engine_copy copy = {
        .select = select,
        .source = source,
        .field_ids = dataset_field_ids(scratch, write->plan.target),
        .local_path = staged,
        .cancelled = cancelled,
        .cancel_context = cancel_context,
    };
    struct engine_file_stats written = {0};
    TN_TRY(engine_copy_parquet(write->lake->engine, &copy, scratch, &written, err));
    *ret_rows = written.rows;
    if (written.rows == 0) { /* a table must never hold an empty file: some readers stumble */
        (void)unlink(staged);
        return TN_OK;
    }
    ret->path = tn_strdup(staged);
    pthread_mutex_lock(&write->mutex);
    note_stats(write, &written, &ret->file);
    pthread_mutex_unlock(&write->mutex);
    return TN_OK;
}

enum tn_code dataset_write_file(struct dataset_write *write, size_t order, const struct engine_source *source,
                                const char *from_sql, bool (*cancelled)(void *), void *cancel_context,
                                struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    struct staged_file file = {.order = order};
    uint64_t rows = 0;
    if (write->keyless.code != TN_OK) {
        if (err)
            *err = write->keyless;
        return write->keyless.code;
    }
    TN_TRY(write_stage(write, source, select_text(write, scratch, source, from_sql), cancelled, cancel_context, &file,
                       &rows, err));
    if (rows == 0)
        return TN_OK;
    TN_FAULT("dataset.file_staged");
    pthread_mutex_lock(&write->mutex);
    TN_GROW(write->files, write->file_count, write->file_capacity);
    write->files[write->file_count++] = file;
    write->rows += rows;
    pthread_mutex_unlock(&write->mutex);
    return TN_OK;
}

/* ---- by partition -------------------------------------------------------- */

struct parting {
    struct dataset_write *write;
    const struct iceberg_spec *spec;
    struct staged_file *files;
    size_t count, capacity;
};

static enum tn_code take_part(void *context, const char *local_path, const struct iceberg_bytes *values,
                              const struct engine_file_stats *stats, struct tn_error *err)
{
    struct parting *parting = context;
    (void)err;
    TN_GROW(parting->files, parting->count, parting->capacity);
    struct staged_file *file = &parting->files[parting->count++];
    *file = (struct staged_file){.order = parting->count, .path = tn_strdup(local_path)};
    note_stats(parting->write, stats, &file->file);
    file->file.partition = values;
    file->file.partition_count = parting->spec->field_count;
    return TN_OK;
}

static void drop_files(struct staged_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)unlink(files[i].path);
        free(files[i].path);
    }
    free(files);
}

enum tn_code write_part(struct dataset_write *write, const struct iceberg_spec *spec, struct tn_error *err)
{
    struct parting parting = {.write = write, .spec = spec};
    TN_AUTO_BUF select = {0};
    if (write->file_count == 0 || spec->field_count == 0)
        return TN_OK;
    tn_buf_puts(&select, "SELECT * FROM ");
    write_put_staged(write, &select);
    enum tn_code code =
        partition_select(write->lake, write->arena, spec, write->plan.target, select.data, take_part, &parting, err);
    if (code != TN_OK) {
        drop_files(parting.files, parting.count);
        return code;
    }
    drop_files(write->files, write->file_count);
    write->files = parting.files;
    write->file_count = parting.count;
    write->file_capacity = parting.capacity;
    return TN_OK;
}

void write_put_staged(const struct dataset_write *write, struct tn_buf *out)
{
    tn_buf_puts(out, "read_parquet([");
    for (size_t i = 0; i < write->file_count; i++) {
        tn_buf_puts(out, i ? ", " : "");
        tn_buf_put_sql_string(out, write->files[i].path);
    }
    tn_buf_puts(out, "])");
}
