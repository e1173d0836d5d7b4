/* Values in bytes: order, validity, and what makes a bound of them. */
#include "base/str.h"
#include "iceberg/value.h"

#include <math.h>
#include <string.h>

#define BOUND_CODE_POINTS 16

static uint64_t value_get_le(const uint8_t *data, size_t length)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < length; i++)
        bits |= (uint64_t)data[i] << (8 * i);
    return bits;
}

int64_t value_get_i64(struct iceberg_bytes value)
{
    uint64_t bits = value_get_le(value.data, value.length);
    return value.length == 4 ? (int32_t)(uint32_t)bits : (int64_t)bits;
}

double value_get_f64(struct iceberg_bytes value)
{
    uint64_t bits = value_get_le(value.data, value.length);
    if (value.length == 4) {
        uint32_t half = (uint32_t)bits;
        float number;
        memcpy(&number, &half, sizeof number);
        return (double)number;
    }
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

value_i128 value_get_decimal(struct iceberg_bytes value)
{
    value_u128 bits = value.data[0] & 0x80 ? ~(value_u128)0 : 0;
    for (size_t i = 0; i < value.length; i++)
        bits = bits << 8 | value.data[i];
    return (value_i128)bits;
}

struct iceberg_bytes value_put(struct tn_arena *arena, const void *bytes, size_t length)
{
    uint8_t *copy = tn_arena_alloc(arena, length + 1);
    if (length)
        memcpy(copy, bytes, length);
    return (struct iceberg_bytes){copy, length};
}

struct iceberg_bytes value_put_le(struct tn_arena *arena, uint64_t bits, size_t length)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(bits >> (8 * i));
    return value_put(arena, bytes, length);
}

struct iceberg_bytes value_put_decimal(struct tn_arena *arena, value_i128 number)
{
    uint8_t bytes[16];
    value_u128 bits = (value_u128)number;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[15 - i] = (uint8_t)(bits >> (8 * i));
    size_t skip = 0;
    while (skip < 15 &&
           ((bytes[skip] == 0x00 && !(bytes[skip + 1] & 0x80)) || (bytes[skip] == 0xFF && (bytes[skip + 1] & 0x80))))
        skip++;
    return value_put(arena, bytes + skip, sizeof bytes - skip);
}

int value_compare_raw(struct iceberg_bytes a, struct iceberg_bytes b)
{
    size_t common = TN_MIN(a.length, b.length);
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

bool value_same(struct iceberg_bytes a, struct iceberg_bytes b)
{
    return !a.data == !b.data && value_compare_raw(a, b) == 0;
}

static int value_compare_f64(double a, double b)
{
    if (isnan(a) || isnan(b))
        return !!isnan(a) - !!isnan(b);
    return (a > b) - (a < b);
}

bool iceberg_value_valid(const struct iceberg_type *type, struct iceberg_bytes value)
{
    if (!value.data)
        return false;
    switch (type->kind) {
    case ICEBERG_BOOLEAN:
        return value.length == 1 && value.data[0] <= 1;
    case ICEBERG_INT:
    case ICEBERG_DATE:
    case ICEBERG_FLOAT:
        return value.length == 4;
    case ICEBERG_LONG:
    case ICEBERG_DOUBLE:
        return value.length == 8 || value.length == 4;
    case ICEBERG_TIME:
        return value.length == 8 && value_get_i64(value) >= 0 && value_get_i64(value) < INT64_C(86400000000);
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        return value.length == 8;
    case ICEBERG_DECIMAL:
        return value.length >= 1 && value.length <= 16;
    case ICEBERG_STRING:
        return tn_utf8_valid_prefix((const char *)value.data, value.length) == value.length;
    case ICEBERG_UUID:
        return value.length == 16;
    case ICEBERG_FIXED:
        return value.length == (size_t)type->length;
    case ICEBERG_BINARY:
        return true;
    default:
        return false;
    }
}

int iceberg_value_compare(const struct iceberg_type *type, struct iceberg_bytes a, struct iceberg_bytes b)
{
    switch (type->kind) {
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ: {
        int64_t x = value_get_i64(a), y = value_get_i64(b);
        return (x > y) - (x < y);
    }
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        return value_compare_f64(value_get_f64(a), value_get_f64(b));
    case ICEBERG_DECIMAL: {
        value_i128 x = value_get_decimal(a), y = value_get_decimal(b);
        return (x > y) - (x < y);
    }
    default:
        return value_compare_raw(a, b);
    }
}

/* Where the code point number `count` starts, or length. */
static size_t bound_cut_text(struct iceberg_bytes value, size_t count)
{
    size_t at = 0;
    while (at < value.length && count--) {
        at++;
        while (at < value.length && (value.data[at] & 0xC0) == 0x80)
            at++;
    }
    return at;
}

static uint32_t bound_code_point(const uint8_t *at, size_t length)
{
    static const uint8_t lead_mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t point = at[0] & lead_mask[length];
    for (size_t i = 1; i < length; i++)
        point = point << 6 | (at[i] & 0x3F);
    return point;
}

/* The smallest text of at most `cut` bytes' characters that sorts above every
 * text with this prefix: the last character that can grow does. */
static struct iceberg_bytes bound_increment_text(struct tn_arena *arena, struct iceberg_bytes value, size_t cut)
{
    while (cut > 0) {
        size_t start = cut - 1;
        while (start > 0 && (value.data[start] & 0xC0) == 0x80)
            start--;
        uint32_t point = bound_code_point(value.data + start, cut - start) + 1;
        if (point == 0xD800)
            point = 0xE000;
        if (point <= 0x10FFFF) {
            char grown[4];
            size_t length = tn_utf8_put(point, grown);
            uint8_t *out = tn_arena_alloc(arena, start + length + 1);
            memcpy(out, value.data, start);
            memcpy(out + start, grown, length);
            return (struct iceberg_bytes){out, start + length};
        }
        cut = start;
    }
    return (struct iceberg_bytes){NULL, 0};
}

static struct iceberg_bytes bound_increment_binary(struct tn_arena *arena, struct iceberg_bytes value, size_t cut)
{
    while (cut > 0 && value.data[cut - 1] == 0xFF)
        cut--;
    if (cut == 0)
        return (struct iceberg_bytes){NULL, 0};
    uint8_t *out = tn_arena_alloc(arena, cut + 1);
    memcpy(out, value.data, cut);
    out[cut - 1]++;
    return (struct iceberg_bytes){out, cut};
}

/* Zero keeps the sign that makes the bound wider: readers may compare by bits. */
static struct iceberg_bytes bound_float(struct tn_arena *arena, struct iceberg_bytes value, bool upper)
{
    double number = value_get_f64(value);
    if (isnan(number))
        return (struct iceberg_bytes){NULL, 0};
    if (number == 0.0)
        return value_put_le(arena, upper ? 0 : UINT64_C(1) << (8 * value.length - 1), value.length);
    return value_put(arena, value.data, value.length);
}

static struct iceberg_bytes bound_make(struct tn_arena *arena, const struct iceberg_type *type,
                                       struct iceberg_bytes value, bool upper)
{
    size_t cut;
    if (!iceberg_value_valid(type, value))
        return (struct iceberg_bytes){NULL, 0};
    switch (type->kind) {
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        return bound_float(arena, value, upper);
    case ICEBERG_STRING:
        cut = bound_cut_text(value, BOUND_CODE_POINTS);
        if (upper && cut < value.length)
            return bound_increment_text(arena, value, cut);
        return value_put(arena, value.data, cut);
    case ICEBERG_BINARY:
        cut = TN_MIN(value.length, (size_t)BOUND_CODE_POINTS);
        if (upper && cut < value.length)
            return bound_increment_binary(arena, value, cut);
        return value_put(arena, value.data, cut);
    default:
        return value_put(arena, value.data, value.length);
    }
}

struct iceberg_bytes iceberg_bound_lower(struct tn_arena *arena, const struct iceberg_type *type,
                                         struct iceberg_bytes value)
{
    return bound_make(arena, type, value, false);
}

struct iceberg_bytes iceberg_bound_upper(struct tn_arena *arena, const struct iceberg_type *type,
                                         struct iceberg_bytes value)
{
    return bound_make(arena, type, value, true);
}
