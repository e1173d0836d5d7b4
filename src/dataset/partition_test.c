/* Rows into partitioned tables: the same place by both ways, and groups that touch too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataset/partition.h"
#include "dataset/rows_internal.h"
#include "dataset/test_support.h"

static void make_table(struct fixture *f, const char *spec)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    const struct iceberg_origin nobody = {0};
    struct tn_error err = {0};
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_AUTO_BUF request = {0};
    tn_buf_printf(&request,
                  "{\"name\":\"t\",\"schema\":{\"type\":\"struct\",\"schema-id\":0,\"identifier-field-ids\":[1],"
                  "\"fields\":["
                  "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
                  "{\"id\":2,\"name\":\"word\",\"required\":false,\"type\":\"string\"},"
                  "{\"id\":3,\"name\":\"pay\",\"required\":false,\"type\":\"decimal(9, 2)\"},"
                  "{\"id\":4,\"name\":\"seen\",\"required\":false,\"type\":\"timestamptz\"},"
                  "{\"id\":5,\"name\":\"code\",\"required\":false,\"type\":\"uuid\"},"
                  "{\"id\":6,\"name\":\"tarn_partition\",\"required\":false,\"type\":\"float\"}]},"
                  "\"partition-spec\":{\"spec-id\":0,\"fields\":[%s]}}",
                  spec);
    must(iceberg_change_create(&table, 1, request.data, request.len, &metadata, &err), &err);
    must(iceberg_version_publish(&table, NULL, metadata, false, &nobody, &err), &err);
    catalog_publish(f->lake.catalog, "t", metadata);
}

static const char every_kind[] = "{\"source-id\":1,\"field-id\":1000,\"name\":\"p0\",\"transform\":\"truncate[50]\"},"
                                 "{\"source-id\":2,\"field-id\":1001,\"name\":\"p1\",\"transform\":\"truncate[1]\"},"
                                 "{\"source-id\":3,\"field-id\":1002,\"name\":\"p2\",\"transform\":\"bucket[2]\"},"
                                 "{\"source-id\":4,\"field-id\":1003,\"name\":\"p3\",\"transform\":\"month\"},"
                                 "{\"source-id\":5,\"field-id\":1004,\"name\":\"p4\",\"transform\":\"bucket[2]\"},"
                                 "{\"source-id\":6,\"field-id\":1005,\"name\":\"p5\",\"transform\":\"identity\"},"
                                 "{\"source-id\":2,\"field-id\":1006,\"name\":\"p6\",\"transform\":\"void\"},"
                                 "{\"source-id\":4,\"field-id\":1007,\"name\":\"p7\",\"transform\":\"year\"}";

#define ROWS_SQL                                                                                                     \
    "SELECT i AS id, CASE WHEN i %% 3 > 0 THEN chr((97 + i %% 2)::INTEGER) || i END AS word, "                       \
    "CASE WHEN i %% 5 > 0 THEN (i * 7.31)::DECIMAL(9,2) END AS pay, "                                                \
    "CASE WHEN i %% 7 > 0 THEN TIMESTAMPTZ '1969-12-20 00:00:00Z' + INTERVAL 1 DAY * i END AS seen, "                \
    "CASE WHEN i %% 4 > 0 THEN md5(i::VARCHAR)::UUID END AS code, "                                                  \
    "CASE WHEN i %% 9 > 0 THEN (i %% 2)::FLOAT END AS tarn_partition FROM range(%d, %d) r(i)"

static const struct dataset_column columns[] = {
    {.name = "id", .sql_type = "BIGINT"},        {.name = "word", .sql_type = "VARCHAR"},
    {.name = "pay", .sql_type = "DECIMAL(9,2)"}, {.name = "seen", .sql_type = "TIMESTAMP WITH TIME ZONE"},
    {.name = "code", .sql_type = "UUID"},        {.name = "tarn_partition", .sql_type = "FLOAT"},
};

struct gathered {
    struct cells_shape *shape;
    struct tn_arena *arena;
    struct engine_cell *cells;
    size_t count;
};

static enum tn_code gather(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct gathered *gathered = context;
    (void)err;
    memcpy(gathered->cells + gathered->count++ * TN_COUNT(columns),
           cells_copy(gathered->shape, gathered->arena, cells), TN_COUNT(columns) * sizeof *cells);
    return TN_OK;
}

/* The rows from..to as a request of rows. */
static void upsert(struct fixture *f, int from, int to)
{
    static const int32_t ids[] = {1, 2, 3, 4, 5, 6};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error err = {0};
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct cells_shape shape;
    struct dataset_commit commit;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    must(cells_shape_init(&shape, arena, metadata->schema, &err), &err);
    struct gathered gathered = {
        .shape = &shape,
        .arena = arena,
        .cells = TN_ARENA_ARRAY(arena, struct engine_cell, (size_t)(to - from) * TN_COUNT(columns))};
    const struct engine_select select = {.sql = tn_arena_printf(arena, ROWS_SQL, from, to)};
    must(engine_select(f->lake.engine, &select, NULL, NULL, NULL, gather, &gathered, &err), &err);
    const struct dataset_rows rows = {.op = DATASET_ROWS_UPSERT,
                                      .field_ids = ids,
                                      .column_count = TN_COUNT(ids),
                                      .cells = gathered.cells,
                                      .row_count = gathered.count};
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
}

static struct iceberg_plan *plan_of(struct fixture *f, struct tn_arena *arena, struct iceberg_metadata **ret)
{
    struct tn_error err = {0};
    struct iceberg_plan *plan = NULL;
    struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    must(catalog_load(f->lake.catalog, "t", ret, &err), &err);
    must(iceberg_plan_new(&table, *ret, NULL, NULL, 0, &plan, &err), &err);
    return plan;
}

static uint64_t count_astray(struct fixture *f, struct tn_arena *arena, const struct iceberg_metadata *metadata,
                             const struct iceberg_plan_file *planned, const struct iceberg_file *file)
{
    struct tn_error err = {0};
    uint64_t astray = 0;
    char *path;
    must(store_local_path(f->lake.store, arena, planned->key, &path, &err), &err);
    must(dataset_count_astray(f->lake.engine, metadata, file, path, &astray, &err), &err);
    return astray;
}

/* The same rows in memory and through the SQL engine lie in the same partitions:
 * each pair of files becomes one when both ways are compacted. */
static void test_both_ways_find_the_same_place(void **state)
{
    struct fixture *f = *state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct tn_error err = {0};
    make_table(f, every_kind);
    append_rows(f, "t", columns, TN_COUNT(columns), NULL, tn_arena_printf(arena, ROWS_SQL, 0, 150));
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_PLAN *plan = plan_of(f, arena, &metadata);
    size_t places = plan->file_count;
    assert_in_range(places, 20, 150);
    for (size_t i = 0; i < places; i++)
        assert_int_equal(count_astray(f, arena, metadata, &plan->files[i], plan->files[i].file), 0);

    expect(f, "SELECT count(*), count(DISTINCT id) FROM t", "[150,150]");
    const struct dataset_rows gone = {.op = DATASET_ROWS_WHERE, .predicate = "id % 2 = 0"};
    struct dataset_commit commit;
    must(dataset_rows_write(&f->lake, "t", &gone, &commit, &err), &err);
    upsert(f, 0, 150); /* the odd ones are there: no row of them is written */
    expect(f, "SELECT count(*), count(DISTINCT id) FROM t", "[150,150]");
    const struct dataset_compaction options = {.actor = "test"};
    struct dataset_compacted done = {0};
    must(dataset_compact(&f->lake, "t", &options, &done, &err), &err);
    expect(f, "SELECT count(*), count(DISTINCT id) FROM t", "[150,150]");
    ICEBERG_AUTO_METADATA *after = NULL;
    ICEBERG_AUTO_PLAN *compacted = plan_of(f, arena, &after);
    assert_int_equal(compacted->file_count, places);
    for (size_t i = 0; i < compacted->file_count; i++) {
        const struct iceberg_file *file = compacted->files[i].file;
        assert_int_equal(compacted->files[i].delete_count, 0);
        assert_int_equal(count_astray(f, arena, after, &compacted->files[i], file), 0);
        struct iceberg_file wrong = *file;
        wrong.partition = compacted->files[i ? 0 : 1].file->partition;
        assert_int_equal(count_astray(f, arena, after, &compacted->files[i], &wrong), file->record_count);
    }
}

static void fill_call(struct rows_call *call, struct dataset_rows *rows, struct tn_arena *arena, int64_t first,
                      size_t count)
{
    static const int32_t ids[] = {1};
    struct engine_cell *cells = TN_ARENA_ARRAY(arena, struct engine_cell, count);
    for (size_t i = 0; i < count; i++)
        cells[i].integer = first + (int64_t)i;
    *rows = (struct dataset_rows){
        .op = DATASET_ROWS_UPSERT, .field_ids = ids, .column_count = 1, .cells = cells, .row_count = count};
    *call = (struct rows_call){.request = {.rows = rows}};
}

/* Each of them may have as many as it likes, up to the limit; together they have
 * too many, and then do not go together. */
static void test_a_group_is_no_reason_to_be_refused(void **state)
{
    struct fixture *f = *state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct rows_call calls[4], *list[4];
    struct dataset_rows rows[4];
    make_table(f, "{\"source-id\":1,\"field-id\":1000,\"name\":\"p\",\"transform\":\"identity\"}");
    for (size_t i = 0; i < 4; i++) {
        fill_call(&calls[i], &rows[i], arena, (int64_t)i * 2000, i == 2 ? PARTITIONS_MAX + 1 : 400);
        list[i] = &calls[i];
    }
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(f->lake.catalog, "t");
    for (size_t at = 0, done = 0; at < 4; at += done)
        rows_do(&f->lake, "t", list + at, 4 - at, &done);
    catalog_unlock(TN_TAKE(lock));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(calls[i].code, i == 2 ? TN_ETOOLARGE : TN_OK);
    assert_int_equal(calls[0].commit.snapshot_id, calls[1].commit.snapshot_id);
    expect(f, "SELECT count(*), min(id), max(id) FROM t", "[1200,0,6399]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_ways_find_the_same_place, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_a_group_is_no_reason_to_be_refused, set_up_for_rows, tear_down_for_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
