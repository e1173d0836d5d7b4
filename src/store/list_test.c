/* Listing: prefixes, order, what is not shown. */
#include "store/test_support.h"

#include <string.h>

struct seen {
    struct tn_buf text;
    size_t count;
    size_t stop_after;
    struct store *delete_from;
};

static enum tn_code note(void *context, const struct store_object *object, struct tn_error *err)
{
    struct seen *seen = context;
    tn_buf_printf(&seen->text, "%s%s:%u", seen->count ? " " : "", object->key, (unsigned)object->size);
    seen->count++;
    assert_true(object->modified_ms > INT64_C(1500000000000));
    if (seen->delete_from)
        TN_TRY(store_delete(seen->delete_from, object->key, err));
    if (seen->stop_after && seen->count == seen->stop_after)
        return tn_fail(err, TN_ECANCELLED, "enough");
    return TN_OK;
}

static void put_all(struct fixture *f, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_ok(store_put(f->store, keys[i], keys[i], i, &test_err));
}

static const char *const some_keys[] = {"a/x", "a-b/y", "a", "a.c", "b/1/z", "b/1/a", "b/10", "b/2", "ä/1"};

static void prefixes(void **state)
{
    struct fixture *f = *state;
    /* "a" and "a/x" cannot both be. */
    put_all(f, some_keys, 2);
    put_all(f, some_keys + 3, TN_COUNT(some_keys) - 3);
    static const struct {
        const char *prefix, *want;
    } cases[] = {
        {"", "a-b/y:1 a.c:0 a/x:0 b/1/a:2 b/1/z:1 b/10:3 b/2:4 ä/1:5"},
        {"a", "a-b/y:1 a.c:0 a/x:0"},
        {"a/", "a/x:0"},
        {"a-", "a-b/y:1"},
        {"b/1", "b/1/a:2 b/1/z:1 b/10:3"},
        {"b/1/", "b/1/a:2 b/1/z:1"},
        {"b/1/z", "b/1/z:1"},
        {"b/1/zz", ""},
        {"nothing/here", ""},
        {"a/x/y", ""},
        {"\xC3", "ä/1:5"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct seen seen = {0};
        assert_ok(store_list(f->store, cases[i].prefix, note, &seen, &test_err));
        assert_string_equal(seen.text.data ? seen.text.data : "", cases[i].want);
        tn_buf_release(&seen.text);
    }
}

static void strays_are_not_shown(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_put(f->store, "d/real", "x", 1, &test_err));
    char *path = NULL;
    assert_ok(store_stage_path(f->store, f->arena, "", &path, &test_err));
    assert_ok(tn_file_replace(path, "x", 1, 0644, &test_err));
    assert_ok(tn_file_replace(tn_arena_printf(f->arena, "%s/d/bad\xFFname", f->root), "x", 1, 0644, &test_err));
    assert_int_equal(symlink("/", tn_arena_printf(f->arena, "%s/d/loop", f->root)), 0);
    assert_int_equal(symlink("real", tn_arena_printf(f->arena, "%s/d/alias", f->root)), 0);
    assert_int_equal(symlink("gone", tn_arena_printf(f->arena, "%s/d/dangling", f->root)), 0);
    assert_ok(tn_mkdirs(tn_arena_printf(f->arena, "%s/d/empty/folder", f->root), 0755, &test_err));
    struct seen seen = {0};
    assert_ok(store_list(f->store, "", note, &seen, &test_err));
    assert_string_equal(seen.text.data, "d/alias:1 d/real:1");
    tn_buf_release(&seen.text);
}

static void stops_and_deletes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 30; i++)
        assert_ok(store_put(f->store, tn_arena_printf(f->arena, "d/%d/%d", i % 3, i), "", 0, &test_err));
    struct seen some = {.stop_after = 5};
    struct tn_error err = {0};
    assert_int_equal(store_list(f->store, "d/", note, &some, &err), TN_ECANCELLED);
    assert_int_equal(some.count, 5);
    assert_string_equal(err.detail, "enough");
    tn_buf_release(&some.text);
    struct seen all = {.delete_from = f->store};
    assert_ok(store_list(f->store, "d/", note, &all, &test_err));
    assert_int_equal(all.count, 30);
    tn_buf_release(&all.text);
    struct seen none = {0};
    assert_ok(store_list(f->store, "", note, &none, &test_err));
    assert_int_equal(none.count, 0);
}

static bool note_folder(void *context, const char *name)
{
    struct seen *seen = context;
    tn_buf_printf(&seen->text, "%s%s", seen->count ? " " : "", name);
    return ++seen->count != seen->stop_after;
}

static void folders(void **state)
{
    struct fixture *f = *state;
    put_all(f, some_keys, 2);
    put_all(f, some_keys + 3, TN_COUNT(some_keys) - 3);
    static const struct {
        const char *key, *want;
        size_t stop_after;
    } cases[] = {{"", "a-b a b ä", 0}, {"b", "1", 0},  {"b/1", "", 0},
                 {"nothing", "", 0},   {"a.c", "", 0}, {"", "a-b a", 2}};
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct seen seen = {.stop_after = cases[i].stop_after};
        assert_ok(store_list_folders(f->store, cases[i].key, note_folder, &seen, &test_err));
        assert_string_equal(seen.text.data ? seen.text.data : "", cases[i].want);
        tn_buf_release(&seen.text);
    }
    assert_int_equal(store_list_folders(f->store, "../x", note_folder, NULL, NULL), TN_EREQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(prefixes),
        STORE_TEST(strays_are_not_shown),
        STORE_TEST(stops_and_deletes),
        STORE_TEST(folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
