/* Sentences held against rows, and rows against rows. */
#include "answer/ask.h"

#include "base/test_support.h"

static struct ask_result result_of(const char *columns, const char *rows, uint64_t count)
{
    return (struct ask_result){.columns = columns, .rows = rows, .rows_length = strlen(rows), .row_count = count};
}

static const char cities[] = "[{\"name\":\"city\",\"type\":\"VARCHAR\"},{\"name\":\"n\",\"type\":\"BIGINT\"}]";
static const char rows[] =
    "[[\"Chicago\",1204],[\"Boston\",37.456],[\"since 2026-11-03 C00042\",-8],[\"x\",\"90071992"
    "54740993\"],[10,165,\"5,000\"]]";

static void expect(const char *sentence, const char *wanted)
{
    const struct ask_result result = result_of(cities, rows, 5);
    char wrong[64] = "";
    bool holds = ask_numbers_hold(sentence, &result, "Who was called 5+ times, more than 300?",
                                  "SELECT city, n FROM t WHERE calls >= 5 LIMIT 100", wrong);
    if (holds != (wanted[0] == '\0') || !tn_streq(wrong, wanted))
        fail_msg("%s: %s instead of %s", sentence, holds ? "holds" : wrong, wanted[0] ? wanted : "it holds");
}

static void test_numbers_that_stand_there(void **state)
{
    (void)state;
    expect("Chicago leads.", "");
    expect("Chicago has 1204, or 1,204.", "");
    expect("Boston has 37.456, about 37.5 or 37.", "");
    expect("It fell by 8, to -8.", "");
    expect("Since November 3, 2026, also the 3rd.", "");
    expect("In Denver 10 or 165, and 5,000 in words.", "");
    expect("C00042 is among the 5 rows.", "");
    expect("There are five.", "");
    expect("Called 5 times or more.", "");
    expect("Exactly 9007199254740993.", "");
    expect("One of the cities is Chicago.", "");
}

static void test_numbers_that_do_not(void **state)
{
    (void)state;
    expect("Chicago has 1205.", "1205");
    expect("Denver has 10,165.", "10165");
    expect("Chicago has 12045.", "12045");
    expect("More than 300.", "300"); /* asked, but no part of the query */
    expect("The 100 best.", "100");  /* of the query alone */
    expect("Boston has 37.46 or 37.45.", "37.45");
    expect("There is a -1204.", "-1204");
    expect("Only one.", "one");
    expect("There are seven.", "seven");
    expect("Thousands were called.", "thousands");
    expect("C00043 is there.", "C00043");
    expect("1.2k of them.", "1.2k");
    expect("Exactly 9007199254740992.", "9007199254740992");
}

static void test_hostile_numbers(void **state)
{
    (void)state;
    TN_AUTO_BUF text = {0};
    const struct ask_result result = result_of(cities, "[[\"1,234,567.5e308\",1e999,\"..1..\",\"-\"]]", 1);
    char wrong[64];
    for (int i = 0; i < 100; i++)
        tn_buf_puts(&text, "1 ");
    assert_false(ask_numbers_hold(text.data, &result, "", "", wrong)); /* too many */
    tn_buf_clear(&text);
    for (int i = 0; i < 1000; i++)
        tn_buf_putc(&text, '9');
    assert_false(ask_numbers_hold(text.data, &result, "", "", wrong));
    assert_true(ask_numbers_hold("1", &result, "", "", wrong));
    assert_true(ask_numbers_hold("", &result, "", "", wrong));
}

static void expect_plain(const char *json_rows, uint64_t count, bool truncated, const char *wanted)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct ask_result result = result_of(cities, json_rows, count);
    result.truncated = truncated;
    assert_string_equal(ask_plain_sentence(&result, arena), wanted);
}

static void test_plain_sentences(void **state)
{
    (void)state;
    expect_plain("[]", 0, false, "No row answers the question.");
    expect_plain("[[\"Chicago\"]]", 1, false, "city Chicago.");
    expect_plain("[[\"Chicago\",12]]", 1, false, "1 row: city Chicago, n 12.");
    expect_plain("[[\"a\\nb\",null],[\"c\",2]]", 2, false, "2 rows; the first: city a b, n nothing.");
    expect_plain("[[\"a\",1],[\"c\",2]]", 2, true, "The first 2 rows; the first: city a, n 1.");
}

static void compare(const char *then, const char *now, const char *wanted)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    const struct ask_result a = result_of(cities, then, 2), b = result_of(cities, now, 2);
    ask_compare(&a, &b, &json);
    assert_string_equal(text.data, wanted);
}

static void test_rows_against_rows(void **state)
{
    (void)state;
    compare("[[1,\"]\"],[2,\"b\"]]", "[[2,\"b\"],[1,\"]\"]]",
            "{\"same\":true,\"then\":2,\"now\":2,\"came\":0,\"came_rows\":[],\"left\":0,\"left_rows\":[]}");
    compare("[[1],[1]]", "[[1],[[3,\"\\\"]\"]]]",
            "{\"same\":false,\"then\":2,\"now\":2,\"came\":1,\"came_rows\":[[[3,\"\\\"]\"]]],\"left\":1,"
            "\"left_rows\":[[1]]}");
    compare("[]", "[]",
            "{\"same\":true,\"then\":2,\"now\":2,\"came\":0,\"came_rows\":[],\"left\":0,\"left_rows\":[]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_that_stand_there), cmocka_unit_test(test_numbers_that_do_not),
        cmocka_unit_test(test_hostile_numbers),          cmocka_unit_test(test_plain_sentences),
        cmocka_unit_test(test_rows_against_rows),
    };
    return cmocka_run_group_tests_name("answer/ask_sentence", tests, NULL, NULL);
}
