/* The vectors table: an Iceberg dataset like any other, written by Tarn alone. */
#include "index/index_internal.h"

#include <inttypes.h>

enum column {
    CHUNK_ID,
    DOC_ID,
    CHUNK_NO,
    FIELD,
    TEXT,
    TEXT_BEGIN,
    TEXT_END,
    HEADING,
    CONTENT_HASH,
    MODEL,
    MODEL_VERSION,
    EMBEDDING,
    COLUMNS
};

static const struct dataset_column columns[COLUMNS] = {
    [CHUNK_ID] = {"chunk_id", "chunk_id", "BIGINT"},
    [DOC_ID] = {"doc_id", "doc_id", "VARCHAR"},
    [CHUNK_NO] = {"chunk_no", "chunk_no", "INTEGER"},
    [FIELD] = {"field", "field", "VARCHAR"},
    [TEXT] = {"text", "text", "VARCHAR"},
    [TEXT_BEGIN] = {"text_begin", "text_begin", "BIGINT"},
    [TEXT_END] = {"text_end", "text_end", "BIGINT"},
    [HEADING] = {"heading", "heading", "VARCHAR"},
    [CONTENT_HASH] = {"content_hash", "content_hash", "VARCHAR"},
    [MODEL] = {"model", "model", "VARCHAR"},
    [MODEL_VERSION] = {"model_version", "model_version", "VARCHAR"},
    [EMBEDDING] = {"embedding", "embedding", "FLOAT[]"},
};

static const struct engine_column source_columns[COLUMNS] = {
    [CHUNK_ID] = {.name = "chunk_id", .type = {.kind = ENGINE_BIGINT}},
    [DOC_ID] = {.name = "doc_id", .type = {.kind = ENGINE_VARCHAR}},
    [CHUNK_NO] = {.name = "chunk_no", .type = {.kind = ENGINE_INTEGER}},
    [FIELD] = {.name = "field", .type = {.kind = ENGINE_VARCHAR}},
    [TEXT] = {.name = "text", .type = {.kind = ENGINE_VARCHAR}},
    [TEXT_BEGIN] = {.name = "text_begin", .type = {.kind = ENGINE_BIGINT}},
    [TEXT_END] = {.name = "text_end", .type = {.kind = ENGINE_BIGINT}},
    [HEADING] = {.name = "heading", .type = {.kind = ENGINE_VARCHAR}},
    [CONTENT_HASH] = {.name = "content_hash", .type = {.kind = ENGINE_VARCHAR}},
    [MODEL] = {.name = "model", .type = {.kind = ENGINE_VARCHAR}},
    [MODEL_VERSION] = {.name = "model_version", .type = {.kind = ENGINE_VARCHAR}},
    [EMBEDDING] = {.name = "embedding", .type = {.kind = ENGINE_VARCHAR}},
};

/* ---- in ------------------------------------------------------------------------- */

struct appending {
    const struct definition *definition;
    const struct piece *pieces;
    const float *vectors;
    size_t count, at;
    struct tn_buf text;
};

static void put_text(struct engine_batch *batch, enum column column, size_t row, const char *text, size_t length)
{
    engine_vector_put_string(&batch->columns[column], row, text, length);
}

static void put_vector(struct appending *appending, struct engine_batch *batch, size_t row)
{
    const uint32_t dimension = appending->definition->dimension;
    const float *vector = appending->vectors + appending->at * dimension;
    tn_buf_clear(&appending->text);
    for (uint32_t i = 0; i < dimension; i++) {
        tn_buf_putc(&appending->text, i ? ',' : '[');
        tn_format_f32(&appending->text, vector[i]);
    }
    tn_buf_putc(&appending->text, ']');
    put_text(batch, EMBEDDING, row, appending->text.data, appending->text.len);
}

static enum tn_code fill(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct appending *appending = context;
    const struct definition *definition = appending->definition;
    (void)err;
    for (batch->rows = 0; batch->rows < batch->capacity && appending->at < appending->count; batch->rows++) {
        const struct piece *piece = &appending->pieces[appending->at];
        size_t row = batch->rows;
        char hash[2 * KEYWORD_HASH_BYTES + 1];
        tn_hex_encode(piece->hash, KEYWORD_HASH_BYTES, hash);
        ((int64_t *)batch->columns[CHUNK_ID].data)[row] = piece->id;
        ((int32_t *)batch->columns[CHUNK_NO].data)[row] = (int32_t)piece->number;
        ((int64_t *)batch->columns[TEXT_BEGIN].data)[row] = (int64_t)piece->begin;
        ((int64_t *)batch->columns[TEXT_END].data)[row] = (int64_t)piece->end;
        put_text(batch, DOC_ID, row, piece->doc_id, strlen(piece->doc_id));
        put_text(batch, FIELD, row, piece->column, strlen(piece->column));
        put_text(batch, TEXT, row, piece->text, piece->text_length);
        put_text(batch, HEADING, row, piece->heading, strlen(piece->heading));
        put_text(batch, CONTENT_HASH, row, hash, sizeof hash - 1);
        put_text(batch, MODEL, row, definition->model, strlen(definition->model));
        put_text(batch, MODEL_VERSION, row, definition->version, strlen(definition->version));
        put_vector(appending, batch, row);
        appending->at++;
    }
    return TN_OK;
}

enum tn_code table_append(struct logical *logical, const struct piece *pieces, size_t count, const float *vectors,
                          struct tn_error *err)
{
    struct appending appending = {
        .definition = &logical->definition, .pieces = pieces, .vectors = vectors, .count = count};
    const struct engine_source source = {
        .columns = source_columns, .column_count = COLUMNS, .context = &appending, .fill = fill};
    const struct dataset_lineage lineage = {.ingest_id = "index",
                                            .source = logical->definition.dataset,
                                            .actor = logical->definition.actor,
                                            .started_us = tn_now_us()};
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    struct dataset_commit commit;
    TN_TRY(dataset_write_begin(&logical->service->quiet, logical->definition.table, DATASET_APPEND, columns, COLUMNS,
                               &write, err));
    TN_TRY(dataset_write_set_key(write, "chunk_id", err));
    enum tn_code code = dataset_write_file(write, 0, &source, NULL, NULL, NULL, err);
    tn_buf_release(&appending.text);
    TN_TRY(code);
    return dataset_write_commit(write, &lineage, &commit, err);
}

static const struct iceberg_field *field_named(const struct iceberg_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (tn_streq(schema->fields[i].name, name))
            return &schema->fields[i];
    return NULL;
}

enum tn_code table_delete(struct logical *logical, const int64_t *ids, size_t count, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct dataset_commit commit;
    if (count == 0)
        return TN_OK;
    TN_TRY(catalog_load(logical->service->lake->catalog, logical->definition.table, &metadata, err));
    const struct iceberg_field *field = field_named(metadata->schema, "chunk_id");
    if (!field)
        return tn_fail(err, TN_ECORRUPT, "dataset \"%s\" has no column chunk_id", logical->definition.table);
    TN_AUTO_FREE struct engine_cell *cells = tn_calloc(count, sizeof *cells);
    for (size_t i = 0; i < count; i++)
        cells[i].integer = ids[i];
    const struct dataset_rows rows = {.op = DATASET_ROWS_DELETE,
                                      .field_ids = &field->id,
                                      .column_count = 1,
                                      .cells = cells,
                                      .row_count = count,
                                      .ignore_missing = true,
                                      .actor = logical->definition.actor,
                                      .source = "index"};
    return dataset_rows_write(&logical->service->quiet, logical->definition.table, &rows, &commit, err);
}

/* ---- out -------------------------------------------------------------------------- */

int64_t table_snapshot(struct logical *logical)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (catalog_load(logical->service->lake->catalog, logical->definition.table, &metadata, NULL) != TN_OK)
        return 0;
    return metadata->current ? metadata->current->id : 0;
}

static enum tn_code table_relation(struct logical *logical, struct tn_arena *arena, struct engine_relation *ret,
                                   struct tn_error *err)
{
    const struct engine_resolver resolver = dataset_resolver(logical->service->lake);
    const struct engine_table_ref ref = {.name = logical->definition.table, .at = ENGINE_AT_NOW};
    return resolver.resolve(resolver.context, &ref, arena, ret, err);
}

struct reading {
    struct logical *logical;
    table_id_fn *id;
    table_row_fn *row;
    void *context;
    float *vector;
    struct tn_arena *arena;
};

static enum tn_code read_id(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    const struct reading *reading = context;
    return reading->id(reading->context, cells[0].integer, err);
}

enum tn_code table_ids(struct logical *logical, table_id_fn *each, void *context, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct engine_relation relation;
    if (table_snapshot(logical) == 0)
        return TN_OK;
    TN_TRY(table_relation(logical, arena, &relation, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = relation.hold;
    struct reading reading = {.id = each, .context = context};
    const struct engine_select select = {
        .sql = tn_arena_printf(arena, "SELECT chunk_id FROM (%s)", relation.definition)};
    return engine_select(logical->service->lake->engine, &select, NULL, NULL, NULL, read_id, &reading, err);
}

/* "[0.1, -2e-05]" */
static bool read_vector(const char *text, size_t length, float *out, uint32_t dimension)
{
    const char *at = text, *end = text + length;
    for (uint32_t i = 0; i < dimension; i++) {
        char *stop;
        if (at >= end || (*at != '[' && *at != ','))
            return false;
        out[i] = strtof(at + 1, &stop);
        if (stop == at + 1)
            return false;
        at = stop;
        while (at < end && *at == ' ')
            at++;
    }
    return at < end && *at == ']';
}

static const char *cell_text(struct tn_arena *arena, const struct engine_cell *cell)
{
    return cell->null ? "" : tn_arena_strndup(arena, cell->text.data, cell->text.length);
}

static enum tn_code read_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct reading *reading = context;
    const struct definition *definition = &reading->logical->definition;
    tn_arena_reset(reading->arena);
    struct piece piece = {.id = cells[CHUNK_ID].integer,
                          .doc_id = cell_text(reading->arena, &cells[DOC_ID]),
                          .number = (uint32_t)cells[CHUNK_NO].integer,
                          .column = cell_text(reading->arena, &cells[FIELD]),
                          .text = cell_text(reading->arena, &cells[TEXT]),
                          .text_length = cells[TEXT].null ? 0 : cells[TEXT].text.length,
                          .begin = (uint64_t)cells[TEXT_BEGIN].integer,
                          .end = (uint64_t)cells[TEXT_END].integer,
                          .heading = cell_text(reading->arena, &cells[HEADING])};
    const char *hash = cell_text(reading->arena, &cells[CONTENT_HASH]);
    const char *vector = cell_text(reading->arena, &cells[EMBEDDING]);
    if (piece.id < 0 || piece.id >= CHUNK_ID_MAX || strlen(hash) != 2 * sizeof piece.hash ||
        !tn_hex_decode(hash, piece.hash, sizeof piece.hash) ||
        !read_vector(vector, strlen(vector), reading->vector, definition->dimension))
        return tn_fail(err, TN_ECORRUPT, "dataset \"%s\": the row of chunk %" PRId64 " makes no sense",
                       definition->table, piece.id);
    return reading->row(reading->context, &piece, reading->vector, err);
}

enum tn_code table_rows(struct logical *logical, int64_t from, table_row_fn *each, void *context,
                        struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *row_arena = tn_arena_new();
    TN_AUTO_FREE float *vector = tn_calloc(logical->definition.dimension, sizeof *vector);
    struct engine_relation relation;
    TN_AUTO_BUF sql = {0};
    if (table_snapshot(logical) == 0)
        return TN_OK;
    TN_TRY(table_relation(logical, arena, &relation, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = relation.hold;
    tn_buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < COLUMNS; i++)
        tn_buf_printf(&sql, "%s\"%s\"", i ? ", " : "", columns[i].name);
    tn_buf_printf(&sql, " FROM (%s) WHERE chunk_id >= %" PRId64 " ORDER BY chunk_id", relation.definition, from);
    struct reading reading = {
        .logical = logical, .row = each, .context = context, .vector = vector, .arena = row_arena};
    const struct engine_select select = {.sql = sql.data};
    return engine_select(logical->service->lake->engine, &select, NULL, NULL, NULL, read_row, &reading, err);
}
