/* One column of a small Parquet file: its cells looked at, and put into a page.
 *
 * A data page of version 1 is the definition levels, for an optional column
 * alone, and then the values that are there, in PLAIN. A level is one bit:
 * there is a value, or not. Levels lie in Parquet's hybrid of runs (a count and
 * one level) and packed bits; either the whole column is one run, or its bits
 * are one pack.
 */
#include "base/str.h"
#include "iceberg/small_internal.h"
#include "iceberg/thrift_writer.h"

#include <math.h>
#include <string.h>

/* --- How a type lies in Parquet --- */

/* The bytes that every number of so many digits fits, with its sign. */
static size_t small_decimal_width(value_i128 limit)
{
    size_t width = 1;
    while (((value_u128)1 << (8 * width - 1)) < (value_u128)limit)
        width++;
    return width;
}

static bool small_init_decimal(struct small_column *column, const struct iceberg_type *type)
{
    if (type->precision < 1 || type->precision > 38 || type->scale < 0 || type->scale > type->precision)
        return false;
    column->limit = 1;
    for (int i = 0; i < type->precision; i++)
        column->limit *= 10;
    if (type->precision <= 9) {
        column->physical = SMALL_INT32;
        column->width = 4;
    } else if (type->precision <= 18) {
        column->physical = SMALL_INT64;
        column->width = 8;
    } else {
        column->physical = SMALL_FIXED;
        column->width = small_decimal_width(column->limit);
    }
    return true;
}

bool small_column_init(struct small_column *column, const struct iceberg_field *field)
{
    static const struct {
        enum small_physical physical;
        size_t width;
    } plain[] = {
        [ICEBERG_BOOLEAN] = {SMALL_BOOLEAN, 1},   [ICEBERG_INT] = {SMALL_INT32, 4},
        [ICEBERG_LONG] = {SMALL_INT64, 8},        [ICEBERG_FLOAT] = {SMALL_FLOAT, 4},
        [ICEBERG_DOUBLE] = {SMALL_DOUBLE, 8},     [ICEBERG_DATE] = {SMALL_INT32, 4},
        [ICEBERG_TIME] = {SMALL_INT64, 8},        [ICEBERG_TIMESTAMP] = {SMALL_INT64, 8},
        [ICEBERG_TIMESTAMPTZ] = {SMALL_INT64, 8}, [ICEBERG_STRING] = {SMALL_BYTE_ARRAY, 0},
        [ICEBERG_UUID] = {SMALL_FIXED, 16},       [ICEBERG_BINARY] = {SMALL_BYTE_ARRAY, 0},
    };
    const struct iceberg_type *type = field->type;
    *column = (struct small_column){.field = field};
    if (type->kind == ICEBERG_DECIMAL)
        return small_init_decimal(column, type);
    if (type->kind == ICEBERG_FIXED) {
        column->physical = SMALL_FIXED;
        column->width = type->length > 0 ? (size_t)type->length : 0;
        return column->width > 0;
    }
    if ((size_t)type->kind >= TN_COUNT(plain))
        return false;
    column->physical = plain[type->kind].physical;
    column->width = plain[type->kind].width;
    return true;
}

/* --- Looking at the cells --- */

static enum tn_code small_refuse(const struct small_column *column, size_t row, struct iceberg_bytes cell,
                                 struct tn_error *err)
{
    TN_AUTO_BUF type = {0};
    if (!cell.data) {
        (void)tn_fail(err, TN_EREFUSED, "row %zu has no value in the required column \"%s\"", row + 1,
                      column->field->name);
        tn_error_hint(err, "Give the row a value there.");
        return TN_EREFUSED;
    }
    iceberg_type_format(column->field->type, &type);
    return tn_fail(err, TN_EREFUSED, "row %zu has something in the column \"%s\" that is no %s", row + 1,
                   column->field->name, type.data);
}

static bool small_valid(const struct small_column *column, struct iceberg_bytes cell)
{
    if (!iceberg_value_valid(column->field->type, cell))
        return false;
    if (!column->limit)
        return true;
    value_i128 number = value_get_decimal(cell);
    return number < column->limit && number > -column->limit;
}

enum tn_code small_column_scan(struct small_column *column, size_t rows, struct tn_error *err)
{
    const struct iceberg_type *type = column->field->type;
    size_t looked_at = small_has_dictionary(column, rows) ? 1 : rows;
    for (size_t row = 0; row < looked_at; row++) {
        const struct iceberg_bytes *cell = &column->cells[row * column->stride];
        if (!cell->data && !column->field->required) {
            column->null_count++;
            continue;
        }
        if (!small_valid(column, *cell))
            return small_refuse(column, row, *cell, err);
        column->value_bytes += column->width ? column->width : 4 + cell->length;
        if (small_is_float(column) && isnan(value_get_f64(*cell))) {
            column->nan_count++;
            continue;
        }
        if (!column->lowest) {
            column->lowest = column->highest = cell;
        } else if (iceberg_value_compare(type, *cell, *column->lowest) < 0) {
            column->lowest = cell;
        } else if (iceberg_value_compare(type, *cell, *column->highest) > 0) {
            column->highest = cell;
        }
    }
    return TN_OK;
}

/* --- Values --- */

static uint8_t *small_le_at(uint8_t *at, uint64_t bits, size_t width)
{
    for (size_t i = 0; i < width; i++)
        *at++ = (uint8_t)(bits >> (8 * i));
    return at;
}

static uint8_t *small_decimal_at(uint8_t *at, const struct small_column *column, struct iceberg_bytes value)
{
    value_i128 number = value_get_decimal(value);
    if (column->physical != SMALL_FIXED)
        return small_le_at(at, (uint64_t)number, column->width);
    for (size_t i = column->width; i-- > 0;)
        *at++ = (uint8_t)((value_u128)number >> (8 * i));
    return at;
}

/* A value of a table's time before its column was widened has 4 bytes. */
static uint8_t *small_widened_at(uint8_t *at, const struct small_column *column, struct iceberg_bytes value)
{
    uint64_t bits = (uint64_t)value_get_i64(value);
    if (column->physical == SMALL_DOUBLE) {
        double number = value_get_f64(value);
        memcpy(&bits, &number, sizeof bits);
    }
    return small_le_at(at, bits, column->width);
}

static uint8_t *small_value_at(uint8_t *at, const struct small_column *column, struct iceberg_bytes value)
{
    if (column->limit)
        return small_decimal_at(at, column, value);
    if (!column->width)
        at = small_le_at(at, value.length, 4);
    else if (value.length != column->width)
        return small_widened_at(at, column, value);
    if (value.length)
        memcpy(at, value.data, value.length);
    return at + value.length;
}

void small_put_value(const struct small_column *column, struct iceberg_bytes value, struct tn_buf *out)
{
    uint8_t *at = (uint8_t *)tn_buf_reserve(out, column->width ? column->width : 4 + value.length);
    uint8_t *end = small_value_at(at, column, value);
    out->len += (size_t)(end - at);
    *end = 0;
}

static void small_put_values(const struct small_column *column, size_t rows, struct tn_buf *out)
{
    uint8_t *start = (uint8_t *)tn_buf_reserve(out, column->value_bytes), *at = start;
    for (size_t row = 0; row < rows; row++) {
        struct iceberg_bytes cell = column->cells[row * column->stride];
        if (cell.data)
            at = small_value_at(at, column, cell);
    }
    *at = 0;
    out->len += (size_t)(at - start);
}

/* --- Bits --- */

/* One bit per cell that is there: its truth; or, for levels, one per row:
 * whether it is there. The lowest bit of a byte comes first. */
static void small_put_bits(const struct small_column *column, size_t rows, bool levels, struct tn_buf *out)
{
    uint8_t *bytes = (uint8_t *)tn_buf_reserve(out, (rows + 7) / 8);
    memset(bytes, 0, (rows + 7) / 8 + 1);
    size_t bit = 0;
    for (size_t row = 0; row < rows; row++) {
        const struct iceberg_bytes *cell = &column->cells[row * column->stride];
        if (!levels && !cell->data)
            continue;
        bool set = levels ? cell->data != NULL : cell->data[0] != 0;
        bytes[bit / 8] |= (uint8_t)(set << bit % 8);
        bit++;
    }
    out->len += (bit + 7) / 8;
}

/* A run: how often, and the byte that comes so often. */
static void small_put_run(size_t rows, char value, struct tn_buf *out)
{
    char bytes[12];
    char *end = thrift_varint_at(bytes, (uint64_t)rows << 1);
    *end++ = value;
    tn_buf_append(out, bytes, (size_t)(end - bytes));
}

static void small_put_levels(const struct small_column *column, size_t rows, struct tn_buf *out)
{
    size_t start = out->len;
    tn_buf_append(out, "\0\0\0", 4); /* the length, known below */
    if (column->null_count == 0 || column->null_count == rows) {
        small_put_run(rows, column->null_count == 0, out);
    } else {
        char bytes[10];
        char *end = thrift_varint_at(bytes, (uint64_t)(rows + 7) / 8 << 1 | 1);
        tn_buf_append(out, bytes, (size_t)(end - bytes));
        small_put_bits(column, rows, true, out);
    }
    (void)small_le_at((uint8_t *)out->data + start, out->len - start - 4, 4);
}

void small_column_body(const struct small_column *column, size_t rows, struct tn_buf *out)
{
    if (!column->field->required)
        small_put_levels(column, rows, out);
    if (small_has_dictionary(column, rows)) {
        tn_buf_putc(out, 1); /* bits of an index into the dictionary */
        small_put_run(rows, 0, out);
    } else if (column->physical == SMALL_BOOLEAN) {
        small_put_bits(column, rows, false, out);
    } else {
        small_put_values(column, rows, out);
    }
}

/* --- Statistics --- */

/* The smallest form of the value in its column's present type. */
static struct iceberg_bytes small_normal(const struct small_column *column, struct tn_arena *arena,
                                         struct iceberg_bytes value)
{
    if (column->limit)
        return value_put_decimal(arena, value_get_decimal(value));
    if (!column->width || value.length == column->width)
        return value;
    uint8_t *bytes = tn_arena_alloc(arena, column->width);
    (void)small_widened_at(bytes, column, value);
    return (struct iceberg_bytes){bytes, column->width};
}

struct iceberg_stats small_column_stats(struct small_column *column, struct tn_arena *arena, size_t rows)
{
    const struct iceberg_type *type = column->field->type;
    if (column->lowest && column->whole_bounds) {
        column->lower = value_put(arena, column->lowest->data, column->lowest->length);
        column->upper = value_put(arena, column->highest->data, column->highest->length);
    } else if (column->lowest) {
        column->lower = iceberg_bound_lower(arena, type, small_normal(column, arena, *column->lowest));
        column->upper = iceberg_bound_upper(arena, type, small_normal(column, arena, *column->highest));
    }
    return (struct iceberg_stats){
        .field_id = column->field->id,
        .column_size = column->stored_size,
        .value_count = (int64_t)rows,
        .null_count = (int64_t)column->null_count,
        .nan_count = small_is_float(column) ? (int64_t)column->nan_count : ICEBERG_NONE,
        .lower = column->lower,
        .upper = column->upper,
    };
}
