/* Rows by key and by predicate, with their places. */
#include "dataset/cells.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset/test_support.h"

#define FILES         3
#define ROWS_PER_FILE 3000

/* The same key under every type that a key may have; file by file. */
static const struct {
    const char *type, *make;
} key_types[] = {
    {"BIGINT", "(i * 7)::BIGINT"},
    {"INTEGER", "(i - 4000)::INTEGER"},
    {"VARCHAR", "'key ''' || i"},
    {"UUID", "md5(i::VARCHAR)::UUID"},
    {"DATE", "DATE '1960-01-01' + i::INTEGER"},
    {"TIMESTAMP", "make_timestamp(i * 1000001 - 3000000000)"},
    {"TIMESTAMP WITH TIME ZONE", "make_timestamptz(i * 1000001 - 3000000000)"},
    {"TIME", "TIME '00:00:00' + to_seconds(i)"},
    {"DECIMAL(12,3)", "(i - 5000)::DECIMAL(12,3) / 8"},
    {"DECIMAL(30,2)", "(i - 5000)::DECIMAL(30,2) * 100000000000000"},
    {"BLOB", "encode('b' || i)"},
    {"DOUBLE", "i / 8.0"},
};

static void make_keyed(struct fixture *f, const char *name, size_t type)
{
    const struct dataset_column columns[] = {
        {.name = "v", .sql_type = "VARCHAR[]"},
        {.name = "k", .sql_type = key_types[type].type},
        {.name = "n", .sql_type = "BIGINT"},
    };
    for (size_t file = 0; file < FILES; file++) {
        TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
        struct tn_error err = {0};
        struct dataset_commit commit;
        TN_AUTO_BUF sql = {0};
        tn_buf_printf(&sql, "SELECT [i::VARCHAR] AS v, %s AS k, i::BIGINT AS n FROM range(%zu, %zu) t(i)",
                      key_types[type].make, file * ROWS_PER_FILE, (file + 1) * ROWS_PER_FILE);
        must(dataset_write_begin(&f->lake, name, DATASET_APPEND, columns, TN_COUNT(columns), &write, &err), &err);
        if (key_types[type].type[0] != 'D' || key_types[type].type[1] != 'O')
            must(dataset_write_set_key(write, "k", &err), &err);
        must(dataset_write_file(write, 0, NULL, sql.data, NULL, NULL, &err), &err);
        must(dataset_write_commit(write, &nothing_special, &commit, &err), &err);
    }
}

struct collected {
    struct tn_arena *arena;
    struct cells_shape shape;
    struct engine_cell **rows;
    struct dataset_place *places;
    size_t count, capacity, place_capacity;
};

static enum tn_code collect(void *context, const struct dataset_place *place, const struct engine_cell *cells,
                            struct tn_error *err)
{
    struct collected *all = context;
    (void)err;
    size_t count = all->count;
    TN_GROW(all->rows, count, all->capacity);
    TN_GROW(all->places, count, all->place_capacity);
    all->rows[count] = cells_copy(&all->shape, all->arena, cells);
    all->places[count] = (struct dataset_place){tn_arena_strdup(all->arena, place->path), place->pos};
    all->count++;
    return TN_OK;
}

static void collected_release(struct collected *all)
{
    free(all->rows);
    free(all->places);
    tn_arena_free(all->arena);
}

static void collected_init(struct collected *all, const struct iceberg_metadata *metadata)
{
    struct tn_error err = {0};
    *all = (struct collected){.arena = tn_arena_new()};
    must(cells_shape_init(&all->shape, all->arena, metadata->schema, &err), &err);
}

/* Looks for rows `from`, `from + step`, ... and finds exactly these. */
static void find_some(struct fixture *f, const char *name, struct iceberg_metadata *metadata,
                      const struct collected *all, size_t from, size_t step, size_t count)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(collected_release) struct collected got;
    struct tn_error err = {0};
    struct engine_cell *keys = TN_ARENA_ARRAY(arena, struct engine_cell, count);
    collected_init(&got, metadata);
    for (size_t i = 0; i < count; i++)
        cells_key_of(&all->shape, all->rows[from + i * step], &keys[i]);
    must(dataset_find_keys(&f->lake, name, metadata, keys, count, collect, &got, &err), &err);
    assert_int_equal(got.count, count);
    for (size_t i = 0; i < got.count; i++) {
        int64_t n = got.rows[i][2].integer;
        size_t at = 0;
        while (at < all->count && all->rows[at][2].integer != n)
            at++;
        assert_true(at >= from && (at - from) % step == 0 && (at - from) / step < count);
        assert_true(cells_equal(&all->shape, got.rows[i], all->rows[at]));
        assert_int_equal(got.places[i].pos, n % ROWS_PER_FILE);
        assert_string_equal(got.places[i].path, all->places[at].path);
    }
}

static int64_t cell_n(const struct engine_cell *row)
{
    return row[2].integer;
}

static void test_every_key_type(void **state)
{
    struct fixture *f = *state;
    for (size_t type = 0; type < TN_COUNT(key_types); type++) {
        TN_CLEANUP(collected_release) struct collected all;
        ICEBERG_AUTO_METADATA *metadata = NULL;
        struct tn_error err = {0};
        char name[16];
        snprintf(name, sizeof name, "t%zu", type);
        make_keyed(f, name, type);
        must(catalog_load(f->lake.catalog, name, &metadata, &err), &err);
        collected_init(&all, metadata);
        must(dataset_find_where(&f->lake, name, metadata, NULL, collect, &all, &err), &err);
        assert_int_equal(all.count, FILES * ROWS_PER_FILE);
        assert_in_range(cell_n(all.rows[0]), 0, FILES * ROWS_PER_FILE);
        if (metadata->schema->identifier_count == 0)
            continue;
        find_some(f, name, metadata, &all, 17, 1, 1);
        find_some(f, name, metadata, &all, 2990, 3, 40);
        find_some(f, name, metadata, &all, 100, 11, 200);
        find_some(f, name, metadata, &all, 5, 2, 4000);
    }
}

static void test_no_key_no_row(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_CLEANUP(collected_release) struct collected got;
    make_keyed(f, "t", 0);
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    collected_init(&got, metadata);
    const struct engine_cell keys[] = {{.integer = 3}, {.integer = -1}, {.integer = 7}, {.integer = 7}};
    must(dataset_find_keys(&f->lake, "t", metadata, keys, 1, collect, &got, &err), &err);
    must(dataset_find_keys(&f->lake, "t", metadata, keys + 1, 1, collect, &got, &err), &err);
    assert_int_equal(got.count, 0);
    must(dataset_find_keys(&f->lake, "t", metadata, keys, 4, collect, &got, &err), &err);
    assert_int_equal(got.count, 1);
    assert_int_equal(cell_n(got.rows[0]), 1);
    must(dataset_find_where(&f->lake, "t", metadata, "n BETWEEN 10 AND 12 -- some", collect, &got, &err), &err);
    assert_int_equal(got.count, 4);
}

static void test_composite_key(void **state)
{
    struct fixture *f = *state;
    static const struct dataset_column columns[] = {{.name = "a", .sql_type = "INTEGER"},
                                                    {.name = "b \"x\"", .sql_type = "VARCHAR"}};
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(dataset_write_begin(&f->lake, "c", DATASET_APPEND, columns, 2, &write, &err), &err);
    must(dataset_write_set_key(write, "a,b \"x\"", &err), &err);
    must(
        dataset_write_file(write, 0, NULL,
                           "SELECT (i // 100)::INTEGER AS a, 'b' || i % 100 AS \"b \"\"x\"\"\" FROM range(10000) t(i)",
                           NULL, NULL, &err),
        &err);
    must(dataset_write_commit(write, &nothing_special, &commit, &err), &err);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_CLEANUP(collected_release) struct collected got;
    must(catalog_load(f->lake.catalog, "c", &metadata, &err), &err);
    collected_init(&got, metadata);
    struct engine_cell keys[200];
    for (int i = 0; i < 100; i++) {
        keys[2 * i] = (struct engine_cell){.integer = i};
        keys[2 * i + 1] = (struct engine_cell){.text = {"b7\0", i % 2 ? 3 : 2}}; /* every other is not there */
    }
    must(dataset_find_keys(&f->lake, "c", metadata, keys, 3, collect, &got, &err), &err);
    assert_int_equal(got.count, 2);
    must(dataset_find_keys(&f->lake, "c", metadata, keys, 100, collect, &got, &err), &err);
    assert_int_equal(got.count, 2 + 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_key_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_key_no_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_composite_key, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
