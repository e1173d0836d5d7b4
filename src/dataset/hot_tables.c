/* How the rows of a hot copy lie in the engine.
 *
 * Texts that repeat, cities or states, are laid down as dictionaries: a filter
 * or a function is computed once for each different text instead of once for
 * each row, and rows are grouped by numbers. The engine encodes columns when it
 * makes a checkpoint of a database that may be compressed, so each copy is a
 * database of its own, in memory, and its checkpoint waits for nobody.
 *
 * A checkpoint lays down the other columns anew as well, and does so without
 * bits for NULL where there is none; few rows out of many are then found by
 * reading all of them. For texts that is dear, so those that do not repeat are
 * laid down once more behind it, as they come: setting a column to the type
 * that it has does just that.
 *
 * Rows added since the filling lie in a plain table.
 */
#include "dataset/hot_internal.h"
#include "dataset/width.h"

#include <inttypes.h>
#include <string.h>

#define SAMPLE_ROWS     32768            /* tell most columns that do not repeat */
#define WORTHWHILE_ROWS 2048             /* fewer are read whole anyway */
#define REPEATS         16               /* rows for each different text at least */
#define GROUP_ROWS      UINT64_C(122880) /* the engine's: each has dictionaries of its own */

struct laying {
    struct hot_table *table;
    const char *select; /* the rows, their places in front */
    bool *repeats;      /* by field of the schema */
    size_t repeating;   /* how many */
};

/* A text, or what DuckDB stores like one. */
static bool has_text(const struct iceberg_field *field)
{
    return field->type->kind == ICEBERG_STRING || field->type->kind == ICEBERG_BINARY;
}

/* (rows, different values of each column that may repeat) */
static enum tn_code take_counts(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct laying *laying = context;
    const struct iceberg_schema *schema = laying->table->schema;
    size_t at = 1;
    (void)err;
    for (size_t i = 0; i < schema->field_count; i++) {
        if (!laying->repeats[i])
            continue;
        int64_t different = cells[at++].integer;
        laying->repeats[i] = different <= cells[0].integer / REPEATS;
        laying->table->different[i] = laying->repeats[i] ? (uint64_t)TN_MAX(different, 1) : 0;
        laying->repeating -= !laying->repeats[i];
    }
    return TN_OK;
}

/* Keeps of the columns that may repeat those that do in the first `limit` rows; 0: in all. */
static enum tn_code keep_repeating(struct laying *laying, size_t limit, struct tn_error *err)
{
    const struct iceberg_schema *schema = laying->table->schema;
    TN_AUTO_BUF sql = {0};
    if (laying->repeating == 0)
        return TN_OK;
    tn_buf_puts(&sql, "SELECT count(*)");
    for (size_t i = 0; i < schema->field_count; i++) {
        if (!laying->repeats[i])
            continue;
        tn_buf_puts(&sql, ", approx_count_distinct(");
        tn_buf_put_sql_name(&sql, schema->fields[i].name);
        tn_buf_putc(&sql, ')');
    }
    tn_buf_printf(&sql, " FROM (SELECT * FROM (%s)", laying->select);
    if (limit)
        tn_buf_printf(&sql, " LIMIT %zu", limit);
    tn_buf_putc(&sql, ')');
    const struct engine_select select = {.sql = sql.data};
    return engine_select(laying->table->engine, &select, NULL, NULL, NULL, take_counts, laying, err);
}

static enum tn_code find_repeating(struct laying *laying, uint64_t rows, struct tn_error *err)
{
    const struct iceberg_schema *schema = laying->table->schema;
    for (size_t i = 0; rows >= WORTHWHILE_ROWS && i < schema->field_count; i++) {
        laying->repeats[i] = schema->fields[i].type->kind == ICEBERG_STRING;
        laying->repeating += laying->repeats[i];
    }
    TN_TRY(keep_repeating(laying, SAMPLE_ROWS, err));
    return rows > SAMPLE_ROWS ? keep_repeating(laying, 0, err) : TN_OK;
}

/* The columns as the SELECT has them, places in front. */
static enum tn_code put_columns(const struct laying *laying, struct tn_arena *arena, struct tn_buf *sql,
                                struct tn_error *err)
{
    struct engine_column *columns;
    size_t count, places = 2;
    TN_TRY(engine_describe(laying->table->engine, laying->select, arena, &columns, &count, err));
    if (count != laying->table->schema->field_count + places)
        return tn_fail(err, TN_EINTERNAL, "the rows of a hot copy have %zu columns", count);
    for (size_t i = 0; i < count; i++) {
        tn_buf_puts(sql, i ? ", " : "");
        tn_buf_put_sql_name(sql, columns[i].name);
        tn_buf_printf(sql, " %s", columns[i].type_text);
        if (i >= places) /* of the places the engine knows best: they are read at the filling alone */
            tn_buf_puts(sql, laying->repeats[i - places] ? " USING COMPRESSION dict_fsst"
                                                         : " USING COMPRESSION uncompressed");
    }
    return TN_OK;
}

static enum tn_code lay_repeating(const struct laying *laying, struct tn_arena *arena, struct tn_error *err)
{
    const struct iceberg_schema *schema = laying->table->schema;
    unsigned long long serial = laying->table->serial;
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "ATTACH ':memory:' AS " HOT_DATABASE " (COMPRESS); CREATE TABLE " HOT_BASE " (", serial,
                  serial);
    TN_TRY(put_columns(laying, arena, &sql, err));
    tn_buf_printf(&sql, "); INSERT INTO " HOT_BASE " %s; CHECKPOINT " HOT_DATABASE, serial, laying->select, serial);
    for (size_t i = 0; i < schema->field_count; i++) {
        if (laying->repeats[i] || !has_text(&schema->fields[i]))
            continue;
        tn_buf_printf(&sql, "; ALTER TABLE " HOT_BASE " ALTER ", serial);
        tn_buf_put_sql_name(&sql, schema->fields[i].name);
        tn_buf_printf(&sql, " SET DATA TYPE %s USING ", catalog_sql_type(arena, schema->fields[i].type));
        tn_buf_put_sql_name(&sql, schema->fields[i].name);
    }
    return engine_run(laying->table->engine, sql.data, NULL, NULL, err);
}

static enum tn_code lay_plain(const struct laying *laying, struct tn_error *err)
{
    unsigned long long serial = laying->table->serial;
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "ATTACH ':memory:' AS " HOT_DATABASE "; CREATE TABLE " HOT_BASE " AS %s", serial, serial,
                  laying->select);
    return engine_run(laying->table->engine, sql.data, NULL, NULL, err);
}

enum tn_code hot_tables_create(struct hot_table *table, const char *select, uint64_t rows, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    unsigned long long serial = table->serial;
    table->different = TN_ARENA_ARRAY(table->arena, uint64_t, table->schema->field_count + 1);
    struct laying laying = {
        .table = table, .select = select, .repeats = TN_ARENA_ARRAY(arena, bool, table->schema->field_count + 1)};
    TN_TRY(find_repeating(&laying, rows, err));
    table->made = true;
    /* Encoding takes more memory while it lasts than the plain table does. */
    if (laying.repeating == 0 || lay_repeating(&laying, arena, err) != TN_OK) {
        memset(table->different, 0, table->schema->field_count * sizeof *table->different);
        hot_tables_drop(table);
        TN_TRY(lay_plain(&laying, err));
    }
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "CREATE TABLE " HOT_DELTA " AS SELECT * FROM " HOT_BASE " LIMIT 0", serial, serial);
    return engine_run(table->engine, sql.data, NULL, NULL, err);
}

/* ---- what they take -------------------------------------------------------------- */

struct widths {
    uint64_t rows, lying, plain;
};

/* (rows, bytes as they lie, bytes as rows of a plain table) */
static enum tn_code take_widths(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    (void)err;
    *(struct widths *)context =
        (struct widths){(uint64_t)cells[0].integer, (uint64_t)cells[1].integer, (uint64_t)cells[2].integer};
    return TN_OK;
}

/* Of a dictionary, a number for each row, and each different text once in each group of rows. */
static void put_dictionary(const struct hot_table *table, uint64_t rows, size_t field, struct tn_buf *sql)
{
    uint64_t different = table->different[field], sharing = rows / (different * (rows / GROUP_ROWS + 1));
    unsigned bits = 1;
    while (different >> bits)
        bits++;
    tn_buf_printf(sql, " + %u / 8.0 + coalesce(strlen(", bits);
    tn_buf_put_sql_name(sql, table->schema->fields[field].name);
    tn_buf_printf(sql, "), 0) / %" PRIu64 ".0", TN_MAX(sharing, (uint64_t)REPEATS));
}

static void put_widths(const struct hot_table *table, uint64_t rows, bool as_it_lies, struct tn_buf *sql)
{
    bool compressed = false;
    for (size_t i = 0; i < table->schema->field_count; i++)
        compressed |= table->different[i] > 0;
    tn_buf_printf(sql, ", CAST(coalesce(sum(%d", as_it_lies && compressed ? 1 : DATASET_PLACE_WIDTH);
    for (size_t i = 0; i < table->schema->field_count; i++) {
        if (as_it_lies && table->different[i]) {
            put_dictionary(table, rows, i, sql);
        } else {
            tn_buf_puts(sql, " + ");
            dataset_width_put(&table->schema->fields[i], sql);
        }
    }
    tn_buf_puts(sql, "), 0) AS BIGINT)");
}

enum tn_code hot_tables_measure(struct hot_table *table, uint64_t rows, uint64_t *bytes, struct tn_error *err)
{
    const struct iceberg_schema *schema = table->schema;
    for (size_t i = 0; i < schema->field_count; i++)
        if (!dataset_width_is_whole(schema->fields[i].type))
            return TN_OK;
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT count(*)");
    put_widths(table, rows, true, &sql);
    put_widths(table, rows, false, &sql);
    tn_buf_printf(&sql, " FROM " HOT_BASE, (unsigned long long)table->serial);
    const struct engine_select select = {.sql = sql.data};
    struct widths widths = {0};
    TN_TRY(engine_select(table->engine, &select, NULL, NULL, NULL, take_widths, &widths, err));
    table->row_bytes = widths.plain / TN_MAX(widths.rows, UINT64_C(1));
    *bytes = HOT_TABLE_BYTES + widths.lying;
    return TN_OK;
}

void hot_tables_drop(const struct hot_table *table)
{
    TN_AUTO_BUF sql = {0};
    unsigned long long serial = table->serial;
    if (!table->made)
        return;
    tn_buf_printf(&sql, "DROP TABLE IF EXISTS " HOT_DELTA "; DETACH DATABASE IF EXISTS " HOT_DATABASE, serial,
                  serial);
    struct tn_error err = {0};
    if (engine_run(table->engine, sql.data, NULL, NULL, &err) != TN_OK)
        TN_LOG(TN_LOG_WARN, "cache.drop", TN_FS("error", err.detail));
}
