/* Rows of small files in memory: the same answers, version by version. */
#include "dataset/dataset_internal.h"
#include "dataset/small.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset/test_support.h"

static uint64_t dice_state = 5;

static size_t dice(size_t below)
{
    return throw_dice(&dice_state, below);
}

static void load(struct fixture *f, const char *sql, bool more)
{
    static const struct dataset_column columns[] = {{.name = "id", .sql_type = "BIGINT"},
                                                    {.name = "name", .sql_type = "VARCHAR"},
                                                    {.name = "extra", .sql_type = "DOUBLE"}};
    append_rows(f, "t", columns, more ? 3 : 2, "id", sql);
}

#define ALL  "SELECT * FROM t ORDER BY ALL"
#define BASE "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(50) t(i)"

/* As remembered, and as the files alone say. */
static void same_both_ways(struct fixture *f, const char *sql, const char *at)
{
    struct tn_error err = {0};
    TN_AUTO_BUF got = {0}, want = {0};
    struct lake plain = f->lake;
    plain.relations = NULL;
    must(ask(&f->lake, sql, at, &got, &err), &err);
    must(ask(&plain, sql, at, &want, &err), &err);
    assert_string_equal(got.data ? got.data : "", want.data ? want.data : "");
}

/* How many files the text of the newest version opens, and whether it has a part in memory. */
static size_t files_opened(struct fixture *f, bool *ret_in_memory)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = NULL;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_PLAN *plan = NULL;
    struct tn_error err = {0};
    TN_AUTO_BUF sql = {0};
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    const struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    must(iceberg_plan_new(&table, metadata, NULL, NULL, 0, &plan, &err), &err);
    must(dataset_files_sql(&f->lake, plan, metadata->schema, DATASET_UNPLACED, &sql, &hold, &err), &err);
    *ret_in_memory = strstr(sql.data, "small:") != NULL;
    size_t count = 0;
    for (const char *at = sql.data; (at = strstr(at, ".parquet'")); at++)
        count++;
    return count;
}

static void test_few_files_are_read_as_files(void **state)
{
    struct fixture *f = *state;
    bool in_memory;
    load(f, BASE, false);
    for (int64_t i = 0; i < 6; i++)
        (void)upsert_name(f, i, "changed");
    assert_int_equal(files_opened(f, &in_memory), 7);
    assert_false(in_memory);
    same_both_ways(f, ALL, NULL);
}

static void test_many_small_files_are_read_once(void **state)
{
    struct fixture *f = *state;
    bool in_memory;
    load(f, "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(6000) t(i)", false); /* too many rows to be small */
    for (int64_t i = 0; i < 20; i++)
        (void)upsert_name(f, i * 3, i % 2 ? "odd" : "even");
    assert_int_equal(files_opened(f, &in_memory), 1);
    assert_true(in_memory);
    same_both_ways(f, ALL, NULL);
    (void)upsert_name(f, 3, "again"); /* its row lay in one of the small files */
    assert_int_equal(files_opened(f, &in_memory), 1);
    same_both_ways(f, ALL, NULL);
    same_both_ways(f, "SELECT count(*) FROM t WHERE name = 'odd'", NULL);
}

/* What is told is what is there: texts, and nothing of rows that are in other files. */
static void test_bytes_are_counted(void **state)
{
    struct fixture *f = *state;
    struct dataset_smalls *smalls = dataset_relations_smalls(f->lake.relations);
    bool in_memory;
    char name[1001];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    load(f, "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(6000) t(i)", false);
    assert_int_equal(dataset_smalls_bytes(smalls), 0);
    for (int64_t i = 0; i < 20; i++)
        (void)upsert_name(f, i, name);
    (void)files_opened(f, &in_memory);
    assert_true(in_memory);
    assert_int_equal(dataset_smalls_bytes(smalls), 20 * (12 + 8 + 16 + 1000));
    (void)upsert_name(f, 3, "short");
    (void)files_opened(f, &in_memory);
    assert_int_equal(dataset_smalls_bytes(smalls), 20 * (12 + 8 + 16 + 1000) + 12 + 8 + 16 + 5);
}

/* Files of an older schema: new columns are NULL in them. */
static void test_columns_that_came_later(void **state)
{
    struct fixture *f = *state;
    bool in_memory;
    load(f, BASE, false);
    for (int64_t i = 0; i < 10; i++)
        (void)upsert_name(f, i, "changed");
    same_both_ways(f, ALL, NULL);
    load(f, "SELECT 900::BIGINT AS id, 'x' AS name, 1.5::DOUBLE AS extra", true);
    for (int64_t i = 0; i < 10; i++)
        (void)upsert_name(f, 2 * i, "once more");
    assert_int_equal(files_opened(f, &in_memory), 0);
    assert_true(in_memory);
    same_both_ways(f, ALL, NULL);
}

static void test_random_versions(void **state)
{
    struct fixture *f = *state;
    enum { STEPS = 120 };
    int64_t versions[STEPS];
    load(f, BASE, false);
    for (size_t step = 0; step < STEPS; step++) {
        char name[16], at[32];
        snprintf(name, sizeof name, "v%zu", dice(9));
        versions[step] = upsert_name(f, (int64_t)dice(80), name);
        if (dice(30) == 0) {
            struct tn_error err = {0};
            struct dataset_compacted done;
            const struct dataset_compaction options = {.debt_only = dice(2)};
            must(dataset_compact(&f->lake, "t", &options, &done, &err), &err);
        }
        if (dice(4) == 0)
            same_both_ways(f, ALL, NULL);
        snprintf(at, sizeof at, "%" PRId64, versions[dice(step + 1)]);
        if (dice(4) == 0)
            same_both_ways(f, ALL, at);
        if (dice(4) == 0)
            same_both_ways(f, "SELECT count(*), min(name) FROM t WHERE id >= 70", NULL);
    }
}

/* More versions than are remembered, on the same connections: a text that was
 * forgotten and made again is compiled again. */
static void test_forgotten_texts_are_made_again(void **state)
{
    struct fixture *f = *state;
    char first[32];
    load(f, BASE, false);
    for (int64_t i = 0; i < 12; i++)
        (void)upsert_name(f, i, "changed");
    snprintf(first, sizeof first, "%" PRId64, upsert_name(f, 1, "first"));
    same_both_ways(f, ALL, first);
    dataset_relations_free(f->lake.relations);
    f->lake.relations = dataset_relations_new();
    same_both_ways(f, ALL, first);
    same_both_ways(f, ALL, NULL);
}

struct crowd {
    struct fixture *f;
    atomic_bool ending;
    atomic_size_t wrong, asked;
};

static void *read_counts(void *argument)
{
    struct crowd *crowd = argument;
    do { /* once at least, however late it begins */
        struct tn_error err = {0};
        TN_AUTO_BUF got = {0};
        if (ask(&crowd->f->lake, "SELECT count(*), count(DISTINCT id), count(name) FROM t", NULL, &got, &err) !=
                TN_OK ||
            strcmp(got.data, "[50,50,50]") != 0)
            atomic_fetch_add(&crowd->wrong, 1);
        atomic_fetch_add(&crowd->asked, 1);
    } while (!atomic_load(&crowd->ending));
    return NULL;
}

static void test_readers_beside_a_writer(void **state)
{
    struct fixture *f = *state;
    struct crowd crowd = {.f = f};
    pthread_t readers[3];
    load(f, BASE, false);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_counts, &crowd), 0);
    for (size_t i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%zu", i);
        (void)upsert_name(f, (int64_t)dice(50), name);
        if (i % 40 == 39) {
            struct tn_error err = {0};
            struct dataset_compacted done;
            const struct dataset_compaction options = {.debt_only = true};
            must(dataset_compact(&f->lake, "t", &options, &done, &err), &err);
        }
    }
    atomic_store(&crowd.ending, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.asked > 0);
    same_both_ways(f, ALL, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_for_rows, tear_down_for_rows)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_few_files_are_read_as_files),
        TEST(test_many_small_files_are_read_once),
        TEST(test_bytes_are_counted),
        TEST(test_columns_that_came_later),
        TEST(test_random_versions),
        TEST(test_forgotten_texts_are_made_again),
        TEST(test_readers_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
