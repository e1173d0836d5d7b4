/* Command lines, good and bad. */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct cli_option own_items[] = {
    {.name = "types", .letter = 't', .value = "LIST", .help = "types"},
    {.name = "yes", .letter = 'y', .help = "do not ask"},
    {.name = "limit", .letter = 'n', .value = "N", .help = "rows"},
    {.name = "param", .letter = 'p', .value = "V", .help = "value", .repeat = true},
};
static const struct cli_option global_items[] = {
    {.name = "lake", .letter = 'L', .value = "DIR", .help = "lake"},
    {.name = "quiet", .letter = 'q', .help = "quiet"},
};
static const struct cli_options own = CLI_OPTIONS(own_items);
static const struct cli_options global = CLI_OPTIONS(global_items);

enum { MOST = 8 };

static enum tn_code parse(struct tn_arena *arena, const char *const *words, bool until_word, struct cli_args *ret,
                          int *ret_used, struct tn_error *err)
{
    char *argv[MOST + 1] = {NULL};
    int argc = 0;
    for (; argc < MOST && words[argc]; argc++)
        argv[argc] = tn_arena_strdup(arena, words[argc]);
    return cli_args_parse(arena, &own, &global, argc, argv, until_word, ret, ret_used, err);
}

static void every_spelling_works(void **state)
{
    static const char *const spellings[][MOST + 1] = {
        {"file", "--types", "zip:text", "-y"},
        {"--types=zip:text", "file", "--yes"},
        {"-t", "zip:text", "-y", "file"},
        {"-tzip:text", "file", "-y"},
        {"-ytzip:text", "file"},
        {"-qy", "-t", "zip:text", "file"},
        {"--types", "x", "-y", "file", "-tzip:text"}, /* the last one wins */
    };
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    for (size_t i = 0; i < TN_COUNT(spellings); i++) {
        struct cli_args args;
        int used;
        assert_int_equal(parse(arena, spellings[i], false, &args, &used, NULL), TN_OK);
        assert_string_equal(cli_args_text(&args, "types", NULL), "zip:text");
        assert_true(cli_args_has(&args, "yes"));
        assert_int_equal(args.word_count, 1);
        assert_string_equal(args.words[0], "file");
    }
}

static void dashes_have_their_meanings(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const char *const words[MOST + 1] = {"-", "--yes", "--", "--types", "-q"};
    struct cli_args args;
    int used;
    assert_int_equal(parse(arena, words, false, &args, &used, NULL), TN_OK);
    assert_int_equal(args.word_count, 3);
    assert_string_equal(args.words[0], "-");
    assert_string_equal(args.words[1], "--types");
    assert_string_equal(args.words[2], "-q");
    assert_false(cli_args_has(&args, "quiet"));
    assert_int_equal(used, 5);
}

static void stops_behind_the_first_word(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const char *const words[MOST + 1] = {"--lake", "here", "sql", "--unknown", "x"};
    struct cli_args args;
    int used;
    assert_int_equal(parse(arena, words, true, &args, &used, NULL), TN_OK);
    assert_int_equal(used, 3);
    assert_string_equal(args.words[0], "sql");
    assert_string_equal(cli_args_text(&args, "lake", NULL), "here");
}

static void refusals_say_what_was_meant(void **state)
{
    static const struct {
        const char *words[MOST + 1], *detail, *hint;
    } cases[] = {
        {{"--tyeps", "x"}, "--tyeps", "--types"},
        {{"--lak=x"}, "--lak", "--lake"},
        {{"-z"}, "-z", ""},
        {{"--types"}, "--types needs a value", "LIST"},
        {{"-t"}, "--types needs a value", "LIST"},
        {{"--yes=1"}, "--yes takes no value", ""},
    };
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct cli_args args = {.word_count = 77};
        struct tn_error error = {0};
        int used = 77;
        assert_int_equal(parse(arena, cases[i].words, false, &args, &used, &error), TN_EUSAGE);
        assert_non_null(strstr(error.detail, cases[i].detail));
        assert_non_null(strstr(error.hint, cases[i].hint));
        assert_int_equal(args.word_count, 77);
        assert_int_equal(used, 77);
    }
}

static void numbers_are_checked(void **state)
{
    static const struct {
        const char *text;
        enum tn_code code;
        int64_t value;
    } cases[] = {{"1", TN_OK, 1},       {"100", TN_OK, 100},   {"0", TN_EUSAGE, 0}, {"101", TN_EUSAGE, 0},
                 {"ten", TN_EUSAGE, 0}, {"1.5", TN_EUSAGE, 0}, {"", TN_EUSAGE, 0},  {" 7", TN_EUSAGE, 0}};
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        const char *words[MOST + 1] = {"--limit", cases[i].text};
        struct cli_args args;
        int used;
        int64_t value = -5;
        assert_int_equal(parse(arena, words, false, &args, &used, NULL), TN_OK);
        assert_int_equal(cli_args_i64(&args, "limit", 1, 100, 9, &value, NULL), cases[i].code);
        assert_int_equal(value, cases[i].code == TN_OK ? cases[i].value : -5);
    }
}

static void repeated_values_keep_their_order(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const char *const words[MOST + 1] = {"-p", "a", "-n", "3", "--param=b", "-pc"};
    struct cli_args args;
    int used;
    size_t count;
    assert_int_equal(parse(arena, words, false, &args, &used, NULL), TN_OK);
    const char *const *values = cli_args_all(&args, arena, "param", &count);
    assert_int_equal(count, 3);
    assert_string_equal(values[0], "a");
    assert_string_equal(values[1], "b");
    assert_string_equal(values[2], "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_works),        cmocka_unit_test(dashes_have_their_meanings),
        cmocka_unit_test(stops_behind_the_first_word), cmocka_unit_test(refusals_say_what_was_meant),
        cmocka_unit_test(numbers_are_checked),         cmocka_unit_test(repeated_values_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
