/* What small writes changed is told as it was, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset/test_support.h"

static int set_up_recent(void **state)
{
    assert_int_equal(set_up_for_rows(state), 0);
    struct fixture *f = *state;
    f->lake.recent = dataset_recent_new((size_t)1 << 20);
    return 0;
}

static int tear_down_recent(void **state)
{
    struct fixture *f = *state;
    dataset_recent_free(f->lake.recent);
    f->lake.recent = NULL;
    return tear_down_for_rows(state);
}

static const struct dataset_column columns[] = {{.name = "id", .sql_type = "BIGINT"},
                                                {.name = "name", .sql_type = "VARCHAR"}};

static int64_t newest(struct fixture *f)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    assert_int_equal(catalog_load(f->lake.catalog, "people", &metadata, NULL), TN_OK);
    return metadata->current->id;
}

static int64_t put(struct fixture *f, int64_t id, const char *name)
{
    static const int32_t field_ids[] = {1, 2};
    struct engine_cell cells[2] = {{.integer = id}, {.text = {name, name ? strlen(name) : 0}}};
    const struct dataset_rows rows = {.op = name ? DATASET_ROWS_UPSERT : DATASET_ROWS_DELETE,
                                      .field_ids = field_ids,
                                      .column_count = name ? 2 : 1,
                                      .cells = cells,
                                      .row_count = 1,
                                      .actor = "test",
                                      .source = "test"};
    struct dataset_commit commit;
    struct tn_error err = {0};
    if (dataset_rows_write(&f->lake, "people", &rows, &commit, &err) != TN_OK)
        fail_msg("%s", err.detail);
    return commit.snapshot_id;
}

struct seen {
    struct dataset_recent_row *rows;
    size_t count;
    struct dataset_recent_hold *hold;
};

static bool look(struct fixture *f, int64_t from, int64_t to, size_t most, struct seen *ret)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    assert_int_equal(catalog_load(f->lake.catalog, "people", &metadata, NULL), TN_OK);
    return dataset_recent_rows(&f->lake, "people", metadata, from, to, most, &ret->rows, &ret->count, &ret->hold);
}

static void assert_row(const struct dataset_recent_row *row, bool removed, int64_t id, const char *name)
{
    assert_int_equal(row->removed, removed);
    assert_int_equal(row->cells[0].integer, id);
    assert_int_equal(row->cells[1].text.length, strlen(name));
    assert_memory_equal(row->cells[1].text.data, name, strlen(name));
}

#define THREE "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(3) t(i)"

static void test_changes_in_their_order(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    append_rows(f, "people", columns, 2, "id", THREE);
    int64_t first = newest(f);
    int64_t changed = put(f, 1, "changed");
    put(f, 7, "new");
    int64_t last = put(f, 2, NULL);
    assert_true(look(f, first, last, 100, &seen));
    assert_int_equal(seen.count, 4);
    assert_row(&seen.rows[0], true, 1, "n1");
    assert_row(&seen.rows[1], false, 1, "changed");
    assert_row(&seen.rows[2], false, 7, "new");
    assert_row(&seen.rows[3], true, 2, "n2");
    dataset_recent_unhold(seen.hold);
    assert_true(look(f, changed, last, 100, &seen));
    assert_int_equal(seen.count, 2);
    dataset_recent_unhold(seen.hold);
    assert_true(look(f, last, last, 100, &seen));
    assert_int_equal(seen.count, 0);
    dataset_recent_unhold(seen.hold);
    assert_false(look(f, first, last, 3, &seen));
    assert_false(look(f, 0, last, 100, &seen));
}

static void test_a_commit_that_is_not_known_ends_it(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    append_rows(f, "people", columns, 2, "id", THREE);
    int64_t first = newest(f);
    put(f, 1, "changed");
    append_rows(f, "people", columns, 2, NULL, "SELECT 50::BIGINT AS id, 'file' AS name");
    int64_t behind = newest(f);
    int64_t last = put(f, 1, "again");
    assert_false(look(f, first, last, 100, &seen));
    assert_true(look(f, behind, last, 100, &seen));
    assert_int_equal(seen.count, 2);
    dataset_recent_unhold(seen.hold);
}

static void test_a_compaction_changes_no_row(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    append_rows(f, "people", columns, 2, "id", THREE);
    int64_t first = newest(f);
    put(f, 1, "changed");
    struct dataset_compacted done;
    const struct dataset_compaction all = {.actor = "test"};
    assert_int_equal(dataset_compact(&f->lake, "people", &all, &done, NULL), TN_OK);
    assert_true(done.groups > 0);
    assert_true(look(f, first, newest(f), 100, &seen));
    assert_int_equal(seen.count, 2);
    assert_row(&seen.rows[1], false, 1, "changed");
    dataset_recent_unhold(seen.hold);
}

/* A walk that takes long is behind by many commits, and retention does not wait for it. */
static void test_many_changes_beyond_what_is_kept(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    char name[32];
    struct dataset_compacted compacted;
    const struct dataset_compaction all = {.actor = "test"};
    append_rows(f, "people", columns, 2, "id", THREE);
    put(f, 0, "before");
    assert_int_equal(dataset_compact(&f->lake, "people", &all, &compacted, NULL), TN_OK);
    int64_t first = newest(f);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "new%d", i);
        put(f, i % 3, name);
        if (i % 100 == 50)
            assert_int_equal(dataset_compact(&f->lake, "people", &all, &compacted, NULL), TN_OK);
    }
    const struct dataset_expiry few = {.older_than_us = tn_now_us() + 1000000, .keep = 5};
    struct dataset_expired expired;
    assert_int_equal(dataset_expire(&f->lake, "people", &few, &expired, NULL), TN_OK);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    assert_int_equal(catalog_load(f->lake.catalog, "people", &metadata, NULL), TN_OK);
    assert_null(iceberg_metadata_snapshot(metadata, first));
    assert_true(look(f, first, newest(f), 1000, &seen));
    assert_int_equal(seen.count, 600);
    assert_row(&seen.rows[599], false, 2, "new299");
    dataset_recent_unhold(seen.hold);
}

static void test_memory_is_bounded_and_held_rows_stay(void **state)
{
    struct fixture *f = *state;
    struct seen held, seen;
    char name[20001];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    append_rows(f, "people", columns, 2, "id", THREE);
    int64_t first = newest(f);
    int64_t next = put(f, 0, "kept");
    assert_true(look(f, first, next, 100, &held));
    for (int i = 0; i < 40; i++) {
        name[0] = (char)('a' + i % 26);
        put(f, 1, name);
    }
    assert_false(look(f, first, newest(f), 1000, &seen));
    assert_row(&held.rows[1], false, 0, "kept");
    dataset_recent_unhold(held.hold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_changes_in_their_order, set_up_recent, tear_down_recent),
        cmocka_unit_test_setup_teardown(test_a_commit_that_is_not_known_ends_it, set_up_recent, tear_down_recent),
        cmocka_unit_test_setup_teardown(test_a_compaction_changes_no_row, set_up_recent, tear_down_recent),
        cmocka_unit_test_setup_teardown(test_many_changes_beyond_what_is_kept, set_up_recent, tear_down_recent),
        cmocka_unit_test_setup_teardown(test_memory_is_bounded_and_held_rows_stay, set_up_recent, tear_down_recent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
