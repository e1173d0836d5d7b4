/* Numbers as text: the hot part of writing result rows. */
#include "base/decimal_internal.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

/* Writes the digits so that they end before `end`; returns where they begin. */
static char *put_digits(char *end, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    while (value >= 100) {
        end -= 2;
        memcpy(end, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, pairs + value * 2, 2);
    } else {
        *--end = (char)('0' + value);
    }
    return end;
}

void tn_format_i64(struct tn_buf *out, int64_t value)
{
    char text[24];
    char *end = text + sizeof text;
    char *start = put_digits(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        *--start = '-';
    tn_buf_append(out, start, (size_t)(end - start));
}

static struct decimal without_zeros(struct decimal d)
{
    while (d.digits % 100 == 0) {
        d.digits /= 100;
        d.exponent += 2;
    }
    if (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    return d;
}

/* 0.00012, 12, 1.2, 1200 or 1.2e-7, whichever a person would write: the point
 * stays put from 1e-5 up to 1e16. */
static void put_decimal(struct tn_buf *out, bool negative, struct decimal d)
{
    char digits[24], text[48];
    char *end = digits + sizeof digits;
    const char *start = put_digits(end, d.digits);
    int count = (int)(end - start);
    int point = count + d.exponent; /* digits before the point */
    char *to = text;
    if (negative)
        *to++ = '-';
    if (point > 16 || point < -4) {
        *to++ = *start;
        if (count > 1) {
            *to++ = '.';
            to = mempcpy(to, start + 1, (size_t)(count - 1));
        }
        *to++ = 'e';
        tn_buf_append(out, text, (size_t)(to - text));
        tn_format_i64(out, point - 1);
        return;
    }
    if (point <= 0) {
        to = mempcpy(to, "0.0000", (size_t)(2 - point));
        to = mempcpy(to, start, (size_t)count);
    } else if (point < count) {
        to = mempcpy(to, start, (size_t)point);
        *to++ = '.';
        to = mempcpy(to, start + point, (size_t)(count - point));
    } else {
        to = mempcpy(to, start, (size_t)count);
        memset(to, '0', (size_t)(point - count));
        to += point - count;
    }
    tn_buf_append(out, text, (size_t)(to - text));
}

/* Zero and whole numbers need no search. */
static bool put_simple(struct tn_buf *out, double value)
{
    if (value == 0) {
        if (signbit(value))
            tn_buf_append(out, "-0.0", 4);
        else
            tn_buf_putc(out, '0');
        return true;
    }
    if (fabs(value) < 1e15 && (double)(int64_t)value == value) {
        tn_format_i64(out, (int64_t)value);
        return true;
    }
    return false;
}

void tn_format_f64(struct tn_buf *out, double value)
{
    if (!put_simple(out, value))
        put_decimal(out, value < 0, without_zeros(decimal_of_double(fabs(value))));
}

void tn_format_f32(struct tn_buf *out, float value)
{
    /* Beyond 2^24 a whole float has shorter neighbours: 123456790, not ...789. */
    if (fabsf(value) > 16777216.0F || !put_simple(out, (double)value))
        put_decimal(out, value < 0, without_zeros(decimal_of_float(fabsf(value))));
}
