/* UTF-8: every boundary of RFC 3629, at every offset from a 16-byte step. */
#include "base/test_support.h"

#include <string.h>

static const struct {
    const char *bytes;
    size_t valid;
} sequences[] = {
    {"\x7F", 1},
    {"\xC2\x80", 2},
    {"\xDF\xBF", 2},
    {"\xE0\xA0\x80", 3},
    {"\xED\x9F\xBF", 3},
    {"\xEE\x80\x80", 3},
    {"\xEF\xBF\xBF", 3},
    {"\xF0\x90\x80\x80", 4},
    {"\xF4\x8F\xBF\xBF", 4},
    {"\x80", 0},
    {"\xBF", 0},
    {"\xC0\x80", 0},
    {"\xC1\xBF", 0},
    {"\xC2", 0},
    {"\xC2\x7F", 0},
    {"\xC2\xC0", 0},
    {"\xE0\x9F\xBF", 0},
    {"\xE1\x80", 0},
    {"\xE1\x80\x7F", 0},
    {"\xED\xA0\x80", 0},
    {"\xED\xBF\xBF", 0},
    {"\xF0\x8F\xBF\xBF", 0},
    {"\xF1\x80\x80", 0},
    {"\xF4\x90\x80\x80", 0},
    {"\xF5\x80\x80\x80", 0},
    {"\xFE", 0},
    {"\xFF", 0},
};

static void validation(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(sequences); i++) {
        size_t length = strlen(sequences[i].bytes);
        for (size_t before = 0; before < 40; before++) {
            for (size_t after = 0; after < 20; after += 19) {
                size_t all = before + length + after;
                /* Exactly sized, so that a reader past the end is caught. */
                TN_AUTO_FREE char *text = tn_malloc(all);
                memset(text, 'a', all);
                memcpy(text + before, sequences[i].bytes, length);
                size_t want = sequences[i].valid ? all : before;
                assert_int_equal(tn_utf8_valid_prefix(text, all), want);
            }
        }
    }
    assert_int_equal(tn_utf8_valid_prefix("", 0), 0);
    assert_int_equal(tn_utf8_valid_prefix("a\0b", 3), 3);
}

static void round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char out[4];
        size_t length = tn_utf8_put(c, out);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        if (tn_utf8_valid_prefix(out, length) != (surrogate ? 0 : length))
            fail_msg("U+%X", c);
    }
}

static void cutting(void **state)
{
    (void)state;
    const char *text = "a\xC3\xA4\xF0\x9F\x98\x80z"; /* 1 + 2 + 4 + 1 */
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
    for (size_t limit = 0; limit < TN_COUNT(want); limit++)
        assert_int_equal(tn_utf8_floor(text, 8, limit), want[limit]);
    assert_int_equal(tn_utf8_floor("", 0, 5), 0);
}

static void width(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t want;
    } cases[] = {
        {"", 0},
        {"plain", 5},
        {"gr\xC3\xBC\xC3\x9F"
         "e",
         5},
        {"e\xCC\x81", 1},                /* e and a combining accent */
        {"\xE6\xBC\xA2\xE5\xAD\x97", 4}, /* two ideographs */
        {"\xF0\x9F\x98\x80", 2},         /* an emoji */
        {"a\tb", 2},                     /* controls have none */
        {"\xE2\x80\x8B", 0},             /* zero width space */
        {"\xEF\xBC\xA1", 2},             /* full-width A */
        {"\xED\x95\x9C", 2},             /* Hangul */
        {"\xE2\x82\xAC", 1},             /* the euro sign */
        {"\xE2\x9D\xA4\xEF\xB8\x8F", 1}, /* a heart and its selector */
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        size_t got = tn_utf8_width(cases[i].text, strlen(cases[i].text));
        if (got != cases[i].want)
            fail_msg("%s: %zu", cases[i].text, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validation),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(cutting),
        cmocka_unit_test(width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
