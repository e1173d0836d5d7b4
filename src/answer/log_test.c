#include "answer/log.h"
#include "base/test_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEEP = 64 << 20 };

static char *first_segment(const char *folder)
{
    return tn_asprintf("%s/0000000000000001.log", folder);
}

static void put(struct answer_log *log, const char *id, const char *text)
{
    struct tn_error err = {0};
    assert_int_equal(answer_log_append(log, 'a', id, text, strlen(text), &err), TN_OK);
}

static void check_answer(struct answer_log *log, const char *id, const char *text, int feedback)
{
    TN_AUTO_BUF found = {0};
    int said = 9;
    struct tn_error err = {0};
    assert_int_equal(answer_log_get(log, id, &found, &said, &err), TN_OK);
    assert_string_equal(found.data, text);
    assert_int_equal(said, feedback);
}

static void check_gone(struct answer_log *log, const char *id, enum tn_code code)
{
    TN_AUTO_BUF found = {0};
    int said = 0;
    assert_int_equal(answer_log_get(log, id, &found, &said, NULL), code);
    assert_int_equal(found.len, 0);
}

static void test_what_was_appended_is_read(void **state)
{
    const char *folder = *state;
    char a[TN_UUID_TEXT], b[TN_UUID_TEXT], ids[4][TN_UUID_TEXT];
    size_t count = 0;
    bool more = true;
    TN_CLEANUP(answer_log_free_p) struct answer_log *log = answer_log_new(folder, KEEP);
    check_gone(log, tn_uuid7(a), TN_ENOTFOUND); /* nothing was ever written */
    put(log, a, "{\"one\":1}\n");
    put(log, tn_uuid7(b), "{\"two\":2}\n");
    assert_int_equal(answer_log_append(log, 'g', a, "{}\n", 3, NULL), TN_OK);
    for (int i = 0; i < 2; i++) { /* before and after a restart */
        check_answer(log, a, "{\"one\":1}\n", 1);
        check_answer(log, b, "{\"two\":2}\n", 0);
        assert_int_equal(answer_log_ids(log, NULL, 1, ids, &count, &more, NULL), TN_OK);
        assert_int_equal(count, 1);
        assert_true(more);
        assert_string_equal(ids[0], b);
        assert_int_equal(answer_log_ids(log, b, 4, ids, &count, &more, NULL), TN_OK);
        assert_int_equal(count, 1);
        assert_false(more);
        assert_string_equal(ids[0], a);
        assert_int_equal(answer_log_ids(log, "nothing", 4, ids, &count, &more, NULL), TN_EREQUEST);
        answer_log_free(log);
        log = answer_log_new(folder, KEEP);
    }
}

static void copy_cut(const char *from, const char *to, size_t length)
{
    TN_AUTO_BUF bytes = {0};
    assert_int_equal(tn_file_read(from, 1 << 20, &bytes, NULL), TN_OK);
    assert_true(length <= bytes.len);
    assert_int_equal(tn_file_replace(to, bytes.data, length, 0600, NULL), TN_OK);
}

/* A crash while the last frame was written, at each of its bytes. */
static void test_a_torn_end_is_cut_off(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *whole = tn_path_join(arena, *state, "whole"), *torn = tn_path_join(arena, *state, "torn");
    assert_ok(tn_mkdirs(torn, 0700, &test_err));
    TN_AUTO_FREE char *from = first_segment(whole), *to = first_segment(torn);
    char a[TN_UUID_TEXT], b[TN_UUID_TEXT], c[TN_UUID_TEXT];
    struct stat before, after;
    TN_CLEANUP(answer_log_free_p) struct answer_log *log = answer_log_new(whole, KEEP);
    put(log, tn_uuid7(a), "{\"a\":1}\n");
    assert_int_equal(stat(from, &before), 0);
    put(log, tn_uuid7(b), "{\"b\":1}\n");
    assert_int_equal(stat(from, &after), 0);
    (void)tn_uuid7(c);
    for (off_t length = before.st_size; length < after.st_size; length++) {
        copy_cut(from, to, (size_t)length);
        TN_CLEANUP(answer_log_free_p) struct answer_log *again = answer_log_new(torn, KEEP);
        check_answer(again, a, "{\"a\":1}\n", 0);
        check_gone(again, b, TN_ENOTFOUND);
        put(again, c, "{\"c\":1}\n"); /* goes where the torn one was */
        check_answer(again, c, "{\"c\":1}\n", 0);
        struct stat now;
        assert_int_equal(stat(to, &now), 0);
        assert_int_equal(now.st_size, after.st_size);
    }
}

static void flip(const char *path, off_t at)
{
    char byte;
    TN_AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* One bit anywhere in one answer costs that answer alone. */
static void test_damage_costs_one_answer(void **state)
{
    const char *folder = *state;
    TN_AUTO_FREE char *path = first_segment(folder);
    char a[TN_UUID_TEXT], b[TN_UUID_TEXT], c[TN_UUID_TEXT];
    struct stat first, second;
    struct answer_log *log = answer_log_new(folder, KEEP);
    put(log, tn_uuid7(a), "{\"a\":1}\n");
    assert_int_equal(stat(path, &first), 0);
    put(log, tn_uuid7(b), "{\"b\":1}\n");
    assert_int_equal(stat(path, &second), 0);
    put(log, tn_uuid7(c), "{\"c\":1}\n");
    answer_log_free(log);
    for (off_t at = first.st_size; at < second.st_size; at++) {
        flip(path, at);
        log = answer_log_new(folder, KEEP);
        check_answer(log, a, "{\"a\":1}\n", 0);
        check_answer(log, c, "{\"c\":1}\n", 0);
        check_gone(log, b, TN_ENOTFOUND);
        answer_log_free(log);
        flip(path, at);
    }
    log = answer_log_new(folder, KEEP);
    check_answer(log, b, "{\"b\":1}\n", 0);
    flip(path, second.st_size - 2); /* under an open log: found when it is read */
    check_gone(log, b, TN_ECORRUPT);
    answer_log_free(log);
}

static void test_the_oldest_go(void **state)
{
    enum { ANSWERS = 400, SMALL = 512 << 10 };
    const char *folder = *state;
    char first[TN_UUID_TEXT], last[TN_UUID_TEXT];
    TN_AUTO_BUF text = {0};
    uint64_t bytes = 0;
    while (text.len < 4000)
        tn_buf_puts(&text, "0123456789");
    tn_buf_putc(&text, '\n');
    TN_CLEANUP(answer_log_free_p) struct answer_log *log = answer_log_new(folder, SMALL);
    for (int i = 0; i < ANSWERS; i++)
        put(log, tn_uuid7(i == 0 ? first : last), text.data);
    check_gone(log, first, TN_ENOTFOUND);
    check_answer(log, last, text.data, 0);
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        struct stat info;
        if (entry->d_name[0] != '.' && fstatat(dirfd(stream), entry->d_name, &info, 0) == 0)
            bytes += (uint64_t)info.st_size;
    }
    (void)closedir(stream);
    assert_in_range(bytes, SMALL / 2, SMALL + SMALL / 4);
}

struct appending {
    struct answer_log *log;
    char ids[50][TN_UUID_TEXT];
};

static void *append_many(void *context)
{
    struct appending *appending = context;
    for (size_t i = 0; i < TN_COUNT(appending->ids); i++)
        if (answer_log_append(appending->log, 'a', tn_uuid7(appending->ids[i]), "{}\n", 3, NULL) != TN_OK)
            appending->ids[i][0] = '\0';
    return NULL;
}

static void test_many_at_once(void **state)
{
    enum { THREADS = 8 };
    const char *folder = *state;
    pthread_t threads[THREADS];
    struct appending work[THREADS] = {0};
    struct answer_log *log = answer_log_new(folder, KEEP);
    for (size_t i = 0; i < THREADS; i++) {
        work[i].log = log;
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, &work[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    answer_log_free(log);
    TN_CLEANUP(answer_log_free_p) struct answer_log *again = answer_log_new(folder, KEEP);
    for (size_t i = 0; i < THREADS; i++)
        for (size_t j = 0; j < TN_COUNT(work[i].ids); j++)
            check_answer(again, work[i].ids[j], "{}\n", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_what_was_appended_is_read),
        FOLDER_TEST(test_a_torn_end_is_cut_off),
        FOLDER_TEST(test_damage_costs_one_answer),
        FOLDER_TEST(test_the_oldest_go),
        FOLDER_TEST(test_many_at_once),
    };
    if (tn_random_init(NULL) != TN_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
