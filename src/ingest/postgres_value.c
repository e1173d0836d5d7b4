/* One value of a binary COPY into the engine's vector, without text between
 * wherever the lake has the type. */
#include "ingest/postgres_load.h"

#include <math.h>

#define EPOCH_DAYS  10957 /* 2000-01-01 */
#define EPOCH_US    INT64_C(946684800000000)
#define DAY_US      INT64_C(86400000000)
#define VECTOR_MOST 16000
static const char wrong_bytes[] = "the server sent bytes that are not such a value";
static const char too_far[] = "a moment beyond what a lake can hold";

/* Infinity is a value of the engine too, at other numbers. */
static bool put_timestamp(const struct postgres_field *field, struct engine_vector *vector, size_t row,
                          const char **ret_why)
{
    int64_t *out = (int64_t *)vector->data + row;
    if (field->length != 8) {
        *ret_why = wrong_bytes;
        return false;
    }
    int64_t value = (int64_t)postgres_u64(field->data);
    if (value == INT64_MAX) {
        *out = INT64_MAX;
    } else if (value == INT64_MIN) {
        *out = -INT64_MAX;
    } else if (__builtin_add_overflow(value, EPOCH_US, out) || *out == INT64_MAX) {
        *ret_why = too_far;
        return false;
    }
    return true;
}

static bool put_date(const struct postgres_field *field, struct engine_vector *vector, size_t row,
                     const char **ret_why)
{
    int32_t *out = (int32_t *)vector->data + row;
    if (field->length != 4) {
        *ret_why = wrong_bytes;
        return false;
    }
    int32_t value = (int32_t)postgres_u32(field->data);
    if (value == INT32_MAX) {
        *out = INT32_MAX;
    } else if (value == INT32_MIN) {
        *out = -INT32_MAX;
    } else if (__builtin_add_overflow(value, EPOCH_DAYS, out) || *out == INT32_MAX) {
        *ret_why = too_far;
        return false;
    }
    return true;
}

static bool put_decimal(const struct pg_column *column, const struct postgres_field *field,
                        struct engine_vector *vector, size_t row, const char **ret_why)
{
    postgres_wide value = 0, limit = 1;
    switch (postgres_read_numeric(field->data, (size_t)field->length, column->type.scale, &value)) {
    case POSTGRES_EXACT:
        break;
    case POSTGRES_SPECIAL:
        *ret_why = "NaN or Infinity, which a DECIMAL cannot hold: say --numeric text or double, or cast the column "
                   "in a query";
        return false;
    case POSTGRES_INEXACT:
        *ret_why = "more digits than the dataset's column holds";
        return false;
    default:
        *ret_why = wrong_bytes;
        return false;
    }
    if (column->type.width < 38) {
        for (unsigned i = 0; i < column->type.width; i++)
            limit *= 10;
        if (value >= limit || value <= -limit) {
            *ret_why = "more digits than the dataset's column holds";
            return false;
        }
    }
    if (column->type.width <= 4)
        ((int16_t *)vector->data)[row] = (int16_t)value;
    else if (column->type.width <= 9)
        ((int32_t *)vector->data)[row] = (int32_t)value;
    else if (column->type.width <= 18)
        ((int64_t *)vector->data)[row] = (int64_t)value;
    else
        ((postgres_wide *)vector->data)[row] = value;
    return true;
}

static bool put_numeric_double(const struct postgres_field *field, double *out, struct tn_buf *scratch)
{
    if (!postgres_numeric_text(field->data, (size_t)field->length, scratch))
        return false;
    if (tn_streq(scratch->data, "NaN"))
        *out = NAN;
    else if (tn_str_ends_with(scratch->data, "Infinity"))
        *out = scratch->data[0] == '-' ? -INFINITY : INFINITY;
    else if (!tn_parse_double(scratch->data, out))
        *out = scratch->data[0] == '-' ? -INFINITY : INFINITY; /* beyond what a double holds */
    return true;
}

static bool put_text(const unsigned char *data, size_t length, struct engine_vector *vector, size_t row,
                     const char **ret_why)
{
    if (tn_utf8_valid_prefix((const char *)data, length) != length || memchr(data, 0, length)) {
        *ret_why = "text that is not valid UTF-8: the database was made with another encoding than it says";
        return false;
    }
    engine_vector_put_string(vector, row, (const char *)data, length);
    return true;
}

/* As JSON: the numbers are doubles in text, which the engine reads back to the same floats. */
static bool put_vector(const struct pg_column *column, const struct postgres_field *field,
                       struct engine_vector *vector, size_t row, struct tn_buf *scratch)
{
    float values[VECTOR_MOST];
    size_t count;
    bool read = column->form == PG_VECTOR
                    ? postgres_read_vector(field->data, (size_t)field->length, values, VECTOR_MOST, &count)
                    : postgres_read_halfvec(field->data, (size_t)field->length, values, VECTOR_MOST, &count);
    if (!read)
        return false;
    tn_buf_putc(scratch, '[');
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
        if (i)
            tn_buf_putc(scratch, ',');
        tn_format_f64(scratch, (double)values[i]);
    }
    tn_buf_putc(scratch, ']');
    engine_vector_put_string(vector, row, scratch->data, scratch->len);
    return true;
}

static bool put_scratch(bool made, const struct tn_buf *scratch, struct engine_vector *vector, size_t row)
{
    if (made)
        engine_vector_put_string(vector, row, scratch->data, scratch->len);
    return made;
}

/* Values of a fixed size, and those that need no second look. */
static bool put_plain(const struct pg_column *column, const struct postgres_field *field,
                      struct engine_vector *vector, size_t row)
{
    const unsigned char *data = field->data;
    int32_t length = field->length;
    switch (column->form) {
    case PG_BOOL:
        ((uint8_t *)vector->data)[row] = length == 1 && data[0] != 0;
        return length == 1;
    case PG_INT2:
        if (length == 2)
            ((int32_t *)vector->data)[row] = (int16_t)postgres_u16(data);
        return length == 2;
    case PG_INT4:
        if (length == 4)
            ((int32_t *)vector->data)[row] = (int32_t)postgres_u32(data);
        return length == 4;
    case PG_INT8:
        if (length == 8)
            ((int64_t *)vector->data)[row] = (int64_t)postgres_u64(data);
        return length == 8;
    case PG_OID:
        if (length == 4)
            ((int64_t *)vector->data)[row] = postgres_u32(data);
        return length == 4;
    case PG_FLOAT4:
        if (length == 4) {
            uint32_t bits = postgres_u32(data);
            float value;
            memcpy(&value, &bits, 4);
            ((double *)vector->data)[row] = (double)value;
        }
        return length == 4;
    case PG_FLOAT8:
        if (length == 8) {
            uint64_t bits = postgres_u64(data);
            memcpy((double *)vector->data + row, &bits, 8);
        }
        return length == 8;
    case PG_UUID:
        if (length == 16)
            engine_vector_put_uuid(vector, row, data);
        return length == 16;
    case PG_TIME:
        if (length == 8)
            ((int64_t *)vector->data)[row] = (int64_t)postgres_u64(data);
        return length == 8 && postgres_u64(data) <= (uint64_t)DAY_US;
    default:
        engine_vector_put_string(vector, row, (const char *)data, (size_t)length); /* PG_BYTEA */
        return true;
    }
}

bool pg_put_value(const struct pg_column *column, const struct postgres_field *field, struct engine_vector *vector,
                  size_t row, struct tn_buf *scratch, const char **ret_why)
{
    const unsigned char *data = field->data;
    size_t length = (size_t)field->length;
    if (field->length < 0) {
        engine_vector_put_null(vector, row);
        return true;
    }
    *ret_why = wrong_bytes;
    tn_buf_clear(scratch);
    switch (column->form) {
    case PG_NUMERIC:
        return put_decimal(column, field, vector, row, ret_why);
    case PG_NUMERIC_TEXT:
        return put_scratch(postgres_numeric_text(data, length, scratch), scratch, vector, row);
    case PG_NUMERIC_DOUBLE:
        return put_numeric_double(field, (double *)vector->data + row, scratch);
    case PG_TEXT:
        return put_text(data, length, vector, row, ret_why);
    case PG_JSONB:
        return length >= 1 && data[0] == 1 && put_text(data + 1, length - 1, vector, row, ret_why);
    case PG_DATE:
        return put_date(field, vector, row, ret_why);
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return put_timestamp(field, vector, row, ret_why);
    case PG_TIMETZ:
        return put_scratch(pg_timetz_text(data, length, scratch), scratch, vector, row);
    case PG_INTERVAL:
        return put_scratch(pg_interval_text(data, length, scratch), scratch, vector, row);
    case PG_ARRAY:
        return put_scratch(pg_array_json(column, data, length, scratch, ret_why), scratch, vector, row);
    case PG_VECTOR:
    case PG_HALFVEC:
        return put_vector(column, field, vector, row, scratch);
    default:
        return put_plain(column, field, vector, row);
    }
}
