/* Who waits for changes is woken by them, and by nothing else. */
#include "base/test_support.h"
#include "catalog/catalog.h"

#include <pthread.h>
#include <stdatomic.h>

struct fixture {
    char *folder;
    struct store *store;
    struct catalog *catalog;
};

static int set_up(void **state)
{
    struct fixture *f = tn_calloc(1, sizeof *f);
    f->folder = tn_strdup("/tmp/tarn-catalog-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_ok(store_open_local(f->folder, &f->store, &test_err));
    assert_ok(catalog_open(f->store, &f->catalog, &test_err));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    catalog_close(f->catalog);
    store_close(f->store);
    assert_ok(tn_remove_tree(f->folder, &test_err));
    free(f->folder);
    free(f);
    return 0;
}

static void test_a_change_that_was_missed_is_told_at_once(void **state)
{
    struct fixture *f = *state;
    uint64_t seen = catalog_changes(f->catalog);
    catalog_publish(f->catalog, "calls", NULL);
    assert_int_equal(catalog_changes(f->catalog), seen + 1);
    assert_int_equal(catalog_wait(f->catalog, seen, UINT64_C(3600000)), seen + 1);
}

static void test_without_a_change_it_waits_in_vain(void **state)
{
    struct fixture *f = *state;
    uint64_t seen = catalog_changes(f->catalog);
    assert_int_equal(catalog_wait(f->catalog, seen, 1), seen);
}

struct waiter {
    struct catalog *catalog;
    uint64_t seen;
    _Atomic uint64_t woken;
};

static void *wait_for_it(void *argument)
{
    struct waiter *waiter = argument;
    atomic_store(&waiter->woken, catalog_wait(waiter->catalog, waiter->seen, UINT64_C(3600000)));
    return NULL;
}

static void test_a_waiting_thread_is_woken(void **state)
{
    struct fixture *f = *state;
    for (int by_hand = 0; by_hand < 2; by_hand++) {
        struct waiter waiter = {.catalog = f->catalog, .seen = catalog_changes(f->catalog)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &waiter), 0);
        if (by_hand)
            catalog_wake(f->catalog);
        else
            catalog_publish(f->catalog, "calls", NULL);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(atomic_load(&waiter.woken), waiter.seen + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_change_that_was_missed_is_told_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_change_it_waits_in_vain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_waiting_thread_is_woken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
