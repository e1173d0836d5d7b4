/* Rows of the dataset that are gone there: the keys of all rows are streamed,
 * the engine joins them with the dataset's (and spills what memory does not
 * hold), and what has no partner is deleted by key, batch by batch. */
#include "ingest/postgres_load.h"

#define BATCH_ROWS 20000
#define KEY_MOST   32

/* Deleted keys until a batch is full. */
struct missing {
    struct pg_load *load;
    struct pg_table *table;
    const struct iceberg_schema *schema;
    int32_t field_ids[KEY_MOST];
    size_t columns;
    struct tn_arena *arena;
    struct engine_cell *cells;
    const struct engine_column *types;
    size_t rows;
};

static enum tn_code delete_batch(struct missing *missing, struct tn_error *err)
{
    if (missing->rows == 0)
        return TN_OK;
    const struct ingest_postgres_options *options = missing->load->options;
    const struct dataset_rows rows = {
        .op = DATASET_ROWS_DELETE,
        .field_ids = missing->field_ids,
        .column_count = missing->columns,
        .cells = missing->cells,
        .row_count = missing->rows,
        .ignore_missing = true, /* somebody else may have been here meanwhile */
        .actor = options->actor,
        .source = "ingest",
        .reason = options->reason ? options->reason : "the row is gone from its table in PostgreSQL",
        .request_id = options->request_id,
    };
    struct dataset_commit commit = {0};
    TN_TRY(dataset_rows_write(missing->load->lake, missing->table->name, &rows, &commit, err));
    missing->table->deleted += commit.counts.deleted;
    missing->table->commit.snapshot_id = commit.snapshot_id;
    missing->rows = 0;
    tn_arena_reset(missing->arena);
    return TN_OK;
}

static enum tn_code take_key(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct missing *missing = context;
    struct engine_cell *row = missing->cells + missing->rows * missing->columns;
    for (size_t i = 0; i < missing->columns; i++) {
        row[i] = cells[i];
        enum engine_kind kind = missing->types[i].type.kind;
        bool text = kind == ENGINE_VARCHAR || kind == ENGINE_BLOB || kind == ENGINE_OTHER;
        if (text && !cells[i].null)
            row[i].text.data = tn_arena_memdup(missing->arena, cells[i].text.data, cells[i].text.length);
    }
    missing->rows++;
    return missing->rows == BATCH_ROWS ? delete_batch(missing, err) : TN_OK;
}

/* The key's columns of the stream, in the order of the dataset's key. */
static enum tn_code find_key(struct missing *missing, const struct pg_column **ret, struct tn_error *err)
{
    const struct pg_table *table = missing->table;
    const struct iceberg_schema *schema = missing->schema;
    if (schema->identifier_count == 0 || schema->identifier_count > KEY_MOST)
        return tn_fail(err, TN_EREFUSED, "\"%s\" has no key: rows cannot be compared", table->dataset);
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = NULL;
        for (size_t f = 0; f < schema->field_count; f++)
            if (schema->fields[f].id == schema->identifier_ids[i])
                field = &schema->fields[f];
        size_t column = field ? pg_column_find(table, field->name) : table->column_count;
        if (column == table->column_count)
            return tn_fail(err, TN_EREFUSED, "%s has no column for the key of \"%s\"", table->shown, table->dataset);
        missing->field_ids[i] = field->id;
        ret[i] = &table->columns[column];
    }
    missing->columns = schema->identifier_count;
    return TN_OK;
}

/* SELECT of the dataset's keys that are not among those of the stream. */
static void put_join(const struct missing *missing, const struct pg_column *const *columns, const char *definition,
                     struct tn_buf *sql)
{
    tn_buf_puts(sql, "SELECT ");
    for (size_t i = 0; i < missing->columns; i++) {
        tn_buf_puts(sql, i ? ", l." : "l.");
        tn_buf_put_sql_name(sql, columns[i]->name);
    }
    tn_buf_printf(sql, " FROM (%s) AS l ANTI JOIN tarn_source() AS s ON ", definition);
    for (size_t i = 0; i < missing->columns; i++) {
        tn_buf_puts(sql, i ? " AND l." : "l.");
        tn_buf_put_sql_name(sql, columns[i]->name);
        tn_buf_puts(sql, " = CAST(s.");
        tn_buf_put_sql_name(sql, columns[i]->name);
        tn_buf_printf(sql, " AS %s)", columns[i]->sql_type);
    }
}

static enum tn_code join(struct missing *missing, const struct pg_column *const *columns, struct tn_error *err)
{
    struct pg_load *load = missing->load;
    struct engine_resolver resolver = dataset_resolver(load->lake);
    struct engine_table_ref ref = {.name = missing->table->name};
    struct engine_relation relation = {0};
    TN_TRY(resolver.resolve(resolver.context, &ref, load->arena, &relation, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = relation.hold;
    struct pg_table whole = *missing->table;
    whole.where = NULL;
    TN_CLEANUP(pg_stream_release) struct pg_stream stream = {.load = load};
    TN_TRY(pg_stream_open(&stream, load, &whole, columns, missing->columns, err));
    stream.quiet = true;
    struct engine_source source = pg_stream_source(&stream);
    stream.unbounded = true;
    TN_AUTO_BUF sql = {0};
    put_join(missing, columns, relation.definition, &sql);
    const struct engine_select select = {.sql = sql.data, .source = &source, .source_rows = missing->table->estimate};
    size_t count;
    TN_TRY(engine_select(load->lake->engine, &select, load->arena, &missing->types, &count, take_key, missing, err));
    return delete_batch(missing, err);
}

enum tn_code pg_compare(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(load->lake->catalog, table->name, &metadata, err));
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct missing missing = {.load = load, .table = table, .schema = metadata->schema, .arena = arena};
    const struct pg_column *columns[KEY_MOST];
    TN_TRY(find_key(&missing, columns, err));
    TN_AUTO_FREE struct engine_cell *cells = tn_calloc((size_t)BATCH_ROWS * missing.columns, sizeof *cells);
    missing.cells = cells;
    return join(&missing, columns, err);
}
