#include "answer/words.h"
#include "base/test_support.h"

#include <string.h>

static int setup(void **state)
{
    *state = tn_arena_new();
    return 0;
}

static int teardown(void **state)
{
    tn_arena_free(*state);
    return 0;
}

static double share(const char *part, const char *whole, struct tn_arena *arena)
{
    struct answer_words a = answer_words_of(part, strlen(part), arena);
    struct answer_words b = answer_words_of(whole, strlen(whole), arena);
    return answer_words_share(&a, &b);
}

static void test_words_meet_in_other_forms(void **state)
{
    assert_true(share("Who moved the services?", "moving a service to Kubernetes", *state) == 1);
    assert_true(share("Which cities?", "The city of Chicago", *state) == 1);
    assert_true(share("kubernetes helm", "Kubernetes alone", *state) == 0.5);
    assert_true(share("what is the", "what is the", *state) == 0); /* nothing but fillers */
    assert_true(share("", "anything", *state) == 0);
}

static void check_sentences(const char *text, const char *const *wanted, size_t count, struct tn_arena *arena)
{
    struct answer_span *spans;
    assert_int_equal(answer_sentences(text, strlen(text), arena, &spans), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(spans[i].end - spans[i].begin, strlen(wanted[i]));
        assert_memory_equal(text + spans[i].begin, wanted[i], strlen(wanted[i]));
    }
}

static void test_sentences(void **state)
{
    const char *const plain[] = {"It rained.", "Did it stop?", "\"No!\"", "Version 2.5 came e.g. on Monday."};
    check_sentences("It rained. Did it stop? \"No!\"  Version 2.5 came e.g. on Monday.", plain, TN_COUNT(plain),
                    *state);
    const char *const lines[] = {"Heading", "One line\ngoes on here.", "- a point", "- another"};
    check_sentences("Heading\n\nOne line\ngoes on here.\n- a point\n- another", lines, TN_COUNT(lines), *state);
    check_sentences("  \n ", NULL, 0, *state);
    check_sentences("", NULL, 0, *state);
}

static bool copies(const char *a, const char *b, struct tn_arena *arena)
{
    return answer_near_copy(a, strlen(a), b, strlen(b), arena);
}

static void test_near_copies(void **state)
{
    const char *text = "the notice period is six weeks to the end of a quarter and it has to be given in writing to "
                       "the office which confirms it within three days by post or by mail as agreed";
    const char *again = "the notice period is six weeks to the end of a quarter and it has to be given in writing to "
                        "the office which confirms it within three days by post or by mail as wished";
    assert_true(copies(text, again, *state));
    assert_true(copies(text, text, *state));
    assert_false(copies(text, "the notice period is six weeks", *state));
    /* A name or a number makes two texts of one. */
    assert_false(copies("Paid 100 dollars for the trip to the office by train and back again on one day",
                        "Paid 200 dollars for the trip to the office by train and back again on one day", *state));
    assert_false(copies("a", "b", *state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_words_meet_in_other_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sentences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_copies, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
