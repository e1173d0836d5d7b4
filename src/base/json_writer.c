/* The streaming JSON writer. Result rows pass through here: no allocation
 * per value, runs of plain bytes are copied whole. */
#include "base/json.h"
#include "base/utf8_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define ONES      UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* The high bit of each byte of the result is set where the byte of `w` is a
 * control character, a quote, a backslash or not ASCII. A borrow may also mark
 * the byte above such a one; the byte loop looks again, so that costs nothing. */
static inline uint64_t special_bytes(uint64_t w)
{
    uint64_t quote = w ^ ONES * '"', backslash = w ^ ONES * '\\';
    return ((w - ONES * 0x20) | (quote - ONES) | (backslash - ONES) | w) & HIGH_BITS;
}

static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Length of the run from `at` that can be copied as it is. */
static size_t plain_run(const unsigned char *p, size_t at, size_t length)
{
    size_t i = at;
    while (i < length) {
        for (; length - i >= 8; i += 8) {
            uint64_t word;
            memcpy(&word, p + i, 8);
            if (special_bytes(word))
                break;
        }
        /* Then byte by byte for a while: where one character is not ASCII, the
         * next ones seldom are. */
        size_t stop = length - i > 32 ? i + 32 : length;
        while (i < stop) {
            if (is_plain(p[i])) {
                i++;
                continue;
            }
            size_t step = p[i] >= 0x80 ? utf8_sequence(p + i, length - i) : 0;
            if (step == 0)
                return i - at;
            i += step;
        }
    }
    return length - at;
}

static void put_escape(struct tn_buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 0, '0', '0', hex[c >> 4], hex[c & 15]};
    size_t length = 2;
    switch (c) {
    case '"':
    case '\\':
        text[1] = (char)c;
        break;
    case '\b':
        text[1] = 'b';
        break;
    case '\f':
        text[1] = 'f';
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\r':
        text[1] = 'r';
        break;
    case '\t':
        text[1] = 't';
        break;
    default:
        text[1] = 'u';
        length = 6;
    }
    tn_buf_append(out, text, length);
}

void tn_json_quote(struct tn_buf *out, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    (void)tn_buf_reserve(out, length + 2);
    out->data[out->len++] = '"';
    for (size_t at = 0; at < length;) {
        size_t run = plain_run(p, at, length);
        tn_buf_append(out, p + at, run);
        at += run;
        if (at == length)
            break;
        if (p[at] >= 0x80)
            tn_buf_append(out, "\xEF\xBF\xBD", 3); /* U+FFFD */
        else
            put_escape(out, p[at]);
        at++;
    }
    tn_buf_putc(out, '"');
}

static inline void before_value(struct tn_json *json)
{
    if (json->comma)
        tn_buf_putc(json->out, ',');
    json->comma = true;
}

void tn_json_open(struct tn_json *json, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    before_value(json);
    tn_buf_putc(json->out, bracket);
    json->depth++;
    json->comma = false;
}

void tn_json_close(struct tn_json *json, char bracket)
{
    assert(bracket == '}' || bracket == ']');
    assert(json->depth > 0);
    tn_buf_putc(json->out, bracket);
    json->depth--;
    json->comma = true;
}

void tn_json_key(struct tn_json *json, const char *key)
{
    before_value(json);
    tn_json_quote(json->out, key, strlen(key));
    tn_buf_putc(json->out, ':');
    json->comma = false;
}

void tn_json_strn(struct tn_json *json, const char *text, size_t length)
{
    before_value(json);
    tn_json_quote(json->out, text, length);
}

void tn_json_str(struct tn_json *json, const char *text)
{
    if (text)
        tn_json_strn(json, text, strlen(text));
    else
        tn_json_null(json);
}

void tn_json_int(struct tn_json *json, int64_t value)
{
    before_value(json);
    tn_format_i64(json->out, value);
}

void tn_json_i64(struct tn_json *json, int64_t value)
{
    before_value(json);
    bool quoted = value > TN_JSON_MAX_SAFE || value < -TN_JSON_MAX_SAFE;
    if (quoted)
        tn_buf_putc(json->out, '"');
    tn_format_i64(json->out, value);
    if (quoted)
        tn_buf_putc(json->out, '"');
}

void tn_json_u64(struct tn_json *json, uint64_t value)
{
    if (value <= (uint64_t)INT64_MAX) {
        tn_json_i64(json, (int64_t)value);
        return;
    }
    before_value(json);
    tn_buf_printf(json->out, "\"%llu\"", (unsigned long long)value);
}

void tn_json_f64(struct tn_json *json, double value)
{
    before_value(json);
    if (isfinite(value))
        tn_format_f64(json->out, value);
    else
        tn_buf_puts(json->out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

void tn_json_bool(struct tn_json *json, bool value)
{
    before_value(json);
    tn_buf_puts(json->out, value ? "true" : "false");
}

void tn_json_null(struct tn_json *json)
{
    before_value(json);
    tn_buf_append(json->out, "null", 4);
}

void tn_json_raw(struct tn_json *json, const char *text, size_t length)
{
    before_value(json);
    tn_buf_append(json->out, text, length);
}

void tn_json_kstr(struct tn_json *json, const char *key, const char *value)
{
    tn_json_key(json, key);
    tn_json_str(json, value);
}

void tn_json_ki64(struct tn_json *json, const char *key, int64_t value)
{
    tn_json_key(json, key);
    tn_json_i64(json, value);
}

void tn_json_kbool(struct tn_json *json, const char *key, bool value)
{
    tn_json_key(json, key);
    tn_json_bool(json, value);
}

void tn_json_kf64(struct tn_json *json, const char *key, double value)
{
    tn_json_key(json, key);
    tn_json_f64(json, value);
}

void tn_json_kreal(struct tn_json *json, const char *key, double value)
{
    tn_json_key(json, key);
    if (isfinite(value))
        tn_json_f64(json, value);
    else
        tn_json_null(json);
}

void tn_json_kstrs(struct tn_json *json, const char *key, const char *const *values, size_t count)
{
    tn_json_key(json, key);
    tn_json_open(json, '[');
    for (size_t i = 0; i < count; i++)
        tn_json_str(json, values[i]);
    tn_json_close(json, ']');
}
