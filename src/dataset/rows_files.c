/* The files of a commit of rows: what is added, and where rows are gone. */
#include "dataset/dataset_internal.h"
#include "dataset/deletes.h"
#include "dataset/fresh.h"
#include "dataset/partition.h"
#include "dataset/rows_internal.h"

#include <string.h>
#include <unistd.h>

/* More rows than this are written by the engine, which encodes better. */
#define SMALL_ROWS 20000

void rows_files_init(struct rows_files *files, struct lake *lake, struct tn_arena *arena, struct iceberg_tx *tx)
{
    *files = (struct rows_files){.lake = lake, .arena = arena, .tx = tx};
}

void rows_files_release(struct rows_files *files)
{
    free(files->keys);
    *files = (struct rows_files){0};
}

void rows_files_drop(struct rows_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        if (store_delete(files->lake->store, files->keys[i], NULL) != TN_OK)
            TN_LOG(TN_LOG_DEBUG, "a file of a lost commit stays for clean-up", TN_FS("key", files->keys[i]));
    files->count = 0;
}

static const char *new_file(struct rows_files *files, const char *suffix, const char **ret_key)
{
    const char *uri = iceberg_tx_new_file(files->tx, files->arena, suffix, ret_key);
    TN_GROW(files->keys, files->count, files->capacity);
    files->keys[files->count++] = *ret_key;
    return uri;
}

/* ---- data ------------------------------------------------------------------- */

/* False when a row holds what only the engine can write. */
static bool as_bytes(struct tn_arena *arena, const struct cells_shape *shape, const struct engine_cell *const *rows,
                     size_t count, struct iceberg_bytes **ret)
{
    struct iceberg_bytes *bytes = TN_ARENA_ARRAY(arena, struct iceberg_bytes, count * shape->width);
    size_t total = 0;
    for (size_t row = 0; row < count; row++)
        for (size_t i = 0; i < shape->width; i++) {
            struct iceberg_bytes *at = &bytes[row * shape->width + i];
            if (!cells_bytes(arena, shape->schema->fields[i].type, &shape->columns[i], &rows[row][i], at))
                return false;
            total += at->length;
        }
    *ret = bytes;
    return total <= ICEBERG_SMALL_MAX_BYTES;
}

static enum tn_code add_small(struct rows_files *files, const struct cells_shape *shape,
                              const struct iceberg_bytes *bytes, size_t count, const char *key,
                              struct iceberg_file *ret, struct tn_error *err)
{
    TN_AUTO_BUF object = {0};
    TN_TRY(iceberg_small_write(files->arena, shape->schema, bytes, count, &object, ret, err));
    return store_batch_put(iceberg_tx_batch(files->tx), key, object.data, object.len, err);
}

static enum tn_code copy_to_batch(struct rows_files *files, struct engine_copy *copy, const char *key,
                                  struct engine_file_stats *ret, struct tn_error *err)
{
    char *staged;
    TN_TRY(store_stage_path(files->lake->store, files->arena, ".parquet", &staged, err));
    copy->local_path = staged;
    TN_TRY(engine_copy_parquet(files->lake->engine, copy, files->arena, ret, err));
    enum tn_code code = store_batch_put_file(iceberg_tx_batch(files->tx), key, staged, err);
    if (code != TN_OK)
        (void)unlink(staged);
    return code;
}

static enum tn_code add_large(struct rows_files *files, const struct cells_shape *shape,
                              const struct engine_cell *const *rows, size_t count, const char *key,
                              struct iceberg_file *ret, struct tn_error *err)
{
    struct cells_source source;
    TN_TRY(dataset_check_engine_writes(shape->schema, err));
    cells_source_init(&source, files->arena, shape, rows, count);
    struct engine_copy copy = {
        .select = cells_source_select(files->arena, shape),
        .source = &source.source,
        .field_ids = dataset_field_ids(files->arena, shape->schema),
    };
    struct engine_file_stats written = {0};
    TN_TRY(copy_to_batch(files, &copy, key, &written, err));
    catalog_file_stats(files->arena, shape->schema, &written, ret);
    return TN_OK;
}

static enum tn_code add_part(struct rows_files *files, const struct cells_shape *shape,
                             const struct iceberg_spec *spec, const struct partition_rows *part,
                             const char **ret_path, struct tn_error *err)
{
    char suffix[48];
    const char *key;
    struct iceberg_file file = {0};
    struct iceberg_bytes *bytes;
    snprintf(suffix, sizeof suffix, DATASET_FILE_SUFFIX, iceberg_tx_schema_id(files->tx));
    const char *path = new_file(files, suffix, &key);
    if (part->count <= SMALL_ROWS && iceberg_small_can(shape->schema) &&
        as_bytes(files->arena, shape, part->rows, part->count, &bytes)) {
        TN_TRY(add_small(files, shape, bytes, part->count, key, &file, err));
        if (iceberg_tx_schema_id(files->tx) == shape->schema->id)
            dataset_fresh_note(dataset_relations_fresh(files->lake->relations), path, shape, part->rows, part->count);
    } else {
        TN_TRY(add_large(files, shape, part->rows, part->count, key, &file, err));
    }
    file.path = path;
    file.spec_id = spec->id;
    file.partition = part->values;
    file.partition_count = spec->field_count;
    TN_TRY(iceberg_tx_add_file(files->tx, &file, err));
    *ret_path = path;
    return TN_OK;
}

enum tn_code rows_files_add(struct rows_files *files, const struct cells_shape *shape,
                            const struct engine_cell *const *rows, size_t count, const char **ret_path,
                            struct tn_error *err)
{
    const struct iceberg_spec *spec = iceberg_tx_spec(files->tx);
    struct partition_rows all = {.rows = (const struct engine_cell **)(uintptr_t)rows, .count = count}, *parts = &all;
    size_t part_count = 1;
    const char *path = NULL;
    if (spec->field_count > 0)
        TN_TRY(partition_rows(files->arena, spec, shape, rows, count, &parts, &part_count, err));
    for (size_t i = 0; i < part_count; i++)
        TN_TRY(add_part(files, shape, spec, &parts[i], &path, err));
    *ret_path = part_count == 1 ? path : NULL;
    return TN_OK;
}

/* A staging file into the commit. */
struct adding {
    struct rows_files *files;
    const struct iceberg_schema *schema;
    const struct iceberg_spec *spec;
};

static enum tn_code add_staged(void *context, const char *staged, const struct iceberg_bytes *values,
                               const struct engine_file_stats *stats, struct tn_error *err)
{
    const struct adding *adding = context;
    struct rows_files *files = adding->files;
    char suffix[48];
    const char *key;
    struct iceberg_file file = {0};
    snprintf(suffix, sizeof suffix, DATASET_FILE_SUFFIX, iceberg_tx_schema_id(files->tx));
    const char *path = new_file(files, suffix, &key);
    catalog_file_stats(files->arena, adding->schema, stats, &file);
    file.path = path;
    file.spec_id = adding->spec->id;
    file.partition = values;
    file.partition_count = adding->spec->field_count;
    enum tn_code code = store_batch_put_file(iceberg_tx_batch(files->tx), key, staged, err);
    if (code != TN_OK)
        (void)unlink(staged);
    return code == TN_OK ? iceberg_tx_add_file(files->tx, &file, err) : code;
}

enum tn_code rows_files_add_sql(struct rows_files *files, const struct iceberg_schema *schema, const char *select,
                                struct tn_error *err)
{
    char *staged;
    struct engine_file_stats written = {0};
    struct adding adding = {files, schema, iceberg_tx_spec(files->tx)};
    TN_TRY(dataset_check_engine_writes(schema, err));
    if (adding.spec->field_count > 0)
        return partition_select(files->lake, files->arena, adding.spec, schema, select, add_staged, &adding, err);
    TN_TRY(store_stage_path(files->lake->store, files->arena, ".parquet", &staged, err));
    const struct engine_copy copy = {
        .select = select, .field_ids = dataset_field_ids(files->arena, schema), .local_path = staged};
    TN_TRY(engine_copy_parquet(files->lake->engine, &copy, files->arena, &written, err));
    if (written.rows == 0) {
        (void)unlink(staged);
        return TN_OK;
    }
    return add_staged(&adding, staged, NULL, &written, err);
}

/* ---- deletes ------------------------------------------------------------------ */

#define DELETES_SUFFIX "-deletes.parquet"

enum tn_code rows_files_remove_sql(struct rows_files *files, const char *data_path, const char *select,
                                   struct tn_error *err)
{
    const char *key;
    const char *uri = new_file(files, DELETES_SUFFIX, &key);
    struct engine_copy copy = {
        .select = select,
        .field_ids = tn_arena_printf(files->arena, "{'file_path': %d, 'pos': %d}", ICEBERG_DELETE_PATH_ID,
                                     ICEBERG_DELETE_POS_ID),
    };
    struct engine_file_stats written = {0};
    TN_TRY(copy_to_batch(files, &copy, key, &written, err));
    const struct iceberg_file file = {
        .content = ICEBERG_POSITION_DELETES,
        .path = uri,
        .record_count = (int64_t)written.rows,
        .size_bytes = (int64_t)written.size_bytes,
        .sort_order_id = ICEBERG_NONE,
        .referenced_data_file = data_path,
    };
    return iceberg_tx_add_file(files->tx, &file, err);
}

struct positions {
    const int64_t *at;
    size_t count, next;
    const char *path;
};

static enum tn_code fill_positions(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct positions *positions = context;
    (void)err;
    batch->rows = TN_MIN(batch->capacity, positions->count - positions->next);
    memcpy(batch->columns[0].data, positions->at + positions->next, batch->rows * sizeof *positions->at);
    positions->next += batch->rows;
    return TN_OK;
}

static enum tn_code remove_large(struct rows_files *files, const char *data_path, const int64_t *at, size_t count,
                                 const char *key, struct iceberg_file *ret, struct tn_error *err)
{
    struct positions positions = {at, count, 0, data_path};
    const struct engine_column column = {.name = "pos", .type = {.kind = ENGINE_BIGINT}};
    const struct engine_source source = {&column, 1, &positions, fill_positions};
    TN_AUTO_BUF select = {0};
    tn_buf_puts(&select, "SELECT ");
    tn_buf_put_sql_string(&select, data_path);
    tn_buf_puts(&select, " AS file_path, pos FROM tarn_source()");
    struct engine_copy copy = {
        .select = select.data,
        .source = &source,
        .field_ids = tn_arena_printf(files->arena, "{'file_path': %d, 'pos': %d}", ICEBERG_DELETE_PATH_ID,
                                     ICEBERG_DELETE_POS_ID),
    };
    struct engine_file_stats written = {0};
    TN_TRY(copy_to_batch(files, &copy, key, &written, err));
    *ret = (struct iceberg_file){
        .content = ICEBERG_POSITION_DELETES,
        .record_count = (int64_t)written.rows,
        .size_bytes = (int64_t)written.size_bytes,
        .sort_order_id = ICEBERG_NONE,
        .referenced_data_file = data_path,
    };
    return TN_OK;
}

enum tn_code rows_files_remove(struct rows_files *files, const char *data_path, const int64_t *positions,
                               size_t count, struct tn_error *err)
{
    const char *key;
    const char *uri = new_file(files, DELETES_SUFFIX, &key);
    struct iceberg_file file = {0};
    if (count <= SMALL_ROWS) {
        TN_AUTO_BUF object = {0};
        TN_TRY(iceberg_small_deletes(files->arena, data_path, positions, count, &object, &file, err));
        TN_TRY(store_batch_put(iceberg_tx_batch(files->tx), key, object.data, object.len, err));
        dataset_deletes_note(dataset_relations_deletes(files->lake->relations), uri, data_path, positions, count);
    } else {
        TN_TRY(remove_large(files, data_path, positions, count, key, &file, err));
    }
    file.path = uri;
    return iceberg_tx_add_file(files->tx, &file, err);
}

/* ---- deletes that stand in a file ----------------------------------------------- */

struct listed {
    struct tn_arena *arena;
    const char **paths;
    size_t count, capacity;
    uint64_t rows;
};

static bool take_listed(void *context, size_t column_count, const char *const *values)
{
    struct listed *listed = context;
    (void)column_count;
    TN_GROW(listed->paths, listed->count, listed->capacity);
    listed->paths[listed->count++] = tn_arena_strdup(listed->arena, values[0]);
    uint64_t rows = 0;
    listed->rows += tn_parse_u64(values[1], &rows) ? rows : 0;
    return true;
}

static void put_listed(struct tn_buf *sql, const char *local_path, const char *where)
{
    tn_buf_puts(sql, " FROM read_parquet(");
    tn_buf_put_sql_string(sql, local_path);
    tn_buf_printf(sql, ") WHERE (%s)", where);
}

static enum tn_code remove_each(struct rows_files *files, const struct listed *listed, const char *local_path,
                                const char *where, struct tn_error *err)
{
    for (size_t i = 0; i < listed->count; i++) {
        TN_AUTO_BUF sql = {0};
        tn_buf_puts(&sql, "SELECT tarn_path AS file_path, tarn_pos AS pos");
        put_listed(&sql, local_path, where);
        tn_buf_puts(&sql, " AND tarn_path = ");
        tn_buf_put_sql_string(&sql, listed->paths[i]);
        tn_buf_puts(&sql, " ORDER BY tarn_pos");
        TN_TRY(rows_files_remove_sql(files, listed->paths[i], sql.data, err));
    }
    return TN_OK;
}

enum tn_code rows_files_remove_listed(struct rows_files *files, const char *local_path, const char *where,
                                      uint64_t *ret_rows, struct tn_error *err)
{
    struct listed listed = {.arena = files->arena};
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT tarn_path, count(*)");
    put_listed(&sql, local_path, where);
    tn_buf_puts(&sql, " GROUP BY tarn_path ORDER BY tarn_path");
    enum tn_code code = engine_run(files->lake->engine, sql.data, take_listed, &listed, err);
    if (code == TN_OK)
        code = remove_each(files, &listed, local_path, where, err);
    free(listed.paths);
    if (code == TN_OK)
        *ret_rows = listed.rows;
    return code;
}
