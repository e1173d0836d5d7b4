/* Text to values: exact, strict, and the formats of overrides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/overrides.h"
#include "ingest/typed.h"

#include <stdlib.h>
#include <string.h>

static void test_int(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {"1.0", false, 0},
        {"1 ", false, 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        int64_t value = 77;
        bool ok = typed_int(cases[i].text, strlen(cases[i].text), &value);
        if (ok != cases[i].ok || value != (ok ? cases[i].value : 77))
            fail_msg("\"%s\"", cases[i].text);
    }
}

/* The double nearest to the decimal: the same as strtod, over many shapes. */
static void test_double_is_exact(void **state)
{
    (void)state;
    static const char *const edges[] = {"0.1",
                                        "0.30000000000000004",
                                        "1e22",
                                        "1e23",
                                        "123456789012345678",
                                        "4.9e-324",
                                        "1.7976931348623157e308",
                                        "2.2250738585072014e-308",
                                        "-0.0",
                                        "9007199254740993",
                                        "0.000001",
                                        "100000000000000000000000000000.5"};
    for (size_t i = 0; i < TN_COUNT(edges); i++) {
        double value;
        assert_true(typed_double(edges[i], strlen(edges[i]), &value));
        double want = strtod(edges[i], NULL);
        assert_memory_equal(&value, &want, sizeof value);
    }
    uint64_t seed = 1;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
        unsigned digits = 1 + (unsigned)(seed >> 59);
        int length = snprintf(text, sizeof text, "%s%llu.%0*llu", seed & 1 ? "-" : "",
                              (unsigned long long)(seed >> 40) % 100000, (int)(digits % 18) + 1,
                              (unsigned long long)(seed >> 8) % 1000000);
        double value = 0, want = strtod(text, NULL);
        assert_true(typed_double(text, (size_t)length, &value));
        assert_memory_equal(&value, &want, sizeof value);
    }
    double ignored;
    static const char *const bad[] = {"", ".", "-", "1.", "1e", "1e+", "nan", "inf", "0x1p3", "1e999", "1,5", "1.5 "};
    for (size_t i = 0; i < TN_COUNT(bad); i++)
        if (typed_double(bad[i], strlen(bad[i]), &ignored))
            fail_msg("\"%s\" was taken", bad[i]);
}

static void test_decimal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned width, scale;
        bool ok;
        int64_t value;
    } cases[] = {
        {"1.5", 10, 2, true, 150},   {"-1.5", 10, 2, true, -150}, {"1", 10, 2, true, 100},
        {"1.500", 10, 2, true, 150}, {"1.505", 10, 2, false, 0},  {"12345", 4, 0, false, 0},
        {"99.99", 4, 2, true, 9999}, {"999.9", 4, 2, false, 0},   {"0.01", 2, 2, true, 1},
        {"1..5", 10, 2, false, 0},   {"", 10, 2, false, 0},       {"-", 10, 2, false, 0},
        {".", 10, 2, false, 0},      {"000001", 3, 0, true, 1},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        typed_wide value = 0;
        bool ok = typed_decimal(cases[i].text, strlen(cases[i].text), cases[i].width, cases[i].scale, &value);
        if (ok != cases[i].ok || (ok && value != cases[i].value))
            fail_msg("\"%s\" as decimal(%u,%u)", cases[i].text, cases[i].width, cases[i].scale);
    }
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *format, *text;
        bool ok;
        int64_t us;
    } cases[] = {
        {"%d/%m/%Y", "31/01/2024", true, INT64_C(1706659200000000)},
        {"%d/%m/%Y", "1/1/1970", true, 0},
        {"%d/%m/%Y", "31/02/2024", false, 0},
        {"%d/%m/%Y", "31/01/2024 ", false, 0},
        {"%m/%d/%y", "01/02/70", true, INT64_C(86400000000)},
        {"%d %b %Y", "02 Jan 1970", true, INT64_C(86400000000)},
        {"%B %d, %Y", "january 2, 1970", true, INT64_C(86400000000)},
        {"%Y-%m-%d %H:%M:%S.%f", "1970-01-01 00:00:01.5", true, 1500000},
        {"%I:%M %p", "12:30 AM", true, INT64_C(1800000000)},
        {"%I:%M %p", "01:00 pm", true, INT64_C(46800000000)},
        {"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T02:00:00+02:00", true, 0},
        {"%Y%j", "1970002", true, INT64_C(86400000000)},
        {"%Y%m%d", "19700102", true, INT64_C(86400000000)},
        {"%a %d.%m.%Y", "Thu 01.01.1970", true, 0},
        {"100%% %Y", "100% 1970", true, 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        bool zoned;
        int64_t us = 0;
        bool ok = typed_format_parse(cases[i].format, cases[i].text, strlen(cases[i].text), &zoned, &us);
        if (ok != cases[i].ok || (ok && us != cases[i].us))
            fail_msg("%s on \"%s\": %d %lld", cases[i].format, cases[i].text, ok, (long long)us);
    }
    const char *why;
    assert_false(typed_format_check("%Q", &why));
    assert_false(typed_format_check("%d/%", &why));
    assert_false(typed_format_check("abc", &why));
    assert_true(typed_format_check("%-d.%-m.%Y", &why));
}

static void test_date_before_the_epoch(void **state)
{
    (void)state;
    struct typed_target target = {.type = {.kind = ENGINE_DATE}, .format = "%d/%m/%Y"};
    union typed_value value;
    const char *why;
    assert_true(typed_parse(&target, "31/12/1969", 10, &value, &why));
    assert_int_equal(value.days, -1);
    target.format = NULL;
    assert_true(typed_parse(&target, " 1900-01-01", 11, &value, &why));
    assert_int_equal(value.days, -25567);
    assert_false(typed_parse(&target, "01/01/1900", 10, &value, &why));
}

static void test_overrides(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct override *list;
    size_t count;
    struct tn_error err = {0};
    assert_int_equal(overrides_parse(arena,
                                     "zip:text, hired:date:%d/%m/%Y,a\\,b:decimal(12,2),t:timestamp:%H:%M\\, %Y",
                                     &list, &count, &err),
                     TN_OK);
    assert_int_equal(count, 4);
    assert_string_equal(list[0].name, "zip");
    assert_string_equal(list[1].target.format, "%d/%m/%Y");
    assert_string_equal(list[2].name, "a,b");
    assert_string_equal(list[2].target.sql_type, "DECIMAL(12,2)");
    assert_string_equal(list[3].target.format, "%H:%M, %Y");
    static const char *const bad[] = {"zip",          "zip:",           ":text",        "zip:txt",
                                      "a:int:%Y",     "a:date:%Q",      "a:text,a:int", "a:decimal(39,2)",
                                      "a:decimal(5,", "a:decimal(2,5)", "a:VARCHAR[]",  "a:int,,b:int"};
    for (size_t i = 0; i < TN_COUNT(bad); i++)
        if (overrides_parse(arena, bad[i], &list, &count, &err) != TN_EREQUEST)
            fail_msg("\"%s\" was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_double_is_exact),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_date_before_the_epoch),
        cmocka_unit_test(test_overrides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
