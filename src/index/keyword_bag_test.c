/* What lists in memory answer is what FTS5 answers, whatever was written and removed meanwhile. */
#include "index/keyword_lists.h"

#include "base/test_support.h"

#include <math.h>
#include <pthread.h>

#define IDS  4000 /* ids below it */
#define MOST 5000

struct corpus {
    struct keyword_writer *writer;
    struct keyword_reader *reader;
    struct keyword_lists *lists;
    char *texts[IDS]; /* NULL: not there */
    int64_t next;
    uint32_t dice;
};

struct answer {
    int64_t ids[MOST];
    double scores[MOST], judged[40], full;
    size_t count, most;
    const struct corpus *corpus;
    int64_t modulus; /* 0: all pass */
};

static uint32_t roll(struct corpus *corpus, uint32_t sides)
{
    corpus->dice = corpus->dice * 1664525 + 1013904223;
    return (corpus->dice >> 8) % sides;
}

/* Words that many have and words that few have. */
static void put_word(struct corpus *corpus, struct tn_buf *out)
{
    uint32_t word = roll(corpus, 1U << roll(corpus, 9));
    tn_buf_printf(out, "w%ux ", word);
}

static void add(struct corpus *corpus, int64_t id)
{
    TN_AUTO_BUF text = {0};
    for (uint32_t i = 0, count = 1 + roll(corpus, 60); i < count; i++)
        put_word(corpus, &text);
    const struct keyword_chunk chunk = {.id = id, .doc_id = "d", .column = "body"};
    assert_ok(keyword_add(corpus->writer, &chunk, text.data, text.len, &test_err));
    free(corpus->texts[id]);
    corpus->texts[id] = tn_strdup(text.data);
}

static void remove_some(struct corpus *corpus)
{
    int64_t id = roll(corpus, (uint32_t)corpus->next);
    if (!corpus->texts[id])
        return;
    assert_ok(keyword_remove(corpus->writer, id, corpus->texts[id], strlen(corpus->texts[id]), &test_err));
    free(TN_TAKE(corpus->texts[id]));
}

static uint32_t length_of(void *context, int64_t id)
{
    const struct answer *answer = context;
    return (uint32_t)strlen(answer->corpus->texts[id]);
}

static bool passes(void *context, int64_t id)
{
    return id % ((struct answer *)context)->modulus == 0;
}

static bool take(void *context, int64_t id, double score)
{
    struct answer *answer = context;
    answer->ids[answer->count] = id;
    answer->scores[answer->count++] = score;
    return answer->count < answer->most;
}

/* unlimited: the search is not told how many are wanted. */
static void ask(struct corpus *corpus, const char *expression, struct keyword_lists *lists, bool unlimited,
                struct answer *ret)
{
    int64_t judged[TN_COUNT(ret->judged)];
    for (size_t i = 0; i < TN_COUNT(judged); i++)
        judged[i] = (int64_t)i * 37;
    ret->corpus = corpus;
    ret->count = 0;
    const struct keyword_search search = {.expression = expression,
                                          .lists = lists,
                                          .passes = ret->modulus ? passes : NULL,
                                          .each = take,
                                          .length_of = length_of,
                                          .usual_length = 120,
                                          .judged = judged,
                                          .ret_judged = ret->judged,
                                          .judged_count = TN_COUNT(judged),
                                          .ret_full = &ret->full,
                                          .context = ret,
                                          .most = unlimited ? 0 : ret->most};
    assert_ok(keyword_search(corpus->reader, &search, &test_err));
}

static bool is_same(double a, double b)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-12 * fabs(b);
}

static void compare(struct corpus *corpus, const char *expression)
{
    static struct answer got, want;
    static const size_t most[] = {1, 7, 100, 1500, MOST};
    got = (struct answer){.most = most[roll(corpus, TN_COUNT(most))], .modulus = roll(corpus, 3) ? 0 : 10};
    want = (struct answer){.most = got.most, .modulus = got.modulus};
    ask(corpus, expression, corpus->lists, roll(corpus, 2) == 0, &got);
    ask(corpus, expression, NULL, false, &want);
    assert_int_equal(got.count, want.count);
    for (size_t i = 0; i < want.count; i++) {
        assert_int_equal(got.ids[i], want.ids[i]);
        assert_true(is_same(got.scores[i], want.scores[i]));
    }
    for (size_t i = 0; i < TN_COUNT(got.judged); i++)
        if (!got.modulus || (int64_t)i * 37 % got.modulus == 0)
            assert_true(is_same(got.judged[i], want.judged[i]));
    assert_true(want.count == 0 || is_same(got.full, want.full));
}

static void compare_some(struct corpus *corpus)
{
    for (int round = 0; round < 20; round++) {
        TN_AUTO_BUF text = {0}, expression = {0};
        for (uint32_t i = 0, count = 1 + roll(corpus, 9); i < count; i++) {
            put_word(corpus, &text);
            if (roll(corpus, 8) == 0)
                tn_buf_puts(&text, "\"w0x w1x\" W1* w2x,w0x , absent ");
        }
        if (keyword_query(text.data, text.len, &expression))
            compare(corpus, expression.data);
    }
}

static void corpus_open(struct corpus *ret, const char *folder, size_t most_bytes)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/words.db", folder);
    *ret = (struct corpus){.dice = 7, .lists = keyword_lists_new(most_bytes)};
    assert_ok(keyword_writer_open(path, true, &ret->writer, &test_err));
    assert_ok(keyword_reader_open(path, &ret->reader, &test_err));
}

static void corpus_close(struct corpus *corpus)
{
    keyword_reader_close(corpus->reader);
    keyword_writer_close(corpus->writer);
    keyword_lists_free(corpus->lists);
    for (size_t i = 0; i < IDS; i++)
        free(corpus->texts[i]);
}

static void write_some(struct corpus *corpus, uint32_t added, uint32_t removed)
{
    assert_ok(keyword_begin(corpus->writer, &test_err));
    for (uint32_t i = 0; i < added; i++)
        add(corpus, corpus->next++);
    for (uint32_t i = 0; i < removed; i++)
        remove_some(corpus);
    assert_ok(keyword_commit(corpus->writer, &test_err));
}

static void test_lists_answer_as_fts_does(void **state)
{
    struct corpus corpus;
    corpus_open(&corpus, *state, (size_t)1 << 20);
    compare_some(&corpus);
    write_some(&corpus, 2000, 0);
    compare_some(&corpus);
    compare_some(&corpus);
    for (int round = 0; round < 20; round++) {
        write_some(&corpus, roll(&corpus, 2) ? roll(&corpus, 40) : 0, roll(&corpus, 2) ? roll(&corpus, 40) : 0);
        compare_some(&corpus);
    }
    corpus_close(&corpus);
}

/* What is rolled back never was, and an id that comes late, or again, is found. */
static void test_ids_out_of_order(void **state)
{
    struct corpus corpus;
    corpus_open(&corpus, *state, (size_t)1 << 20);
    write_some(&corpus, 300, 0);
    compare_some(&corpus);
    corpus.next = 500;
    write_some(&corpus, 100, 50);
    compare_some(&corpus);
    assert_ok(keyword_begin(corpus.writer, &test_err));
    const struct keyword_chunk chunk = {.id = 600, .doc_id = "d", .column = "body"};
    assert_ok(keyword_add(corpus.writer, &chunk, "w0x w1x", 7, &test_err));
    keyword_rollback(corpus.writer);
    compare_some(&corpus);
    for (int64_t id = 300; id < 400; id++) {
        add(&corpus, id);
        compare(&corpus, "(\"w0x\") OR (\"w1x\")");
    }
    remove_some(&corpus);
    compare_some(&corpus);
    corpus_close(&corpus);
}

/* More is removed between two searches than anybody remembers. */
static void test_removals_that_are_forgotten(void **state)
{
    struct corpus corpus;
    corpus_open(&corpus, *state, (size_t)1 << 20);
    write_some(&corpus, 50, 0);
    compare_some(&corpus);
    assert_ok(keyword_begin(corpus.writer, &test_err));
    const struct keyword_chunk chunk = {.id = 60, .doc_id = "d", .column = "body"};
    for (int i = 0; i < KEYWORD_REMOVED_KEPT; i++) {
        assert_ok(keyword_add(corpus.writer, &chunk, "w0x", 3, &test_err));
        assert_ok(keyword_remove(corpus.writer, 60, "w0x", 3, &test_err));
    }
    assert_ok(keyword_commit(corpus.writer, &test_err));
    write_some(&corpus, 0, 20);
    compare_some(&corpus);
    corpus_close(&corpus);
}

static void test_room_is_bounded(void **state)
{
    struct corpus corpus;
    corpus_open(&corpus, *state, 20000);
    write_some(&corpus, 1500, 0);
    for (int round = 0; round < 10; round++) {
        compare_some(&corpus);
        assert_in_range(keyword_lists_bytes(corpus.lists), 1, 20000);
    }
    corpus_close(&corpus);
}

/* A number that a posting has no room for: FTS5 answers. */
static void test_large_numbers(void **state)
{
    struct corpus corpus;
    corpus_open(&corpus, *state, (size_t)1 << 20);
    write_some(&corpus, 20, 0);
    TN_AUTO_BUF text = {0};
    for (int i = 0; i <= KEYWORD_TIMES_MAX; i++)
        tn_buf_puts(&text, "w1x ");
    const struct keyword_chunk chunk = {.id = 20, .doc_id = "d", .column = "body"};
    assert_ok(keyword_add(corpus.writer, &chunk, text.data, text.len, &test_err));
    corpus.texts[20] = tn_strdup(text.data);
    corpus.next = 21;
    compare(&corpus, "(\"w0x\") OR (\"w1x\")");
    compare(&corpus, "(\"w0x\") OR (\"w1x\")");
    assert_ok(keyword_remove(corpus.writer, 20, text.data, text.len, &test_err));
    free(TN_TAKE(corpus.texts[20]));
    compare(&corpus, "(\"w0x\") OR (\"w1x\")");
    corpus_close(&corpus);
}

/* A list that holds for what is there is not made again, and no row is asked for. */
static void test_lists_are_kept(void **state)
{
    static struct answer answer;
    struct corpus corpus;
    struct keyword_state then;
    corpus_open(&corpus, *state, (size_t)1 << 20);
    write_some(&corpus, 100, 10);
    answer = (struct answer){.most = 10};
    ask(&corpus, "(\"W0X\")", corpus.lists, false, &answer);
    TN_CLEANUP(keyword_list_unref_p)
    struct keyword_list *first = keyword_lists_find(corpus.lists, " w0x", &then);
    assert_non_null(first);
    assert_int_equal(then.last, 99);
    ask(&corpus, "(\"w0x\")", corpus.lists, false, &answer);
    TN_CLEANUP(keyword_list_unref_p)
    struct keyword_list *second = keyword_lists_find(corpus.lists, " w0x", &then);
    assert_ptr_equal(first, second);
    corpus_close(&corpus);
}

struct asking {
    pthread_t thread;
    struct corpus *corpus;
    struct keyword_reader *reader;
    size_t asked;
};

struct tally {
    double last;
    uint64_t hits;
};

static bool rises(void *context, int64_t id, double score)
{
    struct tally *tally = context;
    bool right = score <= tally->last;
    tally->last = score;
    tally->hits = tally->hits * 31 + (uint64_t)id;
    return right;
}

static struct tally tally(struct keyword_reader *reader, struct keyword_lists *lists, int round)
{
    TN_AUTO_BUF expression = {0};
    struct tally tally = {.last = INFINITY};
    tn_buf_printf(&expression, "(\"w%dx\") OR (\"w0x\") OR (\"w%dx\")", round % 9, round % 5);
    const struct keyword_search search = {
        .expression = expression.data, .lists = lists, .each = rises, .context = &tally, .most = 50};
    if (keyword_search(reader, &search, NULL) != TN_OK)
        tally.last = INFINITY;
    return tally;
}

static void *ask_on(void *context)
{
    struct asking *asking = context;
    for (int round = 0; round < 60; round++)
        asking->asked += tally(asking->reader, asking->corpus->lists, round).last < INFINITY;
    return NULL;
}

/* Readers share lists and bring them up to date side by side, while rows come and go. */
static void test_readers_share_lists(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/words.db", (char *)*state);
    struct corpus corpus;
    struct asking asking[4] = {0};
    corpus_open(&corpus, *state, 60000);
    write_some(&corpus, 800, 0);
    for (size_t i = 0; i < TN_COUNT(asking); i++) {
        asking[i].corpus = &corpus;
        assert_ok(keyword_reader_open(path, &asking[i].reader, &test_err));
        assert_int_equal(pthread_create(&asking[i].thread, NULL, ask_on, &asking[i]), 0);
    }
    for (int round = 0; round < 30; round++)
        write_some(&corpus, 5, 5);
    for (size_t i = 0; i < TN_COUNT(asking); i++) {
        (void)pthread_join(asking[i].thread, NULL);
        assert_int_equal(asking[i].asked, 60);
        keyword_reader_close(asking[i].reader);
    }
    for (int round = 0; round < 45; round++) {
        struct tally got = tally(corpus.reader, corpus.lists, round), want = tally(corpus.reader, NULL, round);
        assert_int_equal(got.hits, want.hits);
        assert_true(is_same(got.last, want.last));
    }
    corpus_close(&corpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_lists_answer_as_fts_does),
        FOLDER_TEST(test_ids_out_of_order),
        FOLDER_TEST(test_removals_that_are_forgotten),
        FOLDER_TEST(test_room_is_bounded),
        FOLDER_TEST(test_readers_share_lists),
        FOLDER_TEST(test_large_numbers),
        FOLDER_TEST(test_lists_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
