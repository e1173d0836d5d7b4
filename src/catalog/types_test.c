#include "catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What DuckDB calls a column, and what the table's column is called after. */
static void test_there_and_back(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"BOOLEAN", "BOOLEAN"},
        {"TINYINT", "INTEGER"},
        {"USMALLINT", "INTEGER"},
        {"UINTEGER", "BIGINT"},
        {"UBIGINT", "DECIMAL(20,0)"},
        {"HUGEINT", "DECIMAL(38,0)"},
        {"DECIMAL(12,2)", "DECIMAL(12,2)"},
        {"FLOAT", "FLOAT"},
        {"TIMESTAMP", "TIMESTAMP"},
        {"TIMESTAMP_S", "TIMESTAMP"},
        {"TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"},
        {"TIME", "TIME"},
        {"TIME WITH TIME ZONE", "VARCHAR"},
        {"JSON", "VARCHAR"},
        {"ENUM('a', 'it''s (b)')", "VARCHAR"},
        {"VARCHAR[]", "VARCHAR[]"},
        {"FLOAT[768]", "FLOAT[]"},
        {"BIGINT[][]", "BIGINT[][]"},
        {"STRUCT(a BIGINT, \"b \"\"c\" VARCHAR[])", "STRUCT(\"a\" BIGINT, \"b \"\"c\" VARCHAR[])"},
        {"STRUCT(x STRUCT(y DATE)[])", "STRUCT(\"x\" STRUCT(\"y\" DATE)[])"},
        {"MAP(VARCHAR, DECIMAL(5,1))", "MAP(VARCHAR, DECIMAL(5,1))"},
        {"UUID", "UUID"},
        {"BLOB", "BLOB"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        const struct iceberg_type *type = NULL;
        struct tn_error err = {0};
        enum tn_code code = catalog_type_from_sql(arena, cases[i].in, &type, &err);
        if (code != TN_OK)
            fail_msg("%s: %s", cases[i].in, err.detail);
        assert_string_equal(catalog_sql_type(arena, type), cases[i].want);
        const struct iceberg_type *again = NULL; /* what is stored is read back as the same type */
        assert_int_equal(catalog_type_from_sql(arena, cases[i].want, &again, &err), TN_OK);
        assert_true(iceberg_type_equal(type, again));
    }
}

static void test_refused(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const char *const cases[] = {
        "",        "UNION(a INT)", "GEOMETRY", "DECIMAL(40,2)", "DECIMAL(3,5)", "STRUCT(a", "STRUCT(\"a INT)",
        "BIGINT[", "MAP(INT)",     "INT x",    "ENUM('a'",
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        const struct iceberg_type *type = (const struct iceberg_type *)&cases;
        struct tn_error err = {0};
        assert_int_equal(catalog_type_from_sql(arena, cases[i], &type, &err), TN_EUNSUPPORTED);
        assert_ptr_equal(type, &cases);
        assert_true(err.detail[0] != '\0');
    }
    TN_AUTO_BUF deep = {0};
    for (int i = 0; i < 1000; i++)
        tn_buf_puts(&deep, "STRUCT(a ");
    const struct iceberg_type *type;
    assert_int_equal(catalog_type_from_sql(arena, deep.data, &type, NULL), TN_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
