/* What models write, to statements. */
#include "answer/ask.h"

#include "base/test_support.h"

static struct tn_arena *arena;

static int make(void **state)
{
    (void)state;
    arena = tn_arena_new();
    return 0;
}

static int release(void **state)
{
    (void)state;
    tn_arena_free(arena);
    return 0;
}

static void expect(const char *text, enum ask_said kind, const char *wanted)
{
    const char *got;
    enum ask_said said = ask_extract(text, strlen(text), arena, &got);
    if (said != kind || !tn_streq(got, wanted))
        fail_msg("%s\n  gave %d: %s\n  not  %d: %s", text, said, got, kind, wanted);
}

static void test_statements(void **state)
{
    (void)state;
    expect("SELECT 1", ASK_SAID_SQL, "SELECT 1");
    expect("  select 1 ;\n", ASK_SAID_SQL, "select 1");
    expect("```sql\nSELECT a\nFROM t;\n```", ASK_SAID_SQL, "SELECT a\nFROM t");
    expect("```\nWITH x AS (SELECT 1) FROM x\n```", ASK_SAID_SQL, "WITH x AS (SELECT 1) FROM x");
    expect("```sql SELECT 1```", ASK_SAID_SQL, "SELECT 1");
    expect("Here it is:\n\n```sql\nSELECT 1\n```\nIt counts.", ASK_SAID_SQL, "SELECT 1");
    expect("```sql\nSELECT 1", ASK_SAID_SQL, "SELECT 1");
    expect("Sure!\nSELECT n FROM t;\nThis counts t.", ASK_SAID_SQL, "SELECT n FROM t");
    expect("SELECT ';' AS a, \"x;y\" -- ; no\nFROM t; Hope it helps.", ASK_SAID_SQL,
           "SELECT ';' AS a, \"x;y\" -- ; no\nFROM t");
    expect("-- the count\nSELECT 1", ASK_SAID_SQL, "-- the count\nSELECT 1");
    expect("(SELECT 1) UNION (SELECT 2)", ASK_SAID_SQL, "(SELECT 1) UNION (SELECT 2)");
    expect("<think>\nSELECT wrong\n</think>\nSELECT right_one", ASK_SAID_SQL, "SELECT right_one");
    expect("```text\nno query\n```\n```sql\nSELECT 2\n```", ASK_SAID_SQL, "SELECT 2");
    expect("First try:\n```sql\nSELECT 1\n```\nBetter:\n```sql\nSELECT 2\n```", ASK_SAID_SQL, "SELECT 2");
}

/* Whatever does harm is handed on as it is: the guard refuses it by name. */
static void test_harm_is_not_hidden(void **state)
{
    (void)state;
    expect("DROP TABLE people;", ASK_SAID_SQL, "DROP TABLE people");
    expect("```sql\nSELECT 1; DROP TABLE people;\n```", ASK_SAID_SQL, "SELECT 1; DROP TABLE people");
    expect("SELECT 1;\nDELETE FROM people", ASK_SAID_SQL, "SELECT 1;\nDELETE FROM people");
    expect("SELECT 1; Enjoy. ; DROP TABLE people", ASK_SAID_SQL, "SELECT 1");
    expect("COPY people TO 'x.csv'", ASK_SAID_SQL, "COPY people TO 'x.csv'");
    expect("```sql\nSELECT * FROM read_csv('/etc/passwd')\n```", ASK_SAID_SQL,
           "SELECT * FROM read_csv('/etc/passwd')");
}

static void test_refusals(void **state)
{
    (void)state;
    expect("CANNOT: there are no salaries here", ASK_SAID_CANNOT, "there are no salaries here");
    expect("**CANNOT:** no salaries\n\nSELECT 1", ASK_SAID_CANNOT, "no salaries");
    expect("```\nCANNOT: no salaries\n```", ASK_SAID_CANNOT, "no salaries");
    expect("<think>hm</think> cannot:", ASK_SAID_CANNOT, "");
}

static void test_prose(void **state)
{
    (void)state;
    expect("", ASK_SAID_OTHER, "");
    expect("I am sorry, I do not know.", ASK_SAID_OTHER, "I am sorry, I do not know.");
    expect("With pleasure.", ASK_SAID_OTHER, "With pleasure.");
    expect("Show me the tables first, please.", ASK_SAID_OTHER, "Show me the tables first, please.");
    expect("<think>SELECT 1", ASK_SAID_OTHER, "");
    expect("```python\nprint(1)\n```", ASK_SAID_OTHER, "```python\nprint(1)\n```");
}

static void test_sizes(void **state)
{
    (void)state;
    TN_AUTO_BUF text = {0};
    const char *got;
    for (size_t i = 0; i < 100000; i++)
        tn_buf_puts(&text, "with\n");
    assert_int_equal(ask_extract(text.data, text.len, arena, &got), ASK_SAID_OTHER);
    assert_true(strlen(got) <= 400);
    tn_buf_clear(&text);
    tn_buf_puts(&text, "SELECT 1");
    tn_buf_append(&text, "\0;DROP", 6);
    assert_int_equal(ask_extract(text.data, text.len, arena, &got), ASK_SAID_SQL);
    assert_string_equal(got, "SELECT 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements), cmocka_unit_test(test_harm_is_not_hidden),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_prose),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests_name("answer/ask_extract", tests, make, release);
}
