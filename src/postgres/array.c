/* Binary arrays out: what unnest($1, $2) takes. */
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

static void begin_element(struct postgres_array *array, size_t length)
{
    put_u32(&array->bytes, (uint32_t)length);
    array->count++;
}

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
    begin_element(array, UINT32_MAX);
    array->nulls = true;
}

void postgres_array_add_bytes(struct postgres_array *array, const void *bytes, size_t length)
{
    begin_element(array, length);
    tn_buf_append(&array->bytes, bytes, length);
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
    size_t length = 4 + 4 * count;
    begin_element(array, length);
    char *out = tn_buf_reserve(&array->bytes, length);
    array->bytes.len += length;
    uint16_t head[2] = {__builtin_bswap16((uint16_t)count), 0};
    memcpy(out, head, 4);
    out += 4;
    for (size_t i = 0; i < count; i++, out += 4) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        bits = __builtin_bswap32(bits);
        memcpy(out, &bits, 4);
    }
    *out = '\0';
}

void postgres_array_add_halfvec(struct postgres_array *array, const float *values, size_t count)
{
    begin_element(array, 4 + 2 * count);
    put_u16(&array->bytes, (uint16_t)count);
    put_u16(&array->bytes, 0);
    for (size_t i = 0; i < count; i++)
        put_u16(&array->bytes, postgres_float_to_half(values[i]));
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
