/* Batches: visibility, the number of fsyncs, injected failures, crashes. */
#include "store/test_support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static void visible_only_after_flush(void **state)
{
    struct fixture *f = *state;
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(f->store);
    char bytes[] = "one";
    assert_ok(store_batch_put(batch, "d/1", bytes, 3, &test_err));
    memset(bytes, '?', 3); /* the caller's again */
    assert_ok(store_batch_put(batch, "d/2", "two", 3, &test_err));
    assert_ok(store_batch_put(batch, "d/1", "ONE", 3, &test_err));
    assert_absent(f, "d/1");
    assert_ok(store_batch_flush(batch, &test_err));
    assert_content(f, "d/1", "ONE");
    assert_content(f, "d/2", "two");
    assert_ok(store_batch_flush(batch, &test_err)); /* nothing to do */
    assert_ok(store_batch_put(batch, "d/3", "three", 5, &test_err));
    assert_ok(store_batch_flush(batch, &test_err));
    assert_content(f, "d/3", "three");
    assert_int_equal(staged_count(f), 0);
}

static void freed_unflushed(void **state)
{
    struct fixture *f = *state;
    char *path = NULL;
    assert_ok(store_stage_path(f->store, f->arena, "", &path, &test_err));
    assert_ok(tn_file_replace(path, "x", 1, 0644, &test_err));
    struct store_batch *batch = store_batch_new(f->store);
    assert_ok(store_batch_put(batch, "d/1", "one", 3, &test_err));
    assert_ok(store_batch_put_file(batch, "d/2", path, &test_err));
    store_batch_free(batch);
    store_batch_free(NULL);
    assert_absent(f, "d/1");
    assert_int_equal(staged_count(f), 0);
}

static void commit_counts_fsyncs(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"d/data/1", "d/data/2", "d/data/3", "d/metadata/a", "d/metadata/b"};
    for (int round = 0; round < 2; round++) {
        struct store_counters before = store_counters(f->store);
        TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(f->store);
        for (size_t i = 0; i < TN_COUNT(keys); i++)
            assert_ok(store_batch_put(batch, keys[i], "bytes", 5, &test_err));
        const char *pointer = round ? "d/commits/2" : "d/commits/1";
        assert_ok(store_batch_commit(batch, pointer, "pointer", 7, &test_err));
        assert_content(f, pointer, "pointer");
        struct store_counters after = store_counters(f->store);
        /* Five objects in two folders, the pointer and its folder; the first
         * time also the folders' own names: d, data, metadata, commits. */
        assert_int_equal(after.fsyncs - before.fsyncs, 5 + 2 + 2 + (round ? 0 : 4));
        assert_int_equal(after.puts - before.puts, 5);
        assert_int_equal(after.creates - before.creates, 1);
        assert_int_equal(after.bytes_written - before.bytes_written, 5 * 5 + 7);
    }
}

static uint64_t fsyncs_of_pointer(struct store *store, const char *key)
{
    uint64_t before = store_counters(store).fsyncs;
    assert_ok(store_create(store, key, "p", 1, &test_err));
    return store_counters(store).fsyncs - before;
}

/* Another process's fsync may have failed after its pointer was there to be seen. */
static void nothing_is_built_on_what_another_process_made(void **state)
{
    struct fixture *f = *state;
    struct store *other = NULL;
    assert_int_equal(fsyncs_of_pointer(f->store, "d/c/1"), 2 + 2); /* and two folders' own names */
    assert_int_equal(fsyncs_of_pointer(f->store, "d/c/2"), 2);
    assert_ok(store_open_local(f->root, &other, &test_err));
    assert_int_equal(fsyncs_of_pointer(other, "d/c/3"), 2 + 3); /* it looks at all for the first time */
    assert_int_equal(fsyncs_of_pointer(other, "d/c/4"), 2);
    assert_int_equal(fsyncs_of_pointer(f->store, "d/c/5"), 2 + 1);
    assert_int_equal(fsyncs_of_pointer(f->store, "d/c/6"), 2);
    assert_int_equal(fsyncs_of_pointer(other, "e/c/1"), 2 + 2);
    assert_int_equal(fsyncs_of_pointer(other, "d/c/7"), 2 + 1);
    assert_int_equal(fsyncs_of_pointer(f->store, "d/c/name"), 2); /* no number: nothing is before it */
    store_close(other);
}

static void soft_objects_cost_no_fsync(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_put(f->store, "d/m/0", "x", 1, &test_err)); /* the folder is known */
    assert_ok(store_put(f->store, "d/c/0", "x", 1, &test_err));
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(f->store);
    assert_ok(store_batch_put_soft(batch, "d/m/1", "soft", 4, &test_err));
    assert_absent(f, "d/m/1");
    struct store_counters before = store_counters(f->store);
    assert_ok(store_batch_commit(batch, "d/c/1", "pointer", 7, &test_err));
    assert_content(f, "d/m/1", "soft");
    assert_int_equal(store_counters(f->store).fsyncs - before.fsyncs, 2); /* the pointer's */
    assert_ok(store_batch_put_soft(batch, "d/m/2", "soft", 4, &test_err));
    assert_ok(store_batch_put(batch, "d/m/3", "hard", 4, &test_err)); /* the next one is not soft */
    before = store_counters(f->store);
    assert_ok(store_batch_flush(batch, &test_err));
    assert_int_equal(store_counters(f->store).fsyncs - before.fsyncs, 2); /* its own and the folder's */
    assert_content(f, "d/m/2", "soft");
    assert_content(f, "d/m/3", "hard");
    assert_int_equal(staged_count(f), 0);
}

/* With threads and without: the objects are there, or went with their batch. */
static void soft_objects_are_written_with_the_others(void **state)
{
    struct fixture *f = *state;
    TN_AUTO_FREE char *big = tn_malloc(300000);
    memset(big, 'b', 300000);
    for (size_t threads = 0; threads < 8; threads += 4) {
        store_sync_threads(f->store, threads);
        for (int i = 0; i < 20; i++) {
            const char *key = tn_arena_printf(f->arena, "s/m/%zu-%d", threads, i);
            TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(f->store);
            assert_ok(store_batch_put_soft(batch, key, "older", 5, &test_err));
            assert_ok(store_batch_put_soft(batch, key, big, 300000, &test_err));
            assert_ok(store_batch_put(batch, tn_arena_printf(f->arena, "s/d/%zu-%d", threads, i), "x", 1, &test_err));
            const char *pointer = tn_arena_printf(f->arena, "s/c/%zu-%d", threads, i);
            assert_ok(store_batch_commit(batch, pointer, "pointer", 7, &test_err));
            TN_AUTO_BUF read = {0};
            assert_ok(store_get(f->store, key, 1 << 20, &read, &test_err));
            assert_int_equal(read.len, 300000);
            assert_memory_equal(read.data, big, read.len);
            store_delete_soon(f->store, key);
        }
    }
    store_sync_threads(f->store, 0); /* waits for the deletes */
    for (int i = 0; i < 20; i++)
        assert_absent(f, tn_arena_printf(f->arena, "s/m/4-%d", i));
    assert_absent(f, "s/m/0-0");
    assert_int_equal(staged_count(f), 0);
}

/* However many come in a row the newest stays, and nothing comes back after a delete. */
static void the_newest_hint_stays(void **state)
{
    struct fixture *f = *state;
    for (size_t threads = 0; threads < 8; threads += 4) {
        store_sync_threads(f->store, threads);
        store_put_hint_soon(f->store, "h/a", "first", 5);
        assert_content(f, "h/a", "first"); /* a lonely one is there at once */
        for (char byte = 'a'; byte <= 'z'; byte++) {
            store_put_hint_soon(f->store, "h/a", &byte, 1);
            store_put_hint_soon(f->store, "h/b", &byte, 1);
            store_put_hint_soon(f->store, "h/gone", &byte, 1);
        }
        assert_ok(store_delete(f->store, "h/gone", &test_err));
        store_sync_threads(f->store, 0); /* writes what waits */
        assert_content(f, "h/a", "z");
        assert_content(f, "h/b", "z");
        assert_absent(f, "h/gone");
        assert_ok(store_delete(f->store, "h/a", &test_err));
    }
    store_put_hint_soon(f->store, "../h", "bad", 3); /* nobody is told */
    assert_int_equal(staged_count(f), 0);
}

static void lost_commit_leaves_batch_usable(void **state)
{
    struct fixture *f = *state;
    assert_ok(store_create(f->store, "c/1", "theirs", 6, &test_err));
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(f->store);
    assert_ok(store_batch_put(batch, "d/1", "one", 3, &test_err));
    assert_int_equal(store_batch_commit(batch, "c/1", "mine", 4, &test_err), TN_EEXISTS);
    assert_content(f, "d/1", "one");
    assert_content(f, "c/1", "theirs");
    assert_ok(store_batch_commit(batch, "c/2", "mine", 4, &test_err));
    assert_content(f, "c/2", "mine");
    assert_int_equal(staged_count(f), 0);
}

static void many_objects(void **state)
{
    struct fixture *f = *state;
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(f->store);
    for (int i = 0; i < 200; i++) { /* more than are kept open */
        const char *key = tn_arena_printf(f->arena, "many/%d/%d", i % 7, i);
        assert_ok(store_batch_put(batch, key, key, strlen(key), &test_err));
    }
    struct store_counters before = store_counters(f->store);
    assert_ok(store_batch_flush(batch, &test_err));
    assert_int_equal(store_counters(f->store).fsyncs - before.fsyncs, 200 + 7 + 8);
    assert_content(f, "many/3/199", "many/3/199");
    assert_content(f, "many/0/0", "many/0/0");
}

static void injected_failures(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *fault;
        enum tn_code code;
        bool visible; /* after a failed fsync of the folder */
    } cases[] = {
        {"enospc:bad", TN_EDISKFULL, false},        {"eio:bad", TN_EIO, false},
        {"erofs:bad", TN_EREADONLY, false},         {"eacces:bad", TN_EIO, false},
        {"eio@fsync:bad", TN_EIO, false},           {"enospc@fsync:bad", TN_EDISKFULL, false},
        {"enospc@rename:bad", TN_EDISKFULL, false}, {"eio@folder:1-bad", TN_EIO, true},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        fixture_reopen(f, cases[i].fault);
        struct tn_error err = {0};
        const char *key = tn_arena_printf(f->arena, "e%zu/1-bad", i);
        assert_int_equal(store_put(f->store, key, "0123456789", 10, &err), cases[i].code);
        assert_true(err.detail[0] && err.hint[0]);
        assert_non_null(strstr(err.detail, f->root));
        assert_ok(store_put(f->store, tn_arena_printf(f->arena, "e%zu/good", i), "x", 1, &test_err));
        fixture_reopen(f, NULL);
        if (cases[i].visible)
            assert_content(f, key, "0123456789");
        else
            assert_absent(f, key);
        assert_int_equal(staged_count(f), 0);
    }
}

static void failed_batch_is_dead(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f, "eio@fsync:bad");
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(f->store);
    assert_ok(store_batch_put(batch, "d/good", "x", 1, &test_err));
    assert_ok(store_batch_put(batch, "d/bad", "x", 1, &test_err));
    assert_int_equal(store_batch_commit(batch, "d/pointer", "p", 1, NULL), TN_EIO);
    assert_absent(f, "d/pointer");
    assert_absent(f, "d/good");
    /* The kernel would now say yes to bytes that it has lost. */
    assert_int_equal(store_batch_flush(batch, NULL), TN_EINTERNAL);
    assert_int_equal(store_batch_put(batch, "d/x", "x", 1, NULL), TN_EINTERNAL);
    store_batch_free(TN_TAKE(batch));
    assert_int_equal(staged_count(f), 0);
}

static void failed_pointer(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f, "enospc@link:commits");
    assert_int_equal(store_create(f->store, "commits/1", "p", 1, NULL), TN_EDISKFULL);
    assert_absent(f, "commits/1");
    fixture_reopen(f, "enospc:commits");
    assert_int_equal(store_create(f->store, "commits/1", "p", 1, NULL), TN_EDISKFULL);
    assert_absent(f, "commits/1");
    /* EACCES from link is not "links are unknown here". */
    fixture_reopen(f, "eacces@link:commits");
    assert_int_equal(store_create(f->store, "commits/1", "p", 1, NULL), TN_EIO);
    fixture_reopen(f, NULL);
    assert_ok(store_create(f->store, "commits/1", "p", 1, &test_err));
    assert_int_equal(staged_count(f), 0);
}

static void bad_fault_text(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"enospc", "what:key", "eio@never:key"};
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        struct store *store = NULL;
        assert_int_equal(setenv("TARN_STORE_FAULT", bad[i], 1), 0);
        assert_int_equal(store_open_local(f->root, &store, NULL), TN_ECONFIG);
        assert_null(store);
    }
    (void)unsetenv("TARN_STORE_FAULT");
}

/* A child that dies at the named point of a commit. */
static void crash_at(struct fixture *f, const char *point)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setenv("TARN_FAULT", point, 1);
        tn_fault_init();
        struct store_batch *batch = store_batch_new(f->store);
        bool good = store_batch_put(batch, "d/1", "new", 3, NULL) == TN_OK &&
                    store_batch_put(batch, "d/2", "new", 3, NULL) == TN_OK &&
                    store_batch_commit(batch, "c/1", "pointer", 7, NULL) == TN_OK;
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void crashes_leave_old_or_new(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *point;
        bool pointer;
    } points[] = {
        {"store.put.before_fsync", false},      {"store.put.before_rename:1", false},
        {"store.put.before_rename:2", false},   {"store.put.after_rename:2", false},
        {"store.put.after_folder_sync", false}, {"store.create.before_link", false},
        {"store.create.after_link", true},      {"store.create.after_folder_sync", true},
    };
    for (size_t i = 0; i < TN_COUNT(points); i++) {
        assert_ok(store_put(f->store, "d/1", "old", 3, &test_err));
        assert_ok(store_delete(f->store, "c/1", &test_err));
        crash_at(f, points[i].point);
        bool there = !points[i].pointer;
        assert_ok(store_exists(f->store, "c/1", &there, &test_err));
        if (there != points[i].pointer)
            fail_msg("%s: pointer is %s", points[i].point, there ? "there" : "missing");
        TN_AUTO_BUF got = {0};
        assert_ok(store_get(f->store, "d/1", 100, &got, &test_err));
        assert_true(tn_streq(got.data, "old") || tn_streq(got.data, "new"));
        if (there)
            assert_content(f, "d/1", "new");
        assert_true(staged_count(f) <= 3); /* and can be cleaned */
        assert_int_equal(staged_count(f), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(visible_only_after_flush),
        STORE_TEST(freed_unflushed),
        STORE_TEST(commit_counts_fsyncs),
        STORE_TEST(nothing_is_built_on_what_another_process_made),
        STORE_TEST(soft_objects_cost_no_fsync),
        STORE_TEST(soft_objects_are_written_with_the_others),
        STORE_TEST(the_newest_hint_stays),
        STORE_TEST(lost_commit_leaves_batch_usable),
        STORE_TEST(many_objects),
        STORE_TEST(injected_failures),
        STORE_TEST(failed_batch_is_dead),
        STORE_TEST(failed_pointer),
        STORE_TEST(bad_fault_text),
        STORE_TEST(crashes_leave_old_or_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
