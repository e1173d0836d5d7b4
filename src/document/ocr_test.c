/* What tesseract prints, as text. */
#include "base/test_support.h"
#include "document/ocr.h"

#include <string.h>

#define HEAD                          "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"
#define WORD(block, line, conf, text) "5\t1\t" block "\t1\t" line "\t1\t0\t0\t9\t9\t" conf "\t" text "\n"

static void gives(const char *tsv, const char *text, unsigned confidence)
{
    TN_AUTO_BUF out = {0};
    unsigned got = 999;
    ocr_take_tsv(tsv, strlen(tsv), &out, &got);
    assert_string_equal(out.data ? out.data : "", text);
    assert_int_equal(got, confidence);
}

static void test_words_lines_and_paragraphs(void **state)
{
    (void)state;
    gives(HEAD "1\t1\t0\t0\t0\t0\t0\t0\t2550\t3300\t-1\t\n" WORD("1", "1", "90.5", "The") WORD("1", "1", "80", "mill")
              WORD("1", "2", "70", "turns.") WORD("2", "1", "100", "Gr\xC3\xBC\xC3\x9F"),
          "The mill\nturns.\n\nGr\xC3\xBC\xC3\x9F", 85);
    gives(WORD("1", "1", "96", "a\tb"), "a\tb", 96); /* a tab of its own stays with the word */
}

static void test_what_is_no_word(void **state)
{
    (void)state;
    gives("", "", 0);
    gives(HEAD, "", 0);
    gives(WORD("1", "1", "95", "  ") WORD("1", "1", "95", ""), "", 0); /* an empty box */
    gives("5\t1\t1\nnot a table\n\t\t\t\t\t\t\t\t\t\t\t\n", "", 0);
    gives(WORD("1", "1", "nan", "x") WORD("1", "1", "1e300", "y") WORD("1", "1", "-7", "z"), "x y z", 33);
    gives("5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t50\tlast", "last", 50); /* without a newline */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words_lines_and_paragraphs),
                                       cmocka_unit_test(test_what_is_no_word)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
