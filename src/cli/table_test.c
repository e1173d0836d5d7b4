/* Tables: alignment, widths, cutting, numbers. */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct table *people(void)
{
    struct table *table = table_new(2);
    table_header(table, 0, "name", false);
    table_header(table, 1, "age", true);
    table_cell(table, "Ann");
    table_cell(table, "7");
    table_cell(table, NULL);
    table_cell(table, "41");
    return table;
}

static void numbers_stand_right_and_null_is_a_word(void **state)
{
    (void)state;
    TN_CLEANUP(table_free_p) struct table *table = people();
    TN_AUTO_BUF text = {0};
    table_draw(table, (struct table_style){0}, &text);
    assert_string_equal(text.data, "name | age\n"
                                   "-----+----\n"
                                   "Ann  |   7\n"
                                   "NULL |  41\n");
}

static void colour_touches_null_and_header_alone(void **state)
{
    (void)state;
    TN_CLEANUP(table_free_p) struct table *table = people();
    TN_AUTO_BUF text = {0};
    table_draw(table, (struct table_style){.colour = true, .utf8 = true}, &text);
    assert_non_null(strstr(text.data, "\033[2mNULL\033[0m"));
    assert_non_null(strstr(text.data, "\033[1mname\033[0m"));
    assert_non_null(strstr(text.data, "\nAnn "));
}

static void wide_characters_count_two(void **state)
{
    (void)state;
    TN_CLEANUP(table_free_p) struct table *table = table_new(2);
    TN_AUTO_BUF text = {0};
    table_header(table, 0, "a", false);
    table_header(table, 1, "b", false);
    table_cell(table, "\u6771\u4eac"); /* four columns */
    table_cell(table, "x");
    table_cell(table, "abcd");
    table_cell(table, "y");
    table_draw(table, (struct table_style){0}, &text);
    assert_string_equal(text.data, "a    | b\n-----+--\n\u6771\u4eac | x\nabcd | y\n");
}

static size_t widest_line(const char *text)
{
    size_t widest = 0;
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (text[0] != '(') /* the note may be longer */
            widest = TN_MAX(widest, tn_utf8_width(text, length));
        text += length + (text[length] == '\n');
    }
    return widest;
}

static void the_widest_column_is_cut_first(void **state)
{
    (void)state;
    TN_CLEANUP(table_free_p) struct table *table = table_new(2);
    TN_AUTO_BUF text = {0};
    table_header(table, 0, "id", true);
    table_header(table, 1, "story", false);
    table_cell(table, "12345678");
    table_cell(table, "once upon a time there was a lake in the mountains, small and deep and clear");
    table_draw(table, (struct table_style){.width = 40, .utf8 = true}, &text);
    assert_non_null(strstr(text.data, "12345678"));
    assert_non_null(strstr(text.data, "\u2026"));
    assert_non_null(strstr(text.data, "(long values are cut"));
    assert_int_equal(widest_line(text.data), 40);
}

static void columns_that_do_not_fit_are_counted(void **state)
{
    (void)state;
    enum { COLUMNS = 30 };
    TN_CLEANUP(table_free_p) struct table *table = table_new(COLUMNS);
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < COLUMNS; i++)
        table_header(table, i, "a_long_column_name", false);
    for (size_t i = 0; i < COLUMNS; i++)
        table_cell(table, "value");
    table_draw(table, (struct table_style){.width = 80}, &text);
    assert_true(widest_line(text.data) <= 80);
    assert_non_null(strstr(text.data, "of 30 columns fit"));
}

static void any_width_holds(void **state)
{
    (void)state;
    for (size_t width = 1; width < 90; width++) {
        TN_CLEANUP(table_free_p) struct table *table = table_new(3);
        TN_AUTO_BUF text = {0};
        table_header(table, 0, "\u00fcber", false);
        table_header(table, 1, "n", true);
        table_header(table, 2, "\U0001F600 mood", false);
        table_cell(table, "\u6771\u4eac\u6771\u4eac\u6771\u4eac\u6771\u4eac");
        table_cell(table, "1234567890123456789");
        table_cell(table, NULL);
        table_draw(table, (struct table_style){.width = width, .utf8 = true}, &text);
        assert_true(widest_line(text.data) <= TN_MAX(width, 1));
        assert_int_equal(tn_utf8_valid_prefix(text.data, text.len), text.len);
    }
}

static void control_characters_become_visible(void **state)
{
    (void)state;
    TN_CLEANUP(table_free_p) struct table *table = table_new(1);
    TN_AUTO_BUF text = {0};
    table_header(table, 0, "t", false);
    table_cell(table, "a\nb\033[31mc\177");
    table_cell(table, "\xc2\x9b"
                      "31m"); /* the one-character form of ESC [ */
    table_cell_n(table, "\xff", 1);
    table_draw(table, (struct table_style){.colour = false}, &text);
    assert_null(strchr(text.data, '\033'));
    assert_non_null(strstr(text.data, "a\\nb\\x1b[31mc\\x7f"));
    assert_non_null(strstr(text.data, "\\u009b31m"));
    assert_non_null(strstr(text.data, "\xEF\xBF\xBD"));
}

static void json_values_look_as_in_sql(void **state)
{
    static const struct {
        const char *json, *type, *text;
    } cases[] = {
        {"12.5", "DECIMAL(12,2)", "12.50"},
        {"3", "DECIMAL(5,1)", "3.0"},
        {"0.1", "DOUBLE", "0.1"},
        {"42", "BIGINT", "42"},
        {"true", "BOOLEAN", "true"},
        {"\"x\"", "VARCHAR", "x"},
        {"[1,2]", "INTEGER[]", "[1,2]"},
        {"1.5", "DECIMAL(4,2)[]", "1.5"},
        {"\"9007199254740993\"", "BIGINT", "9007199254740993"},
    };
    (void)state;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_JSON *value = NULL;
        TN_AUTO_BUF text = {0};
        assert_int_equal(tn_json_parse(cases[i].json, strlen(cases[i].json), 100, "t", &value, NULL), TN_OK);
        assert_true(table_json_text(value, cases[i].type, &text));
        assert_string_equal(text.data, cases[i].text);
    }
    TN_AUTO_BUF none = {0};
    assert_false(table_json_text(json_null(), "VARCHAR", &none));
    assert_int_equal(none.len, 0);
}

static void number_types_are_known(void **state)
{
    (void)state;
    assert_true(table_type_is_number("BIGINT"));
    assert_true(table_type_is_number("DECIMAL(12,2)"));
    assert_false(table_type_is_number("BIGINT[]"));
    assert_false(table_type_is_number("VARCHAR"));
    assert_false(table_type_is_number(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stand_right_and_null_is_a_word),
        cmocka_unit_test(colour_touches_null_and_header_alone),
        cmocka_unit_test(wide_characters_count_two),
        cmocka_unit_test(the_widest_column_is_cut_first),
        cmocka_unit_test(columns_that_do_not_fit_are_counted),
        cmocka_unit_test(any_width_holds),
        cmocka_unit_test(control_characters_become_visible),
        cmocka_unit_test(json_values_look_as_in_sql),
        cmocka_unit_test(number_types_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
