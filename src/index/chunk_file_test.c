/* Chunk texts come back by number, after a crash too. */
#include "index/chunk_file.h"

#include "base/test_support.h"

#include <fcntl.h>
#include <unistd.h>

static void put(struct chunk_file *file, int64_t id, const char *doc, const char *text)
{
    const struct chunk_record record = {.id = id,
                                        .number = (uint32_t)id + 1,
                                        .begin = 5,
                                        .end = 5 + strlen(text),
                                        .doc_id = doc,
                                        .doc_id_length = strlen(doc),
                                        .column = "body",
                                        .column_length = 4,
                                        .text = text,
                                        .text_length = strlen(text)};
    assert_ok(chunk_file_put(file, &record, &test_err));
}

static void expect(struct chunk_file *file, int64_t id, const char *doc, const char *text)
{
    struct chunk_record got;
    assert_ok(chunk_file_get(file, id, &got, &test_err));
    assert_int_equal(got.id, id);
    assert_int_equal(got.number, id + 1);
    assert_int_equal(got.text_length, strlen(text));
    assert_memory_equal(got.text, text, got.text_length);
    assert_int_equal(got.doc_id_length, strlen(doc));
    assert_memory_equal(got.doc_id, doc, got.doc_id_length);
    assert_memory_equal(got.column, "body", 4);
}

static void test_texts_come_back(void **state)
{
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL;
    uint64_t length;
    struct chunk_record got;
    assert_ok(chunk_file_open(*state, 0, 0, &file, &test_err));
    put(file, 0, "a", "first");
    put(file, 1, "a", "");
    put(file, 700, "b", "far away");
    assert_int_equal(chunk_file_get(file, 0, &got, NULL), TN_ENOTFOUND);
    assert_ok(chunk_file_flush(file, &length, &test_err));
    expect(file, 0, "a", "first");
    expect(file, 1, "a", "");
    expect(file, 700, "b", "far away");
    assert_int_equal(chunk_file_limit(file), 701);
    assert_int_equal(chunk_file_get(file, 2, &got, NULL), TN_ENOTFOUND);
    assert_int_equal(chunk_file_get(file, 701, &got, NULL), TN_ENOTFOUND);
    assert_int_equal(chunk_file_get(file, -1, &got, NULL), TN_ENOTFOUND);
    assert_false(chunk_file_has(file, 2) || chunk_file_has(file, 701) || chunk_file_has(file, -1));
    assert_true(chunk_file_has(file, 0) && chunk_file_has(file, 1)); /* one without a text too */
    chunk_file_remove(file, 0);
    put(file, 1, "c", "another");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    assert_int_equal(chunk_file_get(file, 0, &got, NULL), TN_ENOTFOUND);
    assert_false(chunk_file_has(file, 0));
    expect(file, 1, "c", "another");
}

static void test_what_was_not_remembered_is_cut(void **state)
{
    uint64_t length, more;
    struct chunk_record got;
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL;
    assert_ok(chunk_file_open(*state, 0, 0, &file, &test_err));
    put(file, 0, "a", "kept");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    put(file, 1, "a", "not remembered");
    chunk_file_remove(file, 0);
    assert_ok(chunk_file_flush(file, &more, &test_err));
    assert_true(more > length);
    chunk_file_close(TN_TAKE(file));
    assert_ok(chunk_file_open(*state, 0, length, &file, &test_err));
    expect(file, 0, "a", "kept");
    assert_int_equal(chunk_file_get(file, 1, &got, NULL), TN_ENOTFOUND);
    put(file, 1, "b", "instead");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    expect(file, 1, "b", "instead");
}

static void test_the_map_is_made_again(void **state)
{
    uint64_t length;
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL;
    TN_AUTO_FREE char *map = tn_asprintf("%s/chunks.map", (char *)*state);
    assert_ok(chunk_file_open(*state, 0, 0, &file, &test_err));
    for (int64_t id = 0; id < 1000; id++)
        put(file, id, "doc", "some text");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    chunk_file_close(TN_TAKE(file));
    assert_int_equal(unlink(map), 0);
    assert_ok(chunk_file_open(*state, 0, length, &file, &test_err));
    expect(file, 999, "doc", "some text");
}

static void test_damage_is_found(void **state)
{
    uint64_t length;
    struct chunk_record got;
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL;
    TN_AUTO_FREE char *log = tn_asprintf("%s/chunks.log", (char *)*state);
    assert_ok(chunk_file_open(*state, 0, 0, &file, &test_err));
    put(file, 0, "a", "a text that will be damaged");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    int fd = open(log, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, (off_t)length - 10), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(chunk_file_get(file, 0, &got, NULL), TN_ECORRUPT);
    chunk_file_close(TN_TAKE(file));
    assert_int_equal(chunk_file_open(*state, 0, length + 8, &file, NULL), TN_ECORRUPT);
    assert_ok(chunk_file_open(*state, 0, CHUNK_FILE_WHOLE, &file, &test_err));
}

static bool is_there(const char *folder, const char *name)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* Texts of 1000 bytes in numbers 0 to 99, the last ones of so many rounds. */
static void put_rounds(struct chunk_file *file, int64_t first, int64_t rounds, uint64_t *ret_length)
{
    char text[1001];
    for (int64_t round = 0; round < rounds; round++) {
        for (int64_t i = 0; i < 100; i++) {
            memset(text, (int)('a' + (i + round) % 26), sizeof text - 1);
            text[sizeof text - 1] = '\0';
            if (round > 0)
                chunk_file_remove(file, first + (round - 1) * 100 + i);
            put(file, first + round * 100 + i, "doc", text);
        }
        assert_ok(chunk_file_flush(file, ret_length, &test_err));
    }
}

static void expect_last_round(struct chunk_file *file, int64_t first, int64_t rounds)
{
    char text[1001];
    for (int64_t i = 0; i < 100; i++) {
        memset(text, (int)('a' + (i + rounds - 1) % 26), sizeof text - 1);
        text[sizeof text - 1] = '\0';
        expect(file, first + (rounds - 1) * 100 + i, "doc", text);
        assert_int_equal(chunk_file_get(file, first + (rounds - 2) * 100 + i, &(struct chunk_record){0}, NULL),
                         TN_ENOTFOUND);
    }
}

static void test_the_next_pair_has_what_is_there(void **state)
{
    uint64_t length, next_length;
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL, *next = NULL;
    assert_ok(chunk_file_open(*state, 0, 0, &file, &test_err));
    put_rounds(file, 0, 10, &length);
    assert_false(chunk_file_fold_is_due(file)); /* of a million bytes less than the spare are gone */
    put_rounds(file, 1000, 2, &length);
    put_rounds(file, 2000, 8, &length);
    assert_true(chunk_file_fold_is_due(file));
    assert_ok(chunk_file_fold(file, *state, 7, NULL, NULL, &next, &next_length, &test_err));
    assert_true(next_length < length / 5);
    assert_false(chunk_file_fold_is_due(next));
    chunk_file_close(TN_TAKE(next));
    chunk_file_close(TN_TAKE(file));

    assert_ok(chunk_file_open(*state, 7, next_length, &next, &test_err));
    assert_ok(chunk_file_sweep(*state, 7, &test_err));
    assert_false(is_there(*state, "chunks.log") || is_there(*state, "chunks.map"));
    assert_true(is_there(*state, "chunks-7.log") && is_there(*state, "chunks-7.map"));
    expect_last_round(next, 0, 10);
    expect_last_round(next, 1000, 2);
    expect_last_round(next, 2000, 8);
    put(next, 5000, "new", "and it goes on");
    assert_ok(chunk_file_flush(next, &length, &test_err));
    expect(next, 5000, "new", "and it goes on");
}

static bool stops(void *context)
{
    (void)context;
    return true;
}

static void test_a_fold_that_is_stopped_leaves_the_pair(void **state)
{
    uint64_t length;
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL, *next = NULL;
    TN_AUTO_FREE char *text = tn_malloc(3000001);
    memset(text, 'x', 3000000);
    text[3000000] = '\0';
    assert_ok(chunk_file_open(*state, 0, 0, &file, &test_err));
    put(file, 0, "a", text);
    put(file, 1, "b", "short");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    uint64_t next_length = 17;
    assert_int_equal(chunk_file_fold(file, *state, 1, stops, NULL, &next, &next_length, NULL), TN_ECANCELLED);
    assert_true(next == NULL && next_length == 17);
    assert_true(is_there(*state, "chunks-1.log"));
    assert_ok(chunk_file_sweep(*state, 0, &test_err));
    assert_false(is_there(*state, "chunks-1.log") || is_there(*state, "chunks-1.map"));
    expect(file, 1, "b", "short");
    /* What such a one left is begun anew. */
    assert_int_equal(chunk_file_fold(file, *state, 1, stops, NULL, &next, &next_length, NULL), TN_ECANCELLED);
    assert_ok(chunk_file_fold(file, *state, 1, NULL, NULL, &next, &next_length, &test_err));
    expect(next, 0, "a", text);
    expect(next, 1, "b", "short");
}

/* A map of before says nothing of what is there; one that was lost does not either. */
static void test_what_is_there_is_counted(void **state)
{
    uint64_t length;
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL;
    TN_AUTO_FREE char *map = tn_asprintf("%s/chunks.map", (char *)*state);
    assert_ok(chunk_file_open(*state, 0, 0, &file, &test_err));
    put_rounds(file, 0, 20, &length);
    assert_true(chunk_file_fold_is_due(file));
    chunk_file_close(TN_TAKE(file));
    assert_ok(chunk_file_open(*state, 0, length, &file, &test_err));
    assert_true(chunk_file_fold_is_due(file));
    chunk_file_close(TN_TAKE(file));

    unsigned char head[64];
    int fd = open(map, O_RDWR);
    assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
    memset(head + 16, 0, 8);
    uint32_t crc = tn_crc32c(0, head, 60);
    memcpy(head + 60, &crc, sizeof crc);
    assert_int_equal(pwrite(fd, head, sizeof head, 0), sizeof head);
    assert_int_equal(close(fd), 0);
    assert_ok(chunk_file_open(*state, 0, length, &file, &test_err));
    assert_true(chunk_file_fold_is_due(file));
    chunk_file_close(TN_TAKE(file));

    assert_int_equal(unlink(map), 0);
    assert_ok(chunk_file_open(*state, 0, length, &file, &test_err));
    assert_true(chunk_file_fold_is_due(file));
    expect_last_round(file, 0, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_texts_come_back),
        FOLDER_TEST(test_what_was_not_remembered_is_cut),
        FOLDER_TEST(test_the_map_is_made_again),
        FOLDER_TEST(test_damage_is_found),
        FOLDER_TEST(test_the_next_pair_has_what_is_there),
        FOLDER_TEST(test_a_fold_that_is_stopped_leaves_the_pair),
        FOLDER_TEST(test_what_is_there_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
