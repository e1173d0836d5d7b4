/* Strict parsers of numbers, sizes and times, and their printers. */
#include "base/str.h"

#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

bool tn_str_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool tn_str_ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

char tn_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool tn_str_equal_nocase(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if (tn_ascii_lower(*a) != tn_ascii_lower(*b))
            return false;
    }
    return *a == *b;
}

bool tn_name_has_ending(const char *name, const char *const *endings)
{
    size_t length = strlen(name);
    for (; *endings; endings++) {
        size_t size = strlen(*endings);
        if (length > size && tn_str_equal_nocase(name + length - size, *endings))
            return true;
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits; false when there are none or they do not fit. */
static bool scan_u64(const char **text, uint64_t *ret)
{
    const char *p = *text;
    uint64_t value = 0;
    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++) {
        if (__builtin_mul_overflow(value, 10U, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    }
    *text = p;
    *ret = value;
    return true;
}

bool tn_parse_u64(const char *text, uint64_t *ret)
{
    uint64_t value;
    if (!scan_u64(&text, &value) || *text)
        return false;
    *ret = value;
    return true;
}

bool tn_parse_i64(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    uint64_t magnitude;
    if (!tn_parse_u64(text + negative, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static locale_t c_locale;
static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* [-]digits[.digits][e[+-]digits]: what strtod takes beyond that (hexadecimal,
 * "inf", leading space) is refused before it is asked. */
static bool is_decimal(const char *p)
{
    if (*p == '-')
        p++;
    size_t digits = 0;
    for (; is_digit(*p); p++)
        digits++;
    if (*p == '.') {
        for (p++; is_digit(*p); p++)
            digits++;
    }
    if (digits == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        if (!is_digit(*p))
            return false;
        while (is_digit(*p))
            p++;
    }
    return *p == '\0';
}

bool tn_parse_double(const char *text, double *ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_c_locale);
    if (!is_decimal(text))
        return false;
    double value = c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
    if (!isfinite(value))
        return false;
    *ret = value;
    return true;
}

bool tn_parse_bool(const char *text, bool *ret)
{
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < TN_COUNT(words); i++) {
        for (size_t value = 0; value < 2; value++) {
            if (tn_str_equal_nocase(text, words[i][value])) {
                *ret = value == 1;
                return true;
            }
        }
    }
    return false;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* digits[.digits]unit; a fraction needs a unit that it can be a part of. */
static bool parse_quantity(const char *text, const struct unit *units, size_t count, uint64_t *ret)
{
    uint64_t whole, part = 0, part_scale = 1;
    if (!scan_u64(&text, &whole))
        return false;
    bool fraction = *text == '.';
    if (fraction) {
        text++;
        if (!is_digit(*text))
            return false;
        for (; is_digit(*text); text++) {
            if (part_scale < UINT64_C(1000000000)) { /* finer digits do not matter */
                part = part * 10 + (uint64_t)(*text - '0');
                part_scale *= 10;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!tn_str_equal_nocase(text, units[i].name))
            continue;
        if (fraction && units[i].factor == 1)
            return false;
        u128 value = (u128)whole * units[i].factor + (u128)part * units[i].factor / part_scale;
        if (value > UINT64_MAX)
            return false;
        *ret = (uint64_t)value;
        return true;
    }
    return false;
}

bool tn_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"K", UINT64_C(1) << 10},
        {"KB", UINT64_C(1) << 10},
        {"KiB", UINT64_C(1) << 10},
        {"M", UINT64_C(1) << 20},
        {"MB", UINT64_C(1) << 20},
        {"MiB", UINT64_C(1) << 20},
        {"G", UINT64_C(1) << 30},
        {"GB", UINT64_C(1) << 30},
        {"GiB", UINT64_C(1) << 30},
        {"T", UINT64_C(1) << 40},
        {"TB", UINT64_C(1) << 40},
        {"TiB", UINT64_C(1) << 40},
    };
    return parse_quantity(text, units, TN_COUNT(units), ret_bytes);
}

bool tn_parse_duration_ms(const char *text, uint64_t *ret_ms)
{
    static const struct unit units[] = {{"", 1},      {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    return parse_quantity(text, units, TN_COUNT(units), ret_ms);
}

const char *tn_format_size(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    /* 1023.95 would print as "1024.0". */
    while (unit + 1 < TN_COUNT(units) && value >= (unit == 0 ? 1024.0 : 1023.95)) {
        value /= 1024.0;
        unit++;
    }
    if (unit == 0)
        (void)snprintf(out, 32, "%u B", (unsigned)bytes);
    else
        (void)snprintf(out, 32, "%.1f %s", value, units[unit]);
    return out;
}

const char *tn_format_count(int64_t value, char out[32])
{
    char digits[24];
    bool negative = value < 0;
    int length = snprintf(digits, sizeof digits, "%" PRIu64, negative ? 0 - (uint64_t)value : (uint64_t)value);
    size_t at = 0;
    if (negative)
        out[at++] = '-';
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *tn_format_duration(uint64_t ms, char out[32])
{
    uint64_t seconds = ms / 1000;
    if (ms < 1000)
        (void)snprintf(out, 32, "%ums", (unsigned)ms);
    else if (seconds < 60)
        (void)snprintf(out, 32, "%u.%us", (unsigned)seconds, (unsigned)(ms % 1000 / 100));
    else if (seconds < 3600)
        (void)snprintf(out, 32, "%um %us", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
    else if (seconds < 86400)
        (void)snprintf(out, 32, "%uh %um", (unsigned)(seconds / 3600), (unsigned)(seconds % 3600 / 60));
    else
        (void)snprintf(out, 32, "%llud %uh", (unsigned long long)(seconds / 86400),
                       (unsigned)(seconds % 86400 / 3600));
    return out;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    char lower = tn_ascii_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool tn_url_decode(char *text, bool plus_is_space)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        char c = *in;
        if (c == '%') {
            int high = hex_value(in[1]);
            int low = high < 0 ? -1 : hex_value(in[2]);
            if (low < 0 || high + low == 0)
                return false;
            c = (char)(high * 16 + low);
            in += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *out++ = c;
    }
    *out = '\0';
    return true;
}

void tn_hex_encode(const void *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * count] = '\0';
}

bool tn_hex_decode(const char *hex, void *out, size_t count)
{
    for (size_t i = 0; i < 2 * count; i++) {
        if (hex_value(hex[i]) < 0) /* also the terminator of a short text */
            return false;
    }
    if (hex[2 * count] != '\0')
        return false;
    unsigned char *bytes = out;
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(hex_value(hex[2 * i]) * 16 + hex_value(hex[2 * i + 1]));
    return true;
}
