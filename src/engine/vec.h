/* A result column as the writers see it: its type as a tree made once per
 * query, and, per chunk, where the values lie. Private to the engine. */
#ifndef TARN_ENGINE_VEC_H
#define TARN_ENGINE_VEC_H

#include "engine/engine_internal.h"

struct vec {
    duckdb_type type;
    duckdb_type physical; /* of DECIMAL and ENUM: how it is stored */
    uint8_t width, scale;
    bool json; /* VARCHAR that holds JSON */
    uint64_t array_size;
    struct vec **children; /* LIST, ARRAY, MAP: one; STRUCT, UNION: its members */
    const char **names;    /* of STRUCT and UNION */
    size_t child_count;
    const char **words; /* of ENUM */
    size_t word_count;
    /* per chunk */
    const void *data;
    const uint64_t *validity;
    const void *tags; /* UNION: uint8_t */
};

/* TN_EUNSUPPORTED for a type that no writer knows. */
enum tn_code vec_new(duckdb_logical_type type, struct tn_arena *arena, struct vec **ret,
                     struct tn_error *err) TN_CHECKED;
/* Points the tree at a chunk's column. */
void vec_point(struct vec *vec, duckdb_vector vector);

static inline bool vec_valid(const struct vec *vec, size_t row)
{
    return !vec->validity || (vec->validity[row / 64] >> (row % 64) & 1);
}

/* The bytes of a string_t; stays valid as long as the vector does. */
static inline const char *vec_string(const struct vec *vec, size_t row, size_t *ret_length)
{
    const duckdb_string_t *text = (const duckdb_string_t *)vec->data + row;
    uint32_t length = text->value.inlined.length;
    *ret_length = length;
    return length <= 12 ? text->value.inlined.inlined : text->value.pointer.ptr;
}

__extension__ typedef __int128 engine_int128;
__extension__ typedef unsigned __int128 engine_uint128;

/* The unscaled value of a DECIMAL, or an integer of any width. */
engine_int128 vec_integer(const struct vec *vec, size_t row);
/* The index into `words` of an ENUM. */
size_t vec_word(const struct vec *vec, size_t row);

/* text_number.c: values as bare text, without quotes. */
void text_put_int128(struct tn_buf *out, engine_int128 value);
void text_put_uint128(struct tn_buf *out, engine_uint128 value);
void text_put_decimal(struct tn_buf *out, engine_int128 unscaled, unsigned scale);
void text_put_float(struct tn_buf *out, float value);
void text_put_date(struct tn_buf *out, int32_t days);
/* `per_second` units since 1970; zone is "" or "Z". */
void text_put_timestamp(struct tn_buf *out, int64_t value, int64_t per_second, const char *zone);
void text_put_time(struct tn_buf *out, int64_t value, int64_t per_second);
void text_put_time_tz(struct tn_buf *out, uint64_t bits);
void text_put_interval(struct tn_buf *out, duckdb_interval value);
void text_put_uuid(struct tn_buf *out, duckdb_hugeint value);
void text_put_base64(struct tn_buf *out, const char *bytes, size_t length);
void text_put_bits(struct tn_buf *out, const char *bytes, size_t length);
void text_put_bignum(struct tn_buf *out, const char *bytes, size_t length);

/* text_cell.c: one cell as JSON, as a CSV field, as bare text. */
void cell_put_json(const struct vec *vec, size_t row, struct tn_buf *out);
void cell_put_csv(const struct vec *vec, size_t row, struct tn_buf *scratch, struct tn_buf *out);
/* The value must not be NULL. */
void cell_put_text(const struct vec *vec, size_t row, struct tn_buf *out);
/* Quoted when RFC 4180 needs it. */
void cell_put_csv_text(const char *text, size_t length, struct tn_buf *out);

#endif
