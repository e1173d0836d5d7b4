/* Encodings of text files in the wild. */
#include "ingest/encoding.h"

#include "base/str.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

bool encoding_parse(const char *word, enum encoding *ret)
{
    static const struct {
        const char *word;
        enum encoding encoding;
    } words[] = {
        {"auto", ENCODING_AUTO},
        {"utf-8", ENCODING_UTF8},
        {"utf8", ENCODING_UTF8},
        {"utf-16", ENCODING_UTF16LE},
        {"utf16", ENCODING_UTF16LE},
        {"utf-16le", ENCODING_UTF16LE},
        {"utf-16be", ENCODING_UTF16BE},
        {"latin-1", ENCODING_WINDOWS_1252},
        {"latin1", ENCODING_WINDOWS_1252},
        {"iso-8859-1", ENCODING_WINDOWS_1252},
        {"windows-1252", ENCODING_WINDOWS_1252},
        {"cp1252", ENCODING_WINDOWS_1252},
    };
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (tn_str_equal_nocase(words[i].word, word)) {
            *ret = words[i].encoding;
            return true;
        }
    return false;
}

const char *encoding_name(enum encoding encoding)
{
    switch (encoding) {
    case ENCODING_UTF16LE:
        return "utf-16le";
    case ENCODING_UTF16BE:
        return "utf-16be";
    case ENCODING_WINDOWS_1252:
        return "windows-1252";
    case ENCODING_AUTO:
    case ENCODING_UTF8:
        break;
    }
    return "utf-8";
}

enum encoding encoding_detect(const unsigned char *bytes, size_t length, size_t *ret_mark)
{
    *ret_mark = 0;
    if (length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        *ret_mark = 3;
        return ENCODING_UTF8;
    }
    if (length >= 2 && bytes[0] == 0xFF && bytes[1] == 0xFE) {
        *ret_mark = 2;
        return ENCODING_UTF16LE;
    }
    if (length >= 2 && bytes[0] == 0xFE && bytes[1] == 0xFF) {
        *ret_mark = 2;
        return ENCODING_UTF16BE;
    }
    /* Without a mark: in UTF-16 of mostly Latin text every second byte is zero. */
    size_t look = TN_MIN(length, (size_t)4096) & ~(size_t)1, even = 0, odd = 0;
    for (size_t i = 0; i < look; i += 2) {
        even += bytes[i] == 0;
        odd += bytes[i + 1] == 0;
    }
    if (look >= 4 && odd * 2 >= look / 2 && even == 0)
        return ENCODING_UTF16LE;
    if (look >= 4 && even * 2 >= look / 2 && odd == 0)
        return ENCODING_UTF16BE;
    return ENCODING_AUTO;
}

static void put_code_point(struct tn_buf *out, uint32_t code_point)
{
    char bytes[4];
    tn_buf_append(out, bytes, tn_utf8_put(code_point, bytes));
}

static void put_unit(struct encoding_state *state, uint16_t unit, struct tn_buf *out)
{
    if (state->high) {
        uint32_t high = state->high;
        state->high = 0;
        if (unit >= 0xDC00 && unit <= 0xDFFF) {
            put_code_point(out, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00U));
            return;
        }
        put_code_point(out, 0xFFFD);
    }
    if (unit >= 0xD800 && unit <= 0xDBFF)
        state->high = unit;
    else
        put_code_point(out, unit >= 0xDC00 && unit <= 0xDFFF ? 0xFFFD : unit);
}

static void convert_utf16(struct encoding_state *state, const unsigned char *bytes, size_t count, struct tn_buf *out)
{
    bool little = state->from == ENCODING_UTF16LE;
    for (size_t i = 0; i < count; i++) {
        if (!state->has_odd) {
            state->odd = bytes[i];
            state->has_odd = true;
            continue;
        }
        state->has_odd = false;
        unsigned first = state->odd, second = bytes[i];
        put_unit(state, (uint16_t)(little ? second << 8 | first : first << 8 | second), out);
    }
}

static void convert_windows_1252(const unsigned char *bytes, size_t count, struct tn_buf *out)
{
    /* 0x80 to 0x9F; the five that are unassigned keep their number. */
    static const uint16_t upper[32] = {0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                       0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D, 0x017D, 0x008F,
                                       0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                       0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};
    char *to = tn_buf_reserve(out, 3 * count);
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = bytes[i];
        if (byte < 0x80)
            to[length++] = (char)byte;
        else
            length += tn_utf8_put(byte < 0xA0 ? upper[byte - 0x80] : byte, to + length);
    }
    out->len += length;
    out->data[out->len] = '\0';
}

void encoding_convert(struct encoding_state *state, const void *bytes, size_t count, struct tn_buf *out)
{
    switch (state->from) {
    case ENCODING_UTF16LE:
    case ENCODING_UTF16BE:
        convert_utf16(state, bytes, count, out);
        break;
    case ENCODING_WINDOWS_1252:
        convert_windows_1252(bytes, count, out);
        break;
    case ENCODING_AUTO:
    case ENCODING_UTF8:
        tn_buf_append(out, bytes, count);
        break;
    }
}

void encoding_finish(struct encoding_state *state, struct tn_buf *out)
{
    if (state->high || state->has_odd)
        put_code_point(out, 0xFFFD);
    state->high = 0;
    state->has_odd = false;
}

size_t encoding_utf8_prefix(const char *bytes, size_t length)
{
    size_t at = 0;
#if defined(__SSE2__)
    while (length - at >= 64) {
        const __m128i *p = (const __m128i *)(const void *)(bytes + at);
        __m128i any = _mm_or_si128(_mm_or_si128(_mm_loadu_si128(p), _mm_loadu_si128(p + 1)),
                                   _mm_or_si128(_mm_loadu_si128(p + 2), _mm_loadu_si128(p + 3)));
        if (_mm_movemask_epi8(any))
            break;
        at += 64;
    }
#endif
    return at + tn_utf8_valid_prefix(bytes + at, length - at);
}
