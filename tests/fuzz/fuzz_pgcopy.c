/* What a PostgreSQL server sends: the stream of a binary COPY, cut anywhere,
 * and every reader of a value over its fields. The rows must not depend on
 * where the stream was cut. */
#include "ingest/postgres_load.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COLUMNS_MOST 16

static void read_value(const struct postgres_field *field)
{
    static const enum pg_form elements[] = {PG_BOOL,  PG_INT4,  PG_INT8,   PG_FLOAT8,      PG_NUMERIC,  PG_TEXT,
                                            PG_JSONB, PG_BYTEA, PG_DATE,   PG_TIMESTAMPTZ, PG_INTERVAL, PG_TIMETZ,
                                            PG_UUID,  PG_TIME,  PG_FLOAT4, PG_INT2};
    const unsigned char *bytes = field->data;
    size_t length = (size_t)field->length, count;
    float values[64];
    postgres_wide wide;
    const char *why = "";
    TN_AUTO_BUF text = {0};
    /* Above 38 digits it says so, below it is what the text says. */
    enum postgres_numeric kind = postgres_read_numeric(bytes, length, (unsigned)(length % 39), &wide);
    if ((kind == POSTGRES_MALFORMED) == postgres_numeric_text(bytes, length, &text))
        abort();
    (void)postgres_read_vector(bytes, length, values, TN_COUNT(values), &count);
    (void)postgres_read_halfvec(bytes, length, values, TN_COUNT(values), &count);
    (void)pg_interval_text(bytes, length, &text);
    (void)pg_timetz_text(bytes, length, &text);
    (void)pg_date_text(bytes, length, &text);
    (void)pg_timestamp_text(bytes, length, true, &text);
    for (size_t i = 0; i < TN_COUNT(elements); i++) {
        const struct pg_column column = {.form = PG_ARRAY, .element = elements[i], .dimensions = (unsigned)(i % 3)};
        tn_buf_clear(&text);
        (void)pg_array_json(&column, bytes, length, &text, &why);
    }
}

/* A sum over all rows; *ret_fine says that nothing was refused. */
static uint64_t read_stream(const uint8_t *data, size_t size, size_t piece, size_t columns, bool *ret_fine)
{
    struct postgres_copy_reader reader = {.max_row_bytes = 1 << 16};
    struct postgres_field fields[COLUMNS_MOST];
    uint64_t sum = 0;
    *ret_fine = true;
    for (size_t at = 0; at < size && *ret_fine; at += piece) {
        size_t length = TN_MIN(piece, size - at);
        char *message = tn_malloc(length);
        bool row = true;
        memcpy(message, data + at, length);
        postgres_copy_feed(&reader, message, length);
        while (row) {
            if (postgres_copy_row(&reader, fields, columns, &row, NULL) != TN_OK) {
                *ret_fine = false;
                break;
            }
            for (size_t i = 0; row && i < columns; i++) {
                sum = sum * 31 + (uint64_t)(uint32_t)fields[i].length;
                for (int32_t b = 0; b < fields[i].length; b++)
                    sum = sum * 31 + fields[i].data[b];
                if (fields[i].length >= 0)
                    read_value(&fields[i]);
            }
        }
        free(message);
    }
    postgres_copy_release(&reader);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > (16U << 10))
        return 0;
    size_t columns = 1 + data[0] % COLUMNS_MOST, piece = 1 + data[1];
    bool whole_fine, cut_fine;
    uint64_t whole = read_stream(data + 2, size - 2, size, columns, &whole_fine);
    uint64_t cut = read_stream(data + 2, size - 2, piece, columns, &cut_fine);
    if (whole_fine && (!cut_fine || whole != cut))
        abort();
    return 0;
}
