/* Numbers that C code gives to rows. */
#include "engine/engine_test_support.h"

static int set_up(void **state)
{
    struct fixture *fixture = tn_calloc(1, sizeof *fixture);
    *state = fixture;
    return fixture_open(fixture, 0, 4);
}

static int tear_down(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static bool take_text(void *context, size_t column_count, const char *const *values)
{
    assert_int_equal(column_count, 1);
    tn_buf_puts(context, values[0]);
    tn_buf_putc(context, ' ');
    return true;
}

/* The length of the text, and the number times the context; a NULL is 1000. */
static enum tn_code weigh(void *context, const struct engine_cell *cells, size_t count, int64_t *ret,
                          struct tn_error *err)
{
    const int64_t *factor = context;
    if (count != 2)
        return tn_fail(err, TN_EINTERNAL, "%zu columns", count);
    if (!cells[1].null && cells[1].integer == 13)
        return tn_fail(err, TN_EREFUSED, "thirteen brings no luck");
    *ret = (cells[0].null ? 1000 : (int64_t)cells[0].text.length) + *factor * (cells[1].null ? 0 : cells[1].integer);
    return TN_OK;
}

static void test_numbers(void **state)
{
    struct fixture *fixture = *state;
    struct tn_error err = {0};
    int64_t tens = 10;
    TN_AUTO_BUF sql = {0};
    TN_AUTO_BUF got = {0};
    uint64_t id = engine_number_add(fixture->engine, weigh, &tens);
    tn_buf_printf(&sql,
                  "SELECT tarn_number(%llu, t, n) FROM (VALUES ('a', 1), ('a longer one, beyond', 2), (NULL, 3), "
                  "('', NULL)) v(t, n)",
                  (unsigned long long)id);
    assert_int_equal(engine_run(fixture->engine, sql.data, take_text, &got, &err), TN_OK);
    assert_string_equal(got.data, "11 40 1030 0 ");

    /* Over many rows and threads, each as what it is. */
    tn_buf_clear(&sql);
    tn_buf_clear(&got);
    tn_buf_printf(&sql,
                  "SELECT count(*) FROM range(300000) r(i) "
                  "WHERE tarn_number(%llu, repeat('x', i %% 7), i + 100) <> i %% 7 + 10 * (i + 100)",
                  (unsigned long long)id);
    assert_int_equal(engine_run(fixture->engine, sql.data, take_text, &got, &err), TN_OK);
    assert_string_equal(got.data, "0 ");

    tn_buf_clear(&sql);
    tn_buf_printf(&sql, "SELECT tarn_number(%llu, 'a', i) FROM range(20) r(i)", (unsigned long long)id);
    assert_int_not_equal(engine_run(fixture->engine, sql.data, take_text, &got, &err), TN_OK);
    assert_non_null(strstr(err.detail, "no luck"));
    engine_number_remove(fixture->engine, id);
    engine_number_remove(fixture->engine, id);
    assert_int_not_equal(engine_run(fixture->engine, sql.data, take_text, &got, &err), TN_OK);
    assert_non_null(strstr(err.detail, "any more"));
    assert_true(engine_number_add(fixture->engine, weigh, &tens) > id); /* numbers do not come back */
}

static void test_users_do_not_reach_it(void **state)
{
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    assert_int_equal(fixture_rows(*state, "SELECT tarn_number(1, 2)", &out, &err), TN_ESQLREFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_users_do_not_reach_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
