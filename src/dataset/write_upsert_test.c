/* Files by key: what is new, changed, there already, and what is refused. */
#include "dataset/dataset.h"
#include "journal/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset/test_support.h"

static int set_up_journal(void **state)
{
    struct tn_error err = {0};
    assert_int_equal(set_up(state), 0);
    struct fixture *f = *state;
    must(journal_open(f->lake.store, f->lake.catalog, f->lake.engine, &f->lake.journal, &err), &err);
    return 0;
}

static int tear_down_journal(void **state)
{
    struct fixture *f = *state;
    journal_close(f->lake.journal);
    return tear_down(state);
}

static const struct dataset_column columns[] = {{.name = "id", .sql_type = "BIGINT"},
                                                {.name = "name", .sql_type = "VARCHAR"},
                                                {.name = "list", .sql_type = "DOUBLE[]"},
                                                {.name = "extra", .sql_type = "BIGINT"}};

/* Two files of one write, so that places in the second one count too. */
static enum tn_code write_files(struct fixture *f, enum dataset_mode mode, size_t width, const char *key,
                                const char *first, const char *second, struct dataset_commit *ret,
                                struct tn_error *err)
{
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    TN_TRY(dataset_write_begin(&f->lake, "t", mode, columns, width, &write, err));
    if (key)
        TN_TRY(dataset_write_set_key(write, key, err));
    TN_TRY(dataset_write_file(write, 1, NULL, second, NULL, NULL, err));
    TN_TRY(dataset_write_file(write, 0, NULL, first, NULL, NULL, err));
    return dataset_write_commit(write, &nothing_special, ret, err);
}

#define ROWS(from, to) "SELECT i AS id, 'n' || i AS name, [i / 2] AS list FROM range(" #from ", " #to ") r(i)"

static void note_finding(void *context, const struct iceberg_finding *finding)
{
    (void)context;
    if (finding->fatal)
        fail_msg("%s at %s: %s", finding->rule, finding->where, finding->text);
}

static void check_table(struct fixture *f)
{
    struct tn_error err = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    const struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    must(iceberg_check(&table, metadata, note_finding, NULL, &err), &err);
}

static void test_new_changed_and_equal_rows(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(write_files(f, DATASET_UPSERT, 3, "id", ROWS(0, 1000), ROWS(1000, 2000), &commit, &err), &err);
    assert_int_equal(commit.counts.inserted, 2000);
    /* 300 equal, 200 changed, 500 new. */
    must(write_files(f, DATASET_UPSERT, 3, NULL, ROWS(900, 1200),
                     "SELECT i AS id, 'x' || i AS name, [i / 2] AS list FROM range(1800, 2500) r(i)", &commit, &err),
         &err);
    assert_int_equal(commit.counts.unchanged, 300);
    assert_int_equal(commit.counts.updated, 200);
    assert_int_equal(commit.counts.inserted, 500);
    assert_int_equal(commit.rows, 700);
    expect(f, "SELECT count(*), count(DISTINCT id), count(*) FILTER (name = 'x' || id), sum(list[1]) FROM t",
           "[2500,2500,700,1561875]");
    expect(f,
           "SELECT operation, rows, new_value::JSON->>'updated', new_value::JSON->>'unchanged' FROM journal ORDER BY "
           "sequence DESC LIMIT 1",
           "[\"ingest\",700,\"200\",\"300\"]");
    check_table(f);
}

static void test_nothing_new_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit, again;
    must(write_files(f, DATASET_APPEND, 3, "id", ROWS(0, 10), ROWS(10, 20), &commit, &err), &err);
    must(write_files(f, DATASET_UPSERT, 3, NULL, ROWS(15, 20), ROWS(0, 5), &again, &err), &err);
    assert_true(again.unchanged);
    assert_int_equal(again.counts.unchanged, 10);
    assert_int_equal(again.snapshot_id, commit.snapshot_id);
}

static void test_all_changed_and_a_new_column(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(write_files(f, DATASET_APPEND, 3, "id", ROWS(0, 10), ROWS(10, 20), &commit, &err), &err);
    must(write_files(f, DATASET_UPSERT, 4, NULL,
                     "SELECT i AS id, 'n' || i AS name, [i / 2] AS list, NULL AS extra FROM range(5) r(i)",
                     "SELECT i AS id, 'n' || i AS name, [i / 2] AS list, i AS extra FROM range(5, 25) r(i)", &commit,
                     &err),
         &err);
    assert_int_equal(commit.counts.unchanged, 5);
    assert_int_equal(commit.counts.updated, 15);
    assert_int_equal(commit.counts.inserted, 5);
    expect(f, "SELECT count(*), count(extra), sum(extra) FROM t", "[25,20,290]");
    /* Without the column it becomes NULL: an upsert gives whole rows. */
    must(write_files(f, DATASET_UPSERT, 3, NULL, ROWS(5, 6), ROWS(6, 7), &commit, &err), &err);
    assert_int_equal(commit.counts.updated, 2);
    expect(f, "SELECT count(*), count(extra) FROM t", "[25,18]");
    check_table(f);
}

static void refused(struct fixture *f, enum dataset_mode mode, const char *first, const char *second, const char *why)
{
    struct tn_error err = {0};
    struct dataset_commit commit;
    assert_int_equal(write_files(f, mode, 3, NULL, first, second, &commit, &err), TN_EREFUSED);
    if (!strstr(err.detail, why))
        fail_msg("\"%s\" is not in: %s", why, err.detail);
}

static void test_duplicates_are_refused(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    assert_int_equal(write_files(f, DATASET_UPSERT, 3, NULL, ROWS(0, 2), ROWS(2, 4), &commit, &err), TN_EREFUSED);
    assert_non_null(strstr(err.detail, "has no key"));
    must(write_files(f, DATASET_APPEND, 3, "id", ROWS(0, 100), ROWS(100, 200), &commit, &err), &err);
    refused(f, DATASET_APPEND, ROWS(200, 210), ROWS(205, 215), "5 keys are there more than once, the first is 205");
    refused(f, DATASET_UPSERT, ROWS(200, 210), ROWS(209, 215), "the key 209 is there more than once");
    refused(f, DATASET_REPLACE, ROWS(0, 10), ROWS(9, 15), "the key 9 is there more than once");
    refused(f, DATASET_APPEND, ROWS(190, 195), ROWS(300, 310), "5 keys are there already, the first is 190");
    must(write_files(f, DATASET_APPEND, 3, NULL, ROWS(200, 210), ROWS(210, 220), &commit, &err), &err);
    must(write_files(f, DATASET_REPLACE, 3, NULL, ROWS(200, 210), ROWS(210, 220), &commit, &err), &err);
    assert_int_equal(commit.counts.deleted, 220);
    expect(f, "SELECT count(*), min(id) FROM t", "[20,200]");
    check_table(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_changed_and_equal_rows, set_up_journal, tear_down_journal),
        cmocka_unit_test_setup_teardown(test_nothing_new_writes_nothing, set_up_journal, tear_down_journal),
        cmocka_unit_test_setup_teardown(test_all_changed_and_a_new_column, set_up_journal, tear_down_journal),
        cmocka_unit_test_setup_teardown(test_duplicates_are_refused, set_up_journal, tear_down_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
