#include "catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool good;
    } cases[] = {
        {"calls", true},  {"_a1", true},     {"q3_hours", true}, {"", false},         {"1st", false},
        {"Calls", false}, {"a-b", false},    {"a b", false},     {"a.b", false},      {"..", false},
        {"a/b", false},   {"select", false}, {"journal", false}, {"\xc3\xa9", false}, {"a\"b", false},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct tn_error err = {0};
        enum tn_code code = catalog_check_name(cases[i].name, &err);
        assert_int_equal(code == TN_OK, cases[i].good);
        assert_int_equal(code == TN_OK, err.hint[0] == '\0');
    }
    char longest[CATALOG_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[CATALOG_NAME_MAX] = '\0';
    assert_int_equal(catalog_check_name(longest, NULL), TN_OK);
    longest[CATALOG_NAME_MAX] = 'a';
    longest[CATALOG_NAME_MAX + 1] = '\0';
    assert_int_equal(catalog_check_name(longest, NULL), TN_EREQUEST);
}

static void test_from(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"Q3 Hours (final).csv", "q3_hours_final"},
        {"/tmp/x/calls.ndjson.gz", "calls"},
        {"2024-01.csv", "_2024_01"},
        {"select.parquet", "select_data"},
        {"\xf0\x9f\x98\x80", "dataset"},
        {"", "dataset"},
        {".csv", "csv"},
        {"a__b", "a_b"},
        {"Namen \xc3\xbc.json", "namen"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        const char *got = catalog_name_from(arena, cases[i].text);
        assert_string_equal(got, cases[i].want);
        assert_int_equal(catalog_check_name(got, NULL), TN_OK);
    }
    char longest[1000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(catalog_check_name(catalog_name_from(arena, longest), NULL), TN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_check), cmocka_unit_test(test_from)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
