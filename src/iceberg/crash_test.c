/* Processes that are killed inside a commit, and processes that race: what is
 * acknowledged is there, what is not is wholly absent, and the next one works. */
#include "iceberg/test_support.h"

#include <signal.h>
#include <sys/wait.h>

static const char *const points[] = {"commit.before_manifest", "commit.before_metadata", "commit.before_pointer",
                                     "commit.after_pointer"};

/* In a child: opens the store afresh, as another process would. */
static int child_append(const struct fixture *f, const char *fault, int commits)
{
    struct fixture mine = *f;
    struct tn_error err = {0};
    (void)setenv("TARN_FAULT", fault, 1);
    tn_fault_init();
    mine.arena = tn_arena_new();
    mine.table.cache = NULL;
    if (store_open_local(f->folder, &mine.store, &err) != TN_OK)
        return 2;
    mine.table.store = mine.store;
    for (int i = 0; i < commits; i++) {
        TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
        ICEBERG_AUTO_METADATA *base = NULL;
        ICEBERG_AUTO_METADATA *next = NULL;
        const char *key = NULL;
        if (iceberg_table_load(&mine.table, NULL, &base, &err) != TN_OK)
            return 3;
        tx = iceberg_tx_new(&mine.table, base);
        const struct iceberg_file file = {.path =
                                              iceberg_new_file_uri(mine.arena, &mine.table, base, ".parquet", &key),
                                          .record_count = 7,
                                          .size_bytes = 4};
        enum tn_code code = store_batch_put(iceberg_tx_batch(tx), key, "data", 4, &err);
        if (code == TN_OK)
            code = iceberg_tx_add_file(tx, &file, &err);
        while (code == TN_OK && (code = iceberg_tx_commit(tx, &next, &err)) == TN_ECONFLICT) {
            ICEBERG_AUTO_METADATA *newest = NULL;
            if ((code = iceberg_table_load(&mine.table, base, &newest, &err)) == TN_OK)
                code = iceberg_tx_rebase(tx, newest, &err);
        }
        if (code != TN_OK)
            return 4;
    }
    store_close(mine.store);
    tn_arena_free(mine.arena);
    return 0;
}

static int in_child(const struct fixture *f, const char *fault, int commits)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(child_append(f, fault, commits));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void count_fatal(void *context, const struct iceberg_finding *finding)
{
    if (finding->fatal)
        (*(int *)context)++;
}

static void count_key(void *context, const char *key, int64_t size)
{
    (void)key;
    (void)size;
    (*(int *)context)++;
}

static void assert_sound(struct fixture *f, const struct iceberg_metadata *metadata, int64_t records)
{
    int fatal = 0;
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_check(&f->table, metadata, count_fatal, &fatal, &test_err));
    assert_int_equal(fatal, 0);
    assert_int_equal(test_total(metadata, "total-records"), records);
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &plan, &test_err));
    assert_int_equal(plan->record_count, records);
}

static void killed_commits(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 100);
    int64_t records = 100;
    for (size_t i = 0; i < TN_COUNT(points); i++) {
        for (int pass = 1; pass <= 2; pass++) {
            char fault[64];
            ICEBERG_AUTO_METADATA *after = NULL;
            (void)snprintf(fault, sizeof fault, "%s:%d", points[i], pass);
            int status = in_child(f, fault, 5);
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGKILL);
            /* `pass` - 1 commits were whole; behind the pointer one more is. */
            records += 7 * (pass - 1 + (i == 3));
            assert_ok(iceberg_table_load(&f->table, NULL, &after, &test_err));
            assert_sound(f, after, records);
            iceberg_metadata_unref(metadata);
            metadata = iceberg_metadata_ref(after);
        }
    }
    /* The next writer goes on, and the leftovers can be taken away. */
    int removed = 0;
    uint64_t staged = 0;
    assert_int_equal(in_child(f, "", 3), 0);
    assert_ok(store_clean_staging(f->store, 0, &staged, &test_err));
    assert_true(staged > 0);
    assert_ok(iceberg_table_orphans(&f->table, 0, true, count_key, &removed, &test_err));
    ICEBERG_AUTO_METADATA *last = NULL;
    assert_ok(iceberg_table_load(&f->table, NULL, &last, &test_err));
    assert_sound(f, last, records + 21);
}

/* The same inside the store's steps, of which a commit takes several. */
static void killed_in_the_store(void **state)
{
    static const char *const steps[] = {"store.put.before_fsync",        "store.put.before_rename",
                                        "store.put.after_rename",        "store.put.after_folder_sync",
                                        "store.create.before_link",      "store.create.after_link",
                                        "store.create.after_folder_sync"};
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 100);
    int killed = 0;
    for (size_t i = 0; i < TN_COUNT(steps); i++) {
        for (int pass = 1; pass <= 9; pass++) {
            char fault[64];
            ICEBERG_AUTO_METADATA *after = NULL;
            (void)snprintf(fault, sizeof fault, "%s:%d", steps[i], pass);
            killed += WIFSIGNALED(in_child(f, fault, 2));
            assert_ok(iceberg_table_load(&f->table, NULL, &after, &test_err));
            int64_t commits = after->version - metadata->version;
            assert_true(commits >= 0 && commits <= 2);
            assert_sound(f, after, test_total(metadata, "total-records") + 7 * commits);
            iceberg_metadata_unref(metadata);
            metadata = iceberg_metadata_ref(after);
        }
    }
    assert_true(killed > 20);
}

/* Several processes append at once; one of them is killed. */
static void racing_processes(void **state)
{
    enum { WRITERS = 4, COMMITS = 12 };
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 100);
    pid_t children[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(child_append(f, i == 0 ? "commit.before_pointer:5" : "", COMMITS));
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        if (i == 0)
            assert_true(WIFSIGNALED(status));
        else
            assert_int_equal(status, 0);
    }
    ICEBERG_AUTO_METADATA *last = NULL;
    assert_ok(iceberg_table_load(&f->table, metadata, &last, &test_err));
    int64_t commits = (last->version - 2);
    assert_true(commits >= (WRITERS - 1) * COMMITS && commits <= (WRITERS - 1) * COMMITS + 4);
    assert_sound(f, last, 100 + 7 * commits);
}

/* The store fails: a clear error, and the table is what it was. */
static void failing_store(void **state)
{
    struct fixture *f = *state;
    static const char *const faults[] = {"enospc@write:metadata/", "eio@fsync:metadata/",  "eio@rename:metadata/",
                                         "eio@link:commits/",      "erofs@write:commits/", "enospc@write:data/"};
    static const enum tn_code codes[] = {TN_EDISKFULL, TN_EIO, TN_EIO, TN_EIO, TN_EREADONLY, TN_EDISKFULL};
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 100);
    for (size_t i = 0; i < TN_COUNT(faults); i++) {
        struct store *broken = NULL;
        assert_int_equal(setenv("TARN_STORE_FAULT", faults[i], 1), 0);
        assert_ok(store_open_local(f->folder, &broken, &test_err));
        assert_int_equal(unsetenv("TARN_STORE_FAULT"), 0);
        struct iceberg_table table = f->table;
        table.store = broken;
        struct iceberg_tx *tx = iceberg_tx_new(&table, metadata);
        struct iceberg_metadata *none = NULL;
        const char *key = NULL;
        const struct iceberg_file file = {.path = iceberg_new_file_uri(f->arena, &table, metadata, ".parquet", &key),
                                          .record_count = 7,
                                          .size_bytes = 4};
        enum tn_code code = store_batch_put(iceberg_tx_batch(tx), key, "data", 4, &test_err);
        assert_ok(iceberg_tx_add_file(tx, &file, &test_err));
        if (code == TN_OK)
            code = iceberg_tx_commit(tx, &none, &test_err);
        if (code != codes[i])
            fail_msg("%s: %s: %s", faults[i], tn_code_word(code), test_err.detail);
        assert_null(none);
        iceberg_tx_free(tx);
        store_close(broken);
        ICEBERG_AUTO_METADATA *after = NULL;
        assert_ok(iceberg_table_load(&f->table, NULL, &after, &test_err));
        assert_int_equal(after->version, metadata->version);
        assert_sound(f, after, 100);
    }
    metadata = test_append(f, metadata, 100, 1);
    assert_sound(f, metadata, 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(killed_commits),
        TABLE_TEST(killed_in_the_store),
        TABLE_TEST(racing_processes),
        TABLE_TEST(failing_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
