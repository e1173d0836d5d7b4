#include "base/json_floats.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define DIGITS_MOST 18 /* that a mantissa holds for certain */
#define POWER_MOST  27 /* 10^27 and 10^-27's reciprocal are exact in 64 bits of mantissa */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t skip_space(const char *text, size_t length, size_t at)
{
    while (at < length && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'))
        at++;
    return at;
}

/* Digits of one number; leading zeros do not count. */
struct digits {
    uint64_t mantissa;
    int used, seen;
};

static size_t take_digits(const char *text, size_t length, size_t at, struct digits *digits)
{
    for (digits->seen = 0; at < length && is_digit(text[at]); at++, digits->seen++) {
        digits->mantissa = digits->mantissa * 10 + (uint64_t)(text[at] - '0');
        digits->used += digits->mantissa > 0;
        if (digits->used > DIGITS_MOST)
            return 0;
    }
    return digits->seen > 0 ? at : 0;
}

static size_t take_exponent(const char *text, size_t length, size_t at, int *ret)
{
    struct digits digits = {0};
    bool negative = at < length && text[at] == '-';
    if (at < length && (text[at] == '-' || text[at] == '+'))
        at++;
    at = take_digits(text, length, at, &digits);
    if (at == 0 || digits.mantissa > 100)
        return 0;
    *ret = negative ? -(int)digits.mantissa : (int)digits.mantissa;
    return at;
}

static bool scale(uint64_t mantissa, int power, float *ret)
{
    static const long double powers[POWER_MOST + 1] = {
        1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
        1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
    if (power < -POWER_MOST || power > POWER_MOST)
        return false;
    long double value = (long double)mantissa;
    value = power < 0 ? value / powers[-power] : value * powers[power];
    *ret = (float)value;
    return isfinite(*ret);
}

/* Where the number ends; 0: it is none, or one for strtod. */
static size_t take_number(const char *text, size_t length, size_t at, float *ret)
{
    struct digits digits = {0};
    int power = 0, exponent = 0;
    bool negative = at < length && text[at] == '-';
    at += negative;
    size_t first = at;
    at = take_digits(text, length, at, &digits);
    if (at == 0 || (text[first] == '0' && digits.seen > 1))
        return 0;
    if (at < length && text[at] == '.') {
        at = take_digits(text, length, at + 1, &digits);
        if (at == 0)
            return 0;
        power = -digits.seen;
    }
    if (at < length && (text[at] == 'e' || text[at] == 'E')) {
        at = take_exponent(text, length, at + 1, &exponent);
        if (at == 0)
            return 0;
    }
    if (!scale(digits.mantissa, power + exponent, ret))
        return 0;
    if (negative)
        *ret = -*ret;
    return at;
}

static bool take_list(const char *text, size_t length, size_t at, float *out, size_t capacity,
                      struct tn_json_floats *ret)
{
    struct tn_json_floats list = {.begin = at};
    for (;;) {
        at = skip_space(text, length, at);
        if (list.count == capacity || (at = take_number(text, length, at, &out[list.count])) == 0)
            return false;
        list.count++;
        at = skip_space(text, length, at);
        if (at >= length || (text[at] != ',' && text[at] != ']'))
            return false;
        if (text[at] == ']')
            break;
        at++;
    }
    list.end = at;
    *ret = list;
    return true;
}

/* Behind the closing quote of the string whose first byte is at `at`; 0: it has no end. */
static size_t skip_string(const char *text, size_t length, size_t at)
{
    for (; at < length && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at < length ? at + 1 : 0;
}

/* The first byte between the brackets, when the string at `at` is the key of a list. */
static size_t list_of_key(const char *text, size_t length, size_t at, const char *key)
{
    size_t wanted = strlen(key);
    if (length - at <= wanted || memcmp(text + at, key, wanted) != 0 || text[at + wanted] != '"')
        return 0;
    at = skip_space(text, length, at + wanted + 1);
    if (at >= length || text[at] != ':')
        return 0;
    at = skip_space(text, length, at + 1);
    return at < length && text[at] == '[' ? at + 1 : 0;
}

bool tn_json_cut_floats(const char *text, size_t length, const char *key, float *out, size_t capacity,
                        struct tn_json_floats *ret)
{
    unsigned depth = 0;
    bool key_place = false; /* behind the outermost '{', or a ',' of its own */
    for (size_t at = 0; at < length;) {
        char c = text[at++];
        if (c == '"') {
            size_t list = key_place && depth == 1 ? list_of_key(text, length, at, key) : 0;
            if (list != 0)
                return take_list(text, length, list, out, capacity, ret);
            if ((at = skip_string(text, length, at)) == 0)
                return false;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth-- == 0)
                return false;
        }
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            key_place = (c == '{' && at > 0) || c == ',';
    }
    return false;
}
