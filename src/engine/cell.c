/* Cells: one value each, outside of the engine's vectors. */
#include "engine/cell.h"

#include <math.h>

/* A FLOAT crosses the border as a double, which holds it exactly. */
static bool is_float(const struct engine_column *column)
{
    return column->type.kind == ENGINE_DOUBLE && column->type_text && tn_streq(column->type_text, "FLOAT");
}

static duckdb_type type_of(enum engine_kind kind)
{
    static const duckdb_type types[] = {
        [ENGINE_BOOLEAN] = DUCKDB_TYPE_BOOLEAN,
        [ENGINE_INTEGER] = DUCKDB_TYPE_INTEGER,
        [ENGINE_BIGINT] = DUCKDB_TYPE_BIGINT,
        [ENGINE_DOUBLE] = DUCKDB_TYPE_DOUBLE,
        [ENGINE_DECIMAL] = DUCKDB_TYPE_DECIMAL,
        [ENGINE_DATE] = DUCKDB_TYPE_DATE,
        [ENGINE_TIME] = DUCKDB_TYPE_TIME,
        [ENGINE_TIMESTAMP] = DUCKDB_TYPE_TIMESTAMP,
        [ENGINE_TIMESTAMPTZ] = DUCKDB_TYPE_TIMESTAMP_TZ,
        [ENGINE_VARCHAR] = DUCKDB_TYPE_VARCHAR,
        [ENGINE_BLOB] = DUCKDB_TYPE_BLOB,
        [ENGINE_UUID] = DUCKDB_TYPE_UUID,
        [ENGINE_OTHER] = DUCKDB_TYPE_VARCHAR,
    };
    return types[kind];
}

/* The value as DuckDB would have it in a vector of one row. */
union slot {
    uint8_t boolean;
    int32_t narrow;
    int64_t integer;
    float single;
    double real;
    duckdb_hugeint wide;
};

static duckdb_hugeint uuid_slot(const unsigned char bytes[16])
{
    uint64_t upper = 0, lower = 0;
    for (size_t i = 0; i < 8; i++) {
        upper = upper << 8 | bytes[i];
        lower = lower << 8 | bytes[8 + i];
    }
    return (duckdb_hugeint){.lower = lower, .upper = (int64_t)(upper ^ (UINT64_C(1) << 63))};
}

static duckdb_hugeint decimal_slot(engine_wide value)
{
    return (duckdb_hugeint){.lower = (uint64_t)value, .upper = (int64_t)(value >> 64)};
}

static union slot slot_of(const struct engine_column *column, const struct engine_cell *cell)
{
    switch (column->type.kind) {
    case ENGINE_BOOLEAN:
        return (union slot){.boolean = cell->integer != 0};
    case ENGINE_INTEGER:
    case ENGINE_DATE:
        return (union slot){.narrow = (int32_t)cell->integer};
    case ENGINE_DOUBLE:
        return is_float(column) ? (union slot){.single = (float)cell->real} : (union slot){.real = cell->real};
    case ENGINE_DECIMAL:
        return (union slot){.wide = decimal_slot(cell->decimal)};
    case ENGINE_UUID:
        return (union slot){.wide = uuid_slot(cell->uuid)};
    default:
        return (union slot){.integer = cell->integer};
    }
}

void engine_cell_json(const struct engine_column *column, const struct engine_cell *cell, struct tn_buf *out)
{
    enum engine_kind kind = column->type.kind;
    if (cell->null) {
        tn_buf_puts(out, "null");
    } else if (kind == ENGINE_VARCHAR) {
        tn_json_quote(out, cell->text.data, cell->text.length);
    } else if (kind == ENGINE_BLOB) {
        tn_buf_putc(out, '"');
        text_put_base64(out, cell->text.data, cell->text.length);
        tn_buf_putc(out, '"');
    } else if (kind == ENGINE_OTHER) {
        tn_buf_append(out, cell->text.data, cell->text.length);
    } else {
        const union slot slot = slot_of(column, cell);
        const struct vec vec = {
            .type = is_float(column) ? DUCKDB_TYPE_FLOAT : type_of(kind),
            .physical = DUCKDB_TYPE_HUGEINT,
            .width = column->type.width,
            .scale = column->type.scale,
            .data = &slot,
        };
        cell_put_json(&vec, 0, out);
    }
}

static bool real_equal(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

bool engine_cell_equal(const struct engine_type *type, const struct engine_cell *a, const struct engine_cell *b)
{
    if (a->null || b->null)
        return a->null && b->null;
    switch (type->kind) {
    case ENGINE_DOUBLE:
        return real_equal(a->real, b->real);
    case ENGINE_DECIMAL:
        return a->decimal == b->decimal;
    case ENGINE_UUID:
        return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
    case ENGINE_VARCHAR:
    case ENGINE_BLOB:
    case ENGINE_OTHER:
        return a->text.length == b->text.length &&
               (a->text.length == 0 || memcmp(a->text.data, b->text.data, a->text.length) == 0);
    default:
        return a->integer == b->integer;
    }
}

/* ---- out of vectors ------------------------------------------------------- */

static void read_uuid(const struct vec *vec, size_t row, unsigned char ret[16])
{
    const duckdb_hugeint *value = (const duckdb_hugeint *)vec->data + row;
    uint64_t upper = (uint64_t)value->upper ^ (UINT64_C(1) << 63), lower = value->lower;
    for (size_t i = 0; i < 8; i++) {
        ret[i] = (unsigned char)(upper >> (56 - 8 * i));
        ret[8 + i] = (unsigned char)(lower >> (56 - 8 * i));
    }
}

bool cell_read(const struct vec *vec, size_t row, struct engine_cell *ret)
{
    *ret = (struct engine_cell){.null = !vec_valid(vec, row) || vec->type == DUCKDB_TYPE_SQLNULL};
    if (ret->null)
        return true;
    switch (vec->type) {
    case DUCKDB_TYPE_BOOLEAN:
        ret->integer = ((const uint8_t *)vec->data)[row];
        return true;
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_DATE:
        ret->integer = ((const int32_t *)vec->data)[row];
        return true;
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_TIME:
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        ret->integer = ((const int64_t *)vec->data)[row];
        return true;
    case DUCKDB_TYPE_FLOAT:
        ret->real = (double)((const float *)vec->data)[row];
        return true;
    case DUCKDB_TYPE_DOUBLE:
        ret->real = ((const double *)vec->data)[row];
        return true;
    case DUCKDB_TYPE_DECIMAL:
        ret->decimal = vec_integer(vec, row);
        return true;
    case DUCKDB_TYPE_UUID:
        read_uuid(vec, row, ret->uuid);
        return true;
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB:
        ret->text.data = vec_string(vec, row, &ret->text.length);
        return true;
    default:
        return false;
    }
}

/* ---- into statements ------------------------------------------------------ */

static duckdb_state bind_uuid(duckdb_prepared_statement prepared, idx_t at, const unsigned char bytes[16])
{
    const duckdb_hugeint slot = uuid_slot(bytes);
    duckdb_value value = duckdb_create_uuid(
        (duckdb_uhugeint){.lower = slot.lower, .upper = (uint64_t)slot.upper ^ (UINT64_C(1) << 63)});
    duckdb_state state = duckdb_bind_value(prepared, at, value);
    duckdb_destroy_value(&value);
    return state;
}

static duckdb_state bind(duckdb_prepared_statement prepared, idx_t at, const struct engine_type *type,
                         const struct engine_cell *cell)
{
    if (cell->null)
        return duckdb_bind_null(prepared, at);
    switch (type->kind) {
    case ENGINE_BOOLEAN:
        return duckdb_bind_boolean(prepared, at, cell->integer != 0);
    case ENGINE_INTEGER:
        return duckdb_bind_int32(prepared, at, (int32_t)cell->integer);
    case ENGINE_BIGINT:
        return duckdb_bind_int64(prepared, at, cell->integer);
    case ENGINE_DOUBLE:
        return duckdb_bind_double(prepared, at, cell->real);
    case ENGINE_DECIMAL:
        return duckdb_bind_decimal(prepared, at,
                                   (duckdb_decimal){type->width, type->scale, decimal_slot(cell->decimal)});
    case ENGINE_DATE:
        return duckdb_bind_date(prepared, at, (duckdb_date){(int32_t)cell->integer});
    case ENGINE_TIME:
        return duckdb_bind_time(prepared, at, (duckdb_time){cell->integer});
    case ENGINE_TIMESTAMP:
        return duckdb_bind_timestamp(prepared, at, (duckdb_timestamp){cell->integer});
    case ENGINE_TIMESTAMPTZ:
        return duckdb_bind_timestamp_tz(prepared, at, (duckdb_timestamp){cell->integer});
    case ENGINE_UUID:
        return bind_uuid(prepared, at, cell->uuid);
    case ENGINE_BLOB:
        return duckdb_bind_blob(prepared, at, cell->text.data, cell->text.length);
    case ENGINE_VARCHAR:
    case ENGINE_OTHER:
        break;
    }
    return duckdb_bind_varchar_length(prepared, at, cell->text.data, cell->text.length);
}

enum tn_code cell_bind(duckdb_prepared_statement prepared, const struct engine_type *types,
                       const struct engine_cell *cells, size_t count, struct tn_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (bind(prepared, i + 1, &types[i], &cells[i]) != DuckDBSuccess)
            return tn_fail(err, TN_EINTERNAL, "parameter %zu cannot be bound", i + 1);
    return TN_OK;
}
