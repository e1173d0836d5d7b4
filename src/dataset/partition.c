/* New rows by the partitions of the table. */
#include "dataset/partition.h"

#include "dataset/dataset_internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define SLOTS         4096 /* above twice PARTITIONS_MAX; a power of two */
#define SCRATCH_BYTES ((size_t)1 << 20)

enum tn_code partition_check(const struct iceberg_metadata *metadata, struct tn_error *err)
{
    bool plain = true;
    for (size_t i = 0; i < metadata->spec_count; i++)
        plain = plain && metadata->specs[i]->field_count == 0;
    if (plain)
        return TN_OK;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, metadata->default_spec_id);
    struct iceberg_partitioner partitioner;
    enum tn_code code = spec ? iceberg_partitioner_init(arena, spec, metadata->schema, &partitioner, err)
                             : tn_fail(err, TN_ECORRUPT, "the table has no default partition spec");
    for (size_t i = 0; code == TN_OK && i < metadata->spec_count; i++) {
        spec = metadata->specs[i]; /* its manifests are written again when files of it change */
        if (!iceberg_spec_schema(arena, metadata, spec, metadata->schema))
            code = tn_fail(err, TN_EUNSUPPORTED, "partition spec %d (by \"%s\") cannot be written", spec->id,
                           spec->fields[0].name);
    }
    if (code == TN_EUNSUPPORTED)
        tn_error_hint(err, "change its rows with the engine that made it, or load it into a dataset of its own");
    return code;
}

/* ---- which partitions there are --------------------------------------------------- */

struct partition_set {
    struct iceberg_partitioner by;
    const struct iceberg_schema *schema;
    struct tn_arena *arena; /* what stays */
    const struct iceberg_bytes **values;
    size_t count;
    uint16_t slots[SLOTS]; /* partition + 1 */
};

static enum tn_code set_init(struct partition_set *set, struct tn_arena *arena, const struct iceberg_spec *spec,
                             const struct iceberg_schema *schema, struct tn_error *err)
{
    *set = (struct partition_set){.schema = schema, .arena = arena};
    set->values = TN_ARENA_ARRAY(arena, const struct iceberg_bytes *, PARTITIONS_MAX);
    return iceberg_partitioner_init(arena, spec, schema, &set->by, err);
}

static bool is_same(const struct iceberg_bytes *a, const struct iceberg_bytes *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!a[i].data != !b[i].data || a[i].length != b[i].length ||
            (a[i].length > 0 && memcmp(a[i].data, b[i].data, a[i].length) != 0))
            return false;
    return true;
}

static const struct iceberg_bytes *keep_values(struct tn_arena *arena, const struct iceberg_bytes *values,
                                               size_t count)
{
    struct iceberg_bytes *copy = TN_ARENA_ARRAY(arena, struct iceberg_bytes, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (!values[i].data)
            continue;
        uint8_t *bytes = tn_arena_alloc(arena, values[i].length + 1);
        memcpy(bytes, values[i].data, values[i].length);
        copy[i] = (struct iceberg_bytes){bytes, values[i].length};
    }
    return copy;
}

static enum tn_code set_number(struct partition_set *set, const struct iceberg_bytes *values, size_t *ret,
                               struct tn_error *err)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < set->by.field_count; i++)
        hash = tn_hash64(values[i].data ? (const void *)values[i].data : "", values[i].length,
                         hash + (values[i].data != NULL));
    size_t slot = (size_t)hash & (SLOTS - 1);
    for (; set->slots[slot]; slot = (slot + 1) & (SLOTS - 1))
        if (is_same(set->values[set->slots[slot] - 1], values, set->by.field_count)) {
            *ret = set->slots[slot] - 1U;
            return TN_OK;
        }
    if (set->count == PARTITIONS_MAX) {
        tn_fail(err, TN_ETOOLARGE, "the rows lie in more than %d partitions of the table, and each is a file",
                PARTITIONS_MAX);
        tn_error_hint(err, "write them in parts, sorted by the columns that the table is partitioned by");
        return TN_ETOOLARGE;
    }
    set->values[set->count] = keep_values(set->arena, values, set->by.field_count);
    set->slots[slot] = (uint16_t)++set->count;
    *ret = set->count - 1;
    return TN_OK;
}

/* cells: one for each field, of its column. */
static enum tn_code values_of(const struct partition_set *set, struct tn_arena *arena,
                              const struct engine_cell *const *cells, struct iceberg_bytes *ret, struct tn_error *err)
{
    static const struct engine_column real = {.type = {.kind = ENGINE_DOUBLE}};
    struct iceberg_bytes *sources = TN_ARENA_ARRAY(arena, struct iceberg_bytes, set->by.field_count + 1);
    for (size_t i = 0; i < set->by.field_count; i++) {
        const struct iceberg_transform *field = &set->by.fields[i];
        if (field->kind != ICEBERG_VOID && !cells_bytes(arena, field->source, &real, cells[i], &sources[i]))
            return tn_fail(err, TN_EINTERNAL, "column \"%s\" has a type without single values",
                           set->schema->fields[field->column].name);
    }
    iceberg_partition_of(&set->by, arena, sources, ret);
    return TN_OK;
}

/* ---- rows in memory ----------------------------------------------------------------- */

static enum tn_code number_rows(struct partition_set *set, const struct engine_cell *const *rows, size_t count,
                                size_t *numbers, struct tn_error *err)
{
    struct iceberg_bytes *values = TN_ARENA_ARRAY(set->arena, struct iceberg_bytes, set->by.field_count + 1);
    const struct engine_cell **cells =
        TN_ARENA_ARRAY(set->arena, const struct engine_cell *, set->by.field_count + 1);
    for (size_t row = 0; row < count; row++) {
        for (size_t i = 0; i < set->by.field_count; i++)
            cells[i] = &rows[row][set->by.fields[i].column];
        TN_TRY(values_of(set, set->arena, cells, values, err));
        TN_TRY(set_number(set, values, &numbers[row], err));
    }
    return TN_OK;
}

enum tn_code partition_rows(struct tn_arena *arena, const struct iceberg_spec *spec, const struct cells_shape *shape,
                            const struct engine_cell *const *rows, size_t count, struct partition_rows **ret,
                            size_t *ret_count, struct tn_error *err)
{
    struct partition_set set;
    size_t *numbers = TN_ARENA_ARRAY(arena, size_t, count + 1);
    TN_TRY(set_init(&set, arena, spec, shape->schema, err));
    TN_TRY(number_rows(&set, rows, count, numbers, err));
    struct partition_rows *parts = TN_ARENA_ARRAY(arena, struct partition_rows, set.count + 1);
    for (size_t row = 0; row < count; row++)
        parts[numbers[row]].count++;
    for (size_t i = 0; i < set.count; i++) {
        parts[i].values = set.values[i];
        parts[i].rows = TN_ARENA_ARRAY(arena, const struct engine_cell *, parts[i].count);
        parts[i].count = 0;
    }
    for (size_t row = 0; row < count; row++) {
        struct partition_rows *part = &parts[numbers[row]];
        part->rows[part->count++] = rows[row];
    }
    *ret = parts;
    *ret_count = set.count;
    return TN_OK;
}

/* ---- rows of a SELECT ------------------------------------------------------------------ */

/* Sorted by its partition into one staging file first, so that one file is open
 * at a time, however many partitions there are. */
struct splitting {
    struct lake *lake;
    const struct iceberg_schema *schema;
    const char *number; /* the name of the column that has the partition's number */
    pthread_mutex_t mutex;
    struct tn_arena *scratch;
    enum tn_code code;
    struct tn_error error;
    struct partition_set set;
};

static enum tn_code number_row(void *context, const struct engine_cell *cells, size_t count, int64_t *ret,
                               struct tn_error *err)
{
    struct splitting *splitting = context;
    struct partition_set *set = &splitting->set;
    size_t number = 0;
    pthread_mutex_lock(&splitting->mutex);
    if (tn_arena_used(splitting->scratch) > SCRATCH_BYTES)
        tn_arena_reset(splitting->scratch);
    struct iceberg_bytes *values = TN_ARENA_ARRAY(splitting->scratch, struct iceberg_bytes, count + 1);
    const struct engine_cell **each = TN_ARENA_ARRAY(splitting->scratch, const struct engine_cell *, count + 1);
    for (size_t i = 0; i < count; i++)
        each[i] = &cells[i];
    enum tn_code code = values_of(set, splitting->scratch, each, values, err);
    if (code == TN_OK)
        code = set_number(set, values, &number, err);
    if (code != TN_OK && splitting->code == TN_OK) {
        splitting->code = code; /* the statement's own error says less */
        splitting->error = *err;
    }
    pthread_mutex_unlock(&splitting->mutex);
    *ret = (int64_t)number;
    return code;
}

/* No column of the table. */
static const char *free_name(struct tn_arena *arena, const struct iceberg_schema *schema)
{
    const char *name = "tarn_partition";
    while (iceberg_schema_find(schema, name, true))
        name = tn_arena_printf(arena, "%s_", name);
    return name;
}

/* A void field has no column worth reading. */
static void put_arguments(const struct splitting *splitting, struct tn_buf *sql)
{
    const struct iceberg_partitioner *by = &splitting->set.by;
    for (size_t i = 0; i < by->field_count; i++) {
        tn_buf_puts(sql, ", ");
        if (by->fields[i].kind == ICEBERG_VOID)
            tn_buf_puts(sql, "true");
        else
            tn_buf_put_sql_name(sql, splitting->schema->fields[by->fields[i].column].name);
    }
}

static enum tn_code write_sorted(struct splitting *splitting, const char *select, const char *local_path,
                                 uint64_t *ret_rows, struct tn_error *err)
{
    const struct iceberg_schema *schema = splitting->schema;
    struct engine_file_stats written = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new(); /* the set's is the numbering threads' */
    TN_AUTO_BUF sql = {0};
    uint64_t id = engine_number_add(splitting->lake->engine, number_row, splitting);
    tn_buf_printf(&sql, "SELECT *, tarn_number(%" PRIu64, id);
    put_arguments(splitting, &sql);
    tn_buf_printf(&sql, ") AS %s FROM (%s) ORDER BY %s", splitting->number, select, splitting->number);
    for (size_t i = 0; i < schema->identifier_count; i++) {
        tn_buf_puts(&sql, ", ");
        tn_buf_put_sql_name(&sql, iceberg_schema_field(schema, schema->identifier_ids[i])->name);
    }
    const struct engine_copy copy = {.select = sql.data, .local_path = local_path};
    enum tn_code code = engine_copy_parquet(splitting->lake->engine, &copy, arena, &written, err);
    engine_number_remove(splitting->lake->engine, id);
    /* They are done with it; the engine's locks handed it back, which a race detector does not see. */
    pthread_mutex_lock(&splitting->mutex);
    pthread_mutex_unlock(&splitting->mutex);
    *ret_rows = written.rows;
    if (splitting->code == TN_OK)
        return code;
    if (err)
        *err = splitting->error;
    return splitting->code;
}

static enum tn_code write_one(const struct splitting *splitting, const char *sorted, size_t number,
                              partition_file_fn *each, void *context, struct tn_error *err)
{
    struct tn_arena *arena = splitting->set.arena;
    const struct iceberg_schema *schema = splitting->schema;
    struct engine_file_stats stats = {0};
    char *staged;
    TN_AUTO_BUF sql = {0};
    for (size_t i = 0; i < schema->field_count; i++) {
        tn_buf_puts(&sql, i ? ", " : "SELECT ");
        tn_buf_put_sql_name(&sql, schema->fields[i].name);
    }
    tn_buf_puts(&sql, " FROM read_parquet(");
    tn_buf_put_sql_string(&sql, sorted);
    tn_buf_printf(&sql, ") WHERE %s = %zu", splitting->number, number);
    TN_TRY(store_stage_path(splitting->lake->store, arena, ".parquet", &staged, err));
    const struct engine_copy copy = {
        .select = sql.data, .field_ids = dataset_field_ids(arena, schema), .local_path = staged};
    TN_TRY(engine_copy_parquet(splitting->lake->engine, &copy, arena, &stats, err));
    if (stats.rows == 0) {
        (void)unlink(staged);
        return tn_fail(err, TN_EINTERNAL, "a partition that was just written has no rows");
    }
    return each(context, staged, splitting->set.values[number], &stats, err);
}

static enum tn_code split(struct splitting *splitting, const char *select, partition_file_fn *each, void *context,
                          struct tn_error *err)
{
    uint64_t rows = 0;
    char *sorted;
    TN_TRY(store_stage_path(splitting->lake->store, splitting->set.arena, ".parquet", &sorted, err));
    enum tn_code code = write_sorted(splitting, select, sorted, &rows, err);
    for (size_t i = 0; code == TN_OK && i < splitting->set.count; i++)
        code = write_one(splitting, sorted, i, each, context, err);
    (void)unlink(sorted);
    return code;
}

enum tn_code partition_select(struct lake *lake, struct tn_arena *arena, const struct iceberg_spec *spec,
                              const struct iceberg_schema *schema, const char *select, partition_file_fn *each,
                              void *context, struct tn_error *err)
{
    TN_AUTO_FREE struct splitting *splitting = tn_calloc(1, sizeof *splitting);
    splitting->lake = lake;
    splitting->schema = schema;
    splitting->number = free_name(arena, schema);
    TN_TRY(set_init(&splitting->set, arena, spec, schema, err));
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    splitting->scratch = scratch;
    pthread_mutex_init(&splitting->mutex, NULL);
    enum tn_code code = split(splitting, select, each, context, err);
    pthread_mutex_destroy(&splitting->mutex);
    return code;
}

/* ---- the validator ------------------------------------------------------------------------ */

struct judging {
    struct partition_set set; /* without partitions: only what computes them */
    const struct iceberg_file *file;
};

static enum tn_code judge_row(void *context, const struct engine_cell *cells, size_t count, int64_t *ret,
                              struct tn_error *err)
{
    const struct judging *judging = context;
    const struct iceberg_partitioner *by = &judging->set.by;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct iceberg_bytes *values = TN_ARENA_ARRAY(arena, struct iceberg_bytes, count + 1);
    const struct engine_cell **each = TN_ARENA_ARRAY(arena, const struct engine_cell *, count + 1);
    for (size_t i = 0; i < count; i++)
        each[i] = &cells[i];
    TN_TRY(values_of(&judging->set, arena, each, values, err));
    for (size_t i = 0; i < by->field_count; i++) /* what a void field had before is no row's */
        if (by->fields[i].kind == ICEBERG_VOID)
            values[i] = judging->file->partition[i];
    *ret = iceberg_partition_compare(by->types, values, judging->file->partition, by->field_count) != 0;
    return TN_OK;
}

static bool take_count(void *context, size_t column_count, const char *const *values)
{
    (void)column_count;
    return !values[0] || tn_parse_u64(values[0], (uint64_t *)context);
}

/* False when no field has a column to be held against. */
static bool put_astray(const struct iceberg_partitioner *by, const struct iceberg_spec *spec, uint64_t id,
                       const char *local_path, struct tn_arena *arena, struct tn_buf *sql)
{
    TN_AUTO_BUF columns = {0};
    tn_buf_printf(sql, "SELECT CAST(sum(tarn_number(%" PRIu64, id);
    for (size_t i = 0; i < by->field_count; i++) {
        int32_t source = spec->fields[i].source_id;
        bool named = false;
        for (size_t k = 0; k < i; k++)
            named = named || (spec->fields[k].source_id == source && by->fields[k].kind != ICEBERG_VOID);
        if (by->fields[i].kind == ICEBERG_VOID) {
            tn_buf_puts(sql, ", true");
            continue;
        }
        tn_buf_printf(sql, ", c%d", source);
        if (!named)
            tn_buf_printf(&columns, "%s%d: {'name': 'c%d', 'type': '%s', 'default_value': NULL}",
                          columns.len ? ", " : "", source, source, catalog_sql_type(arena, by->fields[i].source));
    }
    tn_buf_puts(sql, ")) AS BIGINT) FROM read_parquet(");
    tn_buf_put_sql_string(sql, local_path);
    tn_buf_printf(sql, ", schema = MAP {%s})", columns.data ? columns.data : "");
    return columns.len > 0;
}

enum tn_code dataset_count_astray(struct engine *engine, const struct iceberg_metadata *metadata,
                                  const struct iceberg_file *file, const char *local_path, uint64_t *ret,
                                  struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, file->spec_id);
    uint64_t rows = 0;
    *ret = 0;
    if (!spec || spec->field_count == 0 || spec->field_count != file->partition_count)
        return TN_OK; /* the check of manifests has told */
    const struct iceberg_schema *schema = iceberg_spec_schema(arena, metadata, spec, metadata->schema);
    TN_AUTO_FREE struct judging *judging = tn_calloc(1, sizeof *judging);
    if (!schema)
        return tn_fail(err, TN_EUNSUPPORTED, "partition field \"%s\" is not one that Tarn computes",
                       spec->fields[0].name);
    judging->file = file;
    judging->set.schema = schema;
    TN_TRY(iceberg_partitioner_init(arena, spec, schema, &judging->set.by, err));
    TN_AUTO_BUF sql = {0};
    enum tn_code code = TN_OK;
    uint64_t id = engine_number_add(engine, judge_row, judging);
    if (put_astray(&judging->set.by, spec, id, local_path, arena, &sql))
        code = engine_run(engine, sql.data, take_count, &rows, err);
    engine_number_remove(engine, id);
    if (code == TN_OK)
        *ret = rows;
    return code;
}
