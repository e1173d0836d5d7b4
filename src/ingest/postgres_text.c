/* Values that a lake holds as text, as the server writes them; arrays as JSON,
 * which the engine reads into lists. */
#include "ingest/postgres_load.h"

#include <inttypes.h>
#include <math.h>

#define EPOCH_DAYS 10957
#define SECOND_US  INT64_C(1000000)
#define HOUR_US    (INT64_C(3600) * SECOND_US)
#define DAY_US     (INT64_C(24) * HOUR_US)

/* "05:06:07.5": hours may have more than two digits. */
static void put_clock(struct tn_buf *out, uint64_t us)
{
    uint64_t seconds = us / 1000000;
    unsigned fraction = (unsigned)(us % 1000000);
    tn_buf_printf(out, "%02" PRIu64 ":%02u:%02u", seconds / 3600, (unsigned)(seconds / 60 % 60),
                  (unsigned)(seconds % 60));
    if (fraction == 0)
        return;
    char digits[8];
    (void)snprintf(digits, sizeof digits, "%06u", fraction);
    size_t length = 6;
    while (digits[length - 1] == '0')
        length--;
    tn_buf_putc(out, '.');
    tn_buf_append(out, digits, length);
}

bool pg_time_text(const unsigned char *data, size_t length, struct tn_buf *out)
{
    if (length != 8 || postgres_u64(data) > (uint64_t)DAY_US)
        return false;
    put_clock(out, postgres_u64(data));
    return true;
}

bool pg_timetz_text(const unsigned char *data, size_t length, struct tn_buf *out)
{
    if (length != 12 || !pg_time_text(data, 8, out))
        return false;
    int32_t west = (int32_t)postgres_u32(data + 8); /* seconds west of UTC */
    if (west > 24 * 3600 || west < -24 * 3600)
        return false;
    unsigned away = (unsigned)(west < 0 ? -west : west);
    tn_buf_printf(out, "%c%02u", west > 0 ? '-' : '+', away / 3600);
    if (away % 3600)
        tn_buf_printf(out, ":%02u", away / 60 % 60);
    if (away % 60)
        tn_buf_printf(out, ":%02u", away % 60);
    return true;
}

static bool put_day(int64_t days, struct tn_buf *out, bool *ret_before_christ)
{
    int year;
    unsigned month, day;
    if (days < INT32_MIN || days > INT32_MAX)
        return false;
    tn_civil_from_days((int32_t)days, &year, &month, &day);
    *ret_before_christ = year <= 0;
    tn_buf_printf(out, "%04d-%02u-%02u", year <= 0 ? 1 - year : year, month, day);
    return true;
}

bool pg_date_text(const unsigned char *data, size_t length, struct tn_buf *out)
{
    bool before = false;
    if (length != 4)
        return false;
    int32_t days = (int32_t)postgres_u32(data);
    if (days == INT32_MAX || days == INT32_MIN) {
        tn_buf_puts(out, days > 0 ? "infinity" : "-infinity");
        return true;
    }
    if (!put_day((int64_t)days + EPOCH_DAYS, out, &before))
        return false;
    if (before)
        tn_buf_puts(out, " (BC)");
    return true;
}

bool pg_timestamp_text(const unsigned char *data, size_t length, bool zoned, struct tn_buf *out)
{
    bool before = false;
    if (length != 8)
        return false;
    int64_t us = (int64_t)postgres_u64(data);
    if (us == INT64_MAX || us == INT64_MIN) {
        tn_buf_puts(out, us > 0 ? "infinity" : "-infinity");
        return true;
    }
    int64_t days = us / DAY_US, rest = us % DAY_US;
    if (rest < 0) {
        rest += DAY_US;
        days--;
    }
    if (!put_day(days + EPOCH_DAYS, out, &before))
        return false;
    /* The engine wants the era behind the day. */
    tn_buf_puts(out, before ? " (BC) " : " ");
    put_clock(out, (uint64_t)rest);
    if (zoned)
        tn_buf_puts(out, "+00");
    return true;
}

/* A part of an interval: "3 days", with a + behind a negative part, as the
 * server's style "postgres" has it. */
static void put_part(struct tn_buf *out, int64_t value, const char *unit, size_t start, bool *negative_before)
{
    if (value == 0)
        return;
    tn_buf_printf(out, "%s%s%" PRId64 " %s%s", out->len > start ? " " : "", *negative_before && value > 0 ? "+" : "",
                  value, unit, value == 1 ? "" : "s");
    *negative_before = value < 0;
}

bool pg_interval_text(const unsigned char *data, size_t length, struct tn_buf *out)
{
    if (length != 16)
        return false;
    int64_t us = (int64_t)postgres_u64(data);
    int32_t days = (int32_t)postgres_u32(data + 8), months = (int32_t)postgres_u32(data + 12);
    size_t start = out->len;
    bool negative = false;
    if ((us == INT64_MAX && days == INT32_MAX && months == INT32_MAX) ||
        (us == INT64_MIN && days == INT32_MIN && months == INT32_MIN)) { /* since PostgreSQL 17 */
        tn_buf_puts(out, us > 0 ? "infinity" : "-infinity");
        return true;
    }
    put_part(out, months / 12, "year", start, &negative);
    put_part(out, months % 12, "mon", start, &negative);
    put_part(out, days, "day", start, &negative);
    if (us == 0 && out->len > start)
        return true;
    tn_buf_puts(out, out->len > start ? " " : "");
    if (us < 0)
        tn_buf_putc(out, '-');
    else if (negative)
        tn_buf_putc(out, '+');
    put_clock(out, us < 0 ? -(uint64_t)us : (uint64_t)us);
    return true;
}

/* ---- arrays ------------------------------------------------------------------------ */

static void put_double(struct tn_buf *out, double value)
{
    if (isnan(value))
        tn_buf_puts(out, "\"NaN\"");
    else if (isinf(value))
        tn_buf_puts(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        tn_format_f64(out, value);
}

static bool put_quoted(bool made, const struct tn_buf *text, struct tn_buf *out)
{
    if (made)
        tn_json_quote(out, text->data ? text->data : "", text->len);
    return made;
}

static bool put_number(enum pg_form form, const unsigned char *data, size_t length, struct tn_buf *out)
{
    uint64_t bits;
    uint32_t small;
    double real;
    float single;
    switch (form) {
    case PG_BOOL:
        tn_buf_puts(out, length == 1 && data[0] ? "true" : "false");
        return length == 1;
    case PG_INT2:
        if (length == 2)
            tn_format_i64(out, (int16_t)postgres_u16(data));
        return length == 2;
    case PG_INT4:
        if (length == 4)
            tn_format_i64(out, (int32_t)postgres_u32(data));
        return length == 4;
    case PG_OID:
        if (length == 4)
            tn_format_i64(out, postgres_u32(data));
        return length == 4;
    case PG_INT8:
        if (length == 8)
            tn_format_i64(out, (int64_t)postgres_u64(data));
        return length == 8;
    case PG_FLOAT4:
        if (length != 4)
            return false;
        small = postgres_u32(data);
        memcpy(&single, &small, 4);
        put_double(out, (double)single);
        return true;
    default:
        if (length != 8)
            return false;
        bits = postgres_u64(data);
        memcpy(&real, &bits, 8);
        put_double(out, real);
        return true;
    }
}

static bool put_element(enum pg_form form, const unsigned char *data, size_t length, struct tn_buf *out)
{
    TN_AUTO_BUF text = {0};
    switch (form) {
    case PG_NUMERIC:
    case PG_NUMERIC_TEXT:
        return put_quoted(postgres_numeric_text(data, length, &text), &text, out);
    case PG_DATE:
        return put_quoted(pg_date_text(data, length, &text), &text, out);
    case PG_TIME:
        return put_quoted(pg_time_text(data, length, &text), &text, out);
    case PG_TIMETZ:
        return put_quoted(pg_timetz_text(data, length, &text), &text, out);
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return put_quoted(pg_timestamp_text(data, length, form == PG_TIMESTAMPTZ, &text), &text, out);
    case PG_INTERVAL:
        return put_quoted(pg_interval_text(data, length, &text), &text, out);
    case PG_UUID:
        if (length != 16)
            return false;
        tn_buf_putc(out, '"');
        for (size_t i = 0; i < 16; i++)
            tn_buf_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", data[i]);
        tn_buf_putc(out, '"');
        return true;
    case PG_BYTEA:
        tn_buf_puts(out, "\"\\\\x");
        for (size_t i = 0; i < length; i++)
            tn_buf_printf(out, "%02x", data[i]);
        tn_buf_putc(out, '"');
        return true;
    case PG_JSONB:
        if (length < 1 || data[0] != 1)
            return false;
        data++;
        length--;
        __attribute__((fallthrough));
    case PG_TEXT:
        if (tn_utf8_valid_prefix((const char *)data, length) != length || memchr(data, 0, length))
            return false;
        tn_json_quote(out, (const char *)data, length);
        return true;
    default:
        return put_number(form, data, length, out);
    }
}

static bool put_level(const struct pg_column *column, struct postgres_elements *elements, unsigned level,
                      struct tn_buf *out)
{
    tn_buf_putc(out, '[');
    for (uint32_t i = 0; i < elements->extent[level]; i++) {
        struct postgres_field field;
        if (i)
            tn_buf_putc(out, ',');
        if (level + 1 < elements->dimensions) {
            if (!put_level(column, elements, level + 1, out))
                return false;
        } else if (!postgres_read_element(elements, &field)) {
            return false;
        } else if (field.length < 0) {
            tn_buf_puts(out, "null");
        } else if (!put_element(column->element, field.data, (size_t)field.length, out)) {
            return false;
        }
    }
    tn_buf_putc(out, ']');
    return true;
}

bool pg_array_json(const struct pg_column *column, const unsigned char *data, size_t length, struct tn_buf *out,
                   const char **ret_why)
{
    struct postgres_elements elements;
    if (!postgres_read_array(data, length, &elements))
        return false;
    if (elements.dimensions == 0) {
        tn_buf_puts(out, "[]");
        return true;
    }
    if (column->dimensions && elements.dimensions != column->dimensions) {
        *ret_why = "an array with another number of dimensions than the dataset's column";
        return false;
    }
    return put_level(column, &elements, 0, out);
}
