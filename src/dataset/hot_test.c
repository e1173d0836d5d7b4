/* Hot copies: filled, moved on by commits and compactions, evicted; and never
 * another answer than that of the files. */
#include "dataset/compact.h"
#include "dataset/hot_test_support.h"
#include "journal/journal.h"

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

static uint64_t dice_state = 11;

static size_t dice(size_t below)
{
    return throw_dice(&dice_state, below);
}

static struct dataset_compacted compact(struct fixture *f, bool debt_only)
{
    struct tn_error err = {0};
    struct dataset_compacted done;
    const struct dataset_compaction options = {.debt_only = debt_only};
    must(dataset_compact(&f->lake, "t", &options, &done, &err), &err);
    return done;
}

/* What comes in the background comes late on a busy machine. */
static void wait_for_fills(struct fixture *f, uint64_t fills)
{
    for (uint64_t end = tn_mono_ns() + UINT64_C(120000000000); dataset_hot_state(f->lake.hot).fills < fills;) {
        if (tn_mono_ns() > end)
            fail_msg("never filled");
        usleep(10000);
    }
}

/* ---- one at a time ------------------------------------------------------------------ */

static void test_a_copy_is_filled_and_let_go(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", HUNDRED, "id", false);
    assert_false(is_hot(f, "t", 0));
    pin(f, "t");
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
    struct dataset_hot_state now = dataset_hot_state(f->lake.hot);
    assert_int_equal(now.datasets, 1);
    assert_int_equal(now.fills, 1);
    assert_in_range(now.bytes, 1, PLENTY);
    pin(f, "t"); /* it is there already */
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 1);
    dataset_hot_evict(&f->lake, "t");
    assert_false(is_hot(f, "t", 0));
    now = dataset_hot_state(f->lake.hot);
    assert_int_equal(now.datasets, 0);
    assert_int_equal(now.bytes, 0);
    same_both_ways(f, ALL, NULL);
}

static void test_repeated_use_fills(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", HUNDRED, "id", false);
    for (size_t i = 0; i < 3; i++)
        expect(f, "SELECT count(*) FROM t", "[100]");
    wait_for_fills(f, 1);
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
}

static void hold_thread(void *argument)
{
    sem_t *const *gate = argument;
    (void)sem_post(gate[0]);
    while (sem_wait(gate[1]) != 0) {
    }
}

/* A filling that waits for a thread is one that is under way. */
static void test_a_queued_filling_can_be_let_go(void **state)
{
    struct fixture *f = *state;
    sem_t held, go;
    sem_t *gate[] = {&held, &go};
    size_t threads = tn_pool_threads(f->lake.pool);
    make_table(f, "t", HUNDRED, "id", false);
    assert_int_equal(sem_init(&held, 0, 0) | sem_init(&go, 0, 0), 0);
    for (size_t i = 0; i < threads; i++)
        tn_pool_submit(f->lake.pool, TN_FOREGROUND, hold_thread, gate);
    for (size_t i = 0; i < threads; i++)
        while (sem_wait(&held) != 0) {
        }
    for (size_t i = 0; i < 3; i++)
        expect(f, "SELECT count(*) FROM t", "[100]");
    assert_int_equal(tn_pool_queued(f->lake.pool), 1);
    dataset_hot_evict(&f->lake, "t");
    for (size_t i = 0; i < threads; i++)
        (void)sem_post(&go);
    for (bool running = true; running; usleep(1000)) {
        pthread_mutex_lock(&f->lake.hot->mutex);
        running = f->lake.hot->running > 0;
        pthread_mutex_unlock(&f->lake.hot->mutex);
    }
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 0);
    assert_false(is_hot(f, "t", 0));
    pin(f, "t"); /* asked for again */
    assert_true(is_hot(f, "t", 0));
    (void)sem_destroy(&held);
    (void)sem_destroy(&go);
}

/* Whoever asks may have a struct lake of its own, as indexes do, and be gone before the filling is. */
static void test_a_filling_outlives_who_asked(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    make_table(f, "t", "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(100000) t(i)", "id", false);
    struct lake *mine = tn_malloc(sizeof *mine);
    *mine = f->lake;
    for (size_t i = 0; i < 3; i++) {
        TN_AUTO_BUF out = {0};
        must(ask(mine, "SELECT count(*) FROM t", NULL, &out, &err), &err);
    }
    memset(mine, 0xA5, sizeof *mine);
    free(mine);
    wait_for_fills(f, 1);
    assert_true(is_hot(f, "t", 0));
}

static void test_writes_move_a_copy_on(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", HUNDRED, "id", false);
    pin(f, "t");
    int64_t first = upsert_name(f, 7, "seven");
    (void)upsert_name(f, 200, "new");
    erase(f, 9);
    erase(f, 200);
    (void)upsert_name(f, 7, "seven again");
    assert_true(is_hot(f, "t", 0));
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 1);
    same_both_ways(f, ALL, NULL);
    expect(f, "SELECT count(*), min(name) FILTER (id = 7) FROM t", "[99,\"seven again\"]");
    /* The versions between are there too. */
    assert_true(is_hot(f, "t", first));
    char at[32];
    snprintf(at, sizeof at, "%" PRId64, first);
    same_both_ways(f, ALL, at);
}

/* A file that had lost rows before it was read is followed like any other,
 * however many of its rows go: at its ends, beside gaps, between them. */
static void test_files_with_gaps_are_followed(void **state)
{
    enum { ROWS = 1000, GONE = 400 };
    static const int64_t gaps[] = {0, 1, 5, 499, 501, 502, 503, 998, 999};
    struct fixture *f = *state;
    struct engine_cell keys[GONE] = {0};
    make_table(f, "t", "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(1000) t(i)", "id", false);
    struct tn_pool *pool = f->lake.pool;
    f->lake.pool = NULL; /* repeated use fills too, and may come behind the pin */
    for (size_t i = 0; i < TN_COUNT(gaps); i++)
        erase(f, gaps[i]);
    f->lake.pool = pool;
    pin(f, "t");
    const struct engine_cell beside[] = {
        {.integer = 2}, {.integer = 4}, {.integer = 6}, {.integer = 500}, {.integer = 997}};
    for (size_t i = 0; i < TN_COUNT(beside); i++) {
        erase_all(f, &beside[i], 1);
        assert_true(is_hot(f, "t", 0));
        same_both_ways(f, ALL, NULL);
    }
    for (size_t i = 0; i < GONE; i++)
        keys[i].integer = (int64_t)(i * 7 % ROWS);
    erase_all(f, keys, GONE);
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
    for (int64_t id = 0; id < 20; id++)
        (void)upsert_name(f, id * 50, "back");
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 1);
}

static void test_nested_values_are_followed(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", "SELECT i::BIGINT AS id, 'n' || i AS name, [name, 'x'] AS tags FROM range(30) t(i)", "id",
               true);
    pin(f, "t");
    for (int64_t i = 0; i < 12; i++)
        (void)upsert_name(f, i * 3, "changed");
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
    assert_true(compact(f, true).groups > 0);
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
    (void)upsert_name(f, 3, "once more");
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 1);
}

/* ---- compaction ------------------------------------------------------------------------ */

static void test_a_compaction_by_debt_is_followed(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", HUNDRED, "id", false);
    pin(f, "t");
    for (int64_t round = 0; round < 4; round++) {
        for (int64_t i = 0; i < 15; i++)
            (void)upsert_name(f, (round * 31 + i * 7) % 120, round % 2 ? "odd" : "even");
        assert_true(compact(f, true).groups > 0);
        assert_true(is_hot(f, "t", 0));
        same_both_ways(f, ALL, NULL);
        /* Rows that were moved are found by writers, and go. */
        (void)upsert_name(f, (round * 31) % 120, "after");
        erase(f, (round * 31 + 7) % 120);
        assert_true(is_hot(f, "t", 0));
        same_both_ways(f, ALL, NULL);
    }
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 1);
}

/* Tables learn where a compaction moved rows, and rows that were moved twice: nothing is filled anew. */
static void test_moved_rows_are_followed(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(9000) t(i)", "id", false);
    erase(f, 3);
    pin(f, "t");
    for (int64_t round = 0; round < 3; round++) {
        for (int64_t i = 0; i < 12; i++)
            (void)upsert_name(f, i * 700 + round, "changed");
        erase(f, 8000 + round);
        assert_true(compact(f, round == 1).groups > 0);
        assert_true(is_hot(f, "t", 0));
        same_both_ways(f, ALL, NULL);
        (void)upsert_name(f, 700 + round, "after"); /* of the table as it was filled, and of what came since */
        (void)upsert_name(f, 701, "again");
        erase(f, 1400);
        erase(f, 8999 - round);
        assert_true(is_hot(f, "t", 0));
        same_both_ways(f, ALL, NULL);
    }
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 1);
}

static void erase_where(struct fixture *f, const char *predicate)
{
    struct tn_error err = {0};
    struct dataset_commit commit;
    const struct dataset_rows rows = {
        .op = DATASET_ROWS_WHERE, .predicate = predicate, .actor = "ann", .source = "api"};
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    assert_true(commit.counts.deleted > 0);
}

/* Where rows went is said without a key too. */
static void test_moved_rows_without_a_key_are_followed(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", HUNDRED, NULL, false);
    pin(f, "t");
    for (int64_t round = 0; round < 3; round++) {
        char first[40], second[40];
        snprintf(first, sizeof first, "id %% 10 = %" PRId64, round);
        snprintf(second, sizeof second, "id %% 10 = %" PRId64, round + 5);
        erase_where(f, first);
        assert_true(compact(f, false).groups > 0);
        erase_where(f, second);
        assert_true(is_hot(f, "t", 0));
        same_both_ways(f, ALL, NULL);
    }
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 1);
}

/* Too many rows to be told one by one: the copy stays in use for reading, and
 * is filled anew meanwhile. */
static void test_a_large_compaction_leaves_readers_their_copy(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(60000) t(i)", "id", false);
    pin(f, "t");
    for (int64_t i = 0; i < 10; i++)
        (void)upsert_name(f, i, "changed");
    struct tn_pool *pool = f->lake.pool;
    f->lake.pool = NULL; /* nothing in the background for now */
    assert_int_equal(compact(f, false).groups, 1);
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
    assert_int_equal(dataset_hot_state(f->lake.hot).fills, 1);
    f->lake.pool = pool;
    /* Where the moved rows lie is not known: a write that hits them ends the copy. */
    (void)upsert_name(f, 3, "after");
    same_both_ways(f, ALL, NULL);
    wait_for_fills(f, 2);
    same_both_ways(f, ALL, NULL);
    assert_true(is_hot(f, "t", 0));
    (void)upsert_name(f, 4, "after that");
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
}

/* ---- what a copy cannot follow -------------------------------------------------------- */

static void test_what_was_replaced_falls_back_to_files(void **state)
{
    struct fixture *f = *state;
    static const struct dataset_column columns[] = {{.name = "id", .sql_type = "BIGINT"},
                                                    {.name = "name", .sql_type = "VARCHAR"}};
    make_table(f, "t", HUNDRED, "id", false);
    pin(f, "t");
    f->lake.pool = NULL;
    {
        TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
        struct tn_error err = {0};
        struct dataset_commit commit;
        must(dataset_write_begin(&f->lake, "t", DATASET_REPLACE, columns, 2, &write, &err), &err);
        must(dataset_write_file(write, 0, NULL, "SELECT 5::BIGINT AS id, 'five' AS name", NULL, NULL, &err), &err);
        must(dataset_write_commit(write, &nothing_special, &commit, &err), &err);
    }
    assert_false(is_hot(f, "t", 0));
    expect(f, "SELECT * FROM t", "[5,\"five\"]");
    pin(f, "t");
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
}

static void test_versions_far_behind_come_from_files(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", HUNDRED, "id", false);
    pin(f, "t");
    int64_t first = upsert_name(f, 1, "v0");
    for (int64_t i = 1; i < 40; i++) {
        char name[24];
        snprintf(name, sizeof name, "v%" PRId64, i);
        (void)upsert_name(f, 1, name);
        if (i % 8 == 0)
            assert_true(is_hot(f, "t", 0));
    }
    assert_true(is_hot(f, "t", 0));
    assert_false(is_hot(f, "t", first));
    char at[32];
    snprintf(at, sizeof at, "%" PRId64, first);
    same_both_ways(f, ALL, at);
}

/* ---- random changes -------------------------------------------------------------------- */

static void test_random_changes_are_the_same_both_ways(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", HUNDRED, "id", false);
    pin(f, "t");
    for (size_t step = 0; step < 150; step++) {
        size_t what = dice(40);
        char name[16];
        snprintf(name, sizeof name, "v%zu", dice(9));
        if (what == 0)
            dataset_hot_evict(&f->lake, "t");
        else if (what == 1)
            pin(f, "t");
        else if (what == 2)
            (void)compact(f, false);
        else if (what < 6)
            (void)compact(f, true);
        else if (what < 16)
            erase(f, (int64_t)dice(130));
        else
            (void)upsert_name(f, (int64_t)dice(130), name);
        if (dice(3) == 0)
            same_both_ways(f, ALL, NULL);
    }
    same_both_ways(f, ALL, NULL);
}

/* ---- many at once ----------------------------------------------------------------------- */

struct crowd {
    struct fixture *f;
    atomic_bool ending;
    atomic_size_t wrong, asked;
};

/* Rows come in pairs that are written together: their sum is zero in each version. */
static void *read_pairs(void *argument)
{
    struct crowd *crowd = argument;
    do { /* once at least, however late it begins */
        struct tn_error err = {0};
        TN_AUTO_BUF got = {0};
        if (ask(&crowd->f->lake, "SELECT sum(CAST(name AS BIGINT)) FROM t", NULL, &got, &err) != TN_OK ||
            strcmp(got.data, "[0]") != 0)
            atomic_fetch_add(&crowd->wrong, 1);
        atomic_fetch_add(&crowd->asked, 1);
    } while (!atomic_load(&crowd->ending));
    return NULL;
}

static void *keep_up(void *argument)
{
    struct crowd *crowd = argument;
    while (!atomic_load(&crowd->ending)) {
        struct tn_error err = {0};
        struct dataset_compacted done;
        const struct dataset_compaction options = {.debt_only = true};
        if (dataset_compact(&crowd->f->lake, "t", &options, &done, &err) != TN_OK)
            atomic_fetch_add(&crowd->wrong, 1);
        dataset_hot_evict(&crowd->f->lake, "t");
        if (dataset_hot_pin(&crowd->f->lake, "t", &err) != TN_OK && err.code != TN_ECONFLICT)
            atomic_fetch_add(&crowd->wrong, 1);
        usleep(2000);
    }
    return NULL;
}

static void test_readers_see_whole_versions_whatever_goes_on(void **state)
{
    struct fixture *f = *state;
    struct crowd crowd = {.f = f};
    pthread_t readers[2], keeper;
    make_table(f, "t",
               "SELECT i::BIGINT AS id, CASE WHEN i % 2 = 0 THEN '5' ELSE '-5' END AS name FROM range(20) t(i)", "id",
               false);
    pin(f, "t");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_pairs, &crowd), 0);
    assert_int_equal(pthread_create(&keeper, NULL, keep_up, &crowd), 0);
    for (size_t i = 0; i < 120; i++) {
        struct tn_error err = {0};
        struct dataset_commit commit;
        char plus[16], minus[16];
        size_t value = dice(1000), pair = dice(15);
        snprintf(plus, sizeof plus, "%zu", value);
        snprintf(minus, sizeof minus, "-%zu", value);
        const struct engine_cell cells[4] = {
            {.integer = (int64_t)(2 * pair)}, text(plus), {.integer = (int64_t)(2 * pair + 1)}, text(minus)};
        const struct dataset_rows rows = {.op = DATASET_ROWS_UPSERT,
                                          .field_ids = ids,
                                          .column_count = 2,
                                          .cells = cells,
                                          .row_count = 2,
                                          .actor = "ann",
                                          .source = "api"};
        must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    }
    atomic_store(&crowd.ending, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    pthread_join(keeper, NULL);
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.asked > 0);
    same_both_ways(f, ALL, NULL);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_copy_is_filled_and_let_go),
        TEST(test_repeated_use_fills),
        TEST(test_a_queued_filling_can_be_let_go),
        TEST(test_a_filling_outlives_who_asked),
        TEST(test_writes_move_a_copy_on),
        TEST(test_files_with_gaps_are_followed),
        TEST(test_nested_values_are_followed),
        TEST(test_a_compaction_by_debt_is_followed),
        TEST(test_moved_rows_are_followed),
        TEST(test_moved_rows_without_a_key_are_followed),
        TEST(test_a_large_compaction_leaves_readers_their_copy),
        TEST(test_what_was_replaced_falls_back_to_files),
        TEST(test_versions_far_behind_come_from_files),
        TEST(test_random_changes_are_the_same_both_ways),
        TEST(test_readers_see_whole_versions_whatever_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
