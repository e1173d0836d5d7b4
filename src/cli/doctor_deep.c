/* tarn doctor --deep: what manifests say of data and delete files, held against
 * the files' own rows. One file at a time, so that memory stays small. */
#include "cli/doctor.h"

#include "catalog/catalog.h"
#include "dataset/dataset.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* How many numbers one SELECT may answer with: five for each column, and a few. */
enum { NUMBERS_MAX = 5 * 64 + 8, COLUMNS_AT_ONCE = 64 };

struct deep {
    struct engine *engine;
    const struct iceberg_table *table;
    const struct iceberg_plan *plan;
    struct tn_arena *arena;
    iceberg_finding_fn *each;
    void *context;
};

struct numbers {
    int64_t values[NUMBERS_MAX]; /* NULL is -1 */
    size_t count;
};

static void deep_report(const struct deep *deep, bool fatal, const char *rule, const char *where, const char *format,
                        ...) TN_PRINTF(5, 6);
static void deep_report(const struct deep *deep, bool fatal, const char *rule, const char *where, const char *format,
                        ...)
{
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    const struct iceberg_finding finding = {.fatal = fatal, .rule = rule, .where = where, .text = text.data};
    deep->each(deep->context, &finding);
}

static bool on_numbers(void *context, size_t column_count, const char *const *values)
{
    struct numbers *numbers = context;
    numbers->count = TN_MIN(column_count, (size_t)NUMBERS_MAX);
    for (size_t i = 0; i < numbers->count; i++)
        if (!values[i] || !tn_parse_i64(values[i], &numbers->values[i]))
            numbers->values[i] = -1;
    return false;
}

/* Runs one SELECT of numbers; a file that cannot be read is a finding, and
 * *ret says whether there are numbers. */
static enum tn_code deep_ask(const struct deep *deep, const char *where, const char *sql, struct numbers *numbers,
                             bool *ret)
{
    struct tn_error cause = {0};
    numbers->count = 0;
    enum tn_code code = engine_run(deep->engine, sql, on_numbers, numbers, &cause);
    *ret = code == TN_OK && numbers->count > 0;
    if (code != TN_OK)
        deep_report(deep, true, "unreadable", where, "%s", cause.detail);
    return TN_OK;
}

static void put_file(struct tn_buf *sql, const struct deep *deep, const char *key)
{
    struct tn_error ignored = {0};
    char *path = NULL;
    if (store_local_path(deep->table->store, deep->arena, key, &path, &ignored) != TN_OK)
        path = tn_arena_strdup(deep->arena, key);
    tn_buf_put_sql_string(sql, path);
}

/* ---- columns ---------------------------------------------------------------- */

/* Text for a bound as a value of its column. UUIDs are left out: clients do not
 * agree on their order. */
static bool put_bound(struct tn_buf *sql, const struct iceberg_type *type, struct iceberg_bytes bound,
                      struct tn_arena *arena)
{
    TN_AUTO_BUF text = {0};
    if (!bound.data || type->kind == ICEBERG_UUID || !iceberg_value_valid(type, bound))
        return false;
    iceberg_value_format(type, bound, &text);
    bool octets = type->kind == ICEBERG_BINARY || type->kind == ICEBERG_FIXED;
    tn_buf_puts(sql, octets ? "unhex(" : "CAST(");
    tn_buf_put_sql_string(sql, text.data ? text.data : "");
    if (!octets)
        tn_buf_printf(sql, " AS %s", catalog_sql_type(arena, type));
    tn_buf_putc(sql, ')');
    return true;
}

/* , rows with c beyond the bound (NaN is beyond none) */
static void put_beyond(struct tn_buf *sql, const struct deep *deep, const struct iceberg_field *field,
                       struct iceberg_bytes bound, char sign)
{
    TN_AUTO_BUF value = {0};
    bool real = field->type->kind == ICEBERG_FLOAT || field->type->kind == ICEBERG_DOUBLE;
    if (put_bound(&value, field->type, bound, deep->arena))
        tn_buf_printf(sql, ", count(*) FILTER (WHERE c%d %c %s%s", field->id, sign, value.data,
                      real ? tn_arena_printf(deep->arena, " AND NOT isnan(c%d))", field->id) : ")");
    else
        tn_buf_puts(sql, ", 0");
}

static void put_column(struct tn_buf *sql, const struct deep *deep, const struct iceberg_field *field,
                       const struct iceberg_stats *stats)
{
    bool real = field->type->kind == ICEBERG_FLOAT || field->type->kind == ICEBERG_DOUBLE;
    tn_buf_printf(sql, ", count(c%d)", field->id);
    if (real)
        tn_buf_printf(sql, ", count(*) FILTER (WHERE isnan(c%d))", field->id);
    else
        tn_buf_puts(sql, ", 0");
    put_beyond(sql, deep, field, stats->lower, '<');
    put_beyond(sql, deep, field, stats->upper, '>');
}

static void judge_column(const struct deep *deep, const struct iceberg_file *file, const struct iceberg_field *field,
                         const struct iceberg_stats *stats, int64_t rows, const int64_t *numbers)
{
    bool real = field->type->kind == ICEBERG_FLOAT || field->type->kind == ICEBERG_DOUBLE;
    if (numbers[2] > 0 || numbers[3] > 0)
        deep_report(deep, true, "bounds", file->path, "%" PRId64 " rows of \"%s\" lie outside of its bounds",
                    numbers[2] + numbers[3], field->name);
    if (stats->null_count >= 0 && stats->null_count != rows - numbers[0])
        deep_report(deep, true, "null-count", file->path,
                    "\"%s\" has %" PRId64 " NULLs, and %" PRId64 " are recorded", field->name, rows - numbers[0],
                    stats->null_count);
    if (stats->value_count >= 0 && stats->value_count != rows)
        deep_report(deep, true, "value-count", file->path,
                    "\"%s\" has %" PRId64 " values, and %" PRId64 " are recorded", field->name, rows,
                    stats->value_count);
    if (real && stats->nan_count >= 0 && stats->nan_count != numbers[1])
        deep_report(deep, true, "nan-count", file->path, "\"%s\" has %" PRId64 " NaN, and %" PRId64 " are recorded",
                    field->name, numbers[1], stats->nan_count);
    if (field->required && numbers[0] != rows)
        deep_report(deep, true, "required", file->path, "\"%s\" is required and has NULLs", field->name);
}

/* From the schema's fields, starting at *first, those whose statistics can be
 * held against plain columns; *first moves on. */
static size_t next_columns(const struct deep *deep, const struct iceberg_file *file, size_t *first,
                           const struct iceberg_field **ret, const struct iceberg_stats **ret_stats)
{
    const struct iceberg_schema *schema = deep->plan->schema;
    size_t count = 0;
    for (; *first < schema->field_count && count < COLUMNS_AT_ONCE; ++*first) {
        const struct iceberg_field *field = &schema->fields[*first];
        const struct iceberg_stats *stats = iceberg_file_stats(file, field->id);
        if (!stats || field->type->field_count > 0)
            continue;
        ret[count] = field;
        ret_stats[count++] = stats;
    }
    return count;
}

static enum tn_code judge_columns(const struct deep *deep, const struct iceberg_plan_file *planned, int64_t rows,
                                  size_t *first)
{
    const struct iceberg_field *fields[COLUMNS_AT_ONCE];
    const struct iceberg_stats *stats[COLUMNS_AT_ONCE];
    struct numbers numbers;
    TN_AUTO_BUF sql = {0};
    bool answered = false;
    size_t count = next_columns(deep, planned->file, first, fields, stats);
    if (count == 0)
        return TN_OK;
    tn_buf_puts(&sql, "SELECT count(*)");
    for (size_t i = 0; i < count; i++)
        put_column(&sql, deep, fields[i], stats[i]);
    tn_buf_puts(&sql, " FROM read_parquet(");
    put_file(&sql, deep, planned->key);
    tn_buf_puts(&sql, ", schema = MAP {");
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(&sql, "%s%d: {'name': 'c%d', 'type': '%s', 'default_value': NULL}", i ? ", " : "",
                      fields[i]->id, fields[i]->id, catalog_sql_type(deep->arena, fields[i]->type));
    tn_buf_puts(&sql, "})");
    TN_TRY(deep_ask(deep, planned->file->path, sql.data, &numbers, &answered));
    for (size_t i = 0; i < count && answered; i++)
        judge_column(deep, planned->file, fields[i], stats[i], rows, &numbers.values[1 + 4 * i]);
    return TN_OK;
}

static enum tn_code judge_partition(const struct deep *deep, const struct iceberg_plan_file *planned)
{
    struct tn_error cause = {0};
    char *path = NULL;
    uint64_t astray = 0;
    TN_TRY(store_local_path(deep->table->store, deep->arena, planned->key, &path, &cause));
    enum tn_code code =
        dataset_count_astray(deep->engine, deep->plan->metadata, planned->file, path, &astray, &cause);
    if (code != TN_OK)
        deep_report(deep, code != TN_EUNSUPPORTED, code == TN_EUNSUPPORTED ? "unsupported" : "unreadable",
                    planned->file->path, "%s", cause.detail);
    else if (astray > 0)
        deep_report(deep, true, "partition-rows", planned->file->path,
                    "%" PRIu64
                    " rows do not lie in the partition that its entry names, so that clients overlook them",
                    astray);
    return TN_OK;
}

static enum tn_code judge_data_file(const struct deep *deep, const struct iceberg_plan_file *planned)
{
    struct numbers numbers;
    TN_AUTO_BUF sql = {0};
    bool answered = false;
    tn_buf_puts(&sql, "SELECT (SELECT count(*) FROM read_parquet(");
    put_file(&sql, deep, planned->key);
    tn_buf_puts(&sql, ")), (SELECT count(*) FROM parquet_schema(");
    put_file(&sql, deep, planned->key);
    tn_buf_puts(&sql, ") WHERE type IS NOT NULL AND field_id IS NULL)");
    TN_TRY(deep_ask(deep, planned->file->path, sql.data, &numbers, &answered));
    if (!answered)
        return TN_OK;
    int64_t rows = numbers.values[0];
    if (rows != planned->file->record_count)
        deep_report(deep, true, "record-count", planned->file->path,
                    "the file has %" PRId64 " rows, and %" PRId64 " are recorded", rows, planned->file->record_count);
    if (numbers.values[1] > 0) {
        bool mapped = iceberg_metadata_property(deep->plan->metadata, "schema.name-mapping.default") != NULL;
        deep_report(deep, !mapped, "parquet-field-id", planned->file->path, "%" PRId64 " columns have no field id",
                    numbers.values[1]);
        return TN_OK; /* what stands for which id is not known */
    }
    for (size_t first = 0; first < deep->plan->schema->field_count;)
        TN_TRY(judge_columns(deep, planned, rows, &first));
    return judge_partition(deep, planned);
}

/* ---- delete files ------------------------------------------------------------- */

static enum tn_code judge_delete_file(const struct deep *deep, const struct iceberg_plan_file *planned, size_t which)
{
    const struct iceberg_file *deletes = planned->deletes[which];
    struct numbers numbers;
    TN_AUTO_BUF sql = {0};
    bool answered = false;
    tn_buf_puts(&sql, "WITH d AS (SELECT file_path, pos, file_row_number AS r FROM read_parquet(");
    put_file(&sql, deep, planned->delete_keys[which]);
    tn_buf_puts(&sql, ")), mine AS (SELECT * FROM d WHERE file_path = ");
    tn_buf_put_sql_string(&sql, planned->file->path);
    tn_buf_puts(&sql, ") SELECT (SELECT count(*) FROM d), (SELECT count(*) FROM mine), (SELECT count(*) FROM mine "
                      "WHERE pos < 0 OR pos >= ");
    tn_buf_printf(&sql,
                  "%" PRId64 "), (SELECT count(*) - count(DISTINCT pos) FROM mine), (SELECT count(*) FROM "
                  "(SELECT file_path, pos, lag(file_path) OVER w AS f, lag(pos) OVER w AS p FROM d "
                  "WINDOW w AS (ORDER BY r)) WHERE f > file_path OR (f = file_path AND p > pos))",
                  planned->file->record_count);
    TN_TRY(deep_ask(deep, deletes->path, sql.data, &numbers, &answered));
    if (!answered)
        return TN_OK;
    if (numbers.values[0] != deletes->record_count)
        deep_report(deep, true, "record-count", deletes->path,
                    "the file has %" PRId64 " rows, and %" PRId64 " are recorded", numbers.values[0],
                    deletes->record_count);
    if (numbers.values[2] > 0)
        deep_report(deep, true, "delete-position", deletes->path,
                    "%" PRId64 " positions lie outside of the %" PRId64 " rows of %s", numbers.values[2],
                    planned->file->record_count, planned->file->path);
    if (numbers.values[3] > 0)
        deep_report(deep, false, "delete-twice", deletes->path, "%" PRId64 " positions stand twice",
                    numbers.values[3]);
    if (numbers.values[4] > 0)
        deep_report(deep, false, "delete-order", deletes->path, "its rows are not sorted by file and position");
    if (deletes->referenced_data_file && numbers.values[1] != numbers.values[0])
        deep_report(deep, true, "delete-target", deletes->path,
                    "it says to be for %s alone, and %" PRId64 " of its rows are for other files",
                    deletes->referenced_data_file, numbers.values[0] - numbers.values[1]);
    return TN_OK;
}

/* Rows of the file that some delete file names, each once: what one file after
 * the other deletes may be the same rows. */
static enum tn_code count_live(const struct deep *deep, const struct iceberg_plan_file *planned, int64_t *live)
{
    struct numbers numbers = {.values = {0}, .count = 1};
    TN_AUTO_BUF sql = {0};
    bool answered = true;
    if (planned->delete_count > 0) {
        tn_buf_puts(&sql, "SELECT count(DISTINCT pos) FROM read_parquet([");
        for (size_t i = 0; i < planned->delete_count; i++) {
            tn_buf_puts(&sql, i ? ", " : "");
            put_file(&sql, deep, planned->delete_keys[i]);
        }
        tn_buf_puts(&sql, "]) WHERE file_path = ");
        tn_buf_put_sql_string(&sql, planned->file->path);
        tn_buf_printf(&sql, " AND pos >= 0 AND pos < %" PRId64, planned->file->record_count);
        TN_TRY(deep_ask(deep, planned->file->path, sql.data, &numbers, &answered));
    }
    if (!answered)
        *live = ICEBERG_NONE;
    else if (*live != ICEBERG_NONE)
        *live += planned->file->record_count - numbers.values[0];
    return TN_OK;
}

enum tn_code doctor_read_files(struct engine *engine, const struct iceberg_table *table,
                               const struct iceberg_metadata *metadata, iceberg_finding_fn *each, void *context,
                               int64_t *ret_live, struct tn_error *err)
{
    int64_t live = 0;
    ICEBERG_AUTO_PLAN *plan = NULL;
    struct deep deep = {.engine = engine, .table = table, .each = each, .context = context};
    struct tn_error cause = {0};
    enum tn_code code = iceberg_plan_new(table, metadata, NULL, NULL, 0, &plan, &cause);
    if (code == TN_EUNSUPPORTED) {
        deep_report(&deep, false, "unsupported", table->prefix, "%s", cause.detail);
        *ret_live = ICEBERG_NONE;
        return TN_OK;
    }
    if (code != TN_OK)
        return tn_fail(err, code, "%s", cause.detail);
    deep.plan = plan;
    for (size_t i = 0; i < plan->file_count; i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        deep.arena = arena;
        TN_TRY(judge_data_file(&deep, &plan->files[i]));
        for (size_t k = 0; k < plan->files[i].delete_count; k++)
            TN_TRY(judge_delete_file(&deep, &plan->files[i], k));
        TN_TRY(count_live(&deep, &plan->files[i], &live));
    }
    *ret_live = live;
    return TN_OK;
}
