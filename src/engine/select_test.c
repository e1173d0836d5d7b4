/* Cells in and out of trusted statements. */
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

struct taken {
    const struct engine_column *columns;
    size_t count;
    struct tn_buf json;
    size_t rows, stop_at;
};

static enum tn_code take(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct taken *taken = context;
    if (taken->stop_at && taken->rows == taken->stop_at)
        return tn_fail(err, TN_ECONFLICT, "enough");
    taken->rows++;
    tn_buf_putc(&taken->json, '[');
    for (size_t i = 0; i < taken->count; i++) {
        tn_buf_puts(&taken->json, i ? "," : "");
        engine_cell_json(&taken->columns[i], &cells[i], &taken->json);
        assert_true(engine_cell_equal(&taken->columns[i].type, &cells[i], &cells[i]));
    }
    tn_buf_putc(&taken->json, ']');
    return TN_OK;
}

static void expect(struct fixture *fixture, const struct engine_select *select, const char *want)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error err = {0};
    struct taken taken = {0};
    enum tn_code code =
        engine_select(fixture->engine, select, arena, &taken.columns, &taken.count, take, &taken, &err);
    if (code != TN_OK)
        fail_msg("%s -> %s", select->sql, err.detail);
    assert_string_equal(taken.json.data ? taken.json.data : "", want);
    tn_buf_release(&taken.json);
}

/* What a cell says is what the writers of queries say. */
static void test_every_type(void **state)
{
    static const char *const values[] = {
        "true",
        "NULL::BOOLEAN",
        "-5::INTEGER",
        "9007199254740993::BIGINT",
        "-0.5::DOUBLE",
        "'nan'::DOUBLE",
        "0.1::FLOAT",
        "12.34::DECIMAL(4,2)",
        "-99999999999999.9999::DECIMAL(18,4)",
        "-12345678901234567890123456789.5::DECIMAL(38,1)",
        "DATE '1969-12-31'",
        "TIME '23:59:59.5'",
        "TIMESTAMP '2024-02-29 01:02:03.000004'",
        "TIMESTAMPTZ '2024-02-29 01:02:03+02'",
        "'it''s \"so\" \n'",
        "'a\\x00\\xFF'::BLOB",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID",
        "['a', NULL, 'b']",
        "{'a': 1, 'b': ['x']}",
        "MAP {'k': 1.5}",
        "''",
        "7::TINYINT",
        "12345678901234567890::UBIGINT",
    };
    struct fixture *fixture = *state;
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < TN_COUNT(values); i++)
        tn_buf_printf(&sql, "%s%s AS c%zu", i ? ", " : "", values[i], i);
    TN_AUTO_BUF want = {0};
    struct tn_error err = {0};
    if (fixture_rows(fixture, sql.data, &want, &err) != TN_OK)
        fail_msg("%s", err.detail);
    expect(fixture, &(struct engine_select){.sql = sql.data}, want.data);
    expect(fixture, &(struct engine_select){.sql = sql.data, .keep = true}, want.data);
    expect(fixture, &(struct engine_select){.sql = sql.data, .keep = true}, want.data);
}

static const struct engine_type types[] = {
    {.kind = ENGINE_BOOLEAN},
    {.kind = ENGINE_INTEGER},
    {.kind = ENGINE_BIGINT},
    {.kind = ENGINE_DOUBLE},
    {.kind = ENGINE_DECIMAL, .width = 38, .scale = 2},
    {.kind = ENGINE_DATE},
    {.kind = ENGINE_TIME},
    {.kind = ENGINE_TIMESTAMP},
    {.kind = ENGINE_TIMESTAMPTZ},
    {.kind = ENGINE_VARCHAR},
    {.kind = ENGINE_BLOB},
    {.kind = ENGINE_UUID},
    {.kind = ENGINE_VARCHAR},
};

static void test_parameters_by_type(void **state)
{
    const struct engine_cell cells[TN_COUNT(types)] = {
        {.integer = 1},
        {.integer = -7},
        {.integer = INT64_MIN},
        {.real = 0.1},
        {.decimal = (engine_wide)-123456789012345678 * 1000000000 - 1},
        {.integer = -1},
        {.integer = 1500000},
        {.integer = -1},
        {.integer = 0},
        {.text = {"x'y", 3}},
        {.text = {"\0\1", 2}},
        {.uuid = {0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11}},
        {.null = true},
    };
    expect(*state,
           &(struct engine_select){.sql = "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
                                          "CAST($13 AS VARCHAR)",
                                   .params = cells,
                                   .param_types = types,
                                   .param_count = TN_COUNT(types)},
           "[true,-7,\"-9223372036854775808\",0.1,\"-1234567890123456780000000.01\",\"1969-12-31\","
           "\"00:00:01.5\",\"1969-12-31T23:59:59.999999\",\"1970-01-01T00:00:00Z\",\"x'y\",\"AAE=\","
           "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\",null]");
}

struct numbers {
    int64_t next, end;
    bool fail;
};

static enum tn_code fill_numbers(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct numbers *numbers = context;
    if (numbers->fail)
        return tn_fail(err, TN_EREJECTS, "a bad row");
    while (batch->rows < batch->capacity && numbers->next < numbers->end)
        ((int64_t *)batch->columns[0].data)[batch->rows++] = numbers->next++;
    return TN_OK;
}

static void test_kept_statement_with_a_source(void **state)
{
    const struct engine_column column = {.name = "n", .type = {.kind = ENGINE_BIGINT}};
    const struct engine_type type = {.kind = ENGINE_BIGINT};
    for (int64_t round = 1; round < 4; round++) {
        struct numbers numbers = {.next = 0, .end = 5000 * round};
        const struct engine_source source = {&column, 1, &numbers, fill_numbers};
        const struct engine_cell least = {.integer = round};
        char want[64];
        snprintf(want, sizeof want, "[%lld,%lld]", (long long)(5000 * round - round), (long long)(5000 * round - 1));
        expect(*state,
               &(struct engine_select){.sql = "SELECT count(*), max(n) FROM tarn_source() WHERE n >= $1",
                                       .params = &least,
                                       .param_types = &type,
                                       .param_count = 1,
                                       .source = &source,
                                       .source_rows = 1,
                                       .keep = true},
               want);
    }
    struct numbers numbers = {.fail = true};
    const struct engine_source source = {&column, 1, &numbers, fill_numbers};
    const struct engine_select select = {.sql = "SELECT n FROM tarn_source()", .source = &source, .keep = true};
    struct tn_error err = {0};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(engine_select(fixture->engine, &select, NULL, NULL, NULL, NULL, NULL, &err), TN_EREJECTS);
        assert_string_equal(err.detail, "a bad row");
    }
    numbers = (struct numbers){.end = 2};
    expect(fixture, &select, "[0][1]");
}

static void test_errors_and_stops(void **state)
{
    struct fixture *fixture = *state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error err = {0};
    struct taken taken = {.stop_at = 3};
    struct engine_select select = {.sql = "SELECT i FROM range(1000000) t(i)"};
    assert_int_equal(engine_select(fixture->engine, &select, arena, &taken.columns, &taken.count, take, &taken, &err),
                     TN_ECONFLICT);
    assert_int_equal(taken.rows, 3);
    tn_buf_release(&taken.json);
    select.sql = "SELECT nothing FROM nowhere";
    assert_int_equal(engine_select(fixture->engine, &select, arena, NULL, NULL, NULL, NULL, &err), TN_EINTERNAL);
    select.keep = true;
    assert_int_equal(engine_select(fixture->engine, &select, arena, NULL, NULL, NULL, NULL, &err), TN_EINTERNAL);
    for (int i = 0; i < 100; i++) { /* more than are kept */
        char sql[48], want[16];
        snprintf(sql, sizeof sql, "SELECT %d::INTEGER", i);
        snprintf(want, sizeof want, "[%d]", i);
        expect(fixture, &(struct engine_select){.sql = sql, .keep = true}, want);
    }
}

static void test_equality(void **state)
{
    (void)state;
    const struct engine_type real = {.kind = ENGINE_DOUBLE}, text = {.kind = ENGINE_VARCHAR};
    const struct engine_cell null = {.null = true}, zero = {.real = 0}, minus = {.real = -0.0};
    const struct engine_cell nan = {.real = __builtin_nan("")}, other = {.real = -__builtin_nan("1")};
    const struct engine_cell empty = {.text = {NULL, 0}}, a = {.text = {"a", 1}}, ab = {.text = {"ab", 2}};
    assert_true(engine_cell_equal(&real, &null, &null));
    assert_false(engine_cell_equal(&real, &null, &zero));
    assert_false(engine_cell_equal(&real, &zero, &minus));
    assert_true(engine_cell_equal(&real, &nan, &other));
    assert_true(engine_cell_equal(&text, &empty, &empty));
    assert_false(engine_cell_equal(&text, &empty, &null));
    assert_false(engine_cell_equal(&text, &a, &ab));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parameters_by_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_statement_with_a_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_and_stops, set_up, tear_down),
        cmocka_unit_test(test_equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
