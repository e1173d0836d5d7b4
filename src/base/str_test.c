/* The strict parsers: whole input or nothing, outputs untouched otherwise. */
#include "base/test_support.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool i64, u64;
        int64_t value;
    } cases[] = {
        {"0", true, true, 0},
        {"007", true, true, 7},
        {"-1", true, false, -1},
        {"-0", true, false, 0},
        {"9223372036854775807", true, true, INT64_MAX},
        {"9223372036854775808", false, true, INT64_MIN},
        {"-9223372036854775808", true, false, INT64_MIN},
        {"-9223372036854775809", false, false, 0},
        {"18446744073709551615", false, true, -1},
        {"18446744073709551616", false, false, 0},
        {"99999999999999999999999", false, false, 0},
        {"", false, false, 0},
        {"-", false, false, 0},
        {"+1", false, false, 0},
        {"--1", false, false, 0},
        {" 1", false, false, 0},
        {"1 ", false, false, 0},
        {"1.0", false, false, 0},
        {"0x10", false, false, 0},
        {"1e3", false, false, 0},
        {"\xD9\xA1", false, false, 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        int64_t a = 77;
        uint64_t b = 77;
        assert_int_equal(tn_parse_i64(cases[i].in, &a), cases[i].i64);
        assert_int_equal(tn_parse_u64(cases[i].in, &b), cases[i].u64);
        assert_true(a == (cases[i].i64 ? cases[i].value : 77));
        assert_true(b == (cases[i].u64 ? (uint64_t)cases[i].value : 77));
    }
}

static void doubles(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        double want;
    } good[] = {{"0", 0},       {"-0.5", -0.5}, {"1.", 1},    {".5", 0.5},   {"1e3", 1000},
                {"1E-2", 0.01}, {"1e+2", 100},  {"0.1", 0.1}, {"1e-400", 0}, {"1.7976931348623157e308", DBL_MAX}};
    for (size_t i = 0; i < TN_COUNT(good); i++) {
        double got = 77;
        assert_true(tn_parse_double(good[i].in, &got));
        assert_true(got == good[i].want);
    }
    static const char *const bad[] = {"",      "-",  ".",  "e5",  "1e",    "1e+", "inf", "nan",
                                      "0x1p3", " 1", "1 ", "1,5", "1e400", "--1", "+1"};
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        double got = 77;
        assert_false(tn_parse_double(bad[i], &got));
        assert_true(got == 77);
    }
}

static void bools(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "yes", "on", "1", "TRUE", "Yes"};
    static const char *const no[] = {"false", "no", "off", "0", "OFF"};
    static const char *const bad[] = {"", "t", "2", "true ", "enabled"};
    for (size_t i = 0; i < TN_COUNT(yes); i++) {
        bool value = false;
        assert_true(tn_parse_bool(yes[i], &value) && value);
    }
    for (size_t i = 0; i < TN_COUNT(no); i++) {
        bool value = true;
        assert_true(tn_parse_bool(no[i], &value) && !value);
    }
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        bool value = true;
        assert_true(!tn_parse_bool(bad[i], &value) && value);
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool good;
        uint64_t want;
    } cases[] = {
        {"512", true, 512},
        {"0", true, 0},
        {"64KB", true, 65536},
        {"64kb", true, 65536},
        {"1KiB", true, 1024},
        {"1k", true, 1024},
        {"7B", true, 7},
        {"1.5GB", true, UINT64_C(1610612736)},
        {"0.5K", true, 512},
        {"2T", true, UINT64_C(2) << 40},
        {"18446744073709551615", true, UINT64_MAX},
        {"16777215.9999999TB", true, UINT64_C(18446744073709441664)},
        {"16777216TB", false, 0},
        {"1.5", false, 0},
        {"1.5B", false, 0},
        {"1.GB", false, 0},
        {".5GB", false, 0},
        {"1 GB", false, 0},
        {"-1", false, 0},
        {"GB", false, 0},
        {"", false, 0},
        {"1PB", false, 0},
        {"25%", false, 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        uint64_t got = 77;
        if (tn_parse_size(cases[i].in, &got) != cases[i].good)
            fail_msg("%s", cases[i].in);
        if (got != (cases[i].good ? cases[i].want : 77))
            fail_msg("%s: %llu", cases[i].in, (unsigned long long)got);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool good;
        uint64_t want;
    } cases[] = {
        {"250ms", true, 250},   {"30s", true, 30000}, {"5m", true, 300000}, {"2h", true, 7200000},
        {"1d", true, 86400000}, {"1500", true, 1500}, {"1.5s", true, 1500}, {"0.5d", true, 43200000},
        {"1.5ms", false, 0},    {"1.5", false, 0},    {"5 m", false, 0},    {"-1s", false, 0},
        {"", false, 0},         {"s", false, 0},      {"1w", false, 0},     {"999999999999999999d", false, 0},
        {"1h30m", false, 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        uint64_t got = 77;
        if (tn_parse_duration_ms(cases[i].in, &got) != cases[i].good)
            fail_msg("%s", cases[i].in);
        assert_true(got == (cases[i].good ? cases[i].want : 77));
    }
}

static void printing(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *size, *duration;
    } cases[] = {
        {0, "0 B", "0ms"},
        {999, "999 B", "999ms"},
        {1023, "1023 B", "1.0s"},
        {1024, "1.0 KB", "1.0s"},
        {1536, "1.5 KB", "1.5s"},
        {59999, "58.6 KB", "59.9s"},
        {1048524, "1023.9 KB", "17m 28s"},
        {1048575, "1.0 MB", "17m 28s"},
        {1234567, "1.2 MB", "20m 34s"},
        {7200000, "6.9 MB", "2h 0m"},
        {200000000, "190.7 MB", "2d 7h"},
        {UINT64_MAX, "16.0 EB", "213503982334d 14h"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        char out[32];
        assert_string_equal(tn_format_size(cases[i].value, out), cases[i].size);
        assert_string_equal(tn_format_duration(cases[i].value, out), cases[i].duration);
    }
}

static void counts_have_commas(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(tn_format_count(0, out), "0");
    assert_string_equal(tn_format_count(999, out), "999");
    assert_string_equal(tn_format_count(2467000, out), "2,467,000");
    assert_string_equal(tn_format_count(-1234, out), "-1,234");
    assert_string_equal(tn_format_count(INT64_MIN, out), "-9,223,372,036,854,775,808");
}

static void prefixes_and_case(void **state)
{
    (void)state;
    assert_true(tn_str_starts_with("abc", "") && tn_str_starts_with("abc", "ab") && tn_str_starts_with("abc", "abc"));
    assert_false(tn_str_starts_with("ab", "abc"));
    assert_true(tn_str_ends_with("abc", "") && tn_str_ends_with("abc", "bc"));
    assert_false(tn_str_ends_with("bc", "abc") || tn_str_ends_with("abc", "ab"));
    static const char *const endings[] = {".md", ".tar.gz", NULL};
    assert_true(tn_name_has_ending("A.MD", endings) && tn_name_has_ending("x.tar.gz", endings));
    assert_false(tn_name_has_ending(".md", endings) || tn_name_has_ending("a.mdx", endings));
    assert_true(tn_str_equal_nocase("AbC", "aBc") && tn_str_equal_nocase("", ""));
    assert_false(tn_str_equal_nocase("ab", "abc") || tn_str_equal_nocase("abc", "ab"));
    assert_false(tn_str_equal_nocase("\xC3\x84", "\xC3\xA4")); /* ASCII only */
    assert_int_equal(tn_ascii_lower('Z'), 'z');
    assert_int_equal(tn_ascii_lower('['), '[');
}

static void urls(void **state)
{
    (void)state;
    static const struct {
        const char *in, *plain, *form; /* NULL: refused */
    } cases[] = {
        {"", "", ""},
        {"abc", "abc", "abc"},
        {"a%20b", "a b", "a b"},
        {"a+b", "a+b", "a b"},
        {"%41%7a%c3%A4", "Az\xC3\xA4", "Az\xC3\xA4"},
        {"%2B", "+", "+"},
        {"100%", NULL, NULL},
        {"%1", NULL, NULL},
        {"%zz", NULL, NULL},
        {"%2", NULL, NULL},
        {"a%00b", NULL, NULL},
        {"%%", NULL, NULL},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_FREE char *plain = tn_strdup(cases[i].in);
        TN_AUTO_FREE char *form = tn_strdup(cases[i].in);
        assert_int_equal(tn_url_decode(plain, false), cases[i].plain != NULL);
        assert_int_equal(tn_url_decode(form, true), cases[i].form != NULL);
        if (cases[i].plain) {
            assert_string_equal(plain, cases[i].plain);
            assert_string_equal(form, cases[i].form);
        }
    }
}

static void hex(void **state)
{
    (void)state;
    char text[9];
    tn_hex_encode("\x00\xFF\x10\xAB", 4, text);
    assert_string_equal(text, "00ff10ab");
    unsigned char bytes[4] = {9, 9, 9, 9};
    static const char *const bad[] = {"00ff10a", "00ff10abc", "00ff10ag", "", "00ff10ab "};
    for (size_t i = 0; i < TN_COUNT(bad); i++)
        assert_false(tn_hex_decode(bad[i], bytes, 4));
    assert_memory_equal(bytes, "\x09\x09\x09\x09", 4);
    assert_true(tn_hex_decode("00FF10aB", bytes, 4));
    assert_memory_equal(bytes, "\x00\xFF\x10\xAB", 4);
    assert_true(tn_hex_decode("", bytes, 0));
}

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t want;
    } cases[] = {
        {"", "", 0},        {"abc", "abc", 0}, {"ABC", "abc", 0},   {"abc", "acb", 1},        {"abc", "ab", 1},
        {"abc", "xabc", 1}, {"abc", "axc", 1}, {"prot", "port", 1}, {"kitten", "sitting", 3}, {"abcdef", "uvwxyz", 5},
        {"", "abcdefgh", 5}};
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        assert_int_equal(tn_edit_distance(cases[i].a, cases[i].b, 4), cases[i].want);
        assert_int_equal(tn_edit_distance(cases[i].b, cases[i].a, 4), cases[i].want);
    }
    char longer[200];
    memset(longer, 'a', sizeof longer);
    longer[199] = '\0';
    assert_int_equal(tn_edit_distance(longer, longer, 2), 0);
    longer[150] = '\0';
    assert_int_equal(tn_edit_distance(longer, "aaa", 2), 3);
}

static void suggestions(void **state)
{
    (void)state;
    static const char *const words[] = {"server.port", "server.host", "limit", "offset", "format", "embedding"};
    static const struct {
        const char *word, *want;
    } cases[] = {
        {"server.prot", "server.port"},
        {"sever.port", "server.port"},
        {"Limit", "limit"},
        {"limti", "limit"},
        {"formt", "format"},
        {"port", "server.port"},
        {"embed", "embedding"},
        {"zzz", NULL},
        {"", NULL},
        {"x", NULL},
        {"limitations", NULL},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        const char *got = tn_suggest(cases[i].word, words, TN_COUNT(words));
        if (!cases[i].want)
            assert_null(got);
        else
            assert_string_equal(got ? got : "(none)", cases[i].want);
    }
    assert_null(tn_suggest("word", words, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(doubles),
        cmocka_unit_test(bools),
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(printing),
        cmocka_unit_test(counts_have_commas),
        cmocka_unit_test(prefixes_and_case),
        cmocka_unit_test(urls),
        cmocka_unit_test(hex),
        cmocka_unit_test(distances),
        cmocka_unit_test(suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
