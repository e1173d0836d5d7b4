/* Words that look alike are one word; Chinese, Japanese and Korean by twos. */
#include "index/keyword.h"
#include "index/keyword_tokens.h"

#include "base/test_support.h"

struct words {
    sqlite3 *db;
    struct keyword_tokens *tokens;
    struct tn_buf out;
    const char *text;
    size_t before; /* where the last one began */
};

static int note(void *context, const char *token, size_t length, size_t begin, size_t end)
{
    struct words *words = context;
    assert_true(begin <= end && end <= strlen(words->text) && begin >= words->before);
    words->before = begin;
    tn_buf_puts(&words->out, words->out.len ? " " : "");
    tn_buf_append(&words->out, token, length);
    return SQLITE_OK;
}

static const char *cut(struct words *words, const char *text)
{
    tn_buf_clear(&words->out);
    tn_buf_puts(&words->out, "");
    words->text = text;
    words->before = 0;
    assert_int_equal(keyword_tokens_each(words->tokens, text, strlen(text), note, words), SQLITE_OK);
    return words->out.len ? words->out.data : "";
}

static void gives(struct words *words, const char *text, const char *tokens)
{
    assert_string_equal(cut(words, text), tokens);
}

static void same(struct words *words, const char *a, const char *b)
{
    TN_AUTO_FREE char *first = tn_strdup(cut(words, a));
    assert_true(*first != '\0');
    assert_string_equal(cut(words, b), first);
}

static int set_up(void **state)
{
    struct words *words = tn_calloc(1, sizeof *words);
    assert_int_equal(sqlite3_open(":memory:", &words->db), SQLITE_OK);
    assert_int_equal(keyword_fold_register(words->db), SQLITE_OK);
    assert_int_equal(keyword_tokens_open(words->db, &words->tokens), SQLITE_OK);
    *state = words;
    return 0;
}

static int tear_down(void **state)
{
    struct words *words = *state;
    keyword_tokens_close(words->tokens);
    (void)sqlite3_close(words->db);
    tn_buf_release(&words->out);
    free(words);
    return 0;
}

static void test_forms(void **state)
{
    same(*state, "ABC 123", "ＡＢＣ　１２３");
    same(*state, "file office", "ﬁle oﬃce");
    same(*state, "Caf\xC3\xA9", "Cafe\xCC\x81");
    same(*state, "cafe", "CAF\xC3\x89");
    same(*state,
         "Stra\xC3\x9F"
         "e",
         "STRASSE");
    same(*state, "Kubernetes", "Kuber\xC2\xADnetes");
    same(*state, "m2 CO2", "m² CO₂");
    same(*state, "Σίσυφος", "ΣΊΣΥΦΟΣ");
    same(*state, "ガイド", "ｶﾞｲﾄﾞ");
    same(*state, "가", "\xE1\x84\x80\xE1\x85\xA1");
    same(*state, "IV", "Ⅳ");
}

/* What was cut before is cut as before. */
static void test_the_rest_as_it_was(void **state)
{
    gives(*state, "The engineers' Java\xE2\x84\xA2 \xE2\x80\x9Cquoted\xE2\x80\x9D \xE2\x80\x93 10 \xE2\x82\xAC",
          "the engin java quot 10");
    gives(*state, "na\xC3\xAFve r\xC3\xA9sum\xC3\xA9s", "naiv resum");
    gives(*state, "Привет мир", "привет мир");
    gives(*state, "", "");
    gives(*state, "bad \xFF\xC3 bytes", "bad byte");
}

static void test_pairs(void **state)
{
    gives(*state, "東京都", "東京 東 京都 京 都");
    gives(*state, "猫", "猫");
    gives(*state, "Java開発、3D", "java 開発 開 発 3d");
    gives(*state, "한국어", "한국 한 국어 국 어");
    gives(*state, "データ", "デー デ ータ ー タ");
}

static void asks(const char *text, const char *want)
{
    TN_AUTO_BUF got = {0};
    assert_true(keyword_query(text, strlen(text), &got));
    assert_string_equal(got.data, want);
}

static void test_questions(void **state)
{
    (void)state;
    asks("東京都の天気", "(\"東京\") OR (\"京都\") OR (\"都の\") OR (\"の天\") OR (\"天気\")");
    asks("猫です", "(\"猫で\")");
    asks("ありがとう", "(\"あり\") OR (\"りが\") OR (\"がと\") OR (\"とう\")");
    asks("Javaの開発 java", "(\"Java\") OR (\"の開\") OR (\"開発\") OR (\"java\")");
    asks("「猫」　犬", "(\"猫\") OR (\"犬\")");
    asks("\"東京都\" AND 天気", "(\"東京都\" AND \"天気\")");
    asks("天気 NOT 東京都", "((\"天気\")) NOT (\"東京都\")");
    asks("東京*", "(\"東京\"*)");
}

/* ---- in a file ------------------------------------------------------------------------- */

static const char *const texts[] = {"東京都の天気は晴れです", "京都の寺", "ＡＢＣ ﬁle Cafe\xCC\x81",
                                    "서울에서 한국어를", "plain words"};

static enum tn_code text_of(void *context, int64_t id, struct tn_buf *ret, struct tn_error *err)
{
    (void)err;
    (*(int *)context)++;
    tn_buf_puts(ret, texts[id - 1]);
    return TN_OK;
}

static bool add_up(void *context, int64_t id, double score)
{
    assert_true(score > 0);
    *(int64_t *)context = *(int64_t *)context * 10 + id;
    return true;
}

/* The ids of the hits as digits, the best first. */
static int64_t hits(const char *path, const char *text)
{
    TN_CLEANUP(keyword_reader_close_p) struct keyword_reader *reader = NULL;
    TN_AUTO_BUF expression = {0};
    int64_t ids = 0;
    assert_ok(keyword_reader_open(path, &reader, &test_err));
    assert_true(keyword_query(text, strlen(text), &expression));
    TN_CLEANUP(keyword_lists_free_p) struct keyword_lists *lists = keyword_lists_new(1 << 20);
    struct keyword_search what = {.expression = expression.data, .each = add_up, .context = &ids};
    assert_ok(keyword_search(reader, &what, &test_err));
    int64_t listed = ids;
    ids = 0;
    what.lists = lists;
    assert_ok(keyword_search(reader, &what, &test_err));
    assert_int_equal(ids, listed);
    return ids;
}

static void expect_hits(const char *path)
{
    assert_int_equal(hits(path, "東京都の天気"), 12);
    assert_int_equal(hits(path, "\"東京都\""), 1);
    assert_int_equal(hits(path, "寺"), 2);
    assert_int_equal(hits(path, "晴"), 1);
    assert_int_equal(hits(path, "한국어"), 4);
    assert_int_equal(hits(path, "abc"), 3);
    assert_int_equal(hits(path, "file"), 3);
    assert_int_equal(hits(path, "CAF\xC3\x89"), 3);
    assert_int_equal(hits(path, "ｆｉｌｅ"), 3);
    assert_int_equal(hits(path, "words"), 5);
    assert_int_equal(hits(path, "東京 AND 天気"), 1);
    assert_int_equal(hits(path, "京都 NOT 天気"), 2);
}

/* As a file of an earlier version is: the same tables, another cut. */
static void make_old(const char *path)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(keyword_fold_register(db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TABLE words; CREATE VIRTUAL TABLE words USING fts5(text, content='',"
                                  " tokenize='porter unicode61 remove_diacritics 2');",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_in_a_file_and_again(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/words.db", (char *)*state);
    TN_CLEANUP(keyword_writer_close_p) struct keyword_writer *writer = NULL;
    int asked = 0;
    assert_ok(keyword_writer_open(path, true, &writer, &test_err));
    assert_ok(keyword_begin(writer, &test_err));
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        struct keyword_chunk chunk = {.id = (int64_t)i + 1, .doc_id = "d", .column = "body"};
        assert_ok(keyword_add(writer, &chunk, texts[i], strlen(texts[i]), &test_err));
    }
    assert_ok(keyword_commit(writer, &test_err));
    assert_ok(keyword_cut_again(writer, text_of, &asked, &test_err));
    assert_int_equal(asked, 0); /* it is of this version */
    expect_hits(path);
    keyword_writer_close(TN_TAKE(writer));
    make_old(path);
    assert_ok(keyword_writer_open(path, false, &writer, &test_err));
    assert_ok(keyword_cut_again(writer, text_of, &asked, &test_err));
    assert_int_equal(asked, TN_COUNT(texts));
    assert_ok(keyword_cut_again(writer, text_of, &asked, &test_err));
    assert_int_equal(asked, TN_COUNT(texts));
    expect_hits(path);
    assert_ok(keyword_begin(writer, &test_err));
    assert_ok(keyword_remove(writer, 2, texts[1], strlen(texts[1]), &test_err));
    assert_ok(keyword_commit(writer, &test_err));
    assert_int_equal(hits(path, "京都"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_rest_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pairs, set_up, tear_down),
        cmocka_unit_test(test_questions),
        FOLDER_TEST(test_in_a_file_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
