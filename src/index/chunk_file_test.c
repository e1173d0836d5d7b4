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
    assert_ok(chunk_file_open(*state, 0, &file, &test_err));
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
    chunk_file_remove(file, 0);
    put(file, 1, "c", "another");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    assert_int_equal(chunk_file_get(file, 0, &got, NULL), TN_ENOTFOUND);
    expect(file, 1, "c", "another");
}

static void test_what_was_not_remembered_is_cut(void **state)
{
    uint64_t length, more;
    struct chunk_record got;
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL;
    assert_ok(chunk_file_open(*state, 0, &file, &test_err));
    put(file, 0, "a", "kept");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    put(file, 1, "a", "not remembered");
    chunk_file_remove(file, 0);
    assert_ok(chunk_file_flush(file, &more, &test_err));
    assert_true(more > length);
    chunk_file_close(TN_TAKE(file));
    assert_ok(chunk_file_open(*state, length, &file, &test_err));
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
    assert_ok(chunk_file_open(*state, 0, &file, &test_err));
    for (int64_t id = 0; id < 1000; id++)
        put(file, id, "doc", "some text");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    chunk_file_close(TN_TAKE(file));
    assert_int_equal(unlink(map), 0);
    assert_ok(chunk_file_open(*state, length, &file, &test_err));
    expect(file, 999, "doc", "some text");
}

static void test_damage_is_found(void **state)
{
    uint64_t length;
    struct chunk_record got;
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = NULL;
    TN_AUTO_FREE char *log = tn_asprintf("%s/chunks.log", (char *)*state);
    assert_ok(chunk_file_open(*state, 0, &file, &test_err));
    put(file, 0, "a", "a text that will be damaged");
    assert_ok(chunk_file_flush(file, &length, &test_err));
    int fd = open(log, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, (off_t)length - 10), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(chunk_file_get(file, 0, &got, NULL), TN_ECORRUPT);
    chunk_file_close(TN_TAKE(file));
    assert_int_equal(chunk_file_open(*state, length + 8, &file, NULL), TN_ECORRUPT);
    assert_ok(chunk_file_open(*state, CHUNK_FILE_WHOLE, &file, &test_err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_texts_come_back),
        FOLDER_TEST(test_what_was_not_remembered_is_cut),
        FOLDER_TEST(test_the_map_is_made_again),
        FOLDER_TEST(test_damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
