/* A lake with hot copies, for tests of them. */
#ifndef TARN_DATASET_HOT_TEST_SUPPORT_H
#define TARN_DATASET_HOT_TEST_SUPPORT_H

#include "dataset/hot_internal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataset/test_support.h"

#define PLENTY ((uint64_t)256 << 20)

static inline int set_up_hot(void **state)
{
    assert_int_equal(set_up_for_rows(state), 0);
    struct fixture *f = *state;
    f->lake.hot = dataset_hot_new(PLENTY);
    return 0;
}

static inline int tear_down_hot(void **state)
{
    struct fixture *f = *state;
    dataset_relations_free(f->lake.relations);
    f->lake.relations = NULL;
    dataset_hot_free(f->lake.hot);
    return tear_down_for_rows(state);
}

/* Columns (id BIGINT key, name VARCHAR, tags VARCHAR[]); the list only where it is wanted. */
static inline void make_table(struct fixture *f, const char *name, const char *sql, const char *key, bool nested)
{
    static const struct dataset_column columns[] = {{.name = "id", .sql_type = "BIGINT"},
                                                    {.name = "name", .sql_type = "VARCHAR"},
                                                    {.name = "tags", .sql_type = "VARCHAR[]"}};
    append_rows(f, name, columns, nested ? 3 : 2, key, sql);
}

#define HUNDRED "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(100) t(i)"

static const int32_t ids[] TN_UNUSED = {1, 2};

static inline void pin(struct fixture *f, const char *name)
{
    struct tn_error err = {0};
    must(dataset_hot_pin(&f->lake, name, &err), &err);
}

/* Whether a query of the newest version, or of one with that id, is answered from memory. */
static inline bool is_hot(struct fixture *f, const char *name, int64_t snapshot_id)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct dataset_hot_version version;
    struct tn_error err = {0};
    must(catalog_load(f->lake.catalog, name, &metadata, &err), &err);
    const struct iceberg_snapshot *snapshot =
        snapshot_id ? iceberg_metadata_snapshot(metadata, snapshot_id) : metadata->current;
    assert_non_null(snapshot);
    if (!dataset_hot_version(&f->lake, name, metadata, snapshot, metadata->schema, arena, &version))
        return false;
    engine_hold_unref(version.hold);
    return true;
}

/* The answer is the same one from memory and from the files. */
static inline void same_both_ways(struct fixture *f, const char *sql, const char *at)
{
    struct tn_error err = {0};
    TN_AUTO_BUF hot = {0}, cold = {0};
    must(ask(&f->lake, sql, at, &hot, &err), &err);
    struct lake files = f->lake;
    files.hot = NULL;
    files.relations = NULL;
    must(ask(&files, sql, at, &cold, &err), &err);
    assert_string_equal(hot.data ? hot.data : "", cold.data ? cold.data : "");
}

#define ALL "SELECT * FROM t ORDER BY ALL"

static inline struct engine_cell text(const char *value)
{
    struct engine_cell cell = {0};
    cell.text.data = value;
    cell.text.length = strlen(value);
    return cell;
}

static inline void erase_all(struct fixture *f, const struct engine_cell *keys, size_t count)
{
    struct tn_error err = {0};
    struct dataset_commit commit;
    const struct dataset_rows rows = {.op = DATASET_ROWS_DELETE,
                                      .field_ids = ids,
                                      .column_count = 1,
                                      .cells = keys,
                                      .row_count = count,
                                      .ignore_missing = true,
                                      .actor = "ann",
                                      .source = "api"};
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
}

static inline void erase(struct fixture *f, int64_t id)
{
    const struct engine_cell cell = {.integer = id};
    erase_all(f, &cell, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_hot, tear_down_hot)

#endif
