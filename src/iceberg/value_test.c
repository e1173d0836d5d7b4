/* Values: text to bytes and back, order, and bounds. */
#include "iceberg/test_support.h"

static int open_arena(void **state)
{
    *state = tn_arena_new();
    return 0;
}

static int close_arena(void **state)
{
    tn_arena_free(*state);
    return 0;
}

#define ARENA_TEST(function) cmocka_unit_test_setup_teardown(function, open_arena, close_arena)

static const struct {
    const char *type, *text, *hex, *back; /* back NULL: the same text; hex NULL: refused */
} values[] = {
    {"boolean", "true", "01", NULL},
    {"boolean", "0", "00", "false"},
    {"boolean", "maybe", NULL, NULL},
    {"int", "-2", "feffffff", NULL},
    {"int", "2147483648", NULL, NULL},
    {"int", "1.5", NULL, NULL},
    {"int", "", NULL, NULL},
    {"long", "2147483648", "0000008000000000", NULL},
    {"long", "-9223372036854775808", "0000000000000080", NULL},
    {"long", "9223372036854775808", NULL, NULL},
    {"float", "1.5", "0000c03f", NULL},
    {"double", "-0.0", "0000000000000080", "-0.0"},
    {"double", "1e300", "9c7500883ce4377e", "1e300"},
    {"double", "inf", "000000000000f07f", NULL},
    {"double", "NaN", "000000000000f87f", "nan"},
    {"double", "x", NULL, NULL},
    {"decimal(9, 2)", "12.5", "04e2", "12.50"},
    {"decimal(9, 2)", "-0.05", "fb", NULL},
    {"decimal(9, 2)", "0", "00", "0.00"},
    {"decimal(9, 2)", "1.27", "7f", NULL},
    {"decimal(9, 2)", "1.28", "0080", NULL},
    {"decimal(9, 2)", "-1.28", "80", NULL},
    {"decimal(9, 2)", "12.500", "04e2", "12.50"},
    {"decimal(9, 2)", "12.505", NULL, NULL},
    {"decimal(9, 2)", "10000000.00", NULL, NULL},
    {"decimal(9, 2)", "9999999.99", "3b9ac9ff", NULL},
    {"decimal(9, 2)", "1.2.3", NULL, NULL},
    {"decimal(9, 2)", "-", NULL, NULL},
    {"decimal(38, 0)", "-99999999999999999999999999999999999999", "b4c4b357a5793b85f675ddc000000001", NULL},
    {"decimal(38, 0)", "100000000000000000000000000000000000000", NULL, NULL},
    {"decimal(3, 3)", "0.125", "7d", NULL},
    {"date", "2024-01-31", "294d0000", NULL},
    {"date", "1969-12-31", "ffffffff", NULL},
    {"date", "2024-02-30", NULL, NULL},
    {"date", "2024-01-31 ", NULL, NULL},
    {"date", "31/01/2024", NULL, NULL},
    {"time", "13:45:00.5", "20b075860b000000", "13:45:00.500000"},
    {"time", "24:00:00", NULL, NULL},
    {"timestamp", "1970-01-01 00:00:01", "40420f0000000000", NULL},
    {"timestamp", "1969-12-31T23:59:59.999999", "ffffffffffffffff", "1969-12-31 23:59:59.999999"},
    {"timestamp", "2024-01-01", "00202110d70d0600", "2024-01-01 00:00:00"},
    {"timestamp", "2024-01-01 00:00:00+01", NULL, NULL},
    {"timestamptz", "1970-01-01 01:00:01+01", "40420f0000000000", "1970-01-01 00:00:01+00:00"},
    {"timestamptz", "1970-01-01T00:00:01Z", "40420f0000000000", "1970-01-01 00:00:01+00:00"},
    {"timestamptz", "1970-01-01 00:00:01", "40420f0000000000", "1970-01-01 00:00:01+00:00"},
    {"timestamptz", "1969-12-31 18:30:01-05:30", "40420f0000000000", "1970-01-01 00:00:01+00:00"},
    {"string", "a\xc3\xa9", "61c3a9", NULL},
    {"string", "", "", NULL},
    {"string", "\xff", NULL, NULL},
    {"uuid", "f79c3e09-677c-4bbd-a479-3f349cb785e7", "f79c3e09677c4bbda4793f349cb785e7", NULL},
    {"uuid", "f79c3e09-677c-4bbd-a479-3f349cb785e", NULL, NULL},
    {"uuid", "f79c3e0-9677c-4bbd-a479-3f349cb785e7", NULL, NULL},
    {"fixed[3]", "0102ff", "0102ff", NULL},
    {"fixed[3]", "0102", NULL, NULL},
    {"binary", "0102ff", "0102ff", NULL},
    {"binary", "0", NULL, NULL},
    {"variant", "1", NULL, NULL},
};

static void text_and_bytes(void **state)
{
    struct tn_arena *arena = *state;
    for (size_t i = 0; i < TN_COUNT(values); i++) {
        struct iceberg_bytes value = {(const uint8_t *)"untouched", 9};
        const struct iceberg_type *type = iceberg_type_parse(arena, values[i].type);
        enum tn_code code =
            iceberg_value_parse(arena, type, values[i].text, strlen(values[i].text), &value, &test_err);
        if (!values[i].hex) {
            if (code != TN_EREQUEST || value.length != 9)
                fail_msg("%s accepts \"%s\"", values[i].type, values[i].text);
            continue;
        }
        TN_AUTO_BUF back = {0};
        char hex[128];
        if (code != TN_OK)
            fail_msg("%s refuses \"%s\"", values[i].type, values[i].text);
        tn_hex_encode(value.data, value.length, hex);
        assert_string_equal(hex, values[i].hex);
        assert_true(iceberg_value_valid(type, value));
        iceberg_value_format(type, value, &back);
        assert_string_equal(back.data ? back.data : "", values[i].back ? values[i].back : values[i].text);
    }
}

/* Each row ascends. */
static const struct {
    const char *type;
    const char *texts[6];
} orders[] = {
    {"int", {"-2147483648", "-1", "0", "1", "2147483647", NULL}},
    {"long", {"-9223372036854775808", "-1", "0", "256", "9223372036854775807", NULL}},
    {"double", {"-inf", "-1.5", "0", "1e-300", "inf", "nan"}},
    {"float", {"-2", "-1", "0.5", "100", "inf", "nan"}},
    {"decimal(38, 2)", {"-123456789012345678901234.00", "-1.28", "-0.01", "1.27", "1.28", "99999999999999.99"}},
    {"date", {"1600-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31", NULL}},
    {"timestamp", {"1900-01-01", "1969-12-31 23:59:59", "1970-01-01", "2024-01-01 00:00:00.000001", NULL, NULL}},
    {"string", {"", "A", "AA", "B", "a", "\xc3\xa9"}},
    {"binary", {"", "00", "0001", "7f", "80", "ff"}},
    {"uuid",
     {"00000000-0000-0000-0000-000000000001", "7fffffff-0000-0000-0000-000000000000",
      "80000000-0000-0000-0000-000000000000", NULL, NULL, NULL}},
    {"boolean", {"false", "true", NULL, NULL, NULL, NULL}},
};

static void order(void **state)
{
    struct tn_arena *arena = *state;
    for (size_t i = 0; i < TN_COUNT(orders); i++) {
        const struct iceberg_type *type = iceberg_type_parse(arena, orders[i].type);
        for (size_t a = 0; a < 6 && orders[i].texts[a]; a++)
            for (size_t b = 0; b < 6 && orders[i].texts[b]; b++) {
                int got = iceberg_value_compare(type, test_value(arena, type, orders[i].texts[a]),
                                                test_value(arena, type, orders[i].texts[b]));
                if ((a < b) != (got < 0) || (a == b) != (got == 0))
                    fail_msg("%s: %s against %s is %d", orders[i].type, orders[i].texts[a], orders[i].texts[b], got);
            }
    }
}

/* Bounds written before a column was widened still compare. */
static void widened_values_compare(void **state)
{
    struct tn_arena *arena = *state;
    struct iceberg_bytes narrow = test_value(arena, iceberg_type_of(ICEBERG_INT), "-5");
    struct iceberg_bytes wide = test_value(arena, iceberg_type_of(ICEBERG_LONG), "-5");
    assert_true(iceberg_value_valid(iceberg_type_of(ICEBERG_LONG), narrow));
    assert_int_equal(iceberg_value_compare(iceberg_type_of(ICEBERG_LONG), narrow, wide), 0);
    narrow = test_value(arena, iceberg_type_of(ICEBERG_FLOAT), "0.5");
    wide = test_value(arena, iceberg_type_of(ICEBERG_DOUBLE), "0.5");
    assert_int_equal(iceberg_value_compare(iceberg_type_of(ICEBERG_DOUBLE), narrow, wide), 0);
}

static const struct {
    const char *type, *value, *lower, *upper; /* NULL: no bound */
} bounds[] = {
    {"string", "short", "short", "short"},
    {"string", "exactly sixteen!", "exactly sixteen!", "exactly sixteen!"},
    {"string", "seventeen letters", "seventeen letter", "seventeen lettes"},
    {"string",
     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
     "\xc3\xa9\xc3\xa9\xc3\xa9x",
     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3"
     "\xa9"
     "\xc3\xa9\xc3\xa9",
     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3"
     "\xa9"
     "\xc3\xa9\xc3\xaa"},
    /* U+D7FF grows into U+E000: surrogates are no characters. */
    {"string", "aaaaaaaaaaaaaaa\xed\x9f\xbfx", "aaaaaaaaaaaaaaa\xed\x9f\xbf", "aaaaaaaaaaaaaaa\xee\x80\x80"},
    /* The last code point cannot grow, so the one before does. */
    {"string", "aaaaaaaaaaaaaab\xf4\x8f\xbf\xbfx", "aaaaaaaaaaaaaab\xf4\x8f\xbf\xbf", "aaaaaaaaaaaaaac"},
    {"string",
     "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf"
     "\xbf"
     "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf"
     "\xbf"
     "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf",
     "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf"
     "\xbf"
     "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf"
     "\xbf"
     "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf",
     NULL},
    {"binary", "000102030405060708090a0b0c0d0eff10", "000102030405060708090a0b0c0d0eff",
     "000102030405060708090a0b0c0d0f"},
    {"binary", "ffffffffffffffffffffffffffffffffff", "ffffffffffffffffffffffffffffffff", NULL},
    {"double", "0", "-0.0", "0"},
    {"double", "-0.0", "-0.0", "0"},
    {"double", "nan", NULL, NULL},
    {"double", "inf", "inf", "inf"},
    {"float", "0", "-0.0", "0"},
    {"decimal(9, 2)", "-1.28", "-1.28", "-1.28"},
};

static void bounds_bound(void **state)
{
    struct tn_arena *arena = *state;
    for (size_t i = 0; i < TN_COUNT(bounds); i++) {
        const struct iceberg_type *type = iceberg_type_parse(arena, bounds[i].type);
        struct iceberg_bytes value = test_value(arena, type, bounds[i].value);
        const struct iceberg_bytes got[] = {iceberg_bound_lower(arena, type, value),
                                            iceberg_bound_upper(arena, type, value)};
        const char *const want[] = {bounds[i].lower, bounds[i].upper};
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(got[k].data != NULL, want[k] != NULL);
            if (!want[k])
                continue;
            TN_AUTO_BUF text = {0};
            iceberg_value_format(type, got[k], &text);
            assert_string_equal(text.data, want[k]);
            int order_ = iceberg_value_compare(type, got[k], value);
            assert_true(k == 0 ? order_ <= 0 : order_ >= 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(text_and_bytes),
        ARENA_TEST(order),
        ARENA_TEST(widened_values_compare),
        ARENA_TEST(bounds_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
