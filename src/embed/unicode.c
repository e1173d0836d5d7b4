/* Character properties from generated tables (tools/gen_unicode.py). */
#include "embed/unicode.h"

#include "base/mem.h"
#include "embed/unicode_tables.h"

static bool in_ranges(const uint32_t *ranges, size_t count, uint32_t c)
{
    size_t low = 0;
    size_t high = count / 2;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > ranges[2 * middle + 1])
            low = middle + 1;
        else
            high = middle;
    }
    return low < count / 2 && c >= ranges[2 * low];
}

/* Continuation bytes of a lead byte, the bits it carries, the least value. */
static const struct {
    unsigned more, mask, least;
} forms[] = {{1, 0x1F, 0x80}, {2, 0x0F, 0x800}, {3, 0x07, 0x10000}};

uint32_t unicode_decode(const unsigned char *p, size_t left, size_t *ret_length)
{
    *ret_length = 1;
    if (p[0] < 0x80)
        return p[0];
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return UNICODE_BAD;
    size_t form = p[0] >= 0xF0 ? 2 : p[0] >= 0xE0 ? 1 : 0;
    if (left <= forms[form].more)
        return UNICODE_BAD;
    uint32_t c = p[0] & forms[form].mask;
    for (size_t i = 1; i <= forms[form].more; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return UNICODE_BAD;
        c = c << 6 | (p[i] & 0x3FU);
    }
    if (c < forms[form].least || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return UNICODE_BAD;
    *ret_length = forms[form].more + 1;
    return c;
}

bool unicode_is_ignored(uint32_t c)
{
    if (c < 0x80)
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
    return c == UNICODE_BAD || in_ranges(ignored, TN_COUNT(ignored), c);
}

bool unicode_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
    return in_ranges(spaces, TN_COUNT(spaces), c);
}

bool unicode_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    return in_ranges(punctuation, TN_COUNT(punctuation), c);
}

bool unicode_is_ideograph(uint32_t c)
{
    static const uint32_t blocks[] = {0x3400,  0x4DBF,  0x4E00,  0x9FFF,  0xF900,  0xFAFF,  0x20000, 0x2A6DF,
                                      0x2A700, 0x2B73F, 0x2B740, 0x2B81F, 0x2B820, 0x2CEAF, 0x2F800, 0x2FA1F};
    return c >= 0x3400 && in_ranges(blocks, TN_COUNT(blocks), c);
}

/* A syllable of Hangul comes apart into two or three letters by arithmetic. */
static size_t fold_hangul(uint32_t c, uint32_t out[UNICODE_FOLD_MAX])
{
    uint32_t index = c - 0xAC00;
    out[0] = 0x1100 + index / 588;
    out[1] = 0x1161 + index % 588 / 28;
    out[2] = 0x11A7 + index % 28;
    return index % 28 ? 3 : 2;
}

size_t unicode_fold(uint32_t c, uint32_t out[UNICODE_FOLD_MAX])
{
    out[0] = c;
    if (c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
        return 1;
    }
    if (c >= 0xAC00 && c < 0xD7A4)
        return fold_hangul(c, out);
    size_t low = 0;
    size_t high = TN_COUNT(fold_from);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (fold_from[middle] < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == TN_COUNT(fold_from) || fold_from[low] != c)
        return 1;
    size_t count = 0;
    for (size_t i = fold_at[low]; i < fold_at[low + 1]; i++)
        out[count++] = fold_to[i];
    return count;
}
