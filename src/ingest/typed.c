/* Numbers, booleans, identifiers: text to value. */
#include "ingest/typed.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

bool typed_int(const char *text, size_t length, int64_t *ret)
{
    size_t at = length && text[0] == '-';
    if (at == length || length - at > 19)
        return false;
    uint64_t value = 0;
    for (size_t i = at; i < length; i++) {
        if (!is_digit(text[i]))
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX + (at ? 1 : 0))
        return false;
    *ret = at ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* A decimal taken apart: digits without point or sign, as far as they fit. */
struct parts {
    uint64_t mantissa;
    unsigned digits; /* significant ones */
    int exponent;    /* of ten, applied to the mantissa */
    bool negative, has_point, has_exponent, signed_exponent;
    bool exact; /* the mantissa holds all digits */
};

static bool take_digits(const char **p, const char *end, struct parts *parts, bool fraction)
{
    const char *start = *p;
    for (; *p < end && is_digit(**p); (*p)++) {
        if (parts->digits >= 19) {
            parts->exact &= **p == '0';
            parts->exponent += !fraction;
            continue;
        }
        parts->mantissa = parts->mantissa * 10 + (uint64_t)(**p - '0');
        parts->digits += parts->mantissa != 0;
        parts->exponent -= fraction;
    }
    return *p > start;
}

static bool take_exponent(const char *p, const char *end, struct parts *parts)
{
    parts->has_exponent = true;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) {
        parts->signed_exponent = true;
        p++;
    }
    if (p == end || end - p > 5)
        return false;
    int value = 0;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return false;
        value = value * 10 + (*p - '0');
    }
    parts->exponent += negative ? -value : value;
    return true;
}

static bool take_apart(const char *text, size_t length, struct parts *ret)
{
    struct parts parts = {.exact = true};
    const char *p = text, *end = text + length;
    if (p < end && *p == '-') {
        parts.negative = true;
        p++;
    }
    bool whole = take_digits(&p, end, &parts, false);
    if (p < end && *p == '.') {
        parts.has_point = true;
        p++;
        if (!take_digits(&p, end, &parts, true))
            return false;
    } else if (!whole) {
        return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        if (!take_exponent(p + 1, end, &parts))
            return false;
    } else if (p < end) {
        return false;
    }
    *ret = parts;
    return true;
}

/* More digits than arithmetic in doubles gets right: the library's strtod,
 * in the C locale whatever the process says. */
static bool slow_double(const char *text, size_t length, double *ret)
{
    static _Thread_local locale_t c_locale;
    if (!c_locale)
        c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char small[128], *copy = small;
    if (length >= sizeof small) {
        copy = malloc(length + 1);
        if (!copy)
            return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    double value = strtod_l(copy, NULL, c_locale);
    if (copy != small)
        free(copy);
    if (!isfinite(value))
        return false;
    *ret = value;
    return true;
}

/* Exact when the mantissa and the power of ten both are doubles without
 * rounding: then one multiplication or division rounds once, as it should. */
static bool parts_to_double(const struct parts *parts, const char *text, size_t length, double *ret)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (!parts->exact || parts->mantissa > (UINT64_C(1) << 53) || parts->exponent < -22 || parts->exponent > 22)
        return slow_double(text, length, ret);
    double value = (double)parts->mantissa;
    value = parts->exponent < 0 ? value / powers[-parts->exponent] : value * powers[parts->exponent];
    *ret = parts->negative ? -value : value;
    return true;
}

bool typed_double_plain(const char *text, size_t length, double *ret)
{
    struct parts parts;
    if (!take_apart(text, length, &parts))
        return false;
    if (!parts.has_point && !(parts.has_exponent && parts.signed_exponent))
        return false;
    return parts_to_double(&parts, text, length, ret);
}

bool typed_double(const char *text, size_t length, double *ret)
{
    struct parts parts;
    return take_apart(text, length, &parts) && parts_to_double(&parts, text, length, ret);
}

bool typed_decimal(const char *text, size_t length, unsigned width, unsigned scale, typed_wide *ret)
{
    const char *p = text, *end = text + length;
    bool negative = p < end && *p == '-';
    p += negative;
    typed_wide value = 0;
    unsigned digits = 0, fraction = 0;
    bool any = false, point = false;
    for (; p < end; p++) {
        if (*p == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(*p))
            return false;
        any = true;
        if (point && fraction == scale) {
            if (*p != '0')
                return false;
            continue;
        }
        value = value * 10 + (*p - '0');
        digits += value != 0;
        fraction += point;
        if (digits > width)
            return false;
    }
    for (; fraction < scale; fraction++) {
        value *= 10;
        digits += value != 0;
        if (digits > width)
            return false;
    }
    if (!any)
        return false;
    *ret = negative ? -value : value;
    return true;
}

bool typed_bool(const char *text, size_t length, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"t", true},  {"f", false}, {"yes", true},
                 {"no", false},  {"y", true},      {"n", false}, {"1", true},  {"0", false}};
    if (length == 0 || length > 5)
        return false;
    /* The bit makes letters small and leaves digits as they are. */
    char first = (char)(text[0] | 0x20);
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (words[i].word[0] == first && strlen(words[i].word) == length &&
            strncasecmp(text, words[i].word, length) == 0) {
            *ret = words[i].value;
            return true;
        }
    return false;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool typed_uuid(const char *text, size_t length, unsigned char ret[16])
{
    unsigned char bytes[16];
    size_t count = 0;
    if (length == 38 && text[0] == '{' && text[37] == '}') {
        text++;
        length -= 2;
    }
    if (length != 36 && length != 32)
        return false;
    for (size_t i = 0; i < length;) {
        if (length == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (text[i++] != '-')
                return false;
            continue;
        }
        int high = hex_digit(text[i]), low = i + 1 < length ? hex_digit(text[i + 1]) : -1;
        if (high < 0 || low < 0)
            return false;
        bytes[count++] = (unsigned char)(high * 16 + low);
        i += 2;
    }
    memcpy(ret, bytes, sizeof bytes);
    return count == 16;
}

static bool parse_integer(const struct typed_target *target, const char *text, size_t length, union typed_value *ret,
                          const char **ret_why)
{
    int64_t value;
    if (!typed_int(text, length, &value)) {
        *ret_why = "not an integer";
        return false;
    }
    if (target->type.kind == ENGINE_INTEGER && (value < INT32_MIN || value > INT32_MAX)) {
        *ret_why = "out of the range of 32 bits";
        return false;
    }
    ret->integer = value;
    return true;
}

static bool parse_moment(const struct typed_target *target, const char *text, size_t length, union typed_value *ret,
                         const char **ret_why)
{
    enum engine_kind kind = target->type.kind;
    bool zoned = kind == ENGINE_TIMESTAMPTZ;
    if (target->format) {
        bool has_zone = false;
        int64_t us = 0;
        *ret_why = "does not match the format given in types=";
        if (!typed_format_parse(target->format, text, length, &has_zone, &us))
            return false;
        if (kind == ENGINE_DATE)
            ret->days = (int32_t)((us - (us < 0 ? 86399999999 : 0)) / 86400000000);
        else
            ret->integer = kind == ENGINE_TIME ? us % 86400000000 : us;
        return true;
    }
    switch (kind) {
    case ENGINE_DATE:
        *ret_why = "not a date of the form this column has";
        return typed_date(text, length, target->order, &ret->days);
    case ENGINE_TIME:
        *ret_why = "not a time of day (14:30 or 14:30:05.25)";
        return typed_time(text, length, &ret->integer);
    default:
        *ret_why = zoned ? "not a timestamp with a time zone" : "not a timestamp (2024-01-31 14:30:00)";
        return typed_timestamp(text, length, target->order, zoned, &ret->integer);
    }
}

bool typed_parse(const struct typed_target *target, const char *text, size_t length, union typed_value *ret,
                 const char **ret_why)
{
    while (length && (*text == ' ' || *text == '\t'))
        text++, length--;
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    switch (target->type.kind) {
    case ENGINE_INTEGER:
    case ENGINE_BIGINT:
        return parse_integer(target, text, length, ret, ret_why);
    case ENGINE_DOUBLE:
        *ret_why = "not a number";
        return typed_double(text, length, &ret->real);
    case ENGINE_DECIMAL:
        *ret_why = "not a decimal of this width and scale";
        return typed_decimal(text, length, target->type.width, target->type.scale, &ret->decimal);
    case ENGINE_BOOLEAN:
        *ret_why = "not a boolean (true or false)";
        return typed_bool(text, length, &ret->boolean);
    case ENGINE_DATE:
    case ENGINE_TIME:
    case ENGINE_TIMESTAMP:
    case ENGINE_TIMESTAMPTZ:
        return parse_moment(target, text, length, ret, ret_why);
    case ENGINE_UUID:
        *ret_why = "not a UUID";
        return typed_uuid(text, length, ret->uuid);
    case ENGINE_VARCHAR:
    case ENGINE_BLOB:
    case ENGINE_OTHER:
        break;
    }
    *ret_why = "cannot be read into this type";
    return false;
}
