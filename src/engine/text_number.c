/* Values as bare text: numbers, times, bytes. The writers add the quotes. */
#include "engine/vec.h"

#include <math.h>
#include <stdio.h>

#define MICROS_PER_DAY INT64_C(86400000000)

void text_put_uint128(struct tn_buf *out, engine_uint128 value)
{
    char text[40];
    char *start = text + sizeof text;
    do {
        *--start = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value);
    tn_buf_append(out, start, (size_t)(text + sizeof text - start));
}

void text_put_int128(struct tn_buf *out, engine_int128 value)
{
    if (value >= INT64_MIN && value <= INT64_MAX) {
        tn_format_i64(out, (int64_t)value);
        return;
    }
    if (value < 0)
        tn_buf_putc(out, '-');
    text_put_uint128(out, value < 0 ? 0 - (engine_uint128)value : (engine_uint128)value);
}

void text_put_decimal(struct tn_buf *out, engine_int128 unscaled, unsigned scale)
{
    char text[48];
    char *end = text + sizeof text;
    char *start = end;
    engine_uint128 wide = unscaled < 0 ? 0 - (engine_uint128)unscaled : (engine_uint128)unscaled;
    unsigned digits = 0;
    while (wide > UINT64_MAX) {
        *--start = (char)('0' + (int)(wide % 10));
        wide /= 10;
        if (++digits == scale)
            *--start = '.';
    }
    uint64_t rest = (uint64_t)wide;
    while (rest || digits <= scale) {
        *--start = (char)('0' + (int)(rest % 10));
        rest /= 10;
        if (++digits == scale)
            *--start = '.';
    }
    if (unscaled < 0)
        *--start = '-';
    tn_buf_append(out, start, (size_t)(end - start));
}

/* The shortest decimal that reads back as the same float. */
void text_put_float(struct tn_buf *out, float value)
{
    char text[32];
    if (value == 0 || (fabsf(value) < 16777216.0F && value == truncf(value))) {
        tn_format_f64(out, (double)value);
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    double rounded = 0;
    if (tn_parse_double(text, &rounded))
        tn_format_f64(out, rounded); /* the same digits, tidily */
    else
        tn_buf_puts(out, text);
}

static char *put_two(char *at, unsigned value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
    return at + 2;
}

/* Years beyond four digits get a sign, as ISO 8601 wants it. */
static char *put_civil(char *at, int32_t days)
{
    int year;
    unsigned month, day;
    tn_civil_from_days(days, &year, &month, &day);
    if (year >= 0 && year <= 9999) {
        at = put_two(at, (unsigned)year / 100);
        at = put_two(at, (unsigned)year % 100);
    } else {
        at += snprintf(at, 16, "%c%06d", year < 0 ? '-' : '+', abs(year));
    }
    *at++ = '-';
    at = put_two(at, month);
    *at++ = '-';
    return put_two(at, day);
}

/* "12:34:56" and, when it is not zero, the fraction without trailing zeros. */
static char *put_clock(char *at, int64_t value, int64_t per_second)
{
    int64_t seconds = value / per_second;
    int64_t fraction = value % per_second;
    at = put_two(at, (unsigned)(seconds / 3600));
    *at++ = ':';
    at = put_two(at, (unsigned)(seconds / 60 % 60));
    *at++ = ':';
    at = put_two(at, (unsigned)(seconds % 60));
    if (!fraction)
        return at;
    *at++ = '.';
    for (int64_t unit = per_second / 10; unit && fraction; unit /= 10) {
        *at++ = (char)('0' + fraction / unit);
        fraction %= unit;
    }
    return at;
}

void text_put_date(struct tn_buf *out, int32_t days)
{
    char text[32];
    if (days == INT32_MAX || days == -INT32_MAX) {
        tn_buf_puts(out, days > 0 ? "infinity" : "-infinity");
        return;
    }
    tn_buf_append(out, text, (size_t)(put_civil(text, days) - text));
}

void text_put_timestamp(struct tn_buf *out, int64_t value, int64_t per_second, const char *zone)
{
    char text[64];
    if (value == INT64_MAX || value == -INT64_MAX) {
        tn_buf_puts(out, value > 0 ? "infinity" : "-infinity");
        return;
    }
    int64_t per_day = per_second * 86400;
    int64_t days = value / per_day;
    int64_t rest = value % per_day;
    if (rest < 0) {
        rest += per_day;
        days--;
    }
    char *at = put_civil(text, (int32_t)days);
    *at++ = 'T';
    at = put_clock(at, rest, per_second);
    if (*zone)
        *at++ = *zone;
    tn_buf_append(out, text, (size_t)(at - text));
}

void text_put_time(struct tn_buf *out, int64_t value, int64_t per_second)
{
    char text[32];
    tn_buf_append(out, text, (size_t)(put_clock(text, value, per_second) - text));
}

void text_put_time_tz(struct tn_buf *out, uint64_t bits)
{
    duckdb_time_tz_struct parts = duckdb_from_time_tz((duckdb_time_tz){.bits = bits});
    int64_t micros =
        (((int64_t)parts.time.hour * 60 + parts.time.min) * 60 + parts.time.sec) * 1000000 + parts.time.micros;
    text_put_time(out, micros, 1000000);
    int offset = abs(parts.offset);
    tn_buf_printf(out, "%c%02d:%02d", parts.offset < 0 ? '-' : '+', offset / 3600, offset / 60 % 60);
    if (offset % 60)
        tn_buf_printf(out, ":%02d", offset % 60);
}

static void put_unit(struct tn_buf *out, size_t start, int64_t value, const char *unit)
{
    if (!value)
        return;
    tn_buf_printf(out, "%s%lld %s%s", out->len > start ? " " : "", (long long)value, unit,
                  value == 1 || value == -1 ? "" : "s");
}

/* "1 year 2 months 3 days 04:05:06.7", as DuckDB writes it. */
void text_put_interval(struct tn_buf *out, duckdb_interval value)
{
    size_t start = out->len;
    put_unit(out, start, value.months / 12, "year");
    put_unit(out, start, value.months % 12, "month");
    put_unit(out, start, value.days, "day");
    if (!value.micros && out->len > start)
        return;
    if (out->len > start)
        tn_buf_putc(out, ' ');
    if (value.micros < 0)
        tn_buf_putc(out, '-');
    uint64_t micros = value.micros < 0 ? 0 - (uint64_t)value.micros : (uint64_t)value.micros;
    uint64_t hours = micros / 3600000000U;
    if (hours >= 100) {
        /* put_clock has two digits for the hours. */
        tn_buf_printf(out, "%llu", (unsigned long long)hours);
        size_t before = out->len;
        text_put_time(out, (int64_t)(micros % 3600000000U), 1000000);
        memmove(out->data + before, out->data + before + 2, out->len - before - 1);
        out->len -= 2;
        return;
    }
    text_put_time(out, (int64_t)micros, 1000000);
}

/* DuckDB keeps a UUID as a number whose top bit is flipped, so that it sorts. */
void text_put_uuid(struct tn_buf *out, duckdb_hugeint value)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t halves[2] = {(uint64_t)value.upper ^ (UINT64_C(1) << 63), value.lower};
    char text[36];
    size_t at = 0;
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            text[at++] = '-';
        text[at++] = digits[halves[i / 16] >> (60 - i % 16 * 4) & 15];
    }
    tn_buf_append(out, text, at);
}

void text_put_base64(struct tn_buf *out, const char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)bytes;
    char *at = tn_buf_reserve(out, (length + 2) / 3 * 4);
    char *start = at;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t three =
            (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        *at++ = digits[three >> 18 & 63];
        *at++ = digits[three >> 12 & 63];
        *at++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[three & 63] : '=';
    }
    out->len += (size_t)(at - start);
    out->data[out->len] = '\0';
}

/* The first byte says how many bits of the second are padding. */
void text_put_bits(struct tn_buf *out, const char *bytes, size_t length)
{
    size_t padding = length ? (unsigned char)bytes[0] : 0;
    for (size_t bit = padding; length > 1 && bit < (length - 1) * 8; bit++)
        tn_buf_putc(out, (unsigned char)bytes[1 + bit / 8] >> (7 - bit % 8) & 1 ? '1' : '0');
}

/* Three bytes of header (top bit: not negative), then the magnitude, big
 * endian; all of it inverted when the number is negative. */
void text_put_bignum(struct tn_buf *out, const char *bytes, size_t length)
{
    if (length < 4) {
        tn_buf_puts(out, "0");
        return;
    }
    bool negative = !((unsigned char)bytes[0] & 0x80);
    size_t count = length - 3;
    unsigned char *digits = tn_malloc(count);
    for (size_t i = 0; i < count; i++)
        digits[i] = (unsigned char)(negative ? ~bytes[3 + i] : bytes[3 + i]);
    TN_AUTO_BUF reversed = {0};
    for (size_t first = 0; first < count;) {
        unsigned rest = 0;
        for (size_t i = first; i < count; i++) {
            unsigned value = rest << 8 | digits[i];
            digits[i] = (unsigned char)(value / 10);
            rest = value % 10;
        }
        tn_buf_putc(&reversed, (char)('0' + (int)rest));
        while (first < count && !digits[first])
            first++;
    }
    free(digits);
    if (negative)
        tn_buf_putc(out, '-');
    while (reversed.len)
        tn_buf_putc(out, reversed.data[--reversed.len]);
}
