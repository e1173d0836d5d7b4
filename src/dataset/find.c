/* Rows of a version by key or by predicate, with their places.
 *
 * A few keys stand in the text as constants, which the engine compares with
 * the statistics of row groups; many come as a source to join with. Before
 * that, the plan leaves out the files whose bounds exclude all keys: a row
 * written alone has a file with its very key as both bounds.
 */
#include "dataset/cells.h"
#include "dataset/dataset_internal.h"
#include "dataset/hot.h"

#include <inttypes.h>
#include <string.h>

#define FEW_KEYS    64  /* as constants */
#define PRUNED_KEYS 256 /* as a list to compare with bounds; more as a range */

/* ---- columns ---------------------------------------------------------------- */

enum engine_kind dataset_cell_kind(enum iceberg_kind kind)
{
    static const enum engine_kind kinds[] = {
        [ICEBERG_BOOLEAN] = ENGINE_BOOLEAN,     [ICEBERG_INT] = ENGINE_INTEGER,
        [ICEBERG_LONG] = ENGINE_BIGINT,         [ICEBERG_FLOAT] = ENGINE_DOUBLE,
        [ICEBERG_DOUBLE] = ENGINE_DOUBLE,       [ICEBERG_DECIMAL] = ENGINE_DECIMAL,
        [ICEBERG_DATE] = ENGINE_DATE,           [ICEBERG_TIME] = ENGINE_TIME,
        [ICEBERG_TIMESTAMP] = ENGINE_TIMESTAMP, [ICEBERG_TIMESTAMPTZ] = ENGINE_TIMESTAMPTZ,
        [ICEBERG_STRING] = ENGINE_VARCHAR,      [ICEBERG_UUID] = ENGINE_UUID,
        [ICEBERG_FIXED] = ENGINE_BLOB,          [ICEBERG_BINARY] = ENGINE_BLOB,
        [ICEBERG_STRUCT] = ENGINE_OTHER,        [ICEBERG_LIST] = ENGINE_OTHER,
        [ICEBERG_MAP] = ENGINE_OTHER,           [ICEBERG_UNSUPPORTED] = ENGINE_OTHER,
    };
    return kinds[kind];
}

enum tn_code dataset_cell_columns(struct tn_arena *arena, const struct iceberg_schema *schema,
                                  const struct engine_column **ret, struct tn_error *err)
{
    struct engine_column *columns = TN_ARENA_ARRAY(arena, struct engine_column, schema->field_count + 1);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct iceberg_type *type = schema->fields[i].type;
        if (type->kind == ICEBERG_UNSUPPORTED)
            return tn_fail(err, TN_EUNSUPPORTED, "column \"%s\" has the type %s, which Tarn does not read yet",
                           schema->fields[i].name, type->text);
        columns[i] = (struct engine_column){
            .name = tn_arena_strdup(arena, schema->fields[i].name),
            .type = {.kind = dataset_cell_kind(type->kind)},
            .type_text = catalog_sql_type(arena, type),
        };
        if (type->kind == ICEBERG_DECIMAL) {
            columns[i].type.width = (uint8_t)type->precision;
            columns[i].type.scale = (uint8_t)type->scale;
        }
    }
    *ret = columns;
    return TN_OK;
}

/* ---- a search ----------------------------------------------------------------- */

struct search {
    struct lake *lake;
    struct tn_arena *arena;
    struct iceberg_metadata *metadata;
    struct cells_shape shape;
    const struct engine_cell *keys;
    size_t key_count;
    dataset_found_fn *each;
    void *context;
    struct tn_buf path; /* of the row at hand, with its NUL */
};

static enum tn_code give(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct search *search = context;
    tn_buf_clear(&search->path);
    tn_buf_append(&search->path, cells[0].text.data, cells[0].text.length);
    const struct dataset_place place = {search->path.data, cells[1].integer};
    return search->each(search->context, &place, cells + 2, err);
}

static enum tn_code run(struct search *search, const char *sql, const struct engine_source *source,
                        struct tn_error *err)
{
    const struct engine_select select = {.sql = sql, .source = source, .source_rows = search->key_count};
    return engine_select(search->lake->engine, &select, NULL, NULL, NULL, give, search, err);
}

static const struct iceberg_field *key_field(const struct search *search, size_t at)
{
    return &search->shape.schema->fields[search->shape.key[at]];
}

static const struct engine_column *key_column(const struct search *search, size_t at)
{
    return &search->shape.columns[search->shape.key[at]];
}

/* ---- bounds --------------------------------------------------------------------- */

/* The key's values in one column. False when bounds can say nothing of them. */
static bool key_values(const struct search *search, size_t at, struct iceberg_bytes *ret)
{
    const struct iceberg_type *type = key_field(search, at)->type;
    if (type->kind == ICEBERG_FLOAT || type->kind == ICEBERG_DOUBLE) /* -0.0, NaN */
        return false;
    for (size_t i = 0; i < search->key_count; i++) {
        const struct engine_cell *cell = &search->keys[i * search->shape.key_count + at];
        if (cell->null || !cells_bytes(search->arena, type, key_column(search, at), cell, &ret[i]))
            return false;
    }
    return true;
}

static size_t add_range(const struct search *search, size_t at, const struct iceberg_bytes *values,
                        struct iceberg_predicate *ret)
{
    const struct iceberg_field *field = key_field(search, at);
    struct iceberg_bytes *ends = TN_ARENA_ARRAY(search->arena, struct iceberg_bytes, 2);
    ends[0] = ends[1] = values[0];
    for (size_t i = 1; i < search->key_count; i++) {
        if (iceberg_value_compare(field->type, values[i], ends[0]) < 0)
            ends[0] = values[i];
        if (iceberg_value_compare(field->type, values[i], ends[1]) > 0)
            ends[1] = values[i];
    }
    ret[0] = (struct iceberg_predicate){field->id, ICEBERG_GE, &ends[0], 1};
    ret[1] = (struct iceberg_predicate){field->id, ICEBERG_LE, &ends[1], 1};
    return 2;
}

static size_t key_predicates(const struct search *search, const struct iceberg_predicate **ret)
{
    size_t count = 0;
    struct iceberg_predicate *predicates =
        TN_ARENA_ARRAY(search->arena, struct iceberg_predicate, 2 * search->shape.key_count);
    for (size_t at = 0; at < search->shape.key_count; at++) {
        struct iceberg_bytes *values = TN_ARENA_ARRAY(search->arena, struct iceberg_bytes, search->key_count);
        if (!key_values(search, at, values))
            continue;
        if (search->key_count <= PRUNED_KEYS)
            predicates[count++] =
                (struct iceberg_predicate){key_field(search, at)->id, ICEBERG_IN, values, search->key_count};
        else
            count += add_range(search, at, values, &predicates[count]);
    }
    *ret = predicates;
    return count;
}

/* ---- constants --------------------------------------------------------------------- */

static void put_blob(const struct engine_cell *cell, struct tn_buf *out)
{
    tn_buf_putc(out, '\'');
    for (size_t i = 0; i < cell->text.length; i++)
        tn_buf_printf(out, "\\x%02X", (unsigned char)cell->text.data[i]);
    tn_buf_puts(out, "'::BLOB");
}

/* As the writers have it, which is as the engine reads it back. */
static bool put_as_text(const struct engine_column *column, const struct engine_cell *cell, struct tn_buf *out)
{
    TN_AUTO_BUF json = {0};
    engine_cell_json(column, cell, &json);
    bool quoted = json.data[0] == '"';
    tn_buf_puts(out, "CAST('");
    tn_buf_append(out, json.data + quoted, json.len - (quoted ? 2 : 0));
    tn_buf_printf(out, "' AS %s)", column->type_text);
    return true;
}

static bool put_text(const struct search *search, const struct engine_cell *cell, struct tn_buf *out)
{
    if (cell->text.length && memchr(cell->text.data, '\0', cell->text.length))
        return false;
    tn_buf_put_sql_string(out, tn_arena_strndup(search->arena, cell->text.data, cell->text.length));
    return true;
}

#define DAYS_YEAR_1    (-719162)
#define DAYS_YEAR_9999 2932896

/* False for what no constant says exactly: the source takes such keys. */
static bool put_constant(const struct search *search, const struct engine_column *column,
                         const struct engine_cell *cell, struct tn_buf *out)
{
    if (cell->null)
        return false;
    switch (column->type.kind) {
    case ENGINE_BOOLEAN:
    case ENGINE_INTEGER:
    case ENGINE_BIGINT:
    case ENGINE_DECIMAL:
    case ENGINE_UUID:
    case ENGINE_TIME:
        return put_as_text(column, cell, out);
    case ENGINE_DATE:
        return cell->integer >= DAYS_YEAR_1 && cell->integer <= DAYS_YEAR_9999 && put_as_text(column, cell, out);
    case ENGINE_TIMESTAMP:
        tn_buf_printf(out, "make_timestamp(%" PRId64 ")", cell->integer);
        return cell->integer != INT64_MIN;
    case ENGINE_TIMESTAMPTZ:
        tn_buf_printf(out, "make_timestamptz(%" PRId64 ")", cell->integer);
        return cell->integer != INT64_MIN;
    case ENGINE_VARCHAR:
        return put_text(search, cell, out);
    case ENGINE_BLOB:
        put_blob(cell, out);
        return true;
    case ENGINE_DOUBLE:
    case ENGINE_OTHER:
        break;
    }
    return false;
}

/* "k" IN (...) or ("a", "b") compared one by one, with OR. */
static bool put_condition(const struct search *search, struct tn_buf *out)
{
    size_t width = search->shape.key_count;
    for (size_t i = 0; i < search->key_count; i++) {
        if (width == 1 && i > 0)
            tn_buf_puts(out, ", ");
        else if (i > 0)
            tn_buf_puts(out, ") OR (");
        else
            tn_buf_putc(out, '(');
        for (size_t at = 0; at < width; at++) {
            const struct engine_column *column = key_column(search, at);
            if (width > 1 || i == 0) {
                tn_buf_puts(out, at ? " AND " : "");
                tn_buf_put_sql_name(out, column->name);
                tn_buf_puts(out, width == 1 ? " IN (" : " = ");
            }
            if (!put_constant(search, column, &search->keys[i * width + at], out))
                return false;
        }
    }
    tn_buf_puts(out, width == 1 ? "))" : ")");
    return true;
}

/* ---- keys as a source ------------------------------------------------------------------ */

/* Runs `placed` joined with the keys. */
static enum tn_code run_joined(struct search *search, const char *placed, struct tn_error *err)
{
    size_t width = search->shape.key_count;
    struct engine_column *columns = TN_ARENA_ARRAY(search->arena, struct engine_column, width);
    const struct engine_cell **rows = TN_ARENA_ARRAY(search->arena, const struct engine_cell *, search->key_count);
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "SELECT t.* FROM (%s) t SEMI JOIN tarn_source() s ON (", placed);
    for (size_t at = 0; at < width; at++) {
        columns[at] = *key_column(search, at);
        columns[at].name = tn_arena_printf(search->arena, "k%zu", at);
        tn_buf_puts(&sql, at ? " AND t." : "t.");
        tn_buf_put_sql_name(&sql, key_column(search, at)->name);
        tn_buf_printf(&sql, " = s.k%zu", at);
    }
    tn_buf_putc(&sql, ')');
    for (size_t i = 0; i < search->key_count; i++)
        rows[i] = &search->keys[i * width];
    const struct cells_shape shape = {.columns = columns, .width = width};
    struct cells_source source;
    cells_source_init(&source, search->arena, &shape, rows, search->key_count);
    return run(search, sql.data, &source.source, err);
}

static enum tn_code find_in_files(struct search *search, const char *name, struct tn_error *err)
{
    ICEBERG_AUTO_PLAN *plan = NULL;
    const struct iceberg_predicate *predicates;
    size_t count = key_predicates(search, &predicates);
    struct iceberg_table table = catalog_table(search->lake->catalog, search->arena, name);
    TN_TRY(iceberg_plan_new(&table, search->metadata, search->metadata->current, predicates, count, &plan, err));
    if (plan->file_count == 0)
        return TN_OK;
    TN_AUTO_BUF placed = {0}, condition = {0};
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = NULL;
    TN_TRY(dataset_files_sql(search->lake, plan, search->shape.schema, DATASET_WITH_PATHS, &placed, &hold, err));
    if (search->key_count > FEW_KEYS || !put_condition(search, &condition))
        return run_joined(search, placed.data, err);
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "SELECT * FROM (%s) WHERE %s", placed.data, condition.data);
    return run(search, sql.data, NULL, err);
}

static void search_release(struct search *search)
{
    tn_buf_release(&search->path);
    tn_arena_free(search->arena);
}

static enum tn_code search_init(struct search *search, struct lake *lake, struct iceberg_metadata *metadata,
                                dataset_found_fn *each, void *context, struct tn_error *err)
{
    *search = (struct search){
        .lake = lake, .arena = tn_arena_new(), .metadata = metadata, .each = each, .context = context};
    return cells_shape_init(&search->shape, search->arena, metadata->schema, err);
}

enum tn_code dataset_find_keys(struct lake *lake, const char *name, struct iceberg_metadata *metadata,
                               const struct engine_cell *keys, size_t count, dataset_found_fn *each, void *context,
                               struct tn_error *err)
{
    enum tn_code code;
    if (count == 0 || !metadata->current)
        return TN_OK;
    if (dataset_hot_find(lake, name, metadata, keys, count, each, context, &code, err))
        return code;
    TN_CLEANUP(search_release) struct search search;
    code = search_init(&search, lake, metadata, each, context, err);
    search.keys = keys;
    search.key_count = count;
    if (code == TN_OK && search.shape.key_count == 0)
        code = tn_fail(err, TN_EREFUSED, "dataset \"%s\" has no key", name);
    if (code == TN_OK)
        code = find_in_files(&search, name, err);
    return code;
}

enum tn_code dataset_find_where(struct lake *lake, const char *name, struct iceberg_metadata *metadata,
                                const char *predicate, dataset_found_fn *each, void *context, struct tn_error *err)
{
    if (!metadata->current)
        return TN_OK;
    TN_CLEANUP(search_release) struct search search;
    TN_TRY(search_init(&search, lake, metadata, each, context, err));
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT * FROM (");
    TN_TRY(dataset_placed_sql(lake, name, metadata, metadata->current, &sql, err));
    tn_buf_puts(&sql, ") AS ");
    tn_buf_put_sql_name(&sql, name); /* a condition may say people.city */
    if (predicate)
        tn_buf_printf(&sql, " WHERE (%s\n)", predicate);
    return run(&search, sql.data, NULL, err);
}

enum tn_code dataset_placed_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                const struct iceberg_snapshot *snapshot, struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_PLAN *plan = NULL;
    struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    TN_TRY(iceberg_plan_new(&table, metadata, snapshot, NULL, 0, &plan, err));
    const struct iceberg_schema *schema =
        snapshot == metadata->current ? metadata->schema : iceberg_metadata_schema_at(metadata, snapshot);
    return dataset_placed_files_sql(lake, plan, schema, out, err);
}
