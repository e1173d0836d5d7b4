/* What is remembered of delete files stays within its bounds. */
#include "dataset/deletes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void note(struct dataset_deletes *deletes, size_t number, size_t rows)
{
    char delete_path[64], data_path[64];
    int64_t *positions = tn_calloc(rows, sizeof *positions);
    snprintf(delete_path, sizeof delete_path, "t/data/%zu-deletes.parquet", number);
    snprintf(data_path, sizeof data_path, "t/data/%zu.parquet", number % 10);
    dataset_deletes_note(deletes, delete_path, data_path, positions, rows);
    free(positions);
}

static void test_many_small_ones(void **state)
{
    (void)state;
    struct dataset_deletes *deletes = dataset_deletes_new();
    note(deletes, 1, 2);
    struct dataset_deletes_state one = dataset_deletes_state(deletes);
    assert_int_equal(one.count, 1);
    assert_true(one.bytes > 2 * sizeof(int64_t));
    note(deletes, 1, 2); /* in place of the first */
    assert_int_equal(dataset_deletes_state(deletes).count, 1);
    assert_int_equal(dataset_deletes_state(deletes).bytes, one.bytes);
    for (size_t i = 0; i < 40000; i++)
        note(deletes, i, 2);
    struct dataset_deletes_state many = dataset_deletes_state(deletes);
    assert_in_range(many.count, 1000, 20000);
    assert_in_range(many.bytes, many.count * 64, (size_t)16 << 20);
    dataset_deletes_free(deletes);
}

static void test_some_large_ones(void **state)
{
    (void)state;
    struct dataset_deletes *deletes = dataset_deletes_new();
    for (size_t i = 0; i < 20; i++) {
        note(deletes, i, (size_t)1 << 20);
        assert_true(dataset_deletes_state(deletes).bytes <= (size_t)64 << 20);
    }
    assert_in_range(dataset_deletes_state(deletes).count, 7, 8);
    note(deletes, 100, (size_t)3 << 20); /* would take the place of too many others */
    assert_in_range(dataset_deletes_state(deletes).count, 7, 8);
    dataset_deletes_free(deletes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_small_ones),
        cmocka_unit_test(test_some_large_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
