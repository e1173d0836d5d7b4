/* Time and calendar. */
#include "base/test_support.h"

#include <time.h>

static void civil_days(void **state)
{
    (void)state;
    assert_int_equal(tn_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(tn_days_from_civil(1969, 12, 31), -1);
    assert_int_equal(tn_days_from_civil(2000, 3, 1), 11017);
    assert_int_equal(tn_days_from_civil(1, 1, 1), -719162);
    assert_int_equal(tn_days_from_civil(9999, 12, 31), 2932896);
    /* Every day of 800 years follows the one before it. */
    int year = 1600;
    unsigned month = 1, day = 1;
    int32_t first = tn_days_from_civil(1600, 1, 1), last = tn_days_from_civil(2400, 1, 1);
    for (int32_t days = first; days < last; days++) {
        int y;
        unsigned m, d;
        tn_civil_from_days(days, &y, &m, &d);
        assert_true(y == year && m == month && d == day);
        assert_true(tn_civil_valid(y, m, d));
        if (!tn_civil_valid(year, month, ++day)) {
            day = 1;
            if (++month == 13) {
                month = 1;
                year++;
            }
        }
    }
    for (int32_t days = INT32_MIN; days < INT32_MAX - 99999999; days += 99999999) {
        int y;
        unsigned m, d;
        tn_civil_from_days(days, &y, &m, &d);
        assert_int_equal(tn_days_from_civil(y, m, d), days);
    }
}

static void valid_dates(void **state)
{
    (void)state;
    assert_true(tn_civil_valid(2024, 2, 29) && tn_civil_valid(2000, 2, 29) && tn_civil_valid(2023, 12, 31));
    assert_false(tn_civil_valid(2023, 2, 29) || tn_civil_valid(1900, 2, 29) || tn_civil_valid(2024, 4, 31));
    assert_false(tn_civil_valid(2024, 0, 1) || tn_civil_valid(2024, 13, 1) || tn_civil_valid(2024, 1, 0));
}

static void formatting(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *want;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {1, "1970-01-01T00:00:00.000001Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(1795222923456789), "2026-11-21T01:02:03.456789Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00Z"},
        {INT64_C(-62135596800000000), "0001-01-01T00:00:00Z"},
        {INT64_MAX, "294247-01-10T04:00:54.775807Z"},
        {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        char out[TN_TIME_TEXT];
        assert_string_equal(tn_time_format(cases[i].us, out), cases[i].want);
    }
}

static void parsing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01", 0},
        {"1970-01-01 00:00:01", 1000000},
        {"1970-01-01 00:01", 60000000},
        {"1970-01-01T00:00:00.5Z", 500000},
        {"1970-01-01T00:00:00.000001999Z", 1},
        {"1970-01-01T02:00:00+02:00", 0},
        {"1969-12-31T18:30:00-05:30", 0},
        {"1969-12-31T23:59:60Z", 0},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"2026-11-21T01:02:03.456789Z", INT64_C(1795222923456789)},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
    };
    for (size_t i = 0; i < TN_COUNT(good); i++) {
        int64_t got = 77;
        if (!tn_time_parse(good[i].text, &got) || got != good[i].want)
            fail_msg("%s: %lld", good[i].text, (long long)got);
    }
    static const char *const bad[] = {
        "",
        "1970",
        "1970-1-1",
        "1970-01-01T",
        "1970-01-01T00",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1970-02-30",
        "2023-02-29",
        "1970-00-01",
        "1970-13-01",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+02",
        "1970-01-01T00:00:00+0200",
        "1970-01-01T00:00:00ZZ",
        "1970-01-01T00:00:00 Z",
        " 1970-01-01",
        "1970-01-01 ",
        "1970-01-01Z",
        "70-01-01",
        "+1970-01-01",
        "19700101",
        "1970-01-01_00:00:00",
    };
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        int64_t got = 77;
        if (tn_time_parse(bad[i], &got) || got != 77)
            fail_msg("%s", bad[i]);
    }
}

static void now_is_now(void **state)
{
    (void)state;
    int64_t seconds = (int64_t)time(NULL);
    int64_t us = tn_now_us(), ms = tn_now_ms();
    assert_true(us / 1000000 >= seconds - 1 && us / 1000 <= ms);
    uint64_t a = tn_mono_ns(), b = tn_mono_ns();
    assert_true(b >= a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(civil_days), cmocka_unit_test(valid_dates), cmocka_unit_test(formatting),
        cmocka_unit_test(parsing),    cmocka_unit_test(now_is_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
