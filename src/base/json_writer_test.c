/* The streaming writer: commas, escapes, numbers. */
#include "base/test_support.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void structure(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct tn_json json = tn_json_writer(&out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "text", "a");
    tn_json_kstr(&json, "none", NULL);
    tn_json_ki64(&json, "n", -3);
    tn_json_kbool(&json, "b", true);
    tn_json_kf64(&json, "d", 0.25);
    tn_json_key(&json, "list");
    tn_json_open(&json, '[');
    tn_json_open(&json, '[');
    tn_json_close(&json, ']');
    tn_json_open(&json, '{');
    tn_json_close(&json, '}');
    tn_json_null(&json);
    tn_json_bool(&json, false);
    tn_json_raw(&json, "{\"x\":1}", 7);
    tn_json_strn(&json, "abc", 2);
    tn_json_close(&json, ']');
    tn_json_key(&json, "q\"");
    tn_json_int(&json, 1);
    tn_json_close(&json, '}');
    assert_int_equal(json.depth, 0);
    assert_string_equal(out.data, "{\"text\":\"a\",\"none\":null,\"n\":-3,\"b\":true,\"d\":0.25,\"list\":[[],{},null,"
                                  "false,{\"x\":1},\"ab\"],\"q\\\"\":1}");
}

static void lists_and_what_is_unknown(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct tn_json json = tn_json_writer(&out);
    const char *const names[] = {"a", "b\""};
    tn_json_open(&json, '{');
    tn_json_kstrs(&json, "none", NULL, 0);
    tn_json_kstrs(&json, "two", names, 2);
    tn_json_kreal(&json, "half", 0.5);
    tn_json_kreal(&json, "nan", NAN);
    tn_json_kreal(&json, "far", -INFINITY);
    tn_json_close(&json, '}');
    assert_int_equal(json.depth, 0);
    assert_string_equal(out.data, "{\"none\":[],\"two\":[\"a\",\"b\\\"\"],\"half\":0.5,\"nan\":null,\"far\":null}");
}

static void safe_integers(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *want;
    } cases[] = {
        {0, "0"},
        {TN_JSON_MAX_SAFE, "9007199254740992"},
        {TN_JSON_MAX_SAFE + 1, "\"9007199254740993\""},
        {-TN_JSON_MAX_SAFE, "-9007199254740992"},
        {-TN_JSON_MAX_SAFE - 1, "\"-9007199254740993\""},
        {INT64_MIN, "\"-9223372036854775808\""},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_BUF out = {0}, plain = {0};
        struct tn_json json = tn_json_writer(&out), number = tn_json_writer(&plain);
        tn_json_i64(&json, cases[i].value);
        tn_json_int(&number, cases[i].value);
        assert_string_equal(out.data, cases[i].want);
        assert_null(strchr(plain.data, '"'));
    }
    TN_AUTO_BUF out = {0};
    struct tn_json json = tn_json_writer(&out);
    tn_json_u64(&json, 5);
    tn_json_u64(&json, UINT64_MAX);
    tn_json_u64(&json, UINT64_C(9223372036854775808));
    tn_json_f64(&json, NAN);
    tn_json_f64(&json, -INFINITY);
    tn_json_f64(&json, INFINITY);
    assert_string_equal(out.data,
                        "5,\"18446744073709551615\",\"9223372036854775808\",\"NaN\",\"-Infinity\",\"Infinity\"");
}

static void escapes(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *want;
    } cases[] = {
        {"", "\"\""},
        {"\"\\/", "\"\\\"\\\\/\""},
        {"\b\f\n\r\t\x01\x1F\x7F", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\""},
        {"gr\xC3\xBC\xC3\x9F", "\"gr\xC3\xBC\xC3\x9F\""},
        {"\xF0\x9F\x98\x80", "\"\xF0\x9F\x98\x80\""},
        {"a\xFFz", "\"a\xEF\xBF\xBDz\""},
        {"\xC3", "\"\xEF\xBF\xBD\""},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_BUF out = {0};
        tn_json_quote(&out, cases[i].in, strlen(cases[i].in));
        assert_string_equal(out.data, cases[i].want);
    }
    TN_AUTO_BUF out = {0};
    tn_json_quote(&out, "a\0b", 3);
    assert_string_equal(out.data, "\"a\\u0000b\"");
}

/* Every byte at every place relative to the eight that are looked at once. */
static void every_byte_everywhere(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        for (size_t before = 0; before < 18; before++) {
            size_t length = before + 1 + before % 5;
            TN_AUTO_FREE char *text = tn_malloc(length);
            memset(text, 'a', length);
            text[before] = (char)c;
            TN_AUTO_BUF fast = {0}, slow = {0};
            tn_json_quote(&fast, text, length);
            tn_buf_putc(&slow, '"');
            for (size_t i = 0; i < length; i++) {
                unsigned char b = (unsigned char)text[i];
                static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
                const char *name = b ? strchr(names, (char)b) : NULL;
                if (name && (name - names) % 2 == 0)
                    tn_buf_printf(&slow, "\\%c", name[1]);
                else if (b < 0x20)
                    tn_buf_printf(&slow, "\\u%04x", b);
                else if (b >= 0x80)
                    tn_buf_puts(&slow, "\xEF\xBF\xBD");
                else
                    tn_buf_putc(&slow, (char)b);
            }
            tn_buf_putc(&slow, '"');
            if (strcmp(fast.data, slow.data) != 0)
                fail_msg("byte %02x after %zu: %s, not %s", c, before, fast.data, slow.data);
        }
    }
}

static void integers(void **state)
{
    (void)state;
    int64_t power = 1;
    for (int digits = 0; digits < 19; digits++) {
        for (int64_t near = -1; near <= 1; near++) {
            for (int sign = -1; sign <= 1; sign += 2) {
                int64_t value = sign * (power + near);
                char want[32];
                (void)snprintf(want, sizeof want, "%lld", (long long)value);
                TN_AUTO_BUF out = {0};
                tn_format_i64(&out, value);
                assert_string_equal(out.data, want);
            }
        }
        if (digits < 18)
            power *= 10;
    }
    TN_AUTO_BUF out = {0};
    tn_format_i64(&out, INT64_MIN);
    assert_string_equal(out.data, "-9223372036854775808");
}

static void doubles(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *want;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0.0"},
        {1, "1"},
        {-1, "-1"},
        {100, "100"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {-12.34, "-12.34"},
        {0.001, "0.001"},
        {0.00001, "0.00001"},
        {0.000001, "1e-6"},
        {1.5e-7, "1.5e-7"},
        {123456789.123, "123456789.123"},
        {999999999999999, "999999999999999"},
        {1e15, "1000000000000000"},
        {1e16, "1e16"},
        {1234567890123456.8, "1234567890123456.8"},
        {123456789012345678.0, "1.2345678901234568e17"},
        {1e22, "1e22"},
        {1e300, "1e300"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {DBL_MAX, "1.7976931348623157e308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {3.5e-310, "3.5e-310"},
        {0.5, "0.5"},
        {99.99, "99.99"},
        {4.35, "4.35"},
        {1e-5, "0.00001"},
        {2.5, "2.5"},
        {1e23, "1e23"},
        {9007199254740993.0, "9007199254740992"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_BUF out = {0};
        tn_format_f64(&out, cases[i].value);
        assert_string_equal(out.data, cases[i].want);
    }
}

static void floats(void **state)
{
    (void)state;
    static const struct {
        float value;
        const char *want;
    } cases[] = {
        {0.0F, "0"},
        {-0.0F, "-0.0"},
        {0.1F, "0.1"},
        {-1.5F, "-1.5"},
        {16777216.0F, "16777216"},
        {123456789.0F, "123456790"},
        {3.4028235e38F, "3.4028235e38"},
        {1e-45F, "1e-45"},
        {1.1754944e-38F, "1.1754944e-38"},
        {0.33333334F, "0.33333334"},
        {1e10F, "10000000000"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_BUF out = {0};
        tn_format_f32(&out, cases[i].value);
        assert_string_equal(out.data, cases[i].want);
    }
}

static int digits_of(const char *text)
{
    int count = 0, zeros = 0;
    bool leading = true;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (leading && *text == '0'))
            continue;
        leading = false;
        count++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return count - zeros;
}

static void check_double(double value)
{
    TN_AUTO_BUF out = {0};
    tn_format_f64(&out, value);
    double back;
    if (!tn_parse_double(out.data, &back) || memcmp(&back, &value, sizeof value) != 0)
        fail_msg("%.17g printed as %s", value, out.data);
    char other[400];
    int digits = digits_of(out.data);
    if (digits > 1) { /* one less does not do */
        (void)snprintf(other, sizeof other, "%.*g", digits - 1, value);
        if (strtod(other, NULL) == value)
            fail_msg("%s would do for %s", other, out.data);
    }
    /* And no nearer one of its length reads back as well. */
    (void)snprintf(other, sizeof other, "%.*g", TN_MAX(digits, 1), value);
    long double mine = fabsl(strtold(out.data, NULL) - (long double)value);
    if (strtod(other, NULL) == value && fabsl(strtold(other, NULL) - (long double)value) < mine)
        fail_msg("%s is nearer than %s", other, out.data);
}

static void doubles_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int i = 0; i < 100000; i++) {
        seed = tn_hash64(&i, sizeof i, seed);
        double value;
        switch (i % 4) {
        case 0:
            memcpy(&value, &seed, sizeof value);
            break;
        case 1:
            value = (double)(int64_t)(seed >> 40) / 100;
            break;
        case 2:
            value = (double)(seed >> 11) * 0x1p-53;
            break;
        default:
            value = (double)(int64_t)seed / 1e6;
        }
        if (isfinite(value))
            check_double(value);
    }
    /* Powers of two and their neighbours: there the interval is lopsided. */
    for (int exponent = -1074; exponent < 1024; exponent++) {
        double value = ldexp(1, exponent);
        check_double(value);
        check_double(nextafter(value, 0));
        check_double(nextafter(value, INFINITY) < INFINITY ? nextafter(value, INFINITY) : value);
    }
    for (int exponent = -323; exponent <= 308; exponent++) {
        char text[16];
        (void)snprintf(text, sizeof text, "1e%d", exponent);
        check_double(strtod(text, NULL));
    }
}

static void floats_round_trip(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 300000; i++) {
        uint32_t bits = i < 4096 ? i << 19 : (uint32_t)tn_hash64(&i, sizeof i, 7);
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        TN_AUTO_BUF out = {0};
        tn_format_f32(&out, value);
        float back = strtof(out.data, NULL);
        if (memcmp(&back, &value, sizeof value) != 0)
            fail_msg("%.9g printed as %s", (double)value, out.data);
        int digits = digits_of(out.data);
        char shorter[400];
        (void)snprintf(shorter, sizeof shorter, "%.*g", TN_MAX(digits - 1, 1), (double)value);
        if (digits > 1 && strtof(shorter, NULL) == value)
            fail_msg("%s would do for %s", shorter, out.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structure),
        cmocka_unit_test(lists_and_what_is_unknown),
        cmocka_unit_test(safe_integers),
        cmocka_unit_test(escapes),
        cmocka_unit_test(every_byte_everywhere),
        cmocka_unit_test(integers),
        cmocka_unit_test(doubles),
        cmocka_unit_test(floats),
        cmocka_unit_test(doubles_round_trip),
        cmocka_unit_test(floats_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
