/* Values as text: parsed from statistics and predicates, printed for people. */
#include "iceberg/value.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MICROS_PER_DAY INT64_C(86400000000)

/* --- Reading --- */

struct value_text {
    const char *at, *end;
};

static bool value_literal(struct value_text *in, char c)
{
    if (in->at >= in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* Between `least` and `most` digits. */
static bool value_digits(struct value_text *in, int least, int most, int *ret)
{
    int value = 0, n = 0;
    for (; n < most && in->at < in->end && *in->at >= '0' && *in->at <= '9'; n++)
        value = value * 10 + (*in->at++ - '0');
    *ret = value;
    return n >= least;
}

static bool value_date(struct value_text *in, int32_t *ret_days)
{
    int year, month, day;
    if (!value_digits(in, 4, 6, &year) || !value_literal(in, '-') || !value_digits(in, 2, 2, &month) ||
        !value_literal(in, '-') || !value_digits(in, 2, 2, &day) ||
        !tn_civil_valid(year, (unsigned)month, (unsigned)day))
        return false;
    *ret_days = tn_days_from_civil(year, (unsigned)month, (unsigned)day);
    return true;
}

static bool value_time(struct value_text *in, int64_t *ret_micros)
{
    int hour, minute, second, fraction = 0;
    if (!value_digits(in, 2, 2, &hour) || !value_literal(in, ':') || !value_digits(in, 2, 2, &minute) ||
        !value_literal(in, ':') || !value_digits(in, 2, 2, &second) || hour > 23 || minute > 59 || second > 59)
        return false;
    if (value_literal(in, '.')) {
        const char *start = in->at;
        if (!value_digits(in, 1, 6, &fraction))
            return false;
        for (ptrdiff_t n = in->at - start; n < 6; n++)
            fraction *= 10;
    }
    *ret_micros = ((hour * INT64_C(60) + minute) * 60 + second) * 1000000 + fraction;
    return true;
}

/* "Z", "+02", "+02:30", "-0230" or nothing. */
static bool value_offset(struct value_text *in, int64_t *ret_micros)
{
    *ret_micros = 0;
    if (in->at == in->end || value_literal(in, 'Z'))
        return true;
    int sign = *in->at == '-' ? -1 : 1, hours, minutes = 0;
    if (!value_literal(in, '+') && !value_literal(in, '-'))
        return false;
    if (!value_digits(in, 2, 2, &hours))
        return false;
    if (in->at < in->end) {
        (void)value_literal(in, ':');
        if (!value_digits(in, 2, 2, &minutes))
            return false;
    }
    *ret_micros = sign * (hours * INT64_C(60) + minutes) * 60 * 1000000;
    return hours <= 18 && minutes <= 59;
}

static bool value_timestamp(struct value_text *in, bool zoned, int64_t *ret_micros)
{
    int32_t days;
    int64_t micros = 0, offset = 0;
    if (!value_date(in, &days))
        return false;
    if (in->at < in->end) {
        if (!value_literal(in, ' ') && !value_literal(in, 'T'))
            return false;
        if (!value_time(in, &micros) || (zoned && !value_offset(in, &offset)))
            return false;
    }
    *ret_micros = days * MICROS_PER_DAY + micros - offset;
    return true;
}

/* "-12.5" at a scale of 2 is -1250; digits that do not fit are refused. */
static bool value_decimal(struct value_text *in, int precision, int scale, value_i128 *ret)
{
    bool negative = value_literal(in, '-');
    value_i128 number = 0, limit = 1;
    int digits = 0, fraction = -1;
    for (int i = 0; i < precision; i++)
        limit *= 10;
    for (; in->at < in->end; in->at++) {
        if (*in->at == '.' && fraction < 0) {
            fraction = 0;
            continue;
        }
        if (*in->at < '0' || *in->at > '9')
            return false;
        digits++;
        if (fraction >= scale) {
            if (*in->at != '0')
                return false;
            continue;
        }
        if (number > limit / 10)
            return false;
        number = number * 10 + (*in->at - '0');
        fraction += fraction >= 0;
    }
    for (int i = fraction < 0 ? 0 : fraction; i < scale && number < limit; i++)
        number *= 10;
    *ret = negative ? -number : number;
    return digits > 0 && number < limit;
}

static bool value_float(const char *text, double *ret)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"inf", (double)INFINITY},
                 {"infinity", (double)INFINITY},
                 {"-inf", -(double)INFINITY},
                 {"-infinity", -(double)INFINITY},
                 {"nan", (double)NAN}};
    for (size_t i = 0; i < TN_COUNT(words); i++) {
        if (tn_str_equal_nocase(text, words[i].word)) {
            *ret = words[i].value;
            return true;
        }
    }
    return tn_parse_double(text, ret);
}

static bool value_parse_float(struct tn_arena *arena, enum iceberg_kind kind, const char *text,
                              struct iceberg_bytes *ret)
{
    double number = 0;
    if (!value_float(text, &number))
        return false;
    uint64_t bits = 0;
    if (kind == ICEBERG_FLOAT) {
        float narrow = (float)number;
        uint32_t half;
        memcpy(&half, &narrow, sizeof half);
        bits = half;
    } else {
        memcpy(&bits, &number, sizeof bits);
    }
    *ret = value_put_le(arena, bits, kind == ICEBERG_FLOAT ? 4 : 8);
    return true;
}

static bool value_parse_uuid(struct tn_arena *arena, const char *text, size_t length, struct iceberg_bytes *ret)
{
    char hex[33];
    uint8_t bytes[16];
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        bool dash = length == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (dash ? text[i] != '-' : n >= 32)
            return false;
        if (!dash)
            hex[n++] = text[i];
    }
    hex[n] = '\0';
    if (n != 32 || !tn_hex_decode(hex, bytes, sizeof bytes))
        return false;
    *ret = value_put(arena, bytes, sizeof bytes);
    return true;
}

static bool value_parse_hex(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                            struct iceberg_bytes *ret)
{
    size_t count = length / 2;
    if (length % 2 || (type->kind == ICEBERG_FIXED && count != (size_t)type->length))
        return false;
    uint8_t *bytes = tn_arena_alloc(arena, count + 1);
    if (!tn_hex_decode(text, bytes, count))
        return false;
    *ret = (struct iceberg_bytes){bytes, count};
    return true;
}

static bool value_parse_integer(struct tn_arena *arena, enum iceberg_kind kind, const char *text,
                                struct iceberg_bytes *ret)
{
    int64_t number = 0;
    if (!tn_parse_i64(text, &number) || (kind == ICEBERG_INT && (number < INT32_MIN || number > INT32_MAX)))
        return false;
    *ret = value_put_le(arena, (uint64_t)number, kind == ICEBERG_INT ? 4 : 8);
    return true;
}

static bool value_parse_clock(struct tn_arena *arena, enum iceberg_kind kind, struct value_text in,
                              struct iceberg_bytes *ret)
{
    int32_t days = 0;
    int64_t micros = 0;
    bool ok;
    if (kind == ICEBERG_DATE)
        ok = value_date(&in, &days);
    else if (kind == ICEBERG_TIME)
        ok = value_time(&in, &micros);
    else
        ok = value_timestamp(&in, kind == ICEBERG_TIMESTAMPTZ, &micros);
    if (!ok || in.at != in.end)
        return false;
    *ret = kind == ICEBERG_DATE ? value_put_le(arena, (uint32_t)days, 4) : value_put_le(arena, (uint64_t)micros, 8);
    return true;
}

/* `text` is NUL-terminated here. */
static bool value_parse_kind(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                             struct iceberg_bytes *ret)
{
    struct value_text in = {text, text + length};
    bool flag = false;
    value_i128 decimal = 0;
    switch (type->kind) {
    case ICEBERG_BOOLEAN:
        if (!tn_parse_bool(text, &flag))
            return false;
        *ret = value_put_le(arena, flag, 1);
        return true;
    case ICEBERG_INT:
    case ICEBERG_LONG:
        return value_parse_integer(arena, type->kind, text, ret);
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        return value_parse_float(arena, type->kind, text, ret);
    case ICEBERG_DECIMAL:
        if (!value_decimal(&in, type->precision, type->scale, &decimal))
            return false;
        *ret = value_put_decimal(arena, decimal);
        return true;
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        return value_parse_clock(arena, type->kind, in, ret);
    case ICEBERG_STRING:
        *ret = value_put(arena, text, length);
        return tn_utf8_valid_prefix(text, length) == length;
    case ICEBERG_UUID:
        return value_parse_uuid(arena, text, length, ret);
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
        return value_parse_hex(arena, type, text, length, ret);
    default:
        return false;
    }
}

enum tn_code iceberg_value_parse(struct tn_arena *arena, const struct iceberg_type *type, const char *text,
                                 size_t length, struct iceberg_bytes *ret, struct tn_error *err)
{
    TN_AUTO_FREE char *copy = tn_strndup(text, length);
    struct iceberg_bytes value = {NULL, 0};
    /* Only text may have a NUL inside. */
    bool whole = type->kind == ICEBERG_STRING || strlen(copy) == length;
    bool ok = type->kind == ICEBERG_STRING ? value_parse_kind(arena, type, text, length, &value)
                                           : whole && value_parse_kind(arena, type, copy, length, &value);
    if (!ok) {
        TN_AUTO_BUF name = {0};
        iceberg_type_format(type, &name);
        return tn_fail(err, TN_EREQUEST, "\"%.80s\" is not a value of type %s", copy, name.data);
    }
    *ret = value;
    return TN_OK;
}

/* --- Printing --- */

static void value_format_time(int64_t micros, struct tn_buf *out)
{
    int64_t second = micros / 1000000;
    tn_buf_printf(out, "%02d:%02d:%02d", (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
    if (micros % 1000000)
        tn_buf_printf(out, ".%06d", (int)(micros % 1000000));
}

static void value_format_date(int32_t days, struct tn_buf *out)
{
    int year;
    unsigned month, day;
    tn_civil_from_days(days, &year, &month, &day);
    tn_buf_printf(out, "%04d-%02u-%02u", year, month, day);
}

static void value_format_timestamp(int64_t micros, bool zoned, struct tn_buf *out)
{
    int64_t days = micros / MICROS_PER_DAY, rest = micros % MICROS_PER_DAY;
    if (rest < 0) {
        rest += MICROS_PER_DAY;
        days--;
    }
    value_format_date((int32_t)days, out);
    tn_buf_putc(out, ' ');
    value_format_time(rest, out);
    tn_buf_puts(out, zoned ? "+00:00" : "");
}

static void value_format_decimal(value_i128 number, int scale, struct tn_buf *out)
{
    char digits[64];
    int n = 0;
    value_u128 rest = number < 0 ? -(value_u128)number : (value_u128)number;
    do {
        if (n == scale && n > 0)
            digits[n++] = '.';
        digits[n++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest || n <= scale + (scale > 0));
    tn_buf_puts(out, number < 0 ? "-" : "");
    while (n)
        tn_buf_putc(out, digits[--n]);
}

static void value_format_hex(struct iceberg_bytes value, struct tn_buf *out)
{
    for (size_t i = 0; i < value.length; i++)
        tn_buf_printf(out, "%02x", value.data[i]);
}

static void value_format_uuid(struct iceberg_bytes value, struct tn_buf *out)
{
    for (size_t i = 0; i < value.length; i++)
        tn_buf_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", value.data[i]);
}

static void value_format_float(double number, struct tn_buf *out)
{
    if (isfinite(number))
        tn_format_f64(out, number);
    else
        tn_buf_puts(out, isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
}

void iceberg_value_format(const struct iceberg_type *type, struct iceberg_bytes value, struct tn_buf *out)
{
    if (!iceberg_value_valid(type, value)) {
        value_format_hex(value, out);
        return;
    }
    switch (type->kind) {
    case ICEBERG_BOOLEAN:
        tn_buf_puts(out, value.data[0] ? "true" : "false");
        break;
    case ICEBERG_INT:
    case ICEBERG_LONG:
        tn_buf_printf(out, "%" PRId64, value_get_i64(value));
        break;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        value_format_float(value_get_f64(value), out);
        break;
    case ICEBERG_DECIMAL:
        value_format_decimal(value_get_decimal(value), type->scale, out);
        break;
    case ICEBERG_DATE:
        value_format_date((int32_t)value_get_i64(value), out);
        break;
    case ICEBERG_TIME:
        value_format_time(value_get_i64(value), out);
        break;
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        value_format_timestamp(value_get_i64(value), type->kind == ICEBERG_TIMESTAMPTZ, out);
        break;
    case ICEBERG_STRING:
        tn_buf_append(out, value.data, value.length);
        break;
    case ICEBERG_UUID:
        value_format_uuid(value, out);
        break;
    default:
        value_format_hex(value, out);
        break;
    }
}
