/* Numbered objects that go behind: order, failures, kills, names used again. */
#include "store/test_support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static void put_numbered(struct fixture *f, const char *folder, int from, int to)
{
    for (int number = from; number <= to; number++)
        assert_ok(store_put_hint(f->store, tn_arena_printf(f->arena, "%s/%d", folder, number), "p", 1, &test_err));
}

struct run {
    size_t skip;
    bool there[512];
};

static enum tn_code note_number(void *context, const struct store_object *object, struct tn_error *err)
{
    struct run *run = context;
    (void)err;
    long number = strtol(object->key + run->skip, NULL, 10);
    assert_in_range(number, 1, TN_COUNT(run->there) - 1);
    run->there[number] = true;
    return TN_OK;
}

/* What is there must be exactly first..last. */
static void assert_run(struct fixture *f, const char *folder, int first, int last)
{
    struct run run = {.skip = strlen(folder) + 1};
    assert_ok(store_list(f->store, tn_arena_printf(f->arena, "%s/", folder), note_number, &run, &test_err));
    for (int number = 1; number < (int)TN_COUNT(run.there); number++)
        if (run.there[number] != (number >= first && number <= last))
            fail_msg("%s/%d is %s", folder, number, run.there[number] ? "there" : "missing");
}

static void goes_from_below(void **state)
{
    struct fixture *f = *state;
    for (size_t threads = 0; threads < 8; threads += 4) {
        const char *folder = tn_arena_printf(f->arena, "t%zu/c", threads);
        store_sync_threads(f->store, threads);
        put_numbered(f, folder, 5, 40);
        store_trim_soon(f->store, folder, 4); /* none of them is there */
        store_trim_soon(f->store, folder, 0);
        store_trim_soon(f->store, folder, 40); /* none would be left */
        store_trim_soon(f->store, folder, 500);
        store_trim_soon(f->store, "never/made", 3);
        store_trim_soon(f->store, "../bad", 3);
        store_sync_threads(f->store, threads); /* does what waits */
        assert_run(f, folder, 5, 40);
        store_trim_soon(f->store, folder, 5);
        store_sync_threads(f->store, threads);
        assert_run(f, folder, 6, 40);
        store_trim_soon(f->store, folder, 30);
        store_trim_soon(f->store, folder, 20); /* the higher one holds */
        store_sync_threads(f->store, threads);
        assert_run(f, folder, 31, 40);
    }
    assert_int_equal(store_counters(f->store).trim_failures, 0);
}

/* A long row that was left over goes in pieces, always from below. */
static void a_long_row_goes_in_pieces(void **state)
{
    struct fixture *f = *state;
    put_numbered(f, "l/c", 1, 300);
    for (int pass = 1; pass <= 4; pass++) {
        store_trim_soon(f->store, "l/c", 290);
        assert_run(f, "l/c", 64 * pass + 1, 300);
    }
    store_trim_soon(f->store, "l/c", 290);
    assert_run(f, "l/c", 291, 300);
}

/* One that cannot go keeps those above it, and goes first when it can. */
static void a_failure_leaves_no_gap(void **state)
{
    struct fixture *f = *state;
    for (size_t threads = 0; threads < 8; threads += 4) {
        const char *folder = tn_arena_printf(f->arena, "f%zu/c", threads);
        fixture_reopen(f, "eacces@remove:/c/3");
        store_sync_threads(f->store, threads);
        put_numbered(f, folder, 1, 9);
        for (int last = 2; last <= 6; last++) {
            store_trim_soon(f->store, folder, last);
            store_sync_threads(f->store, threads);
            assert_run(f, folder, 3, 9);
        }
        assert_int_equal(store_counters(f->store).trim_failures, 4);
        assert_int_equal(store_delete(f->store, tn_arena_printf(f->arena, "%s/3", folder), &test_err), TN_EIO);
        fixture_reopen(f, NULL);
        store_sync_threads(f->store, threads);
        store_trim_soon(f->store, folder, 7);
        store_sync_threads(f->store, threads);
        assert_run(f, folder, 8, 9);
    }
}

/* What cannot be looked at is not taken for gone: those above it would go first. */
static void an_unseen_one_leaves_no_gap(void **state)
{
    struct fixture *f = *state;
    for (int unseen = 2; unseen <= 8; unseen++) {
        char fault[32];
        const char *folder = tn_arena_printf(f->arena, "u%d/c", unseen);
        (void)snprintf(fault, sizeof fault, "eio@look:/c/%d", unseen);
        fixture_reopen(f, NULL);
        put_numbered(f, folder, 1, 9);
        fixture_reopen(f, fault);
        for (int last = 1; last <= 8; last++) {
            store_trim_soon(f->store, folder, last);
            struct run run = {.skip = strlen(folder) + 1};
            assert_ok(store_list(f->store, tn_arena_printf(f->arena, "%s/", folder), note_number, &run, &test_err));
            for (int number = 2; number <= 9; number++)
                if (run.there[number - 1] && !run.there[number])
                    fail_msg("%s: %d is there and %d is not, %d asked", fault, number - 1, number, last);
        }
        assert_true(store_counters(f->store).trim_failures > 0);
        fixture_reopen(f, NULL);
        store_trim_soon(f->store, folder, 8);
        assert_run(f, folder, 9, 9);
    }
}

/* New ones appear above while old ones go below: a gapless run at any time. */
static void is_a_run_at_any_time(void **state)
{
    struct fixture *f = *state;
    store_sync_threads(f->store, 4);
    int low = 1;
    for (int number = 1; number <= 400; number++) {
        put_numbered(f, "r/c", number, number);
        store_trim_soon(f->store, "r/c", number - 10);
        if (number % 7)
            continue;
        /* Asked from above: what is gone goes before what is asked next. */
        int lowest = number;
        bool there = true, gap = false;
        for (int at = number; at >= low; at--) {
            assert_ok(store_exists(f->store, tn_arena_printf(f->arena, "r/c/%d", at), &there, &test_err));
            gap = gap || !there;
            if (there && gap)
                fail_msg("%d is there, and one above it is not", at);
            lowest = there ? at : lowest;
        }
        assert_true(lowest <= TN_MAX(number - 9, 1));
        low = lowest;
    }
    store_sync_threads(f->store, 0);
    assert_run(f, "r/c", 391, 400);
}

/* Nothing that waited may take what was made anew under the same names. */
static void stops_before_names_are_used_again(void **state)
{
    struct fixture *f = *state;
    store_sync_threads(f->store, 4);
    store_trim_stop(f->store, "s/c"); /* nothing there */
    for (int round = 0; round < 4; round++) {
        put_numbered(f, "s/c", 1, 20);
        put_numbered(f, "s/other", 1, 60);
        store_trim_soon(f->store, "s/other", 59); /* goes first, and takes its time */
        store_trim_soon(f->store, "s/c", 15);
        store_trim_stop(f->store, "s/c");
        for (int number = 1; number <= 20; number++)
            assert_ok(store_delete(f->store, tn_arena_printf(f->arena, "s/c/%d", number), &test_err));
        put_numbered(f, "s/c", 1, 20);
        store_sync_threads(f->store, 4); /* does what waits */
        assert_run(f, "s/c", 1, 20);
    }
    store_sync_threads(f->store, 0);
    assert_run(f, "s/c", 1, 20);
    store_trim_stop(f->store, "s/c"); /* without threads there is nothing to stop */
}

/* More folders than wait: whoever comes then does it, and none is forgotten. */
static void many_folders(void **state)
{
    struct fixture *f = *state;
    for (int folder = 0; folder < 300; folder++)
        put_numbered(f, tn_arena_printf(f->arena, "m%d/c", folder), 1, 3);
    store_sync_threads(f->store, 4);
    for (int folder = 0; folder < 300; folder++)
        store_trim_soon(f->store, tn_arena_printf(f->arena, "m%d/c", folder), 2);
    store_sync_threads(f->store, 0);
    for (int folder = 0; folder < 300; folder++)
        assert_run(f, tn_arena_printf(f->arena, "m%d/c", folder), 3, 3);
}

/* Killed before the n-th removal: a run is left, and the next call takes the rest. */
static void a_kill_leaves_a_run(void **state)
{
    struct fixture *f = *state;
    for (size_t threads = 0; threads < 8; threads += 4) {
        for (int pass = 1; pass <= 10; pass += 3) {
            char fault[64];
            (void)snprintf(fault, sizeof fault, "store.trim.before_remove:%d", pass);
            put_numbered(f, "k/c", 1, 14);
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                (void)setenv("TARN_FAULT", fault, 1);
                tn_fault_init();
                store_sync_threads(f->store, threads);
                store_trim_soon(f->store, "k/c", 10);
                store_sync_threads(f->store, 0);
                _exit(0);
            }
            int status = 0;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            assert_run(f, "k/c", pass, 14);
            store_trim_soon(f->store, "k/c", 11);
            assert_run(f, "k/c", 12, 14);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(goes_from_below),
        STORE_TEST(a_long_row_goes_in_pieces),
        STORE_TEST(a_failure_leaves_no_gap),
        STORE_TEST(an_unseen_one_leaves_no_gap),
        STORE_TEST(is_a_run_at_any_time),
        STORE_TEST(stops_before_names_are_used_again),
        STORE_TEST(many_folders),
        STORE_TEST(a_kill_leaves_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
