/* Paths, problems, progress, excerpts, completion: the texts of the command. */
#include "cli/files.h"
#include "cli/query.h"
#include "cli/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_second_piece_is_escaped(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    assert_string_equal(client_path(arena, "/x/", "a/b c?\u00e9", "?n=", "1&2", NULL),
                        "/x/a%2Fb%20c%3F%C3%A9?n=1%262");
    assert_string_equal(client_path(arena, "/x", NULL), "/x");
}

static void problems_become_errors(void **state)
{
    static const char sql[] = "{\"type\":\"t\",\"title\":\"SQL error\",\"status\":400,\"code\":\"sql_error\","
                              "\"detail\":\"no column \\\"nme\\\"\",\"hint\":\"did you mean name?\","
                              "\"line\":2,\"column\":8}";
    (void)state;
    struct tn_error error = {0};
    assert_int_equal(client_problem(400, sql, sizeof sql - 1, &error), TN_ESQL);
    assert_string_equal(error.detail, "no column \"nme\"");
    assert_string_equal(error.hint, "did you mean name?");
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 8);

    static const struct {
        long status;
        const char *body;
        enum tn_code code;
    } others[] = {
        {404, "<html>", TN_ENOTFOUND}, {401, "", TN_EUNAUTHORIZED}, {500, "{}", TN_EINTERNAL},
        {429, "[1]", TN_EBUSY},        {418, "null", TN_EREQUEST},  {503, "{\"code\":5}", TN_EUNAVAILABLE},
    };
    for (size_t i = 0; i < TN_COUNT(others); i++)
        assert_int_equal(client_problem(others[i].status, others[i].body, strlen(others[i].body), NULL),
                         others[i].code);
}

static void clients_refuse_what_is_no_address(void **state)
{
    (void)state;
    struct client *client = NULL;
    assert_int_equal(client_new("file:///etc/passwd", NULL, &client, NULL), TN_EUSAGE);
    assert_int_equal(client_new("http://h", "a\r\nX: y", &client, NULL), TN_EUSAGE);
    assert_null(client);
    assert_int_equal(client_new("http://127.0.0.1:7341//", NULL, &client, NULL), TN_OK);
    assert_string_equal(client_url(client), "http://127.0.0.1:7341");
    client_free(client);
}

static void bars_tell_amount_rate_and_time_left(void **state)
{
    (void)state;
    struct progress progress = {.shown = true, .label = "calls.csv", .total = 1000u << 10};
    TN_AUTO_BUF text = {0};
    progress_render(&progress, 500u << 10, NULL, 1000, 80, &text);
    assert_non_null(strstr(text.data, "calls.csv  #####.....  50%"));
    assert_non_null(strstr(text.data, "/s"));
    assert_non_null(strstr(text.data, "left"));
    tn_buf_clear(&text);
    progress_render(&progress, 1000u << 10, "writing", 1000, 80, &text);
    assert_non_null(strstr(text.data, "100%"));
    assert_non_null(strstr(text.data, "writing"));
    assert_null(strstr(text.data, "left"));
    tn_buf_clear(&text);
    progress = (struct progress){
        .shown = true, .label = "index", .unit = "chunks", .total = 1000, .rate = 40.2, .seconds_left = 20};
    progress_render(&progress, 200, NULL, 1, 80, &text); /* a server that knows better */
    assert_non_null(strstr(text.data, "200 chunks of 1000 chunks  40 chunks/s  20.0s left"));
    tn_buf_clear(&text);
    progress = (struct progress){.shown = true, .label = "rows", .unit = "rows"}; /* no total */
    progress_render(&progress, 1234, NULL, 0, 80, &text);
    assert_non_null(strstr(text.data, "1234 rows"));
}

static void excerpts_point_at_the_place(void **state)
{
    (void)state;
    TN_AUTO_BUF text = {0};
    query_excerpt("select\n  nme from calls", 2, 3, &text);
    assert_string_equal(text.data, "        nme from calls\n        ^");
    tn_buf_clear(&text);
    query_excerpt("select '\u6771\u4eac' as x", 1, 13, &text); /* two characters, four columns */
    assert_non_null(strstr(text.data, "\n                    ^"));
    tn_buf_clear(&text);
    query_excerpt("one line", 3, 1, &text);
    assert_int_equal(text.len, 0);
    query_excerpt("short", 1, 4000, &text);
    assert_non_null(strchr(text.data, '^'));
}

static void parameters_keep_leading_zeros(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"42", "42"},       {"-1.5", "-1.5"},     {"02134", "\"02134\""}, {"true", "true"}, {"null", "null"},
        {"Ann", "\"Ann\""}, {"\"42\"", "\"42\""}, {"[1]", "\"[1]\""},     {"", "\"\""},     {"1e3x", "\"1e3x\""},
    };
    (void)state;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_JSON *value = query_param(cases[i].text);
        TN_AUTO_BUF text = {0};
        tn_json_dump(value, &text);
        assert_string_equal(text.data, cases[i].json);
    }
}

static void completion_ignores_case_and_doubles(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(words_free_p) struct words *words = words_new();
    static const char *const all[] = {"select", "candidates", "candidate_id", "candidate_id", "calls"};
    for (size_t i = 0; i < TN_COUNT(all); i++)
        words_add(words, all[i]);
    size_t count;
    const char *const *found = words_match(words, arena, "CAN", &count);
    assert_int_equal(count, 2);
    assert_int_equal(words_common(found, count), strlen("candidate"));
    (void)words_match(words, arena, "x", &count);
    assert_int_equal(count, 0);
    assert_int_equal(words_common(found, 0), 0);
    assert_int_equal(words_start("select c.cit", 12), 9);
    assert_int_equal(words_start(".mo", 3), 0);
    assert_int_equal(words_start("select ", 7), 7);
}

static void a_last_word_may_be_a_dataset(void **state)
{
    (void)state;
    assert_true(files_is_dataset("calls_of_2024"));
    assert_false(files_is_dataset("missing.csv"));
    assert_false(files_is_dataset("folder/file"));
    assert_false(files_is_dataset("-"));
    assert_false(files_is_dataset("src")); /* a folder here: the tests run in the root of the tree */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_second_piece_is_escaped),       cmocka_unit_test(problems_become_errors),
        cmocka_unit_test(clients_refuse_what_is_no_address),   cmocka_unit_test(bars_tell_amount_rate_and_time_left),
        cmocka_unit_test(excerpts_point_at_the_place),         cmocka_unit_test(parameters_keep_leading_zeros),
        cmocka_unit_test(completion_ignores_case_and_doubles), cmocka_unit_test(a_last_word_may_be_a_dataset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
