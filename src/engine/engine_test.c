/* Queries from start to end: rows, versions, parameters, errors, limits. */
#include "engine/engine_test_support.h"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    return fixture_open(&fixture, UINT64_C(512) << 20, 4);
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static void test_rows(void **state)
{
    (void)state;
    fixture_expect(&fixture, "SELECT 1 AS a, 'x' AS b", "[1,\"x\"]");
    fixture_expect(&fixture, "SELECT name, rate FROM candidates ORDER BY id",
                   "[\"Ann\",80.5],[\"Bob\",95.0],[\"Cem\",null]");
    fixture_expect(&fixture,
                   "SELECT c.name, k.company FROM Candidates c JOIN CLIENTS k ON k.candidate_id = c.id ORDER BY 1",
                   "[\"Ann\",\"Acme\"],[\"Cem\",\"Blue\"]");
    fixture_expect(&fixture, "SELECT count(*), sum(n) FROM numbers", "[100000,4999950000]");
    fixture_expect(&fixture, "SELECT \"weird name\" FROM \"my table\"", "[1]");
    fixture_expect(&fixture, "WITH candidates AS (SELECT 5 AS x) SELECT x FROM candidates", "[5]");
    fixture_expect(&fixture, "SELECT * FROM range(3)", "[0],[1],[2]");
}

static void test_time_travel(void **state)
{
    (void)state;
    fixture_expect(&fixture, "SELECT status FROM candidates AT (VERSION => 1)", "[\"new\"]");
    fixture_expect(&fixture, "SELECT candidates.status FROM candidates AT (VERSION => 1)", "[\"new\"]");
    fixture_expect(&fixture, "SELECT status FROM candidates AT (VERSION => '1')", "[\"new\"]");
    fixture_expect(&fixture, "SELECT status FROM candidates AT (VERSION => 2 - 1)", "[\"new\"]");
    fixture_expect(&fixture, "SELECT status FROM candidates AT (VERSION => '1.0 ''old''')", "[\"new\"]");
    fixture_expect(&fixture, "SELECT status FROM candidates AT (VERSION => '1.0 ' || '''old''') WHERE true",
                   "[\"new\"]");
    fixture_expect(
        &fixture,
        "SELECT count(*) FROM candidates a AT (VERSION => 1) JOIN candidates b AT (VERSION => $$1.0 'old'$$) "
        "USING (id) JOIN candidates c AT (VERSION => '1.0 ''old''') USING (id)",
        "[1]");
    fixture_expect(&fixture, "SELECT c.status FROM candidates /* now ( */ AS c(i, n, status) AT (VERSION => 1)",
                   "[\"new\"]");
    fixture_expect(&fixture,
                   "SELECT count(*) FROM candidates AT (TIMESTAMP => TIMESTAMP '2024-06-01' - INTERVAL 1 YEAR)",
                   "[1]");
    fixture_expect(
        &fixture,
        "SELECT n.name, o.status, n.status FROM candidates n JOIN candidates o AT (VERSION => 1) USING (id)",
        "[\"Ann\",\"new\",\"active\"]");
    fixture_expect(&fixture, "SELECT (SELECT count(*) FROM candidates AT (VERSION => 1)), count(*) FROM candidates",
                   "[1,3]");
    struct engine_query_options options = fixture_query(&fixture, "SELECT count(*) FROM candidates");
    TN_AUTO_BUF out = {0};
    options.default_at = "1";
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_JSON_ROWS, &out, NULL), TN_OK);
    assert_string_equal(out.data, "[1]");
    options.default_at = "2020-01-01T00:00:00Z";
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_JSON_ROWS, &out, NULL), TN_OK);
    assert_string_equal(out.data, "[1]");
    options.default_at = NULL;
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_JSON_ROWS, &out, NULL), TN_OK);
    assert_string_equal(out.data, "[3]");
    options.default_at = "1.0 'old'";
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_JSON_ROWS, &out, NULL), TN_OK);
    assert_string_equal(out.data, "[1]");
    options.default_at = "yesterday";
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_JSON_ROWS, &out, NULL), TN_ESNAPSHOT);
    options.default_at = "";
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_JSON_ROWS, &out, NULL), TN_EREQUEST);
}

/* Each text is a number, a time or a name, and in that order. */
static void test_moments(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int at; /* -1: none */
        int64_t number;
    } cases[] = {
        {"0", ENGINE_AT_VERSION, 0},
        {"9223372036854775807", ENGINE_AT_VERSION, INT64_MAX},
        {"-5", ENGINE_AT_VERSION, -5},
        {"007", ENGINE_AT_VERSION, 7},
        {"1970-01-02", ENGINE_AT_TIMESTAMP, INT64_C(86400000000)},
        {"1970-01-01T00:00:01Z", ENGINE_AT_TIMESTAMP, 1000000},
        {"1970-01-01 00:00:01+00:00", ENGINE_AT_TIMESTAMP, 1000000},
        {"1970-02-30", ENGINE_AT_NAME, 0},
        {"1970", ENGINE_AT_VERSION, 1970},
        {"v1", ENGINE_AT_NAME, 0},
        {"1.0", ENGINE_AT_NAME, 0},
        {" 1", ENGINE_AT_NAME, 0},
        {"-", ENGINE_AT_NAME, 0},
        {"replay-5", ENGINE_AT_NAME, 0},
        {"it's \"so\"; --", ENGINE_AT_NAME, 0},
        {"\xC3\xBC", ENGINE_AT_NAME, 0},
        {"9223372036854775808", -1, 0},
        {"99999999999999999999999999999999999999999999", -1, 0},
        {"", -1, 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct engine_table_ref ref = {0};
        enum tn_code code = engine_at_read(cases[i].text, &ref, NULL);
        int64_t number = ref.at == ENGINE_AT_TIMESTAMP ? ref.at_timestamp_us : ref.at_version;
        if (code != (cases[i].at < 0 ? TN_EREQUEST : TN_OK) ||
            (code == TN_OK && ((int)ref.at != cases[i].at || number != cases[i].number ||
                               (ref.at == ENGINE_AT_NAME) != (ref.at_name == cases[i].text))))
            fail_msg("%s", cases[i].text);
    }
}

static void test_used_tables(void **state)
{
    (void)state;
    struct engine_query_options options = fixture_query(
        &fixture, "SELECT 1 FROM candidates a, Candidates b, clients, candidates x AT (VERSION => 1), range(1)");
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    unsigned before = atomic_load(&fixture.resolved);
    assert_int_equal(engine_query_start(fixture.engine, &options, &query, NULL), TN_OK);
    assert_int_equal(atomic_load(&fixture.resolved) - before, 3);
    size_t count = 0;
    const struct engine_used_table *tables = engine_query_tables(query, &count);
    assert_int_equal(count, 3);
    const char *versions = "";
    for (size_t i = 0; i < count; i++) {
        if (tn_streq(tables[i].name, "clients"))
            versions = tables[i].version;
    }
    assert_string_equal(versions, "7");
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum tn_code code;
        int line, column;
        const char *detail, *hint;
    } cases[] = {
        {"SELEC 1", TN_ESQL, 1, 1, "SELEC", ""},
        {"SELECT nam FROM candidates", TN_ESQL, 1, 8, "nam", "\"name\""},
        {"SELECT 1,\n  nam FROM candidates", TN_ESQL, 2, 3, "nam", "\"name\""},
        {"SELECT 'é', nam FROM candidates", TN_ESQL, 1, 13, "nam", "\"name\""},
        {"SELECT * FROM candidate", TN_EDATASET, 1, 15, "candidate", "\"candidates\""},
        {"SELECT o.nam FROM clients k, candidates o AT (VERSION => 1)", TN_ESQL, 1, 8, "nam", ""},
        {"SELECT 1 FROM candidates o AT (VERSION => 1) WHERE nam = 1", TN_ESQL, 1, 52, "nam", "\"name\""},
        {"SELECT 1 FROM candidates AT (VERSION => 99)", TN_ESNAPSHOT, 1, 15, "candidates", ""},
        {"SELECT 1 FROM candidates AT (VERSION => 1.4)", TN_ESQL, 1, 15, "whole number", ""},
        {"SELECT 1 FROM candidates AT (VERSION => '1.0')", TN_ESNAPSHOT, 1, 15, "candidates", ""},
        {"SELECT 1 FROM candidates AT (VERSION => '')", TN_EREQUEST, 1, 15, "empty", ""},
        {"SELECT 1 FROM candidates AT (VERSION => '99999999999999999999')", TN_EREQUEST, 1, 15, "too large", ""},
        {"SELECT 1 FROM candidates AT (VERSION => 99999999999999999999)", TN_ESQL, 1, 15, "whole number", ""},
        {"SELECT 1 FROM candidates AT (VERSION => true)", TN_ESQL, 1, 15, "whole number", ""},
        {"SELECT 1 FROM candidates AT (VERSION => CAST(NULL AS VARCHAR))", TN_ESQL, 1, 15, "NULL", ""},
        {"SELECT 1 FROM candidates AT (VERSION => '2020-01-01')", TN_ESNAPSHOT, 1, 15, "candidates", ""},
        {"SELECT 1 FROM candidates AT (TIMESTAMP => '1.0 ''old''')", TN_ESQL, 1, 15, "1.0 'old'", ""},
        {"SELECT 1 FROM candidates AT (VERSION => 1e0)", TN_ESQL, 1, 15, "whole number", ""},
        {"SELECT 1 FROM candidates AT (VERSION => NULL)", TN_ESQL, 1, 15, "NULL", ""},
        {"SELECT lowr(name) FROM candidates", TN_ESQLREFUSED, 1, 8, "lowr", ""},
        {"SELECT CAST('x' AS INTEGER)", TN_ESQL, 1, 8, "x", ""},
        {"", TN_ESQL, 0, 0, "empty", ""},
        {"SELECT 1; SELECT 2", TN_ESQLREFUSED, 0, 0, "2 statements", ""},
        {"DELETE FROM candidates", TN_ESQLREFUSED, 0, 0, "SELECT", ""},
        {"SELECT '\xff'", TN_ESQL, 1, 9, "UTF-8", ""},
    };
    TN_AUTO_BUF out = {0};
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct tn_error err = {0};
        enum tn_code code = fixture_rows(&fixture, cases[i].sql, &out, &err);
        if (code != cases[i].code || err.line != cases[i].line || err.column != cases[i].column ||
            !strstr(err.detail, cases[i].detail) || !strstr(err.hint, cases[i].hint))
            fail_msg("%s\n  -> %s %d:%d %s | %s", cases[i].sql, tn_code_word(code), err.line, err.column, err.detail,
                     err.hint);
    }
}

static enum tn_code with_params(const char *sql, const char *json, struct tn_buf *out, struct tn_error *err)
{
    json_t *parsed = NULL;
    assert_int_equal(tn_json_parse(json, strlen(json), 1 << 20, "params", &parsed, NULL), TN_OK);
    struct engine_query_options options = fixture_query(&fixture, sql);
    options.params = parsed;
    enum tn_code code = fixture_fill(&fixture, &options, ENGINE_JSON_ROWS, out, err);
    json_decref(parsed);
    return code;
}

static void test_params(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *params, *rows;
    } good[] = {
        {"SELECT name FROM candidates WHERE id = $1", "[2]", "[\"Bob\"]"},
        {"SELECT name FROM candidates WHERE id = ? AND status = ?", "[1, \"active\"]", "[\"Ann\"]"},
        {"SELECT name FROM candidates WHERE hired > $since ORDER BY 1", "{\"since\": \"2024-01-31\"}",
         "[\"Bob\"],[\"Cem\"]"},
        {"SELECT name FROM candidates WHERE id IN (SELECT unnest($1)) ORDER BY 1", "[[1,3]]", "[\"Ann\"],[\"Cem\"]"},
        {"SELECT name FROM candidates WHERE name = ANY($1)", "[[\"Bob\", null]]", "[\"Bob\"]"},
        {"SELECT $2, $1, $1", "[1, \"a\"]", "[\"a\",1,1]"},
        {"SELECT $1::DECIMAL(20,2) + 1", "[\"12345678901234567.25\"]", "[\"12345678901234568.25\"]"},
        {"SELECT $1, $2, $3", "[true, null, 1.5]", "[true,null,1.5]"},
        {"SELECT $1", "[\"'; DROP TABLE candidates; --\"]", "[\"'; DROP TABLE candidates; --\"]"},
        {"SELECT $1 || 'x'", "[\"\"]", "[\"x\"]"},
        {"SELECT [x + 1 for x in $1]", "[[1, 2.5]]", "[[2,3.5]]"},
        {"SELECT len($1)", "[[[1],[2,3]]]", "[2]"},
    };
    static const struct {
        const char *sql, *params, *detail;
    } bad[] = {
        {"SELECT $1, $2", "[1]", "2 parameters"},
        {"SELECT $1", "[1, 2]", "1 parameter,"},
        {"SELECT 1", "[1]", "0 parameters"},
        {"SELECT $name", "{\"other\": 1}", "$name"},
        {"SELECT $name", "{\"name\": 1, \"other\": 1}", "params has 2"},
        {"SELECT $1", "[[1, \"a\"]]", "different kinds"},
    };
    TN_AUTO_BUF out = {0};
    for (size_t i = 0; i < TN_COUNT(good); i++) {
        struct tn_error err = {0};
        enum tn_code code = with_params(good[i].sql, good[i].params, &out, &err);
        if (code != TN_OK || !tn_streq(out.data ? out.data : "", good[i].rows))
            fail_msg("%s -> %s %s %s", good[i].sql, tn_code_word(code), err.detail, out.data ? out.data : "");
    }
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        struct tn_error err = {0};
        enum tn_code code = with_params(bad[i].sql, bad[i].params, &out, &err);
        if (code != TN_EREQUEST || !strstr(err.detail, bad[i].detail))
            fail_msg("%s -> %s %s", bad[i].sql, tn_code_word(code), err.detail);
    }
}

static void test_row_limit(void **state)
{
    (void)state;
    static const struct {
        uint64_t limit, rows;
        bool truncated;
    } cases[] = {{10, 10, true}, {2048, 2048, true}, {3000, 3000, true}, {100000, 100000, false}, {0, 100000, false}};
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct engine_query_options options = fixture_query(&fixture, "SELECT n FROM numbers");
        options.row_limit = cases[i].limit;
        TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
        assert_int_equal(engine_query_start(fixture.engine, &options, &query, NULL), TN_OK);
        TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_NDJSON);
        TN_AUTO_BUF out = {0};
        bool done = false;
        while (!done) {
            tn_buf_clear(&out);
            assert_int_equal(engine_writer_fill(writer, 65536, &out, &done, NULL), TN_OK);
        }
        assert_int_equal(engine_query_rows(query), cases[i].rows);
        assert_int_equal(engine_query_truncated(query), cases[i].truncated);
    }
}

static void test_busy(void **state)
{
    (void)state;
    struct engine_query *queries[4] = {NULL};
    struct engine_query_options options = fixture_query(&fixture, "SELECT 1");
    for (size_t i = 0; i < TN_COUNT(queries); i++)
        assert_int_equal(engine_query_start(fixture.engine, &options, &queries[i], NULL), TN_OK);
    struct engine_query *one_more = NULL;
    struct tn_error err = {0};
    assert_int_equal(engine_query_start(fixture.engine, &options, &one_more, &err), TN_EBUSY);
    assert_null(one_more);
    engine_query_free(queries[0]);
    assert_int_equal(engine_query_start(fixture.engine, &options, &queries[0], NULL), TN_OK);
    for (size_t i = 0; i < TN_COUNT(queries); i++)
        engine_query_free(queries[i]);
    struct engine_usage usage;
    engine_usage(fixture.engine, &usage);
    assert_int_equal(usage.running, 0);
    assert_true(usage.connections >= 4);
    assert_true(usage.memory_limit_bytes == UINT64_C(512) << 20);
}

static void test_explain(void **state)
{
    (void)state;
    struct engine_query_options options = fixture_query(
        &fixture, "SELECT status, count(*) FROM candidates c AT (VERSION => 1) GROUP BY status; -- done");
    TN_AUTO_BUF plan = {0};
    assert_int_equal(engine_explain(fixture.engine, &options, &plan, NULL), TN_OK);
    assert_non_null(strstr(plan.data, "status"));
    struct tn_error err = {0};
    options = fixture_query(&fixture, "SELECT nam FROM candidates");
    assert_int_equal(engine_explain(fixture.engine, &options, &plan, &err), TN_ESQL);
    assert_int_equal(err.column, 8);
}

static void test_to_parquet(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/out.parquet", fixture.folder);
    struct engine_query_options options =
        fixture_query(&fixture, "SELECT n, label FROM numbers WHERE n < 5000; -- all");
    uint64_t rows = 0;
    struct tn_error err = {0};
    assert_int_equal(engine_query_to_parquet(fixture.engine, &options, path, &rows, &err), TN_OK);
    assert_int_equal(rows, 5000);
    options.row_limit = 7;
    assert_int_equal(engine_query_to_parquet(fixture.engine, &options, path, &rows, &err), TN_OK);
    assert_int_equal(rows, 7);
    options = fixture_query(&fixture, "SELECT nam FROM candidates");
    assert_int_equal(engine_query_to_parquet(fixture.engine, &options, path, &rows, &err), TN_ESQL);
    assert_int_equal(err.column, 8);
    assert_int_equal(access(path, F_OK), -1);
}

static bool first_text(void *context, size_t count, const char *const *values)
{
    struct tn_buf *out = context;
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(out, "%s;", values[i] ? values[i] : "-");
    return true;
}

static void test_trusted(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    assert_int_equal(
        engine_run(fixture.engine,
                   "CREATE TABLE kept(a INTEGER); INSERT INTO kept VALUES (1), (NULL); SELECT a, a + 1 FROM kept",
                   first_text, &out, &err),
        TN_OK);
    assert_string_equal(out.data, "1;2;-;-;");
    assert_int_equal(engine_run(fixture.engine, "SELECT oops", NULL, NULL, &err), TN_EINTERNAL);
    assert_int_equal(engine_run(fixture.engine, "SELECT CAST('x' AS INTEGER)", NULL, NULL, &err), TN_ESQL);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct engine_column *columns = NULL;
    size_t count = 0;
    assert_int_equal(
        engine_describe(
            fixture.engine,
            "SELECT 1.25::DECIMAL(12,2) AS d, ['a'] AS l, now() AS t, {'a': 1, 'b c': DATE '2020-01-01'} s", arena,
            &columns, &count, &err),
        TN_OK);
    assert_int_equal(count, 4);
    assert_int_equal(columns[0].type.kind, ENGINE_DECIMAL);
    assert_int_equal(columns[0].type.width, 12);
    assert_string_equal(columns[0].type_text, "DECIMAL(12,2)");
    assert_string_equal(columns[1].type_text, "VARCHAR[]");
    assert_string_equal(columns[2].type_text, "TIMESTAMP WITH TIME ZONE");
    assert_string_equal(columns[3].type_text, "STRUCT(a INTEGER, \"b c\" DATE)");
    /* What Tarn keeps in the engine is not a dataset. */
    assert_int_equal(fixture_rows(&fixture, "SELECT * FROM kept", &out, &err), TN_EDATASET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_time_travel), cmocka_unit_test(test_moments),
        cmocka_unit_test(test_used_tables), cmocka_unit_test(test_errors),      cmocka_unit_test(test_params),
        cmocka_unit_test(test_row_limit),   cmocka_unit_test(test_busy),        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_to_parquet),  cmocka_unit_test(test_trusted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
