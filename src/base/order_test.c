/* Numbers in their order, also those whose difference is none that fits. */
#include "base/order.h"
#include "base/test_support.h"

#include <stdlib.h>

static void far_apart(void **state)
{
    (void)state;
    int64_t numbers[] = {3, INT64_MAX, -1, INT64_MIN, 0, 3}, missing = 2;
    static const int64_t want[] = {INT64_MIN, -1, 0, 3, 3, INT64_MAX};
    qsort(numbers, TN_COUNT(numbers), sizeof *numbers, tn_order_i64);
    assert_memory_equal(numbers, want, sizeof want);
    for (size_t i = 0; i < TN_COUNT(want); i++)
        assert_non_null(bsearch(&want[i], numbers, TN_COUNT(numbers), sizeof *numbers, tn_order_i64));
    assert_null(bsearch(&missing, numbers, TN_COUNT(numbers), sizeof *numbers, tn_order_i64));
}

static void without_signs(void **state)
{
    (void)state;
    uint64_t numbers[] = {UINT64_MAX, 1, 0, (uint64_t)INT64_MAX + 1, 1};
    static const uint64_t want[] = {0, 1, 1, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    qsort(numbers, TN_COUNT(numbers), sizeof *numbers, tn_order_u64);
    assert_memory_equal(numbers, want, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(far_apart),
        cmocka_unit_test(without_signs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
