/* Bitmaps of rows that are gone. */
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

static void expect_text(struct fixture *fixture, const char *sql, const char *want)
{
    TN_AUTO_BUF got = {0};
    struct tn_error err = {0};
    if (engine_run(fixture->engine, sql, take_text, &got, &err) != TN_OK)
        fail_msg("%s: %s", sql, err.detail);
    assert_string_equal(got.data ? got.data : "", want);
}

static void test_sets(void **state)
{
    struct fixture *fixture = *state;
    struct engine_bitmap *bitmaps[] = {engine_bitmap_new(200, UINT64_MAX), engine_bitmap_new(0, 3),
                                       engine_bitmap_new(64, 70)};
    engine_bitmap_set(bitmaps[0], 0);
    engine_bitmap_set(bitmaps[0], 63);
    engine_bitmap_set(bitmaps[0], 64);
    engine_bitmap_set(bitmaps[0], 199);
    engine_bitmap_set(bitmaps[2], 1);
    uint64_t first = engine_live_add(fixture->engine, bitmaps, 3);
    for (size_t i = 0; i < 3; i++)
        engine_bitmap_unref(bitmaps[i]);
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "SELECT count(*) FROM range(5000) t(i) WHERE tarn_live(%llu, i)", (unsigned long long)first);
    expect_text(fixture, sql.data, "4996 ");
    tn_buf_clear(&sql);
    tn_buf_printf(&sql,
                  "SELECT f || ':' || count(*) FROM range(5000) t(i), range(3) f(f) "
                  "WHERE tarn_live(%llu, f::UBIGINT, i) GROUP BY f ORDER BY f",
                  (unsigned long long)first);
    expect_text(fixture, sql.data, "0:4996 1:3 2:69 ");

    engine_live_remove(fixture->engine, first + 1, 1);
    struct tn_error err = {0};
    assert_int_equal(engine_run(fixture->engine, sql.data, NULL, NULL, &err), TN_ESQL);
    assert_non_null(strstr(err.detail, "ask again"));
    engine_live_remove(fixture->engine, first, 3);
    struct engine_bitmap *other = engine_bitmap_new(1, UINT64_MAX);
    assert_true(engine_live_add(fixture->engine, &other, 1) > first + 2); /* numbers do not come back */
    engine_bitmap_unref(other);
}

static void test_users_do_not_reach_it(void **state)
{
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    assert_int_equal(fixture_rows(*state, "SELECT tarn_live(1, 2)", &out, &err), TN_ESQLREFUSED);
}

/* A relation's hold lasts exactly as long as its query. */
struct held {
    struct engine_hold hold;
    int freed;
};

static void held_free(struct engine_hold *hold)
{
    ((struct held *)hold)->freed++;
}

static enum tn_code resolve_held(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                                 struct engine_relation *ret, struct tn_error *err)
{
    struct held *held = context;
    (void)arena;
    if (!tn_streq(ref->name, "here"))
        return tn_fail(err, TN_EDATASET, "not here");
    held->hold.references++;
    *ret =
        (struct engine_relation){.version = "1", .definition = "SELECT 1 AS x", .hold = &held->hold, .cached = true};
    return TN_OK;
}

static void test_holds(void **state)
{
    struct fixture *fixture = *state;
    struct held held = {.hold = {.free = held_free}};
    const char *sql = "SELECT * FROM here a, here b";
    struct engine_query_options options = {
        .sql = sql, .sql_length = strlen(sql), .resolver = {.context = &held, .resolve = resolve_held}};
    struct engine_query *query = NULL;
    struct tn_error err = {0};
    assert_int_equal(engine_query_start(fixture->engine, &options, &query, &err), TN_OK);
    assert_int_equal(held.freed, 0);
    size_t count;
    const struct engine_used_table *used = engine_query_tables(query, &count);
    assert_int_equal(count, 1);
    assert_true(used[0].cached);
    engine_query_free(query);
    assert_int_equal(held.freed, 1);
    options.sql = "SELECT * FROM here, gone";
    options.sql_length = strlen(options.sql);
    assert_int_equal(engine_query_start(fixture->engine, &options, &query, &err), TN_EDATASET);
    assert_int_equal(held.freed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_users_do_not_reach_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_holds, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
