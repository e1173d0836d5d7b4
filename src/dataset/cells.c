/* Rows of cells. */
#include "dataset/cells.h"
#include "dataset/from_json.h"

#include <math.h>
#include <string.h>

static bool holds_text(enum engine_kind kind)
{
    return kind == ENGINE_VARCHAR || kind == ENGINE_BLOB || kind == ENGINE_OTHER;
}

static size_t place_of(const struct iceberg_schema *schema, int32_t id)
{
    size_t at = 0;
    while (at < schema->field_count && schema->fields[at].id != id)
        at++;
    return at;
}

enum tn_code cells_shape_init(struct cells_shape *shape, struct tn_arena *arena, const struct iceberg_schema *schema,
                              struct tn_error *err)
{
    const struct engine_column *columns;
    TN_TRY(dataset_cell_columns(arena, schema, &columns, err));
    if (schema->identifier_count > CELLS_KEY_MAX)
        return tn_fail(err, TN_EUNSUPPORTED, "the key has more than %d columns", CELLS_KEY_MAX);
    size_t *key = TN_ARENA_ARRAY(arena, size_t, schema->identifier_count + 1);
    for (size_t i = 0; i < schema->identifier_count; i++) {
        key[i] = place_of(schema, schema->identifier_ids[i]);
        if (key[i] == schema->field_count)
            return tn_fail(err, TN_EUNSUPPORTED, "the key lies inside of a nested column");
    }
    *shape = (struct cells_shape){schema, columns, schema->field_count, key, schema->identifier_count};
    return TN_OK;
}

struct engine_cell *cells_copy(const struct cells_shape *shape, struct tn_arena *arena, const struct engine_cell *row)
{
    struct engine_cell *copy = TN_ARENA_ARRAY(arena, struct engine_cell, shape->width);
    memcpy(copy, row, shape->width * sizeof *copy);
    for (size_t i = 0; i < shape->width; i++)
        if (!copy[i].null && holds_text(shape->columns[i].type.kind))
            copy[i].text.data = tn_arena_memdup(arena, copy[i].text.data, copy[i].text.length);
    return copy;
}

struct engine_cell *cells_copy_keys(const struct cells_shape *shape, struct tn_arena *arena,
                                    const struct engine_cell *keys, size_t count)
{
    size_t total = count * shape->key_count;
    struct engine_cell *copy = TN_ARENA_ARRAY(arena, struct engine_cell, total + 1);
    for (size_t i = 0; i < total; i++) {
        copy[i] = keys[i];
        if (!copy[i].null && holds_text(shape->columns[shape->key[i % shape->key_count]].type.kind))
            copy[i].text.data = tn_arena_memdup(arena, copy[i].text.data, copy[i].text.length);
    }
    return copy;
}

bool cells_equal(const struct cells_shape *shape, const struct engine_cell *a, const struct engine_cell *b)
{
    for (size_t i = 0; i < shape->width; i++)
        if (!engine_cell_equal(&shape->columns[i].type, &a[i], &b[i]))
            return false;
    return true;
}

void cells_key_of(const struct cells_shape *shape, const struct engine_cell *row, struct engine_cell *key)
{
    for (size_t i = 0; i < shape->key_count; i++)
        key[i] = row[shape->key[i]];
}

bool cells_key_equal(const struct cells_shape *shape, const struct engine_cell *a, const struct engine_cell *b)
{
    for (size_t i = 0; i < shape->key_count; i++)
        if (!engine_cell_equal(&shape->columns[shape->key[i]].type, &a[i], &b[i]))
            return false;
    return true;
}

uint64_t cells_key_hash(const struct cells_shape *shape, const struct engine_cell *key, uint64_t seed)
{
    uint64_t hash = seed;
    for (size_t i = 0; i < shape->key_count; i++) {
        const struct engine_cell *cell = &key[i];
        enum engine_kind kind = shape->columns[shape->key[i]].type.kind;
        if (cell->null)
            hash = tn_hash64(&hash, sizeof hash, 1);
        else if (holds_text(kind))
            hash = tn_hash64(cell->text.data, cell->text.length, hash);
        else if (kind == ENGINE_UUID)
            hash = tn_hash64(cell->uuid, sizeof cell->uuid, hash);
        else if (kind == ENGINE_DECIMAL)
            hash = tn_hash64(&cell->decimal, sizeof cell->decimal, hash);
        else
            hash = tn_hash64(&cell->integer, sizeof cell->integer, hash);
    }
    return hash;
}

/* ---- saying --------------------------------------------------------------- */

void cells_put_entity(const struct cells_shape *shape, const struct engine_cell *key, struct tn_buf *out)
{
    if (shape->key_count == 1) {
        const struct engine_column *column = &shape->columns[shape->key[0]];
        if (column->type.kind == ENGINE_VARCHAR && !key->null) {
            tn_buf_append(out, key->text.data, key->text.length);
            return;
        }
        TN_AUTO_BUF json = {0};
        engine_cell_json(column, key, &json);
        bool quoted = json.len >= 2 && json.data[0] == '"';
        tn_buf_append(out, json.data + quoted, json.len - (quoted ? 2 : 0));
        return;
    }
    tn_buf_putc(out, '[');
    for (size_t i = 0; i < shape->key_count; i++) {
        if (i)
            tn_buf_putc(out, ',');
        engine_cell_json(&shape->columns[shape->key[i]], &key[i], out);
    }
    tn_buf_putc(out, ']');
}

enum tn_code dataset_put_entity(const struct iceberg_schema *schema, const struct engine_cell *key,
                                struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct cells_shape shape = {0};
    TN_TRY(cells_shape_init(&shape, arena, schema, err));
    cells_put_entity(&shape, key, out);
    return TN_OK;
}

void cells_put_object(const struct cells_shape *shape, const struct engine_cell *row, struct tn_buf *out)
{
    tn_buf_putc(out, '{');
    for (size_t i = 0; i < shape->width; i++) {
        if (i)
            tn_buf_putc(out, ',');
        tn_json_quote(out, shape->columns[i].name, strlen(shape->columns[i].name));
        tn_buf_putc(out, ':');
        engine_cell_json(&shape->columns[i], &row[i], out);
    }
    tn_buf_putc(out, '}');
}

/* ---- as bytes -------------------------------------------------------------- */

static struct iceberg_bytes little(struct tn_arena *arena, uint64_t value, size_t length)
{
    uint8_t *bytes = tn_arena_alloc(arena, length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    return (struct iceberg_bytes){bytes, length};
}

/* Two's complement, the highest byte first, as few bytes as hold it. */
static struct iceberg_bytes big(struct tn_arena *arena, engine_wide value)
{
    uint8_t all[16];
    for (size_t i = 0; i < sizeof all; i++)
        all[15 - i] = (uint8_t)(value >> (8 * i));
    size_t skip = 0;
    while (skip < 15 && ((all[skip] == 0 && !(all[skip + 1] & 0x80)) || (all[skip] == 0xFF && all[skip + 1] & 0x80)))
        skip++;
    size_t length = sizeof all - skip;
    uint8_t *bytes = tn_arena_alloc(arena, length);
    memcpy(bytes, all + skip, length);
    return (struct iceberg_bytes){bytes, length};
}

static struct iceberg_bytes real_bytes(struct tn_arena *arena, const struct iceberg_type *type, double value)
{
    uint64_t bits = 0;
    if (type->kind == ICEBERG_DOUBLE) {
        memcpy(&bits, &value, sizeof value);
        return little(arena, bits, sizeof value);
    }
    float narrow = (float)value;
    memcpy(&bits, &narrow, sizeof narrow);
    return little(arena, bits, sizeof narrow);
}

bool cells_bytes(struct tn_arena *arena, const struct iceberg_type *type, const struct engine_column *column,
                 const struct engine_cell *cell, struct iceberg_bytes *ret)
{
    *ret = (struct iceberg_bytes){0};
    if (cell->null)
        return true;
    switch (type->kind) {
    case ICEBERG_BOOLEAN:
        *ret = little(arena, cell->integer != 0, 1);
        return true;
    case ICEBERG_INT:
    case ICEBERG_DATE:
        *ret = little(arena, (uint64_t)cell->integer, 4);
        return true;
    case ICEBERG_LONG:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        *ret = little(arena, (uint64_t)cell->integer, 8);
        return true;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        *ret = real_bytes(arena, type, cell->real);
        return column->type.kind == ENGINE_DOUBLE;
    case ICEBERG_DECIMAL:
        *ret = big(arena, cell->decimal);
        return true;
    case ICEBERG_STRING:
    case ICEBERG_BINARY:
    case ICEBERG_FIXED:
        *ret = (struct iceberg_bytes){(const uint8_t *)(cell->text.data ? cell->text.data : ""), cell->text.length};
        return true;
    case ICEBERG_UUID:
        *ret = (struct iceberg_bytes){cell->uuid, sizeof cell->uuid};
        return true;
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
    case ICEBERG_UNSUPPORTED:
        break;
    }
    return false;
}

/* ---- as a source ------------------------------------------------------------ */

static void put_decimal(struct engine_vector *vector, const struct engine_type *type, size_t row, engine_wide value)
{
    if (type->width <= 4)
        ((int16_t *)vector->data)[row] = (int16_t)value;
    else if (type->width <= 9)
        ((int32_t *)vector->data)[row] = (int32_t)value;
    else if (type->width <= 18)
        ((int64_t *)vector->data)[row] = (int64_t)value;
    else
        ((engine_wide *)vector->data)[row] = value;
}

static void put_cell(struct engine_vector *vector, const struct engine_type *type, size_t row,
                     const struct engine_cell *cell)
{
    if (cell->null) {
        engine_vector_put_null(vector, row);
        return;
    }
    switch (type->kind) {
    case ENGINE_BOOLEAN:
        ((uint8_t *)vector->data)[row] = cell->integer != 0;
        return;
    case ENGINE_INTEGER:
    case ENGINE_DATE:
        ((int32_t *)vector->data)[row] = (int32_t)cell->integer;
        return;
    case ENGINE_BIGINT:
    case ENGINE_TIME:
    case ENGINE_TIMESTAMP:
    case ENGINE_TIMESTAMPTZ:
        ((int64_t *)vector->data)[row] = cell->integer;
        return;
    case ENGINE_DOUBLE:
        ((double *)vector->data)[row] = cell->real;
        return;
    case ENGINE_DECIMAL:
        put_decimal(vector, type, row, cell->decimal);
        return;
    case ENGINE_UUID:
        engine_vector_put_uuid(vector, row, cell->uuid);
        return;
    case ENGINE_VARCHAR:
    case ENGINE_BLOB:
    case ENGINE_OTHER:
        engine_vector_put_string(vector, row, cell->text.data, cell->text.length);
        return;
    }
}

static enum tn_code fill(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct cells_source *source = context;
    (void)err;
    size_t rows = TN_MIN(batch->capacity, source->count - source->next);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < source->shape->width; i++)
            put_cell(&batch->columns[i], &source->shape->columns[i].type, row, &source->rows[source->next + row][i]);
    source->next += rows;
    batch->rows = rows;
    return TN_OK;
}

void cells_source_init(struct cells_source *source, struct tn_arena *arena, const struct cells_shape *shape,
                       const struct engine_cell *const *rows, size_t count)
{
    struct engine_column *columns = TN_ARENA_ARRAY(arena, struct engine_column, shape->width);
    memcpy(columns, shape->columns, shape->width * sizeof *columns);
    for (size_t i = 0; i < shape->width; i++)
        if (columns[i].type.kind == ENGINE_OTHER)
            columns[i].type.kind = ENGINE_VARCHAR;
    *source = (struct cells_source){
        .source = {.columns = columns, .column_count = shape->width, .context = source, .fill = fill},
        .shape = shape,
        .rows = rows,
        .count = count,
    };
}

const char *cells_source_select(struct tn_arena *arena, const struct cells_shape *shape)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < shape->width; i++) {
        const struct iceberg_field *field = &shape->schema->fields[i];
        TN_AUTO_BUF name = {0};
        tn_buf_put_sql_name(&name, field->name);
        tn_buf_puts(&sql, i ? ", " : "");
        if (field->type->field_count > 0)
            from_json_nested(arena, field->type, tn_arena_printf(arena, "CAST(%s AS JSON)", name.data), &sql);
        else
            tn_buf_printf(&sql, "CAST(%s AS %s)", name.data, catalog_sql_type(arena, field->type));
        tn_buf_printf(&sql, " AS %s", name.data);
    }
    tn_buf_puts(&sql, " FROM tarn_source()");
    return tn_arena_strndup(arena, sql.data, sql.len);
}
