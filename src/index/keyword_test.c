/* Words are found by what people type, whatever that is. */
#include "index/keyword.h"

#include "base/test_support.h"

#include <math.h>

static void expect_query(const char *text, const char *want)
{
    TN_AUTO_BUF got = {0};
    bool any = keyword_query(text, strlen(text), &got);
    assert_int_equal(any, want != NULL);
    if (want)
        assert_string_equal(got.data, want);
}

static void test_queries(void **state)
{
    (void)state;
    expect_query("java chicago", "(\"java\") OR (\"chicago\")");
    expect_query("who is the java developer", "(\"java\") OR (\"developer\")");
    expect_query("who is who", "(\"who\") OR (\"is\") OR (\"who\")");
    expect_query("\"cloud migration\" kube*", "(\"cloud migration\") OR (\"kube\"*)");
    expect_query("java AND spring NOT junior", "((\"java\" AND \"spring\")) NOT (\"junior\")");
    expect_query("(java OR kotlin) AND chicago", "(((\"java\") OR (\"kotlin\")) AND \"chicago\")");
    expect_query("NOT junior", NULL);
    expect_query("", NULL);
    expect_query(" -- ** ()", NULL);
    expect_query("\"unclosed", "(\"unclosed\")");
    expect_query("a\"b", "(\"b\")");
    expect_query("title:java", "(((\"title\") OR (\"java\")))");
    expect_query("java NOT level:jun*", "((\"java\")) NOT (((\"level\") OR (\"jun\"*)))");
    expect_query("title: java", "(\"title:\") OR (\"java\")");
    expect_query("at 10:30 on https://a.example", "(\"10:30\") OR (\"https://a.example\")");
    expect_query("near(x,y)", "(\"near\") OR (((\"x,y\")))");
}

struct found {
    int64_t ids[16];
    size_t count, most;
    int64_t refused;
};

static bool take(void *context, int64_t id, double score)
{
    struct found *found = context;
    assert_true(score >= 0);
    found->ids[found->count++] = id;
    return found->count < found->most;
}

static bool allow(void *context, int64_t id)
{
    return id != ((struct found *)context)->refused;
}

static void add(struct keyword_writer *writer, int64_t id, const char *doc, const char *text)
{
    struct keyword_chunk chunk = {.id = id, .doc_id = doc, .column = "body", .number = 0};
    chunk.hash[0] = (unsigned char)id;
    assert_ok(keyword_add(writer, &chunk, text, strlen(text), &test_err));
}

static size_t search(struct keyword_reader *reader, const char *text, struct found *found)
{
    TN_AUTO_BUF expression = {0};
    found->count = 0;
    if (!keyword_query(text, strlen(text), &expression))
        return 0;
    const struct keyword_search what = {.expression = expression.data,
                                        .passes = found->refused ? allow : NULL,
                                        .each = take,
                                        .context = found,
                                        .most = found->most};
    assert_ok(keyword_search(reader, &what, &test_err));
    return found->count;
}

static void test_words_are_found(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/words.db", (char *)*state);
    TN_CLEANUP(keyword_writer_close_p) struct keyword_writer *writer = NULL;
    TN_CLEANUP(keyword_reader_close_p) struct keyword_reader *reader = NULL;
    struct found found = {.most = 16};
    int64_t id, number;
    assert_ok(keyword_writer_open(path, true, &writer, &test_err));
    assert_ok(keyword_reader_open(path, &reader, &test_err));
    assert_ok(keyword_begin(writer, &test_err));
    add(writer, 1, "a", "Java developers in Chicago");
    add(writer, 2, "b", "a Kotlin developer, once of Java");
    add(writer, 3, "c", "gardening");
    assert_ok(keyword_set(writer, "next", 4, &test_err));
    assert_int_equal(search(reader, "java", &found), 0);
    assert_ok(keyword_commit(writer, &test_err));
    assert_int_equal(search(reader, "java", &found), 2);
    assert_int_equal(search(reader, "java NOT kotlin", &found), 1);
    assert_int_equal(found.ids[0], 1);
    assert_int_equal(search(reader, "\"developers in chicago\"", &found), 1);
    assert_int_equal(search(reader, "garden*", &found), 1);
    assert_int_equal(search(reader, "java AND gardening", &found), 0);
    found.refused = 1;
    assert_int_equal(search(reader, "java", &found), 1);
    assert_int_equal(found.ids[0], 2);
    found = (struct found){.most = 1};
    assert_int_equal(search(reader, "java", &found), 1);
    const unsigned char hash[KEYWORD_HASH_BYTES] = {3}, other[KEYWORD_HASH_BYTES] = {9};
    assert_ok(keyword_find_hash(reader, hash, &id, &test_err));
    assert_int_equal(id, 3);
    assert_ok(keyword_find_hash(reader, other, &id, &test_err));
    assert_int_equal(id, -1);
    assert_ok(keyword_begin(writer, &test_err));
    assert_ok(keyword_remove(writer, 1, "Java developers in Chicago", 26, &test_err));
    assert_ok(keyword_commit(writer, &test_err));
    assert_int_equal(search(reader, "chicago", &found), 0);
    assert_ok(keyword_get(writer, "next", &number, &test_err));
    assert_int_equal(number, 4);
}

struct judged {
    double score[4]; /* of the ids 0 to 3 */
    size_t taken;
};

static bool take_judged(void *context, int64_t id, double score)
{
    struct judged *judged = context;
    assert_true(score == judged->score[id]); /* known before */
    judged->taken++;
    return true;
}

static double judge(struct keyword_reader *reader, const char *expression, struct judged *judged)
{
    static const int64_t ids[] = {0, 1, 2, 3};
    double full = -1;
    *judged = (struct judged){0};
    const struct keyword_search what = {.expression = expression,
                                        .each = take_judged,
                                        .judged = ids,
                                        .ret_judged = judged->score,
                                        .judged_count = TN_COUNT(ids),
                                        .ret_full = &full,
                                        .context = judged,
                                        .most = 1};
    assert_ok(keyword_search(reader, &what, &test_err));
    return full;
}

/* More matches are judged than returned, against what all the words would be worth. */
static void test_scores_have_a_measure(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/words.db", (char *)*state);
    TN_CLEANUP(keyword_writer_close_p) struct keyword_writer *writer = NULL;
    TN_CLEANUP(keyword_reader_close_p) struct keyword_reader *reader = NULL;
    struct judged judged;
    assert_ok(keyword_writer_open(path, true, &writer, &test_err));
    assert_ok(keyword_reader_open(path, &reader, &test_err));
    add(writer, 1, "a", "welder in Chicago");
    add(writer, 2, "b", "baker in Chicago");
    add(writer, 3, "c", "gardening");
    double both = judge(reader, "\"welder\" OR \"chicago\"", &judged);
    assert_true(judged.taken == 1 && isnan(judged.score[3]));
    assert_true(fabs(judged.score[1] - both) < 1e-9);
    assert_true(judged.score[2] > 0 && judged.score[2] < both / 2);
    assert_true(judge(reader, "\"welder\" OR \"chicago\" OR \"zeppelin\"", &judged) > both * 1.5);
    assert_true(judge(reader, "\"zeppelin\"", &judged) == 0 && judged.taken == 0);
}

/* Whatever is typed, FTS5 takes the expression. */
static void test_no_input_breaks_the_syntax(void **state)
{
    static const char *const pieces[] = {
        "\"", "(", ")", "AND",      "OR",   "NOT",  "NEAR",          "*", "a*", "^x", ":", "text:", "-", "+", "'",
        ";",  "{", "}", "\xc3\xa9", "\xff", "word", "\"two words\"", ","};
    TN_AUTO_FREE char *path = tn_asprintf("%s/words.db", (char *)*state);
    TN_CLEANUP(keyword_writer_close_p) struct keyword_writer *writer = NULL;
    TN_CLEANUP(keyword_reader_close_p) struct keyword_reader *reader = NULL;
    struct found found = {.most = 16};
    uint32_t dice = 7;
    assert_ok(keyword_writer_open(path, true, &writer, &test_err));
    assert_ok(keyword_reader_open(path, &reader, &test_err));
    add(writer, 1, "a", "a word, or two words");
    for (int round = 0; round < 3000; round++) {
        TN_AUTO_BUF text = {0};
        for (int i = 0; i < 12; i++) {
            dice = dice * 1664525 + 1013904223;
            tn_buf_printf(&text, "%s%s", pieces[(dice >> 16) % TN_COUNT(pieces)], dice >> 31 ? " " : "");
        }
        (void)search(reader, text.data, &found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),
        FOLDER_TEST(test_words_are_found),
        FOLDER_TEST(test_scores_have_a_measure),
        FOLDER_TEST(test_no_input_breaks_the_syntax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
