/* The guard against the two tables of statements in tests/support. */
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

/* Calls `check` with the head line and the statement of each case. */
static size_t each_case(const char *path, bool (*check)(const char *head, const char *sql))
{
    TN_AUTO_BUF text = {0};
    struct tn_error err = {0};
    if (tn_file_read(path, 1 << 20, &text, &err) != TN_OK)
        fail_msg("%s", err.detail);
    size_t count = 0, failed = 0;
    char *at = strstr(text.data, "#! ");
    while (at) {
        char *head = at + 3;
        char *sql = strchr(head, '\n');
        assert_non_null(sql);
        *sql++ = '\0';
        char *next = strstr(sql, "#! ");
        size_t length = next ? (size_t)(next - sql) : strlen(sql);
        while (length && sql[length - 1] == '\n')
            sql[--length] = '\0';
        failed += !check(head, sql);
        count++;
        at = next;
    }
    if (failed)
        fail_msg("%zu of %zu cases", failed, count);
    return count;
}

static bool refused(const char *head, const char *sql)
{
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    enum tn_code code = fixture_rows(&fixture, sql, &out, &err);
    size_t word = strcspn(head, " ");
    bool good = strlen(tn_code_word(code)) == word && memcmp(head, tn_code_word(code), word) == 0 && *err.detail;
    if (!good)
        print_error("%s\n  %s\n  -> %s %s\n", head, sql, tn_code_word(code), err.detail);
    return good;
}

static bool accepted(const char *head, const char *sql)
{
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    enum tn_code code = fixture_rows(&fixture, sql, &out, &err);
    if (code != TN_OK)
        print_error("%s\n  %s\n  -> %s %d:%d %s\n", head, sql, tn_code_word(code), err.line, err.column, err.detail);
    return code == TN_OK;
}

static void test_attacks(void **state)
{
    (void)state;
    assert_true(each_case("tests/support/attacks.sql", refused) >= 80);
}

static void test_accepted(void **state)
{
    (void)state;
    assert_true(each_case("tests/support/accepted.sql", accepted) >= 60);
}

static void test_tables(void **state)
{
    (void)state;
    static const char sql[] =
        "WITH q AS (SELECT * FROM a)\nSELECT * FROM q, B AT (VERSION => 1),\n  range(3) WHERE x IN (SELECT y FROM c)";
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct engine_statement statement = {0};
    assert_int_equal(engine_guard(fixture.engine, sql, sizeof sql - 1, arena, &statement, NULL), TN_OK);
    assert_int_equal(statement.table_count, 3);
    unsigned seen = 0;
    for (size_t i = 0; i < statement.table_count; i++) {
        const struct engine_table_ref *ref = &statement.tables[i];
        if (tn_streq(ref->name, "a") && ref->line == 1 && ref->column == 26)
            seen |= 1;
        if (tn_streq(ref->name, "B") && ref->line == 2 && ref->column == 18 && ref->at == ENGINE_AT_VERSION)
            seen |= 2;
        if (tn_streq(ref->name, "c") && ref->line == 3)
            seen |= 4;
    }
    assert_int_equal(seen, 7);
}

/* What the text says about the rows it wants of its one table. */
static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        size_t count;
    } cases[] = {
        {"SELECT * FROM candidates WHERE id = 5 AND rate < 90", 2},
        {"SELECT * FROM candidates c WHERE c.id >= 5", 1},
        {"SELECT * FROM candidates c WHERE candidates.id >= 5", 0},
        {"SELECT * FROM candidates WHERE id = 5 OR rate < 90", 0},
        {"SELECT * FROM candidates WHERE NOT id = 5", 0},
        {"SELECT * FROM candidates AS c(a, id) WHERE id = 5", 0},
        {"SELECT * FROM candidates TABLESAMPLE 10% WHERE id = 5", 0},
        {"SELECT * FROM candidates, clients WHERE id = 5", 0},
        {"SELECT * FROM candidates GROUP BY ALL HAVING id = 5", 0},
        {"SELECT * FROM candidates QUALIFY id = 5", 0},
        {"SELECT count(*) FILTER (WHERE id = 5) FROM candidates", 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        struct engine_statement statement = {0};
        assert_int_equal(engine_guard(fixture.engine, cases[i].sql, strlen(cases[i].sql), arena, &statement, NULL),
                         TN_OK);
        size_t count = 0;
        for (size_t k = 0; k < statement.table_count; k++)
            count += statement.tables[k].predicate_count;
        if (count != cases[i].count)
            fail_msg("%s: %zu conditions", cases[i].sql, count);
    }
}

static void test_predicates(void **state)
{
    (void)state;
    static const char *const good[] = {
        "status = 'active' AND rate < 90",
        "name LIKE 'A%' -- why",
        "skills[1] = 'sql'",
        "id IN (1, 2, 3)",
        "(a OR b)",
        "upper(name) = 'ANN'",
        "list_contains(skills, 'sql')",
        "true",
        "hired > DATE '2024-01-01' - INTERVAL 1 DAY",
    };
    static const char *const bad[] = {
        "",
        "a) OR (b",
        "1=1; SELECT 2",
        "true; -- x",
        "1;",
        "1 AS x",
        "a, b",
        "*",
        "1 FROM candidates",
        "id IN (SELECT id FROM clients)",
        "1=1) UNION SELECT (1",
        "getenv('HOME') = ''",
        "id = $1",
        "EXISTS (FROM read_text('/etc/passwd'))",
        "1 WHERE true",
        "1 ORDER BY 1",
        "1 LIMIT 1",
        "1 GROUP BY 1",
        "DISTINCT 1",
        "x /* open",
        "1 UNION SELECT 2",
        "1 QUALIFY true",
        "1 USING SAMPLE 1",
        "ALL",
        "'x",
    };
    for (size_t i = 0; i < TN_COUNT(good) + TN_COUNT(bad); i++) {
        bool want = i < TN_COUNT(good);
        const char *text = want ? good[i] : bad[i - TN_COUNT(good)];
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        const char *safe = NULL;
        struct tn_error err = {0};
        enum tn_code code = engine_guard_predicate(fixture.engine, text, strlen(text), arena, &safe, NULL, &err);
        if ((code == TN_OK) != want || (want && strncmp(safe, text, strlen(text)) != 0))
            fail_msg("%s -> %s %s", text, tn_code_word(code), err.detail);
    }
    struct tn_error err = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *safe = NULL;
    assert_int_equal(engine_guard_predicate(fixture.engine, "a = = b", 7, arena, &safe, NULL, &err), TN_ESQL);
    assert_int_equal(err.column, 5);
}

/* Of a text that nothing ends, its length is all that is looked at. */
static void test_length_ends_a_condition(void **state)
{
    (void)state;
    static const char blank[] = " \r\n\t", sql[] = "a = 1";
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    for (size_t length = 0; length < sizeof blank; length++) {
        TN_AUTO_FREE char *text = tn_malloc(length + 1);
        TN_AUTO_FREE char *exact = tn_malloc(TN_MAX(length, (size_t)1));
        const char *safe = NULL;
        memcpy(exact, blank, length);
        assert_int_equal(engine_guard_predicate(fixture.engine, exact, length, arena, &safe, NULL, NULL), TN_ESQL);
        memcpy(text, blank, length);
        text[length] = 'x';
        assert_int_equal(engine_guard_predicate(fixture.engine, text, length, arena, &safe, NULL, NULL), TN_ESQL);
        assert_int_equal(engine_guard_predicate(fixture.engine, text, length + 1, arena, &safe, NULL, NULL), TN_OK);
    }
    const char *safe = NULL;
    TN_AUTO_FREE char *exact = tn_malloc(strlen(sql));
    memcpy(exact, sql, strlen(sql));
    assert_int_equal(engine_guard_predicate(fixture.engine, exact, strlen(sql), arena, &safe, NULL, NULL), TN_OK);
    assert_string_equal(safe, "a = 1\n");
}

static void test_varying(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"rate < 90", false},
        {"seen < now()", true},
        {"a = 1 OR (b = 2 AND day = CURRENT_DATE)", true},
        {"rate > random() * 100", true},
        {"name = 'now()' -- random()", false},
        {"hired > DATE '2024-01-01' - INTERVAL 1 DAY", false},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        const char *safe = NULL, *text = cases[i].text;
        bool varies = !cases[i].want;
        assert_int_equal(engine_guard_predicate(fixture.engine, text, strlen(text), arena, &safe, &varies, NULL),
                         TN_OK);
        if (varies != cases[i].want)
            fail_msg("%s", text);
    }
    bool untouched = true;
    const char *safe = NULL;
    assert_int_equal(engine_guard_predicate(fixture.engine, "a; b", 4, NULL, &safe, &untouched, NULL), TN_ESQL);
    assert_true(untouched);
}

/* Deep and long texts end in a refusal, never in a crash. */
static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *start, *left, *middle, *right;
    } shapes[] = {
        {"SELECT ", "(", "1", ")"},
        {"SELECT ", "[", "1", "]"},
        {"SELECT 1", "+1", "", ""},
        {"SELECT ", "- ", "1", ""},
        {"SELECT ", "NOT ", "true", ""},
        {"SELECT ", "abs(", "1", ")"},
        {"SELECT ", "(SELECT ", "1", ")"},
        {"SELECT * FROM ", "(SELECT * FROM ", "candidates", ")"},
        {"SELECT ", "CASE WHEN true THEN ", "1", " END"},
        {"SELECT 1", " UNION ALL SELECT 1", "", ""},
        {"SELECT 1 FROM candidates", ", candidates", "", ""},
        {"SELECT a", ".a", "", ""},
        {"SELECT 1", "::INTEGER", "", ""},
        {"SELECT ", "{'a': ", "1", "}"},
        {"SELECT NULL::", "STRUCT(a ", "INTEGER", ")"},
    };
    static const size_t depths[] = {2000, 50000};
    for (size_t i = 0; i < TN_COUNT(shapes) * TN_COUNT(depths); i++) {
        size_t depth = depths[i % TN_COUNT(depths)];
        const char *left = shapes[i / 2].left, *right = shapes[i / 2].right;
        TN_AUTO_BUF sql = {0};
        TN_AUTO_BUF out = {0};
        tn_buf_puts(&sql, shapes[i / 2].start);
        for (size_t k = 0; k < depth; k++)
            tn_buf_puts(&sql, left);
        tn_buf_puts(&sql, shapes[i / 2].middle);
        for (size_t k = 0; k < depth; k++)
            tn_buf_puts(&sql, right);
        struct tn_error err = {0};
        enum tn_code code = fixture_rows(&fixture, sql.data, &out, &err);
        bool fine = code == TN_ESQL || code == TN_ESQLREFUSED || (code == TN_OK && depth < 10000);
        if (!fine)
            fail_msg("%s x %zu: %s %s", left, depth, tn_code_word(code), err.detail);
    }
    /* Wide is not deep: a thousand values are ordinary. */
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT count(*) FROM candidates WHERE id IN (0");
    for (unsigned i = 1; i < 5000; i++)
        tn_buf_printf(&sql, ",%u", i);
    tn_buf_puts(&sql, ")");
    fixture_expect(&fixture, sql.data, "[3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attacks),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_length_ends_a_condition),
        cmocka_unit_test(test_varying),
        cmocka_unit_test(test_predicates),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
