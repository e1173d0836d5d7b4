#include "answer/sources.h"
#include "base/test_support.h"

#include <string.h>

static const char first[] =
    "The notice period is six weeks. It must be given in writing.\n\nNobody works on Sundays.";
static const char second[] =
    "Welders need the D1.1 certificate, renewed every\n  three years. Pay is \u201cweekly\u201d.";

struct fixture {
    struct tn_arena *arena;
    struct passage passages[2];
    struct source_part parts[2];
    struct source items[2];
    struct sources sources;
    struct checked checked;
};

static int setup(void **state)
{
    struct tn_arena *arena = tn_arena_new();
    struct fixture *f = tn_arena_alloc(arena, sizeof *f);
    const char *const texts[] = {first, second};
    f->arena = arena;
    for (uint32_t i = 0; i < 2; i++) {
        f->passages[i] = (struct passage){.chunk = {.doc_id = i ? "welding" : "contract", .chunk_no = i},
                                          .text = texts[i],
                                          .length = strlen(texts[i])};
        f->parts[i] = (struct source_part){&f->passages[i], 0};
        f->items[i] = (struct source){
            .number = i + 1, .text = texts[i], .length = strlen(texts[i]), .parts = &f->parts[i], .part_count = 1};
    }
    f->sources = (struct sources){.items = f->items, .count = 2};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    tn_arena_free(((struct fixture *)*state)->arena);
    return 0;
}

static const struct checked *check(struct fixture *f, const char *answer)
{
    cite_check(answer, strlen(answer), &f->sources, f->arena, &f->checked);
    return &f->checked;
}

static void test_numbers_that_exist_stay(void **state)
{
    const struct checked *checked = check(*state, "Six weeks [1]. Welders need a certificate [2, 1].");
    assert_string_equal(checked->text, "Six weeks [1]. Welders need a certificate [2][1].");
    assert_int_equal(checked->dropped_count, 0);
    assert_int_equal(checked->citation_count, 2); /* the contract's words once */
    assert_string_equal(checked->citations[0].doc_id, "contract");
    assert_string_equal(checked->citations[0].quote, "The notice period is six weeks.");
    assert_string_equal(checked->citations[1].quote,
                        "Welders need the D1.1 certificate, renewed every\n  three years.");
    assert_true(checked->support > 0.9);
}

static void test_numbers_that_do_not_exist_go(void **state)
{
    const struct checked *checked = check(*state, "Six weeks [1][7]. Always [3]. So [0] it [4711] is [1-4].");
    assert_string_equal(checked->text, "Six weeks [1]. Always. So it is [1][2].");
    assert_int_equal(checked->dropped_count, 6); /* 7, 3, 0, 4711, and 3 and 4 of the range */
    assert_int_equal(checked->dropped[0].source, 7);
    assert_null(checked->dropped[0].quote);
    assert_string_equal(checked->dropped[0].reason, "there is no source of this number");
}

static void test_quotes_are_found_as_a_reader_would(void **state)
{
    const struct checked *checked = check(
        *state,
        "It says \"the d1.1 certificate, renewed every three years,\" [2] and \u201cPay is \"weekly\".\u201d [2]");
    assert_int_equal(checked->dropped_count, 0);
    assert_int_equal(checked->citation_count, 2);
    assert_string_equal(checked->citations[0].quote, "the D1.1 certificate, renewed every\n  three years");
    checked = check(*state, "\"The notice period ... must be given in writing\" [1]");
    assert_int_equal(checked->dropped_count, 0);
    assert_int_equal(checked->citation_count, 1);
}

static void test_a_quote_that_is_not_there_goes(void **state)
{
    const struct checked *checked =
        check(*state, "\"The notice period is two days\" [1]. Nobody works on Sundays [1].");
    assert_string_equal(checked->text, "[quote removed]. Nobody works on Sundays [1].");
    assert_int_equal(checked->dropped_count, 1);
    assert_string_equal(checked->dropped[0].quote, "The notice period is two days");
    assert_int_equal(checked->dropped[0].source, 1);
    assert_int_equal(checked->citation_count, 1);
    assert_string_equal(checked->citations[0].quote, "Nobody works on Sundays.");
}

static void test_a_quote_of_another_source_goes(void **state)
{
    const struct checked *checked = check(*state, "According to [2], \"the notice period is six weeks\".");
    assert_int_equal(checked->dropped_count, 1);
    assert_string_equal(checked->text, "According to [2], [quote removed].");
    checked = check(*state, "The rule \"the notice period is six weeks\" holds.");
    assert_int_equal(checked->dropped_count + checked->unproven, 0); /* nobody is named, and it stands there */
    checked = check(*state, "The rule \"everybody may leave at once\" holds.");
    assert_int_equal(checked->unproven, 1);
    assert_non_null(strstr(checked->text, "leave at once"));
}

static void test_images_go(void **state)
{
    const struct checked *checked = check(*state, "Six weeks [1] ![x](http://203.0.113.9/?q=six)");
    assert_string_equal(checked->text, "Six weeks [1]");
    assert_int_equal(checked->dropped_count, 1);
}

static void test_odd_texts_do_no_harm(void **state)
{
    static const char *const odd[] = {"",
                                      "[",
                                      "[1",
                                      "[]",
                                      "[,]",
                                      "\"",
                                      "\"\"",
                                      "\u201c",
                                      "![",
                                      "![](",
                                      "[-1]",
                                      "[1-",
                                      "[source 1] [Sources 1 and 2]",
                                      "\"[1]\" [1]",
                                      "5\" pipe [1] and 6\" pipe [2]",
                                      "[1-999999]",
                                      "\"a b c d\" \"e f g h\" [1] [2]",
                                      "\n\n\n"};
    for (size_t i = 0; i < TN_COUNT(odd); i++) {
        const struct checked *checked = check(*state, odd[i]);
        assert_non_null(checked->text);
        assert_true(tn_utf8_valid_prefix(checked->text, strlen(checked->text)) == strlen(checked->text));
    }
}

static void test_sentinel(void **state)
{
    (void)state;
    assert_true(rag_is_sentinel("NO_ANSWER_IN_SOURCES", 20));
    assert_true(rag_is_sentinel(" \n**NO_ANSWER_IN_SOURCES**.", 27));
    assert_true(rag_is_sentinel("Sorry. NO_ANSWER_IN_SOURCES\n", 28));
    assert_false(rag_is_sentinel("The text says NO_ANSWER_IN_SOURCES in the middle.", 49));
    assert_false(rag_is_sentinel("No.", 3));
    assert_false(rag_is_sentinel("", 0));
}

int main(void)
{
#define CITE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CITE_TEST(test_numbers_that_exist_stay),
        CITE_TEST(test_numbers_that_do_not_exist_go),
        CITE_TEST(test_quotes_are_found_as_a_reader_would),
        CITE_TEST(test_a_quote_that_is_not_there_goes),
        CITE_TEST(test_a_quote_of_another_source_goes),
        CITE_TEST(test_images_go),
        CITE_TEST(test_odd_texts_do_no_harm),
        cmocka_unit_test(test_sentinel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
