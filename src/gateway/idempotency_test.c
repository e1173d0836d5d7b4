#include "gateway/idempotency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

TN_DEFINE_CLEANUP(struct idempotency, idempotency_free)

static void test_repeat(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(idempotency_free_p) struct idempotency *table = idempotency_new();
    struct tn_error err = {0};
    struct idempotency_answer answer = {0};
    struct idempotency_key key = idempotency_key_of("me", "ingest", "k1", "/a?b", "x", 1);
    struct idempotency_key other = idempotency_key_of("me", "ingest", "k1", "/a?c", "x", 1);
    struct idempotency_key stranger = idempotency_key_of("you", "ingest", "k1", "/a?b", "x", 1);
    assert_int_equal(idempotency_begin(table, &key, arena, &answer, &err), TN_OK);
    assert_int_equal(idempotency_begin(table, &key, arena, &answer, &err), TN_ECONFLICT);
    idempotency_end(table, &key, &(struct idempotency_answer){200, "application/json", "\"7\"", "{}", 2});
    assert_int_equal(idempotency_begin(table, &key, arena, &answer, &err), TN_EEXISTS);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "{}");
    assert_string_equal(answer.etag, "\"7\"");
    assert_int_equal(idempotency_begin(table, &other, arena, &answer, &err), TN_EREFUSED);
    assert_int_equal(idempotency_begin(table, &stranger, arena, &answer, &err), TN_OK);
    idempotency_end(table, &stranger, NULL);
    assert_int_equal(idempotency_begin(table, &stranger, arena, &answer, &err), TN_OK);
    idempotency_end(table, &stranger, &(struct idempotency_answer){503, "application/json", "\"7\"", "{}", 2});
    assert_int_equal(idempotency_begin(table, &stranger, arena, &answer, &err), TN_OK);
}

static void test_bounded(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(idempotency_free_p) struct idempotency *table = idempotency_new();
    struct tn_error err = {0};
    struct idempotency_answer answer = {0};
    for (int i = 0; i < IDEMPOTENCY_SLOTS; i++) {
        struct idempotency_key key = idempotency_key_of("me", "r", tn_arena_printf(arena, "%d", i), "/", NULL, 0);
        assert_int_equal(idempotency_begin(table, &key, arena, &answer, &err), TN_OK);
    }
    struct idempotency_key first = idempotency_key_of("me", "r", "0", "/", NULL, 0);
    struct idempotency_key more = idempotency_key_of("me", "r", "more", "/", NULL, 0);
    assert_int_equal(idempotency_begin(table, &more, arena, &answer, &err), TN_EBUSY);
    idempotency_end(table, &first, &(struct idempotency_answer){200, "application/json", "\"7\"", "", 0});
    assert_int_equal(idempotency_begin(table, &more, arena, &answer, &err), TN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_repeat), cmocka_unit_test(test_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
