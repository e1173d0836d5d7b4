/* Binary values out: arrays for unnest($1, $2), rows for COPY. */
#include "postgres/postgres_internal.h"

/* dimensions, has-nulls flag, element type, extent, lower bound */
#define HEADER_BYTES 20

static void put_u16(struct tn_buf *out, uint16_t value)
{
    uint16_t swapped = __builtin_bswap16(value);
    tn_buf_append(out, &swapped, 2);
}

static void put_u32(struct tn_buf *out, uint32_t value)
{
    uint32_t swapped = __builtin_bswap32(value);
    tn_buf_append(out, &swapped, 4);
}

/* ---- values: elements of arrays and fields of COPY have one form, a length and bytes ---- */

void postgres_put_null(struct tn_buf *out)
{
    put_u32(out, UINT32_MAX);
}

void postgres_put_bytes(struct tn_buf *out, const void *bytes, size_t length)
{
    put_u32(out, (uint32_t)length);
    tn_buf_append(out, bytes, length);
}

void postgres_put_vector(struct tn_buf *out, const float *values, size_t count)
{
    size_t length = 4 + 4 * count;
    put_u32(out, (uint32_t)length);
    char *at = tn_buf_reserve(out, length);
    out->len += length;
    uint16_t head[2] = {__builtin_bswap16((uint16_t)count), 0};
    memcpy(at, head, 4);
    at += 4;
    for (size_t i = 0; i < count; i++, at += 4) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        bits = __builtin_bswap32(bits);
        memcpy(at, &bits, 4);
    }
    *at = '\0';
}

void postgres_put_halfvec(struct tn_buf *out, const float *values, size_t count)
{
    put_u32(out, (uint32_t)(4 + 2 * count));
    put_u16(out, (uint16_t)count);
    put_u16(out, 0);
    for (size_t i = 0; i < count; i++)
        put_u16(out, postgres_float_to_half(values[i]));
}

void postgres_copy_row_begin(struct tn_buf *out, size_t fields)
{
    put_u16(out, (uint16_t)fields);
}

/* ---- arrays ------------------------------------------------------------------------------ */

void postgres_array_begin(struct postgres_array *array, uint32_t element_type)
{
    tn_buf_clear(&array->bytes);
    array->count = 0;
    array->nulls = false;
    put_u32(&array->bytes, 1);
    put_u32(&array->bytes, 0);
    put_u32(&array->bytes, element_type);
    put_u32(&array->bytes, 0);
    put_u32(&array->bytes, 1);
}

void postgres_array_add_null(struct postgres_array *array)
{
    postgres_put_null(&array->bytes);
    array->count++;
    array->nulls = true;
}

void postgres_array_add_bytes(struct postgres_array *array, const void *bytes, size_t length)
{
    postgres_put_bytes(&array->bytes, bytes, length);
    array->count++;
}

void postgres_array_add_i64(struct postgres_array *array, int64_t value)
{
    uint64_t swapped = __builtin_bswap64((uint64_t)value);
    postgres_array_add_bytes(array, &swapped, 8);
}

void postgres_array_add_i32(struct postgres_array *array, int32_t value)
{
    uint32_t swapped = __builtin_bswap32((uint32_t)value);
    postgres_array_add_bytes(array, &swapped, 4);
}

void postgres_array_add_text(struct postgres_array *array, const char *text, size_t length)
{
    postgres_array_add_bytes(array, text, length);
}

void postgres_array_add_uuid(struct postgres_array *array, const unsigned char uuid[16])
{
    postgres_array_add_bytes(array, uuid, 16);
}

void postgres_array_add_vector(struct postgres_array *array, const float *values, size_t count)
{
    postgres_put_vector(&array->bytes, values, count);
    array->count++;
}

void postgres_array_add_halfvec(struct postgres_array *array, const float *values, size_t count)
{
    postgres_put_halfvec(&array->bytes, values, count);
    array->count++;
}

struct postgres_param postgres_array_param(struct postgres_array *array)
{
    uint32_t nulls = __builtin_bswap32(array->nulls), count = __builtin_bswap32(array->count);
    memcpy(array->bytes.data + 4, &nulls, 4);
    memcpy(array->bytes.data + 12, &count, 4);
    return (struct postgres_param){.data = array->bytes.data, .length = array->bytes.len, .binary = true};
}

void postgres_array_release(struct postgres_array *array)
{
    tn_buf_release(&array->bytes);
    *array = (struct postgres_array){0};
}
