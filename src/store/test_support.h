/* What the store's tests share: a fresh folder each, and strict success. */
#ifndef TARN_STORE_TEST_SUPPORT_H
#define TARN_STORE_TEST_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "store/store.h"

#include <unistd.h>

struct fixture {
    char folder[64];
    char *root;
    struct store *store;
    struct tn_arena *arena;
};

#define assert_ok(expression)                                                                                        \
    do {                                                                                                             \
        struct tn_error *shown_ = &test_err;                                                                         \
        enum tn_code got_ = (expression);                                                                            \
        if (got_ != TN_OK)                                                                                           \
            fail_msg("%s: %s: %s", #expression, tn_code_word(got_), shown_->detail);                                 \
    } while (0)

static struct tn_error test_err;

static inline int fixture_open(void **state)
{
    struct fixture *f = tn_calloc(1, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/tarn-store-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->root = tn_asprintf("%s/bucket", f->folder);
    f->arena = tn_arena_new();
    assert_ok(store_open_local(f->root, &f->store, &test_err));
    *state = f;
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    assert_ok(tn_remove_tree(f->folder, &test_err));
    tn_arena_free(f->arena);
    free(f->root);
    free(f);
    return 0;
}

/* Opens the store again with a fault injected (NULL: without). */
static inline void fixture_reopen(struct fixture *f, const char *fault)
{
    store_close(f->store);
    f->store = NULL;
    if (fault)
        assert_int_equal(setenv("TARN_STORE_FAULT", fault, 1), 0);
    enum tn_code code = store_open_local(f->root, &f->store, &test_err);
    (void)unsetenv("TARN_STORE_FAULT");
    assert_int_equal(code, TN_OK);
}

static inline void assert_content(struct fixture *f, const char *key, const char *want)
{
    TN_AUTO_BUF got = {0};
    assert_ok(store_get(f->store, key, 1 << 20, &got, &test_err));
    assert_string_equal(got.data, want);
}

static inline void assert_absent(struct fixture *f, const char *key)
{
    bool there = true;
    assert_ok(store_exists(f->store, key, &there, &test_err));
    assert_false(there);
}

/* How many files lie in the staging folder. */
static inline uint64_t staged_count(struct fixture *f)
{
    uint64_t removed = 99;
    assert_ok(store_clean_staging(f->store, 0, &removed, &test_err));
    return removed;
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

#endif
