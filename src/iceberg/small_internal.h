/* Private: Parquet files of few rows, column by column.
 *
 *     small_column_init   how a column of this type lies in Parquet
 *     small_column_scan   looks at every cell: refuses, counts, finds the ends
 *     small_column_body   levels and values of its data page
 *     small_footer_put    the metadata behind all pages
 *
 * Everything that can be refused is refused by the scan, before a byte is
 * written.
 */
#ifndef TARN_ICEBERG_SMALL_INTERNAL_H
#define TARN_ICEBERG_SMALL_INTERNAL_H

#include "iceberg/value.h"

/* The numbers that Parquet gives them. */
enum small_physical {
    SMALL_BOOLEAN = 0,
    SMALL_INT32 = 1,
    SMALL_INT64 = 2,
    SMALL_FLOAT = 4,
    SMALL_DOUBLE = 5,
    SMALL_BYTE_ARRAY = 6,
    SMALL_FIXED = 7,
};
enum small_encoding { SMALL_PLAIN = 0, SMALL_RLE = 3, SMALL_RLE_DICTIONARY = 8 };
enum small_codec { SMALL_UNCOMPRESSED = 0, SMALL_ZSTD = 6 };

struct small_column {
    const struct iceberg_field *field;
    enum small_physical physical;
    size_t width;     /* bytes of a value; 0 = each has its length before it */
    value_i128 limit; /* decimals: the first magnitude that is too large */
    /* The cell of row r is cells[r * stride]; a stride of 0 is a column that
     * has one value in all rows, and gets a dictionary. */
    const struct iceberg_bytes *cells;
    size_t stride;
    bool whole_bounds; /* statistics keep the whole value, however long */
    /* Found by the scan. */
    size_t null_count, nan_count;
    size_t value_bytes;                 /* of all values in PLAIN, booleans counted as bytes */
    const struct iceberg_bytes *lowest; /* NULL: only NULLs and NaNs */
    const struct iceberg_bytes *highest;
    /* Found while writing. Offsets count from the start of the file. */
    enum small_codec codec;
    int64_t dictionary_offset; /* 0 = none */
    int64_t data_offset;
    int64_t plain_size, stored_size; /* of its pages with their headers */
    struct iceberg_bytes lower, upper;
};

static inline bool small_is_float(const struct small_column *column)
{
    return column->physical == SMALL_FLOAT || column->physical == SMALL_DOUBLE;
}

static inline bool small_has_dictionary(const struct small_column *column, size_t rows)
{
    return column->stride == 0 && rows > 1;
}

/* False for a type that has no place in a small file. */
bool small_column_init(struct small_column *column, const struct iceberg_field *field);
enum tn_code small_column_scan(struct small_column *column, size_t rows, struct tn_error *err) TN_CHECKED;
/* The value in PLAIN, behind `out`. */
void small_put_value(const struct small_column *column, struct iceberg_bytes value, struct tn_buf *out);
/* Appends the body of the column's data page. */
void small_column_body(const struct small_column *column, size_t rows, struct tn_buf *out);
/* Sets the column's bounds; the statistics of the manifest entry. */
struct iceberg_stats small_column_stats(struct small_column *column, struct tn_arena *arena, size_t rows);

/* FileMetaData, its length and the closing magic. */
void small_footer_put(const struct small_column *columns, size_t count, size_t rows, struct tn_buf *out);

#endif
