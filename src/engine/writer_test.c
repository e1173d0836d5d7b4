/* Values of every type as JSON, NDJSON and CSV. Arrow has its own test. */
#include "engine/engine_test_support.h"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    return fixture_open(&fixture, UINT64_C(256) << 20, 4);
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

/* `SELECT <expression>`: as a JSON value, as a CSV field. */
static const struct {
    const char *expression, *type, *json, *csv;
} cells[] = {
    {"true", "BOOLEAN", "true", "true"},
    {"1::TINYINT", "TINYINT", "1", "1"},
    {"(-32768)::SMALLINT", "SMALLINT", "-32768", "-32768"},
    {"2147483647", "INTEGER", "2147483647", "2147483647"},
    {"9007199254740992", "BIGINT", "9007199254740992", "9007199254740992"},
    {"9007199254740993", "BIGINT", "\"9007199254740993\"", "9007199254740993"},
    {"-9223372036854775808", "BIGINT", "\"-9223372036854775808\"", "-9223372036854775808"},
    {"255::UTINYINT", "UTINYINT", "255", "255"},
    {"65535::USMALLINT", "USMALLINT", "65535", "65535"},
    {"4294967295::UINTEGER", "UINTEGER", "4294967295", "4294967295"},
    {"18446744073709551615::UBIGINT", "UBIGINT", "\"18446744073709551615\"", "18446744073709551615"},
    {"5::HUGEINT", "HUGEINT", "5", "5"},
    {"170141183460469231731687303715884105727::HUGEINT", "HUGEINT", "\"170141183460469231731687303715884105727\"",
     "170141183460469231731687303715884105727"},
    {"(-170141183460469231731687303715884105728)::HUGEINT", "HUGEINT", "\"-170141183460469231731687303715884105728\"",
     "-170141183460469231731687303715884105728"},
    {"340282366920938463463374607431768211455::UHUGEINT", "UHUGEINT", "\"340282366920938463463374607431768211455\"",
     "340282366920938463463374607431768211455"},
    {"'123456789012345678901234567890123456789012'::BIGNUM", "BIGNUM",
     "\"123456789012345678901234567890123456789012\"", "123456789012345678901234567890123456789012"},
    {"'-1'::BIGNUM", "BIGNUM", "\"-1\"", "-1"},
    {"0::BIGNUM", "BIGNUM", "\"0\"", "0"},
    {"0.1::FLOAT", "FLOAT", "0.1", "0.1"},
    {"3.4e38::FLOAT", "FLOAT", "3.4e38", "3.4e38"},
    {"0.1::DOUBLE + 0.2::DOUBLE", "DOUBLE", "0.30000000000000004", "0.30000000000000004"},
    {"'nan'::DOUBLE", "DOUBLE", "\"NaN\"", "NaN"},
    {"'-inf'::FLOAT", "FLOAT", "\"-Infinity\"", "-Infinity"},
    {"1.50", "DECIMAL(3,2)", "1.50", "1.50"},
    {"(-0.05)::DECIMAL(4,2)", "DECIMAL(4,2)", "-0.05", "-0.05"},
    {"123456789012.345::DECIMAL(18,3)", "DECIMAL(18,3)", "123456789012.345", "123456789012.345"},
    {"1234567890123.456::DECIMAL(18,3)", "DECIMAL(18,3)", "\"1234567890123.456\"", "1234567890123.456"},
    {"12345678901234567890123456789012345.678::DECIMAL(38,3)", "DECIMAL(38,3)",
     "\"12345678901234567890123456789012345.678\"", "12345678901234567890123456789012345.678"},
    {"7::DECIMAL(38,0)", "DECIMAL(38,0)", "7", "7"},
    {"''", "VARCHAR", "\"\"", "\"\""},
    {"'twelve bytes'", "VARCHAR", "\"twelve bytes\"", "twelve bytes"},
    {"'more than twelve bytes'", "VARCHAR", "\"more than twelve bytes\"", "more than twelve bytes"},
    {"'a\"b,c'", "VARCHAR", "\"a\\\"b,c\"", "\"a\"\"b,c\""},
    {"E'line\\nbreak\\ttab'", "VARCHAR", "\"line\\nbreak\\ttab\"", "\"line\nbreak\ttab\""},
    {"'\xC3\xA9\xF0\x9F\x98\x80'", "VARCHAR", "\"\xC3\xA9\xF0\x9F\x98\x80\"", "\xC3\xA9\xF0\x9F\x98\x80"},
    {"' padded '", "VARCHAR", "\" padded \"", "\" padded \""},
    {"NULL::VARCHAR", "VARCHAR", "null", "\"\""},
    {"NULL", "\"NULL\"", "null", "\"\""},
    {"'ab\\xFF'::BLOB", "BLOB", "\"YWL/\"", "YWL/"},
    {"''::BLOB", "BLOB", "\"\"", "\"\""},
    {"'0101'::BIT", "BIT", "\"0101\"", "0101"},
    {"'6b1f6d5e-3c1f-4c3e-9b0a-0123456789ab'::UUID", "UUID", "\"6b1f6d5e-3c1f-4c3e-9b0a-0123456789ab\"",
     "6b1f6d5e-3c1f-4c3e-9b0a-0123456789ab"},
    {"DATE '2024-02-29'", "DATE", "\"2024-02-29\"", "2024-02-29"},
    {"DATE '0044-03-15 (BC)'", "DATE", "\"-000043-03-15\"", "-000043-03-15"},
    {"DATE '12345-01-01'", "DATE", "\"+012345-01-01\"", "+012345-01-01"},
    {"'infinity'::DATE", "DATE", "\"infinity\"", "infinity"},
    {"TIME '01:02:03.5'", "TIME", "\"01:02:03.5\"", "01:02:03.5"},
    {"TIMETZ '01:02:03+02:30'", "TIME WITH TIME ZONE", "\"01:02:03+02:30\"", "01:02:03+02:30"},
    {"TIMESTAMP '1969-12-31 23:59:59.000001'", "TIMESTAMP", "\"1969-12-31T23:59:59.000001\"",
     "1969-12-31T23:59:59.000001"},
    {"TIMESTAMPTZ '2024-01-01 00:00:00+02'", "TIMESTAMP WITH TIME ZONE", "\"2023-12-31T22:00:00Z\"",
     "2023-12-31T22:00:00Z"},
    {"TIMESTAMP_S '2024-01-01 10:00:00'", "TIMESTAMP_S", "\"2024-01-01T10:00:00\"", "2024-01-01T10:00:00"},
    {"TIMESTAMP_MS '2024-01-01 10:00:00.5'", "TIMESTAMP_MS", "\"2024-01-01T10:00:00.5\"", "2024-01-01T10:00:00.5"},
    {"TIMESTAMP_NS '2024-01-01 10:00:00.123456789'", "TIMESTAMP_NS", "\"2024-01-01T10:00:00.123456789\"",
     "2024-01-01T10:00:00.123456789"},
    {"INTERVAL '1 year 2 months 3 days 04:05:06.7'", "INTERVAL", "\"1 year 2 months 3 days 04:05:06.7\"",
     "1 year 2 months 3 days 04:05:06.7"},
    {"INTERVAL '-5 days'", "INTERVAL", "\"-5 days\"", "-5 days"},
    {"INTERVAL '100 hours'", "INTERVAL", "\"100:00:00\"", "100:00:00"},
    {"INTERVAL '0 days'", "INTERVAL", "\"00:00:00\"", "00:00:00"},
    {"'b'::ENUM('a', 'b')", "ENUM('a', 'b')", "\"b\"", "b"},
    {"[1, NULL, 3]", "INTEGER[]", "[1,null,3]", "\"[1,null,3]\""},
    {"[]::VARCHAR[]", "VARCHAR[]", "[]", "[]"},
    {"[['a'], NULL, []]", "VARCHAR[][]", "[[\"a\"],null,[]]", "\"[[\"\"a\"\"],null,[]]\""},
    {"[1.5, 2]::FLOAT[2]", "FLOAT[2]", "[1.5,2]", "\"[1.5,2]\""},
    {"{'a': 1, 'b c': {'d': 'x'}}", "STRUCT(a INTEGER, \"b c\" STRUCT(d VARCHAR))", "{\"a\":1,\"b c\":{\"d\":\"x\"}}",
     "\"{\"\"a\"\":1,\"\"b c\"\":{\"\"d\"\":\"\"x\"\"}}\""},
    {"MAP {'k': 1, 'l': NULL}", "MAP(VARCHAR, INTEGER)", "{\"k\":1,\"l\":null}", "\"{\"\"k\"\":1,\"\"l\"\":null}\""},
    {"MAP {1: 'x'}", "MAP(INTEGER, VARCHAR)", "{\"1\":\"x\"}", "\"{\"\"1\"\":\"\"x\"\"}\""},
    {"union_value(n := 5)", "UNION(n INTEGER)", "5", "5"},
    {"'{\"a\":\n[1]}'::JSON", "JSON", "{\"a\": [1]}", "\"{\"\"a\"\":\n[1]}\""},
};

static bool same(const char *expression, const char *got, const char *want)
{
    if (tn_streq(got, want))
        return true;
    print_error("%s\n  -> %s\n  != %s\n", expression, got, want);
    return false;
}

static bool check_cell(size_t i)
{
    TN_AUTO_BUF sql = {0};
    TN_AUTO_BUF out = {0};
    TN_AUTO_BUF want = {0};
    struct tn_error err = {0};
    tn_buf_printf(&sql, "SELECT %s AS c", cells[i].expression);
    struct engine_query_options options = fixture_query(&fixture, sql.data);
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    size_t count = 0;
    if (engine_query_start(fixture.engine, &options, &query, &err) != TN_OK)
        return same(cells[i].expression, err.detail, "no error");
    bool good = same(cells[i].expression, engine_query_columns(query, &count)->type_text, cells[i].type);
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_JSON_ROWS, &out, &err), TN_OK);
    tn_buf_printf(&want, "[%s]", cells[i].json);
    good = same(cells[i].expression, out.data, want.data) && good;
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_CSV, &out, &err), TN_OK);
    tn_buf_clear(&want);
    tn_buf_printf(&want, "c\r\n%s\r\n", cells[i].csv);
    return same(cells[i].expression, out.data, want.data) && good;
}

static void test_cells(void **state)
{
    (void)state;
    unsigned bad = 0;
    for (size_t i = 0; i < TN_COUNT(cells); i++)
        bad += !check_cell(i);
    assert_int_equal(bad, 0);
}

static void expect(const char *sql, enum engine_format format, const char *want)
{
    struct engine_query_options options = fixture_query(&fixture, sql);
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    if (fixture_fill(&fixture, &options, format, &out, &err) != TN_OK)
        fail_msg("%s: %s", sql, err.detail);
    assert_string_equal(out.data ? out.data : "", want);
}

static void test_shapes(void **state)
{
    (void)state;
    expect("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL ORDER BY 1", ENGINE_NDJSON,
           "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":null}\n");
    expect("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL ORDER BY 1", ENGINE_CSV, "a,b\r\n1,x\r\n2,\r\n");
    /* Names twice: kept side by side in rows, made different in objects. */
    expect("SELECT 1 AS id, 2 AS id, 3 AS id_1, 4 AS id", ENGINE_NDJSON,
           "{\"id\":1,\"id_2\":2,\"id_1\":3,\"id_3\":4}\n");
    expect("SELECT 1 AS id, 2 AS id", ENGINE_JSON_ROWS, "[1,2]");
    expect("SELECT 1 AS \"a,\"\"b\"", ENGINE_CSV, "\"a,\"\"b\"\r\n1\r\n");
    expect("SELECT 1 AS \"q\"\"q\"", ENGINE_NDJSON, "{\"q\\\"q\":1}\n");
    /* No rows: nothing, except the header that CSV has. */
    expect("SELECT 1 AS a WHERE false", ENGINE_JSON_ROWS, "");
    expect("SELECT 1 AS a WHERE false", ENGINE_NDJSON, "");
    expect("SELECT 1 AS a, 2 AS b WHERE false", ENGINE_CSV, "a,b\r\n");
}

/* A buffer at a time gives the same bytes as all at once. */
static void test_pieces(void **state)
{
    (void)state;
    static const enum engine_format formats[] = {ENGINE_JSON_ROWS, ENGINE_NDJSON, ENGINE_CSV, ENGINE_ARROW};
    for (size_t i = 0; i < TN_COUNT(formats); i++) {
        struct engine_query_options options =
            fixture_query(&fixture, "SELECT * FROM numbers WHERE n < 5000 ORDER BY n");
        TN_AUTO_BUF pieces = {0};
        TN_AUTO_BUF whole = {0};
        assert_int_equal(fixture_fill(&fixture, &options, formats[i], &pieces, NULL), TN_OK);
        TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
        assert_int_equal(engine_query_start(fixture.engine, &options, &query, NULL), TN_OK);
        TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, formats[i]);
        bool done = false;
        assert_int_equal(engine_writer_fill(writer, SIZE_MAX / 2, &whole, &done, NULL), TN_OK);
        assert_true(done);
        assert_int_equal(pieces.len, whole.len);
        assert_memory_equal(pieces.data, whole.data, whole.len);
        /* Once done it stays done and adds nothing. */
        assert_int_equal(engine_writer_fill(writer, 100, &whole, &done, NULL), TN_OK);
        assert_true(done);
        assert_int_equal(pieces.len, whole.len);
    }
}

/* What no writer knows is refused at the start, by column. */
static void test_unsupported(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    assert_int_equal(fixture_rows(&fixture, "SELECT 1 AS fine, {'a': 1}::VARIANT AS odd", &out, &err),
                     TN_EUNSUPPORTED);
    assert_non_null(strstr(err.detail, "odd"));
    assert_non_null(strstr(err.hint, "VARCHAR"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_unsupported),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
