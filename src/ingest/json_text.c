/* JSON strings turned into text. */
#include "ingest/json_records.h"

#include "base/str.h"

static unsigned hex4(const char *p)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* \uXXXX at text[*at] (the letter u), perhaps the first half of a pair. */
static uint32_t take_unicode(const char *text, size_t length, size_t *at)
{
    uint32_t unit = hex4(text + *at + 1);
    *at += 5;
    if (unit < 0xD800 || unit > 0xDFFF)
        return unit;
    if (unit < 0xDC00 && *at + 6 <= length && text[*at] == '\\' && text[*at + 1] == 'u') {
        uint32_t low = hex4(text + *at + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *at += 6;
            return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return 0xFFFD;
}

bool json_has_lone_surrogate(const char *text, size_t length)
{
    for (const char *p = memchr(text, '\\', length), *end = text + length; p;) {
        size_t at = (size_t)(p - text) + 1;
        bool unicode = text[at] == 'u';
        uint32_t unit = unicode ? hex4(text + at + 1) : 0;
        uint32_t point = unicode ? take_unicode(text, length, &at) : 0;
        if (point == 0xFFFD && unit != 0xFFFD)
            return true;
        at += !unicode;
        p = at < length ? memchr(text + at, '\\', (size_t)(end - text) - at) : NULL;
    }
    return false;
}

size_t json_unescape(const char *text, size_t length, char *out)
{
    static const char plain[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    size_t written = 0;
    for (size_t i = 0; i < length;) {
        if (text[i] != '\\') {
            out[written++] = text[i++];
            continue;
        }
        i++;
        if (text[i] == 'u') {
            char bytes[4];
            size_t count = tn_utf8_put(take_unicode(text, length, &i), bytes);
            memcpy(out + written, bytes, count);
            written += count;
            continue;
        }
        const char *known = strchr(plain, text[i]);
        out[written++] = known ? meaning[known - plain] : text[i];
        i++;
    }
    return written;
}
