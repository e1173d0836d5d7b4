/* Any text through the strict parsers: what one accepts must print and parse
 * back to the same, and the fast UTF-8 checker must agree with a slow one. */
#include "fuzz.h"

#include "base/base.h"

#include <string.h>

static void numbers(const char *text)
{
    int64_t i;
    uint64_t u, again;
    double d, back;
    TN_AUTO_BUF out = {0};
    if (tn_parse_i64(text, &i)) {
        int64_t same;
        tn_format_i64(&out, i);
        FUZZ_CHECK(tn_parse_i64(out.data, &same) && same == i);
    }
    tn_buf_clear(&out);
    if (tn_parse_double(text, &d)) {
        tn_format_f64(&out, d);
        FUZZ_CHECK(tn_parse_double(out.data, &back) && memcmp(&back, &d, sizeof d) == 0);
    }
    if (tn_parse_u64(text, &u))
        FUZZ_CHECK(tn_parse_size(text, &again) && again == u && tn_parse_duration_ms(text, &again) && again == u);
    char small[32];
    if (tn_parse_size(text, &u))
        FUZZ_CHECK(strlen(tn_format_size(u, small)) < 32);
    if (tn_parse_duration_ms(text, &u))
        FUZZ_CHECK(strlen(tn_format_duration(u, small)) < 32);
}

static void times(const char *text)
{
    int64_t us, again;
    char out[TN_TIME_TEXT];
    if (!tn_time_parse(text, &us))
        return;
    tn_time_format(us, out);
    /* An offset can lead out of the four-digit years. */
    if (us >= INT64_C(-62135596800000000) && us < INT64_C(253402300800000000))
        FUZZ_CHECK(tn_time_parse(out, &again) && again == us);
}

static void urls(const char *text)
{
    for (int plus = 0; plus < 2; plus++) {
        TN_AUTO_FREE char *copy = tn_strdup(text);
        if (tn_url_decode(copy, plus))
            FUZZ_CHECK(strlen(copy) <= strlen(text));
    }
}

/* RFC 3629 by decoding: slow, and written unlike the one in use. */
static size_t slow_valid_prefix(const uint8_t *p, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t at = 0;
    while (at < size) {
        size_t length = p[at] < 0x80 ? 1 : p[at] >> 5 == 6 ? 2 : p[at] >> 4 == 14 ? 3 : p[at] >> 3 == 30 ? 4 : 0;
        if (length == 0 || size - at < length)
            return at;
        uint32_t c = length == 1 ? p[at] : p[at] & (0x7FU >> length);
        for (size_t i = 1; i < length; i++) {
            if (p[at + i] >> 6 != 2)
                return at;
            c = c << 6 | (p[at + i] & 0x3FU);
        }
        if (c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
            return at;
        char put[4];
        FUZZ_CHECK(tn_utf8_put(c, put) == length && memcmp(put, p + at, length) == 0);
        at += length;
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    size_t valid = tn_utf8_valid_prefix(bytes, size);
    FUZZ_CHECK(valid == slow_valid_prefix(data, size));
    FUZZ_CHECK(tn_utf8_width(bytes, valid) <= 2 * valid);
    (void)tn_utf8_width(bytes, size);
    size_t half = tn_utf8_floor(bytes, valid, size / 2);
    FUZZ_CHECK(half <= size / 2 && tn_utf8_valid_prefix(bytes, half) == half);

    TN_AUTO_FREE char *text = tn_strndup(bytes, size);
    numbers(text);
    times(text);
    urls(text);
    static const char *const words[] = {"server.port", "limit", "text", "x"};
    const char *near = tn_suggest(text, words, TN_COUNT(words));
    FUZZ_CHECK(!near || text[0]);
    FUZZ_CHECK(tn_edit_distance(text, "limit", 3) == tn_edit_distance("limit", text, 3));
    unsigned char digest[8];
    char hex[17];
    if (tn_hex_decode(text, digest, sizeof digest)) {
        tn_hex_encode(digest, sizeof digest, hex);
        FUZZ_CHECK(tn_str_equal_nocase(hex, text));
    }
    return 0;
}
