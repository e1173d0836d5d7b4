/* What small files refuse, and position deletes, read back by another reader. */
#include "iceberg/parquet_test.h"

static const uint8_t eight[8] = {7}, text[] = "abc";

#define REQUIRED_ID                                                                                                  \
    {                                                                                                                \
        .id = 1, .required = true, .name = "id", .type = iceberg_type_of(ICEBERG_LONG)                               \
    }
#define OPTIONAL_TAG                                                                                                 \
    {                                                                                                                \
        .id = 2, .name = "tag", .type = iceberg_type_of(ICEBERG_STRING)                                              \
    }

/* Fails with that code and text, and leaves what was in the buffer. */
static void assert_refused(const struct iceberg_schema *schema, const struct iceberg_bytes *cells, size_t rows,
                           enum tn_code code, const char *words)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF out = {0};
    struct iceberg_file file = {.record_count = 77};
    tn_buf_puts(&out, "before");
    test_err = (struct tn_error){0};
    assert_int_equal(iceberg_small_write(arena, schema, cells, rows, &out, &file, &test_err), code);
    assert_non_null(strstr(test_err.detail, words));
    assert_int_equal(out.len, 6);
    assert_string_equal(out.data, "before");
    assert_int_equal(file.record_count, 77);
}

static void cells_that_do_not_fit(void **state)
{
    (void)state;
    const struct iceberg_field fields[] = {REQUIRED_ID, OPTIONAL_TAG};
    const struct iceberg_schema schema = {.fields = fields, .field_count = 2};
    const struct iceberg_bytes good = {eight, 8}, none = {NULL, 0}, short_one = {eight, 7}, word = {text, 3};
    const uint8_t half[] = {0xc3};
    const struct iceberg_bytes no_utf8 = {half, 1};
    const struct iceberg_bytes missing[] = {good, word, none, word};
    const struct iceberg_bytes too_short[] = {good, word, good, none, short_one, word};
    const struct iceberg_bytes no_text[] = {good, no_utf8};
    assert_refused(&schema, missing, 2, TN_EREFUSED, "row 2 has no value in the required column \"id\"");
    assert_refused(&schema, too_short, 3, TN_EREFUSED, "row 3 has something in the column \"id\"");
    assert_refused(&schema, no_text, 1, TN_EREFUSED, "row 1 has something in the column \"tag\"");
}

static void too_few_and_too_many(void **state)
{
    (void)state;
    const struct iceberg_field fields[] = {OPTIONAL_TAG};
    const struct iceberg_schema schema = {.fields = fields, .field_count = 1};
    const struct iceberg_bytes huge[] = {{text, ICEBERG_SMALL_MAX_BYTES}, {text, 1}};
    assert_refused(&schema, huge, 0, TN_EREFUSED, "no rows");
    assert_refused(&schema, huge, ICEBERG_SMALL_MAX_ROWS + 1, TN_ETOOLARGE, "100001 rows");
    assert_refused(&schema, huge, 2, TN_ETOOLARGE, "32 MB"); /* judged before the bytes are looked at */
}

static void columns_that_are_not_plain(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    (void)state;
    const struct iceberg_field fields[] = {
        REQUIRED_ID,
        {.id = 2, .name = "tags", .type = iceberg_type_list(arena, 3, false, iceberg_type_of(ICEBERG_STRING))},
    };
    const struct iceberg_bytes cells[] = {{eight, 8}, {text, 3}};
    const struct iceberg_schema nested = {.fields = fields, .field_count = 2}, empty = {.fields = fields};
    assert_false(iceberg_small_can(&nested));
    assert_false(iceberg_small_can(&empty));
    assert_refused(&nested, cells, 1, TN_EUNSUPPORTED, "a list");
    assert_refused(&empty, cells, 1, TN_EUNSUPPORTED, "at least one column");
}

/* ---- position deletes ------------------------------------------------------------- */

static void deletes_read_back(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    (void)state;
    static const int64_t few[] = {0, 3, 4, INT64_MAX};
    int64_t *many = TN_ARENA_ARRAY(arena, int64_t, ICEBERG_SMALL_MAX_ROWS);
    for (size_t i = 0; i < ICEBERG_SMALL_MAX_ROWS; i++)
        many[i] = (int64_t)i * 3;
    const struct {
        const int64_t *positions;
        size_t count;
    } cases[] = {{few, 1}, {few, 4}, {many, ICEBERG_SMALL_MAX_ROWS}};
    const char *path = "file:///lake/datasets/t/data/\xc3\xbc 'x'-0123456789012345678901234567890123456789.parquet";
    for (size_t c = 0; c < TN_COUNT(cases); c++) {
        TN_AUTO_BUF out = {0};
        struct iceberg_file file = {0};
        assert_ok(iceberg_small_deletes(arena, path, cases[c].positions, cases[c].count, &out, &file, &test_err));
        assert_int_equal(file.content, ICEBERG_POSITION_DELETES);
        assert_int_equal(file.record_count, cases[c].count);
        assert_int_equal(file.size_bytes, out.len);
        assert_string_equal(file.referenced_data_file, path);
        struct parquet_file parquet = parquet_open(arena, out.data, out.len);
        struct iceberg_bytes *paths = parquet_cells(&parquet, 0), *positions = parquet_cells(&parquet, 1);
        for (size_t i = 0; i < cases[c].count; i++) {
            int64_t position = 0;
            assert_int_equal(paths[i].length, strlen(path));
            assert_memory_equal(paths[i].data, path, strlen(path));
            assert_int_equal(positions[i].length, 8);
            memcpy(&position, positions[i].data, 8);
            assert_int_equal(position, cases[c].positions[i]);
        }
        /* Clients find a file's deletes by bounds that are the path whole, not cut. */
        const struct iceberg_stats *stats = iceberg_file_stats(&file, ICEBERG_DELETE_PATH_ID);
        assert_non_null(stats);
        assert_int_equal(stats->lower.length, strlen(path));
        assert_int_equal(stats->upper.length, strlen(path));
        assert_memory_equal(stats->lower.data, path, strlen(path));
        assert_memory_equal(stats->upper.data, path, strlen(path));
    }
}

static void deletes_that_are_refused(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    (void)state;
    const int64_t twice[] = {1, 5, 5}, back[] = {5, 1}, below[] = {-1, 2};
    const struct {
        const int64_t *positions;
        size_t count;
        enum tn_code code;
        const char *words;
    } cases[] = {
        {twice, 3, TN_EREFUSED, "number 3 is 5"},
        {back, 2, TN_EREFUSED, "number 2 is 1"},
        {below, 2, TN_EREFUSED, "number 1 is -1"},
        {twice, 0, TN_EREFUSED, "no rows"},
        {twice, ICEBERG_SMALL_MAX_ROWS + 1, TN_ETOOLARGE, "100001 rows"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_AUTO_BUF out = {0};
        struct iceberg_file file = {.record_count = 77};
        tn_buf_puts(&out, "before");
        test_err = (struct tn_error){0};
        assert_int_equal(
            iceberg_small_deletes(arena, "f", cases[i].positions, cases[i].count, &out, &file, &test_err),
            cases[i].code);
        assert_non_null(strstr(test_err.detail, cases[i].words));
        assert_string_equal(out.data, "before");
        assert_int_equal(file.record_count, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_that_do_not_fit),      cmocka_unit_test(too_few_and_too_many),
        cmocka_unit_test(columns_that_are_not_plain), cmocka_unit_test(deletes_read_back),
        cmocka_unit_test(deletes_that_are_refused),
    };
    return cmocka_run_group_tests_name("iceberg/small_refused", tests, NULL, NULL);
}
