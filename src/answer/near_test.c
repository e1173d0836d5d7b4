/* A sentence's vector is found again: the same one, under its model's version, while there is room. */
#include "answer/answer_internal.h"

#include "base/test_support.h"

static struct near_key key_of(const char *version, const char *text)
{
    return near_key_of(version, text, strlen(text));
}

static void test_what_was_put_is_got(void **state)
{
    TN_CLEANUP(near_cache_free_p) struct near_cache *cache = near_cache_new();
    const float one[3] = {1, 2, 3}, other[3] = {4, 5, 6};
    float got[3] = {0};
    struct near_key a = key_of("v1", "A sentence."), b = key_of("v2", "A sentence."), c = key_of("v1", "Another.");
    (void)state;
    assert_false(near_cache_get(cache, &a, 3, got));
    near_cache_put(cache, &a, 3, one);
    assert_true(near_cache_get(cache, &a, 3, got));
    assert_memory_equal(got, one, sizeof one);
    assert_false(near_cache_get(cache, &a, 2, got));
    assert_false(near_cache_get(cache, &b, 3, got));
    assert_false(near_cache_get(cache, &c, 3, got));
    near_cache_put(cache, &a, 3, other);
    assert_true(near_cache_get(cache, &a, 3, got));
    assert_memory_equal(got, other, sizeof other);
}

/* Of more than there is room for, what was used last stays. */
static void test_room_is_bounded(void **state)
{
    TN_CLEANUP(near_cache_free_p) struct near_cache *cache = near_cache_new();
    const struct near_key kept = key_of("v", "kept");
    const float vector = 7;
    size_t there = 0;
    float got = 0;
    (void)state;
    near_cache_put(cache, &kept, 1, &vector);
    for (int i = 0; i < 20000; i++) {
        TN_AUTO_FREE char *text = tn_asprintf("sentence %d", i);
        float number = (float)i;
        struct near_key key = key_of("v", text);
        near_cache_put(cache, &key, 1, &number);
        assert_true(near_cache_get(cache, &key, 1, &got));
        assert_true(got == number);
        assert_true(near_cache_get(cache, &kept, 1, &got));
    }
    for (int i = 0; i < 20000; i++) {
        TN_AUTO_FREE char *text = tn_asprintf("sentence %d", i);
        struct near_key key = key_of("v", text);
        there += near_cache_get(cache, &key, 1, &got);
    }
    assert_in_range(there, 1000, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_put_is_got),
        cmocka_unit_test(test_room_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
