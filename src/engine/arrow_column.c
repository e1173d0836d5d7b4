/* Values of DuckDB's vectors gathered into Arrow's buffers.
 *
 * What Arrow has no type for, or what its readers stumble over (polars on
 * intervals), is text: UUID, INTERVAL, BIT, BIGNUM, TIMETZ, UHUGEINT, ENUM,
 * UNION, JSON. HUGEINT is decimal(38, 0).
 */
#include "engine/arrow.h"

#define MAX_OFFSET INT32_MAX

static const struct {
    duckdb_type from;
    enum arrow_type to;
    unsigned char width;
} plain_types[] = {
    {DUCKDB_TYPE_BOOLEAN, ARROW_BOOL, 0},
    {DUCKDB_TYPE_TINYINT, ARROW_INT, 1},
    {DUCKDB_TYPE_SMALLINT, ARROW_INT, 2},
    {DUCKDB_TYPE_INTEGER, ARROW_INT, 4},
    {DUCKDB_TYPE_BIGINT, ARROW_INT, 8},
    {DUCKDB_TYPE_UTINYINT, ARROW_INT, 1},
    {DUCKDB_TYPE_USMALLINT, ARROW_INT, 2},
    {DUCKDB_TYPE_UINTEGER, ARROW_INT, 4},
    {DUCKDB_TYPE_UBIGINT, ARROW_INT, 8},
    {DUCKDB_TYPE_FLOAT, ARROW_FLOAT, 4},
    {DUCKDB_TYPE_DOUBLE, ARROW_FLOAT, 8},
    {DUCKDB_TYPE_DECIMAL, ARROW_DECIMAL, 16},
    {DUCKDB_TYPE_HUGEINT, ARROW_DECIMAL, 16},
    {DUCKDB_TYPE_DATE, ARROW_DATE, 4},
    {DUCKDB_TYPE_TIME, ARROW_TIME, 8},
    {DUCKDB_TYPE_TIME_NS, ARROW_TIME, 8},
    {DUCKDB_TYPE_TIMESTAMP, ARROW_TIMESTAMP, 8},
    {DUCKDB_TYPE_TIMESTAMP_TZ, ARROW_TIMESTAMP, 8},
    {DUCKDB_TYPE_TIMESTAMP_S, ARROW_TIMESTAMP, 8},
    {DUCKDB_TYPE_TIMESTAMP_MS, ARROW_TIMESTAMP, 8},
    {DUCKDB_TYPE_TIMESTAMP_NS, ARROW_TIMESTAMP, 8},
    {DUCKDB_TYPE_BLOB, ARROW_BINARY, 0},
    {DUCKDB_TYPE_LIST, ARROW_LIST, 0},
    {DUCKDB_TYPE_ARRAY, ARROW_FIXED_LIST, 0},
    {DUCKDB_TYPE_MAP, ARROW_MAP, 0},
    {DUCKDB_TYPE_STRUCT, ARROW_STRUCT, 0},
    {DUCKDB_TYPE_SQLNULL, ARROW_NULL, 0},
};

static bool has_offsets(const struct arrow_column *column)
{
    return column->type == ARROW_UTF8 || column->type == ARROW_BINARY || column->type == ARROW_LIST ||
           column->type == ARROW_MAP;
}

static void put_offset(struct arrow_column *column, size_t value)
{
    int32_t offset = (int32_t)value;
    tn_buf_append(&column->offsets, &offset, sizeof offset);
}

static void init_children(struct arrow_column *column)
{
    const struct vec *vec = column->vec;
    column->child_count = column->type == ARROW_MAP ? 1 : vec->child_count;
    column->children = tn_calloc(column->child_count + 1, sizeof *column->children);
    if (column->type != ARROW_MAP) {
        for (size_t i = 0; i < vec->child_count; i++) {
            char number[24];
            (void)snprintf(number, sizeof number, "%zu", i + 1);
            const char *name = column->type != ARROW_STRUCT ? "item" : *vec->names[i] ? vec->names[i] : number;
            arrow_column_init(&column->children[i], vec->children[i], name);
        }
        return;
    }
    struct arrow_column *entries = &column->children[0];
    *entries = (struct arrow_column){.type = ARROW_STRUCT, .name = tn_strdup("entries"), .child_count = 2};
    entries->children = tn_calloc(2, sizeof *entries->children);
    arrow_column_init(&entries->children[0], vec->children[0], "key");
    arrow_column_init(&entries->children[1], vec->children[1], "value");
    entries->children[0].nullable = false;
}

void arrow_column_init(struct arrow_column *column, const struct vec *vec, const char *name)
{
    *column = (struct arrow_column){.vec = vec, .type = ARROW_UTF8, .name = tn_strdup(name), .nullable = true};
    for (size_t i = 0; i < TN_COUNT(plain_types); i++) {
        if (plain_types[i].from == vec->type) {
            column->type = plain_types[i].to;
            column->width = plain_types[i].width;
        }
    }
    if (vec->child_count && vec->type != DUCKDB_TYPE_UNION)
        init_children(column);
    arrow_column_clear(column);
}

void arrow_column_clear(struct arrow_column *column)
{
    column->length = column->null_count = 0;
    tn_buf_clear(&column->validity);
    tn_buf_clear(&column->offsets);
    tn_buf_clear(&column->data);
    if (has_offsets(column))
        put_offset(column, 0);
    for (size_t i = 0; i < column->child_count; i++)
        arrow_column_clear(&column->children[i]);
}

void arrow_column_release(struct arrow_column *column)
{
    for (size_t i = 0; i < column->child_count; i++)
        arrow_column_release(&column->children[i]);
    free(column->children);
    free(column->name);
    tn_buf_release(&column->validity);
    tn_buf_release(&column->offsets);
    tn_buf_release(&column->data);
}

size_t arrow_column_bytes(const struct arrow_column *column)
{
    size_t bytes = column->validity.len + column->offsets.len + column->data.len;
    for (size_t i = 0; i < column->child_count; i++)
        bytes += arrow_column_bytes(&column->children[i]);
    return bytes;
}

/* ---- appending ---------------------------------------------------------- */

/* Bit i of a buffer that holds `length` bits. */
static void put_bit(struct tn_buf *bits, size_t length, bool value)
{
    if (length % 8 == 0)
        tn_buf_putc(bits, '\0');
    if (value)
        bits->data[length / 8] = (char)((unsigned char)bits->data[length / 8] | 1U << (length % 8));
}

static void put_validity(struct arrow_column *column, size_t start, size_t count)
{
    const struct vec *vec = column->vec;
    bool all = !vec || !vec->validity;
    size_t i = 0;
    while (i < count) {
        size_t at = column->length + i;
        if (all && at % 8 == 0 && count - i >= 8) {
            size_t bytes = (count - i) / 8;
            memset(tn_buf_reserve(&column->validity, bytes), 0xFF, bytes);
            column->validity.len += bytes;
            i += bytes * 8;
            continue;
        }
        bool valid = all || vec_valid(vec, start + i);
        put_bit(&column->validity, at, valid);
        column->null_count += !valid;
        i++;
    }
}

/* NULL slots hold whatever was there before: they leave as zeros. */
static void put_fixed(struct arrow_column *column, size_t start, size_t count)
{
    const struct vec *vec = column->vec;
    size_t before = column->data.len;
    tn_buf_append(&column->data, (const char *)vec->data + start * column->width, count * column->width);
    for (size_t i = 0; vec->validity && i < count; i++) {
        if (!vec_valid(vec, start + i))
            memset(column->data.data + before + i * column->width, 0, column->width);
    }
}

static enum tn_code put_decimals(struct arrow_column *column, size_t start, size_t count, struct tn_error *err)
{
    static const engine_int128 ten_to_19 = (engine_int128)10000000000000000000U;
    const engine_int128 limit = ten_to_19 * ten_to_19; /* 10^38: more than 38 digits */
    char *at = tn_buf_reserve(&column->data, count * 16);
    for (size_t i = 0; i < count; i++, at += 16) {
        engine_int128 value = vec_valid(column->vec, start + i) ? vec_integer(column->vec, start + i) : 0;
        if (value >= limit || value <= -limit) {
            tn_fail(err, TN_EUNSUPPORTED, "a number of column \"%s\" has more than 38 digits", column->name);
            tn_error_hint(err, "Arrow has no such integers; cast it: CAST(x AS VARCHAR).");
            return TN_EUNSUPPORTED;
        }
        memcpy(at, &value, 16);
    }
    column->data.len += count * 16;
    return TN_OK;
}

static void put_booleans(struct arrow_column *column, size_t start, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool value = vec_valid(column->vec, start + i) && ((const uint8_t *)column->vec->data)[start + i];
        put_bit(&column->data, column->length + i, value);
    }
}

static enum tn_code too_long(const struct arrow_column *column, struct tn_error *err)
{
    tn_fail(err, TN_EUNSUPPORTED, "column \"%s\" has more than 2 GB in one batch of rows", column->name);
    tn_error_hint(err, "Take fewer columns or shorter values, or another format.");
    return TN_EUNSUPPORTED;
}

static enum tn_code put_strings(struct arrow_column *column, size_t start, size_t count, struct tn_error *err)
{
    const struct vec *vec = column->vec;
    bool direct = vec->type == DUCKDB_TYPE_VARCHAR || vec->type == DUCKDB_TYPE_BLOB;
    for (size_t i = 0; i < count; i++) {
        if (!vec_valid(vec, start + i)) {
            /* nothing, and the same offset again */
        } else if (direct) {
            size_t length;
            const char *text = vec_string(vec, start + i, &length);
            tn_buf_append(&column->data, text, length);
        } else {
            cell_put_text(vec, start + i, &column->data);
        }
        if (column->data.len > MAX_OFFSET)
            return too_long(column, err);
        put_offset(column, column->data.len);
    }
    return TN_OK;
}

/* The children of LIST and MAP: runs that follow each other go as one. */
static enum tn_code put_lists(struct arrow_column *column, size_t start, size_t count, struct tn_error *err)
{
    const struct vec *vec = column->vec;
    struct arrow_column *child = &column->children[0];
    const duckdb_list_entry *entries = vec->data;
    size_t run_start = 0, run = 0, total = child->length;
    for (size_t i = 0; i < count; i++) {
        if (vec_valid(vec, start + i) && entries[start + i].length) {
            size_t offset = (size_t)entries[start + i].offset;
            size_t length = (size_t)entries[start + i].length;
            if (run && offset != run_start + run) {
                TN_TRY(arrow_column_append(child, run_start, run, err));
                run = 0;
            }
            if (!run)
                run_start = offset;
            run += length;
            total += length;
        }
        if (total > MAX_OFFSET)
            return too_long(column, err);
        put_offset(column, total);
    }
    return run ? arrow_column_append(child, run_start, run, err) : TN_OK;
}

static enum tn_code put_children(struct arrow_column *column, size_t start, size_t count, struct tn_error *err)
{
    for (size_t i = 0; i < column->child_count; i++)
        TN_TRY(arrow_column_append(&column->children[i], start, count, err));
    return TN_OK;
}

static enum tn_code put_values(struct arrow_column *column, size_t start, size_t count, struct tn_error *err)
{
    switch (column->type) {
    case ARROW_NULL:
        return TN_OK;
    case ARROW_BOOL:
        put_booleans(column, start, count);
        return TN_OK;
    case ARROW_DECIMAL:
        return put_decimals(column, start, count, err);
    case ARROW_UTF8:
    case ARROW_BINARY:
        return put_strings(column, start, count, err);
    case ARROW_LIST:
    case ARROW_MAP:
        return put_lists(column, start, count, err);
    case ARROW_FIXED_LIST:
        return put_children(column, start * (size_t)column->vec->array_size, count * (size_t)column->vec->array_size,
                            err);
    case ARROW_STRUCT:
        return put_children(column, start, count, err);
    default:
        put_fixed(column, start, count);
        return TN_OK;
    }
}

enum tn_code arrow_column_append(struct arrow_column *column, size_t start, size_t count, struct tn_error *err)
{
    if (column->type == ARROW_NULL)
        column->null_count += count;
    else
        put_validity(column, start, count);
    TN_TRY(put_values(column, start, count, err));
    column->length += count;
    return TN_OK;
}
