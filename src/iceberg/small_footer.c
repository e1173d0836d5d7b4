/* The metadata of a small Parquet file: its schema, one row group, statistics.
 * The numbers are those of parquet.thrift. */
#include "iceberg/small_internal.h"
#include "iceberg/thrift_writer.h"

/* Longer text and binary stands in the statistics cut, as the bound is. */
#define SMALL_EXACT_BYTES 64
/* As readers split it: the application, "version", its version. */
#define SMALL_CREATED_BY "tarn version " TARN_VERSION

/* --- Schema --- */

/* ConvertedType, the older annotation; readers of its time know no other. */
static int32_t small_converted(enum iceberg_kind kind)
{
    switch (kind) {
    case ICEBERG_STRING:
        return 0; /* UTF8 */
    case ICEBERG_DECIMAL:
        return 5;
    case ICEBERG_DATE:
        return 6;
    case ICEBERG_TIME:
        return 8; /* TIME_MICROS */
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        return 10; /* TIMESTAMP_MICROS */
    default:
        return ICEBERG_NONE;
    }
}

/* TimeType and TimestampType: isAdjustedToUTC, and a unit of microseconds. */
static void small_put_clock(struct thrift_writer *thrift, int number, bool utc)
{
    thrift_open_struct(thrift, number);
    thrift_put_bool(thrift, 1, utc);
    thrift_open_struct(thrift, 2);
    thrift_put_empty(thrift, 2);
    thrift_close(thrift);
    thrift_close(thrift);
}

/* LogicalType: a union, with the annotation's number as its only field. */
static void small_put_logical(struct thrift_writer *thrift, const struct iceberg_type *type)
{
    enum { STRING = 1, DECIMAL = 5, DATE = 6, TIME = 7, TIMESTAMP = 8, UUID = 14 };
    if (small_converted(type->kind) == ICEBERG_NONE && type->kind != ICEBERG_UUID)
        return;
    thrift_open_struct(thrift, 10);
    switch (type->kind) {
    case ICEBERG_STRING:
        thrift_put_empty(thrift, STRING);
        break;
    case ICEBERG_DECIMAL:
        thrift_open_struct(thrift, DECIMAL);
        thrift_put_i32(thrift, 1, type->scale);
        thrift_put_i32(thrift, 2, type->precision);
        thrift_close(thrift);
        break;
    case ICEBERG_DATE:
        thrift_put_empty(thrift, DATE);
        break;
    case ICEBERG_TIME:
        small_put_clock(thrift, TIME, false);
        break;
    case ICEBERG_UUID:
        thrift_put_empty(thrift, UUID);
        break;
    default:
        small_put_clock(thrift, TIMESTAMP, type->kind == ICEBERG_TIMESTAMPTZ);
        break;
    }
    thrift_close(thrift);
}

static void small_put_element(struct thrift_writer *thrift, const struct small_column *column)
{
    const struct iceberg_field *field = column->field;
    int32_t converted = small_converted(field->type->kind);
    thrift_open_item(thrift);
    thrift_put_i32(thrift, 1, (int32_t)column->physical);
    if (column->physical == SMALL_FIXED)
        thrift_put_i32(thrift, 2, (int32_t)column->width);
    thrift_put_i32(thrift, 3, field->required ? 0 : 1); /* REQUIRED, OPTIONAL */
    thrift_put_text(thrift, 4, field->name);
    if (converted != ICEBERG_NONE)
        thrift_put_i32(thrift, 6, converted);
    if (field->type->kind == ICEBERG_DECIMAL) {
        thrift_put_i32(thrift, 7, field->type->scale);
        thrift_put_i32(thrift, 8, field->type->precision);
    }
    thrift_put_i32(thrift, 9, field->id);
    small_put_logical(thrift, field->type);
    thrift_close(thrift);
}

static void small_put_schema(struct thrift_writer *thrift, const struct small_column *columns, size_t count)
{
    thrift_open_list(thrift, 2, THRIFT_STRUCT, count + 1);
    thrift_open_item(thrift); /* the root, above all columns */
    thrift_put_text(thrift, 4, "table");
    thrift_put_i32(thrift, 5, (int32_t)count);
    thrift_close(thrift);
    for (size_t i = 0; i < count; i++)
        small_put_element(thrift, &columns[i]);
}

/* --- Row group --- */

/* A smallest or largest value; true when it is the value itself. */
static bool small_put_end(struct thrift_writer *thrift, int number, const struct small_column *column,
                          struct iceberg_bytes value, struct iceberg_bytes bound)
{
    TN_AUTO_BUF plain = {0};
    bool whole = column->whole_bounds || value.length <= SMALL_EXACT_BYTES;
    if (small_is_float(column)) {
        thrift_put_bytes(thrift, number, bound.data, bound.length); /* a zero has the sign that is wider */
    } else if (column->physical == SMALL_BYTE_ARRAY) {
        thrift_put_bytes(thrift, number, whole ? value.data : bound.data, whole ? value.length : bound.length);
        return whole;
    } else {
        small_put_value(column, value, &plain);
        thrift_put_bytes(thrift, number, plain.data, plain.len);
    }
    return true;
}

/* Readers compare without a thought of NaN: a column that has one gets no ends. */
static void small_put_statistics(struct thrift_writer *thrift, const struct small_column *column)
{
    thrift_open_struct(thrift, 12);
    thrift_put_i64(thrift, 3, (int64_t)column->null_count);
    bool short_ends = column->lowest && column->highest->length <= SMALL_EXACT_BYTES;
    if (column->lowest && column->nan_count == 0 && (short_ends || column->upper.data)) {
        bool exact_max = small_put_end(thrift, 5, column, *column->highest, column->upper);
        bool exact_min = small_put_end(thrift, 6, column, *column->lowest, column->lower);
        thrift_put_bool(thrift, 7, exact_max);
        thrift_put_bool(thrift, 8, exact_min);
    }
    if (small_is_float(column))
        thrift_put_i64(thrift, 9, (int64_t)column->nan_count);
    thrift_close(thrift);
}

static void small_put_chunk(struct thrift_writer *thrift, const struct small_column *column, size_t rows)
{
    thrift_open_item(thrift);
    thrift_put_i64(thrift, 2, 0); /* no second copy of the metadata lies elsewhere */
    thrift_open_struct(thrift, 3);
    thrift_put_i32(thrift, 1, (int32_t)column->physical);
    thrift_open_list(thrift, 2, THRIFT_I32, column->dictionary_offset ? 3 : 2);
    thrift_item_i32(thrift, SMALL_PLAIN);
    thrift_item_i32(thrift, SMALL_RLE);
    if (column->dictionary_offset)
        thrift_item_i32(thrift, SMALL_RLE_DICTIONARY);
    thrift_open_list(thrift, 3, THRIFT_BINARY, 1);
    thrift_item_text(thrift, column->field->name);
    thrift_put_i32(thrift, 4, (int32_t)column->codec);
    thrift_put_i64(thrift, 5, (int64_t)rows);
    thrift_put_i64(thrift, 6, column->plain_size);
    thrift_put_i64(thrift, 7, column->stored_size);
    thrift_put_i64(thrift, 9, column->data_offset);
    if (column->dictionary_offset)
        thrift_put_i64(thrift, 11, column->dictionary_offset);
    small_put_statistics(thrift, column);
    thrift_close(thrift);
    thrift_close(thrift);
}

static void small_put_row_group(struct thrift_writer *thrift, const struct small_column *columns, size_t count,
                                size_t rows)
{
    int64_t plain = 0, stored = 0;
    thrift_open_list(thrift, 4, THRIFT_STRUCT, 1);
    thrift_open_item(thrift);
    thrift_open_list(thrift, 1, THRIFT_STRUCT, count);
    for (size_t i = 0; i < count; i++) {
        small_put_chunk(thrift, &columns[i], rows);
        plain += columns[i].plain_size;
        stored += columns[i].stored_size;
    }
    thrift_put_i64(thrift, 2, plain);
    thrift_put_i64(thrift, 3, (int64_t)rows);
    thrift_put_i64(thrift, 5, 4); /* it starts behind the magic */
    thrift_put_i64(thrift, 6, stored);
    thrift_put_i16(thrift, 7, 0);
    thrift_close(thrift);
}

void small_footer_put(const struct small_column *columns, size_t count, size_t rows, struct tn_buf *out)
{
    size_t start = out->len;
    struct thrift_writer thrift = thrift_writer_to(out);
    thrift_put_i32(&thrift, 1, 1); /* version */
    small_put_schema(&thrift, columns, count);
    thrift_put_i64(&thrift, 3, (int64_t)rows);
    small_put_row_group(&thrift, columns, count, rows);
    thrift_put_text(&thrift, 6, SMALL_CREATED_BY);
    thrift_open_list(&thrift, 7, THRIFT_STRUCT, count);
    for (size_t i = 0; i < count; i++) { /* every column in the order of its type */
        thrift_open_item(&thrift);
        thrift_put_empty(&thrift, 1);
        thrift_close(&thrift);
    }
    thrift_close(&thrift);
    size_t length = out->len - start;
    const char tail[] = {(char)length, (char)(length >> 8), (char)(length >> 16), (char)(length >> 24), 'P', 'A', 'R',
                         '1'};
    tn_buf_append(out, tail, sizeof tail);
}
