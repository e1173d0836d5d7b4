/* numeric: digits to base 10,000, an exponent, a sign, a scale for showing. */
#include "postgres/decode.h"

#define HEADER_BYTES 8
#define GROUP        10000
#define DIGITS_MOST  38

enum { SIGN_PLUS = 0x0000, SIGN_MINUS = 0x4000, SIGN_NAN = 0xC000, SIGN_INFINITY = 0xD000, SIGN_NEGATIVE = 0xF000 };

struct numeric {
    const unsigned char *digits;
    int count, weight; /* the first group counts GROUP^weight */
    unsigned sign, scale;
};

static bool parse(const unsigned char *data, size_t length, struct numeric *ret)
{
    if (length < HEADER_BYTES)
        return false;
    struct numeric found = {
        .digits = data + HEADER_BYTES,
        .count = postgres_u16(data),
        .weight = (int16_t)postgres_u16(data + 2),
        .sign = postgres_u16(data + 4),
        .scale = postgres_u16(data + 6),
    };
    if (length != HEADER_BYTES + 2 * (size_t)found.count || found.scale > 16383)
        return false;
    switch (found.sign) {
    case SIGN_PLUS:
    case SIGN_MINUS:
    case SIGN_NAN:
    case SIGN_INFINITY:
    case SIGN_NEGATIVE:
        break;
    default:
        return false;
    }
    for (int i = 0; i < found.count; i++)
        if (postgres_u16(found.digits + 2 * i) >= GROUP)
            return false;
    *ret = found;
    return true;
}

static int group_at(const struct numeric *numeric, int place)
{
    return place >= 0 && place < numeric->count ? postgres_u16(numeric->digits + 2 * place) : 0;
}

static const int powers[] = {1, 10, 100, 1000, 10000};

/* sum * 10^digits + more, unless that has more than 38 digits. */
static bool shift_in(postgres_wide *sum, int digits, int more)
{
    postgres_wide shifted;
    if (__builtin_mul_overflow(*sum, (postgres_wide)powers[digits], &shifted) ||
        __builtin_add_overflow(shifted, (postgres_wide)more, &shifted))
        return false;
    *sum = shifted;
    return true;
}

static bool within_digits(postgres_wide value)
{
    postgres_wide limit = (postgres_wide)10000000000000000000ULL * (postgres_wide)10000000000000000000ULL;
    return value < limit;
}

enum postgres_numeric postgres_read_numeric(const unsigned char *data, size_t length, unsigned scale,
                                            postgres_wide *ret)
{
    struct numeric numeric;
    if (!parse(data, length, &numeric))
        return POSTGRES_MALFORMED;
    if (numeric.sign != SIGN_PLUS && numeric.sign != SIGN_MINUS)
        return POSTGRES_SPECIAL;
    while (numeric.count && group_at(&numeric, numeric.count - 1) == 0)
        numeric.count--;
    postgres_wide sum = 0;
    if (numeric.count) {
        for (int i = 0; i + 1 < numeric.count; i++)
            if (!shift_in(&sum, 4, group_at(&numeric, i)))
                return POSTGRES_INEXACT;
        int last = group_at(&numeric, numeric.count - 1);
        /* Digits that the last group has left of its end, once scaled. */
        int exponent = 4 * (numeric.weight - (numeric.count - 1)) + (int)scale;
        if (exponent <= -4)
            return POSTGRES_INEXACT;
        if (exponent < 0) {
            if (last % powers[-exponent] != 0 || !shift_in(&sum, 4 + exponent, last / powers[-exponent]))
                return POSTGRES_INEXACT;
        } else if (!shift_in(&sum, 4, last)) {
            return POSTGRES_INEXACT;
        }
        if (exponent > 0 && sum != 0 && exponent > DIGITS_MOST)
            return POSTGRES_INEXACT;
        for (; exponent > 0 && sum != 0; exponent -= TN_MIN(exponent, 4))
            if (!shift_in(&sum, TN_MIN(exponent, 4), 0))
                return POSTGRES_INEXACT;
    }
    if (!within_digits(sum))
        return POSTGRES_INEXACT;
    *ret = numeric.sign == SIGN_MINUS ? -sum : sum;
    return POSTGRES_EXACT;
}

bool postgres_numeric_text(const unsigned char *data, size_t length, struct tn_buf *out)
{
    struct numeric numeric;
    if (!parse(data, length, &numeric))
        return false;
    if (numeric.sign == SIGN_NAN) {
        tn_buf_puts(out, "NaN");
        return true;
    }
    if (numeric.sign == SIGN_INFINITY || numeric.sign == SIGN_NEGATIVE) {
        tn_buf_puts(out, numeric.sign == SIGN_INFINITY ? "Infinity" : "-Infinity");
        return true;
    }
    if (numeric.sign == SIGN_MINUS)
        tn_buf_putc(out, '-');
    if (numeric.weight < 0)
        tn_buf_putc(out, '0');
    for (int place = 0; place <= numeric.weight; place++)
        tn_buf_printf(out, place == 0 ? "%d" : "%04d", group_at(&numeric, place));
    if (numeric.scale == 0)
        return true;
    tn_buf_putc(out, '.');
    size_t end = out->len + numeric.scale;
    for (int place = numeric.weight + 1; out->len < end; place++)
        tn_buf_printf(out, "%04d", group_at(&numeric, place));
    out->len = end;
    out->data[end] = '\0';
    return true;
}
