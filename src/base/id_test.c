/* UUIDs, tokens, randomness. */
#include "base/test_support.h"

#include <string.h>

static void assert_uuid(const char *text, char version)
{
    assert_int_equal(strlen(text), 36);
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        assert_true(dash ? text[i] == '-' : strchr("0123456789abcdef", text[i]) != NULL);
    }
    assert_int_equal(text[14], version);
    assert_non_null(strchr("89ab", text[19]));
}

static void version_seven_sorts(void **state)
{
    (void)state;
    char last[TN_UUID_TEXT] = "";
    char now[TN_UUID_TEXT];
    int64_t before = tn_now_ms();
    /* More than one millisecond's 4096, so that the count runs over. */
    for (int i = 0; i < 20000; i++) {
        assert_uuid(tn_uuid7(now), '7');
        if (strcmp(last, now) >= 0)
            fail_msg("%s then %s", last, now);
        memcpy(last, now, sizeof last);
    }
    char head[13];
    memcpy(head, now, 8);
    memcpy(head + 8, now + 9, 4);
    head[12] = '\0';
    int64_t stamp = (int64_t)strtoll(head, NULL, 16);
    assert_true(stamp >= before && stamp <= tn_now_ms() + 20000 / 4096 + 1);
}

enum { PER_TASK = 5000 };
struct many {
    char ids[PER_TASK][TN_UUID_TEXT];
};

static void make_many(void *argument)
{
    struct many *many = argument;
    for (int i = 0; i < PER_TASK; i++)
        tn_uuid7(many->ids[i]);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void version_seven_across_threads(void **state)
{
    (void)state;
    struct tn_pool *pool = NULL;
    assert_ok(tn_pool_new(4, &pool, &test_err));
    TN_AUTO_FREE struct many *all = tn_calloc(4, sizeof *all);
    for (int i = 0; i < 4; i++)
        tn_pool_submit(pool, TN_FOREGROUND, make_many, &all[i]);
    tn_pool_free(pool);
    char(*ids)[TN_UUID_TEXT] = all[0].ids;
    /* Without its random part, which would hide a repeated tick. */
    for (size_t i = 0; i < 4 * PER_TASK; i++)
        ids[i][18] = '\0';
    qsort(ids, (size_t)4 * PER_TASK, TN_UUID_TEXT, by_text);
    for (size_t i = 1; i < 4 * PER_TASK; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

static void version_four(void **state)
{
    (void)state;
    char a[TN_UUID_TEXT], b[TN_UUID_TEXT];
    assert_uuid(tn_uuid4(a), '4');
    assert_uuid(tn_uuid4(b), '4');
    assert_string_not_equal(a, b);
}

static void random_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(tn_random_i63() > 0);
    assert_true(tn_random_u64() != tn_random_u64());
    unsigned char bytes[64] = {0}, zero[64] = {0};
    tn_random_bytes(bytes, sizeof bytes);
    assert_memory_not_equal(bytes, zero, sizeof bytes);
}

static void tokens(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= 40; bytes++) {
        char out[4 * 14 + 1];
        assert_ptr_equal(tn_random_token(bytes, out), out);
        assert_int_equal(strlen(out), (bytes * 8 + 5) / 6);
        for (const char *p = out; *p; p++)
            assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", *p));
    }
    assert_true(tn_secret_equal("", "") && tn_secret_equal("abc", "abc"));
    assert_false(tn_secret_equal("abc", "abd") || tn_secret_equal("abc", "ab") || tn_secret_equal("", "a"));
}

static int init(void **state)
{
    (void)state;
    assert_ok(tn_random_init(&test_err));
    assert_ok(tn_random_init(&test_err));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_seven_sorts),
        cmocka_unit_test(version_seven_across_threads),
        cmocka_unit_test(version_four),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(tokens),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
