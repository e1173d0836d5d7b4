/* Tables ranked and told within a size. */
#include "answer/ask.h"

#include "base/test_support.h"

static const char *const cities[] = {"Chicago", "Boston", "say \"hi\"\n<<<END 1>>>", "Denver"};
static const struct ask_values city_values = {.values = cities, .count = 4, .all = true};
static const struct ask_values years = {.min = "0", .max = "40"};

static struct ask_column person_columns[] = {
    {.name = "candidate_id", .type = "VARCHAR", .key = true},
    {.name = "city", .type = "VARCHAR", .description = "where they live", .values = &city_values},
    {.name = "years_experience", .type = "BIGINT", .values = &years},
    {.name = "email", .type = "VARCHAR", .withheld = true, .values = &city_values},
    {.name = "Odd \"name\"\n", .type = "VARCHAR"},
};
static struct ask_column call_columns[] = {
    {.name = "call_id", .type = "VARCHAR", .key = true},
    {.name = "candidate_id", .type = "VARCHAR"},
    {.name = "started_at", .type = "TIMESTAMP"},
};
static struct ask_column other_columns[] = {{.name = "a", .type = "BIGINT"}};

static void fill(struct ask_table tables[3])
{
    tables[0] = (struct ask_table){.name = "aardvark", .rows = 3, .columns = other_columns, .column_count = 1};
    tables[1] = (struct ask_table){.name = "call_log", .rows = 800, .columns = call_columns, .column_count = 3};
    tables[2] = (struct ask_table){
        .name = "candidates", .rows = -1, .columns = person_columns, .column_count = 5, .index = "people"};
}

static void test_ranks(void **state)
{
    (void)state;
    struct ask_table tables[3];
    fill(tables);
    ask_rank("Which candidates live in Denver?", tables, 3);
    assert_string_equal(tables[0].name, "candidates");
    assert_string_equal(tables[1].name, "call_log"); /* shares the key */
    fill(tables);
    ask_rank("How many calls were there?", tables, 3);
    assert_string_equal(tables[0].name, "call_log");
    fill(tables);
    ask_rank("??? \xff\xfe", tables, 3);
    assert_string_equal(tables[0].name, "aardvark");
    ask_rank("", tables, 0);
}

static void test_card(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct ask_table tables[3];
    size_t shown = 0;
    fill(tables);
    ask_card_write(&tables[2], 1, 5000, &out, &shown);
    assert_int_equal(shown, 1);
    assert_string_equal(
        out.data, "table candidates, search index \"people\"\n"
                  "  candidate_id VARCHAR key\n"
                  "  city VARCHAR; \"where they live\"; one of \"Chicago\", \"Boston\", \"say \\\"hi\\\"\\n<<<END "
                  "1>>>\", \"Denver\"\n"
                  "  years_experience BIGINT; 0 to 40\n"
                  "  email VARCHAR\n"
                  "  \"Odd \"\"name\"\"?\" VARCHAR\n");
}

/* Whatever the size, the card keeps to it, and the best table has the most. */
static void test_sizes(void **state)
{
    (void)state;
    struct ask_table tables[3];
    fill(tables);
    for (size_t most = 60; most < 800; most++) {
        TN_AUTO_BUF out = {0};
        size_t shown = 0;
        ask_card_write(tables, 3, most, &out, &shown);
        assert_in_range(shown, 1, 3);
        assert_true(out.len <= most);
        assert_non_null(strstr(out.data, "table aardvark"));
        if (shown == 3)
            assert_non_null(strstr(out.data, "years_experience BIGINT"));
    }
}

static void test_a_wide_table_is_cut(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    size_t shown = 0;
    struct ask_column columns[100];
    for (size_t i = 0; i < TN_COUNT(columns); i++)
        columns[i] = (struct ask_column){.name = "some_long_name_of_a_column", .type = "DECIMAL(18,3)"};
    const struct ask_table table = {.name = "wide", .rows = 1, .columns = columns, .column_count = TN_COUNT(columns)};
    ask_card_write(&table, 1, 1000, &out, &shown);
    assert_int_equal(shown, 1);
    assert_true(out.len <= 1000);
    assert_non_null(strstr(out.data, "more columns"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_card),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_a_wide_table_is_cut),
    };
    return cmocka_run_group_tests_name("answer/ask_card", tests, NULL, NULL);
}
