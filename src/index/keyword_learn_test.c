/* Lists made ahead, while searches ask, rows come and go, and lists are given up: the answers stay FTS5's. */
#include "index/keyword_lists.h"
#include "index/keyword_sample.h"

#include "base/test_support.h"

#include <math.h>
#include <pthread.h>

#define WORDS 40

/* What a row says hangs on its id alone: any thread knows it. */
static void put_text(int64_t id, struct tn_buf *out)
{
    uint64_t dice = (uint64_t)id * 2654435761U + 12345;
    tn_buf_clear(out);
    for (uint64_t i = 0; i < 3 + (uint64_t)id % 30; i++) {
        dice = dice * 6364136223846793005U + 1442695040888963407U;
        uint64_t word = (dice >> 33) % WORDS;
        word = word * word / WORDS; /* some are frequent */
        tn_buf_printf(out, "%s%c%c ", dice >> 40 & 1 ? "Engineer" : "engineering", (char)('a' + word % 20),
                      (char)('a' + word / 20));
    }
    tn_buf_puts(out, id % 3 ? "years of work" : "year");
}

static uint32_t length_of(void *context, int64_t id)
{
    (void)context;
    return 20 + (uint32_t)(id * 7 % 200);
}

struct ground {
    char *path;
    struct keyword_writer *writer;
    struct keyword_lists *lists;
    pthread_rwlock_t still; /* held by who compares: nothing is written meanwhile */
    int64_t first, next;    /* ids that are there */
    atomic_bool over;
    atomic_size_t compared, learned, wrong;
};

static void put_rows(struct ground *ground, int64_t added, int64_t removed)
{
    TN_AUTO_BUF text = {0};
    assert_ok(keyword_begin(ground->writer, &test_err));
    for (int64_t end = ground->next + added; ground->next < end; ground->next++) {
        const struct keyword_chunk chunk = {.id = ground->next, .doc_id = "d", .column = "body"};
        put_text(ground->next, &text);
        assert_ok(keyword_add(ground->writer, &chunk, text.data, text.len, &test_err));
    }
    for (int64_t end = ground->first + removed; ground->first < end; ground->first++) {
        put_text(ground->first, &text);
        assert_ok(keyword_remove(ground->writer, ground->first, text.data, text.len, &test_err));
    }
    assert_ok(keyword_commit(ground->writer, &test_err));
}

static void ground_open(struct ground *ret, const char *folder, size_t most_bytes)
{
    *ret = (struct ground){.path = tn_asprintf("%s/words.db", folder), .lists = keyword_lists_new(most_bytes)};
    (void)pthread_rwlock_init(&ret->still, NULL);
    assert_ok(keyword_writer_open(ret->path, true, &ret->writer, &test_err));
}

static void ground_close(struct ground *ground)
{
    keyword_writer_close(ground->writer);
    keyword_lists_free(ground->lists);
    (void)pthread_rwlock_destroy(&ground->still);
    free(ground->path);
}

/* ---- one answer -------------------------------------------------------------------- */

struct found {
    int64_t ids[50];
    double scores[50];
    size_t count;
};

static bool take(void *context, int64_t id, double score)
{
    struct found *found = context;
    found->ids[found->count] = id;
    found->scores[found->count++] = score;
    return true;
}

static bool ask(struct keyword_reader *reader, struct keyword_lists *lists, const char *expression, struct found *ret)
{
    const struct keyword_search search = {.expression = expression,
                                          .lists = lists,
                                          .each = take,
                                          .length_of = length_of,
                                          .usual_length = 100,
                                          .context = ret,
                                          .most = TN_COUNT(ret->ids)};
    ret->count = 0;
    return keyword_search(reader, &search, NULL) == TN_OK;
}

static bool is_same(const struct found *a, const struct found *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++)
        same = a->ids[i] == b->ids[i] && fabs(a->scores[i] - b->scores[i]) <= 1e-12 * fabs(b->scores[i]);
    return same;
}

static void put_question(unsigned number, struct tn_buf *out)
{
    tn_buf_clear(out);
    tn_buf_printf(out, "(\"Engineer%c%c\") OR (\"engineering%c%c\") OR (\"years\"%s)", 'a' + number % 20, 'a',
                  'a' + number * 7 % 20, 'a' + number % 2, number % 5 == 0 ? ") OR (\"engineera\"*" : "");
}

static bool compare(struct ground *ground, struct keyword_reader *reader, unsigned number)
{
    struct found got, want;
    TN_AUTO_BUF expression = {0};
    put_question(number, &expression);
    return ask(reader, ground->lists, expression.data, &got) && ask(reader, NULL, expression.data, &want) &&
           is_same(&got, &want);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static bool at_once(void *context)
{
    (void)context;
    return true;
}

static enum tn_code learn(struct ground *ground, struct keyword_reader *reader, const char *expression,
                          bool (*stopping)(void *context))
{
    const struct keyword_search search = {
        .expression = expression, .lists = ground->lists, .length_of = length_of, .context = ground};
    return keyword_learn(reader, &search, stopping, NULL);
}

/* ---- tests -------------------------------------------------------------------------- */

static bool is_there(struct ground *ground, const char *key)
{
    struct keyword_state state;
    TN_CLEANUP(keyword_list_unref_p) struct keyword_list *list = keyword_lists_find(ground->lists, key, &state);
    return list != NULL;
}

/* A list serves every form of its word, and one that was broken off is not there. */
static void test_learned(void **state)
{
    struct ground ground;
    TN_CLEANUP(keyword_reader_close_p) struct keyword_reader *reader = NULL;
    ground_open(&ground, *state, (size_t)1 << 22);
    put_rows(&ground, 3000, 100);
    assert_ok(keyword_reader_open(ground.path, &reader, &test_err));
    assert_int_equal(learn(&ground, reader, "(\"years\")", at_once), TN_ECANCELLED);
    assert_false(is_there(&ground, " year"));
    assert_int_equal(learn(&ground, reader, "(\"years\")", never), TN_OK);
    assert_int_equal(learn(&ground, reader, "(\"work of\")", NULL), TN_OK);
    assert_true(is_there(&ground, " year"));
    assert_true(is_there(&ground, " work of"));
    assert_false(is_there(&ground, " work"));
    for (unsigned i = 0; i < 40; i++)
        assert_true(compare(&ground, reader, i));
    put_rows(&ground, 1500, 800);
    for (unsigned i = 0; i < 40; i++)
        assert_true(compare(&ground, reader, i));
    ground_close(&ground);
}

static void *ask_on(void *context)
{
    struct ground *ground = context;
    TN_CLEANUP(keyword_reader_close_p) struct keyword_reader *reader = NULL;
    if (keyword_reader_open(ground->path, &reader, NULL) != TN_OK)
        return NULL;
    for (unsigned i = 0; i < 80; i++) {
        pthread_rwlock_rdlock(&ground->still);
        bool right = compare(ground, reader, i);
        pthread_rwlock_unlock(&ground->still);
        atomic_fetch_add(right ? &ground->compared : &ground->wrong, 1);
    }
    return NULL;
}

/* Heeds nobody, and is broken off now and then. */
static void *learn_on(void *context)
{
    struct ground *ground = context;
    TN_CLEANUP(keyword_reader_close_p) struct keyword_reader *reader = NULL;
    TN_AUTO_BUF expression = {0};
    if (keyword_reader_open(ground->path, &reader, NULL) != TN_OK)
        return NULL;
    unsigned i = 0;
    do { /* once at least, however late it begins */
        put_question(i, &expression);
        enum tn_code code = learn(ground, reader, expression.data, i++ % 3 ? never : at_once);
        atomic_fetch_add(code == TN_OK || code == TN_ECANCELLED ? &ground->learned : &ground->wrong, 1);
    } while (!atomic_load(&ground->over));
    return NULL;
}

static void test_side_by_side(void **state)
{
    struct ground ground;
    pthread_t askers[2], learner;
    ground_open(&ground, *state, 90000); /* not all lists have room */
    put_rows(&ground, 2000, 0);
    for (size_t i = 0; i < TN_COUNT(askers); i++)
        assert_int_equal(pthread_create(&askers[i], NULL, ask_on, &ground), 0);
    assert_int_equal(pthread_create(&learner, NULL, learn_on, &ground), 0);
    for (int64_t i = 0; i < 40; i++) {
        pthread_rwlock_wrlock(&ground.still);
        put_rows(&ground, i % 4 ? 5 : 150, i % 3 ? 7 : 0);
        pthread_rwlock_unlock(&ground.still);
        assert_in_range(keyword_lists_bytes(ground.lists), 0, 90000);
    }
    for (size_t i = 0; i < TN_COUNT(askers); i++)
        (void)pthread_join(askers[i], NULL);
    atomic_store(&ground.over, true);
    (void)pthread_join(learner, NULL);
    assert_int_equal(atomic_load(&ground.wrong), 0);
    assert_int_equal(atomic_load(&ground.compared), 160);
    assert_true(atomic_load(&ground.learned) > 0);
    ground_close(&ground);
}

static void test_sample(void **state)
{
    TN_CLEANUP(keyword_sample_free_p) struct keyword_sample *sample = NULL;
    const char *words[8];
    (void)state;
    assert_ok(keyword_sample_new(&sample, &test_err));
    assert_int_equal(keyword_sample_words(sample, 0, TN_COUNT(words), words), 0);
    static const char *const texts[] = {"the years, and the years and Years", "a year of C\xc3\xa9sar's",
                                        "cesar and the engineers \xff", "engineer", "rare"};
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        keyword_sample_add(sample, texts[i], strlen(texts[i]));
    size_t count = keyword_sample_words(sample, 0.4, TN_COUNT(words), words);
    assert_int_equal(count, 3); /* of two texts each: cesar, engineer, year */
    assert_true(tn_streq(words[0], "(\"C\xc3\xa9sar\")") || tn_streq(words[0], "(\"cesar\")"));
    assert_int_equal(keyword_sample_words(sample, 0.4, 2, words), 2);
    assert_int_equal(keyword_sample_words(sample, 0.5, TN_COUNT(words), words), 0);
    TN_AUTO_BUF large = {0};
    while (large.len < 3 * (size_t)KEYWORD_SAMPLE_TEXT)
        tn_buf_puts(&large, "beyond, ");
    tn_buf_puts(&large, "unseen");
    for (int i = 0; i < 40; i++)
        keyword_sample_add(sample, large.data, large.len);
    assert_int_equal(keyword_sample_words(sample, 0.5, TN_COUNT(words), words), 1);
    assert_string_equal(words[0], "(\"beyond\")");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_learned),
        FOLDER_TEST(test_side_by_side),
        cmocka_unit_test(test_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
