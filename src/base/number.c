/* Numbers as text: the hot part of writing result rows. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
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

/* value = mantissa / 10^places, with at most 15 digits. Division of two exact
 * numbers is rounded correctly, so when it gives `value` back, the decimal
 * reads back as `value` too; and no two decimals of 15 digits are the same
 * double, so the fewest places give the shortest text. */
static bool as_short_decimal(double value, uint64_t *ret_mantissa, unsigned *ret_places)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    for (unsigned places = 0; places < TN_COUNT(powers); places++) {
        double scaled = value * powers[places];
        if (scaled >= 1e15)
            return false;
        uint64_t mantissa = (uint64_t)(scaled + 0.5);
        if ((double)mantissa / powers[places] == value) {
            *ret_mantissa = mantissa;
            *ret_places = places;
            return true;
        }
    }
    return false;
}

static void put_short_decimal(struct tn_buf *out, bool negative, uint64_t mantissa, unsigned places)
{
    char text[40];
    char *end = text + sizeof text;
    char *start = put_digits(end, mantissa);
    if (places) {
        while ((size_t)(end - start) <= places)
            *--start = '0';
        char *point = end - places;
        memmove(start - 1, start, (size_t)(point - start));
        start--;
        point[-1] = '.';
    }
    if (negative)
        *--start = '-';
    tn_buf_append(out, start, (size_t)(end - start));
}

/* "1e+05" is written "1e5", and a locale's comma becomes a point. */
static void put_tidy(struct tn_buf *out, const char *text)
{
    char tidy[40];
    size_t length = 0;
    bool exponent = false;
    for (const char *p = text; *p; p++) {
        if (*p == 'e') {
            exponent = true;
            tidy[length++] = 'e';
        } else if (exponent && (*p == '+' || (*p == '0' && (tidy[length - 1] == 'e' || tidy[length - 1] == '-')))) {
            continue;
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            tidy[length++] = *p;
        } else if (tidy[length - 1] != '.') {
            tidy[length++] = '.';
        }
    }
    tn_buf_append(out, tidy, length);
}

void tn_format_f64(struct tn_buf *out, double value)
{
    if (value == 0) {
        tn_buf_puts(out, signbit(value) ? "-0.0" : "0");
        return;
    }
    uint64_t mantissa;
    unsigned places;
    double magnitude = fabs(value);
    if (magnitude >= 1e-5 && magnitude < 1e15 && as_short_decimal(magnitude, &mantissa, &places)) {
        put_short_decimal(out, value < 0, mantissa, places);
        return;
    }
    /* Below the normal range fewer digits than 15 may do. */
    char text[40];
    for (int digits = magnitude < 2.3e-308 ? 1 : 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    put_tidy(out, text);
}
