#include "gateway/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_problem(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    (void)tn_fail(&err, TN_ESQL, "no column \"a\"");
    err.line = 2;
    err.column = 7;
    problem_write(&err, "r1", &out);
    assert_string_equal(out.data, "{\"type\":\"urn:tarn:error:sql_error\",\"title\":\"SQL error\",\"status\":400,"
                                  "\"code\":\"sql_error\",\"detail\":\"no column \\\"a\\\"\",\"line\":2,\"column\":7,"
                                  "\"request_id\":\"r1\"}");
}

static void test_iceberg(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    (void)tn_fail(&err, TN_EDATASET, "Table does not exist: default.x");
    problem_write_iceberg(&err, &out);
    assert_string_equal(out.data, "{\"error\":{\"message\":\"Table does not exist: default.x\","
                                  "\"type\":\"NoSuchTableException\",\"code\":404}}");
}

static void test_retry(void **state)
{
    (void)state;
    assert_true(problem_retry_after(TN_EBUSY) > 0);
    assert_true(problem_retry_after(TN_EUNAVAILABLE) > 0);
    assert_int_equal(problem_retry_after(TN_ENOTFOUND), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_problem), cmocka_unit_test(test_iceberg),
                                       cmocka_unit_test(test_retry)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
