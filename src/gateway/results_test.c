#include "gateway/results.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

TN_DEFINE_CLEANUP(struct results, results_free)

static void keep(struct results *results, const char *name, const char *body)
{
    results_keep(results, name, strlen(name), body, strlen(body), (struct result){.rows = strlen(body)});
}

/* Fails unless the body under this name is `body`; NULL: unless there is none. */
static void expect(struct results *results, const char *name, const char *body)
{
    TN_AUTO_BUF out = {0};
    struct result result = {0};
    tn_buf_puts(&out, ">");
    assert_int_equal(results_find(results, name, strlen(name), &out, &result), body != NULL);
    if (!body)
        return;
    assert_string_equal(out.data + 1, body);
    assert_int_equal(result.rows, strlen(body));
}

static void test_keeps_by_whole_name(void **state)
{
    (void)state;
    TN_CLEANUP(results_free_p) struct results *results = results_new(1 << 20);
    expect(results, "a", NULL);
    keep(results, "a", "one");
    keep(results, "ab", "two");
    keep(results, "empty", "");
    expect(results, "a", "one");
    expect(results, "ab", "two");
    expect(results, "empty", "");
    expect(results, "b", NULL);
    keep(results, "a", "other");
    expect(results, "a", "other");
    struct results_state now = results_state(results);
    assert_int_equal(now.count, 3);
    assert_int_equal(now.hits, 4);
    assert_int_equal(now.misses, 2);
}

static void test_the_least_recently_used_leaves(void **state)
{
    (void)state;
    char body[1001] = {0};
    memset(body, 'x', 1000);
    TN_CLEANUP(results_free_p) struct results *results = results_new(4500);
    keep(results, "a", body);
    keep(results, "b", body);
    keep(results, "c", body);
    keep(results, "d", body);
    assert_int_equal(results_state(results).count, 4);
    expect(results, "a", body);
    keep(results, "e", body);
    expect(results, "b", NULL);
    expect(results, "a", body);
    expect(results, "e", body);
    assert_true(results_state(results).bytes <= 4500);
}

static void test_what_is_too_large_is_not_kept(void **state)
{
    (void)state;
    TN_AUTO_BUF body = {0};
    TN_CLEANUP(results_free_p) struct results *small = results_new(200);
    TN_CLEANUP(results_free_p) struct results *large = results_new(UINT64_C(1) << 30);
    while (body.len <= RESULTS_BODY_MAX)
        tn_buf_puts(&body, "0123456789");
    keep(large, "a", body.data);
    expect(large, "a", NULL);
    body.data[300] = '\0';
    keep(small, "a", body.data);
    expect(small, "a", NULL);
    keep(large, "a", body.data);
    expect(large, "a", body.data);
    assert_int_equal(results_state(small).count, 0);
}

static void test_without_a_budget_nothing_is(void **state)
{
    (void)state;
    struct results *none = results_new(0);
    assert_null(none);
    keep(none, "a", "one");
    expect(none, "a", NULL);
    assert_int_equal(results_state(none).misses, 0);
}

/* Random names and sizes against the budget: the counts stay true to what is there. */
static void test_many(void **state)
{
    (void)state;
    char name[16], body[400];
    TN_CLEANUP(results_free_p) struct results *results = results_new(20000);
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        snprintf(name, sizeof name, "%u", (unsigned)(seed >> 40) % 300);
        size_t length = (size_t)(seed >> 33) % sizeof body;
        memset(body, name[0], sizeof body);
        body[length] = '\0';
        keep(results, name, body);
        expect(results, name, body);
        assert_true(results_state(results).bytes <= 20000);
    }
    assert_true(results_state(results).count > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_by_whole_name),
        cmocka_unit_test(test_the_least_recently_used_leaves),
        cmocka_unit_test(test_what_is_too_large_is_not_kept),
        cmocka_unit_test(test_without_a_budget_nothing_is),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
