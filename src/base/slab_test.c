/* Things of all sizes that come and go: each is whole, none lies in another. */
#include "base/hash.h"
#include "base/slab.h"
#include "base/test_support.h"

#include <string.h>

static size_t dice(size_t throw, size_t below)
{
    return (size_t)(tn_hash64(&throw, sizeof throw, 7) % below);
}

static void random_things_keep_what_they_hold(void **state)
{
    (void)state;
    enum { THINGS = 500, STEPS = 100000 };
    struct thing {
        unsigned char *bytes;
        size_t size;
        unsigned char mark;
    } things[THINGS] = {0};
    TN_CLEANUP(tn_slab_free_p) struct tn_slab *slab = tn_slab_new();
    for (size_t step = 0; step < STEPS; step++) {
        struct thing *thing = &things[dice(2 * step, THINGS)];
        for (size_t i = 0; thing->bytes && i < thing->size; i++)
            assert_int_equal(thing->bytes[i], thing->mark);
        if (thing->bytes)
            tn_slab_give(slab, thing->bytes, thing->size);
        *thing = (struct thing){.size = dice(2 * step + 1, step % 100 ? 200 : 5000), .mark = (unsigned char)step};
        thing->bytes = tn_slab_take(slab, thing->size);
        assert_int_equal((uintptr_t)thing->bytes % 16, 0);
        memset(thing->bytes, thing->mark, thing->size);
    }
    assert_in_range(tn_slab_bytes(slab), 1, 1 << 20);
}

static void what_was_given_back_is_used_again(void **state)
{
    (void)state;
    TN_CLEANUP(tn_slab_free_p) struct tn_slab *slab = tn_slab_new();
    void *things[1000];
    for (size_t i = 0; i < TN_COUNT(things); i++)
        things[i] = tn_slab_take(slab, 100);
    uint64_t bytes = tn_slab_bytes(slab);
    assert_in_range(bytes, 100 * TN_COUNT(things), 300 * TN_COUNT(things));
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < TN_COUNT(things); i++)
            tn_slab_give(slab, things[i], 100);
        for (size_t i = 0; i < TN_COUNT(things); i++)
            things[i] = tn_slab_take(slab, 97 + i % 4);
        for (size_t i = 0; i < TN_COUNT(things); i++)
            memset(things[i], 1, 97 + i % 4);
        for (size_t i = 0; i < TN_COUNT(things); i++)
            tn_slab_give(slab, things[i], 97 + i % 4);
        for (size_t i = 0; i < TN_COUNT(things); i++)
            things[i] = tn_slab_take(slab, 100);
    }
    assert_int_equal(tn_slab_bytes(slab), bytes);
}

static void large_things_go_at_once(void **state)
{
    (void)state;
    TN_CLEANUP(tn_slab_free_p) struct tn_slab *slab = tn_slab_new();
    uint64_t empty = tn_slab_bytes(slab);
    void *one = tn_slab_take(slab, 1 << 20), *two = tn_slab_take(slab, 5000);
    assert_in_range(tn_slab_bytes(slab), empty + (1 << 20) + 5000, empty + (1 << 20) + 6000);
    tn_slab_give(slab, one, 1 << 20);
    tn_slab_give(slab, two, 5000);
    assert_int_equal(tn_slab_bytes(slab), empty);
    (void)tn_slab_take(slab, 3000); /* ends with the slab */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_things_keep_what_they_hold),
        cmocka_unit_test(what_was_given_back_is_used_again),
        cmocka_unit_test(large_things_go_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
