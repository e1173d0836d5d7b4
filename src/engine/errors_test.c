/* What the engine says, as we say it. */
#include "engine/engine_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_full_disks(void **state)
{
    (void)state;
    struct tn_error err = {0};
    /* The engine's writer puts the failure of a thread of its own into its message, as JSON. */
    assert_int_equal(engine_fail(&err,
                                 "{\"exception_type\":\"IO\",\"exception_message\":\"Async write failed: "
                                 "{\\\"exception_type\\\":\\\"IO\\\",\\\"exception_message\\\":\\\"Could not write "
                                 "file \\\\\\\"a.parquet\\\\\\\": No space left on device\\\"}\"}",
                                 NULL),
                     TN_EDISKFULL);
    assert_string_equal(err.detail,
                        "Async write failed: Could not write file \"a.parquet\": No space left on device");
    assert_string_equal(err.hint, "free some space on that disk, then try again");
    err = (struct tn_error){0};
    assert_int_equal(engine_fail(&err, "failed to offload data: max_temp_directory_size reached", NULL),
                     TN_EDISKFULL);
    assert_non_null(strstr(err.hint, "sql.temp"));
}

static void test_braces_that_are_no_failure(void **state)
{
    (void)state;
    struct tn_error err = {0};
    assert_int_equal(engine_fail(&err, "cannot cast {\"exception_type\": 1", NULL), TN_ESQL);
    assert_string_equal(err.detail, "cannot cast {\"exception_type\": 1");
}

/* Only trusted text names files: a damaged one is no error of somebody's SQL. */
static void test_a_file_that_is_none(void **state)
{
    (void)state;
    struct tn_error err = {0};
    assert_int_equal(engine_fail(&err,
                                 "{\"exception_type\":\"Invalid Input\",\"exception_message\":\"File 'a.parquet' too "
                                 "small to be a Parquet file\"}",
                                 NULL),
                     TN_ECORRUPT);
    assert_non_null(strstr(err.hint, "tarn doctor"));
    assert_int_equal(engine_fail(&err,
                                 "{\"exception_type\":\"Conversion\",\"exception_message\":\"Could not convert "
                                 "string 'No magic bytes found' to INT32\"}",
                                 NULL),
                     TN_ESQL);
}

/* Nobody need be told: work ahead of a request has no one. */
static void test_nobody_is_told(void **state)
{
    (void)state;
    assert_int_equal(engine_fail(NULL, "{\"exception_type\":\"IO\",\"exception_message\":\"Could not read\"}", NULL),
                     TN_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nobody_is_told), cmocka_unit_test(test_full_disks),
                                       cmocka_unit_test(test_braces_that_are_no_failure),
                                       cmocka_unit_test(test_a_file_that_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
